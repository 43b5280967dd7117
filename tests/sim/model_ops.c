/* SPDX-License-Identifier: MIT */
/* What the operations of the model do. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sim/model.h"
#include "sim/sim_internal.h"

const char *const model_op_names[MODEL_OPS] = {
    "put",         "write",      "truncate",   "unlink", "rename", "link",      "symlink",
    "chmod",       "mkdir",      "rmdir",      "remove tree",      "rename directory",
    "create key",  "delete key", "rename key", "set",    "unset",  "read file", "read value"};

/* --- Files ------------------------------------------------------------------------------------ */

static bool dir_there(const struct model_state *state, unsigned dir)
{
    return state->dirs[dir].id != 0;
}

static bool is_file(const struct model_node *node) { return node->id != 0 && !node->is_link; }

static bool is_empty(const struct model_state *state, unsigned dir)
{
    for (unsigned i = 0; i < MODEL_NAMES; i++) {
        if (state->files[dir * MODEL_NAMES + i].id != 0) {
            return false;
        }
    }
    return dir > 3 || !dir_there(state, dir + 3);
}

static void remove_dir(struct model_state *state, unsigned dir)
{
    if (dir <= 3) {
        remove_dir(state, dir + 3);
    }
    state->dirs[dir] = (struct model_node){.id = 0};
    for (unsigned i = 0; i < MODEL_NAMES; i++) {
        state->files[dir * MODEL_NAMES + i] = (struct model_node){.id = 0};
    }
}

static void move_dir(struct model_state *state, unsigned from, unsigned to)
{
    state->dirs[to] = state->dirs[from];
    state->dirs[from] = (struct model_node){.id = 0};
    for (unsigned i = 0; i < MODEL_NAMES; i++) {
        state->files[to * MODEL_NAMES + i] = state->files[from * MODEL_NAMES + i];
        state->files[from * MODEL_NAMES + i] = (struct model_node){.id = 0};
    }
    if (from <= 3) {
        move_dir(state, from + 3, to + 3);
    }
}

/* All names of an object show what it is now. */
static void change_object(struct model_state *state, const struct model_node *node)
{
    for (unsigned i = 0; i < MODEL_FILES; i++) {
        if (state->files[i].id == node->id) {
            state->files[i] = *node;
        }
    }
}

static void resize(struct model_arena *arena, struct model_state *state, const struct model_op *op,
                   uint64_t size)
{
    struct model_node node = state->files[op->a];
    struct model_bytes *bytes = model_bytes_new(arena, (size_t)size);
    size_t kept = node.bytes->size < size ? node.bytes->size : (size_t)size;
    memcpy(bytes->data, node.bytes->data, kept);
    if (op->kind == MODEL_WRITE) {
        memcpy(bytes->data + op->offset, op->bytes->data, op->bytes->size);
    }
    node.bytes = bytes;
    change_object(state, &node);
}

static void chmod_file(struct model_state *state, const struct model_op *op)
{
    struct model_node node = state->files[op->a];
    node.mode = op->mode;
    change_object(state, &node);
}

static bool file_possible(const struct model_state *state, const struct model_op *op)
{
    const struct model_node *a = &state->files[op->a];
    const struct model_node *b = &state->files[op->b];
    if (!dir_there(state, model_file_dir(op->a)) || !dir_there(state, model_file_dir(op->b))) {
        return false;
    }
    switch (op->kind) {
    case MODEL_PUT:
        return !a->is_link;
    case MODEL_WRITE:
    case MODEL_TRUNCATE:
    case MODEL_CHMOD:
        return is_file(a);
    case MODEL_UNLINK:
        return a->id != 0;
    case MODEL_RENAME:
        return a->id != 0 && a->id != b->id;
    case MODEL_LINK:
        return is_file(a) && b->id == 0;
    case MODEL_SYMLINK:
        return a->id == 0;
    default:
        return true;
    }
}

static bool dir_possible(const struct model_state *state, const struct model_op *op)
{
    bool there = dir_there(state, op->a);
    switch (op->kind) {
    case MODEL_MKDIR:
        return !there && dir_there(state, model_dir_parent(op->a));
    case MODEL_RMDIR:
        return there && op->a != 0 && is_empty(state, op->a);
    case MODEL_REMOVE_TREE:
        return there && op->a != 0;
    default:
        return there && op->a != 0 && model_same_level(op->a, op->b) && op->a != op->b &&
               !dir_there(state, op->b) && dir_there(state, model_dir_parent(op->b));
    }
}

