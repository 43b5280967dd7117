/* SPDX-License-Identifier: MIT */
/* One history: its plan, its machine, its processes, what they say and what the oracle knows. */
#ifndef TX_SIM_SWARM_INTERNAL_H
#define TX_SIM_SWARM_INTERNAL_H

#include <stdlib.h>
#include <string.h>

#include <txkit/store.h>

#include "sim/fault.h"
#include "sim/ledger.h"
#include "sim/order.h"
#include "sim/sched.h"
#include "sim/sim_internal.h"
#include "sim/swarm.h"

#define SWARM_ROOT "/r"
#define SWARM_PROCESSES_MAX 48u /* over the life of one machine */
#define SWARM_THREADS_MAX 3u
#define SWARM_BIT(name) (UINT64_C(1) << SWARM_##name)

/* --- swarm_plan.c ----------------------------------------------------------------------------- */

struct swarm_plan {
    enum sim_profile profile;
    enum sched_policy policy;
    unsigned every;
    unsigned processes, threads, transactions;
    unsigned cuts, kills, spaces;     /* so many of these */
    uint32_t rates[SWARM_FAULTS];     /* per 2^20 calls that the fault can meet */
    uint64_t segment_size, inline_max;
    unsigned history, conflict_entries;
    unsigned files, registry;         /* weights of operations */
    unsigned serializable, prepare, detach, savepoint, checkpoint; /* one in so many; 0: none */
    unsigned look_all;                /* one transaction in so many compares everything */
    unsigned readers;                 /* one process in so many only reads; 0: none */
    bool garbage;
};
void swarm_plan_draw(struct swarm_plan *plan, uint64_t seed, const struct swarm_limits *limits);

/* --- swarm_world.c ---------------------------------------------------------------------------- */

struct swarm_memory; /* swarm_memory.c */

struct swarm_process {
    struct fault_layer fault; /* first: &process->fault.layer.io is the txio */
    struct swarm *swarm;
    struct txio *below;
    void (*fault_before)(struct layer *layer, struct layer_call *call);
    void (*fault_after)(struct layer *layer, struct layer_call *call);
    unsigned number;
    bool killed;
    bool reopen; /* the store is poisoned, or a reader has seen enough: close it */
    bool opening;
    bool reads; /* opens the store read-only */
    struct txstore *store;
    struct swarm_memory *memory;
    int64_t clock_ns; /* by which its clock is wrong */
};

struct swarm {
    uint64_t seed;
    struct swarm_limits limits;
    struct swarm_plan plan;
    struct swarm_result *result;
    uint64_t random; /* of the history; faults and scheduler have their own */
    uint64_t fault_random;
    struct txio *machine; /* the oracle's own process */
    struct sched sched;
    bool scheduling; /* sched is in use */
    struct swarm_process *processes[SWARM_PROCESSES_MAX];
    unsigned process_count;
    unsigned alive;
    struct model_arena arena;
    struct ledger ledger;
    uint32_t next_id;         /* of objects of the model */
    unsigned quota;           /* transactions that are left */
    bool calm;                /* no faults any more */
    bool quiet;               /* the oracle looks: no faults, no scheduling, no trace */
    bool given_up;            /* nothing is left to compare with */
    bool hurt;                /* a fault fired since the last calm */
    bool astray;              /* a write went elsewhere: what is damaged may be refused */
    bool lied;                /* programs see what the disk does not have: no cut any more */
    uint64_t choices;         /* of cuts */
    uint64_t boot_calls;      /* since the machine was switched on */
    uint64_t cut_at;          /* call before which the power fails; 0: never */
    uint64_t kill_at;
    unsigned kills_left, cuts_left, spaces_left;
    uint64_t space_from, space_to; /* calls between which the disk is full; 0: never */
    bool full;
    struct order order; /* of the operations, while `watched` */
    bool watched;       /* nobody was hurt or killed since the machine was switched on */
    unsigned failed_opens;
    struct swarm_memory *host_memory;
};

/* The history is over: what it says is wrong. Does not return inside a fiber. */
_Noreturn void swarm_wrong(struct swarm *swarm, const char *format, ...) TX_PRINTF(2, 3);
/* As above, outside fibers. */
void swarm_note_wrong(struct swarm *swarm, const char *format, ...) TX_PRINTF(2, 3);
void swarm_say(struct swarm *swarm, const char *format, ...) TX_PRINTF(2, 3);
static inline void swarm_count(struct swarm *swarm, enum swarm_counter counter)
{
    swarm->result->counters[counter]++;
}
static inline unsigned swarm_draw(struct swarm *swarm, unsigned limit)
{
    return (unsigned)(sim_random(&swarm->random) >> 16) % limit;
}
/* One time in `rate`; never when 0. */
static inline bool swarm_chance(struct swarm *swarm, unsigned rate)
{
    return rate != 0 && swarm_draw(swarm, rate) == 0;
}
/* Answers that only trouble explains. */
bool swarm_is_trouble(enum tx_status status);
/* Trouble without a fault is a violation. */
void swarm_expect(struct swarm *swarm, enum tx_status status, const char *call,
                  const struct tx_error *err);

