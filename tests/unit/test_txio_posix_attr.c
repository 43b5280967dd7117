/* SPDX-License-Identifier: MIT */
#include <sched.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/xattr.h>

#include "txio/txio_internal.h"
#include "unit/temp_dir.h"

static struct stat stat_of(int dir, const char *path)
{
    struct stat stat;
    cr_assert_eq(fstatat(dir, path, &stat, AT_SYMLINK_NOFOLLOW), 0);
    return stat;
}

Test(txio_posix_attr, owner_comes_before_mode_so_that_set_id_bits_stay)
{
    struct txio *io = txio_posix();
    TX_AUTO(temp_dir) temp = temp_dir_new();
    make_dir(temp.fd, "d");
    make_file(temp.fd, "d/f", "");
    uint32_t id = geteuid() == 0 ? 12345 : geteuid();
    struct txio_attr attr = {.mask = TXIO_ATTR_OWNER | TXIO_ATTR_MODE,
                             .mode = S_IFREG | 04755, /* the type is ignored */
                             .uid = id,
                             .gid = geteuid() == 0 ? 54321 : getegid()};
    for (int i = 0; i < 2; i++) { /* the second time over a file that has the bits */
        cr_assert_eq(io->ops->set_attr(io, temp.fd, "d/f", &attr), 0);
        struct stat stat = stat_of(temp.fd, "d/f");
        cr_assert_eq(stat.st_mode, S_IFREG | 04755);
        cr_assert_eq(stat.st_uid, id);
        cr_assert_eq(stat.st_gid, attr.gid);
    }
}

Test(txio_posix_attr, only_what_the_mask_names_is_set)
{
    struct txio *io = txio_posix();
    TX_AUTO(temp_dir) temp = temp_dir_new();
    make_file(temp.fd, "f", "");
    struct stat before = stat_of(temp.fd, "f");
    struct txio_attr attr = {.mask = 0, .mode = 0, .uid = 1, .gid = 1, .mtime_ns = 1};
    cr_assert_eq(io->ops->set_attr(io, temp.fd, "f", &attr), 0);
    struct stat after = stat_of(temp.fd, "f");
    cr_assert_eq(before.st_mode, after.st_mode);
    cr_assert_eq(before.st_uid, after.st_uid);
    cr_assert_eq(before.st_mtim.tv_sec, after.st_mtim.tv_sec);
    attr.mask = TXIO_ATTR_MODE;
    cr_assert_eq(io->ops->set_attr(io, temp.fd, "f", &attr), 0);
    cr_assert_eq(stat_of(temp.fd, "f").st_mode, S_IFREG);
    cr_assert_eq(io->ops->set_attr(io, temp.fd, "missing", &attr), -ENOENT);
}

Test(txio_posix_attr, dates_beyond_64_bits_of_nanoseconds_are_the_nearest)
{
    struct txio *io = txio_posix();
    TX_AUTO(temp_dir) temp = temp_dir_new();
    const struct timespec far[2] = {{9300000000, 5}, {9300000000, 5}}; /* in 2264 */
    struct txio_stat stat;
    make_file(temp.fd, "f", "");
    cr_assert_eq(utimensat(temp.fd, "f", far, 0), 0);
    if (stat_of(temp.fd, "f").st_mtim.tv_sec != far[0].tv_sec) {
        cr_skip_test("this file system has no such dates");
    }
    cr_assert_eq(io->ops->stat(io, temp.fd, "f", &stat), 0);
    cr_assert_eq(stat.mtime_ns, INT64_MAX);
    cr_assert_eq(stat.atime_ns, INT64_MAX);
}

Test(txio_posix_attr, times_hold_nanoseconds_before_and_after_1970)
{
    static const int64_t times[] = {0, 1, -1, -1000000000, -999999999, 1234567890123456789};
    struct txio *io = txio_posix();
    TX_AUTO(temp_dir) temp = temp_dir_new();
    make_file(temp.fd, "f", "");
    for (size_t i = 0; i < sizeof(times) / sizeof(times[0]); i++) {
        struct txio_stat stat;
        struct txio_attr attr = {
            .mask = TXIO_ATTR_TIMES, .atime_ns = times[i], .mtime_ns = times[i]};
        cr_assert_eq(io->ops->set_attr(io, temp.fd, "f", &attr), 0);
        cr_assert_eq(io->ops->stat(io, temp.fd, "f", &stat), 0);
        cr_assert_eq(stat.mtime_ns, times[i]);
        cr_assert_eq(stat.atime_ns, times[i]);
        attr.atime_ns = INT64_MIN; /* leave this one */
        attr.mtime_ns = 5;
        cr_assert_eq(io->ops->set_attr(io, temp.fd, "f", &attr), 0);
        cr_assert_eq(io->ops->stat(io, temp.fd, "f", &stat), 0);
        cr_assert_eq(stat.mtime_ns, 5);
        cr_assert_eq(stat.atime_ns, times[i]);
    }
}

