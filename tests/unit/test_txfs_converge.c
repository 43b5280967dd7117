/* SPDX-License-Identifier: MIT */
/* Recovery over states that are made by hand: commits at made-up LSNs, of which publishing has done
 * nothing, all, or what the test says. */
#include <errno.h>
#include <sys/xattr.h>

#include "publish_failures.h"
#include "publish_script.h"

static void put_x(struct publish_fixture *f, struct ktm_txn *txn)
{
    pub_put(f, txn, "x", "ours");
}
static void put_big(struct publish_fixture *f, struct ktm_txn *txn)
{
    pub_put_bytes(f, txn, "big", 9000, 1);
}
static void unlink_big(struct publish_fixture *f, struct ktm_txn *txn)
{
    must(txfs_unlink(txn, "big", &f->err));
}
static void move_x(struct publish_fixture *f, struct ktm_txn *txn)
{
    must(txfs_rename(txn, "x", "moved", TXIO_NOREPLACE, &f->err));
}
static void unlink_moved(struct publish_fixture *f, struct ktm_txn *txn)
{
    must(txfs_unlink(txn, "moved", &f->err));
}
static void put_in_dir(struct publish_fixture *f, struct ktm_txn *txn)
{
    pub_put(f, txn, "dir/x", "ours");
}
static void move_into_dir(struct publish_fixture *f, struct ktm_txn *txn)
{
    must(txfs_rename(txn, "x", "dir/x", TXIO_NOREPLACE, &f->err));
}
static void remove_dir(struct publish_fixture *f, struct ktm_txn *txn)
{
    must(txfs_remove_tree(txn, "dir", &f->err));
}

/* --- Records --- */

/* One that was never durable, and whose LSN another commit got after the crash. */
Test(txfs_converge, the_record_of_another_commit_counts_for_nothing)
{
    for (int i = 0; i < 3; i++) {
        PUBLISH_FIXTURE(f, 8);
        TX_AUTO(txfs_steps) steps = {NULL, 0};
        TX_AUTO(txfs_changes) changes = {.storage = TX_BUF_INIT};
        script_decide(f, put_x);
        struct ktm_commit_info other = script_infos[0];
        other.id.epoch += i == 0;
        other.id.sequence += i == 1;
        must(txfs_steps_load(other.entries, &steps, &f->err));
        make_dir(f->store, "undo/0000000000100000");
        if (i == 2) { /* a commit without files */
            other.entries.left = 0;
            other.entry_count = 0;
            steps.count = 0;
        } else {
            steps.items[0].built_ino = 77;
        }
        must(txfs_changes_write(f->fs, &other, &steps, &f->err));
        must(script_recover(f));
        cr_assert_str_eq(pub_text(f, "x"), "ours");
        must(txfs_changes_read(f->fs, SCRIPT_LSN(0), &changes, &f->err));
        cr_assert_eq(changes.info.id.epoch, script_infos[0].id.epoch);
        cr_assert_eq(changes.info.id.sequence, script_infos[0].id.sequence);
        cr_assert_eq(changes.steps.items[0].built_ino, pub_stat(f, "x").st_ino);
        script_forget(f);
    }
}

/* The power cut took the record that says that names are changing, and the payload went on. */
Test(txfs_converge, of_a_payload_that_went_on_the_later_commit_tells)
{
    PUBLISH_FIXTURE(f, 8);
    char path[96];
    char slot[96];
    script_publish(f, put_big);
    script_publish(f, unlink_big);
    script_path(path, 0, "changes");
    cr_assert_eq(unlinkat(f->store, path, 0), 0);
    must(script_recover(f));
    cr_assert_eq(pub_stat(f, "big").st_ino, 0);
    script_slot(f, 1, "big", slot);
    cr_assert(pub_in_store(f, slot));
    cr_assert_eq(f->foreign_count, 0);
    script_forget(f);
}

