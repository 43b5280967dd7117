/* SPDX-License-Identifier: MIT */
/* Finding a store's directories, and deciding whether this user may trust them. */
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/mutant.h"
#include "store/store_internal.h"

static char *path_join(const char *directory, const char *name)
{
    size_t size = strlen(directory) + strlen(name) + 2;
    char *path = tx_alloc(size);
    if (path) {
        (void)snprintf(path, size, "%s/%s", directory, name);
    }
    return path;
}

/*
 * A store belongs to one user. Root working on somebody else's store would carry out, with root's
 * rights, whatever its owner wrote into the log; so nobody opens a foreign store, root included.
 */
static enum tx_status store_owner_check(struct txstore *store, struct tx_error *err)
{
    struct txio_stat stat;
    uint32_t uid = 0;
    uint32_t gid = 0;
    TX_TRY(txio_stat_fd(store->io, store->dir, &stat, err));
    int result = store->io->ops->user_id(store->io, &uid, &gid);
    if (result < 0) {
        return tx_error_os(err, -result, "ask for the user id");
    }
    if (stat.uid != uid && !(TX_MUTANT(40) && uid == 0)) { /* root does as a user's store says */
        return tx_error_set(err, TX_EPERM, "\"%s\" belongs to user %u; run as that user",
                            store->path, stat.uid);
    }
    if ((stat.mode & (S_IWGRP | S_IWOTH)) != 0) {
        return tx_error_set(err, TX_EPERM, "\"%s\" is writable for others; try: chmod 0700 \"%s\"",
                            store->path, store->path);
    }
    return TX_OK;
}

const char *txstore_name_in_root(const struct txstore *store)
{
    size_t length = strlen(store->root);
    while (length > 1 && store->root[length - 1] == '/') {
        length--;
    }
    if (strncmp(store->path, store->root, length) != 0 || store->path[length] != '/') {
        return NULL;
    }
    const char *name = store->path + length;
    name += strspn(name, "/");
    return *name != '\0' && strchr(name, '/') == NULL ? name : NULL;
}

enum tx_status txstore_locate(struct txstore *store, const char *root, const char *store_path,
                              struct tx_error *err)
{
    store->root = tx_text_copy(root);
    store->path = store_path ? tx_text_copy(store_path) : path_join(root, TXSTORE_NAME);
    if (!store->root || !store->path) {
        return tx_error_set(err, TX_ENOMEM, "out of memory");
    }
    TX_TRY(txio_open(store->io, TXIO_CWD, root, TXIO_READ | TXIO_DIRECTORY, 0, &store->root_dir,
                     err));
    const char *name = txstore_name_in_root(store);
    enum tx_status status =
        name ? txio_open(store->io, store->root_dir, name, TXIO_READ | TXIO_DIRECTORY, 0,
                         &store->dir, err)
             : txio_open(store->io, TXIO_CWD, store->path, TXIO_READ | TXIO_DIRECTORY, 0,
                         &store->dir, err);
    if (status == TX_ENOTFOUND) {
        return tx_error_set(err, TX_ENOTFOUND, "no store at \"%s\"; try: txctl init \"%s\"",
                            store->path, root);
    }
    return status == TX_OK ? store_owner_check(store, err) : status;
}

enum tx_status txstore_find(struct txio *io, const char *from, char *root, size_t root_size,
                            struct tx_error *err)
{
    size_t length = strlen(from);
    if (length == 0 || from[0] != '/' || length + sizeof "/" TXSTORE_NAME > root_size) {
        return tx_error_set(err, TX_EINVAL, "\"%s\": not an absolute path of usual length", from);
    }
    memcpy(root, from, length + 1);
    if (!io) {
        io = txio_posix();
    }
    for (;;) {
        struct txio_stat stat;
        memcpy(root + length, "/" TXSTORE_NAME, sizeof "/" TXSTORE_NAME);
        int result = io->ops->stat(io, TXIO_CWD, root, &stat);
        root[length > 0 ? length : 1] = '\0';
        if (result >= 0 && S_ISDIR(stat.mode)) {
            return TX_OK;
        }
        if (length == 0) {
            return tx_error_set(err, TX_ENOTFOUND,
                                "no store at or above \"%s\"; try: txctl init", from);
        }
        do {
            length--;
        } while (length > 0 && root[length] != '/');
    }
}
