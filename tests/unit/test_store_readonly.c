/* SPDX-License-Identifier: MIT */
/* Stores opened read-only: at rest when they were closed properly, and recovered by the first that
 * may write while the readers go on. */
#include <errno.h>
#include <sys/wait.h>
#include <unistd.h>

#include "store_fixture.h"

#include "base/buf.h"
#include "sim/fault.h"
#include "sim/sim.h"

#define ROOT "/r"

static void setup(void)
{
    fixture_make(NULL);
}

TestSuite(store_readonly, .init = setup, .fini = fixture_remove, .timeout = 120);

static struct txstore *open_reader(struct txio *io, const char *root)
{
    struct txstore_options options = {.io = io, .mode = TXSTORE_READONLY};
    struct txstore *store = NULL;
    must(txstore_open(root, &options, &store, &fixture_err));
    return store;
}

static struct txstore *reader(void)
{
    return open_reader(&counting.base, fixture_root);
}

static enum tx_status try_put(struct txstore *store, uint32_t value)
{
    struct ktm_txn *txn = NULL;
    must(txstore_begin(store, NULL, &txn, &fixture_err));
    must(txfs_put(txn, "file", &value, sizeof value, NULL, &fixture_err));
    must(txreg_create(txn, "Key", NULL, NULL, &fixture_err));
    must(txreg_set_u32(txn, "Key", "value", value, &fixture_err));
    return ktm_commit(txn, NULL, &fixture_err);
}

static void put(struct txstore *store, uint32_t value)
{
    must(try_put(store, value));
}

static void expect_in(struct ktm_txn *txn, uint32_t value)
{
    TX_AUTO(tx_buf) data = TX_BUF_INIT;
    struct txfs_file *file = NULL;
    uint32_t content = 0;
    uint32_t type;
    size_t done = 0;
    must(txfs_open(txn, "file", TXFS_READ, 0, &file, &fixture_err));
    must(txfs_pread(file, &content, sizeof content, 0, &done, &fixture_err));
    txfs_abandon(file);
    must(txreg_get(txn, "Key", "value", &type, &data, &fixture_err));
    cr_expect_eq(content, value, "file: %u instead of %u", content, value);
    cr_assert_eq(data.size, sizeof value);
    cr_expect_eq(memcmp(data.data, &value, sizeof value), 0);
}

static void expect(struct txstore *store, uint32_t value)
{
    struct ktm_txn *txn = NULL;
    must(txstore_begin(store, NULL, &txn, &fixture_err));
    expect_in(txn, value);
    ktm_rollback(txn);
}

static bool is_at_rest(struct txstore *store)
{
    struct txlog_info info;
    txlog_get_info(txstore_log(store), &info);
    return info.at_rest;
}

static uint64_t epoch_of(struct txstore *store)
{
    struct txlog_info info;
    txlog_get_info(txstore_log(store), &info);
    return info.identity.epoch;
}

/* Commit `value` and close properly. */
static void leave(uint32_t value)
{
    struct txstore *store = fixture_open();
    put(store, value);
    fixture_close(store);
}

