/* SPDX-License-Identifier: MIT */
/*
 * The .reg text that Windows writes: values in the order of their creation, "name"="text",
 * dword:%08x, everything else as hex in lines that break when they reach column 77.
 */
#include <string.h>

#include "txctl/reg_export.h"

#define BREAK_COLUMN 77

struct reg5 {
    struct ktm_txn *txn;
    FILE *out;
    bool lossless;
    size_t column;
};

static void put_unit(struct reg5 *reg5, unsigned unit)
{
    putc((int)(unit & 0xff), reg5->out);
    putc((int)(unit >> 8), reg5->out);
    reg5->column++;
}

static void put_units(struct reg5 *reg5, const uint8_t *data, size_t count)
{
    fwrite(data, 2, count, reg5->out);
    reg5->column += count;
}

/* ASCII of our own. */
static void put_words(struct reg5 *reg5, const char *words)
{
    for (; *words != '\0'; words++) {
        put_unit(reg5, (unsigned char)*words);
    }
}

static void end_line(struct reg5 *reg5)
{
    put_words(reg5, "\r\n");
    reg5->column = 0;
}

static enum tx_status put_name(struct reg5 *reg5, const char *name, struct tx_error *err)
{
    AUTO_BYTES units = {0};
    TRY(txctl_utf16_of(name, strlen(name), &units, err));
    put_units(reg5, units.data, units.size / 2);
    return TX_OK;
}

/* In quotes, with \ before \ and ". */
static void put_quoted(struct reg5 *reg5, const uint8_t *data, size_t count)
{
    put_words(reg5, "\"");
    for (size_t i = 0; i < count; i++) {
        unsigned unit = (unsigned)(data[2 * i] | data[2 * i + 1] << 8);
        if (unit == '\\' || unit == '"') {
            put_unit(reg5, '\\');
        }
        put_unit(reg5, unit);
    }
    put_words(reg5, "\"");
}

static void put_hex(struct reg5 *reg5, uint32_t type, const uint8_t *data, size_t size)
{
    char text[24] = "hex:";
    if (type != TXREG_BINARY) {
        snprintf(text, sizeof text, "hex(%x):", type);
    }
    put_words(reg5, text);
    for (size_t i = 0; i < size; i++) {
        snprintf(text, sizeof text, i + 1 < size ? "%02x," : "%02x", data[i]);
        put_words(reg5, text);
        if (i + 1 < size && reg5->column >= BREAK_COLUMN) {
            put_words(reg5, "\\");
            end_line(reg5);
            put_words(reg5, "  ");
        }
    }
}

/* Would the quoted form, read again, give these bytes? */
static bool survives_quotes(const uint8_t *data, size_t size)
{
    if (!txctl_reg_is_whole_text(data, size)) {
        return false;
    }
    for (size_t i = 0; i < size; i += 2) {
        if (data[i + 1] == 0 && (data[i] == '\r' || data[i] == '\n')) {
            return false;
        }
    }
    return true;
}

static size_t units_before_nul(const uint8_t *data, size_t size)
{
    size_t count = 0;
    while (2 * count + 1 < size && (data[2 * count] != 0 || data[2 * count + 1] != 0)) {
        count++;
    }
    return count;
}

static enum tx_status put_value(void *arg, const char *name, uint32_t type, const uint8_t *data,
                                size_t size, struct tx_error *err)
{
    struct reg5 *reg5 = arg;
    AUTO_BYTES units = {0};
    TRY(txctl_utf16_of(name, strlen(name), &units, err));
    if (name[0] == '\0') {
        put_words(reg5, "@");
    } else {
        put_quoted(reg5, units.data, units.size / 2);
    }
    put_words(reg5, "=");
    if (type == TXREG_SZ && (!reg5->lossless || survives_quotes(data, size))) {
        put_quoted(reg5, data, units_before_nul(data, size));
    } else if (type == TXREG_DWORD && size == 4) {
        char text[16];
        snprintf(text, sizeof text, "dword:%02x%02x%02x%02x", data[3], data[2], data[1], data[0]);
        put_words(reg5, text);
    } else {
        put_hex(reg5, type, data, size);
    }
    end_line(reg5);
    return TX_OK;
}

static enum tx_status put_comments(struct reg5 *reg5, const struct txreg_key_info *info,
                                   struct tx_error *err)
{
    char time[TXCTL_TIME_TEXT];
    put_words(reg5, ";; time=");
    put_words(reg5, txctl_time_rfc3339(info->write_time_ns, time));
    end_line(reg5);
    if (info->class_name[0] != '\0') {
        put_words(reg5, ";; class=");
        TRY(put_name(reg5, info->class_name, err));
        end_line(reg5);
    }
    return TX_OK;
}

static enum tx_status put_key(void *arg, const char *key, int depth, struct tx_error *err)
{
    struct reg5 *reg5 = arg;
    struct txreg_key_info info;
    (void)depth;
    TRY(txreg_query(reg5->txn, key, &info, err));
    if (key[0] == '\0') {
        /* The root of all has no name that a reader of the format would take. */
        return info.value_count == 0
                   ? TX_OK
                   : tx_error_set(err, TX_ENOTSUP, "values of the root itself have no place in "
                                                   "this format; try: --format json");
    }
    put_words(reg5, "[");
    TRY(put_name(reg5, key, err));
    put_words(reg5, "]");
    end_line(reg5);
    if (reg5->lossless) {
        TRY(put_comments(reg5, &info, err));
    }
    TRY(txreg_each_value(reg5->txn, key, put_value, reg5, err));
    end_line(reg5);
    return TX_OK;
}

enum tx_status txctl_reg5_write(struct ktm_txn *txn, const char *key, bool lossless, FILE *out,
                                struct tx_error *err)
{
    struct reg5 reg5 = {.txn = txn, .out = out, .lossless = lossless};
    put_unit(&reg5, 0xfeff);
    put_words(&reg5, "Windows Registry Editor Version 5.00");
    end_line(&reg5);
    end_line(&reg5);
    return txctl_reg_walk(txn, key, put_key, &reg5, err);
}
