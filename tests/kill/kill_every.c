/* SPDX-License-Identifier: MIT */
/*
 * Kill a program before each of its system calls in turn and look at what it left.
 *
 *     kill_every --template DIR --work DIR --state PROGRAM --old TEXT --new TEXT
 *                [--changing yes] [--jobs N] [--sample N --seed N] -- COMMAND ...
 *
 * {root} in COMMAND stands for a copy of the template below the work directory. For n = 1, 2, ...
 * the command runs under ptrace and is killed (SIGKILL) when it enters its n-th system call, until
 * it ends by itself. After each kill PROGRAM {root} runs in a fresh process and prints one line
 * that sums up the state; it must be the old or the new one. A copy that came back old serves
 * again, so the next run also meets what the kill left behind.
 *
 * With --changing yes only calls that can change something count: what a kill leaves behind before
 * a call that merely reads is what it leaves before the next call that does not. (A filter in the
 * kernel lets the others pass, so that a run stops a tenth as often. Not for programs that fork.)
 * With --sample only N numbers are tried, drawn from --seed; a first run counts the calls.
 * Exit: 0 no mixture, 1 mixtures or errors, 2 usage.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define STATE_SIZE 512
#define JOBS_MAX 16
#define ARGS_MAX 64

struct plan {
    const char *template_dir, *work, *state_program, *old_state, *new_state;
    unsigned jobs;
    unsigned long sample, seed;
    unsigned long calls; /* of a whole run, when sampling */
    bool changing;
    char **command;
};

struct tally {
    unsigned long kills, old_states, new_states, mixtures, copies, calls;
};

static void die(const char *what)
{
    fprintf(stderr, "kill_every: %s: %s\n", what, strerror(errno));
    exit(1);
}

/* Run a command to its end; its standard output goes to `output` when that is not NULL. */
static int run(char *const argv[], char *output, size_t size)
{
    int pipe_fds[2] = {-1, -1};
    if (output && pipe2(pipe_fds, O_CLOEXEC) != 0) {
        die("pipe");
    }
    pid_t pid = fork();
    if (pid == 0) {
        if (output) {
            dup2(pipe_fds[1], STDOUT_FILENO);
        }
        execvp(argv[0], argv);
        _exit(127);
    }
    if (pid < 0) {
        die("fork");
    }
    if (output) {
        size_t filled = 0;
        ssize_t count;
        close(pipe_fds[1]);
        while ((count = read(pipe_fds[0], output + filled, size - 1 - filled)) > 0) {
            filled += (size_t)count;
        }
        close(pipe_fds[0]);
        output[filled] = '\0';
        output[strcspn(output, "\n")] = '\0';
    }
    int status;
    while (waitpid(pid, &status, 0) < 0) {
        if (errno != EINTR) {
            die("waitpid");
        }
    }
    return status;
}

/* Copy the template afresh. */
static void renew(const struct plan *plan, const char *root)
{
    char *remove[] = {"rm", "-rf", (char *)root, NULL};
    char *copy[] = {"cp", "-a", (char *)plan->template_dir, (char *)root, NULL};
    if (run(remove, NULL, 0) != 0 || run(copy, NULL, 0) != 0) {
        fprintf(stderr, "kill_every: cannot copy %s to %s\n", plan->template_dir, root);
        exit(1);
    }
}

