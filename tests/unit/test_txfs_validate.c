/* SPDX-License-Identifier: MIT */
/* Changes by other programs and by other transactions. */
#include "fs_fixture.h"

/* Commit has to fail with a conflict over `path`, by `whom`. */
static void conflicts(struct fs_fixture *fixture, struct ktm_txn *txn, const char *path,
                      const char *whom)
{
    const char *text = fixture->err.text;
    char quoted[64];
    cr_assert_eq(ktm_commit(txn, NULL, &fixture->err), TX_ECONFLICT, "%s", text);
    (void)snprintf(quoted, sizeof quoted, "\"%s\"", path);
    cr_assert_not_null(strstr(text, quoted), "no %s in: %s", quoted, text);
    cr_assert_not_null(strstr(text, whom), "no '%s' in: %s", whom, text);
}

static const char program[] = "changed by another program";

Test(txfs_validate, a_file_changed_by_a_program_is_a_conflict)
{
    TX_AUTO(fs_fixture) f = fs_fixture_new();
    make_dir(f.root, "bin");
    make_file(f.root, "bin/app", "1");
    struct ktm_txn *txn = fs_begin(&f);
    fs_put(&f, txn, "bin/app", "2");
    make_file(f.root, "bin/app", "foreign");
    conflicts(&f, txn, "bin/app", program);
    cr_assert(file_is(f.root, "bin/app", "foreign"));
}

Test(txfs_validate, a_file_replaced_by_a_program_is_a_conflict_that_tells_the_inodes)
{
    TX_AUTO(fs_fixture) f = fs_fixture_new();
    struct stat old;
    struct stat new;
    char inodes[64];
    make_file(f.root, "a", "1");
    struct ktm_txn *txn = fs_begin(&f);
    must(txfs_unlink(txn, "a", &f.err));
    make_file(f.root, "b", "foreign");
    cr_assert_eq(fstatat(f.root, "a", &old, 0), 0);
    cr_assert_eq(fstatat(f.root, "b", &new, 0), 0);
    cr_assert_eq(renameat(f.root, "b", f.root, "a"), 0);
    (void)snprintf(inodes, sizeof inodes, "(inode %ju -> %ju)", (uintmax_t)old.st_ino,
                   (uintmax_t)new.st_ino);
    conflicts(&f, txn, "a", inodes);
    cr_assert(file_is(f.root, "a", "foreign"));
}

Test(txfs_validate, what_appeared_or_vanished_is_a_conflict)
{
    TX_AUTO(fs_fixture) f = fs_fixture_new();
    make_file(f.root, "a", "1");
    struct ktm_txn *txn = fs_begin(&f);
    fs_put(&f, txn, "new", "x");
    make_file(f.root, "new", "foreign");
    conflicts(&f, txn, "new", "inode none");
    txn = fs_begin(&f);
    fs_put(&f, txn, "a", "x");
    cr_assert_eq(unlinkat(f.root, "a", 0), 0);
    conflicts(&f, txn, "a", "-> none");
}

Test(txfs_validate, attributes_count_even_when_they_were_not_ours_to_change)
{
    TX_AUTO(fs_fixture) f = fs_fixture_new();
    make_file(f.root, "a", "1");
    make_dir(f.root, "d");
    struct ktm_txn *txn = fs_begin(&f);
    fs_put(&f, txn, "a", "x");
    cr_assert_eq(fchmodat(f.root, "a", 0600, 0), 0);
    conflicts(&f, txn, "a", program);
    struct txio_attr attr = {.mask = TXIO_ATTR_TIMES, .mtime_ns = 5, .atime_ns = 5};
    txn = fs_begin(&f);
    must(txfs_set_attr(txn, "d", &attr, &f.err));
    cr_assert_eq(fchmodat(f.root, "d", 0700, 0), 0);
    conflicts(&f, txn, "d", program);
}

Test(txfs_validate, a_directory_may_get_other_names_meanwhile)
{
    TX_AUTO(fs_fixture) f = fs_fixture_new();
    make_dir(f.root, "d");
    struct ktm_txn *txn = fs_begin(&f);
    struct txio_attr attr = {.mask = TXIO_ATTR_MODE, .mode = 0700};
    must(txfs_set_attr(txn, "d", &attr, &f.err));
    fs_put(&f, txn, "d/a", "x");
    make_file(f.root, "d/foreign", "y");
    must(ktm_commit(txn, NULL, &f.err));
    cr_assert(file_is(f.root, "d/a", "x"));
    cr_assert(file_is(f.root, "d/foreign", "y"));
}

