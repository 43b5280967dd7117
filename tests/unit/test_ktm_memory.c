/* SPDX-License-Identifier: MIT */
/*
 * Memory runs out at each allocation in turn. Whatever is answered is true: what is said to be
 * aborted is never seen, what is said to be committed is there, and nothing leaks.
 */
#include "failing_alloc.h"
#include "ktm_world.h"

static void setup(void)
{
    world_setup();
    commit_pair(&handle, 1, 1);
}

TestSuite(ktm_memory, .init = setup, .fini = world_teardown, .timeout = 120);

static enum tx_status try_pair(uint64_t value, struct ktm_txn **txn)
{
    TX_TRY(ktm_begin(handle.tm, NULL, txn, ERR));
    TX_TRY(toy_try_set(*txn, 0, 1, value));
    TX_TRY(ktm_savepoint(*txn, "mark", ERR));
    return toy_try_set(*txn, 1, 1, value);
}

static bool committed(enum tx_status status)
{
    return status == TX_OK || status == TX_EPENDING;
}

Test(ktm_memory, commit_tells_the_truth)
{
    bool failed = true;
    unsigned pending = 0;
    for (size_t n = 0; failed; n++) {
        struct ktm_txn *txn = NULL;
        commit_pair(&handle, 1, 1);
        failing_alloc_begin(n);
        enum tx_status status = try_pair(2, &txn);
        if (status == TX_OK) {
            status = ktm_commit(txn, NULL, ERR);
        } else {
            ktm_rollback(txn);
        }
        long in_use = failing_alloc.in_use;
        failed = failing_alloc_end();
        cr_assert(status == TX_ENOMEM || committed(status), "%s", tx_status_name(status));
        cr_assert_eq(in_use, 0, "allocation %zu", n);
        pending += status == TX_EPENDING;
        txn = txn_begin(&handle, 0);
        cr_assert_eq(toy_get(txn, 0, 1), committed(status) ? 2 : 1, "allocation %zu", n);
        cr_assert_eq(toy_get(txn, 1, 1), committed(status) ? 2 : 1);
        ktm_rollback(txn);
    }
    cr_expect_eq(pending, 0, "a commit needs no memory after the force");
}

Test(ktm_memory, prepare_and_decision_tell_the_truth)
{
    bool failed = true;
    for (size_t n = 0; failed; n++) {
        struct ktm_txn *txn = NULL;
        struct ktm_id id = {0, 0};
        commit_pair(&handle, 1, 1);
        failing_alloc_begin(n);
        enum tx_status prepared = try_pair(2, &txn), status = TX_ENOTFOUND;
        if (prepared == TX_OK) {
            id = ktm_txn_id(txn);
            prepared = ktm_prepare(txn, ERR);
        } else {
            ktm_rollback(txn);
        }
        if (prepared == TX_OK) {
            status = ktm_commit_prepared(handle.tm, &id, NULL, ERR);
        }
        failed = failing_alloc_end();
        enum tx_status again = ktm_rollback_prepared(handle.tm, &id, ERR);
        cr_assert_eq(again, prepared == TX_OK && !committed(status) ? TX_OK : TX_ENOTFOUND,
                     "allocation %zu: %s, %s, %s", n, tx_status_name(prepared),
                     tx_status_name(status), tx_status_name(again));
        txn = txn_begin(&handle, 0);
        cr_assert_eq(toy_get(txn, 0, 1), committed(status) ? 2 : 1);
        cr_assert_eq(toy_get(txn, 1, 1), committed(status) ? 2 : 1);
        ktm_rollback(txn);
    }
}

Test(ktm_memory, detaching_and_attaching_lose_nothing)
{
    bool failed = true;
    for (size_t n = 0; failed; n++) {
        struct ktm_txn *txn = NULL;
        ok(try_pair(2, &txn));
        struct ktm_id id = ktm_txn_id(txn);
        failing_alloc_begin(n);
        enum tx_status detached = ktm_detach(txn, ERR), attached = TX_ENOTFOUND;
        if (detached == TX_OK) {
            attached = ktm_attach(handle.tm, &id, &txn, ERR);
        }
        failed = failing_alloc_end();
        cr_assert(detached == TX_OK || detached == TX_ENOMEM, "%s", test_err.text);
        if (detached == TX_OK && attached != TX_OK) {
            cr_assert_eq(attached, TX_ENOMEM, "%s", test_err.text);
            ok(ktm_attach(handle.tm, &id, &txn, ERR));
        }
        cr_assert_eq(toy_get(txn, 0, 1), 2);
        cr_assert_eq(toy_get(txn, 1, 1), 2);
        ktm_rollback(txn);
    }
}

Test(ktm_memory, checkpoint_and_recovery_can_be_repeated)
{
    bool failed = true;
    for (size_t n = 0; failed; n++) {
        commit_pair(&handle, 1, n);
        failing_alloc_begin(n);
        enum tx_status status = ktm_checkpoint(handle.tm, ERR);
        failed = failing_alloc_end();
        cr_assert(status == TX_OK || status == TX_ENOMEM, "%s", test_err.text);
        ok(ktm_checkpoint(handle.tm, ERR));
    }
    failed = true;
    for (size_t n = 0; failed; n++) {
        struct ktm_recovery report;
        commit_pair(&handle, 1, n);
        failing_alloc_begin(n);
        enum tx_status status = ktm_recover(handle.tm, &report, ERR);
        failed = failing_alloc_end();
        cr_assert(status == TX_OK || status == TX_ENOMEM, "%s", test_err.text);
        ok(ktm_recover(handle.tm, &report, ERR));
        cr_assert_eq(toy_live_value(world, 0, 1), n);
        cr_assert_eq(toy_live_value(world, 1, 1), n);
    }
}
