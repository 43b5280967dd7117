/* SPDX-License-Identifier: MIT */
/* A bar on a terminal for work that lasts longer than a second; elsewhere nothing. */
#include <time.h>
#include <unistd.h>

#include "txctl/txctl_internal.h"

#define NS_PER_S 1000000000
#define SHOW_AFTER_NS NS_PER_S
#define SHOW_EVERY_NS (NS_PER_S / 5)
#define BAR_WIDTH 24

static int64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * NS_PER_S + now.tv_nsec;
}

bool txctl_progress_wanted(const struct txctl_context *context)
{
    return !context->globals.no_progress && !context->globals.quiet && isatty(STDERR_FILENO);
}

void txctl_progress_begin(struct txctl_progress *progress, const struct txctl_context *context,
                          uint64_t total, uint64_t total_files)
{
    *progress = (struct txctl_progress){
        .context = context,
        .total = total,
        .total_files = total_files,
        .began_ns = now_ns(),
    };
    progress->shown_ns = progress->began_ns + SHOW_AFTER_NS - SHOW_EVERY_NS;
}

static void show_bar(const struct txctl_progress *progress, uint64_t bytes)
{
    char bar[BAR_WIDTH + 1];
    int full = (int)((double)bytes / (double)progress->total * BAR_WIDTH);
    for (int i = 0; i < BAR_WIDTH; i++) {
        bar[i] = i < full ? '#' : '.';
    }
    bar[BAR_WIDTH] = '\0';
    fprintf(stderr, "[%s] ", bar);
}

void txctl_progress_at(struct txctl_progress *progress, uint64_t files, uint64_t bytes)
{
    int64_t now = now_ns();
    if (now - progress->shown_ns < SHOW_EVERY_NS || !txctl_progress_wanted(progress->context)) {
        return;
    }
    char size[TXCTL_SIZE_TEXT];
    char rate[TXCTL_SIZE_TEXT];
    double seconds = (double)(now - progress->began_ns) / NS_PER_S;
    double speed = (double)bytes / seconds;
    fputc('\r', stderr);
    if (progress->total > 0 && bytes <= progress->total) {
        show_bar(progress, bytes);
    }
    if (progress->total_files > 0) {
        fprintf(stderr, "%llu/%llu files ", (unsigned long long)files,
                (unsigned long long)progress->total_files);
    } else if (files > 0) {
        fprintf(stderr, "%llu files ", (unsigned long long)files);
    }
    fprintf(stderr, "%s %s/s", txctl_size_text(bytes, size),
            txctl_size_text((uint64_t)speed, rate));
    if (progress->total > bytes && speed > 0) {
        fprintf(stderr, " %.0f s left", (double)(progress->total - bytes) / speed);
    }
    fputs("\033[K", stderr);
    progress->shown_ns = now;
    progress->shown = true;
}

void txctl_progress_end(struct txctl_progress *progress)
{
    if (progress->shown) {
        fputs("\r\033[K", stderr);
    }
}
