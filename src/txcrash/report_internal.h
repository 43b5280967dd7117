/* SPDX-License-Identifier: MIT */
/* What a report holds, for the files that print it. */
#ifndef TXCRASH_REPORT_INTERNAL_H
#define TXCRASH_REPORT_INTERNAL_H

#include <stdio.h>

#include "report.h"

struct report_pair {
    char *name, *value;
};

struct report_event_kept {
    enum report_event_kind kind;
    uint64_t offset, size;
    char *text;
};

struct report_total {
    char *name;
    uint64_t count;
};

struct report {
    char *mode, *subject;
    struct report_pair *notes;
    struct report_event_kept *events;
    struct report_state *states; /* texts are ours */
    struct report_total *totals;
    size_t note_count, event_count, state_count, total_count;
    uint64_t verdicts[REPORT_UNJUDGED + 1]; /* how many states of each */
};

extern const char *const report_verdict_names[]; /* "fine", "violation", "unjudged" */
extern const char *const report_event_names[];   /* "write", "flush", "ack", "call", "fault" */

/* `memory`; ends the program when it is NULL. */
void *report_need(void *memory);

void report_print_text(const struct report *report, FILE *to);
/* The whole report in one line. Ownership: free. */
char *report_json(const struct report *report);
/* The page, with what report_json answered in it. */
void report_print_html(const char *json, FILE *to);

#endif
