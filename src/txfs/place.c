/* SPDX-License-Identifier: MIT */
/*
 * Names: putting an object at its path and taking one away, each one rename(2) between the slot and
 * the path, so that at no moment an object is without a name. A path is reached through a
 * descriptor of its parent that was opened below the root through no symbolic link; when the parent
 * is not there (any more), nothing is touched.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/invariant.h"
#include "txfs/publish_internal.h"

enum { PLACE_TRIES = 64 }; /* against a stranger who makes and removes the name all the time */

void txfs_parents_drop(struct txfs_parents *parents)
{
    for (size_t i = 0; i < TXFS_PARENTS_MAX; i++) {
        if (parents->items[i].path != NULL) {
            txfs_close_read(parents->fs->io, parents->items[i].fd);
            tx_free(parents->items[i].path);
            parents->items[i].path = NULL;
        }
    }
}

static size_t oldest_parent(const struct txfs_parents *parents)
{
    size_t oldest = 0;
    for (size_t i = 0; i < TXFS_PARENTS_MAX; i++) {
        if (parents->items[i].path == NULL) {
            return i;
        }
        if (parents->items[i].used < parents->items[oldest].used) {
            oldest = i;
        }
    }
    return oldest;
}

static enum tx_status remember(struct txfs_parents *parents, const char *path, size_t size, int fd,
                               struct tx_error *err)
{
    size_t at = oldest_parent(parents);
    char *copy = tx_alloc(size + 1);
    if (copy == NULL) {
        txfs_close_read(parents->fs->io, fd);
        return tx_error_set(err, TX_ENOMEM, "remember a directory");
    }
    memcpy(copy, path, size);
    copy[size] = '\0';
    if (parents->items[at].path != NULL) {
        txfs_close_read(parents->fs->io, parents->items[at].fd);
        tx_free(parents->items[at].path);
    }
    parents->items[at].path = copy;
    parents->items[at].fd = fd;
    parents->items[at].used = ++parents->clock;
    return TX_OK;
}

static bool recall(struct txfs_parents *parents, const char *path, size_t size, int *dir)
{
    for (size_t i = 0; i < TXFS_PARENTS_MAX; i++) {
        const char *have = parents->items[i].path;
        if (have != NULL && strncmp(have, path, size) == 0 && have[size] == '\0') {
            parents->items[i].used = ++parents->clock;
            *dir = parents->items[i].fd;
            return true;
        }
    }
    return false;
}

enum tx_status txfs_parents_find(struct txfs_parents *parents, const char *path, int *dir,
                                 const char **name, int *result, struct tx_error *err)
{
    struct txio *io = parents->fs->io;
    size_t size = txfs_path_parent_size(path);
    char parent[TXFS_PATH_MAX + 1];
    *result = 0;
    *name = txfs_path_name(path);
    *dir = parents->fs->root_dir;
    if (size == 0 || recall(parents, path, size, dir)) {
        return TX_OK;
    }
    memcpy(parent, path, size);
    parent[size] = '\0';
    int fd = io->ops->open(io, parents->fs->root_dir, parent, TXIO_DIRECTORY, 0);
    if (fd == -EACCES) { /* may be searched but not read: then without a descriptor of its own */
        *name = path;
        return TX_OK;
    }
    if (txfs_is_no_path(fd)) {
        *result = fd;
        return TX_OK;
    }
    if (fd < 0) {
        return tx_error_os(err, -fd, "open directory \"%.200s\"", parent);
    }
    TX_TRY(remember(parents, path, size, fd, err));
    *dir = fd;
    return TX_OK;
}

enum tx_status txfs_root_find(struct txfs_work *work, const char *path, int *dir, const char **name,
                              struct txio_stat *stat, int *result, struct tx_error *err)
{
    struct txio *io = work->fs->io;
    TX_TRY(txfs_parents_find(&work->parents, path, dir, name, result, err));
    if (*result == 0) {
        *result = io->ops->stat(io, *dir, *name, stat);
    }
    if (*result < 0 && !txfs_is_no_path(*result)) {
        return tx_error_os(err, -*result, "stat \"%.200s\"", path);
    }
    return TX_OK;
}

enum tx_status txfs_root_stat(struct txfs_work *work, const char *path, struct txio_stat *stat,
                              int *result, struct tx_error *err)
{
    int dir;
    const char *name;
    return txfs_root_find(work, path, &dir, &name, stat, result, err);
}

enum tx_status txfs_slot_stat(struct txfs_work *work, const char *slot, struct txio_stat *stat,
                              int *result, struct tx_error *err)
{
    struct txio *io = work->fs->io;
    *result = io->ops->stat(io, work->slots_dir, slot, stat);
    if (*result < 0 && !txfs_is_no_path(*result)) {
        return tx_error_os(err, -*result, "stat slot %s", slot);
    }
    return TX_OK;
}

