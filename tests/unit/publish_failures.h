/* SPDX-License-Identifier: MIT */
/*
 * Something goes wrong once, at each place where it can: a call of the system, or an allocation.
 *
 *     static const struct pub_scene scene = {.prepare = ..., .act = ..., .finish = ...};
 *     pub_fail_each(&scene, PUB_CALLS, EIO);
 *
 * Every round has a fixture of its own: `prepare`; `act`, in which the n-th call fails; `act` once
 * more, in which none does and which has to succeed; `finish`. What stands below the root then has
 * to be what a round without any failure leaves, nobody may have been told of strangers, and
 * nothing may stay allocated or open. There are rounds until `act` has no n-th call.
 */
#ifndef TEST_PUBLISH_FAILURES_H
#define TEST_PUBLISH_FAILURES_H

#include "publish_fixture.h"

struct pub_scene {
    void (*prepare)(struct publish_fixture *f);
    enum tx_status (*act)(struct publish_fixture *f);
    void (*finish)(struct publish_fixture *f);
    bool only_looks; /* act changes nothing: one fixture does, and each failure has to be told */
    bool as_first;   /* act is the first that its process does */
    bool any_end;    /* finish alone says what has to stand there, and who may be told */
};

enum pub_failing { PUB_CALLS, PUB_ALLOCATIONS };

/* Returns how many calls or allocations there are. `os_errno` is that of calls. */
unsigned pub_fail_each(const struct pub_scene *scene, enum pub_failing what, int os_errno);

/* As if another process came: nothing is open, and what was touched is not known. */
void pub_come_anew(struct publish_fixture *f);

/* The n-th call from now on (from 1) fails, once; or the n-th allocation and all that follow. */
void pub_fail_begin(struct publish_fixture *f, enum pub_failing what, uint64_t nth, int os_errno);
/* Nothing fails any more; did it? */
bool pub_fail_end(struct publish_fixture *f);

#endif
