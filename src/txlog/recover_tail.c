/* SPDX-License-Identifier: MIT */
/*
 * The unproven tail: records that are whole, but of which nothing says that the disk has them.
 * After a failed sync the page cache may show what the disk never got, so recovery writes them
 * again and syncs before anybody acts on them. They go into a new segment, so that no block that
 * may hold an acknowledged record is overwritten; that segment begins where proof ends, gets its
 * name when all of it is durable, and thereby supersedes the old tail in one step.
 */
#include "base/mutant.h"
#include "txlog/log_scan.h"

void epoch_payload_fill(struct txlog *log, const struct recover_plan *plan,
                        uint8_t disk[EPOCH_PAYLOAD_SIZE])
{
    const struct log_scan *scan = plan->scan;
    struct epoch_payload payload = {
        .end_lsn = scan->end,
        .proven_lsn = scan->proven,
        .torn_size = scan->facts.remains ? scan->remains_end - scan->end : 0,
        .time_ns = log->io->ops->realtime_ns(log->io),
        .verdict = (uint32_t)scan->verdict,
    };
    tx_fields_encode(epoch_fields, &payload, disk);
}

struct copy_job {
    struct txlog *log;
    struct recover_plan *plan;
    struct segment_draft *draft; /* NULL, as the buffer: in place */
    uint8_t *buffer; /* LOG_WINDOW_SIZE bytes */
    struct segment_handle from;
    uint64_t from_seq;
};

static void copy_job_auto(struct copy_job *job)
{
    segment_handle_auto(&job->from);
    tx_free(job->buffer);
}

static enum tx_status copy_source(struct copy_job *job, uint64_t seq, struct tx_error *err)
{
    if (job->from.fd >= 0 && job->from_seq == seq) {
        return TX_OK;
    }
    segment_handle_auto(&job->from);
    job->from_seq = seq;
    return segment_acquire(job->log, seq, &job->from, err);
}

static enum tx_status write_at(struct txlog *log, int fd, const void *data, size_t size,
                               uint64_t offset, struct tx_error *err)
{
    struct iovec part = {(void *)(uintptr_t)data, size};
    return txio_write_full(log->io, fd, &part, 1, offset, err);
}

/* Copy one frame behind its header, which `hasher` has already; the seal of the new one goes to the
 * new header, that of the old one is checked once more over the very bytes that are copied. */
static enum tx_status copy_body(struct copy_job *job, const struct walk_step *step,
                                uint64_t to_offset, struct tx_hasher *hasher, uint64_t *old_sum,
                                struct tx_error *err)
{
    struct tx_hasher old;
    int to = job->draft->fd;
    frame_seal_init(&old, step->frame);
    for (uint64_t at = 0; at < step->size;) {
        uint64_t left = step->size - at;
        size_t size = left < LOG_WINDOW_SIZE ? (size_t)left : LOG_WINDOW_SIZE;
        size_t skip = at == 0 ? FRAME_HEADER_SIZE : 0;
        TX_TRY(txio_read_full(job->log->io, job->from.fd, job->buffer, size, step->offset + at,
                              err));
        tx_hasher_add(hasher, job->buffer + skip, size - skip);
        tx_hasher_add(&old, job->buffer + skip, size - skip);
        TX_TRY(write_at(job->log, to, job->buffer + skip, size - skip, to_offset + at + skip, err));
        at += size;
    }
    *old_sum = tx_hasher_sum64(&old);
    return TX_OK;
}

static enum tx_status copy_frame(struct copy_job *job, const struct walk_step *step,
                                 struct tx_error *err)
{
    const struct segment_draft *draft = job->draft;
    struct frame_header header = *step->frame;
    uint64_t to_offset = TXLOG_BLOCK_SIZE + (step->lsn - draft->header.first_lsn);
    struct tx_hasher hasher;
    uint8_t disk[FRAME_HEADER_SIZE];
    uint64_t old_sum;
    header.segment = draft->header.seq;
    frame_seal_init(&hasher, &header);
    TX_TRY(copy_source(job, step->segment->header.seq, err));
    TX_TRY(copy_body(job, step, to_offset, &hasher, &old_sum, err));
    if (old_sum != step->frame->seal) {
        return tx_error_set(err, TX_EIO, "a record changed while it was read");
    }
    header.seal = tx_hasher_sum64(&hasher);
    frame_encode(&header, disk);
    job->plan->rewritten_size += step->size;
    return write_at(job->log, draft->fd, disk, sizeof(disk), to_offset, err);
}

