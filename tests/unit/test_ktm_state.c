/* SPDX-License-Identifier: MIT */
#include <signal.h>

#include "ktm_fixture.h"

Test(ktm_state, moves_are_those_of_the_diagram_and_no_others)
{
    static const bool legal[6][6] = {
        /* to:           active prepared committed ended  aborted in doubt */
        [KTM_ACTIVE] = {false, true, false, false, true, false},
        [KTM_PREPARED] = {false, false, true, false, true, false},
        [KTM_COMMITTED] = {false, false, false, true, false, false},
        [KTM_ENDED] = {false, false, false, false, false, false},
        [KTM_ABORTED] = {false, false, false, false, false, false},
        [KTM_IN_DOUBT] = {false, false, true, false, true, false},
    };
    for (int from = 0; from < 6; from++) {
        for (int to = 0; to < 6; to++) {
            cr_expect_eq(ktm_state_may_move((enum ktm_state)from, (enum ktm_state)to),
                         legal[from][to], "%s -> %s", ktm_state_name((enum ktm_state)from),
                         ktm_state_name((enum ktm_state)to));
        }
    }
    cr_expect_not(ktm_state_may_move((enum ktm_state)6, KTM_ABORTED));
    cr_expect_not(ktm_state_may_move(KTM_ACTIVE, (enum ktm_state)6));
}

Test(ktm_state, legal_move_is_done)
{
    enum ktm_state state = KTM_ACTIVE;
    ktm_state_move(&state, KTM_PREPARED);
    ktm_state_move(&state, KTM_COMMITTED);
    ktm_state_move(&state, KTM_ENDED);
    cr_assert_eq(state, KTM_ENDED);
}

Test(ktm_state, illegal_move_aborts_the_process, .signal = SIGABRT)
{
    enum ktm_state state = KTM_COMMITTED;
    ktm_state_move(&state, KTM_ABORTED);
}

Test(ktm_state, names)
{
    cr_expect_str_eq(ktm_state_name(KTM_ACTIVE), "active");
    cr_expect_str_eq(ktm_state_name(KTM_IN_DOUBT), "in-doubt");
    cr_expect_str_eq(ktm_state_name((enum ktm_state)77), "?");
}

Test(ktm_state, check_finds_entries_that_do_not_fit_their_count, .signal = SIGABRT)
{
    struct world *world = world_new(NULL);
    struct handle handle;
    handle_boot(&handle, world);
    struct ktm_txn *txn = txn_begin(&handle, 0);
    toy_set(txn, 0, 1, 1);
    ktm_txn_check(txn);
    txn->entry_count = 0;
    ktm_txn_check(txn);
}

Test(ktm_state, check_finds_a_savepoint_behind_the_end, .signal = SIGABRT)
{
    struct world *world = world_new(NULL);
    struct handle handle;
    handle_boot(&handle, world);
    struct ktm_txn *txn = txn_begin(&handle, 0);
    toy_set(txn, 0, 1, 1);
    ok(ktm_savepoint(txn, "a", ERR));
    ktm_txn_check(txn);
    txn->savepoints[0].size++;
    ktm_txn_check(txn);
}
