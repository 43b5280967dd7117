/* SPDX-License-Identifier: MIT */
/* Every call of every simulated process: the scheduler's turn, faults, the trace. */
#include <inttypes.h>
#include <stdio.h>

#include "sim/swarm_internal.h"
#include "txlog/log_format.h"

/* --- Waiting, which the scheduler does -------------------------------------------------------- */

static void wait_word(struct swarm *swarm, struct layer_call *call)
{
    call->done = true;
    if (atomic_load(call->word) != call->expected) {
        return;
    }
    if (!sched_sleep(&swarm->sched, call->word, call->timeout_ns)) {
        call->result = -ETIMEDOUT;
    }
}

static void wait_lock(struct swarm_process *process, struct layer_call *call)
{
    struct txio *below = process->below;
    call->done = true;
    for (;;) {
        call->result = below->ops->lock(below, call->fd, call->offset,
                                        (enum txio_lock_mode)call->flags, false);
        if (call->result != -EAGAIN) {
            return;
        }
        sched_wait_lock(&process->swarm->sched);
    }
}

/* --- Before and after ------------------------------------------------------------------------- */

static bool is_of_log(const char *path) { return strstr(path, "/" TXSTORE_NAME "/log/") != NULL; }

static bool is_segment(const char *path, uint64_t *number)
{
    return is_of_log(path) && log_name_parse(strrchr(path, '/') + 1, number) == LOG_NAME_SEGMENT;
}

/* While others went on, what is open may have got another name, and the text gone. */
static void name_again(struct layer *layer, struct layer_call *call)
{
    if (call->fd >= 0 && call->op != LAYER_close) {
        call->where = layer_path(layer, call->fd);
    }
}

/* Watch the order of operations as long as it is the library's own. */
static void watch(struct swarm *swarm)
{
    swarm->watched = swarm->watched && !swarm->hurt;
    if (swarm->order.violations > 0) {
        swarm_wrong(swarm, "order: %s", swarm->order.first);
    }
}

static void before(struct layer *layer, struct layer_call *call)
{
    struct swarm_process *process = (struct swarm_process *)(void *)layer;
    struct swarm *swarm = process->swarm;
    if (swarm->quiet) {
        return;
    }
    swarm_count(swarm, SWARM_CALLS);
    swarm->boot_calls++;
    swarm_events(process);
    sched_point(&swarm->sched);
    name_again(layer, call);
    if (call->op == LAYER_wait) {
        wait_word(swarm, call);
        return;
    }
    if (call->op == LAYER_wake) {
        call->done = true;
        call->result = sched_wake(&swarm->sched, call->word, call->count);
        return;
    }
    if (call->op == LAYER_pwritev && is_of_log(call->where)) {
        ledger_write(&swarm->ledger, call->parts, call->count);
    }
    swarm_fault(process, call);
    watch(swarm);
    if (swarm->watched && !call->done) {
        order_before(&swarm->order, call);
    }
    if (call->op == LAYER_lock && call->blocks && call->flags != TXIO_UNLOCK && !call->done) {
        wait_lock(process, call);
    }
}

static void trace(struct swarm_process *process, const struct layer_call *call)
{
    struct swarm *swarm = process->swarm;
    uint64_t who = (uint64_t)swarm->sched.current << 32 | (uint64_t)call->op;
    uint64_t hash = sim_mix(swarm->result->trace_hash + who, (uint64_t)call->result + 1);
    hash = sim_mix(hash + call->offset, call->size + call->flags);
    swarm->result->trace_hash = sim_hash(call->where, strlen(call->where), hash);
    if (swarm->limits.trace) {
        (void)printf("%8" PRIu64 " p%u.%u %s %s%s%s %" PRIu64 "+%" PRIu64 " = %" PRId64 "\n",
                     swarm->boot_calls, process->number, swarm->sched.current,
                     layer_op_name(call->op), call->where, call->where2 != NULL ? " -> " : "",
                     call->where2 != NULL ? call->where2 : "", call->offset, call->size,
                     call->result);
    }
}

static void after(struct layer *layer, struct layer_call *call)
{
    struct swarm_process *process = (struct swarm_process *)(void *)layer;
    struct swarm *swarm = process->swarm;
    if (swarm->quiet) {
        return;
    }
    name_again(layer, call); /* a lock may have been waited for */
    process->fault_after(layer, call);
    if (swarm->watched) {
        order_after(&swarm->order, call);
    }
    uint64_t segment;
    if (call->op == LAYER_pread && call->result > 0 && process->opening &&
        is_segment(call->where, &segment)) {
        ledger_read(&swarm->ledger, segment, call->data, (size_t)call->result);
    }
    if (call->op == LAYER_realtime_ns) {
        call->result += process->clock_ns;
    }
    if (call->op == LAYER_close || (call->op == LAYER_lock && call->flags != TXIO_EXCLUSIVE_LOCK)) {
        sched_lock_given(&swarm->sched);
    }
    trace(process, call);
}

/* --- Processes -------------------------------------------------------------------------------- */

struct swarm_process *swarm_process_new(struct swarm *swarm, struct txio *below)
{
    if (swarm->process_count == SWARM_PROCESSES_MAX) {
        abort();
    }
    struct swarm_process *process = sim_need(calloc(1, sizeof *process));
    process->swarm = swarm;
    process->below = below;
    process->number = swarm->process_count;
    process->memory = swarm_memory_new();
    fault_init(&process->fault, below, true);
    process->fault.random = sim_mix(swarm->seed, process->number) | 1;
    process->fault_before = process->fault.layer.before;
    process->fault_after = process->fault.layer.after;
    process->fault.layer.before = before;
    process->fault.layer.after = after;
    process->fault.layer.fibers = true;
    swarm->processes[swarm->process_count++] = process;
    swarm->alive++;
    return process;
}

void swarm_process_free(struct swarm_process *process)
{
    (void)swarm_memory_free(process->memory); /* leaks were looked for when it closed its store */
    fault_release(&process->fault);
    free(process);
}
