/* SPDX-License-Identifier: MIT */
/* A stranger works on the tree while a commit is being carried out: what is whose, what is kept,
 * and what nobody may touch. */
#include <errno.h>

#include "publish_failures.h"
#include "publish_script.h"

typedef void stranger_fn(struct publish_fixture *f);

static void publish(struct publish_fixture *f)
{
    must(script_redo(f));
    script_forget(f);
}

static void put_x(struct publish_fixture *f, struct ktm_txn *txn)
{
    pub_put(f, txn, "x", "ours");
}
static void write_x(struct publish_fixture *f, struct ktm_txn *txn)
{
    pub_write(f, txn, "x", 3, "XYZ");
}
static void set_mode(struct publish_fixture *f, struct ktm_txn *txn, const char *path,
                     uint32_t mode)
{
    struct txio_attr attr = {.mask = TXIO_ATTR_MODE, .mode = mode};
    must(txfs_set_attr(txn, path, &attr, &f->err));
}
static void chmod_x(struct publish_fixture *f, struct ktm_txn *txn) { set_mode(f, txn, "x", 0600); }
static void widen_dir(struct publish_fixture *f, struct ktm_txn *txn)
{
    set_mode(f, txn, "dir", 0750);
}
static void link_x(struct publish_fixture *f, struct ktm_txn *txn)
{
    must(txfs_link(txn, "dir/x", "y", &f->err));
}
static void make_new(struct publish_fixture *f, struct ktm_txn *txn)
{
    must(txfs_mkdir(txn, "new", 0750, &f->err));
}

/* --- What is displaced is the base, or it is not --- */

static void set_time(struct publish_fixture *f, const char *path, struct timespec mtime)
{
    struct timespec times[2] = {{0, UTIME_OMIT}, mtime};
    cr_assert_eq(utimensat(f->root, path, times, AT_SYMLINK_NOFOLLOW), 0);
}

static void longer_at_the_same_time(struct publish_fixture *f)
{
    struct timespec mtime = pub_stat(f, "x").st_mtim;
    pub_foreign(f, "x", "longer than the base");
    set_time(f, "x", mtime);
}
static void at_another_time(struct publish_fixture *f)
{
    set_time(f, "x", (struct timespec){.tv_sec = 5});
}
static void with_another_mode(struct publish_fixture *f)
{
    cr_assert_eq(fchmodat(f->root, "x", 0601, 0), 0);
}
static void with_another_owner(struct publish_fixture *f)
{
    cr_assert_eq(fchownat(f->root, "x", 12, (gid_t)-1, 0), 0);
}
static void with_another_group(struct publish_fixture *f)
{
    cr_assert_eq(fchownat(f->root, "x", (uid_t)-1, 34, 0), 0);
}

Test(txfs_keep, whatever_was_changed_of_what_is_replaced_it_is_kept)
{
    static stranger_fn *const all[] = {longer_at_the_same_time, at_another_time, with_another_mode,
                                       with_another_owner, with_another_group};
    size_t count = getuid() == 0 ? 5 : 3;
    for (size_t i = 0; i < count; i++) {
        PUBLISH_FIXTURE(f, 8);
        pub_foreign(f, "x", "base");
        script_decide(f, put_x);
        all[i](f);
        ino_t theirs = pub_stat(f, "x").st_ino;
        publish(f);
        cr_assert_str_eq(pub_text(f, "x"), "ours");
        cr_assert(pub_was_told(f, "x", "undo/0000000000100000/f"), "%zu", i);
        char path[160];
        (void)snprintf(path, sizeof(path), ".txkit/%.127s", f->foreign_kept[0]);
        cr_assert_eq(pub_stat(f, path).st_ino, theirs);
    }
}

Test(txfs_keep, nobody_has_to_listen)
{
    PUBLISH_FIXTURE(f, 8);
    script_decide(f, put_x);
    pub_foreign(f, "x", "theirs");
    txfs_on_foreign(f->fs, NULL, NULL);
    publish(f);
    cr_assert_str_eq(pub_text(f, "x"), "ours");
    cr_assert_eq(f->foreign_count, 0);
}

