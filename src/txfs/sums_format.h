/* SPDX-License-Identifier: MIT */
/* undo/<L>/sums on disk (sums.c), and the walk that makes its records (kept_walk.c). */
#ifndef TXFS_SUMS_FORMAT_H
#define TXFS_SUMS_FORMAT_H

#include "txfs/publish_internal.h"

#define TXFS_SUMS_MAGIC 0x31304d5553585454u /* "TTXSUM01" as bytes */
#define TXFS_SUMS_VERSION 1u
#define TXFS_SUMS_HEAD_SIZE 56u
#define TXFS_SUMS_SIZE_MAX (1u << 30)

struct txfs_sums_disk {
    uint64_t magic;
    uint32_t version;
    uint64_t record_count;
    uint64_t file_size;
    uint64_t lsn;
    uint64_t bytes; /* of all that is kept */
    uint64_t seal;
};
extern const struct tx_field txfs_sums_fields[];

/* One object: path below undo/<L>, then the fixed part. */
struct txfs_sum_disk {
    uint32_t flags; /* enum txfs_sum_flags */
    uint32_t mode;
    uint32_t uid;
    uint32_t gid;
    uint64_t size;
    uint64_t rdev;
    int64_t mtime_ns;
    uint64_t xattrs;        /* XXH3-64 of the block */
    struct tx_hash128 hash; /* of a file's content, of a link's target */
};
extern const struct tx_field txfs_sum_fields[];
#define TXFS_SUM_SIZE 64u

enum txfs_sum_flags {
    TXFS_SUM_UNREADABLE = 1 << 0, /* this user may not read it: only its attributes are known */
    TXFS_SUM_SHARED = 1 << 1,     /* the inode has names elsewhere, through which it may change */
};

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
