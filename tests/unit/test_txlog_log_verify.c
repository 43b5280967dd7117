/* SPDX-License-Identifier: MIT */
/* Every flipped bit must be seen: by verify, and by recovery where it matters. */
#include "unit/log_fixture.h"

#include "unit/temp_dir.h"

static struct temp_dir temp;
static struct log_user user;

/* Closed properly, never recycled: three segments (one only half full, one large) and a spare. */
static void setup(void)
{
    temp = temp_dir_new();
    log_make(txio_posix(), temp.fd, 0);
    log_open(&user, txio_posix(), temp.fd);
    log_put_forced(&user, 1, 200);
    log_put_forced(&user, 2, 17000); /* segment 1 keeps a block that was never written */
    log_put_forced(&user, 3, 100);
    log_close_clean(&user);
}

static void teardown(void)
{
    log_close(&user);
    temp_dir_auto(&temp);
}

TestSuite(txlog_log_verify, .init = setup, .fini = teardown, .timeout = 300);

static const char *const files[] = {
    CONTROL_NAME,
    "log/0000000000000001.seg",
    "log/0000000000000002.seg",
    "log/0000000000000003.seg",
};
enum { FILES = sizeof(files) / sizeof(*files) };

static char spare_path[64];

static int find_spare(void *arg, const char *name, uint64_t ino, unsigned type)
{
    uint64_t number;
    (void)arg;
    (void)ino;
    (void)type;
    if (log_name_parse(name, &number) == LOG_NAME_SPARE) {
        (void)snprintf(spare_path, sizeof(spare_path), "log/%s", name);
    }
    return 0;
}

Test(txlog_log_verify, a_sound_log_has_no_faults)
{
    cr_assert_eq(log_faults(txio_posix(), temp.fd), 0, "%s",
                 log_faults_text(txio_posix(), temp.fd));
}

Test(txlog_log_verify, a_last_segment_that_is_missing_is_seen)
{
    cr_assert_eq(unlinkat(temp.fd, "log/0000000000000003.seg", 0), 0);
    cr_assert_neq(log_faults(txio_posix(), temp.fd), 0);
}

Test(txlog_log_verify, a_flipped_bit_in_any_byte_is_seen)
{
    uint64_t seen = 0;
    for (unsigned i = 0; i < FILES; i++) {
        uint64_t size = file_size(temp.fd, files[i]);
        for (uint64_t at = 0; at < size; at++) {
            file_flip(temp.fd, files[i], at, (unsigned)(at % 8));
            cr_assert_neq(log_faults(txio_posix(), temp.fd), 0, "%s, byte %u", files[i],
                          (unsigned)at);
            file_flip(temp.fd, files[i], at, (unsigned)(at % 8));
            seen++;
        }
    }
    cr_assert_gt(seen, 50000);
    cr_assert_eq(log_faults(txio_posix(), temp.fd), 0);
}

