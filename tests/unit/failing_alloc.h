/* SPDX-License-Identifier: MIT */
/*
 * Memory that runs out at a chosen allocation and counts what is still in use.
 *
 *     for (size_t n = 0; !done; n++) { failing_alloc_begin(n); ...; failing_alloc_end(); }
 */
#ifndef TEST_FAILING_ALLOC_H
#define TEST_FAILING_ALLOC_H

#include <stdbool.h>
#include <stdlib.h>

#include "base/alloc.h"

struct failing_alloc {
    size_t left;   /* allocations that still succeed */
    size_t failed; /* how many did not */
    size_t refused; /* allocations of just this size never succeed, and do not count */
    size_t largest; /* bytes asked for at once */
    long in_use;
};
static struct failing_alloc failing_alloc;

static inline void *failing_resize(void *arg, void *memory, size_t size)
{
    struct failing_alloc *state = arg;
    if (size == state->refused && size > 0) {
        return NULL;
    }
    state->largest = size > state->largest ? size : state->largest;
    if (state->left == 0) {
        state->failed++;
        return NULL;
    }
    state->left--;
    state->in_use += memory == NULL;
    return realloc(memory, size);
}

static inline void failing_release(void *arg, void *memory)
{
    struct failing_alloc *state = arg;
    state->in_use--;
    free(memory);
}

/* From now on `count` allocations succeed, all others fail. */
static inline void failing_alloc_begin(size_t count)
{
    static struct tx_alloc_table table = {failing_resize, failing_release, &failing_alloc};
    failing_alloc = (struct failing_alloc){.left = count};
    tx_alloc_set_table(&table);
}

/* Back to the C library; answers whether an allocation had failed. */
static inline bool failing_alloc_end(void)
{
    tx_alloc_set_table(NULL);
    return failing_alloc.failed > 0;
}

#endif
