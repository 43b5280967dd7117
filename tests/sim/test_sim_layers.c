/* SPDX-License-Identifier: MIT */
/* Counting, failing and watching the order of operations. */
#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

#include "sim/count.h"
#include "sim/fault.h"
#include "sim/order.h"

static int create(struct txio *io, const char *path)
{
    int fd = io->ops->open(io, TXIO_CWD, path, TXIO_WRITE | TXIO_CREATE | TXIO_EXCLUSIVE, 0644);
    cr_assert_geq(fd, 0, "%s", path);
    return fd;
}

static int64_t write_text(struct txio *io, int fd, const char *text)
{
    struct iovec part = {(void *)(uintptr_t)text, strlen(text)};
    return io->ops->pwritev(io, fd, &part, 1, 0);
}

/* --- Counting --------------------------------------------------------------------------------- */

Test(sim_count, counts_calls_failures_and_bytes)
{
    struct txio *machine = sim_new(NULL);
    struct count_layer count;
    count_init(&count, machine);
    struct txio *io = &count.layer.io;
    int fd = create(io, "/a");
    cr_assert_eq(write_text(io, fd, "hello"), 5);
    cr_assert_eq(io->ops->datasync(io, fd), 0);
    cr_assert_eq(io->ops->sync(io, fd), 0);
    cr_assert_eq(io->ops->unlink(io, TXIO_CWD, "/nothing"), -ENOENT);
    cr_assert_eq(count.calls[LAYER_pwritev], 1);
    cr_assert_eq(count.written_bytes, 5);
    cr_assert_eq(count_syncs(&count), 2);
    cr_assert_eq(count.failures[LAYER_unlink], 1);
    cr_assert_eq(count_of(&count, LAYER_datasync, "/a"), 1);
    cr_assert_eq(count_of(&count, LAYER_datasync, "/b"), 0);
    count_reset(&count);
    cr_assert_eq(count_syncs(&count), 0);
    count_release(&count);
    sim_free(machine);
}

Test(sim_count, paths_of_descriptors_follow_renames)
{
    struct txio *machine = sim_new(NULL);
    struct count_layer count;
    count_init(&count, machine);
    struct txio *io = &count.layer.io;
    int a = create(io, "/a");
    int b = create(io, "/b");
    cr_assert_eq(io->ops->rename(io, TXIO_CWD, "/a", TXIO_CWD, "/b", TXIO_EXCHANGE), 0);
    cr_assert_str_eq(layer_path(&count.layer, a), "/b");
    cr_assert_str_eq(layer_path(&count.layer, b), "/a");
    cr_assert_eq(io->ops->rename(io, TXIO_CWD, "/b", TXIO_CWD, "/c", TXIO_REPLACE), 0);
    cr_assert_str_eq(layer_path(&count.layer, a), "/c");
    cr_assert_eq(io->ops->close(io, a), 0);
    cr_assert_str_eq(layer_path(&count.layer, a), "");
    count_release(&count);
    sim_free(machine);
}

/* --- Faults ----------------------------------------------------------------------------------- */

static struct fault_rule *one_rule(struct fault_layer *fault, struct txio *machine, uint64_t ops,
                                   enum fault_kind kind, uint64_t nth, uint64_t times)
{
    struct fault_rule rule = {
        .ops = ops, .nth = nth, .times = times, .kind = kind, .os_errno = ENOSPC};
    fault_init(fault, machine, true);
    return fault_add(fault, &rule);
}

Test(sim_fault, fails_the_nth_call_once)
{
    struct txio *machine = sim_new(NULL);
    struct fault_layer fault;
    struct fault_rule *rule =
        one_rule(&fault, machine, LAYER_BIT(pwritev), FAULT_ERRNO, 2, 1);
    struct txio *io = &fault.layer.io;
    int fd = create(io, "/a");
    cr_assert_eq(write_text(io, fd, "1"), 1);
    cr_assert_eq(write_text(io, fd, "2"), -ENOSPC);
    cr_assert_eq(write_text(io, fd, "3"), 1);
    cr_assert_eq(rule->fired, 1);
    cr_assert_eq(rule->seen, 3);
    fault_release(&fault);
    sim_free(machine);
}

