/* SPDX-License-Identifier: MIT */
/* The vote: keys, room, volumes, what cannot be changed, durability of staged contents. */
#include <errno.h>
#include <signal.h>
#include <sys/resource.h>

#include "base/buf.h"
#include "failing_alloc.h"
#include "fs_fixture.h"
#include "txfs/txfs_internal.h"

/* --- The keys, without the manager --- */

static bool has_key(const struct tx_buf *keys,
                    enum tx_status (*add)(struct ktm_vote *, uint64_t, const char *,
                                          struct tx_error *),
                    uint64_t key, const char *name)
{
    TX_AUTO(tx_buf) one = TX_BUF_INIT;
    struct ktm_vote vote = {&one};
    cr_assert_eq(add(&vote, key, name, NULL), TX_OK);
    return memmem(keys->data, keys->size, one.data, one.size) != NULL;
}

static void vote_of(struct fs_fixture *fixture, struct ktm_txn *txn, struct tx_buf *keys)
{
    struct fs_fixture f = *fixture;
    struct ktm_vote vote = {keys};
    void *view;
    must(ktm_txn_view(txn, TXFS_RM, &view, &f.err));
    must(txfs_rm_ops()->prepare(f.fs, txn, view, &vote, &f.err));
}

Test(txfs_prepare, keys_of_paths_parents_and_names_are_voted)
{
    TX_AUTO(fs_fixture) f = fs_fixture_new();
    TX_AUTO(tx_buf) keys = TX_BUF_INIT;
    make_dir(f.root, "d");
    make_dir(f.root, "d/e");
    make_file(f.root, "d/e/a", "x");
    struct ktm_txn *txn = fs_begin(&f);
    fs_put(&f, txn, "d/e/new", "x");
    must(txfs_rename(txn, "d/e/a", "b", 0, &f.err));
    vote_of(&f, txn, &keys);
    cr_assert(has_key(&keys, ktm_vote_write, txfs_path_key("d/e/new"), "d/e/new"));
    cr_assert(has_key(&keys, ktm_vote_write, txfs_path_key("d/e/a"), "d/e/a"));
    cr_assert(has_key(&keys, ktm_vote_write, txfs_path_key("b"), "b"));
    cr_assert(has_key(&keys, ktm_vote_read, txfs_path_key("d/e"), "d/e"));
    cr_assert(has_key(&keys, ktm_vote_read, txfs_path_key("d"), "d"));
    cr_assert(has_key(&keys, ktm_vote_mark, txfs_names_key("d/e"), "d/e"));
    cr_assert(has_key(&keys, ktm_vote_mark, txfs_names_key(""), ""));
    cr_assert_not(has_key(&keys, ktm_vote_write, txfs_path_key("d/e"), "d/e"));
    cr_assert_not(has_key(&keys, ktm_vote_mark, txfs_names_key("d"), "d"));
    ktm_rollback(txn);
}

Test(txfs_prepare, names_of_directories_that_go_are_read)
{
    TX_AUTO(fs_fixture) f = fs_fixture_new();
    TX_AUTO(tx_buf) keys = TX_BUF_INIT;
    make_dir(f.root, "d");
    make_dir(f.root, "m");
    struct ktm_txn *txn = fs_begin(&f);
    must(txfs_rmdir(txn, "d", &f.err));
    must(txfs_rename(txn, "m", "n", 0, &f.err));
    vote_of(&f, txn, &keys);
    cr_assert(has_key(&keys, ktm_vote_read, txfs_names_key("d"), "d"));
    cr_assert_not(has_key(&keys, ktm_vote_read, txfs_names_key("m"), "m")); /* only moved */
    ktm_rollback(txn);
}

Test(txfs_prepare, a_moved_directory_is_written_at_both_its_paths)
{
    TX_AUTO(fs_fixture) f = fs_fixture_new();
    TX_AUTO(tx_buf) keys = TX_BUF_INIT;
    make_dir(f.root, "m");
    make_file(f.root, "m/a", "x");
    struct ktm_txn *txn = fs_begin(&f);
    must(txfs_rename(txn, "m", "n", 0, &f.err));
    fs_put(&f, txn, "n/a", "y");
    vote_of(&f, txn, &keys);
    static const char *const written[] = {"m", "n", "n/a", "m/a"};
    for (size_t i = 0; i < sizeof written / sizeof *written; i++) {
        cr_assert(has_key(&keys, ktm_vote_write, txfs_path_key(written[i]), written[i]), "%s",
                  written[i]);
    }
    ktm_rollback(txn);
}

/* --- A seam that lies --- */

static struct {
    struct txio base;
    struct txio_ops ops;
    uint64_t free_bytes;     /* fs_info; 0: what is so */
    int open_error;          /* for opening "frozen" to write */
    uint64_t foreign_volume; /* inode of a directory that seems to be elsewhere */
    unsigned datasyncs;
    unsigned syncs;
    int datasync_error;
} lie;

