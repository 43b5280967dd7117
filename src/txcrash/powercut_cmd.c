/* SPDX-License-Identifier: MIT */
/* `txcrash powercut`: record, make the states, judge them, report. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "powercut_internal.h"
#include "txcrash.h"

#define FAULT_STATES 60u /* of each run with a write that fails */

static void run_setup(const struct lab *lab, const char *disk)
{
    struct spawned spawned;
    int error = fs_mount(lab, disk);
    if (error == ENODEV) {
        fprintf(stderr, "txcrash powercut: not possible here: needs a kernel with %s\n",
                lab->options->fs->type);
        exit(TXCRASH_UNABLE);
    }
    if (error != 0) {
        errno = error;
        powercut_die_errno("mount a new %s", lab->options->fs->name);
    }
    if (lab->options->setup) {
        spawn_shell(lab, lab->options->setup, "/dev/null", SPAWN_SHOW, &spawned);
        if (!spawn_succeeded(&spawned)) {
            char text[POWERCUT_TEXT];
            spawn_explain(&spawned, text);
            powercut_die("--setup failed: %s", text);
        }
    }
    fs_unmount(lab);
}

/* A new file system with what --setup put there. */
static void make_base(const struct lab *lab, struct image *base)
{
    char *disk = powercut_format("%s/base", lab->private);
    int fd = open(disk, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0 || ftruncate(fd, (off_t)lab->options->size) != 0) {
        powercut_die_errno("make %s", disk);
    }
    setenv("TXCRASH_ACK", "/dev/null", 1);
    fs_make(lab, disk);
    run_setup(lab, disk);
    image_init(base, lab->options->size);
    image_load(base, fd);
    close(fd);
    unlink(disk);
    free(disk);
}

static void report_recording(struct report *report, struct recording *recording)
{
    static const enum report_event_kind kinds[] = {
        [LOG_WRITE] = REPORT_WRITE, [LOG_FLUSH] = REPORT_FLUSH, [LOG_ACK] = REPORT_ACK,
        [LOG_MARK] = REPORT_CALL,   [LOG_FAULT] = REPORT_FAULT,
    };
    for (size_t i = 0; i < recording->count; i++) {
        const struct log_entry *entry = &recording->entries[i];
        bool is_text = entry->kind == LOG_ACK || entry->kind == LOG_MARK;
        char *text = is_text ? powercut_format("%.*s", (int)entry->size, entry->bytes)
                     : entry->kind == LOG_FAULT ? powercut_format("write answered with EIO")
                                                : NULL;
        uint64_t number = report_event(report, kinds[entry->kind], entry->offset,
                                       is_text ? 0 : entry->size, text);
        if (i == 0) {
            recording->event_base = number;
        }
        free(text);
    }
    report_count(report, "writes recorded",
                 recording_count(recording, LOG_WRITE, recording->count));
    report_count(report, "flushes", recording_count(recording, LOG_FLUSH, recording->count));
    report_count(report, "acknowledgements",
                 recording_count(recording, LOG_ACK, recording->count));
}

static void judge_recording(const struct lab *lab, struct recording *recording, const char *name,
                            unsigned states, struct exports *exports, struct report *report)
{
    const struct powercut_options *options = lab->options;
    bool faulty = *name != '\0';
    struct state_list list;
    struct state_plan plan = {.states = states,
                              .samples = options->samples,
                              .tear = options->tear,
                              .lies = faulty ? 0 : options->lies,
                              .nested = faulty ? 0 : options->nested,
                              .seed = lab->seed};
    report_recording(report, recording);
    states_make(recording, &plan, &list);
    struct round round = {recording, &list, exports, name};
    workers_run(lab, &round, report);
    report_count(report, "states met before", list.duplicates);
    states_release(&list);
}

/* When the check does not like what the program left without any cut, no cut needs to be tried. */
static bool accepts_the_end(const struct lab *lab, struct recording *recording,
                            struct report *report)
{
    struct judge judge;
    struct verdict verdict;
    size_t first = recording->count;
    while (first > 0 && recording->entries[first - 1].kind != LOG_FLUSH) {
        first--;
    }
    struct state end = {.first = (uint32_t)first, .cut = (uint32_t)recording->count};
    size_t pending = state_pending(recording, first, recording->count);
    end.keep = powercut_need(calloc(pending + 1, 1));
    memset(end.keep, KEEP_WHOLE, pending);
    judge_init(&judge, lab, recording, "end");
    judge_state(&judge, &end, &verdict);
    judge_release(&judge);
    free(end.keep);
    if (verdict.verdict == REPORT_FINE) {
        return true;
    }
    fputs("txcrash powercut: the check refuses what the program leaves when nothing is lost\n",
          stderr);
    report_recording(report, recording);
    struct report_state state = {.event = recording->count,
                                 .verdict = verdict.verdict,
                                 .choice = "no cut at all",
                                 .message = verdict.message};
    report_state(report, &state);
    return false;
}

static size_t program_end(const struct recording *recording)
{
    size_t end = 0;
    while (end < recording->count && recording->entries[end].kind != LOG_MARK) {
        end++;
    }
    return end;
}

