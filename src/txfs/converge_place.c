/* SPDX-License-Identifier: MIT */
/*
 * One goal: look at what stands at the path, decide whose it is, and put the right object there.
 *
 *   it stands there                                    -> nothing to do
 *   a stranger's, and publishing had happened          -> it is newer: leave it, report
 *   ours (old or torn), nothing, or an older stranger's -> place; what is displaced is kept
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/invariant.h"
#include "base/mutant.h"
#include "txfs/converge.h"

enum { PLACE_RETRIES_MAX = 100 };

static void stands(struct txfs_goal *goal, const struct txio_stat *is)
{
    if (goal->node->home == NULL) {
        goal->node->home = goal->path;
        goal->node->home_is = *is;
    }
    struct txfs_version *last = txfs_goal_last(goal);
    if (last != NULL && txfs_entry_is_new(&last->ref.step->entry)) {
        last->ref.step->built_ino = is->ino;
    }
}

static enum tx_status slot_stat(struct txfs_model *model, const char *slot, struct txio_stat *is,
                                bool *there, struct tx_error *err)
{
    int result;
    TX_TRY(txfs_slot_stat(&model->work, slot, is, &result, err));
    *there = result == 0;
    return TX_OK;
}

/* Did the goal's last version get its place before the crash? Its slot says so: it holds what was
 * displaced, or does not hold any more what was built in it. */
static enum tx_status was_published(struct txfs_model *model, const struct txfs_goal *goal,
                                    bool *was, struct tx_error *err)
{
    const struct txfs_version *last = txfs_goal_last(goal);
    const struct txfs_entry *entry = &last->ref.step->entry;
    char slot[TXFS_SLOT_PATH_SIZE];
    struct txio_stat is;
    bool there;
    txfs_ref_slot(&last->ref, slot);
    TX_TRY(slot_stat(model, slot, &is, &there, err));
    if (there) {
        *was = txfs_is_object(model->fs, &is, &entry->base);
        return TX_OK;
    }
    *was = last->ref.commit->has_changes && last->ref.step->built_ino != 0;
    if (goal->node == NULL && txfs_ref_moves_base(&last->ref)) {
        *was = true; /* the name was left by a move: whoever took it came after */
        return TX_OK;
    }
    if (entry->kind == TXFS_CHANGE_MOVED && goal->node != NULL) {
        struct txfs_found found;
        TX_TRY(txfs_find(model, goal, goal->node, &found, err));
        *was = !found.found; /* it is nowhere: it was placed, and then replaced */
    }
    return TX_OK;
}

/* Ours, displaced: it belongs into the slot of the version that displaced it. */
static enum tx_status shelve_old(struct txfs_model *model, const struct txfs_version *version,
                                 const char *slot, struct tx_error *err)
{
    char right[TXFS_SLOT_PATH_SIZE];
    txfs_ref_slot(&version->ref, right);
    if (strcmp(slot, right) != 0) {
        struct txio *io = model->fs->io;
        int result =
            io->ops->rename(io, model->undo_dir, slot, model->undo_dir, right, TXIO_NOREPLACE);
        /* Crash here: the old version is in one slot or the other; the audit looks at the right
         * one, and calls it lost when it is not there. */
        if (result == -EEXIST) {
            return TX_OK;
        }
        if (result < 0) {
            return tx_error_os(err, -result, "keep slot %s", slot);
        }
    }
    if (version->before == NULL || version->before->creator.step != NULL ||
        txfs_ref_count(&version->before->amendments) > 0) {
        return TX_OK; /* its attributes may have been lost with the power */
    }
    txfs_model_turn(model, &version->ref);
    return txfs_keep_unless_base(&model->work, version->ref.step, right, err);
}

static enum tx_status shelve(struct txfs_model *model, const struct txfs_goal *goal,
                             enum txfs_owner owner, const struct txfs_version *version,
                             const char *slot, struct tx_error *err)
{
    switch (owner) {
    case TXFS_OURS_OLD:
        return shelve_old(model, version, slot, err);
    case TXFS_OURS_TORN:
        /* Crash here: a damaged version in a slot; the next recovery removes it. */
        return txio_remove_tree(model->fs->io, model->undo_dir, slot, err);
    default:
        txfs_model_turn(model, &txfs_goal_last(goal)->ref);
        return txfs_keep(&model->work, txfs_goal_last(goal)->ref.step, slot, err);
    }
}

