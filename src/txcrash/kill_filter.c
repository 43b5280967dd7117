/* SPDX-License-Identifier: MIT */
/*
 * Which calls can change something that outlives the program: a filter in the kernel lets the
 * others pass without a stop, so that a run stops a tenth as often.
 *
 * The list is of calls that cannot; a call that nobody has thought of counts. What ends with the
 * processes does not outlive them: locks, mappings, descriptors, pipes among themselves. exit_group
 * is not in the list: a kill before it leaves everything done and nobody told.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "kill.h"

static const char *const harmless[] = {
    "read",
    "pread64",
    "readv",
    "preadv",
    "preadv2",
    "lseek",
    "close",
    "close_range",
    "stat",
    "fstat",
    "lstat",
    "newfstatat",
    "statx",
    "statfs",
    "fstatfs",
    "access",
    "faccessat",
    "faccessat2",
    "getdents",
    "getdents64",
    "readlink",
    "readlinkat",
    "getxattr",
    "lgetxattr",
    "fgetxattr",
    "listxattr",
    "llistxattr",
    "flistxattr",
    "getcwd",
    "chdir",
    "fchdir",
    "umask",
    "dup",
    "dup2",
    "dup3",
    "fcntl",
    "flock",
    "pipe",
    "pipe2",
    "mmap",
    "munmap",
    "mremap",
    "mprotect",
    "madvise",
    "brk",
    "mincore",
    "fadvise64",
    "readahead",
    "futex",
    "futex_waitv",
    "poll",
    "ppoll",
    "select",
    "pselect6",
    "epoll_create1",
    "epoll_ctl",
    "epoll_wait",
    "epoll_pwait",
    "eventfd2",
    "getpid",
    "gettid",
    "getppid",
    "getpgid",
    "getpgrp",
    "getsid",
    "getuid",
    "geteuid",
    "getgid",
    "getegid",
    "getresuid",
    "getresgid",
    "getgroups",
    "getrandom",
    "clock_gettime",
    "clock_getres",
    "gettimeofday",
    "time",
    "times",
    "nanosleep",
    "clock_nanosleep",
    "rt_sigaction",
    "rt_sigprocmask",
    "rt_sigreturn",
    "rt_sigsuspend",
    "rt_sigpending",
    "rt_sigtimedwait",
    "sigaltstack",
    "restart_syscall",
    "set_tid_address",
    "set_robust_list",
    "get_robust_list",
    "rseq",
    "prlimit64",
    "getrlimit",
    "setrlimit",
    "getrusage",
    "sysinfo",
    "uname",
    "arch_prctl",
    "prctl",
    "sched_yield",
    "sched_getaffinity",
    "sched_setaffinity",
    "getcpu",
    "membarrier",
    "wait4",
    "waitid",
    "clone",
    "clone3",
    "fork",
    "vfork",
    "execve",
    "execveat",
    "exit",
};
#define HARMLESS_COUNT (sizeof harmless / sizeof *harmless)

#if defined __x86_64__
#define OWN_ARCHITECTURE AUDIT_ARCH_X86_64
#elif defined __aarch64__
#define OWN_ARCHITECTURE AUDIT_ARCH_AARCH64
#else
#error "say which AUDIT_ARCH_* this is"
#endif

struct program {
    struct sock_filter code[2 * HARMLESS_COUNT + 16];
    unsigned short size;
};

static void load(struct program *to, size_t offset)
{
    to->code[to->size++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (unsigned)offset);
}

static void answer(struct program *to, unsigned what)
{
    to->code[to->size++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, what);
}

static void skip_unless(struct program *to, unsigned short test, unsigned value)
{
    to->code[to->size++] = (struct sock_filter)BPF_JUMP(BPF_JMP | test | BPF_K, value, 0, 1);
}

/* The number of a call by name, -1 when this machine does not have it. */
static int number_of(const char *name)
{
    for (int nr = 0; nr < 1024; nr++) {
        if (strcmp(kill_call_name(nr), name) == 0) {
            return nr;
        }
    }
    return -1;
}

static void build(struct program *to)
{
    load(to, offsetof(struct seccomp_data, arch));
    to->code[to->size++] =
        (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, OWN_ARCHITECTURE, 1, 0);
    answer(to, SECCOMP_RET_TRACE); /* another table of calls: every one counts */
    load(to, offsetof(struct seccomp_data, nr));
    for (size_t i = 0; i < HARMLESS_COUNT; i++) {
        int nr = number_of(harmless[i]);
        if (nr >= 0) {
            skip_unless(to, BPF_JEQ, (unsigned)nr);
            answer(to, SECCOMP_RET_ALLOW);
        }
    }
    /* An open that makes nothing reads. */
    to->code[to->size++] =
        (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_openat, 1, 0);
    answer(to, SECCOMP_RET_TRACE);
    load(to, offsetof(struct seccomp_data, args[2]));
    skip_unless(to, BPF_JSET, O_CREAT | O_TRUNC | (O_TMPFILE & ~O_DIRECTORY));
    answer(to, SECCOMP_RET_TRACE);
    answer(to, SECCOMP_RET_ALLOW);
}

static struct program program;

void kill_filter_prepare(void)
{
    if (program.size == 0) {
        build(&program);
    }
}

void kill_filter_install(void)
{
    struct sock_fprog filter = {.len = program.size, .filter = program.code};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
        prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) != 0) {
        dprintf(STDERR_FILENO, "cannot filter system calls: %s\n", strerror(errno));
        _exit(127);
    }
}
