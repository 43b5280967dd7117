/* SPDX-License-Identifier: MIT */
/* Publishing, recovery and trimming when a call or an allocation fails: the next try ends as if
 * nothing had happened. */
#include <errno.h>

#include "publish_failures.h"
#include "publish_script.h"

/* What is carried out: `first`, which may be missing, and `second`. */
static struct {
    pub_change_fn *first;
    pub_change_fn *second;
    uint64_t done; /* calls that publishing the second comes to before recovery has to finish it */
} script;

static void prepare(struct publish_fixture *f)
{
    pub_make_tree(f);
    if (script.first != NULL) {
        script_publish(f, script.first);
    }
    script_decide(f, script.second);
}

static void publish_failing(pub_change_fn *first, pub_change_fn *second)
{
    const struct pub_scene scene = {.prepare = prepare,
                                    .act = script_redo,
                                    .finish = script_forget,
                                    .as_first = first == NULL};
    script.first = first;
    script.second = second;
    cr_assert_gt(pub_fail_each(&scene, PUB_CALLS, EIO), 60);
    cr_assert_gt(pub_fail_each(&scene, PUB_ALLOCATIONS, 0), 20);
}

Test(txfs_failures, publishing_everything_but_moves, .timeout = 300)
{
    publish_failing(NULL, pub_change_all);
}

Test(txfs_failures, publishing_over_an_unsteady_commit, .timeout = 300)
{
    publish_failing(pub_change_all, pub_change_again);
}

Test(txfs_failures, publishing_moves, .timeout = 300)
{
    publish_failing(NULL, pub_move_all);
}

/* --- Recovery --- */

static void prepare_recovery(struct publish_fixture *f)
{
    prepare(f);
    pub_fail_begin(f, PUB_CALLS, script.done, EIO);
    TX_IGNORE(script_redo(f)); /* as far as it comes */
    (void)pub_fail_end(f);
}

static void recovery_failing(pub_change_fn *first, pub_change_fn *second, uint64_t done)
{
    static const struct pub_scene scene = {
        .prepare = prepare_recovery,
        .act = script_recover,
        .finish = script_forget,
        .as_first = true,
    };
    script.first = first;
    script.second = second;
    script.done = done;
    cr_assert_gt(pub_fail_each(&scene, PUB_CALLS, EIO), 50);
    cr_assert_gt(pub_fail_each(&scene, PUB_ALLOCATIONS, 0), 20);
}

Test(txfs_failures, recovery_of_what_was_not_begun, .timeout = 300)
{
    recovery_failing(NULL, pub_change_all, 1);
    recovery_failing(NULL, pub_move_all, 1);
}

Test(txfs_failures, recovery_of_what_was_half_done, .timeout = 300)
{
    recovery_failing(pub_change_all, pub_change_again, 110);
    recovery_failing(NULL, pub_move_all, 50);
}

Test(txfs_failures, recovery_of_what_was_done, .timeout = 300)
{
    recovery_failing(pub_change_all, pub_change_again, UINT64_MAX);
    recovery_failing(NULL, pub_move_all, UINT64_MAX);
}

/* --- The steady point, and trimming --- */

static enum tx_status steady(struct publish_fixture *f)
{
    static const uint8_t token[KTM_TOKEN_SIZE];
    tx_lsn end = script_infos[1].next_lsn;
    f->fs->history_count_max = 1;
    TX_TRY(txfs_steady(f->fs, end, token, &f->err));
    return txfs_trim(f->fs, end, end, &f->err);
}

static void finish_steady(struct publish_fixture *f)
{
    uint64_t faults;
    must(txfs_check(f->fs, NULL, NULL, &faults, &f->err));
    cr_assert_eq(faults, 0);
    cr_assert_not(pub_in_store(f, "undo/0000000000100000"));
    cr_assert(pub_in_store(f, "undo/0000000000200000/sums"));
    script_forget(f);
}

static void prepare_published(struct publish_fixture *f)
{
    prepare(f);
    must(script_redo(f));
}

Test(txfs_failures, steady_point_and_trimming, .timeout = 300)
{
    static const struct pub_scene scene = {
        .prepare = prepare_published, .act = steady, .finish = finish_steady};
    script.first = pub_change_all;
    script.second = pub_change_again;
    cr_assert_gt(pub_fail_each(&scene, PUB_CALLS, EIO), 50);
    cr_assert_gt(pub_fail_each(&scene, PUB_ALLOCATIONS, 0), 20);
}
