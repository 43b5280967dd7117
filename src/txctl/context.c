/* SPDX-License-Identifier: MIT */
/*
 * What a command runs in. The store is opened when first needed. The transaction, too:
 *
 *     --tx ID    attached at first use; saved again at the end, a failed command leaves no trace
 *     else       an own one, begun at first use, committed at the end when all went well
 */
#include <errno.h>
#include <limits.h>
#include <string.h>

#include "txctl/print.h"

/* Where a failed command takes an attached transaction back to. */
#define COMMAND_MARK "txctl:command"

void txctl_subject(struct txctl_context *context, const char *subject)
{
    free(context->subject);
    context->subject = txctl_copy(subject);
}

static enum tx_status absolute_path(const char *path, char **absolute, struct tx_error *err)
{
    char *real = realpath(path, NULL);
    if (!real) {
        AUTO_TEXT name = txctl_escaped(path);
        return tx_error_os(err, errno, "look for \"%s\"", name);
    }
    *absolute = real;
    return TX_OK;
}

/* --store DIR: the root is what DIR stands in, unless --root says otherwise. */
static enum tx_status place_named(const char *store, const char *root, char **root_path,
                                  char **store_path, struct tx_error *err)
{
    AUTO_TEXT path = NULL;
    AUTO_TEXT parent = NULL;
    TRY(absolute_path(store, &path, err));
    if (root) {
        TRY(absolute_path(root, &parent, err));
    } else {
        char *slash = strrchr(path, '/');
        parent = slash > path ? strndup(path, (size_t)(slash - path)) : txctl_copy("/");
    }
    *root_path = parent;
    *store_path = path;
    parent = NULL;
    path = NULL;
    return TX_OK;
}

enum tx_status txctl_place(const struct txctl_context *context, char **root, char **store_path,
                           struct tx_error *err)
{
    const char *store = context->globals.store ? context->globals.store : getenv("TXKIT_STORE");
    const char *named = context->globals.root ? context->globals.root : getenv("TXKIT_ROOT");
    char found[PATH_MAX];
    if (store && store[0] != '\0') {
        return place_named(store, named && named[0] != '\0' ? named : NULL, root, store_path, err);
    }
    AUTO_TEXT here = NULL;
    TRY(absolute_path(context->globals.root ? context->globals.root : ".", &here, err));
    if (!context->globals.root) {
        TRY(txstore_find(NULL, here, found, sizeof found, err));
        free(here);
        here = txctl_copy(found);
    }
    *root = here;
    *store_path = NULL;
    here = NULL;
    return TX_OK;
}

static enum txstore_mode store_mode(const struct txctl_context *context)
{
    bool reads = !context->script && !context->globals.tx &&
                 (context->command->flags & TXCTL_READS) != 0;
    return context->globals.salvage ? TXSTORE_SALVAGE
           : reads                  ? TXSTORE_READONLY
                                    : TXSTORE_READWRITE;
}

enum tx_status txctl_store(struct txctl_context *context, struct txstore **store,
                           struct tx_error *err)
{
    AUTO_TEXT root = NULL;
    AUTO_TEXT store_path = NULL;
    if (!context->store) {
        TRY(txctl_place(context, &root, &store_path, err));
        struct txstore_options options = {
            .store_path = store_path,
            .mode = store_mode(context),
            .lock_timeout_ms = context->globals.lock_timeout_ms,
        };
        TRY(txstore_open(root, &options, &context->store, err));
    }
    *store = context->store;
    return TX_OK;
}

static bool changes(const struct txctl_context *context)
{
    return context->script || (context->command->flags & TXCTL_CHANGES) != 0;
}

static enum tx_status attach(struct txctl_context *context, struct tx_error *err)
{
    struct ktm_id id;
    const char *text = context->globals.tx;
    if (ktm_id_parse(text, &id, err) != TX_OK) {
        return txctl_usage(err, "\"%s\" is no id of a transaction", text);
    }
    enum tx_status status = ktm_attach(txstore_ktm(context->store), &id, &context->txn, err);
    if (status != TX_OK) {
        tx_error_prefix(err, "transaction %s", text);
        return status;
    }
    context->txn_kind = TXCTL_TXN_ATTACHED;
    if (changes(context)) {
        TRY(ktm_savepoint(context->txn, COMMAND_MARK, err));
        context->marked = true;
    }
    return TX_OK;
}

/* What the history shows of an own transaction. */
static char *describe(const struct txctl_context *context)
{
    if (context->description) {
        return txctl_copy(context->description);
    }
    AUTO_TEXT subject = txctl_escaped_as(context->script    ? context->script
                                         : context->subject ? context->subject
                                                            : "",
                                         TXCTL_ESCAPE_KEY);
    char *text = txctl_text("%s%s%s", context->script ? "exec" : context->command->verb,
                            subject[0] != '\0' ? " " : "", subject);
    if (strlen(text) > KTM_DESCRIPTION_MAX) {
        size_t size = KTM_DESCRIPTION_MAX;
        while (size > 0 && ((unsigned char)text[size] & 0xc0) == 0x80) {
            size--; /* not in the middle of a character */
        }
        text[size] = '\0';
    }
    return text;
}

static enum tx_status begin_own(struct txctl_context *context, struct tx_error *err)
{
    AUTO_TEXT description = describe(context);
    struct ktm_begin_options options = {.description = description};
    if (!changes(context)) {
        options.flags = KTM_READ_ONLY;
    } else if (context->serializable || (context->command->flags & TXCTL_SERIALIZABLE) != 0) {
        options.flags = KTM_SERIALIZABLE;
    }
    TRY(txstore_begin(context->store, &options, &context->txn, err));
    context->txn_kind = TXCTL_TXN_OWN;
    return TX_OK;
}

