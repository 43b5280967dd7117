/* SPDX-License-Identifier: MIT */
/* What the crash test does with a store; the list is in workloads.c. */
#ifndef TX_SIM_WORKLOADS_H
#define TX_SIM_WORKLOADS_H

#include "sim/crash.h"

/* --- workloads_files.c ------------------------------------------------------------------------ */

void work_create(struct crash_run *run);
void work_replace(struct crash_run *run);
void work_staged(struct crash_run *run);
void work_truncate(struct crash_run *run);
void work_extents(struct crash_run *run);
void work_rename_file(struct crash_run *run);
void work_rename_over(struct crash_run *run);
void work_rename_directory(struct crash_run *run);
void work_exchange(struct crash_run *run);
void work_unlink(struct crash_run *run);
void work_directories(struct crash_run *run);
void work_symlink(struct crash_run *run);
void work_link(struct crash_run *run);
void work_chmod(struct crash_run *run);
void work_chown(struct crash_run *run);
void work_times(struct crash_run *run);
void work_xattrs(struct crash_run *run);
void work_remove_tree(struct crash_run *run);
void work_kinds_change(struct crash_run *run);
void work_many_files(struct crash_run *run);

/* --- workloads_registry.c --------------------------------------------------------------------- */

void work_reg_create(struct crash_run *run);
void work_reg_set(struct crash_run *run);
void work_reg_unset(struct crash_run *run);
void work_reg_delete(struct crash_run *run);
void work_reg_rename(struct crash_run *run);
void work_reg_large(struct crash_run *run);
void work_reg_many(struct crash_run *run);

/* --- workloads_store.c ------------------------------------------------------------------------ */

void work_init(struct crash_run *run);
void work_open_close(struct crash_run *run);
void work_readers(struct crash_run *run);
void work_mixed(struct crash_run *run);
void work_install(struct crash_run *run);
void work_commits(struct crash_run *run);
void work_checkpoint(struct crash_run *run);
void work_segments(struct crash_run *run);
void work_recycle(struct crash_run *run);
void work_savepoints(struct crash_run *run);
void work_rollback(struct crash_run *run);
void work_prepare_commit(struct crash_run *run);
void work_prepare_rollback(struct crash_run *run);
void work_prepare_reopen(struct crash_run *run);
void work_prepare_checkpoint(struct crash_run *run);
void work_detach_commit(struct crash_run *run);
void work_detach_reopen(struct crash_run *run);
void work_discard(struct crash_run *run);
void work_revert(struct crash_run *run);
void work_recovery(struct crash_run *run);
void work_settings(struct crash_run *run);

/* --- workloads_meetings.c --------------------------------------------------------------------- */

void work_interleaved(struct crash_run *run);
void work_conflict(struct crash_run *run);
void work_two_prepared(struct crash_run *run);
void work_two_detached(struct crash_run *run);
void work_snapshot(struct crash_run *run);
void work_open_file(struct crash_run *run);
void work_deep_tree(struct crash_run *run);
void work_one_name(struct crash_run *run);
void work_stranger(struct crash_run *run);
void work_import(struct crash_run *run);
void work_history(struct crash_run *run);

/* --- workloads_random.c ----------------------------------------------------------------------- */

void work_random_files(struct crash_run *run);
void work_random_all(struct crash_run *run);

#endif
