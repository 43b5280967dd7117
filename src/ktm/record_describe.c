/* SPDX-License-Identifier: MIT */
/* Records of the log for people, by the field tables that encode them. */
#include <string.h>

#include "ktm/ktm_internal.h"

static uint64_t field_number(const struct tx_field *field, const uint8_t *disk)
{
    uint64_t number = 0;
    for (size_t i = field->width; i > 0; i--) {
        number = number << 8 | disk[i - 1];
    }
    return number;
}

static void describe_fields(const struct tx_field *fields, const uint8_t *disk, txlog_field_fn *fn,
                            void *arg)
{
    for (const struct tx_field *field = fields; fn && field->name; field++) {
        if (field->offset != TX_FIELD_RESERVED) {
            fn(arg, field->name, field_number(field, disk), field->text);
        }
        disk += field->width;
    }
}

static enum tx_status describe_transaction(const struct tx_buf *payload,
                                           struct ktm_record_info *info, struct tx_error *err)
{
    struct ktm_record record;
    TX_TRY(ktm_record_decode(payload->data, payload->size, &record, err));
    info->id = record.id;
    info->snapshot_lsn = record.header.snapshot_lsn;
    info->time_ns = record.header.time_ns;
    info->entry_count = record.header.entry_count;
    info->entries = record.entries;
    memcpy(info->description, record.description, record.header.description_size);
    return TX_OK;
}

static enum tx_status describe_decision(const struct tx_buf *payload, struct ktm_record_info *info,
                                        struct tx_error *err)
{
    struct ktm_decision decision;
    TX_TRY(ktm_decision_decode(payload->data, payload->size, &decision, err));
    info->kind = decision.outcome == KTM_DECIDE_COMMIT ? "decide-commit" : "decide-rollback";
    info->id = (struct ktm_id){decision.epoch, decision.sequence};
    info->prepare_lsn = decision.prepare_lsn;
    info->time_ns = decision.time_ns;
    return TX_OK;
}

enum tx_status ktm_describe_record(uint32_t kind, const struct tx_buf *payload,
                                   struct ktm_record_info *info, txlog_field_fn *fn, void *arg,
                                   struct tx_error *err)
{
    struct ktm_record_info read = {.kind = "unknown"};
    const struct tx_field *fields = NULL;
    if (kind == KTM_COMMIT || kind == KTM_PREPARE) {
        read.kind = kind == KTM_COMMIT ? "commit" : "prepare";
        fields = ktm_header_fields;
        TX_TRY(describe_transaction(payload, &read, err));
    } else if (kind == KTM_DECIDE) {
        fields = ktm_decision_fields;
        TX_TRY(describe_decision(payload, &read, err));
    } else if (kind == KTM_KIND_EPOCH) {
        read.kind = "epoch";
    }
    if (fields) {
        describe_fields(fields, payload->data, fn, arg);
    }
    *info = read;
    return TX_OK;
}
