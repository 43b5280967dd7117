/* SPDX-License-Identifier: MIT */
/* The file `changes` of a detached transaction, and the directory around it: what of them is
 * believed, and what the date does to a timeout. */
#include <errno.h>

#include "ktm_world.h"
#include "sim/fault.h"

static struct ktm_id id;

TestSuite(ktm_changes_file, .init = world_setup, .fini = world_teardown);

static void detach_one(struct handle *at)
{
    struct ktm_txn *txn = txn_begin(at, 0);
    id = ktm_txn_id(txn);
    toy_set(txn, 0, 1, 5);
    ok(ktm_detach(txn, ERR));
}

/* --- Savepoints --- */

struct mark {
    uint64_t size, count;
    const char *name;
    size_t name_size;
};
#define NAMED(name) name, sizeof(name) - 1

static enum tx_status decode(struct ktm_txn *txn, const struct mark *marks, uint32_t count,
                             size_t cut)
{
    TX_AUTO(tx_buf) bytes = TX_BUF_INIT;
    for (uint32_t i = 0; i < count; i++) {
        ok(tx_buf_put64(&bytes, marks[i].size, ERR));
        ok(tx_buf_put64(&bytes, marks[i].count, ERR));
        ok(tx_buf_put8(&bytes, (uint8_t)marks[i].name_size, ERR));
        ok(tx_buf_append(&bytes, marks[i].name, marks[i].name_size, ERR));
    }
    struct ktm_record record = {
        .header = {.savepoint_count = count, .savepoints_size = bytes.size - cut},
        .savepoints = bytes.data,
    };
    txn->savepoint_count = 0;
    enum tx_status status = ktm_savepoints_decode(txn, &record, ERR);
    txn->savepoint_count = status == TX_OK ? txn->savepoint_count : 0;
    return status;
}

