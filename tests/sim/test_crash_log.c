/* SPDX-License-Identifier: MIT */
/* The log alone, cut at every point: what was forced is there, whole, in order, and goes on. */
#include <criterion/criterion.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include <txkit/log.h>
#include <txkit/memory.h>

#include "sim/sim_internal.h"

enum { RECORDS_MAX = 200, KIND = 7 };

/* Records are numbered; number and content are told by the payload. */
struct history {
    tx_lsn lsn[RECORDS_MAX];
    size_t size[RECORDS_MAX];
    unsigned appended; /* may be found */
    unsigned forced;   /* must be found */
    unsigned trimmed;  /* need not be found: all below */
};

struct machine {
    struct txio *io;
    int dir;
    void *shared;
    struct txlog *log;
    struct history history;
};

struct totals {
    struct machine *machine;
    struct sim_plan plan;
    uint64_t *seen;
    size_t seen_room;
    uint64_t distinct, images, nested;
    bool nesting;
};

static void fill(uint8_t *data, size_t size, unsigned number)
{
    uint64_t random = number * 131u + 7;
    for (size_t i = 0; i < size; i += 8) {
        uint64_t bits = sim_random(&random);
        memcpy(data + i, &bits, size - i < 8 ? size - i : 8);
    }
    memcpy(data, &number, sizeof number);
}

/* --- Opening and closing ---------------------------------------------------------------------- */

static enum tx_status open_log(struct machine *machine, struct tx_error *err)
{
    struct txlog_recovery report;
    size_t size = (txlog_shared_size() + 63) / 64 * 64;
    machine->dir = machine->io->ops->open(machine->io, TXIO_CWD, "/s", TXIO_DIRECTORY, 0);
    cr_assert_geq(machine->dir, 0);
    machine->shared = sim_need(aligned_alloc(64, size));
    memset(machine->shared, 0, size);
    enum tx_status status =
        txlog_open(machine->io, machine->dir, TXLOG_READWRITE, machine->shared, &machine->log, err);
    return status != TX_OK ? status : txlog_recover(machine->log, &report, err);
}

static void close_log(struct machine *machine)
{
    if (machine->log != NULL) {
        txlog_close(machine->log);
        machine->log = NULL;
    }
    cr_assert_eq(machine->io->ops->close(machine->io, machine->dir), 0);
    free(machine->shared);
}

static tx_lsn append(struct machine *machine, unsigned number, size_t size, struct tx_error *err)
{
    uint8_t *payload = sim_need(malloc(size)); /* not static: called inside a cut of itself */
    tx_lsn lsn = 0;
    tx_lsn next = 0;
    fill(payload, size, number);
    struct iovec parts[2] = {{payload, size / 2}, {payload + size / 2, size - size / 2}};
    cr_assert_eq(txlog_append_begin(machine->log, size, &lsn, err), TX_OK, "%s", err->text);
    cr_assert_eq(txlog_append(machine->log, KIND, parts, 2, &next, err), TX_OK, "%s", err->text);
    txlog_append_end(machine->log);
    free(payload);
    return next;
}

/* --- Looking ---------------------------------------------------------------------------------- */

struct found {
    unsigned first, end; /* numbers of the records found; equal: none */
    tx_lsn end_lsn;
};

static void check_record(const struct history *history, const struct txlog_record *record,
                         const struct tx_buf *payload, struct found *found)
{
    static uint8_t expected[40000];
    unsigned number = 0;
    cr_assert_geq(payload->size, sizeof number);
    memcpy(&number, payload->data, sizeof number);
    cr_assert_lt(number, RECORDS_MAX);
    cr_assert(found->end == found->first || number == found->end, "record %u after %u", number,
              found->end);
    found->first = found->end == found->first ? number : found->first;
    found->end = number + 1;
    if (number < history->appended) {
        cr_assert_eq(payload->size, history->size[number]);
        cr_assert_eq(record->lsn, history->lsn[number]);
    }
    fill(expected, payload->size, number);
    cr_assert_arr_eq(payload->data, expected, payload->size, "record %u", number);
}

