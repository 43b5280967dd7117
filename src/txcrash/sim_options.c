/* SPDX-License-Identifier: MIT */
/* The options of `txcrash sim`, read and written. */
#include "sim_options.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static const struct {
    const char *name;
    enum swarm_counter counter;
} kinds[] = {
    {"cut", SWARM_CUT},
    {"kill", SWARM_KILL},
    {"read-error", SWARM_READ_ERROR},
    {"write-error", SWARM_WRITE_ERROR},
    {"late-error", SWARM_LATE_ERROR},
    {"short", SWARM_SHORT},
    {"flip", SWARM_FLIP},
    {"stale", SWARM_STALE},
    {"misdirect", SWARM_ASTRAY},
    {"sync-keeps", SWARM_SYNC_KEEPS},
    {"sync-reverts", SWARM_SYNC_REVERTS},
    {"sync-late", SWARM_SYNC_LATE},
    {"space", SWARM_NO_SPACE},
    {"files", SWARM_NO_FILES},
    {"lock", SWARM_NO_LOCK},
    {"memory", SWARM_NO_MEMORY},
    {"clock", SWARM_CLOCK},
    {"garbage", SWARM_GARBAGE},
};
#define KINDS (sizeof kinds / sizeof *kinds)

const char *const sim_profile_names[] = {"any", "weakest", "ext4", "xfs", "btrfs"};
#define PROFILES (sizeof sim_profile_names / sizeof *sim_profile_names)

void sim_print_usage(FILE *to)
{
    fputs("usage: txcrash sim [OPTION...]\n\n"
          "Use the library from several simulated processes and threads on a machine whose power\n"
          "fails, whose calls fail and whose processes are killed, and compare what they see with\n"
          "a model. Each history follows from its seed.\n\n"
          "  --count N            so many seeds, from --seed on or from 1 (2000)\n"
          "  --seeds FIRST-LAST   these\n"
          "  --seed N             without --count this one; say what happens in it\n"
          "  --states N           stop when N different disks have been seen\n"
          "  --profile NAME       weakest, ext4, xfs or btrfs; else each seed draws one\n"
          "  --jobs N             processes that work side by side (one per processor)\n"
          "  --without KIND,...   faults that do not happen:\n"
          "                       ",
          to);
    for (size_t i = 0; i < KINDS; i++) {
        fprintf(to, "%s%s", kinds[i].name, i + 1 == KINDS ? "\n" : i % 8 == 7 ? ",\n"
                            "                       " : ", ");
    }
    fputs("  --transactions N     at most so many in a history\n"
          "  --processes N        at most so many at once\n"
          "  --threads N          at most so many in each process\n"
          "  --lie                syncs of the log do nothing: violations must be found\n"
          "  --json FILE          write the report as JSON\n"
          "  --html FILE          write it as a page\n"
          "  --quiet              print nothing but errors\n",
          to);
}

/* --- Options ---------------------------------------------------------------------------------- */

static int complain(const char *option, const char *value)
{
    fprintf(stderr, "txcrash sim: --%s: '%s' is no value for it\n", option, value);
    return TXCRASH_USAGE;
}

static bool parse_number(const char *text, uint64_t *number)
{
    char *end = NULL;
    errno = 0;
    *number = strtoull(text, &end, 0);
    return errno == 0 && end != text && *end == '\0' && text[0] != '-';
}

static bool parse_unsigned(const char *text, unsigned *number)
{
    uint64_t value = 0;
    if (!parse_number(text, &value) || value > 1000000) {
        return false;
    }
    *number = (unsigned)value;
    return true;
}

static bool parse_range(const char *text, uint64_t *first, uint64_t *last)
{
    char left[32];
    const char *dash = strchr(text, '-');
    if (!dash || dash == text || (size_t)(dash - text) >= sizeof left) {
        return false;
    }
    memcpy(left, text, (size_t)(dash - text));
    left[dash - text] = '\0';
    return parse_number(left, first) && parse_number(dash + 1, last) && *first <= *last;
}

static bool parse_kinds(const char *text, uint64_t *without)
{
    while (*text != '\0') {
        size_t size = strcspn(text, ",");
        size_t i = 0;
        while (i < KINDS && (strncmp(kinds[i].name, text, size) != 0 || kinds[i].name[size])) {
            i++;
        }
        if (i == KINDS) {
            return false;
        }
        *without |= UINT64_C(1) << kinds[i].counter;
        text += size + (text[size] == ',');
    }
    return true;
}

static bool parse_profile(const char *text, enum swarm_profile *profile)
{
    for (size_t i = 0; i < PROFILES; i++) {
        if (strcmp(sim_profile_names[i], text) == 0) {
            *profile = (enum swarm_profile)i;
            return true;
        }
    }
    return false;
}

