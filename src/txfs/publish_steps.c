/* SPDX-License-Identifier: MIT */
/* The lines of txfs_publish that touch names, each in the order that entries need. */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "base/invariant.h"
#include "base/mutant.h"
#include "txfs/publish_steps.h"

enum tx_status txfs_publish_index_moves(struct txfs_publish *publish, struct tx_error *err)
{
    for (size_t i = 0; i < publish->steps.count; i++) {
        struct txfs_step *step = &publish->steps.items[i];
        if (step->entry.kind == TXFS_CHANGE_MOVED) {
            struct txfs_tree_key key;
            txfs_tree_key_set(&key, step->entry.target);
            TX_TRY(tx_map_set(&publish->moved, key.bytes, key.size, step, err));
        }
    }
    publish->work.has_moves = publish->moved.count > 0;
    return TX_OK;
}

static void slot_of(struct txfs_publish *publish, const struct txfs_step *step,
                    char slot[TXFS_SLOT_PATH_SIZE])
{
    txfs_work_slot(&publish->work, 0, step->index, slot);
}

/* A descriptor below a directory that moves would lead to where it goes. */
static void forget_moved(struct txfs_publish *publish, const struct txfs_step *step)
{
    const struct txfs_entry *entry = &step->entry;
    bool directory = entry->kind == TXFS_CHANGE_DIRECTORY || S_ISDIR(entry->base.mode) ||
                     (entry->kind == TXFS_CHANGE_MOVED && S_ISDIR(entry->source.mode));
    if (directory) {
        txfs_parents_drop(&publish->work.parents);
    }
}

/* Whatever has the name is moved: a stranger's replacement of the object is newer than it. */
static enum tx_status pull_one(struct txfs_publish *publish, struct txfs_step *step,
                               struct tx_error *err)
{
    struct txfs_work *work = &publish->work;
    const struct txfs_entry *entry = &step->entry;
    char slot[TXFS_SLOT_PATH_SIZE];
    enum txfs_placed placed;
    struct txio_stat is = {0};
    int result;
    slot_of(publish, step, slot);
    TX_TRY(txfs_take(work, entry->target, slot, &placed, err));
    txfs_parents_drop(&work->parents);
    if (placed == TXFS_PLACED_DISPLACED) {
        TX_TRY(txfs_slot_stat(work, slot, &is, &result, err));
    }
    if (!txfs_is_object(work->fs, &is, &entry->source)) {
        txfs_foreign_report(work->fs, entry->target, "");
    }
    step->built_ino = is.ino;
    return TX_OK;
}

/* Deepest source first, because moves may take from inside each other. */
enum tx_status txfs_publish_pull(struct txfs_publish *publish, struct tx_error *err)
{
    TX_AUTO(tx_buf) order = TX_BUF_INIT;
    struct tx_map_entry at;
    for (bool more = tx_map_at_or_after(&publish->moved, NULL, 0, &at); more;
         more = tx_map_after(&publish->moved, at.key, at.key_size, &at)) {
        TX_TRY(tx_buf_append(&order, &at.value, sizeof(at.value), err));
    }
    struct txfs_step **steps = (struct txfs_step **)(void *)order.data;
    for (size_t i = publish->moved.count; i-- > 0;) {
        /* MUTANT_13: parents first. */
        TX_TRY(pull_one(publish, steps[TX_MUTANT(13) ? publish->moved.count - 1 - i : i], err));
    }
    return TX_OK;
}

/* Something has to stand at the path: it existed, and was not moved away by this commit. */
static bool expects_object(const struct txfs_publish *publish, const struct txfs_entry *entry)
{
    if (!entry->base.existed || publish->moved.count == 0) {
        return entry->base.existed;
    }
    struct txfs_tree_key key;
    txfs_tree_key_set(&key, entry->base_path != NULL ? entry->base_path : entry->path);
    return tx_map_get(&publish->moved, key.bytes, key.size) == NULL;
}

static enum tx_status remove_one(struct txfs_publish *publish, struct txfs_step *step,
                                 struct tx_error *err)
{
    char slot[TXFS_SLOT_PATH_SIZE];
    enum txfs_placed placed;
    if (!step->entry.base.existed) {
        return TX_OK; /* made and removed in the same transaction */
    }
    slot_of(publish, step, slot);
    TX_TRY(txfs_take(&publish->work, step->entry.path, slot, &placed, err));
    forget_moved(publish, step);
    return placed == TXFS_PLACED_DISPLACED ? txfs_keep_unless_base(&publish->work, step, slot, err)
                                           : TX_OK;
}

