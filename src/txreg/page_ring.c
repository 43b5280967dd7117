/* SPDX-License-Identifier: MIT */
/*
 * Pages that may be written again: a ring in shared memory.
 *
 * A page that the commit ending at LSN n replaced is pushed with n. It may be written again when
 * the durable root slot is at n or later and no snapshot is older than n. Only redo pushes and
 * pops, under the publishing lock, so the ring has one user at a time; but that user may be killed
 * at any instruction, and what it did may never be published: then redo runs again from the same
 * state. So everything in the ring is tagged with the LSN of the commit that put or took it, and
 * redo of a commit first undoes whatever carries its LSN or a later one (reg_ring_rewind).
 *
 * Killed between the stores of one push or pop: a place is written before the index that makes it
 * count, so at worst a page is lost to the ring. A lost page is found again by free_search.c.
 */
#include <string.h>

#include "base/invariant.h"
#include "txreg/txreg_internal.h"

struct ring_place {
    _Atomic uint32_t page;
    _Atomic uint64_t freed_lsn; /* first state that does not need the page */
    _Atomic uint64_t taken_lsn; /* commit that wrote it anew, 0: none */
};

struct reg_shared {
    _Atomic uint64_t steady_lsn; /* of the durable root slot */
    _Atomic uint64_t oldest_lsn; /* no snapshot is older */
    _Atomic uint32_t is_searched;
    _Atomic uint64_t head; /* next to pop; counts for ever */
    _Atomic uint64_t tail; /* next to push */
    struct ring_place places[REG_RING_SIZE];
};

TX_API size_t txreg_shared_size(void)
{
    return sizeof(struct reg_shared);
}

static struct ring_place *place_at(struct reg_shared *shared, uint64_t index)
{
    return &shared->places[index % REG_RING_SIZE];
}

void reg_ring_empty(struct reg_shared *shared)
{
    atomic_store(&shared->head, 0);
    atomic_store(&shared->tail, 0);
}

void reg_ring_reset(struct reg_shared *shared, tx_lsn lsn)
{
    atomic_store(&shared->is_searched, 0);
    reg_ring_empty(shared);
    atomic_store(&shared->steady_lsn, lsn);
    atomic_store(&shared->oldest_lsn, lsn);
}

void reg_ring_rewind(struct reg_shared *shared, tx_lsn lsn)
{
    uint64_t head = atomic_load(&shared->head);
    uint64_t tail = atomic_load(&shared->tail);
    while (tail > head && atomic_load(&place_at(shared, tail - 1)->freed_lsn) >= lsn) {
        atomic_store(&shared->tail, --tail);
    }
    /* A place that a push has overwritten since says taken_lsn 0. */
    while (head > 0 && head - 1 + REG_RING_SIZE >= tail &&
           atomic_load(&place_at(shared, head - 1)->taken_lsn) >= lsn) {
        atomic_store(&shared->head, --head);
    }
}

uint32_t reg_ring_pop(struct reg_shared *shared, tx_lsn lsn)
{
    uint64_t head = atomic_load(&shared->head);
    uint64_t steady = atomic_load(&shared->steady_lsn);
    uint64_t oldest = atomic_load(&shared->oldest_lsn);
    struct ring_place *place = place_at(shared, head);
    uint64_t limit = steady < oldest ? steady : oldest;
    if (head == atomic_load(&shared->tail) || atomic_load(&place->freed_lsn) > limit) {
        return 0;
    }
    uint32_t page = atomic_load(&place->page);
    atomic_store(&place->taken_lsn, lsn);
    atomic_store(&shared->head, head + 1);
    return page;
}

void reg_ring_push(struct reg_shared *shared, uint32_t page, tx_lsn lsn)
{
    uint64_t tail = atomic_load(&shared->tail);
    TX_INVARIANT(page >= REG_SLOT_PAGES);
    if (tail - atomic_load(&shared->head) == REG_RING_SIZE) {
        return;
    }
    struct ring_place *place = place_at(shared, tail);
    atomic_store(&place->taken_lsn, 0);
    atomic_store(&place->freed_lsn, lsn);
    atomic_store(&place->page, page);
    atomic_store(&shared->tail, tail + 1);
}

uint32_t reg_ring_count(struct reg_shared *shared)
{
    return (uint32_t)(atomic_load(&shared->tail) - atomic_load(&shared->head));
}

uint32_t reg_ring_list(struct reg_shared *shared, tx_lsn lsn, uint32_t *pages, uint32_t max)
{
    uint64_t tail = atomic_load(&shared->tail);
    uint32_t count = 0;
    for (uint64_t at = atomic_load(&shared->head); at < tail && count < max; at++) {
        if (atomic_load(&place_at(shared, at)->freed_lsn) <= lsn) {
            pages[count++] = atomic_load(&place_at(shared, at)->page);
        }
    }
    return count;
}

static void raise_to(_Atomic uint64_t *word, uint64_t lsn)
{
    if (atomic_load(word) < lsn) {
        atomic_store(word, lsn);
    }
}

void reg_ring_set_steady(struct reg_shared *shared, tx_lsn lsn)
{
    raise_to(&shared->steady_lsn, lsn);
}

void reg_ring_set_oldest(struct reg_shared *shared, tx_lsn lsn)
{
    raise_to(&shared->oldest_lsn, lsn);
}

bool reg_ring_is_searched(struct reg_shared *shared)
{
    return atomic_load(&shared->is_searched) != 0;
}

void reg_ring_set_searched(struct reg_shared *shared)
{
    atomic_store(&shared->is_searched, 1);
}
