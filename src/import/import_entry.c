/* SPDX-License-Identifier: MIT */
/* One object of a source becomes changes of a transaction; what is the same is left alone. */
#include <string.h>
#include <sys/stat.h>

#include "base/mutant.h"
#include "import/import_internal.h"

enum tx_status import_sink_init(struct import_sink *sink, struct ktm_txn *txn, const char *prefix,
                                const struct tximport_options *options, struct tx_error *err)
{
    static const struct tximport_options defaults;
    sink->txn = txn;
    sink->prefix = prefix;
    sink->options = options ? options : &defaults;
    sink->bytes_max = sink->options->bytes_max ? sink->options->bytes_max : UINT64_MAX;
    sink->entries_max = sink->options->entries_max ? sink->options->entries_max : UINT64_MAX;
    tx_map_init(&sink->seen, NULL);
    tx_map_init(&sink->directories, tx_free);
    sink->chunk = tx_alloc(IMPORT_CHUNK_SIZE);
    sink->old_chunk = tx_alloc(IMPORT_CHUNK_SIZE);
    return sink->chunk && sink->old_chunk ? TX_OK : tx_error_set(err, TX_ENOMEM, "out of memory");
}

void import_sink_release(struct import_sink *sink)
{
    tx_map_release(&sink->seen);
    tx_map_release(&sink->directories);
    tx_free(sink->chunk);
    tx_free(sink->old_chunk);
    sink->chunk = NULL;
    sink->old_chunk = NULL;
}

void import_touch_parent(struct import_sink *sink, const char *clean)
{
    const char *slash = strrchr(clean, '/');
    struct import_directory *parent =
        slash ? tx_map_get(&sink->directories, clean, (size_t)(slash - clean)) : NULL;
    if (parent) {
        parent->changed_inside = true;
    }
}

/* Keys have no NUL, paths of the API do. */
static enum tx_status directories_settle(struct import_sink *sink, struct tx_error *err)
{
    TX_AUTO(tx_buf) path = TX_BUF_INIT;
    struct tx_map_entry entry;
    bool more = tx_map_at_or_after(&sink->directories, NULL, 0, &entry);
    while (more) {
        const struct import_directory *directory = entry.value;
        if (directory->changed_inside) {
            tx_buf_clear(&path);
            TX_TRY(tx_buf_append(&path, entry.key, entry.key_size, err));
            TX_TRY(tx_buf_append(&path, "", 1, err));
            TX_TRY(txfs_set_attr(sink->txn, (const char *)path.data, &directory->attr, err));
        }
        more = tx_map_after(&sink->directories, entry.key, entry.key_size, &entry);
    }
    return TX_OK;
}

enum tx_status import_sink_finish(struct import_sink *sink, enum tx_status status, const char *verb,
                                  const char *source, struct tximport_counts *counts,
                                  struct tx_error *err)
{
    if (status == TX_OK && (sink->options->flags & TXIMPORT_MIRROR)) {
        status = import_mirror(sink, err);
    }
    if (status == TX_OK) {
        status = directories_settle(sink, err);
    }
    if (status != TX_OK) {
        tx_error_prefix(err, "%s \"%s\"", verb, source);
        return status;
    }
    if (counts) {
        *counts = sink->counts;
    }
    return TX_OK;
}

static struct txio_attr entry_attr(const struct import_sink *sink, const struct import_entry *entry)
{
    struct txio_attr attr = {
        .mask = TXIO_ATTR_MODE | TXIO_ATTR_TIMES,
        .mode = entry->mode & (sink->options->flags & TXIMPORT_SETID ? 07777 : 01777),
        .atime_ns = entry->mtime_ns,
        .mtime_ns = entry->mtime_ns,
    };
    if (sink->options->flags & TXIMPORT_OWNER) {
        attr.mask |= TXIO_ATTR_OWNER;
        attr.uid = entry->uid;
        attr.gid = entry->gid;
    }
    return attr;
}

static bool attr_same(const struct txio_attr *attr, const struct txio_stat *old)
{
    bool mode = S_ISLNK(old->mode) || (old->mode & 07777) == attr->mode;
    bool owner = !(attr->mask & TXIO_ATTR_OWNER) ||
                 (old->uid == attr->uid && old->gid == attr->gid);
    return mode && owner && old->mtime_ns == attr->mtime_ns;
}