Test(txio_posix_attr, symbolic_links_are_never_followed)
{
    struct txio *io = txio_posix();
    TX_AUTO(temp_dir) temp = temp_dir_new();
    make_file(temp.fd, "target", "");
    cr_assert_eq(symlinkat("target", temp.fd, "link"), 0);
    struct stat before = stat_of(temp.fd, "target");
    struct txio_attr attr = {
        .mask = TXIO_ATTR_OWNER | TXIO_ATTR_MODE | TXIO_ATTR_TIMES,
        .mode = 0,
        .uid = geteuid() == 0 ? 12345 : geteuid(),
        .gid = getegid(),
        .atime_ns = 7,
        .mtime_ns = 7,
    };
    cr_assert_eq(io->ops->set_attr(io, temp.fd, "link", &attr), 0);
    struct stat after = stat_of(temp.fd, "target");
    cr_assert_eq(before.st_mode, after.st_mode);
    cr_assert_eq(before.st_uid, after.st_uid);
    cr_assert_eq(before.st_mtim.tv_nsec, after.st_mtim.tv_nsec);
    cr_assert_eq(stat_of(temp.fd, "link").st_uid, attr.uid);
    cr_assert_eq(stat_of(temp.fd, "link").st_mtim.tv_nsec, 7);
}

Test(txio_posix_attr, the_users_own_paths_are_followed)
{
    struct txio *io = txio_posix();
    char value[8];
    TX_AUTO(temp_dir) temp = temp_dir_new();
    make_file(temp.fd, "target", "");
    cr_assert_eq(symlinkat("target", temp.fd, "link"), 0);
    cr_assert_eq(fchdir(temp.fd), 0);
    struct txio_attr attr = {.mask = TXIO_ATTR_MODE, .mode = 0604};
    cr_assert_eq(io->ops->set_attr(io, TXIO_CWD, "./link", &attr), 0);
    cr_assert_eq(stat_of(temp.fd, "target").st_mode, S_IFREG | 0604);
    int result = io->ops->set_xattr(io, TXIO_CWD, "link", "user.a", "v", 1);
    if (result == -EOPNOTSUPP) {
        cr_skip_test("no user xattrs here");
    }
    cr_assert_eq(result, 0);
    cr_assert_eq(getxattr("target", "user.a", value, sizeof(value)), 1);
    cr_assert_eq(io->ops->get_xattr(io, TXIO_CWD, "link", "user.a", value, sizeof(value)), 1);
    cr_assert_eq(io->ops->list_xattr(io, TXIO_CWD, "link", value, sizeof(value)), 7);
    cr_assert_eq(io->ops->remove_xattr(io, TXIO_CWD, "link", "user.a"), 0);
    cr_assert_eq(io->ops->remove_xattr(io, TXIO_CWD, "link", "user.a"), -ENODATA);
}

Test(txio_posix_attr, xattrs_are_set_read_listed_and_removed)
{
    struct txio *io = txio_posix();
    char value[8];
    TX_AUTO(temp_dir) temp = temp_dir_new();
    make_dir(temp.fd, "d");
    make_file(temp.fd, "d/f", "");
    if (io->ops->set_xattr(io, temp.fd, "d/f", "user.a", "value", 5) == -EOPNOTSUPP) {
        cr_skip_test("no user xattrs here");
    }
    cr_assert_eq(io->ops->set_xattr(io, temp.fd, "d", "user.dir", "", 0), 0);
    cr_assert_eq(io->ops->get_xattr(io, temp.fd, "d/f", "user.a", NULL, 0), 5);
    cr_assert_eq(io->ops->get_xattr(io, temp.fd, "d/f", "user.a", value, 8), 5);
    cr_assert_eq(memcmp(value, "value", 5), 0);
    cr_assert_eq(io->ops->get_xattr(io, temp.fd, "d/f", "user.a", value, 4), -ERANGE);
    cr_assert_eq(io->ops->set_xattr(io, temp.fd, "d/f", "user.a", "w", 1), 0);
    cr_assert_eq(io->ops->get_xattr(io, temp.fd, "d/f", "user.a", value, 8), 1);
    cr_assert_eq(io->ops->list_xattr(io, temp.fd, "d/f", NULL, 0), 7);
    cr_assert_eq(io->ops->list_xattr(io, temp.fd, "d/f", value, 8), 7);
    cr_assert_str_eq(value, "user.a");
    cr_assert_eq(io->ops->get_xattr(io, temp.fd, "d", "user.dir", value, 8), 0);
    cr_assert_eq(io->ops->remove_xattr(io, temp.fd, "d/f", "user.a"), 0);
    cr_assert_eq(io->ops->get_xattr(io, temp.fd, "d/f", "user.a", value, 8), -ENODATA);
    cr_assert_eq(io->ops->get_xattr(io, temp.fd, "d/x", "user.a", value, 8), -ENOENT);
}

