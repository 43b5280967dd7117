/* SPDX-License-Identifier: MIT */
/* Savepoints: marks in the list of entries, common to all RMs. */
#include <string.h>

#include "base/mutant.h"
#include "ktm/ktm_internal.h"

static enum tx_status name_check(const char *name, size_t *size, struct tx_error *err)
{
    *size = name ? strlen(name) : 0;
    if (*size == 0) {
        return tx_error_set(err, TX_EINVAL, "savepoint without a name");
    }
    if (*size > KTM_SAVEPOINT_NAME_MAX) {
        return tx_error_set(err, TX_ELIMIT, "savepoint's name of %zu bytes, limit %d", *size,
                            KTM_SAVEPOINT_NAME_MAX);
    }
    return TX_OK;
}

/* Number of the mark, or savepoint_count. */
static size_t mark_find(const struct ktm_txn *txn, const char *name)
{
    size_t i = 0;
    while (i < txn->savepoint_count && strcmp(txn->savepoints[i].name, name) != 0) {
        i++;
    }
    return i;
}

static enum tx_status room_for_one(struct ktm_txn *txn, struct tx_error *err)
{
    if (txn->savepoint_count >= KTM_SAVEPOINTS_MAX) {
        return tx_error_set(err, TX_ELIMIT, "more than %d savepoints", KTM_SAVEPOINTS_MAX);
    }
    if (txn->savepoint_count < txn->savepoint_capacity) {
        return TX_OK;
    }
    size_t capacity = txn->savepoint_capacity * 2 + 4;
    struct ktm_savepoint *grown = tx_resize(txn->savepoints, capacity * sizeof *grown);
    if (!grown) {
        return tx_error_set(err, TX_ENOMEM, "out of memory");
    }
    txn->savepoints = grown;
    txn->savepoint_capacity = capacity;
    return TX_OK;
}

static void mark_append(struct ktm_txn *txn, const char *name, size_t name_size, size_t size,
                        uint64_t count)
{
    struct ktm_savepoint *mark = &txn->savepoints[txn->savepoint_count++];
    memcpy(mark->name, name, name_size);
    mark->name[name_size] = '\0';
    mark->size = size;
    mark->count = count;
}

enum tx_status ktm_savepoint(struct ktm_txn *txn, const char *name, struct tx_error *err)
{
    size_t name_size;
    TX_TRY(ktm_txn_enter(txn, err));
    TX_TRY(name_check(name, &name_size, err));
    /* What was cached before the mark belongs before it. */
    TX_TRY(ktm_txn_flush(txn, err));
    size_t old = mark_find(txn, name);
    if (old < txn->savepoint_count) {
        txn->savepoint_count--;
        memmove(&txn->savepoints[old], &txn->savepoints[old + 1],
                (txn->savepoint_count - old) * sizeof *txn->savepoints);
    } else {
        TX_TRY(room_for_one(txn, err));
    }
    mark_append(txn, name, name_size, txn->entries.size, txn->entry_count);
    ktm_txn_check(txn);
    return TX_OK;
}

enum tx_status ktm_rollback_to(struct ktm_txn *txn, const char *name, struct tx_error *err)
{
    size_t name_size;
    TX_TRY(ktm_txn_enter(txn, err));
    TX_TRY(name_check(name, &name_size, err));
    size_t at = mark_find(txn, name);
    if (at == txn->savepoint_count) {
        return tx_error_set(err, TX_ENOTFOUND, "no savepoint \"%s\"", name);
    }
    if (!TX_MUTANT(38)) { /* MUTANT_38: later marks stay, and lead forward again */
        txn->savepoint_count = at + 1;
    }
    txn->entries.size = txn->savepoints[at].size;
    txn->entry_count = txn->savepoints[at].count;
    for (unsigned rm = 0; rm < KTM_RM_MAX; rm++) {
        if (!txn->enlisted[rm]) {
            continue;
        }
        enum tx_status status =
            txn->tm->rm_ops[rm]->rebuild(txn->tm->rms[rm], txn, txn->views[rm], err);
        if (status != TX_OK) {
            /* Entries and views do not agree any more: nothing may come of this transaction. */
            ktm_state_move(&txn->state, KTM_ABORTED);
            return status;
        }
    }
    ktm_txn_check(txn);
    return TX_OK;
}

/* On disk: u64 size, u64 count, u8 name size, name. */
enum tx_status ktm_savepoints_encode(const struct ktm_txn *txn, struct tx_buf *out,
                                     struct tx_error *err)
{
    for (size_t i = 0; i < txn->savepoint_count; i++) {
        const struct ktm_savepoint *mark = &txn->savepoints[i];
        size_t name_size = strlen(mark->name);
        uint8_t *at;
        TX_TRY(tx_buf_extend(out, 17 + name_size, &at, err));
        tx_put64(at, mark->size);
        tx_put64(at + 8, mark->count);
        at[16] = (uint8_t)name_size;
        memcpy(at + 17, mark->name, name_size);
    }
    return TX_OK;
}

/* A mark must stand between two entries, with as many before it as it says. */
static bool marks_stand(const struct ktm_txn *txn)
{
    struct ktm_cursor cursor = ktm_txn_entries(txn);
    struct ktm_change change;
    uint64_t count = 0;
    size_t next = 0;
    do {
        size_t size = txn->entries.size - cursor.left;
        while (next < txn->savepoint_count && txn->savepoints[next].size == size &&
               txn->savepoints[next].count == count) {
            next++;
        }
        count++;
    } while (ktm_cursor_next(&cursor, &change));
    return next == txn->savepoint_count;
}

enum tx_status ktm_savepoints_decode(struct ktm_txn *txn, const struct ktm_record *record,
                                     struct tx_error *err)
{
    struct tx_reader reader = tx_reader_on(record->savepoints, record->header.savepoints_size);
    for (uint32_t i = 0; i < record->header.savepoint_count; i++) {
        uint64_t size = tx_read64(&reader);
        uint64_t count = tx_read64(&reader);
        uint8_t name_size = tx_read8(&reader);
        const char *name = (const char *)tx_read_bytes(&reader, name_size);
        if (reader.failed || name_size == 0 || name_size > KTM_SAVEPOINT_NAME_MAX ||
            memchr(name, '\0', name_size)) {
            return tx_error_set(err, TX_ECORRUPT, "savepoint %u is damaged", i);
        }
        TX_TRY(room_for_one(txn, err));
        mark_append(txn, name, name_size, size, count);
        if (mark_find(txn, txn->savepoints[i].name) != i) {
            return tx_error_set(err, TX_ECORRUPT, "two savepoints \"%s\"",
                                txn->savepoints[i].name);
        }
    }
    if (!tx_reader_done(&reader) || !marks_stand(txn)) {
        return tx_error_set(err, TX_ECORRUPT, "savepoints do not fit the entries");
    }
    return TX_OK;
}
