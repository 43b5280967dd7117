/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

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

static sigjmp_buf before_abort;

static void come_back(int signal)
{
    siglongjmp(before_abort, signal);
}

Test(base_invariant, what_is_told_names_the_condition_and_its_place)
{
    int told[2];
    char text[512] = "";
    cr_assert_eq(pipe(told), 0);
    cr_assert_geq(dup2(told[1], STDERR_FILENO), 0);
    (void)signal(SIGABRT, come_back);
    if (sigsetjmp(before_abort, 1) == 0) {
        tx_invariant_failed("a < b", "some.c", 77);
    }
    cr_assert_gt(read(told[0], text, sizeof(text) - 1), 0);
    cr_assert_not_null(strstr(text, "some.c:77: invariant: "), "%s", text);
    cr_assert_not_null(strstr(text, "`a < b'"), "%s", text);
}

Test(base_invariant, the_library_knows_its_version)
{
    cr_assert_not_null(tx_version());
    cr_assert_gt(tx_version()[0], 0);
}
