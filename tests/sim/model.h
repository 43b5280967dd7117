/* SPDX-License-Identifier: MIT */
/*
 * The reference model: what a tree and a registry hold, and what each operation does to them, in
 * the simplest way that is right. No I/O, no concurrency, no durability: a state is an array.
 *
 * The universe is small, so that transactions meet: seven directories ("" and d0 .. d2, each of
 * these with s) of three files each; six keys (K0, K1, each with A and B) of three values each.
 *
 * A transaction is a list of operations. It is made by carrying them out on a copy of the state at
 * its snapshot, and checked by carrying them out again on the state at its place in the log, where
 * each must find the object that it found before: first committer wins.
 */
#ifndef TX_SIM_MODEL_H
#define TX_SIM_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MODEL_DIRS 7u
#define MODEL_NAMES 3u
#define MODEL_FILES (MODEL_DIRS * MODEL_NAMES)
#define MODEL_KEYS 6u
#define MODEL_VALUES (MODEL_KEYS * 3u)
#define MODEL_TEXT_SIZE 160u

/* --- Memory that lives as long as a history --------------------------------------------------- */

struct model_arena {
    struct model_chunk *chunks;
    size_t used;
};
void *model_alloc(struct model_arena *arena, size_t size);
void model_arena_release(struct model_arena *arena);

/* Never changed, so compared by address. */
struct model_bytes {
    uint32_t size;
    uint8_t data[];
};
struct model_bytes *model_bytes_new(struct model_arena *arena, size_t size);

/* --- States ----------------------------------------------------------------------------------- */

struct model_node {
    uint32_t id; /* of the object, like an inode number; 0: nothing */
    uint32_t mode;
    bool is_link; /* symbolic; bytes are the target */
    const struct model_bytes *bytes;
};

struct model_value {
    uint32_t type;
    const struct model_bytes *bytes; /* NULL: no value */
};

struct model_state {
    struct model_node dirs[MODEL_DIRS]; /* [0], the root, is always there */
    struct model_node files[MODEL_FILES];
    uint32_t keys[MODEL_KEYS]; /* ids; 0: no key */
    struct model_value values[MODEL_VALUES];
};

void model_init(struct model_state *state);
const char *model_dir_path(unsigned dir);   /* "" for the root */
const char *model_file_path(unsigned file);
const char *model_key_path(unsigned key);
const char *model_value_name(unsigned value);
unsigned model_dir_parent(unsigned dir);
static inline unsigned model_file_dir(unsigned file) { return file / MODEL_NAMES; }
static inline unsigned model_value_key(unsigned value) { return value / 3u; }
/* Directories of one level can take each other's place; so can keys. */
bool model_same_level(unsigned a, unsigned b);
bool model_same_parent_key(unsigned a, unsigned b);

/* --- Operations ------------------------------------------------------------------------------- */

enum model_op_kind {
    MODEL_PUT,          /* file a := bytes, a new object */
    MODEL_WRITE,        /* bytes at `offset` of file a, in place */
    MODEL_TRUNCATE,     /* file a to `offset` bytes, in place */
    MODEL_UNLINK,       /* file or symbolic link a */
    MODEL_RENAME,       /* file a to b, replacing it */
    MODEL_LINK,         /* b, another name of file a */
    MODEL_SYMLINK,      /* a, target bytes */
    MODEL_CHMOD,        /* file a */
    MODEL_MKDIR,        /* directory a */
    MODEL_RMDIR,
    MODEL_REMOVE_TREE,  /* directory a and all below */
    MODEL_RENAME_DIR,   /* directory a to b */
    MODEL_CREATE_KEY,   /* key a, which may exist */
    MODEL_DELETE_KEY,   /* key a with all below */
    MODEL_RENAME_KEY,   /* key a to its sibling b */
    MODEL_SET,          /* value a := bytes */
    MODEL_UNSET,        /* value a */
    MODEL_READ_FILE,    /* file a was looked at (by a serializable transaction) */
    MODEL_READ_VALUE,   /* value a was */
    MODEL_OPS
};
extern const char *const model_op_names[MODEL_OPS];

struct model_op {
    enum model_op_kind kind;
    unsigned a, b;
    uint64_t offset;
    uint32_t mode, type;
    uint32_t id; /* of what is made */
    const struct model_bytes *bytes;
    struct model_node found_a, found_b; /* what stood there in the transaction's view */
    struct model_value found_value;
    uint32_t found_key;
    uint64_t found_all; /* of what goes with it: a hash */
};

static inline bool model_op_is_reg(enum model_op_kind kind)
{
    return (kind >= MODEL_CREATE_KEY && kind <= MODEL_UNSET) || kind == MODEL_READ_VALUE;
}

static inline bool model_op_is_dir(enum model_op_kind kind)
{
    return kind >= MODEL_MKDIR && kind <= MODEL_RENAME_DIR;
}

static inline bool model_op_is_value(enum model_op_kind kind)
{
    return kind == MODEL_SET || kind == MODEL_UNSET || kind == MODEL_READ_VALUE;
}

/* Whether the operation makes sense here. */
bool model_possible(const struct model_state *state, const struct model_op *op);
/* Note what it finds, for model_replay. */
void model_note(const struct model_state *state, struct model_op *op);
/* Carry it out; it must be possible. */
void model_apply(struct model_arena *arena, struct model_state *state, const struct model_op *op);
/* Carry a transaction out at its place in the order. False with a text when an operation does not
 * find what it found before: a change of another transaction would be lost, or the tree broken. */
bool model_replay(struct model_arena *arena, struct model_state *state, const struct model_op *ops,
                  size_t count, char text[MODEL_TEXT_SIZE]);
/* "put d0/a" */
void model_describe(const struct model_op *op, char text[MODEL_TEXT_SIZE]);

#endif
