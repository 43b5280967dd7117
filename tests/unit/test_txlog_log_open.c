/* SPDX-License-Identifier: MIT */
/* Creating, opening in each mode, joining, forked children, salvage. */
#include "unit/log_fixture.h"

#include <sys/wait.h>

#include "sim/layer.h"
#include "unit/temp_dir.h"

static struct temp_dir temp;

static void setup(void)
{
    temp = temp_dir_new();
}

static void teardown(void)
{
    temp_dir_auto(&temp);
}

TestSuite(txlog_log_open, .init = setup, .fini = teardown, .timeout = 60);

static enum tx_status create(uint64_t segment_size, uint64_t size_max)
{
    struct txlog_settings settings = {segment_size, size_max};
    struct txlog_identity identity;
    return txlog_create(txio_posix(), temp.fd, &settings, &identity, &test_err);
}

Test(txlog_log_open, creating_makes_one_segment_a_spare_and_control)
{
    struct log_user user;
    ok(create(2 * SMALL_SEGMENT, 0));
    cr_assert_eq(file_size(temp.fd, CONTROL_NAME), CONTROL_SIZE);
    cr_assert_eq(file_size(temp.fd, segment_path(1)), 2 * SMALL_SEGMENT);
    cr_assert_eq(file_size(temp.fd, "log/spare-0000000000000001"), 2 * SMALL_SEGMENT);
    cr_assert_eq(log_faults(txio_posix(), temp.fd), 0);
    log_open(&user, txio_posix(), temp.fd);
    cr_assert_eq(log_info(&user).settings.segment_size, 2 * SMALL_SEGMENT);
    cr_assert_eq(log_info(&user).size, 4 * SMALL_SEGMENT);
    log_close(&user);
}

Test(txlog_log_open, creating_twice_or_with_odd_settings_is_refused)
{
    fails(TX_EINVAL, create(SMALL_SEGMENT + 1, 0));
    fails(TX_EINVAL, create(SMALL_SEGMENT, SMALL_SEGMENT));
    ok(create(SMALL_SEGMENT, 0));
    fails(TX_EEXIST, create(SMALL_SEGMENT, 0));
}

Test(txlog_log_open, two_logs_have_two_identities)
{
    TX_AUTO(temp_dir) second = temp_dir_new();
    struct txlog_identity one;
    struct txlog_identity two;
    ok(txlog_create(txio_posix(), temp.fd, NULL, &one, &test_err));
    ok(txlog_create(txio_posix(), second.fd, NULL, &two, &test_err));
    cr_assert_neq(memcmp(one.uuid, two.uuid, 16), 0);
    cr_assert_eq(file_size(temp.fd, segment_path(1)), TXLOG_SEGMENT_SIZE_DEFAULT);
}

Test(txlog_log_open, no_log_is_not_found)
{
    struct log_user user;
    fails(TX_ENOTFOUND, log_try_open(&user, txio_posix(), temp.fd));
}

Test(txlog_log_open, another_version_is_refused)
{
    struct log_user user;
    uint8_t blocks[2][TXLOG_BLOCK_SIZE];
    uint64_t faults;
    ok(create(SMALL_SEGMENT, 0));
    file_read(temp.fd, CONTROL_NAME, 0, blocks, sizeof(blocks));
    for (int i = 0; i < 2; i++) {
        tx_put32(blocks[i] + 8, CONTROL_VERSION + 1);
        tx_put64(blocks[i] + 112, block_seal(blocks[i], 112));
    }
    file_write(temp.fd, CONTROL_NAME, 0, blocks, sizeof(blocks));
    fails(TX_EVERSION, log_try_open(&user, txio_posix(), temp.fd));
    fails(TX_EVERSION, txlog_verify(txio_posix(), temp.fd, NULL, NULL, &faults, &test_err));
}

Test(txlog_log_open, before_recovery_nothing_works)
{
    struct txlog *log;
    struct txlog_record record;
    TX_AUTO(tx_buf) payload = TX_BUF_INIT;
    tx_lsn lsn;
    ok(create(SMALL_SEGMENT, 0));
    ok(txlog_open(txio_posix(), temp.fd, TXLOG_READWRITE, shared_new(), &log, &test_err));
    cr_assert_geq(txlog_control_fd(log), 0);
    fails(TX_EMISUSE, txlog_append_begin(log, 1, &lsn, &test_err));
    fails(TX_EMISUSE, txlog_force(log, 1, &test_err));
    fails(TX_EMISUSE, txlog_read(log, 4096, &record, &payload, &test_err));
    fails(TX_EMISUSE, txlog_trim(log, 4096, &test_err));
    txlog_close(log);
}

Test(txlog_log_open, shared_memory_goes_with_the_mode)
{
    struct txlog *log;
    ok(create(SMALL_SEGMENT, 0));
    fails(TX_EMISUSE, txlog_open(txio_posix(), temp.fd, TXLOG_READWRITE, NULL, &log, &test_err));
    fails(TX_EMISUSE,
          txlog_open(txio_posix(), temp.fd, TXLOG_SALVAGE, shared_new(), &log, &test_err));
}

