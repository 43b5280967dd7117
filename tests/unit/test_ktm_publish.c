/* SPDX-License-Identifier: MIT */
#include <signal.h>
#include <unistd.h>

#include "ktm_world.h"
#include "toy_rm.h"

TestSuite(ktm_publish, .init = world_setup, .fini = world_teardown);

static void commit_in_child(void *arg)
{
    struct handle mine;
    (void)arg;
    handle_join(&mine, world, NULL);
    commit_pair(&mine, 1, 5);
}

Test(ktm_publish, work_of_a_publisher_that_died_is_finished_by_the_next)
{
    tx_lsn before = ktm_published(handle.tm);
    atomic_store(&world->live[1]->redo_dies, 1); /* the first toy is done, the second half done */
    cr_expect_eq(in_child(commit_in_child, NULL), 77);
    cr_expect_eq(ktm_published(handle.tm), before);
    cr_expect_gt(ktm_decided(handle.tm), before, "readers know that a commit is under way");
    struct ktm_txn *txn = txn_begin(&handle, 0); /* looks, and finishes it */
    cr_expect_eq(toy_get(txn, 0, 1), 5);
    cr_expect_eq(toy_get(txn, 1, 1), 5);
    ktm_rollback(txn);
    cr_expect_eq(world->live[0]->redos, 2);
    cr_expect_eq(world->live[1]->redos, 2);
}

Test(ktm_publish, work_of_a_dead_publisher_comes_before_the_next_commit)
{
    atomic_store(&world->live[0]->redo_dies, 1);
    struct ktm_txn *txn = txn_begin(&handle, 0);
    toy_set(txn, 0, 2, 6);
    cr_expect_eq(in_child(commit_in_child, NULL), 77);
    ok(ktm_commit(txn, NULL, ERR));
    cr_expect_eq(toy_live_value(world, 1, 1), 5);
    cr_expect_eq(toy_live_value(world, 0, 2), 6);
}

Test(ktm_publish, recovery_finishes_it_too)
{
    atomic_store(&world->live[1]->redo_dies, 1);
    cr_expect_eq(in_child(commit_in_child, NULL), 77);
    handle_reboot(&handle);
    cr_expect_eq(toy_live_value(world, 0, 1), 5);
    cr_expect_eq(toy_live_value(world, 1, 1), 5);
    cr_expect_eq(handle.recovery.commits_redone, 1);
}

static void pending_then_done(enum tx_status cause)
{
    tx_lsn lsn = 0;
    struct ktm_txn *txn = txn_begin(&handle, 0);
    toy_set(txn, 0, 1, 5);
    toy_set(txn, 1, 1, 5);
    atomic_store(&world->live[1]->redo_status, cause);
    fails(TX_EPENDING, ktm_commit(txn, &lsn, ERR));
    cr_expect_gt(lsn, 0);
    cr_expect_eq(test_err.status, TX_EPENDING);
    struct ktm_txn *before = txn_begin(&handle, 0);
    cr_expect_eq(toy_get(before, 1, 1), 0);
    cr_expect_leq(ktm_txn_snapshot(before), lsn);
    ktm_rollback(before);
    atomic_store(&world->live[1]->redo_status, TX_OK);
    struct ktm_txn *after = txn_begin(&handle, 0);
    cr_expect_eq(toy_get(after, 1, 1), 5);
    cr_expect_gt(ktm_txn_snapshot(after), lsn);
    ktm_rollback(after);
}

Test(ktm_publish, full_disk_leaves_the_commit_pending)
{
    pending_then_done(TX_ENOSPC);
}

Test(ktm_publish, lack_of_memory_leaves_the_commit_pending)
{
    pending_then_done(TX_ENOMEM);
}

Test(ktm_publish, lack_of_descriptors_leaves_the_commit_pending)
{
    pending_then_done(TX_ELIMIT);
}

