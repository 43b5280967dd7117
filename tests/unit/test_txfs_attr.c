/* SPDX-License-Identifier: MIT */
/* Attributes and extended attributes. */
#include <sys/xattr.h>

#include "fs_fixture.h"

static const struct txio_attr mode_600 = {.mask = TXIO_ATTR_MODE, .mode = 0600};

static struct txio_stat stat_of(struct fs_fixture *fixture, struct ktm_txn *txn, const char *path)
{
    struct fs_fixture f = *fixture;
    struct txio_stat stat;
    must(txfs_stat(txn, path, &stat, &f.err));
    return stat;
}

Test(txfs_attr, a_file_of_the_tree_gets_an_amendment)
{
    TX_AUTO(fs_fixture) f = fs_fixture_new();
    make_file(f.root, "a", "x");
    struct ktm_txn *txn = fs_begin(&f);
    struct txio_stat before = stat_of(&f, txn, "a");
    must(txfs_set_attr(txn, "a", &mode_600, &f.err));
    struct txio_stat after = stat_of(&f, txn, "a");
    cr_assert_eq(after.mode, S_IFREG | 0600u);
    cr_assert_eq(after.mtime_ns, before.mtime_ns);
    cr_assert_eq(after.ino, before.ino);
    struct txfs_change change;
    cr_assert_eq(fs_last_kind(txn, "a", &change), TXFS_CHANGE_ATTRIBUTES);
    cr_assert_eq(change.before.mode & 07777, 0644u);
    ktm_rollback(txn);
}

Test(txfs_attr, an_object_of_the_transaction_is_stated_anew)
{
    TX_AUTO(fs_fixture) f = fs_fixture_new();
    struct ktm_txn *txn = fs_begin(&f);
    struct txfs_change change;
    fs_put(&f, txn, "a", "x");
    must(txfs_set_attr(txn, "a", &mode_600, &f.err));
    cr_assert_eq(fs_last_kind(txn, "a", &change), TXFS_CHANGE_FILE);
    cr_assert_eq(change.mode, 0600u);
    cr_assert(fs_file_is(&f, txn, "a", "x"));
    must(txfs_mkdir(txn, "d", 0755, &f.err));
    fs_put(&f, txn, "d/a", "x");
    must(txfs_set_attr(txn, "d", &mode_600, &f.err));
    cr_assert_eq(fs_last_kind(txn, "d", &change), TXFS_CHANGE_DIRECTORY);
    cr_assert(fs_file_is(&f, txn, "d/a", "x")); /* what is below it lives on */
    ktm_rollback(txn);
}

Test(txfs_attr, fields_that_are_to_be_kept_are)
{
    TX_AUTO(fs_fixture) f = fs_fixture_new();
    make_file(f.root, "a", "x");
    struct ktm_txn *txn = fs_begin(&f);
    struct txio_stat before = stat_of(&f, txn, "a");
    struct txio_attr attr = {.mask = TXIO_ATTR_OWNER | TXIO_ATTR_MODE | TXIO_ATTR_TIMES,
                             .mode = TXFS_KEEP_MODE,
                             .uid = TXFS_KEEP_ID,
                             .gid = TXFS_KEEP_ID,
                             .atime_ns = TXFS_KEEP_TIME,
                             .mtime_ns = 1000000001};
    must(txfs_set_attr(txn, "a", &attr, &f.err));
    struct txio_stat after = stat_of(&f, txn, "a");
    cr_assert_eq(after.mode, before.mode);
    cr_assert_eq(after.uid, before.uid);
    cr_assert_eq(after.gid, before.gid);
    cr_assert_eq(after.mtime_ns, 1000000001);
    cr_assert_eq(after.atime_ns, before.atime_ns);
    attr.mtime_ns = TXFS_KEEP_TIME;
    attr.atime_ns = 7;
    must(txfs_set_attr(txn, "a", &attr, &f.err));
    after = stat_of(&f, txn, "a");
    cr_assert_eq(after.mtime_ns, 1000000001);
    cr_assert_eq(after.atime_ns, 7);
    attr.atime_ns = TXFS_KEEP_TIME; /* what was said before stays said */
    must(txfs_set_attr(txn, "a", &attr, &f.err));
    after = stat_of(&f, txn, "a");
    cr_assert_eq(after.mtime_ns, 1000000001);
    cr_assert_eq(after.atime_ns, 7);
    make_file(f.root, "b", "x");
    before = stat_of(&f, txn, "b");
    attr.atime_ns = 8;
    must(txfs_set_attr(txn, "b", &attr, &f.err)); /* one time alone */
    after = stat_of(&f, txn, "b");
    cr_assert_eq(after.mtime_ns, before.mtime_ns);
    cr_assert_eq(after.atime_ns, 8);
    ktm_rollback(txn);
}

