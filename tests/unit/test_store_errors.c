/* SPDX-License-Identifier: MIT */
/*
 * Each call to the system fails once, and each allocation, in each thing that is done with a whole
 * store. What is answered is true, nothing stays open, no memory stays in use, and afterwards the
 * store is found without a fault, as it was before or as it was to become.
 */
#include <errno.h>

#include "base/buf.h"
#include "each_failure.h"
#include "sim/sim.h"
#include "store_fixture.h"

#define ROOT "/r"

/* On the disk: number 2 after number 1, both committed. */
enum disk { EMPTY, CLOSED, CRASHED, DISKS };

struct work {
    struct txio *io;      /* fails */
    struct txio *other;   /* another process of the machine, which does not */
    struct txstore *store;
    tx_lsn lsn; /* of the newest commit */
};

struct step {
    const char *name;
    enum disk disk;
    void (*begin)(struct work *work); /* without failures; may be NULL */
    enum tx_status (*run)(struct work *work);
    uint32_t before, after; /* the number that is found */
};

static const struct txstore_settings small = {.log_segment_size = TXLOG_SEGMENT_SIZE_MIN,
                                              .history_count_max = -1,
                                              .conflict_entries = 64};
static struct tx_error *const err = &fixture_err;

static enum tx_status try_open(struct txio *io, enum txstore_mode mode, struct txstore **store)
{
    struct txstore_options options = {.io = io, .mode = mode};
    return txstore_open(ROOT, &options, store, err);
}

static tx_lsn put(struct txstore *store, uint32_t number)
{
    struct ktm_txn *txn = NULL;
    tx_lsn lsn = 0;
    must(txstore_begin(store, NULL, &txn, err));
    must(txfs_put(txn, "file", &number, sizeof number, NULL, err));
    must(txreg_create(txn, "Key", NULL, NULL, err));
    must(txreg_set_u32(txn, "Key", "number", number, err));
    must(ktm_commit(txn, &lsn, err));
    return lsn;
}

static enum tx_status number_read(struct ktm_txn *txn, uint32_t *number)
{
    TX_AUTO(tx_buf) data = TX_BUF_INIT;
    struct txfs_file *file = NULL;
    uint32_t content = 0, type;
    size_t done = 0;
    TX_TRY(txfs_open(txn, "file", TXFS_READ, 0, &file, err));
    enum tx_status status = txfs_pread(file, &content, sizeof content, 0, &done, err);
    txfs_abandon(file);
    TX_TRY(status);
    TX_TRY(txreg_get(txn, "Key", "number", &type, &data, err));
    cr_assert_eq(data.size, sizeof content);
    cr_assert_eq(memcmp(data.data, &content, sizeof content), 0, "files and registry differ");
    *number = content;
    return TX_OK;
}

/* The number in both, files and registry. */
static enum tx_status try_number(struct txstore *store, uint32_t *number)
{
    struct ktm_txn *txn = NULL;
    TX_TRY(txstore_begin(store, NULL, &txn, err));
    enum tx_status status = number_read(txn, number);
    ktm_rollback(txn);
    return status;
}

/* --- What can fail --- */

static enum tx_status init_run(struct work *work)
{
    return txstore_init(work->io, ROOT, NULL, &small, err);
}

static enum tx_status open_and_leave(struct work *work, enum txstore_mode mode)
{
    uint32_t number = 0;
    TX_TRY(try_open(work->io, mode, &work->store));
    TX_TRY(try_number(work->store, &number));
    cr_expect_eq(number, 2);
    struct txstore *store = TX_TAKE(work->store);
    return txstore_close(store, err);
}

static enum tx_status open_run(struct work *work)
{
    return open_and_leave(work, TXSTORE_READWRITE);
}

static enum tx_status read_run(struct work *work)
{
    return open_and_leave(work, TXSTORE_READONLY);
}

static enum tx_status salvage_run(struct work *work)
{
    return try_open(work->io, TXSTORE_SALVAGE, &work->store);
}

static enum tx_status timed_run(struct work *work)
{
    struct txstore_options options = {.io = work->io, .lock_timeout_ms = 1000};
    return txstore_open(ROOT, &options, &work->store, err);
}

