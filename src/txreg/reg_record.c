/* SPDX-License-Identifier: MIT */
/*
 * Records of the tree. A key is
 *
 *     key id, 8 bytes big-endian | kind, 1 byte | name, folded and packed
 *
 * so that a key, its values and its children lie side by side. Folded UTF-16 units are packed so
 * that memcmp keeps their order and ASCII costs one byte:
 *
 *     < 0x80: 1 byte | < 0x4000: 2 bytes, 0x8000 + unit | else: 3 bytes, 0xC0 and the unit
 */
#include <string.h>

#include "base/hash.h"
#include "base/mutant.h"
#include "base/text.h"
#include "txreg/txreg_view.h"

const struct tx_field reg_header_fields[] = {
    TX_FIELD(struct reg_header, parent, "id of the parent key; 0 for the root"),
    TX_FIELD(struct reg_header, revision, "commit that last changed its values or subkeys"),
    TX_FIELD(struct reg_header, write_time_ns, "of that commit, ns since 1970 UTC"),
    TX_FIELD(struct reg_header, next_ordinal, "of the next value"),
    TX_FIELD(struct reg_header, subkey_count, "subkeys"),
    TX_FIELD(struct reg_header, value_count, "values"),
    TX_FIELD(struct reg_header, class_size, "bytes of class that follow"),
    TX_FIELD_END,
};

const struct tx_field reg_child_fields[] = {
    TX_FIELD(struct reg_child, id, "of the subkey"),
    TX_FIELD(struct reg_child, revision, "commit that created or renamed it"),
    TX_FIELD_END,
};

void reg_key_head(struct reg_key *key, uint64_t id, enum reg_kind kind)
{
    for (unsigned i = 0; i < 8; i++) {
        key->bytes[i] = (uint8_t)(id >> (56 - 8 * i));
    }
    key->bytes[8] = (uint8_t)kind;
    key->size = REG_KEY_HEAD;
}

static size_t pack_unit(uint8_t *to, uint16_t unit)
{
    if (unit < 0x80) {
        to[0] = (uint8_t)unit;
        return 1;
    }
    if (unit < 0x4000) {
        to[0] = (uint8_t)(0x80 | unit >> 8);
        to[1] = (uint8_t)unit;
        return 2;
    }
    to[0] = 0xC0;
    to[1] = (uint8_t)(unit >> 8);
    to[2] = (uint8_t)unit;
    return 3;
}

/* Append the packed form of a short name that is all ASCII; false when it is not. */
static bool fold_ascii(struct reg_key *key, const char *name, size_t size, size_t max)
{
    if (size > max) {
        return false;
    }
    uint8_t *to = key->bytes + key->size;
    for (size_t i = 0; i < size; i++) {
        uint8_t c = (uint8_t)name[i];
        if (c >= 0x80) {
            return false;
        }
        bool lower = c >= 'a' && c <= 'z' && !TX_MUTANT(32); /* "Run" beside "RUN" */
        to[i] = (uint8_t)(lower ? c - ('a' - 'A') : c);
    }
    key->size = (uint16_t)(key->size + size);
    return true;
}

/* Append the packed form of folded units; false when it needs more than `max` bytes. */
static bool pack_units(struct reg_key *key, const struct tx_buf *folded, size_t max)
{
    size_t size = 0;
    uint8_t unit[3];
    for (size_t at = 0; at < folded->size; at += 2) {
        uint16_t value = (uint16_t)(folded->data[at] << 8 | folded->data[at + 1]);
        size_t step = pack_unit(unit, value);
        if (size + step > max) {
            return false;
        }
        memcpy(key->bytes + key->size + size, unit, step);
        size += step;
    }
    key->size = (uint16_t)(key->size + size);
    return true;
}

enum tx_status reg_key_child(struct reg_key *key, uint64_t id, const char *name, size_t size,
                             struct tx_error *err)
{
    size_t units;
    reg_key_head(key, id, REG_CHILD);
    if (size == 0 || memchr(name, TXREG_SEPARATOR, size) != NULL) {
        return tx_error_set(err, TX_EINVAL, size == 0 ? "empty key name" : "'\\' in a key name");
    }
    if (fold_ascii(key, name, size, TXREG_KEY_NAME_MAX)) {
        return TX_OK;
    }
    TX_AUTO(tx_buf) folded = TX_BUF_INIT;
    if (size > TXREG_KEY_NAME_MAX * 3) {
        return tx_error_set(err, TX_ELIMIT, "key name of %zu bytes", size);
    }
    TX_TRY(tx_fold_name(name, size, &folded, &units, err));
    if (units > TXREG_KEY_NAME_MAX) {
        return tx_error_set(err, TX_ELIMIT, "key name of %zu UTF-16 units, at most %d", units,
                            TXREG_KEY_NAME_MAX);
    }
    key->size = REG_KEY_HEAD;
    (void)pack_units(key, &folded, REG_KEY_MAX - REG_KEY_HEAD);
    return TX_OK;
}

