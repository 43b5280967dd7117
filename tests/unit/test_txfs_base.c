/* SPDX-License-Identifier: MIT */
/* The tree at the snapshot, while others commit: also between our looking and our answering. */
#include "fs_fixture.h"

/* A seam that lets something happen before one of its calls. */
static struct {
    struct txio base;
    struct txio_ops ops;
    const char *name;              /* happens before looking at, opening or reading this */
    void (*happens)(struct fs_fixture *f);
    struct fs_fixture *f;
} hook;

static void maybe(const char *path)
{
    if (hook.name != NULL && strcmp(hook.name, path) == 0) {
        hook.name = NULL; /* once */
        hook.happens(hook.f);
    }
}

static int hooked_stat(struct txio *io, int dir, const char *path, struct txio_stat *stat)
{
    (void)io;
    maybe(path);
    return txio_posix()->ops->stat(txio_posix(), dir, path, stat);
}

static int64_t hooked_pread(struct txio *io, int fd, void *data, size_t size, uint64_t offset)
{
    (void)io;
    maybe("pread");
    return txio_posix()->ops->pread(txio_posix(), fd, data, size, offset);
}

static int hooked_list(struct txio *io, int dir, txio_list_fn *fn, void *arg)
{
    (void)io;
    maybe("list");
    return txio_posix()->ops->list(txio_posix(), dir, fn, arg);
}

static int hooked_readlink(struct txio *io, int dir, const char *path, char *target, size_t size)
{
    (void)io;
    maybe("readlink");
    return txio_posix()->ops->readlink(txio_posix(), dir, path, target, size);
}

static struct fs_fixture hooked_fixture(void)
{
    hook.ops = *txio_posix()->ops;
    hook.ops.stat = hooked_stat;
    hook.ops.pread = hooked_pread;
    hook.ops.list = hooked_list;
    hook.ops.readlink = hooked_readlink;
    hook.base.ops = &hook.ops;
    return fs_fixture_on(&hook.base, 0, 0);
}

static void when(struct fs_fixture *f, const char *name, void (*happens)(struct fs_fixture *f))
{
    hook.f = f;
    hook.happens = happens;
    hook.name = name;
}

static void commit_change(struct fs_fixture *fixture, void (*change)(struct fs_fixture *f,
                                                                     struct ktm_txn *txn))
{
    struct fs_fixture f = *fixture;
    struct ktm_txn *txn = fs_begin(&f);
    change(&f, txn);
    must(ktm_commit(txn, NULL, &f.err));
}

static void put_longer(struct fs_fixture *f, struct ktm_txn *txn)
{
    fs_put(f, txn, "a", "much longer than it was");
}

static void write_in_place(struct fs_fixture *fixture, struct ktm_txn *txn)
{
    struct fs_fixture f = *fixture;
    struct txfs_file *file;
    must(txfs_open(txn, "a", TXFS_WRITE, 0, &file, &f.err));
    must(txfs_pwrite(file, "NEW NEW", 7, 0, &f.err));
    must(txfs_close(file, &f.err));
}

static void change_link(struct fs_fixture *fixture, struct ktm_txn *txn)
{
    struct fs_fixture f = *fixture;
    must(txfs_unlink(txn, "l", &f.err));
    must(txfs_symlink(txn, "elsewhere", "l", &f.err));
}

static void change_names(struct fs_fixture *fixture, struct ktm_txn *txn)
{
    struct fs_fixture f = *fixture;
    must(txfs_unlink(txn, "a", &f.err));
    fs_put(&f, txn, "b", "x");
}

static void do_put_longer(struct fs_fixture *f)
{
    commit_change(f, put_longer);
}

static void do_write_in_place(struct fs_fixture *f)
{
    commit_change(f, write_in_place);
}

static void do_change_link(struct fs_fixture *f)
{
    commit_change(f, change_link);
}

static void do_change_names(struct fs_fixture *f)
{
    commit_change(f, change_names);
}

