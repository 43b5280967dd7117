/* SPDX-License-Identifier: MIT */
/*
 * The upper half of txreg_internal.h, which includes it: records, changes over a tree, views.
 *
 * One entry of a change set is carried out by one function, reg_apply(), whether it is a user's
 * call on a view, the replay of a detached transaction or the redo of a committed one: all three
 * change a space, which is a tree and a map of records laid over it. Redo then writes the map of
 * its space into the tree, in order.
 */
#ifndef TXREG_VIEW_H
#define TXREG_VIEW_H

#include "txreg/txreg_internal.h"

/* --- Records ---------------------------------------------------------------------------------- */

#define REG_ROOT_ID 1u
#define REG_NEW_ID (UINT64_C(1) << 63) /* ids that a view gives until its commit */
#define REG_SHORT_NAME_MAX 512u        /* bytes of a folded value name that serves as key */
#define REG_LONG_NAME_SIZE 16u         /* a longer one is named by its hash */

/* Kinds of records, in the order in which they follow a key id. */
enum reg_kind {
    REG_HEADER = 1,
    REG_VALUE,
    REG_LONG_VALUE,
    REG_CHILD,
};

/* REG_HEADER: what is true of the key itself; its name stands in its parent's REG_CHILD. */
struct reg_header {
    uint64_t parent;
    tx_lsn revision;
    int64_t write_time_ns;
    uint64_t next_ordinal;
    uint32_t subkey_count;
    uint32_t value_count;
    uint16_t class_size;
    const uint8_t *class_name; /* follows the fixed part */
};
extern const struct tx_field reg_header_fields[];
#define REG_HEADER_SIZE 42u
#define REG_HEADER_MAX (REG_HEADER_SIZE + TXREG_CLASS_MAX)

struct reg_child {
    uint64_t id;
    tx_lsn revision;
    const uint8_t *name; /* follows the fixed part */
    size_t name_size;
};
extern const struct tx_field reg_child_fields[];
#define REG_CHILD_SIZE 16u

enum reg_value_flags {
    REG_VALUE_OUT = 1 << 0,          /* data lie in overflow pages */
    REG_VALUE_NAME_OUT = 1 << 1,     /* so does the name, before the data */
    REG_VALUE_WIDE_TYPE = 1 << 2,    /* 4 bytes instead of 1 */
    REG_VALUE_WIDE_ORDINAL = 1 << 3, /* 8 bytes instead of 2 */
    REG_VALUE_WIDE_NAME = 1 << 4,    /* 2 bytes of name size instead of 1 */
    REG_VALUE_FLAGS = (1 << 5) - 1,
};
struct reg_value {
    tx_lsn revision;
    uint64_t ordinal; /* place in the order of creation */
    uint32_t type;
    uint32_t size; /* bytes of data */
    uint16_t name_size;
    bool is_out;
    bool is_name_out;
    const uint8_t *name; /* NULL when out */
    const uint8_t *data; /* NULL when out */
    struct reg_ref ref;
};
#define REG_VALUE_HEAD_MAX (1u + 8u + 8u + 4u + 2u + 4u + REG_REF_SIZE)

static inline uint64_t reg_get_id(const uint8_t *key)
{
    return (uint64_t)key[0] << 56 | (uint64_t)key[1] << 48 | (uint64_t)key[2] << 40 |
           (uint64_t)key[3] << 32 | (uint64_t)key[4] << 24 | (uint64_t)key[5] << 16 |
           (uint64_t)key[6] << 8 | key[7];
}
void reg_key_head(struct reg_key *key, uint64_t id, enum reg_kind kind);
/* Errors: TX_EINVAL for a name that is empty, malformed or holds a separator; TX_ELIMIT. */
enum tx_status reg_key_child(struct reg_key *key, uint64_t id, const char *name, size_t size,
                             struct tx_error *err) TX_CHECKED;
enum tx_status reg_key_value(struct reg_key *key, uint64_t id, const char *name, size_t size,
                             struct tx_error *err) TX_CHECKED;

void reg_header_encode(const struct reg_header *header, uint8_t data[REG_HEADER_MAX]);
bool reg_header_decode(struct reg_header *header, const uint8_t *data, size_t size);
bool reg_child_decode(struct reg_child *child, const uint8_t *data, size_t size);
/* The part before name and data; returns its size. */
size_t reg_value_encode_head(const struct reg_value *value, uint8_t data[REG_VALUE_HEAD_MAX]);
bool reg_value_decode(struct reg_value *value, const uint8_t *data, size_t size);
/* Bytes in overflow pages of a value that is out. */
static inline uint64_t reg_value_out_size(const struct reg_value *value)
{
    return (uint64_t)value->size + (value->is_name_out ? value->name_size : 0u);
}
enum tx_status reg_record_corrupt(struct tx_error *err, const uint8_t *key, const char *what);

