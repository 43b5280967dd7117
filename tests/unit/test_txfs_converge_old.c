/* SPDX-License-Identifier: MIT */
/* Recovery where older objects and older versions play a part: those that strangers put between two
 * commits, copies that an earlier recovery made, names that only a slot still has. */
#include <errno.h>

#include "publish_failures.h"
#include "publish_script.h"
#include "txfs/unsteady.h"

static void put_one(struct publish_fixture *f, struct ktm_txn *txn) { pub_put(f, txn, "x", "one"); }
static void put_two(struct publish_fixture *f, struct ktm_txn *txn) { pub_put(f, txn, "x", "two"); }
static void write_ab(struct publish_fixture *f, struct ktm_txn *txn)
{
    pub_write(f, txn, "x", 2, "AB");
}
static void write_cd(struct publish_fixture *f, struct ktm_txn *txn)
{
    pub_write(f, txn, "x", 6, "CD");
}
static void put_digits(struct publish_fixture *f, struct ktm_txn *txn)
{
    pub_put(f, txn, "x", "0123456789");
}
static void unlink_x(struct publish_fixture *f, struct ktm_txn *txn)
{
    must(txfs_unlink(txn, "x", &f->err));
}
static void make_and_remove(struct publish_fixture *f, struct ktm_txn *txn)
{
    pub_put(f, txn, "x", "for a moment");
    must(txfs_unlink(txn, "x", &f->err));
    pub_put(f, txn, "other", "other");
}
static void link_y(struct publish_fixture *f, struct ktm_txn *txn)
{
    must(txfs_link(txn, "x", "y", &f->err));
}
static void make_dir_x(struct publish_fixture *f, struct ktm_txn *txn)
{
    must(txfs_rmdir(txn, "x", &f->err));
    must(txfs_mkdir(txn, "x", 0700, &f->err));
}
static void make_link_x(struct publish_fixture *f, struct ktm_txn *txn)
{
    must(txfs_unlink(txn, "x", &f->err));
    must(txfs_symlink(txn, "two", "x", &f->err));
}
static void chown_x(struct publish_fixture *f, struct ktm_txn *txn)
{
    struct txio_attr attr = {.mask = TXIO_ATTR_OWNER, .uid = 12, .gid = 34};
    must(txfs_set_attr(txn, "x", &attr, &f->err));
}

/* Another file stands at x, with the mode of the one that stood there. */
static void build_anew(struct publish_fixture *f, const char *text)
{
    struct stat st = pub_stat(f, "x");
    cr_assert_eq(renameat(f->root, "x", f->root, "keeps-the-inode"), 0);
    pub_foreign(f, "x", text);
    cr_assert_eq(fchmodat(f->root, "x", st.st_mode & 07777, 0), 0);
}

/* --- Between two commits --- */

static void as_a_link(struct publish_fixture *f) { cr_assert_eq(symlinkat("a", f->root, "x"), 0); }
static void with_another_size(struct publish_fixture *f) { pub_foreign(f, "x", "longer"); }
static void with_another_time(struct publish_fixture *f) { pub_foreign(f, "x", "ONE"); }

Test(txfs_converge_old, what_a_stranger_put_between_two_commits_was_not_ours)
{
    static void (*const all[])(struct publish_fixture *) = {as_a_link, with_another_size,
                                                            with_another_time};
    for (size_t i = 0; i < 3; i++) {
        PUBLISH_FIXTURE(f, 8);
        char slot[96];
        struct stat st;
        script_publish(f, put_one);
        cr_assert_eq(renameat(f->root, "x", f->root, "aside"), 0);
        all[i](f);
        ino_t theirs = pub_stat(f, "x").st_ino;
        script_publish(f, put_two);
        must(script_recover(f));
        cr_assert_str_eq(pub_text(f, "x"), "two");
        script_slot(f, 1, "x", slot);
        cr_assert_eq(fstatat(f->store, slot, &st, AT_SYMLINK_NOFOLLOW), 0);
        cr_assert_eq(st.st_ino, theirs);
        cr_assert_eq(f->foreign_count, 0);
        script_forget(f);
    }
}

