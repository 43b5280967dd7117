/* SPDX-License-Identifier: MIT */
/*
 * A layer that fails what it is told to fail: the n-th call of chosen operations, once, for a
 * while or for ever, with an errno or in one of the ways in which disks misbehave.
 *
 *     struct fault_rule rule = {.ops = LAYER_BIT(pwritev) | LAYER_BIT(allocate), .nth = 3,
 *                               .kind = FAULT_ERRNO, .os_errno = ENOSPC, .times = 0};
 */
#ifndef TX_SIM_FAULT_H
#define TX_SIM_FAULT_H

#include "sim/layer.h"
#include "sim/sim.h"

#define FAULT_RULES_MAX 8u
#define FAULT_ALL_OPS (~UINT64_C(0))

enum fault_kind {
    FAULT_ERRNO,        /* the operation does not happen */
    FAULT_ERRNO_AFTER,  /* it happens, and then says that it failed */
    FAULT_SHORT,        /* half of a read or write */
    FAULT_FLIP,         /* a read delivers one flipped bit */
    FAULT_STALE,        /* a read delivers what stands one block further on */
    FAULT_ASTRAY,       /* a write goes to another place of the file, or none, and succeeds */
    FAULT_SYNC_KEEPS,   /* a failing sync: readers see the new content, the disk lost it */
    FAULT_SYNC_REVERTS, /* a failing sync: readers see the old content */
    FAULT_SYNC_LATE,    /* as KEEPS, but only the next sync says so */
};

struct fault_rule {
    uint64_t ops;     /* LAYER_BIT() of each */
    const char *part; /* of the path; NULL: any */
    uint64_t nth;     /* first call to fail, from 1; 0: none */
    uint64_t times;   /* how many from there on; 0: all */
    enum fault_kind kind;
    int os_errno;     /* of FAULT_ERRNO*; of syncs: EIO when 0 */
    uint64_t blocks;  /* of FAULT_ASTRAY: how far off, of 4096 bytes; beyond the end it is lost */
    uint64_t seen;    /* out: matching calls */
    uint64_t fired;   /* out */
};

struct fault_layer {
    struct layer layer; /* first: &fault->layer.io is the txio */
    struct fault_rule rules[FAULT_RULES_MAX];
    unsigned rule_count;
    int late; /* descriptor whose next sync must fail, -1: none */
    uint64_t random;
    bool suspended; /* calls neither fail nor count */
    bool over_sim; /* `below` is a machine of sim.h: then failing syncs lose data for good */
};

void fault_init(struct fault_layer *fault, struct txio *below, bool over_sim);
void fault_release(struct fault_layer *fault);
/* The rule lives in the layer; read `seen` and `fired` through the answer. */
struct fault_rule *fault_add(struct fault_layer *fault, const struct fault_rule *rule);
void fault_clear(struct fault_layer *fault);
/* How many calls have been failed by all rules. */
uint64_t fault_fired(const struct fault_layer *fault);

#endif
