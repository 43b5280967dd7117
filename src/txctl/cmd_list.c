/* SPDX-License-Identifier: MIT */
/* list: open and prepared transactions. */
#include "txctl/commands.h"
#include "txctl/print.h"

struct row {
    char id_text[KTM_ID_TEXT_SIZE];
    const char *id;
    const char *state;
    bool attached;
    int64_t begun;
    uint64_t entries;
    const char *description;
};

static const struct txctl_column columns[] = {
    TXCTL_COLUMN(struct row, id, TXCTL_WORD, -10, 0),
    TXCTL_COLUMN(struct row, state, TXCTL_WORD, -9, 0),
    TXCTL_COLUMN(struct row, attached, TXCTL_FLAG, -8, 0),
    TXCTL_COLUMN(struct row, begun, TXCTL_TIME, -19, 0),
    TXCTL_COLUMN(struct row, entries, TXCTL_NUMBER, 7, 0),
    TXCTL_COLUMN(struct row, description, TXCTL_KEY, 0, 0),
    TXCTL_COLUMNS_END,
};

static enum tx_status list_one(void *arg, const struct ktm_txn_info *info, struct tx_error *err)
{
    struct txctl_table *table = arg;
    struct row row = {
        .state = ktm_state_name(info->state),
        .attached = info->attached,
        .begun = info->begin_time_ns,
        .entries = info->entry_count,
        .description = info->description,
    };
    (void)err;
    ktm_id_format(&info->id, row.id_text);
    row.id = row.id_text;
    txctl_table_row(table, &row);
    return TX_OK;
}

static enum tx_status run_list(struct txctl_context *context,
                               const struct txctl_arguments *arguments, struct tx_error *err)
{
    struct txstore *store = NULL;
    struct txctl_table table;
    (void)arguments;
    TRY(txctl_store(context, &store, err));
    txctl_table_begin(&table, context, "transactions", columns);
    enum tx_status status = ktm_list(txstore_ktm(store), list_one, &table, err);
    txctl_table_end(&table);
    return status;
}

const struct txctl_command txctl_list = {
    .group = "Transactions",
    .verb = "list",
    .usage = "",
    .summary = "open and prepared transactions",
    .flags = TXCTL_NO_SCRIPT | TXCTL_READS,
    .run = run_list,
};
