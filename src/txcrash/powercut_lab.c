/* SPDX-License-Identifier: MIT */
/*
 * The laboratory: a process namespace, a mount namespace and a tmpfs. Whoever is outside keeps
 * watch and ends it; with its first process the kernel ends every process inside, and with them
 * go the mounts and the loop devices. So nothing stays behind, whatever ends us.
 */
#include <errno.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "powercut_internal.h"
#include "txcrash.h"

#define BOOT_ID "/proc/sys/kernel/random/boot_id"

/* A later round finds the folder of the round before, empty. */
static void make_folder(const char *path)
{
    if (mkdir(path, 0755) != 0 && errno != EEXIST) {
        powercut_die_errno("make %s", path);
    }
}

void lab_mount(const char *what, const char *where, const char *type, const char *options)
{
    if (mount(what, where, type, MS_NOSUID | MS_NODEV, options) != 0) {
        powercut_die_errno("mount a %s on %s", type, where);
    }
}

/* What is mounted from here on is seen by this process and its children only. */
static void own_mounts(void)
{
    if (unshare(CLONE_NEWNS) != 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0) {
        powercut_die_errno("leave the mount namespace");
    }
}

/* After a power cut the machine starts anew, and programs may look at the number of that start:
 * what they left in memory is gone. In the laboratory it is a file of ours. */
void lab_reboot(const struct lab *lab)
{
    unsigned char id[16];
    char text[2 * sizeof id + 6];
    size_t used = 0;
    if (getrandom(id, sizeof id, 0) != sizeof id) {
        powercut_die_errno("draw a boot number");
    }
    for (size_t i = 0; i < sizeof id; i++) {
        const char *dash = i == 4 || i == 6 || i == 8 || i == 10 ? "-" : "";
        used += (size_t)snprintf(text + used, sizeof text - used, "%s%02x", dash, id[i]);
    }
    text[used++] = '\n';
    powercut_write_file(lab->boot_id, text, used);
}

static void own_boot(struct lab *lab)
{
    lab->boot_id = powercut_format("%s/boot_id", lab->private);
    lab_reboot(lab);
    if (mount(lab->boot_id, BOOT_ID, NULL, MS_BIND, NULL) != 0) {
        powercut_die_errno("mount on %s", BOOT_ID);
    }
}

static void fit_out(struct lab *lab)
{
    lab_mount("txcrash", lab->work, "tmpfs", "mode=0755");
    lab->dir = powercut_format("%s/dir", lab->work);
    lab->fuse = powercut_format("%s/fuse", lab->work);
    lab->ack = powercut_format("%s/fuse/ack", lab->work);
    lab->private = powercut_format("%s/main", lab->work);
    make_folder(lab->dir);
    if (setenv("TXCRASH_DIR", lab->dir, 1) != 0) {
        powercut_die_errno("set TXCRASH_DIR");
    }
    make_folder(lab->fuse);
    make_folder(lab->private);
    own_boot(lab);
}

static void release(struct lab *lab)
{
    free(lab->dir);
    free(lab->fuse);
    free(lab->ack);
    free(lab->private);
    free(lab->boot_id);
}

static void adopt_orphans(void)
{
    if (prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0) {
        powercut_die_errno("adopt orphans");
    }
}

void lab_split(struct lab *lab, unsigned number)
{
    own_mounts();
    adopt_orphans();
    lab->private = powercut_format("%s/worker-%u", lab->work, number);
    make_folder(lab->private);
    own_boot(lab);
    lab->seed += number + 1;
}

/* The first process of the namespace: buries orphans until the one with the work has ended. */
static int be_first(struct lab *lab, int (*work)(struct lab *lab))
{
    own_mounts();
    if (mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) != 0) {
        powercut_die_errno("mount /proc");
    }
    fit_out(lab);
    pid_t worker = fork();
    if (worker == 0) {
        adopt_orphans();
        int code = work(lab);
        release(lab);
        free(lab->work);
        exit(code);
    }
    int status = 0;
    for (pid_t pid = worker < 0 ? -1 : 0; pid != worker;) {
        pid = waitpid(-1, &status, 0);
        if (pid < 0 && errno != EINTR) {
            powercut_die_errno("run the laboratory");
        }
    }
    release(lab);
    if (WIFSIGNALED(status)) {
        powercut_die("the laboratory was ended by signal %d", WTERMSIG(status));
    }
    return WEXITSTATUS(status);
}

/* Until the laboratory has ended. Answers the signal that asked for it, or 0. */
static int watch(pid_t first, const sigset_t *signals, int *status)
{
    int asked = 0;
    pid_t pid;
    while ((pid = waitpid(first, status, WNOHANG)) == 0 || (pid < 0 && errno == EINTR)) {
        int number = sigwaitinfo(signals, NULL);
        if (number > 0 && number != SIGCHLD) {
            asked = number;
            kill(first, SIGKILL);
        }
    }
    return asked;
}

static char *make_work(const char *temporary)
{
    char *work = powercut_format("%s/txcrash.XXXXXX", temporary);
    if (!mkdtemp(work)) {
        powercut_die_errno("make a directory in %s", temporary);
    }
    return work;
}

static void end_like(int number, const sigset_t *signals)
{
    signal(number, SIG_DFL);
    raise(number);
    sigprocmask(SIG_UNBLOCK, signals, NULL);
}

int lab_run(const struct powercut_options *options, int (*work)(struct lab *lab))
{
    struct lab lab = {.options = options, .seed = options->seed};
    sigset_t signals;
    int status = 0;
    sigemptyset(&signals);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGHUP);
    sigaddset(&signals, SIGCHLD);
    sigprocmask(SIG_BLOCK, &signals, NULL); /* inside too: only the command's own are its own */
    lab.work = make_work(options->temporary);
    fflush(NULL);
    /* A fork whose child alone is in the new namespace; unshare would take our later children. */
    struct clone_args fork_inside = {.flags = CLONE_NEWPID, .exit_signal = SIGCHLD};
    pid_t first = (pid_t)syscall(SYS_clone3, &fork_inside, sizeof fork_inside);
    if (first == 0) {
        /* Our parent may have died already; then it has no parent to tell. */
        if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0) {
            powercut_die_errno("tie the laboratory to this process");
        }
        exit(be_first(&lab, work));
    }
    if (first < 0) {
        fprintf(stderr, "txcrash powercut: not possible here: needs process namespaces: %s\n",
                strerror(errno));
        status = TXCRASH_UNABLE << 8; /* as if it had said so itself */
    }
    int asked = first < 0 ? 0 : watch(first, &signals, &status);
    if (rmdir(lab.work) != 0) {
        fprintf(stderr, "txcrash powercut: %s stays behind\n", lab.work);
    }
    free(lab.work);
    if (asked) {
        end_like(asked, &signals);
    }
    return WIFEXITED(status) ? WEXITSTATUS(status) : TXCRASH_CONVICTED;
}
