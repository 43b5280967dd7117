/* SPDX-License-Identifier: MIT */
/*
 * Building entries. The delicate part is keeping objects alive whose first name goes: a link entry
 * says "what stands at that path", so when the path is removed or given to something else, the
 * object moves to the link's path first.
 */
#include <string.h>
#include <sys/stat.h>

#include "base/mutant.h"
#include "txfs/open_file.h"

void txfs_change_start(const struct txfs_view *view, const char *path,
                       const struct txfs_object *object, enum txfs_change_kind kind,
                       struct txfs_entry *entry)
{
    const struct txfs_node *node = txfs_view_node(view, path);
    *entry = (struct txfs_entry){
        .kind = (uint8_t)kind,
        .path = path,
        .atime_ns = TXFS_KEEP_TIME,
        .mtime_ns = TXFS_KEEP_TIME,
    };
    if (node != NULL) {
        entry->base = node->entry.base;
        entry->base_path = node->entry.base_path;
    } else if (!object->opaque) {
        const struct txfs_touch *first = tx_map_get(&view->seen, object->real,
                                                    strlen(object->real));
        entry->base = first != NULL ? first->identity : object->found;
        entry->base_path = strcmp(object->real, path) != 0 ? object->real : NULL;
    }
}

void txfs_change_meet(const struct txfs_view *view, const char *path,
                      const struct txfs_object *object, struct txfs_entry *entry)
{
    txfs_change_start(view, path, object, TXFS_CHANGE_ATTRIBUTES, entry);
    entry->source = entry->base;
}

void txfs_change_amend(const struct txfs_view *view, const struct txfs_object *object,
                       struct txfs_entry *entry)
{
    if (object->node != NULL) {
        *entry = txfs_node_entry(view, object->node);
    } else {
        txfs_change_meet(view, object->path, object, entry);
    }
    entry->flags |= TXFS_ENTRY_SAME;
}

/* What is changed under one name while another name's entry speaks for the file, is changed under
 * this one too: an entry that says no more than that the transaction met it here. */
static enum tx_status add_name(struct txfs_view *view, const char *path,
                               const struct txfs_object *object, struct tx_error *err)
{
    struct txfs_entry entry;
    bool entered = txfs_view_node(view, path) != NULL;
    /* MUTANT_127: only the name that speaks for a file counts as changed. */
    if (strcmp(path, object->path) == 0 || entered || TX_MUTANT(127)) {
        return TX_OK;
    }
    txfs_change_meet(view, path, object, &entry);
    entry.flags |= TXFS_ENTRY_SAME;
    return txfs_view_add(view, &entry, err);
}

enum tx_status txfs_change_add(struct txfs_view *view, const char *path,
                               const struct txfs_object *object, const struct txfs_entry *entry,
                               struct tx_error *err)
{
    size_t begun = view->consumed;
    enum tx_status status = txfs_view_add(view, entry, err);
    if (status == TX_OK) {
        status = add_name(view, path, object, err);
    }
    return txfs_view_end_change(view, begun, status);
}

void txfs_change_new_attr(const struct txfs_view *view, const struct txfs_dir_ref *parent,
                          uint32_t mode, struct txfs_entry *entry)
{
    struct txio *io = view->fs->io;
    bool inherit = (parent->mode & S_ISGID) != 0;
    entry->mask = TXFS_SETS_OWNER | TXFS_SETS_MODE | TXFS_SETS_TIMES | TXFS_SETS_XATTRS;
    entry->mode = mode;
    if (inherit && entry->kind == TXFS_CHANGE_DIRECTORY) {
        entry->mode |= S_ISGID;
    }
    entry->uid = view->uid;
    entry->gid = inherit ? parent->gid : view->gid;
    entry->mtime_ns = io->ops->realtime_ns(io);
    entry->atime_ns = TXFS_KEEP_TIME;
}

/* Real path of the tree's object that an entry says more about, or moves. */
static const char *entry_real(const struct txfs_entry *entry)
{
    if (entry->kind == TXFS_CHANGE_MOVED) {
        return entry->target;
    }
    return entry->base_path != NULL ? entry->base_path : entry->path;
}

static bool is_of_tree(const struct txfs_entry *entry)
{
    return entry->kind == TXFS_CHANGE_MOVED || entry->kind == TXFS_CHANGE_ATTRIBUTES ||
           entry->kind == TXFS_CHANGE_EXTENTS;
}

