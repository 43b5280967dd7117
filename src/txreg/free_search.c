/* SPDX-License-Identifier: MIT */
/*
 * Finding pages that nothing refers to.
 *
 * The ring lives in shared memory, so it is lost when the last process leaves; root slots keep its
 * first 900 pages, and what is missing beyond that is found by walking the tree. That is done in
 * the first redo after the ring was made: then the base state is the one that was opened, no other
 * state is read by anybody, and no page of it has been written anew.
 *
 * After a crash the same redo reads the whole file: a page that was being written when the power
 * went may be torn. It is blanked, so that afterwards every page is whole or zero again, as the
 * check demands. A damaged page that the tree needs is left alone, to be reported.
 */
#include <string.h>

#include "base/codec.h"
#include "base/hash.h"
#include "base/mutant.h"
#include "txreg/txreg_view.h"

#define SCAN_PAGES 64u       /* read at a time */
#define RING_ENOUGH 64u      /* pages in the ring that make a search idle */
#define LEAK_TOLERATED 1024u /* pages */

enum tx_status reg_page_set_init(struct reg_page_set *set, uint32_t count, struct tx_error *err)
{
    set->bits = tx_alloc_zero(count / 8 + 1);
    set->count = count;
    return set->bits != NULL ? TX_OK : tx_error_set(err, TX_ENOMEM, "no memory for a page set");
}

enum tx_status reg_page_set_of_file(struct reg_page_set *set, struct txreg *reg, uint32_t count,
                                    struct tx_error *err)
{
    struct txio_stat stat;
    TX_TRY(txio_stat_fd(reg->io, reg->fd, &stat, err));
    uint64_t pages = stat.size / REG_PAGE_SIZE;
    return reg_page_set_init(set, pages < count && !TX_MUTANT(137) ? (uint32_t)pages : count, err);
}

void reg_page_set_auto(struct reg_page_set *set)
{
    tx_free(set->bits);
    set->bits = NULL;
}

bool reg_page_set_add(struct reg_page_set *set, uint32_t page)
{
    if (page >= set->count || reg_page_set_has(set, page)) {
        return false;
    }
    set->bits[page / 8] = (uint8_t)(set->bits[page / 8] | 1u << page % 8);
    return true;
}

static enum tx_status mark(struct reg_page_set *set, uint32_t page, struct tx_error *err)
{
    if (page < REG_SLOT_PAGES || page >= set->count) {
        return reg_page_corrupt(err, page, "referred to, but outside of the pages in use");
    }
    return reg_page_set_add(set, page) ? TX_OK : reg_page_corrupt(err, page, "referred to twice");
}

static enum tx_status mark_overflow_page(void *arg, struct reg_ref ref, unsigned level,
                                         struct tx_error *err)
{
    (void)level;
    return mark(arg, ref.page, err);
}

static enum tx_status mark_leaf(struct txreg *reg, const uint8_t *data, struct reg_page_set *set,
                                struct tx_error *err)
{
    for (unsigned i = 0; i < reg_page_count(data); i++) {
        struct reg_cell cell = reg_page_cell(data, i);
        uint8_t kind = 0;
        struct reg_value value;
        size_t prefix = reg_page_prefix(data);
        if (prefix + cell.key_size >= REG_KEY_HEAD) {
            kind = prefix >= REG_KEY_HEAD ? data[REG_PAGE_SIZE - prefix + REG_KEY_HEAD - 1]
                                          : cell.key[REG_KEY_HEAD - 1 - prefix];
        }
        if (kind != REG_VALUE && kind != REG_LONG_VALUE) {
            continue;
        }
        if (!reg_value_decode(&value, cell.payload, cell.payload_size)) {
            return reg_page_corrupt(err, tx_get32(data + REG_AT_NUMBER), "malformed value");
        }
        if (value.is_out) {
            TX_TRY(reg_overflow_each(reg, value.ref, reg_value_out_size(&value),
                                     mark_overflow_page, set, err));
        }
    }
    return TX_OK;
}

enum tx_status reg_mark_tree(struct txreg *reg, const struct reg_state *state,
                             struct reg_page_set *set, struct tx_error *err)
{
    TX_AUTO(reg_tree) tree;
    TX_AUTO(reg_cursor) walk;
    reg_tree_open(&tree, reg, state);
    reg_cursor_init(&walk, &tree);
    unsigned level = tree.root_level;
    struct reg_ref ref = tree.root;
    for (;;) {
        TX_TRY(mark(set, ref.page, err));
        reg_page_drop(walk.at[level].page);
        walk.at[level].page = NULL;
        TX_TRY(reg_tree_page(reg, ref, level, &walk.at[level].page, err));
        walk.at[level].index = 0;
        if (level == 0) {
            TX_TRY(mark_leaf(reg, walk.at[0].page->data, set, err));
            walk.at[0].index = reg_page_count(walk.at[0].page->data);
        }
        while (walk.at[level].index == reg_page_count(walk.at[level].page->data)) {
            if (level == tree.root_level) {
                return TX_OK;
            }
            level++;
        }
        ref = reg_page_ref(walk.at[level].page->data, walk.at[level].index++);
        level--;
    }
}

