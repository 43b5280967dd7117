/* SPDX-License-Identifier: MIT */
/*
 * Making a store. Everything is built in a directory with a temporary name, synced, and renamed:
 * a crash leaves a store or none, and at worst a temporary directory that the next init removes.
 */
#include <errno.h>
#include <string.h>

#include "store/store_internal.h"

#define TEMPORARY_SUFFIX ".new"

struct init_place {
    struct txio *io;
    int parent; /* directory that will hold the store */
    int dir;    /* the store being built */
    char name[TXFS_NAME_MAX + 1];
    char temporary[TXFS_NAME_MAX + 1];
};

static void init_place_auto(struct init_place *place)
{
    /* Closing directories that were only read from cannot lose anything. */
    if (place->dir >= 0) {
        (void)place->io->ops->close(place->io, place->dir);
    }
    if (place->parent >= 0) {
        (void)place->io->ops->close(place->io, place->parent);
    }
}

static enum tx_status init_split(const char *root, const char *store_path,
                                 struct init_place *place, struct tx_error *err)
{
    TX_AUTO(tx_buf) parent = TX_BUF_INIT;
    const char *slash = store_path ? strrchr(store_path, '/') : NULL;
    const char *name = slash ? slash + 1 : store_path ? store_path : TXSTORE_NAME;
    size_t length = strlen(name);
    if (length == 0 || length + sizeof TEMPORARY_SUFFIX > sizeof place->name) {
        return tx_error_set(err, TX_EINVAL, "\"%s\": no name for a store", store_path);
    }
    memcpy(place->name, name, length + 1);
    memcpy(place->temporary, name, length);
    memcpy(place->temporary + length, TEMPORARY_SUFFIX, sizeof TEMPORARY_SUFFIX);
    const char *from = store_path ? "." : root;
    size_t size = strlen(from);
    if (slash) {
        from = store_path;
        size = slash > store_path ? (size_t)(slash - store_path) : 1;
    }
    uint8_t *at;
    TX_TRY(tx_buf_extend(&parent, size + 1, &at, err));
    memcpy(at, from, size);
    return txio_open(place->io, TXIO_CWD, (const char *)parent.data, TXIO_READ | TXIO_DIRECTORY, 0,
                     &place->parent, err);
}

static enum tx_status init_absent(const struct init_place *place, const char *root,
                                  struct tx_error *err)
{
    struct txio_stat stat;
    int result = place->io->ops->stat(place->io, place->parent, place->name, &stat);
    if (result >= 0) {
        return tx_error_set(err, TX_EEXIST, "\"%s\" has a store already", root);
    }
    return result == -ENOENT ? TX_OK : tx_error_os(err, -result, "look for \"%s\"",
                                                           place->name);
}

static enum tx_status init_build(struct init_place *place, const struct txstore_settings *settings,
                                 struct tx_error *err)
{
    struct txio *io = place->io;
    struct txlog_identity identity;
    struct txstore_settings full;
    static const char *const folders[] = {"tx", "undo"}; /* log and registry make their own */
    TX_TRY(txio_mkdir(io, place->parent, place->temporary, 0700, err));
    TX_TRY(txio_open(io, place->parent, place->temporary, TXIO_READ | TXIO_DIRECTORY, 0,
                     &place->dir, err));
    for (size_t i = 0; i < sizeof folders / sizeof *folders; i++) {
        TX_TRY(txio_mkdir(io, place->dir, folders[i], 0700, err));
    }
    TX_TRY(txstore_settings_save(io, place->dir, settings, err));
    TX_TRY(txstore_settings_load(io, place->dir, &full, err));
    struct txlog_settings log = {full.log_segment_size, full.log_size_max};
    TX_TRY(txlog_create(io, place->dir, &log, &identity, err));
    TX_TRY(txreg_image_create(io, place->dir, err));
    return txio_sync(io, place->dir, "the new store", err);
}

enum tx_status txstore_init(struct txio *io, const char *root, const char *store_path,
                            const struct txstore_settings *settings, struct tx_error *err)
{
    static const struct txstore_settings defaults = TXSTORE_SETTINGS_DEFAULT;
    TX_AUTO(init_place) place = {.io = io ? io : txio_posix(), .parent = -1, .dir = -1};
    int root_dir = -1;
    /* The root must be there, whatever the store's own place. */
    TX_TRY(txio_open(place.io, TXIO_CWD, root, TXIO_READ | TXIO_DIRECTORY, 0, &root_dir, err));
    (void)place.io->ops->close(place.io, root_dir);
    TX_TRY(init_split(root, store_path, &place, err));
    TX_TRY(init_absent(&place, root, err));
    TX_TRY(txio_remove_tree(place.io, place.parent, place.temporary, err));
    enum tx_status status = init_build(&place, settings ? settings : &defaults, err);
    if (status != TX_OK) {
        /* Best effort: the next init removes what is left. */
        TX_IGNORE(txio_remove_tree(place.io, place.parent, place.temporary, NULL));
        tx_error_prefix(err, "make a store for \"%s\"", root);
        return status;
    }
    /* Crash here: no store, and a temporary directory that the next init removes. */
    TX_TRY(txio_rename(place.io, place.parent, place.temporary, place.parent, place.name,
                       TXIO_NOREPLACE, err));
    /* Crash here: a whole store, or none. */
    return txio_sync(place.io, place.parent, root, err);
}