/* Calls that only read, or change nothing that outlives the process. */
static const unsigned pure_calls[] = {
    SYS_read,       SYS_pread64,       SYS_readv,         SYS_preadv,     SYS_lseek,
    SYS_close,      SYS_stat,          SYS_fstat,         SYS_lstat,      SYS_newfstatat,
    SYS_statx,      SYS_statfs,        SYS_fstatfs,       SYS_access,     SYS_faccessat,
    SYS_faccessat2, SYS_getdents64,    SYS_readlink,      SYS_readlinkat, SYS_getxattr,
    SYS_lgetxattr,  SYS_fgetxattr,     SYS_listxattr,     SYS_llistxattr, SYS_flistxattr,
    SYS_mmap,       SYS_munmap,        SYS_mprotect,      SYS_madvise,    SYS_brk,
    SYS_futex,      SYS_getpid,        SYS_gettid,        SYS_geteuid,    SYS_getegid,
    SYS_getrandom,  SYS_clock_gettime, SYS_rt_sigaction,  SYS_rt_sigprocmask,
    SYS_set_tid_address, SYS_set_robust_list, SYS_rseq,   SYS_prlimit64,  SYS_arch_prctl,
    SYS_sched_yield};
#define PURE_COUNT (sizeof pure_calls / sizeof *pure_calls)

static void filter_calls(void)
{
    struct sock_filter code[PURE_COUNT + 8];
    unsigned short size = 0;
    code[size++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
                                                offsetof(struct seccomp_data, nr));
    for (size_t i = 0; i < PURE_COUNT; i++) {
        unsigned char to_allow = (unsigned char)(PURE_COUNT - i + 4);
        code[size++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, pure_calls[i],
                                                    to_allow, 0);
    }
    /* An open that makes nothing reads. */
    code[size++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_openat, 0, 3);
    code[size++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
                                                offsetof(struct seccomp_data, args[2]));
    code[size++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K,
                                                O_CREAT | O_TRUNC | O_TMPFILE, 1, 0);
    code[size++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JA, 1, 0, 0);
    code[size++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRACE);
    code[size++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    struct sock_fprog program = {.len = size, .filter = code};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
        prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0) {
        _exit(127);
    }
}

static void start_traced(char *const argv[], bool changing)
{
    int null = open("/dev/null", O_RDWR);
    if (null < 0 || dup2(null, STDOUT_FILENO) < 0 || dup2(null, STDIN_FILENO) < 0 ||
        ptrace(PTRACE_TRACEME, 0, NULL, NULL) != 0) {
        _exit(127);
    }
    raise(SIGSTOP);
    if (changing) {
        filter_calls();
    }
    execvp(argv[0], argv);
    _exit(127);
}

/* Let it run to its next stop. */
static void resume(pid_t pid, bool changing, int deliver, int *status)
{
    if (ptrace(changing ? PTRACE_CONT : PTRACE_SYSCALL, pid, NULL, (void *)(long)deliver) != 0 &&
        errno != ESRCH) {
        die("ptrace");
    }
    if (waitpid(pid, status, 0) != pid) {
        die("waitpid");
    }
}

/*
 * Run `argv` and kill it as it enters system call `number` (counted from its exec). Returns true
 * when it was killed; false when it ended before, with its wait status in *status. *entered counts
 * its calls.
 */
static bool kill_at(char *const argv[], unsigned long number, bool changing,
                    unsigned long *entered, int *status)
{
    pid_t pid = fork();
    if (pid == 0) {
        start_traced(argv, changing);
    }
    if (pid < 0 || waitpid(pid, status, 0) != pid || !WIFSTOPPED(*status) ||
        ptrace(PTRACE_SETOPTIONS, pid, NULL,
               PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACESECCOMP | PTRACE_O_EXITKILL) != 0) {
        die("trace");
    }
    bool executed = false;
    bool inside = true; /* after an exec comes the exit of execve */
    int deliver = 0;
    *entered = 0;
    for (;;) {
        resume(pid, changing, deliver, status);
        if (WIFEXITED(*status) || WIFSIGNALED(*status)) {
            return false;
        }
        deliver = 0;
        if (*status >> 8 == (SIGTRAP | PTRACE_EVENT_SECCOMP << 8)) {
            *entered += executed;
        } else if (WSTOPSIG(*status) == (SIGTRAP | 0x80)) {
            inside = !inside;
            *entered += executed && inside;
        } else if (WSTOPSIG(*status) == SIGTRAP) {
            executed = true;
            inside = true;
            continue;
        } else {
            deliver = WSTOPSIG(*status) == SIGSTOP ? 0 : WSTOPSIG(*status);
            continue;
        }
        if (*entered == number) {
            kill(pid, SIGKILL);
            waitpid(pid, status, 0);
            return true;
        }
    }
}

