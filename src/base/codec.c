/* SPDX-License-Identifier: MIT */
#include "base/codec.h"

#include <string.h>

size_t tx_fields_size(const struct tx_field *fields)
{
    size_t size = 0;
    for (; fields->name != NULL; fields++) {
        size += fields->width;
    }
    return size;
}

/* Host integers are copied by memcpy, because a table may name members of any alignment. */
static void encode_field(const struct tx_field *field, const uint8_t *host, uint8_t *disk)
{
    uint16_t v16;
    uint32_t v32;
    uint64_t v64;
    switch (field->width) {
    case 2:
        memcpy(&v16, host, sizeof(v16));
        tx_put16(disk, v16);
        break;
    case 4:
        memcpy(&v32, host, sizeof(v32));
        tx_put32(disk, v32);
        break;
    case 8:
        memcpy(&v64, host, sizeof(v64));
        tx_put64(disk, v64);
        break;
    default:
        memcpy(disk, host, field->width);
    }
}

static void decode_field(const struct tx_field *field, uint8_t *host, const uint8_t *disk)
{
    uint16_t v16;
    uint32_t v32;
    uint64_t v64;
    switch (field->width) {
    case 2:
        v16 = tx_get16(disk);
        memcpy(host, &v16, sizeof(v16));
        break;
    case 4:
        v32 = tx_get32(disk);
        memcpy(host, &v32, sizeof(v32));
        break;
    case 8:
        v64 = tx_get64(disk);
        memcpy(host, &v64, sizeof(v64));
        break;
    default:
        memcpy(host, disk, field->width);
    }
}

void tx_fields_encode(const struct tx_field *fields, const void *host, uint8_t *disk)
{
    for (; fields->name != NULL; fields++) {
        if (fields->offset == TX_FIELD_RESERVED) {
            memset(disk, 0, fields->width);
        } else {
            encode_field(fields, (const uint8_t *)host + fields->offset, disk);
        }
        disk += fields->width;
    }
}

bool tx_is_zero(const uint8_t *bytes, size_t size)
{
    /* Each byte equals the next one, and the first is zero. */
    return size == 0 || (bytes[0] == 0 && memcmp(bytes, bytes + 1, size - 1) == 0);
}

bool tx_fields_decode(const struct tx_field *fields, void *host, const uint8_t *disk)
{
    /* Reserved bytes first, so that a refused structure leaves `host` as it was. */
    const uint8_t *at = disk;
    for (const struct tx_field *field = fields; field->name != NULL; field++) {
        if (field->offset == TX_FIELD_RESERVED && !tx_is_zero(at, field->width)) {
            return false;
        }
        at += field->width;
    }
    for (; fields->name != NULL; fields++) {
        if (fields->offset != TX_FIELD_RESERVED) {
            decode_field(fields, (uint8_t *)host + fields->offset, disk);
        }
        disk += fields->width;
    }
    return true;
}

const uint8_t *tx_read_bytes(struct tx_reader *reader, size_t size)
{
    static const uint8_t nothing[1] = {0};
    if (reader->failed || size > reader->left) {
        reader->failed = true;
        return NULL;
    }
    if (size == 0) {
        return reader->data != NULL ? reader->data : nothing;
    }
    const uint8_t *bytes = reader->data;
    reader->data += size;
    reader->left -= size;
    return bytes;
}

uint8_t tx_read8(struct tx_reader *reader)
{
    const uint8_t *bytes = tx_read_bytes(reader, 1);
    return bytes != NULL ? bytes[0] : 0;
}

uint16_t tx_read16(struct tx_reader *reader)
{
    const uint8_t *bytes = tx_read_bytes(reader, 2);
    return bytes != NULL ? tx_get16(bytes) : 0;
}

uint32_t tx_read32(struct tx_reader *reader)
{
    const uint8_t *bytes = tx_read_bytes(reader, 4);
    return bytes != NULL ? tx_get32(bytes) : 0;
}

uint64_t tx_read64(struct tx_reader *reader)
{
    const uint8_t *bytes = tx_read_bytes(reader, 8);
    return bytes != NULL ? tx_get64(bytes) : 0;
}

const char *tx_read_text(struct tx_reader *reader)
{
    uint32_t size = tx_read32(reader);
    const uint8_t *bytes = tx_read_bytes(reader, size);
    if (bytes == NULL) {
        return NULL;
    }
    if (size == 0 || memchr(bytes, 0, size) != bytes + size - 1) {
        reader->failed = true;
        return NULL;
    }
    return (const char *)bytes;
}

bool tx_reader_done(const struct tx_reader *reader)
{
    return !reader->failed && reader->left == 0;
}

enum tx_status tx_buf_put8(struct tx_buf *buf, uint8_t v, struct tx_error *err)
{
    return tx_buf_append(buf, &v, 1, err);
}

enum tx_status tx_buf_put16(struct tx_buf *buf, uint16_t v, struct tx_error *err)
{
    uint8_t bytes[2];
    tx_put16(bytes, v);
    return tx_buf_append(buf, bytes, sizeof(bytes), err);
}

enum tx_status tx_buf_put32(struct tx_buf *buf, uint32_t v, struct tx_error *err)
{
    uint8_t bytes[4];
    tx_put32(bytes, v);
    return tx_buf_append(buf, bytes, sizeof(bytes), err);
}

enum tx_status tx_buf_put64(struct tx_buf *buf, uint64_t v, struct tx_error *err)
{
    uint8_t bytes[8];
    tx_put64(bytes, v);
    return tx_buf_append(buf, bytes, sizeof(bytes), err);
}

enum tx_status tx_buf_put_text(struct tx_buf *buf, const char *text, struct tx_error *err)
{
    size_t size = strlen(text) + 1;
    if (size > UINT32_MAX) {
        return tx_error_set(err, TX_ELIMIT, "text of %zu bytes is too long", size);
    }
    uint8_t *at;
    TX_TRY(tx_buf_extend(buf, 4 + size, &at, err)); /* both parts or none */
    tx_put32(at, (uint32_t)size);
    memcpy(at + 4, text, size);
    return TX_OK;
}
