/* SPDX-License-Identifier: MIT */
/* history, revert: committed transactions that are kept, and undoing one. */
#include "txctl/commands.h"
#include "txctl/print.h"

struct row {
    uint64_t lsn;
    int64_t time;
    char id_text[KTM_ID_TEXT_SIZE];
    const char *id;
    uint64_t entries;
    const char *description;
};

static const struct txctl_column columns[] = {
    TXCTL_COLUMN(struct row, lsn, TXCTL_NUMBER, 12, 0),
    TXCTL_COLUMN(struct row, time, TXCTL_TIME, -19, 0),
    TXCTL_COLUMN(struct row, id, TXCTL_WORD, -10, 0),
    TXCTL_COLUMN(struct row, entries, TXCTL_NUMBER, 7, 0),
    TXCTL_COLUMN(struct row, description, TXCTL_KEY, 0, 0),
    TXCTL_COLUMNS_END,
};

static enum tx_status history_row(void *arg, const struct ktm_commit_info *commit,
                                  struct tx_error *err)
{
    struct row row = {
        .lsn = commit->lsn,
        .time = commit->time_ns,
        .entries = commit->entry_count,
        .description = commit->description,
    };
    (void)err;
    ktm_id_format(&commit->id, row.id_text);
    row.id = row.id_text;
    txctl_table_row(arg, &row);
    return TX_OK;
}

static enum tx_status run_history(struct txctl_context *context,
                                  const struct txctl_arguments *arguments, struct tx_error *err)
{
    struct txstore *store = NULL;
    struct txctl_table table;
    (void)arguments;
    TRY(txctl_store(context, &store, err));
    txctl_table_begin(&table, context, "commits", columns);
    enum tx_status status = txstore_history(store, history_row, &table, err);
    txctl_table_end(&table);
    return status;
}

const struct txctl_command txctl_history = {
    .group = "Transactions",
    .verb = "history",
    .usage = "",
    .summary = "committed transactions that can be reverted, oldest first",
    .flags = TXCTL_NO_SCRIPT | TXCTL_READS,
    .run = run_history,
};

struct revert_job {
    struct ktm_txn *txn;
    tx_lsn lsn;
    bool found;
};

static enum tx_status revert_registry(void *arg, const struct ktm_commit_info *commit,
                                      struct tx_error *err)
{
    struct revert_job *job = arg;
    if (commit->lsn != job->lsn) {
        return TX_OK;
    }
    job->found = true;
    return txreg_revert(job->txn, commit->entries, err);
}

/* As a part of a transaction that does more. */
static enum tx_status revert_inside(struct txctl_context *context, tx_lsn lsn,
                                    struct tx_error *err)
{
    struct revert_job job = {.lsn = lsn};
    TRY(txctl_txn(context, &job.txn, err));
    TRY(txstore_history(context->store, revert_registry, &job, err));
    if (!job.found) {
        return tx_error_set(err, TX_ENOTFOUND, "not in the history (any more)");
    }
    return txfs_revert(job.txn, lsn, err);
}

static enum tx_status run_revert(struct txctl_context *context,
                                 const struct txctl_arguments *arguments, struct tx_error *err)
{
    struct txstore *store = NULL;
    tx_lsn lsn = 0;
    tx_lsn new_lsn = 0;
    txctl_subject(context, arguments->values[0]);
    TRY(txctl_number(arguments->values[0], &lsn, err));
    if (context->script || context->globals.tx) {
        return revert_inside(context, lsn, err);
    }
    TRY(txctl_store(context, &store, err));
    TRY(txstore_revert(store, lsn, &new_lsn, err));
    context->lsn = new_lsn;
    txctl_result(context, NULL, txctl_text("%llu\n", (unsigned long long)new_lsn));
    return TX_OK;
}

const struct txctl_command txctl_revert = {
    .group = "Transactions",
    .verb = "revert",
    .usage = "LSN",
    .summary = "undo a committed transaction by a new one; prints its LSN",
    .example = "txctl revert $(txctl history --quiet | tail -n 1 | awk '{print $1}')",
    .flags = TXCTL_CHANGES,
    .count_min = 1,
    .count_max = 1,
    .run = run_revert,
};
