/* SPDX-License-Identifier: MIT */
/* Between tree_write.c and tree_shape.c: what changes the shape of a tree. */
#ifndef TXREG_TREE_WRITE_H
#define TXREG_TREE_WRITE_H

#include "txreg/txreg_internal.h"

struct reg_change {
    const uint8_t *key;
    size_t key_size;
    const uint8_t *payload;
    size_t size;
};

enum reg_placing { REG_INSERT, REG_REPLACE };

/* Put a cell into the page of `path` at this level though it does not fit as the page is. */
enum tx_status reg_writer_place(struct reg_writer *writer, unsigned level, unsigned index,
                                enum reg_placing placing, const struct reg_change *change,
                                struct tx_error *err) TX_CHECKED;
/* After a removal from the leaf of `path`: merge what became small, drop what became empty. */
enum tx_status reg_writer_shrink(struct reg_writer *writer, struct tx_error *err) TX_CHECKED;

#endif
