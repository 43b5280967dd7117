/* SPDX-License-Identifier: MIT */
/* What is known of transactions that are not attached here: detached, prepared, in doubt, in the
 * log. */
#include <string.h>

#include "base/invariant.h"
#include "ktm/ktm_internal.h"

static void info_fill(struct ktm_txn_info *info, const struct ktm_record *record,
                      enum ktm_state state)
{
    *info = (struct ktm_txn_info){
        .id = record->id,
        .state = state,
        .begin_time_ns = record->header.begin_time_ns,
        .entry_count = record->header.entry_count,
    };
    memcpy(info->description, record->description, record->header.description_size);
}

/* Prepared before detached: between the PREPARE and its publishing both are there. */
static enum tx_status info_find(struct ktm *tm, const struct ktm_id *id, struct ktm_txn_info *info,
                                struct tx_error *err)
{
    TX_AUTO(ktm_logged) logged = KTM_LOGGED_INIT;
    TX_AUTO(tx_buf) storage = TX_BUF_INIT;
    struct ktm_record record;
    enum ktm_state state = KTM_PREPARED;
    enum tx_status status = ktm_prepared_read(tm, id, &logged, &state, err);
    if (status == TX_OK) {
        info_fill(info, &logged.record, state);
        return TX_OK;
    }
    if (status == TX_ENOTFOUND) {
        status = ktm_changes_load(tm, id, &storage, &record, err);
    }
    if (status == TX_OK) {
        info_fill(info, &record, KTM_ACTIVE);
        info->attached = ktm_is_held(tm, id);
    }
    return status;
}

/* The ids of all that may be listed: directories and prepared ones, sorted, some twice. */
static enum tx_status ids_collect(struct ktm *tm, struct tx_buf *ids, struct tx_error *err)
{
    for (unsigned i = 0; i < KTM_PREPARED_MAX; i++) {
        struct ktm_prepared_slot *slot = &tm->shared->prepared[i];
        if (atomic_load(&slot->stamp) != 0 && atomic_load(&slot->decided) == 0) {
            struct ktm_id id = {atomic_load(&slot->epoch), atomic_load(&slot->sequence)};
            TX_TRY(tx_buf_append(ids, &id, sizeof id, err));
        }
    }
    return ktm_staging_list(tm, ids, err); /* sorts */
}

enum tx_status ktm_list(struct ktm *tm, ktm_list_fn *fn, void *arg, struct tx_error *err)
{
    TX_AUTO(tx_buf) ids = TX_BUF_INIT;
    struct ktm_txn_info info;
    TX_TRY(ktm_salvage_state(tm, err));
    TX_TRY(ktm_enter(tm, err));
    TX_TRY(ids_collect(tm, &ids, err));
    const struct ktm_id *list = (const struct ktm_id *)(void *)ids.data;
    size_t count = ids.size / sizeof *list;
    for (size_t i = 0; i < count; i++) {
        if (i > 0 && ktm_id_compare(&list[i], &list[i - 1]) == 0) {
            continue;
        }
        enum tx_status status = info_find(tm, &list[i], &info, err);
        if (status == TX_OK) {
            status = fn(arg, &info, err);
        } else if (status == TX_ENOTFOUND) {
            continue; /* active with staged payloads, or gone since */
        }
        TX_TRY(status);
    }
    return TX_OK;
}

struct query {
    struct ktm *tm;
    struct ktm_id id;
    struct ktm_txn_info *info;
    bool found;
};

static enum tx_status query_record(void *arg, const struct ktm_logged *logged, struct tx_error *err)
{
    struct query *query = arg;
    struct ktm_id rolled_back = {logged->decision.epoch, logged->decision.sequence};
    (void)err;
    if (logged->has_effects && ktm_id_compare(&logged->record.id, &query->id) == 0) {
        bool carried_out = logged->at.next_lsn <= ktm_published(query->tm);
        info_fill(query->info, &logged->record, carried_out ? KTM_ENDED : KTM_COMMITTED);
        query->found = true;
    } else if (logged->kind == KTM_DECIDE && !logged->has_effects &&
               ktm_id_compare(&rolled_back, &query->id) == 0) {
        *query->info = (struct ktm_txn_info){.id = query->id, .state = KTM_ABORTED};
        query->found = true;
    }
    return TX_OK;
}

enum tx_status ktm_query(struct ktm *tm, const struct ktm_id *id, struct ktm_txn_info *info,
                         struct tx_error *err)
{
    struct query query = {.tm = tm, .id = *id, .info = info};
    struct txlog_info log;
    TX_TRY(ktm_salvage_state(tm, err));
    TX_TRY(ktm_enter(tm, err));
    txlog_get_info(tm->log, &log);
    /* Only what is durable: the rest may still be nothing. */
    TX_TRY(ktm_log_walk(tm, log.start_lsn, log.durable_lsn, query_record, &query, err));
    if (query.found) {
        return TX_OK;
    }
    enum tx_status status = info_find(tm, id, info, err);
    if (status == TX_ENOTFOUND) {
        char text[KTM_ID_TEXT_SIZE];
        ktm_id_format(id, text);
        return tx_error_set(err, TX_ENOTFOUND, "no transaction %s is known", text);
    }
    return status;
}

static void commit_info_fill(struct ktm_commit_info *info, const struct ktm_record *record)
{
    *info = (struct ktm_commit_info){
        .id = record->id,
        .snapshot_lsn = record->header.snapshot_lsn,
        .time_ns = record->header.time_ns,
        .entry_count = record->header.entry_count,
        .entries = record->entries,
    };
    memcpy(info->description, record->description, record->header.description_size);
}

enum tx_status ktm_load_entries(struct ktm *tm, const struct ktm_id *id,
                                struct ktm_commit_info *info, struct tx_buf *storage,
                                struct tx_error *err)
{
    TX_AUTO(ktm_logged) logged = KTM_LOGGED_INIT;
    struct ktm_record record;
    enum ktm_state state;
    TX_TRY(ktm_salvage_state(tm, err));
    TX_TRY(ktm_enter(tm, err));
    enum tx_status status = ktm_prepared_read(tm, id, &logged, &state, err);
    if (status == TX_ENOTFOUND) {
        TX_TRY(ktm_changes_load(tm, id, storage, &record, err));
        commit_info_fill(info, &record);
        return TX_OK;
    }
    TX_TRY(status);
    commit_info_fill(info, &logged.record);
    info->lsn = logged.at.lsn;
    info->next_lsn = logged.at.next_lsn;
    /* The bytes change hands; what the caller had is freed with `logged`. */
    struct tx_buf old = *storage;
    *storage = logged.payload;
    logged.payload = old;
    return TX_OK;
}
