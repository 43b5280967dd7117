/* SPDX-License-Identifier: MIT */
/* The first run of txcrash kill, which nobody kills; and what is reported of all the others. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "kill.h"
#include "shell_words.h"

#define SAID_MAX 20u /* different answers of the check that are counted */

struct first_run {
    struct report *report;
    const struct kill_copy *copy;
    int *seen;
    unsigned long count;
};

static void on_call(void *arg, pid_t pid, const struct kill_call *call)
{
    struct first_run *first = arg;
    if ((first->count & (first->count - 1)) == 0) {
        first->seen =
            reallocarray(first->seen, first->count ? 2 * first->count : 1, sizeof *first->seen);
        if (!first->seen) {
            kill_die("memory");
        }
    }
    first->seen[first->count++] = call->nr;
    kill_call_event(first->report, pid, call, first->copy->dir, first->copy->acks);
}

static bool fails(const char *what, const char *how, const char *line)
{
    if (!kill_interrupted()) {
        fprintf(stderr, "txcrash kill: %s: %s%s%s\n", what, how, *line ? ": " : "", line);
    }
    return false;
}

/* What --reuse compares with. */
static bool look_at_untouched(struct kill_plan *plan, struct kill_copy *copy)
{
    struct kill_result result = {0};
    kill_copy_forget_acks(copy);
    if (!kill_judge(copy, &result)) {
        return fails("an untouched copy is convicted", result.message, "");
    }
    memcpy(plan->untouched, result.said, sizeof plan->untouched);
    return true;
}

/* Let the program go to its end; it must succeed, and the check agree. */
static bool let_it_run(struct kill_copy *copy, struct kill_run *run)
{
    struct kill_result result = {0};
    char words[64], line[KILL_LINE_SIZE];
    kill_copy_forget_acks(copy);
    kill_trace(run);
    kill_last_line(copy->errors, line, sizeof line);
    if (!run->started) {
        return fails("cannot run the program", *line ? line : "no reason given", "");
    }
    if (run->status != 0 || run->timed_out) {
        kill_status_words(run->status, run->timed_out, words, sizeof words);
        return fails("the program fails when nobody kills it", words, line);
    }
    if (!kill_judge(copy, &result)) {
        return fails("a run that nobody killed is convicted", result.message, "");
    }
    return true;
}

bool kill_first_run(struct kill_plan *plan, struct report *report)
{
    struct kill_copy copy;
    struct first_run first = {.report = report, .copy = &copy};
    kill_copy_init(&copy, plan, plan->jobs);
    kill_copy_renew(&copy);
    bool good = !plan->reuse || look_at_untouched(plan, &copy);
    if (good) {
        struct kill_run run = {.argv = copy.argv,
                               .number = KILL_NEVER,
                               .changing = plan->changing,
                               .timeout_s = plan->timeout_s,
                               .error_path = copy.errors,
                               .on_call = on_call,
                               .arg = &first};
        kill_copy_renew(&copy);
        good = let_it_run(&copy, &run);
    }
    kill_copy_release(&copy);
    plan->seen = first.seen;
    plan->seen_count = first.count;
    return good;
}

static void print_option(FILE *to, const char *name, const char *value)
{
    if (value) {
        fprintf(to, " %s ", name);
        shell_word_print(to, value);
    }
}

/* The command that does the same kills once more. */
static char *reproduce(const struct kill_plan *plan, const char *history)
{
    char *text = NULL;
    size_t size = 0;
    FILE *to = open_memstream(&text, &size);
    if (!to) {
        kill_die("memory");
    }
    fprintf(to, "txcrash kill --at %s", history);
    fputs(plan->changing ? " --changing" : "", to);
    print_option(to, "--dir", plan->template_dir);
    print_option(to, "--setup", plan->setup);
    print_option(to, "--recover", plan->recover);
    fputs(plan->nested ? " --nested" : "", to);
    print_option(to, "--check", plan->check);
    fputs(" --", to);
    for (size_t i = 0; plan->command[i]; i++) {
        fputc(' ', to);
        shell_word_print(to, plan->command[i]);
    }
    if (fclose(to) != 0) {
        kill_die("memory");
    }
    return text;
}

