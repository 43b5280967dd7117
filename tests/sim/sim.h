/* SPDX-License-Identifier: MIT */
/*
 * A simulated machine behind the seam: an in-memory file system whose power can be cut.
 *
 *     struct txio *io = sim_new(NULL);             a machine with one process
 *     ... any use of io->ops, of the library ...
 *     struct sim_capture *cut = sim_capture(io);   what is durable, what is pending, now
 *     sim_crash_each(cut, &plan, fn, arg);         fn receives every state the disk may be left in
 *     struct txio *again = sim_boot(image, NULL);  a machine that wakes up with one of them
 *
 * Every `struct txio *` below is any process of the machine. Only one thread may use a machine
 * and what was captured from it. Privileges are not modelled: every process may do everything.
 *
 * Persistence. Each change to a name, to contents and to attributes is a *unit* that stays pending
 * until a sync makes it durable; a cut keeps some of the pending units, see README.md.
 */
#ifndef TX_SIM_SIM_H
#define TX_SIM_SIM_H

#include <stdio.h>

#include <txkit/io.h>

/* What a cut may keep of the pending units. */
enum sim_profile {
    SIM_WEAKEST, /* any set that leaves the names consistent; the others are parts of it */
    SIM_EXT4,    /* names and attributes as a prefix; new size only with its data */
    SIM_XFS,     /* names and attributes as a prefix; data any */
    SIM_BTRFS,   /* any set; contents are never torn, inode numbers never given twice */
};

/* A process cannot go on (a lock is held, a word has not changed): let others run. Return true
 * when it is worth trying again. */
typedef bool sim_blocked_fn(void *arg, struct txio *io);

struct sim_options {
    uint64_t seed;
    enum sim_profile profile;
    uint32_t umask;
    uint32_t uid, gid;        /* of every process */
    uint64_t capacity;        /* bytes of the file system; 0: no limit */
    bool still_clock;         /* operations take no time */
    int64_t stamp_ns;         /* granularity of inode times; 0: 1 ns */
    unsigned files_max;       /* open descriptors per process; 0: 1024 */
    const char *const *garbage; /* ended by NULL: a cut may leave nonsense where files with one of
                                 * these in their paths were being written; NULL: nowhere */
    bool write_back_maps;     /* a cut may find on disk what was stored through mappings */
    bool fresh_inode_numbers; /* never give an inode number twice, as btrfs; else like ext4 */
    sim_blocked_fn *on_blocked; /* NULL: a blocked lock answers -EDEADLK, a wait times out */
    void *on_blocked_arg;
};
#define SIM_OPTIONS_DEFAULT {.seed = 1, .umask = 022}

/* Once in a process that makes many machines: each maps its shared memory anew; let the heap keep
 * what they give back instead of asking the kernel again and again. */
void sim_keep_heap(void);

/* Ownership: sim_free ends the machine with all its processes. `options` NULL: the defaults. */
struct txio *sim_new(const struct sim_options *options);
void sim_free(struct txio *io);

/* Another process of the machine. */
struct txio *sim_process_new(struct txio *io);
/* The process dies: its descriptors and locks are gone, its shared memory stays what it is. Every
 * later call through this `io` answers -EIO and does nothing. */
void sim_process_kill(struct txio *io);
/* Open descriptors and mappings of one process: 0 when nothing leaks. */
unsigned sim_open_count(const struct txio *io);

/* Called before each operation that changes or syncs something, with its number in the machine. */
typedef void sim_op_fn(void *arg, struct txio *io, uint64_t index, const char *op);
void sim_on_op(struct txio *io, sim_op_fn *fn, void *arg);
uint64_t sim_op_count(const struct txio *io);
/* From now on the file system holds what it holds now and so many bytes more; 0: no limit. */
void sim_limit_space(struct txio *io, uint64_t more);
/* Between these two the clock stands still and no operation is counted or reported: for looking at
 * a machine without disturbing it. */
void sim_freeze(struct txio *io);
void sim_thaw(struct txio *io);
int64_t sim_now_ns(const struct txio *io); /* realtime, without advancing it */

/* --- Cutting the power ------------------------------------------------------------------------ */

struct sim_capture; /* durable state and pending units at one moment */
struct sim_image;   /* a disk after the cut, counted references */

/* Ownership: the caller frees; independent of the machine's further life. Costs microseconds. */
struct sim_capture *sim_capture(struct txio *io);
void sim_capture_free(struct sim_capture *cut);
/* Nothing became durable between the two: a cut at the second may lose what the first does not
 * have, and leave whatever it leaves at the first. */
