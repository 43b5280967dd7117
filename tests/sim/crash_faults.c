/* SPDX-License-Identifier: MIT */
/*
 * Errors instead of power cuts: each operation that changes or syncs something fails in turn, once
 * or from there on, and syncs fail in the three ways in which file systems fail them. Whatever the
 * library answers must be true afterwards: on the same machine with a new opening, and on the disks
 * that a cut right after the error may leave.
 */
#include <inttypes.h>

#include "sim/crash_internal.h"

#define SYNCS (LAYER_BIT(datasync) | LAYER_BIT(sync) | LAYER_BIT(syncfs))
#define WRITES                                                                                     \
    (LAYER_BIT(pwritev) | LAYER_BIT(truncate) | LAYER_BIT(allocate) | LAYER_BIT(mkdir) |           \
     LAYER_BIT(rename) | LAYER_BIT(link) | LAYER_BIT(symlink) | LAYER_BIT(open) |                  \
     LAYER_BIT(set_attr) | LAYER_BIT(set_xattr))
#define REPORTS_MAX 12u

static const struct kind {
    const char *name;
    uint64_t ops;
    enum fault_kind kind;
    int os_errno;
    uint64_t times;
} kinds[] = {
    {"EIO once", WRITES | SYNCS | LAYER_BIT(unlink) | LAYER_BIT(rmdir), FAULT_ERRNO, EIO, 1},
    {"EIO for ever", WRITES | SYNCS | LAYER_BIT(unlink) | LAYER_BIT(rmdir), FAULT_ERRNO, EIO, 0},
    {"ENOSPC once", WRITES, FAULT_ERRNO, ENOSPC, 1},
    {"ENOSPC for ever", WRITES, FAULT_ERRNO, ENOSPC, 0},
    {"EMFILE once", LAYER_BIT(open), FAULT_ERRNO, EMFILE, 1},
    {"error after the fact", WRITES & ~LAYER_BIT(open), FAULT_ERRNO_AFTER, EIO, 1},
    {"short write or read", LAYER_BIT(pwritev) | LAYER_BIT(pread), FAULT_SHORT, 0, 1},
    {"EIO of a read", LAYER_BIT(pread), FAULT_ERRNO, EIO, 1},
    {"sync keeps", SYNCS, FAULT_SYNC_KEEPS, EIO, 1},
    {"sync reverts", SYNCS, FAULT_SYNC_REVERTS, EIO, 1},
    {"sync fails late", SYNCS, FAULT_SYNC_LATE, EIO, 1},
};
enum { KINDS = sizeof kinds / sizeof *kinds };

struct faults {
    const struct crash_workload *workload;
    struct crash_run reference; /* without errors; its states are the oracle */
    uint64_t runs, disks, violations, fired;
};

struct fault_case {
    struct faults *faults;
    const struct kind *kind;
    uint64_t nth;
    uint64_t legal; /* states, as bits */
    const char *when;
    char answer[600];
    struct crash_run *run;
    const struct fault_rule *rule;
    bool promised; /* a step was acknowledged after the error */
};

static void report(struct fault_case *which, const char *text, const struct crash_state *found)
{
    struct crash_run *reference = &which->faults->reference;
    if (which->faults->violations++ >= REPORTS_MAX) {
        return;
    }
    (void)printf("VIOLATION in %s, %s at %" PRIu64 ", %s: %s\n  the library said: %s\n",
                 reference->workload->name, which->kind->name, which->nth, which->when, text,
                 which->answer);
    for (unsigned i = 0; found != NULL && i < reference->state_count; i++) {
        if ((which->legal >> i & 1) != 0) {
            (void)printf("  from state %u, which is legal:\n", i);
            crash_state_diff(&reference->states[i], found, stdout);
        }
    }
    (void)fflush(stdout);
}

static bool is_legal(const struct fault_case *which, const struct crash_state *found)
{
    const struct crash_run *reference = &which->faults->reference;
    for (unsigned i = 0; i < reference->state_count; i++) {
        if ((which->legal >> i & 1) != 0 &&
            reference->states[i].settled_hash == found->settled_hash) {
            return true;
        }
    }
    return false;
}

static void judge(struct fault_case *which, const struct crash_verdict *verdict)
{
    bool legal = is_legal(which, &verdict->found);
    which->faults->disks++;
    if (verdict->broken) {
        report(which, verdict->text, NULL);
    } else if (!legal) {
        report(which, "not legal", &verdict->found);
    }
}

static bool judge_disk(void *arg, struct sim_image *image, const struct sim_choice *choice)
{
    struct fault_case *which = arg;
    struct crash_verdict verdict;
    (void)choice;
    crash_verify(&which->faults->reference, image, false, NULL, &verdict);
    judge(which, &verdict);
    crash_verdict_release(&verdict);
    return true;
}

