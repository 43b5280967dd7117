/* SPDX-License-Identifier: MIT */
/* What recovery shows must be on the disk, whatever the page cache had shown before. */
#include "unit/log_fixture.h"

#include "sim/fault.h"
#include "sim/sim.h"

static int root_of(struct txio *io)
{
    int fd = io->ops->open(io, TXIO_CWD, "/", TXIO_READ | TXIO_DIRECTORY, 0);
    cr_assert_geq(fd, 0);
    return fd;
}

static struct txio *machine_with_log(uint64_t size_max)
{
    static const char *const control[] = {"control", NULL};
    struct sim_options options = SIM_OPTIONS_DEFAULT;
    options.profile = SIM_WEAKEST;
    options.garbage = control; /* a disk may spoil the sector that it was writing */
    struct txio *io = sim_new(&options);
    log_make(io, root_of(io), size_max);
    cr_assert_eq(io->ops->syncfs(io, root_of(io)), 0);
    return io;
}

/* Cut the power; of what is pending nothing is kept. */
static void cut_and_expect(struct txio *io, unsigned count)
{
    struct log_user later;
    struct sim_image *image = sim_durable_image(io);
    struct txio *again = sim_boot(image, NULL);
    log_open(&later, again, root_of(again));
    log_expect(&later, count);
    log_close(&later);
    sim_image_drop(image);
    sim_free(again);
}

/* The sync fails and the kernel forgets that the pages were dirty: readers see what the disk never
 * got, or the old bytes. Recovery in the same boot must not act on it without writing it again. */
static void lose_in_sync(enum fault_kind kind)
{
    struct fault_layer fault;
    struct log_user user;
    struct txio *io = machine_with_log(0);
    fault_init(&fault, io, true);
    log_open(&user, &fault.layer.io, root_of(io));
    log_put_forced(&user, 1, 100);
    fault_add(&fault, &(struct fault_rule){.ops = LAYER_BIT(datasync), .part = ".seg", .nth = 1,
                                           .times = 1, .kind = kind});
    log_put(&user, 2, 300);
    tx_lsn next = log_put(&user, 3, 9000);
    fails(TX_EOUTCOME, txlog_force(user.log, next, &test_err));
    log_close(&user);
    fault_release(&fault);
    log_open(&user, io, root_of(io)); /* what it shows from now on must stay */
    struct log_contents contents;
    log_contents(&user, &contents);
    cr_assert_geq(contents.count, 1);
    log_expect(&user, contents.count);
    cut_and_expect(io, contents.count);
    log_close(&user);
    sim_free(io);
}

Test(txlog_lost_sync, after_a_sync_that_lost_data_which_readers_still_see)
{
    lose_in_sync(FAULT_SYNC_KEEPS);
}

Test(txlog_lost_sync, after_a_sync_that_lost_data_and_shows_the_old)
{
    lose_in_sync(FAULT_SYNC_REVERTS);
}

Test(txlog_lost_sync, what_a_killed_process_left_in_the_cache_is_durable_after_recovery)
{
    struct log_user user;
    struct txio *io = machine_with_log(0);
    log_open(&user, io, root_of(io));
    log_put_forced(&user, 1, 100);
    for (uint32_t i = 2; i <= 6; i++) {
        log_put(&user, i, i * 2000);
    }
    log_reopen(&user);
    log_expect(&user, 6);
    cut_and_expect(io, 6);
    log_close(&user);
    sim_free(io);
}

Test(txlog_lost_sync, also_when_there_is_no_room_for_a_new_segment)
{
    struct log_user user;
    struct txio *io = machine_with_log(6 * SMALL_SEGMENT);
    log_open(&user, io, root_of(io));
    log_put_forced(&user, 1, 100);
    for (uint32_t i = 2; i <= 6; i++) {
        log_put(&user, i, 8200); /* one segment each, the last is full */
    }
    uint64_t segments = log_info(&user).segment_count;
    log_reopen(&user);
    cr_assert_eq(log_info(&user).segment_count, segments); /* in place */
    log_expect(&user, 6);
    cut_and_expect(io, 6);
    log_close(&user);
    sim_free(io);
}

