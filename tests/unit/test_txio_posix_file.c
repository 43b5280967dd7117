/* SPDX-License-Identifier: MIT */
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/vfs.h>
#include <sys/wait.h>

#include "txio/txio_internal.h"
#include "unit/temp_dir.h"

Test(txio_posix_file, open_flags_mean_what_they_say)
{
    struct txio *io = txio_posix();
    TX_AUTO(temp_dir) temp = temp_dir_new();
    umask(0);
    cr_assert_eq(io->ops->open(io, temp.fd, "f", TXIO_WRITE, 0), -ENOENT);
    unsigned flags = TXIO_WRITE | TXIO_CREATE | TXIO_EXCLUSIVE;
    int fd = io->ops->open(io, temp.fd, "f", flags, 0100640);
    cr_assert_geq(fd, 0);
    cr_assert_eq(write(fd, "abc", 3), 3);
    cr_assert_eq(fcntl(fd, F_GETFD), FD_CLOEXEC);
    cr_assert_eq(io->ops->close(io, fd), 0);
    cr_assert_eq(io->ops->close(io, fd), -EBADF);
    cr_assert_eq(io->ops->open(io, temp.fd, "f", flags, 0), -EEXIST);
    fd = io->ops->open(io, temp.fd, "f", TXIO_READ, 0);
    cr_assert_eq(write(fd, "x", 1), -1);
    (void)close(fd);
    struct stat stat;
    cr_assert_eq(fstatat(temp.fd, "f", &stat, 0), 0);
    cr_assert_eq(stat.st_mode, S_IFREG | 0640);
    fd = io->ops->open(io, temp.fd, "f", TXIO_WRITE | TXIO_CREATE | TXIO_TRUNCATE, 0777);
    cr_assert_geq(fd, 0);
    (void)close(fd);
    cr_assert(file_is(temp.fd, "f", ""));
}

Test(txio_posix_file, directories_open_for_reading_only)
{
    struct txio *io = txio_posix();
    TX_AUTO(temp_dir) temp = temp_dir_new();
    make_dir(temp.fd, "d");
    int fd = io->ops->open(io, temp.fd, "d", TXIO_READ, 0);
    cr_assert_geq(fd, 0);
    cr_assert_eq(io->ops->sync(io, fd), 0);
    (void)close(fd);
    cr_assert_eq(io->ops->open(io, temp.fd, "d", TXIO_WRITE, 0), -EISDIR);
}

static void make_socket(int dir)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = "socket"};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    cr_assert_eq(fchdir(dir), 0);
    cr_assert_eq(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    (void)close(fd);
}

Test(txio_posix_file, special_files_are_refused_without_hanging, .timeout = 20)
{
    struct txio *io = txio_posix();
    TX_AUTO(temp_dir) temp = temp_dir_new();
    make_dir(temp.fd, "d");
    cr_assert_eq(mkfifoat(temp.fd, "d/fifo", 0600), 0);
    make_socket(temp.fd);
    int before = open_descriptors();
    for (int i = 0; i < 2; i++) {
        os_set_resolver(i == 0 ? OS_RESOLVE_OPENAT2 : OS_RESOLVE_WALK);
        cr_assert_eq(io->ops->open(io, temp.fd, "d/fifo", TXIO_READ, 0), -EOPNOTSUPP);
        cr_assert_eq(io->ops->open(io, temp.fd, "d/fifo", TXIO_WRITE, 0), -EOPNOTSUPP);
        cr_assert_eq(io->ops->open(io, temp.fd, "d/fifo", TXIO_DIRECTORY, 0), -ENOTDIR);
        cr_assert_eq(io->ops->open(io, temp.fd, "socket", TXIO_READ, 0), -ENXIO);
    }
    if (mknodat(temp.fd, "null", S_IFCHR | 0600, 0x103) == 0) { /* needs root */
        cr_assert_eq(io->ops->open(io, temp.fd, "null", TXIO_WRITE, 0), -EOPNOTSUPP);
    }
    cr_assert_eq(open_descriptors(), before);
}

Test(txio_posix_file, the_users_own_paths_resolve_as_usual)
{
    struct txio *io = txio_posix();
    struct txio_stat stat;
    TX_AUTO(temp_dir) temp = temp_dir_new();
    make_dir(temp.fd, "d");
    make_file(temp.fd, "f", "abc");
    cr_assert_eq(symlinkat("../f", temp.fd, "d/link"), 0);
    cr_assert_eq(fchdir(temp.fd), 0);
    int fd = io->ops->open(io, TXIO_CWD, "d/../d/link", TXIO_READ, 0);
    cr_assert_geq(fd, 0);
    (void)close(fd);
    cr_assert_eq(io->ops->stat(io, TXIO_CWD, "d/link", &stat), 0);
    cr_assert_eq(stat.size, 3);
    fd = io->ops->open(io, TXIO_CWD, "/dev/null", TXIO_WRITE, 0);
    cr_assert_geq(fd, 0);
    (void)close(fd);
}

