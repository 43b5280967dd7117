/* SPDX-License-Identifier: MIT */
/* Every 10 ms one member is killed and started again, or stopped until the next kill is over. */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>

#include "soak/soak_harm.h"

#define INTERVAL_MS 10
#define STOP_ONE_IN 4

static double seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void reap(pid_t pid)
{
    while (waitpid(pid, NULL, 0) < 0 && errno == EINTR) {
    }
}

static void hurt_one(const struct soak_members *members, pid_t *pids, pid_t *stopped,
                     struct soak_harm *harm)
{
    unsigned victim = (unsigned)random() % members->count;
    if (*stopped == 0 && random() % STOP_ONE_IN == 0) {
        *stopped = pids[victim];
        kill(*stopped, SIGSTOP);
        harm->stops++;
        return;
    }
    if (pids[victim] == *stopped) {
        *stopped = 0; /* killed where it stands */
    }
    kill(pids[victim], SIGKILL);
    reap(pids[victim]);
    harm->kills++;
    if (*stopped != 0) {
        kill(*stopped, SIGCONT);
        *stopped = 0;
    }
    pids[victim] = members->start(victim);
}

void soak_do_harm(const struct soak_members *members, unsigned long kills, struct soak_harm *harm)
{
    pid_t pids[SOAK_MEMBERS_MAX], stopped = 0;
    double start = seconds();
    for (unsigned i = 0; i < members->count; i++) {
        pids[i] = members->start(i);
    }
    while (harm->kills < kills && members->goes_on()) {
        struct timespec pause = {0, INTERVAL_MS * 1000000l};
        nanosleep(&pause, NULL); /* the interval of the experiment, not a wait for anything */
        hurt_one(members, pids, &stopped, harm);
    }
    members->stop();
    if (stopped != 0) {
        kill(stopped, SIGCONT);
    }
    for (unsigned i = 0; i < members->count; i++) {
        reap(pids[i]);
    }
    harm->seconds = seconds() - start;
}
