/* SPDX-License-Identifier: MIT */
/* reg create, delete, rename, info, list: keys. */
#include <string.h>

#include "txctl/commands.h"
#include "txctl/reg_text.h"

static enum tx_status run_create(struct txctl_context *context,
                                 const struct txctl_arguments *arguments, struct tx_error *err)
{
    struct ktm_txn *txn = NULL;
    AUTO_TEXT key = txctl_reg_path(arguments->values[0]);
    txctl_subject(context, key);
    if (txctl_has(arguments, "volatile")) {
        return txctl_usage(err, "--volatile is not in this version");
    }
    TRY(txctl_txn(context, &txn, err));
    return txreg_create(txn, key, txctl_given(arguments, "class"), NULL, err);
}

static const struct txctl_option create_options[] = {
    {"class", 0, "C", "the key's class, a free text"},
    {"volatile", 0, NULL, "not in this version"},
    {NULL, 0, NULL, NULL},
};

const struct txctl_command txctl_reg_create = {
    .group = "Registry",
    .verb = "reg create",
    .usage = "KEY [--class C]",
    .summary = "make a key and those above it",
    .example = "txctl reg create Software/App",
    .options = create_options,
    .flags = TXCTL_CHANGES,
    .count_min = 1,
    .count_max = 1,
    .run = run_create,
};

static enum tx_status run_delete(struct txctl_context *context,
                                 const struct txctl_arguments *arguments, struct tx_error *err)
{
    struct ktm_txn *txn = NULL;
    AUTO_TEXT key = txctl_reg_path(arguments->values[0]);
    txctl_subject(context, key);
    TRY(txctl_txn(context, &txn, err));
    return txctl_has(arguments, "recursive") ? txreg_delete_tree(txn, key, err)
                                             : txreg_delete(txn, key, err);
}

static const struct txctl_option delete_options[] = {
    {"recursive", 'r', NULL, "with all keys below it"},
    {NULL, 0, NULL, NULL},
};

const struct txctl_command txctl_reg_delete = {
    .group = "Registry",
    .verb = "reg delete",
    .usage = "[-r] KEY",
    .summary = "remove a key and its values; keys below it only with -r",
    .example = "txctl reg delete -r Software/App",
    .options = delete_options,
    .flags = TXCTL_CHANGES,
    .count_min = 1,
    .count_max = 1,
    .run = run_delete,
};

static enum tx_status run_rename(struct txctl_context *context,
                                 const struct txctl_arguments *arguments, struct tx_error *err)
{
    struct ktm_txn *txn = NULL;
    AUTO_TEXT key = txctl_reg_path(arguments->values[0]);
    txctl_subject(context, key);
    TRY(txctl_txn(context, &txn, err));
    return txreg_rename(txn, key, arguments->values[1], err);
}

const struct txctl_command txctl_reg_rename = {
    .group = "Registry",
    .verb = "reg rename",
    .usage = "KEY NEW",
    .summary = "give a key another name under the same parent",
    .example = "txctl reg rename Software/App Application",
    .flags = TXCTL_CHANGES,
    .count_min = 2,
    .count_max = 2,
    .run = run_rename,
};

struct row {
    const char *key;
    const char *name;
    uint64_t id, revision;
    int64_t write_time;
    uint64_t subkeys, values;
    const char *class_name;
};

static const struct txctl_column columns[] = {
    TXCTL_COLUMN(struct row, key, TXCTL_KEY, 0, 0),
    TXCTL_COLUMN(struct row, name, TXCTL_KEY, 0, 0),
    TXCTL_COLUMN(struct row, id, TXCTL_NUMBER, 0, 0),
    TXCTL_COLUMN(struct row, revision, TXCTL_NUMBER, 0, 0),
    TXCTL_COLUMN(struct row, write_time, TXCTL_TIME, 0, TXCTL_OPTIONAL),
    TXCTL_COLUMN(struct row, subkeys, TXCTL_NUMBER, 0, 0),
    TXCTL_COLUMN(struct row, values, TXCTL_NUMBER, 0, 0),
    TXCTL_COLUMN(struct row, class_name, TXCTL_KEY, 0, TXCTL_OPTIONAL),
    TXCTL_COLUMNS_END,
};

