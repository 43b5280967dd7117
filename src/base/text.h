/* SPDX-License-Identifier: MIT */
/* Text: UTF-8 (WTF-8 for lone surrogates), UTF-16, case folding, safe printing. */
#ifndef TX_BASE_TEXT_H
#define TX_BASE_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

/* Version of the frozen simple-upcase table; stored in every registry image. */
#define TX_UPCASE_VERSION 1u

/* Upcase one UTF-16 unit by the frozen table (Unicode 15 simple uppercase mappings within the BMP
 * of characters whose full uppercase is one unit too; no locale). */
uint16_t tx_upcase(uint16_t unit);

/* Decode one code point of WTF-8; advances *text; false on malformed input. */
bool tx_utf8_next(const uint8_t **text, const uint8_t *end, uint32_t *code_point);

/* Append UTF-16LE of a WTF-8 text / WTF-8 of UTF-16LE. Errors: TX_EINVAL on malformed input. */
enum tx_status tx_utf8_to_utf16(const char *text, size_t size, struct tx_buf *utf16,
                                struct tx_error *err) TX_CHECKED;
enum tx_status tx_utf16_to_utf8(const uint8_t *utf16, size_t units, struct tx_buf *text,
                                struct tx_error *err) TX_CHECKED;

/* Append the folded form of a WTF-8 name: UTF-16 big-endian of the upcased units, so that memcmp
 * orders as comparing units does. *units receives the length in UTF-16 units. */
enum tx_status tx_fold_name(const char *name, size_t size, struct tx_buf *folded, size_t *units,
                            struct tx_error *err) TX_CHECKED;

/* Append a name so that it can stand on a terminal and in a message: control characters, those that
 * turn the direction of text, backslash and malformed UTF-8 as \xNN, byte by byte. */
enum tx_status tx_escape_name(const char *name, size_t size, struct tx_buf *out,
                              struct tx_error *err) TX_CHECKED;

/* The same into a text of `out_size` bytes (at least 4, NUL included), for messages: no allocation;
 * what does not fit is cut and ends in "...". Returns `out`. */
const char *tx_escape_fixed(char *out, size_t out_size, const char *name, size_t size);

/* Bytes of a `char[]` that shows a quoted name in an error text without crowding out the rest. */
#define TX_ESCAPED_SIZE 160

#endif
