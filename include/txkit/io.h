/* SPDX-License-Identifier: MIT */
/*
 * The seam to the operating system.
 *
 * Everything that can fail, be lost in a crash or differ between two runs passes through
 * `struct txio_ops`: files, names, locks, shared memory, time, randomness and waiting. The library
 * ships one implementation (txio_posix); simulators, fault injectors, counters and order monitors
 * are others, in tests/.
 *
 * Conventions of the table: an operation returns a value >= 0 on success and -errno on failure; it
 * never prints and never retries a failed sync. The posix implementation repeats calls that were
 * interrupted (EINTR). A path is relative to a directory descriptor, has no leading '/', and is
 * resolved *beneath* that directory without following a symbolic link in any component, the last
 * one included. The one exception is TXIO_CWD, for paths that come from the user's command line:
 * they resolve as the system resolves them.
 */
#ifndef TXKIT_IO_H
#define TXKIT_IO_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include <txkit/error.h>

struct txio;

#define TXIO_CWD (-100)

enum txio_open_flags {
    TXIO_READ = 0,       /* read only */
    TXIO_WRITE = 1 << 0, /* read and write */
    TXIO_CREATE = 1 << 1,
    TXIO_EXCLUSIVE = 1 << 2,
    TXIO_TRUNCATE = 1 << 3,
    TXIO_DIRECTORY = 1 << 4,
};

enum txio_rename_flags { TXIO_REPLACE = 0, TXIO_NOREPLACE = 1, TXIO_EXCHANGE = 2 };

enum txio_lock_mode { TXIO_UNLOCK, TXIO_SHARED, TXIO_EXCLUSIVE_LOCK };

struct txio_stat {
    uint64_t dev;
    uint64_t ino;
    uint64_t size; /* bytes */
    uint64_t allocated; /* bytes really occupied; smaller than size for sparse files */
    uint64_t rdev;
    uint32_t mode; /* type and permission bits as in struct stat */
    uint32_t uid;
    uint32_t gid;
    uint32_t nlink;
    int64_t atime_ns; /* nanoseconds since 1970 UTC */
    int64_t mtime_ns;
    int64_t ctime_ns;
    int64_t btime_ns; /* birth; 0: the file system does not tell */
};

enum txio_attr_mask {
    TXIO_ATTR_OWNER = 1 << 0,
    TXIO_ATTR_MODE = 1 << 1,
    TXIO_ATTR_TIMES = 1 << 2,
};

/* Attributes to set, in the order owner, mode, times: chown clears set-id bits. */
struct txio_attr {
    uint32_t mask; /* enum txio_attr_mask */
    uint32_t mode; /* permission bits, 07777; ignored for symbolic links */
    uint32_t uid;
    uint32_t gid;
    int64_t atime_ns;
    int64_t mtime_ns;
};

struct txio_fs_info {
    uint64_t type;       /* statfs magic */
    uint64_t free_bytes; /* available to this process */
    uint64_t free_inodes;
    uint64_t block_size;
};

/* Called once per directory entry ("." and ".." left out); a non-zero answer stops the listing and
 * is returned from it. `type` is a DT_* value, DT_UNKNOWN when the file system does not say. */
typedef int txio_list_fn(void *arg, const char *name, uint64_t ino, unsigned type);

struct txio_ops {
    const char *name;

    /* Files. Descriptors are close-on-exec. `open` without TXIO_WRITE works on directories too, and
     * on "." to open `dir` itself anew; except under TXIO_CWD, it refuses what is neither a regular
     * file nor a directory (-EOPNOTSUPP). */
    int (*open)(struct txio *io, int dir, const char *path, unsigned flags, uint32_t mode);
    int (*close)(struct txio *io, int fd);
    int64_t (*pread)(struct txio *io, int fd, void *data, size_t size, uint64_t offset);
    int64_t (*pwritev)(struct txio *io, int fd, const struct iovec *parts, int count,
                       uint64_t offset);
    int (*truncate)(struct txio *io, int fd, uint64_t size);
    int (*allocate)(struct txio *io, int fd, uint64_t offset, uint64_t size);
    /* Next data (hole = false) or hole (hole = true) at or after `offset`; -ENXIO past the end. */
    int64_t (*seek)(struct txio *io, int fd, uint64_t offset, bool hole);
    int (*fstat)(struct txio *io, int fd, struct txio_stat *stat);
    int (*fs_info)(struct txio *io, int fd, struct txio_fs_info *info);

