/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <pthread.h>

#include "ktm_world.h"
#include "sim/count.h"
#include "sim/fault.h"
#include "unit/hook_io.h"

TestSuite(ktm_commit, .init = world_setup, .fini = world_teardown);

Test(ktm_commit, all_resource_managers_change_at_once)
{
    struct ktm_txn *before = txn_begin(&handle, 0);
    tx_lsn lsn = commit_pair(&handle, 1, 42);
    struct ktm_txn *after = txn_begin(&handle, 0);
    cr_assert_gt(lsn, 0);
    for (unsigned toy = 0; toy < TOYS; toy++) {
        cr_assert_eq(toy_get(before, toy, 1), 0);
        cr_assert_eq(toy_get(after, toy, 1), 42);
    }
    cr_assert_gt(ktm_txn_snapshot(after), lsn);
    ktm_rollback(before);
    ktm_rollback(after);
}

Test(ktm_commit, what_was_cached_is_committed)
{
    struct ktm_txn *txn = txn_begin(&handle, 0);
    toy_cache(txn, 0, 1, 10);
    toy_cache(txn, 1, 2, 20);
    ok(ktm_commit(txn, NULL, ERR));
    cr_expect_eq(toy_live_value(world, 0, 1), 10);
    cr_expect_eq(toy_live_value(world, 1, 2), 20);
}

Test(ktm_commit, nothing_to_write_writes_nothing)
{
    struct txlog_info before = handle_log_info(&handle);
    struct ktm_txn *txn = txn_begin(&handle, 0);
    tx_lsn lsn = 7;
    (void)toy_get(txn, 0, 1);
    ok(ktm_commit(txn, &lsn, ERR));
    cr_expect_eq(lsn, 0);
    cr_expect_eq(handle_log_info(&handle).append_lsn, before.append_lsn);
    cr_expect_eq(handle_log_info(&handle).force_count, before.force_count);
}

Test(ktm_commit, costs_one_force_and_nothing_else_is_synced)
{
    struct count_layer count;
    struct handle counted;
    count_init(&count, txio_posix());
    handle_join(&counted, world, &count.layer.io);
    commit_pair(&counted, 1, 1); /* opens what is opened once */
    for (unsigned items = 1; items <= 1000; items *= 10) {
        struct ktm_txn *txn = txn_begin(&counted, 0);
        for (uint32_t i = 0; i < items; i++) {
            toy_set(txn, i % TOYS, i, i);
        }
        count_reset(&count);
        ok(ktm_commit(txn, NULL, ERR));
        cr_expect_eq(count.calls[LAYER_datasync], 1, "%u items", items);
        cr_expect_eq(count_syncs(&count), 1, "%u items", items);
    }
    handle_close(&counted);
    count_release(&count);
}

Test(ktm_commit, first_committer_wins)
{
    struct ktm_txn *first = txn_begin(&handle, 0);
    struct ktm_txn *second = txn_begin(&handle, 0);
    toy_set(first, 0, 9, 1);
    toy_set(second, 0, 9, 2);
    toy_set(second, 1, 9, 2);
    ok(ktm_commit(first, NULL, ERR));
    fails(TX_ECONFLICT, ktm_commit(second, NULL, ERR));
    cr_expect_eq(toy_live_value(world, 0, 9), 1);
    cr_expect_eq(toy_live_value(world, 1, 9), 0);
}

Test(ktm_commit, conflict_names_the_object_and_the_other_transaction)
{
    char id_text[KTM_ID_TEXT_SIZE];
    handle.toys[0].blind = true;
    struct ktm_txn *first = txn_begin(&handle, 0);
    struct ktm_txn *second = txn_begin(&handle, 0);
    struct ktm_id id = ktm_txn_id(first);
    ktm_id_format(&id, id_text);
    toy_set(first, 0, 9, 1);
    toy_set(second, 0, 9, 2);
    ok(ktm_commit(first, NULL, ERR));
    fails(TX_ECONFLICT, ktm_commit(second, NULL, ERR));
    cr_expect_not_null(strstr(test_err.text, "\"toy0/9\""), "%s", test_err.text);
    cr_expect_not_null(strstr(test_err.text, id_text), "%s", test_err.text);
    cr_expect_not_null(strstr(test_err.text, "(a test)"), "%s", test_err.text);
    cr_expect_eq(test_err.status, TX_ECONFLICT);
}

