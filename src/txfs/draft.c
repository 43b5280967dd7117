/* SPDX-License-Identifier: MIT */
/*
 * What is written through a handle. The store of a draft is memory up to the inline limit, then a
 * staged file in tx/<id>/: by then the content cannot travel in the log, and it is written once, to
 * the inode that publishing will move into place.
 */
#include <stdio.h>
#include <string.h>

#include "base/invariant.h"
#include "txfs/open_file.h"

#define WRITE_BEHIND_STEP (8u << 20)
enum { CHUNK_SIZE = 65536, STAGED_NAME_SIZE = 16 };

void txfs_draft_init(struct txfs_draft *draft)
{
    *draft = (struct txfs_draft){.fd = -1};
    txfs_extents_init(&draft->extents);
}

static void stop_hashing(struct txfs_draft *draft)
{
    tx_free(draft->hasher);
    draft->hasher = NULL;
}

void txfs_draft_release(struct txfs_view *view, struct txfs_draft *draft)
{
    if (draft->fd >= 0) {
        (void)view->fs->io->ops->close(view->fs->io, draft->fd); /* prepare syncs it by name */
    }
    stop_hashing(draft);
    tx_map_release(&draft->extents);
    tx_buf_release(&draft->memory);
    txfs_draft_init(draft);
}

void txfs_draft_discard(struct txfs_view *view, struct txfs_draft *draft)
{
    int dir;
    if (draft->fd >= 0 && !draft->frozen &&
        ktm_txn_staging(view->txn, &dir, NULL) == TX_OK) {
        char name[STAGED_NAME_SIZE];
        (void)snprintf(name, sizeof name, "p%u", draft->staged);
        /* Crash here: nobody knows the file; recovery removes all of tx/<id>/. */
        (void)view->fs->io->ops->unlink(view->fs->io, dir, name); /* else it goes with the rest */
    }
    txfs_draft_release(view, draft);
}

static enum tx_status create_staged(struct txfs_view *view, int *fd, uint32_t *number,
                                    struct tx_error *err)
{
    char name[STAGED_NAME_SIZE];
    int dir;
    enum tx_status status;
    TX_TRY(ktm_txn_staging(view->txn, &dir, err));
    do { /* a number may be in use by a file of an earlier attachment that no entry names */
        (void)snprintf(name, sizeof name, "p%u", view->next_staged);
        status = txio_open(view->fs->io, dir, name, TXIO_WRITE | TXIO_CREATE | TXIO_EXCLUSIVE, 0600,
                           fd, err);
        *number = view->next_staged++;
    } while (status == TX_EEXIST && view->next_staged != 0);
    return status;
}

static enum tx_status store_write(struct txfs_view *view, struct txfs_draft *draft,
                                  const void *data, size_t size, uint64_t position,
                                  struct tx_error *err)
{
    uint64_t end = position + size;
    if (draft->fd < 0) {
        uint8_t *at;
        if (end > draft->memory.size) {
            TX_TRY(tx_buf_extend(&draft->memory, (size_t)(end - draft->memory.size), &at, err));
        }
        memcpy(draft->memory.data + position, data, size);
    } else {
        struct iovec part = {(void *)(uintptr_t)data, size};
        TX_TRY(txio_write_full(view->fs->io, draft->fd, &part, 1, position, err));
    }
    if (draft->hasher != NULL && position == draft->hashed) {
        tx_hasher_add(draft->hasher, data, size);
        draft->hashed = end;
    } else if (position < draft->hashed) {
        stop_hashing(draft); /* not in order: the hash is made by reading */
    }
    if (end > draft->used) {
        draft->used = end;
    }
    if (draft->fd >= 0 && draft->used - draft->behind >= WRITE_BEHIND_STEP) {
        (void)view->fs->io->ops->write_behind(view->fs->io, draft->fd, draft->behind,
                                              draft->used - draft->behind); /* a hint */
        draft->behind = draft->used;
    }
    return TX_OK;
}

enum tx_status txfs_draft_fetch(struct txfs_view *view, const struct txfs_draft *draft, void *data,
                                size_t size, uint64_t position, struct tx_error *err)
{
    size_t there = 0;
    if (position < draft->used) {
        there = draft->used - position < size ? (size_t)(draft->used - position) : size;
    }
    if (there > 0 && draft->fd < 0) {
        memcpy(data, draft->memory.data + position, there);
    } else if (there > 0) {
        TX_TRY(txio_read_full(view->fs->io, draft->fd, data, there, position, err));
    }
    memset((uint8_t *)data + there, 0, size - there);
    return TX_OK;
}

/* Copy the store's bytes into a staged file of its own. */
enum tx_status txfs_draft_spill(struct txfs_view *view, struct txfs_draft *draft,
                                struct tx_error *err)
{
    struct txfs_draft to;
    TX_AUTO(tx_buf) chunk = TX_BUF_INIT;
    uint8_t *data;
    txfs_draft_init(&to);
    TX_TRY(tx_buf_extend(&chunk, CHUNK_SIZE, &data, err));
    TX_TRY(create_staged(view, &to.fd, &to.staged, err));
    to.hasher = tx_alloc(sizeof *to.hasher);
    if (to.hasher != NULL) { /* without it, hashing takes a second look at the file */
        tx_hasher_init(to.hasher, 0);
    }
    enum tx_status status = TX_OK;
    for (uint64_t at = 0; status == TX_OK && at < draft->used; at += CHUNK_SIZE) {
        uint64_t left = draft->used - at;
        size_t size = left < CHUNK_SIZE ? (size_t)left : CHUNK_SIZE;
        status = txfs_draft_fetch(view, draft, data, size, at, err);
        if (status == TX_OK) {
            status = store_write(view, &to, data, size, at, err);
        }
    }
    if (status != TX_OK) {
        txfs_draft_discard(view, &to);
        return status;
    }
    if (draft->fd >= 0) {
        (void)view->fs->io->ops->close(view->fs->io, draft->fd); /* an entry has it by name */
    }
    tx_buf_release(&draft->memory);
    stop_hashing(draft);
    draft->fd = to.fd;
    draft->staged = to.staged;
    draft->frozen = false;
    draft->behind = to.behind;
    draft->hashed = to.hashed;
    draft->hasher = to.hasher;
    return TX_OK;
}

