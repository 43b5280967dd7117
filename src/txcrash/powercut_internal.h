/* SPDX-License-Identifier: MIT */
/*
 * `txcrash powercut`: what its files share.
 *
 *   powercut_lab      namespaces, work directory and clean-up of everything
 *   powercut_disk     the recorded disk: a FUSE server (powercut_fuse) under a loop device
 *   powercut_record   run the program on it; the log is what it did, in one total order
 *   powercut_log      the recorded order in memory
 *   powercut_states   which states a power cut may leave
 *   powercut_judge    one state: make the image, mount, recover, check
 *   powercut_workers  all states, in several processes
 *
 * This is a tool: what cannot be done ends the process with one line (powercut_die), and the
 * kernel takes mounts, loop devices and processes away with the namespaces of the laboratory.
 */
#ifndef TXCRASH_POWERCUT_INTERNAL_H
#define TXCRASH_POWERCUT_INTERNAL_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

#include "report.h"

#define POWERCUT_SECTOR 512u
#define POWERCUT_PAGE 4096u
#define POWERCUT_TEXT 256 /* messages and choices are cut to this */

/* powercut_options.c */
struct powercut_fs; /* powercut_fs.c */
struct powercut_options {
    const struct powercut_fs *fs;
    const char *check, *recover, *setup; /* for the shell; recover and setup may be NULL */
    char **command;                      /* an argument list that ends in NULL */
    uint64_t size;                       /* of the disk in bytes */
    uint64_t seed;
    unsigned jobs, states, samples, tear, nested, lies, faults, chaos, timeout_s;
    const char *keep, *replay;
    const char *temporary; /* directory for what goes away again */
    struct report_outputs outputs;
};
/* Answers a value of enum txcrash_exit; when it is not TXCRASH_FINE, it has been said why. */
int powercut_parse(int argc, char **argv, struct powercut_options *options);
void powercut_print_usage(FILE *to);

/* powercut_text.c: dying, drawing numbers, putting texts together. */
_Noreturn void powercut_die(const char *format, ...) __attribute__((format(printf, 1, 2)));
_Noreturn void powercut_die_errno(const char *format, ...) __attribute__((format(printf, 1, 2)));
void *powercut_need(void *memory); /* dies of NULL */
char *powercut_format(const char *format, ...) __attribute__((format(printf, 1, 2)));
char *powercut_replace(const char *text, const char *name, const char *value);
void powercut_write_file(const char *path, const void *bytes, size_t size);
char *powercut_read_file(const char *path); /* with a NUL behind it */
uint64_t powercut_random(uint64_t *state);
uint64_t powercut_below(uint64_t *state, uint64_t limit);

/* powercut_image.c: a disk in memory. */
struct image {
    unsigned char *bytes;
    uint64_t size;
    uint64_t *used; /* a bit for each page that ever held something but zeros */
};
void image_init(struct image *image, uint64_t size);
void image_copy(struct image *image, const struct image *from);
void image_release(struct image *image);
void image_load(struct image *image, int fd); /* the image is fresh */
void image_write(struct image *image, uint64_t offset, const void *bytes, size_t size);
void image_save(const struct image *image, int fd); /* the file becomes exactly this image */

/* powercut_log.c: what happened to the disk while the program ran. */
enum log_kind {
    LOG_WRITE = 1,
    LOG_FLUSH,
    LOG_ACK,
    LOG_MARK,  /* a word of our own, e.g. that the program ended */
    LOG_FAULT, /* a write that was answered with an error and not carried out */
};
#define LOG_MARK_BEGIN "begin" /* what came before is durable */
#define LOG_MARK_ENDED "the program ended"
#define LOG_MARK_END "end" /* nothing after it counts */

struct log_entry {
    enum log_kind kind;
    uint32_t size;
    uint64_t offset;
    const unsigned char *bytes; /* of a write; the text of an acknowledgement or mark, no NUL */
};
struct recording {
    struct image base; /* the disk when the first entry came */
    struct log_entry *entries;
    size_t count;
    uint64_t event_base; /* number of the first entry in the report */
    void *map; /* of the log file */
    size_t map_size;
};
void log_append(int fd, enum log_kind kind, uint64_t offset, const void *bytes, uint32_t size);
/* Takes over the image, which becomes the base. */
void recording_load(struct recording *recording, const char *log_path, struct image *base);
void recording_release(struct recording *recording);
void recording_save_acks(const struct recording *recording, size_t cut, const char *path);
size_t recording_count(const struct recording *recording, enum log_kind kind, size_t end);

