/* SPDX-License-Identifier: MIT */
/* chmod, chown, touch: attributes. */
#include <grp.h>
#include <pwd.h>
#include <string.h>
#include <sys/stat.h>

#include "txctl/commands.h"

/* What is done to each object; filled in for every one of them. */
struct attr_job {
    struct txctl_context *context;
    struct ktm_txn *txn;
    bool recursive;
    const char *mode; /* chmod */
    uint32_t uid, gid; /* chown; TXFS_KEEP_ID */
};

static enum tx_status change_one(struct attr_job *job, const char *path,
                                 const struct txio_stat *stat, struct tx_error *err)
{
    struct txio_attr attr = {
        .mode = TXFS_KEEP_MODE,
        .uid = job->uid,
        .gid = job->gid,
        .atime_ns = TXFS_KEEP_TIME,
        .mtime_ns = TXFS_KEEP_TIME,
    };
    if (!job->mode) {
        attr.mask = TXIO_ATTR_OWNER;
        attr.uid = job->uid == TXFS_KEEP_ID ? stat->uid : job->uid;
        attr.gid = job->gid == TXFS_KEEP_ID ? stat->gid : job->gid;
    } else if (S_ISLNK(stat->mode)) {
        return TX_OK; /* has no mode of its own */
    } else {
        attr.mask = TXIO_ATTR_MODE;
        TRY(txctl_mode(job->mode, stat->mode, &attr.mode, err));
    }
    return txfs_set_attr(job->txn, path, &attr, err);
}

static enum tx_status change_tree(struct attr_job *job, const char *path, struct tx_error *err)
{
    struct txio_stat stat;
    AUTO_NAMES names = {0};
    txctl_subject(job->context, path);
    TRY(txfs_stat(job->txn, path, &stat, err));
    if (S_ISDIR(stat.mode) && job->recursive) {
        TRY(txctl_list_names(job->txn, path, &names, err));
    }
    TRY(change_one(job, path, &stat, err));
    for (size_t i = 0; i < names.count; i++) {
        AUTO_TEXT inner = txctl_join(path, names.items[i].name);
        TRY(change_tree(job, inner, err));
    }
    return TX_OK;
}

static enum tx_status change_all(struct attr_job *job, const struct txctl_arguments *arguments,
                                 struct tx_error *err)
{
    for (int i = 1; i < arguments->count; i++) {
        txctl_subject(job->context, arguments->values[i]);
        TRY(txctl_txn(job->context, &job->txn, err));
        TRY(change_tree(job, arguments->values[i], err));
    }
    return TX_OK;
}

static const struct txctl_option tree_options[] = {
    {"recursive", 'R', NULL, "and all that is below"},
    {NULL, 0, NULL, NULL},
};

static enum tx_status run_chmod(struct txctl_context *context,
                                const struct txctl_arguments *arguments, struct tx_error *err)
{
    struct attr_job job = {
        .context = context,
        .recursive = txctl_has(arguments, "recursive"),
        .mode = arguments->values[0],
        .uid = TXFS_KEEP_ID,
        .gid = TXFS_KEEP_ID,
    };
    uint32_t ignored = 0;
    TRY(txctl_mode(job.mode, S_IFREG, &ignored, err)); /* before anything is opened */
    return change_all(&job, arguments, err);
}

const struct txctl_command txctl_chmod = {
    .group = "Files",
    .verb = "chmod",
    .usage = "[-R] MODE PATH...",
    .summary = "change modes: 644, u+x,go-w",
    .example = "txctl chmod u+x,go-w bin/app",
    .options = tree_options,
    .flags = TXCTL_CHANGES,
    .count_min = 2,
    .count_max = TXCTL_ANY_COUNT,
    .run = run_chmod,
};

static enum tx_status parse_id(const char *text, const char *what, const uint32_t *known,
                               uint32_t *id, struct tx_error *err)
{
    uint64_t number = 0;
    if (known) {
        *id = *known;
        return TX_OK;
    }
    if (txctl_number(text, &number, err) != TX_OK || number >= TXFS_KEEP_ID) {
        return txctl_usage(err, "no %s \"%s\"", what, text);
    }
    *id = (uint32_t)number;
    return TX_OK;
}

