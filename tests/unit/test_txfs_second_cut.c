/* SPDX-License-Identifier: MIT */
/* What a power cut leaves of a recovery, or of several commits, made by hand: disks that the
 * simulator met and recovery once did not know. */
#include "publish_fixture.h"

/* The owner got to the disk, and of the mode what the change of owner leaves of it. */
Test(txfs_second_cut, set_id_bits_that_a_chown_took_come_back)
{
    PUBLISH_FIXTURE(f, 8);
    struct txio_attr attr = {.mask = TXIO_ATTR_OWNER | TXIO_ATTR_MODE, .mode = 06755};
    attr.uid = geteuid();
    attr.gid = getegid();
    pub_foreign(f, "x", "old");
    struct ktm_txn *txn = pub_begin(f);
    must(txfs_set_attr(txn, "x", &attr, &f->err));
    pub_commit(f, txn);
    pub_die(f);
    cr_assert_eq(fchmodat(f->root, "x", 0755, 0), 0);
    pub_open(f);
    cr_assert_eq(pub_stat(f, "x").st_mode & 07777, 06755);
    cr_assert_eq(f->foreign_count, 0);
}

/* A recovery put the new directory where the old one was, and was cut off before it moved the old
 * one from the one commit's slot to the other's. */
Test(txfs_second_cut, what_is_in_a_displaced_directory_is_not_taken_for_new)
{
    PUBLISH_FIXTURE(f, 8);
    char first[TXFS_SLOT_PATH_SIZE + 16];
    char second[TXFS_SLOT_PATH_SIZE + 16];
    struct ktm_txn *txn = pub_begin(f);
    must(txfs_mkdir(txn, "dir", 0755, &f->err));
    must(txfs_mkdir(txn, "dir/sub", 0755, &f->err));
    pub_put(f, txn, "dir/sub/old", "old");
    pub_commit(f, txn);
    must(ktm_checkpoint(f->tm, &f->err));
    txn = pub_begin(f);
    must(txfs_remove_tree(txn, "dir", &f->err));
    tx_lsn removed = pub_commit(f, txn);
    txn = pub_begin(f);
    must(txfs_mkdir(txn, "dir", 0700, &f->err));
    must(txfs_mkdir(txn, "dir/sub", 0700, &f->err));
    pub_put(f, txn, "dir/sub/new", "new");
    tx_lsn made = pub_commit(f, txn);
    pub_die(f);
    (void)snprintf(second, sizeof second, "undo/%016llx/0", (unsigned long long)made);
    unsigned slot = 0;
    do { /* the old directory is in the last slot of the first commit */
        (void)snprintf(first, sizeof first, "undo/%016llx/%u", (unsigned long long)removed, slot);
    } while (!pub_in_store(f, first) && slot++ < 10);
    cr_assert_eq(renameat(f->store, first, f->store, second), 0);
    must(txio_remove_tree(txio_posix(), f->root, "dir/sub", &f->err));
    pub_open(f);
    cr_assert_str_eq(pub_text(f, "dir/sub/new"), "new");
    cr_assert_eq(pub_stat(f, "dir/sub").st_mode & 07777, 0700);
    cr_assert_eq(pub_stat(f, "dir/sub/old").st_ino, 0);
}

/* One commit replaces the directory that another made, and a third one makes its content anew. */
Test(txfs_second_cut, what_is_in_a_directory_that_a_commit_made_and_another_displaced_is_not_new)
{
    PUBLISH_FIXTURE(f, 8);
    char slot[TXFS_SLOT_PATH_SIZE + 16];
    struct ktm_txn *txn = pub_begin(f);
    must(txfs_mkdir(txn, "dir", 0755, &f->err));
    must(txfs_mkdir(txn, "dir/sub", 0755, &f->err));
    pub_commit(f, txn);
    txn = pub_begin(f);
    must(txfs_remove_tree(txn, "dir", &f->err));
    must(txfs_mkdir(txn, "dir", 0755, &f->err));
    tx_lsn replaced = pub_commit(f, txn);
    txn = pub_begin(f);
    must(txfs_mkdir(txn, "dir/sub", 0700, &f->err));
    pub_commit(f, txn);
    pub_die(f);
    must(txio_remove_tree(txio_posix(), f->root, "dir/sub", &f->err)); /* the power took it */
    pub_open(f);
    cr_assert_eq(pub_stat(f, "dir/sub").st_mode & 07777, 0700);
    (void)snprintf(slot, sizeof slot, "undo/%016llx", (unsigned long long)replaced);
    cr_assert(pub_in_store(f, slot));
}

