/* SPDX-License-Identifier: MIT */
/*
 * The test of the test: a disk that ignores one kind of sync must lead to violations. What is not
 * missed is a sync that nobody needs, or a blind spot of this test.
 */
#include <inttypes.h>

#include "sim/crash_internal.h"

static const struct {
    const char *op, *part;
    const char *workloads; /* to try, in this order */
} lies[] = {
    {"datasync", "/log/", "create,segments"},
    {"datasync", "/control", "recycle,checkpoint,open-close"},
    {"sync", "/log/", "segments,recycle"},
    {"datasync", "/reg/image", "checkpoint,reg-large,reg-many"},
    {"datasync", "/tx/", "staged,prepare-commit,mixed"},
    {"sync", "/tx/", "staged,prepare-commit,detach-commit,mixed"},
    {"datasync", "/undo/", "checkpoint,replace,revert"},
    {"sync", "/undo/", "checkpoint,replace,exchange,revert,open-close,rename-directory"},
    {"sync", "/r/dir/", "open-close,rename-file,rename-directory,checkpoint,directories"},
    {"sync", "/r/a", "open-close,checkpoint,truncate,chmod,times"},
    {"sync", "/r/", "open-close,checkpoint,create"},
    {"syncfs", "/", "recycle,commits,install,many-files,segments"},
    {"sync", "/.txkit.new/", "init"},
    {"sync", "/.txkit.new/log/", "init"},
    {"datasync", "/.txkit.new/", "init"},
    {NULL, "/", "open-close,recycle"},
};

static const struct crash_workload *workload_at(const char **names)
{
    size_t size = strcspn(*names, ",");
    const char *name = *names;
    *names += size + ((*names)[size] == ',');
    for (const struct crash_workload *at = crash_workloads; at->name != NULL; at++) {
        if (strlen(at->name) == size && strncmp(at->name, name, size) == 0) {
            return at;
        }
    }
    return NULL;
}

static uint64_t try_lie(size_t index, const struct crash_limits *limits, const char **caught_by)
{
    struct crash_totals totals = {0};
    const char *names = lies[index].workloads;
    for (unsigned seed = 1; *names != '\0' && totals.violations == 0; seed = seed % 2 + 1) {
        const char *before = names;
        const struct crash_workload *workload = workload_at(&names);
        struct crash_run run;
        if (workload == NULL) {
            (void)printf("no workload \"%s\"\n", before);
            return 0;
        }
        sim_lie(lies[index].op, lies[index].part);
        crash_run_record(&run, workload, seed, SIM_WEAKEST);
        crash_check_run(&run, SIM_WEAKEST, limits, &totals);
        sim_lie(NULL, NULL);
        crash_run_release(&run);
        *caught_by = workload->name;
    }
    crash_totals_release(&totals);
    return totals.violations;
}

bool crash_lies(const struct crash_limits *limits)
{
    bool all = true;
    struct crash_limits some = *limits;
    some.violations_max = 1;
    crash_check_quietly(true);
    for (size_t i = 0; i < sizeof lies / sizeof *lies; i++) {
        struct sim_counters before;
        struct sim_counters after;
        const char *caught_by = "";
        sim_get_counters(&before);
        bool caught = try_lie(i, &some, &caught_by) > 0;
        sim_get_counters(&after);
        (void)printf("%-8s of %-18s %7" PRIu64 " ignored: %s%s\n",
                     lies[i].op != NULL ? lies[i].op : "any", lies[i].part,
                     after.lies - before.lies, caught ? "missed by " : "NOT MISSED",
                     caught ? caught_by : "");
        (void)fflush(stdout);
        all = all && caught;
    }
    crash_check_quietly(false);
    return all;
}
