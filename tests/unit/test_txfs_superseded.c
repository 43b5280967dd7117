/* SPDX-License-Identifier: MIT */
/* Readers with an older snapshot see what newer commits displaced. */
#include <errno.h>

#include "hook_io.h"
#include "publish_fixture.h"

static void commit(struct publish_fixture *f,
                   void (*change)(struct publish_fixture *, struct ktm_txn *))
{
    struct ktm_txn *txn = pub_begin(f);
    change(f, txn);
    pub_commit(f, txn);
}

static bool absent(struct publish_fixture *f, struct ktm_txn *txn, const char *path)
{
    struct txio_stat stat;
    return txfs_stat(txn, path, &stat, &f->err) == TX_ENOTFOUND;
}

static const char *names(struct publish_fixture *f, struct ktm_txn *txn, const char *path)
{
    static char text[1024];
    struct txfs_dir *dir;
    const char *name;
    unsigned type;
    text[0] = '\0';
    must(txfs_dir_open(txn, path, &dir, &f->err));
    while (txfs_dir_next(dir, &name, &type)) {
        size_t used = strlen(text);
        (void)snprintf(text + used, sizeof(text) - used, "%s%s", used > 0 ? "," : "", name);
    }
    txfs_dir_close(dir);
    return text;
}

static void replace_x(struct publish_fixture *f, struct ktm_txn *txn)
{
    pub_put(f, txn, "x", "second");
}
static void replace_x_again(struct publish_fixture *f, struct ktm_txn *txn)
{
    pub_put(f, txn, "x", "third");
}

Test(txfs_superseded, a_replaced_file_reads_as_it_was)
{
    PUBLISH_FIXTURE(f, 8);
    pub_foreign(f, "x", "first");
    struct ktm_txn *reader = pub_begin(f);
    commit(f, replace_x);
    struct ktm_txn *second = pub_begin(f);
    commit(f, replace_x_again);
    cr_assert(pub_reads(f, reader, "x", "first"));
    cr_assert(pub_reads(f, second, "x", "second"));
    must(ktm_checkpoint(f->tm, &f->err)); /* the snapshots keep what they need */
    cr_assert(pub_reads(f, reader, "x", "first"));
    cr_assert(pub_reads(f, second, "x", "second"));
    ktm_rollback(reader);
    ktm_rollback(second);
}

Test(txfs_superseded, snapshots_are_kept_without_history_too)
{
    PUBLISH_FIXTURE(f, 0);
    pub_foreign(f, "x", "first");
    struct ktm_txn *reader = pub_begin(f);
    commit(f, replace_x);
    must(ktm_checkpoint(f->tm, &f->err));
    cr_assert(pub_reads(f, reader, "x", "first"));
    ktm_rollback(reader);
}

static void everything(struct publish_fixture *f, struct ktm_txn *txn)
{
    must(txfs_mkdir(txn, "new", 0755, &f->err));
    pub_put(f, txn, "new/inside", "x");
    must(txfs_unlink(txn, "a", &f->err));
    must(txfs_remove_tree(txn, "gone", &f->err));
    must(txfs_unlink(txn, "link", &f->err));
    pub_put(f, txn, "link", "a file");
}

Test(txfs_superseded, removed_and_made_names_are_as_they_were)
{
    PUBLISH_FIXTURE(f, 8);
    pub_make_tree(f);
    struct ktm_txn *reader = pub_begin(f);
    const char *before = strdup(names(f, reader, ""));
    struct txio_stat stat;
    commit(f, everything);
    cr_assert(absent(f, reader, "new"));
    cr_assert(absent(f, reader, "new/inside"));
    must(txfs_stat(reader, "a", &stat, &f->err));
    cr_assert_eq(stat.size, 300);
    must(txfs_stat(reader, "gone/deep/y", &stat, &f->err));
    cr_assert_eq(stat.size, 6);
    cr_assert_str_eq(names(f, reader, "gone"), "deep,x");
    cr_assert_str_eq(names(f, reader, "gone/deep"), "y");
    must(txfs_stat(reader, "link", &stat, &f->err));
    cr_assert(S_ISLNK(stat.mode));
    cr_assert_str_eq(names(f, reader, ""), before);
    ktm_rollback(reader);
    free((void *)(uintptr_t)before);
}

