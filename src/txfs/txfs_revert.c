/* SPDX-License-Identifier: MIT */
/*
 * Reverting the files part of a commit: first everything is compared with what the commit left,
 * then changes in place are undone, what the commit placed is taken away (deepest first; moved
 * objects to names of their own), and at last moved and displaced objects come back (parents
 * first).
 */
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "txfs/revert.h"

static void txfs_revert_job_auto(struct txfs_revert_job *job)
{
    txfs_changes_release(&job->changes);
    tx_map_release(&job->moved);
    tx_map_release(&job->names);
}

static const char *old_path(const struct txfs_entry *entry)
{
    return entry->base_path != NULL ? entry->base_path : entry->path;
}

static bool base_was_moved(const struct txfs_revert_job *job, const struct txfs_entry *entry)
{
    struct txfs_tree_key key;
    txfs_tree_key_set(&key, old_path(entry));
    return tx_map_get(&job->moved, key.bytes, key.size) != NULL;
}

/* The step displaced an object that has to come back. */
static bool displaced(const struct txfs_revert_job *job, const struct txfs_step *step)
{
    return txfs_entry_displaces(&step->entry) && step->entry.base.existed &&
           !base_was_moved(job, &step->entry);
}

static enum tx_status check_kept(struct txfs_revert_job *job, const struct txfs_step *step,
                                 struct tx_error *err)
{
    bool needed = displaced(job, step) || txfs_entry_amends(&step->entry);
    if (needed && (step->flags & TXFS_STEP_LOST)) {
        return tx_error_set(err, TX_ENOTFOUND, "the old version of \"%.200s\" was lost in a crash",
                            step->entry.path);
    }
    if (!displaced(job, step)) {
        return TX_OK;
    }
    char slot[TXFS_SLOT_PATH_SIZE];
    struct txio_stat is;
    txfs_slot_path(job->changes.info.lsn, 0, step->index, slot);
    int result = job->fs->io->ops->stat(job->fs->io, job->undo_dir, slot, &is);
    bool kept = result == 0 && txfs_is_object(job->fs, &is, &step->entry.base);
    return kept ? TX_OK
                : tx_error_set(err, TX_ENOTFOUND, "the old version of \"%.200s\" is not kept",
                               step->entry.path);
}

static void note_fault(void *arg, const char *file, uint64_t offset, const char *text)
{
    struct tx_error *why = arg;
    (void)offset;
    (void)tx_error_set(why, TX_ECORRUPT, "%.200s %.100s", file, text); /* the status is set */
}

/* What is kept must be what it was when it was put away. */
static enum tx_status check_sums(struct txfs_revert_job *job, struct tx_error *err)
{
    struct tx_error why = {.status = TX_OK};
    struct tx_error first;
    enum tx_status status =
        txfs_sums_check(job->fs, job->changes.info.lsn, note_fault, &why, &first);
    if (status == TX_ENOTFOUND) {
        return TX_OK; /* not steady yet */
    }
    if (status != TX_OK) {
        return tx_error_set(err, status, "%s", first.text);
    }
    return why.status == TX_OK ? TX_OK : tx_error_set(err, why.status, "%s", why.text);
}

static enum tx_status verify_all(struct txfs_revert_job *job, struct tx_error *err)
{
    TX_TRY(check_sums(job, err));
    for (size_t i = 0; i < job->changes.steps.count; i++) {
        TX_TRY(check_kept(job, &job->changes.steps.items[i], err));
        TX_TRY(txfs_revert_verify(job, &job->changes.steps.items[i], err));
    }
    return TX_OK;
}

static void aside_name(const struct txfs_revert_job *job, const struct txfs_step *step,
                       char name[TXFS_SLOT_PATH_SIZE])
{
    (void)snprintf(name, TXFS_SLOT_PATH_SIZE, ".revert-%llu-%u",
                   (unsigned long long)job->changes.info.lsn, step->index); /* fits */
}

static enum tx_status take_away(struct txfs_revert_job *job, const struct txfs_step *step,
                                struct tx_error *err)
{
    const char *path = step->entry.path;
    char aside[TXFS_SLOT_PATH_SIZE];
    enum tx_status status;
    switch (step->entry.kind) {
    case TXFS_CHANGE_FILE:
    case TXFS_CHANGE_SYMLINK:
    case TXFS_CHANGE_NODE:
    case TXFS_CHANGE_LINK:
        return txfs_unlink(job->txn, path, err);
    case TXFS_CHANGE_DIRECTORY:
        status = txfs_rmdir(job->txn, path, err);
        return status == TX_ENOTEMPTY
                   ? tx_error_set(err, TX_ECONFLICT, "\"%.200s\" was filled since", path)
                   : status;
    case TXFS_CHANGE_MOVED:
        aside_name(job, step, aside);
        return txfs_rename(job->txn, path, aside, TXIO_NOREPLACE, err);
    default:
        return TX_OK;
    }
}