/* The states that the answer allows. */
static uint64_t legal_after(const struct faults *faults, const struct crash_run *run, bool escaped)
{
    const struct crash_run *reference = &faults->reference;
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

/* The workload up to its end or to the call that fails. True when one failed. */
static bool carry_out(struct crash_run *run, jmp_buf *escape)
{
    run->escape = escape;
    if (setjmp(*escape) != 0) {
        run->escape = NULL;
        return true;
    }
    crash_run_work(run);
    run->escape = NULL;
    return false;
}

static void cut_now(struct fault_case *which, struct crash_run *run)
{
    struct sim_plan plan = {.samples = 3, .samples_only = true, .seed = which->nth + 1};
    struct sim_choice nothing = {SIM_KEEP_PREFIX, 0, 0};
    struct sim_choice all = {SIM_KEEP_PREFIX, UINT64_MAX, 0};
    struct sim_capture *cut = sim_capture(run->machine);
    struct sim_image *image = sim_crash_image(cut, &nothing);
    which->when = "cut, all lost";
    (void)judge_disk(which, image, &nothing);
    sim_image_drop(image);
    image = sim_crash_image(cut, &all);
    which->when = "cut, nothing lost";
    (void)judge_disk(which, image, &all);
    sim_image_drop(image);
    which->when = "cut, some lost";
    (void)sim_crash_each(cut, &plan, judge_disk, which);
    sim_capture_free(cut);
}

/* The library met the error, said nothing of it, and acknowledged the step in hand or the next: cut
 * now, what it promised has to be there. */
static void cut_at_promise(void *arg)
{
    struct fault_case *which = arg;
    struct crash_run *run = which->run;
    if (which->promised || which->rule->fired == 0) {
        return;
    }
    which->promised = true;
    which->legal = legal_after(which->faults, run, false);
    (void)snprintf(which->answer, sizeof which->answer, "nothing, and acknowledged a step");
    sim_freeze(run->machine);
    cut_now(which, run);
    sim_thaw(run->machine);
}

/* Open anew on the same machine, where the page cache is what it is. */
static void go_on(struct fault_case *which, struct crash_run *run)
{
    struct crash_verdict verdict = {.state = CRASH_STATES_MAX};
    struct txstore_options options = {.io = run->machine};
    struct txstore *store = NULL;
    struct tx_error err = {0};
    which->when = "opened again";
    enum tx_status status = txstore_open(CRASH_ROOT, &options, &store, &err);
    if (status == TX_OK || (status == TX_ENOTFOUND && run->workload->makes_store)) {
        status = crash_state_take(run->machine, CRASH_ROOT, store, &verdict.found, &err);
    }
    if (status == TX_OK && store != NULL) {
        status = txstore_close(store, &err);
    }
    verdict.broken = status != TX_OK;
    (void)snprintf(verdict.text, sizeof verdict.text, "%s: %s", tx_status_name(status), err.text);
    judge(which, &verdict);
    crash_verdict_release(&verdict);
    if (sim_open_count(run->machine) != 0) {
        (void)snprintf(err.text, sizeof err.text, "%u descriptors or mappings are still open",
                       sim_open_count(run->machine));
        report(which, err.text, NULL);
    }
}

static struct sim_options still_options(uint64_t seed)
{
    struct sim_options options = SIM_OPTIONS_DEFAULT;
    options.seed = seed;
    options.still_clock = true;
    return options;
}

/* False when there is no such call any more. */
static bool fail_one(struct faults *faults, const struct kind *kind, uint64_t nth)
{
    struct sim_options options = still_options(1);
    struct fault_case which = {.faults = faults, .kind = kind, .nth = nth};
    struct fault_rule rule = {.ops = kind->ops, .nth = nth, .times = kind->times,
                              .kind = kind->kind, .os_errno = kind->os_errno};
    struct crash_run run;
    jmp_buf escape;
    crash_run_prepare(&run, faults->workload, 1, &options);
    which.rule = fault_add(&run.fault, &rule);
    which.run = &run;
    run.on_done = kind->kind != FAULT_SYNC_LATE ? cut_at_promise : NULL;
    run.arg = &which;
    bool escaped = carry_out(&run, &escape);
    bool fired = which.rule->fired > 0;
    run.on_done = NULL;
    if (fired) {
        faults->runs++;
        which.legal = legal_after(faults, &run, escaped);
        (void)snprintf(which.answer, sizeof which.answer, "%s: %s",
                       escaped ? tx_status_name(run.failed) : "nothing", run.err.text);
        if (kind->kind != FAULT_SYNC_LATE) { /* a sync that lied: nobody could keep the promise */
            cut_now(&which, &run);
        }
    }
    if (run.store != NULL) {
        enum tx_status status = txstore_close(run.store, NULL);
        (void)status; /* it may fail, as long as nothing is lost */
    }
    fault_clear(&run.fault);
    if (fired) {
        go_on(&which, &run);
    }
    crash_run_release(&run);
    return fired;
}

static void fail_all(struct faults *faults, uint64_t every)
{
    struct sim_options options = still_options(1);
    crash_run_prepare(&faults->reference, faults->workload, 1, &options);
    crash_run_work(&faults->reference);
    for (unsigned i = 0; i < KINDS; i++) {
        for (uint64_t nth = 1; fail_one(faults, &kinds[i], nth); nth += every) {
        }
    }
    crash_run_release(&faults->reference);
}

bool crash_faults(const char *workload, uint64_t every)
{
    uint64_t runs = 0;
    uint64_t disks = 0;
    uint64_t violations = 0;
    for (const struct crash_workload *at = crash_workloads; at->name != NULL; at++) {
        struct faults faults = {.workload = at};
        if (workload != NULL && strcmp(workload, at->name) != 0) {
            continue;
        }
        fail_all(&faults, every);
        (void)printf("%-18s %6" PRIu64 " errors %7" PRIu64 " disks %4" PRIu64 " violations\n",
                     at->name, faults.runs, faults.disks, faults.violations);
        (void)fflush(stdout);
        runs += faults.runs;
        disks += faults.disks;
        violations += faults.violations;
    }
    (void)printf("%" PRIu64 " errors, %" PRIu64 " disks, %" PRIu64 " violations\n", runs, disks,
                 violations);
    return runs > 0 && violations == 0;
}
