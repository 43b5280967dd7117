/* SPDX-License-Identifier: MIT */
/* The steady point: what is synced, what its failure does, and what may go afterwards. */
#include <errno.h>

#include "publish_fixture.h"

#define LSN 0x100000u
static const uint8_t no_token[KTM_TOKEN_SIZE];

/* Calls seen by the layer. */
static struct {
    unsigned sync;
    unsigned datasync;
    unsigned syncfs;
    char paths[64][128];
} seen;

static void watch(struct layer *layer, struct layer_call *call)
{
    (void)layer;
    if (call->op == LAYER_sync) {
        (void)snprintf(seen.paths[seen.sync % 64], 128, "%s", call->where);
        seen.sync++;
    }
    seen.datasync += call->op == LAYER_datasync;
    seen.syncfs += call->op == LAYER_syncfs;
}

static bool synced(const char *end)
{
    for (unsigned i = 0; i < seen.sync && i < 64; i++) {
        size_t size = strlen(seen.paths[i]);
        if (size >= strlen(end) && strcmp(seen.paths[i] + size - strlen(end), end) == 0) {
            return true;
        }
    }
    return false;
}

/* Publish one transaction at a made-up LSN right after the steady mark. */
static void publish_at(struct publish_fixture *f, tx_lsn lsn, const char *const *paths,
                       size_t count)
{
    uint8_t token[KTM_TOKEN_SIZE];
    struct ktm_txn *txn = pub_begin(f);
    for (size_t i = 0; i < count; i++) {
        pub_put(f, txn, paths[i], "text");
    }
    struct ktm_commit_info info = pub_commit_of(txn, lsn);
    must(txfs_redo(f->fs, &info, KTM_REDO_LIVE, token, &f->err));
    ktm_rollback(txn);
}

static void settle(struct publish_fixture *f, tx_lsn lsn)
{
    must(txfs_steady(f->fs, lsn, no_token, &f->err));
    memset(&seen, 0, sizeof(seen));
    f->layer.before = watch;
}

Test(txfs_steady, a_few_paths_are_synced_one_by_one)
{
    PUBLISH_FIXTURE(f, 0);
    make_dir(f->root, "dir");
    settle(f, LSN);
    publish_at(f, LSN, (const char *[]){"x", "dir/y"}, 2);
    must(txfs_steady(f->fs, LSN + 4096, no_token, &f->err));
    cr_assert_eq(seen.syncfs, 0);
    cr_assert(synced("x") && synced("dir/y") && synced("dir"));
    cr_assert(synced("undo/0000000000100000") || synced("0000000000100000"));
}

Test(txfs_steady, sixteen_paths_are_few_and_seventeen_are_many)
{
    for (size_t count = TXFS_TOUCHED_MAX - 1; count <= TXFS_TOUCHED_MAX + 1; count++) {
        PUBLISH_FIXTURE(f, 0);
        char names[TXFS_TOUCHED_MAX + 1][8];
        const char *paths[TXFS_TOUCHED_MAX + 1];
        for (size_t i = 0; i < count; i++) {
            (void)snprintf(names[i], sizeof(names[i]), "f%zu", i % 100);
            paths[i] = names[i];
        }
        settle(f, LSN);
        publish_at(f, LSN, paths, count);
        must(txfs_steady(f->fs, LSN + 4096, no_token, &f->err));
        cr_assert_eq(seen.syncfs, count > TXFS_TOUCHED_MAX, "%zu paths", count);
    }
}

Test(txfs_steady, what_another_process_published_is_synced_with_everything)
{
    PUBLISH_FIXTURE(f, 0);
    settle(f, LSN);
    publish_at(f, LSN + 4096, (const char *[]){"x"}, 1); /* the commit at LSN was not ours */
    must(txfs_steady(f->fs, LSN + 8192, no_token, &f->err));
    cr_assert_eq(seen.syncfs, 1);
    settle(f, LSN + 8192);
    publish_at(f, LSN + 8192, (const char *[]){"y"}, 1); /* nor is a later one */
    must(txfs_steady(f->fs, LSN + 16384, no_token, &f->err));
    cr_assert_eq(seen.syncfs, 1);
}

