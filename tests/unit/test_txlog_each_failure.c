/* SPDX-License-Identifier: MIT */
/*
 * Each operation of the log, with each of its calls of the system and each of its allocations
 * failing once: the error is told or got over, nothing leaks, and the log is whole.
 */
#include "unit/log_fixture.h"

#include "unit/each_failure.h"
#include "unit/temp_dir.h"

static struct temp_dir temp;
static struct log_user user;

static void setup(void)
{
    temp_dirs_in_memory();
    temp = temp_dir_new();
}

static void teardown(void)
{
    temp_dir_auto(&temp);
}

TestSuite(txlog_each_failure, .init = setup, .fini = teardown, .timeout = 300);

struct operation {
    void (*make)(void);    /* the log on disk */
    void (*prepare)(void); /* by somebody who uses it; NULL: nobody does */
    enum tx_status (*act)(struct txio *io);
    uint32_t records; /* kinds 1 to this one are there before, and one more perhaps after */
    enum {
        USUAL,
        LOOKS,     /* and changes nothing */
        TRIMS,
        FULL_DISK, /* no file can be made */
    } kind;
};

/* Consecutive records up to the last one, from the first one unless they may be trimmed. */
static void expect_whole(const struct operation *operation)
{
    struct log_contents contents;
    uint32_t last = operation->records;
    log_open(&user, txio_posix(), temp.fd);
    log_contents(&user, &contents);
    cr_assert(operation->kind == TRIMS || contents.count >= last, "%u records", contents.count);
    for (unsigned i = 0; i < contents.count; i++) {
        cr_assert_eq(contents.kinds[i], contents.kinds[0] + i);
    }
    if (contents.count > 0) {
        uint32_t kind = contents.kinds[contents.count - 1];
        cr_assert(kind == last || kind == last + 1, "ends with record %u", kind);
        cr_assert(operation->kind == TRIMS || contents.kinds[0] == 1);
    }
    log_close_clean(&user);
    cr_assert_eq(log_faults(txio_posix(), temp.fd), 0, "%s",
                 log_faults_text(txio_posix(), temp.fd));
}

static void fill_disk(struct fault_layer *fault)
{
    fault_add(fault, &(struct fault_rule){.ops = LAYER_BIT(allocate) | LAYER_BIT(pwritev),
                                          .part = "new-", .nth = 1, .kind = FAULT_ERRNO,
                                          .os_errno = ENOSPC});
}

/* Act while something fails; answers whether something did. */
static bool act_failing(const struct operation *operation, struct failure *failure)
{
    struct fault_layer fault;
    fault_init(&fault, txio_posix(), false);
    if (operation->kind == FULL_DISK) {
        fill_disk(&fault);
    }
    int before = open_descriptors();
    test_err = (struct tx_error){.status = TX_OK};
    failing_alloc_begin(SIZE_MAX);
    failure_begin(failure, &fault);
    enum tx_status status = operation->act(&fault.layer.io);
    failure_end(failure, &fault);
    (void)failing_alloc_end();
    bool failed = failure->fired;
    cr_assert_eq(failing_alloc.in_use, 0);
    cr_assert_eq(open_descriptors(), before);
    cr_assert(failed || status == TX_OK, "%s", test_err.text);
    cr_assert_eq(status == TX_OK ? TX_OK : test_err.status, status, "%s, and told %s: %s",
                 tx_status_name(status), tx_status_name(test_err.status), test_err.text);
    cr_assert(status == TX_OK || test_err.text[0] != '\0');
    fault_release(&fault);
    return failed;
}

static void begin(const struct operation *operation)
{
    log_restore(temp.fd);
    if (operation->prepare) {
        log_open(&user, txio_posix(), temp.fd);
        operation->prepare();
        txlog_close(user.log); /* the memory that is shared stays */
        user.log = NULL;
    }
}

static void end(const struct operation *operation)
{
    log_close(&user);
    expect_whole(operation);
}

/* From the beginning unless all is as it was. */
static bool once(const struct operation *operation, struct failure *failure)
{
    if (operation->kind == LOOKS) {
        return act_failing(operation, failure);
    }
    begin(operation);
    bool failed = act_failing(operation, failure);
    end(operation);
    return failed;
}

static void each_failure(const struct operation *operation)
{
    /* A descriptor of which nobody knows would be the test's leak. */
    uint64_t never = LAYER_BIT(process_id) | LAYER_BIT(close) | LAYER_BIT(wake);
    const int errors[] = {EIO, operation->kind == LOOKS ? ENOMEM : ENOSPC, 0}; /* 0: memory */
    operation->make();
    log_save(temp.fd);
    if (operation->kind == LOOKS) {
        begin(operation);
    }
    for (size_t i = 0; i < sizeof(errors) / sizeof(*errors); i++) {
        struct failure failure = {
            .nth = 1, .os_errno = errors[i], .kind = FAULT_ERRNO, .ops = FAULT_ALL_OPS & ~never};
        while (once(operation, &failure)) {
            failure.nth++;
        }
        cr_assert(failure.nth > 1 || errors[i] == 0);
    }
    if (operation->kind == LOOKS) {
        end(operation);
    }
}

