/* SPDX-License-Identifier: MIT */
/*
 * The vote. In this order: the tree still is what the transaction took it for; there is room for
 * what publishing writes; staged contents are durable; the keys by which other transactions are
 * noticed are named.
 *
 * Keys: every path touched is written. Every directory above it is read, so that its removal or
 * move by another transaction is a conflict. The names of a directory (a key of their own) are
 * marked by those who make or remove one, and read by those who remove the directory. A file of the
 * tree that is changed in place has a key of its own besides: it may have other names.
 */
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/mutant.h"
#include "txfs/prepare_internal.h"

enum { SYNC_EACH_MAX = 64 };

/* --- Room --- */

#define ROOM_BLOCK 4096u
#define ROOM_SLACK 65536u

static uint64_t in_blocks(uint64_t size)
{
    return (size + ROOM_BLOCK - 1) / ROOM_BLOCK * ROOM_BLOCK;
}

/* Bytes that publishing this entry takes from the file system. */
static uint64_t room_for(const struct txfs_entry *entry)
{
    switch (entry->kind) {
    case TXFS_CHANGE_FILE:
        return entry->payload == TXFS_PAYLOAD_INLINE ? in_blocks(entry->size) : 0;
    case TXFS_CHANGE_DIRECTORY:
    case TXFS_CHANGE_SYMLINK:
        return ROOM_BLOCK;
    case TXFS_CHANGE_EXTENTS:
    case TXFS_CHANGE_MOVED: /* holes may be filled, and the old bytes are kept for undo */
        return entry->payload == TXFS_PAYLOAD_EXTENTS ? 2 * in_blocks(entry->payload_size) : 0;
    default:
        return 0;
    }
}

static enum tx_status check_room(struct txfs_view *view, struct tx_error *err)
{
    struct txio *io = view->fs->io;
    struct txio_fs_info info;
    uint64_t needed = 0;
    const struct txfs_node *node = txfs_view_below(view, "", NULL);
    for (; node != NULL; node = txfs_view_below(view, "", node->entry.path)) {
        needed += room_for(&node->entry);
    }
    if (needed == 0) {
        return TX_OK; /* removing things must work on a full disk */
    }
    int got = io->ops->fs_info(io, view->fs->root_dir, &info);
    if (got < 0) {
        return tx_error_os(err, -got, "ask for free space");
    }
    needed += needed / 20 + ROOM_SLACK;
    if (info.free_bytes < needed) {
        return tx_error_set(err, TX_ENOSPC, "%llu bytes are needed, %llu are free",
                            (unsigned long long)needed, (unsigned long long)info.free_bytes);
    }
    return TX_OK;
}

/* --- Sizes --- */

#define SIZE_SURE (1u << 30) /* every file system holds a file of so many bytes */
#define SIZE_NAME "size"

/* A file that grows by holes gets its size when it is published, and must take it then. */
static uint64_t largest_growth(struct txfs_view *view)
{
    uint64_t largest = 0;
    const struct txfs_node *node = txfs_view_below(view, "", NULL);
    for (; node != NULL; node = txfs_view_below(view, "", node->entry.path)) {
        const struct txfs_entry *entry = &node->entry;
        if (entry->payload == TXFS_PAYLOAD_EXTENTS && entry->size > entry->keep_size &&
            entry->size > largest) {
            largest = entry->size;
        }
    }
    return largest;
}

static enum tx_status check_sizes(struct txfs_view *view, struct tx_error *err)
{
    struct txio *io = view->fs->io;
    uint64_t size = largest_growth(view);
    int dir;
    int fd;
    /* MUTANT_66: a size that no file can have is committed. */
    if (size <= SIZE_SURE || TX_MUTANT(66)) {
        return TX_OK;
    }
    TX_TRY(ktm_txn_staging(view->txn, &dir, err));
    TX_TRY(txio_open(io, dir, SIZE_NAME, TXIO_WRITE | TXIO_CREATE, 0600, &fd, err));
    int result = io->ops->truncate(io, fd, size);
    (void)io->ops->close(io, fd); /* nothing is in it */
    (void)io->ops->unlink(io, dir, SIZE_NAME); /* else it goes with the directory */
    /* Crash here: an empty file in tx/<id>/, which goes with it. */
    return result < 0 ? tx_error_os(err, -result, "a file of %llu bytes",
                                    (unsigned long long)size)
                      : TX_OK;
}

