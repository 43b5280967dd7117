/* SPDX-License-Identifier: MIT */
/*
 * Bringing the tree to its commits. It does not replay: it asks of each path what has to stand
 * there and what does, so that it may run any number of times over whatever is left, itself
 * included.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/mutant.h"
#include "txfs/converge.h"

void txfs_unsteady_release(struct txfs_unsteady *commit)
{
    tx_buf_release(&commit->entries);
    txfs_steps_release(&commit->steps);
}

enum tx_status txfs_unsteady_load(const struct ktm_commit_info *info, struct txfs_unsteady *commit,
                                  struct tx_error *err)
{
    TX_AUTO(txfs_unsteady) loaded = {.info = *info, .entries = TX_BUF_INIT};
    TX_TRY(tx_buf_append(&loaded.entries, info->entries.next, info->entries.left, err));
    loaded.info.entries.next = loaded.entries.data;
    TX_TRY(txfs_steps_load(loaded.info.entries, &loaded.steps, err));
    *commit = loaded;
    loaded.entries = (struct tx_buf)TX_BUF_INIT;
    loaded.steps = (struct txfs_steps){NULL, 0};
    return TX_OK;
}

/* What an earlier publisher wrote about the commit, if it got that far. */
static enum tx_status recall_changes(struct txfs *fs, struct txfs_unsteady *commit,
                                     struct tx_error *err)
{
    TX_AUTO(txfs_changes) changes = {.storage = TX_BUF_INIT};
    enum tx_status status = txfs_changes_read(fs, commit->info.lsn, &changes, err);
    commit->began = status != TX_ENOTFOUND;
    if (status == TX_ENOTFOUND || status == TX_ECORRUPT) {
        return TX_OK; /* it did not, or the power cut took what it wrote */
    }
    TX_TRY(status);
    const struct ktm_id *id = &commit->info.id;
    if (changes.steps.count != commit->steps.count || changes.info.id.epoch != id->epoch ||
        changes.info.id.sequence != id->sequence) {
        return TX_OK; /* of another commit at this LSN, which was never durable */
    }
    commit->must_write = false;
    for (size_t i = 0; i < commit->steps.count; i++) {
        struct txfs_step *step = &commit->steps.items[i];
        step->built_ino = changes.steps.items[i].built_ino;
        step->flags |= changes.steps.items[i].flags;
        commit->must_write |= step->flags != changes.steps.items[i].flags;
    }
    commit->has_changes = true;
    commit->same_boot = memcmp(changes.boot_id, fs->publisher->boot_id, 16) == 0;
    /* After a failed sync only the page cache may have what was read, as in write_again. */
    commit->must_write |= commit->same_boot && !TX_MUTANT(83);
    return TX_OK;
}

static enum tx_status stands(struct txio *io, int dir, const char *path, bool *there,
                             struct tx_error *err)
{
    struct txio_stat is;
    int result = io->ops->stat(io, dir, path, &is);
    *there |= result >= 0;
    return result >= 0 || txfs_is_no_path(result) ? TX_OK
                                                  : tx_error_os(err, -result, "stat %s", path);
}

static enum tx_status stands_as(struct txfs_model *model, int dir, const char *above,
                                const char *rest, const struct txfs_cnode *node, bool *there,
                                struct tx_error *err)
{
    struct txio *io = model->fs->io;
    char path[TXFS_PATH_MAX + TXFS_SLOT_PATH_SIZE];
    enum txfs_verdict verdict = TXFS_OTHER;
    struct txio_stat is;
    if (*there) {
        return TX_OK;
    }
    (void)snprintf(path, sizeof(path), "%s%s", above, rest); /* too long: it is not there */
    int result = io->ops->stat(io, dir, path, &is);
    if (result == 0) {
        TX_TRY(txfs_judge(model, dir, path, &is, node, &verdict, err));
        *there = verdict == TXFS_IS;
    }
    return result == 0 || result == -ENAMETOOLONG || txfs_is_no_path(result)
               ? TX_OK
               : tx_error_os(err, -result, "stat %.200s", path);
}

/* In a directory that the commit placed above it, when that is still where it was moved from, or in
 * its slot: the power may have taken its change of name alone. */