Test(ktm_commit, different_objects_do_not_conflict)
{
    struct ktm_txn *first = txn_begin(&handle, 0);
    struct ktm_txn *second = txn_begin(&handle, 0);
    toy_set(first, 0, 9, 1);
    toy_set(second, 0, 10, 2);
    toy_set(second, 1, 9, 2);
    ok(ktm_commit(first, NULL, ERR));
    ok(ktm_commit(second, NULL, ERR));
    cr_expect_eq(toy_live_value(world, 0, 10), 2);
}

Test(ktm_commit, conflicts_between_processes)
{
    struct handle other;
    handle_join(&other, world, NULL);
    struct ktm_txn *first = txn_begin(&handle, 0);
    struct ktm_txn *second = txn_begin(&other, 0);
    toy_set(first, 0, 9, 1);
    toy_set(second, 0, 9, 2);
    ok(ktm_commit(second, NULL, ERR));
    fails(TX_ECONFLICT, ktm_commit(first, NULL, ERR));
    handle_close(&other);
}

/* Each reads what the other writes: write skew. */
static enum tx_status write_skew(uint32_t flags)
{
    struct ktm_txn *first = txn_begin(&handle, flags);
    struct ktm_txn *second = txn_begin(&handle, flags);
    (void)toy_get(first, 0, 1);
    (void)toy_get(second, 0, 2);
    toy_set(first, 0, 2, 1);
    toy_set(second, 0, 1, 1);
    ok(ktm_commit(first, NULL, ERR));
    return ktm_commit(second, NULL, ERR);
}

Test(ktm_commit, snapshot_isolation_allows_write_skew)
{
    ok(write_skew(0));
}

Test(ktm_commit, serializable_validates_what_was_read)
{
    fails(TX_ECONFLICT, write_skew(KTM_SERIALIZABLE));
}

Test(ktm_commit, marks_conflict_with_who_watches_and_not_with_each_other)
{
    struct ktm_txn *maker = txn_begin(&handle, 0);
    struct ktm_txn *other_maker = txn_begin(&handle, 0);
    struct ktm_txn *remover = txn_begin(&handle, 0);
    toy_entry(maker, 0, TOY_MARK, 50, 0);
    toy_entry(other_maker, 0, TOY_MARK, 50, 0);
    toy_entry(remover, 0, TOY_WATCH, 50, 0);
    ok(ktm_commit(maker, NULL, ERR));
    ok(ktm_commit(other_maker, NULL, ERR));
    fails(TX_ECONFLICT, ktm_commit(remover, NULL, ERR));
    remover = txn_begin(&handle, 0);
    toy_entry(remover, 0, TOY_WATCH, 50, 0);
    ok(ktm_commit(remover, NULL, ERR));
}

static void commit_nine(void *arg)
{
    commit_one(arg, 0, 9, 1);
}

Test(ktm_commit, conflict_that_comes_during_the_vote_is_found)
{
    struct handle other;
    handle_join(&other, world, NULL);
    struct ktm_txn *txn = txn_begin(&handle, 0);
    toy_set(txn, 0, 9, 2);
    handle.toys[0].on_prepare = commit_nine; /* after the toy has validated */
    handle.toys[0].arg = &other;
    fails(TX_ECONFLICT, ktm_commit(txn, NULL, ERR));
    cr_expect_eq(toy_live_value(world, 0, 9), 1);
    handle_close(&other);
}

