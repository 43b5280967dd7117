/* SPDX-License-Identifier: MIT */
/* A tar archive as source, read by libarchive in one pass. */
#include "import/import_internal.h"

#ifdef HAVE_LIBARCHIVE

#include <archive.h>
#include <archive_entry.h>
#include <sys/stat.h>
#include <string.h>

#define ARCHIVE_BLOCK_SIZE 65536

struct archive_source {
    struct archive *archive;
};

static void archive_source_auto(struct archive_source *source)
{
    if (source->archive) {
        archive_read_free(source->archive);
    }
}

static enum tx_status archive_error(struct archive *archive, struct tx_error *err)
{
    const char *text = archive_error_string(archive);
    return tx_error_set(err, archive_errno(archive) == 2 ? TX_ENOTFOUND : TX_EIO, "%s",
                        text ? text : "unreadable archive");
}

static enum tx_status read_archive_data(void *arg, void *data, size_t size, size_t *done,
                                        struct tx_error *err)
{
    struct archive_source *source = arg;
    la_ssize_t count = archive_read_data(source->archive, data, size);
    if (count < 0) {
        return archive_error(source->archive, err);
    }
    *done = (size_t)count;
    return TX_OK;
}

static enum tx_status archive_xattrs(struct archive_entry *item, struct import_xattr_list *list,
                                     struct tx_error *err)
{
    const char *name;
    const void *value;
    size_t size;
    archive_entry_xattr_reset(item);
    while (archive_entry_xattr_next(item, &name, &value, &size) == ARCHIVE_OK) {
        if (size > TXFS_XATTR_VALUE_MAX) {
            return tx_error_set(err, TX_ELIMIT, "attribute \"%s\" has %zu bytes", name, size);
        }
        uint32_t size32 = (uint32_t)size;
        TX_TRY(tx_buf_append(&list->bytes, name, strlen(name) + 1, err));
        TX_TRY(tx_buf_append(&list->bytes, &size32, sizeof size32, err));
        TX_TRY(tx_buf_append(&list->bytes, value, size, err));
    }
    return TX_OK;
}

/* An archive can name any second, nanoseconds since 1970 reach from 1677 to 2262. */
static bool archive_time(struct archive_entry *item, int64_t *ns)
{
    return !__builtin_mul_overflow((int64_t)archive_entry_mtime(item), 1000000000, ns) &&
           !__builtin_add_overflow(*ns, archive_entry_mtime_nsec(item), ns) && *ns != INT64_MIN;
}

static enum tx_status archive_item(struct import_sink *sink, struct archive_source *source,
                                   struct archive_entry *item, struct tx_error *err)
{
    struct import_xattr_list xattrs = {TX_BUF_INIT};
    const char *path = archive_entry_pathname(item);
    if (!path) {
        return tx_error_set(err, TX_EINVAL, "an entry without a readable name");
    }
    struct import_entry entry = {
        .path = path,
        .mode = archive_entry_mode(item),
        .uid = (uint32_t)archive_entry_uid(item),
        .gid = (uint32_t)archive_entry_gid(item),
        .size = (uint64_t)archive_entry_size(item),
        .target = archive_entry_symlink(item),
        .hard_link = archive_entry_hardlink(item),
        .read = read_archive_data,
        .arg = source,
        .xattrs = &xattrs,
    };
    if (!archive_time(item, &entry.mtime_ns)) {
        return tx_error_set(err, TX_ELIMIT, "\"%s\": a date before 1677 or after 2262", path);
    }
    if (S_ISLNK(entry.mode) && !entry.target) {
        return tx_error_set(err, TX_EINVAL, "\"%s\": a link without a target", path);
    }
    enum tx_status status = archive_xattrs(item, &xattrs, err);
    if (status == TX_OK) {
        status = import_entry_apply(sink, &entry, err);
    }
    tx_buf_release(&xattrs.bytes);
    return status;
}

static void archive_limits(struct import_sink *sink, const char *archive)
{
    struct txio_stat stat;
    /* One that is not there is reported when it is opened; of a pipe the size is not known. */
    enum tx_status status = txio_stat_path(txio_posix(), TXIO_CWD, archive, &stat, NULL);
    uint64_t size = status == TX_OK && S_ISREG(stat.mode) ? stat.size : 0;
    if (sink->options->bytes_max == 0) {
        sink->bytes_max = TXIMPORT_BYTES_FREE + TXIMPORT_RATIO * size;
    }
    if (sink->options->entries_max == 0) {
        sink->entries_max = TXIMPORT_ENTRIES_FREE + size / TXIMPORT_ENTRY_SIZE;
    }
}

static enum tx_status archive_walk(struct import_sink *sink, struct archive_source *source,
                                   struct tx_error *err)
{
    struct archive_entry *item;
    for (;;) {
        int result = archive_read_next_header(source->archive, &item);
        if (result == ARCHIVE_EOF) {
            return TX_OK;
        }
        if (result != ARCHIVE_OK) {
            return archive_error(source->archive, err);
        }
        TX_TRY(archive_item(sink, source, item, err));
    }
}

enum tx_status tximport_archive(struct ktm_txn *txn, const char *archive, const char *path,
                                const struct tximport_options *options,
                                struct tximport_counts *counts, struct tx_error *err)
{
    TX_AUTO(import_sink) sink = {0};
    struct archive_source source __attribute__((cleanup(archive_source_auto))) = {
        archive_read_new()};
    TX_TRY(import_sink_init(&sink, txn, path, options, err));
    archive_limits(&sink, archive);
    if (!source.archive) {
        return tx_error_set(err, TX_ENOMEM, "out of memory");
    }
    archive_read_support_filter_all(source.archive);
    archive_read_support_format_tar(source.archive);
    enum tx_status status;
    if (archive_read_open_filename(source.archive, archive, ARCHIVE_BLOCK_SIZE) != ARCHIVE_OK) {
        status = archive_error(source.archive, err);
    } else {
        status = archive_walk(&sink, &source, err);
    }
    return import_sink_finish(&sink, status, "apply", archive, counts, err);
}

#else

enum tx_status tximport_archive(struct ktm_txn *txn, const char *archive, const char *path,
                                const struct tximport_options *options,
                                struct tximport_counts *counts, struct tx_error *err)
{
    (void)txn;
    (void)path;
    (void)options;
    (void)counts;
    return tx_error_set(err, TX_ENOTSUP,
                        "apply \"%s\": this build has no libarchive; unpack it and use import",
                        archive);
}

#endif
