/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <string.h>
#include <xxhash.h> /* the installed library, against the functions that are compiled in */

#include "base/hash.h"

enum { LONGEST = 3000 };
static uint8_t data[LONGEST];

static void fill(void)
{
    uint32_t seed = 1;
    for (size_t i = 0; i < LONGEST; i++) {
        seed = seed * 1664525 + 1013904223;
        data[i] = (uint8_t)(seed >> 24);
    }
}

Test(base_hash, known_answers)
{
    static const uint8_t empty[16] = {0x99, 0xAA, 0x06, 0xD3, 0x01, 0x47, 0x98, 0xD8,
                                      0x60, 0x01, 0xC3, 0x24, 0x46, 0x8D, 0x49, 0x7F};
    cr_assert_eq(tx_hash64("", 0, 0), 0x2D06800538D394C2);
    struct tx_hash128 hash = tx_hash128_of("", 0);
    cr_assert_eq(memcmp(hash.bytes, empty, 16), 0);
}

Test(base_hash, agrees_with_the_library_at_every_length)
{
    fill();
    for (size_t size = 0; size < LONGEST; size += 1 + size / 64) {
        XXH128_canonical_t expected;
        XXH128_canonicalFromHash(&expected, XXH3_128bits(data, size));
        struct tx_hash128 hash = tx_hash128_of(data, size);
        cr_assert_eq(memcmp(hash.bytes, &expected, 16), 0);
        cr_assert_eq(tx_hash64(data, size, 0), XXH3_64bits(data, size));
        cr_assert_eq(tx_hash64(data, size, 77), XXH3_64bits_withSeed(data, size, 77));
    }
}

Test(base_hash, streaming_in_any_pieces_gives_the_same)
{
    fill();
    for (size_t piece = 1; piece < 700; piece = piece * 2 + 1) {
        struct tx_hasher plain;
        struct tx_hasher seeded;
        tx_hasher_init(&plain, 0);
        tx_hasher_init(&seeded, 77);
        for (size_t at = 0; at < LONGEST; at += piece) {
            size_t size = piece < LONGEST - at ? piece : LONGEST - at;
            tx_hasher_add(&plain, data + at, size);
            tx_hasher_add(&plain, NULL, 0);
            tx_hasher_add(&seeded, data + at, size);
        }
        struct tx_hash128 whole = tx_hash128_of(data, LONGEST);
        struct tx_hash128 streamed = tx_hasher_sum128(&plain);
        cr_assert_eq(memcmp(&whole, &streamed, 16), 0);
        cr_assert_eq(tx_hasher_sum64(&plain), tx_hash64(data, LONGEST, 0));
        cr_assert_eq(tx_hasher_sum64(&seeded), tx_hash64(data, LONGEST, 77));
    }
}

Test(base_hash, a_sum_may_be_taken_in_the_middle)
{
    fill();
    struct tx_hasher hasher;
    tx_hasher_init(&hasher, 5);
    tx_hasher_add(&hasher, data, 1000);
    cr_assert_eq(tx_hasher_sum64(&hasher), tx_hash64(data, 1000, 5));
    struct tx_hasher copy = hasher;
    tx_hasher_add(&hasher, data + 1000, 2000);
    cr_assert_eq(tx_hasher_sum64(&hasher), tx_hash64(data, 3000, 5));
    cr_assert_eq(tx_hasher_sum64(&copy), tx_hash64(data, 1000, 5));
}

Test(base_hash, every_flipped_bit_changes_the_seal)
{
    fill();
    uint64_t seal = tx_hash64(data, 300, 0);
    for (size_t bit = 0; bit < 300 * 8; bit++) {
        data[bit / 8] ^= (uint8_t)(1u << bit % 8);
        cr_assert_neq(tx_hash64(data, 300, 0), seal);
        data[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
}

Test(base_hash, copies_go_on_from_where_the_original_was)
{
    static unsigned char room[2 * sizeof(struct tx_hasher) + 64];
    unsigned char bytes[1000];
    memset(bytes, 'h', sizeof(bytes));
    for (size_t shift = 0; shift < 64; shift += 8) {
        struct tx_hasher *first = (struct tx_hasher *)(void *)(room + 64 - (uintptr_t)room % 64);
        struct tx_hasher second;
        tx_hasher_init(first, 7);
        tx_hasher_add(first, bytes, 300);
        unsigned char *moved = (unsigned char *)first + shift;
        memcpy(&second, first, sizeof(second));
        memcpy(moved, &second, sizeof(second));
        struct tx_hasher *copy = (struct tx_hasher *)(void *)moved;
        tx_hasher_add(copy, bytes + 300, 700);
        cr_expect_eq(tx_hasher_sum64(copy), tx_hash64(bytes, sizeof(bytes), 7), "shift %zu", shift);
    }
}
