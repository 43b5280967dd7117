/* SPDX-License-Identifier: MIT */
/*
 * Hard links: an old file in a slot may still have names in the tree. It comes back as a further
 * name of the same inode and not as a copy. Which names those are only a walk over the tree can
 * tell; there is one when the commit displaced a file with several names, and none otherwise.
 */
#include <dirent.h>
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "base/mutant.h"
#include "txfs/revert.h"

struct name_walk {
    struct txfs_revert_job *job;
    struct tx_map wanted; /* ino of files in slots with several names */
    struct tx_map todo;   /* directories not listed yet, by path */
    const char *above;
    struct tx_error *err;
    enum tx_status status;
};

static void name_walk_auto(struct name_walk *walk)
{
    tx_map_release(&walk->wanted);
    tx_map_release(&walk->todo);
}

enum tx_status txfs_revert_note_name(struct txfs_revert_job *job, const struct txio_stat *stat,
                                     const char *path, struct tx_error *err)
{
    uint64_t key = stat->ino;
    if (tx_map_get(&job->names, &key, sizeof(key)) != NULL) {
        return TX_OK;
    }
    char *copy = tx_text_copy(path);
    if (copy == NULL) {
        return tx_error_set(err, TX_ENOMEM, "note a name of \"%.200s\"", path);
    }
    enum tx_status status = tx_map_set(&job->names, &key, sizeof(key), copy, err);
    if (status != TX_OK) {
        tx_free(copy);
    }
    return status;
}

static enum tx_status want_slots(struct name_walk *walk, struct tx_error *err)
{
    struct txfs_revert_job *job = walk->job;
    static char wanted;
    for (size_t i = 0; i < job->changes.steps.count; i++) {
        const struct txfs_step *step = &job->changes.steps.items[i];
        char slot[TXFS_SLOT_PATH_SIZE];
        struct txio_stat is;
        if (!txfs_entry_displaces(&step->entry) || !step->entry.base.existed) {
            continue;
        }
        txfs_slot_path(job->changes.info.lsn, 0, step->index, slot);
        int result = job->fs->io->ops->stat(job->fs->io, job->undo_dir, slot, &is);
        /* It is none when the object was moved. */
        if (result < 0 && !txfs_is_no_path(result) && !TX_MUTANT(120)) {
            return tx_error_os(err, -result, "stat undo/%s", slot);
        }
        if (result == 0 && S_ISREG(is.mode) && is.nlink > 1) {
            uint64_t key = is.ino;
            TX_TRY(tx_map_set(&walk->wanted, &key, sizeof(key), &wanted, err));
        }
    }
    return TX_OK;
}

/* The commit itself named it: reverting takes that name away. */
static bool is_step(const struct txfs_revert_job *job, const char *path)
{
    for (size_t i = 0; i < job->changes.steps.count; i++) {
        if (strcmp(job->changes.steps.items[i].entry.path, path) == 0) {
            return true;
        }
    }
    return false;
}

static enum tx_status see_file(struct name_walk *walk, const char *path, uint64_t ino)
{
    struct txfs_revert_job *job = walk->job;
    struct txio_stat is;
    struct txio_stat seen;
    if (tx_map_get(&walk->wanted, &ino, sizeof(ino)) == NULL || is_step(job, path)) {
        return TX_OK;
    }
    int result = job->fs->io->ops->stat(job->fs->io, job->fs->root_dir, path, &is);
    if (result < 0) {
        return txfs_is_no_path(result) ? TX_OK
                                       : tx_error_os(walk->err, -result, "stat \"%.200s\"", path);
    }
    /* In the transaction's view too: else it is newer than the snapshot. */
    enum tx_status status = txfs_stat(job->txn, path, &seen, walk->err);
    if (status == TX_ENOTFOUND || status == TX_ENOTDIR) {
        return TX_OK;
    }
    TX_TRY(status);
    bool same = is.ino == ino && is.dev == job->fs->root_dev && seen.ino == ino;
    if (!same) {
        return TX_OK;
    }
    return txfs_revert_note_name(job, &is, path, walk->err);
}

static int see_name(void *arg, const char *name, uint64_t ino, unsigned type)
{
    struct name_walk *walk = arg;
    char path[TXFS_PATH_MAX + 1];
    if (txfs_path_join(walk->above, strlen(walk->above), name, path, NULL) != TX_OK ||
        txfs_path_is_store(walk->job->fs, path)) {
        return 0;
    }
    if (type == DT_DIR || type == DT_UNKNOWN) { /* what is none says so when it is listed */
        walk->status = tx_map_set(&walk->todo, path, strlen(path), NULL, walk->err);
    }
    if (walk->status == TX_OK && type != DT_DIR) {
        walk->status = see_file(walk, path, ino);
    }
    return walk->status != TX_OK;
}

static enum tx_status list_one(struct name_walk *walk, const char *path, struct tx_error *err)
{
    struct txio *io = walk->job->fs->io;
    int fd = walk->job->fs->root_dir;
    if (path[0] != '\0') {
        fd = io->ops->open(io, walk->job->fs->root_dir, path, TXIO_DIRECTORY, 0);
    }
    if (fd < 0) { /* gone, no directory, or not ours to read: then its names are not found */
        return fd == -EACCES || txfs_is_no_path(fd)
                   ? TX_OK
                   : tx_error_os(err, -fd, "open directory \"%.200s\"", path);
    }
    walk->above = path;
    int result = io->ops->list(io, fd, see_name, walk);
    if (path[0] != '\0') {
        txfs_close_read(io, fd);
    }
    TX_TRY(walk->status);
    return result < 0 ? tx_error_os(err, -result, "list \"%.200s\"", path) : TX_OK;
}

enum tx_status txfs_revert_find_names(struct txfs_revert_job *job, struct tx_error *err)
{
    TX_AUTO(name_walk) walk = {.job = job, .err = err};
    struct tx_map_entry next;
    tx_map_init(&walk.wanted, NULL);
    tx_map_init(&walk.todo, NULL);
    TX_TRY(want_slots(&walk, err));
    if (walk.wanted.count == 0) {
        return TX_OK;
    }
    TX_TRY(list_one(&walk, "", err));
    while (tx_map_at_or_after(&walk.todo, NULL, 0, &next)) {
        char path[TXFS_PATH_MAX + 1];
        memcpy(path, next.key, next.key_size); /* made by see_name, so it fits */
        path[next.key_size] = '\0';
        (void)tx_map_remove(&walk.todo, next.key, next.key_size); /* just found */
        TX_TRY(list_one(&walk, path, err));
    }
    return TX_OK;
}
