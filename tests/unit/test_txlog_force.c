/* SPDX-License-Identifier: MIT */
/* Forcing: who syncs what, how often, and what a failed sync does to everybody. */
#include "unit/log_fixture.h"

#include <pthread.h>
#include <sys/wait.h>

#include "sim/fault.h"
#include "unit/hook_io.h"
#include "unit/temp_dir.h"

static struct temp_dir temp;
static struct hook_io hook;
static struct log_user user;

static void setup(void)
{
    struct txio *io = hook_init(&hook, NULL);
    temp = temp_dir_new();
    log_make(io, temp.fd, 0);
    log_open(&user, io, temp.fd);
}

static void teardown(void)
{
    log_close(&user);
    temp_dir_auto(&temp);
}

TestSuite(txlog_force, .init = setup, .fini = teardown, .timeout = 60);

Test(txlog_force, one_record_costs_one_write_and_one_sync)
{
    tx_lsn next;
    unsigned writes = hook.calls[HOOK_PWRITEV];
    unsigned syncs = hook.calls[HOOK_DATASYNC] + hook.calls[HOOK_SYNC];
    next = log_put(&user, 1, 128);
    ok(txlog_force(user.log, next, &test_err));
    cr_assert_eq(hook.calls[HOOK_PWRITEV] - writes, 1);
    cr_assert_eq(hook.calls[HOOK_DATASYNC] + hook.calls[HOOK_SYNC] - syncs, 1);
    ok(txlog_force(user.log, next, &test_err)); /* nothing to do */
    cr_assert_eq(hook.calls[HOOK_DATASYNC] + hook.calls[HOOK_SYNC] - syncs, 1);
    cr_assert_eq(log_info(&user).durable_lsn, next);
}

Test(txlog_force, one_sync_for_all_records_of_a_segment)
{
    log_put(&user, 1, 10);
    tx_lsn next = log_put(&user, 2, 10);
    unsigned syncs = hook.calls[HOOK_DATASYNC];
    ok(txlog_force(user.log, next, &test_err));
    cr_assert_eq(hook.calls[HOOK_DATASYNC] - syncs, 1);
    cr_assert_eq(log_info(&user).force_count, 2); /* and the epoch record's */
}

Test(txlog_force, a_range_over_segments_syncs_each_once)
{
    tx_lsn next = 0;
    for (uint32_t i = 1; i <= 5; i++) {
        next = log_put(&user, i, 8000);
    }
    uint64_t segments = log_info(&user).segment_count;
    unsigned syncs = hook.calls[HOOK_DATASYNC];
    ok(txlog_force(user.log, next, &test_err));
    /* And control's two slots: so much no spare would hold. */
    cr_assert_eq(hook.calls[HOOK_DATASYNC] - syncs, segments + 2);
    cr_assert_gt(segments, 3);
}

static tx_lsn appended_meanwhile;

static int append_in_the_middle(struct hook_io *self, enum hook_op op, enum hook_when when)
{
    if (op == HOOK_DATASYNC && when == HOOK_AFTER && self->at == 0) {
        self->at = 1;
        appended_meanwhile = log_put(&user, 2, 10);
    }
    return 0;
}

Test(txlog_force, what_is_appended_during_the_sync_needs_another)
{
    tx_lsn next = log_put(&user, 1, 10);
    hook.fn = append_in_the_middle;
    ok(txlog_force(user.log, next, &test_err));
    cr_assert_gt(appended_meanwhile, next);
    cr_assert_eq(log_info(&user).durable_lsn, next);
    unsigned syncs = hook.calls[HOOK_DATASYNC];
    ok(txlog_force(user.log, appended_meanwhile, &test_err));
    cr_assert_eq(hook.calls[HOOK_DATASYNC] - syncs, 1);
}

Test(txlog_force, beyond_the_end_is_misuse)
{
    tx_lsn end = log_put(&user, 1, 1);
    fails(TX_EMISUSE, txlog_force(user.log, end + 1, &test_err));
    ok(txlog_force(user.log, end, &test_err));
    ok(txlog_force(user.log, 0, &test_err));
}

