/* SPDX-License-Identifier: MIT */
/* Renames, and what becomes of what is below a renamed directory. */
#include "fs_fixture.h"

static int kind_of(struct ktm_txn *txn, const char *path)
{
    struct txfs_change change;
    return fs_last_kind(txn, path, &change);
}

Test(txfs_rename, an_object_of_the_tree_is_moved)
{
    TX_AUTO(fs_fixture) f = fs_fixture_new();
    make_file(f.root, "a", "x");
    struct ktm_txn *txn = fs_begin(&f);
    struct txfs_change change;
    must(txfs_rename(txn, "a", "b", 0, &f.err));
    must(txfs_rename(txn, "b", "c", 0, &f.err));
    cr_assert_eq(fs_last_kind(txn, "c", &change), TXFS_CHANGE_MOVED);
    cr_assert_str_eq(change.target, "a");
    cr_assert_eq(kind_of(txn, "a"), TXFS_CHANGE_ABSENT);
    cr_assert_eq(kind_of(txn, "b"), TXFS_CHANGE_ABSENT);
    cr_assert_str_eq(fs_list(&f, txn, ""), "c");
    cr_assert(fs_file_is(&f, txn, "c", "x"));
    cr_assert(txfs_rm_ops()->needs_barrier(f.fs, ktm_txn_entries(txn)));
    ktm_rollback(txn);
}

Test(txfs_rename, an_object_of_the_transaction_is_stated_at_its_new_path)
{
    TX_AUTO(fs_fixture) f = fs_fixture_new();
    struct ktm_txn *txn = fs_begin(&f);
    fs_put(&f, txn, "a", "x");
    must(txfs_rename(txn, "a", "b", 0, &f.err));
    cr_assert_eq(kind_of(txn, "b"), TXFS_CHANGE_FILE);
    cr_assert(fs_file_is(&f, txn, "b", "x"));
    cr_assert_not(fs_exists(&f, txn, "a"));
    cr_assert_not(txfs_rm_ops()->needs_barrier(f.fs, ktm_txn_entries(txn)));
    ktm_rollback(txn);
}

Test(txfs_rename, moved_away_and_back_changes_nothing)
{
    TX_AUTO(fs_fixture) f = fs_fixture_new();
    make_dir(f.root, "d");
    make_file(f.root, "d/a", "x");
    struct ktm_txn *txn = fs_begin(&f);
    struct txfs_change change;
    must(txfs_rename(txn, "d", "e", 0, &f.err));
    fs_put(&f, txn, "e/b", "y");
    must(txfs_rename(txn, "e", "d", 0, &f.err));
    cr_assert_eq(fs_last_kind(txn, "d", &change), TXFS_CHANGE_ATTRIBUTES);
    cr_assert_str_eq(fs_list(&f, txn, "d"), "a,b");
    cr_assert_str_eq(fs_list(&f, txn, ""), "d");
    ktm_rollback(txn);
}

Test(txfs_rename, a_moved_directory_shows_what_it_has)
{
    TX_AUTO(fs_fixture) f = fs_fixture_new();
    make_dir(f.root, "d");
    make_dir(f.root, "d/e");
    make_file(f.root, "d/e/a", "x");
    make_file(f.root, "d/e/b", "y");
    struct ktm_txn *txn = fs_begin(&f);
    must(txfs_unlink(txn, "d/e/a", &f.err));
    fs_put(&f, txn, "d/e/c", "z");
    must(txfs_rename(txn, "d", "n", 0, &f.err));
    cr_assert_str_eq(fs_list(&f, txn, "n/e"), "b,c");
    cr_assert(fs_file_is(&f, txn, "n/e/b", "y"));
    must(txfs_truncate(txn, "n/e/b", 0, &f.err));
    cr_assert_eq(kind_of(txn, "n/e/b"), TXFS_CHANGE_EXTENTS);
    must(txfs_rename(txn, "n/e", "d", 0, &f.err)); /* a part of it takes its old name */
    cr_assert_str_eq(fs_list(&f, txn, "d"), "b,c");
    cr_assert(fs_file_is(&f, txn, "d/b", ""));
    cr_assert_str_eq(fs_list(&f, txn, "n"), "");
    ktm_rollback(txn);
}

Test(txfs_rename, a_new_object_may_take_the_old_name)
{
    TX_AUTO(fs_fixture) f = fs_fixture_new();
    make_file(f.root, "a", "old");
    struct ktm_txn *txn = fs_begin(&f);
    struct txfs_change change;
    must(txfs_rename(txn, "a", "a.bak", 0, &f.err));
    fs_put(&f, txn, "a", "new");
    cr_assert(fs_file_is(&f, txn, "a", "new"));
    cr_assert(fs_file_is(&f, txn, "a.bak", "old"));
    cr_assert_eq(fs_last_kind(txn, "a", &change), TXFS_CHANGE_FILE);
    cr_assert(change.existed); /* the base of the first touch stays */
    ktm_rollback(txn);
}

