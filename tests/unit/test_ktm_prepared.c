/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <signal.h>
#include <unistd.h>

#include "ktm_world.h"
#include "sim/fault.h"

static struct ktm_id id;

TestSuite(ktm_prepared, .init = world_setup, .fini = world_teardown);

static void prepare_one(struct handle *at)
{
    struct ktm_txn *txn = txn_begin(at, 0);
    id = ktm_txn_id(txn);
    toy_set(txn, 0, 1, 5);
    toy_set(txn, 1, 1, 5);
    ok(ktm_prepare(txn, ERR));
}

static void prepare_one_item(uint32_t item)
{
    struct ktm_txn *txn = txn_begin(&handle, 0);
    id = ktm_txn_id(txn);
    toy_set(txn, 0, item, item);
    ok(ktm_prepare(txn, ERR));
}

static enum ktm_state state_of(struct handle *at)
{
    struct ktm_txn_info info;
    ok(ktm_query(at->tm, &id, &info, ERR));
    return info.state;
}

Test(ktm_prepared, committed_by_id_from_another_handle)
{
    struct handle other;
    tx_lsn lsn = 0;
    handle_join(&other, world, NULL);
    prepare_one(&handle);
    cr_expect_eq(toy_live_value(world, 0, 1), 0);
    cr_expect_eq(state_of(&other), KTM_PREPARED);
    ok(ktm_commit_prepared(other.tm, &id, &lsn, ERR));
    cr_expect_gt(lsn, 0);
    cr_expect_eq(toy_live_value(world, 0, 1), 5);
    cr_expect_eq(toy_live_value(world, 1, 1), 5);
    cr_expect_eq(world->live[0]->last_redo_lsn, lsn, "its place is the decision's");
    cr_expect_eq(state_of(&handle), KTM_ENDED);
    fails(TX_ENOTFOUND, ktm_commit_prepared(handle.tm, &id, &lsn, ERR));
    fails(TX_ENOTFOUND, ktm_rollback_prepared(handle.tm, &id, ERR));
    handle_close(&other);
}

Test(ktm_prepared, rolled_back_by_id_from_another_handle)
{
    struct handle other;
    handle_join(&other, world, NULL);
    prepare_one(&handle);
    ok(ktm_rollback_prepared(other.tm, &id, ERR));
    cr_expect_eq(toy_live_value(world, 0, 1), 0);
    cr_expect_eq(state_of(&handle), KTM_ABORTED);
    fails(TX_ENOTFOUND, ktm_commit_prepared(handle.tm, &id, NULL, ERR));
    commit_one(&handle, 0, 1, 9); /* the keys are free */
    handle_close(&other);
    handle_reboot(&handle);
    cr_expect_eq(handle.recovery.in_doubt, 0);
    cr_expect_eq(toy_live_value(world, 0, 1), 9);
    cr_expect_eq(toy_live_value(world, 1, 1), 0);
}

Test(ktm_prepared, survives_reboots_and_checkpoints_with_its_keys_and_payloads)
{
    int dir;
    struct ktm_txn *txn = txn_begin(&handle, 0);
    id = ktm_txn_id(txn);
    toy_set(txn, 0, 1, 5);
    ok(ktm_txn_staging(txn, &dir, ERR));
    make_file(dir, "p1", "payload");
    ok(ktm_prepare(txn, ERR));
    const char *path = payload_path(&id);
    for (unsigned round = 0; round < 3; round++) {
        commit_one(&handle, 1, round, round);
        ok(ktm_checkpoint(handle.tm, ERR));
        cr_expect(store_has(world, path));
        txn = txn_begin(&handle, 0);
        toy_set(txn, 0, 1, 6);
        fails(TX_ECONFLICT, ktm_commit(txn, NULL, ERR));
        handle_reboot(&handle);
        cr_expect_eq(handle.recovery.in_doubt, 1);
        cr_expect_eq(state_of(&handle), KTM_IN_DOUBT);
    }
    ok(ktm_commit_prepared(handle.tm, &id, NULL, ERR));
    cr_expect_eq(toy_live_value(world, 0, 1), 5);
    cr_expect(store_has(world, path), "until the log is trimmed");
    ok(ktm_checkpoint(handle.tm, ERR));
    cr_expect_not(store_has(world, path));
}

