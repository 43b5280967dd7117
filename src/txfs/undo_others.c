/* SPDX-License-Identifier: MIT */
/*
 * undo/others: commits that have no files, for the history: records as in undo/<L>/changes, one
 * after the other. A directory for each would cost such a commit more than all else that it does.
 *
 * A record that a crash cut short ends the file; the next append overwrites it. Nothing but the
 * history depends on this file.
 */
#include <errno.h>
#include <string.h>

#include "txfs/undo_changes.h"

#define OTHERS_SIZE_MAX (64u << 20) /* of a file that is read */
#define OTHERS_KEPT_MIN 256u        /* records that are left alone before the file is shortened */
#define OTHERS_BYTES_MIN (1u << 20)

bool txfs_others_next(const struct tx_buf *data, uint64_t at, tx_lsn *lsn, uint64_t *size)
{
    struct txfs_changes_disk disk;
    uint64_t left = data->size - at;
    if (left < TXFS_CHANGES_HEAD_SIZE ||
        !tx_fields_decode(txfs_changes_fields, &disk, data->data + at) ||
        disk.magic != TXFS_CHANGES_MAGIC || disk.version != TXFS_CHANGES_VERSION ||
        disk.file_size < TXFS_CHANGES_HEAD_SIZE || disk.file_size > left) {
        return false;
    }
    static const uint8_t no_seal[8];
    struct tx_hasher hasher;
    tx_hasher_init(&hasher, 0);
    tx_hasher_add(&hasher, data->data + at, TXFS_CHANGES_HEAD_SIZE - 8);
    tx_hasher_add(&hasher, no_seal, 8);
    tx_hasher_add(&hasher, data->data + at + TXFS_CHANGES_HEAD_SIZE,
                  (size_t)disk.file_size - TXFS_CHANGES_HEAD_SIZE);
    *lsn = disk.lsn;
    *size = disk.file_size;
    return tx_hasher_sum64(&hasher) == disk.seal;
}

static enum tx_status read_from(struct txfs *fs, int fd, uint64_t from, struct tx_buf *data,
                                struct tx_error *err)
{
    struct txio_stat stat;
    uint8_t *bytes;
    TX_TRY(txio_stat_fd(fs->io, fd, &stat, err));
    if (stat.size < from || stat.size - from > OTHERS_SIZE_MAX) {
        return tx_error_set(err, TX_ECORRUPT, "undo/others has an impossible size");
    }
    TX_TRY(tx_buf_extend(data, (size_t)(stat.size - from), &bytes, err));
    return txio_read_full(fs->io, fd, bytes, data->size, from, err);
}

enum tx_status txfs_others_load(struct txfs *fs, struct tx_buf *data, uint64_t *end,
                                struct tx_error *err)
{
    int dir;
    int fd = -1;
    tx_lsn lsn;
    uint64_t size;
    *end = 0;
    enum tx_status status = txfs_undo_dir(fs, &dir, err);
    if (status == TX_OK) {
        status = txio_open(fs->io, dir, "others", TXIO_READ, 0, &fd, err);
    }
    if (status == TX_ENOTFOUND) {
        return TX_OK;
    }
    TX_TRY(status);
    status = read_from(fs, fd, 0, data, err);
    txfs_close_read(fs->io, fd);
    TX_TRY(status);
    while (txfs_others_next(data, *end, &lsn, &size)) {
        *end += size;
    }
    return TX_OK;
}

/* Look at what others have appended since this process looked last. */
static enum tx_status catch_up(struct txfs *fs, struct tx_error *err)
{
    struct txfs_publisher *publisher = fs->publisher;
    TX_AUTO(tx_buf) data = TX_BUF_INIT;
    uint64_t at = 0;
    uint64_t size;
    tx_lsn lsn;
    TX_TRY(read_from(fs, publisher->others.fd, publisher->others.end, &data, err));
    while (txfs_others_next(&data, at, &lsn, &size)) {
        publisher->others.last = lsn;
        publisher->others.count++;
        at += size;
    }
    publisher->others.end += at;
    if (at == data.size) {
        return TX_OK;
    }
    int result = fs->io->ops->truncate(fs->io, publisher->others.fd, publisher->others.end);
    /* Crash here: good records, or these and a piece of one that is cut off again. */
    return result < 0 ? tx_error_os(err, -result, "cut undo/others") : TX_OK;
}

