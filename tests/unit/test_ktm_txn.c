/* SPDX-License-Identifier: MIT */
#include <unistd.h>

#include "ktm_world.h"
#include "toy_rm.h"

TestSuite(ktm_txn, .init = world_setup, .fini = world_teardown);

Test(ktm_txn, begin_takes_what_it_is_given)
{
    struct ktm_begin_options options = {.description = "install", .flags = KTM_SERIALIZABLE};
    struct ktm_txn *txn;
    ok(ktm_begin(handle.tm, &options, &txn, ERR));
    cr_expect_str_eq(ktm_txn_description(txn), "install");
    cr_expect(ktm_txn_is_serializable(txn));
    cr_expect_eq(ktm_txn_state(txn), KTM_ACTIVE);
    cr_expect_eq(ktm_txn_manager(txn), handle.tm);
    cr_expect_eq(ktm_txn_io(txn), handle.io);
    cr_expect_eq(ktm_txn_snapshot(txn), ktm_published(handle.tm));
    int64_t now_ns = handle.io->ops->realtime_ns(handle.io);
    cr_expect_leq(ktm_txn_begin_time(txn), now_ns);
    cr_expect_gt(ktm_txn_begin_time(txn), now_ns - INT64_C(3600000000000));
    ktm_rollback(txn);
    ok(ktm_begin(handle.tm, NULL, &txn, ERR));
    cr_expect_str_eq(ktm_txn_description(txn), "");
    cr_expect_not(ktm_txn_is_serializable(txn));
    ktm_rollback(txn);
}

Test(ktm_txn, description_has_a_limit)
{
    char text[KTM_DESCRIPTION_MAX + 2];
    struct ktm_begin_options options = {.description = text};
    for (int size = KTM_DESCRIPTION_MAX - 1; size <= KTM_DESCRIPTION_MAX + 1; size++) {
        struct ktm_txn *txn = NULL;
        memset(text, 'x', (size_t)size);
        text[size] = '\0';
        fails(size <= KTM_DESCRIPTION_MAX ? TX_OK : TX_ELIMIT,
              ktm_begin(handle.tm, &options, &txn, ERR));
        ktm_rollback(txn);
    }
}

Test(ktm_txn, unknown_flags_are_refused)
{
    struct ktm_begin_options options = {.flags = 1u << 7};
    struct ktm_txn *txn;
    fails(TX_EINVAL, ktm_begin(handle.tm, &options, &txn, ERR));
}

Test(ktm_txn, resource_manager_that_is_not_there)
{
    struct ktm_txn *txn = txn_begin(&handle, 0);
    void *view;
    fails(TX_EMISUSE, ktm_txn_view(txn, 3, &view, ERR));
    fails(TX_EMISUSE, ktm_txn_view(txn, KTM_RM_MAX, &view, ERR));
    fails(TX_EMISUSE, ktm_txn_add(txn, 2, 1, 0, NULL, 0, ERR));
    fails(TX_EMISUSE, ktm_txn_add(txn, 0, 1, 0, NULL, 7, ERR));
    ktm_rollback(txn);
}

Test(ktm_txn, read_only_transaction_refuses_changes_and_writes_nothing)
{
    tx_lsn lsn = 99;
    commit_pair(&handle, 1, 5);
    uint64_t end = handle_log_info(&handle).append_lsn;
    struct ktm_txn *txn = txn_begin(&handle, KTM_READ_ONLY);
    cr_expect_eq(toy_get(txn, 0, 1), 5);
    fails(TX_EMISUSE, toy_try_set(txn, 0, 1, 6));
    cr_expect_eq(toy_get(txn, 0, 1), 5);
    ok(ktm_commit(txn, &lsn, ERR));
    cr_expect_eq(lsn, 0);
    cr_expect_eq(handle_log_info(&handle).append_lsn, end);
}

Test(ktm_txn, rollback_writes_nothing_and_leaves_nothing)
{
    struct txlog_info before = handle_log_info(&handle);
    struct ktm_txn *txn = txn_begin(&handle, 0);
    char path[KTM_STAGING_PATH_SIZE];
    struct ktm_id id = ktm_txn_id(txn);
    int dir;
    toy_set(txn, 0, 1, 5);
    ok(ktm_txn_staging(txn, &dir, ERR));
    make_file(dir, "p1", "payload");
    ktm_staging_path(&id, path);
    cr_expect(store_has(world, path));
    ktm_rollback(txn);
    cr_expect_not(store_has(world, path));
    struct txlog_info after = handle_log_info(&handle);
    cr_expect_eq(after.append_lsn, before.append_lsn);
    cr_expect_eq(after.force_count, before.force_count);
    struct ktm_txn *reader = txn_begin(&handle, 0);
    cr_expect_eq(toy_get(reader, 0, 1), 0);
    ktm_rollback(reader);
    ktm_rollback(NULL);
}

