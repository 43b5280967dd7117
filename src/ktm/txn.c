/* SPDX-License-Identifier: MIT */
/* The life of a transaction in one process: begin, the RMs' views, entries, rollback. */
#include <string.h>

#include "base/invariant.h"
#include "base/mutant.h"
#include "ktm/ktm_internal.h"

enum tx_status ktm_txn_new(struct ktm *tm, const struct ktm_id *id, struct ktm_txn **txn,
                           struct tx_error *err)
{
    struct ktm_txn *made = tx_alloc_zero(sizeof *made);
    if (!made) {
        return tx_error_set(err, TX_ENOMEM, "out of memory");
    }
    made->tm = tm;
    made->id = *id;
    made->state = KTM_ACTIVE;
    made->staging_dir = -1;
    made->begin_time_ns = tm->io->ops->realtime_ns(tm->io);
    *txn = made;
    return TX_OK;
}

void ktm_txn_link(struct ktm_txn *txn)
{
    struct ktm *tm = txn->tm;
    txio_mutex_lock(tm->io, &tm->mutex);
    txn->next = tm->txns;
    tm->txns = txn;
    txio_mutex_unlock(tm->io, &tm->mutex);
}

static void unlink_txn(struct ktm_txn *txn)
{
    for (struct ktm_txn **at = &txn->tm->txns; *at; at = &(*at)->next) {
        if (*at == txn) {
            *at = txn->next;
            return;
        }
    }
}

static void end_views(struct ktm_txn *txn)
{
    for (unsigned rm = 0; rm < KTM_RM_MAX; rm++) {
        if (txn->enlisted[rm]) {
            txn->tm->rm_ops[rm]->end(txn->tm->rms[rm], txn, txn->views[rm]);
            txn->enlisted[rm] = false;
        }
    }
}

static void free_memory(struct ktm_txn *txn)
{
    if (txn->staging_dir >= 0) {
        (void)txn->tm->io->ops->close(txn->tm->io, txn->staging_dir); /* read only */
    }
    tx_buf_release(&txn->entries);
    tx_free(txn->savepoints);
    tx_free(txn);
}

void ktm_txn_free(struct ktm_txn *txn)
{
    if (!txn) {
        return;
    }
    struct ktm *tm = txn->tm;
    if (ktm_is_forked(tm)) {
        /* The parent's: no lock, file or RM is touched. Its mutex may be held for ever here. */
        unlink_txn(txn);
        free_memory(txn);
        return;
    }
    end_views(txn);
    ktm_snapshot_give(txn);
    ktm_hold_drop(tm, &txn->hold);
    txio_mutex_lock(tm->io, &tm->mutex);
    unlink_txn(txn);
    txio_mutex_unlock(tm->io, &tm->mutex);
    free_memory(txn);
}

void ktm_txn_abandon(struct ktm_txn *txn)
{
    if (txn->state != KTM_ABORTED) {
        ktm_state_move(&txn->state, KTM_ABORTED);
    }
    end_views(txn);
    TX_INVARIANT(!txn->keep_directory);
    if (txn->hold.taken) {
        /* What cannot be removed now is removed by the next checkpoint or recovery. */
        TX_IGNORE(ktm_staging_remove(txn->tm, &txn->id, NULL));
    }
}

static int64_t timeout_clock_ns(struct txio *io)
{
    if (TX_MUTANT(30)) { /* the date can be set */
        return io->ops->realtime_ns(io);
    }
    return io->ops->monotonic_ns(io);
}

static enum tx_status begin_options(struct ktm_txn *txn, const struct ktm_begin_options *options,
                                    struct tx_error *err)
{
    struct txio *io = txn->tm->io;
    if (!options) {
        return TX_OK;
    }
    if (options->flags & ~(uint32_t)(KTM_SERIALIZABLE | KTM_READ_ONLY)) {
        return tx_error_set(err, TX_EINVAL, "begin: unknown flags %#x", options->flags);
    }
    txn->flags = options->flags;
    if (options->description) {
        size_t size = strlen(options->description);
        if (size > KTM_DESCRIPTION_MAX) {
            return tx_error_set(err, TX_ELIMIT, "description of %zu bytes, limit %d", size,
                                KTM_DESCRIPTION_MAX);
        }
        memcpy(txn->description, options->description, size + 1);
    }
    if (options->timeout_ms != 0) {
        txn->deadline_ns =
            timeout_clock_ns(io) + (int64_t)options->timeout_ms * INT64_C(1000000);
    }
    return TX_OK;
}