/* The place of the program's write number `number`, from 0. */
static struct fault fault_at(const struct recording *recording, uint64_t number)
{
    struct fault fault = {0, 0};
    uint64_t left = number + 1;
    for (size_t i = 0; left > 0; i++) {
        if (recording->entries[i].kind == LOG_FLUSH) {
            fault = (struct fault){fault.flushes + 1, 0};
        } else if (recording->entries[i].kind == LOG_WRITE) {
            fault.write++;
            left--;
        }
    }
    return fault;
}

/* Each with another write that fails, spread over what the program itself wrote. Every other time
 * it is the first after a flush: file systems write the data of a file before what points there. */
static void judge_faults(struct lab *lab, const struct image *base,
                         const struct recording *whole, struct exports *exports,
                         struct report *report)
{
    uint64_t random = lab->options->seed;
    uint64_t writes = recording_count(whole, LOG_WRITE, program_end(whole));
    unsigned faults = writes ? lab->options->faults : 0;
    for (unsigned i = 0; i < faults; i++) {
        struct recording recording;
        struct fault fault =
            fault_at(whole, (i * writes + powercut_below(&random, writes)) / faults);
        fault.write = i % 2 == 0 ? 1 : fault.write;
        char *name = powercut_format("write %" PRIu64 " after flush %" PRIu64 " failed: ",
                                     fault.write, fault.flushes);
        lab->seed++;
        record_program(lab, base, fault, &recording);
        report_count(report, "writes that failed",
                     recording_count(&recording, LOG_FAULT, recording.count));
        judge_recording(lab, &recording, name, FAULT_STATES, exports, report);
        recording_release(&recording);
        free(name);
    }
}

static void note_all(struct report *report, const struct powercut_options *options)
{
    char *text = powercut_format("%s", options->command[0]);
    for (char **argument = options->command + 1; *argument; argument++) {
        char *longer = powercut_format("%s %s", text, *argument);
        free(text);
        text = longer;
    }
    report_note(report, "command", text);
    free(text);
    report_note(report, "check", options->check);
    if (options->recover) {
        report_note(report, "recover", options->recover);
    }
    text = powercut_format("%" PRIu64, options->seed);
    report_note(report, "seed", text);
    free(text);
}

static int run_in_lab(struct lab *lab)
{
    const struct powercut_options *options = lab->options;
    if (options->replay) {
        return export_replay(lab);
    }
    struct image base;
    struct recording recording;
    struct report *report = report_new("powercut", options->fs->name);
    struct exports *exports = mmap(NULL, sizeof *exports, PROT_READ | PROT_WRITE,
                                   MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (exports == MAP_FAILED) {
        powercut_die_errno("share memory");
    }
    note_all(report, options);
    make_base(lab, &base);
    record_program(lab, &base, (struct fault){0, 0}, &recording);
    if (accepts_the_end(lab, &recording, report)) {
        judge_recording(lab, &recording, "", options->states, exports, report);
        judge_faults(lab, &base, &recording, exports, report);
    }
    recording_release(&recording);
    image_release(&base);
    munmap(exports, sizeof *exports);
    int code = report_finish(report, &options->outputs);
    report_free(report);
    return code;
}

static char *read_exported(const char *folder, const char *name)
{
    char *path = powercut_format("%s/%s", folder, name);
    char *text = powercut_read_file(path);
    free(path);
    return text;
}

/* What was exported stands for the options that are not given again. */
static void complete_replay(struct powercut_options *options)
{
    char *fs = read_exported(options->replay, "fs");
    char *recover = read_exported(options->replay, "recover");
    options->fs = fs_find(fs);
    if (!options->fs) {
        powercut_die("%s: no file system \"%s\"", options->replay, fs);
    }
    options->check = options->check ? options->check : read_exported(options->replay, "check");
    if (!options->recover && *recover) {
        options->recover = recover;
    } else {
        free(recover);
    }
    free(fs);
}

/* Root's PATH often lacks the folders of mkfs. */
static void complete_path(void)
{
    const char *path = getenv("PATH");
    char *longer = powercut_format("%s:/usr/sbin:/sbin", path ? path : "/usr/bin:/bin");
    setenv("PATH", longer, 1);
    free(longer);
}

static void choose_keep(struct powercut_options *options)
{
    char here[PATH_MAX];
    if (!options->keep) {
        options->keep = powercut_format("%s/txcrash-%s-%d", options->temporary, options->fs->name,
                                        getpid());
    } else if (options->keep[0] != '/' && getcwd(here, sizeof here)) {
        options->keep = powercut_format("%s/%s", here, options->keep);
    }
}

static int run(int argc, char **argv)
{
    static struct powercut_options options; /* its texts live as long as the program */
    int code = powercut_parse(argc, argv, &options);
    if (code != TXCRASH_FINE) {
        return code;
    }
    options.temporary = txcrash_temporary("powercut");
    if (!options.temporary) {
        return TXCRASH_USAGE;
    }
    complete_path();
    if (options.replay) {
        complete_replay(&options);
    }
    choose_keep(&options);
    if (!fs_is_ready(options.fs)) {
        return TXCRASH_UNABLE;
    }
    return lab_run(&options, run_in_lab);
}

const struct txcrash_command txcrash_powercut = {
    .name = "powercut",
    .summary = "cut the power under a program on a real file system",
    .print_usage = powercut_print_usage,
    .run = run,
};