Test(txlog_log_open, shared_memory_of_another_log_is_refused)
{
    TX_AUTO(temp_dir) second = temp_dir_new();
    struct log_user user;
    struct txlog *log;
    log_make(txio_posix(), temp.fd, 0);
    log_make(txio_posix(), second.fd, 0);
    log_open(&user, txio_posix(), temp.fd);
    fails(TX_EVERSION,
          txlog_open(txio_posix(), second.fd, TXLOG_READWRITE, user.shared, &log, &test_err));
    ((struct txlog_shared *)user.shared)->magic--; /* of another version */
    fails(TX_EVERSION,
          txlog_open(txio_posix(), temp.fd, TXLOG_READWRITE, user.shared, &log, &test_err));
    log_close(&user);
}

Test(txlog_log_open, handles_on_one_memory_see_each_others_records)
{
    struct log_user one;
    struct log_user two;
    struct txlog *reader;
    log_make(txio_posix(), temp.fd, 0);
    log_open(&one, txio_posix(), temp.fd);
    log_join(&two, &one, txio_posix());
    ok(txlog_open(txio_posix(), temp.fd, TXLOG_READONLY, one.shared, &reader, &test_err));
    struct log_user three = {.log = reader};
    for (uint32_t i = 1; i <= 30; i += 2) {
        log_put(i % 4 == 1 ? &one : &two, i, i * 200);
        log_put_forced(i % 4 == 1 ? &two : &one, i + 1, i * 100);
        log_expect(&one, i + 1);
        log_expect(&two, i + 1);
        log_expect(&three, i + 1);
    }
    log_close(&three);
    log_close(&two);
    log_close(&one);
}

Test(txlog_log_open, a_forked_child_is_told)
{
    struct log_user user;
    int status;
    log_make(txio_posix(), temp.fd, 0);
    log_open(&user, txio_posix(), temp.fd);
    log_put(&user, 1, 10);
    if (fork() == 0) {
        tx_lsn lsn;
        struct txlog_record record;
        TX_AUTO(tx_buf) payload = TX_BUF_INIT;
        bool told =
            txlog_append_begin(user.log, 1, &lsn, NULL) == TX_EFORKED &&
            txlog_force(user.log, 1, NULL) == TX_EFORKED &&
            txlog_read(user.log, 4096, &record, &payload, NULL) == TX_EFORKED &&
            txlog_trim(user.log, 4096, NULL) == TX_EFORKED &&
            txlog_mark_clean(user.log, NULL) == TX_EFORKED;
        txlog_close(user.log);
        _exit(told ? 0 : 1);
    }
    cr_assert_gt(wait(&status), 0);
    cr_assert_eq(status, 0);
    log_put_forced(&user, 2, 10);
    log_expect(&user, 2);
    log_close(&user);
}

Test(txlog_log_open, closing_leaves_no_descriptor_open)
{
    struct log_user user;
    int before = open_descriptors();
    log_make(txio_posix(), temp.fd, 0);
    cr_assert_eq(open_descriptors(), before);
    log_open(&user, txio_posix(), temp.fd);
    for (uint32_t i = 1; i < 40; i++) {
        log_put_forced(&user, i, 5000);
    }
    log_expect(&user, 39);
    log_close(&user);
    cr_assert_eq(open_descriptors(), before);
    txlog_close(NULL);
}

/* --- Salvage --- */

static void make_damaged(void)
{
    struct log_user user;
    log_make(txio_posix(), temp.fd, 0);
    log_open(&user, txio_posix(), temp.fd);
    for (uint32_t i = 1; i <= 9; i++) {
        log_put_forced(&user, i, 3000);
    }
    log_close(&user);
}

static void salvage_expect(unsigned count)
{
    struct log_user user = {.io = txio_posix(), .dir = temp.fd};
    tx_lsn lsn;
    ok(txlog_open(txio_posix(), temp.fd, TXLOG_SALVAGE, NULL, &user.log, &test_err));
    log_expect(&user, count);
    fails(TX_EREADONLY, txlog_append_begin(user.log, 1, &lsn, &test_err));
    log_close(&user);
}

Test(txlog_log_open, salvage_reads_up_to_the_first_damage)
{
    make_damaged();
    salvage_expect(9);
    file_flip(temp.fd, segment_path(3), TXLOG_BLOCK_SIZE + 9, 1);
    salvage_expect(5); /* two beside the epoch record, three in the second */
    struct log_user user;
    fails(TX_ECORRUPT, log_try_open(&user, txio_posix(), temp.fd));
}

Test(txlog_log_open, salvage_works_without_control)
{
    make_damaged();
    file_flip(temp.fd, CONTROL_NAME, 9, 1);
    file_flip(temp.fd, CONTROL_NAME, TXLOG_BLOCK_SIZE + 9, 1);
    salvage_expect(9);
    int fd = openat(temp.fd, CONTROL_NAME, O_RDWR | O_CLOEXEC);
    cr_assert_eq(ftruncate(fd, 0), 0);
    (void)close(fd);
    salvage_expect(9);
}