static struct row row_of(const char *key, const struct txreg_key_info *info)
{
    return (struct row){
        .key = key,
        .name = info->name,
        .id = info->id,
        .revision = info->revision,
        .write_time = info->write_time_ns,
        .subkeys = info->subkey_count,
        .values = info->value_count,
        .class_name = info->class_name,
    };
}

static enum tx_status run_info(struct txctl_context *context,
                               const struct txctl_arguments *arguments, struct tx_error *err)
{
    struct ktm_txn *txn = NULL;
    struct txreg_key_info info;
    AUTO_TEXT key = txctl_reg_path(arguments->values[0]);
    txctl_subject(context, key);
    TRY(txctl_txn(context, &txn, err));
    TRY(txreg_query(txn, key, &info, err));
    struct row row = row_of(key, &info);
    txctl_print_record(context, columns, &row);
    return TX_OK;
}

const struct txctl_command txctl_reg_info = {
    .group = "Registry",
    .verb = "reg info",
    .usage = "KEY",
    .summary = "counts, class, last change of a key",
    .example = "txctl reg info Software/App",
    .flags = TXCTL_READS,
    .count_min = 1,
    .count_max = 1,
    .run = run_info,
};

struct list_job {
    struct txctl_context *context;
    struct ktm_txn *txn;
    const char *top;
    bool recursive;
    json_t *rows;
};

static enum tx_status list_key(struct list_job *job, const char *key, const char *shown,
                               struct tx_error *err)
{
    if (job->rows) {
        struct txreg_key_info info;
        TRY(txreg_query(job->txn, key, &info, err));
        struct row row = row_of(key, &info);
        json_array_append_new(job->rows, txctl_row_json(columns, &row));
    } else {
        bool escape = txctl_stdout_is_terminal() && !job->context->globals.null_ends;
        txctl_put_escaped(stdout, shown, strlen(shown), escape ? TXCTL_ESCAPE_KEY : TXCTL_RAW);
        putchar(txctl_line_end(job->context));
    }
    return TX_OK;
}

static enum tx_status list_below(void *arg, const char *key, int depth, struct tx_error *err)
{
    return depth > 0 ? list_key(arg, key, key, err) : TX_OK;
}

static enum tx_status list_children(struct list_job *job, struct tx_error *err)
{
    AUTO_NAMES names = {0};
    TRY(txctl_reg_subkeys(job->txn, job->top, &names, err));
    for (size_t i = 0; i < names.count; i++) {
        AUTO_TEXT inner = txctl_reg_join(job->top, names.items[i].name);
        TRY(list_key(job, inner, names.items[i].name, err));
    }
    return TX_OK;
}

static enum tx_status run_list(struct txctl_context *context,
                               const struct txctl_arguments *arguments, struct tx_error *err)
{
    AUTO_TEXT key = txctl_reg_path(arguments->count > 0 ? arguments->values[0] : "");
    struct list_job job = {.context = context, .top = key};
    txctl_subject(context, key);
    TRY(txctl_txn(context, &job.txn, err));
    job.rows = context->globals.json ? json_array() : NULL;
    enum tx_status status = txctl_has(arguments, "recursive")
                                ? txctl_reg_walk(job.txn, key, list_below, &job, err)
                                : list_children(&job, err);
    if (status == TX_OK && job.rows) {
        json_t *object = txctl_json_new();
        json_object_set(object, "keys", job.rows);
        txctl_json_print(object);
    }
    json_decref(job.rows);
    return status;
}

static const struct txctl_option list_options[] = {
    {"recursive", 'R', NULL, "all keys below, with their paths"},
    {NULL, 0, NULL, NULL},
};

const struct txctl_command txctl_reg_list = {
    .group = "Registry",
    .verb = "reg list",
    .usage = "[-R] [KEY]",
    .summary = "the keys below a key",
    .example = "txctl reg list -R Software",
    .options = list_options,
    .flags = TXCTL_READS,
    .count_max = 1,
    .run = run_list,
};
