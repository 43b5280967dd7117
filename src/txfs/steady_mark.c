/* SPDX-License-Identifier: MIT */
/* undo/steady: the LSN below which the tree holds every commit durably, without the log. */
#include <string.h>

#include "base/invariant.h"
#include "txfs/publish_internal.h"

#define MARK_MAGIC 0x3130445453585454u /* "TTXSTD01" as bytes */
#define MARK_VERSION 1u
#define MARK_SIZE 40u

struct mark_disk {
    uint64_t magic;
    uint32_t version;
    uint64_t lsn;
    uint64_t others_size;
    uint64_t seal;
};

const struct tx_field txfs_mark_fields[] = {
    TX_FIELD(struct mark_disk, magic, "\"TTXSTD01\""),
    TX_FIELD(struct mark_disk, version, "of the format"),
    TX_FIELD_ZERO(4),
    TX_FIELD(struct mark_disk, lsn, "commits below are durable in the tree"),
    TX_FIELD(struct mark_disk, others_size, "bytes of `others` that are durable"),
    TX_FIELD(struct mark_disk, seal, "XXH3-64 of what is before"),
    TX_FIELD_END,
};

static enum tx_status read_mark(struct txfs *fs, int fd, struct mark_disk *mark,
                                struct tx_error *err)
{
    uint8_t bytes[MARK_SIZE];
    struct mark_disk disk;
    struct txio_stat stat;
    TX_TRY(txio_stat_fd(fs->io, fd, &stat, err));
    if (stat.size == MARK_SIZE) {
        TX_TRY(txio_read_full(fs->io, fd, bytes, sizeof(bytes), 0, err));
    }
    if (stat.size != MARK_SIZE || !tx_fields_decode(txfs_mark_fields, &disk, bytes) ||
        disk.magic != MARK_MAGIC || disk.version != MARK_VERSION ||
        disk.seal != tx_hash64(bytes, MARK_SIZE - 8, 0)) {
        return tx_error_set(err, TX_ECORRUPT, "undo/steady is damaged");
    }
    *mark = disk;
    return TX_OK;
}

enum tx_status txfs_steady_mark_read(struct txfs *fs, tx_lsn *lsn, uint64_t *others_size,
                                     struct tx_error *err)
{
    struct mark_disk mark = {.lsn = 0};
    int dir;
    int fd = -1;
    enum tx_status status = txfs_undo_dir(fs, &dir, err);
    if (status == TX_OK) {
        status = txio_open(fs->io, dir, "steady", TXIO_READ, 0, &fd, err);
    }
    if (status == TX_OK) {
        status = read_mark(fs, fd, &mark, err);
        txfs_close_read(fs->io, fd);
    } else if (status == TX_ENOTFOUND) { /* nothing was ever steady */
        status = TX_OK;
    }
    TX_TRY(status);
    *lsn = mark.lsn;
    if (others_size != NULL) {
        *others_size = mark.others_size;
    }
    return TX_OK;
}

enum tx_status txfs_steady_mark_write(struct txfs *fs, tx_lsn lsn, uint64_t others_size,
                                      struct tx_error *err)
{
    struct mark_disk disk = {
        .magic = MARK_MAGIC, .version = MARK_VERSION, .lsn = lsn, .others_size = others_size};
    uint8_t bytes[MARK_SIZE];
    int dir;
    TX_INVARIANT(tx_fields_size(txfs_mark_fields) == MARK_SIZE);
    TX_TRY(txfs_undo_make(fs, &dir, err));
    tx_fields_encode(txfs_mark_fields, &disk, bytes);
    disk.seal = tx_hash64(bytes, MARK_SIZE - 8, 0);
    tx_fields_encode(txfs_mark_fields, &disk, bytes);
    /* Crash here: the old mark; recovery converges to commits that are durable already. */
    return txio_replace_file(fs->io, dir, "steady", bytes, sizeof(bytes), err);
}
