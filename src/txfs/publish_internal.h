/* SPDX-License-Identifier: MIT */
/*
 * What the publishing half of src/txfs shares: carrying out commits (txfs_redo.c), bringing a tree
 * back to them (converge.c), the point up to which that is durable (steady.c), and undo/, where
 * the displaced objects are. How it fits together: README.md, "Publishing".
 *
 * Names below undo/:  steady          the steady point (steady_mark.c)
 *                     others          commits without files, for the history (undo_others.c)
 *                     <L 16 hex>/     one commit:
 *                       changes       header and entries, contents replaced by hashes
 *                       <i>           slot of entry i: the new object, then what it displaced
 *                       <i>r<n>       the same, made by recovery when <i> is taken
 *                       s<i>          old bytes and attributes of what entry i changed in place
 *                       f<i>          our object, or our bytes, that could not be placed
 *                       t<i>          such bytes while they are being written
 *                       sums          hashes of all the others, once the commit is steady
 */
#ifndef TXFS_PUBLISH_INTERNAL_H
#define TXFS_PUBLISH_INTERNAL_H

#include "txfs/txfs_internal.h"

#define TXFS_COMMIT_NAME_SIZE 17 /* 16 hex digits */
#define TXFS_SLOT_PATH_SIZE 64   /* "<L>/<i>r<n>" below undo/ */
#define TXFS_COPY_SIZE 65536u    /* bytes of contents handled at a time */
#define TXFS_BUILD_MODE 0200u    /* of an object under construction; no program would choose it */

/* --- Steps: the last entry of each path of one commit (steps.c) --- */

enum txfs_step_flags {
    TXFS_STEP_LOST = 1 << 0, /* what it displaced or changed is not kept: a power cut took it */
};

struct txfs_step {
    struct txfs_entry entry;
    uint32_t index;     /* of the entry in the commit, all RMs counted; names the slot */
    uint32_t flags;     /* enum txfs_step_flags */
    uint64_t built_ino; /* inode built in the slot before the first name changed; 0: none */
};

struct txfs_steps {
    struct txfs_step *items; /* parents before children, subtrees together */
    size_t count;
};

/* Decode the files entries of a commit and keep the last of each path; the steps point into the
 * entries. Errors: TX_ECORRUPT. */
enum tx_status txfs_steps_load(struct ktm_cursor entries, struct txfs_steps *steps,
                               struct tx_error *err) TX_CHECKED;
/* False for commits that only the history cares about. */
bool txfs_commit_has_files(const struct ktm_commit_info *commit);
void txfs_steps_release(struct txfs_steps *steps);
static inline void txfs_steps_auto(struct txfs_steps *steps)
{
    txfs_steps_release(steps);
}

/* Key of a path in a tx_map: '/' sorts before everything else, so that subtrees stay together. */
struct txfs_tree_key {
    uint8_t bytes[TXFS_PATH_MAX + 2];
    size_t size;
};
void txfs_tree_key_set(struct txfs_tree_key *key, const char *path);
/* First map entry strictly below the key's path; false when there is none. */
bool txfs_tree_below(const struct tx_map *map, const struct txfs_tree_key *key,
                     struct tx_map_entry *found);

/* True when the entry puts another object at its path, or none. */
static inline bool txfs_entry_displaces(const struct txfs_entry *entry)
{
    return entry->kind != TXFS_CHANGE_ATTRIBUTES && entry->kind != TXFS_CHANGE_EXTENTS;
}
/* True when the entry makes an object. */
static inline bool txfs_entry_is_new(const struct txfs_entry *entry)
{
    return entry->kind == TXFS_CHANGE_FILE || entry->kind == TXFS_CHANGE_DIRECTORY ||
           entry->kind == TXFS_CHANGE_SYMLINK || entry->kind == TXFS_CHANGE_NODE;
}
/* True when the entry changes an inode that exists. */
bool txfs_entry_amends(const struct txfs_entry *entry);

/* --- Objects: attributes, contents, comparing (object_attr.c, object_content.c) --- */