Test(txfs_converge_old, what_came_after_the_last_commit_found_nothing_is_left)
{
    PUBLISH_FIXTURE(f, 8);
    pub_foreign(f, "x", "old");
    script_publish(f, unlink_x);
    script_publish(f, make_and_remove);
    pub_foreign(f, "x", "theirs");
    must(script_recover(f));
    cr_assert_str_eq(pub_text(f, "x"), "theirs");
    script_forget(f);
}

Test(txfs_converge_old, what_stands_where_a_commit_made_and_removed_is_left)
{
    PUBLISH_FIXTURE(f, 8);
    script_publish(f, make_and_remove);
    pub_foreign(f, "x", "theirs");
    must(script_recover(f));
    cr_assert_str_eq(pub_text(f, "x"), "theirs");
    script_forget(f);
}

Test(txfs_converge_old, an_owner_that_no_commit_gave_is_a_strangers)
{
    for (int group = 0; group <= 1 && getuid() == 0; group++) {
        PUBLISH_FIXTURE(f, 8);
        pub_foreign(f, "x", "old");
        script_publish(f, chown_x);
        cr_assert_eq(fchownat(f->root, "x", group ? 12 : 56, group ? 56 : 34, 0), 0);
        must(script_recover(f));
        cr_assert_eq(group ? pub_stat(f, "x").st_gid : pub_stat(f, "x").st_uid, 56);
        cr_assert(pub_was_told(f, "x", ""));
        script_forget(f);
    }
}

/* --- Copies that an earlier recovery made --- */

static void prepare_copy(struct publish_fixture *f)
{
    script_publish(f, put_one);
    script_publish(f, put_two);
    build_anew(f, "one");
}

static void finish_copy(struct publish_fixture *f)
{
    must(script_recover(f));
    cr_assert_str_eq(pub_text(f, "x"), "two");
    cr_assert_eq(f->foreign_count, 0);
    script_forget(f);
}

Test(txfs_converge_old, a_copy_of_the_version_before_is_ours, .timeout = 60)
{
    static const struct pub_scene scene = {
        .prepare = prepare_copy, .act = script_recover, .finish = finish_copy};
    cr_assert_gt(pub_fail_each(&scene, PUB_CALLS, EIO), 20);
    cr_assert_gt(pub_fail_each(&scene, PUB_ALLOCATIONS, 0), 20);
}

static void prepare_mixture(struct publish_fixture *f)
{
    script_publish(f, put_digits);
    script_publish(f, write_ab);
    script_publish(f, write_cd);
    build_anew(f, "012345CD89");
}

static void finish_mixture(struct publish_fixture *f)
{
    must(script_recover(f));
    cr_assert_str_eq(pub_text(f, "x"), "01AB45CD89");
    script_forget(f);
}

Test(txfs_converge_old, a_copy_without_all_changes_gets_them_whatever_fails, .timeout = 120)
{
    static const struct pub_scene scene = {
        .prepare = prepare_mixture, .act = script_recover, .finish = finish_mixture};
    static const struct pub_scene unread = {.prepare = prepare_mixture,
                                            .act = script_recover,
                                            .finish = finish_mixture,
                                            .any_end = true};
    cr_assert_gt(pub_fail_each(&scene, PUB_CALLS, EIO), 30);
    cr_assert_gt(pub_fail_each(&scene, PUB_ALLOCATIONS, 0), 30);
    cr_assert_gt(pub_fail_each(&unread, PUB_CALLS, EACCES), 30);
}

/* --- Names that only a slot still has --- */

static void prepare_lost_name(struct publish_fixture *f)
{
    struct timespec times[2] = {{.tv_sec = 5}, {.tv_sec = 6}};
    pub_foreign(f, "x", "old");
    cr_assert_eq(utimensat(f->root, "x", times, 0), 0);
    script_publish(f, link_y);
    script_publish(f, put_two);
    cr_assert_eq(unlinkat(f->root, "y", 0), 0); /* the power took it */
}

static void finish_lost_name(struct publish_fixture *f)
{
    struct stat st;
    char slot[96];
    script_slot(f, 1, "x", slot);
    cr_assert_eq(fstatat(f->store, slot, &st, 0), 0);
    cr_assert_eq(pub_stat(f, "y").st_ino, st.st_ino);
    cr_assert_str_eq(pub_text(f, "y"), "old");
    cr_assert_str_eq(pub_text(f, "x"), "two");
    script_forget(f);
}

