/* SPDX-License-Identifier: MIT */
/*
 * What the dead leave in shared memory: words of owners, slots without a record, keys that were
 * announced for a record that never came. Nobody waits for them, nobody believes them.
 */
#include <errno.h>

#include "ktm_world.h"
#include "sim/fault.h"

TestSuite(ktm_leftovers, .init = world_setup, .fini = world_teardown, .timeout = 60);

/* --- The gate --- */

struct waiting {
    struct layer layer; /* first */
    struct ktm_run *holder;
    unsigned waits;
};

/* Whoever waits for the gate is overtaken by its holder, who gives it back. */
static void give_at_wait(struct layer *layer, struct layer_call *call)
{
    struct waiting *waiting = (struct waiting *)layer;
    if (call->op == LAYER_wait) {
        waiting->waits++;
        ktm_gate_give(waiting->holder);
    }
}

Test(ktm_leftovers, gate_is_waited_for_while_its_holder_lives)
{
    struct ktm_run holder = {.tm = handle.tm};
    struct waiting waiting = {.holder = &holder};
    struct handle other;
    layer_init(&waiting.layer, txio_posix());
    waiting.layer.before = give_at_wait;
    waiting.layer.fibers = true;
    handle_join(&other, world, &waiting.layer.io);
    struct ktm_run run = {.tm = other.tm};
    ktm_gate_wait(other.tm);
    cr_expect_eq(waiting.waits, 0, "it is open");
    ktm_gate_take(&holder);
    ktm_gate_take(&run);
    cr_expect_eq(waiting.waits, 1);
    cr_expect(run.has_gate);
    cr_expect_eq(atomic_load(&other.tm->shared->gate), other.tm->owner);
    ktm_gate_give(&run);
    handle_close(&other);
    layer_release(&waiting.layer);
}

/* --- Processes --- */

Test(ktm_leftovers, owner_words_never_become_zero)
{
    struct handle other;
    atomic_store(&handle.tm->shared->processes[1].generation, UINT32_MAX >> 8);
    handle_join(&other, world, NULL);
    cr_expect_eq(other.tm->owner, 1u << 8 | 1);
    cr_expect(ktm_process_lives(handle.tm, other.tm->owner));
    cr_expect_not(ktm_process_lives(handle.tm, 1u << 8 | KTM_PROCESSES_MAX), "no such slot");
    cr_expect_not(ktm_process_lives(handle.tm, 2u << 8 | 1), "another generation");
    handle_close(&other);
    cr_expect_not(ktm_process_lives(handle.tm, 1u << 8 | 1));
}

Test(ktm_leftovers, process_without_its_lock_byte_does_not_open_the_store)
{
    static const int errors[] = {EBADF, ENOLCK};
    for (size_t i = 0; i < 2; i++) {
        struct fault_layer fault;
        struct ktm_options options = {.log = handle.log,
                                      .store_dir = handle.dir,
                                      .shared = world->ktm_shared,
                                      .conflict_entries = world->conflict_entries};
        struct ktm *tm = NULL;
        fault_init(&fault, txio_posix(), false);
        options.io = &fault.layer.io;
        (void)fault_add(&fault, &(struct fault_rule){.ops = LAYER_BIT(lock), .nth = 1,
                                                     .kind = FAULT_ERRNO, .os_errno = errors[i]});
        cr_expect_neq(ktm_open(&options, &tm, ERR), TX_OK);
        cr_expect_not_null(strstr(test_err.text, "slot of this process"), "%s", test_err.text);
        cr_expect_null(tm);
        fault_release(&fault);
    }
}

/* --- Slots of the prepared --- */

Test(ktm_leftovers, folding_keeps_the_lowest_prepare_and_the_highest_decision)
{
    struct ktm_shared *shared = handle.tm->shared;
    static const uint64_t lsns[][2] = {{300, 800}, {100, 500}, {200, 900}, {150, 700}};
    for (size_t i = 0; i < 4; i++) {
        ktm_prepared_fill(&shared->prepared[i], &(struct ktm_id){9, i}, lsns[i][0], KTM_PREPARED);
        atomic_store(&shared->prepared[i].decided, ktm_stamp(lsns[i][1]));
    }
    ktm_prepared_fill(&shared->prepared[4], &(struct ktm_id){9, 4}, 50, KTM_PREPARED);
    ktm_prepared_fold(shared);
    cr_expect_eq(shared->folded_prepare, ktm_stamp(100));
    cr_expect_eq(shared->folded_decide, ktm_stamp(900));
    cr_expect_eq(ktm_prepared_count(shared), 1, "the undecided stays");
    atomic_store(&shared->prepared[4].stamp, 0);
    atomic_store(&shared->folded_prepare, 0);
    atomic_store(&shared->folded_decide, 0);
}

