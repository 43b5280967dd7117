/* SPDX-License-Identifier: MIT */
/* The list of workloads, and what most of them begin with. */
#include "sim/workloads.h"

static void standard_files(struct crash_run *run, struct ktm_txn *txn)
{
    static const struct {
        const char *path;
        size_t size;
    } files[] = {{"a", 50},      {"b", 300},       {"big", 9000}, {"dir/c", 100},
                 {"dir/d", 700}, {"dir/sub/e", 2}, {"hard1", 20}};
    MUST(run, txfs_mkdir_parents(txn, "dir/sub", 0755, &run->err));
    MUST(run, txfs_mkdir(txn, "empty", 0700, &run->err));
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        const void *bytes = crash_bytes(run, files[i].size);
        MUST(run, txfs_put(txn, files[i].path, bytes, files[i].size, NULL, &run->err));
    }
    MUST(run, txfs_link(txn, "hard1", "hard2", &run->err));
    MUST(run, txfs_symlink(txn, "a", "link", &run->err));
    MUST(run, txfs_set_xattr(txn, "b", "user.kept", "value", 5, &run->err));
}

void crash_standard_tree(struct crash_run *run)
{
    struct ktm_txn *txn = crash_begin(run);
    standard_files(run, txn);
    MUST(run, txreg_create(txn, "Software\\Alpha", NULL, NULL, &run->err));
    MUST(run, txreg_set_string(txn, "Software\\Alpha", "Name", "first", &run->err));
    MUST(run, txreg_set_u32(txn, "Software\\Alpha", "Number", 1, &run->err));
    MUST(run, txreg_create(txn, "Software\\Beta\\Deep", "class", NULL, &run->err));
    MUST(run, txreg_set_u64(txn, "Software\\Beta\\Deep", "", 42, &run->err));
    MUST(run, ktm_commit(txn, NULL, &run->err));
}

const struct crash_workload crash_workloads[] = {
    {"create", work_create, NULL, false, false},
    {"replace", work_replace, NULL, false, false},
    {"staged", work_staged, NULL, false, false},
    {"truncate", work_truncate, NULL, false, false},
    {"extents", work_extents, NULL, false, false},
    {"rename-file", work_rename_file, NULL, false, false},
    {"rename-over", work_rename_over, NULL, false, false},
    {"rename-directory", work_rename_directory, NULL, false, false},
    {"exchange", work_exchange, NULL, false, false},
    {"unlink", work_unlink, NULL, false, false},
    {"directories", work_directories, NULL, false, false},
    {"symlink", work_symlink, NULL, false, false},
    {"link", work_link, NULL, false, false},
    {"chmod", work_chmod, NULL, false, false},
    {"chown", work_chown, NULL, false, false},
    {"times", work_times, NULL, false, false},
    {"xattrs", work_xattrs, NULL, false, false},
    {"remove-tree", work_remove_tree, NULL, false, false},
    {"kinds-change", work_kinds_change, NULL, false, false},
    {"many-files", work_many_files, NULL, false, true},
    {"reg-create", work_reg_create, NULL, false, false},
    {"reg-set", work_reg_set, NULL, false, false},
    {"reg-unset", work_reg_unset, NULL, false, false},
    {"reg-delete", work_reg_delete, NULL, false, false},
    {"reg-rename", work_reg_rename, NULL, false, false},
    {"reg-large", work_reg_large, NULL, false, false},
    {"reg-many", work_reg_many, NULL, false, false},
    {"init", work_init, NULL, true, false},
    {"open-close", work_open_close, NULL, false, false},
    {"readers", work_readers, NULL, false, false},
    {"recovery", work_recovery, NULL, false, false},
    {"mixed", work_mixed, NULL, false, false},
    {"install", work_install, NULL, false, false},
    {"commits", work_commits, NULL, false, false},
    {"checkpoint", work_checkpoint, NULL, false, false},
    {"segments", work_segments, NULL, false, true},
    {"recycle", work_recycle, NULL, false, false},
    {"savepoints", work_savepoints, NULL, false, false},
    {"rollback", work_rollback, NULL, false, false},
    {"prepare-commit", work_prepare_commit, NULL, false, false},
    {"prepare-rollback", work_prepare_rollback, NULL, false, false},
    {"prepare-reopen", work_prepare_reopen, NULL, false, false},
    {"prepare-checkpoint", work_prepare_checkpoint, NULL, false, false},
    {"detach-commit", work_detach_commit, NULL, false, false},
    {"detach-reopen", work_detach_reopen, NULL, false, false},
    {"discard", work_discard, NULL, false, false},
    {"revert", work_revert, NULL, false, false},
    {"settings", work_settings, NULL, false, false},
    {"interleaved", work_interleaved, NULL, false, false},
    {"conflict", work_conflict, NULL, false, false},
    {"two-prepared", work_two_prepared, NULL, false, false},
    {"two-detached", work_two_detached, NULL, false, false},
    {"snapshot", work_snapshot, NULL, false, false},
    {"open-file", work_open_file, NULL, false, false},
    {"deep-tree", work_deep_tree, NULL, false, false},
    {"one-name", work_one_name, NULL, false, false},
    {"stranger", work_stranger, NULL, false, false},
    {"import", work_import, NULL, false, false},
    {"history", work_history, NULL, false, false},
    {"random-files", work_random_files, NULL, false, false},
    {"random-all", work_random_all, NULL, false, false},
    {NULL, NULL, NULL, false, false},
};
