/* SPDX-License-Identifier: MIT */
/*
 * All states, in several processes: each takes the next one that nobody has, so that in each what
 * is durable only ever grows. They spend most of their time waiting for the kernel, so there are
 * twice as many as processors unless --jobs says otherwise.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "powercut_internal.h"


static void send_result(void *arg, const struct result *result)
{
    /* Less than PIPE_BUF, so results of several workers do not mix. */
    _Static_assert(sizeof(struct result) <= 4096, "a result is written in one piece");
    if (write(*(const int *)arg, result, sizeof *result) != sizeof *result) {
        powercut_die_errno("answer");
    }
}

static void do_state(struct lab *lab, struct judge *judge, const struct round *round,
                     uint32_t number, int output)
{
    struct verdict verdict;
    struct state *state = &round->list->states[number];
    struct result result = {.state = number};
    char *image = NULL;
    judge_state(judge, state, &verdict);
    if (verdict.verdict == REPORT_VIOLATION) {
        image = export_state(judge, round->exports, state, &verdict);
    }
    state_describe(round->recording, state, result.choice);
    snprintf(result.message, sizeof result.message, "%s", verdict.message);
    snprintf(result.image, sizeof result.image, "%s", image ? image : "");
    result.verdict = verdict.verdict;
    free(image);
    send_result(&output, &result);
    if (state->nested && verdict.verdict == REPORT_FINE) {
        nested_run(lab, judge, state, round->exports, &result, send_result, &output);
    }
}

static void work(struct lab lab, const struct round *round, uint32_t *next, unsigned number,
                 int output)
{
    struct judge judge;
    lab_split(&lab, number);
    judge_init(&judge, &lab, round->recording, "outer");
    for (;;) {
        uint32_t state = __atomic_fetch_add(next, 1, __ATOMIC_RELAXED);
        if (state >= round->list->count) {
            break;
        }
        do_state(&lab, &judge, round, state, output);
    }
    judge_release(&judge);
    free(lab.private);
    free(lab.boot_id);
    exit(0);
}

static void take_result(const struct round *round, const struct result *result,
                        struct report *report)
{
    const struct state *state = &round->list->states[result->state];
    char *choice = powercut_format("%s%s", round->name, result->choice);
    char *again = result->image[0] ? powercut_format("txcrash powercut --replay %s", result->image)
                                   : NULL;
    struct report_state one = {.event = round->recording->event_base + state->cut,
                               .verdict = result->verdict,
                               .choice = choice,
                               .message = result->message[0] ? result->message : NULL,
                               .reproduce = again,
                               .image = result->image[0] ? result->image : NULL};
    report_state(report, &one);
    report_count(report, result->inner ? "states of a cut recovery" : state_kind_names[state->kind],
                 1);
    if (result->verdict == REPORT_UNJUDGED) {
        char *why = powercut_format("unjudged: %s", result->message);
        report_count(report, why, 1);
        free(why);
    }
    free(choice);
    free(again);
}

/* Those that can be looked at come first; the rest in the order of their states. */
static int by_number(const void *a, const void *b)
{
    const struct result *one = a;
    const struct result *other = b;
    if (!one->image[0] != !other->image[0]) {
        return one->image[0] ? -1 : 1;
    }
    if (one->state != other->state) {
        return one->state < other->state ? -1 : 1;
    }
    return (one->inner > other->inner) - (one->inner < other->inner);
}

static void show_progress(const struct round *round, size_t count, size_t violations)
{
    if (isatty(STDERR_FILENO)) {
        fprintf(stderr, "\r%s%zu of %zu states, %zu violations\033[K", round->name, count,
                round->list->count, violations);
    }
}

/* Read what the workers answer until the last has closed its end. */
static struct result *collect(const struct round *round, int input, size_t *count)
{
    struct result *results = NULL;
    struct result result;
    size_t violations = 0;
    ssize_t size;
    *count = 0;
    while ((size = read(input, &result, sizeof result)) != 0) {
        if (size != sizeof result) {
            powercut_die_errno("read an answer");
        }
        if ((*count & (*count - 1)) == 0) {
            results = powercut_need(reallocarray(results, *count * 2 + 1, sizeof *results));
        }
        results[(*count)++] = result;
        violations += result.verdict == REPORT_VIOLATION;
        show_progress(round, *count, violations);
    }
    if (isatty(STDERR_FILENO)) {
        fputs("\r\033[K", stderr);
    }
    return results;
}

static void bury(pid_t pid)
{
    int status;
    while (waitpid(pid, &status, 0) < 0) {
        if (errno != EINTR) {
            powercut_die_errno("wait for a worker");
        }
    }
    if (status != 0) {
        exit(1); /* it has said why */
    }
}

void workers_run(const struct lab *lab, const struct round *round, struct report *report)
{
    unsigned jobs = lab->options->jobs;
    pid_t pids[jobs];
    int ends[2];
    uint32_t *next = mmap(NULL, sizeof *next, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
                          -1, 0);
    if (next == MAP_FAILED || pipe2(ends, O_CLOEXEC) != 0) {
        powercut_die_errno("prepare the workers");
    }
    fflush(NULL);
    for (unsigned i = 0; i < jobs; i++) {
        pids[i] = fork();
        if (pids[i] == 0) {
            close(ends[0]);
            work(*lab, round, next, i, ends[1]);
        } else if (pids[i] < 0) {
            powercut_die_errno("start a worker");
        }
    }
    close(ends[1]);
    size_t count;
    struct result *results = collect(round, ends[0], &count);
    close(ends[0]);
    for (unsigned i = 0; i < jobs; i++) {
        bury(pids[i]);
    }
    munmap(next, sizeof *next);
    if (count < round->list->count) {
        powercut_die("%zu of %zu states were judged", count, round->list->count);
    }
    qsort(results, count, sizeof *results, by_number);
    for (size_t i = 0; i < count; i++) {
        take_result(round, &results[i], report);
    }
    free(results);
}
