/* SPDX-License-Identifier: MIT */
/* Answers of the system that a test can not bring about: a seccomp filter gives them. */
#include <string.h>
#include <sys/mman.h>

#include "unit/posix_tests.h"

/* The descriptor that the next open will answer. */
static int next_descriptor(void)
{
    int fd = dup(STDERR_FILENO);
    (void)close(fd);
    return fd;
}

static void refuse_fstat(int fd)
{
    refuse_with(SYS_fstat, 0, (unsigned)fd, EIO);
    refuse_with(SYS_newfstatat, 0, (unsigned)fd, EIO); /* what newer C libraries make of it */
}

Test(txio_posix_refused, a_file_whose_kind_can_not_be_told_is_not_kept_open)
{
    struct txio *io = txio_posix();
    TX_AUTO(temp_dir) temp = temp_dir_new();
    make_file(temp.fd, "f", "abc");
    int before = open_descriptors();
    refuse_fstat(next_descriptor());
    cr_assert_eq(io->ops->open(io, temp.fd, "f", TXIO_READ, 0), -EIO);
    cr_assert_eq(open_descriptors(), before);
}

Test(txio_posix_refused, the_mode_of_what_can_not_be_looked_at_stays)
{
    struct txio *io = txio_posix();
    struct txio_attr attr = {.mask = TXIO_ATTR_MODE, .mode = 0700};
    struct stat stat;
    TX_AUTO(temp_dir) temp = temp_dir_new();
    make_file(temp.fd, "f", "abc");
    cr_assert_eq(fchmodat(temp.fd, "f", 0640, 0), 0);
    int before = open_descriptors();
    refuse_fstat(next_descriptor());
    cr_assert_eq(io->ops->set_attr(io, temp.fd, "f", &attr), -EIO);
    cr_assert_eq(open_descriptors(), before);
    cr_assert_eq(fstatat(temp.fd, "f", &stat, 0), 0);
    cr_assert_eq(stat.st_mode & 07777, 0640);
}

Test(txio_posix_refused, only_a_regular_file_is_waited_for)
{
    struct txio *io = txio_posix();
    TX_AUTO(temp_dir) temp = temp_dir_new();
    make_dir(temp.fd, "d");
    refuse_with(SYS_openat, 0, (unsigned)temp.fd, EAGAIN);
    cr_assert_eq(io->ops->open(io, temp.fd, "d", TXIO_READ, 0), -EAGAIN);
}

Test(txio_posix_refused, a_close_that_a_signal_interrupted_has_closed)
{
    struct txio *io = txio_posix();
    int fd = dup(STDERR_FILENO);
    refuse_with(SYS_close, 0, (unsigned)fd, EINTR);
    cr_assert_eq(io->ops->close(io, fd), 0);
}

Test(txio_posix_refused, a_lock_in_use_has_one_error)
{
    struct txio *io = txio_posix();
    TX_AUTO(temp_dir) temp = temp_dir_new();
    make_file(temp.fd, "f", "abc");
    int fd = io->ops->open(io, temp.fd, "f", TXIO_WRITE, 0);
    refuse_with(SYS_fcntl, 1, F_OFD_SETLK, EACCES);
    cr_assert_eq(io->ops->lock(io, fd, 0, TXIO_EXCLUSIVE_LOCK, false), -EAGAIN);
    (void)close(fd);
}

Test(txio_posix_refused, a_boot_id_that_can_not_be_read_is_none)
{
    struct txio *io = txio_posix();
    uint8_t id[16] = {77};
    int before = open_descriptors();
    refuse_with(SYS_read, 0, (unsigned)next_descriptor(), EIO);
    cr_assert_eq(io->ops->boot_id(io, id), -EIO);
    cr_assert_eq(id[0], 77);
    cr_assert_eq(open_descriptors(), before);
}

Test(txio_posix_refused, without_a_page_to_remember_it_the_id_is_asked_for)
{
    refuse_with(SYS_mmap, 1, sizeof(uint64_t), ENOMEM);
    check_process_id();
}

Test(txio_posix_refused, in_a_page_that_a_child_would_inherit_nothing_is_remembered)
{
    refuse_with(SYS_madvise, 2, MADV_WIPEONFORK, EINVAL);
    check_process_id();
}
