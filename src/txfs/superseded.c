/* SPDX-License-Identifier: MIT */
/*
 * Where is what stood at a path when a snapshot was taken? Each newer commit is asked in turn: did
 * it move the object (then it goes on under its new path), or displace it, or a directory above it
 * (then it is in that commit's slot)? The newest of them may be carried out at this very moment, so
 * what it did is looked at, by inode; a caller that looks again afterwards and gets the same answer
 * has seen a stable state, because objects only ever go into slots.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/mutant.h"
#include "txfs/past.h"

enum { LOOK_TRIES = 100 };

void txfs_old_release(struct txfs_old *old)
{
    tx_free(old->name);
    tx_buf_release(&old->xattrs);
    tx_free(old->patches);
    *old = (struct txfs_old){.place = TXFS_OLD_SAME};
}

static void *lookup(const struct tx_map *map, const char *path, size_t size)
{
    char prefix[TXFS_PATH_MAX + 1];
    struct txfs_tree_key key;
    memcpy(prefix, path, size);
    prefix[size] = '\0';
    txfs_tree_key_set(&key, prefix);
    return tx_map_get(map, key.bytes, key.size);
}

/* Length of the next longer prefix of a path that ends at a component; 0 < size: after `size`. */
static size_t next_prefix(const char *path, size_t size)
{
    size_t from = size > 0 ? size + 1 : 0;
    return from + strcspn(path + from, "/");
}

/* Did the commit move the path? The deepest source counts: it is taken out first. */
static const struct txfs_past_step *find_mover(const struct txfs_past_commit *commit,
                                               const char *path)
{
    const struct txfs_past_step *found = NULL;
    size_t total = strlen(path);
    if (commit->moved.count == 0) {
        return NULL;
    }
    for (size_t size = 0; size < total;) {
        size = next_prefix(path, size);
        const struct txfs_past_step *step = lookup(&commit->moved, path, size);
        found = step != NULL ? step : found;
    }
    return found;
}

enum tx_status txfs_trace_commit(struct txfs_trace *trace, const struct txfs_past_commit *commit,
                                 struct tx_error *err)
{
    size_t below = 0;
    const struct txfs_past_step *mover = find_mover(commit, trace->path);
    if (mover != NULL) {
        char path[TXFS_PATH_MAX + 1];
        TX_TRY(txfs_path_move(trace->path, mover->target, mover->path, path, err));
        memcpy(trace->path, path, strlen(path) + 1);
        trace->moved = true;
        trace->mover = mover;
        below = strlen(mover->path);
    }
    /* The topmost displaced one counts: what is below goes with it. */
    for (size_t size = below, total = strlen(trace->path); size < total;) {
        size = next_prefix(trace->path, size);
        const struct txfs_past_step *step = lookup(&commit->steps, trace->path, size);
        if (step != NULL && step->kind != TXFS_CHANGE_ATTRIBUTES &&
            step->kind != TXFS_CHANGE_EXTENTS) {
            trace->absent = !step->base.existed;
            trace->displacer = step;
            memcpy(trace->rest, trace->path + size, total - size + 1);
            return TX_OK;
        }
    }
    return TX_OK;
}

static enum tx_status trace_path(struct txfs_trace *trace, struct tx_error *err)
{
    const struct txfs_past *past = trace->view->past;
    for (size_t i = 0; i < txfs_past_count(past) && trace->displacer == NULL; i++) {
        TX_TRY(txfs_trace_commit(trace, txfs_past_at(past, i), err));
    }
    return TX_OK;
}

static bool stands_at(struct txfs *fs, int dir, const char *path,
                      const struct txfs_identity *identity)
{
    struct txio_stat is;
    return fs->io->ops->stat(fs->io, dir, path, &is) == 0 && txfs_is_object(fs, &is, identity);
}

static enum tx_status answer_at(struct txfs_old *old, bool in_root, const char *name,
                                const char *rest, struct tx_error *err)
{
    size_t size = strlen(name);
    size_t rest_size = strlen(rest) + 1;
    old->name = tx_alloc(size + rest_size);
    if (old->name == NULL) {
        return tx_error_set(err, TX_ENOMEM, "name an old object");
    }
    memcpy(old->name, name, size);
    memcpy(old->name + size, rest, rest_size);
    old->place = TXFS_OLD_AT;
    old->in_root = in_root;
    return TX_OK;
}

