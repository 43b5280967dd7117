/* SPDX-License-Identifier: MIT */
/*
 * Splitting and merging pages that are being written. Every loop here climbs one level per turn,
 * and levels are at most REG_LEVEL_MAX.
 */
#include <string.h>

#include "base/invariant.h"
#include "txreg/tree_write.h"

#define SMALL_PAGE (REG_PAGE_ROOM / 3u)             /* below: look for a neighbour */
#define MERGED_MAX (REG_PAGE_ROOM - REG_PAGE_ROOM / 8u) /* so that a merger does not split again */
#define APPENDS_IN_A_ROW 3u

static enum tx_status new_page(struct reg_writer *writer, unsigned level, struct reg_page **page,
                               struct tx_error *err)
{
    uint32_t number;
    TX_AUTO_PTR(reg_page) fresh = reg_page_new(err);
    if (fresh == NULL) {
        return TX_ENOMEM;
    }
    TX_TRY(reg_writer_take_number(writer, &number, err));
    reg_page_format(fresh, number, level == 0 ? REG_PAGE_LEAF : REG_PAGE_INNER, level, writer->lsn);
    TX_TRY(reg_writer_add(writer, fresh, err));
    *page = TX_TAKE(fresh);
    return TX_OK;
}

static void encode_ref(uint8_t bytes[REG_REF_SIZE], uint32_t page)
{
    tx_put32(bytes, page);
    tx_put64(bytes + 4, 0);
}

static enum tx_status grow_root(struct reg_writer *writer, const struct reg_page *left,
                                const struct reg_change *right, struct tx_error *err)
{
    struct reg_page *root = NULL;
    uint8_t ref[REG_REF_SIZE];
    if (writer->state.height > REG_LEVEL_MAX) {
        return tx_error_set(err, TX_ELIMIT, "the registry's tree is too high");
    }
    TX_TRY(new_page(writer, writer->state.height, &root, err));
    encode_ref(ref, left->number);
    bool has_left = reg_page_insert(root, 0, right->key, 0, ref, sizeof(ref));
    bool has_right = reg_page_insert(root, 1, right->key, right->key_size, right->payload,
                                     right->size);
    TX_INVARIANT(has_left && has_right);
    writer->state.root_page = root->number;
    writer->state.root_seal = 0;
    writer->state.height++;
    return TX_OK;
}

/* Divide the items over `left` and a new page; *change becomes the cell that names the new one. */
static enum tx_status divide(struct reg_writer *writer, unsigned level, bool at_end,
                             struct reg_page *left, struct reg_key *separator,
                             uint8_t ref[REG_REF_SIZE], struct tx_error *err)
{
    struct reg_items *items = writer->items;
    struct reg_page *right = NULL;
    TX_TRY(new_page(writer, level, &right, err));
    unsigned cut = reg_items_cut(items, at_end);
    separator->size = (uint16_t)reg_items_separator(items, cut, separator->bytes);
    reg_items_build(items, cut, items->count, right);
    reg_items_build(items, 0, cut, left);
    right->appends = at_end ? left->appends : 0;
    left->appends = 0;
    encode_ref(ref, right->number);
    return TX_OK;
}

static void gather(struct reg_writer *writer, const struct reg_page *page, unsigned level,
                   unsigned index, enum reg_placing placing, const struct reg_change *change)
{
    struct reg_items *items = writer->items;
    reg_items_begin(items, level > 0);
    reg_items_load(items, page->data);
    if (placing == REG_REPLACE) {
        items->item[index].payload = change->payload;
        items->item[index].payload_size = (uint16_t)change->size;
    } else {
        reg_items_insert(items, index, change->key, change->key_size, change->payload,
                         change->size);
    }
    reg_items_measure(items);
}

enum tx_status reg_writer_place(struct reg_writer *writer, unsigned level, unsigned index,
                                enum reg_placing placing, const struct reg_change *change,
                                struct tx_error *err)
{
    struct reg_key separator[2]; /* the one being placed and the next */
    uint8_t ref[2][REG_REF_SIZE];
    struct reg_change current = *change;
    for (;; level++) {
        struct reg_page *page = writer->path[level].page;
        if (level > 0 && !reg_page_admits(page->data, index, current.key, current.key_size)) {
            return reg_page_corrupt(err, page->number, "keys are not in order");
        }
        if (level > 0 && reg_page_insert(page, index, current.key, current.key_size,
                                         current.payload, current.size)) {
            return TX_OK;
        }
        gather(writer, page, level, index, placing, &current);
        if (reg_items_size(writer->items, 0, writer->items->count) <= REG_PAGE_ROOM) {
            reg_items_build(writer->items, 0, writer->items->count, page);
            return TX_OK;
        }
        bool at_end = placing == REG_INSERT && index + 1 == writer->items->count &&
                      (level > 0 || !writer->has_upper || page->appends >= APPENDS_IN_A_ROW);
        struct reg_key *key = &separator[level % 2];
        writer->path_valid = false;
        TX_TRY(divide(writer, level, at_end, page, key, ref[level % 2], err));
        current = (struct reg_change){key->bytes, key->size, ref[level % 2], REG_REF_SIZE};
        placing = REG_INSERT;
        if (level + 1 == writer->state.height) {
            return grow_root(writer, page, &current, err);
        }
        index = writer->path[level + 1].index + 1;
    }
}

