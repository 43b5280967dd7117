/* SPDX-License-Identifier: MIT */
/* All disks of all points of a run, each different one booted once. */
#include <inttypes.h>

#include "sim/crash_internal.h"

#define REPORTS_MAX 5u /* of one run */

struct check {
    struct crash_run *run;
    const struct crash_limits *limits;
    struct crash_totals *totals;
    struct crash_set outcomes; /* hash of a disk -> bits of the states that it may recover to */
    unsigned reports;
    struct crash_case now;
    uint64_t legal;  /* at the point in hand, as bits */
    uint64_t bits;   /* out of the nested disks of the disk in hand */
    uint64_t exact;  /* a nested disk cut after the opening must recover to this */
};

static bool quiet;

void crash_check_quietly(bool quietly) { quiet = quietly; }

/* --- Reporting -------------------------------------------------------------------------------- */

static void print_states(const struct crash_run *run, const struct crash_point *point,
                         const struct crash_verdict *verdict)
{
    unsigned known = verdict->state;
    if (known < CRASH_STATES_MAX) {
        (void)printf("  it is state %u\n", known);
    }
    (void)printf("  acknowledged: state %u%s; it differs (- expected, + found):\n",
                 point->acknowledged, point->in_flight ? ", the next is in flight" : "");
    crash_state_diff(&run->states[point->acknowledged], &verdict->found, stdout);
    if (point->in_flight && point->acknowledged + 1 < run->state_count) {
        (void)printf("  and from the next one:\n");
        crash_state_diff(&run->states[point->acknowledged + 1], &verdict->found, stdout);
    }
}

static void report(struct check *check, const struct crash_verdict *verdict)
{
    char text[CRASH_CASE_TEXT_SIZE];
    check->totals->violations++;
    if (check->reports++ >= REPORTS_MAX || quiet) {
        return;
    }
    crash_case_format(&check->now, text);
    (void)printf("VIOLATION before %s, replay with --replay %s\n", check->now.point->op, text);
    if (verdict->broken) {
        (void)printf("  %s\n", verdict->text);
        crash_state_diff(&verdict->found, &verdict->again, stdout);
    } else {
        print_states(check->run, check->now.point, verdict);
    }
    (void)fflush(stdout);
}

/* --- Disks ------------------------------------------------------------------------------------ */

void crash_totals_release(struct crash_totals *totals)
{
    crash_set_release(&totals->seen);
    crash_set_release(&totals->timeless);
    crash_set_release(&totals->ends);
}

static bool is_new_disk(struct check *check, const struct sim_image *image)
{
    bool is_new = false;
    (void)crash_set_at(&check->totals->timeless, sim_image_hash_timeless(image), &is_new);
    (void)crash_set_at(&check->totals->seen, sim_image_hash(image), &is_new);
    return is_new;
}

static bool one_in(uint64_t hash, uint64_t every, uint64_t salt)
{
    return every != 0 && sim_mix(hash, salt) % every == 0;
}

/* Boot it and say which state it comes to, as a bit; 0 after a violation of its own. */
static uint64_t outcome_of(struct check *check, struct sim_image *image, struct crash_inner *inner)
{
    struct crash_verdict verdict;
    struct crash_scrutiny how = {
        .read_through = one_in(sim_image_hash(image), check->limits->verify_every, 1),
        .inner = inner,
        .ends = &check->totals->ends,
    };
    check->totals->boots++;
    crash_verify(check->run, image, &how, &verdict);
    check->totals->verified += verdict.read_through;
    uint64_t bit = verdict.state < CRASH_STATES_MAX ? UINT64_C(1) << verdict.state : 0;
    if (verdict.broken || (bit & check->legal) == 0) {
        report(check, &verdict);
        bit = 0;
    }
    crash_verdict_release(&verdict);
    return bit;
}

static bool check_nested(void *arg, struct sim_image *image, const struct sim_choice *choice)
{
    struct check *check = arg;
    uint64_t hash = sim_image_hash(image);
    bool is_new = false;
    check->totals->images++;
    (void)crash_set_at(&check->outcomes, hash, &is_new);
    if (!is_new) {
        return true;
    }
    check->totals->nested += is_new_disk(check, image);
    check->now.nested_choice = *choice;
    uint64_t bit = outcome_of(check, image, NULL);
    *crash_set_at(&check->outcomes, hash, &is_new) = bit;
    if (check->exact != 0 && bit != 0 && bit != check->exact) {
        struct crash_verdict verdict = {.broken = true};
        (void)snprintf(verdict.text, sizeof verdict.text,
                       "another state than the one that was seen before the second cut");
        report(check, &verdict);
    }
    check->bits |= bit;
    return true;
}

/* Cut the power again inside the recovery of a disk. */
static void cut_again(struct check *check, struct crash_inner *inner, uint64_t bit)
{
    unsigned step = inner->count / (check->limits->nested_points + 1) + 1;
    check->now.nested = true;
    for (unsigned i = 0; i < inner->count; i += step) {
        const struct crash_point *point = &inner->points[i];
        struct sim_plan plan = check->limits->nested_plan;
        plan.seed += point->index;
        check->now.nested_index = point->index;
        check->exact = point->acknowledged != 0 ? bit : 0;
        (void)sim_crash_each(point->cut, &plan, check_nested, check);
    }
    check->now.nested = false;
}

