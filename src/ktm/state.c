/* SPDX-License-Identifier: MIT */
/*
 * The states of a transaction and who moves it along each arc:
 *
 *                    order.c (record appended)      run.c (forced)         run.c (published)
 *   ktm_begin --> ACTIVE ----------------> PREPARED ------------> COMMITTED ----------> ENDED
 *   ktm_attach      |                       |    ^                    ^
 *                   | ktm_txn_abandon       |    | the PREPARE record |
 *                   v                       |    | stays behind       | ktm_commit_prepared
 *                ABORTED <------------------+    |                    |
 *                   ^      ktm_rollback_prepared |                    |
 *                   +---------------------- IN_DOUBT -----------------+
 *                                     ktm_recover found it
 *
 * Between PREPARED and COMMITTED a failing force leaves the outcome unknown: the transaction stays
 * PREPARED in memory and is forgotten, recovery decides by what it finds in the log.
 */
#include "base/invariant.h"
#include "ktm/ktm_internal.h"

#define KTM_STATE_COUNT (KTM_IN_DOUBT + 1)

static const bool legal[KTM_STATE_COUNT][KTM_STATE_COUNT] = {
    [KTM_ACTIVE] = {[KTM_PREPARED] = true, [KTM_ABORTED] = true},
    [KTM_PREPARED] = {[KTM_COMMITTED] = true, [KTM_ABORTED] = true},
    [KTM_COMMITTED] = {[KTM_ENDED] = true},
    [KTM_IN_DOUBT] = {[KTM_COMMITTED] = true, [KTM_ABORTED] = true},
};

const char *ktm_state_name(enum ktm_state state)
{
    static const char *const names[KTM_STATE_COUNT] = {
        [KTM_ACTIVE] = "active", [KTM_PREPARED] = "prepared", [KTM_COMMITTED] = "committed",
        [KTM_ENDED] = "ended",   [KTM_ABORTED] = "aborted",   [KTM_IN_DOUBT] = "in-doubt",
    };
    return (unsigned)state < KTM_STATE_COUNT ? names[state] : "?";
}

bool ktm_state_may_move(enum ktm_state from, enum ktm_state to)
{
    return (unsigned)from < KTM_STATE_COUNT && (unsigned)to < KTM_STATE_COUNT && legal[from][to];
}

void ktm_state_move(enum ktm_state *state, enum ktm_state to)
{
    TX_INVARIANT(ktm_state_may_move(*state, to));
    *state = to;
}

static void savepoints_check(const struct ktm_txn *txn)
{
    size_t size = 0;
    uint64_t count = 0;
    for (size_t i = 0; i < txn->savepoint_count; i++) {
        const struct ktm_savepoint *mark = &txn->savepoints[i];
        TX_INVARIANT(mark->size >= size && mark->count >= count && mark->name[0] != '\0');
        size = mark->size;
        count = mark->count;
    }
    TX_INVARIANT(size <= txn->entries.size && count <= txn->entry_count);
}

void ktm_txn_check(const struct ktm_txn *txn)
{
    TX_INVARIANT(txn->tm != NULL);
    TX_INVARIANT((unsigned)txn->state < KTM_STATE_COUNT);
    TX_INVARIANT(txn->state != KTM_IN_DOUBT); /* those are in no process */
    TX_INVARIANT(txn->entries.size >= txn->entry_count * KTM_ENTRY_HEADER_SIZE);
    TX_INVARIANT((txn->entry_count == 0) == (txn->entries.size == 0));
    savepoints_check(txn);
    TX_INVARIANT(txn->staging_dir < 0 || txn->hold.taken);
    TX_INVARIANT(!txn->saved || txn->hold.taken);
    TX_INVARIANT(txn->state != KTM_ACTIVE || txn->has_snapshot);
    TX_INVARIANT(!(txn->flags & KTM_READ_ONLY) || txn->entry_count == 0);
}
