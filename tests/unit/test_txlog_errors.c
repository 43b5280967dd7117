/* SPDX-License-Identifier: MIT */
/* An error at every call and at every allocation: what was acknowledged stays. */
#include "unit/log_fixture.h"

#include "sim/fault.h"
#include "unit/failing_alloc.h"
#include "unit/temp_dir.h"

static struct temp_dir temp;
static struct log_user user;

static void setup(void)
{
    temp = temp_dir_new();
    log_make(txio_posix(), temp.fd, 0);
    log_open(&user, txio_posix(), temp.fd);
}

static void teardown(void)
{
    log_close(&user);
    temp_dir_auto(&temp);
}

TestSuite(txlog_errors, .init = setup, .fini = teardown, .timeout = 120);

static void reopen(void)
{
    log_open(&user, txio_posix(), temp.fd);
}

/* Use a log through `io` until something fails. Returns how many records were acknowledged. */
static unsigned workload(struct txio *io, enum tx_status *worst)
{
    struct log_user mine;
    unsigned acknowledged = 0;
    *worst = log_try_open(&mine, io, temp.fd);
    if (*worst != TX_OK) {
        return 0;
    }
    for (uint32_t i = 1; i <= 5 && *worst == TX_OK; i++) {
        tx_lsn next;
        *worst = log_try_put(&mine, i, i == 3 ? 30000 : 3000, &next);
        if (*worst == TX_OK) {
            *worst = txlog_force(mine.log, next, &test_err);
        }
        acknowledged += *worst == TX_OK;
    }
    if (*worst == TX_OK) {
        *worst = txlog_trim(mine.log, log_info(&mine).start_lsn, &test_err);
    }
    if (*worst == TX_OK) {
        *worst = txlog_mark_clean(mine.log, &test_err);
    }
    log_close(&mine);
    return acknowledged;
}

static void expect_at_least(unsigned acknowledged)
{
    struct log_contents contents;
    reopen();
    log_contents(&user, &contents);
    cr_assert_geq(contents.count, acknowledged);
    cr_assert_leq(contents.count, acknowledged + 1);
    log_expect(&user, contents.count);
    log_close_clean(&user);
    cr_assert_eq(log_faults(txio_posix(), temp.fd), 0, "%s",
                 log_faults_text(txio_posix(), temp.fd));
}

static void fail_each_call(int os_errno, enum fault_kind kind)
{
    bool fired = true;
    /* A descriptor of which nobody knows would be the test's leak. */
    uint64_t never = LAYER_BIT(process_id) | LAYER_BIT(close) | LAYER_BIT(wake) |
                     (kind == FAULT_ERRNO_AFTER ? LAYER_BIT(open) : 0);
    log_close_clean(&user);
    log_save(temp.fd);
    for (uint64_t n = 1; fired; n++) {
        struct fault_layer fault;
        enum tx_status status;
        fault_init(&fault, txio_posix(), false);
        struct fault_rule *rule = fault_add(
            &fault, &(struct fault_rule){.ops = FAULT_ALL_OPS & ~never, .nth = n, .times = 1,
                                         .kind = kind, .os_errno = os_errno});
        int before = open_descriptors();
        unsigned acknowledged = workload(&fault.layer.io, &status);
        cr_assert_eq(open_descriptors(), before, "call %u", (unsigned)n);
        fired = rule->fired > 0;
        cr_assert(fired || status == TX_OK);
        fault_release(&fault);
        expect_at_least(acknowledged);
        log_restore(temp.fd);
        cr_assert_lt(n, 2000);
    }
    reopen();
}

Test(txlog_errors, an_io_error_at_any_call_loses_nothing_acknowledged)
{
    fail_each_call(EIO, FAULT_ERRNO);
}

Test(txlog_errors, an_io_error_after_any_call_loses_nothing_acknowledged)
{
    fail_each_call(EIO, FAULT_ERRNO_AFTER);
}

Test(txlog_errors, no_space_at_any_call_loses_nothing_acknowledged)
{
    fail_each_call(ENOSPC, FAULT_ERRNO);
}

Test(txlog_errors, no_descriptor_at_any_call_loses_nothing_acknowledged)
{
    fail_each_call(EMFILE, FAULT_ERRNO);
}

Test(txlog_errors, no_memory_at_any_allocation_loses_nothing_acknowledged)
{
    log_close_clean(&user);
    log_save(temp.fd);
    bool failed = true;
    for (size_t n = 0; failed; n++) {
        enum tx_status status;
        failing_alloc_begin(n);
        unsigned acknowledged = workload(txio_posix(), &status);
        failed = failing_alloc_end();
        cr_assert_eq(failing_alloc.in_use, 0, "allocation %zu", n);
        cr_assert_eq(status == TX_OK, !failed);
        expect_at_least(acknowledged);
        log_restore(temp.fd);
    }
    reopen();
}

/* A record that was read with a flipped bit may look torn when nothing proves that it was durable;
 * it must never be copied as it was read. */
Test(txlog_errors, a_flipped_bit_in_any_read_changes_no_record)
{
    bool fired = true;
    log_put_forced(&user, 1, 100);
    log_put_forced(&user, 2, 3000);
    log_put_forced(&user, 3, 300000);
    log_put_forced(&user, 4, 100000);
    log_close(&user);
    log_save(temp.fd);
    for (uint64_t n = 1; fired; n++) {
        struct fault_layer fault;
        struct log_contents contents;
        fault_init(&fault, txio_posix(), false);
        struct fault_rule *rule =
            fault_add(&fault, &(struct fault_rule){.ops = LAYER_BIT(pread), .nth = n, .times = 1,
                                                   .kind = FAULT_FLIP});
        enum tx_status status = log_try_open(&user, &fault.layer.io, temp.fd);
        fired = rule->fired > 0;
        if (status == TX_OK) {
            log_close(&user);
        }
        fault_release(&fault);
        reopen();
        log_contents(&user, &contents); /* compares every payload */
        cr_assert_geq(contents.count, 3, "read %u", (unsigned)n);
        log_expect(&user, contents.count);
        log_close(&user);
        log_restore(temp.fd);
        cr_assert_lt(n, 1000);
    }
    reopen();
}
