/* SPDX-License-Identifier: MIT */
/*
 * What the files of src/txfs share. Three parts: the decoded entry and its codec; the RM itself and
 * the walk to a name; the view of one transaction. How they fit together: README.md.
 */
#ifndef TXFS_INTERNAL_H
#define TXFS_INTERNAL_H

#include <txkit/fs.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/codec.h"
#include "base/hash.h"
#include "base/map.h"

/* --- Entries (entry.c, entry_parts.c, entry_describe.c) --- */

/*
 * Rules for a reader of a change set:
 * 1. The last entry of a path wins.
 * 2. An entry without TXFS_ENTRY_SAME puts another object at its path (or none): it voids all
 *    earlier entries *below* that path. With it, it is the same object with more said about it.
 * 3. Whatever stood below an object that is replaced, removed or moved goes with that object.
 * 4. `target` of moved is a path of the tree *before* the commit; several moves may take from
 *    inside each other, so take all sources out, deepest first, before placing anything.
 * 5. `target` of link is a path of the tree *after* the commit; it is never itself a link entry.
 *    Place links last.
 * 6. Amendments (mask, xattrs, extents) change an inode that exists: kinds attributes, extents,
 *    moved. Kinds file, directory, symlink, node are whole new objects and state everything.
 *    Attributes or extents without TXFS_ENTRY_SAME: the tree's own object is back at its place
 *    (moved away and back); a mask of 0 then changes nothing.
 * 7. `base` may name an object that a move of the same commit takes elsewhere (a -> b, then a new
 *    a): after rule 4's step nothing stands there any more. Likewise for absent.
 * 8. A path whose parent is a new object of this transaction has no base (existed is 0).
 * 9. Times of directories, new or amended, are set after everything below them is in place.
 */
enum txfs_entry_flags {
    TXFS_ENTRY_SAME = 1 << 0,
};

/* What an entry says about attributes (its `mask`). */
enum txfs_entry_mask {
    TXFS_SETS_OWNER = TXIO_ATTR_OWNER,
    TXFS_SETS_MODE = TXIO_ATTR_MODE,
    TXFS_SETS_TIMES = TXIO_ATTR_TIMES,
    TXFS_SETS_XATTRS = 1 << 8, /* `xattrs` is the whole final set (may be empty) */
};

enum txfs_payload_kind {
    TXFS_PAYLOAD_NONE,    /* no content said: empty for a new file, unchanged for an amended one */
    TXFS_PAYLOAD_INLINE,  /* `content`, content_size bytes */
    TXFS_PAYLOAD_STAGED,  /* the whole file tx/<id>/p<staged>, `size` bytes with `hash` */
    TXFS_PAYLOAD_HASH,    /* history: only size and hash are known */
    TXFS_PAYLOAD_EXTENTS, /* `extents`; their bytes in `content` or, `staged` != 0, in that file */
};

/*
 * What stood at a path, as stat saw it. All zero when nothing did. It is an object of the store's
 * volume (anything else is refused), so the device is not part of it: a volume may get another
 * number each time that the machine starts.
 */
struct txfs_identity {
    uint8_t existed;
    uint64_t ino;
    uint64_t size;
    uint64_t rdev;
    uint32_t mode; /* with type */
    uint32_t uid;
    uint32_t gid;
    uint32_t nlink; /* names */
    uint32_t birth; /* a hash of the time; 0: not known */
    int64_t mtime_ns;
    int64_t ctime_ns;
};

/* Bytes of an in-place update: [offset, offset + length) of the file come from `position` of
 * `content` or of the staged file. Sorted, not overlapping. */
struct txfs_extent {
    uint64_t offset;
    uint64_t length;
    uint64_t position;
};

/*
 * One change, decoded. Pointers lead into the encoded body (alignment 1) and live as long as it.
 * Encoded: the fixed fields, then path, target, base_path (texts; empty: NULL), xattr block,
 * extents, content.
 */
struct txfs_entry {
    uint8_t kind;   /* enum txfs_change_kind; the entry's op */
    uint16_t flags; /* enum txfs_entry_flags */

