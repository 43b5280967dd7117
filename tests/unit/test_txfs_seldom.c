/* SPDX-License-Identifier: MIT */
/* What systems answer seldom: other volumes in the tree, listings without types or with nonsense,
 * directories that change or vanish between two looks at them. */
#include <dirent.h>
#include <errno.h>

#include "fs_fixture.h"
#include "txfs/txfs_internal.h"

static struct {
    struct txio base;
    struct txio_ops ops;
    const char *name;  /* what it is about; NULL: everything is as it is */
    bool elsewhere;    /* it is on another volume */
    uint32_t uid, gid; /* added to its owner */
    int open_error;    /* for opening it */
    unsigned type;     /* all that is listed seems to be of this type; 0: unknown */
    bool types_are_odd;
    const char *more;  /* one more name in each listing */
    unsigned syncs;    /* of a whole file system */
    int sync_error;
} odd;
static struct fs_fixture f;

static int odd_stat(struct txio *io, int dir, const char *path, struct txio_stat *stat)
{
    (void)io;
    int got = txio_posix()->ops->stat(txio_posix(), dir, path, stat);
    if (odd.name != NULL && strcmp(odd.name, path) == 0) {
        stat->dev += odd.elsewhere;
        stat->uid += odd.uid;
        stat->gid += odd.gid;
    }
    return got;
}

static int odd_open(struct txio *io, int dir, const char *path, unsigned flags, uint32_t mode)
{
    (void)io;
    return odd.open_error != 0 && strcmp(odd.name, path) == 0
               ? -odd.open_error
               : txio_posix()->ops->open(txio_posix(), dir, path, flags, mode);
}

struct listing {
    txio_list_fn *fn;
    void *arg;
};

static int odd_name(void *arg, const char *name, uint64_t ino, unsigned type)
{
    const struct listing *listing = arg;
    return listing->fn(listing->arg, name, ino, odd.types_are_odd ? odd.type : type);
}

static int odd_list(struct txio *io, int dir, txio_list_fn *fn, void *arg)
{
    struct listing listing = {fn, arg};
    (void)io;
    int got = txio_posix()->ops->list(txio_posix(), dir, odd_name, &listing);
    return got == 0 && odd.more != NULL ? fn(arg, odd.more, 1, DT_UNKNOWN) : got;
}

static int odd_syncfs(struct txio *io, int fd)
{
    (void)io;
    odd.syncs++;
    return odd.sync_error != 0 ? -odd.sync_error : txio_posix()->ops->syncfs(txio_posix(), fd);
}

static void setup(void)
{
    odd.ops = *txio_posix()->ops;
    odd.ops.stat = odd_stat;
    odd.ops.open = odd_open;
    odd.ops.list = odd_list;
    odd.ops.syncfs = odd_syncfs;
    odd.base.ops = &odd.ops;
    f = fs_fixture_on(&odd.base, 4, 0);
}

static void teardown(void)
{
    fs_fixture_auto(&f);
}

TestSuite(txfs_seldom, .init = setup, .fini = teardown);

/* --- Other volumes --- */

Test(txfs_seldom, a_file_on_another_volume_is_refused_whatever_becomes_of_it)
{
    struct txio_attr attr = {.mask = TXIO_ATTR_MODE, .mode = 0600};
    make_file(f.root, "mounted", "x");
    cr_assert_eq(linkat(f.root, "mounted", f.root, "twin", 0), 0);
    odd.name = "mounted";
    odd.elsewhere = true;
    struct ktm_txn *txn = fs_begin(&f);
    must(txfs_set_attr(txn, "mounted", &attr, &f.err));
    refused(TX_EXDEV, ktm_commit(txn, NULL, &f.err));
    txn = fs_begin(&f);
    must(txfs_rename(txn, "mounted", "moved", 0, &f.err));
    must(txfs_unlink(txn, "moved", &f.err));
    cr_assert_str_eq(fs_list(&f, txn, ""), "twin");
    refused(TX_EXDEV, ktm_commit(txn, NULL, &f.err));
    cr_assert(file_is(f.root, "mounted", "x"));
}

