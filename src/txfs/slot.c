/* SPDX-License-Identifier: MIT */
/*
 * Slots: a new object is built under undo/<L>/<i>, out of everybody's sight and under a short name,
 * and is complete before it gets its place.
 */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "txfs/publish_internal.h"

void txfs_work_slot(const struct txfs_work *work, char prefix, uint32_t index,
                    char path[TXFS_SLOT_PATH_SIZE])
{
    char whole[TXFS_SLOT_PATH_SIZE];
    txfs_slot_path(work->lsn, prefix, index, whole);
    const char *used = work->in_undo ? whole : whole + TXFS_COMMIT_NAME_SIZE; /* after the '/' */
    memcpy(path, used, strlen(used) + 1);
}

/* A file of the system's making has no extended attributes to remove. */
static struct txfs_attrs attrs_of_new(const struct txfs_entry *entry)
{
    struct txfs_attrs attrs = txfs_attrs_of(entry);
    if (attrs.xattrs_size == 0) {
        attrs.mask &= ~(uint32_t)TXFS_SETS_XATTRS;
    }
    return attrs;
}

static enum tx_status write_inline(struct txfs_work *work, int fd, const struct txfs_entry *entry,
                                   struct txio_stat *stat, struct tx_error *err)
{
    if (entry->content_size > 0) {
        struct iovec part = {(void *)(uintptr_t)entry->content, (size_t)entry->content_size};
        TX_TRY(txio_write_full(work->fs->io, fd, &part, 1, 0, err));
    }
    return txio_stat_fd(work->fs->io, fd, stat, err);
}

static enum tx_status make_file(struct txfs_work *work, const struct txfs_entry *entry,
                                const char *slot, struct txio_stat *stat, struct tx_error *err)
{
    struct txio *io = work->fs->io;
    int fd;
    TX_TRY(txio_open(io, work->slots_dir, slot, TXIO_WRITE | TXIO_CREATE | TXIO_EXCLUSIVE,
                     TXFS_BUILD_MODE, &fd, err));
    enum tx_status status = write_inline(work, fd, entry, stat, err);
    return txfs_close_written(io, fd, status, err);
}

/* Crash here: the payload is under one name or the other; recovery looks at both. */
static enum tx_status take_staged(struct txfs_work *work, const struct txfs_entry *entry,
                                  const char *slot, struct tx_error *err)
{
    char staged[TXFS_STAGED_PATH_SIZE];
    txfs_staged_path(&work->id, entry->staged, staged);
    return txio_rename(work->fs->io, work->fs->store_dir, staged, work->slots_dir, slot,
                       TXIO_NOREPLACE, err);
}

static enum tx_status make_object(struct txfs_work *work, const struct txfs_entry *entry,
                                  const char *slot, struct tx_error *err)
{
    const struct txio_ops *ops = work->fs->io->ops;
    int result;
    switch (entry->kind) {
    case TXFS_CHANGE_DIRECTORY:
        result = ops->mkdir(work->fs->io, work->slots_dir, slot, 0700);
        break;
    case TXFS_CHANGE_SYMLINK:
        result = ops->symlink(work->fs->io, entry->target, work->slots_dir, slot);
        break;
    default:
        result = ops->mknod(work->fs->io, work->slots_dir, slot,
                            (entry->mode & S_IFMT) | TXFS_BUILD_MODE, entry->rdev);
        break;
    }
    return result < 0 ? tx_error_os(err, -result, "make slot %s", slot) : TX_OK;
}

static enum tx_status make(struct txfs_work *work, const struct txfs_entry *entry, const char *slot,
                           struct txio_stat *stat, struct tx_error *err)
{
    if (entry->kind == TXFS_CHANGE_FILE && entry->payload != TXFS_PAYLOAD_STAGED) {
        if (entry->payload == TXFS_PAYLOAD_HASH) {
            return tx_error_set(err, TX_ECORRUPT, "content is not in the log");
        }
        return make_file(work, entry, slot, stat, err);
    }
    TX_TRY(entry->kind == TXFS_CHANGE_FILE ? take_staged(work, entry, slot, err)
                                           : make_object(work, entry, slot, err));
    return txio_stat_path(work->fs->io, work->slots_dir, slot, stat, err);
}

enum tx_status txfs_slot_build(struct txfs_work *work, struct txfs_step *step, const char *slot,
                               struct tx_error *err)
{
    const struct txfs_entry *entry = &step->entry;
    struct txio_stat stat;
    enum tx_status status = make(work, entry, slot, &stat, err);
    if (status == TX_OK) {
        step->built_ino = stat.ino;
    }
    if (status == TX_OK && entry->kind != TXFS_CHANGE_DIRECTORY) {
        struct txfs_attrs attrs = attrs_of_new(entry);
        status = txfs_attrs_apply(work->fs, work->slots_dir, slot, &stat, &attrs, err);
    }
    if (status != TX_OK) {
        tx_error_prefix(err, "build \"%.200s\"", entry->path);
    }
    return status;
}
