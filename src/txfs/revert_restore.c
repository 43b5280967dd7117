/* SPDX-License-Identifier: MIT */
/* Bringing back old objects from their slots, and old bytes and attributes from saved records. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "txfs/overlay.h"
#include "txfs/revert.h"

static enum tx_status put_xattrs(struct txfs_revert_job *job, const char *path,
                                 const uint8_t *block, uint32_t size, struct tx_error *err)
{
    struct tx_reader wanted = tx_reader_on(block, size);
    struct txfs_xattr xattr;
    while (txfs_xattr_next(&wanted, &xattr)) {
        TX_TRY(txfs_set_xattr(job->txn, path, xattr.name, xattr.value, xattr.size, err));
    }
    return TX_OK;
}

static bool has_xattr(const uint8_t *block, uint32_t size, const char *name)
{
    struct tx_reader reader = tx_reader_on(block, size);
    struct txfs_xattr xattr;
    while (txfs_xattr_next(&reader, &xattr)) {
        if (strcmp(xattr.name, name) == 0) {
            return true;
        }
    }
    return false;
}

/* Make the set of extended attributes exactly the given one. */
static enum tx_status set_xattrs(struct txfs_revert_job *job, const char *path,
                                 const uint8_t *block, uint32_t size, struct tx_error *err)
{
    TX_AUTO(tx_buf) present = TX_BUF_INIT;
    struct txfs_object object;
    struct txfs_xattr xattr;
    TX_TRY(txfs_lookup_there(job->view, path, &object, err));
    TX_TRY(txfs_object_xattrs(job->view, &object, &present, err));
    struct tx_reader is = tx_reader_on(present.data, present.size);
    while (txfs_xattr_next(&is, &xattr)) {
        if (!has_xattr(block, size, xattr.name)) {
            TX_TRY(txfs_remove_xattr(job->txn, path, xattr.name, err));
        }
    }
    return put_xattrs(job, path, block, size, err);
}

static enum tx_status copy_bytes(struct txfs_revert_job *job, int from, struct txfs_file *to,
                                 const struct txfs_extent *range, struct tx_error *err)
{
    TX_AUTO(tx_buf) buffer = TX_BUF_INIT;
    uint8_t *bytes;
    TX_TRY(tx_buf_extend(&buffer, TXFS_COPY_SIZE, &bytes, err));
    for (uint64_t done = 0; done < range->length;) {
        uint64_t left = range->length - done;
        size_t size = left < TXFS_COPY_SIZE ? (size_t)left : TXFS_COPY_SIZE;
        TX_TRY(txio_read_full(job->fs->io, from, bytes, size, range->position + done, err));
        TX_TRY(txfs_pwrite(to, bytes, size, range->offset + done, err));
        done += size;
    }
    return TX_OK;
}

static enum tx_status write_old_bytes(struct txfs_revert_job *job, const char *slot,
                                      const struct txfs_saved *saved, struct txfs_file *file,
                                      struct tx_error *err)
{
    int from;
    TX_TRY(txio_open(job->fs->io, job->undo_dir, slot, TXIO_READ, 0, &from, err));
    enum tx_status status = txfs_ftruncate(file, saved->size, err);
    for (uint32_t i = 0; i < saved->extent_count && status == TX_OK; i++) {
        struct txfs_extent at = txfs_saved_extent(saved, i);
        status = copy_bytes(job, from, file, &at, err);
    }
    txfs_close_read(job->fs->io, from);
    return status;
}

static enum tx_status finish_file(struct txfs_file *file, enum tx_status status,
                                  struct tx_error *err)
{
    if (status != TX_OK) {
        txfs_abandon(file);
        return status;
    }
    return txfs_close(file, err);
}

