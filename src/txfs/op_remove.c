/* SPDX-License-Identifier: MIT */
/* Names that go. Every object below a removed tree gets its own entry, so that a change by others
 * to any of them is found by its identity; the directory's entry then voids those below it. */
#include <string.h>
#include <sys/stat.h>

#include "txfs/open_file.h"

static enum tx_status find_there(struct ktm_txn *txn, const char *path, struct txfs_view **view,
                                 char canonical[TXFS_PATH_MAX + 1], struct txfs_object *object,
                                 struct tx_error *err)
{
    TX_TRY(txfs_view_of(txn, view, err));
    TX_TRY(txfs_resolve(*view, path, TXFS_LAST_IS_KEPT, canonical, NULL, err));
    if (canonical[0] == '\0') {
        return txfs_refuse(err, TX_EINVAL, path, "is the root");
    }
    return txfs_lookup_there(*view, canonical, object, err);
}

/* Take the name away, whatever it names. */
static enum tx_status remove_name(struct txfs_view *view, const char *path,
                                  const struct txfs_object *object, struct tx_error *err)
{
    TX_TRY(txfs_hand_over(view, object, path, err));
    txfs_files_gone(view, path);
    return txfs_change_absent(view, path, err);
}

static enum tx_status remove_one(struct txfs_view *view, const char *path,
                                 const struct txfs_object *object, struct tx_error *err)
{
    size_t begun = view->consumed;
    return txfs_view_end_change(view, begun, remove_name(view, path, object, err));
}

enum tx_status txfs_unlink(struct ktm_txn *txn, const char *path, struct tx_error *err)
{
    char canonical[TXFS_PATH_MAX + 1];
    struct txfs_object object;
    struct txfs_view *view;
    TX_TRY(find_there(txn, path, &view, canonical, &object, err));
    if (S_ISDIR(object.stat.mode)) {
        return txfs_refuse(err, TX_EISDIR, canonical, "is a directory");
    }
    return remove_one(view, canonical, &object, err);
}

enum tx_status txfs_rmdir(struct ktm_txn *txn, const char *path, struct tx_error *err)
{
    char canonical[TXFS_PATH_MAX + 1];
    struct txfs_object object;
    struct txfs_view *view;
    TX_TRY(find_there(txn, path, &view, canonical, &object, err));
    if (!S_ISDIR(object.stat.mode)) {
        return txfs_refuse(err, TX_ENOTDIR, canonical, "not a directory");
    }
    TX_TRY(txfs_require_empty(view, canonical, err));
    return remove_one(view, canonical, &object, err);
}

/* A path that is to go; the list is in the order found, parents first. */
struct doomed {
    struct doomed *before;
    struct doomed *after;
    char path[];
};

static enum tx_status doom(struct doomed **last, const char *path, struct tx_error *err)
{
    size_t size = strlen(path) + 1;
    struct doomed *item = tx_alloc(sizeof *item + size);
    if (item == NULL) {
        return tx_error_set(err, TX_ENOMEM, "no memory for a path");
    }
    memcpy(item->path, path, size);
    item->before = *last;
    item->after = NULL;
    if (*last != NULL) {
        (*last)->after = item;
    }
    *last = item;
    return TX_OK;
}

static enum tx_status doom_children(struct ktm_txn *txn, const struct doomed *parent,
                                    struct doomed **last, struct tx_error *err)
{
    struct txfs_dir *dir;
    const char *name;
    unsigned type;
    char path[TXFS_PATH_MAX + 1];
    TX_TRY(txfs_dir_open(txn, parent->path, &dir, err));
    enum tx_status status = TX_OK;
    while (status == TX_OK && txfs_dir_next(dir, &name, &type)) {
        status = txfs_path_join(parent->path, strlen(parent->path), name, path, err);
        if (status == TX_OK) {
            status = doom(last, path, err);
        }
    }
    txfs_dir_close(dir);
    return status;
}

/* List everything below the first item behind it. */
static enum tx_status doom_tree(struct ktm_txn *txn, struct txfs_view *view, struct doomed *first,
                                struct doomed **last, struct tx_error *err)
{
    struct txfs_object object;
    for (struct doomed *item = first; item != NULL; item = item->after) {
        TX_TRY(txfs_lookup_there(view, item->path, &object, err));
        if (S_ISDIR(object.stat.mode)) {
            TX_TRY(doom_children(txn, item, last, err));
        }
    }
    return TX_OK;
}

enum tx_status txfs_remove_tree(struct ktm_txn *txn, const char *path, struct tx_error *err)
{
    char canonical[TXFS_PATH_MAX + 1];
    struct txfs_object object;
    struct txfs_view *view;
    struct doomed *last = NULL;
    TX_TRY(find_there(txn, path, &view, canonical, &object, err));
    enum tx_status status = doom(&last, canonical, err);
    if (status == TX_OK) {
        status = doom_tree(txn, view, last, &last, err);
    }
    size_t begun = view->consumed;
    while (last != NULL) {
        struct doomed *item = last;
        last = item->before;
        if (status == TX_OK) {
            status = txfs_lookup_there(view, item->path, &object, err);
        }
        if (status == TX_OK) {
            status = remove_name(view, item->path, &object, err);
        }
        tx_free(item);
    }
    return txfs_view_end_change(view, begun, status);
}
