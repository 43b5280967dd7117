/* SPDX-License-Identifier: MIT */
/* The commands of txcrash: one file each exports one of these; txcrash_main.c lists them. */
#ifndef TXCRASH_TXCRASH_H
#define TXCRASH_TXCRASH_H

#include <stdio.h>

/* Exit codes, as those of txctl where they mean the same. */
enum txcrash_exit {
    TXCRASH_FINE = 0,
    TXCRASH_CONVICTED = 1, /* or the run itself failed, which is said on standard error */
    TXCRASH_USAGE = 2,
    TXCRASH_UNABLE = 77, /* something is missing on this machine: nothing was tested */
};

struct txcrash_command {
    const char *name;
    const char *summary;               /* one line, without a full stop */
    void (*print_usage)(FILE *to);     /* usage and every option */
    int (*run)(int argc, char **argv); /* argv[0] is the command's name */
};

/* The directory for temporary files, $TMPDIR or /tmp. NULL, after one line on standard error: a
 * shell would not take it for one word. */
const char *txcrash_temporary(const char *command);

/* Listed in txcrash_main.c. */
extern const struct txcrash_command txcrash_kill;
extern const struct txcrash_command txcrash_powercut;
extern const struct txcrash_command txcrash_sim;

#endif
