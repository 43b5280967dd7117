/* SPDX-License-Identifier: MIT */
/*
 * Which disks a power cut may leave. An epoch is what lies between two flushes: of its writes the
 * disk may have kept any. Always made: nothing and everything of each epoch, every prefix, every
 * write torn on top of what came before it, every subset of a small epoch, every single loss of a
 * larger one. Drawn besides, until there are as many as wanted: subsets, whole and torn.
 *
 * A prefix is cut twice: at once, and at the end of its epoch, when the program has acknowledged
 * the most that it can while the disk holds that little.
 */
#include <stdlib.h>
#include <string.h>

#include "powercut_internal.h"

#define SUBSETS_MAX 8     /* an epoch of so many writes is tried in every subset */
#define SAMPLES_A_PASS 4u /* of each epoch, unless --samples says otherwise */
#define PASSES_MAX 400u

struct maker {
    const struct recording *recording;
    const struct state_plan *plan;
    struct state_list *list;
    struct seen *seen;
    uint64_t random;
    size_t first, end; /* the epoch: its first entry, and its flush or the end of everything */
    size_t pending;    /* its writes */
    size_t *places;    /* the entry of each */
};

/* Set the epoch that begins at `first` and goes to `end`. */
static void set_epoch(struct maker *maker, size_t first, size_t end)
{
    maker->first = first;
    maker->end = end;
    maker->pending = 0;
    maker->places = powercut_need(
        reallocarray(maker->places, end - first + 1, sizeof *maker->places));
    for (size_t i = first; i < end; i++) {
        if (maker->recording->entries[i].kind == LOG_WRITE) {
            maker->places[maker->pending++] = i;
        }
    }
}

static void add(struct maker *maker, enum state_kind kind, size_t cut, const char *keep,
                uint64_t tear_seed)
{
    struct state_list *list = maker->list;
    struct state state = {.kind = kind,
                          .first = (uint32_t)maker->first,
                          .cut = (uint32_t)cut,
                          .tear_seed = tear_seed};
    state.keep = powercut_format("%.*s",
                                 (int)state_pending(maker->recording, maker->first, cut), keep);
    if (!seen_add(maker->seen, &state)) {
        list->duplicates++;
        free(state.keep);
        return;
    }
    if ((list->count & (list->count - 1)) == 0) {
        list->states = powercut_need(
            reallocarray(list->states, list->count * 2 + 1, sizeof *list->states));
    }
    list->states[list->count++] = state;
}

/* The entry behind the epoch's write number `count`, counted from 1; 0: the epoch's first. */
static size_t behind(const struct maker *maker, size_t count)
{
    return count > 0 ? maker->places[count - 1] + 1 : maker->first;
}

static bool can_tear(const struct maker *maker, size_t write)
{
    const struct log_entry *entry = &maker->recording->entries[maker->places[write]];
    return maker->plan->tear > 0 && entry->size > maker->plan->tear;
}

static void add_prefix(struct maker *maker, char *keep, size_t count)
{
    memset(keep, KEEP_LOST, maker->pending);
    memset(keep, KEEP_WHOLE, count);
    bool edge = count == 0 || count == maker->pending;
    enum state_kind kind = edge ? STATE_BOUNDARY : STATE_PREFIX;
    add(maker, kind, behind(maker, count), keep, 0);
    add(maker, kind, maker->end, keep, 0);
    if (count < maker->pending && can_tear(maker, count)) {
        keep[count] = KEEP_TORN;
        add(maker, STATE_TORN, behind(maker, count + 1), keep, powercut_random(&maker->random));
    }
}

static void add_prefixes(struct maker *maker, char *keep)
{
    add_prefix(maker, keep, 0);
    add_prefix(maker, keep, maker->pending);
    for (size_t i = 1; i < maker->pending; i++) {
        size_t wanted = maker->plan->states;
        /* Of an epoch with more writes than states are wanted, a part will do. */
        if (maker->pending <= wanted ||
            powercut_below(&maker->random, maker->pending) < wanted) {
            add_prefix(maker, keep, i);
        }
    }
}

static void add_subsets(struct maker *maker, char *keep)
{
    for (unsigned set = 0; set < 1u << maker->pending; set++) {
        size_t last = 0;
        for (size_t i = 0; i < maker->pending; i++) {
            keep[i] = set >> i & 1 ? KEEP_WHOLE : KEEP_LOST;
            last = set >> i & 1 ? i + 1 : last;
        }
        add(maker, STATE_SUBSET, maker->end, keep, 0);
        add(maker, STATE_SUBSET, behind(maker, last), keep, 0);
    }
}

static void add_single_losses(struct maker *maker, char *keep)
{
    for (size_t i = 0; i < maker->pending; i++) {
        if (powercut_below(&maker->random, maker->pending) < maker->plan->states) {
            memset(keep, KEEP_WHOLE, maker->pending);
            keep[i] = KEEP_LOST;
            add(maker, STATE_SAMPLE, maker->end, keep, 0);
        }
    }
}

