/* SPDX-License-Identifier: MIT */
/* What the system would refuse to a user when a commit is carried out is refused before. */
#include <sys/xattr.h>

#include "fs_fixture.h"

static struct {
    struct txio base;
    struct txio_ops ops;
    uint32_t uid;
} someone;

static int ask_user(struct txio *io, uint32_t *uid, uint32_t *gid)
{
    (void)io;
    *uid = someone.uid;
    *gid = 4321;
    return 0;
}

/* The library takes itself for a process of user `uid`. */
static struct fs_fixture fixture_of(uint32_t uid)
{
    someone.ops = *txio_posix()->ops;
    someone.ops.user_id = ask_user;
    someone.base.ops = &someone.ops;
    someone.uid = uid;
    return fs_fixture_on(&someone.base, 0, 0);
}

Test(txfs_owner, others_files_are_not_ours_to_amend_or_link)
{
    TX_AUTO(fs_fixture) f = fixture_of(getuid() + 1);
    make_file(f.root, "a", "x");
    struct txio_attr attr = {.mask = TXIO_ATTR_MODE, .mode = 0600};
    struct ktm_txn *txn = fs_begin(&f);
    refused(TX_EPERM, txfs_set_attr(txn, "a", &attr, &f.err));
    refused(TX_EPERM, txfs_set_xattr(txn, "a", "user.x", "1", 1, &f.err));
    refused(TX_EPERM, txfs_link(txn, "a", "b", &f.err));
    cr_assert_eq(ktm_txn_entries(txn).left, 0u);
    ktm_rollback(txn);
}

Test(txfs_owner, files_are_not_given_away)
{
    TX_AUTO(fs_fixture) f = fixture_of(getuid() + 1);
    struct ktm_txn *txn = fs_begin(&f);
    fs_put(&f, txn, "own", "x");
    struct txio_attr attr = {.mask = TXIO_ATTR_OWNER, .uid = 0, .gid = TXFS_KEEP_ID};
    refused(TX_EPERM, txfs_set_attr(txn, "own", &attr, &f.err));
    attr.uid = TXFS_KEEP_ID;
    must(txfs_set_attr(txn, "own", &attr, &f.err));
    attr.uid = 0;
    refused(TX_EPERM, txfs_put(txn, "own", "y", 1, &attr, &f.err));
    refused(TX_EPERM, txfs_set_xattr(txn, "own", "trusted.x", "1", 1, &f.err));
    must(txfs_set_xattr(txn, "own", "user.x", "1", 1, &f.err));
    ktm_rollback(txn);
}

Test(txfs_owner, directories_have_to_be_writable)
{
    TX_AUTO(fs_fixture) f = fixture_of(getuid() + 1);
    make_dir(f.root, "d");
    cr_assert_eq(fchmodat(f.root, "d", 0555, 0), 0);
    struct ktm_txn *txn = fs_begin(&f);
    fs_put(&f, txn, "d/a", "x");
    refused(TX_EPERM, ktm_commit(txn, NULL, &f.err));
}

/* Writable by others: whether this user is one of them, the system says when it is carried out. */
Test(txfs_owner, directories_that_others_may_write_to_are_writable)
{
    TX_AUTO(fs_fixture) f = fixture_of(getuid() + 1);
    make_dir(f.root, "d");
    cr_assert_eq(fchmodat(f.root, "d", 0757, 0), 0);
    struct ktm_txn *txn = fs_begin(&f);
    struct ktm_id id = ktm_txn_id(txn);
    fs_put(&f, txn, "d/a", "x");
    must(ktm_prepare(txn, &f.err));
    must(ktm_rollback_prepared(f.tm, &id, &f.err));
}

Test(txfs_owner, ones_own_files_may_be_amended_and_linked)
{
    TX_AUTO(fs_fixture) f = fixture_of(getuid() + 1);
    struct txio_attr attr = {.mask = TXIO_ATTR_MODE, .mode = 0600};
    struct txio_stat stat;
    struct ktm_txn *txn = fs_begin(&f);
    fs_put(&f, txn, "own", "x");
    must(txfs_set_attr(txn, "own", &attr, &f.err));
    must(txfs_link(txn, "own", "second", &f.err));
    must(txfs_set_xattr(txn, "own", "system.posix_acl_access", "1", 1, &f.err));
    refused(TX_EPERM, txfs_set_xattr(txn, "own", "system.other", "1", 1, &f.err));
    must(txfs_remove_xattr(txn, "own", "system.posix_acl_access", &f.err));
    must(txfs_stat(txn, "second", &stat, &f.err));
    cr_assert_eq(stat.mode & 07777, 0600u);
    ktm_rollback(txn);
}

Test(txfs_owner, others_extended_attributes_are_not_ours_to_remove)
{
    TX_AUTO(fs_fixture) f = fixture_of(getuid() + 1);
    make_file(f.root, "a", "x");
    int fd = openat(f.root, "a", O_RDONLY);
    int got = fsetxattr(fd, "user.x", "1", 1, 0);
    close(fd);
    if (got != 0) {
        cr_skip_test("no extended attributes here");
    }
    struct ktm_txn *txn = fs_begin(&f);
    refused(TX_EPERM, txfs_remove_xattr(txn, "a", "user.x", &f.err));
    ktm_rollback(txn);
}

Test(txfs_owner, root_sets_what_only_root_sets)
{
    TX_AUTO(fs_fixture) f = fixture_of(0);
    struct ktm_txn *txn = fs_begin(&f);
    char value[4];
    size_t size = sizeof value;
    must(txfs_symlink(txn, "x", "l", &f.err));
    must(txfs_set_xattr(txn, "l", "trusted.x", "1", 1, &f.err)); /* links have these, too */
    must(txfs_get_xattr(txn, "l", "trusted.x", value, &size, &f.err));
    cr_assert_eq(size, 1u);
    ktm_rollback(txn);
}
