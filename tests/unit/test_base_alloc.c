/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <string.h>

#include "unit/failing_alloc.h"

Test(base_alloc, nothing_is_still_something)
{
    void *memory = tx_alloc(0);
    cr_assert_not_null(memory);
    memory = tx_resize(memory, 0);
    cr_assert_not_null(memory);
    tx_free(memory);
    tx_free(NULL);
}

Test(base_alloc, zeroed_memory_is_zero)
{
    static const char zeros[4096];
    char *dirty = tx_alloc(4096);
    memset(dirty, 0xFF, 4096);
    tx_free(dirty);
    char *memory = tx_alloc_zero(4096);
    cr_assert_eq(memcmp(memory, zeros, 4096), 0);
    tx_free(memory);
}

Test(base_alloc, everything_goes_through_the_table)
{
    failing_alloc_begin(5);
    void *a = tx_alloc(1);
    void *b = tx_alloc_zero(1);
    char *c = tx_text_copy("text");
    a = tx_resize(a, 100);
    cr_assert_eq(failing_alloc.left, 1);
    cr_assert_eq(failing_alloc.in_use, 3);
    cr_assert_str_eq(c, "text");
    tx_free(a);
    tx_free(b);
    tx_free(c);
    cr_assert_eq(failing_alloc.in_use, 0);
    cr_assert_not(failing_alloc_end());
}

Test(base_alloc, no_memory_is_null)
{
    failing_alloc_begin(0);
    cr_assert_null(tx_alloc(1));
    cr_assert_null(tx_alloc_zero(1));
    cr_assert_null(tx_resize(NULL, 1));
    cr_assert_null(tx_text_copy("text"));
    void *memory = &memory;
    cr_assert_null(tx_alloc_zero_aligned(1, 64, &memory));
    cr_assert_null(memory); /* so that giving it back does no harm */
    cr_assert(failing_alloc_end());
}

Test(base_alloc, aligned_memory_is_aligned_and_zero)
{
    for (size_t alignment = 16; alignment <= 4096; alignment *= 2) {
        void *memory;
        uint8_t *bytes = tx_alloc_zero_aligned(100, alignment, &memory);
        cr_assert_not_null(bytes);
        cr_expect_eq((uintptr_t)bytes % alignment, 0);
        for (size_t i = 0; i < 100; i++) {
            cr_expect_eq(bytes[i], 0);
        }
        tx_free(memory);
    }
}