static enum tx_status open_others(struct txfs *fs, struct tx_error *err)
{
    struct txfs_publisher *publisher = fs->publisher;
    int dir;
    TX_TRY(txfs_undo_make(fs, &dir, err));
    txfs_close_read(fs->io, publisher->others.fd);
    publisher->others.fd = -1;
    publisher->others.end = 0;
    publisher->others.count = 0;
    publisher->others.last = 0;
    return txio_open(fs->io, dir, "others", TXIO_WRITE | TXIO_CREATE, 0600, &publisher->others.fd,
                     err);
}

/* Another process may have shortened the file, which makes it another file. */
static enum tx_status find_end(struct txfs *fs, struct tx_error *err)
{
    struct txfs_publisher *publisher = fs->publisher;
    struct txio_stat stat = {.nlink = 0};
    if (publisher->others.fd >= 0) {
        TX_TRY(txio_stat_fd(fs->io, publisher->others.fd, &stat, err));
    }
    if (stat.nlink == 0 || stat.size < publisher->others.end) {
        TX_TRY(open_others(fs, err));
        TX_TRY(txio_stat_fd(fs->io, publisher->others.fd, &stat, err));
    }
    return stat.size == publisher->others.end ? TX_OK : catch_up(fs, err);
}

enum tx_status txfs_others_append(struct txfs *fs, const struct ktm_commit_info *commit,
                                  struct tx_error *err)
{
    TX_AUTO(tx_buf) data = TX_BUF_INIT;
    struct txfs_publisher *publisher = fs->publisher;
    const struct txfs_steps none = {NULL, 0};
    TX_TRY(find_end(fs, err));
    if (publisher->others.count > 0 && publisher->others.last >= commit->lsn) {
        return TX_OK; /* by a publisher that died before it could say so */
    }
    TX_TRY(txfs_changes_encode(fs, commit, &none, &data, err));
    struct iovec part = {data.data, data.size};
    /* Crash here: a piece of a record at the end, which counts as none. */
    TX_TRY(txio_write_full(fs->io, publisher->others.fd, &part, 1, publisher->others.end, err));
    publisher->others.end += data.size;
    publisher->others.last = commit->lsn;
    publisher->others.count++;
    return TX_OK;
}

/* Where the newest records begin that history wants. */
static uint64_t newest_from(const struct tx_buf *data, uint64_t drop)
{
    uint64_t at = 0;
    uint64_t size;
    tx_lsn lsn;
    while (drop > 0 && txfs_others_next(data, at, &lsn, &size)) {
        at += size;
        drop--;
    }
    return at;
}

static uint64_t count_records(const struct tx_buf *data)
{
    uint64_t count = 0;
    uint64_t at = 0;
    uint64_t size;
    tx_lsn lsn;
    for (; txfs_others_next(data, at, &lsn, &size); at += size) {
        count++;
    }
    return count;
}

enum tx_status txfs_others_plan(struct txfs *fs, uint64_t *size, struct tx_buf *fresh,
                                struct tx_error *err)
{
    TX_AUTO(tx_buf) data = TX_BUF_INIT;
    uint64_t end;
    TX_TRY(txfs_others_load(fs, &data, &end, err));
    *size = end;
    uint64_t count = count_records(&data);
    uint64_t kept = fs->history_count_max;
    bool many = count > kept && (count > 2 * kept + OTHERS_KEPT_MIN || end > OTHERS_BYTES_MIN);
    if (!many) {
        return TX_OK;
    }
    uint64_t from = newest_from(&data, count - kept);
    if (from < end) { /* an empty history keeps one record: the file does not go away */
        TX_TRY(tx_buf_append(fresh, data.data + from, (size_t)(end - from), err));
        *size = fresh->size;
    }
    return TX_OK;
}

enum tx_status txfs_others_replace(struct txfs *fs, const struct tx_buf *fresh,
                                   struct tx_error *err)
{
    int dir;
    TX_TRY(txfs_undo_make(fs, &dir, err));
    /* Crash here: the longer file; the next steady point shortens it. */
    return txio_replace_file(fs->io, dir, "others", fresh->data, fresh->size, err);
}
