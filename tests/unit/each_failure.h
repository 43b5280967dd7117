/* SPDX-License-Identifier: MIT */
/*
 * One call of the system that fails once, or one allocation and all that follow it. Between
 * failing_alloc_begin(SIZE_MAX) and failing_alloc_end():
 *
 *     struct failure failure = {.os_errno = EIO, .ops = FAULT_ALL_OPS};
 *     do {
 *         failure.nth++;
 *         failure_begin(&failure, &fault);
 *         ... the call under test ...
 *         failure_end(&failure, &fault);
 *     } while (failure.fired);
 */
#ifndef TEST_EACH_FAILURE_H
#define TEST_EACH_FAILURE_H

#include "sim/fault.h"
#include "unit/failing_alloc.h"

struct failure {
    size_t nth;   /* counted from 1; 0: none */
    int os_errno; /* 0: an allocation */
    enum fault_kind kind;
    uint64_t ops; /* the calls among which the n-th fails */
    struct fault_rule *rule;
    bool fired; /* out: it came to that */
};

static inline void failure_begin(struct failure *failure, struct fault_layer *fault)
{
    failure->rule = NULL;
    if (failure->nth > 0 && failure->os_errno != 0) {
        failure->rule = fault_add(fault, &(struct fault_rule){.ops = failure->ops,
                                                              .nth = failure->nth,
                                                              .times = 1,
                                                              .kind = failure->kind,
                                                              .os_errno = failure->os_errno});
    } else if (failure->nth > 0) {
        failing_alloc.left = failure->nth - 1;
    }
}

static inline void failure_end(struct failure *failure, struct fault_layer *fault)
{
    failing_alloc.left = SIZE_MAX;
    failure->fired = failure->rule ? failure->rule->fired > 0 : failing_alloc.failed > 0;
    fault_clear(fault);
}

#endif
