/* SPDX-License-Identifier: MIT */
/*
 * What every way of hurting a program ends in: one report, printed as text, as JSON or as a page
 * with a picture.
 *
 *     struct report *report = report_new("powercut", "ext4");
 *     report_event(report, REPORT_FLUSH, 0, 0, "fsync");      in their total order
 *     report_state(report, &state);                           in any order
 *     report_count(report, "torn", n);
 *     code = report_finish(report, &outputs);                 prints, answers the exit code
 *     report_free(report);
 *
 * The time axis is the number of the event: no clock is involved, so the same run gives the same
 * report. Memory that cannot be had ends the program with one line: this is a tool, not a library.
 */
#ifndef TXCRASH_REPORT_H
#define TXCRASH_REPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Things that happened while the program was recorded. */
enum report_event_kind {
    REPORT_WRITE, /* the device was given `size` bytes at `offset`, not durable yet */
    REPORT_FLUSH, /* everything written before is durable */
    REPORT_ACK,   /* the program acknowledged `text` */
    REPORT_CALL,  /* a system call or an operation of the library, `text` is its name */
    REPORT_FAULT, /* something was made to fail, `text` says what */
};

/* What the check said of one state. */
enum report_verdict {
    REPORT_FINE,
    REPORT_VIOLATION, /* convicts the program */
    REPORT_UNJUDGED,  /* the file system itself did not survive: nobody's fault here */
};

struct report_state {
    uint64_t event; /* the crash comes before this event; the count of events: after all of them */
    enum report_verdict verdict;
    const char *choice;    /* what was kept of the pending: "prefix 12 of 40", "subset 0x5 torn" */
    const char *message;   /* last line that the check printed; NULL when fine */
    const char *reproduce; /* one shell command that makes this state again; NULL: none */
    const char *image;     /* where the state was exported; NULL: nowhere */
};

struct report; /* report_internal.h */

/* Where reports go; NULL: not wanted. Text goes to standard output unless `quiet`. */
struct report_outputs {
    const char *json_path;
    const char *html_path;
    bool quiet;
};

/* All texts are copied. `mode` is the command ("sim", "kill", "powercut"), `subject` what it was
 * done on, e.g. a file system or a profile. Ownership: report_free. */
struct report *report_new(const char *mode, const char *subject);
void report_free(struct report *report);

/* One line each at the top of every form: "command", "check", "seed", ... */
void report_note(struct report *report, const char *name, const char *value);

/* Answers the number of the event, from 0. */
uint64_t report_event(struct report *report, enum report_event_kind kind, uint64_t offset,
                      uint64_t size, const char *text);
void report_state(struct report *report, const struct report_state *state);

/* Totals, printed in the order in which they were first named; a second call adds. */
void report_count(struct report *report, const char *name, uint64_t count);

uint64_t report_violations(const struct report *report);

/* Print all forms that are wanted. Answers the program's exit code: 0 nothing convicted, 1 at least
 * one violation, or no state at all was judged ("nothing was tested" is no success), 1 also when an
 * output cannot be written (said on standard error). */
int report_finish(struct report *report, const struct report_outputs *outputs);

#endif