    /* Durability. A failed sync is never repeated: the caller poisons its store. */
    int (*datasync)(struct txio *io, int fd); /* contents and size of one file */
    int (*sync)(struct txio *io, int fd);     /* one file or one directory's names */
    int (*syncfs)(struct txio *io, int fd);   /* the whole file system that holds fd */
    int (*write_behind)(struct txio *io, int fd, uint64_t offset, uint64_t size); /* a hint */

    /* Names. A path that ends in a component "", "." or ".." is refused (-EINVAL), so are absolute
     * paths and ".." elsewhere in it (-EXDEV), and a symbolic link on the way (-ELOOP). */
    int (*stat)(struct txio *io, int dir, const char *path, struct txio_stat *stat);
    int (*list)(struct txio *io, int dir, txio_list_fn *fn, void *arg);
    /* `target` receives the text and a NUL; answers its length; -ENAMETOOLONG: does not fit. */
    int (*readlink)(struct txio *io, int dir, const char *path, char *target, size_t size);
    int (*rename)(struct txio *io, int from_dir, const char *from, int to_dir, const char *to,
                  unsigned flags);
    int (*link)(struct txio *io, int from_dir, const char *from, int to_dir, const char *to);
    int (*unlink)(struct txio *io, int dir, const char *path);
    int (*mkdir)(struct txio *io, int dir, const char *path, uint32_t mode);
    int (*rmdir)(struct txio *io, int dir, const char *path);
    int (*symlink)(struct txio *io, const char *target, int dir, const char *path);
    int (*mknod)(struct txio *io, int dir, const char *path, uint32_t mode, uint64_t rdev);
    int (*set_attr)(struct txio *io, int dir, const char *path, const struct txio_attr *attr);
    int64_t (*get_xattr)(struct txio *io, int dir, const char *path, const char *name, void *value,
                         size_t size); /* size 0 asks for the length */
    int64_t (*list_xattr)(struct txio *io, int dir, const char *path, char *names, size_t size);
    int (*set_xattr)(struct txio *io, int dir, const char *path, const char *name,
                     const void *value, size_t size);
    int (*remove_xattr)(struct txio *io, int dir, const char *path, const char *name);

    /* Locks of byte ranges that belong to the open file description (Linux OFD locks): the kernel
     * drops them when their holder dies. `wait` false: -EAGAIN at once. `probe` answers 1 when
     * somebody else holds a conflicting exclusive lock, else 0. */
    int (*lock)(struct txio *io, int fd, uint64_t byte, enum txio_lock_mode mode, bool wait);
    int (*lock_probe)(struct txio *io, int fd, uint64_t byte);

    /* Shared memory: map `size` bytes of a file that was allocated to that size. */
    int (*map)(struct txio *io, int fd, size_t size, void **memory);
    int (*unmap)(struct txio *io, void *memory, size_t size);

    /* Sleep while *word == expected, at most timeout_ns (< 0: for ever); may wake early for no
     * reason. Works across processes for words in shared memory. -ETIMEDOUT when the time is over,
     * 0 otherwise. `wake` answers how many were woken. */
    int (*wait)(struct txio *io, _Atomic uint32_t *word, uint32_t expected, int64_t timeout_ns);
    int (*wake)(struct txio *io, _Atomic uint32_t *word, int count);

    /* Time, randomness, identity. */
    int64_t (*monotonic_ns)(struct txio *io); /* for timeouts only */
    int64_t (*realtime_ns)(struct txio *io);  /* for stamps only; never orders anything */
    int (*random)(struct txio *io, void *data, size_t size);
    uint64_t (*process_id)(struct txio *io);
    int (*user_id)(struct txio *io, uint32_t *uid, uint32_t *gid);
    int (*boot_id)(struct txio *io, uint8_t id[16]);
};

/* Implementations embed this as their first member. */
struct txio {
    const struct txio_ops *ops;
};

/* The operating system itself. Ownership: static, never freed. Thread: any. */
TX_API struct txio *txio_posix(void);

/* --- Operations with an error text; each is its table entry plus `err`. --- */

TX_API enum tx_status txio_open(struct txio *io, int dir, const char *path, unsigned flags,
                                uint32_t mode, int *fd, struct tx_error *err) TX_CHECKED;
/* Close; an error of close is reported because NFS and quotas deliver late errors there. */
TX_API enum tx_status txio_close(struct txio *io, int fd, struct tx_error *err) TX_CHECKED;
TX_API enum tx_status txio_stat_path(struct txio *io, int dir, const char *path,
                                     struct txio_stat *stat, struct tx_error *err) TX_CHECKED;