Test(ktm_publish, commits_go_on_behind_a_pending_one)
{
    struct ktm_txn *txn = txn_begin(&handle, 0);
    toy_set(txn, 1, 1, 5);
    atomic_store(&world->live[1]->redo_status, TX_ENOSPC);
    fails(TX_EPENDING, ktm_commit(txn, NULL, ERR));
    txn = txn_begin(&handle, 0);
    toy_set(txn, 0, 2, 6);
    fails(TX_EPENDING, ktm_commit(txn, NULL, ERR));
    txn = txn_begin(&handle, 0);
    toy_set(txn, 1, 1, 7); /* the pending one is newer than the snapshot */
    fails(TX_ECONFLICT, ktm_commit(txn, NULL, ERR));
    atomic_store(&world->live[1]->redo_status, TX_OK);
    commit_one(&handle, 1, 1, 8);
    cr_expect_eq(toy_live_value(world, 0, 2), 6);
    cr_expect_eq(toy_live_value(world, 1, 1), 8);
}

Test(ktm_publish, other_failure_poisons_and_recovery_finishes)
{
    struct ktm_txn *txn = txn_begin(&handle, 0);
    toy_set(txn, 0, 1, 5);
    toy_set(txn, 1, 1, 5);
    atomic_store(&world->live[1]->redo_status, TX_EIO);
    fails(TX_EPENDING, ktm_commit(txn, NULL, ERR));
    fails(TX_EPOISONED, ktm_begin(handle.tm, NULL, &txn, ERR));
    fails(TX_EPOISONED, ktm_checkpoint(handle.tm, ERR));
    handle_reboot(&handle);
    cr_expect_eq(toy_live_value(world, 1, 1), 5);
}

struct seen {
    tx_lsn lsns[100];
    struct ktm_id ids[100];
    unsigned count;
    enum tx_status status;
};

static enum tx_status see(void *arg, const struct ktm_commit_info *commit, struct tx_error *err)
{
    struct seen *seen = arg;
    struct ktm_cursor cursor = commit->entries;
    struct ktm_change change;
    uint64_t entries = 0;
    (void)err;
    while (ktm_cursor_next(&cursor, &change)) {
        entries++;
    }
    cr_expect_eq(entries, commit->entry_count);
    cr_expect_str_eq(commit->description, "a test");
    seen->ids[seen->count] = commit->id;
    seen->lsns[seen->count++] = commit->lsn;
    return seen->status;
}

Test(ktm_publish, each_commit_delivers_what_a_snapshot_does_not_see)
{
    struct seen seen = {.count = 0};
    commit_pair(&handle, 1, 1);
    struct ktm_txn *reader = txn_begin(&handle, 0);
    tx_lsn snapshot = ktm_txn_snapshot(reader);
    tx_lsn second = commit_pair(&handle, 1, 2);
    tx_lsn middle = ktm_published(handle.tm);
    tx_lsn third = commit_pair(&handle, 1, 3);
    ok(ktm_each_commit(handle.tm, snapshot, ktm_decided(handle.tm), see, &seen, ERR));
    cr_assert_eq(seen.count, 2);
    cr_expect_eq(seen.lsns[0], second);
    cr_expect_eq(seen.lsns[1], third);
    seen.count = 0;
    ok(ktm_each_commit(handle.tm, snapshot, middle, see, &seen, ERR));
    cr_expect_eq(seen.count, 1);
    seen.count = 0;
    ok(ktm_each_commit(handle.tm, middle, UINT64_MAX, see, &seen, ERR));
    cr_expect_eq(seen.count, 1);
    seen.count = 0;
    ok(ktm_each_commit(handle.tm, UINT64_MAX, UINT64_MAX, see, &seen, ERR));
    cr_expect_eq(seen.count, 0);
    ktm_rollback(reader);
}

