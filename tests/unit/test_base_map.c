/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <string.h>

#include "base/base_internal.h"
#include "base/map.h"
#include "unit/failing_alloc.h"

static uint32_t seed = 1;

static uint32_t random_below(uint32_t limit)
{
    seed = seed * 1664525 + 1013904223;
    return (uint32_t)((uint64_t)seed * limit >> 32);
}

/* --- A model: sorted array, found by looking at all of it. --- */

enum { MODEL_SIZE = 4096, KEY_SIZE = 3 };
struct model_entry {
    uint8_t key[KEY_SIZE];
    size_t size;
    void *value;
};
static struct model_entry model[MODEL_SIZE];
static size_t model_count;

static int compare(const void *a, size_t a_size, const void *b, size_t b_size)
{
    int order = memcmp(a, b, a_size < b_size ? a_size : b_size);
    return order != 0 ? order : (int)a_size - (int)b_size;
}

/* Index of the first entry with key >= the given one. */
static size_t model_at_or_after(const uint8_t *key, size_t size)
{
    size_t i = 0;
    while (i < model_count && compare(model[i].key, model[i].size, key, size) < 0) {
        i++;
    }
    return i;
}

static bool model_has(size_t i, const uint8_t *key, size_t size)
{
    return i < model_count && compare(model[i].key, model[i].size, key, size) == 0;
}

static void model_set(const uint8_t *key, size_t size, void *value)
{
    size_t i = model_at_or_after(key, size);
    if (!model_has(i, key, size)) {
        memmove(&model[i + 1], &model[i], (model_count - i) * sizeof(model[0]));
        model_count++;
        memcpy(model[i].key, key, KEY_SIZE);
        model[i].size = size;
    }
    model[i].value = value;
}

static bool model_remove(const uint8_t *key, size_t size)
{
    size_t i = model_at_or_after(key, size);
    if (!model_has(i, key, size)) {
        return false;
    }
    model_count--;
    memmove(&model[i], &model[i + 1], (model_count - i) * sizeof(model[0]));
    return true;
}

static void check_entry(bool found, const struct tx_map_entry *entry, size_t i)
{
    cr_assert_eq(found, i < model_count);
    if (found) {
        cr_assert_eq(entry->key_size, model[i].size);
        cr_assert_eq(memcmp(entry->key, model[i].key, entry->key_size), 0);
        cr_assert_eq(entry->value, model[i].value);
    }
}

static void check_key(const struct tx_map *map, const uint8_t *key, size_t size)
{
    struct tx_map_entry entry;
    size_t i = model_at_or_after(key, size);
    bool present = model_has(i, key, size);
    cr_assert_eq(tx_map_get(map, key, size), present ? model[i].value : NULL);
    check_entry(tx_map_at_or_after(map, key, size, &entry), &entry, i);
    check_entry(tx_map_after(map, key, size, &entry), &entry, i + present);
}

static void check_order(const struct tx_map *map)
{
    struct tx_map_entry entry;
    size_t i = 0;
    cr_assert_eq(map->count, model_count);
    bool found = tx_map_at_or_after(map, NULL, 0, &entry);
    for (; found; i++) {
        check_entry(found, &entry, i);
        found = tx_map_after(map, entry.key, entry.key_size, &entry);
    }
    cr_assert_eq(i, model_count);
}

Test(base_map, agrees_with_a_sorted_array_over_random_operations)
{
    TX_AUTO(tx_map) map;
    tx_map_init(&map, NULL);
    for (uintptr_t round = 1; round < 60000; round++) {
        /* Short keys of few letters meet often and are prefixes of each other; phases of growing
         * and of shrinking. */
        uint8_t key[KEY_SIZE];
        size_t size = random_below(KEY_SIZE + 1);
        for (size_t i = 0; i < KEY_SIZE; i++) {
            key[i] = (uint8_t)(random_below(8) * 36);
        }
        if (random_below(8) < (round / 5000 % 2 == 0 ? 6u : 2u)) {
            cr_assert_eq(tx_map_set(&map, key, size, (void *)round, NULL), TX_OK);
            model_set(key, size, (void *)round);
        } else {
            cr_assert_eq(tx_map_remove(&map, key, size), model_remove(key, size));
        }
        key[0] ^= (uint8_t)random_below(2);
        check_key(&map, key, size);
        if (round % 1000 == 0) {
            check_order(&map);
        }
    }
}

