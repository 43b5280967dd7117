/* SPDX-License-Identifier: MIT */
/*
 * Carrying out one durable commit. The list is txfs_publish below: build every new object and save
 * what will be changed in place; say so in undo/<L>/changes; only then touch names. A commit whose
 * undo/<L> exists was begun by somebody who died or failed: txfs_converge finishes it.
 */
#include <errno.h>
#include <string.h>

#include "base/mutant.h"
#include "txfs/publish_steps.h"
#include "txfs/unsteady.h"

/* What is changed in place, as it was: for history and for older snapshots. */
static enum tx_status save_one(struct txfs_publish *publish, const struct txfs_step *step,
                               struct tx_error *err)
{
    const struct txfs_entry *entry = &step->entry;
    bool missing; /* then a stranger was faster; amending finds that out again and says so */
    const char *from = entry->base_path != NULL ? entry->base_path : entry->path;
    return txfs_saved_write(&publish->work, step,
                            entry->kind == TXFS_CHANGE_MOVED ? entry->target : from, &missing, err);
}

static enum tx_status build_one(struct txfs_publish *publish, struct txfs_step *step,
                                struct tx_error *err)
{
    const struct txfs_entry *entry = &step->entry;
    char slot[TXFS_SLOT_PATH_SIZE];
    if (txfs_entry_amends(entry)) {
        return save_one(publish, step, err);
    }
    if (!txfs_entry_is_new(entry)) {
        return TX_OK;
    }
    txfs_work_slot(&publish->work, 0, step->index, slot);
    return txfs_slot_build(&publish->work, step, slot, err);
}

static enum tx_status build(struct txfs_publish *publish, struct tx_error *err)
{
    for (size_t i = 0; i < publish->steps.count; i++) {
        TX_TRY(build_one(publish, &publish->steps.items[i], err));
    }
    return TX_OK;
}

/* The commit list of files. */
static enum tx_status txfs_publish(struct txfs_publish *publish, struct tx_error *err)
{
    TX_TRY(build(publish, err));
    /* Crash here: objects in slots, the tree as before; recovery goes on from either. */
    TX_TRY(txfs_changes_write(publish->work.fs, publish->commit, &publish->steps, err));
    TX_TRY(txfs_publish_pull(publish, err));       /* moved objects out of their places */
    TX_TRY(txfs_publish_place(publish, err));      /* removals, new and moved objects */
    TX_TRY(txfs_publish_links(publish, err));      /* other names, when their objects stand */
    TX_TRY(txfs_publish_amend(publish, err));      /* extents and attributes */
    return txfs_publish_directories(publish, err); /* their attributes, when all names stand */
}

#define PUBLISH_INIT(store, redone)                                                                \
    {.work = {.fs = (store),                                                                       \
              .id = (redone)->id,                                                                  \
              .lsn = (redone)->lsn,                                                                \
              .slots_dir = -1,                                                                     \
              .parents = {.fs = (store)}},                                                         \
     .commit = (redone)}

static enum tx_status publish_open(struct txfs_publish *publish, int undo_dir, const char *name,
                                   struct tx_error *err)
{
    tx_map_init(&publish->moved, NULL);
    TX_TRY(txfs_steps_load(publish->commit->entries, &publish->steps, err));
    return txio_open(publish->work.fs->io, undo_dir, name, TXIO_DIRECTORY, 0,
                     &publish->work.slots_dir, err);
}

static enum tx_status redo_fresh(struct txfs *fs, const struct ktm_commit_info *commit,
                                 int undo_dir, const char *name, struct tx_error *err)
{
    TX_AUTO(txfs_publish) publish = PUBLISH_INIT(fs, commit);
    TX_TRY(publish_open(&publish, undo_dir, name, err));
    TX_TRY(txfs_publish_index_moves(&publish, err));
    return txfs_publish(&publish, err);
}

/* Whoever began it died before he said so in `changes`, hence before he touched the tree: readers
 * of older snapshots still need what is about to be changed in place. */
static enum tx_status save_all(struct txfs *fs, const struct ktm_commit_info *commit,
                               int undo_dir, const char *name, struct tx_error *err)
{
    TX_AUTO(txfs_publish) publish = PUBLISH_INIT(fs, commit);
    struct txio_stat stat;
    TX_TRY(publish_open(&publish, undo_dir, name, err));
    int result = fs->io->ops->stat(fs->io, publish.work.slots_dir, "changes", &stat);
    if (result != -ENOENT) {
        return result < 0 ? tx_error_os(err, -result, "look for undo/%s/changes", name) : TX_OK;
    }
    for (size_t i = 0; i < publish.steps.count; i++) {
        if (txfs_entry_amends(&publish.steps.items[i].entry)) {
            TX_TRY(save_one(&publish, &publish.steps.items[i], err));
        }
    }
    return TX_OK;
}

static enum tx_status redo_again(struct txfs *fs, const struct ktm_commit_info *commit,
                                 struct tx_error *err)
{
    TX_AUTO(txfs_unsteady) unsteady = {.entries = TX_BUF_INIT};
    TX_TRY(txfs_unsteady_load(commit, &unsteady, err));
    return txfs_converge(fs, &unsteady, 1, err);
}

static enum tx_status redo(struct txfs *fs, const struct ktm_commit_info *commit,
                           struct tx_error *err)
{
    char name[TXFS_COMMIT_NAME_SIZE];
    int dir;
    if (!txfs_commit_has_files(commit)) {
        return fs->history_count_max > 0 ? txfs_others_append(fs, commit, err) : TX_OK;
    }
    txfs_commit_name(commit->lsn, name);
    TX_TRY(txfs_undo_make(fs, &dir, err));
    int result = fs->io->ops->mkdir(fs->io, dir, name, 0700);
    /* Crash here: an empty undo/<L>; whoever comes next sees a commit that was begun. */
    if (result < 0 && result != -EEXIST) {
        return tx_error_os(err, -result, "make undo/%s", name);
    }
    if (result == 0) {
        return redo_fresh(fs, commit, dir, name, err);
    }
    TX_TRY(save_all(fs, commit, dir, name, err));
    if (!TX_MUTANT(78)) {
        txfs_touched_all(fs); /* what whoever began it touched is not known here */
    }
    return redo_again(fs, commit, err);
}

enum tx_status txfs_redo(void *rm, const struct ktm_commit_info *commit, enum ktm_redo_mode mode,
                         uint8_t token[KTM_TOKEN_SIZE], struct tx_error *err)
{
    struct txfs *fs = rm;
    (void)mode; /* always KTM_REDO_LIVE: files have txfs_recover */
    enum tx_status status = redo(fs, commit, err);
    if (status != TX_OK) {
        txfs_touched_all(fs); /* how far it came is not known */
        tx_error_prefix(err, "publish commit %llu", (unsigned long long)commit->lsn);
        return status;
    }
    txfs_touched_commit(fs, commit);
    tx_put64(token, commit->next_lsn);
    return TX_OK;
}
