/* SPDX-License-Identifier: MIT */
/* XXH3 (https://github.com/Cyan4973/xxHash): 64 bits seal frames and pages, 128 name payloads. */
#ifndef TX_BASE_HASH_H
#define TX_BASE_HASH_H

#include <stddef.h>
#include <stdint.h>

struct tx_hash128 {
    uint8_t bytes[16];
};

uint64_t tx_hash64(const void *data, size_t size, uint64_t seed);
struct tx_hash128 tx_hash128_of(const void *data, size_t size);

/* Streaming, for contents that do not fit in memory and for seals over several parts. The state is
 * on the caller's stack or in any memory, and is not to be moved: it finds its alignment itself (an
 * over-aligned type would get none from tx_alloc, nor from gcc 12 under AddressSanitizer). */
struct tx_hasher {
    size_t offset; /* of the state in the bytes below; follows when the structure is copied */
    unsigned char state[640];
};
void tx_hasher_init(struct tx_hasher *hasher, uint64_t seed);
void tx_hasher_add(struct tx_hasher *hasher, const void *data, size_t size);
uint64_t tx_hasher_sum64(const struct tx_hasher *hasher);
struct tx_hash128 tx_hasher_sum128(const struct tx_hasher *hasher);

#endif