/* May what is in the slot go? Only when it is a damaged or unfinished build of the goal's node. */
static enum tx_status is_scrap(struct txfs_model *model, const struct txfs_goal *goal,
                               const char *slot, const struct txio_stat *is, bool *scrap,
                               struct tx_error *err)
{
    enum txfs_verdict verdict = TXFS_TORN;
    if (goal->node == NULL) {
        *scrap = false;
        return TX_OK;
    }
    if (txfs_is_object(model->fs, is, &txfs_goal_last(goal)->ref.step->entry.base)) {
        *scrap = false;
        return TX_OK;
    }
    *scrap = (is->mode & 07777) == TXFS_BUILD_MODE; /* no content yet, or not all of it */
    if (!*scrap) {
        TX_TRY(txfs_judge(model, model->undo_dir, slot, is, goal->node, &verdict, err));
        *scrap = verdict == TXFS_TORN && goal->node->creator.step != NULL;
    }
    return TX_OK;
}

/* A further name of the goal's object that a crash left in the slot before it got its place. Made
 * once more, the object would keep it as a name too many. */
static bool is_further_name(const struct txfs_model *model, const struct txfs_goal *goal,
                            const struct txio_stat *is)
{
    const struct txfs_version *last = txfs_goal_last(goal);
    return !TX_MUTANT(63) && goal->node != NULL && goal->node->home != NULL &&
           txfs_is_one_inode(model->fs, is, &goal->node->home_is) &&
           !txfs_is_object(model->fs, is, &last->ref.step->entry.base);
}

/* Choose a slot for the goal's object: <i>, or <i>r<n> when that holds something worth keeping.
 * *ready: it holds the object already. */
static enum tx_status free_slot(struct txfs_model *model, const struct txfs_goal *goal,
                                char slot[TXFS_SLOT_PATH_SIZE], bool *ready, struct tx_error *err)
{
    *ready = false;
    txfs_ref_slot(&txfs_goal_last(goal)->ref, slot);
    size_t size = strlen(slot);
    for (unsigned n = 0; n <= PLACE_RETRIES_MAX; n++) {
        struct txio_stat is;
        bool there;
        bool scrap;
        if (n > 0) {
            (void)snprintf(slot + size, TXFS_SLOT_PATH_SIZE - size, "r%u", n); /* fits */
        }
        TX_TRY(slot_stat(model, slot, &is, &there, err));
        *ready = there && is_further_name(model, goal, &is);
        if (!there || *ready) {
            return TX_OK;
        }
        TX_TRY(is_scrap(model, goal, slot, &is, &scrap, err));
        if (scrap) {
            /* Crash here: the slot is empty, as before the build. */
            return txio_remove_tree(model->fs->io, model->undo_dir, slot, err);
        }
    }
    return tx_error_set(err, TX_ELIMIT, "recovered \"%.200s\" too many times", goal->path);
}

static enum tx_status fetch(struct txfs_model *model, const struct txfs_found *found,
                            const char *slot, struct tx_error *err)
{
    struct txfs *fs = model->fs;
    int dir = found->in_root ? fs->root_dir : found->in_store ? fs->store_dir : model->undo_dir;
    if (found->movable) {
        return txio_rename(fs->io, dir, found->path, model->undo_dir, slot, TXIO_NOREPLACE, err);
    }
    int result = fs->io->ops->link(fs->io, dir, found->path, model->undo_dir, slot);
    if (result == -EPERM) { /* a directory has one name */
        result =
            fs->io->ops->rename(fs->io, dir, found->path, model->undo_dir, slot, TXIO_NOREPLACE);
    }
    return result < 0 ? tx_error_os(err, -result, "link \"%.200s\"", found->path) : TX_OK;
}

/* A staged payload is one inode that goes from tx/<id>/ to its slot to its place, and only others
 * remove it. When it is nowhere, a stranger removed it from its place, if it can have come there;
 * else it was lost before. */