static void write_twice(struct publish_fixture *f, struct ktm_txn *txn)
{
    pub_write(f, txn, "x", 2, "AB");
    pub_write(f, txn, "x", 9, "past the end");
}
static void write_more(struct publish_fixture *f, struct ktm_txn *txn)
{
    pub_write(f, txn, "x", 3, "CD");
    must(txfs_truncate(txn, "x", 6, &f->err));
}
static void chmod_x(struct publish_fixture *f, struct ktm_txn *txn)
{
    struct txio_attr attr = {.mask = TXIO_ATTR_MODE, .mode = 0600};
    must(txfs_set_attr(txn, "x", &attr, &f->err));
    must(txfs_set_xattr(txn, "x", "user.colour", "red", 3, &f->err));
}

Test(txfs_superseded, bytes_written_in_place_read_as_they_were)
{
    PUBLISH_FIXTURE(f, 8);
    struct txio_stat stat;
    pub_foreign(f, "x", "0123456789");
    struct ktm_txn *first = pub_begin(f);
    commit(f, write_twice);
    struct ktm_txn *second = pub_begin(f);
    commit(f, write_more);
    struct ktm_txn *third = pub_begin(f);
    cr_assert(pub_reads(f, first, "x", "0123456789"));
    must(txfs_stat(first, "x", &stat, &f->err));
    cr_assert_eq(stat.size, 10);
    cr_assert(pub_reads(f, second, "x", "01AB45678past the end"));
    cr_assert(pub_reads(f, third, "x", "01ACD5"));
    ktm_rollback(first);
    ktm_rollback(second);
    ktm_rollback(third);
}

Test(txfs_superseded, written_through_another_name_a_file_reads_as_it_was)
{
    PUBLISH_FIXTURE(f, 8);
    pub_foreign(f, "x", "0123456789");
    cr_assert_eq(linkat(f->root, "x", f->root, "y", 0), 0);
    struct ktm_txn *reader = pub_begin(f);
    commit(f, write_twice);
    commit(f, replace_x);
    cr_assert(pub_reads(f, reader, "y", "0123456789"));
    cr_assert(pub_reads(f, reader, "x", "0123456789"));
    ktm_rollback(reader);
}

Test(txfs_superseded, attributes_are_as_they_were)
{
    PUBLISH_FIXTURE(f, 8);
    struct txio_stat stat;
    char list[64];
    size_t size = sizeof(list);
    pub_foreign(f, "x", "text");
    struct stat before = pub_stat(f, "x");
    struct ktm_txn *reader = pub_begin(f);
    commit(f, chmod_x);
    must(txfs_stat(reader, "x", &stat, &f->err));
    cr_assert_eq(stat.mode & 07777, 0644);
    cr_assert_eq(stat.mtime_ns, before.st_mtim.tv_sec * 1000000000 + before.st_mtim.tv_nsec);
    must(txfs_list_xattr(reader, "x", list, &size, &f->err));
    cr_assert_eq(size, 0);
    ktm_rollback(reader);
}

Test(txfs_superseded, moved_objects_are_found_at_their_old_paths)
{
    PUBLISH_FIXTURE(f, 8);
    struct txio_stat stat;
    pub_make_tree(f);
    struct ktm_txn *reader = pub_begin(f);
    char *before = strdup(names(f, reader, ""));
    commit(f, pub_move_all);
    must(txfs_stat(reader, "a", &stat, &f->err));
    cr_assert_eq(stat.size, 300);
    must(txfs_stat(reader, "d/c", &stat, &f->err)); /* replaced in a directory that moved */
    cr_assert_eq(stat.size, 700);
    must(txfs_stat(reader, "d/sub/e", &stat, &f->err)); /* moved out of it, and written */
    cr_assert_eq(stat.size, 20);
    must(txfs_stat(reader, "swap1/one", &stat, &f->err));
    cr_assert_eq(stat.size, 11);
    cr_assert(absent(f, reader, "swap1/two"));
    must(txfs_stat(reader, "gone/deep/y", &stat, &f->err));
    cr_assert_eq(stat.size, 6);
    must(txfs_stat(reader, "kind", &stat, &f->err));
    cr_assert_eq(stat.size, 10);
    cr_assert_eq(stat.mode & 07777, 0640);
    cr_assert(absent(f, reader, "dd"));
    cr_assert_str_eq(names(f, reader, ""), before);
    cr_assert_str_eq(names(f, reader, "d"), "c,sub");
    cr_assert_str_eq(names(f, reader, "d/sub"), "e");
    ktm_rollback(reader);
    free(before);
}