static void open_begin(struct work *work)
{
    must(try_open(work->io, TXSTORE_READWRITE, &work->store));
}

static enum tx_status join_run(struct work *work)
{
    struct txstore *second = NULL;
    uint32_t number = 0;
    TX_TRY(try_open(work->io, TXSTORE_READWRITE, &second));
    enum tx_status status = try_number(second, &number);
    cr_expect(status != TX_OK || number == 2);
    enum tx_status closed = txstore_close(second, err);
    return status == TX_OK ? closed : status;
}

static void changed_begin(struct work *work)
{
    open_begin(work);
    work->lsn = put(work->store, 3);
}

static enum tx_status close_run(struct work *work)
{
    struct txstore *store = TX_TAKE(work->store);
    return txstore_close(store, err);
}

static enum tx_status revert_run(struct work *work)
{
    return txstore_revert(work->store, work->lsn, NULL, err);
}

static enum tx_status settings_run(struct work *work)
{
    struct txstore_settings settings;
    txstore_get_settings(work->store, &settings);
    settings.history_count_max = 3;
    return txstore_set_settings(work->store, &settings, err);
}

static enum tx_status check_run(struct work *work)
{
    uint64_t faults = 0;
    TX_TRY(txstore_check(work->io, ROOT, NULL, NULL, NULL, &faults, err));
    /* A file that could not be read is a fault of the store to who only looks. */
    return faults == 0 ? TX_OK : tx_error_set(err, TX_ECORRUPT, "%lu faults", (long)faults);
}

static const struct step steps[] = {
    {"init", EMPTY, NULL, init_run, 0, 0},
    {"open", CLOSED, NULL, open_run, 2, 2},
    {"open crashed", CRASHED, NULL, open_run, 2, 2},
    {"open in time", CLOSED, NULL, timed_run, 2, 2},
    {"read", CLOSED, NULL, read_run, 2, 2},
    {"read crashed", CRASHED, NULL, read_run, 2, 2},
    {"salvage", CRASHED, NULL, salvage_run, 2, 2},
    {"join", CRASHED, open_begin, join_run, 2, 2},
    {"close", CLOSED, changed_begin, close_run, 3, 3},
    {"revert", CLOSED, changed_begin, revert_run, 3, 2},
    {"settings", CLOSED, open_begin, settings_run, 2, 2},
    {"check", CRASHED, NULL, check_run, 2, 2},
};

/* --- One run --- */

static struct sim_image *disks[DISKS];

static void detach_one(struct txstore *store)
{
    struct ktm_txn *txn = NULL;
    must(txstore_begin(store, NULL, &txn, err));
    must(txfs_put(txn, "staged", "content", 7, NULL, err));
    must(ktm_detach(txn, err));
}

static void make_disks(void)
{
    struct sim_options options = SIM_OPTIONS_DEFAULT;
    struct txio *io = sim_new(&options);
    struct txstore *store = NULL;
    must(txio_mkdir(io, TXIO_CWD, ROOT, 0755, err));
    int dir = io->ops->open(io, TXIO_CWD, ROOT, TXIO_READ | TXIO_DIRECTORY, 0);
    cr_assert_geq(dir, 0);
    cr_assert_eq(io->ops->syncfs(io, dir), 0);
    disks[EMPTY] = sim_durable_image(io);
    must(txstore_init(io, ROOT, NULL, &small, err));
    must(try_open(io, TXSTORE_READWRITE, &store));
    (void)put(store, 1);
    (void)put(store, 2);
    detach_one(store);
    disks[CRASHED] = sim_durable_image(io);
    must(txstore_close(store, err));
    disks[CLOSED] = sim_durable_image(io);
    (void)io->ops->close(io, dir);
    sim_free(io);
}

static void drop_disks(void)
{
    for (size_t i = 0; i < DISKS; i++) {
        sim_image_drop(disks[i]);
    }
}

TestSuite(store_errors, .init = make_disks, .fini = drop_disks, .timeout = 600);