static bool in_slot(struct txfs *fs, const struct txfs_past_step *step, char prefix,
                    const struct txfs_identity *identity, char name[TXFS_SLOT_PATH_SIZE + 8])
{
    char slot[TXFS_SLOT_PATH_SIZE];
    txfs_slot_path(step->lsn, prefix, step->index, slot);
    (void)snprintf(name, TXFS_SLOT_PATH_SIZE + 8, "undo/%s", slot); /* fits */
    return stands_at(fs, fs->store_dir, name, identity);
}

/* The object that a step moved: at its new place, in its slot, or still at its old place. */
static enum tx_status look_for_moved(struct txfs_trace *trace, const char *path,
                                     struct txfs_old *old, bool *found, struct tx_error *err)
{
    struct txfs *fs = trace->view->fs;
    const struct txfs_past_step *mover = trace->mover;
    char name[TXFS_SLOT_PATH_SIZE + 8];
    const char *rest = path + strlen(mover->path);
    *found = true;
    if (stands_at(fs, fs->root_dir, mover->path, &mover->source)) {
        return answer_at(old, true, path, "", err);
    }
    if (in_slot(fs, mover, 0, &mover->source, name)) {
        return answer_at(old, false, name, rest, err);
    }
    *found = stands_at(fs, fs->root_dir, mover->target, &mover->source);
    return *found ? answer_at(old, true, mover->target, rest, err) : TX_OK;
}

/* Displaced: in the slot, or kept because a stranger changed it, or not yet away. */
static enum tx_status look_for_displaced(struct txfs_trace *trace, struct txfs_old *old,
                                         bool *found, struct tx_error *err)
{
    struct txfs *fs = trace->view->fs;
    const struct txfs_past_step *step = trace->displacer;
    char name[TXFS_SLOT_PATH_SIZE + 8];
    *found = true;
    if (in_slot(fs, step, 0, &step->base, name) || in_slot(fs, step, 'f', &step->base, name)) {
        return answer_at(old, false, name, trace->rest, err);
    }
    if (stands_at(fs, fs->root_dir, step->path, &step->base)) {
        if (!trace->moved) {
            old->place = TXFS_OLD_SAME;
            return TX_OK;
        }
        return answer_at(old, true, step->path, trace->rest, err);
    }
    *found = false;
    return trace->moved && trace->mover->lsn == step->lsn
               ? look_for_moved(trace, trace->path, old, found, err)
               : TX_OK;
}

static enum tx_status look(struct txfs_trace *trace, struct txfs_old *old, bool *found,
                           struct tx_error *err)
{
    *found = true;
    if (trace->absent) {
        old->place = TXFS_OLD_ABSENT;
        return TX_OK;
    }
    if (trace->displacer != NULL) {
        return look_for_displaced(trace, old, found, err);
    }
    if (trace->moved) {
        return look_for_moved(trace, trace->path, old, found, err);
    }
    old->place = TXFS_OLD_SAME;
    return TX_OK;
}

/* An object on its way between two places may be missed at both: look again. */
static enum tx_status find_place(struct txfs_trace *trace, struct txfs_old *old,
                                 struct tx_error *err)
{
    bool found = false;
    for (int i = 0; i < LOOK_TRIES && !found; i++) {
        TX_TRY(look(trace, old, &found, err));
    }
    return found ? TX_OK
                 : tx_error_set(err, TX_ESNAPSHOT,
                                "\"%.200s\" as of the snapshot is gone: changed from outside",
                                trace->path);
}

static enum tx_status find_once(struct txfs_view *view, const char *path, struct txfs_old *old,
                                struct tx_error *err)
{
    TX_AUTO(txfs_old) found = {.place = TXFS_OLD_SAME};
    struct txfs_trace trace = {.view = view};
    if (txfs_past_count(view->past) == 0) {
        return TX_OK;
    }
    txfs_path_copy(path, trace.path);
    TX_TRY(trace_path(&trace, err));
    TX_TRY(find_place(&trace, &found, err));
    if (found.place != TXFS_OLD_ABSENT && view->past->amended.count > 0) {
        TX_TRY(txfs_old_amendments(view, path, &found, err));
    }
    *old = found;
    found = (struct txfs_old){.place = TXFS_OLD_SAME};
    return TX_OK;
}

/* A commit that is newer than all that we know of may have taken away what we look for. */
enum tx_status txfs_superseded(struct txfs_view *view, const char *path, struct txfs_old *old,
                               struct tx_error *err)
{
    enum tx_status status;
    tx_lsn known;
    do {
        TX_TRY(txfs_past_load(view, err));
        known = view->past->upto;
        status = find_once(view, path, old, err);
    } while (status == TX_ESNAPSHOT && ktm_decided(view->tm) > known && !TX_MUTANT(96));
    return status;
}
