/* SPDX-License-Identifier: MIT */
/*
 * Contents and attributes of objects that stand where they belong. Extents of all unsteady commits
 * are written again in LSN order: they are absolute, and which of them the power cut took cannot be
 * told. Attributes follow; a mode or an owner that no commit ever gave is a stranger's, and newer.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/mutant.h"
#include "txfs/converge.h"

/* A file that this recovery did not make, of a commit that this run of the system published: after
 * a failed sync the page cache shows what the disk never got, and the next sync has nothing to do
 * (ATC'20). So it is written once more. Staged payloads were synced before the vote. */
static bool is_cache_only_perhaps(const struct txfs_cnode *node)
{
    const struct txfs_ref *creator = &node->creator;
    return creator->step != NULL && !node->built && creator->commit->same_boot &&
           creator->step->entry.payload == TXFS_PAYLOAD_INLINE && !TX_MUTANT(58);
}

static enum tx_status write_again(struct txfs_model *model, const struct txfs_cnode *node,
                                  struct tx_error *err)
{
    struct txio *io = model->fs->io;
    int fd = io->ops->open(io, model->fs->root_dir, node->home, TXIO_WRITE, 0);
    if (fd == -ETXTBSY || fd == -EACCES || fd == -EPERM || txfs_is_no_path(fd)) {
        return TX_OK; /* it is whole, and nobody lets us write it */
    }
    if (fd < 0) {
        return tx_error_os(err, -fd, "open \"%.200s\"", node->home);
    }
    bool same = false;
    enum tx_status status = txfs_opened_is(model->fs, fd, &node->home_is, &same, err);
    if (status == TX_OK && same) {
        status = txfs_content_write(model, node, fd, err);
    }
    return txfs_close_written(io, fd, status, err);
}

/* Values that an attribute may have because of us: what was there, what commits set, and what an
 * object has when it is made. */
struct known {
    const struct txio_stat *is;
    bool chowned; /* one of the commits changes the owner */
    bool mode;
    bool uid;
    bool gid;
};

static void know_mode(struct known *known, uint32_t mode)
{
    uint32_t is = known->is->mode & 07777;
    known->mode |= is == (mode & 07777);
    /* The power may be cut after a chown and before the chmod that gives back what it cleared. */
    known->mode |= known->chowned && !TX_MUTANT(60) && is == (txfs_mode_after_chown(mode) & 07777);
}

/* A power cut may keep one of the two. */
static void know_owner(struct known *known, uint32_t uid, uint32_t gid)
{
    known->uid |= known->is->uid == uid;
    known->gid |= known->is->gid == gid;
}

static void know_identity(struct known *known, const struct txfs_identity *identity)
{
    if (identity->existed) {
        know_mode(known, identity->mode);
        know_owner(known, identity->uid, identity->gid);
    }
}

static void know_entry(struct known *known, const struct txfs_entry *entry)
{
    if (entry->mask & TXFS_SETS_MODE) {
        know_mode(known, entry->mode);
        if (S_ISDIR(entry->source.mode)) { /* widened for what stands below */
            know_mode(known, entry->source.mode | (entry->mode & 0700));
        }
    }
    if (entry->mask & TXFS_SETS_OWNER) {
        know_owner(known, entry->uid, entry->gid);
    }
    know_identity(known, &entry->source);
}

static bool is_known(const struct txfs_model *model, const struct txfs_cnode *node,
                     const struct txio_stat *is)
{
    const struct txfs_publisher *publisher = model->fs->publisher;
    struct known known = {.is = is,
                          .mode = S_ISLNK(is->mode),
                          .chowned = txfs_cnode_attrs(node).mask & TXFS_SETS_OWNER};
    if (node->creator.step != NULL) {
        know_entry(&known, &node->creator.step->entry);
        know_mode(&known, TXFS_BUILD_MODE);
        if (S_ISDIR(is->mode) || node->creator.step->entry.staged != 0) {
            know_mode(&known, S_ISDIR(is->mode) ? 0700 : 0600);
        }
        know_owner(&known, publisher->uid, publisher->gid);
        if (!TX_MUTANT(99)) { /* of the same content, what it displaces may have passed for it */
            know_identity(&known, &node->creator.step->entry.base);
        }
    }
    know_identity(&known, &node->identity);
    for (size_t i = 0; i < txfs_ref_count(&node->amendments); i++) {
        know_entry(&known, &txfs_ref_at(&node->amendments, i)->step->entry);
    }
    return known.mode && known.uid && known.gid;
}

/* `told`: the path by which the user knows it. */
static enum tx_status set_attributes(struct txfs_model *model, const struct txfs_cnode *node,
                                     int dir, const char *path, const char *told,
                                     struct tx_error *err)
{
    struct txfs_attrs attrs = txfs_cnode_attrs(node);
    struct txio_stat is;
    if (attrs.mask == 0) {
        return TX_OK;
    }
    TX_TRY(txio_stat_path(model->fs->io, dir, path, &is, err));
    if (!is_known(model, node, &is)) {
        txfs_foreign_report(model->fs, told, "");
        return TX_OK;
    }
    return txfs_attrs_apply(model->fs, dir, path, &is, &attrs, err);
}

/* A path whose object was replaced or removed before its change could be carried out. */
static enum tx_status keep_amendments(struct txfs_model *model, const struct txfs_goal *goal,
                                      struct tx_error *err)
{
    const struct tx_buf *refs = &goal->node->amendments;
    txfs_foreign_report(model->fs, goal->path, "");
    for (size_t i = 0; i < txfs_ref_count(refs); i++) {
        const struct txfs_ref *ref = txfs_ref_at(refs, i);
        if (ref->step->entry.payload == TXFS_PAYLOAD_EXTENTS) {
            txfs_model_turn(model, ref);
            TX_TRY(txfs_extents_keep(&model->work, ref->step, err));
        }
    }
    return TX_OK;
}