/* The one commit removed a file; the next made and removed another there, and so found nothing. */
Test(txfs_second_cut, what_was_removed_stays_removed_though_the_last_commit_found_nothing)
{
    PUBLISH_FIXTURE(f, 8);
    char slot[TXFS_SLOT_PATH_SIZE + 16];
    pub_foreign(f, "x", "old");
    struct ktm_txn *txn = pub_begin(f);
    must(txfs_unlink(txn, "x", &f->err));
    tx_lsn lsn = pub_commit(f, txn);
    txn = pub_begin(f);
    must(txfs_symlink(txn, "target", "x", &f->err));
    must(txfs_unlink(txn, "x", &f->err));
    pub_put(f, txn, "other", "other");
    pub_commit(f, txn);
    pub_die(f);
    (void)snprintf(slot, sizeof slot, "undo/%016llx/0", (unsigned long long)lsn);
    cr_assert_eq(renameat(f->store, slot, f->root, "x"), 0); /* the power took the removal */
    pub_open(f);
    cr_assert_eq(pub_stat(f, "x").st_ino, 0);
    cr_assert_eq(f->foreign_count, 0);
    pub_die(f);
    pub_foreign(f, "x", "newer"); /* but this is a stranger's */
    pub_open(f);
    cr_assert_str_eq(pub_text(f, "x"), "newer");
}

/* Another file stands at "x", with this content and the mode of the one that stood there. */
static void build_anew(struct publish_fixture *f, const char *text)
{
    cr_assert_eq(renameat(f->root, "x", f->root, "keeps-the-inode"), 0);
    struct stat st = pub_stat(f, "keeps-the-inode");
    pub_foreign(f, "x", text);
    cr_assert_eq(fchmodat(f->root, "x", st.st_mode & 07777, 0), 0);
}

/* A recovery made the file of one commit anew, and was broken off before the change of the next. */
Test(txfs_second_cut, a_file_that_was_built_anew_gets_its_later_changes)
{
    PUBLISH_FIXTURE(f, 8);
    struct ktm_txn *txn = pub_begin(f);
    pub_put(f, txn, "x", "0123456789");
    pub_commit(f, txn);
    txn = pub_begin(f);
    pub_write(f, txn, "x", 2, "AB");
    pub_commit(f, txn);
    pub_die(f);
    build_anew(f, "0123456789");
    pub_open(f);
    cr_assert_str_eq(pub_text(f, "x"), "01AB456789");
    cr_assert_eq(f->foreign_count, 0);
}

/* Of two changes in place the power cut kept one. */
Test(txfs_second_cut, a_file_that_was_built_anew_gets_all_of_a_change_of_which_a_part_is_there)
{
    PUBLISH_FIXTURE(f, 8);
    struct ktm_txn *txn = pub_begin(f);
    pub_put(f, txn, "x", "0123456789");
    pub_commit(f, txn);
    txn = pub_begin(f);
    pub_write(f, txn, "x", 2, "AB");
    pub_write(f, txn, "x", 6, "CD");
    pub_commit(f, txn);
    pub_die(f);
    build_anew(f, "012345CD89");
    pub_open(f);
    cr_assert_str_eq(pub_text(f, "x"), "01AB45CD89");
    cr_assert_eq(f->foreign_count, 0);
    pub_die(f);
    pub_foreign(f, "x", "01AB45XX89"); /* but these bytes are nobody's of us */
    pub_open(f);
    cr_assert_str_eq(pub_text(f, "x"), "01AB45XX89");
}

