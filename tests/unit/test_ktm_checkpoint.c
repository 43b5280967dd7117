/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <signal.h>
#include <unistd.h>

#include "ktm_world.h"
#include "sim/fault.h"

TestSuite(ktm_checkpoint, .init = world_setup, .fini = world_teardown);

Test(ktm_checkpoint, makes_all_steady_and_trims_to_the_end)
{
    commit_pair(&handle, 1, 5);
    ok(ktm_checkpoint(handle.tm, ERR));
    struct txlog_info info = handle_log_info(&handle);
    cr_expect_eq(info.start_lsn, info.append_lsn);
    for (unsigned toy = 0; toy < TOYS; toy++) {
        cr_expect_eq(world->live[toy]->steady_lsn, info.append_lsn);
        cr_expect_eq(world->live[toy]->trim_lsn, info.append_lsn);
        cr_expect_eq(world->live[toy]->trim_oldest, info.append_lsn);
    }
    handle_reboot(&handle);
    cr_expect_eq(handle.recovery.commits_redone, 0);
    cr_expect_eq(toy_live_value(world, 0, 1), 5);
}

Test(ktm_checkpoint, keeps_the_log_that_a_reader_needs)
{
    commit_pair(&handle, 1, 1);
    struct ktm_txn *reader = txn_begin(&handle, 0);
    tx_lsn snapshot = ktm_txn_snapshot(reader);
    commit_pair(&handle, 1, 2);
    ok(ktm_checkpoint(handle.tm, ERR));
    cr_expect_eq(handle_log_info(&handle).start_lsn, snapshot);
    cr_expect_eq(world->live[0]->trim_oldest, snapshot);
    cr_expect_gt(world->live[0]->steady_lsn, snapshot);
    ktm_rollback(reader);
    ok(ktm_checkpoint(handle.tm, ERR));
    cr_expect_eq(handle_log_info(&handle).start_lsn, handle_log_info(&handle).append_lsn);
}

Test(ktm_checkpoint, does_nothing_twice)
{
    commit_pair(&handle, 1, 1);
    ok(ktm_checkpoint(handle.tm, ERR));
    uint64_t steadies = world->live[0]->steadies;
    ok(ktm_checkpoint(handle.tm, ERR));
    cr_expect_eq(world->live[0]->steadies, steadies);
}

static void append_and_die(void *arg)
{
    struct handle mine;
    tx_lsn lsn, next;
    TX_AUTO(tx_buf) head = TX_BUF_INIT;
    struct ktm_header header = {.epoch = 1, .sequence = 777};
    (void)arg;
    handle_join(&mine, world, NULL);
    ok(ktm_header_encode(&header, "", &head, ERR));
    struct iovec part = {head.data, head.size};
    ok(txlog_append_begin(mine.log, head.size, &lsn, ERR));
    ok(txlog_append(mine.log, KTM_COMMIT, &part, 1, &next, ERR));
    txlog_append_end(mine.log);
    (void)kill(getpid(), SIGKILL);
}

Test(ktm_checkpoint, forces_what_a_dead_process_appended)
{
    cr_expect_eq(in_child(append_and_die, NULL), 128 + SIGKILL);
    cr_expect_lt(handle_log_info(&handle).durable_lsn, handle_log_info(&handle).append_lsn);
    ok(ktm_checkpoint(handle.tm, ERR));
    struct txlog_info info = handle_log_info(&handle);
    cr_expect_eq(info.durable_lsn, info.append_lsn);
    cr_expect_eq(ktm_published(handle.tm), info.append_lsn);
}

static enum tx_status steady_failing(enum tx_status cause)
{
    commit_pair(&handle, 1, 5);
    tx_lsn start = handle_log_info(&handle).start_lsn;
    atomic_store(&world->live[1]->steady_status, cause);
    enum tx_status status = ktm_checkpoint(handle.tm, ERR);
    cr_expect_eq(handle_log_info(&handle).start_lsn, start, "the log is kept");
    atomic_store(&world->live[1]->steady_status, TX_OK);
    return status;
}

