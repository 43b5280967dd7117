/* SPDX-License-Identifier: MIT */
/* Whole reads and writes, and a file replaced as one. */
#include <string.h>

#include "base/mutant.h"
#include "base/text.h"
#include "txio_internal.h"

enum { PARTS_LIMIT = 8, NAME_SIZE = 256, DRAFT_TRIES = 100 };

enum tx_status txio_read_full(struct txio *io, int fd, void *data, size_t size, uint64_t offset,
                              struct tx_error *err)
{
    uint8_t *at = data;
    while (size > 0) {
        int64_t count = io->ops->pread(io, fd, at, size, offset);
        if (count < 0) {
            return tx_error_os(err, (int)-count, "read %zu bytes at offset %llu", size,
                               (unsigned long long)offset);
        }
        if (count == 0) {
            return tx_error_set(err, TX_ECORRUPT, "file ends at byte %llu, %zu bytes too early",
                                (unsigned long long)offset, size);
        }
        at += count;
        size -= (size_t)count;
        offset += (uint64_t)count;
    }
    return TX_OK;
}

/* Drop the first `size` bytes of the parts. */
static void advance_parts(struct iovec **parts, int *count, size_t size)
{
    while (*count > 0 && size >= (*parts)->iov_len) {
        size -= (*parts)->iov_len;
        (*parts)++;
        (*count)--;
    }
    if (*count > 0) {
        (*parts)->iov_base = (uint8_t *)(*parts)->iov_base + size;
        (*parts)->iov_len -= size;
    }
}

enum tx_status txio_write_full(struct txio *io, int fd, const struct iovec *parts, int count,
                               uint64_t offset, struct tx_error *err)
{
    struct iovec copy[PARTS_LIMIT];
    struct iovec *rest = copy;
    if (count < 0 || count > PARTS_LIMIT) {
        return tx_error_set(err, TX_EMISUSE, "write of %d parts, at most %d", count, PARTS_LIMIT);
    }
    for (int i = 0; i < count; i++) {
        copy[i] = parts[i];
    }
    advance_parts(&rest, &count, 0); /* leading parts without bytes would look like no progress */
    while (count > 0) {
        int64_t written = io->ops->pwritev(io, fd, rest, count, offset);
        if (written < 0) {
            return tx_error_os(err, (int)-written, "write at offset %llu",
                               (unsigned long long)offset);
        }
        if (written == 0) {
            return tx_error_set(err, TX_EIO, "write at offset %llu: nothing was written",
                                (unsigned long long)offset);
        }
        if (TX_MUTANT(26)) { /* what a short write left is not missed */
            return TX_OK;
        }
        advance_parts(&rest, &count, (size_t)written);
        offset += (uint64_t)written;
    }
    return TX_OK;
}

enum tx_status txio_parent_open(struct txio_parent *parent, struct txio *io, int dir,
                                const char *path, struct tx_error *err)
{
    const char *slash = strrchr(path, '/');
    const char *name = slash != NULL ? slash + 1 : path;
    if (slash == NULL && dir != TXIO_CWD) {
        *parent = (struct txio_parent){io, dir, false, name};
        return TX_OK;
    }
    TX_AUTO(tx_buf) words = TX_BUF_INIT;
    size_t size = slash != NULL && slash != path ? (size_t)(slash - path) : 1; /* "/" or "." */
    uint8_t *at;
    TX_TRY(tx_buf_extend(&words, size + 1, &at, err));
    memcpy(at, slash != NULL ? path : ".", size);
    int fd;
    TX_TRY(txio_open(io, dir, (const char *)words.data, TXIO_READ | TXIO_DIRECTORY, 0, &fd, err));
    *parent = (struct txio_parent){io, fd, true, name};
    return TX_OK;
}

/* A file that becomes `dir/name` when it is whole, and otherwise goes away. */
struct txio_draft {
    struct txio *io;
    int dir;
    const char *name; /* one component */
    int fd;           /* -1: there is no draft */
    char draft_name[NAME_SIZE];
};

static void txio_draft_auto(struct txio_draft *draft)
{
    const struct txio_ops *ops = draft->io->ops;
    if (draft->fd >= 0) {
        /* Crash here: the draft stays under its own name; the next one takes it over. The same
         * when the unlink fails, so its result does not matter. */
        (void)ops->unlink(draft->io, draft->dir, draft->draft_name);
        (void)ops->close(draft->io, draft->fd); /* nothing in it is wanted */
    }
}

