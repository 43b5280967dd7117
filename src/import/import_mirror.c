/* SPDX-License-Identifier: MIT */
/* Removing what the source does not have. */
#include <dirent.h>
#include <string.h>

#include "import/import_internal.h"

struct mirror_name {
    struct mirror_name *next;
    unsigned type;
    char path[];
};

/* The listing is read whole before anything below it is removed. */
static enum tx_status mirror_list(struct import_sink *sink, const char *directory,
                                  struct mirror_name **names, struct tx_error *err)
{
    struct txfs_dir *dir = NULL;
    const char *name;
    unsigned type;
    size_t length = strlen(directory);
    TX_TRY(txfs_dir_open(sink->txn, directory, &dir, err));
    enum tx_status status = TX_OK;
    while (status == TX_OK && txfs_dir_next(dir, &name, &type)) {
        struct mirror_name *item = tx_alloc(sizeof *item + length + strlen(name) + 2);
        if (!item) {
            status = tx_error_set(err, TX_ENOMEM, "out of memory");
            break;
        }
        memcpy(item->path, directory, length);
        item->path[length] = '/';
        memcpy(item->path + length + (length > 0), name, strlen(name) + 1);
        item->type = type;
        item->next = *names;
        *names = item;
    }
    txfs_dir_close(dir);
    return status;
}

static enum tx_status mirror_remove(struct import_sink *sink, const struct mirror_name *item,
                                    struct tx_error *err)
{
    sink->counts.removed++;
    import_touch_parent(sink, item->path);
    return item->type == DT_DIR ? txfs_remove_tree(sink->txn, item->path, err)
                                : txfs_unlink(sink->txn, item->path, err);
}

static enum tx_status mirror_directory(struct import_sink *sink, const char *directory, int depth,
                                       struct tx_error *err)
{
    struct mirror_name *names = NULL;
    if (depth > IMPORT_DEPTH_MAX) {
        return tx_error_set(err, TX_ELIMIT, "\"%s\": more than %d levels deep", directory,
                            IMPORT_DEPTH_MAX);
    }
    enum tx_status status = mirror_list(sink, directory, &names, err);
    while (names) {
        struct mirror_name *item = names;
        names = item->next;
        if (status == TX_OK) {
            bool seen = tx_map_get(&sink->seen, item->path, strlen(item->path)) != NULL;
            if (!seen) {
                status = mirror_remove(sink, item, err);
            } else if (item->type == DT_DIR) {
                status = mirror_directory(sink, item->path, depth + 1, err);
            }
        }
        tx_free(item);
    }
    return status;
}

enum tx_status import_mirror(struct import_sink *sink, struct tx_error *err)
{
    return mirror_directory(sink, sink->prefix, 0, err);
}
