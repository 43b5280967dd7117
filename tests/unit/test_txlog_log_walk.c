/* SPDX-License-Identifier: MIT */
/* Walking over all that the segments hold, and logs of more segments than the table holds. */
#include "unit/log_fixture.h"

#include <fcntl.h>
#include <unistd.h>

#include "unit/temp_dir.h"

static struct temp_dir temp;
static struct log_user user;

static void setup(void)
{
    temp = temp_dir_new();
    log_make(txio_posix(), temp.fd, 0);
}

static void teardown(void)
{
    log_close(&user);
    temp_dir_auto(&temp);
}

TestSuite(txlog_log_walk, .init = setup, .fini = teardown, .timeout = 60);

struct steps {
    unsigned left; /* that are answered with success */
    unsigned seen;
    unsigned gaps;
};

static enum tx_status count_step(void *arg, const struct walk_step *step, struct tx_error *err)
{
    struct steps *steps = arg;
    steps->seen++;
    steps->gaps += step->frame == NULL;
    return steps->left-- > 0 ? TX_OK : tx_error_set(err, TX_EBUSY, "enough");
}

static enum tx_status walk(const struct segment_list *list, tx_lsn upto, unsigned left,
                           struct steps *steps)
{
    *steps = (struct steps){.left = left};
    return log_walk(user.log, list, TXLOG_FIRST_LSN, upto, count_step, steps, &test_err);
}

/* Epoch, record; record; record, gap, record: the middle one was damaged. */
Test(txlog_log_walk, whoever_looks_may_end_it_at_any_step)
{
    TX_AUTO(segment_list) list = {NULL, 0};
    struct steps steps;
    log_open(&user, txio_posix(), temp.fd);
    log_put(&user, 1, 100);
    log_put(&user, 2, 8200);
    for (uint32_t i = 3; i <= 5; i++) {
        log_put(&user, i, 100);
    }
    file_flip(temp.fd, segment_path(3), 2 * TXLOG_BLOCK_SIZE + 9, 1);
    ok(segment_list_load(user.log, 0, NULL, NULL, &list, &test_err));
    cr_assert_eq(list.count, 3);
    ok(walk(&list, WALK_ALL, 100, &steps));
    cr_assert_eq(steps.seen, 6);
    cr_assert_eq(steps.gaps, 1);
    for (unsigned left = 0; left < 6; left++) {
        fails(TX_EBUSY, walk(&list, WALK_ALL, left, &steps));
        cr_assert_eq(steps.seen, left + 1);
        cr_assert_not_null(strstr(test_err.text, "enough"));
    }
}

Test(txlog_log_walk, segments_that_begin_where_it_ends_need_not_be_there)
{
    TX_AUTO(segment_list) list = {NULL, 0};
    struct steps steps;
    log_open(&user, txio_posix(), temp.fd);
    log_put_forced(&user, 1, 8200);
    log_put_forced(&user, 2, 8200);
    ok(segment_list_load(user.log, 0, NULL, NULL, &list, &test_err));
    cr_assert_eq(list.count, 3);
    segment_files_close(user.log);
    cr_assert_eq(unlinkat(temp.fd, segment_path(3), 0), 0);
    fails(TX_ENOTFOUND, walk(&list, list.items[2].header.first_lsn + 1, 100, &steps));
    ok(walk(&list, list.items[2].header.first_lsn, 100, &steps));
    cr_assert_eq(steps.seen - steps.gaps, 2); /* the epoch and record 1 */
}

/* --- More segments than one may have --- */

static uint64_t made_count;

static void control_of_made(struct control *content)
{
    content->durable_lsn = TXLOG_FIRST_LSN + made_count * TXLOG_BLOCK_SIZE;
    content->end_lsn = content->flags & CONTROL_CLEAN ? content->durable_lsn : 0;
}

static void control_not_clean(struct control *content)
{
    content->flags = 0;
    content->end_lsn = 0;
}

