/* SPDX-License-Identifier: MIT */
/* What the tests of txio_posix share. */
#ifndef TEST_POSIX_TESTS_H
#define TEST_POSIX_TESTS_H

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "txio/txio_internal.h"
#include "unit/temp_dir.h"

static inline void install_filter(struct sock_filter *code, unsigned short count)
{
    struct sock_fprog program = {count, code};
    cr_assert_eq(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
    if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0) != 0) {
        cr_skip_test("no seccomp here");
    }
}

/* From now on this call of the system fails, for the rest of the test. */
static inline void refuse(unsigned call, int error)
{
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, call, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (unsigned)error),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    install_filter(code, sizeof(code) / sizeof(code[0]));
}

/* The same where its argument `index` is `value`. */
static inline void refuse_with(unsigned call, unsigned index, unsigned value, int error)
{
    unsigned argument = (unsigned)(offsetof(struct seccomp_data, args) + 8 * index);
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, call, 0, 3),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, argument),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (unsigned)error),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    install_filter(code, sizeof(code) / sizeof(code[0]));
}

/* Right in the parent and in a child, as often as one asks. */
static inline void check_process_id(void)
{
    struct txio *io = txio_posix();
    cr_assert_eq(io->ops->process_id(io), (uint64_t)getpid());
    cr_assert_eq(io->ops->process_id(io), (uint64_t)getpid()); /* perhaps remembered */
    pid_t child = fork_child();
    if (child == 0) {
        _exit(io->ops->process_id(io) == (uint64_t)getpid() ? 0 : 1);
    }
    int status = -1;
    cr_assert_eq(waitpid(child, &status, 0), child);
    cr_assert_eq(status, 0);
}

#endif
