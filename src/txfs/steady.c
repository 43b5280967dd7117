/* SPDX-License-Identifier: MIT */
/*
 * The steady point: make durable in the tree what was published, so that the log is not needed for
 * it any more. A few paths are synced one by one; many, or unknown ones, by one syncfs. A failed
 * sync is never repeated: the caller poisons the store, and the next recovery writes everything
 * from the log again.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/mutant.h"
#include "txfs/publish_internal.h"

enum { STEADY_COMMITS_MAX = 4 }; /* above, a syncfs is cheaper */

enum tx_status txfs_open_steady(void *rm, tx_lsn *steady_lsn, uint8_t token[KTM_TOKEN_SIZE],
                                struct tx_error *err)
{
    struct txfs *fs = rm;
    struct txfs_mark mark;
    TX_TRY(txfs_mark_read(fs, &mark, err));
    *steady_lsn = mark.lsn;
    memset(token, 0, KTM_TOKEN_SIZE);
    tx_put64(token, mark.lsn);
    return TX_OK;
}

/* Open for a sync. *fd stays -1 when the object is gone. Errors: TX_ENOTSUP when only a syncfs
 * reaches it: symbolic links, nodes, what this user may not open. */
static enum tx_status open_for_sync(struct txfs *fs, int dir, const char *path, int *fd,
                                    struct tx_error *err)
{
    struct txio_stat stat;
    *fd = -1;
    int result = fs->io->ops->stat(fs->io, dir, path, &stat);
    if (txfs_is_no_path(result)) {
        return TX_OK;
    }
    if (result == 0 && !S_ISREG(stat.mode) && !S_ISDIR(stat.mode)) {
        result = -EOPNOTSUPP;
    }
    if (result == 0) {
        result = fs->io->ops->open(fs->io, dir, path, S_ISDIR(stat.mode) ? TXIO_DIRECTORY : 0, 0);
    }
    if (result < 0) {
        return tx_error_os(err, result == -EACCES ? EOPNOTSUPP : -result, "open \"%.200s\"", path);
    }
    *fd = result;
    return TX_OK;
}

static enum tx_status sync_opened(struct txfs *fs, int fd, const char *path, struct tx_error *err)
{
    enum tx_status status = fd >= 0 ? txio_sync(fs->io, fd, path, err) : TX_OK;
    /* Crash here: this one is durable, the mark is the old one; recovery finds it as it should be.
     */
    txfs_close_read(fs->io, fd);
    return status;
}

static enum tx_status sync_path(struct txfs *fs, int dir, const char *path, struct tx_error *err)
{
    int fd;
    TX_TRY(open_for_sync(fs, dir, path, &fd, err));
    return sync_opened(fs, fd, path, err);
}

/* Is it the directory in which the name was changed? Another one may have its path by now. */
static enum tx_status check_parent(struct txfs *fs, int fd, const struct txfs_touch_mark *item,
                                   struct tx_error *err)
{
    struct txio_stat is = {.ino = 0};
    if (fd >= 0) {
        TX_TRY(txio_stat_fd(fs->io, fd, &is, err));
    }
    /* MUTANT_130: whatever has the path of the directory is the one. */
    bool same = item->dir_ino == 0 || is.ino == item->dir_ino || TX_MUTANT(130);
    return (fd >= 0 && same) || TX_MUTANT(107)
               ? TX_OK
               : tx_error_set(err, TX_ENOTSUP, "a directory that went is synced with all else");
}

/* An object, and the directory of its name, which must not come back in one that went. */
static enum tx_status sync_touched(struct txfs *fs, const struct txfs_touch_mark *item,
                                   struct tx_error *err)
{
    const char *path = item->path;
    char parent[TXFS_PATH_MAX + 1];
    size_t size = txfs_path_parent_size(path);
    TX_TRY(sync_path(fs, fs->root_dir, path, err));
    if (size == 0) {
        return txio_sync(fs->io, fs->root_dir, "the root", err);
    }
    memcpy(parent, path, size);
    parent[size] = '\0';
    int fd;
    TX_TRY(open_for_sync(fs, fs->root_dir, parent, &fd, err));
    enum tx_status status = check_parent(fs, fd, item, err);
    if (status != TX_OK) {
        txfs_close_read(fs->io, fd);
        return status;
    }
    return sync_opened(fs, fd, parent, err);
}

struct own_names {
    struct tx_buf names; /* NUL after each */
    bool all;
    struct tx_error *err;
    enum tx_status status;
};

/* changes, f<i>, s<i>, sums are new. What one commit displaced is old, and durable since long; of
 * several commits the later may have displaced what the earlier placed. */
static int collect_own(void *arg, const char *name, uint64_t ino, unsigned type)
{
    struct own_names *own = arg;
    (void)ino;
    (void)type;
    if (own->all || strchr("cfs", name[0]) != NULL) {
        own->status = tx_buf_append(&own->names, name, strlen(name) + 1, own->err);
    }
    return own->status != TX_OK;
}

static enum tx_status sync_names(struct txfs *fs, int dir, const struct tx_buf *names,
                                 struct tx_error *err)
{
    for (size_t at = 0; at < names->size;) {
        const char *name = (const char *)names->data + at;
        struct txio_stat stat;
        if (fs->io->ops->stat(fs->io, dir, name, &stat) == 0 && S_ISDIR(stat.mode)) {
            return tx_error_set(err, TX_ENOTSUP, "a displaced directory is synced with all else");
        }
        TX_TRY(sync_path(fs, dir, name, err));
        at += strlen(name) + 1;
    }
    return txio_sync(fs->io, dir, "a directory below undo/", err);
}

