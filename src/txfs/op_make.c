/* SPDX-License-Identifier: MIT */
/* New objects that are not files with content: directories, links, nodes. */
#include <string.h>
#include <sys/stat.h>

#include "txfs/overlay.h"

/* What every call that makes a name begins with: nothing may stand there yet. */
struct new_name {
    struct txfs_view *view;
    char path[TXFS_PATH_MAX + 1];
    const struct txfs_dir_ref *parent;
    struct txfs_object object; /* absent; says what shows through */
};

static enum tx_status find_new_name(struct ktm_txn *txn, const char *path, struct new_name *made,
                                    struct tx_error *err)
{
    TX_TRY(txfs_view_of(txn, &made->view, err));
    TX_TRY(txfs_resolve(made->view, path, TXFS_LAST_IS_KEPT, made->path, &made->parent, err));
    if (made->path[0] == '\0') {
        return txfs_refuse(err, TX_EEXIST, path, "is the root");
    }
    TX_TRY(txfs_lookup(made->view, made->path, &made->object, err));
    if (made->object.kind != TXFS_OBJECT_ABSENT) {
        return txfs_refuse(err, TX_EEXIST, made->path, "exists already");
    }
    return TX_OK;
}

static enum tx_status add_new(const struct new_name *made, enum txfs_change_kind kind,
                              uint32_t mode, uint64_t rdev, const char *target,
                              struct tx_error *err)
{
    struct txfs_entry entry;
    txfs_change_start(made->view, made->path, &made->object, kind, &entry);
    txfs_change_new_attr(made->view, made->parent, mode, &entry);
    entry.target = target;
    entry.rdev = rdev;
    return txfs_view_add(made->view, &entry, err);
}

enum tx_status txfs_mkdir(struct ktm_txn *txn, const char *path, uint32_t mode,
                          struct tx_error *err)
{
    struct new_name made;
    if ((mode & ~07777u) != 0) {
        return tx_error_set(err, TX_EINVAL, "mode %o", mode);
    }
    TX_TRY(find_new_name(txn, path, &made, err));
    return add_new(&made, TXFS_CHANGE_DIRECTORY, mode, 0, NULL, err);
}

enum tx_status txfs_mkdir_parents(struct ktm_txn *txn, const char *path, uint32_t mode,
                                  struct tx_error *err)
{
    struct txfs_view *view;
    char clean[TXFS_PATH_MAX + 1];
    TX_TRY(txfs_view_of(txn, &view, err));
    TX_TRY(txfs_path_clean(view->fs, path, clean, err));
    for (size_t size = 0; size < strlen(clean);) {
        struct txfs_object object;
        char canonical[TXFS_PATH_MAX + 1];
        size += size > 0; /* past the '/' */
        size += strcspn(clean + size, "/");
        char rest = clean[size];
        clean[size] = '\0';
        TX_TRY(txfs_resolve(view, clean, TXFS_LAST_IS_FOLLOWED, canonical, NULL, err));
        TX_TRY(txfs_lookup(view, canonical, &object, err));
        if (object.kind == TXFS_OBJECT_ABSENT) {
            TX_TRY(txfs_mkdir(txn, clean, mode, err)); /* not through a link that dangles */
        } else if (!S_ISDIR(object.stat.mode)) {
            return txfs_refuse(err, TX_ENOTDIR, clean, "not a directory");
        }
        clean[size] = rest;
    }
    return TX_OK;
}

enum tx_status txfs_symlink(struct ktm_txn *txn, const char *target, const char *path,
                            struct tx_error *err)
{
    struct new_name made;
    size_t size = target != NULL ? strlen(target) : 0;
    if (size == 0) {
        return tx_error_set(err, TX_EINVAL, "an empty symbolic link");
    }
    if (size > TXFS_PATH_MAX) {
        return tx_error_set(err, TX_ELIMIT, "a symbolic link of %zu bytes, more than %d", size,
                            TXFS_PATH_MAX);
    }
    TX_TRY(find_new_name(txn, path, &made, err));
    return add_new(&made, TXFS_CHANGE_SYMLINK, 0777, 0, target, err);
}

enum tx_status txfs_add_node(struct ktm_txn *txn, const char *path, uint32_t mode, uint64_t rdev,
                             struct tx_error *err)
{
    struct new_name made;
    if (!S_ISFIFO(mode) && !S_ISCHR(mode) && !S_ISBLK(mode)) {
        return tx_error_set(err, TX_ENOTSUP, "a node of type %o", mode & S_IFMT);
    }
    TX_TRY(find_new_name(txn, path, &made, err));
    return add_new(&made, TXFS_CHANGE_NODE, mode, S_ISFIFO(mode) ? 0 : rdev, NULL, err);
}

/* The path that a link to `existing` has to name: never that of a link entry. */
static enum tx_status link_target(struct txfs_view *view, const char *existing,
                                  char target[TXFS_PATH_MAX + 1], struct txfs_object *object,
                                  struct tx_error *err)
{
    TX_TRY(txfs_resolve(view, existing, TXFS_LAST_IS_KEPT, target, NULL, err));
    TX_TRY(txfs_lookup_there(view, target, object, err));
    if (S_ISDIR(object->stat.mode)) {
        return txfs_refuse(err, TX_EISDIR, target, "is a directory; only files have several names");
    }
    if (view->uid != 0 && object->stat.uid != view->uid) {
        return txfs_refuse(err, TX_EPERM, target, "belongs to another user; no link is made to it");
    }
    const struct txfs_node *node = txfs_view_node(view, target);
    if (node != NULL && node->entry.kind == TXFS_CHANGE_LINK) {
        txfs_path_copy(node->entry.target, target);
    }
    return TX_OK;
}

enum tx_status txfs_link(struct ktm_txn *txn, const char *existing, const char *path,
                         struct tx_error *err)
{
    struct new_name made;
    struct txfs_object object;
    struct txfs_entry entry;
    char target[TXFS_PATH_MAX + 1];
    TX_TRY(txfs_view_of(txn, &made.view, err));
    TX_TRY(link_target(made.view, existing, target, &object, err));
    TX_TRY(find_new_name(txn, path, &made, err));
    txfs_change_start(made.view, made.path, &made.object, TXFS_CHANGE_LINK, &entry);
    entry.target = target;
    if (object.kind == TXFS_OBJECT_BASE) {
        entry.source = object.found;
    }
    return txfs_view_add(made.view, &entry, err);
}
