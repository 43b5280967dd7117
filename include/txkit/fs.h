/* SPDX-License-Identifier: MIT */
/*
 * Files: a transactional overlay over a real directory tree.
 *
 * Every call works on the view of one transaction: its own changes over a stable snapshot of the
 * tree. Nothing reaches the tree before ktm_commit. Paths are relative to the store's root, use
 * '/', and are cleaned first ("a//b/./c"); "..", absolute paths and symbolic links in inner
 * components that lead out of the root answer TX_EESCAPE; links that stay inside are followed. The
 * last component is never followed, except by txfs_open. ".txkit" at the root is out of bounds.
 *
 * Two ways to change a file, chosen by how it is opened: TXFS_CREATE|TXFS_TRUNCATE replaces the
 * whole file (published by rename; readers that have the old file open keep it); TXFS_WRITE alone
 * updates it in place (published by writing just the changed extents; the inode, its hard links
 * and open descriptors stay).
 *
 * What a handle wrote becomes part of the transaction at txfs_close (and at commit, savepoint and
 * detach for handles still open); other handles and txfs_stat see it from then on.
 */
#ifndef TXKIT_FS_H
#define TXKIT_FS_H

#include <txkit/ktm.h>

#define TXFS_PATH_MAX 4095 /* bytes without NUL */
#define TXFS_NAME_MAX 255
#define TXFS_DEPTH_MAX 1024
#define TXFS_XATTR_VALUE_MAX 65536
#define TXFS_INLINE_MAX_DEFAULT 65536          /* contents up to this travel inside the log */
#define TXFS_INLINE_TOTAL_DEFAULT (64u << 20) /* and this many bytes of them per transaction */

struct txfs;      /* the files RM of an open store */
struct txfs_file; /* an open file in a transaction */
struct txfs_dir;  /* a directory listing in a transaction */

enum txfs_open_flags {
    TXFS_READ = 0,
    TXFS_WRITE = 1 << 0,
    TXFS_CREATE = 1 << 1,
    TXFS_EXCLUSIVE = 1 << 2,
    TXFS_TRUNCATE = 1 << 3,
    TXFS_APPEND = 1 << 4,
    TXFS_NOFOLLOW = 1 << 5,
};

/* Set a field to leave it as it is (or, for a new object, at its default). */
#define TXFS_KEEP_ID UINT32_MAX
#define TXFS_KEEP_MODE UINT32_MAX
#define TXFS_KEEP_TIME INT64_MIN

/* Open a file; `mode` (07777) is for a new one. */
TX_API enum tx_status txfs_open(struct ktm_txn *txn, const char *path, unsigned flags,
                                uint32_t mode, struct txfs_file **file,
                                struct tx_error *err) TX_CHECKED;
/* Close, and make what was written part of the transaction. The handle is gone in any case. */
TX_API enum tx_status txfs_close(struct txfs_file *file, struct tx_error *err) TX_CHECKED;
/* Bytes read, short only at the end of the file. */
TX_API enum tx_status txfs_pread(struct txfs_file *file, void *data, size_t size, uint64_t offset,
                                 size_t *done, struct tx_error *err) TX_CHECKED;
TX_API enum tx_status txfs_pwrite(struct txfs_file *file, const void *data, size_t size,
                                  uint64_t offset, struct tx_error *err) TX_CHECKED;
/* At the handle's own position, which each call moves. */
TX_API enum tx_status txfs_read(struct txfs_file *file, void *data, size_t size, size_t *done,
                                struct tx_error *err) TX_CHECKED;
TX_API enum tx_status txfs_write(struct txfs_file *file, const void *data, size_t size,
                                 struct tx_error *err) TX_CHECKED;
TX_API enum tx_status txfs_ftruncate(struct txfs_file *file, uint64_t size,
                                     struct tx_error *err) TX_CHECKED;
