/* SPDX-License-Identifier: MIT */
#include "base/text.h"

#include <string.h>

#include "base/codec.h"

static bool is_high(uint32_t code_point)
{
    return code_point >= 0xD800 && code_point < 0xDC00;
}

static bool is_low(uint32_t code_point)
{
    return code_point >= 0xDC00 && code_point < 0xE000;
}

/* One code point of generalised UTF-8 in its shortest form; returns its length, 0 if malformed. */
static size_t decode_one(const uint8_t *text, size_t size, uint32_t *code_point)
{
    static const uint32_t least[5] = {0, 0, 0x80, 0x800, 0x10000};
    if (size == 0) {
        return 0;
    }
    uint8_t lead = text[0];
    if (lead < 0x80) {
        *code_point = lead;
        return 1;
    }
    size_t length = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2;
    if (lead < 0xC2 || lead > 0xF4 || length > size) {
        return 0;
    }
    uint32_t value = lead & (0x7Fu >> length);
    for (size_t i = 1; i < length; i++) {
        if ((text[i] & 0xC0) != 0x80) {
            return 0;
        }
        value = value << 6 | (text[i] & 0x3Fu);
    }
    if (value < least[length] || value > 0x10FFFF) {
        return 0;
    }
    *code_point = value;
    return length;
}

bool tx_utf8_next(const uint8_t **text, const uint8_t *end, uint32_t *code_point)
{
    uint32_t value = 0;
    uint32_t next = 0;
    size_t length = decode_one(*text, (size_t)(end - *text), &value);
    if (length == 0) {
        return false;
    }
    /* WTF-8 has one form for a surrogate pair, the four bytes of its character. Two halves in three
     * bytes each would be a second name for the same UTF-16. */
    if (is_high(value) && decode_one(*text + length, (size_t)(end - *text) - length, &next) != 0 &&
        is_low(next)) {
        return false;
    }
    *text += length;
    *code_point = value;
    return true;
}

/* Split a code point into UTF-16 units and return how many there are. */
static size_t split_units(uint32_t code_point, uint16_t units[2])
{
    if (code_point < 0x10000) {
        units[0] = (uint16_t)code_point;
        return 1;
    }
    units[0] = (uint16_t)(0xD800 + ((code_point - 0x10000) >> 10));
    units[1] = (uint16_t)(0xDC00 + (code_point & 0x3FF));
    return 2;
}

/* How a unit is written. */
typedef void put_unit_fn(uint8_t *at, uint16_t unit);

static void put_folded(uint8_t *at, uint16_t unit)
{
    uint16_t upper = tx_upcase(unit);
    at[0] = (uint8_t)(upper >> 8);
    at[1] = (uint8_t)upper;
}

static enum tx_status append_units(const char *text, size_t size, put_unit_fn *put,
                                   struct tx_buf *out, struct tx_error *err)
{
    if (size > PTRDIFF_MAX / 2) {
        return tx_error_set(err, TX_ELIMIT, "text of %zu bytes is too long", size);
    }
    TX_TRY(tx_buf_reserve(out, size * 2, err)); /* no byte makes more than one unit */
    const uint8_t *at = (const uint8_t *)text;
    const uint8_t *end = at + size;
    uint8_t *to = out->data + out->size;
    while (at < end) {
        uint32_t code_point;
        uint16_t units[2];
        if (!tx_utf8_next(&at, end, &code_point)) {
            return tx_error_set(err, TX_EINVAL, "malformed UTF-8 at byte %zu of %zu",
                                (size_t)(at - (const uint8_t *)text), size);
        }
        size_t count = split_units(code_point, units);
        for (size_t i = 0; i < count; i++) {
            put(to, units[i]);
            to += 2;
        }
    }
    out->size = (size_t)(to - out->data);
    return TX_OK;
}

enum tx_status tx_utf8_to_utf16(const char *text, size_t size, struct tx_buf *utf16,
                                struct tx_error *err)
{
    return append_units(text, size, tx_put16, utf16, err);
}

enum tx_status tx_fold_name(const char *name, size_t size, struct tx_buf *folded, size_t *units,
                            struct tx_error *err)
{
    size_t before = folded->size;
    TX_TRY(append_units(name, size, put_folded, folded, err));
    *units = (folded->size - before) / 2;
    return TX_OK;
}

/* Write one code point, surrogates included, and return its length. */
static size_t encode_one(uint8_t *to, uint32_t code_point)
{
    if (code_point < 0x80) {
        to[0] = (uint8_t)code_point;
        return 1;
    }
    if (code_point < 0x800) {
        to[0] = (uint8_t)(0xC0 | code_point >> 6);
        to[1] = (uint8_t)(0x80 | (code_point & 0x3F));
        return 2;
    }
    if (code_point < 0x10000) {
        to[0] = (uint8_t)(0xE0 | code_point >> 12);
        to[1] = (uint8_t)(0x80 | (code_point >> 6 & 0x3F));
        to[2] = (uint8_t)(0x80 | (code_point & 0x3F));
        return 3;
    }
    to[0] = (uint8_t)(0xF0 | code_point >> 18);
    to[1] = (uint8_t)(0x80 | (code_point >> 12 & 0x3F));
    to[2] = (uint8_t)(0x80 | (code_point >> 6 & 0x3F));
    to[3] = (uint8_t)(0x80 | (code_point & 0x3F));
    return 4;
}

enum tx_status tx_utf16_to_utf8(const uint8_t *utf16, size_t units, struct tx_buf *text,
                                struct tx_error *err)
{
    if (units > PTRDIFF_MAX / 3) {
        return tx_error_set(err, TX_ELIMIT, "text of %zu units is too long", units);
    }
    TX_TRY(tx_buf_reserve(text, units * 3, err)); /* a pair makes four bytes, less than twice 3 */
    uint8_t *to = text->data + text->size;
    for (size_t i = 0; i < units; i++) {
        uint32_t code_point = tx_get16(utf16 + 2 * i);
        if (is_high(code_point) && i + 1 < units && is_low(tx_get16(utf16 + 2 * i + 2))) {
            i++;
            uint32_t low = tx_get16(utf16 + 2 * i);
            code_point = 0x10000 + ((code_point - 0xD800) << 10) + (low - 0xDC00);
        }
        to += encode_one(to, code_point);
    }
    text->size = (size_t)(to - text->data);
    return TX_OK;
}
