/* SPDX-License-Identifier: MIT */
/* The tree that the changes work on, and reading it. */
#include <sys/xattr.h>

#include "fs_changes.h"

void fs_changes_plant(int root)
{
    make_dir(root, "d");
    make_dir(root, "d/e");
    make_file(root, "d/a", "0123456789");
    cr_assert_eq(linkat(root, "d/a", root, "twin", 0), 0);
    make_file(root, "d/b", "b");
    make_file(root, "d/e/f", "f");
    make_file(root, "other", "other");
    make_file(root, "single", FS_CHANGES_BIG);
    cr_assert_eq(symlinkat("d/e", root, "l"), 0);
    int fd = openat(root, "single", O_RDONLY | O_CLOEXEC);
    int got = fsetxattr(fd, "user.x", "1", 1, 0);
    close(fd);
    if (got != 0) {
        cr_skip_test("no extended attributes here");
    }
}

enum tx_status fs_changes_look(struct ktm_txn *txn, struct tx_error *err)
{
    static const char *const files[] = {"d/a", "d/b", "l/f", "single"};
    char data[256];
    size_t size = sizeof data;
    struct txfs_dir *dir;
    const char *name;
    unsigned type;
    TX_TRY(txfs_dir_open(txn, "d", &dir, err));
    while (txfs_dir_next(dir, &name, &type)) {
    }
    txfs_dir_close(dir);
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        struct txfs_file *file;
        TX_TRY(txfs_open(txn, files[i], TXFS_READ, 0, &file, err));
        enum tx_status status = txfs_read(file, data, sizeof data, &size, err);
        txfs_abandon(file);
        TX_TRY(status);
    }
    TX_TRY(txfs_readlink(txn, "l", data, sizeof data, err));
    size = sizeof data;
    TX_TRY(txfs_list_xattr(txn, "single", data, &size, err));
    size = sizeof data;
    return txfs_get_xattr(txn, "single", "user.x", data, &size, err);
}
