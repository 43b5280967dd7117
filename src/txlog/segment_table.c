/* SPDX-License-Identifier: MIT */
/*
 * The live segments in shared memory: a ring of entries between two counters that only grow. The
 * holder of the append lock fills an entry and then moves `tail`; the holder of the segment lock
 * moves `head`. Readers hold nothing: an entry that they read counts if `head` has not passed it
 * meanwhile, because only then could it have been filled anew.
 */
#include "txlog/txlog_internal.h"

#define ACQUIRE memory_order_acquire
#define RELEASE memory_order_release

static struct segment_entry *entry_at(struct txlog_shared *shared, uint64_t index)
{
    return &shared->entries[index % LOG_TABLE_SIZE];
}

bool table_get(struct txlog_shared *shared, uint64_t index, struct segment_ref *ref)
{
    if (index >= atomic_load_explicit(&shared->tail, ACQUIRE)) {
        return false;
    }
    struct segment_entry *entry = entry_at(shared, index);
    struct segment_ref read = {
        .seq = atomic_load_explicit(&entry->seq, ACQUIRE),
        .first_lsn = atomic_load_explicit(&entry->first_lsn, ACQUIRE),
        .size = atomic_load_explicit(&entry->size, ACQUIRE),
    };
    if (index < atomic_load_explicit(&shared->head, ACQUIRE)) {
        return false;
    }
    *ref = read;
    return true;
}

/* The first entry in [low, high) that begins after `lsn`, or `high`. What the head has passed does
 * not. */
static uint64_t find_after(struct txlog_shared *shared, tx_lsn lsn, uint64_t low, uint64_t high)
{
    while (low < high) {
        uint64_t middle = low + (high - low) / 2;
        struct segment_ref ref = {.first_lsn = 0};
        (void)table_get(shared, middle, &ref);
        if (ref.first_lsn <= lsn) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

bool table_find(struct txlog_shared *shared, tx_lsn lsn, struct segment_ref *ref, uint64_t *index)
{
    uint64_t head = 0;
    uint64_t looked_from;
    do {
        looked_from = head;
        uint64_t tail = atomic_load_explicit(&shared->tail, ACQUIRE);
        uint64_t after = find_after(shared, lsn, looked_from, tail);
        if (table_get(shared, after - 1, ref)) {
            *index = after - 1;
            return true;
        }
        head = atomic_load_explicit(&shared->head, ACQUIRE);
    } while (head != looked_from); /* it may have passed what was found */
    return false;
}

void table_tail(struct txlog_shared *shared, struct segment_ref *ref)
{
    uint64_t tail = atomic_load_explicit(&shared->tail, ACQUIRE);
    TX_INVARIANT(tail > 0 && table_get(shared, tail - 1, ref)); /* the head never passes it */
}

bool table_is_full(struct txlog_shared *shared)
{
    uint64_t head = atomic_load_explicit(&shared->head, ACQUIRE);
    return atomic_load_explicit(&shared->tail, ACQUIRE) - head >= LOG_SEGMENTS_MAX;
}

void table_push(struct txlog_shared *shared, const struct segment_ref *ref)
{
    uint64_t tail = atomic_load_explicit(&shared->tail, ACQUIRE);
    TX_INVARIANT(tail - atomic_load_explicit(&shared->head, ACQUIRE) < LOG_TABLE_SIZE);
    struct segment_entry *entry = entry_at(shared, tail);
    atomic_store_explicit(&entry->seq, ref->seq, RELEASE);
    atomic_store_explicit(&entry->first_lsn, ref->first_lsn, RELEASE);
    atomic_store_explicit(&entry->size, ref->size, RELEASE);
    atomic_store_explicit(&shared->tail, tail + 1, RELEASE);
}

void table_cut_head(struct txlog_shared *shared, uint64_t index)
{
    TX_INVARIANT(index < atomic_load_explicit(&shared->tail, ACQUIRE));
    if (index > atomic_load_explicit(&shared->head, ACQUIRE)) {
        atomic_store_explicit(&shared->head, index, RELEASE);
    }
}

/* The segment that one beginning at `first_lsn` continues: entries that begin there too are empty,
 * and superseded by it. */
uint64_t table_previous(struct txlog_shared *shared, tx_lsn first_lsn)
{
    struct segment_ref ref;
    uint64_t index = atomic_load_explicit(&shared->tail, ACQUIRE);
    while (index > 0 && table_get(shared, index - 1, &ref)) {
        if (ref.first_lsn < first_lsn) {
            return ref.seq;
        }
        index--;
    }
    return 0;
}
