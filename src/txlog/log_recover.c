/* SPDX-License-Identifier: MIT */
/*
 * Recovery, in steps each of which may be the last before a crash and is then simply repeated:
 *
 *   1. scan and decide; a verdict of damage ends here, nothing has been changed
 *   2. the names in log/, after a clean close they are durable     (one sync)
 *      control: the new epoch, not clean, what is proven          (two syncs)
 *   3. the log goes on: after a clean close where it ended, else in a new segment
 *   4. shared memory; then what control does not need is recycled
 *
 * Each attempt has an epoch of its own, so whatever an earlier attempt has left in a file that is
 * used again is of an older epoch than the record before it, and does not count.
 */
#include "base/mutant.h"
#include "txlog/log_scan.h"

#define RELEASE memory_order_release

static enum tx_status recover_refuse(const struct segment_list *list, const struct log_scan *scan,
                                     struct tx_error *err)
{
    (void)tx_error_set(err, TX_ECORRUPT, "no valid record: %s", scan_text(scan->verdict));
    log_refer(err, list->items[scan->index].header.seq, scan->offset, scan->end);
    return TX_ECORRUPT;
}

static enum tx_status recover_epoch(struct txlog *log, const struct log_scan *scan,
                                    uint64_t *epoch, struct tx_error *err)
{
    struct log_survey survey;
    struct control content = log->control;
    if (scan->verdict != SCAN_CLEAN && !TX_MUTANT(95)) {
        TX_TRY(spare_drop_torn(log, err));
    }
    TX_TRY(log_survey(log, &survey, err));
    content.epoch++;
    content.flags &= ~(uint32_t)CONTROL_CLEAN;
    content.end_lsn = 0;
    content.durable_lsn = scan->proven;
    /* Some of them may be dropped; their numbers are never given again. Nor is the next one, if
     * this recovery takes it: broken off, it leaves records under that number in a spare. */
    if (!TX_MUTANT(43)) {
        content.last_segment = survey.seq_max;
        content.last_segment += scan->verdict != SCAN_CLEAN && !TX_MUTANT(84);
    }
    if (scan->verdict != SCAN_CLEAN && !TX_MUTANT(72)) {
        /* Control is about to say that what the segments hold is durable. Whoever made the newest
         * of them may have been killed before its name was. */
        TX_TRY(txio_sync(log->io, log->log_dir, LOG_DIR_NAME, err));
        /* Crash here: the same log, under the names that were found. */
    }
    /* A recovery that was broken off may have left the slot that counts in the page cache only, and
     * storing begins with the other one. */
    if (!TX_MUTANT(74)) {
        TX_TRY(txio_datasync(log->io, log->control_fd, "control", err));
    }
    TX_TRY(control_store(log->io, log->control_fd, &content, err));
    log->control.last_segment = survey.seq_max;
    *epoch = content.epoch;
    return TX_OK;
}

static enum tx_status recover_continue(struct txlog *log, struct recover_plan *plan,
                                       struct tx_error *err)
{
    bool changed = false;
    if (plan->scan->verdict == SCAN_CLEAN) {
        return recover_in_place(log, plan, err);
    }
    enum tx_status status = recover_into_new(log, plan, err);
    if (status != TX_ENOSPC) {
        return status;
    }
    /* A full disk may not keep a store from opening. What comes after the end is worth less. */
    uint64_t tail = plan->list->items[plan->scan->index].header.seq;
    TX_TRY(log_recycle_above(log, tail, &changed, err));
    if (changed) {
        status = recover_into_new(log, plan, err);
        if (status != TX_ENOSPC) {
            return status;
        }
    }
    return recover_in_place(log, plan, err);
}

/* Push what the table of a log that others read at rest does not have yet. */
static void table_add(struct txlog_shared *shared, const struct segment_ref *ref)
{
    struct segment_ref tail = {.seq = 0};
    if (atomic_load(&shared->tail) > 0) {
        table_tail(shared, &tail);
    }
    if (ref->seq > tail.seq) {
        table_push(shared, ref);
    }
}

/* The live segments up to where the log goes on. */
static void recover_table(struct txlog *log, const struct recover_plan *plan)
{
    const struct segment_list *list = plan->list;
    for (size_t i = 0; i < list->count; i++) {
        const struct segment_header *header = &list->items[i].header;
        if (header->first_lsn >= plan->ref.first_lsn) {
            break;
        }
        table_add(log->shared,
                  &(struct segment_ref){header->seq, header->first_lsn, header->size});
    }
    table_add(log->shared, &plan->ref);
}

enum tx_status recover_share(struct txlog *log, const struct recover_plan *plan,
                             struct tx_error *err)
{
    struct txlog_shared *shared = log->shared;
    TX_AUTO(segment_handle) handle = {.fd = -1};
    log_shared_begin(log, plan->epoch);
    recover_table(log, plan);
    atomic_store_explicit(&shared->append_lsn, plan->end, RELEASE);
    atomic_store_explicit(&shared->write_lsn, plan->end, RELEASE);
    atomic_store_explicit(&shared->durable_lsn, plan->end, RELEASE);
    atomic_store_explicit(&shared->forced_lsn, plan->end, RELEASE);
    atomic_store_explicit(&shared->aim_lsn, plan->end, RELEASE);
    atomic_store_explicit(&shared->proven_lsn, plan->proven, RELEASE);
    TX_TRY(segment_acquire(log, plan->ref.seq, &handle, err));
    atomic_store_explicit(&shared->magic, LOG_SHARED_MAGIC, RELEASE);
    return TX_OK;
}