/* Room in the store up to `end`, in memory or in a file that is ours to write. */
static enum tx_status make_room(struct txfs_view *view, struct txfs_draft *draft, uint64_t end,
                                struct tx_error *err)
{
    bool large = draft->fd < 0 && end > view->fs->inline_max;
    return large || draft->frozen ? txfs_draft_spill(view, draft, err) : TX_OK;
}

enum tx_status txfs_draft_write(struct txfs_view *view, struct txfs_draft *draft, const void *data,
                                size_t size, uint64_t offset, struct tx_error *err)
{
    if (size == 0) {
        return TX_OK;
    }
    if (size > INT64_MAX || offset > INT64_MAX - size) {
        return tx_error_set(err, TX_ELIMIT, "a file of more than 2^63 - 1 bytes");
    }
    uint64_t position = draft->whole ? offset : draft->used;
    TX_TRY(make_room(view, draft, position + size, err));
    TX_TRY(store_write(view, draft, data, size, position, err));
    if (!draft->whole) {
        struct txfs_extent extent = {offset, size, position};
        TX_TRY(txfs_extents_set(&draft->extents, &extent, err));
    }
    if (offset + size > draft->size) {
        draft->size = offset + size;
    }
    return TX_OK;
}

static enum tx_status truncate_store(struct txfs_view *view, struct txfs_draft *draft,
                                     uint64_t size, struct tx_error *err)
{
    if (size >= draft->used) {
        return TX_OK;
    }
    TX_TRY(make_room(view, draft, 0, err));
    if (draft->fd < 0) {
        draft->memory.size = (size_t)size;
    } else {
        /* Crash here: a staged file that no entry names yet; recovery removes it. */
        int got = view->fs->io->ops->truncate(view->fs->io, draft->fd, size);
        if (got < 0) {
            return tx_error_os(err, -got, "cut a staged file");
        }
    }
    draft->used = size;
    stop_hashing(draft);
    return TX_OK;
}

enum tx_status txfs_draft_truncate(struct txfs_view *view, struct txfs_draft *draft, uint64_t size,
                                   struct tx_error *err)
{
    if (size > INT64_MAX) {
        return tx_error_set(err, TX_ELIMIT, "a file of more than 2^63 - 1 bytes");
    }
    if (draft->whole) {
        TX_TRY(truncate_store(view, draft, size, err));
    } else {
        TX_TRY(txfs_extents_cut(&draft->extents, size, err));
        draft->keep = size < draft->keep ? size : draft->keep;
    }
    draft->size = size;
    draft->cut = true;
    return TX_OK;
}

enum tx_status txfs_draft_read(struct txfs_view *view, const struct txfs_draft *draft, void *data,
                               size_t size, uint64_t offset, struct tx_error *err)
{
    if (draft->whole) {
        return txfs_draft_fetch(view, draft, data, size, offset, err);
    }
    uint64_t end = offset + size;
    const struct txfs_extent *at = txfs_extents_after(&draft->extents, offset);
    while (at != NULL && at->offset < end) {
        uint64_t from = at->offset > offset ? at->offset : offset;
        uint64_t upto = at->offset + at->length < end ? at->offset + at->length : end;
        TX_TRY(txfs_draft_fetch(view, draft, (uint8_t *)data + (from - offset),
                                (size_t)(upto - from), at->position + (from - at->offset), err));
        at = txfs_extents_after(&draft->extents, at->offset + at->length);
    }
    return TX_OK;
}

enum tx_status txfs_draft_hash(struct txfs_view *view, struct txfs_draft *draft, uint64_t size,
                               struct tx_hash128 *hash, struct tx_error *err)
{
    TX_AUTO(tx_buf) chunk = TX_BUF_INIT;
    struct tx_hasher hasher;
    uint8_t *data;
    if (draft->hasher != NULL && draft->hashed == size) {
        *hash = tx_hasher_sum128(draft->hasher);
        return TX_OK;
    }
    if (draft->fd < 0) {
        TX_INVARIANT(size <= draft->memory.size); /* what is in memory has no holes */
        *hash = tx_hash128_of(draft->memory.data, size);
        return TX_OK;
    }
    tx_hasher_init(&hasher, 0);
    TX_TRY(tx_buf_extend(&chunk, CHUNK_SIZE, &data, err));
    for (uint64_t at = 0; at < size; at += CHUNK_SIZE) {
        size_t part = size - at < CHUNK_SIZE ? (size_t)(size - at) : CHUNK_SIZE;
        TX_TRY(txfs_draft_fetch(view, draft, data, part, at, err));
        tx_hasher_add(&hasher, data, part);
    }
    *hash = tx_hasher_sum128(&hasher);
    return TX_OK;
}