Test(txfs_superseded, moved_and_then_replaced_it_is_found_still)
{
    PUBLISH_FIXTURE(f, 8);
    pub_foreign(f, "y", "first");
    struct ktm_txn *reader = pub_begin(f);
    struct ktm_txn *txn = pub_begin(f);
    must(txfs_rename(txn, "y", "x", TXIO_NOREPLACE, &f->err));
    pub_commit(f, txn);
    commit(f, replace_x);
    cr_assert(pub_reads(f, reader, "y", "first"));
    cr_assert(absent(f, reader, "x"));
    ktm_rollback(reader);
}

/* A reader looks while the commit is being carried out: between any two operations. */
static struct {
    struct publish_fixture *f;
    struct ktm_txn *reader;
    bool looking;
    unsigned looks;
} spy;

static int look_between(struct hook_io *hook, enum hook_op op, enum hook_when when)
{
    (void)hook;
    (void)op;
    (void)when;
    if (spy.looking) {
        return 0;
    }
    spy.looking = true;
    struct publish_fixture *f = spy.f;
    struct txio_stat stat;
    cr_assert(pub_reads(f, spy.reader, "x", "0123456789"));
    must(txfs_stat(spy.reader, "d/c", &stat, &f->err));
    cr_assert_eq(stat.size, 700);
    must(txfs_stat(spy.reader, "swap1/one", &stat, &f->err));
    must(txfs_stat(spy.reader, "gone/x", &stat, &f->err));
    cr_assert(absent(f, spy.reader, "dd"));
    spy.looks++;
    spy.looking = false;
    return 0;
}

static void move_and_write(struct publish_fixture *f, struct ktm_txn *txn)
{
    pub_move_all(f, txn);
    pub_write(f, txn, "x", 2, "AB");
}

Test(txfs_superseded, between_any_two_operations_of_publishing_all_is_as_it_was)
{
    PUBLISH_FIXTURE(f, 8);
    pub_make_tree(f);
    pub_foreign(f, "x", "0123456789");
    spy.f = f;
    spy.reader = pub_begin(f);
    struct ktm_txn *txn = pub_begin(f);
    move_and_write(f, txn);
    struct hook_io hook;
    f->layer.below = hook_init(&hook, look_between);
    pub_commit(f, txn);
    f->layer.below = txio_posix();
    cr_assert_gt(spy.looks, 20);
    ktm_rollback(spy.reader);
}

/* A handle that was opened while the commit is being carried out, and is read afterwards. */
static struct {
    struct publish_fixture *f;
    struct ktm_txn *reader;
    struct txfs_file *file;
    unsigned open_at;
    unsigned calls;
    bool busy;
} early;

static void reads_on(void)
{
    struct publish_fixture *f = early.f;
    char found[16] = "";
    size_t done = 0;
    must(txfs_pread(early.file, found, sizeof found, 0, &done, &f->err));
    cr_expect(done == 10 && memcmp(found, "0123456789", 10) == 0, "opened at %u, read at %u: %s",
              early.open_at, early.calls, found);
}

static int open_once(struct hook_io *hook, enum hook_op op, enum hook_when when)
{
    struct publish_fixture *f = early.f;
    (void)hook;
    (void)op;
    (void)when;
    if (early.busy) {
        return 0;
    }
    early.busy = true;
    if (early.calls++ == early.open_at) {
        must(txfs_open(early.reader, "x", TXFS_READ, 0, &early.file, &f->err));
    } else if (early.file != NULL) {
        reads_on();
    }
    early.busy = false;
    return 0;
}

