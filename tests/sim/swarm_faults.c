/* SPDX-License-Identifier: MIT */
/* Which call fails how, and which process dies at it. */
#include "sim/swarm_internal.h"

#define SYNCS (LAYER_BIT(datasync) | LAYER_BIT(sync) | LAYER_BIT(syncfs))
#define NAMES                                                                                      \
    (LAYER_BIT(rename) | LAYER_BIT(link) | LAYER_BIT(unlink) | LAYER_BIT(mkdir) |                  \
     LAYER_BIT(rmdir) | LAYER_BIT(symlink))
#define CHANGES                                                                                    \
    (LAYER_BIT(pwritev) | LAYER_BIT(truncate) | LAYER_BIT(allocate) | LAYER_BIT(set_attr) |        \
     LAYER_BIT(set_xattr) | NAMES)
#define READS                                                                                      \
    (LAYER_BIT(pread) | LAYER_BIT(stat) | LAYER_BIT(fstat) | LAYER_BIT(list) |                     \
     LAYER_BIT(readlink) | LAYER_BIT(open))

static const struct kind {
    enum swarm_counter counter;
    uint64_t ops;
    enum fault_kind kind;
    int os_errno;
} kinds[] = {
    {SWARM_READ_ERROR, READS, FAULT_ERRNO, EIO},
    {SWARM_WRITE_ERROR, CHANGES | SYNCS, FAULT_ERRNO, EIO},
    {SWARM_LATE_ERROR, CHANGES, FAULT_ERRNO_AFTER, EIO},
    {SWARM_SHORT, LAYER_BIT(pread) | LAYER_BIT(pwritev), FAULT_SHORT, 0},
    {SWARM_FLIP, LAYER_BIT(pread), FAULT_FLIP, 0},
    {SWARM_STALE, LAYER_BIT(pread), FAULT_STALE, 0},
    {SWARM_ASTRAY, LAYER_BIT(pwritev), FAULT_ASTRAY, 0},
    {SWARM_SYNC_KEEPS, SYNCS, FAULT_SYNC_KEEPS, EIO},
    {SWARM_SYNC_REVERTS, SYNCS, FAULT_SYNC_REVERTS, EIO},
    {SWARM_SYNC_LATE, SYNCS, FAULT_SYNC_LATE, EIO},
    {SWARM_NO_FILES, LAYER_BIT(open), FAULT_ERRNO, EMFILE},
    {SWARM_NO_LOCK, LAYER_BIT(lock), FAULT_ERRNO, ENOLCK},
};

/* Where a wrong byte must be found; below undo/ it need not be: see README.md. */
static bool is_sealed(const char *path)
{
    static const char *const parts[] = {"/log/", "/control", "/reg/image"};
    for (unsigned i = 0; i < sizeof parts / sizeof *parts; i++) {
        if (strstr(path, parts[i]) != NULL) {
            return true;
        }
    }
    return false;
}

static bool is_log(const char *path)
{
    return strstr(path, "/" TXSTORE_NAME "/log") != NULL ||
           strstr(path, "/" TXSTORE_NAME "/control") != NULL;
}

static bool fits(const struct swarm *swarm, const struct kind *kind, const struct layer_call *call,
                 bool opening)
{
    if ((kind->ops >> call->op & 1) == 0) {
        return false;
    }
    if (kind->counter == SWARM_ASTRAY) {
        return is_sealed(call->where) && !swarm->astray; /* two can be the two slots of control */
    }
    if (kind->counter == SWARM_NO_LOCK) {
        return call->flags != TXIO_UNLOCK;
    }
    if (kind->counter == SWARM_SYNC_REVERTS) {
        return is_log(call->where);
    }
    /* What a transaction reads back of its own contents, as of the tree, nobody checks. */
    return (kind->counter != SWARM_FLIP && kind->counter != SWARM_STALE) ||
           is_sealed(call->where) || (opening && strstr(call->where, "/tx/") != NULL);
}

