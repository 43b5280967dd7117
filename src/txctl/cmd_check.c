/* SPDX-License-Identifier: MIT */
/* check, log verify, recover, checkpoint: is the store whole, and make it so. */
#include <string.h>

#include "txctl/commands.h"
#include "txctl/print.h"

struct fault {
    const char *file;
    uint64_t offset;
    const char *text;
    uint64_t lsn;
};

static const struct txctl_column fault_columns[] = {
    TXCTL_COLUMN(struct fault, file, TXCTL_NAME, 0, 0),
    TXCTL_COLUMN(struct fault, offset, TXCTL_NUMBER, 0, 0),
    TXCTL_COLUMN(struct fault, lsn, TXCTL_NUMBER, 0, TXCTL_OPTIONAL),
    TXCTL_COLUMN(struct fault, text, TXCTL_WORD, 0, 0),
    TXCTL_COLUMNS_END,
};

struct fault_list {
    const struct txctl_context *context;
    json_t *rows;
};

static void put_fault(struct fault_list *list, const struct fault *fault)
{
    if (list->rows) {
        json_array_append_new(list->rows, txctl_row_json(fault_columns, fault));
        return;
    }
    txctl_put_name(list->context, fault->file);
    printf(":%llu: %s", (unsigned long long)fault->offset, fault->text);
    if (fault->lsn != 0) {
        printf(" (LSN %llu)", (unsigned long long)fault->lsn);
    }
    putchar(txctl_line_end(list->context));
}

/* Print what was found; faults are the exit code's business. */
static enum tx_status finish_faults(struct fault_list *list, enum tx_status status,
                                    uint64_t count, struct tx_error *err)
{
    if (status == TX_OK && list->rows) {
        json_t *object = txctl_json_new();
        json_object_set(object, "faults", list->rows);
        txctl_json_print(object);
    } else if (status == TX_OK && count == 0 && !list->context->globals.quiet) {
        puts("no faults");
    }
    json_decref(list->rows);
    if (status == TX_OK && count > 0) {
        return tx_error_set(err, TX_ECORRUPT, "%llu fault%s; try: txctl --salvage with a command "
                            "that reads, to save what is whole", (unsigned long long)count,
                            count == 1 ? "" : "s");
    }
    return status;
}

static void check_fault(void *arg, const char *file, uint64_t offset, const char *text)
{
    struct fault fault = {file, offset, text, 0};
    put_fault(arg, &fault);
}

static enum tx_status run_check(struct txctl_context *context,
                                const struct txctl_arguments *arguments, struct tx_error *err)
{
    struct fault_list list = {context, context->globals.json ? json_array() : NULL};
    AUTO_TEXT root = NULL;
    AUTO_TEXT store_path = NULL;
    uint64_t count = 0;
    (void)arguments;
    enum tx_status status = txctl_place(context, &root, &store_path, err);
    if (status == TX_OK) {
        status = txstore_check(NULL, root, store_path, check_fault, &list, &count, err);
    }
    return finish_faults(&list, status, count, err);
}

static const struct txctl_option check_options[] = {
    {"deep", 0, NULL, "accepted for scripts: everything is read in any case"},
    {NULL, 0, NULL, NULL},
};

const struct txctl_command txctl_check = {
    .group = "Store",
    .verb = "check",
    .usage = "[--deep]",
    .summary = "read everything, change nothing: every checksum, every invariant",
    .example = "txctl check || echo 'look at the lines above'",
    .options = check_options,
    .flags = TXCTL_NO_SCRIPT,
    .run = run_check,
};

static void log_fault(void *arg, const struct txlog_fault *found)
{
    struct fault fault = {found->file, found->offset, found->text, found->lsn};
    put_fault(arg, &fault);
}

static enum tx_status verify_log(const char *path, struct fault_list *list, uint64_t *count,
                                 struct tx_error *err)
{
    struct txio *io = txio_posix();
    int dir = -1;
    TRY(txio_open(io, TXIO_CWD, path, TXIO_READ | TXIO_DIRECTORY, 0, &dir, err));
    enum tx_status status = txlog_verify(io, dir, log_fault, list, count, err);
    enum tx_status closed = txio_close(io, dir, status == TX_OK ? err : NULL);
    return status == TX_OK ? closed : status;
}