Test(ktm_leftovers, slot_whose_record_is_of_another_is_nobody)
{
    struct ktm_txn *txn = txn_begin(&handle, 0);
    struct ktm_id id = ktm_txn_id(txn);
    struct ktm_id strangers[] = {{id.epoch + 1, id.sequence}, {id.epoch, id.sequence + 100}};
    struct ktm_shared *shared = handle.tm->shared;
    struct ktm_txn_info info;
    tx_lsn lsn = handle_log_info(&handle).append_lsn;
    toy_set(txn, 0, 1, 5);
    ok(ktm_prepare(txn, ERR));
    for (size_t i = 0; i < 2; i++) {
        ktm_prepared_fill(ktm_prepared_free_slot(shared), &strangers[i], lsn, KTM_PREPARED);
        fails(TX_ENOTFOUND, ktm_query(handle.tm, &strangers[i], &info, ERR));
        fails(TX_ENOTFOUND, ktm_commit_prepared(handle.tm, &strangers[i], NULL, ERR));
    }
    commit_one(&handle, 0, 2, 5); /* frees their slots */
    cr_expect_eq(ktm_prepared_count(shared), 1);
    ok(ktm_commit_prepared(handle.tm, &id, NULL, ERR));
    cr_expect_eq(toy_live_value(world, 0, 1), 5);
}

Test(ktm_leftovers, slot_of_the_decided_keeps_nobody_from_being_told)
{
    struct ktm_txn *txn = txn_begin(&handle, 0);
    struct ktm_id id = ktm_txn_id(txn);
    toy_set(txn, 0, 1, 5);
    ok(ktm_prepare(txn, ERR));
    fails(TX_EMISUSE, ktm_discard(handle.tm, &id, ERR));
    ok(ktm_commit_prepared(handle.tm, &id, NULL, ERR));
    cr_expect_not_null(ktm_prepared_find(handle.tm->shared, &id));
    fails(TX_ENOTFOUND, ktm_discard(handle.tm, &id, ERR));
    fails(TX_ENOTFOUND, ktm_attach(handle.tm, &id, &txn, ERR));
}

/* Nothing is recorded of it, so that the other way round there is no conflict. */
Test(ktm_leftovers, prepared_that_only_read_holds_what_it_read_and_leaves_no_key)
{
    struct ktm_txn *txn = txn_begin(&handle, 0);
    struct ktm_id id = ktm_txn_id(txn);
    toy_entry(txn, 0, TOY_WATCH, 1, 0);
    ok(ktm_prepare(txn, ERR));
    txn = txn_begin(&handle, 0);
    toy_set(txn, 0, 1, 5);
    fails(TX_ECONFLICT, ktm_commit(txn, NULL, ERR));
    txn = txn_begin(&handle, 0);
    toy_entry(txn, 0, TOY_WATCH, 1, 0);
    ok(ktm_commit(txn, NULL, ERR));
    txn = txn_begin(&handle, 0);
    ok(ktm_commit_prepared(handle.tm, &id, NULL, ERR));
    toy_set(txn, 0, 1, 5);
    ok(ktm_commit(txn, NULL, ERR));
    cr_expect_eq(toy_live_value(world, 0, 1), 5);
}

Test(ktm_leftovers, heir_of_a_slot_has_keys_of_its_own)
{
    for (uint32_t item = 1; item <= 2; item++) {
        struct ktm_txn *txn = txn_begin(&handle, 0);
        struct ktm_id id = ktm_txn_id(txn);
        toy_set(txn, 0, item, 5);
        ok(ktm_prepare(txn, ERR));
        cr_expect_eq(ktm_prepared_find(handle.tm->shared, &id), &handle.tm->shared->prepared[0]);
        commit_one(&handle, 0, 3 - item, 6);
        txn = txn_begin(&handle, 0);
        toy_set(txn, 0, item, 7);
        fails(TX_ECONFLICT, ktm_commit(txn, NULL, ERR));
        ok(ktm_rollback_prepared(handle.tm, &id, ERR));
        ok(ktm_checkpoint(handle.tm, ERR));
    }
}

/* --- Keys --- */

