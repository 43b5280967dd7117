/* SPDX-License-Identifier: MIT */
/* Whom every call refuses: forked children, stores that met a write error, stores that are only
 * read. */
#include "ktm_world.h"

static struct ktm_id prepared, detached;
static struct ktm_txn *txn;

static void setup(void)
{
    world_setup();
    txn = txn_begin(&handle, 0);
    prepared = ktm_txn_id(txn);
    toy_set(txn, 0, 1, 5);
    ok(ktm_prepare(txn, ERR));
    txn = txn_begin(&handle, 0);
    detached = ktm_txn_id(txn);
    toy_set(txn, 0, 2, 5);
    ok(ktm_savepoint(txn, "mark", ERR));
    ok(ktm_detach(txn, ERR));
    txn = txn_begin(&handle, 0);
}

TestSuite(ktm_refused, .init = setup, .fini = world_teardown);

static enum tx_status list_none(void *arg, const struct ktm_txn_info *info, struct tx_error *err)
{
    (void)arg;
    (void)info;
    return tx_error_set(err, TX_EMISUSE, "nobody to list");
}

static enum tx_status no_commit(void *arg, const struct ktm_commit_info *commit,
                                struct tx_error *err)
{
    (void)arg;
    (void)commit;
    return tx_error_set(err, TX_EMISUSE, "no commit to deliver");
}

static void asking_is_refused(enum tx_status status)
{
    TX_AUTO(tx_buf) storage = TX_BUF_INIT;
    struct ktm_commit_info commit;
    struct ktm_txn_info info;
    struct ktm_txn *begun;
    fails(status, ktm_begin(handle.tm, NULL, &begun, ERR));
    fails(status, ktm_list(handle.tm, list_none, NULL, ERR));
    fails(status, ktm_query(handle.tm, &prepared, &info, ERR));
    fails(status, ktm_load_entries(handle.tm, &detached, &commit, &storage, ERR));
}

static void changing_is_refused(enum tx_status status)
{
    struct ktm_txn *attached;
    fails(status, ktm_attach(handle.tm, &detached, &attached, ERR));
    fails(status, ktm_discard(handle.tm, &detached, ERR));
    fails(status, ktm_commit_prepared(handle.tm, &prepared, NULL, ERR));
    fails(status, ktm_rollback_prepared(handle.tm, &prepared, ERR));
    fails(status, ktm_checkpoint(handle.tm, ERR));
}

static void working_is_refused(enum tx_status status)
{
    void *view;
    int dir;
    fails(status, ktm_txn_view(txn, 0, &view, ERR));
    fails(status, ktm_txn_add(txn, 0, TOY_SET, 0, NULL, 0, ERR));
    fails(status, ktm_txn_staging(txn, &dir, ERR));
    fails(status, ktm_savepoint(txn, "other", ERR));
    fails(status, ktm_rollback_to(txn, "mark", ERR));
    fails(status, ktm_detach(txn, ERR));
}

static void opening_is_refused(enum tx_status status)
{
    struct ktm_recovery report;
    bool opened;
    fails(status, ktm_recover(handle.tm, &report, ERR));
    fails(status, ktm_open_clean(handle.tm, &opened, ERR));
    fails(status, ktm_check(handle.tm, ERR));
    fails(status, ktm_each_commit(handle.tm, 0, UINT64_MAX, no_commit, NULL, ERR));
}

static uint32_t snapshot_owner(const struct ktm_txn *of)
{
    return atomic_load(&handle.tm->shared->snapshots[of->snapshot_slot].owner);
}

/* A child is known by its process id. */
Test(ktm_refused, forked_child_by_every_call_and_it_takes_nothing_from_its_parent)
{
    struct ktm_txn *of_parent = txn_begin(&handle, 0);
    uint32_t slot = of_parent->snapshot_slot, owner = snapshot_owner(of_parent);
    struct ktm_id id = ktm_txn_id(of_parent);
    char path[KTM_STAGING_PATH_SIZE];
    int dir;
    ok(ktm_txn_staging(of_parent, &dir, ERR));
    handle.tm->process_id++;
    asking_is_refused(TX_EFORKED);
    changing_is_refused(TX_EFORKED);
    working_is_refused(TX_EFORKED);
    opening_is_refused(TX_EFORKED);
    fails(TX_EFORKED, ktm_commit(txn, NULL, ERR));
    ktm_rollback(of_parent);
    ktm_close(handle.tm);
    handle.tm = NULL;
    cr_expect_eq(atomic_load(&((struct ktm_shared *)world->ktm_shared)->snapshots[slot].owner),
                 owner);
    ktm_staging_path(&id, path);
    cr_expect(store_has(world, path));
}

Test(ktm_refused, everybody_by_a_store_that_met_a_write_error)
{
    txlog_poison(handle.log);
    asking_is_refused(TX_EPOISONED);
    changing_is_refused(TX_EPOISONED);
    working_is_refused(TX_EPOISONED);
    fails(TX_EPOISONED, ktm_commit(txn, NULL, ERR));
    handle_reboot(&handle);
    cr_expect_eq(handle.recovery.in_doubt, 1);
    ok(ktm_attach(handle.tm, &detached, &txn, ERR));
}

