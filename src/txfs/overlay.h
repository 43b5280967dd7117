/* SPDX-License-Identifier: MIT */
/*
 * The view of one transaction: its entries laid over its snapshot of the tree.
 *
 * A *path* below is clean and canonical: no inner component of it is a link (txfs_resolve makes
 * such). A *real* path names something of the tree as it is outside the transaction; the two differ
 * below directories that the transaction moved.
 */
#ifndef TXFS_OVERLAY_H
#define TXFS_OVERLAY_H

#include "txfs/txfs_internal.h"

struct txfs_node {
    struct txfs_entry entry; /* texts, xattrs, extents lead into `head`; content is NULL */
    size_t content_at;       /* where the content is in the change set */
    uint8_t head[];
};

/* What the transaction found at a real path. */
struct txfs_touch {
    struct txfs_identity identity;
    char path[];
};

/* A file of the tree with several names. */
struct txfs_inode {
    char *amended;       /* path of the entry that amends it, NULL: none */
    struct tx_map names; /* paths under which the transaction met it */
};

/* A directory that a path led through. */
struct txfs_dir_ref {
    uint32_t mode;
    uint32_t gid;
    char path[]; /* canonical */
};

/* --- view.c --- */

enum tx_status txfs_view_new(struct txfs *fs, struct ktm_txn *txn, struct txfs_view **view,
                             struct tx_error *err) TX_CHECKED;
void txfs_view_free(struct txfs_view *view);
/* The files view of a transaction, fit for work. */
enum tx_status txfs_view_of(struct ktm_txn *txn, struct txfs_view **view,
                            struct tx_error *err) TX_CHECKED;
/* Take in the entries that were added since the last call. */
enum tx_status txfs_view_sync(struct txfs_view *view, struct tx_error *err) TX_CHECKED;
/* Forget the overlay, and take in all entries. */
enum tx_status txfs_view_rebuild(struct txfs_view *view, struct tx_error *err) TX_CHECKED;
/* Append an entry to the change set. Its content may lie in the change set itself. All pointers to
 * nodes at or below its path are invalid afterwards. */
enum tx_status txfs_view_add(struct txfs_view *view, const struct txfs_entry *entry,
                             struct tx_error *err) TX_CHECKED;
/* Call with the outcome of a change that takes several entries; `begun` is view->consumed from
 * before. If it failed halfway, only rollback is left. Returns `status`. */
enum tx_status txfs_view_end_change(struct txfs_view *view, size_t begun, enum tx_status status);
/* NULL when there is no entry at the path itself. */
const struct txfs_node *txfs_view_node(const struct txfs_view *view, const char *path);
/* The node's entry with its content. */
struct txfs_entry txfs_node_entry(const struct txfs_view *view, const struct txfs_node *node);
/* First node strictly below `path` ("" : of all) that comes after path `after` (NULL: first). */
const struct txfs_node *txfs_view_below(const struct txfs_view *view, const char *path,
                                        const char *after);

/* --- overlay_index.c --- */

void txfs_index_init(struct txfs_view *view);
void txfs_index_release(struct txfs_view *view);
enum tx_status txfs_index_add(struct txfs_view *view, const struct txfs_entry *entry,
                              struct tx_error *err) TX_CHECKED;
/* The entry is about to go. `same`: its successor speaks of the same object. */
void txfs_index_remove(struct txfs_view *view, const struct txfs_entry *entry, bool same);
/* First link entry to `target` whose path comes after `after` (NULL: first); its path, or NULL. */
const char *txfs_index_link(const struct txfs_view *view, const char *target, const char *after);
unsigned txfs_index_link_count(const struct txfs_view *view, const char *target);
struct txfs_inode *txfs_index_inode(const struct txfs_view *view, uint64_t ino);
/* Remember that the file with several names goes by this one too. */
enum tx_status txfs_index_name(struct txfs_view *view, const struct txfs_identity *identity,
                               const char *path, struct tx_error *err) TX_CHECKED;
/* What went by names at or below `from` goes by names at or below `to` now. */
enum tx_status txfs_index_moved(struct txfs_view *view, const char *from, const char *to,
                                struct tx_error *err) TX_CHECKED;
/* Remember the first identity seen at a real path. */
enum tx_status txfs_touch(struct tx_map *touched, const char *real,
                          const struct txfs_identity *identity, struct tx_error *err) TX_CHECKED;

/* --- base.c: the tree as it was at the snapshot --- */

/* Where an object of the snapshot can be read now. */
struct txfs_base {
    struct txio_stat stat; /* at the snapshot */
    int dir;               /* the object is `name` in it; valid until the next call */
    const char *name;      /* "" : `dir` itself */
    struct txfs_old old;   /* what newer commits did to it */
};
static inline void txfs_base_auto(struct txfs_base *base) { txfs_old_release(&base->old); }
/* Does something with the object; repeated when a commit disturbed it. */
typedef enum tx_status txfs_base_fn(void *arg, const struct txfs_base *base, struct tx_error *err);

/* Find what stood at a real path and call `fn` (may be NULL) on it. *existed false: nothing, and
 * `fn` is not called. */
enum tx_status txfs_base_visit(struct txfs_view *view, const char *real, bool *existed,
                               struct txio_stat *stat, txfs_base_fn *fn, void *arg,
                               struct tx_error *err) TX_CHECKED;
/* Descriptor of a directory of the real tree as it is now, from the cache. TX_ENOTFOUND without a
 * text when it is not there. */
