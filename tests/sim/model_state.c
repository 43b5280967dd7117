/* SPDX-License-Identifier: MIT */
/* The universe of names, states, and memory. */
#include <stdlib.h>
#include <string.h>

#include "sim/model.h"
#include "sim/sim_internal.h"

#define CHUNK_SIZE (256u * 1024u)

static const char *const dir_paths[MODEL_DIRS] = {"", "d0", "d1", "d2", "d0/s", "d1/s", "d2/s"};
static const char *const file_paths[MODEL_FILES] = {
    "a",      "b",      "c",      "d0/a",   "d0/b",   "d0/c",   "d1/a",   "d1/b",   "d1/c",
    "d2/a",   "d2/b",   "d2/c",   "d0/s/a", "d0/s/b", "d0/s/c", "d1/s/a", "d1/s/b", "d1/s/c",
    "d2/s/a", "d2/s/b", "d2/s/c"};
static const char *const key_paths[MODEL_KEYS] = {"K0", "K1", "K0\\A", "K0\\B", "K1\\A", "K1\\B"};
static const char *const value_names[3] = {"", "v1", "v2"};

const char *model_dir_path(unsigned dir) { return dir_paths[dir]; }

const char *model_file_path(unsigned file) { return file_paths[file]; }

const char *model_key_path(unsigned key) { return key_paths[key]; }

const char *model_value_name(unsigned value) { return value_names[value % 3]; }

unsigned model_dir_parent(unsigned dir) { return dir <= 3 ? 0 : dir - 3; }

bool model_same_level(unsigned a, unsigned b) { return a != 0 && b != 0 && (a <= 3) == (b <= 3); }

bool model_same_parent_key(unsigned a, unsigned b) { return a / 2 == b / 2; }

void model_init(struct model_state *state)
{
    *state = (struct model_state){.dirs = {{.id = 1, .mode = 0755}}};
}

/* --- Memory ----------------------------------------------------------------------------------- */

struct model_chunk {
    struct model_chunk *next;
    _Alignas(16) uint8_t data[];
};

void *model_alloc(struct model_arena *arena, size_t size)
{
    size = (size + 15) & ~(size_t)15;
    if (size > CHUNK_SIZE) {
        abort();
    }
    if (arena->chunks == NULL || arena->used + size > CHUNK_SIZE) {
        struct model_chunk *chunk = sim_need(malloc(sizeof *chunk + CHUNK_SIZE));
        chunk->next = arena->chunks;
        arena->chunks = chunk;
        arena->used = 0;
    }
    void *memory = arena->chunks->data + arena->used;
    arena->used += size;
    memset(memory, 0, size);
    return memory;
}

void model_arena_release(struct model_arena *arena)
{
    while (arena->chunks != NULL) {
        struct model_chunk *chunk = arena->chunks;
        arena->chunks = chunk->next;
        free(chunk);
    }
}

struct model_bytes *model_bytes_new(struct model_arena *arena, size_t size)
{
    struct model_bytes *bytes = model_alloc(arena, sizeof *bytes + size);
    bytes->size = (uint32_t)size;
    return bytes;
}
