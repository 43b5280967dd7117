/* SPDX-License-Identifier: MIT */
#include "ktm_fixture.h"

struct encoded {
    struct tx_buf bytes;
    size_t keys_at;
};

static struct encoded encode(void)
{
    struct encoded encoded = {.bytes = TX_BUF_INIT};
    TX_AUTO(tx_buf) entries = TX_BUF_INIT;
    struct ktm_entry_header entry = {.rm = 1, .op = 2};
    static uint8_t body[3] = {1, 2, 3};
    ok(ktm_changes_add(&entries, &entry, &(struct iovec){body, 3}, 1, ERR));
    struct ktm_header header = {
        .flags = KTM_HEADER_SERIALIZABLE,
        .epoch = 3,
        .sequence = 42,
        .snapshot_lsn = 8192,
        .time_ns = -5,
        .begin_time_ns = 77,
        .entry_count = 1,
        .entries_size = entries.size,
        .key_count = 2,
        .savepoint_count = 1,
        .savepoints_size = 4,
    };
    ok(ktm_header_encode(&header, "words", &encoded.bytes, ERR));
    encoded.keys_at = encoded.bytes.size;
    ok(tx_buf_put8(&encoded.bytes, KTM_KEY_WRITE, ERR));
    ok(tx_buf_put64(&encoded.bytes, 0x1111, ERR));
    ok(tx_buf_put8(&encoded.bytes, KTM_KEY_MARK, ERR));
    ok(tx_buf_put64(&encoded.bytes, 0x2222, ERR));
    ok(tx_buf_append(&encoded.bytes, "mark", 4, ERR));
    ok(tx_buf_append(&encoded.bytes, entries.data, entries.size, ERR));
    return encoded;
}

Test(ktm_txn_record, sizes_are_those_of_the_tables)
{
    cr_expect_eq(tx_fields_size(ktm_header_fields), KTM_HEADER_SIZE);
    cr_expect_eq(tx_fields_size(ktm_decision_fields), KTM_DECISION_SIZE);
    cr_expect_eq(tx_fields_size(ktm_changes_seal_fields), KTM_CHANGES_SEAL_SIZE);
    cr_expect_eq(tx_fields_size(ktm_entry_fields), KTM_ENTRY_HEADER_SIZE);
}

Test(ktm_txn_record, record_reads_back)
{
    struct encoded encoded = encode();
    struct ktm_record record;
    ok(ktm_record_decode(encoded.bytes.data, encoded.bytes.size, &record, ERR));
    cr_expect_eq(record.id.epoch, 3);
    cr_expect_eq(record.id.sequence, 42);
    cr_expect_eq(record.header.snapshot_lsn, 8192);
    cr_expect_eq(record.header.time_ns, -5);
    cr_expect_eq(record.header.description_size, 5);
    cr_expect_eq(memcmp(record.description, "words", 5), 0);
    cr_expect_eq(tx_get64(record.keys + KTM_KEY_SIZE + 1), 0x2222);
    cr_expect_eq(memcmp(record.savepoints, "mark", 4), 0);
    cr_expect_eq(record.entries.left, KTM_ENTRY_HEADER_SIZE + 3);
    tx_buf_release(&encoded.bytes);
}

Test(ktm_txn_record, every_cut_and_every_addition_is_found)
{
    struct encoded encoded = encode();
    struct ktm_record record;
    for (size_t size = 0; size < encoded.bytes.size; size++) {
        uint8_t *copy = malloc(size ? size : 1);
        memcpy(copy, encoded.bytes.data, size);
        fails(TX_ECORRUPT, ktm_record_decode(copy, size, &record, ERR));
        free(copy);
    }
    ok(tx_buf_put8(&encoded.bytes, 0, ERR));
    fails(TX_ECORRUPT, ktm_record_decode(encoded.bytes.data, encoded.bytes.size, &record, ERR));
    tx_buf_release(&encoded.bytes);
}

Test(ktm_txn_record, impossible_values_are_refused)
{
    static const struct {
        size_t offset;
        uint8_t value;
        enum tx_status status;
    } faults[] = {
        {0, 2, TX_EVERSION}, {3, 1, TX_EVERSION},  {4, 0x80, TX_ECORRUPT}, {5, 1, TX_ECORRUPT},
        {7, 1, TX_ECORRUPT}, {6, 4, TX_ECORRUPT},  {48, 2, TX_ECORRUPT},   {63, 0xff, TX_ECORRUPT},
        {67, 1, TX_ECORRUPT}, {79, 1, TX_ECORRUPT},
        {88, 0, TX_ECORRUPT} /* NUL in the description */,
    };
    for (size_t i = 0; i < sizeof faults / sizeof *faults; i++) {
        struct encoded encoded = encode();
        struct ktm_record record;
        encoded.bytes.data[faults[i].offset] = faults[i].value;
        enum tx_status status =
            ktm_record_decode(encoded.bytes.data, encoded.bytes.size, &record, ERR);
        cr_expect_eq(status, faults[i].status, "offset %zu: %s", faults[i].offset,
                     tx_status_name(status));
        tx_buf_release(&encoded.bytes);
    }
    for (unsigned kind = 0; kind < 256; kind++) {
        struct encoded encoded = encode();
        struct ktm_record record;
        encoded.bytes.data[encoded.keys_at] = (uint8_t)kind;
        bool known = kind >= KTM_KEY_WRITE && kind <= KTM_KEY_MARK;
        fails(known ? TX_OK : TX_ECORRUPT,
              ktm_record_decode(encoded.bytes.data, encoded.bytes.size, &record, ERR));
        tx_buf_release(&encoded.bytes);
    }
}

Test(ktm_txn_record, decision_reads_back)
{
    TX_AUTO(tx_buf) bytes = TX_BUF_INIT;
    struct ktm_decision decision = {.outcome = KTM_DECIDE_ROLLBACK,
                                    .epoch = 5,
                                    .sequence = 6,
                                    .prepare_lsn = 4096,
                                    .time_ns = 9};
    struct ktm_decision read;
    ok(ktm_decision_encode(&decision, &bytes, ERR));
    ok(ktm_decision_decode(bytes.data, bytes.size, &read, ERR));
    cr_expect_eq(read.outcome, KTM_DECIDE_ROLLBACK);
    cr_expect_eq(read.epoch, 5);
    cr_expect_eq(read.sequence, 6);
    cr_expect_eq(read.prepare_lsn, 4096);
}

Test(ktm_txn_record, damaged_decision_is_refused)
{
    TX_AUTO(tx_buf) bytes = TX_BUF_INIT;
    struct ktm_decision decision = {.outcome = KTM_DECIDE_COMMIT, .epoch = 5, .sequence = 6};
    struct ktm_decision read;
    ok(ktm_decision_encode(&decision, &bytes, ERR));
    fails(TX_ECORRUPT, ktm_decision_decode(bytes.data, bytes.size - 1, &read, ERR));
    for (uint8_t outcome = 0; outcome < 9; outcome++) {
        bytes.data[4] = outcome;
        fails(outcome == 1 || outcome == 2 ? TX_OK : TX_ECORRUPT,
              ktm_decision_decode(bytes.data, bytes.size, &read, ERR));
    }
    bytes.data[4] = 1;
    bytes.data[KTM_DECISION_SIZE - 1] = 1;
    fails(TX_ECORRUPT, ktm_decision_decode(bytes.data, bytes.size, &read, ERR));
    bytes.data[KTM_DECISION_SIZE - 1] = 0;
    bytes.data[0] = 9;
    fails(TX_EVERSION, ktm_decision_decode(bytes.data, bytes.size, &read, ERR));
}
