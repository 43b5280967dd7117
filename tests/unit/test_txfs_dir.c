/* SPDX-License-Identifier: MIT */
/* Making, removing and listing directories. */
#include <dirent.h>

#include "fs_fixture.h"
#include "txfs/overlay.h"

Test(txfs_dir, a_listing_merges_both_sides_in_order)
{
    TX_AUTO(fs_fixture) f = fs_fixture_new();
    make_file(f.root, "b", "x");
    make_file(f.root, "d", "x");
    make_dir(f.root, "e");
    make_file(f.root, "e/x", "x");
    struct ktm_txn *txn = fs_begin(&f);
    fs_put(&f, txn, "c", "x");
    fs_put(&f, txn, "a", "x");
    fs_put(&f, txn, "e/y", "x");
    fs_put(&f, txn, "e-", "x"); /* '-' sorts before '/' */
    must(txfs_unlink(txn, "d", &f.err));
    cr_assert_str_eq(fs_list(&f, txn, ""), "a,b,c,e,e-");
    cr_assert_str_eq(fs_list(&f, txn, "e"), "x,y");
    ktm_rollback(txn);
}

Test(txfs_dir, the_store_is_never_listed)
{
    TX_AUTO(fs_fixture) f = fs_fixture_new();
    struct ktm_txn *txn = fs_begin(&f);
    cr_assert_str_eq(fs_list(&f, txn, ""), "");
    cr_assert_str_eq(fs_list(&f, txn, ".txkit"), "!TX_EESCAPE");
    ktm_rollback(txn);
}

Test(txfs_dir, types_are_told)
{
    TX_AUTO(fs_fixture) f = fs_fixture_new();
    make_file(f.root, "a", "x");
    make_dir(f.root, "b");
    cr_assert_eq(symlinkat("a", f.root, "c"), 0);
    cr_assert_eq(mkfifoat(f.root, "d", 0600), 0);
    struct ktm_txn *txn = fs_begin(&f);
    must(txfs_link(txn, "a", "e", &f.err));
    must(txfs_mkdir(txn, "f", 0755, &f.err));
    must(txfs_symlink(txn, "x", "g", &f.err));
    static const unsigned expected[] = {DT_REG, DT_DIR, DT_LNK, DT_FIFO, DT_REG, DT_DIR, DT_LNK};
    struct txfs_dir *dir;
    const char *name;
    unsigned type;
    size_t count = 0;
    must(txfs_dir_open(txn, "", &dir, &f.err));
    for (; txfs_dir_next(dir, &name, &type); count++) {
        cr_assert_eq(name[0], (char)('a' + count));
        cr_assert_eq(type, expected[count], "%s: %u", name, type);
    }
    cr_assert_eq(count, 7u);
    txfs_dir_close(dir);
    ktm_rollback(txn);
}

Test(txfs_dir, names_stay_until_the_directory_is_closed)
{
    TX_AUTO(fs_fixture) f = fs_fixture_new();
    make_file(f.root, "a", "x");
    make_file(f.root, "b", "x");
    struct ktm_txn *txn = fs_begin(&f);
    struct txfs_dir *dir;
    const char *first;
    const char *second;
    unsigned type;
    must(txfs_dir_open(txn, "", &dir, &f.err));
    cr_assert(txfs_dir_next(dir, &first, &type));
    cr_assert(txfs_dir_next(dir, &second, &type));
    cr_assert_not(txfs_dir_next(dir, &second, &type));
    must(txfs_unlink(txn, "a", &f.err));
    cr_assert_str_eq(first, "a");
    cr_assert_str_eq(second, "b");
    txfs_dir_close(dir);
    ktm_rollback(txn);
}

Test(txfs_dir, listing_says_why_not)
{
    TX_AUTO(fs_fixture) f = fs_fixture_new();
    make_file(f.root, "a", "x");
    struct ktm_txn *txn = fs_begin(&f);
    cr_assert_str_eq(fs_list(&f, txn, "a"), "!TX_ENOTDIR");
    cr_assert_str_eq(fs_list(&f, txn, "b"), "!TX_ENOTFOUND");
    cr_assert_str_eq(fs_list(&f, txn, "../b"), "!TX_EESCAPE");
    ktm_rollback(txn);
}

