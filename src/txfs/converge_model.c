/* SPDX-License-Identifier: MIT */
/* Folding commits into goals: which object has to stand at which path, and what it was before. */
#include <string.h>
#include <sys/stat.h>

#include "base/mutant.h"
#include "txfs/converge.h"

static void release_goal(void *value)
{
    struct txfs_goal *goal = value;
    tx_buf_release(&goal->versions);
    tx_free(goal);
}

void txfs_model_release(struct txfs_model *model)
{
    struct txfs_cnode **nodes = (struct txfs_cnode **)(void *)model->nodes.data;
    for (size_t i = 0; i < model->nodes.size / sizeof(*nodes); i++) {
        tx_buf_release(&nodes[i]->amendments);
        tx_buf_release(&nodes[i]->displaced);
        tx_free(nodes[i]);
    }
    tx_buf_release(&model->nodes);
    tx_map_release(&model->goals);
    tx_map_release(&model->inodes);
    txfs_parents_drop(&model->work.parents);
}

static enum tx_status node_new(struct txfs_model *model, struct txfs_cnode **node,
                               struct tx_error *err)
{
    struct txfs_cnode *made = tx_alloc_zero(sizeof(*made));
    if (made == NULL) {
        return tx_error_set(err, TX_ENOMEM, "fold commits");
    }
    enum tx_status status = tx_buf_append(&model->nodes, &made, sizeof(made), err);
    if (status != TX_OK) {
        tx_free(made);
        return status;
    }
    *node = made;
    return TX_OK;
}

/* The node of an object of the tree; the same for all its names. */
static enum tx_status node_old(struct txfs_model *model, const struct txfs_identity *identity,
                               struct txfs_cnode **node, struct tx_error *err)
{
    uint64_t key = identity->ino;
    *node = tx_map_get(&model->inodes, &key, sizeof(key));
    if (*node != NULL) {
        return TX_OK;
    }
    TX_TRY(node_new(model, node, err));
    (*node)->identity = *identity;
    return tx_map_set(&model->inodes, &key, sizeof(key), *node, err);
}

bool txfs_model_is_old(const struct txfs_model *model, const struct txio_stat *is)
{
    const struct txfs_cnode *node = tx_map_get(&model->inodes, &is->ino, sizeof(is->ino));
    return node != NULL && txfs_is_object(model->fs, is, &node->identity);
}

struct txfs_goal *txfs_model_goal(const struct txfs_model *model, const char *path)
{
    struct txfs_tree_key key;
    txfs_tree_key_set(&key, path);
    return tx_map_get(&model->goals, key.bytes, key.size);
}

static enum tx_status goal_of(struct txfs_model *model, const char *path, struct txfs_goal **goal,
                              struct tx_error *err)
{
    struct txfs_tree_key key;
    txfs_tree_key_set(&key, path);
    *goal = tx_map_get(&model->goals, key.bytes, key.size);
    if (*goal != NULL) {
        return TX_OK;
    }
    struct txfs_goal *made = tx_alloc_zero(sizeof(*made));
    if (made == NULL) {
        return tx_error_set(err, TX_ENOMEM, "fold commits");
    }
    made->path = path;
    enum tx_status status = tx_map_set(&model->goals, key.bytes, key.size, made, err);
    if (status != TX_OK) {
        tx_free(made);
        return status;
    }
    *goal = made;
    return TX_OK;
}

struct txfs_attrs txfs_cnode_attrs(const struct txfs_cnode *node)
{
    struct txfs_attrs attrs = {.mask = 0};
    if (node->creator.step != NULL) {
        attrs = txfs_attrs_of(&node->creator.step->entry);
    }
    for (size_t i = 0; i < txfs_ref_count(&node->amendments); i++) {
        struct txfs_attrs more = txfs_attrs_of(&txfs_ref_at(&node->amendments, i)->step->entry);
        txfs_attrs_add(&attrs, &more);
    }
    return attrs;
}

uint64_t txfs_cnode_size(const struct txfs_cnode *node)
{
    uint64_t size = node->creator.step->entry.size;
    for (size_t i = 0; i < txfs_ref_count(&node->amendments); i++) {
        const struct txfs_entry *entry = &txfs_ref_at(&node->amendments, i)->step->entry;
        size = entry->payload == TXFS_PAYLOAD_EXTENTS ? entry->size : size;
    }
    return size;
}

