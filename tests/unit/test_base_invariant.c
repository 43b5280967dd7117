/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <signal.h>
#include <stdio.h>

#include <txkit/txkit.h>

#include "base/invariant.h"

Test(base_invariant, a_true_condition_is_evaluated_once_and_passes)
{
    int count = 0;
    TX_INVARIANT(++count > 0);
    cr_assert_eq(count, 1);
}

Test(base_invariant, a_false_condition_aborts, .signal = SIGABRT)
{
    (void)freopen("/dev/null", "w", stderr);
    TX_INVARIANT(1 + 1 == 3);
}

Test(base_invariant, the_library_knows_its_version)
{
    cr_assert_not_null(tx_version());
    cr_assert_gt(tx_version()[0], 0);
}