Test(txfs_validate, a_directory_that_goes_may_not)
{
    TX_AUTO(fs_fixture) f = fs_fixture_new();
    make_dir(f.root, "d");
    make_dir(f.root, "d/e");
    make_file(f.root, "d/e/a", "x");
    struct ktm_txn *txn = fs_begin(&f);
    must(txfs_remove_tree(txn, "d", &f.err));
    make_file(f.root, "d/e/foreign", "y");
    conflicts(&f, txn, "d/e/foreign", program);
    cr_assert(file_is(f.root, "d/e/a", "x"));
    txn = fs_begin(&f);
    must(txfs_remove_tree(txn, "d", &f.err));
    must(txfs_mkdir(txn, "d", 0755, &f.err)); /* replaced, so the old one goes as well */
    make_file(f.root, "d/late", "y");
    conflicts(&f, txn, "d/late", program);
}

/* The new one may have the inode number of the old one: ext4 gives it again at once. */
Test(txfs_validate, a_directory_that_goes_must_be_the_one_that_was_found)
{
    TX_AUTO(fs_fixture) f = fs_fixture_new();
    make_dir(f.root, "d");
    struct ktm_txn *txn = fs_begin(&f);
    must(txfs_rmdir(txn, "d", &f.err));
    cr_assert_eq(unlinkat(f.root, "d", AT_REMOVEDIR), 0);
    make_dir(f.root, "d");
    conflicts(&f, txn, "d", program);
    txn = fs_begin(&f);
    must(txfs_remove_tree(txn, "d", &f.err));
    cr_assert_eq(fchmodat(f.root, "d", 0700, 0), 0);
    conflicts(&f, txn, "d", program);
    txn = fs_begin(&f);
    must(txfs_rmdir(txn, "d", &f.err));
    must(ktm_commit(txn, NULL, &f.err));
}

Test(txfs_validate, a_parent_that_is_gone_or_a_link_is_a_conflict)
{
    TX_AUTO(fs_fixture) f = fs_fixture_new();
    make_dir(f.root, "d");
    make_dir(f.root, "outside");
    struct ktm_txn *txn = fs_begin(&f);
    fs_put(&f, txn, "d/a", "x");
    cr_assert_eq(renameat(f.root, "d", f.root, "e"), 0);
    conflicts(&f, txn, "d/a", program);
    txn = fs_begin(&f);
    fs_put(&f, txn, "e/a", "x");
    cr_assert_eq(unlinkat(f.root, "e", AT_REMOVEDIR), 0);
    cr_assert_eq(symlinkat("outside", f.root, "e"), 0);
    conflicts(&f, txn, "e/a", program);
    cr_assert_not(exists(f.root, "outside/a"));
}

Test(txfs_validate, what_a_handle_saw_when_it_was_opened_counts)
{
    TX_AUTO(fs_fixture) f = fs_fixture_new();
    make_file(f.root, "a", "0123");
    struct ktm_txn *txn = fs_begin(&f);
    struct txfs_file *file;
    must(txfs_open(txn, "a", TXFS_WRITE, 0, &file, &f.err));
    make_file(f.root, "a", "4567");
    must(txfs_pwrite(file, "x", 1, 0, &f.err));
    must(txfs_close(file, &f.err));
    conflicts(&f, txn, "a", program);
}

Test(txfs_validate, two_transactions_on_one_file_name_each_other)
{
    TX_AUTO(fs_fixture) f = fs_fixture_new();
    make_file(f.root, "a", "1");
    struct ktm_txn *loser = fs_begin(&f);
    struct ktm_txn *winner = fs_begin_with(&f, 0, "security update");
    struct ktm_id id = ktm_txn_id(winner);
    char text[KTM_ID_TEXT_SIZE];
    ktm_id_format(&id, text);
    fs_put(&f, loser, "a", "loser");
    fs_put(&f, winner, "a", "winner");
    must(ktm_commit(winner, NULL, &f.err));
    conflicts(&f, loser, "a", text);
    cr_assert_not_null(strstr(f.err.text, "security update"), "%s", f.err.text);
    cr_assert(file_is(f.root, "a", "winner"));
}

Test(txfs_validate, siblings_do_not_conflict)
{
    TX_AUTO(fs_fixture) f = fs_fixture_new();
    make_dir(f.root, "d");
    struct ktm_txn *one = fs_begin(&f);
    struct ktm_txn *two = fs_begin(&f);
    fs_put(&f, one, "d/a", "1");
    fs_put(&f, two, "d/b", "2");
    must(ktm_commit(one, NULL, &f.err));
    must(ktm_commit(two, NULL, &f.err));
    cr_assert(file_is(f.root, "d/a", "1"));
    cr_assert(file_is(f.root, "d/b", "2"));
}

