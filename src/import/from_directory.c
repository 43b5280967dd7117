/* SPDX-License-Identifier: MIT */
/* A directory as source, of the system that the store is on. */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "base/mutant.h"
#include "import/import_internal.h"

struct directory_source {
    struct txio *io;
    struct import_sink *sink;
    struct tx_map inodes; /* "dev ino" of a file with several names -> its first path, tx_free'd */
};

static void directory_source_auto(struct directory_source *source)
{
    tx_map_release(&source->inodes);
}

struct name_list {
    struct tx_map names;
    enum tx_status status;
    struct tx_error *err;
};

static int collect_name(void *arg, const char *name, uint64_t ino, unsigned type)
{
    struct name_list *list = arg;
    (void)ino;
    (void)type;
    list->status = tx_map_set(&list->names, name, strlen(name) + 1, list, list->err);
    return list->status == TX_OK ? 0 : 1;
}

struct file_reader {
    struct txio *io;
    int fd;
    uint64_t offset;
};

static enum tx_status read_source_file(void *arg, void *data, size_t size, size_t *done,
                                       struct tx_error *err)
{
    struct file_reader *reader = arg;
    int64_t count = reader->io->ops->pread(reader->io, reader->fd, data, size, reader->offset);
    if (count < 0) {
        return tx_error_os(err, (int)-count, "read the source");
    }
    reader->offset += (uint64_t)count;
    *done = (size_t)count;
    return TX_OK;
}

static enum tx_status source_xattr(struct directory_source *source, int dir, const char *name,
                                   const char *attribute, struct import_xattr_list *list,
                                   struct tx_error *err)
{
    const struct txio_ops *ops = source->io->ops;
    uint8_t *value = NULL;
    int64_t size = ops->get_xattr(source->io, dir, name, attribute, NULL, 0);
    if (size > TXFS_XATTR_VALUE_MAX) {
        return tx_error_set(err, TX_ELIMIT, "attribute \"%s\" of \"%s\" in the source is too large",
                            attribute, name);
    }
    uint32_t size32 = size < 0 ? 0 : (uint32_t)size;
    TX_TRY(tx_buf_append(&list->bytes, attribute, strlen(attribute) + 1, err));
    TX_TRY(tx_buf_append(&list->bytes, &size32, sizeof size32, err));
    TX_TRY(tx_buf_extend(&list->bytes, size32, &value, err));
    int64_t read = size;
    if (size > 0) {
        read = ops->get_xattr(source->io, dir, name, attribute, value, size32);
    }
    if (read < 0) {
        return tx_error_os(err, (int)-read, "read attribute \"%s\" of \"%s\" in the source",
                           attribute, name);
    }
    return read == size ? TX_OK
                        : tx_error_set(err, TX_EIO,
                                       "attribute \"%s\" of \"%s\" in the source changes",
                                       attribute, name);
}

static enum tx_status source_xattrs(struct directory_source *source, int dir, const char *name,
                                    struct import_xattr_list *list, struct tx_error *err)
{
    char names[65536];
    int64_t total = source->io->ops->list_xattr(source->io, dir, name, names, sizeof names);
    if (total == -EOPNOTSUPP || (total < 0 && TX_MUTANT(134))) {
        return TX_OK; /* a file system without attributes */
    }
    if (total < 0) {
        return tx_error_os(err, (int)-total, "list the attributes of \"%s\" in the source", name);
    }
    for (int64_t at = 0; at < total; at += (int64_t)strlen(names + at) + 1) {
        TX_TRY(source_xattr(source, dir, name, names + at, list, err));
    }
    return TX_OK;
}

/* Remember the first name of an inode; later names become hard links to it. */
static enum tx_status source_inode(struct directory_source *source, const struct txio_stat *stat,
                                   const char *path, const char **first, struct tx_error *err)
{
    uint64_t key[2] = {stat->dev, stat->ino};
    *first = NULL;
    if (stat->nlink < 2 || S_ISDIR(stat->mode)) {
        return TX_OK;
    }
    *first = tx_map_get(&source->inodes, key, sizeof key);
    if (*first) {
        return TX_OK;
    }
    char *copy = tx_text_copy(path);
    if (!copy) {
        return tx_error_set(err, TX_ENOMEM, "out of memory");
    }
    enum tx_status status = tx_map_set(&source->inodes, key, sizeof key, copy, err);
    if (status != TX_OK) {
        tx_free(copy);
    }
    return status;
}

