/* SPDX-License-Identifier: MIT */
/* What was changed since a commit is not reverted: the path is named, and what is different. */
#include <errno.h>
#include <sys/xattr.h>

#include "publish_failures.h"

typedef void stranger_fn(struct publish_fixture *f);

static void refused_in(struct publish_fixture *f, struct ktm_txn *txn, tx_lsn lsn,
                       enum tx_status status, const char *word)
{
    enum tx_status got = txfs_revert(txn, lsn, &f->err);
    cr_assert_eq(got, status, "%s: %s", tx_status_name(got), f->err.text);
    cr_assert_not_null(strstr(f->err.text, word), "%s", f->err.text);
    ktm_rollback(txn);
}

static void refused(struct publish_fixture *f, tx_lsn lsn, enum tx_status status, const char *word)
{
    refused_in(f, pub_begin(f), lsn, status, word);
}

static void keep_time(struct publish_fixture *f, const char *path, struct timespec mtime)
{
    struct timespec times[2] = {{0, UTIME_OMIT}, mtime};
    cr_assert_eq(utimensat(f->root, path, times, AT_SYMLINK_NOFOLLOW), 0);
}

/* --- One difference at a time --- */

static void change_one_of_each(struct publish_fixture *f, struct ktm_txn *txn)
{
    struct txio_attr attr = {.mask = TXIO_ATTR_MODE, .mode = 0600};
    pub_put(f, txn, "file", "text");
    must(txfs_set_xattr(txn, "file", "user.colour", "red", 3, &f->err));
    must(txfs_mkdir(txn, "dir", 0755, &f->err));
    must(txfs_symlink(txn, "target", "symlink", &f->err));
    pub_time(f, txn, "symlink");
    must(txfs_link(txn, "old", "link", &f->err));
    must(txfs_unlink(txn, "removed", &f->err));
    pub_write(f, txn, "written", 2, "AB");
    must(txfs_set_attr(txn, "amended", &attr, &f->err));
}

static tx_lsn commit_one_of_each(struct publish_fixture *f)
{
    pub_foreign(f, "old", "old");
    pub_foreign(f, "removed", "removed");
    pub_foreign(f, "written", "0123456789");
    pub_foreign(f, "amended", "amended");
    return pub_commit_change(f, change_one_of_each);
}

static void other_size(struct publish_fixture *f)
{
    struct timespec mtime = pub_stat(f, "file").st_mtim;
    pub_foreign(f, "file", "longer text");
    keep_time(f, "file", mtime);
}
static void other_bytes(struct publish_fixture *f)
{
    struct timespec mtime = pub_stat(f, "written").st_mtim;
    int fd = openat(f->root, "written", O_WRONLY | O_CLOEXEC);
    cr_assert_eq(pwrite(fd, "X", 1, 3), 1);
    (void)close(fd);
    keep_time(f, "written", mtime);
}
static void other_owner(struct publish_fixture *f)
{
    cr_assert_eq(fchownat(f->root, "file", 12, 34, 0), 0);
}
static void set_attribute(struct publish_fixture *f, const char *name, const char *value)
{
    char full[512];
    (void)snprintf(full, sizeof(full), "%s/file", f->temp.path);
    cr_assert_eq(setxattr(full, name, value, strlen(value), 0), 0);
}
static void one_attribute_more(struct publish_fixture *f) { set_attribute(f, "user.x", "1"); }
static void another_attribute(struct publish_fixture *f) { set_attribute(f, "user.colour", "led"); }
static void other_target(struct publish_fixture *f)
{
    struct timespec mtime = pub_stat(f, "symlink").st_mtim;
    cr_assert_eq(unlinkat(f->root, "symlink", 0), 0);
    cr_assert_eq(symlinkat("garget", f->root, "symlink"), 0);
    keep_time(f, "symlink", mtime);
}
static void no_link(struct publish_fixture *f)
{
    cr_assert_eq(unlinkat(f->root, "link", 0), 0);
    pub_foreign(f, "link", "old");
}
static void no_directory(struct publish_fixture *f)
{
    cr_assert_eq(unlinkat(f->root, "dir", AT_REMOVEDIR), 0);
    pub_foreign(f, "dir", "a file");
}
static void another_file(struct publish_fixture *f)
{
    pub_foreign(f, "aside", "amended");
    cr_assert_eq(renameat(f->root, "aside", f->root, "amended"), 0);
}
static void there_again(struct publish_fixture *f) { pub_foreign(f, "removed", "again"); }