/* --- What was to be changed is gone --- */

Test(txfs_keep, the_mode_of_a_file_that_is_gone_is_told)
{
    PUBLISH_FIXTURE(f, 8);
    pub_foreign(f, "x", "base");
    script_decide(f, chmod_x);
    cr_assert_eq(unlinkat(f->root, "x", 0), 0);
    must(script_redo(f));
    cr_assert_eq(pub_stat(f, "x").st_ino, 0);
    cr_assert_eq(f->foreign_count, 1);
    cr_assert(pub_was_told(f, "x", ""));
    publish(f); /* by another, who finds the same */
    cr_assert_eq(pub_stat(f, "x").st_ino, 0);
    cr_assert_eq(f->foreign_count, 2);
}

/* Below the root; recovery tells of the path first, and then of what it kept. */
static const char *kept_bytes(struct publish_fixture *f)
{
    static char path[160];
    cr_assert(pub_was_told(f, "x", "undo/0000000000100000/f"));
    unsigned last = f->foreign_count - 1;
    (void)snprintf(path, sizeof(path), ".txkit/%.127s", f->foreign_kept[last]);
    return path;
}

Test(txfs_keep, bytes_for_a_file_that_is_gone_are_kept_once)
{
    PUBLISH_FIXTURE(f, 8);
    char path[160];
    pub_foreign(f, "x", "0123456789");
    script_decide(f, write_x);
    cr_assert_eq(unlinkat(f->root, "x", 0), 0);
    must(script_redo(f));
    (void)snprintf(path, sizeof(path), "%s", kept_bytes(f));
    cr_assert_eq(memcmp(pub_text(f, path) + 3, "XYZ", 3), 0);
    f->foreign_count = 0;
    publish(f);
    cr_assert_str_eq(kept_bytes(f), path);
    cr_assert_eq(pub_stat(f, "x").st_ino, 0);
}

Test(txfs_keep, another_directory_is_not_widened)
{
    PUBLISH_FIXTURE(f, 8);
    cr_assert_eq(mkdirat(f->root, "dir", 0500), 0);
    script_decide(f, widen_dir);
    cr_assert_eq(renameat(f->root, "dir", f->root, "aside"), 0);
    cr_assert_eq(mkdirat(f->root, "dir", 0500), 0);
    publish(f);
    cr_assert_eq(pub_stat(f, "dir").st_mode & 07777, 0500);
    cr_assert(pub_was_told(f, "dir", ""));
}

Test(txfs_keep, a_directory_that_is_gone_is_not_widened)
{
    PUBLISH_FIXTURE(f, 8);
    cr_assert_eq(mkdirat(f->root, "dir", 0500), 0);
    script_decide(f, widen_dir);
    cr_assert_eq(unlinkat(f->root, "dir", AT_REMOVEDIR), 0);
    publish(f);
    cr_assert_eq(pub_stat(f, "dir").st_ino, 0);
    cr_assert(pub_was_told(f, "dir", ""));
}

/* A stranger takes the new directory away at once and makes one of his own. */
static void replace_new(struct layer *layer, struct layer_call *call)
{
    struct publish_fixture *f = pub_of(layer);
    if (call->op == LAYER_rename && strcmp(call->where2, "/new") == 0) {
        cr_assert_eq(renameat(f->root, "new", f->root, "aside"), 0);
        cr_assert_eq(mkdirat(f->root, "new", 0711), 0);
    }
}

Test(txfs_keep, a_directory_that_replaced_ours_keeps_its_mode)
{
    PUBLISH_FIXTURE(f, 8);
    script_decide(f, make_new);
    f->layer.after = replace_new;
    publish(f);
    cr_assert_eq(pub_stat(f, "new").st_mode & 07777, 0711);
}

