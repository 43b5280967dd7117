/* SPDX-License-Identifier: MIT */
/* A commit takes a file out of a directory and moves the directory, or removes it. Of the two
 * changes of names the power may have kept the second alone: then the file went along. */
#include "publish_fixture.h"

static void move_file(struct publish_fixture *f, struct ktm_txn *txn)
{
    must(txfs_rename(txn, "d/x", "f", 0, &f->err));
}
static void move_file_from_moved(struct publish_fixture *f, struct ktm_txn *txn)
{
    must(txfs_rename(txn, "e/x", "f", 0, &f->err));
}
static void move_directory(struct publish_fixture *f, struct ktm_txn *txn)
{
    must(txfs_rename(txn, "d", "e", 0, &f->err));
}
static void remove_directory(struct publish_fixture *f, struct ktm_txn *txn)
{
    must(txfs_rmdir(txn, "d", &f->err));
}

static void replace_directory(struct publish_fixture *f, struct ktm_txn *txn)
{
    remove_directory(f, txn);
    pub_put(f, txn, "d", "a file");
}

/* The slot of the directory that this commit put away. */
static void slot_of_directory(struct publish_fixture *f, tx_lsn lsn, char *slot, size_t size)
{
    struct stat is = {.st_mode = 0};
    for (unsigned i = 0; i < 10 && !S_ISDIR(is.st_mode); i++) {
        (void)snprintf(slot, size, "undo/%016llx/%u", (unsigned long long)lsn, i);
        (void)fstatat(f->store, slot, &is, AT_SYMLINK_NOFOLLOW);
    }
    cr_assert(S_ISDIR(is.st_mode));
}

static const struct {
    pub_change_fn *first, *second;
    const char *directory; /* where it is when all is done; NULL: put away */
} all[] = {
    {move_file, remove_directory, NULL},
    {move_file, replace_directory, NULL},
    {move_file, move_directory, "e"},
    {move_directory, move_file_from_moved, "e"},
};

static void try_with(size_t i, bool directory_stayed)
{
    PUBLISH_FIXTURE(f, 8);
    char slot[TXFS_SLOT_PATH_SIZE + 16];
    char stray[TXFS_SLOT_PATH_SIZE + 32];
    make_dir(f->root, "d");
    pub_foreign(f, "d/x", "the file");
    ino_t ino = pub_stat(f, "d/x").st_ino;
    struct ktm_txn *txn = pub_begin(f);
    all[i].first(f, txn);
    all[i].second(f, txn);
    tx_lsn lsn = pub_commit(f, txn);
    pub_die(f);
    int dir = all[i].directory != NULL ? f->root : f->store;
    if (all[i].directory == NULL) {
        slot_of_directory(f, lsn, slot, sizeof slot);
    } else if (directory_stayed) {
        cr_assert_eq(renameat(f->root, all[i].directory, f->root, "d"), 0);
        (void)snprintf(slot, sizeof slot, "d");
    } else {
        (void)snprintf(slot, sizeof slot, "%s", all[i].directory);
    }
    (void)snprintf(stray, sizeof stray, "%s/x", slot);
    cr_assert_eq(renameat(f->root, "f", dir, stray), 0);
    pub_open(f);
    cr_assert_eq(pub_stat(f, "f").st_ino, ino, "case %zu", i);
    cr_assert_neq(pub_stat(f, "d").st_ino, ino);
    cr_assert_eq(fstatat(dir, stray, &(struct stat){0}, 0), -1, "case %zu: two names", i);
    cr_assert_eq(f->foreign_count, 0);
}

Test(txfs_strays, a_file_that_went_along_with_its_directory_is_found)
{
    for (size_t i = 0; i < sizeof(all) / sizeof(*all); i++) {
        try_with(i, false);
    }
}

Test(txfs_strays, a_file_that_stayed_with_its_directory_is_found)
{
    for (size_t i = 0; i < sizeof(all) / sizeof(*all); i++) {
        if (all[i].directory != NULL) {
            try_with(i, true);
        }
    }
}

/* Of the file there is only the payload, so whoever does not find it must not open the store. */
Test(txfs_strays, a_payload_in_a_directory_that_did_not_move_is_found)
{
    PUBLISH_FIXTURE(f, 8);
    char changes[TXFS_SLOT_PATH_SIZE + 16];
    make_dir(f->root, "d");
    make_dir(f->root, "e");
    struct ktm_txn *txn = pub_begin(f);
    must(txfs_rename(txn, "d", "e", TXIO_EXCHANGE, &f->err));
    pub_put_bytes(f, txn, "d/x", 9000, 1);
    tx_lsn lsn = pub_commit(f, txn);
    ino_t ino = pub_stat(f, "d/x").st_ino;
    pub_die(f);
    /* The power kept the name of the file, and not those of the directories, nor what says so. */
    cr_assert_eq(renameat2(f->root, "d", f->root, "e", RENAME_EXCHANGE), 0);
    (void)snprintf(changes, sizeof changes, "undo/%016llx/changes", (unsigned long long)lsn);
    cr_assert_eq(unlinkat(f->store, changes, 0), 0);
    pub_open(f);
    cr_assert_eq(pub_stat(f, "d/x").st_ino, ino);
    cr_assert_eq(pub_stat(f, "e/x").st_ino, 0);
    cr_assert_eq(f->foreign_count, 0);
}