bool txfs_cnode_has_extents(const struct txfs_cnode *node)
{
    for (size_t i = 0; i < txfs_ref_count(&node->amendments); i++) {
        if (txfs_ref_at(&node->amendments, i)->step->entry.payload == TXFS_PAYLOAD_EXTENTS) {
            return true;
        }
    }
    return false;
}

static uint32_t type_of(const struct txfs_cnode *node)
{
    switch (node->creator.step->entry.kind) {
    case TXFS_CHANGE_DIRECTORY:
        return S_IFDIR;
    case TXFS_CHANGE_SYMLINK:
        return S_IFLNK;
    case TXFS_CHANGE_NODE:
        return node->creator.step->entry.mode & S_IFMT;
    default:
        return S_IFREG;
    }
}

/* Is this what a later commit saw of the node? If not, a stranger replaced it in between. */
static bool was_seen_as(struct txfs_cnode *node, const struct txfs_identity *seen)
{
    if (node->creator.step == NULL || node->identity.existed) {
        return txfs_identity_same_object(&node->identity, seen);
    }
    if ((seen->mode & S_IFMT) != type_of(node)) {
        return false;
    }
    struct txfs_attrs attrs = txfs_cnode_attrs(node);
    bool file = S_ISREG(seen->mode);
    if (file && (seen->size != txfs_cnode_size(node) || seen->mtime_ns != attrs.mtime_ns)) {
        return false;
    }
    node->identity = *seen;
    return true;
}

/* The node that a step met at its path, `now` being the one the earlier commits left there. */
static enum tx_status met(struct txfs_model *model, struct txfs_cnode *now,
                          const struct txfs_identity *seen, struct txfs_cnode **node,
                          struct tx_error *err)
{
    *node = NULL;
    if (!seen->existed) {
        return TX_OK;
    }
    if (now != NULL && was_seen_as(now, seen)) {
        *node = now;
        return TX_OK;
    }
    return node_old(model, seen, node, err);
}

static enum tx_status note_gone(struct txfs_cnode *node, const struct txfs_ref *ref,
                                const char *below, struct tx_error *err)
{
    struct txfs_gone gone = {*ref, below};
    return tx_buf_append(&node->displaced, &gone, sizeof(gone), err);
}

/* Is it told from its likes, so that it may be looked for among objects that no commit names? */
static bool is_certain(const struct txfs_cnode *node)
{
    return node->creator.step == NULL ||
           node->creator.step->entry.payload == TXFS_PAYLOAD_STAGED;
}

/* A path that went away with a directory above, which `ref` displaced: nobody looks after what its
 * versions displaced, and its object is to be found in there. */
static enum tx_status give_up(struct txfs_goal *goal, const struct txfs_ref *ref,
                              struct tx_error *err)
{
    struct txfs_version *all = (struct txfs_version *)(void *)goal->versions.data;
    for (size_t i = 0; i < goal->versions.size / sizeof(*all); i++) {
        all[i].ref.step->flags |= all[i].before != NULL ? TXFS_STEP_LOST : 0;
    }
    /* MUTANT_126: what went away with its directory is nowhere. */
    bool carried = goal->node != NULL && is_certain(goal->node) && !TX_MUTANT(126);
    const char *below = goal->path + strlen(ref->step->entry.path);
    return carried ? note_gone(goal->node, ref, below, err) : TX_OK;
}

static enum tx_status void_below(struct txfs_model *model, const struct txfs_ref *ref, bool *any,
                                 struct tx_error *err)
{
    struct txfs_tree_key key;
    struct tx_map_entry below;
    txfs_tree_key_set(&key, ref->step->entry.path);
    while (txfs_tree_below(&model->goals, &key, &below)) {
        TX_TRY(give_up(below.value, ref, err));
        (void)tx_map_remove(&model->goals, below.key, below.key_size); /* just found */
        *any = true;
    }
    return TX_OK;
}

/* Where the object of a further name stood, so that it is known when that goes with a directory. */
static enum tx_status note_target(struct txfs_model *model, const struct txfs_entry *link,
                                  struct txfs_cnode *node, struct tx_error *err)
{
    struct txfs_goal *goal;
    TX_TRY(goal_of(model, link->target, &goal, err));
    if (txfs_goal_last(goal) == NULL && goal->node == NULL) {
        goal->node = node;
    }
    return TX_OK;
}

