/* SPDX-License-Identifier: MIT */
#include "sim/layer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PATH_SIZE 4400u

static const struct {
    const char *name;
    bool changes;
} ops[] = {
#define LAYER_OP_ROW(name, changes) {#name, changes},
    LAYER_OP_LIST(LAYER_OP_ROW)
#undef LAYER_OP_ROW
};

const char *layer_op_name(enum layer_op op) { return ops[op].name; }

bool layer_op_changes(enum layer_op op) { return ops[op].changes; }

static void enter_mutex(struct layer *layer)
{
    if (!layer->fibers) {
        (void)pthread_mutex_lock(&layer->mutex);
    }
}

static void leave_mutex(struct layer *layer)
{
    if (!layer->fibers) {
        (void)pthread_mutex_unlock(&layer->mutex);
    }
}

const char *layer_path(const struct layer *layer, int fd)
{
    bool known = fd >= 0 && (size_t)fd < layer->path_count && layer->paths[fd] != NULL;
    return known ? layer->paths[fd] : "";
}

static void set_path(struct layer *layer, int fd, const char *path)
{
    if ((size_t)fd >= layer->path_count) {
        size_t count = (size_t)fd * 2 + 64;
        layer->paths = realloc(layer->paths, count * sizeof *layer->paths);
        memset(layer->paths + layer->path_count, 0,
               (count - layer->path_count) * sizeof *layer->paths);
        layer->path_count = count;
    }
    free(layer->paths[fd]);
    layer->paths[fd] = path != NULL ? strdup(path) : NULL;
}

/* In PATH_SIZE bytes; not snprintf, because each operation comes by here. */
static void path_of(char *path, const char *above, const char *slash, const char *below)
{
    const char *parts[] = {above, slash, below};
    size_t used = 0;
    for (unsigned i = 0; i < 3; i++) {
        size_t size = strlen(parts[i]);
        size_t room = PATH_SIZE - 1 - used;
        memcpy(path + used, parts[i], size < room ? size : room);
        used += size < room ? size : room;
    }
    path[used] = '\0';
}

static void set_moved(struct layer *layer, const char *from, const char *to)
{
    char path[PATH_SIZE];
    size_t size = strlen(from);
    for (size_t fd = 0; fd < layer->path_count; fd++) {
        const char *old = layer->paths[fd];
        if (old != NULL && strncmp(old, from, size) == 0 && (old[size] == '/' || !old[size])) {
            path_of(path, to, "", old + size);
            set_path(layer, (int)fd, path);
        }
    }
}

/* What is open follows its name. */
static void follow_rename(struct layer *layer, const struct layer_call *call)
{
    enter_mutex(layer);
    if ((call->flags & TXIO_EXCHANGE) != 0) {
        set_moved(layer, call->where, "/layer.swap");
        set_moved(layer, call->where2, call->where);
        set_moved(layer, "/layer.swap", call->where2);
    } else {
        set_moved(layer, call->where2, "/replaced");
        set_moved(layer, call->where, call->where2);
    }
    leave_mutex(layer);
}

static const char *join(const struct layer *layer, int dir, const char *path, char *buffer)
{
    const char *above = dir == TXIO_CWD ? "" : layer_path(layer, dir);
    if (strcmp(path, ".") == 0 && dir != TXIO_CWD) {
        return above;
    }
    bool slash = path[0] != '/' && strcmp(above, "/") != 0;
    path_of(buffer, above, slash ? "/" : "", path);
    return buffer;
}

static struct layer *layer_of(struct txio *io) { return (struct layer *)(void *)io; }

/* True when the operation is to be performed by what is below. */
static bool enter(struct layer *layer, struct layer_call *call)
{
    if (call->where == NULL) {
        call->where = layer_path(layer, call->fd);
    }
    enter_mutex(layer);
    if (layer->before != NULL) {
        layer->before(layer, call);
    }
    leave_mutex(layer);
    return !call->done;
}

static int64_t leave(struct layer *layer, struct layer_call *call)
{
    enter_mutex(layer);
    if (layer->after != NULL) {
        layer->after(layer, call);
    }
    leave_mutex(layer);
    return call->result;
}

#define BELOW layer->below->ops

static int pass_open(struct txio *io, int dir, const char *path, unsigned flags, uint32_t mode)
{
    struct layer *layer = layer_of(io);
    char where[PATH_SIZE];
    struct layer_call call = {
        .op = LAYER_open, .fd = -1, .where = join(layer, dir, path, where), .flags = flags};
    if (enter(layer, &call)) {
        call.result = BELOW->open(layer->below, dir, path, flags, mode);
    }
    int result = (int)leave(layer, &call);
    if (result >= 0) {
        enter_mutex(layer);
        set_path(layer, result, call.where);
        leave_mutex(layer);
    }
    return result;
}