static bool was_removed(const struct txfs_cnode *node)
{
    const struct txfs_ref *creator = &node->creator;
    /* MUTANT_64: what is nowhere is damage, whoever may have removed it. */
    return creator->step == NULL ||
           (creator->step->entry.payload == TXFS_PAYLOAD_STAGED && creator->commit->began &&
            !TX_MUTANT(64));
}

/* Is it in undo/<L>, and not in a directory there? */
static bool is_slot(const struct txfs_found *found)
{
    const char *last = strrchr(found->path, '/');
    return !found->in_root && !found->in_store && last == strchr(found->path, '/') &&
           strlen(found->path) < TXFS_SLOT_PATH_SIZE;
}

/* Get the goal's object into a slot. *got false: a stranger removed it. */
static enum tx_status obtain(struct txfs_model *model, struct txfs_goal *goal,
                             char slot[TXFS_SLOT_PATH_SIZE], bool *got, struct tx_error *err)
{
    struct txfs_cnode *node = goal->node;
    struct txfs_found found;
    bool ready;
    TX_TRY(txfs_find(model, goal, node, &found, err));
    *got = true;
    if (found.found && found.movable && is_slot(&found)) {
        memcpy(slot, found.path, strlen(found.path) + 1); /* a slot already */
        return TX_OK;
    }
    *got = found.found || !was_removed(node);
    if (!*got) {
        return TX_OK;
    }
    TX_TRY(free_slot(model, goal, slot, &ready, err));
    if (ready) {
        return TX_OK;
    }
    if (found.found) {
        return fetch(model, &found, slot, err);
    }
    if (node->creator.step->entry.payload == TXFS_PAYLOAD_STAGED) {
        return tx_error_set(err, TX_ECORRUPT, "the staged payload of \"%.200s\" is gone",
                            goal->path);
    }
    txfs_model_turn(model, &node->creator);
    node->built = true;
    return txfs_slot_build(&model->work, node->creator.step, slot, err);
}

static enum tx_status after_placing(struct txfs_model *model, struct txfs_goal *goal,
                                    const char *slot, enum txfs_owner owner,
                                    const struct txfs_version *version, enum txfs_placed placed,
                                    struct tx_error *err)
{
    struct txio_stat is;
    int result;
    txfs_parents_drop(&model->work.parents);
    if (placed == TXFS_PLACED_NOWHERE) {
        txfs_model_turn(model, &txfs_goal_last(goal)->ref);
        return txfs_keep(&model->work, txfs_goal_last(goal)->ref.step, slot, err);
    }
    TX_TRY(txfs_root_stat(&model->work, goal->path, &is, &result, err));
    if (result == 0) {
        stands(goal, &is);
    }
    return placed == TXFS_PLACED_DISPLACED ? shelve(model, goal, owner, version, slot, err) : TX_OK;
}

static enum tx_status place(struct txfs_model *model, struct txfs_goal *goal, bool there,
                            enum txfs_owner owner, const struct txfs_version *version,
                            struct tx_error *err)
{
    char slot[TXFS_SLOT_PATH_SIZE];
    enum txfs_placed placed;
    bool got;
    TX_TRY(obtain(model, goal, slot, &got, err));
    if (!got) {
        txfs_foreign_report(model->fs, goal->path, "");
        return TX_OK;
    }
    TX_TRY(txfs_place(&model->work, slot, goal->path, there, &placed, err));
    return after_placing(model, goal, slot, owner, version, placed, err);
}

static enum tx_status take_away(struct txfs_model *model, struct txfs_goal *goal,
                                enum txfs_owner owner, const struct txfs_version *version,
                                struct tx_error *err)
{
    char slot[TXFS_SLOT_PATH_SIZE];
    enum txfs_placed placed;
    bool ready; /* never: the goal is that nothing stands there */
    TX_TRY(free_slot(model, goal, slot, &ready, err));
    TX_TRY(txfs_take(&model->work, goal->path, slot, &placed, err));
    txfs_parents_drop(&model->work.parents);
    return placed == TXFS_PLACED_DISPLACED ? shelve(model, goal, owner, version, slot, err) : TX_OK;
}

