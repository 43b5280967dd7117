/* SPDX-License-Identifier: MIT */
/* Writing one record where the log ends: one pwritev into the page cache, one seal over all. */
#include <errno.h>

#include "base/mutant.h"
#include "txlog/txlog_internal.h"

#define ACQUIRE memory_order_acquire
#define RELEASE memory_order_release

struct frame_draft {
    uint8_t header[FRAME_HEADER_SIZE];
    struct iovec parts[LOG_PARTS_MAX + 2]; /* header, payload, padding */
    int count;
    uint64_t size;
};

static enum tx_status append_check(const struct txlog *log, const struct iovec *parts, int count,
                                   struct tx_error *err)
{
    uint64_t size = 0;
    if (!log->begun || count < 0 || count > LOG_PARTS_MAX) {
        return tx_error_set(err, TX_EMISUSE,
                            "append: not begun, or more than %d parts", LOG_PARTS_MAX);
    }
    for (int i = 0; i < count; i++) {
        if (parts[i].iov_len > TXLOG_PAYLOAD_MAX) {
            size = UINT64_MAX;
            break;
        }
        size += parts[i].iov_len;
    }
    if (size != log->begun_size) {
        return tx_error_set(err, TX_EMISUSE, "append: the parts do not have the %llu bytes that "
                                             "were announced",
                            (unsigned long long)log->begun_size);
    }
    return TX_OK;
}

static void frame_draft_fill(struct frame_draft *draft, struct frame_header *header,
                             const struct iovec *parts, int count)
{
    static uint8_t padding[TXLOG_BLOCK_SIZE]; /* zeros, never written to */
    struct tx_hasher hasher;
    draft->size = frame_size(header->payload_size);
    frame_seal_init(&hasher, header);
    draft->parts[0] = (struct iovec){draft->header, FRAME_HEADER_SIZE};
    for (int i = 0; i < count; i++) {
        draft->parts[1 + i] = parts[i];
    }
    size_t rest = (size_t)(draft->size - FRAME_HEADER_SIZE - header->payload_size);
    draft->parts[1 + count] = (struct iovec){padding, rest};
    draft->count = 2 + count;
    for (int i = 1; i < draft->count; i++) {
        tx_hasher_add(&hasher, draft->parts[i].iov_base, draft->parts[i].iov_len);
    }
    header->seal = tx_hasher_sum64(&hasher);
    frame_encode(header, draft->header);
}

static enum tx_status frame_draft_write(struct txlog *log, const struct frame_draft *draft,
                                        uint64_t offset, struct tx_error *err)
{
    struct txio *io = log->io;
    int fd = log->begun_handle.fd;
    int64_t written = io->ops->pwritev(io, fd, draft->parts, draft->count, offset);
    if (written == (int64_t)draft->size) {
        return TX_OK;
    }
    if (written == -ENOSPC || written == -EDQUOT) {
        /* A file system that copies on write. Nothing of the record is there, so there is nothing
         * to wipe either: on the full disk that would fail and poison. */
        tx_lsn append = atomic_load_explicit(&log->shared->append_lsn, ACQUIRE);
        if (!TX_MUTANT(116)) {
            atomic_store_explicit(&log->shared->write_lsn, append, RELEASE);
        }
        return tx_error_os(err, (int)-written, "write a record");
    }
    enum tx_status status = TX_EIO;
    if (written >= 0) { /* a part of it; all again, because bytes and place are the same */
        status = txio_write_full(io, fd, draft->parts, draft->count, offset, err);
    } else {
        (void)tx_error_os(err, (int)-written, "write a record");
    }
    if (status == TX_OK) {
        return TX_OK;
    }
    /* Perhaps all of it has been written and the next recovery finds it. */
    txlog_poison(log);
    tx_error_prefix(err, "outcome unknown");
    if (err) {
        err->status = TX_EOUTCOME;
    }
    return TX_EOUTCOME;
}

enum tx_status txlog_append(struct txlog *log, uint32_t kind, const struct iovec *parts, int count,
                            tx_lsn *next_lsn, struct tx_error *err)
{
    struct txlog_shared *shared = log->shared;
    struct segment_ref tail;
    struct frame_draft draft;
    TX_TRY(append_check(log, parts, count, err));
    table_tail(shared, &tail);
    tx_lsn lsn = atomic_load_explicit(&shared->append_lsn, ACQUIRE);
    struct frame_header header = {
        .magic = FRAME_MAGIC,
        .version = FRAME_VERSION,
        .header_size = FRAME_HEADER_SIZE,
        .kind = kind,
        .payload_size = log->begun_size,
        .lsn = lsn,
        .segment = tail.seq,
        .log_id = log->log_id,
        .epoch = atomic_load_explicit(&shared->epoch, ACQUIRE),
        .durable_lsn = atomic_load_explicit(&shared->durable_lsn, ACQUIRE),
        .batch = atomic_load_explicit(&shared->batch, ACQUIRE),
    };
    frame_draft_fill(&draft, &header, parts, count);
    uint64_t used = lsn - tail.first_lsn;
    TX_INVARIANT(used + draft.size <= segment_capacity(tail.size));
    atomic_store_explicit(&shared->write_lsn, lsn + draft.size, RELEASE);
    TX_TRY(frame_draft_write(log, &draft, TXLOG_BLOCK_SIZE + used, err));
    log->begun = false;
    atomic_store_explicit(&shared->append_lsn, lsn + draft.size, RELEASE);
    atomic_store_explicit(&shared->claim_lsn, header.durable_lsn, RELEASE);
    *next_lsn = lsn + draft.size;
    return TX_OK;
}
