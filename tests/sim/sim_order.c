/* SPDX-License-Identifier: MIT */
#include "sim/order.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- What a path is --------------------------------------------------------------------------- */

enum place { ELSEWHERE, TREE, STORE, SEGMENT, LOG_OTHER, CONTROL, IMAGE, STAGED, UNDO };

static bool begins(const char *text, const char *with)
{
    return strncmp(text, with, strlen(with)) == 0;
}

static enum place place_of(const struct order *order, const char *path)
{
    size_t size = strlen(order->root);
    if (strncmp(path, order->root, size) != 0 || (path[size] != '/' && path[size] != '\0')) {
        return ELSEWHERE;
    }
    path += size + (path[size] == '/');
    if (!begins(path, ".txkit/")) {
        return begins(path, ".txkit") ? STORE : TREE;
    }
    path += strlen(".txkit/");
    size_t length = strlen(path);
    if (begins(path, "log/")) {
        return length > 4 && strcmp(path + length - 4, ".seg") == 0 ? SEGMENT : LOG_OTHER;
    }
    return strcmp(path, "control") == 0     ? CONTROL
           : strcmp(path, "reg/image") == 0 ? IMAGE
           : begins(path, "tx/")            ? STAGED
           : begins(path, "undo/")          ? UNDO
                                            : STORE;
}

/* --- What is not durable ---------------------------------------------------------------------- */

static struct order_dirty *find(struct order *order, const char *path)
{
    for (unsigned i = 0; i < order->dirty_count; i++) {
        if (strcmp(order->dirty[i].path, path) == 0) {
            return &order->dirty[i];
        }
    }
    return NULL;
}

static struct order_dirty *note(struct order *order, const char *path)
{
    struct order_dirty *found = find(order, path);
    if (found == NULL && order->dirty_count < ORDER_DIRTY_MAX) {
        found = &order->dirty[order->dirty_count++];
        *found = (struct order_dirty){strdup(path), false, false};
    }
    return found;
}

static void forget(struct order *order, struct order_dirty *dirty)
{
    free(dirty->path);
    *dirty = order->dirty[--order->dirty_count];
}

/* What was below or at `from` is at `to` now. */
static void moved(struct order *order, const char *from, const char *to)
{
    for (unsigned i = 0; i < order->dirty_count; i++) {
        struct order_dirty *dirty = &order->dirty[i];
        size_t size = strlen(from);
        if (begins(dirty->path, from) && (dirty->path[size] == '/' || dirty->path[size] == '\0')) {
            size_t room = strlen(to) + strlen(dirty->path + size) + 1;
            char *path = malloc(room);
            (void)snprintf(path, room, "%s%s", to, dirty->path + size);
            free(dirty->path);
            dirty->path = path;
        }
    }
}

static void names_synced(struct order *order, const char *dir)
{
    size_t size = strlen(dir);
    for (unsigned i = order->dirty_count; i-- > 0;) {
        struct order_dirty *dirty = &order->dirty[i];
        const char *slash = strrchr(dirty->path, '/');
        if (slash != NULL && (size_t)(slash - dirty->path) == size && begins(dirty->path, dir)) {
            dirty->name = false;
        }
        if (!dirty->name && !dirty->data) {
            forget(order, dirty);
        }
    }
}

static const struct order_dirty *dirty_segment(const struct order *order)
{
    for (unsigned i = 0; i < order->dirty_count; i++) {
        if (order->dirty[i].data && place_of(order, order->dirty[i].path) == SEGMENT) {
            return &order->dirty[i];
        }
    }
    return NULL;
}

/* --- Rules ------------------------------------------------------------------------------------ */

static void check(struct order *order, enum order_rule rule, bool holds, const char *words,
                  const char *where, const char *other)
{
    if ((order->rules & rule) == 0) {
        return;
    }
    order->checks++;
    if (!holds && order->violations++ == 0) {
        (void)snprintf(order->first, ORDER_TEXT_SIZE, "%s: %.200s (%.200s)", words, where, other);
    }
}

static void check_effect(struct order *order, const struct layer_call *call)
{
    bool two = call->op == LAYER_rename || call->op == LAYER_link;
    const char *path = two ? call->where2 : call->where;
    enum place place = place_of(order, path);
    bool from_tree = call->op == LAYER_rename && place_of(order, call->where) == TREE;
    bool changes_tree = (place == TREE || from_tree) && call->op != LAYER_datasync &&
                        call->op != LAYER_sync && call->op != LAYER_syncfs &&
                        (call->op != LAYER_open || (call->flags & TXIO_TRUNCATE) != 0);
    bool changes_image =
        place == IMAGE && (call->op == LAYER_pwritev || call->op == LAYER_truncate);
    if (changes_tree || changes_image) {
        const struct order_dirty *segment = dirty_segment(order);
        check(order, ORDER_LOG_BEFORE_EFFECTS, segment == NULL, "effect before its force",
              call->where, segment != NULL ? segment->path : "");
    }
}

