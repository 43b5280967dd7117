/* SPDX-License-Identifier: MIT */
/*
 * Little-endian encoding driven by tables: one table per fixed structure encodes, decodes, prints
 * `txctl log dump` and the tables of docs/format.md. Variable parts are read through a bounded
 * reader that cannot overrun: after the first failure every further read yields zero and `failed`
 * stays set, so that a decoder checks once at its end.
 */
#ifndef TX_BASE_CODEC_H
#define TX_BASE_CODEC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

/* One field: on disk `width` bytes at the sum of the widths before it. */
struct tx_field {
    const char *name;
    uint16_t width;   /* 1, 2, 4, 8: integer; other: bytes copied as they are */
    uint16_t offset;  /* in the host structure; TX_FIELD_RESERVED: zero on disk, checked */
    const char *text; /* a phrase for docs and dumps */
};
#define TX_FIELD_RESERVED UINT16_MAX
#define TX_FIELD(type, member, phrase)                                                             \
    {#member, sizeof(((type *)0)->member), offsetof(type, member), phrase}
#define TX_FIELD_ZERO(bytes) {"reserved", bytes, TX_FIELD_RESERVED, "zero"}
#define TX_FIELD_END {NULL, 0, 0, NULL}

size_t tx_fields_size(const struct tx_field *fields);
void tx_fields_encode(const struct tx_field *fields, const void *host, uint8_t *disk);
/* False when a reserved byte is not zero. */
bool tx_fields_decode(const struct tx_field *fields, void *host, const uint8_t *disk);

/* Whether all of them are zero; true of none. */
bool tx_is_zero(const uint8_t *bytes, size_t size);

static inline void tx_put16(uint8_t *p, uint16_t v)
{
    p[0] = (uint8_t)v;
    p[1] = (uint8_t)(v >> 8);
}
static inline void tx_put32(uint8_t *p, uint32_t v)
{
    tx_put16(p, (uint16_t)v);
    tx_put16(p + 2, (uint16_t)(v >> 16));
}
static inline void tx_put64(uint8_t *p, uint64_t v)
{
    tx_put32(p, (uint32_t)v);
    tx_put32(p + 4, (uint32_t)(v >> 32));
}
static inline uint16_t tx_get16(const uint8_t *p) { return (uint16_t)(p[0] | p[1] << 8); }
static inline uint32_t tx_get32(const uint8_t *p)
{
    return (uint32_t)tx_get16(p) | (uint32_t)tx_get16(p + 2) << 16;
}
static inline uint64_t tx_get64(const uint8_t *p)
{
    return (uint64_t)tx_get32(p) | (uint64_t)tx_get32(p + 4) << 32;
}

struct tx_reader {
    const uint8_t *data;
    size_t left;
    bool failed;
};
static inline struct tx_reader tx_reader_on(const void *data, size_t size)
{
    return (struct tx_reader){data, size, false};
}
uint8_t tx_read8(struct tx_reader *reader);
uint16_t tx_read16(struct tx_reader *reader);
uint32_t tx_read32(struct tx_reader *reader);
uint64_t tx_read64(struct tx_reader *reader);
/* Points into the data; NULL after a failure (also when size is 0 and nothing failed: non-NULL). */
const uint8_t *tx_read_bytes(struct tx_reader *reader, size_t size);
/* u32 length (NUL included) and bytes that end in their only NUL; NULL and failed otherwise. */
const char *tx_read_text(struct tx_reader *reader);
/* Everything was read and nothing failed. */
bool tx_reader_done(const struct tx_reader *reader);

/* Appending counterparts, for variable parts. */
enum tx_status tx_buf_put8(struct tx_buf *buf, uint8_t v, struct tx_error *err) TX_CHECKED;
enum tx_status tx_buf_put16(struct tx_buf *buf, uint16_t v, struct tx_error *err) TX_CHECKED;
enum tx_status tx_buf_put32(struct tx_buf *buf, uint32_t v, struct tx_error *err) TX_CHECKED;
enum tx_status tx_buf_put64(struct tx_buf *buf, uint64_t v, struct tx_error *err) TX_CHECKED;
enum tx_status tx_buf_put_text(struct tx_buf *buf, const char *text,
                               struct tx_error *err) TX_CHECKED; /* as tx_read_text reads */

#endif