static enum tx_status was_placed_in(struct txfs_model *model, const struct txfs_unsteady *commit,
                                    const struct txfs_goal *goal, bool *there,
                                    struct tx_error *err)
{
    for (size_t i = 0; i < commit->steps.count && !TX_MUTANT(131); i++) {
        struct txfs_step *step = &commit->steps.items[i];
        const struct txfs_entry *above = &step->entry;
        char slot[TXFS_SLOT_PATH_SIZE];
        if (!txfs_entry_displaces(above) || !txfs_path_is_below(goal->path, above->path)) {
            continue; /* MUTANT_131: the directory stands where it has to */
        }
        const char *rest = goal->path + strlen(above->path);
        txfs_slot_path(commit->info.lsn, 0, step->index, slot);
        TX_TRY(stands_as(model, model->undo_dir, slot, rest, goal->node, there, err));
        if (above->kind == TXFS_CHANGE_MOVED) {
            TX_TRY(stands_as(model, model->fs->root_dir, above->target, rest, goal->node, there,
                             err));
        }
    }
    return TX_OK;
}

/* The power may have kept the change of the name and not the record that says so. What later
 * commits found in its place, or took from there, they tell. */
static enum tx_status was_placed(struct txfs_model *model, const struct txfs_unsteady *commit,
                                 const char *path, bool *there, struct tx_error *err)
{
    const struct txfs_goal *goal = txfs_model_goal(model, path);
    if (commit != &model->commits[model->count - 1] || goal == NULL || goal->node == NULL) {
        *there = true;
        return TX_OK;
    }
    if (TX_MUTANT(69)) {
        return TX_OK;
    }
    TX_TRY(stands_as(model, model->fs->root_dir, path, "", goal->node, there, err));
    return was_placed_in(model, commit, goal, there, err);
}

/* A staged payload is where it was staged, in its slot, or already in its place. */
static enum tx_status check_payloads(struct txfs_model *model, struct txfs_unsteady *commit,
                                     struct tx_error *err)
{
    for (size_t i = 0; i < commit->steps.count; i++) {
        const struct txfs_entry *entry = &commit->steps.items[i].entry;
        struct txfs_ref ref = {commit, &commit->steps.items[i]};
        char staged[TXFS_STAGED_PATH_SIZE];
        char slot[TXFS_SLOT_PATH_SIZE];
        bool there = entry->payload != TXFS_PAYLOAD_STAGED;
        if (!there) {
            txfs_staged_path(&commit->info.id, entry->staged, staged);
            txfs_ref_slot(&ref, slot);
            TX_TRY(stands(model->fs->io, model->fs->store_dir, staged, &there, err));
            TX_TRY(stands(model->fs->io, model->undo_dir, slot, &there, err));
        }
        if (!there) {
            TX_TRY(was_placed(model, commit, entry->path, &there, err));
        }
        if (!there) {
            return tx_error_set(err, TX_ECORRUPT, "the staged payload of \"%.200s\" is gone",
                                entry->path);
        }
    }
    return TX_OK;
}

/* As publishing does, say that names are going to change before they do: what is missing after
 * that may have been removed from its place. */
static enum tx_status begin_commit(struct txfs_model *model, struct txfs_unsteady *commit,
                                   struct tx_error *err)
{
    /* MUTANT_65: recovery changes names before it says so. */
    if (commit->began || TX_MUTANT(65)) {
        return TX_OK;
    }
    TX_TRY(check_payloads(model, commit, err));
    commit->began = true;
    return txfs_changes_write(model->fs, &commit->info, &commit->steps, err);
}

static enum tx_status prepare_commit(struct txfs_model *model, struct txfs_unsteady *commit,
                                     struct tx_error *err)
{
    char name[TXFS_COMMIT_NAME_SIZE];
    txfs_commit_name(commit->info.lsn, name);
    int result = model->fs->io->ops->mkdir(model->fs->io, model->undo_dir, name, 0700);
    /* Crash here: an empty undo/<L>, made again or found by the next recovery. */
    if (result < 0 && result != -EEXIST) {
        return tx_error_os(err, -result, "make undo/%s", name);
    }
    commit->must_write = true;
    if (result == -EEXIST) {
        TX_TRY(recall_changes(model->fs, commit, err));
    }
    return begin_commit(model, commit, err);
}

bool txfs_ref_moves_base(const struct txfs_ref *ref)
{
    const struct txfs_steps *steps = &ref->commit->steps;
    const struct txfs_entry *entry = &ref->step->entry;
    const char *stood = entry->base_path != NULL ? entry->base_path : entry->path;
    for (size_t i = 0; i < steps->count; i++) {
        const struct txfs_entry *other = &steps->items[i].entry;
        if (other->kind == TXFS_CHANGE_MOVED && strcmp(other->target, stood) == 0) {
            return true;
        }
    }
    return false;
}

