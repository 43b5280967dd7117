/* SPDX-License-Identifier: MIT */
/* undo/steady: the LSN below which the tree holds every commit durably, without the log. */
#include <string.h>

#include "base/invariant.h"
#include "txfs/undo_formats.h"

static enum tx_status read_mark(struct txfs *fs, int fd, struct txfs_mark *mark,
                                struct tx_error *err)
{
    uint8_t bytes[TXFS_MARK_SIZE];
    struct txfs_mark_disk disk;
    struct txio_stat stat;
    TX_TRY(txio_stat_fd(fs->io, fd, &stat, err));
    if (stat.size == sizeof(bytes)) {
        TX_TRY(txio_read_full(fs->io, fd, bytes, sizeof(bytes), 0, err));
    }
    if (stat.size != sizeof(bytes) || !tx_fields_decode(txfs_mark_fields, &disk, bytes) ||
        disk.magic != TXFS_MARK_MAGIC || disk.version != TXFS_MARK_VERSION ||
        disk.seal != tx_hash64(bytes, sizeof(bytes) - 8, 0)) {
        return tx_error_set(err, TX_ECORRUPT, "undo/steady is damaged");
    }
    *mark = (struct txfs_mark){disk.lsn, disk.history_lsn, disk.others_size};
    return TX_OK;
}

enum tx_status txfs_mark_read(struct txfs *fs, struct txfs_mark *mark, struct tx_error *err)
{
    int dir;
    int fd = -1;
    enum tx_status status = txfs_undo_dir(fs, &dir, err);
    if (status == TX_OK) {
        status = txio_open(fs->io, dir, "steady", TXIO_READ, 0, &fd, err);
    }
    if (status == TX_ENOTFOUND) {
        *mark = (struct txfs_mark){.lsn = 0};
        return TX_OK;
    }
    TX_TRY(status);
    status = read_mark(fs, fd, mark, err);
    txfs_close_read(fs->io, fd);
    return status;
}

enum tx_status txfs_mark_write(struct txfs *fs, const struct txfs_mark *mark, struct tx_error *err)
{
    struct txfs_mark_disk disk = {
        .magic = TXFS_MARK_MAGIC,
        .version = TXFS_MARK_VERSION,
        .lsn = mark->lsn,
        .history_lsn = mark->history_lsn,
        .others_size = mark->others_size,
    };
    uint8_t bytes[TXFS_MARK_SIZE];
    int dir;
    TX_INVARIANT(tx_fields_size(txfs_mark_fields) == sizeof(bytes));
    TX_TRY(txfs_undo_make(fs, &dir, err));
    tx_fields_encode(txfs_mark_fields, &disk, bytes);
    disk.seal = tx_hash64(bytes, sizeof(bytes) - 8, 0);
    tx_fields_encode(txfs_mark_fields, &disk, bytes);
    /* Crash here: the old mark; recovery converges to commits that are durable already. */
    return txio_replace_file(fs->io, dir, "steady", bytes, sizeof(bytes), err);
}