/* Trees of the same shape over the same keys; answers their depth. */
static int check_same(const struct tx_map_node *a, const struct tx_map_node *b)
{
    cr_assert_eq(a == NULL, b == NULL);
    if (a == NULL) {
        return 0;
    }
    cr_assert_eq(compare(a->key, a->key_size, b->key, b->key_size), 0);
    int left = check_same(a->left, b->left);
    int right = check_same(a->right, b->right);
    return 1 + (left > right ? left : right);
}

Test(base_map, equal_contents_give_equal_and_shallow_trees)
{
    enum { KEYS = 5000 };
    TX_AUTO(tx_map) a;
    TX_AUTO(tx_map) b;
    tx_map_init(&a, NULL);
    tx_map_init(&b, NULL);
    for (uint32_t i = 0; i < 3 * KEYS; i++) { /* in order, two of three removed again */
        cr_assert_eq(tx_map_set(&a, &i, sizeof(i), &a, NULL), TX_OK);
    }
    for (uint32_t i = 0; i < 2 * KEYS; i++) {
        cr_assert(tx_map_remove(&a, &(uint32_t){i % 2 == 0 ? i : 3 * KEYS - i}, sizeof(i)));
    }
    for (uint32_t i = 3 * KEYS; i-- > 0;) { /* the other way round, only what is left */
        if (tx_map_get(&a, &i, sizeof(i)) != NULL) {
            cr_assert_eq(tx_map_set(&b, &i, sizeof(i), &b, NULL), TX_OK);
        }
    }
    cr_assert_eq(a.count, KEYS);
    cr_assert_leq(check_same(a.root, b.root), 40);
}

enum { COLLIDING_SIZE = 32 };

/* XXH3 multiplies the first 8 bytes of such a key, less its secret, by the next 8: with the secret
 * in their place the next 8 do not count. */
static void colliding_key(uint8_t key[COLLIDING_SIZE], uint8_t letter)
{
    static const uint8_t secret[8] = {0xb8, 0xfe, 0x6c, 0x39, 0x23, 0xa4, 0x4b, 0xbe};
    memset(key, 'k', COLLIDING_SIZE);
    memcpy(key, secret, sizeof(secret));
    key[sizeof(secret)] = letter;
}

Test(base_map, keys_made_to_have_one_hash_are_kept_apart_in_one_shape)
{
    enum { KEYS = 26 };
    TX_AUTO(tx_map) up;
    TX_AUTO(tx_map) down;
    struct tx_map_entry entry;
    tx_map_init(&up, NULL);
    tx_map_init(&down, NULL);
    for (uint8_t i = 0; i < KEYS; i++) {
        uint8_t key[COLLIDING_SIZE];
        colliding_key(key, (uint8_t)('a' + i));
        cr_assert_eq(tx_map_set(&up, key, sizeof(key), &up, NULL), TX_OK);
        colliding_key(key, (uint8_t)('z' - i));
        cr_assert_eq(tx_map_set(&down, key, sizeof(key), &down, NULL), TX_OK);
        cr_assert_eq(up.root->priority, down.root->priority);
    }
    cr_assert_eq(check_same(up.root, down.root), KEYS); /* no hash, no balance */
    bool found = tx_map_at_or_after(&up, NULL, 0, &entry);
    for (uint8_t i = 0; i < KEYS; i++) {
        cr_assert(found && ((const uint8_t *)entry.key)[8] == 'a' + i);
        found = tx_map_after(&up, entry.key, entry.key_size, &entry);
    }
    cr_assert_not(found);
}

Test(base_map, the_empty_key_is_a_key)
{
    TX_AUTO(tx_map) map;
    struct tx_map_entry entry;
    tx_map_init(&map, NULL);
    cr_assert_eq(tx_map_set(&map, "", 0, "empty", NULL), TX_OK);
    cr_assert_eq(tx_map_set(&map, "a", 1, "letter", NULL), TX_OK);
    cr_assert_str_eq(tx_map_get(&map, "", 0), "empty");
    cr_assert(tx_map_after(&map, NULL, 0, &entry));
    cr_assert_str_eq(entry.value, "empty");
    cr_assert(tx_map_after(&map, "", 0, &entry));
    cr_assert_str_eq(entry.value, "letter");
    cr_assert(tx_map_remove(&map, "", 0));
    cr_assert_null(tx_map_get(&map, "", 0));
}

