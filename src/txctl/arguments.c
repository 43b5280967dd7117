/* SPDX-License-Identifier: MIT */
/*
 * The command line: global options, a command of one or two words, its options and values in any
 * order. "--" ends options, letters may be bundled (-lR), "--size=4" is "--size 4".
 */
#include <assert.h>
#include <stdarg.h>
#include <string.h>

#include "txctl/txctl_internal.h"

const struct txctl_option txctl_global_options[] = {
    {"store", 0, "DIR", "the store (default: TXKIT_STORE, else the nearest .txkit upwards)"},
    {"root", 0, "DIR", "what the store is for, when it is not beside it (default: TXKIT_ROOT)"},
    {"tx", 0, "ID", "work in this transaction of `begin` (default: TXKIT_TX)"},
    {"json", 0, NULL, "print JSON"},
    {"quiet", 'q', NULL, "no headings, no words but errors"},
    {"no-progress", 0, NULL, "no progress bar"},
    {"color", 0, "WHEN", "auto, always or never"},
    {"salvage", 0, NULL, "read what is whole of a store that is refused"},
    {"lock-timeout", 0, "SECONDS", "give up when another process keeps the store for so long"},
    {"null", '0', NULL, "names raw, lines ended by NUL"},
    {"help", 'h', NULL, "say how a command is used"},
    {"version", 0, NULL, "print the version"},
    {NULL, 0, NULL, NULL},
};

/* Goes through the words. */
struct scan {
    struct txctl_globals *globals;
    struct txctl_arguments *arguments;
    char **words;
    int count;
    int at;
    struct tx_error *err;
};

enum tx_status txctl_usage(struct tx_error *err, const char *format, ...)
{
    va_list arguments;
    char text[TX_ERROR_TEXT_SIZE];
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    enum tx_status status = tx_error_set(err, TX_EINVAL, "%s", text);
    err->os_errno = TXCTL_USAGE_MARK;
    return status;
}

static int option_index(const struct txctl_arguments *arguments, const char *name)
{
    const struct txctl_option *options = arguments->command->options;
    for (int i = 0; options && options[i].name; i++) {
        if (strcmp(options[i].name, name) == 0) {
            return i;
        }
    }
    return -1;
}

const char *txctl_given(const struct txctl_arguments *arguments, const char *option)
{
    int index = option_index(arguments, option);
    assert(index >= 0); /* the command asks for an option that it does not list */
    return arguments->given[index];
}

bool txctl_has(const struct txctl_arguments *arguments, const char *option)
{
    return txctl_given(arguments, option) != NULL;
}

void txctl_arguments_release(struct txctl_arguments *arguments)
{
    free(arguments->values);
    *arguments = (struct txctl_arguments){0};
}

static enum tx_status global_color(struct txctl_globals *globals, const char *when,
                                   struct tx_error *err)
{
    static const char *const names[] = {"auto", "always", "never"};
    for (int i = 0; i < 3; i++) {
        if (strcmp(when, names[i]) == 0) {
            globals->color = (enum txctl_color)i;
            return TX_OK;
        }
    }
    return txctl_usage(err, "--color: auto, always or never, not \"%s\"", when);
}

static enum tx_status global_timeout(struct txctl_globals *globals, const char *seconds,
                                     struct tx_error *err)
{
    TRY(txctl_seconds(seconds, &globals->lock_timeout_ms, err));
    if (globals->lock_timeout_ms == 0) {
        globals->lock_timeout_ms = 1; /* not at all; the library takes 0 for "for ever" */
    }
    return TX_OK;
}

static enum tx_status set_global(struct txctl_globals *globals, const char *name,
                                 const char *value, struct tx_error *err)
{
    const struct {
        const char *name;
        bool *flag;
        const char **value;
    } plain[] = {
        {"store", NULL, &globals->store},    {"root", NULL, &globals->root},
        {"tx", NULL, &globals->tx},          {"json", &globals->json, NULL},
        {"quiet", &globals->quiet, NULL},    {"no-progress", &globals->no_progress, NULL},
        {"salvage", &globals->salvage, NULL}, {"null", &globals->null_ends, NULL},
        {"help", &globals->help, NULL},      {"version", &globals->version, NULL},
    };
    for (size_t i = 0; i < sizeof plain / sizeof *plain; i++) {
        if (strcmp(plain[i].name, name) == 0) {
            if (plain[i].flag) {
                *plain[i].flag = true;
            } else {
                *plain[i].value = value;
            }
            return TX_OK;
        }
    }
    return strcmp(name, "color") == 0 ? global_color(globals, value, err)
                                      : global_timeout(globals, value, err);
}