static bool take_option(struct sim_request *request, int option, const char *value)
{
    switch (option) {
    case 'c':
        return parse_number(value, &request->count) && request->count > 0;
    case 's':
        request->range = true;
        return parse_range(value, &request->first, &request->last);
    case 'o':
        request->one = true;
        return parse_number(value, &request->first);
    case 'n':
        return parse_number(value, &request->states_max);
    case 'p':
        return parse_profile(value, &request->limits.profile);
    case 'j':
        return parse_unsigned(value, &request->jobs) && request->jobs > 0;
    case 'w':
        return parse_kinds(value, &request->limits.without);
    case 't':
        return parse_unsigned(value, &request->limits.transactions_max);
    case 'P':
        return parse_unsigned(value, &request->limits.processes_max);
    case 'T':
        return parse_unsigned(value, &request->limits.threads_max);
    case 'J':
        request->outputs.json_path = value;
        return true;
    case 'H':
        request->outputs.html_path = value;
        return true;
    case 'l':
        request->limits.lie = true;
        return true;
    default:
        request->outputs.quiet = true;
        return true;
    }
}

#define SEEDS_DEFAULT 2000u

/* Which seeds: --seeds alone says it, else --seed where to begin and --count how many. */
static int choose_seeds(struct sim_request *request)
{
    if (request->range) {
        if (request->one || request->count > 0) {
            fputs("txcrash sim: --seeds goes with neither --seed nor --count\n", stderr);
            return TXCRASH_USAGE;
        }
        return TXCRASH_FINE;
    }
    uint64_t count = request->count > 0 ? request->count : request->one ? 1 : SEEDS_DEFAULT;
    request->one = request->one && request->count == 0;
    if (count - 1 > UINT64_MAX - request->first) {
        fputs("txcrash sim: there are not so many seeds\n", stderr);
        return TXCRASH_USAGE;
    }
    request->last = request->first + count - 1;
    return TXCRASH_FINE;
}

int sim_parse_options(struct sim_request *request, int argc, char **argv)
{
    static const struct option options[] = {
        {"count", required_argument, NULL, 'c'},
        {"seeds", required_argument, NULL, 's'},
        {"seed", required_argument, NULL, 'o'},
        {"states", required_argument, NULL, 'n'},
        {"profile", required_argument, NULL, 'p'},
        {"jobs", required_argument, NULL, 'j'},
        {"without", required_argument, NULL, 'w'},
        {"transactions", required_argument, NULL, 't'},
        {"processes", required_argument, NULL, 'P'},
        {"threads", required_argument, NULL, 'T'},
        {"json", required_argument, NULL, 'J'},
        {"html", required_argument, NULL, 'H'},
        {"lie", no_argument, NULL, 'l'},
        {"quiet", no_argument, NULL, 'q'},
        {NULL, 0, NULL, 0},
    };
    int index = 0;
    int option;
    optind = 1;
    while ((option = getopt_long(argc, argv, "", options, &index)) != -1) {
        if (option == '?') {
            return TXCRASH_USAGE;
        }
        if (!take_option(request, option, optarg)) {
            return complain(options[index].name, optarg);
        }
    }
    if (optind < argc) {
        fprintf(stderr, "txcrash sim: '%s' is one word too many\n", argv[optind]);
        return TXCRASH_USAGE;
    }
    return choose_seeds(request);
}

/* The options that make the same history again. */
void sim_print_limits(const struct swarm_limits *limits, char *text, size_t size)
{
    size_t used = 0;
    const char *before = " --without ";
    text[0] = '\0';
    for (size_t i = 0; i < KINDS && used < size; i++) {
        if (limits->without >> kinds[i].counter & 1) {
            used += (size_t)snprintf(text + used, size - used, "%s%s", before, kinds[i].name);
            before = ",";
        }
    }
    const struct {
        const char *name;
        unsigned value;
    } numbers[] = {{"transactions", limits->transactions_max},
                   {"processes", limits->processes_max},
                   {"threads", limits->threads_max}};
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers && used < size; i++) {
        if (numbers[i].value != 0) {
            used += (size_t)snprintf(text + used, size - used, " --%s %u", numbers[i].name,
                                     numbers[i].value);
        }
    }
    if (limits->profile != SWARM_ANY && used < size) {
        used += (size_t)snprintf(text + used, size - used, " --profile %s",
                                 sim_profile_names[limits->profile]);
    }
    if (limits->lie && used < size) {
        (void)snprintf(text + used, size - used, " --lie");
    }
}
