/* SPDX-License-Identifier: MIT */
/*
 * The conflict table: which record wrote a key last. Set-associative; a full set forgets its oldest
 * key and remembers in `evicted` up to where it may have forgotten something, so that "not found"
 * is an answer only for records at or above that.
 *
 * All under the append lock. Killed between two stores: a free entry, or an eviction announced and
 * not done. An entry of a record that was then not appended makes somebody conflict in vain.
 */
#include "ktm/ktm_internal.h"

static struct ktm_conflict_entry *bucket_of(struct ktm_shared *shared, uint64_t key)
{
    uint64_t buckets = atomic_load_explicit(&shared->conflict_entries, memory_order_relaxed) /
                       KTM_CONFLICT_WAYS;
    uint64_t mixed = key * UINT64_C(0x9e3779b97f4a7c15); /* keys of poor RMs differ below only */
    return &shared->conflicts[(mixed >> 32 & (buckets - 1)) * KTM_CONFLICT_WAYS];
}

void ktm_conflict_reset(struct ktm_shared *shared, uint32_t entries)
{
    for (uint32_t i = 0; i < entries; i++) {
        atomic_store_explicit(&shared->conflicts[i].stamp, 0, memory_order_relaxed);
    }
    atomic_store(&shared->conflict_entries, entries);
    atomic_store(&shared->evicted, 0);
}

uint64_t ktm_conflict_find(struct ktm_shared *shared, uint64_t key)
{
    struct ktm_conflict_entry *bucket = bucket_of(shared, key);
    for (unsigned i = 0; i < KTM_CONFLICT_WAYS; i++) {
        uint64_t stamp = atomic_load(&bucket[i].stamp);
        if (stamp != 0 && atomic_load(&bucket[i].key) == key) {
            return stamp;
        }
    }
    return 0;
}

void ktm_conflict_insert(struct ktm_shared *shared, uint64_t key, uint64_t stamp)
{
    struct ktm_conflict_entry *bucket = bucket_of(shared, key);
    struct ktm_conflict_entry *oldest = &bucket[0];
    for (unsigned i = 0; i < KTM_CONFLICT_WAYS; i++) {
        uint64_t found = atomic_load(&bucket[i].stamp);
        if (found != 0 && atomic_load(&bucket[i].key) == key) {
            atomic_store(&bucket[i].stamp, stamp);
            return;
        }
        if (found < atomic_load(&oldest->stamp)) {
            oldest = &bucket[i];
        }
    }
    uint64_t lost = atomic_load(&oldest->stamp);
    if (lost > atomic_load(&shared->evicted)) {
        atomic_store(&shared->evicted, lost);
    }
    atomic_store(&oldest->stamp, 0);
    atomic_store(&oldest->key, key);
    atomic_store(&oldest->stamp, stamp);
}