/* --- Entries of change sets ------------------------------------------------------------------- */

enum reg_op { REG_OP_CREATE = 1, REG_OP_DELETE, REG_OP_RENAME, REG_OP_SET, REG_OP_UNSET };

enum reg_entry_flags {
    REG_ENTRY_EXISTED = 1 << 0, /* a value: there was an old one */
    REG_ENTRY_FLAGS = (1 << 1) - 1,
};

struct reg_entry {
    uint8_t op;
    uint16_t flags;
    uint64_t key_id;       /* of the key, for create of its parent; 0: made by this transaction */
    tx_lsn base_revision;  /* of its conflict unit in the snapshot; 0: not there */
    uint32_t key_size;     /* the sizes are those of texts without NUL */
    uint32_t name_size;
    uint32_t type;
    uint32_t size;
    uint32_t old_type;
    uint32_t old_size;
    const char *key;     /* path with the names as they are stored */
    const char *name;    /* value; new name; class */
    const uint8_t *data;
    const uint8_t *old; /* old data; old name; class of a deleted key */
};
extern const struct tx_field reg_entry_fields[];
#define REG_ENTRY_HEAD 40u
enum tx_status reg_entry_decode(struct reg_entry *entry, const struct ktm_change *change,
                                struct tx_error *err) TX_CHECKED;
/* The last name of the entry's path. */
const char *reg_entry_last_name(const struct reg_entry *entry, size_t *size);
enum tx_status reg_entry_add(struct ktm_txn *txn, const struct reg_entry *entry,
                             struct tx_error *err) TX_CHECKED;

/* --- A map by record key ---------------------------------------------------------------------- */

struct reg_table_entry {
    struct reg_table_entry *next; /* in its bucket */
    uint64_t hash;
    void *value;
    uint16_t key_size;
    uint8_t key[];
};
struct reg_table {
    struct reg_table_entry **entries; /* in the order of their coming, or sorted */
    struct reg_table_entry **buckets;
    size_t count;
    size_t bucket_count;
    struct tx_map order; /* of the first `ordered` entries */
    size_t ordered;
    void (*release)(void *value);
};
void reg_table_init(struct reg_table *table, void (*release)(void *value));
void reg_table_clear(struct reg_table *table);
/* NULL when absent. */
struct reg_table_entry *reg_table_find(const struct reg_table *table, const uint8_t *key,
                                       size_t key_size);
/* Set or replace. On failure the value stays the caller's. */
enum tx_status reg_table_set(struct reg_table *table, const uint8_t *key, size_t key_size,
                             void *value, struct tx_error *err) TX_CHECKED;
/* Bring `order` up to date: it maps keys to entries. */
enum tx_status reg_table_order(struct reg_table *table, struct tx_error *err) TX_CHECKED;
/* Sort `entries` by key. */
void reg_table_sort(struct reg_table *table);

/* --- Changes over a tree ---------------------------------------------------------------------- */

struct reg_level {
    uint64_t id;
    uint32_t raw_end;   /* end of the name in the path as it was asked for */
    uint32_t canon_end; /* and in the path of stored names */
    bool is_touched;
};

/* The keys on the last path, so that the next path pays for what differs only. */
struct reg_path {
    struct tx_buf raw;
    struct tx_buf canon;
    unsigned depth;
    struct reg_level level[TXREG_DEPTH_MAX];
};

struct reg_space {
    struct reg_tree base;
    struct reg_table changes; /* record key -> struct reg_blob */
    struct reg_path path;
    uint64_t new_id;  /* ids from here on are not in the base */
    uint64_t next_id; /* of the next created key */
    tx_lsn revision;  /* stamped on what changes */
    int64_t time_ns;
    uint64_t key_count;
};

/* A record of the map. */
struct reg_blob {
    bool is_absent;
    size_t size;
    uint8_t bytes[];
};

void reg_space_init(struct reg_space *space, struct txreg *reg, const struct reg_state *state);
void reg_space_auto(struct reg_space *space);
/* Forget all changes. */
void reg_space_clear(struct reg_space *space);
/* `hit` is valid until the space changes. */
enum tx_status reg_space_get(struct reg_space *space, const struct reg_key *key,
                             struct reg_hit *hit, struct tx_error *err) TX_CHECKED;
/* The record becomes these parts. */
enum tx_status reg_space_put(struct reg_space *space, const struct reg_key *key,
                             const struct iovec *parts, int count,
                             struct tx_error *err) TX_CHECKED;
enum tx_status reg_space_remove(struct reg_space *space, const struct reg_key *key,
                                struct tx_error *err) TX_CHECKED;