enum tx_status reg_key_value(struct reg_key *key, uint64_t id, const char *name, size_t size,
                             struct tx_error *err)
{
    size_t units;
    reg_key_head(key, id, REG_VALUE);
    if (fold_ascii(key, name, size, REG_SHORT_NAME_MAX)) {
        return TX_OK;
    }
    TX_AUTO(tx_buf) folded = TX_BUF_INIT;
    if (size >= TXREG_NAME_BYTES_MAX) {
        return tx_error_set(err, TX_ELIMIT, "value name of %zu bytes", size);
    }
    TX_TRY(tx_fold_name(name, size, &folded, &units, err));
    if (units > TXREG_VALUE_NAME_MAX) {
        return tx_error_set(err, TX_ELIMIT, "value name of %zu UTF-16 units, at most %d", units,
                            TXREG_VALUE_NAME_MAX);
    }
    key->size = REG_KEY_HEAD;
    if (pack_units(key, &folded, REG_SHORT_NAME_MAX)) {
        return TX_OK;
    }
    struct tx_hash128 hash = tx_hash128_of(folded.data, folded.size);
    reg_key_head(key, id, REG_LONG_VALUE);
    memcpy(key->bytes + REG_KEY_HEAD, hash.bytes, REG_LONG_NAME_SIZE);
    key->size = REG_KEY_HEAD + REG_LONG_NAME_SIZE;
    return TX_OK;
}

void reg_header_encode(const struct reg_header *header, uint8_t data[REG_HEADER_MAX])
{
    tx_fields_encode(reg_header_fields, header, data);
    if (header->class_size > 0) {
        memcpy(data + REG_HEADER_SIZE, header->class_name, header->class_size);
    }
}

bool reg_header_decode(struct reg_header *header, const uint8_t *data, size_t size)
{
    if (size < REG_HEADER_SIZE || size > REG_HEADER_MAX) {
        return false;
    }
    (void)tx_fields_decode(reg_header_fields, header, data); /* no field of it must be zero */
    header->class_name = data + REG_HEADER_SIZE;
    return size == REG_HEADER_SIZE + (size_t)header->class_size;
}

bool reg_child_decode(struct reg_child *child, const uint8_t *data, size_t size)
{
    if (size <= REG_CHILD_SIZE) {
        return false;
    }
    (void)tx_fields_decode(reg_child_fields, child, data); /* no field of it must be zero */
    child->name = data + REG_CHILD_SIZE;
    child->name_size = size - REG_CHILD_SIZE;
    return child->name_size <= TXREG_KEY_NAME_MAX * 3;
}

size_t reg_value_encode_head(const struct reg_value *value, uint8_t data[REG_VALUE_HEAD_MAX])
{
    unsigned flags = (value->is_out ? REG_VALUE_OUT : 0u) |
                     (value->is_name_out ? REG_VALUE_NAME_OUT : 0u) |
                     (value->type > UINT8_MAX ? REG_VALUE_WIDE_TYPE : 0u) |
                     (value->ordinal > UINT16_MAX ? REG_VALUE_WIDE_ORDINAL : 0u) |
                     (value->name_size > UINT8_MAX ? REG_VALUE_WIDE_NAME : 0u);
    size_t at = 9;
    data[0] = (uint8_t)flags;
    tx_put64(data + 1, value->revision);
    if ((flags & REG_VALUE_WIDE_ORDINAL) != 0) {
        tx_put64(data + at, value->ordinal);
        at += 8;
    } else {
        tx_put16(data + at, (uint16_t)value->ordinal);
        at += 2;
    }
    if ((flags & REG_VALUE_WIDE_TYPE) != 0) {
        tx_put32(data + at, value->type);
        at += 4;
    } else {
        data[at++] = (uint8_t)value->type;
    }
    if ((flags & REG_VALUE_WIDE_NAME) != 0) {
        tx_put16(data + at, value->name_size);
        at += 2;
    } else {
        data[at++] = (uint8_t)value->name_size;
    }
    if (value->is_out) {
        tx_put32(data + at, value->size);
        tx_put32(data + at + 4, value->ref.page);
        tx_put64(data + at + 8, value->ref.seal);
        at += 4 + REG_REF_SIZE;
    }
    return at;
}

bool reg_value_decode(struct reg_value *value, const uint8_t *data, size_t size)
{
    struct tx_reader reader = tx_reader_on(data, size);
    unsigned flags = tx_read8(&reader);
    *value = (struct reg_value){
        .is_out = (flags & REG_VALUE_OUT) != 0,
        .is_name_out = (flags & REG_VALUE_NAME_OUT) != 0,
    };
    value->revision = tx_read64(&reader);
    value->ordinal = (flags & REG_VALUE_WIDE_ORDINAL) != 0 ? tx_read64(&reader)
                                                           : tx_read16(&reader);
    value->type = (flags & REG_VALUE_WIDE_TYPE) != 0 ? tx_read32(&reader) : tx_read8(&reader);
    value->name_size = (flags & REG_VALUE_WIDE_NAME) != 0 ? tx_read16(&reader) : tx_read8(&reader);
    if (value->is_out) {
        value->size = tx_read32(&reader);
        value->ref.page = tx_read32(&reader);
        value->ref.seal = tx_read64(&reader);
    }
    if (!value->is_name_out) {
        value->name = tx_read_bytes(&reader, value->name_size);
    }
    if (!value->is_out) {
        value->size = (uint32_t)reader.left;
        value->data = tx_read_bytes(&reader, reader.left);
    }
    return tx_reader_done(&reader) && (flags & ~(unsigned)REG_VALUE_FLAGS) == 0 &&
           value->size <= TXREG_VALUE_SIZE_MAX && (!value->is_name_out || value->is_out);
}

enum tx_status reg_record_corrupt(struct tx_error *err, const uint8_t *key, const char *what)
{
    return tx_error_set(err, TX_ECORRUPT, "%s: key %llu, record of kind %u: %s", REG_IMAGE_PATH,
                        (unsigned long long)reg_get_id(key), key[REG_KEY_HEAD - 1], what);
}
