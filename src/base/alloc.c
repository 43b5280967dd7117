/* SPDX-License-Identifier: MIT */
#include "base/alloc.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static void *libc_resize(void *arg, void *memory, size_t size)
{
    (void)arg;
    return realloc(memory, size);
}

static void libc_release(void *arg, void *memory)
{
    (void)arg;
    free(memory);
}

static const struct tx_alloc_table libc_table = {libc_resize, libc_release, NULL};
static struct tx_alloc_table table = {libc_resize, libc_release, NULL};

void tx_alloc_set_table(const struct tx_alloc_table *new_table)
{
    table = new_table != NULL ? *new_table : libc_table;
}

void *tx_resize(void *memory, size_t size)
{
    /* Never size 0: whether realloc then frees is up to the C library. */
    return table.resize(table.arg, memory, size > 0 ? size : 1);
}

void *tx_alloc(size_t size)
{
    return tx_resize(NULL, size);
}

void *tx_alloc_zero(size_t size)
{
    void *memory = tx_alloc(size);
    if (memory != NULL) {
        memset(memory, 0, size);
    }
    return memory;
}

void *tx_alloc_zero_aligned(size_t size, size_t alignment, void **memory)
{
    *memory = tx_alloc_zero(size + alignment);
    return *memory != NULL ? (char *)*memory + (-(uintptr_t)*memory & (alignment - 1)) : NULL;
}

void tx_free(void *memory)
{
    if (memory != NULL) {
        table.release(table.arg, memory);
    }
}

char *tx_text_copy(const char *text)
{
    size_t size = strlen(text) + 1;
    char *copy = tx_alloc(size);
    if (copy != NULL) {
        memcpy(copy, text, size);
    }
    return copy;
}
