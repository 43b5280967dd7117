/* SPDX-License-Identifier: MIT */
/*
 * Transactions as bytes: the records COMMIT, PREPARE and DECIDE of the log, and the file
 * tx/<id>/changes. All but DECIDE are one layout:
 *
 *     header | description | keys | savepoints | entries
 *
 * with the sizes of the parts in the header and nothing between or after them. Keys are there in
 * PREPARE only, savepoints in `changes` only.
 */
#ifndef TXN_RECORD_H
#define TXN_RECORD_H

#include <txkit/ktm.h>

#include "base/buf.h"
#include "base/codec.h"

#define KTM_RECORD_VERSION 1u

/* Kinds of log records. */
enum ktm_kind { KTM_COMMIT = 1, KTM_PREPARE = 2, KTM_DECIDE = 3 };
/* The log's own record at the begin of an epoch; says nothing to us. */
#define KTM_KIND_EPOCH UINT32_C(0xffffffff)

enum ktm_header_flags {
    KTM_HEADER_SERIALIZABLE = 1 << 0,
    KTM_HEADER_SAVED = 1 << 1, /* tx/<id>/changes existed: publishing removes it */
    KTM_HEADER_READ_ONLY = 1 << 2,
    KTM_HEADER_ALL = KTM_HEADER_SERIALIZABLE | KTM_HEADER_SAVED | KTM_HEADER_READ_ONLY,
};

struct ktm_header {
    uint32_t version;
    uint16_t flags;
    uint16_t description_size;
    uint64_t epoch;
    uint64_t sequence;
    uint64_t snapshot_lsn;
    int64_t time_ns;
    int64_t begin_time_ns;
    uint64_t entry_count;
    uint64_t entries_size;
    uint32_t key_count;
    uint32_t savepoint_count;
    uint64_t savepoints_size;
    int64_t deadline_time_ns;
};
extern const struct tx_field ktm_header_fields[];
#define KTM_HEADER_SIZE 88u

enum ktm_outcome { KTM_DECIDE_COMMIT = 1, KTM_DECIDE_ROLLBACK = 2 };
struct ktm_decision {
    uint32_t version;
    uint32_t outcome; /* enum ktm_outcome */
    uint64_t epoch;
    uint64_t sequence;
    uint64_t prepare_lsn;
    int64_t time_ns;
};
extern const struct tx_field ktm_decision_fields[];
#define KTM_DECISION_SIZE 48u

/* Before the header in tx/<id>/changes. */
struct ktm_changes_seal {
    uint64_t magic;
    uint64_t size; /* bytes of the file */
    uint64_t seal; /* XXH3-64 of the file, this field zero */
};
extern const struct tx_field ktm_changes_seal_fields[];
#define KTM_CHANGES_MAGIC UINT64_C(0x31534748434b5854) /* "TXKCHGS1" */
#define KTM_CHANGES_SEAL_SIZE 24u
#define KTM_CHANGES_SEAL_OFFSET 16u

/* A key in a PREPARE record: u8 kind, u64 key. */
#define KTM_KEY_SIZE 9u

/* A record, decoded and verified; pointers lead into the encoded bytes. */
struct ktm_record {
    struct ktm_header header;
    struct ktm_id id;
    const char *description; /* header.description_size bytes, not terminated */
    const uint8_t *keys;     /* header.key_count * KTM_KEY_SIZE */
    const uint8_t *savepoints;
    struct ktm_cursor entries;
};

/* Append header and description; the caller appends or adds the other parts. */
enum tx_status ktm_header_encode(const struct ktm_header *header, const char *description,
                                 struct tx_buf *out, struct tx_error *err) TX_CHECKED;
/* Verify everything: lengths, counts, entries, zeroes. Errors: TX_ECORRUPT, TX_EVERSION. */
enum tx_status ktm_record_decode(const uint8_t *data, size_t size, struct ktm_record *record,
                                 struct tx_error *err) TX_CHECKED;
enum tx_status ktm_decision_encode(const struct ktm_decision *decision, struct tx_buf *out,
                                   struct tx_error *err) TX_CHECKED;
enum tx_status ktm_decision_decode(const uint8_t *data, size_t size, struct ktm_decision *decision,
                                   struct tx_error *err) TX_CHECKED;

/* --- change_set.c: the entries --- */

struct ktm_entry_header {
    uint8_t rm;
    uint8_t op;
    uint16_t flags;
    uint32_t body_size;
};
extern const struct tx_field ktm_entry_fields[];
#define KTM_ENTRY_HEADER_SIZE 8u

/* Append one entry; count <= 6 parts make the body. On failure the buffer is as it was. */
enum tx_status ktm_changes_add(struct tx_buf *entries, const struct ktm_entry_header *header,
                               const struct iovec *parts, int count,
                               struct tx_error *err) TX_CHECKED;
/* Check a change set of unknown origin before any cursor walks it. */
enum tx_status ktm_changes_verify(const uint8_t *data, size_t size, uint64_t entry_count,
                                  struct tx_error *err) TX_CHECKED;

#endif