static enum tx_status sync_commit(struct txfs *fs, int undo_dir, tx_lsn lsn, bool all,
                                  struct tx_error *err)
{
    struct own_names own = {TX_BUF_INIT, all, err, TX_OK};
    char name[TXFS_COMMIT_NAME_SIZE];
    int dir;
    txfs_commit_name(lsn, name);
    TX_TRY(txio_open(fs->io, undo_dir, name, TXIO_DIRECTORY, 0, &dir, err));
    int result = fs->io->ops->list(fs->io, dir, collect_own, &own);
    enum tx_status status = own.status;
    if (status == TX_OK && result < 0) {
        status = tx_error_os(err, -result, "list undo/%s", name);
    }
    if (status == TX_OK) {
        status = sync_names(fs, dir, &own.names, err);
    }
    tx_buf_release(&own.names);
    txfs_close_read(fs->io, dir);
    return status;
}

static enum tx_status sync_few(struct txfs *fs, const tx_lsn *lsns, size_t count,
                               struct tx_error *err)
{
    const struct txfs_touched *touched = &fs->publisher->touched;
    int undo_dir;
    TX_TRY(txfs_undo_make(fs, &undo_dir, err));
    for (size_t i = 0; i < touched->count; i++) {
        TX_TRY(sync_touched(fs, &touched->items[i], err));
    }
    for (size_t i = 0; i < count; i++) {
        TX_TRY(sync_commit(fs, undo_dir, lsns[i], count > 1, err));
    }
    TX_TRY(sync_path(fs, undo_dir, "others", err));
    return txio_sync(fs->io, undo_dir, "undo/", err);
}

/* The descriptors were opened before anything was written, so that errors of write-back that come
 * late are told to them. XFS writes everything but makes the disk flush only when its own log has
 * something to say (Linux 6.18; the laboratory found it): the flush that counts is the one by which
 * the mark is synced, before it gets its name. */
static enum tx_status sync_all(struct txfs *fs, struct tx_error *err)
{
    struct txio_stat root;
    struct txio_stat store;
    TX_TRY(txio_stat_fd(fs->io, fs->root_dir, &root, err));
    TX_TRY(txio_stat_fd(fs->io, fs->store_dir, &store, err));
    int result = fs->io->ops->syncfs(fs->io, fs->root_dir);
    /* Crash here: the old mark; recovery converges to commits that are durable already. */
    if (result == 0 && store.dev != root.dev) {
        result = fs->io->ops->syncfs(fs->io, fs->store_dir);
    }
    return result < 0 ? tx_error_os(err, -result, "sync the file system of the tree") : TX_OK;
}

/* Sums of the commits that become steady now, as far as history will keep them. */
static enum tx_status write_sums(struct txfs *fs, const tx_lsn *lsns, size_t count,
                                 struct tx_error *err)
{
    size_t first = count > fs->history_count_max ? count - fs->history_count_max : 0;
    for (size_t i = first; i < count; i++) {
        TX_TRY(txfs_sums_write(fs, lsns[i], err));
    }
    return TX_OK;
}

static enum tx_status make_durable(struct txfs *fs, struct txfs_mark *mark, tx_lsn lsn,
                                   struct tx_error *err)
{
    TX_AUTO(tx_buf) list = TX_BUF_INIT;
    const struct txfs_touched *touched = &fs->publisher->touched;
    tx_lsn bound;
    TX_TRY(txfs_undo_list(fs, &list, err));
    const tx_lsn *lsns = (const tx_lsn *)(const void *)list.data;
    size_t end = list.size / sizeof(*lsns);
    while (end > 0 && lsns[end - 1] >= lsn) {
        end--;
    }
    size_t start = end;
    while (start > 0 && lsns[start - 1] >= mark->lsn) {
        start--;
    }
    const tx_lsn *fresh = end > start ? lsns + start : NULL;
    TX_TRY(write_sums(fs, fresh, end - start, err));
    TX_TRY(txfs_history_bound(fs, lsns, end, lsn, &bound, err));
    mark->history_lsn = bound > mark->history_lsn ? bound : mark->history_lsn;
    bool known = !touched->too_many && touched->from == mark->lsn && touched->to == lsn;
    if (!known || end - start > STEADY_COMMITS_MAX) {
        return sync_all(fs, err);
    }
    enum tx_status status = sync_few(fs, fresh, end - start, err);
    return status == TX_ENOTSUP ? sync_all(fs, err) : status;
}

/* The mark names the size that `others` is about to have: what is longer is good too. */
static enum tx_status move_mark(struct txfs *fs, struct txfs_mark *mark, tx_lsn lsn,
                                struct tx_error *err)
{
    TX_AUTO(tx_buf) fresh = TX_BUF_INIT;
    TX_TRY(txfs_others_plan(fs, &mark->others_size, &fresh, err));
    mark->lsn = lsn;
    TX_TRY(txfs_mark_write(fs, mark, err));
    return fresh.size > 0 ? txfs_others_replace(fs, &fresh, err) : TX_OK;
}

enum tx_status txfs_steady(void *rm, tx_lsn lsn, const uint8_t token[KTM_TOKEN_SIZE],
                           struct tx_error *err)
{
    struct txfs *fs = rm;
    struct txfs_mark mark;
    (void)token; /* files have no state but the tree */
    TX_TRY(txfs_mark_read(fs, &mark, err));
    if (TX_MUTANT(101) && mark.lsn >= lsn && fs->publisher->touched.count == 0) {
        return TX_OK;
    }
    TX_TRY(make_durable(fs, &mark, lsn, err));
    /* Also when it says this already: its writer may have been killed before it was durable. */
    TX_TRY(move_mark(fs, &mark, lsn > mark.lsn ? lsn : mark.lsn, err));
    txfs_touched_clear(fs);
    return TX_OK;
}
