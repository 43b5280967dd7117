/* SPDX-License-Identifier: MIT */
/*
 * One run of a program under a tracer, with everything that it starts, killed as a whole before a
 * call of a given number.
 *
 * Stops come one at a time from wait(2), whichever process or thread they are of: that is the order
 * in which calls are counted. A process that stands before a call and is killed does not make it.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kill.h"

#define OPTIONS                                                                                    \
    (PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACESECCOMP | PTRACE_O_EXITKILL | PTRACE_O_TRACEEXEC |      \
     PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK | PTRACE_O_TRACECLONE)

/* Everything that is traced and has not ended: ids of threads. */
struct tree {
    pid_t *ids;
    size_t count, room;
    pid_t first;
};

static void tree_add(struct tree *tree, pid_t id)
{
    if (tree->count == tree->room) {
        tree->room = tree->room ? 2 * tree->room : 16;
        tree->ids = reallocarray(tree->ids, tree->room, sizeof *tree->ids);
        if (!tree->ids) {
            kill_die("memory");
        }
    }
    tree->ids[tree->count++] = id;
}

static bool tree_has(const struct tree *tree, pid_t id)
{
    for (size_t i = 0; i < tree->count; i++) {
        if (tree->ids[i] == id) {
            return true;
        }
    }
    return false;
}

static void tree_remove(struct tree *tree, pid_t id)
{
    for (size_t i = 0; i < tree->count; i++) {
        if (tree->ids[i] == id) {
            tree->ids[i] = tree->ids[--tree->count];
            return;
        }
    }
}

/* All at once, then wait until there is none. One that was just being born stops first. */
static void kill_tree(struct tree *tree, struct kill_run *run)
{
    pid_t id;
    int status;
    for (size_t i = 0; i < tree->count; i++) {
        kill(tree->ids[i], SIGKILL);
    }
    while ((id = waitpid(-1, &status, __WALL)) > 0 || errno == EINTR) {
        if (id > 0 && WIFSTOPPED(status)) {
            kill(id, SIGKILL);
        } else if (id == tree->first) {
            run->status = status;
        }
    }
    tree->count = 0;
}

static void start_child(const struct kill_run *run)
{
    int null = open("/dev/null", O_RDWR);
    int errors = open(run->error_path, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND, 0600);
    if (null < 0 || errors < 0 || dup2(null, STDIN_FILENO) < 0 || dup2(null, STDOUT_FILENO) < 0 ||
        dup2(errors, STDERR_FILENO) < 0 || ptrace(PTRACE_TRACEME, 0, NULL, NULL) != 0) {
        _exit(127);
    }
    close(null);
    close(errors);
    raise(SIGSTOP);
    if (run->changing) {
        kill_filter_install();
    }
    execvp(run->argv[0], run->argv);
    dprintf(STDERR_FILENO, "%s: %s\n", run->argv[0], strerror(errno));
    _exit(127);
}

static void start(struct kill_run *run, struct tree *tree)
{
    int status;
    tree->first = fork();
    if (tree->first == 0) {
        start_child(run);
    }
    if (tree->first < 0 || waitpid(tree->first, &status, 0) != tree->first || !WIFSTOPPED(status) ||
        ptrace(PTRACE_SETOPTIONS, tree->first, NULL, OPTIONS) != 0) {
        kill_die("trace the program");
    }
    tree_add(tree, tree->first);
}

static void resume(const struct kill_run *run, pid_t id, int deliver)
{
    /* ESRCH: somebody else has killed it; wait(2) will say so. */
    if (ptrace(run->changing ? PTRACE_CONT : PTRACE_SYSCALL, id, NULL, (void *)(long)deliver) !=
            0 &&
        errno != ESRCH) {
        kill_die("let the program go on");
    }
}

/* Which call does it stand before? False when it comes out of one. */
static bool entered_call(pid_t id, struct kill_call *call)
{
    struct __ptrace_syscall_info info;
    if (ptrace(PTRACE_GET_SYSCALL_INFO, id, (void *)sizeof info, &info) <= 0) {
        return false; /* killed meanwhile */
    }
    if (info.op == PTRACE_SYSCALL_INFO_ENTRY) {
        call->nr = (int)info.entry.nr;
        memcpy(call->args, info.entry.args, sizeof call->args);
        return true;
    }
    if (info.op == PTRACE_SYSCALL_INFO_SECCOMP) {
        call->nr = (int)info.seccomp.nr;
        memcpy(call->args, info.seccomp.args, sizeof call->args);
        return true;
    }
    return false;
}

/* A thread that becomes another program takes the id of the first one; its own is free again. */
static void on_exec(struct tree *tree, pid_t id)
{
    unsigned long former = (unsigned long)id;
    if (ptrace(PTRACE_GETEVENTMSG, id, NULL, &former) == 0 && (pid_t)former != id) {
        tree_remove(tree, (pid_t)former);
    }
}

/* A thread stopped. Answers false when it is the moment to kill, else which signal to let through.
 */
static bool on_stop(struct kill_run *run, struct tree *tree, pid_t id, int status, int *deliver)
{
    struct kill_call call = {0};
    int signal = WSTOPSIG(status);
    int event = status >> 16;
    *deliver = 0;
    if (event == PTRACE_EVENT_EXEC) {
        run->started = true;
        on_exec(tree, id);
    } else if (signal == (SIGTRAP | 0x80) || event == PTRACE_EVENT_SECCOMP) {
        if (run->started && entered_call(id, &call)) {
            run->entered++;
            run->last_nr = call.nr;
            if (run->on_call) {
                run->on_call(run->arg, id, &call);
            }
            return run->entered != run->number;
        }
    } else if (event == 0 && signal != SIGSTOP) {
        *deliver = signal; /* a stop that is meant would be for ever */
    }
    return true;
}

/* True when the run is over. */
static bool step(struct kill_run *run, struct tree *tree)
{
    int status, deliver;
    pid_t id = waitpid(-1, &status, __WALL);
    if (id < 0 && errno != EINTR) {
        return true; /* none is left */
    }
    if (kill_timer_expired()) {
        run->timed_out = true;
        kill_tree(tree, run);
        return true;
    }
    if (id < 0) {
        return false;
    }
    if (!WIFSTOPPED(status)) {
        run->status = id == tree->first ? status : run->status;
        tree_remove(tree, id);
        return false;
    }
    if (!tree_has(tree, id)) {
        tree_add(tree, id);
    }
    if (on_stop(run, tree, id, status, &deliver)) {
        resume(run, id, deliver);
        return false;
    }
    run->killed = true;
    kill_tree(tree, run);
    return true;
}

void kill_trace(struct kill_run *run)
{
    struct tree tree = {0};
    run->entered = 0;
    run->started = run->killed = run->timed_out = false;
    run->last_nr = -1;
    run->status = 0;
    kill_filter_prepare();
    start(run, &tree);
    kill_timer_set(run->timeout_s);
    resume(run, tree.first, 0);
    while (!step(run, &tree)) {
    }
    kill_timer_set(0);
    free(tree.ids);
}