static enum tx_status set_attributes(struct txfs_revert_job *job, const char *path, uint32_t mask,
                                     const struct txio_stat *was, struct tx_error *err)
{
    struct txio_attr attr = {
        .mask = mask & (TXIO_ATTR_OWNER | TXIO_ATTR_MODE | TXIO_ATTR_TIMES),
        .mode = was->mode & 07777,
        .uid = was->uid,
        .gid = was->gid,
        .atime_ns = was->atime_ns,
        .mtime_ns = was->mtime_ns,
    };
    if (S_ISLNK(was->mode)) {
        attr.mask &= ~(uint32_t)TXIO_ATTR_MODE;
    }
    return attr.mask != 0 ? txfs_set_attr(job->txn, path, &attr, err) : TX_OK;
}

enum tx_status txfs_revert_amendment(struct txfs_revert_job *job, const struct txfs_step *step,
                                     struct tx_error *err)
{
    const struct txfs_entry *entry = &step->entry;
    TX_AUTO(txfs_saved) saved = {.head = TX_BUF_INIT};
    char slot[TXFS_SLOT_PATH_SIZE];
    txfs_slot_path(job->changes.info.lsn, 's', step->index, slot);
    TX_TRY(txfs_saved_read(job->fs, slot, &saved, err));
    if (entry->payload != TXFS_PAYLOAD_NONE) {
        struct txfs_file *file;
        TX_TRY(txfs_open(job->txn, entry->path, TXFS_WRITE | TXFS_NOFOLLOW, 0, &file, err));
        enum tx_status status = write_old_bytes(job, slot, &saved, file, err);
        TX_TRY(finish_file(file, status, err));
    }
    if (entry->mask & TXFS_SETS_XATTRS) {
        TX_TRY(set_xattrs(job, entry->path, txfs_saved_xattrs(&saved), saved.xattrs_size, err));
    }
    struct txio_stat was = {.mode = saved.mode,
                            .uid = saved.uid,
                            .gid = saved.gid,
                            .atime_ns = saved.atime_ns,
                            .mtime_ns = saved.mtime_ns};
    return set_attributes(job, entry->path, entry->mask, &was, err);
}

static enum tx_status restore_file(struct txfs_revert_job *job, const char *from,
                                   const struct txio_stat *was, const char *path,
                                   struct tx_error *err)
{
    uint64_t key = was->ino;
    const char *other = tx_map_get(&job->names, &key, sizeof(key));
    if (other != NULL) {
        return txfs_link(job->txn, other, path, err);
    }
    struct txfs_extent all = {0, was->size, 0};
    struct txfs_file *file;
    int fd;
    TX_TRY(txio_open(job->fs->io, job->undo_dir, from, TXIO_READ, 0, &fd, err));
    enum tx_status status = txfs_open(job->txn, path, TXFS_WRITE | TXFS_CREATE | TXFS_EXCLUSIVE,
                                      was->mode & 07777, &file, err);
    if (status == TX_OK) {
        status = copy_bytes(job, fd, file, &all, err);
        status = finish_file(file, status, err);
    }
    txfs_close_read(job->fs->io, fd);
    TX_TRY(status);
    return was->nlink > 1 ? txfs_revert_note_name(job, was, path, err) : TX_OK;
}

static enum tx_status restore_shape(struct txfs_revert_job *job, const char *from,
                                    const struct txio_stat *was, const char *path,
                                    struct tx_error *err)
{
    char target[TXFS_PATH_MAX + 1];
    switch (was->mode & S_IFMT) {
    case S_IFREG:
        return restore_file(job, from, was, path, err);
    case S_IFDIR:
        return txfs_mkdir(job->txn, path, was->mode & 07777, err);
    case S_IFLNK:
        TX_TRY(txfs_link_read(job->fs, job->undo_dir, from, target, err));
        return txfs_symlink(job->txn, target, path, err);
    default:
        return txfs_add_node(job->txn, path, was->mode, was->rdev, err);
    }
}

