/* SPDX-License-Identifier: MIT */
/* A report as one JSON object; txcrash(1) lists its members. */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "report_internal.h"

static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/* RFC 4648. Ownership: free. */
static char *base64(const unsigned char *bytes, size_t size)
{
    char *text = report_need(calloc(1, (size + 2) / 3 * 4 + 1));
    for (size_t i = 0, out = 0; i < size; i += 3) {
        size_t left = size - i;
        unsigned three = (unsigned)bytes[i] << 16 | (left > 1 ? (unsigned)bytes[i + 1] << 8 : 0) |
                         (left > 2 ? bytes[i + 2] : 0);
        text[out++] = digits[three >> 18];
        text[out++] = digits[three >> 12 & 63];
        text[out++] = left > 1 ? digits[three >> 6 & 63] : '=';
        text[out++] = left > 2 ? digits[three & 63] : '=';
    }
    return text;
}

/* A text, {"bytes": base64} when it is not UTF-8, null when there is none. */
static json_t *json_text(const char *text)
{
    if (!text) {
        return json_null();
    }
    json_t *value = json_string(text);
    if (!value) {
        char *encoded = base64((const unsigned char *)text, strlen(text));
        value = json_pack("{s:s}", "bytes", encoded);
        free(encoded);
    }
    return report_need(value);
}

static void add(json_t *object, const char *name, json_t *value)
{
    if (json_object_set_new(object, name, report_need(value)) != 0) {
        report_need(NULL);
    }
}

static void append(json_t *array, json_t *value)
{
    if (json_array_append_new(array, report_need(value)) != 0) {
        report_need(NULL);
    }
}

static json_t *number(uint64_t value)
{
    return json_integer((json_int_t)value);
}

static json_t *notes_json(const struct report *report)
{
    json_t *array = report_need(json_array());
    for (size_t i = 0; i < report->note_count; i++) {
        json_t *note = report_need(json_object());
        add(note, "name", json_text(report->notes[i].name));
        add(note, "value", json_text(report->notes[i].value));
        append(array, note);
    }
    return array;
}

static json_t *totals_json(const struct report *report)
{
    json_t *array = report_need(json_array());
    for (size_t i = 0; i < report->total_count; i++) {
        json_t *total = report_need(json_object());
        add(total, "name", json_text(report->totals[i].name));
        add(total, "count", number(report->totals[i].count));
        append(array, total);
    }
    return array;
}

static json_t *events_json(const struct report *report)
{
    json_t *array = report_need(json_array());
    for (size_t i = 0; i < report->event_count; i++) {
        const struct report_event_kept *kept = &report->events[i];
        json_t *event = report_need(json_object());
        add(event, "kind", json_string(report_event_names[kept->kind]));
        add(event, "offset", number(kept->offset));
        add(event, "size", number(kept->size));
        add(event, "text", json_text(kept->text));
        append(array, event);
    }
    return array;
}

static json_t *states_json(const struct report *report)
{
    json_t *array = report_need(json_array());
    for (size_t i = 0; i < report->state_count; i++) {
        const struct report_state *kept = &report->states[i];
        json_t *state = report_need(json_object());
        add(state, "event", number(kept->event));
        add(state, "verdict", json_string(report_verdict_names[kept->verdict]));
        add(state, "choice", json_text(kept->choice));
        add(state, "message", json_text(kept->message));
        add(state, "reproduce", json_text(kept->reproduce));
        add(state, "image", json_text(kept->image));
        append(array, state);
    }
    return array;
}

char *report_json(const struct report *report)
{
    json_t *object = report_need(json_object());
    json_t *verdicts = report_need(json_object());
    for (size_t i = 0; i <= REPORT_UNJUDGED; i++) {
        add(verdicts, report_verdict_names[i], number(report->verdicts[i]));
    }
    add(object, "schema", json_integer(1));
    add(object, "mode", json_text(report->mode));
    add(object, "subject", json_text(report->subject));
    add(object, "verdicts", verdicts);
    add(object, "notes", notes_json(report));
    add(object, "totals", totals_json(report));
    add(object, "events", events_json(report));
    add(object, "states", states_json(report));
    char *text = report_need(json_dumps(object, JSON_COMPACT));
    json_decref(object);
    return text;
}
