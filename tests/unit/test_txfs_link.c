/* SPDX-License-Identifier: MIT */
/* Symbolic links, which are followed inside the view only, and hard links. */
#include "fs_fixture.h"

Test(txfs_link, links_on_the_way_are_followed)
{
    TX_AUTO(fs_fixture) f = fs_fixture_new();
    make_dir(f.root, "d");
    make_dir(f.root, "d/e");
    make_file(f.root, "d/a", "x");
    cr_assert_eq(symlinkat("d/e", f.root, "l"), 0);
    cr_assert_eq(symlinkat("..", f.root, "d/e/up"), 0);
    struct ktm_txn *txn = fs_begin(&f);
    cr_assert(fs_file_is(&f, txn, "l/up/a", "x"));
    fs_put(&f, txn, "l/new", "y");
    cr_assert(fs_file_is(&f, txn, "d/e/new", "y"));
    must(txfs_symlink(txn, "l/up", "m", &f.err)); /* a link to a link, in the transaction only */
    cr_assert(fs_file_is(&f, txn, "m/a", "x"));
    cr_assert_str_eq(fs_list(&f, txn, "m"), "a,e");
    ktm_rollback(txn);
}

Test(txfs_link, no_link_leads_out)
{
    TX_AUTO(fs_fixture) f = fs_fixture_new();
    make_dir(f.root, "d");
    static const char *const targets[] = {"/", "/etc", "..", "d/../..", "../../etc", ".txkit",
                                          "d/../.txkit", "../x/../d"};
    struct ktm_txn *txn = fs_begin(&f);
    for (size_t i = 0; i < sizeof targets / sizeof *targets; i++) {
        char name[8];
        char inner[16];
        struct txfs_file *file;
        (void)snprintf(name, sizeof name, "l%zu", i);
        (void)snprintf(inner, sizeof inner, "l%zu/x", i);
        if (i % 2 == 0) { /* in the tree or in the transaction, it is the same */
            cr_assert_eq(symlinkat(targets[i], f.root, name), 0);
        } else {
            must(txfs_symlink(txn, targets[i], name, &f.err));
        }
        refused(TX_EESCAPE, txfs_open(txn, name, TXFS_CREATE, 0644, &file, &f.err));
        refused(TX_EESCAPE, txfs_put(txn, inner, "x", 1, NULL, &f.err));
        refused(TX_EESCAPE, txfs_mkdir(txn, inner, 0755, &f.err));
        cr_assert_str_eq(fs_list(&f, txn, name), "!TX_EESCAPE");
    }
    ktm_rollback(txn);
}

Test(txfs_link, circles_end)
{
    TX_AUTO(fs_fixture) f = fs_fixture_new();
    cr_assert_eq(symlinkat("b", f.root, "a"), 0);
    cr_assert_eq(symlinkat("a", f.root, "b"), 0);
    cr_assert_eq(symlinkat("self/self/self", f.root, "self"), 0);
    struct ktm_txn *txn = fs_begin(&f);
    refused(TX_EESCAPE, txfs_put(txn, "a/x", "x", 1, NULL, &f.err));
    refused(TX_EESCAPE, txfs_put(txn, "self/x", "x", 1, NULL, &f.err));
    ktm_rollback(txn);
}

/* l1 -> l0, l2 -> l1, ...; l0 is a directory. */
Test(txfs_link, forty_links_are_followed_and_no_more)
{
    TX_AUTO(fs_fixture) f = fs_fixture_new();
    make_dir(f.root, "l0");
    make_file(f.root, "l0/a", "x");
    struct ktm_txn *txn = fs_begin(&f);
    for (int i = 1; i <= 41; i++) {
        char name[16];
        char target[16];
        (void)snprintf(name, sizeof name, "l%d", i);
        (void)snprintf(target, sizeof target, "l%d", i - 1);
        must(txfs_symlink(txn, target, name, &f.err));
    }
    struct txio_stat stat;
    must(txfs_stat(txn, "l39/a", &stat, &f.err));
    must(txfs_stat(txn, "l40/a", &stat, &f.err));
    refused(TX_EESCAPE, txfs_stat(txn, "l41/a", &stat, &f.err));
    ktm_rollback(txn);
}

