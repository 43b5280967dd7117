/* SPDX-License-Identifier: MIT */
/* Older snapshots over what strangers did, over records that are gone, and over paths that became
 * too long: the old object, or the word that it is not kept. */
#include <errno.h>

#include "publish_failures.h"

typedef void stranger_fn(struct publish_fixture *f);

/* Somebody acts when the commit is decided and its directory is about to be made. */
static struct {
    stranger_fn *act;
    unsigned times;
} stranger;

static void act_at_mkdir(struct layer *layer, struct layer_call *call)
{
    struct publish_fixture *f = pub_of(layer);
    if (call->op == LAYER_mkdir && strncmp(call->where, "/undo/", 6) == 0 && stranger.times == 0) {
        stranger.times++;
        stranger.act(f);
    }
}

static void commit_with(struct publish_fixture *f, pub_change_fn *change, stranger_fn *act)
{
    stranger.act = act;
    stranger.times = 0;
    f->layer.fibers = true; /* they may look through the library */
    f->layer.before = act_at_mkdir;
    pub_commit_change(f, change);
    f->layer.before = NULL;
    cr_assert_eq(stranger.times, 1);
}

static enum tx_status look(struct publish_fixture *f, struct ktm_txn *txn, const char *path)
{
    struct txio_stat stat;
    return txfs_stat(txn, path, &stat, &f->err);
}

static void put_x(struct publish_fixture *f, struct ktm_txn *txn)
{
    pub_put(f, txn, "x", "new");
}
static void write_x(struct publish_fixture *f, struct ktm_txn *txn)
{
    pub_write(f, txn, "x", 2, "AB");
}
static void move_x(struct publish_fixture *f, struct ktm_txn *txn)
{
    must(txfs_rename(txn, "x", "moved", TXIO_NOREPLACE, &f->err));
}
static void put_moved(struct publish_fixture *f, struct ktm_txn *txn)
{
    pub_put(f, txn, "moved", "new");
}

static void edit_x(struct publish_fixture *f) { pub_foreign(f, "x", "edited"); }
static void replace_x(struct publish_fixture *f)
{
    cr_assert_eq(renameat(f->root, "x", f->root, "aside"), 0);
    pub_foreign(f, "x", "theirs");
}

Test(txfs_older, what_was_kept_for_a_stranger_is_found_there)
{
    PUBLISH_FIXTURE(f, 8);
    pub_foreign(f, "x", "base");
    struct ktm_txn *reader = pub_begin(f);
    commit_with(f, put_x, edit_x);
    cr_assert(pub_was_told(f, "x", "undo/"));
    cr_assert(pub_reads(f, reader, "x", "edited"));
    ktm_rollback(reader);
}

Test(txfs_older, the_record_of_another_inode_is_not_laid_over_it)
{
    PUBLISH_FIXTURE(f, 8);
    pub_foreign(f, "x", "0123456789");
    struct ktm_txn *reader = pub_begin(f);
    commit_with(f, write_x, replace_x);
    cr_assert(pub_reads(f, reader, "aside", "0123456789"));
    cr_assert_str_eq(pub_text(f, "x"), "theirs");
    ktm_rollback(reader);
}

static struct ktm_txn *early;

static void read_early(struct publish_fixture *f)
{
    cr_assert(pub_reads(f, early, "x", "0123456789"));
}

Test(txfs_older, before_anything_is_carried_out_there_is_no_record_to_miss)
{
    PUBLISH_FIXTURE(f, 8);
    pub_foreign(f, "x", "0123456789");
    early = pub_begin(f);
    commit_with(f, write_x, read_early);
    cr_assert(pub_reads(f, early, "x", "0123456789"));
    ktm_rollback(early);
}

static void lose(struct publish_fixture *f, tx_lsn lsn, const char *prefix)
{
    char path[64];
    int lost = -1;
    for (unsigned i = 0; i < 8 && lost != 0; i++) {
        (void)snprintf(path, sizeof(path), "undo/%016llx/%s%u", (unsigned long long)lsn, prefix, i);
        lost = unlinkat(f->store, path, 0);
    }
    cr_assert_eq(lost, 0);
}

