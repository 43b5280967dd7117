/* SPDX-License-Identifier: MIT */
/*
 * After a crash: which old versions are really kept? What cannot be vouched for is marked as lost
 * in undo/<L>/changes, so that revert refuses it instead of restoring rubbish.
 */
#include <sys/stat.h>

#include "txfs/converge.h"

static enum tx_status kept_object(struct txfs_model *model, const struct txfs_version *version,
                                  bool *kept, struct tx_error *err)
{
    const struct txfs_cnode *before = version->before;
    char slot[TXFS_SLOT_PATH_SIZE];
    struct txio_stat is;
    enum txfs_verdict verdict;
    int result;
    txfs_ref_slot(&version->ref, slot);
    TX_TRY(txfs_slot_stat(&model->work, slot, &is, &result, err));
    *kept = false;
    if (result < 0 || version->unsure) {
        return TX_OK;
    }
    if (before->creator.step == NULL) {
        *kept = txfs_is_object(model->fs, &is, &before->identity) && before->amendments.size == 0;
        return TX_OK;
    }
    TX_TRY(txfs_judge(model, model->undo_dir, slot, &is, before, &verdict, err));
    struct txfs_attrs attrs = txfs_cnode_attrs(before);
    *kept = verdict == TXFS_IS && (S_ISDIR(is.mode) || txfs_attrs_match(&is, &attrs));
    return TX_OK;
}

static enum tx_status kept_record(struct txfs_model *model, const struct txfs_ref *ref, bool *kept,
                                  struct tx_error *err)
{
    TX_AUTO(txfs_saved) saved = {.head = TX_BUF_INIT};
    char slot[TXFS_SLOT_PATH_SIZE];
    txfs_slot_path(ref->commit->info.lsn, 's', ref->step->index, slot);
    enum tx_status status = txfs_saved_read(model->fs, slot, &saved, err);
    *kept = status == TX_OK;
    return status == TX_ENOTFOUND || status == TX_ECORRUPT ? TX_OK : status;
}

static void mark(const struct txfs_ref *ref, bool kept)
{
    if (!kept && !(ref->step->flags & TXFS_STEP_LOST)) {
        ref->step->flags |= TXFS_STEP_LOST;
        ref->commit->must_write = true;
    }
}

static enum tx_status audit_goal(struct txfs_model *model, const struct txfs_goal *goal,
                                 struct tx_error *err)
{
    const struct txfs_version *all = (const struct txfs_version *)(const void *)goal->versions.data;
    for (size_t i = 0; i < goal->versions.size / sizeof(*all); i++) {
        bool kept = true;
        if (all[i].before != NULL && !txfs_ref_moves_base(&all[i].ref)) {
            TX_TRY(kept_object(model, &all[i], &kept, err));
        }
        mark(&all[i].ref, kept);
    }
    return TX_OK;
}

static enum tx_status audit_commit(struct txfs_model *model, struct txfs_unsteady *commit,
                                   struct tx_error *err)
{
    for (size_t i = 0; i < commit->steps.count; i++) {
        struct txfs_ref ref = {commit, &commit->steps.items[i]};
        bool kept;
        if (txfs_entry_amends(&ref.step->entry)) {
            TX_TRY(kept_record(model, &ref, &kept, err));
            mark(&ref, kept);
        }
    }
    return commit->must_write ? txfs_changes_write(model->fs, &commit->info, &commit->steps, err)
                              : TX_OK;
}

enum tx_status txfs_converge_audit(struct txfs_model *model, struct tx_error *err)
{
    struct tx_map_entry at;
    for (bool more = tx_map_at_or_after(&model->goals, NULL, 0, &at); more;
         more = tx_map_after(&model->goals, at.key, at.key_size, &at)) {
        TX_TRY(audit_goal(model, at.value, err));
    }
    for (size_t i = 0; i < model->count; i++) {
        TX_TRY(audit_commit(model, &model->commits[i], err));
    }
    return TX_OK;
}