static void add_sample(struct maker *maker, char *keep, enum state_kind kind)
{
    static const unsigned kept_of_8[] = {1, 4, 7};
    unsigned chance = kept_of_8[powercut_below(&maker->random, 3)];
    bool tearing = powercut_below(&maker->random, 2) == 0;
    size_t last = 0;
    for (size_t i = 0; i < maker->pending; i++) {
        bool kept = powercut_below(&maker->random, 8) < chance;
        bool torn = kept && tearing && can_tear(maker, i) &&
                    powercut_below(&maker->random, 4) == 0;
        keep[i] = torn ? KEEP_TORN : kept ? KEEP_WHOLE : KEEP_LOST;
        last = kept ? i + 1 : last;
    }
    size_t from = behind(maker, last);
    size_t cut = from + (size_t)powercut_below(&maker->random, maker->end - from + 1);
    add(maker, kind, powercut_below(&maker->random, 2) ? maker->end : cut, keep,
        powercut_random(&maker->random));
}

static size_t next_flush(const struct recording *recording, size_t from)
{
    while (from < recording->count && recording->entries[from].kind != LOG_FLUSH) {
        from++;
    }
    return from;
}

/* The same writes, had the disk only claimed to flush so many times. */
static void add_lies(struct maker *maker)
{
    size_t honest = maker->end;
    size_t end = honest;
    for (unsigned i = 0; i < maker->plan->lies && end < maker->recording->count; i++) {
        end = next_flush(maker->recording, end + 1);
    }
    if (end == honest) {
        return;
    }
    set_epoch(maker, maker->first, end);
    char *keep = powercut_need(calloc(maker->pending + 1, 1));
    memset(keep, KEEP_LOST, maker->pending);
    add(maker, STATE_LIE, maker->end, keep, 0);
    for (unsigned i = 0; i < SAMPLES_A_PASS; i++) {
        add_sample(maker, keep, STATE_LIE);
    }
    free(keep);
    set_epoch(maker, maker->first, honest);
}

static void make_epoch(struct maker *maker, unsigned pass, unsigned samples)
{
    bool small = maker->pending <= SUBSETS_MAX;
    char *keep = powercut_need(calloc(maker->pending + 1, 1));
    if (pass == 0) {
        add_prefixes(maker, keep);
        if (small) {
            add_subsets(maker, keep);
        } else {
            add_single_losses(maker, keep);
        }
        add_lies(maker);
    } else if (maker->pending > 0) {
        for (unsigned i = 0; i < samples; i++) {
            add_sample(maker, keep, STATE_SAMPLE);
        }
    }
    free(keep);
}

static void make_pass(struct maker *maker, unsigned pass, unsigned samples)
{
    const struct recording *recording = maker->recording;
    for (size_t first = 0; first <= recording->count; first = maker->end + 1) {
        set_epoch(maker, first, next_flush(recording, first));
        make_epoch(maker, pass, samples);
    }
}

static int by_place(const void *a, const void *b)
{
    const struct state *one = a;
    const struct state *other = b;
    if (one->first != other->first) {
        return one->first < other->first ? -1 : 1;
    }
    if (one->cut != other->cut) {
        return one->cut < other->cut ? -1 : 1;
    }
    int kept = strcmp(one->keep, other->keep);
    return kept ? kept : (one->tear_seed > other->tear_seed) - (one->tear_seed < other->tear_seed);
}

/* Move `count` drawn states of list[from..] to the front of that part. */
static void draw_front(struct state_list *list, size_t from, size_t count, uint64_t *random)
{
    for (size_t i = from; i < from + count && i < list->count; i++) {
        size_t other = i + (size_t)powercut_below(random, list->count - i);
        struct state state = list->states[i];
        list->states[i] = list->states[other];
        list->states[other] = state;
    }
}

/* Too many: the edges of epochs stay, the rest is drawn. */
static void thin(struct state_list *list, size_t wanted, uint64_t *random)
{
    size_t edges = 0;
    for (size_t i = 0; i < list->count; i++) {
        if (list->states[i].kind == STATE_BOUNDARY) {
            struct state state = list->states[edges];
            list->states[edges++] = list->states[i];
            list->states[i] = state;
        }
    }
    edges = edges < wanted ? edges : 0;
    draw_front(list, edges, wanted - edges, random);
    while (list->count > wanted) {
        free(list->states[--list->count].keep);
    }
}

void states_make(const struct recording *recording, const struct state_plan *plan,
                 struct state_list *list)
{
    struct maker maker = {.recording = recording, .plan = plan, .list = list,
                          .random = plan->seed};
    *list = (struct state_list){0};
    maker.seen = seen_new(recording, plan->tear);
    make_pass(&maker, 0, 0);
    for (unsigned pass = 1; list->count < plan->states && pass < PASSES_MAX; pass++) {
        size_t before = list->count;
        make_pass(&maker, pass, plan->samples ? plan->samples : SAMPLES_A_PASS);
        if (plan->samples || list->count == before) {
            break; /* as many as asked for, or there is nothing new to find */
        }
    }
    free(maker.places);
    seen_free(maker.seen);
    if (list->count > plan->states) {
        thin(list, plan->states, &maker.random);
    }
    draw_front(list, 0, plan->nested, &maker.random);
    for (size_t i = 0; i < plan->nested && i < list->count; i++) {
        list->states[i].nested = true;
    }
    qsort(list->states, list->count, sizeof *list->states, by_place);
}

void states_release(struct state_list *list)
{
    for (size_t i = 0; i < list->count; i++) {
        free(list->states[i].keep);
    }
    free(list->states);
    *list = (struct state_list){0};
}