static enum tx_status place_one(struct txfs_publish *publish, struct txfs_step *step,
                                struct tx_error *err)
{
    struct txfs_work *work = &publish->work;
    char slot[TXFS_SLOT_PATH_SIZE];
    enum txfs_placed placed;
    bool expected = expects_object(publish, &step->entry);
    slot_of(publish, step, slot);
    TX_TRY(txfs_place(work, slot, step->entry.path, expected, &placed, err));
    forget_moved(publish, step);
    switch (placed) {
    case TXFS_PLACED_NOWHERE:
        return txfs_keep(work, step, slot, err);
    case TXFS_PLACED_DISPLACED:
        return txfs_keep_unless_base(work, step, slot, err);
    default:
        if (expected) {
            txfs_foreign_report(work->fs, step->entry.path, "");
        }
        return TX_OK;
    }
}

/* What stands below a directory whose mode this commit widens may need it already. */
static enum tx_status widen_directory(struct txfs_publish *publish, const struct txfs_entry *entry,
                                      struct tx_error *err)
{
    struct txfs_work *work = &publish->work;
    uint32_t more = entry->mode & 0700 & ~entry->source.mode;
    if (!S_ISDIR(entry->source.mode) || !(entry->mask & TXFS_SETS_MODE) || more == 0) {
        return TX_OK;
    }
    struct txio_stat is;
    const char *name;
    int dir;
    int result;
    TX_TRY(txfs_root_find(work, entry->path, &dir, &name, &is, &result, err));
    if (result < 0 || !txfs_is_object(work->fs, &is, &entry->source)) {
        return TX_OK; /* a stranger's; amending it says so */
    }
    struct txfs_attrs attrs = {.mask = TXFS_SETS_MODE, .mode = (is.mode & 07777) | more};
    /* Crash here: the directory has a mode between the old and the new one; recovery sets the new.
     */
    return txfs_attrs_apply(work->fs, dir, name, &is, &attrs, err);
}

enum tx_status txfs_publish_place(struct txfs_publish *publish, struct tx_error *err)
{
    for (size_t i = 0; i < publish->steps.count; i++) {
        struct txfs_step *step = &publish->steps.items[i];
        const struct txfs_entry *entry = &step->entry;
        if (entry->kind == TXFS_CHANGE_ABSENT) {
            TX_TRY(remove_one(publish, step, err));
        } else if (txfs_entry_is_new(entry) ||
                   (entry->kind == TXFS_CHANGE_MOVED && step->built_ino != 0)) {
            TX_TRY(place_one(publish, step, err));
        }
        if (txfs_entry_amends(entry)) {
            TX_TRY(widen_directory(publish, entry, err));
        }
    }
    return TX_OK;
}

static enum tx_status link_one(struct txfs_publish *publish, struct txfs_step *step,
                               struct tx_error *err)
{
    struct txfs_work *work = &publish->work;
    char slot[TXFS_SLOT_PATH_SIZE];
    const char *name;
    int dir;
    int result;
    slot_of(publish, step, slot);
    TX_TRY(txfs_parents_find(&work->parents, step->entry.target, &dir, &name, &result, err));
    if (result == 0) {
        /* Crash here: a further name of the object, in the slot; recovery gives it its place. */
        result = work->fs->io->ops->link(work->fs->io, dir, name, work->slots_dir, slot);
    }
    if (txfs_is_no_path(result)) {
        txfs_foreign_report(work->fs, step->entry.path, "");
        return TX_OK;
    }
    if (result < 0) {
        return tx_error_os(err, -result, "link \"%.200s\"", step->entry.path);
    }
    return place_one(publish, step, err);
}

enum tx_status txfs_publish_links(struct txfs_publish *publish, struct tx_error *err)
{
    for (size_t i = 0; i < publish->steps.count; i++) {
        if (publish->steps.items[i].entry.kind == TXFS_CHANGE_LINK) {
            TX_TRY(link_one(publish, &publish->steps.items[i], err));
        }
    }
    return TX_OK;
}