Test(txfs_converge, contents_that_only_have_a_hash_cannot_be_carried_out)
{
    PUBLISH_FIXTURE(f, 8);
    uint8_t token[KTM_TOKEN_SIZE];
    TX_AUTO(txfs_changes) changes = {.storage = TX_BUF_INIT};
    script_publish(f, put_x);
    must(txfs_changes_read(f->fs, SCRIPT_LSN(0), &changes, &f->err));
    struct ktm_commit_info info = changes.info;
    info.lsn = SCRIPT_LSN(7);
    cr_assert_eq(txfs_redo(f->fs, &info, KTM_REDO_LIVE, token, &f->err), TX_ECORRUPT);
    cr_assert_not_null(strstr(f->err.text, "not in the log"), "%s", f->err.text);
    script_forget(f);
}

/* --- Moves --- */

Test(txfs_converge, what_was_moved_and_then_removed_stays_away)
{
    PUBLISH_FIXTURE(f, 8);
    pub_foreign(f, "x", "base");
    script_publish(f, move_x);
    script_publish(f, unlink_moved);
    must(script_recover(f));
    cr_assert_eq(pub_stat(f, "x").st_ino, 0);
    cr_assert_eq(pub_stat(f, "moved").st_ino, 0);
    script_forget(f);
}

Test(txfs_converge, what_was_moved_into_a_directory_goes_with_it)
{
    PUBLISH_FIXTURE(f, 8);
    make_dir(f->root, "dir");
    pub_foreign(f, "x", "base");
    script_publish(f, move_into_dir);
    script_publish(f, remove_dir);
    must(script_recover(f));
    cr_assert_eq(pub_stat(f, "x").st_ino, 0);
    cr_assert_eq(pub_stat(f, "dir").st_ino, 0);
    script_forget(f);
}

/* Deeper sources are taken out first; a power cut may have kept only the second rename. */
Test(txfs_converge, what_moves_out_of_a_moved_directory_is_found_in_its_slot)
{
    PUBLISH_FIXTURE(f, 8);
    char slot[96];
    pub_make_tree(f);
    script_decide(f, pub_move_all);
    script_path(slot, 0, "");
    make_dir(f->store, slot);
    script_slot(f, 0, "dd", slot);
    cr_assert_eq(renameat(f->root, "d", f->store, slot), 0);
    must(script_recover(f));
    char *is = pub_dump(f);
    script_forget(f);
    PUBLISH_FIXTURE(g, 8);
    pub_make_tree(g);
    script_publish(g, pub_move_all);
    char *wanted = pub_dump(g);
    script_forget(g);
    pub_assert_same(is, wanted, "recovered");
    free(is);
    free(wanted);
}

static char deep[PUB_DEEP_MAX];

static void move_out_and_rename(struct publish_fixture *f, struct ktm_txn *txn)
{
    must(txfs_rename(txn, deep, "out", TXIO_NOREPLACE, &f->err));
    must(txfs_rename(txn, "d", "e", TXIO_NOREPLACE, &f->err));
}

/* A stranger removed it from its place: it is looked for everywhere, also where no path leads. */
Test(txfs_converge, a_place_whose_path_is_too_long_holds_nothing)
{
    PUBLISH_FIXTURE(f, 8);
    pub_make_deep(f, 16, deep);
    size_t size = strlen(deep);
    (void)snprintf(deep + size, sizeof(deep) - size, "/%070d", 0); /* below a slot it is too long */
    make_dir(f->root, deep);
    script_publish(f, move_out_and_rename);
    cr_assert_eq(unlinkat(f->root, "out", AT_REMOVEDIR), 0);
    must(script_recover(f));
    cr_assert_eq(pub_stat(f, "out").st_ino, 0);
    cr_assert(pub_was_told(f, "out", ""));
    script_forget(f);
}

/* --- Slots that hold something else --- */

static void fill_slots(struct publish_fixture *f, const char *slot, unsigned count)
{
    char path[112];
    for (unsigned i = 0; i < count; i++) {
        (void)snprintf(path, sizeof(path), i > 0 ? "%sr%u" : "%s", slot, i);
        make_file(f->store, path, "not ours");
    }
}