/* Find an option by name (`letter` 0) or by letter, the command's own first. */
static const struct txctl_option *find_option(const struct scan *scan, const char *name,
                                              size_t size, char letter)
{
    const struct txctl_command *command = scan->arguments->command;
    const struct txctl_option *lists[] = {command ? command->options : NULL, txctl_global_options};
    for (size_t list = 0; list < 2; list++) {
        for (const struct txctl_option *option = lists[list]; option && option->name; option++) {
            if (letter != 0 ? option->letter == letter
                            : strlen(option->name) == size &&
                                  memcmp(option->name, name, size) == 0) {
                return option;
            }
        }
    }
    return NULL;
}

/* `value` is what stands in the same word, NULL: the next word when the option wants one. */
static enum tx_status take_option(struct scan *scan, const struct txctl_option *option,
                                  const char *value)
{
    if (!option->argument && value) {
        return txctl_usage(scan->err, "--%s takes no value", option->name);
    }
    if (option->argument && !value) {
        if (scan->at == scan->count) {
            return txctl_usage(scan->err, "--%s wants %s", option->name, option->argument);
        }
        value = scan->words[scan->at++];
    }
    if (scan->arguments->command && scan->arguments->command->options) {
        const struct txctl_option *own = scan->arguments->command->options;
        for (int i = 0; own[i].name; i++) {
            if (option == &own[i]) {
                scan->arguments->given[i] = value ? value : "";
                return TX_OK;
            }
        }
    }
    return set_global(scan->globals, option->name, value, scan->err);
}

static enum tx_status take_letters(struct scan *scan, const char *letters)
{
    for (; *letters != '\0'; letters++) {
        const struct txctl_option *option = find_option(scan, NULL, 0, *letters);
        if (!option) {
            return txctl_usage(scan->err, "unknown option -%c; try: -- before values that begin "
                                          "with a dash", *letters);
        }
        if (option->argument) {
            return take_option(scan, option, letters[1] != '\0' ? letters + 1 : NULL);
        }
        TRY(take_option(scan, option, NULL));
    }
    return TX_OK;
}

static enum tx_status take_word(struct scan *scan, const char *word)
{
    if (word[1] != '-') {
        return take_letters(scan, word + 1);
    }
    size_t size = strcspn(word + 2, "=");
    const char *value = word[2 + size] == '=' ? word + 3 + size : NULL;
    const struct txctl_option *option = find_option(scan, word + 2, size, 0);
    if (!option) {
        return txctl_usage(scan->err, "unknown option %.*s", (int)size + 2, word);
    }
    return take_option(scan, option, value);
}

/* Is `word` the first of a two-word verb? */
static bool is_group(const char *word)
{
    size_t size = strlen(word);
    for (size_t i = 0; txctl_commands[i]; i++) {
        const char *verb = txctl_commands[i]->verb;
        if (strncmp(verb, word, size) == 0 && verb[size] == ' ') {
            return true;
        }
    }
    return false;
}

static enum tx_status take_command(struct scan *scan, const char *word)
{
    AUTO_TEXT verb = NULL;
    if (!is_group(word)) {
        verb = txctl_copy(word);
    } else if (scan->at < scan->count) {
        verb = txctl_text("%s %s", word, scan->words[scan->at++]);
    } else {
        return txctl_usage(scan->err, "%s what? try: txctl help %s", word, word);
    }
    for (size_t i = 0; txctl_commands[i]; i++) {
        if (strcmp(txctl_commands[i]->verb, verb) == 0) {
            scan->arguments->command = txctl_commands[i];
            return (txctl_commands[i]->flags & TXCTL_LATER) == 0
                       ? TX_OK
                       : txctl_usage(scan->err, "not in this version");
        }
    }
    return txctl_usage(scan->err, "unknown command \"%s\"; try: txctl help", verb);
}

enum tx_status txctl_parse(struct txctl_globals *globals, int count, char **words,
                           struct txctl_arguments *arguments, struct tx_error *err)
{
    struct scan scan = {globals, arguments, words, count, 0, err};
    bool options = true;
    *arguments = (struct txctl_arguments){
        .values = txctl_alloc((size_t)count * sizeof *arguments->values)};
    while (scan.at < scan.count) {
        char *word = words[scan.at++];
        if (options && strcmp(word, "--") == 0) {
            options = false;
        } else if (options && word[0] == '-' && word[1] != '\0') {
            TRY(take_word(&scan, word));
        } else if (!arguments->command) {
            TRY(take_command(&scan, word));
        } else {
            arguments->values[arguments->count++] = word;
        }
    }
    return TX_OK;
}
