/* SPDX-License-Identifier: MIT */
/* Carrying a workload out, and what workloads call. */
#include <inttypes.h>

#include "sim/crash_internal.h"

#define BYTES_MAX 200000u

const char *crash_profile_name(enum sim_profile profile)
{
    static const char *const names[] = {"weakest", "ext4", "xfs", "btrfs"};
    return names[profile];
}

void crash_failed(struct crash_run *run, enum tx_status status, const char *call,
                  const char *file, int line)
{
    if (run->escape != NULL) {
        run->failed = status;
        longjmp(*run->escape, 1);
    }
    (void)fprintf(stderr, "%s:%d: workload %s, seed %" PRIu64 ": %s: %s: %s\n", file, line,
                  run->workload->name, run->seed, call, tx_status_name(status), run->err.text);
    exit(1);
}

/* --- Points and states ------------------------------------------------------------------------ */

static void take_point(void *arg, struct txio *io, uint64_t index, const char *op)
{
    struct crash_run *run = arg;
    if (!run->recording || run->spared) {
        return;
    }
    if (run->point_count == run->point_room) {
        run->point_room = run->point_room * 2 + 256;
        run->points = sim_need(realloc(run->points, run->point_room * sizeof *run->points));
    }
    run->points[run->point_count++] = (struct crash_point){
        sim_capture(io), index, op, run->state_count - 1, run->in_flight};
}

static void record_state(struct crash_run *run)
{
    if (run->state_count == CRASH_STATES_MAX) {
        (void)fprintf(stderr, "workload %s has too many states\n", run->workload->name);
        exit(1);
    }
    sim_freeze(run->machine);
    if (run->suspend != NULL) {
        run->suspend(run->arg, true);
    }
    MUST(run, crash_state_take(run->io, CRASH_ROOT, run->store, &run->states[run->state_count],
                               &run->err));
    if (run->suspend != NULL) {
        run->suspend(run->arg, false);
    }
    sim_thaw(run->machine);
    run->state_count++;
}

void crash_doing(struct crash_run *run) { run->in_flight = true; }

void crash_done(struct crash_run *run)
{
    order_acknowledge(&run->order.order);
    record_state(run);
    run->in_flight = false;
    if (run->on_done != NULL) {
        run->on_done(run->arg);
    }
}

/* --- What workloads call ---------------------------------------------------------------------- */

struct ktm_txn *crash_begin(struct crash_run *run)
{
    struct ktm_txn *txn = NULL;
    MUST(run, txstore_begin(run->store, NULL, &txn, &run->err));
    return txn;
}

void crash_commit(struct crash_run *run, struct ktm_txn *txn)
{
    crash_doing(run);
    run->txn = txn;
    MUST(run, ktm_commit(txn, NULL, &run->err));
    run->txn = NULL;
    crash_done(run);
}

struct ktm_id crash_prepare(struct crash_run *run, struct ktm_txn *txn)
{
    struct ktm_id id = ktm_txn_id(txn);
    crash_doing(run);
    MUST(run, ktm_prepare(txn, &run->err));
    crash_done(run);
    return id;
}

void crash_commit_prepared(struct crash_run *run, const struct ktm_id *id)
{
    crash_doing(run);
    MUST(run, ktm_commit_prepared(txstore_ktm(run->store), id, NULL, &run->err));
    crash_done(run);
}

void crash_rollback_prepared(struct crash_run *run, const struct ktm_id *id)
{
    crash_doing(run);
    MUST(run, ktm_rollback_prepared(txstore_ktm(run->store), id, &run->err));
    crash_done(run);
}

struct ktm_id crash_detach(struct crash_run *run, struct ktm_txn *txn)
{
    struct ktm_id id = ktm_txn_id(txn);
    crash_doing(run);
    MUST(run, ktm_detach(txn, &run->err));
    crash_done(run);
    return id;
}

static void open_as(struct crash_run *run, struct txstore_options options, struct txstore **store)
{
    options.io = run->io;
    MUST(run, txstore_open(CRASH_ROOT, &options, store, &run->err));
    if (options.mode == TXSTORE_READWRITE && run->on_open != NULL) {
        run->on_open(run->arg);
    }
}

static void close_it(struct crash_run *run, struct txstore **store)
{
    struct txstore *closing = *store;
    *store = NULL; /* gone, whatever closing answers */
    MUST(run, txstore_close(closing, &run->err));
}

void crash_open(struct crash_run *run)
{
    open_as(run, (struct txstore_options){.mode = TXSTORE_READWRITE}, &run->store);
}

void crash_open_unclean(struct crash_run *run)
{
    open_as(run, (struct txstore_options){.no_checkpoint_on_close = true}, &run->store);
}

void crash_close(struct crash_run *run)
{
    close_it(run, &run->store);
}

void crash_open_reader(struct crash_run *run)
{
    open_as(run, (struct txstore_options){.mode = TXSTORE_READONLY}, &run->reader);
}

void crash_close_reader(struct crash_run *run)
{
    close_it(run, &run->reader);
}

enum tx_status crash_close_file(struct crash_run *run)
{
    struct txfs_file *file = run->file;
    run->file = NULL; /* gone, whatever closing answers */
    return txfs_close(file, &run->err);
}

const void *crash_bytes(struct crash_run *run, size_t size)
{
    static uint8_t bytes[BYTES_MAX];
    if (size > sizeof bytes) {
        abort();
    }
    for (size_t i = 0; i < size; i++) {
        bytes[i] = (uint8_t)('a' + sim_random(&run->random) % 26);
    }
    return bytes;
}