Test(txfs_converge, a_slot_that_is_taken_is_left_alone)
{
    static pub_change_fn *const all[] = {put_x, move_x};
    for (size_t i = 0; i < 2; i++) {
        for (unsigned count = 1; count <= 101; count += 50) {
            PUBLISH_FIXTURE(f, 8);
            char slot[96];
            pub_foreign(f, "x", "base");
            script_decide(f, all[i]);
            script_path(slot, 0, "");
            make_dir(f->store, slot);
            script_slot(f, 0, i == 0 ? "x" : "moved", slot);
            fill_slots(f, slot, count);
            enum tx_status status = script_recover(f);
            cr_assert_eq(status, count > 100 ? TX_ELIMIT : TX_OK, "%s", tx_status_name(status));
            cr_assert(count > 100 || strcmp(pub_text(f, i == 0 ? "x" : "moved"),
                                            i == 0 ? "ours" : "base") == 0);
            must(count > 100 ? TX_OK : script_recover(f)); /* and again */
            cr_assert_eq(f->foreign_count, 0);
            script_forget(f);
        }
    }
}

/* A recovery built it in <i>r1, and was broken off before it put it in its place. */
Test(txfs_converge, what_an_earlier_recovery_built_is_found)
{
    PUBLISH_FIXTURE(f, 8);
    char slot[96];
    char second[112];
    script_publish(f, put_x);
    script_slot(f, 0, "x", slot);
    (void)snprintf(second, sizeof(second), "%sr1", slot);
    make_file(f->store, slot, "not ours");
    ino_t ino = pub_stat(f, "x").st_ino;
    cr_assert_eq(renameat(f->root, "x", f->store, second), 0);
    must(script_recover(f));
    cr_assert_eq(pub_stat(f, "x").st_ino, ino);
    cr_assert_not(pub_in_store(f, second));
    script_forget(f);
}

/* --- Strangers --- */

Test(txfs_converge, what_stood_there_before_publishing_is_kept)
{
    PUBLISH_FIXTURE(f, 8);
    script_decide(f, put_x);
    pub_foreign(f, "x", "theirs");
    must(script_recover(f));
    cr_assert_str_eq(pub_text(f, "x"), "ours");
    cr_assert(pub_was_told(f, "x", "undo/0000000000100000/f"));
    script_forget(f);
}

Test(txfs_converge, ours_is_kept_when_its_directory_is_gone)
{
    PUBLISH_FIXTURE(f, 8);
    char path[160];
    make_dir(f->root, "dir");
    script_publish(f, put_in_dir);
    cr_assert_eq(unlinkat(f->root, "dir/x", 0), 0);
    cr_assert_eq(unlinkat(f->root, "dir", AT_REMOVEDIR), 0);
    must(script_recover(f));
    cr_assert(pub_was_told(f, "dir/x", "undo/0000000000100000/f"));
    (void)snprintf(path, sizeof(path), ".txkit/%.127s", f->foreign_kept[0]);
    cr_assert_str_eq(pub_text(f, path), "ours");
    script_forget(f);
}

Test(txfs_converge, what_was_moved_and_then_replaced_or_removed_is_the_strangers)
{
    for (int replaced = 0; replaced <= 1; replaced++) {
        PUBLISH_FIXTURE(f, 8);
        pub_foreign(f, "x", "base");
        script_publish(f, move_x);
        cr_assert_eq(unlinkat(f->root, "moved", 0), 0);
        if (replaced) {
            pub_foreign(f, "other", "theirs");
            pub_foreign(f, "moved", "theirs");
        }
        must(script_recover(f));
        cr_assert_str_eq(pub_text(f, "moved"), replaced ? "theirs" : "");
        cr_assert(pub_was_told(f, "moved", ""));
        script_forget(f);
    }
}

/* --- Any call fails while strangers' work is judged --- */

