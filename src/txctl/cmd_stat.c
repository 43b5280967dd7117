/* SPDX-License-Identifier: MIT */
/* stat: all that is known of an object, attributes included. */
#include <string.h>

#include "txctl/commands.h"
#include "txctl/object.h"

#define XATTR_NAMES_SIZE 65536u

static void print_times(const struct txio_stat *stat)
{
    char text[TXCTL_TIME_TEXT];
    printf("access: %s\n", txctl_time_rfc3339(stat->atime_ns, text));
    printf("modified: %s\n", txctl_time_rfc3339(stat->mtime_ns, text));
    printf("changed: %s\n", txctl_time_rfc3339(stat->ctime_ns, text));
}

static void print_object(const struct txctl_context *context, const struct txctl_object *object)
{
    char mode[TXCTL_MODE_TEXT];
    char user[TXCTL_OWNER_TEXT];
    char group[TXCTL_OWNER_TEXT];
    const struct txio_stat *stat = &object->stat;
    fputs("path: ", stdout);
    txctl_put_name(context, object->path);
    printf("\ntype: %s\n", txctl_type_word(stat->mode));
    if (object->target) {
        fputs("target: ", stdout);
        txctl_put_name(context, object->target);
        putchar('\n');
    }
    printf("mode: %04o %s\n", stat->mode & 07777, txctl_mode_text(stat->mode, mode));
    printf("owner: %u:%u %s:%s\n", stat->uid, stat->gid, txctl_user_text(stat->uid, user),
           txctl_group_text(stat->gid, group));
    printf("size: %llu\nallocated: %llu\nlinks: %u\ninode: %llu\n",
           (unsigned long long)stat->size, (unsigned long long)stat->allocated, stat->nlink,
           (unsigned long long)stat->ino);
    print_times(stat);
}

static void add_json(json_t *json, const struct txio_stat *stat)
{
    json_object_set_new(json, "allocated", json_integer((json_int_t)stat->allocated));
    json_object_set_new(json, "atime", txctl_json_time(stat->atime_ns));
    json_object_set_new(json, "ctime", txctl_json_time(stat->ctime_ns));
}

/* Print the attributes, or add them to the array `json`. */
static enum tx_status give_xattrs(const struct txctl_context *context, struct ktm_txn *txn,
                                  const char *path, json_t *json, struct tx_error *err)
{
    AUTO_TEXT names = txctl_alloc(XATTR_NAMES_SIZE);
    AUTO_TEXT value = txctl_alloc(TXFS_XATTR_VALUE_MAX);
    size_t total = XATTR_NAMES_SIZE;
    TRY(txfs_list_xattr(txn, path, names, &total, err));
    for (size_t at = 0; at < total; at += strlen(names + at) + 1) {
        size_t size = TXFS_XATTR_VALUE_MAX;
        TRY(txfs_get_xattr(txn, path, names + at, value, &size, err));
        if (json) {
            json_t *row = json_object();
            json_object_set_new(row, "name", txctl_json_name(names + at));
            json_object_set_new(row, "value", txctl_json_bytes(value, size));
            json_array_append_new(json, row);
        } else {
            fputs("attribute ", stdout);
            txctl_put_name(context, names + at);
            fputs(": ", stdout);
            txctl_put_escaped(stdout, value, size, TXCTL_ESCAPE);
            putchar('\n');
        }
    }
    return TX_OK;
}

static enum tx_status stat_one(struct txctl_context *context, struct ktm_txn *txn,
                               const char *path, struct tx_error *err)
{
    AUTO_OBJECT object = {0};
    TRY(txctl_object_read(txn, path, &object, err));
    if (!context->globals.json) {
        print_object(context, &object);
        return give_xattrs(context, txn, path, NULL, err);
    }
    json_t *json = txctl_json_new();
    json_t *attributes = json_array();
    json_t *cells = txctl_object_json(&object);
    json_object_update(json, cells);
    json_decref(cells);
    add_json(json, &object.stat);
    json_object_set_new(json, "attributes", attributes);
    enum tx_status status = give_xattrs(context, txn, path, attributes, err);
    if (status == TX_OK) {
        txctl_json_print(json);
    } else {
        json_decref(json);
    }
    return status;
}

static enum tx_status run_stat(struct txctl_context *context,
                               const struct txctl_arguments *arguments, struct tx_error *err)
{
    struct ktm_txn *txn = NULL;
    for (int i = 0; i < arguments->count; i++) {
        txctl_subject(context, arguments->values[i]);
        TRY(txctl_txn(context, &txn, err));
        TRY(stat_one(context, txn, arguments->values[i], err));
    }
    return TX_OK;
}

const struct txctl_command txctl_stat = {
    .group = "Files",
    .verb = "stat",
    .usage = "PATH...",
    .summary = "all that is known of an object",
    .example = "txctl stat bin/app",
    .flags = TXCTL_READS,
    .count_min = 1,
    .count_max = TXCTL_ANY_COUNT,
    .run = run_stat,
};
