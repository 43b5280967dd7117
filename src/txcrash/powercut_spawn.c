/* SPDX-License-Identifier: MIT */
/*
 * Commands of others. Each is alone in a process group that does not outlive it, so that nothing
 * holds the directory when it is to be unmounted.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "powercut_internal.h"

extern char **environ;

static pid_t start(char *const argv[], int output)
{
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t defaults;
    pid_t pid;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_adddup2(&actions, output, STDOUT_FILENO);
    posix_spawn_file_actions_adddup2(&actions, output, STDERR_FILENO);
    posix_spawnattr_init(&attributes);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGDEF);
    posix_spawnattr_setpgroup(&attributes, 0);
    sigemptyset(&defaults);
    sigaddset(&defaults, SIGPIPE);
    posix_spawnattr_setsigdefault(&attributes, &defaults);
    int error = posix_spawnp(&pid, argv[0], &actions, &attributes, argv, environ);
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&actions);
    if (error != 0) {
        errno = error;
        powercut_die_errno("start \"%s\"", argv[0]);
    }
    return pid;
}

/* Keep the last line that is not empty; `line` is what was read since the last newline. */
struct tail {
    char line[POWERCUT_TEXT];
    size_t size;
    char *last;
};

static void end_line(struct tail *tail)
{
    if (tail->size > 0) {
        memcpy(tail->last, tail->line, tail->size);
        tail->last[tail->size] = '\0';
    }
    tail->size = 0;
}

/* Answers false when there is nothing more. */
static bool take_output(int fd, struct tail *tail)
{
    char bytes[4096];
    ssize_t count = read(fd, bytes, sizeof bytes);
    for (ssize_t i = 0; i < count; i++) {
        if (bytes[i] == '\n') {
            end_line(tail);
        } else if (tail->size < sizeof tail->line - 1) {
            tail->line[tail->size++] = (unsigned char)bytes[i] < ' ' ? ' ' : bytes[i];
        }
    }
    return count > 0;
}

static int64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Until the process ends or its time is over; what it started may hold the pipe for longer. */
static void follow(pid_t pid, int output, unsigned timeout_s, struct spawned *spawned)
{
    struct tail tail = {.last = spawned->last_line};
    int process = (int)syscall(SYS_pidfd_open, pid, 0);
    if (process < 0) {
        powercut_die_errno("watch a process");
    }
    struct pollfd ends[] = {{process, POLLIN, 0}, {output, POLLIN, 0}};
    int64_t end = now_ms() + (int64_t)timeout_s * 1000;
    while (!(ends[0].revents & POLLIN)) {
        int64_t left = end - now_ms();
        if (left <= 0) {
            spawned->timed_out = true;
            break;
        }
        if (poll(ends, 2, (int)left) < 0 && errno != EINTR) {
            powercut_die_errno("wait for a process");
        }
        if (ends[1].revents && !take_output(output, &tail)) {
            ends[1].fd = -1;
        }
    }
    while (take_output(output, &tail)) {
    }
    end_line(&tail);
    close(process);
}

/* Everything of the group goes; we adopt its orphans (lab_split), so they can be awaited. */
static void end_group(pid_t pid, struct spawned *spawned)
{
    kill(-pid, SIGKILL);
    while (waitpid(pid, &spawned->status, 0) < 0) {
        if (errno != EINTR) {
            powercut_die_errno("wait for a process");
        }
    }
    while (waitpid(-pid, NULL, 0) > 0 || errno == EINTR) {
    }
}

void spawn_run(char *const argv[], enum spawn_output output, unsigned timeout_s,
               struct spawned *spawned)
{
    int ends[2];
    *spawned = (struct spawned){0};
    if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0 || fcntl(ends[1], F_SETFL, 0) != 0) {
        powercut_die_errno("make a pipe");
    }
    pid_t pid = start(argv, output == SPAWN_SHOW ? STDERR_FILENO : ends[1]);
    close(ends[1]);
    follow(pid, ends[0], timeout_s, spawned);
    close(ends[0]);
    end_group(pid, spawned);
}

void spawn_shell(const struct lab *lab, const char *command, const char *acks,
                 enum spawn_output output, struct spawned *spawned)
{
    char *with_dir = powercut_replace(command, "{dir}", lab->dir);
    char *whole = powercut_replace(with_dir, "{acks}", acks);
    char *argv[] = {(char *)"/bin/sh", (char *)"-c", whole, NULL};
    spawn_run(argv, output, lab->options->timeout_s, spawned);
    free(whole);
    free(with_dir);
}

bool spawn_succeeded(const struct spawned *spawned)
{
    return !spawned->timed_out && WIFEXITED(spawned->status) && WEXITSTATUS(spawned->status) == 0;
}

void spawn_explain(const struct spawned *spawned, char text[POWERCUT_TEXT])
{
    if (spawned->timed_out) {
        snprintf(text, POWERCUT_TEXT, "took too long (--timeout)");
    } else if (WIFSIGNALED(spawned->status)) {
        snprintf(text, POWERCUT_TEXT, "killed by signal %d", WTERMSIG(spawned->status));
    } else if (spawned->last_line[0]) {
        snprintf(text, POWERCUT_TEXT, "%s", spawned->last_line);
    } else {
        snprintf(text, POWERCUT_TEXT, "exit code %d", WEXITSTATUS(spawned->status));
    }
}
