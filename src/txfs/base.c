/* SPDX-License-Identifier: MIT */
/*
 * The tree as it was at the transaction's snapshot. Commits that came later have moved what they
 * displaced to where txfs_superseded finds it. Looking takes two glances at ktm_decided: a commit
 * whose publishing began in between may have moved the object while we looked, so we look again,
 * unless it left this path alone.
 */
#include <errno.h>
#include <string.h>

#include "base/text.h"
#include "txfs/overlay.h"

void txfs_base_forget_dirs(struct txfs_view *view)
{
    for (unsigned i = 0; i < TXFS_DIR_CACHE_SIZE; i++) {
        struct txfs_dir_slot *slot = &view->cache[i];
        if (slot->path != NULL) {
            (void)view->fs->io->ops->close(view->fs->io, slot->fd); /* read only */
            tx_free(slot->path);
            slot->path = NULL;
        }
    }
}

static struct txfs_dir_slot *find_slot(struct txfs_view *view, const char *real, size_t size)
{
    for (unsigned i = 0; i < TXFS_DIR_CACHE_SIZE; i++) {
        struct txfs_dir_slot *slot = &view->cache[i];
        if (slot->path != NULL && strncmp(slot->path, real, size) == 0 &&
            slot->path[size] == '\0') {
            return slot;
        }
    }
    return NULL;
}

/* A free slot, or that which was not used for longest. */
static struct txfs_dir_slot *free_slot(struct txfs_view *view)
{
    struct txfs_dir_slot *oldest = &view->cache[0];
    for (unsigned i = 0; i < TXFS_DIR_CACHE_SIZE; i++) {
        struct txfs_dir_slot *slot = &view->cache[i];
        if (slot->path == NULL) {
            return slot;
        }
        if (slot->used < oldest->used) {
            oldest = slot;
        }
    }
    (void)view->fs->io->ops->close(view->fs->io, oldest->fd); /* read only */
    tx_free(oldest->path);
    oldest->path = NULL;
    return oldest;
}

enum tx_status txfs_base_dir(struct txfs_view *view, const char *real, size_t size, int *fd,
                             struct tx_error *err)
{
    struct txio *io = view->fs->io;
    if (size == 0) {
        *fd = view->fs->root_dir;
        return TX_OK;
    }
    struct txfs_dir_slot *slot = find_slot(view, real, size);
    if (slot == NULL) {
        char *path = tx_alloc(size + 1);
        if (path == NULL) {
            return tx_error_set(err, TX_ENOMEM, "no memory for a path");
        }
        memcpy(path, real, size);
        path[size] = '\0';
        int got = io->ops->open(io, view->fs->root_dir, path, TXIO_DIRECTORY, 0);
        if (got < 0) {
            char shown[TX_ESCAPED_SIZE];
            (void)tx_escape_fixed(shown, sizeof shown, path, size);
            tx_free(path);
            return got == -ENOENT || got == -ENOTDIR || got == -ELOOP
                       ? TX_ENOTFOUND
                       : tx_error_os(err, -got, "open directory \"%s\"", shown);
        }
        slot = free_slot(view);
        slot->path = path;
        slot->fd = got;
    }
    slot->used = ++view->cache_clock;
    *fd = slot->fd;
    return TX_OK;
}

/* Set base->dir and ->name. *existed false: there was nothing, or it is gone. */
static enum tx_status locate(struct txfs_view *view, const char *real, struct txfs_base *base,
                             bool *existed, struct tx_error *err)
{
    *existed = base->old.place != TXFS_OLD_ABSENT;
    if (base->old.place == TXFS_OLD_AT) {
        base->dir = base->old.in_root ? view->fs->root_dir : view->fs->store_dir;
        base->name = base->old.name;
        return TX_OK;
    }
    if (base->old.place == TXFS_OLD_SAME) {
        enum tx_status status = txfs_base_dir(view, real, txfs_path_parent_size(real), &base->dir,
                                              err);
        base->name = txfs_path_name(real);
        *existed = status == TX_OK;
        return status == TX_ENOTFOUND ? TX_OK : status;
    }
    return TX_OK;
}