Test(ktm_prepared, log_is_kept_until_the_decision_is_trimmed)
{
    prepare_one(&handle);
    tx_lsn prepared = handle_log_info(&handle).append_lsn - 4096;
    ok(ktm_checkpoint(handle.tm, ERR));
    cr_expect_eq(handle_log_info(&handle).start_lsn, prepared);
    commit_one(&handle, 0, 9, 9);
    ok(ktm_checkpoint(handle.tm, ERR));
    cr_expect_eq(handle_log_info(&handle).start_lsn, prepared);
    struct ktm_txn *reader = txn_begin(&handle, 0); /* between PREPARE and DECIDE */
    ok(ktm_commit_prepared(handle.tm, &id, NULL, ERR));
    ok(ktm_checkpoint(handle.tm, ERR));
    cr_expect_eq(handle_log_info(&handle).start_lsn, prepared, "the reader needs the entries");
    ktm_rollback(reader);
    ok(ktm_checkpoint(handle.tm, ERR));
    cr_expect_eq(handle_log_info(&handle).start_lsn, handle_log_info(&handle).append_lsn);
    cr_expect_null(ktm_prepared_find(handle.tm->shared, &id));
}

struct delivered {
    tx_lsn lsns[8];
    uint64_t entries[8];
    unsigned count;
    unsigned skip; /* so many first */
};

static enum tx_status deliver(void *arg, const struct ktm_commit_info *commit,
                              struct tx_error *err)
{
    struct delivered *delivered = arg;
    (void)err;
    if (delivered->skip > 0) {
        delivered->skip--;
        return TX_OK;
    }
    delivered->entries[delivered->count] = commit->entry_count;
    delivered->lsns[delivered->count++] = commit->lsn;
    return TX_OK;
}

Test(ktm_prepared, is_delivered_at_its_decision)
{
    struct delivered delivered = {.count = 0};
    tx_lsn start = ktm_published(handle.tm), decided;
    prepare_one(&handle);
    tx_lsn between = commit_one(&handle, 0, 9, 9);
    ok(ktm_commit_prepared(handle.tm, &id, &decided, ERR));
    ok(ktm_each_commit(handle.tm, start, UINT64_MAX, deliver, &delivered, ERR));
    cr_assert_eq(delivered.count, 2);
    cr_expect_eq(delivered.lsns[0], between);
    cr_expect_eq(delivered.lsns[1], decided);
    cr_expect_eq(delivered.entries[1], 2);
}

Test(ktm_prepared, recovery_redoes_at_the_decision)
{
    prepare_one(&handle);
    commit_one(&handle, 0, 9, 9);
    ok(ktm_commit_prepared(handle.tm, &id, NULL, ERR));
    commit_one(&handle, 0, 1, 6); /* after it */
    handle_reboot(&handle);
    cr_expect_eq(handle.recovery.in_doubt, 0);
    cr_expect_eq(handle.recovery.commits_redone, 3);
    cr_expect_eq(toy_live_value(world, 0, 1), 6);
    cr_expect_eq(toy_live_value(world, 1, 1), 5);
    cr_expect_eq(toy_live_value(world, 0, 9), 9);
}

static enum tx_status commit_with(enum toy_op op, uint32_t item)
{
    struct ktm_txn *txn = txn_begin(&handle, 0);
    toy_entry(txn, 0, op, item, 1);
    return ktm_commit(txn, NULL, ERR);
}

Test(ktm_prepared, its_keys_are_locks)
{
    struct ktm_txn *txn = txn_begin(&handle, 0);
    id = ktm_txn_id(txn);
    toy_set(txn, 0, 10, 1);
    toy_entry(txn, 0, TOY_WATCH, 20, 0);
    toy_entry(txn, 0, TOY_MARK, 30, 0);
    ok(ktm_prepare(txn, ERR));
    for (unsigned round = 0; round < 2; round++) {
        fails(TX_ECONFLICT, commit_with(TOY_SET, 10));
        fails(TX_ECONFLICT, commit_with(TOY_WATCH, 10));
        fails(TX_ECONFLICT, commit_with(TOY_MARK, 10));
        fails(TX_ECONFLICT, commit_with(TOY_SET, 20));
        fails(TX_ECONFLICT, commit_with(TOY_MARK, 20));
        fails(TX_ECONFLICT, commit_with(TOY_WATCH, 30));
        fails(TX_ECONFLICT, commit_with(TOY_SET, 30));
        ok(commit_with(TOY_WATCH, 20));
        ok(commit_with(TOY_MARK, 30));
        ok(commit_with(TOY_SET, 40));
        handle_reboot(&handle);
    }
    ok(ktm_rollback_prepared(handle.tm, &id, ERR));
    ok(commit_with(TOY_SET, 10));
    ok(commit_with(TOY_SET, 20));
}