Test(txfs_dir, making_says_why_not)
{
    TX_AUTO(fs_fixture) f = fs_fixture_new();
    make_file(f.root, "a", "x");
    make_dir(f.root, "d");
    struct ktm_txn *txn = fs_begin(&f);
    refused(TX_EEXIST, txfs_mkdir(txn, "a", 0755, &f.err));
    refused(TX_EEXIST, txfs_mkdir(txn, "d", 0755, &f.err));
    refused(TX_EEXIST, txfs_mkdir(txn, "", 0755, &f.err));
    refused(TX_ENOTDIR, txfs_mkdir(txn, "a/b", 0755, &f.err));
    refused(TX_ENOTFOUND, txfs_mkdir(txn, "b/c", 0755, &f.err));
    refused(TX_EINVAL, txfs_mkdir(txn, "b", 040755, &f.err));
    refused(TX_ENOTDIR, txfs_mkdir_parents(txn, "a/b/c", 0755, &f.err));
    cr_assert_eq(ktm_txn_entries(txn).left, 0u);
    ktm_rollback(txn);
}

Test(txfs_dir, parents_are_made_as_needed)
{
    TX_AUTO(fs_fixture) f = fs_fixture_new();
    make_dir(f.root, "a");
    struct ktm_txn *txn = fs_begin(&f);
    must(txfs_mkdir_parents(txn, "a//b/./c", 0750, &f.err));
    must(txfs_mkdir_parents(txn, "a/b/c", 0700, &f.err));
    must(txfs_mkdir_parents(txn, "", 0700, &f.err));
    struct txio_stat stat;
    must(txfs_stat(txn, "a/b/c", &stat, &f.err));
    cr_assert_eq(stat.mode, S_IFDIR | 0750u);
    cr_assert_eq(ktm_txn_state(txn), KTM_ACTIVE);
    ktm_rollback(txn);
}

Test(txfs_dir, group_and_set_gid_come_from_the_parent)
{
    TX_AUTO(fs_fixture) f = fs_fixture_new();
    make_dir(f.root, "d");
    if (fchownat(f.root, "d", getuid(), getuid() == 0 ? 4321 : getgid(), 0) != 0) {
        cr_skip_test("cannot give a directory away");
    }
    cr_assert_eq(fchmodat(f.root, "d", 02755, 0), 0);
    struct stat parent;
    struct txio_stat stat;
    cr_assert_eq(fstatat(f.root, "d", &parent, 0), 0);
    struct ktm_txn *txn = fs_begin(&f);
    must(txfs_mkdir(txn, "d/e", 0755, &f.err));
    fs_put(&f, txn, "d/e/f", "x");
    must(txfs_stat(txn, "d/e", &stat, &f.err));
    cr_assert_eq(stat.mode & 07777, 02755u);
    cr_assert_eq(stat.gid, parent.st_gid);
    must(txfs_stat(txn, "d/e/f", &stat, &f.err));
    cr_assert_eq(stat.mode & 07777, 0644u);
    cr_assert_eq(stat.gid, parent.st_gid);
    ktm_rollback(txn);
}

Test(txfs_dir, only_empty_directories_are_removed)
{
    TX_AUTO(fs_fixture) f = fs_fixture_new();
    make_dir(f.root, "d");
    make_file(f.root, "d/a", "x");
    make_file(f.root, "f", "x");
    struct ktm_txn *txn = fs_begin(&f);
    refused(TX_ENOTEMPTY, txfs_rmdir(txn, "d", &f.err));
    must(txfs_unlink(txn, "d/a", &f.err));
    fs_put(&f, txn, "d/b", "x");
    refused(TX_ENOTEMPTY, txfs_rmdir(txn, "d", &f.err));
    must(txfs_unlink(txn, "d/b", &f.err));
    must(txfs_rmdir(txn, "d", &f.err));
    cr_assert_not(fs_exists(&f, txn, "d"));
    refused(TX_ENOTFOUND, txfs_rmdir(txn, "d", &f.err));
    refused(TX_ENOTDIR, txfs_rmdir(txn, "f", &f.err));
    refused(TX_EISDIR, (txfs_mkdir(txn, "g", 0755, &f.err) == TX_OK)
                           ? txfs_unlink(txn, "g", &f.err)
                           : TX_EIO);
    refused(TX_EINVAL, txfs_rmdir(txn, "", &f.err));
    ktm_rollback(txn);
}

Test(txfs_dir, a_directory_made_again_is_empty)
{
    TX_AUTO(fs_fixture) f = fs_fixture_new();
    make_dir(f.root, "d");
    make_file(f.root, "d/a", "x");
    struct ktm_txn *txn = fs_begin(&f);
    must(txfs_remove_tree(txn, "d", &f.err));
    must(txfs_mkdir(txn, "d", 0700, &f.err));
    cr_assert_str_eq(fs_list(&f, txn, "d"), "");
    cr_assert_not(fs_exists(&f, txn, "d/a"));
    fs_put(&f, txn, "d/a", "new");
    cr_assert(fs_file_is(&f, txn, "d/a", "new"));
    ktm_rollback(txn);
}