/* Moving a directory changes its "..", for which its owner needs write permission in it. Give it
 * for the time of the move. *mode: what it was; 0 when nothing was done. */
static void loosen(struct txio *io, int dir, const char *name, uint32_t *mode)
{
    struct txio_stat stat;
    *mode = 0;
    if (io->ops->stat(io, dir, name, &stat) == 0 && S_ISDIR(stat.mode) && !(stat.mode & 0200)) {
        struct txio_attr attr = {.mask = TXIO_ATTR_MODE, .mode = (stat.mode & 07777) | 0200};
        if (io->ops->set_attr(io, dir, name, &attr) == 0) {
            *mode = stat.mode;
        }
    }
}

static void tighten(struct txio *io, int dir, const char *name, uint32_t mode)
{
    struct txio_attr attr = {.mask = TXIO_ATTR_MODE, .mode = mode & 07777};
    if (mode != 0) {
        /* Crash here: a displaced directory is writable for its owner; it is out of the tree. */
        (void)io->ops->set_attr(io, dir, name, &attr); /* its owner just did the opposite */
    }
}

struct place_ends {
    int from_dir;
    const char *from;
    int to_dir;
    const char *to;
};

static int move(struct txio *io, const struct place_ends *ends, unsigned flags)
{
    int result = io->ops->rename(io, ends->from_dir, ends->from, ends->to_dir, ends->to, flags);
    if (result != -EACCES) {
        return result;
    }
    uint32_t from_mode;
    uint32_t to_mode = 0;
    loosen(io, ends->from_dir, ends->from, &from_mode);
    if (flags == TXIO_EXCHANGE) {
        loosen(io, ends->to_dir, ends->to, &to_mode);
    }
    if (from_mode == 0 && to_mode == 0) {
        return result;
    }
    result = io->ops->rename(io, ends->from_dir, ends->from, ends->to_dir, ends->to, flags);
    bool moved = result == 0;
    tighten(io, moved ? ends->to_dir : ends->from_dir, moved ? ends->to : ends->from, from_mode);
    tighten(io, moved ? ends->from_dir : ends->to_dir, moved ? ends->from : ends->to, to_mode);
    return result;
}

/* Crash here: the path has the old object or the new one, and the slot the other; whichever it is,
 * the inode says so. */
static int place_once(struct txio *io, const struct place_ends *ends, bool *expect_object,
                      enum txfs_placed *placed)
{
    int result = move(io, ends, *expect_object ? TXIO_EXCHANGE : TXIO_NOREPLACE);
    if (result == 0) {
        *placed = *expect_object ? TXFS_PLACED_DISPLACED : TXFS_PLACED;
    } else if (*expect_object ? result == -ENOENT : result == -EEXIST) {
        *expect_object = !*expect_object;
        result = -EAGAIN;
    }
    return result;
}

enum tx_status txfs_place(struct txfs_work *work, const char *slot, const char *path,
                          bool expect_object, enum txfs_placed *placed, struct tx_error *err)
{
    struct txio *io = work->fs->io;
    struct place_ends ends = {.from_dir = work->slots_dir, .from = slot};
    int result;
    TX_TRY(txfs_parents_find(&work->parents, path, &ends.to_dir, &ends.to, &result, err));
    *placed = TXFS_PLACED_NOWHERE;
    if (result < 0) {
        return TX_OK;
    }
    result = -EAGAIN;
    for (int i = 0; i < PLACE_TRIES && result == -EAGAIN; i++) {
        result = place_once(io, &ends, &expect_object, placed);
    }
    if (result == -EAGAIN || txfs_is_no_path(result)) { /* the directory itself was removed */
        *placed = TXFS_PLACED_NOWHERE;
        return TX_OK;
    }
    if (result < 0) {
        return tx_error_os(err, -result, "put \"%.200s\" in its place", path);
    }
    txfs_touched_add(work->fs, path, ends.to_dir);
    return TX_OK;
}

enum tx_status txfs_take(struct txfs_work *work, const char *path, const char *slot,
                         enum txfs_placed *placed, struct tx_error *err)
{
    struct place_ends ends = {.to_dir = work->slots_dir, .to = slot};
    int result;
    TX_TRY(txfs_parents_find(&work->parents, path, &ends.from_dir, &ends.from, &result, err));
    *placed = TXFS_PLACED;
    if (result == 0) {
        /* Crash here: the object is at its path or in the slot. */
        result = move(work->fs->io, &ends, TXIO_NOREPLACE);
    }
    if (txfs_is_no_path(result)) {
        return TX_OK;
    }
    if (result < 0) {
        return tx_error_os(err, -result, "take \"%.200s\" away", path);
    }
    *placed = TXFS_PLACED_DISPLACED;
    txfs_touched_add(work->fs, path, ends.from_dir);
    return TX_OK;
}
