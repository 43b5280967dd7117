/* SPDX-License-Identifier: MIT */
/* Every kind of change, with each call of the system and each allocation failing in turn: a status
 * that says so, nothing leaked, and the transaction sees what it saw or is doomed. */
#include <errno.h>

#include "base/buf.h"
#include "each_failure.h"
#include "fs_changes.h"
#include "fs_model.h"

#define READING                                                                                    \
    (LAYER_BIT(open) | LAYER_BIT(pread) | LAYER_BIT(fstat) | LAYER_BIT(stat) | LAYER_BIT(list) |   \
     LAYER_BIT(readlink) | LAYER_BIT(get_xattr) | LAYER_BIT(list_xattr) | LAYER_BIT(user_id))
#define WRITING                                                                                    \
    (LAYER_BIT(pwritev) | LAYER_BIT(truncate) | LAYER_BIT(datasync) | LAYER_BIT(sync) |            \
     LAYER_BIT(syncfs) | LAYER_BIT(fs_info) | LAYER_BIT(unlink) | LAYER_BIT(write_behind))

static struct fault_layer fault;
static struct fs_fixture f;

static void setup(void)
{
    fault_init(&fault, txio_posix(), false);
    f = fs_fixture_on(&fault.layer.io, 8, 16);
    fs_changes_plant(f.root);
}

static void teardown(void)
{
    fs_fixture_auto(&f);
    fault_release(&fault);
}

TestSuite(txfs_errors, .init = setup, .fini = teardown, .timeout = 120);

/* --- One failure in one change --- */

enum failing { SYSTEM_FAILS, MEMORY_FAILS };

static struct failure failure_of(enum failing what, uint64_t n)
{
    return (struct failure){.nth = (size_t)n,
                            .os_errno = what == SYSTEM_FAILS ? EIO : 0,
                            .kind = FAULT_ERRNO,
                            .ops = READING | WRITING};
}

static void describe(struct ktm_txn *txn, const char *name, struct tx_buf *out)
{
    struct fs_model model = {.f = &f};
    (void)snprintf(model.last, sizeof model.last, "%s", name);
    tx_buf_clear(out);
    fs_model_describe(&model, txn, out);
}

static struct ktm_txn *begin_change(const struct fs_change *change)
{
    struct ktm_txn *txn = fs_begin(&f);
    if (change->before != NULL) {
        must(change->before(txn, &f.err));
    }
    return txn;
}

#define SAME(got, wanted)                                                                          \
    cr_assert(strcmp((const char *)(got)->data, (const char *)(wanted)->data) == 0,               \
              "%s: failure %u\n--- got\n%s--- expected\n%s", change->name, (unsigned)n,            \
              (const char *)(got)->data, (const char *)(wanted)->data)

/* The change failed: either nothing of it shows and it can be made yet, or all is lost. */
static void check_failed(struct ktm_txn *txn,
                         const struct fs_change *change, uint64_t n, bool grew,
                         const struct tx_buf *before)
{
    struct txio_stat stat;
    TX_AUTO(tx_buf) seen = TX_BUF_INIT;
    if (txfs_stat(txn, "", &stat, &f.err) == TX_EABORTED) {
        cr_assert(grew, "%s: failure %u: doomed without need", change->name, (unsigned)n);
        return;
    }
    cr_assert(!grew || change->in_steps, "%s: failure %u: half made", change->name, (unsigned)n);
    if (!change->in_steps) {
        describe(txn, change->name, &seen);
        SAME(&seen, before);
    }
    must(change->make(txn, &f.err));
}