Test(ktm_publish, each_commit_passes_on_what_its_user_answers)
{
    struct seen seen = {.status = TX_ENOCHANGE};
    tx_lsn start = ktm_published(handle.tm);
    commit_pair(&handle, 1, 1);
    commit_pair(&handle, 1, 2);
    fails(TX_ENOCHANGE, ktm_each_commit(handle.tm, start, UINT64_MAX, see, &seen, ERR));
    cr_expect_eq(seen.count, 1);
}

Test(ktm_publish, each_commit_says_when_the_log_is_trimmed)
{
    struct seen seen = {.count = 0};
    tx_lsn start = ktm_published(handle.tm);
    commit_pair(&handle, 1, 1);
    ok(ktm_checkpoint(handle.tm, ERR));
    fails(TX_ESNAPSHOT, ktm_each_commit(handle.tm, start, UINT64_MAX, see, &seen, ERR));
    ok(ktm_each_commit(handle.tm, ktm_published(handle.tm), UINT64_MAX, see, &seen, ERR));
}

static enum tx_status trim_behind(void *arg, const struct ktm_commit_info *commit,
                                  struct tx_error *err)
{
    (void)arg;
    (void)commit;
    return ktm_checkpoint(handle.tm, err);
}

Test(ktm_publish, reader_that_is_overtaken_by_a_trim_is_told)
{
    tx_lsn start = ktm_published(handle.tm);
    for (uint32_t i = 0; i < 60; i++) { /* several segments */
        commit_pair(&handle, i, 1);
    }
    fails(TX_ESNAPSHOT, ktm_each_commit(handle.tm, start, UINT64_MAX, trim_behind, NULL, ERR));
}

Test(ktm_publish, what_is_not_durable_cannot_be_waited_for)
{
    fails(TX_EMISUSE, ktm_publish(handle.tm, ktm_published(handle.tm) + 4096, NULL, ERR));
}

Test(ktm_publish, redo_is_for_who_has_entries_or_wants_every_commit)
{
    struct ktm_rm_ops every = toy_ops[1];
    every.redo_every_commit = true;
    commit_one(&handle, 0, 1, 1);
    cr_expect_eq(world->live[1]->redos, 0);
    handle.tm->rm_ops[1] = &every;
    commit_one(&handle, 0, 1, 2);
    cr_expect_eq(world->live[0]->redos, 2);
    cr_expect_eq(world->live[1]->redos, 1);
}

/* Who needs what is not carried out yet is told why it is not, and can try again. */
Test(ktm_publish, those_who_depend_on_a_pending_commit_are_told_why)
{
    struct ktm_txn *txn = txn_begin(&handle, 0), *pending = txn_begin(&handle, 0);
    struct ktm_txn *barrier = txn_begin(&handle, 0);
    struct ktm_id id = ktm_txn_id(txn);
    uint64_t removed = 0;
    toy_set(txn, 0, 1, 5);
    ok(ktm_detach(txn, ERR));
    toy_set(pending, 1, 2, 6);
    atomic_store(&world->live[1]->redo_status, TX_ENOSPC);
    fails(TX_EPENDING, ktm_commit(pending, NULL, ERR));
    fails(TX_ENOSPC, ktm_attach(handle.tm, &id, &txn, ERR));
    fails(TX_ENOSPC, ktm_checkpoint_run(handle.tm, KTM_TRIM_LOG, &removed, ERR));
    toy_entry(barrier, 0, TOY_SET_WITH_BARRIER, 3, 7);
    fails(TX_ENOSPC, ktm_commit(barrier, NULL, ERR));
    cr_expect_eq(atomic_load(&handle.tm->shared->gate), 0);
    atomic_store(&world->live[1]->redo_status, TX_OK);
    ok(ktm_attach(handle.tm, &id, &txn, ERR));
    ok(ktm_commit(txn, NULL, ERR));
    cr_expect_eq(toy_live_value(world, 0, 1), 5);
    cr_expect_eq(toy_live_value(world, 1, 2), 6);
    cr_expect_eq(toy_live_value(world, 0, 3), 0);
}