Test(txfs_dir, removing_a_tree_names_every_object)
{
    TX_AUTO(fs_fixture) f = fs_fixture_new();
    make_dir(f.root, "d");
    make_dir(f.root, "d/e");
    make_file(f.root, "d/e/a", "x");
    cr_assert_eq(symlinkat("/etc", f.root, "d/e/l"), 0);
    struct ktm_txn *txn = fs_begin(&f);
    fs_put(&f, txn, "d/e/own", "x");
    must(txfs_remove_tree(txn, "d", &f.err));
    cr_assert_str_eq(fs_list(&f, txn, ""), "");
    static const char *const gone[] = {"d", "d/e", "d/e/a", "d/e/l"};
    for (size_t i = 0; i < sizeof gone / sizeof *gone; i++) {
        struct txfs_change change;
        cr_assert_eq(fs_last_kind(txn, gone[i], &change), TXFS_CHANGE_ABSENT, "%s", gone[i]);
        cr_assert(change.existed);
    }
    refused(TX_ENOTFOUND, txfs_remove_tree(txn, "d", &f.err));
    refused(TX_EINVAL, txfs_remove_tree(txn, "", &f.err));
    ktm_rollback(txn);
    cr_assert(exists(f.root, "d/e/a"));
}

Test(txfs_dir, deep_trees_are_listed_and_removed)
{
    TX_AUTO(fs_fixture) f = fs_fixture_new();
    struct ktm_txn *txn = fs_begin(&f);
    static char path[2 * TXFS_DEPTH_MAX];
    for (size_t i = 0; i < 200; i++) {
        memcpy(path + 2 * i, "a/", 3);
    }
    path[399] = '\0';
    must(txfs_mkdir_parents(txn, path, 0755, &f.err));
    cr_assert(fs_exists(&f, txn, path));
    must(txfs_remove_tree(txn, "a", &f.err));
    cr_assert_str_eq(fs_list(&f, txn, ""), "");
    ktm_rollback(txn);
}

Test(txfs_dir, fifos_and_devices_are_made)
{
    TX_AUTO(fs_fixture) f = fs_fixture_new();
    struct ktm_txn *txn = fs_begin(&f);
    struct txio_attr attr = {.mask = TXIO_ATTR_MODE, .mode = 0640};
    struct txio_stat stat;
    struct txfs_dir *dir;
    const char *name;
    unsigned type;
    must(txfs_add_node(txn, "p", S_IFIFO | 0600, 77, &f.err));
    refused(TX_EEXIST, txfs_add_node(txn, "p", S_IFIFO | 0600, 0, &f.err));
    refused(TX_ENOTSUP, txfs_add_node(txn, "q", S_IFREG | 0600, 0, &f.err));
    refused(TX_ENOTSUP, txfs_add_node(txn, "q", S_IFSOCK | 0600, 0, &f.err));
    must(txfs_set_attr(txn, "p", &attr, &f.err));
    must(txfs_stat(txn, "p", &stat, &f.err));
    cr_assert_eq(stat.mode, S_IFIFO | 0640u);
    cr_assert_eq(stat.rdev, 0u);
    must(ktm_savepoint(txn, "s", &f.err));
    must(txfs_add_node(txn, "c", S_IFCHR | 0600, 0x103, &f.err));
    must(txfs_add_node(txn, "b", S_IFBLK | 0600, 0x104, &f.err));
    must(txfs_stat(txn, "c", &stat, &f.err));
    cr_assert_eq(stat.mode, S_IFCHR | 0600u);
    cr_assert_eq(stat.rdev, 0x103u);
    static const unsigned types[] = {DT_BLK, DT_CHR, DT_FIFO};
    must(txfs_dir_open(txn, "", &dir, &f.err));
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        cr_assert(txfs_dir_next(dir, &name, &type));
        cr_assert_eq(type, types[i], "%s: %u", name, type);
    }
    txfs_dir_close(dir);
    must(ktm_rollback_to(txn, "s", &f.err)); /* only root makes devices */
    must(ktm_commit(txn, NULL, &f.err));
    struct stat made;
    cr_assert_eq(fstatat(f.root, "p", &made, 0), 0);
    cr_assert_eq(made.st_mode, S_IFIFO | 0640u);
}
