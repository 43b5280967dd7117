/* SPDX-License-Identifier: MIT */
/*
 * Keeping what has no place: a stranger's object that stood in the way, or ours when the stranger
 * took away the directory it belongs to. Both go to undo/<L>/f<i>, which trimming never removes.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/mutant.h"
#include "txfs/publish_internal.h"

enum { KEEP_NAMES_MAX = 100 };

/* f<i>, or f<i>r<n> when recovery already kept something for this entry. */
static void kept_name(const struct txfs_work *work, const struct txfs_step *step, unsigned number,
                      char path[TXFS_SLOT_PATH_SIZE])
{
    txfs_work_slot(work, 'f', step->index, path);
    if (number > 0) {
        size_t size = strlen(path);
        (void)snprintf(path + size, TXFS_SLOT_PATH_SIZE - size, "r%u", number); /* fits */
    }
}

static void report(struct txfs_work *work, const struct txfs_step *step, const char *kept)
{
    char name[TXFS_SLOT_PATH_SIZE + 8] = "";
    const char *last = strrchr(kept, '/');
    if (kept[0] != '\0') {
        (void)snprintf(name, sizeof(name), "undo/%016llx/%s", (unsigned long long)work->lsn,
                       last != NULL ? last + 1 : kept); /* fits */
    }
    txfs_foreign_report(work->fs, step->entry.path, name);
}

enum tx_status txfs_keep(struct txfs_work *work, const struct txfs_step *step, const char *slot,
                         struct tx_error *err)
{
    struct txio *io = work->fs->io;
    char kept[TXFS_SLOT_PATH_SIZE];
    int result = -EEXIST;
    for (unsigned n = 0; n < KEEP_NAMES_MAX && result == -EEXIST; n++) {
        kept_name(work, step, n, kept);
        /* Crash here: the object is in its slot still, and recovery comes to the same end. */
        result = io->ops->rename(io, work->slots_dir, slot, work->slots_dir, kept, TXIO_NOREPLACE);
    }
    if (result == -ENOENT) {
        kept[0] = '\0';
    } else if (result < 0) {
        return tx_error_os(err, -result, "keep slot %s", slot);
    }
    report(work, step, kept);
    return TX_OK;
}

/* The object is the base as the transaction saw it. A directory's time moves with its names: a name
 * more or less in one that is removed or replaced is a stranger's work; but where objects may have
 * been moved out of it by this very commit, that cannot be told. */
static bool is_base(const struct txfs_work *work, const struct txio_stat *is,
                    const struct txfs_identity *base)
{
    if (!txfs_is_object(work->fs, is, base)) {
        return false;
    }
    if (S_ISDIR(is->mode)) {
        return work->has_moves || is->mtime_ns == base->mtime_ns;
    }
    return is->size == base->size && is->mtime_ns == base->mtime_ns && is->mode == base->mode &&
           is->uid == base->uid && is->gid == base->gid;
}

enum tx_status txfs_keep_unless_base(struct txfs_work *work, const struct txfs_step *step,
                                     const char *slot, struct tx_error *err)
{
    struct txio_stat is;
    int result;
    TX_TRY(txfs_slot_stat(work, slot, &is, &result, err));
    if (result < 0 || is_base(work, &is, &step->entry.base)) {
        return TX_OK;
    }
    return txfs_keep(work, step, slot, err);
}

static enum tx_status open_extents(struct txfs_work *work, const struct txfs_entry *entry,
                                   struct txfs_source *source, struct tx_error *err)
{
    TX_TRY(txfs_source_open(source, work->fs, &work->id, entry, err));
    return work->in_undo ? txfs_source_check(source, entry, err) : TX_OK;
}

enum tx_status txfs_extents_apply(struct txfs_work *work, const struct txfs_entry *entry, int dir,
                                  const char *name, const struct txio_stat *is, bool *other,
                                  struct tx_error *err)
{
    struct txio *io = work->fs->io;
    bool same = true;
    int fd;
    TX_AUTO(txfs_source) source = {.fs = work->fs, .fd = -1};
    TX_TRY(open_extents(work, entry, &source, err));
    TX_TRY(txio_open(io, dir, name, TXIO_WRITE, 0, &fd, err));
    enum tx_status status = txfs_opened_is(work->fs, fd, is, &same, err);
    *other = !same;
    if (status == TX_OK && same) {
        status = txfs_extents_write(&source, fd, entry, err);
    }
    return txfs_close_written(io, fd, status, err);
}

/* The bytes, at their offsets, in a file that is nobody's yet: t<i>. */
static enum tx_status write_kept(struct txfs_work *work, const struct txfs_step *step,
                                 const char *draft, struct tx_error *err)
{
    struct txio *io = work->fs->io;
    int fd;
    TX_AUTO(txfs_source) source = {.fs = work->fs, .fd = -1};
    TX_TRY(open_extents(work, &step->entry, &source, err));
    TX_TRY(txio_open(io, work->slots_dir, draft, TXIO_WRITE | TXIO_CREATE | TXIO_TRUNCATE, 0600,
                     &fd, err));
    enum tx_status status = txfs_extents_write(&source, fd, &step->entry, err);
    return txfs_close_written(io, fd, status, err);
}

enum tx_status txfs_extents_keep(struct txfs_work *work, const struct txfs_step *step,
                                 struct tx_error *err)
{
    struct txio *io = work->fs->io;
    char draft[TXFS_SLOT_PATH_SIZE];
    char kept[TXFS_SLOT_PATH_SIZE];
    txfs_work_slot(work, 't', step->index, draft);
    if (TX_MUTANT(121)) { /* what is not whole has the name already */
        kept_name(work, step, 0, draft);
    }
    kept_name(work, step, 0, kept);
    TX_TRY(write_kept(work, step, draft, err));
    /* Crash here: the bytes under a name that does not count; recovery writes them again. */
    int result =
        io->ops->rename(io, work->slots_dir, draft, work->slots_dir, kept, TXIO_NOREPLACE);
    if (result == -EEXIST) { /* kept by an earlier try, all of it */
        result = io->ops->unlink(io, work->slots_dir, draft);
    }
    if (result < 0) {
        return tx_error_os(err, -result, "keep bytes as %s", kept);
    }
    report(work, step, kept);
    return TX_OK;
}
