/* SPDX-License-Identifier: MIT */
/*
 * Trimming, and the clean mark: the two that change control while the log is in use. First control,
 * durably in both slots; then shared memory; then the files. Whatever stops it half-way, the next
 * trim or recovery removes what control does not need.
 */
#include "txlog/log_scan.h"

#define ACQUIRE memory_order_acquire
#define RELEASE memory_order_release

struct recycle_job {
    struct txlog *log;
    struct log_survey survey;
};

/* Make a spare of a segment, or remove it. */
static enum tx_status recycle_one(struct recycle_job *job, uint64_t seq, struct tx_error *err)
{
    struct txlog *log = job->log;
    struct txio_stat stat;
    char name[LOG_NAME_SIZE];
    char spare[LOG_NAME_SIZE];
    segment_name(seq, name);
    TX_TRY(txio_stat_path(log->io, log->log_dir, name, &stat, err));
    if (job->survey.spare_count >= LOG_SPARES_KEPT || stat.size != log->control.segment_size) {
        /* Crash here: the segment is there or not; nobody needs it. */
        return txio_unlink(log->io, log->log_dir, name, err);
    }
    spare_name(job->survey.spare_free++, spare);
    job->survey.spare_count++;
    /* Crash here: under one name or the other. Both are worthless: the old one because nobody needs
     * it, the new one by its kind. The header in it is replaced when it is used. */
    return txio_rename(log->io, log->log_dir, name, log->log_dir, spare, TXIO_NOREPLACE, err);
}

static enum tx_status recycle_sync(struct txlog *log, struct tx_error *err)
{
    return txio_sync(log->io, log->log_dir, LOG_DIR_NAME "/", err);
}

enum tx_status log_recycle_below(struct txlog *log, uint64_t seq, struct tx_error *err)
{
    TX_AUTO(tx_buf) numbers = TX_BUF_INIT;
    struct recycle_job job = {.log = log};
    TX_TRY(log_survey(log, &job.survey, err));
    /* Collected first: a listing during which names change may show some twice. */
    TX_TRY(segment_numbers(log, 0, &numbers, err));
    size_t count = numbers.size / sizeof(uint64_t);
    size_t done = 0;
    for (; done < count && segment_number(&numbers, done) < seq; done++) {
        TX_TRY(recycle_one(&job, segment_number(&numbers, done), err));
    }
    if (done == 0) {
        return TX_OK;
    }
    /* A spare is used under a third name; the second one must be settled before. */
    TX_TRY(recycle_sync(log, err));
    return log_survey(log, &job.survey, err);
}

enum tx_status log_recycle_above(struct txlog *log, uint64_t seq, bool *changed,
                                 struct tx_error *err)
{
    TX_AUTO(tx_buf) numbers = TX_BUF_INIT;
    struct recycle_job job = {.log = log};
    TX_TRY(log_survey(log, &job.survey, err));
    TX_TRY(segment_numbers(log, seq + 1, &numbers, err));
    size_t count = numbers.size / sizeof(uint64_t);
    for (size_t i = count; i > 0; i--) {
        TX_TRY(recycle_one(&job, segment_number(&numbers, i - 1), err));
        /* One by one and the last first: with one missing in between they look damaged. */
        TX_TRY(recycle_sync(log, err));
    }
    *changed = count > 0;
    return log_survey(log, &job.survey, err);
}

static enum tx_status trim_check(struct txlog *log, tx_lsn lsn, struct segment_ref *ref,
                                 uint64_t *index, struct tx_error *err)
{
    struct txlog_shared *shared = log->shared;
    if (lsn > atomic_load_explicit(&shared->durable_lsn, ACQUIRE) ||
        lsn < atomic_load_explicit(&shared->start_lsn, ACQUIRE) ||
        lsn % TXLOG_BLOCK_SIZE != 0) {
        return tx_error_set(err, TX_EMISUSE, "trim to LSN %llu, which is not between the "
                                             "checkpoint and the durable end",
                            (unsigned long long)lsn);
    }
    TX_INVARIANT(table_find(shared, lsn, ref, index)); /* its head moves after the checkpoint */
    if (lsn < atomic_load_explicit(&shared->append_lsn, ACQUIRE)) {
        struct frame_header header; /* a record must begin there */
        struct txlog_record record;
        enum tx_status status = log_read_frame(log, lsn, &header, &record, NULL, err);
        if (status != TX_OK) {
            tx_error_prefix(err, "trim to a record");
            return status;
        }
    }
    return TX_OK;
}

static enum tx_status trim_locked(struct txlog *log, tx_lsn lsn, struct tx_error *err)
{
    struct txlog_shared *shared = log->shared;
    struct segment_ref ref;
    struct control content;
    uint64_t index;
    TX_TRY(trim_check(log, lsn, &ref, &index, err));
    TX_TRY(control_load_current(log, &content, err));
    content.start_lsn = lsn;
    content.start_segment = ref.seq;
    content.durable_lsn = atomic_load_explicit(&shared->forced_lsn, ACQUIRE);
    enum tx_status status = control_store(log->io, log->control_fd, &content, err);
    if (status != TX_OK) {
        return log_poison_on(log, status);
    }
    proof_raise(&shared->proven_lsn, content.durable_lsn);
    atomic_store_explicit(&shared->start_lsn, lsn, RELEASE);
    table_cut_head(shared, index);
    segment_files_forget(log, ref.seq);
    status = log_recycle_below(log, ref.seq, err);
    return status == TX_EIO ? log_poison_on(log, status) : status;
}

enum tx_status txlog_trim(struct txlog *log, tx_lsn lsn, struct tx_error *err)
{
    TX_TRY(log_check_writable(log, err));
    TX_TRY(txio_pair_lock(&log->segment_lock, err));
    enum tx_status status = trim_locked(log, lsn, err);
    txio_pair_unlock(&log->segment_lock);
    if (status != TX_OK) {
        tx_error_prefix(err, "trim the log");
    }
    return status;
}

static enum tx_status mark_locked(struct txlog *log, struct tx_error *err)
{
    struct txlog_shared *shared = log->shared;
    struct control content;
    tx_lsn end = atomic_load_explicit(&shared->append_lsn, ACQUIRE);
    TX_TRY(append_clear(log, err));
    /* Crash here: not clean, so it does not matter what a killed writer left. */
    TX_TRY(control_load_current(log, &content, err));
    content.flags |= CONTROL_CLEAN;
    content.end_lsn = end;
    content.durable_lsn = end;
    atomic_store_explicit(&shared->is_clean, 1, RELEASE);
    return log_poison_on(log, control_store(log->io, log->control_fd, &content, err));
}

enum tx_status txlog_mark_clean(struct txlog *log, struct tx_error *err)
{
    TX_TRY(log_check_writable(log, err));
    TX_TRY(txlog_force(log, atomic_load_explicit(&log->shared->append_lsn, ACQUIRE), err));
    TX_TRY(txio_pair_lock(&log->append_lock, err));
    enum tx_status status = txio_pair_lock(&log->segment_lock, err);
    if (status == TX_OK) {
        bool forced = atomic_load_explicit(&log->shared->append_lsn, ACQUIRE) ==
                      atomic_load_explicit(&log->shared->durable_lsn, ACQUIRE);
        status = forced ? mark_locked(log, err)
                        : tx_error_set(err, TX_EMISUSE, "records were appended meanwhile");
        txio_pair_unlock(&log->segment_lock);
    }
    txio_pair_unlock(&log->append_lock);
    if (status != TX_OK) {
        tx_error_prefix(err, "mark the log clean");
    }
    return status;
}
