/* SPDX-License-Identifier: MIT */
/*
 * Changing a tree without changing a page of it: the first change to a page copies it under a new
 * number, which its parent, copied as well, then names. Copies stay in memory until
 * reg_writer_finish; until then references between them carry no seal.
 *
 * Changes come in the order of their keys, so the path to the last leaf serves the next change
 * too, as long as its key lies before the leaf's upper bound.
 */
#include <string.h>

#include "base/invariant.h"
#include "txreg/tree_write.h"

enum tx_status reg_writer_init(struct reg_writer *writer, struct txreg *reg,
                               const struct reg_state *state, tx_lsn lsn, tx_lsn next_lsn,
                               struct tx_error *err)
{
    *writer = (struct reg_writer){
        .reg = reg, .lsn = lsn, .next_lsn = next_lsn, .state = *state,
        .old_page_count = state->page_count, .bucket_count = 1024};
    writer->buckets = tx_alloc_zero(writer->bucket_count * sizeof(*writer->buckets));
    writer->items = tx_alloc(sizeof(*writer->items));
    if (writer->buckets == NULL || writer->items == NULL) {
        return tx_error_set(err, TX_ENOMEM, "no memory to change a tree");
    }
    return TX_OK;
}

void reg_writer_auto(struct reg_writer *writer)
{
    for (size_t i = 0; writer->buckets != NULL && i < writer->bucket_count; i++) {
        while (writer->buckets[i] != NULL) {
            struct reg_page *page = writer->buckets[i];
            writer->buckets[i] = page->next;
            reg_page_drop(page);
        }
    }
    for (size_t at = 0; at < writer->queue.size; at += sizeof(struct reg_page *)) {
        struct reg_page *page = NULL;
        memcpy(&page, writer->queue.data + at, sizeof(page));
        reg_page_drop(page);
    }
    tx_free(writer->buckets);
    tx_free(writer->items);
    tx_buf_release(&writer->queue);
    tx_buf_release(&writer->freed);
    tx_buf_release(&writer->spare);
    writer->buckets = NULL;
    writer->items = NULL;
}

/* A copy of the page that may be changed. */
static enum tx_status copy_page(struct reg_writer *writer, struct reg_ref ref, unsigned level,
                                struct reg_page **page, struct tx_error *err)
{
    TX_AUTO_PTR(reg_page) old = NULL;
    TX_TRY(reg_tree_page(writer->reg, ref, level, &old, err));
    TX_AUTO_PTR(reg_page) copy = reg_page_new(err);
    if (copy == NULL) {
        return TX_ENOMEM;
    }
    memcpy(copy->data, old->data, REG_PAGE_SIZE);
    TX_TRY(reg_writer_take_number(writer, &copy->number, err));
    tx_put32(copy->data + REG_AT_NUMBER, copy->number);
    tx_put64(copy->data + REG_AT_LSN, writer->lsn);
    TX_TRY(reg_writer_free_number(writer, ref.page, err));
    TX_TRY(reg_writer_add(writer, copy, err));
    *page = TX_TAKE(copy);
    return TX_OK;
}

static enum tx_status writable_page(struct reg_writer *writer, struct reg_ref ref, unsigned level,
                                    struct reg_page **page, struct tx_error *err)
{
    struct reg_page *written = reg_writer_find(writer, ref.page);
    if (written == NULL) {
        return copy_page(writer, ref, level, page, err);
    }
    if (reg_page_level(written->data) != level) {
        return reg_page_corrupt(err, ref.page, "free and in use at the same time");
    }
    *page = written;
    return TX_OK;
}

static void set_key(struct reg_key *key, const uint8_t *data, unsigned index)
{
    struct reg_cell cell = reg_page_cell(data, index);
    size_t prefix = reg_page_prefix(data);
    memcpy(key->bytes, data + REG_PAGE_SIZE - prefix, prefix);
    memcpy(key->bytes + prefix, cell.key, cell.key_size);
    key->size = (uint16_t)(prefix + cell.key_size);
}