static enum tx_status placed_node(struct txfs_model *model, const struct txfs_ref *ref,
                                  struct txfs_cnode **node, struct tx_error *err)
{
    const struct txfs_entry *entry = &ref->step->entry;
    *node = NULL;
    switch (entry->kind) {
    case TXFS_CHANGE_ABSENT:
        return TX_OK;
    case TXFS_CHANGE_MOVED:
        return node_old(model, &entry->source, node, err);
    case TXFS_CHANGE_LINK: {
        const struct txfs_goal *target = txfs_model_goal(model, entry->target);
        if (!entry->source.existed) { /* made by this commit */
            *node = target != NULL ? target->node : NULL;
            return *node != NULL
                       ? TX_OK
                       : tx_error_set(err, TX_ECORRUPT, "\"%.200s\" links to nothing", entry->path);
        }
        TX_TRY(met(model, target != NULL ? target->node : NULL, &entry->source, node, err));
        return note_target(model, entry, *node, err);
    }
    default:
        TX_TRY(node_new(model, node, err));
        (*node)->creator = *ref;
        return TX_OK;
    }
}

static enum tx_status add_displacing(struct txfs_model *model, const struct txfs_ref *ref,
                                     struct tx_error *err)
{
    const struct txfs_entry *entry = &ref->step->entry;
    struct txfs_goal *goal;
    struct txfs_cnode *node;
    struct txfs_version version = {.ref = *ref};
    TX_TRY(void_below(model, ref, &version.unsure, err));
    TX_TRY(goal_of(model, entry->path, &goal, err));
    goal->path = entry->path;
    TX_TRY(met(model, goal->node, &entry->base, &version.before, err));
    TX_TRY(placed_node(model, ref, &node, err));
    if (version.before != NULL) {
        TX_TRY(note_gone(version.before, ref, "", err));
    }
    TX_TRY(tx_buf_append(&goal->versions, &version, sizeof(version), err));
    goal->node = node;
    return TX_OK;
}

static enum tx_status add_amending(struct txfs_model *model, const struct txfs_ref *ref,
                                   struct tx_error *err)
{
    struct txfs_goal *goal;
    TX_TRY(goal_of(model, ref->step->entry.path, &goal, err));
    if (ref->step->entry.kind != TXFS_CHANGE_MOVED) { /* its node is there already */
        TX_TRY(met(model, goal->node, &ref->step->entry.source, &goal->node, err));
    }
    return goal->node != NULL
               ? tx_buf_append(&goal->node->amendments, ref, sizeof(*ref), err)
               : tx_error_set(err, TX_ECORRUPT, "\"%.200s\" changes nothing", goal->path);
}

enum fold_pass { FOLD_OBJECTS, FOLD_LINKS, FOLD_AMENDMENTS };

static enum tx_status fold_step(struct txfs_model *model, const struct txfs_ref *ref,
                                enum fold_pass pass, struct tx_error *err)
{
    const struct txfs_entry *entry = &ref->step->entry;
    bool link = entry->kind == TXFS_CHANGE_LINK;
    if (pass == FOLD_AMENDMENTS) {
        return txfs_entry_amends(entry) ? add_amending(model, ref, err) : TX_OK;
    }
    if (!txfs_entry_displaces(entry) || link != (pass == FOLD_LINKS)) {
        return TX_OK;
    }
    return add_displacing(model, ref, err);
}

enum tx_status txfs_model_build(struct txfs_model *model, struct tx_error *err)
{
    tx_map_init(&model->goals, release_goal);
    tx_map_init(&model->inodes, NULL);
    for (size_t c = 0; c < model->count; c++) {
        struct txfs_unsteady *commit = &model->commits[c];
        for (int pass = FOLD_OBJECTS; pass <= FOLD_AMENDMENTS; pass++) {
            for (size_t i = 0; i < commit->steps.count; i++) {
                struct txfs_ref ref = {commit, &commit->steps.items[i]};
                TX_TRY(fold_step(model, &ref, (enum fold_pass)pass, err));
            }
        }
    }
    return TX_OK;
}

void txfs_model_turn(struct txfs_model *model, const struct txfs_ref *ref)
{
    model->work.id = ref->commit->info.id;
    model->work.lsn = ref->commit->info.lsn;
}

void txfs_ref_slot(const struct txfs_ref *ref, char path[TXFS_SLOT_PATH_SIZE])
{
    txfs_slot_path(ref->commit->info.lsn, 0, ref->step->index, path);
}