/* Returns whether there was an n-th to fail. */
static bool try_failing(const struct fs_change *change,
                        enum failing what, uint64_t n, const struct tx_buf *before,
                        const struct tx_buf *after)
{
    TX_AUTO(tx_buf) seen = TX_BUF_INIT;
    int descriptors = open_descriptors();
    failing_alloc_begin(SIZE_MAX);
    struct ktm_txn *txn = begin_change(change);
    size_t entries = ktm_txn_entries(txn).left;
    struct failure failure = failure_of(what, n);
    failure_begin(&failure, &fault);
    enum tx_status status = change->make(txn, &f.err);
    failure_end(&failure, &fault);
    bool failed = failure.fired;
    enum tx_status expected = what == MEMORY_FAILS ? TX_ENOMEM : TX_EIO;
    cr_assert(status == TX_OK || (failed && status == expected), "%s: failure %u: %s: %s",
              change->name, (unsigned)n, tx_status_name(status), f.err.text);
    if (status != TX_OK) {
        check_failed(txn, change, n, ktm_txn_entries(txn).left != entries, before);
    }
    struct txio_stat stat;
    if (txfs_stat(txn, "", &stat, &f.err) == TX_OK) {
        must(fs_changes_close(&f.err));
        describe(txn, change->name, &seen);
        SAME(&seen, after);
        ktm_rollback(txn);
    } else {
        status = fs_changes_close(&f.err);
        cr_assert(status == TX_OK || status == TX_EABORTED, "%s", f.err.text);
        refused(TX_EABORTED, ktm_commit(txn, NULL, &f.err));
    }
    tx_buf_release(&seen);
    cr_assert_eq(failing_alloc.in_use, 0, "%s: failure %u leaks", change->name, (unsigned)n);
    (void)failing_alloc_end();
    cr_assert_eq(open_descriptors(), descriptors, "%s: failure %u", change->name, (unsigned)n);
    return failed;
}

static void fail_each(enum failing what)
{
    for (size_t i = 0; i < fs_change_count; i++) {
        const struct fs_change *change = &fs_changes[i];
        TX_AUTO(tx_buf) before = TX_BUF_INIT;
        TX_AUTO(tx_buf) after = TX_BUF_INIT;
        struct ktm_txn *txn = begin_change(change);
        describe(txn, change->name, &before);
        must(change->make(txn, &f.err));
        must(fs_changes_close(&f.err));
        describe(txn, change->name, &after);
        ktm_rollback(txn);
        uint64_t n = 1;
        while (try_failing(change, what, n, &before, &after)) {
            n++;
        }
        cr_assert(n > 1 || what == SYSTEM_FAILS, "%s: nothing failed", change->name);
    }
}

Test(txfs_errors, an_io_error_at_any_call_loses_nothing)
{
    fail_each(SYSTEM_FAILS);
}

Test(txfs_errors, no_memory_at_any_allocation_loses_nothing)
{
    fail_each(MEMORY_FAILS);
}

/* --- The vote --- */

static enum tx_status only_grow(struct ktm_txn *txn, struct tx_error *err)
{
    return txfs_truncate(txn, "twin", UINT64_C(2) << 30, err); /* nothing is staged before */
}

/* Fail the n-th of the vote on `work`. Returns whether there was an n-th. */
static bool try_vote(fs_change_fn *work, enum failing what, uint64_t n)
{
    struct ktm_txn *txn = fs_begin_with(&f, KTM_SERIALIZABLE, NULL);
    struct ktm_id id = ktm_txn_id(txn);
    must(work(txn, &f.err));
    must(ktm_savepoint(txn, "s", &f.err)); /* nothing is left to flush */
    failing_alloc_begin(SIZE_MAX);
    struct failure failure = failure_of(what, n);
    failure_begin(&failure, &fault);
    enum tx_status status = ktm_prepare(txn, &f.err);
    failure_end(&failure, &fault);
    bool failed = failure.fired;
    (void)failing_alloc_end();
    enum tx_status expected = what == MEMORY_FAILS ? TX_ENOMEM : TX_EIO;
    cr_assert(status == TX_OK || (failed && status == expected), "failure %u: %s: %s", (unsigned)n,
              tx_status_name(status), f.err.text);
    if (status == TX_OK) {
        must(ktm_rollback_prepared(f.tm, &id, &f.err));
    } else {
        refused(TX_ENOTFOUND, ktm_rollback_prepared(f.tm, &id, &f.err));
    }
    return failed;
}