static bool path_serves(const struct reg_writer *writer, const struct reg_key *key)
{
    return writer->path_valid &&
           reg_compare(key->bytes, key->size, writer->last.bytes, writer->last.size) >= 0 &&
           (!writer->has_upper ||
            reg_compare(key->bytes, key->size, writer->upper.bytes, writer->upper.size) < 0);
}

/* Make `path` lead to the leaf of the key, all of it writable. */
static enum tx_status descend(struct reg_writer *writer, const struct reg_key *key,
                              struct tx_error *err)
{
    if (path_serves(writer, key)) {
        return TX_OK;
    }
    unsigned level = writer->state.height - 1;
    struct reg_ref ref = {writer->state.root_page, writer->state.root_seal};
    struct reg_page *page = NULL;
    writer->path_valid = false;
    writer->has_upper = false;
    TX_TRY(writable_page(writer, ref, level, &page, err));
    writer->state.root_page = page->number;
    for (; level > 0; level--) {
        unsigned index = reg_page_find_child(page->data, key->bytes, key->size);
        writer->path[level] = (struct reg_step){page, index};
        if (index + 1 < reg_page_count(page->data)) {
            set_key(&writer->upper, page->data, index + 1);
            writer->has_upper = true;
        }
        struct reg_page *child = NULL;
        ref = reg_page_ref(page->data, index);
        TX_TRY(writable_page(writer, ref, level - 1, &child, err));
        reg_page_set_ref(page, index, (struct reg_ref){child->number, 0});
        page = child;
    }
    writer->path[0] = (struct reg_step){page, 0};
    writer->last.size = key->size;
    memcpy(writer->last.bytes, key->bytes, key->size);
    writer->path_valid = true;
    return TX_OK;
}

enum tx_status reg_writer_get(struct reg_writer *writer, const struct reg_key *key,
                              struct reg_hit *hit, struct tx_error *err)
{
    bool found;
    TX_TRY(descend(writer, key, err));
    const uint8_t *data = writer->path[0].page->data;
    unsigned index = reg_page_find(data, key->bytes, key->size, &found);
    *hit = (struct reg_hit)REG_HIT_INIT;
    if (found) {
        struct reg_cell cell = reg_page_cell(data, index);
        *hit = (struct reg_hit){NULL, cell.payload, cell.payload_size};
    }
    return TX_OK;
}

enum tx_status reg_writer_put(struct reg_writer *writer, const struct reg_key *key,
                              const uint8_t *payload, size_t size, struct tx_error *err)
{
    bool found;
    TX_INVARIANT(REG_CELL_HEAD + key->size + size <= REG_CELL_MAX);
    TX_TRY(descend(writer, key, err));
    struct reg_page *leaf = writer->path[0].page;
    unsigned index = reg_page_find(leaf->data, key->bytes, key->size, &found);
    bool fits = found ? reg_page_replace(leaf, index, payload, size)
                      : reg_page_insert(leaf, index, key->bytes, key->size, payload, size);
    if (!found) {
        bool is_last = index + (fits ? 1u : 0u) == reg_page_count(leaf->data);
        leaf->appends = is_last ? (uint16_t)(leaf->appends + 1) : 0;
    }
    if (fits) {
        return TX_OK;
    }
    struct reg_change change = {key->bytes, key->size, payload, size};
    return reg_writer_place(writer, 0, index, found ? REG_REPLACE : REG_INSERT, &change, err);
}

enum tx_status reg_writer_remove(struct reg_writer *writer, const struct reg_key *key,
                                 struct tx_error *err)
{
    bool found;
    TX_TRY(descend(writer, key, err));
    struct reg_page *leaf = writer->path[0].page;
    unsigned index = reg_page_find(leaf->data, key->bytes, key->size, &found);
    if (!found) {
        return TX_OK;
    }
    reg_page_remove(leaf, index);
    leaf->appends = 0;
    return reg_writer_shrink(writer, err);
}
