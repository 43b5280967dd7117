/* SPDX-License-Identifier: MIT */
#include "base/hash.h"
#include "ktm_world.h"
#include "toy_rm.h"

TestSuite(ktm_recover, .init = world_setup, .fini = world_teardown);

Test(ktm_recover, commits_are_carried_out_again)
{
    for (uint32_t i = 0; i < 40; i++) {
        commit_pair(&handle, i % 7, i + 1);
    }
    handle_reboot(&handle);
    cr_expect_eq(handle.recovery.commits_redone, 40);
    cr_expect_gt(world->live[0]->recovers, 0);
    cr_expect_eq(world->live[0]->redos, 0);
    for (uint32_t item = 0; item < 7; item++) {
        cr_expect_eq(toy_live_value(world, 0, item), toy_live_value(world, 1, item));
        cr_expect_eq(toy_live_value(world, 0, item), item <= 4 ? 36 + item : 29 + item);
    }
    struct ktm_txn *txn = txn_begin(&handle, 0);
    cr_expect_eq(toy_get(txn, 0, 4), 40);
    ktm_rollback(txn);
}

Test(ktm_recover, twice_is_as_once)
{
    commit_pair(&handle, 1, 5);
    handle_close(&handle);
    world_reboot(world);
    /* The first recovery is cut off while it makes things steady. */
    atomic_store(&world->live[1]->steady_status, TX_EIO);
    fails(TX_EIO, handle_try_boot(&handle, world, NULL));
    struct ktm_txn *txn;
    fails(TX_EMISUSE, ktm_begin(handle.tm, NULL, &txn, ERR));
    handle_reboot(&handle);
    cr_expect_eq(toy_live_value(world, 0, 1), 5);
    cr_expect_eq(toy_live_value(world, 1, 1), 5);
    cr_expect_eq(handle.recovery.commits_redone, 1, "one toy was steady, the other not");
    handle_reboot(&handle);
    cr_expect_eq(handle.recovery.commits_redone, 0);
    cr_expect_eq(toy_live_value(world, 1, 1), 5);
}

Test(ktm_recover, failing_redo_stops_it_and_nothing_is_lost)
{
    commit_pair(&handle, 1, 5);
    handle_close(&handle);
    world_reboot(world);
    atomic_store(&world->live[1]->redo_status, TX_EIO);
    fails(TX_EIO, handle_try_boot(&handle, world, NULL));
    cr_expect_not_null(strstr(test_err.text, "recover second toy"), "%s", test_err.text);
    handle_reboot(&handle);
    cr_expect_eq(toy_live_value(world, 1, 1), 5);
}

Test(ktm_recover, resource_managers_may_be_steady_to_different_points)
{
    commit_pair(&handle, 1, 5);
    atomic_store(&world->live[1]->steady_status, TX_ELIMIT);
    fails(TX_ELIMIT, ktm_checkpoint(handle.tm, ERR));
    atomic_store(&world->live[1]->steady_status, TX_ENOMEM);
    fails(TX_ENOMEM, ktm_checkpoint(handle.tm, ERR)); /* the first toy is steady now */
    commit_pair(&handle, 2, 6);
    handle_reboot(&handle);
    cr_expect_eq(world->live[0]->recovers, 1);
    cr_expect_eq(world->live[1]->recovers, 2);
    for (unsigned toy = 0; toy < TOYS; toy++) {
        cr_expect_eq(toy_live_value(world, toy, 1), 5);
        cr_expect_eq(toy_live_value(world, toy, 2), 6);
    }
}

/* Put an image of the toy that was kept from earlier back. */
static void image_save(const char *name, const char *as)
{
    char command[1024];
    (void)snprintf(command, sizeof command, "cp '%s/%s' '%s/%s'", world->temp.path, name,
                   world->temp.path, as);
    cr_assert_eq(system(command), 0);
}

Test(ktm_recover, image_older_than_the_log_is_refused)
{
    commit_pair(&handle, 1, 5);
    ok(ktm_checkpoint(handle.tm, ERR));
    image_save("toy0", "old");
    commit_pair(&handle, 1, 6);
    ok(ktm_checkpoint(handle.tm, ERR));
    image_save("old", "toy0");
    handle_close(&handle);
    world_reboot(world);
    fails(TX_ECORRUPT, handle_try_boot(&handle, world, NULL));
    cr_expect_not_null(strstr(test_err.text, "first toy"), "%s", test_err.text);
}

