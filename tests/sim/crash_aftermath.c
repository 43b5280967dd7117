/* SPDX-License-Identifier: MIT */
/*
 * What must hold after the library met a failure: an error of the system or a lack of memory. Its
 * answer says which states are legal; they are looked for on disks that a cut right after the
 * failure may leave, after the next acknowledged step, and on the same machine opened again, whose
 * power is then cut once more.
 */
#include <inttypes.h>

#include "sim/crash_internal.h"

#define REPORTS_MAX 12u

static void report(struct crash_failure *failure, const char *text, const struct crash_state *found)
{
    const struct crash_run *reference = failure->reference;
    if (failure->tally->violations++ >= REPORTS_MAX) {
        return;
    }
    (void)printf("VIOLATION in %s, %s at %" PRIu64 ", %s: %s\n  the library said: %s\n",
                 reference->workload->name, failure->kind, failure->nth, failure->when, text,
                 failure->answer);
    for (unsigned i = 0; found != NULL && i < reference->state_count; i++) {
        if ((failure->legal >> i & 1) != 0) {
            (void)printf("  from state %u, which is legal:\n", i);
            crash_state_diff(&reference->states[i], found, stdout);
        }
    }
    (void)fflush(stdout);
}

static void judge(struct crash_failure *failure, const struct crash_verdict *verdict)
{
    const struct crash_run *reference = failure->reference;
    bool legal = false;
    for (unsigned i = 0; i < reference->state_count; i++) {
        legal = legal || ((failure->legal >> i & 1) != 0 &&
                          reference->states[i].settled_hash == verdict->found.settled_hash);
    }
    failure->tally->disks++;
    if (verdict->broken) {
        report(failure, verdict->text, NULL);
    } else if (!legal) {
        report(failure, "not legal", &verdict->found);
    }
}

static bool judge_disk(void *arg, struct sim_image *image, const struct sim_choice *choice)
{
    struct crash_failure *failure = arg;
    struct crash_verdict verdict;
    bool is_new = false;
    (void)choice;
    /* Ten errors of one call leave one disk. */
    (void)crash_set_at(&failure->tally->judged, sim_mix(sim_image_hash(image), failure->legal),
                       &is_new);
    if (!is_new) {
        failure->tally->disks++;
        return true;
    }
    struct crash_scrutiny how = {.ends = &failure->tally->ends};
    crash_verify(failure->reference, image, &how, &verdict);
    judge(failure, &verdict);
    crash_verdict_release(&verdict);
    return true;
}

/* The states that the answer allows. */
static uint64_t legal_after(const struct crash_failure *failure, bool escaped)
{
    const struct crash_run *reference = failure->reference;
    const struct crash_run *run = &failure->run;
    unsigned now = run->state_count - 1;
    uint64_t legal = UINT64_C(1) << crash_state_index(reference, reference->states[now].hash);
    if (!escaped || !run->in_flight || now + 1 >= reference->state_count) {
        return legal;
    }
    uint64_t next = UINT64_C(1) << crash_state_index(reference, reference->states[now + 1].hash);
    bool committing = run->txn != NULL;
    if (committing && run->failed == TX_EPENDING) {
        return next;
    }
    return !committing || run->failed == TX_EOUTCOME ? legal | next : legal;
}

static void suspend(struct crash_run *run, bool suspended)
{
    if (run->suspend != NULL) {
        run->suspend(run->arg, suspended);
    }
}

static void cut(struct crash_failure *failure, const struct sim_choice *choice, const char *when)
{
    struct sim_capture *capture = sim_capture(failure->run.machine);
    struct sim_image *image = sim_crash_image(capture, choice);
    failure->when = when;
    (void)judge_disk(failure, image, choice);
    sim_image_drop(image);
    sim_capture_free(capture);
}

static const struct sim_choice nothing_kept = {SIM_KEEP_PREFIX, 0, 0};
static const struct sim_choice all_kept = {SIM_KEEP_PREFIX, UINT64_MAX, 0};

static void cut_now(struct crash_failure *failure)
{
    struct sim_plan plan = {.samples = 3, .samples_only = true, .seed = failure->nth + 1};
    suspend(&failure->run, true);
    cut(failure, &nothing_kept, "cut, all lost");
    cut(failure, &all_kept, "cut, nothing lost");
    struct sim_capture *capture = sim_capture(failure->run.machine);
    failure->when = "cut, some lost";
    (void)sim_crash_each(capture, &plan, judge_disk, failure);
    sim_capture_free(capture);
    suspend(&failure->run, false);
}

/* The library met the failure, said nothing of it, and acknowledged the step in hand or a later
 * one: cut now, what it promised has to be there. */
