/* SPDX-License-Identifier: MIT */
/*
 * Memory that runs out instead of power: each allocation of the workloads fails in turn, once or
 * from there on. A store that is opened without having been closed properly is one of them, so
 * recovery meets it too, and so does what comes after the force of a commit.
 */
#include "base/alloc.h"
#include "sim/crash_internal.h"

static struct scarcity {
    uint64_t seen, nth, times, fired; /* times 0: for ever */
    bool on;
} scarce;

static void *resize(void *arg, void *memory, size_t size)
{
    (void)arg;
    if (scarce.on) {
        scarce.seen++;
        if (scarce.seen >= scarce.nth &&
            (scarce.times == 0 || scarce.seen - scarce.nth < scarce.times)) {
            scarce.fired++;
            return NULL;
        }
    }
    return realloc(memory, size);
}

static void release(void *arg, void *memory)
{
    (void)arg;
    free(memory);
}

static bool memory_has_failed(void *arg)
{
    (void)arg;
    return scarce.fired > 0;
}

static void memory_end(void *arg)
{
    (void)arg;
    scarce.on = false;
}

static void memory_suspend(void *arg, bool suspended)
{
    (void)arg;
    scarce.on = !suspended;
}

static bool fail_one(const struct crash_run *reference, struct crash_tally *tally, uint64_t nth,
                     uint64_t times)
{
    struct crash_failure failure = {
        .tally = tally,
        .kind = times == 0 ? "no memory for ever" : "no memory once",
        .nth = nth,
        .has_fired = memory_has_failed,
        .end = memory_end,
        .may_cut = true,
    };
    crash_failure_prepare(&failure, reference);
    failure.run.suspend = memory_suspend;
    scarce = (struct scarcity){.nth = nth, .times = times, .on = true};
    bool failed = crash_failure_run(&failure);
    scarce.on = false;
    return failed;
}

static void fail_all(const struct crash_run *reference, struct crash_tally *tally)
{
    for (uint64_t times = 0; times <= 1; times++) {
        uint64_t nth = 1 + times % tally->every;
        while (crash_tally_goes_on(tally) && fail_one(reference, tally, nth, times)) {
            nth += tally->every;
        }
    }
}

bool crash_memory(const char *workload, struct crash_tally *tally)
{
    static const struct tx_alloc_table table = {resize, release, NULL};
    tx_alloc_set_table(&table);
    bool good = crash_each_failure("lacks", workload, tally, fail_all);
    tx_alloc_set_table(NULL);
    return good;
}
