/* SPDX-License-Identifier: MIT */
/* Programs that know nothing of transactions work on the tree at the worst moments. Between prepare
 * and publishing they lose, but what they made is kept; after publishing they win. */
#include "publish_fixture.h"

#define LSN 0x100000u

/* A transaction whose publishing is still to come: f->txn and its entries. */
struct pending {
    struct ktm_txn *txn;
    struct ktm_commit_info info;
};

static struct pending pend(struct publish_fixture *f,
                           void (*change)(struct publish_fixture *, struct ktm_txn *))
{
    struct pending pending = {.txn = pub_begin(f)};
    change(f, pending.txn);
    pending.info = pub_commit_of(pending.txn, LSN);
    return pending;
}

static void publish(struct publish_fixture *f, struct pending *pending)
{
    uint8_t token[KTM_TOKEN_SIZE];
    must(txfs_redo(f->fs, &pending->info, KTM_REDO_LIVE, token, &f->err));
    ktm_rollback(pending->txn);
}

static const char *kept_text(struct publish_fixture *f, unsigned index)
{
    char path[256];
    (void)snprintf(path, sizeof(path), ".txkit/%.127s", f->foreign_kept[index]);
    return pub_text(f, path);
}

static void put_x(struct publish_fixture *f, struct ktm_txn *txn)
{
    pub_put(f, txn, "x", "ours");
}

static void put_in_dir(struct publish_fixture *f, struct ktm_txn *txn)
{
    pub_put(f, txn, "dir/x", "ours");
}

Test(txfs_foreign, a_file_that_appeared_in_the_way_is_kept_and_told)
{
    PUBLISH_FIXTURE(f, 8);
    struct pending pending = pend(f, put_x);
    pub_foreign(f, "x", "theirs");
    publish(f, &pending);
    cr_assert_str_eq(pub_text(f, "x"), "ours");
    cr_assert_eq(f->foreign_count, 1);
    cr_assert(pub_was_told(f, "x", "undo/"));
    cr_assert_str_eq(kept_text(f, 0), "theirs");
}

Test(txfs_foreign, a_file_replaced_before_publishing_is_kept_and_told)
{
    PUBLISH_FIXTURE(f, 8);
    pub_foreign(f, "x", "base");
    struct pending pending = pend(f, put_x);
    pub_foreign(f, "y", "theirs");
    cr_assert_eq(renameat(f->root, "y", f->root, "x"), 0);
    publish(f, &pending);
    cr_assert_str_eq(pub_text(f, "x"), "ours");
    cr_assert_str_eq(kept_text(f, 0), "theirs");
}

Test(txfs_foreign, a_file_edited_in_place_before_publishing_is_kept_and_told)
{
    PUBLISH_FIXTURE(f, 8);
    pub_foreign(f, "x", "base");
    struct pending pending = pend(f, put_x);
    pub_foreign(f, "x", "edited");
    publish(f, &pending);
    cr_assert_str_eq(pub_text(f, "x"), "ours");
    cr_assert_str_eq(kept_text(f, 0), "edited");
}

Test(txfs_foreign, a_file_removed_before_publishing_is_told)
{
    PUBLISH_FIXTURE(f, 8);
    pub_foreign(f, "x", "base");
    struct pending pending = pend(f, put_x);
    cr_assert_eq(unlinkat(f->root, "x", 0), 0);
    publish(f, &pending);
    cr_assert_str_eq(pub_text(f, "x"), "ours");
    cr_assert(pub_was_told(f, "x", ""));
}

Test(txfs_foreign, what_is_kept_survives_trimming_without_history)
{
    PUBLISH_FIXTURE(f, 0);
    uint8_t token[KTM_TOKEN_SIZE] = {0};
    pub_foreign(f, "x", "base");
    struct pending pending = pend(f, put_x);
    pub_foreign(f, "x", "edited");
    publish(f, &pending);
    must(txfs_steady(f->fs, LSN + 4096, token, &f->err));
    must(txfs_trim(f->fs, LSN + 4096, LSN + 4096, &f->err));
    cr_assert(!pub_in_store(f, "undo/0000000000100000/changes"));
    cr_assert_str_eq(kept_text(f, 0), "edited");
}

