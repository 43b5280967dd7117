/* SPDX-License-Identifier: MIT */
/*
 * The laboratory tested on itself, without any file system: what a program does to the device is
 * what the log says, and the images made from the log are what the device held.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "txcrash/powercut_internal.h"
#include "txcrash/txcrash.h"

#define DISK_SIZE ((uint64_t)4 << 20)
#define STEPS 240u
#define WRITE_MAX 16384u

static unsigned tests;
static bool all_good = true;

static void result(bool good, const char *words)
{
    printf("%s %u - %s\n", good ? "ok" : "not ok", ++tests, words);
    all_good &= good;
}

struct step {
    enum log_kind kind;
    uint64_t offset;
    uint32_t size;
    unsigned char *bytes;
};
struct history {
    struct step steps[2 * STEPS];
    size_t count;
};

static void expect(struct history *history, enum log_kind kind, uint64_t offset,
                   const void *bytes, uint32_t size)
{
    unsigned char *copy = powercut_need(malloc(size + 1));
    memcpy(copy, bytes, size);
    history->steps[history->count++] = (struct step){kind, offset, size, copy};
}

/* Write random sectors; one in four by RWF_DSYNC, which is a write and a flush. */
static void do_write(struct history *history, int device, uint64_t *seed)
{
    static _Alignas(POWERCUT_PAGE) unsigned char bytes[WRITE_MAX];
    uint32_t size = (uint32_t)(1 + powercut_below(seed, WRITE_MAX / POWERCUT_SECTOR)) *
                    POWERCUT_SECTOR;
    uint64_t offset = powercut_below(seed, (DISK_SIZE / 8 - size) / POWERCUT_SECTOR) *
                      POWERCUT_SECTOR; /* few places, so that writes overlap */
    bool durable = powercut_below(seed, 4) == 0;
    for (uint32_t i = 0; i < size; i++) {
        bytes[i] = (unsigned char)powercut_random(seed);
    }
    struct iovec part = {bytes, size};
    if (pwritev2(device, &part, 1, (off_t)offset, durable ? RWF_DSYNC : 0) != (ssize_t)size) {
        powercut_die_errno("write to the device");
    }
    expect(history, LOG_WRITE, offset, bytes, size);
    if (durable) {
        expect(history, LOG_FLUSH, 0, "", 0);
    }
}

static void do_step(struct history *history, const struct lab *lab, int device, unsigned number,
                    uint64_t *seed)
{
    uint64_t what = powercut_below(seed, 8);
    if (what == 0) {
        if (fsync(device) != 0) {
            powercut_die_errno("fsync the device");
        }
        expect(history, LOG_FLUSH, 0, "", 0);
    } else if (what == 1) {
        char line[32];
        int size = snprintf(line, sizeof line, "step %u\n", number);
        int fd = open(lab->ack, O_WRONLY | O_APPEND | O_TRUNC | O_CLOEXEC);
        if (fd < 0 || write(fd, line, (size_t)size) != size) {
            powercut_die_errno("acknowledge");
        }
        close(fd);
        expect(history, LOG_ACK, 0, line, (uint32_t)size - 1);
    } else {
        do_write(history, device, seed);
    }
}

static void record(struct lab *lab, struct history *history, struct recording *recording)
{
    struct disk disk;
    struct image base;
    char name[64];
    char *log_path = powercut_format("%s/log", lab->private);
    uint64_t seed = lab->options->seed;
    image_init(&base, DISK_SIZE);
    disk_start(&disk, lab, &base, log_path, (struct fault){0, 0});
    int loop = loop_attach(disk.path, name, sizeof name);
    int device = loop < 0 ? -1 : open(name, O_RDWR | O_DIRECT | O_CLOEXEC);
    if (device < 0) {
        powercut_die_errno("open the recorded device");
    }
    disk_mark(&disk, LOG_MARK_BEGIN);
    for (unsigned i = 0; i < STEPS; i++) {
        do_step(history, lab, device, i, &seed);
    }
    disk_mark(&disk, LOG_MARK_END);
    close(device);
    close(loop);
    disk_stop(&disk, lab);
    recording_load(recording, log_path, &base);
    free(log_path);
}

