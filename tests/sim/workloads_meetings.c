/* SPDX-License-Identifier: MIT */
/* Workloads in which several meet: transactions, snapshots, strangers, what a history holds. */
#include <stdio.h>
#include <stdlib.h>

#include <txkit/import.h>

#include "sim/workloads.h"

static void put(struct crash_run *run, struct ktm_txn *txn, const char *path, size_t size)
{
    MUST(run, txfs_put(txn, path, crash_bytes(run, size), size, NULL, &run->err));
}

static void step(struct crash_run *run, const char *path, size_t size)
{
    struct ktm_txn *txn = crash_begin(run);
    put(run, txn, path, size);
    crash_commit(run, txn);
}

static void reopen(struct crash_run *run)
{
    crash_close(run);
    crash_open(run);
}

/* --- Transactions ----------------------------------------------------------------------------- */

void work_interleaved(struct crash_run *run)
{
    struct ktm_txn *first = crash_begin(run);
    struct ktm_txn *second = crash_begin(run);
    put(run, first, "a", 40);
    put(run, second, "large", 6000);
    MUST(run, txfs_mkdir(first, "one", 0755, &run->err));
    MUST(run, txfs_rename(second, "b", "dir/b", TXIO_NOREPLACE, &run->err));
    put(run, first, "one/file", 5000);
    MUST(run, txreg_create(first, "One", NULL, NULL, &run->err));
    MUST(run, txreg_set_u32(second, "Software\\Alpha", "Number", 2, &run->err));
    crash_commit(run, second);
    crash_commit(run, first);
}

/* The later of two that change one file and one value aborts, and is repeated. */
void work_conflict(struct crash_run *run)
{
    struct ktm_txn *winner = crash_begin(run);
    struct ktm_txn *loser = crash_begin(run);
    put(run, loser, "a", 6000);
    put(run, loser, "beside", 30);
    put(run, winner, "a", 31);
    MUST(run, txreg_set_u32(winner, "Software\\Alpha", "Number", 2, &run->err));
    MUST(run, txreg_set_u32(loser, "Software\\Alpha", "Number", 3, &run->err));
    crash_commit(run, winner);
    enum tx_status status = ktm_commit(loser, NULL, &run->err);
    if (status != TX_ECONFLICT) {
        crash_failed(run, status, "a commit that conflicts", __FILE__, __LINE__);
    }
    step(run, "a", 6001);
}

static struct ktm_id prepare(struct crash_run *run, const char *path, const char *key)
{
    struct ktm_txn *txn = crash_begin(run);
    put(run, txn, path, 7000);
    MUST(run, txreg_create(txn, key, NULL, NULL, &run->err));
    return crash_prepare(run, txn);
}

/* Decided in the other order, by another opening, one each way. */
void work_two_prepared(struct crash_run *run)
{
    step(run, "b", 10); /* so that no segment ends at the opening: see work_readers */
    struct ktm_id first = prepare(run, "one", "One");
    struct ktm_id second = prepare(run, "two", "Two");
    reopen(run);
    crash_commit_prepared(run, &second);
    step(run, "beside", 20);
    crash_rollback_prepared(run, &first);
}

static struct ktm_id detach(struct crash_run *run, const char *path)
{
    struct ktm_txn *txn = crash_begin(run);
    put(run, txn, path, 5000);
    return crash_detach(run, txn);
}

void work_two_detached(struct crash_run *run)
{
    struct ktm_id first = detach(run, "one");
    struct ktm_id second = detach(run, "two");
    struct ktm_txn *txn = NULL;
    reopen(run);
    MUST(run, ktm_attach(txstore_ktm(run->store), &second, &txn, &run->err));
    put(run, txn, "one", 30);
    crash_commit(run, txn);
    crash_doing(run);
    MUST(run, ktm_discard(txstore_ktm(run->store), &first, &run->err));
    crash_done(run);
}

