/* SPDX-License-Identifier: MIT */
/* The options of txcrash kill. */
#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "kill.h"

void kill_print_usage(FILE *to)
{
    fputs("usage: txcrash kill [OPTION...] --check COMMAND -- PROGRAM [ARGUMENT...]\n\n"
          "Kill a program before each of its system calls; after each kill run the check.\n"
          "{dir} stands for a fresh copy of the template, {acks} for the file of what was\n"
          "acknowledged: the program appends lines to the file that $TXCRASH_ACK names.\n\n"
          "  --check COMMAND    exit code 0: fine; anything else convicts\n"
          "  --every            kill at every call (default)\n"
          "  --sample N         kill at N calls, drawn from --seed N\n"
          "  --at LIST          kill at these, one after the other on one copy: 3,7-11\n"
          "  --changing         leave out calls that change nothing which outlives the program\n"
          "  --dir TEMPLATE     the directory to copy; an empty one when not given\n"
          "  --reuse            use a copy again while the check says of it what it says of an\n"
          "                     untouched one\n"
          "  --setup COMMAND    run in each fresh copy\n"
          "  --recover COMMAND  run after each kill, before the check; must succeed\n"
          "  --nested           kill the recovery too, at each of its calls in turn\n"
          "  --jobs N           runs at the same time (default: processors)\n"
          "  --timeout SECONDS  for one run of anything (60)\n"
          "  --keep DIR         leave convicted copies there\n"
          "  --json FILE, --html FILE, --quiet    the report\n",
          to);
}

enum option_id {
    OPT_EVERY = 1,
    OPT_SAMPLE,
    OPT_SEED,
    OPT_AT,
    OPT_CHANGING,
    OPT_DIR,
    OPT_REUSE,
    OPT_SETUP,
    OPT_RECOVER,
    OPT_NESTED,
    OPT_CHECK,
    OPT_JOBS,
    OPT_TIMEOUT,
    OPT_KEEP,
    OPT_JSON,
    OPT_HTML,
    OPT_QUIET,
};

static const struct option options[] = {
    {"every", no_argument, NULL, OPT_EVERY},
    {"sample", required_argument, NULL, OPT_SAMPLE},
    {"seed", required_argument, NULL, OPT_SEED},
    {"at", required_argument, NULL, OPT_AT},
    {"changing", no_argument, NULL, OPT_CHANGING},
    {"dir", required_argument, NULL, OPT_DIR},
    {"reuse", no_argument, NULL, OPT_REUSE},
    {"setup", required_argument, NULL, OPT_SETUP},
    {"nested", no_argument, NULL, OPT_NESTED},
    {"recover", required_argument, NULL, OPT_RECOVER},
    {"check", required_argument, NULL, OPT_CHECK},
    {"jobs", required_argument, NULL, OPT_JOBS},
    {"timeout", required_argument, NULL, OPT_TIMEOUT},
    {"keep", required_argument, NULL, OPT_KEEP},
    {"json", required_argument, NULL, OPT_JSON},
    {"html", required_argument, NULL, OPT_HTML},
    {"quiet", no_argument, NULL, OPT_QUIET},
    {NULL, 0, NULL, 0},
};

static bool wrong(const char *what, const char *value)
{
    fprintf(stderr, "txcrash kill: %s%s%s%s\n", what, value ? " '" : "", value ? value : "",
            value ? "'" : "");
    return false;
}

static bool number_of(const char *name, const char *text, unsigned long least, unsigned long most,
                      unsigned long *number)
{
    char *end = NULL;
    errno = 0;
    unsigned long value = strtoul(text, &end, 10);
    if (*text < '0' || *text > '9' || *end != '\0' || errno != 0 || value < least || value > most) {
        fprintf(stderr, "txcrash kill: %s wants a number from %lu to %lu, not '%s'\n", name, least,
                most, text);
        return false;
    }
    *number = value;
    return true;
}

/* Two ways of choosing calls contradict each other. */
static bool choose(struct kill_plan *plan, bool *chosen, enum kill_choice choice)
{
    if (*chosen) {
        return wrong("one of --every, --sample and --at is enough", NULL);
    }
    *chosen = true;
    plan->choice = choice;
    return true;
}

