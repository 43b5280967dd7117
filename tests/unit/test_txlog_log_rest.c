/* SPDX-License-Identifier: MIT */
/* A log that was closed properly, read as it lies, and recovered beside its readers. */
#include "unit/log_fixture.h"

#include "unit/temp_dir.h"

static struct temp_dir temp;
static struct log_user writer;
static struct log_user reader;

static void setup(void)
{
    temp = temp_dir_new();
    log_make(txio_posix(), temp.fd, 0);
    log_open(&writer, txio_posix(), temp.fd);
    log_put_forced(&writer, 1, 10);
    log_put_forced(&writer, 2, 5000);
    log_put_forced(&writer, 3, 9000); /* in a second segment */
}

static void teardown(void)
{
    log_close(&reader);
    temp_dir_auto(&temp);
}

TestSuite(txlog_log_rest, .init = setup, .fini = teardown, .timeout = 60);

static bool rest(void)
{
    bool opened = false;
    reader = (struct log_user){.io = txio_posix(), .dir = temp.fd, .shared = shared_new()};
    ok(txlog_open(reader.io, reader.dir, TXLOG_READWRITE, reader.shared, &reader.log, &test_err));
    ok(txlog_open_clean(reader.log, &opened, &test_err));
    return opened;
}

static bool same_bytes(void)
{
    static const char *const paths[] = {"control", "log/0000000000000001.seg",
                                        "log/0000000000000002.seg"};
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
        static uint8_t now[SMALL_SEGMENT];
        static uint8_t saved[3][SMALL_SEGMENT];
        static bool known[3];
        uint64_t size = file_size(temp.fd, paths[i]);
        cr_assert_leq(size, sizeof now);
        file_read(temp.fd, paths[i], 0, now, size);
        if (known[i] && memcmp(now, saved[i], size) != 0) {
            return false;
        }
        memcpy(saved[i], now, size);
        known[i] = true;
    }
    return true;
}

Test(txlog_log_rest, a_log_that_was_closed_is_read_and_not_changed)
{
    log_close_clean(&writer);
    (void)same_bytes();
    cr_assert(rest());
    struct txlog_info info = log_info(&reader);
    cr_expect(info.at_rest);
    cr_expect_eq(info.identity.epoch, 0);
    cr_expect_eq(info.append_lsn, info.durable_lsn);
    log_expect(&reader, 3);
    ok(txlog_force(reader.log, info.append_lsn, &test_err)); /* nothing to force */
    cr_expect(same_bytes());
}

Test(txlog_log_rest, nothing_can_be_appended_or_trimmed)
{
    tx_lsn lsn;
    log_close_clean(&writer);
    cr_assert(rest());
    fails(TX_EMISUSE, txlog_append_begin(reader.log, 10, &lsn, &test_err));
    fails(TX_EMISUSE, txlog_append_begin_reserved(reader.log, 10, &lsn, &test_err));
    fails(TX_EMISUSE, txlog_reserve(reader.log, 10, &test_err));
    fails(TX_EMISUSE, txlog_trim(reader.log, log_info(&reader).append_lsn, &test_err));
    fails(TX_EMISUSE, txlog_prepare_segment(reader.log, &test_err));
    fails(TX_EMISUSE, txlog_mark_clean(reader.log, &test_err));
}

Test(txlog_log_rest, a_log_that_was_not_closed_has_to_be_recovered)
{
    log_close(&writer);
    cr_expect_not(rest());
    cr_expect_eq(txlog_recover(reader.log, &reader.recovery, &test_err), TX_OK);
    log_expect(&reader, 3);
}

Test(txlog_log_rest, bytes_behind_the_end_belie_the_clean_mark)
{
    log_put_forced(&writer, 4, 10);
    uint64_t end = log_info(&writer).append_lsn;
    log_close_clean(&writer);
    cr_assert(rest());
    struct txlog_record record;
    uint64_t offset = 0;
    for (tx_lsn lsn = log_info(&reader).start_lsn; lsn < end; lsn = record.next_lsn) {
        ok(txlog_read(reader.log, lsn, &record, NULL, &test_err));
        offset = record.offset + (record.next_lsn - lsn);
    }
    cr_assert_lt(offset, (uint64_t)SMALL_SEGMENT, "the last segment is full");
    log_close(&reader);
    file_write(temp.fd, segment_path(record.segment), offset, "x", 1);
    cr_expect_not(rest());
}

Test(txlog_log_rest, a_damaged_record_is_left_to_recovery_which_names_it)
{
    log_close_clean(&writer);
    file_flip(temp.fd, segment_path(1), TXLOG_BLOCK_SIZE + TXLOG_BLOCK_SIZE + 100, 3);
    cr_expect_not(rest());
    fails(TX_ECORRUPT, txlog_recover(reader.log, &reader.recovery, &test_err));
}

Test(txlog_log_rest, memory_that_others_use_is_not_filled_again)
{
    bool opened = true;
    log_close_clean(&writer);
    cr_assert(rest());
    fails(TX_EMISUSE, txlog_open_clean(reader.log, &opened, &test_err));
    cr_expect_not(opened);
}

/* The first that may write joins the readers and recovers. */
static void recover_beside(void)
{
    log_join(&writer, &reader, txio_posix());
    ok(txlog_recover(writer.log, &writer.recovery, &test_err));
}

Test(txlog_log_rest, the_first_writer_begins_an_epoch_beside_the_readers)
{
    struct log_contents before;
    struct log_contents after;
    uint64_t epoch = log_info(&writer).identity.epoch;
    log_close_clean(&writer);
    cr_assert(rest());
    log_contents(&reader, &before);
    recover_beside();
    cr_expect(writer.recovery.was_clean);
    cr_expect_not(log_info(&reader).at_rest);
    cr_expect_eq(log_info(&reader).identity.epoch, epoch + 1);
    for (uint32_t kind = 4; kind < 12; kind++) {
        log_put_forced(&writer, kind, 3000);
    }
    log_contents(&reader, &after);
    cr_expect_eq(after.epochs, before.epochs + 1);
    log_expect(&reader, 11);
    fails(TX_EMISUSE, txlog_recover(writer.log, &writer.recovery, &test_err)); /* once */
    log_close(&writer);
    log_close(&reader);
    log_open(&reader, txio_posix(), temp.fd);
    log_expect(&reader, 11);
    cr_expect_eq(log_info(&reader).identity.epoch, epoch + 2);
}

/* A recovery beside readers that stopped anywhere: control says "not clean", and a new segment may
 * have its name. The next writer begins again, and the readers' table of segments stays whole. */
Test(txlog_log_rest, a_writer_that_stopped_half_way_is_followed_by_another)
{
    struct log_user first = {.log = NULL};
    log_close_clean(&writer);
    cr_assert(rest());
    uint64_t segments = log_info(&reader).segment_count;
    /* What is on disk after it: the same as after a recovery by somebody with other memory. */
    log_open(&first, txio_posix(), temp.fd);
    log_close(&first);
    log_open(&first, txio_posix(), temp.fd);
    log_close(&first);
    log_expect(&reader, 3);
    recover_beside();
    cr_expect_not(writer.recovery.was_clean);
    cr_expect_gt(log_info(&writer).segment_count, segments);
    log_put_forced(&writer, 4, 100);
    log_expect(&reader, 4);
    log_close(&writer);
}
