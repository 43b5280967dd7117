/* SPDX-License-Identifier: MIT */
/* Many seeds in processes of their own, so that a library that ends the program is found too. */
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sim/swarm_internal.h"

#define JOBS_MAX 64u
#define SEED_SECONDS 120 /* one that does not end is ended, and is a violation */

struct message {
    uint64_t seed;
    struct swarm_result result;
};

struct worker {
    pid_t pid;
    int fd; /* its messages; -1: it is done */
    uint64_t next; /* the seed that it works on */
};

struct many {
    uint64_t last;
    unsigned jobs;
    const struct swarm_limits *limits;
    struct worker workers[JOBS_MAX];
};

static void write_all(int fd, const void *data, size_t size)
{
    const char *at = data;
    while (size > 0) {
        ssize_t done = write(fd, at, size);
        if (done <= 0) {
            _exit(1); /* nobody listens any more */
        }
        at += done;
        size -= (size_t)done;
    }
}

static bool read_all(int fd, void *data, size_t size)
{
    char *at = data;
    while (size > 0) {
        ssize_t done = read(fd, at, size);
        if (done <= 0) {
            return false;
        }
        at += done;
        size -= (size_t)done;
    }
    return true;
}

static void work(const struct many *many, uint64_t seed, int fd)
{
    struct message message;
    sim_keep_heap();
    for (; seed <= many->last; seed += many->jobs) {
        (void)alarm(SEED_SECONDS);
        message.seed = seed;
        swarm_seed(seed, many->limits, &message.result);
        write_all(fd, &message, sizeof message);
    }
    (void)alarm(0);
}

/* Work from `seed` on in a new process. */
static bool start(struct many *many, struct worker *worker, uint64_t seed)
{
    int ends[2];
    worker->fd = -1;
    if (seed > many->last) {
        return true;
    }
    (void)fflush(NULL);
    if (pipe(ends) != 0) {
        return false;
    }
    worker->pid = fork();
    if (worker->pid == 0) {
        (void)close(ends[0]);
        work(many, seed, ends[1]);
        (void)fflush(NULL);
        exit(0); /* destructors: the caches of the simulator are no leaks */
    }
    (void)close(ends[1]);
    if (worker->pid < 0) {
        (void)close(ends[0]);
        return false;
    }
    worker->fd = ends[0];
    worker->next = seed;
    return true;
}

static int end(struct worker *worker)
{
    int status = 0;
    (void)close(worker->fd);
    worker->fd = -1;
    (void)waitpid(worker->pid, &status, 0); /* our own child: cannot fail */
    return status;
}

static void say_how_it_died(struct swarm_result *result, int status)
{
    *result = (struct swarm_result){.violation = true};
    if (WIFSIGNALED(status)) {
        (void)snprintf(result->text, SWARM_TEXT_SIZE, "the program was ended by signal %d",
                       WTERMSIG(status));
    } else {
        (void)snprintf(result->text, SWARM_TEXT_SIZE, "the program exited with %d",
                       WEXITSTATUS(status));
    }
}

/* Something can be read, or the worker is dead. *go_on: the listener wants more. */
static bool attend(struct many *many, struct worker *worker, swarm_seen_fn *fn, void *arg,
                   bool *go_on)
{
    struct message message;
    if (read_all(worker->fd, &message, sizeof message)) {
        worker->next = message.seed + many->jobs;
        *go_on = fn(arg, message.seed, &message.result);
        return true;
    }
    int status = end(worker);
    if (worker->next > many->last && status == 0) {
        return true;
    }
    say_how_it_died(&message.result, status);
    *go_on = fn(arg, worker->next, &message.result);
    return start(many, worker, worker->next + many->jobs);
}

static bool round_of(struct many *many, swarm_seen_fn *fn, void *arg, bool *go_on, bool *any)
{
    struct pollfd polls[JOBS_MAX];
    *any = false;
    for (unsigned i = 0; i < many->jobs; i++) {
        polls[i] = (struct pollfd){many->workers[i].fd, POLLIN, 0};
        *any = *any || many->workers[i].fd >= 0;
    }
    if (*any && poll(polls, many->jobs, -1) < 0) {
        return errno == EINTR;
    }
    for (unsigned i = 0; i < many->jobs && *go_on; i++) {
        if (many->workers[i].fd >= 0 && polls[i].revents != 0 &&
            !attend(many, &many->workers[i], fn, arg, go_on)) {
            return false;
        }
    }
    return true;
}

bool swarm_many(uint64_t first, uint64_t last, unsigned jobs, const struct swarm_limits *limits,
                swarm_seen_fn *fn, void *arg)
{
    struct many *many = sim_need(calloc(1, sizeof *many));
    bool fine = true;
    bool go_on = true;
    bool any = true;
    many->last = last;
    many->jobs = jobs == 0 ? 1 : jobs < JOBS_MAX ? jobs : JOBS_MAX;
    many->limits = limits;
    for (unsigned i = 0; i < many->jobs; i++) {
        many->workers[i].fd = -1;
    }
    for (unsigned i = 0; i < many->jobs && fine; i++) {
        fine = start(many, &many->workers[i], first + i);
    }
    while (fine && go_on && any) {
        fine = round_of(many, fn, arg, &go_on, &any);
    }
    for (unsigned i = 0; i < many->jobs; i++) {
        if (many->workers[i].fd >= 0) {
            (void)kill(many->workers[i].pid, SIGKILL);
            (void)end(&many->workers[i]);
        }
    }
    free(many);
    return fine;
}

static bool keep_result(void *arg, uint64_t seed, const struct swarm_result *result)
{
    (void)seed;
    *(struct swarm_result *)arg = *result;
    return true;
}

void swarm_seed_apart(uint64_t seed, const struct swarm_limits *limits, struct swarm_result *result)
{
    if (!swarm_many(seed, seed, 1, limits, keep_result, result)) {
        *result = (struct swarm_result){.violation = true, .text = "no process can be made"};
    }
}

/* --- Shrinking -------------------------------------------------------------------------------- */

struct shrink {
    uint64_t seed;
    struct swarm_limits *limits;
    struct swarm_result *result;
    unsigned runs;
};

static bool try_limits(struct shrink *shrink, const struct swarm_limits *limits)
{
    struct swarm_result result;
    shrink->runs++;
    swarm_seed_apart(shrink->seed, limits, &result);
    if (result.violation) {
        *shrink->limits = *limits;
        *shrink->result = result;
    }
    return result.violation;
}

static void shrink_count(struct shrink *shrink, size_t field, unsigned most)
{
    for (unsigned count = 1; count < most; count += 1 + count / 4) {
        struct swarm_limits limits = *shrink->limits;
        memcpy((char *)&limits + field, &count, sizeof count);
        if (try_limits(shrink, &limits)) {
            return;
        }
    }
}

unsigned swarm_shrink(uint64_t seed, struct swarm_limits *limits, struct swarm_result *result)
{
    struct shrink shrink = {seed, limits, result, 0};
    struct swarm_plan plan;
    for (unsigned i = 0; i < SWARM_FAULTS; i++) {
        struct swarm_limits fewer = *limits;
        fewer.without |= UINT64_C(1) << i;
        if (fewer.without != limits->without) {
            (void)try_limits(&shrink, &fewer);
        }
    }
    swarm_plan_draw(&plan, seed, limits);
    shrink_count(&shrink, offsetof(struct swarm_limits, processes_max), plan.processes);
    shrink_count(&shrink, offsetof(struct swarm_limits, threads_max), plan.threads);
    shrink_count(&shrink, offsetof(struct swarm_limits, transactions_max), plan.transactions);
    return shrink.runs;
}