Test(ktm_txn, timeout_aborts_at_the_next_use)
{
    struct ktm_begin_options options = {.timeout_ms = 20};
    struct ktm_txn *txn;
    void *view;
    ok(ktm_begin(handle.tm, &options, &txn, ERR));
    toy_set(txn, 0, 1, 5);
    (void)usleep(30000);
    fails(TX_ETIMEOUT, ktm_txn_view(txn, 0, &view, ERR));
    cr_expect_eq(ktm_txn_state(txn), KTM_ABORTED);
    fails(TX_ETIMEOUT, ktm_savepoint(txn, "late", ERR));
    fails(TX_ETIMEOUT, ktm_detach(txn, ERR));
    fails(TX_ETIMEOUT, ktm_commit(txn, NULL, ERR));
    cr_expect_eq(toy_live_value(world, 0, 1), 0);
}

Test(ktm_txn, timeout_is_checked_at_commit)
{
    struct ktm_begin_options options = {.timeout_ms = 20};
    struct ktm_txn *txn;
    ok(ktm_begin(handle.tm, &options, &txn, ERR));
    toy_set(txn, 0, 1, 5);
    (void)usleep(30000);
    fails(TX_ETIMEOUT, ktm_commit(txn, NULL, ERR));
    ok(ktm_begin(handle.tm, &options, &txn, ERR));
    toy_set(txn, 0, 1, 6);
    ok(ktm_commit(txn, NULL, ERR));
    ok(ktm_begin(handle.tm, &options, &txn, ERR));
    toy_set(txn, 0, 1, 7);
    (void)usleep(30000);
    fails(TX_ETIMEOUT, ktm_prepare(txn, ERR));
    cr_expect_eq(toy_live_value(world, 0, 1), 6);
}

static int64_t date_ns;

static int64_t set_date(struct txio *io)
{
    (void)io;
    return date_ns;
}

Test(ktm_txn, timeout_does_not_care_for_the_date)
{
    struct txio_ops ops = *txio_posix()->ops;
    struct txio io = {.ops = &ops};
    struct ktm_begin_options options = {.timeout_ms = 3600000};
    const int64_t year_ns = INT64_C(31536000) * 1000000000;
    struct handle other;
    struct ktm_txn *txn;
    void *view;
    ops.realtime_ns = set_date;
    date_ns = 50 * year_ns;
    handle_join(&other, world, &io);
    ok(ktm_begin(other.tm, &options, &txn, ERR));
    date_ns = 60 * year_ns;
    ok(ktm_txn_view(txn, 0, &view, ERR));
    date_ns = year_ns;
    ok(ktm_txn_view(txn, 0, &view, ERR));
    ktm_rollback(txn);
    handle_close(&other);
}

Test(ktm_txn, timeout_is_checked_after_a_long_vote)
{
    struct ktm_begin_options options = {.timeout_ms = 20};
    struct ktm_txn *txn;
    ok(ktm_begin(handle.tm, &options, &txn, ERR));
    toy_set(txn, 0, 1, 5);
    atomic_store(&world->live[0]->slow_prepare, 40000);
    fails(TX_ETIMEOUT, ktm_commit(txn, NULL, ERR));
    cr_expect_eq(toy_live_value(world, 0, 1), 0);
}

Test(ktm_txn, closing_rolls_back_what_is_attached)
{
    struct handle other;
    handle_join(&other, world, NULL);
    struct ktm_txn *txn = txn_begin(&other, 0);
    int dir;
    toy_set(txn, 0, 1, 5);
    ok(ktm_txn_staging(txn, &dir, ERR));
    char path[KTM_STAGING_PATH_SIZE];
    struct ktm_id id = ktm_txn_id(txn);
    ktm_staging_path(&id, path);
    handle_close(&other);
    cr_expect_not(store_has(world, path));
    cr_expect_eq(toy_live_value(world, 0, 1), 0);
    cr_expect_eq(ktm_oldest_snapshot(handle.tm), ktm_published(handle.tm));
}

Test(ktm_txn, read_only_store_refuses_changes)
{
    commit_pair(&handle, 1, 5);
    handle.tm->read_only = true;
    struct ktm_txn *txn = txn_begin(&handle, 0);
    int dir;
    cr_expect_eq(toy_get(txn, 1, 1), 5);
    fails(TX_EREADONLY, toy_try_set(txn, 0, 1, 6));
    fails(TX_EREADONLY, ktm_txn_staging(txn, &dir, ERR));
    ok(ktm_checkpoint(handle.tm, ERR)); /* of what others did */
    fails(TX_EREADONLY, ktm_attach(handle.tm, &(struct ktm_id){1, 1}, &txn, ERR));
    fails(TX_EREADONLY, ktm_discard(handle.tm, &(struct ktm_id){1, 1}, ERR));
    fails(TX_EREADONLY, ktm_commit_prepared(handle.tm, &(struct ktm_id){1, 1}, NULL, ERR));
    fails(TX_EREADONLY, ktm_rollback_prepared(handle.tm, &(struct ktm_id){1, 1}, ERR));
    ok(ktm_commit(txn, NULL, ERR));
}