/* It may have changed in place what is found as it should be, and so is not touched again. */
Test(txfs_steady, what_a_dead_process_began_is_synced_with_everything)
{
    PUBLISH_FIXTURE(f, 0);
    settle(f, LSN);
    must(txio_mkdir(txio_posix(), f->store, "undo/0000000000100000", 0700, &f->err));
    publish_at(f, LSN, (const char *[]){"x"}, 1);
    must(txfs_steady(f->fs, LSN + 4096, no_token, &f->err));
    cr_assert_eq(seen.syncfs, 1);
}

Test(txfs_steady, a_symlink_needs_a_sync_of_everything)
{
    PUBLISH_FIXTURE(f, 0);
    uint8_t token[KTM_TOKEN_SIZE];
    settle(f, LSN);
    struct ktm_txn *txn = pub_begin(f);
    must(txfs_symlink(txn, "x", "link", &f->err));
    struct ktm_commit_info info = pub_commit_of(txn, LSN);
    must(txfs_redo(f->fs, &info, KTM_REDO_LIVE, token, &f->err));
    ktm_rollback(txn);
    must(txfs_steady(f->fs, LSN + 4096, no_token, &f->err));
    cr_assert_eq(seen.syncfs, 1);
}

static void remove_directory(struct publish_fixture *f, struct ktm_txn *txn)
{
    must(txfs_rmdir(txn, "dir", &f->err));
}
static void replace_directory(struct publish_fixture *f, struct ktm_txn *txn)
{
    remove_directory(f, txn);
    must(txfs_mkdir(txn, "dir", 0755, &f->err));
}
static void move_another_there(struct publish_fixture *f, struct ktm_txn *txn)
{
    must(txfs_rename(txn, "other", "dir", TXIO_REPLACE, &f->err));
}

/* In its slot it must not get back, by a power cut, the name that left it before; that another
 * directory has its path by now must not mislead. */
Test(txfs_steady, a_directory_that_went_after_a_file_left_it_needs_a_sync_of_everything)
{
    static pub_change_fn *const all[] = {remove_directory, replace_directory, move_another_there};
    for (size_t i = 0; i < sizeof(all) / sizeof(*all); i++) {
        PUBLISH_FIXTURE(f, 8);
        uint8_t token[KTM_TOKEN_SIZE];
        make_dir(f->root, "dir");
        make_dir(f->root, "other");
        pub_foreign(f, "dir/x", "text");
        settle(f, LSN);
        struct ktm_txn *txn = pub_begin(f);
        must(txfs_rename(txn, "dir/x", "x", TXIO_NOREPLACE, &f->err));
        all[i](f, txn);
        struct ktm_commit_info info = pub_commit_of(txn, LSN);
        must(txfs_redo(f->fs, &info, KTM_REDO_LIVE, token, &f->err));
        ktm_rollback(txn);
        must(txfs_steady(f->fs, LSN + 4096, no_token, &f->err));
        cr_assert_eq(seen.syncfs, 1, "case %zu", i);
    }
}

/* Whoever wrote it may have been killed before the directory was synced. (That nothing is new, the
 * manager knows better: ktm_checkpoint.) */
Test(txfs_steady, a_mark_that_is_there_is_written_again)
{
    PUBLISH_FIXTURE(f, 0);
    settle(f, LSN);
    must(txfs_steady(f->fs, LSN, no_token, &f->err));
    cr_assert(seen.datasync > 0 && synced("undo"), "%u, %u", seen.datasync, seen.sync);
}

static enum layer_op failing;
static void fail_before(struct layer *layer, struct layer_call *call)
{
    (void)layer;
    if (call->op == failing) {
        call->done = true;
        call->result = -EIO;
    }
}

Test(txfs_steady, a_failed_sync_is_returned_and_the_mark_stays)
{
    static const enum layer_op ops[] = {LAYER_sync, LAYER_syncfs, LAYER_datasync};
    for (size_t i = 0; i < sizeof(ops) / sizeof(*ops); i++) {
        PUBLISH_FIXTURE(f, 8);
        struct txfs_mark mark;
        settle(f, LSN);
        publish_at(f, ops[i] == LAYER_syncfs ? LSN + 4096 : LSN, (const char *[]){"x"}, 1);
        failing = ops[i];
        f->layer.before = fail_before;
        tx_lsn upto = ops[i] == LAYER_syncfs ? LSN + 8192 : LSN + 4096;
        cr_assert_eq(txfs_steady(f->fs, upto, no_token, &f->err), TX_EIO);
        f->layer.before = watch;
        must(txfs_mark_read(f->fs, &mark, &f->err));
        cr_assert_eq(mark.lsn, LSN);
    }
}