Test(txfs_converge_old, a_further_name_comes_back_from_the_slot, .timeout = 60)
{
    static const struct pub_scene scene = {
        .prepare = prepare_lost_name, .act = script_recover, .finish = finish_lost_name};
    cr_assert_gt(pub_fail_each(&scene, PUB_CALLS, EIO), 20);
    cr_assert_gt(pub_fail_each(&scene, PUB_ALLOCATIONS, 0), 20);
}

/* What was displaced is in the slot in which the new object is looked for, and looks like it. */
Test(txfs_converge_old, what_was_displaced_does_not_come_back_for_new)
{
    static pub_change_fn *const all[] = {make_dir_x, make_link_x};
    for (size_t i = 0; i < 2; i++) {
        PUBLISH_FIXTURE(f, 8);
        uint8_t boot[16];
        memcpy(boot, f->fs->publisher->boot_id, 16);
        if (i == 0) {
            make_dir(f->root, "x");
        } else {
            cr_assert_eq(symlinkat("two", f->root, "x"), 0);
        }
        ino_t old = pub_stat(f, "x").st_ino;
        memset(f->fs->publisher->boot_id, 0xAB, 16); /* an earlier run of the system */
        script_publish(f, all[i]);
        memcpy(f->fs->publisher->boot_id, boot, 16);
        cr_assert_eq(unlinkat(f->root, "x", i == 0 ? AT_REMOVEDIR : 0), 0);
        must(script_recover(f));
        cr_assert_neq(pub_stat(f, "x").st_ino, old);
        cr_assert_neq(pub_stat(f, "x").st_ino, 0);
        script_forget(f);
    }
}

/* --- Change sets that say nothing --- */

static struct ktm_commit_info crafted(struct tx_buf *bytes, const struct txfs_entry *entries,
                                      size_t count, struct publish_fixture *f)
{
    for (size_t i = 0; i < count; i++) {
        TX_AUTO(tx_buf) body = TX_BUF_INIT;
        must(txfs_entry_encode(&entries[i], &body, &f->err));
        must(tx_buf_put8(bytes, TXFS_RM, &f->err));
        must(tx_buf_put8(bytes, entries[i].kind, &f->err));
        must(tx_buf_put16(bytes, 0, &f->err));
        must(tx_buf_put32(bytes, (uint32_t)body.size, &f->err));
        must(tx_buf_append(bytes, body.data, body.size, &f->err));
    }
    return (struct ktm_commit_info){.lsn = SCRIPT_LSN(0),
                                    .next_lsn = SCRIPT_LSN(1),
                                    .entry_count = count,
                                    .entries = {bytes->data, bytes->size}};
}

Test(txfs_converge_old, links_to_nothing_and_changes_of_nothing_are_damage)
{
    static const struct txfs_entry link = {
        .kind = TXFS_CHANGE_LINK, .path = "y", .target = "x", .atime_ns = TXFS_KEEP_TIME};
    static const struct txfs_entry absent = {.kind = TXFS_CHANGE_ABSENT, .path = "x"};
    static const struct txfs_entry amended = {
        .kind = TXFS_CHANGE_ATTRIBUTES, .path = "x", .mask = TXFS_SETS_MODE, .mode = 0600};
    const struct txfs_entry all[][2] = {{link}, {absent, link}, {amended}};
    for (size_t i = 0; i < 3; i++) {
        PUBLISH_FIXTURE(f, 8);
        TX_AUTO(tx_buf) bytes = TX_BUF_INIT;
        TX_AUTO(txfs_unsteady) commit = {.entries = TX_BUF_INIT};
        struct ktm_commit_info info = crafted(&bytes, all[i], i == 1 ? 2 : 1, f);
        must(txfs_unsteady_load(&info, &commit, &f->err));
        cr_assert_eq(txfs_converge(f->fs, &commit, 1, &f->err), TX_ECORRUPT);
        cr_assert_not_null(strstr(f->err.text, "nothing"), "%s", f->err.text);
    }
}
