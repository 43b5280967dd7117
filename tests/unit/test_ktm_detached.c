/* SPDX-License-Identifier: MIT */
#include <signal.h>
#include <unistd.h>

#include "ktm_world.h"
#include "sim/count.h"

static struct ktm_id id;

TestSuite(ktm_detached, .init = world_setup, .fini = world_teardown);

static void detach_one(uint32_t flags)
{
    struct ktm_txn *txn = txn_begin(&handle, flags);
    id = ktm_txn_id(txn);
    toy_set(txn, 0, 1, 5);
    ok(ktm_savepoint(txn, "mark", ERR));
    toy_cache(txn, 1, 2, 6);
    ok(ktm_detach(txn, ERR));
}

static bool changes_exist(void)
{
    char path[KTM_CHANGES_PATH_SIZE];
    ktm_changes_path(&id, path);
    return store_has(world, path);
}

static bool directory_exists(void)
{
    char path[KTM_STAGING_PATH_SIZE];
    ktm_staging_path(&id, path);
    return store_has(world, path);
}

Test(ktm_detached, transaction_goes_on_in_another_process)
{
    struct handle other;
    struct ktm_txn *txn;
    detach_one(KTM_SERIALIZABLE);
    cr_expect_eq(toy_live_value(world, 0, 1), 0);
    handle_join(&other, world, NULL);
    ok(ktm_attach(other.tm, &id, &txn, ERR));
    cr_expect_eq(ktm_txn_id(txn).sequence, id.sequence);
    cr_expect_str_eq(ktm_txn_description(txn), "a test");
    cr_expect(ktm_txn_is_serializable(txn));
    cr_expect_eq(toy_get(txn, 0, 1), 5);
    cr_expect_eq(toy_get(txn, 1, 2), 6);
    toy_set(txn, 1, 3, 7);
    ok(ktm_commit(txn, NULL, ERR));
    cr_expect_eq(toy_live_value(world, 0, 1), 5);
    cr_expect_eq(toy_live_value(world, 1, 2), 6);
    cr_expect_eq(toy_live_value(world, 1, 3), 7);
    cr_expect_not(changes_exist());
    fails(TX_ENOTFOUND, ktm_attach(other.tm, &id, &txn, ERR));
    handle_close(&other);
}

Test(ktm_detached, savepoints_come_back)
{
    struct ktm_txn *txn;
    detach_one(0);
    ok(ktm_attach(handle.tm, &id, &txn, ERR));
    ok(ktm_rollback_to(txn, "mark", ERR));
    cr_expect_eq(toy_get(txn, 1, 2), 0);
    ok(ktm_commit(txn, NULL, ERR));
    cr_expect_eq(toy_live_value(world, 0, 1), 5);
    cr_expect_eq(toy_live_value(world, 1, 2), 0);
}

Test(ktm_detached, transaction_and_its_payloads_survive_a_reboot)
{
    struct ktm_txn *txn;
    int dir;
    txn = txn_begin(&handle, 0);
    id = ktm_txn_id(txn);
    toy_set(txn, 0, 1, 5);
    ok(ktm_txn_staging(txn, &dir, ERR));
    make_file(dir, "p1", "payload");
    ok(ktm_detach(txn, ERR));
    handle_reboot(&handle);
    cr_expect_eq(handle.recovery.discarded, 0);
    ok(ktm_attach(handle.tm, &id, &txn, ERR));
    cr_expect(file_is(world->temp.fd, payload_path(&id), "payload"));
    ok(ktm_txn_staging(txn, &dir, ERR));
    cr_expect(file_is(dir, "p1", "payload"));
    ok(ktm_commit(txn, NULL, ERR));
    cr_expect_eq(toy_live_value(world, 0, 1), 5);
}

