/* SPDX-License-Identifier: MIT */
#include "fuzz/fuzz.h"

#include <malloc.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/hash.h"

static uint64_t memory_now;
static uint64_t memory_peak;

void fuzz_fail(const char *file, int line, const char *condition, const char *format, ...)
{
    va_list args;
    fflush(stdout);
    fprintf(stderr, "%s:%d: not so: %s: ", file, line, condition);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
    abort();
}

static void *counted_resize(void *arg, void *memory, size_t size)
{
    uint64_t before = memory != NULL ? malloc_usable_size(memory) : 0;
    (void)arg;
    void *now = realloc(memory, size);
    if (now != NULL) {
        memory_now = memory_now - before + malloc_usable_size(now);
        memory_peak = memory_now > memory_peak ? memory_now : memory_peak;
    }
    return now;
}

static void counted_release(void *arg, void *memory)
{
    (void)arg;
    memory_now -= malloc_usable_size(memory);
    free(memory);
}

uint64_t fuzz_memory_now(void)
{
    return memory_now;
}

uint64_t fuzz_memory_peak(void)
{
    return memory_peak;
}

void fuzz_memory_reset(void)
{
    memory_peak = memory_now;
}

bool fuzz_is_refusal(enum tx_status status)
{
    return status == TX_ECORRUPT || status == TX_EVERSION || status == TX_ELIMIT;
}

uint8_t fuzz_take8(struct fuzz_feed *feed)
{
    if (feed->left == 0) {
        return 0;
    }
    feed->left--;
    return *feed->data++;
}

uint32_t fuzz_take24(struct fuzz_feed *feed)
{
    uint32_t low = fuzz_take8(feed);
    uint32_t middle = fuzz_take8(feed);
    return low | middle << 8 | (uint32_t)fuzz_take8(feed) << 16;
}

const uint8_t *fuzz_take(struct fuzz_feed *feed, size_t *size)
{
    const uint8_t *data = feed->data;
    *size = *size < feed->left ? *size : feed->left;
    feed->data += *size;
    feed->left -= *size;
    return data;
}

uint64_t fuzz_hash(const void *data, size_t size, uint64_t seed)
{
    return tx_hash64(data, size, seed);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    static const struct tx_alloc_table table = {counted_resize, counted_release, NULL};
    (void)argc;
    (void)argv;
    tx_alloc_set_table(&table);
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static uint64_t runs;
    uint64_t before = memory_now;
    fuzz_memory_reset();
    fuzz_one(data, size);
    /* The first run may make what all later ones use. */
    FUZZ_EXPECT(runs++ == 0 || memory_now == before, "%llu bytes before, %llu after",
                (unsigned long long)before, (unsigned long long)memory_now);
    return 0;
}