enum tx_status ktm_begin(struct ktm *tm, const struct ktm_begin_options *options,
                         struct ktm_txn **txn, struct tx_error *err)
{
    TX_TRY(ktm_salvage_state(tm, err));
    TX_TRY(ktm_enter(tm, err));
    ktm_publish_try(tm); /* what the dead left, or a full disk held up */
    struct ktm_id id = {tm->identity.epoch, atomic_fetch_add(&tm->shared->sequence, 1) + 1};
    TX_AUTO_PTR(ktm_txn) begun = NULL;
    TX_TRY(ktm_txn_new(tm, &id, &begun, err));
    TX_TRY(begin_options(begun, options, err));
    TX_TRY(ktm_snapshot_take(begun, err));
    ktm_txn_link(begun);
    ktm_txn_check(begun);
    *txn = TX_TAKE(begun);
    return TX_OK;
}

enum tx_status ktm_txn_enter(struct ktm_txn *txn, struct tx_error *err)
{
    struct txio *io = txn->tm->io;
    TX_TRY(ktm_enter(txn->tm, err));
    if (txn->state == KTM_ACTIVE && txn->deadline_ns != 0 &&
        timeout_clock_ns(io) >= txn->deadline_ns) {
        txn->timed_out = true;
        ktm_state_move(&txn->state, KTM_ABORTED);
    }
    if (txn->timed_out) {
        return tx_error_set(err, TX_ETIMEOUT, "transaction timed out");
    }
    if (txn->state == KTM_ABORTED) {
        return tx_error_set(err, TX_EABORTED, "transaction is aborted");
    }
    if (txn->state != KTM_ACTIVE) {
        return tx_error_set(err, TX_EMISUSE, "transaction is %s", ktm_state_name(txn->state));
    }
    return TX_OK;
}

enum tx_status ktm_txn_view(struct ktm_txn *txn, unsigned rm, void **view, struct tx_error *err)
{
    struct ktm *tm = txn->tm;
    TX_TRY(ktm_txn_enter(txn, err));
    if (rm >= KTM_RM_MAX || !tm->rm_ops[rm]) {
        return tx_error_set(err, TX_EMISUSE, "no resource manager %u", rm);
    }
    if (tm->rm_lost[rm] != TX_OK) {
        return tx_error_set(err, tm->rm_lost[rm], "%s cannot be read", tm->rm_ops[rm]->name);
    }
    if (!txn->enlisted[rm]) {
        TX_TRY(tm->rm_ops[rm]->begin(tm->rms[rm], txn, &txn->views[rm], err));
        txn->enlisted[rm] = true;
    }
    *view = txn->views[rm];
    return TX_OK;
}

enum tx_status ktm_txn_add(struct ktm_txn *txn, unsigned rm, uint8_t op, uint16_t flags,
                           const struct iovec *parts, int count, struct tx_error *err)
{
    TX_TRY(ktm_txn_enter(txn, err));
    if (rm >= KTM_RM_MAX || !txn->tm->rm_ops[rm] || count < 0 || count > 6) {
        return tx_error_set(err, TX_EMISUSE, "entry of RM %u in %d parts", rm, count);
    }
    if (txn->tm->read_only) {
        return tx_error_set(err, TX_EREADONLY, "store is open read-only");
    }
    if (txn->flags & KTM_READ_ONLY) {
        return tx_error_set(err, TX_EMISUSE, "transaction is read-only");
    }
    struct ktm_entry_header header = {.rm = (uint8_t)rm, .op = op, .flags = flags};
    TX_TRY(ktm_changes_add(&txn->entries, &header, parts, count, err));
    txn->entry_count++;
    return TX_OK;
}

enum tx_status ktm_txn_enlist(struct ktm_txn *txn, struct tx_error *err)
{
    unsigned rms;
    void *view;
    TX_TRY(ktm_entries_known(txn->tm, ktm_txn_entries(txn), &rms, err));
    for (unsigned rm = 0; rm < KTM_RM_MAX; rm++) {
        if (rms & 1u << rm) {
            TX_TRY(ktm_txn_view(txn, rm, &view, err));
        }
    }
    return TX_OK;
}

enum tx_status ktm_txn_flush(struct ktm_txn *txn, struct tx_error *err)
{
    bool flushed[KTM_RM_MAX] = {false};
    bool more = true;
    while (more) { /* flushing one RM may enlist another */
        more = false;
        for (unsigned rm = 0; rm < KTM_RM_MAX; rm++) {
            if (txn->enlisted[rm] && !flushed[rm]) {
                flushed[rm] = more = true;
                TX_TRY(txn->tm->rm_ops[rm]->flush(txn->tm->rms[rm], txn, txn->views[rm], err));
            }
        }
    }
    ktm_txn_check(txn);
    return TX_OK;
}

void ktm_rollback(struct ktm_txn *txn)
{
    if (txn && !ktm_is_forked(txn->tm)) {
        ktm_txn_abandon(txn);
    }
    ktm_txn_free(txn);
}