/* --- Logs --- */

static void make_small(void)
{
    log_make(txio_posix(), temp.fd, 0);
    log_open(&user, txio_posix(), temp.fd);
    for (uint32_t i = 1; i <= 3; i++) {
        log_put_forced(&user, i, 100);
    }
    log_close(&user);
}

enum { MANY = 4 + LOG_FILES_MAX, LARGE };

/* More segments than descriptors are kept open, each partly unused. */
static void make_many(void)
{
    make_small();
    log_open(&user, txio_posix(), temp.fd);
    for (uint32_t i = 4; i <= MANY; i++) {
        log_put_forced(&user, i, 5000);
    }
    log_close(&user);
}

/* And a record larger than what is read at once, and a spare; closed. */
static void make_large(void)
{
    make_many();
    log_open(&user, txio_posix(), temp.fd);
    log_put(&user, LARGE, 300000);
    ok(txlog_prepare_segment(user.log, &test_err));
    log_close_clean(&user);
}

static void remove_spares(void)
{
    char command[400];
    (void)snprintf(command, sizeof(command), "rm -f %s/log/spare-*", temp.path);
    cr_assert_eq(system(command), 0);
}

/* Small unproven records in the last segments, and nothing to make another of. */
static void make_unproven(void)
{
    make_many();
    log_open(&user, txio_posix(), temp.fd);
    for (uint32_t i = MANY + 1; i <= MANY + 4; i++) {
        log_put(&user, i, 100);
    }
    log_close(&user);
    remove_spares();
}

/* A torn record, segments behind it, and nothing to make another of. */
static void make_torn(void)
{
    struct txlog_record record;
    make_small();
    log_open(&user, txio_posix(), temp.fd);
    tx_lsn torn = log_info(&user).append_lsn;
    for (uint32_t i = 4; i <= 7; i++) {
        log_put(&user, i, 8000);
    }
    ok(txlog_read(user.log, torn, &record, NULL, &test_err));
    log_close(&user);
    file_write(temp.fd, segment_path(record.segment), record.offset, "torn", 4);
    remove_spares();
}

/* --- Who uses it --- */

static void prepare_nothing(void)
{
}

static void prepare_segments(void)
{
    for (uint32_t i = 4; i <= 8; i++) {
        log_put(&user, i, 8000);
    }
}

static void prepare_forced_segments(void)
{
    prepare_segments();
    ok(txlog_force(user.log, log_info(&user).append_lsn, &test_err));
}

/* All that is ready is reserved. */
static void prepare_reserve(void)
{
    struct txlog_shared *shared = user.shared;
    while (append_ready_size(user.log) > shared->reserved) {
        ok(txlog_reserve(user.log, 100, &test_err));
    }
}

/* A writer killed over a record. */
static void prepare_leftover(void)
{
    struct txlog_shared *shared = user.shared;
    struct segment_ref tail;
    table_tail(shared, &tail);
    uint64_t offset = TXLOG_BLOCK_SIZE + (shared->append_lsn - tail.first_lsn);
    cr_assert_lt(offset, tail.size);
    file_write(temp.fd, segment_path(tail.seq), offset, "half a record", 13);
    shared->write_lsn = shared->append_lsn + 2 * TXLOG_BLOCK_SIZE;
    cr_assert(txlog_has_leftover(user.log));
}

static void prepare_unforced_and_leftover(void)
{
    log_put(&user, 4, 5000);
    prepare_leftover();
}

/* --- Operations --- */

/* In a directory that nobody knows of yet. */
static enum tx_status act_create(struct txio *io)
{
    struct txlog_settings settings = {SMALL_SEGMENT, 0};
    struct txlog_identity identity;
    TX_AUTO(temp_dir) fresh = temp_dir_new();
    TX_TRY(txlog_create(io, fresh.fd, &settings, &identity, &test_err));
    cr_assert_eq(file_size(fresh.fd, CONTROL_NAME), CONTROL_SIZE);
    return TX_OK;
}

static enum tx_status act_recover(struct txio *io)
{
    struct log_user mine;
    enum tx_status status = log_try_open(&mine, io, temp.fd);
    log_close(&mine);
    return status;
}

static enum tx_status act_open_clean(struct txio *io)
{
    struct log_user mine = {.shared = shared_new()};
    bool opened = false;
    enum tx_status status =
        txlog_open(io, temp.fd, TXLOG_READWRITE, mine.shared, &mine.log, &test_err);
    if (status == TX_OK) {
        status = txlog_open_clean(mine.log, &opened, &test_err);
        cr_assert_eq(opened, status == TX_OK);
    }
    if (status != TX_OK && mine.log && failing_alloc.failed == 0) { /* once more, and it does */
        ok(txlog_open_clean(mine.log, &opened, NULL));
        cr_assert(opened);
    }
    log_close(&mine);
    return status;
}