/* --- Registry --------------------------------------------------------------------------------- */

static unsigned key_parent(unsigned key) { return key < 2 ? key : (key - 2) / 2; }

static bool parent_key_there(const struct model_state *state, unsigned key)
{
    return key < 2 || state->keys[key_parent(key)] != 0;
}

static void remove_key(struct model_state *state, unsigned key)
{
    if (key < 2) {
        remove_key(state, 2 + key * 2);
        remove_key(state, 3 + key * 2);
    }
    state->keys[key] = 0;
    for (unsigned i = 0; i < 3; i++) {
        state->values[key * 3 + i] = (struct model_value){.type = 0};
    }
}

static void move_key(struct model_state *state, unsigned from, unsigned to)
{
    state->keys[to] = state->keys[from];
    state->keys[from] = 0;
    for (unsigned i = 0; i < 3; i++) {
        state->values[to * 3 + i] = state->values[from * 3 + i];
        state->values[from * 3 + i] = (struct model_value){.type = 0};
    }
    for (unsigned i = 0; i < 2 && from < 2; i++) {
        move_key(state, 2 + from * 2 + i, 2 + to * 2 + i);
    }
}

static bool reg_possible(const struct model_state *state, const struct model_op *op)
{
    switch (op->kind) {
    case MODEL_CREATE_KEY:
        return parent_key_there(state, op->a);
    case MODEL_DELETE_KEY:
        return state->keys[op->a] != 0;
    case MODEL_RENAME_KEY:
        return state->keys[op->a] != 0 && state->keys[op->b] == 0 && op->a != op->b &&
               model_same_parent_key(op->a, op->b);
    case MODEL_SET:
        return state->keys[model_value_key(op->a)] != 0;
    case MODEL_UNSET:
        return state->values[op->a].bytes != NULL;
    default:
        return true;
    }
}

/* --- All -------------------------------------------------------------------------------------- */

static bool is_reg(enum model_op_kind kind)
{
    return (kind >= MODEL_CREATE_KEY && kind <= MODEL_UNSET) || kind == MODEL_READ_VALUE;
}

static bool is_dir(enum model_op_kind kind)
{
    return kind >= MODEL_MKDIR && kind <= MODEL_RENAME_DIR;
}

static bool is_value(enum model_op_kind kind)
{
    return kind == MODEL_SET || kind == MODEL_UNSET || kind == MODEL_READ_VALUE;
}

static uint64_t hash_node(const struct model_node *node)
{
    uint64_t seed = (uint64_t)node->id << 32 | node->mode;
    return node->bytes != NULL ? sim_hash(node->bytes->data, node->bytes->size, seed) : seed;
}

/* What goes with a directory that is removed with all below. */
static uint64_t hash_tree(const struct model_state *state, unsigned dir)
{
    uint64_t hash = state->dirs[dir].id;
    for (unsigned i = 0; i < MODEL_NAMES; i++) {
        hash = sim_mix(hash, hash_node(&state->files[dir * MODEL_NAMES + i]));
    }
    return dir <= 3 ? sim_mix(hash, hash_tree(state, dir + 3)) : hash;
}

static uint64_t hash_key(const struct model_state *state, unsigned key)
{
    uint64_t hash = state->keys[key];
    for (unsigned i = 0; i < 3; i++) {
        const struct model_value *value = &state->values[key * 3 + i];
        uint64_t of_bytes = value->bytes != NULL
                                ? sim_hash(value->bytes->data, value->bytes->size, value->type)
                                : 0;
        hash = sim_mix(hash, of_bytes);
    }
    for (unsigned i = 0; i < 2 && key < 2; i++) {
        hash = sim_mix(hash, hash_key(state, 2 + key * 2 + i));
    }
    return hash;
}

bool model_possible(const struct model_state *state, const struct model_op *op)
{
    if (op->kind == MODEL_READ_FILE || op->kind == MODEL_READ_VALUE) {
        return true;
    }
    if (is_reg(op->kind)) {
        return reg_possible(state, op);
    }
    return is_dir(op->kind) ? dir_possible(state, op) : file_possible(state, op);
}

