/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "txio/txio_internal.h"
#include "unit/failing_io.h"
#include "unit/temp_dir.h"

Test(txio_wrappers, success_answers_through_the_outputs)
{
    struct txio *io = txio_posix();
    struct txio_stat stat;
    int fd;
    TX_AUTO(temp_dir) temp = temp_dir_new();
    cr_assert_eq(txio_mkdir(io, temp.fd, "d", 0755, NULL), TX_OK);
    cr_assert_eq(txio_open(io, temp.fd, "d/f", TXIO_WRITE | TXIO_CREATE, 0600, &fd, NULL), TX_OK);
    cr_assert_eq(txio_stat_fd(io, fd, &stat, NULL), TX_OK);
    uint64_t ino = stat.ino;
    cr_assert_eq(txio_datasync(io, fd, "f", NULL), TX_OK);
    cr_assert_eq(txio_sync(io, fd, "f", NULL), TX_OK);
    cr_assert_eq(txio_close(io, fd, NULL), TX_OK);
    cr_assert_eq(txio_rename(io, temp.fd, "d/f", temp.fd, "g", TXIO_NOREPLACE, NULL), TX_OK);
    cr_assert_eq(txio_stat_path(io, temp.fd, "g", &stat, NULL), TX_OK);
    cr_assert_eq(stat.ino, ino);
    cr_assert_eq(txio_unlink(io, temp.fd, "g", NULL), TX_OK);
    cr_assert_not(exists(temp.fd, "g"));
}

Test(txio_wrappers, texts_say_what_was_done_to_which_name)
{
    struct txio *io = txio_posix();
    struct tx_error err;
    struct txio_stat stat;
    int fd = 42;
    TX_AUTO(temp_dir) temp = temp_dir_new();
    make_file(temp.fd, "f", "");
    cr_assert_eq(txio_open(io, temp.fd, "a/b", 0, 0, &fd, &err), TX_ENOTFOUND);
    cr_assert_str_eq(err.text, "open \"a/b\": No such file or directory");
    cr_assert_eq(err.os_errno, ENOENT);
    cr_assert_eq(txio_open(io, temp.fd, "f/x", TXIO_CREATE, 0, &fd, &err), TX_ENOTDIR);
    cr_assert_str_eq(err.text, "create \"f/x\": Not a directory");
    cr_assert_eq(fd, 42);
    cr_assert_eq(txio_stat_path(io, temp.fd, "x\n", &stat, &err), TX_ENOTFOUND);
    cr_assert_str_eq(err.text, "stat \"x\\x0a\": No such file or directory");
    cr_assert_eq(txio_rename(io, temp.fd, "x", temp.fd, "y", 0, &err), TX_ENOTFOUND);
    cr_assert_str_eq(err.text, "rename \"x\" to \"y\": No such file or directory");
    cr_assert_eq(txio_unlink(io, temp.fd, "x", &err), TX_ENOTFOUND);
    cr_assert_str_eq(err.text, "unlink \"x\": No such file or directory");
    cr_assert_eq(txio_mkdir(io, temp.fd, "f", 0, &err), TX_EEXIST);
    cr_assert_str_eq(err.text, "make directory \"f\": File exists");
    cr_assert_eq(txio_stat_fd(io, -1, &stat, &err), TX_EIO);
    cr_assert_str_eq(err.text, "stat descriptor -1: Bad file descriptor");
    cr_assert_eq(txio_close(io, -1, &err), TX_EIO);
    cr_assert_str_eq(err.text, "close descriptor -1: Bad file descriptor");
    cr_assert_eq(txio_datasync(io, -1, "segment 3\x1B", &err), TX_EIO);
    cr_assert_str_eq(err.text, "sync segment 3\\x1b: Bad file descriptor");
    cr_assert_eq(txio_sync(io, -1, "x", &err), TX_EIO);
    cr_assert_str_eq(err.text, "sync x: Bad file descriptor");
}

Test(txio_wrappers, leaving_the_root_is_called_an_escape)
{
    static const char *const paths[] = {"..", "a/..", "../x", "d/../f", "/etc", "link/x"};
    struct txio *io = txio_posix();
    struct tx_error err;
    struct txio_stat stat;
    int fd;
    TX_AUTO(temp_dir) temp = temp_dir_new();
    make_dir(temp.fd, "d");
    make_file(temp.fd, "f", "");
    cr_assert_eq(symlinkat("d", temp.fd, "link"), 0);
    for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
        const char *path = paths[i];
        cr_assert_eq(txio_open(io, temp.fd, path, 0, 0, &fd, &err), TX_EESCAPE);
        cr_assert_not_null(strstr(err.text, "path leaves the root"));
        cr_assert_eq(err.status, TX_EESCAPE);
        cr_assert_neq(err.os_errno, 0);
        cr_assert_eq(txio_stat_path(io, temp.fd, path, &stat, NULL), TX_EESCAPE);
        cr_assert_eq(txio_unlink(io, temp.fd, path, NULL), TX_EESCAPE);
        cr_assert_eq(txio_mkdir(io, temp.fd, path, 0, NULL), TX_EESCAPE);
        cr_assert_eq(txio_rename(io, temp.fd, path, temp.fd, "x", 0, NULL), TX_EESCAPE);
        cr_assert_eq(txio_rename(io, temp.fd, "f", temp.fd, path, 0, NULL), TX_EESCAPE);
    }
    cr_assert_eq(txio_open(io, temp.fd, "link", 0, 0, &fd, &err), TX_EESCAPE);
}

Test(txio_wrappers, other_causes_of_the_same_errors_are_no_escape)
{
    struct txio *io = txio_posix();
    struct failing_io failing;
    struct tx_error err;
    struct txio_stat stat;
    int fd;
    TX_AUTO(temp_dir) temp = temp_dir_new();
    make_file(temp.fd, "a..b", "");
    cr_assert_eq(txio_stat_path(io, temp.fd, "", &stat, &err), TX_EINVAL);
    cr_assert_eq(txio_stat_path(io, temp.fd, "a/.", &stat, &err), TX_EINVAL);
    cr_assert_eq(txio_stat_path(io, temp.fd, "ab/.", &stat, &err), TX_EINVAL);
    cr_assert_eq(txio_stat_path(io, temp.fd, ".b/.", &stat, &err), TX_EINVAL);
    struct txio *other = failing_io_init(&failing, 0, -EXDEV); /* two file systems */
    cr_assert_eq(txio_rename(other, temp.fd, "a..b", temp.fd, "...", 0, &err), TX_EXDEV);
    cr_assert_eq(symlinkat("self", temp.fd, "self"), 0);
    cr_assert_eq(fchdir(temp.fd), 0);
    cr_assert_eq(txio_open(io, TXIO_CWD, "self", 0, 0, &fd, &err), TX_EIO);
    cr_assert_eq(err.os_errno, ELOOP);
    cr_assert_eq(txio_stat_path(io, TXIO_CWD, "..", &stat, &err), TX_OK);
}

Test(txio_wrappers, long_names_are_cut_and_the_reason_stays)
{
    char path[4000];
    struct tx_error err;
    struct txio *io = txio_posix();
    memset(path, 'p', sizeof(path) - 1);
    path[sizeof(path) - 1] = '\0';
    cr_assert_eq(txio_rename(io, TXIO_CWD, path, TXIO_CWD, path, 0, &err), TX_ELIMIT);
    cr_assert_not_null(strstr(err.text, "pp...\" to \"ppp"));
    cr_assert_not_null(strstr(err.text, "pp...\": File name too long"));
}