TX_API uint64_t txfs_size(const struct txfs_file *file);
/* Forget what was written through this handle since open, and close it. */
TX_API void txfs_abandon(struct txfs_file *file);

TX_API enum tx_status txfs_truncate(struct ktm_txn *txn, const char *path, uint64_t size,
                                    struct tx_error *err) TX_CHECKED;
/* Create or replace `path` with these bytes; attributes as txfs_set_attr, NULL: 0644, caller's own,
 * now. A replaced file's mode and owner are kept where `attr` keeps them. */
TX_API enum tx_status txfs_put(struct ktm_txn *txn, const char *path, const void *data, size_t size,
                               const struct txio_attr *attr, struct tx_error *err) TX_CHECKED;

TX_API enum tx_status txfs_rename(struct ktm_txn *txn, const char *from, const char *to,
                                  unsigned flags, struct tx_error *err) TX_CHECKED;
TX_API enum tx_status txfs_unlink(struct ktm_txn *txn, const char *path,
                                  struct tx_error *err) TX_CHECKED;
TX_API enum tx_status txfs_mkdir(struct ktm_txn *txn, const char *path, uint32_t mode,
                                 struct tx_error *err) TX_CHECKED;
TX_API enum tx_status txfs_mkdir_parents(struct ktm_txn *txn, const char *path, uint32_t mode,
                                         struct tx_error *err) TX_CHECKED;
TX_API enum tx_status txfs_rmdir(struct ktm_txn *txn, const char *path,
                                 struct tx_error *err) TX_CHECKED;
/* Remove a path and all below it. */
TX_API enum tx_status txfs_remove_tree(struct ktm_txn *txn, const char *path,
                                       struct tx_error *err) TX_CHECKED;
TX_API enum tx_status txfs_symlink(struct ktm_txn *txn, const char *target, const char *path,
                                   struct tx_error *err) TX_CHECKED;
TX_API enum tx_status txfs_readlink(struct ktm_txn *txn, const char *path, char *target,
                                    size_t size, struct tx_error *err) TX_CHECKED;
/* A second name for a file. */
TX_API enum tx_status txfs_link(struct ktm_txn *txn, const char *existing, const char *path,
                                struct tx_error *err) TX_CHECKED;
/* Mode, owner and times of any object (`attr->mask` says which); links are not followed. */
TX_API enum tx_status txfs_set_attr(struct ktm_txn *txn, const char *path,
                                    const struct txio_attr *attr, struct tx_error *err) TX_CHECKED;
TX_API enum tx_status txfs_set_xattr(struct ktm_txn *txn, const char *path, const char *name,
                                     const void *value, size_t size,
                                     struct tx_error *err) TX_CHECKED;
TX_API enum tx_status txfs_remove_xattr(struct ktm_txn *txn, const char *path, const char *name,
                                        struct tx_error *err) TX_CHECKED;
/* *size: in, room in value; out, the value's length (TX_ELIMIT when it does not fit). */
TX_API enum tx_status txfs_get_xattr(struct ktm_txn *txn, const char *path, const char *name,
                                     void *value, size_t *size, struct tx_error *err) TX_CHECKED;
/* NUL-separated names, as listxattr(2). */
TX_API enum tx_status txfs_list_xattr(struct ktm_txn *txn, const char *path, char *names,
                                      size_t *size, struct tx_error *err) TX_CHECKED;
/* Not following a final link. New objects have ino 0 until they are committed. */
TX_API enum tx_status txfs_stat(struct ktm_txn *txn, const char *path, struct txio_stat *stat,
                                struct tx_error *err) TX_CHECKED;

/* List a directory in byte order of the names; "" is the root. */
TX_API enum tx_status txfs_dir_open(struct ktm_txn *txn, const char *path, struct txfs_dir **dir,
                                    struct tx_error *err) TX_CHECKED;
/* False at the end. `name` lives until the directory is closed. */
TX_API bool txfs_dir_next(struct txfs_dir *dir, const char **name, unsigned *type);
TX_API void txfs_dir_close(struct txfs_dir *dir);

