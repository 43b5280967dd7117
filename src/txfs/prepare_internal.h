/* SPDX-License-Identifier: MIT */
/* Parts of the vote. */
#ifndef TXFS_PREPARE_INTERNAL_H
#define TXFS_PREPARE_INTERNAL_H

#include "txfs/overlay.h"

/* fs_prepare.c */
enum tx_status txfs_prepare(void *rm, struct ktm_txn *txn, void *view, struct ktm_vote *vote,
                            struct tx_error *err) TX_CHECKED;
/* validate.c: compare the tree with what was first found. Votes to read the names of directories
 * that go. */
enum tx_status txfs_validate(struct txfs_view *view, struct ktm_vote *vote,
                             struct tx_error *err) TX_CHECKED;
/* fs_conflict.c: TX_ECONFLICT with a text that names who changed `real`. */
enum tx_status txfs_conflict(struct txfs_view *view, const char *real,
                             const struct txfs_identity *before, const struct txfs_identity *now,
                             struct tx_error *err);

#endif
