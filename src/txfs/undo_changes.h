/* SPDX-License-Identifier: MIT */
/* The header of undo/<L>/changes on disk (undo_changes.c, undo_changes_read.c). */
#ifndef TXFS_UNDO_CHANGES_H
#define TXFS_UNDO_CHANGES_H

#include "txfs/publish_internal.h"

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

/* Append a record to `out`, which has to be empty. */
enum tx_status txfs_changes_encode(struct txfs *fs, const struct ktm_commit_info *commit,
                                   const struct txfs_steps *steps, struct tx_buf *out,
                                   struct tx_error *err) TX_CHECKED;
#define TXFS_ANY_LSN UINT64_MAX
/* Verify a record and take it apart. Takes the bytes, whatever it answers. */
enum tx_status txfs_changes_decode(struct tx_buf *data, tx_lsn lsn, struct txfs_changes *changes,
                                   struct tx_error *err) TX_CHECKED;

#endif
