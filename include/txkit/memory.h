/* SPDX-License-Identifier: MIT */
/*
 * Memory that the library hands out: bytes that grow (what txreg_get, txlog_read and
 * ktm_load_entries fill) and single pieces.
 */
#ifndef TXKIT_MEMORY_H
#define TXKIT_MEMORY_H

#include <stddef.h>
#include <stdint.h>

#include <txkit/error.h>

struct tx_buf {
    uint8_t *data; /* NULL while capacity is 0 */
    size_t size;
    size_t capacity;
};

#define TX_BUF_INIT {NULL, 0, 0}

/* Free what the buffer holds; it is empty afterwards and may be used again. */
TX_API void tx_buf_release(struct tx_buf *buf);

/* Free a piece of memory of the library. NULL is allowed. */
TX_API void tx_free(void *memory);

#endif
