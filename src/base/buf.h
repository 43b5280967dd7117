/* SPDX-License-Identifier: MIT */
/* A growable byte buffer; its public part is <txkit/memory.h>. */
#ifndef TX_BASE_BUF_H
#define TX_BASE_BUF_H

#include <stdint.h>

#include <txkit/memory.h>

#include "base/alloc.h"
#include "base/cleanup.h"

static inline void tx_buf_auto(struct tx_buf *buf) { tx_buf_release(buf); }
static inline void tx_buf_clear(struct tx_buf *buf) { buf->size = 0; }

/* Room for `extra` more bytes. */
enum tx_status tx_buf_reserve(struct tx_buf *buf, size_t extra, struct tx_error *err) TX_CHECKED;
enum tx_status tx_buf_append(struct tx_buf *buf, const void *data, size_t size,
                             struct tx_error *err) TX_CHECKED;
/* Append `size` zero bytes and point *at to them. */
enum tx_status tx_buf_extend(struct tx_buf *buf, size_t size, uint8_t **at,
                             struct tx_error *err) TX_CHECKED;
enum tx_status tx_buf_append_text(struct tx_buf *buf, const char *text,
                                  struct tx_error *err) TX_CHECKED; /* without NUL */
enum tx_status tx_buf_printf(struct tx_buf *buf, struct tx_error *err, const char *format, ...)
    TX_PRINTF(3, 4) TX_CHECKED;

#endif