/* *other: by now another file has the name. */
static enum tx_status write_extents(struct txfs_model *model, const struct txfs_cnode *node,
                                    int dir, const char *path, const struct txio_stat *is,
                                    bool *other, struct tx_error *err)
{
    *other = false;
    for (size_t i = 0; i < txfs_ref_count(&node->amendments) && !*other; i++) {
        const struct txfs_ref *ref = txfs_ref_at(&node->amendments, i);
        if (ref->step->entry.payload == TXFS_PAYLOAD_EXTENTS) {
            txfs_model_turn(model, ref);
            TX_TRY(txfs_extents_apply(&model->work, &ref->step->entry, dir, path, is, other, err));
        }
    }
    return TX_OK;
}

static enum tx_status settle_contents(struct txfs_model *model, const struct txfs_goal *goal,
                                      const struct txio_stat *is, struct tx_error *err)
{
    const struct txfs_cnode *node = goal->node;
    bool other;
    if (S_ISREG(is->mode) && is_cache_only_perhaps(node)) {
        TX_TRY(write_again(model, node, err));
    }
    TX_TRY(write_extents(model, node, model->fs->root_dir, node->home, is, &other, err));
    return other ? keep_amendments(model, goal, err) : TX_OK;
}

enum settle_pass { SETTLE_CONTENTS, SETTLE_FILES, SETTLE_DIRECTORIES };

static enum tx_status settle_goal(struct txfs_model *model, struct txfs_goal *goal,
                                  enum settle_pass pass, struct tx_error *err)
{
    struct txfs_cnode *node = goal->node;
    struct txio_stat is;
    int result;
    if (node == NULL || (node->home != NULL && strcmp(node->home, goal->path) != 0)) {
        return TX_OK; /* nothing, or settled under its first name */
    }
    if (node->home == NULL) {
        bool tell = pass == SETTLE_CONTENTS && txfs_goal_last(goal) == NULL &&
                    txfs_ref_count(&node->amendments) > 0;
        return tell ? keep_amendments(model, goal, err) : TX_OK;
    }
    TX_TRY(txfs_root_stat(&model->work, goal->path, &is, &result, err));
    if (result < 0 || !txfs_is_one_inode(model->fs, &is, &node->home_is)) {
        return TX_OK; /* a stranger at this very moment */
    }
    if (pass == SETTLE_CONTENTS) {
        return settle_contents(model, goal, &is, err);
    }
    return S_ISDIR(is.mode) == (pass == SETTLE_DIRECTORIES)
               ? set_attributes(model, node, model->fs->root_dir, node->home, node->home, err)
               : TX_OK;
}

/* Later commits took away all names that commits know of a file that earlier ones changed in place.
 * It may have others: where it was put away it is the same file. */
static enum tx_status settle_displaced(struct txfs_model *model, const struct txfs_cnode *node,
                                       struct tx_error *err)
{
    struct txfs_found found;
    struct txio_stat is;
    bool other; /* nobody else is at work below undo/ */
    bool changed = txfs_ref_count(&node->amendments) > 0 && !TX_MUTANT(125);
    if (node->home != NULL || node->creator.step != NULL || !changed) {
        return TX_OK;
    }
    TX_TRY(txfs_find_displaced(model, node, &found, err));
    if (!found.found) {
        return TX_OK;
    }
    TX_TRY(txio_stat_path(model->fs->io, model->undo_dir, found.path, &is, err));
    if (!S_ISREG(is.mode) || is.nlink == 1) {
        return TX_OK; /* an old version, and no more */
    }
    TX_TRY(write_extents(model, node, model->undo_dir, found.path, &is, &other, err));
    const char *told = txfs_ref_at(&node->amendments, 0)->step->entry.path;
    return set_attributes(model, node, model->undo_dir, found.path, told, err);
}

/* Goals from the last to the first, so that a directory comes after what is below it. */
static enum tx_status goals_backwards(const struct txfs_model *model, struct tx_buf *goals,
                                      struct tx_error *err)
{
    struct tx_map_entry at;
    for (bool more = tx_map_at_or_after(&model->goals, NULL, 0, &at); more;
         more = tx_map_after(&model->goals, at.key, at.key_size, &at)) {
        TX_TRY(tx_buf_append(goals, &at.value, sizeof(at.value), err));
    }
    struct txfs_goal **all = (struct txfs_goal **)(void *)goals->data;
    for (size_t i = 0, j = goals->size / sizeof(*all); i + 1 < j; i++) {
        struct txfs_goal *first = all[i];
        all[i] = all[--j];
        all[j] = first;
    }
    return TX_OK;
}

enum tx_status txfs_converge_settle(struct txfs_model *model, struct tx_error *err)
{
    TX_AUTO(tx_buf) goals = TX_BUF_INIT;
    TX_TRY(goals_backwards(model, &goals, err));
    struct txfs_goal **all = (struct txfs_goal **)(void *)goals.data;
    for (int pass = SETTLE_CONTENTS; pass <= SETTLE_DIRECTORIES; pass++) {
        for (size_t i = 0; i < goals.size / sizeof(*all); i++) {
            TX_TRY(settle_goal(model, all[i], (enum settle_pass)pass, err));
        }
    }
    struct txfs_cnode **nodes = (struct txfs_cnode **)(void *)model->nodes.data;
    for (size_t i = 0; i < model->nodes.size / sizeof(*nodes); i++) {
        TX_TRY(settle_displaced(model, nodes[i], err));
    }
    return TX_OK;
}
