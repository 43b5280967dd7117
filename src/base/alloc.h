/* SPDX-License-Identifier: MIT */
/*
 * All memory of the library comes from here, so that a test can make any allocation fail.
 * A failed allocation returns NULL; callers answer TX_ENOMEM.
 */
#ifndef TX_BASE_ALLOC_H
#define TX_BASE_ALLOC_H

#include <stddef.h>

#include <txkit/memory.h>

struct tx_alloc_table {
    void *(*resize)(void *arg, void *memory, size_t size); /* as realloc */
    void (*release)(void *arg, void *memory);              /* as free */
    void *arg;
};

void *tx_alloc(size_t size);
void *tx_alloc_zero(size_t size);
/* At an address that is a multiple of `alignment`, a power of two. Ownership: tx_free(*memory), not
 * what is returned. NULL, and *memory NULL, when there is none. */
void *tx_alloc_zero_aligned(size_t size, size_t alignment, void **memory);
void *tx_resize(void *memory, size_t size);
/* Copy of a text, NULL when there is no memory. */
char *tx_text_copy(const char *text);

/* Tests: replace the table (NULL: back to the C library). Not while memory of the old is in use. */
void tx_alloc_set_table(const struct tx_alloc_table *table);

#endif
