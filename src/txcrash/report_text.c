/* SPDX-License-Identifier: MIT */
/* A report as text: what was done, the totals, each violation with the command that repeats it. */
#include <inttypes.h>

#include "report_internal.h"

#define VIOLATIONS_SHOWN 10u

/* Does a terminal obey what begins here? Controls, and those of Latin-1 as UTF-8 spells them. */
static size_t control_size(const unsigned char *at)
{
    if (at[0] < 0x20 || at[0] == 0x7f) {
        return 1;
    }
    return at[0] == 0xc2 && at[1] >= 0x80 && at[1] < 0xa0 ? 2 : 0;
}

/* Such bytes are shown, not sent. */
static void print_escaped(const char *text, FILE *to)
{
    for (const unsigned char *at = (const unsigned char *)text; *at;) {
        size_t size = control_size(at);
        if (size == 0) {
            fputc(*at++, to);
        }
        for (; size > 0; size--) {
            fprintf(to, "\\x%02x", *at++);
        }
    }
}

static void print_line(const char *title, const char *text, FILE *to)
{
    if (text) {
        fputs(title, to);
        print_escaped(text, to);
        fputc('\n', to);
    }
}

static void print_violation(const struct report *report, const struct report_state *state, FILE *to)
{
    bool at_end = state->event >= report->event_count;
    fprintf(to, "\nviolation %s event %" PRIu64 ", ", at_end ? "after the last" : "before",
            state->event);
    print_escaped(state->choice ? state->choice : "everything kept", to);
    fputc('\n', to);
    print_line("  next:  ", at_end ? NULL : report->events[state->event].text, to);
    print_line("  found: ", state->message, to);
    print_line("  again: ", state->reproduce, to);
    print_line("  image: ", state->image, to);
}

static void print_total(const struct report_total *total, FILE *to)
{
    fprintf(to, "  %8" PRIu64 "  ", total->count);
    print_escaped(total->name, to);
    fputc('\n', to);
}

void report_print_text(const struct report *report, FILE *to)
{
    fprintf(to, "txcrash %s", report->mode);
    print_line(": ", report->subject, to);
    for (size_t i = 0; i < report->note_count; i++) {
        fputs("  ", to);
        print_escaped(report->notes[i].name, to);
        print_line(": ", report->notes[i].value, to);
    }
    for (size_t i = 0; i < report->total_count; i++) {
        print_total(&report->totals[i], to);
    }
    uint64_t shown = 0;
    for (size_t i = 0; i < report->state_count && shown < VIOLATIONS_SHOWN; i++) {
        if (report->states[i].verdict == REPORT_VIOLATION) {
            print_violation(report, &report->states[i], to);
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
