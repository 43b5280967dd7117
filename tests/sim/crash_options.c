/* SPDX-License-Identifier: MIT */
/* The command line of sim_crash. */
#include <stddef.h>

#include "sim/crash_internal.h"

static const struct {
    const char *name;
    size_t at; /* of a bool in the options */
} flags[] = {
    {"--list", offsetof(struct crash_options, list)},
    {"--lies", offsetof(struct crash_options, lies)},
    {"--faults", offsetof(struct crash_options, faults)},
    {"--memory", offsetof(struct crash_options, memory)},
    {"--astray", offsetof(struct crash_options, astray)},
    {"--sequences", offsetof(struct crash_options, sequences)},
    {"--first", offsetof(struct crash_options, first)},
};

static bool parse_flag(const char *text, struct crash_options *options)
{
    for (size_t i = 0; i < sizeof flags / sizeof *flags; i++) {
        if (strcmp(text, flags[i].name) == 0) {
            *(bool *)((char *)options + flags[i].at) = true;
            return true;
        }
    }
    return false;
}

static bool parse_value(const char *text, const char *value, struct crash_options *options)
{
    enum sim_profile profile;
    if (strcmp(text, "--workload") == 0) {
        options->workload = value;
    } else if (strcmp(text, "--replay") == 0) {
        options->replay = value;
    } else if (strcmp(text, "--seed") == 0) {
        options->seed = strtoull(value, NULL, 10);
    } else if (strcmp(text, "--rounds") == 0) {
        options->rounds = strtoull(value, NULL, 10);
    } else if (strcmp(text, "--nested") == 0) {
        options->nested = strtoull(value, NULL, 10);
    } else if (strcmp(text, "--profile") == 0 && crash_profile_named(value, &profile)) {
        options->profile = (int)profile;
    } else {
        return false;
    }
    return true;
}

bool crash_options_parse(int argc, char **argv, struct crash_options *options)
{
    *options = (struct crash_options){.profile = -1};
    for (int i = 1; i < argc; i++) {
        if (parse_flag(argv[i], options)) {
            continue;
        }
        if (i + 1 == argc || !parse_value(argv[i], argv[i + 1], options)) {
            return false;
        }
        i++;
    }
    return true;
}