/* The revision of a record in the tree below the changes; 0 when it has none. */
enum tx_status reg_tree_revision(struct reg_tree *tree, const struct reg_key *key,
                                 tx_lsn *revision, struct tx_error *err) TX_CHECKED;
enum tx_status reg_base_revision(struct reg_space *space, const struct reg_key *key,
                                 tx_lsn *revision, struct tx_error *err) TX_CHECKED;

/* Read the header record of a key that must exist. */
enum tx_status reg_space_header(struct reg_space *space, uint64_t id, struct reg_hit *hit,
                                struct reg_header *header, struct tx_error *err) TX_CHECKED;

/* Walk the records of one key and kind, base and changes together. */
struct reg_scan {
    struct reg_space *space;
    struct reg_cursor base;
    struct reg_key range; /* id and kind */
    bool valid;
    bool is_changed; /* the current record is one of the changes */
    bool has_change;
    struct tx_map_entry change;
    const uint8_t *key;
    size_t key_size;
    const uint8_t *payload;
    size_t size;
};
void reg_scan_init(struct reg_scan *scan, struct reg_space *space);
void reg_scan_auto(struct reg_scan *scan);
/* Begin with the first record after `after`, which is of the range; NULL: with the first. */
enum tx_status reg_scan_begin(struct reg_scan *scan, uint64_t id, enum reg_kind kind,
                              const struct reg_key *after, struct tx_error *err) TX_CHECKED;
enum tx_status reg_scan_next(struct reg_scan *scan, struct tx_error *err) TX_CHECKED;

/* --- Paths ------------------------------------------------------------------------------------ */

void reg_path_release(struct reg_path *path);
/* Forget all levels from `depth` on. */
void reg_path_cut(struct reg_path *path, unsigned depth);
/* Id of the key on level `depth` (1 is below the root; 0 the root). */
uint64_t reg_path_id(const struct reg_path *path, unsigned depth);
/* Append the stored names down to `depth`, as a path. */
enum tx_status reg_path_append(const struct reg_path *path, unsigned depth, struct tx_buf *text,
                               struct tx_error *err) TX_CHECKED;
/* Go one level down to a subkey that was asked for as `name`. */
enum tx_status reg_path_enter(struct reg_path *path, const char *name, size_t size,
                              const struct reg_child *child, struct tx_error *err) TX_CHECKED;
/* The stored name of the key on level `depth` >= 1. */
void reg_path_name(const struct reg_path *path, unsigned depth, const char **name, size_t *size);
/* Follow the path as far as its keys exist; *rest points to the part that does not. Checks the
 * whole path. Errors: TX_EINVAL, TX_ELIMIT. */
enum tx_status reg_resolve(struct reg_space *space, const char *path, const char **rest,
                           struct tx_error *err) TX_CHECKED;
/* Follow it to its end. Errors: also TX_ENOTFOUND. */
enum tx_status reg_resolve_all(struct reg_space *space, const char *path, uint64_t *id,
                               struct tx_error *err) TX_CHECKED;

/* Resolve an entry's path: to the key, for create to its parent. Errors: TX_ENOTFOUND, TX_EEXIST,
 * TX_EPERM for the root key. */
enum tx_status reg_apply_resolve(struct reg_space *space, const struct reg_entry *entry,
                                 struct tx_error *err) TX_CHECKED;
/* Carry out one entry whose path is the resolved one. Leaves the path on the key, or on what is
 * left of it. Errors: TX_ENOTFOUND, TX_EEXIST, TX_ENOTEMPTY when it does not fit. */
enum tx_status reg_apply(struct reg_space *space, const struct reg_entry *entry,
                         struct tx_error *err) TX_CHECKED;
/* Carry out a set or unset in the key with this id, whatever its path. */
enum tx_status reg_apply_value(struct reg_space *space, uint64_t id, const struct reg_entry *entry,
                               struct tx_error *err) TX_CHECKED;

/* --- Views ------------------------------------------------------------------------------------ */

enum reg_touch_mode {
    REG_TOUCH_READ = 1 << 0,  /* must be at commit what it was in the snapshot */
    REG_TOUCH_WRITE = 1 << 1, /* changed as well */
    REG_TOUCH_MARK = 1 << 2,  /* contents of a key: changed without looking at them */
};

/* A conflict unit: a record of the tree. */
struct reg_touch {
    unsigned mode;
    char label[]; /* for messages */
};

struct reg_view {
    struct txreg *reg;
    struct ktm_txn *txn;
    struct reg_state state; /* the snapshot */
    struct reg_space space;
    struct reg_table touches; /* record key -> struct reg_touch */
    bool is_serializable;
    unsigned walking;       /* enumerations on the stack */
    enum tx_status broken;  /* not TX_OK: the map may not be what the entries say */
};

enum tx_status reg_view_of(struct ktm_txn *txn, struct reg_view **view,
                           struct tx_error *err) TX_CHECKED;
