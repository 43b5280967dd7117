/* SPDX-License-Identifier: MIT */
/* Declarations within src/txio and its tests. */
#ifndef TXIO_INTERNAL_H
#define TXIO_INTERNAL_H

#include <errno.h>

#include <txkit/io.h>

#include "base/cleanup.h"

/* --- The posix implementation, one function per entry of struct txio_ops. --- */

/* The operating system needs no state: its functions do not use their first parameter. */
#define OS_SELF __attribute__((unused)) struct txio *io

/* The value of a system call or -errno; repeated while a signal interrupts it. */
#define OS_CALL(call)                                                                              \
    __extension__({                                                                                \
        __typeof__(call) os_result_;                                                               \
        do {                                                                                       \
            os_result_ = (call);                                                                   \
        } while (os_result_ == -1 && errno == EINTR);                                              \
        os_result_ == -1 ? -errno : os_result_;                                                    \
    })

int os_open(struct txio *io, int dir, const char *path, unsigned flags, uint32_t mode);
int os_close(struct txio *io, int fd);
int64_t os_pread(struct txio *io, int fd, void *data, size_t size, uint64_t offset);
int64_t os_pwritev(struct txio *io, int fd, const struct iovec *parts, int count, uint64_t offset);
int os_truncate(struct txio *io, int fd, uint64_t size);
int os_allocate(struct txio *io, int fd, uint64_t offset, uint64_t size);
int64_t os_seek(struct txio *io, int fd, uint64_t offset, bool hole);
int os_fstat(struct txio *io, int fd, struct txio_stat *stat);
int os_fs_info(struct txio *io, int fd, struct txio_fs_info *info);
int os_datasync(struct txio *io, int fd);
int os_sync(struct txio *io, int fd);
int os_syncfs(struct txio *io, int fd);
int os_write_behind(struct txio *io, int fd, uint64_t offset, uint64_t size);

int os_stat(struct txio *io, int dir, const char *path, struct txio_stat *stat);
int os_list(struct txio *io, int dir, txio_list_fn *fn, void *arg);
int os_readlink(struct txio *io, int dir, const char *path, char *target, size_t size);
int os_rename(struct txio *io, int from_dir, const char *from, int to_dir, const char *to,
              unsigned flags);
int os_link(struct txio *io, int from_dir, const char *from, int to_dir, const char *to);
int os_unlink(struct txio *io, int dir, const char *path);
int os_mkdir(struct txio *io, int dir, const char *path, uint32_t mode);
int os_rmdir(struct txio *io, int dir, const char *path);
int os_symlink(struct txio *io, const char *target, int dir, const char *path);
int os_mknod(struct txio *io, int dir, const char *path, uint32_t mode, uint64_t rdev);

int os_set_attr(struct txio *io, int dir, const char *path, const struct txio_attr *attr);
int64_t os_get_xattr(struct txio *io, int dir, const char *path, const char *name, void *value,
                     size_t size);
int64_t os_list_xattr(struct txio *io, int dir, const char *path, char *names, size_t size);
int os_set_xattr(struct txio *io, int dir, const char *path, const char *name, const void *value,
                 size_t size);
int os_remove_xattr(struct txio *io, int dir, const char *path, const char *name);

int os_lock(struct txio *io, int fd, uint64_t byte, enum txio_lock_mode mode, bool wait);
int os_lock_probe(struct txio *io, int fd, uint64_t byte);
int os_map(struct txio *io, int fd, size_t size, void **memory);
int os_unmap(struct txio *io, void *memory, size_t size);
int os_wait(struct txio *io, _Atomic uint32_t *word, uint32_t expected, int64_t timeout_ns);
int os_wake(struct txio *io, _Atomic uint32_t *word, int count);
int64_t os_monotonic_ns(struct txio *io);
int64_t os_realtime_ns(struct txio *io);
int os_random(struct txio *io, void *data, size_t size);
uint64_t os_process_id(struct txio *io);
int os_user_id(struct txio *io, uint32_t *uid, uint32_t *gid);
int os_boot_id(struct txio *io, uint8_t id[16]);
/* "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx", and whatever follows; -EIO for anything else. */
int os_parse_uuid(const char *text, uint8_t id[16]);

/* --- Paths (posix_path.c). --- */

/* Where the *at call for a path goes: a directory and one name in it. Under TXIO_CWD the name is
 * the whole path, and the last component may be followed. */
struct os_place {
    int dir;
    const char *name;
    int opened;    /* a descriptor that belongs to the place, or -1 */
    int no_follow; /* AT_SYMLINK_NOFOLLOW, or 0 under TXIO_CWD */
};

/* Find the place of a path. -EINVAL: the last component is empty, "." or ".."; -EXDEV: an absolute
 * path, or ".." elsewhere; -ELOOP: a component is a symbolic link. */
int os_place_find(struct os_place *place, int dir, const char *path) TX_CHECKED;
void os_place_auto(struct os_place *place);
#define OS_PLACE_INIT {-1, NULL, -1, 0}

/* openat() with these flags, beneath `dir` and through no symbolic link. */
int os_open_beneath(int dir, const char *path, int os_flags, uint32_t mode) TX_CHECKED;

/* How paths of several components are resolved. Openat2 gives way to the walk by itself where the
 * kernel or a seccomp filter does not let it through; tests choose. */
enum os_resolver { OS_RESOLVE_OPENAT2, OS_RESOLVE_WALK };
void os_set_resolver(enum os_resolver resolver);

/* --- The directory of a path (helpers.c). --- */

/* The directory that the last component of a path stands in, opened beneath `dir` (as the system
 * resolves it under TXIO_CWD), and that component. */
struct txio_parent {
    struct txio *io;
    int dir;
    bool is_ours; /* to close */
    const char *name;
};
enum tx_status txio_parent_open(struct txio_parent *parent, struct txio *io, int dir,
                                const char *path, struct tx_error *err) TX_CHECKED;
static inline void txio_parent_auto(struct txio_parent *parent)
{
    if (parent->is_ours) {
        (void)parent->io->ops->close(parent->io, parent->dir); /* read only */
    }
}

/* --- Error texts (wrappers.c). --- */

/* Set the text of a path operation that answered `result` (-errno): a path that left its directory
 * or crossed a symbolic link is TX_EESCAPE. */
enum tx_status txio_path_error(struct tx_error *err, int result, const char *verb, int dir,
                               const char *path);

/* statx(2) with its flags. */
int os_stat_at(int dir, const char *name, int flags, struct txio_stat *stat);
struct statx;
void os_stat_convert(const struct statx *from, struct txio_stat *to);

#endif