/* --- Describing entries (diff, log dump, history) --- */

enum txfs_change_kind {
    TXFS_CHANGE_ABSENT,
    TXFS_CHANGE_FILE,
    TXFS_CHANGE_DIRECTORY,
    TXFS_CHANGE_SYMLINK,
    TXFS_CHANGE_LINK,    /* another name of `target` */
    TXFS_CHANGE_MOVED,   /* the object that was at `target` */
    TXFS_CHANGE_EXTENTS, /* parts of a file, in place */
    TXFS_CHANGE_ATTRIBUTES,
    TXFS_CHANGE_NODE, /* fifo or device */
};
struct txfs_change {
    enum txfs_change_kind kind;
    const char *path;   /* NUL-terminated, in the entry itself */
    const char *target; /* of symlink, link, moved; else NULL */
    bool existed;       /* something stood there before; then `before` is set */
    struct txio_stat before;
    uint32_t mode, uid, gid;
    int64_t mtime_ns;
    uint64_t size; /* of the new content */
    uint64_t changed_bytes; /* payload */
    const uint8_t *content; /* of a file whose content travels inline, else NULL */
};
/* Errors: TX_ECORRUPT, TX_EINVAL when the entry is not the files RM's. */
TX_API enum tx_status txfs_change_decode(const struct ktm_change *entry, struct txfs_change *change,
                                         struct tx_error *err) TX_CHECKED;

/* --- Opening the RM (src/store) --- */

struct txfs_options {
    struct txio *io;
    int root_dir;
    int store_dir;
    const char *store_name; /* name of the store below the root (".txkit"), NULL when elsewhere */
    uint64_t inline_max;       /* 0: default */
    uint64_t inline_total_max; /* 0: default */
    uint32_t history_count_max; /* committed transactions kept for revert */
    uint64_t history_size_max;  /* bytes of kept old versions; 0: no limit */
};
TX_API enum tx_status txfs_rm_open(const struct txfs_options *options, struct txfs **fs,
                                   struct tx_error *err) TX_CHECKED;
TX_API void txfs_rm_close(struct txfs *fs);
TX_API const struct ktm_rm_ops *txfs_rm_ops(void);
#define TXFS_RM 0u /* its RM id in every store */

/* Foreign changes that recovery or publishing met and kept (see src/txfs/README.md). */
typedef void txfs_foreign_fn(void *arg, const char *path, const char *kept_as);
TX_API void txfs_on_foreign(struct txfs *fs, txfs_foreign_fn *fn, void *arg);

/* --- History --- */

/* Deliver the commits kept in undo/, oldest first. Entries carry hashes instead of contents. */
TX_API enum tx_status txfs_history(struct txfs *fs, ktm_commit_fn *fn, void *arg,
                                   struct tx_error *err) TX_CHECKED;
/* Add to `txn` the inverse of the files entries of commit `lsn`. Errors: TX_ENOTFOUND (not kept),
 * TX_ECONFLICT (a path was changed since). */
TX_API enum tx_status txfs_revert(struct ktm_txn *txn, tx_lsn lsn, struct tx_error *err) TX_CHECKED;
/* Verify kept versions against their hashes. */
typedef void txfs_fault_fn(void *arg, const char *file, uint64_t offset, const char *text);
TX_API enum tx_status txfs_check(struct txfs *fs, txfs_fault_fn *fn, void *arg, uint64_t *faults,
                                 struct tx_error *err) TX_CHECKED;
/* Verify the staged payloads of a prepared or detached transaction (ktm_load_entries), or of an
 * attached one. */
TX_API enum tx_status txfs_check_staged(struct txfs *fs, const struct ktm_commit_info *changes,
                                        txfs_fault_fn *fn, void *arg, uint64_t *faults,
                                        struct tx_error *err) TX_CHECKED;

#endif
