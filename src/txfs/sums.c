/* SPDX-License-Identifier: MIT */
/*
 * undo/<L>/sums: one record for each object kept there, written when the commit becomes steady.
 * With it any changed bit of what is kept is found, the file itself included.
 */
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "txfs/kept_walk.h"

static enum tx_status encode(tx_lsn lsn, const struct txfs_kept *kept, struct tx_buf *out,
                             struct tx_error *err)
{
    struct txfs_sums_disk disk = {
        .magic = TXFS_SUMS_MAGIC,
        .version = TXFS_SUMS_VERSION,
        .record_count = kept->count,
        .file_size = TXFS_SUMS_HEAD_SIZE + kept->records.size,
        .lsn = lsn,
        .bytes = kept->bytes,
    };
    uint8_t *head;
    TX_TRY(tx_buf_extend(out, TXFS_SUMS_HEAD_SIZE, &head, err));
    TX_TRY(tx_buf_append(out, kept->records.data, kept->records.size, err));
    tx_fields_encode(txfs_sums_fields, &disk, out->data);
    disk.seal = tx_hash64(out->data, out->size, 0);
    tx_fields_encode(txfs_sums_fields, &disk, out->data);
    return TX_OK;
}

static enum tx_status write_file(struct txfs *fs, int dir, const char *path,
                                 const struct tx_buf *data, struct tx_error *err)
{
    struct iovec part = {data->data, data->size};
    int fd;
    TX_TRY(txio_open(fs->io, dir, path, TXIO_WRITE | TXIO_CREATE | TXIO_TRUNCATE, 0600, &fd, err));
    /* Crash here: the commit is not steady yet, and its sums will be written again. */
    enum tx_status status = txio_write_full(fs->io, fd, &part, 1, 0, err);
    return txfs_close_written(fs->io, fd, status, err);
}

enum tx_status txfs_sums_write(struct txfs *fs, tx_lsn lsn, struct tx_error *err)
{
    TX_AUTO(txfs_kept) kept = {.records = TX_BUF_INIT};
    TX_AUTO(tx_buf) data = TX_BUF_INIT;
    char path[TXFS_SLOT_PATH_SIZE];
    int dir;
    TX_TRY(txfs_undo_dir(fs, &dir, err));
    TX_TRY(txfs_kept_walk(fs, lsn, &kept, err));
    TX_TRY(encode(lsn, &kept, &data, err));
    (void)snprintf(path, sizeof(path), "%016llx/sums", (unsigned long long)lsn); /* fits */
    return write_file(fs, dir, path, &data, err);
}

static enum tx_status bad(tx_lsn lsn, const char *what, struct tx_error *err)
{
    return tx_error_set(err, TX_ECORRUPT, "undo/%016llx/sums: %s", (unsigned long long)lsn, what);
}

static enum tx_status load(struct txfs *fs, tx_lsn lsn, struct tx_buf *data, struct tx_error *err)
{
    char path[TXFS_SLOT_PATH_SIZE];
    struct txio_stat stat;
    uint8_t *bytes;
    int dir;
    int fd;
    (void)snprintf(path, sizeof(path), "%016llx/sums", (unsigned long long)lsn); /* fits */
    TX_TRY(txfs_undo_dir(fs, &dir, err));
    TX_TRY(txio_open(fs->io, dir, path, TXIO_READ, 0, &fd, err));
    enum tx_status status = txio_stat_fd(fs->io, fd, &stat, err);
    if (status == TX_OK && (stat.size < TXFS_SUMS_HEAD_SIZE || stat.size > TXFS_SUMS_SIZE_MAX)) {
        status = bad(lsn, "impossible size", err);
    }
    if (status == TX_OK) {
        status = tx_buf_extend(data, (size_t)stat.size, &bytes, err);
    }
    if (status == TX_OK) {
        status = txio_read_full(fs->io, fd, bytes, data->size, 0, err);
    }
    txfs_close_read(fs->io, fd);
    return status;
}

