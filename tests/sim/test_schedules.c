/* SPDX-License-Identifier: MIT */
/*
 * Directed schedules: a few processes, each with a fixed list of things to do, and the scheduler
 * changes over from one to the next at each call of the seam in turn (all of them), then at drawn
 * pairs and triples of calls. After each the store must get well and hold what the model says.
 *
 * What a process does is a word: o open, c close, k checkpoint, t transaction, r read everything.
 * In the word of what happened before, ! cuts the power and x kills the process.
 */
#include <inttypes.h>

#include "sim/swarm_internal.h"

#define PROCESSES_MAX 3u
#define SAMPLES 12000 /* of each scenario */

static const struct scenario {
    const char *name;
    const char *before;
    const char *processes[PROCESSES_MAX];
} scenarios[] = {
    {"checkpoint, checkpoint, reader", "otttttx", {"okkc", "okkc", "orrc"}},
    {"checkpoint, committer, reader", "otttkttx", {"okkc", "otttc", "orrrc"}},
    {"recovery, another opener", "ottt!", {"orc", "orc", NULL}},
    {"recovery, opener that commits", "otkttt!", {"otrc", "ottc", "orc"}},
    {"recovery after a kill, live manager", "otttx", {"ottkc", "otrc", NULL}},
    {"close, commit", "ott", {"otc", "ottc", NULL}},
    {"close, open, close", "ottc", {"oc", "oc", "otc"}},
    {"close with checkpoint, open", "otttc", {"otkc", "oc", "orc"}},
};

struct actor {
    struct swarm_process *process;
    const char *word;
};

static void transaction(struct swarm *swarm, struct swarm_process *process)
{
    struct swarm_work work = {.swarm = swarm, .process = process};
    if (!swarm_begin(&work)) {
        swarm_wrong(swarm, "begin: %s", work.err.text);
    }
    for (unsigned i = 0; i < 3; i++) {
        if (!swarm_operate(&work)) {
            swarm_roll_back(&work);
            return;
        }
    }
    swarm_commit(&work);
}

static void reading(struct swarm *swarm, struct swarm_process *process)
{
    struct swarm_work work = {.swarm = swarm, .process = process};
    if (!swarm_begin(&work) || !swarm_look_all(&work)) {
        swarm_wrong(swarm, "read: %s", work.err.text);
    }
    swarm_roll_back(&work);
}

static void checkpoint(struct swarm *swarm, struct swarm_process *process)
{
    struct tx_error err = {.text = ""};
    enum tx_status status = txstore_checkpoint(process->store, &err);
    swarm_expect(swarm, status, "checkpoint", &err);
}

static void act(void *arg)
{
    const struct actor *actor = arg;
    struct swarm_process *process = actor->process;
    struct swarm *swarm = process->swarm;
    for (const char *at = actor->word; *at != '\0' && *at != '!'; at++) {
        switch (*at) {
        case 'o':
            (void)swarm_open(process); /* without faults it says itself what is wrong */
            break;
        case 'c':
            swarm_close(process);
            break;
        case 'k':
            checkpoint(swarm, process);
            break;
        case 't':
            transaction(swarm, process);
            break;
        case 'r':
            reading(swarm, process);
            break;
        default:
            swarm_kill(process);
        }
    }
}

/* --- One schedule ----------------------------------------------------------------------------- */

static void carry_out(struct swarm *swarm, const char *const *words, unsigned count,
                      const struct sched_options *options)
{
    struct actor actors[PROCESSES_MAX];
    swarm_schedule(swarm, options);
    for (unsigned i = 0; i < count; i++) {
        struct swarm_process *process =
            swarm_process_new(swarm, sim_process_new(swarm->machine));
        actors[i] = (struct actor){process, words[i]};
        (void)sched_spawn(&swarm->sched, act, &actors[i], process->number);
    }
    if (sched_run(&swarm->sched) == SCHED_STUCK) {
        swarm_note_wrong(swarm, "everybody sleeps for ever");
    }
}

static unsigned actor_count(const struct scenario *scenario)
{
    unsigned count = 0;
    while (count < PROCESSES_MAX && scenario->processes[count] != NULL) {
        count++;
    }
    return count;
}