Test(txfs_rename, exchanging_swaps_with_all_that_is_below)
{
    TX_AUTO(fs_fixture) f = fs_fixture_new();
    make_dir(f.root, "d");
    make_file(f.root, "d/a", "x");
    make_file(f.root, "f", "file");
    struct ktm_txn *txn = fs_begin(&f);
    fs_put(&f, txn, "d/b", "y");
    must(txfs_rename(txn, "d", "f", TXIO_EXCHANGE, &f.err));
    cr_assert_str_eq(fs_list(&f, txn, "f"), "a,b");
    cr_assert(fs_file_is(&f, txn, "d", "file"));
    must(txfs_rename(txn, "d", "f", TXIO_EXCHANGE, &f.err));
    cr_assert_str_eq(fs_list(&f, txn, "d"), "a,b");
    cr_assert_eq(kind_of(txn, "f"), TXFS_CHANGE_ATTRIBUTES);
    ktm_rollback(txn);
}

Test(txfs_rename, renaming_says_why_not)
{
    TX_AUTO(fs_fixture) f = fs_fixture_new();
    make_dir(f.root, "d");
    make_dir(f.root, "e");
    make_file(f.root, "e/x", "x");
    make_file(f.root, "f", "x");
    make_file(f.root, "g", "x");
    struct ktm_txn *txn = fs_begin(&f);
    refused(TX_ENOTFOUND, txfs_rename(txn, "x", "y", 0, &f.err));
    refused(TX_ENOTFOUND, txfs_rename(txn, "f", "x/y", 0, &f.err));
    refused(TX_EISDIR, txfs_rename(txn, "f", "d", 0, &f.err));
    refused(TX_ENOTDIR, txfs_rename(txn, "d", "f", 0, &f.err));
    refused(TX_ENOTEMPTY, txfs_rename(txn, "d", "e", 0, &f.err));
    refused(TX_EINVAL, txfs_rename(txn, "d", "d/x", 0, &f.err));
    refused(TX_EINVAL, txfs_rename(txn, "e/x", "e", TXIO_EXCHANGE, &f.err));
    refused(TX_EEXIST, txfs_rename(txn, "f", "g", TXIO_NOREPLACE, &f.err));
    refused(TX_ENOTFOUND, txfs_rename(txn, "f", "h", TXIO_EXCHANGE, &f.err));
    refused(TX_EINVAL, txfs_rename(txn, "", "h", 0, &f.err));
    refused(TX_EINVAL, txfs_rename(txn, "f", "", 0, &f.err));
    refused(TX_EINVAL, txfs_rename(txn, "f", "h", 7, &f.err));
    refused(TX_EESCAPE, txfs_rename(txn, "f", ".txkit/x", 0, &f.err));
    cr_assert_eq(ktm_txn_entries(txn).left, 0u);
    ktm_rollback(txn);
}

Test(txfs_rename, two_names_of_one_file_stay_two)
{
    TX_AUTO(fs_fixture) f = fs_fixture_new();
    make_file(f.root, "a", "x");
    cr_assert_eq(linkat(f.root, "a", f.root, "b", 0), 0);
    struct ktm_txn *txn = fs_begin(&f);
    must(txfs_rename(txn, "a", "b", 0, &f.err));
    must(txfs_link(txn, "a", "c", &f.err));
    must(txfs_rename(txn, "c", "a", 0, &f.err));
    cr_assert_str_eq(fs_list(&f, txn, ""), "a,b,c");
    ktm_rollback(txn);
}

Test(txfs_rename, paths_that_would_become_too_long_change_nothing)
{
    TX_AUTO(fs_fixture) f = fs_fixture_new();
    struct ktm_txn *txn = fs_begin(&f);
    static char deep[TXFS_PATH_MAX + 1];
    char name[TXFS_NAME_MAX + 1];
    memset(name, 'n', TXFS_NAME_MAX);
    name[TXFS_NAME_MAX] = '\0';
    deep[0] = 'a';
    for (size_t size = 1; size + 1 + TXFS_NAME_MAX <= TXFS_PATH_MAX - 10;) {
        deep[size++] = '/';
        memcpy(deep + size, name, TXFS_NAME_MAX + 1);
        size += TXFS_NAME_MAX;
    }
    must(txfs_mkdir_parents(txn, deep, 0755, &f.err)); /* 1 + 15 * 256 bytes */
    must(txfs_mkdir(txn, "d", 0755, &f.err));
    size_t before = ktm_txn_entries(txn).left;
    char to[TXFS_NAME_MAX + 3] = "d/";
    memcpy(to + 2, name, TXFS_NAME_MAX + 1);
    refused(TX_ELIMIT, txfs_rename(txn, "a", to, 0, &f.err));
    cr_assert_eq(ktm_txn_entries(txn).left, before);
    must(txfs_rename(txn, "a", name, 0, &f.err)); /* just fits */
    ktm_rollback(txn);
}
