/* SPDX-License-Identifier: MIT */
/* A transaction at its place in the order: does it find what it found? */
#include <stdio.h>
#include <string.h>

#include "sim/model.h"

/* What a change of the name alone depends on. Contents that go with it may have changed. */
static bool same_object(const struct model_node *a, const struct model_node *b)
{
    return a->id == b->id && a->is_link == b->is_link;
}

/* Bytes that a write in place made are made again by the replay, at another address. */
static bool same_bytes(const struct model_bytes *a, const struct model_bytes *b)
{
    return a == b || (a != NULL && b != NULL && a->size == b->size &&
                      memcmp(a->data, b->data, a->size) == 0);
}

static bool same_node(const struct model_node *a, const struct model_node *b)
{
    return same_object(a, b) && a->mode == b->mode && same_bytes(a->bytes, b->bytes);
}

static bool finds_the_same(const struct model_op *then, const struct model_op *now)
{
    switch (now->kind) {
    case MODEL_RENAME:
    case MODEL_LINK:
        return same_object(&then->found_a, &now->found_a) &&
               same_node(&then->found_b, &now->found_b);
    case MODEL_UNLINK:
        return same_object(&then->found_a, &now->found_a);
    case MODEL_MKDIR:
    case MODEL_RMDIR:
    case MODEL_REMOVE_TREE:
    case MODEL_RENAME_DIR:
        return then->found_a.id == now->found_a.id && then->found_b.id == now->found_b.id &&
               then->found_all == now->found_all;
    default:
        return same_node(&then->found_a, &now->found_a) && then->found_key == now->found_key &&
               then->found_all == now->found_all &&
               then->found_value.type == now->found_value.type &&
               same_bytes(then->found_value.bytes, now->found_value.bytes);
    }
}

void model_describe(const struct model_op *op, char text[MODEL_TEXT_SIZE])
{
    const char *a = model_op_is_value(op->kind) ? model_key_path(model_value_key(op->a))
                    : model_op_is_reg(op->kind) ? model_key_path(op->a)
                    : model_op_is_dir(op->kind) ? model_dir_path(op->a)
                                       : model_file_path(op->a);
    const char *b = "";
    if (op->kind == MODEL_RENAME || op->kind == MODEL_LINK) {
        b = model_file_path(op->b);
    } else if (op->kind == MODEL_RENAME_DIR) {
        b = model_dir_path(op->b);
    } else if (op->kind == MODEL_RENAME_KEY) {
        b = model_key_path(op->b);
    }
    const char *value = model_op_is_value(op->kind) ? model_value_name(op->a) : "";
    (void)snprintf(text, MODEL_TEXT_SIZE, "%s %s%s%s%s%s", model_op_names[op->kind], a,
                   model_op_is_value(op->kind) ? ":" : "", value, b[0] != '\0' ? " to " : "", b);
}

static unsigned size_of(const struct model_bytes *bytes) { return bytes ? bytes->size : 0; }

/* What differs: object, mode, size, key. */
static void describe_found(const struct model_op *then, const struct model_op *now, char *text,
                           size_t size)
{
    (void)snprintf(text, size, " (%u %o %u %u %u: %u %o %u %u %u)", then->found_a.id,
                   then->found_a.mode, size_of(then->found_a.bytes), then->found_b.id,
                   then->found_key, now->found_a.id, now->found_a.mode,
                   size_of(now->found_a.bytes), now->found_b.id, now->found_key);
}

bool model_replay(struct model_arena *arena, struct model_state *state, const struct model_op *ops,
                  size_t count, char text[MODEL_TEXT_SIZE])
{
    for (size_t i = 0; i < count; i++) {
        struct model_op now = ops[i];
        model_note(state, &now);
        if (!model_possible(state, &now) || !finds_the_same(&ops[i], &now)) {
            char words[MODEL_TEXT_SIZE / 2];
            char name[MODEL_TEXT_SIZE];
            model_describe(&now, name);
            describe_found(&ops[i], &now, words, sizeof words);
            (void)snprintf(text, MODEL_TEXT_SIZE, "%.*s%s", (int)(MODEL_TEXT_SIZE / 2 - 1), name,
                           words);
            return false;
        }
        model_apply(arena, state, &now);
    }
    return true;
}
