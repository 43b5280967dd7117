/* SPDX-License-Identifier: MIT */
/*
 * Stands in for libFuzzer in `make check`: feeds a fuzzer every file of its corpus, and seeded
 * mutations of these. One TAP line; an oracle that fails aborts after the input was named.
 *
 *     fuzz_NAME [FILE]...      these inputs and nothing else
 *     FUZZ_RUNS=N              mutations of each file (default: so many as make 4,000 in all)
 *     FUZZ_SEED=N              of the mutations
 *     FUZZ_KEEP=FILE           write the input there that broke a promise
 */
#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fuzz/fuzz.h"

#define INPUT_MAX 65536u
#define FILES_MAX 2000
#define RUNS_TOTAL 4000.0

static struct {
    const char *file;
    uint64_t run, seed;
    const uint8_t *data;
    size_t size;
} doing;

static uint64_t next_random(uint64_t *state)
{
    uint64_t z = (*state += UINT64_C(0x9e3779b97f4a7c15)); /* splitmix64 */
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

static void keep_input(void)
{
    const char *path = getenv("FUZZ_KEEP");
    FILE *file = path != NULL ? fopen(path, "wb") : NULL;
    if (file != NULL) {
        fwrite(doing.data, 1, doing.size, file);
        fclose(file);
    }
}

/* Name the input before dying of it. */
static void on_abort(int number)
{
    char text[512];
    int size = snprintf(text, sizeof text, "Bail out! %.300s, mutation %llu, seed %llu\n",
                        doing.file, (unsigned long long)doing.run, (unsigned long long)doing.seed);
    ssize_t written = write(STDOUT_FILENO, text, (size_t)size);
    (void)written; /* nothing left to do about it */
    keep_input();
    signal(number, SIG_DFL);
    raise(number);
}

static size_t load(const char *path, uint8_t *data)
{
    FILE *file = fopen(path, "rb");
    if (file == NULL) {
        printf("Bail out! cannot open %s\n", path);
        exit(1);
    }
    size_t size = fread(data, 1, INPUT_MAX, file);
    fclose(file);
    return size;
}

static size_t splice(uint8_t *data, size_t size, size_t at, uint64_t random)
{
    size_t count = 1 + random % 8;
    if (random & 64) { /* out */
        count = count < size - at ? count : size - at;
        memmove(data + at, data + at + count, size - at - count);
        return size - count;
    }
    if (size + count > INPUT_MAX) {
        return size;
    }
    memmove(data + at + count, data + at, size - at);
    memset(data + at, (int)(random >> 8), count);
    return size + count;
}

static size_t mutate(uint8_t *data, size_t size, uint64_t *state)
{
    static const uint8_t telling[] = {0, 1, 0x7f, 0x80, 0xff, 0xfe, 8, 16};
    unsigned steps = 1 + (unsigned)(next_random(state) % 4);
    for (unsigned i = 0; i < steps; i++) {
        uint64_t random = next_random(state);
        size_t at = size > 0 ? (random >> 16) % size : 0;
        if (size == 0 || random % 4 == 0) {
            size = splice(data, size, at, random >> 2);
        } else if (random % 4 == 1) {
            data[at] ^= (uint8_t)(1u << (random >> 4) % 8);
        } else if (random % 4 == 2) {
            data[at] = telling[(random >> 4) % sizeof telling];
        } else {
            data[at] = (uint8_t)(data[at] + (random >> 4) % 33 - 16);
        }
    }
    return size;
}

static void run_file(const char *path, uint64_t runs, uint64_t seed)
{
    static uint8_t original[INPUT_MAX];
    static uint8_t data[INPUT_MAX];
    size_t size = load(path, original);
    uint64_t state = fuzz_hash(original, size, seed);
    doing.file = path;
    doing.seed = seed;
    for (doing.run = 0; doing.run <= runs; doing.run++) {
        memcpy(data, original, size);
        size_t now = doing.run == 0 ? size : mutate(data, size, &state);
        /* A copy of its own size, so that a sanitizer sees each byte read too much. */
        uint8_t *exact = malloc(now > 0 ? now : 1);
        memcpy(exact, data, now);
        doing.data = exact;
        doing.size = now;
        LLVMFuzzerTestOneInput(exact, now);
        free(exact);
    }
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* The corpus of the program fuzz_NAME: $srcdir/tests/fuzz/corpus/NAME. */
static int list_corpus(const char *program, char **paths)
{
    const char *top = getenv("srcdir");
    const char *name = strrchr(program, '/') != NULL ? strrchr(program, '/') + 1 : program;
    char dir[4096];
    int count = 0;
    name += strncmp(name, "lt-", 3) == 0 ? 3 : 0;
    name += strncmp(name, "fuzz_", 5) == 0 ? 5 : 0;
    snprintf(dir, sizeof dir, "%s/tests/fuzz/corpus/%s", top != NULL ? top : ".", name);
    DIR *stream = opendir(dir);
    if (stream == NULL) {
        printf("Bail out! no corpus %s\n", dir);
        exit(1);
    }
    for (struct dirent *entry; (entry = readdir(stream)) != NULL && count < FILES_MAX;) {
        if (entry->d_name[0] != '.' &&
            asprintf(&paths[count], "%s/%s", dir, entry->d_name) >= 0) {
            count++;
        }
    }
    closedir(stream);
    qsort(paths, (size_t)count, sizeof *paths, by_name);
    return count;
}

static uint64_t number_of(const char *variable, double otherwise)
{
    const char *text = getenv(variable);
    return text != NULL ? strtoull(text, NULL, 10) : (uint64_t)otherwise;
}

int main(int argc, char **argv)
{
    static char *paths[FILES_MAX];
    const char *scale = getenv("TXKIT_TEST_SCALE");
    uint64_t seed = number_of("FUZZ_SEED", 1);
    int count = argc - 1;
    uint64_t runs = 0;
    signal(SIGABRT, on_abort);
    signal(SIGSEGV, on_abort);
    LLVMFuzzerInitialize(&argc, &argv);
    if (argc > 1) {
        memcpy(paths, argv + 1, (size_t)(count < FILES_MAX ? count : FILES_MAX) * sizeof *paths);
    } else {
        count = list_corpus(argv[0], paths);
        double total = RUNS_TOTAL * (scale != NULL ? strtod(scale, NULL) : 1);
        runs = number_of("FUZZ_RUNS", total / (count > 0 ? count : 1));
    }
    for (int i = 0; i < count; i++) {
        run_file(paths[i], runs, seed);
    }
    printf("1..1\n%s 1 - %d inputs and %llu mutations of each keep every promise\n",
           count > 0 ? "ok" : "not ok", count, (unsigned long long)runs);
    return count > 0 ? 0 : 1;
}
