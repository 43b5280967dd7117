/* SPDX-License-Identifier: MIT */
/* Names made fit for terminals and messages. */
#include <string.h>

#include "base/text.h"

/* Characters that steer a terminal or reorder the text around them, and surrogates, which no
 * terminal can show. */
static bool is_unprintable(uint32_t c)
{
    return c < 0x20 || (c >= 0x7F && c < 0xA0) || c == '\\' || (c >= 0x200E && c <= 0x200F) ||
           (c >= 0x2028 && c <= 0x202E) || (c >= 0x2066 && c <= 0x2069) ||
           (c >= 0xD800 && c < 0xE000) || c == 0xFEFF;
}

/* Write the piece that begins at *at (one character as it is, or one byte as \xNN) and return its
 * length, at most 4; *at moves on. */
static size_t escape_next(const uint8_t **at, const uint8_t *end, char piece[4])
{
    static const char digits[] = "0123456789abcdef";
    const uint8_t *next = *at;
    uint32_t code_point;
    if (tx_utf8_next(&next, end, &code_point) && !is_unprintable(code_point)) {
        size_t length = (size_t)(next - *at);
        memcpy(piece, *at, length);
        *at = next;
        return length;
    }
    uint8_t byte = *(*at)++; /* what follows in the same character is escaped as malformed */
    piece[0] = '\\';
    piece[1] = 'x';
    piece[2] = digits[byte >> 4];
    piece[3] = digits[byte & 15];
    return 4;
}

enum tx_status tx_escape_name(const char *name, size_t size, struct tx_buf *out,
                              struct tx_error *err)
{
    size_t before = out->size;
    const uint8_t *at = (const uint8_t *)name;
    const uint8_t *end = at + size;
    while (at < end) {
        char piece[4];
        size_t length = escape_next(&at, end, piece);
        enum tx_status status = tx_buf_append(out, piece, length, err);
        if (status != TX_OK) {
            out->size = before;
            return status;
        }
    }
    return TX_OK;
}

const char *tx_escape_fixed(char *out, size_t out_size, const char *name, size_t size)
{
    const uint8_t *at = (const uint8_t *)name;
    const uint8_t *end = at + size;
    size_t used = 0;
    size_t fits = 0; /* up to here three dots and a NUL still fit */
    while (at < end) {
        char piece[4];
        size_t length = escape_next(&at, end, piece);
        if (used + length >= out_size) {
            memcpy(out + fits, "...", 4);
            return out;
        }
        memcpy(out + used, piece, length);
        used += length;
        if (used + 4 <= out_size) {
            fits = used;
        }
    }
    out[used] = '\0';
    return out;
}
