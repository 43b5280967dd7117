/* SPDX-License-Identifier: MIT */
/* Reading a tree from its root: each step proves the child by what its parent says of it. */
#include <string.h>

#include "txreg/txreg_internal.h"

void reg_tree_open(struct reg_tree *tree, struct txreg *reg, const struct reg_state *state)
{
    memset(tree, 0, sizeof(*tree));
    tree->reg = reg;
    tree->root = (struct reg_ref){state->root_page, state->root_seal};
    tree->root_level = state->height - 1;
}

void reg_tree_close(struct reg_tree *tree)
{
    for (unsigned i = 0; i < REG_HOT_PAGES; i++) {
        reg_page_drop(tree->hot[i]);
        tree->hot[i] = NULL;
    }
    reg_page_drop(tree->leaf);
    tree->leaf = NULL;
}

enum tx_status reg_tree_page(struct txreg *reg, struct reg_ref ref, unsigned level,
                             struct reg_page **page, struct tx_error *err)
{
    TX_AUTO_PTR(reg_page) read = NULL;
    TX_TRY(reg_cache_get(reg, ref, &read, err));
    unsigned kind = read->data[REG_AT_KIND];
    if (kind != (level == 0 ? REG_PAGE_LEAF : REG_PAGE_INNER)) {
        return reg_page_corrupt(err, ref.page, "not a page of the tree");
    }
    if (reg_page_level(read->data) != level) {
        return reg_page_corrupt(err, ref.page, "on the wrong level of the tree");
    }
    *page = TX_TAKE(read);
    return TX_OK;
}

/* An inner page, kept for the tree's next descents. */
static enum tx_status hot_page(struct reg_tree *tree, struct reg_ref ref, unsigned level,
                               const uint8_t **data, struct tx_error *err)
{
    struct reg_page **place = &tree->hot[ref.page % REG_HOT_PAGES];
    struct reg_page *page = *place;
    if (page == NULL || page->number != ref.page || page->seal != ref.seal ||
        reg_page_level(page->data) != level) {
        TX_TRY(reg_tree_page(tree->reg, ref, level, &page, err));
        reg_page_drop(*place);
        *place = page;
    }
    *data = page->data;
    return TX_OK;
}

/* Make the leaf that may hold the key the tree's current one. */
static enum tx_status go_to_leaf(struct reg_tree *tree, const struct reg_key *key,
                                 struct tx_error *err)
{
    struct reg_ref ref = tree->root;
    struct reg_page *leaf = NULL;
    for (unsigned level = tree->root_level; level > 0; level--) {
        const uint8_t *data;
        TX_TRY(hot_page(tree, ref, level, &data, err));
        ref = reg_page_ref(data, reg_page_find_child(data, key->bytes, key->size));
    }
    TX_TRY(reg_tree_page(tree->reg, ref, 0, &leaf, err));
    reg_page_drop(tree->leaf);
    tree->leaf = leaf;
    return TX_OK;
}

enum tx_status reg_tree_get(struct reg_tree *tree, const struct reg_key *key, struct reg_hit *hit,
                            struct tx_error *err)
{
    if (tree->leaf == NULL || !reg_page_spans(tree->leaf->data, key->bytes, key->size)) {
        TX_TRY(go_to_leaf(tree, key, err));
    }
    bool found;
    struct reg_page *leaf = tree->leaf;
    atomic_fetch_add_explicit(&leaf->refs, 1, memory_order_relaxed);
    unsigned index = reg_page_find(leaf->data, key->bytes, key->size, &found);
    reg_page_drop(hit->page);
    *hit = (struct reg_hit){leaf, NULL, 0};
    if (found) {
        struct reg_cell cell = reg_page_cell(leaf->data, index);
        hit->payload = cell.payload;
        hit->size = cell.payload_size;
    }
    return TX_OK;
}
