/* SPDX-License-Identifier: MIT */
/* Commands of the contract that this version does not have; they answer so (exit code 2). */
#include "txctl/commands.h"

#define LATER(symbol, word, words)                                                                 \
    const struct txctl_command symbol = {                                                          \
        .group = "Later",                                                                          \
        .verb = word,                                                                              \
        .usage = "",                                                                               \
        .summary = words " (not in this version)",                                                 \
        .flags = TXCTL_LATER,                                                                      \
        .count_max = TXCTL_ANY_COUNT,                                                              \
    }

LATER(txctl_backup, "backup", "a consistent copy of a live store");
LATER(txctl_restore, "restore", "a store from its copy");
LATER(txctl_reg_add, "reg add", "as reg.exe; see reg set");
LATER(txctl_reg_copy, "reg copy", "copy a subtree");
LATER(txctl_reg_compare, "reg compare", "compare two subtrees");
LATER(txctl_reg_link, "reg link", "make a link key");
LATER(txctl_reg_readlink, "reg readlink", "show where a link key leads");
LATER(txctl_reg_find, "reg find", "search; see reg query -f");
LATER(txctl_reg_move, "reg move", "move a subtree");
LATER(txctl_reg_increment, "reg increment", "count");
LATER(txctl_reg_sd, "reg sd", "security descriptors");
LATER(txctl_reg_import, "reg import", "take in .reg text");
LATER(txctl_reg_save, "reg save", "write a subtree image");
LATER(txctl_reg_load, "reg load", "mount a subtree image");
LATER(txctl_reg_unload, "reg unload", "unmount a subtree image");
LATER(txctl_reg_diff, "reg diff", "compare keys, LSNs or files");
LATER(txctl_reg_watch, "reg watch", "follow changes");