/* Numbers of inodes say nothing across volumes. */
Test(txfs_seldom, files_of_two_volumes_are_two_whatever_their_numbers)
{
    make_file(f.root, "mounted", "x");
    cr_assert_eq(linkat(f.root, "mounted", f.root, "here", 0), 0);
    struct ktm_txn *txn = fs_begin(&f);
    must(txfs_rename(txn, "here", "mounted", 0, &f.err));
    cr_assert_str_eq(fs_list(&f, txn, ""), "here,mounted"); /* two names of one: both stay */
    ktm_rollback(txn);
    odd.name = "mounted";
    odd.elsewhere = true;
    txn = fs_begin(&f);
    must(txfs_rename(txn, "here", "mounted", 0, &f.err));
    cr_assert_str_eq(fs_list(&f, txn, ""), "mounted");
    refused(TX_EXDEV, ktm_commit(txn, NULL, &f.err));
}

/* --- Listings --- */

Test(txfs_seldom, types_that_a_listing_does_not_tell_are_looked_up)
{
    static const unsigned types[] = {DT_UNKNOWN, 16, 1000};
    make_file(f.root, "a", "x");
    make_dir(f.root, "b");
    odd.types_are_odd = true;
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        struct ktm_txn *txn = fs_begin(&f);
        struct txfs_dir *dir;
        const char *name;
        unsigned type;
        odd.type = types[i];
        must(txfs_dir_open(txn, "", &dir, &f.err));
        cr_assert(txfs_dir_next(dir, &name, &type));
        cr_assert(strcmp(name, "a") == 0 && type == DT_REG);
        cr_assert(txfs_dir_next(dir, &name, &type));
        cr_assert(strcmp(name, "b") == 0 && type == DT_DIR);
        cr_assert_not(txfs_dir_next(dir, &name, &type));
        txfs_dir_close(dir);
        ktm_rollback(txn);
    }
}

Test(txfs_seldom, a_listed_name_that_is_gone_stays_of_unknown_type)
{
    struct ktm_txn *txn = fs_begin(&f);
    struct txfs_dir *dir;
    const char *name;
    unsigned type;
    odd.more = "ghost";
    must(txfs_dir_open(txn, "", &dir, &f.err));
    cr_assert(txfs_dir_next(dir, &name, &type));
    cr_assert(strcmp(name, "ghost") == 0 && type == DT_UNKNOWN);
    txfs_dir_close(dir);
    ktm_rollback(txn);
}

Test(txfs_seldom, a_listed_name_that_is_too_long_is_refused)
{
    char name[TXFS_NAME_MAX + 2];
    memset(name, 'n', TXFS_NAME_MAX + 1);
    name[TXFS_NAME_MAX + 1] = '\0';
    struct ktm_txn *txn = fs_begin(&f);
    odd.more = name;
    cr_assert_str_eq(fs_list(&f, txn, ""), "!TX_ELIMIT");
    name[TXFS_NAME_MAX] = '\0';
    cr_assert_str_eq(fs_list(&f, txn, ""), name);
    ktm_rollback(txn);
}

/* Without a type the object has to be looked at, and where it would stand there is no path. */
Test(txfs_seldom, a_listed_name_without_a_path_is_refused_when_its_type_is_not_told)
{
    static char deep[TXFS_PATH_MAX + 1];
    static char moved[TXFS_PATH_MAX + 8];
    char name[TXFS_NAME_MAX + 1];
    memset(name, 'n', TXFS_NAME_MAX);
    name[TXFS_NAME_MAX] = '\0';
    for (size_t used = 0; used + 241 < TXFS_PATH_MAX - 50; used += 241) {
        memset(deep + used, 'd', 240);
        deep[used + 240] = '/';
    }
    make_dir(f.root, "s");
    struct ktm_txn *txn = fs_begin(&f);
    must(txfs_mkdir_parents(txn, deep, 0755, &f.err));
    (void)snprintf(moved, sizeof moved, "%sm", deep);
    must(txfs_rename(txn, "s", moved, 0, &f.err));
    odd.more = name;
    cr_assert_str_eq(fs_list(&f, txn, moved), "!TX_ELIMIT");
    odd.more = NULL;
    cr_assert_str_eq(fs_list(&f, txn, moved), "");
    ktm_rollback(txn);
}

/* --- The vote --- */

Test(txfs_seldom, a_file_that_cannot_be_written_is_not_changed_in_place)
{
    static const struct {
        int os_errno;
        enum tx_status status;
    } cases[] = {{EACCES, TX_EPERM}, {EROFS, TX_EREADONLY}, {ETXTBSY, TX_EBUSY}, {EMFILE, TX_OK}};
    make_file(f.root, "a", "x");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct ktm_txn *txn = fs_begin(&f);
        struct ktm_id id = ktm_txn_id(txn);
        must(txfs_truncate(txn, "a", 0, &f.err));
        odd.name = "a";
        odd.open_error = cases[i].os_errno;
        refused(cases[i].status, ktm_prepare(txn, &f.err));
        odd.open_error = 0;
        if (cases[i].status == TX_OK) { /* says nothing about the file */
            must(ktm_rollback_prepared(f.tm, &id, &f.err));
        }
        cr_assert(file_is(f.root, "a", "x"));
    }
}