Test(ktm_changes_file, savepoints_that_cannot_be_are_refused)
{
    static char long_name[KTM_SAVEPOINT_NAME_MAX + 1];
    struct ktm_txn *txn = txn_begin(&handle, 0);
    memset(long_name, 'x', sizeof long_name);
    toy_set(txn, 0, 1, 5);
    size_t one = txn->entries.size;
    toy_set(txn, 0, 2, 5);
    const struct {
        struct mark marks[2];
        size_t cut;
        enum tx_status status;
        const char *why;
    } cases[] = {
        {{{0, 0, NAMED("a")}, {one, 1, NAMED("b")}}, 0, TX_OK, ""},
        {{{one, 1, NAMED("a")}, {one, 1, NAMED("b")}}, 0, TX_OK, ""},
        {{{0, 0, NAMED("a")}, {one, 1, NAMED("b")}}, 1, TX_ECORRUPT, "savepoint 1 is damaged"},
        {{{0, 0, NAMED("")}, {one, 1, NAMED("b")}}, 0, TX_ECORRUPT, "savepoint 0 is damaged"},
        {{{0, 0, NAMED("a\0")}, {one, 1, NAMED("b")}}, 0, TX_ECORRUPT, "savepoint 0 is damaged"},
        {{{0, 0, long_name, sizeof long_name}, {one, 1, NAMED("b")}}, 0, TX_ECORRUPT,
         "savepoint 0 is damaged"},
        {{{0, 0, NAMED("a")}, {one, 1, NAMED("a")}}, 0, TX_ECORRUPT, "two savepoints \"a\""},
        {{{0, 0, NAMED("a")}, {one, 2, NAMED("b")}}, 0, TX_ECORRUPT, "do not fit"},
        {{{0, 0, NAMED("a")}, {one + 1, 1, NAMED("b")}}, 0, TX_ECORRUPT, "do not fit"},
        {{{one, 1, NAMED("a")}, {0, 0, NAMED("b")}}, 0, TX_ECORRUPT, "do not fit"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        fails(cases[i].status, decode(txn, cases[i].marks, 2, cases[i].cut));
        cr_expect(cases[i].status == TX_OK || strstr(test_err.text, cases[i].why), "%zu: %s", i,
                  test_err.text);
    }
    fails(TX_ECORRUPT, decode(txn, cases[0].marks, 1, (size_t)0 - 1));
    cr_expect_not_null(strstr(test_err.text, "do not fit"), "%s", test_err.text);
    txn->savepoint_count = 0;
    ktm_rollback(txn);
}

/* --- Size and place --- */

Test(ktm_changes_file, file_that_no_transaction_fills_is_refused_without_being_read)
{
    char path[KTM_CHANGES_PATH_SIZE];
    struct ktm_txn *txn;
    detach_one(&handle);
    ktm_changes_path(&id, path);
    int fd = openat(world->temp.fd, path, O_RDWR);
    cr_assert_geq(fd, 0);
    cr_assert_eq(ftruncate(fd, (off_t)TXLOG_PAYLOAD_MAX + 1), 0);
    (void)close(fd);
    fails(TX_ECORRUPT, ktm_attach(handle.tm, &id, &txn, ERR));
    cr_expect_not_null(strstr(test_err.text, "bytes"), "%s", test_err.text);
    cr_expect_not_null(strstr(test_err.text, path), "%s", test_err.text);
    ok(ktm_discard(handle.tm, &id, ERR));
}

/* An RM may stage more than files; that is its own to sync. */
Test(ktm_changes_file, only_files_are_synced_by_detaching)
{
    struct ktm_txn *txn = txn_begin(&handle, 0);
    int dir;
    id = ktm_txn_id(txn);
    ok(ktm_txn_staging(txn, &dir, ERR));
    make_dir(dir, "folder");
    cr_assert_eq(symlinkat("nowhere", dir, "link"), 0);
    make_file(dir, "p1", "payload");
    ok(ktm_detach(txn, ERR));
    ok(ktm_attach(handle.tm, &id, &txn, ERR));
    cr_expect(file_is(world->temp.fd, payload_path(&id), "payload"));
    ktm_rollback(txn);
    cr_expect_not(store_has(world, payload_path(&id)));
}

Test(ktm_changes_file, one_that_finds_no_snapshot_slot_stays_detached)
{
    static struct ktm_txn *txns[KTM_ATTACHED_MAX];
    struct ktm_txn *txn;
    detach_one(&handle);
    for (size_t i = 0; i < KTM_ATTACHED_MAX; i++) {
        txns[i] = txn_begin(&handle, 0);
    }
    fails(TX_ELIMIT, ktm_attach(handle.tm, &id, &txn, ERR));
    ktm_rollback(txns[0]);
    ok(ktm_attach(handle.tm, &id, &txn, ERR));
    cr_expect_eq(toy_get(txn, 0, 1), 5);
}

/* --- Without tx/ --- */

static void fail_once(struct fault_layer *fault, uint64_t ops, uint64_t nth)
{
    fault_clear(fault);
    (void)fault_add(fault, &(struct fault_rule){.ops = ops, .nth = nth, .times = 1,
                                                .kind = FAULT_ERRNO, .os_errno = EIO});
}

Test(ktm_changes_file, first_that_stages_makes_the_directory_or_tells_why_not)
{
    struct fault_layer fault;
    struct handle other;
    struct ktm_txn *txn;
    int dir;
    cr_assert_not(store_has(world, "tx"));
    fault_init(&fault, txio_posix(), false);
    handle_join(&other, world, &fault.layer.io);
    txn = txn_begin(&other, 0);
    fail_once(&fault, LAYER_BIT(mkdir), 1);
    fails(TX_EIO, ktm_txn_staging(txn, &dir, ERR));
    cr_expect_not(store_has(world, "tx"));
    fail_once(&fault, LAYER_BIT(open), 2);
    fails(TX_EIO, ktm_txn_staging(txn, &dir, ERR));
    fault_clear(&fault);
    ok(ktm_txn_staging(txn, &dir, ERR));
    make_file(dir, "p1", "payload");
    ktm_rollback(txn);
    handle_close(&other);
    fault_release(&fault);
}

/* The first thing that needs the directory is the removal. */
Test(ktm_changes_file, discarding_one_that_cannot_be_reached_can_be_repeated)
{
    struct fault_layer fault;
    struct handle other;
    char path[KTM_CHANGES_PATH_SIZE];
    detach_one(&handle);
    ktm_changes_path(&id, path);
    fault_init(&fault, txio_posix(), false);
    handle_join(&other, world, &fault.layer.io);
    fail_once(&fault, LAYER_BIT(open), 2); /* `changes` before it */
    fails(TX_EIO, ktm_discard(other.tm, &id, ERR));
    cr_expect(store_has(world, path));
    fault_clear(&fault);
    ok(ktm_discard(other.tm, &id, ERR));
    cr_expect_not(store_has(world, path));
    handle_close(&other);
    fault_release(&fault);
}

/* --- The date --- */

struct date {
    struct layer layer; /* first */
    int64_t moved_ns;
};

static void move_date(struct layer *layer, struct layer_call *call)
{
    const struct date *date = (const struct date *)layer;
    if (call->op == LAYER_realtime_ns) {
        call->result += date->moved_ns;
    }
}

static struct ktm_txn *begin_timed(struct handle *at, uint32_t timeout_ms)
{
    struct ktm_begin_options options = {.timeout_ms = timeout_ms};
    struct ktm_txn *txn;
    ok(ktm_begin(at->tm, &options, &txn, ERR));
    id = ktm_txn_id(txn);
    toy_set(txn, 0, 1, 5);
    return txn;
}

Test(ktm_changes_file, timeout_of_one_that_waits_goes_by_the_date_and_never_gets_longer)
{
    struct date date = {.moved_ns = 0};
    struct handle other;
    struct ktm_txn *txn;
    int64_t longest_ns = (int64_t)UINT32_MAX * 1000000;
    layer_init(&date.layer, txio_posix());
    date.layer.after = move_date;
    handle_join(&other, world, &date.layer.io);
    ok(ktm_detach(begin_timed(&other, UINT32_MAX), ERR));
    date.moved_ns = -longest_ns; /* the date is set back */
    ok(ktm_attach(other.tm, &id, &txn, ERR));
    cr_expect_leq(txn->deadline_ns, other.io->ops->monotonic_ns(other.io) + longest_ns);
    cr_expect_gt(txn->deadline_ns, other.io->ops->monotonic_ns(other.io) + longest_ns / 2);
    ok(ktm_detach(txn, ERR));
    date.moved_ns = longest_ns;
    fails(TX_ETIMEOUT, ktm_attach(other.tm, &id, &txn, ERR));
    fails(TX_ENOTFOUND, ktm_attach(other.tm, &id, &txn, ERR));
    handle_close(&other);
    layer_release(&date.layer);
}
