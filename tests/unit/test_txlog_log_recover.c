/* SPDX-License-Identifier: MIT */
/* Recovery after what a crash may have left, and after what it can not have left. */
#include "unit/log_fixture.h"

#include "sim/fault.h"
#include "unit/failing_alloc.h"
#include "unit/hook_io.h"
#include "unit/temp_dir.h"

enum { SECTOR = 512 };

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

/* Where the record at this LSN stands. */
static struct txlog_record place_of(tx_lsn lsn)
{
    TX_AUTO(tx_buf) payload = TX_BUF_INIT;
    struct txlog_record record;
    ok(txlog_read(user.log, lsn, &record, &payload, &test_err));
    return record;
}

static void damage(const struct txlog_record *record, uint64_t at, size_t size)
{
    uint8_t garbage[3 * TXLOG_BLOCK_SIZE];
    memset(garbage, 0xE7, sizeof(garbage));
    cr_assert_leq(size, sizeof(garbage));
    file_write(temp.fd, segment_path(record->segment), record->offset + at, garbage, size);
}

static void zero(const struct txlog_record *record, uint64_t at, size_t size)
{
    static const uint8_t zeros[3 * TXLOG_BLOCK_SIZE];
    cr_assert_leq(size, sizeof(zeros));
    file_write(temp.fd, segment_path(record->segment), record->offset + at, zeros, size);
}

