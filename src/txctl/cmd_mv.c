/* SPDX-License-Identifier: MIT */
/* mv, ln: other names. */
#include <string.h>
#include <sys/stat.h>

#include "txctl/commands.h"

static enum tx_status need_directory(struct ktm_txn *txn, const char *path, struct tx_error *err)
{
    struct txio_stat stat;
    TRY(txfs_stat(txn, path, &stat, err));
    return S_ISDIR(stat.mode) ? TX_OK : tx_error_set(err, TX_ENOTDIR, "not a directory");
}

static enum tx_status run_mv(struct txctl_context *context,
                             const struct txctl_arguments *arguments, struct tx_error *err)
{
    struct ktm_txn *txn = NULL;
    const char *last = arguments->values[arguments->count - 1];
    unsigned flags = txctl_has(arguments, "exchange")     ? TXIO_EXCHANGE
                     : txctl_has(arguments, "no-clobber") ? TXIO_NOREPLACE
                                                          : TXIO_REPLACE;
    txctl_subject(context, last);
    TRY(txctl_txn(context, &txn, err));
    if (flags == TXIO_EXCHANGE) {
        return arguments->count == 2
                   ? txfs_rename(txn, arguments->values[0], last, flags, err)
                   : txctl_usage(err, "--exchange takes two paths");
    }
    if (arguments->count > 2) {
        TRY(need_directory(txn, last, err));
    }
    for (int i = 0; i + 1 < arguments->count; i++) {
        AUTO_TEXT target = NULL;
        txctl_subject(context, arguments->values[i]);
        TRY(txctl_target(txn, arguments->values[i], last, &target, err));
        TRY(txfs_rename(txn, arguments->values[i], target, flags, err));
    }
    return TX_OK;
}

static const struct txctl_option mv_options[] = {
    {"no-clobber", 'n', NULL, "fail when DST exists"},
    {"exchange", 0, NULL, "SRC and DST change places"},
    {NULL, 0, NULL, NULL},
};

const struct txctl_command txctl_mv = {
    .group = "Files",
    .verb = "mv",
    .usage = "[-n] SRC... DST",
    .summary = "move or rename",
    .example = "txctl mv etc/app.conf.new etc/app.conf",
    .options = mv_options,
    .flags = TXCTL_CHANGES,
    .count_min = 2,
    .count_max = TXCTL_ANY_COUNT,
    .run = run_mv,
};

static enum tx_status run_ln(struct txctl_context *context,
                             const struct txctl_arguments *arguments, struct tx_error *err)
{
    struct ktm_txn *txn = NULL;
    struct txio_stat stat;
    AUTO_TEXT path = NULL;
    const char *target = arguments->values[0];
    const char *name = arguments->count > 1 ? arguments->values[1] : txctl_basename(target);
    txctl_subject(context, name);
    TRY(txctl_txn(context, &txn, err));
    TRY(txctl_target(txn, target, name, &path, err));
    txctl_subject(context, path);
    if (txctl_has(arguments, "force") && txfs_stat(txn, path, &stat, err) == TX_OK &&
        !S_ISDIR(stat.mode)) {
        TRY(txfs_unlink(txn, path, err));
    }
    return txctl_has(arguments, "symbolic") ? txfs_symlink(txn, target, path, err)
                                            : txfs_link(txn, target, path, err);
}

static const struct txctl_option ln_options[] = {
    {"symbolic", 's', NULL, "a symbolic link that holds TARGET as it is written"},
    {"force", 'f', NULL, "replace what stands there"},
    {NULL, 0, NULL, NULL},
};

const struct txctl_command txctl_ln = {
    .group = "Files",
    .verb = "ln",
    .usage = "[-sf] TARGET [PATH]",
    .summary = "a second name for a file, or a symbolic link",
    .example = "txctl ln -s app-2.0 opt/app",
    .options = ln_options,
    .flags = TXCTL_CHANGES,
    .count_min = 1,
    .count_max = 2,
    .run = run_ln,
};
