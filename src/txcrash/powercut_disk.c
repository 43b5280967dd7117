/* SPDX-License-Identifier: MIT */
/* The recorded disk: its server in a process of its own, and a mount point where it is a file. */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "powercut_internal.h"

#ifndef PR_SET_IO_FLUSHER
#define PR_SET_IO_FLUSHER 57
#endif

/* The server must hold no mount of what it serves: if it were the last process to see the tested
 * file system, the kernel would unmount that while the server ends, and wait for its answers. */
static void leave_mounts(const struct lab *lab)
{
    if (unshare(CLONE_NEWNS) != 0 || umount2(lab->fuse, MNT_DETACH) != 0) {
        powercut_die_errno("keep the server away from what it serves");
    }
}

static void serve(int fuse_fd, struct image *image, const char *log_path, struct fault fault)
{
    int log_fd = open(log_path, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0600);
    if (log_fd < 0) {
        powercut_die_errno("make the log");
    }
    /* Memory that we need must not wait for writes that only we can answer; a kernel that does
     * not know the call has none to spare us. */
    (void)prctl(PR_SET_IO_FLUSHER, 1, 0, 0, 0);
    fuse_serve(fuse_fd, image, log_fd, fault);
    exit(close(log_fd) == 0 ? 0 : 1);
}

void disk_start(struct disk *disk, const struct lab *lab, const struct image *image,
                const char *log_path, struct fault fault)
{
    int fuse_fd = open("/dev/fuse", O_RDWR | O_CLOEXEC);
    if (fuse_fd < 0) {
        powercut_die_errno("open /dev/fuse");
    }
    char *options = powercut_format("fd=%d,rootmode=40755,user_id=0,group_id=0,allow_other",
                                    fuse_fd);
    lab_mount("txcrash", lab->fuse, "fuse", options);
    free(options);
    fflush(NULL);
    disk->server = fork();
    if (disk->server == 0) {
        struct image own = *image; /* the fork made it a copy */
        leave_mounts(lab);
        serve(fuse_fd, &own, log_path, fault);
    }
    if (disk->server < 0) {
        powercut_die_errno("start the recorded disk");
    }
    close(fuse_fd);
    disk->path = powercut_format("%s/disk", lab->fuse);
    disk->mark = powercut_format("%s/mark", lab->fuse);
}

void disk_mark(const struct disk *disk, const char *word)
{
    char *line = powercut_format("%s\n", word);
    int fd = open(disk->mark, O_WRONLY | O_CLOEXEC);
    if (fd < 0 || write(fd, line, strlen(line)) != (ssize_t)strlen(line) || close(fd) != 0) {
        powercut_die_errno("mark \"%s\"", word);
    }
    free(line);
}

/* The disk's file system has been unmounted. */
void disk_stop(struct disk *disk, const struct lab *lab)
{
    int status;
    /* Detached: somebody may still hold $TXCRASH_ACK. */
    if (umount2(lab->fuse, MNT_DETACH) != 0) {
        powercut_die_errno("unmount the recorded disk");
    }
    while (waitpid(disk->server, &status, 0) < 0) {
        if (errno != EINTR) {
            powercut_die_errno("wait for the recorded disk");
        }
    }
    if (status != 0) {
        powercut_die("the recorded disk failed");
    }
    free(disk->path);
    free(disk->mark);
}
