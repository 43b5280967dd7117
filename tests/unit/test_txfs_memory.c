/* SPDX-License-Identifier: MIT */
/* Memory that runs out at every allocation in turn: a status, no harm, and nothing lost. */
#include "failing_alloc.h"
#include "fs_fixture.h"

static enum tx_status update(struct ktm_txn *txn, const char *path, struct tx_error *err)
{
    struct txfs_file *file;
    TX_TRY(txfs_open(txn, path, TXFS_WRITE | TXFS_CREATE, 0644, &file, err));
    enum tx_status status = txfs_pwrite(file, "0123456789", 10, 2, err);
    if (status == TX_OK) {
        status = txfs_pwrite(file, "ab", 2, 5, err);
    }
    if (status == TX_OK) {
        status = txfs_ftruncate(file, 9, err);
    }
    if (status != TX_OK) {
        txfs_abandon(file);
        return status;
    }
    return txfs_close(file, err);
}

static enum tx_status look(struct ktm_txn *txn, struct tx_error *err)
{
    struct txfs_dir *dir;
    const char *name;
    unsigned type;
    char text[64];
    size_t size = sizeof text;
    TX_TRY(txfs_dir_open(txn, "", &dir, err));
    while (txfs_dir_next(dir, &name, &type)) {
    }
    txfs_dir_close(dir);
    TX_TRY(txfs_readlink(txn, "link", text, sizeof text, err));
    return txfs_list_xattr(txn, "d/a", text, &size, err);
}

/* A little of everything. */
static enum tx_status work(struct ktm_txn *txn, struct tx_error *err)
{
    struct txio_attr attr = {.mask = TXIO_ATTR_MODE, .mode = 0600};
    TX_TRY(update(txn, "d/a", err));
    TX_TRY(update(txn, "d/new", err));
    TX_TRY(txfs_set_xattr(txn, "d/a", "user.x", "1", 1, err));
    TX_TRY(txfs_link(txn, "d/a", "l1", err));
    TX_TRY(txfs_link(txn, "d/a", "l2", err));
    TX_TRY(txfs_symlink(txn, "d", "link", err));
    TX_TRY(txfs_mkdir_parents(txn, "x/y/z", 0755, err));
    TX_TRY(txfs_set_attr(txn, "x/y", &attr, err));
    TX_TRY(look(txn, err));
    TX_TRY(txfs_rename(txn, "d", "e", 0, err));
    TX_TRY(txfs_rename(txn, "e", "x", TXIO_EXCHANGE, err));
    TX_TRY(txfs_unlink(txn, "x/a", err));
    TX_TRY(ktm_savepoint(txn, "s", err));
    TX_TRY(txfs_put(txn, "x/big", "more than the eight bytes", 25, NULL, err));
    TX_TRY(ktm_rollback_to(txn, "s", err));
    return txfs_remove_tree(txn, "x", err);
}

Test(txfs_memory, running_out_anywhere_is_a_status_and_loses_nothing)
{
    TX_AUTO(fs_fixture) f = fs_fixture_with(8, 0);
    make_dir(f.root, "d");
    make_file(f.root, "d/a", "one");
    cr_assert_eq(linkat(f.root, "d/a", f.root, "other", 0), 0);
    struct ktm_txn *first = fs_begin(&f);
    must(work(first, &f.err)); /* opens what stays open */
    ktm_rollback(first);
    bool failed = true;
    for (size_t count = 0; failed; count++) {
        struct ktm_txn *txn = NULL;
        int descriptors = open_descriptors();
        failing_alloc_begin(count);
        enum tx_status status = ktm_begin(f.tm, NULL, &txn, &f.err);
        if (status == TX_OK) {
            status = work(txn, &f.err);
            failing_alloc.left = SIZE_MAX; /* looking again is possible, or refused */
            enum tx_status after = look(txn, NULL);
            cr_assert(after == TX_OK || after == TX_EABORTED || after == TX_ENOTFOUND,
                      "%zu: %s", count, tx_status_name(after));
            ktm_rollback(txn);
        }
        failed = failing_alloc_end();
        cr_assert_eq(status, failed ? TX_ENOMEM : TX_OK, "%zu: %s: %s", count,
                     tx_status_name(status), f.err.text);
        cr_assert_eq(failing_alloc.in_use, 0, "%zu: %ld left", count, failing_alloc.in_use);
        cr_assert_eq(open_descriptors(), descriptors);
    }
    cr_assert(file_is(f.root, "d/a", "one"));
}

Test(txfs_memory, running_out_in_the_vote_aborts)
{
    TX_AUTO(fs_fixture) f = fs_fixture_with(8, 0);
    make_dir(f.root, "d");
    make_file(f.root, "d/a", "one");
    for (size_t count = 0;; count++) {
        struct ktm_txn *txn = fs_begin(&f);
        must(txfs_remove_tree(txn, "d", &f.err));
        fs_put(&f, txn, "new", "more than the eight bytes");
        must(ktm_savepoint(txn, "s", &f.err)); /* nothing is left to flush */
        tx_lsn before = ktm_published(f.tm);
        failing_alloc_begin(count);
        enum tx_status status = ktm_prepare(txn, &f.err);
        (void)failing_alloc_end();
        if (status == TX_OK) { /* what runs out after the force is not the vote's affair */
            cr_assert_gt(count, 4u);
            break;
        }
        cr_assert_eq(status, TX_ENOMEM, "%zu: %s: %s", count, tx_status_name(status), f.err.text);
        cr_assert_eq(ktm_published(f.tm), before);
    }
}
