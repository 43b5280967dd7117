/* SPDX-License-Identifier: MIT */
/*
 * Transactions that outlive their process without being prepared: tx/<id>/changes holds entries and
 * savepoints under a seal, beside what the RMs staged. Attached again, the file stays as it was
 * last saved, so that the death of the process loses only what came after. It goes when the
 * transaction is rolled back, prepared or committed (publishing removes it, see publish.c).
 */
#include <inttypes.h>
#include <string.h>

#include "base/hash.h"
#include "ktm/ktm_internal.h"

uint16_t ktm_header_flags_of(const struct ktm_txn *txn)
{
    unsigned flags = txn->saved ? KTM_HEADER_SAVED : 0u;
    flags |= txn->flags & KTM_SERIALIZABLE ? KTM_HEADER_SERIALIZABLE : 0u;
    flags |= txn->flags & KTM_READ_ONLY ? KTM_HEADER_READ_ONLY : 0u;
    return (uint16_t)flags;
}

static uint32_t begin_flags_of(uint16_t flags)
{
    return (flags & KTM_HEADER_SERIALIZABLE ? (uint32_t)KTM_SERIALIZABLE : 0u) |
           (flags & KTM_HEADER_READ_ONLY ? (uint32_t)KTM_READ_ONLY : 0u);
}

/* The longest timeout that can be asked for. */
#define TIMEOUT_MAX_NS ((int64_t)UINT32_MAX * 1000000)

/* The monotonic clock means nothing to another boot: what is left is kept as a date. */
static int64_t deadline_save(const struct ktm_txn *txn)
{
    struct txio *io = txn->tm->io;
    if (txn->deadline_ns == 0) {
        return 0;
    }
    return io->ops->realtime_ns(io) + (txn->deadline_ns - io->ops->monotonic_ns(io));
}

/* Whoever finds that its time is over ends it. */
static enum tx_status deadline_restore(struct ktm_txn *txn, int64_t deadline_time_ns,
                                       struct tx_error *err)
{
    struct txio *io = txn->tm->io;
    if (deadline_time_ns == 0) {
        return TX_OK;
    }
    int64_t now_ns = io->ops->realtime_ns(io);
    if (deadline_time_ns <= now_ns) {
        TX_TRY(ktm_staging_remove(txn->tm, &txn->id, err));
        return tx_error_set(err, TX_ETIMEOUT, "transaction timed out");
    }
    int64_t left_ns = deadline_time_ns - now_ns;
    if (left_ns > TIMEOUT_MAX_NS) {
        left_ns = TIMEOUT_MAX_NS; /* the date was set back, or the file is forged */
    }
    txn->deadline_ns = io->ops->monotonic_ns(io) + left_ns;
    return TX_OK;
}

static enum tx_status changes_encode(const struct ktm_txn *txn, struct tx_buf *out,
                                     struct tx_error *err)
{
    TX_AUTO(tx_buf) marks = TX_BUF_INIT;
    TX_TRY(ktm_savepoints_encode(txn, &marks, err));
    struct ktm_header header = {
        .flags = ktm_header_flags_of(txn),
        .epoch = txn->id.epoch,
        .sequence = txn->id.sequence,
        .snapshot_lsn = txn->snapshot.lsn,
        .time_ns = txn->tm->io->ops->realtime_ns(txn->tm->io),
        .begin_time_ns = txn->begin_time_ns,
        .entry_count = txn->entry_count,
        .entries_size = txn->entries.size,
        .savepoint_count = (uint32_t)txn->savepoint_count,
        .savepoints_size = marks.size,
        .deadline_time_ns = deadline_save(txn),
    };
    uint8_t *at;
    TX_TRY(tx_buf_extend(out, KTM_CHANGES_SEAL_SIZE, &at, err));
    TX_TRY(ktm_header_encode(&header, txn->description, out, err));
    TX_TRY(tx_buf_append(out, marks.data, marks.size, err));
    TX_TRY(tx_buf_append(out, txn->entries.data, txn->entries.size, err));
    struct ktm_changes_seal seal = {.magic = KTM_CHANGES_MAGIC, .size = out->size};
    tx_fields_encode(ktm_changes_seal_fields, &seal, out->data);
    seal.seal = tx_hash64(out->data, out->size, 0);
    tx_fields_encode(ktm_changes_seal_fields, &seal, out->data);
    return TX_OK;
}

