/* SPDX-License-Identifier: MIT */
/*
 * The operating system, except that one chosen call fails and transfers may be short; the calls
 * are noted in order. For the helpers of src/txio; the simulated disk is in tests/sim.
 */
#ifndef TEST_FAILING_IO_H
#define TEST_FAILING_IO_H

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <txkit/io.h>

struct failing_io {
    struct txio io; /* first */
    struct txio_ops ops;
    int calls;
    int fail_at; /* the call that fails, counted from 0; -1: none */
    int error;   /* -errno it fails with */
    size_t most; /* bytes that one pread or pwritev moves; 0: all */
    char trace[4096];
};

/* Note a call; 0, or the error when it is the one to fail. */
static inline int failing_io_call(struct txio *io, const char *name)
{
    struct failing_io *self = (struct failing_io *)io;
    size_t used = strlen(self->trace);
    (void)snprintf(self->trace + used, sizeof(self->trace) - used, " %s", name);
    return self->calls++ == self->fail_at ? self->error : 0;
}

/* An operation of these parameters that may fail before it reaches the system. */
#define FAILING_OP(type, name, parameters, arguments)                                              \
    static inline type failing_##name parameters                                                   \
    {                                                                                              \
        int error = failing_io_call(io, #name);                                                    \
        return error < 0 ? error : txio_posix()->ops->name arguments;                              \
    }

FAILING_OP(int, open,
           (struct txio * io, int dir, const char *path, unsigned flags, uint32_t mode),
           (io, dir, path, flags, mode))
FAILING_OP(int, truncate, (struct txio * io, int fd, uint64_t size), (io, fd, size))
FAILING_OP(int, fstat, (struct txio * io, int fd, struct txio_stat *stat), (io, fd, stat))
FAILING_OP(int, datasync, (struct txio * io, int fd), (io, fd))
FAILING_OP(int, sync, (struct txio * io, int fd), (io, fd))
FAILING_OP(int, stat, (struct txio * io, int dir, const char *path, struct txio_stat *stat),
           (io, dir, path, stat))
FAILING_OP(int, list, (struct txio * io, int dir, txio_list_fn *fn, void *arg), (io, dir, fn, arg))
FAILING_OP(int, rename,
           (struct txio * io, int from_dir, const char *from, int to_dir, const char *to,
            unsigned flags),
           (io, from_dir, from, to_dir, to, flags))
FAILING_OP(int, unlink, (struct txio * io, int dir, const char *path), (io, dir, path))
FAILING_OP(int, mkdir, (struct txio * io, int dir, const char *path, uint32_t mode),
           (io, dir, path, mode))
FAILING_OP(int, rmdir, (struct txio * io, int dir, const char *path), (io, dir, path))
FAILING_OP(int, lock,
           (struct txio * io, int fd, uint64_t byte, enum txio_lock_mode mode, bool wait),
           (io, fd, byte, mode, wait))

static inline int failing_close(struct txio *io, int fd)
{
    int error = failing_io_call(io, "close");
    int result = txio_posix()->ops->close(io, fd); /* a failed close has closed all the same */
    return error < 0 ? error : result;
}

static inline int64_t failing_pread(struct txio *io, int fd, void *data, size_t size,
                                    uint64_t offset)
{
    struct failing_io *self = (struct failing_io *)io;
    int error = failing_io_call(io, "pread");
    size_t most = self->most > 0 && self->most < size ? self->most : size;
    return error < 0 ? error : txio_posix()->ops->pread(io, fd, data, most, offset);
}

static inline int64_t failing_pwritev(struct txio *io, int fd, const struct iovec *parts,
                                      int count, uint64_t offset)
{
    struct failing_io *self = (struct failing_io *)io;
    int error = failing_io_call(io, "pwritev");
    if (error < 0 || self->most == 0) {
        return error < 0 ? error : txio_posix()->ops->pwritev(io, fd, parts, count, offset);
    }
    uint8_t some[64];
    size_t size = 0;
    for (int i = 0; i < count; i++) {
        for (size_t j = 0; j < parts[i].iov_len && size < self->most; j++) {
            some[size++] = ((const uint8_t *)parts[i].iov_base)[j];
        }
    }
    struct iovec part = {some, size};
    return txio_posix()->ops->pwritev(io, fd, &part, 1, offset);
}

static inline struct txio *failing_io_init(struct failing_io *self, int fail_at, int error)
{
    *self = (struct failing_io){.ops = *txio_posix()->ops, .fail_at = fail_at, .error = error};
    self->io.ops = &self->ops;
    self->ops.open = failing_open;
    self->ops.close = failing_close;
    self->ops.pread = failing_pread;
    self->ops.pwritev = failing_pwritev;
    self->ops.truncate = failing_truncate;
    self->ops.fstat = failing_fstat;
    self->ops.datasync = failing_datasync;
    self->ops.sync = failing_sync;
    self->ops.stat = failing_stat;
    self->ops.list = failing_list;
    self->ops.rename = failing_rename;
    self->ops.unlink = failing_unlink;
    self->ops.mkdir = failing_mkdir;
    self->ops.rmdir = failing_rmdir;
    self->ops.lock = failing_lock;
    return &self->io;
}

#endif