enum tx_status txfs_sums_read(struct txfs *fs, tx_lsn lsn, struct tx_buf *data,
                              struct txfs_sums_disk *disk, struct tx_error *err)
{
    TX_TRY(load(fs, lsn, data, err));
    if (!tx_fields_decode(txfs_sums_fields, disk, data->data) || disk->magic != TXFS_SUMS_MAGIC ||
        disk->version != TXFS_SUMS_VERSION || disk->file_size != data->size || disk->lsn != lsn) {
        return bad(lsn, "header damaged", err);
    }
    memset(data->data + TXFS_SUMS_HEAD_SIZE - 8, 0, 8);
    if (tx_hash64(data->data, data->size, 0) != disk->seal) {
        return bad(lsn, "seal does not match", err);
    }
    return TX_OK;
}

enum tx_status txfs_sums_bytes(struct txfs *fs, tx_lsn lsn, uint64_t *bytes, struct tx_error *err)
{
    TX_AUTO(tx_buf) data = TX_BUF_INIT;
    struct txfs_sums_disk disk;
    enum tx_status status = txfs_sums_read(fs, lsn, &data, &disk, err);
    if (status == TX_ENOTFOUND || status == TX_ECORRUPT) { /* check tells of the latter */
        *bytes = 0;
        return TX_OK;
    }
    TX_TRY(status);
    *bytes = disk.bytes;
    return TX_OK;
}

static bool is_same(const struct txfs_sum *was, const struct txfs_sum *is)
{
    struct txfs_sum_disk then;
    struct txfs_sum_disk now;
    (void)tx_fields_decode(txfs_sum_fields, &then, was->rest); /* has no reserved bytes */
    (void)tx_fields_decode(txfs_sum_fields, &now, is->rest);
    if (then.flags & TXFS_SUM_SHARED) {
        return (then.mode & S_IFMT) == (now.mode & S_IFMT);
    }
    bool attributes = then.mode == now.mode && then.uid == now.uid && then.gid == now.gid &&
                      then.mtime_ns == now.mtime_ns && then.rdev == now.rdev;
    bool unreadable = (then.flags | now.flags) & TXFS_SUM_UNREADABLE;
    return attributes && then.size == now.size &&
           (unreadable ||
            (then.xattrs == now.xattrs && memcmp(&then.hash, &now.hash, sizeof(then.hash)) == 0));
}

/* Compare the records that were written with those that the objects give now: both are in the order
 * of the paths. */
static enum tx_status compare(tx_lsn lsn, struct tx_reader *then, struct tx_reader *now,
                              txfs_fault_fn *fn, void *arg, struct tx_error *err)
{
    struct txfs_sum was = {.path = NULL};
    struct txfs_sum is = {.path = NULL};
    bool have_was = txfs_sum_next(then, &was);
    bool have_is = txfs_sum_next(now, &is);
    while (have_was || have_is) {
        TX_AUTO(tx_buf) file = TX_BUF_INIT;
        int order = !have_was ? 1 : !have_is ? -1 : strcmp(was.path, is.path);
        TX_TRY(tx_buf_printf(&file, err, "undo/%016llx/%s", (unsigned long long)lsn,
                             order > 0 ? is.path : was.path));
        TX_TRY(tx_buf_append(&file, "", 1, err));
        if (order < 0) {
            fn(arg, (const char *)file.data, 0, "is missing");
        } else if (order > 0) {
            fn(arg, (const char *)file.data, 0, "is not in the list of what is kept");
        } else if (!is_same(&was, &is)) {
            fn(arg, (const char *)file.data, 0, "differs from its sums");
        }
        have_was = order <= 0 ? txfs_sum_next(then, &was) : have_was;
        have_is = order >= 0 ? txfs_sum_next(now, &is) : have_is;
    }
    return then->failed ? bad(lsn, "records do not add up", err) : TX_OK;
}

enum tx_status txfs_sums_check(struct txfs *fs, tx_lsn lsn, txfs_fault_fn *fn, void *arg,
                               struct tx_error *err)
{
    TX_AUTO(tx_buf) data = TX_BUF_INIT;
    TX_AUTO(txfs_kept) kept = {.records = TX_BUF_INIT};
    struct txfs_sums_disk disk;
    TX_TRY(txfs_sums_read(fs, lsn, &data, &disk, err));
    TX_TRY(txfs_kept_walk(fs, lsn, &kept, err));
    struct tx_reader then =
        tx_reader_on(data.data + TXFS_SUMS_HEAD_SIZE, data.size - TXFS_SUMS_HEAD_SIZE);
    struct tx_reader now = tx_reader_on(kept.records.data, kept.records.size);
    return compare(lsn, &then, &now, fn, arg, err);
}