/* Something else than the goal's object stands at the path. */
static enum tx_status replace(struct txfs_model *model, struct txfs_goal *goal,
                              const struct txio_stat *is, struct tx_error *err)
{
    const struct txfs_version *version = NULL;
    enum txfs_owner owner;
    bool published;
    TX_TRY(txfs_owner_of(model, goal, is, &owner, &version, err));
    if (owner == TXFS_STRANGERS && goal->node == NULL &&
        !txfs_goal_last(goal)->ref.step->entry.base.existed) {
        return TX_OK; /* made after the last commit, which found nothing and left nothing */
    }
    if (owner == TXFS_STRANGERS) {
        TX_TRY(was_published(model, goal, &published, err));
        if (published) {
            txfs_foreign_report(model->fs, goal->path, "");
            return TX_OK;
        }
    }
    return goal->node == NULL ? take_away(model, goal, owner, version, err)
                              : place(model, goal, true, owner, version, err);
}

/* Nothing stands at the path. In the run of the system that published it, that is a stranger's
 * doing; after a power cut some file systems lose a name, and the commit is worth more. */
static enum tx_status restore(struct txfs_model *model, struct txfs_goal *goal,
                              struct tx_error *err)
{
    const struct txfs_version *last = txfs_goal_last(goal);
    bool published = false;
    if (last->ref.commit->same_boot && last->ref.step->entry.base.existed) {
        TX_TRY(was_published(model, goal, &published, err));
    }
    if (published) {
        txfs_foreign_report(model->fs, goal->path, "");
        return TX_OK;
    }
    return place(model, goal, false, TXFS_STRANGERS, NULL, err);
}

/* An object that no commit put there but some changed: is it the one? */
static void meet(struct txfs_model *model, struct txfs_goal *goal, bool there,
                 const struct txio_stat *is)
{
    if (there && txfs_is_object(model->fs, is, &goal->node->identity)) {
        stands(goal, is);
    } /* else settling keeps what was to be written, and reports */
}

/* Did one of the commits find something there? Not always the last: it may have made and removed
 * what it left no trace of. */
static bool found_any(const struct txfs_goal *goal)
{
    const struct txfs_version *all = (const struct txfs_version *)(const void *)goal->versions.data;
    size_t count = goal->versions.size / sizeof(*all);
    bool found = all[count - 1].ref.step->entry.base.existed;
    for (size_t i = 0; i < count && !TX_MUTANT(75); i++) {
        found |= all[i].ref.step->entry.base.existed;
    }
    return found;
}

enum tx_status txfs_converge_goal(struct txfs_model *model, struct txfs_goal *goal,
                                  struct tx_error *err)
{
    struct txio_stat is;
    enum txfs_verdict verdict = TXFS_OTHER;
    int result;
    TX_TRY(txfs_root_stat(&model->work, goal->path, &is, &result, err));
    if (txfs_goal_last(goal) == NULL) {
        meet(model, goal, result == 0, &is);
        return TX_OK;
    }
    if (goal->node == NULL) {
        /* MUTANT_24: the removal is forgotten, and what was removed comes back. */
        bool ours = found_any(goal) && !TX_MUTANT(24);
        return result == 0 && ours ? replace(model, goal, &is, err) : TX_OK;
    }
    if (result < 0) {
        return restore(model, goal, err);
    }
    if (goal->node->home != NULL) { /* a further name: of that very inode */
        bool same = txfs_is_one_inode(model->fs, &is, &goal->node->home_is);
        verdict = same ? TXFS_IS : TXFS_OTHER;
    } else if (!txfs_goal_displaces(model, goal, &is)) {
        TX_TRY(txfs_judge(model, model->fs->root_dir, goal->path, &is, goal->node, &verdict, err));
    }
    if (verdict == TXFS_IS) {
        if (TX_MUTANT(12) && txfs_goal_last(goal)->ref.step->entry.kind == TXFS_CHANGE_MOVED) {
            /* The second run of a rename makes room at its target first. */
            return take_away(model, goal, TXFS_OURS_TORN, NULL, err);
        }
        stands(goal, &is);
        return TX_OK;
    }
    return replace(model, goal, &is, err);
}
