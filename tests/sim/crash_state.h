/* SPDX-License-Identifier: MIT */
/* What a store holds, as a text: equal texts, equal states. */
#ifndef TX_SIM_CRASH_STATE_H
#define TX_SIM_CRASH_STATE_H

#include <txkit/store.h>

#include "sim/sim.h"

struct crash_state {
    char *text; /* a line per object */
    size_t size, room;
    uint64_t hash;
    uint64_t settled_hash; /* without detached transactions: an error may roll them back */
};

/* Describe the real tree below `root` (the store left out), the registry and the transactions that
 * wait for a decision or an attachment. `store` NULL: the tree alone. */
enum tx_status crash_state_take(struct txio *io, const char *root, struct txstore *store,
                                struct crash_state *state, struct tx_error *err);
void crash_state_copy(struct crash_state *to, const struct crash_state *from);
void crash_state_release(struct crash_state *state);
/* Print the lines in which two states differ. */
void crash_state_diff(const struct crash_state *expected, const struct crash_state *found,
                      FILE *out);

#endif
