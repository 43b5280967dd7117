/* SPDX-License-Identifier: MIT */
#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include "ktm_world.h"

TestSuite(ktm_barrier, .init = world_setup, .fini = world_teardown);

static enum tx_status try_commit_barrier(struct handle *at, uint32_t item, tx_lsn *lsn)
{
    struct ktm_txn *txn = txn_begin(at, 0);
    toy_entry(txn, 0, TOY_SET_WITH_BARRIER, item, 7);
    return ktm_commit(txn, lsn, ERR);
}

static tx_lsn commit_barrier(struct handle *at, uint32_t item)
{
    tx_lsn lsn = 0;
    ok(try_commit_barrier(at, item, &lsn));
    return lsn;
}

Test(ktm_barrier, everything_before_it_is_steady)
{
    commit_pair(&handle, 1, 1);
    commit_pair(&handle, 2, 1);
    uint64_t steadies = world->live[0]->steadies;
    tx_lsn lsn = commit_barrier(&handle, 3);
    cr_expect_eq(world->live[0]->steadies, steadies + 1);
    cr_expect_eq(world->live[0]->steady_lsn, lsn);
    cr_expect_eq(world->live[1]->steady_lsn, lsn);
}

Test(ktm_barrier, it_is_steady_before_the_next_commit)
{
    tx_lsn barrier = commit_barrier(&handle, 3);
    cr_expect_leq(world->live[0]->steady_lsn, barrier);
    tx_lsn lsn = commit_one(&handle, 0, 1, 1);
    cr_expect_eq(world->live[0]->steady_lsn, lsn);
    uint64_t steadies = world->live[0]->steadies;
    commit_one(&handle, 0, 1, 2);
    cr_expect_eq(world->live[0]->steadies, steadies, "once is enough");
}

Test(ktm_barrier, costs_nothing_when_all_is_steady)
{
    commit_pair(&handle, 1, 1);
    ok(ktm_checkpoint(handle.tm, ERR));
    uint64_t steadies = world->live[0]->steadies;
    commit_barrier(&handle, 3);
    cr_expect_eq(world->live[0]->steadies, steadies);
    commit_barrier(&handle, 4);
    cr_expect_eq(world->live[0]->steadies, steadies + 1);
}

Test(ktm_barrier, holds_for_decisions)
{
    struct ktm_txn *txn = txn_begin(&handle, 0);
    struct ktm_id id = ktm_txn_id(txn);
    tx_lsn lsn;
    toy_entry(txn, 0, TOY_SET_WITH_BARRIER, 3, 7);
    ok(ktm_prepare(txn, ERR));
    commit_one(&handle, 0, 1, 1);
    ok(ktm_commit_prepared(handle.tm, &id, &lsn, ERR));
    cr_expect_eq(world->live[0]->steady_lsn, lsn);
    tx_lsn next = commit_one(&handle, 0, 1, 2);
    cr_expect_eq(world->live[0]->steady_lsn, next);
}

Test(ktm_barrier, announced_by_one_who_died_it_blocks_nobody_for_long)
{
    struct ktm_shared *shared = handle.tm->shared;
    /* As a process leaves it that is killed between announcing and appending. */
    atomic_store(&shared->barrier, ktm_stamp(handle_log_info(&handle).append_lsn));
    commit_one(&handle, 0, 1, 1);
    uint64_t steadies = world->live[0]->steadies;
    commit_one(&handle, 0, 1, 2);
    cr_expect_leq(world->live[0]->steadies, steadies + 1, "in vain, but once");
    steadies = world->live[0]->steadies;
    commit_one(&handle, 0, 1, 3);
    cr_expect_eq(world->live[0]->steadies, steadies);
}

static void take_gate_and_die(void *arg)
{
    struct handle mine;
    (void)arg;
    handle_join(&mine, world, NULL);
    struct ktm_run run = {.tm = mine.tm};
    ktm_gate_take(&run);
    (void)kill(getpid(), SIGKILL);
}

Test(ktm_barrier, gate_of_a_dead_process_opens)
{
    cr_expect_eq(in_child(take_gate_and_die, NULL), 128 + SIGKILL);
    cr_expect_neq(atomic_load(&handle.tm->shared->gate), 0);
    commit_one(&handle, 0, 1, 1);
    cr_expect_eq(atomic_load(&handle.tm->shared->gate), 0);
    cr_expect_eq(in_child(take_gate_and_die, NULL), 128 + SIGKILL);
    commit_barrier(&handle, 3);
    cr_expect_eq(atomic_load(&handle.tm->shared->gate), 0);
}

Test(ktm_barrier, failing_checkpoint_aborts_and_opens_the_gate)
{
    tx_lsn lsn = 0;
    commit_pair(&handle, 1, 1);
    atomic_store(&world->live[1]->steady_status, TX_ENOMEM);
    fails(TX_ENOMEM, try_commit_barrier(&handle, 3, &lsn));
    cr_expect_eq(atomic_load(&handle.tm->shared->gate), 0);
    cr_expect_eq(toy_live_value(world, 0, 3), 0);
    commit_one(&handle, 0, 1, 2);
    atomic_store(&world->live[1]->steady_status, TX_OK);
    commit_barrier(&handle, 3);
}

struct crowd {
    struct handle *handle;
    uint32_t number;
};

static _Atomic bool stop;

static void *ordinary(void *arg)
{
    struct crowd *crowd = arg;
    for (uint32_t i = 1; !atomic_load(&stop); i++) {
        struct tx_error err;
        struct ktm_txn *txn;
        cr_assert_eq(ktm_begin(crowd->handle->tm, NULL, &txn, &err), TX_OK);
        toy_set(txn, 1, 100 + crowd->number, i);
        cr_assert_eq(ktm_commit(txn, NULL, &err), TX_OK, "%s", err.text);
    }
    return NULL;
}

/* Commits whose record must be alone between two steady points. */
static void *barriers(void *arg)
{
    struct crowd *crowd = arg;
    for (uint32_t i = 0; i < 10; i++) {
        struct tx_error err;
        struct ktm_txn *txn;
        tx_lsn lsn;
        cr_assert_eq(ktm_begin(crowd->handle->tm, NULL, &txn, &err), TX_OK);
        toy_entry(txn, 0, TOY_SET_WITH_BARRIER, 200 + crowd->number, i);
        cr_assert_eq(ktm_commit(txn, &lsn, &err), TX_OK, "%s", err.text);
    }
    return NULL;
}

Test(ktm_barrier, gets_through_a_crowd)
{
    pthread_t threads[6];
    struct crowd crowds[6];
    struct handle other;
    handle_join(&other, world, NULL);
    for (uint32_t i = 0; i < 6; i++) {
        crowds[i] = (struct crowd){i % 2 ? &other : &handle, i};
        cr_assert_eq(pthread_create(&threads[i], NULL, i < 4 ? ordinary : barriers, &crowds[i]),
                     0);
    }
    (void)pthread_join(threads[4], NULL);
    (void)pthread_join(threads[5], NULL);
    atomic_store(&stop, true);
    for (unsigned i = 0; i < 4; i++) {
        (void)pthread_join(threads[i], NULL);
    }
    handle_close(&other);
    handle_reboot(&handle);
}
