/* SPDX-License-Identifier: MIT */
/* Which pending units a cut keeps. */
#include "sim/sim_internal.h"

/* Draw a set: each unit by itself; of a journal, how far it got. */
static void draw(const struct sim_capture *cut, uint64_t seed, uint8_t *keep)
{
    uint64_t random = seed;
    uint64_t density = 1 + sim_random(&random) % 7;
    unsigned journal = (unsigned)(sim_random(&random) % (cut->count + 1));
    for (unsigned i = 0; i < cut->count; i++) {
        bool data = cut->units[i]->kind == SIM_UNIT_DATA || cut->units[i]->kind == SIM_UNIT_TIMES;
        bool drawn = sim_random(&random) % 8 < density;
        keep[i] = cut->options.profile == SIM_WEAKEST || data ? drawn : i < journal;
    }
}

static bool picks(const struct sim_choice *choice, unsigned heavy)
{
    switch (choice->kind) {
    case SIM_KEEP_MASK:
        return heavy < 64 && (choice->value >> heavy & 1) != 0;
    case SIM_KEEP_PREFIX:
        return heavy < choice->value;
    default:
        return heavy != choice->value;
    }
}

static void pick(const struct sim_capture *cut, const struct sim_choice *choice, uint8_t *keep)
{
    unsigned heavy = 0;
    for (unsigned i = 0; i < cut->count; i++) {
        if (cut->units[i]->kind != SIM_UNIT_TIMES) {
            keep[i] = picks(choice, heavy++);
        } else if (choice->kind == SIM_KEEP_MASK) {
            keep[i] = sim_mix(choice->value + choice->tear, cut->units[i]->seq) & 1;
        } else {
            keep[i] = choice->kind != SIM_KEEP_PREFIX || heavy <= choice->value;
        }
    }
}

/* Lose what lacks something it needs. True when nothing was to be lost. */
static bool close_down(const struct sim_capture *cut, uint8_t *keep)
{
    bool closed = true;
    for (unsigned i = 0; i < cut->count; i++) {
        const struct sim_unit *unit = cut->units[i];
        for (unsigned k = 0; keep[i] != 0 && k < unit->need_count; k++) {
            unsigned at = sim_unit_find(cut->units, i, unit->needs[k]);
            if (at != UINT32_MAX && keep[at] == 0) {
                keep[i] = 0;
                closed = false;
            }
        }
    }
    return closed;
}

/* Keep what is needed by something kept. */
static void close_up(const struct sim_capture *cut, uint8_t *keep)
{
    for (unsigned i = cut->count; i-- > 0;) {
        const struct sim_unit *unit = cut->units[i];
        for (unsigned k = 0; keep[i] != 0 && k < unit->need_count; k++) {
            unsigned at = sim_unit_find(cut->units, i, unit->needs[k]);
            if (at != UINT32_MAX) {
                keep[at] = 1;
            }
        }
    }
}

bool sim_choose(const struct sim_capture *cut, const struct sim_choice *choice, uint8_t *keep)
{
    if (choice->kind != SIM_KEEP_SAMPLE) {
        pick(cut, choice, keep);
        return close_down(cut, keep);
    }
    draw(cut, choice->value, keep);
    if (cut->options.profile != SIM_WEAKEST || (choice->value & 1) != 0) {
        close_up(cut, keep);
        return true;
    }
    return close_down(cut, keep);
}
