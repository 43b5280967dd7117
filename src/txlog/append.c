/* SPDX-License-Identifier: MIT */
/*
 * Appending. A record exists once append_lsn has moved beyond it; whoever is killed before leaves
 * bytes that the next holder of the append lock wipes. write_lsn, stored first, says how far they
 * may reach; `switching` says that a segment may have got its name and not its place in the table.
 */
#include "txlog/txlog_internal.h"

#define ACQUIRE memory_order_acquire
#define RELEASE memory_order_release
#define SEQ_CST memory_order_seq_cst

static uint64_t tail_rest(struct txlog *log, struct segment_ref *tail)
{
    table_tail(log->shared, tail);
    tx_lsn append = atomic_load_explicit(&log->shared->append_lsn, ACQUIRE);
    TX_INVARIANT(append >= tail->first_lsn &&
                 append - tail->first_lsn <= segment_capacity(tail->size));
    return segment_capacity(tail->size) - (append - tail->first_lsn);
}

uint64_t append_ready_size(struct txlog *log)
{
    struct segment_ref tail;
    uint64_t rest = tail_rest(log, &tail);
    uint64_t spares = atomic_load_explicit(&log->shared->spare_count, ACQUIRE);
    return rest + spares * segment_capacity(log->control.segment_size);
}

bool txlog_has_leftover(struct txlog *log)
{
    const struct txlog_shared *shared = log->shared;
    return txlog_is_poisoned(log) || atomic_load_explicit(&shared->write_lsn, ACQUIRE) >
                                         atomic_load_explicit(&shared->append_lsn, ACQUIRE);
}

enum tx_status append_clear(struct txlog *log, struct tx_error *err)
{
    TX_AUTO(segment_handle) handle = {.fd = -1};
    struct txlog_shared *shared = log->shared;
    struct segment_ref tail;
    tx_lsn append = atomic_load_explicit(&shared->append_lsn, ACQUIRE);
    tx_lsn written = atomic_load_explicit(&shared->write_lsn, ACQUIRE);
    if (written <= append) {
        return TX_OK;
    }
    uint64_t rest = tail_rest(log, &tail);
    uint64_t size = written - append < rest ? written - append : rest;
    TX_TRY(segment_acquire(log, tail.seq, &handle, err));
    enum tx_status status =
        zero_fill(log->io, handle.fd, TXLOG_BLOCK_SIZE + (append - tail.first_lsn), size, err);
    if (status == TX_OK) { /* others may now take it that there is no such record */
        status = txio_datasync(log->io, handle.fd, "the end of the log", err);
    }
    /* Crash here: the record that nobody lived to append is there or is not. */
    if (status != TX_OK) {
        return log_poison_on(log, status);
    }
    atomic_store_explicit(&shared->write_lsn, append, RELEASE);
    return TX_OK;
}

/* Both locks are held. A segment for a record of `size` bytes, ready to be written to. */
static enum tx_status switch_locked(struct txlog *log, uint64_t size, struct tx_error *err)
{
    TX_AUTO(segment_draft) draft = {.log = log, .fd = -1};
    struct txlog_shared *shared = log->shared;
    tx_lsn append = atomic_load_explicit(&shared->append_lsn, ACQUIRE);
    uint64_t standard = log->control.segment_size;
    uint64_t wanted = size + TXLOG_BLOCK_SIZE;
    struct segment_header header = {
        .size = wanted > standard ? wanted : standard,
        .first_lsn = append,
        .previous = table_previous(shared, append),
        .epoch = atomic_load_explicit(&shared->epoch, ACQUIRE),
    };
    enum tx_status status = segment_draft_begin(log, &header, &draft, err);
    if (status != TX_OK) {
        return status == TX_EIO ? log_poison_on(log, status) : status;
    }
    atomic_store_explicit(&shared->switching, 1, RELEASE);
    status = segment_draft_publish(&draft, err);
    if (status != TX_OK && (draft.is_named || status != TX_ENOSPC)) {
        /* Whether the name is there nobody knows; it may never be used. */
        return log_poison_on(log, status);
    }
    if (status != TX_OK) {
        atomic_store_explicit(&shared->switching, 0, RELEASE);
        return status;
    }
    proof_raise(&shared->proven_lsn, draft.header.durable_lsn);
    table_push(shared, &(struct segment_ref){draft.header.seq, append, draft.header.size});
    atomic_store_explicit(&shared->switching, 0, RELEASE);
    return TX_OK;
}

