/* SPDX-License-Identifier: MIT */
/*
 * Dropping leftovers: old versions that neither history nor a snapshot needs, and staging
 * directories of commits whose log is gone. What was kept for somebody (f<i>) stays for ever.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "txfs/publish_internal.h"

/* "gone-<L>": on its way out. */
#define GONE "gone-"
#define GONE_NAME_SIZE (sizeof(GONE) + TXFS_COMMIT_NAME_SIZE)

struct name_list {
    struct tx_buf names; /* NUL after each */
    struct tx_error *err;
    enum tx_status status;
};

static void name_list_auto(struct name_list *list)
{
    tx_buf_release(&list->names);
}

static int collect_name(void *arg, const char *name, uint64_t ino, unsigned type)
{
    struct name_list *list = arg;
    (void)ino;
    (void)type;
    list->status = tx_buf_append(&list->names, name, strlen(name) + 1, list->err);
    return list->status != TX_OK;
}

static enum tx_status list_names(struct txfs *fs, int dir, struct name_list *list,
                                 struct tx_error *err)
{
    list->err = err;
    int result = fs->io->ops->list(fs->io, dir, collect_name, list);
    TX_TRY(list->status);
    return result < 0 ? tx_error_os(err, -result, "list a directory below undo/") : TX_OK;
}

/* What cannot be removed for want of a permission is tried again by the next trim; nothing depends
 * on it. */
static enum tx_status remove_tree(struct txfs *fs, int dir, const char *name, struct tx_error *err)
{
    enum tx_status status = txio_remove_tree(fs->io, dir, name, err);
    return status == TX_EPERM ? TX_OK : status;
}

static enum tx_status remove_names(struct txfs *fs, int dir, const struct name_list *list,
                                   bool *kept, struct tx_error *err)
{
    *kept = false;
    /* Crash here: some of the files; the mark says that the commit is no history, and the next trim
     * removes the rest. */
    for (size_t at = 0; at < list->names.size;) {
        const char *name = (const char *)list->names.data + at;
        if (name[0] == 'f') {
            *kept = true;
        } else {
            TX_TRY(remove_tree(fs, dir, name, err));
        }
        at += strlen(name) + 1;
    }
    return TX_OK;
}

static enum tx_status drop_commit(struct txfs *fs, int undo_dir, tx_lsn lsn, struct tx_error *err)
{
    TX_AUTO(name_list) list = {.names = TX_BUF_INIT};
    char name[TXFS_COMMIT_NAME_SIZE];
    char gone[GONE_NAME_SIZE];
    bool kept = false;
    int dir;
    txfs_commit_name(lsn, name);
    (void)snprintf(gone, sizeof(gone), GONE "%s", name); /* fits */
    TX_TRY(txio_open(fs->io, undo_dir, name, TXIO_DIRECTORY, 0, &dir, err));
    enum tx_status status = list_names(fs, dir, &list, err);
    if (status == TX_OK) {
        status = remove_names(fs, dir, &list, &kept, err);
    }
    txfs_close_read(fs->io, dir);
    TX_TRY(status);
    if (kept) {
        return TX_OK;
    }
    TX_TRY(txio_rename(fs->io, undo_dir, name, undo_dir, gone, TXIO_REPLACE, err));
    /* Crash here: a directory that is no commit's; the next trim removes it. */
    return remove_tree(fs, undo_dir, gone, err);
}

static enum tx_status drop_gone(struct txfs *fs, int undo_dir, struct tx_error *err)
{
    TX_AUTO(name_list) list = {.names = TX_BUF_INIT};
    TX_TRY(list_names(fs, undo_dir, &list, err));
    for (size_t at = 0; at < list.names.size;) {
        const char *name = (const char *)list.names.data + at;
        if (strncmp(name, GONE, sizeof(GONE) - 1) == 0) {
            TX_TRY(remove_tree(fs, undo_dir, name, err));
        }
        at += strlen(name) + 1;
    }
    return TX_OK;
}

static enum tx_status is_history(struct txfs *fs, int undo_dir, tx_lsn lsn, bool *is,
                                 struct tx_error *err)
{
    char path[TXFS_SLOT_PATH_SIZE];
    struct txio_stat stat;
    (void)snprintf(path, sizeof(path), "%016llx/changes", (unsigned long long)lsn); /* fits */
    int result = fs->io->ops->stat(fs->io, undo_dir, path, &stat);
    *is = result == 0;
    return result < 0 && !txfs_is_no_path(result) ? tx_error_os(err, -result, "stat undo/%s", path)
                                                  : TX_OK;
}