/* A process whose wait for the checkpoint lock lasts for what another does meanwhile. */
struct late_io {
    struct txio io; /* first */
    struct txio_ops ops;
    void (*meanwhile)(void); /* NULL: no wait */
};
static struct late_io late;

static void commit_and_checkpoint(void)
{
    commit_pair(&handle, 1, 2);
    ok(ktm_checkpoint(handle.tm, ERR));
}

static void fail_to_checkpoint(void)
{
    fails(TX_EIO, steady_failing(TX_EIO));
}

static int lock_late(struct txio *io, int fd, uint64_t byte, enum txio_lock_mode mode, bool wait)
{
    void (*meanwhile)(void) = late.meanwhile;
    if (meanwhile && byte == TXIO_LOCK_CHECKPOINT && mode == TXIO_EXCLUSIVE_LOCK) {
        late.meanwhile = NULL;
        meanwhile();
    }
    return txio_posix()->ops->lock(io, fd, byte, mode, wait);
}

static void join_late(struct handle *other)
{
    late.ops = *txio_posix()->ops;
    late.ops.lock = lock_late;
    late.io.ops = &late.ops;
    handle_join(other, world, &late.io);
}

Test(ktm_checkpoint, one_that_waited_for_another_goes_on_from_its_end)
{
    struct handle other;
    join_late(&other);
    commit_pair(&handle, 1, 1);
    late.meanwhile = commit_and_checkpoint;
    ok(ktm_checkpoint(other.tm, ERR));
    cr_assert_null(late.meanwhile);
    struct txlog_info info = handle_log_info(&handle);
    cr_expect_eq(info.start_lsn, info.append_lsn);
    for (unsigned toy = 0; toy < TOYS; toy++) {
        cr_expect_eq(world->live[toy]->steady_lsn, info.append_lsn, "not what it saw before");
    }
    handle_close(&other);
    handle_reboot(&handle);
    cr_expect_eq(toy_live_value(world, 0, 1), 2);
}

/* A sync that failed in the other one would succeed now, and be a lie. */
Test(ktm_checkpoint, one_that_waited_for_another_that_failed_syncs_nothing)
{
    struct handle other;
    join_late(&other);
    late.meanwhile = fail_to_checkpoint;
    tx_lsn before = world->live[1]->steady_lsn;
    fails(TX_EPOISONED, ktm_checkpoint(other.tm, ERR));
    cr_assert_null(late.meanwhile);
    cr_expect_eq(world->live[1]->steady_lsn, before);
    handle_close(&other);
    handle_reboot(&handle);
    cr_expect_eq(toy_live_value(world, 0, 1), 5);
}

Test(ktm_checkpoint, lack_of_memory_is_no_harm)
{
    fails(TX_ENOMEM, steady_failing(TX_ENOMEM));
    ok(ktm_checkpoint(handle.tm, ERR));
    cr_expect_eq(handle_log_info(&handle).start_lsn, handle_log_info(&handle).append_lsn);
}

Test(ktm_checkpoint, failure_to_become_steady_poisons)
{
    struct ktm_txn *txn;
    fails(TX_EIO, steady_failing(TX_EIO));
    fails(TX_EPOISONED, ktm_checkpoint(handle.tm, ERR));
    fails(TX_EPOISONED, ktm_begin(handle.tm, NULL, &txn, ERR));
    handle_reboot(&handle);
    cr_expect_eq(toy_live_value(world, 1, 1), 5);
}

Test(ktm_checkpoint, publishes_what_a_full_disk_held_up)
{
    struct ktm_txn *txn = txn_begin(&handle, 0);
    toy_set(txn, 0, 1, 5);
    atomic_store(&world->live[0]->redo_status, TX_ENOSPC);
    fails(TX_EPENDING, ktm_commit(txn, NULL, ERR));
    fails(TX_ENOSPC, ktm_checkpoint(handle.tm, ERR));
    atomic_store(&world->live[0]->redo_status, TX_OK);
    ok(ktm_checkpoint(handle.tm, ERR));
    cr_expect_eq(toy_live_value(world, 0, 1), 5);
}

