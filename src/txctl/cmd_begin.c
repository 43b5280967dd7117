/* SPDX-License-Identifier: MIT */
/* begin, savepoint, rollback: transactions that live longer than one command. */
#include <string.h>

#include "txctl/commands.h"
#include "txctl/print.h"
#include "txctl/txn_id.h"

enum tx_status txctl_id(const struct txctl_context *context, const char *text, struct ktm_id *id,
                        struct tx_error *err)
{
    if (!text) {
        text = context->globals.tx;
    }
    if (!text) {
        return txctl_usage(err, "which transaction? give its ID, or set TXKIT_TX");
    }
    return ktm_id_parse(text, id, err) == TX_OK
               ? TX_OK
               : txctl_usage(err, "\"%s\" is no id of a transaction", text);
}

static enum tx_status begin_timeout(const struct txctl_arguments *arguments,
                                    struct ktm_begin_options *options, struct tx_error *err)
{
    const char *timeout = txctl_given(arguments, "timeout");
    if (timeout) {
        TRY(txctl_seconds(timeout, &options->timeout_ms, err));
        if (options->timeout_ms == 0) {
            return txctl_usage(err, "--timeout 0 leaves no time");
        }
    }
    return TX_OK;
}

static enum tx_status run_begin(struct txctl_context *context,
                                const struct txctl_arguments *arguments, struct tx_error *err)
{
    struct txstore *store = NULL;
    struct ktm_txn *txn = NULL;
    struct ktm_begin_options options = {.description = txctl_given(arguments, "description")};
    char text[KTM_ID_TEXT_SIZE];
    if (options.description && (strlen(options.description) > KTM_DESCRIPTION_MAX ||
                                !txctl_is_utf8(options.description, strlen(options.description)))) {
        return txctl_usage(err, "--description: at most %d bytes of UTF-8", KTM_DESCRIPTION_MAX);
    }
    TRY(begin_timeout(arguments, &options, err));
    if (txctl_has(arguments, "serializable")) {
        /* What was read is known to the process that read it, and to nobody after. */
        return txctl_usage(err, "not over several processes in this version; try: txctl exec "
                                "--serializable");
    }
    TRY(txctl_store(context, &store, err));
    TRY(txstore_begin(store, &options, &txn, err));
    struct ktm_id id = ktm_txn_id(txn);
    ktm_id_format(&id, text);
    TRY(ktm_detach(txn, err));
    if (context->globals.json) {
        char gid[KTM_GID_TEXT_SIZE];
        json_t *object = txctl_json_new();
        ktm_gid_format(txstore_ktm(store), &id, 0, gid);
        json_object_set_new(object, "id", json_string(text));
        json_object_set_new(object, "gid", json_string(gid));
        txctl_json_print(object);
    } else {
        printf("%s%c", text, txctl_line_end(context));
    }
    return TX_OK;
}

static const struct txctl_option begin_options[] = {
    {"description", 0, "TEXT", "what list and history show"},
    {"timeout", 0, "SECONDS", "abort the transaction when it lasts longer"},
    {"serializable", 0, NULL, "not in this version; see exec"},
    {NULL, 0, NULL, NULL},
};

const struct txctl_command txctl_begin = {
    .group = "Transactions",
    .verb = "begin",
    .usage = "[OPTION...]",
    .summary = "start a transaction for several commands; prints its id",
    .example = "export TXKIT_TX=$(txctl begin --description upgrade)\n"
               "txctl put bin/app bin/app && txctl reg set Software/App Version sz 2.0\n"
               "txctl diff && txctl commit",
    .options = begin_options,
    .flags = TXCTL_NO_SCRIPT,
    .run = run_begin,
};

/* Attach for this command alone, without a mark to go back to. */
static enum tx_status attach_only(struct txctl_context *context, const char *text,
                                  struct ktm_txn **txn, struct tx_error *err)
{
    struct txstore *store = NULL;
    struct ktm_id id;
    TRY(txctl_id(context, text, &id, err));
    TRY(txctl_store(context, &store, err));
    return ktm_attach(txstore_ktm(store), &id, txn, err);
}