/* Where a record was when the log was scanned there may be none when it is read once more. */
static enum tx_status copy_check(const struct copy_job *job, struct tx_error *err)
{
    const struct log_scan *scan = job->plan->scan;
    return job->plan->rewritten_size == scan->end - scan->proven
               ? TX_OK
               : tx_error_set(err, TX_ECORRUPT, "a record behind the durable LSN %llu is gone",
                              (unsigned long long)scan->proven);
}

static enum tx_status copy_step(void *arg, const struct walk_step *step, struct tx_error *err)
{
    struct copy_job *job = arg;
    return step->frame ? copy_frame(job, step, err) : TX_OK;
}

static enum tx_status copy_epoch(struct txlog *log, const struct recover_plan *plan,
                                 const struct segment_draft *draft, struct tx_error *err)
{
    uint8_t block[TXLOG_BLOCK_SIZE] = {0};
    struct tx_hasher hasher;
    struct frame_header header = {
        .magic = FRAME_MAGIC,
        .version = FRAME_VERSION,
        .header_size = FRAME_HEADER_SIZE,
        .kind = TXLOG_KIND_EPOCH,
        .payload_size = EPOCH_PAYLOAD_SIZE,
        .lsn = plan->scan->end,
        .segment = draft->header.seq,
        .log_id = log->log_id,
        .epoch = plan->epoch,
        .durable_lsn = plan->scan->proven,
    };
    epoch_payload_fill(log, plan, block + FRAME_HEADER_SIZE);
    frame_seal_init(&hasher, &header);
    tx_hasher_add(&hasher, block + FRAME_HEADER_SIZE, sizeof(block) - FRAME_HEADER_SIZE);
    header.seal = tx_hasher_sum64(&hasher);
    frame_encode(&header, block);
    uint64_t offset = TXLOG_BLOCK_SIZE + (plan->scan->end - draft->header.first_lsn);
    return write_at(log, draft->fd, block, sizeof(block), offset, err);
}

/* The live segment that one beginning at `lsn` continues. */
static uint64_t list_previous(const struct segment_list *list, tx_lsn lsn)
{
    uint64_t previous = 0;
    for (size_t i = 0; i < list->count && list->items[i].header.first_lsn < lsn; i++) {
        previous = list->items[i].header.seq;
    }
    return previous;
}

enum tx_status recover_into_new(struct txlog *log, struct recover_plan *plan, struct tx_error *err)
{
    TX_AUTO(segment_draft) draft = {.log = log, .fd = -1};
    TX_AUTO(copy_job) job = {.log = log, .plan = plan, .draft = &draft, .from.fd = -1};
    const struct log_scan *scan = plan->scan;
    tx_lsn end = scan->end + frame_size(EPOCH_PAYLOAD_SIZE);
    uint64_t wanted = TXLOG_BLOCK_SIZE + (end - scan->proven);
    uint64_t standard = log->control.segment_size;
    struct segment_header header = {
        .size = wanted > standard ? wanted : standard,
        .flags = SEGMENT_RECOVERY,
        .first_lsn = scan->proven,
        .durable_lsn = end,
        .previous = list_previous(plan->list, scan->proven),
        .epoch = plan->epoch,
    };
    plan->rewritten_size = 0;
    job.buffer = tx_alloc(LOG_WINDOW_SIZE);
    if (!job.buffer) {
        return tx_error_set(err, TX_ENOMEM, "out of memory");
    }
    TX_TRY(segment_draft_begin(log, &header, &draft, err));
    TX_TRY(log_walk(log, plan->list, scan->proven, scan->end, copy_step, &job, err));
    TX_TRY(copy_check(&job, err));
    TX_TRY(copy_epoch(log, plan, &draft, err));
    /* Crash here: a file without a segment's name; the old tail is what it was. */
    TX_TRY(txio_datasync(log->io, draft.fd, "the new segment", err));
    struct tx_error why;
    enum tx_status status = segment_draft_publish(&draft, &why);
    if (status != TX_OK) {
        /* With its name there it is not to be taken for "nothing has changed". */
        return tx_error_set(err, draft.is_named ? TX_EIO : status, "%s", why.text);
    }
    plan->ref = (struct segment_ref){draft.header.seq, draft.header.first_lsn, draft.header.size};
    plan->end = end;
    plan->proven = end;
    return TX_OK;
}