/* False when publishing has fewer operations than that. */
static bool open_at(unsigned call)
{
    PUBLISH_FIXTURE(f, 8);
    pub_foreign(f, "x", "0123456789");
    early.f = f;
    early.file = NULL;
    early.open_at = call;
    early.calls = 0;
    early.reader = pub_begin(f);
    struct ktm_txn *txn = pub_begin(f);
    pub_write(f, txn, "x", 2, "AB");
    struct hook_io hook;
    f->layer.below = hook_init(&hook, open_once);
    pub_commit(f, txn);
    f->layer.below = txio_posix();
    bool opened = early.file != NULL;
    if (opened) {
        reads_on();
        txfs_abandon(early.file);
    }
    ktm_rollback(early.reader);
    return opened;
}

/* Found by the simulator: opened after the commit was decided and before it had kept the old bytes,
 * the handle took the file for undisturbed until the next commit. */
Test(txfs_superseded, a_file_that_was_opened_in_the_middle_of_publishing_reads_on_as_it_was)
{
    unsigned call = 0;
    while (open_at(call)) {
        call++;
    }
    cr_expect_gt(call, 8, "publishing has more operations than that");
}

/* --- Commits between two looks of a reader ---------------------------------------------------- */

static struct {
    struct publish_fixture *f;
    unsigned calls;
    unsigned first, second; /* calls of the reader before which others commit */
    bool busy;
} others;

static void touch_something_else(struct publish_fixture *f, struct ktm_txn *txn)
{
    pub_put(f, txn, "unrelated", "x");
}

static void take_directory_away(struct publish_fixture *f, struct ktm_txn *txn)
{
    must(txfs_remove_tree(txn, "moved", &f->err));
    must(txfs_mkdir(txn, "d", 0755, &f->err));
}

static void commit_between(struct layer *layer, struct layer_call *call)
{
    (void)layer;
    /* Only at looks at the tree: the log is read under a lock of the process. */
    if (others.busy || call->op != LAYER_stat) {
        return;
    }
    others.busy = true;
    others.calls++;
    if (others.calls == others.first) {
        commit(others.f, touch_something_else);
    } else if (others.calls == others.second) {
        commit(others.f, take_directory_away);
    }
    others.busy = false;
}

static void move_directory(struct publish_fixture *f, struct ktm_txn *txn)
{
    must(txfs_rename(txn, "d", "moved", TXIO_NOREPLACE, &f->err));
}

/* False when the reader makes fewer calls than that. */
static bool look_while_others_commit(unsigned first, unsigned second)
{
    PUBLISH_FIXTURE(f, 8);
    struct txio_stat stat = {.size = 0};
    cr_assert_eq(mkdirat(f->root, "d", 0755), 0);
    pub_foreign(f, "d/a", "first");
    struct ktm_txn *reader = pub_begin(f);
    commit(f, move_directory);
    others.f = f;
    others.calls = 0;
    others.first = first;
    others.second = second;
    f->layer.fibers = true; /* no lock of its own around commit_between, which comes here again */
    f->layer.before = commit_between;
    enum tx_status status = txfs_stat(reader, "d/a", &stat, &f->err);
    f->layer.before = NULL;
    cr_expect(status == TX_OK && stat.size == 5, "%u, %u: %s: %s", first, second,
              tx_status_name(status), f->err.text);
    ktm_rollback(reader);
    return others.calls >= second;
}

/* Found by the simulator: the second look, whether the first one holds, knew of no commit that was
 * decided in the middle of it. */
Test(txfs_superseded, commits_between_any_two_calls_of_a_reader_hide_nothing)
{
    unsigned pairs = 0;
    for (unsigned first = 1; look_while_others_commit(first, first + 1); first++) {
        for (unsigned second = first + 1; look_while_others_commit(first, second); second++) {
            pairs++;
        }
    }
    cr_expect_gt(pairs, 10, "a look has more calls than that");
}
