/* SPDX-License-Identifier: MIT */
/*
 * Torn tail or damage? A record that is not whole is a torn tail only as long as nothing proves
 * that it was once durable. The proofs: control's durable LSN, the durable LSN in segment headers,
 * and that in any valid record, also of those behind the bad one (COMMIT 10; FAST'18 "protocol-
 * aware recovery" shows what taking the first bad record for the end costs), and of one that the
 * disk has put in the bad one's place.
 *
 * The decision is a pure function over facts; its rows are tried in order.
 */
#include "base/mutant.h"
#include "txlog/log_scan.h"

enum fact { NO, YES, ANY };

static const struct scan_row {
    enum scan_verdict verdict;
    enum fact newer_epoch, control_claims, log_claims, clean;
    int end; /* enum scan_place or ANY_PLACE */
    enum fact remains;
} rows[] = {
#define ANY_PLACE (-1)
    {SCAN_CONTROL_STALE, YES, ANY, ANY, ANY, ANY_PLACE, ANY},
    {SCAN_CONTROL_PROVES, NO, YES, ANY, ANY, ANY_PLACE, ANY},
    {SCAN_LOG_PROVES, NO, NO, YES, ANY, ANY_PLACE, ANY},
    {SCAN_CLEAN_SHORT, NO, NO, NO, YES, SCAN_BELOW, ANY},
    {SCAN_CLEAN_LONG, NO, NO, NO, YES, SCAN_ABOVE, ANY},
    {SCAN_CLEAN_REMAINS, NO, NO, NO, YES, SCAN_AT, YES},
    {SCAN_CLEAN, NO, NO, NO, YES, SCAN_AT, NO},
    {SCAN_TORN, NO, NO, NO, NO, ANY_PLACE, YES},
    {SCAN_WHOLE, NO, NO, NO, NO, ANY_PLACE, NO},
};

static bool fact_fits(enum fact wanted, bool fact)
{
    return wanted == ANY || (wanted == YES) == fact;
}

static bool row_fits(const struct scan_row *row, const struct scan_facts *facts)
{
    return fact_fits(row->newer_epoch, facts->newer_epoch) &&
           fact_fits(row->control_claims, facts->control_claims) &&
           fact_fits(row->log_claims, facts->log_claims) && fact_fits(row->clean, facts->clean) &&
           (row->end == ANY_PLACE || row->end == (int)facts->end) &&
           fact_fits(row->remains, facts->remains);
}

enum scan_verdict scan_decide(const struct scan_facts *facts)
{
    size_t i = 0;
    while (!row_fits(&rows[i], facts)) {
        i++;
        TX_INVARIANT(i < sizeof(rows) / sizeof(*rows)); /* they cover everything */
    }
    return rows[i].verdict;
}

bool scan_opens(enum scan_verdict verdict)
{
#define SCAN_OPENS(name, opens, text) [name] = opens,
    static const bool open[] = {SCAN_VERDICTS(SCAN_OPENS)};
#undef SCAN_OPENS
    return open[verdict];
}

const char *scan_text(enum scan_verdict verdict)
{
#define SCAN_TEXT(name, opens, text) [name] = text,
    static const char *const texts[] = {SCAN_VERDICTS(SCAN_TEXT)};
#undef SCAN_TEXT
    return verdict < SCAN_VERDICT_COUNT ? texts[verdict] : "?";
}

tx_lsn log_claim(const struct control *control, const struct segment_list *list)
{
    tx_lsn claim = control->durable_lsn;
    for (size_t i = 0; i < list->count; i++) {
        tx_lsn durable = list->items[i].header.durable_lsn;
        claim = durable > claim ? durable : claim;
    }
    return claim;
}

static void scan_end_at(struct log_scan *scan, const struct walk_step *step, uint64_t skip)
{
    scan->end = step->lsn + skip;
    scan->index = step->index;
    scan->offset = step->offset + skip;
}