static void fail_each_vote(enum failing what)
{
    static fs_change_fn *const works[] = {fs_changes_all, only_grow};
    struct stat stat;
    for (size_t i = 0; i < sizeof works / sizeof *works; i++) {
        uint64_t n = 1;
        while (try_vote(works[i], what, n)) {
            n++;
        }
        cr_assert_gt(n, 1u);
        cr_assert_eq(fstatat(f.root, "twin", &stat, 0), 0);
        cr_assert_eq(stat.st_size, 10);
        cr_assert(file_is(f.root, "d/e/f", "f"));
    }
}

Test(txfs_errors, an_io_error_at_any_call_of_the_vote_aborts)
{
    fail_each_vote(SYSTEM_FAILS);
}

Test(txfs_errors, no_memory_at_any_allocation_of_the_vote_aborts)
{
    fail_each_vote(MEMORY_FAILS);
}

/* --- The past --- */

/* Every commit writes in place, moves, removes and makes again what the older transaction reads. */
static void commit_over(unsigned round)
{
    struct ktm_txn *txn = fs_begin(&f);
    struct txfs_file *file;
    char text[32];
    (void)snprintf(text, sizeof text, "%010u", round);
    must(txfs_open(txn, "d/a", TXFS_WRITE, 0, &file, &f.err));
    must(txfs_pwrite(file, text, 10, 0, &f.err));
    must(txfs_close(file, &f.err));
    must(txfs_put(txn, "single", text, 10, NULL, &f.err));
    must(txfs_set_xattr(txn, "single", "user.x", text, 10, &f.err));
    must(txfs_unlink(txn, "l", &f.err));
    must(txfs_symlink(txn, "d/e", "l", &f.err));
    must(txfs_rename(txn, "d/b", "d/c", 0, &f.err));
    must(txfs_put(txn, "d/b", text, 10, NULL, &f.err));
    must(txfs_unlink(txn, "d/c", &f.err));
    must(ktm_commit(txn, NULL, &f.err));
}

static bool try_past(enum failing what, uint64_t n)
{
    const struct fs_change look = {.name = "look at the past"};
    TX_AUTO(tx_buf) before = TX_BUF_INIT;
    TX_AUTO(tx_buf) seen = TX_BUF_INIT;
    struct ktm_txn *other = fs_begin(&f);
    describe(other, look.name, &before);
    ktm_rollback(other);
    struct ktm_txn *txn = fs_begin(&f);
    struct txio_stat stat;
    must(txfs_stat(txn, "d", &stat, &f.err)); /* the view is there */
    commit_over((unsigned)n);
    int descriptors = open_descriptors();
    failing_alloc_begin(SIZE_MAX);
    struct failure failure = failure_of(what, n);
    failure_begin(&failure, &fault);
    enum tx_status status = fs_changes_look(txn, &f.err);
    failure_end(&failure, &fault);
    bool failed = failure.fired;
    (void)failing_alloc_end();
    enum tx_status expected = what == MEMORY_FAILS ? TX_ENOMEM : TX_EIO;
    cr_assert(status == TX_OK || (failed && status == expected), "failure %u: %s: %s", (unsigned)n,
              tx_status_name(status), f.err.text);
    cr_assert_leq(open_descriptors(), descriptors + 2); /* directories that are kept open */
    describe(txn, look.name, &seen);
    const struct fs_change *change = &look;
    SAME(&seen, &before);
    ktm_rollback(txn);
    return failed;
}

static void fail_each_look_at_the_past(enum failing what)
{
    uint64_t n = 1;
    while (try_past(what, n)) {
        n++;
    }
    cr_assert_gt(n, 1u);
}

Test(txfs_errors, an_io_error_at_any_look_at_the_past_changes_nothing_of_it)
{
    fail_each_look_at_the_past(SYSTEM_FAILS);
}

Test(txfs_errors, no_memory_at_any_look_at_the_past_changes_nothing_of_it)
{
    fail_each_look_at_the_past(MEMORY_FAILS);
}
