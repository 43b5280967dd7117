/* SPDX-License-Identifier: MIT */
/*
 * txcrash kill: any program, killed before each of its system calls.
 *
 * One process reads the options and collects (kill_command.c); for each job it forks a worker
 * (kill_work.c) that owns one copy of the template (kill_copy.c). A worker traces one run of the
 * program at a time (kill_trace.c), runs the check (kill_shell.c), and sends a kill_result of fixed
 * size through the pipe that all workers share.
 */
#ifndef TXCRASH_KILL_H
#define TXCRASH_KILL_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

#include "report.h"

#define KILL_LINE_SIZE 240u     /* of what a check says */
#define KILL_HISTORY_SIZE 1000u /* of a list of kills on one copy, as text */
#define KILL_JOBS_MAX 64u
#define KILL_NEVER ULONG_MAX /* number of a run that is let go */

enum kill_choice {
    KILL_EVERY,
    KILL_SAMPLE, /* `numbers` is drawn after the first run */
    KILL_AT,     /* `numbers` was given; all on one copy */
};

struct kill_plan {
    enum kill_choice choice;
    unsigned long sample, seed;
    unsigned long *numbers; /* NULL: every */
    size_t number_count;
    bool changing, reuse, nested;
    unsigned jobs, timeout_s;
    const char *template_dir; /* absolute; NULL: start empty */
    const char *setup, *recover, *check, *keep;
    char **command;
    char *area;                     /* directory of our own; job<N>/ below it */
    char untouched[KILL_LINE_SIZE]; /* what the check says first of an untouched copy */
    const int
        *seen; /* the calls of the first run by number, from 0: number in the kernel's table */
    unsigned long seen_count;
};

/* What one run showed. Small enough for one write to a pipe to be whole (PIPE_BUF). */
struct kill_result {
    unsigned long number; /* of the call */
    bool killed;          /* false: it ended by itself before that call */
    bool convicted, copied, other_call;
    unsigned nested;                  /* kills of the recovery */
    int last_nr;                      /* the call that it was killed before, in this run */
    char said[KILL_LINE_SIZE];        /* first line of the check */
    char message[2 * KILL_LINE_SIZE]; /* why convicted */
    char history[KILL_HISTORY_SIZE];  /* runs on the same copy, this one last: "3,7-11" */
    char image[KILL_LINE_SIZE];       /* where the copy was kept; "": nowhere */
};
_Static_assert(sizeof(struct kill_result) <= PIPE_BUF, "a write of a result must be atomic");

/* Ends the program with one line. */
void kill_die(const char *what) __attribute__((noreturn));
char *kill_format(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* --- kill_filter.c: which calls can change what outlives the program --- */

/* Make the filter, once, in the parent of all runs. */
void kill_filter_prepare(void);
/* Install the filter that stops only at those; ends the process when that fails. */
void kill_filter_install(void);

/* --- kill_calls.c: calls for people --- */

struct kill_call {
    int nr;
    uint64_t args[6];
};

const char *kill_call_name(int nr); /* "call 451" when unknown */
/* One event of the report for a call that `pid` is about to make. `dir` and `acks` are the paths of
 * its copy, shown as {dir} and {acks}; a write to `acks` is an acknowledgement. */
void kill_call_event(struct report *report, pid_t pid, const struct kill_call *call,
                     const char *dir, const char *acks);

/* --- kill_trace.c: one run --- */

struct kill_run {
    char *const *argv;
    unsigned long number; /* kill everything before this call, from 1; KILL_NEVER: let it go */
    bool changing;
    unsigned timeout_s;
    const char *error_path; /* its standard error goes there */
    void (*on_call)(void *arg, pid_t pid, const struct kill_call *call); /* may be NULL */
    void *arg;
    /* what became of it */
    unsigned long entered; /* calls of the whole tree */
    bool started;          /* its exec succeeded */
    bool killed;           /* by us, before `number` */
    bool timed_out;
    int last_nr; /* the call that it was killed before */
    int status;  /* of its first process, as from wait(2) */
};

void kill_trace(struct kill_run *run);

/* --- kill_shell.c: commands of the user, and limits of time --- */

struct kill_answer {
    int status; /* as from wait(2) */
    bool timed_out;
    char first[KILL_LINE_SIZE], last[KILL_LINE_SIZE]; /* lines of both outputs */
};

/* Run a command with the shell. */
void kill_shell(const char *command, unsigned timeout_s, struct kill_answer *answer);
/* Words for a status that is not success: "exit code 3", "killed by SIGSEGV". */
void kill_status_words(int status, bool timed_out, char *words, size_t size);
/* A limit of time: kill_timer_expired() turns true. 0 ends it. One at a time in a process. */
void kill_timer_set(unsigned seconds);
bool kill_timer_expired(void);
/* From now on SIGINT and SIGTERM end what runs, as if its time were over. */
void kill_catch_interrupts(void);
int kill_interrupted(void); /* the signal, 0: none */
/* The last line of a file that has something in it, "" when none. */
void kill_last_line(const char *path, char *line, size_t size);

/* --- kill_copy.c: the copy of the template that one job works on --- */

struct kill_copy {
    const struct kill_plan *plan;
    char *home, *dir, *acks, *errors;
    char **argv, *setup, *recover, *check; /* with {dir} and {acks} filled in */
};

void kill_copy_init(struct kill_copy *copy, const struct kill_plan *plan, unsigned job);
void kill_copy_release(struct kill_copy *copy); /* removes it from the disk too */
void kill_copy_renew(struct kill_copy *copy);   /* the template again */
void kill_copy_forget_acks(struct kill_copy *copy);
/* Leave the copy below plan->keep; writes where, "" when it was not wanted. */
void kill_copy_keep(struct kill_copy *copy, unsigned long number, char *image, size_t size);

/* --- kill_work.c: one worker --- */

/* Recover and check what is there; true when fine. Fills said, or message. */
bool kill_judge(struct kill_copy *copy, struct kill_result *result);
/* Go through this job's share and send the results. */
void kill_work(const struct kill_plan *plan, unsigned job, int results);

/* --- kill_numbers.c: lists of calls as text, and samples --- */

/* "3,7-11"; NULL when it is no such list. Ownership: free. */
unsigned long *kill_numbers_parse(const char *text, size_t *count);
/* `count` different ones of 1..limit in their order, or all. Ownership: free. */
unsigned long *kill_numbers_draw(size_t *count, unsigned long limit, unsigned long seed);
/* Append to a list; false when it does not fit. */
bool kill_numbers_append(char *list, size_t size, unsigned long number);

/* --- kill_options.c --- */

/* False after having said what is wrong. */
bool kill_options_parse(int argc, char **argv, struct kill_plan *plan,
                        struct report_outputs *outputs);
void kill_print_usage(FILE *to);

/* --- kill_report.c --- */

/* The first run, which nobody kills: writes down its calls as events, and what they were into the
 * plan. False after having said why nothing can be tested. */
bool kill_first_run(struct kill_plan *plan, struct report *report);
void kill_add_notes(const struct kill_plan *plan, struct report *report);
/* Everything that the workers sent, in the order of calls. */
void kill_add_results(const struct kill_plan *plan, struct report *report,
                      struct kill_result *results, size_t count);

#endif
