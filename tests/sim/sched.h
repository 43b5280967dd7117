/* SPDX-License-Identifier: MIT */
/*
 * A cooperative scheduler: simulated threads that change over only at calls of the seam, in an
 * order that follows from a seed or a script.
 *
 *     sched_init(&sched, &options);
 *     sched_spawn(&sched, work, arg, group);    any number, before or while it runs
 *     end = sched_run(&sched);                  until all are done, stuck or stopped
 *     sched_release(&sched);
 *
 * A group is a simulated process. Waiting is real: a task that sleeps on a word runs again only
 * when somebody wakes it, or when its time is over and everybody else sleeps too; so a wake-up that
 * the library forgets is found.
 */
#ifndef TX_SIM_SCHED_H
#define TX_SIM_SCHED_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "sim/fiber.h"

#define SCHED_TASKS_MAX 64u
#define SCHED_CHANGES_MAX 8u
#define SCHED_PATIENCE 3000u /* points in a row of one task while others could run */

enum sched_policy {
    SCHED_RANDOM,      /* at one point in `every`, to anybody */
    SCHED_ROUND_ROBIN, /* at each `every`-th point, to the next */
    SCHED_PRIORITY,    /* the first by a drawn order, which changes at 3 drawn points (PCT) */
    SCHED_SCRIPT,      /* at the points that the script names, to the next */
};

enum sched_end {
    SCHED_DONE,
    SCHED_STUCK,   /* all that is left sleeps for ever */
    SCHED_STOPPED, /* by sched_stop */
};

struct sched_options {
    enum sched_policy policy;
    uint64_t seed;
    unsigned every;        /* of RANDOM and ROUND_ROBIN, at least 1 */
    uint64_t length;       /* of PRIORITY: points among which its changes are drawn */
    const uint64_t *script; /* ascending numbers of points, from 1; kept */
    unsigned script_count;
    /* Let time pass because everybody sleeps; say what time it is. */
    void (*advance)(void *arg, int64_t ns);
    int64_t (*now)(void *arg);
    void *arg;
};

enum sched_state {
    SCHED_READY,
    SCHED_ON_WORD,
    SCHED_ON_LOCK,
    SCHED_ON_TASK, /* sched_join */
    SCHED_OVER,
};

struct sched_task {
    struct fiber *fiber;
    fiber_fn *fn;
    void *arg;
    struct sched *sched;
    unsigned group;
    enum sched_state state;
    const _Atomic uint32_t *word;
    int64_t deadline_ns; /* INT64_MAX: none */
    bool timed_out;
    uint64_t priority;
};

struct sched {
    struct sched_options options;
    struct fiber *host;
    struct sched_task *tasks[SCHED_TASKS_MAX];
    unsigned task_count;
    unsigned current; /* SCHED_TASKS_MAX: the host */
    uint64_t random;
    uint64_t points, switches;
    uint64_t run_length; /* points since the last switch */
    uint64_t changes[SCHED_CHANGES_MAX];
    unsigned script_at;
    bool stopped;
};

void sched_init(struct sched *sched, const struct sched_options *options);
void sched_release(struct sched *sched);
/* Answers the task's number. */
unsigned sched_spawn(struct sched *sched, fiber_fn *fn, void *arg, unsigned group);
enum sched_end sched_run(struct sched *sched);

/* --- For a running task ----------------------------------------------------------------------- */

/* Somebody else may go on now. */
void sched_point(struct sched *sched);
/* Sleep until sched_wake; false when `timeout_ns` (< 0: none) was over before. */
bool sched_sleep(struct sched *sched, const _Atomic uint32_t *word, int64_t timeout_ns);
/* Answers how many were woken; those behind the caller come first. */
int sched_wake(struct sched *sched, const _Atomic uint32_t *word, int count);
/* Sleep until sched_lock_given. */
void sched_wait_lock(struct sched *sched);
void sched_lock_given(struct sched *sched);
/* Sleep until no other task of the own group is left. */
void sched_join(struct sched *sched);
/* No task of the group runs again; does not return when the caller is one. */
void sched_kill(struct sched *sched, unsigned group);
/* Back to the host, for good. */
_Noreturn void sched_stop(struct sched *sched);

#endif