static enum tx_status entry_xattrs(struct import_sink *sink, const char *clean,
                                   const struct import_entry *entry, struct tx_error *err)
{
    const uint8_t *at = entry->xattrs ? entry->xattrs->bytes.data : NULL;
    const uint8_t *end = at ? at + entry->xattrs->bytes.size : NULL;
    while (at < end) {
        const char *name = (const char *)at;
        uint32_t size;
        at += strlen(name) + 1;
        memcpy(&size, at, sizeof size);
        at += sizeof size;
        bool secret = strncmp(name, "security.", 9) == 0 || strncmp(name, "trusted.", 8) == 0;
        if (!secret || (sink->options->flags & TXIMPORT_SETID)) {
            uint8_t old[256];
            size_t old_size = sizeof old;
            enum tx_status had = txfs_get_xattr(sink->txn, clean, name, old, &old_size, NULL);
            if (had != TX_OK || old_size != size || memcmp(old, at, size) != 0) {
                TX_TRY(txfs_set_xattr(sink->txn, clean, name, at, size, err));
            }
        }
        at += size;
    }
    return TX_OK;
}

/* Make room: what stands there is of another type. */
static enum tx_status entry_clear(struct import_sink *sink, const char *clean,
                                  const struct txio_stat *old, struct tx_error *err)
{
    return S_ISDIR(old->mode) ? txfs_remove_tree(sink->txn, clean, err)
                              : txfs_unlink(sink->txn, clean, err);
}

static enum tx_status directory_note(struct import_sink *sink, const char *clean,
                                     const struct txio_attr *attr, struct tx_error *err)
{
    struct import_directory *directory = tx_alloc_zero(sizeof *directory);
    if (!directory) {
        return tx_error_set(err, TX_ENOMEM, "out of memory");
    }
    directory->attr = *attr;
    enum tx_status status =
        tx_map_set(&sink->directories, clean, strlen(clean), directory, err);
    if (status != TX_OK) {
        tx_free(directory);
    }
    return status;
}

static enum tx_status entry_directory(struct import_sink *sink, const char *clean,
                                      const struct txio_attr *attr, const struct txio_stat *old,
                                      bool *changed, struct tx_error *err)
{
    *changed = false;
    TX_TRY(directory_note(sink, clean, attr, err));
    if (!old || !S_ISDIR(old->mode)) {
        if (old) {
            TX_TRY(entry_clear(sink, clean, old, err));
        }
        *changed = true;
        TX_TRY(txfs_mkdir(sink->txn, clean, attr->mode, err));
        return txfs_set_attr(sink->txn, clean, attr, err);
    }
    return attr_same(attr, old) ? TX_OK : txfs_set_attr(sink->txn, clean, attr, err);
}

static enum tx_status entry_symlink(struct import_sink *sink, const char *clean,
                                    const struct import_entry *entry, const struct txio_attr *attr,
                                    const struct txio_stat *old, bool *changed,
                                    struct tx_error *err)
{
    char target[TXFS_PATH_MAX + 1];
    *changed = true;
    if (old && S_ISLNK(old->mode)) {
        TX_TRY(txfs_readlink(sink->txn, clean, target, sizeof target, err));
        *changed = strcmp(target, entry->target) != 0;
    }
    if (*changed) {
        if (old) {
            TX_TRY(entry_clear(sink, clean, old, err));
        }
        TX_TRY(txfs_symlink(sink->txn, entry->target, clean, err));
    } else if (attr_same(attr, old)) {
        return TX_OK;
    }
    return txfs_set_attr(sink->txn, clean, attr, err);
}

static enum tx_status entry_hard_link(struct import_sink *sink, const char *clean,
                                      const struct import_entry *entry, const struct txio_stat *old,
                                      bool *changed, struct tx_error *err)
{
    TX_AUTO(tx_buf) existing = TX_BUF_INIT;
    struct txio_stat first;
    TX_TRY(import_path_clean(sink, entry->hard_link, &existing, err));
    const char *source = (const char *)existing.data;
    if (!tx_map_get(&sink->seen, source, strlen(source))) {
        return tx_error_set(err, TX_EESCAPE,
                            "\"%s\": hard link to \"%s\", which is not in the source", clean,
                            entry->hard_link);
    }
    TX_TRY(txfs_stat(sink->txn, source, &first, err));
    sink->counts.links++;
    *changed = !(old && old->ino != 0 && old->ino == first.ino && old->dev == first.dev);
    if (!*changed) {
        return TX_OK;
    }
    if (old) {
        TX_TRY(entry_clear(sink, clean, old, err));
    }
    return txfs_link(sink->txn, source, clean, err);
}

static enum tx_status entry_file(struct import_sink *sink, const char *clean,
                                 const struct import_entry *entry, const struct txio_attr *attr,
                                 const struct txio_stat *old, bool *changed, struct tx_error *err)
{
    if (old && !S_ISREG(old->mode)) {
        TX_TRY(entry_clear(sink, clean, old, err));
        old = NULL;
    }
    TX_TRY(import_content(sink, clean, entry, attr, old, changed, err));
    if (*changed) {
        sink->counts.bytes += entry->size;
        return TX_OK;
    }
    return attr_same(attr, old) ? TX_OK : txfs_set_attr(sink->txn, clean, attr, err);
}

