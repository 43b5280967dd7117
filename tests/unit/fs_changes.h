/* SPDX-License-Identifier: MIT */
/*
 * One of every kind of change that a transaction makes, to be failed at any point:
 *
 *     fs_changes_plant(f.root);
 *     change->before(txn, &f.err), may be NULL;    change->make(txn, &f.err);
 *     fs_changes_close();                          handles that `before` left open
 */
#ifndef TEST_FS_CHANGES_H
#define TEST_FS_CHANGES_H

#include "fs_fixture.h"

#define FS_CHANGES_BIG "more than the eight bytes that travel inline"

typedef enum tx_status fs_change_fn(struct ktm_txn *txn, struct tx_error *err);

struct fs_change {
    const char *name;
    fs_change_fn *before; /* what the transaction did already */
    fs_change_fn *make;
    bool in_steps; /* several changes in one call: those that were made stay */
};

extern const struct fs_change fs_changes[];
extern const size_t fs_change_count;

/* The tree that they work on: files (two names of one among them), directories, a link. */
void fs_changes_plant(int root);
/* Everything of that tree is read, by each call that reads. */
enum tx_status fs_changes_look(struct ktm_txn *txn, struct tx_error *err);
/* A little of everything, for the vote. */
enum tx_status fs_changes_all(struct ktm_txn *txn, struct tx_error *err);
/* Close the handles that a change has left open; the first failure. */
enum tx_status fs_changes_close(struct tx_error *err);

#endif
