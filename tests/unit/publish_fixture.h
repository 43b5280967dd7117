/* SPDX-License-Identifier: MIT */
/*
 * A root with a store that can be closed and opened again, and left as a killed process leaves it:
 *
 *     PUBLISH_FIXTURE(f, 8);                  declares f; history of 8 commits
 *     struct ktm_txn *txn = pub_begin(f);
 *     pub_put(f, txn, "a", "text");
 *     pub_commit(f, txn);
 *     pub_die(f);           no checkpoint, nothing said to the log
 *     pub_open(f);          recovers
 */
#ifndef TEST_PUBLISH_FIXTURE_H
#define TEST_PUBLISH_FIXTURE_H

#include <criterion/criterion.h>
#include <string.h>

#include "sim/layer.h"
#include "temp_dir.h"
#include "txfs/publish_internal.h"

#define PUB_FOREIGN_MAX 16

struct publish_fixture {
    struct temp_dir temp;
    int root;
    int store;
    uint32_t history;
    struct layer layer; /* over the system; its functions are the test's */
    struct txio system; /* the system, with the device numbers of objects moved by device_shift */
    struct txio_ops system_ops;
    uint64_t device_shift;
    void *log_shared;
    void *tm_shared;
    struct txlog *log;
    struct txfs *fs;
    struct ktm *tm;
    struct tx_error err;
    bool without_counts; /* dump no link counts: names kept in undo/ count too */
    unsigned foreign_count;
    char foreign_path[PUB_FOREIGN_MAX][128];
    char foreign_kept[PUB_FOREIGN_MAX][128];
};

/* The error text of the call that failed comes with the failure; `f` is the fixture. */
#define must(call)                                                                                 \
    do {                                                                                           \
        enum tx_status must_ = (call);                                                             \
        cr_assert(must_ == TX_OK, "%s:%d: %s: %s", __FILE__, __LINE__, tx_status_name(must_),      \
                  f->err.text);                                                                    \
    } while (0)

#define PUBLISH_FIXTURE(f, kept)                                                                   \
    TX_AUTO(publish_fixture) f##_fixture;                                                          \
    struct publish_fixture *f = &f##_fixture;                                                      \
    publish_fixture_init(f, kept)

void publish_fixture_init(struct publish_fixture *f, uint32_t history);
void publish_fixture_auto(struct publish_fixture *f);
void pub_open(struct publish_fixture *f);
void pub_die(struct publish_fixture *f);

/* Of a function of the fixture's layer. */
struct publish_fixture *pub_of(struct layer *layer);

struct ktm_txn *pub_begin(struct publish_fixture *f);
tx_lsn pub_commit(struct publish_fixture *f, struct ktm_txn *txn);
typedef void pub_change_fn(struct publish_fixture *f, struct ktm_txn *txn);
tx_lsn pub_commit_change(struct publish_fixture *f, pub_change_fn *change);
/* How many commits the history shows. */
enum tx_status pub_count_history(struct publish_fixture *f, unsigned *count);
/* All with fixed times, so that two runs end alike. */
void pub_put(struct publish_fixture *f, struct ktm_txn *txn, const char *path, const char *text);
void pub_put_bytes(struct publish_fixture *f, struct ktm_txn *txn, const char *path, size_t size,
                   int seed);
void pub_time(struct publish_fixture *f, struct ktm_txn *txn, const char *path);
void pub_write(struct publish_fixture *f, struct ktm_txn *txn, const char *path, uint64_t offset,
               const char *text);
bool pub_reads(struct publish_fixture *f, struct ktm_txn *txn, const char *path, const char *text);

/* The commit that a transaction would make, at a made-up LSN, for txfs_redo. The entries live as
 * long as the transaction stays as it is. */
struct ktm_commit_info pub_commit_of(struct ktm_txn *txn, tx_lsn lsn);

/* Everything below the root but the store, one line per object: type, mode, owner, size, content,
 * target, extended attributes, which names are one inode; mtime, but of directories only if their
 * name begins with "timed". free() it. */
char *pub_dump(struct publish_fixture *f);
void pub_assert_same(const char *is, const char *wanted, const char *when);

/* Text of a file below the root as the system shows it, "" when there is none; static buffer. */
const char *pub_text(struct publish_fixture *f, const char *path);
struct stat pub_stat(struct publish_fixture *f, const char *path); /* st_ino 0: none */
void pub_foreign(struct publish_fixture *f, const char *path, const char *text); /* write(2) it */
bool pub_in_store(struct publish_fixture *f, const char *path);
void pub_flip(struct publish_fixture *f, const char *path, off_t offset); /* a bit, in the store */
bool pub_was_told(const struct publish_fixture *f, const char *path, const char *kept_prefix);

/* A tree, and a transaction over it, with something of everything (no moves / only moves). */
void pub_make_tree(struct publish_fixture *f);
void pub_change_all(struct publish_fixture *f, struct ktm_txn *txn);
void pub_change_again(struct publish_fixture *f, struct ktm_txn *txn);
void pub_move_all(struct publish_fixture *f, struct ktm_txn *txn);

/* Directories below "d", `levels` deep, with names of 250 bytes; `path` is the last one's. */
#define PUB_DEEP_MAX 8192
void pub_make_deep(struct publish_fixture *f, unsigned levels, char path[PUB_DEEP_MAX]);

/* Let the process end itself before its k-th changing operation (1 is the first). */
void pub_kill_at(struct publish_fixture *f, uint64_t k);
#define PUB_KILLED 77

#endif