/* As a process leaves it that is killed between announcing and appending. */
static void announce_in_vain(struct handle *at, uint32_t item)
{
    struct ktm_txn *txn = txn_begin(at, 0);
    struct ktm_run run = {.tm = at->tm, .txn = txn, .keys = TX_BUF_INIT};
    struct tx_reader reader;
    struct ktm_key key;
    toy_set(txn, 0, item, 1);
    ok(ktm_vote_collect(&run, ERR));
    reader = tx_reader_on(run.keys.data, run.keys.size);
    cr_assert(ktm_keys_next(&reader, &key));
    ktm_conflict_insert(at->tm->shared, key.key, ktm_stamp(handle_log_info(at).append_lsn));
    tx_buf_release(&run.keys);
    ktm_rollback(txn);
}

Test(ktm_commit, key_announced_in_vain_blocks_nobody)
{
    announce_in_vain(&handle, 9);
    commit_one(&handle, 0, 9, 1);
    announce_in_vain(&handle, 9);
    commit_one(&handle, 0, 10, 1); /* takes the place of the record that never came */
    commit_one(&handle, 0, 9, 2);
}

static void commit_nine_and_announce(void *arg)
{
    commit_nine(arg);
    announce_in_vain(arg, 9);
}

Test(ktm_commit, key_announced_in_vain_hides_no_conflict)
{
    struct handle other;
    handle_join(&other, world, NULL);
    struct ktm_txn *txn = txn_begin(&handle, 0);
    toy_set(txn, 0, 9, 2);
    handle.toys[0].on_prepare = commit_nine_and_announce;
    handle.toys[0].arg = &other;
    fails(TX_ECONFLICT, ktm_commit(txn, NULL, ERR));
    cr_expect_eq(toy_live_value(world, 0, 9), 1);
    handle_close(&other);
}

static void commit_many(void *arg)
{
    for (uint32_t i = 100; i < 200; i++) {
        commit_one(arg, 0, i, i);
    }
}

Test(ktm_commit, table_that_has_forgotten_makes_the_vote_be_repeated)
{
    struct world_options options = {.conflict_entries = 8};
    struct world *small = world_new(&options);
    struct handle one, other;
    handle_boot(&one, small);
    handle_join(&other, small, NULL);
    struct ktm_txn *txn = txn_begin(&one, 0);
    toy_set(txn, 0, 9, 2);
    one.toys[0].on_prepare = commit_many;
    one.toys[0].arg = &other;
    uint64_t votes = small->live[0]->prepares;
    ok(ktm_commit(txn, NULL, ERR));
    cr_expect_eq(small->live[0]->prepares, votes + 102, "our vote twice, theirs once each");
    cr_expect_eq(toy_live_value(small, 0, 9), 2);
    handle_close(&other);
    handle_close(&one);
    world_free(small);
}

static void commit_nine_and_many(void *arg)
{
    commit_one(arg, 0, 9, 1);
    commit_many(arg);
}

Test(ktm_commit, table_that_has_forgotten_misses_no_conflict)
{
    struct world_options options = {.conflict_entries = 8};
    struct world *small = world_new(&options);
    struct handle one, other;
    handle_boot(&one, small);
    handle_join(&other, small, NULL);
    struct ktm_txn *txn = txn_begin(&one, 0);
    toy_set(txn, 0, 9, 2);
    one.toys[0].on_prepare = commit_nine_and_many;
    one.toys[0].arg = &other;
    fails(TX_ECONFLICT, ktm_commit(txn, NULL, ERR));
    cr_expect_eq(toy_live_value(small, 0, 9), 1);
    handle_close(&other);
    handle_close(&one);
    world_free(small);
}

static void commit_many_again(void *arg)
{
    struct handle *other = arg;
    for (uint32_t i = 100; i < 106; i++) { /* more than the table holds */
        commit_one(other, 0, i, i);
    }
    handle.toys[0].on_prepare = commit_many_again;
    handle.toys[0].arg = other;
}

