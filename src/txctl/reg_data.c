/* SPDX-License-Identifier: MIT */
/* Types and data of values, from and to texts. */
#include <string.h>
#include <strings.h>

#include "txctl/reg_text.h"

static const struct {
    uint32_t type;
    const char *word; /* at the command line */
    const char *name; /* as reg.exe says it */
} types[] = {
    {TXREG_NONE, "none", "REG_NONE"},
    {TXREG_SZ, "sz", "REG_SZ"},
    {TXREG_EXPAND_SZ, "expand-sz", "REG_EXPAND_SZ"},
    {TXREG_BINARY, "binary", "REG_BINARY"},
    {TXREG_DWORD, "dword", "REG_DWORD"},
    {TXREG_DWORD_BE, "dword-be", "REG_DWORD_BIG_ENDIAN"},
    {TXREG_LINK, "link", "REG_LINK"},
    {TXREG_MULTI_SZ, "multi-sz", "REG_MULTI_SZ"},
    {TXREG_RESOURCE_LIST, NULL, "REG_RESOURCE_LIST"},
    {TXREG_FULL_RESOURCE_DESCRIPTOR, NULL, "REG_FULL_RESOURCE_DESCRIPTOR"},
    {TXREG_RESOURCE_REQUIREMENTS_LIST, NULL, "REG_RESOURCE_REQUIREMENTS_LIST"},
    {TXREG_QWORD, "qword", "REG_QWORD"},
};
#define TYPE_COUNT (sizeof types / sizeof *types)

enum tx_status txctl_reg_type(const char *text, uint32_t *type, struct tx_error *err)
{
    uint64_t number = 0;
    for (size_t i = 0; i < TYPE_COUNT; i++) {
        if ((types[i].word && strcasecmp(text, types[i].word) == 0) ||
            strcasecmp(text, types[i].name) == 0) {
            *type = types[i].type;
            return TX_OK;
        }
    }
    if (txctl_number(text, &number, err) != TX_OK || number > UINT32_MAX) {
        return txctl_usage(err, "\"%s\" is no type; sz, expand-sz, multi-sz, dword, dword-be, "
                                "qword, binary, none, link or a number are", text);
    }
    *type = (uint32_t)number;
    return TX_OK;
}

const char *txctl_reg_type_word(uint32_t type)
{
    for (size_t i = 0; i < TYPE_COUNT; i++) {
        if (types[i].type == type) {
            return types[i].word;
        }
    }
    return NULL;
}

const char *txctl_reg_type_name(uint32_t type, char text[TXCTL_REG_TYPE_TEXT])
{
    for (size_t i = 0; i < TYPE_COUNT; i++) {
        if (types[i].type == type) {
            return types[i].name;
        }
    }
    snprintf(text, TXCTL_REG_TYPE_TEXT, "0x%x", type);
    return text;
}

bool txctl_reg_is_text_type(uint32_t type)
{
    return type == TXREG_SZ || type == TXREG_EXPAND_SZ;
}

static size_t unit_at(const uint8_t *data, size_t i)
{
    return (size_t)(data[2 * i] | data[2 * i + 1] << 8);
}

static size_t units_to_nul(const uint8_t *data, size_t count)
{
    size_t i = 0;
    while (i < count && unit_at(data, i) != 0) {
        i++;
    }
    return i;
}

bool txctl_reg_is_whole_text(const uint8_t *data, size_t size)
{
    return size >= 2 && size % 2 == 0 && units_to_nul(data, size / 2) == size / 2 - 1;
}

