/* SPDX-License-Identifier: MIT */
/*
 * Reading every byte and reporting what cannot be right. The same walk and the same proofs as in
 * recovery; beyond them, what was never written must be zero: the rest of a zero-filled segment and
 * a spare that was never used. Unknown stay: recycled blocks that nobody has written to yet, and
 * what a crash left behind an end (a torn tail is no fault).
 */
#include "base/mutant.h"
#include "txlog/log_scan.h"

struct verify {
    struct txlog *log;
    txlog_fault_fn *fn;
    void *arg;
    uint64_t faults;
    struct segment_list list;
    tx_lsn proven;
    tx_lsn end; /* of the last record */
    bool clean;
    bool has_control;
};

static void verify_auto(struct verify *verify)
{
    segment_list_auto(&verify->list);
    txlog_close(verify->log);
}

static void report(struct verify *verify, const char *file, uint64_t offset, tx_lsn lsn,
                   const char *text)
{
    struct txlog_fault fault = {.file = file, .offset = offset, .lsn = lsn};
    size_t size = strnlen(text, sizeof(fault.text) - 1);
    memcpy(fault.text, text, size);
    verify->faults++;
    if (verify->fn) {
        verify->fn(verify->arg, &fault);
    }
}

static void report_segment(struct verify *verify, uint64_t seq, uint64_t offset, tx_lsn lsn,
                           const char *text)
{
    char name[LOG_NAME_SIZE];
    segment_name(seq, name);
    report(verify, name, offset, lsn, text);
}

static enum tx_status verify_control(struct verify *verify, struct tx_error *err)
{
    struct txlog *log = verify->log;
    struct control_slots slots;
    struct txio_stat stat;
    TX_TRY(txio_stat_fd(log->io, log->control_fd, &stat, err));
    if (stat.size != CONTROL_SIZE) {
        report(verify, CONTROL_NAME, stat.size, 0, "file has not the size of two slots");
    }
    TX_TRY(control_read(log->io, log->control_fd, &slots, err));
    for (int i = 0; i < 2; i++) {
        if (slots.status[i] == TX_EVERSION) {
            return tx_error_set(err, TX_EVERSION, CONTROL_NAME ": unknown format version");
        }
        if (slots.status[i] != TX_OK) {
            report(verify, CONTROL_NAME, (uint64_t)i * TXLOG_BLOCK_SIZE, 0,
                   "slot is damaged, or a crash cut off its writing");
        }
    }
    verify->has_control = slots.newest >= 0;
    if (verify->has_control) {
        log->control = slots.slot[slots.newest];
        log->log_id = tx_get64(log->control.uuid);
        uint64_t other = slots.slot[1 - slots.newest].sequence;
        if (slots.status[1 - slots.newest] == TX_OK && log->control.sequence - other != 1) {
            report(verify, CONTROL_NAME, 0, 0, "slots do not follow one another");
        }
    }
    verify->clean = verify->has_control && control_is_clean(&log->control);
    return TX_OK;
}

static enum tx_status verify_bad_segment(void *arg, uint64_t seq, enum tx_status status,
                                         struct tx_error *err)
{
    if (status != TX_ECORRUPT) {
        return status;
    }
    report_segment(arg, seq, 0, 0, err->text); /* verify_list has one */
    return TX_OK;
}

static enum tx_status verify_list(struct verify *verify, struct tx_error *err)
{
    struct txlog *log = verify->log;
    struct tx_error own;
    enum tx_status status = segment_list_load(log, log->control.start_segment, verify_bad_segment,
                                              verify, &verify->list, &own);
    if (status != TX_OK) {
        if (err) {
            *err = own;
        }
        return status;
    }
    const struct segment_list *list = &verify->list;
    size_t broken = segment_list_broken(list);
    if (broken > 0) {
        report_segment(verify, list->items[broken].header.previous, 0,
                       list->items[broken].header.first_lsn, "segment is missing");
    }
    if (verify->has_control &&
        (list->count == 0 || list->items[0].header.first_lsn > log->control.start_lsn ||
         list->items[list->count - 1].end_lsn < log->control.start_lsn)) {
        report(verify, LOG_DIR_NAME, 0, log->control.start_lsn,
               "segment that holds the checkpoint is missing");
    }
    return TX_OK;
}

