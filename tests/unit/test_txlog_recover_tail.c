/* SPDX-License-Identifier: MIT */
/* The unproven tail, with and without space for a new segment. */
#include "unit/log_fixture.h"

#include "sim/fault.h"
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

TestSuite(txlog_recover_tail, .init = setup, .fini = teardown, .timeout = 120);

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

/* --- The unproven tail --- */

Test(txlog_recover_tail, the_unproven_tail_is_written_again_and_forced)
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

Test(txlog_recover_tail, nothing_proven_is_written_again)
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

Test(txlog_recover_tail, large_unproven_records_are_copied_whole)
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

/* --- Without space --- */

static struct fault_layer full_disk;

/* Open without the full disk, whose memory then is given back. */
static void empty_disk(void)
{
    log_open(&user, txio_posix(), temp.fd);
    fault_release(&full_disk);
}

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

Test(txlog_recover_tail, a_full_disk_does_not_keep_a_log_from_opening)
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
    empty_disk();
    log_put_forced(&user, 3, 10000);
    log_expect(&user, 3);
}

Test(txlog_recover_tail, a_torn_tail_on_a_full_disk_is_wiped_in_place)
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
    empty_disk();
}

Test(txlog_recover_tail, segments_behind_the_end_give_their_space_on_a_full_disk)
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
    empty_disk();
}

/* Their descriptors are not kept open, and what is dropped can not be opened again. */
Test(txlog_recover_tail, many_segments_behind_the_end_give_their_space_on_a_full_disk)
{
    fill_disk();
    log_put_forced(&user, 1, 100);
    tx_lsn torn = log_put_forced(&user, 2, 10);
    for (uint32_t i = 3; i < 3 + 2 * LOG_FILES_MAX; i++) {
        log_put(&user, i, 8000);
    }
    struct txlog_record record = place_of(torn);
    log_close(&user);
    damage(&record, 0, SECTOR);
    remove_spares();
    log_open(&user, &full_disk.layer.io, temp.fd);
    log_expect(&user, 2);
    log_put_forced(&user, 3, 100);
    log_close(&user);
    empty_disk();
    log_expect(&user, 3);
}

Test(txlog_recover_tail, the_number_of_a_dropped_segment_is_never_given_again)
{
    fill_disk();
    tx_lsn torn = log_put_forced(&user, 1, 100);
    tx_lsn behind = log_put(&user, 2, 20000);
    log_put(&user, 3, 20000); /* a segment of its own size, so it cannot become a spare */
    struct txlog_record record = place_of(torn);
    struct txlog_record dropped = place_of(behind);
    log_close(&user);
    damage(&record, 0, SECTOR);
    remove_spares();
    log_open(&user, &full_disk.layer.io, temp.fd);
    log_expect(&user, 1);
    log_close(&user);
    empty_disk();
    tx_lsn next = log_put_forced(&user, 2, 10);
    cr_assert_gt(place_of(next - TXLOG_BLOCK_SIZE).segment, dropped.segment);
}

Test(txlog_recover_tail, the_unproven_tail_is_rewritten_in_place_on_a_full_disk)
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
    empty_disk();
    log_expect(&user, 7);
}

Test(txlog_recover_tail, small_records_of_one_segment_are_rewritten_in_place)
{
    fill_disk();
    log_put_forced(&user, 1, 100);
    for (uint32_t i = 2; i < 8; i++) { /* three of them in each segment */
        log_put(&user, i, 100);
    }
    log_close(&user);
    remove_spares();
    log_open(&user, &full_disk.layer.io, temp.fd);
    cr_assert_eq(user.recovery.rewritten_bytes, 6 * TXLOG_BLOCK_SIZE);
    log_expect(&user, 7);
    log_close(&user);
    empty_disk();
    log_expect(&user, 7);
}

/* The disk is full, and reads deliver one flipped bit of the last record and one of the record
 * before it, each once: the n-th time that they cover it. */
struct flips {
    struct layer layer; /* first */
    uint64_t at[2];     /* offset in segment 1 */
    unsigned nth[2];
    unsigned seen[2];
};

static void flip_after(struct layer *layer, struct layer_call *call)
{
    struct flips *flips = (struct flips *)layer;
    if (call->op != LAYER_pread || strstr(call->where, "0000000000000001.seg") == NULL) {
        return;
    }
    for (unsigned i = 0; i < 2; i++) {
        bool covered = call->result > 0 && call->offset <= flips->at[i] &&
                       flips->at[i] < call->offset + (uint64_t)call->result;
        if (covered && ++flips->seen[i] == flips->nth[i]) {
            ((uint8_t *)call->data)[flips->at[i] - call->offset] ^= 4;
        }
    }
}

/* False when recovery reads the record before the last one less often. */
static bool flip_twice(unsigned last, unsigned before)
{
    struct flips flips = {.nth = {last, before}};
    setup();
    for (uint32_t i = 1; i < 3; i++) {
        tx_lsn next = log_put_forced(&user, i, 100);
        struct txlog_record record = place_of(next - TXLOG_BLOCK_SIZE);
        cr_assert_eq(record.segment, 1);
        flips.at[2 - i] = record.offset + 120;
    }
    log_close(&user);
    remove_spares();
    fill_disk();
    layer_init(&flips.layer, &full_disk.layer.io);
    flips.layer.after = flip_after;
    /* Refused or not, perhaps without what was appended last: a bad read passes for a torn end. */
    enum tx_status status = log_try_open(&user, &flips.layer.io, temp.fd);
    cr_expect(status == TX_OK || status == TX_ECORRUPT || status == TX_EIO, "%s: %s",
              tx_status_name(status), test_err.text);
    log_close(&user);
    layer_release(&flips.layer);
    fault_release(&full_disk);
    status = log_try_open(&user, txio_posix(), temp.fd);
    cr_expect_eq(status, TX_OK, "flips in reads %u and %u: %s", last, before, test_err.text);
    teardown();
    return flips.seen[1] >= before;
}

/* Found by the simulator: a bit that flipped on its way from the disk was written back, over the
 * only copy of a record that a later one proves. */
Test(txlog_recover_tail, a_flipped_bit_is_not_written_back_in_place)
{
    teardown();
    for (unsigned last = 1; last < 4; last++) {
        for (unsigned before = 1; flip_twice(last, before); before++) {
        }
    }
    setup();
}
