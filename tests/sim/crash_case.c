/* SPDX-License-Identifier: MIT */
/* Naming one disk, so that it can be made again. */
#include <inttypes.h>

#include "sim/crash_internal.h"

uint64_t crash_legal(const struct crash_run *run, const struct crash_point *point)
{
    uint64_t now = run->states[point->acknowledged].hash;
    uint64_t legal = UINT64_C(1) << crash_state_index(run, now);
    if (point->in_flight && point->acknowledged + 1 < run->state_count) {
        uint64_t next = run->states[point->acknowledged + 1].hash;
        legal |= UINT64_C(1) << crash_state_index(run, next);
    }
    return legal;
}

unsigned crash_state_index(const struct crash_run *run, uint64_t hash)
{
    unsigned i = 0;
    while (i < run->state_count && run->states[i].hash != hash) {
        i++;
    }
    return i < run->state_count ? i : CRASH_STATES_MAX;
}

void crash_case_format(const struct crash_case *which, char text[CRASH_CASE_TEXT_SIZE])
{
    char choice[SIM_CHOICE_TEXT_SIZE];
    sim_choice_format(&which->choice, choice);
    int size = snprintf(text, CRASH_CASE_TEXT_SIZE, "%s,%" PRIu64 ",%s,%" PRIu64 ",%s",
                        which->run->workload->name, which->run->seed,
                        crash_profile_name(which->profile), which->point->index, choice);
    if (which->nested && size > 0 && (size_t)size < CRASH_CASE_TEXT_SIZE) {
        sim_choice_format(&which->nested_choice, choice);
        (void)snprintf(text + size, CRASH_CASE_TEXT_SIZE - (size_t)size, ",%" PRIu64 ",%s",
                       which->nested_index, choice);
    }
}

const struct crash_workload *crash_workload_named(const char *name)
{
    static struct crash_sequence sequence;
    for (const struct crash_workload *at = crash_workloads; at->name != NULL; at++) {
        if (strcmp(at->name, name) == 0) {
            return at;
        }
    }
    return crash_sequence_parse(&sequence, name) ? &sequence.workload : NULL;
}

bool crash_profile_named(const char *name, enum sim_profile *profile)
{
    for (int i = SIM_WEAKEST; i <= SIM_BTRFS; i++) {
        if (strcmp(crash_profile_name((enum sim_profile)i), name) == 0) {
            *profile = (enum sim_profile)i;
            return true;
        }
    }
    return false;
}

bool crash_case_parse(const char *text, struct crash_case *which,
                      const struct crash_workload **workload, uint64_t *seed, uint64_t *index)
{
    char name[CRASH_SEQUENCE_NAME_SIZE];
    char profile[16];
    char choices[2][SIM_CHOICE_TEXT_SIZE];
    *which = (struct crash_case){.run = NULL};
    int count = sscanf(text,
                       "%119[^,],%" SCNu64 ",%15[^,],%" SCNu64 ",%63[^,],%" SCNu64 ",%63[^,]", name,
                       seed, profile, index, choices[0], &which->nested_index, choices[1]);
    if (count != 5 && count != 7) {
        return false;
    }
    which->nested = count == 7;
    *workload = crash_workload_named(name);
    return *workload != NULL && crash_profile_named(profile, &which->profile) &&
           sim_choice_parse(choices[0], &which->choice) &&
           (!which->nested || sim_choice_parse(choices[1], &which->nested_choice));
}
