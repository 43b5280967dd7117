/* SPDX-License-Identifier: MIT */
/* import, apply: a directory or a tar archive as changes. */
#include <ftw.h>
#include <string.h>
#include <sys/stat.h>

#include "txctl/commands.h"
#include "txctl/print.h"

static struct {
    uint64_t files, bytes;
} scanned; /* nftw gives its callback no argument */

static int scan_one(const char *path, const struct stat *stat, int kind, struct FTW *place)
{
    (void)path;
    (void)kind;
    (void)place;
    scanned.files++;
    scanned.bytes += S_ISREG(stat->st_mode) ? (uint64_t)stat->st_size : 0;
    return 0;
}

static void show_progress(void *arg, const struct tximport_progress *progress)
{
    txctl_progress_at(arg, progress->entries, progress->bytes);
}

static uint32_t import_flags(const struct txctl_arguments *arguments)
{
    return (txctl_has(arguments, "mirror") ? (uint32_t)TXIMPORT_MIRROR : 0) |
           (txctl_has(arguments, "owner") ? (uint32_t)TXIMPORT_OWNER : 0) |
           (txctl_has(arguments, "set-id") ? (uint32_t)TXIMPORT_SETID : 0);
}

/* To the library 0 means its own limits. */
static enum tx_status import_limits(const struct txctl_arguments *arguments,
                                    struct tximport_options *options, struct tx_error *err)
{
    const char *bytes = txctl_given(arguments, "max-bytes");
    const char *entries = txctl_given(arguments, "max-entries");
    if (bytes) {
        TRY(txctl_size(bytes, &options->bytes_max, err));
    }
    if (entries) {
        TRY(txctl_number(entries, &options->entries_max, err));
    }
    if ((bytes && options->bytes_max == 0) || (entries && options->entries_max == 0)) {
        return tx_error_set(err, TX_EINVAL, "a limit of 0 lets nothing in");
    }
    return TX_OK;
}

static void give_counts(struct txctl_context *context, const struct tximport_counts *counts)
{
    const struct {
        const char *name;
        uint64_t count;
    } list[] = {
        {"added", counts->added},         {"replaced", counts->replaced},
        {"removed", counts->removed},     {"unchanged", counts->unchanged},
        {"links", counts->links},         {"bytes", counts->bytes},
    };
    char size[TXCTL_SIZE_TEXT];
    json_t *object = txctl_json_new();
    for (size_t i = 0; i < sizeof list / sizeof *list; i++) {
        json_object_set_new(object, list[i].name, json_integer((json_int_t)list[i].count));
    }
    char *text = context->globals.quiet
                     ? NULL
                     : txctl_text("%llu added, %llu replaced, %llu removed, %llu unchanged, "
                                  "%llu links; %s\n",
                                  (unsigned long long)counts->added,
                                  (unsigned long long)counts->replaced,
                                  (unsigned long long)counts->removed,
                                  (unsigned long long)counts->unchanged,
                                  (unsigned long long)counts->links,
                                  txctl_size_text(counts->bytes, size));
    txctl_result(context, object, text);
}

typedef enum tx_status import_fn(struct ktm_txn *txn, const char *source, const char *path,
                                 const struct tximport_options *options,
                                 struct tximport_counts *counts, struct tx_error *err);

static enum tx_status import_any(struct txctl_context *context,
                                 const struct txctl_arguments *arguments, import_fn *import,
                                 struct tx_error *err)
{
    struct ktm_txn *txn = NULL;
    struct txctl_progress progress;
    struct tximport_counts counts = {0};
    struct tximport_options options = {.flags = import_flags(arguments),
                                       .progress = show_progress,
                                       .arg = &progress};
    TRY(import_limits(arguments, &options, err));
    const char *path = arguments->count > 1 ? arguments->values[1] : "";
    txctl_subject(context, arguments->values[0]);
    TRY(txctl_txn(context, &txn, err));
    size_t before = ktm_txn_entries(txn).left;
    txctl_progress_begin(&progress, context, scanned.bytes, scanned.files);
    enum tx_status status = import(txn, arguments->values[0], strcmp(path, ".") == 0 ? "" : path,
                                   &options, &counts, err);
    txctl_progress_end(&progress);
    TRY(status);
    if (ktm_txn_entries(txn).left == before) {
        return tx_error_set(err, TX_ENOCHANGE, "nothing to change");
    }
    give_counts(context, &counts);
    return TX_OK;
}

static enum tx_status run_import(struct txctl_context *context,
                                 const struct txctl_arguments *arguments, struct tx_error *err)
{
    scanned.files = scanned.bytes = 0;
    if (txctl_progress_wanted(context)) {
        (void)nftw(arguments->values[0], scan_one, 32, FTW_PHYS); /* totals for the bar only */
    }
    return import_any(context, arguments, tximport_directory, err);
}

static const struct txctl_option options[] = {
    {"mirror", 0, NULL, "remove what stands below PATH and is not in the source"},
    {"owner", 0, NULL, "take owner and group from the source (root only)"},
    {"set-id", 0, NULL, "keep set-id bits and security attributes"},
    {"max-bytes", 0, "SIZE", "refuse a source with more content"},
    {"max-entries", 0, "COUNT", "refuse a source with more objects"},
    {NULL, 0, NULL, NULL},
};

const struct txctl_command txctl_import = {
    .group = "Files",
    .verb = "import",
    .usage = "[OPTION...] DIR PATH",
    .summary = "a directory, as changes under PATH",
    .example = "txctl import --mirror dist/ .",
    .options = options,
    .flags = TXCTL_CHANGES,
    .count_min = 2,
    .count_max = 2,
    .run = run_import,
};

static enum tx_status run_apply(struct txctl_context *context,
                                const struct txctl_arguments *arguments, struct tx_error *err)
{
    scanned.files = scanned.bytes = 0;
    return import_any(context, arguments, tximport_archive, err);
}

const struct txctl_command txctl_apply = {
    .group = "Files",
    .verb = "apply",
    .usage = "[OPTION...] ARCHIVE [PATH]",
    .summary = "a tar archive (also .gz .xz .zst), as changes under PATH",
    .example = "txctl apply --mirror release-2.0.tar.zst opt/app",
    .options = options,
    .flags = TXCTL_CHANGES,
    .count_min = 1,
    .count_max = 2,
    .run = run_apply,
};