static enum tx_status run_log_verify(struct txctl_context *context,
                                     const struct txctl_arguments *arguments,
                                     struct tx_error *err)
{
    struct fault_list list = {context, context->globals.json ? json_array() : NULL};
    AUTO_TEXT root = NULL;
    AUTO_TEXT store_path = NULL;
    uint64_t count = 0;
    (void)arguments;
    enum tx_status status = txctl_place(context, &root, &store_path, err);
    if (status == TX_OK && !store_path) {
        store_path = txctl_join(root, TXSTORE_NAME);
    }
    if (status == TX_OK) {
        status = verify_log(store_path, &list, &count, err);
    }
    return finish_faults(&list, status, count, err);
}

const struct txctl_command txctl_log_verify = {
    .group = "Store",
    .verb = "log verify",
    .usage = "",
    .summary = "read every byte of control and log; name each fault",
    .flags = TXCTL_NO_SCRIPT,
    .run = run_log_verify,
};

struct recovery {
    bool performed, was_clean;
    uint64_t end_lsn, torn_bytes, rewritten_bytes, torn_segment, torn_offset;
    uint64_t commits_redone, in_doubt, discarded, foreign_kept;
};

static const struct txctl_column recovery_columns[] = {
    TXCTL_COLUMN(struct recovery, performed, TXCTL_FLAG, 0, 0),
    TXCTL_COLUMN(struct recovery, was_clean, TXCTL_FLAG, 0, 0),
    TXCTL_COLUMN(struct recovery, end_lsn, TXCTL_NUMBER, 0, 0),
    TXCTL_COLUMN(struct recovery, torn_bytes, TXCTL_BYTES, 0, 0),
    TXCTL_COLUMN(struct recovery, torn_segment, TXCTL_NUMBER, 0, TXCTL_OPTIONAL),
    TXCTL_COLUMN(struct recovery, torn_offset, TXCTL_NUMBER, 0, TXCTL_OPTIONAL),
    TXCTL_COLUMN(struct recovery, rewritten_bytes, TXCTL_BYTES, 0, 0),
    TXCTL_COLUMN(struct recovery, commits_redone, TXCTL_NUMBER, 0, 0),
    TXCTL_COLUMN(struct recovery, in_doubt, TXCTL_NUMBER, 0, 0),
    TXCTL_COLUMN(struct recovery, discarded, TXCTL_NUMBER, 0, 0),
    TXCTL_COLUMN(struct recovery, foreign_kept, TXCTL_NUMBER, 0, 0),
    TXCTL_COLUMNS_END,
};

static enum tx_status run_recover(struct txctl_context *context,
                                  const struct txctl_arguments *arguments, struct tx_error *err)
{
    struct txstore *store = NULL;
    struct txstore_recovery found;
    (void)arguments;
    TRY(txctl_store(context, &store, err));
    txstore_get_recovery(store, &found);
    struct recovery recovery = {
        .performed = found.performed,
        .was_clean = !found.performed || found.ktm.log.was_clean,
        .end_lsn = found.ktm.log.end_lsn,
        .torn_bytes = found.ktm.log.torn_bytes,
        .rewritten_bytes = found.ktm.log.rewritten_bytes,
        .torn_segment = found.ktm.log.torn_segment,
        .torn_offset = found.ktm.log.torn_offset,
        .commits_redone = found.ktm.commits_redone,
        .in_doubt = found.ktm.in_doubt,
        .discarded = found.ktm.discarded,
        .foreign_kept = found.foreign_kept,
    };
    if (!found.performed && !context->globals.json) {
        txctl_say(context, "other processes have the store open; there is nothing to recover");
        return TX_OK;
    }
    txctl_print_record(context, recovery_columns, &recovery);
    return TX_OK;
}

const struct txctl_command txctl_recover = {
    .group = "Store",
    .verb = "recover",
    .usage = "",
    .summary = "finish what a crash left; say what was completed, dropped, kept",
    .flags = TXCTL_NO_SCRIPT,
    .run = run_recover,
};

static enum tx_status run_checkpoint(struct txctl_context *context,
                                     const struct txctl_arguments *arguments,
                                     struct tx_error *err)
{
    struct txstore *store = NULL;
    (void)arguments;
    TRY(txctl_store(context, &store, err));
    return txstore_checkpoint(store, err);
}

const struct txctl_command txctl_checkpoint = {
    .group = "Store",
    .verb = "checkpoint",
    .usage = "",
    .summary = "bring tree and registry image up to date durably, trim the log",
    .flags = TXCTL_NO_SCRIPT | TXCTL_SILENT,
    .run = run_checkpoint,
};
