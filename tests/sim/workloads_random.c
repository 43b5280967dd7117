/* SPDX-License-Identifier: MIT */
/* Sequences of operations that nobody thought of: few names, so that they often meet. */
#include <stdio.h>

#include "sim/sim_internal.h"
#include "sim/workloads.h"

static unsigned below(struct crash_run *run, unsigned limit)
{
    return (unsigned)(sim_random(&run->random) >> 16) % limit;
}

static const char *draw_path(struct crash_run *run)
{
    static const char *const paths[] = {
        "a",       "b",         "big",   "dir",     "dir/c", "dir/d", "dir/sub",
        "dir/sub/e", "empty", "empty/x", "hard1", "hard2", "link",  "n",
        "n/o",     "p"};
    return paths[below(run, sizeof paths / sizeof *paths)];
}

static const char *draw_key(struct crash_run *run)
{
    static const char *const keys[] = {"Software", "Software\\Alpha", "Software\\Beta",
                                       "Software\\Beta\\Deep", "K", "K\\L"};
    return keys[below(run, sizeof keys / sizeof *keys)];
}

static enum tx_status write_some(struct crash_run *run, struct ktm_txn *txn, const char *path)
{
    enum tx_status status = txfs_open(txn, path, TXFS_WRITE, 0, &run->file, &run->err);
    if (status != TX_OK) {
        return status;
    }
    size_t size = 1 + below(run, 1500);
    MUST(run, txfs_pwrite(run->file, crash_bytes(run, size), size, below(run, 5000), &run->err));
    return crash_close_file(run);
}

static enum tx_status change_attr(struct crash_run *run, struct ktm_txn *txn, const char *path)
{
    struct txio_attr attr = {1 + below(run, 7), 0600 + below(run, 64), below(run, 4),
                             below(run, 4), 1000 + below(run, 9), 2000 + below(run, 9)};
    return txfs_set_attr(txn, path, &attr, &run->err);
}

/* What the operation answers does not matter: most of what cannot be done is refused. */
static enum tx_status file_op(struct crash_run *run, struct ktm_txn *txn)
{
    const char *path = draw_path(run);
    const char *other = draw_path(run);
    size_t size = below(run, 5) == 0 ? 6000 + below(run, 3000) : below(run, 600);
    switch (below(run, 14)) {
    case 0:
    case 1:
        return txfs_put(txn, path, crash_bytes(run, size), size, NULL, &run->err);
    case 2:
        return txfs_unlink(txn, path, &run->err);
    case 3:
        return txfs_mkdir(txn, path, 0755, &run->err);
    case 4:
        return txfs_rmdir(txn, path, &run->err);
    case 5:
        return txfs_rename(txn, path, other, below(run, 3), &run->err);
    case 6:
        return txfs_rename(txn, path, other, TXIO_REPLACE, &run->err);
    case 7:
        return txfs_link(txn, path, other, &run->err);
    case 8:
        return txfs_symlink(txn, other, path, &run->err);
    case 9:
        return change_attr(run, txn, path);
    case 10:
        return txfs_set_xattr(txn, path, "user.r", crash_bytes(run, 9), 9, &run->err);
    case 11:
        return txfs_truncate(txn, path, below(run, 9000), &run->err);
    case 12:
        return txfs_remove_tree(txn, path, &run->err);
    default:
        return write_some(run, txn, path);
    }
}

static enum tx_status reg_op(struct crash_run *run, struct ktm_txn *txn)
{
    const char *key = draw_key(run);
    char name[] = "v0";
    name[1] = (char)('0' + below(run, 3));
    switch (below(run, 7)) {
    case 0:
        return txreg_create(txn, key, NULL, NULL, &run->err);
    case 1:
        return txreg_delete(txn, key, &run->err);
    case 2:
        return txreg_delete_tree(txn, key, &run->err);
    case 3:
        return txreg_rename(txn, key, below(run, 2) == 0 ? "Beta" : "M", &run->err);
    case 4:
        return txreg_unset(txn, key, name, &run->err);
    default:
        return txreg_set(txn, key, name, TXREG_BINARY, crash_bytes(run, below(run, 300)),
                         below(run, 300), &run->err);
    }
}

/* Refusals are part of the game; what breaks the store is not. */
static void expect_refusal(struct crash_run *run, enum tx_status status)
{
    if (status == TX_EIO || status == TX_ECORRUPT || status == TX_EPOISONED ||
        status == TX_EOUTCOME || status == TX_EPENDING || status == TX_ENOMEM ||
        status == TX_ENOSPC || (status != TX_OK && fault_fired(&run->fault) > 0)) {
        crash_failed(run, status, "random operation", __FILE__, __LINE__);
    }
}

static void random_txn(struct crash_run *run, bool registry)
{
    struct ktm_txn *txn = crash_begin(run);
    unsigned count = 1 + below(run, 4);
    for (unsigned i = 0; i < count; i++) {
        bool reg = registry && below(run, 3) == 0;
        expect_refusal(run, reg ? reg_op(run, txn) : file_op(run, txn));
    }
    crash_doing(run);
    expect_refusal(run, ktm_commit(txn, NULL, &run->err));
    crash_done(run);
}

void work_random_files(struct crash_run *run)
{
    for (int i = 0; i < 5; i++) {
        random_txn(run, false);
    }
}

void work_random_all(struct crash_run *run)
{
    for (int i = 0; i < 8; i++) {
        random_txn(run, true);
        if (below(run, 5) == 0) {
            MUST(run, txstore_checkpoint(run->store, &run->err));
        } else if (below(run, 6) == 0) {
            crash_close(run);
            crash_open(run);
        }
    }
}