Test(txfs_revert_refused, each_difference_is_named)
{
    static const struct {
        stranger_fn *change;
        const char *word;
    } all[] = {{other_size, "its size"},
               {other_bytes, "its content"},
               {one_attribute_more, "its extended attributes"},
               {another_attribute, "its extended attributes"},
               {other_target, "its target"},
               {no_link, "no link any more"},
               {no_directory, "another object"},
               {another_file, "another object"},
               {there_again, "there again"},
               {other_owner, "its attributes"}};
    size_t count = sizeof(all) / sizeof(*all) - (getuid() != 0);
    for (size_t i = 0; i < count; i++) {
        PUBLISH_FIXTURE(f, 8);
        tx_lsn lsn = commit_one_of_each(f);
        all[i].change(f);
        refused(f, lsn, TX_ECONFLICT, all[i].word);
    }
}

/* --- While it is being read --- */

static const char *shrinks;

static void shrink(struct layer *layer, struct layer_call *call)
{
    struct publish_fixture *f = pub_of(layer);
    if (call->op == LAYER_pread && strcmp(call->where + 1, shrinks) == 0) {
        int fd = openat(f->root, shrinks, O_WRONLY | O_CLOEXEC);
        cr_assert_eq(ftruncate(fd, 1), 0);
        (void)close(fd);
    }
}

Test(txfs_revert_refused, a_file_that_becomes_shorter_while_it_is_read_has_changed)
{
    static const char *const all[] = {"file", "written"};
    for (size_t i = 0; i < 2; i++) {
        PUBLISH_FIXTURE(f, 8);
        tx_lsn lsn = commit_one_of_each(f);
        shrinks = all[i];
        f->layer.before = shrink;
        refused(f, lsn, TX_ECONFLICT, "its content");
        f->layer.before = NULL;
    }
}

/* --- What is not kept --- */

static void put_x(struct publish_fixture *f, struct ktm_txn *txn)
{
    pub_put(f, txn, "x", "new");
}

Test(txfs_revert_refused, an_old_version_that_is_gone_or_another_is_not_kept)
{
    for (int another = 0; another <= 1; another++) {
        PUBLISH_FIXTURE(f, 8);
        char slot[96];
        pub_foreign(f, "x", "old");
        tx_lsn lsn = pub_commit_change(f, put_x);
        int removed = -1;
        for (unsigned i = 0; i < 4 && removed != 0; i++) {
            (void)snprintf(slot, sizeof(slot), "undo/%016llx/%u", (unsigned long long)lsn, i);
            removed = renameat(f->store, slot, f->store, "aside");
        }
        cr_assert_eq(removed, 0);
        if (another) {
            make_file(f->store, slot, "another");
        }
        refused(f, lsn, TX_ENOTFOUND, "is not kept");
    }
}