Test(ktm_prepared, conflict_names_the_holder)
{
    char text[KTM_ID_TEXT_SIZE];
    prepare_one(&handle);
    ktm_id_format(&id, text);
    fails(TX_ECONFLICT, commit_with(TOY_SET, 1));
    cr_expect_not_null(strstr(test_err.text, "is held by prepared transaction"), "%s",
                       test_err.text);
    cr_expect_not_null(strstr(test_err.text, text), "%s", test_err.text);
}

Test(ktm_prepared, keys_that_no_table_could_hold_are_kept)
{
    struct world_options options = {.conflict_entries = 4, .segment_size = 1024 * 1024};
    struct world *small = world_new(&options);
    handle_close(&handle);
    handle_boot(&handle, small);
    struct ktm_txn *txn = txn_begin(&handle, 0);
    id = ktm_txn_id(txn);
    for (uint32_t i = 0; i < 1000; i++) {
        toy_set(txn, 0, i, i);
    }
    ok(ktm_prepare(txn, ERR));
    handle_reboot(&handle);
    fails(TX_ECONFLICT, commit_with(TOY_SET, 0));
    fails(TX_ECONFLICT, commit_with(TOY_SET, 999));
    ok(commit_with(TOY_SET, 1000));
    ok(ktm_commit_prepared(handle.tm, &id, NULL, ERR));
    cr_expect_eq(toy_live_value(small, 0, 999), 999);
    ok(commit_with(TOY_SET, 999));
}

Test(ktm_prepared, snapshot_from_before_the_decision_conflicts_after_it)
{
    prepare_one(&handle);
    struct ktm_txn *txn = txn_begin(&handle, 0);
    handle.toys[0].blind = true;
    toy_set(txn, 0, 1, 7);
    ok(ktm_commit_prepared(handle.tm, &id, NULL, ERR));
    fails(TX_ECONFLICT, ktm_commit(txn, NULL, ERR));
    cr_expect_eq(toy_live_value(world, 0, 1), 5);
}

Test(ktm_prepared, conflict_with_others_aborts_the_prepare)
{
    struct ktm_txn *txn = txn_begin(&handle, 0);
    id = ktm_txn_id(txn);
    toy_set(txn, 0, 1, 5);
    commit_one(&handle, 0, 1, 6);
    struct txlog_info before = handle_log_info(&handle);
    fails(TX_ECONFLICT, ktm_prepare(txn, ERR));
    cr_expect_eq(handle_log_info(&handle).append_lsn, before.append_lsn);
    fails(TX_ENOTFOUND, ktm_commit_prepared(handle.tm, &id, NULL, ERR));
    handle_reboot(&handle);
    cr_expect_eq(handle.recovery.in_doubt, 0);
}

Test(ktm_prepared, empty_one_can_be_decided_too)
{
    tx_lsn lsn;
    struct ktm_txn *txn = txn_begin(&handle, 0);
    id = ktm_txn_id(txn);
    ok(ktm_prepare(txn, ERR));
    cr_expect_eq(state_of(&handle), KTM_PREPARED);
    ok(ktm_commit_prepared(handle.tm, &id, &lsn, ERR));
    cr_expect_eq(state_of(&handle), KTM_ENDED);
}

Test(ktm_prepared, is_listed_and_cannot_be_attached_or_discarded)
{
    struct ktm_txn *txn = txn_begin(&handle, 0);
    id = ktm_txn_id(txn);
    toy_set(txn, 0, 1, 5);
    ok(ktm_detach(txn, ERR));
    ok(ktm_attach(handle.tm, &id, &txn, ERR));
    ok(ktm_prepare(txn, ERR));
    char path[KTM_CHANGES_PATH_SIZE];
    ktm_changes_path(&id, path);
    for (unsigned round = 0; round < 2; round++) {
        cr_expect_not(store_has(world, path), "the PREPARE record has it all");
        fails(TX_EMISUSE, ktm_attach(handle.tm, &id, &txn, ERR));
        fails(TX_EMISUSE, ktm_discard(handle.tm, &id, ERR));
        handle_reboot(&handle);
    }
    TX_AUTO(tx_buf) storage = TX_BUF_INIT;
    struct ktm_commit_info info;
    ok(ktm_load_entries(handle.tm, &id, &info, &storage, ERR));
    cr_expect_eq(info.entry_count, 1);
    cr_expect_str_eq(info.description, "a test");
    ok(ktm_commit_prepared(handle.tm, &id, NULL, ERR));
}

