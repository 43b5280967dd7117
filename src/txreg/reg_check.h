/* SPDX-License-Identifier: MIT */
/* Between reg_check.c (the tree), reg_check_slots.c (what else is in the file) and
 * reg_check_keys.c (what the records say of each other). */
#ifndef TXREG_CHECK_H
#define TXREG_CHECK_H

#include "txreg/txreg_view.h"

struct reg_check {
    struct txreg *reg;
    struct reg_slot slot;
    bool is_clean; /* torn pages that nothing refers to are faults */
    txreg_fault_fn *fn;
    void *arg;
    uint64_t faults;
    struct reg_page_set used;
    struct tx_buf keys; /* struct reg_check_key, ascending by id */
    struct tx_buf edges; /* struct reg_check_edge: REG_CHILD records */
    struct tx_buf ordinals; /* uint64_t, of the values of one key */
    uint32_t ordinals_page;
    struct reg_key last; /* key of the record before */
};

struct reg_check_key {
    uint64_t id;
    uint64_t parent;
    uint64_t next_ordinal;
    uint32_t subkey_count;
    uint32_t value_count;
    uint32_t depth; /* 0: not reached yet */
    uint32_t page;
};
struct reg_check_edge {
    uint64_t parent;
    uint64_t child;
    uint32_t page;
};

/* Report a fault of a page. */
void reg_check_fault(struct reg_check *check, uint32_t page, const char *format, ...)
    TX_PRINTF(3, 4);
/* Take in one record of the tree; records come in the order of their keys. */
enum tx_status reg_check_record(struct reg_check *check, uint32_t page, const struct reg_key *key,
                                const struct reg_cell *cell, struct tx_error *err) TX_CHECKED;
/* After the last record: counts, parents, depth. */
void reg_check_keys(struct reg_check *check);

/* Both slots; *usable: one of them leads to a tree, in check->slot. */
enum tx_status reg_check_slots(struct reg_check *check, bool *usable,
                               struct tx_error *err) TX_CHECKED;
void reg_check_free_list(struct reg_check *check);
/* Every page of the file that the tree does not use. */
enum tx_status reg_check_free_pages(struct reg_check *check, struct tx_error *err) TX_CHECKED;

#endif
