/* SPDX-License-Identifier: MIT */
/* Workloads over files and registry together, and over the life of stores and transactions. */
#include <stdio.h>

#include "sim/workloads.h"

static void put(struct crash_run *run, struct ktm_txn *txn, const char *path, size_t size)
{
    MUST(run, txfs_put(txn, path, crash_bytes(run, size), size, NULL, &run->err));
}

static void count_up(struct crash_run *run, struct ktm_txn *txn, uint32_t number)
{
    MUST(run, txreg_set_u32(txn, "Software\\Alpha", "Number", number, &run->err));
}

/* One small transaction over both. */
static void step(struct crash_run *run, const char *path, size_t size, uint32_t number)
{
    struct ktm_txn *txn = crash_begin(run);
    put(run, txn, path, size);
    count_up(run, txn, number);
    crash_commit(run, txn);
}

/* --- Stores ----------------------------------------------------------------------------------- */

void work_init(struct crash_run *run)
{
    struct txstore_settings settings = TXSTORE_SETTINGS_DEFAULT;
    settings.log_segment_size = 16384;
    settings.conflict_entries = 256;
    crash_doing(run);
    MUST(run, txstore_init(run->io, CRASH_ROOT, NULL, &settings, &run->err));
    crash_open(run);
    crash_done(run);
    struct ktm_txn *txn = crash_begin(run);
    put(run, txn, "first", 10);
    MUST(run, txreg_create(txn, "First", NULL, NULL, &run->err));
    crash_commit(run, txn);
}

void work_open_close(struct crash_run *run)
{
    for (uint32_t i = 0; i < 3; i++) {
        step(run, "a", 10 + i, i);
        crash_close(run);
        crash_open(run);
    }
}

static void read_number(struct crash_run *run)
{
    struct ktm_txn *txn = NULL;
    struct txreg_key_info info;
    MUST(run, txstore_begin(run->reader, NULL, &txn, &run->err));
    enum tx_status status = txreg_query(txn, "Software\\Alpha", &info, &run->err);
    ktm_rollback(txn);
    MUST(run, status);
}

/* A store at rest, its first writer beside the reader, and either of them as the last one out. */
void work_readers(struct crash_run *run)
{
    /* So that the segment ends at no opening: on a full disk the record of the epoch is left out
     * there, and all that follows has other LSNs than without the fault. */
    step(run, "b", 10, 7);
    for (uint32_t i = 0; i < 2; i++) {
        crash_close(run);
        crash_open_reader(run);
        read_number(run);
        crash_open(run);
        step(run, "a", 20 + i, i);
        read_number(run);
        if (i == 1) {
            crash_close(run);
        }
        crash_close_reader(run);
    }
    crash_open(run);
}

/* As after the death of the process: the next opening has commits to carry out again. */
void work_recovery(struct crash_run *run)
{
    struct ktm_txn *txn = NULL;
    for (uint32_t i = 0; i < 2; i++) {
        crash_close(run);
        crash_open_unclean(run);
        step(run, "a", 40 + i, i);
        txn = crash_begin(run);
        put(run, txn, "staged", 7000 + i);
        MUST(run, txfs_rename(txn, i == 0 ? "b" : "b-moved", i == 0 ? "b-moved" : "b",
                              TXIO_NOREPLACE, &run->err));
        MUST(run, txreg_create(txn, i == 0 ? "New" : "New\\Sub", NULL, NULL, &run->err));
        crash_commit(run, txn);
        crash_close(run);
        crash_open(run);
    }
}

void work_settings(struct crash_run *run)
{
    struct txstore_settings settings;
    txstore_get_settings(run->store, &settings);
    settings.history_count_max = 7;
    MUST(run, txstore_set_settings(run->store, &settings, &run->err));
    step(run, "a", 5, 1);
    crash_close(run);
    crash_open(run);
    step(run, "a", 6, 2);
}

/* --- Transactions ----------------------------------------------------------------------------- */

void work_mixed(struct crash_run *run)
{
    struct ktm_txn *txn = crash_begin(run);
    put(run, txn, "a", 100);
    put(run, txn, "big", 6000);
    MUST(run, txfs_unlink(txn, "dir/d", &run->err));
    MUST(run, txfs_mkdir(txn, "fresh", 0755, &run->err));
    put(run, txn, "fresh/file", 10);
    count_up(run, txn, 99);
    MUST(run, txreg_create(txn, "Software\\Gamma", NULL, NULL, &run->err));
    crash_commit(run, txn);
}

/* What an updater does. */
void work_install(struct crash_run *run)
{
    static const char *const replaced[] = {"a", "b", "dir/c", "dir/d", "dir/sub/e"};
    struct ktm_txn *txn = crash_begin(run);
    for (size_t i = 0; i < sizeof replaced / sizeof *replaced; i++) {
        put(run, txn, replaced[i], 40 + i * 1500);
    }
    MUST(run, txfs_rename(txn, "hard1", "dir/hard1", TXIO_REPLACE, &run->err));
    MUST(run, txfs_remove_tree(txn, "empty", &run->err));
    MUST(run, txfs_symlink(txn, "dir", "shortcut", &run->err));
    MUST(run, txreg_set_string(txn, "Software\\Alpha", "Version", "2.0", &run->err));
    count_up(run, txn, 2);
    crash_commit(run, txn);
}

void work_commits(struct crash_run *run)
{
    for (uint32_t i = 0; i < 5; i++) {
        step(run, i % 2 == 0 ? "a" : "dir/c", 30 + i, i);
    }
}