Test(txio_posix_attr, xattrs_of_a_link_are_not_those_of_its_target)
{
    struct txio *io = txio_posix();
    char value[8];
    TX_AUTO(temp_dir) temp = temp_dir_new();
    make_file(temp.fd, "f", "");
    cr_assert_eq(symlinkat("f", temp.fd, "link"), 0);
    if (io->ops->set_xattr(io, temp.fd, "f", "user.a", "v", 1) == -EOPNOTSUPP) {
        cr_skip_test("no user xattrs here");
    }
    cr_assert_lt(io->ops->get_xattr(io, temp.fd, "link", "user.a", value, 8), 0);
    cr_assert_eq(io->ops->list_xattr(io, temp.fd, "link", value, 8), 0);
    cr_assert_lt(io->ops->set_xattr(io, temp.fd, "link", "user.b", "v", 1), 0);
    cr_assert_lt(io->ops->remove_xattr(io, temp.fd, "link", "user.a"), 0);
    cr_assert_eq(io->ops->list_xattr(io, temp.fd, "f", value, 8), 7);
    if (io->ops->set_xattr(io, temp.fd, "link", "trusted.t", "v", 1) == 0) { /* needs root */
        cr_assert_eq(io->ops->get_xattr(io, temp.fd, "link", "trusted.t", value, 8), 1);
        cr_assert_eq(io->ops->get_xattr(io, temp.fd, "f", "trusted.t", value, 8), -ENODATA);
        cr_assert_eq(io->ops->remove_xattr(io, temp.fd, "link", "trusted.t"), 0);
    }
}

Test(txio_posix_attr, names_at_the_limit_of_length)
{
    struct txio *io = txio_posix();
    char name[257];
    char value[8];
    TX_AUTO(temp_dir) temp = temp_dir_new();
    memset(name, 'n', 256);
    name[256] = '\0';
    cr_assert_eq(io->ops->list_xattr(io, temp.fd, name, value, 8), -ENAMETOOLONG);
    name[255] = '\0';
    cr_assert_eq(io->ops->list_xattr(io, temp.fd, name, value, 8), -ENOENT);
    make_file(temp.fd, name, "");
    cr_assert_eq(io->ops->list_xattr(io, temp.fd, name, value, 8), 0);
}

Test(txio_posix_attr, without_proc_nothing_is_called_missing)
{
    struct txio *io = txio_posix();
    char value[8];
    uint8_t id[16];
    TX_AUTO(temp_dir) temp = temp_dir_new();
    make_file(temp.fd, "f", "");
    if (unshare(CLONE_NEWNS) != 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
        umount2("/proc", MNT_DETACH) != 0) {
        cr_skip_test("not allowed to take /proc away");
    }
    struct txio_attr attr = {.mask = TXIO_ATTR_MODE, .mode = 0600};
    cr_assert_eq(io->ops->set_attr(io, temp.fd, "f", &attr), -EOPNOTSUPP);
    cr_assert_eq(io->ops->get_xattr(io, temp.fd, "f", "user.a", value, 8), -EOPNOTSUPP);
    cr_assert_eq(io->ops->list_xattr(io, temp.fd, "f", value, 8), -EOPNOTSUPP);
    cr_assert_eq(io->ops->boot_id(io, id), -ENOENT);
    (void)mount("proc", "/proc", "proc", 0, NULL); /* the leak checker wants it at exit */
}
