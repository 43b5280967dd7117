/* SPDX-License-Identifier: MIT */
/* txcrash sim: the library itself on a simulated machine; the work is done by tests/sim/swarm.h. */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "report.h"
#include "sim/swarm.h"
#include "txcrash.h"

#define SEEDS_DEFAULT 2000u

struct txcrash_sim {
    uint64_t first, last;
    uint64_t states_max; /* 0: no limit */
    unsigned jobs;
    bool one; /* --seed: say what happens */
    bool quiet;
    struct swarm_limits limits;
    struct report_outputs outputs;
    struct report *report;
    uint64_t seen, violations;
    uint64_t counters[SWARM_COUNTERS];
    uint64_t hash; /* of all traces, in no order */
    uint64_t *disks; /* an open hash of the disks seen; 0: free */
    size_t disk_count, disk_room;
};

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

static const char *const profiles[] = {"any", "weakest", "ext4", "xfs", "btrfs"};
#define PROFILES (sizeof profiles / sizeof *profiles)

static void print_usage(FILE *to)
{
    fputs("usage: txcrash sim [OPTION...]\n\n"
          "Use the library from several simulated processes and threads on a machine whose power\n"
          "fails, whose calls fail and whose processes are killed, and compare what they see with a\n"
          "model. Each history follows from its seed.\n\n"
          "  --count N            seeds 1 to N (2000)\n"
          "  --seeds FIRST-LAST   these\n"
          "  --seed N             this one; say what happens in it\n"
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

/* --- Options ----------------------------------------------------------------------------------- */

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
        if (strcmp(profiles[i], text) == 0) {
            *profile = (enum swarm_profile)i;
            return true;
        }
    }
    return false;
}

static bool take_option(struct txcrash_sim *command, int option, const char *value)
{
    switch (option) {
    case 'c':
        command->first = 1;
        return parse_number(value, &command->last) && command->last > 0;
    case 's':
        return parse_range(value, &command->first, &command->last);
    case 'o':
        command->one = true;
        return parse_number(value, &command->first) && parse_number(value, &command->last);
    case 'n':
        return parse_number(value, &command->states_max);
    case 'p':
        return parse_profile(value, &command->limits.profile);
    case 'j':
        return parse_unsigned(value, &command->jobs) && command->jobs > 0;
    case 'w':
        return parse_kinds(value, &command->limits.without);
    case 't':
        return parse_unsigned(value, &command->limits.transactions_max);
    case 'P':
        return parse_unsigned(value, &command->limits.processes_max);
    case 'T':
        return parse_unsigned(value, &command->limits.threads_max);
    case 'J':
        command->outputs.json_path = value;
        return true;
    case 'H':
        command->outputs.html_path = value;
        return true;
    case 'l':
        command->limits.lie = true;
        return true;
    default:
        command->quiet = true;
        return true;
    }
}

static int parse_options(struct txcrash_sim *command, int argc, char **argv)
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
        if (!take_option(command, option, optarg)) {
            return complain(options[index].name, optarg);
        }
    }
    if (optind < argc) {
        fprintf(stderr, "txcrash sim: '%s' is one word too many\n", argv[optind]);
        return TXCRASH_USAGE;
    }
    command->outputs.quiet = command->quiet;
    return TXCRASH_FINE;
}

/* --- What is seen ------------------------------------------------------------------------------ */

static void *need(void *memory)
{
    if (!memory) {
        fputs("txcrash sim: out of memory\n", stderr);
        exit(TXCRASH_CONVICTED);
    }
    return memory;
}

static void add_disk(struct txcrash_sim *command, uint64_t hash)
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

/* The options that make the same history again. */
static void print_limits(const struct swarm_limits *limits, char *text, size_t size)
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
                                 profiles[limits->profile]);
    }
    if (limits->lie && used < size) {
        (void)snprintf(text + used, size - used, " --lie");
    }
}

#define SHRINK_MAX 3u /* violations that are made smaller: each takes some dozen runs */

static void add_violation(struct txcrash_sim *command, uint64_t seed,
                          const struct swarm_result *result)
{
    struct swarm_limits limits = command->limits;
    struct swarm_result shown = *result;
    char words[400];
    char again[512];
    if (command->violations++ < SHRINK_MAX && !command->one) {
        (void)swarm_shrink(seed, &limits, &shown);
    }
    print_limits(&limits, words, sizeof words);
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
    struct txcrash_sim *command = arg;
    command->seen++;
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
    return command->states_max == 0 || command->disk_count < command->states_max;
}

/* --- The command ------------------------------------------------------------------------------- */

static void describe(struct txcrash_sim *command)
{
    char text[64];
    if (command->one) {
        (void)snprintf(text, sizeof text, "%" PRIu64, command->first);
    } else {
        (void)snprintf(text, sizeof text, "%" PRIu64 " to %" PRIu64, command->first,
                       command->last);
    }
    report_note(command->report, command->one ? "seed" : "seeds", text);
}

static void count(struct txcrash_sim *command)
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
    struct txcrash_sim command = {.first = 1, .last = SEEDS_DEFAULT};
    command.jobs = processors > 0 && processors < 64 ? (unsigned)processors : 1;
    int code = parse_options(&command, argc, argv);
    if (code != TXCRASH_FINE) {
        return code;
    }
    command.report = report_new("sim", profiles[command.limits.profile]);
    command.limits.trace = command.one && !command.quiet;
    describe(&command);
    bool fine = swarm_many(command.first, command.last, command.one ? 1 : command.jobs,
                           &command.limits, seen, &command);
    if (!fine) {
        fprintf(stderr, "txcrash sim: no process can be made: %s\n", strerror(errno));
    }
    count(&command);
    code = report_finish(command.report, &command.outputs);
    report_free(command.report);
    free(command.disks);
    return fine ? code : TXCRASH_CONVICTED;
}

const struct txcrash_command txcrash_sim = {
    .name = "sim",
    .summary = "the library itself, on a simulated machine",
    .print_usage = print_usage,
    .run = run,
};
