/* SPDX-License-Identifier: MIT */
/* cp: copies inside the store. */
#include <string.h>
#include <sys/stat.h>

#include "txctl/commands.h"

struct copy_job {
    struct txctl_context *context;
    struct ktm_txn *txn;
    bool recursive;
    bool preserve;
};

static enum tx_status copy_xattrs(struct copy_job *job, const char *from, const char *to,
                                  struct tx_error *err)
{
    AUTO_TEXT names = txctl_alloc(65536);
    AUTO_TEXT value = txctl_alloc(TXFS_XATTR_VALUE_MAX);
    size_t total = 65536;
    TRY(txfs_list_xattr(job->txn, from, names, &total, err));
    for (size_t at = 0; at < total; at += strlen(names + at) + 1) {
        size_t size = TXFS_XATTR_VALUE_MAX;
        TRY(txfs_get_xattr(job->txn, from, names + at, value, &size, err));
        TRY(txfs_set_xattr(job->txn, to, names + at, value, size, err));
    }
    return TX_OK;
}

static enum tx_status copy_attributes(struct copy_job *job, const char *from, const char *to,
                                      const struct txio_stat *stat, struct tx_error *err)
{
    struct txio_attr attr = {
        .mask = TXIO_ATTR_TIMES | TXIO_ATTR_OWNER | (S_ISLNK(stat->mode) ? 0 : TXIO_ATTR_MODE),
        .mode = stat->mode & 07777,
        .uid = stat->uid,
        .gid = stat->gid,
        .atime_ns = stat->atime_ns,
        .mtime_ns = stat->mtime_ns,
    };
    if (!S_ISLNK(stat->mode)) {
        TRY(copy_xattrs(job, from, to, err));
    }
    return txfs_set_attr(job->txn, to, &attr, err);
}

static enum tx_status copy_object(struct copy_job *job, const char *from, const char *to,
                                  struct tx_error *err);

static enum tx_status copy_directory(struct copy_job *job, const char *from, const char *to,
                                     const struct txio_stat *stat, struct tx_error *err)
{
    AUTO_NAMES names = {0};
    struct txio_stat present;
    size_t length = strlen(from);
    if (!job->recursive) {
        return tx_error_set(err, TX_EISDIR, "is a directory; try: txctl cp -r");
    }
    if (strncmp(to, from, length) == 0 && (to[length] == '/' || length == 0)) {
        return tx_error_set(err, TX_EINVAL, "a directory cannot be copied into itself");
    }
    TRY(txctl_list_names(job->txn, from, &names, err));
    enum tx_status status = txfs_stat(job->txn, to, &present, err);
    if (status == TX_ENOTFOUND) {
        status = txfs_mkdir(job->txn, to, stat->mode & 07777, err);
    }
    TRY(status);
    for (size_t i = 0; i < names.count; i++) {
        AUTO_TEXT inner_from = txctl_join(from, names.items[i].name);
        AUTO_TEXT inner_to = txctl_join(to, names.items[i].name);
        TRY(copy_object(job, inner_from, inner_to, err));
    }
    return TX_OK;
}

static enum tx_status copy_link(struct copy_job *job, const char *from, const char *to,
                                struct tx_error *err)
{
    char target[TXFS_PATH_MAX + 1];
    struct txio_stat present;
    TRY(txfs_readlink(job->txn, from, target, sizeof target, err));
    if (txfs_stat(job->txn, to, &present, err) == TX_OK) {
        TRY(txfs_unlink(job->txn, to, err));
    }
    return txfs_symlink(job->txn, target, to, err);
}

static enum tx_status copy_object(struct copy_job *job, const char *from, const char *to,
                                  struct tx_error *err)
{
    struct txio_stat stat;
    txctl_subject(job->context, from);
    TRY(txfs_stat(job->txn, from, &stat, err));
    if (S_ISDIR(stat.mode)) {
        TRY(copy_directory(job, from, to, &stat, err));
    } else if (S_ISLNK(stat.mode) && job->recursive) {
        TRY(copy_link(job, from, to, err));
    } else if (S_ISREG(stat.mode) || S_ISLNK(stat.mode)) {
        struct txio_stat present;
        if (strcmp(from, to) == 0 ||
            (txfs_stat(job->txn, to, &present, err) == TX_OK && present.ino != 0 &&
             present.ino == stat.ino && present.dev == stat.dev)) {
            return tx_error_set(err, TX_EINVAL, "both are the same file");
        }
        TRY(txctl_copy_inside(job->context, job->txn, from, to,
                              S_ISREG(stat.mode) ? stat.mode & 0777 : 0644, err));
    } else {
        return tx_error_set(err, TX_ENOTSUP, "devices, pipes and sockets are not copied");
    }
    return job->preserve ? copy_attributes(job, from, to, &stat, err) : TX_OK;
}

static enum tx_status run_cp(struct txctl_context *context,
                             const struct txctl_arguments *arguments, struct tx_error *err)
{
    const char *last = arguments->values[arguments->count - 1];
    struct copy_job job = {
        .context = context,
        .recursive = txctl_has(arguments, "recursive"),
        .preserve = txctl_has(arguments, "preserve"),
    };
    struct txio_stat stat;
    txctl_subject(context, last);
    TRY(txctl_txn(context, &job.txn, err));
    if (arguments->count > 2) {
        TRY(txfs_stat(job.txn, last, &stat, err));
        if (!S_ISDIR(stat.mode)) {
            return tx_error_set(err, TX_ENOTDIR, "not a directory");
        }
    }
    for (int i = 0; i + 1 < arguments->count; i++) {
        AUTO_TEXT target = NULL;
        txctl_subject(context, arguments->values[i]);
        TRY(txctl_target(job.txn, arguments->values[i], last, &target, err));
        TRY(copy_object(&job, arguments->values[i], target, err));
    }
    return TX_OK;
}

static const struct txctl_option options[] = {
    {"recursive", 'r', NULL, "directories with all that is in them"},
    {"preserve", 'p', NULL, "keep mode, owner, times and attributes"},
    {NULL, 0, NULL, NULL},
};

const struct txctl_command txctl_cp = {
    .group = "Files",
    .verb = "cp",
    .usage = "[-rp] SRC... DST",
    .summary = "copy inside the store",
    .example = "txctl cp -rp etc/app etc/app.before",
    .options = options,
    .flags = TXCTL_CHANGES,
    .count_min = 2,
    .count_max = TXCTL_ANY_COUNT,
    .run = run_cp,
};