Test(txfs_attr, amendments_add_up_with_changed_extents)
{
    TX_AUTO(fs_fixture) f = fs_fixture_new();
    make_file(f.root, "a", "0123");
    struct ktm_txn *txn = fs_begin(&f);
    must(txfs_set_attr(txn, "a", &mode_600, &f.err));
    must(txfs_truncate(txn, "a", 2, &f.err));
    must(txfs_set_xattr(txn, "a", "user.x", "1", 1, &f.err));
    struct txfs_change change;
    cr_assert_eq(fs_last_kind(txn, "a", &change), TXFS_CHANGE_EXTENTS);
    cr_assert_eq(change.mode, 0600u);
    cr_assert(fs_file_is(&f, txn, "a", "01"));
    ktm_rollback(txn);
}

Test(txfs_attr, a_change_of_owner_clears_set_id_bits)
{
    TX_AUTO(fs_fixture) f = fs_fixture_new();
    make_file(f.root, "a", "x");
    make_dir(f.root, "d");
    cr_assert_eq(fchmodat(f.root, "a", 06755, 0), 0);
    cr_assert_eq(fchmodat(f.root, "d", 02755, 0), 0);
    struct ktm_txn *txn = fs_begin(&f);
    struct txio_attr attr = {.mask = TXIO_ATTR_OWNER, .uid = TXFS_KEEP_ID, .gid = TXFS_KEEP_ID};
    must(txfs_set_attr(txn, "a", &attr, &f.err));
    must(txfs_set_attr(txn, "d", &attr, &f.err));
    cr_assert_eq(stat_of(&f, txn, "a").mode & 07777, 0755u);
    cr_assert_eq(stat_of(&f, txn, "d").mode & 07777, 02755u);
    attr.mask |= TXIO_ATTR_MODE;
    attr.mode = 04711;
    must(txfs_set_attr(txn, "a", &attr, &f.err));
    cr_assert_eq(stat_of(&f, txn, "a").mode & 07777, 04711u);
    ktm_rollback(txn);
}

Test(txfs_attr, links_are_not_followed_and_have_no_mode)
{
    TX_AUTO(fs_fixture) f = fs_fixture_new();
    make_file(f.root, "a", "x");
    cr_assert_eq(symlinkat("a", f.root, "l"), 0);
    struct ktm_txn *txn = fs_begin(&f);
    struct txio_attr attr = {.mask = TXIO_ATTR_MODE | TXIO_ATTR_TIMES,
                             .mode = 0600,
                             .atime_ns = TXFS_KEEP_TIME,
                             .mtime_ns = 5};
    must(txfs_set_attr(txn, "l", &attr, &f.err));
    cr_assert_eq(stat_of(&f, txn, "a").mode & 07777, 0644u);
    cr_assert_eq(stat_of(&f, txn, "l").mode & 07777, 0777u);
    cr_assert_eq(stat_of(&f, txn, "l").mtime_ns, 5);
    ktm_rollback(txn);
}

Test(txfs_attr, the_root_and_the_missing_are_refused)
{
    TX_AUTO(fs_fixture) f = fs_fixture_new();
    struct ktm_txn *txn = fs_begin(&f);
    struct txio_stat stat;
    refused(TX_EINVAL, txfs_set_attr(txn, "", &mode_600, &f.err));
    refused(TX_ENOTFOUND, txfs_set_attr(txn, "a", &mode_600, &f.err));
    refused(TX_ENOTFOUND, txfs_stat(txn, "a", &stat, &f.err));
    must(txfs_stat(txn, "", &stat, &f.err));
    cr_assert(S_ISDIR(stat.mode));
    ktm_rollback(txn);
}

Test(txfs_attr, extended_attributes_are_set_read_listed_and_removed)
{
    TX_AUTO(fs_fixture) f = fs_fixture_new();
    make_file(f.root, "a", "x");
    int fd = openat(f.root, "a", O_RDONLY);
    if (fsetxattr(fd, "user.base", "b", 1, 0) != 0) {
        close(fd);
        cr_skip_test("no extended attributes here");
    }
    close(fd);
    struct ktm_txn *txn = fs_begin(&f);
    char value[16];
    char names[64];
    size_t size = sizeof names;
    must(txfs_set_xattr(txn, "a", "user.z", "zz", 2, &f.err));
    must(txfs_set_xattr(txn, "a", "user.empty", NULL, 0, &f.err));
    must(txfs_list_xattr(txn, "a", names, &size, &f.err));
    cr_assert_eq(size, 28u);
    cr_assert_eq(memcmp(names, "user.base\0user.empty\0user.z\0", 28), 0);
    size = sizeof value;
    must(txfs_get_xattr(txn, "a", "user.z", value, &size, &f.err));
    cr_assert(size == 2 && memcmp(value, "zz", 2) == 0);
    must(txfs_remove_xattr(txn, "a", "user.base", &f.err));
    size = sizeof value;
    refused(TX_ENOTFOUND, txfs_get_xattr(txn, "a", "user.base", value, &size, &f.err));
    refused(TX_ENOTFOUND, txfs_remove_xattr(txn, "a", "user.base", &f.err));
    size = 1;
    refused(TX_ELIMIT, txfs_get_xattr(txn, "a", "user.z", value, &size, &f.err));
    cr_assert_eq(size, 2u);
    size = 5;
    refused(TX_ELIMIT, txfs_list_xattr(txn, "a", names, &size, &f.err));
    ktm_rollback(txn);
}

