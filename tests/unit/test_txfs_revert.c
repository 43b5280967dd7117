/* SPDX-License-Identifier: MIT */
/* A reverted commit leaves the tree as it was before. */
#include "publish_fixture.h"

static void revert(struct publish_fixture *f, tx_lsn lsn)
{
    struct ktm_txn *txn = pub_begin(f);
    must(txfs_revert(txn, lsn, &f->err));
    pub_commit(f, txn);
}

static void refused(struct publish_fixture *f, tx_lsn lsn, enum tx_status status, const char *word)
{
    struct ktm_txn *txn = pub_begin(f);
    enum tx_status got = txfs_revert(txn, lsn, &f->err);
    cr_assert_eq(got, status, "%s: %s", tx_status_name(got), f->err.text);
    cr_assert_not_null(strstr(f->err.text, word), "%s", f->err.text);
    ktm_rollback(txn);
}

static void there_and_back(pub_change_fn *first, pub_change_fn *second, bool checkpoint)
{
    PUBLISH_FIXTURE(f, 8);
    f->without_counts = true;
    pub_make_tree(f);
    if (first != NULL) {
        pub_commit_change(f, first);
    }
    char *before = pub_dump(f);
    tx_lsn lsn = pub_commit_change(f, second);
    if (checkpoint) {
        must(ktm_checkpoint(f->tm, &f->err));
    }
    revert(f, lsn);
    char *after = pub_dump(f);
    pub_assert_same(after, before, "reverted");
    cr_assert_eq(f->foreign_count, 0);
    free(before);
    free(after);
}

Test(txfs_revert, everything_but_moves_comes_back)
{
    there_and_back(NULL, pub_change_all, false);
    there_and_back(NULL, pub_change_all, true);
}

Test(txfs_revert, changes_over_changes_come_back)
{
    there_and_back(pub_change_all, pub_change_again, false);
    there_and_back(pub_change_all, pub_change_again, true);
}

Test(txfs_revert, moves_come_back)
{
    there_and_back(NULL, pub_move_all, false);
}

static void put_x(struct publish_fixture *f, struct ktm_txn *txn)
{
    pub_put(f, txn, "x", "new");
}
static void put_x_again(struct publish_fixture *f, struct ktm_txn *txn)
{
    pub_put(f, txn, "x", "newer");
}
static void make_dir_d(struct publish_fixture *f, struct ktm_txn *txn)
{
    must(txfs_mkdir(txn, "made", 0755, &f->err));
}

Test(txfs_revert, a_revert_can_be_reverted)
{
    PUBLISH_FIXTURE(f, 8);
    pub_foreign(f, "x", "old");
    tx_lsn lsn = pub_commit_change(f, put_x);
    struct ktm_txn *txn = pub_begin(f);
    must(txfs_revert(txn, lsn, &f->err));
    lsn = pub_commit(f, txn);
    cr_assert_str_eq(pub_text(f, "x"), "old");
    revert(f, lsn);
    cr_assert_str_eq(pub_text(f, "x"), "new");
}

Test(txfs_revert, a_path_changed_since_is_a_conflict_that_names_it)
{
    PUBLISH_FIXTURE(f, 8);
    pub_foreign(f, "x", "old");
    tx_lsn lsn = pub_commit_change(f, put_x);
    pub_commit_change(f, put_x_again);
    refused(f, lsn, TX_ECONFLICT, "\"x\"");
}

Test(txfs_revert, a_strangers_edit_is_a_conflict)
{
    PUBLISH_FIXTURE(f, 8);
    tx_lsn lsn = pub_commit_change(f, put_x);
    struct timespec times[2] = {{0, UTIME_OMIT}, {0, 0}};
    times[1] = pub_stat(f, "x").st_mtim;
    pub_foreign(f, "x", "NEW"); /* same size, and the time is put back: only the hash tells */
    cr_assert_eq(utimensat(f->root, "x", times, 0), 0);
    refused(f, lsn, TX_ECONFLICT, "content");
    cr_assert_str_eq(pub_text(f, "x"), "NEW");
}

Test(txfs_revert, a_file_removed_since_is_a_conflict)
{
    PUBLISH_FIXTURE(f, 8);
    tx_lsn lsn = pub_commit_change(f, put_x);
    cr_assert_eq(unlinkat(f->root, "x", 0), 0);
    refused(f, lsn, TX_ECONFLICT, "\"x\"");
}

Test(txfs_revert, a_directory_filled_since_is_a_conflict)
{
    PUBLISH_FIXTURE(f, 8);
    tx_lsn lsn = pub_commit_change(f, make_dir_d);
    pub_foreign(f, "made/late", "x");
    refused(f, lsn, TX_ECONFLICT, "\"made\"");
}

Test(txfs_revert, a_commit_that_is_not_kept_is_not_found)
{
    PUBLISH_FIXTURE(f, 1);
    tx_lsn lsn = pub_commit_change(f, put_x);
    pub_commit_change(f, put_x_again);
    must(ktm_checkpoint(f->tm, &f->err));
    refused(f, lsn, TX_ENOTFOUND, "not kept");
    refused(f, 0x777000, TX_ENOTFOUND, "not kept");
}

Test(txfs_revert, an_old_version_that_changed_in_undo_is_refused)
{
    PUBLISH_FIXTURE(f, 8);
    pub_foreign(f, "x", "old");
    tx_lsn lsn = pub_commit_change(f, put_x);
    must(ktm_checkpoint(f->tm, &f->err));
    for (int i = 0; i < 3; i++) {
        char path[64];
        (void)snprintf(path, sizeof(path), "undo/%016llx/%d", (unsigned long long)lsn, i);
        int fd = openat(f->store, path, O_WRONLY | O_CLOEXEC);
        if (fd >= 0) {
            cr_assert_eq(pwrite(fd, "O", 1, 0), 1);
            (void)close(fd);
        }
    }
    refused(f, lsn, TX_ECORRUPT, "differs");
}