Test(ktm_commit, gives_way_when_it_can_never_be_validated)
{
    struct world_options options = {.conflict_entries = 4};
    struct world *small = world_new(&options);
    struct handle other;
    handle_close(&handle);
    handle_boot(&handle, small);
    handle_join(&other, small, NULL);
    struct ktm_txn *txn = txn_begin(&handle, 0);
    toy_set(txn, 0, 9, 2);
    commit_many_again(&other);
    fails(TX_ECONFLICT, ktm_commit(txn, NULL, ERR));
    cr_expect_not_null(strstr(test_err.text, "faster"), "%s", test_err.text);
    handle_close(&other);
}

#define THREADS 16
#define THREAD_COMMITS 40

struct committer {
    struct handle *handle;
    uint32_t number;
    unsigned conflicts;
};

static void *own_items(void *arg)
{
    struct committer *committer = arg;
    for (uint32_t i = 0; i < THREAD_COMMITS; i++) {
        commit_pair(committer->handle, 1000 + committer->number, i + 1);
    }
    return NULL;
}

Test(ktm_commit, sixteen_threads_share_forces)
{
    pthread_t threads[THREADS];
    struct committer committers[THREADS];
    struct count_layer count;
    struct handle counted;
    struct hook_io slow;
    /* So large that a spare holds what sixteen have in flight: no force writes control too. */
    struct world_options options = {.segment_size = 1024 * 1024};
    struct world *wide = world_new(&options);
    struct handle first;
    handle_boot(&first, wide);
    count_init(&count, hook_init(&slow, hook_slow_disk));
    handle_join(&counted, wide, &count.layer.io);
    for (uint32_t i = 0; i < THREADS; i++) {
        committers[i] = (struct committer){&counted, i, 0};
        cr_assert_eq(pthread_create(&threads[i], NULL, own_items, &committers[i]), 0);
    }
    for (unsigned i = 0; i < THREADS; i++) {
        (void)pthread_join(threads[i], NULL);
        for (unsigned toy = 0; toy < TOYS; toy++) {
            cr_expect_eq(toy_live_value(wide, toy, 1000 + i), THREAD_COMMITS);
        }
    }
    cr_expect_lt(count.calls[LAYER_datasync], THREADS * THREAD_COMMITS / 2, "%lu forces for %d",
                 (unsigned long)count.calls[LAYER_datasync], THREADS * THREAD_COMMITS);
    handle_close(&counted);
    handle_close(&first);
    world_free(wide);
    count_release(&count);
}

static void *one_item_for_all(void *arg)
{
    struct committer *committer = arg;
    for (uint32_t i = 0; i < THREAD_COMMITS;) {
        struct tx_error err;
        struct ktm_txn *txn;
        struct ktm_begin_options options = {.flags = KTM_SERIALIZABLE};
        cr_assert_eq(ktm_begin(committer->handle->tm, &options, &txn, &err), TX_OK);
        uint64_t value = toy_get(txn, 0, 1);
        cr_assert_eq(value, toy_get(txn, 1, 1), "both toys at one instant");
        toy_set(txn, 0, 1, value + 1);
        toy_set(txn, 1, 1, value + 1);
        enum tx_status status = ktm_commit(txn, NULL, &err);
        cr_assert(status == TX_OK || status == TX_ECONFLICT, "%s: %s", tx_status_name(status),
                  err.text);
        committer->conflicts += status != TX_OK;
        i += status == TX_OK;
    }
    return NULL;
}

Test(ktm_commit, no_update_is_lost_between_threads_and_processes)
{
    pthread_t threads[4];
    struct committer committers[4];
    struct handle other;
    handle_join(&other, world, NULL);
    for (uint32_t i = 0; i < 4; i++) {
        committers[i] = (struct committer){i % 2 ? &other : &handle, i, 0};
        cr_assert_eq(pthread_create(&threads[i], NULL, one_item_for_all, &committers[i]), 0);
    }
    for (unsigned i = 0; i < 4; i++) {
        (void)pthread_join(threads[i], NULL);
    }
    cr_expect_eq(toy_live_value(world, 0, 1), 4 * THREAD_COMMITS);
    cr_expect_eq(toy_live_value(world, 1, 1), 4 * THREAD_COMMITS);
    handle_close(&other);
}

