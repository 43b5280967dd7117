/* SPDX-License-Identifier: MIT */
/* The lines of txfs_publish that change inodes: extents, attributes, directories' attributes. */
#include <sys/stat.h>

#include "txfs/publish_steps.h"

/* Find the object that the step is about. *found false: a stranger put another there, or none. */
static enum tx_status find_object(struct txfs_publish *publish, const struct txfs_step *step,
                                  struct txio_stat *is, int *dir, const char **name, bool *found,
                                  struct tx_error *err)
{
    const struct txfs_entry *entry = &step->entry;
    int result;
    TX_TRY(txfs_root_find(&publish->work, entry->path, dir, name, is, &result, err));
    if (txfs_entry_amends(entry)) {
        *found = result == 0 && txfs_is_object(publish->work.fs, is, &entry->source);
    } else {
        *found = result == 0 && is->ino == step->built_ino;
    }
    return TX_OK;
}

static enum tx_status amend_one(struct txfs_publish *publish, struct txfs_step *step,
                                struct tx_error *err)
{
    struct txfs_work *work = &publish->work;
    const struct txfs_entry *entry = &step->entry;
    struct txio_stat is;
    const char *name = NULL;
    int dir = -1;
    bool found;
    TX_TRY(find_object(publish, step, &is, &dir, &name, &found, err));
    if (found && S_ISDIR(is.mode)) {
        return TX_OK; /* with the directories, at the end */
    }
    if (!found) {
        if (entry->payload == TXFS_PAYLOAD_EXTENTS) {
            return txfs_extents_keep(work, step, err);
        }
        txfs_foreign_report(work->fs, entry->path, "");
        return TX_OK;
    }
    txfs_touched_add(work->fs, entry->path, -1);
    if (entry->payload == TXFS_PAYLOAD_EXTENTS) {
        bool other;
        TX_TRY(txfs_extents_apply(work, entry, dir, name, &is, &other, err));
        if (other) {
            return txfs_extents_keep(work, step, err);
        }
        TX_TRY(txio_stat_path(work->fs->io, dir, name, &is, err)); /* writing moved its times */
    }
    struct txfs_attrs attrs = txfs_attrs_of(entry);
    return txfs_attrs_apply(work->fs, dir, name, &is, &attrs, err);
}

enum tx_status txfs_publish_amend(struct txfs_publish *publish, struct tx_error *err)
{
    for (size_t i = 0; i < publish->steps.count; i++) {
        if (txfs_entry_amends(&publish->steps.items[i].entry)) {
            TX_TRY(amend_one(publish, &publish->steps.items[i], err));
        }
    }
    return TX_OK;
}

static enum tx_status finish_directory(struct txfs_publish *publish, struct txfs_step *step,
                                       struct tx_error *err)
{
    struct txio_stat is;
    const char *name = NULL;
    int dir = -1;
    bool found;
    TX_TRY(find_object(publish, step, &is, &dir, &name, &found, err));
    if (!found || !S_ISDIR(is.mode)) {
        return TX_OK; /* said before */
    }
    struct txfs_attrs attrs = txfs_attrs_of(&step->entry);
    txfs_touched_add(publish->work.fs, step->entry.path, -1);
    return txfs_attrs_apply(publish->work.fs, dir, name, &is, &attrs, err);
}

/* From the last to the first: a directory that ends without write permission gets it taken away
 * only when all below it is done. */
enum tx_status txfs_publish_directories(struct txfs_publish *publish, struct tx_error *err)
{
    for (size_t i = publish->steps.count; i-- > 0;) {
        const struct txfs_entry *entry = &publish->steps.items[i].entry;
        bool amended = txfs_entry_amends(entry) && S_ISDIR(entry->source.mode);
        if (entry->kind == TXFS_CHANGE_DIRECTORY || amended) {
            TX_TRY(finish_directory(publish, &publish->steps.items[i], err));
        }
    }
    return TX_OK;
}