/* powercut_fs.c */
struct powercut_fs {
    const char *name;    /* of --fs; NULL ends the table */
    const char *type;    /* of mount(2) */
    const char *options; /* of mount(2) */
    const char *mkfs;    /* a command for the shell; {disk} is the image */
    const char *program; /* that must be installed */
    const char *fsck;    /* before each mount; NULL: the file system recovers by itself */
    uint64_t size;       /* in bytes, when --size is not given */
    unsigned tear;       /* the smallest unit that this file system expects to be atomic */
    bool one_identity;   /* two mounted copies are told apart by the kernel, or not at all */
};
extern const struct powercut_fs powercut_file_systems[];
const struct powercut_fs *fs_find(const char *name);
void fs_print_names(FILE *to);
bool fs_is_ready(const struct powercut_fs *fs); /* says what is missing */
unsigned fs_jobs_max(const struct powercut_fs *fs);

struct lab;
/* Attach a loop device to the file and mount it on the lab's directory. Answers 0 or an errno;
 * the device goes with the mount. */
int fs_mount(const struct lab *lab, const char *disk_path);
void fs_unmount(const struct lab *lab);
void fs_make(const struct lab *lab, const char *disk_path); /* an empty file system */

/* powercut_loop.c: answers a descriptor that holds the device until it is mounted, or -errno. */
int loop_attach(const char *path, char *device, size_t size);

/* powercut_lab.c: where everything happens. Below `work` lies a tmpfs that nobody else sees. */
struct lab {
    const struct powercut_options *options;
    char *work;    /* the same path for every process; its mounts are each one's own */
    char *dir;     /* the tested directory, {dir} */
    char *fuse;    /* where the recorded disk and the file of acknowledgements appear */
    char *ack;     /* $TXCRASH_ACK while the program runs */
    char *private; /* files of this process: disk, log, {acks} */
    char *boot_id; /* what this process shows as the number of the system's start */
    uint64_t seed; /* this process's own */
};
/* Run `work` inside a new laboratory and answer its exit code; everything that it left behind
 * (processes, mounts, loop devices, files) is gone afterwards, and also after a signal. */
int lab_run(const struct powercut_options *options, int (*work)(struct lab *lab));
void lab_split(struct lab *lab, unsigned number); /* in a child: mounts and files of its own */
void lab_reboot(const struct lab *lab);             /* from here on the system has started anew */
void lab_mount(const char *what, const char *where, const char *type, const char *options);

/* powercut_spawn.c: run a command to its end, alone in a process group that is killed then. */
struct spawned {
    int status;     /* of waitpid */
    bool timed_out;
    char last_line[POWERCUT_TEXT]; /* of its output, when it was caught */
};
enum spawn_output { SPAWN_CATCH, SPAWN_SHOW };
void spawn_run(char *const argv[], enum spawn_output output, unsigned timeout_s,
               struct spawned *spawned);
void spawn_shell(const struct lab *lab, const char *command, const char *acks,
                 enum spawn_output output, struct spawned *spawned);
bool spawn_succeeded(const struct spawned *spawned);
void spawn_explain(const struct spawned *spawned, char text[POWERCUT_TEXT]);

/* powercut_disk.c: the recorded disk. */
struct fault { /* fail the write number `write` (1: the first) after so many flushes; 0: none */
    uint64_t flushes, write;
};
struct disk {
    pid_t server;
    char *path; /* of the one file that is the disk */
    char *mark;
};
void disk_start(struct disk *disk, const struct lab *lab, const struct image *image,
                const char *log_path, struct fault fault);
void disk_mark(const struct disk *disk, const char *word);
void disk_stop(struct disk *disk, const struct lab *lab);

/* powercut_fuse.c: serve until unmounted. */
void fuse_serve(int fuse_fd, struct image *image, int log_fd, struct fault fault);

/* powercut_chaos.c: somebody else who syncs now and then, as every real system has. */
pid_t chaos_start(const struct lab *lab, unsigned per_second);
void chaos_stop(pid_t pid);
void chaos_finish(const struct lab *lab); /* a last burst */

/* powercut_record.c */
void record_program(struct lab *lab, const struct image *base, struct fault fault,
                    struct recording *recording);
void record_recovery(struct lab *lab, const struct image *base, struct recording *recording);

