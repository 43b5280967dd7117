/* SPDX-License-Identifier: MIT */
/*
 * Removing a tree of any depth with a bounded number of descriptors and no recursion: a stack of
 * open directories, each with a batch of names yet to remove. A directory deeper than the stack is
 * renamed up into the top one, where a later batch finds it; so no tree is too deep, and hostile
 * depth costs renames, not memory. Every step is one name in an open directory: nothing follows a
 * symbolic link, whatever others do to the tree meanwhile. A mount point stops it (EBUSY).
 */
#include <dirent.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "txio_internal.h"

enum { DEPTH_LIMIT = 32, BATCH_SIZE = 32768, HOIST_TRIES = 10000 };

/* `names`: per entry its type in one byte, then its name with NUL. */
struct level {
    int fd;
    struct tx_buf names;
    size_t at; /* how much of the names is done with */
};

struct txio_removal {
    struct txio *io;
    unsigned hoisted;
    int depth;
    struct level levels[DEPTH_LIMIT];
};

static void leave_level(struct txio_removal *removal)
{
    struct level *level = &removal->levels[--removal->depth];
    (void)removal->io->ops->close(removal->io, level->fd); /* read only */
    tx_buf_release(&level->names);
}

static void txio_removal_auto(struct txio_removal *removal)
{
    while (removal->depth > 0) {
        leave_level(removal);
    }
}

static enum tx_status enter_level(struct txio_removal *removal, int dir, const char *name,
                                  struct tx_error *err)
{
    int fd;
    TX_TRY(txio_open(removal->io, dir, name, TXIO_READ | TXIO_DIRECTORY, 0, &fd, err));
    removal->levels[removal->depth++] = (struct level){.fd = fd, .names = TX_BUF_INIT};
    return TX_OK;
}

struct batch {
    struct tx_buf *names;
    struct tx_error *err;
    enum tx_status status;
};

static int collect_name(void *arg, const char *name, uint64_t ino, unsigned type)
{
    (void)ino;
    struct batch *batch = arg;
    uint8_t *at;
    size_t size = strlen(name) + 1;
    batch->status = tx_buf_extend(batch->names, 1 + size, &at, batch->err);
    if (batch->status != TX_OK) {
        return -ENOMEM;
    }
    at[0] = (uint8_t)type;
    memcpy(at + 1, name, size);
    return batch->names->size >= BATCH_SIZE; /* the rest in a later batch */
}

static enum tx_status fill_level(struct txio_removal *removal, struct level *level,
                                 struct tx_error *err)
{
    tx_buf_clear(&level->names);
    level->at = 0;
    struct batch batch = {&level->names, err, TX_OK};
    int result = removal->io->ops->list(removal->io, level->fd, collect_name, &batch);
    if (batch.status != TX_OK) {
        return batch.status;
    }
    return result < 0 ? tx_error_os(err, -result, "list a directory") : TX_OK;
}

/* Rename a directory that is too deep into the top one, under a name that is free there. */
static enum tx_status hoist(struct txio_removal *removal, int dir, const char *name,
                            struct tx_error *err)
{
    struct txio *io = removal->io;
    int result = -EEXIST;
    for (int i = 0; i < HOIST_TRIES && result == -EEXIST; i++) {
        char target[32];
        (void)snprintf(target, sizeof(target), "deep-%u", removal->hoisted++); /* always fits */
        /* Crash here: the directory stands higher in the tree; the next removal finds it. */
        result = io->ops->rename(io, dir, name, removal->levels[0].fd, target, TXIO_NOREPLACE);
    }
    return result < 0 && result != -ENOENT ? txio_path_error(err, result, "rename", dir, name)
                                           : TX_OK;
}

static enum tx_status remove_directory(struct txio_removal *removal, int dir, const char *name,
                                       struct tx_error *err)
{
    /* Crash here: what is left of the tree; its owner removes it again. */
    int result = removal->io->ops->rmdir(removal->io, dir, name);
    if (result == 0 || result == -ENOENT) {
        return TX_OK;
    }
    if (result != -ENOTEMPTY && result != -EEXIST) { /* POSIX allows either */
        return txio_path_error(err, result, "remove directory", dir, name);
    }
    return removal->depth < DEPTH_LIMIT ? enter_level(removal, dir, name, err)
                                        : hoist(removal, dir, name, err);
}

/* Remove one entry, or enter it when it is a directory with something in it. The type is a hint:
 * somebody may have changed it since. */
static enum tx_status remove_entry(struct txio_removal *removal, int dir, const char *name,
                                   unsigned type, struct tx_error *err)
{
    if (type != DT_DIR) {
        /* Crash here: as in remove_directory. */
        int result = removal->io->ops->unlink(removal->io, dir, name);
        if (result == 0 || result == -ENOENT) {
            return TX_OK;
        }
        if (result != -EISDIR) {
            return txio_path_error(err, result, "unlink", dir, name);
        }
    }
    return remove_directory(removal, dir, name, err);
}

/* One step at the deepest level: its next name, or its next batch, or up. */
static enum tx_status step(struct txio_removal *removal, struct tx_error *err)
{
    struct level *level = &removal->levels[removal->depth - 1];
    if (level->at == level->names.size) {
        TX_TRY(fill_level(removal, level, err));
        if (level->names.size > 0) {
            return TX_OK;
        }
        leave_level(removal);
        return TX_OK;
    }
    const char *entry = (const char *)level->names.data + level->at;
    int depth = removal->depth;
    TX_TRY(remove_entry(removal, level->fd, entry + 1, (uint8_t)entry[0], err));
    if (removal->depth == depth) { /* else it is emptied first and then comes again */
        level->at += 1 + strlen(entry + 1) + 1;
    }
    return TX_OK;
}

enum tx_status txio_remove_tree(struct txio *io, int dir, const char *name, struct tx_error *err)
{
    TX_AUTO(txio_parent) parent = {.io = io};
    TX_AUTO(txio_removal) removal = {.io = io};
    enum tx_status status = txio_parent_open(&parent, io, dir, name, err);
    if (status == TX_ENOTFOUND) {
        return TX_OK;
    }
    TX_TRY(status);
    TX_TRY(remove_entry(&removal, parent.dir, parent.name, DT_UNKNOWN, err));
    while (removal.depth > 0) {
        TX_TRY(step(&removal, err));
        if (removal.depth == 0) { /* the top is empty: it goes, or is found filled anew */
            TX_TRY(remove_directory(&removal, parent.dir, parent.name, err));
        }
    }
    return TX_OK;
}