/* Is the flush number `at` one more after another? The kernel flushes twice after RWF_DSYNC. */
static bool again(const struct recording *recording, size_t at)
{
    return at > 0 && recording->entries[at].kind == LOG_FLUSH &&
           recording->entries[at - 1].kind == LOG_FLUSH;
}

static bool same_order(const struct history *history, const struct recording *recording)
{
    size_t done = 0;
    for (size_t i = 0; i < recording->count; i++) {
        const struct log_entry *entry = &recording->entries[i];
        const struct step *step = &history->steps[done];
        bool same = done < history->count && step->kind == entry->kind &&
                    step->offset == entry->offset && step->size == entry->size &&
                    memcmp(step->bytes, entry->bytes, step->size) == 0;
        done += same;
        if (!same && !again(recording, i)) {
            printf("# step %zu: kind %d size %u, logged kind %d size %u\n", done, step->kind,
                   step->size, entry->kind, entry->size);
            return false;
        }
    }
    return done == history->count;
}

static void read_disk(const struct judge *judge, unsigned char *bytes)
{
    if (pread(judge->disk_fd, bytes, DISK_SIZE, 0) != (ssize_t)DISK_SIZE) {
        powercut_die_errno("read an image");
    }
}

/* After each flush the durable image is what the program had written up to there. */
static bool exact_at_flushes(const struct lab *lab, const struct history *history,
                             const struct recording *recording)
{
    struct judge judge;
    unsigned flushes = 0;
    bool exact = true;
    const struct step *step = history->steps;
    unsigned char *model = powercut_need(calloc(2, DISK_SIZE));
    judge_init(&judge, lab, recording, "flush");
    for (size_t i = 0; i < recording->count; i++) {
        char keep[] = "";
        struct state state = {.first = (uint32_t)i + 1, .cut = (uint32_t)i + 1, .keep = keep};
        if (recording->entries[i].kind == LOG_WRITE) {
            for (; step->kind != LOG_WRITE; step++) {
            }
            memcpy(model + step->offset, step->bytes, step->size);
            step++;
        } else if (recording->entries[i].kind == LOG_FLUSH) {
            judge_place(&judge, &state);
            read_disk(&judge, model + DISK_SIZE);
            exact &= memcmp(model, model + DISK_SIZE, DISK_SIZE) == 0;
            flushes++;
        }
    }
    judge_release(&judge);
    free(model);
    return exact && flushes > 10;
}

/* Is the sector one that the disk may hold: durable, or of a pending write? */
static bool may_hold(const struct recording *recording, const struct state *state,
                     const unsigned char *sector, uint64_t offset, const unsigned char *durable,
                     bool *pending)
{
    if (memcmp(sector, durable + offset, POWERCUT_SECTOR) == 0) {
        return true;
    }
    for (size_t i = state->first; i < state->cut; i++) {
        const struct log_entry *entry = &recording->entries[i];
        if (entry->kind == LOG_WRITE && offset >= entry->offset &&
            offset < entry->offset + entry->size &&
            memcmp(sector, entry->bytes + (offset - entry->offset), POWERCUT_SECTOR) == 0) {
            *pending = true;
            return true;
        }
    }
    return false;
}

struct tally {
    unsigned torn, pending;
    bool legal, acks;
};

static void look_at(struct judge *judge, const struct state *state, unsigned char *bytes,
                    struct tally *tally)
{
    bool pending = false;
    judge_place(judge, state);
    read_disk(judge, bytes);
    for (uint64_t offset = 0; offset < DISK_SIZE; offset += POWERCUT_SECTOR) {
        tally->legal &= may_hold(judge->recording, state, bytes + offset, offset,
                                 judge->durable.bytes, &pending);
    }
    char *acks = powercut_read_file(judge->acks_path);
    size_t lines = 0;
    for (const char *at = acks; *at; at++) {
        lines += *at == '\n';
    }
    free(acks);
    tally->acks &= lines == recording_count(judge->recording, LOG_ACK, state->cut);
    tally->torn += strchr(state->keep, KEEP_TORN) != NULL;
    tally->pending += pending;
}

