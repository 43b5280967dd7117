/* SPDX-License-Identifier: MIT */
/*
 * A store that is refused is opened read-only on a log in salvage mode and on private memory that
 * nobody recovers. Its transactions see what the RMs have on disk, without any redo. An RM that
 * cannot be read does not keep the others from being read.
 */
#include "ktm/ktm_internal.h"

enum tx_status ktm_salvage_state(struct ktm *tm, struct tx_error *err)
{
    if (!tm->salvage || atomic_load(&tm->shared->magic) == KTM_SHARED_MAGIC) {
        return TX_OK;
    }
    TX_TRY(ktm_enter_any(tm, err));
    struct txlog_info info;
    txlog_get_info(tm->log, &info);
    struct ktm_published state = {.lsn = info.start_lsn};
    txio_mutex_lock(tm->io, &tm->mutex);
    for (unsigned rm = 0; rm < KTM_RM_MAX; rm++) {
        if (tm->rm_ops[rm]) {
            tx_lsn steady;
            tm->rm_lost[rm] =
                tm->rm_ops[rm]->open_steady(tm->rms[rm], &steady, state.tokens[rm], NULL);
        }
    }
    ktm_published_write(tm, &state);
    ktm_salvage_prepared(tm, &info);
    atomic_store(&tm->shared->decided, state.lsn);
    atomic_store(&tm->shared->magic, KTM_SHARED_MAGIC);
    txio_mutex_unlock(tm->io, &tm->mutex);
    return TX_OK;
}