/* Every {root} in an argument becomes the path of the worker's copy. */
static char *expand(const char *argument, const char *root)
{
    char *text = strdup(argument);
    for (char *mark; text && (mark = strstr(text, "{root}"));) {
        char *longer = NULL;
        if (asprintf(&longer, "%.*s%s%s", (int)(mark - text), text, root, mark + 6) < 0) {
            die("expand");
        }
        free(text);
        text = longer;
    }
    return text;
}

/* Look at what is there now; true when the copy can serve again. */
static bool judge(const struct plan *plan, const char *root, unsigned long number,
                  struct tally *tally)
{
    char state[STATE_SIZE];
    char *argv[] = {(char *)plan->state_program, (char *)root, NULL};
    int status = run(argv, state, sizeof state);
    if (status == 0 && strcmp(state, plan->old_state) == 0) {
        tally->old_states++;
        return true;
    }
    if (status == 0 && strcmp(state, plan->new_state) == 0) {
        tally->new_states++;
        return false;
    }
    tally->mixtures++;
    fprintf(stderr, "kill_every: MIXTURE after a kill at call %lu (wait status %d): %s\n", number,
            status, state);
    char *kept = NULL;
    if (asprintf(&kept, "%s-mixture-%lu", root, number) < 0 || rename(root, kept) != 0) {
        die("keep the mixture");
    }
    free(kept);
    return false;
}

static unsigned long draw(unsigned long *seed, unsigned long limit)
{
    *seed = *seed * 6364136223846793005ul + 1442695040888963407ul;
    return 1 + (*seed >> 33) % limit;
}

static void expand_all(const struct plan *plan, const char *root, char *argv[ARGS_MAX])
{
    unsigned count = 0;
    for (; plan->command[count] && count < ARGS_MAX - 1; count++) {
        argv[count] = expand(plan->command[count], root);
    }
    argv[count] = NULL;
}

static char *copy_name(const struct plan *plan, unsigned job)
{
    char *root = NULL;
    if (asprintf(&root, "%s/job%u", plan->work, job) < 0) {
        die("name");
    }
    return root;
}

static void drop_copy(char *root)
{
    char *remove[] = {"rm", "-rf", root, NULL};
    run(remove, NULL, 0);
}

/* Let it run to its end once and count. */
static unsigned long count_calls(const struct plan *plan)
{
    char *argv[ARGS_MAX];
    char *root = copy_name(plan, 0);
    unsigned long calls = 0;
    int status = 0;
    expand_all(plan, root, argv);
    renew(plan, root);
    if (kill_at(argv, ULONG_MAX, plan->changing, &calls, &status) || status != 0 || calls == 0) {
        fprintf(stderr, "kill_every: the command failed by itself, wait status %d\n", status);
        exit(1);
    }
    drop_copy(root);
    return calls;
}

/* One worker takes every jobs-th number. */
static struct tally work(const struct plan *plan, unsigned job)
{
    struct tally tally = {0};
    char *argv[ARGS_MAX];
    char *root = copy_name(plan, job);
    unsigned long seed = plan->seed + job;
    expand_all(plan, root, argv);
    bool usable = false;
    unsigned long calls = 0;
    for (unsigned long turn = 0;; turn++) {
        unsigned long number =
            plan->sample ? draw(&seed, plan->calls) : 1 + job + turn * plan->jobs;
        int status = 0;
        if (plan->sample && turn * plan->jobs + job >= plan->sample) {
            break;
        }
        if (!usable) {
            renew(plan, root);
            tally.copies++;
        }
        bool killed = kill_at(argv, number, plan->changing, &calls, &status);
        if (!killed && (!WIFEXITED(status) || WEXITSTATUS(status) != 0)) {
            fprintf(stderr, "kill_every: the command failed by itself, wait status %d\n", status);
            tally.mixtures++;
        }
        usable = judge(plan, root, number, &tally);
        if (!killed && !plan->sample) {
            tally.calls = calls;
            break;
        }
        tally.kills += killed;
    }
    drop_copy(root);
    return tally;
}