static enum tx_status detach_again(struct ktm_txn *txn, enum tx_status status,
                                   struct tx_error *err)
{
    enum tx_status saved = ktm_detach(txn, status == TX_OK ? err : NULL);
    return status == TX_OK ? saved : status;
}

static enum tx_status run_savepoint(struct txctl_context *context,
                                    const struct txctl_arguments *arguments, struct tx_error *err)
{
    struct ktm_txn *txn = NULL;
    const char *name = arguments->values[arguments->count - 1];
    txctl_subject(context, name);
    if (strncmp(name, "txctl:", strlen("txctl:")) == 0) {
        return txctl_usage(err, "names that begin with \"txctl:\" are txctl's own");
    }
    if (context->script) {
        if (arguments->count > 1) {
            return txctl_usage(err, "in a script only: savepoint NAME");
        }
        TRY(txctl_txn(context, &txn, err));
        return ktm_savepoint(txn, name, err);
    }
    TRY(attach_only(context, arguments->count > 1 ? arguments->values[0] : NULL, &txn, err));
    return detach_again(txn, ktm_savepoint(txn, name, err), err);
}

const struct txctl_command txctl_savepoint = {
    .group = "Transactions",
    .verb = "savepoint",
    .usage = "[ID] NAME",
    .summary = "mark a point to which rollback --to can return",
    .example = "txctl savepoint 3-42 before-tests",
    .flags = TXCTL_SILENT,
    .count_min = 1,
    .count_max = 2,
    .run = run_savepoint,
};

static enum tx_status rollback_to(struct txctl_context *context, const char *id, const char *mark,
                                  struct tx_error *err)
{
    struct ktm_txn *txn = NULL;
    if (context->script) {
        if (id) {
            return txctl_usage(err, "in a script only: rollback --to SAVEPOINT");
        }
        TRY(txctl_txn(context, &txn, err));
        return ktm_rollback_to(txn, mark, err);
    }
    TRY(attach_only(context, id, &txn, err));
    return detach_again(txn, ktm_rollback_to(txn, mark, err), err);
}

static enum tx_status run_rollback(struct txctl_context *context,
                                   const struct txctl_arguments *arguments, struct tx_error *err)
{
    struct txstore *store = NULL;
    struct ktm_id id;
    struct ktm_txn_info info;
    const char *text = arguments->count > 0 ? arguments->values[0] : NULL;
    const char *mark = txctl_given(arguments, "to");
    txctl_subject(context, text ? text : context->globals.tx ? context->globals.tx : "");
    if (mark) {
        return rollback_to(context, text, mark, err);
    }
    if (context->script) {
        return txctl_usage(err, "in a script only: rollback --to SAVEPOINT");
    }
    TRY(txctl_id(context, text, &id, err));
    TRY(txctl_store(context, &store, err));
    TRY(ktm_query(txstore_ktm(store), &id, &info, err));
    return info.state == KTM_PREPARED || info.state == KTM_IN_DOUBT
               ? ktm_rollback_prepared(txstore_ktm(store), &id, err)
               : ktm_discard(txstore_ktm(store), &id, err);
}

static const struct txctl_option rollback_options[] = {
    {"to", 0, "SAVEPOINT", "undo only what came after this mark"},
    {NULL, 0, NULL, NULL},
};

const struct txctl_command txctl_rollback = {
    .group = "Transactions",
    .verb = "rollback",
    .usage = "[ID] [--to SAVEPOINT]",
    .summary = "forget a transaction, or what it did since a savepoint",
    .example = "txctl rollback 3-42 --to before-tests",
    .options = rollback_options,
    .flags = TXCTL_SILENT,
    .count_max = 1,
    .run = run_rollback,
};
