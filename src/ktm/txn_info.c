/* SPDX-License-Identifier: MIT */
/* What can be asked of an attached transaction and of its manager. */
#include <string.h>

#include "base/invariant.h"
#include "ktm/ktm_internal.h"

struct ktm_id ktm_txn_id(const struct ktm_txn *txn)
{
    return txn->id;
}

enum ktm_state ktm_txn_state(const struct ktm_txn *txn)
{
    return txn->state;
}

tx_lsn ktm_txn_snapshot(const struct ktm_txn *txn)
{
    return txn->snapshot.lsn;
}

const char *ktm_txn_description(const struct ktm_txn *txn)
{
    return txn->description;
}

int64_t ktm_txn_begin_time(const struct ktm_txn *txn)
{
    return txn->begin_time_ns;
}

struct ktm_cursor ktm_txn_entries(const struct ktm_txn *txn)
{
    return (struct ktm_cursor){txn->entries.data, txn->entries.size};
}

void ktm_txn_token(const struct ktm_txn *txn, unsigned rm, uint8_t token[KTM_TOKEN_SIZE])
{
    TX_INVARIANT(rm < KTM_RM_MAX);
    memcpy(token, txn->snapshot.tokens[rm], KTM_TOKEN_SIZE);
}

struct ktm *ktm_txn_manager(const struct ktm_txn *txn)
{
    return txn->tm;
}

struct txio *ktm_txn_io(const struct ktm_txn *txn)
{
    return txn->tm->io;
}

bool ktm_txn_is_serializable(const struct ktm_txn *txn)
{
    return (txn->flags & KTM_SERIALIZABLE) != 0;
}

void ktm_published_token(struct ktm *tm, unsigned rm, uint8_t token[KTM_TOKEN_SIZE])
{
    struct ktm_published state;
    TX_INVARIANT(rm < KTM_RM_MAX);
    ktm_published_read(tm, &state);
    memcpy(token, state.tokens[rm], KTM_TOKEN_SIZE);
}

tx_lsn ktm_published(struct ktm *tm)
{
    struct ktm_published state;
    ktm_published_read(tm, &state);
    return state.lsn;
}

tx_lsn ktm_decided(struct ktm *tm)
{
    return atomic_load(&tm->shared->decided);
}

tx_lsn ktm_oldest_snapshot(struct ktm *tm)
{
    return ktm_snapshot_oldest(tm, ktm_published(tm));
}
