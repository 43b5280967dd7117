/* SPDX-License-Identifier: MIT */
/* txcrash COMMAND ...: find the command, run it. */
#include <string.h>

#include "txcrash.h"

static const struct txcrash_command *const commands[] = {
    &txcrash_kill,
    &txcrash_powercut,
    &txcrash_sim,
    NULL,
};

static const struct txcrash_command *find(const char *name)
{
    for (size_t i = 0; commands[i]; i++) {
        if (strcmp(commands[i]->name, name) == 0) {
            return commands[i];
        }
    }
    return NULL;
}

static void print_help(FILE *to)
{
    fputs("usage: txcrash COMMAND [OPTION...] -- PROGRAM [ARGUMENT...]\n\n"
          "Break a program in every way a machine can, and see whether it gets up again.\n\n",
          to);
    for (size_t i = 0; commands[i]; i++) {
        fprintf(to, "  %-10s %s\n", commands[i]->name, commands[i]->summary);
    }
    fputs("\n`txcrash help COMMAND' says more; txcrash(1) says all.\n", to);
}

static int help(int argc, char **argv)
{
    if (argc < 2) {
        print_help(stdout);
        return TXCRASH_FINE;
    }
    const struct txcrash_command *command = find(argv[1]);
    if (!command) {
        fprintf(stderr, "txcrash: no command '%s'\n", argv[1]);
        return TXCRASH_USAGE;
    }
    command->print_usage(stdout);
    return TXCRASH_FINE;
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        print_help(stderr);
        return TXCRASH_USAGE;
    }
    if (strcmp(argv[1], "help") == 0 || strcmp(argv[1], "--help") == 0) {
        return help(argc - 1, argv + 1);
    }
    if (strcmp(argv[1], "version") == 0 || strcmp(argv[1], "--version") == 0) {
        puts("txcrash " PACKAGE_VERSION);
        return TXCRASH_FINE;
    }
    const struct txcrash_command *command = find(argv[1]);
    if (!command) {
        fprintf(stderr, "txcrash: no command '%s'\ntry: txcrash help\n", argv[1]);
        return TXCRASH_USAGE;
    }
    if (argc == 3 && strcmp(argv[2], "--help") == 0) {
        command->print_usage(stdout);
        return TXCRASH_FINE;
    }
    return command->run(argc - 1, argv + 1);
}