Test(txlog_log_recover, a_new_log_is_clean_and_empty)
{
    cr_assert(user.recovery.was_clean);
    cr_assert_eq(user.recovery.end_lsn, LOG_FIRST_LSN);
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

/* --- The unproven tail --- */

Test(txlog_log_recover, the_unproven_tail_is_written_again_and_forced)
{
    static struct hook_io hook; /* in use until the test's end */
    struct txio *io = hook_init(&hook, NULL);
    log_put_forced(&user, 1, 100);
    tx_lsn proven = log_info(&user).append_lsn;
    log_put_forced(&user, 2, 5000); /* says that all before it was durable */
    log_put_forced(&user, 3, 100);
    tx_lsn last = log_info(&user).append_lsn - TXLOG_BLOCK_SIZE;
    tx_lsn end = log_info(&user).append_lsn;
    log_close(&user);
    log_open(&user, io, temp.fd);
    /* Record 3 says that 2 was durable; nothing says so of 3. */
    cr_assert_eq(user.recovery.rewritten_bytes, end - last);
    cr_assert_lt(proven, last);
    cr_assert_geq(hook.written, end - last + TXLOG_BLOCK_SIZE);
    cr_assert_geq(hook.calls[HOOK_DATASYNC], 4); /* control twice, header, contents */
    cr_assert_eq(hook.calls[HOOK_RENAME], 1);
    cr_assert_geq(hook.calls[HOOK_SYNC], 1);
    struct txlog_record record = place_of(last);
    cr_assert_eq(record.segment, log_info(&user).segment_count);
    cr_assert_eq(record.epoch, 1);
    log_expect(&user, 3);
}

Test(txlog_log_recover, nothing_proven_is_written_again)
{
    for (uint32_t i = 1; i <= 9; i++) {
        log_put_forced(&user, i, 100);
    }
    log_reopen(&user);
    cr_assert_eq(user.recovery.rewritten_bytes, TXLOG_BLOCK_SIZE);
    log_reopen(&user);
    cr_assert_eq(user.recovery.rewritten_bytes, 0);
    log_expect(&user, 9);
}

Test(txlog_log_recover, large_unproven_records_are_copied_whole)
{
    log_put_forced(&user, 1, 10);
    log_put(&user, 2, 700000);
    log_put(&user, 3, 10);
    log_put(&user, 4, 300000);
    log_put(&user, 5, 10);
    log_reopen(&user);
    cr_assert_gt(user.recovery.rewritten_bytes, 1000000);
    log_expect(&user, 5);
    log_reopen(&user);
    log_expect(&user, 5);
    log_close_clean(&user);
    cr_assert_eq(log_faults(txio_posix(), temp.fd), 0, "%s",
                 log_faults_text(txio_posix(), temp.fd));
    reopen();
}

/* --- Torn tails --- */

/* The last record, of three blocks, loses part of itself; all before stays. */
static void expect_torn(const char *what)
{
    reopen();
    cr_assert_not(user.recovery.was_clean);
    log_expect(&user, 3);
    log_put_forced(&user, 4, 100);
    log_put_forced(&user, 5, 5000);
    log_reopen(&user);
    log_expect(&user, 5);
    log_close_clean(&user);
    cr_assert_eq(log_faults(txio_posix(), temp.fd), 0, "%s: %s", what,
                 log_faults_text(txio_posix(), temp.fd));
}

static struct txlog_record make_tail(void)
{
    for (uint32_t i = 1; i <= 3; i++) {
        log_put_forced(&user, i, 100);
    }
    tx_lsn lsn = log_info(&user).append_lsn;
    log_put(&user, 4, 3 * TXLOG_BLOCK_SIZE - FRAME_HEADER_SIZE);
    struct txlog_record record = place_of(lsn);
    log_close(&user);
    log_save(temp.fd);
    return record;
}

Test(txlog_log_recover, a_tail_torn_at_any_sector_is_cut)
{
    struct txlog_record record = make_tail();
    for (unsigned i = 0; i < 3 * TXLOG_BLOCK_SIZE / SECTOR; i++) {
        damage(&record, i * SECTOR, SECTOR);
        expect_torn("one sector is something else");
        log_restore(temp.fd);
        zero(&record, i * SECTOR, SECTOR);
        expect_torn("one sector was not written");
        log_restore(temp.fd);
    }
    reopen();
    log_expect(&user, 4);
}

Test(txlog_log_recover, a_tail_of_which_any_prefix_was_written_is_cut)
{
    struct txlog_record record = make_tail();
    for (unsigned i = 0; i < 3 * TXLOG_BLOCK_SIZE / SECTOR; i++) {
        zero(&record, i * SECTOR, 3 * TXLOG_BLOCK_SIZE - i * SECTOR);
        expect_torn("a prefix");
        log_restore(temp.fd);
    }
    reopen();
}

Test(txlog_log_recover, a_tail_of_which_any_block_is_missing_is_cut)
{
    struct txlog_record record = make_tail();
    for (unsigned mask = 1; mask < 8; mask++) {
        for (unsigned i = 0; i < 3; i++) {
            if (mask & 1u << i) {
                zero(&record, i * TXLOG_BLOCK_SIZE, TXLOG_BLOCK_SIZE);
            }
        }
        expect_torn("blocks");
        log_restore(temp.fd);
    }
    reopen();
}

Test(txlog_log_recover, a_torn_tail_is_reported_and_stays_as_evidence)
{
    struct txlog_record record = make_tail();
    uint8_t block[TXLOG_BLOCK_SIZE];
    damage(&record, 5000, SECTOR);
    reopen();
    cr_assert_eq(user.recovery.torn_bytes, 3 * TXLOG_BLOCK_SIZE);
    cr_assert_eq(user.recovery.torn_segment, record.segment);
    cr_assert_eq(user.recovery.torn_offset, record.offset);
    cr_assert_eq(user.recovery.end_lsn, record.lsn);
    file_read(temp.fd, segment_path(record.segment), record.offset + TXLOG_BLOCK_SIZE, block,
              sizeof(block));
    cr_assert_eq(block[5000 - TXLOG_BLOCK_SIZE], 0xE7);
}

Test(txlog_log_recover, a_hole_before_later_records_that_prove_nothing_is_a_torn_tail)
{
    log_put_forced(&user, 1, 100);
    tx_lsn hole = log_put_forced(&user, 2, 100);
    for (uint32_t i = 3; i < 9; i++) {
        log_put(&user, i, 100); /* one force would have covered all of them */
    }
    struct txlog_record record = place_of(hole);
    log_close(&user);
    zero(&record, 0, TXLOG_BLOCK_SIZE);
    reopen();
    cr_assert_eq(user.recovery.end_lsn, hole);
    cr_assert_eq(user.recovery.torn_bytes, 6 * TXLOG_BLOCK_SIZE);
    log_expect(&user, 2);
    log_put_forced(&user, 3, 100);
    log_reopen(&user);
    log_expect(&user, 3); /* and nothing of what stands behind the hole */
}

/* --- Damage --- */

static void expect_refused(const struct txlog_record *record)
{
    char offset[64];
    char lsn[64];
    (void)snprintf(offset, sizeof(offset), "offset %llu,", (unsigned long long)record->offset);
    (void)snprintf(lsn, sizeof(lsn), "LSN %llu:", (unsigned long long)record->lsn);
    fails(TX_ECORRUPT, log_try_open(&user, txio_posix(), temp.fd));
    cr_assert_not_null(strstr(test_err.text, segment_path(record->segment) + 4), "%s",
                       test_err.text);
    cr_assert_not_null(strstr(test_err.text, offset), "%s", test_err.text);
    cr_assert_not_null(strstr(test_err.text, lsn), "%s", test_err.text);
}

Test(txlog_log_recover, damage_before_a_record_that_proves_durability_is_refused)
{
    tx_lsn bad = log_info(&user).append_lsn;
    log_put_forced(&user, 1, 5000);
    log_put_forced(&user, 2, 100);
    struct txlog_record record = place_of(bad);
    log_close(&user);
    log_save(temp.fd);
    for (uint64_t at = 0; at < 2 * TXLOG_BLOCK_SIZE; at += SECTOR) {
        damage(&record, at, SECTOR);
        expect_refused(&record);
        expect_refused(&record); /* and nothing was changed by the first attempt */
        log_restore(temp.fd);
    }
    reopen();
    log_expect(&user, 2);
}

Test(txlog_log_recover, damage_that_a_later_segment_proves_is_refused)
{
    tx_lsn bad = log_put_forced(&user, 1, 100);
    log_put_forced(&user, 2, 100);
    log_put_forced(&user, 3, 9000); /* the next segment's header knows */
    struct txlog_record record = place_of(bad);
    struct txlog_record third = place_of(log_info(&user).append_lsn - frame_size(9000));
    log_close(&user);
    damage(&record, 0, SECTOR);
    damage(&third, 0, SECTOR);
    expect_refused(&record);
}

Test(txlog_log_recover, damage_in_a_closed_log_is_refused_up_to_its_last_record)
{
    log_put_forced(&user, 1, 100);
    tx_lsn bad = log_info(&user).append_lsn;
    log_put_forced(&user, 2, 100);
    struct txlog_record record = place_of(bad);
    log_close_clean(&user);
    damage(&record, 0, SECTOR);
    expect_refused(&record);
}

Test(txlog_log_recover, a_missing_segment_is_refused)
{
    for (uint32_t i = 1; i <= 6; i++) {
        log_put(&user, i, 8000); /* nothing proves anything but the chain of headers */
    }
    log_close(&user);
    cr_assert_eq(unlinkat(temp.fd, segment_path(3), 0), 0);
    fails(TX_ECORRUPT, log_try_open(&user, txio_posix(), temp.fd));
    cr_assert_not_null(strstr(test_err.text, "0000000000000003.seg is missing"), "%s",
                       test_err.text);
}

Test(txlog_log_recover, a_damaged_segment_header_is_refused)
{
    log_put_forced(&user, 1, 8000);
    log_put_forced(&user, 2, 8000);
    log_close(&user);
    for (uint64_t seq = 1; seq <= 2; seq++) {
        file_flip(temp.fd, segment_path(seq), 100, 5);
        fails(TX_ECORRUPT, log_try_open(&user, txio_posix(), temp.fd));
        file_flip(temp.fd, segment_path(seq), 100, 5);
    }
    reopen();
}

Test(txlog_log_recover, a_truncated_segment_is_refused)
{
    log_put_forced(&user, 1, 8000);
    log_close(&user);
    int fd = openat(temp.fd, segment_path(1), O_RDWR | O_CLOEXEC);
    cr_assert_eq(ftruncate(fd, SMALL_SEGMENT - 1), 0);
    fails(TX_ECORRUPT, log_try_open(&user, txio_posix(), temp.fd));
    cr_assert_eq(ftruncate(fd, SMALL_SEGMENT + 1), 0);
    fails(TX_ECORRUPT, log_try_open(&user, txio_posix(), temp.fd));
    (void)close(fd);
}

Test(txlog_log_recover, control_of_an_earlier_time_is_refused)
{
    log_put_forced(&user, 1, 100);
    log_close_clean(&user);
    log_save(temp.fd);
    reopen();
    log_put_forced(&user, 2, 100);
    log_close(&user);
    uint8_t old[CONTROL_SIZE];
    file_read(temp.fd, "saved/control", 0, old, sizeof(old));
    file_write(temp.fd, "control", 0, old, sizeof(old));
    fails(TX_ECORRUPT, log_try_open(&user, txio_posix(), temp.fd));
    cr_assert_not_null(strstr(test_err.text, "older than the log"), "%s", test_err.text);
}

Test(txlog_log_recover, one_damaged_control_slot_loses_nothing_and_is_mended)
{
    log_put_forced(&user, 1, 100);
    log_put_forced(&user, 2, 100);
    ok(txlog_trim(user.log, log_info(&user).append_lsn, &test_err));
    log_put_forced(&user, 1, 100);
    for (uint64_t slot = 0; slot < 2; slot++) {
        tx_lsn start = log_info(&user).start_lsn;
        uint64_t epoch = log_info(&user).identity.epoch;
        log_close(&user);
        file_flip(temp.fd, CONTROL_NAME, slot * TXLOG_BLOCK_SIZE + 57, 2);
        cr_assert_eq(log_faults(txio_posix(), temp.fd), 1);
        reopen();
        cr_assert_eq(log_info(&user).start_lsn, start);
        cr_assert_eq(log_info(&user).identity.epoch, epoch + 1);
        log_expect(&user, 1);
        cr_assert_eq(log_faults(txio_posix(), temp.fd), 0);
    }
}

Test(txlog_log_recover, two_damaged_control_slots_are_refused)
{
    log_close(&user);
    file_flip(temp.fd, CONTROL_NAME, 10, 2);
    file_flip(temp.fd, CONTROL_NAME, TXLOG_BLOCK_SIZE + 10, 2);
    fails(TX_ECORRUPT, log_try_open(&user, txio_posix(), temp.fd));
}

Test(txlog_log_recover, an_unreadable_block_is_an_error_and_no_end)
{
    struct fault_layer fault;
    fault_init(&fault, txio_posix(), false);
    for (uint32_t i = 1; i <= 6; i++) {
        log_put(&user, i, 8000);
    }
    log_close(&user);
    fault_add(&fault, &(struct fault_rule){.ops = LAYER_BIT(pread), .part = "0003.seg", .nth = 2,
                                           .kind = FAULT_ERRNO, .os_errno = EIO});
    fails(TX_EIO, log_try_open(&user, &fault.layer.io, temp.fd));
    fault_release(&fault);
    reopen();
    log_expect(&user, 6);
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

/* --- Without space --- */

static struct fault_layer full_disk;

static void fill_disk(void)
{
    fault_init(&full_disk, txio_posix(), false);
    fault_add(&full_disk, &(struct fault_rule){.ops = LAYER_BIT(allocate) | LAYER_BIT(pwritev),
                                               .part = "new-", .nth = 1, .kind = FAULT_ERRNO,
                                               .os_errno = ENOSPC});
}

static void remove_spares(void)
{
    char command[400];
    (void)snprintf(command, sizeof(command), "rm -f %s/log/spare-*", temp.path);
    cr_assert_eq(system(command), 0);
}

Test(txlog_log_recover, a_full_disk_does_not_keep_a_log_from_opening)
{
    fill_disk();
    log_put_forced(&user, 1, 100);
    log_put(&user, 2, 100);
    for (unsigned i = 0; i < 5; i++) { /* as often as one likes */
        log_close(&user);
        remove_spares();
        log_open(&user, &full_disk.layer.io, temp.fd);
        log_expect(&user, 2);
    }
    cr_assert_eq(log_info(&user).segment_count, 1);
    log_close_clean(&user);
    cr_assert_eq(log_faults(txio_posix(), temp.fd), 0, "%s",
                 log_faults_text(txio_posix(), temp.fd));
    reopen();
    log_put_forced(&user, 3, 10000);
    log_expect(&user, 3);
}

Test(txlog_log_recover, a_torn_tail_on_a_full_disk_is_wiped_in_place)
{
    fill_disk();
    log_put_forced(&user, 1, 100);
    tx_lsn torn = log_put(&user, 2, 10) - TXLOG_BLOCK_SIZE;
    struct txlog_record record = place_of(torn);
    log_close(&user);
    damage(&record, 0, SECTOR);
    remove_spares();
    log_open(&user, &full_disk.layer.io, temp.fd);
    cr_assert_eq(user.recovery.torn_bytes, TXLOG_BLOCK_SIZE);
    log_expect(&user, 1);
    log_close_clean(&user);
    cr_assert_eq(log_faults(txio_posix(), temp.fd), 0, "%s",
                 log_faults_text(txio_posix(), temp.fd));
    reopen();
}

Test(txlog_log_recover, segments_behind_the_end_give_their_space_on_a_full_disk)
{
    fill_disk();
    log_put_forced(&user, 1, 100);
    tx_lsn torn = log_put_forced(&user, 2, 10);
    for (uint32_t i = 3; i < 10; i++) {
        log_put(&user, i, 8000); /* six more segments, all unproven */
    }
    struct txlog_record record = place_of(torn);
    log_close(&user);
    damage(&record, 0, SECTOR);
    remove_spares();
    log_open(&user, &full_disk.layer.io, temp.fd);
    log_expect(&user, 2);
    log_put_forced(&user, 3, 100);
    log_close(&user);
    log_open(&user, &full_disk.layer.io, temp.fd);
    log_expect(&user, 3);
    log_close_clean(&user);
    cr_assert_eq(log_faults(txio_posix(), temp.fd), 0, "%s",
                 log_faults_text(txio_posix(), temp.fd));
    reopen();
}

Test(txlog_log_recover, the_unproven_tail_is_rewritten_in_place_on_a_full_disk)
{
    fill_disk();
    log_put_forced(&user, 1, 100);
    for (uint32_t i = 2; i < 8; i++) {
        log_put(&user, i, i * 1500);
    }
    log_close(&user);
    remove_spares();
    log_open(&user, &full_disk.layer.io, temp.fd);
    cr_assert_gt(user.recovery.rewritten_bytes, 6 * 4096);
    log_expect(&user, 7);
    log_close(&user);
    reopen();
    log_expect(&user, 7);
}

/* --- Errors at every call --- */

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

Test(txlog_log_recover, an_io_error_at_any_call_loses_nothing_acknowledged)
{
    fail_each_call(EIO, FAULT_ERRNO);
}

Test(txlog_log_recover, an_io_error_after_any_call_loses_nothing_acknowledged)
{
    fail_each_call(EIO, FAULT_ERRNO_AFTER);
}

Test(txlog_log_recover, no_space_at_any_call_loses_nothing_acknowledged)
{
    fail_each_call(ENOSPC, FAULT_ERRNO);
}

Test(txlog_log_recover, no_descriptor_at_any_call_loses_nothing_acknowledged)
{
    fail_each_call(EMFILE, FAULT_ERRNO);
}

Test(txlog_log_recover, no_memory_at_any_allocation_loses_nothing_acknowledged)
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
