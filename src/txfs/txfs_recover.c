/* SPDX-License-Identifier: MIT */
/* Recovery of files: all commits since the steady point together. */
#include "txfs/unsteady.h"

struct recovery {
    struct txfs *fs;
    struct tx_buf commits; /* struct txfs_unsteady */
};

static void recovery_auto(struct recovery *recovery)
{
    struct txfs_unsteady *commits = (struct txfs_unsteady *)(void *)recovery->commits.data;
    for (size_t i = 0; i < recovery->commits.size / sizeof(*commits); i++) {
        txfs_unsteady_release(&commits[i]);
    }
    tx_buf_release(&recovery->commits);
}

static enum tx_status collect(void *arg, const struct ktm_commit_info *info, struct tx_error *err)
{
    struct recovery *recovery = arg;
    if (!txfs_commit_has_files(info)) {
        return recovery->fs->history_count_max > 0 ? txfs_others_append(recovery->fs, info, err)
                                                   : TX_OK;
    }
    TX_AUTO(txfs_unsteady) commit = {.entries = TX_BUF_INIT};
    TX_TRY(txfs_unsteady_load(info, &commit, err));
    TX_TRY(tx_buf_append(&recovery->commits, &commit, sizeof(commit), err));
    commit = (struct txfs_unsteady){.entries = TX_BUF_INIT}; /* it is the list's now */
    return TX_OK;
}

enum tx_status txfs_recover(void *rm, struct ktm *tm, tx_lsn after, tx_lsn upto,
                            uint8_t token[KTM_TOKEN_SIZE], struct tx_error *err)
{
    TX_AUTO(recovery) recovery = {.fs = rm, .commits = TX_BUF_INIT};
    TX_TRY(ktm_each_commit(tm, after, upto, collect, &recovery, err));
    struct txfs_unsteady *commits = (struct txfs_unsteady *)(void *)recovery.commits.data;
    size_t count = recovery.commits.size / sizeof(*commits);
    txfs_touched_all(recovery.fs); /* whatever was left by whom: the next steady point syncs all */
    enum tx_status status = count > 0 ? txfs_converge(recovery.fs, commits, count, err) : TX_OK;
    if (status != TX_OK) {
        tx_error_prefix(err, "recover files");
        return status;
    }
    tx_put64(token, upto);
    return TX_OK;
}
