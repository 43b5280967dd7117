/* SPDX-License-Identifier: MIT */
/*
 * Directories tx/<id>/ that nobody needs any more: of transactions that died with their process,
 * and of committed ones whose record has been trimmed.
 *
 * The order of the questions matters. A directory that is held by nobody at first can have a record
 * in the log only if the record was appended before, so walking the log *afterwards* finds it, or
 * was written and not appended, which the log tells: then recovery may find it, and nothing goes.
 * One that has no `changes` cannot be attached again.
 */
#include <stdlib.h>

#include "base/mutant.h"
#include "ktm/ktm_internal.h"

struct list_ids {
    struct tx_buf *ids;
    struct tx_error *err;
    enum tx_status status;
};

static int list_id(void *arg, const char *name, uint64_t ino, unsigned type)
{
    struct list_ids *list = arg;
    struct ktm_id id;
    (void)ino;
    (void)type;
    if (ktm_id_parse(name, &id, NULL) != TX_OK) {
        return 0; /* not ours: left alone */
    }
    list->status = tx_buf_append(list->ids, &id, sizeof id, list->err);
    return list->status == TX_OK ? 0 : 1;
}

enum tx_status ktm_staging_list(struct ktm *tm, struct tx_buf *ids, struct tx_error *err)
{
    struct list_ids list = {ids, err, TX_OK};
    enum tx_status status = ktm_need_tx_dir(tm, err);
    if (status == TX_ENOTFOUND) {
        return TX_OK;
    }
    TX_TRY(status);
    int result = tm->io->ops->list(tm->io, tm->tx_dir, list_id, &list);
    if (result < 0) {
        return tx_error_os(err, -result, "list directory \"tx\"");
    }
    if (list.status == TX_OK && ids->size > 0) {
        qsort(ids->data, ids->size / sizeof(struct ktm_id), sizeof(struct ktm_id), ktm_id_compare);
    }
    return list.status;
}

static bool is_detached(struct ktm *tm, const struct ktm_id *id)
{
    char path[KTM_CHANGES_PATH_SIZE];
    struct txio_stat stat;
    ktm_changes_path(id, path);
    /* Unless it is surely absent the file may be there, readable or not: keep the directory. */
    return txio_stat_path(tm->io, tm->store_dir, path, &stat, NULL) != TX_ENOTFOUND;
}

/* Move the ids that may be leftovers to the front of `ids`. */
static void keep_candidates(struct ktm *tm, struct tx_buf *ids)
{
    struct ktm_id *list = (struct ktm_id *)(void *)ids->data;
    size_t count = ids->size / sizeof *list;
    size_t kept = 0;
    for (size_t i = 0; i < count; i++) {
        bool held = !TX_MUTANT(17) && ktm_is_held(tm, &list[i]); /* MUTANT_17: Citus #1030 */
        if (!held && !is_detached(tm, &list[i]) &&
            !ktm_prepared_find(tm->shared, &list[i])) {
            list[kept++] = list[i];
        }
    }
    ids->size = kept * sizeof *list;
}

/* A record of the log needs the directory of its transaction. */
static enum tx_status strike_out(void *arg, const struct ktm_logged *logged, struct tx_error *err)
{
    struct tx_buf *ids = arg;
    struct ktm_id *list = (struct ktm_id *)(void *)ids->data;
    size_t count = ids->size / sizeof *list;
    (void)err;
    if (logged->kind != KTM_COMMIT && logged->kind != KTM_PREPARE) {
        return TX_OK;
    }
    for (size_t i = 0; i < count; i++) {
        if (ktm_id_compare(&list[i], &logged->record.id) == 0) {
            list[i] = list[--count];
            ids->size = count * sizeof *list;
            break;
        }
    }
    return TX_OK;
}

enum tx_status ktm_sweep(struct ktm *tm, uint64_t *removed, struct tx_error *err)
{
    TX_AUTO(tx_buf) ids = TX_BUF_INIT;
    struct txlog_info info;
    TX_TRY(ktm_staging_list(tm, &ids, err));
    keep_candidates(tm, &ids);
    if (ids.size == 0 || (txlog_has_leftover(tm->log) && !TX_MUTANT(76))) {
        return TX_OK;
    }
    txlog_get_info(tm->log, &info);
    TX_TRY(ktm_log_walk(tm, info.start_lsn, info.append_lsn, strike_out, &ids, err));
    const struct ktm_id *list = (const struct ktm_id *)(void *)ids.data;
    enum tx_status status = TX_OK;
    for (size_t i = 0; i < ids.size / sizeof *list; i++) {
        enum tx_status removal = ktm_staging_remove(tm, &list[i], err);
        *removed += removal == TX_OK;
        status = removal == TX_OK ? status : removal; /* one that stays keeps none of the others */
    }
    return status;
}
