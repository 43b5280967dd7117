/* SPDX-License-Identifier: MIT */
/*
 * Decoders over bytes in memory: records of the transaction manager and the entries in them, of
 * both resource managers; records of undo/<L>/changes.
 *
 * Input: 1 byte, which decoder; then its bytes. Promises: whatever is accepted is encoded to the
 * very same bytes again, and can be described; memory follows the input's size.
 */
#include <string.h>

#include "base/cleanup.h"
#include "fuzz/fuzz.h"
#include "ktm/ktm_internal.h"
#include "txfs/undo_changes.h"
#include "txreg/txreg_view.h"

enum decoder {
    DECODE_RECORD,
    DECODE_DECISION,
    DECODE_FILES_ENTRY,
    DECODE_REGISTRY_ENTRY,
    DECODE_UNDO_CHANGES,
    DECODERS,
};
#define MEMORY_FACTOR 16u
#define MEMORY_BASE (256u << 10)

static struct tx_error err;

static void take_field(void *arg, const char *name, uint64_t value, const char *text)
{
    uint64_t *hash = arg;
    *hash = fuzz_hash(name, strlen(name), *hash + value);
    *hash = text != NULL ? fuzz_hash(text, strlen(text), *hash) : *hash;
}

static void describe(uint32_t kind, const uint8_t *data, size_t size, enum tx_status decoded)
{
    TX_AUTO(tx_buf) payload = TX_BUF_INIT;
    struct ktm_record_info info;
    uint64_t hash = 0;
    FUZZ_MUST(tx_buf_append(&payload, data, size, &err), &err);
    enum tx_status status = ktm_describe_record(kind, &payload, &info, take_field, &hash, &err);
    FUZZ_EXPECT(status == decoded, "decoding answers %s, describing %s", tx_status_name(decoded),
                tx_status_name(status));
}

static void try_files_entry(const struct ktm_change *change)
{
    TX_AUTO(tx_buf) again = TX_BUF_INIT;
    struct txfs_entry entry;
    struct txfs_change shown;
    enum tx_status status = txfs_entry_decode(change, &entry, &err);
    FUZZ_EXPECT(status == TX_OK || fuzz_is_refusal(status), "%s", err.text);
    enum tx_status described = txfs_change_decode(change, &shown, &err);
    FUZZ_EXPECT(change->rm != TXFS_RM || described == status, "entry %s, change %s",
                tx_status_name(status), tx_status_name(described));
    if (status != TX_OK) {
        return;
    }
    FUZZ_MUST(txfs_entry_encode(&entry, &again, &err), &err);
    FUZZ_MUST(tx_buf_append(&again, entry.content, entry.content_size, &err), &err);
    FUZZ_EXPECT(again.size == change->body_size &&
                    memcmp(again.data, change->body, again.size) == 0,
                "an entry for files is not what it was decoded from");
}

static void append_text(struct tx_buf *out, const char *text, size_t size)
{
    FUZZ_MUST(tx_buf_append(out, text, size, &err), &err);
    FUZZ_MUST(tx_buf_put8(out, 0, &err), &err);
}

static void try_registry_entry(const struct ktm_change *change)
{
    TX_AUTO(tx_buf) again = TX_BUF_INIT;
    struct reg_entry entry;
    struct txreg_change shown;
    uint8_t *head;
    enum tx_status status = reg_entry_decode(&entry, change, &err);
    FUZZ_EXPECT(status == TX_OK || fuzz_is_refusal(status), "%s", err.text);
    enum tx_status described = txreg_change_decode(change, &shown, &err);
    FUZZ_EXPECT(change->rm != TXREG_RM || described == status, "entry %s, change %s",
                tx_status_name(status), tx_status_name(described));
    if (status != TX_OK) {
        return;
    }
    FUZZ_MUST(tx_buf_extend(&again, REG_ENTRY_HEAD, &head, &err), &err);
    tx_fields_encode(reg_entry_fields, &entry, head);
    append_text(&again, entry.key, entry.key_size);
    append_text(&again, entry.name, entry.name_size);
    FUZZ_MUST(tx_buf_append(&again, entry.data, entry.size, &err), &err);
    FUZZ_MUST(tx_buf_append(&again, entry.old, entry.old_size, &err), &err);
    FUZZ_EXPECT(again.size == change->body_size &&
                    memcmp(again.data, change->body, again.size) == 0,
                "an entry for the registry is not what it was decoded from");
}

