/* SPDX-License-Identifier: MIT */
/*
 * Crash points: run a workload on a simulated machine, cut the power before each operation that
 * changes or syncs something, boot every disk that may be left, recover, and compare with what the
 * library had promised by then.
 *
 * A workload is a function that works with one store and says what it does:
 *
 *     static void two_files(struct crash_run *run)
 *     {
 *         struct ktm_txn *txn = crash_begin(run);
 *         MUST(run, txfs_put(txn, "a", "1", 1, NULL, &run->err));
 *         crash_commit(run, txn);        from its return on, the commit must survive
 *     }
 *
 * The oracle is the sequence of states that the workload went through without a crash: tree,
 * registry, detached and prepared transactions after each acknowledged step. A disk is legal when
 * it recovers to the state of the last acknowledged step or, while one is in flight, to the next.
 */
#ifndef TX_SIM_CRASH_H
#define TX_SIM_CRASH_H

#include <setjmp.h>

#include <txkit/store.h>

#include "sim/fault.h"
#include "sim/order.h"
#include "sim/sim.h"

#define CRASH_ROOT "/r"
#define CRASH_STATES_MAX 64u /* distinct states of one workload */

struct crash_run;
typedef void crash_workload_fn(struct crash_run *run);

struct crash_workload {
    const char *name;
    crash_workload_fn *run;
    crash_workload_fn *prepare; /* before, without cuts; NULL: crash_standard_tree */
    bool makes_store;           /* begins without a store */
    bool is_large;              /* many pending operations at once: fewer draws at each point */
};
extern const struct crash_workload crash_workloads[]; /* ended by a NULL name */

/* --- For workloads ---------------------------------------------------------------------------- */

struct crash_state; /* crash_state.h */
struct crash_point;

struct crash_run {
    const struct crash_workload *workload;
    uint64_t seed;
    uint64_t random; /* for the workload's own choices */
    struct txio *machine;     /* the simulated one */
    struct order_layer order; /* over it: the order of operations is watched, too */
    struct fault_layer fault; /* between the two; idle unless a test of errors is on */
    struct txio *io;          /* what the library uses */
    struct txstore *store;
    struct txstore *reader; /* beside it, read-only */
    struct txfs_file *file; /* open while something fails */
    struct tx_error err;
    struct sim_image *begin; /* the disk after the preparation, when others begin with it, too */
    uint64_t begin_random;
    struct crash_state *states; /* after each acknowledged step; [0] before the first */
    unsigned state_count;
    bool in_flight;
    bool recording; /* points are taken ... */
    bool spared;    /* ... but not now: the workload says so */
    bool has_stranger; /* not all that changes is ours: recovery may say that it kept something */
    bool is_moot;   /* it came to nothing: nothing is to be learned from its points */
    struct crash_point *points;
    unsigned point_count, point_room;
    jmp_buf *escape; /* where to go when a call fails; NULL: the test ends */
    enum tx_status failed;
    const void *txn; /* being committed by crash_commit: the answer says what holds */
    void (*on_done)(void *arg); /* after each acknowledged step; may be NULL */
    void (*on_open)(void *arg); /* after the store was opened for writing; may be NULL */
    void (*suspend)(void *arg, bool suspended); /* no failures while we look; may be NULL */
    void *arg;                                  /* of these */
};

_Noreturn void crash_failed(struct crash_run *run, enum tx_status status, const char *call,
                            const char *file, int line);
/* The call must succeed when nothing is cut. */
#define MUST(run, call)                                                                            \
    do {                                                                                           \
        enum tx_status must_status_ = (call);                                                      \
        if (must_status_ != TX_OK) {                                                               \
            crash_failed(run, must_status_, #call, __FILE__, __LINE__);                            \
        }                                                                                          \
    } while (0)

/* What happens between the two is in flight; crash_done records the state reached. */
void crash_doing(struct crash_run *run);
void crash_done(struct crash_run *run);

struct ktm_txn *crash_begin(struct crash_run *run);
void crash_commit(struct crash_run *run, struct ktm_txn *txn);
struct ktm_id crash_prepare(struct crash_run *run, struct ktm_txn *txn);
void crash_commit_prepared(struct crash_run *run, const struct ktm_id *id);
void crash_rollback_prepared(struct crash_run *run, const struct ktm_id *id);
struct ktm_id crash_detach(struct crash_run *run, struct ktm_txn *txn);
void crash_open(struct crash_run *run);
/* Closing will leave the commits in the log only. */
void crash_open_unclean(struct crash_run *run);
void crash_close(struct crash_run *run);
void crash_open_reader(struct crash_run *run);
void crash_close_reader(struct crash_run *run);
enum tx_status crash_close_file(struct crash_run *run); /* run->file */
/* Bytes that depend on the seed; valid until the next call. */
const void *crash_bytes(struct crash_run *run, size_t size);
/* A committed tree and registry with something of everything. */
void crash_standard_tree(struct crash_run *run);

#endif