bool sim_capture_grew(const struct sim_capture *cut, const struct sim_capture *later);
unsigned sim_capture_units(const struct sim_capture *cut); /* pending; implicit times left out */

enum sim_choice_kind {
    SIM_KEEP_MASK,    /* bit i of value: keep unit i (fewer than 64 units) */
    SIM_KEEP_PREFIX,  /* the first `value` units */
    SIM_KEEP_MISSING, /* all but unit `value` and what needs it */
    SIM_KEEP_SAMPLE,  /* a set drawn with seed `value` */
};

/* Which disk a cut leaves. `tear` 0: kept units are whole; else the seed by which contents are torn
 * in sectors, attributes in fields. */
struct sim_choice {
    enum sim_choice_kind kind;
    uint64_t value;
    uint64_t tear;
};
#define SIM_CHOICE_TEXT_SIZE 64
void sim_choice_format(const struct sim_choice *choice, char text[SIM_CHOICE_TEXT_SIZE]);
bool sim_choice_parse(const char *text, struct sim_choice *choice);

/* The disk after this choice. Units whose needs are not kept are lost too. */
struct sim_image *sim_crash_image(struct sim_capture *cut, const struct sim_choice *choice);
/* The same of this moment, when nothing that is pending is kept. */
struct sim_image *sim_durable_image(struct txio *io);
struct sim_image *sim_image_keep(struct sim_image *image);
void sim_image_drop(struct sim_image *image);
/* Equal for equal disks: names, contents, attributes, extended attributes, inode numbers. */
uint64_t sim_image_hash(const struct sim_image *image);
uint64_t sim_image_hash_timeless(const struct sim_image *image); /* all but times */
/* The same of what running programs see; what stands in mappings is left out. */
uint64_t sim_live_hash(struct txio *io);

/* Switch the machine on again: a new boot id, nothing pending. `options` NULL: those of before. */
struct txio *sim_boot(const struct sim_image *image, const struct sim_options *options);

/* How many choices to try at one moment; 0 in a field: its default. */
struct sim_plan {
    unsigned exhaustive_max; /* up to so many units all sets are tried; 10 */
    unsigned samples;        /* above: drawn sets, half of them torn, besides prefixes and single
                              * losses; 256 */
    unsigned tears;          /* torn variants of each other set that has something to tear; 1 */
    uint64_t seed;
    bool samples_only;       /* even when few units are pending */
};
/* A false answer stops. The image is the callee's during the call only (sim_image_keep). */
typedef bool sim_crash_fn(void *arg, struct sim_image *image, const struct sim_choice *choice);
/* Return the number of images made; equal disks may come several times. */
uint64_t sim_crash_each(struct sim_capture *cut, const struct sim_plan *plan, sim_crash_fn *fn,
                        void *arg);

/* Health of the harness: a test that relies on crashes asserts that they happened. */
struct sim_counters {
    uint64_t images;
    uint64_t lost;        /* images that lack a pending unit */
    uint64_t reordered;   /* images that keep a unit though an earlier one is lost */
    uint64_t torn;        /* images with a torn content */
    uint64_t torn_attributes;
    uint64_t garbage; /* images with nonsense in a sector that was being written */
    uint64_t failed_syncs; /* by sim_fail_sync */
    uint64_t boots;
    uint64_t lies; /* syncs that did nothing, by sim_lie */
};
void sim_get_counters(struct sim_counters *counters);

/* --- Failing syncs ---------------------------------------------------------------------------- */

enum sim_sync_failure {
    SIM_SYNC_KEEPS,   /* readers go on seeing the new content, the disk never gets it (ATC'20: ext4
                         and xfs; attributes travel by the journal and stay pending) */
    SIM_SYNC_REVERTS, /* readers see the old content again */
};
/* What the kernel does to the inode behind `fd` when its write-back fails. */
void sim_fail_sync(struct txio *io, int fd, enum sim_sync_failure how);

/* A lying disk: from now on these syncs (an operation's name; NULL: any) of everything whose path
 * contains `part` do nothing on all machines. `part` NULL: the truth again. Keeps the texts. */
void sim_lie(const char *op, const char *part);

/* Print the tree, for messages of failing tests. */
void sim_print(struct txio *io, FILE *out);
void sim_capture_print(const struct sim_capture *cut, FILE *out);

#endif