static enum tx_status scan_step(void *arg, const struct walk_step *step, struct tx_error *err)
{
    struct log_scan *scan = arg;
    (void)err;
    if (TX_MUTANT(7) && scan->ended) { /* FAST'18, NATS: the first bad record is the end */
        return TX_OK;
    }
    if (!step->frame) {
        if (!scan->ended && !TX_MUTANT(8)) { /* MUTANT_8: the next whole record counts again */
            scan_end_at(scan, step, 0);
            scan->ended = true;
        }
        if (step->own_size > 0) {
            scan->remains_end = step->lsn + step->own_size;
        }
        scan->proven = step->astray_lsn > scan->proven ? step->astray_lsn : scan->proven;
        return TX_OK;
    }
    tx_lsn claim = step->frame->durable_lsn;
    scan->proven = claim > scan->proven ? claim : scan->proven;
    scan->epoch = step->frame->epoch > scan->epoch ? step->frame->epoch : scan->epoch;
    if (scan->ended) {
        scan->remains_end = step->lsn + step->size;
    } else {
        scan_end_at(scan, step, step->size);
    }
    return TX_OK;
}

static enum tx_status scan_check_list(struct txlog *log, const struct segment_list *list,
                                      struct tx_error *err)
{
    tx_lsn start = log->control.start_lsn;
    char name[LOG_NAME_SIZE];
    if (list->count == 0 || list->items[0].header.first_lsn > start ||
        list->items[list->count - 1].end_lsn < start) {
        return tx_error_set(err, TX_ECORRUPT,
                            "the segment that holds the checkpoint, LSN %llu, is missing",
                            (unsigned long long)start);
    }
    size_t places = TX_MUTANT(115) ? LOG_SEGMENTS_MAX : LOG_TABLE_SIZE;
    if (list->count >= places) { /* recovery adds one */
        return tx_error_set(err, TX_ELIMIT, "log has %zu segments, more than %u", list->count,
                            LOG_TABLE_SIZE - 1);
    }
    size_t broken = segment_list_broken(list);
    if (broken > 0) {
        segment_name(list->items[broken].header.previous, name);
        return tx_error_set(err, TX_ECORRUPT, "segment %s is missing", name);
    }
    return TX_OK;
}

static void scan_facts_fill(struct log_scan *scan, const struct control *control)
{
    bool clean = control_is_clean(control);
    scan->facts = (struct scan_facts){
        .newer_epoch = scan->epoch > control->epoch,
        .control_claims = control->durable_lsn > scan->end,
        .log_claims = scan->proven > scan->end,
        .clean = clean,
        .end = !clean || scan->end == control->end_lsn ? SCAN_AT
               : scan->end < control->end_lsn         ? SCAN_BELOW
                                                      : SCAN_ABOVE,
        .remains = scan->remains_end > scan->end,
    };
    scan->verdict = scan_decide(&scan->facts);
}

enum tx_status log_scan_run(struct txlog *log, const struct segment_list *list, tx_lsn upto,
                            struct log_scan *scan, struct tx_error *err)
{
    TX_TRY(scan_check_list(log, list, err));
    struct log_scan found = {.proven = log_claim(&log->control, list)};
    if (found.proven < log->claimed_lsn && !TX_MUTANT(97)) {
        found.proven = log->claimed_lsn;
    }
    for (size_t i = 0; i < list->count; i++) {
        uint64_t epoch = list->items[i].header.epoch;
        found.epoch = epoch > found.epoch ? epoch : found.epoch;
    }
    /* With the checkpoint at the very end there may be nothing to walk over. */
    const struct segment_info *last = &list->items[list->count - 1];
    found.end = log->control.start_lsn;
    found.index = list->count - 1;
    found.offset = TXLOG_BLOCK_SIZE + (found.end - last->header.first_lsn);
    TX_TRY(log_walk(log, list, log->control.start_lsn, upto, scan_step, &found, err));
    if (TX_MUTANT(5)) { /* ATC'20: what the page cache shows is taken for durable */
        found.proven = found.end;
    }
    scan_facts_fill(&found, &log->control);
    *scan = found;
    return TX_OK;
}