static struct found read_all(struct machine *machine, const struct history *history)
{
    struct txlog_info info;
    struct tx_buf payload = TX_BUF_INIT;
    struct tx_error err;
    struct txlog_record record;
    struct found found = {0, 0, 0};
    txlog_get_info(machine->log, &info);
    tx_lsn lsn = info.start_lsn;
    enum tx_status status = txlog_read(machine->log, lsn, &record, &payload, &err);
    while (status == TX_OK) {
        if (record.kind == KIND) {
            check_record(history, &record, &payload, &found);
        }
        lsn = record.next_lsn;
        status = txlog_read(machine->log, lsn, &record, &payload, &err);
    }
    cr_assert_eq(status, TX_ENOTFOUND, "%s", err.text);
    cr_assert_eq(lsn, info.append_lsn);
    found.end_lsn = lsn;
    tx_buf_release(&payload);
    return found;
}

/* --- Checking one disk ------------------------------------------------------------------------ */

static bool is_new(struct totals *totals, uint64_t hash)
{
    size_t at = hash % totals->seen_room;
    while (totals->seen[at] != 0 && totals->seen[at] != hash) {
        at = (at + 1) % totals->seen_room;
    }
    bool new = totals->seen[at] == 0;
    totals->seen[at] = hash;
    totals->distinct += new;
    cr_assert_lt(totals->distinct * 2, totals->seen_room);
    return new;
}

static void check_found(const struct history *history, const struct found *found)
{
    cr_assert_geq(found->end, history->forced, "%u records of %u forced ones", found->end,
                  history->forced);
    cr_assert_leq(found->end, history->appended);
    cr_assert(found->first <= history->trimmed || found->first == found->end);
}

/* The log must go on: what is appended and forced now is there after the next recovery. */
static void check_going_on(struct machine *machine, const struct history *history,
                           struct found found)
{
    struct tx_error err;
    unsigned number = found.end;
    tx_lsn next = append(machine, number, 5000, &err);
    cr_assert_eq(txlog_force(machine->log, next, &err), TX_OK, "%s", err.text);
    close_log(machine);
    cr_assert_eq(open_log(machine, &err), TX_OK, "%s", err.text);
    struct history longer = *history;
    longer.appended = found.end; /* what was lost may be written otherwise now */
    struct found again = read_all(machine, &longer);
    cr_assert_eq(again.end, number + 1);
}

static bool check_disk(void *arg, struct sim_image *image, const struct sim_choice *choice);

static void cut_recovery(void *arg, struct txio *io, uint64_t index, const char *op)
{
    struct totals *totals = arg;
    struct sim_plan plan = {.exhaustive_max = 3, .samples = 6, .seed = index + 1};
    struct sim_capture *cut = sim_capture(io);
    (void)op;
    totals->nesting = true;
    (void)sim_crash_each(cut, &plan, check_disk, totals);
    totals->nesting = false;
    sim_capture_free(cut);
}

static bool check_disk(void *arg, struct sim_image *image, const struct sim_choice *choice)
{
    struct totals *totals = arg;
    const struct history *history = &totals->machine->history;
    struct tx_error err;
    char text[SIM_CHOICE_TEXT_SIZE];
    bool nesting = totals->nesting;
    totals->images++;
    if (!is_new(totals, sim_image_hash(image) + history->forced * 3 + history->appended)) {
        return true;
    }
    totals->nested += nesting;
    struct machine again = {.io = sim_boot(image, NULL)};
    if (!nesting && totals->distinct % 16 == 0) {
        sim_on_op(again.io, cut_recovery, totals);
    }
    sim_choice_format(choice, text);
    cr_assert_eq(open_log(&again, &err), TX_OK, "%s, %u forced: %s", text, history->forced,
                 err.text);
    sim_on_op(again.io, NULL, NULL);
    struct found found = read_all(&again, history);
    check_found(history, &found);
    check_going_on(&again, history, found);
    close_log(&again);
    sim_free(again.io);
    return true;
}

/* --- The workload ----------------------------------------------------------------------------- */

static void cut_here(void *arg, struct txio *io, uint64_t index, const char *op)
{
    struct totals *totals = arg;
    struct sim_capture *cut = sim_capture(io);
    (void)op;
    totals->plan.seed = index + 1;
    (void)sim_crash_each(cut, &totals->plan, check_disk, totals);
    sim_capture_free(cut);
}

