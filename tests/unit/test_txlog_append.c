/* SPDX-License-Identifier: MIT */
/* Appending and reading back, switching segments, full disks, limits. */
#include "unit/log_fixture.h"

#include "sim/fault.h"
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

TestSuite(txlog_append, .init = setup, .fini = teardown);

Test(txlog_append, records_of_all_sizes_come_back)
{
    static const size_t sizes[] = {0,    1,    4015, 4016, 4017,  8112,
                                   8113, 5000, 128,  12208, 12209, 300000};
    unsigned count = sizeof(sizes) / sizeof(*sizes);
    for (uint32_t i = 0; i < count; i++) {
        tx_lsn before = log_info(&user).append_lsn;
        tx_lsn next = log_put(&user, i + 1, sizes[i]);
        cr_assert_eq(next, before + frame_size(sizes[i]));
    }
    log_expect(&user, count);
    ok(txlog_force(user.log, log_info(&user).append_lsn, &test_err));
    log_reopen(&user);
    log_expect(&user, count);
}

Test(txlog_append, a_record_never_spans_segments)
{
    log_put(&user, 1, 100); /* behind the epoch record: two of three blocks are used */
    tx_lsn lsn = log_info(&user).append_lsn;
    struct txlog_record record;
    TX_AUTO(tx_buf) payload = TX_BUF_INIT;
    log_put(&user, 2, 5000); /* two blocks: does not fit */
    ok(txlog_read(user.log, lsn, &record, &payload, &test_err));
    cr_assert_eq(record.segment, 2);
    cr_assert_eq(record.offset, TXLOG_BLOCK_SIZE);
    cr_assert_eq(payload.size, 5000);
    cr_assert_eq(log_info(&user).segment_count, 2);
}

Test(txlog_append, a_record_that_just_fits_stays)
{
    log_put(&user, 1, 2 * TXLOG_BLOCK_SIZE - FRAME_HEADER_SIZE);
    cr_assert_eq(log_info(&user).segment_count, 1);
    log_put(&user, 2, 0);
    cr_assert_eq(log_info(&user).segment_count, 2);
}

Test(txlog_append, a_large_record_gets_a_segment_of_its_size)
{
    log_put(&user, 1, 1000000);
    cr_assert_eq(file_size(temp.fd, segment_path(2)), TXLOG_BLOCK_SIZE + frame_size(1000000));
    log_put_forced(&user, 2, 10);
    cr_assert_eq(file_size(temp.fd, segment_path(3)), SMALL_SEGMENT);
    log_expect(&user, 2);
    log_reopen(&user);
    log_expect(&user, 2);
}

Test(txlog_append, begin_says_where_the_record_will_be)
{
    for (uint32_t i = 1; i <= 10; i++) {
        tx_lsn lsn;
        tx_lsn expected = log_info(&user).append_lsn;
        ok(txlog_append_begin(user.log, 6000, &lsn, &test_err));
        cr_assert_eq(lsn, expected);
        txlog_append_end(user.log); /* or not */
        cr_assert_eq(log_put(&user, i, 3000), lsn + frame_size(3000));
    }
    log_expect(&user, 10);
    log_reopen(&user);
    log_expect(&user, 10);
}

Test(txlog_append, one_append_per_begin_of_the_announced_size)
{
    tx_lsn lsn;
    tx_lsn next;
    uint8_t data[10] = {0};
    struct iovec part = {data, 10};
    fails(TX_EMISUSE, txlog_append(user.log, 1, &part, 1, &next, &test_err));
    ok(txlog_append_begin(user.log, 9, &lsn, &test_err));
    fails(TX_EMISUSE, txlog_append(user.log, 1, &part, 1, &next, &test_err));
    fails(TX_EMISUSE, txlog_append(user.log, 1, &part, 0, &next, &test_err));
    fails(TX_EMISUSE, txlog_append(user.log, 1, &part, 7, &next, &test_err));
    fails(TX_EMISUSE, txlog_append(user.log, 1, &part, -1, &next, &test_err));
    struct iovec huge[2] = {{data, SIZE_MAX}, {data, 10}}; /* together 9, if one let them wrap */
    fails(TX_EMISUSE, txlog_append(user.log, 1, huge, 2, &next, &test_err));
    part.iov_len = 9;
    ok(txlog_append(user.log, 1, &part, 1, &next, &test_err));
    fails(TX_EMISUSE, txlog_append(user.log, 1, &part, 1, &next, &test_err));
    txlog_append_end(user.log);
    cr_assert_eq(next, lsn + TXLOG_BLOCK_SIZE);
}