Test(ktm_commit, failed_force_leaves_the_outcome_unknown_and_poisons)
{
    struct fault_layer fault;
    struct handle failing;
    fault_init(&fault, txio_posix(), false);
    handle_join(&failing, world, &fault.layer.io);
    commit_pair(&failing, 1, 1);
    struct ktm_txn *txn = txn_begin(&failing, 0);
    struct ktm_txn *bystander = txn_begin(&handle, 0);
    toy_set(txn, 0, 1, 2);
    toy_set(txn, 1, 1, 2);
    struct fault_rule rule = {
        .ops = LAYER_BIT(datasync), .nth = 1, .kind = FAULT_ERRNO, .os_errno = EIO};
    (void)fault_add(&fault, &rule);
    fails(TX_EOUTCOME, ktm_commit(txn, NULL, ERR));
    fails(TX_EPOISONED, ktm_begin(failing.tm, NULL, &txn, ERR));
    fails(TX_EPOISONED, ktm_begin(handle.tm, NULL, &txn, ERR));
    fails(TX_EPOISONED, ktm_commit(bystander, NULL, ERR));
    handle_close(&failing);
    fault_release(&fault);
    handle_reboot(&handle);
    cr_expect_eq(toy_live_value(world, 0, 1), toy_live_value(world, 1, 1), "whole or absent");
}

Test(ktm_commit, failed_write_leaves_the_outcome_unknown_too)
{
    struct fault_layer fault;
    struct handle failing;
    fault_init(&fault, txio_posix(), false);
    handle_join(&failing, world, &fault.layer.io);
    commit_pair(&failing, 1, 1);
    struct ktm_txn *txn = txn_begin(&failing, 0);
    toy_set(txn, 0, 1, 2);
    struct fault_rule rule = {.ops = LAYER_BIT(pwritev), .nth = 1, .kind = FAULT_ERRNO_AFTER,
                              .os_errno = EIO};
    (void)fault_add(&fault, &rule);
    fails(TX_EOUTCOME, ktm_commit(txn, NULL, ERR));
    fails(TX_EPOISONED, ktm_begin(failing.tm, NULL, &txn, ERR));
    handle_close(&failing);
    fault_release(&fault);
}

Test(ktm_commit, full_log_is_trimmed_before_giving_up)
{
    struct world_options options = {.segment_size = TXLOG_SEGMENT_SIZE_MIN,
                                    .size_max = 6 * TXLOG_SEGMENT_SIZE_MIN};
    struct world *small = world_new(&options);
    struct handle one;
    handle_boot(&one, small);
    uint64_t steadies = small->live[0]->steadies;
    for (uint32_t i = 0; i < 100; i++) {
        commit_one(&one, 0, i, i + 1);
    }
    cr_expect_gt(small->live[0]->steadies, steadies);
    for (uint32_t i = 0; i < 100; i++) {
        cr_expect_eq(toy_live_value(small, 0, i), i + 1);
    }
    handle_close(&one);
    world_free(small);
}

Test(ktm_commit, full_log_that_cannot_be_trimmed_fails_the_commit_cleanly)
{
    struct world_options options = {.segment_size = TXLOG_SEGMENT_SIZE_MIN,
                                    .size_max = 6 * TXLOG_SEGMENT_SIZE_MIN};
    struct world *small = world_new(&options);
    struct handle one;
    enum tx_status status = TX_OK;
    uint32_t done = 0;
    handle_boot(&one, small);
    struct ktm_txn *pin = txn_begin(&one, 0);
    while (status == TX_OK) {
        struct ktm_txn *txn = txn_begin(&one, 0);
        toy_set(txn, 0, done, done + 1);
        status = ktm_commit(txn, NULL, ERR);
        done += status == TX_OK;
        cr_assert_lt(done, 100);
    }
    cr_expect_eq(status, TX_ENOSPC);
    cr_expect_eq(toy_live_value(small, 0, done), 0);
    ktm_rollback(pin);
    commit_one(&one, 0, done, done + 1);
    handle_close(&one);
    world_free(small);
}
