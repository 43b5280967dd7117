/* SPDX-License-Identifier: MIT */
/*
 * A layer over any txio: every operation passes through two functions. Counting, faults and the
 * order monitor are layers; they can be stacked.
 *
 * A layer knows the path of each descriptor that was opened through it, so that its user can speak
 * of files. Thread: any; the two functions are called one at a time.
 */
#ifndef TX_SIM_LAYER_H
#define TX_SIM_LAYER_H

#include <pthread.h>

#include <txkit/io.h>

/* name in the table, does it change or sync something */
#define LAYER_OP_LIST(X)                                                                           \
    X(open, 1) X(close, 0) X(pread, 0) X(pwritev, 1) X(truncate, 1) X(allocate, 1) X(seek, 0)      \
    X(fstat, 0) X(fs_info, 0) X(datasync, 1) X(sync, 1) X(syncfs, 1) X(write_behind, 1)            \
    X(stat, 0) X(list, 0) X(readlink, 0) X(rename, 1) X(link, 1) X(unlink, 1) X(mkdir, 1)          \
    X(rmdir, 1) X(symlink, 1) X(mknod, 1) X(set_attr, 1) X(get_xattr, 0) X(list_xattr, 0)          \
    X(set_xattr, 1) X(remove_xattr, 1) X(lock, 0) X(lock_probe, 0) X(map, 0) X(unmap, 0)           \
    X(wait, 0) X(wake, 0) X(monotonic_ns, 0) X(realtime_ns, 0) X(random, 0) X(process_id, 0)       \
    X(user_id, 0) X(boot_id, 0)

enum layer_op {
#define LAYER_OP_ENUM(name, changes) LAYER_##name,
    LAYER_OP_LIST(LAYER_OP_ENUM)
#undef LAYER_OP_ENUM
        LAYER_OPS
};
#define LAYER_BIT(name) (UINT64_C(1) << LAYER_##name)
const char *layer_op_name(enum layer_op op);
bool layer_op_changes(enum layer_op op);

/* One operation on its way; fields that it does not have are zero or -1. */
struct layer_call {
    enum layer_op op;
    int fd;             /* of operations on a descriptor, list included */
    const char *where;  /* path of what it is about, "" when unknown */
    const char *where2; /* rename, link: the other path; symlink: the target */
    uint64_t offset, size;
    unsigned flags;
    void *data;                /* of pread, get_xattr */
    const struct iovec *parts; /* of pwritev */
    int count;
    bool blocks;                  /* of lock: wait for it */
    const _Atomic uint32_t *word; /* of wait, wake */
    uint32_t expected;            /* of wait */
    int64_t timeout_ns;
    bool done; /* set by `before`: do not perform it, `result` is the answer */
    int64_t result;
    const void *rule; /* for the layer's own use between `before` and `after` */
};

struct layer {
    struct txio io; /* first: what the layer's users see */
    struct txio *below;
    void (*before)(struct layer *layer, struct layer_call *call);
    void (*after)(struct layer *layer, struct layer_call *call); /* may change `result` */
    bool fibers; /* all users are one thread: `before` and `after` may switch between fibers */
    pthread_mutex_t mutex;
    char **paths; /* by descriptor */
    size_t path_count;
};

void layer_init(struct layer *layer, struct txio *below);
void layer_release(struct layer *layer);
/* The path under which a descriptor was opened, "" when unknown. */
const char *layer_path(const struct layer *layer, int fd);

#endif