Test(txfs_base, a_commit_before_the_look_does_not_show)
{
    TX_AUTO(fs_fixture) f = hooked_fixture();
    make_file(f.root, "a", "old old");
    struct ktm_txn *txn = fs_begin(&f);
    struct txio_stat stat;
    when(&f, "a", do_put_longer);
    must(txfs_stat(txn, "a", &stat, &f.err));
    cr_assert_eq(stat.size, 7u);
    cr_assert(file_is(f.root, "a", "much longer than it was"));
    cr_assert(fs_file_is(&f, txn, "a", "old old"));
    ktm_rollback(txn);
}

Test(txfs_base, a_handle_goes_on_showing_what_was_updated_in_place)
{
    TX_AUTO(fs_fixture) f = hooked_fixture();
    make_file(f.root, "a", "old old");
    struct ktm_txn *txn = fs_begin(&f);
    struct txfs_file *file;
    char data[16];
    size_t size;
    must(txfs_open(txn, "a", TXFS_READ, 0, &file, &f.err));
    do_write_in_place(&f);
    must(txfs_pread(file, data, sizeof data, 0, &size, &f.err));
    cr_assert(size == 7 && memcmp(data, "old old", 7) == 0, "%.7s", data);
    txfs_abandon(file);
    ktm_rollback(txn);
}

Test(txfs_base, a_commit_in_the_middle_of_reading_does_not_show)
{
    TX_AUTO(fs_fixture) f = hooked_fixture();
    make_file(f.root, "a", "old old");
    struct ktm_txn *txn = fs_begin(&f);
    struct txfs_file *file;
    char data[16];
    size_t size;
    must(txfs_open(txn, "a", TXFS_READ, 0, &file, &f.err));
    when(&f, "pread", do_write_in_place);
    must(txfs_pread(file, data, sizeof data, 0, &size, &f.err));
    cr_assert(file_is(f.root, "a", "NEW NEW"));
    cr_assert(size == 7 && memcmp(data, "old old", 7) == 0, "%.7s", data);
    txfs_abandon(file);
    ktm_rollback(txn);
}

Test(txfs_base, a_commit_in_the_middle_of_reading_a_link_does_not_show)
{
    TX_AUTO(fs_fixture) f = hooked_fixture();
    cr_assert_eq(symlinkat("here", f.root, "l"), 0);
    struct ktm_txn *txn = fs_begin(&f);
    char target[16];
    when(&f, "readlink", do_change_link);
    must(txfs_readlink(txn, "l", target, sizeof target, &f.err));
    cr_assert_str_eq(target, "here");
    ktm_rollback(txn);
}

Test(txfs_base, a_commit_in_the_middle_of_listing_does_not_show)
{
    TX_AUTO(fs_fixture) f = hooked_fixture();
    make_file(f.root, "a", "x");
    struct ktm_txn *txn = fs_begin(&f);
    when(&f, "list", do_change_names);
    cr_assert_str_eq(fs_list(&f, txn, ""), "a");
    cr_assert_str_eq(fs_list(&f, txn, ""), "a");
    ktm_rollback(txn);
    txn = fs_begin(&f);
    cr_assert_str_eq(fs_list(&f, txn, ""), "b");
    ktm_rollback(txn);
}

Test(txfs_base, more_directories_than_the_cache_holds)
{
    TX_AUTO(fs_fixture) f = fs_fixture_new();
    struct ktm_txn *txn = fs_begin(&f);
    int before = open_descriptors();
    for (unsigned round = 0; round < 2; round++) {
        for (unsigned i = 0; i < 3 * 16; i++) {
            char path[32];
            (void)snprintf(path, sizeof path, "d%u", i);
            if (round == 0) {
                make_dir(f.root, path);
            }
            (void)snprintf(path, sizeof path, "d%u/a", i);
            fs_put(&f, txn, path, "x");
            cr_assert_leq(open_descriptors(), before + 16);
        }
    }
    must(ktm_commit(txn, NULL, &f.err));
    cr_assert(file_is(f.root, "d47/a", "x"));
}

