/* SPDX-License-Identifier: MIT */
/*
 * Make a violation small: give lost and torn writes back, many at a time first, as long as the
 * check still convicts. What stays lost is what the program needed and did not wait for.
 */
#include <stdlib.h>
#include <string.h>

#include "powercut_internal.h"

#define TRIALS_MAX 120u /* of one violation */

static bool convicts(struct judge *judge, const struct state *state, struct verdict *verdict)
{
    struct verdict tried;
    judge_state(judge, state, &tried);
    if (tried.verdict != REPORT_VIOLATION) {
        return false;
    }
    *verdict = tried;
    return true;
}

/* Give back the lost writes number `from` to `from + count` - 1; answers how many those were. */
static size_t give_back(char *keep, size_t from, size_t count)
{
    size_t lost = 0;
    size_t given = 0;
    for (; *keep; keep++) {
        if (*keep == KEEP_WHOLE) {
            continue;
        }
        if (lost >= from && lost < from + count) {
            *keep = KEEP_WHOLE;
            given++;
        }
        lost++;
    }
    return given;
}

static size_t lost_writes(const char *keep)
{
    size_t lost = 0;
    for (; *keep; keep++) {
        lost += *keep != KEEP_WHOLE;
    }
    return lost;
}

void shrink_state(struct judge *judge, struct state *state, struct verdict *verdict)
{
    unsigned trials = 0;
    for (size_t part = lost_writes(state->keep); part > 0; part /= 2) {
        for (size_t from = 0; from < lost_writes(state->keep) && trials < TRIALS_MAX; trials++) {
            char *before = powercut_format("%s", state->keep);
            give_back(state->keep, from, part);
            if (convicts(judge, state, verdict)) {
                free(before); /* what followed has moved up to `from` */
                continue;
            }
            free(state->keep);
            state->keep = before;
            from += part;
        }
    }
}