/* --- Staged contents --- */

static enum tx_status sync_staged(struct txfs_view *view, int dir, uint32_t number,
                                  struct tx_error *err)
{
    struct txio *io = view->fs->io;
    char name[16];
    int fd;
    (void)snprintf(name, sizeof name, "p%u", number);
    TX_TRY(txio_open(io, dir, name, TXIO_WRITE, 0, &fd, err));
    /* Crash here: nothing is logged yet; recovery removes all of tx/<id>/. */
    enum tx_status status = txio_datasync(io, fd, "a staged file", err);
    (void)io->ops->close(io, fd); /* its bytes are durable */
    return status;
}

static uint32_t count_staged(struct txfs_view *view)
{
    uint32_t count = 0;
    const struct txfs_node *node = txfs_view_below(view, "", NULL);
    for (; node != NULL; node = txfs_view_below(view, "", node->entry.path)) {
        count += node->entry.staged != 0;
    }
    return count;
}

static enum tx_status sync_each(struct txfs_view *view, int dir, struct tx_error *err)
{
    const struct txfs_node *node = txfs_view_below(view, "", NULL);
    for (; node != NULL; node = txfs_view_below(view, "", node->entry.path)) {
        /* MUTANT_3: a file whose size stays is taken for one that was not written. */
        if (TX_MUTANT(3) && node->entry.size == node->entry.base.size) {
            continue;
        }
        if (node->entry.staged != 0) {
            TX_TRY(sync_staged(view, dir, node->entry.staged, err));
        }
    }
    /* Crash here: nothing is logged yet; recovery removes all of tx/<id>/. */
    return txio_sync(view->fs->io, dir, "the names of staged files", err);
}

/* The name of tx/<id>/ itself is the manager's to sync. */
static enum tx_status make_staged_durable(struct txfs_view *view, struct tx_error *err)
{
    struct txio *io = view->fs->io;
    int dir;
    uint32_t count = count_staged(view);
    if (count == 0 || view->synced == view->generation) {
        return TX_OK;
    }
    TX_TRY(ktm_txn_staging(view->txn, &dir, err));
    if (count <= SYNC_EACH_MAX) {
        TX_TRY(sync_each(view, dir, err));
    } else {
        /* Crash here: nothing is logged yet; recovery removes all of tx/<id>/. */
        int got = io->ops->syncfs(io, dir);
        if (got < 0) {
            return tx_error_os(err, -got, "sync staged files");
        }
    }
    view->synced = view->generation;
    return TX_OK;
}

/* --- Keys --- */

struct keys_job {
    struct txfs_view *view;
    struct ktm_vote *vote;
    const char *marked; /* the directory marked last */
};

/* Read the directories above a path; each once per vote. */
static enum tx_status vote_parents(const struct keys_job *job, const char *path,
                                   struct tx_error *err)
{
    struct tx_map *parents = &job->view->parents;
    size_t size = txfs_path_parent_size(path);
    while (size > 0 && tx_map_get(parents, path, size) == NULL) {
        char *name = tx_alloc(size + 1);
        if (name == NULL) {
            return tx_error_set(err, TX_ENOMEM, "no memory for a path");
        }
        memcpy(name, path, size);
        name[size] = '\0';
        enum tx_status status = tx_map_set(parents, path, size, name, err);
        if (status != TX_OK) {
            tx_free(name);
            return status;
        }
        TX_TRY(ktm_vote_read(job->vote, txfs_path_key(name), name, err));
        size = txfs_path_parent_size(name);
    }
    return TX_OK;
}

static enum tx_status vote_path(struct keys_job *job, const char *path, struct tx_error *err)
{
    size_t size = txfs_path_parent_size(path);
    TX_TRY(ktm_vote_write(job->vote, txfs_path_key(path), path, err));
    TX_TRY(vote_parents(job, path, err));
    const char *directory = size > 0 ? tx_map_get(&job->view->parents, path, size) : "";
    if (directory == job->marked) {
        return TX_OK;
    }
    job->marked = directory;
    return ktm_vote_mark(job->vote, txfs_names_key(directory), directory, err);
}

