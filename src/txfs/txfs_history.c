/* SPDX-License-Identifier: MIT */
/* The commits that undo/ still knows. */
#include "txfs/publish_internal.h"

enum tx_status txfs_history(struct txfs *fs, ktm_commit_fn *fn, void *arg, struct tx_error *err)
{
    TX_AUTO(tx_buf) list = TX_BUF_INIT;
    TX_TRY(txfs_undo_list(fs, &list, err));
    const tx_lsn *lsns = (const tx_lsn *)(const void *)list.data;
    for (size_t i = 0; i < list.size / sizeof(*lsns); i++) {
        TX_AUTO(txfs_changes) changes = {.storage = TX_BUF_INIT};
        enum tx_status status = txfs_changes_read(fs, lsns[i], &changes, err);
        if (status == TX_ENOTFOUND) { /* trimmed, but for what was kept */
            continue;
        }
        TX_TRY(status);
        TX_TRY(fn(arg, &changes.info, err));
    }
    return TX_OK;
}
