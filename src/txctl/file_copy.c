/* SPDX-License-Identifier: MIT */
/* Contents of files into, out of and inside a transaction, a chunk at a time. */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "txctl/txctl_internal.h"

const char *txctl_basename(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

char *txctl_join(const char *directory, const char *name)
{
    size_t length = strlen(directory);
    const char *slash = length > 0 && directory[length - 1] != '/' ? "/" : "";
    return strcmp(directory, ".") == 0 ? txctl_copy(name)
                                       : txctl_text("%s%s%s", directory, slash, name);
}

enum tx_status txctl_target(struct ktm_txn *txn, const char *source, const char *path,
                            char **target, struct tx_error *err)
{
    struct txio_stat stat;
    size_t length = strlen(path);
    bool wants_directory = length > 0 && path[length - 1] == '/';
    enum tx_status status = txfs_stat(txn, path, &stat, err);
    bool is_directory = status == TX_OK && S_ISDIR(stat.mode);
    if (status != TX_OK && status != TX_ENOTFOUND) {
        return status;
    }
    if (wants_directory && !is_directory) {
        return status == TX_OK ? tx_error_set(err, TX_ENOTDIR, "not a directory") : status;
    }
    if (is_directory) {
        /* "dir/" has no last name of its own: take the one before. */
        AUTO_TEXT clean = txctl_copy(source);
        for (size_t i = strlen(clean); i > 1 && clean[i - 1] == '/'; i--) {
            clean[i - 1] = '\0';
        }
        *target = txctl_join(path, txctl_basename(clean));
    } else {
        *target = txctl_copy(path);
    }
    return TX_OK;
}

/* One of the two sides of a copy is a file of the transaction, the other this. */
struct stream {
    int fd; /* -1: the file */
    struct txfs_file *file;
};

static enum tx_status stream_read(struct stream *stream, void *data, size_t *done,
                                  struct tx_error *err)
{
    if (stream->fd < 0) {
        return txfs_read(stream->file, data, TXCTL_CHUNK_SIZE, done, err);
    }
    ssize_t count;
    do {
        count = read(stream->fd, data, TXCTL_CHUNK_SIZE);
    } while (count < 0 && errno == EINTR);
    if (count < 0) {
        return tx_error_os(err, errno, "read");
    }
    *done = (size_t)count;
    return TX_OK;
}

static enum tx_status stream_write(struct stream *stream, const char *data, size_t size,
                                   struct tx_error *err)
{
    if (stream->fd < 0) {
        return txfs_write(stream->file, data, size, err);
    }
    while (size > 0) {
        ssize_t count = write(stream->fd, data, size);
        if (count < 0 && errno != EINTR) {
            return tx_error_os(err, errno, "write");
        }
        data += count > 0 ? count : 0;
        size -= count > 0 ? (size_t)count : 0;
    }
    return TX_OK;
}

static enum tx_status copy_stream(struct txctl_context *context, struct stream *from,
                                  struct stream *to, uint64_t total, struct tx_error *err)
{
    struct txctl_progress progress;
    AUTO_TEXT chunk = txctl_alloc(TXCTL_CHUNK_SIZE);
    uint64_t bytes = 0;
    txctl_progress_begin(&progress, context, total, 0);
    for (;;) {
        size_t done = 0;
        enum tx_status status = stream_read(from, chunk, &done, err);
        if (status == TX_OK && done > 0) {
            status = stream_write(to, chunk, done, err);
        }
        if (status != TX_OK || done == 0) {
            txctl_progress_end(&progress);
            return status;
        }
        bytes += done;
        txctl_progress_at(&progress, 0, bytes);
    }
}

/* Close what was written: keep it when all went well. */
static enum tx_status finish_writing(struct txfs_file *file, enum tx_status status,
                                     struct tx_error *err)
{
    if (status != TX_OK) {
        txfs_abandon(file);
        return status;
    }
    return txfs_close(file, err);
}

enum tx_status txctl_copy_in(struct txctl_context *context, struct ktm_txn *txn, int fd,
                             const char *path, uint32_t mode, struct tx_error *err)
{
    struct stream from = {fd, NULL};
    struct stream to = {-1, NULL};
    struct stat stat;
    uint64_t total = fstat(fd, &stat) == 0 && S_ISREG(stat.st_mode) ? (uint64_t)stat.st_size : 0;
    TRY(txfs_open(txn, path, TXFS_WRITE | TXFS_CREATE | TXFS_TRUNCATE, mode, &to.file, err));
    return finish_writing(to.file, copy_stream(context, &from, &to, total, err), err);
}

enum tx_status txctl_copy_out(struct txctl_context *context, struct ktm_txn *txn, const char *path,
                              int fd, struct tx_error *err)
{
    struct stream from = {-1, NULL};
    struct stream to = {fd, NULL};
    TRY(txfs_open(txn, path, TXFS_READ, 0, &from.file, err));
    enum tx_status status = copy_stream(context, &from, &to, txfs_size(from.file), err);
    txfs_abandon(from.file); /* only read from */
    return status;
}

enum tx_status txctl_copy_inside(struct txctl_context *context, struct ktm_txn *txn,
                                 const char *from, const char *to, uint32_t mode,
                                 struct tx_error *err)
{
    struct stream source = {-1, NULL};
    struct stream target = {-1, NULL};
    TRY(txfs_open(txn, from, TXFS_READ, 0, &source.file, err));
    enum tx_status status = txfs_open(txn, to, TXFS_WRITE | TXFS_CREATE | TXFS_TRUNCATE, mode,
                                      &target.file, err);
    if (status == TX_OK) {
        status = copy_stream(context, &source, &target, txfs_size(source.file), err);
        status = finish_writing(target.file, status, err);
    }
    txfs_abandon(source.file); /* only read from */
    return status;
}

enum tx_status txctl_list_names(struct ktm_txn *txn, const char *path, struct txctl_names *names,
                          struct tx_error *err)
{
    struct txfs_dir *dir = NULL;
    const char *name = NULL;
    unsigned type = 0;
    TRY(txfs_dir_open(txn, path, &dir, err));
    while (txfs_dir_next(dir, &name, &type)) {
        txctl_names_add(names, name, type);
    }
    txfs_dir_close(dir);
    return TX_OK;
}