/* --- Recording -------------------------------------------------------------------------------- */

static void use_machine(struct crash_run *run, struct txio *machine)
{
    run->machine = machine;
    sim_on_op(run->machine, take_point, run);
    fault_init(&run->fault, run->machine, true);
    order_init(&run->order, &run->fault.layer.io, CRASH_ROOT, ORDER_ALL);
    run->io = &run->order.layer.io;
}

static void make_machine(struct crash_run *run, const struct sim_options *options)
{
    use_machine(run, sim_new(options));
    if (run->io->ops->mkdir(run->io, TXIO_CWD, CRASH_ROOT, 0755) < 0) {
        abort();
    }
}

static void sync_all(struct crash_run *run)
{
    int fd = run->io->ops->open(run->io, TXIO_CWD, "/", TXIO_DIRECTORY, 0);
    if (fd < 0 || run->io->ops->syncfs(run->io, fd) < 0) {
        abort();
    }
    (void)run->io->ops->close(run->io, fd);
}

/* The small settings that make segments switch and histories end within a few transactions. */
static void make_store(struct crash_run *run)
{
    struct txstore_settings settings = TXSTORE_SETTINGS_DEFAULT;
    settings.log_segment_size = run->seed % 2 == 0 ? 16384 : 32768;
    settings.inline_max = 4096;
    settings.history_count_max = (int64_t)(run->seed % 3);
    settings.conflict_entries = 256;
    MUST(run, txstore_init(run->io, CRASH_ROOT, NULL, &settings, &run->err));
    crash_open(run);
    if (run->workload->prepare != NULL) {
        run->workload->prepare(run);
    } else {
        crash_standard_tree(run);
    }
    if (run->store != NULL) {
        crash_close(run);
    }
    sync_all(run);
}

void crash_run_prepare(struct crash_run *run, const struct crash_workload *workload, uint64_t seed,
                       const struct sim_options *options)
{
    *run = (struct crash_run){.workload = workload, .seed = seed, .random = seed * 77 + 5};
    run->states = sim_need(calloc(CRASH_STATES_MAX, sizeof *run->states));
    make_machine(run, options);
    if (workload->makes_store) {
        sync_all(run);
        record_state(run);
        return;
    }
    make_store(run);
    sim_freeze(run->machine);
    crash_open(run);
    run->state_count = 0; /* those of the preparation do not count */
    record_state(run);
    crash_close(run);
    sync_all(run);
    sim_thaw(run->machine);
}

void crash_run_keep(struct crash_run *run)
{
    static const struct sim_choice all = {SIM_KEEP_PREFIX, UINT64_MAX, 0};
    struct sim_capture *cut = sim_capture(run->machine);
    run->begin = sim_crash_image(cut, &all);
    run->begin_random = run->random;
    sim_capture_free(cut);
}

void crash_run_again(struct crash_run *run, const struct crash_run *kept)
{
    *run = (struct crash_run){
        .workload = kept->workload,
        .seed = kept->seed,
        .random = kept->begin_random,
        .begin = sim_image_keep(kept->begin),
        .begin_random = kept->begin_random,
    };
    run->states = sim_need(calloc(CRASH_STATES_MAX, sizeof *run->states));
    crash_state_copy(&run->states[0], &kept->states[0]);
    run->state_count = 1;
    use_machine(run, sim_boot(run->begin, NULL));
}

void crash_run_work(struct crash_run *run)
{
    if (!run->workload->makes_store) {
        crash_open(run);
    }
    run->workload->run(run);
    if (run->store != NULL) {
        crash_close(run);
    }
}

bool crash_run_attempt(struct crash_run *run)
{
    jmp_buf escape;
    run->escape = &escape;
    if (setjmp(escape) != 0) {
        run->escape = NULL;
        return true;
    }
    crash_run_work(run);
    run->escape = NULL;
    return false;
}

void crash_run_leave(struct crash_run *run)
{
    struct txstore *left[] = {run->store, run->reader};
    if (run->file != NULL) {
        txfs_abandon(run->file);
    }
    for (unsigned i = 0; i < sizeof left / sizeof *left; i++) {
        enum tx_status status = left[i] != NULL ? txstore_close(left[i], NULL) : TX_OK;
        (void)status; /* it may fail, as long as nothing is lost */
    }
    run->file = NULL;
    run->store = NULL;
    run->reader = NULL;
}

void crash_run_record(struct crash_run *run, const struct crash_workload *workload, uint64_t seed,
                      enum sim_profile profile)
{
    struct sim_options options = SIM_OPTIONS_DEFAULT;
    options.seed = seed;
    options.profile = profile;
    crash_run_prepare(run, workload, seed, &options);
    run->recording = true;
    crash_run_work(run);
    take_point(run, run->machine, sim_op_count(run->machine), "end");
    run->recording = false;
}

void crash_run_release(struct crash_run *run)
{
    for (unsigned i = 0; i < run->point_count; i++) {
        sim_capture_free(run->points[i].cut);
    }
    for (unsigned i = 0; i < CRASH_STATES_MAX; i++) {
        crash_state_release(&run->states[i]);
    }
    free(run->points);
    free(run->states);
    order_release(&run->order);
    fault_release(&run->fault);
    sim_free(run->machine);
    sim_image_drop(run->begin);
    *run = (struct crash_run){.io = NULL};
}
