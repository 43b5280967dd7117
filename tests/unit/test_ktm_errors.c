/* SPDX-License-Identifier: MIT */
/*
 * Each call to the system fails once, and each allocation, in each thing that a manager can do.
 * What is answered is true: after the next boot the store is as it was before, or, when it was told
 * to be done or that nobody knows, as it is afterwards. Nothing stays open, no memory stays in use,
 * and no directory of nobody stays in tx/.
 */
#include <errno.h>

#include "each_failure.h"
#include "ktm_fixture.h"

#define STORE "store"
#define PRINT_SIZE 512
#define LATER_NS INT64_C(3600000000000) /* an hour */

struct step {
    const char *name;
    void (*begin)(struct handle *handle); /* without failures; may be NULL */
    enum tx_status (*run)(struct handle *handle);
    void (*undo)(struct handle *handle); /* what a failing run leaves when not all as it was */
    enum tx_status wanted;
    bool is_boot; /* the failures begin before the store is open */
    bool may_be_half; /* a failing run may have done it nevertheless: to be repeated */
};

/* What the store of each run has. */
static struct ktm_id prepared, detached, timed;
static struct ktm_txn *txn;

static struct txio *machine_new(struct sim_image *image)
{
    struct sim_options options = SIM_OPTIONS_DEFAULT;
    return image ? sim_boot(image, &options) : sim_new(&options);
}

static void stage_file(struct handle *handle, struct ktm_txn *of)
{
    struct txio *io = handle->io;
    struct iovec part = {(void *)(uintptr_t) "payload", 7};
    int dir, fd;
    ok(ktm_txn_staging(of, &dir, ERR));
    ok(txio_open(io, dir, "p1", TXIO_WRITE | TXIO_CREATE, 0600, &fd, ERR));
    ok(txio_write_full(io, fd, &part, 1, 0, ERR));
    (void)io->ops->close(io, fd);
}

static struct ktm_txn *begin_staged(struct handle *handle, uint32_t item, uint64_t value)
{
    struct ktm_txn *begun = txn_begin(handle, 0);
    toy_set(begun, 0, item, value);
    toy_set(begun, 1, item, value);
    stage_file(handle, begun);
    return begun;
}

/* A commit that is steady, one that is not, one that had been detached, one that is prepared, two
 * that are detached, of which one has timed out, and what a dead one staged. */
static struct sim_image *make_store(void)
{
    struct txio *io = machine_new(NULL);
    struct txlog_settings settings = {.segment_size = TXLOG_SEGMENT_SIZE_MIN};
    struct ktm_begin_options short_lived = {.timeout_ms = 1000};
    struct txlog_identity identity;
    struct handle handle, dying;
    cr_assert_eq(io->ops->mkdir(io, TXIO_CWD, STORE, 0700), 0);
    int dir = io->ops->open(io, TXIO_CWD, STORE, TXIO_READ | TXIO_DIRECTORY, 0);
    ok(txlog_create(io, dir, &settings, &identity, ERR));
    (void)io->ops->close(io, dir);
    struct world *world = world_at(STORE);
    ok(handle_try_boot(&handle, world, io));
    commit_pair(&handle, 0, 1);
    ok(ktm_checkpoint(handle.tm, ERR));
    commit_pair(&handle, 0, 2);
    txn = begin_staged(&handle, 1, 1);
    detached = ktm_txn_id(txn);
    ok(ktm_detach(txn, ERR));
    ok(ktm_attach(handle.tm, &detached, &txn, ERR));
    ok(ktm_commit(txn, NULL, ERR));
    txn = begin_staged(&handle, 2, 1);
    prepared = ktm_txn_id(txn);
    ok(ktm_prepare(txn, ERR));
    txn = begin_staged(&handle, 3, 1);
    detached = ktm_txn_id(txn);
    ok(ktm_savepoint(txn, "mark", ERR));
    toy_cache(txn, 0, 3, 2);
    ok(ktm_detach(txn, ERR));
    ok(ktm_begin(handle.tm, &short_lived, &txn, ERR));
    timed = ktm_txn_id(txn);
    stage_file(&handle, txn);
    ok(ktm_detach(txn, ERR));
    struct txio *other = sim_process_new(io);
    handle_join(&dying, world, other);
    (void)begin_staged(&dying, 4, 1);
    cr_assert_eq(io->ops->syncfs(io, handle.dir), 0);
    struct sim_image *image = sim_durable_image(io);
    handle_close(&dying);
    handle_close(&handle);
    world_forget(world);
    sim_free(io);
    return image;
}

