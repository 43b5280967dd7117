/* SPDX-License-Identifier: MIT */
/*
 * A change set for people: what remains of its entries when later ones have replaced earlier ones,
 * files first (by path), then the registry in its order.
 */
#ifndef TXCTL_CHANGES_H
#define TXCTL_CHANGES_H

#include "txctl/print.h"

struct txctl_file_change {
    struct txfs_change entry;
    size_t order; /* place in the change set */
    char letter;  /* A added, M modified, D deleted, R renamed, T another type, 0 dropped */
    const struct txctl_file_change *ended_by; /* a later one, above it; NULL: none */
    bool moved_away; /* what was here has another path now */
};

struct txctl_reg_change {
    struct txreg_change entry;
    char letter; /* A, M, D, R; 0 dropped */
};

struct txctl_changes {
    struct txctl_file_change *files;
    size_t file_count;
    struct txctl_reg_change *values;
    size_t value_count;
};

/* The texts and contents inside lead into the entries. */
enum tx_status txctl_changes_read(struct ktm_cursor entries, struct txctl_changes *changes,
                                  struct tx_error *err) TX_CHECKED;
void txctl_changes_release(struct txctl_changes *changes);
#define AUTO_CHANGES __attribute__((cleanup(txctl_changes_release))) struct txctl_changes

json_t *txctl_changes_json(const struct txctl_changes *changes);

/* How files can be compared: through two transactions, NULL where there is none. */
struct txctl_compare {
    const struct txctl_context *context;
    struct ktm_txn *before;
    struct ktm_txn *after;
};

/* Print for people. `compare` NULL: no contents. */
void txctl_changes_print(const struct txctl_context *context, const struct txctl_changes *changes,
                         const struct txctl_compare *compare);
/* "3 files added, ..." */
void txctl_changes_summary(const struct txctl_context *context,
                           const struct txctl_changes *changes);

/* Print a unified diff of two texts (line_diff.c). Names are printed as they are given. */
struct txctl_text_side {
    const char *name;
    const char *text;
    size_t size;
};
void txctl_print_diff(const struct txctl_context *context, const struct txctl_text_side *old_side,
                      const struct txctl_text_side *new_side);

#endif
