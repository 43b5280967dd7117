/* SPDX-License-Identifier: MIT */
/* Bytes as text: base64 (RFC 4648) and hexadecimal. */
#include <string.h>

#include "txctl/print.h"

static const char digits64[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

char *txctl_base64(const void *data, size_t size)
{
    const uint8_t *bytes = data;
    char *text = txctl_alloc((size + 2) / 3 * 4 + 1);
    char *out = text;
    for (size_t i = 0; i < size; i += 3) {
        size_t left = size - i;
        uint32_t three = (uint32_t)bytes[i] << 16 | (left > 1 ? (uint32_t)bytes[i + 1] << 8 : 0) |
                         (left > 2 ? bytes[i + 2] : 0);
        *out++ = digits64[three >> 18];
        *out++ = digits64[three >> 12 & 63];
        *out++ = left > 1 ? digits64[three >> 6 & 63] : '=';
        *out++ = left > 2 ? digits64[three & 63] : '=';
    }
    return text;
}

uint8_t *txctl_base64_decode(const char *text, size_t *size)
{
    size_t length = strlen(text);
    uint8_t *bytes = txctl_alloc(length + 1);
    size_t used = 0;
    uint32_t bits = 0;
    int count = 0;
    while (length > 0 && text[length - 1] == '=') {
        length--;
    }
    for (size_t i = 0; i < length; i++) {
        const char *digit = strchr(digits64, text[i]);
        if (!digit || text[i] == '\0') {
            free(bytes);
            return NULL;
        }
        bits = bits << 6 | (uint32_t)(digit - digits64);
        count += 6;
        if (count >= 8) {
            count -= 8;
            bytes[used++] = (uint8_t)(bits >> count);
        }
    }
    *size = used;
    return bytes;
}

char *txctl_hex(const void *data, size_t size)
{
    static const char digits16[] = "0123456789abcdef";
    const uint8_t *bytes = data;
    char *text = txctl_alloc(2 * size + 1);
    for (size_t i = 0; i < size; i++) {
        text[2 * i] = digits16[bytes[i] >> 4];
        text[2 * i + 1] = digits16[bytes[i] & 15];
    }
    return text;
}

static int hex_value(char digit)
{
    return digit >= '0' && digit <= '9'   ? digit - '0'
           : digit >= 'a' && digit <= 'f' ? digit - 'a' + 10
           : digit >= 'A' && digit <= 'F' ? digit - 'A' + 10
                                          : -1;
}

uint8_t *txctl_hex_decode(const char *text, size_t length, size_t *size)
{
    uint8_t *bytes = txctl_alloc(length / 2 + 1);
    for (size_t i = 0; i + 1 < length; i += 2) {
        int high = hex_value(text[i]);
        int low = hex_value(text[i + 1]);
        if (high < 0 || low < 0) {
            free(bytes);
            return NULL;
        }
        bytes[i / 2] = (uint8_t)(high << 4 | low);
    }
    if (length % 2 != 0) {
        free(bytes);
        return NULL;
    }
    *size = length / 2;
    return bytes;
}
