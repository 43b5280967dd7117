/* SPDX-License-Identifier: MIT */
/* Attributes and bytes that newer commits changed in place, as they were: from saved records. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "txfs/past.h"

/* The record of a step. *saved NULL: not written yet, so nothing was changed yet. */
static enum tx_status record_of(struct txfs_view *view, struct txfs_past_step *step,
                                struct txfs_saved **saved, struct tx_error *err)
{
    char slot[TXFS_SLOT_PATH_SIZE];
    *saved = step->saved;
    if (*saved != NULL) {
        return TX_OK;
    }
    struct txfs_saved *made = tx_alloc_zero(sizeof(*made));
    if (made == NULL) {
        return tx_error_set(err, TX_ENOMEM, "read a saved record");
    }
    bool done = step->lsn < ktm_published(view->tm);
    txfs_slot_path(step->lsn, 's', step->index, slot);
    enum tx_status status = txfs_saved_read(view->fs, slot, made, err);
    if (status == TX_OK) {
        *saved = step->saved = made;
        return TX_OK;
    }
    tx_free(made);
    if (status != TX_ENOTFOUND && status != TX_ECORRUPT) {
        return status;
    }
    return done ? tx_error_set(err, TX_ESNAPSHOT, "what \"%.200s\" was at the snapshot is not kept",
                               step->path)
                : TX_OK;
}

static enum tx_status add_patches(const struct txfs_past_step *step, const struct txfs_saved *saved,
                                  struct txfs_old *old, struct tx_error *err)
{
    size_t count = old->patch_count + saved->extent_count;
    struct txfs_patch *patches = tx_resize(old->patches, count * sizeof(*patches));
    char slot[TXFS_SLOT_PATH_SIZE];
    if (patches == NULL) {
        return tx_error_set(err, TX_ENOMEM, "list old bytes");
    }
    old->patches = patches;
    txfs_slot_path(step->lsn, 's', step->index, slot);
    for (uint32_t i = 0; i < saved->extent_count; i++) {
        struct txfs_patch *patch = &patches[old->patch_count++];
        struct txfs_extent at = txfs_saved_extent(saved, i);
        *patch = (struct txfs_patch){at.offset, at.length, at.position, ""};
        (void)snprintf(patch->name, sizeof(patch->name), "undo/%.*s", (int)sizeof(patch->name) - 6,
                       slot); /* fits */
    }
    return TX_OK;
}

/* From the newest to the oldest, so that what the oldest says is laid last. */
static enum tx_status lay_record(const struct txfs_past_step *step, const struct txfs_saved *saved,
                                 struct txfs_old *old, struct tx_error *err)
{
    uint32_t mask = saved->mask;
    if (mask & TXFS_SETS_OWNER) {
        old->saved.uid = saved->uid;
        old->saved.gid = saved->gid;
    }
    if (mask & TXFS_SETS_MODE) {
        old->saved.mode = saved->mode;
    }
    if (mask & TXFS_SETS_TIMES) {
        old->saved.atime_ns = saved->atime_ns;
        old->saved.mtime_ns = saved->mtime_ns;
    }
    if (mask & TXFS_SETS_XATTRS) {
        tx_buf_clear(&old->xattrs);
        TX_TRY(tx_buf_append(&old->xattrs, txfs_saved_xattrs(saved), saved->xattrs_size, err));
    }
    old->mask |= mask;
    if (step->in_place) {
        old->has_size = true;
        old->saved.size = saved->size;
    }
    return saved->extent_count > 0 ? add_patches(step, saved, old, err) : TX_OK;
}

static enum tx_status find_inode(struct txfs_view *view, const char *path,
                                 const struct txfs_old *old, uint64_t *ino, bool *found,
                                 struct tx_error *err)
{
    struct txfs *fs = view->fs;
    struct txio_stat is;
    int dir = old->place == TXFS_OLD_AT && !old->in_root ? fs->store_dir : fs->root_dir;
    int result = fs->io->ops->stat(fs->io, dir, old->place == TXFS_OLD_AT ? old->name : path, &is);
    *found = result == 0 && is.dev == fs->root_dev;
    if (result < 0 && !txfs_is_no_path(result)) {
        return tx_error_os(err, -result, "look at \"%.200s\"", path);
    }
    *ino = is.ino;
    return TX_OK;
}

enum tx_status txfs_old_amendments(struct txfs_view *view, const char *path, struct txfs_old *old,
                                   struct tx_error *err)
{
    uint64_t ino = 0;
    bool found;
    TX_TRY(find_inode(view, path, old, &ino, &found, err));
    struct tx_buf *list = found ? tx_map_get(&view->past->amended, &ino, sizeof(ino)) : NULL;
    if (list == NULL) {
        return TX_OK;
    }
    struct txfs_past_step **steps = (struct txfs_past_step **)(void *)list->data;
    for (size_t i = list->size / sizeof(*steps); i-- > 0;) {
        struct txfs_saved *saved;
        TX_TRY(record_of(view, steps[i], &saved, err));
        if (saved != NULL && saved->ino == ino) {
            TX_TRY(lay_record(steps[i], saved, old, err));
        }
    }
    return TX_OK;
}