/* --- What can fail --- */

static enum tx_status boot_run(struct handle *handle)
{
    return handle_try_boot(handle, handle->world, handle->io);
}

static void commit_begin(struct handle *handle)
{
    txn = txn_begin(handle, KTM_SERIALIZABLE);
}

static enum tx_status commit_run(struct handle *handle)
{
    int dir;
    enum tx_status status = toy_try_set(txn, 0, 1, 7);
    (void)handle;
    if (status == TX_OK) {
        status = ktm_savepoint(txn, "mark", ERR);
    }
    if (status == TX_OK) {
        status = ktm_txn_staging(txn, &dir, ERR);
    }
    if (status != TX_OK) {
        ktm_rollback(txn);
        return status;
    }
    toy_cache(txn, 0, 1, 8);
    return ktm_commit(txn, NULL, ERR);
}

static void staged_begin(struct handle *handle)
{
    txn = begin_staged(handle, 1, 7);
    toy_cache(txn, 1, 1, 8);
}

static enum tx_status prepare_run(struct handle *handle)
{
    (void)handle;
    return ktm_prepare(txn, ERR);
}

static void barrier_begin(struct handle *handle)
{
    txn = begin_staged(handle, 1, 7);
    toy_entry(txn, 0, TOY_SET_WITH_BARRIER, 1, 8);
}

static enum tx_status barrier_run(struct handle *handle)
{
    (void)handle;
    return ktm_commit(txn, NULL, ERR);
}

static enum tx_status savepoint_run(struct handle *handle)
{
    (void)handle;
    enum tx_status status = ktm_savepoint(txn, "mark", ERR);
    ktm_rollback(txn);
    return status;
}

static enum tx_status detach_run(struct handle *handle)
{
    (void)handle;
    enum tx_status status = ktm_detach(txn, ERR);
    if (status != TX_OK) {
        ktm_rollback(txn);
    }
    return status;
}

static enum tx_status attach_run(struct handle *handle)
{
    TX_TRY(ktm_attach(handle->tm, &detached, &txn, ERR));
    ktm_txn_free(txn); /* as a process that dies: it stays as it was saved */
    return TX_OK;
}

static void attached_begin(struct handle *handle)
{
    ok(ktm_attach(handle->tm, &detached, &txn, ERR));
}

static void attached_undo(struct handle *handle)
{
    attached_begin(handle);
    ktm_rollback(txn);
}

static enum tx_status attached_run(struct handle *handle)
{
    (void)handle;
    return ktm_commit(txn, NULL, ERR);
}

static enum tx_status discard_run(struct handle *handle)
{
    return ktm_discard(handle->tm, &detached, ERR);
}

static void timeout_begin(struct handle *handle)
{
    _Atomic uint32_t word = 0;
    (void)handle->io->ops->wait(handle->io, &word, 0, LATER_NS);
}

static enum tx_status timeout_run(struct handle *handle)
{
    return ktm_attach(handle->tm, &timed, &txn, ERR);
}

static enum tx_status decide_run(struct handle *handle)
{
    return ktm_commit_prepared(handle->tm, &prepared, NULL, ERR);
}

static enum tx_status undecide_run(struct handle *handle)
{
    return ktm_rollback_prepared(handle->tm, &prepared, ERR);
}

static enum tx_status list_one(void *arg, const struct ktm_txn_info *info, struct tx_error *err)
{
    unsigned *count = arg;
    (void)info;
    (void)err;
    ++*count;
    return TX_OK;
}

static enum tx_status list_run(struct handle *handle)
{
    unsigned count = 0;
    TX_TRY(ktm_list(handle->tm, list_one, &count, ERR));
    cr_assert_eq(count, 3);
    return TX_OK;
}

static enum tx_status query_run(struct handle *handle)
{
    struct ktm_txn_info info;
    TX_TRY(ktm_query(handle->tm, &prepared, &info, ERR));
    cr_assert_eq(info.state, KTM_IN_DOUBT);
    TX_TRY(ktm_query(handle->tm, &detached, &info, ERR));
    cr_assert_eq(info.state, KTM_ACTIVE);
    return TX_OK;
}