    uint8_t payload; /* enum txfs_payload_kind */
    uint32_t staged; /* number of the staged file; counts from 1 */
    uint32_t mask;   /* enum txfs_entry_mask; new objects set owner, mode, times, xattrs */
    uint32_t mode;   /* permission bits; nodes: with type */
    uint32_t uid;
    uint32_t gid;
    uint64_t rdev;    /* nodes */
    int64_t atime_ns; /* TXFS_KEEP_TIME: leave; for a new object: as mtime */
    int64_t mtime_ns;
    uint64_t size; /* of the content afterwards; file, and payload extents */
    uint64_t keep_size; /* extents: cut the old content to this first, then write, then set size */
    uint64_t payload_size; /* bytes of `content`, or of the staged file */
    struct tx_hash128 hash; /* of the payload's bytes (content or staged file) */

    /* What the transaction found when it first touched this *path*: what publishing displaces. */
    struct txfs_identity base;
    /* Moved: the object itself. Link: the object at `target` if it is one of the tree's own, else
     * not existed. Attributes and extents: same as base. */
    struct txfs_identity source;

    const char *path;
    const char *target;    /* symlink, link, moved */
    const char *base_path; /* where `base` stood before the commit when not at `path`, because a
                              directory above was moved; else NULL */
    const uint8_t *xattrs; /* block walked by txfs_xattr_next */
    uint32_t xattrs_size;
    const uint8_t *extents; /* extent_count encoded extents, read by txfs_extent_at */
    uint32_t extent_count;
    const uint8_t *content;
    uint64_t content_size;
};

/* The fixed fields, for docs/format.md and dumps. */
extern const struct tx_field txfs_entry_fields[];
#define TXFS_EXTENT_SIZE 24u

/* Append all but the content (which callers pass as a further part; it must follow directly). */
enum tx_status txfs_entry_encode(const struct txfs_entry *entry, struct tx_buf *head,
                                 struct tx_error *err) TX_CHECKED;
/* Everything is checked: lengths, kinds, clean paths, sorted extents. Errors: TX_ECORRUPT. */
enum tx_status txfs_entry_decode(const struct ktm_change *change, struct txfs_entry *entry,
                                 struct tx_error *err) TX_CHECKED;
struct txfs_extent txfs_extent_at(const struct txfs_entry *entry, uint32_t index);
enum tx_status txfs_extent_put(struct tx_buf *buf, const struct txfs_extent *extent,
                               struct tx_error *err) TX_CHECKED;

struct txfs_xattr {
    const char *name;
    const uint8_t *value;
    uint32_t size;
};
/* Walk an xattr block; false at the end. `reader` starts as tx_reader_on(xattrs, xattrs_size). */
bool txfs_xattr_next(struct tx_reader *reader, struct txfs_xattr *xattr);
enum tx_status txfs_xattr_put(struct tx_buf *block, const struct txfs_xattr *xattr,
                              struct tx_error *err) TX_CHECKED;
/* Read all extended attributes of dir/name as a block sorted by name, without the labels that the
 * system gives by itself. File systems without any give an empty block. */
enum tx_status txfs_xattrs_read(struct txio *io, int dir, const char *name, struct tx_buf *block,
                                struct tx_error *err) TX_CHECKED;

struct txfs_identity txfs_identity_of(const struct txio_stat *stat);
/*
 * Same object, unchanged: inode, type, size, rdev, mode, uid, gid, mtime, ctime. For directories
 * inode and type only, because their times move with their names. A changed count of names explains
 * a changed ctime (another name of the file was made or removed).
 */
bool txfs_identity_same(const struct txfs_identity *a, const struct txfs_identity *b);
bool txfs_identity_same_object(const struct txfs_identity *a, const struct txfs_identity *b);
/* Is this the object of the identity, on the store's volume: inode, type, and birth where that is
 * told and kept? False when nothing stood there. */
bool txfs_is_object(const struct txfs *fs, const struct txio_stat *is,
                    const struct txfs_identity *identity);

/* Do two looks, both by us and not long ago, show one inode of the store's volume? */
bool txfs_is_one_inode(const struct txfs *fs, const struct txio_stat *a, const struct txio_stat *b);

/* The mode that a file has after a change of owner: without the set-id bits that mean execution. */
uint32_t txfs_mode_after_chown(uint32_t mode);

/* Conflict key of a path. */
uint64_t txfs_path_key(const char *path);
/* Conflict key of what a regular file is, whichever of its names is used. Without the device, whose
 * number changes when the machine starts anew: a meeting of two volumes is a false alarm. */
