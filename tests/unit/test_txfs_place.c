/* SPDX-License-Identifier: MIT */
/* Renames that the system refuses or that come too late: directories without permission to write,
 * names that come and go, parents that vanish. The layer plays the system towards a user who is not
 * root, or the stranger. */
#include <errno.h>

#include "publish_failures.h"
#include "publish_script.h"

static void answer(struct layer_call *call, int result)
{
    call->done = true;
    call->result = result;
}

/* --- Directories that their owner may not write --- */

/* The root and the store are the same to the layer. */
static bool is_narrow(struct publish_fixture *f, const char *where)
{
    struct stat st;
    int dir = strncmp(where, "/undo", 5) == 0 ? f->store : f->root;
    return fstatat(dir, where + 1, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(st.st_mode) &&
           !(st.st_mode & 0200);
}

static void deny_narrow(struct layer *layer, struct layer_call *call)
{
    struct publish_fixture *f = pub_of(layer);
    if (call->op == LAYER_rename &&
        (is_narrow(f, call->where) ||
         (call->flags == TXIO_EXCHANGE && is_narrow(f, call->where2)))) {
        answer(call, -EACCES);
    }
}

static void move_and_replace(struct publish_fixture *f, struct ktm_txn *txn)
{
    must(txfs_rename(txn, "narrow", "moved", TXIO_NOREPLACE, &f->err));
    must(txfs_remove_tree(txn, "replaced", &f->err));
    pub_put(f, txn, "replaced", "a file");
    must(txfs_rename(txn, "other", "target", TXIO_REPLACE, &f->err));
}

static void make_narrow(struct publish_fixture *f)
{
    static const char *const all[] = {"narrow", "replaced", "other", "target"};
    for (size_t i = 0; i < 4; i++) {
        make_dir(f->root, all[i]);
    }
    pub_foreign(f, "narrow/x", "text");
    for (size_t i = 0; i < 4; i++) {
        cr_assert_eq(fchmodat(f->root, all[i], 0500, 0), 0);
    }
}

static unsigned narrow_slots(struct publish_fixture *f)
{
    unsigned count = 0;
    for (unsigned i = 0; i < 16; i++) {
        char path[64];
        struct stat st;
        (void)snprintf(path, sizeof(path), "undo/%016x/%u", SCRIPT_LSN(0), i);
        bool directory = fstatat(f->store, path, &st, 0) == 0 && S_ISDIR(st.st_mode);
        cr_assert(!directory || (st.st_mode & 07777) == 0500);
        count += directory;
    }
    return count;
}

Test(txfs_place, directories_without_permission_to_write_move_and_keep_their_modes)
{
    PUBLISH_FIXTURE(f, 8);
    make_narrow(f);
    script_decide(f, move_and_replace);
    f->layer.before = deny_narrow;
    must(script_redo(f));
    f->layer.before = NULL;
    cr_assert_eq(pub_stat(f, "moved").st_mode & 07777, 0500);
    cr_assert_eq(pub_stat(f, "target").st_mode & 07777, 0500);
    cr_assert_str_eq(pub_text(f, "moved/x"), "text");
    cr_assert_str_eq(pub_text(f, "replaced"), "a file");
    cr_assert_eq(narrow_slots(f), 2);
    cr_assert_eq(f->foreign_count, 0);
    script_forget(f);
}

static bool deny_modes;

static void deny_all(struct layer *layer, struct layer_call *call)
{
    (void)layer;
    if (call->op == LAYER_rename || (call->op == LAYER_set_attr && deny_modes)) {
        answer(call, -EACCES);
    }
}

static void move_narrow(struct publish_fixture *f, struct ktm_txn *txn)
{
    must(txfs_rename(txn, "narrow", "moved", TXIO_NOREPLACE, &f->err));
}
static void move_wide(struct publish_fixture *f, struct ktm_txn *txn)
{
    must(txfs_rename(txn, "wide", "moved", TXIO_NOREPLACE, &f->err));
}
static void move_file(struct publish_fixture *f, struct ktm_txn *txn)
{
    must(txfs_rename(txn, "file", "moved", TXIO_NOREPLACE, &f->err));
}
static void replace_narrow(struct publish_fixture *f, struct ktm_txn *txn)
{
    must(txfs_remove_tree(txn, "replaced", &f->err));
    pub_put(f, txn, "replaced", "a file");
}

Test(txfs_place, a_refused_rename_is_told_and_leaves_the_modes_alone)
{
    static pub_change_fn *const all[] = {move_narrow, move_wide, move_file, replace_narrow};
    for (size_t i = 0; i < 4; i++) {
        for (int modes = 0; modes <= 1; modes++) {
            PUBLISH_FIXTURE(f, 8);
            make_narrow(f);
            make_dir(f->root, "wide");
            pub_foreign(f, "file", "text");
            script_decide(f, all[i]);
            deny_modes = modes && i != 3; /* a new file needs its attributes */
            f->layer.before = deny_all;
            cr_assert_eq(script_redo(f), TX_EPERM, "%s", f->err.text);
            f->layer.before = NULL;
            cr_assert_eq(pub_stat(f, "narrow").st_mode & 07777, 0500);
            cr_assert_eq(pub_stat(f, "replaced").st_mode & 07777, 0500);
            must(script_redo(f));
            cr_assert(i == 3 || pub_stat(f, "moved").st_ino != 0);
            cr_assert_eq(f->foreign_count, 0);
            script_forget(f);
        }
    }
}

/* --- Names that come and go --- */

static void put_in_dir(struct publish_fixture *f, struct ktm_txn *txn)
{
    pub_put(f, txn, "dir/x", "ours");
}

static void kept_ours(struct publish_fixture *f)
{
    char path[160];
    cr_assert(pub_was_told(f, "dir/x", "undo/0000000000100000/f"));
    (void)snprintf(path, sizeof(path), ".txkit/%.127s", f->foreign_kept[0]);
    cr_assert_str_eq(pub_text(f, path), "ours");
}

/* Whoever looks finds it the other way round. */
static void make_or_remove(struct layer *layer, struct layer_call *call)
{
    struct publish_fixture *f = pub_of(layer);
    if (call->op != LAYER_rename || strcmp(call->where2, "/dir/x") != 0) {
        return;
    }
    if (call->flags == TXIO_EXCHANGE) {
        (void)unlinkat(f->root, "dir/x", 0);
    } else {
        pub_foreign(f, "dir/x", "theirs");
    }
}

Test(txfs_place, a_name_that_comes_and_goes_all_the_time_is_the_strangers)
{
    PUBLISH_FIXTURE(f, 8);
    make_dir(f->root, "dir");
    script_decide(f, put_in_dir);
    f->layer.before = make_or_remove;
    must(script_redo(f));
    f->layer.before = NULL;
    kept_ours(f);
    script_forget(f);
}

static void remove_parent(struct layer *layer, struct layer_call *call)
{
    struct publish_fixture *f = pub_of(layer);
    if (call->op == LAYER_rename && strcmp(call->where2, "/dir/x") == 0) {
        (void)unlinkat(f->root, "dir", AT_REMOVEDIR);
    }
}

Test(txfs_place, a_parent_that_goes_at_the_last_moment_leaves_ours_kept)
{
    PUBLISH_FIXTURE(f, 8);
    make_dir(f->root, "dir");
    script_decide(f, put_in_dir);
    f->layer.before = remove_parent;
    must(script_redo(f));
    f->layer.before = NULL;
    cr_assert_eq(pub_stat(f, "dir").st_ino, 0);
    kept_ours(f);
    script_forget(f);
}

/* --- Directories that may be searched and not read --- */

static void deny_reading(struct layer *layer, struct layer_call *call)
{
    struct stat st;
    struct publish_fixture *f = pub_of(layer);
    if (call->op == LAYER_open && fstatat(f->root, call->where + 1, &st, 0) == 0 &&
        S_ISDIR(st.st_mode)) {
        answer(call, -EACCES);
    }
}

Test(txfs_place, below_directories_that_may_not_be_read_everything_is_done_by_whole_paths)
{
    char *wanted = NULL;
    for (int denied = 0; denied <= 1; denied++) {
        PUBLISH_FIXTURE(f, 8);
        pub_make_tree(f);
        script_decide(f, pub_change_all);
        f->layer.before = denied ? deny_reading : NULL;
        must(script_redo(f));
        f->layer.before = NULL;
        char *is = pub_dump(f);
        pub_assert_same(is, denied ? wanted : is, "denied");
        free(denied ? wanted : NULL);
        wanted = is;
        script_forget(f);
    }
    free(wanted);
}

/* --- Attributes that go by themselves --- */

static void no_attribute(struct layer *layer, struct layer_call *call)
{
    (void)layer;
    if (call->op == LAYER_remove_xattr) {
        answer(call, -ENODATA);
    }
}

Test(txfs_place, an_attribute_that_is_gone_already_is_removed)
{
    PUBLISH_FIXTURE(f, 8);
    pub_make_tree(f);
    script_decide(f, pub_change_all);
    f->layer.before = no_attribute;
    must(script_redo(f));
    f->layer.before = NULL;
    cr_assert_eq(f->foreign_count, 0);
    script_forget(f);
}
