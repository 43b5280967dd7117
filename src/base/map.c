/* SPDX-License-Identifier: MIT */
/*
 * A treap: a search tree by key that is at the same time a heap by priority. Seidel and Aragon,
 * "Randomized Search Trees", Algorithmica 16 (1996). Nothing here recurses, because keys made to
 * have falling hashes would make the tree as deep as it has nodes.
 */
#include "base/map.h"

#include <stdint.h>
#include <string.h>

#include "base/base_internal.h"
#include "base/hash.h"

static int compare_keys(const void *a, size_t a_size, const void *b, size_t b_size)
{
    size_t common = a_size < b_size ? a_size : b_size;
    int order = common > 0 ? memcmp(a, b, common) : 0;
    return order != 0 ? order : (a_size > b_size) - (a_size < b_size);
}

static int compare_to_node(const void *key, size_t key_size, const struct tx_map_node *node)
{
    return compare_keys(key, key_size, node->key, node->key_size);
}

/* Whether `a` belongs nearer to the root. Equal hashes are ordered by key, so that the shape does
 * not depend on the order of insertion. */
static bool is_above(const struct tx_map_node *a, const struct tx_map_node *b)
{
    if (a->priority != b->priority) {
        return a->priority > b->priority;
    }
    return compare_to_node(a->key, a->key_size, b) < 0;
}

static void free_node(struct tx_map *map, struct tx_map_node *node)
{
    if (map->release_value != NULL && node->value != NULL) {
        map->release_value(node->value);
    }
    tx_free(node);
}

void tx_map_init(struct tx_map *map, void (*release_value)(void *value))
{
    *map = (struct tx_map){NULL, 0, release_value};
}

void tx_map_release(struct tx_map *map)
{
    struct tx_map_node *node = map->root;
    map->root = NULL;
    map->count = 0;
    while (node != NULL) {
        struct tx_map_node *left = node->left;
        if (left != NULL) { /* rotate right until the least is on top */
            node->left = left->right;
            left->right = node;
            node = left;
        } else {
            struct tx_map_node *right = node->right;
            free_node(map, node);
            node = right;
        }
    }
}

/* The link that holds the node with this key, or NULL. */
static struct tx_map_node **find_link(struct tx_map_node **link, const void *key, size_t key_size)
{
    while (*link != NULL) {
        int order = compare_to_node(key, key_size, *link);
        if (order == 0) {
            return link;
        }
        link = order < 0 ? &(*link)->left : &(*link)->right;
    }
    return NULL;
}

/* Hang a new node in at its height; what stood there is split by its key into its two sides. */
static void insert_node(struct tx_map_node **link, struct tx_map_node *node)
{
    while (*link != NULL && is_above(*link, node)) {
        int order = compare_to_node(node->key, node->key_size, *link);
        link = order < 0 ? &(*link)->left : &(*link)->right;
    }
    struct tx_map_node *rest = *link;
    *link = node;
    struct tx_map_node **less = &node->left;
    struct tx_map_node **more = &node->right;
    while (rest != NULL) {
        if (compare_to_node(node->key, node->key_size, rest) < 0) {
            *more = rest;
            more = &rest->left;
            rest = rest->left;
        } else {
            *less = rest;
            less = &rest->right;
            rest = rest->right;
        }
    }
    *less = NULL;
    *more = NULL;
}

/* Replace *link, which has to go, by the merger of its two sides. */
static void unlink_node(struct tx_map_node **link)
{
    struct tx_map_node *left = (*link)->left;
    struct tx_map_node *right = (*link)->right;
    while (left != NULL && right != NULL) {
        if (is_above(left, right)) {
            *link = left;
            link = &left->right;
            left = left->right;
        } else {
            *link = right;
            link = &right->left;
            right = right->left;
        }
    }
    *link = left != NULL ? left : right;
}

enum tx_status tx_map_set(struct tx_map *map, const void *key, size_t key_size, void *value,
                          struct tx_error *err)
{
    struct tx_map_node **link = find_link(&map->root, key, key_size);
    if (link != NULL) {
        void *old = (*link)->value;
        (*link)->value = value;
        if (map->release_value != NULL && old != NULL && old != value) {
            map->release_value(old);
        }
        return TX_OK;
    }
    struct tx_map_node *node = NULL;
    if (key_size <= PTRDIFF_MAX - sizeof(*node)) {
        node = tx_alloc(sizeof(*node) + key_size);
    }
    if (node == NULL) {
        return tx_error_set(err, TX_ENOMEM, "out of memory: map key of %zu bytes", key_size);
    }
    node->priority = tx_hash64(key, key_size, 0);
    node->value = value;
    node->key_size = key_size;
    if (key_size > 0) {
        memcpy(node->key, key, key_size);
    }
    insert_node(&map->root, node);
    map->count++;
    return TX_OK;
}

void *tx_map_get(const struct tx_map *map, const void *key, size_t key_size)
{
    struct tx_map_node *root = map->root;
    struct tx_map_node **link = find_link(&root, key, key_size);
    return link != NULL ? (*link)->value : NULL;
}

bool tx_map_remove(struct tx_map *map, const void *key, size_t key_size)
{
    struct tx_map_node **link = find_link(&map->root, key, key_size);
    if (link == NULL) {
        return false;
    }
    struct tx_map_node *node = *link;
    unlink_node(link);
    map->count--;
    free_node(map, node);
    return true;
}

/* The least node whose order against the key is at most `limit`: 0 for >=, -1 for >. */
static bool find_from(const struct tx_map *map, const void *key, size_t key_size, int limit,
                      struct tx_map_entry *entry)
{
    const struct tx_map_node *best = NULL;
    const struct tx_map_node *node = map->root;
    while (node != NULL) {
        int order = key != NULL ? compare_to_node(key, key_size, node) : -1;
        if (order < 0 || (order == 0 && limit == 0)) {
            best = node;
            node = node->left;
        } else {
            node = node->right;
        }
    }
    if (best == NULL) {
        return false;
    }
    *entry = (struct tx_map_entry){best->key, best->key_size, best->value};
    return true;
}

bool tx_map_at_or_after(const struct tx_map *map, const void *key, size_t key_size,
                        struct tx_map_entry *entry)
{
    return find_from(map, key, key_size, 0, entry);
}

bool tx_map_after(const struct tx_map *map, const void *key, size_t key_size,
                  struct tx_map_entry *entry)
{
    return find_from(map, key, key_size, -1, entry);
}