Test(txfs_revert_refused, a_file_of_others_that_cannot_be_read_is_told)
{
    PUBLISH_FIXTURE(f, 8);
    pub_commit_change(f, put_x);
    int fd = openat(f->store, "undo/others", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    cr_assert_eq(ftruncate(fd, ((off_t)64 << 20) + 1), 0); /* as nobody of us wrote it */
    (void)close(fd);
    refused(f, 0x777000, TX_ECORRUPT, "undo/others");
    cr_assert_eq(unlinkat(f->store, "undo/others", 0), 0);
    refused(f, 0x777000, TX_ENOTFOUND, "not kept");
}

/* --- Names of a file with several --- */

static void unlink_x(struct publish_fixture *f, struct ktm_txn *txn)
{
    must(txfs_unlink(txn, "x", &f->err));
}
static void unlink_both(struct publish_fixture *f, struct ktm_txn *txn)
{
    must(txfs_unlink(txn, "x", &f->err));
    must(txfs_unlink(txn, "y", &f->err));
}
static void make_directory(struct publish_fixture *f, struct ktm_txn *txn)
{
    must(txfs_unlink(txn, "place", &f->err));
    must(txfs_mkdir(txn, "place", 0755, &f->err));
}

static ino_t revert_inode(struct publish_fixture *f, tx_lsn lsn)
{
    struct ktm_txn *txn = pub_begin(f);
    must(txfs_revert(txn, lsn, &f->err));
    pub_commit(f, txn);
    return pub_stat(f, "x").st_ino;
}

Test(txfs_revert_refused, of_several_names_one_is_enough)
{
    PUBLISH_FIXTURE(f, 8);
    pub_foreign(f, "x", "text");
    make_dir(f->root, "dir");
    cr_assert_eq(linkat(f->root, "x", f->root, "dir/y", 0), 0);
    cr_assert_eq(linkat(f->root, "x", f->root, "dir/z", 0), 0);
    pub_foreign(f, "dir/other", "text");
    tx_lsn lsn = pub_commit_change(f, unlink_x);
    cr_assert_eq(revert_inode(f, lsn), pub_stat(f, "dir/y").st_ino);
    cr_assert_eq(pub_stat(f, "x").st_nlink, 4); /* three, and that of the slot */
}

Test(txfs_revert_refused, two_names_that_were_removed_come_back_as_one_file)
{
    PUBLISH_FIXTURE(f, 8);
    pub_foreign(f, "x", "text");
    cr_assert_eq(linkat(f->root, "x", f->root, "y", 0), 0);
    tx_lsn lsn = pub_commit_change(f, unlink_both);
    cr_assert_eq(revert_inode(f, lsn), pub_stat(f, "y").st_ino);
    cr_assert_str_eq(pub_text(f, "y"), "text");
}

/* Names that are newer than the snapshot, or gone when they are looked at, are none. */
static stranger_fn *meanwhile;

static void change_at_list(struct layer *layer, struct layer_call *call)
{
    struct publish_fixture *f = pub_of(layer);
    if (call->op == LAYER_stat && strcmp(call->where, "/dir/y") == 0 && meanwhile != NULL) {
        meanwhile(f);
        meanwhile = NULL;
    }
}

static void unlink_y(struct publish_fixture *f)
{
    cr_assert_eq(unlinkat(f->root, "dir/y", 0), 0);
}
static void replace_y(struct publish_fixture *f)
{
    pub_foreign(f, "dir/theirs", "theirs");
    cr_assert_eq(renameat(f->root, "dir/theirs", f->root, "dir/y"), 0);
}

Test(txfs_revert_refused, a_name_that_goes_while_it_is_looked_at_is_none)
{
    static stranger_fn *const all[] = {unlink_y, replace_y};
    for (size_t i = 0; i < 2; i++) {
        PUBLISH_FIXTURE(f, 8);
        pub_foreign(f, "x", "text");
        make_dir(f->root, "dir");
        cr_assert_eq(linkat(f->root, "x", f->root, "dir/y", 0), 0);
        tx_lsn lsn = pub_commit_change(f, unlink_x);
        meanwhile = all[i];
        f->layer.before = change_at_list;
        struct ktm_txn *txn = pub_begin(f);
        must(txfs_revert(txn, lsn, &f->err));
        f->layer.before = NULL;
        pub_commit(f, txn);
        cr_assert_str_eq(pub_text(f, "x"), "text");
        cr_assert_neq(pub_stat(f, "x").st_ino, pub_stat(f, "dir/y").st_ino);
    }
}

/* --- Paths that are too long --- */

static void remove_d(struct publish_fixture *f, struct ktm_txn *txn)
{
    must(txfs_remove_tree(txn, "d", &f->err));
}

/* One directory more at the end of a path that no call takes at once. */
static void make_deeper(int top, const char *path)
{
    char part[256];
    int dir = dup(top);
    while (*path != '\0') {
        size_t size = strcspn(path, "/");
        (void)snprintf(part, sizeof(part), "%.*s", (int)size, path);
        int below = openat(dir, part, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        cr_assert_geq(below, 0);
        (void)close(dir);
        dir = below;
        path += size + (path[size] == '/');
    }
    make_dir(dir, part);
    (void)close(dir);
}

Test(txfs_revert_refused, names_that_are_too_deep_to_be_ours_are_passed_over)
{
    PUBLISH_FIXTURE(f, 8);
    static char path[PUB_DEEP_MAX];
    pub_make_deep(f, 17, path);
    pub_foreign(f, "x", "text");
    cr_assert_eq(linkat(f->root, "x", f->root, "y", 0), 0);
    tx_lsn lsn = pub_commit_change(f, unlink_x);
    cr_assert_eq(revert_inode(f, lsn), pub_stat(f, "y").st_ino);
}

Test(txfs_revert_refused, what_became_too_deep_in_its_slot_does_not_come_back)
{
    PUBLISH_FIXTURE(f, 8);
    static char path[PUB_DEEP_MAX];
    char slot[96];
    pub_make_deep(f, 16, path);
    tx_lsn lsn = pub_commit_change(f, remove_d);
    int dir = -1;
    for (unsigned i = 0; i < 40 && dir < 0; i++) {
        (void)snprintf(slot, sizeof(slot), "undo/%016llx/%u", (unsigned long long)lsn, i);
        dir = openat(f->store, slot, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    }
    cr_assert_geq(dir, 0);
    make_deeper(dir, path + 2); /* without the "d/" */
    (void)close(dir);
    refused(f, lsn, TX_ELIMIT, "too long");
}

Test(txfs_revert_refused, a_name_that_is_newer_than_the_snapshot_is_none)
{
    PUBLISH_FIXTURE(f, 8);
    struct txio_stat stat;
    pub_foreign(f, "x", "text");
    cr_assert_eq(linkat(f->root, "x", f->root, "y", 0), 0);
    pub_foreign(f, "place", "a file");
    tx_lsn lsn = pub_commit_change(f, unlink_x);
    struct ktm_txn *old = pub_begin(f); /* to which "place" is a file */
    pub_commit_change(f, make_directory);
    cr_assert_eq(renameat(f->root, "y", f->root, "place/y"), 0);
    must(txfs_revert(old, lsn, &f->err));
    must(txfs_stat(old, "x", &stat, &f->err));
    cr_assert_eq(stat.nlink, 1);
    ktm_rollback(old);
}
