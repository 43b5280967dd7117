/* SPDX-License-Identifier: MIT */
#include "sim/fault.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define BLOCK 4096u
#define PARTS_MAX 16
#define SYNCS (LAYER_BIT(datasync) | LAYER_BIT(sync) | LAYER_BIT(syncfs))

static bool matches(struct fault_rule *rule, const struct layer_call *call)
{
    if ((rule->ops >> call->op & 1) == 0 || rule->nth == 0 ||
        (rule->part != NULL && strstr(call->where, rule->part) == NULL)) {
        return false;
    }
    rule->seen++;
    return rule->seen >= rule->nth && (rule->times == 0 || rule->seen - rule->nth < rule->times);
}

static void answer(struct layer_call *call, int64_t result)
{
    call->done = true;
    call->result = result;
}

static void write_half(struct fault_layer *fault, struct layer_call *call)
{
    struct iovec parts[PARTS_MAX];
    size_t left = (size_t)call->size / 2;
    int count = 0;
    for (int i = 0; i < call->count && i < PARTS_MAX && left > 0; i++) {
        parts[count] = call->parts[i];
        parts[count].iov_len = parts[count].iov_len < left ? parts[count].iov_len : left;
        left -= parts[count++].iov_len;
    }
    struct txio *below = fault->layer.below;
    if (count > 0) {
        answer(call, below->ops->pwritev(below, call->fd, parts, count, call->offset));
    }
}

static void read_half(struct fault_layer *fault, struct layer_call *call)
{
    struct txio *below = fault->layer.below;
    if (call->size > 1) {
        answer(call, below->ops->pread(below, call->fd, call->data, (size_t)call->size / 2,
                                       call->offset));
    }
}

static void read_stale(struct fault_layer *fault, struct layer_call *call)
{
    struct txio *below = fault->layer.below;
    answer(call, below->ops->pread(below, call->fd, call->data, (size_t)call->size,
                                   call->offset + BLOCK));
}

/* A misdirected write: what should have changed is as it was, and something else may be spoilt. The
 * size is the file system's affair and becomes what it should. */
static void write_astray(struct fault_layer *fault, struct layer_call *call, uint64_t blocks)
{
    struct txio *below = fault->layer.below;
    struct txio_stat stat;
    uint64_t end = call->offset + call->size;
    int64_t result = below->ops->fstat(below, call->fd, &stat);
    if (result == 0 && end > stat.size) {
        result = below->ops->truncate(below, call->fd, end);
        stat.size = end;
    }
    uint64_t room = stat.size / BLOCK * BLOCK;
    uint64_t target = room > 0 ? (call->offset + blocks * BLOCK) % room : 0;
    if (result == 0 && target != call->offset && target + call->size <= stat.size) {
        result = below->ops->pwritev(below, call->fd, call->parts, call->count, target);
    }
    answer(call, result < 0 ? result : (int64_t)call->size);
}

static void fail_sync(struct fault_layer *fault, struct layer_call *call,
                      const struct fault_rule *rule)
{
    bool reverts = rule->kind == FAULT_SYNC_REVERTS;
    if (fault->over_sim) {
        sim_fail_sync(fault->layer.below, call->fd, reverts ? SIM_SYNC_REVERTS : SIM_SYNC_KEEPS);
    }
    if (rule->kind == FAULT_SYNC_LATE) {
        fault->late = call->fd;
        answer(call, 0);
    } else {
        answer(call, -(rule->os_errno != 0 ? rule->os_errno : EIO));
    }
}

static void fire(struct fault_layer *fault, struct layer_call *call, const struct fault_rule *rule)
{
    bool sync = (SYNCS >> call->op & 1) != 0;
    if (rule->kind == FAULT_ERRNO) {
        answer(call, -rule->os_errno);
    } else if (rule->kind == FAULT_SHORT && call->op == LAYER_pwritev) {
        write_half(fault, call);
    } else if (rule->kind == FAULT_SHORT && call->op == LAYER_pread) {
        read_half(fault, call);
    } else if (rule->kind == FAULT_STALE && call->op == LAYER_pread) {
        read_stale(fault, call);
    } else if (rule->kind == FAULT_ASTRAY && call->op == LAYER_pwritev) {
        write_astray(fault, call, rule->blocks);
    } else if (sync && rule->kind >= FAULT_SYNC_KEEPS) {
        fail_sync(fault, call, rule);
    }
}

static void before(struct layer *layer, struct layer_call *call)
{
    struct fault_layer *fault = (struct fault_layer *)layer;
    if (fault->suspended) {
        return;
    }
    if (fault->late >= 0 && call->fd == fault->late && (SYNCS >> call->op & 1) != 0) {
        fault->late = -1;
        answer(call, -EIO);
        return;
    }
    for (unsigned i = 0; i < fault->rule_count && !call->done; i++) {
        struct fault_rule *rule = &fault->rules[i];
        if (matches(rule, call)) {
            rule->fired++;
            call->rule = rule;
            fire(fault, call, rule);
        }
    }
}

static void after(struct layer *layer, struct layer_call *call)
{
    struct fault_layer *fault = (struct fault_layer *)layer;
    const struct fault_rule *rule = call->rule;
    if (rule == NULL || call->result < 0) {
        return;
    }
    if (rule->kind == FAULT_ERRNO_AFTER) {
        call->result = -rule->os_errno;
    } else if (rule->kind == FAULT_FLIP && call->op == LAYER_pread && call->result > 0) {
        fault->random = fault->random * 6364136223846793005u + 1442695040888963407u;
        uint64_t bit = (fault->random >> 20) % ((uint64_t)call->result * 8);
        ((uint8_t *)call->data)[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
}

void fault_init(struct fault_layer *fault, struct txio *below, bool over_sim)
{
    *fault = (struct fault_layer){.late = -1, .random = 1, .over_sim = over_sim};
    layer_init(&fault->layer, below);
    fault->layer.before = before;
    fault->layer.after = after;
}

void fault_release(struct fault_layer *fault) { layer_release(&fault->layer); }

struct fault_rule *fault_add(struct fault_layer *fault, const struct fault_rule *rule)
{
    if (fault->rule_count == FAULT_RULES_MAX) {
        abort();
    }
    fault->rules[fault->rule_count] = *rule;
    return &fault->rules[fault->rule_count++];
}

void fault_clear(struct fault_layer *fault)
{
    fault->rule_count = 0;
    fault->late = -1;
}

uint64_t fault_fired(const struct fault_layer *fault)
{
    uint64_t fired = 0;
    for (unsigned i = 0; i < fault->rule_count; i++) {
        fired += fault->rules[i].fired;
    }
    return fired;
}
