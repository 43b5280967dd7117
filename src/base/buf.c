/* SPDX-License-Identifier: MIT */
#include "base/buf.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { SMALLEST_CAPACITY = 64 };

void tx_buf_release(struct tx_buf *buf)
{
    tx_free(buf->data);
    *buf = (struct tx_buf)TX_BUF_INIT;
}

enum tx_status tx_buf_reserve(struct tx_buf *buf, size_t extra, struct tx_error *err)
{
    if (buf->data != NULL && extra <= buf->capacity - buf->size) {
        return TX_OK;
    }
    if (extra > PTRDIFF_MAX - buf->size) {
        return tx_error_set(err, TX_ENOMEM, "out of memory: buffer of %zu and %zu bytes", buf->size,
                            extra);
    }
    size_t needed = buf->size + extra;
    size_t capacity = buf->capacity > SMALLEST_CAPACITY ? buf->capacity : SMALLEST_CAPACITY;
    while (capacity < needed) {
        capacity = capacity <= PTRDIFF_MAX / 2 ? capacity * 2 : needed;
    }
    uint8_t *data = tx_resize(buf->data, capacity);
    if (data == NULL) {
        return tx_error_set(err, TX_ENOMEM, "out of memory: buffer of %zu bytes", capacity);
    }
    buf->data = data;
    buf->capacity = capacity;
    return TX_OK;
}

enum tx_status tx_buf_append(struct tx_buf *buf, const void *data, size_t size,
                             struct tx_error *err)
{
    TX_TRY(tx_buf_reserve(buf, size, err));
    if (size > 0) {
        memcpy(buf->data + buf->size, data, size);
        buf->size += size;
    }
    return TX_OK;
}

enum tx_status tx_buf_extend(struct tx_buf *buf, size_t size, uint8_t **at, struct tx_error *err)
{
    TX_TRY(tx_buf_reserve(buf, size, err));
    *at = buf->data + buf->size;
    memset(*at, 0, size);
    buf->size += size;
    return TX_OK;
}

enum tx_status tx_buf_append_text(struct tx_buf *buf, const char *text, struct tx_error *err)
{
    return tx_buf_append(buf, text, strlen(text), err);
}

enum tx_status tx_buf_printf(struct tx_buf *buf, struct tx_error *err, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int size = vsnprintf(NULL, 0, format, args);
    va_end(args);
    if (size < 0) {
        return tx_error_set(err, TX_EINVAL, "text cannot be formatted");
    }
    TX_TRY(tx_buf_reserve(buf, (size_t)size + 1, err)); /* vsnprintf adds a NUL; it is not kept */
    va_start(args, format);
    (void)vsnprintf((char *)buf->data + buf->size, (size_t)size + 1, format, args);
    va_end(args);
    buf->size += (size_t)size;
    return TX_OK;
}
