/* SPDX-License-Identifier: MIT */
/* History and revert: a commit is undone by a new transaction of inverse changes. */
#include <stdio.h>

#include "store/store_internal.h"

enum tx_status txstore_history(struct txstore *store, ktm_commit_fn *fn, void *arg,
                               struct tx_error *err)
{
    return txfs_history(store->fs, fn, arg, err);
}

struct revert_job {
    struct ktm_txn *txn;
    tx_lsn lsn;
    bool found;
};

static enum tx_status revert_registry(void *arg, const struct ktm_commit_info *commit,
                                      struct tx_error *err)
{
    struct revert_job *job = arg;
    if (commit->lsn != job->lsn) {
        return TX_OK;
    }
    job->found = true;
    return txreg_revert(job->txn, commit->entries, err);
}

static enum tx_status revert_build(struct txstore *store, struct revert_job *job,
                                   struct tx_error *err)
{
    TX_TRY(txfs_history(store->fs, revert_registry, job, err));
    if (!job->found) {
        return tx_error_set(err, TX_ENOTFOUND, "not in the history any more");
    }
    return txfs_revert(job->txn, job->lsn, err);
}

enum tx_status txstore_revert(struct txstore *store, tx_lsn lsn, tx_lsn *new_lsn,
                              struct tx_error *err)
{
    char text[32];
    struct ktm_begin_options options = {.description = text};
    struct revert_job job = {.lsn = lsn};
    (void)snprintf(text, sizeof text, "revert %llu", (unsigned long long)lsn);
    enum tx_status status = ktm_begin(store->tm, &options, &job.txn, err);
    if (status != TX_OK) {
        return status;
    }
    status = revert_build(store, &job, err);
    if (status != TX_OK) {
        ktm_rollback(job.txn);
        tx_error_prefix(err, "%s", text);
        return status;
    }
    return ktm_commit(job.txn, new_lsn, err);
}
