/* SPDX-License-Identifier: MIT */
/*
 * A log that was closed properly can be read as it lies: nothing on disk changes, and nothing is
 * synced. Whoever wants to append recovers it first, while the readers go on; so the epoch becomes
 * durable with the first writer, and a command that only looks costs no flush.
 */
#include "base/mutant.h"
#include "txlog/log_scan.h"

#define RELEASE memory_order_release

/* How far behind the end a reader looks for bytes that belie the clean mark. A log that went on
 * behind control's back goes on right there; the rest is for recovery and txlog_verify. */
#define REST_LOOK_SIZE LOG_WINDOW_SIZE

/* A verdict of damage is no error here: the recovery that follows says where. */
static enum tx_status rest_scan(struct txlog *log, struct segment_list *list,
                                struct log_scan *scan, bool *clean, struct tx_error *err)
{
    *clean = false;
    TX_TRY(control_load(log->io, log->control_fd, &log->control, err));
    if (!control_is_clean(&log->control) && !TX_MUTANT(85)) {
        return TX_OK;
    }
    TX_TRY(segment_list_load(log, log->control.start_segment, NULL, NULL, list, err));
    TX_TRY(log_scan_run(log, list, log->control.end_lsn + REST_LOOK_SIZE, scan, err));
    /* MUTANT_85: whatever the verdict is. */
    *clean = scan->verdict == SCAN_CLEAN || TX_MUTANT(85);
    return TX_OK;
}

enum tx_status txlog_open_clean(struct txlog *log, bool *opened, struct tx_error *err)
{
    TX_AUTO(segment_list) list = {NULL, 0};
    struct log_scan scan;
    bool clean;
    *opened = false;
    if (atomic_load_explicit(&log->shared->magic, memory_order_acquire) != 0) {
        return tx_error_set(err, TX_EMISUSE, "open the log clean: others use it");
    }
    TX_TRY(rest_scan(log, &list, &scan, &clean, err));
    if (!clean) {
        return TX_OK;
    }
    const struct segment_header *tail = &list.items[scan.index].header;
    struct recover_plan plan = {
        .list = &list,
        .scan = &scan,
        .epoch = 0, /* none has begun */
        .ref = {tail->seq, tail->first_lsn, tail->size},
        .end = scan.end,
        .proven = scan.end,
    };
    atomic_store_explicit(&log->shared->at_rest, 1, RELEASE);
    TX_TRY(recover_share(log, &plan, err));
    *opened = true;
    return TX_OK;
}
