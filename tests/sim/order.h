/* SPDX-License-Identifier: MIT */
/*
 * The order monitor watches the operations on a store and asserts what the protocol promises about
 * their order. It knows the layout of a store on disk and nothing of the code that writes it. It
 * begins with the machine, or the store, and ends with the first failure or kill: what that leaves
 * behind has an order of its own.
 */
#ifndef TX_SIM_ORDER_H
#define TX_SIM_ORDER_H

#include "sim/layer.h"

enum order_rule {
    /* Nothing in the tree and nothing in the registry image changes while a segment of the log has
     * unsynced writes: what is published is durable. */
    ORDER_LOG_BEFORE_EFFECTS = 1 << 0,
    /* A segment of the log is forced only when its name is durable. */
    ORDER_SEGMENT_NAME_BEFORE_FORCE = 1 << 1,
    /* A segment is renamed or removed only when the control file is durable. */
    ORDER_CONTROL_BEFORE_TRIM = 1 << 2,
    /* What is moved from tx/ to the tree (a staged payload) is synced before. */
    ORDER_STAGED_BEFORE_PUBLISH = 1 << 3,
    /* Files of the store itself are synced before they get their final name. */
    ORDER_SYNC_BEFORE_RENAME = 1 << 4,
    /* An acknowledgement (order_acknowledge) finds no unsynced segment. */
    ORDER_FORCE_BEFORE_ACKNOWLEDGE = 1 << 5,
};
#define ORDER_ALL 0x3fu
/* Of several threads or processes: one may append while another publishes what is durable. */
#define ORDER_SHARED \
    (ORDER_ALL & ~(unsigned)(ORDER_LOG_BEFORE_EFFECTS | ORDER_FORCE_BEFORE_ACKNOWLEDGE))
#define ORDER_DIRTY_MAX 4096u
#define ORDER_TEXT_SIZE 512u

struct order {
    const char *root;   /* absolute path of the tree; its store is root/.txkit */
    unsigned rules;     /* to be watched */
    struct order_dirty {
        char *path;
        bool data; /* unsynced contents */
        bool name; /* unsynced name: its directory was not synced since */
    } *dirty;
    unsigned dirty_count;
    uint64_t checks;     /* how often a rule had something to look at */
    uint64_t violations;
    char first[ORDER_TEXT_SIZE]; /* the first violation */
};

/* Keeps `root`. */
void order_begin(struct order *order, const char *root, unsigned rules);
void order_end(struct order *order);
/* Of a layer that sees every operation of all processes, around each. */
void order_before(struct order *order, const struct layer_call *call);
void order_after(struct order *order, const struct layer_call *call);
/* The user of the library was told that something is durable. */
void order_acknowledge(struct order *order);

/* The monitor as a layer of its own. */
struct order_layer {
    struct layer layer; /* first: &order->layer.io is the txio */
    struct order order;
};
void order_init(struct order_layer *order, struct txio *below, const char *root, unsigned rules);
void order_release(struct order_layer *order);

#endif
