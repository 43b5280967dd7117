/* SPDX-License-Identifier: MIT */
/*
 * Which images were met. The hash of an image is the sum of the hashes of its sectors, each with
 * its number as seed, so that a state costs what it changes and not what the disk holds. The
 * acknowledgements before the cut belong to a state: more of them make it stricter.
 */
#include <stdlib.h>
#include <string.h>

#include <xxhash.h>

#include "powercut_internal.h"

struct seen {
    const struct recording *recording;
    unsigned tear;
    size_t position;   /* entries before it are durable */
    uint32_t *acks;    /* how many before each entry */
    uint64_t *durable; /* hash of each sector; 0: nothing but zeros */
    uint64_t *changed; /* where `stamps` has the current generation */
    uint32_t *stamps;
    uint32_t generation;
    uint64_t total, hash; /* sums: of `durable`, of the state being added */
    uint64_t *table;      /* open addressing; 0: free */
    size_t room, count;
};

static uint64_t sector_hash(const unsigned char *bytes, uint64_t number)
{
    static const unsigned char zeros[POWERCUT_SECTOR];
    return memcmp(bytes, zeros, POWERCUT_SECTOR) == 0
               ? 0
               : XXH3_64bits_withSeed(bytes, POWERCUT_SECTOR, number);
}

static void put_durable(void *arg, uint64_t offset, const unsigned char *bytes, size_t size)
{
    struct seen *seen = arg;
    for (size_t at = 0; at + POWERCUT_SECTOR <= size; at += POWERCUT_SECTOR) {
        uint64_t number = (offset + at) / POWERCUT_SECTOR;
        uint64_t hash = sector_hash(bytes + at, number);
        seen->total += hash - seen->durable[number];
        seen->durable[number] = hash;
    }
}

static void put_changed(void *arg, uint64_t offset, const unsigned char *bytes, size_t size)
{
    struct seen *seen = arg;
    for (size_t at = 0; at + POWERCUT_SECTOR <= size; at += POWERCUT_SECTOR) {
        uint64_t number = (offset + at) / POWERCUT_SECTOR;
        uint64_t hash = sector_hash(bytes + at, number);
        bool again = seen->stamps[number] == seen->generation;
        seen->hash += hash - (again ? seen->changed[number] : seen->durable[number]);
        seen->changed[number] = hash;
        seen->stamps[number] = seen->generation;
    }
}

static void rewind_to_base(struct seen *seen)
{
    const struct image *base = &seen->recording->base;
    uint64_t pages = base->size / POWERCUT_PAGE;
    memset(seen->durable, 0, (size_t)(base->size / POWERCUT_SECTOR) * sizeof *seen->durable);
    seen->total = 0;
    seen->position = 0;
    for (uint64_t page = 0; page < pages; page++) {
        if (base->used[page / 64] >> (page % 64) & 1) {
            uint64_t offset = page * POWERCUT_PAGE;
            put_durable(seen, offset, base->bytes + offset, POWERCUT_PAGE);
        }
    }
}

struct seen *seen_new(const struct recording *recording, unsigned tear)
{
    struct seen *seen = powercut_need(calloc(1, sizeof *seen));
    size_t sectors = (size_t)(recording->base.size / POWERCUT_SECTOR);
    seen->recording = recording;
    seen->tear = tear;
    seen->durable = powercut_need(calloc(sectors, sizeof *seen->durable));
    seen->changed = powercut_need(calloc(sectors, sizeof *seen->changed));
    seen->stamps = powercut_need(calloc(sectors, sizeof *seen->stamps));
    seen->room = 1024;
    seen->table = powercut_need(calloc(seen->room, sizeof *seen->table));
    seen->acks = powercut_need(calloc(recording->count + 1, sizeof *seen->acks));
    for (size_t i = 0; i < recording->count; i++) {
        seen->acks[i + 1] = seen->acks[i] + (recording->entries[i].kind == LOG_ACK);
    }
    rewind_to_base(seen);
    return seen;
}

void seen_free(struct seen *seen)
{
    free(seen->acks);
    free(seen->durable);
    free(seen->changed);
    free(seen->stamps);
    free(seen->table);
    free(seen);
}

void seen_advance(struct seen *seen, size_t first)
{
    if (first < seen->position) {
        rewind_to_base(seen);
    }
    for (; seen->position < first; seen->position++) {
        const struct log_entry *entry = &seen->recording->entries[seen->position];
        if (entry->kind == LOG_WRITE) {
            put_durable(seen, entry->offset, entry->bytes, entry->size);
        }
    }
}

static bool insert(uint64_t *table, size_t room, uint64_t hash)
{
    size_t at = (size_t)hash & (room - 1);
    while (table[at] != 0 && table[at] != hash) {
        at = (at + 1) & (room - 1);
    }
    bool fresh = table[at] == 0;
    table[at] = hash;
    return fresh;
}

static void grow(struct seen *seen)
{
    uint64_t *larger = powercut_need(calloc(seen->room * 2, sizeof *larger));
    for (size_t i = 0; i < seen->room; i++) {
        if (seen->table[i] != 0) {
            insert(larger, seen->room * 2, seen->table[i]);
        }
    }
    free(seen->table);
    seen->table = larger;
    seen->room *= 2;
}

bool seen_add(struct seen *seen, const struct state *state)
{
    seen_advance(seen, state->first);
    seen->generation++;
    seen->hash = seen->total;
    state_apply(seen->recording, state, seen->tear, put_changed, seen);
    uint64_t key[] = {seen->hash, seen->acks[state->cut]};
    uint64_t hash = XXH3_64bits(key, sizeof key) | 1; /* 0 is a free place */
    if (seen->count * 2 > seen->room) {
        grow(seen);
    }
    bool fresh = insert(seen->table, seen->room, hash);
    seen->count += fresh;
    return fresh;
}
