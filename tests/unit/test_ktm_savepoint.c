/* SPDX-License-Identifier: MIT */
#include "ktm_world.h"

TestSuite(ktm_savepoint, .init = world_setup, .fini = world_teardown);

Test(ktm_savepoint, going_back_covers_all_resource_managers)
{
    struct ktm_txn *txn = txn_begin(&handle, 0);
    toy_set(txn, 0, 1, 10);
    toy_set(txn, 1, 1, 10);
    ok(ktm_savepoint(txn, "mark", ERR));
    toy_set(txn, 0, 1, 20);
    toy_set(txn, 1, 2, 20);
    cr_expect_eq(toy_get(txn, 1, 2), 20);
    ok(ktm_rollback_to(txn, "mark", ERR));
    cr_expect_eq(toy_get(txn, 0, 1), 10);
    cr_expect_eq(toy_get(txn, 1, 2), 0);
    toy_set(txn, 1, 3, 30);
    ok(ktm_commit(txn, NULL, ERR));
    cr_expect_eq(toy_live_value(world, 0, 1), 10);
    cr_expect_eq(toy_live_value(world, 1, 1), 10);
    cr_expect_eq(toy_live_value(world, 1, 2), 0);
    cr_expect_eq(toy_live_value(world, 1, 3), 30);
}

Test(ktm_savepoint, what_was_cached_before_the_mark_stays_before_it)
{
    struct ktm_txn *txn = txn_begin(&handle, 0);
    toy_cache(txn, 0, 1, 10);
    ok(ktm_savepoint(txn, "mark", ERR));
    toy_cache(txn, 0, 1, 20);
    ok(ktm_rollback_to(txn, "mark", ERR));
    cr_expect_eq(toy_get(txn, 0, 1), 10);
    ok(ktm_commit(txn, NULL, ERR));
    cr_expect_eq(toy_live_value(world, 0, 1), 10);
}

Test(ktm_savepoint, the_mark_stays_and_later_marks_go)
{
    struct ktm_txn *txn = txn_begin(&handle, 0);
    ok(ktm_savepoint(txn, "empty", ERR));
    toy_set(txn, 0, 1, 1);
    ok(ktm_savepoint(txn, "one", ERR));
    toy_set(txn, 0, 1, 2);
    ok(ktm_savepoint(txn, "two", ERR));
    toy_set(txn, 0, 1, 3);
    ok(ktm_rollback_to(txn, "one", ERR));
    cr_expect_eq(toy_get(txn, 0, 1), 1);
    fails(TX_ENOTFOUND, ktm_rollback_to(txn, "two", ERR));
    ok(ktm_rollback_to(txn, "one", ERR));
    ok(ktm_rollback_to(txn, "empty", ERR));
    cr_expect_eq(toy_get(txn, 0, 1), 0);
    fails(TX_ENOTFOUND, ktm_rollback_to(txn, "one", ERR));
    tx_lsn lsn = 1;
    ok(ktm_commit(txn, &lsn, ERR));
    cr_expect_eq(lsn, 0);
}

Test(ktm_savepoint, the_same_name_moves_the_mark)
{
    struct ktm_txn *txn = txn_begin(&handle, 0);
    ok(ktm_savepoint(txn, "a", ERR));
    toy_set(txn, 0, 1, 1);
    ok(ktm_savepoint(txn, "b", ERR));
    toy_set(txn, 0, 1, 2);
    ok(ktm_savepoint(txn, "a", ERR));
    toy_set(txn, 0, 1, 3);
    ok(ktm_rollback_to(txn, "a", ERR));
    cr_expect_eq(toy_get(txn, 0, 1), 2);
    ok(ktm_rollback_to(txn, "b", ERR));
    cr_expect_eq(toy_get(txn, 0, 1), 1);
    fails(TX_ENOTFOUND, ktm_rollback_to(txn, "a", ERR));
    ktm_rollback(txn);
}

Test(ktm_savepoint, names_have_limits)
{
    char name[KTM_SAVEPOINT_NAME_MAX + 2];
    struct ktm_txn *txn = txn_begin(&handle, 0);
    for (int size = KTM_SAVEPOINT_NAME_MAX - 1; size <= KTM_SAVEPOINT_NAME_MAX + 1; size++) {
        memset(name, 'x', (size_t)size);
        name[size] = '\0';
        fails(size <= KTM_SAVEPOINT_NAME_MAX ? TX_OK : TX_ELIMIT, ktm_savepoint(txn, name, ERR));
    }
    fails(TX_EINVAL, ktm_savepoint(txn, "", ERR));
    fails(TX_EINVAL, ktm_savepoint(txn, NULL, ERR));
    fails(TX_EINVAL, ktm_rollback_to(txn, NULL, ERR));
    fails(TX_ENOTFOUND, ktm_rollback_to(txn, "other", ERR));
    ktm_rollback(txn);
}

Test(ktm_savepoint, their_number_has_a_limit)
{
    struct ktm_txn *txn = txn_begin(&handle, 0);
    for (int i = 0; i < KTM_SAVEPOINTS_MAX; i++) {
        char name[16];
        (void)snprintf(name, sizeof name, "%d", i);
        ok(ktm_savepoint(txn, name, ERR));
    }
    fails(TX_ELIMIT, ktm_savepoint(txn, "one more", ERR));
    ok(ktm_savepoint(txn, "7", ERR));
    ok(ktm_rollback_to(txn, "500", ERR));
    ok(ktm_savepoint(txn, "one more", ERR));
    ktm_rollback(txn);
}
