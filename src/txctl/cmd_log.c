/* SPDX-License-Identifier: MIT */
/* log dump: the log record by record. */
#include <string.h>

#include "txctl/changes.h"
#include "txctl/commands.h"

struct row {
    uint64_t lsn, next_lsn, segment, offset, epoch, bytes;
    const char *kind;
    char id_text[KTM_ID_TEXT_SIZE];
    const char *id;
    int64_t time;
    uint64_t prepare_lsn, entries;
    const char *description;
};

static const struct txctl_column columns[] = {
    TXCTL_COLUMN(struct row, lsn, TXCTL_NUMBER, 12, 0),
    TXCTL_COLUMN(struct row, next_lsn, TXCTL_NUMBER, 0, TXCTL_JSON_ONLY),
    TXCTL_COLUMN(struct row, segment, TXCTL_NUMBER, 7, 0),
    TXCTL_COLUMN(struct row, offset, TXCTL_NUMBER, 10, 0),
    TXCTL_COLUMN(struct row, bytes, TXCTL_NUMBER, 10, 0),
    TXCTL_COLUMN(struct row, epoch, TXCTL_NUMBER, 5, 0),
    TXCTL_COLUMN(struct row, kind, TXCTL_WORD, -15, 0),
    TXCTL_COLUMN(struct row, id, TXCTL_WORD, -10, TXCTL_OPTIONAL),
    TXCTL_COLUMN(struct row, time, TXCTL_TIME, 0, TXCTL_JSON_ONLY | TXCTL_OPTIONAL),
    TXCTL_COLUMN(struct row, prepare_lsn, TXCTL_NUMBER, 0, TXCTL_JSON_ONLY | TXCTL_OPTIONAL),
    TXCTL_COLUMN(struct row, entries, TXCTL_NUMBER, 7, 0),
    TXCTL_COLUMN(struct row, description, TXCTL_KEY, 0, TXCTL_OPTIONAL),
    TXCTL_COLUMNS_END,
};

struct dump {
    struct txctl_context *context;
    struct txlog *log;
    struct txctl_table table;
    bool fields;  /* every field of the format */
    bool entries; /* what the transactions change */
};

static void print_field(void *arg, const char *name, uint64_t value, const char *text)
{
    const struct dump *dump = arg;
    printf("    %-20s %-20llu %s%c", name, (unsigned long long)value, text,
           txctl_line_end(dump->context));
}

static enum tx_status print_fields(struct dump *dump, const struct txlog_record *record,
                                   const struct tx_buf *payload, struct tx_error *err)
{
    struct ktm_record_info ignored;
    TRY(txlog_describe_record(dump->log, record->lsn, print_field, dump, err));
    return ktm_describe_record(record->kind, payload, &ignored, print_field, dump, err);
}

static enum tx_status print_record(struct dump *dump, const struct txlog_record *record,
                                   const struct tx_buf *payload, struct tx_error *err)
{
    struct ktm_record_info info;
    AUTO_CHANGES changes = {0};
    TRY(ktm_describe_record(record->kind, payload, &info, NULL, NULL, err));
    struct row row = {
        .lsn = record->lsn,
        .next_lsn = record->next_lsn,
        .segment = record->segment,
        .offset = record->offset,
        .epoch = record->epoch,
        .bytes = payload->size,
        .kind = info.kind,
        .time = info.time_ns,
        .prepare_lsn = info.prepare_lsn,
        .entries = info.entry_count,
        .description = info.description,
    };
    if (info.id.epoch != 0) {
        ktm_id_format(&info.id, row.id_text);
        row.id = row.id_text;
    }
    txctl_table_row(&dump->table, &row);
    if (dump->fields && !dump->context->globals.json) {
        TRY(print_fields(dump, record, payload, err));
    }
    if (dump->entries && !dump->context->globals.json) {
        TRY(txctl_changes_read(info.entries, &changes, err));
        txctl_changes_print(dump->context, &changes, NULL);
    }
    return TX_OK;
}

static enum tx_status dump_from(struct dump *dump, tx_lsn lsn, struct tx_error *err)
{
    AUTO_BUF payload = TX_BUF_INIT;
    struct txlog_record record;
    for (;; lsn = record.next_lsn) {
        enum tx_status status = txlog_read(dump->log, lsn, &record, &payload, err);
        if (status == TX_ENOTFOUND) {
            return TX_OK; /* the end; in salvage the first damage */
        }
        TRY(status);
        status = print_record(dump, &record, &payload, err);
        if (status != TX_OK) {
            tx_error_prefix(err, "segment %llu offset %llu", (unsigned long long)record.segment,
                            (unsigned long long)record.offset);
            return status;
        }
    }
}

static enum tx_status run_log_dump(struct txctl_context *context,
                                   const struct txctl_arguments *arguments, struct tx_error *err)
{
    struct txstore *store = NULL;
    struct txlog_info info;
    struct dump dump = {
        .context = context,
        .fields = txctl_has(arguments, "fields"),
        .entries = txctl_has(arguments, "entries"),
    };
    const char *from = txctl_given(arguments, "from");
    tx_lsn lsn = 0;
    if (from) {
        TRY(txctl_number(from, &lsn, err));
    }
    TRY(txctl_store(context, &store, err));
    dump.log = txstore_log(store);
    txlog_get_info(dump.log, &info);
    txctl_table_begin(&dump.table, context, "records", columns);
    dump.table.stream = true;
    enum tx_status status = dump_from(&dump, from ? lsn : info.start_lsn, err);
    txctl_table_end(&dump.table);
    return status;
}

static const struct txctl_option options[] = {
    {"from", 0, "LSN", "begin at this record (default: the oldest)"},
    {"fields", 0, NULL, "every field of each record"},
    {"entries", 'e', NULL, "what each transaction changes"},
    {NULL, 0, NULL, NULL},
};

const struct txctl_command txctl_log_dump = {
    .group = "Store",
    .verb = "log dump",
    .usage = "[--from LSN] [--fields] [-e]",
    .summary = "the log, record by record",
    .example = "txctl --salvage log dump --entries",
    .options = options,
    .flags = TXCTL_NO_SCRIPT | TXCTL_READS,
    .run = run_log_dump,
};