Test(txfs_link, the_last_component_is_kept_except_by_open)
{
    TX_AUTO(fs_fixture) f = fs_fixture_new();
    make_file(f.root, "a", "x");
    cr_assert_eq(symlinkat("a", f.root, "l"), 0);
    cr_assert_eq(symlinkat("new", f.root, "dangling"), 0);
    struct ktm_txn *txn = fs_begin(&f);
    struct txio_stat stat;
    char target[8];
    must(txfs_stat(txn, "l", &stat, &f.err));
    cr_assert(S_ISLNK(stat.mode));
    must(txfs_readlink(txn, "l", target, sizeof target, &f.err));
    cr_assert_str_eq(target, "a");
    refused(TX_ELIMIT, txfs_readlink(txn, "l", target, 1, &f.err));
    refused(TX_ETYPE, txfs_readlink(txn, "a", target, sizeof target, &f.err));
    struct txfs_file *file;
    must(txfs_open(txn, "dangling", TXFS_CREATE, 0644, &file, &f.err));
    must(txfs_close(file, &f.err));
    cr_assert(fs_file_is(&f, txn, "new", ""));
    fs_put(&f, txn, "l", "y"); /* replaces the link itself */
    must(txfs_stat(txn, "l", &stat, &f.err));
    cr_assert(S_ISREG(stat.mode));
    cr_assert(fs_file_is(&f, txn, "a", "x"));
    ktm_rollback(txn);
}

Test(txfs_link, texts_of_links_have_limits)
{
    TX_AUTO(fs_fixture) f = fs_fixture_new();
    static char text[TXFS_PATH_MAX + 2];
    static char back[TXFS_PATH_MAX + 1];
    struct ktm_txn *txn = fs_begin(&f);
    memset(text, 'x', sizeof text - 1);
    refused(TX_ELIMIT, txfs_symlink(txn, text, "a", &f.err));
    text[TXFS_PATH_MAX] = '\0';
    must(txfs_symlink(txn, text, "a", &f.err));
    must(txfs_readlink(txn, "a", back, sizeof back, &f.err));
    cr_assert_str_eq(back, text);
    refused(TX_EINVAL, txfs_symlink(txn, "", "b", &f.err));
    refused(TX_EINVAL, txfs_symlink(txn, NULL, "b", &f.err));
    refused(TX_EEXIST, txfs_symlink(txn, "x", "a", &f.err));
    ktm_rollback(txn);
}

Test(txfs_link, names_of_one_file_share_updates)
{
    TX_AUTO(fs_fixture) f = fs_fixture_new();
    make_file(f.root, "a", "0123");
    cr_assert_eq(linkat(f.root, "a", f.root, "b", 0), 0);
    struct ktm_txn *txn = fs_begin(&f);
    struct txio_stat stat;
    must(txfs_link(txn, "a", "c", &f.err));
    must(txfs_stat(txn, "c", &stat, &f.err));
    cr_assert_eq(stat.nlink, 3u);
    must(txfs_truncate(txn, "c", 2, &f.err));
    cr_assert(fs_file_is(&f, txn, "a", "01"));
    cr_assert(fs_file_is(&f, txn, "b", "01"));
    must(txfs_truncate(txn, "b", 1, &f.err));
    cr_assert(fs_file_is(&f, txn, "a", "0"));
    cr_assert(fs_file_is(&f, txn, "c", "0"));
    ktm_rollback(txn);
}

Test(txfs_link, replacing_one_name_leaves_the_others)
{
    TX_AUTO(fs_fixture) f = fs_fixture_new();
    struct ktm_txn *txn = fs_begin(&f);
    fs_put(&f, txn, "a", "x");
    must(txfs_link(txn, "a", "b", &f.err));
    must(txfs_link(txn, "b", "c", &f.err));
    fs_put(&f, txn, "a", "y");
    cr_assert(fs_file_is(&f, txn, "a", "y"));
    cr_assert(fs_file_is(&f, txn, "b", "x"));
    cr_assert(fs_file_is(&f, txn, "c", "x"));
    must(txfs_truncate(txn, "c", 0, &f.err));
    cr_assert(fs_file_is(&f, txn, "b", ""));
    ktm_rollback(txn);
}

Test(txfs_link, the_first_name_may_go)
{
    TX_AUTO(fs_fixture) f = fs_fixture_new();
    make_file(f.root, "a", "x");
    struct ktm_txn *txn = fs_begin(&f);
    struct txfs_change change;
    must(txfs_link(txn, "a", "b", &f.err));
    must(txfs_link(txn, "a", "c", &f.err));
    must(txfs_unlink(txn, "a", &f.err));
    cr_assert(fs_file_is(&f, txn, "b", "x"));
    cr_assert(fs_file_is(&f, txn, "c", "x"));
    cr_assert_eq(fs_last_kind(txn, "b", &change), TXFS_CHANGE_MOVED);
    cr_assert_str_eq(change.target, "a");
    cr_assert_eq(fs_last_kind(txn, "c", &change), TXFS_CHANGE_LINK);
    cr_assert_str_eq(change.target, "b");
    must(txfs_unlink(txn, "b", &f.err));
    must(txfs_unlink(txn, "c", &f.err));
    cr_assert_str_eq(fs_list(&f, txn, ""), "");
    ktm_rollback(txn);
}

