/* SPDX-License-Identifier: MIT */
/*
 * A directory for one test, removed at its end:
 *
 *     TX_AUTO(temp_dir) temp = temp_dir_new();        temp.fd, temp.path
 *
 * Beside what the tests build with plain system calls, so that they do not trust what they test.
 */
#ifndef TEST_TEMP_DIR_H
#define TEST_TEMP_DIR_H

#include <criterion/criterion.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/cleanup.h"

struct temp_dir {
    int fd;
    char path[256];
};

static inline struct temp_dir temp_dir_new(void)
{
    struct temp_dir temp;
    const char *parent = getenv("TMPDIR");
    (void)snprintf(temp.path, sizeof(temp.path), "%s/txkit-XXXXXX", parent ? parent : "/tmp");
    cr_assert_not_null(mkdtemp(temp.path));
    temp.fd = open(temp.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    cr_assert_geq(temp.fd, 0);
    return temp;
}

/* From here on the test's directories are in memory, if that can do what they need (user
 * attributes: Linux 6.6) and nobody chose a place: for tests that make thousands of stores. */
static inline void temp_dirs_in_memory(void)
{
    char probe[] = "/dev/shm/txkit-XXXXXX";
    if (getenv("TMPDIR") != NULL || mkdtemp(probe) == NULL) {
        return;
    }
    if (setxattr(probe, "user.probe", "1", 1, 0) == 0) {
        (void)setenv("TMPDIR", "/dev/shm", 1);
    }
    (void)rmdir(probe);
}

static inline void temp_dir_auto(struct temp_dir *temp)
{
    char command[512];
    (void)snprintf(command, sizeof(command), "rm -rf '%s'", temp->path);
    cr_assert_eq(system(command), 0);
    (void)close(temp->fd);
}

/* Make a file with this text. */
static inline void make_file(int dir, const char *path, const char *text)
{
    int fd = openat(dir, path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    cr_assert_geq(fd, 0, "make %s", path);
    cr_assert_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    (void)close(fd);
}

static inline void make_dir(int dir, const char *path)
{
    cr_assert_eq(mkdirat(dir, path, 0755), 0, "make %s", path);
}

static inline bool exists(int dir, const char *path)
{
    struct stat stat;
    return fstatat(dir, path, &stat, AT_SYMLINK_NOFOLLOW) == 0;
}

/* Whether the file holds exactly this text. */
static inline bool file_is(int dir, const char *path, const char *text)
{
    char data[4096];
    int fd = openat(dir, path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return false;
    }
    ssize_t size = read(fd, data, sizeof(data));
    (void)close(fd);
    return size == (ssize_t)strlen(text) && memcmp(data, text, strlen(text)) == 0;
}

/* fork(), with a child that does not outlive a test that fails. */
static inline pid_t fork_child(void)
{
    pid_t child = fork();
    cr_assert_geq(child, 0);
    if (child == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    }
    return child;
}

/* How many descriptors this process has open. */
static inline int open_descriptors(void)
{
    int count = 0;
    for (int fd = 0; fd < 1024; fd++) {
        count += fcntl(fd, F_GETFD) >= 0;
    }
    return count;
}

#endif