Test(txfs_validate, removing_a_directory_conflicts_with_making_names_in_it)
{
    TX_AUTO(fs_fixture) f = fs_fixture_new();
    make_dir(f.root, "d");
    make_dir(f.root, "e");
    struct ktm_txn *maker = fs_begin(&f);
    struct ktm_txn *remover = fs_begin(&f);
    fs_put(&f, maker, "d/a", "1");
    must(txfs_rmdir(remover, "d", &f.err));
    must(ktm_commit(maker, NULL, &f.err));
    refused(TX_ECONFLICT, ktm_commit(remover, NULL, &f.err));
    cr_assert(file_is(f.root, "d/a", "1"));
    maker = fs_begin(&f);
    remover = fs_begin(&f);
    fs_put(&f, maker, "e/a", "1");
    must(txfs_rmdir(remover, "e", &f.err));
    must(ktm_commit(remover, NULL, &f.err));
    refused(TX_ECONFLICT, ktm_commit(maker, NULL, &f.err));
    cr_assert_not(exists(f.root, "e"));
}

Test(txfs_validate, moving_a_directory_conflicts_with_changes_below_that_come_later)
{
    TX_AUTO(fs_fixture) f = fs_fixture_new();
    make_dir(f.root, "d");
    make_file(f.root, "d/a", "1");
    struct ktm_txn *mover = fs_begin(&f);
    struct ktm_txn *writer = fs_begin(&f);
    must(txfs_rename(mover, "d", "e", 0, &f.err));
    fs_put(&f, writer, "d/a", "2");
    must(ktm_commit(mover, NULL, &f.err));
    refused(TX_ECONFLICT, ktm_commit(writer, NULL, &f.err));
    cr_assert(file_is(f.root, "e/a", "1"));
}

Test(txfs_validate, reads_count_in_serializable_transactions_only)
{
    TX_AUTO(fs_fixture) f = fs_fixture_new();
    make_file(f.root, "a", "1");
    for (uint32_t flags = 0; flags <= KTM_SERIALIZABLE; flags++) {
        struct ktm_txn *txn = fs_begin_with(&f, flags, NULL);
        struct ktm_txn *other = fs_begin(&f);
        cr_assert(fs_exists(&f, txn, "a"));
        fs_put(&f, txn, flags == 0 ? "b" : "c", "x");
        fs_put(&f, other, "a", flags == 0 ? "2" : "3");
        must(ktm_commit(other, NULL, &f.err));
        enum tx_status status = ktm_commit(txn, NULL, &f.err);
        cr_assert_eq(status, flags == 0 ? TX_OK : TX_ECONFLICT, "%s", f.err.text);
    }
}

/* No key in the conflict table tells of it: the files themselves have to be looked at. */
Test(txfs_validate, reads_that_a_program_changed_count_in_serializable_transactions_only)
{
    TX_AUTO(fs_fixture) f = fs_fixture_new();
    make_file(f.root, "a", "1");
    struct ktm_txn *txn = fs_begin(&f);
    cr_assert(fs_exists(&f, txn, "a"));
    fs_put(&f, txn, "b", "x");
    make_file(f.root, "a", "foreign");
    must(ktm_commit(txn, NULL, &f.err));
    txn = fs_begin_with(&f, KTM_SERIALIZABLE, NULL);
    cr_assert(fs_exists(&f, txn, "a"));
    fs_put(&f, txn, "c", "x");
    make_file(f.root, "a", "foreign again");
    conflicts(&f, txn, "a", program);
}

Test(txfs_validate, listings_count_in_serializable_transactions)
{
    TX_AUTO(fs_fixture) f = fs_fixture_new();
    make_dir(f.root, "d");
    struct ktm_txn *txn = fs_begin_with(&f, KTM_SERIALIZABLE, NULL);
    struct ktm_txn *other = fs_begin(&f);
    cr_assert_str_eq(fs_list(&f, txn, "d"), "");
    fs_put(&f, txn, "count", "0");
    fs_put(&f, other, "d/a", "x");
    must(ktm_commit(other, NULL, &f.err));
    refused(TX_ECONFLICT, ktm_commit(txn, NULL, &f.err));
}

Test(txfs_validate, what_was_touched_before_detaching_still_counts)
{
    TX_AUTO(fs_fixture) f = fs_fixture_new();
    make_file(f.root, "a", "1");
    struct ktm_txn *txn = fs_begin(&f);
    struct ktm_id id = ktm_txn_id(txn);
    fs_put(&f, txn, "a", "2");
    must(ktm_detach(txn, &f.err));
    make_file(f.root, "a", "foreign");
    must(ktm_attach(f.tm, &id, &txn, &f.err));
    conflicts(&f, txn, "a", program);
}