static void decide_and_die(void *arg)
{
    struct handle mine;
    (void)arg;
    handle_join(&mine, world, NULL);
    ok(ktm_commit_prepared(mine.tm, &id, NULL, ERR));
}

Test(ktm_prepared, decided_by_a_process_that_died_it_is_not_decided_again)
{
    prepare_one(&handle);
    atomic_store(&world->live[0]->redo_dies, 1);
    cr_expect_eq(in_child(decide_and_die, NULL), 77);
    fails(TX_ENOTFOUND, ktm_rollback_prepared(handle.tm, &id, ERR));
    cr_expect_eq(toy_live_value(world, 0, 1), 5);
    cr_expect_eq(toy_live_value(world, 1, 1), 5);
    handle_reboot(&handle);
    cr_expect_eq(toy_live_value(world, 1, 1), 5);
}

Test(ktm_prepared, held_by_somebody_it_is_busy)
{
    struct handle other;
    struct ktm_hold hold = {.taken = false};
    handle_join(&other, world, NULL);
    prepare_one(&handle);
    ok(ktm_hold_take(other.tm, &id, &hold, ERR));
    fails(TX_EBUSY, ktm_commit_prepared(handle.tm, &id, NULL, ERR));
    fails(TX_EBUSY, ktm_rollback_prepared(handle.tm, &id, ERR));
    ktm_hold_drop(other.tm, &hold);
    ok(ktm_commit_prepared(handle.tm, &id, NULL, ERR));
    handle_close(&other);
}

Test(ktm_prepared, pending_decision_is_carried_out_later)
{
    tx_lsn lsn = 0;
    prepare_one(&handle);
    atomic_store(&world->live[1]->redo_status, TX_ENOSPC);
    fails(TX_EPENDING, ktm_commit_prepared(handle.tm, &id, &lsn, ERR));
    cr_expect_gt(lsn, 0);
    fails(TX_ENOSPC, ktm_rollback_prepared(handle.tm, &id, ERR));
    atomic_store(&world->live[1]->redo_status, TX_OK);
    fails(TX_ENOTFOUND, ktm_rollback_prepared(handle.tm, &id, ERR));
    cr_expect_eq(toy_live_value(world, 1, 1), 5);
}

Test(ktm_prepared, slot_whose_record_never_came_is_nobody)
{
    struct ktm_shared *shared = handle.tm->shared;
    id = (struct ktm_id){9, 9};
    /* As a process leaves it that is killed between announcing and appending. */
    ktm_prepared_fill(ktm_prepared_free_slot(shared), &id, handle_log_info(&handle).append_lsn,
                      KTM_PREPARED);
    struct ktm_txn_info info;
    fails(TX_ENOTFOUND, ktm_query(handle.tm, &id, &info, ERR));
    fails(TX_ENOTFOUND, ktm_commit_prepared(handle.tm, &id, NULL, ERR));
    ktm_prepared_fill(ktm_prepared_free_slot(shared), &(struct ktm_id){9, 10},
                      handle_log_info(&handle).append_lsn, KTM_PREPARED);
    commit_one(&handle, 0, 1, 1); /* gets the place of both */
    commit_one(&handle, 0, 1, 2);
    cr_expect_null(ktm_prepared_find(shared, &id));
    ok(ktm_checkpoint(handle.tm, ERR));
    cr_expect_eq(handle_log_info(&handle).start_lsn, handle_log_info(&handle).append_lsn);
}

Test(ktm_prepared, their_number_has_a_limit)
{
    struct ktm_id first = {0, 0};
    struct ktm_txn *txn;
    for (uint32_t i = 0; i < KTM_PREPARED_MAX; i++) {
        txn = txn_begin(&handle, 0);
        first = i == 0 ? ktm_txn_id(txn) : first;
        toy_set(txn, 0, i, i);
        ok(ktm_prepare(txn, ERR));
    }
    txn = txn_begin(&handle, 0);
    toy_set(txn, 1, 1, 1);
    fails(TX_ELIMIT, ktm_prepare(txn, ERR));
    handle_reboot(&handle);
    cr_expect_eq(handle.recovery.in_doubt, KTM_PREPARED_MAX);
    ok(ktm_rollback_prepared(handle.tm, &first, ERR));
    ok(ktm_checkpoint(handle.tm, ERR));
    txn = txn_begin(&handle, 0);
    toy_set(txn, 1, 1, 1);
    ok(ktm_prepare(txn, ERR));
}