Test(txfs_link, a_link_follows_its_file_when_that_is_renamed)
{
    TX_AUTO(fs_fixture) f = fs_fixture_new();
    make_dir(f.root, "d");
    make_file(f.root, "d/a", "x");
    struct ktm_txn *txn = fs_begin(&f);
    struct txfs_change change;
    must(txfs_link(txn, "d/a", "b", &f.err));
    must(txfs_rename(txn, "d", "e", 0, &f.err));
    cr_assert_eq(fs_last_kind(txn, "b", &change), TXFS_CHANGE_LINK);
    cr_assert_str_eq(change.target, "e/a");
    cr_assert(fs_file_is(&f, txn, "b", "x"));
    ktm_rollback(txn);
}

Test(txfs_link, a_link_moves_along_with_its_file)
{
    TX_AUTO(fs_fixture) f = fs_fixture_new();
    make_dir(f.root, "d");
    make_file(f.root, "d/a", "x");
    struct ktm_txn *txn = fs_begin(&f);
    struct txfs_change change;
    must(txfs_link(txn, "d/a", "d/b", &f.err));
    must(txfs_rename(txn, "d", "e", 0, &f.err));
    cr_assert_eq(fs_last_kind(txn, "e/b", &change), TXFS_CHANGE_LINK);
    cr_assert_str_eq(change.target, "e/a");
    cr_assert(fs_file_is(&f, txn, "e/b", "x"));
    ktm_rollback(txn);
}

Test(txfs_link, a_change_stays_with_the_remaining_name_wherever_that_was_moved)
{
    TX_AUTO(fs_fixture) f = fs_fixture_new();
    make_dir(f.root, "d");
    make_file(f.root, "a", "0123");
    cr_assert_eq(linkat(f.root, "a", f.root, "d/b", 0), 0);
    struct ktm_txn *txn = fs_begin(&f);
    cr_assert(fs_file_is(&f, txn, "d/b", "0123"));
    must(txfs_truncate(txn, "a", 1, &f.err));
    must(txfs_rename(txn, "d", "e", 0, &f.err));
    must(txfs_unlink(txn, "a", &f.err));
    cr_assert(fs_file_is(&f, txn, "e/b", "0"));
    ktm_rollback(txn);
}

Test(txfs_link, a_change_does_not_haunt_the_name_that_carried_it)
{
    TX_AUTO(fs_fixture) f = fs_fixture_new();
    make_file(f.root, "a", "0123");
    cr_assert_eq(linkat(f.root, "a", f.root, "b", 0), 0);
    struct ktm_txn *txn = fs_begin(&f);
    struct txio_attr attr = {.mask = TXIO_ATTR_MODE, .mode = 0600};
    struct txio_stat stat;
    must(txfs_set_attr(txn, "a", &attr, &f.err));
    must(txfs_unlink(txn, "a", &f.err)); /* "b" was not met: see README, limits */
    attr.mode = 0640;
    must(txfs_set_attr(txn, "b", &attr, &f.err));
    must(txfs_stat(txn, "b", &stat, &f.err));
    cr_assert_eq(stat.mode & 07777, 0640u);
    cr_assert_not(fs_exists(&f, txn, "a"));
    ktm_rollback(txn);
}

Test(txfs_link, linking_says_why_not)
{
    TX_AUTO(fs_fixture) f = fs_fixture_new();
    make_dir(f.root, "d");
    make_file(f.root, "a", "x");
    struct ktm_txn *txn = fs_begin(&f);
    refused(TX_EISDIR, txfs_link(txn, "d", "e", &f.err));
    refused(TX_ENOTFOUND, txfs_link(txn, "x", "e", &f.err));
    refused(TX_EEXIST, txfs_link(txn, "a", "d", &f.err));
    refused(TX_EEXIST, txfs_link(txn, "a", "a", &f.err));
    refused(TX_ENOTFOUND, txfs_link(txn, "a", "x/y", &f.err));
    cr_assert_eq(ktm_txn_entries(txn).left, 0u);
    ktm_rollback(txn);
}

Test(txfs_link, a_write_through_an_open_handle_reaches_the_remaining_name)
{
    TX_AUTO(fs_fixture) f = fs_fixture_new();
    make_file(f.root, "a", "0123");
    struct ktm_txn *txn = fs_begin(&f);
    struct txfs_file *file;
    must(txfs_link(txn, "a", "b", &f.err));
    must(txfs_open(txn, "a", TXFS_WRITE, 0, &file, &f.err));
    must(txfs_pwrite(file, "X", 1, 0, &f.err));
    must(txfs_unlink(txn, "a", &f.err));
    must(txfs_close(file, &f.err));
    cr_assert(fs_file_is(&f, txn, "b", "X123"));
    ktm_rollback(txn);
}