static enum tx_status draft_init(struct txio_draft *draft, const struct txio_parent *parent,
                                 struct tx_error *err)
{
    size_t size = strlen(parent->name);
    if (size == 0 || strcmp(parent->name, ".") == 0 || strcmp(parent->name, "..") == 0) {
        return tx_error_set(err, TX_EINVAL, "\"%s\" is no name for a file", parent->name);
    }
    if (size + sizeof(".new") > sizeof(draft->draft_name)) {
        return tx_error_set(err, TX_ELIMIT, "name of %zu bytes is too long to replace", size);
    }
    draft->io = parent->io;
    draft->dir = parent->dir;
    draft->name = parent->name;
    memcpy(draft->draft_name, parent->name, size);
    memcpy(draft->draft_name + size, ".new", sizeof(".new"));
    return TX_OK;
}

/* Whether the open draft still is what its name says. */
static enum tx_status draft_is_named(const struct txio_draft *draft, bool *named,
                                     struct tx_error *err)
{
    struct txio_stat ours;
    struct txio_stat there;
    TX_TRY(txio_stat_fd(draft->io, draft->fd, &ours, err));
    int result = draft->io->ops->stat(draft->io, draft->dir, draft->draft_name, &there);
    if (result < 0 && result != -ENOENT) {
        return txio_path_error(err, result, "stat", draft->dir, draft->draft_name);
    }
    *named = result == 0 && ours.ino == there.ino && ours.dev == there.dev;
    return TX_OK;
}

static enum tx_status draft_try(struct txio_draft *draft, bool *opened, struct tx_error *err)
{
    struct txio *io = draft->io;
    int fd;
    TX_TRY(txio_open(io, draft->dir, draft->draft_name, TXIO_WRITE | TXIO_CREATE, 0600, &fd, err));
    draft->fd = fd;
    int result = io->ops->lock(io, fd, 0, TXIO_EXCLUSIVE_LOCK, true);
    enum tx_status status = result < 0 ? txio_path_error(err, result, "lock", draft->dir,
                                                         draft->draft_name)
                                       : draft_is_named(draft, opened, err);
    if (status != TX_OK || !*opened) { /* not ours to remove */
        draft->fd = -1;
        (void)io->ops->close(io, fd); /* nothing was written */
    }
    return status;
}

/*
 * Open the draft and lock it. Its name is always the same, so that crashes leave at most one; the
 * lock keeps two writers apart, and dies with its holder. Whoever waited for it finds that the name
 * has meanwhile gone to the finished file, and begins again.
 */
static enum tx_status draft_open(struct txio_draft *draft, struct tx_error *err)
{
    bool opened = false;
    for (int i = 0; i < DRAFT_TRIES && !opened; i++) {
        TX_TRY(draft_try(draft, &opened, err));
    }
    if (!opened) {
        return tx_error_set(err, TX_EBUSY, "\"%s\" is replaced by others all the time",
                            draft->draft_name);
    }
    int result = draft->io->ops->truncate(draft->io, draft->fd, 0);
    /* Crash here: a draft without content, taken over by the next one. */
    return result < 0 ? txio_path_error(err, result, "truncate", draft->dir, draft->draft_name)
                      : TX_OK;
}

static enum tx_status draft_commit(struct txio_draft *draft, struct tx_error *err)
{
    struct txio *io = draft->io;
    if (!TX_MUTANT(55)) { /* MUTANT_55: the file of no bytes after a rename */
        TX_TRY(txio_datasync(io, draft->fd, draft->draft_name, err));
    }
    /* Crash here: the old content; the draft stays and the next one takes it over. */
    TX_TRY(txio_rename(io, draft->dir, draft->draft_name, draft->dir, draft->name, TXIO_REPLACE,
                       err));
    /* Crash here: the old content or the new, each whole. */
    (void)io->ops->close(io, draft->fd); /* its content was synced; this gives the lock back */
    draft->fd = -1;
    return txio_sync(io, draft->dir, "the directory of a replaced file", err);
    /* Crash here: the new content. */
}

enum tx_status txio_replace_file(struct txio *io, int dir, const char *name, const void *data,
                                 size_t size, struct tx_error *err)
{
    TX_AUTO(txio_parent) parent = {.io = io};
    TX_AUTO(txio_draft) draft = {.io = io, .fd = -1};
    struct iovec part = {(void *)(uintptr_t)data, size};
    TX_TRY(txio_parent_open(&parent, io, dir, name, err));
    TX_TRY(draft_init(&draft, &parent, err));
    TX_TRY(draft_open(&draft, err));
    TX_TRY(txio_write_full(io, draft.fd, &part, 1, 0, err));
    return draft_commit(&draft, err);
}
