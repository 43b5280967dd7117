/* SPDX-License-Identifier: MIT */
/* Trimming, recycling, and records of an earlier life of a segment. */
#include "unit/log_fixture.h"

#include "sim/layer.h"
#include "unit/hook_io.h"
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

TestSuite(txlog_log_trim, .init = setup, .fini = teardown, .timeout = 60);

static tx_lsn put_many(uint32_t count, size_t size)
{
    tx_lsn next = 0;
    for (uint32_t i = 1; i <= count; i++) {
        next = log_put(&user, i, size);
    }
    ok(txlog_force(user.log, next, &test_err));
    return next;
}

static int name_count(void *arg, const char *name, uint64_t ino, unsigned type)
{
    unsigned *counts = arg;
    uint64_t number;
    (void)ino;
    (void)type;
    counts[log_name_parse(name, &number)]++;
    return 0;
}

static unsigned count_names(enum log_name_kind wanted)
{
    unsigned counts[4] = {0};
    int fd = openat(temp.fd, LOG_DIR_NAME, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    cr_assert_eq(txio_posix()->ops->list(txio_posix(), fd, name_count, counts), 0);
    (void)close(fd);
    return counts[wanted];
}

Test(txlog_log_trim, forgets_what_is_before_and_keeps_the_rest)
{
    struct log_contents contents;
    put_many(20, 3000);
    log_contents(&user, &contents);
    tx_lsn start = contents.lsns[11];
    ok(txlog_trim(user.log, start, &test_err));
    cr_assert_eq(log_info(&user).start_lsn, start);
    log_contents(&user, &contents);
    cr_assert_eq(contents.count, 9);
    cr_assert_eq(contents.kinds[0], 12);
    log_reopen(&user);
    cr_assert_eq(log_info(&user).start_lsn, start);
    log_contents(&user, &contents);
    cr_assert_eq(contents.count, 9);
}

Test(txlog_log_trim, a_trimmed_record_is_not_found)
{
    struct txlog_record record;
    TX_AUTO(tx_buf) payload = TX_BUF_INIT;
    tx_lsn lsn = log_info(&user).append_lsn;
    tx_lsn end = put_many(2, 100);
    ok(txlog_trim(user.log, end, &test_err));
    fails(TX_ENOTFOUND, txlog_read(user.log, lsn, &record, &payload, &test_err));
    log_expect(&user, 0);
}

Test(txlog_log_trim, only_record_boundaries_between_start_and_durable_end)
{
    tx_lsn first = log_info(&user).start_lsn;
    tx_lsn end = put_many(3, 5000);
    fails(TX_EMISUSE, txlog_trim(user.log, first - TXLOG_BLOCK_SIZE, &test_err));
    fails(TX_EMISUSE, txlog_trim(user.log, first + 1, &test_err));
    fails(TX_ECORRUPT, txlog_trim(user.log, end - TXLOG_BLOCK_SIZE, &test_err)); /* inside */
    tx_lsn beyond = log_put(&user, 4, 10); /* not durable */
    fails(TX_EMISUSE, txlog_trim(user.log, beyond, &test_err));
    ok(txlog_trim(user.log, end, &test_err));
    ok(txlog_trim(user.log, end, &test_err));
    fails(TX_EMISUSE, txlog_trim(user.log, first, &test_err));
}

Test(txlog_log_trim, a_few_segments_become_spares_the_rest_goes)
{
    tx_lsn end = put_many(12, 8000);
    cr_assert_geq(count_names(LOG_NAME_SEGMENT), 12);
    ok(txlog_trim(user.log, end, &test_err));
    cr_assert_eq(count_names(LOG_NAME_SEGMENT), 1);
    cr_assert_eq(count_names(LOG_NAME_SPARE), LOG_SPARES_KEPT);
    cr_assert_eq(log_info(&user).segment_count, 1);
    cr_assert_eq(log_info(&user).size, (1 + LOG_SPARES_KEPT) * SMALL_SEGMENT);
}

Test(txlog_log_trim, where_control_needs_none_every_segment_is_recycled)
{
    put_many(3, 8000);
    cr_assert_eq(count_names(LOG_NAME_SEGMENT), 3);
    ok(log_recycle_below(user.log, UINT64_MAX, &test_err));
    cr_assert_eq(count_names(LOG_NAME_SEGMENT), 0);
    cr_assert_eq(count_names(LOG_NAME_SPARE), LOG_SPARES_KEPT);
    log_close(&user);
    fails(TX_ECORRUPT, log_try_open(&user, txio_posix(), temp.fd)); /* control does need them */
}

Test(txlog_log_trim, large_segments_are_removed)
{
    tx_lsn end = put_many(1, 100000);
    log_put_forced(&user, 2, 10);
    end = log_info(&user).append_lsn;
    ok(txlog_trim(user.log, end, &test_err));
    cr_assert_eq(log_info(&user).size, (count_names(LOG_NAME_SPARE) + 1) * SMALL_SEGMENT);
}

Test(txlog_log_trim, control_is_durable_in_both_slots_before_a_file_goes)
{
    static struct hook_io hook;
    struct log_user mine;
    tx_lsn end = put_many(4, 8000);
    log_join(&mine, &user, hook_init(&hook, NULL));
    ok(txlog_trim(mine.log, end, &test_err));
    cr_assert_eq(hook.calls[HOOK_PWRITEV], 2);
    cr_assert_eq(hook.calls[HOOK_DATASYNC], 2);
    cr_assert_geq(hook.calls[HOOK_RENAME], 1);
    cr_assert_eq(hook.calls[HOOK_SYNC], 1);
    log_close(&mine);
}

static int no_renames(struct hook_io *self, enum hook_op op, enum hook_when when)
{
    (void)when;
    if (op == HOOK_DATASYNC && self->at-- == 0) {
        return -EIO;
    }
    cr_assert(op != HOOK_RENAME && op != HOOK_UNLINK);
    return 0;
}

Test(txlog_log_trim, if_control_can_not_be_written_every_segment_stays)
{
    tx_lsn end = put_many(4, 8000);
    for (int i = 0; i < 2; i++) {
        static struct hook_io hook;
        struct log_user mine;
        log_join(&mine, &user, hook_init(&hook, no_renames));
        hook.at = i * 2; /* each sync is asked twice, before and after */
        fails(TX_EIO, txlog_trim(mine.log, end, &test_err));
        cr_assert(txlog_is_poisoned(user.log));
        log_close(&mine);
        log_reopen(&user);
        struct log_contents contents;
        log_contents(&user, &contents);
        cr_assert(contents.count == 4 || contents.count == 0);
        end = put_many(4, 8000);
    }
}

Test(txlog_log_trim, steady_use_makes_no_new_files)
{
    for (unsigned i = 0; i < 50; i++) {
        tx_lsn end = put_many(3, 8000);
        ok(txlog_trim(user.log, end, &test_err));
    }
    cr_assert_leq(count_names(LOG_NAME_SEGMENT) + count_names(LOG_NAME_SPARE),
                  2 + LOG_SPARES_KEPT);
    log_close_clean(&user);
    cr_assert_eq(log_faults(txio_posix(), temp.fd), 0, "%s",
                 log_faults_text(txio_posix(), temp.fd));
    log_open(&user, txio_posix(), temp.fd);
}

/* --- An earlier life --- */

Test(txlog_log_trim, records_of_a_recycled_segments_earlier_life_do_not_count)
{
    tx_lsn end = put_many(12, 100); /* one block each: every block of each segment is a record */
    ok(txlog_trim(user.log, end, &test_err));
    for (unsigned i = 0; i < 8; i++) { /* into the spares, and crash each time */
        log_put_forced(&user, 1, 8000);
        log_put_forced(&user, 2, 100);
        log_reopen(&user);
        cr_assert_eq(user.recovery.torn_bytes, 0);
        log_expect(&user, 2);
        end = log_info(&user).append_lsn;
        ok(txlog_trim(user.log, end, &test_err));
    }
}

Test(txlog_log_trim, a_recycled_segment_says_that_it_is)
{
    uint8_t block[TXLOG_BLOCK_SIZE];
    struct segment_header header;
    tx_lsn end = put_many(6, 8000);
    ok(txlog_trim(user.log, end, &test_err));
    file_read(temp.fd, segment_path(6), 0, block, sizeof(block));
    ok(segment_decode(block, &header, &test_err));
    cr_assert_not(header.flags & SEGMENT_RECYCLED);
    log_put(&user, 1, 8000);
    log_put(&user, 2, 8000);
    struct txlog_record record;
    TX_AUTO(tx_buf) payload = TX_BUF_INIT;
    ok(txlog_read(user.log, log_info(&user).append_lsn - 2 * TXLOG_BLOCK_SIZE, &record, &payload,
                  &test_err));
    file_read(temp.fd, segment_path(record.segment), 0, block, sizeof(block));
    ok(segment_decode(block, &header, &test_err));
    cr_assert(header.flags & SEGMENT_RECYCLED);
}

/* A frame is judged by the place where it should stand. */
Test(txlog_log_trim, a_frame_counts_in_its_place_and_epoch_only)
{
    struct log_window window;
    struct frame_header header;
    enum frame_state state;
    tx_lsn lsn = log_info(&user).append_lsn;
    log_put(&user, 1, 100);
    int fd = openat(temp.fd, segment_path(1), O_RDONLY | O_CLOEXEC);
    ok(window_init(&window, txio_posix(), &test_err));
    window_set(&window, fd, SMALL_SEGMENT);
    struct frame_place right = {((struct txlog_shared *)user.shared)->log_id, 1, lsn,
                                TXLOG_BLOCK_SIZE, 1};
    struct {
        struct frame_place place;
        enum frame_state state;
    } cases[] = {
        {right, FRAME_VALID},   {right, FRAME_FOREIGN}, {right, FRAME_FOREIGN},
        {right, FRAME_ASTRAY},  {right, FRAME_BROKEN},  {right, FRAME_BROKEN},
        {right, FRAME_FOREIGN},
    };
    cases[1].place.log_id++;
    cases[2].place.segment++;
    cases[3].place.lsn += TXLOG_BLOCK_SIZE;
    cases[4].place.room--;
    cases[5].place.epoch_min++;
    cases[6].place.lsn += TXLOG_BLOCK_SIZE;
    cases[6].place.room--; /* not whole: it may be anything */
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        ok(frame_probe(&window, 2 * TXLOG_BLOCK_SIZE, &cases[i].place, &header, &state, &test_err));
        cr_assert_eq(state, cases[i].state, "case %zu", i);
    }
    ok(frame_probe(&window, 3 * TXLOG_BLOCK_SIZE, &right, &header, &state, &test_err));
    cr_assert_eq(state, FRAME_BLANK);
    log_window_auto(&window);
    (void)close(fd);
}