Test(base_map, keys_are_copied_and_bytes_are_unsigned)
{
    TX_AUTO(tx_map) map;
    struct tx_map_entry entry;
    char key[2] = {'\x7F', 0};
    tx_map_init(&map, NULL);
    cr_assert_eq(tx_map_set(&map, key, 2, "low", NULL), TX_OK);
    key[0] = '\xFF';
    cr_assert_eq(tx_map_set(&map, key, 2, "high", NULL), TX_OK);
    key[0] = 0;
    cr_assert(tx_map_at_or_after(&map, "", 0, &entry));
    cr_assert_str_eq(entry.value, "low");
    cr_assert(tx_map_after(&map, entry.key, entry.key_size, &entry));
    cr_assert_str_eq(entry.value, "high");
}

static void count_release(void *value)
{
    ++*(int *)value;
}

Test(base_map, values_are_released_once_when_they_leave)
{
    int a = 0;
    int b = 0;
    int c = 0;
    struct tx_map map;
    tx_map_init(&map, count_release);
    cr_assert_eq(tx_map_set(&map, "k", 1, &a, NULL), TX_OK);
    cr_assert_eq(tx_map_set(&map, "k", 1, &a, NULL), TX_OK); /* itself: stays */
    cr_assert_eq(a, 0);
    cr_assert_eq(tx_map_set(&map, "k", 1, &b, NULL), TX_OK);
    cr_assert_eq(a, 1);
    cr_assert(tx_map_remove(&map, "k", 1));
    cr_assert_eq(b, 1);
    cr_assert_not(tx_map_remove(&map, "k", 1));
    cr_assert_eq(tx_map_set(&map, "l", 1, &c, NULL), TX_OK);
    cr_assert_eq(tx_map_set(&map, "m", 1, NULL, NULL), TX_OK); /* nothing to release */
    cr_assert_eq(tx_map_set(&map, "m", 1, NULL, NULL), TX_OK);
    tx_map_release(&map);
    tx_map_release(&map);
    cr_assert_eq(a + b + c, 3);
    cr_assert_eq(c, 1);
    cr_assert_eq(map.count, 0);
}

Test(base_map, a_large_map_in_order_of_keys_is_released_whole)
{
    struct tx_map map;
    tx_map_init(&map, NULL);
    failing_alloc_begin(SIZE_MAX);
    for (uint32_t i = 0; i < 100000; i++) {
        uint8_t key[4] = {(uint8_t)(i >> 24), (uint8_t)(i >> 16), (uint8_t)(i >> 8), (uint8_t)i};
        cr_assert_eq(tx_map_set(&map, key, 4, &map, NULL), TX_OK);
    }
    cr_assert_eq(map.count, 100000);
    cr_assert_eq(failing_alloc.in_use, 100000);
    tx_map_release(&map);
    cr_assert_eq(failing_alloc.in_use, 0);
    (void)failing_alloc_end();
}

Test(base_map, survives_failure_of_every_allocation)
{
    for (size_t fail_at = 0; fail_at <= 20; fail_at++) {
        int released = 0;
        struct tx_map map;
        tx_map_init(&map, count_release);
        failing_alloc_begin(fail_at);
        for (size_t i = 0; i < 20; i++) {
            uint8_t key = (uint8_t)(i * 37);
            struct tx_error err;
            enum tx_status status = tx_map_set(&map, &key, 1, &released, &err);
            cr_assert_eq(status, i < fail_at ? TX_OK : TX_ENOMEM);
            cr_assert_eq(tx_map_get(&map, &key, 1), i < fail_at ? &released : NULL);
        }
        cr_assert_eq(map.count, fail_at);
        uint8_t first = 0; /* replacing needs no memory */
        int other = 0;
        if (fail_at > 0) {
            cr_assert_eq(tx_map_set(&map, &first, 1, &other, NULL), TX_OK);
            cr_assert_eq(released, 1);
        }
        tx_map_release(&map);
        cr_assert_eq(released + other, (int)fail_at + (fail_at > 0));
        cr_assert_eq(failing_alloc.in_use, 0);
        cr_assert_eq(failing_alloc_end(), fail_at < 20);
    }
}

Test(base_map, keys_beyond_memory_are_refused)
{
    TX_AUTO(tx_map) map;
    tx_map_init(&map, NULL);
    cr_assert_eq(tx_map_set(&map, "x", SIZE_MAX, &map, NULL), TX_ENOMEM);
    cr_assert_eq(map.count, 0);
}
