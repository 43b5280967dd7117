/* SPDX-License-Identifier: MIT */
/*
 * Barrier commits move inodes that exist, which recovery can converge only when it looks at no
 * other commit at the same time. So between two checkpoints there are either ordinary commits, or
 * one barrier commit alone:
 *   before a barrier commit is appended everything before it is steady,
 *   before another commit is appended after a barrier commit, that one is steady.
 * Both are decided under the append lock. Others would append all the time while a barrier commit
 * waits for its checkpoint, so it keeps them out with the gate.
 */
#include "base/invariant.h"
#include "ktm/ktm_internal.h"

bool ktm_barrier_needed(struct ktm_run *run)
{
    for (unsigned rm = 0; rm < KTM_RM_MAX && run->has_effects; rm++) {
        const struct ktm_rm_ops *ops = run->tm->rm_ops[rm];
        if (ops && ops->needs_barrier && ops->needs_barrier(run->tm->rms[rm], run->entries)) {
            return true;
        }
    }
    return false;
}

void ktm_gate_take(struct ktm_run *run)
{
    struct ktm *tm = run->tm;
    while (!run->has_gate) {
        uint32_t nobody = 0;
        run->has_gate = atomic_compare_exchange_strong(&tm->shared->gate, &nobody, tm->owner);
        if (!run->has_gate) {
            ktm_gate_wait(tm);
        }
    }
}

void ktm_gate_give(struct ktm_run *run)
{
    if (run->has_gate) {
        struct ktm *tm = run->tm;
        TX_INVARIANT(atomic_load(&tm->shared->gate) == tm->owner);
        atomic_store(&tm->shared->gate, 0);
        (void)tm->io->ops->wake(tm->io, &tm->shared->gate, INT32_MAX); /* they look anyway */
        run->has_gate = false;
    }
}

void ktm_gate_wait(struct ktm *tm)
{
    uint32_t owner = atomic_load(&tm->shared->gate);
    if (owner == 0) {
        return;
    }
    if (!ktm_process_lives(tm, owner)) {
        /* Killed while it kept the others out: whatever it did or not, the gate is open. */
        (void)atomic_compare_exchange_strong(&tm->shared->gate, &owner, 0);
        return;
    }
    (void)tm->io->ops->wait(tm->io, &tm->shared->gate, owner, KTM_RECHECK_NS);
}

/* A barrier commit was appended and is not steady. One that its writer announced and did not append
 * has no record before `lsn`; if another record got its place, one checkpoint is taken in vain. */
static bool barrier_open(struct ktm_shared *shared, tx_lsn lsn)
{
    uint64_t stamp = atomic_load(&shared->barrier);
    return stamp != 0 && stamp - 1 >= atomic_load(&shared->steady) && stamp - 1 < lsn;
}

enum ktm_verdict ktm_barrier_verdict(struct ktm_run *run, tx_lsn lsn)
{
    struct ktm_shared *shared = run->tm->shared;
    if (!run->has_gate && atomic_load(&shared->gate) != 0) {
        return KTM_WAIT_FOR_GATE;
    }
    if (run->has_effects && barrier_open(shared, lsn)) {
        return KTM_NEEDS_CHECKPOINT;
    }
    if (run->needs_barrier && atomic_load(&shared->steady) != lsn) {
        return run->has_gate ? KTM_NEEDS_CHECKPOINT : KTM_NEEDS_GATE;
    }
    return KTM_ORDERED;
}
