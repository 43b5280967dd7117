/* SPDX-License-Identifier: MIT */
/* How the crash test is put together: runs, points, checks, replay. */
#ifndef TX_SIM_CRASH_INTERNAL_H
#define TX_SIM_CRASH_INTERNAL_H

#include <stdlib.h>
#include <string.h>

#include "sim/crash.h"
#include "sim/crash_state.h"
#include "sim/sim_internal.h"

/* --- crash_options.c -------------------------------------------------------------------------- */

struct crash_options {
    const char *workload; /* NULL: all */
    const char *replay;
    uint64_t seed; /* 0: those of the rounds */
    int profile;   /* -1: by round */
    uint64_t rounds; /* 0: as many as the scale asks for */
    uint64_t nested; /* one disk in so many is cut again inside its recovery */
    bool list, lies, faults, memory, astray, sequences;
    bool first; /* end at the first violation */
};
bool crash_options_parse(int argc, char **argv, struct crash_options *options);

/* --- crash_run.c ------------------------------------------------------------------------------ */

/* One moment at which the power may fail. */
struct crash_point {
    struct sim_capture *cut;
    uint64_t index; /* of the operation before which it was taken */
    const char *op;
    unsigned acknowledged; /* index of the last acknowledged state */
    bool in_flight;
};

/* Carry a workload out once and keep its points and states. */
void crash_run_record(struct crash_run *run, const struct crash_workload *workload, uint64_t seed,
                      enum sim_profile profile);
/* The two halves of it: up to the first cut; the rest. */
void crash_run_prepare(struct crash_run *run, const struct crash_workload *workload, uint64_t seed,
                       const struct sim_options *options);
void crash_run_work(struct crash_run *run);
/* After the preparation, and before the work: this is what crash_run_again begins with. */
void crash_run_keep(struct crash_run *run);
/* The same workload once more, on a machine that was switched on with the disk kept. */
void crash_run_again(struct crash_run *run, const struct crash_run *kept);
/* The work up to its end or to the call that fails. True when one failed. */
bool crash_run_attempt(struct crash_run *run);
/* Close what it then left open. */
void crash_run_leave(struct crash_run *run);
void crash_run_release(struct crash_run *run);
const char *crash_profile_name(enum sim_profile profile);

/* --- crash_steps.c, crash_sequences.c --------------------------------------------------------- */

#define CRASH_STEPS_MAX 128u
unsigned crash_step_count(void);
/* As "rename:d/g:f", with slashes for backslashes, so that a shell takes it as it is. Answers as
 * snprintf does. */
int crash_step_format(unsigned index, unsigned tree, char *text, size_t room);
/* Whatever is refused is for the caller to judge. */
enum tx_status crash_step_do(unsigned index, unsigned tree, struct crash_run *run,
                             struct ktm_txn *txn);
/* What there is before the first step. */
unsigned crash_tree_count(void);
void crash_tree_plant(unsigned tree, struct crash_run *run, struct ktm_txn *txn);

#define CRASH_SEQUENCE_MAX 3u /* steps */
#define CRASH_SEQUENCE_NAME_SIZE 120u

/* What is between two steps. */
enum crash_way {
    CRASH_TOGETHER,   /* nothing: they are one transaction */
    CRASH_APART,      /* a commit */
    CRASH_CHECKPOINT, /* a commit, a checkpoint */
    CRASH_REOPEN,     /* a commit, the store closed and opened */
    CRASH_RECOVER,    /* a commit that is in the log only until the store is opened again */
    CRASH_DETACH,     /* the transaction detached and attached */
    CRASH_PREPARE,    /* nothing; at the end it is prepared, and committed by the next opening */
    CRASH_REVERT,     /* a commit, and at the end the last commit is reverted */
    CRASH_WAYS
};

/* Operations one after the other. */
struct crash_sequence {
    struct crash_workload workload; /* first; its name is `name` */
    char name[CRASH_SEQUENCE_NAME_SIZE];
    unsigned steps[CRASH_SEQUENCE_MAX]; /* below crash_step_count() */
    unsigned count;
    enum crash_way way;
    unsigned tree; /* below crash_tree_count() */
};

/* Make the workload and the name of it, from the other fields. The workload must not be copied. */
void crash_sequence_finish(struct crash_sequence *sequence);
/* From its name, as "put:f+rename:f:n", "put:f_then_unlink:f", "tree1_rmdir:n". */
bool crash_sequence_parse(struct crash_sequence *sequence, const char *text);

/* False when the sequence was refused. */
typedef bool crash_sequence_fn(void *arg, const struct crash_sequence *sequence);
/* All of one and two steps that are possible, and of so many drawn ones of three; on each tree and
 * in every way. */
void crash_each_sequence(uint64_t triples, crash_sequence_fn *fn, void *arg);

/* --- crash_set.c: 64-bit keys with a value ---------------------------------------------------- */

struct crash_set {
    uint64_t *keys; /* 0: free */
    uint64_t *values;
    size_t count, room;
};

/* The value's place; *is_new when the key was not there. Valid until the next call. */
uint64_t *crash_set_at(struct crash_set *set, uint64_t key, bool *is_new);
void crash_set_release(struct crash_set *set);

/* --- crash_check.c ---------------------------------------------------------------------------- */

struct crash_totals {
    uint64_t runs, points, images, nested, violations, boots, verified, ordered;
    struct crash_set seen;     /* hashes of all disks of all runs */
    struct crash_set timeless; /* the same but for times */
    struct crash_set ends;     /* what recoveries ended in */
};

