/* SPDX-License-Identifier: MIT */
#include <malloc.h>
#include <sanitizer/asan_interface.h> /* macros that are nothing without it */

#include "sim/sim_internal.h"

struct sim_block sim_unwritten = {.refs = 1};

/* Blocks that were released, to be used again: most live for microseconds. */
#define SPARE_MAX 4096u
static struct sim_block *spare[SPARE_MAX];
static unsigned spare_count;

void *sim_need(void *memory)
{
    if (memory == NULL) {
        abort();
    }
    return memory;
}

void sim_keep_heap(void)
{
    (void)mallopt(M_MMAP_THRESHOLD, 64 << 20);
    (void)mallopt(M_TRIM_THRESHOLD, 512 << 20);
}

/* The data is not set. */
struct sim_block *sim_block_new(void)
{
    struct sim_block *block =
        spare_count > 0 ? spare[--spare_count] : sim_need(malloc(sizeof *block));
    block->refs = 1;
    block->hash = 0;
    return block;
}

struct sim_block *sim_block_keep(struct sim_block *block)
{
    if (block != NULL && block != &sim_unwritten) {
        block->refs++;
    }
    return block;
}

void sim_block_drop(struct sim_block *block)
{
    if (block == NULL || block == &sim_unwritten || --block->refs > 0) {
        return;
    }
    if (spare_count < SPARE_MAX) {
        spare[spare_count++] = block;
    } else {
        free(block);
    }
}

/* --- Memory of mappings ----------------------------------------------------------------------- */

/* Half a megabyte at each boot of each machine: from the kernel it costs more than all else. */
#define SPARE_MAPS 4u
static struct {
    uint8_t *memory;
    size_t room;
} spare_maps[SPARE_MAPS];

uint8_t *sim_map_new(size_t size, size_t *room)
{
    for (unsigned i = 0; i < SPARE_MAPS; i++) {
        uint8_t *memory = spare_maps[i].memory;
        if (memory != NULL && spare_maps[i].room >= size && spare_maps[i].room / 2 <= size) {
            *room = spare_maps[i].room;
            spare_maps[i].memory = NULL;
            ASAN_UNPOISON_MEMORY_REGION(memory, *room);
            return memory;
        }
    }
    *room = (size + SIM_BLOCK - 1) / SIM_BLOCK * SIM_BLOCK;
    return sim_need(aligned_alloc(SIM_BLOCK, *room));
}

void sim_map_drop(uint8_t *memory, size_t room)
{
    for (unsigned i = 0; memory != NULL && i < SPARE_MAPS; i++) {
        if (spare_maps[i].memory == NULL) {
            ASAN_POISON_MEMORY_REGION(memory, room); /* whoever still reads it is caught */
            spare_maps[i].memory = memory;
            spare_maps[i].room = room;
            return;
        }
    }
    free(memory);
}

/* The library may run under LeakSanitizer. */
__attribute__((destructor)) static void release_spare(void)
{
    for (unsigned i = 0; i < SPARE_MAPS; i++) {
        free(spare_maps[i].memory);
    }
    while (spare_count > 0) {
        free(spare[--spare_count]);
    }
}

uint64_t sim_mix(uint64_t a, uint64_t b)
{
    __extension__ unsigned __int128 product =
        (unsigned __int128)(a ^ 0x9e3779b97f4a7c15u) * (b ^ 0xd1b54a32d192ed03u);
    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

uint64_t sim_hash(const void *data, size_t size, uint64_t seed)
{
    const uint8_t *p = data;
    uint64_t a = seed ^ 0x2545f4914f6cdd1du;
    uint64_t b = seed + size;
    uint64_t word[2];
    for (; size >= 16; size -= 16, p += 16) {
        memcpy(word, p, 16);
        uint64_t next = sim_mix(a ^ word[0], word[1]);
        a = b;
        b = b * 5 ^ next;
    }
    word[0] = 0;
    word[1] = 0;
    memcpy(word, p, size);
    return sim_mix(a ^ word[0], b ^ word[1] ^ 0x51ull);
}

uint64_t sim_block_hash(struct sim_block *block)
{
    if (block->hash == 0) {
        block->hash = sim_hash(block->data, SIM_BLOCK, 1) | 1;
    }
    return block->hash;
}

/* splitmix64 (Steele, Lea, Flood 2014). */
uint64_t sim_random(uint64_t *state)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

struct sim_bytes *sim_bytes_new(const void *data, size_t size)
{
    struct sim_bytes *bytes = sim_need(malloc(sizeof *bytes + size + 1));
    bytes->refs = 1;
    bytes->size = (uint32_t)size;
    bytes->hash = sim_hash(data, size, 2);
    memcpy(bytes->data, data, size);
    bytes->data[size] = '\0';
    return bytes;
}

struct sim_bytes *sim_bytes_keep(struct sim_bytes *bytes)
{
    if (bytes != NULL) {
        bytes->refs++;
    }
    return bytes;
}

void sim_bytes_drop(struct sim_bytes *bytes)
{
    if (bytes != NULL && --bytes->refs == 0) {
        free(bytes);
    }
}

bool sim_bytes_equal(const struct sim_bytes *a, const struct sim_bytes *b)
{
    return a == b || (a->hash == b->hash && a->size == b->size &&
                      memcmp(a->data, b->data, a->size) == 0);
}
