/* SPDX-License-Identifier: MIT */
/*
 * Histories of the library itself, each following from its seed: several simulated processes and
 * threads work with one store on a machine whose power fails, whose calls fail, whose processes
 * are killed, while a model (model.h) says what they must see.
 *
 * Which faults there are, how often, who runs when: drawn per seed, many kinds switched off in
 * each (swarm testing: Groce and others, 2012).
 */
#ifndef TX_SIM_SWARM_H
#define TX_SIM_SWARM_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

/* What happened. The first ones are kinds of faults that can be switched off. */
#define SWARM_COUNTER_LIST(X)                                                                      \
    X(CUT, "power cuts")                                                                           \
    X(KILL, "processes killed")                                                                    \
    X(READ_ERROR, "reads that failed")                                                             \
    X(WRITE_ERROR, "changes that failed")                                                          \
    X(LATE_ERROR, "changes made and reported as failed")                                           \
    X(SHORT, "short reads and writes")                                                             \
    X(FLIP, "bits flipped in reads")                                                               \
    X(STALE, "misdirected reads")                                                                  \
    X(ASTRAY, "misdirected writes")                                                                \
    X(SYNC_KEEPS, "syncs failed, cache kept")                                                      \
    X(SYNC_REVERTS, "syncs failed, cache reverted")                                                \
    X(SYNC_LATE, "syncs failed, told late")                                                        \
    X(NO_SPACE, "times the disk was full")                                                         \
    X(NO_FILES, "times no descriptor was left")                                                    \
    X(NO_LOCK, "locks that failed")                                                                \
    X(NO_MEMORY, "allocations that failed")                                                        \
    X(CLOCK, "jumps of the clock")                                                                 \
    X(GARBAGE, "cuts that left nonsense in sectors")                                               \
    X(TORN, "cuts that tore writes")                                                               \
    X(REORDERED, "cuts that reordered writes")                                                     \
    X(NESTED, "cuts inside a recovery")                                                            \
    X(BOOTS, "boots")                                                                              \
    X(RECOVERIES, "recoveries")                                                                    \
    X(RESTS, "openings of a store at rest")                                                        \
    X(TRANSACTIONS, "transactions begun")                                                          \
    X(OPERATIONS, "operations in them, as the model")                                              \
    X(SAVEPOINTS, "rollbacks to savepoints")                                                       \
    X(COMMITS, "commits acknowledged")                                                             \
    X(CONFLICTS, "conflicts")                                                                      \
    X(UNKNOWN, "outcomes unknown")                                                                 \
    X(PREPARED, "transactions prepared")                                                           \
    X(DETACHED, "transactions detached")                                                           \
    X(CHECKPOINTS, "checkpoints")                                                                  \
    X(LOOKS, "snapshots compared with the model")                                                  \
    X(CALLS, "calls of the seam")                                                                  \
    X(SWITCHES, "changes between threads")                                                         \
    X(ORDERED, "orders of operations that were checked")                                           \
    X(REFUSED, "misdirected writes found, and no more to be read")                                 \
    X(LOST_TAIL, "commits lost to a damaged end of the log")

enum swarm_counter {
#define SWARM_COUNTER_ENUM(name, words) SWARM_##name,
    SWARM_COUNTER_LIST(SWARM_COUNTER_ENUM)
#undef SWARM_COUNTER_ENUM
        SWARM_COUNTERS
};
#define SWARM_FAULTS (SWARM_GARBAGE + 1) /* counters below are kinds of faults */
const char *swarm_counter_words(unsigned counter);

enum swarm_profile { SWARM_ANY, SWARM_WEAKEST, SWARM_EXT4, SWARM_XFS, SWARM_BTRFS };

/* Less than the seed would draw; all zero: what it draws. */
struct swarm_limits {
    uint64_t without; /* faults that do not happen, 1 << enum swarm_counter */
    unsigned transactions_max;
    unsigned processes_max;
    unsigned threads_max;
    enum swarm_profile profile;
    bool lie;   /* syncs of the log do nothing: the canary that must be found */
    bool trace; /* say on standard output what happens */
};

#define SWARM_TEXT_SIZE 512
#define SWARM_DISKS_MAX 12u
struct swarm_result {
    bool violation;
    char text[SWARM_TEXT_SIZE]; /* what is wrong */
    uint64_t trace_hash;        /* of every call with its arguments and its answer */
    uint64_t disks[SWARM_DISKS_MAX]; /* hashes of the disks after the cuts */
    unsigned disk_count;
    uint64_t counters[SWARM_COUNTERS];
};

/* Carry out the history of one seed in this process. A library that ends the program ends it. */
void swarm_seed(uint64_t seed, const struct swarm_limits *limits, struct swarm_result *result);

/* The same in a process of its own: a library that ends the program is a violation. */
void swarm_seed_apart(uint64_t seed, const struct swarm_limits *limits,
                      struct swarm_result *result);

/* Called in the order in which seeds end, in the calling process. False: no more. */
typedef bool swarm_seen_fn(void *arg, uint64_t seed, const struct swarm_result *result);
/* Carry out seeds first .. last in `jobs` processes. False when a process cannot be made. */
bool swarm_many(uint64_t first, uint64_t last, unsigned jobs, const struct swarm_limits *limits,
                swarm_seen_fn *fn, void *arg);

/* Find smaller limits under which the seed still breaks. Answers the number of runs. */
unsigned swarm_shrink(uint64_t seed, struct swarm_limits *limits, struct swarm_result *result);

#endif