/* The same for a call that changes something: not from inside an enumeration. */
enum tx_status reg_view_to_change(struct ktm_txn *txn, struct reg_view **view,
                                  struct tx_error *err) TX_CHECKED;
/* Add the entry to the transaction and carry it out in the view. The last resolved path must be
 * the entry's; its key, key_size, key_id and base_revision are filled in from there (create: the
 * caller gives the key). */
enum tx_status reg_view_emit(struct reg_view *view, struct reg_entry *entry,
                             struct tx_error *err) TX_CHECKED;
enum tx_status reg_rm_begin(void *rm, struct ktm_txn *txn, void **view, struct tx_error *err);
enum tx_status reg_rm_flush(void *rm, struct ktm_txn *txn, void *view, struct tx_error *err);
enum tx_status reg_rm_rebuild(void *rm, struct ktm_txn *txn, void *view, struct tx_error *err);
void reg_rm_end(void *rm, struct ktm_txn *txn, void *view);
enum tx_status reg_rm_prepare(void *rm, struct ktm_txn *txn, void *view, struct ktm_vote *vote,
                              struct tx_error *err);
enum tx_status reg_rm_redo(void *rm, const struct ktm_commit_info *commit,
                           enum ktm_redo_mode mode, uint8_t token[KTM_TOKEN_SIZE],
                           struct tx_error *err);

/* Note that the transaction depends on a record. Records of its own making are left out. */
enum tx_status reg_touch(struct reg_view *view, const struct reg_key *key, unsigned mode,
                         const char *label, struct tx_error *err) TX_CHECKED;
/* The record whose revision says whether an entry still fits: its conflict unit. */
enum tx_status reg_entry_unit(const struct reg_space *space, const struct reg_entry *entry,
                              struct reg_key *key, struct tx_error *err) TX_CHECKED;
/* All levels of the resolved path, to be read. */
enum tx_status reg_touch_path(struct reg_view *view, struct tx_error *err) TX_CHECKED;
/* What an entry reads and writes; the resolved path must be the entry's. */
enum tx_status reg_touch_entry(struct reg_view *view, const struct reg_entry *entry,
                               struct tx_error *err) TX_CHECKED;
/* Reads count in serializable transactions only. */
enum tx_status reg_touch_read(struct reg_view *view, const struct reg_key *key,
                              struct tx_error *err) TX_CHECKED;

/* Resolve a path for reading and note it where that counts. */
enum tx_status reg_view_resolve(struct reg_view *view, const char *path, uint64_t *id,
                                struct tx_error *err) TX_CHECKED;
enum tx_status reg_key_info(struct reg_space *space, uint64_t id, const char *name, size_t size,
                            struct txreg_key_info *info, struct tx_error *err) TX_CHECKED;
/* The record of a value, its decoded form; hit->payload is NULL when there is none. */
enum tx_status reg_view_value(struct reg_view *view, const struct reg_key *key, const char *name,
                              size_t name_size, struct reg_hit *hit, struct reg_value *value,
                              struct tx_error *err) TX_CHECKED;
/* Append the name / the data of a value. */
enum tx_status reg_value_name(struct txreg *reg, const struct reg_value *value,
                              struct tx_buf *name, struct tx_error *err) TX_CHECKED;
enum tx_status reg_value_data(struct txreg *reg, const struct reg_value *value,
                              struct tx_buf *data, struct tx_error *err) TX_CHECKED;

/* A long name is found by its hash: make sure that it is the same name. Errors: TX_EEXIST. */
enum tx_status reg_value_is_named(const struct reg_key *key, const struct tx_buf *stored,
                                  const char *name, size_t size, struct tx_error *err) TX_CHECKED;

/* The values of a key in the order of their creation. */
struct reg_order_item {
    uint64_t ordinal;
    size_t key_at; /* in keys */
    uint16_t key_size;
};
struct reg_order {
    struct tx_buf items;
    struct tx_buf keys;
};
#define REG_ORDER_INIT {TX_BUF_INIT, TX_BUF_INIT}
static inline void reg_order_auto(struct reg_order *order)
{
    tx_buf_release(&order->items);
    tx_buf_release(&order->keys);
}
enum tx_status reg_order_load(struct reg_space *space, uint64_t id, struct reg_order *order,
                              struct tx_error *err) TX_CHECKED;
static inline size_t reg_order_count(const struct reg_order *order)
{
    return order->items.size / sizeof(struct reg_order_item);
}
/* The value at a place of the order, which must still be there. */
enum tx_status reg_order_get(struct reg_space *space, const struct reg_order *order, size_t index,
                             struct reg_hit *hit, struct reg_value *value,
                             struct tx_error *err) TX_CHECKED;

#endif