static void stage_and_die(void *arg)
{
    struct handle mine;
    int dir;
    (void)arg;
    handle_join(&mine, world, NULL);
    struct ktm_txn *txn = txn_begin(&mine, 0);
    ok(ktm_txn_staging(txn, &dir, ERR));
    make_file(dir, "p1", "payload");
    (void)kill(getpid(), SIGKILL);
}

static unsigned directories(void)
{
    TX_AUTO(tx_buf) ids = TX_BUF_INIT;
    ok(ktm_staging_list(handle.tm, &ids, ERR));
    return (unsigned)(ids.size / sizeof(struct ktm_id));
}

Test(ktm_checkpoint, sweeps_what_the_dead_staged_and_leaves_the_living)
{
    struct handle other;
    int dir;
    cr_expect_eq(in_child(stage_and_die, NULL), 128 + SIGKILL);
    handle_join(&other, world, NULL);
    struct ktm_txn *mine = txn_begin(&handle, 0);
    struct ktm_txn *theirs = txn_begin(&other, 0);
    ok(ktm_txn_staging(mine, &dir, ERR));
    ok(ktm_txn_staging(theirs, &dir, ERR));
    cr_expect_eq(directories(), 3);
    ok(ktm_checkpoint(handle.tm, ERR));
    cr_expect_eq(directories(), 2);
    ktm_rollback(mine);
    ktm_rollback(theirs);
    cr_expect_eq(directories(), 0);
    handle_close(&other);
}

/* The record was written although the write failed: recovery finds it, and needs what it names. A
 * checkpoint of another thread may have come as far as its sweep by then. */
Test(ktm_checkpoint, keeps_the_payloads_of_a_record_that_may_be_there)
{
    struct fault_layer fault;
    struct handle failing;
    uint64_t removed = 0;
    int dir;
    fault_init(&fault, txio_posix(), false);
    handle_join(&failing, world, &fault.layer.io);
    struct ktm_txn *txn = txn_begin(&failing, 0);
    toy_set(txn, 0, 1, 2);
    ok(ktm_txn_staging(txn, &dir, ERR));
    make_file(dir, "p1", "payload");
    (void)fault_add(&fault, &(struct fault_rule){.ops = LAYER_BIT(pwritev), .part = ".seg",
                                                 .nth = 1, .kind = FAULT_ERRNO_AFTER,
                                                 .os_errno = EIO});
    fails(TX_EOUTCOME, ktm_commit(txn, NULL, ERR));
    ok(ktm_sweep(failing.tm, &removed, ERR));
    cr_expect_eq(removed, 0);
    cr_expect_eq(directories(), 1);
    handle_close(&failing);
    fault_release(&fault);
}

Test(ktm_checkpoint, keeps_the_payloads_of_commits_that_are_not_trimmed)
{
    int dir;
    struct ktm_txn *reader = txn_begin(&handle, 0);
    struct ktm_txn *txn = txn_begin(&handle, 0);
    toy_set(txn, 0, 1, 5);
    ok(ktm_txn_staging(txn, &dir, ERR));
    make_file(dir, "p1", "payload");
    ok(ktm_commit(txn, NULL, ERR));
    cr_expect_eq(directories(), 1);
    ok(ktm_checkpoint(handle.tm, ERR));
    cr_expect_eq(directories(), 1, "the reader pins the record");
    ktm_rollback(reader);
    ok(ktm_checkpoint(handle.tm, ERR));
    cr_expect_eq(directories(), 0);
}

Test(ktm_checkpoint, recovery_sweeps_too)
{
    cr_expect_eq(in_child(stage_and_die, NULL), 128 + SIGKILL);
    make_file(world->temp.fd, "tx/foreign", "not ours");
    handle_reboot(&handle);
    cr_expect_eq(handle.recovery.discarded, 1);
    cr_expect_eq(directories(), 0);
    cr_expect(store_has(world, "tx/foreign"));
}
