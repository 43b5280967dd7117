/* SPDX-License-Identifier: MIT */
/* Texts: UTF-16LE in values, UTF-8 here; a lone surrogate is three bytes (WTF-8). */
#include <string.h>

#include "txctl/reg_text.h"

void txctl_bytes_release(struct txctl_bytes *bytes)
{
    free(bytes->data);
    *bytes = (struct txctl_bytes){NULL, 0};
}

void txctl_bytes_add(struct txctl_bytes *bytes, const void *data, size_t size)
{
    /* Room is a power of two: grow when the present size is one. */
    size_t room = 64;
    while (room < bytes->size) {
        room *= 2;
    }
    if (!bytes->data || bytes->size + size > room) {
        while (room < bytes->size + size) {
            room *= 2;
        }
        bytes->data = txctl_grow(bytes->data, room, 1);
    }
    if (size > 0) {
        memcpy(bytes->data + bytes->size, data, size);
        bytes->size += size;
    }
}

void txctl_bytes_add16(struct txctl_bytes *bytes, uint16_t unit)
{
    uint8_t two[2] = {(uint8_t)unit, (uint8_t)(unit >> 8)};
    txctl_bytes_add(bytes, two, sizeof two);
}

/* A surrogate in three bytes, which UTF-8 proper does not have. */
static bool wtf8_surrogate(const char **at, const char *end, uint32_t *code_point)
{
    const unsigned char *text = (const unsigned char *)*at;
    if (end - *at < 3 || text[0] != 0xed || (text[1] & 0xe0) != 0xa0 || (text[2] & 0xc0) != 0x80) {
        return false;
    }
    *code_point = 0xd000u | (text[1] & 0x3fu) << 6 | (text[2] & 0x3fu);
    *at += 3;
    return true;
}

enum tx_status txctl_utf16_of(const char *text, size_t size, struct txctl_bytes *bytes,
                              struct tx_error *err)
{
    const char *end = text + size;
    while (text < end) {
        uint32_t code_point = 0;
        if (!txctl_utf8_next(&text, end, &code_point) &&
            !wtf8_surrogate(&text, end, &code_point)) {
            return txctl_usage(err, "the text is not UTF-8");
        }
        if (code_point >= 0x10000) {
            code_point -= 0x10000;
            txctl_bytes_add16(bytes, (uint16_t)(0xd800 | code_point >> 10));
            txctl_bytes_add16(bytes, (uint16_t)(0xdc00 | (code_point & 0x3ff)));
        } else {
            txctl_bytes_add16(bytes, (uint16_t)code_point);
        }
    }
    return TX_OK;
}

static void put_code_point(FILE *out, uint32_t c)
{
    if (c < 0x80) {
        putc((int)c, out);
    } else if (c < 0x800) {
        putc((int)(0xc0 | c >> 6), out);
        putc((int)(0x80 | (c & 0x3f)), out);
    } else if (c < 0x10000) {
        putc((int)(0xe0 | c >> 12), out);
        putc((int)(0x80 | (c >> 6 & 0x3f)), out);
        putc((int)(0x80 | (c & 0x3f)), out);
    } else {
        putc((int)(0xf0 | c >> 18), out);
        putc((int)(0x80 | (c >> 12 & 0x3f)), out);
        putc((int)(0x80 | (c >> 6 & 0x3f)), out);
        putc((int)(0x80 | (c & 0x3f)), out);
    }
}

void txctl_put_utf16(FILE *out, const uint8_t *data, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        uint32_t unit = (uint32_t)data[2 * i] | (uint32_t)data[2 * i + 1] << 8;
        if (unit >= 0xd800 && unit < 0xdc00 && i + 1 < count) {
            uint32_t next = (uint32_t)data[2 * i + 2] | (uint32_t)data[2 * i + 3] << 8;
            if (next >= 0xdc00 && next < 0xe000) {
                unit = 0x10000 + ((unit & 0x3ff) << 10) + (next & 0x3ff);
                i++;
            }
        }
        put_code_point(out, unit);
    }
}
