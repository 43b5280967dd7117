/* SPDX-License-Identifier: MIT */
/* Reverting, history, verifying and older snapshots when a call or an allocation fails: a status,
 * and the next try knows all. */
#include <errno.h>

#include "publish_failures.h"
#include "txfs/past.h"

/* What the scenes are played with. */
static struct {
    pub_change_fn *first; /* may be missing */
    pub_change_fn *second;
    bool checkpoint;
    tx_lsn lsn; /* of the second */
    struct ktm_txn *txn;
    struct ktm_commit_info info;
} script;

static void prepare_commits(struct publish_fixture *f)
{
    pub_make_tree(f);
    make_dir(f->root, "names");
    cr_assert_eq(linkat(f->root, "a", f->root, "names/of-a", 0), 0);
    cr_assert_eq(linkat(f->root, "a", f->root, "names/too", 0), 0);
    if (script.first != NULL) {
        pub_commit_change(f, script.first);
    }
    script.lsn = pub_commit_change(f, script.second);
    if (script.checkpoint) {
        must(ktm_checkpoint(f->tm, &f->err));
    }
}

static void nothing(struct publish_fixture *f) { (void)f; }

/* --- Reverting --- */

static enum tx_status revert(struct publish_fixture *f)
{
    struct ktm_txn *txn;
    TX_TRY(ktm_begin(f->tm, NULL, &txn, &f->err));
    enum tx_status status = txfs_revert(txn, script.lsn, &f->err);
    (void)pub_fail_end(f); /* what a rollback leaves behind is cleaned up later */
    ktm_rollback(txn);
    return status;
}

static void revert_failing(pub_change_fn *first, pub_change_fn *second, bool checkpoint)
{
    static const struct pub_scene scene = {
        .prepare = prepare_commits, .act = revert, .finish = nothing, .only_looks = true};
    script.first = first;
    script.second = second;
    script.checkpoint = checkpoint;
    cr_assert_gt(pub_fail_each(&scene, PUB_CALLS, EMFILE), 50);
    cr_assert_gt(pub_fail_each(&scene, PUB_ALLOCATIONS, 0), 50);
}

Test(txfs_failed_looks, reverting_everything_but_moves, .timeout = 300)
{
    revert_failing(NULL, pub_change_all, true);
}

Test(txfs_failed_looks, reverting_changes_over_changes, .timeout = 300)
{
    revert_failing(pub_change_all, pub_change_again, false);
}

Test(txfs_failed_looks, reverting_moves, .timeout = 300)
{
    revert_failing(NULL, pub_move_all, false);
}

/* --- History and verifying --- */

static enum tx_status history(struct publish_fixture *f)
{
    unsigned count = 0;
    TX_TRY(pub_count_history(f, &count));
    cr_assert_eq(count, 2);
    return TX_OK;
}

static enum tx_status check(struct publish_fixture *f)
{
    uint64_t faults;
    TX_TRY(txfs_check(f->fs, NULL, NULL, &faults, &f->err));
    cr_assert_eq(faults, 0);
    return TX_OK;
}

static void looking_failing(enum tx_status (*look)(struct publish_fixture *), unsigned at_least)
{
    const struct pub_scene scene = {
        .prepare = prepare_commits, .act = look, .finish = nothing, .only_looks = true};
    script.first = pub_change_all;
    script.second = pub_change_again;
    script.checkpoint = true;
    cr_assert_gt(pub_fail_each(&scene, PUB_CALLS, EMFILE), at_least);
    cr_assert_gt(pub_fail_each(&scene, PUB_ALLOCATIONS, 0), at_least);
}

Test(txfs_failed_looks, history_is_told_or_an_error, .timeout = 60)
{
    looking_failing(history, 10);
}

Test(txfs_failed_looks, what_could_not_be_verified_is_not_called_good, .timeout = 60)
{
    looking_failing(check, 40);
}

static void prepare_staged(struct publish_fixture *f)
{
    script.txn = pub_begin(f);
    pub_put_bytes(f, script.txn, "big", 9000, 1);
    pub_put_bytes(f, script.txn, "bigger", 90000, 1);
    script.info = pub_commit_of(script.txn, 0x100000);
}

