/* SPDX-License-Identifier: MIT */
/* One worker: kills its share of the calls, one after the other, on a copy of its own. */
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kill.h"

/* Neighbours on one copy make short lists of kills. */
#define SHARE_SIZE 8u

struct worker {
    const struct kill_plan *plan;
    struct kill_copy copy;
    unsigned job;
    int results;
    bool usable;                     /* the copy serves once more */
    char history[KILL_HISTORY_SIZE]; /* kills on the copy so far */
};

/* The number of this job's turn, from 0: shares of a few neighbours are dealt out in turn. */
static unsigned long place_of(const struct worker *worker, unsigned long turn)
{
    unsigned long share = turn / SHARE_SIZE * worker->plan->jobs + worker->job;
    return share * SHARE_SIZE + turn % SHARE_SIZE;
}

/* Why it is convicted: the paths of the copy say nothing, so they are written {dir} again. */
static void convict(const struct kill_copy *copy, struct kill_result *result, const char *what,
                    const char *how, const char *line)
{
    size_t size = strlen(copy->dir);
    size_t used = (size_t)snprintf(result->message, sizeof result->message, "%s: %s%s", what, how,
                                   *line ? ": " : "");
    result->convicted = true;
    while (*line && used < sizeof result->message - sizeof "{dir}") {
        if (strncmp(line, copy->dir, size) == 0) {
            used += (size_t)snprintf(result->message + used, sizeof "{dir}", "{dir}");
            line += size;
        } else {
            result->message[used++] = *line++;
        }
    }
    result->message[used] = '\0';
}

/* A command that must succeed; convicts otherwise. */
static bool must(const struct kill_copy *copy, const char *what, const char *command,
                 struct kill_answer *answer, struct kill_result *result)
{
    char words[64];
    kill_shell(command, copy->plan->timeout_s, answer);
    if (answer->status == 0 && !answer->timed_out) {
        return true;
    }
    kill_status_words(answer->status, answer->timed_out, words, sizeof words);
    convict(copy, result, what, words, answer->last);
    return false;
}

/* Kill the recovery at its first call, start it again and kill it at its second, and so on, until
 * one ends by itself. Each begins with what the one before has left. */
static bool recover_killed(struct kill_copy *copy, struct kill_result *result)
{
    char *argv[] = {"/bin/sh", "-c", copy->recover, NULL};
    struct kill_run run = {.argv = argv,
                           .changing = copy->plan->changing,
                           .timeout_s = copy->plan->timeout_s,
                           .error_path = copy->errors};
    char words[64], line[KILL_LINE_SIZE];
    for (run.number = 1;; run.number++) {
        kill_trace(&run);
        if (!run.killed) {
            break;
        }
        result->nested++;
    }
    if (run.status == 0 && !run.timed_out) {
        return true;
    }
    kill_status_words(run.status, run.timed_out, words, sizeof words);
    kill_last_line(copy->errors, line, sizeof line);
    convict(copy, result, "recover, after it was killed", words, line);
    return false;
}

static bool recover(struct kill_copy *copy, struct kill_result *result)
{
    struct kill_answer answer;
    if (!copy->recover) {
        return true;
    }
    return copy->plan->nested ? recover_killed(copy, result)
                              : must(copy, "recover", copy->recover, &answer, result);
}

bool kill_judge(struct kill_copy *copy, struct kill_result *result)
{
    struct kill_answer answer;
    if (!recover(copy, result)) {
        return false;
    }
    if (!must(copy, "check", copy->check, &answer, result)) {
        return false;
    }
    memcpy(result->said, answer.first, sizeof result->said);
    return true;
}

/* It ended before the call. That is the end of the numbers when it did what it should. */
static void judge_own_end(struct worker *worker, const struct kill_run *run,
                          struct kill_result *result)
{
    char words[64];
    char line[KILL_LINE_SIZE];
    if (run->status != 0 || run->timed_out) {
        kill_status_words(run->status, run->timed_out, words, sizeof words);
        kill_last_line(worker->copy.errors, line, sizeof line);
        convict(&worker->copy, result,
                result->copied ? "the program fails" : "the program fails after a kill", words,
                line);
    } else {
        kill_judge(&worker->copy, result);
    }
}

static void send_result(const struct worker *worker, const struct kill_result *result)
{
    if (write(worker->results, result, sizeof *result) != (ssize_t)sizeof *result) {
        kill_die("send a result");
    }
}

/* A copy for the next run: the last one when it serves, and its list has room for the number. */
static bool prepare(struct worker *worker, unsigned long number)
{
    char longer[KILL_HISTORY_SIZE];
    memcpy(longer, worker->history, sizeof longer);
    bool renew = !worker->usable || !kill_numbers_append(longer, sizeof longer, number);
    if (renew) {
        kill_copy_renew(&worker->copy);
        *worker->history = '\0';
    }
    kill_copy_forget_acks(&worker->copy);
    return renew;
}

/* Does the copy serve again? On a list of calls it always does: the list is to be repeated. */
static bool serves_again(const struct worker *worker, const struct kill_result *result)
{
    const struct kill_plan *plan = worker->plan;
    return !result->convicted &&
           (plan->choice == KILL_AT || (plan->reuse && strcmp(result->said, plan->untouched) == 0));
}

/* Kill at one number and judge. False when the program ended by itself. */
static bool turn_of(struct worker *worker, unsigned long number)
{
    const struct kill_plan *plan = worker->plan;
    struct kill_result result = {.number = number};
    result.copied = prepare(worker, number);
    struct kill_run run = {.argv = worker->copy.argv,
                           .number = number,
                           .changing = plan->changing,
                           .timeout_s = plan->timeout_s,
                           .error_path = worker->copy.errors};
    kill_trace(&run);
    kill_numbers_append(worker->history, sizeof worker->history, number);
    memcpy(result.history, worker->history, sizeof result.history);
    result.killed = run.killed;
    if (run.killed) {
        result.last_nr = run.last_nr;
        result.other_call = number > plan->seen_count || plan->seen[number - 1] != run.last_nr;
        kill_judge(&worker->copy, &result);
    } else {
        judge_own_end(worker, &run, &result);
    }
    if (result.convicted) {
        kill_copy_keep(&worker->copy, result.number, result.image, sizeof result.image);
    }
    worker->usable = serves_again(worker, &result);
    send_result(worker, &result);
    return run.killed || result.convicted;
}

void kill_work(const struct kill_plan *plan, unsigned job, int results)
{
    struct worker worker = {.plan = plan, .job = job, .results = results};
    kill_copy_init(&worker.copy, plan, job);
    for (unsigned long turn = 0;; turn++) {
        unsigned long place = place_of(&worker, turn);
        if (plan->numbers && place >= plan->number_count) {
            if (place % SHARE_SIZE == 0) {
                break;
            }
            continue;
        }
        bool more = turn_of(&worker, plan->numbers ? plan->numbers[place] : place + 1);
        if (!more && !plan->numbers) {
            break;
        }
    }
    kill_copy_release(&worker.copy);
}
