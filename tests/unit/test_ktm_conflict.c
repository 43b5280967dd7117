/* SPDX-License-Identifier: MIT */
#include "ktm_fixture.h"

static struct ktm_shared *table_new(uint32_t entries)
{
    struct ktm_shared *shared = NULL;
    cr_assert_eq(posix_memalign((void **)&shared, 64, ktm_shared_size(entries)), 0);
    memset(shared, 0, ktm_shared_size(entries));
    ktm_conflict_reset(shared, entries);
    return shared;
}

Test(ktm_conflict, newest_stamp_of_a_key_is_found)
{
    struct ktm_shared *shared = table_new(64);
    cr_expect_eq(ktm_conflict_find(shared, 5), 0);
    ktm_conflict_insert(shared, 5, 100);
    ktm_conflict_insert(shared, 6, 101);
    ktm_conflict_insert(shared, 5, 102);
    cr_expect_eq(ktm_conflict_find(shared, 5), 102);
    cr_expect_eq(ktm_conflict_find(shared, 6), 101);
    cr_expect_eq(ktm_conflict_find(shared, 7), 0);
    cr_expect_eq(shared->evicted, 0);
    free(shared);
}

Test(ktm_conflict, key_zero_is_a_key)
{
    struct ktm_shared *shared = table_new(64);
    cr_expect_eq(ktm_conflict_find(shared, 0), 0);
    ktm_conflict_insert(shared, 0, 9);
    cr_expect_eq(ktm_conflict_find(shared, 0), 9);
    free(shared);
}

Test(ktm_conflict, full_bucket_forgets_its_oldest_and_says_so)
{
    struct ktm_shared *shared = table_new(KTM_CONFLICT_WAYS);
    for (uint64_t key = 1; key <= KTM_CONFLICT_WAYS; key++) {
        ktm_conflict_insert(shared, key, 100 + key);
    }
    cr_expect_eq(shared->evicted, 0);
    ktm_conflict_insert(shared, 1, 200); /* no longer the oldest */
    ktm_conflict_insert(shared, 99, 201);
    cr_expect_eq(shared->evicted, 102);
    cr_expect_eq(ktm_conflict_find(shared, 2), 0);
    cr_expect_eq(ktm_conflict_find(shared, 1), 200);
    cr_expect_eq(ktm_conflict_find(shared, 99), 201);
    free(shared);
}

Test(ktm_conflict, whatever_is_not_found_is_not_above_what_was_evicted)
{
    struct ktm_shared *shared = table_new(64);
    static uint64_t newest[1000];
    uint64_t random = 7;
    for (uint64_t stamp = 1; stamp < 20000; stamp++) {
        random = random * UINT64_C(6364136223846793005) + 1442695040888963407;
        uint64_t key = (random >> 33) % 1000;
        newest[key] = stamp;
        ktm_conflict_insert(shared, key, stamp);
        uint64_t asked = (random >> 20) % 1000;
        uint64_t found = ktm_conflict_find(shared, asked);
        cr_assert(found == newest[asked] || (found == 0 && newest[asked] <= shared->evicted),
                  "key %lu: %lu, newest %lu, evicted %lu", asked, found, newest[asked],
                  shared->evicted);
    }
    free(shared);
}