struct txfs_attrs {
    uint32_t mask; /* enum txfs_entry_mask */
    uint32_t mode;
    uint32_t uid;
    uint32_t gid;
    int64_t atime_ns; /* TXFS_KEEP_TIME: leave */
    int64_t mtime_ns;
    const uint8_t *xattrs;
    uint32_t xattrs_size;
};
struct txfs_attrs txfs_attrs_of(const struct txfs_entry *entry);
/* Lay what `more` says over `attrs`. */
void txfs_attrs_add(struct txfs_attrs *attrs, const struct txfs_attrs *more);
/* Give dir/name these attributes, in the order owner, xattrs, mode, times; what is right already
 * costs nothing. `is` is its stat now. */
enum tx_status txfs_attrs_apply(struct txfs *fs, int dir, const char *name,
                                const struct txio_stat *is, const struct txfs_attrs *attrs,
                                struct tx_error *err) TX_CHECKED;
/* Are mode, owner and mtime as said? (xattrs are not looked at.) */
bool txfs_attrs_match(const struct txio_stat *is, const struct txfs_attrs *attrs);

/* Where bytes of a payload come from. */
struct txfs_source {
    struct txfs *fs;
    const uint8_t *content; /* NULL: in the file */
    int fd;                 /* -1: none */
    struct tx_buf checked;  /* the payload of a file, when it was read to be checked */
};
/* Open the payload of an entry of transaction `id`, its extents included. */
enum tx_status txfs_source_open(struct txfs_source *source, struct txfs *fs,
                                const struct ktm_id *id, const struct txfs_entry *entry,
                                struct tx_error *err) TX_CHECKED;
/* For recovery: is a staged payload what it was when it was hashed? A small one is then read from
 * memory, so that what was checked is what is used. Errors: TX_ECORRUPT. */
enum tx_status txfs_source_check(struct txfs_source *source, const struct txfs_entry *entry,
                                 struct tx_error *err) TX_CHECKED;
enum tx_status txfs_source_read(const struct txfs_source *source, void *data, size_t size,
                                uint64_t position, struct tx_error *err) TX_CHECKED;
void txfs_source_auto(struct txfs_source *source);

/* Write the payload's extents over an open file: cut to keep_size, write, set the size. Repeating
 * it does no harm. */
enum tx_status txfs_extents_write(const struct txfs_source *source, int fd,
                                  const struct txfs_entry *entry, struct tx_error *err) TX_CHECKED;
/* XXH3-128 of a whole open file of `size` bytes. */
enum tx_status txfs_hash_fd(struct txfs *fs, int fd, uint64_t size, struct tx_hash128 *hash,
                            struct tx_error *err) TX_CHECKED;
/* Open dir/path for reading, hash it, close it. */
enum tx_status txfs_hash_path(struct txfs *fs, int dir, const char *path, uint64_t size,
                              struct tx_hash128 *hash, struct tx_error *err) TX_CHECKED;
/* Read the target of a symbolic link into `target`. */
enum tx_status txfs_link_read(struct txfs *fs, int dir, const char *path,
                              char target[TXFS_PATH_MAX + 1], struct tx_error *err) TX_CHECKED;

/* Close a descriptor that was only read; nothing can be lost. */
static inline void txfs_close_read(struct txio *io, int fd)
{
    if (fd >= 0) {
        (void)io->ops->close(io, fd);
    }
}
/* Close a descriptor that was written to, `status` being how that went: the first error counts. */
static inline enum tx_status txfs_close_written(struct txio *io, int fd, enum tx_status status,
                                                struct tx_error *err)
{
    if (status != TX_OK) {
        txfs_close_read(io, fd);
        return status;
    }
    return txio_close(io, fd, err);
}
/* Is it the inode seen at its name, or one that a stranger put there before the opening? */
enum tx_status txfs_opened_is(const struct txfs *fs, int fd, const struct txio_stat *seen,
                              bool *same, struct tx_error *err) TX_CHECKED;
/* -errno of an operation that found no way to its object: gone, or through something that is no
 * directory (any more). */
bool txfs_is_no_path(int result);

/* --- The publisher: one per open store (publisher.c) --- */

#define TXFS_TOUCHED_MAX 16

/* A path whose object, or whose name, was changed. */
struct txfs_touch_mark {
    char *path;
    uint64_t dir_ino; /* of the directory in which its name changed; 0: it did not */
};

