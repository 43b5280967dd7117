/* SPDX-License-Identifier: MIT */
/* A record's fields by name, from the tables that encode them. */
#include "txlog/txlog_internal.h"

static void describe(const struct tx_field *fields, const uint8_t *disk, txlog_field_fn *fn,
                     void *arg)
{
    for (; fields->name != NULL; disk += fields->width, fields++) {
        if (fields->offset == TX_FIELD_RESERVED) {
            continue;
        }
        uint64_t value = 0;
        for (unsigned i = fields->width; i > 0; i--) {
            value = value << 8 | disk[i - 1];
        }
        fn(arg, fields->name, value, fields->text);
    }
}

enum tx_status txlog_describe_record(struct txlog *log, tx_lsn lsn, txlog_field_fn *fn, void *arg,
                                     struct tx_error *err)
{
    TX_AUTO(tx_buf) payload = TX_BUF_INIT;
    struct frame_header header;
    struct txlog_record record;
    uint8_t disk[FRAME_HEADER_SIZE];
    TX_TRY(log_read_frame(log, lsn, &header, &record, &payload, err));
    frame_encode(&header, disk);
    describe(frame_fields, disk, fn, arg);
    if (header.kind == TXLOG_KIND_EPOCH && payload.size == EPOCH_PAYLOAD_SIZE) {
        describe(epoch_fields, payload.data, fn, arg);
    }
    return TX_OK;
}