static enum tx_status write_zeros(struct txreg *reg, uint32_t page, struct tx_error *err)
{
    static const uint8_t zero[REG_PAGE_SIZE];
    struct iovec part = {(void *)(uintptr_t)zero, REG_PAGE_SIZE};
    return txio_write_full(reg->io, reg->fd, &part, 1, (uint64_t)page * REG_PAGE_SIZE, err);
}

/* Collect the pages of the file that are neither whole nor zero. */
static enum tx_status find_torn(struct txreg *reg, struct tx_buf *torn, struct tx_error *err)
{
    TX_AUTO(tx_buf) chunk = TX_BUF_INIT;
    uint8_t *data;
    TX_TRY(tx_buf_extend(&chunk, SCAN_PAGES * REG_PAGE_SIZE, &data, err));
    for (uint32_t page = REG_SLOT_PAGES;; page += SCAN_PAGES) {
        int64_t size = reg->io->ops->pread(reg->io, reg->fd, data, SCAN_PAGES * REG_PAGE_SIZE,
                                           (uint64_t)page * REG_PAGE_SIZE);
        if (size < 0) {
            return tx_error_os(err, (int)-size, "%s: read", REG_IMAGE_PATH);
        }
        size_t got = (size_t)size;
        memset(data + got, 0, SCAN_PAGES * REG_PAGE_SIZE - got);
        uint32_t count = (uint32_t)((got + REG_PAGE_SIZE - 1) / REG_PAGE_SIZE);
        for (uint32_t i = 0; i < count; i++) {
            const uint8_t *at = data + (size_t)i * REG_PAGE_SIZE;
            bool is_cut = got < (i + 1) * (size_t)REG_PAGE_SIZE;
            bool is_zero = !is_cut && tx_is_zero(at, REG_PAGE_SIZE);
            if (is_cut || (!is_zero && reg_page_fault(at, page + i) != NULL)) {
                TX_TRY(tx_buf_put32(torn, page + i, err));
            }
        }
        if (got < SCAN_PAGES * REG_PAGE_SIZE) {
            return TX_OK; /* a short read in the middle only means less mending */
        }
    }
}

static enum tx_status mend(struct txreg *reg, const struct reg_page_set *used,
                           const struct tx_buf *torn, struct tx_error *err)
{
    for (size_t at = 0; at < torn->size; at += 4) {
        uint32_t page = tx_get32(torn->data + at);
        if (!reg_page_set_has(used, page)) {
            /* Crash here: the page is torn still or blank; nothing refers to it. */
            TX_TRY(write_zeros(reg, page, err));
        }
    }
    return TX_OK;
}

static void fill_ring(struct txreg *reg, const struct reg_page_set *used)
{
    tx_lsn anybody = 0; /* needed by no state at all */
    reg_ring_empty(reg->shared);
    for (uint32_t page = REG_SLOT_PAGES; page < used->count; page++) {
        if (reg_ring_count(reg->shared) == REG_RING_SIZE) {
            return;
        }
        if (!reg_page_set_has(used, page)) {
            reg_ring_push(reg->shared, page, anybody);
        }
    }
}

static bool is_leaking(struct txreg *reg, const struct reg_state *state)
{
    uint32_t known = reg_ring_count(reg->shared);
    uint64_t taken = (uint64_t)state->used_pages + REG_SLOT_PAGES + known;
    uint64_t leaked = taken < state->page_count ? state->page_count - taken : 0;
    return known < RING_ENOUGH && leaked > LEAK_TOLERATED && leaked > state->used_pages / 4;
}

enum tx_status reg_search_free(struct txreg *reg, const struct reg_state *state,
                               enum ktm_redo_mode mode, struct tx_error *err)
{
    TX_AUTO(tx_buf) torn = TX_BUF_INIT;
    TX_AUTO(reg_page_set) used = {NULL, 0};
    if (mode == KTM_REDO_RECOVER) {
        TX_TRY(find_torn(reg, &torn, err));
    }
    if (torn.size == 0 && !is_leaking(reg, state)) {
        return TX_OK;
    }
    TX_TRY(reg_page_set_of_file(&used, reg, state->page_count, err));
    enum tx_status status = reg_mark_tree(reg, state, &used, err);
    if (status == TX_ECORRUPT) {
        return TX_OK; /* who needs the damaged page will say so; what is free cannot be told */
    }
    TX_TRY(status);
    TX_TRY(mend(reg, &used, &torn, err));
    fill_ring(reg, &used);
    return TX_OK;
}