static int leased_fd;
static void give_lease_back(int signal)
{
    (void)signal;
    (void)fcntl(leased_fd, F_SETLEASE, F_UNLCK);
}

Test(txio_posix_file, a_leased_file_is_waited_for, .timeout = 30)
{
    struct txio *io = txio_posix();
    TX_AUTO(temp_dir) temp = temp_dir_new();
    make_file(temp.fd, "f", "abc");
    int ready[2];
    cr_assert_eq(pipe(ready), 0);
    pid_t holder = fork_child();
    if (holder == 0) {
        (void)signal(SIGIO, give_lease_back);
        leased_fd = openat(temp.fd, "f", O_RDWR | O_CLOEXEC);
        char byte = fcntl(leased_fd, F_SETLEASE, F_WRLCK) == 0 ? 'y' : 'n';
        (void)!write(ready[1], &byte, 1);
        for (;;) {
            pause();
        }
    }
    char byte = 'n';
    cr_assert_eq(read(ready[0], &byte, 1), 1);
    int fd = byte == 'y' ? io->ops->open(io, temp.fd, "f", TXIO_READ, 0) : 0;
    (void)kill(holder, SIGKILL);
    (void)waitpid(holder, NULL, 0);
    if (byte != 'y') {
        cr_skip_test("no leases here");
    }
    cr_assert_geq(fd, 0, "%d", fd);
    (void)close(fd);
}

Test(txio_posix_file, reads_and_writes_at_offsets)
{
    struct txio *io = txio_posix();
    TX_AUTO(temp_dir) temp = temp_dir_new();
    char data[8];
    int fd = io->ops->open(io, temp.fd, "f", TXIO_WRITE | TXIO_CREATE, 0600);
    struct iovec parts[2] = {{(char[]){"abc"}, 3}, {(char[]){"de"}, 2}};
    cr_assert_eq(io->ops->pwritev(io, fd, parts, 2, 2), 5);
    cr_assert_eq(io->ops->pread(io, fd, data, 8, 0), 7);
    cr_assert_eq(memcmp(data, "\0\0abcde", 7), 0);
    cr_assert_eq(io->ops->pread(io, fd, data, 8, 7), 0);
    cr_assert_eq(io->ops->pread(io, fd, data, 8, UINT64_MAX), -EINVAL);
    cr_assert_eq(io->ops->pread(io, -1, data, 8, 0), -EBADF);
    cr_assert_eq(io->ops->pwritev(io, -1, parts, 2, 0), -EBADF);
    cr_assert_eq(io->ops->truncate(io, fd, 4), 0);
    cr_assert_eq(io->ops->pread(io, fd, data, 8, 0), 4);
    cr_assert_eq(io->ops->truncate(io, -1, 4), -EBADF);
    (void)close(fd);
}

Test(txio_posix_file, allocated_and_sparse_space_can_be_told)
{
    struct txio *io = txio_posix();
    struct txio_stat stat;
    TX_AUTO(temp_dir) temp = temp_dir_new();
    int fd = io->ops->open(io, temp.fd, "f", TXIO_WRITE | TXIO_CREATE, 0600);
    cr_assert_eq(io->ops->truncate(io, fd, 1 << 20), 0);
    cr_assert_eq(io->ops->fstat(io, fd, &stat), 0);
    cr_assert_eq(stat.size, 1 << 20);
    cr_assert_eq(stat.allocated, 0);
    struct iovec part = {(char[]){"x"}, 1};
    cr_assert_eq(io->ops->pwritev(io, fd, &part, 1, 512 << 10), 1);
    cr_assert_eq(io->ops->seek(io, fd, 0, true), 0);
    cr_assert_eq(io->ops->seek(io, fd, 0, false), 512 << 10);
    cr_assert_gt(io->ops->seek(io, fd, 512 << 10, true), 512 << 10);
    cr_assert_eq(io->ops->seek(io, fd, 1 << 20, false), -ENXIO);
    int result = io->ops->allocate(io, fd, 1 << 20, 1 << 20);
    cr_assert(result == 0 || result == -EOPNOTSUPP);
    if (result == 0) {
        cr_assert_eq(io->ops->fstat(io, fd, &stat), 0);
        cr_assert_eq(stat.size, 2 << 20);
        cr_assert_geq(stat.allocated, 1 << 20);
    }
    cr_assert_eq(io->ops->allocate(io, fd, 0, 0), -EINVAL);
    (void)close(fd);
}