/* --- swarm_io.c, swarm_faults.c: every call of every process ---------------------------------- */

/* Does not return when the process is the caller's. */
void swarm_kill(struct swarm_process *process);
struct swarm_process *swarm_process_new(struct swarm *swarm, struct txio *below);
void swarm_process_free(struct swarm_process *process);
/* Fire a fault, or not; *call is done then. */
void swarm_fault(struct swarm_process *process, struct layer_call *call);
void swarm_events(struct swarm_process *process); /* cuts, kills, a full disk: at their calls */

/* --- swarm_memory.c: who holds which memory of the library ------------------------------------ */

struct swarm_memory *swarm_memory_new(void);
/* Frees what was left; answers how many pieces. */
unsigned swarm_memory_free(struct swarm_memory *memory);
void swarm_memory_use(struct swarm *swarm); /* the library allocates here; NULL: as always */

/* --- swarm_ops.c, swarm_look.c: operations on both sides -------------------------------------- */

struct swarm_work {
    struct swarm *swarm;
    struct swarm_process *process;
    struct ktm_txn *txn;
    struct ledger_txn *model;
    struct model_state view;
    bool serializable;
    uint32_t amended[LEDGER_OPS_MAX]; /* objects with several names that were changed in place */
    unsigned amended_count;
    struct tx_error err;
};
/* One random operation. False when the transaction cannot go on. */
bool swarm_operate(struct swarm_work *work);
/* Draw something and compare it; all: everything. False when it could not be read. */
bool swarm_look(struct swarm_work *work);
bool swarm_look_all(struct swarm_work *work);
/* The real tree, by the machine alone, against a state. */
void swarm_look_disk(struct swarm *swarm, const struct model_state *state);

/* --- swarm_txn.c ------------------------------------------------------------------------------ */

/* One transaction, decision, attachment or checkpoint. */
void swarm_transact(struct swarm *swarm, struct swarm_process *process);
/* One of a process that only reads. */
void swarm_read(struct swarm *swarm, struct swarm_process *process);
/* The process works in an epoch: let the ledger know. */
void swarm_epoch(struct swarm_process *process);
/* False when it cannot begin. */
bool swarm_begin(struct swarm_work *work);
void swarm_commit(struct swarm_work *work);
void swarm_detach(struct swarm_work *work);
void swarm_roll_back(struct swarm_work *work);
/* Its owner was told that this record is durable. */
void swarm_promise(struct swarm *swarm, const struct ledger_txn *txn, unsigned kind);
/* TX_ECONFLICT was answered: is there anybody to conflict with? */
void swarm_conflicted(struct swarm *swarm, const struct ledger_txn *txn,
                      const struct tx_error *err);

/* --- swarm_waiting.c ------------------------------------------------------------------------- */

/* One of those whose owners were told so, drawn; NULL: there is none. */
struct ledger_txn *swarm_draw_waiting(struct swarm *swarm, enum ledger_told told);
/* Of a prepared one; of a detached one. */
void swarm_decide(struct swarm *swarm, struct swarm_process *process, struct ledger_txn *txn);
void swarm_attach(struct swarm *swarm, struct swarm_process *process, struct ledger_txn *txn);

/* --- swarm_settle.c --------------------------------------------------------------------------- */

/* Everything that waits is decided, then all must be well. Of the last process, calm. */
void swarm_settle(struct swarm *swarm, struct swarm_process *process);

/* --- swarm_boot.c: machines, processes, threads, cuts ----------------------------------------- */

/* False when it cannot be opened. */
bool swarm_open(struct swarm_process *process);
void swarm_close(struct swarm_process *process); /* and look for leaks */
void swarm_switch_on(struct swarm *swarm, const struct sim_image *image);
void swarm_switch_off(struct swarm *swarm);
/* Switch the machine off at once; answers its disk. */
struct sim_image *swarm_cut(struct swarm *swarm);
/* Begin to use swarm->sched; clock and waiting are the machine's. */
void swarm_schedule(struct swarm *swarm, const struct sched_options *wanted);
void swarm_unschedule(struct swarm *swarm);
/* swarm_end.c: the faults are over, everything must get well on this machine. */
void swarm_get_well(struct swarm *swarm);
/* swarm_seed.c: before and after the machines. */
void swarm_begin_history(struct swarm *swarm);
void swarm_end_history(struct swarm *swarm);
/* The disk with the empty store of this plan, made once. */
struct sim_image *swarm_first_image(const struct swarm_plan *plan);
/* Machines from the first boot to the last; the result has what they showed. */
void swarm_history(struct swarm *swarm);

#endif
