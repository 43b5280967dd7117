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

enum tx_status txfs_extents_apply(struct txfs_work *work, const struct txfs_entry *entry, int dir,
                                  const char *name, const struct txio_stat *is, bool *other,
                                  struct tx_error *err)
{
    struct txio *io = work->fs->io;
    struct txio_stat opened;
    int fd;
    TX_AUTO(txfs_source) source = {.fs = work->fs, .fd = -1};
    TX_TRY(txfs_source_open(&source, work->fs, &work->id, entry, err));
    if (work->in_undo) {
        TX_TRY(txfs_source_check(&source, entry, err));
    }
    TX_TRY(txio_open(io, dir, name, TXIO_WRITE, 0, &fd, err));
    enum tx_status status = txio_stat_fd(io, fd, &opened, err);
    *other = status == TX_OK && opened.ino != is->ino && !TX_MUTANT(123);
    if (status == TX_OK && !*other) {
        status = txfs_extents_write(&source, fd, entry, err);
    }
    if (status != TX_OK) {
        txfs_close_read(io, fd); /* the first error is the one to report */
        return status;
    }
    return txio_close(io, fd, err);
}

/* The bytes, at their offsets, in a file that is nobody's yet: t<i>. */
static enum tx_status write_kept(struct txfs_work *work, const struct txfs_step *step,
                                 const char *draft, struct tx_error *err)
{
    struct txio *io = work->fs->io;
    struct txio_stat is;
    bool other; /* nobody else is here */
    int fd;
    TX_TRY(txio_open(io, work->slots_dir, draft, TXIO_WRITE | TXIO_CREATE | TXIO_TRUNCATE, 0600,
                     &fd, err));
    TX_TRY(txio_close(io, fd, err));
    TX_TRY(txio_stat_path(io, work->slots_dir, draft, &is, err));
    return txfs_extents_apply(work, &step->entry, work->slots_dir, draft, &is, &other, err);
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
