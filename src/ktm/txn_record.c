/* SPDX-License-Identifier: MIT */
/* The layouts of txn_record.h, encoded and decoded. */
#include <inttypes.h>
#include <string.h>

#include "base/invariant.h"
#include "ktm/ktm_internal.h"

const struct tx_field ktm_header_fields[] = {
    TX_FIELD(struct ktm_header, version, "of this layout: 1"),
    TX_FIELD(struct ktm_header, flags, "1: serializable, 2: had tx/<id>/changes, 4: read-only"),
    TX_FIELD(struct ktm_header, description_size, "bytes of description, at most 255"),
    TX_FIELD(struct ktm_header, epoch, "first half of the transaction's id"),
    TX_FIELD(struct ktm_header, sequence, "second half"),
    TX_FIELD(struct ktm_header, snapshot_lsn, "state of the world it was based on"),
    TX_FIELD(struct ktm_header, time_ns, "of this record, ns since 1970 UTC"),
    TX_FIELD(struct ktm_header, begin_time_ns, "of its begin"),
    TX_FIELD(struct ktm_header, entry_count, "entries"),
    TX_FIELD(struct ktm_header, entries_size, "bytes of all entries"),
    TX_FIELD(struct ktm_header, key_count, "conflict keys (PREPARE), 9 bytes each: kind, key"),
    TX_FIELD(struct ktm_header, savepoint_count, "savepoints (changes)"),
    TX_FIELD(struct ktm_header, savepoints_size, "bytes of all savepoints"),
    TX_FIELD(struct ktm_header, deadline_time_ns, "when it times out (changes), 0: never"),
    TX_FIELD_END,
};

const struct tx_field ktm_decision_fields[] = {
    TX_FIELD(struct ktm_decision, version, "of this layout: 1"),
    TX_FIELD(struct ktm_decision, outcome, "1: commit, 2: roll back"),
    TX_FIELD(struct ktm_decision, epoch, "first half of the transaction's id"),
    TX_FIELD(struct ktm_decision, sequence, "second half"),
    TX_FIELD(struct ktm_decision, prepare_lsn, "of the PREPARE record"),
    TX_FIELD(struct ktm_decision, time_ns, "of the decision, ns since 1970 UTC"),
    TX_FIELD_ZERO(8),
    TX_FIELD_END,
};

const struct tx_field ktm_changes_seal_fields[] = {
    TX_FIELD(struct ktm_changes_seal, magic, "\"TXKCHGS1\""),
    TX_FIELD(struct ktm_changes_seal, size, "bytes of the file"),
    TX_FIELD(struct ktm_changes_seal, seal, "XXH3-64 of the file with this field zero"),
    TX_FIELD_END,
};

enum tx_status ktm_header_encode(const struct ktm_header *header, const char *description,
                                 struct tx_buf *out, struct tx_error *err)
{
    struct ktm_header complete = *header;
    complete.version = KTM_RECORD_VERSION;
    complete.description_size = (uint16_t)strlen(description);
    TX_INVARIANT(complete.description_size <= KTM_DESCRIPTION_MAX);
    uint8_t *at;
    TX_TRY(tx_buf_extend(out, KTM_HEADER_SIZE, &at, err));
    tx_fields_encode(ktm_header_fields, &complete, at);
    return tx_buf_append(out, description, complete.description_size, err);
}

static enum tx_status header_decode(struct tx_reader *reader, struct ktm_header *header,
                                    struct tx_error *err)
{
    const uint8_t *bytes = tx_read_bytes(reader, KTM_HEADER_SIZE);
    if (reader->failed) {
        return tx_error_set(err, TX_ECORRUPT, "transaction's header is cut off");
    }
    if (tx_get32(bytes) != KTM_RECORD_VERSION) {
        return tx_error_set(err, TX_EVERSION, "transaction of layout %" PRIu32, tx_get32(bytes));
    }
    (void)tx_fields_decode(ktm_header_fields, header, bytes); /* nothing reserved */
    if ((header->flags & ~(unsigned)KTM_HEADER_ALL) ||
        header->description_size > KTM_DESCRIPTION_MAX) {
        return tx_error_set(err, TX_ECORRUPT, "transaction's header has impossible values");
    }
    return TX_OK;
}

enum tx_status ktm_record_decode(const uint8_t *data, size_t size, struct ktm_record *record,
                                 struct tx_error *err)
{
    struct tx_reader reader = tx_reader_on(data, size);
    struct ktm_record read;
    TX_TRY(header_decode(&reader, &read.header, err));
    const struct ktm_header *header = &read.header;
    read.id = (struct ktm_id){header->epoch, header->sequence};
    read.description = (const char *)tx_read_bytes(&reader, header->description_size);
    read.keys = tx_read_bytes(&reader, (size_t)header->key_count * KTM_KEY_SIZE);
    read.savepoints = tx_read_bytes(&reader, header->savepoints_size);
    read.entries.left = header->entries_size;
    read.entries.next = tx_read_bytes(&reader, header->entries_size);
    if (!tx_reader_done(&reader)) {
        return tx_error_set(err, TX_ECORRUPT, "transaction's parts do not fill its %zu bytes",
                            size);
    }
    if (memchr(read.description, '\0', header->description_size)) {
        return tx_error_set(err, TX_ECORRUPT, "transaction's description has a NUL");
    }
    for (uint32_t i = 0; i < header->key_count; i++) {
        uint8_t kind = read.keys[(size_t)i * KTM_KEY_SIZE];
        if (kind < KTM_KEY_WRITE || kind > KTM_KEY_MARK) {
            return tx_error_set(err, TX_ECORRUPT, "conflict key of kind %u", kind);
        }
    }
    TX_TRY(ktm_changes_verify(read.entries.next, read.entries.left, header->entry_count, err));
    *record = read;
    return TX_OK;
}

enum tx_status ktm_decision_encode(const struct ktm_decision *decision, struct tx_buf *out,
                                   struct tx_error *err)
{
    struct ktm_decision complete = *decision;
    complete.version = KTM_RECORD_VERSION;
    uint8_t *at;
    TX_TRY(tx_buf_extend(out, KTM_DECISION_SIZE, &at, err));
    tx_fields_encode(ktm_decision_fields, &complete, at);
    return TX_OK;
}

enum tx_status ktm_decision_decode(const uint8_t *data, size_t size, struct ktm_decision *decision,
                                   struct tx_error *err)
{
    struct ktm_decision read;
    if (size != KTM_DECISION_SIZE) {
        return tx_error_set(err, TX_ECORRUPT, "decision of %zu bytes", size);
    }
    if (tx_get32(data) != KTM_RECORD_VERSION) {
        return tx_error_set(err, TX_EVERSION, "decision of layout %" PRIu32, tx_get32(data));
    }
    if (!tx_fields_decode(ktm_decision_fields, &read, data) ||
        (read.outcome != KTM_DECIDE_COMMIT && read.outcome != KTM_DECIDE_ROLLBACK)) {
        return tx_error_set(err, TX_ECORRUPT, "decision has impossible values");
    }
    *decision = read;
    return TX_OK;
}