enum tx_status txfs_change_place(struct txfs_view *view, const struct txfs_entry *entry,
                                 const char *path, struct tx_error *err)
{
    struct txfs_object there = {.opaque = true};
    struct txfs_entry start;
    struct txfs_entry placed = *entry;
    if (txfs_view_node(view, path) == NULL) {
        TX_TRY(txfs_lookup(view, path, &there, err));
    }
    txfs_change_start(view, path, &there, TXFS_CHANGE_ABSENT, &start);
    placed.path = path;
    placed.flags = 0;
    placed.base = start.base;
    placed.base_path = start.base_path;
    if (is_of_tree(entry)) {
        const char *real = entry_real(entry);
        bool back = start.base.existed && strcmp(real, entry_real(&start)) == 0;
        placed.target = back ? NULL : real;
        placed.kind = !back                                      ? TXFS_CHANGE_MOVED
                      : entry->payload == TXFS_PAYLOAD_EXTENTS ? TXFS_CHANGE_EXTENTS
                                                                 : TXFS_CHANGE_ATTRIBUTES;
    }
    return txfs_view_add(view, &placed, err);
}

enum tx_status txfs_change_absent(struct txfs_view *view, const char *path, struct tx_error *err)
{
    struct txfs_object there = {.opaque = true};
    struct txfs_entry entry;
    if (txfs_view_node(view, path) == NULL) {
        TX_TRY(txfs_lookup(view, path, &there, err));
    }
    txfs_change_start(view, path, &there, TXFS_CHANGE_ABSENT, &entry);
    return txfs_view_add(view, &entry, err);
}

/* What leaves with the name `path`: the object with its amendments, unless those are kept by
 * another name of its inode. */
static void describe_leaving(const struct txfs_view *view, const struct txfs_object *object,
                             const char *path, struct txfs_entry *entry)
{
    if (object->kind == TXFS_OBJECT_BASE && strcmp(object->path, path) != 0) {
        txfs_change_start(view, path, object, TXFS_CHANGE_ATTRIBUTES, entry);
        entry->base = object->found;
        entry->base_path = object->real;
        entry->source = object->found;
        return;
    }
    txfs_change_amend(view, object, entry);
}

/* Make the links to `from` links to `to`. */
static enum tx_status point_links(struct txfs_view *view, const char *from, const char *to,
                                  struct tx_error *err)
{
    const char *path;
    while ((path = txfs_index_link(view, from, NULL)) != NULL) {
        struct txfs_entry entry = txfs_node_entry(view, txfs_view_node(view, path));
        entry.target = to;
        entry.flags = 0;
        TX_TRY(txfs_view_add(view, &entry, err));
    }
    return TX_OK;
}

/* Links to the path exist: the first of them becomes the object's home. */
static enum tx_status hand_to_link(struct txfs_view *view, const struct txfs_object *object,
                                   const char *path, const char *heir, struct tx_error *err)
{
    char home[TXFS_PATH_MAX + 1];
    struct txfs_entry entry;
    txfs_path_copy(heir, home);
    describe_leaving(view, object, path, &entry);
    TX_TRY(txfs_change_place(view, &entry, home, err));
    txfs_files_moved(view, path, home);
    return point_links(view, path, home, err);
}

/* Amendments of an inode with further names in the tree go to one of those the transaction met. */
static enum tx_status hand_to_name(struct txfs_view *view, const struct txfs_object *object,
                                   const char *path, struct tx_error *err)
{
    const struct txfs_inode *inode = txfs_index_inode(view, object->found.ino);
    struct tx_map_entry name;
    if (inode == NULL) {
        return TX_OK;
    }
    bool any = tx_map_at_or_after(&inode->names, NULL, 0, &name);
    for (; any; any = tx_map_after(&inode->names, name.key, name.key_size, &name)) {
        struct txfs_object other;
        const char *heir = name.key;
        const struct txfs_node *node = txfs_view_node(view, heir);
        bool linked = node != NULL && node->entry.kind == TXFS_CHANGE_LINK;
        if (strcmp(heir, path) == 0 || linked) {
            continue;
        }
        TX_TRY(txfs_lookup(view, heir, &other, err));
        if (other.kind == TXFS_OBJECT_BASE && other.found.ino == object->found.ino) {
            struct txfs_entry entry = txfs_node_entry(view, object->node);
            entry.kind = TXFS_CHANGE_ATTRIBUTES;
            entry.base = other.found;
            entry.base_path = other.real;
            entry.source = other.found;
            entry.target = NULL;
            return txfs_change_place(view, &entry, heir, err);
        }
    }
    return TX_OK;
}

enum tx_status txfs_hand_over(struct txfs_view *view, const struct txfs_object *object,
                              const char *path, struct tx_error *err)
{
    const struct txfs_node *node = txfs_view_node(view, path);
    if (node != NULL && node->entry.kind == TXFS_CHANGE_LINK) {
        txfs_files_moved(view, path, node->entry.target);
        return TX_OK; /* only a name goes */
    }
    const char *heir = txfs_index_link(view, path, NULL);
    if (heir != NULL) {
        return hand_to_link(view, object, path, heir, err);
    }
    bool amended = object->kind == TXFS_OBJECT_BASE && object->node != NULL &&
                   strcmp(object->path, path) == 0;
    if (amended && object->found.nlink > 1 && S_ISREG(object->found.mode)) {
        return hand_to_name(view, object, path, err);
    }
    return TX_OK;
}