struct crash_limits {
    struct sim_plan plan;        /* at each point */
    struct sim_plan nested_plan; /* at each point inside a recovery */
    unsigned points_every;       /* one point in so many; 0: all */
    uint64_t violations_max;     /* of one run, then it ends; 0: none */
    uint64_t nested_every;       /* one disk in so many is cut again inside its recovery; 0: none */
    uint64_t verify_every;       /* of what recoveries end in one in so many is read through by
                                  * txstore_check; 0: none */
    unsigned nested_points;      /* inside one recovery */
};

/* A disk on its way through the check, for messages and replay. */
struct crash_case {
    const struct crash_run *run;
    enum sim_profile profile;
    const struct crash_point *point;
    struct sim_choice choice;
    bool nested;
    uint64_t nested_index;
    struct sim_choice nested_choice;
};

void crash_totals_release(struct crash_totals *totals);
/* Silent: violations are counted, not printed. */
void crash_check_quietly(bool quietly);
void crash_check_run(struct crash_run *run, enum sim_profile profile,
                     const struct crash_limits *limits, struct crash_totals *totals);
/* Boot the case's disk, say on stdout what happens. False when it violates the oracle. */
bool crash_replay(const struct crash_case *which);

/* --- crash_lies.c ----------------------------------------------------------------------------- */

/* Take one kind of sync after the other away: each must be missed. False when one was not. */
bool crash_lies(const struct crash_limits *limits);

/* --- crash_aftermath.c ------------------------------------------------------------------------ */

struct crash_tally {
    uint64_t runs, disks, violations;
    struct crash_set judged; /* disks, with what was legal */
    struct crash_set ends;   /* what recoveries ended in */
    uint64_t every; /* of what can fail, one in so many does */
    bool first;     /* end at the first violation */
};
static inline bool crash_tally_goes_on(const struct crash_tally *tally)
{
    return !tally->first || tally->violations == 0;
}

/* One run in which something fails once or from there on. */
struct crash_failure {
    struct crash_tally *tally;
    const struct crash_run *reference; /* without failures: its states are the oracle */
    const char *kind;
    uint64_t nth;
    bool (*has_fired)(void *arg);
    void (*end)(void *arg); /* nothing fails any more */
    void *arg;
    bool may_cut; /* judge disks that a cut leaves, too */
    struct crash_run run;
    uint64_t legal; /* states, as bits */
    const char *when;
    char answer[600];
    bool promised; /* a step was acknowledged after the failure */
};
/* The same workload without failures. */
void crash_reference(struct crash_run *reference, const struct crash_workload *workload);
/* Make `run`, to which the failure is then added; carry it out, judge and release it. False when
 * nothing failed, because there is no nth time any more. */
void crash_failure_prepare(struct crash_failure *failure, const struct crash_run *reference);
bool crash_failure_run(struct crash_failure *failure);

typedef void crash_fail_fn(const struct crash_run *reference, struct crash_tally *tally);
/* Over the named workload, or all (NULL). False when a promise broke or nothing failed. */
bool crash_each_failure(const char *what, const char *workload, struct crash_tally *tally,
                        crash_fail_fn *fn);

/* --- crash_faults.c, crash_memory.c ----------------------------------------------------------- */

/* Fail each operation, or each allocation, of the workloads in turn. */
bool crash_faults(const char *workload, struct crash_tally *tally);
bool crash_memory(const char *workload, struct crash_tally *tally);

/* --- crash_astray.c --------------------------------------------------------------------------- */

/* Send each write to a sealed file astray in turn. */
bool crash_astray(const char *workload, struct crash_tally *tally);

/* --- crash_case.c ----------------------------------------------------------------------------- */

#define CRASH_CASE_TEXT_SIZE 320u
/* WORKLOAD,SEED,PROFILE,INDEX,CHOICE[,INDEX,CHOICE] */
void crash_case_format(const struct crash_case *which, char text[CRASH_CASE_TEXT_SIZE]);
/* Everything but `run` and `point`; the workload, seed and index are returned apart. */
bool crash_case_parse(const char *text, struct crash_case *which,
                      const struct crash_workload **workload, uint64_t *seed, uint64_t *index);
/* False when there is none of that name. */
bool crash_profile_named(const char *name, enum sim_profile *profile);
/* Of the list or a sequence, NULL when there is none of that name. Valid until the next call. */
const struct crash_workload *crash_workload_named(const char *name);
/* States to which the disk of a point may recover, as bits. */
uint64_t crash_legal(const struct crash_run *run, const struct crash_point *point);
/* The first state equal to this one, CRASH_STATES_MAX when there is none. */
unsigned crash_state_index(const struct crash_run *run, uint64_t hash);

/* --- crash_verify.c --------------------------------------------------------------------------- */

/* Points inside a recovery. */
struct crash_inner {
    struct crash_point *points;
    unsigned count, room;
    bool opened; /* the store was open already: what it shows is a promise */
};

struct crash_verdict {
    bool broken;          /* an error, a leak, two answers for one disk */
    bool read_through;    /* by txstore_check */
    unsigned state;       /* index, CRASH_STATES_MAX: none of the run's states */
    char text[700];       /* what is broken */
    uint64_t foreign_kept;
    struct crash_state found, again; /* at the first opening; at the second when it differs */
};

/* How thoroughly a disk is looked at; all zero: opened, closed, opened again. */
struct crash_scrutiny {
    bool read_through;         /* by txstore_check */
    struct crash_inner *inner; /* receives the points inside the first opening and closing */
    struct crash_set *ends;    /* what recoveries that were looked at to the end have ended in */
};
/* Boot, open, look; close, reopen, look again, unless another recovery has ended in the same. */
void crash_verify(const struct crash_run *run, const struct sim_image *image,
                  const struct crash_scrutiny *how, struct crash_verdict *verdict);
void crash_verdict_release(struct crash_verdict *verdict);
void crash_inner_release(struct crash_inner *inner);

#endif