static void log_one(struct machine *machine, size_t size)
{
    struct history *history = &machine->history;
    struct tx_error err;
    struct txlog_info info;
    unsigned number = history->appended;
    tx_lsn lsn = 0;
    txlog_get_info(machine->log, &info);
    /* Known before it is written: a cut inside the append may leave it. */
    history->size[number] = size;
    cr_assert_eq(txlog_append_begin(machine->log, size, &lsn, &err), TX_OK, "%s", err.text);
    txlog_append_end(machine->log);
    history->lsn[number] = lsn;
    history->appended++;
    (void)append(machine, number, size, &err);
}

static void force_all(struct machine *machine)
{
    struct txlog_info info;
    struct tx_error err;
    txlog_get_info(machine->log, &info);
    cr_assert_eq(txlog_force(machine->log, info.append_lsn, &err), TX_OK, "%s", err.text);
    machine->history.forced = machine->history.appended;
}

static void trim_to(struct machine *machine, unsigned number)
{
    struct tx_error err;
    machine->history.trimmed = number;
    cr_assert_eq(txlog_trim(machine->log, machine->history.lsn[number], &err), TX_OK, "%s",
                 err.text);
}

static void reopen(struct machine *machine, bool clean)
{
    struct tx_error err;
    if (clean) {
        force_all(machine);
        cr_assert_eq(txlog_mark_clean(machine->log, &err), TX_OK, "%s", err.text);
    }
    close_log(machine);
    cr_assert_eq(open_log(machine, &err), TX_OK, "%s", err.text);
    machine->history.forced = machine->history.appended; /* recovery rewrote and forced them */
}

static void work(struct machine *machine, unsigned seed)
{
    uint64_t random = seed;
    for (unsigned i = 0; i < 26; i++) {
        size_t size = 8 + sim_random(&random) % (i % 7 == 6 ? 30000 : 9000);
        log_one(machine, size);
        if (sim_random(&random) % 3 != 0) {
            force_all(machine);
        }
        if (i % 8 == 7) {
            force_all(machine);
            trim_to(machine, machine->history.appended - 1 - (unsigned)(sim_random(&random) % 4));
        }
        if (i % 9 == 4) {
            reopen(machine, i % 2 == 0);
        }
    }
}

static void run(unsigned seed, enum sim_profile profile, unsigned samples)
{
    struct sim_options options = SIM_OPTIONS_DEFAULT;
    struct txlog_settings settings = {seed % 2 == 0 ? 16384 : 32768, 0};
    struct txlog_identity identity;
    struct tx_error err;
    options.seed = seed;
    options.profile = profile;
    struct machine machine = {.io = sim_new(&options)};
    struct txio *io = machine.io;
    cr_assert_eq(io->ops->mkdir(io, TXIO_CWD, "/s", 0700), 0);
    int dir = io->ops->open(io, TXIO_CWD, "/s", TXIO_DIRECTORY, 0);
    cr_assert_eq(txlog_create(io, dir, &settings, &identity, &err), TX_OK, "%s", err.text);
    cr_assert_eq(io->ops->syncfs(io, dir), 0);
    cr_assert_eq(io->ops->close(io, dir), 0);
    struct totals totals = {.machine = &machine, .seen_room = 1u << 20};
    totals.plan.exhaustive_max = 6;
    totals.plan.samples = samples;
    totals.seen = sim_need(calloc(totals.seen_room, sizeof *totals.seen));
    sim_on_op(io, cut_here, &totals);
    cr_assert_eq(open_log(&machine, &err), TX_OK, "%s", err.text);
    work(&machine, seed);
    close_log(&machine);
    fprintf(stderr, "seed %u: %" PRIu64 " images, %" PRIu64 " distinct, %" PRIu64 " nested\n", seed,
            totals.images, totals.distinct, totals.nested);
    cr_assert_gt(totals.distinct, 300);
    cr_assert_gt(totals.nested, 50);
    free(totals.seen);
    sim_free(io);
}

Test(crash_log, forced_records_survive_any_cut_weakest)
{
    for (unsigned seed = 1; seed <= 4; seed++) {
        run(seed, SIM_WEAKEST, 40);
    }
}

Test(crash_log, forced_records_survive_any_cut_journaled)
{
    run(5, SIM_EXT4, 40);
    run(6, SIM_XFS, 40);
}
