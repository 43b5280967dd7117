/* SPDX-License-Identifier: MIT */
/*
 * What the fuzzers share. A fuzzer is one file that defines fuzz_one; the rest is either libFuzzer
 * (`make fuzz`) or fuzz_driver.c, which feeds the corpus and seeded mutations of it (`make check`).
 * An oracle that fails aborts, so that both kinds of driver keep the input.
 */
#ifndef TX_FUZZ_FUZZ_H
#define TX_FUZZ_FUZZ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <txkit/error.h>

/* Try one input. What it allocates from the library must be given back at its end. */
void fuzz_one(const uint8_t *data, size_t size);

/* libFuzzer's names, which fuzz_driver.c calls as well. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerInitialize(int *argc, char ***argv);

/* Abort with a message unless the condition holds. */
#define FUZZ_EXPECT(condition, ...)                                                                \
    ((condition) ? (void)0 : fuzz_fail(__FILE__, __LINE__, #condition, __VA_ARGS__))
void fuzz_fail(const char *file, int line, const char *condition, const char *format, ...)
    TX_PRINTF(4, 5) __attribute__((noreturn));
/* For what the harness itself needs. */
#define FUZZ_MUST(call, err)                                                                       \
    do {                                                                                           \
        enum tx_status fuzz_status_ = (call);                                                      \
        FUZZ_EXPECT(fuzz_status_ == TX_OK, "%s: %s", tx_status_name(fuzz_status_), (err)->text);   \
    } while (0)

/* Bytes that the library has allocated now, and at most since fuzz_memory_reset. */
uint64_t fuzz_memory_now(void);
uint64_t fuzz_memory_peak(void);
void fuzz_memory_reset(void);

/* A status is one that damaged input may be answered with; anything else is a wrong diagnosis. */
bool fuzz_is_refusal(enum tx_status status);

/* Reads an input from its front; zeroes after its end. */
struct fuzz_feed {
    const uint8_t *data;
    size_t left;
};
uint8_t fuzz_take8(struct fuzz_feed *feed);
uint32_t fuzz_take24(struct fuzz_feed *feed);
/* *size: how much is wanted; out, how much there is. */
const uint8_t *fuzz_take(struct fuzz_feed *feed, size_t *size);

/* XXH3 of bytes, to compare states. */
uint64_t fuzz_hash(const void *data, size_t size, uint64_t seed);

#endif