Test(txfs_seldom, a_directory_that_vanishes_after_the_look_is_a_conflict)
{
    static const int errors[] = {ENOENT, ENOTDIR, ELOOP};
    make_dir(f.root, "d");
    odd.name = "d";
    for (size_t i = 0; i < sizeof errors / sizeof *errors; i++) {
        struct ktm_txn *txn = fs_begin(&f);
        must(txfs_rmdir(txn, "d", &f.err));
        odd.open_error = errors[i];
        refused(TX_ECONFLICT, ktm_commit(txn, NULL, &f.err));
        odd.open_error = 0;
        cr_assert(exists(f.root, "d"));
    }
}

/* Whoever gave it to somebody, or closed it to others, has to be asked before it goes. */
Test(txfs_seldom, a_directory_that_goes_or_changes_has_kept_its_owner_and_mode)
{
    struct txio_attr attr = {.mask = TXIO_ATTR_TIMES, .mtime_ns = 1, .atime_ns = 1};
    enum { OWNER, GROUP, MODE, GONE, WAYS };
    odd.name = "d";
    for (int i = 0; i < 2 * WAYS; i++) {
        int way = i / 2;
        make_dir(f.root, "d");
        struct ktm_txn *txn = fs_begin(&f);
        must(i % 2 == 0 ? txfs_rmdir(txn, "d", &f.err) : txfs_set_attr(txn, "d", &attr, &f.err));
        odd.uid = way == OWNER;
        odd.gid = way == GROUP;
        cr_assert_eq(way == MODE ? fchmodat(f.root, "d", 0700, 0) : 0, 0);
        cr_assert_eq(way == GONE ? unlinkat(f.root, "d", AT_REMOVEDIR) : 0, 0);
        refused(TX_ECONFLICT, ktm_commit(txn, NULL, &f.err));
        odd.uid = 0;
        odd.gid = 0;
        cr_assert_eq(way != GONE ? unlinkat(f.root, "d", AT_REMOVEDIR) : 0, 0);
    }
}

Test(txfs_seldom, many_staged_contents_are_synced_at_once)
{
    for (int error = 0; error <= EIO; error += EIO) {
        struct ktm_txn *txn = fs_begin(&f);
        for (unsigned i = 0; i < 65; i++) {
            char name[16];
            (void)snprintf(name, sizeof name, "f%u", i);
            fs_put(&f, txn, name, "staged by its size");
        }
        odd.syncs = 0;
        odd.sync_error = error;
        refused(error == 0 ? TX_OK : TX_EIO, ktm_commit(txn, NULL, &f.err));
        cr_assert_eq(odd.syncs, 1u);
        cr_assert(file_is(f.root, "f64", "staged by its size"));
    }
}

Test(txfs_seldom, numbers_of_staged_files_that_are_taken_are_passed_over)
{
    struct ktm_txn *txn = fs_begin(&f);
    int dir;
    must(ktm_txn_staging(txn, &dir, &f.err));
    make_file(dir, "p1", "left behind by an earlier attachment");
    make_file(dir, "p2", "this, too");
    fs_put(&f, txn, "a", "staged by its size");
    cr_assert(file_is(dir, "p1", "left behind by an earlier attachment"));
    cr_assert(file_is(dir, "p3", "staged by its size"));
    must(ktm_commit(txn, NULL, &f.err));
    cr_assert(file_is(f.root, "a", "staged by its size"));
}

Test(txfs_seldom, numbers_of_staged_files_come_to_an_end)
{
    struct ktm_txn *txn = fs_begin(&f);
    void *view;
    int dir;
    must(ktm_txn_view(txn, TXFS_RM, &view, &f.err));
    must(ktm_txn_staging(txn, &dir, &f.err));
    ((struct txfs_view *)view)->next_staged = UINT32_MAX;
    make_file(dir, "p4294967295", "the last one");
    refused(TX_EEXIST, txfs_put(txn, "a", "staged by its size", 18, NULL, &f.err));
    cr_assert_not(fs_exists(&f, txn, "a"));
    ktm_rollback(txn);
}
