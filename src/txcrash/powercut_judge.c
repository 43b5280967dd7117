/* SPDX-License-Identifier: MIT */
/* One state: make its disk, mount it, let the program recover, ask the check. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "powercut_internal.h"

void judge_init(struct judge *judge, const struct lab *lab, const struct recording *recording,
                const char *name)
{
    *judge = (struct judge){.lab = lab, .recording = recording};
    judge->disk_path = powercut_format("%s/%s-disk", lab->private, name);
    judge->acks_path = powercut_format("%s/%s-acks", lab->private, name);
    judge->disk_fd = open(judge->disk_path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (judge->disk_fd < 0) {
        powercut_die_errno("make %s", judge->disk_path);
    }
    image_copy(&judge->durable, &recording->base);
}

void judge_release(struct judge *judge)
{
    image_release(&judge->durable);
    close(judge->disk_fd);
    unlink(judge->disk_path);
    unlink(judge->acks_path);
    free(judge->disk_path);
    free(judge->acks_path);
}

/* States come in the order of what is durable; only a shrunk one may step back to the same. */
static void advance(struct judge *judge, size_t first)
{
    for (; judge->position < first; judge->position++) {
        const struct log_entry *entry = &judge->recording->entries[judge->position];
        if (entry->kind == LOG_WRITE) {
            image_write(&judge->durable, entry->offset, entry->bytes, entry->size);
        }
    }
}

static void put_on_disk(void *arg, uint64_t offset, const unsigned char *bytes, size_t size)
{
    const struct judge *judge = arg;
    if (pwrite(judge->disk_fd, bytes, size, (off_t)offset) != (ssize_t)size) {
        powercut_die_errno("write a disk image");
    }
}

void judge_place(struct judge *judge, const struct state *state)
{
    advance(judge, state->first);
    image_save(&judge->durable, judge->disk_fd);
    state_apply(judge->recording, state, judge->lab->options->tear, put_on_disk, judge);
    if (judge->outer_acks) {
        powercut_write_file(judge->acks_path, judge->outer_acks, strlen(judge->outer_acks));
    } else {
        recording_save_acks(judge->recording, state->cut, judge->acks_path);
    }
}

/* A journal is repaired by mounting; what has none needs its checker first. */
static bool check_file_system(const struct lab *lab, const char *disk_path,
                              struct verdict *verdict)
{
    struct spawned spawned;
    if (!lab->options->fs->fsck) {
        return true;
    }
    char *command = powercut_replace(lab->options->fs->fsck, "{disk}", disk_path);
    spawn_shell(lab, command, "", SPAWN_CATCH, &spawned);
    free(command);
    /* e2fsck: 1 and 2 say that what was wrong has been mended. */
    if (!spawned.timed_out && WIFEXITED(spawned.status) && WEXITSTATUS(spawned.status) <= 2) {
        return true;
    }
    char text[POWERCUT_TEXT];
    spawn_explain(&spawned, text);
    snprintf(verdict->message, sizeof verdict->message, "fsck: %.200s", text);
    verdict->verdict = REPORT_UNJUDGED;
    return false;
}

/* Answers false when the command convicts. */
static bool ask(const struct lab *lab, const char *command, const char *acks_path,
                const char *prefix, enum spawn_output output, struct verdict *verdict)
{
    struct spawned spawned;
    char text[POWERCUT_TEXT];
    spawn_shell(lab, command, acks_path, output, &spawned);
    if (spawn_succeeded(&spawned)) {
        return true;
    }
    spawn_explain(&spawned, text);
    snprintf(verdict->message, sizeof verdict->message, "%s%.200s", prefix, text);
    verdict->verdict = REPORT_VIOLATION;
    return false;
}

void judge_disk(const struct lab *lab, const char *disk_path, const char *acks_path,
                enum spawn_output output, struct verdict *verdict)
{
    const struct powercut_options *options = lab->options;
    *verdict = (struct verdict){.verdict = REPORT_FINE};
    lab_reboot(lab);
    if (!check_file_system(lab, disk_path, verdict)) {
        return;
    }
    int error = fs_mount(lab, disk_path);
    if (error != 0) {
        verdict->verdict = REPORT_UNJUDGED;
        snprintf(verdict->message, sizeof verdict->message, "mount: %s", strerror(error));
        return;
    }
    if (!options->recover ||
        ask(lab, options->recover, acks_path, "recovery: ", output, verdict)) {
        ask(lab, options->check, acks_path, "", output, verdict);
    }
    fs_unmount(lab);
}

void judge_state(struct judge *judge, const struct state *state, struct verdict *verdict)
{
    judge_place(judge, state);
    judge_disk(judge->lab, judge->disk_path, judge->acks_path, SPAWN_CATCH, verdict);
}