/* What a reader saw when it began stays readable: the log is kept for it, and recycled later. */
void work_snapshot(struct crash_run *run)
{
    struct ktm_txn *txn = NULL;
    struct txreg_key_info info;
    crash_open_reader(run);
    MUST(run, txstore_begin(run->reader, NULL, &txn, &run->err));
    for (unsigned i = 0; i < 6; i++) {
        step(run, i % 2 == 0 ? "a" : "dir/c", 3500 + i);
        MUST(run, txstore_checkpoint(run->store, &run->err));
    }
    MUST(run, txreg_query(txn, "Software\\Alpha", &info, &run->err));
    ktm_rollback(txn);
    crash_close_reader(run);
    MUST(run, txstore_checkpoint(run->store, &run->err));
    step(run, "b", 20);
}

/* --- Files ------------------------------------------------------------------------------------ */

/* One handle over savepoints: written, cut short, written again, undone, written on. */
void work_open_file(struct crash_run *run)
{
    struct ktm_txn *txn = crash_begin(run);
    MUST(run, txfs_open(txn, "big", TXFS_WRITE, 0, &run->file, &run->err));
    MUST(run, txfs_pwrite(run->file, crash_bytes(run, 900), 900, 8500, &run->err));
    MUST(run, ktm_savepoint(txn, "s", &run->err));
    MUST(run, txfs_ftruncate(run->file, 3000, &run->err));
    MUST(run, txfs_pwrite(run->file, crash_bytes(run, 9000), 9000, 4000, &run->err));
    MUST(run, ktm_rollback_to(txn, "s", &run->err));
    MUST(run, txfs_pwrite(run->file, crash_bytes(run, 10), 10, 20000, &run->err));
    MUST(run, crash_close_file(run));
    crash_commit(run, txn);
}

/* Directories moved into each other, with what is in them and with what is put into them. */
void work_deep_tree(struct crash_run *run)
{
    struct ktm_txn *txn = crash_begin(run);
    MUST(run, txfs_mkdir_parents(txn, "p/q/r/s", 0755, &run->err));
    put(run, txn, "p/q/r/s/file", 30);
    MUST(run, txfs_rename(txn, "dir", "p/q/dir", TXIO_NOREPLACE, &run->err));
    crash_commit(run, txn);
    txn = crash_begin(run);
    MUST(run, txfs_rename(txn, "p/q/r", "r", TXIO_NOREPLACE, &run->err));
    MUST(run, txfs_rename(txn, "p", "r/s/p", TXIO_NOREPLACE, &run->err));
    put(run, txn, "r/s/p/q/dir/sub/e", 5000);
    MUST(run, txfs_rename(txn, "r/s/p/q/dir/sub", "sub", TXIO_NOREPLACE, &run->err));
    crash_commit(run, txn);
    txn = crash_begin(run);
    MUST(run, txfs_remove_tree(txn, "r/s/p", &run->err));
    MUST(run, txfs_rename(txn, "sub", "r/s/p", TXIO_NOREPLACE, &run->err));
    crash_commit(run, txn);
}

/* One name, every kind of object after the other, with nothing between that makes them steady. */
void work_one_name(struct crash_run *run)
{
    for (unsigned i = 0; i < 6; i++) {
        struct ktm_txn *txn = crash_begin(run);
        if (i > 0) {
            MUST(run, txfs_remove_tree(txn, "name", &run->err));
        }
        if (i % 3 == 0) {
            put(run, txn, "name", 40 + 2500 * i);
        } else if (i % 3 == 1) {
            MUST(run, txfs_mkdir(txn, "name", 0755, &run->err));
            put(run, txn, "name/below", 10);
        } else {
            MUST(run, txfs_symlink(txn, "dir", "name", &run->err));
        }
        crash_commit(run, txn);
    }
}

/* --- Strangers -------------------------------------------------------------------------------- */

static void expect(struct crash_run *run, int64_t result, const char *what)
{
    if (result < 0) {
        (void)fprintf(stderr, "workload %s: %s: error %d\n", run->workload->name, what,
                      (int)-result);
        exit(1);
    }
}

static void sync_machine(struct crash_run *run)
{
    const struct txio_ops *ops = run->machine->ops;
    int fd = ops->open(run->machine, TXIO_CWD, "/", TXIO_DIRECTORY, 0);
    expect(run, fd, "open /");
    expect(run, ops->syncfs(run->machine, fd), "sync");
    expect(run, ops->close(run->machine, fd), "close");
}