enum tx_status ktm_changes_save(struct ktm_txn *txn, struct tx_error *err)
{
    TX_AUTO(tx_buf) bytes = TX_BUF_INIT;
    TX_TRY(changes_encode(txn, &bytes, err));
    /* Crash here: as it was saved before, or not at all. */
    return txio_replace_file(txn->tm->io, txn->staging_dir, KTM_CHANGES_NAME, bytes.data,
                             bytes.size, err);
}

static enum tx_status changes_read(struct ktm *tm, const char *path, struct tx_buf *storage,
                                   struct tx_error *err)
{
    struct txio *io = tm->io;
    struct txio_stat stat;
    int fd;
    TX_TRY(txio_open(io, tm->store_dir, path, TXIO_READ, 0, &fd, err));
    enum tx_status status = txio_stat_fd(io, fd, &stat, err);
    if (status == TX_OK && (stat.size < KTM_CHANGES_SEAL_SIZE + KTM_HEADER_SIZE ||
                            stat.size > TXLOG_PAYLOAD_MAX)) {
        status = tx_error_set(err, TX_ECORRUPT, "\"%s\" has %" PRIu64 " bytes", path, stat.size);
    }
    uint8_t *at;
    tx_buf_clear(storage);
    if (status == TX_OK) {
        status = tx_buf_extend(storage, stat.size, &at, err);
    }
    if (status == TX_OK) {
        status = txio_read_full(io, fd, at, stat.size, 0, err);
    }
    (void)io->ops->close(io, fd); /* read only */
    return status;
}

static bool seal_holds(const struct tx_buf *bytes)
{
    struct ktm_changes_seal seal;
    struct tx_hasher hasher;
    static const uint8_t zero[8];
    (void)tx_fields_decode(ktm_changes_seal_fields, &seal, bytes->data); /* nothing reserved */
    tx_hasher_init(&hasher, 0);
    tx_hasher_add(&hasher, bytes->data, KTM_CHANGES_SEAL_OFFSET);
    tx_hasher_add(&hasher, zero, sizeof zero);
    tx_hasher_add(&hasher, bytes->data + KTM_CHANGES_SEAL_SIZE,
                  bytes->size - KTM_CHANGES_SEAL_SIZE);
    return seal.magic == KTM_CHANGES_MAGIC && seal.size == bytes->size &&
           seal.seal == tx_hasher_sum64(&hasher);
}

enum tx_status ktm_changes_load(struct ktm *tm, const struct ktm_id *id, struct tx_buf *storage,
                                struct ktm_record *record, struct tx_error *err)
{
    char path[KTM_CHANGES_PATH_SIZE];
    ktm_changes_path(id, path);
    TX_TRY(changes_read(tm, path, storage, err));
    enum tx_status status;
    if (!seal_holds(storage)) {
        status = tx_error_set(err, TX_ECORRUPT, "seal does not hold");
    } else {
        status = ktm_record_decode(storage->data + KTM_CHANGES_SEAL_SIZE,
                                   storage->size - KTM_CHANGES_SEAL_SIZE, record, err);
    }
    if (status == TX_OK && ktm_id_compare(&record->id, id) != 0) {
        status = tx_error_set(err, TX_ECORRUPT, "belongs to another transaction");
    }
    if (status != TX_OK) {
        tx_error_prefix(err, "\"%s\"", path);
    }
    return status;
}

static enum tx_status detach_steps(struct ktm_txn *txn, struct tx_error *err)
{
    int dir;
    TX_TRY(ktm_txn_flush(txn, err));
    TX_TRY(ktm_txn_staging(txn, &dir, err));
    enum tx_status status = ktm_staging_sync_files(txn, err);
    if (status != TX_OK) {
        if (!ktm_may_pass(status)) {
            /* A failed sync may have lost staged bytes, and a second one would not say so. */
            ktm_state_move(&txn->state, KTM_ABORTED);
        }
        return status;
    }
    TX_TRY(ktm_changes_save(txn, err));
    return ktm_staging_name_sync(txn, err);
}

