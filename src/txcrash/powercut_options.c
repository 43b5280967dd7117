/* SPDX-License-Identifier: MIT */
/* The options of `txcrash powercut`. */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "powercut_internal.h"
#include "txcrash.h"

enum option_key {
    KEY_FS = 256, KEY_CHECK, KEY_RECOVER, KEY_SETUP, KEY_SIZE, KEY_SEED, KEY_JOBS, KEY_STATES,
    KEY_SAMPLES, KEY_TEAR, KEY_NESTED, KEY_LIE, KEY_FSYNC_ERROR, KEY_CHAOS, KEY_TIMEOUT, KEY_KEEP,
    KEY_REPLAY, KEY_JSON, KEY_HTML, KEY_QUIET, KEY_HELP,
};

static const struct option long_options[] = {
    {"fs", required_argument, NULL, KEY_FS},
    {"check", required_argument, NULL, KEY_CHECK},
    {"recover", required_argument, NULL, KEY_RECOVER},
    {"setup", required_argument, NULL, KEY_SETUP},
    {"size", required_argument, NULL, KEY_SIZE},
    {"seed", required_argument, NULL, KEY_SEED},
    {"jobs", required_argument, NULL, KEY_JOBS},
    {"states", required_argument, NULL, KEY_STATES},
    {"samples", required_argument, NULL, KEY_SAMPLES},
    {"tear", required_argument, NULL, KEY_TEAR},
    {"nested", required_argument, NULL, KEY_NESTED},
    {"lie", required_argument, NULL, KEY_LIE},
    {"fsync-error", required_argument, NULL, KEY_FSYNC_ERROR},
    {"chaos", required_argument, NULL, KEY_CHAOS},
    {"timeout", required_argument, NULL, KEY_TIMEOUT},
    {"keep", required_argument, NULL, KEY_KEEP},
    {"replay", required_argument, NULL, KEY_REPLAY},
    {"json", required_argument, NULL, KEY_JSON},
    {"html", required_argument, NULL, KEY_HTML},
    {"quiet", no_argument, NULL, KEY_QUIET},
    {"help", no_argument, NULL, KEY_HELP},
    {NULL, 0, NULL, 0},
};

void powercut_print_usage(FILE *to)
{
    fputs("usage: txcrash powercut --fs NAME --check COMMAND [OPTION...] -- PROGRAM [ARGUMENT...]\n"
          "       txcrash powercut --replay DIRECTORY\n\n"
          "Run PROGRAM on a real file system whose disk is recorded, cut the power everywhere,\n"
          "mount what a disk may have kept, and ask COMMAND whether that is fine (exit code 0).\n"
          "{dir} is the tested directory. PROGRAM acknowledges by writing a line to the file\n"
          "$TXCRASH_ACK; {acks} in COMMAND is a file with the lines that came before the cut.\n\n"
          "  --fs NAME          ", to);
    fs_print_names(to);
    fputs("\n"
          "  --check COMMAND    convicts with any exit code but 0; its last line is the reason\n"
          "  --recover COMMAND  run before the check: what the program does at its next start\n"
          "  --setup COMMAND    run before the recording; what it leaves is durable\n"
          "  --states N         as many states at most (1000)\n"
          "  --samples N        draw so many of each epoch, instead of enough for --states\n"
          "  --tear N           pieces in which the disk writes: bytes, 0 for whole writes\n"
          "  --nested N         of N states record the recovery too, and cut that\n"
          "  --lie N            disks, too, that only claimed to flush up to N times\n"
          "  --fsync-error N    N more runs, each with one write that fails with EIO\n"
          "  --chaos N          somebody else syncs N times a second meanwhile (25; 0: nobody)\n"
          "  --seed N           of everything drawn (1)\n"
          "  --size N[M|G]      of the disk\n"
          "  --jobs N           states tried at the same time (two for each processor)\n"
          "  --timeout N        seconds that a command may take (60)\n"
          "  --keep DIRECTORY   where violations go (a new one in $TMPDIR or /tmp)\n"
          "  --replay DIRECTORY try an exported violation again\n"
          "  --json FILE, --html FILE, --quiet   the report\n\n"
          "Exit: 0 nothing found, 1 convicted or failed, 2 usage, 77 not possible here.\n", to);
}

