/* SPDX-License-Identifier: MIT */
#include "unit/log_fixture.h"

#include <pthread.h>

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

TestSuite(txlog_log_read, .init = setup, .fini = teardown, .timeout = 60);

static enum tx_status read_at(tx_lsn lsn, struct txlog_record *record)
{
    TX_AUTO(tx_buf) payload = TX_BUF_INIT;
    return txlog_read(user.log, lsn, record, &payload, &test_err);
}

Test(txlog_log_read, a_record_says_where_it_stands)
{
    struct txlog_record record;
    tx_lsn lsn = log_info(&user).append_lsn;
    log_put(&user, 77, 5000);
    ok(read_at(lsn, &record));
    cr_assert_eq(record.lsn, lsn);
    cr_assert_eq(record.next_lsn, lsn + 2 * TXLOG_BLOCK_SIZE);
    cr_assert_eq(record.kind, 77);
    cr_assert_eq(record.epoch, 1);
    cr_assert_eq(record.segment, 1);
    cr_assert_eq(record.offset, 2 * TXLOG_BLOCK_SIZE);
}

Test(txlog_log_read, there_is_nothing_before_the_start_and_at_the_end)
{
    struct txlog_record record;
    log_put(&user, 1, 10);
    fails(TX_ENOTFOUND, read_at(log_info(&user).append_lsn, &record));
    fails(TX_ENOTFOUND, read_at(UINT64_MAX, &record));
    fails(TX_ENOTFOUND, read_at(0, &record));
}

Test(txlog_log_read, between_records_there_is_none)
{
    struct txlog_record record;
    tx_lsn lsn = log_info(&user).append_lsn;
    log_put(&user, 1, 5000);
    fails(TX_EINVAL, read_at(lsn + 1, &record));
    fails(TX_ECORRUPT, read_at(lsn + TXLOG_BLOCK_SIZE, &record));
}

Test(txlog_log_read, damage_is_told_with_its_place)
{
    struct txlog_record record;
    TX_AUTO(tx_buf) payload = TX_BUF_INIT;
    tx_lsn lsn = log_info(&user).append_lsn;
    log_put(&user, 1, 5000);
    ok(tx_buf_append_text(&payload, "old", &test_err));
    file_flip(temp.fd, segment_path(1), 2 * TXLOG_BLOCK_SIZE + 6000, 4);
    fails(TX_ECORRUPT, txlog_read(user.log, lsn, &record, &payload, &test_err));
    cr_assert_not_null(strstr(test_err.text, "segment 0000000000000001.seg, offset 8192, LSN"),
                       "%s", test_err.text);
    cr_assert_eq(payload.size, 0);
}

/* Left over in a file that was used again, or put there: the header tells. */
Test(txlog_log_read, a_record_of_another_segment_or_log_is_none)
{
    static const uint64_t fields[] = {32, 40}; /* docs/format-log.md: segment, log_id */
    struct txlog_record record;
    tx_lsn lsn = log_info(&user).append_lsn;
    log_put(&user, 1, 10);
    ok(read_at(lsn, &record));
    uint64_t offset = record.offset;
    for (size_t i = 0; i < sizeof(fields) / sizeof(*fields); i++) {
        uint64_t is;
        uint64_t other;
        file_read(temp.fd, "log/0000000000000001.seg", offset + fields[i], &is, sizeof(is));
        other = ~is;
        file_write(temp.fd, "log/0000000000000001.seg", offset + fields[i], &other,
                   sizeof(other));
        fails(TX_ECORRUPT, read_at(lsn, &record));
        cr_assert_not_null(strstr(test_err.text, "no record stands here"), "%s", test_err.text);
        file_write(temp.fd, "log/0000000000000001.seg", offset + fields[i], &is, sizeof(is));
    }
    ok(read_at(lsn, &record));
}

Test(txlog_log_read, a_length_that_cannot_be_is_refused_before_it_is_used)
{
    struct txlog_record record;
    tx_lsn lsn = log_info(&user).append_lsn;
    log_put(&user, 1, 10);
    uint8_t size[8];
    tx_put64(size, 1024 * 1024 * 1024);
    file_write(temp.fd, segment_path(1), 2 * TXLOG_BLOCK_SIZE + 16, size, sizeof(size));
    fails(TX_ECORRUPT, read_at(lsn, &record));
}

Test(txlog_log_read, an_end_that_memory_states_behind_the_last_segment_is_not_believed)
{
    struct txlog_record record;
    struct txlog_shared *shared = user.shared;
    tx_lsn end = shared->append_lsn;
    shared->append_lsn = end + 10 * SMALL_SEGMENT;
    fails(TX_EINVAL, read_at(end + 9 * SMALL_SEGMENT, &record));
    shared->append_lsn = end;
}

Test(txlog_log_read, more_segments_than_descriptors_are_cached_can_be_read)
{
    for (uint32_t i = 1; i <= 3 * LOG_FILES_MAX; i++) {
        log_put(&user, i, 8200);
    }
    int before = open_descriptors();
    log_expect(&user, 3 * LOG_FILES_MAX);
    ok(txlog_force(user.log, log_info(&user).append_lsn, &test_err));
    log_expect(&user, 3 * LOG_FILES_MAX);
    cr_assert_leq(open_descriptors(), before + (int)LOG_FILES_MAX);
}

/* --- Readers beside a writer that trims --- */

static _Atomic bool stop;
static _Atomic unsigned looked; /* readers that have read something */

static void *read_all_the_time(void *arg)
{
    struct log_user *mine = arg;
    TX_AUTO(tx_buf) payload = TX_BUF_INIT;
    struct txlog_record record;
    uintptr_t seen = 0;
    while (!atomic_load(&stop)) {
        struct txlog_info info = log_info(mine);
        tx_lsn lsn = info.start_lsn;
        struct tx_error err;
        while (lsn < info.append_lsn) {
            enum tx_status status = txlog_read(mine->log, lsn, &record, &payload, &err);
            if (status == TX_ENOTFOUND) {
                break; /* trimmed meanwhile */
            }
            cr_assert_eq(status, TX_OK, "%s: %s", tx_status_name(status), err.text);
            cr_assert(record.kind == TXLOG_KIND_EPOCH || payload_is(&payload, record.kind));
            lsn = record.next_lsn;
            atomic_fetch_add(&looked, seen++ == 0);
        }
    }
    return (void *)seen;
}

Test(txlog_log_read, readers_meet_whole_records_or_none_while_segments_are_recycled)
{
    pthread_t readers[2];
    for (int i = 0; i < 2; i++) {
        cr_assert_eq(pthread_create(&readers[i], NULL, read_all_the_time, &user), 0);
    }
    /* On a busy machine a reader may begin late. */
    for (uint32_t i = 1; i <= 300 || atomic_load(&looked) < 2; i++) {
        tx_lsn next = log_put(&user, i, i * 37 % 9000);
        if (i % 5 == 0) {
            ok(txlog_force(user.log, next, &test_err));
            ok(txlog_trim(user.log, next, &test_err));
        }
    }
    atomic_store(&stop, true);
    for (int i = 0; i < 2; i++) {
        void *seen;
        cr_assert_eq(pthread_join(readers[i], &seen), 0);
        cr_assert_gt((uintptr_t)seen, 0);
    }
}
