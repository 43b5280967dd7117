/* SPDX-License-Identifier: MIT */
/*
 * A violation as a directory: `image` (mount it, look), `acks`, and one file for each option that
 * matters, so that `txcrash powercut --replay DIRECTORY` needs nothing else.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <xxhash.h>

#include "powercut_internal.h"
#include "txcrash.h"

#define TRIED_MAX 20u /* to shrink takes longer than to judge */

static void save_text(const char *folder, const char *name, const char *text)
{
    char *path = powercut_format("%s/%s", folder, name);
    powercut_write_file(path, text, strlen(text));
    free(path);
}

/* Copy a disk image with its holes. */
static void copy_image(int from, const char *path)
{
    struct image image;
    struct stat stat_of_image;
    int to = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (to < 0 || fstat(from, &stat_of_image) != 0) {
        powercut_die_errno("make %s", path);
    }
    image_init(&image, (uint64_t)stat_of_image.st_size);
    image_load(&image, from);
    image_save(&image, to);
    image_release(&image);
    if (close(to) != 0) {
        powercut_die_errno("write %s", path);
    }
}

static void save_all(const struct judge *judge, const char *folder, const char *choice,
                     const struct verdict *verdict)
{
    const struct powercut_options *options = judge->lab->options;
    char *image = powercut_format("%s/image", folder);
    char *acks = powercut_read_file(judge->acks_path);
    copy_image(judge->disk_fd, image);
    save_text(folder, "acks", acks);
    save_text(folder, "fs", options->fs->name);
    save_text(folder, "check", options->check);
    save_text(folder, "recover", options->recover ? options->recover : "");
    save_text(folder, "choice", choice);
    save_text(folder, "message", verdict->message);
    free(image);
    free(acks);
}

/* The first number that is free: earlier runs and other workers may have exported here too. */
static char *make_numbered(const char *keep)
{
    if (mkdir(keep, 0755) != 0 && errno != EEXIST) {
        powercut_die_errno("make %s", keep);
    }
    for (unsigned number = 1;; number++) {
        char *folder = powercut_format("%s/violation-%u", keep, number);
        if (mkdir(folder, 0755) == 0) {
            return folder;
        }
        if (errno != EEXIST) {
            powercut_die_errno("make %s", folder);
        }
        free(folder);
    }
}

/* Answers false when the same small violation was exported before, or there is no room. */
static bool reserve(struct exports *exports, const struct recording *recording,
                    const struct state *state)
{
    uint64_t key[] = {(uint64_t)(uintptr_t)recording->map, state->first, state->cut,
                      state->tear_seed * (strchr(state->keep, KEEP_TORN) != NULL),
                      XXH3_64bits(state->keep, strlen(state->keep))};
    uint64_t hash = XXH3_64bits(key, sizeof key) | 1;
    for (unsigned i = 0; i < EXPORTS_MAX; i++) {
        uint64_t expected = 0;
        if (__atomic_compare_exchange_n(&exports->shrunk[i], &expected, hash, false,
                                        __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {
            return true;
        }
        if (expected == hash) {
            return false;
        }
    }
    return false;
}

char *export_state(struct judge *judge, struct exports *exports, struct state *state,
                   struct verdict *verdict)
{
    if (__atomic_fetch_add(&exports->tried, 1, __ATOMIC_RELAXED) >= TRIED_MAX) {
        return NULL;
    }
    char choice[POWERCUT_TEXT];
    shrink_state(judge, state, verdict);
    if (!reserve(exports, judge->recording, state)) {
        return NULL;
    }
    state_describe(judge->recording, state, choice);
    judge_place(judge, state); /* as it was before the check had it */
    char *folder = make_numbered(judge->lab->options->keep);
    save_all(judge, folder, choice, verdict);
    return folder;
}

int export_replay(struct lab *lab)
{
    struct verdict verdict;
    const char *folder = lab->options->replay;
    char *image = powercut_format("%s/image", folder);
    char *acks = powercut_format("%s/acks", folder);
    char *disk = powercut_format("%s/disk", lab->private);
    int fd = open(image, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        powercut_die_errno("open %s", image);
    }
    copy_image(fd, disk);
    close(fd);
    judge_disk(lab, disk, acks, SPAWN_SHOW, &verdict);
    struct report *report = report_new("powercut", lab->options->fs->name);
    char *choice_path = powercut_format("%s/choice", folder);
    char *choice = powercut_read_file(choice_path);
    report_note(report, "replay", folder);
    report_note(report, "check", lab->options->check);
    struct report_state state = {.verdict = verdict.verdict,
                                 .choice = choice,
                                 .message = verdict.message[0] ? verdict.message : NULL,
                                 .image = image};
    report_state(report, &state);
    int code = report_finish(report, &lab->options->outputs);
    report_free(report);
    free(choice_path);
    free(choice);
    free(disk);
    free(acks);
    free(image);
    return code;
}