/* The whole frame is read and checked before its first byte is written: this is the only copy. */
static enum tx_status rewrite_frame(struct copy_job *job, const struct walk_step *step,
                                    struct tx_error *err)
{
    TX_AUTO(tx_buf) frame = TX_BUF_INIT;
    struct tx_hasher hasher;
    uint8_t *bytes;
    TX_TRY(tx_buf_extend(&frame, step->size, &bytes, err));
    TX_TRY(txio_read_full(job->log->io, job->from.fd, bytes, step->size, step->offset, err));
    frame_seal_init(&hasher, step->frame);
    tx_hasher_add(&hasher, bytes + FRAME_HEADER_SIZE, step->size - FRAME_HEADER_SIZE);
    if (tx_hasher_sum64(&hasher) != step->frame->seal && !TX_MUTANT(94)) {
        return tx_error_set(err, TX_EIO, "a record changed while it was read");
    }
    frame_encode(step->frame, bytes);
    job->plan->rewritten_size += step->size;
    return write_at(job->log, job->from.fd, bytes, step->size, step->offset, err);
}

static enum tx_status rewrite_step(void *arg, const struct walk_step *step, struct tx_error *err)
{
    struct copy_job *job = arg;
    if (!step->frame) {
        return TX_OK;
    }
    TX_TRY(copy_source(job, step->segment->header.seq, err));
    TX_TRY(rewrite_frame(job, step, err));
    bool last = step->lsn + step->size == job->plan->scan->end ||
                step->lsn + step->size == step->segment->end_lsn;
    /* Crash here: the same bytes, or what was there before; recovery begins again. */
    return last ? txio_datasync(job->log->io, job->from.fd, "the tail", err) : TX_OK;
}

/* Nothing may be behind the end that looks as if it had been written later. */
static enum tx_status wipe_rest(struct txlog *log, const struct segment_info *tail,
                                uint64_t offset, struct tx_error *err)
{
    TX_AUTO(segment_handle) handle = {.fd = -1};
    TX_TRY(segment_acquire(log, tail->header.seq, &handle, err));
    TX_TRY(zero_fill(log->io, handle.fd, offset, tail->header.size - offset, err));
    /* Crash here: a torn tail that is partly wiped. Nothing in it was acknowledged. */
    return txio_datasync(log->io, handle.fd, "the tail", err);
}

enum tx_status recover_in_place(struct txlog *log, struct recover_plan *plan, struct tx_error *err)
{
    TX_AUTO(copy_job) job = {.log = log, .plan = plan, .from.fd = -1};
    const struct log_scan *scan = plan->scan;
    const struct segment_info *tail = &plan->list->items[scan->index];
    plan->rewritten_size = 0;
    if (scan->proven < scan->end) {
        TX_TRY(log_walk(log, plan->list, scan->proven, scan->end, rewrite_step, &job, err));
        TX_TRY(copy_check(&job, err));
    }
    if (scan->verdict != SCAN_CLEAN && scan->offset < tail->header.size) {
        TX_TRY(wipe_rest(log, tail, scan->offset, err));
    }
    plan->ref = (struct segment_ref){tail->header.seq, tail->header.first_lsn, tail->header.size};
    plan->end = scan->end;
    plan->proven = scan->proven;
    return TX_OK;
}
