/* SPDX-License-Identifier: MIT */
/* A report as text: what was done, the totals, each violation with the command that repeats it. */
#include <inttypes.h>

#include "report_internal.h"

#define VIOLATIONS_SHOWN 10u

static void print_violation(const struct report_state *state, FILE *to)
{
    fprintf(to, "\nviolation before event %" PRIu64 ", %s\n", state->event,
            state->choice ? state->choice : "everything kept");
    if (state->message) {
        fprintf(to, "  %s\n", state->message);
    }
    if (state->reproduce) {
        fprintf(to, "  again: %s\n", state->reproduce);
    }
    if (state->image) {
        fprintf(to, "  image: %s\n", state->image);
    }
}

void report_print_text(const struct report *report, FILE *to)
{
    fprintf(to, "txcrash %s: %s\n", report->mode, report->subject);
    for (size_t i = 0; i < report->note_count; i++) {
        fprintf(to, "  %-12s %s\n", report->notes[i].name, report->notes[i].value);
    }
    for (size_t i = 0; i < report->total_count; i++) {
        fprintf(to, "  %-24s %" PRIu64 "\n", report->totals[i].name, report->totals[i].count);
    }
    uint64_t shown = 0;
    for (size_t i = 0; i < report->state_count && shown < VIOLATIONS_SHOWN; i++) {
        if (report->states[i].verdict == REPORT_VIOLATION) {
            print_violation(&report->states[i], to);
            shown++;
        }
    }
    uint64_t violations = report->verdicts[REPORT_VIOLATION];
    if (violations > shown) {
        fprintf(to, "\nand %" PRIu64 " more\n", violations - shown);
    }
    fprintf(to, "\n%zu states: %" PRIu64 " fine, %" PRIu64 " violations, %" PRIu64 " unjudged\n",
            report->state_count, report->verdicts[REPORT_FINE], violations,
            report->verdicts[REPORT_UNJUDGED]);
}
