/* SPDX-License-Identifier: MIT */
/*
 * Forcing: leader and followers, across threads and processes. Whoever gets the force lock syncs
 * all that has been appended by then; the others sleep until it is done.
 *
 * Forces are counted. While force n runs, those whom it covers sleep on word[n & 1], those who came
 * too late on the other. At its end one of the latter is woken first, so that the disk has work
 * again, and then all of the former (COMMIT 9.3). A word changes after the lock is free and before
 * the waking: who looked at the word before it failed to get the lock cannot sleep through it. A
 * leader killed at any instruction is noticed by the time limit of the sleep.
 */
#include "base/mutant.h"
#include "txlog/txlog_internal.h"

#define ACQUIRE memory_order_acquire
#define RELEASE memory_order_release
#define SEQ_CST memory_order_seq_cst

enum { FORCE_SLEEP_NS = 20000000 };

static enum tx_status force_segment(struct txlog *log, uint64_t seq, struct tx_error *err)
{
    char name[LOG_NAME_SIZE];
    TX_AUTO(segment_handle) handle = {.fd = -1};
    segment_name(seq, name);
    TX_TRY(segment_acquire(log, seq, &handle, err));
    /* Crash here: any part of what is not durable; recovery finds the first gap and ends there. */
    return txio_datasync(log->io, handle.fd, name, err);
}

/* Sync the segments that hold [from, to). */
static enum tx_status force_range(struct txlog *log, tx_lsn from, tx_lsn to, struct tx_error *err)
{
    struct segment_ref ref;
    uint64_t index;
    TX_INVARIANT(table_find(log->shared, from, &ref, &index));
    do {
        TX_TRY(force_segment(log, ref.seq, err));
        index++;
    } while (table_get(log->shared, index, &ref) && ref.first_lsn < to);
    return TX_OK;
}

static void force_wake(struct txlog *log, unsigned which, int count)
{
    struct txlog_shared *shared = log->shared;
    atomic_fetch_add_explicit(&shared->word[which], 1, SEQ_CST);
    if (atomic_load_explicit(&shared->sleepers[which], SEQ_CST) > 0) {
        (void)log->io->ops->wake(log->io, &shared->word[which], count); /* they look anyway */
    }
}

/* Of the holder of the force lock; gives it back. */
static enum tx_status force_lead(struct txlog *log, struct tx_error *err)
{
    struct txlog_shared *shared = log->shared;
    enum tx_status status = TX_OK;
    tx_lsn durable = atomic_load_explicit(&shared->durable_lsn, ACQUIRE);
    tx_lsn claim = atomic_load_explicit(&shared->claim_lsn, ACQUIRE); /* of a record below target */
    tx_lsn target = atomic_load_explicit(&shared->append_lsn, ACQUIRE);
    uint64_t batch = atomic_load_explicit(&shared->batch, ACQUIRE);
    if (target > durable && !txlog_is_poisoned(log)) {
        atomic_store_explicit(&shared->target_lsn, target, RELEASE);
        /* MUTANT_1 (NATS): success before the force. */
        status = TX_MUTANT(1) ? TX_OK : force_range(log, durable, target, err);
        if (status == TX_OK) {
            proof_raise(&shared->proven_lsn, claim);
            atomic_store_explicit(&shared->forced_lsn, target, SEQ_CST);
            status = log_prove(log, err);
        }
        if (status != TX_OK) {
            /* In shared memory before anybody is woken; the sync is never repeated. */
            txlog_poison(log);
        } else {
            if (TX_MUTANT(48)) { /* what was appended during the sync is taken for synced */
                target = atomic_load_explicit(&shared->append_lsn, ACQUIRE);
            }
            atomic_store_explicit(&shared->durable_lsn, target, RELEASE);
        }
        atomic_store_explicit(&shared->batch, batch + 1, SEQ_CST);
    }
    txio_pair_unlock(&log->force_lock);
    force_wake(log, (batch + 1) & 1, 1);
    force_wake(log, batch & 1, INT32_MAX);
    return status;
}

static void force_sleep(struct txlog *log, unsigned which, uint32_t seen)
{
    struct txlog_shared *shared = log->shared;
    struct txio *io = log->io;
    atomic_fetch_add_explicit(&shared->sleepers[which], 1, SEQ_CST);
    (void)io->ops->wait(io, &shared->word[which], seen, FORCE_SLEEP_NS); /* the caller looks */
    atomic_fetch_sub_explicit(&shared->sleepers[which], 1, SEQ_CST);
}

/* What a follower compares when it goes to sleep. */
struct force_view {
    uint32_t word[2];
    uint64_t batch;
};

static void force_look(struct txlog_shared *shared, struct force_view *seen)
{
    /* The words first: if the batch is an old one when it is used, they have changed. */
    seen->word[0] = atomic_load_explicit(&shared->word[0], SEQ_CST);
    seen->word[1] = atomic_load_explicit(&shared->word[1], SEQ_CST);
    seen->batch = atomic_load_explicit(&shared->batch, SEQ_CST);
}

/* Lead one force, or sleep until one has ended. What was seen is older than the caller's look at
 * durable_lsn and at poisoned. */
static enum tx_status force_round(struct txlog *log, tx_lsn upto, const struct force_view *seen,
                                  struct tx_error *err)
{
    bool taken = false;
    TX_TRY(txio_pair_trylock(&log->force_lock, &taken, err));
    if (taken) {
        return force_lead(log, err);
    }
    bool covered = atomic_load_explicit(&log->shared->target_lsn, ACQUIRE) >= upto;
    unsigned which = (seen->batch + (covered ? 0 : 1)) & 1;
    force_sleep(log, which, seen->word[which]);
    return TX_OK;
}

enum tx_status txlog_force(struct txlog *log, tx_lsn upto, struct tx_error *err)
{
    struct txlog_shared *shared = log->shared;
    TX_TRY(log_check_ready(log, err));
    if (log->mode != TXLOG_READWRITE) {
        return tx_error_set(err, TX_EREADONLY, "log is open read-only");
    }
    if (upto > atomic_load_explicit(&shared->append_lsn, ACQUIRE)) {
        return tx_error_set(err, TX_EMISUSE, "force up to LSN %llu, which is beyond the end",
                            (unsigned long long)upto);
    }
    enum tx_status status = TX_OK;
    while (status == TX_OK) {
        struct force_view seen;
        force_look(shared, &seen);
        if (atomic_load_explicit(&shared->durable_lsn, ACQUIRE) >= upto) {
            return TX_OK;
        }
        if (txlog_is_poisoned(log)) {
            return tx_error_set(err, TX_EOUTCOME, "force: %s", tx_status_text(TX_EPOISONED));
        }
        status = force_round(log, upto, &seen, err);
    }
    /* Nothing proves that the record is not durable: only recovery can tell. */
    txlog_poison(log);
    tx_error_prefix(err, "outcome unknown: force the log");
    if (err) {
        err->status = TX_EOUTCOME;
    }
    return TX_EOUTCOME;
}
