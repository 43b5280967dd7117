/* SPDX-License-Identifier: MIT */
/* The files RM as the transaction manager sees it. */
#include <linux/magic.h>
#include <string.h>

#include "txfs/open_file.h"
#include "txfs/prepare_internal.h"

static enum tx_status begin_view(void *rm, struct ktm_txn *txn, void **view, struct tx_error *err)
{
    struct txfs_view *made;
    TX_TRY(txfs_view_new(rm, txn, &made, err));
    *view = made;
    return TX_OK;
}

static enum tx_status rebuild_view(void *rm, struct ktm_txn *txn, void *view, struct tx_error *err)
{
    (void)rm;
    (void)txn;
    txfs_files_reset(view);
    return txfs_view_rebuild(view, err);
}

static void end_view(void *rm, struct ktm_txn *txn, void *view)
{
    (void)rm;
    (void)txn;
    txfs_files_end(view);
    txfs_view_free(view);
}

static enum tx_status flush_view(void *rm, struct ktm_txn *txn, void *view, struct tx_error *err)
{
    (void)rm;
    (void)txn;
    return txfs_files_emit(view, err);
}

const struct ktm_rm_ops *txfs_rm_ops(void)
{
    static const struct ktm_rm_ops ops = {
        .name = "files",
        .redo_every_commit = true, /* the history keeps those of the registry, too */
        .begin = begin_view,
        .rebuild = rebuild_view,
        .end = end_view,
        .flush = flush_view,
        .prepare = txfs_prepare,
        .redo = txfs_redo,
        .open_steady = txfs_open_steady,
        .recover = txfs_recover,
        .steady = txfs_steady,
        .trim = txfs_trim,
        .needs_barrier = txfs_needs_barrier,
    };
    return &ops;
}

static void lay_options(const struct txfs_options *options, struct txfs *fs)
{
    fs->io = options->io;
    fs->root_dir = options->root_dir;
    fs->store_dir = options->store_dir;
    fs->inline_max = options->inline_max ? options->inline_max : TXFS_INLINE_MAX_DEFAULT;
    fs->inline_total_max = options->inline_total_max ? options->inline_total_max
                                                     : TXFS_INLINE_TOTAL_DEFAULT;
    fs->history_count_max = options->history_count_max;
    fs->history_size_max = options->history_size_max;
}

/* Others may change it: overlayfs does when a file is first opened for writing. */
static enum tx_status find_births(struct txfs *fs, struct tx_error *err)
{
    struct txio_fs_info info;
    int got = fs->io->ops->fs_info(fs->io, fs->store_dir, &info);
    if (got < 0) {
        return tx_error_os(err, -got, "ask for the kind of file system");
    }
    fs->keeps_births = info.type == EXT4_SUPER_MAGIC || info.type == XFS_SUPER_MAGIC ||
                       info.type == BTRFS_SUPER_MAGIC || info.type == TMPFS_MAGIC;
    return TX_OK;
}

static enum tx_status open_parts(const struct txfs_options *options, struct txfs *fs,
                                 struct tx_error *err)
{
    struct txio_stat stat;
    lay_options(options, fs);
    if (options->store_name != NULL) {
        fs->store_name = tx_text_copy(options->store_name);
        if (fs->store_name == NULL) {
            return tx_error_set(err, TX_ENOMEM, "no memory for a name");
        }
    }
    TX_TRY(txio_stat_fd(fs->io, fs->store_dir, &stat, err));
    fs->root_dev = stat.dev; /* where new objects are built, so where they have to go */
    TX_TRY(find_births(fs, err));
    return txfs_publisher_open(fs, err);
}

enum tx_status txfs_rm_open(const struct txfs_options *options, struct txfs **fs,
                            struct tx_error *err)
{
    struct txfs *made = tx_alloc_zero(sizeof *made);
    if (made == NULL) {
        return tx_error_set(err, TX_ENOMEM, "no memory for the files RM");
    }
    enum tx_status status = open_parts(options, made, err);
    if (status != TX_OK) {
        tx_free(made->store_name);
        tx_free(made);
        return status;
    }
    *fs = made;
    return TX_OK;
}

void txfs_rm_close(struct txfs *fs)
{
    if (fs == NULL) {
        return;
    }
    txfs_publisher_close(fs);
    tx_free(fs->store_name);
    tx_free(fs);
}