static enum tx_status load_run(struct handle *handle)
{
    TX_AUTO(tx_buf) storage = TX_BUF_INIT;
    struct ktm_commit_info info;
    TX_TRY(ktm_load_entries(handle->tm, &prepared, &info, &storage, ERR));
    cr_assert_eq(info.entry_count, 2);
    TX_TRY(ktm_load_entries(handle->tm, &detached, &info, &storage, ERR));
    cr_assert_eq(info.entry_count, 3);
    return TX_OK;
}

static void checkpoint_begin(struct handle *handle)
{
    commit_pair(handle, 1, 9);
}

static enum tx_status checkpoint_run(struct handle *handle)
{
    return ktm_checkpoint(handle->tm, ERR);
}

static enum tx_status join_run(struct handle *handle)
{
    struct ktm *again = NULL;
    struct ktm_options options = {.io = handle->io,
                                  .store_dir = handle->dir,
                                  .log = handle->log,
                                  .shared = handle->world->ktm_shared,
                                  .conflict_entries = handle->world->conflict_entries};
    enum tx_status status = ktm_open(&options, &again, ERR);
    ktm_close(again);
    return status;
}

static const struct step steps[] = {
    {.name = "boot", .run = boot_run, .is_boot = true},
    {.name = "commit", .begin = commit_begin, .run = commit_run},
    {.name = "prepare", .begin = staged_begin, .run = prepare_run},
    {.name = "barrier", .begin = barrier_begin, .run = barrier_run},
    {.name = "savepoint", .begin = staged_begin, .run = savepoint_run},
    {.name = "detach", .begin = staged_begin, .run = detach_run},
    {.name = "attach", .run = attach_run},
    {.name = "attached", .begin = attached_begin, .run = attached_run, .undo = attached_undo},
    {.name = "discard", .run = discard_run, .may_be_half = true},
    {.name = "timeout", .begin = timeout_begin, .run = timeout_run, .wanted = TX_ETIMEOUT,
     .may_be_half = true},
    {.name = "decide", .run = decide_run},
    {.name = "undecide", .run = undecide_run},
    {.name = "list", .run = list_run},
    {.name = "query", .run = query_run},
    {.name = "load", .run = load_run},
    {.name = "checkpoint", .begin = checkpoint_begin, .run = checkpoint_run,
     .undo = checkpoint_begin},
    {.name = "join", .run = join_run},
};

/* --- One run --- */

static enum tx_status print_listed(void *arg, const struct ktm_txn_info *info,
                                   struct tx_error *err)
{
    char *text = arg;
    size_t size = strlen(text);
    (void)err;
    (void)snprintf(text + size, PRINT_SIZE - size, " %s:%lu", ktm_state_name(info->state),
                   (unsigned long)info->id.sequence);
    return TX_OK;
}

static void expect_no_leftovers(struct handle *handle)
{
    TX_AUTO(tx_buf) ids = TX_BUF_INIT;
    struct ktm_txn_info info;
    ok(ktm_checkpoint(handle->tm, ERR));
    ok(ktm_staging_list(handle->tm, &ids, ERR));
    const struct ktm_id *list = (const struct ktm_id *)(void *)ids.data;
    for (size_t i = 0; i < ids.size / sizeof *list; i++) {
        ok(ktm_query(handle->tm, &list[i], &info, ERR));
    }
}

/* Boot without failures: what numbers there are, and who waits. */
static void print_store(struct txio *io, char text[PRINT_SIZE])
{
    struct world *world = world_at(STORE);
    struct handle handle;
    ok(handle_try_boot(&handle, world, io));
    text[0] = '\0';
    for (unsigned toy = 0; toy < TOYS; toy++) {
        for (uint32_t item = 0; item < 5; item++) {
            size_t size = strlen(text);
            (void)snprintf(text + size, PRINT_SIZE - size, " %lu",
                           (unsigned long)toy_live_value(world, toy, item));
        }
    }
    ok(ktm_list(handle.tm, print_listed, text, ERR));
    expect_no_leftovers(&handle);
    handle_close(&handle);
    world_forget(world);
}

/* What must not fail: nobody asks for the result, or a descriptor would be lost by the test. */
static uint64_t ops_of(enum fault_kind kind)
{
    uint64_t never = LAYER_BIT(process_id) | LAYER_BIT(close) | LAYER_BIT(wake) |
                     LAYER_BIT(monotonic_ns) | LAYER_BIT(realtime_ns) |
                     (kind == FAULT_ERRNO_AFTER ? LAYER_BIT(open) : 0);
    return FAULT_ALL_OPS & ~never;
}