void work_checkpoint(struct crash_run *run)
{
    step(run, "a", 11, 1);
    MUST(run, txstore_checkpoint(run->store, &run->err));
    step(run, "a", 12, 2);
    step(run, "dir/c", 13, 3);
    MUST(run, txstore_checkpoint(run->store, &run->err));
    MUST(run, txstore_checkpoint(run->store, &run->err));
}

void work_segments(struct crash_run *run)
{
    for (uint32_t i = 0; i < 9; i++) {
        step(run, i % 2 == 0 ? "a" : "b", 3500, i);
    }
}

void work_recycle(struct crash_run *run)
{
    for (uint32_t i = 0; i < 8; i++) {
        step(run, "a", 3900, i);
        if (i % 3 == 2) {
            MUST(run, txstore_checkpoint(run->store, &run->err));
        }
    }
}

void work_savepoints(struct crash_run *run)
{
    struct ktm_txn *txn = crash_begin(run);
    put(run, txn, "a", 60);
    count_up(run, txn, 5);
    MUST(run, ktm_savepoint(txn, "s1", &run->err));
    put(run, txn, "large", 8000);
    MUST(run, txfs_unlink(txn, "b", &run->err));
    count_up(run, txn, 6);
    MUST(run, ktm_rollback_to(txn, "s1", &run->err));
    put(run, txn, "large", 7000);
    crash_commit(run, txn);
}

void work_rollback(struct crash_run *run)
{
    struct ktm_txn *txn = crash_begin(run);
    put(run, txn, "large", 9000);
    MUST(run, txfs_unlink(txn, "a", &run->err));
    count_up(run, txn, 5);
    ktm_rollback(txn);
    step(run, "b", 7000, 1);
}

/* --- Prepared --------------------------------------------------------------------------------- */

static struct ktm_id prepare_one(struct crash_run *run, size_t size)
{
    struct ktm_txn *txn = crash_begin(run);
    put(run, txn, "prepared", size);
    put(run, txn, "a", 20);
    count_up(run, txn, 1000);
    return crash_prepare(run, txn);
}

static void step_beside(struct crash_run *run, const char *path)
{
    struct ktm_txn *txn = crash_begin(run);
    put(run, txn, path, 33);
    crash_commit(run, txn);
}

void work_prepare_commit(struct crash_run *run)
{
    struct ktm_id id = prepare_one(run, 100);
    step_beside(run, "beside");
    crash_commit_prepared(run, &id);
    id = prepare_one(run, 9000);
    crash_commit_prepared(run, &id);
}

void work_prepare_rollback(struct crash_run *run)
{
    struct ktm_id id = prepare_one(run, 9000);
    step_beside(run, "beside");
    crash_rollback_prepared(run, &id);
    step(run, "a", 3, 3);
}

void work_prepare_reopen(struct crash_run *run)
{
    struct ktm_id first = prepare_one(run, 8000);
    crash_close(run);
    crash_open(run);
    step_beside(run, "beside");
    crash_close(run);
    crash_open(run);
    crash_commit_prepared(run, &first);
}

void work_prepare_checkpoint(struct crash_run *run)
{
    struct ktm_id id = prepare_one(run, 50);
    for (int i = 0; i < 5; i++) {
        step_beside(run, "beside");
        MUST(run, txstore_checkpoint(run->store, &run->err));
    }
    crash_commit_prepared(run, &id);
    MUST(run, txstore_checkpoint(run->store, &run->err));
}

/* --- Detached --------------------------------------------------------------------------------- */

static struct ktm_id detach_one(struct crash_run *run)
{
    struct ktm_txn *txn = crash_begin(run);
    put(run, txn, "detached", 9000);
    put(run, txn, "a", 20);
    count_up(run, txn, 2000);
    MUST(run, ktm_savepoint(txn, "here", &run->err));
    return crash_detach(run, txn);
}

static struct ktm_txn *attach(struct crash_run *run, const struct ktm_id *id)
{
    struct ktm_txn *txn = NULL;
    MUST(run, ktm_attach(txstore_ktm(run->store), id, &txn, &run->err));
    return txn;
}

void work_detach_commit(struct crash_run *run)
{
    struct ktm_id id = detach_one(run);
    step_beside(run, "beside");
    struct ktm_txn *txn = attach(run, &id);
    put(run, txn, "more", 40);
    (void)crash_detach(run, txn);
    crash_commit(run, attach(run, &id));
}

void work_detach_reopen(struct crash_run *run)
{
    struct ktm_id id = detach_one(run);
    crash_close(run);
    crash_open(run);
    struct ktm_txn *txn = attach(run, &id);
    put(run, txn, "more", 5000);
    crash_commit(run, txn);
}

void work_discard(struct crash_run *run)
{
    struct ktm_id id = detach_one(run);
    crash_doing(run);
    MUST(run, ktm_discard(txstore_ktm(run->store), &id, &run->err));
    crash_done(run);
    step_beside(run, "beside");
}

void work_revert(struct crash_run *run)
{
    struct ktm_txn *txn = crash_begin(run);
    tx_lsn lsn = 0;
    put(run, txn, "a", 90);
    MUST(run, txfs_unlink(txn, "b", &run->err));
    count_up(run, txn, 1);
    crash_doing(run);
    MUST(run, ktm_commit(txn, &lsn, &run->err));
    crash_done(run);
    step_beside(run, "beside");
    if (run->seed % 3 == 0) {
        return; /* no history is kept */
    }
    crash_doing(run);
    enum tx_status status = txstore_revert(run->store, lsn, NULL, &run->err);
    if (status != TX_OK && status != TX_ENOTFOUND) {
        crash_failed(run, status, "txstore_revert", __FILE__, __LINE__);
    }
    crash_done(run);
}