Test(txfs_link, texts_of_links_may_say_here)
{
    TX_AUTO(fs_fixture) f = fs_fixture_new();
    make_dir(f.root, "d");
    make_file(f.root, "d/a", "x");
    cr_assert_eq(symlinkat("././/d/.", f.root, "l"), 0);
    struct ktm_txn *txn = fs_begin(&f);
    cr_assert(fs_file_is(&f, txn, "l/a", "x"));
    ktm_rollback(txn);
}

Test(txfs_link, no_link_leads_into_the_store)
{
    TX_AUTO(fs_fixture) f = fs_fixture_new();
    make_dir(f.root, "d");
    cr_assert_eq(symlinkat("..", f.root, "d/up"), 0);
    struct ktm_txn *txn = fs_begin(&f);
    struct txio_stat stat;
    refused(TX_EESCAPE, txfs_stat(txn, "d/up/.txkit", &stat, &f.err));
    refused(TX_EESCAPE, txfs_remove_tree(txn, "d/up/.txkit", &f.err));
    refused(TX_EESCAPE, txfs_put(txn, "d/up/.txkit/control", "x", 1, NULL, &f.err));
    ktm_rollback(txn);
}

/* One name was amended, another is linked to and goes: the link keeps the object, and shows what
 * the amended name says of it. */
Test(txfs_link, what_another_name_says_of_a_file_shows_in_a_link_that_keeps_it)
{
    TX_AUTO(fs_fixture) f = fs_fixture_new();
    make_file(f.root, "a", "0123");
    cr_assert_eq(linkat(f.root, "a", f.root, "b", 0), 0);
    struct ktm_txn *txn = fs_begin(&f);
    struct txfs_change change;
    cr_assert(fs_file_is(&f, txn, "a", "0123"));
    must(txfs_truncate(txn, "b", 2, &f.err));
    must(txfs_link(txn, "a", "l", &f.err));
    must(txfs_unlink(txn, "a", &f.err));
    cr_assert(fs_file_is(&f, txn, "l", "01"));
    cr_assert(fs_file_is(&f, txn, "b", "01"));
    cr_assert_eq(fs_last_kind(txn, "l", &change), TXFS_CHANGE_MOVED);
    cr_assert_str_eq(change.target, "a");
    must(ktm_commit(txn, NULL, &f.err));
    cr_assert(file_is(f.root, "l", "01"));
    cr_assert(file_is(f.root, "b", "01"));
    cr_assert_not(exists(f.root, "a"));
}

/* Names that the file had when the transaction met it, and that are others' by now. */
Test(txfs_link, a_change_does_not_go_to_a_name_that_is_anothers_now)
{
    TX_AUTO(fs_fixture) f = fs_fixture_new();
    make_file(f.root, "a", "0123");
    make_file(f.root, "x", "x");
    make_file(f.root, "y", "y");
    cr_assert_eq(linkat(f.root, "a", f.root, "b", 0), 0);
    cr_assert_eq(linkat(f.root, "a", f.root, "c", 0), 0);
    struct ktm_txn *txn = fs_begin(&f);
    cr_assert(fs_file_is(&f, txn, "b", "0123"));
    cr_assert(fs_file_is(&f, txn, "c", "0123"));
    must(txfs_truncate(txn, "a", 2, &f.err));
    must(txfs_unlink(txn, "b", &f.err));
    must(txfs_link(txn, "x", "b", &f.err));
    must(txfs_rename(txn, "y", "c", 0, &f.err));
    must(txfs_unlink(txn, "a", &f.err));
    cr_assert(fs_file_is(&f, txn, "b", "x"));
    cr_assert(fs_file_is(&f, txn, "c", "y"));
    cr_assert_str_eq(fs_list(&f, txn, ""), "b,c,x");
    must(ktm_commit(txn, NULL, &f.err));
    cr_assert(file_is(f.root, "b", "x"));
    cr_assert(file_is(f.root, "c", "y"));
}

/* Names that only begin alike do not move along. */
Test(txfs_link, a_change_goes_to_a_name_beside_the_directory_that_was_moved)
{
    TX_AUTO(fs_fixture) f = fs_fixture_new();
    make_dir(f.root, "d");
    make_file(f.root, "d/a", "0123");
    cr_assert_eq(linkat(f.root, "d/a", f.root, "d2", 0), 0);
    struct ktm_txn *txn = fs_begin(&f);
    cr_assert(fs_file_is(&f, txn, "d2", "0123"));
    must(txfs_truncate(txn, "d/a", 2, &f.err));
    must(txfs_rename(txn, "d", "e", 0, &f.err));
    must(txfs_unlink(txn, "e/a", &f.err));
    cr_assert(fs_file_is(&f, txn, "d2", "01"));
    must(ktm_commit(txn, NULL, &f.err));
    cr_assert(file_is(f.root, "d2", "01"));
    cr_assert(exists(f.root, "e") && !exists(f.root, "e/a"));
}
