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
    if (model_op_is_reg(op->kind)) {
        return reg_possible(state, op);
    }
    return model_op_is_dir(op->kind) ? dir_possible(state, op) : file_possible(state, op);
}

void model_note(const struct model_state *state, struct model_op *op)
{
    if (model_op_is_value(op->kind)) {
        op->found_value = state->values[op->a];
        op->found_key = state->keys[model_value_key(op->a)];
    } else if (model_op_is_reg(op->kind)) {
        op->found_key = state->keys[op->a];
        op->found_all = op->kind == MODEL_DELETE_KEY ? hash_key(state, op->a) : 0;
    } else if (model_op_is_dir(op->kind)) {
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