static bool take_number(struct kill_plan *plan, int id, const char *value)
{
    unsigned long number = 0;
    switch (id) {
    case OPT_SAMPLE:
        return number_of("--sample", value, 1, 100000000, &plan->sample);
    case OPT_SEED:
        return number_of("--seed", value, 0, ULONG_MAX, &plan->seed);
    case OPT_JOBS:
        return number_of("--jobs", value, 1, KILL_JOBS_MAX, &number) &&
               (plan->jobs = (unsigned)number) > 0;
    default:
        return number_of("--timeout", value, 1, 1000000, &number) &&
               (plan->timeout_s = (unsigned)number) > 0;
    }
}

static void take_text(struct kill_plan *plan, struct report_outputs *outputs, int id,
                      const char *value)
{
    switch (id) {
    case OPT_CHANGING:
        plan->changing = true;
        break;
    case OPT_REUSE:
        plan->reuse = true;
        break;
    case OPT_QUIET:
        outputs->quiet = true;
        break;
    case OPT_DIR:
        plan->template_dir = value;
        break;
    case OPT_SETUP:
        plan->setup = value;
        break;
    case OPT_RECOVER:
        plan->recover = value;
        break;
    case OPT_NESTED:
        plan->nested = true;
        break;
    case OPT_CHECK:
        plan->check = value;
        break;
    case OPT_KEEP:
        plan->keep = value;
        break;
    case OPT_JSON:
        outputs->json_path = value;
        break;
    default:
        outputs->html_path = value;
        break;
    }
}

static bool take_list(struct kill_plan *plan, const char *value)
{
    plan->numbers = kill_numbers_parse(value, &plan->number_count);
    return plan->numbers || wrong("--at wants a list like 3,7-11, not", value);
}

static bool take(struct kill_plan *plan, struct report_outputs *outputs, int id, const char *value,
                 bool *chosen)
{
    switch (id) {
    case OPT_EVERY:
        return choose(plan, chosen, KILL_EVERY);
    case OPT_SAMPLE:
        return choose(plan, chosen, KILL_SAMPLE) && take_number(plan, id, value);
    case OPT_AT:
        return choose(plan, chosen, KILL_AT) && take_list(plan, value);
    case OPT_SEED:
    case OPT_JOBS:
    case OPT_TIMEOUT:
        return take_number(plan, id, value);
    default:
        take_text(plan, outputs, id, value);
        return true;
    }
}

/* What does not depend on the order of the options. */
static bool complete(struct kill_plan *plan)
{
    if (!plan->check || *plan->check == '\0') {
        return wrong("--check COMMAND is missing: nothing would convict", NULL);
    }
    if (plan->nested && !plan->recover) {
        return wrong("--nested wants --recover COMMAND, which it kills", NULL);
    }
    if (!plan->command[0]) {
        return wrong("no program after --", NULL);
    }
    if (plan->template_dir) {
        char *path = realpath(plan->template_dir, NULL);
        if (!path) {
            fprintf(stderr, "txcrash kill: --dir %s: %s\n", plan->template_dir, strerror(errno));
            return false;
        }
        plan->template_dir = path;
    }
    if (plan->keep) {
        char *path = realpath(plan->keep, NULL);
        if (!path) {
            fprintf(stderr, "txcrash kill: --keep %s: %s\n", plan->keep, strerror(errno));
            return false;
        }
        plan->keep = path;
    }
    if (plan->choice == KILL_AT) {
        plan->jobs = 1; /* they build on one another */
    }
    return true;
}

bool kill_options_parse(int argc, char **argv, struct kill_plan *plan,
                        struct report_outputs *outputs)
{
    long processors = sysconf(_SC_NPROCESSORS_ONLN);
    bool chosen = false;
    int id;
    *plan = (struct kill_plan){.seed = 1, .timeout_s = 60};
    plan->jobs = processors < 1               ? 1
                 : processors > KILL_JOBS_MAX ? KILL_JOBS_MAX
                                              : (unsigned)processors;
    opterr = 0;
    optind = 1;
    while ((id = getopt_long(argc, argv, "+:", options, NULL)) != -1) {
        if (id == ':') {
            return wrong("a value is missing after", argv[optind - 1]);
        }
        if (id == '?') {
            return wrong("unknown option", argv[optind - 1]);
        }
        if (!take(plan, outputs, id, optarg, &chosen)) {
            return false;
        }
    }
    plan->command = argv + optind;
    return complete(plan);
}