Test(txlog_append, six_parts_are_one_payload)
{
    uint8_t data[60];
    struct iovec parts[6];
    tx_lsn lsn;
    tx_lsn next;
    payload_fill(data, 5, sizeof(data));
    for (size_t i = 0; i < 6; i++) {
        parts[i] = (struct iovec){data + i * 10, 10};
    }
    ok(txlog_append_begin(user.log, sizeof(data), &lsn, &test_err));
    ok(txlog_append(user.log, 5, parts, 6, &next, &test_err));
    txlog_append_end(user.log);
    struct log_contents contents;
    log_contents(&user, &contents);
    cr_assert_eq(contents.count, 1);
}

Test(txlog_append, payload_has_a_limit)
{
    tx_lsn lsn;
    fails(TX_ELIMIT, txlog_append_begin(user.log, (size_t)TXLOG_PAYLOAD_MAX + 1, &lsn, &test_err));
    fails(TX_ELIMIT, txlog_append_begin(user.log, SIZE_MAX, &lsn, &test_err));
    log_put(&user, 1, 1); /* nothing is held */
}

Test(txlog_append, the_table_of_segments_has_a_limit)
{
    enum tx_status status = TX_OK;
    tx_lsn next;
    unsigned count = 0;
    while (status == TX_OK && count < 2 * LOG_SEGMENTS_MAX) {
        status = log_try_put(&user, 1, 8200, &next); /* fills a segment */
        count += status == TX_OK;
    }
    cr_assert_eq(status, TX_ENOSPC, "%s", tx_status_name(status));
    cr_assert_eq(log_info(&user).segment_count, LOG_SEGMENTS_MAX);
    cr_assert_eq(count, LOG_SEGMENTS_MAX - 1); /* the first one has the epoch record */
    ok(txlog_force(user.log, next, &test_err));
    ok(txlog_trim(user.log, next, &test_err));
    log_put(&user, 1, 8200);
}

Test(txlog_append, a_full_disk_fails_before_anything_is_written)
{
    struct fault_layer fault;
    fault_init(&fault, txio_posix(), false);
    struct log_user full;
    log_put(&user, 1, 100);
    log_join(&full, &user, &fault.layer.io);
    fault_add(&fault, &(struct fault_rule){.ops = LAYER_BIT(allocate) | LAYER_BIT(pwritev),
                                           .part = "new-", .nth = 1, .kind = FAULT_ERRNO,
                                           .os_errno = ENOSPC});
    tx_lsn next;
    tx_lsn end = log_info(&full).append_lsn;
    fails(TX_ENOSPC, log_try_put(&full, 9, 50000, &next)); /* the spare is too small for it */
    cr_assert_eq(log_info(&full).append_lsn, end);
    cr_assert_not(exists(temp.fd, "log/new-segment"));
    log_put(&full, 2, 100); /* in what there is, */
    log_put(&full, 3, 100); /* and in the spare */
    log_put(&full, 4, 8000);
    cr_assert_eq(log_info(&full).segment_count, 2);
    fails(TX_ENOSPC, log_try_put(&full, 9, 100, &next));
    cr_assert_not(txlog_is_poisoned(full.log));
    fault_clear(&fault);
    log_put_forced(&full, 5, 50000);
    log_close(&full);
    log_expect(&user, 5);
    log_close_clean(&user);
    cr_assert_eq(log_faults(txio_posix(), temp.fd), 0, "%s",
                 log_faults_text(txio_posix(), temp.fd));
    fault_release(&fault);
    log_open(&user, txio_posix(), temp.fd);
    log_expect(&user, 5);
}

