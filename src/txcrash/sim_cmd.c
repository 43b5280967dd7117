/* SPDX-License-Identifier: MIT */
/* txcrash sim: the library itself on a simulated machine; the work is done by tests/sim/swarm.h. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sim_options.h"

struct sim_command {
    struct sim_request request;
    struct report *report;
    uint64_t violations;
    uint64_t counters[SWARM_COUNTERS];
    uint64_t hash;   /* of all traces, in no order */
    uint64_t *disks; /* an open hash of the disks seen; 0: free */
    size_t disk_count, disk_room;
};

static void *need(void *memory)
{
    if (!memory) {
        fputs("txcrash sim: out of memory\n", stderr);
        exit(TXCRASH_CONVICTED);
    }
    return memory;
}

static void add_disk(struct sim_command *command, uint64_t hash)
{
    if (command->disk_count * 2 >= command->disk_room) {
        uint64_t *old = command->disks;
        size_t room = command->disk_room;
        command->disk_room = room ? room * 2 : 4096;
        command->disks = need(calloc(command->disk_room, sizeof *command->disks));
        command->disk_count = 0;
        for (size_t i = 0; i < room; i++) {
            if (old[i] != 0) {
                add_disk(command, old[i]);
            }
        }
        free(old);
    }
    size_t at = (size_t)hash & (command->disk_room - 1);
    while (command->disks[at] != 0 && command->disks[at] != hash) {
        at = (at + 1) & (command->disk_room - 1);
    }
    command->disk_count += command->disks[at] == 0;
    command->disks[at] = hash;
}

#define SHRINK_MAX 3u /* violations that are made smaller: each takes some dozen runs */

static void add_violation(struct sim_command *command, uint64_t seed,
                          const struct swarm_result *result)
{
    struct swarm_limits limits = command->request.limits;
    struct swarm_result shown = *result;
    char words[400];
    char again[512];
    if (command->violations++ < SHRINK_MAX && !command->request.one) {
        (void)swarm_shrink(seed, &limits, &shown);
    }
    sim_print_limits(&limits, words, sizeof words);
    (void)snprintf(again, sizeof again, "txcrash sim --seed %" PRIu64 "%s", seed, words);
    char choice[32];
    (void)snprintf(choice, sizeof choice, "seed %" PRIu64, seed);
    report_state(command->report, &(struct report_state){.event = 0,
                                                         .verdict = REPORT_VIOLATION,
                                                         .choice = choice,
                                                         .message = shown.text,
                                                         .reproduce = again});
}

static bool seen(void *arg, uint64_t seed, const struct swarm_result *result)
{
    struct sim_command *command = arg;
    command->hash += result->trace_hash;
    for (unsigned i = 0; i < SWARM_COUNTERS; i++) {
        command->counters[i] += result->counters[i];
    }
    for (unsigned i = 0; i < result->disk_count; i++) {
        add_disk(command, result->disks[i]);
    }
    if (result->violation) {
        add_violation(command, seed, result);
    } else {
        report_state(command->report, &(struct report_state){.verdict = REPORT_FINE});
    }
    return command->request.states_max == 0 || command->disk_count < command->request.states_max;
}

/* --- The command ------------------------------------------------------------------------------ */

static void describe(struct sim_command *command)
{
    char text[64];
    if (command->request.one) {
        (void)snprintf(text, sizeof text, "%" PRIu64, command->request.first);
    } else {
        (void)snprintf(text, sizeof text, "%" PRIu64 " to %" PRIu64, command->request.first,
                       command->request.last);
    }
    report_note(command->report, command->request.one ? "seed" : "seeds", text);
}

static void count(struct sim_command *command)
{
    char text[64];
    for (unsigned i = 0; i < SWARM_COUNTERS; i++) {
        report_count(command->report, swarm_counter_words(i), command->counters[i]);
    }
    report_count(command->report, "different disks", command->disk_count);
    (void)snprintf(text, sizeof text, "%016" PRIx64, command->hash);
    report_note(command->report, "trace hash", text);
}

static int run(int argc, char **argv)
{
    long processors = sysconf(_SC_NPROCESSORS_ONLN);
    struct sim_command command = {.request = {.first = 1}};
    command.request.jobs = processors > 0 && processors < 64 ? (unsigned)processors : 1;
    int code = sim_parse_options(&command.request, argc, argv);
    if (code != TXCRASH_FINE) {
        return code;
    }
    command.report = report_new("sim", sim_profile_names[command.request.limits.profile]);
    command.request.limits.trace = command.request.one && !command.request.outputs.quiet;
    describe(&command);
    const struct sim_request *request = &command.request;
    bool fine = swarm_many(request->first, request->last, request->one ? 1 : request->jobs,
                           &request->limits, seen, &command);
    if (!fine) {
        fprintf(stderr, "txcrash sim: no process can be made: %s\n", strerror(errno));
    }
    count(&command);
    code = report_finish(command.report, &command.request.outputs);
    report_free(command.report);
    free(command.disks);
    return fine ? code : TXCRASH_CONVICTED;
}

const struct txcrash_command txcrash_sim = {
    .name = "sim",
    .summary = "the library itself, on a simulated machine",
    .print_usage = sim_print_usage,
    .run = run,
};
