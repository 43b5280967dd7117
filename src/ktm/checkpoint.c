/* SPDX-License-Identifier: MIT */
/*
 * The checkpoint: everything published is made durable without the log, then the log is trimmed to
 * what somebody still needs: an undecided transaction its PREPARE, a reader the commits after its
 * snapshot, and any DECIDE that stays the PREPARE that it decides.
 */
#include <inttypes.h>

#include "base/mutant.h"
#include "ktm/ktm_internal.h"

static enum tx_status steady_all(struct ktm *tm, const struct ktm_published *state,
                                 struct tx_error *err)
{
    /* MUTANT_45: the log is trimmed of what only the page cache has. */
    if (atomic_load(&tm->shared->steady) == state->lsn || TX_MUTANT(45)) {
        return TX_OK;
    }
    for (unsigned rm = 0; rm < KTM_RM_MAX; rm++) {
        if (!tm->rm_ops[rm]) {
            continue;
        }
        /* Crash here: some RMs are steady further than others; each is redone from its own LSN. */
        enum tx_status status =
            tm->rm_ops[rm]->steady(tm->rms[rm], state->lsn, state->tokens[rm], err);
        if (status != TX_OK) {
            if (status != TX_ENOMEM && status != TX_ELIMIT) {
                txlog_poison(tm->log); /* a sync may have failed: a second one would lie */
            }
            tx_error_prefix(err, "checkpoint: %s", tm->rm_ops[rm]->name);
            return status;
        }
    }
    atomic_store(&tm->shared->steady, state->lsn);
    return TX_OK;
}

/* The PREPARE at `stamp` must stay: nobody has decided it, or its DECIDE stays. */
static bool must_stay(uint64_t stamp, uint64_t decided, tx_lsn limit)
{
    if (TX_MUTANT(16)) { /* forgotten early: decided is taken for carried out */
        return stamp != 0 && stamp - 1 < limit && decided == 0;
    }
    return stamp != 0 && stamp - 1 < limit && (decided == 0 || decided - 1 >= limit);
}

/* Lower `limit` to what the prepared transactions need; one PREPARE that is kept can bring other
 * records with it, so until nothing changes. */
static tx_lsn prepared_limit(struct ktm_shared *shared, tx_lsn limit)
{
    tx_lsn before;
    do {
        before = limit;
        for (unsigned i = 0; i < KTM_PREPARED_MAX; i++) {
            uint64_t stamp = atomic_load(&shared->prepared[i].stamp);
            if (must_stay(stamp, atomic_load(&shared->prepared[i].decided), limit)) {
                limit = stamp - 1;
            }
        }
        uint64_t folded = atomic_load(&shared->folded_prepare);
        if (must_stay(folded, atomic_load(&shared->folded_decide), limit)) {
            limit = folded - 1;
        }
    } while (limit != before);
    return limit;
}

static void free_decided(struct ktm_shared *shared, tx_lsn trimmed)
{
    for (unsigned i = 0; i < KTM_PREPARED_MAX; i++) {
        uint64_t decided = atomic_load(&shared->prepared[i].decided);
        if (atomic_load(&shared->prepared[i].stamp) != 0 && decided != 0 && decided - 1 < trimmed) {
            atomic_store(&shared->prepared[i].stamp, 0);
        }
    }
    if (atomic_load(&shared->folded_decide) - 1 < trimmed) { /* none: 0 - 1 is above everything */
        atomic_store(&shared->folded_prepare, 0);
        atomic_store(&shared->folded_decide, 0);
    }
    if (ktm_prepared_count(shared) > KTM_PREPARED_MAX / 2) {
        ktm_prepared_fold(shared);
    }
}

static enum tx_status trim_all(struct ktm *tm, const struct ktm_published *state,
                               enum ktm_trim trim, struct tx_error *err)
{
    struct txlog_info info;
    /* MUTANT_54: nobody asks who reads. */
    tx_lsn oldest = TX_MUTANT(54) ? state->lsn : ktm_snapshot_oldest(tm, state->lsn);
    /* MUTANT_9: nobody asks who is prepared. */
    tx_lsn limit = TX_MUTANT(9) ? oldest : prepared_limit(tm->shared, oldest);
    txlog_get_info(tm->log, &info);
    if (limit < info.start_lsn || trim == KTM_KEEP_LOG) {
        limit = info.start_lsn; /* below it: the slot of a dead reader, not yet its heir's */
    }
    if (limit > info.start_lsn) {
        /* Crash here: the log begins where it did, and what it repeats is steady already. */
        TX_TRY(txlog_trim(tm->log, limit, err));
    }
    free_decided(tm->shared, limit);
    for (unsigned rm = 0; rm < KTM_RM_MAX; rm++) {
        if (tm->rm_ops[rm] && tm->rm_ops[rm]->trim) {
            TX_TRY(tm->rm_ops[rm]->trim(tm->rms[rm], limit, oldest, err));
        }
    }
    return TX_OK;
}

static enum tx_status checkpoint_held(struct ktm *tm, struct ktm_published *state,
                                      enum ktm_trim trim, uint64_t *removed, struct tx_error *err)
{
    /* Whoever held the locks before may have met a failing sync: ours would succeed and lie. */
    if (!TX_MUTANT(82)) {
        TX_TRY(ktm_enter(tm, err));
    }
    TX_TRY(ktm_publish_held(tm, NULL, err));
    if (!TX_MUTANT(10)) {
        ktm_published_read(tm, state);
    }
    TX_TRY(steady_all(tm, state, err));
    TX_TRY(trim_all(tm, state, trim, err));
    /* Leftovers cost space and nothing else; the next sweep tries again. */
    TX_IGNORE(ktm_sweep(tm, removed, NULL));
    return TX_OK;
}

enum tx_status ktm_checkpoint_run(struct ktm *tm, enum ktm_trim trim, uint64_t *removed,
                                  struct tx_error *err)
{
    struct ktm_published state;
    if (TX_MUTANT(10)) { /* SQLite 3.7.0 to 3.51.2: what was true before another checkpoint */
        ktm_published_read(tm, &state);
    }
    TX_TRY(txio_pair_lock(&tm->checkpoint, err));
    enum tx_status status = txio_pair_lock(&tm->publish, err);
    if (status == TX_OK) {
        status = checkpoint_held(tm, &state, trim, removed, err);
        ktm_publish_unlock(tm);
    }
    txio_pair_unlock(&tm->checkpoint);
    return status;
}

enum tx_status ktm_checkpoint(struct ktm *tm, struct tx_error *err)
{
    uint64_t removed = 0;
    struct txlog_info info;
    TX_TRY(ktm_enter(tm, err));
    txlog_get_info(tm->log, &info);
    if (tm->salvage || info.at_rest) {
        return tx_error_set(err, TX_EREADONLY, "store is open for reading only");
    }
    TX_TRY(ktm_settle(tm, err)); /* what a dead process appended is durable or not, not between */
    return ktm_checkpoint_run(tm, KTM_TRIM_LOG, &removed, err);
}
