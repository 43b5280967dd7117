/* SPDX-License-Identifier: MIT */
/* Records of commits: the content of undo/<L>/changes, many of them in undo/others. */
#ifndef TXFS_UNDO_CHANGES_H
#define TXFS_UNDO_CHANGES_H

#include "txfs/undo_formats.h"

/* Append a record to `out`, which has to be empty. */
enum tx_status txfs_changes_encode(struct txfs *fs, const struct ktm_commit_info *commit,
                                   const struct txfs_steps *steps, struct tx_buf *out,
                                   struct tx_error *err) TX_CHECKED;
#define TXFS_ANY_LSN UINT64_MAX
/* Verify a record and take it apart. Takes the bytes, whatever it answers. */
enum tx_status txfs_changes_decode(struct tx_buf *data, tx_lsn lsn, struct txfs_changes *changes,
                                   struct tx_error *err) TX_CHECKED;

#endif