enum tx_status ktm_detach(struct ktm_txn *txn, struct tx_error *err)
{
    TX_TRY(ktm_txn_enter(txn, err));
    enum tx_status status = detach_steps(txn, err);
    if (status != TX_OK) {
        tx_error_prefix(err, "detach");
        return status;
    }
    ktm_txn_free(txn); /* gives the lock back last: whoever waits for it finds all in place */
    return TX_OK;
}

static enum tx_status enter_to_change(struct ktm *tm, struct tx_error *err)
{
    TX_TRY(ktm_enter(tm, err));
    if (tm->read_only) {
        return tx_error_set(err, TX_EREADONLY, "store is open read-only");
    }
    return TX_OK;
}

/* The holder of the id makes sure that it is not being decided: nothing that was ever appended is
 * open any more, and it is not prepared. */
static enum tx_status detached_check(struct ktm *tm, const struct ktm_id *id, struct tx_error *err)
{
    TX_TRY(ktm_settle(tm, err));
    struct ktm_prepared_slot *slot = ktm_prepared_find(tm->shared, id);
    if (slot && atomic_load(&slot->decided) == 0) {
        return tx_error_set(err, TX_EMISUSE, "transaction is prepared: commit it or roll it back");
    }
    return TX_OK;
}

static enum tx_status attach_steps(struct ktm_txn *txn, struct tx_error *err)
{
    TX_AUTO(tx_buf) storage = TX_BUF_INIT;
    struct ktm_record record;
    int dir;
    TX_TRY(ktm_hold_take(txn->tm, &txn->id, &txn->hold, err));
    TX_TRY(detached_check(txn->tm, &txn->id, err));
    TX_TRY(ktm_changes_load(txn->tm, &txn->id, &storage, &record, err));
    TX_TRY(deadline_restore(txn, record.header.deadline_time_ns, err));
    txn->saved = true;
    txn->flags = begin_flags_of(record.header.flags);
    txn->begin_time_ns = record.header.begin_time_ns;
    memcpy(txn->description, record.description, record.header.description_size);
    TX_TRY(tx_buf_append(&txn->entries, record.entries.next, record.entries.left, err));
    txn->entry_count = record.header.entry_count;
    TX_TRY(ktm_savepoints_decode(txn, &record, err));
    TX_TRY(ktm_snapshot_take(txn, err));
    TX_TRY(ktm_txn_staging(txn, &dir, err));
    txn->staging_named = true;
    return TX_OK;
}

enum tx_status ktm_attach(struct ktm *tm, const struct ktm_id *id, struct ktm_txn **txn,
                          struct tx_error *err)
{
    TX_TRY(enter_to_change(tm, err));
    TX_AUTO_PTR(ktm_txn) attached = NULL;
    TX_TRY(ktm_txn_new(tm, id, &attached, err));
    enum tx_status status = attach_steps(attached, err);
    if (status != TX_OK) {
        char text[KTM_ID_TEXT_SIZE];
        ktm_id_format(id, text);
        tx_error_prefix(err, "attach transaction %s", text);
        return status;
    }
    ktm_txn_link(attached);
    ktm_txn_check(attached);
    *txn = TX_TAKE(attached);
    return TX_OK;
}

static enum tx_status discard_steps(struct ktm *tm, const struct ktm_id *id, struct tx_error *err)
{
    TX_AUTO(tx_buf) storage = TX_BUF_INIT;
    struct ktm_record record;
    TX_TRY(detached_check(tm, id, err));
    enum tx_status status = ktm_changes_load(tm, id, &storage, &record, err);
    if (status != TX_OK && status != TX_ECORRUPT) {
        return status; /* what cannot be read may still be thrown away by who names it */
    }
    return ktm_staging_remove(tm, id, err);
}

enum tx_status ktm_discard(struct ktm *tm, const struct ktm_id *id, struct tx_error *err)
{
    struct ktm_hold hold = {.taken = false};
    TX_TRY(enter_to_change(tm, err));
    TX_TRY(ktm_hold_take(tm, id, &hold, err));
    enum tx_status status = discard_steps(tm, id, err);
    ktm_hold_drop(tm, &hold);
    return status;
}