/* --- Many committers --- */

enum { THREADS = 16, ROUNDS = 30 };

static void *commit_many(void *arg)
{
    struct log_user *mine = arg;
    for (uint32_t i = 0; i < ROUNDS; i++) {
        tx_lsn next = log_put(mine, i + 1, 128);
        ok(txlog_force(mine->log, next, &test_err));
        cr_assert_geq(log_info(mine).durable_lsn, next);
    }
    return NULL;
}

/* Segments that are not full all the time. */
static void setup_roomy(void)
{
    struct txlog_settings settings = {1024 * 1024, 0};
    struct txlog_identity identity;
    struct txio *io = hook_init(&hook, NULL);
    teardown(); /* what the suite has set up */
    temp = temp_dir_new();
    ok(txlog_create(io, temp.fd, &settings, &identity, &test_err));
    log_open(&user, io, temp.fd);
}

Test(txlog_force, sixteen_threads_share_forces, .init = setup_roomy)
{
    pthread_t threads[THREADS];
    uint64_t before = log_info(&user).force_count;
    hook.fn = hook_slow_disk;
    for (int i = 0; i < THREADS; i++) {
        cr_assert_eq(pthread_create(&threads[i], NULL, commit_many, &user), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        cr_assert_eq(pthread_join(threads[i], NULL), 0);
    }
    uint64_t forces = log_info(&user).force_count - before;
    cr_assert_lt(forces * 4, THREADS * ROUNDS, "%u forces", (unsigned)forces);
    struct log_contents contents;
    log_contents(&user, &contents);
    cr_assert_eq(contents.count, THREADS * ROUNDS);
}

Test(txlog_force, four_processes_share_forces, .init = setup_roomy)
{
    uint64_t before = log_info(&user).force_count;
    hook.fn = hook_slow_disk;
    for (int i = 0; i < 4; i++) {
        if (fork() == 0) {
            struct log_user mine;
            log_join(&mine, &user, &hook.io);
            (void)commit_many(&mine);
            txlog_close(mine.log);
            _exit(0);
        }
    }
    for (int i = 0; i < 4; i++) {
        int status;
        cr_assert_gt(wait(&status), 0);
        cr_assert_eq(status, 0);
    }
    uint64_t forces = log_info(&user).force_count - before;
    /* While one forces the other three come, and are forced by one of them: two forces for four
     * records when nobody is late, and four when nothing is shared. */
    cr_assert_lt(forces * 4, 3 * 4 * ROUNDS, "%u forces", (unsigned)forces);
    cr_assert_eq(log_info(&user).append_lsn, log_info(&user).durable_lsn);
    log_reopen(&user);
    struct log_contents contents;
    log_contents(&user, &contents);
    cr_assert_eq(contents.count, 4 * ROUNDS);
}

/* --- A failed sync --- */

static int fail_sync(struct hook_io *self, enum hook_op op, enum hook_when when)
{
    if (op != HOOK_DATASYNC || when != HOOK_BEFORE) {
        return 0;
    }
    self->at++;
    return -EIO;
}

Test(txlog_force, a_failed_sync_poisons_every_handle)
{
    struct log_user other;
    tx_lsn next;
    log_put_forced(&user, 1, 10);
    log_join(&other, &user, txio_posix());
    tx_lsn mine = log_put(&user, 2, 10);
    tx_lsn theirs = log_put(&other, 3, 10);
    hook.fn = fail_sync;
    fails(TX_EOUTCOME, txlog_force(user.log, mine, &test_err));
    cr_assert(txlog_is_poisoned(other.log));
    cr_assert(log_info(&other).poisoned);
    fails(TX_EOUTCOME, txlog_force(other.log, theirs, &test_err));
    fails(TX_EPOISONED, log_try_put(&other, 4, 10, &next));
    fails(TX_EPOISONED, log_try_put(&user, 4, 10, &next));
    fails(TX_EPOISONED, txlog_mark_clean(other.log, &test_err));
    fails(TX_EPOISONED, txlog_trim(other.log, 4096, &test_err));
    fails(TX_EPOISONED, txlog_reserve(other.log, 10, &test_err));
    fails(TX_EPOISONED, txlog_prepare_segment(other.log, &test_err));
    ok(txlog_force(user.log, 4096, &test_err)); /* what was durable is durable */
    cr_assert_eq(hook.at, 1); /* no sync was repeated */
    log_expect(&user, 3);     /* reading goes on */
    log_close(&other);
    hook.fn = NULL;
    log_reopen(&user);
    log_expect(&user, 3);
    cr_assert_geq(user.recovery.rewritten_bytes, 2 * TXLOG_BLOCK_SIZE);
    log_put_forced(&user, 4, 10);
}

static int fail_slowly(struct hook_io *self, enum hook_op op, enum hook_when when)
{
    if (op != HOOK_DATASYNC || when != HOOK_BEFORE) {
        return 0;
    }
    (void)usleep(20000);
    return __atomic_add_fetch(&self->at, 1, __ATOMIC_RELAXED) > 0 ? -EIO : 0;
}

static void *expect_unknown(void *arg)
{
    struct log_user *mine = arg;
    tx_lsn next;
    enum tx_status status = log_try_put(mine, 1, 10, &next);
    if (status == TX_OK) {
        fails(TX_EOUTCOME, txlog_force(mine->log, next, NULL));
    } else {
        cr_assert_eq(status, TX_EPOISONED, "%s", tx_status_name(status));
    }
    return NULL;
}

Test(txlog_force, a_failed_sync_is_told_to_everybody_who_waits_for_it, .init = setup_roomy)
{
    pthread_t threads[8];
    hook.fn = fail_slowly;
    for (int i = 0; i < 8; i++) {
        cr_assert_eq(pthread_create(&threads[i], NULL, expect_unknown, &user), 0);
    }
    for (int i = 0; i < 8; i++) {
        cr_assert_eq(pthread_join(threads[i], NULL), 0);
    }
    cr_assert_eq(hook.at, 1, "%d syncs", hook.at);
}

Test(txlog_force, poisoning_by_hand_wakes_and_refuses)
{
    tx_lsn next = log_put(&user, 1, 10);
    txlog_poison(user.log);
    fails(TX_EOUTCOME, txlog_force(user.log, next, &test_err));
    cr_assert_eq(test_err.status, TX_EOUTCOME);
}

/* --- A leader that dies --- */

static int die_at_sync(struct hook_io *self, enum hook_op op, enum hook_when when)
{
    if (op == HOOK_DATASYNC && (int)when == self->when) {
        (void)usleep(30000); /* the parent has begun to wait */
        _exit(7);
    }
    return 0;
}

static void kill_leader(enum hook_when when)
{
    int ready[2];
    cr_assert_eq(pipe(ready), 0);
    if (fork() == 0) {
        struct log_user mine;
        log_join(&mine, &user, &hook.io);
        tx_lsn next = log_put(&mine, 1, 10);
        hook.fn = die_at_sync;
        hook.when = (int)when;
        (void)!write(ready[1], "x", 1);
        TX_IGNORE(txlog_force(mine.log, next, NULL)); /* does not come back */
        _exit(0);
    }
    char byte;
    int status;
    cr_assert_eq(read(ready[0], &byte, 1), 1);
    (void)usleep(5000);
    log_put_forced(&user, 2, 10);
    cr_assert_gt(wait(&status), 0);
    cr_assert_eq(WEXITSTATUS(status), 7);
    log_expect(&user, 2);
    log_put_forced(&user, 3, 10);
    log_reopen(&user);
    log_expect(&user, 3);
    (void)close(ready[0]);
    (void)close(ready[1]);
}

Test(txlog_force, a_leader_killed_before_the_sync_is_replaced)
{
    kill_leader(HOOK_BEFORE);
}

Test(txlog_force, a_leader_killed_after_the_sync_is_replaced)
{
    kill_leader(HOOK_AFTER);
}