/* What must not fail: nobody asks for the result, or a descriptor would be lost by the test. */
static uint64_t ops_of(enum fault_kind kind)
{
    uint64_t never = LAYER_BIT(process_id) | LAYER_BIT(close) | LAYER_BIT(wake) |
                     LAYER_BIT(unmap) | LAYER_BIT(monotonic_ns) | LAYER_BIT(realtime_ns) |
                     (kind == FAULT_ERRNO_AFTER ? LAYER_BIT(open) | LAYER_BIT(map) : 0);
    return FAULT_ALL_OPS & ~never;
}

/* Without failures: nothing is damaged, and the number is this or that. */
static uint32_t look(struct txio *io, const char *name, size_t nth)
{
    struct txstore *store = NULL;
    uint64_t faults = 0;
    must(txstore_check(io, ROOT, NULL, NULL, NULL, &faults, err));
    cr_assert_eq(faults, 0, "%s %zu", name, nth);
    must(try_open(io, TXSTORE_READWRITE, &store));
    uint32_t number = 0;
    must(try_number(store, &number));
    must(txstore_close(store, err));
    must(txstore_check(io, ROOT, NULL, NULL, NULL, &faults, err));
    cr_assert_eq(faults, 0, "%s %zu", name, nth);
    return number;
}

/* Whatever an init left, the next one makes a store or finds one. */
static void init_again(struct txio *io, enum tx_status status)
{
    enum tx_status again = txstore_init(io, ROOT, NULL, &small, err);
    cr_assert(again == TX_OK || again == TX_EEXIST, "%s", err->text);
    cr_assert(status != TX_OK || again == TX_EEXIST, "said to be there");
    struct txstore *store = NULL;
    must(try_open(io, TXSTORE_READWRITE, &store));
    (void)put(store, 2);
    must(txstore_close(store, err));
}

static enum tx_status run_step(const struct step *step, struct failure *failure)
{
    struct sim_options options = SIM_OPTIONS_DEFAULT;
    struct fault_layer fault;
    struct txio *io = sim_boot(disks[step->disk], &options);
    struct work work = {.other = sim_process_new(io)};
    fault_init(&fault, io, true);
    work.io = &fault.layer.io;
    failing_alloc_begin(SIZE_MAX);
    if (step->begin) {
        step->begin(&work);
    }
    failure_begin(failure, &fault);
    enum tx_status status = step->run(&work);
    failure_end(failure, &fault);
    if (work.store) {
        TX_IGNORE(txstore_close(work.store, NULL)); /* poisoned perhaps */
    }
    cr_assert_eq(failing_alloc.in_use, 0, "%s %zu: memory", step->name, failure->nth);
    (void)failing_alloc_end();
    cr_assert_eq(sim_open_count(io), 0, "%s %zu: descriptors", step->name, failure->nth);
    fault_release(&fault);
    if (step->disk == EMPTY) {
        init_again(work.other, status);
    } else {
        uint32_t number = look(work.other, step->name, failure->nth);
        bool done = status == TX_OK || status == TX_EPENDING;
        cr_assert((number == step->after && (done || status == TX_EOUTCOME)) ||
                      (number == step->before && !done),
                  "%s %zu: %s (%s), then %u", step->name, failure->nth, tx_status_name(status),
                  err->text, number);
    }
    sim_free(io);
    return status;
}

static void fail_all(int os_errno, enum fault_kind kind)
{
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        struct failure failure = {.os_errno = os_errno, .kind = kind, .ops = ops_of(kind)};
        do {
            enum tx_status status = run_step(&steps[i], &failure);
            cr_assert(failure.fired || status == TX_OK, "%s: %s", steps[i].name, err->text);
            failure.nth++;
        } while (failure.fired || failure.nth == 1);
        cr_expect(os_errno == 0 || failure.nth > 5, "%s has more calls", steps[i].name);
    }
}

Test(store_errors, an_io_error_at_any_call_is_told_truly)
{
    fail_all(EIO, FAULT_ERRNO);
}

Test(store_errors, an_io_error_after_any_call_is_told_truly)
{
    fail_all(EIO, FAULT_ERRNO_AFTER);
}

Test(store_errors, no_memory_at_any_allocation_is_told_truly)
{
    fail_all(0, FAULT_ERRNO);
}