static void try_entries(struct ktm_cursor cursor)
{
    struct ktm_change change;
    while (ktm_cursor_next(&cursor, &change)) {
        if (change.rm == TXFS_RM) {
            try_files_entry(&change);
        } else if (change.rm == TXREG_RM) {
            try_registry_entry(&change);
        }
    }
    FUZZ_EXPECT(cursor.left == 0, "verified entries end in %zu bytes", cursor.left);
}

static void try_record(const uint8_t *data, size_t size)
{
    TX_AUTO(tx_buf) again = TX_BUF_INIT;
    struct ktm_record record;
    char description[KTM_DESCRIPTION_MAX + 1];
    enum tx_status status = ktm_record_decode(data, size, &record, &err);
    FUZZ_EXPECT(status == TX_OK || fuzz_is_refusal(status), "%s", err.text);
    describe(KTM_COMMIT, data, size, status);
    describe(KTM_PREPARE, data, size, status);
    if (status != TX_OK) {
        return;
    }
    memcpy(description, record.description, record.header.description_size);
    description[record.header.description_size] = '\0';
    FUZZ_MUST(ktm_header_encode(&record.header, description, &again, &err), &err);
    FUZZ_EXPECT(again.size <= size && memcmp(again.data, data, again.size) == 0,
                "a record's head is not what it was decoded from");
    try_entries(record.entries);
}

static void try_decision(const uint8_t *data, size_t size)
{
    TX_AUTO(tx_buf) again = TX_BUF_INIT;
    struct ktm_decision decision;
    enum tx_status status = ktm_decision_decode(data, size, &decision, &err);
    FUZZ_EXPECT(status == TX_OK || fuzz_is_refusal(status), "%s", err.text);
    describe(KTM_DECIDE, data, size, status);
    if (status == TX_OK) {
        FUZZ_MUST(ktm_decision_encode(&decision, &again, &err), &err);
        FUZZ_EXPECT(again.size == size && memcmp(again.data, data, size) == 0,
                    "a decision is not what it was decoded from");
    }
}

/* One entry: kind and flags come first. */
static struct ktm_change entry_of(const uint8_t *data, size_t size, uint8_t rm)
{
    struct fuzz_feed feed = {data, size};
    struct ktm_change change = {.rm = rm, .op = fuzz_take8(&feed), .flags = fuzz_take8(&feed)};
    change.body = feed.data;
    change.body_size = feed.left;
    return change;
}

/* The seal is made good, so that what is behind it is reached. */
static void try_undo_changes(const uint8_t *data, size_t size)
{
    TX_AUTO(tx_buf) bytes = TX_BUF_INIT;
    struct txfs_changes changes;
    if (size < TXFS_CHANGES_HEAD_SIZE) {
        return; /* the caller looks at the size first */
    }
    FUZZ_MUST(tx_buf_append(&bytes, data, size, &err), &err);
    memset(bytes.data + TXFS_CHANGES_HEAD_SIZE - 8, 0, 8);
    tx_put64(bytes.data + TXFS_CHANGES_HEAD_SIZE - 8, tx_hash64(bytes.data, size, 0));
    enum tx_status status = txfs_changes_decode(&bytes, TXFS_ANY_LSN, &changes, &err);
    FUZZ_EXPECT(status == TX_OK || fuzz_is_refusal(status), "%s", err.text);
    if (status == TX_OK) {
        FUZZ_EXPECT(strlen(changes.info.description) <= KTM_DESCRIPTION_MAX, "description");
        try_entries(changes.info.entries);
        txfs_changes_release(&changes);
    }
}

void fuzz_one(const uint8_t *data, size_t size)
{
    struct ktm_change change;
    if (size == 0) {
        return;
    }
    switch ((enum decoder)(data[0] % DECODERS)) {
    case DECODE_RECORD:
        try_record(data + 1, size - 1);
        break;
    case DECODE_DECISION:
        try_decision(data + 1, size - 1);
        break;
    case DECODE_FILES_ENTRY:
        change = entry_of(data + 1, size - 1, TXFS_RM);
        try_files_entry(&change);
        break;
    case DECODE_REGISTRY_ENTRY:
        change = entry_of(data + 1, size - 1, TXREG_RM);
        try_registry_entry(&change);
        break;
    default:
        try_undo_changes(data + 1, size - 1);
    }
    FUZZ_EXPECT(fuzz_memory_peak() - fuzz_memory_now() <= MEMORY_BASE + MEMORY_FACTOR * size,
                "%llu bytes for %zu", (unsigned long long)fuzz_memory_peak(), size);
}