/* `above` has become a link that leads outside, to where `x` is at `rest`. */
static void publish_below_a_link(struct publish_fixture *f, struct pending *pending,
                                 const char *above, const char *path, const char *rest)
{
    TX_AUTO(temp_dir) outside = temp_dir_new();
    char text[16] = "";
    make_dir(outside.fd, "sub");
    make_file(outside.fd, rest, "canary");
    cr_assert_eq(renameat(f->root, above, f->root, "real"), 0);
    cr_assert_eq(symlinkat(outside.path, f->root, above), 0);
    publish(f, pending);
    int fd = openat(outside.fd, rest, O_RDONLY | O_CLOEXEC);
    cr_assert_eq(read(fd, text, 15), 6);
    (void)close(fd);
    cr_assert_str_eq(text, "canary");
    cr_assert(pub_was_told(f, path, "undo/0000000000100000/f"));
    cr_assert_str_eq(kept_text(f, 0), "ours");
}

Test(txfs_foreign, a_parent_that_became_a_symlink_is_not_written_through)
{
    PUBLISH_FIXTURE(f, 8);
    make_dir(f->root, "dir");
    struct pending pending = pend(f, put_in_dir);
    publish_below_a_link(f, &pending, "dir", "dir/x", "x");
    cr_assert_eq(pub_stat(f, "real/x").st_ino, 0);
}

static void put_deeper(struct publish_fixture *f, struct ktm_txn *txn)
{
    pub_put(f, txn, "dir/sub/x", "ours");
}

Test(txfs_foreign, a_directory_above_the_parent_that_became_a_symlink_is_not_passed)
{
    PUBLISH_FIXTURE(f, 8);
    make_dir(f->root, "dir");
    make_dir(f->root, "dir/sub");
    struct pending pending = pend(f, put_deeper);
    publish_below_a_link(f, &pending, "dir", "dir/sub/x", "sub/x");
    cr_assert_eq(pub_stat(f, "real/sub/x").st_ino, 0);
}

Test(txfs_foreign, a_symlink_planted_at_the_target_is_replaced_and_not_followed)
{
    PUBLISH_FIXTURE(f, 8);
    TX_AUTO(temp_dir) outside = temp_dir_new();
    make_file(outside.fd, "x", "canary");
    struct pending pending = pend(f, put_x);
    char target[300];
    (void)snprintf(target, sizeof(target), "%s/x", outside.path);
    cr_assert_eq(symlinkat(target, f->root, "x"), 0);
    publish(f, &pending);
    cr_assert(S_ISREG(pub_stat(f, "x").st_mode));
    cr_assert_str_eq(pub_text(f, "x"), "ours");
    int fd = open(target, O_RDONLY | O_CLOEXEC);
    char text[16] = "";
    cr_assert_eq(read(fd, text, 15), 6);
    (void)close(fd);
    cr_assert_str_eq(text, "canary");
}

Test(txfs_foreign, a_parent_that_is_gone_or_a_file_leaves_ours_kept)
{
    PUBLISH_FIXTURE(f, 8);
    make_dir(f->root, "dir");
    struct pending pending = pend(f, put_in_dir);
    cr_assert_eq(unlinkat(f->root, "dir", AT_REMOVEDIR), 0);
    pub_foreign(f, "dir", "a file now");
    publish(f, &pending);
    cr_assert_str_eq(pub_text(f, "dir"), "a file now");
    cr_assert(pub_was_told(f, "dir/x", "undo/0000000000100000/f"));
    cr_assert_str_eq(kept_text(f, 0), "ours");
}

static void remove_dir(struct publish_fixture *f, struct ktm_txn *txn)
{
    must(txfs_remove_tree(txn, "dir", &f->err));
}

Test(txfs_foreign, a_file_put_into_a_directory_that_goes_is_kept_with_it)
{
    PUBLISH_FIXTURE(f, 8);
    make_dir(f->root, "dir");
    pub_foreign(f, "dir/known", "x");
    struct pending pending = pend(f, remove_dir);
    pub_foreign(f, "dir/late", "theirs");
    publish(f, &pending);
    cr_assert_eq(pub_stat(f, "dir").st_ino, 0);
    cr_assert(pub_was_told(f, "dir", "undo/0000000000100000/f"));
    char path[300];
    (void)snprintf(path, sizeof(path), ".txkit/%.127s/late", f->foreign_kept[0]);
    cr_assert_str_eq(pub_text(f, path), "theirs");
}

