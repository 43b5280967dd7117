/* SPDX-License-Identifier: MIT */
/* reg export: a key and all below it to a file. */
#include <errno.h>
#include <string.h>

#include "txctl/commands.h"
#include "txctl/reg_export.h"

static enum tx_status write_json(struct ktm_txn *txn, const char *key, FILE *out,
                                 struct tx_error *err)
{
    json_t *object = NULL;
    TRY(txctl_reg_tree_json(txn, key, &object, err));
    json_dumpf(object, out, JSON_INDENT(1) | JSON_ENSURE_ASCII);
    putc('\n', out);
    json_decref(object);
    return TX_OK;
}

/* Into memory first: a key that is missing must not leave an empty or half a file. */
static enum tx_status make_text(struct ktm_txn *txn, const char *key, bool json, bool lossless,
                                char **text, size_t *size, struct tx_error *err)
{
    FILE *out = txctl_stream(text, size);
    enum tx_status status = json ? write_json(txn, key, out, err)
                                 : txctl_reg5_write(txn, key, lossless, out, err);
    txctl_stream_end(out);
    return status;
}

static enum tx_status write_file(const char *name, const char *text, size_t size,
                                 struct tx_error *err)
{
    AUTO_TEXT escaped = txctl_escaped(name);
    FILE *file = fopen(name, "we");
    if (!file) {
        return tx_error_os(err, errno, "write \"%s\"", escaped);
    }
    bool failed = fwrite(text, 1, size, file) != size;
    int reason = errno;
    if (fclose(file) != 0 && !failed) {
        failed = true;
        reason = errno;
    }
    return failed ? tx_error_os(err, reason, "write \"%s\"", escaped) : TX_OK;
}

static enum tx_status run_export(struct txctl_context *context,
                                 const struct txctl_arguments *arguments, struct tx_error *err)
{
    struct ktm_txn *txn = NULL;
    AUTO_TEXT key = txctl_reg_path(arguments->values[0]);
    AUTO_TEXT text = NULL;
    size_t size = 0;
    const char *file = arguments->count > 1 ? arguments->values[1] : "-";
    const char *format = txctl_given(arguments, "format");
    bool json = format ? strcmp(format, "json") == 0 : context->globals.json;
    txctl_subject(context, key);
    if (format && !json && strcmp(format, "reg5") != 0) {
        return txctl_usage(err, "--format reg5 or json; \"%s\" is not in this version", format);
    }
    TRY(txctl_txn(context, &txn, err));
    TRY(make_text(txn, key, json, txctl_has(arguments, "lossless"), &text, &size, err));
    if (strcmp(file, "-") == 0) {
        fwrite(text, 1, size, stdout);
        return TX_OK;
    }
    return write_file(file, text, size, err);
}

static const struct txctl_option options[] = {
    {"format", 0, "reg5|json", "text of regedit (default), or JSON with the exact bytes"},
    {"lossless", 0, NULL, "reg5: keep what regedit would lose, too"},
    {NULL, 0, NULL, NULL},
};

const struct txctl_command txctl_reg_export = {
    .group = "Registry",
    .verb = "reg export",
    .usage = "KEY [FILE|-] [--format reg5|json] [--lossless]",
    .summary = "a key and all below it as .reg text or JSON",
    .example = "txctl reg export Software/App app.reg",
    .options = options,
    .flags = TXCTL_READS,
    .count_min = 1,
    .count_max = 2,
    .run = run_export,
};