static enum tx_status add_number(struct txctl_bytes *bytes, const char *text, uint32_t type,
                                 struct tx_error *err)
{
    uint64_t number = 0;
    size_t size = type == TXREG_QWORD ? 8 : 4;
    bool negative = text[0] == '-' && type == TXREG_QWORD;
    TRY(txctl_number(text + negative, &number, err));
    if (size == 4 && number > UINT32_MAX) {
        return txctl_usage(err, "\"%s\" does not fit 32 bits", text);
    }
    number = negative ? 0 - number : number;
    for (size_t i = 0; i < size; i++) {
        size_t shift = 8 * (type == TXREG_DWORD_BE ? size - 1 - i : i);
        uint8_t byte = (uint8_t)(number >> shift);
        txctl_bytes_add(bytes, &byte, 1);
    }
    return TX_OK;
}

/* Elements separated by the two characters \0; one such at the end is no empty element. */
static enum tx_status add_elements(struct txctl_bytes *bytes, const char *text,
                                   struct tx_error *err)
{
    for (;;) {
        const char *stop = strstr(text, "\\0");
        size_t length = stop ? (size_t)(stop - text) : strlen(text);
        TRY(txctl_utf16_of(text, length, bytes, err));
        txctl_bytes_add16(bytes, 0);
        if (!stop || stop[2] == '\0') {
            return TX_OK;
        }
        text = stop + 2;
    }
}

static enum tx_status add_hex(struct txctl_bytes *bytes, const char *text, struct tx_error *err)
{
    AUTO_TEXT digits = txctl_alloc(strlen(text) + 1);
    size_t length = 0;
    size_t size = 0;
    for (const char *c = text; *c != '\0'; c++) {
        if (!strchr(" ,:", *c)) {
            digits[length++] = *c;
        }
    }
    uint8_t *data = txctl_hex_decode(digits, length, &size);
    if (!data) {
        return txctl_usage(err, "\"%s\" are no hexadecimal bytes", text);
    }
    txctl_bytes_add(bytes, data, size);
    free(data);
    return TX_OK;
}

enum tx_status txctl_reg_parse(uint32_t type, char *const *texts, int count,
                               struct txctl_bytes *bytes, struct tx_error *err)
{
    if (type == TXREG_MULTI_SZ) {
        for (int i = 0; i < count; i++) {
            TRY(add_elements(bytes, texts[i], err));
        }
        txctl_bytes_add16(bytes, 0);
        return TX_OK;
    }
    bool is_number = type == TXREG_DWORD || type == TXREG_DWORD_BE || type == TXREG_QWORD;
    if (count > 1 || (count == 0 && (is_number || txctl_reg_is_text_type(type)))) {
        return txctl_usage(err, "one DATA is wanted for this type, not %d", count);
    }
    if (count == 0) {
        return TX_OK; /* no bytes */
    }
    if (is_number) {
        return add_number(bytes, texts[0], type, err);
    }
    if (txctl_reg_is_text_type(type) || type == TXREG_LINK) {
        TRY(txctl_utf16_of(texts[0], strlen(texts[0]), bytes, err));
        if (type != TXREG_LINK) {
            txctl_bytes_add16(bytes, 0);
        }
        return TX_OK;
    }
    return add_hex(bytes, texts[0], err);
}

/* Whether the bytes are what the type promises; else they are shown in hexadecimal. */
static bool has_shape(uint32_t type, size_t size)
{
    switch (type) {
    case TXREG_SZ:
    case TXREG_EXPAND_SZ:
    case TXREG_MULTI_SZ:
    case TXREG_LINK:
        return size % 2 == 0;
    case TXREG_DWORD:
    case TXREG_DWORD_BE:
        return size == 4;
    case TXREG_QWORD:
        return size == 8;
    default:
        return false;
    }
}

static uint64_t number_of(uint32_t type, const uint8_t *data, size_t size)
{
    uint64_t number = 0;
    for (size_t i = 0; i < size; i++) {
        number = number << 8 | data[type == TXREG_DWORD_BE ? i : size - 1 - i];
    }
    return number;
}