/* A segment of one block, and in it a record without payload. */
static void make_segment(uint64_t seq, uint64_t log_id)
{
    uint8_t blocks[2][TXLOG_BLOCK_SIZE] = {{0}};
    struct tx_hasher hasher;
    tx_lsn lsn = TXLOG_FIRST_LSN + (seq - 1) * TXLOG_BLOCK_SIZE;
    struct segment_header header = {.log_id = log_id, .seq = seq, .size = sizeof(blocks),
                                    .first_lsn = lsn, .durable_lsn = lsn, .previous = seq - 1};
    struct frame_header frame = {.magic = FRAME_MAGIC, .version = FRAME_VERSION,
                                 .header_size = FRAME_HEADER_SIZE, .kind = (uint32_t)seq,
                                 .lsn = lsn, .segment = seq, .log_id = log_id,
                                 .durable_lsn = lsn};
    segment_encode(&header, blocks[0]);
    frame_seal_init(&hasher, &frame);
    tx_hasher_add(&hasher, blocks[1], TXLOG_BLOCK_SIZE - FRAME_HEADER_SIZE);
    frame.seal = tx_hasher_sum64(&hasher);
    frame_encode(&frame, blocks[1]);
    int fd = openat(temp.fd, segment_path(seq), O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0600);
    cr_assert_geq(fd, 0);
    cr_assert_eq(write(fd, blocks, sizeof(blocks)), (ssize_t)sizeof(blocks));
    (void)close(fd);
}

/* A closed log of that many. */
static void make_segments(uint64_t count)
{
    uint8_t uuid[16];
    file_read(temp.fd, CONTROL_NAME, 24, uuid, sizeof(uuid));
    for (uint64_t seq = 1; seq <= count; seq++) {
        make_segment(seq, tx_get64(uuid));
    }
    made_count = count;
    control_edit(temp.fd, control_of_made);
}

static bool open_at_rest(void)
{
    struct log_user reader = {.shared = shared_new()};
    bool opened = false;
    ok(txlog_open(txio_posix(), temp.fd, TXLOG_READWRITE, reader.shared, &reader.log, &test_err));
    enum tx_status status = txlog_open_clean(reader.log, &opened, &test_err);
    cr_assert_eq(status, opened ? TX_OK : TX_ELIMIT, "%s", tx_status_name(status));
    log_close(&reader);
    return opened;
}

Test(txlog_log_walk, as_many_segments_as_the_table_holds_are_opened)
{
    make_segments(LOG_TABLE_SIZE - 1);
    cr_assert(open_at_rest());
    control_edit(temp.fd, control_not_clean); /* so recovery adds one */
    log_open(&user, txio_posix(), temp.fd);
    cr_assert_eq(log_info(&user).segment_count, LOG_TABLE_SIZE);
    tx_lsn end = log_info(&user).append_lsn;
    ok(txlog_trim(user.log, end, &test_err));
    log_put_forced(&user, 1, 100);
    log_expect(&user, 1);
}

Test(txlog_log_walk, more_segments_than_that_are_refused_and_can_be_salvaged)
{
    struct log_user salvager = {.io = txio_posix()};
    struct txlog_record record;
    char words[64];
    make_segments(LOG_TABLE_SIZE + 2);
    cr_assert_not(open_at_rest());
    fails(TX_ELIMIT, log_try_open(&user, txio_posix(), temp.fd));
    (void)snprintf(words, sizeof(words), "log has %u segments, more than %u", LOG_TABLE_SIZE + 2,
                   LOG_TABLE_SIZE - 1);
    cr_assert_not_null(strstr(test_err.text, words), "%s", test_err.text);
    cr_assert_not(exists(temp.fd, segment_path(made_count + 1))); /* nothing was made */
    ok(txlog_open(txio_posix(), temp.fd, TXLOG_SALVAGE, NULL, &salvager.log, &test_err));
    cr_assert_eq(log_info(&salvager).segment_count, LOG_TABLE_SIZE);
    tx_lsn last = TXLOG_FIRST_LSN + (LOG_TABLE_SIZE - 1) * TXLOG_BLOCK_SIZE;
    ok(txlog_read(salvager.log, last, &record, NULL, &test_err));
    cr_assert_eq(record.kind, LOG_TABLE_SIZE);
    log_close(&salvager);
}
