/* SPDX-License-Identifier: MIT */
/* What the system would refuse to a user when a commit is carried out is refused before. */
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
