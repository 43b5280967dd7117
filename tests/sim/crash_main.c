/* SPDX-License-Identifier: MIT */
/*
 * Cut the power at every point of every workload.
 *
 *     sim_crash [--list] [--workload NAME] [--seed N] [--profile NAME] [--rounds N] [--nested N]
 *     sim_crash --replay CASE        a case is printed with each violation
 *     sim_crash --faults [--workload NAME]  fail each operation instead
 *     sim_crash --memory [--workload NAME]  fail each allocation instead
 *     sim_crash --astray [--workload NAME]  send each write to a sealed file astray instead
 *     sim_crash --sequences [--nested N]  of one, two and three operations, instead of the
 *                                    workloads; with --nested only of one
 *     sim_crash --lies               take one kind of sync after the other away
 *
 * --first ends it at the first violation. TXKIT_TEST_SCALE scales the number of rounds, samples and
 * failures (1: normal).
 */
#include <inttypes.h>
#include <time.h>

#include "sim/crash_internal.h"

#define DISTINCT_MIN 100000u /* disks that a normal run must have seen */
#define SEQUENCES_DISTINCT_MIN 2000000u
#define SEQUENCES_SCALE 0.03 /* there are so many that few cuts are drawn at each point */
#define LIES_SCALE_MIN 0.02
#define ASTRAY_SCALE_MIN 0.01
#define PROFILES (SIM_BTRFS + 1)
#ifdef __SANITIZE_ADDRESS__
#define BUILD_SCALE 0.02 /* the sanitizers are slow */
#else
#define BUILD_SCALE 1.0
#endif