uint64_t txfs_inode_key(uint64_t ino);
/* Conflict key of "names directly below this directory were made or removed". */
uint64_t txfs_names_key(const char *path);

/* --- Paths (path.c) --- */

/* Clean `path` into `out` ("" is the root). Errors: TX_EESCAPE, TX_ELIMIT, TX_EINVAL (empty). The
 * store's own directory answers TX_EESCAPE. */
enum tx_status txfs_path_clean(const struct txfs *fs, const char *path, char out[TXFS_PATH_MAX + 1],
                               struct tx_error *err) TX_CHECKED;
/* True for a path that txfs_path_clean would leave as it is (and not the root). */
bool txfs_path_is_clean(const char *path);
/* Length of the parent's part of a clean path: "a/b/c" -> 3, "a" -> 0. */
size_t txfs_path_parent_size(const char *path);
const char *txfs_path_name(const char *path);
/* `path` is strictly below `above` ("" is above all). */
bool txfs_path_is_below(const char *path, const char *above);
/* Refuse: "path": words. Returns `status`. */
enum tx_status txfs_refuse(struct tx_error *err, enum tx_status status, const char *path,
                           const char *words);
/* The clean path is, or is inside, the store's own directory. */
bool txfs_path_is_store(const struct txfs *fs, const char *clean);
/* directory + "/" + name; either may be empty. `out` may be `directory`. */
enum tx_status txfs_path_join(const char *directory, size_t directory_size, const char *name,
                              char out[TXFS_PATH_MAX + 1], struct tx_error *err) TX_CHECKED;
/* Copy what is a path already, so that it fits. */
void txfs_path_copy(const char *path, char out[TXFS_PATH_MAX + 1]);
/* The path that `path`, which is `from` or below it, has when `from` is called `to`. */
enum tx_status txfs_path_move(const char *path, const char *from, const char *to,
                              char out[TXFS_PATH_MAX + 1], struct tx_error *err) TX_CHECKED;

/* --- The RM (rm.c) --- */

struct txfs_publisher; /* src/txfs/slot.c and its neighbours */
struct txfs_past;      /* src/txfs/superseded.c */

struct txfs {
    struct txio *io;
    int root_dir;  /* both belong to the caller of txfs_rm_open */
    int store_dir;
    char *store_name; /* NULL when the store is not below the root */
    uint64_t root_dev;
    bool keeps_births; /* of the root's file system: an object's birth time never changes */
    uint64_t inline_max;
    uint64_t inline_total_max;
    uint32_t history_count_max;
    uint64_t history_size_max;
    txfs_foreign_fn *on_foreign;
    void *foreign_arg;
    struct txfs_publisher *publisher;
};

/* "tx/3-42/p7", relative to the store directory. */
#define TXFS_STAGED_PATH_SIZE (KTM_STAGING_PATH_SIZE + 16)
void txfs_staged_path(const struct ktm_id *id, uint32_t number, char path[TXFS_STAGED_PATH_SIZE]);

/* Provided by the publisher (publish.c, txfs_recover.c, steady.c). */
enum tx_status txfs_publisher_open(struct txfs *fs, struct tx_error *err) TX_CHECKED;
void txfs_publisher_close(struct txfs *fs);
enum tx_status txfs_redo(void *rm, const struct ktm_commit_info *commit, enum ktm_redo_mode mode,
                         uint8_t token[KTM_TOKEN_SIZE], struct tx_error *err) TX_CHECKED;
enum tx_status txfs_open_steady(void *rm, tx_lsn *steady_lsn, uint8_t token[KTM_TOKEN_SIZE],
                                struct tx_error *err) TX_CHECKED;
enum tx_status txfs_recover(void *rm, struct ktm *tm, tx_lsn after, tx_lsn upto,
                            uint8_t token[KTM_TOKEN_SIZE], struct tx_error *err) TX_CHECKED;
enum tx_status txfs_steady(void *rm, tx_lsn lsn, const uint8_t token[KTM_TOKEN_SIZE],
                           struct tx_error *err) TX_CHECKED;
enum tx_status txfs_trim(void *rm, tx_lsn lsn, tx_lsn oldest, struct tx_error *err) TX_CHECKED;
/* Provided by the view (prepare.c). */
bool txfs_needs_barrier(void *rm, struct ktm_cursor entries);

