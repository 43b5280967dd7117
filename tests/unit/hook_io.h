/* SPDX-License-Identifier: MIT */
/*
 * The operating system, with a function called before and after each write, sync and rename, which
 * may count, sleep, end the process, or (before) answer an error instead of the system.
 */
#ifndef TEST_HOOK_IO_H
#define TEST_HOOK_IO_H

#include <string.h>
#include <unistd.h>

#include <txkit/io.h>

enum hook_op { HOOK_PWRITEV, HOOK_DATASYNC, HOOK_SYNC, HOOK_RENAME, HOOK_UNLINK, HOOK_OPS };
enum hook_when { HOOK_BEFORE, HOOK_AFTER };

struct hook_io {
    struct txio io; /* first */
    struct txio_ops ops;
    int (*fn)(struct hook_io *hook, enum hook_op op, enum hook_when when);
    unsigned calls[HOOK_OPS];
    uint64_t written;
    int at; /* for fn */
    int op;
    int when;
};

static inline int hook_call(struct txio *io, enum hook_op op, enum hook_when when)
{
    struct hook_io *hook = (struct hook_io *)io;
    if (when == HOOK_BEFORE) {
        __atomic_fetch_add(&hook->calls[op], 1, __ATOMIC_RELAXED);
    }
    return hook->fn ? hook->fn(hook, op, when) : 0;
}

#define HOOKED(type, name, op, parameters, arguments)                                              \
    static inline type hook_##name parameters                                                      \
    {                                                                                              \
        int error = hook_call(io, op, HOOK_BEFORE);                                                \
        if (error < 0) {                                                                           \
            return error;                                                                          \
        }                                                                                          \
        type result = txio_posix()->ops->name arguments;                                           \
        (void)hook_call(io, op, HOOK_AFTER);                                                       \
        return result;                                                                             \
    }
HOOKED(int, datasync, HOOK_DATASYNC, (struct txio * io, int fd), (io, fd))
HOOKED(int, sync, HOOK_SYNC, (struct txio * io, int fd), (io, fd))
HOOKED(int, unlink, HOOK_UNLINK, (struct txio * io, int dir, const char *path), (io, dir, path))
HOOKED(int, rename, HOOK_RENAME,
       (struct txio * io, int from_dir, const char *from, int to_dir, const char *to,
        unsigned flags),
       (io, from_dir, from, to_dir, to, flags))

static inline int64_t hook_pwritev(struct txio *io, int fd, const struct iovec *parts, int count,
                                   uint64_t offset)
{
    struct hook_io *hook = (struct hook_io *)io;
    int error = hook_call(io, HOOK_PWRITEV, HOOK_BEFORE);
    if (error < 0) {
        return error;
    }
    int64_t result = txio_posix()->ops->pwritev(io, fd, parts, count, offset);
    __atomic_fetch_add(&hook->written, (uint64_t)(result > 0 ? result : 0), __ATOMIC_RELAXED);
    (void)hook_call(io, HOOK_PWRITEV, HOOK_AFTER);
    return result;
}

static inline struct txio *hook_init(struct hook_io *hook,
                                     int (*fn)(struct hook_io *, enum hook_op, enum hook_when))
{
    memset(hook, 0, sizeof(*hook));
    hook->ops = *txio_posix()->ops;
    hook->io.ops = &hook->ops;
    hook->fn = fn;
    hook->ops.pwritev = hook_pwritev;
    hook->ops.datasync = hook_datasync;
    hook->ops.sync = hook_sync;
    hook->ops.rename = hook_rename;
    hook->ops.unlink = hook_unlink;
    return &hook->io;
}

/* For `fn`: a disk that takes its time, so that others come while one is forcing. */
static inline int hook_slow_disk(struct hook_io *hook, enum hook_op op, enum hook_when when)
{
    (void)hook;
    if (op == HOOK_DATASYNC && when == HOOK_BEFORE) {
        (void)usleep(5000);
    }
    return 0;
}

#endif
