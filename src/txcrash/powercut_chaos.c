/* SPDX-License-Identifier: MIT */
/*
 * Somebody else who syncs: another program's fsync, the kernel's own writing back. Without it a
 * short program that never syncs would leave nothing on the disk, and no cut could show its bugs.
 */
#include <errno.h>
#include <fcntl.h>
#include <fts.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "powercut_internal.h"

#define LAST_BURST 12

/* A file below the directory, each as likely as the others; NULL: there is none. */
static char *draw_file(const char *dir, uint64_t *seed)
{
    char *roots[] = {(char *)dir, NULL};
    char *drawn = NULL;
    uint64_t count = 0;
    FTS *walk = fts_open(roots, FTS_PHYSICAL | FTS_NOCHDIR | FTS_XDEV, NULL);
    for (FTSENT *entry; walk && (entry = fts_read(walk));) {
        if (entry->fts_info == FTS_F && powercut_below(seed, ++count) == 0) {
            free(drawn);
            drawn = powercut_format("%s", entry->fts_path);
        }
    }
    if (walk) {
        fts_close(walk);
    }
    return drawn;
}

/* One thing that anybody may do at any time. Files come and go meanwhile, and a sync that fails
 * is not ours to report: every result is as good as another. */
static void act(const char *dir, uint64_t *seed)
{
    struct stat stat_of_file;
    uint64_t what = powercut_below(seed, 10);
    char *path = what < 2 ? NULL : draw_file(dir, seed);
    int fd = open(path ? path : dir, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd >= 0 && !path) {
        (void)syncfs(fd);
    } else if (fd >= 0 && what < 5) {
        (void)fsync(fd);
    } else if (fd >= 0 && fstat(fd, &stat_of_file) == 0 && stat_of_file.st_size > 0) {
        off_t from = (off_t)powercut_below(seed, (uint64_t)stat_of_file.st_size);
        (void)sync_file_range(fd, powercut_below(seed, 2) ? 0 : from, 0,
                              SYNC_FILE_RANGE_WRITE | SYNC_FILE_RANGE_WAIT_AFTER);
    }
    if (fd >= 0) {
        close(fd);
    }
    free(path);
}

static void pause_for(uint64_t microseconds)
{
    struct timespec time = {(time_t)(microseconds / 1000000),
                            (long)(microseconds % 1000000) * 1000};
    nanosleep(&time, NULL); /* not an order: only how busy the others are */
}

pid_t chaos_start(const struct lab *lab, unsigned per_second)
{
    uint64_t seed = lab->seed ^ 0xc4a05;
    pid_t pid = per_second ? fork() : 0;
    if (per_second && pid == 0) {
        for (;;) {
            pause_for(powercut_below(&seed, 2000000 / per_second));
            act(lab->dir, &seed);
        }
    }
    if (pid < 0) {
        powercut_die_errno("start the chaos");
    }
    return pid;
}

void chaos_stop(pid_t pid)
{
    if (pid > 0) {
        kill(pid, SIGKILL);
        while (waitpid(pid, NULL, 0) < 0 && errno == EINTR) {
        }
    }
}

void chaos_finish(const struct lab *lab)
{
    uint64_t seed = lab->seed ^ 0xf1415;
    for (unsigned i = 0; i < LAST_BURST; i++) {
        act(lab->dir, &seed);
    }
}