Test(txfs_attr, extended_attributes_have_limits)
{
    TX_AUTO(fs_fixture) f = fs_fixture_new();
    static char value[TXFS_XATTR_VALUE_MAX + 1];
    char name[TXFS_NAME_MAX + 2];
    struct ktm_txn *txn = fs_begin(&f);
    fs_put(&f, txn, "a", "x");
    must(txfs_set_xattr(txn, "a", "user.v", value, TXFS_XATTR_VALUE_MAX, &f.err));
    refused(TX_ELIMIT, txfs_set_xattr(txn, "a", "user.v", value, sizeof value, &f.err));
    memset(name, 'n', sizeof name);
    memcpy(name, "user.", 5);
    name[TXFS_NAME_MAX + 1] = '\0';
    refused(TX_ELIMIT, txfs_set_xattr(txn, "a", name, "v", 1, &f.err));
    name[TXFS_NAME_MAX] = '\0';
    must(txfs_set_xattr(txn, "a", name, "v", 1, &f.err));
    refused(TX_ELIMIT, txfs_set_xattr(txn, "a", "", "v", 1, &f.err));
    refused(TX_ENOTSUP, txfs_set_xattr(txn, "a", "nospace", "v", 1, &f.err));
    refused(TX_ENOTSUP, txfs_set_xattr(txn, "a", ".nospace", "v", 1, &f.err));
    refused(TX_ENOTSUP, txfs_set_xattr(txn, "a", "user.", "v", 1, &f.err));
    refused(TX_EINVAL, txfs_set_xattr(txn, "", "user.v", "v", 1, &f.err));
    must(txfs_symlink(txn, "a", "l", &f.err));
    refused(TX_EPERM, txfs_set_xattr(txn, "l", "user.v", "v", 1, &f.err));
    ktm_rollback(txn);
}

Test(txfs_attr, a_replaced_file_keeps_its_extended_attributes)
{
    TX_AUTO(fs_fixture) f = fs_fixture_new();
    struct ktm_txn *txn = fs_begin(&f);
    char value[4];
    size_t size = sizeof value;
    fs_put(&f, txn, "a", "x");
    must(txfs_set_xattr(txn, "a", "user.v", "1", 1, &f.err));
    fs_put(&f, txn, "a", "y");
    must(txfs_get_xattr(txn, "a", "user.v", value, &size, &f.err));
    cr_assert_eq(size, 1u);
    ktm_rollback(txn);
}

Test(txfs_attr, an_empty_extended_attribute_is_one)
{
    TX_AUTO(fs_fixture) f = fs_fixture_new();
    struct ktm_txn *txn = fs_begin(&f);
    char value[4] = "old";
    size_t size = 0;
    fs_put(&f, txn, "a", "x");
    must(txfs_set_xattr(txn, "a", "user.v", "", 0, &f.err));
    must(txfs_get_xattr(txn, "a", "user.v", value, &size, &f.err));
    cr_assert_eq(size, 0u);
    cr_assert_str_eq(value, "old");
    ktm_rollback(txn);
}

/* 16 values of the greatest length leave no room for their names. */
Test(txfs_attr, all_extended_attributes_together_have_a_limit)
{
    TX_AUTO(fs_fixture) f = fs_fixture_new();
    static char value[TXFS_XATTR_VALUE_MAX];
    struct ktm_txn *txn = fs_begin(&f);
    char name[16];
    size_t size = 0;
    fs_put(&f, txn, "a", "x");
    for (unsigned i = 0; i < 15; i++) {
        (void)snprintf(name, sizeof name, "user.%u", i);
        must(txfs_set_xattr(txn, "a", name, value, sizeof value, &f.err));
    }
    refused(TX_ELIMIT, txfs_set_xattr(txn, "a", "user.last", value, sizeof value, &f.err));
    refused(TX_ENOTFOUND, txfs_get_xattr(txn, "a", "user.last", value, &size, &f.err));
    must(txfs_set_xattr(txn, "a", "user.last", value, sizeof value / 2, &f.err));
    ktm_rollback(txn);
}
