/* SPDX-License-Identifier: MIT */
/* What `txcrash sim` was asked for. */
#ifndef TXCRASH_SIM_OPTIONS_H
#define TXCRASH_SIM_OPTIONS_H

#include <stddef.h>

#include "report.h"
#include "sim/swarm.h"
#include "txcrash.h"

struct sim_request {
    uint64_t first, last;
    uint64_t count;      /* --count; 0: not said */
    uint64_t states_max; /* 0: no limit */
    unsigned jobs;
    bool range; /* --seeds */
    bool one;   /* one seed: say what happens */
    struct swarm_limits limits;
    struct report_outputs outputs;
};

extern const char *const sim_profile_names[]; /* by enum swarm_profile */

void sim_print_usage(FILE *to);
/* Answers an exit code; what is wrong is said on standard error. */
int sim_parse_options(struct sim_request *request, int argc, char **argv);
/* The options that make the same history again, each with a space before. */
void sim_print_limits(const struct swarm_limits *limits, char *text, size_t size);

#endif
