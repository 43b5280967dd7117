/* SPDX-License-Identifier: MIT */
/* txcrash kill: options, a first run, workers, the report. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kill.h"
#include "txcrash.h"

void kill_die(const char *what)
{
    fprintf(stderr, "txcrash kill: %s: %s\n", what, strerror(errno));
    exit(TXCRASH_CONVICTED);
}

/* The area goes however this process ends, but not when one of its workers does. */
static char *area;
static pid_t area_owner;

static void remove_area(void)
{
    if (!area || getpid() != area_owner) {
        return;
    }
    pid_t pid = fork();
    if (pid == 0) {
        execlp("rm", "rm", "-rf", "--", area, (char *)NULL);
        _exit(127);
    }
    int status = 0;
    if (pid < 0 || waitpid(pid, &status, 0) != pid || status != 0) {
        fprintf(stderr, "txcrash kill: %s stays\n", area);
    }
    free(area);
    area = NULL;
}

static bool make_area(struct kill_plan *plan)
{
    const char *base = txcrash_temporary("kill");
    if (!base) {
        return false;
    }
    plan->area = kill_format("%s/txcrash-kill.XXXXXX", base);
    if (!mkdtemp(plan->area)) {
        kill_die(plan->area);
    }
    area = plan->area;
    area_owner = getpid();
    if (atexit(remove_area) != 0) {
        kill_die("memory");
    }
    return true;
}

static pid_t start_worker(const struct kill_plan *plan, unsigned job, const int fds[2])
{
    pid_t parent = getpid();
    pid_t pid = fork();
    if (pid < 0) {
        kill_die("fork");
    }
    if (pid > 0) {
        return pid;
    }
    signal(SIGINT, SIG_DFL);
    signal(SIGTERM, SIG_DFL);
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || getppid() != parent) {
        _exit(1);
    }
    close(fds[0]);
    kill_work(plan, job, fds[1]);
    fflush(NULL);
    _exit(0);
}

struct results {
    struct kill_result *items;
    size_t count, room;
};

/* A count on a terminal, nothing elsewhere. */
static void show_progress(const struct kill_plan *plan, size_t count, bool end)
{
    if (isatty(STDERR_FILENO) && (end || count % 16 == 0)) {
        unsigned long all = plan->numbers ? plan->number_count : plan->seen_count;
        fprintf(stderr, end ? "\r\033[K" : "\r%zu of %lu kills", count, all);
    }
}

/* One result; false at the end. The workers write them whole. */
static bool receive(int fd, struct results *results)
{
    if (results->count == results->room) {
        results->room = results->room ? 2 * results->room : 256;
        results->items = reallocarray(results->items, results->room, sizeof *results->items);
        if (!results->items) {
            kill_die("memory");
        }
    }
    char *to = (char *)&results->items[results->count];
    size_t done = 0;
    while (done < sizeof *results->items && !kill_interrupted()) {
        ssize_t count = read(fd, to + done, sizeof *results->items - done);
        if (count == 0 || (count < 0 && errno != EINTR)) {
            return false;
        }
        done += count > 0 ? (size_t)count : 0;
    }
    results->count += !kill_interrupted();
    return !kill_interrupted();
}

/* All workers, until they have ended. False when one failed or somebody interrupted. */
static bool run_workers(const struct kill_plan *plan, struct results *results)
{
    pid_t pids[KILL_JOBS_MAX];
    int fds[2];
    bool good = true;
    if (pipe2(fds, O_CLOEXEC) != 0) {
        kill_die("pipe");
    }
    for (unsigned job = 0; job < plan->jobs; job++) {
        pids[job] = start_worker(plan, job, fds);
    }
    close(fds[1]);
    while (receive(fds[0], results)) {
        show_progress(plan, results->count, false);
    }
    show_progress(plan, results->count, true);
    close(fds[0]);
    for (unsigned job = 0; job < plan->jobs; job++) {
        int status = 0;
        if (kill_interrupted()) {
            kill(pids[job], SIGKILL); /* what it traces dies with it */
        }
        while (waitpid(pids[job], &status, 0) < 0 && errno == EINTR) {
        }
        good = good && status == 0;
    }
    if (!good && !kill_interrupted()) {
        fputs("txcrash kill: a worker failed\n", stderr);
    }
    return good && !kill_interrupted();
}

/* With the area made and to be removed. */
static int run_plan(struct kill_plan *plan, const struct report_outputs *outputs)
{
    struct report *report = report_new("kill", plan->command[0]);
    struct results results = {0};
    int code = TXCRASH_CONVICTED;
    kill_add_notes(plan, report);
    if (kill_first_run(plan, report)) {
        if (plan->choice == KILL_SAMPLE) {
            plan->number_count = plan->sample;
            plan->numbers = kill_numbers_draw(&plan->number_count, plan->seen_count, plan->seed);
        }
        bool good = run_workers(plan, &results);
        if (!kill_interrupted()) {
            kill_add_results(plan, report, results.items, results.count);
            code = report_finish(report, outputs);
            code = good ? code : TXCRASH_CONVICTED;
        }
    }
    free(results.items);
    report_free(report);
    return code;
}

static int run(int argc, char **argv)
{
    struct kill_plan plan;
    struct report_outputs outputs = {0};
    if (!kill_options_parse(argc, argv, &plan, &outputs)) {
        fputs("try: txcrash help kill\n", stderr);
        return TXCRASH_USAGE;
    }
    if (!make_area(&plan)) {
        return TXCRASH_USAGE;
    }
    kill_catch_interrupts();
    int code = run_plan(&plan, &outputs);
    remove_area();
    free(plan.numbers);
    free((int *)plan.seen);
    free((char *)plan.template_dir);
    free((char *)plan.keep);
    if (kill_interrupted()) {
        signal(kill_interrupted(), SIG_DFL);
        raise(kill_interrupted());
    }
    return code;
}

const struct txcrash_command txcrash_kill = {
    .name = "kill",
    .summary = "kill a program before each of its system calls",
    .print_usage = kill_print_usage,
    .run = run,
};