enum tx_status txctl_txn(struct txctl_context *context, struct ktm_txn **txn, struct tx_error *err)
{
    struct txstore *store = NULL;
    if (!context->txn) {
        if (context->globals.salvage && (context->globals.tx || changes(context))) {
            return txctl_usage(err, "--salvage is for reading the committed state");
        }
        TRY(txctl_store(context, &store, err));
        TRY(context->globals.tx ? attach(context, err) : begin_own(context, err));
    }
    *txn = context->txn;
    return TX_OK;
}

enum tx_status txctl_run(struct txctl_context *context, const struct txctl_arguments *arguments,
                         struct tx_error *err)
{
    const struct txctl_command *command = arguments->command;
    context->command = command;
    free(context->subject);
    context->subject = NULL;
    if (context->script && (command->flags & TXCTL_NO_SCRIPT) != 0) {
        return txctl_usage(err, "has no place in a script, which is one transaction");
    }
    if (arguments->count < command->count_min || arguments->count > command->count_max) {
        return txctl_usage(err, "%s arguments; wanted: %s",
                           arguments->count < command->count_min ? "too few" : "too many",
                           command->usage[0] != '\0' ? command->usage : "none");
    }
    return command->run(context, arguments, err);
}

static void print_result(const struct txctl_context *context, json_t *object, const char *text)
{
    if (context->globals.json && object) {
        txctl_json_print(object);
    } else {
        json_decref(object);
        fputs(text && !context->globals.json ? text : "", stdout);
    }
}

void txctl_result(struct txctl_context *context, json_t *object, char *text)
{
    if (context->script) {
        print_result(context, object, text); /* the commit comes much later, if at all */
        free(text);
    } else {
        context->result = object;
        context->result_text = text;
    }
}

/* With --json every command answers: what changes something with its commit's LSN, or with the
 * transaction that it works in. */
static void add_json_result(struct txctl_context *context)
{
    bool silent = (context->command->flags & (TXCTL_CHANGES | TXCTL_SILENT)) != 0;
    if (!silent || (context->lsn == 0 && !context->result && txctl_json_was_printed())) {
        return;
    }
    if (!context->result) {
        context->result = txctl_json_new();
    }
    if (context->lsn != 0) {
        json_object_set_new(context->result, "lsn", json_integer((json_int_t)context->lsn));
    } else if (context->globals.tx) {
        json_object_set_new(context->result, "transaction", txctl_json_name(context->globals.tx));
    }
}

static void finish_result(struct txctl_context *context, enum tx_status status)
{
    if (status == TX_OK && context->command) {
        if (context->globals.json) {
            add_json_result(context);
        }
        print_result(context, context->result, context->result_text);
    } else {
        json_decref(context->result);
    }
    context->result = NULL;
}

static enum tx_status end_own(struct txctl_context *context, enum tx_status status,
                              struct tx_error *err)
{
    if (status == TX_OK && changes(context)) {
        return ktm_commit(context->txn, &context->lsn, err);
    }
    ktm_rollback(context->txn);
    return status;
}

/* A transaction that cannot be saved now stays as it was saved last, if this process leaves as a
 * killed one does: closing the store would roll it back. */
static enum tx_status leave_attached(struct txctl_context *context, enum tx_status status)
{
    static struct txstore *left; /* for leak checkers */
    left = context->store;
    (void)left;
    context->store = NULL;
    txctl_say(context, "transaction %s stays as it was before this command", context->globals.tx);
    return status;
}

/* Save an attached transaction; after a failure without what the command did. */
static enum tx_status end_attached(struct txctl_context *context, enum tx_status status,
                                   struct tx_error *err)
{
    struct ktm_txn *txn = context->txn;
    if (status == TX_OK || status == TX_ENOCHANGE) {
        enum tx_status saved = ktm_detach(txn, err);
        if (saved == TX_OK) {
            return status;
        }
        if (ktm_txn_state(txn) == KTM_ACTIVE) {
            return leave_attached(context, saved);
        }
        ktm_rollback(txn);
        txctl_say(context, "transaction %s is gone", context->globals.tx);
        return saved;
    }
    struct tx_error second;
    enum tx_status back = ktm_txn_state(txn) != KTM_ACTIVE ? TX_EABORTED
                          : context->marked ? ktm_rollback_to(txn, COMMAND_MARK, &second)
                                            : TX_OK;
    if (back != TX_OK) {
        ktm_rollback(txn);
        txctl_say(context, "transaction %s is gone", context->globals.tx);
    } else if (ktm_detach(txn, &second) != TX_OK) {
        return leave_attached(context, status);
    }
    return status;
}

enum tx_status txctl_end(struct txctl_context *context, enum tx_status status,
                         struct tx_error *err)
{
    struct tx_error second;
    if (context->txn) {
        status = context->txn_kind == TXCTL_TXN_OWN ? end_own(context, status, err)
                                                    : end_attached(context, status, err);
        context->txn = NULL;
    }
    finish_result(context, status);
    if (context->store && txstore_close(context->store, &second) != TX_OK) {
        txctl_say(context, "%s (nothing that was committed is lost)", second.text);
    }
    context->store = NULL;
    if (context->kept_file && (status == TX_OK || status == TX_ENOCHANGE)) {
        /* File and directory are ours; a leftover in TMPDIR at worst. */
        (void)remove(context->kept_file);
        *strrchr(context->kept_file, '/') = '\0';
        (void)remove(context->kept_file);
    } else if (context->kept_file) {
        txctl_say(context, "the edited text is in %s", context->kept_file);
    }
    return status;
}