void model_note(const struct model_state *state, struct model_op *op)
{
    if (is_value(op->kind)) {
        op->found_value = state->values[op->a];
        op->found_key = state->keys[model_value_key(op->a)];
    } else if (is_reg(op->kind)) {
        op->found_key = state->keys[op->a];
        op->found_all = op->kind == MODEL_DELETE_KEY ? hash_key(state, op->a) : 0;
    } else if (is_dir(op->kind)) {
        op->found_a = state->dirs[op->a];
        op->found_b = state->dirs[op->b];
        op->found_all = op->kind == MODEL_REMOVE_TREE ? hash_tree(state, op->a) : 0;
    } else {
        op->found_a = state->files[op->a];
        op->found_b = state->files[op->b];
    }
}

static void apply_file(struct model_arena *arena, struct model_state *state,
                       const struct model_op *op)
{
    struct model_node *a = &state->files[op->a];
    uint64_t end = op->bytes != NULL ? op->offset + op->bytes->size : 0;
    switch (op->kind) {
    case MODEL_PUT:
    case MODEL_SYMLINK:
        *a = (struct model_node){op->id, op->mode, op->kind == MODEL_SYMLINK, op->bytes};
        break;
    case MODEL_WRITE:
        resize(arena, state, op, end > a->bytes->size ? end : a->bytes->size);
        break;
    case MODEL_TRUNCATE:
        resize(arena, state, op, op->offset);
        break;
    case MODEL_UNLINK:
        *a = (struct model_node){.id = 0};
        break;
    case MODEL_RENAME:
        state->files[op->b] = *a;
        *a = (struct model_node){.id = 0};
        break;
    case MODEL_LINK:
        state->files[op->b] = *a;
        break;
    case MODEL_CHMOD:
        chmod_file(state, op);
        break;
    default:
        break;
    }
}

void model_apply(struct model_arena *arena, struct model_state *state, const struct model_op *op)
{
    switch (op->kind) {
    case MODEL_MKDIR:
        state->dirs[op->a] = (struct model_node){.id = op->id, .mode = op->mode};
        break;
    case MODEL_RMDIR:
    case MODEL_REMOVE_TREE:
        remove_dir(state, op->a);
        break;
    case MODEL_RENAME_DIR:
        move_dir(state, op->a, op->b);
        break;
    case MODEL_CREATE_KEY:
        state->keys[op->a] = state->keys[op->a] != 0 ? state->keys[op->a] : op->id;
        break;
    case MODEL_DELETE_KEY:
        remove_key(state, op->a);
        break;
    case MODEL_RENAME_KEY:
        move_key(state, op->a, op->b);
        break;
    case MODEL_SET:
        state->values[op->a] = (struct model_value){op->type, op->bytes};
        break;
    case MODEL_UNSET:
        state->values[op->a] = (struct model_value){.type = 0};
        break;
    default:
        apply_file(arena, state, op);
        break;
    }
}

/* --- Replaying -------------------------------------------------------------------------------- */

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
    const char *a = is_value(op->kind) ? model_key_path(model_value_key(op->a))
                    : is_reg(op->kind) ? model_key_path(op->a)
                    : is_dir(op->kind) ? model_dir_path(op->a)
                                       : model_file_path(op->a);
    const char *b = "";
    if (op->kind == MODEL_RENAME || op->kind == MODEL_LINK) {
        b = model_file_path(op->b);
    } else if (op->kind == MODEL_RENAME_DIR) {
        b = model_dir_path(op->b);
    } else if (op->kind == MODEL_RENAME_KEY) {
        b = model_key_path(op->b);
    }
    (void)snprintf(text, MODEL_TEXT_SIZE, "%s %s%s%s%s%s", model_op_names[op->kind], a,
                   is_value(op->kind) ? ":" : "", is_value(op->kind) ? model_value_name(op->a) : "",
                   b[0] != '\0' ? " to " : "", b);
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
            model_describe(&now, text);
            describe_found(&ops[i], &now, words, sizeof words);
            (void)strncat(text, words, MODEL_TEXT_SIZE - strlen(text) - 1);
            return false;
        }
        model_apply(arena, state, &now);
    }
    return true;
}