static void their_file(struct publish_fixture *f, const char *path, const char *text)
{
    struct timespec times[2] = {{.tv_sec = 5}, {.tv_sec = 6}};
    pub_foreign(f, path, text);
    cr_assert_eq(utimensat(f->root, path, times, 0), 0);
}

static void replace(struct publish_fixture *f, const char *path, const char *text)
{
    their_file(f, "theirs", text);
    cr_assert_eq(renameat(f->root, "theirs", f->root, path), 0);
}

/* Nothing of what the two commits did is as they left it. */
static void prepare_strangers(struct publish_fixture *f)
{
    struct stat st;
    pub_make_tree(f);
    script_publish(f, pub_change_all);
    script_publish(f, pub_change_again);
    replace(f, "new", "theirs");
    replace(f, "a", "theirs, and longer than what was here before");
    replace(f, "b", "");
    replace(f, "link", "no link");
    replace(f, "n/symlink", "no pipe");
    replace(f, "n/m/staged", "short");
    their_file(f, "d/c", "made again");
    their_file(f, "gone", "made again");
    cr_assert_eq(unlinkat(f->root, "kind", 0), 0);
    make_dir(f->root, "kind");
    cr_assert_eq(unlinkat(f->root, "wide", 0), 0);
    cr_assert_eq(unlinkat(f->root, "narrow/inside", 0), 0);
    cr_assert_eq(fchmodat(f->root, "n/fifo", 0666, 0), 0);
    cr_assert_eq(unlinkat(f->root, "timed/child", 0), 0);
    st = pub_stat(f, "grows"); /* as the first of the two made it, in another file */
    cr_assert_eq(unlinkat(f->root, "grows", 0), 0);
    pub_foreign(f, "grows", "g");
    cr_assert_eq(fchmodat(f->root, "grows", st.st_mode & 07777, 0), 0);
}

static void finish_strangers(struct publish_fixture *f)
{
    cr_assert_str_eq(pub_text(f, "a"), "theirs, and longer than what was here before");
    cr_assert_eq(pub_stat(f, "grows").st_size, 76000);
    f->foreign_count = 0;
    script_forget(f);
}

Test(txfs_converge, strangers_keep_what_they_made_whatever_fails, .timeout = 300)
{
    static const struct pub_scene scene = {
        .prepare = prepare_strangers, .act = script_recover, .finish = finish_strangers};
    cr_assert_gt(pub_fail_each(&scene, PUB_CALLS, EIO), 100);
    cr_assert_gt(pub_fail_each(&scene, PUB_ALLOCATIONS, 0), 50);
}

/* --- What may not be looked at, or goes while it is looked at, is not ours to judge --- */

static void write_twice(struct publish_fixture *f, struct ktm_txn *txn)
{
    pub_write(f, txn, "x", 1, "AB");
    pub_write(f, txn, "big", 1, "AB");
}

static void prepare_unreadable(struct publish_fixture *f)
{
    script_publish(f, put_x);
    script_publish(f, put_big);
    script_publish(f, write_twice);
}

/* Whatever was answered about it, it is whole. */
static void finish_unreadable(struct publish_fixture *f)
{
    must(script_recover(f));
    cr_assert_str_eq(pub_text(f, "x"), "oABs");
    cr_assert_eq(pub_stat(f, "big").st_size, 9000);
    cr_assert_eq(memcmp(pub_text(f, "big") + 1, "AB", 2), 0);
    script_forget(f);
}

Test(txfs_converge, whatever_the_system_answers_once_ours_stays_whole, .timeout = 300)
{
    static const int all[] = {EACCES, ENOENT, ETXTBSY, EPERM};
    static const struct pub_scene scene = {.prepare = prepare_unreadable,
                                           .act = script_recover,
                                           .finish = finish_unreadable,
                                           .any_end = true};
    for (size_t i = 0; i < sizeof(all) / sizeof(*all); i++) {
        cr_assert_gt(pub_fail_each(&scene, PUB_CALLS, all[i]), 30);
    }
}