/* In place, the epoch record is appended like any other; on a full disk the log does without. */
static enum tx_status recover_append_epoch(struct txlog *log, const struct recover_plan *plan,
                                           struct tx_error *err)
{
    uint8_t payload[EPOCH_PAYLOAD_SIZE];
    struct iovec part = {payload, sizeof(payload)};
    tx_lsn lsn;
    tx_lsn next;
    enum tx_status status = txlog_append_begin(log, sizeof(payload), &lsn, err);
    if (status != TX_OK) {
        return status == TX_ENOSPC ? TX_OK : status;
    }
    epoch_payload_fill(log, plan, payload);
    status = txlog_append(log, TXLOG_KIND_EPOCH, &part, 1, &next, err);
    txlog_append_end(log);
    TX_TRY(status);
    return txlog_force(log, next, err);
}

static void recover_report(const struct recover_plan *plan, struct txlog_recovery *report)
{
    const struct log_scan *scan = plan->scan;
    *report = (struct txlog_recovery){
        .was_clean = scan->verdict == SCAN_CLEAN,
        .end_lsn = scan->end,
        .rewritten_bytes = plan->rewritten_size,
    };
    if (scan->facts.remains) {
        report->torn_bytes = scan->remains_end - scan->end;
        report->torn_segment = plan->list->items[scan->index].header.seq;
        report->torn_offset = scan->offset;
    }
}

struct proof_check {
    tx_lsn proven;
    bool inside;
};

static enum tx_status inside_step(void *arg, const struct walk_step *step, struct tx_error *err)
{
    struct proof_check *check = arg;
    (void)err;
    check->inside |= step_is_around(step, check->proven);
    return TX_OK;
}

/* The log goes on where proof ends. A hostile log may claim proof inside of a record, at bytes that
 * look like another. */
static enum tx_status recover_check_proof(struct txlog *log, const struct segment_list *list,
                                          const struct log_scan *scan, struct tx_error *err)
{
    struct proof_check check = {.proven = scan->proven};
    tx_lsn from = log->control.start_lsn; /* a record begins there, or where a segment does */
    if (scan->proven == scan->end) {
        return TX_OK;
    }
    for (size_t i = 1; i < list->count && list->items[i].header.first_lsn <= scan->proven; i++) {
        from = list->items[i].header.first_lsn;
    }
    TX_TRY(log_walk(log, list, from, scan->proven, inside_step, &check, err));
    return check.inside && !TX_MUTANT(124)
               ? tx_error_set(err, TX_ECORRUPT, "no record begins at the durable LSN %llu",
                              (unsigned long long)scan->proven)
               : TX_OK;
}

static enum tx_status recover(struct txlog *log, struct txlog_recovery *report,
                              struct tx_error *err)
{
    TX_AUTO(segment_list) list = {NULL, 0};
    struct log_scan scan;
    struct recover_plan plan = {.list = &list, .scan = &scan};
    TX_TRY(control_load(log->io, log->control_fd, &log->control, err));
    TX_TRY(segment_list_load(log, log->control.start_segment, NULL, NULL, &list, err));
    TX_TRY(log_scan_run(log, &list, WALK_ALL, &scan, err));
    if (!scan_opens(scan.verdict)) {
        return recover_refuse(&list, &scan, err);
    }
    TX_TRY(recover_check_proof(log, &list, &scan, err));
    TX_TRY(recover_epoch(log, &scan, &plan.epoch, err));
    TX_TRY(recover_continue(log, &plan, err));
    TX_TRY(recover_share(log, &plan, err));
    atomic_store_explicit(&log->shared->at_rest, 0, RELEASE);
    TX_TRY(log_prove(log, err));
    if (plan.end == scan.end) {
        TX_TRY(recover_append_epoch(log, &plan, err));
    }
    TX_TRY(log_recycle_below(log, log->control.start_segment, err));
    recover_report(&plan, report);
    return TX_OK;
}

void txlog_claim_durable(struct txlog *log, tx_lsn lsn)
{
    log->claimed_lsn = lsn > log->claimed_lsn ? lsn : log->claimed_lsn;
}

enum tx_status txlog_recover(struct txlog *log, struct txlog_recovery *report, struct tx_error *err)
{
    if (log->mode != TXLOG_READWRITE) {
        return tx_error_set(err, TX_EREADONLY, "recover the log: it is open read-only");
    }
    bool used = atomic_load_explicit(&log->shared->magic, memory_order_acquire) != 0;
    bool at_rest = atomic_load_explicit(&log->shared->at_rest, memory_order_acquire) != 0;
    if (used && !at_rest) {
        return tx_error_set(err, TX_EMISUSE, "recover the log: others use it");
    }
    enum tx_status status = recover(log, report, err);
    if (status != TX_OK) {
        atomic_store_explicit(&log->shared->at_rest, at_rest, RELEASE); /* for the next one */
        tx_error_prefix(err, "recover the log");
    }
    return status;
}