enum tx_status txfs_base_dir(struct txfs_view *view, const char *real, size_t size, int *fd,
                             struct tx_error *err) TX_CHECKED;
/* Forget the descriptors, so that the next look is a fresh one. */
void txfs_base_forget_dirs(struct txfs_view *view);

/* --- lookup.c --- */

enum txfs_object_kind {
    TXFS_OBJECT_ABSENT,
    TXFS_OBJECT_OWN,  /* made by the transaction: `node` */
    TXFS_OBJECT_BASE, /* of the tree, at `real`, amended by `node` if there is one */
};
struct txfs_object {
    enum txfs_object_kind kind;
    char path[TXFS_PATH_MAX + 1]; /* where its entry is, or has to be: not that of a link entry */
    const struct txfs_node *node; /* the entry there */
    bool opaque;                  /* nothing of the tree shows through at the path looked up */
    char real[TXFS_PATH_MAX + 1]; /* unless opaque: the object's real path */
    struct txfs_identity found;   /* unless opaque: what the snapshot has at `real` */
    struct txio_stat stat;        /* unless absent: as the transaction sees it */
};
/* A missing object is no error. */
enum tx_status txfs_lookup(struct txfs_view *view, const char *path, struct txfs_object *object,
                           struct tx_error *err) TX_CHECKED;
/* As txfs_lookup, but it is one: TX_ENOTFOUND. */
enum tx_status txfs_lookup_there(struct txfs_view *view, const char *path,
                                 struct txfs_object *object, struct tx_error *err) TX_CHECKED;
/* The real path that shows through at `path` as far as the entries above it decide. */
enum tx_status txfs_shows_through(const struct txfs_view *view, const char *path, bool *opaque,
                                  char real[TXFS_PATH_MAX + 1], struct tx_error *err) TX_CHECKED;
/* Real path of the base object that a node stands for, NULL for others. */
const char *txfs_node_real(const struct txfs_node *node);

/* --- resolve.c --- */

enum txfs_follow { TXFS_LAST_IS_KEPT, TXFS_LAST_IS_FOLLOWED };
/* Clean a caller's path and follow the links in it. The last component need not exist, its parent
 * must be a directory. `parent` (may be NULL) receives the directory, valid until the view
 * changes. */
enum tx_status txfs_resolve(struct txfs_view *view, const char *path, enum txfs_follow follow,
                            char out[TXFS_PATH_MAX + 1], const struct txfs_dir_ref **parent,
                            struct tx_error *err) TX_CHECKED;
void txfs_resolve_forget(struct txfs_view *view);

/* --- change.c: building entries --- */

/* Start an entry for `path`: its base from the node there, else from `object` (the lookup of this
 * very path). The entry borrows from both. */
void txfs_change_start(const struct txfs_view *view, const char *path,
                       const struct txfs_object *object, enum txfs_change_kind kind,
                       struct txfs_entry *entry);
/* Start one that says no more than that the transaction met the tree's object there. */
void txfs_change_meet(const struct txfs_view *view, const char *path,
                      const struct txfs_object *object, struct txfs_entry *entry);
/* Start an entry that says more about an object: everything that is known of it so far. */
void txfs_change_amend(const struct txfs_view *view, const struct txfs_object *object,
                       struct txfs_entry *entry);
/* Add such an entry, for the object that `path` was looked up as. */
enum tx_status txfs_change_add(struct txfs_view *view, const char *path,
                               const struct txfs_object *object, const struct txfs_entry *entry,
                               struct tx_error *err) TX_CHECKED;
/* Attributes of a new object: the caller's own, now. */
void txfs_change_new_attr(const struct txfs_view *view, const struct txfs_dir_ref *parent,
                          uint32_t mode, struct txfs_entry *entry);
/* The name `path` is about to lose its object: what it leaves to other names is handed over. */
enum tx_status txfs_hand_over(struct txfs_view *view, const struct txfs_object *object,
                              const char *path, struct tx_error *err) TX_CHECKED;
/* Let `path` name the object of an entry (with its old path) that has to leave its old one. */
enum tx_status txfs_change_place(struct txfs_view *view, const struct txfs_entry *entry,
                                 const char *path, struct tx_error *err) TX_CHECKED;
enum tx_status txfs_change_absent(struct txfs_view *view, const char *path,
                                  struct tx_error *err) TX_CHECKED;

/* --- dir.c --- */

/* Errors: TX_ENOTEMPTY. */
enum tx_status txfs_require_empty(struct txfs_view *view, const char *path,
                                  struct tx_error *err) TX_CHECKED;

/* --- op_make.c --- */

/* A fifo or device; `mode` with the type. For importing. */
enum tx_status txfs_add_node(struct ktm_txn *txn, const char *path, uint32_t mode, uint64_t rdev,
                             struct tx_error *err) TX_CHECKED;

/* --- op_xattr.c --- */

/* Whether this process may set the attribute. */
bool txfs_xattr_is_ours(const struct txfs_view *view, const char *name);

/* --- object_read.c --- */

/* The text of a symbolic link. Errors: TX_ETYPE, TX_ELIMIT when it does not fit. */
enum tx_status txfs_object_target(struct txfs_view *view, const struct txfs_object *object,
                                  char *target, size_t size, struct tx_error *err) TX_CHECKED;
/* All extended attributes of an object as a block. */
enum tx_status txfs_object_xattrs(struct txfs_view *view, const struct txfs_object *object,
                                  struct tx_buf *block, struct tx_error *err) TX_CHECKED;

#endif
