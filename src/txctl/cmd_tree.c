/* SPDX-License-Identifier: MIT */
/* tree: a directory and all below it, drawn. */
#include <langinfo.h>
#include <string.h>
#include <sys/stat.h>

#include "txctl/commands.h"
#include "txctl/object.h"

#define PREFIX_SIZE 8192

struct tree_job {
    struct txctl_context *context;
    struct ktm_txn *txn;
    char prefix[PREFIX_SIZE]; /* what stands before a line: the branches above */
    bool unicode;
    json_t *rows;
    uint64_t directories, others;
};

static void print_line(struct tree_job *job, const struct txctl_object *object, const char *name,
                       bool last)
{
    const char *branch = job->unicode ? (last ? "└── " : "├── ") : (last ? "`-- " : "|-- ");
    fputs(job->prefix, stdout);
    fputs(branch, stdout);
    txctl_put_name(job->context, name);
    if (object->target) {
        fputs(" -> ", stdout);
        txctl_put_name(job->context, object->target);
    }
    putchar(txctl_line_end(job->context));
}

static enum tx_status draw_directory(struct tree_job *job, const char *path, struct tx_error *err);

static enum tx_status draw_object(struct tree_job *job, const char *path, const char *name,
                                  bool last, struct tx_error *err)
{
    AUTO_OBJECT object = {0};
    TRY(txctl_object_read(job->txn, path, &object, err));
    if (job->rows) {
        json_array_append_new(job->rows, txctl_object_json(&object));
    } else {
        print_line(job, &object, name, last);
    }
    if (!S_ISDIR(object.stat.mode)) {
        job->others++;
        return TX_OK;
    }
    job->directories++;
    size_t length = strlen(job->prefix);
    snprintf(job->prefix + length, PREFIX_SIZE - length, "%s",
             last ? "    " : job->unicode ? "│   " : "|   ");
    enum tx_status status = draw_directory(job, path, err);
    job->prefix[length] = '\0';
    return status;
}

static enum tx_status draw_directory(struct tree_job *job, const char *path, struct tx_error *err)
{
    AUTO_NAMES names = {0};
    TRY(txctl_list_names(job->txn, path, &names, err));
    for (size_t i = 0; i < names.count; i++) {
        AUTO_TEXT inner = txctl_join(path, names.items[i].name);
        TRY(draw_object(job, inner, names.items[i].name, i + 1 == names.count, err));
    }
    return TX_OK;
}

static void finish_tree(struct tree_job *job)
{
    if (job->rows) {
        json_t *object = txctl_json_new();
        json_object_set(object, "entries", job->rows);
        txctl_json_print(object);
    } else if (!job->context->globals.quiet && !job->context->globals.null_ends) {
        printf("\n%llu directories, %llu files\n", (unsigned long long)job->directories,
               (unsigned long long)job->others);
    }
}

static enum tx_status run_tree(struct txctl_context *context,
                               const struct txctl_arguments *arguments, struct tx_error *err)
{
    const char *path = arguments->count > 0 ? arguments->values[0] : ".";
    struct tree_job job = {
        .context = context,
        .unicode = strcmp(nl_langinfo(CODESET), "UTF-8") == 0,
        .rows = context->globals.json ? json_array() : NULL,
    };
    txctl_subject(context, path);
    enum tx_status status = txctl_txn(context, &job.txn, err);
    if (status == TX_OK && !job.rows) {
        txctl_put_name(context, path);
        putchar(txctl_line_end(context));
    }
    if (status == TX_OK) {
        status = draw_directory(&job, path, err);
    }
    if (status == TX_OK) {
        finish_tree(&job);
    }
    json_decref(job.rows);
    return status;
}

const struct txctl_command txctl_tree = {
    .group = "Files",
    .verb = "tree",
    .usage = "[PATH]",
    .summary = "a directory and all below it, drawn",
    .example = "txctl tree etc",
    .flags = TXCTL_READS,
    .count_max = 1,
    .run = run_tree,
};