Test(ktm_recover, image_newer_than_the_log_is_refused)
{
    struct world *other = world_new(NULL);
    struct handle others;
    handle_boot(&others, other);
    for (uint32_t i = 0; i < 30; i++) {
        commit_pair(&others, i, 1);
    }
    ok(ktm_checkpoint(others.tm, ERR));
    handle_close(&others);
    char command[1024];
    (void)snprintf(command, sizeof command, "cp '%s/toy1' '%s/toy1'", other->temp.path,
                   world->temp.path);
    cr_assert_eq(system(command), 0);
    world_free(other);
    handle_close(&handle);
    world_reboot(world);
    fails(TX_ECORRUPT, handle_try_boot(&handle, world, NULL));
    cr_expect_not_null(strstr(test_err.text, "second toy"), "%s", test_err.text);
}

static void refused(enum tx_status status)
{
    handle_close(&handle);
    world_reboot(world);
    fails(status, handle_try_boot(&handle, world, NULL));
    cr_expect_eq(world->live[0]->recovers, 0, "nothing was carried out");
}

Test(ktm_recover, record_that_is_no_transaction_is_refused_before_anything_is_done)
{
    commit_pair(&handle, 1, 5);
    raw_append(&handle, KTM_COMMIT, "rubbish", 7);
    refused(TX_ECORRUPT);
    cr_expect_not_null(strstr(test_err.text, "offset"), "%s", test_err.text);
}

Test(ktm_recover, prepared_transaction_that_cannot_be_read_is_refused_and_not_skipped)
{
    commit_pair(&handle, 1, 5);
    raw_append(&handle, KTM_PREPARE, "rubbish", 7);
    refused(TX_ECORRUPT);
    cr_expect_not_null(strstr(test_err.text, "offset"), "%s", test_err.text);
}

Test(ktm_recover, record_of_unknown_kind_is_refused)
{
    commit_pair(&handle, 1, 5);
    raw_append(&handle, 99, "from the future", 15);
    refused(TX_EVERSION);
}

Test(ktm_recover, entries_of_an_unknown_resource_manager_are_refused)
{
    commit_pair(&handle, 1, 5);
    raw_transaction(&handle, KTM_COMMIT, 70, 3);
    refused(TX_EVERSION);
}

Test(ktm_recover, transaction_that_is_prepared_twice_is_refused)
{
    raw_transaction(&handle, KTM_PREPARE, 70, 0);
    raw_transaction(&handle, KTM_PREPARE, 70, 0);
    refused(TX_ECORRUPT);
}

Test(ktm_recover, decision_about_nothing_is_refused)
{
    tx_lsn commit = commit_pair(&handle, 1, 5);
    raw_decision(&handle, KTM_DECIDE_COMMIT, 70, commit);
    refused(TX_ECORRUPT);
}

Test(ktm_recover, decision_about_a_later_record_is_refused)
{
    raw_decision(&handle, KTM_DECIDE_COMMIT, 70, handle_log_info(&handle).append_lsn);
    raw_transaction(&handle, KTM_PREPARE, 70, 0);
    refused(TX_ECORRUPT);
}

Test(ktm_recover, decision_about_another_transaction_is_refused)
{
    tx_lsn lsn = handle_log_info(&handle).append_lsn;
    raw_transaction(&handle, KTM_PREPARE, 70, 0);
    raw_decision(&handle, KTM_DECIDE_COMMIT, 71, lsn);
    refused(TX_ECORRUPT);
}

Test(ktm_recover, transaction_that_is_decided_twice_is_refused)
{
    struct ktm_txn *txn = txn_begin(&handle, 0);
    struct ktm_id id = ktm_txn_id(txn);
    tx_lsn lsn = handle_log_info(&handle).append_lsn;
    ok(ktm_prepare(txn, ERR));
    ok(ktm_rollback_prepared(handle.tm, &id, ERR));
    raw_decision(&handle, KTM_DECIDE_COMMIT, id.sequence, lsn);
    refused(TX_ECORRUPT);
}

