/* SPDX-License-Identifier: MIT */
/* What a crash may have left is cut off; what it can not have left is refused. */
#include "unit/log_fixture.h"

#include "sim/fault.h"
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

TestSuite(txlog_recover_damage, .init = setup, .fini = teardown, .timeout = 120);

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

Test(txlog_recover_damage, a_tail_torn_at_any_sector_is_cut)
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

Test(txlog_recover_damage, a_tail_of_which_any_prefix_was_written_is_cut)
{
    struct txlog_record record = make_tail();
    for (unsigned i = 0; i < 3 * TXLOG_BLOCK_SIZE / SECTOR; i++) {
        zero(&record, i * SECTOR, 3 * TXLOG_BLOCK_SIZE - i * SECTOR);
        expect_torn("a prefix");
        log_restore(temp.fd);
    }
    reopen();
}

Test(txlog_recover_damage, a_tail_of_which_any_block_is_missing_is_cut)
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

Test(txlog_recover_damage, a_torn_tail_is_reported_and_stays_as_evidence)
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

Test(txlog_recover_damage, a_hole_before_later_records_that_prove_nothing_is_a_torn_tail)
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

Test(txlog_recover_damage, damage_before_a_record_that_proves_durability_is_refused)
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

Test(txlog_recover_damage, damage_that_only_a_later_record_proves_is_refused)
{
    tx_lsn bad = log_info(&user).append_lsn;
    log_put_forced(&user, 1, 100);
    log_put(&user, 2, 100); /* in the same segment; not forced, and yet it knows */
    struct txlog_record record = place_of(bad);
    log_close(&user);
    damage(&record, 0, SECTOR);
    expect_refused(&record);
}

Test(txlog_recover_damage, damage_that_a_later_segment_proves_is_refused)
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

Test(txlog_recover_damage, damage_in_a_closed_log_is_refused_up_to_its_last_record)
{
    log_put_forced(&user, 1, 100);
    tx_lsn bad = log_info(&user).append_lsn;
    log_put_forced(&user, 2, 100);
    struct txlog_record record = place_of(bad);
    log_close_clean(&user);
    damage(&record, 0, SECTOR);
    expect_refused(&record);
}

Test(txlog_recover_damage, a_missing_segment_is_refused)
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

Test(txlog_recover_damage, a_damaged_segment_header_is_refused)
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

Test(txlog_recover_damage, a_truncated_segment_is_refused)
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

Test(txlog_recover_damage, control_of_an_earlier_time_is_refused)
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

Test(txlog_recover_damage, one_damaged_control_slot_loses_nothing_and_is_mended)
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

Test(txlog_recover_damage, two_damaged_control_slots_are_refused)
{
    log_close(&user);
    file_flip(temp.fd, CONTROL_NAME, 10, 2);
    file_flip(temp.fd, CONTROL_NAME, TXLOG_BLOCK_SIZE + 10, 2);
    fails(TX_ECORRUPT, log_try_open(&user, txio_posix(), temp.fd));
}

Test(txlog_recover_damage, an_unreadable_block_is_an_error_and_no_end)
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

/* --- Writes that the disk has put elsewhere --- */

static struct txlog_record put_forced(uint32_t kind)
{
    tx_lsn lsn = log_info(&user).append_lsn;
    log_put_forced(&user, kind, 100);
    return place_of(lsn);
}

static void copy_block(const struct txlog_record *from, uint64_t to)
{
    uint8_t block[TXLOG_BLOCK_SIZE];
    file_read(temp.fd, segment_path(from->segment), from->offset, block, sizeof(block));
    file_write(temp.fd, segment_path(from->segment), to, block, sizeof(block));
}

/* The second record overwrote the first one. It states that the first one was durable. */
Test(txlog_recover_damage, a_record_in_the_place_of_another_proves_that_one)
{
    struct txlog_record first = put_forced(1);
    struct txlog_record second = put_forced(2);
    log_close(&user);
    copy_block(&second, first.offset);
    zero(&second, 0, TXLOG_BLOCK_SIZE);
    const char *text = log_faults_text(txio_posix(), temp.fd);
    cr_assert_not_null(strstr(text, "@8192: a record stands where another one belongs"), "%s",
                       text);
    fails(TX_ECORRUPT, log_try_open(&user, txio_posix(), temp.fd));
    cr_assert_not_null(strstr(test_err.text, scan_text(SCAN_LOG_PROVES)), "%s", test_err.text);
}

/* Behind the end it overwrote nothing, and proves nothing that is not there. */
Test(txlog_recover_damage, a_record_behind_the_end_is_told_and_cut_off)
{
    struct txlog_record record = put_forced(1);
    log_close(&user);
    copy_block(&record, record.offset + TXLOG_BLOCK_SIZE);
    const char *text = log_faults_text(txio_posix(), temp.fd);
    cr_assert_not_null(strstr(text, "@12288: a record stands where another one belongs"), "%s",
                       text);
    reopen();
    log_expect(&user, 1);
}
