/* SPDX-License-Identifier: MIT */
/* rm, rmdir, mkdir. */
#include <string.h>
#include <sys/stat.h>

#include "txctl/commands.h"

static enum tx_status remove_one(struct ktm_txn *txn, const char *path, bool recursive, bool force,
                                 struct tx_error *err)
{
    struct txio_stat stat;
    enum tx_status status = txfs_stat(txn, path, &stat, err);
    if (status == TX_ENOTFOUND && force) {
        return TX_OK;
    }
    TRY(status);
    if (!S_ISDIR(stat.mode)) {
        return txfs_unlink(txn, path, err);
    }
    return recursive ? txfs_remove_tree(txn, path, err)
                     : tx_error_set(err, TX_EISDIR, "is a directory; try: txctl rm -r");
}

static enum tx_status run_rm(struct txctl_context *context,
                             const struct txctl_arguments *arguments, struct tx_error *err)
{
    struct ktm_txn *txn = NULL;
    bool recursive = txctl_has(arguments, "recursive");
    bool force = txctl_has(arguments, "force");
    for (int i = 0; i < arguments->count; i++) {
        txctl_subject(context, arguments->values[i]);
        TRY(txctl_txn(context, &txn, err));
        TRY(remove_one(txn, arguments->values[i], recursive, force, err));
    }
    return TX_OK;
}

static const struct txctl_option rm_options[] = {
    {"recursive", 'r', NULL, "directories with all that is in them"},
    {"force", 'f', NULL, "what does not exist is no error"},
    {NULL, 0, NULL, NULL},
};

const struct txctl_command txctl_rm = {
    .group = "Files",
    .verb = "rm",
    .usage = "[-rf] PATH...",
    .summary = "remove",
    .example = "txctl rm -r opt/app-1.0",
    .options = rm_options,
    .flags = TXCTL_CHANGES,
    .count_min = 1,
    .count_max = TXCTL_ANY_COUNT,
    .run = run_rm,
};

static enum tx_status run_rmdir(struct txctl_context *context,
                                const struct txctl_arguments *arguments, struct tx_error *err)
{
    struct ktm_txn *txn = NULL;
    for (int i = 0; i < arguments->count; i++) {
        txctl_subject(context, arguments->values[i]);
        TRY(txctl_txn(context, &txn, err));
        TRY(txfs_rmdir(txn, arguments->values[i], err));
    }
    return TX_OK;
}

const struct txctl_command txctl_rmdir = {
    .group = "Files",
    .verb = "rmdir",
    .usage = "PATH...",
    .summary = "remove empty directories",
    .flags = TXCTL_CHANGES,
    .count_min = 1,
    .count_max = TXCTL_ANY_COUNT,
    .run = run_rmdir,
};

static enum tx_status run_mkdir(struct txctl_context *context,
                                const struct txctl_arguments *arguments, struct tx_error *err)
{
    struct ktm_txn *txn = NULL;
    const char *text = txctl_given(arguments, "mode");
    bool parents = txctl_has(arguments, "parents");
    mode_t mask = umask(0);
    umask(mask);
    uint32_t mode = 0777 & ~mask;
    if (text) {
        TRY(txctl_mode(text, S_IFDIR | 0777, &mode, err));
    }
    for (int i = 0; i < arguments->count; i++) {
        const char *path = arguments->values[i];
        txctl_subject(context, path);
        TRY(txctl_txn(context, &txn, err));
        TRY(parents ? txfs_mkdir_parents(txn, path, mode, err) : txfs_mkdir(txn, path, mode, err));
    }
    return TX_OK;
}

static const struct txctl_option mkdir_options[] = {
    {"parents", 'p', NULL, "make what is missing above, too; what exists is no error"},
    {"mode", 'm', "MODE", "instead of 0777 less the umask"},
    {NULL, 0, NULL, NULL},
};

const struct txctl_command txctl_mkdir = {
    .group = "Files",
    .verb = "mkdir",
    .usage = "[-p] [-m MODE] PATH...",
    .summary = "make directories",
    .example = "txctl mkdir -p etc/app/conf.d",
    .options = mkdir_options,
    .flags = TXCTL_CHANGES,
    .count_min = 1,
    .count_max = TXCTL_ANY_COUNT,
    .run = run_mkdir,
};