/* powercut_choice.c: what was kept of the pending writes. One letter for each write between the
 * last flush that counts and the cut. */
#define KEEP_LOST '.'
#define KEEP_WHOLE 'w'
#define KEEP_TORN 't'
enum state_kind { STATE_BOUNDARY, STATE_PREFIX, STATE_SUBSET, STATE_SAMPLE, STATE_TORN, STATE_LIE };
#define STATE_KINDS (STATE_LIE + 1)
extern const char *const state_kind_names[];

struct state {
    enum state_kind kind;
    uint32_t first;     /* entries before this one are durable */
    uint32_t cut;       /* entries from this one on never happened */
    uint64_t tear_seed; /* which pieces of the torn writes are kept */
    char *keep;
    bool nested; /* cut its recovery too */
};
size_t state_pending(const struct recording *recording, size_t first, size_t cut);
/* Is the `unit`-th piece of a torn write of `count` pieces kept? Never all, never none of them. */
bool tear_keeps(uint64_t seed, size_t write, size_t unit, size_t count);
void state_describe(const struct recording *recording, const struct state *state,
                    char text[POWERCUT_TEXT]);
/* Call `put` for every piece of a pending write that is kept, in the recorded order. */
typedef void state_put(void *arg, uint64_t offset, const unsigned char *bytes, size_t size);
void state_apply(const struct recording *recording, const struct state *state, unsigned tear,
                 state_put *put, void *arg);

/* powercut_states.c */
struct state_list {
    struct state *states;
    size_t count;
    uint64_t duplicates; /* candidates that would have given an image met before */
};
struct state_plan {
    unsigned states, samples, tear, lies, nested;
    uint64_t seed;
};
void states_make(const struct recording *recording, const struct state_plan *plan,
                 struct state_list *list);
void states_release(struct state_list *list);

/* powercut_seen.c: which images were met, by the hashes of their sectors. */
struct seen;
struct seen *seen_new(const struct recording *recording, unsigned tear);
void seen_free(struct seen *seen);
void seen_advance(struct seen *seen, size_t first); /* entries before it are durable now */
bool seen_add(struct seen *seen, const struct state *state); /* false: it was there */

/* powercut_judge.c */
struct judge {
    const struct lab *lab;
    const struct recording *recording;
    struct image durable;
    size_t position; /* entries before it are in `durable` */
    int disk_fd;
    char *disk_path, *acks_path;
    const char *outer_acks; /* of the state whose recovery was recorded; NULL: the recording's */
};
struct verdict {
    enum report_verdict verdict;
    char message[POWERCUT_TEXT];
};
void judge_init(struct judge *judge, const struct lab *lab, const struct recording *recording,
                const char *name);
void judge_release(struct judge *judge);
void judge_place(struct judge *judge, const struct state *state); /* write its image and acks */
void judge_state(struct judge *judge, const struct state *state, struct verdict *verdict);
void judge_disk(const struct lab *lab, const char *disk_path, const char *acks_path,
                enum spawn_output output, struct verdict *verdict);

/* powercut_shrink.c: give back lost writes while the verdict stays. */
void shrink_state(struct judge *judge, struct state *state, struct verdict *verdict);

/* powercut_export.c: answers the directory, or NULL when enough are exported already, or the same
 * one. The workers share this. */
#define EXPORTS_MAX 5u
struct exports {
    uint32_t tried;
    uint64_t shrunk[EXPORTS_MAX]; /* hashes of what was exported; 0: free */
};
char *export_state(struct judge *judge, struct exports *exports, struct state *state,
                   struct verdict *verdict);
int export_replay(struct lab *lab);

/* powercut_workers.c */
struct round {
    const struct recording *recording;
    const struct state_list *list;
    struct exports *exports;
    const char *name; /* "" or what was made to fail */
};
void workers_run(const struct lab *lab, const struct round *round, struct report *report);

struct result { /* what a worker says of one state */
    uint32_t state;
    uint32_t inner; /* 0, or the number of the cut inside its recovery */
    enum report_verdict verdict;
    char choice[2 * POWERCUT_TEXT];
    char message[POWERCUT_TEXT];
    char image[PATH_MAX / 2];
};
typedef void result_put(void *arg, const struct result *result);

/* powercut_nested.c: record the recovery of one state and cut that. */
void nested_run(struct lab *lab, struct judge *judge, const struct state *state,
                struct exports *exports, struct result *result, result_put *put, void *arg);

#endif
