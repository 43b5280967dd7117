/* SPDX-License-Identifier: MIT */
#include "sim/count.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void after(struct layer *layer, struct layer_call *call)
{
    struct count_layer *count = (struct count_layer *)layer;
    count->calls[call->op]++;
    count->failures[call->op] += call->result < 0;
    if (call->op == LAYER_pwritev && call->result > 0) {
        count->written_bytes += (uint64_t)call->result;
    }
    if (layer_op_changes(call->op)) {
        struct count_event *event = &count->history[count->event_count++ % COUNT_HISTORY];
        event->op = call->op;
        event->result = call->result;
        (void)snprintf(event->where, COUNT_PATH_SIZE, "%s", call->where);
    }
}

void count_init(struct count_layer *count, struct txio *below)
{
    *count = (struct count_layer){.event_count = 0};
    layer_init(&count->layer, below);
    count->layer.after = after;
    count->history = calloc(COUNT_HISTORY, sizeof *count->history);
}

void count_release(struct count_layer *count)
{
    layer_release(&count->layer);
    free(count->history);
}

void count_reset(struct count_layer *count)
{
    memset(count->calls, 0, sizeof count->calls);
    memset(count->failures, 0, sizeof count->failures);
    count->written_bytes = 0;
    count->event_count = 0;
}

uint64_t count_syncs(const struct count_layer *count)
{
    return count->calls[LAYER_datasync] + count->calls[LAYER_sync] + count->calls[LAYER_syncfs];
}

uint64_t count_of(const struct count_layer *count, enum layer_op op, const char *part)
{
    uint64_t found = 0;
    uint64_t kept = count->event_count < COUNT_HISTORY ? count->event_count : COUNT_HISTORY;
    for (uint64_t i = 0; i < kept; i++) {
        const struct count_event *event = &count->history[i];
        found += event->op == op && strstr(event->where, part) != NULL;
    }
    return found;
}