static double seconds(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static double scale(void)
{
    const char *text = getenv("TXKIT_TEST_SCALE");
    double value = text != NULL ? strtod(text, NULL) : 1;
    return (value > 0 ? value : 1) * BUILD_SCALE;
}

/* The first round tries everything on the weakest disk, the others sample. Two workloads would take
 * half of the time: below a scale of 4 fewer cuts are drawn for them. */
static struct crash_limits limits_for(double factor, uint64_t round, bool is_large)
{
    unsigned share = is_large && factor < 4 ? 4 : 1;
    struct crash_limits limits = {
        .plan = {.exhaustive_max = 10, .samples = 256 / share, .tears = 1},
        .nested_plan = {.exhaustive_max = 3, .samples = 6, .tears = 1, .seed = 9},
        .nested_every = 100 * share,
        .verify_every = 4,
        .nested_points = 10,
    };
    factor = round > 0 && factor > 0.2 ? 0.2 : factor;
    if (factor < 1) {
        limits.plan.exhaustive_max = 6;
        limits.plan.samples = (unsigned)(256 * factor) + 4;
        limits.nested_every = (uint64_t)(100 / factor);
        limits.points_every = factor < 0.1 ? (unsigned)(0.1 / factor + 0.5) : 1;
    } else {
        limits.plan.samples *= (unsigned)factor;
    }
    return limits;
}

static void run_one(const struct crash_workload *workload, uint64_t seed, enum sim_profile profile,
                    const struct crash_limits *limits, struct crash_totals *totals)
{
    struct crash_run run;
    double start = seconds();
    size_t distinct = totals->seen.count;
    uint64_t images = totals->images;
    uint64_t boots = totals->boots;
    uint64_t violations = totals->violations;
    crash_run_record(&run, workload, seed, profile);
    crash_check_run(&run, profile, limits, totals);
    double took = seconds() - start;
    (void)printf("%-18s seed %-2" PRIu64 " %-7s %4u points %8" PRIu64
                 " images %7zu distinct %7" PRIu64 " boots %6.1f s",
                 workload->name, seed, crash_profile_name(profile), run.point_count,
                 totals->images - images, totals->seen.count - distinct, totals->boots - boots,
                 took);
    if (totals->violations > violations) {
        (void)printf(", %" PRIu64 " violations", totals->violations - violations);
    }
    (void)printf("\n");
    (void)fflush(stdout);
    crash_run_release(&run);
}

static enum sim_profile profile_of(const struct crash_options *options, uint64_t round)
{
    return options->profile >= 0 ? (enum sim_profile)options->profile
                                 : (enum sim_profile)(round % PROFILES);
}

/* A harness in which nothing is lost or torn shows nothing. */
static bool is_healthy(const struct crash_totals *totals, uint64_t distinct_min)
{
    struct sim_counters counters;
    sim_get_counters(&counters);
    (void)printf("images %" PRIu64 ": with losses %" PRIu64 ", reordered %" PRIu64 ", torn %" PRIu64
                 ", torn attributes %" PRIu64 "; %" PRIu64 " checks of order\n",
                 counters.images, counters.lost, counters.reordered, counters.torn,
                 counters.torn_attributes, totals->ordered);
    bool healthy = counters.lost > 0 && counters.reordered > 0 && counters.torn > 0 &&
                   totals->ordered > 0;
    if (totals->seen.count < distinct_min) {
        (void)printf("too few distinct disks: %zu of %" PRIu64 "; draw more (limits_for)\n",
                     totals->seen.count, distinct_min);
        healthy = false;
    }
    return healthy;
}

/* Say what was done. True when that is good, and enough. */
static bool sum_up(const struct crash_totals *totals, double start, uint64_t distinct_min)
{
    (void)printf("%" PRIu64 " runs, %" PRIu64
                 " points, %zu distinct disks (%zu by more than times, %" PRIu64
                 " by a second cut), %" PRIu64 " boots to %zu ends, %" PRIu64
                 " read through, %" PRIu64 " violations, %.0f s\n",
                 totals->runs, totals->points, totals->seen.count, totals->timeless.count,
                 totals->nested, totals->boots, totals->ends.count, totals->verified,
                 totals->violations, seconds() - start);
    return is_healthy(totals, distinct_min) && totals->violations == 0 && totals->runs > 0;
}

static void run_once(const struct crash_options *options, const struct crash_workload *workload,
                     double factor, uint64_t round, struct crash_totals *totals)
{
    struct crash_limits limits = limits_for(factor, round, workload->is_large);
    limits.nested_every = options->nested != 0 ? options->nested : limits.nested_every;
    limits.violations_max = options->first;
    if (!options->first || totals->violations == 0) {
        run_one(workload, options->seed != 0 ? options->seed : round + 1,
                profile_of(options, round), &limits, totals);
    }
}

static void run_round(const struct crash_options *options, double factor, uint64_t round,
                      struct crash_totals *totals)
{
    if (options->workload != NULL) {
        run_once(options, crash_workload_named(options->workload), factor, round, totals);
        return;
    }
    for (const struct crash_workload *at = crash_workloads; at->name != NULL; at++) {
        run_once(options, at, factor, round, totals);
    }
}

static int run_all(const struct crash_options *options)
{
    double factor = scale();
    double start = seconds();
    struct crash_totals totals = {0};
    uint64_t rounds = options->rounds != 0 ? options->rounds : factor < 0.1 ? 1 : PROFILES;
    for (uint64_t round = 0; round < rounds; round++) {
        run_round(options, factor, round, &totals);
    }
    bool is_full = options->workload == NULL && factor >= 1;
    bool good = sum_up(&totals, start, is_full ? DISTINCT_MIN : 0);
    crash_totals_release(&totals);
    if (good && options->workload == NULL) {
        /* With fewer cuts than that a lie may go unnoticed by chance. */
        double enough = factor < LIES_SCALE_MIN ? LIES_SCALE_MIN : factor;
        struct crash_limits limits = limits_for(enough < 0.2 ? enough : 0.2, 0, false);
        good = crash_lies(&limits);
    }
    return good ? 0 : 1;
}

/* --- Sequences of operations ------------------------------------------------------------------ */

struct sequences {
    struct crash_limits limits;
    struct crash_totals totals;
    uint64_t count;
    uint64_t every; /* one in so many of those with more than one step ... */
    uint64_t trees_every; /* ... and of these, on all trees but the first */
    uint64_t ways_every;  /* ... and of these, with more between them than a commit */
    bool short_ones; /* of one step only */
    bool first;      /* end at the first violation */
};

static bool run_sequence(void *arg, const struct crash_sequence *sequence)
{
    struct sequences *all = arg;
    struct crash_run run;
    uint64_t every = all->every * (sequence->tree > 0 ? all->trees_every : 1) *
                     (sequence->way > CRASH_APART ? all->ways_every : 1);
    bool is_long = sequence->count > 1;
    bool skip = is_long && (all->short_ones || sim_mix(++all->count, 1) % every != 0);
    if (skip || (all->first && all->totals.violations > 0)) {
        return true;
    }
    crash_run_record(&run, &sequence->workload, 1, SIM_WEAKEST);
    bool possible = !run.is_moot;
    if (possible) {
        crash_check_run(&run, SIM_WEAKEST, &all->limits, &all->totals);
    }
    crash_run_release(&run);
    return possible;
}

/* From a scale of a half on none is left out on the first tree, from 4 on none on any, from 10 on
 * none in any way. With --nested those of one step, whose recoveries are then cut at each point. */
static int run_sequences(const struct crash_options *options)
{
    double factor = scale();
    double start = seconds();
    bool is_full = factor >= 0.5;
    bool is_soak = factor >= 4;
    struct sequences all = {
        .limits = limits_for(is_soak ? factor / 40 : SEQUENCES_SCALE, 0, false),
        .every = is_full ? 1 : (uint64_t)(0.5 / factor),
        .trees_every = is_soak ? 1 : 16,
        .ways_every = factor >= 10 ? 1 : 16,
        .short_ones = options->nested != 0,
        .first = options->first,
    };
    all.limits.points_every = 1;
    all.limits.violations_max = options->first;
    if (all.short_ones) {
        all.limits.nested_every = options->nested;
        all.limits.nested_points = UINT32_MAX - 1;
    }
    crash_each_sequence((uint64_t)(1000 * factor), run_sequence, &all);
    bool is_enough = is_full && !all.short_ones;
    bool good = sum_up(&all.totals, start, is_enough ? SEQUENCES_DISTINCT_MIN : 0);
    crash_totals_release(&all.totals);
    return good ? 0 : 1;
}

static int replay(const char *text)
{
    struct crash_case which;
    const struct crash_workload *workload = NULL;
    uint64_t seed = 0;
    uint64_t index = 0;
    if (!crash_case_parse(text, &which, &workload, &seed, &index)) {
        (void)fprintf(stderr, "\"%s\": no case\n", text);
        return 2;
    }
    struct crash_run run;
    crash_run_record(&run, workload, seed, which.profile);
    which.run = &run;
    for (unsigned i = 0; i < run.point_count; i++) {
        if (run.points[i].index == index) {
            which.point = &run.points[i];
        }
    }
    bool good = which.point != NULL && crash_replay(&which);
    crash_run_release(&run);
    return good ? 0 : 1;
}

static int run_failures(const struct crash_options *options)
{
    double factor = scale();
    struct crash_tally tally = {.every = factor < 1 ? (uint64_t)(1 / factor) : 1,
                                .first = options->first};
    if (options->astray) { /* there are so few */
        tally.every = factor < ASTRAY_SCALE_MIN ? 20 : 1;
    }
    bool good = options->faults   ? crash_faults(options->workload, &tally)
                : options->memory ? crash_memory(options->workload, &tally)
                                  : crash_astray(options->workload, &tally);
    return good ? 0 : 1;
}

static void list_workloads(void)
{
    for (const struct crash_workload *at = crash_workloads; at->name != NULL; at++) {
        (void)printf("%s\n", at->name);
    }
}

int main(int argc, char **argv)
{
    struct crash_options options;
    sim_keep_heap();
    if (!crash_options_parse(argc, argv, &options)) {
        (void)fprintf(stderr, "see the head of crash_main.c\n");
        return 2;
    }
    if (options.workload != NULL && crash_workload_named(options.workload) == NULL) {
        (void)fprintf(stderr, "no workload \"%s\"; --list shows them\n", options.workload);
        return 2;
    }
    if (options.list) {
        list_workloads();
        return 0;
    }
    if (options.faults || options.memory || options.astray) {
        return run_failures(&options);
    }
    if (options.sequences) {
        return run_sequences(&options);
    }
    if (options.lies) {
        /* They end at the first violation, and need enough cuts to meet it. */
        struct crash_limits limits = limits_for(scale() < 1 ? 1 : scale(), 0, false);
        return crash_lies(&limits) ? 0 : 1;
    }
    return options.replay != NULL ? replay(options.replay) : run_all(&options);
}