static enum tx_status proof_step(void *arg, const struct walk_step *step, struct tx_error *err)
{
    struct verify *verify = arg;
    (void)err;
    tx_lsn claim = step->frame ? step->frame->durable_lsn : step->astray_lsn;
    verify->proven = claim > verify->proven ? claim : verify->proven;
    return TX_OK;
}

static void report_step(struct verify *verify, const struct walk_step *step, const char *text)
{
    report_segment(verify, step->segment->header.seq, step->offset, step->lsn, text);
}

static void verify_frame(struct verify *verify, const struct walk_step *step)
{
    const struct control *control = &verify->log->control; /* zeros when there is none */
    if (step_is_around(step, verify->proven)) {
        report_step(verify, step, "the durable end that is claimed lies inside of the record");
    }
    if (step_is_around(step, control->start_lsn) && !TX_MUTANT(132)) {
        report_step(verify, step, "the checkpoint lies inside of the record");
    }
    if (verify->has_control && step->frame->epoch > control->epoch) {
        report_step(verify, step, scan_text(SCAN_CONTROL_STALE));
    } else if (verify->clean && step->lsn + step->size > control->end_lsn) {
        report_step(verify, step, scan_text(SCAN_CLEAN_LONG));
    }
}

static enum tx_status fault_step(void *arg, const struct walk_step *step, struct tx_error *err)
{
    struct verify *verify = arg;
    (void)err;
    if (step->frame) {
        verify_frame(verify, step);
        verify->end = step->lsn + step->size;
    } else if (step->astray) {
        report_step(verify, step, "a record stands where another one belongs");
    } else if (step->lsn < verify->proven) {
        report_step(verify, step, "no valid record, though it was durable");
    } else if (verify->clean && step->own_size > 0) {
        report_step(verify, step, "bytes behind the end of a log that was closed properly");
    }
    return TX_OK;
}

static enum tx_status verify_zero(struct verify *verify, int fd, uint64_t size, const char *name,
                                  uint64_t from, struct tx_error *err)
{
    TX_AUTO(log_window) window = {.buffer = NULL};
    TX_TRY(window_init(&window, verify->log->io, err));
    window_set(&window, fd, size);
    for (uint64_t at = from; at < size; at += TXLOG_BLOCK_SIZE) {
        const uint8_t *block;
        TX_TRY(window_block(&window, at, &block, err));
        if (!tx_is_zero(block, TXLOG_BLOCK_SIZE)) {
            report(verify, name, at, 0, "block was never written and is not zero");
        }
    }
    return TX_OK;
}

/* What a segment has beyond the beginning of the next one. */
static enum tx_status verify_rest(struct verify *verify, size_t index, struct tx_error *err)
{
    TX_AUTO(segment_handle) handle = {.fd = -1};
    const struct segment_info *segment = &verify->list.items[index];
    const struct segment_info *next = segment + 1;
    uint64_t used = segment->end_lsn - segment->header.first_lsn;
    char name[LOG_NAME_SIZE];
    if ((segment->header.flags & SEGMENT_RECYCLED) || (next->header.flags & SEGMENT_RECOVERY) ||
        used >= segment_capacity(segment->header.size)) {
        return TX_OK;
    }
    segment_name(segment->header.seq, name);
    TX_TRY(segment_acquire(verify->log, segment->header.seq, &handle, err));
    return verify_zero(verify, handle.fd, segment->header.size, name, TXLOG_BLOCK_SIZE + used, err);
}

