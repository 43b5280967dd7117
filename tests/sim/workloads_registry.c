/* SPDX-License-Identifier: MIT */
/* One workload per operation on the registry. */
#include <stdio.h>

#include "sim/workloads.h"

void work_reg_create(struct crash_run *run)
{
    struct ktm_txn *txn = crash_begin(run);
    MUST(run, txreg_create(txn, "Software\\New\\Deep\\Deeper", "class", NULL, &run->err));
    crash_commit(run, txn);
    txn = crash_begin(run);
    MUST(run, txreg_create(txn, "System", NULL, NULL, &run->err));
    MUST(run, txreg_set_u32(txn, "System", "Count", 1, &run->err));
    crash_commit(run, txn);
}

void work_reg_set(struct crash_run *run)
{
    struct ktm_txn *txn = crash_begin(run);
    MUST(run, txreg_set_string(txn, "Software\\Alpha", "Name", "other", &run->err));
    MUST(run, txreg_set(txn, "Software\\Alpha", "", TXREG_BINARY, crash_bytes(run, 200), 200,
                        &run->err));
    crash_commit(run, txn);
    txn = crash_begin(run);
    MUST(run, txreg_set_u64(txn, "software\\ALPHA", "name", 77, &run->err));
    crash_commit(run, txn);
}

void work_reg_unset(struct crash_run *run)
{
    struct ktm_txn *txn = crash_begin(run);
    MUST(run, txreg_unset(txn, "Software\\Alpha", "Name", &run->err));
    crash_commit(run, txn);
    txn = crash_begin(run);
    MUST(run, txreg_set_string(txn, "Software\\Alpha", "Name", "back", &run->err));
    MUST(run, txreg_unset(txn, "Software\\Alpha", "Number", &run->err));
    crash_commit(run, txn);
}

void work_reg_delete(struct crash_run *run)
{
    struct ktm_txn *txn = crash_begin(run);
    MUST(run, txreg_delete(txn, "Software\\Beta\\Deep", &run->err));
    crash_commit(run, txn);
    txn = crash_begin(run);
    MUST(run, txreg_delete_tree(txn, "Software", &run->err));
    MUST(run, txreg_create(txn, "Software", NULL, NULL, &run->err));
    crash_commit(run, txn);
}

void work_reg_rename(struct crash_run *run)
{
    struct ktm_txn *txn = crash_begin(run);
    MUST(run, txreg_rename(txn, "Software\\Beta", "Gamma", &run->err));
    crash_commit(run, txn);
    txn = crash_begin(run);
    MUST(run, txreg_rename(txn, "Software\\Gamma", "GAMMA", &run->err));
    MUST(run, txreg_create(txn, "Software\\Beta", NULL, NULL, &run->err));
    crash_commit(run, txn);
}

/* Values that fill pages of their own. */
void work_reg_large(struct crash_run *run)
{
    struct ktm_txn *txn = crash_begin(run);
    MUST(run, txreg_set(txn, "Software\\Alpha", "Large", TXREG_BINARY, crash_bytes(run, 10000),
                        10000, &run->err));
    crash_commit(run, txn);
    txn = crash_begin(run);
    MUST(run, txreg_set(txn, "Software\\Alpha", "Large", TXREG_BINARY, crash_bytes(run, 100), 100,
                        &run->err));
    crash_commit(run, txn);
}

/* Enough to split pages, then to merge them. */
void work_reg_many(struct crash_run *run)
{
    struct ktm_txn *txn = crash_begin(run);
    for (int i = 0; i < 60; i++) {
        char key[64];
        (void)snprintf(key, sizeof key, "Software\\Many\\Key %03d", i);
        MUST(run, txreg_create(txn, key, NULL, NULL, &run->err));
        MUST(run, txreg_set(txn, key, "v", TXREG_BINARY, crash_bytes(run, 60), 60, &run->err));
    }
    crash_commit(run, txn);
    txn = crash_begin(run);
    MUST(run, txreg_delete_tree(txn, "Software\\Many", &run->err));
    crash_commit(run, txn);
}