Test(ktm_detached, everything_is_synced_before_it_counts)
{
    struct count_layer count;
    struct handle counted;
    int dir;
    count_init(&count, txio_posix());
    handle_join(&counted, world, &count.layer.io);
    struct ktm_txn *txn = txn_begin(&counted, 0);
    toy_set(txn, 0, 1, 5);
    ok(ktm_txn_staging(txn, &dir, ERR));
    make_file(dir, "p1", "payload");
    make_file(dir, "p2", "payload");
    count_reset(&count);
    ok(ktm_detach(txn, ERR));
    cr_expect_eq(count_of(&count, LAYER_datasync, "/p1"), 1);
    cr_expect_eq(count_of(&count, LAYER_datasync, "/p2"), 1);
    cr_expect_gt(count_of(&count, LAYER_rename, "changes"), 0);
    cr_expect_geq(count_of(&count, LAYER_sync, "tx"), 3, "payload names, changes, the directory");
    handle_close(&counted);
    count_release(&count);
}

Test(ktm_detached, attached_transaction_is_busy_for_others)
{
    struct handle other;
    struct ktm_txn *txn, *again;
    detach_one(0);
    handle_join(&other, world, NULL);
    ok(ktm_attach(handle.tm, &id, &txn, ERR));
    fails(TX_EBUSY, ktm_attach(other.tm, &id, &again, ERR));
    fails(TX_EBUSY, ktm_attach(handle.tm, &id, &again, ERR));
    fails(TX_EBUSY, ktm_discard(other.tm, &id, ERR));
    ok(ktm_detach(txn, ERR));
    ok(ktm_attach(other.tm, &id, &txn, ERR));
    ktm_rollback(txn);
    handle_close(&other);
}

static void attach_and_die(void *arg)
{
    struct handle mine;
    struct ktm_txn *txn;
    (void)arg;
    handle_join(&mine, world, NULL);
    ok(ktm_attach(mine.tm, &id, &txn, ERR));
    toy_set(txn, 0, 1, 99);
    (void)kill(getpid(), SIGKILL);
}

Test(ktm_detached, death_of_who_attached_it_loses_only_what_came_after)
{
    struct ktm_txn *txn;
    detach_one(0);
    cr_expect_eq(in_child(attach_and_die, NULL), 128 + SIGKILL);
    ok(ktm_checkpoint(handle.tm, ERR));
    ok(ktm_attach(handle.tm, &id, &txn, ERR));
    cr_expect_eq(toy_get(txn, 0, 1), 5);
    ktm_rollback(txn);
    cr_expect_not(directory_exists());
    fails(TX_ENOTFOUND, ktm_attach(handle.tm, &id, &txn, ERR));
}

static void commit_attached_and_die(void *arg)
{
    struct handle mine;
    struct ktm_txn *txn;
    (void)arg;
    handle_join(&mine, world, NULL);
    ok(ktm_attach(mine.tm, &id, &txn, ERR));
    ok(ktm_commit(txn, NULL, ERR));
}

Test(ktm_detached, committed_by_a_process_that_died_it_cannot_be_attached_again)
{
    struct ktm_txn *txn;
    detach_one(0);
    atomic_store(&world->live[0]->redo_dies, 1);
    cr_expect_eq(in_child(commit_attached_and_die, NULL), 77);
    fails(TX_ENOTFOUND, ktm_attach(handle.tm, &id, &txn, ERR));
    cr_expect_eq(toy_live_value(world, 0, 1), 5);
}

Test(ktm_detached, committed_before_a_reboot_it_cannot_be_attached_again)
{
    struct ktm_txn *txn;
    detach_one(0);
    /* The commit is in the log, its publisher dies before `changes` is gone. */
    TX_AUTO(tx_buf) storage = TX_BUF_INIT;
    struct ktm_record record;
    ok(ktm_changes_load(handle.tm, &id, &storage, &record, ERR));
    ok(ktm_attach(handle.tm, &id, &txn, ERR));
    ok(ktm_commit(txn, NULL, ERR));
    char path[KTM_STAGING_PATH_SIZE];
    ktm_staging_path(&id, path);
    int dir = openat(world->temp.fd, path, O_RDONLY | O_DIRECTORY);
    ok(txio_replace_file(txio_posix(), dir, "changes", storage.data, storage.size, ERR));
    (void)close(dir);
    handle_reboot(&handle);
    fails(TX_ENOTFOUND, ktm_attach(handle.tm, &id, &txn, ERR));
    cr_expect_not(changes_exist());
    ok(ktm_checkpoint(handle.tm, ERR));
    cr_expect_not(directory_exists());
    cr_expect_eq(toy_live_value(world, 0, 1), 5);
}