static enum tx_status append_switch(struct txlog *log, uint64_t size, struct tx_error *err)
{
    if (table_is_full(log->shared)) {
        return tx_error_set(err, TX_ENOSPC, "log has %u segments, which is the limit",
                            LOG_SEGMENTS_MAX);
    }
    TX_TRY(txio_pair_lock(&log->segment_lock, err));
    enum tx_status status = switch_locked(log, size, err);
    txio_pair_unlock(&log->segment_lock);
    if (status != TX_OK) {
        tx_error_prefix(err, "make a segment");
    }
    return status;
}

/* Leave what others have reserved: make spares until it fits beside this record. */
static enum tx_status append_respect_reserve(struct txlog *log, uint64_t size,
                                             struct tx_error *err)
{
    uint64_t reserved = atomic_load_explicit(&log->shared->reserved, ACQUIRE);
    while (reserved > 0) {
        struct segment_ref tail;
        uint64_t rest = tail_rest(log, &tail);
        uint64_t ready = append_ready_size(log);
        uint64_t standard = segment_capacity(log->control.segment_size);
        /* In place: the rest shrinks. Else: it is given up, and so may be a spare. */
        uint64_t cost = size <= rest ? size : rest + (size <= standard ? standard : 0);
        uint64_t gain = size > rest && size <= standard ? standard - size : 0;
        if (ready >= cost && ready - cost + gain >= reserved) {
            return TX_OK;
        }
        TX_TRY(txio_pair_lock(&log->segment_lock, err));
        enum tx_status status = spare_make(log, err);
        txio_pair_unlock(&log->segment_lock);
        if (status != TX_OK) {
            tx_error_prefix(err, "keep %llu reserved bytes free", (unsigned long long)reserved);
            return status == TX_EIO ? log_poison_on(log, status) : status;
        }
    }
    return TX_OK;
}

static enum tx_status begin_locked(struct txlog *log, uint64_t size, bool may_use_reserve,
                                   struct tx_error *err)
{
    struct txlog_shared *shared = log->shared;
    struct segment_ref tail;
    TX_TRY(log_check_writable(log, err));
    if (atomic_load_explicit(&shared->is_clean, ACQUIRE)) {
        return tx_error_set(err, TX_EMISUSE, "log has been marked clean");
    }
    TX_TRY(append_clear(log, err));
    tx_lsn append = atomic_load_explicit(&shared->append_lsn, ACQUIRE);
    atomic_store_explicit(&shared->aim_lsn, append + size, SEQ_CST);
    TX_TRY(log_prove(log, err)); /* with this record they may be too much for a spare */
    if (!may_use_reserve) {
        TX_TRY(append_respect_reserve(log, size, err));
    }
    if (tail_rest(log, &tail) < size || atomic_load_explicit(&shared->switching, ACQUIRE)) {
        TX_TRY(append_switch(log, size, err));
        table_tail(shared, &tail);
    }
    return segment_acquire(log, tail.seq, &log->begun_handle, err);
}

static enum tx_status append_begin(struct txlog *log, size_t payload_size, bool may_use_reserve,
                                   tx_lsn *lsn, struct tx_error *err)
{
    uint64_t size = frame_size(payload_size);
    if (size == 0) {
        return tx_error_set(err, TX_ELIMIT, "record of %zu bytes is larger than %u", payload_size,
                            TXLOG_PAYLOAD_MAX);
    }
    TX_TRY(log_check_writable(log, err));
    TX_TRY(txio_pair_lock(&log->append_lock, err));
    enum tx_status status = begin_locked(log, size, may_use_reserve, err);
    if (status != TX_OK) {
        txio_pair_unlock(&log->append_lock);
        return status;
    }
    log->begun = true;
    log->begun_size = payload_size;
    *lsn = atomic_load_explicit(&log->shared->append_lsn, ACQUIRE);
    return TX_OK;
}

enum tx_status txlog_append_begin(struct txlog *log, size_t payload_size, tx_lsn *lsn,
                                  struct tx_error *err)
{
    return append_begin(log, payload_size, false, lsn, err);
}

enum tx_status txlog_append_begin_reserved(struct txlog *log, size_t payload_size, tx_lsn *lsn,
                                           struct tx_error *err)
{
    return append_begin(log, payload_size, true, lsn, err);
}

void txlog_append_end(struct txlog *log)
{
    log->begun = false;
    segment_handle_auto(&log->begun_handle);
    txio_pair_unlock(&log->append_lock);
}
