/* SPDX-License-Identifier: MIT */
/* info: the store on one screen. */
#include <string.h>
#include <sys/stat.h>

#include "txctl/commands.h"
#include "txctl/settings_text.h"

struct info {
    const char *root;
    const char *store;
    char uuid_text[40];
    const char *uuid;
    uint64_t epoch;
    bool recovered;
    bool poisoned;
    uint64_t log_start_lsn, log_append_lsn, log_durable_lsn;
    uint64_t log_used, log_size, log_fill_percent, log_segments, log_forces;
    uint64_t registry_size;
    uint64_t open_transactions, prepared_transactions, in_doubt_transactions;
    uint64_t history_count, history_newest_lsn;
    int64_t history_newest_time;
};

static const struct txctl_column columns[] = {
    TXCTL_COLUMN(struct info, root, TXCTL_NAME, 0, 0),
    TXCTL_COLUMN(struct info, store, TXCTL_NAME, 0, 0),
    TXCTL_COLUMN(struct info, uuid, TXCTL_WORD, 0, 0),
    TXCTL_COLUMN(struct info, epoch, TXCTL_NUMBER, 0, 0),
    TXCTL_COLUMN(struct info, recovered, TXCTL_FLAG, 0, 0),
    TXCTL_COLUMN(struct info, poisoned, TXCTL_FLAG, 0, 0),
    TXCTL_COLUMN(struct info, log_start_lsn, TXCTL_NUMBER, 0, 0),
    TXCTL_COLUMN(struct info, log_append_lsn, TXCTL_NUMBER, 0, 0),
    TXCTL_COLUMN(struct info, log_durable_lsn, TXCTL_NUMBER, 0, 0),
    TXCTL_COLUMN(struct info, log_used, TXCTL_BYTES, 0, 0),
    TXCTL_COLUMN(struct info, log_size, TXCTL_BYTES, 0, 0),
    TXCTL_COLUMN(struct info, log_fill_percent, TXCTL_NUMBER, 0, 0),
    TXCTL_COLUMN(struct info, log_segments, TXCTL_NUMBER, 0, 0),
    TXCTL_COLUMN(struct info, log_forces, TXCTL_NUMBER, 0, 0),
    TXCTL_COLUMN(struct info, registry_size, TXCTL_BYTES, 0, 0),
    TXCTL_COLUMN(struct info, open_transactions, TXCTL_NUMBER, 0, 0),
    TXCTL_COLUMN(struct info, prepared_transactions, TXCTL_NUMBER, 0, 0),
    TXCTL_COLUMN(struct info, in_doubt_transactions, TXCTL_NUMBER, 0, 0),
    TXCTL_COLUMN(struct info, history_count, TXCTL_NUMBER, 0, 0),
    TXCTL_COLUMN(struct info, history_newest_lsn, TXCTL_NUMBER, 0, TXCTL_OPTIONAL),
    TXCTL_COLUMN(struct info, history_newest_time, TXCTL_TIME, 0, TXCTL_OPTIONAL),
    TXCTL_COLUMNS_END,
};

static void format_uuid(const uint8_t uuid[16], char text[40])
{
    size_t used = 0;
    for (int i = 0; i < 16; i++) {
        const char *dash = i == 4 || i == 6 || i == 8 || i == 10 ? "-" : "";
        used += (size_t)snprintf(text + used, 40 - used, "%s%02x", dash, uuid[i]);
    }
}

static enum tx_status count_transaction(void *arg, const struct ktm_txn_info *transaction,
                                        struct tx_error *err)
{
    struct info *info = arg;
    (void)err;
    info->open_transactions += transaction->state == KTM_ACTIVE;
    info->prepared_transactions += transaction->state == KTM_PREPARED;
    info->in_doubt_transactions += transaction->state == KTM_IN_DOUBT;
    return TX_OK;
}

static enum tx_status count_commit(void *arg, const struct ktm_commit_info *commit,
                                   struct tx_error *err)
{
    struct info *info = arg;
    (void)err;
    info->history_count++;
    info->history_newest_lsn = commit->lsn;
    info->history_newest_time = commit->time_ns;
    return TX_OK;
}

static void fill_log(struct info *info, struct txstore *store)
{
    struct txlog_info log;
    txlog_get_info(txstore_log(store), &log);
    format_uuid(log.identity.uuid, info->uuid_text);
    info->uuid = info->uuid_text;
    info->epoch = log.identity.epoch;
    info->poisoned = log.poisoned;
    info->log_start_lsn = log.start_lsn;
    info->log_append_lsn = log.append_lsn;
    info->log_durable_lsn = log.durable_lsn;
    info->log_used = log.append_lsn - log.start_lsn;
    info->log_size = log.size;
    info->log_fill_percent = log.size > 0 ? info->log_used * 100 / log.size : 0;
    info->log_segments = log.segment_count;
    info->log_forces = log.force_count;
}

static void print_info(const struct txctl_context *context, const struct info *info,
                       const struct txstore_settings *settings)
{
    if (context->globals.json) {
        json_t *object = txctl_json_new();
        json_t *cells = txctl_row_json(columns, info);
        json_object_update(object, cells);
        json_decref(cells);
        json_object_set_new(object, "settings", txctl_settings_json(settings));
        txctl_json_print(object);
    } else {
        txctl_print_lines(context, columns, info);
        txctl_settings_print(context, settings);
    }
}

static enum tx_status run_info(struct txctl_context *context,
                               const struct txctl_arguments *arguments, struct tx_error *err)
{
    struct txstore *store = NULL;
    struct info info = {0};
    struct txstore_settings settings;
    struct txstore_recovery recovery;
    struct stat stat_of_image;
    AUTO_TEXT root = NULL;
    AUTO_TEXT store_path = NULL;
    (void)arguments;
    TRY(txctl_place(context, &root, &store_path, err));
    if (!store_path) {
        store_path = txctl_join(root, TXSTORE_NAME);
    }
    AUTO_TEXT image = txctl_join(store_path, "reg/image");
    TRY(txctl_store(context, &store, err));
    info.root = root;
    info.store = store_path;
    fill_log(&info, store);
    txstore_get_recovery(store, &recovery);
    info.recovered = recovery.performed && !recovery.ktm.log.was_clean;
    info.registry_size = stat(image, &stat_of_image) == 0 ? (uint64_t)stat_of_image.st_size : 0;
    if (!context->globals.salvage) {
        TRY(ktm_list(txstore_ktm(store), count_transaction, &info, err));
        TRY(txstore_history(store, count_commit, &info, err));
    }
    txstore_get_settings(store, &settings);
    print_info(context, &info, &settings);
    return TX_OK;
}

const struct txctl_command txctl_info = {
    .group = "Store",
    .verb = "info",
    .usage = "",
    .summary = "identity, sizes, log, transactions, history and settings on one screen",
    .example = "txctl info --json | jq .log_used",
    .flags = TXCTL_NO_SCRIPT | TXCTL_READS,
    .run = run_info,
};