Test(ktm_detached, rebases_onto_the_newest_state_and_validates_from_its_first_touch)
{
    struct ktm_txn *txn;
    detach_one(0);
    commit_one(&handle, 0, 3, 9);
    ok(ktm_attach(handle.tm, &id, &txn, ERR));
    cr_expect_eq(toy_get(txn, 0, 3), 9);
    ok(ktm_detach(txn, ERR));
    commit_one(&handle, 0, 1, 77);
    ok(ktm_attach(handle.tm, &id, &txn, ERR));
    fails(TX_ECONFLICT, ktm_commit(txn, NULL, ERR));
    cr_expect_eq(toy_live_value(world, 0, 1), 77);
    cr_expect_not(directory_exists());
}

Test(ktm_detached, discard_removes_it)
{
    struct ktm_txn *txn;
    detach_one(0);
    ok(ktm_discard(handle.tm, &id, ERR));
    cr_expect_not(directory_exists());
    fails(TX_ENOTFOUND, ktm_discard(handle.tm, &id, ERR));
    fails(TX_ENOTFOUND, ktm_attach(handle.tm, &id, &txn, ERR));
}

Test(ktm_detached, holds_no_snapshot)
{
    detach_one(0);
    commit_pair(&handle, 3, 1);
    cr_expect_eq(ktm_oldest_snapshot(handle.tm), ktm_published(handle.tm));
    ok(ktm_checkpoint(handle.tm, ERR));
    cr_expect_eq(handle_log_info(&handle).start_lsn, ktm_published(handle.tm));
    cr_expect(changes_exist());
}

Test(ktm_detached, read_only_stays_read_only)
{
    struct ktm_txn *txn = txn_begin(&handle, KTM_READ_ONLY);
    id = ktm_txn_id(txn);
    ok(ktm_detach(txn, ERR));
    ok(ktm_attach(handle.tm, &id, &txn, ERR));
    fails(TX_EMISUSE, toy_try_set(txn, 0, 1, 5));
    ktm_rollback(txn);
}

Test(ktm_detached, every_flipped_bit_and_every_cut_is_found)
{
    struct ktm_txn *txn;
    char path[KTM_CHANGES_PATH_SIZE];
    struct stat stat;
    detach_one(0);
    ktm_changes_path(&id, path);
    int fd = openat(world->temp.fd, path, O_RDWR);
    cr_assert_geq(fd, 0);
    cr_assert_eq(fstat(fd, &stat), 0);
    for (off_t at = 0; at < stat.st_size; at++) {
        uint8_t byte, flipped;
        cr_assert_eq(pread(fd, &byte, 1, at), 1);
        flipped = (uint8_t)(byte ^ 1u << at % 8);
        cr_assert_eq(pwrite(fd, &flipped, 1, at), 1);
        fails(TX_ECORRUPT, ktm_attach(handle.tm, &id, &txn, ERR));
        cr_assert_eq(pwrite(fd, &byte, 1, at), 1);
    }
    ok(ktm_attach(handle.tm, &id, &txn, ERR));
    ok(ktm_detach(txn, ERR));
    (void)close(fd);
    fd = openat(world->temp.fd, path, O_RDWR);
    cr_assert_eq(fstat(fd, &stat), 0);
    for (off_t size = stat.st_size - 1; size >= 0; size -= 7) {
        cr_assert_eq(ftruncate(fd, size), 0);
        fails(TX_ECORRUPT, ktm_attach(handle.tm, &id, &txn, ERR));
    }
    (void)close(fd);
    /* Kept by recovery, told by the list, thrown away on demand. */
    handle_reboot(&handle);
    cr_expect(changes_exist());
    ok(ktm_discard(handle.tm, &id, ERR));
    cr_expect_not(directory_exists());
}

