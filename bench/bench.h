/* SPDX-License-Identifier: MIT */
/* What the benchmarks share: time, medians, a scratch directory, dying with words. */
#ifndef BENCH_H
#define BENCH_H

#include <stddef.h>

#include <txkit/txkit.h>

#define BENCH_ROUNDS_MAX 31

struct bench_series {
    const char *name;
    double values[BENCH_ROUNDS_MAX];
    int count;
};

double bench_seconds(void);
void bench_add(struct bench_series *series, double value);
double bench_median(const struct bench_series *series);
/* Print one row of a Markdown table: name, median, minimum, maximum, ratio to `base` (its median
 * over this one's when `faster_is_smaller`). */
void bench_row(const struct bench_series *series, const char *unit, double scale,
               const struct bench_series *base);
void bench_head(const char *title, const char *unit, const char *base);
_Noreturn void bench_die(const char *what, const char *why);
void bench_must(enum tx_status status, const struct tx_error *err, const char *what);
/* Format into a buffer in which it must fit. */
void bench_text(char *text, size_t size, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* Make a fresh directory below BENCH_DIR (default: the current directory) and remove it at exit. */
const char *bench_directory(void);
/* A number from the environment. */
long bench_number(const char *name, long otherwise);

#endif
