/* SPDX-License-Identifier: MIT */
/* Run a program on the recorded disk. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "powercut_internal.h"

static void mount_recorded(const struct lab *lab, const struct disk *disk)
{
    int error = fs_mount(lab, disk->path);
    if (error != 0) {
        errno = error;
        powercut_die_errno("mount the recorded disk");
    }
}

/* The cuts go on until everything is written, so that nothing pending is overlooked. */
static bool write_back(const struct lab *lab)
{
    int fd = open(lab->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    bool done = fd >= 0 && syncfs(fd) == 0;
    if (fd >= 0) {
        close(fd);
    }
    return done;
}

static char **expand(const struct lab *lab)
{
    size_t count = 0;
    while (lab->options->command[count]) {
        count++;
    }
    char **argv = powercut_need(calloc(count + 1, sizeof *argv));
    for (size_t i = 0; i < count; i++) {
        char *with_dir = powercut_replace(lab->options->command[i], "{dir}", lab->dir);
        argv[i] = powercut_replace(with_dir, "{acks}", lab->ack);
        free(with_dir);
    }
    return argv;
}

static void run_program(const struct lab *lab, bool may_fail)
{
    struct spawned spawned;
    char **argv = expand(lab);
    if (setenv("TXCRASH_ACK", lab->ack, 1) != 0) {
        powercut_die_errno("set TXCRASH_ACK");
    }
    pid_t chaos = chaos_start(lab, lab->options->chaos);
    spawn_run(argv, lab->options->outputs.quiet ? SPAWN_CATCH : SPAWN_SHOW,
              lab->options->timeout_s, &spawned);
    chaos_stop(chaos);
    if (!spawn_succeeded(&spawned) && !may_fail) {
        char text[POWERCUT_TEXT];
        spawn_explain(&spawned, text);
        powercut_die("\"%s\" failed without any cut: %s", argv[0], text);
    }
    setenv("TXCRASH_ACK", "/dev/null", 1);
    for (char **argument = argv; *argument; argument++) {
        free(*argument);
    }
    free(argv);
}

static void finish(const struct lab *lab, struct disk *disk, struct image *base,
                   const char *log_path, struct recording *recording)
{
    disk_mark(disk, LOG_MARK_END);
    fs_unmount(lab);
    disk_stop(disk, lab);
    recording_load(recording, log_path, base);
    unlink(log_path); /* it stays mapped */
}

void record_program(struct lab *lab, const struct image *base, struct fault fault,
                    struct recording *recording)
{
    struct disk disk;
    struct image own;
    char *log_path = powercut_format("%s/log", lab->private);
    lab_reboot(lab);
    image_copy(&own, base);
    disk_start(&disk, lab, &own, log_path, fault);
    mount_recorded(lab, &disk);
    disk_mark(&disk, LOG_MARK_BEGIN);
    run_program(lab, fault.write > 0);
    disk_mark(&disk, LOG_MARK_ENDED);
    if (lab->options->chaos) {
        chaos_finish(lab);
    }
    if (!write_back(lab) && fault.write == 0) {
        powercut_die_errno("write back what the program wrote");
    }
    finish(lab, &disk, &own, log_path, recording);
    free(log_path);
}

void record_recovery(struct lab *lab, const struct image *base, struct recording *recording)
{
    struct disk disk;
    struct image own;
    struct spawned spawned;
    char *log_path = powercut_format("%s/inner-log", lab->private);
    lab_reboot(lab);
    image_copy(&own, base);
    disk_start(&disk, lab, &own, log_path, (struct fault){0, 0});
    mount_recorded(lab, &disk);
    disk_mark(&disk, LOG_MARK_BEGIN);
    /* Whether it succeeds has been judged before, on the same state. */
    spawn_shell(lab, lab->options->recover, "/dev/null", SPAWN_CATCH, &spawned);
    disk_mark(&disk, "the recovery ended");
    (void)write_back(lab); /* a file system that went read-only has nothing to write */
    finish(lab, &disk, &own, log_path, recording);
    free(log_path);
}