static struct ktm_txn *forked_txn;

static void every_call_answers_forked(void *arg)
{
    struct ktm *tm = handle.tm;
    struct ktm_txn *txn, *mine = forked_txn;
    struct ktm_id id = {1, 1};
    struct ktm_txn_info info;
    struct ktm_commit_info commit;
    struct tx_buf storage = TX_BUF_INIT;
    void *view;
    int dir;
    bool good = true;
    (void)arg;
#define FORKED(call) good &= (call) == TX_EFORKED
    FORKED(ktm_begin(tm, NULL, &txn, ERR));
    FORKED(ktm_txn_view(mine, 0, &view, ERR));
    FORKED(ktm_txn_add(mine, 0, 1, 0, NULL, 0, ERR));
    FORKED(ktm_txn_staging(mine, &dir, ERR));
    FORKED(ktm_savepoint(mine, "a", ERR));
    FORKED(ktm_rollback_to(mine, "a", ERR));
    FORKED(ktm_detach(mine, ERR));
    FORKED(ktm_attach(tm, &id, &txn, ERR));
    FORKED(ktm_discard(tm, &id, ERR));
    FORKED(ktm_commit_prepared(tm, &id, NULL, ERR));
    FORKED(ktm_rollback_prepared(tm, &id, ERR));
    FORKED(ktm_query(tm, &id, &info, ERR));
    FORKED(ktm_list(tm, NULL, NULL, ERR));
    FORKED(ktm_load_entries(tm, &id, &commit, &storage, ERR));
    FORKED(ktm_each_commit(tm, 0, 1, NULL, NULL, ERR));
    FORKED(ktm_checkpoint(tm, ERR));
    FORKED(ktm_commit(mine, NULL, ERR));
    ktm_close(tm);
    _exit(good ? 0 : 1);
}

Test(ktm_txn, forked_child_can_do_nothing_and_takes_nothing_away)
{
    struct handle other;
    struct ktm_id id;
    char path[KTM_STAGING_PATH_SIZE];
    int dir;
    forked_txn = txn_begin(&handle, 0);
    toy_set(forked_txn, 0, 1, 5);
    ok(ktm_txn_staging(forked_txn, &dir, ERR));
    id = ktm_txn_id(forked_txn);
    ktm_staging_path(&id, path);
    handle_join(&other, world, NULL);
    cr_expect_eq(in_child(every_call_answers_forked, NULL), 0);
    cr_expect(store_has(world, path));
    cr_expect(ktm_is_held(other.tm, &id));
    cr_expect(ktm_process_lives(other.tm, handle.tm->owner));
    ok(ktm_commit(forked_txn, NULL, ERR));
    cr_expect_eq(toy_live_value(world, 0, 1), 5);
    handle_close(&other);
}

Test(ktm_txn, options_are_checked)
{
    struct ktm_options options = {
        .io = handle.io,
        .store_dir = handle.dir,
        .log = handle.log,
        .shared = world->ktm_shared,
        .conflict_entries = 1000,
    };
    struct ktm *tm;
    fails(TX_EINVAL, ktm_open(&options, &tm, ERR));
    options.conflict_entries = KTM_CONFLICT_ENTRIES_MIN / 2;
    fails(TX_EINVAL, ktm_open(&options, &tm, ERR));
    options.conflict_entries = 2048; /* the others use 1024 */
    fails(TX_EINVAL, ktm_open(&options, &tm, ERR));
    options.conflict_entries = 1024;
    options.shared = NULL;
    fails(TX_EINVAL, ktm_open(&options, &tm, ERR));
}

Test(ktm_txn, store_that_nobody_recovered_is_not_used)
{
    struct handle fresh;
    handle_close(&handle);
    world_reboot(world);
    handle_join(&fresh, world, NULL);
    struct ktm_txn *txn;
    fails(TX_EMISUSE, ktm_begin(fresh.tm, NULL, &txn, ERR));
    handle_close(&fresh);
    world_reboot(world);
    handle_boot(&handle, world);
}

Test(ktm_txn, processes_have_a_limit)
{
    static struct handle many[KTM_PROCESSES_MAX];
    struct ktm_options options = {
        .io = handle.io, .store_dir = handle.dir, .shared = world->ktm_shared,
        .conflict_entries = 1024};
    struct txlog *log;
    struct ktm *tm;
    for (unsigned i = 1; i < KTM_PROCESSES_MAX; i++) {
        handle_join(&many[i], world, NULL);
    }
    ok(txlog_open(handle.io, handle.dir, TXLOG_READWRITE, world->log_shared, &log, ERR));
    options.log = log;
    fails(TX_ELIMIT, ktm_open(&options, &tm, ERR));
    handle_close(&many[5]);
    ok(ktm_open(&options, &tm, ERR));
    ktm_close(tm);
    txlog_close(log);
    for (unsigned i = 1; i < KTM_PROCESSES_MAX; i++) {
        if (i != 5) {
            handle_close(&many[i]);
        }
    }
}
