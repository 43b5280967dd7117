/* SPDX-License-Identifier: MIT */
/*
 * Proof before the acknowledgement, where recovery might have no room. What nothing proves to be
 * durable a recovery writes again: into the spare. Without one, on a full disk, only their own
 * place is left, and a power cut just then may take the records. So a force that leaves records
 * without a spare to hold them is answered after control says that they are durable; nobody ever
 * writes them again. It costs two syncs more, and only while the disk, or the log's limit, is full
 * or the log holds a record larger than a segment.
 *
 * Who takes the last spare and who relies on it never miss each other: the leader stores forced_lsn
 * and then looks for the spare, the appender counts the spare out (or stores aim_lsn) and then
 * looks at forced_lsn, all in one order (seq_cst).
 */
#include "base/mutant.h"
#include "txlog/txlog_internal.h"

#define SEQ_CST memory_order_seq_cst

void proof_raise(_Atomic uint64_t *word, uint64_t value)
{
    uint64_t old = 0; /* the first exchange that fails says what it is */
    while (old < value &&
           !atomic_compare_exchange_weak_explicit(word, &old, value, SEQ_CST, SEQ_CST)) {
    }
}

static bool is_proven(struct txlog_shared *shared, tx_lsn lsn)
{
    return atomic_load_explicit(&shared->proven_lsn, SEQ_CST) >= lsn;
}

/* Would a spare hold what a recovery has to write again, and the record of its epoch? */
static bool fits_spare(struct txlog *log)
{
    struct txlog_shared *shared = log->shared;
    uint64_t aim = atomic_load_explicit(&shared->aim_lsn, SEQ_CST);
    uint64_t proven = atomic_load_explicit(&shared->proven_lsn, SEQ_CST); /* never above aim */
    return aim - proven + frame_size(EPOCH_PAYLOAD_SIZE) <=
           segment_capacity(log->control.segment_size);
}

static enum tx_status prove_locked(struct txlog *log, tx_lsn lsn, struct tx_error *err)
{
    struct control content;
    if (is_proven(log->shared, lsn)) {
        return TX_OK;
    }
    TX_TRY(control_load_current(log, &content, err));
    content.durable_lsn = lsn;
    TX_TRY(control_store(log->io, log->control_fd, &content, err));
    proof_raise(&log->shared->proven_lsn, lsn);
    return TX_OK;
}

enum tx_status log_prove(struct txlog *log, struct tx_error *err)
{
    struct txlog_shared *shared = log->shared;
    tx_lsn lsn = atomic_load_explicit(&shared->forced_lsn, SEQ_CST);
    if (is_proven(shared, lsn) || TX_MUTANT(104)) {
        return TX_OK;
    }
    bool has_spare = atomic_load_explicit(&shared->spare_count, SEQ_CST) > 0;
    if (fits_spare(log)) {
        if (has_spare || txlog_prepare_segment(log, NULL) == TX_OK) {
            return TX_OK;
        }
        if (txlog_is_poisoned(log)) {
            return tx_error_set(err, TX_EPOISONED, "%s", tx_status_text(TX_EPOISONED));
        }
    }
    TX_TRY(txio_pair_lock(&log->segment_lock, err));
    enum tx_status status = prove_locked(log, lsn, err);
    txio_pair_unlock(&log->segment_lock);
    return log_poison_on(log, status);
}
