/* SPDX-License-Identifier: MIT */
/* exec: a script of commands as one transaction. */
#include <errno.h>
#include <string.h>

#include "txctl/commands.h"
#include "txctl/print.h"

/* Options that decide where a command works hold for the script as a whole. */
static enum tx_status check_globals(const struct txctl_globals *script,
                                    const struct txctl_globals *line, struct tx_error *err)
{
    if (script->store != line->store || script->root != line->root || script->tx != line->tx ||
        script->salvage != line->salvage || script->lock_timeout_ms != line->lock_timeout_ms) {
        return txctl_usage(err, "store and transaction are those of the whole script");
    }
    return TX_OK;
}

static enum tx_status run_line(struct txctl_context *context, int count, char **words,
                               struct tx_error *err)
{
    struct txctl_arguments arguments = {0};
    const struct txctl_globals globals = context->globals;
    enum tx_status status = txctl_parse(&context->globals, count, words, &arguments, err);
    context->command = arguments.command;
    if (status == TX_OK && (context->globals.help || context->globals.version)) {
        status = txctl_usage(err, "not in a script");
    }
    if (status == TX_OK) {
        status = check_globals(&globals, &context->globals, err);
    }
    if (status == TX_OK && !arguments.command) {
        status = txctl_usage(err, "no command in this line");
    }
    if (status == TX_OK) {
        status = txctl_run(context, &arguments, err);
    }
    context->globals = globals;
    txctl_arguments_release(&arguments);
    (void)fflush(stdout); /* who feeds us line by line wants to see; an error is seen at the end */
    return status == TX_ENOCHANGE ? TX_OK : status;
}

static enum tx_status run_lines(struct txctl_context *context, FILE *script, struct tx_error *err)
{
    unsigned line = 0;
    for (;;) {
        char **words = NULL;
        int count = 0;
        unsigned start = 0;
        enum tx_status status = txctl_read_words(script, &line, &start, &words, &count, err);
        if (status == TX_OK && count == 0) {
            return TX_OK;
        }
        context->line = start;
        context->command = NULL;
        if (status == TX_OK) {
            status = run_line(context, count, words, err);
        }
        txctl_words_free(words, count);
        TRY(status);
    }
}

static enum tx_status run_exec(struct txctl_context *context,
                               const struct txctl_arguments *arguments, struct tx_error *err)
{
    const struct txctl_command *command = context->command;
    const char *name = arguments->values[0];
    FILE *script = stdin;
    txctl_subject(context, name);
    if (strcmp(name, "-") != 0) {
        script = fopen(name, "re");
        if (!script) {
            return tx_error_os(err, errno, "open the script");
        }
    }
    if (context->globals.tx && txctl_has(arguments, "serializable")) {
        return txctl_usage(err, "--serializable is for a transaction of the script's own");
    }
    context->script = name;
    context->description = txctl_given(arguments, "description");
    context->serializable = txctl_has(arguments, "serializable");
    enum tx_status status = run_lines(context, script, err);
    if (script != stdin) {
        fclose(script); /* only read from */
    }
    if (status == TX_OK) {
        /* What fails from here on is the commit, of the whole script. */
        context->line = 0;
        context->command = command;
    }
    return status;
}

static const struct txctl_option options[] = {
    {"description", 0, "TEXT", "what the history shows (default: exec FILE)"},
    {"serializable", 0, NULL, "conflict also when what was only read has changed"},
    {NULL, 0, NULL, NULL},
};

const struct txctl_command txctl_exec = {
    .group = "Transactions",
    .verb = "exec",
    .usage = "FILE|- [OPTION...]",
    .summary = "run a script of commands as one transaction",
    .example = "txctl exec - <<'END'\n"
               "mkdir -p etc/app            # one command per line\n"
               "put app.conf etc/app/app.conf\n"
               "reg set Software/App Version sz '2.0 beta'\n"
               "END",
    .options = options,
    .flags = TXCTL_CHANGES | TXCTL_NO_SCRIPT,
    .count_min = 1,
    .count_max = 1,
    .run = run_exec,
};
