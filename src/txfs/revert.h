/* SPDX-License-Identifier: MIT */
/*
 * Reverting a commit: txfs_revert.c has the order, revert_verify.c asks whether the commit's work
 * is still as it left it, revert_restore.c brings old objects back, revert_names.c finds other
 * names of theirs.
 */
#ifndef TXFS_REVERT_H
#define TXFS_REVERT_H

#include "txfs/publish_internal.h"

struct txfs_revert_job {
    struct txfs_view *view;
    struct txfs *fs;
    struct ktm_txn *txn;
    int undo_dir;
    struct txfs_changes changes;
    struct tx_map moved; /* tree key of the source of each moved entry -> its step */
    /* ino -> a name (char *) of an old file that has several: one that was brought back, or
     * one that it still has in the tree. */
    struct tx_map names;
};

/* Find the names in the tree of old files that have several. */
enum tx_status txfs_revert_find_names(struct txfs_revert_job *job, struct tx_error *err) TX_CHECKED;
/* Note a name, unless there is one already. */
enum tx_status txfs_revert_note_name(struct txfs_revert_job *job, const struct txio_stat *stat,
                                     const char *path, struct tx_error *err) TX_CHECKED;

/* TX_ECONFLICT, naming the path, when the step's object is not what the commit left. */
enum tx_status txfs_revert_verify(struct txfs_revert_job *job, const struct txfs_step *step,
                                  struct tx_error *err) TX_CHECKED;
/* Put back what the step changed in place. */
enum tx_status txfs_revert_amendment(struct txfs_revert_job *job, const struct txfs_step *step,
                                     struct tx_error *err) TX_CHECKED;
/* Bring the object in the step's slot back to `path`, with all below it. */
enum tx_status txfs_revert_object(struct txfs_revert_job *job, const struct txfs_step *step,
                                  const char *path, struct tx_error *err) TX_CHECKED;

#endif