/* Of a link there is no part: an empty file in its place is somebody else's. */
Test(txfs_second_cut, an_empty_file_is_no_part_of_a_link)
{
    PUBLISH_FIXTURE(f, 8);
    struct txio_attr attr = {.mask = TXIO_ATTR_OWNER, .uid = geteuid(), .gid = getegid()};
    struct ktm_txn *txn = pub_begin(f);
    must(txfs_symlink(txn, "target", "x", &f->err));
    pub_commit(f, txn);
    txn = pub_begin(f);
    must(txfs_set_attr(txn, "x", &attr, &f->err));
    pub_commit(f, txn);
    pub_die(f);
    cr_assert_eq(renameat(f->root, "x", f->root, "keeps-the-inode"), 0);
    pub_foreign(f, "x", "");
    pub_open(f);
    cr_assert(S_ISREG(pub_stat(f, "x").st_mode));
    cr_assert_eq(f->foreign_count, 1);
}

/* What a commit replaced has the same content, and its times did not survive the power cut, nor did
 * the new name: it passes for the new file, and must get its mode. */
Test(txfs_second_cut, an_old_file_of_the_same_content_gets_the_new_mode)
{
    PUBLISH_FIXTURE(f, 8);
    char slot[TXFS_SLOT_PATH_SIZE + 16];
    struct timespec times[2] = {{.tv_sec = 5}, {.tv_sec = 6}};
    struct txio_attr attr = {.mask = TXIO_ATTR_MODE, .mode = 0640};
    struct ktm_txn *txn = pub_begin(f);
    pub_put(f, txn, "x", "");
    must(txfs_set_attr(txn, "x", &attr, &f->err));
    pub_commit(f, txn);
    attr.mode = 0604;
    txn = pub_begin(f);
    pub_put(f, txn, "x", "");
    must(txfs_set_attr(txn, "x", &attr, &f->err));
    tx_lsn lsn = pub_commit(f, txn);
    pub_die(f);
    int exchanged = -1;
    for (unsigned i = 0; i < 4 && exchanged != 0; i++) {
        (void)snprintf(slot, sizeof slot, "undo/%016llx/%u", (unsigned long long)lsn, i);
        exchanged = renameat2(f->store, slot, f->root, "x", RENAME_EXCHANGE);
    }
    cr_assert_eq(exchanged, 0);
    cr_assert_eq(utimensat(f->root, "x", times, 0), 0);
    pub_open(f);
    cr_assert_eq(pub_stat(f, "x").st_mode & 07777, 0604);
    cr_assert_eq(f->foreign_count, 0);
}

/* The power cut kept the payload's new name and not the record that says names are changing. */
Test(txfs_second_cut, a_payload_in_its_place_counts_though_nothing_says_so)
{
    PUBLISH_FIXTURE(f, 8);
    char path[TXFS_SLOT_PATH_SIZE + 16];
    struct ktm_txn *txn = pub_begin(f);
    pub_put_bytes(f, txn, "big", 9000, 1);
    tx_lsn lsn = pub_commit(f, txn);
    ino_t ino = pub_stat(f, "big").st_ino;
    pub_die(f);
    (void)snprintf(path, sizeof path, "undo/%016llx/changes", (unsigned long long)lsn);
    cr_assert_eq(unlinkat(f->store, path, 0), 0);
    pub_open(f);
    cr_assert_eq(pub_stat(f, "big").st_ino, ino);
    cr_assert_eq(f->foreign_count, 0);
}

/* The file is built as its commit made it, and gets its later changes when all names stand: until
 * then it is not what the link found. */
Test(txfs_second_cut, a_further_name_is_of_the_file_that_was_built_anew)
{
    PUBLISH_FIXTURE(f, 8);
    struct ktm_txn *txn = pub_begin(f);
    pub_put(f, txn, "x", "text");
    pub_commit(f, txn);
    txn = pub_begin(f);
    pub_write(f, txn, "x", 4, " and more");
    pub_commit(f, txn);
    txn = pub_begin(f);
    must(txfs_link(txn, "x", "y", &f->err));
    pub_commit(f, txn);
    pub_die(f);
    cr_assert_eq(unlinkat(f->root, "x", 0), 0); /* the power took both names */
    cr_assert_eq(unlinkat(f->root, "y", 0), 0);
    pub_open(f);
    cr_assert_str_eq(pub_text(f, "y"), "text and more");
    cr_assert_eq(pub_stat(f, "x").st_ino, pub_stat(f, "y").st_ino);
    cr_assert_eq(f->foreign_count, 0);
}

