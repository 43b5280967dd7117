/* SPDX-License-Identifier: MIT */
#include "base/hash.h"

/* Inlined from the header, because only then does the state have a known size for the stack. */
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/invariant.h"
#include "base/mutant.h"

enum { STATE_ALIGN = 64 };
_Static_assert(sizeof(XXH3_state_t) + STATE_ALIGN - 1 <= sizeof(((struct tx_hasher *)0)->state),
               "state fits");
_Static_assert(_Alignof(XXH3_state_t) <= STATE_ALIGN, "state is aligned");

/* A copy of the structure may be aligned otherwise than its original: then the state moves. */
static XXH3_state_t *state_of(struct tx_hasher *hasher)
{
    size_t offset = -(uintptr_t)hasher->state & (STATE_ALIGN - 1);
    if (offset != hasher->offset && !TX_MUTANT(41)) { /* the state stays where it is not sought */
        memmove(hasher->state + offset, hasher->state + hasher->offset, sizeof(XXH3_state_t));
        hasher->offset = offset;
    }
    return (XXH3_state_t *)(hasher->state + offset);
}

/* The canonical (big-endian) form, so that `xxhsum -H128` prints the same digits. */
static struct tx_hash128 canonical(XXH128_hash_t sum)
{
    XXH128_canonical_t bytes;
    XXH128_canonicalFromHash(&bytes, sum);
    struct tx_hash128 hash;
    _Static_assert(sizeof(bytes) == sizeof(hash), "128 bits");
    memcpy(&hash, &bytes, sizeof(hash));
    return hash;
}

uint64_t tx_hash64(const void *data, size_t size, uint64_t seed)
{
    return XXH3_64bits_withSeed(data, size, seed);
}

struct tx_hash128 tx_hash128_of(const void *data, size_t size)
{
    return canonical(XXH3_128bits(data, size));
}

void tx_hasher_init(struct tx_hasher *hasher, uint64_t seed)
{
    /* One state serves both widths: the library resets them alike. */
    hasher->offset = 0;
    XXH3_state_t *state = state_of(hasher);
    XXH3_INITSTATE(state);
    TX_INVARIANT(XXH3_64bits_reset_withSeed(state, seed) == XXH_OK);
}

void tx_hasher_add(struct tx_hasher *hasher, const void *data, size_t size)
{
    if (size > 0) {
        XXH3_state_t *state = state_of(hasher);
        TX_INVARIANT(XXH3_64bits_update(state, data, size) == XXH_OK);
    }
}

uint64_t tx_hasher_sum64(const struct tx_hasher *hasher)
{
    struct tx_hasher copy = *hasher;
    return XXH3_64bits_digest(state_of(&copy));
}

struct tx_hash128 tx_hasher_sum128(const struct tx_hasher *hasher)
{
    struct tx_hasher copy = *hasher;
    return canonical(XXH3_128bits_digest(state_of(&copy)));
}
