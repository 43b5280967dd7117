/* SPDX-License-Identifier: MIT */
#include "sim/crash_internal.h"

static size_t position(const struct crash_set *set, uint64_t key)
{
    size_t at = (size_t)(key * 0x9e3779b97f4a7c15u) & (set->room - 1);
    while (set->keys[at] != 0 && set->keys[at] != key) {
        at = (at + 1) & (set->room - 1);
    }
    return at;
}

static void grow(struct crash_set *set)
{
    struct crash_set larger = {.count = set->count, .room = set->room == 0 ? 1024 : set->room * 2};
    larger.keys = sim_need(calloc(larger.room, sizeof *larger.keys));
    larger.values = sim_need(calloc(larger.room, sizeof *larger.values));
    for (size_t i = 0; i < set->room; i++) {
        if (set->keys[i] != 0) {
            size_t at = position(&larger, set->keys[i]);
            larger.keys[at] = set->keys[i];
            larger.values[at] = set->values[i];
        }
    }
    crash_set_release(set);
    *set = larger;
}

uint64_t *crash_set_at(struct crash_set *set, uint64_t key, bool *is_new)
{
    key |= (uint64_t)(key == 0);
    if (set->count * 2 >= set->room) {
        grow(set);
    }
    size_t at = position(set, key);
    *is_new = set->keys[at] == 0;
    if (*is_new) {
        set->keys[at] = key;
        set->count++;
    }
    return &set->values[at];
}

void crash_set_release(struct crash_set *set)
{
    free(set->keys);
    free(set->values);
    *set = (struct crash_set){.count = 0};
}
