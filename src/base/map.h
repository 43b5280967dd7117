/* SPDX-License-Identifier: MIT */
/*
 * An ordered map from byte strings to pointers (a treap whose priorities are hashes of the keys,
 * so that equal contents give equal trees on every run). Keys are copied. Order: memcmp, a prefix
 * before what it begins.
 */
#ifndef TX_BASE_MAP_H
#define TX_BASE_MAP_H

#include <stdbool.h>
#include <stddef.h>

#include "base/alloc.h"
#include "base/cleanup.h"

struct tx_map_node;

struct tx_map {
    struct tx_map_node *root;
    size_t count;
    void (*release_value)(void *value); /* may be NULL; called when a value leaves the map */
};

struct tx_map_entry {
    const void *key;
    size_t key_size;
    void *value;
};

void tx_map_init(struct tx_map *map, void (*release_value)(void *value));
void tx_map_release(struct tx_map *map);
static inline void tx_map_auto(struct tx_map *map) { tx_map_release(map); }

/* Set or replace. On failure the value stays the caller's. */
enum tx_status tx_map_set(struct tx_map *map, const void *key, size_t key_size, void *value,
                          struct tx_error *err) TX_CHECKED;
/* NULL when absent. */
void *tx_map_get(const struct tx_map *map, const void *key, size_t key_size);
/* False when absent. */
bool tx_map_remove(struct tx_map *map, const void *key, size_t key_size);
/* First entry with key >= / > the given one (key_size 0 and `key` NULL: the first of all). */
bool tx_map_at_or_after(const struct tx_map *map, const void *key, size_t key_size,
                        struct tx_map_entry *entry);
bool tx_map_after(const struct tx_map *map, const void *key, size_t key_size,
                  struct tx_map_entry *entry);

#endif
