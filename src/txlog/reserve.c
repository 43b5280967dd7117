/* SPDX-License-Identifier: MIT */
/*
 * Room that is kept for records that must be possible later. What is kept is bytes of frames in
 * files that exist: behind the end of the last segment and in spares.
 */
#include "txlog/txlog_internal.h"

/* A frame of several blocks may have to leave up to its size less one block unused at the end of a
 * segment; so that much is kept beside it, and any order of records fits. */
static uint64_t reserve_charge(size_t size)
{
    return 2 * frame_size(size) - TXLOG_BLOCK_SIZE;
}

static enum tx_status reserve_locked(struct txlog *log, uint64_t charge, struct tx_error *err)
{
    struct txlog_shared *shared = log->shared;
    uint64_t wanted = atomic_load_explicit(&shared->reserved, memory_order_acquire) + charge;
    while (append_ready_size(log) < wanted) {
        TX_TRY(txio_pair_lock(&log->segment_lock, err));
        enum tx_status status = spare_make(log, err);
        txio_pair_unlock(&log->segment_lock);
        if (status != TX_OK) {
            return status == TX_EIO ? log_poison_on(log, status) : status;
        }
    }
    atomic_fetch_add_explicit(&shared->reserved, charge, memory_order_acq_rel);
    return TX_OK;
}

enum tx_status txlog_reserve(struct txlog *log, size_t size, struct tx_error *err)
{
    uint64_t frame = frame_size(size);
    if (frame == 0 || frame > segment_capacity(log->control.segment_size)) {
        return tx_error_set(err, TX_ELIMIT, "reserve %zu bytes: more than a segment holds", size);
    }
    TX_TRY(log_check_writable(log, err));
    TX_TRY(txio_pair_lock(&log->append_lock, err));
    enum tx_status status = reserve_locked(log, reserve_charge(size), err);
    txio_pair_unlock(&log->append_lock);
    if (status != TX_OK) {
        tx_error_prefix(err, "reserve room in the log");
    }
    return status;
}

void txlog_unreserve(struct txlog *log, size_t size)
{
    struct txlog_shared *shared = log->shared;
    uint64_t charge = reserve_charge(size);
    uint64_t reserved = 0; /* the first exchange that fails says what it is */
    uint64_t left;
    do {
        left = reserved > charge ? reserved - charge : 0;
    } while (!atomic_compare_exchange_weak_explicit(&shared->reserved, &reserved, left,
                                                    memory_order_acq_rel, memory_order_acquire));
}

enum tx_status txlog_prepare_segment(struct txlog *log, struct tx_error *err)
{
    TX_TRY(log_check_writable(log, err));
    if (atomic_load_explicit(&log->shared->spare_count, memory_order_acquire) > 0) {
        return TX_OK;
    }
    TX_TRY(txio_pair_lock(&log->segment_lock, err));
    struct log_survey survey;
    enum tx_status status = log_survey(log, &survey, err);
    if (status == TX_OK && survey.spare_count == 0) {
        status = spare_make(log, err);
    }
    txio_pair_unlock(&log->segment_lock);
    if (status != TX_OK) {
        tx_error_prefix(err, "prepare a segment");
    }
    return status == TX_EIO ? log_poison_on(log, status) : status;
}