Test(ktm_recover, damaged_detached_transaction_is_kept)
{
    struct ktm_txn *txn = txn_begin(&handle, 0);
    struct ktm_id id = ktm_txn_id(txn);
    char path[KTM_CHANGES_PATH_SIZE];
    toy_set(txn, 0, 1, 5);
    ok(ktm_detach(txn, ERR));
    ktm_changes_path(&id, path);
    make_file(world->temp.fd, path, "damaged");
    handle_reboot(&handle);
    cr_expect(file_is(world->temp.fd, path, "damaged"));
    fails(TX_ECORRUPT, ktm_attach(handle.tm, &id, &txn, ERR));
}

Test(ktm_recover, outcome_can_be_asked_for_afterwards)
{
    struct ktm_txn_info info;
    struct ktm_txn *txn = txn_begin(&handle, 0);
    struct ktm_id committed = ktm_txn_id(txn), nobody = {1, 9999};
    toy_set(txn, 0, 1, 5);
    ok(ktm_commit(txn, NULL, ERR));
    for (unsigned round = 0; round < 2; round++) {
        handle_reboot(&handle);
        ok(ktm_query(handle.tm, &committed, &info, ERR));
        cr_expect_eq(info.state, KTM_ENDED);
        cr_expect_str_eq(info.description, "a test");
        fails(TX_ENOTFOUND, ktm_query(handle.tm, &nobody, &info, ERR));
    }
    ok(ktm_checkpoint(handle.tm, ERR));
    fails(TX_ENOTFOUND, ktm_query(handle.tm, &committed, &info, ERR));
}

/* Close the log properly, with a checkpoint before it or without. */
static void close_log(bool checkpoint)
{
    if (checkpoint) {
        ok(ktm_checkpoint(handle.tm, ERR));
    }
    ok(txlog_mark_clean(handle.log, ERR));
    handle_close(&handle);
    world_reboot(world);
}

Test(ktm_recover, what_is_steady_can_be_read_at_rest_and_recovered_beside_the_reader)
{
    struct handle writer;
    commit_pair(&handle, 1, 5);
    close_log(true);
    cr_assert(handle_rest(&handle, world));
    struct ktm_txn *txn = txn_begin(&handle, KTM_READ_ONLY);
    cr_expect_eq(toy_get(txn, 0, 1), 5);
    cr_expect_eq(atomic_load(&world->live[0]->steadies), 0);
    fails(TX_EREADONLY, ktm_checkpoint(handle.tm, ERR));
    handle_join(&writer, world, NULL);
    ok(txlog_recover(writer.log, &writer.recovery.log, ERR));
    ok(ktm_recover(writer.tm, &writer.recovery, ERR));
    cr_expect_eq(writer.recovery.commits_redone, 0);
    commit_pair(&writer, 1, 6);
    cr_expect_eq(toy_get(txn, 0, 1), 5);
    ktm_rollback(txn);
    txn = txn_begin(&handle, KTM_READ_ONLY);
    cr_expect_eq(toy_get(txn, 0, 1), 6);
    ktm_rollback(txn);
    handle_close(&writer);
}

Test(ktm_recover, damage_is_found_at_rest_too)
{
    bool opened = true;
    commit_pair(&handle, 1, 5);
    close_log(true);
    cr_assert(handle_rest(&handle, world));
    make_file(world->temp.fd, "toy1", "damaged");
    fails(TX_ECORRUPT, ktm_open_clean(handle.tm, &opened, ERR));
    cr_expect_not(opened);
}

Test(ktm_recover, what_is_not_steady_is_carried_out_before_anybody_reads)
{
    commit_pair(&handle, 1, 5);
    ok(ktm_checkpoint(handle.tm, ERR));
    commit_pair(&handle, 1, 6);
    close_log(false);
    cr_assert_not(handle_rest(&handle, world));
    ok(txlog_recover(handle.log, &handle.recovery.log, ERR));
    ok(ktm_recover(handle.tm, &handle.recovery, ERR));
    cr_expect_eq(handle.recovery.commits_redone, 1);
    struct ktm_txn *txn = txn_begin(&handle, KTM_READ_ONLY);
    cr_expect_eq(toy_get(txn, 0, 1), 6);
    ktm_rollback(txn);
}