/* Answers false when the text is no number of at most `max`; a unit is M or G. */
static bool parse_number(const char *text, uint64_t max, uint64_t *number)
{
    char *end;
    errno = 0;
    unsigned long long value = strtoull(text, &end, 0);
    unsigned shift = *end == 'M' ? 20 : *end == 'G' ? 30 : 0;
    if (errno != 0 || end == text || *text == '-' || end[shift > 0] != '\0' ||
        value > max >> shift) {
        return false;
    }
    *number = value << shift;
    return true;
}

static bool take_number(struct powercut_options *options, int key, const char *text)
{
    uint64_t number = 0;
    struct {
        int key;
        unsigned *to;
        unsigned min, max;
    } numbers[] = {
        {KEY_JOBS, &options->jobs, 1, 64},          {KEY_STATES, &options->states, 1, 10000000},
        {KEY_SAMPLES, &options->samples, 1, 100000}, {KEY_TEAR, &options->tear, 0, 65536},
        {KEY_NESTED, &options->nested, 0, 1000000}, {KEY_LIE, &options->lies, 0, 64},
        {KEY_FSYNC_ERROR, &options->faults, 0, 1000}, {KEY_CHAOS, &options->chaos, 0, 10000},
        {KEY_TIMEOUT, &options->timeout_s, 1, 86400},
    };
    if (key == KEY_SEED) {
        return parse_number(text, UINT64_MAX, &options->seed);
    }
    if (key == KEY_SIZE) {
        return parse_number(text, (uint64_t)1 << 40, &options->size) &&
               options->size % ((uint64_t)1 << 20) == 0 && options->size > 0;
    }
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        if (numbers[i].key == key) {
            bool good = parse_number(text, numbers[i].max, &number) && number >= numbers[i].min;
            *numbers[i].to = (unsigned)number;
            return good && (key != KEY_TEAR || number % POWERCUT_SECTOR == 0);
        }
    }
    return false;
}

static bool take_text(struct powercut_options *options, int key, const char *text)
{
    switch (key) {
    case KEY_FS: options->fs = fs_find(text); return options->fs;
    case KEY_CHECK: options->check = text; return true;
    case KEY_RECOVER: options->recover = text; return true;
    case KEY_SETUP: options->setup = text; return true;
    case KEY_KEEP: options->keep = text; return true;
    case KEY_REPLAY: options->replay = text; return true;
    case KEY_JSON: options->outputs.json_path = text; return true;
    case KEY_HTML: options->outputs.html_path = text; return true;
    case KEY_QUIET: options->outputs.quiet = true; return true;
    default: return take_number(options, key, text);
    }
}

static int complain(const char *what, const char *name)
{
    fprintf(stderr, "txcrash powercut: %s%s\ntry: txcrash help powercut\n", what, name);
    return TXCRASH_USAGE;
}

static const char *contradiction(const struct powercut_options *options)
{
    if (options->replay) {
        return NULL;
    }
    if (!options->fs) {
        return "--fs is missing";
    }
    if (!options->check) {
        return "--check is missing";
    }
    if (!options->command[0]) {
        return "there is no program to run after --";
    }
    return options->nested && !options->recover ? "--nested cuts what --recover does" : NULL;
}

static void fill_defaults(struct powercut_options *options)
{
    long processors = sysconf(_SC_NPROCESSORS_ONLN);
    if (options->jobs == 0) {
        options->jobs = processors > 0 && processors < 32 ? (unsigned)processors * 2 : 4;
    }
    if (options->fs) {
        unsigned max = fs_jobs_max(options->fs);
        options->jobs = options->jobs < max ? options->jobs : max;
        options->size = options->size ? options->size : options->fs->size;
        options->tear = options->tear == UINT_MAX ? options->fs->tear : options->tear;
    }
}

int powercut_parse(int argc, char **argv, struct powercut_options *options)
{
    *options = (struct powercut_options){
        .seed = 1, .states = 1000, .tear = UINT_MAX, .chaos = 25, .timeout_s = 60};
    opterr = 0;
    optind = 1;
    for (int key; (key = getopt_long(argc, argv, "+", long_options, NULL)) != -1;) {
        if (key == KEY_HELP) {
            powercut_print_usage(stdout);
            exit(TXCRASH_FINE);
        }
        if (key == '?') {
            return complain("what is wrong with ", argv[optind - 1]);
        }
        if (!take_text(options, key, optarg)) {
            return complain("this option does not take ", optarg);
        }
    }
    options->command = argv + optind;
    const char *wrong = contradiction(options);
    if (wrong) {
        return complain(wrong, "");
    }
    fill_defaults(options);
    return TXCRASH_FINE;
}
