/* SPDX-License-Identifier: MIT */
/*
 * Contents of regular files. A file that is the same already is left alone: the new content is
 * compared with the old as it streams by; at the first difference what was equal so far is copied
 * from the old file, so that a source that cannot be rewound needs no second reading.
 */
#include <string.h>
#include <sys/stat.h>

#include "import/import_internal.h"

struct content_copy {
    struct import_sink *sink;
    const char *path;
    const struct txio_attr *attr;
    struct txfs_file *old;  /* still equal to it so far */
    struct txfs_file *copy; /* the new content, once it differs */
    uint64_t offset;
};

static void content_copy_auto(struct content_copy *copy)
{
    if (copy->old) {
        txfs_abandon(copy->old);
    }
    if (copy->copy) {
        txfs_abandon(copy->copy);
    }
}

static enum tx_status content_read_chunk(const struct import_entry *entry, uint8_t *chunk,
                                         size_t *size, struct tx_error *err)
{
    size_t filled = 0;
    while (filled < IMPORT_CHUNK_SIZE) {
        size_t done = 0;
        TX_TRY(entry->read(entry->arg, chunk + filled, IMPORT_CHUNK_SIZE - filled, &done, err));
        if (done == 0) {
            break;
        }
        filled += done;
    }
    *size = filled;
    return TX_OK;
}

/* From here on the content differs: start the copy with the part that was equal. */
static enum tx_status content_diverge(struct content_copy *copy, struct tx_error *err)
{
    TX_TRY(txfs_open(copy->sink->txn, copy->path,
                     TXFS_WRITE | TXFS_CREATE | TXFS_TRUNCATE | TXFS_NOFOLLOW, copy->attr->mode,
                     &copy->copy, err));
    for (uint64_t at = 0; at < copy->offset;) {
        uint64_t left = copy->offset - at;
        size_t done = 0;
        TX_TRY(txfs_pread(copy->old, copy->sink->old_chunk,
                          left < IMPORT_CHUNK_SIZE ? (size_t)left : IMPORT_CHUNK_SIZE, at, &done,
                          err));
        if (done == 0) {
            return tx_error_set(err, TX_ECONFLICT, "\"%s\": shrank while it was read", copy->path);
        }
        TX_TRY(txfs_pwrite(copy->copy, copy->sink->old_chunk, done, at, err));
        at += done;
    }
    if (copy->old) {
        txfs_abandon(copy->old);
        copy->old = NULL;
    }
    return TX_OK;
}

static enum tx_status content_chunk(struct content_copy *copy, size_t size, struct tx_error *err)
{
    if (copy->old) {
        size_t done = 0;
        TX_TRY(txfs_pread(copy->old, copy->sink->old_chunk, size, copy->offset, &done, err));
        if (done == size && memcmp(copy->sink->old_chunk, copy->sink->chunk, size) == 0) {
            copy->offset += size;
            return TX_OK;
        }
    }
    if (!copy->copy) {
        TX_TRY(content_diverge(copy, err));
    }
    TX_TRY(txfs_pwrite(copy->copy, copy->sink->chunk, size, copy->offset, err));
    copy->offset += size;
    return TX_OK;
}

static enum tx_status content_stream(struct import_sink *sink, const char *path,
                                     const struct import_entry *entry, const struct txio_attr *attr,
                                     bool compare, bool *changed, struct tx_error *err)
{
    struct content_copy copy __attribute__((cleanup(content_copy_auto))) = {
        .sink = sink, .path = path, .attr = attr};
    if (compare) {
        TX_TRY(txfs_open(sink->txn, path, TXFS_READ | TXFS_NOFOLLOW, 0, &copy.old, err));
    }
    for (;;) {
        size_t size = 0;
        TX_TRY(content_read_chunk(entry, sink->chunk, &size, err));
        if (size == 0) {
            break;
        }
        TX_TRY(content_chunk(&copy, size, err));
    }
    if (copy.offset != entry->size) {
        return tx_error_set(err, TX_EIO, "\"%s\": the source has %llu bytes and promised %llu",
                            path, (unsigned long long)copy.offset,
                            (unsigned long long)entry->size);
    }
    *changed = copy.old == NULL;
    if (!*changed) {
        return TX_OK;
    }
    if (!copy.copy) {
        TX_TRY(content_diverge(&copy, err)); /* empty content */
    }
    TX_TRY(txfs_close(TX_TAKE(copy.copy), err));
    return txfs_set_attr(sink->txn, path, attr, err);
}

static enum tx_status content_equal(struct import_sink *sink, const char *path,
                                    const struct tx_buf *content, bool *equal, struct tx_error *err)
{
    struct txfs_file *old = NULL;
    TX_TRY(txfs_open(sink->txn, path, TXFS_READ | TXFS_NOFOLLOW, 0, &old, err));
    *equal = true;
    enum tx_status status = TX_OK;
    for (size_t at = 0; status == TX_OK && *equal && at < content->size;) {
        size_t left = content->size - at;
        size_t done = 0;
        size_t want = left < IMPORT_CHUNK_SIZE ? left : IMPORT_CHUNK_SIZE;
        status = txfs_pread(old, sink->old_chunk, want, at, &done, err);
        *equal = done > 0 && memcmp(sink->old_chunk, content->data + at, done) == 0;
        at += done;
    }
    txfs_abandon(old);
    return status;
}

static enum tx_status content_whole(struct import_sink *sink, const char *path,
                                    const struct import_entry *entry, const struct txio_attr *attr,
                                    bool compare, bool *changed, struct tx_error *err)
{
    TX_AUTO(tx_buf) content = TX_BUF_INIT;
    uint8_t *at = NULL;
    size_t filled = 0;
    TX_TRY(tx_buf_extend(&content, (size_t)entry->size, &at, err));
    for (size_t done = 1; done > 0 && filled < content.size; filled += done) {
        TX_TRY(entry->read(entry->arg, at + filled, content.size - filled, &done, err));
    }
    if (filled != entry->size) {
        return tx_error_set(err, TX_EIO, "\"%s\": changed while it was read", path);
    }
    content.size = filled;
    bool equal = false;
    if (compare) {
        TX_TRY(content_equal(sink, path, &content, &equal, err));
    }
    *changed = !equal;
    return equal ? TX_OK : txfs_put(sink->txn, path, content.data, content.size, attr, err);
}

enum tx_status import_content(struct import_sink *sink, const char *clean,
                              const struct import_entry *entry, const struct txio_attr *attr,
                              const struct txio_stat *old, bool *changed, struct tx_error *err)
{
    /* A file that shares its inode with other names may not stay unless the source says so too. */
    bool compare = old && S_ISREG(old->mode) && old->size == entry->size &&
                   (old->nlink <= 1 || entry->shared_inode);
    return entry->size <= IMPORT_WHOLE_MAX
               ? content_whole(sink, clean, entry, attr, compare, changed, err)
               : content_stream(sink, clean, entry, attr, compare, changed, err);
}
