/* SPDX-License-Identifier: MIT */
/* Where is an object now? Every name that publishing or an earlier recovery may have given it. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/mutant.h"
#include "txfs/converge.h"

enum { FIND_RETRIES_MAX = 100 };

struct find_job {
    struct txfs_model *model;
    const struct txfs_goal *goal; /* NULL: of the node, wherever it was */
    const struct txfs_cnode *node;
    struct txfs_found *found;
    struct tx_error *err;
};

static void found_at(struct txfs_found *found, const struct txfs *fs, int dir, const char *path,
                     bool movable)
{
    found->found = true;
    found->in_root = dir == fs->root_dir;
    found->in_store = dir == fs->store_dir;
    found->movable = movable;
    (void)snprintf(found->path, sizeof(found->path), "%s", path); /* every caller's fits */
}

static enum tx_status try_at(struct find_job *job, int dir, const char *path, bool movable)
{
    struct txfs *fs = job->model->fs;
    struct txfs_found *found = job->found;
    struct txio_stat is;
    enum txfs_verdict verdict;
    if (found->found) {
        return TX_OK;
    }
    int result = fs->io->ops->stat(fs->io, dir, path, &is);
    if (result < 0) {
        return txfs_is_no_path(result) || result == -ENAMETOOLONG
                   ? TX_OK
                   : tx_error_os(job->err, -result, "stat \"%.200s\"", path);
    }
    TX_TRY(txfs_judge(job->model, dir, path, &is, job->node, &verdict, job->err));
    if (verdict == TXFS_IS &&
        (job->goal == NULL || !txfs_goal_displaces(job->model, job->goal, &is))) {
        found_at(found, fs, dir, path, movable);
    }
    return TX_OK;
}

/* This recovery has put it there: whatever its contents are until they are settled. */
static enum tx_status try_home(struct find_job *job)
{
    struct txio_stat is;
    int result;
    TX_TRY(txfs_root_stat(&job->model->work, job->node->home, &is, &result, job->err));
    if (result == 0 && txfs_is_one_inode(job->model->fs, &is, &job->node->home_is) &&
        !TX_MUTANT(105)) {
        found_at(job->found, job->model->fs, job->model->fs->root_dir, job->node->home, false);
        return TX_OK;
    }
    return try_at(job, job->model->fs->root_dir, job->node->home, false);
}

/* The slot of the goal itself, and those that earlier recoveries made. */
static enum tx_status try_own_slots(struct find_job *job, const struct txfs_ref *ref)
{
    char slot[TXFS_SLOT_PATH_SIZE];
    txfs_ref_slot(ref, slot);
    TX_TRY(try_at(job, job->model->undo_dir, slot, true));
    size_t size = strlen(slot);
    for (unsigned n = 1; n <= FIND_RETRIES_MAX && !job->found->found; n++) {
        struct txio_stat is;
        (void)snprintf(slot + size, sizeof(slot) - size, "r%u", n); /* fits */
        if (job->model->fs->io->ops->stat(job->model->fs->io, job->model->undo_dir, slot, &is) <
            0) {
            break;
        }
        TX_TRY(try_at(job, job->model->undo_dir, slot, true));
    }
    return TX_OK;
}

static enum tx_status try_displaced(struct find_job *job)
{
    const struct tx_buf *displaced = &job->node->displaced;
    const struct txfs_gone *all = (const struct txfs_gone *)(const void *)displaced->data;
    for (size_t i = 0; i < displaced->size / sizeof(*all); i++) {
        char slot[TXFS_SLOT_PATH_SIZE];
        char path[TXFS_PATH_MAX + TXFS_SLOT_PATH_SIZE];
        txfs_ref_slot(&all[i].ref, slot);
        (void)snprintf(path, sizeof(path), "%s%s", slot, all[i].below); /* fits */
        TX_TRY(try_at(job, job->model->undo_dir, path, false));
    }
    return TX_OK;
}

/* Under its staged name a payload was durable before its commit: if it is not what it was, that is
 * damage, and not the work of a stranger who took it from its place. */
static enum tx_status refuse_damaged(const struct find_job *job, const char *staged)
{
    struct txfs *fs = job->model->fs;
    struct txio_stat is;
    if (job->found->found || txfs_cnode_has_extents(job->node) || TX_MUTANT(108) ||
        fs->io->ops->stat(fs->io, fs->store_dir, staged, &is) < 0) {
        return TX_OK;
    }
    return tx_error_set(job->err, TX_ECORRUPT, "the staged payload of \"%.200s\" is damaged (%s)",
                        job->goal->path, staged);
}

static enum tx_status try_created(struct find_job *job)
{
    const struct txfs_ref *creator = &job->node->creator;
    char path[TXFS_STAGED_PATH_SIZE];
    if (creator->step == NULL) {
        return TX_OK;
    }
    txfs_ref_slot(creator, path);
    TX_TRY(try_at(job, job->model->undo_dir, path, true));
    if (creator->step->entry.staged != 0) {
        txfs_staged_path(&creator->commit->info.id, creator->step->entry.staged, path);
        TX_TRY(try_at(job, job->model->fs->store_dir, path, true));
        return refuse_damaged(job, path);
    }
    return TX_OK;
}