Test(ktm_prepared, decision_is_possible_in_a_full_log)
{
    struct world_options options = {.segment_size = TXLOG_SEGMENT_SIZE_MIN,
                                    .size_max = 6 * TXLOG_SEGMENT_SIZE_MIN};
    struct world *small = world_new(&options);
    enum tx_status status = TX_OK;
    handle_close(&handle);
    handle_boot(&handle, small);
    struct ktm_id other;
    prepare_one(&handle);
    other = id;
    struct ktm_txn *txn = txn_begin(&handle, 0);
    id = ktm_txn_id(txn);
    toy_set(txn, 0, 2, 6);
    ok(ktm_prepare(txn, ERR));
    for (uint32_t i = 10; status == TX_OK; i++) {
        txn = txn_begin(&handle, 0);
        toy_set(txn, 0, i, 1);
        status = ktm_commit(txn, NULL, ERR);
        cr_assert_lt(i, 200);
    }
    cr_expect_eq(status, TX_ENOSPC);
    ok(ktm_commit_prepared(handle.tm, &id, NULL, ERR));
    ok(ktm_rollback_prepared(handle.tm, &other, ERR));
    cr_expect_eq(toy_live_value(small, 0, 2), 6);
    ok(ktm_checkpoint(handle.tm, ERR));
    commit_one(&handle, 0, 3, 3);
}

Test(ktm_prepared, failed_force_of_a_prepare_leaves_the_outcome_unknown)
{
    struct fault_layer fault;
    struct handle failing;
    fault_init(&fault, txio_posix(), false);
    handle_join(&failing, world, &fault.layer.io);
    struct ktm_txn *txn = txn_begin(&failing, 0);
    toy_set(txn, 0, 1, 5);
    struct fault_rule rule = {
        .ops = LAYER_BIT(datasync), .nth = 1, .kind = FAULT_ERRNO, .os_errno = EIO};
    (void)fault_add(&fault, &rule);
    fails(TX_EOUTCOME, ktm_prepare(txn, ERR));
    handle_close(&failing);
    fault_release(&fault);
    handle_reboot(&handle);
    cr_expect_leq(handle.recovery.in_doubt, 1);
    cr_expect_eq(toy_live_value(world, 0, 1), 0);
}

Test(ktm_prepared, slots_of_the_decided_are_folded_and_their_log_is_kept)
{
    enum { MANY = KTM_PREPARED_MAX / 2 + 20 };
    static struct ktm_id ids[MANY];
    struct delivered delivered = {.count = 0};
    tx_lsn prepared = handle_log_info(&handle).append_lsn;
    for (uint32_t i = 0; i < MANY; i++) {
        prepare_one_item(i);
        ids[i] = id;
    }
    struct ktm_txn *reader = txn_begin(&handle, 0);
    for (uint32_t i = 0; i < MANY; i++) {
        ok(ktm_commit_prepared(handle.tm, &ids[i], NULL, ERR));
    }
    for (unsigned round = 0; round < 3; round++) {
        ok(ktm_checkpoint(handle.tm, ERR));
        cr_expect_eq(ktm_prepared_count(handle.tm->shared), 0);
        cr_expect_eq(handle_log_info(&handle).start_lsn, prepared);
    }
    delivered.skip = MANY - 1;
    ok(ktm_each_commit(handle.tm, ktm_txn_snapshot(reader), UINT64_MAX, deliver, &delivered, ERR));
    cr_expect_eq(delivered.count, 1);
    ktm_rollback(reader);
    ok(ktm_checkpoint(handle.tm, ERR));
    cr_expect_eq(handle_log_info(&handle).start_lsn, handle_log_info(&handle).append_lsn);
    cr_expect_eq(handle.tm->shared->folded_decide, 0);
    handle_reboot(&handle);
    cr_expect_eq(toy_live_value(world, 0, MANY - 1), MANY - 1);
}