enum tx_status txfs_history_bound(struct txfs *fs, const tx_lsn *lsns, size_t count, tx_lsn end,
                                  tx_lsn *from, struct tx_error *err)
{
    uint64_t kept = 0;
    uint64_t bytes = 0;
    int undo_dir;
    *from = end;
    if (count == 0) {
        return TX_OK;
    }
    TX_TRY(txfs_undo_dir(fs, &undo_dir, err));
    for (size_t i = count; i-- > 0 && kept < fs->history_count_max;) {
        uint64_t more;
        bool is;
        TX_TRY(is_history(fs, undo_dir, lsns[i], &is, err));
        if (!is) {
            continue;
        }
        TX_TRY(txfs_sums_bytes(fs, lsns[i], &more, err));
        bytes += more;
        if (fs->history_size_max != 0 && bytes > fs->history_size_max) {
            break; /* nor anything older: history has no holes */
        }
        *from = lsns[i];
        kept++;
    }
    return TX_OK;
}

/* The mark was moved by the steady point; settings that changed since may ask for less history. */
static enum tx_status bound_history(struct txfs *fs, const tx_lsn *lsns, size_t count,
                                    struct txfs_mark *mark, struct tx_error *err)
{
    tx_lsn from;
    while (count > 0 && lsns[count - 1] >= mark->lsn) {
        count--;
    }
    TX_TRY(txfs_history_bound(fs, lsns, count, mark->lsn, &from, err));
    if (from <= mark->history_lsn) {
        return TX_OK;
    }
    mark->history_lsn = from;
    return txfs_mark_write(fs, mark, err);
}

struct trim_job {
    struct txfs *fs;
    int undo_dir;
    struct txfs_mark mark;
    tx_lsn lsn; /* commits below may go */
};

/* Staged payloads of a commit that is steady have become the tree's own files; what else is in its
 * staging directory nobody reads any more. */
static enum tx_status drop_staging(struct txfs *fs, tx_lsn lsn, struct tx_error *err)
{
    TX_AUTO(txfs_changes) changes = {.storage = TX_BUF_INIT};
    char path[KTM_STAGING_PATH_SIZE];
    enum tx_status status = txfs_changes_read(fs, lsn, &changes, err);
    if (status == TX_ENOTFOUND || status == TX_ECORRUPT) {
        return TX_OK; /* recovery of the transactions removes it by its own means */
    }
    TX_TRY(status);
    ktm_staging_path(&changes.info.id, path);
    /* Crash here: part of a directory that the next trim or open removes. */
    return remove_tree(fs, fs->store_dir, path, err);
}

static enum tx_status trim(struct trim_job *job, const tx_lsn *lsns, size_t count,
                           struct tx_error *err)
{
    struct txfs_publisher *publisher = job->fs->publisher;
    for (size_t i = 0; i < count && lsns[i] < job->lsn; i++) {
        if (lsns[i] >= publisher->cleaned_lsn) {
            TX_TRY(drop_staging(job->fs, lsns[i], err));
        }
    }
    publisher->cleaned_lsn = job->lsn > publisher->cleaned_lsn ? job->lsn : publisher->cleaned_lsn;
    for (size_t i = 0; i < count && lsns[i] < job->lsn && lsns[i] < job->mark.history_lsn; i++) {
        TX_TRY(drop_commit(job->fs, job->undo_dir, lsns[i], err));
    }
    return drop_gone(job->fs, job->undo_dir, err);
}

enum tx_status txfs_trim(void *rm, tx_lsn lsn, tx_lsn oldest, struct tx_error *err)
{
    struct trim_job job = {.fs = rm};
    TX_AUTO(tx_buf) list = TX_BUF_INIT;
    TX_TRY(txfs_mark_read(job.fs, &job.mark, err));
    job.lsn = lsn < oldest ? lsn : oldest;
    job.lsn = job.lsn < job.mark.lsn ? job.lsn : job.mark.lsn;
    TX_TRY(txfs_undo_list(job.fs, &list, err));
    if (list.size == 0) {
        return TX_OK;
    }
    const tx_lsn *lsns = (const tx_lsn *)(const void *)list.data;
    size_t count = list.size / sizeof(*lsns);
    TX_TRY(txfs_undo_dir(job.fs, &job.undo_dir, err)); /* unreachable: the list has opened it */
    TX_TRY(bound_history(job.fs, lsns, count, &job.mark, err));
    return trim(&job, lsns, count, err);
}