/* The key that the record at `lsn` wrote. */
static uint64_t key_at(tx_lsn lsn)
{
    struct ktm_shared *shared = handle.tm->shared;
    for (uint32_t i = 0; i < world->conflict_entries; i++) {
        if (atomic_load(&shared->conflicts[i].stamp) == ktm_stamp(lsn)) {
            return atomic_load(&shared->conflicts[i].key);
        }
    }
    cr_assert_fail("no key of LSN %lu", (unsigned long)lsn);
    return 0;
}

Test(ktm_leftovers, key_of_a_record_that_never_came_asks_for_no_checkpoint)
{
    uint64_t key = key_at(commit_one(&handle, 0, 1, 5));
    ok(ktm_checkpoint(handle.tm, ERR));
    uint64_t steadies = atomic_load(&world->live[0]->steadies);
    ktm_conflict_insert(handle.tm->shared, key, ktm_stamp(UINT64_MAX - 4096));
    struct ktm_txn *txn = txn_begin(&handle, 0);
    struct ktm_id id = ktm_txn_id(txn);
    toy_set(txn, 0, 1, 6);
    ok(ktm_prepare(txn, ERR));
    cr_expect_eq(atomic_load(&world->live[0]->steadies), steadies);
    ok(ktm_commit_prepared(handle.tm, &id, NULL, ERR));
    cr_expect_eq(toy_live_value(world, 0, 1), 6);
}

/* Another record has got the place of the one that never came, or none begins there: a conflict in
 * vain, and nobody is blamed for it. */
Test(ktm_leftovers, key_of_another_record_is_a_conflict_with_nobody)
{
    uint64_t key = key_at(commit_one(&handle, 0, 1, 5));
    tx_lsn prepare = raw_transaction(&handle, KTM_PREPARE, 70, 0);
    ok(ktm_settle(handle.tm, ERR));
    struct ktm_txn *txns[] = {txn_begin(&handle, 0), txn_begin(&handle, 0)};
    tx_lsn lsn = raw_decision(&handle, KTM_DECIDE_ROLLBACK, 70, prepare);
    for (size_t i = 0; i < 2; i++) {
        ktm_conflict_insert(handle.tm->shared, key, ktm_stamp(lsn + i));
        toy_set(txns[i], 0, 1, 6);
        fails(TX_ECONFLICT, ktm_commit(txns[i], NULL, ERR));
        cr_expect_not_null(strstr(test_err.text, "unknown to the log by now"), "%s",
                           test_err.text);
    }
    cr_expect_eq(toy_live_value(world, 0, 1), 5);
}

Test(ktm_leftovers, keys_may_have_no_name_and_keep_the_end_of_a_long_one)
{
    TX_AUTO(tx_buf) keys = TX_BUF_INIT;
    struct ktm_vote vote = {.keys = &keys};
    struct ktm_key key;
    char name[300];
    memset(name, 'a', sizeof name);
    memcpy(name + sizeof name - 4, "end", 4);
    ok(ktm_vote_write(&vote, 7, NULL, ERR));
    ok(ktm_vote_read(&vote, 8, name, ERR));
    struct tx_reader reader = tx_reader_on(keys.data, keys.size);
    cr_assert(ktm_keys_next(&reader, &key));
    cr_expect_eq(key.key, 7);
    cr_expect_eq(key.kind, KTM_KEY_WRITE);
    cr_expect_eq(key.name_size, 0);
    cr_assert(ktm_keys_next(&reader, &key));
    cr_expect_eq(key.key, 8);
    cr_expect_eq(key.kind, KTM_KEY_READ);
    cr_expect_eq(key.name_size, sizeof ((struct ktm_conflict *)0)->name);
    cr_expect_eq(memcmp(key.name + key.name_size - 4, "aend", 4), 0);
    cr_expect_not(ktm_keys_next(&reader, &key));
}

/* --- Checkpoints --- */

/* As a snapshot slot looks whose heir has claimed it and not written his own stamp. */
Test(ktm_leftovers, snapshot_from_before_the_log_keeps_the_log_as_it_is)
{
    struct ktm_snapshot_slot *slot = &handle.tm->shared->snapshots[7];
    commit_pair(&handle, 1, 5);
    ok(ktm_checkpoint(handle.tm, ERR));
    tx_lsn start = handle_log_info(&handle).start_lsn;
    commit_pair(&handle, 1, 6);
    atomic_store(&slot->owner, handle.tm->owner);
    atomic_store(&slot->stamp, ktm_stamp(TXLOG_FIRST_LSN));
    ok(ktm_checkpoint(handle.tm, ERR));
    cr_expect_eq(handle_log_info(&handle).start_lsn, start);
    atomic_store(&slot->stamp, 0);
    atomic_store(&slot->owner, 0);
    ok(ktm_checkpoint(handle.tm, ERR));
    cr_expect_gt(handle_log_info(&handle).start_lsn, start);
}