/* --- Snapshots: what newer commits displaced (superseded.c, by the publisher) --- */

struct txfs_view;

/* Where the object that a path had at the transaction's snapshot is now. */
enum txfs_old_place {
    TXFS_OLD_SAME,   /* no newer commit took it away: still at the path itself */
    TXFS_OLD_ABSENT, /* there was none */
    TXFS_OLD_AT,     /* at `name` below the store directory; `in_root` (moved): below the root */
};
/* Old bytes of a file that newer commits updated in place: laid over what is read, in order. */
struct txfs_patch {
    uint64_t offset;
    uint64_t length;
    uint64_t position; /* in the file `name` below the store directory */
    char name[64];
};
struct txfs_old {
    enum txfs_old_place place;
    bool in_root;
    char *name;         /* tx_free'd by txfs_old_release */
    uint32_t mask;      /* attributes that newer commits changed: the old ones are in `saved` ... */
    struct txio_stat saved;
    struct tx_buf xattrs; /* ... and here, with TXFS_SETS_XATTRS */
    bool has_size;      /* patched: saved.size is the size at the snapshot */
    struct txfs_patch *patches;
    size_t patch_count;
};
void txfs_old_release(struct txfs_old *old);
static inline void txfs_old_auto(struct txfs_old *old) { txfs_old_release(old); }

/* Where is what stood at `path` (of the real tree) in the snapshot? Fills *old (zeroed by the
 * caller) also for objects below a displaced directory. Looks at the commits after the snapshot, up
 * to ktm_decided() at the time of the call. Errors: TX_ESNAPSHOT. */
enum tx_status txfs_superseded(struct txfs_view *view, const char *path, struct txfs_old *old,
                               struct tx_error *err) TX_CHECKED;
/* Names directly below `path` that newer commits made, removed or replaced; `existed`: at the
 * snapshot there was such a name. Whatever the directory's own place is: the caller lists the
 * directory where it is now and corrects the listing by these. */
typedef enum tx_status txfs_superseded_fn(void *arg, const char *name, bool existed,
                                          struct tx_error *err);
enum tx_status txfs_superseded_below(struct txfs_view *view, const char *path,
                                     txfs_superseded_fn *fn, void *arg,
                                     struct tx_error *err) TX_CHECKED;
/* Free view->past (NULL is allowed). */
void txfs_past_free(struct txfs_past *past);

/* --- The view of one transaction (its parts: overlay.h) --- */

#define TXFS_DIR_CACHE_SIZE 16u

/* A directory of the real tree, kept open. */
struct txfs_dir_slot {
    char *path; /* NULL: not in use */
    int fd;
    uint64_t used; /* when last, for choosing which goes */
};

struct txfs_view {
    struct txfs *fs;
    struct ktm_txn *txn;
    struct ktm *tm;
    tx_lsn snapshot;
    struct txfs_past *past; /* superseded.c's cache; starts NULL */

    /* The overlay: what the entries so far say. Derived from them alone, see txfs_view_sync. */
    struct tx_map nodes;   /* path -> struct txfs_node */
    struct tx_map links;   /* target NUL path of every link entry */
    struct tx_map inodes;  /* device, inode -> struct txfs_inode, of files with several names */
    struct tx_map touched; /* path of the real tree -> struct txfs_touch */
    struct tx_map seen;    /* the same for files that were opened: the first look counts */
    struct tx_map reads;   /* the same for what was only read (serializable) */
    struct tx_map listed;  /* directories of the real tree whose names were read (serializable) */
    struct tx_map parents; /* ancestors named in the last vote */
    uint64_t synced;       /* generation whose staged files are durable */
    size_t consumed;       /* bytes of the change set that are in `nodes` */
    uint64_t generation;   /* counts changes of `nodes` */
    uint64_t inline_total; /* bytes of content in the change set */
    uint32_t next_staged;

    struct tx_map dirs; /* parent path as written -> struct txfs_dir_ref */
    struct txfs_dir_slot cache[TXFS_DIR_CACHE_SIZE];
    uint64_t cache_clock;
    struct txfs_file *files; /* open handles */
    uint32_t uid, gid;       /* of this process */
    enum tx_status broken;   /* a change was half made: nothing but rollback is left */
};

#endif