/* One moved object: unless it stands where it has to, it goes to its slot first. */
static enum tx_status pull(struct txfs_model *model, struct txfs_step *step, struct tx_error *err)
{
    struct txfs_goal *goal = txfs_model_goal(model, step->entry.path);
    struct txio_stat is;
    struct txfs_found found;
    char slot[TXFS_SLOT_PATH_SIZE];
    int result;
    if (goal == NULL || goal->node == NULL) {
        return TX_OK;
    }
    TX_TRY(txfs_root_stat(&model->work, goal->path, &is, &result, err));
    if (result == 0 && txfs_is_object(model->fs, &is, &goal->node->identity)) {
        return TX_OK;
    }
    TX_TRY(txfs_find(model, goal, goal->node, &found, err));
    txfs_ref_slot(&txfs_goal_last(goal)->ref, slot);
    if (!found.found || !found.movable || strcmp(found.path, slot) == 0) {
        return TX_OK;
    }
    int dir = found.in_root ? model->fs->root_dir : model->undo_dir;
    /* Crash here: the object is in its slot or where it was; both are looked at. */
    result = model->fs->io->ops->rename(model->fs->io, dir, found.path, model->undo_dir, slot,
                                        TXIO_NOREPLACE);
    txfs_parents_drop(&model->work.parents);
    if (result < 0 && result != -EEXIST) { /* when placing comes to it, it looks again */
        return tx_error_os(err, -result, "take \"%.200s\" away", found.path);
    }
    return TX_OK;
}

static enum tx_status pull_commit(struct txfs_model *model, struct txfs_unsteady *commit,
                                  struct tx_error *err)
{
    TX_AUTO(tx_map) moved;
    struct tx_map_entry at;
    tx_map_init(&moved, NULL);
    for (size_t i = 0; i < commit->steps.count; i++) {
        struct txfs_step *step = &commit->steps.items[i];
        if (step->entry.kind == TXFS_CHANGE_MOVED) {
            struct txfs_tree_key key;
            txfs_tree_key_set(&key, step->entry.target);
            TX_TRY(tx_map_set(&moved, key.bytes, key.size, step, err));
        }
    }
    TX_AUTO(tx_buf) order = TX_BUF_INIT;
    for (bool more = tx_map_at_or_after(&moved, NULL, 0, &at); more;
         more = tx_map_after(&moved, at.key, at.key_size, &at)) {
        TX_TRY(tx_buf_append(&order, &at.value, sizeof(at.value), err));
    }
    struct txfs_step **steps = (struct txfs_step **)(void *)order.data;
    for (size_t i = moved.count; i-- > 0;) { /* deepest source first */
        TX_TRY(pull(model, steps[i], err));
    }
    return TX_OK;
}

enum tx_status txfs_converge_pull(struct txfs_model *model, struct tx_error *err)
{
    for (size_t i = 0; i < model->count; i++) {
        TX_TRY(pull_commit(model, &model->commits[i], err));
    }
    return TX_OK;
}

static bool is_link(const struct txfs_goal *goal)
{
    const struct txfs_version *last = txfs_goal_last(goal);
    return last != NULL && last->ref.step->entry.kind == TXFS_CHANGE_LINK;
}

/* Parents before children; further names when their objects stand. */
static enum tx_status converge_goals(struct txfs_model *model, bool links, struct tx_error *err)
{
    struct tx_map_entry at;
    for (bool more = tx_map_at_or_after(&model->goals, NULL, 0, &at); more;
         more = tx_map_after(&model->goals, at.key, at.key_size, &at)) {
        if (is_link(at.value) == links) {
            TX_TRY(txfs_converge_goal(model, at.value, err));
        }
    }
    return TX_OK;
}

enum tx_status txfs_converge(struct txfs *fs, struct txfs_unsteady *commits, size_t count,
                             struct tx_error *err)
{
    TX_AUTO(txfs_model) model = {.fs = fs, .commits = commits, .count = count};
    TX_TRY(txfs_undo_make(fs, &model.undo_dir, err));
    model.work = (struct txfs_work){.fs = fs,
                                    .slots_dir = model.undo_dir,
                                    .in_undo = true,
                                    .has_moves = true, /* times of directories prove nothing */
                                    .parents = {.fs = fs}};
    TX_TRY(txfs_model_build(&model, err));
    for (size_t i = 0; i < count; i++) {
        TX_TRY(prepare_commit(&model, &commits[i], err));
    }
    TX_TRY(txfs_converge_pull(&model, err));
    TX_TRY(converge_goals(&model, false, err));
    TX_TRY(converge_goals(&model, true, err));
    TX_TRY(txfs_converge_settle(&model, err));
    return txfs_converge_audit(&model, err);
}