/* Commit `value` in a process that dies with the store open. */
static void leave_unclean(uint32_t value)
{
    pid_t pid = fork();
    if (pid == 0) {
        put(fixture_open(), value);
        _exit(0);
    }
    int status;
    cr_assert_eq(waitpid(pid, &status, 0), pid);
    cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

Test(store_readonly, a_store_that_was_closed_is_read_without_a_flush)
{
    struct txstore_recovery recovery;
    leave(7);
    uint64_t forces = fixture_forces();
    struct txstore *store = reader();
    struct txstore *other = reader();
    txstore_get_recovery(store, &recovery);
    cr_expect_not(recovery.performed);
    cr_expect(is_at_rest(store));
    expect(store, 7);
    expect(other, 7);
    fixture_close(store);
    expect(other, 7);
    fixture_close(other);
    cr_expect_eq(fixture_forces(), forces);
}

Test(store_readonly, a_store_that_was_not_closed_is_recovered_and_left_clean)
{
    struct txstore_recovery recovery;
    leave(1);
    leave_unclean(8);
    struct txstore *store = reader();
    txstore_get_recovery(store, &recovery);
    cr_expect(recovery.performed);
    cr_expect_eq(recovery.ktm.commits_redone, 1);
    cr_expect_not(is_at_rest(store));
    expect(store, 8);
    fixture_close(store);
    uint64_t forces = fixture_forces();
    store = reader();
    cr_expect(is_at_rest(store));
    fixture_close(store);
    cr_expect_eq(fixture_forces(), forces);
}

Test(store_readonly, changes_are_refused)
{
    struct txstore_options options = {.mode = TXSTORE_READONLY};
    struct txstore_settings settings;
    struct txstore *store = NULL;
    struct ktm_txn *txn = NULL;
    leave(1);
    must(txstore_open(fixture_root, &options, &store, &fixture_err));
    must(txstore_begin(store, NULL, &txn, &fixture_err));
    cr_expect_eq(txfs_unlink(txn, "file", &fixture_err), TX_EREADONLY);
    cr_expect_eq(txreg_set_u32(txn, "Key", "value", 2, &fixture_err), TX_EREADONLY);
    cr_expect_eq(ktm_detach(txn, &fixture_err), TX_EREADONLY);
    ktm_rollback(txn);
    txstore_get_settings(store, &settings);
    cr_expect_eq(txstore_checkpoint(store, &fixture_err), TX_EREADONLY);
    cr_expect_eq(ktm_checkpoint(txstore_ktm(store), &fixture_err), TX_EREADONLY);
    cr_expect_eq(txstore_set_settings(store, &settings, &fixture_err), TX_EREADONLY);
    expect(store, 1);
    fixture_close(store);
}

Test(store_readonly, a_reader_keeps_its_snapshot_and_sees_what_comes_next)
{
    struct ktm_txn *before = NULL;
    leave(1);
    struct txstore *store = reader();
    must(txstore_begin(store, NULL, &before, &fixture_err));
    struct txstore *writer = fixture_open();
    cr_expect_not(is_at_rest(store));
    for (uint32_t value = 2; value < 40; value++) {
        put(writer, value);
        must(txstore_checkpoint(writer, &fixture_err));
        expect(store, value);
    }
    expect_in(before, 1);
    ktm_rollback(before);
    fixture_close(writer);
    expect(store, 39);
    fixture_close(store); /* the last one out, though it only read */
    uint64_t forces = fixture_forces();
    store = reader();
    cr_expect(is_at_rest(store));
    expect(store, 39);
    fixture_close(store);
    cr_expect_eq(fixture_forces(), forces);
}

/* No identifier is given twice: the epoch is that of the first writer, in control before anything
 * else, however many readers came before. */
Test(store_readonly, each_first_writer_begins_an_epoch)
{
    leave(1);
    struct txstore *writer = fixture_open();
    uint64_t epoch = epoch_of(writer);
    fixture_close(writer);
    for (uint64_t i = 1; i < 4; i++) {
        struct txstore *store = reader();
        cr_expect_eq(epoch_of(store), 0);
        writer = fixture_open();
        cr_expect_eq(epoch_of(writer), epoch + i);
        put(writer, (uint32_t)i);
        struct txstore *second = fixture_open();
        cr_expect_eq(epoch_of(second), epoch + i);
        fixture_close(second);
        fixture_close(writer);
        fixture_close(store);
    }
}

Test(store_readonly, what_was_prepared_is_listed_at_rest_and_decided_by_the_first_writer)
{
    struct ktm_txn *txn = NULL;
    struct ktm_txn_info info;
    struct txstore *writer = fixture_open();
    uint32_t value = 5;
    put(writer, 4);
    must(txstore_begin(writer, NULL, &txn, &fixture_err));
    must(txfs_put(txn, "file", &value, sizeof value, NULL, &fixture_err));
    must(txreg_set_u32(txn, "Key", "value", value, &fixture_err));
    struct ktm_id id = ktm_txn_id(txn);
    must(ktm_prepare(txn, &fixture_err));
    fixture_close(writer);
    struct txstore *store = reader();
    cr_assert(is_at_rest(store));
    must(ktm_query(txstore_ktm(store), &id, &info, &fixture_err));
    cr_expect_eq(info.state, KTM_IN_DOUBT);
    cr_expect_eq(ktm_commit_prepared(txstore_ktm(store), &id, NULL, &fixture_err), TX_EREADONLY);
    expect(store, 4);
    writer = fixture_open();
    must(ktm_commit_prepared(txstore_ktm(writer), &id, NULL, &fixture_err));
    expect(store, 5);
    fixture_close(writer);
    fixture_close(store);
}

/* A committed transaction that nobody carried out: who reads it through the library finds it. */
Test(store_readonly, a_reader_carries_out_what_a_dead_writer_committed)
{
    leave(1);
    struct txstore *store = reader();
    leave_unclean(2);
    expect(store, 2);
    fixture_close(store);
    store = reader();
    expect(store, 2);
    fixture_close(store);
}

/* --- The first writer fails at some call ------------------------------------------------------ */

/* False when opening has fewer calls than that. */
static bool fail_the(uint64_t nth, int os_errno)
{
    struct fault_layer fault;
    struct sim_options sim = SIM_OPTIONS_DEFAULT;
    uint64_t faults = 0;
    struct txio *io = sim_new(&sim);
    must(txio_mkdir(io, TXIO_CWD, ROOT, 0755, &fixture_err));
    must(txstore_init(io, ROOT, NULL, NULL, &fixture_err));
    fault_init(&fault, io, true);
    struct txstore_options options = {.io = io};
    struct txstore_options failing = {.io = &fault.layer.io};
    struct txstore *writer = NULL;
    must(txstore_open(ROOT, &options, &writer, &fixture_err));
    put(writer, 1);
    must(txstore_close(writer, &fixture_err));
    struct txstore *store = open_reader(io, ROOT);
    expect(store, 1);
    struct fault_rule *rule = fault_add(
        &fault, &(struct fault_rule){.ops = FAULT_ALL_OPS, .nth = nth, .times = 1,
                                     .kind = FAULT_ERRNO, .os_errno = os_errno});
    enum tx_status status = txstore_open(ROOT, &failing, &writer, &fixture_err);
    bool fired = rule->fired > 0;
    cr_expect(fired || status == TX_OK, "%s", fixture_err.text);
    if (status == TX_OK) {
        fault_clear(&fault);
        put(writer, 2);
        must(txstore_close(writer, &fixture_err));
        expect(store, 2);
    } else if (txlog_is_poisoned(txstore_log(store))) {
        must(txstore_close(store, &fixture_err));
        store = open_reader(io, ROOT);
        expect(store, 1);
    } else {
        expect(store, 1);
    }
    fault_release(&fault);
    must(txstore_open(ROOT, &options, &writer, &fixture_err));
    put(writer, 3);
    expect(store, 3);
    must(txstore_close(writer, &fixture_err));
    must(txstore_close(store, &fixture_err));
    must(txstore_check(io, ROOT, NULL, NULL, NULL, &faults, &fixture_err));
    cr_expect_eq(faults, 0, "call %lu", (unsigned long)nth);
    sim_free(io);
    return fired;
}

Test(store_readonly, readers_and_the_next_writer_outlive_one_that_fails_to_open)
{
    static const int errors[] = {EIO, ENOSPC, EMFILE};
    for (size_t i = 0; i < sizeof errors / sizeof *errors; i++) {
        uint64_t nth = 1;
        while (fail_the(nth, errors[i])) {
            nth++;
        }
        cr_expect_gt(nth, 30, "opening has more calls than that");
    }
}
