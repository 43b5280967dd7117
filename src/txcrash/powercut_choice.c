/* SPDX-License-Identifier: MIT */
/* What a power cut keeps of the writes that no flush has covered. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "powercut_internal.h"

#define NAMED_MAX 4 /* so many lost or torn writes are named one by one */

const char *const state_kind_names[] = {
    [STATE_BOUNDARY] = "states at a flush",        [STATE_PREFIX] = "states of a prefix",
    [STATE_SUBSET] = "states of every subset",     [STATE_SAMPLE] = "states of a drawn subset",
    [STATE_TORN] = "states with one write torn",   [STATE_LIE] = "states of a lying disk",
};

size_t state_pending(const struct recording *recording, size_t first, size_t cut)
{
    size_t count = 0;
    for (size_t i = first; i < cut; i++) {
        count += recording->entries[i].kind == LOG_WRITE;
    }
    return count;
}

/* The seed draws one of three ways to tear: a beginning, an end, or any set of pieces. */
bool tear_keeps(uint64_t seed, size_t write, size_t unit, size_t count)
{
    uint64_t state = seed + write * 0x9e3779b9u;
    uint64_t how = powercut_below(&state, 3);
    size_t at = 1 + (size_t)powercut_below(&state, count - 1);
    if (how == 0) {
        return unit < at;
    }
    if (how == 1) {
        return unit >= at;
    }
    uint64_t odd_one = powercut_random(&state); /* one is kept and its neighbour lost for sure */
    size_t kept = (size_t)(odd_one % count);
    if (unit == kept || unit == (kept + 1) % count) {
        return unit == kept;
    }
    state += unit;
    return powercut_below(&state, 2) == 0;
}

static void apply_torn(const struct log_entry *entry, size_t write, uint64_t seed, unsigned tear,
                       state_put *put, void *arg)
{
    size_t count = (entry->size + tear - 1) / tear;
    for (size_t unit = 0; unit < count; unit++) {
        size_t at = unit * tear;
        size_t size = entry->size - at < tear ? entry->size - at : tear;
        if (count == 1 || tear_keeps(seed, write, unit, count)) {
            put(arg, entry->offset + at, entry->bytes + at, size);
        }
    }
}

void state_apply(const struct recording *recording, const struct state *state, unsigned tear,
                 state_put *put, void *arg)
{
    size_t write = 0;
    for (size_t i = state->first; i < state->cut; i++) {
        const struct log_entry *entry = &recording->entries[i];
        if (entry->kind != LOG_WRITE) {
            continue;
        }
        if (state->keep[write] == KEEP_WHOLE) {
            put(arg, entry->offset, entry->bytes, entry->size);
        } else if (state->keep[write] == KEEP_TORN) {
            apply_torn(entry, write, state->tear_seed, tear, put, arg);
        }
        write++;
    }
}

/* "lost: event 41 (4096 bytes at 1052672), ..." */
static void name_writes(const struct recording *recording, const struct state *state, char what,
                        const char *word, char text[POWERCUT_TEXT])
{
    size_t write = 0;
    unsigned named = 0;
    for (size_t i = state->first; i < state->cut && named < NAMED_MAX; i++) {
        const struct log_entry *entry = &recording->entries[i];
        if (entry->kind == LOG_WRITE && state->keep[write++] == what) {
            size_t used = strlen(text);
            snprintf(text + used, POWERCUT_TEXT - used,
                     "%s event %" PRIu64 " (%" PRIu32 " bytes at %" PRIu64 ")",
                     named ? "," : word, recording->event_base + i, entry->size, entry->offset);
            named++;
        }
    }
}

void state_describe(const struct recording *recording, const struct state *state,
                    char text[POWERCUT_TEXT])
{
    size_t count = state_pending(recording, state->first, state->cut);
    size_t whole = 0;
    size_t torn = 0;
    size_t prefix = 0;
    for (size_t i = 0; i < count; i++) {
        whole += state->keep[i] == KEEP_WHOLE;
        torn += state->keep[i] == KEEP_TORN;
    }
    prefix = strspn(state->keep, "w");
    const char *lying = state->kind == STATE_LIE ? " (flushes that were lies among them)" : "";
    if (count == 0) {
        snprintf(text, POWERCUT_TEXT, "nothing pending");
        return;
    }
    if (whole == count) {
        snprintf(text, POWERCUT_TEXT, "all %zu pending writes kept%s", count, lying);
        return;
    }
    if (torn == 0 && prefix == whole) {
        snprintf(text, POWERCUT_TEXT, "prefix: first %zu of %zu pending writes kept%s", whole,
                 count, lying);
        return;
    }
    snprintf(text, POWERCUT_TEXT, "%zu of %zu pending writes kept%s", whole, count, lying);
    if (count - whole - torn <= NAMED_MAX) {
        name_writes(recording, state, KEEP_LOST, "; lost:", text);
    }
    if (torn <= NAMED_MAX) {
        name_writes(recording, state, KEEP_TORN, "; torn:", text);
    }
}