Test(txfs_keep, a_name_of_a_file_that_is_gone_is_told)
{
    for (int all = 0; all <= 1; all++) {
        PUBLISH_FIXTURE(f, 8);
        make_dir(f->root, "dir");
        pub_foreign(f, "dir/x", "base");
        script_decide(f, link_x);
        cr_assert_eq(unlinkat(f->root, "dir/x", 0), 0);
        cr_assert(!all || unlinkat(f->root, "dir", AT_REMOVEDIR) == 0);
        publish(f);
        cr_assert_eq(pub_stat(f, "y").st_ino, 0);
        cr_assert(pub_was_told(f, "y", ""));
    }
}

/* --- Names under which something is kept --- */

static enum tx_status keep(struct publish_fixture *f, const char *slot)
{
    struct txfs_work work = {.fs = f->fs, .lsn = SCRIPT_LSN(0), .parents = {.fs = f->fs}};
    struct txfs_step step = {.entry = {.path = "x"}, .index = 4};
    work.slots_dir = openat(f->store, "undo/0000000000100000", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    enum tx_status status = txfs_keep(&work, &step, slot, &f->err);
    (void)close(work.slots_dir);
    return status;
}

Test(txfs_keep, each_thing_that_is_kept_has_a_name_of_its_own)
{
    PUBLISH_FIXTURE(f, 8);
    char wanted[64];
    make_dir(f->store, "undo/0000000000100000");
    for (unsigned i = 0; i < 100; i++) {
        f->foreign_count = 0;
        make_file(f->store, "undo/0000000000100000/4", "theirs");
        must(keep(f, "4"));
        (void)snprintf(wanted, sizeof(wanted), i > 0 ? "undo/%016x/f4r%u" : "undo/%016x/f4",
                       SCRIPT_LSN(0), i);
        cr_assert_str_eq(f->foreign_kept[0], wanted);
    }
    make_file(f->store, "undo/0000000000100000/4", "one too many");
    cr_assert_eq(keep(f, "4"), TX_EEXIST);
    cr_assert(pub_in_store(f, "undo/0000000000100000/4"));
    f->foreign_count = 0;
    must(keep(f, "nothing")); /* gone meanwhile: told, and nothing is named */
    cr_assert(pub_was_told(f, "x", ""));
    make_file(f->store, "undo/0000000000100000/5", "theirs");
    pub_fail_begin(f, PUB_CALLS, 1, EIO);
    cr_assert_eq(keep(f, "5"), TX_EIO);
    (void)pub_fail_end(f);
    cr_assert(pub_in_store(f, "undo/0000000000100000/5"));
}

/* --- Any call fails while something is kept --- */

static void write_much(struct publish_fixture *f, struct ktm_txn *txn)
{
    static char text[6001];
    memset(text, 'w', sizeof(text) - 1);
    pub_write(f, txn, "x", 3, text); /* too much for the log: staged */
}

static void prepare_strangers(struct publish_fixture *f)
{
    pub_foreign(f, "x", "0123456789");
    script_decide(f, write_much);
    cr_assert_eq(unlinkat(f->root, "x", 0), 0);
}

static void finish_strangers(struct publish_fixture *f)
{
    const char *path = kept_bytes(f);
    cr_assert_eq(pub_stat(f, path).st_size, 6003);
    cr_assert_eq(pub_text(f, path)[6002], 'w');
    f->foreign_count = 0;
    script_forget(f);
}

Test(txfs_keep, bytes_for_a_file_that_is_gone_are_kept_whatever_fails)
{
    static const struct pub_scene scene = {
        .prepare = prepare_strangers, .act = script_redo, .finish = finish_strangers};
    cr_assert_gt(pub_fail_each(&scene, PUB_CALLS, EIO), 15);
    cr_assert_gt(pub_fail_each(&scene, PUB_ALLOCATIONS, 0), 10);
}

static void prepare_kept(struct publish_fixture *f)
{
    prepare_strangers(f);
    must(script_redo(f));
}

Test(txfs_keep, bytes_that_are_kept_stay_whatever_fails)
{
    static const struct pub_scene scene = {
        .prepare = prepare_kept, .act = script_redo, .finish = finish_strangers};
    cr_assert_gt(pub_fail_each(&scene, PUB_CALLS, EIO), 15);
    cr_assert_gt(pub_fail_each(&scene, PUB_ALLOCATIONS, 0), 10);
}
