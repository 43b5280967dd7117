/* SPDX-License-Identifier: MIT */
/* ls: what a directory holds, in the transaction's view or the committed one. */
#include <string.h>
#include <sys/stat.h>

#include "txctl/commands.h"
#include "txctl/object.h"

struct ls_job {
    struct txctl_context *context;
    struct ktm_txn *txn;
    bool long_lines;
    bool recursive;
    bool itself; /* -d */
    bool titles; /* several directories: each has a heading */
    bool printed;
    json_t *rows;
};

static void print_long(const struct txctl_object *object)
{
    char mode[TXCTL_MODE_TEXT];
    char user[TXCTL_OWNER_TEXT];
    char group[TXCTL_OWNER_TEXT];
    char time[TXCTL_TIME_TEXT];
    const struct txio_stat *stat = &object->stat;
    printf("%s %3u %-8s %-8s %10llu %s ", txctl_mode_text(stat->mode, mode), stat->nlink,
           txctl_user_text(stat->uid, user), txctl_group_text(stat->gid, group),
           (unsigned long long)stat->size, txctl_time_text(stat->mtime_ns, time));
}

/* One object; `name` is how it is called here. */
static enum tx_status list_object(struct ls_job *job, const char *path, const char *name,
                                  struct tx_error *err)
{
    AUTO_OBJECT object = {0};
    job->printed = true;
    if (!job->long_lines && !job->rows) {
        txctl_put_plain_name(job->context, name);
        return TX_OK;
    }
    TRY(txctl_object_read(job->txn, path, &object, err));
    if (job->rows) {
        json_array_append_new(job->rows, txctl_object_json(&object));
        return TX_OK;
    }
    print_long(&object);
    txctl_put_name(job->context, name);
    if (object.target) {
        fputs(" -> ", stdout);
        txctl_put_name(job->context, object.target);
    }
    putchar(txctl_line_end(job->context));
    return TX_OK;
}

static bool is_directory(const struct ls_job *job, const char *path)
{
    struct txio_stat stat;
    return txfs_stat(job->txn, path, &stat, NULL) == TX_OK && S_ISDIR(stat.mode);
}

static enum tx_status list_directory(struct ls_job *job, const char *path, struct tx_error *err)
{
    AUTO_NAMES names = {0};
    TRY(txctl_list_names(job->txn, path, &names, err));
    if (job->titles && !job->rows) {
        if (job->printed) {
            putchar(txctl_line_end(job->context));
        }
        txctl_put_name(job->context, path);
        putchar(':');
        putchar(txctl_line_end(job->context));
        job->printed = true;
    }
    for (size_t i = 0; i < names.count; i++) {
        AUTO_TEXT inner = txctl_join(path, names.items[i].name);
        TRY(list_object(job, inner, names.items[i].name, err));
    }
    for (size_t i = 0; i < names.count && job->recursive; i++) {
        AUTO_TEXT inner = txctl_join(path, names.items[i].name);
        if (is_directory(job, inner)) {
            TRY(list_directory(job, inner, err));
        }
    }
    return TX_OK;
}

static enum tx_status list_argument(struct ls_job *job, const char *path, struct tx_error *err)
{
    struct txio_stat stat;
    txctl_subject(job->context, path);
    TRY(txctl_txn(job->context, &job->txn, err));
    TRY(txfs_stat(job->txn, path, &stat, err));
    return S_ISDIR(stat.mode) && !job->itself ? list_directory(job, path, err)
                                              : list_object(job, path, path, err);
}

static enum tx_status run_ls(struct txctl_context *context,
                             const struct txctl_arguments *arguments, struct tx_error *err)
{
    struct ls_job job = {
        .context = context,
        .long_lines = txctl_has(arguments, "long"),
        .recursive = txctl_has(arguments, "recursive"),
        .itself = txctl_has(arguments, "directory"),
        .titles = txctl_has(arguments, "recursive") || arguments->count > 1,
        .rows = context->globals.json ? json_array() : NULL,
    };
    enum tx_status status = arguments->count == 0 ? list_argument(&job, ".", err) : TX_OK;
    for (int i = 0; i < arguments->count && status == TX_OK; i++) {
        status = list_argument(&job, arguments->values[i], err);
    }
    if (job.rows && status == TX_OK) {
        json_t *object = txctl_json_new();
        json_object_set(object, "entries", job.rows);
        txctl_json_print(object);
    }
    json_decref(job.rows);
    return status;
}

static const struct txctl_option options[] = {
    {"long", 'l', NULL, "mode, owner, size, time"},
    {"recursive", 'R', NULL, "and what is below"},
    {"directory", 'd', NULL, "a directory itself, not what is in it"},
    {NULL, 0, NULL, NULL},
};

const struct txctl_command txctl_ls = {
    .group = "Files",
    .verb = "ls",
    .usage = "[-lRd] [PATH...]",
    .summary = "list, in byte order of the names",
    .example = "txctl ls -l etc/app",
    .options = options,
    .flags = TXCTL_READS,
    .count_max = TXCTL_ANY_COUNT,
    .run = run_ls,
};
