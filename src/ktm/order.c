/* SPDX-License-Identifier: MIT */
/*
 * What is ordered by the log, done while the append lock says where the next record goes: barriers,
 * conflicts, the tables, and the record itself. Short: no force and no waiting happens in here.
 */
#include <string.h>

#include "base/invariant.h"
#include "base/mutant.h"
#include "ktm/ktm_internal.h"

static void conflict_note(struct ktm_run *run, const struct ktm_key *key)
{
    size_t size = key->name_size < sizeof run->conflict.name ? key->name_size
                                                              : sizeof run->conflict.name - 1;
    run->conflict.found = true;
    memcpy(run->conflict.name, key->name, size);
    run->conflict.name[size] = '\0';
}

/* First committer wins: anything recorded at or after the snapshot. */
static bool conflicts_with_committed(struct ktm_run *run, const struct ktm_key *key, tx_lsn lsn,
                                     bool *uncertain)
{
    uint64_t stamp = ktm_conflict_find(run->tm->shared, key->key);
    if (stamp > lsn) {
        /* Announced by one who died before the record was there; it has hidden what was known of
         * the key, so that only the RMs can tell. */
        *uncertain |= run->validated < lsn;
        return false;
    }
    if (stamp > run->txn->snapshot.lsn && !TX_MUTANT(52)) { /* MUTANT_52: lost update */
        run->conflict.lsn = stamp - 1;
        conflict_note(run, key);
        return true;
    }
    /* Nothing known: the RMs saw what is below `validated`; above it the table must have been
     * able to remember. MUTANT_50: what it forgot is taken for what never was. */
    *uncertain |= !TX_MUTANT(50) && stamp == 0 &&
                  atomic_load(&run->tm->shared->evicted) > run->validated;
    return false;
}

static bool conflicts_with_prepared(struct ktm_run *run, const struct ktm_key *key)
{
    struct ktm_prepared_slot *slot = ktm_prepared_conflict(run->tm, key);
    if (slot) {
        run->conflict.undecided = true;
        run->conflict.id = (struct ktm_id){atomic_load(&slot->epoch), atomic_load(&slot->sequence)};
        conflict_note(run, key);
    }
    return slot != NULL;
}

static enum tx_status conflicts_check(struct ktm_run *run, tx_lsn lsn, enum ktm_verdict *verdict,
                                      struct tx_error *err)
{
    struct tx_reader reader = tx_reader_on(run->keys.data, run->keys.size);
    struct ktm_key key;
    unsigned undecided;
    bool uncertain = false;
    TX_TRY(ktm_prepared_load_keys(run->tm, lsn, &undecided, err));
    while (ktm_keys_next(&reader, &key)) {
        if (undecided != 0 && conflicts_with_prepared(run, &key)) {
            return tx_error_set(err, TX_ECONFLICT, "conflict");
        }
        if (key.kind != KTM_KEY_MARK && conflicts_with_committed(run, &key, lsn, &uncertain)) {
            return tx_error_set(err, TX_ECONFLICT, "conflict");
        }
    }
    TX_INVARIANT(!reader.failed);
    *verdict = uncertain ? KTM_VOTE_AGAIN : KTM_ORDERED;
    return TX_OK;
}

/* Announce what the record at `lsn` will have written. Killed before the record is there: false
 * alarms for others, never a missed conflict. */
static void keys_record(struct ktm_run *run, tx_lsn lsn)
{
    struct ktm_shared *shared = run->tm->shared;
    if (run->kind == KTM_COMMIT) {
        struct tx_reader reader = tx_reader_on(run->keys.data, run->keys.size);
        struct ktm_key key;
        while (ktm_keys_next(&reader, &key)) {
            if (key.kind != KTM_KEY_READ) {
                ktm_conflict_insert(shared, key.key, ktm_stamp(lsn));
            }
        }
    } else if (run->kind == KTM_DECIDE && run->has_effects) {
        for (uint32_t i = 0; i < run->prepared->header.key_count; i++) {
            const uint8_t *at = run->prepared->keys + (size_t)i * KTM_KEY_SIZE;
            if (*at != KTM_KEY_READ) {
                ktm_conflict_insert(shared, tx_get64(at + 1), ktm_stamp(lsn));
            }
        }
    }
}

static void announce(struct ktm_run *run, tx_lsn lsn)
{
    if (run->kind == KTM_PREPARE) {
        ktm_prepared_fill(run->slot, &run->id, lsn, KTM_PREPARED);
    }
    keys_record(run, lsn);
    if (run->needs_barrier) {
        atomic_store(&run->tm->shared->barrier, ktm_stamp(lsn));
    }
}