Test(ktm_detached, changes_of_another_transaction_are_refused)
{
    struct ktm_txn *txn;
    detach_one(0);
    char from[KTM_STAGING_PATH_SIZE];
    ktm_staging_path(&id, from);
    cr_assert_eq(renameat(world->temp.fd, from, world->temp.fd, "tx/1-77777"), 0);
    id = (struct ktm_id){1, 77777};
    fails(TX_ECORRUPT, ktm_attach(handle.tm, &id, &txn, ERR));
}

struct listed {
    struct ktm_txn_info infos[10];
    unsigned count;
};

static enum tx_status list_one(void *arg, const struct ktm_txn_info *info, struct tx_error *err)
{
    struct listed *listed = arg;
    (void)err;
    listed->infos[listed->count++] = *info;
    return TX_OK;
}

Test(ktm_detached, list_shows_them_by_id)
{
    struct listed listed = {.count = 0};
    struct ktm_txn *txn;
    struct ktm_txn_info info;
    int dir;
    detach_one(0);
    struct ktm_id first = id;
    detach_one(0);
    struct ktm_txn *active = txn_begin(&handle, 0);
    ok(ktm_txn_staging(active, &dir, ERR)); /* not detached: not listed */
    make_dir(world->temp.fd, "tx/not an id");
    ok(ktm_attach(handle.tm, &id, &txn, ERR));
    ok(ktm_list(handle.tm, list_one, &listed, ERR));
    cr_assert_eq(listed.count, 2);
    cr_expect_eq(listed.infos[0].id.sequence, first.sequence);
    cr_expect_not(listed.infos[0].attached);
    cr_expect_eq(listed.infos[0].state, KTM_ACTIVE);
    cr_expect_eq(listed.infos[0].entry_count, 2);
    cr_expect_str_eq(listed.infos[0].description, "a test");
    cr_expect(listed.infos[1].attached);
    ok(ktm_query(handle.tm, &first, &info, ERR));
    cr_expect_eq(info.state, KTM_ACTIVE);
    ktm_rollback(active);
    cr_expect(store_has(world, "tx/not an id"));
}

Test(ktm_detached, entries_can_be_loaded_without_attaching)
{
    TX_AUTO(tx_buf) storage = TX_BUF_INIT;
    struct ktm_commit_info info;
    struct ktm_change change;
    detach_one(0);
    ok(ktm_load_entries(handle.tm, &id, &info, &storage, ERR));
    cr_expect_eq(info.entry_count, 2);
    cr_expect_str_eq(info.description, "a test");
    cr_assert(ktm_cursor_next(&info.entries, &change));
    cr_expect_eq(change.rm, 0);
    cr_assert(ktm_cursor_next(&info.entries, &change));
    cr_expect_eq(change.rm, 1);
    cr_expect_not(ktm_cursor_next(&info.entries, &change));
    id.sequence += 1000;
    fails(TX_ENOTFOUND, ktm_load_entries(handle.tm, &id, &info, &storage, ERR));
}

Test(ktm_detached, timeout_goes_on_while_nobody_has_it_attached)
{
    struct ktm_begin_options options = {.timeout_ms = 60};
    struct ktm_txn *txn;
    ok(ktm_begin(handle.tm, &options, &txn, ERR));
    id = ktm_txn_id(txn);
    toy_set(txn, 0, 1, 5);
    ok(ktm_detach(txn, ERR));
    ok(ktm_attach(handle.tm, &id, &txn, ERR));
    ok(ktm_detach(txn, ERR));
    (void)usleep(90000);
    fails(TX_ETIMEOUT, ktm_attach(handle.tm, &id, &txn, ERR));
    cr_expect_not(directory_exists());
    fails(TX_ENOTFOUND, ktm_attach(handle.tm, &id, &txn, ERR));
    cr_expect_eq(toy_live_value(world, 0, 1), 0);
}