/* What publishing changed since the last steady point. */
struct txfs_touched {
    struct txfs_touch_mark items[TXFS_TOUCHED_MAX];
    size_t count;
    bool too_many; /* or unknown: the whole file system has to be synced */
    tx_lsn from;   /* the commits published here since the last steady point, without a gap: */
    tx_lsn to;     /* lsn of the first, next_lsn of the last; 0, 0: none */
};

struct txfs_publisher {
    _Atomic int undo_dir; /* -1: not opened yet; readers of old versions open it, too */
    uint32_t uid;
    uint32_t gid;
    uint8_t boot_id[16];
    tx_lsn steady_lsn; /* as the mark says; valid with steady_known */
    bool steady_known;
    tx_lsn cleaned_lsn; /* staging directories of commits below are gone */
    struct txfs_touched touched;
    struct {
        int fd;       /* -1: not opened yet */
        uint64_t end; /* of the good records, as far as this process looked */
        uint64_t count;
        tx_lsn last; /* of the last record */
    } others;
};

/* Descriptor of undo/, opened (and for _make created) at the first call. */
enum tx_status txfs_undo_dir(struct txfs *fs, int *dir, struct tx_error *err) TX_CHECKED;
enum tx_status txfs_undo_make(struct txfs *fs, int *dir, struct tx_error *err) TX_CHECKED;

void txfs_commit_name(tx_lsn lsn, char name[TXFS_COMMIT_NAME_SIZE]);
/* False for names that are no commit's. */
bool txfs_commit_name_parse(const char *name, tx_lsn *lsn);
/* "<L>/<prefix><i>" below undo/; prefix 0: none. */
void txfs_slot_path(tx_lsn lsn, char prefix, uint32_t index, char path[TXFS_SLOT_PATH_SIZE]);
/* LSNs of the commits under undo/, ascending; u64s in the buffer. Absence of undo/ gives none. */
enum tx_status txfs_undo_list(struct txfs *fs, struct tx_buf *lsns,
                              struct tx_error *err) TX_CHECKED;

/* `dir`: the directory in which the name was changed, -1 when it was not. */
void txfs_touched_add(struct txfs *fs, const char *path, int dir);
void txfs_touched_commit(struct txfs *fs, const struct ktm_commit_info *commit);
void txfs_touched_all(struct txfs *fs);
void txfs_touched_clear(struct txfs *fs);

/* Tell whoever listens; `kept_as` is relative to the store directory, "" when there was nothing to
 * keep (a stranger removed something). */
void txfs_foreign_report(struct txfs *fs, const char *path, const char *kept_as);

/* --- One commit being published (slot.c, saved.c, place.c) --- */

#define TXFS_PARENTS_MAX 8

/* Descriptors of parent directories, so that siblings share one walk. */
struct txfs_parents {
    struct txfs *fs;
    struct {
        char *path;
        int fd;
        uint64_t used;
    } items[TXFS_PARENTS_MAX];
    uint64_t clock;
};
/* Directory and last component of `path`. Errors as -errno of the walk in *result: TX_OK is
 * returned with *result < 0 when the parent is not there or is no directory. */
enum tx_status txfs_parents_find(struct txfs_parents *parents, const char *path, int *dir,
                                 const char **name, int *result, struct tx_error *err) TX_CHECKED;
/* Forget all: a directory has moved. */
void txfs_parents_drop(struct txfs_parents *parents);
static inline void txfs_parents_auto(struct txfs_parents *parents)
{
    txfs_parents_drop(parents);
}

/* Slots are named relative to `slots_dir`: that is undo/<L> when one commit is carried out, and
 * undo/ (then `in_undo`) when recovery goes through many. */
struct txfs_work {
    struct txfs *fs;
    struct ktm_id id;
    tx_lsn lsn;
    int slots_dir;
    bool in_undo;
    bool has_moves; /* the commit has moved entries */
    struct txfs_parents parents;
};
static inline void txfs_work_auto(struct txfs_work *work)
{
    txfs_parents_drop(&work->parents);
}
/* Name of a slot for the work's commit, relative to slots_dir; prefix 0: none. */
void txfs_work_slot(const struct txfs_work *work, char prefix, uint32_t index,
                    char path[TXFS_SLOT_PATH_SIZE]);