/* Answers the number of points at which the scheduler was asked. */
static uint64_t run(const struct scenario *scenario, const uint64_t *script, unsigned script_count,
                    struct swarm_result *result)
{
    struct swarm *swarm = sim_need(calloc(1, sizeof *swarm));
    const struct sched_options alone = {.policy = SCHED_SCRIPT, .seed = 1, .every = 1};
    const struct sched_options scripted = {.policy = SCHED_SCRIPT, .seed = 1, .every = 1,
                                           .script = script, .script_count = script_count};
    *result = (struct swarm_result){.violation = false};
    swarm->seed = 7;
    swarm->result = result;
    swarm->plan = (struct swarm_plan){.segment_size = 16384, .inline_max = 512, .history = 1,
                                      .conflict_entries = 64, .files = 2, .registry = 1};
    swarm_begin_history(swarm);
    swarm_switch_on(swarm, swarm_first_image(&swarm->plan));
    carry_out(swarm, &scenario->before, 1, &alone);
    swarm_unschedule(swarm);
    if (strchr(scenario->before, '!') != NULL) {
        struct sim_image *image = swarm_cut(swarm);
        swarm_switch_on(swarm, image);
        sim_image_drop(image);
    }
    carry_out(swarm, scenario->processes, actor_count(scenario), &scripted);
    uint64_t points = swarm->sched.points;
    swarm_unschedule(swarm);
    if (!result->violation) {
        swarm_get_well(swarm);
    }
    swarm_switch_off(swarm);
    swarm_end_history(swarm);
    free(swarm);
    return points;
}

static bool judge(const struct scenario *scenario, const uint64_t *script, unsigned script_count,
                  const struct swarm_result *result)
{
    if (!result->violation) {
        return true;
    }
    (void)printf("VIOLATION in \"%s\", changing over at", scenario->name);
    for (unsigned i = 0; i < script_count; i++) {
        (void)printf(" %" PRIu64, script[i]);
    }
    (void)printf(": %s\n", result->text);
    return false;
}

/* --- All schedules ---------------------------------------------------------------------------- */

static unsigned explore(const struct scenario *scenario, unsigned samples, unsigned *wrong)
{
    struct swarm_result result;
    uint64_t script[3];
    uint64_t random = 11;
    unsigned runs = 1;
    uint64_t points = run(scenario, NULL, 0, &result);
    *wrong += !judge(scenario, NULL, 0, &result);
    for (script[0] = 1; script[0] <= points && *wrong < 5; script[0]++, runs++) {
        (void)run(scenario, script, 1, &result);
        *wrong += !judge(scenario, script, 1, &result);
    }
    for (unsigned i = 0; i < samples && *wrong < 5; i++, runs++) {
        unsigned count = 2 + i % 2;
        uint64_t at = 0;
        for (unsigned k = 0; k < count; k++) {
            at += 1 + (sim_random(&random) >> 8) % (points / count);
            script[k] = at;
        }
        (void)run(scenario, script, count, &result);
        *wrong += !judge(scenario, script, count, &result);
    }
    (void)printf("%-36s %5" PRIu64 " points %6u schedules\n", scenario->name, points, runs);
    return runs;
}

/* 100,000 schedules in all from a scale of a half on. */
static unsigned samples_at_scale(void)
{
    const char *scale = getenv("TXKIT_TEST_SCALE");
    double times = scale != NULL ? strtod(scale, NULL) : 1;
    if (times <= 0 || (times >= 0.5 && times < 1)) {
        times = 1;
    } else if (times < 0.5) {
        times *= 2;
    }
    return (unsigned)(SAMPLES * times);
}

/* sim_schedules [SAMPLES]: so many of each scenario, not as many as the scale asks for. */
int main(int argc, char **argv)
{
    sim_keep_heap();
    unsigned samples = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : samples_at_scale();
    unsigned wrong = 0;
    unsigned runs = 0;
    for (unsigned i = 0; i < sizeof scenarios / sizeof *scenarios; i++) {
        runs += explore(&scenarios[i], samples, &wrong);
    }
    (void)printf("%u schedules, %u violations\n", runs, wrong);
    return wrong == 0 && runs > 1000 ? 0 : 1;
}