static void unlink_the_name(struct publish_fixture *f, struct ktm_txn *txn)
{
    must(txfs_unlink(txn, "d/x", &f->err));
}
static void replace_the_name(struct publish_fixture *f, struct ktm_txn *txn)
{
    pub_put(f, txn, "d/x", "another");
}
static void remove_the_directory(struct publish_fixture *f, struct ktm_txn *txn)
{
    must(txfs_remove_tree(txn, "d", &f->err));
}
static void replace_the_directory(struct publish_fixture *f, struct ktm_txn *txn)
{
    remove_the_directory(f, txn);
    pub_put(f, txn, "d", "a file");
}

/* A change in place is the file's, by whatever name it was made and whatever became of that name;
 * no commit has to know the other names. */
Test(txfs_second_cut, what_was_written_by_a_name_that_is_gone_reaches_the_others)
{
    static pub_change_fn *const all[] = {unlink_the_name, replace_the_name, remove_the_directory,
                                         replace_the_directory};
    for (size_t i = 0; i < sizeof(all) / sizeof(*all); i++) {
        PUBLISH_FIXTURE(f, 8);
        struct txio_attr attr = {.mask = TXIO_ATTR_MODE, .mode = 0604};
        make_dir(f->root, "d");
        pub_foreign(f, "d/x", "0123456789");
        cr_assert_eq(linkat(f->root, "d/x", f->root, "y", 0), 0);
        mode_t mode = pub_stat(f, "y").st_mode & 07777;
        struct ktm_txn *txn = pub_begin(f);
        pub_write(f, txn, "d/x", 2, "AB");
        must(txfs_set_attr(txn, "d/x", &attr, &f->err));
        pub_commit(f, txn);
        pub_commit_change(f, all[i]);
        pub_die(f);
        pub_foreign(f, "y", "0123456789"); /* the power took the change */
        cr_assert_eq(fchmodat(f->root, "y", mode, 0), 0);
        pub_open(f);
        cr_assert_str_eq(pub_text(f, "y"), "01AB456789");
        cr_assert_eq(pub_stat(f, "y").st_mode & 07777, 0604);
        cr_assert_eq(f->foreign_count, 0);
    }
}

static void make_small(struct publish_fixture *f)
{
    pub_foreign(f, "d/x", "text");
}
static void make_staged(struct publish_fixture *f)
{
    struct ktm_txn *txn = pub_begin(f);
    pub_put_bytes(f, txn, "d/x", 9000, 1);
    pub_commit(f, txn);
}
static void link_to_y(struct publish_fixture *f, struct ktm_txn *txn)
{
    must(txfs_link(txn, "d/x", "y", &f->err));
}

/* Of a file that an earlier commit made, too, where its payload cannot be built anew. */
Test(txfs_second_cut, a_further_name_is_of_the_file_that_went_away_with_its_directory)
{
    static void (*const all[])(struct publish_fixture *f) = {make_small, make_staged};
    for (size_t i = 0; i < sizeof(all) / sizeof(*all); i++) {
        PUBLISH_FIXTURE(f, 8);
        make_dir(f->root, "d");
        all[i](f);
        ino_t ino = pub_stat(f, "d/x").st_ino;
        pub_commit_change(f, link_to_y);
        pub_commit_change(f, remove_the_directory);
        pub_die(f);
        cr_assert_eq(unlinkat(f->root, "y", 0), 0); /* the power took it */
        pub_open(f);
        cr_assert_eq(pub_stat(f, "y").st_ino, ino);
        cr_assert_eq(f->foreign_count, 0);
    }
}