Test(txfs_steady, the_mark_survives_and_a_damaged_one_is_refused)
{
    PUBLISH_FIXTURE(f, 8);
    uint8_t token[KTM_TOKEN_SIZE];
    tx_lsn lsn;
    must(txfs_steady(f->fs, 0x123456789, no_token, &f->err));
    must(txfs_open_steady(f->fs, &lsn, token, &f->err));
    cr_assert_eq(lsn, 0x123456789);
    for (int byte = 0; byte < 48; byte++) {
        int fd = openat(f->store, "undo/steady", O_RDWR | O_CLOEXEC);
        char was;
        cr_assert_eq(pread(fd, &was, 1, byte), 1);
        char is = (char)(was ^ (1 << (byte % 8)));
        cr_assert_eq(pwrite(fd, &is, 1, byte), 1);
        cr_assert_eq(txfs_open_steady(f->fs, &lsn, token, &f->err), TX_ECORRUPT);
        cr_assert_eq(pwrite(fd, &was, 1, byte), 1);
        (void)close(fd);
    }
    must(txfs_open_steady(f->fs, &lsn, token, &f->err));
}

static unsigned history_count(struct publish_fixture *f)
{
    TX_AUTO(tx_buf) list = TX_BUF_INIT;
    must(txfs_undo_list(f->fs, &list, &f->err));
    return (unsigned)(list.size / sizeof(tx_lsn));
}

static void publish_many(struct publish_fixture *f, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        publish_at(f, LSN + 4096u * i, (const char *[]){"x"}, 1);
    }
    must(txfs_steady(f->fs, LSN + 4096u * count, no_token, &f->err));
}

Test(txfs_steady, trimming_keeps_as_many_commits_as_history_wants)
{
    for (uint32_t kept = 0; kept <= 3; kept++) {
        PUBLISH_FIXTURE(f, kept);
        publish_many(f, 3);
        must(txfs_trim(f->fs, LSN + 3 * 4096, LSN + 3 * 4096, &f->err));
        cr_assert_eq(history_count(f), kept);
    }
}

Test(txfs_steady, trimming_keeps_what_the_log_or_a_snapshot_still_needs)
{
    PUBLISH_FIXTURE(f, 0);
    publish_many(f, 3);
    must(txfs_trim(f->fs, LSN + 4096, LSN + 3 * 4096, &f->err));
    cr_assert_eq(history_count(f), 2);
    must(txfs_trim(f->fs, LSN + 3 * 4096, LSN + 2 * 4096, &f->err));
    cr_assert_eq(history_count(f), 1);
    must(txfs_trim(f->fs, LSN + 3 * 4096, LSN + 3 * 4096, &f->err));
    cr_assert_eq(history_count(f), 0);
}

Test(txfs_steady, trimming_keeps_commits_that_are_not_steady)
{
    PUBLISH_FIXTURE(f, 0);
    settle(f, LSN);
    publish_at(f, LSN, (const char *[]){"x"}, 1);
    must(txfs_trim(f->fs, LSN + 4096, LSN + 4096, &f->err));
    cr_assert_eq(history_count(f), 1);
}

Test(txfs_steady, history_is_bounded_in_bytes_too)
{
    PUBLISH_FIXTURE(f, 100);
    f->fs->history_size_max = 1; /* not even the newest fits */
    publish_many(f, 3);
    must(txfs_trim(f->fs, LSN + 3 * 4096, LSN + 3 * 4096, &f->err));
    cr_assert_eq(history_count(f), 0);
}

Test(txfs_steady, staging_directories_of_ended_commits_go)
{
    PUBLISH_FIXTURE(f, 8);
    struct ktm_txn *txn = pub_begin(f);
    pub_put_bytes(f, txn, "big", 9000, 1);
    char staging[KTM_STAGING_PATH_SIZE];
    struct ktm_id id = ktm_txn_id(txn);
    ktm_staging_path(&id, staging);
    cr_assert(pub_in_store(f, staging));
    pub_commit(f, txn);
    must(ktm_checkpoint(f->tm, &f->err));
    cr_assert(!pub_in_store(f, staging));
}