Test(txlog_append, no_space_for_the_record_itself_is_a_clean_failure)
{
    static const int errors[] = {ENOSPC, EDQUOT};
    struct fault_layer fault;
    struct log_user full;
    tx_lsn next;
    fault_init(&fault, txio_posix(), false);
    log_join(&full, &user, &fault.layer.io);
    for (unsigned i = 0; i < 2; i++) {
        fault_add(&fault, &(struct fault_rule){.ops = LAYER_BIT(pwritev), .part = ".seg",
                                               .nth = 1, .kind = FAULT_ERRNO,
                                               .os_errno = errors[i]});
        for (int tries = 0; tries < 3; tries++) { /* it stays full */
            fails(TX_ENOSPC, log_try_put(&full, i + 1, 100, &next));
            cr_assert_not(txlog_is_poisoned(full.log));
            cr_assert_not(txlog_has_leftover(full.log));
        }
        fault_clear(&fault);
        log_put(&full, i + 1, 100);
    }
    log_expect(&full, 2);
    log_close(&full);
    fault_release(&fault);
}

Test(txlog_append, a_failed_write_of_a_record_poisons)
{
    struct fault_layer fault;
    struct log_user bad;
    tx_lsn next;
    fault_init(&fault, txio_posix(), false);
    log_put_forced(&user, 1, 10);
    log_join(&bad, &user, &fault.layer.io);
    fault_add(&fault, &(struct fault_rule){.ops = LAYER_BIT(pwritev), .part = ".seg", .nth = 1,
                                           .times = 1, .kind = FAULT_ERRNO_AFTER,
                                           .os_errno = EIO});
    fails(TX_EOUTCOME, log_try_put(&bad, 2, 100, &next)); /* it is all there, nobody knows */
    cr_assert(txlog_is_poisoned(user.log));
    fails(TX_EPOISONED, log_try_put(&user, 3, 100, &next));
    log_close(&bad);
    fault_release(&fault);
    log_reopen(&user);
    log_expect(&user, 2);
}

Test(txlog_append, an_unknown_outcome_is_told_to_those_who_want_no_words)
{
    struct fault_layer fault;
    struct log_user bad;
    uint8_t data[10] = {0};
    struct iovec part = {data, sizeof(data)};
    tx_lsn lsn;
    tx_lsn next;
    fault_init(&fault, txio_posix(), false);
    log_join(&bad, &user, &fault.layer.io);
    fault_add(&fault, &(struct fault_rule){.ops = LAYER_BIT(pwritev), .part = ".seg", .nth = 1,
                                           .times = 1, .kind = FAULT_ERRNO, .os_errno = EIO});
    ok(txlog_append_begin(bad.log, sizeof(data), &lsn, NULL));
    fails(TX_EOUTCOME, txlog_append(bad.log, 1, &part, 1, &next, NULL));
    txlog_append_end(bad.log);
    cr_assert(txlog_is_poisoned(user.log));
    log_close(&bad);
    fault_release(&fault);
}

Test(txlog_append, a_file_system_that_can_not_allocate_is_written_to)
{
    struct fault_layer fault;
    struct log_user plain;
    fault_init(&fault, txio_posix(), false);
    log_join(&plain, &user, &fault.layer.io);
    struct fault_rule *rule =
        fault_add(&fault, &(struct fault_rule){.ops = LAYER_BIT(allocate), .nth = 1,
                                               .kind = FAULT_ERRNO, .os_errno = EOPNOTSUPP});
    log_put_forced(&plain, 1, 50000);
    cr_assert_gt(rule->fired, 0);
    log_expect(&user, 1);
    log_close(&plain);
    fault_release(&fault);
}