/* What the walk cannot meet: segments of another epoch, records of segments that are not there. */
static void verify_ends(struct verify *verify)
{
    const struct segment_list *list = &verify->list;
    const struct control *control = &verify->log->control;
    /* MUTANT_67: a last segment that is not there is not missed. */
    if (TX_MUTANT(67)) {
        return;
    }
    tx_lsn full = list->items[list->count - 1].end_lsn;
    if (verify->proven > full) {
        report(verify, LOG_DIR_NAME, 0, full, "segment is missing, records in it were durable");
    } else if (verify->clean && verify->end < control->end_lsn) {
        report(verify, LOG_DIR_NAME, 0, verify->end, scan_text(SCAN_CLEAN_SHORT));
    }
    for (size_t i = 0; verify->has_control && i < list->count; i++) {
        const struct segment_header *header = &list->items[i].header;
        if (header->epoch > control->epoch) {
            report_segment(verify, header->seq, 0, header->first_lsn,
                           scan_text(SCAN_CONTROL_STALE));
        }
    }
}

static enum tx_status verify_records(struct verify *verify, struct tx_error *err)
{
    const struct segment_list *list = &verify->list;
    if (list->count == 0) {
        return TX_OK;
    }
    tx_lsn first = list->items[0].header.first_lsn;
    verify->proven = log_claim(&verify->log->control, list);
    TX_TRY(log_walk(verify->log, list, first, WALK_ALL, proof_step, verify, err));
    verify->end = first;
    TX_TRY(log_walk(verify->log, list, first, WALK_ALL, fault_step, verify, err));
    verify_ends(verify);
    for (size_t i = 0; i + 1 < list->count; i++) {
        TX_TRY(verify_rest(verify, i, err));
    }
    return TX_OK;
}

static enum tx_status verify_spare_file(struct verify *verify, int fd, const char *name,
                                        struct tx_error *err)
{
    struct segment_header header;
    struct txio_stat stat;
    uint8_t block[TXLOG_BLOCK_SIZE];
    TX_TRY(txio_stat_fd(verify->log->io, fd, &stat, err));
    if (stat.size < TXLOG_BLOCK_SIZE || stat.size % TXLOG_BLOCK_SIZE != 0) {
        report(verify, name, stat.size, 0, "spare segment has an odd size");
        return TX_OK;
    }
    TX_TRY(txio_read_full(verify->log->io, fd, block, sizeof(block), 0, err));
    if (tx_is_zero(block, TXLOG_BLOCK_SIZE)) {
        return verify_zero(verify, fd, stat.size, name, 0, err);
    }
    enum tx_status status = segment_decode(block, &header, err);
    if (status == TX_ECORRUPT) {
        report(verify, name, 0, 0, "block was never written and is not zero");
        return TX_OK;
    }
    return status;
}

static enum tx_status verify_spare(void *arg, const char *name, enum log_name_kind kind,
                                   uint64_t number, struct tx_error *err)
{
    struct verify *verify = arg;
    struct txio *io = verify->log->io;
    int fd;
    (void)number;
    if (kind != LOG_NAME_SPARE) {
        return TX_OK;
    }
    TX_TRY(txio_open(io, verify->log->log_dir, name, TXIO_READ, 0, &fd, err));
    enum tx_status status = verify_spare_file(verify, fd, name, err);
    (void)io->ops->close(io, fd); /* read only */
    return status;
}

static enum tx_status verify_all(struct verify *verify, struct tx_error *err)
{
    struct txlog *log = verify->log;
    TX_TRY(log_shared_private(log, err));
    TX_TRY(txio_open(log->io, log->dir, CONTROL_NAME, TXIO_READ, 0, &log->control_fd, err));
    TX_TRY(txio_open(log->io, log->dir, LOG_DIR_NAME, TXIO_READ | TXIO_DIRECTORY, 0, &log->log_dir,
                     err));
    TX_TRY(verify_control(verify, err));
    TX_TRY(verify_list(verify, err));
    TX_TRY(verify_records(verify, err));
    return log_each_name(log, verify_spare, verify, err);
}

enum tx_status txlog_verify(struct txio *io, int dir, txlog_fault_fn *fn, void *arg,
                            uint64_t *faults, struct tx_error *err)
{
    TX_AUTO(verify) verify = {.fn = fn, .arg = arg};
    TX_TRY(log_new(io, dir, TXLOG_SALVAGE, &verify.log, err));
    enum tx_status status = verify_all(&verify, err);
    if (status != TX_OK) {
        tx_error_prefix(err, "verify the log");
        return status;
    }
    *faults = verify.faults;
    return TX_OK;
}
