/* SPDX-License-Identifier: MIT */
/* The entries of a change set: u8 RM, u8 operation, u16 flags, u32 body size, body; no padding. */
#include <inttypes.h>
#include <string.h>

#include "ktm/ktm_internal.h"

const struct tx_field ktm_entry_fields[] = {
    TX_FIELD(struct ktm_entry_header, rm, "resource manager, below 4"),
    TX_FIELD(struct ktm_entry_header, op, "operation, given by the resource manager"),
    TX_FIELD(struct ktm_entry_header, flags, "given by the resource manager"),
    TX_FIELD(struct ktm_entry_header, body_size, "bytes of body that follow"),
    TX_FIELD_END,
};

/* Bytes of all parts; false when they cannot be one body. */
static bool body_size_of(const struct iovec *parts, int count, uint32_t *size)
{
    uint64_t sum = 0;
    for (int i = 0; i < count; i++) {
        if (parts[i].iov_len > UINT32_MAX || (sum += parts[i].iov_len) > UINT32_MAX) {
            return false;
        }
    }
    *size = (uint32_t)sum;
    return true;
}

enum tx_status ktm_changes_add(struct tx_buf *entries, const struct ktm_entry_header *header,
                               const struct iovec *parts, int count, struct tx_error *err)
{
    struct ktm_entry_header complete = *header;
    if (!body_size_of(parts, count, &complete.body_size)) {
        return tx_error_set(err, TX_ELIMIT, "entry of more than 4 GiB");
    }
    size_t size = KTM_ENTRY_HEADER_SIZE + complete.body_size;
    if (size > KTM_CHANGES_MAX || entries->size > KTM_CHANGES_MAX - size) {
        return tx_error_set(err, TX_ELIMIT, "more than %u bytes of changes in one transaction",
                            KTM_CHANGES_MAX);
    }
    TX_TRY(tx_buf_reserve(entries, size, err));
    uint8_t *at = entries->data + entries->size;
    tx_fields_encode(ktm_entry_fields, &complete, at);
    at += KTM_ENTRY_HEADER_SIZE;
    for (int i = 0; i < count; i++) {
        if (parts[i].iov_len > 0) {
            memcpy(at, parts[i].iov_base, parts[i].iov_len);
            at += parts[i].iov_len;
        }
    }
    entries->size += size;
    return TX_OK;
}

bool ktm_cursor_next(struct ktm_cursor *cursor, struct ktm_change *change)
{
    struct ktm_entry_header header;
    if (cursor->left < KTM_ENTRY_HEADER_SIZE) {
        return false;
    }
    /* There are no reserved bytes that could be wrong. */
    (void)tx_fields_decode(ktm_entry_fields, &header, cursor->next);
    size_t left = cursor->left - KTM_ENTRY_HEADER_SIZE;
    if (header.body_size > left) {
        return false;
    }
    *change = (struct ktm_change){
        .rm = header.rm,
        .op = header.op,
        .flags = header.flags,
        .body = cursor->next + KTM_ENTRY_HEADER_SIZE,
        .body_size = header.body_size,
    };
    cursor->next += KTM_ENTRY_HEADER_SIZE + header.body_size;
    cursor->left = left - header.body_size;
    return true;
}

enum tx_status ktm_changes_verify(const uint8_t *data, size_t size, uint64_t entry_count,
                                  struct tx_error *err)
{
    struct ktm_cursor cursor = {data, size};
    struct ktm_change change;
    uint64_t count = 0;
    while (ktm_cursor_next(&cursor, &change)) {
        if (change.rm >= KTM_RM_MAX) {
            return tx_error_set(err, TX_ECORRUPT, "entry %" PRIu64 " is of resource manager %u",
                                count, change.rm);
        }
        count++;
    }
    if (cursor.left != 0) {
        return tx_error_set(err, TX_ECORRUPT, "entry %" PRIu64 " is cut off", count);
    }
    if (count != entry_count) {
        return tx_error_set(err, TX_ECORRUPT, "%" PRIu64 " entries where %" PRIu64 " are told",
                            count, entry_count);
    }
    return TX_OK;
}