static bool opens(void *arg, struct sim_image *image, const struct sim_choice *choice)
{
    struct log_user user;
    unsigned *count = arg;
    (void)choice;
    struct txio *again = sim_boot(image, NULL);
    log_open(&user, again, root_of(again));
    log_expect(&user, 1);
    log_close(&user);
    sim_free(again);
    ++*count;
    return true;
}

/* Two recoveries in one run of the system are broken off, each when it had written one slot of
 * control and not synced it. What the first of them wrote was whole in the page cache only. */
Test(txlog_lost_sync, recoveries_that_are_broken_off_leave_one_slot_of_control)
{
    struct log_user user;
    struct txio *io = machine_with_log(0);
    unsigned count = 0;
    log_open(&user, io, root_of(io));
    log_put_forced(&user, 1, 100);
    log_close(&user);
    for (unsigned i = 0; i < 2; i++) {
        struct fault_layer fault;
        fault_init(&fault, io, true);
        fault_add(&fault, &(struct fault_rule){.ops = LAYER_BIT(pwritev), .part = "control",
                                               .nth = 1, .times = 1, .os_errno = EIO,
                                               .kind = FAULT_ERRNO_AFTER});
        fails(TX_EIO, log_try_open(&user, &fault.layer.io, root_of(io)));
        fault_release(&fault);
    }
    struct sim_capture *capture = sim_capture(io);
    struct sim_plan plan = {.tears = 64, .seed = 1};
    (void)sim_crash_each(capture, &plan, opens, &count);
    cr_assert_gt(count, 8);
    sim_capture_free(capture);
    sim_free(io);
}

static void break_off(struct txio *io, const struct fault_rule *what)
{
    struct fault_layer fault;
    struct log_user user;
    fault_init(&fault, io, true);
    const struct fault_rule *rule = fault_add(&fault, what);
    fails(TX_EIO, log_try_open(&user, &fault.layer.io, root_of(io)));
    cr_assert_eq(rule->fired, 1);
    fault_release(&fault);
}

/* Copied into a spare, with the record of its epoch behind it; then the power takes the tail that
 * was copied. The next recovery gets the same spare, and what it does not overwrite has LSNs that
 * are about to be reached. */
Test(txlog_lost_sync, what_a_broken_off_recovery_copied_is_never_of_the_log)
{
    struct log_user user;
    struct txio *io = machine_with_log(0);
    log_open(&user, io, root_of(io));
    log_put_forced(&user, 1, 100);
    log_put(&user, 2, 100); /* never forced */
    log_close(&user);
    break_off(io, &(struct fault_rule){.ops = LAYER_BIT(datasync), .part = "spare-", .nth = 2,
                                       .times = 1, .os_errno = EIO, .kind = FAULT_ERRNO_AFTER});
    struct sim_image *image = sim_durable_image(io);
    struct txio *again = sim_boot(image, NULL);
    log_open(&user, again, root_of(again));
    log_expect(&user, 1);
    ok(txlog_trim(user.log, log_info(&user).append_lsn, &test_err));
    log_close_clean(&user);
    log_open(&user, again, root_of(again));
    log_close(&user);
    sim_image_drop(image);
    sim_free(again);
    sim_free(io);
}

/* A recovery is broken off between the name of its segment and the sync of that name; the next one
 * finds the name, says in control what the segment proves, and is broken off, too. */
Test(txlog_lost_sync, control_vouches_for_no_segment_whose_name_may_go)
{
    struct log_user user;
    struct txio *io = machine_with_log(0);
    log_open(&user, io, root_of(io));
    log_put_forced(&user, 1, 100);
    log_close(&user);
    break_off(io, &(struct fault_rule){.ops = LAYER_BIT(rename), .part = "log/", .nth = 1,
                                       .times = 1, .os_errno = EIO, .kind = FAULT_ERRNO_AFTER});
    break_off(io, &(struct fault_rule){.ops = LAYER_BIT(pwritev), .part = "log/", .nth = 1,
                                       .times = 1, .os_errno = EIO, .kind = FAULT_ERRNO});
    cut_and_expect(io, 1);
    sim_free(io);
}
