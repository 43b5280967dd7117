/* SPDX-License-Identifier: MIT */
/* The file systems that a program can be tested on. A new one is a line of the table. */
#include <errno.h>
#include <fcntl.h>
#include <linux/btrfs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "powercut_internal.h"

#define MB ((uint64_t)1 << 20)
/* No discard and no lazy initialisation: the log holds what the program caused and nothing else. */
#define MKFS_EXT4 "mkfs.ext4 -q -F -m 0 -E nodiscard,lazy_itable_init=0,lazy_journal_init=0 "

const struct powercut_fs powercut_file_systems[] = {
    {"ext4", "ext4", "data=ordered", MKFS_EXT4 "{disk}", "mkfs.ext4", NULL, 64 * MB, 512, false},
    {"ext4-wb", "ext4", "data=writeback,noauto_da_alloc", MKFS_EXT4 "{disk}", "mkfs.ext4", NULL,
     64 * MB, 512, false},
    {"ext4-journal", "ext4", "data=journal", MKFS_EXT4 "{disk}", "mkfs.ext4", NULL, 64 * MB, 512,
     false},
    {"ext4-nojournal", "ext4", "", MKFS_EXT4 "-O ^has_journal {disk}", "mkfs.ext4",
     "e2fsck -p -f {disk}", 64 * MB, 512, false},
    {"xfs", "xfs", "nouuid", "mkfs.xfs -q -f -K {disk}", "mkfs.xfs", NULL, 304 * MB, 512, false},
    /* btrfs takes its superblock of 4096 bytes for atomic, as the disks it is made for are. */
    {"btrfs", "btrfs", "nodiscard", "mkfs.btrfs -q -f -K {disk}", "mkfs.btrfs", NULL, 128 * MB,
     4096, true},
    {NULL, NULL, NULL, NULL, NULL, NULL, 0, 0, false},
};

const struct powercut_fs *fs_find(const char *name)
{
    const struct powercut_fs *fs = powercut_file_systems;
    while (fs->name && strcmp(fs->name, name) != 0) {
        fs++;
    }
    return fs->name ? fs : NULL;
}

void fs_print_names(FILE *to)
{
    for (const struct powercut_fs *fs = powercut_file_systems; fs->name; fs++) {
        fprintf(to, "%s%s", fs == powercut_file_systems ? "" : ", ", fs->name);
    }
}

static bool is_installed(const char *program)
{
    char *path = powercut_format("%s", getenv("PATH"));
    bool found = false;
    char *rest = path;
    for (char *folder; !found && (folder = strsep(&rest, ":"));) {
        char *file = powercut_format("%s/%s", folder, program);
        found = access(file, X_OK) == 0;
        free(file);
    }
    free(path);
    return found;
}

bool fs_is_ready(const struct powercut_fs *fs)
{
    const char *missing = NULL;
    if (geteuid() != 0) {
        missing = "root (it mounts file systems)";
    } else if (access("/dev/fuse", R_OK | W_OK) != 0) {
        missing = "/dev/fuse";
    } else if (access("/dev/loop-control", R_OK | W_OK) != 0) {
        missing = "/dev/loop-control";
    } else if (fs && !is_installed(fs->program)) {
        missing = fs->program;
    } else if (fs && fs->fsck && !is_installed("e2fsck")) {
        missing = "e2fsck";
    }
    if (missing) {
        fprintf(stderr, "txcrash powercut: not possible here: needs %s\n", missing);
    }
    return !missing;
}

/* Copies of one btrfs can be mounted together since Linux 6.7. */
unsigned fs_jobs_max(const struct powercut_fs *fs)
{
    struct utsname name;
    unsigned major = 0;
    unsigned minor = 0;
    if (!fs->one_identity) {
        return UINT_MAX;
    }
    bool known = uname(&name) == 0 && sscanf(name.release, "%u.%u", &major, &minor) == 2;
    return known && (major > 6 || (major == 6 && minor >= 7)) ? UINT_MAX : 1;
}

/* The kernel remembers btrfs by identity: make it forget the copies of other processes, one mount
 * at a time. Answers the lock that says so, or -1. */
static int forget_copies(const struct lab *lab)
{
    struct btrfs_ioctl_vol_args all = {0};
    char *path = powercut_format("%s/one-mount", lab->work);
    int lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    free(path);
    if (lock < 0 || flock(lock, LOCK_EX) != 0) {
        powercut_die_errno("lock the mounting of btrfs");
    }
    int control = open("/dev/btrfs-control", O_RDWR | O_CLOEXEC);
    if (control >= 0) {
        (void)ioctl(control, BTRFS_IOC_FORGET_DEV, &all); /* nothing to forget is fine */
        close(control);
    }
    return lock;
}

int fs_mount(const struct lab *lab, const char *disk_path)
{
    const struct powercut_fs *fs = lab->options->fs;
    char device[64];
    int fd = loop_attach(disk_path, device, sizeof device);
    if (fd < 0) {
        errno = -fd;
        powercut_die_errno("attach a loop device");
    }
    int lock = fs->one_identity ? forget_copies(lab) : -1;
    int error = mount(device, lab->dir, fs->type, MS_NOATIME, fs->options) == 0 ? 0 : errno;
    if (lock >= 0) {
        close(lock);
    }
    close(fd);
    return error;
}

void fs_unmount(const struct lab *lab)
{
    /* A process that the command left behind may need a moment to be gone with its files. */
    for (unsigned attempt = 0; umount2(lab->dir, 0) != 0; attempt++) {
        if (errno != EBUSY || attempt >= 100) {
            powercut_die_errno("unmount the tested directory (is a process left in it?)");
        }
        usleep(10000);
    }
}

void fs_make(const struct lab *lab, const char *disk_path)
{
    struct spawned spawned;
    char *command = powercut_replace(lab->options->fs->mkfs, "{disk}", disk_path);
    spawn_shell(lab, command, "", SPAWN_CATCH, &spawned);
    if (!spawn_succeeded(&spawned)) {
        char text[POWERCUT_TEXT];
        spawn_explain(&spawned, text);
        powercut_die("%s: %s", command, text);
    }
    free(command);
}