static enum tx_status act_verify(struct txio *io)
{
    uint64_t faults = 0;
    TX_TRY(txlog_verify(io, temp.fd, NULL, NULL, &faults, &test_err));
    cr_assert_eq(faults, 0);
    return TX_OK;
}

typedef enum tx_status use_fn(struct log_user *mine);

/* By another handle on the memory of him who prepared it. */
static enum tx_status join_and(use_fn *fn, struct txio *io)
{
    struct log_user mine = {.io = io, .dir = temp.fd};
    TX_TRY(txlog_open(io, temp.fd, TXLOG_READWRITE, user.shared, &mine.log, &test_err));
    segment_files_close(mine.log); /* as if others had gone on to another segment */
    enum tx_status status = fn(&mine);
    log_close(&mine);
    return status;
}

static enum tx_status use_append(struct log_user *mine)
{
    tx_lsn next;
    return log_try_put(mine, 4, 100, &next);
}

static enum tx_status use_force(struct log_user *mine)
{
    return txlog_force(mine->log, log_info(mine).append_lsn, &test_err);
}

static enum tx_status use_trim(struct log_user *mine)
{
    return txlog_trim(mine->log, log_info(mine).append_lsn, &test_err);
}

static enum tx_status use_mark_clean(struct log_user *mine)
{
    return txlog_mark_clean(mine->log, &test_err);
}

static enum tx_status use_reserve(struct log_user *mine)
{
    for (int i = 0; i < 8; i++) {
        TX_TRY(txlog_reserve(mine->log, 100, &test_err));
    }
    return TX_OK;
}

static enum tx_status use_prepare_segment(struct log_user *mine)
{
    return txlog_prepare_segment(mine->log, &test_err);
}

static enum tx_status use_read(struct log_user *mine)
{
    TX_AUTO(tx_buf) payload = TX_BUF_INIT;
    struct txlog_record record;
    tx_lsn end = log_info(mine).append_lsn;
    for (tx_lsn lsn = log_info(mine).start_lsn; lsn < end; lsn = record.next_lsn) {
        TX_TRY(txlog_read(mine->log, lsn, &record, &payload, &test_err));
        cr_assert(record.kind == TXLOG_KIND_EPOCH || payload_is(&payload, record.kind));
    }
    return TX_OK;
}

/* What can not be read at the opening is taken for damage, and reading ends before it. */
static enum tx_status act_salvage(struct txio *io)
{
    struct log_user mine = {.io = io};
    TX_TRY(txlog_open(io, temp.fd, TXLOG_SALVAGE, NULL, &mine.log, &test_err));
    enum tx_status status = use_read(&mine);
    log_close(&mine);
    return status;
}

#define BY_ANOTHER(name)                                                                           \
    static enum tx_status act_##name(struct txio *io) { return join_and(use_##name, io); }
BY_ANOTHER(append)
BY_ANOTHER(force)
BY_ANOTHER(trim)
BY_ANOTHER(mark_clean)
BY_ANOTHER(reserve)
BY_ANOTHER(prepare_segment)
BY_ANOTHER(read)

#define EACH_FAILURE(name, ...)                                                                    \
    Test(txlog_each_failure, name) { each_failure(&(struct operation){__VA_ARGS__}); }
EACH_FAILURE(of_creating, make_small, NULL, act_create, 3, LOOKS)
EACH_FAILURE(of_recovery, make_many, NULL, act_recover, MANY, USUAL)
EACH_FAILURE(of_recovery_in_place, make_unproven, NULL, act_recover, MANY + 4, FULL_DISK)
EACH_FAILURE(of_recovery_that_drops_segments, make_torn, NULL, act_recover, 3, FULL_DISK)
EACH_FAILURE(of_opening_what_was_closed, make_large, NULL, act_open_clean, LARGE, LOOKS)
EACH_FAILURE(of_verifying, make_large, NULL, act_verify, LARGE, LOOKS)
EACH_FAILURE(of_salvage, make_large, NULL, act_salvage, LARGE, LOOKS)
EACH_FAILURE(of_reading, make_large, prepare_nothing, act_read, LARGE, LOOKS)
EACH_FAILURE(of_appending_behind_a_leftover, make_small, prepare_leftover, act_append, 3, USUAL)
EACH_FAILURE(of_appending_beside_a_reserve, make_small, prepare_reserve, act_append, 3, USUAL)
EACH_FAILURE(of_reserving, make_small, prepare_nothing, act_reserve, 3, USUAL)
EACH_FAILURE(of_making_a_spare, make_small, prepare_segments, act_prepare_segment, 8, USUAL)
EACH_FAILURE(of_forcing_segments, make_small, prepare_segments, act_force, 8, USUAL)
EACH_FAILURE(of_trimming, make_small, prepare_forced_segments, act_trim, 8, TRIMS)
EACH_FAILURE(of_the_clean_mark, make_small, prepare_unforced_and_leftover, act_mark_clean, 4, USUAL)