static enum tx_status check_staged(struct publish_fixture *f)
{
    uint64_t faults;
    TX_TRY(txfs_check_staged(f->fs, &script.info, NULL, NULL, &faults, &f->err));
    cr_assert_eq(faults, 0);
    return TX_OK;
}

static void roll_back(struct publish_fixture *f)
{
    (void)f;
    ktm_rollback(script.txn);
}

Test(txfs_failed_looks, staged_payloads_that_could_not_be_read_are_not_called_good, .timeout = 60)
{
    static const struct pub_scene scene = {
        .prepare = prepare_staged, .act = check_staged, .finish = roll_back, .only_looks = true};
    cr_assert_gt(pub_fail_each(&scene, PUB_CALLS, EMFILE), 5);
    cr_assert_gt(pub_fail_each(&scene, PUB_ALLOCATIONS, 0), 5);
}

/* --- Older snapshots --- */

static void prepare_reader(struct publish_fixture *f)
{
    pub_make_tree(f);
    script.txn = pub_begin(f);
    pub_commit_change(f, script.first);
    pub_commit_change(f, script.second);
}

static enum tx_status count_names(struct publish_fixture *f, const char *path, unsigned wanted)
{
    struct txfs_dir *dir;
    const char *name;
    unsigned type;
    unsigned count = 0;
    TX_TRY(txfs_dir_open(script.txn, path, &dir, &f->err));
    while (txfs_dir_next(dir, &name, &type)) {
        count++;
    }
    txfs_dir_close(dir);
    cr_assert_eq(count, wanted, "%s", path);
    return TX_OK;
}

static enum tx_status read_wide(struct publish_fixture *f)
{
    struct txfs_file *file;
    char found[20];
    size_t done = 0;
    TX_TRY(txfs_open(script.txn, "wide", TXFS_READ, 0, &file, &f->err));
    enum tx_status status = txfs_pread(file, found, 16, 4000, &done, &f->err);
    txfs_abandon(file);
    TX_TRY(status);
    cr_assert_eq(done, 16);
    cr_assert_neq(memcmp(found, "written in place", 16), 0);
    return TX_OK;
}

static enum tx_status size_is(struct publish_fixture *f, const char *path, uint64_t size)
{
    struct txio_stat stat;
    TX_TRY(txfs_stat(script.txn, path, &stat, &f->err));
    cr_assert_eq(stat.size, size, "%s", path);
    return TX_OK;
}

static enum tx_status look_back(struct publish_fixture *f)
{
    char text[64];
    size_t size = sizeof(text);
    TX_TRY(size_is(f, "a", 300));
    TX_TRY(size_is(f, "gone/deep/y", 6));
    TX_TRY(size_is(f, "d/sub/e", 20));
    TX_TRY(size_is(f, "swap1/one", 11));
    TX_TRY(count_names(f, "", 13));
    TX_TRY(count_names(f, "d", 2));
    TX_TRY(count_names(f, "gone/deep", 1));
    TX_TRY(read_wide(f));
    TX_TRY(txfs_readlink(script.txn, "link", text, sizeof(text), &f->err));
    cr_assert_str_eq(text, "a");
    TX_TRY(txfs_list_xattr(script.txn, "wide", text, &size, &f->err));
    cr_assert_eq(size, sizeof("user.kept") + sizeof("user.old"));
    return TX_OK;
}

static void looking_back_failing(pub_change_fn *first, pub_change_fn *second)
{
    static const struct pub_scene scene = {
        .prepare = prepare_reader, .act = look_back, .finish = roll_back};
    script.first = first;
    script.second = second;
    cr_assert_gt(pub_fail_each(&scene, PUB_CALLS, EIO), 50);
    cr_assert_gt(pub_fail_each(&scene, PUB_ALLOCATIONS, 0), 100);
}

Test(txfs_failed_looks, an_older_snapshot_over_changes, .timeout = 300)
{
    looking_back_failing(pub_change_all, pub_change_again);
}

static void put_another(struct publish_fixture *f, struct ktm_txn *txn)
{
    pub_put(f, txn, "another", "x");
}

Test(txfs_failed_looks, an_older_snapshot_over_moves, .timeout = 300)
{
    looking_back_failing(put_another, pub_move_all);
}