TX_API enum tx_status txio_stat_fd(struct txio *io, int fd, struct txio_stat *stat,
                                   struct tx_error *err) TX_CHECKED;
TX_API enum tx_status txio_datasync(struct txio *io, int fd, const char *what,
                                    struct tx_error *err) TX_CHECKED;
TX_API enum tx_status txio_sync(struct txio *io, int fd, const char *what,
                                struct tx_error *err) TX_CHECKED;
TX_API enum tx_status txio_rename(struct txio *io, int from_dir, const char *from, int to_dir,
                                  const char *to, unsigned flags, struct tx_error *err) TX_CHECKED;
TX_API enum tx_status txio_unlink(struct txio *io, int dir, const char *path,
                                  struct tx_error *err) TX_CHECKED;
TX_API enum tx_status txio_mkdir(struct txio *io, int dir, const char *path, uint32_t mode,
                                 struct tx_error *err) TX_CHECKED;

/* --- Helpers --- */

/* Read exactly `size` bytes. Errors: TX_ECORRUPT when the file ends before. */
TX_API enum tx_status txio_read_full(struct txio *io, int fd, void *data, size_t size,
                                     uint64_t offset, struct tx_error *err) TX_CHECKED;
/* Write every byte of all parts (count <= 8), repeating short writes. Durability: none. */
TX_API enum tx_status txio_write_full(struct txio *io, int fd, const struct iovec *parts, int count,
                                      uint64_t offset, struct tx_error *err) TX_CHECKED;
/* Replace `dir/name` by these bytes (mode 0600). Writes `name.new` first, under a lock of its byte
 * 0. Durability: on return the new content is durable under its name; a crash before leaves the old
 * content or the new, each whole, and perhaps the draft, which the next replacement takes over. */
TX_API enum tx_status txio_replace_file(struct txio *io, int dir, const char *name,
                                        const void *data, size_t size, struct tx_error *err)
    TX_CHECKED;
/* Remove `dir/name` and all below it, however deep; absence is success. Does not cross symbolic
 * links or mount points. Durability: none; a crash leaves any part of it. */
TX_API enum tx_status txio_remove_tree(struct txio *io, int dir, const char *name,
                                       struct tx_error *err) TX_CHECKED;

/* --- Mutual exclusion --- */

/* A mutex on the seam's wait and wake: 0 free, 1 held, 2 held with sleepers. Zero-initialised. For
 * the threads of one process only: nobody repairs it when its holder is killed. */
struct txio_mutex {
    _Atomic uint32_t word;
};
TX_API void txio_mutex_lock(struct txio *io, struct txio_mutex *mutex);
TX_API bool txio_mutex_trylock(struct txio_mutex *mutex);
TX_API void txio_mutex_unlock(struct txio *io, struct txio_mutex *mutex);

/*
 * The lock bytes of a store, all in its `control` file. Each is taken together with an in-process
 * mutex (struct txio_pair), because all threads of a handle share one open file description.
 * Order when several are held: OPEN, RECOVERY, CHECKPOINT, PUBLISH, APPEND, SEGMENT; FORCE is taken
 * alone.
 */
enum txio_lock_byte {
    TXIO_LOCK_OPEN,       /* opening or closing the store */
    TXIO_LOCK_RECOVERY,   /* shared: alive; exclusive: recovering */
    TXIO_LOCK_CHECKPOINT, /* moving the steady point, trimming the log */
    TXIO_LOCK_PUBLISH,    /* carrying out durable commits, in LSN order */
    TXIO_LOCK_APPEND,     /* the end of the log and the conflict table */
    TXIO_LOCK_FORCE,      /* the leader of the current force */
    TXIO_LOCK_SEGMENT,    /* the log's files: control, making and recycling segments */
    TXIO_LOCK_PROCESS = 1 << 16, /* + slot: proof of life of one process */
    TXIO_LOCK_TRANSACTION = 1 << 20, /* + sequence number: attached to this transaction */
};

struct txio_pair {
    struct txio *io;
    int fd;
    uint64_t byte;
    struct txio_mutex mutex;
};
TX_API void txio_pair_init(struct txio_pair *pair, struct txio *io, int control_fd, uint64_t byte);
TX_API enum tx_status txio_pair_lock(struct txio_pair *pair, struct tx_error *err) TX_CHECKED;
/* Sets *taken; not getting the lock is no error. */
TX_API enum tx_status txio_pair_trylock(struct txio_pair *pair, bool *taken,
                                        struct tx_error *err) TX_CHECKED;
TX_API void txio_pair_unlock(struct txio_pair *pair);

#endif