static bool parse(int argc, char **argv, struct plan *plan)
{
    plan->jobs = 1;
    for (int i = 1; i < argc; i += 2) {
        if (strcmp(argv[i], "--") == 0) {
            plan->command = argv + i + 1;
            break;
        }
        const char *value = i + 1 < argc ? argv[i + 1] : "";
        struct {
            const char *name;
            const char **text;
        } texts[] = {{"--template", &plan->template_dir}, {"--work", &plan->work},
                     {"--state", &plan->state_program},   {"--old", &plan->old_state},
                     {"--new", &plan->new_state}};
        bool known = false;
        for (size_t t = 0; t < sizeof texts / sizeof *texts; t++) {
            if (strcmp(argv[i], texts[t].name) == 0) {
                *texts[t].text = value;
                known = true;
            }
        }
        unsigned long number = strtoul(value, NULL, 10);
        if (strcmp(argv[i], "--jobs") == 0 && number >= 1 && number <= JOBS_MAX) {
            plan->jobs = (unsigned)number;
        } else if (strcmp(argv[i], "--changing") == 0) {
            plan->changing = strcmp(value, "yes") == 0;
        } else if (strcmp(argv[i], "--sample") == 0) {
            plan->sample = number;
        } else if (strcmp(argv[i], "--seed") == 0) {
            plan->seed = number;
        } else if (!known) {
            return false;
        }
    }
    return plan->template_dir && plan->work && plan->state_program && plan->old_state &&
           plan->new_state && plan->command && plan->command[0];
}

int main(int argc, char **argv)
{
    struct plan plan = {0};
    struct tally total = {0};
    int results[JOBS_MAX];
    if (!parse(argc, argv, &plan)) {
        fprintf(stderr, "usage: kill_every --template DIR --work DIR --state PROGRAM --old TEXT "
                        "--new TEXT [--changing yes] [--jobs N] [--sample N --seed N] -- "
                        "COMMAND ...\n");
        return 2;
    }
    if (plan.sample) {
        total.calls = plan.calls = count_calls(&plan);
    }
    for (unsigned job = 0; job < plan.jobs; job++) {
        int fds[2];
        if (pipe2(fds, O_CLOEXEC) != 0) {
            die("pipe");
        }
        pid_t pid = fork();
        if (pid == 0) {
            struct tally tally = work(&plan, job);
            ssize_t written = write(fds[1], &tally, sizeof tally);
            _exit(written == (ssize_t)sizeof tally ? 0 : 1);
        }
        close(fds[1]);
        results[job] = fds[0];
    }
    for (unsigned job = 0; job < plan.jobs; job++) {
        struct tally tally;
        if (read(results[job], &tally, sizeof tally) != (ssize_t)sizeof tally) {
            fprintf(stderr, "kill_every: a worker died\n");
            total.mixtures++;
            continue;
        }
        total.kills += tally.kills;
        total.old_states += tally.old_states;
        total.new_states += tally.new_states;
        total.mixtures += tally.mixtures;
        total.copies += tally.copies;
        total.calls = tally.calls > total.calls ? tally.calls : total.calls;
    }
    while (wait(NULL) > 0) {
    }
    printf("kills %lu old %lu new %lu mixtures %lu calls %lu copies %lu\n", total.kills,
           total.old_states, total.new_states, total.mixtures, total.calls, total.copies);
    return total.mixtures == 0 ? 0 : 1;
}
