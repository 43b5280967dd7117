/* SPDX-License-Identifier: MIT */
/* truncate, setfattr: a file's size, its extended attributes. */
#include <string.h>
#include <sys/stat.h>

#include "txctl/commands.h"
#include "txctl/print.h"

/* "100", "1M", "+10", "-10": of the present size. */
static enum tx_status new_size(const char *text, uint64_t present, uint64_t *size,
                               struct tx_error *err)
{
    uint64_t number = 0;
    bool more = text[0] == '+';
    bool less = text[0] == '-';
    TRY(txctl_size(text + (more || less), &number, err));
    if (more && number > (uint64_t)INT64_MAX - present) {
        return txctl_usage(err, "\"%s\" is too large", text);
    }
    *size = more ? present + number : !less ? number : number < present ? present - number : 0;
    return TX_OK;
}

static enum tx_status truncate_one(struct ktm_txn *txn, const char *path, const char *text,
                                   bool create, struct tx_error *err)
{
    struct txio_stat stat = {0};
    uint64_t size = 0;
    enum tx_status status = txfs_stat(txn, path, &stat, err);
    if (status == TX_ENOTFOUND && !create) {
        return TX_OK;
    }
    if (status == TX_ENOTFOUND) {
        mode_t mask = umask(0);
        umask(mask);
        struct txfs_file *file = NULL;
        TRY(txfs_open(txn, path, TXFS_WRITE | TXFS_CREATE, 0666 & ~mask, &file, err));
        status = txfs_close(file, err);
    }
    TRY(status);
    TRY(new_size(text, stat.size, &size, err));
    return txfs_truncate(txn, path, size, err);
}

static enum tx_status run_truncate(struct txctl_context *context,
                                   const struct txctl_arguments *arguments, struct tx_error *err)
{
    struct ktm_txn *txn = NULL;
    uint64_t ignored = 0;
    const char *size = txctl_given(arguments, "size");
    if (!size) {
        return txctl_usage(err, "--size is wanted");
    }
    TRY(new_size(size, 0, &ignored, err)); /* before anything is opened */
    for (int i = 0; i < arguments->count; i++) {
        txctl_subject(context, arguments->values[i]);
        TRY(txctl_txn(context, &txn, err));
        TRY(truncate_one(txn, arguments->values[i], size, !txctl_has(arguments, "no-create"), err));
    }
    return TX_OK;
}

static const struct txctl_option truncate_options[] = {
    {"size", 's', "SIZE", "4096, 64K, 1M; +SIZE, -SIZE: more, less than now"},
    {"no-create", 'c', NULL, "leave what does not exist alone"},
    {NULL, 0, NULL, NULL},
};

const struct txctl_command txctl_truncate = {
    .group = "Files",
    .verb = "truncate",
    .usage = "-s SIZE PATH...",
    .summary = "cut or extend files",
    .example = "txctl truncate -s 0 var/app.log",
    .options = truncate_options,
    .flags = TXCTL_CHANGES,
    .count_min = 1,
    .count_max = TXCTL_ANY_COUNT,
    .run = run_truncate,
};

/* As setfattr(1): 0x and hexadecimal digits, 0s and base64, else a text (maybe in quotes). */
static enum tx_status xattr_value(const char *text, uint8_t **value, size_t *size,
                                  struct tx_error *err)
{
    size_t length = strlen(text);
    if (strncmp(text, "0x", 2) == 0 || strncmp(text, "0X", 2) == 0) {
        *value = txctl_hex_decode(text + 2, length - 2, size);
    } else if (strncmp(text, "0s", 2) == 0 || strncmp(text, "0S", 2) == 0) {
        *value = txctl_base64_decode(text + 2, size);
    } else if (length >= 2 && text[0] == '"' && text[length - 1] == '"') {
        *value = (uint8_t *)strndup(text + 1, length - 2);
        *size = length - 2;
    } else {
        *value = (uint8_t *)strdup(text);
        *size = length;
    }
    return *value ? TX_OK : txctl_usage(err, "\"%s\" is no value; 0x... and 0s... take digits",
                                        text);
}

static enum tx_status run_setfattr(struct txctl_context *context,
                                   const struct txctl_arguments *arguments, struct tx_error *err)
{
    struct ktm_txn *txn = NULL;
    const char *name = txctl_given(arguments, "name");
    const char *gone = txctl_given(arguments, "remove");
    const char *text = txctl_given(arguments, "value");
    uint8_t *value = NULL;
    size_t size = 0;
    if (!name == !gone) {
        return txctl_usage(err, "one of --name and --remove is wanted");
    }
    TRY(xattr_value(text ? text : "", &value, &size, err));
    enum tx_status status = TX_OK;
    for (int i = 0; i < arguments->count && status == TX_OK; i++) {
        txctl_subject(context, arguments->values[i]);
        status = txctl_txn(context, &txn, err);
        if (status == TX_OK) {
            status = gone ? txfs_remove_xattr(txn, arguments->values[i], gone, err)
                          : txfs_set_xattr(txn, arguments->values[i], name, value, size, err);
        }
    }
    free(value);
    return status;
}

static const struct txctl_option setfattr_options[] = {
    {"name", 'n', "NAME", "set this attribute: user.colour"},
    {"value", 'v', "VALUE", "text, 0x hexadecimal, 0s base64; default: empty"},
    {"remove", 'x', "NAME", "remove this attribute"},
    {NULL, 0, NULL, NULL},
};

const struct txctl_command txctl_setfattr = {
    .group = "Files",
    .verb = "setfattr",
    .usage = "-n NAME [-v VALUE] PATH... | -x NAME PATH...",
    .summary = "set or remove an extended attribute",
    .example = "txctl setfattr -n user.origin -v build-17 bin/app",
    .options = setfattr_options,
    .flags = TXCTL_CHANGES,
    .count_min = 1,
    .count_max = TXCTL_ANY_COUNT,
    .run = run_setfattr,
};
