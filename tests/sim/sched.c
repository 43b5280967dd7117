/* SPDX-License-Identifier: MIT */
#include "sim/sched.h"

#include <stdlib.h>
#include <string.h>

#include "sim/sim_internal.h"

#define NOBODY SCHED_TASKS_MAX
#define PCT_CHANGES 3u

static uint64_t draw(struct sched *sched, uint64_t limit)
{
    return (sim_random(&sched->random) >> 8) % limit;
}

void sched_init(struct sched *sched, const struct sched_options *options)
{
    *sched = (struct sched){.options = *options, .random = options->seed, .current = NOBODY};
    sched->host = fiber_host();
    for (unsigned i = 0; i < PCT_CHANGES && options->policy == SCHED_PRIORITY; i++) {
        sched->changes[i] = 1 + draw(sched, options->length);
    }
}

void sched_release(struct sched *sched)
{
    for (unsigned i = 0; i < sched->task_count; i++) {
        if (sched->tasks[i]->fiber != NULL) {
            fiber_free(sched->tasks[i]->fiber);
        }
        free(sched->tasks[i]);
    }
    fiber_free(sched->host);
}

/* --- Choosing --------------------------------------------------------------------------------- */

static unsigned ready_after(const struct sched *sched, unsigned from)
{
    for (unsigned i = 1; i <= sched->task_count; i++) {
        unsigned at = (from + i) % sched->task_count;
        if (sched->tasks[at]->state == SCHED_READY) {
            return at;
        }
    }
    return NOBODY;
}

static unsigned ready_at_random(struct sched *sched)
{
    unsigned count = 0;
    unsigned chosen = NOBODY;
    for (unsigned i = 0; i < sched->task_count; i++) {
        if (sched->tasks[i]->state == SCHED_READY && draw(sched, ++count) == 0) {
            chosen = i;
        }
    }
    return chosen;
}

static unsigned ready_first(const struct sched *sched)
{
    unsigned best = NOBODY;
    for (unsigned i = 0; i < sched->task_count; i++) {
        const struct sched_task *task = sched->tasks[i];
        if (task->state == SCHED_READY &&
            (best == NOBODY || task->priority > sched->tasks[best]->priority)) {
            best = i;
        }
    }
    return best;
}

static unsigned choose(struct sched *sched)
{
    unsigned from = sched->current == NOBODY ? 0 : sched->current;
    switch (sched->options.policy) {
    case SCHED_RANDOM:
        return ready_at_random(sched);
    case SCHED_PRIORITY:
        return ready_first(sched);
    default:
        return sched->task_count == 0 ? NOBODY : ready_after(sched, from);
    }
}

/* Everybody sleeps: let the time pass until the first of them wakes. */
static bool pass_time(struct sched *sched)
{
    int64_t first = INT64_MAX;
    for (unsigned i = 0; i < sched->task_count; i++) {
        const struct sched_task *task = sched->tasks[i];
        if (task->state == SCHED_ON_WORD && task->deadline_ns < first) {
            first = task->deadline_ns;
        }
    }
    if (first == INT64_MAX) {
        return false;
    }
    int64_t now = sched->options.now(sched->options.arg);
    sched->options.advance(sched->options.arg, first > now ? first - now : 0);
    for (unsigned i = 0; i < sched->task_count; i++) {
        struct sched_task *task = sched->tasks[i];
        if (task->state == SCHED_ON_WORD && task->deadline_ns <= first) {
            task->state = SCHED_READY;
            task->timed_out = true;
        }
    }
    return true;
}

static unsigned next_task(struct sched *sched)
{
    if (sched->stopped) {
        return NOBODY;
    }
    unsigned next = choose(sched);
    return next != NOBODY || !pass_time(sched) ? next : choose(sched);
}

/* --- Changing over ---------------------------------------------------------------------------- */

static struct fiber *fiber_of(const struct sched *sched, unsigned task)
{
    return task == NOBODY ? sched->host : sched->tasks[task]->fiber;
}

static void change_to(struct sched *sched, unsigned next)
{
    unsigned from = sched->current;
    sched->run_length = 0;
    if (next == from) {
        return;
    }
    sched->switches++;
    sched->current = next;
    fiber_switch(fiber_of(sched, from), fiber_of(sched, next));
}

static void give_way(struct sched *sched) { change_to(sched, next_task(sched)); }

static void wake_joiners(struct sched *sched, unsigned group)
{
    unsigned left = 0;
    for (unsigned i = 0; i < sched->task_count; i++) {
        const struct sched_task *task = sched->tasks[i];
        left += task->group == group && task->state != SCHED_OVER;
    }
    for (unsigned i = 0; i < sched->task_count && left == 1; i++) {
        struct sched_task *task = sched->tasks[i];
        if (task->group == group && task->state == SCHED_ON_TASK) {
            task->state = SCHED_READY;
        }
    }
}

static void task_begin(void *arg)
{
    struct sched_task *task = arg;
    struct sched *sched = task->sched;
    task->fn(task->arg);
    task->state = SCHED_OVER;
    wake_joiners(sched, task->group);
    unsigned next = next_task(sched);
    sched->current = next;
    sched->run_length = 0;
    fiber_leave(task->fiber, fiber_of(sched, next));
}