static enum tx_status append_record(struct ktm_run *run, tx_lsn lsn, struct tx_error *err)
{
    struct iovec parts[2] = {
        {.iov_base = run->head.data, .iov_len = run->head.size},
        {.iov_base = (void *)(uintptr_t)run->entries.next, .iov_len = run->entries.left},
    };
    int count = run->kind == KTM_DECIDE || run->entries.left == 0 ? 1 : 2;
    announce(run, lsn);
    if (run->txn) {
        /* From here on the record may be found by others. */
        ktm_state_move(&run->txn->state, KTM_PREPARED);
        run->txn->keep_directory = true;
    }
    enum tx_status status =
        txlog_append(run->tm->log, run->kind, parts, count, &run->next_lsn, err);
    if (status == TX_OK) {
        run->lsn = lsn;
        return TX_OK;
    }
    if (txlog_is_poisoned(run->tm->log)) {
        /* Part of it may have been written, all of it may be found. */
        return tx_error_set(err, TX_EOUTCOME, "append to the log failed");
    }
    if (run->kind == KTM_PREPARE) {
        atomic_store(&run->slot->stamp, 0);
    }
    if (run->txn) {
        run->txn->keep_directory = false;
    }
    return status;
}

/* A place among the prepared; a checkpoint frees those of the decided. */
static enum tx_status slot_find(struct ktm_run *run, enum ktm_verdict *verdict,
                                struct tx_error *err)
{
    run->slot = ktm_prepared_free_slot(run->tm->shared);
    if (run->slot) {
        return TX_OK;
    }
    if (run->made_slots) {
        return tx_error_set(err, TX_ELIMIT, "%d transactions are prepared already",
                            KTM_PREPARED_MAX);
    }
    run->made_slots = true;
    *verdict = KTM_NEEDS_CHECKPOINT;
    return TX_OK;
}

/* What a prepared transaction found is named in its record and must be the same when it is decided,
 * perhaps years and power cuts later. Recovery may build anew what is not steady. */
static bool rests_on_unsteady(const struct ktm_run *run, tx_lsn lsn)
{
    const struct ktm_shared *shared = run->tm->shared;
    struct tx_reader reader = tx_reader_on(run->keys.data, run->keys.size);
    struct ktm_key key;
    tx_lsn steady = atomic_load(&shared->steady);
    bool found = atomic_load(&shared->evicted) > steady;
    while (!found && ktm_keys_next(&reader, &key)) {
        uint64_t stamp = ktm_conflict_find(run->tm->shared, key.key);
        found = key.kind != KTM_KEY_MARK && stamp > steady && stamp <= lsn;
    }
    return found && steady != lsn && !TX_MUTANT(71);
}

static enum tx_status order_held(struct ktm_run *run, tx_lsn lsn, enum ktm_verdict *verdict,
                                 struct tx_error *err)
{
    *verdict = ktm_barrier_verdict(run, lsn);
    if (*verdict == KTM_ORDERED && run->txn) {
        TX_TRY(conflicts_check(run, lsn, verdict, err));
    }
    if (*verdict == KTM_ORDERED && run->kind == KTM_PREPARE && rests_on_unsteady(run, lsn)) {
        /* Others would touch the same again while the checkpoint runs. */
        *verdict = run->has_gate ? KTM_NEEDS_CHECKPOINT : KTM_NEEDS_GATE;
    }
    if (*verdict == KTM_ORDERED && run->kind == KTM_PREPARE) {
        TX_TRY(slot_find(run, verdict, err));
    }
    return *verdict == KTM_ORDERED ? append_record(run, lsn, err) : TX_OK;
}

enum tx_status ktm_order(struct ktm_run *run, enum ktm_verdict *verdict, struct tx_error *err)
{
    struct txlog *log = run->tm->log;
    size_t size = run->head.size + (run->kind == KTM_DECIDE ? 0 : run->entries.left);
    tx_lsn lsn;
    enum tx_status status = run->kind == KTM_DECIDE
                                ? txlog_append_begin_reserved(log, size, &lsn, err)
                                : txlog_append_begin(log, size, &lsn, err);
    if (status == TX_ENOSPC && !run->made_room) {
        run->made_room = true;
        *verdict = KTM_NEEDS_CHECKPOINT;
        return TX_OK;
    }
    TX_TRY(status);
    status = order_held(run, lsn, verdict, err);
    txlog_append_end(log);
    return status;
}
