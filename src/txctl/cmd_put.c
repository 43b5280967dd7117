/* SPDX-License-Identifier: MIT */
/* put, get, cat: contents from and to ordinary files. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "txctl/commands.h"
#include "txctl/print.h"

#define NS_PER_S 1000000000

/* A date beyond what nanoseconds in 64 bits hold: the nearest that they do. */
static int64_t time_ns(const struct timespec *time)
{
    int64_t ns;
    if (__builtin_mul_overflow((int64_t)time->tv_sec, NS_PER_S, &ns) ||
        __builtin_add_overflow(ns, time->tv_nsec, &ns) || ns == INT64_MIN) {
        return time->tv_sec < 0 ? INT64_MIN + 1 : INT64_MAX;
    }
    return ns;
}

static enum tx_status preserve(struct ktm_txn *txn, const char *path, const struct stat *stat,
                               struct tx_error *err)
{
    struct txio_attr attr = {
        .mask = TXIO_ATTR_MODE | TXIO_ATTR_TIMES | (geteuid() == 0 ? TXIO_ATTR_OWNER : 0),
        .mode = stat->st_mode & 07777,
        .uid = stat->st_uid,
        .gid = stat->st_gid,
        .atime_ns = time_ns(&stat->st_atim),
        .mtime_ns = time_ns(&stat->st_mtim),
    };
    return txfs_set_attr(txn, path, &attr, err);
}

/* `source` NULL: standard input, which has no name of its own. */
static enum tx_status put_fd(struct txctl_context *context, int fd, const char *source,
                             const char *path, bool keep, struct tx_error *err)
{
    struct ktm_txn *txn = NULL;
    struct stat stat;
    AUTO_TEXT target = NULL;
    if (fstat(fd, &stat) != 0) {
        return tx_error_os(err, errno, "the source");
    }
    if (S_ISDIR(stat.st_mode)) {
        return tx_error_set(err, TX_EISDIR, "the source is a directory; try: txctl import");
    }
    mode_t mask = umask(0);
    umask(mask);
    uint32_t mode = (S_ISREG(stat.st_mode) ? stat.st_mode & 0777 : 0666) & ~mask;
    TRY(txctl_txn(context, &txn, err));
    if (source) {
        TRY(txctl_target(txn, source, path, &target, err));
    } else {
        target = txctl_copy(path);
    }
    txctl_subject(context, target);
    TRY(txctl_copy_in(context, txn, fd, target, mode, err));
    return keep ? preserve(txn, target, &stat, err) : TX_OK;
}

static enum tx_status run_put(struct txctl_context *context,
                              const struct txctl_arguments *arguments, struct tx_error *err)
{
    const char *source = arguments->values[0];
    int fd = STDIN_FILENO;
    bool named = strcmp(source, "-") != 0;
    txctl_subject(context, arguments->values[1]);
    if (named) {
        fd = open(source, O_RDONLY | O_CLOEXEC | O_NOCTTY);
        if (fd < 0) {
            AUTO_TEXT name = txctl_escaped(source);
            return tx_error_os(err, errno, "the source \"%s\"", name);
        }
    }
    enum tx_status status = put_fd(context, fd, named ? source : NULL, arguments->values[1],
                                   txctl_has(arguments, "preserve"), err);
    if (named) {
        close(fd); /* only read from */
    }
    return status;
}

static const struct txctl_option put_options[] = {
    {"preserve", 'p', NULL, "keep mode, times and, as root, owner of SRC"},
    {NULL, 0, NULL, NULL},
};

const struct txctl_command txctl_put = {
    .group = "Files",
    .verb = "put",
    .usage = "[-p] SRC|- PATH",
    .summary = "copy an ordinary file (or stdin) in",
    .example = "txctl put build/app bin/app",
    .options = put_options,
    .flags = TXCTL_CHANGES,
    .count_min = 2,
    .count_max = 2,
    .run = run_put,
};

static enum tx_status get_to_file(struct txctl_context *context, struct ktm_txn *txn,
                                  const char *path, const char *target, struct tx_error *err)
{
    struct txio_stat stat;
    struct stat present;
    AUTO_TEXT inside = NULL;
    TRY(txfs_stat(txn, path, &stat, err));
    if (S_ISDIR(stat.mode)) {
        return tx_error_set(err, TX_EISDIR, "is a directory");
    }
    if (lstat(target, &present) == 0 && S_ISDIR(present.st_mode)) {
        inside = txctl_text("%s/%s", target, txctl_basename(path));
        target = inside;
    }
    int fd = open(target, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC,
                  S_ISREG(stat.mode) ? stat.mode & 0777 : 0666);
    if (fd < 0) {
        AUTO_TEXT name = txctl_escaped(target);
        return tx_error_os(err, errno, "\"%s\"", name);
    }
    enum tx_status status = txctl_copy_out(context, txn, path, fd, err);
    if (close(fd) != 0 && status == TX_OK) {
        status = tx_error_os(err, errno, "write");
    }
    return status;
}

static enum tx_status copy_to_stdout(struct txctl_context *context, struct ktm_txn *txn,
                                     const char *path, struct tx_error *err)
{
    fflush(stdout); /* what other commands of a script printed comes first */
    return txctl_copy_out(context, txn, path, STDOUT_FILENO, err);
}

static enum tx_status run_get(struct txctl_context *context,
                              const struct txctl_arguments *arguments, struct tx_error *err)
{
    struct ktm_txn *txn = NULL;
    const char *target = arguments->values[1];
    txctl_subject(context, arguments->values[0]);
    TRY(txctl_txn(context, &txn, err));
    return strcmp(target, "-") == 0
               ? copy_to_stdout(context, txn, arguments->values[0], err)
               : get_to_file(context, txn, arguments->values[0], target, err);
}

const struct txctl_command txctl_get = {
    .group = "Files",
    .verb = "get",
    .usage = "PATH DST|-",
    .summary = "copy a file out to an ordinary one (or stdout)",
    .example = "txctl get etc/app.conf /tmp/app.conf",
    .flags = TXCTL_READS,
    .count_min = 2,
    .count_max = 2,
    .run = run_get,
};

static enum tx_status run_cat(struct txctl_context *context,
                              const struct txctl_arguments *arguments, struct tx_error *err)
{
    struct ktm_txn *txn = NULL;
    for (int i = 0; i < arguments->count; i++) {
        txctl_subject(context, arguments->values[i]);
        TRY(txctl_txn(context, &txn, err));
        TRY(copy_to_stdout(context, txn, arguments->values[i], err));
    }
    return TX_OK;
}

const struct txctl_command txctl_cat = {
    .group = "Files",
    .verb = "cat",
    .usage = "PATH...",
    .summary = "print files",
    .example = "txctl cat etc/app.conf",
    .flags = TXCTL_READS,
    .count_min = 1,
    .count_max = TXCTL_ANY_COUNT,
    .run = run_cat,
};
