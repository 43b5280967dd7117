/* SPDX-License-Identifier: MIT */
#include "bench.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static char directory[4096];

double bench_seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

void bench_add(struct bench_series *series, double value)
{
    if (series->count < BENCH_ROUNDS_MAX) {
        series->values[series->count++] = value;
    }
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a;
    double y = *(const double *)b;
    return (x > y) - (x < y);
}

static void sorted_values(const struct bench_series *series, double *values)
{
    memcpy(values, series->values, sizeof series->values);
    qsort(values, (size_t)series->count, sizeof *values, by_value);
}

double bench_median(const struct bench_series *series)
{
    double values[BENCH_ROUNDS_MAX];
    sorted_values(series, values);
    return series->count ? values[series->count / 2] : 0;
}

void bench_head(const char *title, const char *unit, const char *base)
{
    printf("\n### %s\n\n| | median %s | min | max | x %s |\n|---|---|---|---|---|\n", title, unit,
           base);
}

void bench_row(const struct bench_series *series, const char *unit, double scale,
               const struct bench_series *base)
{
    double values[BENCH_ROUNDS_MAX];
    sorted_values(series, values);
    printf("| %s | %.1f %s | %.1f | %.1f | %.2f |\n", series->name, bench_median(series) * scale,
           unit, values[0] * scale, values[series->count - 1] * scale,
           bench_median(base) / bench_median(series));
    fflush(stdout);
}

void bench_die(const char *what, const char *why)
{
    fprintf(stderr, "bench: %s: %s\n", what, why);
    exit(1);
}

void bench_must(enum tx_status status, const struct tx_error *err, const char *what)
{
    if (status != TX_OK) {
        bench_die(what, err->text);
    }
}

void bench_text(char *text, size_t size, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(text, size, format, arguments);
    va_end(arguments);
    if (length < 0 || (size_t)length >= size) {
        bench_die(format, "too long a name");
    }
}

static void remove_directory(void)
{
    struct tx_error err;
    if (txio_remove_tree(txio_posix(), TXIO_CWD, directory, &err) != TX_OK) {
        fprintf(stderr, "bench: %s stays: %s\n", directory, err.text);
    }
}

const char *bench_directory(void)
{
    const char *base = getenv("BENCH_DIR");
    bench_text(directory, sizeof directory, "%s/txkit-bench.XXXXXX", base ? base : ".");
    if (!mkdtemp(directory)) {
        bench_die(directory, "cannot make a directory");
    }
    atexit(remove_directory);
    return directory;
}

long bench_number(const char *name, long otherwise)
{
    const char *text = getenv(name);
    return text ? strtol(text, NULL, 10) : otherwise;
}