static void remember(struct swarm_process *process, const struct kind *kind,
                     const struct layer_call *call)
{
    struct swarm *swarm = process->swarm;
    bool damage = kind->counter == SWARM_FLIP || kind->counter == SWARM_STALE ||
                  (kind->counter == SWARM_SHORT && call->op == LAYER_pread);
    swarm_count(swarm, kind->counter);
    swarm->hurt = swarm->hurt || kind->counter != SWARM_SHORT || call->op == LAYER_pwritev;
    /* From now on programs may see what the disk does not have, and nobody was told (README.md). */
    swarm->lied = swarm->lied || kind->counter == SWARM_SYNC_LATE;
    if (damage && process->opening && kind->counter != SWARM_SHORT) {
        swarm->ledger.may_lose = true;
    }
    if (kind->counter == SWARM_ASTRAY) {
        swarm->astray = true;
        ledger_may_lose_what_comes(&swarm->ledger);
    }
    swarm_say(swarm, "p%u: %s: %s %s", process->number, swarm_counter_words(kind->counter),
              layer_op_name(call->op), call->where);
}

void swarm_fault(struct swarm_process *process, struct layer_call *call)
{
    struct swarm *swarm = process->swarm;
    struct fault_layer *fault = &process->fault;
    fault->rule_count = 0;
    for (unsigned i = 0; i < sizeof kinds / sizeof *kinds && !swarm->calm; i++) {
        const struct kind *kind = &kinds[i];
        uint32_t rate = swarm->plan.rates[kind->counter];
        /* A sync that shows the old again tells what an earlier one lied about, as a cut would. */
        bool tells = kind->counter == SWARM_SYNC_REVERTS && swarm->lied;
        if (rate == 0 || !fits(swarm, kind, call, process->opening) || tells ||
            (sim_random(&swarm->fault_random) >> 20) % (1u << 20) >= rate) {
            continue;
        }
        struct fault_rule rule = {.ops = UINT64_C(1) << call->op,
                                  .nth = 1,
                                  .times = 1,
                                  .kind = kind->kind,
                                  .os_errno = kind->os_errno,
                                  .blocks = 1 + swarm->boot_calls % 8};
        (void)fault_add(fault, &rule);
        remember(process, kind, call);
        break;
    }
    process->fault_before(&fault->layer, call);
}

/* --- Events ----------------------------------------------------------------------------------- */

static uint64_t soon(struct swarm *swarm, unsigned most)
{
    uint64_t limit = UINT64_C(1) << (4 + sim_random(&swarm->fault_random) % 10);
    limit = limit < most ? limit : most;
    return swarm->boot_calls + 1 + sim_random(&swarm->fault_random) % limit;
}

static void space_event(struct swarm *swarm)
{
    if (!swarm->full && swarm->boot_calls == swarm->space_from) {
        uint64_t more = 1 + sim_random(&swarm->fault_random) % 60000;
        swarm->full = true;
        swarm->hurt = true;
        swarm->space_to = soon(swarm, 2000);
        swarm_count(swarm, SWARM_NO_SPACE);
        swarm_say(swarm, "%u bytes are left on the disk", (unsigned)more);
        sim_limit_space(swarm->machine, more);
    } else if (swarm->full && swarm->boot_calls == swarm->space_to) {
        swarm->full = false;
        swarm_say(swarm, "the disk has room again");
        sim_limit_space(swarm->machine, 0);
        if (swarm->spaces_left > 0) {
            swarm->spaces_left--;
            swarm->space_from = soon(swarm, 4000);
        }
    }
}

static void clock_event(struct swarm_process *process)
{
    struct swarm *swarm = process->swarm;
    if (swarm->plan.rates[SWARM_CLOCK] != 0 && swarm->boot_calls % 64 == 0 &&
        sim_random(&swarm->fault_random) % 8 == 0) {
        process->clock_ns = (int64_t)(sim_random(&swarm->fault_random) % 1000000) * 3600000000 -
                            (int64_t)500000 * 3600000000;
        swarm_count(swarm, SWARM_CLOCK);
    }
}

void swarm_events(struct swarm_process *process)
{
    struct swarm *swarm = process->swarm;
    if (swarm->calm) {
        return;
    }
    space_event(swarm);
    clock_event(process);
    if (swarm->boot_calls == swarm->cut_at && !swarm->lied) {
        swarm_say(swarm, "the power fails");
        sched_stop(&swarm->sched);
    }
    if (swarm->boot_calls >= swarm->kill_at && swarm->kills_left > 0) {
        swarm->kills_left--;
        swarm->kill_at = soon(swarm, 4000);
        swarm_kill(process);
    }
}
