/* SPDX-License-Identifier: MIT */
/* Commands of the user, run with the shell; and limits of time. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kill.h"

static volatile sig_atomic_t expired, interrupted;

static void on_alarm(int signal)
{
    (void)signal;
    expired = 1;
}

/* It goes off again and again: one that comes just before the process waits is not lost. */
void kill_timer_set(unsigned seconds)
{
    struct itimerval timer = {.it_value.tv_sec = seconds, .it_interval.tv_sec = seconds ? 1 : 0};
    struct sigaction action = {.sa_handler = on_alarm}; /* no SA_RESTART: waits must end */
    expired = 0;
    if (sigaction(SIGALRM, &action, NULL) != 0 || setitimer(ITIMER_REAL, &timer, NULL) != 0) {
        kill_die("timer");
    }
}

bool kill_timer_expired(void)
{
    return expired != 0 || interrupted != 0;
}

static void on_interrupt(int signal)
{
    interrupted = signal;
}

void kill_catch_interrupts(void)
{
    struct sigaction action = {.sa_handler = on_interrupt};
    if (sigaction(SIGINT, &action, NULL) != 0 || sigaction(SIGTERM, &action, NULL) != 0) {
        kill_die("signals");
    }
}

int kill_interrupted(void)
{
    return interrupted;
}

/* Keeps the first and the last line that have something in them. */
struct lines {
    char now[KILL_LINE_SIZE];
    size_t size;
    char *first, *last;
};

static void end_line(struct lines *lines)
{
    if (lines->size > 0) {
        lines->now[lines->size] = '\0';
        memcpy(lines->last, lines->now, lines->size + 1);
        if (*lines->first == '\0') {
            memcpy(lines->first, lines->now, lines->size + 1);
        }
    }
    lines->size = 0;
}

static void add_bytes(struct lines *lines, const char *data, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        if (data[i] == '\n' || data[i] == '\0') {
            end_line(lines);
        } else if (lines->size < sizeof lines->now - 1) {
            lines->now[lines->size++] = data[i];
        }
    }
}

/* False when time is over. */
static bool read_lines(int fd, struct lines *lines)
{
    char data[4096];
    for (;;) {
        ssize_t count = read(fd, data, sizeof data);
        if (kill_timer_expired()) {
            return false;
        }
        if (count == 0) {
            break;
        }
        if (count < 0 && errno != EINTR) {
            kill_die("read what a command says");
        }
        if (count > 0) {
            add_bytes(lines, data, (size_t)count);
        }
    }
    end_line(lines);
    return true;
}

static pid_t start(const char *command, int output)
{
    pid_t pid = fork();
    if (pid == 0) {
        int null = open("/dev/null", O_RDONLY);
        if (null < 0 || dup2(null, STDIN_FILENO) < 0 || dup2(output, STDOUT_FILENO) < 0 ||
            dup2(output, STDERR_FILENO) < 0 || setpgid(0, 0) != 0 ||
            prctl(PR_SET_PDEATHSIG, SIGKILL) != 0) {
            _exit(127);
        }
        close(null);
        execl("/bin/sh", "sh", "-c", command, (char *)NULL);
        _exit(127);
    }
    if (pid < 0) {
        kill_die("fork");
    }
    return pid;
}

void kill_shell(const char *command, unsigned timeout_s, struct kill_answer *answer)
{
    struct lines lines = {.first = answer->first, .last = answer->last};
    int fds[2];
    *answer->first = *answer->last = '\0';
    if (pipe2(fds, O_CLOEXEC) != 0) {
        kill_die("pipe");
    }
    kill_timer_set(timeout_s);
    pid_t pid = start(command, fds[1]);
    close(fds[1]);
    answer->timed_out = !read_lines(fds[0], &lines);
    close(fds[0]);
    while (answer->timed_out || waitpid(pid, &answer->status, 0) < 0) {
        if (!answer->timed_out && errno != EINTR) {
            kill_die("wait for a command");
        }
        if (answer->timed_out || kill_timer_expired()) {
            answer->timed_out = true;
            kill(-pid, SIGKILL); /* those that it started too */
            kill(pid, SIGKILL);  /* when it was not yet a group */
            waitpid(pid, &answer->status, 0);
            break;
        }
    }
    kill_timer_set(0);
}

void kill_status_words(int status, bool timed_out, char *words, size_t size)
{
    if (timed_out) {
        snprintf(words, size, "took too long");
    } else if (WIFSIGNALED(status)) {
        snprintf(words, size, "killed by SIG%s", sigabbrev_np(WTERMSIG(status)));
    } else {
        snprintf(words, size, "exit code %d", WEXITSTATUS(status));
    }
}

void kill_last_line(const char *path, char *line, size_t size)
{
    char *text = NULL;
    size_t room = 0;
    ssize_t length;
    FILE *file = fopen(path, "re");
    *line = '\0';
    while (file && (length = getline(&text, &room, file)) > 0) {
        text[strcspn(text, "\n")] = '\0';
        if (*text != '\0') {
            snprintf(line, size, "%s", text);
        }
    }
    free(text);
    if (file) {
        fclose(file);
    }
}