/* "user", "user:group", ":group", "user:" (the user's own group). */
static enum tx_status parse_owner(const char *text, struct attr_job *job, struct tx_error *err)
{
    const char *colon = strchr(text, ':');
    AUTO_TEXT user = colon ? strndup(text, (size_t)(colon - text)) : txctl_copy(text);
    const struct passwd *account = user[0] != '\0' ? getpwnam(user) : NULL;
    if (user[0] != '\0') {
        TRY(parse_id(user, "user", account ? &account->pw_uid : NULL, &job->uid, err));
    }
    if (colon && colon[1] != '\0') {
        const struct group *group = getgrnam(colon + 1);
        TRY(parse_id(colon + 1, "group", group ? &group->gr_gid : NULL, &job->gid, err));
    } else if (colon && account) {
        job->gid = account->pw_gid;
    }
    return TX_OK;
}

static enum tx_status run_chown(struct txctl_context *context,
                                const struct txctl_arguments *arguments, struct tx_error *err)
{
    struct attr_job job = {
        .context = context,
        .recursive = txctl_has(arguments, "recursive"),
        .uid = TXFS_KEEP_ID,
        .gid = TXFS_KEEP_ID,
    };
    TRY(parse_owner(arguments->values[0], &job, err));
    return change_all(&job, arguments, err);
}

const struct txctl_command txctl_chown = {
    .group = "Files",
    .verb = "chown",
    .usage = "[-R] USER[:GROUP] PATH...",
    .summary = "change owner and group",
    .example = "txctl chown -R app:app srv/app",
    .options = tree_options,
    .flags = TXCTL_CHANGES,
    .count_min = 2,
    .count_max = TXCTL_ANY_COUNT,
    .run = run_chown,
};

static enum tx_status touch_one(struct ktm_txn *txn, const char *path,
                                const struct txctl_arguments *arguments, int64_t time_ns,
                                struct tx_error *err)
{
    struct txio_stat stat;
    bool only_access = txctl_has(arguments, "access") && !txctl_has(arguments, "modified");
    bool only_modified = txctl_has(arguments, "modified") && !txctl_has(arguments, "access");
    struct txio_attr attr = {
        .mask = TXIO_ATTR_TIMES,
        .mode = TXFS_KEEP_MODE,
        .uid = TXFS_KEEP_ID,
        .gid = TXFS_KEEP_ID,
        .atime_ns = only_modified ? TXFS_KEEP_TIME : time_ns,
        .mtime_ns = only_access ? TXFS_KEEP_TIME : time_ns,
    };
    enum tx_status status = txfs_stat(txn, path, &stat, err);
    if (status == TX_ENOTFOUND) {
        if (txctl_has(arguments, "no-create")) {
            return TX_OK;
        }
        mode_t mask = umask(0);
        umask(mask);
        struct txfs_file *file = NULL;
        TRY(txfs_open(txn, path, TXFS_WRITE | TXFS_CREATE, 0666 & ~mask, &file, err));
        status = txfs_close(file, err);
    }
    TRY(status);
    return txfs_set_attr(txn, path, &attr, err);
}

static enum tx_status run_touch(struct txctl_context *context,
                                const struct txctl_arguments *arguments, struct tx_error *err)
{
    struct ktm_txn *txn = NULL;
    const char *date = txctl_given(arguments, "date");
    const char *reference = txctl_given(arguments, "reference");
    int64_t time = 0;
    TRY(txctl_time(date ? date : "now", &time, err));
    for (int i = 0; i < arguments->count; i++) {
        struct txio_stat stat;
        txctl_subject(context, arguments->values[i]);
        TRY(txctl_txn(context, &txn, err));
        if (reference) {
            TRY(txfs_stat(txn, reference, &stat, err));
            time = stat.mtime_ns;
        }
        TRY(touch_one(txn, arguments->values[i], arguments, time, err));
    }
    return TX_OK;
}

static const struct txctl_option touch_options[] = {
    {"no-create", 'c', NULL, "leave what does not exist alone"},
    {"date", 'd', "TIME", "\"2026-01-31 12:00:00\", \"@1700000000.5\"; default: now"},
    {"reference", 'r', "PATH", "the modification time of this file of the store"},
    {"access", 'a', NULL, "only the time of access"},
    {"modified", 'm', NULL, "only the time of modification"},
    {NULL, 0, NULL, NULL},
};

const struct txctl_command txctl_touch = {
    .group = "Files",
    .verb = "touch",
    .usage = "[OPTION...] PATH...",
    .summary = "set times; make an empty file where there is none",
    .example = "txctl touch -d @0 etc/app.conf",
    .options = touch_options,
    .flags = TXCTL_CHANGES,
    .count_min = 1,
    .count_max = TXCTL_ANY_COUNT,
    .run = run_touch,
};