/* A sync that failed before the crash may have left it in the page cache only. */
Test(ktm_recover, after_a_crash_what_is_steady_is_confirmed_first_and_made_so_again_last)
{
    commit_pair(&handle, 1, 5);
    ok(ktm_checkpoint(handle.tm, ERR));
    handle_reboot(&handle);
    cr_expect_eq(atomic_load(&world->live[0]->confirms), 1);
    cr_expect_eq(atomic_load(&world->live[0]->steadies), 1);
    commit_pair(&handle, 1, 6);
    handle_reboot(&handle);
    cr_expect_eq(atomic_load(&world->live[0]->confirms), 1);
    cr_expect_eq(atomic_load(&world->live[0]->recovers), 1);
    close_log(true);
    handle_boot(&handle, world);
    cr_expect_eq(atomic_load(&world->live[0]->confirms), 0);
}

/* What was left when the log was closed needs no second checkpoint. */
Test(ktm_recover, a_store_that_was_closed_is_recovered_without_a_checkpoint)
{
    commit_pair(&handle, 1, 5);
    close_log(true);
    handle_boot(&handle, world);
    cr_expect_eq(atomic_load(&world->live[0]->steadies), 0);
    commit_pair(&handle, 1, 6);
    close_log(true);
    handle_boot(&handle, world);
    struct ktm_txn *txn = txn_begin(&handle, KTM_READ_ONLY);
    cr_expect_eq(toy_get(txn, 0, 1), 6);
    ktm_rollback(txn);
}

static enum tx_status list_none(void *arg, const struct ktm_txn_info *info, struct tx_error *err)
{
    (void)arg;
    (void)info;
    return tx_error_set(err, TX_EMISUSE, "nobody to list");
}

static enum tx_status count_commits(void *arg, const struct ktm_commit_info *commit,
                                    struct tx_error *err)
{
    unsigned *count = arg;
    (void)commit;
    (void)err;
    ++*count;
    return TX_OK;
}

static void salvage_open(struct handle *salvaged)
{
    *salvaged = (struct handle){.world = world, .io = txio_posix(), .dir = world->temp.fd};
    world_reboot(world);
    ok(txlog_open(salvaged->io, salvaged->dir, TXLOG_SALVAGE, NULL, &salvaged->log, ERR));
    struct ktm_options options = {.io = salvaged->io,
                                  .store_dir = salvaged->dir,
                                  .log = salvaged->log,
                                  .shared = world->ktm_shared,
                                  .conflict_entries = 1024,
                                  .salvage = true};
    for (unsigned i = 0; i < TOYS; i++) {
        salvaged->toys[i] = (struct toy){
            .id = i, .io = salvaged->io, .store_dir = salvaged->dir, .live = world->live[i]};
        options.rm_ops[i] = &toy_ops[i];
        options.rms[i] = &salvaged->toys[i];
    }
    ok(ktm_open(&options, &salvaged->tm, ERR));
}

Test(ktm_recover, refused_store_can_be_salvaged)
{
    struct handle salvaged;
    void *view;
    unsigned count = 0;
    commit_pair(&handle, 1, 5);
    ok(ktm_checkpoint(handle.tm, ERR));
    tx_lsn start = ktm_published(handle.tm);
    commit_pair(&handle, 1, 6);
    raw_append(&handle, 99, "from the future", 15);
    make_file(world->temp.fd, "toy1", "damaged");
    refused(TX_ECORRUPT);
    handle_close(&handle);
    salvage_open(&salvaged);
    fails(TX_ECORRUPT, ktm_check(salvaged.tm, ERR));
    struct ktm_txn *txn = txn_begin(&salvaged, 0);
    cr_expect_eq(toy_get(txn, 0, 1), 5, "the steady state");
    fails(TX_ECORRUPT, ktm_txn_view(txn, 1, &view, ERR));
    fails(TX_EREADONLY, toy_try_set(txn, 0, 1, 7));
    ok(ktm_list(salvaged.tm, list_none, NULL, ERR));
    fails(TX_EREADONLY, ktm_checkpoint(salvaged.tm, ERR));
    fails(TX_EVERSION, ktm_each_commit(salvaged.tm, start, UINT64_MAX, count_commits, &count, ERR));
    cr_expect_eq(count, 1);
    ktm_rollback(txn);
    ktm_close(salvaged.tm);
    txlog_close(salvaged.log);
    cr_assert_eq(unlinkat(world->temp.fd, "toy1", 0), 0);
    world_reboot(world);
    TX_IGNORE(handle_try_boot(&handle, world, NULL)); /* for the end of the test */
}