/* Build the entry's new object at `slot`, which does not exist, attributes included (directories
 * get theirs when their children stand). Staged files are moved there. */
enum tx_status txfs_slot_build(struct txfs_work *work, struct txfs_step *step, const char *slot,
                               struct tx_error *err) TX_CHECKED;

/* What becomes of a placement. */
enum txfs_placed {
    TXFS_PLACED,           /* done; nothing was displaced */
    TXFS_PLACED_DISPLACED, /* done; what stood there is in the slot */
    TXFS_PLACED_NOWHERE,   /* the parent is gone or no directory */
};
/* Put `slot` at `path`: by exchange where something stands, else by rename. */
enum tx_status txfs_place(struct txfs_work *work, const char *slot, const char *path,
                          bool expect_object, enum txfs_placed *placed,
                          struct tx_error *err) TX_CHECKED;
/* Take what stands at `path` into `slot`. TXFS_PLACED: nothing stood there. */
enum tx_status txfs_take(struct txfs_work *work, const char *path, const char *slot,
                         enum txfs_placed *placed, struct tx_error *err) TX_CHECKED;
/* What is at `slot` is a stranger's, or ours without a place: keep it as f<i> and report. */
enum tx_status txfs_keep(struct txfs_work *work, const struct txfs_step *step, const char *slot,
                         struct tx_error *err) TX_CHECKED;
/* What was displaced into `slot` is what the step expected; else a stranger's work: keep it. */
enum tx_status txfs_keep_unless_base(struct txfs_work *work, const struct txfs_step *step,
                                     const char *slot, struct tx_error *err) TX_CHECKED;
/* stat below the root. *result: 0, or -errno when there is no such object. */
enum tx_status txfs_root_stat(struct txfs_work *work, const char *path, struct txio_stat *stat,
                              int *result, struct tx_error *err) TX_CHECKED;
/* The same, and directory and last component by which it is reached. */
enum tx_status txfs_root_find(struct txfs_work *work, const char *path, int *dir, const char **name,
                              struct txio_stat *stat, int *result, struct tx_error *err) TX_CHECKED;
/* stat of a slot, the same way. */
enum tx_status txfs_slot_stat(struct txfs_work *work, const char *slot, struct txio_stat *stat,
                              int *result, struct tx_error *err) TX_CHECKED;

/* Write the entry's extents into the file at dir/name, which is `is`. *other: by now another file
 * has the name, and nothing was written. */
enum tx_status txfs_extents_apply(struct txfs_work *work, const struct txfs_entry *entry, int dir,
                                  const char *name, const struct txio_stat *is, bool *other,
                                  struct tx_error *err) TX_CHECKED;
/* Extents whose file a stranger replaced: keep their bytes, in place, in f<i>; report. */
enum tx_status txfs_extents_keep(struct txfs_work *work, const struct txfs_step *step,
                                 struct tx_error *err) TX_CHECKED;

/* --- Saved records: s<i> (saved.c, saved_read.c) --- */

struct txfs_saved {
    uint32_t mask; /* attributes that the entry changes */
    uint32_t mode; /* with type; of the object before, as are the following */
    uint32_t uid;
    uint32_t gid;
    uint64_t ino;
    uint64_t size;
    int64_t atime_ns;
    int64_t mtime_ns;
    uint32_t xattrs_size;
    uint32_t extent_count;
    uint64_t file_size;
    struct tx_buf head; /* extent table and xattr block */
};
void txfs_saved_release(struct txfs_saved *saved);
static inline void txfs_saved_auto(struct txfs_saved *saved)
{
    txfs_saved_release(saved);
}
/* Write s<i> for the entry from the object at `path` below the root, which is still as it was.
 * *missing: there is none, and nothing was written. */
enum tx_status txfs_saved_write(struct txfs_work *work, const struct txfs_step *step,
                                const char *path, bool *missing, struct tx_error *err) TX_CHECKED;
/* Read and verify s<i>; its bytes are left in the file, at the positions of the extents.
 * Errors: TX_ENOTFOUND, TX_ECORRUPT. */
