/* SPDX-License-Identifier: MIT */
/*
 * A root directory with log, transaction manager and files RM over it, without the store layer:
 *
 *     TX_AUTO(fs_fixture) f = fs_fixture_new();     f.root is the descriptor of the root
 *     struct ktm_txn *txn = fs_begin(&f);
 *     must(txfs_put(txn, "a", "x", 1, NULL, &f.err));
 */
#ifndef TEST_FS_FIXTURE_H
#define TEST_FS_FIXTURE_H

#include <criterion/criterion.h>
#include <string.h>

#include <txkit/fs.h>

#include "temp_dir.h"

struct fs_fixture {
    struct temp_dir temp;
    int root;
    int store;
    void *log_shared;
    void *tm_shared;
    struct txlog *log;
    struct txfs *fs;
    struct ktm *tm;
    struct tx_error err;
};

/* The error text of the call that failed comes with the failure; `f` is the fixture. */
#define must(call)                                                                                 \
    do {                                                                                           \
        enum tx_status must_ = (call);                                                             \
        cr_assert(must_ == TX_OK, "%s:%d: %s: %s", __FILE__, __LINE__, tx_status_name(must_),      \
                  f.err.text);                                                                     \
    } while (0)
#define refused(status, call)                                                                      \
    do {                                                                                           \
        enum tx_status got_ = (call);                                                              \
        cr_assert(got_ == (status), "%s:%d: %s instead of %s: %s", __FILE__, __LINE__,             \
                  tx_status_name(got_), #status, f.err.text);                                      \
    } while (0)

struct fs_fixture fs_fixture_new(void);
/* With limits: 0 means the default. */
struct fs_fixture fs_fixture_with(uint64_t inline_max, uint64_t inline_total_max);
/* The files RM (not the log) works through this seam. */
struct fs_fixture fs_fixture_on(struct txio *io, uint64_t inline_max, uint64_t inline_total_max);
void fs_fixture_auto(struct fs_fixture *f);
struct ktm_txn *fs_begin(struct fs_fixture *f);
struct ktm_txn *fs_begin_with(struct fs_fixture *f, uint32_t flags, const char *description);

/* In the view of `txn`. */
bool fs_exists(struct fs_fixture *f, struct ktm_txn *txn, const char *path);
bool fs_file_is(struct fs_fixture *f, struct ktm_txn *txn, const char *path, const char *text);
void fs_put(struct fs_fixture *f, struct ktm_txn *txn, const char *path, const char *text);
/* "a,b,c" of a directory; "!" and the status when it cannot be listed. */
const char *fs_list(struct fs_fixture *f, struct ktm_txn *txn, const char *path);
/* Kind of the last entry of a path, -1: none. */
int fs_last_kind(struct ktm_txn *txn, const char *path, struct txfs_change *change);

#endif