static void check_rename(struct order *order, const struct layer_call *call)
{
    enum place from = place_of(order, call->where);
    enum place to = place_of(order, call->where2);
    const struct order_dirty *source = find(order, call->where);
    bool clean = source == NULL || !source->data;
    if (from == STAGED && to == TREE) {
        check(order, ORDER_STAGED_BEFORE_PUBLISH, clean, "staged payload published before its sync",
              call->where, call->where2);
    }
    if (to == SEGMENT || to == CONTROL || to == IMAGE || (to == STORE && from == STORE)) {
        check(order, ORDER_SYNC_BEFORE_RENAME, clean, "renamed before its sync", call->where,
              call->where2);
    }
}

static void check_trim(struct order *order, const struct layer_call *call)
{
    bool goes = call->op == LAYER_unlink || call->op == LAYER_rename;
    if (goes && place_of(order, call->where) == SEGMENT) {
        char control[ORDER_TEXT_SIZE];
        (void)snprintf(control, sizeof control, "%s/.txkit/control", order->root);
        const struct order_dirty *dirty = find(order, control);
        check(order, ORDER_CONTROL_BEFORE_TRIM, dirty == NULL || !dirty->data,
              "segment gone before the control file is durable", call->where, control);
    }
}

void order_before(struct order *order, const struct layer_call *call)
{
    if (!layer_op_changes(call->op)) {
        return;
    }
    check_effect(order, call);
    check_trim(order, call);
    if (call->op == LAYER_rename) {
        check_rename(order, call);
    }
    if (call->op == LAYER_datasync && place_of(order, call->where) == SEGMENT) {
        const struct order_dirty *dirty = find(order, call->where);
        check(order, ORDER_SEGMENT_NAME_BEFORE_FORCE, dirty == NULL || !dirty->data || !dirty->name,
              "segment forced before its name is durable", call->where, "");
    }
}

/* --- Following -------------------------------------------------------------------------------- */

static void follow_names(struct order *order, const struct layer_call *call)
{
    struct order_dirty *dirty = NULL;
    if (call->op == LAYER_rename) {
        if ((call->flags & TXIO_EXCHANGE) != 0) {
            moved(order, call->where, "/order.swap");
            moved(order, call->where2, call->where);
            moved(order, "/order.swap", call->where2);
        } else {
            dirty = find(order, call->where2);
            if (dirty != NULL) {
                forget(order, dirty);
            }
            moved(order, call->where, call->where2);
        }
        dirty = note(order, call->where2);
    } else if (call->op == LAYER_open && (call->flags & TXIO_CREATE) != 0 &&
               (call->flags & TXIO_EXCLUSIVE) != 0) {
        dirty = note(order, call->where);
    } else if (call->op == LAYER_unlink || call->op == LAYER_rmdir) {
        dirty = find(order, call->where);
        if (dirty != NULL) {
            forget(order, dirty);
        }
        return;
    }
    if (dirty != NULL) {
        dirty->name = true;
    }
}

static void follow_syncs(struct order *order, const struct layer_call *call)
{
    if (call->op == LAYER_syncfs) {
        while (order->dirty_count > 0) {
            forget(order, &order->dirty[order->dirty_count - 1]);
        }
    } else if (call->op == LAYER_datasync || call->op == LAYER_sync) {
        struct order_dirty *dirty = find(order, call->where);
        if (dirty != NULL) {
            dirty->data = false;
        }
        if (call->op == LAYER_sync) {
            names_synced(order, call->where);
        }
    }
}

void order_after(struct order *order, const struct layer_call *call)
{
    if (call->result < 0 || !layer_op_changes(call->op)) {
        return;
    }
    if (call->op == LAYER_pwritev || call->op == LAYER_truncate) {
        struct order_dirty *dirty = note(order, call->where);
        if (dirty != NULL) {
            dirty->data = true;
        }
    }
    follow_names(order, call);
    follow_syncs(order, call);
}

void order_acknowledge(struct order *order)
{
    const struct order_dirty *segment = dirty_segment(order);
    check(order, ORDER_FORCE_BEFORE_ACKNOWLEDGE, segment == NULL, "acknowledged before the force",
          segment != NULL ? segment->path : "", "");
}

void order_begin(struct order *order, const char *root, unsigned rules)
{
    *order = (struct order){.root = root, .rules = rules};
    order->dirty = calloc(ORDER_DIRTY_MAX, sizeof *order->dirty);
}

void order_end(struct order *order)
{
    while (order->dirty_count > 0) {
        forget(order, &order->dirty[order->dirty_count - 1]);
    }
    free(order->dirty);
    order->dirty = NULL;
}

/* --- As a layer ------------------------------------------------------------------------------- */

static void before(struct layer *layer, struct layer_call *call)
{
    order_before(&((struct order_layer *)(void *)layer)->order, call);
}

static void after(struct layer *layer, struct layer_call *call)
{
    order_after(&((struct order_layer *)(void *)layer)->order, call);
}

void order_init(struct order_layer *order, struct txio *below, const char *root, unsigned rules)
{
    layer_init(&order->layer, below);
    order->layer.before = before;
    order->layer.after = after;
    order_begin(&order->order, root, rules);
}

void order_release(struct order_layer *order)
{
    order_end(&order->order);
    layer_release(&order->layer);
}