static void unlink_x(struct publish_fixture *f, struct ktm_txn *txn)
{
    must(txfs_unlink(txn, "x", &f->err));
}

Test(txfs_foreign, a_file_replaced_before_its_removal_is_kept)
{
    PUBLISH_FIXTURE(f, 8);
    pub_foreign(f, "x", "base");
    struct pending pending = pend(f, unlink_x);
    cr_assert_eq(unlinkat(f->root, "x", 0), 0);
    pub_foreign(f, "x", "theirs");
    publish(f, &pending);
    cr_assert_eq(pub_stat(f, "x").st_ino, 0);
    cr_assert_str_eq(kept_text(f, 0), "theirs");
}

static void write_x(struct publish_fixture *f, struct ktm_txn *txn)
{
    pub_write(f, txn, "x", 3, "XYZ");
}

Test(txfs_foreign, a_write_in_place_never_goes_into_another_inode)
{
    PUBLISH_FIXTURE(f, 8);
    pub_foreign(f, "x", "0123456789");
    struct pending pending = pend(f, write_x);
    pub_foreign(f, "y", "theirs");
    cr_assert_eq(renameat(f->root, "y", f->root, "x"), 0);
    publish(f, &pending);
    cr_assert_str_eq(pub_text(f, "x"), "theirs");
    cr_assert(pub_was_told(f, "x", "undo/0000000000100000/f"));
    char path[300];
    (void)snprintf(path, sizeof(path), ".txkit/%.127s", f->foreign_kept[0]);
    cr_assert_eq(pub_stat(f, path).st_size, 10);
    cr_assert_str_eq(pub_text(f, path) + 3, "XYZ");
}

static void move_x(struct publish_fixture *f, struct ktm_txn *txn)
{
    must(txfs_rename(txn, "x", "moved", TXIO_NOREPLACE, &f->err));
}

Test(txfs_foreign, a_source_replaced_before_it_is_moved_moves_as_it_is)
{
    PUBLISH_FIXTURE(f, 8);
    pub_foreign(f, "x", "base");
    struct pending pending = pend(f, move_x);
    pub_foreign(f, "y", "newer");
    cr_assert_eq(renameat(f->root, "y", f->root, "x"), 0);
    publish(f, &pending);
    cr_assert_eq(pub_stat(f, "x").st_ino, 0);
    cr_assert_str_eq(pub_text(f, "moved"), "newer");
    cr_assert_eq(f->foreign_count, 1);
}

Test(txfs_foreign, a_source_removed_before_it_is_moved_is_told)
{
    PUBLISH_FIXTURE(f, 8);
    pub_foreign(f, "x", "base");
    struct pending pending = pend(f, move_x);
    cr_assert_eq(unlinkat(f->root, "x", 0), 0);
    publish(f, &pending);
    cr_assert_eq(pub_stat(f, "moved").st_ino, 0);
    cr_assert(pub_was_told(f, "x", ""));
}

/* --- After publishing: recovery leaves what is newer --- */

static void commit(struct publish_fixture *f,
                   void (*change)(struct publish_fixture *, struct ktm_txn *))
{
    struct ktm_txn *txn = pub_begin(f);
    change(f, txn);
    pub_commit(f, txn);
}

Test(txfs_foreign, a_replacement_after_publishing_is_left_by_recovery)
{
    PUBLISH_FIXTURE(f, 8);
    pub_foreign(f, "x", "base");
    commit(f, put_x);
    pub_foreign(f, "y", "newer");
    cr_assert_eq(renameat(f->root, "y", f->root, "x"), 0);
    pub_die(f);
    pub_open(f);
    cr_assert_str_eq(pub_text(f, "x"), "newer");
    cr_assert(pub_was_told(f, "x", ""));
}