Test(sim_fault, fails_for_a_window_and_for_ever)
{
    struct txio *machine = sim_new(NULL);
    struct fault_layer fault;
    struct fault_rule *rule =
        one_rule(&fault, machine, LAYER_BIT(mkdir), FAULT_ERRNO, 1, 2);
    struct txio *io = &fault.layer.io;
    cr_assert_eq(io->ops->mkdir(io, TXIO_CWD, "/a", 0700), -ENOSPC);
    cr_assert_eq(io->ops->mkdir(io, TXIO_CWD, "/a", 0700), -ENOSPC);
    cr_assert_eq(io->ops->mkdir(io, TXIO_CWD, "/a", 0700), 0);
    rule->times = 0;
    for (int i = 0; i < 5; i++) {
        cr_assert_eq(io->ops->mkdir(io, TXIO_CWD, "/b", 0700), -ENOSPC);
    }
    fault_clear(&fault);
    cr_assert_eq(io->ops->mkdir(io, TXIO_CWD, "/b", 0700), 0);
    fault_release(&fault);
    sim_free(machine);
}

Test(sim_fault, failure_after_the_fact_leaves_the_effect)
{
    struct txio *machine = sim_new(NULL);
    struct fault_layer fault;
    (void)one_rule(&fault, machine, LAYER_BIT(mkdir), FAULT_ERRNO_AFTER, 1, 1);
    struct txio *io = &fault.layer.io;
    cr_assert_eq(io->ops->mkdir(io, TXIO_CWD, "/a", 0700), -ENOSPC);
    cr_assert_eq(io->ops->mkdir(io, TXIO_CWD, "/a", 0700), -EEXIST);
    fault_release(&fault);
    sim_free(machine);
}

Test(sim_fault, reads_and_writes_may_be_short)
{
    struct txio *machine = sim_new(NULL);
    struct fault_layer fault;
    (void)one_rule(&fault, machine, LAYER_BIT(pwritev) | LAYER_BIT(pread), FAULT_SHORT, 1, 2);
    struct txio *io = &fault.layer.io;
    char data[9] = "";
    int fd = create(io, "/a");
    cr_assert_eq(write_text(io, fd, "12345678"), 4);
    cr_assert_eq(io->ops->pread(io, fd, data, 4, 0), 2);
    cr_assert_eq(io->ops->pread(io, fd, data, 8, 0), 4);
    fault_release(&fault);
    sim_free(machine);
}

Test(sim_fault, read_flips_one_bit)
{
    struct txio *machine = sim_new(NULL);
    struct fault_layer fault;
    (void)one_rule(&fault, machine, LAYER_BIT(pread), FAULT_FLIP, 1, 1);
    struct txio *io = &fault.layer.io;
    char data[9] = "";
    int fd = create(io, "/a");
    cr_assert_eq(write_text(io, fd, "12345678"), 8);
    cr_assert_eq(io->ops->pread(io, fd, data, 8, 0), 8);
    int bits = 0;
    for (int i = 0; i < 8; i++) {
        bits += __builtin_popcount((uint8_t)(data[i] ^ "12345678"[i]));
    }
    cr_assert_eq(bits, 1);
    fault_release(&fault);
    sim_free(machine);
}

Test(sim_fault, late_error_comes_with_the_next_sync)
{
    struct txio *machine = sim_new(NULL);
    struct fault_layer fault;
    (void)one_rule(&fault, machine, LAYER_BIT(sync), FAULT_SYNC_LATE, 1, 1);
    struct txio *io = &fault.layer.io;
    int fd = create(io, "/a");
    cr_assert_eq(write_text(io, fd, "x"), 1);
    cr_assert_eq(io->ops->sync(io, fd), 0);
    cr_assert_eq(io->ops->sync(io, fd), -EIO);
    cr_assert_eq(io->ops->sync(io, fd), 0);
    fault_release(&fault);
    sim_free(machine);
}

/* --- Order ------------------------------------------------------------------------------------ */

struct watched {
    struct txio *machine;
    struct order_layer order;
    struct txio *io;
};

static void watch(struct watched *watched)
{
    static const char *const dirs[] = {"/r",           "/r/.txkit",    "/r/.txkit/log",
                                       "/r/.txkit/reg", "/r/.txkit/tx", "/r/.txkit/undo"};
    watched->machine = sim_new(NULL);
    order_init(&watched->order, watched->machine, "/r", ORDER_ALL);
    watched->io = &watched->order.layer.io;
    for (unsigned i = 0; i < sizeof dirs / sizeof *dirs; i++) {
        cr_assert_eq(watched->io->ops->mkdir(watched->io, TXIO_CWD, dirs[i], 0755), 0);
    }
}