static int lying_fs_info(struct txio *io, int fd, struct txio_fs_info *info)
{
    (void)io;
    int got = txio_posix()->ops->fs_info(txio_posix(), fd, info);
    info->free_bytes = lie.free_bytes > 0 ? lie.free_bytes : info->free_bytes;
    return got;
}

static int lying_open(struct txio *io, int dir, const char *path, unsigned flags, uint32_t mode)
{
    (void)io;
    if (lie.open_error != 0 && (flags & TXIO_WRITE) && strcmp(path, "frozen") == 0) {
        return -lie.open_error;
    }
    return txio_posix()->ops->open(txio_posix(), dir, path, flags, mode);
}

static int lying_fstat(struct txio *io, int fd, struct txio_stat *stat)
{
    (void)io;
    int got = txio_posix()->ops->fstat(txio_posix(), fd, stat);
    stat->dev += lie.foreign_volume != 0 && stat->ino == lie.foreign_volume;
    return got;
}

static int lying_datasync(struct txio *io, int fd)
{
    (void)io;
    lie.datasyncs++;
    return lie.datasync_error != 0 ? -lie.datasync_error
                                   : txio_posix()->ops->datasync(txio_posix(), fd);
}

static int lying_sync(struct txio *io, int fd)
{
    (void)io;
    lie.syncs++;
    return txio_posix()->ops->sync(txio_posix(), fd);
}

static struct fs_fixture lying_fixture(uint64_t inline_max)
{
    lie.ops = *txio_posix()->ops;
    lie.ops.fs_info = lying_fs_info;
    lie.ops.open = lying_open;
    lie.ops.fstat = lying_fstat;
    lie.ops.datasync = lying_datasync;
    lie.ops.sync = lying_sync;
    lie.base.ops = &lie.ops;
    return fs_fixture_on(&lie.base, inline_max, 0);
}

Test(txfs_prepare, room_is_asked_for_before_anything_is_logged)
{
    TX_AUTO(fs_fixture) f = lying_fixture(0);
    make_file(f.root, "old", "x");
    /* One block, 5 % and the slack are needed. */
    for (uint64_t free_bytes = 65536 + 4096 + 203; free_bytes <= 65536 + 4096 + 205; free_bytes++) {
        struct ktm_txn *txn = fs_begin(&f);
        fs_put(&f, txn, "a", "x");
        lie.free_bytes = free_bytes;
        enum tx_status expected = free_bytes < 65536 + 4096 + 204 ? TX_ENOSPC : TX_OK;
        refused(expected, ktm_commit(txn, NULL, &f.err));
        cr_assert_eq(exists(f.root, "a"), expected == TX_OK);
    }
    lie.free_bytes = 1;
    struct ktm_txn *txn = fs_begin(&f);
    must(txfs_unlink(txn, "old", &f.err)); /* frees room, so it is not refused for want of it */
    must(ktm_commit(txn, NULL, &f.err));
    cr_assert_not(exists(f.root, "old"));
}

Test(txfs_prepare, immutable_files_are_refused)
{
    TX_AUTO(fs_fixture) f = lying_fixture(0);
    make_file(f.root, "frozen", "x");
    lie.open_error = EPERM;
    struct ktm_txn *txn = fs_begin(&f);
    fs_put(&f, txn, "frozen", "y");
    refused(TX_EPERM, ktm_commit(txn, NULL, &f.err));
    cr_assert_not_null(strstr(f.err.text, "immutable"), "%s", f.err.text);
}

Test(txfs_prepare, running_programs_can_be_replaced_but_not_updated)
{
    TX_AUTO(fs_fixture) f = lying_fixture(0);
    make_file(f.root, "frozen", "x");
    lie.open_error = ETXTBSY;
    struct ktm_txn *txn = fs_begin(&f);
    must(txfs_truncate(txn, "frozen", 0, &f.err));
    refused(TX_EBUSY, ktm_commit(txn, NULL, &f.err));
    txn = fs_begin(&f);
    fs_put(&f, txn, "frozen", "y");
    must(ktm_commit(txn, NULL, &f.err));
    cr_assert(file_is(f.root, "frozen", "y"));
}

Test(txfs_prepare, directories_on_other_volumes_are_refused)
{
    TX_AUTO(fs_fixture) f = lying_fixture(0);
    struct stat stat;
    make_dir(f.root, "mnt");
    cr_assert_eq(fstatat(f.root, "mnt", &stat, 0), 0);
    lie.foreign_volume = stat.st_ino;
    struct ktm_txn *txn = fs_begin(&f);
    fs_put(&f, txn, "mnt/a", "x");
    refused(TX_EXDEV, ktm_commit(txn, NULL, &f.err));
}

Test(txfs_prepare, staged_contents_are_synced_once_before_the_vote)
{
    TX_AUTO(fs_fixture) f = lying_fixture(4);
    struct ktm_txn *txn = fs_begin(&f);
    fs_put(&f, txn, "a", "staged by its size");
    fs_put(&f, txn, "b", "this one as well");
    fs_put(&f, txn, "c", "tiny");
    lie.datasyncs = 0;
    must(ktm_prepare(txn, &f.err));
    cr_assert_eq(lie.datasyncs, 2u);
    cr_assert_geq(lie.syncs, 1u);
}