Test(txfs_older, a_record_that_is_gone_is_told)
{
    PUBLISH_FIXTURE(f, 8);
    pub_foreign(f, "x", "0123456789");
    struct ktm_txn *reader = pub_begin(f);
    lose(f, pub_commit_change(f, write_x), "s");
    cr_assert_eq(look(f, reader, "x"), TX_ESNAPSHOT);
    cr_assert_not_null(strstr(f->err.text, "not kept"), "%s", f->err.text);
    ktm_rollback(reader);
}

Test(txfs_older, an_old_version_that_is_gone_is_told)
{
    PUBLISH_FIXTURE(f, 8);
    pub_foreign(f, "x", "base");
    struct ktm_txn *reader = pub_begin(f);
    lose(f, pub_commit_change(f, put_x), "");
    cr_assert_eq(look(f, reader, "x"), TX_ESNAPSHOT);
    cr_assert_not_null(strstr(f->err.text, "changed from outside"), "%s", f->err.text);
    ktm_rollback(reader);
}

Test(txfs_older, one_that_was_moved_before_it_was_replaced_is_told_as_well)
{
    PUBLISH_FIXTURE(f, 8);
    pub_foreign(f, "x", "base");
    struct ktm_txn *reader = pub_begin(f);
    pub_commit_change(f, move_x);
    lose(f, pub_commit_change(f, put_moved), "");
    cr_assert_eq(look(f, reader, "x"), TX_ESNAPSHOT);
    ktm_rollback(reader);
}

/* --- Paths that become too long --- */

static void rename_longer(struct publish_fixture *f, struct ktm_txn *txn)
{
    char name[201];
    memset(name, 'l', 200);
    name[200] = '\0';
    must(txfs_rename(txn, "d", name, TXIO_NOREPLACE, &f->err));
}

Test(txfs_older, a_path_that_a_rename_made_too_long_cannot_be_followed)
{
    PUBLISH_FIXTURE(f, 8);
    static char path[PUB_DEEP_MAX];
    struct txfs_dir *dir;
    pub_make_deep(f, 16, path);
    struct ktm_txn *reader = pub_begin(f);
    must(look(f, reader, path));
    pub_commit_change(f, rename_longer);
    cr_assert_eq(look(f, reader, path), TX_ELIMIT);
    cr_assert_eq(txfs_dir_open(reader, path, &dir, &f->err), TX_ELIMIT);
    must(look(f, reader, "d"));
    ktm_rollback(reader);
}

/* --- What goes while it is looked at --- */

static uint64_t stats_left;

static void remove_at_stat(struct layer *layer, struct layer_call *call)
{
    struct publish_fixture *f = pub_of(layer);
    if (call->op == LAYER_stat && strcmp(call->where, "/link") == 0 && --stats_left == 0) {
        cr_assert_eq(unlinkat(f->root, "link", 0), 0);
    }
}

Test(txfs_older, a_link_that_goes_while_it_is_read_was_just_removed)
{
    unsigned just_removed = 0;
    bool removed = true;
    for (uint64_t nth = 1; removed; nth++) {
        PUBLISH_FIXTURE(f, 8);
        char target[16];
        cr_assert_eq(symlinkat("target", f->root, "link"), 0);
        struct ktm_txn *txn = pub_begin(f);
        stats_left = nth;
        f->layer.before = remove_at_stat;
        enum tx_status status = txfs_readlink(txn, "link", target, sizeof(target), &f->err);
        f->layer.before = NULL;
        removed = pub_stat(f, "link").st_ino == 0;
        cr_assert_eq(status, removed ? TX_ENOTFOUND : TX_OK, "%s", f->err.text);
        just_removed += removed && strstr(f->err.text, "just removed") != NULL;
        ktm_rollback(txn);
    }
    cr_assert_eq(just_removed, 1);
}