Test(txlog_log_verify, a_flipped_bit_in_a_spare_is_seen)
{
    log_open(&user, txio_posix(), temp.fd);
    ok(txlog_prepare_segment(user.log, &test_err));
    log_close_clean(&user);
    int fd = openat(temp.fd, LOG_DIR_NAME, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    cr_assert_eq(txio_posix()->ops->list(txio_posix(), fd, find_spare, NULL), 0);
    (void)close(fd);
    for (uint64_t at = 0; at < SMALL_SEGMENT; at += 101) {
        file_flip(temp.fd, spare_path, at, 1);
        cr_assert_eq(log_faults(txio_posix(), temp.fd), 1, "byte %u", (unsigned)at);
        file_flip(temp.fd, spare_path, at, 1);
    }
}

/* Recovery refuses what would lose a record, and mends or goes around the rest. */
Test(txlog_log_verify, recovery_refuses_a_flipped_bit_in_any_record)
{
    log_save(temp.fd);
    for (unsigned i = 1; i < FILES; i++) {
        uint64_t size = file_size(temp.fd, files[i]);
        for (uint64_t at = 0; at < size; at += 61) {
            file_flip(temp.fd, files[i], at, (unsigned)(at % 8));
            bool record = at < TXLOG_BLOCK_SIZE || i == 2 || at < 3 * TXLOG_BLOCK_SIZE;
            if (i == 3) {
                record = at < 2 * TXLOG_BLOCK_SIZE;
            }
            enum tx_status status = log_try_open(&user, txio_posix(), temp.fd);
            cr_assert_eq(status, record ? TX_ECORRUPT : TX_OK, "%s, byte %u: %s", files[i],
                         (unsigned)at, tx_status_name(status));
            if (status == TX_OK) {
                log_expect(&user, 3);
                log_close(&user);
                log_restore(temp.fd);
            } else {
                file_flip(temp.fd, files[i], at, (unsigned)(at % 8));
            }
        }
    }
}

Test(txlog_log_verify, recovery_goes_around_a_flipped_bit_in_control)
{
    log_save(temp.fd);
    for (uint64_t at = 0; at < CONTROL_SIZE; at += 61) {
        file_flip(temp.fd, CONTROL_NAME, at, (unsigned)(at % 8));
        log_open(&user, txio_posix(), temp.fd);
        cr_assert(user.recovery.was_clean);
        log_expect(&user, 3);
        log_close(&user);
        cr_assert_eq(log_faults(txio_posix(), temp.fd), 0);
        log_restore(temp.fd);
    }
}

Test(txlog_log_verify, a_fault_says_where)
{
    file_flip(temp.fd, files[2], TXLOG_BLOCK_SIZE + 10000, 3);
    const char *text = log_faults_text(txio_posix(), temp.fd);
    cr_assert_not_null(strstr(text, "0000000000000002.seg@4096: no valid record"), "%s", text);
    file_flip(temp.fd, files[1], 3 * TXLOG_BLOCK_SIZE + 10, 3);
    text = log_faults_text(txio_posix(), temp.fd);
    cr_assert_not_null(strstr(text, "0000000000000001.seg@12288: block was never written"), "%s",
                       text);
}

Test(txlog_log_verify, several_faults_are_all_reported)
{
    file_flip(temp.fd, CONTROL_NAME, 5, 0);
    file_flip(temp.fd, files[1], 2 * TXLOG_BLOCK_SIZE + 99, 0);
    file_flip(temp.fd, files[3], 2 * TXLOG_BLOCK_SIZE + 99, 0);
    cr_assert_eq(log_faults(txio_posix(), temp.fd), 3, "%s",
                 log_faults_text(txio_posix(), temp.fd));
}

Test(txlog_log_verify, a_torn_tail_is_no_fault)
{
    log_open(&user, txio_posix(), temp.fd);
    log_put(&user, 4, 9000);
    struct txlog_info info = log_info(&user);
    struct txlog_record record;
    TX_AUTO(tx_buf) payload = TX_BUF_INIT;
    ok(txlog_read(user.log, info.append_lsn - 3 * TXLOG_BLOCK_SIZE, &record, &payload, &test_err));
    file_flip(temp.fd, segment_path(record.segment), record.offset + 5000, 1);
    log_close(&user);
    cr_assert_eq(log_faults(txio_posix(), temp.fd), 0, "%s",
                 log_faults_text(txio_posix(), temp.fd));
}

Test(txlog_log_verify, missing_files_are_faults)
{
    cr_assert_eq(unlinkat(temp.fd, files[2], 0), 0);
    const char *text = log_faults_text(txio_posix(), temp.fd);
    cr_assert_not_null(strstr(text, "0000000000000002.seg@0: segment is missing"), "%s", text);
    cr_assert_eq(unlinkat(temp.fd, files[1], 0), 0);
    cr_assert_eq(unlinkat(temp.fd, files[3], 0), 0);
    text = log_faults_text(txio_posix(), temp.fd);
    cr_assert_not_null(strstr(text, "checkpoint is missing"), "%s", text);
}

Test(txlog_log_verify, control_of_another_size_is_a_fault)
{
    int fd = openat(temp.fd, CONTROL_NAME, O_RDWR | O_CLOEXEC);
    cr_assert_eq(ftruncate(fd, CONTROL_SIZE + 1), 0);
    cr_assert_eq(log_faults(txio_posix(), temp.fd), 1);
    cr_assert_eq(ftruncate(fd, TXLOG_BLOCK_SIZE), 0);
    cr_assert_geq(log_faults(txio_posix(), temp.fd), 2);
    cr_assert_eq(ftruncate(fd, 0), 0);
    cr_assert_geq(log_faults(txio_posix(), temp.fd), 3);
    (void)close(fd);
}

Test(txlog_log_verify, a_spare_of_an_odd_size_is_a_fault)
{
    make_file(temp.fd, "log/spare-0000000000000077", "x");
    cr_assert_str_eq(log_faults_text(txio_posix(), temp.fd),
                     "spare-0000000000000077@1: spare segment has an odd size; ");
    int fd = openat(temp.fd, "log/spare-0000000000000077", O_RDWR | O_CLOEXEC);
    cr_assert_eq(ftruncate(fd, TXLOG_BLOCK_SIZE + 1), 0);
    (void)close(fd);
    cr_assert_str_eq(log_faults_text(txio_posix(), temp.fd),
                     "spare-0000000000000077@4097: spare segment has an odd size; ");
}

/* What control says is whole and wrong. */
static void expect_fault(enum scan_verdict verdict)
{
    const char *text = log_faults_text(txio_posix(), temp.fd);
    cr_assert_not_null(strstr(text, scan_text(verdict)), "%s", text);
    fails(TX_ECORRUPT, log_try_open(&user, txio_posix(), temp.fd));
    cr_assert_not_null(strstr(test_err.text, scan_text(verdict)), "%s", test_err.text);
}

static void forget_epoch(struct control *content)
{
    content->epoch = 0;
}

Test(txlog_log_verify, control_of_an_older_epoch_than_the_log_is_a_fault)
{
    control_edit(temp.fd, forget_epoch);
    expect_fault(SCAN_CONTROL_STALE);
    const char *text = log_faults_text(txio_posix(), temp.fd);
    cr_assert_not_null(strstr(text, "0000000000000003.seg@0: "), "%s", text); /* its header */
    cr_assert_not_null(strstr(text, "0000000000000003.seg@4096: "), "%s", text); /* its record */
}

static void forget_record(struct control *content)
{
    content->end_lsn -= TXLOG_BLOCK_SIZE;
    content->durable_lsn = content->end_lsn;
}

Test(txlog_log_verify, a_record_behind_the_end_that_control_states_is_a_fault)
{
    control_edit(temp.fd, forget_record);
    expect_fault(SCAN_CLEAN_LONG);
}

static void pass_the_end(struct control *content)
{
    content->start_lsn += 100 * SMALL_SEGMENT;
    content->end_lsn += 100 * SMALL_SEGMENT;
    content->durable_lsn = content->end_lsn;
}

Test(txlog_log_verify, a_checkpoint_behind_all_segments_is_a_fault)
{
    control_edit(temp.fd, pass_the_end);
    const char *text = log_faults_text(txio_posix(), temp.fd);
    cr_assert_not_null(strstr(text, "segment that holds the checkpoint is missing"), "%s", text);
    fails(TX_ECORRUPT, log_try_open(&user, txio_posix(), temp.fd));
    cr_assert_not_null(strstr(test_err.text, "the segment that holds the checkpoint"), "%s",
                       test_err.text);
}

static void enter_the_record(struct control *content)
{
    content->start_lsn += 3 * TXLOG_BLOCK_SIZE;
}

/* The second block of the second record is what control then calls the checkpoint. */
Test(txlog_log_verify, a_checkpoint_inside_of_a_record_is_a_fault)
{
    control_edit(temp.fd, enter_the_record);
    cr_assert_str_eq(log_faults_text(txio_posix(), temp.fd),
                     "0000000000000002.seg@4096: the checkpoint lies inside of the record; ");
    fails(TX_ECORRUPT, log_try_open(&user, txio_posix(), temp.fd));
}

Test(txlog_log_verify, slots_that_do_not_follow_one_another_are_a_fault)
{
    uint8_t blocks[2][TXLOG_BLOCK_SIZE];
    file_read(temp.fd, CONTROL_NAME, 0, blocks, sizeof(blocks));
    for (int i = 0; i < 2; i++) {
        uint64_t sequence = tx_get64(blocks[i] + 16);
        if (sequence < tx_get64(blocks[1 - i] + 16)) {
            tx_put64(blocks[i] + 16, sequence - 1);
            tx_put64(blocks[i] + 112, block_seal(blocks[i], 112));
        }
    }
    file_write(temp.fd, CONTROL_NAME, 0, blocks, sizeof(blocks));
    cr_assert_str_eq(log_faults_text(txio_posix(), temp.fd),
                     "control@0: slots do not follow one another; ");
}

Test(txlog_log_verify, a_segment_of_another_version_is_no_fault_but_an_error)
{
    uint8_t block[TXLOG_BLOCK_SIZE];
    uint64_t faults = 77;
    file_read(temp.fd, files[2], 0, block, sizeof(block));
    tx_put32(block + 8, SEGMENT_VERSION + 1);
    tx_put64(block + 72, block_seal(block, 72));
    file_write(temp.fd, files[2], 0, block, sizeof(block));
    fails(TX_EVERSION, txlog_verify(txio_posix(), temp.fd, NULL, NULL, &faults, &test_err));
    cr_assert_not_null(strstr(test_err.text, "0000000000000002.seg: unknown format version 2"),
                       "%s", test_err.text);
    fails(TX_EVERSION, txlog_verify(txio_posix(), temp.fd, NULL, NULL, &faults, NULL));
    cr_assert_eq(faults, 77);
}

Test(txlog_log_verify, faults_are_counted_for_those_who_want_no_words)
{
    uint64_t faults = 0;
    file_flip(temp.fd, CONTROL_NAME, 5, 0);
    file_flip(temp.fd, files[3], 2 * TXLOG_BLOCK_SIZE + 99, 0);
    ok(txlog_verify(txio_posix(), temp.fd, NULL, NULL, &faults, NULL));
    cr_assert_eq(faults, 2);
}

Test(txlog_log_verify, it_changes_nothing_and_leaks_nothing)
{
    int before = open_descriptors();
    log_save(temp.fd);
    (void)log_faults(txio_posix(), temp.fd);
    cr_assert_eq(open_descriptors(), before);
    for (unsigned i = 0; i < FILES; i++) {
        char saved[64];
        uint8_t now[2 * TXLOG_BLOCK_SIZE];
        uint8_t then[2 * TXLOG_BLOCK_SIZE];
        (void)snprintf(saved, sizeof(saved), "saved/%s", files[i]);
        file_read(temp.fd, files[i], 0, now, sizeof(now));
        file_read(temp.fd, saved, 0, then, sizeof(then));
        cr_assert_eq(memcmp(now, then, sizeof(now)), 0);
    }
}

Test(txlog_log_verify, works_beside_somebody_who_uses_the_log)
{
    log_open(&user, txio_posix(), temp.fd);
    for (uint32_t i = 4; i < 20; i++) {
        log_put(&user, i, i * 300);
        cr_assert_eq(log_faults(txio_posix(), temp.fd), 0, "%s",
                     log_faults_text(txio_posix(), temp.fd));
    }
}