static enum tx_status trim_fails(void *rm, tx_lsn lsn, tx_lsn oldest, struct tx_error *err)
{
    (void)rm;
    (void)lsn;
    (void)oldest;
    return tx_error_set(err, TX_EIO, "told to fail");
}

Test(ktm_leftovers, trimming_by_a_resource_manager_may_fail_and_need_not_be_there)
{
    static struct ktm_rm_ops ops;
    commit_pair(&handle, 1, 5);
    ops = *handle.tm->rm_ops[0];
    ops.trim = trim_fails;
    handle.tm->rm_ops[0] = &ops;
    fails(TX_EIO, ktm_checkpoint(handle.tm, ERR));
    cr_expect_eq(atomic_load(&world->live[1]->trims), 0);
    ops.trim = NULL;
    ops.needs_barrier = NULL;
    commit_pair(&handle, 1, 6);
    ok(ktm_checkpoint(handle.tm, ERR));
    cr_expect_eq(atomic_load(&world->live[0]->trims), 0);
    cr_expect_eq(atomic_load(&world->live[1]->trims), 1);
}

static enum tx_status confirm_fails(void *rm, struct tx_error *err)
{
    (void)rm;
    return tx_error_set(err, TX_EIO, "told to fail");
}

Test(ktm_leftovers, confirming_by_a_resource_manager_may_fail_and_need_not_be_there)
{
    static struct ktm_rm_ops ops;
    struct ktm_recovery report;
    handle_reboot(&handle);
    for (unsigned toy = 0; toy < TOYS; toy++) {
        atomic_store(&world->live[toy]->recovers, 0);
    }
    commit_pair(&handle, 1, 5);
    ops = *handle.tm->rm_ops[0];
    ops.confirm_steady = confirm_fails;
    handle.tm->rm_ops[0] = &ops;
    fails(TX_EIO, ktm_recover(handle.tm, &report, ERR));
    cr_expect_not_null(strstr(test_err.text, "recover first toy"), "%s", test_err.text);
    cr_expect_eq(atomic_load(&world->live[0]->recovers), 0);
    ops.confirm_steady = NULL;
    ok(ktm_recover(handle.tm, &report, ERR));
    cr_expect_eq(atomic_load(&world->live[0]->recovers), 1);
    cr_expect_eq(toy_live_value(world, 0, 1), 5);
}

Test(ktm_leftovers, recovery_beside_readers_that_fails_lets_them_read_on)
{
    struct ktm_recovery report;
    handle_reboot(&handle);
    atomic_store(&world->live[0]->recovers, 0);
    commit_one(&handle, 0, 1, 5);
    atomic_store(&world->live[0]->steady_status, TX_ENOMEM);
    fails(TX_ENOMEM, ktm_recover(handle.tm, &report, ERR));
    struct ktm_txn *reader = txn_begin(&handle, KTM_READ_ONLY);
    cr_expect_eq(toy_get(reader, 0, 1), 5);
    ktm_rollback(reader);
}

static enum tx_status rebuild_fails(void *rm, struct ktm_txn *txn, void *view,
                                    struct tx_error *err)
{
    (void)rm;
    (void)txn;
    (void)view;
    return tx_error_set(err, TX_ENOMEM, "told to fail");
}

Test(ktm_leftovers, transaction_whose_views_cannot_be_rebuilt_is_aborted)
{
    static struct ktm_rm_ops ops;
    struct ktm_txn *txn = txn_begin(&handle, 0);
    ok(ktm_savepoint(txn, "mark", ERR));
    toy_set(txn, 0, 1, 5);
    ops = *handle.tm->rm_ops[0];
    ops.rebuild = rebuild_fails;
    handle.tm->rm_ops[0] = &ops;
    fails(TX_ENOMEM, ktm_rollback_to(txn, "mark", ERR));
    fails(TX_EABORTED, ktm_commit(txn, NULL, ERR));
    cr_expect_eq(toy_live_value(world, 0, 1), 0);
}
