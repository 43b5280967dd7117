/* SPDX-License-Identifier: MIT */
/* The walk over what is kept of a commit, which makes the records of `sums` (sums.c). */
#ifndef TXFS_KEPT_WALK_H
#define TXFS_KEPT_WALK_H

#include "txfs/undo_formats.h"

/* A record as read. */
struct txfs_sum {
    const char *path;
    const uint8_t *rest; /* TXFS_SUM_SIZE bytes */
};
bool txfs_sum_next(struct tx_reader *reader, struct txfs_sum *sum);

/* Records of everything below undo/<L> but its sums, by path. */
struct txfs_kept {
    struct tx_buf records;
    uint64_t count;
    uint64_t bytes;
};
static inline void txfs_kept_auto(struct txfs_kept *kept)
{
    tx_buf_release(&kept->records);
}
enum tx_status txfs_kept_walk(struct txfs *fs, tx_lsn lsn, struct txfs_kept *kept,
                              struct tx_error *err) TX_CHECKED;
enum tx_status txfs_sums_read(struct txfs *fs, tx_lsn lsn, struct tx_buf *data,
                              struct txfs_sums_disk *disk, struct tx_error *err) TX_CHECKED;

#endif