/* A page of the tree, written or not, to look at. */
static enum tx_status peek_page(struct reg_writer *writer, struct reg_ref ref, unsigned level,
                                struct reg_page **page, struct tx_error *err)
{
    struct reg_page *written = reg_writer_find(writer, ref.page);
    if (written == NULL) {
        return reg_tree_page(writer->reg, ref, level, page, err);
    }
    if (reg_page_level(written->data) != level) {
        return reg_page_corrupt(err, ref.page, "free and in use at the same time");
    }
    atomic_fetch_add_explicit(&written->refs, 1, memory_order_relaxed);
    *page = written;
    return TX_OK;
}

static enum tx_status discard_page(struct reg_writer *writer, uint32_t number,
                                   struct tx_error *err)
{
    struct reg_page *written = reg_writer_find(writer, number);
    if (written == NULL) {
        return reg_writer_free_number(writer, number, err);
    }
    reg_writer_forget(writer, written);
    writer->state.used_pages--;
    return tx_buf_put32(&writer->spare, number, err);
}

/* Take the cells of both pages, neighbours under `parent` at index and index + 1; tell whether
 * they fit in one page. */
static enum tx_status gather_two(struct reg_writer *writer, unsigned level,
                                 const struct reg_step *parent, const struct reg_page *left,
                                 const struct reg_page *right, struct reg_key *between,
                                 bool *fits, struct tx_error *err)
{
    struct reg_items *items = writer->items;
    reg_items_begin(items, level > 0);
    reg_items_load(items, left->data);
    unsigned first = items->count;
    reg_items_load(items, right->data);
    if (level > 0) { /* the least key of the right page stands in the parent */
        const uint8_t *data = parent->page->data;
        struct reg_cell cell = reg_page_cell(data, parent->index + 1);
        size_t prefix = reg_page_prefix(data);
        memcpy(between->bytes, data + REG_PAGE_SIZE - prefix, prefix);
        memcpy(between->bytes + prefix, cell.key, cell.key_size);
        reg_items_set_key(items, first, between->bytes, prefix + cell.key_size);
    }
    if (!reg_items_ordered(items, first)) {
        return reg_page_corrupt(err, right->number, "keys are not in order");
    }
    reg_items_measure(items);
    *fits = reg_items_size(items, 0, items->count) <= MERGED_MAX;
    return TX_OK;
}

/* Merge the path's page of this level with its right (offset 0) or left (offset 1) neighbour. */
static enum tx_status merge_with(struct reg_writer *writer, unsigned level, unsigned offset,
                                 bool *merged, struct tx_error *err)
{
    struct reg_page *page = writer->path[level].page;
    struct reg_step *parent = &writer->path[level + 1];
    struct reg_step pair = {parent->page, parent->index - offset};
    struct reg_ref ref = reg_page_ref(pair.page->data, offset == 0 ? pair.index + 1 : pair.index);
    struct reg_key between;
    TX_AUTO_PTR(reg_page) other = NULL;
    TX_TRY(peek_page(writer, ref, level, &other, err));
    const struct reg_page *left = offset == 0 ? page : other;
    const struct reg_page *right = offset == 0 ? other : page;
    TX_TRY(gather_two(writer, level, &pair, left, right, &between, merged, err));
    if (*merged) {
        reg_items_build(writer->items, 0, writer->items->count, page);
        reg_page_set_ref(pair.page, pair.index, (struct reg_ref){page->number, 0});
        reg_page_remove(pair.page, pair.index + 1);
        return discard_page(writer, ref.page, err);
    }
    return TX_OK;
}

/* Deal with a page that lost a cell; *done when its parent did not lose one. */
static enum tx_status shrink_level(struct reg_writer *writer, unsigned level, bool *done,
                                   struct tx_error *err)
{
    struct reg_page *page = writer->path[level].page;
    struct reg_step *parent = &writer->path[level + 1];
    bool merged = false;
    *done = false;
    if (reg_page_count(page->data) == 0) {
        writer->path_valid = false;
        reg_page_remove(parent->page, parent->index);
        return discard_page(writer, page->number, err);
    }
    if (reg_page_used(page->data) >= SMALL_PAGE) {
        *done = true;
        return TX_OK;
    }
    if (parent->index + 1 < reg_page_count(parent->page->data)) {
        TX_TRY(merge_with(writer, level, 0, &merged, err));
    }
    if (!merged && parent->index > 0) {
        TX_TRY(merge_with(writer, level, 1, &merged, err));
    }
    writer->path_valid = writer->path_valid && !merged;
    *done = !merged;
    return TX_OK;
}

/* A root with one child makes way for it. */
static enum tx_status lower_root(struct reg_writer *writer, struct tx_error *err)
{
    while (writer->state.height > 1) {
        unsigned level = writer->state.height - 1;
        struct reg_ref ref = {writer->state.root_page, writer->state.root_seal};
        TX_AUTO_PTR(reg_page) root = NULL;
        TX_TRY(peek_page(writer, ref, level, &root, err));
        if (reg_page_count(root->data) > 1) {
            return TX_OK;
        }
        struct reg_ref child = reg_page_ref(root->data, 0);
        TX_TRY(discard_page(writer, ref.page, err));
        writer->path_valid = false;
        writer->state.root_page = child.page;
        writer->state.root_seal = child.seal;
        writer->state.height--;
    }
    return TX_OK;
}

enum tx_status reg_writer_shrink(struct reg_writer *writer, struct tx_error *err)
{
    bool done = false;
    for (unsigned level = 0; !done && level + 1 < writer->state.height; level++) {
        TX_TRY(shrink_level(writer, level, &done, err));
    }
    return lower_root(writer, err);
}
