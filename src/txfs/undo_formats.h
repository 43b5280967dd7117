/* SPDX-License-Identifier: MIT */
/* The files below undo/ on disk: one structure and one table for each (undo_formats.c). */
#ifndef TXFS_UNDO_FORMATS_H
#define TXFS_UNDO_FORMATS_H

#include "txfs/publish_internal.h"

/* --- steady --- */

#define TXFS_MARK_MAGIC 0x3130445453585454u /* "TTXSTD01" as bytes */
#define TXFS_MARK_VERSION 1u
#define TXFS_MARK_SIZE 48u

struct txfs_mark_disk {
    uint64_t magic;
    uint32_t version;
    uint64_t lsn;
    uint64_t history_lsn;
    uint64_t others_size;
    uint64_t seal;
};
extern const struct tx_field txfs_mark_fields[];

/* --- <L>/changes, and each record of others --- */

#define TXFS_CHANGES_MAGIC 0x3130474843585454u /* "TTXCHG01" as bytes */
#define TXFS_CHANGES_VERSION 1u
#define TXFS_CHANGES_HEAD_SIZE 120u
#define TXFS_CHANGES_STEP_SIZE 16u
#define TXFS_ENTRY_HEADER_SIZE 8u /* of the change set, see ktm_cursor_next */

struct txfs_changes_disk {
    uint64_t magic;
    uint32_t version;
    uint32_t description_size;
    uint64_t file_size;
    uint64_t lsn;
    uint64_t next_lsn;
    uint64_t epoch;
    uint64_t sequence;
    uint64_t snapshot_lsn;
    int64_t time_ns;
    uint64_t entry_count;
    uint8_t boot_id[16];
    uint64_t entries_size;
    uint32_t step_count;
    uint64_t seal;
};

extern const struct tx_field txfs_changes_fields[];

/* --- <L>/sums --- */

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
    uint32_t flags; /*
enum txfs_sum_flags */
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

/* --- <L>/s<i> --- */

#define TXFS_SAVED_MAGIC 0x3130444556415354u /* "TSAVED01" as bytes */
#define TXFS_SAVED_VERSION 1u
#define TXFS_SAVED_HEAD_SIZE 88u

struct txfs_saved_disk {
    uint64_t magic;
    uint32_t version;
    uint32_t mask;
    uint32_t mode;
    uint32_t uid;
    uint32_t gid;
    uint64_t ino;
    uint64_t size;
    int64_t atime_ns;
    int64_t mtime_ns;
    uint32_t xattrs_size;
    uint32_t extent_count;
    uint64_t file_size;
    uint64_t seal;
};

extern const struct tx_field txfs_saved_fields[];

#endif
