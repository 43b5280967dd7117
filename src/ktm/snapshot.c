/* SPDX-License-Identifier: MIT */
/* The published state in shared memory, and the slots that say which older ones are still read. */
#include <string.h>

#include "base/invariant.h"
#include "ktm/ktm_internal.h"

/* False when a publisher may have written over what was copied. */
static bool read_once(struct ktm_shared *shared, struct ktm_published *state, uint64_t *version)
{
    *version = atomic_load_explicit(&shared->version, memory_order_acquire);
    struct ktm_shared_state *from = &shared->states[*version & 1];
    state->lsn = atomic_load_explicit(&from->lsn, memory_order_relaxed);
    for (unsigned rm = 0; rm < KTM_RM_MAX; rm++) {
        uint64_t words[KTM_TOKEN_WORDS];
        for (unsigned i = 0; i < KTM_TOKEN_WORDS; i++) {
            words[i] = atomic_load_explicit(&from->tokens[rm][i], memory_order_relaxed);
        }
        memcpy(state->tokens[rm], words, KTM_TOKEN_SIZE);
    }
    atomic_thread_fence(memory_order_acquire);
    return atomic_load_explicit(&shared->version, memory_order_relaxed) == *version;
}

void ktm_published_read(struct ktm *tm, struct ktm_published *state)
{
    uint64_t version;
    while (!read_once(tm->shared, state, &version)) {
        /* A publisher moved on: there is a newer state to copy. */
    }
}

void ktm_published_write(struct ktm *tm, const struct ktm_published *state)
{
    struct ktm_shared *shared = tm->shared;
    uint64_t version = atomic_load_explicit(&shared->version, memory_order_relaxed) + 1;
    struct ktm_shared_state *to = &shared->states[version & 1];
    /* Readers of the state before the last one must see `version` move before they see this. */
    atomic_thread_fence(memory_order_release);
    atomic_store_explicit(&to->lsn, state->lsn, memory_order_relaxed);
    for (unsigned rm = 0; rm < KTM_RM_MAX; rm++) {
        uint64_t words[KTM_TOKEN_WORDS];
        memcpy(words, state->tokens[rm], KTM_TOKEN_SIZE);
        for (unsigned i = 0; i < KTM_TOKEN_WORDS; i++) {
            atomic_store_explicit(&to->tokens[rm][i], words[i], memory_order_relaxed);
        }
    }
    atomic_store(&shared->version, version);
}

/* A free slot, looked for from one that differs between processes and transactions. */
static struct ktm_snapshot_slot *slot_claim(struct ktm *tm, uint64_t start, uint32_t *number)
{
    for (uint32_t i = 0; i < KTM_ATTACHED_MAX; i++) {
        uint32_t at = (uint32_t)((start + i) % KTM_ATTACHED_MAX);
        struct ktm_snapshot_slot *slot = &tm->shared->snapshots[at];
        uint32_t nobody = 0;
        if (atomic_compare_exchange_strong(&slot->owner, &nobody, tm->owner)) {
            *number = at;
            return slot;
        }
    }
    return NULL;
}

/* Free the slots of the dead. Only `owner` is written, from the word that was found dead: whoever
 * claims the slot afterwards is never disturbed. */
static void bury_the_dead(struct ktm *tm)
{
    for (uint32_t i = 0; i < KTM_ATTACHED_MAX; i++) {
        struct ktm_snapshot_slot *slot = &tm->shared->snapshots[i];
        uint32_t owner = atomic_load(&slot->owner);
        if (!ktm_process_lives(tm, owner)) {
            (void)atomic_compare_exchange_strong(&slot->owner, &owner, 0);
        }
    }
}

enum tx_status ktm_snapshot_take(struct ktm_txn *txn, struct tx_error *err)
{
    struct ktm *tm = txn->tm;
    uint64_t start = txn->id.sequence * 7;
    struct ktm_snapshot_slot *slot = slot_claim(tm, start, &txn->snapshot_slot);
    if (!slot) {
        bury_the_dead(tm);
        slot = slot_claim(tm, start, &txn->snapshot_slot);
    }
    if (!slot) {
        return tx_error_set(err, TX_ELIMIT, "%d transactions are attached already",
                            KTM_ATTACHED_MAX);
    }
    txn->has_snapshot = true;
    /*
     * Say what we are going to read, then see that it is still the newest. A trimmer reads the
     * published LSN first and the slots afterwards: either it sees our stamp, or we published it
     * after its look and found nothing newer, so that our snapshot is not below its limit.
     */
    uint64_t version;
    do {
        while (!read_once(tm->shared, &txn->snapshot, &version)) {
        }
        atomic_store(&slot->stamp, ktm_stamp(txn->snapshot.lsn));
        atomic_thread_fence(memory_order_seq_cst);
    } while (atomic_load(&tm->shared->version) != version);
    return TX_OK;
}

void ktm_snapshot_give(struct ktm_txn *txn)
{
    if (txn->has_snapshot) {
        struct ktm_snapshot_slot *slot = &txn->tm->shared->snapshots[txn->snapshot_slot];
        TX_INVARIANT(atomic_load(&slot->owner) == txn->tm->owner);
        atomic_store(&slot->stamp, 0);
        atomic_store(&slot->owner, 0);
        txn->has_snapshot = false;
    }
}

tx_lsn ktm_snapshot_oldest(struct ktm *tm, tx_lsn limit)
{
    tx_lsn oldest = limit;
    atomic_thread_fence(memory_order_seq_cst);
    for (uint32_t i = 0; i < KTM_ATTACHED_MAX; i++) {
        struct ktm_snapshot_slot *slot = &tm->shared->snapshots[i];
        uint32_t owner = atomic_load(&slot->owner);
        uint64_t stamp = owner == 0 ? 0 : atomic_load(&slot->stamp);
        if (stamp == 0 || stamp - 1 >= oldest) {
            continue;
        }
        if (ktm_process_lives(tm, owner)) {
            oldest = stamp - 1;
        } else {
            (void)atomic_compare_exchange_strong(&slot->owner, &owner, 0);
        }
    }
    return oldest;
}
