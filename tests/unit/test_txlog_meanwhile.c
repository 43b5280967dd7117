/* SPDX-License-Identifier: MIT */
/* What others do just before an operation gets a lock or opens a file. */
#include "unit/log_fixture.h"

#include "sim/layer.h"
#include "unit/temp_dir.h"

struct meanwhile {
    struct layer layer; /* first */
    enum layer_op op;
    uint64_t offset;
    void (*fn)(void); /* once, before the first such call */
    unsigned syncs;
};

static struct temp_dir temp;
static struct log_user user; /* the others */
static struct log_user mine;
static struct meanwhile meanwhile;

static void setup(void)
{
    temp = temp_dir_new();
    log_make(txio_posix(), temp.fd, 0);
    log_open(&user, txio_posix(), temp.fd);
}

static void teardown(void)
{
    log_close(&mine);
    layer_release(&meanwhile.layer);
    log_close(&user);
    temp_dir_auto(&temp);
}

TestSuite(txlog_meanwhile, .init = setup, .fini = teardown, .timeout = 60);

static void before_call(struct layer *layer, struct layer_call *call)
{
    struct meanwhile *self = (struct meanwhile *)layer;
    self->syncs += call->op == LAYER_datasync;
    if (call->op == self->op && call->offset == self->offset && self->fn) {
        void (*fn)(void) = self->fn;
        self->fn = NULL;
        fn();
    }
}

/* From now on `mine` is a handle of which `fn` is called before such a call. */
static void join(enum layer_op op, uint64_t offset, void (*fn)(void))
{
    layer_init(&meanwhile.layer, txio_posix());
    meanwhile.layer.before = before_call;
    meanwhile.layer.fibers = true; /* the log is used below it */
    log_join(&mine, &user, &meanwhile.layer.io);
    meanwhile.op = op;
    meanwhile.offset = offset;
    meanwhile.fn = fn;
}

static void force_all(void)
{
    ok(txlog_force(user.log, log_info(&user).append_lsn, &test_err));
}

static void trim_all(void)
{
    ok(txlog_trim(user.log, log_info(&user).durable_lsn, &test_err));
}

static void trim_nothing(void)
{
    ok(txlog_trim(user.log, log_info(&user).start_lsn, &test_err));
}

static void poison(void)
{
    txlog_poison(user.log);
}

Test(txlog_meanwhile, a_record_that_is_trimmed_before_its_file_is_opened_is_not_found)
{
    TX_AUTO(tx_buf) payload = TX_BUF_INIT;
    struct txlog_record record;
    tx_lsn lsn = log_info(&user).append_lsn;
    log_put_forced(&user, 1, 100);
    log_put_forced(&user, 2, 8200);
    log_put_forced(&user, 3, 8200);
    join(LAYER_open, 0, trim_all);
    ok(tx_buf_append_text(&payload, "old", &test_err));
    fails(TX_ENOTFOUND, txlog_read(mine.log, lsn, &record, &payload, &test_err));
    cr_assert_not_null(strstr(test_err.text, "it was trimmed"), "%s", test_err.text);
    cr_assert_eq(payload.size, 0);
}

Test(txlog_meanwhile, who_waited_for_the_end_of_a_log_that_was_poisoned_is_refused)
{
    tx_lsn next;
    join(LAYER_lock, TXIO_LOCK_APPEND, poison);
    fails(TX_EPOISONED, log_try_put(&mine, 1, 100, &next));
    log_expect(&user, 0);
}

Test(txlog_meanwhile, what_others_have_forced_is_not_forced_again)
{
    tx_lsn next = log_put(&user, 1, 100);
    join(LAYER_lock, TXIO_LOCK_FORCE, force_all);
    uint64_t forces = log_info(&user).force_count;
    ok(txlog_force(mine.log, next, &test_err));
    cr_assert_eq(log_info(&user).force_count, forces + 1);
    cr_assert_eq(meanwhile.syncs, 0);
}

Test(txlog_meanwhile, what_was_poisoned_is_not_forced)
{
    tx_lsn next = log_put(&user, 1, 100);
    join(LAYER_lock, TXIO_LOCK_FORCE, poison);
    fails(TX_EOUTCOME, txlog_force(mine.log, next, &test_err));
    cr_assert_eq(meanwhile.syncs, 0);
    cr_assert_lt(log_info(&user).durable_lsn, next);
}

Test(txlog_meanwhile, what_others_have_proven_is_not_proven_again)
{
    tx_lsn next = log_put(&user, 1, 8200); /* with it a spare does not hold what is to prove */
    join(LAYER_lock, TXIO_LOCK_SEGMENT, trim_nothing);
    ok(txlog_force(mine.log, next, &test_err));
    cr_assert_leq(meanwhile.syncs, 2); /* of the segments; none of control */
    cr_assert_eq(log_info(&user).durable_lsn, next);
    log_close(&mine);
    log_reopen(&user);
    cr_assert_eq(user.recovery.rewritten_bytes, 0);
    log_expect(&user, 1);
}
