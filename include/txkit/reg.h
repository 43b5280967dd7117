/* SPDX-License-Identifier: MIT */
/*
 * The registry: keys and values in a hierarchy, with the semantics of the Windows registry.
 *
 * Key paths are UTF-8 (WTF-8 for lone surrogates), their parts separated by TXREG_SEPARATOR; names
 * are case-preserving and compared without case by a frozen simple-upcase table
 * (src/txreg/README.md). A value has a name ("" is the default value), a free 32-bit type and
 * bytes that are stored exactly as given; strings are UTF-16LE with a NUL, as in Windows.
 *
 * Every call works on the view of one transaction: its own changes over its snapshot. Nothing is
 * durable before ktm_commit.
 */
#ifndef TXKIT_REG_H
#define TXKIT_REG_H

#include <txkit/ktm.h>

/* Separates key names in a path. A key name may hold '/', so '/' is no separator; txctl accepts it
 * at the command line for comfort and converts. */
#define TXREG_SEPARATOR '\\'
#define TXREG_KEY_NAME_MAX 255     /* UTF-16 units, as Windows */
#define TXREG_VALUE_NAME_MAX 16383 /* UTF-16 units */
#define TXREG_DEPTH_MAX 512
#define TXREG_VALUE_SIZE_MAX (64u << 20) /* bytes */
#define TXREG_CLASS_MAX 1024 /* bytes */
#define TXREG_NAME_BYTES_MAX (TXREG_VALUE_NAME_MAX * 3 + 1)

enum txreg_type {
    TXREG_NONE = 0,
    TXREG_SZ = 1,
    TXREG_EXPAND_SZ = 2,
    TXREG_BINARY = 3,
    TXREG_DWORD = 4,
    TXREG_DWORD_BE = 5,
    TXREG_LINK = 6,
    TXREG_MULTI_SZ = 7,
    TXREG_RESOURCE_LIST = 8,
    TXREG_FULL_RESOURCE_DESCRIPTOR = 9,
    TXREG_RESOURCE_REQUIREMENTS_LIST = 10,
    TXREG_QWORD = 11,
};

struct txreg; /* the registry RM of an open store */

struct txreg_key_info {
    uint64_t id;      /* of the key, never reused; survives rename */
    tx_lsn revision;  /* LSN of the commit that last changed the key's own values or subkeys */
    int64_t write_time_ns; /* of that commit */
    uint64_t subkey_count;
    uint64_t value_count;
    char name[TXREG_KEY_NAME_MAX * 3 + 1]; /* as created */
    char class_name[TXREG_CLASS_MAX + 1];
};

/* Make a key and the missing keys above it. *created (may be NULL) says whether it is new.
 * `class_name` may be NULL. Errors: TX_ELIMIT, TX_EINVAL (empty or bad name). */
TX_API enum tx_status txreg_create(struct ktm_txn *txn, const char *key, const char *class_name,
                                   bool *created, struct tx_error *err) TX_CHECKED;
/* Errors: TX_ENOTFOUND. `info` may be NULL. */
TX_API enum tx_status txreg_query(struct ktm_txn *txn, const char *key, struct txreg_key_info *info,
                                  struct tx_error *err) TX_CHECKED;
/* Remove a key without subkeys (TX_ENOTEMPTY else) / with all below it. */
TX_API enum tx_status txreg_delete(struct ktm_txn *txn, const char *key,
                                   struct tx_error *err) TX_CHECKED;
TX_API enum tx_status txreg_delete_tree(struct ktm_txn *txn, const char *key,
                                        struct tx_error *err) TX_CHECKED;
/* Give a key another name under the same parent; costs the same for any subtree. */
TX_API enum tx_status txreg_rename(struct ktm_txn *txn, const char *key, const char *new_name,
                                   struct tx_error *err) TX_CHECKED;

/* Set a value; the key must exist (TX_ENOTFOUND). */
TX_API enum tx_status txreg_set(struct ktm_txn *txn, const char *key, const char *name,
                                uint32_t type, const void *data, size_t size,
                                struct tx_error *err) TX_CHECKED;
TX_API enum tx_status txreg_unset(struct ktm_txn *txn, const char *key, const char *name,
                                  struct tx_error *err) TX_CHECKED;
/* Read a value into `data` (replacing what it held). */
TX_API enum tx_status txreg_get(struct ktm_txn *txn, const char *key, const char *name,
                                uint32_t *type, struct tx_buf *data,
                                struct tx_error *err) TX_CHECKED;

