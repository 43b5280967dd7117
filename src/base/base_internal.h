/* SPDX-License-Identifier: MIT */
/* Declarations within src/base and its tests. */
#ifndef BASE_INTERNAL_H
#define BASE_INTERNAL_H

#include <stddef.h>
#include <stdint.h>

/* In order by key from left to right; by priority, then key, from the root down (map.c). */
struct tx_map_node {
    struct tx_map_node *left;
    struct tx_map_node *right;
    uint64_t priority;
    void *value;
    size_t key_size;
    uint8_t key[];
};

#endif
