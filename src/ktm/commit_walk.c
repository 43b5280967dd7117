/* SPDX-License-Identifier: MIT */
/*
 * The log as a sequence of transactions. A decided transaction appears at its DECIDE: that is its
 * place in the order, while its entries are read from the PREPARE before.
 */
#include <inttypes.h>
#include <string.h>

#include "base/mutant.h"
#include "ktm/ktm_internal.h"

void ktm_logged_release(struct ktm_logged *logged)
{
    tx_buf_release(&logged->payload);
    tx_buf_release(&logged->prepared);
}

void ktm_logged_info(struct ktm_logged *logged, int64_t time_ns)
{
    const struct ktm_record *record = &logged->record;
    struct ktm_commit_info *info = &logged->info;
    *info = (struct ktm_commit_info){
        .lsn = logged->at.lsn,
        .next_lsn = logged->at.next_lsn,
        .id = record->id,
        .snapshot_lsn = record->header.snapshot_lsn,
        .time_ns = time_ns,
        .entry_count = record->header.entry_count,
        .entries = record->entries,
    };
    memcpy(info->description, record->description, record->header.description_size);
    logged->has_effects = true;
}

/* The PREPARE that a DECIDE names. */
static enum tx_status prepare_read(struct ktm *tm, struct ktm_logged *logged, struct tx_error *err)
{
    const struct ktm_decision *decision = &logged->decision;
    struct txlog_record at;
    if (decision->prepare_lsn >= logged->at.lsn) {
        return tx_error_set(err, TX_ECORRUPT, "decision about a later record");
    }
    enum tx_status status =
        txlog_read(tm->log, decision->prepare_lsn, &at, &logged->prepared, err);
    if (status == TX_ENOTFOUND) {
        return tx_error_set(err, TX_ECORRUPT, "decision about a record that is not there");
    }
    TX_TRY(status);
    if (at.kind != KTM_PREPARE) {
        return tx_error_set(err, TX_ECORRUPT, "decision about a record of kind %" PRIu32, at.kind);
    }
    TX_TRY(ktm_record_decode(logged->prepared.data, logged->prepared.size, &logged->record, err));
    if (logged->record.id.epoch != decision->epoch ||
        logged->record.id.sequence != decision->sequence) {
        return tx_error_set(err, TX_ECORRUPT, "decision about another transaction");
    }
    return TX_OK;
}

static enum tx_status payload_decode(struct ktm *tm, struct ktm_logged *logged,
                                     struct tx_error *err)
{
    const struct tx_buf *payload = &logged->payload;
    switch (logged->at.kind) {
    case KTM_COMMIT:
        TX_TRY(ktm_record_decode(payload->data, payload->size, &logged->record, err));
        ktm_logged_info(logged, logged->record.header.time_ns);
        break;
    case KTM_PREPARE:
        TX_TRY(ktm_record_decode(payload->data, payload->size, &logged->record, err));
        break;
    case KTM_DECIDE:
        TX_TRY(ktm_decision_decode(payload->data, payload->size, &logged->decision, err));
        if (logged->decision.outcome == KTM_DECIDE_COMMIT) {
            TX_TRY(prepare_read(tm, logged, err));
            ktm_logged_info(logged, logged->decision.time_ns);
        }
        break;
    case KTM_KIND_EPOCH:
        return TX_OK;
    default:
        return tx_error_set(err, TX_EVERSION, "record of unknown kind %" PRIu32, logged->at.kind);
    }
    logged->kind = logged->at.kind;
    return TX_OK;
}

enum tx_status ktm_log_read(struct ktm *tm, tx_lsn lsn, struct ktm_logged *logged,
                            struct tx_error *err)
{
    logged->kind = 0;
    logged->has_effects = false;
    TX_TRY(txlog_read(tm->log, lsn, &logged->at, &logged->payload, err));
    enum tx_status status = payload_decode(tm, logged, err);
    if (status != TX_OK) {
        tx_error_prefix(err, "log segment %" PRIu64 " offset %" PRIu64 " LSN %" PRIu64,
                        logged->at.segment, logged->at.offset, lsn);
    }
    return status;
}

enum tx_status ktm_log_walk(struct ktm *tm, tx_lsn from, tx_lsn upto, ktm_logged_fn *fn, void *arg,
                            struct tx_error *err)
{
    TX_AUTO(ktm_logged) logged = KTM_LOGGED_INIT;
    for (tx_lsn lsn = from; lsn < upto; lsn = logged.at.next_lsn) {
        enum tx_status status = ktm_log_read(tm, lsn, &logged, err);
        if (status == TX_ENOTFOUND) {
            return TX_OK; /* the end of the log; in salvage the first damage */
        }
        if (TX_MUTANT(15) && status == TX_ECORRUPT && logged.at.kind == KTM_PREPARE) {
            continue; /* PostgreSQL until 2018: skipped with a warning */
        }
        TX_TRY(status);
        if (logged.at.next_lsn > upto) {
            return TX_OK;
        }
        TX_TRY(fn(arg, &logged, err));
    }
    return TX_OK;
}

struct each_commit {
    ktm_commit_fn *fn;
    void *arg;
    enum tx_status status; /* of fn */
};

static enum tx_status deliver(void *arg, const struct ktm_logged *logged, struct tx_error *err)
{
    struct each_commit *each = arg;
    if (logged->has_effects) {
        each->status = each->fn(each->arg, &logged->info, err);
    }
    return each->status;
}

static enum tx_status still_there(struct ktm *tm, tx_lsn after, struct tx_error *err)
{
    struct txlog_info info;
    txlog_get_info(tm->log, &info);
    if (after < info.start_lsn) {
        return tx_error_set(err, TX_ESNAPSHOT, "log begins at LSN %" PRIu64 ", wanted %" PRIu64,
                            info.start_lsn, after);
    }
    return TX_OK;
}

enum tx_status ktm_each_commit(struct ktm *tm, tx_lsn after, tx_lsn upto, ktm_commit_fn *fn,
                               void *arg, struct tx_error *err)
{
    struct each_commit each = {fn, arg, TX_OK};
    TX_TRY(ktm_enter_any(tm, err));
    if (after >= upto) {
        return TX_OK;
    }
    TX_TRY(still_there(tm, after, err));
    enum tx_status status = ktm_log_walk(tm, after, upto, deliver, &each, err);
    if (each.status == TX_OK) {
        /* Trimmed while we read: the end may be a false one, and an error no damage. */
        TX_TRY(still_there(tm, after, err));
    }
    return status;
}
