/* SPDX-License-Identifier: MIT */
/* commit, prepare: the end of a detached transaction. */
#include "txctl/commands.h"
#include "txctl/print.h"
#include "txctl/txn_id.h"

static void print_lsn(const struct txctl_context *context, const struct ktm_id *id, tx_lsn lsn)
{
    if (context->globals.json) {
        char text[KTM_ID_TEXT_SIZE];
        json_t *object = txctl_json_new();
        ktm_id_format(id, text);
        json_object_set_new(object, "id", json_string(text));
        json_object_set_new(object, "lsn", json_integer((json_int_t)lsn));
        txctl_json_print(object);
    } else {
        printf("%llu%c", (unsigned long long)lsn, txctl_line_end(context));
    }
}

static enum tx_status commit_active(struct ktm *tm, const struct ktm_id *id, tx_lsn *lsn,
                                    struct tx_error *err)
{
    struct ktm_txn *txn = NULL;
    TRY(ktm_attach(tm, id, &txn, err));
    bool empty = ktm_txn_entries(txn).left == 0;
    enum tx_status status = ktm_commit(txn, lsn, err);
    return status == TX_OK && empty ? tx_error_set(err, TX_ENOCHANGE, "nothing to change") : status;
}

static enum tx_status run_commit(struct txctl_context *context,
                                 const struct txctl_arguments *arguments, struct tx_error *err)
{
    struct txstore *store = NULL;
    struct ktm_id id;
    struct ktm_txn_info info;
    tx_lsn lsn = 0;
    const char *text = arguments->count > 0 ? arguments->values[0] : NULL;
    txctl_subject(context, text ? text : context->globals.tx ? context->globals.tx : "");
    TRY(txctl_id(context, text, &id, err));
    TRY(txctl_store(context, &store, err));
    struct ktm *tm = txstore_ktm(store);
    TRY(ktm_query(tm, &id, &info, err));
    if (info.state == KTM_COMMITTED || info.state == KTM_ENDED) {
        return tx_error_set(err, TX_ENOCHANGE, "it is committed already");
    }
    TRY(info.state == KTM_PREPARED || info.state == KTM_IN_DOUBT
            ? ktm_commit_prepared(tm, &id, &lsn, err)
            : commit_active(tm, &id, &lsn, err));
    print_lsn(context, &id, lsn);
    return TX_OK;
}

const struct txctl_command txctl_commit = {
    .group = "Transactions",
    .verb = "commit",
    .usage = "[ID]",
    .summary = "make a transaction durable and visible; prints its LSN",
    .example = "txctl commit 3-42",
    .flags = TXCTL_NO_SCRIPT,
    .count_max = 1,
    .run = run_commit,
};

static enum tx_status run_prepare(struct txctl_context *context,
                                  const struct txctl_arguments *arguments, struct tx_error *err)
{
    struct txstore *store = NULL;
    struct ktm_txn *txn = NULL;
    struct ktm_id id;
    const char *text = arguments->count > 0 ? arguments->values[0] : NULL;
    txctl_subject(context, text ? text : context->globals.tx ? context->globals.tx : "");
    TRY(txctl_id(context, text, &id, err));
    TRY(txctl_store(context, &store, err));
    TRY(ktm_attach(txstore_ktm(store), &id, &txn, err));
    return ktm_prepare(txn, err);
}

const struct txctl_command txctl_prepare = {
    .group = "Transactions",
    .verb = "prepare",
    .usage = "[ID]",
    .summary = "vote: from now on it can be committed even after a power cut",
    .example = "txctl prepare 3-42 && other-system commit && txctl commit 3-42",
    .flags = TXCTL_NO_SCRIPT | TXCTL_SILENT,
    .count_max = 1,
    .run = run_prepare,
};