/* What is changed in place is changed under all its names, and others may know it by another. */
static enum tx_status vote_inode(struct ktm_vote *vote, const struct txfs_entry *entry,
                                 struct tx_error *err)
{
    bool amends = entry->mask != 0 || entry->payload != TXFS_PAYLOAD_NONE;
    if (!amends || !entry->source.existed || !S_ISREG(entry->source.mode) || TX_MUTANT(70)) {
        return TX_OK;
    }
    return ktm_vote_write(vote, txfs_inode_key(entry->source.ino), entry->path, err);
}

/* Of a file with several names, what we met under this one may be changed under another. */
static enum tx_status vote_met(struct ktm_vote *vote, const struct txfs_touch *touch,
                               struct tx_error *err)
{
    const struct txfs_identity *met = &touch->identity;
    if (!met->existed || !S_ISREG(met->mode) || met->nlink < 2 || TX_MUTANT(106)) {
        return TX_OK;
    }
    return ktm_vote_read(vote, txfs_inode_key(met->ino), touch->path, err);
}

static enum tx_status vote_written(struct txfs_view *view, struct ktm_vote *vote,
                                   struct tx_error *err)
{
    struct keys_job job = {view, vote, NULL};
    struct tx_map_entry at;
    const struct txfs_node *node = txfs_view_below(view, "", NULL);
    for (; node != NULL; node = txfs_view_below(view, "", node->entry.path)) {
        TX_TRY(vote_path(&job, node->entry.path, err));
        TX_TRY(vote_inode(vote, &node->entry, err));
    }
    bool any = tx_map_at_or_after(&view->touched, NULL, 0, &at);
    for (; any; any = tx_map_after(&view->touched, at.key, at.key_size, &at)) {
        const struct txfs_touch *touch = at.value;
        TX_TRY(vote_met(vote, touch, err));
        if (txfs_view_node(view, touch->path) == NULL) {
            TX_TRY(vote_path(&job, touch->path, err));
        }
    }
    return TX_OK;
}

/* Serializable: what was looked at, and the directories whose names were read. */
static enum tx_status vote_looked_at(struct txfs_view *view, struct ktm_vote *vote,
                                     struct tx_error *err)
{
    struct tx_map_entry at;
    bool any = tx_map_at_or_after(&view->reads, NULL, 0, &at);
    for (; any; any = tx_map_after(&view->reads, at.key, at.key_size, &at)) {
        const struct txfs_touch *touch = at.value;
        TX_TRY(ktm_vote_read(vote, txfs_path_key(touch->path), touch->path, err));
        if (touch->identity.existed && S_ISREG(touch->identity.mode)) {
            TX_TRY(ktm_vote_read(vote, txfs_inode_key(touch->identity.ino), touch->path, err));
        }
    }
    any = tx_map_at_or_after(&view->listed, NULL, 0, &at);
    for (; any; any = tx_map_after(&view->listed, at.key, at.key_size, &at)) {
        TX_TRY(ktm_vote_read(vote, txfs_names_key(at.key), at.key, err));
    }
    return TX_OK;
}

static enum tx_status vote_keys(struct txfs_view *view, struct ktm_vote *vote,
                                struct tx_error *err)
{
    tx_map_release(&view->parents);
    tx_map_init(&view->parents, tx_free);
    TX_TRY(vote_written(view, vote, err));
    return vote_looked_at(view, vote, err);
}

enum tx_status txfs_prepare(void *rm, struct ktm_txn *txn, void *view, struct ktm_vote *vote,
                            struct tx_error *err)
{
    struct txfs_view *mine = view;
    (void)rm;
    (void)txn;
    if (mine->broken != TX_OK) {
        return tx_error_set(err, TX_EABORTED, "an earlier change failed: %s",
                            tx_status_text(mine->broken));
    }
    TX_TRY(txfs_validate(mine, vote, err));
    TX_TRY(check_room(mine, err));
    TX_TRY(check_sizes(mine, err));
    TX_TRY(make_staged_durable(mine, err));
    return vote_keys(mine, vote, err);
}

bool txfs_needs_barrier(void *rm, struct ktm_cursor entries)
{
    struct ktm_change change;
    (void)rm;
    while (ktm_cursor_next(&entries, &change)) {
        if (change.rm == TXFS_RM && change.op == TXFS_CHANGE_MOVED) {
            return true;
        }
    }
    return false;
}
