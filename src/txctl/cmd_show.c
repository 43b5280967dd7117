/* SPDX-License-Identifier: MIT */
/* show: one transaction, open (by id) or committed (by LSN), with what it changes. */
#include <string.h>

#include "txctl/changes.h"
#include "txctl/commands.h"
#include "txctl/txn_id.h"

struct record {
    char id_text[KTM_ID_TEXT_SIZE];
    const char *id;
    const char *state;
    uint64_t lsn;
    uint64_t snapshot_lsn;
    int64_t time;
    uint64_t entries;
    const char *description;
};

static const struct txctl_column columns[] = {
    TXCTL_COLUMN(struct record, id, TXCTL_WORD, 0, 0),
    TXCTL_COLUMN(struct record, state, TXCTL_WORD, 0, 0),
    TXCTL_COLUMN(struct record, lsn, TXCTL_NUMBER, 0, TXCTL_OPTIONAL),
    TXCTL_COLUMN(struct record, snapshot_lsn, TXCTL_NUMBER, 0, TXCTL_OPTIONAL),
    TXCTL_COLUMN(struct record, time, TXCTL_TIME, 0, TXCTL_OPTIONAL),
    TXCTL_COLUMN(struct record, entries, TXCTL_NUMBER, 0, 0),
    TXCTL_COLUMN(struct record, description, TXCTL_KEY, 0, TXCTL_OPTIONAL),
    TXCTL_COLUMNS_END,
};

static enum tx_status print_one(const struct txctl_context *context, const struct record *record,
                                struct ktm_cursor entries, struct tx_error *err)
{
    AUTO_CHANGES changes = {0};
    TRY(txctl_changes_read(entries, &changes, err));
    if (context->globals.json) {
        json_t *object = txctl_json_new();
        json_t *cells = txctl_row_json(columns, record);
        json_object_update(object, cells);
        json_decref(cells);
        json_object_set_new(object, "changes", txctl_changes_json(&changes));
        txctl_json_print(object);
    } else {
        txctl_print_lines(context, columns, record);
        txctl_changes_print(context, &changes, NULL);
    }
    return TX_OK;
}

static enum tx_status show_open(struct txctl_context *context, const char *text,
                                struct tx_error *err)
{
    struct txstore *store = NULL;
    struct ktm_id id;
    struct ktm_txn_info info;
    struct ktm_commit_info commit;
    AUTO_BUF storage = TX_BUF_INIT;
    TRY(txctl_id(context, text, &id, err));
    TRY(txctl_store(context, &store, err));
    TRY(ktm_query(txstore_ktm(store), &id, &info, err));
    TRY(ktm_load_entries(txstore_ktm(store), &id, &commit, &storage, err));
    struct record record = {
        .state = ktm_state_name(info.state),
        .time = info.begin_time_ns,
        .entries = commit.entry_count,
        .description = info.description,
    };
    ktm_id_format(&id, record.id_text);
    record.id = record.id_text;
    return print_one(context, &record, commit.entries, err);
}

struct show_job {
    const struct txctl_context *context;
    tx_lsn lsn;
    bool found;
};

static enum tx_status show_commit(void *arg, const struct ktm_commit_info *commit,
                                  struct tx_error *err)
{
    struct show_job *job = arg;
    if (job->found || commit->lsn != job->lsn) {
        return TX_OK;
    }
    job->found = true;
    struct record record = {
        .state = "committed",
        .lsn = commit->lsn,
        .snapshot_lsn = commit->snapshot_lsn,
        .time = commit->time_ns,
        .entries = commit->entry_count,
        .description = commit->description,
    };
    ktm_id_format(&commit->id, record.id_text);
    record.id = record.id_text;
    return print_one(job->context, &record, commit->entries, err);
}

/* Of the log while it is there, of the history else. */
static enum tx_status show_committed(struct txctl_context *context, const char *text,
                                     struct tx_error *err)
{
    struct txstore *store = NULL;
    struct txlog_info log;
    struct show_job job = {.context = context};
    TRY(txctl_number(text, &job.lsn, err));
    TRY(txctl_store(context, &store, err));
    txlog_get_info(txstore_log(store), &log);
    if (job.lsn >= log.start_lsn && job.lsn < log.append_lsn) {
        TRY(ktm_each_commit(txstore_ktm(store), log.start_lsn, log.append_lsn, show_commit, &job,
                            err));
    }
    if (!job.found) {
        TRY(txstore_history(store, show_commit, &job, err));
    }
    return job.found ? TX_OK
                     : tx_error_set(err, TX_ENOTFOUND, "no commit with this LSN in log or history");
}

static enum tx_status run_show(struct txctl_context *context,
                               const struct txctl_arguments *arguments, struct tx_error *err)
{
    const char *text = arguments->count > 0 ? arguments->values[0] : context->globals.tx;
    txctl_subject(context, text ? text : "");
    return text && !strchr(text, '-') ? show_committed(context, text, err)
                                      : show_open(context, text, err);
}

const struct txctl_command txctl_show = {
    .group = "Transactions",
    .verb = "show",
    .usage = "[ID | LSN]",
    .summary = "one transaction, open or committed, and what it changes",
    .example = "txctl show 3-42",
    .flags = TXCTL_NO_SCRIPT | TXCTL_READS,
    .count_max = 1,
    .run = run_show,
};