static void cut_at_promise(void *arg)
{
    struct crash_failure *failure = arg;
    if (failure->promised || !failure->has_fired(failure->arg)) {
        return;
    }
    failure->promised = true;
    failure->legal = legal_after(failure, false);
    (void)snprintf(failure->answer, sizeof failure->answer, "nothing, and acknowledged a step");
    cut_now(failure);
}

/* Open anew on the same machine, where the page cache is what it is. What that shows is a promise:
 * recovery has acted on it. */
static void go_on(struct crash_failure *failure)
{
    struct crash_run *run = &failure->run;
    struct crash_verdict verdict = {.state = CRASH_STATES_MAX};
    struct txstore_options options = {.io = run->machine};
    struct txstore *store = NULL;
    struct tx_error err = {0};
    failure->when = "opened again";
    enum tx_status status = txstore_open(CRASH_ROOT, &options, &store, &err);
    if (status == TX_OK || (status == TX_ENOTFOUND && run->workload->makes_store)) {
        status = crash_state_take(run->machine, CRASH_ROOT, store, &verdict.found, &err);
    }
    verdict.broken = status != TX_OK;
    (void)snprintf(verdict.text, sizeof verdict.text, "%s: %s", tx_status_name(status), err.text);
    judge(failure, &verdict);
    unsigned index = crash_state_index(failure->reference, verdict.found.hash);
    if (failure->may_cut && !verdict.broken && index < CRASH_STATES_MAX) {
        failure->legal = UINT64_C(1) << index;
        cut(failure, &nothing_kept, "opened again and cut, all lost");
    }
    crash_verdict_release(&verdict);
    failure->when = "closed at last";
    if (store != NULL && txstore_close(store, &err) != TX_OK) {
        report(failure, err.text, NULL);
    }
    if (sim_open_count(run->machine) != 0) {
        (void)snprintf(err.text, sizeof err.text, "%u descriptors or mappings are still open",
                       sim_open_count(run->machine));
        report(failure, err.text, NULL);
    }
}

void crash_failure_prepare(struct crash_failure *failure, const struct crash_run *reference)
{
    failure->reference = reference;
    crash_run_again(&failure->run, reference);
}

void crash_reference(struct crash_run *reference, const struct crash_workload *workload)
{
    struct sim_options options = SIM_OPTIONS_DEFAULT;
    options.seed = 1;
    options.still_clock = true;
    struct crash_run prepared;
    crash_run_prepare(&prepared, workload, 1, &options);
    crash_run_keep(&prepared);
    crash_run_again(reference, &prepared);
    crash_run_release(&prepared);
    crash_run_work(reference);
}

bool crash_failure_run(struct crash_failure *failure)
{
    struct crash_run *run = &failure->run;
    run->arg = failure;
    run->on_done = failure->may_cut ? cut_at_promise : NULL;
    bool escaped = crash_run_attempt(run);
    bool fired = failure->has_fired(failure->arg);
    if (fired) {
        failure->tally->runs++;
        failure->legal = legal_after(failure, escaped);
        (void)snprintf(failure->answer, sizeof failure->answer, "%s: %s",
                       escaped ? tx_status_name(run->failed) : "nothing", run->err.text);
        if (failure->may_cut) {
            cut_now(failure);
        }
    }
    crash_run_leave(run);
    failure->end(failure->arg);
    if (fired) {
        go_on(failure);
    }
    crash_run_release(run);
    return fired;
}

bool crash_each_failure(const char *what, const char *workload, struct crash_tally *total,
                        crash_fail_fn *fn)
{
    for (const struct crash_workload *at = crash_workloads; at->name != NULL; at++) {
        struct crash_tally tally = {.every = total->every, .first = total->first};
        struct crash_run reference;
        bool wanted = workload == NULL || strcmp(workload, at->name) == 0;
        if (!wanted || !crash_tally_goes_on(total)) {
            continue;
        }
        crash_reference(&reference, at);
        fn(&reference, &tally);
        crash_run_release(&reference);
        crash_set_release(&tally.judged);
        crash_set_release(&tally.ends);
        (void)printf("%-18s %6" PRIu64 " %s %7" PRIu64 " disks %4" PRIu64 " violations\n", at->name,
                     tally.runs, what, tally.disks, tally.violations);
        (void)fflush(stdout);
        total->runs += tally.runs;
        total->disks += tally.disks;
        total->violations += tally.violations;
    }
    (void)printf("%" PRIu64 " %s, %" PRIu64 " disks, %" PRIu64 " violations\n", total->runs, what,
                 total->disks, total->violations);
    return total->runs > 0 && total->violations == 0;
}
