/* SPDX-License-Identifier: MIT */
/*
 * Reading one record by its LSN. Nothing is held: a segment may be trimmed, recycled and written
 * anew while it is read. What proves that the right bytes came is the record itself: LSN, segment
 * number and seal. If they do not fit and the checkpoint has passed the LSN, it was trimmed.
 */
#include "txlog/txlog_internal.h"

#define ACQUIRE memory_order_acquire

void log_refer(struct tx_error *err, uint64_t seq, uint64_t offset, tx_lsn lsn)
{
    char name[LOG_NAME_SIZE];
    segment_name(seq, name);
    tx_error_prefix(err, "segment %s, offset %llu, LSN %llu", name, (unsigned long long)offset,
                    (unsigned long long)lsn);
}

struct read_place {
    struct segment_ref ref;
    uint64_t offset;
};

static enum tx_status read_absent(tx_lsn lsn, const char *why, struct tx_error *err)
{
    return tx_error_set(err, TX_ENOTFOUND, "no record at LSN %llu: %s", (unsigned long long)lsn,
                        why);
}

static enum tx_status read_find(struct txlog *log, tx_lsn lsn, struct read_place *place,
                                struct tx_error *err)
{
    struct txlog_shared *shared = log->shared;
    uint64_t index;
    if (lsn >= atomic_load_explicit(&shared->append_lsn, ACQUIRE)) {
        return read_absent(lsn, "the log ends before", err);
    }
    if (!table_find(shared, lsn, &place->ref, &index) ||
        lsn < atomic_load_explicit(&shared->start_lsn, ACQUIRE)) {
        return read_absent(lsn, "it was trimmed", err);
    }
    if (lsn % TXLOG_BLOCK_SIZE != 0 ||
        lsn - place->ref.first_lsn >= segment_capacity(place->ref.size)) {
        return tx_error_set(err, TX_EINVAL, "no record begins at LSN %llu",
                            (unsigned long long)lsn);
    }
    place->offset = TXLOG_BLOCK_SIZE + (lsn - place->ref.first_lsn);
    return TX_OK;
}

/* The part of the payload that stands in the first block, then the rest and the padding. */
static enum tx_status read_payload(struct txio *io, int fd, uint64_t offset, const uint8_t *block,
                                   const struct frame_header *header, struct tx_buf *payload,
                                   struct tx_error *err)
{
    struct tx_hasher hasher;
    uint8_t *at;
    uint64_t size = frame_size(header->payload_size);
    tx_buf_clear(payload);
    TX_TRY(tx_buf_extend(payload, (size_t)(size - FRAME_HEADER_SIZE), &at, err));
    memcpy(at, block + FRAME_HEADER_SIZE, TXLOG_BLOCK_SIZE - FRAME_HEADER_SIZE);
    if (size > TXLOG_BLOCK_SIZE) {
        TX_TRY(txio_read_full(io, fd, at + TXLOG_BLOCK_SIZE - FRAME_HEADER_SIZE,
                              (size_t)(size - TXLOG_BLOCK_SIZE), offset + TXLOG_BLOCK_SIZE, err));
    }
    frame_seal_init(&hasher, header);
    tx_hasher_add(&hasher, at, (size_t)(size - FRAME_HEADER_SIZE));
    payload->size = (size_t)header->payload_size;
    if (tx_hasher_sum64(&hasher) != header->seal) {
        return tx_error_set(err, TX_ECORRUPT, "record is damaged");
    }
    return TX_OK;
}

static enum tx_status read_first(struct txlog *log, tx_lsn lsn, const struct read_place *place,
                                 int fd, uint8_t block[TXLOG_BLOCK_SIZE],
                                 struct frame_header *header, struct tx_error *err)
{
    TX_TRY(txio_read_full(log->io, fd, block, TXLOG_BLOCK_SIZE, place->offset, err));
    if (!frame_decode(header, block) || header->lsn != lsn ||
        header->segment != place->ref.seq || header->log_id != log->log_id ||
        frame_size(header->payload_size) > place->ref.size - place->offset) {
        return tx_error_set(err, TX_ECORRUPT, "no record stands here");
    }
    return TX_OK;
}

static enum tx_status read_frame(struct txlog *log, tx_lsn lsn, const struct read_place *place,
                                 struct frame_header *header, struct tx_buf *payload,
                                 struct tx_error *err)
{
    TX_AUTO(segment_handle) handle = {.fd = -1};
    uint8_t block[TXLOG_BLOCK_SIZE];
    TX_TRY(segment_acquire(log, place->ref.seq, &handle, err));
    TX_TRY(read_first(log, lsn, place, handle.fd, block, header, err));
    return payload ? read_payload(log->io, handle.fd, place->offset, block, header, payload, err)
                   : TX_OK;
}

enum tx_status log_read_frame(struct txlog *log, tx_lsn lsn, struct frame_header *header,
                              struct txlog_record *record, struct tx_buf *payload,
                              struct tx_error *err)
{
    struct read_place place;
    TX_TRY(log_check_ready(log, err));
    TX_TRY(read_find(log, lsn, &place, err));
    enum tx_status status = read_frame(log, lsn, &place, header, payload, err);
    if (status != TX_OK) {
        if (payload) {
            tx_buf_clear(payload);
        }
        if (lsn < atomic_load_explicit(&log->shared->start_lsn, ACQUIRE)) {
            return read_absent(lsn, "it was trimmed", err);
        }
        log_refer(err, place.ref.seq, place.offset, lsn);
        return status;
    }
    *record = (struct txlog_record){
        .lsn = lsn,
        .next_lsn = lsn + frame_size(header->payload_size),
        .kind = header->kind,
        .epoch = header->epoch,
        .segment = place.ref.seq,
        .offset = place.offset,
    };
    return TX_OK;
}

enum tx_status txlog_read(struct txlog *log, tx_lsn lsn, struct txlog_record *record,
                          struct tx_buf *payload, struct tx_error *err)
{
    struct frame_header header;
    return log_read_frame(log, lsn, &header, record, payload, err);
}
