/* SPDX-License-Identifier: MIT */
/* Words on stderr: one line that says what failed, and one that says what to try. */
#include <stdarg.h>
#include <string.h>

#include "txctl/print.h"

/* The library ends some texts so. */
#define TRY_MARK "; try: "

static const char *try_by_status(enum tx_status status)
{
    switch (status) {
    case TX_ECORRUPT:
        return "txctl check (and --salvage with a command that reads, to save what is whole)";
    case TX_EBUSY:
        return "again later, or a larger --lock-timeout";
    case TX_EPENDING:
    case TX_EPOISONED:
        return "txctl recover";
    case TX_EOUTCOME:
        return "txctl recover, then txctl history, which says whether it was committed";
    default:
        return NULL;
    }
}

static void put_place(const struct txctl_context *context)
{
    fputs("txctl: ", stderr);
    if (context->script) {
        txctl_put_escaped(stderr, context->script, strlen(context->script), TXCTL_ESCAPE);
        fprintf(stderr, context->line > 0 ? ":%u: " : ": ", context->line);
    }
    if (context->command) {
        fputs(context->command->verb, stderr);
        if (context->subject && context->subject[0] != '\0') {
            fputc(' ', stderr);
            txctl_put_escaped(stderr, context->subject, strlen(context->subject),
                              strncmp(context->command->verb, "reg ", 4) == 0 ? TXCTL_ESCAPE_KEY
                                                                              : TXCTL_ESCAPE);
        }
        fputs(": ", stderr);
    }
}

/* The library may have said "revert 4096: " itself. */
static const char *without_place(const struct txctl_context *context, const char *text)
{
    const char *verb = context->command ? context->command->verb : "";
    AUTO_TEXT place = txctl_text("%s %s: ", verb, context->subject ? context->subject : "");
    size_t size = strlen(place);
    return strncmp(text, place, size) == 0 ? text + size : text;
}

void txctl_complain(const struct txctl_context *context, enum tx_status status,
                    const struct tx_error *err)
{
    const char *text = err->text[0] != '\0' ? without_place(context, err->text)
                                            : tx_status_text(status);
    const char *hint = strstr(text, TRY_MARK);
    size_t size = hint ? (size_t)(hint - text) : strlen(text);
    if (status == TX_ENOCHANGE && context->globals.quiet) {
        return;
    }
    put_place(context);
    /* Names inside have been escaped where the text was made; this is for what slipped through. */
    txctl_put_escaped(stderr, text, size, TXCTL_ESCAPE_KEY);
    fputc('\n', stderr);
    if (hint) {
        fputs("try: ", stderr);
        hint += strlen(TRY_MARK);
        txctl_put_escaped(stderr, hint, strlen(hint), TXCTL_ESCAPE_KEY);
        fputc('\n', stderr);
    } else if (err->os_errno == TXCTL_USAGE_MARK && context->command) {
        fprintf(stderr, "try: txctl help %s\n", context->command->verb);
    } else if (try_by_status(status)) {
        fprintf(stderr, "try: %s\n", try_by_status(status));
    }
}

void txctl_say(const struct txctl_context *context, const char *format, ...)
{
    va_list arguments;
    if (context->globals.quiet) {
        return;
    }
    fputs("txctl: ", stderr);
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fputc('\n', stderr);
}