/* What comes back, by the path at which it was: steps of moved and of displaced objects. */
static enum tx_status list_returns(struct txfs_revert_job *job, struct tx_map *returns,
                                   struct tx_error *err)
{
    for (size_t i = 0; i < job->changes.steps.count; i++) {
        struct txfs_step *step = &job->changes.steps.items[i];
        struct txfs_tree_key key;
        if (step->entry.kind == TXFS_CHANGE_MOVED) {
            txfs_tree_key_set(&key, step->entry.target);
            TX_TRY(tx_map_set(returns, key.bytes, key.size, step, err));
        }
        if (displaced(job, step)) {
            txfs_tree_key_set(&key, old_path(&step->entry));
            TX_TRY(tx_map_set(returns, key.bytes, key.size, step, err));
        }
    }
    return TX_OK;
}

static enum tx_status bring_back(struct txfs_revert_job *job, const struct tx_map_entry *at,
                                 struct tx_error *err)
{
    const struct txfs_step *step = at->value;
    const struct txfs_step *mover = tx_map_get(&job->moved, at->key, at->key_size);
    if (mover == NULL) {
        return txfs_revert_object(job, step, old_path(&step->entry), err);
    }
    char aside[TXFS_SLOT_PATH_SIZE];
    aside_name(job, mover, aside);
    return txfs_rename(job->txn, aside, mover->entry.target, TXIO_NOREPLACE, err);
}

static enum tx_status undo_all(struct txfs_revert_job *job, struct tx_error *err)
{
    TX_AUTO(tx_map) returns;
    struct tx_map_entry at;
    const struct txfs_steps *steps = &job->changes.steps;
    tx_map_init(&returns, NULL);
    TX_TRY(txfs_revert_find_names(job, err));
    for (size_t i = 0; i < steps->count; i++) {
        if (txfs_entry_amends(&steps->items[i].entry)) {
            TX_TRY(txfs_revert_amendment(job, &steps->items[i], err));
        }
    }
    for (size_t i = steps->count; i-- > 0;) {
        TX_TRY(take_away(job, &steps->items[i], err));
    }
    TX_TRY(list_returns(job, &returns, err));
    for (bool more = tx_map_at_or_after(&returns, NULL, 0, &at); more;
         more = tx_map_after(&returns, at.key, at.key_size, &at)) {
        TX_TRY(bring_back(job, &at, err));
    }
    return TX_OK;
}

/* A commit without files: there is nothing to revert. TX_ENOTFOUND: nor is it one of these. */
static enum tx_status find_other(struct txfs *fs, tx_lsn lsn, struct tx_error *err)
{
    TX_AUTO(tx_buf) data = TX_BUF_INIT;
    uint64_t at = 0;
    uint64_t end;
    uint64_t size;
    tx_lsn found;
    TX_TRY(txfs_others_load(fs, &data, &end, err));
    for (; txfs_others_next(&data, at, &found, &size); at += size) {
        if (found == lsn) {
            return TX_OK;
        }
    }
    return tx_error_set(err, TX_ENOTFOUND, "commit %llu is not kept", (unsigned long long)lsn);
}

static enum tx_status load(struct txfs_revert_job *job, tx_lsn lsn, struct tx_error *err)
{
    struct txfs_mark mark;
    TX_TRY(txfs_undo_dir(job->fs, &job->undo_dir, err));
    TX_TRY(txfs_mark_read(job->fs, &mark, err));
    enum tx_status status = lsn < mark.history_lsn
                                ? TX_ENOTFOUND
                                : txfs_changes_read(job->fs, lsn, &job->changes, err);
    if (status == TX_ENOTFOUND) {
        return find_other(job->fs, lsn, err);
    }
    TX_TRY(status);
    for (size_t i = 0; i < job->changes.steps.count; i++) {
        struct txfs_step *step = &job->changes.steps.items[i];
        struct txfs_tree_key key;
        if (step->entry.kind == TXFS_CHANGE_MOVED) {
            txfs_tree_key_set(&key, step->entry.target);
            TX_TRY(tx_map_set(&job->moved, key.bytes, key.size, step, err));
        }
    }
    return TX_OK;
}

enum tx_status txfs_revert(struct ktm_txn *txn, tx_lsn lsn, struct tx_error *err)
{
    TX_AUTO(txfs_revert_job) job = {.txn = txn};
    void *view;
    tx_map_init(&job.moved, NULL);
    tx_map_init(&job.names, tx_free);
    TX_TRY(ktm_txn_view(txn, TXFS_RM, &view, err));
    job.view = view;
    job.fs = job.view->fs;
    TX_TRY(load(&job, lsn, err));
    TX_TRY(verify_all(&job, err));
    return undo_all(&job, err);
}
