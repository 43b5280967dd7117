/* SPDX-License-Identifier: MIT */
#include "unit/log_fixture.h"

#include "unit/hook_io.h"
#include "unit/temp_dir.h"

static struct temp_dir temp;
static struct log_user user;

/* Five segments: fifteen blocks, one taken by the epoch record. */
static void setup(void)
{
    temp = temp_dir_new();
    log_make(txio_posix(), temp.fd, 5 * SMALL_SEGMENT);
    log_open(&user, txio_posix(), temp.fd);
}

static void teardown(void)
{
    log_close(&user);
    temp_dir_auto(&temp);
}

TestSuite(txlog_reserve, .init = setup, .fini = teardown);

static unsigned fill(size_t size)
{
    tx_lsn next;
    unsigned count = 0;
    while (log_try_put(&user, 1, size, &next) == TX_OK) {
        count++;
        cr_assert_lt(count, 100);
    }
    cr_assert_eq(test_err.status, TX_ENOSPC);
    return count;
}

static enum tx_status put_reserved(size_t size)
{
    uint8_t data[20000] = {0};
    struct iovec part = {data, size};
    tx_lsn lsn;
    tx_lsn next;
    TX_TRY(txlog_append_begin_reserved(user.log, size, &lsn, &test_err));
    enum tx_status status = txlog_append(user.log, 2, &part, 1, &next, &test_err);
    txlog_append_end(user.log);
    return status;
}

Test(txlog_reserve, what_is_reserved_is_there_when_all_else_is_full)
{
    for (int i = 0; i < 4; i++) {
        ok(txlog_reserve(user.log, 100, &test_err));
    }
    cr_assert_eq(fill(100), 14 - 4);
    for (int i = 0; i < 4; i++) {
        ok(put_reserved(100));
        txlog_unreserve(user.log, 100);
    }
    fails(TX_ENOSPC, put_reserved(100)); /* now it really is full */
}

Test(txlog_reserve, reserved_records_of_several_blocks_fit_whatever_stands_before)
{
    for (unsigned before = 0; before < 4; before++) {
        for (unsigned i = 0; i < before; i++) {
            log_put(&user, 1, 1);
        }
        ok(txlog_reserve(user.log, 7000, &test_err));
        ok(txlog_reserve(user.log, 7000, &test_err));
        fill(100);
        ok(put_reserved(7000));
        ok(put_reserved(7000));
        txlog_unreserve(user.log, 7000);
        txlog_unreserve(user.log, 7000);
        tx_lsn end = log_info(&user).append_lsn;
        ok(txlog_force(user.log, end, &test_err));
        ok(txlog_trim(user.log, end, &test_err));
    }
}

Test(txlog_reserve, unreserving_gives_the_room_back)
{
    ok(txlog_reserve(user.log, 100, &test_err));
    txlog_unreserve(user.log, 100);
    txlog_unreserve(user.log, 100); /* once too often: no harm */
    cr_assert_eq(fill(100), 14);
}

Test(txlog_reserve, more_than_there_is_can_not_be_reserved)
{
    unsigned count = 0;
    while (txlog_reserve(user.log, 100, &test_err) == TX_OK) {
        count++;
        cr_assert_lt(count, 100);
    }
    cr_assert_eq(test_err.status, TX_ENOSPC);
    cr_assert_eq(count, 14);
    tx_lsn next;
    fails(TX_ENOSPC, log_try_put(&user, 1, 1, &next));
}

Test(txlog_reserve, a_record_must_fit_into_a_standard_segment)
{
    size_t most = SMALL_SEGMENT - TXLOG_BLOCK_SIZE - FRAME_HEADER_SIZE;
    ok(txlog_reserve(user.log, most - 1, &test_err));
    txlog_unreserve(user.log, most - 1);
    ok(txlog_reserve(user.log, most, &test_err));
    txlog_unreserve(user.log, most);
    fails(TX_ELIMIT, txlog_reserve(user.log, most + 1, &test_err));
    fails(TX_ELIMIT, txlog_reserve(user.log, SIZE_MAX, &test_err));
}

Test(txlog_reserve, large_records_leave_the_reserve_alone)
{
    ok(txlog_reserve(user.log, 100, &test_err));
    ok(txlog_reserve(user.log, 100, &test_err));
    tx_lsn next;
    while (log_try_put(&user, 1, 10000, &next) == TX_OK) {
    }
    cr_assert_eq(test_err.status, TX_ENOSPC);
    while (log_try_put(&user, 1, 30000, &next) == TX_OK) {
    }
    while (log_try_put(&user, 1, 5000, &next) == TX_OK) {
    }
    ok(put_reserved(100));
    ok(put_reserved(100));
}

/* Two blocks are left in the fourth segment, there is no spare, and room for one segment more. */
Test(txlog_reserve, a_record_that_gives_up_the_rest_of_a_segment_leaves_the_reserve_alone)
{
    tx_lsn next;
    for (int i = 0; i < 2 + 3 + 3 + 1; i++) {
        log_put(&user, 1, 1);
    }
    ok(txlog_reserve(user.log, 100, &test_err));
    fails(TX_ENOSPC, log_try_put(&user, 1, 10000, &next));
    ok(put_reserved(100));
}

Test(txlog_reserve, prepare_makes_a_spare_ready)
{
    fill(100);
    tx_lsn end = log_info(&user).append_lsn;
    fails(TX_ENOSPC, txlog_prepare_segment(user.log, &test_err));
    ok(txlog_force(user.log, end, &test_err));
    ok(txlog_trim(user.log, end, &test_err));
    ok(txlog_prepare_segment(user.log, &test_err));
    struct txlog_info info = log_info(&user);
    ok(txlog_prepare_segment(user.log, &test_err)); /* nothing to do */
    cr_assert_eq(log_info(&user).size, info.size);
}

static int sync_before_rename(struct hook_io *self, enum hook_op op, enum hook_when when)
{
    if (when == HOOK_AFTER && op == HOOK_DATASYNC) {
        self->at = 0; /* all that was written is synced */
    } else if (when == HOOK_AFTER && op == HOOK_PWRITEV) {
        self->at++;
    } else if (op == HOOK_RENAME) {
        cr_assert_eq(self->at, 0, "renamed before its sync");
        self->when++;
    }
    return 0;
}

/* So that no commit has to wait until sixteen megabytes of zeros are on the disk. */
Test(txlog_reserve, a_spare_is_synced_before_it_is_one)
{
    static struct hook_io hook;
    struct log_user mine;
    log_put(&user, 1, 8200);
    log_put(&user, 2, 8200); /* took the spare */
    log_join(&mine, &user, hook_init(&hook, sync_before_rename));
    ok(txlog_prepare_segment(mine.log, &test_err));
    cr_assert_gt(hook.when, 0);
    log_close(&mine);
}