static uint64_t check_new(struct check *check, struct sim_image *image)
{
    struct crash_inner inner = {.points = NULL};
    bool again = one_in(sim_image_hash(image), check->limits->nested_every, 2);
    check->bits = 0;
    uint64_t bit = outcome_of(check, image, again ? &inner : NULL);
    if (again && bit != 0) {
        cut_again(check, &inner, bit);
    }
    crash_inner_release(&inner);
    return bit | check->bits;
}

static bool check_disk(void *arg, struct sim_image *image, const struct sim_choice *choice)
{
    struct check *check = arg;
    uint64_t hash = sim_image_hash(image);
    bool is_new = false;
    check->totals->images++;
    check->now.choice = *choice;
    uint64_t outcome = *crash_set_at(&check->outcomes, hash, &is_new);
    if (is_new) {
        (void)is_new_disk(check, image);
        outcome = check_new(check, image);
        *crash_set_at(&check->outcomes, hash, &is_new) = outcome;
    } else if ((outcome & ~check->legal) != 0) {
        /* Legal when it was met first, not any more: boot it again, to say how it differs. */
        if (outcome_of(check, image, NULL) != 0) {
            struct crash_verdict verdict = {.broken = true};
            (void)snprintf(verdict.text, sizeof verdict.text,
                           "a cut inside its recovery leads to a state that is not legal any more");
            report(check, &verdict);
        }
    }
    return check->limits->violations_max == 0 || check->reports < check->limits->violations_max;
}

/* A cut at the next point may leave whatever it leaves at this one, with the same to be found, and
 * all of it is tried there. */
static bool says_nothing_new(const struct check *check, unsigned i)
{
    const struct crash_run *run = check->run;
    return i + 1 < run->point_count && check->limits->points_every <= 1 &&
           sim_capture_units(run->points[i + 1].cut) <= check->limits->plan.exhaustive_max &&
           crash_legal(run, &run->points[i]) == crash_legal(run, &run->points[i + 1]) &&
           sim_capture_grew(run->points[i].cut, run->points[i + 1].cut);
}

void crash_check_run(struct crash_run *run, enum sim_profile profile,
                     const struct crash_limits *limits, struct crash_totals *totals)
{
    struct check check = {.run = run, .limits = limits, .totals = totals};
    check.now.run = run;
    check.now.profile = profile;
    totals->runs++;
    unsigned step = limits->points_every > 0 ? limits->points_every : 1;
    for (unsigned i = 0; i < run->point_count; i += step) {
        if (limits->violations_max != 0 && check.reports >= limits->violations_max) {
            break;
        }
        totals->points++;
        if (says_nothing_new(&check, i)) {
            continue;
        }
        struct sim_plan plan = limits->plan;
        plan.seed = sim_mix(run->seed, run->points[i].index);
        check.now.point = &run->points[i];
        check.legal = crash_legal(run, check.now.point);
        (void)sim_crash_each(run->points[i].cut, &plan, check_disk, &check);
    }
    crash_set_release(&check.outcomes);
    totals->ordered += run->order.order.checks;
    totals->violations += run->order.order.violations;
    if (run->order.order.violations > 0 && !quiet) {
        (void)printf("VIOLATION of the order of operations in %s, seed %" PRIu64 ": %s\n",
                     run->workload->name, run->seed, run->order.order.first);
    }
}

/* --- Replaying -------------------------------------------------------------------------------- */

static struct sim_image *nested_image(const struct crash_case *which, struct sim_image *image)
{
    struct crash_inner inner = {.points = NULL};
    struct crash_verdict verdict;
    struct sim_image *nested = NULL;
    crash_verify(which->run, image, &(struct crash_scrutiny){.inner = &inner}, &verdict);
    for (unsigned i = 0; i < inner.count; i++) {
        if (inner.points[i].index == which->nested_index) {
            (void)printf("pending inside the recovery, before %s:\n", inner.points[i].op);
            sim_capture_print(inner.points[i].cut, stdout);
            nested = sim_crash_image(inner.points[i].cut, &which->nested_choice);
        }
    }
    crash_verdict_release(&verdict);
    crash_inner_release(&inner);
    return nested;
}

bool crash_replay(const struct crash_case *which)
{
    struct sim_image *image = sim_crash_image(which->point->cut, &which->choice);
    (void)printf("pending before %s:\n", which->point->op);
    sim_capture_print(which->point->cut, stdout);
    if (which->nested) {
        struct sim_image *nested = nested_image(which, image);
        sim_image_drop(image);
        image = nested;
    }
    if (image == NULL) {
        (void)printf("no such point inside the recovery\n");
        return false;
    }
    struct txio *io = sim_boot(image, NULL);
    (void)printf("the disk:\n");
    sim_print(io, stdout);
    sim_free(io);
    struct crash_verdict verdict;
    crash_verify(which->run, image, &(struct crash_scrutiny){.read_through = true}, &verdict);
    bool legal = verdict.state < CRASH_STATES_MAX &&
                 (crash_legal(which->run, which->point) >> verdict.state & 1) != 0;
    (void)printf("%s\n", verdict.broken ? verdict.text : legal ? "legal" : "not legal");
    if (!verdict.broken && !legal) {
        print_states(which->run, which->point, &verdict);
    }
    crash_verdict_release(&verdict);
    sim_image_drop(image);
    return legal && !verdict.broken;
}