static void sync_path(struct txio *io, const char *path)
{
    int fd = io->ops->open(io, TXIO_CWD, path, TXIO_READ, 0);
    cr_assert_eq(io->ops->sync(io, fd), 0);
    cr_assert_eq(io->ops->close(io, fd), 0);
}

static void end_watch(struct watched *watched, uint64_t violations, const char *words)
{
    cr_expect_eq(watched->order.order.violations, violations, "%s", watched->order.order.first);
    cr_expect(words == NULL || strstr(watched->order.order.first, words) != NULL, "%s",
              watched->order.order.first);
    order_release(&watched->order);
    sim_free(watched->machine);
}

static int segment(struct txio *io)
{
    int fd = create(io, "/r/.txkit/log/0000000000000001.seg");
    cr_assert_eq(io->ops->sync(io, fd), 0);
    sync_path(io, "/r/.txkit/log");
    cr_assert_eq(write_text(io, fd, "frame"), 5);
    return fd;
}

Test(sim_order, commit_by_the_book_passes)
{
    struct watched w;
    watch(&w);
    int log = segment(w.io);
    cr_assert_eq(w.io->ops->datasync(w.io, log), 0);
    order_acknowledge(&w.order.order);
    (void)create(w.io, "/r/.txkit/undo/0");
    cr_assert_eq(w.io->ops->rename(w.io, TXIO_CWD, "/r/.txkit/undo/0", TXIO_CWD, "/r/file", 0), 0);
    cr_assert_gt(w.order.order.checks, 2);
    end_watch(&w, 0, NULL);
}

Test(sim_order, tree_changed_before_the_force_is_seen)
{
    struct watched w;
    watch(&w);
    (void)segment(w.io);
    (void)create(w.io, "/r/.txkit/undo/0");
    cr_assert_eq(w.io->ops->rename(w.io, TXIO_CWD, "/r/.txkit/undo/0", TXIO_CWD, "/r/file", 0), 0);
    end_watch(&w, 1, "effect before its force");
}

Test(sim_order, image_written_before_the_force_is_seen)
{
    struct watched w;
    watch(&w);
    int image = create(w.io, "/r/.txkit/reg/image");
    (void)segment(w.io);
    cr_assert_eq(write_text(w.io, image, "page"), 4);
    end_watch(&w, 1, "effect before its force");
}

Test(sim_order, acknowledgement_before_the_force_is_seen)
{
    struct watched w;
    watch(&w);
    (void)segment(w.io);
    order_acknowledge(&w.order.order);
    end_watch(&w, 1, "acknowledged before");
}

Test(sim_order, segment_without_a_durable_name_is_seen)
{
    struct watched w;
    watch(&w);
    int fd = create(w.io, "/r/.txkit/log/0000000000000001.seg");
    cr_assert_eq(write_text(w.io, fd, "frame"), 5);
    cr_assert_eq(w.io->ops->datasync(w.io, fd), 0);
    end_watch(&w, 1, "before its name");
}

Test(sim_order, trim_before_the_control_file_is_seen)
{
    struct watched w;
    watch(&w);
    int log = segment(w.io);
    int control = create(w.io, "/r/.txkit/control");
    cr_assert_eq(w.io->ops->datasync(w.io, log), 0);
    cr_assert_eq(write_text(w.io, control, "slot"), 4);
    cr_assert_eq(
        w.io->ops->unlink(w.io, TXIO_CWD, "/r/.txkit/log/0000000000000001.seg"), 0);
    end_watch(&w, 1, "segment gone");
}

Test(sim_order, unsynced_staged_payload_is_seen)
{
    struct watched w;
    watch(&w);
    int fd = create(w.io, "/r/.txkit/tx/p0");
    cr_assert_eq(write_text(w.io, fd, "big"), 3);
    cr_assert_eq(w.io->ops->rename(w.io, TXIO_CWD, "/r/.txkit/tx/p0", TXIO_CWD, "/r/big", 0), 0);
    end_watch(&w, 1, "staged payload");
}

Test(sim_order, unsynced_store_file_is_seen_when_renamed)
{
    struct watched w;
    watch(&w);
    int fd = create(w.io, "/r/.txkit/settings.new");
    cr_assert_eq(write_text(w.io, fd, "s"), 1);
    cr_assert_eq(w.io->ops->rename(w.io, TXIO_CWD, "/r/.txkit/settings.new", TXIO_CWD,
                                   "/r/.txkit/settings", 0),
                 0);
    end_watch(&w, 1, "renamed before its sync");
}
