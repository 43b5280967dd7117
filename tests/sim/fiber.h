/* SPDX-License-Identifier: MIT */
/*
 * Fibers: stacks that hand the processor to each other, so that many simulated threads are one
 * thread of the system and every interleaving can be repeated.
 *
 *     fiber_switch(&host, a);     runs a until it switches back to `host`
 *
 * A fiber whose function returns must have switched away for good before: it never returns. Stacks
 * are kept for the next fibers and end in a guard page. Thread: one.
 */
#ifndef TX_SIM_FIBER_H
#define TX_SIM_FIBER_H

struct fiber;
typedef void fiber_fn(void *arg);

/* The stack on which the program runs anyway. Ownership: fiber_free. */
struct fiber *fiber_host(void);
/* Begins with fn(arg) when it is switched to first. Ownership: fiber_free. */
struct fiber *fiber_new(fiber_fn *fn, void *arg);
/* Legal at any time but for the running one: what stands on its stack is forgotten. */
void fiber_free(struct fiber *fiber);
void fiber_switch(struct fiber *from, struct fiber *to);
/* As above; `from` will never run again. */
_Noreturn void fiber_leave(struct fiber *from, struct fiber *to);

#endif