/* Whoever writes here knows nothing of the library, and no error of ours is his. */
static void write_outside(struct crash_run *run, const char *path, size_t size)
{
    const struct txio_ops *ops = run->machine->ops;
    struct iovec part = {(void *)(uintptr_t)crash_bytes(run, size), size};
    int fd = ops->open(run->machine, TXIO_CWD, path, TXIO_WRITE | TXIO_CREATE, 0644);
    expect(run, fd, path);
    expect(run, ops->pwritev(run->machine, fd, &part, 1, 0), path);
    expect(run, ops->close(run->machine, fd), path);
}

static void stranger_moves(struct crash_run *run, const char *from, const char *to)
{
    crash_doing(run);
    expect(run, run->machine->ops->rename(run->machine, TXIO_CWD, from, TXIO_CWD, to, TXIO_REPLACE),
           from);
    sync_machine(run);
    crash_done(run);
}

/* A file is replaced right after a commit wrote it, another one beside it; a directory is moved
 * when all is steady. What he did stays, and what is committed after it. */
void work_stranger(struct crash_run *run)
{
    run->has_stranger = true;
    run->spared = true;
    write_outside(run, "/first", 50);
    write_outside(run, "/second", 6000);
    sync_machine(run);
    run->spared = false;
    step(run, "a", 5000);
    stranger_moves(run, "/first", CRASH_ROOT "/a");
    step(run, "b", 20);
    stranger_moves(run, "/second", CRASH_ROOT "/dir/new");
    step(run, "dir/new", 30);
    MUST(run, txstore_checkpoint(run->store, &run->err));
    stranger_moves(run, CRASH_ROOT "/dir", CRASH_ROOT "/moved");
    step(run, "moved/c", 40);
}

/* --- Import ----------------------------------------------------------------------------------- */

static void make_source(struct crash_run *run)
{
    const struct txio_ops *ops = run->machine->ops;
    run->spared = true;
    expect(run, ops->mkdir(run->machine, TXIO_CWD, "/src", 0755), "/src");
    expect(run, ops->mkdir(run->machine, TXIO_CWD, "/src/dir", 0755), "/src/dir");
    expect(run, ops->symlink(run->machine, "dir", TXIO_CWD, "/src/link"), "/src/link");
    write_outside(run, "/src/a", 60);
    write_outside(run, "/src/dir/c", 5000);
    write_outside(run, "/src/dir/one", 10);
    expect(run, ops->link(run->machine, TXIO_CWD, "/src/dir/one", TXIO_CWD, "/src/two"), "link");
    expect(run, ops->set_xattr(run->machine, TXIO_CWD, "/src/a", "user.x", "value", 5), "xattr");
    run->spared = false;
}

/* The tree becomes what the source is; what the source has not, goes. */
void work_import(struct crash_run *run)
{
    struct tximport_options options = {.flags = TXIMPORT_MIRROR};
    struct tximport_counts counts;
    make_source(run);
    struct ktm_txn *txn = crash_begin(run);
    MUST(run, tximport_directory(txn, "/src", "", &options, &counts, &run->err));
    crash_commit(run, txn);
}

/* --- History ---------------------------------------------------------------------------------- */

/* More commits than are kept; of those that are, the last but one is reverted, then the last. */
void work_history(struct crash_run *run)
{
    static const char *const paths[] = {"b", "a", "big", "dir/c"};
    struct txstore_settings settings;
    tx_lsn lsns[4];
    txstore_get_settings(run->store, &settings);
    settings.history_count_max = 3;
    MUST(run, txstore_set_settings(run->store, &settings, &run->err));
    reopen(run);
    for (unsigned i = 0; i < 4; i++) {
        struct ktm_txn *txn = crash_begin(run);
        put(run, txn, paths[i], 5000 + i);
        crash_doing(run);
        MUST(run, ktm_commit(txn, &lsns[i], &run->err));
        crash_done(run);
    }
    MUST(run, txstore_checkpoint(run->store, &run->err));
    for (unsigned i = 2; i < 4; i++) {
        crash_doing(run);
        MUST(run, txstore_revert(run->store, lsns[i], NULL, &run->err));
        crash_done(run);
    }
}
