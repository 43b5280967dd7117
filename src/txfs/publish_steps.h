/* SPDX-License-Identifier: MIT */
/* Carrying out one commit: txfs_redo.c has the list, publish_steps.c and publish_amend.c its lines.
 */
#ifndef TXFS_PUBLISH_STEPS_H
#define TXFS_PUBLISH_STEPS_H

#include "txfs/publish_internal.h"

struct txfs_publish {
    struct txfs_work work;
    const struct ktm_commit_info *commit;
    struct txfs_steps steps;
    struct tx_map moved; /* tree key of the source of each moved entry -> its step */
};

static inline void txfs_publish_auto(struct txfs_publish *publish)
{
    txfs_parents_drop(&publish->work.parents);
    txfs_close_read(publish->work.fs->io, publish->work.slots_dir);
    txfs_steps_release(&publish->steps);
    tx_map_release(&publish->moved);
}

enum tx_status txfs_publish_index_moves(struct txfs_publish *publish,
                                        struct tx_error *err) TX_CHECKED;
enum tx_status txfs_publish_pull(struct txfs_publish *publish, struct tx_error *err) TX_CHECKED;
enum tx_status txfs_publish_place(struct txfs_publish *publish, struct tx_error *err) TX_CHECKED;
enum tx_status txfs_publish_links(struct txfs_publish *publish, struct tx_error *err) TX_CHECKED;
enum tx_status txfs_publish_amend(struct txfs_publish *publish, struct tx_error *err) TX_CHECKED;
enum tx_status txfs_publish_directories(struct txfs_publish *publish,
                                        struct tx_error *err) TX_CHECKED;

#endif
