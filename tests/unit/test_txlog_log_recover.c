/* SPDX-License-Identifier: MIT */
/* Recovery of logs that were closed, killed, or left with leftovers. */
#include <fcntl.h>
#include <unistd.h>

#include "unit/log_fixture.h"

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

TestSuite(txlog_log_recover, .init = setup, .fini = teardown, .timeout = 120);

static void reopen(void)
{
    log_open(&user, txio_posix(), temp.fd);
}

Test(txlog_log_recover, a_new_log_is_clean_and_empty)
{
    cr_assert(user.recovery.was_clean);
    cr_assert_eq(user.recovery.end_lsn, TXLOG_FIRST_LSN);
    cr_assert_eq(user.recovery.torn_bytes, 0);
    cr_assert_eq(user.recovery.rewritten_bytes, 0);
    cr_assert_eq(log_info(&user).identity.epoch, 1);
    cr_assert(log_info(&user).clean);
    log_expect(&user, 0);
}

Test(txlog_log_recover, a_clean_log_goes_on_in_place)
{
    log_put(&user, 1, 10);
    log_close_clean(&user);
    for (uint32_t i = 2; i < 30; i++) {
        reopen();
        cr_assert(user.recovery.was_clean);
        cr_assert_eq(log_info(&user).identity.epoch, i);
        cr_assert_eq(user.recovery.rewritten_bytes, 0);
        log_expect(&user, i - 1);
        log_put(&user, i, i * 500);
        log_close_clean(&user);
    }
    reopen();
}

Test(txlog_log_recover, each_opening_is_an_epoch_and_says_so_in_the_log)
{
    struct log_contents contents;
    for (unsigned i = 1; i < 5; i++) {
        log_contents(&user, &contents);
        cr_assert_eq(contents.epochs, i);
        log_reopen(&user);
    }
}

Test(txlog_log_recover, what_was_not_forced_survives_a_crash_of_the_process)
{
    for (uint32_t i = 1; i <= 7; i++) {
        log_put(&user, i, i * 1000);
    }
    tx_lsn end = log_info(&user).append_lsn;
    log_reopen(&user);
    cr_assert_not(user.recovery.was_clean);
    cr_assert_eq(user.recovery.end_lsn, end);
    log_expect(&user, 7);
}

Test(txlog_log_recover, bytes_behind_a_clean_end_are_left_alone)
{
    log_put(&user, 1, 100);
    log_close_clean(&user);
    uint8_t byte = 9;
    file_write(temp.fd, segment_path(1), SMALL_SEGMENT - 77, &byte, 1);
    reopen();
    cr_assert_not(user.recovery.was_clean);
    log_put_forced(&user, 2, 100);
    log_reopen(&user);
    log_expect(&user, 2);
}

/* Each crash adds a segment, also to a log that has as many as appending may make. */
Test(txlog_log_recover, a_log_of_as_many_segments_as_there_may_be_opens_after_crashes)
{
    tx_lsn next = 0;
    uint32_t count = 0;
    while (log_try_put(&user, 1, 8200, &next) == TX_OK) { /* fills a segment */
        count++;
    }
    cr_assert_eq(test_err.status, TX_ENOSPC);
    cr_assert_eq(log_info(&user).segment_count, LOG_SEGMENTS_MAX);
    ok(txlog_force(user.log, log_info(&user).append_lsn, &test_err));
    for (unsigned i = 0; i < 3; i++) {
        log_reopen(&user);
        fails(TX_ENOSPC, log_try_put(&user, 1, 8200, &next));
    }
    next = log_info(&user).append_lsn;
    ok(txlog_trim(user.log, next, &test_err));
    log_put_forced(&user, 1, 8200);
    log_reopen(&user);
    log_expect(&user, 1);
}

/* --- Leftovers --- */

Test(txlog_log_recover, drafts_of_the_killed_are_removed)
{
    log_close(&user);
    make_file(temp.fd, "log/new-segment", "x");
    make_file(temp.fd, "log/new-spare", "x");
    make_file(temp.fd, "log/spare-0000000000000077", "x");
    make_file(temp.fd, "log/README", "not ours");
    reopen();
    cr_assert_not(exists(temp.fd, "log/new-segment"));
    cr_assert_not(exists(temp.fd, "log/new-spare"));
    cr_assert_not(exists(temp.fd, "log/spare-0000000000000077"));
    cr_assert(exists(temp.fd, "log/README"));
}

Test(txlog_log_recover, opened_twice_at_once_is_misuse)
{
    struct txlog_recovery recovery;
    fails(TX_EMISUSE, txlog_recover(user.log, &recovery, &test_err));
}

/* Found by the simulator: cut off while a segment was made of a spare, half of its header is there,
 * and the check calls that damage for ever. */
Test(txlog_log_recover, a_spare_with_a_torn_header_is_removed)
{
    static const char text[] = "half of a header";
    log_put_forced(&user, 1, 100);
    log_close(&user);
    static const uint8_t zeros[SMALL_SEGMENT];
    for (unsigned spare = 1; spare < 4; spare++) { /* recovery takes one of them */
        char path[64];
        (void)snprintf(path, sizeof path, "log/spare-%016u", spare);
        int fd = openat(temp.fd, path, O_CREAT | O_CLOEXEC | O_WRONLY, 0600);
        cr_assert_geq(fd, 0);
        (void)close(fd);
        file_write(temp.fd, path, 0, zeros, sizeof zeros);
        file_write(temp.fd, path, 0, text, sizeof text);
    }
    cr_expect_gt(log_faults(txio_posix(), temp.fd), 0);
    reopen();
    log_close_clean(&user);
    cr_expect_eq(log_faults(txio_posix(), temp.fd), 0, "%s",
                 log_faults_text(txio_posix(), temp.fd));
    reopen();
    log_expect(&user, 1);
}
