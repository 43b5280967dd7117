/* SPDX-License-Identifier: MIT */
/*
 * Durable prepared transactions: a PREPARE record says all that a commit would, a DECIDE record
 * says later, from any process, what becomes of it. In between the transaction survives power
 * cuts, keeps its keys, its directory tx/<id>/ and its part of the log.
 */
#include "base/invariant.h"
#include "base/mutant.h"
#include "ktm/ktm_internal.h"

static enum tx_status prepare_steps(struct ktm_run *run, struct tx_error *err)
{
    TX_TRY(ktm_txn_enter(run->txn, err));
    if (run->tm->read_only) {
        return tx_error_set(err, TX_EREADONLY, "store is open read-only");
    }
    TX_TRY(ktm_txn_enlist(run->txn, err));
    TX_TRY(ktm_txn_flush(run->txn, err));
    /* The decision must be possible however full the disk is by then. */
    if (!TX_MUTANT(23)) { /* MUTANT_23: rolling back needs room that nobody kept */
        TX_TRY(txlog_reserve(run->tm->log, KTM_DECISION_SIZE, err));
    }
    run->reserved = true;
    TX_TRY(ktm_run_append(run, err));
    run->reserved = false; /* now the decision's */
    /* Crash here: prepared and in doubt, or aborted; nobody was told either. */
    TX_TRY(ktm_run_force(run, err));
    /* A PREPARE has no effects to carry out; this only retires `changes`. A failure is met again by
     * whoever decides. */
    TX_IGNORE(ktm_publish(run->tm, run->next_lsn, NULL, NULL));
    return TX_OK;
}

enum tx_status ktm_prepare(struct ktm_txn *txn, struct tx_error *err)
{
    struct ktm *tm = txn->tm;
    TX_AUTO(ktm_run) run = {
        .tm = tm,
        .txn = txn,
        .kind = KTM_PREPARE,
        .id = txn->id,
        .keys = TX_BUF_INIT,
        .head = TX_BUF_INIT,
    };
    enum tx_status status = prepare_steps(&run, err);
    if (run.reserved) {
        txlog_unreserve(tm->log, KTM_DECISION_SIZE);
    }
    if (status != TX_OK) {
        char text[KTM_ID_TEXT_SIZE];
        ktm_id_format(&txn->id, text);
        tx_error_prefix(err, "prepare transaction %s", text);
    }
    if (txn->keep_directory) {
        ktm_txn_free(txn);
    } else {
        ktm_rollback(txn);
    }
    return status;
}

static enum tx_status decide_append(struct ktm_run *run, const struct ktm_logged *logged,
                                    enum ktm_outcome outcome, struct tx_error *err)
{
    struct ktm_decision decision = {
        .outcome = outcome,
        .epoch = run->id.epoch,
        .sequence = run->id.sequence,
        .prepare_lsn = logged->at.lsn,
        .time_ns = run->tm->io->ops->realtime_ns(run->tm->io),
    };
    run->has_effects = outcome == KTM_DECIDE_COMMIT;
    run->entries = logged->record.entries;
    run->prepared = &logged->record;
    run->needs_barrier = ktm_barrier_needed(run);
    TX_TRY(ktm_decision_encode(&decision, &run->head, err));
    return ktm_run_append(run, err);
}

static enum tx_status decide_steps(struct ktm_run *run, enum ktm_outcome outcome,
                                   struct tx_error *err)
{
    TX_AUTO(ktm_logged) logged = KTM_LOGGED_INIT;
    /* After this no decision is under way: we hold the id, and what the dead appended is
     * published, which takes what they decided out of the table. */
    TX_TRY(ktm_settle(run->tm, err));
    enum ktm_state state;
    enum tx_status status = ktm_prepared_read(run->tm, &run->id, &logged, &state, err);
    if (TX_MUTANT(20) && status == TX_ENOTFOUND) { /* Citus #6548: unknown is taken for done */
        return TX_OK;
    }
    TX_TRY(status);
    TX_TRY(decide_append(run, &logged, outcome, err));
    txlog_unreserve(run->tm->log, KTM_DECISION_SIZE);
    /* Crash here: decided, or still prepared; the caller was told neither. */
    TX_TRY(ktm_run_force(run, err));
    ktm_state_move(&state, outcome == KTM_DECIDE_COMMIT ? KTM_COMMITTED : KTM_ABORTED);
    return ktm_run_publish(run, err);
}

static enum tx_status decide(struct ktm *tm, const struct ktm_id *id, enum ktm_outcome outcome,
                             tx_lsn *lsn, struct tx_error *err)
{
    struct ktm_hold hold = {.taken = false};
    TX_AUTO(ktm_run) run = {
        .tm = tm,
        .kind = KTM_DECIDE,
        .id = *id,
        .keys = TX_BUF_INIT,
        .head = TX_BUF_INIT,
    };
    TX_TRY(ktm_enter(tm, err));
    if (tm->read_only) {
        return tx_error_set(err, TX_EREADONLY, "store is open read-only");
    }
    TX_TRY(ktm_hold_take(tm, id, &hold, err));
    enum tx_status status = decide_steps(&run, outcome, err);
    if (status == TX_OK && outcome == KTM_DECIDE_ROLLBACK) {
        /* What cannot be removed now is removed by the checkpoint that trims the PREPARE. */
        TX_IGNORE(ktm_staging_remove(tm, id, NULL));
    }
    ktm_hold_drop(tm, &hold);
    if (lsn && (status == TX_OK || status == TX_EPENDING)) {
        *lsn = run.lsn;
    }
    return status;
}

enum tx_status ktm_commit_prepared(struct ktm *tm, const struct ktm_id *id, tx_lsn *lsn,
                                   struct tx_error *err)
{
    char text[KTM_ID_TEXT_SIZE];
    enum tx_status status = decide(tm, id, KTM_DECIDE_COMMIT, lsn, err);
    if (status != TX_OK && status != TX_EPENDING) {
        ktm_id_format(id, text);
        tx_error_prefix(err, "commit prepared transaction %s", text);
    }
    return status;
}

enum tx_status ktm_rollback_prepared(struct ktm *tm, const struct ktm_id *id, struct tx_error *err)
{
    char text[KTM_ID_TEXT_SIZE];
    enum tx_status status = decide(tm, id, KTM_DECIDE_ROLLBACK, NULL, err);
    if (status != TX_OK) {
        ktm_id_format(id, text);
        tx_error_prefix(err, "roll back prepared transaction %s", text);
    }
    return status;
}