void kill_add_notes(const struct kill_plan *plan, struct report *report)
{
    char *command = NULL, *directory = getcwd(NULL, 0);
    size_t size = 0;
    FILE *to = open_memstream(&command, &size);
    if (!to) {
        kill_die("memory");
    }
    for (size_t i = 0; plan->command[i]; i++) {
        fputs(i ? " " : "", to);
        shell_word_print(to, plan->command[i]);
    }
    if (fclose(to) != 0) {
        kill_die("memory");
    }
    report_note(report, "command", command);
    report_note(report, "check", plan->check);
    if (plan->setup) {
        report_note(report, "setup", plan->setup);
    }
    if (plan->recover) {
        report_note(report, "recover", plan->recover);
    }
    if (directory) {
        report_note(report, "directory", directory);
    }
    free(directory);
    free(command);
}

/* What was done to the copy, for people. */
static char *choice_words(const struct kill_result *result)
{
    if (!result->killed) {
        return kill_format("ended by itself; runs at %s on one copy", result->history);
    }
    const char *joint = result->other_call ? ", this time " : "";
    const char *call = result->other_call ? kill_call_name(result->last_nr) : "";
    if (strpbrk(result->history, ",-")) {
        return kill_format("kills at %s on one copy%s%s", result->history, joint, call);
    }
    return kill_format("kill at call %lu%s%s", result->number, joint, call);
}

static void add_state(const struct kill_plan *plan, struct report *report,
                      const struct kill_result *result)
{
    char *again = result->convicted ? reproduce(plan, result->history) : NULL;
    char *choice = choice_words(result);
    unsigned long event = result->number - 1;
    struct report_state state = {
        .event = event > plan->seen_count ? plan->seen_count : event,
        .verdict = result->convicted ? REPORT_VIOLATION : REPORT_FINE,
        .choice = choice,
        .message = result->convicted ? result->message : NULL,
        .reproduce = again,
        .image = *result->image ? result->image : NULL,
    };
    report_state(report, &state);
    free(choice);
    free(again);
}

/* Calls in their order; the same number twice cannot be. */
static int by_number(const void *a, const void *b)
{
    const struct kill_result *left = a, *right = b;
    return (left->number > right->number) - (left->number < right->number);
}

/* How often the check said what. */
static void count_answers(struct report *report, const struct kill_result *results, size_t count)
{
    const char *different[SAID_MAX];
    size_t known = 0;
    for (size_t i = 0; i < count; i++) {
        const char *said = results[i].said;
        size_t at = 0;
        if (results[i].convicted || *said == '\0' || !results[i].killed) {
            continue;
        }
        while (at < known && strcmp(different[at], said) != 0) {
            at++;
        }
        if (at == SAID_MAX) {
            report_count(report, "check: something else", 1);
            continue;
        }
        known += at == known;
        different[at] = said;
        char *name = kill_format("check: %s", said);
        report_count(report, name, 1);
        free(name);
    }
}

void kill_add_results(const struct kill_plan *plan, struct report *report,
                      struct kill_result *results, size_t count)
{
    uint64_t kills = 0, nested = 0, copies = 0, other = 0;
    qsort(results, count, sizeof *results, by_number);
    for (size_t i = 0; i < count; i++) {
        kills += results[i].killed;
        nested += results[i].nested;
        copies += results[i].copied;
        other += results[i].other_call;
        if (results[i].killed || results[i].convicted) {
            add_state(plan, report, &results[i]);
        }
    }
    report_count(report, "calls", plan->seen_count);
    report_count(report, "kills", kills);
    if (plan->nested) {
        report_count(report, "kills of the recovery", nested);
    }
    report_count(report, "copies", copies);
    report_count(report, "other call than first seen", other);
    count_answers(report, results, count);
}