/* Whoever waits for the publish lock finds that its holder met the error. */
Test(ktm_refused, publishers_by_a_store_that_met_a_write_error_meanwhile)
{
    raw_append(&handle, KTM_KIND_EPOCH, NULL, 0);
    tx_lsn published = ktm_published(handle.tm);
    txlog_poison(handle.log);
    fails(TX_EPOISONED, ktm_settle(handle.tm, ERR));
    cr_expect_eq(ktm_published(handle.tm), published);
}

Test(ktm_refused, those_who_settle_when_the_force_fails)
{
    tx_lsn lsn, next;
    ok(txlog_append_begin(handle.log, 0, &lsn, ERR));
    ok(txlog_append(handle.log, KTM_KIND_EPOCH, NULL, 0, &next, ERR));
    txlog_append_end(handle.log);
    txlog_poison(handle.log);
    fails(TX_EPOISONED, ktm_settle(handle.tm, ERR));
    cr_expect_not_null(strstr(test_err.text, "force the log failed"), "%s", test_err.text);
}

Test(ktm_refused, changes_by_a_manager_that_only_reads)
{
    struct ktm_txn *attached;
    handle.tm->read_only = true;
    fails(TX_EREADONLY, ktm_attach(handle.tm, &detached, &attached, ERR));
    fails(TX_EREADONLY, ktm_discard(handle.tm, &detached, ERR));
    fails(TX_EREADONLY, ktm_commit_prepared(handle.tm, &prepared, NULL, ERR));
    fails(TX_EREADONLY, ktm_rollback_prepared(handle.tm, &prepared, ERR));
    fails(TX_EREADONLY, toy_try_set(txn, 0, 1, 5));
    fails(TX_EREADONLY, ktm_detach(txn, ERR));
    fails(TX_EREADONLY, ktm_prepare(txn, ERR));
    handle.tm->read_only = false;
    ok(ktm_rollback_prepared(handle.tm, &prepared, ERR));
}

Test(ktm_refused, forked_child_by_a_store_that_is_salvaged)
{
    world_reboot(world); /* nobody has recovered it */
    handle.tm->salvage = true;
    handle.tm->process_id++;
    asking_is_refused(TX_EFORKED);
    ktm_close(handle.tm);
    handle.tm = NULL;
}

Test(ktm_refused, work_on_a_transaction_that_is_on_its_way)
{
    txn->state = KTM_PREPARED;
    working_is_refused(TX_EMISUSE);
    cr_expect_not_null(strstr(test_err.text, "transaction is prepared"), "%s", test_err.text);
    txn->state = KTM_ABORTED;
    working_is_refused(TX_EABORTED);
}

Test(ktm_refused, entries_that_no_resource_manager_makes)
{
    struct iovec parts[7] = {{.iov_len = 0}};
    fails(TX_EMISUSE, ktm_txn_add(txn, KTM_RM_MAX, 1, 0, parts, 1, ERR));
    fails(TX_EMISUSE, ktm_txn_add(txn, TOYS, 1, 0, parts, 1, ERR));
    fails(TX_EMISUSE, ktm_txn_add(txn, 0, 1, 0, parts, -1, ERR));
    fails(TX_EMISUSE, ktm_txn_add(txn, 0, 1, 0, parts, 7, ERR));
    cr_expect_eq(ktm_txn_entries(txn).left, 0);
    ok(ktm_txn_add(txn, 0, TOY_MARK, 0, parts, 6, ERR));
}

static enum tx_status try_open(struct ktm_options options)
{
    struct ktm *tm = NULL;
    enum tx_status status = ktm_open(&options, &tm, ERR);
    ktm_close(tm); /* NULL is allowed */
    return status;
}

Test(ktm_refused, options_without_what_is_needed)
{
    const struct ktm_options good = {.io = handle.io,
                                     .store_dir = handle.dir,
                                     .log = handle.log,
                                     .shared = world->ktm_shared,
                                     .conflict_entries = world->conflict_entries};
    struct ktm_options options = good;
    ok(try_open(options));
    options.read_only = true;
    ok(try_open(options));
    options.io = NULL;
    fails(TX_EINVAL, try_open(options));
    options = good;
    options.log = NULL;
    fails(TX_EINVAL, try_open(options));
    options = good;
    options.shared = NULL;
    fails(TX_EINVAL, try_open(options));
    options.shared = (char *)world->ktm_shared + 8;
    fails(TX_EINVAL, try_open(options));
    static const uint32_t entries[] = {3, KTM_CONFLICT_ENTRIES_MIN / 2,
                                       2 * KTM_CONFLICT_ENTRIES_MAX};
    for (size_t i = 0; i < sizeof entries / sizeof *entries; i++) {
        options = good;
        options.conflict_entries = entries[i];
        fails(TX_EINVAL, try_open(options));
    }
    options.conflict_entries = 0; /* 65536: not what the others have */
    fails(TX_EINVAL, try_open(options));
    cr_expect_eq(ktm_shared_size(0), ktm_shared_size(KTM_CONFLICT_ENTRIES_DEFAULT));
}