static enum tx_status try_below(struct find_job *job, int dir, const char *above, const char *rest)
{
    char path[TXFS_PATH_MAX + TXFS_SLOT_PATH_SIZE];
    (void)snprintf(path, sizeof(path), "%.4095s%s", above, rest); /* too long: it is not there */
    return try_at(job, dir, path, true);
}

/* The old place of a moved object may itself have gone along with a directory that the commit
 * moved, or put away: of two changes of names the power may have kept the second alone. (Of several
 * commits it cannot: a commit that moves is a barrier, see ktm/barrier.c.) */
static enum tx_status try_carried(struct find_job *job, const struct txfs_ref *ref)
{
    const struct txfs_steps *steps = &ref->commit->steps;
    const char *source = ref->step->entry.target;
    for (size_t i = 0; i < steps->count; i++) {
        const struct txfs_entry *other = &steps->items[i].entry;
        const char *stood = other->base_path != NULL ? other->base_path : other->path;
        struct txfs_ref carrier = {ref->commit, &steps->items[i]};
        char slot[TXFS_SLOT_PATH_SIZE];
        txfs_ref_slot(&carrier, slot);
        if (other->kind == TXFS_CHANGE_MOVED && txfs_path_is_below(source, other->target)) {
            const char *rest = source + strlen(other->target);
            TX_TRY(try_below(job, job->model->undo_dir, slot, rest));
            TX_TRY(try_below(job, job->model->fs->root_dir, other->path, rest));
        }
        /* MUTANT_129: what went along with a directory that was put away is nowhere. */
        if (txfs_entry_displaces(other) && txfs_path_is_below(source, stood) && !TX_MUTANT(129)) {
            TX_TRY(try_below(job, job->model->undo_dir, slot, source + strlen(stood)));
        }
    }
    return TX_OK;
}

static enum tx_status try_old_places(struct find_job *job, const struct txfs_ref *ref)
{
    const struct txfs_entry *entry = &ref->step->entry;
    if (entry->kind == TXFS_CHANGE_MOVED) {
        TX_TRY(try_at(job, job->model->fs->root_dir, entry->target, true));
        return try_carried(job, ref);
    }
    if (entry->kind == TXFS_CHANGE_LINK) {
        return try_at(job, job->model->fs->root_dir, entry->target, false);
    }
    return TX_OK;
}

/* In an old directory stand old objects, whose inodes the commits need not name. It is old when it
 * was there before all of them, or when the commit that displaced it saw it. */
static bool is_old_directory(const struct txfs_model *model, const struct txfs_version *version,
                             const char *slot)
{
    struct txio *io = model->fs->io;
    struct txio_stat is;
    return io->ops->stat(io, model->undo_dir, slot, &is) == 0 &&
           (txfs_model_is_old(model, &is) ||
            (version->before != NULL && !TX_MUTANT(77) &&
             txfs_is_object(model->fs, &is, &version->before->identity)));
}

/* A directory above may have been displaced with the object in it, when what stood there could not
 * be told from what it replaced. */
static enum tx_status try_below_displaced(struct find_job *job)
{
    char above[TXFS_PATH_MAX + 1];
    const char *path = job->goal->path;
    for (size_t size = txfs_path_parent_size(path); size > 0;) {
        memcpy(above, path, size);
        above[size] = '\0';
        const struct txfs_goal *goal = txfs_model_goal(job->model, above);
        const struct txfs_version *last = goal != NULL ? txfs_goal_last(goal) : NULL;
        if (last != NULL) {
            char slot[TXFS_SLOT_PATH_SIZE];
            char place[TXFS_PATH_MAX + TXFS_SLOT_PATH_SIZE];
            txfs_ref_slot(&last->ref, slot);
            (void)snprintf(place, sizeof(place), "%s%s", slot, path + size); /* fits */
            TX_TRY(is_old_directory(job->model, last, slot) && !TX_MUTANT(61)
                       ? TX_OK
                       : try_at(job, job->model->undo_dir, place, false));
        }
        size = txfs_path_parent_size(above);
    }
    return TX_OK;
}

enum tx_status txfs_find(struct txfs_model *model, const struct txfs_goal *goal,
                         const struct txfs_cnode *node, struct txfs_found *found,
                         struct tx_error *err)
{
    struct find_job job = {model, goal, node, found, err};
    const struct txfs_version *last = txfs_goal_last(goal);
    *found = (struct txfs_found){.found = false};
    if (node->home != NULL) {
        TX_TRY(try_home(&job));
    }
    TX_TRY(try_own_slots(&job, &last->ref));
    TX_TRY(try_old_places(&job, &last->ref));
    TX_TRY(try_created(&job));
    TX_TRY(try_displaced(&job));
    return try_below_displaced(&job);
}

enum tx_status txfs_find_displaced(struct txfs_model *model, const struct txfs_cnode *node,
                                   struct txfs_found *found, struct tx_error *err)
{
    struct find_job job = {model, NULL, node, found, err};
    *found = (struct txfs_found){.found = false};
    return try_displaced(&job);
}
