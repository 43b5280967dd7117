/* SPDX-License-Identifier: MIT */
/* One commit as publishing sees it: the last entry of each path, parents before children. */
#include <string.h>

#include "base/invariant.h"
#include "txfs/publish_internal.h"

void txfs_tree_key_set(struct txfs_tree_key *key, const char *path)
{
    size_t size = strlen(path);
    TX_INVARIANT(size <= TXFS_PATH_MAX);
    for (size_t i = 0; i < size; i++) {
        key->bytes[i] = path[i] == '/' ? 0 : (uint8_t)path[i];
    }
    key->size = size;
}

bool txfs_tree_below(const struct tx_map *map, const struct txfs_tree_key *key,
                     struct tx_map_entry *found)
{
    size_t size = key->size + 1;
    uint8_t from[TXFS_PATH_MAX + 2];
    memcpy(from, key->bytes, key->size);
    from[key->size] = 0;
    return tx_map_at_or_after(map, from, size, found) && found->key_size > size &&
           memcmp(found->key, from, size) == 0;
}

bool txfs_entry_amends(const struct txfs_entry *entry)
{
    switch (entry->kind) {
    case TXFS_CHANGE_ATTRIBUTES:
    case TXFS_CHANGE_EXTENTS:
        return true;
    case TXFS_CHANGE_MOVED:
        return entry->mask != 0 || entry->payload != TXFS_PAYLOAD_NONE; /* extents, or their hash */
    default:
        return false;
    }
}

bool txfs_commit_has_files(const struct ktm_commit_info *commit)
{
    struct ktm_cursor entries = commit->entries;
    struct ktm_change change;
    while (ktm_cursor_next(&entries, &change)) {
        if (change.rm == TXFS_RM) {
            return true;
        }
    }
    return false;
}

/* Rule 2: another object at a path voids what was said about paths below it. */
static void void_below(struct tx_map *map, const struct txfs_tree_key *key)
{
    struct tx_map_entry below;
    while (txfs_tree_below(map, key, &below)) {
        (void)tx_map_remove(map, below.key, below.key_size); /* just found */
    }
}

/* Values of the map: number of the step in `all`, plus 1. */
static enum tx_status add_entry(struct tx_map *map, struct tx_buf *all, uint32_t index,
                                const struct ktm_change *change, struct tx_error *err)
{
    struct txfs_step step = {.index = index};
    struct txfs_tree_key key;
    TX_TRY(txfs_entry_decode(change, &step.entry, err));
    txfs_tree_key_set(&key, step.entry.path);
    if (!(step.entry.flags & TXFS_ENTRY_SAME)) {
        void_below(map, &key);
    }
    TX_TRY(tx_buf_append(all, &step, sizeof(step), err));
    void *value = (void *)(uintptr_t)(all->size / sizeof(step));
    return tx_map_set(map, key.bytes, key.size, value, err);
}

static enum tx_status collect(const struct tx_map *map, const struct tx_buf *all,
                              struct txfs_steps *steps, struct tx_error *err)
{
    if (map->count == 0) {
        return TX_OK;
    }
    struct txfs_step *items = tx_alloc(map->count * sizeof(*items));
    if (items == NULL) {
        return tx_error_set(err, TX_ENOMEM, "list %zu changes", map->count);
    }
    size_t count = 0;
    struct tx_map_entry at;
    for (bool more = tx_map_at_or_after(map, NULL, 0, &at); more;
         more = tx_map_after(map, at.key, at.key_size, &at)) {
        size_t number = (size_t)(uintptr_t)at.value - 1;
        memcpy(&items[count++], all->data + number * sizeof(*items), sizeof(*items));
    }
    TX_INVARIANT(count == map->count);
    steps->items = items;
    steps->count = count;
    return TX_OK;
}

enum tx_status txfs_steps_load(struct ktm_cursor entries, struct txfs_steps *steps,
                               struct tx_error *err)
{
    TX_AUTO(tx_map) map;
    TX_AUTO(tx_buf) all = TX_BUF_INIT;
    struct ktm_change change;
    tx_map_init(&map, NULL);
    for (uint32_t index = 0; ktm_cursor_next(&entries, &change); index++) {
        if (change.rm == TXFS_RM) {
            TX_TRY(add_entry(&map, &all, index, &change, err));
        }
    }
    return collect(&map, &all, steps, err);
}

void txfs_steps_release(struct txfs_steps *steps)
{
    tx_free(steps->items);
    *steps = (struct txfs_steps){NULL, 0};
}