Test(txfs_prepare, a_second_vote_syncs_what_came_since_and_nothing_else)
{
    TX_AUTO(fs_fixture) f = lying_fixture(4);
    struct ktm_txn *txn = fs_begin(&f);
    static const unsigned syncs[] = {1, 1, 3}; /* with one more file both are synced */
    fs_put(&f, txn, "a", "staged by its size");
    lie.datasyncs = 0;
    for (size_t i = 0; i < sizeof syncs / sizeof *syncs; i++) {
        TX_AUTO(tx_buf) keys = TX_BUF_INIT;
        if (i == 2) {
            fs_put(&f, txn, "b", "this one as well");
        }
        vote_of(&f, txn, &keys);
        cr_assert_eq(lie.datasyncs, syncs[i], "vote %zu: %u", i, lie.datasyncs);
    }
    ktm_rollback(txn);
}

/* Memory runs out at each allocation, with a buffer of keys that is full at any of them. */
Test(txfs_prepare, no_memory_for_any_key_is_told)
{
    TX_AUTO(fs_fixture) f = fs_fixture_new();
    struct txio_attr attr = {.mask = TXIO_ATTR_MODE, .mode = 0600};
    void *view;
    make_dir(f.root, "d");
    make_file(f.root, "d/a", "x");
    make_file(f.root, "b", "x");
    struct ktm_txn *txn = fs_begin_with(&f, KTM_SERIALIZABLE, NULL);
    cr_assert(fs_file_is(&f, txn, "b", "x"));
    cr_assert_str_eq(fs_list(&f, txn, "d"), "a");
    must(txfs_set_attr(txn, "d/a", &attr, &f.err));
    must(ktm_txn_view(txn, TXFS_RM, &view, &f.err));
    for (size_t used = 1; used <= 256; used++) {
        bool failed = true;
        for (size_t n = 0; failed; n++) {
            TX_AUTO(tx_buf) keys = TX_BUF_INIT;
            struct ktm_vote vote = {&keys};
            uint8_t *at;
            must(tx_buf_extend(&keys, used, &at, &f.err));
            failing_alloc_begin(n);
            enum tx_status status = txfs_rm_ops()->prepare(f.fs, txn, view, &vote, &f.err);
            failed = failing_alloc_end();
            cr_assert_eq(status, failed ? TX_ENOMEM : TX_OK, "%zu, %zu", used, n);
        }
    }
    ktm_rollback(txn);
}

Test(txfs_prepare, a_size_that_cannot_be_tried_is_not_committed)
{
    TX_AUTO(fs_fixture) f = fs_fixture_new();
    make_file(f.root, "a", "x");
    struct ktm_txn *txn = fs_begin(&f);
    must(txfs_truncate(txn, "a", UINT64_C(2) << 30, &f.err));
    cr_assert_eq(unlinkat(f.store, "tx", AT_REMOVEDIR), 0);
    make_file(f.store, "tx", "where a directory should be");
    refused(TX_ENOTDIR, ktm_commit(txn, NULL, &f.err));
    cr_assert(file_is(f.root, "a", "x"));
}

Test(txfs_prepare, a_failed_sync_of_a_staged_content_aborts)
{
    TX_AUTO(fs_fixture) f = lying_fixture(4);
    struct ktm_txn *txn = fs_begin(&f);
    fs_put(&f, txn, "a", "staged by its size");
    lie.datasync_error = EIO;
    refused(TX_EIO, ktm_commit(txn, NULL, &f.err));
    lie.datasync_error = 0;
    cr_assert_not(exists(f.root, "a"));
    txn = fs_begin(&f);
    fs_put(&f, txn, "a", "staged by its size");
    must(ktm_commit(txn, NULL, &f.err));
    cr_assert(file_is(f.root, "a", "staged by its size"));
}

/* A size that no file can have must be refused now: publishing could never be done, and nobody
 * could open the store again. */
Test(txfs_prepare, a_size_that_the_file_system_refuses_is_refused_before_the_commit)
{
    TX_AUTO(fs_fixture) f = fs_fixture_new();
    struct rlimit limit = {UINT64_C(4) << 30, UINT64_C(4) << 30};
    make_file(f.root, "a", "before");
    signal(SIGXFSZ, SIG_IGN);
    cr_assert_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
    struct ktm_txn *txn = fs_begin(&f);
    must(txfs_truncate(txn, "a", UINT64_C(5) << 30, &f.err));
    cr_assert_eq(ktm_commit(txn, NULL, &f.err), TX_ELIMIT);
    txn = fs_begin(&f);
    must(txfs_truncate(txn, "a", UINT64_C(3) << 30, &f.err));
    must(ktm_commit(txn, NULL, &f.err));
    struct stat stat;
    cr_assert_eq(fstatat(f.root, "a", &stat, 0), 0);
    cr_assert_eq(stat.st_size, INT64_C(3) << 30);
}