static void put_elements(FILE *out, const uint8_t *data, size_t units, const char *separator)
{
    bool first = true;
    while (units > 0) {
        size_t length = units_to_nul(data, units);
        if (length == 0 && units == 1) {
            return; /* the end mark of the list */
        }
        fputs(first ? "" : separator, out);
        txctl_put_utf16(out, data, length);
        first = false;
        length += length < units;
        data += 2 * length;
        units -= length;
    }
}

static void put_data(FILE *out, uint32_t type, const uint8_t *data, size_t size,
                     enum txctl_reg_style style)
{
    if (type == TXREG_MULTI_SZ) {
        put_elements(out, data, size / 2, style == TXCTL_REG_QUERY ? "\\0" : "\n");
    } else if (txctl_reg_is_text_type(type)) {
        txctl_put_utf16(out, data, units_to_nul(data, size / 2));
    } else if (type == TXREG_LINK) {
        txctl_put_utf16(out, data, size / 2);
    } else {
        fprintf(out, style == TXCTL_REG_QUERY ? "0x%llx" : "%llu",
                (unsigned long long)number_of(type, data, size));
    }
}

char *txctl_reg_format(uint32_t type, const uint8_t *data, size_t size, enum txctl_reg_style style)
{
    char *text = NULL;
    size_t length = 0;
    if (!has_shape(type, size)) {
        text = txctl_hex(data, size);
        for (char *c = text; style == TXCTL_REG_QUERY && *c != '\0'; c++) {
            *c = (char)(*c >= 'a' ? *c - 'a' + 'A' : *c);
        }
        return text;
    }
    FILE *out = txctl_stream(&text, &length);
    put_data(out, type, data, size, style);
    txctl_stream_end(out);
    return text;
}

static json_t *elements_json(const uint8_t *data, size_t units)
{
    json_t *array = json_array();
    while (units > 0) {
        char *text = NULL;
        size_t size = 0;
        size_t length = units_to_nul(data, units);
        if (length == 0 && units == 1) {
            break;
        }
        FILE *out = txctl_stream(&text, &size);
        txctl_put_utf16(out, data, length);
        txctl_stream_end(out);
        json_array_append_new(array, txctl_json_bytes(text, size));
        free(text);
        length += length < units;
        data += 2 * length;
        units -= length;
    }
    return array;
}

/* The value as text, number or list when that says all of it; else NULL. */
static json_t *data_json(uint32_t type, const uint8_t *data, size_t size)
{
    if (txctl_reg_is_text_type(type) ? !txctl_reg_is_whole_text(data, size)
                                     : !has_shape(type, size)) {
        return NULL;
    }
    if (type == TXREG_MULTI_SZ) {
        bool ended = size >= 2 && unit_at(data, size / 2 - 1) == 0 &&
                     (size == 2 || unit_at(data, size / 2 - 2) == 0);
        return ended ? elements_json(data, size / 2) : NULL;
    }
    if (type == TXREG_LINK && units_to_nul(data, size / 2) < size / 2) {
        return NULL;
    }
    if (txctl_reg_is_text_type(type) || type == TXREG_LINK) {
        AUTO_TEXT text = txctl_reg_format(type, data, size, TXCTL_REG_PLAIN);
        return txctl_json_name(text);
    }
    uint64_t number = number_of(type, data, size);
    return number <= INT64_MAX ? json_integer((json_int_t)number) : NULL;
}

json_t *txctl_reg_json(const char *name, uint32_t type, const uint8_t *data, size_t size)
{
    json_t *object = json_object();
    const char *word = txctl_reg_type_word(type);
    AUTO_TEXT hex = txctl_hex(data, size);
    json_t *plain = data_json(type, data, size);
    if (name) {
        json_object_set_new(object, "name", txctl_json_name(name));
    }
    json_object_set_new(object, "type", word ? json_string(word) : json_integer(type));
    if (plain) {
        json_object_set_new(object, "data", plain);
    }
    json_object_set_new(object, "hex", json_string(hex));
    return object;
}