/* --- What a commit in between may change of one file --- */

static void set_times(struct fs_fixture *fixture, struct ktm_txn *txn)
{
    struct fs_fixture f = *fixture;
    struct txio_attr attr = {.mask = TXIO_ATTR_TIMES, .mtime_ns = 5, .atime_ns = 5};
    must(txfs_set_attr(txn, "a", &attr, &f.err));
}

static void set_mode(struct fs_fixture *fixture, struct ktm_txn *txn)
{
    struct fs_fixture f = *fixture;
    struct txio_attr attr = {.mask = TXIO_ATTR_MODE, .mode = 0600};
    must(txfs_set_attr(txn, "a", &attr, &f.err));
}

static void write_again(struct fs_fixture *fixture, struct ktm_txn *txn)
{
    struct fs_fixture f = *fixture;
    struct txfs_file *file;
    must(txfs_open(txn, "a", TXFS_WRITE, 0, &file, &f.err));
    must(txfs_pwrite(file, "longer than it was", 18, 0, &f.err));
    must(txfs_close(file, &f.err));
}

static void do_set_mode(struct fs_fixture *f)
{
    commit_change(f, set_mode);
}

static void do_write_again(struct fs_fixture *f)
{
    commit_change(f, write_again);
}

/* After one commit that changed the file, while we look another does: in an attribute, in its
 * first bytes, in further bytes. */
Test(txfs_base, a_second_commit_in_the_middle_of_looking_does_not_show)
{
    static const struct {
        void (*first)(struct fs_fixture *f, struct ktm_txn *txn);
        void (*second)(struct fs_fixture *f);
    } cases[] = {{set_times, do_set_mode},
                 {set_times, do_write_again},
                 {write_in_place, do_write_again}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        TX_AUTO(fs_fixture) f = hooked_fixture();
        make_file(f.root, "a", "old old");
        struct ktm_txn *txn = fs_begin(&f);
        struct txio_stat before;
        struct txio_stat stat;
        must(txfs_stat(txn, "a", &before, &f.err));
        commit_change(&f, cases[i].first);
        when(&f, "a", cases[i].second);
        must(txfs_stat(txn, "a", &stat, &f.err));
        cr_assert_null(hook.name, "case %zu", i);
        cr_assert_eq(stat.size, before.size, "case %zu", i);
        cr_assert_eq(stat.mode, before.mode, "case %zu", i);
        cr_assert_eq(stat.mtime_ns, before.mtime_ns, "case %zu", i);
        cr_assert(fs_file_is(&f, txn, "a", "old old"));
        ktm_rollback(txn);
    }
}

static void move_into(struct fs_fixture *fixture, struct ktm_txn *txn)
{
    struct fs_fixture f = *fixture;
    must(txfs_rename(txn, "a", "d/a", 0, &f.err));
}

static void do_take_directory(struct fs_fixture *f)
{
    cr_assert_eq(renameat(f->root, "d", f->root, "kept"), 0);
    make_file(f->root, "d", "a file");
}

static void do_take_it_at_the_next_look(struct fs_fixture *f)
{
    when(f, "d/a", do_take_directory);
}

/* A commit moved it, and another program puts a file in the place of its directory: before we look
 * for it, or between finding it and looking at it. */
Test(txfs_base, what_was_moved_and_then_taken_away_is_not_shown)
{
    TX_AUTO(fs_fixture) f = hooked_fixture();
    struct txio_stat stat;
    make_file(f.root, "a", "x");
    make_dir(f.root, "d");
    struct ktm_txn *txn = fs_begin(&f);
    commit_change(&f, move_into);
    cr_assert(fs_file_is(&f, txn, "a", "x"));
    when(&f, "d/a", do_take_it_at_the_next_look);
    refused(TX_ENOTFOUND, txfs_stat(txn, "a", &stat, &f.err));
    cr_assert_null(hook.name);
    refused(TX_ESNAPSHOT, txfs_stat(txn, "a", &stat, &f.err));
    ktm_rollback(txn);
}
