/* SPDX-License-Identifier: MIT */
/*
 * Walking a tree in order. The cursor remembers its place on every level and never searches again,
 * and every key must be greater than the one before: so a damaged tree cannot make it go in
 * circles.
 */
#include <string.h>

#include "txreg/txreg_internal.h"

void reg_cursor_init(struct reg_cursor *cursor, struct reg_tree *tree)
{
    memset(cursor, 0, sizeof(*cursor));
    cursor->tree = tree;
}

void reg_cursor_auto(struct reg_cursor *cursor)
{
    for (unsigned i = 0; i <= REG_LEVEL_MAX; i++) {
        reg_page_drop(cursor->at[i].page);
        cursor->at[i].page = NULL;
    }
}

static enum tx_status load_level(struct reg_cursor *cursor, struct reg_ref ref, unsigned level,
                                 struct tx_error *err)
{
    struct reg_page *page = NULL;
    TX_TRY(reg_tree_page(cursor->tree->reg, ref, level, &page, err));
    reg_page_drop(cursor->at[level].page);
    cursor->at[level].page = page;
    cursor->at[level].index = 0;
    return TX_OK;
}

/* Down from `level` along first cells. */
static enum tx_status descend_left(struct reg_cursor *cursor, unsigned level, struct tx_error *err)
{
    for (; level > 0; level--) {
        struct reg_ref ref = reg_page_ref(cursor->at[level].page->data, cursor->at[level].index);
        TX_TRY(load_level(cursor, ref, level - 1, err));
    }
    return TX_OK;
}

/* Make the leaf's cell current; go to the next leaf when the index is past the last. */
static enum tx_status settle(struct reg_cursor *cursor, struct tx_error *err)
{
    unsigned level = 0;
    while (cursor->at[level].index >= reg_page_count(cursor->at[level].page->data)) {
        if (level == cursor->tree->root_level) {
            cursor->valid = false;
            return TX_OK;
        }
        level++;
        cursor->at[level].index++;
    }
    TX_TRY(descend_left(cursor, level, err));
    const uint8_t *data = cursor->at[0].page->data;
    struct reg_cell cell = reg_page_cell(data, cursor->at[0].index);
    size_t prefix = reg_page_prefix(data);
    struct reg_key key = {.size = (uint16_t)(prefix + cell.key_size)};
    memcpy(key.bytes, data + REG_PAGE_SIZE - prefix, prefix);
    memcpy(key.bytes + prefix, cell.key, cell.key_size);
    if (key.size < REG_KEY_HEAD) {
        return reg_page_corrupt(err, cursor->at[0].page->number, "key too short");
    }
    if (cursor->valid &&
        reg_compare(key.bytes, key.size, cursor->key.bytes, cursor->key.size) <= 0) {
        return reg_page_corrupt(err, cursor->at[0].page->number, "keys are not in order");
    }
    cursor->key.size = key.size;
    memcpy(cursor->key.bytes, key.bytes, key.size);
    cursor->payload = cell.payload;
    cursor->payload_size = cell.payload_size;
    cursor->valid = true;
    return TX_OK;
}

enum tx_status reg_cursor_seek(struct reg_cursor *cursor, const uint8_t *key, size_t key_size,
                               struct tx_error *err)
{
    struct reg_tree *tree = cursor->tree;
    bool found;
    cursor->valid = false;
    TX_TRY(load_level(cursor, tree->root, tree->root_level, err));
    for (unsigned level = tree->root_level; level > 0; level--) {
        const uint8_t *data = cursor->at[level].page->data;
        cursor->at[level].index = reg_page_find_child(data, key, key_size);
        TX_TRY(load_level(cursor, reg_page_ref(data, cursor->at[level].index), level - 1, err));
    }
    cursor->at[0].index = reg_page_find(cursor->at[0].page->data, key, key_size, &found);
    return settle(cursor, err);
}

enum tx_status reg_cursor_next(struct reg_cursor *cursor, struct tx_error *err)
{
    cursor->at[0].index++;
    return settle(cursor, err);
}