Test(txlog_append, behind_the_last_number_no_segment_is_made)
{
    tx_lsn next;
    make_file(temp.fd, "log/ffffffffffffffff.seg", "");
    fails(TX_ELIMIT, log_try_put(&user, 9, 50000, &next));
    log_put(&user, 1, 100); /* where there is room */
    cr_assert_eq(unlinkat(temp.fd, "log/ffffffffffffffff.seg", 0), 0);
    log_put_forced(&user, 2, 50000);
    log_expect(&user, 2);
}

static void set_least_size_max(struct control *content)
{
    content->size_max = 3 * content->segment_size;
}

Test(txlog_append, a_limit_below_what_is_there_leaves_no_room)
{
    tx_lsn next;
    for (uint32_t i = 1; i <= 6; i++) {
        log_put_forced(&user, i, 8200);
    }
    log_close_clean(&user);
    control_edit(temp.fd, set_least_size_max);
    log_open(&user, txio_posix(), temp.fd);
    cr_assert_gt(log_info(&user).size, log_info(&user).settings.size_max);
    fails(TX_ENOSPC, log_try_put(&user, 7, 50000, &next));
    log_expect(&user, 6);
}

Test(txlog_append, a_short_write_is_finished)
{
    struct fault_layer fault;
    struct log_user slow;
    fault_init(&fault, txio_posix(), false);
    log_join(&slow, &user, &fault.layer.io);
    fault_add(&fault, &(struct fault_rule){.ops = LAYER_BIT(pwritev), .nth = 1, .times = 1,
                                           .kind = FAULT_SHORT});
    log_put(&slow, 1, 9000); /* the header of its segment */
    struct fault_rule *rule =
        fault_add(&fault, &(struct fault_rule){.ops = LAYER_BIT(pwritev), .part = ".seg",
                                               .nth = 1, .times = 1, .kind = FAULT_SHORT});
    log_put(&slow, 2, 9000);
    log_put(&slow, 3, 9000);
    cr_assert_eq(rule->fired, 1);
    log_expect(&user, 3);
    log_close(&slow);
    fault_release(&fault);
}

Test(txlog_append, size_max_bounds_all_files_together)
{
    TX_AUTO(temp_dir) small = temp_dir_new();
    struct log_user limited;
    tx_lsn next = 0;
    uint32_t count = 0;
    log_make(txio_posix(), small.fd, 5 * SMALL_SEGMENT);
    log_open(&limited, txio_posix(), small.fd);
    while (log_try_put(&limited, count + 1, 100, &next) == TX_OK) {
        count++;
        cr_assert_leq(log_info(&limited).size, 5 * SMALL_SEGMENT);
        cr_assert_lt(count, 100);
    }
    cr_assert_eq(count, 14); /* five segments of three blocks, one has the epoch record */
    cr_assert_eq(test_err.status, TX_ENOSPC);
    log_expect(&limited, count);
    ok(txlog_force(limited.log, next, &test_err));
    ok(txlog_trim(limited.log, next, &test_err));
    log_put_forced(&limited, 1, 100);
    log_expect(&limited, 1);
    log_close(&limited);
}

Test(txlog_append, read_only_handles_do_not_write)
{
    struct txlog *log;
    tx_lsn lsn;
    ok(txlog_open(txio_posix(), temp.fd, TXLOG_READONLY, user.shared, &log, &test_err));
    fails(TX_EREADONLY, txlog_append_begin(log, 1, &lsn, &test_err));
    fails(TX_EREADONLY, txlog_force(log, 0, &test_err));
    fails(TX_EREADONLY, txlog_trim(log, 4096, &test_err));
    fails(TX_EREADONLY, txlog_mark_clean(log, &test_err));
    struct txlog_recovery recovery;
    fails(TX_EREADONLY, txlog_recover(log, &recovery, &test_err));
    txlog_close(log);
}
