/* SPDX-License-Identifier: MIT */
/*
 * Open files. A handle reads through two sheets: the draft on top holds what was written through
 * it, the layer below is the content as the transaction has it. The draft becomes an entry when
 * the handle is closed (or the transaction flushed); then both sheets are made anew.
 */
#ifndef TXFS_OPEN_FILE_H
#define TXFS_OPEN_FILE_H

#include "txfs/overlay.h"

enum txfs_layer_kind {
    TXFS_LAYER_EMPTY,
    TXFS_LAYER_INLINE, /* in the change set */
    TXFS_LAYER_STAGED, /* in a staged file */
    TXFS_LAYER_BASE,   /* a file of the tree */
};
struct txfs_layer {
    enum txfs_layer_kind kind;
    size_t content_at;   /* inline */
    int fd;              /* staged, base; -1: none */
    uint64_t size;       /* bytes that count */
    tx_lsn decided;      /* base: what was found holds until a commit behind it is decided, */
    bool settled;        /* and until then nothing moves: all before it had been carried out */
    struct txfs_old old; /* base: with the old bytes of newer in-place updates */
    char real[TXFS_PATH_MAX + 1];
};

/* What was written: a whole content, or patches over the layer. Bytes are kept in memory while they
 * are few, then in a staged file. */
struct txfs_draft {
    bool whole;           /* bytes stand at their offsets; else: appended, found by `extents` */
    uint64_t size;        /* of the file */
    uint64_t keep;        /* patches: bytes of the layer that still count */
    struct tx_map extents; /* end of the extent, big-endian -> struct txfs_extent */
    uint64_t used;        /* bytes in the store below */
    uint64_t loaded;      /* of those, what an earlier entry brought */
    struct tx_buf memory;
    int fd; /* -1: still in memory */
    uint32_t staged;
    bool frozen; /* the staged file belongs to an entry: copy before writing */
    bool cut;    /* the size was set */
    uint64_t behind; /* bytes for which write-back was started */
    uint64_t hashed;           /* first bytes of the staged file, hashed as they were written */
    struct tx_hasher *hasher; /* NULL: not so, or not in order */
};

struct txfs_file {
    struct txfs_view *view; /* NULL: the transaction is over */
    struct txfs_file *next;
    unsigned flags;
    uint32_t mode;       /* for a new file */
    bool replaces;       /* becomes a new object */
    bool dirty;
    bool orphan;         /* its name is gone: what is written is forgotten */
    uint64_t generation; /* of the view when it was loaded; 0: has to be */
    uint64_t position;
    struct txfs_layer layer;
    struct txfs_draft draft;
    char path[TXFS_PATH_MAX + 1];
};

/* --- layer.c --- */

/* The content of a regular file. */
enum tx_status txfs_layer_open(struct txfs_view *view, const struct txfs_object *object,
                               struct txfs_layer *layer, struct tx_error *err) TX_CHECKED;
void txfs_layer_close(struct txfs_view *view, struct txfs_layer *layer);
/* Fill `data`; zeros behind the end. */
enum tx_status txfs_layer_read(struct txfs_view *view, struct txfs_layer *layer, void *data,
                               size_t size, uint64_t offset, struct tx_error *err) TX_CHECKED;

/* --- draft.c --- */

void txfs_draft_init(struct txfs_draft *draft);
void txfs_draft_release(struct txfs_view *view, struct txfs_draft *draft);
/* Release, and unlink the staged file if no entry names it. */
void txfs_draft_discard(struct txfs_view *view, struct txfs_draft *draft);
enum tx_status txfs_draft_write(struct txfs_view *view, struct txfs_draft *draft, const void *data,
                                size_t size, uint64_t offset, struct tx_error *err) TX_CHECKED;
enum tx_status txfs_draft_truncate(struct txfs_view *view, struct txfs_draft *draft, uint64_t size,
                                   struct tx_error *err) TX_CHECKED;
/* Lay what the draft has of these bytes over `data`. */
enum tx_status txfs_draft_read(struct txfs_view *view, const struct txfs_draft *draft, void *data,
                               size_t size, uint64_t offset, struct tx_error *err) TX_CHECKED;
/* Continue the draft's store in a staged file. */
enum tx_status txfs_draft_spill(struct txfs_view *view, struct txfs_draft *draft,
                                struct tx_error *err) TX_CHECKED;
/* Read what the store has at `position`; zeros behind its end. */
enum tx_status txfs_draft_fetch(struct txfs_view *view, const struct txfs_draft *draft, void *data,
                                size_t size, uint64_t position, struct tx_error *err) TX_CHECKED;
/* Hash of the store's first `size` bytes. */
enum tx_status txfs_draft_hash(struct txfs_view *view, struct txfs_draft *draft, uint64_t size,
                               struct tx_hash128 *hash, struct tx_error *err) TX_CHECKED;

/* --- draft_extents.c --- */

void txfs_extents_init(struct tx_map *extents);
/* [offset, offset + length) is now at `position`. */
enum tx_status txfs_extents_set(struct tx_map *extents, const struct txfs_extent *extent,
                                struct tx_error *err) TX_CHECKED;
/* Forget everything at and after `offset`. */
enum tx_status txfs_extents_cut(struct tx_map *extents, uint64_t offset,
                                struct tx_error *err) TX_CHECKED;
/* First extent that ends after `offset`; NULL: none. */
const struct txfs_extent *txfs_extents_after(const struct tx_map *extents, uint64_t offset);

/* --- file.c, file_emit.c --- */

/* Make the handle show what the transaction has now, unless something was written through it. */
enum tx_status txfs_file_refresh(struct txfs_file *file, struct tx_error *err) TX_CHECKED;
enum tx_status txfs_file_load(struct txfs_view *view, const struct txfs_object *object,
                              struct txfs_layer *layer, struct txfs_draft *draft,
                              struct tx_error *err) TX_CHECKED;
enum tx_status txfs_file_read_at(struct txfs_file *file, void *data, size_t size, uint64_t offset,
                                 size_t *done, struct tx_error *err) TX_CHECKED;
/* Turn what was written into an entry. */
enum tx_status txfs_file_emit(struct txfs_file *file, struct tx_error *err) TX_CHECKED;
/* Put a whole draft's content at `path`, as a new object. `attr` may be NULL. */
enum tx_status txfs_emit_whole(struct txfs_view *view, const char *path,
                               const struct txfs_dir_ref *parent, struct txfs_draft *draft,
                               uint32_t mode, const struct txio_attr *attr,
                               struct tx_error *err) TX_CHECKED;

/* --- file_registry.c: all open handles of a view --- */

void txfs_files_add(struct txfs_view *view, struct txfs_file *file);
void txfs_files_remove(struct txfs_file *file);
enum tx_status txfs_files_emit(struct txfs_view *view, struct tx_error *err) TX_CHECKED;
/* The view was rebuilt: what was written and not emitted is forgotten. */
void txfs_files_reset(struct txfs_view *view);
/* The transaction is over. */
void txfs_files_end(struct txfs_view *view);
/* What was at or below `from` is now at `to`. */
void txfs_files_moved(struct txfs_view *view, const char *from, const char *to);
/* The object at `path` has lost its last name. */
void txfs_files_gone(struct txfs_view *view, const char *path);

#endif