/* --- The clean mark --- */

Test(txlog_log_trim, after_the_clean_mark_nothing_can_be_appended)
{
    tx_lsn next;
    log_put(&user, 1, 10);
    ok(txlog_mark_clean(user.log, &test_err));
    cr_assert_eq(log_info(&user).durable_lsn, log_info(&user).append_lsn);
    fails(TX_EMISUSE, log_try_put(&user, 2, 10, &next));
    log_reopen(&user);
    cr_assert(user.recovery.was_clean);
    log_expect(&user, 1);
}

Test(txlog_log_trim, opening_takes_the_clean_mark_away_at_once)
{
    ok(txlog_mark_clean(user.log, &test_err));
    log_reopen(&user);
    log_reopen(&user);
    cr_assert_not(user.recovery.was_clean);
}

/* Appends a record before somebody else gets the append lock. */
struct intruder {
    struct layer layer; /* first */
    bool done;
};

static void append_before_lock(struct layer *layer, struct layer_call *call)
{
    struct intruder *intruder = (struct intruder *)layer;
    if (call->op == LAYER_lock && call->offset == TXIO_LOCK_APPEND && !intruder->done) {
        intruder->done = true;
        log_put(&user, 2, 10);
    }
}

Test(txlog_log_trim, a_record_that_comes_between_keeps_the_clean_mark_away)
{
    struct intruder intruder = {.done = false};
    struct log_user mine;
    layer_init(&intruder.layer, txio_posix());
    intruder.layer.before = append_before_lock;
    intruder.layer.fibers = true; /* the log is used below it */
    log_join(&mine, &user, &intruder.layer.io);
    log_put(&user, 1, 10);
    fails(TX_EMISUSE, txlog_mark_clean(mine.log, &test_err));
    cr_assert_str_eq(test_err.text, "mark the log clean: records were appended meanwhile");
    log_put(&user, 3, 10); /* it goes on */
    ok(txlog_mark_clean(mine.log, &test_err));
    log_close(&mine);
    layer_release(&intruder.layer);
    log_reopen(&user);
    cr_assert(user.recovery.was_clean);
    log_expect(&user, 3);
}
