/* SPDX-License-Identifier: MIT */
/* Collecting a report. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "report_internal.h"

const char *const report_verdict_names[] = {"fine", "violation", "unjudged"};
const char *const report_event_names[] = {"write", "flush", "ack", "call", "fault"};

void *report_need(void *memory)
{
    if (!memory) {
        fputs("txcrash: out of memory for the report\n", stderr);
        exit(1);
    }
    return memory;
}

static char *copy(const char *text)
{
    return text ? report_need(strdup(text)) : NULL;
}

/* Room for one more at the end of an array that grows by powers of two. */
static void *room(void *array, size_t count, size_t size)
{
    bool full = (count & (count - 1)) == 0; /* 0, 1, 2, 4, ... */
    return full ? report_need(reallocarray(array, count ? count * 2 : 1, size)) : array;
}

struct report *report_new(const char *mode, const char *subject)
{
    struct report *report = report_need(calloc(1, sizeof *report));
    report->mode = copy(mode);
    report->subject = copy(subject);
    return report;
}

void report_free(struct report *report)
{
    if (!report) {
        return;
    }
    for (size_t i = 0; i < report->note_count; i++) {
        free(report->notes[i].name);
        free(report->notes[i].value);
    }
    for (size_t i = 0; i < report->event_count; i++) {
        free(report->events[i].text);
    }
    for (size_t i = 0; i < report->state_count; i++) {
        free((char *)report->states[i].choice);
        free((char *)report->states[i].message);
        free((char *)report->states[i].reproduce);
        free((char *)report->states[i].image);
    }
    for (size_t i = 0; i < report->total_count; i++) {
        free(report->totals[i].name);
    }
    free(report->notes);
    free(report->events);
    free(report->states);
    free(report->totals);
    free(report->mode);
    free(report->subject);
    free(report);
}

void report_note(struct report *report, const char *name, const char *value)
{
    report->notes = room(report->notes, report->note_count, sizeof *report->notes);
    report->notes[report->note_count++] = (struct report_pair){copy(name), copy(value)};
}

uint64_t report_event(struct report *report, enum report_event_kind kind, uint64_t offset,
                      uint64_t size, const char *text)
{
    report->events = room(report->events, report->event_count, sizeof *report->events);
    report->events[report->event_count] =
        (struct report_event_kept){kind, offset, size, copy(text)};
    return report->event_count++;
}

void report_state(struct report *report, const struct report_state *state)
{
    report->states = room(report->states, report->state_count, sizeof *report->states);
    report->states[report->state_count++] = (struct report_state){
        .event = state->event,
        .verdict = state->verdict,
        .choice = copy(state->choice),
        .message = copy(state->message),
        .reproduce = copy(state->reproduce),
        .image = copy(state->image),
    };
    report->verdicts[state->verdict]++;
}

void report_count(struct report *report, const char *name, uint64_t count)
{
    for (size_t i = 0; i < report->total_count; i++) {
        if (strcmp(report->totals[i].name, name) == 0) {
            report->totals[i].count += count;
            return;
        }
    }
    report->totals = room(report->totals, report->total_count, sizeof *report->totals);
    report->totals[report->total_count++] = (struct report_total){copy(name), count};
}

uint64_t report_violations(const struct report *report)
{
    return report->verdicts[REPORT_VIOLATION];
}

static void print_json(const char *json, FILE *to)
{
    fputs(json, to);
    fputc('\n', to);
}

/* One form into a file of its own; true when it stands there, or was not wanted. */
static bool write_file(const char *path, const char *json,
                       void (*print)(const char *json, FILE *to))
{
    if (!path) {
        return true;
    }
    FILE *file = fopen(path, "we");
    bool good = file != NULL;
    if (file) {
        print(json, file);
        good = !ferror(file);
        good = fclose(file) == 0 && good;
    }
    if (!good) {
        fprintf(stderr, "txcrash: write %s: %s\n", path, strerror(errno));
    }
    return good;
}

int report_finish(struct report *report, const struct report_outputs *outputs)
{
    char *json = outputs->json_path || outputs->html_path ? report_json(report) : NULL;
    bool written = write_file(outputs->json_path, json, print_json);
    written = write_file(outputs->html_path, json, report_print_html) && written;
    free(json);
    if (!outputs->quiet) {
        report_print_text(report, stdout);
    }
    if (fflush(stdout) != 0 || ferror(stdout)) {
        fprintf(stderr, "txcrash: write the report: %s\n", strerror(errno));
        written = false;
    }
    bool good = report->verdicts[REPORT_VIOLATION] == 0 && report->verdicts[REPORT_FINE] > 0;
    return good && written ? 0 : 1;
}