Test(txio_posix_file, stat_tells_what_the_system_tells)
{
    struct txio *io = txio_posix();
    struct txio_stat ours;
    struct stat theirs;
    TX_AUTO(temp_dir) temp = temp_dir_new();
    make_file(temp.fd, "f", "abc");
    cr_assert_eq(linkat(temp.fd, "f", temp.fd, "g", 0), 0);
    struct timespec times[2] = {{-3, 250000000}, {1234567890, 987654321}};
    cr_assert_eq(utimensat(temp.fd, "f", times, 0), 0);
    cr_assert_eq(fstatat(temp.fd, "f", &theirs, 0), 0);
    cr_assert_eq(io->ops->stat(io, temp.fd, "f", &ours), 0);
    cr_assert_eq(ours.dev, theirs.st_dev);
    cr_assert_eq(ours.ino, theirs.st_ino);
    cr_assert_eq(ours.size, 3);
    cr_assert_eq(ours.allocated, (uint64_t)theirs.st_blocks * 512);
    cr_assert_eq(ours.mode, theirs.st_mode);
    cr_assert_eq(ours.uid, theirs.st_uid);
    cr_assert_eq(ours.gid, theirs.st_gid);
    cr_assert_eq(ours.nlink, 2);
    cr_assert_eq(ours.atime_ns, -2750000000);
    cr_assert_eq(ours.mtime_ns, 1234567890987654321);
    cr_assert_eq(ours.ctime_ns, theirs.st_ctim.tv_sec * 1000000000 + theirs.st_ctim.tv_nsec);
    struct statx born;
    cr_assert_eq(statx(temp.fd, "f", 0, STATX_BTIME, &born), 0);
    bool told = (born.stx_mask & STATX_BTIME) != 0;
    cr_assert_eq(ours.btime_ns,
                 told ? born.stx_btime.tv_sec * 1000000000 + born.stx_btime.tv_nsec : 0);
    cr_assert_eq(io->ops->stat(io, TXIO_CWD, "/dev/null", &ours), 0);
    cr_assert_eq(ours.rdev, 0x103);
    cr_assert_eq(io->ops->fstat(io, -1, &ours), -EBADF);
}

Test(txio_posix_file, the_file_system_describes_itself)
{
    struct txio *io = txio_posix();
    struct txio_fs_info info;
    struct statfs native;
    TX_AUTO(temp_dir) temp = temp_dir_new();
    cr_assert_eq(io->ops->fs_info(io, temp.fd, &info), 0);
    cr_assert_eq(fstatfs(temp.fd, &native), 0);
    cr_assert_eq(info.type, (uint64_t)native.f_type);
    cr_assert_eq(info.block_size, (uint64_t)native.f_bsize);
    cr_assert_gt(info.free_bytes, 0);
    cr_assert_leq(info.free_bytes, native.f_blocks * (uint64_t)native.f_frsize);
    cr_assert_gt(info.free_inodes, 0);
    cr_assert_eq(io->ops->fs_info(io, -1, &info), -EBADF);
    int proc = open("/proc/self", O_RDONLY | O_DIRECTORY | O_CLOEXEC); /* counts no inodes */
    cr_assert_eq(io->ops->fs_info(io, proc, &info), 0);
    cr_assert_eq(info.free_inodes, UINT64_MAX);
    (void)close(proc);
}

Test(txio_posix_file, times_at_the_limits_of_64_bits_are_right_or_the_nearest)
{
    static const struct {
        struct statx_timestamp time;
        int64_t ns;
    } rows[] = {
        {{.tv_sec = 9223372036, .tv_nsec = 854775807}, INT64_MAX},
        {{.tv_sec = 9223372036, .tv_nsec = 854775808}, INT64_MAX},
        {{.tv_sec = 9223372037}, INT64_MAX},
        {{.tv_sec = -9223372036}, -9223372036000000000},
        /* the least means something else */
        {{.tv_sec = -9223372037, .tv_nsec = 999999999}, INT64_MIN + 1},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct statx native = {.stx_mtime = rows[i].time};
        struct txio_stat stat;
        os_stat_convert(&native, &stat);
        cr_assert_eq(stat.mtime_ns, rows[i].ns, "row %zu", i);
    }
}

Test(txio_posix_file, every_sync_reaches_the_system)
{
    struct txio *io = txio_posix();
    TX_AUTO(temp_dir) temp = temp_dir_new();
    make_file(temp.fd, "f", "abc");
    int fd = io->ops->open(io, temp.fd, "f", TXIO_WRITE, 0);
    cr_assert_eq(io->ops->write_behind(io, fd, 0, 3), 0);
    cr_assert_eq(io->ops->datasync(io, fd), 0);
    cr_assert_eq(io->ops->sync(io, fd), 0);
    cr_assert_eq(io->ops->sync(io, temp.fd), 0);
    (void)close(fd);
    cr_assert_eq(io->ops->write_behind(io, -1, 0, 3), -EBADF);
    cr_assert_eq(io->ops->datasync(io, -1), -EBADF);
    cr_assert_eq(io->ops->sync(io, -1), -EBADF);
    cr_assert_eq(io->ops->syncfs(io, -1), -EBADF); /* a real one would sync everybody's data */
}