enum tx_status txfs_saved_read(struct txfs *fs, const char *slot, struct txfs_saved *saved,
                               struct tx_error *err) TX_CHECKED;
struct txfs_extent txfs_saved_extent(const struct txfs_saved *saved, uint32_t index);
const uint8_t *txfs_saved_xattrs(const struct txfs_saved *saved);

/* --- `changes` (undo_changes.c, undo_changes_read.c) --- */

struct txfs_changes {
    struct ktm_commit_info info; /* entries: contents replaced by hashes */
    uint8_t boot_id[16];         /* of the system run that wrote it */
    struct txfs_steps steps;     /* flags and built_ino as written */
    struct tx_buf storage;
};
void txfs_changes_release(struct txfs_changes *changes);
static inline void txfs_changes_auto(struct txfs_changes *changes)
{
    txfs_changes_release(changes);
}
/* Write undo/<L>/changes. Durability: none; steady gives it. */
enum tx_status txfs_changes_write(struct txfs *fs, const struct ktm_commit_info *commit,
                                  const struct txfs_steps *steps, struct tx_error *err) TX_CHECKED;
/* Errors: TX_ENOTFOUND, TX_ECORRUPT. */
enum tx_status txfs_changes_read(struct txfs *fs, tx_lsn lsn, struct txfs_changes *changes,
                                 struct tx_error *err) TX_CHECKED;

/* --- `others` (undo_others.c) --- */

/* Append a commit that has no files, unless it is there already. Durability: steady gives it. */
enum tx_status txfs_others_append(struct txfs *fs, const struct ktm_commit_info *commit,
                                  struct tx_error *err) TX_CHECKED;
/* What the next steady point has to do with the file: it is short enough, or `fresh` replaces it.
 */
enum tx_status txfs_others_plan(struct txfs *fs, uint64_t *size, struct tx_buf *fresh,
                                struct tx_error *err) TX_CHECKED;
enum tx_status txfs_others_replace(struct txfs *fs, const struct tx_buf *fresh,
                                   struct tx_error *err) TX_CHECKED;
/* All good records as one block of bytes; *end: where the first bad byte is, or the end. */
enum tx_status txfs_others_load(struct txfs *fs, struct tx_buf *data, uint64_t *end,
                                struct tx_error *err) TX_CHECKED;
/* LSN and size of the record at `at`; false when there is no good one. */
bool txfs_others_next(const struct tx_buf *data, uint64_t at, tx_lsn *lsn, uint64_t *size);

/* --- Steady point and sums (steady_mark.c, sums.c) --- */

struct txfs_mark {
    tx_lsn lsn;           /* commits below are steady */
    tx_lsn history_lsn;   /* of these, those below are no history: gone, or about to go */
    uint64_t others_size; /* so many bytes of undo/others are durable */
};
/* All zero when nothing was ever steady. Errors: TX_ECORRUPT. */
enum tx_status txfs_mark_read(struct txfs *fs, struct txfs_mark *mark,
                              struct tx_error *err) TX_CHECKED;
/* Durability: on return the new mark is durable. */
enum tx_status txfs_mark_write(struct txfs *fs, const struct txfs_mark *mark,
                               struct tx_error *err) TX_CHECKED;

/* LSN of the oldest of these commits (ascending) that the settings keep as history; `end` when they
 * keep none. */
enum tx_status txfs_history_bound(struct txfs *fs, const tx_lsn *lsns, size_t count, tx_lsn end,
                                  tx_lsn *from, struct tx_error *err) TX_CHECKED;

/* Write undo/<L>/sums over everything else in that directory. */
enum tx_status txfs_sums_write(struct txfs *fs, tx_lsn lsn, struct tx_error *err) TX_CHECKED;
/* Bytes kept, as `sums` says; 0 when there is none. */
enum tx_status txfs_sums_bytes(struct txfs *fs, tx_lsn lsn, uint64_t *bytes,
                               struct tx_error *err) TX_CHECKED;
/* Verify everything in undo/<L> against `sums`. */
enum tx_status txfs_sums_check(struct txfs *fs, tx_lsn lsn, txfs_fault_fn *fn, void *arg,
                               struct tx_error *err) TX_CHECKED;

#endif