Test(txlog_log_open, salvage_goes_around_segments_with_bad_headers)
{
    make_damaged();
    file_flip(temp.fd, segment_path(3), 9, 1);
    salvage_expect(5);
    file_flip(temp.fd, segment_path(1), 9, 1);
    salvage_expect(0);
    cr_assert_eq(unlinkat(temp.fd, segment_path(1), 0), 0);
    salvage_expect(0);
}

Test(txlog_log_open, salvage_of_nothing_finds_nothing)
{
    make_damaged();
    file_flip(temp.fd, CONTROL_NAME, 9, 1);
    file_flip(temp.fd, CONTROL_NAME, TXLOG_BLOCK_SIZE + 9, 1);
    for (uint64_t seq = 1; exists(temp.fd, segment_path(seq)); seq++) {
        cr_assert_eq(unlinkat(temp.fd, segment_path(seq), 0), 0);
    }
    salvage_expect(0);
}

/* --- Joining while the living go on --- */

struct racer {
    struct layer layer; /* first */
    struct log_user *user;
    unsigned opened; /* times that a segment was opened */
    bool goes_on;
};

/* Before the first segment is opened: it is filled, and recycled or taken away. */
static void race_open(struct layer *layer, struct layer_call *call)
{
    struct racer *racer = (struct racer *)layer;
    if (call->op != LAYER_open || strstr(call->where, ".seg") == NULL || racer->opened++ > 0) {
        return;
    }
    if (racer->goes_on) {
        log_put_forced(racer->user, 1, 8200);
        log_put_forced(racer->user, 2, 8200);
        ok(txlog_trim(racer->user->log, log_info(racer->user).append_lsn, &test_err));
    } else {
        cr_assert_eq(unlinkat(temp.fd, segment_path(1), 0), 0);
    }
}

static enum tx_status join_racing(struct log_user *user, struct racer *racer, struct txlog **log)
{
    log_make(txio_posix(), temp.fd, 0);
    log_open(user, txio_posix(), temp.fd);
    layer_init(&racer->layer, txio_posix());
    racer->layer.before = race_open;
    racer->layer.fibers = true; /* the log is used below it */
    racer->user = user;
    return txlog_open(&racer->layer.io, temp.fd, TXLOG_READWRITE, user->shared, log, &test_err);
}

Test(txlog_log_open, who_joins_while_the_tail_goes_takes_the_next)
{
    struct racer racer = {.goes_on = true};
    struct log_user user;
    struct log_user joined = {.io = txio_posix()};
    ok(join_racing(&user, &racer, &joined.log));
    cr_assert_eq(racer.opened, 2);
    log_put_forced(&user, 1, 100);
    log_expect(&joined, 1);
    log_close(&joined);
    layer_release(&racer.layer);
    log_close(&user);
}

Test(txlog_log_open, a_tail_that_is_not_there_is_not_waited_for)
{
    struct racer racer = {.goes_on = false};
    struct log_user user;
    struct txlog *log;
    int before = open_descriptors();
    fails(TX_ENOTFOUND, join_racing(&user, &racer, &log));
    cr_assert_eq(racer.opened, 1);
    layer_release(&racer.layer);
    log_close(&user);
    cr_assert_eq(open_descriptors(), before);
}

/* --- The record as named fields --- */

struct described {
    char text[2000];
    unsigned count;
};

static void field_seen(void *arg, const char *name, uint64_t value, const char *text)
{
    struct described *seen = arg;
    size_t used = strlen(seen->text);
    cr_assert_gt(strlen(text), 0);
    (void)snprintf(seen->text + used, sizeof(seen->text) - used, "%s=%llu ", name,
                   (unsigned long long)value);
    seen->count++;
}

Test(txlog_log_open, records_can_be_described_field_by_field)
{
    struct log_user user;
    struct described seen = {.count = 0};
    log_make(txio_posix(), temp.fd, 0);
    log_open(&user, txio_posix(), temp.fd);
    log_put(&user, 7, 321);
    ok(txlog_describe_record(user.log, 8192, field_seen, &seen, &test_err));
    cr_assert_not_null(strstr(seen.text, "kind=7 payload_size=321 lsn=8192 segment=1"), "%s",
                       seen.text);
    cr_assert_not_null(strstr(seen.text, "epoch=1 durable_lsn=8192 "), "%s", seen.text);
    unsigned plain = seen.count;
    memset(&seen, 0, sizeof(seen));
    ok(txlog_describe_record(user.log, 4096, field_seen, &seen, &test_err));
    cr_assert_not_null(strstr(seen.text, "end_lsn=4096 proven_lsn=4096 torn_size=0"), "%s",
                       seen.text);
    cr_assert_eq(seen.count, plain + 5);
    fails(TX_ENOTFOUND, txlog_describe_record(user.log, 12288, field_seen, &seen, &test_err));
    log_put(&user, TXLOG_KIND_EPOCH, 1); /* no such payload: the header only */
    memset(&seen, 0, sizeof(seen));
    ok(txlog_describe_record(user.log, 12288, field_seen, &seen, &test_err));
    cr_assert_eq(seen.count, plain);
    log_close(&user);
}
