/* SPDX-License-Identifier: MIT */
/* Walking what is kept of one commit, and summing up each object. */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "base/invariant.h"
#include "txfs/kept_walk.h"

bool txfs_sum_next(struct tx_reader *reader, struct txfs_sum *sum)
{
    if (reader->left == 0) {
        return false;
    }
    sum->path = tx_read_text(reader);
    sum->rest = tx_read_bytes(reader, TXFS_SUM_SIZE);
    return !reader->failed;
}

struct walk {
    struct txfs *fs;
    int top;            /* undo/<L> */
    struct tx_map todo; /* tree keys of paths not looked at yet; the value is not used */
    struct tx_buf path; /* of the directory being listed, NUL-terminated */
    struct tx_error *err;
    enum tx_status status;
};

static void walk_auto(struct walk *walk)
{
    tx_map_release(&walk->todo);
    tx_buf_release(&walk->path);
    txfs_close_read(walk->fs->io, walk->top);
}

static int note_name(void *arg, const char *name, uint64_t ino, unsigned type)
{
    struct walk *walk = arg;
    TX_AUTO(tx_buf) path = TX_BUF_INIT;
    (void)ino;
    (void)type;
    const char *above = (const char *)walk->path.data;
    if (above[0] == '\0' && (strcmp(name, "sums") == 0 || strcmp(name, "changes.new") == 0)) {
        return 0;
    }
    walk->status =
        tx_buf_printf(&path, walk->err, "%s%s%s", above, above[0] != '\0' ? "/" : "", name);
    if (walk->status == TX_OK) {
        walk->status = tx_map_set(&walk->todo, path.data, path.size, NULL, walk->err);
    }
    return walk->status != TX_OK;
}

static enum tx_status list_below(struct walk *walk, const char *path, struct tx_error *err)
{
    struct txio *io = walk->fs->io;
    int fd = walk->top;
    tx_buf_clear(&walk->path);
    TX_TRY(tx_buf_append(&walk->path, path, strlen(path) + 1, err));
    if (path[0] != '\0') {
        fd = io->ops->open(io, walk->top, path, TXIO_DIRECTORY, 0);
    }
    if (fd == -EACCES || fd == -ENAMETOOLONG) { /* a tree that this user, or nobody, can read */
        return TX_OK;
    }
    int result = fd < 0 ? fd : io->ops->list(io, fd, note_name, walk);
    if (path[0] != '\0') {
        txfs_close_read(io, fd);
    }
    TX_TRY(walk->status);
    return result < 0 ? tx_error_os(err, -result, "list what is kept") : TX_OK;
}

static enum tx_status sum_content(struct walk *walk, const char *path, const struct txio_stat *stat,
                                  struct txfs_sum_disk *sum, struct tx_error *err)
{
    if (S_ISLNK(stat->mode)) {
        char target[TXFS_PATH_MAX + 1];
        TX_TRY(txfs_link_read(walk->fs, walk->top, path, target, err));
        sum->hash = tx_hash128_of(target, strlen(target));
        return TX_OK;
    }
    if (!S_ISREG(stat->mode)) {
        return TX_OK;
    }
    sum->size = stat->size;
    sum->flags |= stat->nlink > 1 ? TXFS_SUM_SHARED : 0;
    enum tx_status status = txfs_hash_path(walk->fs, walk->top, path, stat->size, &sum->hash, err);
    if (status == TX_EPERM) {
        sum->flags |= TXFS_SUM_UNREADABLE;
        status = TX_OK;
    }
    return status;
}

static enum tx_status sum_one(struct walk *walk, const char *path, const struct txio_stat *stat,
                              struct txfs_kept *kept, struct tx_error *err)
{
    TX_AUTO(tx_buf) xattrs = TX_BUF_INIT;
    struct txfs_sum_disk sum = {
        .mode = stat->mode,
        .uid = stat->uid,
        .gid = stat->gid,
        .rdev = stat->rdev,
        .mtime_ns = S_ISDIR(stat->mode) ? 0 : stat->mtime_ns,
    };
    uint8_t *at;
    TX_INVARIANT(tx_fields_size(txfs_sum_fields) == TXFS_SUM_SIZE);
    TX_TRY(sum_content(walk, path, stat, &sum, err));
    enum tx_status status = txfs_xattrs_read(walk->fs->io, walk->top, path, &xattrs, err);
    if (status == TX_EPERM) {
        sum.flags |= TXFS_SUM_UNREADABLE;
    } else {
        TX_TRY(status);
    }
    sum.xattrs = tx_hash64(xattrs.data, xattrs.size, 0);
    TX_TRY(tx_buf_put_text(&kept->records, path, err));
    TX_TRY(tx_buf_extend(&kept->records, TXFS_SUM_SIZE, &at, err));
    tx_fields_encode(txfs_sum_fields, &sum, at);
    kept->count++;
    kept->bytes += stat->allocated;
    return TX_OK;
}

/* Objects come out of the map in the order of their paths; what a directory holds follows it. */
static enum tx_status walk_step(struct walk *walk, struct txfs_kept *kept, bool *more,
                                struct tx_error *err)
{
    struct tx_map_entry first;
    struct txio_stat stat;
    TX_AUTO(tx_buf) path = TX_BUF_INIT;
    *more = tx_map_at_or_after(&walk->todo, NULL, 0, &first);
    if (!*more) {
        return TX_OK;
    }
    TX_TRY(tx_buf_append(&path, first.key, first.key_size, err));
    TX_TRY(tx_buf_append(&path, "", 1, err));
    (void)tx_map_remove(&walk->todo, first.key, first.key_size); /* just found */
    const char *name = (const char *)path.data;
    int result = walk->fs->io->ops->stat(walk->fs->io, walk->top, name, &stat);
    if (result == -ENAMETOOLONG || result == -EACCES) {
        return TX_OK;
    }
    if (result < 0) {
        return tx_error_os(err, -result, "stat what is kept");
    }
    TX_TRY(sum_one(walk, name, &stat, kept, err));
    return S_ISDIR(stat.mode) ? list_below(walk, name, err) : TX_OK;
}

enum tx_status txfs_kept_walk(struct txfs *fs, tx_lsn lsn, struct txfs_kept *kept,
                              struct tx_error *err)
{
    TX_AUTO(walk) walk = {.fs = fs, .top = -1, .path = TX_BUF_INIT, .err = err};
    char name[TXFS_COMMIT_NAME_SIZE];
    int undo_dir;
    tx_map_init(&walk.todo, NULL);
    txfs_commit_name(lsn, name);
    TX_TRY(txfs_undo_dir(fs, &undo_dir, err));
    TX_TRY(txio_open(fs->io, undo_dir, name, TXIO_DIRECTORY, 0, &walk.top, err));
    TX_TRY(list_below(&walk, "", err));
    bool more = true;
    while (more) {
        TX_TRY(walk_step(&walk, kept, &more, err));
    }
    return TX_OK;
}
