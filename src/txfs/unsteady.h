/* SPDX-License-Identifier: MIT */
/* Commits that may be carried out in part, and bringing the tree to them (converge*.c). */
#ifndef TXFS_UNSTEADY_H
#define TXFS_UNSTEADY_H

#include "txfs/publish_internal.h"

/* One commit that may be carried out in part. */
struct txfs_unsteady {
    struct ktm_commit_info info; /* entries lead into `entries` */
    struct tx_buf entries;
    struct txfs_steps steps;
    bool began;       /* undo/<L>/changes was there, torn or whole: names may have changed */
    bool has_changes; /* undo/<L>/changes was there and whole ... */
    bool same_boot;   /* ... and written in this run of the system */
    bool must_write;  /* it has to be written, or says something else than we know now */
};
/* Bring the tree to what these commits, in LSN order, say. */
enum tx_status txfs_converge(struct txfs *fs, struct txfs_unsteady *commits, size_t count,
                             struct tx_error *err) TX_CHECKED;
void txfs_unsteady_release(struct txfs_unsteady *commit);
static inline void txfs_unsteady_auto(struct txfs_unsteady *commit)
{
    txfs_unsteady_release(commit);
}
/* Copy a delivered commit. */
enum tx_status txfs_unsteady_load(const struct ktm_commit_info *info, struct txfs_unsteady *commit,
                                  struct tx_error *err) TX_CHECKED;

#endif