static void states_are_legal(const struct lab *lab, const struct recording *recording)
{
    struct judge judge;
    struct state_list list;
    struct state_plan plan = {.states = 600, .tear = POWERCUT_SECTOR, .seed = 1};
    struct tally tally = {.legal = true, .acks = true};
    unsigned char *bytes = powercut_need(malloc(DISK_SIZE));
    states_make(recording, &plan, &list);
    judge_init(&judge, lab, recording, "state");
    for (size_t i = 0; i < list.count; i++) {
        look_at(&judge, &list.states[i], bytes, &tally);
    }
    printf("# %zu states, %u torn, %u with pending sectors\n", list.count, tally.torn,
           tally.pending);
    result(list.count == 600, "as many states as asked for");
    result(tally.legal, "every sector of every state is the durable or a pending one");
    result(tally.torn > 50 && tally.pending > 200, "some are torn, some hold pending sectors");
    result(tally.acks, "each has the acknowledgements that came before its cut");
    judge_release(&judge);
    states_release(&list);
    free(bytes);
}

/* What a device shows must be the new image, not what was cached of the image before it. */
static bool nothing_stale(const struct lab *lab, const struct recording *recording)
{
    struct judge judge;
    bool fresh = true;
    unsigned char *bytes = powercut_need(calloc(2, DISK_SIZE));
    judge_init(&judge, lab, recording, "stale");
    for (size_t cut = 0; cut <= recording->count; cut += recording->count / 8) {
        char name[64];
        char keep[2 * STEPS] = "";
        memset(keep, KEEP_WHOLE, state_pending(recording, 0, cut));
        struct state state = {.cut = (uint32_t)cut, .keep = keep};
        judge_place(&judge, &state);
        read_disk(&judge, bytes);
        int loop = loop_attach(judge.disk_path, name, sizeof name);
        int device = open(name, O_RDONLY | O_CLOEXEC);
        fresh &= loop >= 0 && device >= 0 &&
                 pread(device, bytes + DISK_SIZE, DISK_SIZE, 0) == (ssize_t)DISK_SIZE &&
                 memcmp(bytes, bytes + DISK_SIZE, DISK_SIZE) == 0;
        close(device);
        close(loop);
    }
    judge_release(&judge);
    free(bytes);
    return fresh;
}

static bool tears_are_tears(void)
{
    for (uint64_t seed = 0; seed < 2000; seed++) {
        size_t count = 2 + seed % 31;
        size_t kept = 0;
        for (size_t unit = 0; unit < count; unit++) {
            kept += tear_keeps(seed, seed % 7, unit, count);
        }
        if (kept == 0 || kept == count) {
            return false;
        }
    }
    return true;
}

static int test_all(struct lab *lab)
{
    struct recording recording;
    struct history *history = powercut_need(calloc(1, sizeof *history));
    record(lab, history, &recording);
    result(same_order(history, &recording),
           "fsync and RWF_DSYNC yield a flush each, all in one order with acknowledgements");
    result(exact_at_flushes(lab, history, &recording), "images at flushes are exact");
    states_are_legal(lab, &recording);
    result(nothing_stale(lab, &recording), "a device shows nothing of the image before");
    result(tears_are_tears(), "a tear keeps neither all nor nothing");
    recording_release(&recording);
    for (size_t i = 0; i < history->count; i++) {
        free(history->steps[i].bytes);
    }
    free(history);
    printf("1..%u\n", tests);
    return all_good ? 0 : 1;
}

int main(void)
{
    struct powercut_options options = {.seed = 1, .tear = POWERCUT_SECTOR, .timeout_s = 60};
    options.temporary = txcrash_temporary("powercut");
    if (!options.temporary) {
        return 1;
    }
    if (!fs_is_ready(NULL)) {
        puts("ok 1 - # SKIP not possible here\n1..1");
        return 0;
    }
    return lab_run(&options, test_all);
}
