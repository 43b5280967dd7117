/* SPDX-License-Identifier: MIT */
/* help, version: about txctl itself, from the table of commands. */
#include <string.h>

#include "txctl/commands.h"
#include "txctl/print.h"

static void print_options(const char *heading, const struct txctl_option *options)
{
    if (!options) {
        return;
    }
    printf("\n%s\n", heading);
    for (const struct txctl_option *option = options; option->name; option++) {
        char left[64];
        char letter[8] = "   ";
        if (option->letter != 0) {
            snprintf(letter, sizeof letter, "-%c,", option->letter);
        }
        snprintf(left, sizeof left, "%s --%s%s%s", letter, option->name,
                 option->argument ? " " : "", option->argument ? option->argument : "");
        printf("  %-28s %s\n", left, option->text);
    }
}

static void print_examples(const char *example)
{
    fputs("\nExample:\n", stdout);
    while (*example != '\0') {
        size_t length = strcspn(example, "\n");
        printf("  %.*s\n", (int)length, example);
        example += length + (example[length] == '\n');
    }
}

static void print_command(const struct txctl_command *command)
{
    printf("usage: txctl %s%s%s\n\n  %s\n", command->verb, command->usage[0] != '\0' ? " " : "",
           command->usage, command->summary);
    print_options("Options:", command->options);
    if (command->example) {
        print_examples(command->example);
    }
    fputs("\nEvery command takes the global options, too: txctl help\n", stdout);
}

static void print_all(void)
{
    const char *group = NULL;
    fputs("usage: txctl [GLOBAL OPTION...] COMMAND [ARGUMENT...]\n", stdout);
    for (size_t i = 0; txctl_commands[i]; i++) {
        const struct txctl_command *command = txctl_commands[i];
        if ((command->flags & TXCTL_LATER) != 0) {
            continue;
        }
        if (!group || strcmp(group, command->group) != 0) {
            group = command->group;
            printf("\n%s:\n", group);
        }
        printf("  %-12s %s\n", command->verb, command->summary);
    }
    print_options("Global options:", txctl_global_options);
    fputs("\nPATH arguments are relative to the store's root. `txctl help COMMAND` says more.\n"
          "Exit codes: 0 done, 1 failed, 2 usage, 3 corrupt store, 4 conflict, 5 committed but\n"
          "pending or in doubt, 6 no such object, 7 busy, 77 nothing to change.\n",
          stdout);
}

static enum tx_status run_help(struct txctl_context *context,
                               const struct txctl_arguments *arguments, struct tx_error *err)
{
    (void)context;
    if (arguments->count == 0 || arguments->values[0][0] == '\0') {
        print_all();
        return TX_OK;
    }
    AUTO_TEXT verb = arguments->count == 1
                         ? txctl_copy(arguments->values[0])
                         : txctl_text("%s %s", arguments->values[0], arguments->values[1]);
    size_t length = strlen(verb);
    bool found = false;
    for (size_t i = 0; txctl_commands[i]; i++) {
        const struct txctl_command *command = txctl_commands[i];
        if (strcmp(command->verb, verb) == 0) {
            print_command(command);
            return TX_OK;
        }
        if (strncmp(command->verb, verb, length) == 0 && command->verb[length] == ' ' &&
            (command->flags & TXCTL_LATER) == 0) {
            printf("  %-12s %s\n", command->verb, command->summary);
            found = true;
        }
    }
    return found ? TX_OK : txctl_usage(err, "unknown command \"%s\"", verb);
}

const struct txctl_command txctl_help = {
    .group = "About",
    .verb = "help",
    .usage = "[COMMAND]",
    .summary = "what there is, and how a command is used",
    .flags = TXCTL_NO_SCRIPT,
    .count_max = 2,
    .run = run_help,
};

static enum tx_status run_version(struct txctl_context *context,
                                  const struct txctl_arguments *arguments, struct tx_error *err)
{
    (void)arguments;
    (void)err;
    if (context->globals.json) {
        json_t *object = txctl_json_new();
        json_object_set_new(object, "version", json_string(tx_version()));
        txctl_json_print(object);
    } else {
        printf("txctl %s\n", tx_version());
    }
    return TX_OK;
}

const struct txctl_command txctl_version = {
    .group = "About",
    .verb = "version",
    .usage = "",
    .summary = "print the version",
    .flags = TXCTL_NO_SCRIPT,
    .run = run_version,
};