static enum tx_status source_file(struct directory_source *source, int dir, const char *name,
                                  struct import_entry *entry, struct tx_error *err)
{
    struct file_reader reader = {source->io, -1, 0};
    if (!S_ISREG(entry->mode) || entry->hard_link) {
        return import_entry_apply(source->sink, entry, err);
    }
    TX_TRY(txio_open(source->io, dir, name, TXIO_READ, 0, &reader.fd, err));
    entry->read = read_source_file;
    entry->arg = &reader;
    enum tx_status status = import_entry_apply(source->sink, entry, err);
    (void)source->io->ops->close(source->io, reader.fd); /* only read from */
    return status;
}

static enum tx_status source_walk(struct directory_source *source, int dir, const char *path,
                                  int depth, struct tx_error *err);

static enum tx_status source_descend(struct directory_source *source, int dir, const char *name,
                                     const char *path, int depth, struct tx_error *err)
{
    int fd = -1;
    TX_TRY(txio_open(source->io, dir, name, TXIO_READ | TXIO_DIRECTORY, 0, &fd, err));
    enum tx_status status = source_walk(source, fd, path, depth + 1, err);
    (void)source->io->ops->close(source->io, fd); /* only read from */
    return status;
}

static enum tx_status source_object(struct directory_source *source, int dir, const char *parent,
                                    const char *name, int depth, struct tx_error *err)
{
    TX_AUTO(tx_buf) path = TX_BUF_INIT;
    struct import_xattr_list xattrs = {TX_BUF_INIT};
    struct txio_stat stat;
    char target[TXFS_PATH_MAX + 1];
    TX_TRY(tx_buf_printf(&path, err, "%s%s%s", parent, *parent ? "/" : "", name));
    TX_TRY(tx_buf_append(&path, "", 1, err));
    TX_TRY(txio_stat_path(source->io, dir, name, &stat, err));
    struct import_entry entry = {
        .path = (const char *)path.data,
        .mode = stat.mode,
        .uid = stat.uid,
        .gid = stat.gid,
        .size = stat.size,
        .mtime_ns = stat.mtime_ns,
        .shared_inode = stat.nlink > 1,
        .xattrs = &xattrs,
    };
    if (S_ISLNK(stat.mode)) {
        int length = source->io->ops->readlink(source->io, dir, name, target, sizeof target);
        if (length < 0 || (size_t)length >= sizeof target) {
            return tx_error_set(err, TX_EIO, "read link \"%s\" of the source", entry.path);
        }
        target[length] = '\0';
        entry.target = target;
    }
    TX_TRY(source_inode(source, &stat, entry.path, &entry.hard_link, err));
    enum tx_status status = source_xattrs(source, dir, name, &xattrs, err);
    if (status == TX_OK) {
        status = source_file(source, dir, name, &entry, err);
    }
    tx_buf_release(&xattrs.bytes);
    if (status == TX_OK && S_ISDIR(stat.mode)) {
        status = source_descend(source, dir, name, entry.path, depth, err);
    }
    return status;
}

static enum tx_status source_walk(struct directory_source *source, int dir, const char *path,
                                  int depth, struct tx_error *err)
{
    if (depth > IMPORT_DEPTH_MAX) {
        return tx_error_set(err, TX_ELIMIT, "\"%s\": more than %d levels deep", path,
                            IMPORT_DEPTH_MAX);
    }
    struct name_list list = {.status = TX_OK, .err = err};
    tx_map_init(&list.names, NULL);
    int result = source->io->ops->list(source->io, dir, collect_name, &list);
    enum tx_status status = list.status;
    if (status == TX_OK && result < 0) {
        status = tx_error_os(err, -result, "list \"%s\" of the source", path);
    }
    struct tx_map_entry name;
    bool more = tx_map_at_or_after(&list.names, NULL, 0, &name);
    while (status == TX_OK && more) {
        status = source_object(source, dir, path, name.key, depth, err);
        more = tx_map_after(&list.names, name.key, name.key_size, &name);
    }
    tx_map_release(&list.names);
    return status;
}

enum tx_status tximport_directory(struct ktm_txn *txn, const char *directory, const char *path,
                                  const struct tximport_options *options,
                                  struct tximport_counts *counts, struct tx_error *err)
{
    TX_AUTO(import_sink) sink = {0};
    struct directory_source source __attribute__((cleanup(directory_source_auto))) = {
        .io = ktm_txn_io(txn), .sink = &sink};
    int fd = -1;
    tx_map_init(&source.inodes, tx_free);
    TX_TRY(import_sink_init(&sink, txn, path, options, err));
    TX_TRY(txio_open(source.io, TXIO_CWD, directory, TXIO_READ | TXIO_DIRECTORY, 0, &fd, err));
    enum tx_status status = source_walk(&source, fd, "", 0, err);
    (void)source.io->ops->close(source.io, fd); /* only read from */
    return import_sink_finish(&sink, status, "import", directory, counts, err);
}
