/* SPDX-License-Identifier: MIT */
/* Registry paths, types and data as texts (reg_path.c, reg_data.c, reg_utf.c). */
#ifndef TXCTL_REG_TEXT_H
#define TXCTL_REG_TEXT_H

#include "txctl/print.h"

/* At the command line '/' separates keys, unless the text has a '\\': then only that does. One
 * separator at the end is allowed; "/" and "\\" alone are the root (""). malloc'd. */
char *txctl_reg_path(const char *text);
char *txctl_reg_join(const char *key, const char *name);

/* Bytes that were made here. */
struct txctl_bytes {
    uint8_t *data;
    size_t size;
};
void txctl_bytes_release(struct txctl_bytes *bytes);
#define AUTO_BYTES __attribute__((cleanup(txctl_bytes_release))) struct txctl_bytes
void txctl_bytes_add(struct txctl_bytes *bytes, const void *data, size_t size);
void txctl_bytes_add16(struct txctl_bytes *bytes, uint16_t unit); /* little-endian */

/* "sz", "dword", ... or a number. */
enum tx_status txctl_reg_type(const char *text, uint32_t *type, struct tx_error *err) TX_CHECKED;
/* "sz", NULL for a type without a name. */
const char *txctl_reg_type_word(uint32_t type);
/* "REG_SZ", or "0x1234" in `text`. */
#define TXCTL_REG_TYPE_TEXT 16
const char *txctl_reg_type_name(uint32_t type, char text[TXCTL_REG_TYPE_TEXT]);

/* Bytes of a value from the texts of the command line. */
enum tx_status txctl_reg_parse(uint32_t type, char *const *texts, int count,
                               struct txctl_bytes *bytes, struct tx_error *err) TX_CHECKED;

/* How the data of a value is shown. */
enum txctl_reg_style {
    TXCTL_REG_PLAIN, /* `reg get`: decimal numbers, multi-sz a line each */
    TXCTL_REG_QUERY, /* `reg query`: 0x numbers, multi-sz joined by \0 */
};
/* malloc'd; bytes of texts are not escaped. */
char *txctl_reg_format(uint32_t type, const uint8_t *data, size_t size, enum txctl_reg_style style);
/* The value as JSON: type, data where a text, number or list says it exactly, and the bytes. */
json_t *txctl_reg_json(const char *name, uint32_t type, const uint8_t *data, size_t size);

/* Is it a text that ends in its only NUL? */
bool txctl_reg_is_whole_text(const uint8_t *data, size_t size);
bool txctl_reg_is_text_type(uint32_t type);

/* WTF-8 <-> UTF-16LE. */
enum tx_status txctl_utf16_of(const char *text, size_t size, struct txctl_bytes *bytes,
                              struct tx_error *err) TX_CHECKED;
/* Units up to `count`; appended to `out`. A lone surrogate becomes three bytes (WTF-8). */
void txctl_put_utf16(FILE *out, const uint8_t *data, size_t count);

/* --- Walking keys (reg_walk.c) ---------------------------------------------------------------- */

/* The names of the keys directly below `key`. */
enum tx_status txctl_reg_subkeys(struct ktm_txn *txn, const char *key, struct txctl_names *names,
                                 struct tx_error *err) TX_CHECKED;

/* Called for a key before what is below it. */
typedef enum tx_status txctl_reg_key_fn(void *arg, const char *key, int depth,
                                        struct tx_error *err);
enum tx_status txctl_reg_walk(struct ktm_txn *txn, const char *key, txctl_reg_key_fn *fn, void *arg,
                              struct tx_error *err) TX_CHECKED;

/* Compare without case, as far as ASCII goes; '*' and '?' in the pattern stand for anything. */
enum txctl_match { TXCTL_MATCH_PART, TXCTL_MATCH_WHOLE };
bool txctl_match(const char *pattern, const char *text, enum txctl_match how, bool fold);

#endif