static int pass_close(struct txio *io, int fd)
{
    struct layer *layer = layer_of(io);
    char where[PATH_SIZE];
    path_of(where, layer_path(layer, fd), "", "");
    struct layer_call call = {.op = LAYER_close, .fd = fd, .where = where};
    /* Forgotten first: once it is closed another thread may be given the same number. */
    enter_mutex(layer);
    if (where[0] != '\0') {
        set_path(layer, fd, NULL);
    }
    leave_mutex(layer);
    if (enter(layer, &call)) {
        call.result = BELOW->close(layer->below, fd);
    }
    return (int)leave(layer, &call);
}

/* An operation on nothing, on a descriptor, on a path. `args` begins with the txio. */
#define PASS(type, name, params, args, ...)                                                        \
    static type pass_##name params                                                                 \
    {                                                                                              \
        struct layer *layer = layer_of(io);                                                        \
        struct layer_call call = {.op = LAYER_##name, .fd = -1, __VA_ARGS__};                      \
        if (enter(layer, &call)) {                                                                 \
            call.result = (int64_t)BELOW->name args;                                               \
        }                                                                                          \
        return (type)leave(layer, &call);                                                          \
    }
#define PASS_FD(type, name, params, args, ...)                                                     \
    static type pass_##name params                                                                 \
    {                                                                                              \
        struct layer *layer = layer_of(io);                                                        \
        struct layer_call call = {.op = LAYER_##name, __VA_ARGS__};                                \
        if (enter(layer, &call)) {                                                                 \
            call.result = (int64_t)BELOW->name args;                                               \
        }                                                                                          \
        return (type)leave(layer, &call);                                                          \
    }
#define PASS_PATH(type, name, params, args, ...)                                                   \
    static type pass_##name params                                                                 \
    {                                                                                              \
        struct layer *layer = layer_of(io);                                                        \
        char where[PATH_SIZE];                                                                     \
        struct layer_call call = {.op = LAYER_##name,                                              \
                                  .fd = -1,                                                        \
                                  .where = join(layer, dir, path, where),                          \
                                  __VA_ARGS__};                                                    \
        if (enter(layer, &call)) {                                                                 \
            call.result = (int64_t)BELOW->name args;                                               \
        }                                                                                          \
        return (type)leave(layer, &call);                                                          \
    }

static uint64_t total(const struct iovec *parts, int count)
{
    uint64_t size = 0;
    for (int i = 0; i < count; i++) {
        size += parts[i].iov_len;
    }
    return size;
}

PASS_FD(int64_t, pread, (struct txio * io, int fd, void *data, size_t size, uint64_t offset),
        (layer->below, fd, data, size, offset), .fd = fd, .data = data, .size = size,
        .offset = offset)
PASS_FD(int64_t, pwritev,
        (struct txio * io, int fd, const struct iovec *parts, int count, uint64_t offset),
        (layer->below, fd, parts, count, offset), .fd = fd, .parts = parts, .count = count,
        .size = total(parts, count), .offset = offset)
PASS_FD(int, truncate, (struct txio * io, int fd, uint64_t size), (layer->below, fd, size),
        .fd = fd, .size = size)
PASS_FD(int, allocate, (struct txio * io, int fd, uint64_t offset, uint64_t size),
        (layer->below, fd, offset, size), .fd = fd, .offset = offset, .size = size)
PASS_FD(int64_t, seek, (struct txio * io, int fd, uint64_t offset, bool hole),
        (layer->below, fd, offset, hole), .fd = fd, .offset = offset)
PASS_FD(int, fstat, (struct txio * io, int fd, struct txio_stat *stat), (layer->below, fd, stat),
        .fd = fd)
PASS_FD(int, fs_info, (struct txio * io, int fd, struct txio_fs_info *info),
        (layer->below, fd, info), .fd = fd)
PASS_FD(int, datasync, (struct txio * io, int fd), (layer->below, fd), .fd = fd)
PASS_FD(int, sync, (struct txio * io, int fd), (layer->below, fd), .fd = fd)
PASS_FD(int, syncfs, (struct txio * io, int fd), (layer->below, fd), .fd = fd)
PASS_FD(int, write_behind, (struct txio * io, int fd, uint64_t offset, uint64_t size),
        (layer->below, fd, offset, size), .fd = fd, .offset = offset, .size = size)
PASS_PATH(int, stat, (struct txio * io, int dir, const char *path, struct txio_stat *stat),
          (layer->below, dir, path, stat), .size = 0)
PASS_FD(int, list, (struct txio * io, int dir, txio_list_fn *fn, void *arg),
        (layer->below, dir, fn, arg), .fd = dir)
PASS_PATH(int, readlink,
          (struct txio * io, int dir, const char *path, char *target, size_t size),
          (layer->below, dir, path, target, size), .size = size)
PASS_PATH(int, unlink, (struct txio * io, int dir, const char *path), (layer->below, dir, path),
          .size = 0)
PASS_PATH(int, mkdir, (struct txio * io, int dir, const char *path, uint32_t mode),
          (layer->below, dir, path, mode), .flags = mode)
PASS_PATH(int, rmdir, (struct txio * io, int dir, const char *path), (layer->below, dir, path),
          .size = 0)
PASS_PATH(int, symlink, (struct txio * io, const char *target, int dir, const char *path),
          (layer->below, target, dir, path), .where2 = target)
PASS_PATH(int, mknod,
          (struct txio * io, int dir, const char *path, uint32_t mode, uint64_t rdev),
          (layer->below, dir, path, mode, rdev), .flags = mode)
PASS_PATH(int, set_attr,
          (struct txio * io, int dir, const char *path, const struct txio_attr *attr),
          (layer->below, dir, path, attr), .flags = attr->mask)
PASS_PATH(int64_t, get_xattr,
          (struct txio * io, int dir, const char *path, const char *name, void *value,
           size_t size),
          (layer->below, dir, path, name, value, size), .data = value, .size = size)
PASS_PATH(int64_t, list_xattr,
          (struct txio * io, int dir, const char *path, char *names, size_t size),
          (layer->below, dir, path, names, size), .size = size)
PASS_PATH(int, set_xattr,
          (struct txio * io, int dir, const char *path, const char *name, const void *value,
           size_t size),
          (layer->below, dir, path, name, value, size), .size = size)
PASS_PATH(int, remove_xattr,
          (struct txio * io, int dir, const char *path, const char *name),
          (layer->below, dir, path, name), .size = 0)
PASS_FD(int, lock,
        (struct txio * io, int fd, uint64_t byte, enum txio_lock_mode mode, bool wait),
        (layer->below, fd, byte, mode, wait), .fd = fd, .offset = byte, .flags = mode,
        .blocks = wait)
PASS_FD(int, lock_probe, (struct txio * io, int fd, uint64_t byte), (layer->below, fd, byte),
        .fd = fd, .offset = byte)
PASS_FD(int, map, (struct txio * io, int fd, size_t size, void **memory),
        (layer->below, fd, size, memory), .fd = fd, .size = size)
PASS(int, unmap, (struct txio * io, void *memory, size_t size), (layer->below, memory, size),
     .size = size)
PASS(int, wait,
     (struct txio * io, _Atomic uint32_t *word, uint32_t expected, int64_t timeout_ns),
     (layer->below, word, expected, timeout_ns), .word = word, .expected = expected,
     .timeout_ns = timeout_ns)
PASS(int, wake, (struct txio * io, _Atomic uint32_t *word, int count), (layer->below, word, count),
     .word = word, .count = count)
PASS(int64_t, monotonic_ns, (struct txio * io), (layer->below), .size = 0)
PASS(int64_t, realtime_ns, (struct txio * io), (layer->below), .size = 0)
PASS(int, random, (struct txio * io, void *data, size_t size), (layer->below, data, size),
     .size = size)
PASS(uint64_t, process_id, (struct txio * io), (layer->below), .size = 0)
PASS(int, user_id, (struct txio * io, uint32_t *uid, uint32_t *gid), (layer->below, uid, gid),
     .size = 0)
PASS(int, boot_id, (struct txio * io, uint8_t id[16]), (layer->below, id), .size = 0)

static int pass_rename(struct txio *io, int from_dir, const char *from, int to_dir, const char *to,
                       unsigned flags)
{
    struct layer *layer = layer_of(io);
    char where[PATH_SIZE];
    char where2[PATH_SIZE];
    struct layer_call call = {.op = LAYER_rename,
                              .fd = -1,
                              .where = join(layer, from_dir, from, where),
                              .where2 = join(layer, to_dir, to, where2),
                              .flags = flags};
    if (enter(layer, &call)) {
        call.result = BELOW->rename(layer->below, from_dir, from, to_dir, to, flags);
    }
    if (call.result == 0) {
        follow_rename(layer, &call);
    }
    return (int)leave(layer, &call);
}

static int pass_link(struct txio *io, int from_dir, const char *from, int to_dir, const char *to)
{
    struct layer *layer = layer_of(io);
    char where[PATH_SIZE];
    char where2[PATH_SIZE];
    struct layer_call call = {.op = LAYER_link,
                              .fd = -1,
                              .where = join(layer, from_dir, from, where),
                              .where2 = join(layer, to_dir, to, where2)};
    if (enter(layer, &call)) {
        call.result = BELOW->link(layer->below, from_dir, from, to_dir, to);
    }
    return (int)leave(layer, &call);
}

static const struct txio_ops layer_ops = {
    .name = "layer",
#define LAYER_OP_ENTRY(name, changes) .name = pass_##name,
    LAYER_OP_LIST(LAYER_OP_ENTRY)
#undef LAYER_OP_ENTRY
};

void layer_init(struct layer *layer, struct txio *below)
{
    *layer = (struct layer){.io = {&layer_ops}, .below = below};
    (void)pthread_mutex_init(&layer->mutex, NULL);
}

void layer_release(struct layer *layer)
{
    for (size_t i = 0; i < layer->path_count; i++) {
        free(layer->paths[i]);
    }
    free(layer->paths);
    (void)pthread_mutex_destroy(&layer->mutex);
}
