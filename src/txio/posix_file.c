/* SPDX-License-Identifier: MIT */
/* Contents of files, and their durability. */
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "txio_internal.h"

static int os_open_flags(unsigned flags)
{
    int os_flags = O_CLOEXEC | O_NOCTTY | O_LARGEFILE;
    os_flags |= flags & TXIO_WRITE ? O_RDWR : O_RDONLY;
    os_flags |= flags & TXIO_CREATE ? O_CREAT : 0;
    os_flags |= flags & TXIO_EXCLUSIVE ? O_EXCL : 0;
    os_flags |= flags & TXIO_TRUNCATE ? O_TRUNC : 0;
    os_flags |= flags & TXIO_DIRECTORY ? O_DIRECTORY : 0;
    return os_flags;
}

/* Keep a descriptor only of a regular file or a directory: reading a fifo or a terminal that
 * somebody put into a tree would hang us, and writing a device would reach past the tree. */
static int refuse_special(int fd)
{
    struct stat stat;
    int result = OS_CALL(fstat(fd, &stat));
    if (result == 0 && !S_ISREG(stat.st_mode) && !S_ISDIR(stat.st_mode)) {
        result = -EOPNOTSUPP;
    }
    if (result < 0) {
        (void)close(fd); /* nothing was written through it */
        return result;
    }
    return fd;
}

int os_open(OS_SELF, int dir, const char *path, unsigned flags, uint32_t mode)
{
    int os_flags = os_open_flags(flags);
    mode &= 07777;
    if (dir == TXIO_CWD) {
        return OS_CALL(openat(AT_FDCWD, path, os_flags, mode));
    }
    /* O_NONBLOCK, so that a fifo does not hang the open itself; it means nothing for what remains
     * open. But it makes the open of a file with a lease on it (Samba, an NFS server's delegation)
     * fail instead of waiting for the lease to be given back. */
    int fd = os_open_beneath(dir, path, os_flags | O_NONBLOCK, mode);
    if (fd == -EAGAIN) {
        struct txio_stat stat;
        if (os_stat(io, dir, path, &stat) == 0 && S_ISREG(stat.mode)) {
            fd = os_open_beneath(dir, path, os_flags, mode);
        }
    }
    bool is_new = (flags & TXIO_CREATE) && (flags & TXIO_EXCLUSIVE);
    if (fd < 0 || is_new || (flags & TXIO_DIRECTORY)) {
        return fd;
    }
    return refuse_special(fd);
}

int os_close(OS_SELF, int fd)
{
    /* Linux has closed the descriptor even when it says EINTR; a repetition could close another
     * thread's. */
    return close(fd) < 0 && errno != EINTR ? -errno : 0;
}

int64_t os_pread(OS_SELF, int fd, void *data, size_t size, uint64_t offset)
{
    return OS_CALL(pread(fd, data, size, (off_t)offset));
}

int64_t os_pwritev(OS_SELF, int fd, const struct iovec *parts, int count, uint64_t offset)
{
    return OS_CALL(pwritev(fd, parts, count, (off_t)offset));
}

int os_truncate(OS_SELF, int fd, uint64_t size)
{
    return OS_CALL(ftruncate(fd, (off_t)size));
}

int os_allocate(OS_SELF, int fd, uint64_t offset, uint64_t size)
{
    return OS_CALL(fallocate(fd, 0, (off_t)offset, (off_t)size));
}

int64_t os_seek(OS_SELF, int fd, uint64_t offset, bool hole)
{
    return OS_CALL(lseek(fd, (off_t)offset, hole ? SEEK_HOLE : SEEK_DATA));
}

/* File systems hold dates beyond 2262, which nanoseconds in 64 bits do not: the nearest then. The
 * least of all means "leave the time", and no whole seconds come to it. */
static int64_t nanoseconds(const struct statx_timestamp *time)
{
    int64_t ns;
    if (__builtin_mul_overflow(time->tv_sec, 1000000000, &ns) ||
        __builtin_add_overflow(ns, time->tv_nsec, &ns)) {
        return time->tv_sec < 0 ? INT64_MIN + 1 : INT64_MAX;
    }
    return ns;
}

void os_stat_convert(const struct statx *from, struct txio_stat *to)
{
    *to = (struct txio_stat){
        .dev = makedev(from->stx_dev_major, from->stx_dev_minor),
        .ino = from->stx_ino,
        .size = from->stx_size,
        .allocated = from->stx_blocks * 512, /* whatever the block size is */
        .rdev = makedev(from->stx_rdev_major, from->stx_rdev_minor),
        .mode = from->stx_mode,
        .uid = from->stx_uid,
        .gid = from->stx_gid,
        .nlink = from->stx_nlink,
        .atime_ns = nanoseconds(&from->stx_atime),
        .mtime_ns = nanoseconds(&from->stx_mtime),
        .ctime_ns = nanoseconds(&from->stx_ctime),
        .btime_ns = from->stx_mask & STATX_BTIME ? nanoseconds(&from->stx_btime) : 0,
    };
}

int os_stat_at(int dir, const char *name, int flags, struct txio_stat *stat)
{
    struct statx native;
    int result = OS_CALL(statx(dir, name, flags, STATX_BASIC_STATS | STATX_BTIME, &native));
    if (result == 0) {
        os_stat_convert(&native, stat);
    }
    return result;
}

int os_fstat(OS_SELF, int fd, struct txio_stat *stat)
{
    return os_stat_at(fd, "", AT_EMPTY_PATH, stat);
}

int os_fs_info(OS_SELF, int fd, struct txio_fs_info *info)
{
    struct statfs native;
    int result = OS_CALL(fstatfs(fd, &native));
    if (result < 0) {
        return result;
    }
    uint64_t unit = (uint64_t)native.f_frsize; /* Linux fills it in where a file system does not */
    *info = (struct txio_fs_info){
        .type = (uint64_t)native.f_type,
        .free_bytes = native.f_bavail * unit,
        /* A file system without an inode table (btrfs) counts none. */
        .free_inodes = native.f_files > 0 ? native.f_ffree : UINT64_MAX,
        .block_size = (uint64_t)native.f_bsize,
    };
    return 0;
}

int os_datasync(OS_SELF, int fd)
{
    return OS_CALL(fdatasync(fd));
}

int os_sync(OS_SELF, int fd)
{
    return OS_CALL(fsync(fd));
}

int os_syncfs(OS_SELF, int fd)
{
    return OS_CALL(syncfs(fd));
}

int os_write_behind(OS_SELF, int fd, uint64_t offset, uint64_t size)
{
    /* Only the start of the writing: the flags that wait would also fetch, and so hide from the
     * next sync, an error that the kernel has to report once. */
    return OS_CALL(sync_file_range(fd, (off64_t)offset, (off64_t)size, SYNC_FILE_RANGE_WRITE));
}