static enum tx_status entry_by_type(struct import_sink *sink, const char *clean,
                                    const struct import_entry *entry, const struct txio_stat *old,
                                    bool *changed, struct tx_error *err)
{
    struct txio_attr attr = entry_attr(sink, entry);
    if (entry->hard_link) {
        return entry_hard_link(sink, clean, entry, old, changed, err);
    }
    if (S_ISDIR(entry->mode)) {
        TX_TRY(entry_directory(sink, clean, &attr, old, changed, err));
    } else if (S_ISLNK(entry->mode)) {
        TX_TRY(entry_symlink(sink, clean, entry, &attr, old, changed, err));
    } else if (S_ISREG(entry->mode)) {
        TX_TRY(entry_file(sink, clean, entry, &attr, old, changed, err));
    } else {
        return tx_error_set(err, TX_ENOTSUP, "\"%s\": a device, fifo or socket in the source",
                            clean);
    }
    return entry_xattrs(sink, clean, entry, err);
}

static enum tx_status entry_parents(struct import_sink *sink, const char *clean,
                                    struct tx_error *err)
{
    TX_AUTO(tx_buf) parent = TX_BUF_INIT;
    const char *slash = strrchr(clean, '/');
    struct txio_stat stat;
    if (!slash) {
        return TX_OK;
    }
    TX_TRY(tx_buf_append(&parent, clean, (size_t)(slash - clean), err));
    TX_TRY(tx_buf_append(&parent, "", 1, err));
    if (txfs_stat(sink->txn, (const char *)parent.data, &stat, NULL) == TX_OK) {
        return TX_OK;
    }
    return txfs_mkdir_parents(sink->txn, (const char *)parent.data, 0755, err);
}

static void entry_count(struct import_sink *sink, const char *clean, bool existed, bool changed)
{
    uint64_t *count = !changed ? &sink->counts.unchanged
                      : existed ? &sink->counts.replaced
                                : &sink->counts.added;
    (*count)++;
    sink->entries++;
    if (sink->options->progress) {
        struct tximport_progress progress = {sink->entries, sink->counts.bytes, clean};
        sink->options->progress(sink->options->arg, &progress);
    }
}

/* A small archive can claim to hold more than any disk, or more names than memory has room for.
 * What it claims is compared before any of it is read. */
static enum tx_status entry_limits(struct import_sink *sink, const struct import_entry *entry,
                                   struct tx_error *err)
{
    uint64_t size = S_ISREG(entry->mode) && !entry->hard_link ? entry->size : 0;
    if (size > sink->bytes_max - sink->bytes_seen) {
        return tx_error_set(err, TX_ELIMIT, "\"%s\": the source unpacks to more than %llu bytes",
                            entry->path, (unsigned long long)sink->bytes_max);
    }
    if (sink->entries_seen == sink->entries_max) {
        return tx_error_set(err, TX_ELIMIT, "\"%s\": the source has more than %llu objects",
                            entry->path, (unsigned long long)sink->entries_max);
    }
    sink->bytes_seen += size;
    sink->entries_seen++;
    return TX_OK;
}

enum tx_status import_entry_apply(struct import_sink *sink, const struct import_entry *entry,
                                  struct tx_error *err)
{
    TX_AUTO(tx_buf) path = TX_BUF_INIT;
    TX_TRY(entry_limits(sink, entry, err));
    TX_TRY(import_path_clean(sink, entry->path, &path, err));
    const char *clean = (const char *)path.data;
    bool is_top = strlen(clean) == strlen(sink->prefix); /* named "", "." and the like */
    if (is_top && (!S_ISDIR(entry->mode) || entry->hard_link) && !TX_MUTANT(81)) {
        return tx_error_set(err, TX_EINVAL, "\"%s\": no name in the source", entry->path);
    }
    if (clean[0] == '\0') {
        return TX_OK; /* the root itself is not the source's to change */
    }
    TX_TRY(import_path_note(sink, clean, entry->mode, err));
    TX_TRY(entry_parents(sink, clean, err));
    struct txio_stat old;
    enum tx_status status = txfs_stat(sink->txn, clean, &old, err);
    if (status != TX_OK && status != TX_ENOTFOUND) {
        return status;
    }
    bool existed = status == TX_OK;
    bool changed = false;
    TX_TRY(entry_by_type(sink, clean, entry, existed ? &old : NULL, &changed, err));
    if (changed) {
        import_touch_parent(sink, clean);
    }
    entry_count(sink, clean, existed, changed);
    return TX_OK;
}
