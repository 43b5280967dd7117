/* SPDX-License-Identifier: MIT */
/* What a path means in the view: an object of the transaction, one of the tree, or nothing. */
#include <string.h>
#include <sys/stat.h>

#include "base/mutant.h"
#include "txfs/overlay.h"

const char *txfs_node_real(const struct txfs_node *node)
{
    const struct txfs_entry *entry = &node->entry;
    if (entry->kind == TXFS_CHANGE_MOVED) {
        return entry->target;
    }
    if (entry->kind == TXFS_CHANGE_ATTRIBUTES || entry->kind == TXFS_CHANGE_EXTENTS) {
        return entry->base_path != NULL ? entry->base_path : entry->path;
    }
    return NULL;
}

enum tx_status txfs_shows_through(const struct txfs_view *view, const char *path, bool *opaque,
                                  char real[TXFS_PATH_MAX + 1], struct tx_error *err)
{
    size_t size = view->nodes.count > 0 ? txfs_path_parent_size(path) : 0;
    *opaque = false;
    while (size > 0) {
        const struct txfs_node *node = tx_map_get(&view->nodes, path, size);
        if (node != NULL) {
            const char *above = txfs_node_real(node);
            *opaque = above == NULL;
            return *opaque ? TX_OK
                           : txfs_path_join(above, strlen(above), path + size + 1, real, err);
        }
        while (size > 0 && path[--size] != '/') {
        }
    }
    memcpy(real, path, strlen(path) + 1);
    return TX_OK;
}

/* Attributes as an entry says them, over what is there. */
static void lay_entry(const struct txfs_entry *entry, struct txio_stat *stat)
{
    if (entry->mask & TXFS_SETS_OWNER) {
        stat->uid = entry->uid;
        stat->gid = entry->gid;
    }
    if (entry->mask & TXFS_SETS_MODE) {
        stat->mode = (stat->mode & ~07777u) | (entry->mode & 07777);
    }
    if (entry->mask & TXFS_SETS_TIMES) {
        if (entry->mtime_ns != TXFS_KEEP_TIME) {
            stat->mtime_ns = entry->mtime_ns;
        }
        if (entry->atime_ns != TXFS_KEEP_TIME) {
            stat->atime_ns = entry->atime_ns;
        }
    }
    if (entry->payload != TXFS_PAYLOAD_NONE) {
        stat->size = entry->size;
    }
}

static void own_stat(const struct txfs_view *view, const struct txfs_entry *entry,
                     struct txio_stat *stat)
{
    static const uint32_t types[] = {[TXFS_CHANGE_FILE] = S_IFREG,
                                     [TXFS_CHANGE_DIRECTORY] = S_IFDIR,
                                     [TXFS_CHANGE_SYMLINK] = S_IFLNK};
    uint32_t type = entry->kind == TXFS_CHANGE_NODE ? entry->mode & S_IFMT : types[entry->kind];
    *stat = (struct txio_stat){
        .dev = view->fs->root_dev,
        .rdev = entry->rdev,
        .mode = type,
        .nlink = entry->kind == TXFS_CHANGE_DIRECTORY ? 2 : 1,
        .atime_ns = entry->mtime_ns,
        .ctime_ns = entry->mtime_ns,
    };
    if (entry->kind == TXFS_CHANGE_SYMLINK) {
        stat->size = strlen(entry->target);
    }
    lay_entry(entry, stat);
    stat->allocated = stat->size;
}

/* A file of the tree with several names may be amended by way of another one of them. */
static enum tx_status join_names(struct txfs_view *view, const char *path,
                                 struct txfs_object *object, struct tx_error *err)
{
    bool elsewhere =
        object->stat.dev != view->fs->root_dev; /* not ours to amend: prepare says so */
    if (object->found.nlink <= 1 || !S_ISREG(object->found.mode) || elsewhere) {
        return TX_OK;
    }
    TX_TRY(txfs_index_name(view, &object->found, path, err));
    const struct txfs_inode *inode = txfs_index_inode(view, object->found.ino);
    if (inode->amended != NULL && !TX_MUTANT(34)) { /* MUTANT_34: one name keeps the old content */
        object->node = txfs_view_node(view, inode->amended);
        txfs_path_copy(inode->amended, object->path);
    }
    return TX_OK;
}

static enum tx_status find_base(struct txfs_view *view, const char *path,
                                struct txfs_object *object, struct tx_error *err)
{
    bool existed;
    TX_TRY(txfs_base_visit(view, object->real, &existed, &object->stat, NULL, NULL, err));
    if (!existed) {
        object->found = (struct txfs_identity){0};
        return object->node == NULL
                   ? TX_OK
                   : txfs_refuse(err, TX_ECONFLICT, object->real,
                                 "removed by another program since the transaction touched it");
    }
    object->kind = TXFS_OBJECT_BASE;
    object->found = txfs_identity_of(&object->stat);
    TX_TRY(join_names(view, path, object, err));
    if (object->node != NULL) {
        lay_entry(&object->node->entry, &object->stat);
    }
    return TX_OK;
}

/* With KTM_SERIALIZABLE what was looked at is validated too. */
static enum tx_status note_read(struct txfs_view *view, const struct txfs_object *object,
                                struct tx_error *err)
{
    if (object->real[0] == '\0' || !ktm_txn_is_serializable(view->txn)) {
        return TX_OK;
    }
    return txfs_touch(&view->reads, object->real, &object->found, err);
}

/* Look up a path that has no link entry. */
static enum tx_status look(struct txfs_view *view, const char *path, struct txfs_object *object,
                           struct tx_error *err)
{
    const struct txfs_node *node = txfs_view_node(view, path);
    const char *named = node != NULL ? txfs_node_real(node) : NULL;
    object->kind = TXFS_OBJECT_ABSENT;
    object->node = node;
    object->opaque = node != NULL && named == NULL;
    object->real[0] = '\0';
    object->found = (struct txfs_identity){0};
    txfs_path_copy(path, object->path);
    if (object->opaque) {
        if (node->entry.kind != TXFS_CHANGE_ABSENT) {
            object->kind = TXFS_OBJECT_OWN;
            own_stat(view, &node->entry, &object->stat);
        }
        return TX_OK;
    }
    if (named != NULL) {
        txfs_path_copy(named, object->real);
    } else {
        TX_TRY(txfs_shows_through(view, path, &object->opaque, object->real, err));
        if (object->opaque) {
            return TX_OK;
        }
    }
    if (txfs_path_is_store(view->fs, object->real)) {
        return TX_OK; /* never shows, however the path came to lead there */
    }
    TX_TRY(find_base(view, path, object, err));
    return note_read(view, object, err);
}

enum tx_status txfs_lookup(struct txfs_view *view, const char *path, struct txfs_object *object,
                           struct tx_error *err)
{
    const struct txfs_node *node = txfs_view_node(view, path);
    if (node != NULL && node->entry.kind == TXFS_CHANGE_LINK) {
        path = node->entry.target;
    }
    TX_TRY(look(view, path, object, err));
    if (object->kind != TXFS_OBJECT_ABSENT) {
        object->stat.nlink += txfs_index_link_count(view, object->path);
    }
    return TX_OK;
}

enum tx_status txfs_lookup_there(struct txfs_view *view, const char *path,
                                 struct txfs_object *object, struct tx_error *err)
{
    TX_TRY(txfs_lookup(view, path, object, err));
    if (object->kind == TXFS_OBJECT_ABSENT) {
        return txfs_refuse(err, TX_ENOTFOUND, path, "no such file or directory");
    }
    return TX_OK;
}
