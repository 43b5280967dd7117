/* SPDX-License-Identifier: MIT */
/* diff: what an open transaction would change. */
#include <string.h>

#include "txctl/changes.h"
#include "txctl/commands.h"
#include "txctl/txn_id.h"

static enum tx_status print_changes(const struct txctl_context *context, const struct ktm_id *id,
                                    struct ktm_cursor entries, const struct txctl_compare *compare,
                                    struct tx_error *err)
{
    AUTO_CHANGES changes = {0};
    TRY(txctl_changes_read(entries, &changes, err));
    if (context->globals.json) {
        char text[KTM_ID_TEXT_SIZE];
        json_t *object = txctl_json_new();
        ktm_id_format(id, text);
        json_object_set_new(object, "id", json_string(text));
        json_object_set_new(object, "changes", txctl_changes_json(&changes));
        txctl_json_print(object);
        return TX_OK;
    }
    txctl_changes_print(context, &changes, compare);
    if (!compare) {
        txctl_changes_summary(context, &changes);
    }
    return TX_OK;
}

/* Contents as they are now on one side, as the transaction sees them on the other. */
static enum tx_status diff_attached(struct txctl_context *context, struct txstore *store,
                                    struct ktm_txn *txn, bool stat, struct tx_error *err)
{
    struct ktm_begin_options options = {.flags = KTM_READ_ONLY};
    struct txctl_compare compare = {.context = context, .after = txn};
    struct ktm_id id = ktm_txn_id(txn);
    TRY(txstore_begin(store, &options, &compare.before, err));
    enum tx_status status =
        print_changes(context, &id, ktm_txn_entries(txn), stat ? NULL : &compare, err);
    ktm_rollback(compare.before);
    return status;
}

static enum tx_status diff_prepared(struct txctl_context *context, struct txstore *store,
                                    const struct ktm_id *id, bool stat, struct tx_error *err)
{
    struct ktm_begin_options options = {.flags = KTM_READ_ONLY};
    struct txctl_compare compare = {.context = context};
    struct ktm_commit_info commit;
    AUTO_BUF storage = TX_BUF_INIT;
    TRY(ktm_load_entries(txstore_ktm(store), id, &commit, &storage, err));
    TRY(txstore_begin(store, &options, &compare.before, err));
    enum tx_status status =
        print_changes(context, id, commit.entries, stat ? NULL : &compare, err);
    ktm_rollback(compare.before);
    return status;
}

static enum tx_status diff_by_id(struct txctl_context *context, const char *text, bool stat,
                                 struct tx_error *err)
{
    struct txstore *store = NULL;
    struct ktm_txn *txn = NULL;
    struct ktm_id id;
    struct ktm_txn_info info;
    TRY(txctl_id(context, text, &id, err));
    TRY(txctl_store(context, &store, err));
    TRY(ktm_query(txstore_ktm(store), &id, &info, err));
    if (info.state != KTM_ACTIVE) {
        return diff_prepared(context, store, &id, stat, err);
    }
    TRY(ktm_attach(txstore_ktm(store), &id, &txn, err));
    enum tx_status status = diff_attached(context, store, txn, stat, err);
    enum tx_status saved = ktm_detach(txn, status == TX_OK ? err : NULL);
    return status == TX_OK ? saved : status;
}

static enum tx_status run_diff(struct txctl_context *context,
                               const struct txctl_arguments *arguments, struct tx_error *err)
{
    struct ktm_txn *txn = NULL;
    bool stat = txctl_has(arguments, "stat");
    const char *text = arguments->count > 0 ? arguments->values[0] : NULL;
    txctl_subject(context, text ? text : context->globals.tx ? context->globals.tx : "");
    if (context->script && !text) {
        TRY(txctl_txn(context, &txn, err));
        return diff_attached(context, context->store, txn, stat, err);
    }
    if (context->script) {
        return txctl_usage(err, "in a script without ID: its own transaction");
    }
    return diff_by_id(context, text, stat, err);
}

static const struct txctl_option options[] = {
    {"stat", 0, NULL, "no contents, and a line that counts"},
    {NULL, 0, NULL, NULL},
};

const struct txctl_command txctl_diff = {
    .group = "Transactions",
    .verb = "diff",
    .usage = "[ID] [--stat]",
    .summary = "what an open transaction would change: files, texts, registry",
    .example = "txctl diff 3-42 | less",
    .options = options,
    .count_max = 1,
    .run = run_diff,
};
