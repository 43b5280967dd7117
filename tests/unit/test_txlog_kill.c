/* SPDX-License-Identifier: MIT */
/*
 * A process that dies between two steps of an append, a switch, a trim or a force, while others
 * live on with the same shared memory.
 */
#include "unit/log_fixture.h"

#include <sys/wait.h>

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

TestSuite(txlog_kill, .init = setup, .fini = teardown, .timeout = 120);

static int die_at(struct hook_io *self, enum hook_op op, enum hook_when when)
{
    if ((int)op == self->op && (int)when == self->when && self->at-- == 0) {
        _exit(7);
    }
    return 0;
}

/* Run `act` in a process that dies at this point; false when it never came there. */
static bool run_and_die(void (*act)(struct log_user *), enum hook_op op, enum hook_when when,
                        int at)
{
    int status;
    if (fork() == 0) {
        static struct hook_io hook;
        struct log_user mine;
        log_join(&mine, &user, hook_init(&hook, die_at));
        hook.op = (int)op;
        hook.when = (int)when;
        hook.at = at;
        act(&mine);
        _exit(0);
    }
    cr_assert_gt(wait(&status), 0);
    cr_assert(WIFEXITED(status));
    return WEXITSTATUS(status) == 7;
}

static void act_small(struct log_user *mine)
{
    log_put(mine, 99, 100);
}

static void act_switch(struct log_user *mine)
{
    log_put(mine, 99, 9000); /* leaves a segment with room behind */
}

static void act_large(struct log_user *mine)
{
    log_put(mine, 99, 40000);
}

static void act_force(struct log_user *mine)
{
    ok(txlog_force(mine->log, log_put(mine, 99, 100), &test_err));
}

static void act_trim(struct log_user *mine)
{
    struct log_contents contents;
    log_contents(mine, &contents);
    ok(txlog_trim(mine->log, contents.lsns[contents.count / 2], &test_err));
}

static void act_prepare(struct log_user *mine)
{
    ok(txlog_prepare_segment(mine->log, &test_err));
}

static void act_clean(struct log_user *mine)
{
    ok(txlog_mark_clean(mine->log, &test_err));
}

/* The records in order, the dead one's (99) perhaps among them; `from` is the oldest left. */
static void expect_order(unsigned count)
{
    struct log_contents contents;
    unsigned last = 0;
    log_contents(&user, &contents);
    for (unsigned i = 0; i < contents.count; i++) {
        if (contents.kinds[i] != 99) {
            cr_assert(last == 0 || contents.kinds[i] == last + 1, "%u after %u", contents.kinds[i],
                      last);
            last = contents.kinds[i];
        }
    }
    cr_assert_eq(last, count);
}

/* After the death: go on, close cleanly, verify, open again. */
static void live_on(uint32_t kind)
{
    log_put_forced(&user, kind, 100);
    log_put_forced(&user, kind + 1, 9000);
    log_put_forced(&user, kind + 2, 100);
    expect_order(kind + 2);
    log_close_clean(&user);
    cr_assert_eq(log_faults(txio_posix(), temp.fd), 0, "%s",
                 log_faults_text(txio_posix(), temp.fd));
    log_open(&user, txio_posix(), temp.fd);
    cr_assert(user.recovery.was_clean);
    expect_order(kind + 2);
}

static void kill_everywhere(void (*act)(struct log_user *), unsigned least)
{
    uint32_t kind = 1;
    unsigned deaths = 0;
    for (int op = 0; op < HOOK_OPS; op++) {
        for (int at = 0; at < 4; at++) {
            for (int when = HOOK_BEFORE; when <= HOOK_AFTER; when++) {
                log_put_forced(&user, kind++, 100);
                log_put_forced(&user, kind++, 100);
                deaths += run_and_die(act, (enum hook_op)op, (enum hook_when)when, at);
                if (atomic_load(&((struct txlog_shared *)user.shared)->is_clean)) {
                    log_reopen(&user);
                }
                live_on(kind);
                kind += 3;
                tx_lsn end = log_info(&user).durable_lsn;
                ok(txlog_trim(user.log, kind % 3 == 0 ? end : log_info(&user).start_lsn,
                              &test_err));
                if (kind % 3 == 0) {
                    kind = 1;
                }
            }
        }
    }
    cr_assert_geq(deaths, least, "%u deaths", deaths);
}

Test(txlog_kill, an_appender_dies)
{
    kill_everywhere(act_small, 2);
}

Test(txlog_kill, an_appender_dies_while_it_switches)
{
    kill_everywhere(act_switch, 6);
}

Test(txlog_kill, an_appender_dies_with_a_large_record)
{
    kill_everywhere(act_large, 6);
}

Test(txlog_kill, a_committer_dies)
{
    kill_everywhere(act_force, 4);
}

Test(txlog_kill, a_trimmer_dies)
{
    kill_everywhere(act_trim, 8);
}

Test(txlog_kill, a_preparer_dies)
{
    kill_everywhere(act_prepare, 0);
}

Test(txlog_kill, a_closer_dies)
{
    kill_everywhere(act_clean, 4);
}

/* The record of the dead: it was whole in the page cache, and is wiped by the next writer. */
Test(txlog_kill, a_whole_record_that_was_not_counted_is_wiped)
{
    log_put_forced(&user, 1, 100);
    cr_assert(run_and_die(act_small, HOOK_PWRITEV, HOOK_AFTER, 0));
    tx_lsn end = log_info(&user).append_lsn;
    log_expect(&user, 1);
    log_close_clean(&user);
    log_open(&user, txio_posix(), temp.fd);
    cr_assert_eq(user.recovery.end_lsn, end);
    log_expect(&user, 1);
}

/* With nobody left, nobody knows: recovery may keep it. */
Test(txlog_kill, a_whole_record_of_the_last_process_is_kept)
{
    log_put_forced(&user, 1, 100);
    cr_assert(run_and_die(act_small, HOOK_PWRITEV, HOOK_AFTER, 0));
    log_reopen(&user);
    struct log_contents contents;
    log_contents(&user, &contents);
    cr_assert_eq(contents.count, 2);
    cr_assert_eq(contents.kinds[1], 99);
}

/* Half-way through a switch the new segment has its name, and the old one still has room: what is
 * put there next must not be superseded by the empty segment. */
Test(txlog_kill, nothing_is_written_before_a_segment_that_may_exist)
{
    log_put_forced(&user, 1, 10);
    cr_assert(run_and_die(act_switch, HOOK_RENAME, HOOK_AFTER, 0));
    cr_assert(exists(temp.fd, segment_path(2)));
    log_put_forced(&user, 2, 10); /* would fit into segment 1 */
    log_put_forced(&user, 3, 10);
    log_reopen(&user);
    log_expect(&user, 3);
}