Test(txfs_foreign, an_edit_of_a_new_file_after_publishing_is_left_by_recovery)
{
    PUBLISH_FIXTURE(f, 8);
    commit(f, put_x);
    pub_foreign(f, "x", "edited and longer");
    pub_die(f);
    pub_open(f);
    cr_assert_str_eq(pub_text(f, "x"), "edited and longer");
    cr_assert(pub_was_told(f, "x", ""));
}

Test(txfs_foreign, a_removal_after_a_replacement_is_left_by_recovery)
{
    PUBLISH_FIXTURE(f, 8);
    pub_foreign(f, "x", "base");
    commit(f, put_x);
    cr_assert_eq(unlinkat(f->root, "x", 0), 0);
    pub_die(f);
    pub_open(f);
    cr_assert_eq(pub_stat(f, "x").st_ino, 0);
    cr_assert(pub_was_told(f, "x", ""));
}

Test(txfs_foreign, a_file_made_again_after_its_removal_is_left_by_recovery)
{
    PUBLISH_FIXTURE(f, 8);
    pub_foreign(f, "x", "base");
    commit(f, unlink_x);
    pub_foreign(f, "x", "made again");
    pub_die(f);
    pub_open(f);
    cr_assert_str_eq(pub_text(f, "x"), "made again");
    cr_assert(pub_was_told(f, "x", ""));
}

Test(txfs_foreign, a_file_made_where_one_was_moved_away_is_left_by_recovery)
{
    PUBLISH_FIXTURE(f, 8);
    pub_foreign(f, "x", "base");
    commit(f, move_x);
    pub_foreign(f, "x", "a new log");
    pub_die(f);
    pub_open(f);
    cr_assert_str_eq(pub_text(f, "x"), "a new log");
    cr_assert_str_eq(pub_text(f, "moved"), "base");
}

Test(txfs_foreign, a_tighter_mode_after_publishing_is_left_by_recovery)
{
    PUBLISH_FIXTURE(f, 8);
    commit(f, put_x);
    cr_assert_eq(fchmodat(f->root, "x", 0600, 0), 0);
    pub_die(f);
    pub_open(f);
    cr_assert_eq(pub_stat(f, "x").st_mode & 07777, 0600);
    cr_assert(pub_was_told(f, "x", ""));
}

Test(txfs_foreign, nothing_is_looked_at_again_once_it_is_steady)
{
    PUBLISH_FIXTURE(f, 8);
    commit(f, put_x);
    must(ktm_checkpoint(f->tm, &f->err));
    cr_assert_eq(unlinkat(f->root, "x", 0), 0);
    pub_die(f);
    pub_open(f);
    cr_assert_eq(pub_stat(f, "x").st_ino, 0);
    cr_assert_eq(f->foreign_count, 0);
}

/* A large content is not in the log but was itself moved to its place: nothing is left to put there
 * again. */
static void remove_large(bool damage_record)
{
    PUBLISH_FIXTURE(f, 8);
    char record[64];
    struct ktm_txn *txn = pub_begin(f);
    pub_put_bytes(f, txn, "large", 100000, 1);
    pub_put(f, txn, "small", "ours");
    tx_lsn lsn = pub_commit(f, txn);
    pub_die(f);
    cr_assert_eq(unlinkat(f->root, "large", 0), 0);
    (void)snprintf(record, sizeof(record), "undo/%016llx/changes", (unsigned long long)lsn);
    int fd = damage_record ? openat(f->store, record, O_WRONLY | O_TRUNC) : -1;
    cr_assert_eq(fd >= 0, damage_record);
    (void)(fd >= 0 && close(fd));
    pub_open(f);
    cr_assert_eq(pub_stat(f, "large").st_ino, 0);
    cr_assert_str_eq(pub_text(f, "small"), "ours");
    cr_assert(pub_was_told(f, "large", ""));
    pub_die(f);
    pub_open(f);
    cr_assert_eq(pub_stat(f, "large").st_ino, 0);
}

Test(txfs_foreign, a_large_file_removed_after_publishing_stays_removed)
{
    remove_large(false);
}

/* A power cut may keep the removal and lose what the publisher wrote down. */
Test(txfs_foreign, a_large_file_removed_after_publishing_stays_removed_when_the_record_is_torn)
{
    remove_large(true);
}