static void lay_saved(const struct txfs_old *old, struct txio_stat *stat)
{
    if (old->mask & TXFS_SETS_OWNER) {
        stat->uid = old->saved.uid;
        stat->gid = old->saved.gid;
    }
    if (old->mask & TXFS_SETS_MODE) {
        stat->mode = (stat->mode & ~07777u) | (old->saved.mode & 07777);
    }
    if (old->mask & TXFS_SETS_TIMES) {
        stat->atime_ns = old->saved.atime_ns;
        stat->mtime_ns = old->saved.mtime_ns;
    }
    if (old->has_size) {
        stat->size = old->saved.size;
    }
}

static enum tx_status stat_base(struct txfs_view *view, struct txfs_base *base, bool *existed,
                                struct tx_error *err)
{
    struct txio *io = view->fs->io;
    int got = base->name[0] != '\0' ? io->ops->stat(io, base->dir, base->name, &base->stat)
                                    : io->ops->fstat(io, base->dir, &base->stat);
    if (got == -ENOENT || got == -ENOTDIR) {
        *existed = false;
        return TX_OK;
    }
    if (got < 0) {
        char shown[TX_ESCAPED_SIZE];
        (void)tx_escape_fixed(shown, sizeof shown, base->name, strlen(base->name));
        return tx_error_os(err, -got, "look at \"%s\"", shown);
    }
    lay_saved(&base->old, &base->stat);
    return TX_OK;
}

static enum tx_status visit_once(struct txfs_view *view, const char *real, struct txfs_base *base,
                                 bool *existed, txfs_base_fn *fn, void *arg, struct tx_error *err)
{
    if (ktm_decided(view->tm) != view->snapshot && real[0] != '\0') {
        TX_TRY(txfs_superseded(view, real, &base->old, err));
    }
    TX_TRY(locate(view, real, base, existed, err));
    if (*existed) {
        TX_TRY(stat_base(view, base, existed, err));
    }
    return *existed && fn != NULL ? fn(arg, base, err) : TX_OK;
}

/* Whether commits decided meanwhile left alone what `base` was found by. */
static enum tx_status still_holds(struct txfs_view *view, const char *real,
                                  const struct txfs_old *before, bool *holds, struct tx_error *err)
{
    TX_AUTO(txfs_old) now = {0};
    if (real[0] != '\0') { /* the root itself is never displaced */
        TX_TRY(txfs_superseded(view, real, &now, err));
    }
    bool same_name = (now.name == NULL) == (before->name == NULL) &&
                     (now.name == NULL || strcmp(now.name, before->name) == 0);
    *holds = now.place == before->place && now.in_root == before->in_root && same_name &&
             now.mask == before->mask && now.has_size == before->has_size &&
             now.patch_count == before->patch_count;
    return TX_OK;
}

enum tx_status txfs_base_visit(struct txfs_view *view, const char *real, bool *existed,
                               struct txio_stat *stat, txfs_base_fn *fn, void *arg,
                               struct tx_error *err)
{
    for (;;) {
        TX_AUTO(txfs_base) base = {.dir = -1};
        tx_lsn decided = ktm_decided(view->tm);
        /* A commit already decided may be carried out while we look. */
        bool quiet = ktm_published(view->tm) >= decided;
        bool found = false;
        enum tx_status status = visit_once(view, real, &base, &found, fn, arg, err);
        bool holds = quiet && ktm_decided(view->tm) == decided;
        if (!holds && status != TX_ENOMEM) {
            TX_TRY(still_holds(view, real, &base.old, &holds, err));
        }
        if (holds || status == TX_ENOMEM) {
            if (status == TX_OK) {
                *existed = found;
                *stat = base.stat;
            }
            return status;
        }
    }
}