static enum tx_status restore_one(struct txfs_revert_job *job, const char *from, const char *path,
                                  struct txio_stat *was, struct tx_error *err)
{
    TX_AUTO(tx_buf) xattrs = TX_BUF_INIT;
    TX_TRY(txio_stat_path(job->fs->io, job->undo_dir, from, was, err));
    TX_TRY(restore_shape(job, from, was, path, err));
    TX_TRY(txfs_xattrs_read(job->fs->io, job->undo_dir, from, &xattrs, err));
    TX_TRY(put_xattrs(job, path, xattrs.data, (uint32_t)xattrs.size, err));
    return set_attributes(job, path, UINT32_MAX, was, err);
}

/* Names below a directory that is being restored, relative to the slot. */
struct restore_walk {
    struct tx_map todo;
    const char *above;
    struct tx_error *err;
    enum tx_status status;
};

static int note_name(void *arg, const char *name, uint64_t ino, unsigned type)
{
    struct restore_walk *walk = arg;
    TX_AUTO(tx_buf) path = TX_BUF_INIT;
    (void)ino;
    (void)type;
    walk->status = tx_buf_printf(&path, walk->err, "%s/%s", walk->above, name);
    if (walk->status == TX_OK) {
        walk->status = tx_map_set(&walk->todo, path.data, path.size, NULL, walk->err);
    }
    return walk->status != TX_OK;
}

static enum tx_status list_below(struct txfs_revert_job *job, struct restore_walk *walk,
                                 const char *from, const char *above, struct tx_error *err)
{
    int fd;
    walk->above = above;
    walk->err = err;
    TX_TRY(txio_open(job->fs->io, job->undo_dir, from, TXIO_DIRECTORY, 0, &fd, err));
    int result = job->fs->io->ops->list(job->fs->io, fd, note_name, walk);
    txfs_close_read(job->fs->io, fd);
    TX_TRY(walk->status);
    return result < 0 ? tx_error_os(err, -result, "list an old directory") : TX_OK;
}

static enum tx_status restore_next(struct txfs_revert_job *job, struct restore_walk *walk,
                                   const char *slot, const char *path, struct tx_error *err)
{
    struct tx_map_entry first;
    struct txio_stat was;
    char below[TXFS_PATH_MAX + 1];
    char from[TXFS_PATH_MAX + TXFS_SLOT_PATH_SIZE];
    char to[2 * TXFS_PATH_MAX + 2];
    (void)tx_map_at_or_after(&walk->todo, NULL, 0, &first); /* the caller saw that there is one */
    if (first.key_size > TXFS_PATH_MAX) {
        return tx_error_set(err, TX_ELIMIT, "\"%.200s\" holds a path that is too long", path);
    }
    memcpy(below, first.key, first.key_size);
    below[first.key_size] = '\0';
    (void)tx_map_remove(&walk->todo, first.key, first.key_size); /* just found */
    (void)snprintf(from, sizeof(from), "%s%s", slot, below);     /* fits; so does the next */
    (void)snprintf(to, sizeof(to), "%.4095s%s", path, below);
    TX_TRY(restore_one(job, from, to, &was, err));
    return S_ISDIR(was.mode) ? list_below(job, walk, from, below, err) : TX_OK;
}

enum tx_status txfs_revert_object(struct txfs_revert_job *job, const struct txfs_step *step,
                                  const char *path, struct tx_error *err)
{
    struct restore_walk walk = {.status = TX_OK};
    char slot[TXFS_SLOT_PATH_SIZE];
    struct txio_stat was;
    txfs_slot_path(job->changes.info.lsn, 0, step->index, slot);
    TX_TRY(restore_one(job, slot, path, &was, err));
    if (!S_ISDIR(was.mode)) {
        return TX_OK;
    }
    tx_map_init(&walk.todo, NULL);
    enum tx_status status = list_below(job, &walk, slot, "", err);
    while (status == TX_OK && walk.todo.count > 0) {
        status = restore_next(job, &walk, slot, path, err);
    }
    tx_map_release(&walk.todo);
    TX_TRY(status);
    return set_attributes(job, path, TXIO_ATTR_TIMES, &was, err);
}
