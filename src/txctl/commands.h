/* SPDX-License-Identifier: MIT */
/* Every command: each is defined in the file named after it (cmd_VERB.c) or its twin. */
#ifndef TXCTL_COMMANDS_H
#define TXCTL_COMMANDS_H

#include "txctl/txctl_internal.h"

/* the store */
extern const struct txctl_command txctl_init, txctl_info, txctl_check, txctl_recover,
    txctl_checkpoint, txctl_settings, txctl_backup, txctl_restore, txctl_log_dump, txctl_log_verify;
/* transactions */
extern const struct txctl_command txctl_begin, txctl_commit, txctl_prepare, txctl_rollback,
    txctl_savepoint, txctl_list, txctl_show, txctl_diff, txctl_exec, txctl_history,
    txctl_revert;
/* files */
extern const struct txctl_command txctl_put, txctl_get, txctl_cat, txctl_edit, txctl_import,
    txctl_apply, txctl_cp, txctl_mv, txctl_rm, txctl_mkdir, txctl_rmdir, txctl_ln, txctl_truncate,
    txctl_chmod, txctl_chown, txctl_touch, txctl_setfattr, txctl_ls, txctl_stat, txctl_tree;
/* the registry */
extern const struct txctl_command txctl_reg_get, txctl_reg_set, txctl_reg_unset, txctl_reg_create,
    txctl_reg_delete, txctl_reg_list, txctl_reg_query, txctl_reg_info, txctl_reg_rename,
    txctl_reg_export, txctl_reg_add, txctl_reg_copy, txctl_reg_compare, txctl_reg_link,
    txctl_reg_readlink, txctl_reg_find, txctl_reg_move, txctl_reg_increment, txctl_reg_sd,
    txctl_reg_import, txctl_reg_save, txctl_reg_load, txctl_reg_unload, txctl_reg_diff,
    txctl_reg_watch;
/* about txctl */
extern const struct txctl_command txctl_help, txctl_version, txctl_completion;

#endif
