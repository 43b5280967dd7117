/* SPDX-License-Identifier: MIT */
/* Committing an active transaction: the body of commit_steps is the protocol. */
#include "ktm/ktm_internal.h"

/* 1. Pre-prepare: the RMs turn what they cached into entries. */
static enum tx_status flush(struct ktm_run *run, struct tx_error *err)
{
    TX_TRY(ktm_txn_enter(run->txn, err));
    TX_TRY(ktm_txn_enlist(run->txn, err));
    return ktm_txn_flush(run->txn, err);
}

/* 2. Without entries there is nothing to decide: no record, no force. The snapshot that was read is
 * a state that the world had, so that a reader needs no validation, serializable or not. */
static bool nothing_to_write(const struct ktm_run *run)
{
    return run->txn->entry_count == 0;
}

/* 3. Vote, barriers, conflicts, and the record in its place in the log. */
static enum tx_status append(struct ktm_run *run, struct tx_error *err)
{
    return ktm_run_append(run, err);
}

/* 4. The one force: on return the transaction is committed. */
static enum tx_status force(struct ktm_run *run, struct tx_error *err)
{
    TX_TRY(ktm_run_force(run, err));
    ktm_state_move(&run->txn->state, KTM_COMMITTED);
    return TX_OK;
}

/* 5. Carry out what is durable, ours and everybody's before. */
static enum tx_status publish(struct ktm_run *run, struct tx_error *err)
{
    TX_TRY(ktm_run_publish(run, err));
    ktm_state_move(&run->txn->state, KTM_ENDED);
    return TX_OK;
}

static enum tx_status commit_steps(struct ktm_run *run, struct tx_error *err)
{
    TX_TRY(flush(run, err));
    if (nothing_to_write(run)) {
        return TX_OK;
    }
    TX_TRY(append(run, err));
    TX_TRY(force(run, err));
    return publish(run, err);
}

enum tx_status ktm_commit(struct ktm_txn *txn, tx_lsn *lsn, struct tx_error *err)
{
    TX_AUTO(ktm_run) run = {
        .tm = txn->tm,
        .txn = txn,
        .kind = KTM_COMMIT,
        .has_effects = true,
        .id = txn->id,
        .keys = TX_BUF_INIT,
        .head = TX_BUF_INIT,
    };
    enum tx_status status = commit_steps(&run, err);
    bool decided = status == TX_OK || status == TX_EPENDING;
    if (!decided) {
        char text[KTM_ID_TEXT_SIZE];
        ktm_id_format(&txn->id, text);
        tx_error_prefix(err, "commit transaction %s", text);
    }
    if (txn->keep_directory) {
        ktm_txn_free(txn);
    } else {
        ktm_rollback(txn); /* nothing of it is in the log */
    }
    if (lsn && decided) {
        *lsn = run.lsn;
    }
    return status;
}
