/* SPDX-License-Identifier: MIT */
/* Reading a segment in order through a buffer of fixed size, and judging what stands somewhere. */
#include "base/mutant.h"
#include "txlog/log_scan.h"

enum tx_status window_init(struct log_window *window, struct txio *io, struct tx_error *err)
{
    *window = (struct log_window){.io = io, .fd = -1, .buffer = tx_alloc(LOG_WINDOW_SIZE)};
    return window->buffer ? TX_OK : tx_error_set(err, TX_ENOMEM, "out of memory");
}

void window_set(struct log_window *window, int fd, uint64_t size)
{
    window->fd = fd;
    window->size = size;
    window->filled = 0;
}

enum tx_status window_block(struct log_window *window, uint64_t offset, const uint8_t **block,
                            struct tx_error *err)
{
    TX_INVARIANT(offset % TXLOG_BLOCK_SIZE == 0 && offset < window->size);
    bool inside = offset >= window->base && offset - window->base < window->filled;
    if (!inside) {
        uint64_t left = window->size - offset;
        size_t size = left < LOG_WINDOW_SIZE ? (size_t)left : LOG_WINDOW_SIZE;
        window->filled = 0;
        TX_TRY(txio_read_full(window->io, window->fd, window->buffer, size, offset, err));
        window->base = offset;
        window->filled = size;
    }
    *block = window->buffer + (offset - window->base);
    return TX_OK;
}

/* Hash all of the frame but its header field. */
static enum tx_status frame_sum(struct log_window *window, uint64_t offset,
                                const struct frame_header *header, uint64_t *sum,
                                struct tx_error *err)
{
    struct tx_hasher hasher;
    uint64_t size = frame_size(header->payload_size);
    frame_seal_init(&hasher, header);
    for (uint64_t at = 0; at < size; at += TXLOG_BLOCK_SIZE) {
        const uint8_t *block;
        size_t skip = at == 0 ? FRAME_HEADER_SIZE : 0;
        TX_TRY(window_block(window, offset + at, &block, err));
        tx_hasher_add(&hasher, block + skip, TXLOG_BLOCK_SIZE - skip);
    }
    *sum = tx_hasher_sum64(&hasher);
    return TX_OK;
}

/* Is all of it there, as it was sealed? */
static enum tx_status frame_is_whole(struct log_window *window, uint64_t offset,
                                     const struct frame_place *place,
                                     const struct frame_header *header, bool *whole,
                                     struct tx_error *err)
{
    uint64_t sum = 0;
    *whole = false;
    if (frame_size(header->payload_size) > place->room || header->durable_lsn > header->lsn) {
        return TX_OK;
    }
    TX_TRY(frame_sum(window, offset, header, &sum, err));
    *whole = sum == header->seal || TX_MUTANT(44); /* of a torn record, too */
    return TX_OK;
}

enum tx_status frame_probe(struct log_window *window, uint64_t offset,
                           const struct frame_place *place, struct frame_header *header,
                           enum frame_state *state, struct tx_error *err)
{
    const uint8_t *block;
    bool whole;
    TX_TRY(window_block(window, offset, &block, err));
    bool is_ours = frame_decode(header, block) && header->log_id == place->log_id &&
                   header->segment == place->segment;
    bool stands_here = is_ours && header->lsn == place->lsn;
    if (TX_MUTANT(6)) { /* why SQLite salts its frames: whatever stands here is believed */
        stands_here = frame_decode(header, block);
    }
    *state = tx_is_zero(block, TXLOG_BLOCK_SIZE) ? FRAME_BLANK : FRAME_FOREIGN;
    if (!is_ours && !stands_here) { /* unreachable: one without the other, but for mutant 6 */
        return TX_OK;
    }
    TX_TRY(frame_is_whole(window, offset, place, header, &whole, err));
    if (stands_here) {
        *state = whole && header->epoch >= place->epoch_min ? FRAME_VALID : FRAME_BROKEN;
    } else if (whole && !TX_MUTANT(136)) {
        *state = FRAME_ASTRAY;
    }
    return TX_OK;
}
