/* SPDX-License-Identifier: MIT */
/*
 * A layer that counts operations and remembers the newest ones in their order, so that "one force
 * per commit" and "no rename before its sync" are assertions.
 */
#ifndef TX_SIM_COUNT_H
#define TX_SIM_COUNT_H

#include "sim/layer.h"

#define COUNT_HISTORY 4096u
#define COUNT_PATH_SIZE 160u

struct count_event {
    enum layer_op op;
    int64_t result;
    char where[COUNT_PATH_SIZE];
};

struct count_layer {
    struct layer layer; /* first: &count->layer.io is the txio */
    uint64_t calls[LAYER_OPS];
    uint64_t failures[LAYER_OPS];
    uint64_t written_bytes;
    struct count_event *history; /* a ring of COUNT_HISTORY */
    uint64_t event_count;        /* operations that change or sync, since the last reset */
};

void count_init(struct count_layer *count, struct txio *below);
void count_release(struct count_layer *count);
void count_reset(struct count_layer *count);
/* datasync + sync + syncfs. */
uint64_t count_syncs(const struct count_layer *count);
/* Remembered operations of this kind whose path contains `part`. */
uint64_t count_of(const struct count_layer *count, enum layer_op op, const char *part);

#endif