static unsigned free_place(struct sched *sched)
{
    for (unsigned i = 0; i < sched->task_count; i++) {
        if (sched->tasks[i]->state == SCHED_OVER && i != sched->current) {
            if (sched->tasks[i]->fiber != NULL) {
                fiber_free(sched->tasks[i]->fiber);
            }
            return i;
        }
    }
    if (sched->task_count == SCHED_TASKS_MAX) {
        abort();
    }
    sched->tasks[sched->task_count] = sim_need(calloc(1, sizeof *sched->tasks[0]));
    return sched->task_count++;
}

unsigned sched_spawn(struct sched *sched, fiber_fn *fn, void *arg, unsigned group)
{
    unsigned at = free_place(sched);
    struct sched_task *task = sched->tasks[at];
    *task = (struct sched_task){.fn = fn, .arg = arg, .sched = sched, .group = group,
                                .deadline_ns = INT64_MAX};
    task->priority = PCT_CHANGES + 1 + draw(sched, 1000000);
    task->fiber = fiber_new(task_begin, task);
    return at;
}

enum sched_end sched_run(struct sched *sched)
{
    give_way(sched);
    if (sched->stopped) {
        return SCHED_STOPPED;
    }
    for (unsigned i = 0; i < sched->task_count; i++) {
        if (sched->tasks[i]->state != SCHED_OVER) {
            return SCHED_STUCK;
        }
    }
    return SCHED_DONE;
}

/* --- For a running task ----------------------------------------------------------------------- */

static struct sched_task *self_of(struct sched *sched) { return sched->tasks[sched->current]; }

/* PCT (Burckhardt and others, 2010): at change point i the running task gets priority i. */
static bool falls_behind(struct sched *sched)
{
    bool fell = false;
    for (unsigned i = 0; i < PCT_CHANGES; i++) {
        if (sched->changes[i] == sched->points) {
            self_of(sched)->priority = i;
            fell = true;
        }
    }
    return fell;
}

static bool is_due(struct sched *sched)
{
    const struct sched_options *options = &sched->options;
    switch (options->policy) {
    case SCHED_RANDOM:
        return draw(sched, options->every) == 0;
    case SCHED_ROUND_ROBIN:
        return sched->points % options->every == 0;
    case SCHED_PRIORITY:
        return falls_behind(sched);
    default:
        if (sched->script_at < options->script_count &&
            options->script[sched->script_at] == sched->points) {
            sched->script_at++;
            return true;
        }
        return false;
    }
}

void sched_point(struct sched *sched)
{
    if (sched->current == NOBODY) {
        return;
    }
    sched->points++;
    bool due = is_due(sched);
    if (++sched->run_length > SCHED_PATIENCE) {
        /* Who asks again and again for what others must do would ask for ever. */
        self_of(sched)->priority = self_of(sched)->priority > 0 ? PCT_CHANGES : 0;
        change_to(sched, ready_after(sched, sched->current));
    } else if (due) {
        give_way(sched);
    }
}

bool sched_sleep(struct sched *sched, const _Atomic uint32_t *word, int64_t timeout_ns)
{
    struct sched_task *self = self_of(sched);
    self->state = SCHED_ON_WORD;
    self->word = word;
    self->timed_out = false;
    self->deadline_ns = INT64_MAX;
    if (timeout_ns >= 0) {
        self->deadline_ns = sched->options.now(sched->options.arg) + timeout_ns;
    }
    give_way(sched);
    return !self->timed_out;
}

int sched_wake(struct sched *sched, const _Atomic uint32_t *word, int count)
{
    int woken = 0;
    unsigned start = sched->current == NOBODY ? 0 : sched->current;
    for (unsigned i = 1; i <= sched->task_count && woken < count; i++) {
        struct sched_task *task = sched->tasks[(start + i) % sched->task_count];
        if (task->state == SCHED_ON_WORD && task->word == word) {
            task->state = SCHED_READY;
            woken++;
        }
    }
    return woken;
}

void sched_wait_lock(struct sched *sched)
{
    self_of(sched)->state = SCHED_ON_LOCK;
    give_way(sched);
}

void sched_lock_given(struct sched *sched)
{
    for (unsigned i = 0; i < sched->task_count; i++) {
        if (sched->tasks[i]->state == SCHED_ON_LOCK) {
            sched->tasks[i]->state = SCHED_READY;
        }
    }
}

void sched_join(struct sched *sched)
{
    struct sched_task *self = self_of(sched);
    for (unsigned i = 0; i < sched->task_count; i++) {
        const struct sched_task *task = sched->tasks[i];
        if (task != self && task->group == self->group && task->state != SCHED_OVER) {
            self->state = SCHED_ON_TASK;
        }
    }
    if (self->state == SCHED_ON_TASK) {
        give_way(sched);
    }
}

void sched_kill(struct sched *sched, unsigned group)
{
    for (unsigned i = 0; i < sched->task_count; i++) {
        if (sched->tasks[i]->group == group) {
            sched->tasks[i]->state = SCHED_OVER;
        }
    }
    if (sched->current != NOBODY && self_of(sched)->group == group) {
        struct fiber *self = self_of(sched)->fiber;
        unsigned next = next_task(sched);
        sched->current = next;
        sched->run_length = 0;
        fiber_leave(self, fiber_of(sched, next));
    }
}

void sched_stop(struct sched *sched)
{
    struct fiber *self = fiber_of(sched, sched->current);
    sched->stopped = true;
    sched->current = NOBODY;
    fiber_leave(self, sched->host);
}
