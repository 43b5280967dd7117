/* SPDX-License-Identifier: MIT */
/*
 * The same random operations on the view of a transaction and, by plain system calls, on a copy of
 * the tree; and a comparison of the two.
 */
#ifndef TEST_FS_MODEL_H
#define TEST_FS_MODEL_H

#include "fs_fixture.h"

struct fs_model {
    struct fs_fixture *f;
    struct ktm_txn *txn;
    int dir;          /* the copy */
    uint64_t seed;    /* advances with every draw */
    unsigned step;
    char last[600];   /* the last operation, for messages */
};

/* A number below `limit`. */
unsigned fs_draw(struct fs_model *model, unsigned limit);
/* Files, links and directories to begin with, in any directory. */
void fs_model_plant(int dir);
/* One operation on both sides; both have to succeed or both to fail. */
void fs_model_step(struct fs_model *model);
/* Every name, type, mode, content, link text and user attribute is the same on both sides. */
void fs_model_compare(struct fs_model *model);
/* What `txn` sees, as a text; the caller releases it. */
struct tx_buf;
void fs_model_describe(struct fs_model *model, struct ktm_txn *txn, struct tx_buf *out);
/* The same of two real directories; `skip` (may be NULL) is left out at the top of the first. */
void fs_trees_same(int a, int b, const char *skip);

#endif
