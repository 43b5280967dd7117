/* SPDX-License-Identifier: MIT */
/* What becomes of one disk: boot, open, look, close, reopen, look again. */
#include <stdarg.h>

#include "sim/crash_internal.h"

#define INNER_MAX 600u

void crash_verdict_release(struct crash_verdict *verdict)
{
    crash_state_release(&verdict->found);
    crash_state_release(&verdict->again);
}

void crash_inner_release(struct crash_inner *inner)
{
    for (unsigned i = 0; i < inner->count; i++) {
        sim_capture_free(inner->points[i].cut);
    }
    free(inner->points);
    *inner = (struct crash_inner){.points = NULL};
}

static void take_inner(void *arg, struct txio *io, uint64_t index, const char *op)
{
    struct crash_inner *inner = arg;
    if (inner->count == INNER_MAX) {
        return;
    }
    if (inner->count == inner->room) {
        inner->room = inner->room * 2 + 64;
        inner->points = sim_need(realloc(inner->points, inner->room * sizeof *inner->points));
    }
    inner->points[inner->count++] =
        (struct crash_point){sim_capture(io), index, op, inner->opened, false};
}

static void broken(struct crash_verdict *verdict, const char *format, ...) TX_PRINTF(2, 3);
static void broken(struct crash_verdict *verdict, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    (void)vsnprintf(verdict->text, sizeof verdict->text, format, args);
    va_end(args);
    verdict->broken = true;
}

/* Nobody but the library works here, so it must not report the changes of other programs. */
static uint64_t foreign_kept(const struct txstore *store)
{
    struct txstore_recovery recovery;
    txstore_get_recovery(store, &recovery);
    return recovery.foreign_kept;
}

/* Open (a disk without a store is a state too) and look. The answer is NULL when there is none. */
static struct txstore *open_and_look(struct txio *io, const struct crash_run *run,
                                     struct crash_inner *inner, struct crash_state *state,
                                     struct crash_verdict *verdict)
{
    struct txstore_options options = {.io = io};
    struct txstore *store = NULL;
    struct tx_error err = {0};
    enum tx_status status = txstore_open(CRASH_ROOT, &options, &store, &err);
    if (status == TX_ENOTFOUND && run->workload->makes_store) {
        status = TX_OK;
        store = NULL;
    }
    if (status != TX_OK) {
        broken(verdict, "open: %s: %s", tx_status_name(status), err.text);
        return NULL;
    }
    if (inner != NULL) {
        inner->opened = true;
    }
    verdict->foreign_kept += store != NULL ? foreign_kept(store) : 0;
    sim_freeze(io);
    status = crash_state_take(io, CRASH_ROOT, store, state, &err);
    sim_thaw(io);
    if (status != TX_OK) {
        broken(verdict, "look: %s: %s", tx_status_name(status), err.text);
    }
    return store;
}

static void close_store(struct txstore *store, struct crash_verdict *verdict)
{
    struct tx_error err = {0};
    enum tx_status status = store != NULL ? txstore_close(store, &err) : TX_OK;
    if (status != TX_OK) {
        broken(verdict, "close: %s: %s", tx_status_name(status), err.text);
    }
}

static void note_fault(void *arg, const char *file, uint64_t offset, const char *text)
{
    struct crash_verdict *verdict = arg;
    broken(verdict, "check: %.100s at %llu: %.400s", file, (unsigned long long)offset, text);
}

static void read_through(struct txio *io, struct crash_verdict *verdict)
{
    uint64_t faults = 0;
    struct tx_error err = {0};
    verdict->read_through = true;
    enum tx_status status =
        txstore_check(io, CRASH_ROOT, NULL, note_fault, verdict, &faults, &err);
    if (status != TX_OK) {
        broken(verdict, "check: %s: %s", tx_status_name(status), err.text);
    }
}

/* The second opening must show what the first did; without a store one can be made. */
static void look_again(struct txio *io, const struct crash_run *run, bool had_store,
                       struct crash_verdict *verdict)
{
    struct crash_state again = {0};
    struct tx_error err = {0};
    if (!had_store && txstore_init(io, CRASH_ROOT, NULL, NULL, &err) != TX_OK) {
        broken(verdict, "init after a cut: %s", err.text);
        return;
    }
    struct txstore *store = open_and_look(io, run, NULL, &again, verdict);
    if (!verdict->broken && had_store && again.hash != verdict->found.hash) {
        broken(verdict, "a second opening shows another state");
        verdict->again = again;
        again = (struct crash_state){0};
    }
    crash_state_release(&again);
    close_store(store, verdict);
}

/* What a recovery ended in determines all that follows: how the store is closed, and what the next
 * opening shows. Most disks end in what another one did. */
static bool is_known_end(const struct crash_scrutiny *how, struct txio *io,
                         const struct crash_verdict *verdict)
{
    bool is_new = true;
    if (how->ends != NULL && how->inner == NULL && !verdict->broken) {
        uint64_t shown = verdict->found.hash + sim_open_count(io);
        (void)crash_set_at(how->ends, sim_mix(sim_live_hash(io), shown), &is_new);
    }
    return !is_new;
}

static void abandon(struct txio *io, struct txstore *store)
{
    struct tx_error err = {0};
    sim_process_kill(io);
    enum tx_status status = txstore_close(store, &err); /* the dead can do nothing but free it */
    (void)status;
}

static void look_on(struct txio *io, const struct crash_run *run, const struct crash_scrutiny *how,
                    struct txstore *store, struct crash_verdict *verdict)
{
    bool had_store = store != NULL;
    close_store(store, verdict);
    sim_on_op(io, NULL, NULL);
    if (!verdict->broken && how->read_through && had_store) {
        read_through(io, verdict);
    }
    if (!verdict->broken) {
        look_again(io, run, had_store, verdict);
    }
    if (!verdict->broken && sim_open_count(io) != 0) {
        broken(verdict, "%u descriptors or mappings are still open", sim_open_count(io));
    }
}

void crash_verify(const struct crash_run *run, const struct sim_image *image,
                  const struct crash_scrutiny *how, struct crash_verdict *verdict)
{
    *verdict = (struct crash_verdict){.state = CRASH_STATES_MAX};
    struct txio *io = sim_boot(image, NULL);
    if (how->inner != NULL) {
        sim_on_op(io, take_inner, how->inner);
    }
    struct txstore *store = open_and_look(io, run, how->inner, &verdict->found, verdict);
    if (store != NULL && is_known_end(how, io, verdict)) {
        abandon(io, store);
    } else {
        look_on(io, run, how, store, verdict);
    }
    if (!verdict->broken) {
        verdict->state = crash_state_index(run, verdict->found.hash);
    }
    if (!verdict->broken && verdict->state < CRASH_STATES_MAX && verdict->foreign_kept != 0 &&
        !run->has_stranger) {
        broken(verdict, "state %u, but %llu objects are said to be foreign", verdict->state,
               (unsigned long long)verdict->foreign_kept);
    }
    sim_free(io);
}
