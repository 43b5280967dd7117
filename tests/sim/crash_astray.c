/* SPDX-License-Identifier: MIT */
/*
 * Misdirected writes: one write to a sealed file succeeds, and goes to another place in it or
 * nowhere. What is read afterwards is what was committed, or is refused.
 *
 * One thing nobody can see: that the last record of the log is not there. Nothing was written after
 * it that could tell, so the log ends before it, as if its commit had not been acknowledged.
 */
#include <inttypes.h>

#include "sim/crash_internal.h"

#define REPORTS_MAX 12u

/* Where a wrong byte must be found; below undo/ and tx/ it is when something is done with it. */
static const char *const files[] = {"/log/", "/control", "/reg/image"};
/* In blocks, around the end of the file. */
static const uint64_t distances[] = {1, 2, 7};

/* What looks came to. */
static struct {
    uint64_t right, refused, tails;
} found_out;

struct astray {
    struct crash_run run;
    const struct crash_run *reference;
    struct fault_rule *rule;
    struct crash_tally *tally;
    const char *file;
    uint64_t nth, blocks;
    unsigned state;     /* acknowledged before it happened */
    tx_lsn durable_lsn; /* then */
    tx_lsn last_lsn;    /* after the last acknowledged step */
    bool given_up; /* the workload went on without it: there is no state to compare with */
};

static void report(struct astray *astray, const char *text, const struct crash_state *found)
{
    const struct crash_run *reference = astray->reference;
    unsigned now = astray->run.state_count - 1;
    if (astray->tally->violations++ >= REPORTS_MAX) {
        return;
    }
    (void)printf("VIOLATION in %s, write %" PRIu64 " to %s, %" PRIu64
                 " blocks astray after state %u, looked at in state %u: %s\n",
                 reference->workload->name, astray->nth, astray->file, astray->blocks,
                 astray->state, now, text);
    if (found != NULL) {
        crash_state_diff(&reference->states[now], found, stdout);
    }
    (void)fflush(stdout);
}

/* A recovery has found the log to end before what was durable last. */
static bool is_shorter(const struct astray *astray, const struct txstore *store)
{
    struct txstore_recovery recovery;
    txstore_get_recovery(store, &recovery);
    return recovery.performed && recovery.ktm.log.end_lsn < astray->last_lsn;
}

/* ... and only what went astray is missing: nothing was acknowledged after it. */
static bool is_lost_tail(const struct astray *astray, const struct txstore *store)
{
    struct txstore_recovery recovery;
    txstore_get_recovery(store, &recovery);
    return strcmp(astray->file, files[0]) == 0 && is_shorter(astray, store) &&
           recovery.ktm.log.end_lsn >= astray->durable_lsn &&
           astray->run.state_count - 1 <= astray->state + 1;
}

static void judge(struct astray *astray, const struct txstore *store,
                  const struct crash_state *found)
{
    unsigned now = astray->run.state_count - 1;
    bool next = astray->run.in_flight && now + 1 < astray->reference->state_count &&
                astray->reference->states[now + 1].hash == found->hash;
    if (astray->reference->states[now].hash == found->hash || next) {
        found_out.right++;
    } else if (is_lost_tail(astray, store)) {
        found_out.tails++;
    } else {
        report(astray, "opened, and shows another state", found);
    }
}

/* Switch on a machine with all that the disk has, and read everything. */
static void look(struct astray *astray)
{
    static const struct sim_choice all_kept = {SIM_KEEP_PREFIX, UINT64_MAX, 0};
    struct sim_capture *capture = sim_capture(astray->run.machine);
    struct sim_image *image = sim_crash_image(capture, &all_kept);
    struct txio *io = sim_boot(image, NULL);
    struct txstore_options options = {.io = io};
    struct txstore *store = NULL;
    struct crash_state found = {0};
    struct tx_error err = {0};
    enum tx_status status = txstore_open(CRASH_ROOT, &options, &store, &err);
    if (status == TX_OK) {
        status = crash_state_take(io, CRASH_ROOT, store, &found, &err);
    }
    astray->tally->disks++;
    if (status == TX_OK) {
        judge(astray, store, &found);
    } else if (status == TX_ECORRUPT) {
        found_out.refused++;
    } else {
        report(astray, err.text, NULL);
    }
    if (store != NULL) {
        status = txstore_close(store, &err); /* may be refused, as opening may */
    }
    crash_state_release(&found);
    sim_free(io);
    sim_image_drop(image);
    sim_capture_free(capture);
}

/* The workload itself may open the store again, and go on with what is left. */
static void store_opened(void *arg)
{
    struct astray *astray = arg;
    if (astray->given_up || !is_shorter(astray, astray->run.store)) {
        return;
    }
    astray->given_up = true;
    if (is_lost_tail(astray, astray->run.store)) {
        found_out.tails++;
    } else {
        report(astray, "a recovery of the workload's lost more than the last record", NULL);
    }
}

/* After each acknowledged step. */
static void step_done(void *arg)
{
    struct astray *astray = arg;
    struct txlog_info info;
    if (astray->given_up || astray->run.store == NULL) {
        return;
    }
    txlog_get_info(txstore_log(astray->run.store), &info);
    astray->last_lsn = info.durable_lsn;
    if (astray->rule->fired > 0) {
        look(astray);
    } else {
        astray->state = astray->run.state_count - 1;
        astray->durable_lsn = info.durable_lsn;
    }
}

/* False when there is no such write any more. */
static bool send_astray(struct astray *astray)
{
    struct fault_rule rule = {
        .ops = LAYER_BIT(pwritev),
        .part = astray->file,
        .nth = astray->nth,
        .times = 1,
        .kind = FAULT_ASTRAY,
        .blocks = astray->blocks,
    };
    crash_run_again(&astray->run, astray->reference);
    astray->rule = fault_add(&astray->run.fault, &rule);
    astray->run.arg = astray;
    astray->run.on_done = step_done;
    astray->run.on_open = store_opened;
    astray->state = 0;
    astray->durable_lsn = 0;
    astray->last_lsn = 0;
    astray->given_up = false;
    (void)crash_run_attempt(&astray->run); /* whatever it is refused */
    crash_run_leave(&astray->run);
    bool fired = astray->rule->fired > 0;
    if (fired) {
        astray->tally->runs++;
        if (!astray->given_up) {
            look(astray);
        }
    }
    crash_run_release(&astray->run);
    return fired;
}

static void send_all(const struct crash_run *reference, struct crash_tally *tally)
{
    for (unsigned i = 0; i < sizeof files / sizeof *files; i++) {
        for (unsigned k = 0; k < sizeof distances / sizeof *distances; k++) {
            struct astray astray = {.reference = reference,
                                    .tally = tally,
                                    .file = files[i],
                                    .nth = 1 + k % tally->every,
                                    .blocks = distances[k]};
            while (crash_tally_goes_on(tally) && send_astray(&astray)) {
                astray.nth += tally->every;
            }
        }
    }
}

bool crash_astray(const char *workload, struct crash_tally *tally)
{
    bool good = crash_each_failure("writes astray", workload, tally, send_all);
    (void)printf("%" PRIu64 " looks were right, %" PRIu64 " refused, %" PRIu64
                 " without the last record\n",
                 found_out.right, found_out.refused, found_out.tails);
    bool healthy = workload != NULL ||
                   (found_out.right > 0 && found_out.refused > 0 && found_out.tails > 0);
    return good && healthy;
}
