/* SPDX-License-Identifier: MIT */
/*
 * Fibers, told to AddressSanitizer. ucontext gives each its stack; then they change over by
 * __builtin_setjmp, because swapcontext asks the kernel for the signal mask each time, and under
 * AddressSanitizer also forgets what it knows about the stack that is switched to.
 */
#include "sim/fiber.h"

#include <stdbool.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <ucontext.h>

#if defined(__SANITIZE_ADDRESS__)
#define FIBER_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define FIBER_ASAN 1
#endif
#endif
#ifdef FIBER_ASAN
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#include <sanitizer/lsan_interface.h>
#define STACK_SIZE (1024u * 1024u)
#else
#define STACK_SIZE (256u * 1024u)
#endif

#if defined(__clang__) && !defined(__x86_64__)
#define FIBER_SWAPCONTEXT 1 /* clang has the builtins on few processors */
#endif

#define GUARD_SIZE 4096u
#define SPARE_MAX 64u

struct fiber {
    ucontext_t context;
    void *jump[5]; /* where it goes on; as __builtin_setjmp wants it */
    bool begun;
    void *memory; /* guard page and stack; NULL: the host */
    fiber_fn *fn;
    void *arg;
    const void *stack; /* what the sanitizer has to know */
    size_t stack_size;
    void *fake;
};

static void *spare[SPARE_MAX];
static unsigned spare_count;
static struct fiber *entering; /* the fiber that is switched to */
static struct fiber *leaving;  /* the one it came from */

static void *stack_take(void)
{
    if (spare_count > 0) {
        return spare[--spare_count];
    }
    void *memory = mmap(NULL, GUARD_SIZE + STACK_SIZE, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED || mprotect(memory, GUARD_SIZE, PROT_NONE) != 0) {
        abort();
    }
    return memory;
}

static void stack_give(void *memory)
{
    if (spare_count < SPARE_MAX) {
        spare[spare_count++] = memory;
    } else {
        (void)munmap(memory, GUARD_SIZE + STACK_SIZE);
    }
}

__attribute__((destructor)) static void release_spare(void)
{
    while (spare_count > 0) {
        (void)munmap(spare[--spare_count], GUARD_SIZE + STACK_SIZE);
    }
}

/* After each switch, on the new stack. */
static void arrived(struct fiber *self)
{
#ifdef FIBER_ASAN
    const void *stack = NULL;
    size_t size = 0;
    __sanitizer_finish_switch_fiber(self->fake, &stack, &size);
    if (leaving->memory == NULL) { /* now we know where the program's own stack is */
        leaving->stack = stack;
        leaving->stack_size = size;
    }
#else
    (void)self;
#endif
}

static void begin(void)
{
    struct fiber *self = entering;
    arrived(self);
    self->fn(self->arg);
    abort(); /* it had to leave */
}

struct fiber *fiber_host(void)
{
    struct fiber *fiber = calloc(1, sizeof *fiber);
    if (fiber == NULL) {
        abort();
    }
#ifdef FIBER_ASAN
    __lsan_disable(); /* what only a forgotten stack knew is no leak; swarm_memory.c judges those */
#endif
    return fiber;
}

struct fiber *fiber_new(fiber_fn *fn, void *arg)
{
    struct fiber *fiber = fiber_host();
    fiber->memory = stack_take();
    fiber->stack = (char *)fiber->memory + GUARD_SIZE;
    fiber->stack_size = STACK_SIZE;
    fiber->fn = fn;
    fiber->arg = arg;
    if (getcontext(&fiber->context) != 0) {
        abort();
    }
    fiber->context.uc_stack.ss_sp = (char *)fiber->memory + GUARD_SIZE;
    fiber->context.uc_stack.ss_size = STACK_SIZE;
    makecontext(&fiber->context, begin, 0);
    return fiber;
}

void fiber_free(struct fiber *fiber)
{
    if (fiber->memory != NULL) {
#ifdef FIBER_ASAN
        __asan_unpoison_memory_region(fiber->stack, fiber->stack_size);
#endif
        stack_give(fiber->memory);
    }
    free(fiber);
}

#ifdef FIBER_SWAPCONTEXT
static void change_over(struct fiber *from, struct fiber *to)
{
    (void)swapcontext(&from->context, &to->context); /* fails for want of a stack only */
}
#else
/* Apart, because a function must not jump to its own place; without the sanitizer's eye, which
 * would take a jump for the end of the frames that it leaves behind. */
__attribute__((noinline, no_sanitize_address)) static void jump(struct fiber *to)
{
    __builtin_longjmp(to->jump, 1);
}

__attribute__((noinline, no_sanitize_address)) static void change_over(struct fiber *from,
                                                                       struct fiber *to)
{
    from->begun = true;
    if (__builtin_setjmp(from->jump) != 0) {
        return;
    }
    if (to->begun) {
        jump(to);
    }
    (void)setcontext(&to->context);
    abort(); /* it does not return */
}
#endif

static void go(struct fiber *from, struct fiber *to, bool for_good)
{
    entering = to;
    leaving = from;
#ifdef FIBER_ASAN
    __sanitizer_start_switch_fiber(for_good ? NULL : &from->fake, to->stack, to->stack_size);
#else
    (void)for_good;
#endif
    change_over(from, to);
    arrived(from);
}

void fiber_switch(struct fiber *from, struct fiber *to) { go(from, to, false); }

void fiber_leave(struct fiber *from, struct fiber *to)
{
    go(from, to, true);
    abort();
}
