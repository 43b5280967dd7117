/* SPDX-License-Identifier: MIT */
/*
 * Reports that no program makes on purpose, for the tests of their forms and for a look at the
 * page:
 *
 *     report_sample hostile JSON HTML    every text holds what could break out of a form
 *     report_sample STATES JSON HTML     a power cut of so many states (0: nothing was tested)
 *
 * Prints the text form; exits as report_finish answers.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "txcrash/report.h"

#define HOSTILE "</script><!--<script>\"'&\\ \033[31m\r\n\xe2\x80\xae\xff\xfe end"
#define BETWEEN_FLUSHES 23u

static void fill_hostile(struct report *report)
{
    report_note(report, HOSTILE, HOSTILE);
    for (unsigned kind = REPORT_WRITE; kind <= REPORT_FAULT; kind++) {
        report_event(report, (enum report_event_kind)kind, 512, 4096, HOSTILE);
    }
    report_event(report, REPORT_WRITE, 0, 0, NULL);
    for (unsigned verdict = REPORT_FINE; verdict <= REPORT_UNJUDGED; verdict++) {
        report_state(report, &(struct report_state){.event = verdict,
                                                    .verdict = (enum report_verdict)verdict,
                                                    .choice = HOSTILE,
                                                    .message = HOSTILE,
                                                    .reproduce = "txcrash kill -- '" HOSTILE "'",
                                                    .image = HOSTILE});
    }
    report_count(report, HOSTILE, 7);
}

/* Writes and flushes as a log makes them, and every 23rd an acknowledgement. */
static void add_events(struct report *report, unsigned long count)
{
    char text[64];
    for (unsigned long i = 0; i < count; i++) {
        unsigned long place = i % BETWEEN_FLUSHES;
        if (place == BETWEEN_FLUSHES - 2) {
            report_event(report, REPORT_FLUSH, 0, 0, "fsync");
        } else if (place == BETWEEN_FLUSHES - 1) {
            snprintf(text, sizeof text, "commit %lu", i / BETWEEN_FLUSHES);
            report_event(report, REPORT_ACK, 0, 0, text);
        } else {
            report_event(report, REPORT_WRITE, (i * 7919 % 4096) * 4096, 4096 << place % 3, NULL);
        }
    }
}

static void fill_power_cut(struct report *report, unsigned long count)
{
    char choice[64], message[96], again[160];
    unsigned long events = count / 8 + 40, state = 12345;
    report_note(report, "command", "example-store put --sync '{dir}' key value");
    report_note(report, "check", "example-store verify '{dir}' --acks '{acks}'");
    report_note(report, "seed", "12345");
    add_events(report, events);
    for (unsigned long i = 0; i < count; i++) {
        state = state * 6364136223846793005ul + 1442695040888963407ul;
        unsigned long draw = state >> 33;
        unsigned long event = draw % (events + 1);
        bool bad = event % 97 > 90 && draw % 7 == 0;
        bool lost = draw % 611 == 0;
        snprintf(choice, sizeof choice, "subset 0x%lx of %lu pending, torn at 512", draw & 0xff,
                 event % BETWEEN_FLUSHES);
        snprintf(message, sizeof message, "commit %lu was acknowledged and is not there",
                 event / BETWEEN_FLUSHES);
        snprintf(again, sizeof again,
                 "txcrash powercut --replay %lu:%lx --seed 12345 -- "
                 "example-store put --sync '{dir}' key value",
                 event, draw & 0xff);
        report_state(report,
                     &(struct report_state){.event = event,
                                            .verdict = lost  ? REPORT_UNJUDGED
                                                       : bad ? REPORT_VIOLATION
                                                             : REPORT_FINE,
                                            .choice = choice,
                                            .message = lost  ? "mount: structure needs cleaning"
                                                       : bad ? message
                                                             : NULL,
                                            .reproduce = again});
    }
    report_count(report, "writes", events);
    report_count(report, "torn writes", count / 3);
}

int main(int argc, char **argv)
{
    if (argc != 4) {
        fprintf(stderr, "usage: report_sample hostile|STATES JSON HTML\n");
        return 2;
    }
    bool hostile = strcmp(argv[1], "hostile") == 0;
    struct report *report = report_new("powercut", hostile ? HOSTILE : "ext4");
    struct report_outputs outputs = {.json_path = argv[2], .html_path = argv[3]};
    if (hostile) {
        fill_hostile(report);
    } else {
        fill_power_cut(report, strtoul(argv[1], NULL, 10));
    }
    int code = report_finish(report, &outputs);
    report_free(report);
    return code;
}