/* What people store most. Strings are UTF-8 here, and UTF-16LE with a NUL in the store. */
TX_API enum tx_status txreg_set_string(struct ktm_txn *txn, const char *key, const char *name,
                                       const char *text, struct tx_error *err) TX_CHECKED;
TX_API enum tx_status txreg_set_u32(struct ktm_txn *txn, const char *key, const char *name,
                                    uint32_t number, struct tx_error *err) TX_CHECKED;
TX_API enum tx_status txreg_set_u64(struct ktm_txn *txn, const char *key, const char *name,
                                    uint64_t number, struct tx_error *err) TX_CHECKED;
/* *text is tx_free'd by the caller.
 * Errors: TX_ETYPE when the value is no string. */
TX_API enum tx_status txreg_get_string(struct ktm_txn *txn, const char *key, const char *name,
                                       char **text, struct tx_error *err) TX_CHECKED;

/* Enumerate; a non-OK answer of the callback stops it and is returned. The view must not be
 * changed from inside. Subkeys come in folded-name order, values in the order of their creation. */
typedef enum tx_status txreg_key_fn(void *arg, const struct txreg_key_info *info,
                                    struct tx_error *err);
typedef enum tx_status txreg_value_fn(void *arg, const char *name, uint32_t type,
                                      const uint8_t *data, size_t size, struct tx_error *err);
TX_API enum tx_status txreg_each_key(struct ktm_txn *txn, const char *key, txreg_key_fn *fn,
                                     void *arg, struct tx_error *err) TX_CHECKED;
TX_API enum tx_status txreg_each_value(struct ktm_txn *txn, const char *key, txreg_value_fn *fn,
                                       void *arg, struct tx_error *err) TX_CHECKED;

/* --- Describing entries --- */

enum txreg_change_kind {
    TXREG_CHANGE_CREATE,
    TXREG_CHANGE_DELETE, /* one key, already empty */
    TXREG_CHANGE_RENAME,
    TXREG_CHANGE_SET,
    TXREG_CHANGE_UNSET,
};
struct txreg_change {
    enum txreg_change_kind kind;
    const char *key;      /* path, NUL-terminated, in the entry */
    const char *name;     /* value name; new name for rename; class for create; else NULL */
    uint32_t type;        /* of set */
    const uint8_t *data;
    size_t size;
    bool existed;         /* value: it had an old value; create: the key existed */
    uint32_t old_type;
    const uint8_t *old_data;
    size_t old_size;
};
TX_API enum tx_status txreg_change_decode(const struct ktm_change *entry,
                                          struct txreg_change *change,
                                          struct tx_error *err) TX_CHECKED;

/* --- Opening the RM (src/store) --- */

struct txreg_options {
    struct txio *io;
    int store_dir; /* the image is reg/image below it */
    void *shared;  /* txreg_shared_size() bytes of shared memory: page recycling */
};
TX_API size_t txreg_shared_size(void);
/* Make an empty image. Durability: synced, with its directory; `dir` itself left to the caller. */
TX_API enum tx_status txreg_image_create(struct txio *io, int dir, struct tx_error *err) TX_CHECKED;
TX_API enum tx_status txreg_rm_open(const struct txreg_options *options, struct txreg **reg,
                                    struct tx_error *err) TX_CHECKED;
TX_API void txreg_rm_close(struct txreg *reg);
TX_API const struct ktm_rm_ops *txreg_rm_ops(void);
/* The state that the image itself holds, without log and shared memory: what salvage reads. */
TX_API enum tx_status txreg_steady_token(struct txio *io, int dir, tx_lsn *lsn,
                                         uint8_t token[KTM_TOKEN_SIZE],
                                         struct tx_error *err) TX_CHECKED;
#define TXREG_RM 1u /* its RM id in every store */

/* Add to `txn` the inverse of the registry entries of a commit. Errors: TX_ECONFLICT. */
TX_API enum tx_status txreg_revert(struct ktm_txn *txn, struct ktm_cursor entries,
                                   struct tx_error *err) TX_CHECKED;
/* Read every page, reachable or not; recompute every invariant. */
typedef void txreg_fault_fn(void *arg, const char *file, uint64_t offset, const char *text);
TX_API enum tx_status txreg_check(struct txio *io, int dir, txreg_fault_fn *fn, void *arg,
                                  uint64_t *faults, struct tx_error *err) TX_CHECKED;
/* The same for a store that was not closed properly and not recovered since: pages that nothing
 * refers to and a root slot may be torn there, which recovery mends; they are no faults. */
TX_API enum tx_status txreg_check_unclean(struct txio *io, int dir, txreg_fault_fn *fn, void *arg,
                                          uint64_t *faults, struct tx_error *err) TX_CHECKED;

#endif