Test(txfs_validate, touches_after_the_mark_are_forgotten_with_it)
{
    TX_AUTO(fs_fixture) f = fs_fixture_new();
    make_file(f.root, "a", "1");
    struct ktm_txn *txn = fs_begin(&f);
    fs_put(&f, txn, "b", "x");
    must(ktm_savepoint(txn, "s", &f.err));
    fs_put(&f, txn, "a", "2");
    must(ktm_rollback_to(txn, "s", &f.err));
    make_file(f.root, "a", "foreign");
    must(ktm_commit(txn, NULL, &f.err));
    cr_assert(file_is(f.root, "a", "foreign"));
    cr_assert(file_is(f.root, "b", "x"));
}

/* What the other one changed below a directory that it moved, it says by the new path. */
Test(txfs_validate, a_change_below_a_moved_directory_names_who_moved_it)
{
    TX_AUTO(fs_fixture) f = fs_fixture_new();
    make_dir(f.root, "d");
    make_file(f.root, "d/a", "1");
    struct ktm_txn *loser = fs_begin(&f);
    struct ktm_txn *winner = fs_begin_with(&f, 0, "reorganized");
    fs_put(&f, loser, "d/a", "loser");
    must(txfs_rename(winner, "d", "m", 0, &f.err));
    fs_put(&f, winner, "m/a", "winner");
    must(ktm_commit(winner, NULL, &f.err));
    conflicts(&f, loser, "d/a", "reorganized");
    cr_assert(file_is(f.root, "m/a", "winner"));
}

Test(txfs_validate, what_a_program_removed_after_it_was_changed_is_a_conflict_at_once)
{
    TX_AUTO(fs_fixture) f = fs_fixture_new();
    make_file(f.root, "a", "1");
    struct ktm_txn *txn = fs_begin(&f);
    struct txio_stat stat;
    must(txfs_truncate(txn, "a", 0, &f.err));
    cr_assert_eq(unlinkat(f.root, "a", 0), 0);
    refused(TX_ECONFLICT, txfs_stat(txn, "a", &stat, &f.err));
    conflicts(&f, txn, "a", program);
}

static enum tx_status cut_it(struct ktm_txn *txn, struct tx_error *err)
{
    return txfs_truncate(txn, "d/b", 1, err);
}
static enum tx_status set_its_mode(struct ktm_txn *txn, struct tx_error *err)
{
    struct txio_attr attr = {.mask = TXIO_ATTR_MODE, .mode = 0604};
    return txfs_set_attr(txn, "d/b", &attr, err);
}
static enum tx_status give_it_an_attribute(struct ktm_txn *txn, struct tx_error *err)
{
    return txfs_set_xattr(txn, "d/b", "trusted.x", "1", 1, err);
}
typedef enum tx_status shared_change_fn(struct ktm_txn *txn, struct tx_error *err);

/* Although the change is noted down once, under the name by which the first one was made. */
static void two_names_count(shared_change_fn *change, bool by_a_program)
{
    TX_AUTO(fs_fixture) f = fs_fixture_new();
    make_dir(f.root, "d");
    make_file(f.root, "c", "0123");
    cr_assert_eq(linkat(f.root, "c", f.root, "d/b", 0), 0);
    struct ktm_txn *txn = fs_begin(&f);
    struct ktm_txn *mover = fs_begin(&f);
    struct ktm_id id = ktm_txn_id(txn);
    must(txfs_truncate(txn, "c", 2, &f.err));
    must(change(txn, &f.err));
    must(ktm_detach(txn, &f.err));
    if (by_a_program) {
        cr_assert_eq(renameat(f.root, "d", f.root, "e"), 0);
        ktm_rollback(mover);
    } else {
        must(txfs_rename(mover, "d", "e", 0, &f.err));
        must(ktm_commit(mover, NULL, &f.err));
    }
    must(ktm_attach(f.tm, &id, &txn, &f.err));
    conflicts(&f, txn, "d/b", by_a_program ? program : "changed by transaction");
    cr_assert(file_is(f.root, "c", "0123"));
}

Test(txfs_validate, every_name_by_which_a_file_was_changed_counts)
{
    static shared_change_fn *const all[] = {cut_it, set_its_mode, give_it_an_attribute};
    for (size_t i = 0; i < 2 * (sizeof all / sizeof *all); i++) {
        two_names_count(all[i / 2], i % 2 != 0);
    }
}
