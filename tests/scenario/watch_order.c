/* SPDX-License-Identifier: MIT */
/*
 * txctl under the order monitor (tests/sim/order.h): linked with --wrap=txio_posix, every call that
 * the library makes passes the monitor on its way to the kernel. One process, one thread: all rules
 * hold. The first violation is printed when the program ends, which then answers 99.
 *
 * TXKIT_ORDER_CHECKS  a file; how many orders were checked is appended to it, a line
 * TXKIT_ORDER_BLIND   when set, the monitor does not see syncs: it has to complain
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sim/order.h"

enum { EXIT_ORDER = 99 };

struct txio *__real_txio_posix(void);
struct txio *__wrap_txio_posix(void);

static struct order_layer watched;
static char root[4096]; /* learned from the first path into a store */

static void learn_root(const char *path)
{
    const char *store = strstr(path, "/.txkit");
    if (watched.order.root == NULL && store != NULL && (size_t)(store - path) < sizeof root) {
        memcpy(root, path, (size_t)(store - path));
        watched.order.root = root;
    }
}

static void before(struct layer *layer, struct layer_call *call)
{
    (void)layer;
    learn_root(call->where);
    if (watched.order.root != NULL) {
        order_before(&watched.order, call);
    }
}

static void after(struct layer *layer, struct layer_call *call)
{
    (void)layer;
    bool syncs = call->op == LAYER_datasync || call->op == LAYER_sync || call->op == LAYER_syncfs;
    if (watched.order.root != NULL && !(syncs && getenv("TXKIT_ORDER_BLIND") != NULL)) {
        order_after(&watched.order, call);
    }
}

struct txio *__wrap_txio_posix(void)
{
    if (watched.layer.below == NULL) {
        order_init(&watched, __real_txio_posix(), NULL, ORDER_ALL);
        watched.layer.before = before;
        watched.layer.after = after;
    }
    return &watched.layer.io;
}

static void note_checks(void)
{
    const char *name = getenv("TXKIT_ORDER_CHECKS");
    FILE *file = name != NULL ? fopen(name, "a") : NULL;
    if (file != NULL) {
        (void)fprintf(file, "%llu\n", (unsigned long long)watched.order.checks);
        (void)fclose(file);
    }
}

__attribute__((destructor)) static void report(void)
{
    note_checks();
    if (watched.order.violations > 0) {
        (void)fprintf(stderr, "order: %s\n", watched.order.first);
        _exit(EXIT_ORDER);
    }
}
