/* SPDX-License-Identifier: MIT */
/* Another program takes things away, or puts others in their place, before any call of the system
 * that a change makes: a status that says so, nothing leaked, and what it did stays. */
#include "sim/layer.h"

#include "failing_alloc.h"
#include "fs_changes.h"

static struct layer layer;
static struct fs_fixture f;
static unsigned calls;
static int open_count; /* descriptors */
static unsigned strike_at;    /* before this call, from 1; 0: never */
static const char *stand_ins; /* directory of the store: what stands there then; NULL: nothing */

static const char *const names[] = {"d", "single", "twin", "l"};

/* What the change works on goes, or comes back. */
static void exchange(bool back)
{
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char kept[32];
        const struct txio_ops *ops = txio_posix()->ops;
        (void)snprintf(kept, sizeof kept, "%s/%s", stand_ins ? stand_ins : "away", names[i]);
        int got = back ? ops->rename(txio_posix(), f.store, kept, f.root, names[i],
                                     stand_ins ? TXIO_EXCHANGE : 0)
                       : ops->rename(txio_posix(), f.root, names[i], f.store, kept,
                                     stand_ins ? TXIO_EXCHANGE : 0);
        cr_assert_eq(got, 0);
    }
}

static void before_call(struct layer *at, struct layer_call *call)
{
    (void)at;
    (void)call;
    if (++calls == strike_at) {
        exchange(false);
    }
}

static void after_call(struct layer *at, struct layer_call *call)
{
    (void)at;
    open_count += call->op == LAYER_open && call->result >= 0;
    open_count -= call->op == LAYER_close;
}

static void setup(void)
{
    layer_init(&layer, txio_posix());
    layer.before = before_call;
    layer.after = after_call;
    f = fs_fixture_on(&layer.io, 8, 0);
    fs_changes_plant(f.root);
    make_dir(f.store, "away");
    make_dir(f.store, "other"); /* directories where files are, and the other way */
    make_file(f.store, "other/d", "was a directory");
    make_dir(f.store, "other/single");
    make_dir(f.store, "other/twin");
    make_dir(f.store, "other/l");
    make_dir(f.store, "within"); /* the directory stays one, but not what is in it */
    make_dir(f.store, "within/d");
    make_dir(f.store, "within/d/a");
    make_file(f.store, "within/d/e", "was a directory");
    cr_assert_eq(symlinkat("nowhere", f.store, "within/single"), 0);
    cr_assert_eq(symlinkat("single", f.store, "within/twin"), 0);
    make_file(f.store, "within/l", "was a link");
    struct ktm_txn *first = fs_begin(&f);
    struct ktm_id id = ktm_txn_id(first);
    must(ktm_prepare(first, &f.err)); /* opens what stays open */
    must(ktm_rollback_prepared(f.tm, &id, &f.err));
}

static void teardown(void)
{
    fs_fixture_auto(&f);
    layer_release(&layer);
}

TestSuite(txfs_races, .init = setup, .fini = teardown, .timeout = 120);

static bool is_expected(enum tx_status status)
{
    return status == TX_OK || status == TX_ENOTFOUND || status == TX_ECONFLICT ||
           status == TX_ENOTDIR || status == TX_EISDIR || status == TX_ETYPE ||
           status == TX_EEXIST || status == TX_EESCAPE || status == TX_EINVAL ||
           status == TX_EPERM;
}

/* Returns whether it came to the `at`-th call. */
static bool try_change(const struct fs_change *change, unsigned at)
{
    int descriptors = open_count;
    failing_alloc_begin(SIZE_MAX);
    struct ktm_txn *txn = fs_begin(&f);
    struct ktm_id id = ktm_txn_id(txn);
    if (change->before != NULL) {
        must(change->before(txn, &f.err));
    }
    calls = 0;
    strike_at = at;
    enum tx_status status = change->make(txn, &f.err);
    bool struck = calls >= at;
    cr_assert(is_expected(status), "%s: call %u: %s: %s", change->name, at,
              tx_status_name(status), f.err.text);
    status = ktm_prepare(txn, &f.err);
    cr_assert(is_expected(status) || status == TX_EABORTED, "%s: call %u: %s: %s", change->name,
              at, tx_status_name(status), f.err.text);
    strike_at = 0;
    if (status == TX_OK) {
        must(ktm_rollback_prepared(f.tm, &id, &f.err));
    }
    status = fs_changes_close(&f.err);
    cr_assert(status == TX_OK || status == TX_EMISUSE, "%s", f.err.text);
    cr_assert_eq(failing_alloc.in_use, 0, "%s: call %u", change->name, at);
    (void)failing_alloc_end();
    cr_assert_eq(open_count, descriptors, "%s: call %u", change->name, at);
    if (calls >= at) {
        exchange(true);
    }
    return struck;
}

static void strike_each(const char *with)
{
    stand_ins = with;
    for (size_t i = 0; i < fs_change_count; i++) {
        unsigned at = 1;
        while (try_change(&fs_changes[i], at)) {
            at++;
        }
    }
    cr_assert(file_is(f.root, "d/a", "0123456789"));
}

Test(txfs_races, what_is_taken_away_before_any_call_is_a_status)
{
    strike_each(NULL);
}

Test(txfs_races, what_is_replaced_before_any_call_is_a_status)
{
    strike_each("other");
}

Test(txfs_races, what_is_replaced_within_a_directory_before_any_call_is_a_status)
{
    strike_each("within");
}
