/* SPDX-License-Identifier: MIT */
/* A stranger replaces or removes a file at any moment of publishing it or of its recovery. What he
 * made is at its path, or it is kept: it is never lost, and nothing is ever written into it. */
#include <errno.h>

#include "publish_script.h"

static void put_x(struct publish_fixture *f, struct ktm_txn *txn)
{
    pub_put(f, txn, "x", "ours");
}
static void write_x(struct publish_fixture *f, struct ktm_txn *txn)
{
    pub_write(f, txn, "x", 2, "AB");
}
static void chmod_x(struct publish_fixture *f, struct ktm_txn *txn)
{
    struct txio_attr attr = {.mask = TXIO_ATTR_MODE, .mode = 0600};
    must(txfs_set_attr(txn, "x", &attr, &f->err));
}
static void unlink_x(struct publish_fixture *f, struct ktm_txn *txn)
{
    must(txfs_unlink(txn, "x", &f->err));
}
static void move_x(struct publish_fixture *f, struct ktm_txn *txn)
{
    must(txfs_rename(txn, "x", "moved", TXIO_NOREPLACE, &f->err));
}
static void link_x(struct publish_fixture *f, struct ktm_txn *txn)
{
    must(txfs_link(txn, "x", "linked", &f->err));
}
static void make_x_a_directory(struct publish_fixture *f, struct ktm_txn *txn)
{
    must(txfs_unlink(txn, "x", &f->err));
    must(txfs_mkdir(txn, "x", 0700, &f->err));
}

enum way {
    REPLACES, /* with what he made beside it */
    REMOVES,
    MAKES_ANEW, /* after he removed it: ext4 gives the same inode number again */
};

static struct {
    uint64_t left; /* calls about x until he acts */
    enum way way;
    bool acted;
} stranger;

static int64_t birth_of(struct publish_fixture *f, const char *path)
{
    struct txio_stat is;
    must(txio_stat_path(txio_posix(), f->root, path, &is, &f->err));
    return is.btime_ns;
}

/* Born at another time, by the clock that ticks every few milliseconds. */
static void make_anew(struct publish_fixture *f, int64_t birth)
{
    do {
        (void)unlinkat(f->root, "theirs-new", 0);
        pub_foreign(f, "theirs-new", "theirs");
    } while (birth_of(f, "theirs-new") == birth);
}

static void act_at(struct layer *layer, struct layer_call *call)
{
    struct publish_fixture *f = pub_of(layer);
    bool about_x = strcmp(call->where, "/x") == 0 ||
                   (call->where2 != NULL && strcmp(call->where2, "/x") == 0);
    if (!about_x || stranger.left == 0 || --stranger.left > 0) {
        return;
    }
    stranger.acted = true;
    bool there = faccessat(f->root, "x", F_OK, AT_SYMLINK_NOFOLLOW) == 0;
    int64_t birth = there ? birth_of(f, "x") : 0;
    bool anew = stranger.way == MAKES_ANEW && birth != 0; /* not told: the number has to do */
    if (stranger.way != REMOVES && !anew) {
        pub_foreign(f, "theirs-new", "theirs");
    }
    must(txio_remove_tree(txio_posix(), f->root, "x", NULL));
    if (anew) {
        make_anew(f, birth);
    }
    if (stranger.way != REMOVES) {
        cr_assert_eq(renameat(f->root, "theirs-new", f->root, "x"), 0);
    }
}

static bool is_theirs(struct publish_fixture *f, const char *path)
{
    return S_ISREG(pub_stat(f, path).st_mode) && strcmp(pub_text(f, path), "theirs") == 0;
}

static bool is_somewhere(struct publish_fixture *f)
{
    bool found = is_theirs(f, "x") || is_theirs(f, "moved");
    for (unsigned i = 0; i < f->foreign_count && i < PUB_FOREIGN_MAX; i++) {
        char path[160];
        (void)snprintf(path, sizeof(path), ".txkit/%.127s", f->foreign_kept[i]);
        found |= f->foreign_kept[i][0] != '\0' && is_theirs(f, path);
    }
    return found;
}

/* False when there are fewer moments than that. */
static bool play(pub_change_fn *change, uint64_t nth, bool published, enum way way)
{
    PUBLISH_FIXTURE(f, 8);
    pub_foreign(f, "x", "0123456789");
    script_decide(f, change);
    if (published) {
        must(script_redo(f));
    }
    stranger.left = nth;
    stranger.way = way;
    stranger.acted = false;
    f->layer.before = act_at;
    enum tx_status status = script_redo(f); /* published: then it recovers */
    f->layer.before = NULL;
    if (status != TX_OK) { /* what he did came in the middle: the next try knows */
        must(script_redo(f));
    }
    cr_assert(!stranger.acted || way == REMOVES || is_somewhere(f), "moment %llu of %s",
              (unsigned long long)nth, published ? "recovery" : "publishing");
    script_forget(f);
    return stranger.acted;
}

static void play_all(bool published, enum way way)
{
    static pub_change_fn *const all[] = {put_x, write_x, chmod_x,           unlink_x,
                                     move_x, link_x, make_x_a_directory};
    for (size_t i = 0; i < sizeof(all) / sizeof(*all); i++) {
        uint64_t nth = 1;
        while (play(all[i], nth, published, way)) {
            nth++;
        }
        cr_assert(nth > 1 || published, "%zu", i);
    }
}

Test(txfs_moments, replaced_while_it_is_published, .timeout = 60) { play_all(false, REPLACES); }
Test(txfs_moments, replaced_while_it_is_recovered, .timeout = 60) { play_all(true, REPLACES); }
Test(txfs_moments, removed_while_it_is_published, .timeout = 60) { play_all(false, REMOVES); }
Test(txfs_moments, removed_while_it_is_recovered, .timeout = 60) { play_all(true, REMOVES); }
Test(txfs_moments, made_anew_while_it_is_published, .timeout = 60)
{
    play_all(false, MAKES_ANEW);
}
Test(txfs_moments, made_anew_while_it_is_recovered, .timeout = 60) { play_all(true, MAKES_ANEW); }