/* Run the step on a copy of the store; what it answers, and what the next boot finds. */
static enum tx_status run_step(struct sim_image *image, const struct step *step,
                               struct failure *failure, char found[PRINT_SIZE])
{
    struct fault_layer fault;
    struct txio *io = machine_new(image);
    struct world *world = world_at(STORE);
    struct handle handle = {.world = world, .dir = -1};
    fault_init(&fault, io, true);
    handle.io = &fault.layer.io;
    failing_alloc_begin(SIZE_MAX);
    if (!step->is_boot) {
        ok(boot_run(&handle));
    }
    if (step->begin) {
        step->begin(&handle);
    }
    failure_begin(failure, &fault);
    enum tx_status status = step->run(&handle);
    failure_end(failure, &fault);
    handle_close(&handle);
    cr_assert_eq(failing_alloc.in_use, 0, "%s %zu: memory", step->name, failure->nth);
    (void)failing_alloc_end();
    cr_assert_eq(sim_open_count(io), 0, "%s %zu: descriptors", step->name, failure->nth);
    fault_release(&fault);
    print_store(io, found);
    world_forget(world);
    sim_free(io);
    return status;
}

static enum tx_status nothing_run(struct handle *handle)
{
    (void)handle;
    return TX_OK;
}

/* What may be found after a step. */
struct allowed {
    char untouched[PRINT_SIZE]; /* as if the step had never begun */
    char undone[PRINT_SIZE];    /* a step that failed */
    char done[PRINT_SIZE];
};

static void allow(struct sim_image *image, const struct step *step, struct allowed *allowed)
{
    const struct step untouched = {.name = "untouched", .run = nothing_run};
    const struct step undone = {.name = "undone", .begin = step->undo, .run = nothing_run};
    struct failure none = {.nth = 0};
    ok(run_step(image, &untouched, &none, allowed->untouched));
    ok(run_step(image, &undone, &none, allowed->undone));
    fails(step->wanted, run_step(image, step, &none, allowed->done));
}

static bool is_allowed(const struct step *step, const struct allowed *allowed,
                       enum tx_status status, const char *found)
{
    bool done = status == step->wanted || status == TX_EPENDING;
    bool unknown = status == TX_EOUTCOME;
    return ((done || unknown || step->may_be_half) && strcmp(found, allowed->done) == 0) ||
           (!done && strcmp(found, allowed->undone) == 0) ||
           (unknown && strcmp(found, allowed->untouched) == 0);
}

static void fail_step(struct sim_image *image, const struct step *step, int os_errno,
                      enum fault_kind kind)
{
    struct allowed allowed;
    char found[PRINT_SIZE];
    struct failure failure = {
        .os_errno = os_errno, .kind = kind, .ops = ops_of(kind), .fired = true};
    /* The first call of a boot opens the store's directory for the test. */
    bool skips_one = step->is_boot && os_errno != 0 && kind == FAULT_ERRNO;
    allow(image, step, &allowed);
    for (failure.nth = skips_one ? 2 : 1; failure.fired; failure.nth++) {
        enum tx_status status = run_step(image, step, &failure, found);
        cr_assert(is_allowed(step, &allowed, status, found),
                  "%s, call %zu, errno %d: %s (%s)\n found%s\n undone%s\n done%s", step->name,
                  failure.nth, os_errno, tx_status_name(status), test_err.text, found,
                  allowed.undone, allowed.done);
        cr_assert(failure.fired || status == step->wanted);
    }
}

static void fail_all(int os_errno, enum fault_kind kind)
{
    struct sim_image *image = make_store();
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        fail_step(image, &steps[i], os_errno, kind);
    }
    sim_image_drop(image);
}

Test(ktm_errors, an_io_error_at_any_call_is_told_truly, .timeout = 300)
{
    fail_all(EIO, FAULT_ERRNO);
}

Test(ktm_errors, an_io_error_after_any_call_is_told_truly, .timeout = 300)
{
    fail_all(EIO, FAULT_ERRNO_AFTER);
}

Test(ktm_errors, no_space_at_any_call_is_told_truly, .timeout = 300)
{
    fail_all(ENOSPC, FAULT_ERRNO);
}

Test(ktm_errors, no_memory_at_any_allocation_is_told_truly, .timeout = 300)
{
    fail_all(0, FAULT_ERRNO);
}
