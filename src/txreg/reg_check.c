/* SPDX-License-Identifier: MIT */
/*
 * Reading every byte of an image: both root slots, every page of the tree from its root, and every
 * page that nothing refers to, which must be whole or all zero.
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "txreg/reg_check.h"

void reg_check_fault(struct reg_check *check, uint32_t page, const char *format, ...)
{
    char text[TX_ERROR_TEXT_SIZE];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    check->faults++;
    if (check->fn != NULL) {
        check->fn(check->arg, REG_IMAGE_PATH, (uint64_t)page * REG_PAGE_SIZE, text);
    }
}

/* Note that the tree uses the page; false when it may not be looked at (again). */
static bool claim(struct reg_check *check, uint32_t page, uint32_t by)
{
    if (page < REG_SLOT_PAGES || page >= check->used.count) {
        reg_check_fault(check, by, "refers to page %u, outside of the pages in use", page);
        return false;
    }
    if (!reg_page_set_add(&check->used, page)) {
        reg_check_fault(check, by, "refers to page %u, which is in use elsewhere", page);
        return false;
    }
    return true;
}

/* Faults of the image are reported; anything else ends the check. */
static enum tx_status survive(struct reg_check *check, uint32_t page, enum tx_status status,
                              const struct tx_error *err)
{
    if (status == TX_ECORRUPT) {
        reg_check_fault(check, page, "%s", err->text);
        return TX_OK;
    }
    return status;
}

struct claimer {
    struct reg_check *check;
    uint32_t leaf;
};

static enum tx_status claim_part(void *arg, struct reg_ref ref, unsigned level,
                                 struct tx_error *err)
{
    struct claimer *claimer = arg;
    struct reg_check *check = claimer->check;
    struct reg_page *page = NULL;
    if (!claim(check, ref.page, claimer->leaf) || level > 0) {
        return TX_OK; /* lists are read by the walk itself */
    }
    TX_TRY(reg_cache_get(check->reg, ref, &page, err));
    bool is_data = page->data[REG_AT_KIND] == REG_PAGE_DATA;
    reg_page_drop(page);
    return is_data ? TX_OK : reg_page_corrupt(err, ref.page, "not data of a large value");
}

static enum tx_status check_overflow(struct reg_check *check, uint32_t leaf,
                                     const struct reg_cell *cell, struct tx_error *err)
{
    struct reg_value value;
    struct claimer claimer = {check, leaf};
    TX_AUTO(tx_buf) content = TX_BUF_INIT;
    if (!reg_value_decode(&value, cell->payload, cell->payload_size) || !value.is_out) {
        return TX_OK;
    }
    uint64_t size = reg_value_out_size(&value);
    struct tx_error own;
    enum tx_status status =
        reg_overflow_each(check->reg, value.ref, size, claim_part, &claimer, &own);
    if (status == TX_OK) { /* also that every part has the size it must have */
        status = reg_overflow_read(check->reg, value.ref, size, 0, size, &content, &own);
    }
    if (status != TX_OK && status != TX_ECORRUPT) {
        return tx_error_set(err, status, "%s", own.text);
    }
    return survive(check, leaf, status, &own);
}

static enum tx_status check_leaf(struct reg_check *check, const struct reg_page *page,
                                 struct tx_error *err)
{
    const uint8_t *data = page->data;
    size_t prefix = reg_page_prefix(data);
    for (unsigned i = 0; i < reg_page_count(data); i++) {
        struct reg_cell cell = reg_page_cell(data, i);
        struct reg_key key = {.size = (uint16_t)(prefix + cell.key_size)};
        memcpy(key.bytes, data + REG_PAGE_SIZE - prefix, prefix);
        memcpy(key.bytes + prefix, cell.key, cell.key_size);
        TX_TRY(reg_check_record(check, page->number, &key, &cell, err));
        if (key.size >= REG_KEY_HEAD && (key.bytes[REG_KEY_HEAD - 1] == REG_VALUE ||
                                         key.bytes[REG_KEY_HEAD - 1] == REG_LONG_VALUE)) {
            TX_TRY(check_overflow(check, page->number, &cell, err));
        }
    }
    return TX_OK;
}

/* Free bytes between slots and cells are zero. */
static bool gap_is_zero(const uint8_t *data)
{
    size_t start = reg_slot_at(reg_page_count(data));
    size_t end = tx_get16(data + REG_AT_HEAP);
    return tx_is_zero(data + start, end - start);
}

struct step {
    struct reg_page *page;
    unsigned index;
};
struct steps {
    struct step at[REG_LEVEL_MAX + 1];
};
static inline void steps_auto(struct steps *steps)
{
    for (unsigned i = 0; i <= REG_LEVEL_MAX; i++) {
        reg_page_drop(steps->at[i].page);
    }
}

/* Load a page of the tree into its step; *usable is false when it is damaged, which is reported. */
static enum tx_status enter_page(struct reg_check *check, struct reg_ref ref, unsigned level,
                                 uint32_t parent, struct steps *steps, bool *usable,
                                 struct tx_error *err)
{
    struct step *step = &steps->at[level];
    reg_page_drop(step->page);
    *step = (struct step){NULL, 0};
    *usable = false;
    if (!claim(check, ref.page, parent)) {
        return TX_OK;
    }
    struct tx_error own;
    enum tx_status status = reg_tree_page(check->reg, ref, level, &step->page, &own);
    if (status != TX_OK) {
        (void)tx_error_set(err, status, "%s", own.text);
        return survive(check, ref.page, status, &own);
    }
    const uint8_t *data = step->page->data;
    if (!gap_is_zero(data)) {
        reg_check_fault(check, ref.page, "free bytes are not zero");
    }
    if (tx_get64(data + REG_AT_LSN) > check->slot.lsn) {
        reg_check_fault(check, ref.page, "written after the steady point");
    }
    *usable = reg_page_count(data) > 0;
    if (!*usable && level + 1 < check->slot.state.height) {
        reg_check_fault(check, ref.page, "empty page in the tree");
    }
    return TX_OK;
}

/* The nearest separator left of the leaf just entered must lie behind the records before the leaf
 * and not behind its first. `last` is the record before. */
static void check_separator(struct reg_check *check, const struct steps *steps, unsigned root_level)
{
    unsigned level = 1;
    while (level <= root_level && steps->at[level].index == 1) { /* indexes have moved on */
        level++;
    }
    if (level > root_level) {
        return;
    }
    const struct step *parent = &steps->at[level];
    const uint8_t *data = parent->page->data;
    struct reg_cell cell = reg_page_cell(data, parent->index - 1);
    size_t prefix = reg_page_prefix(data);
    struct reg_key key = {.size = (uint16_t)(prefix + cell.key_size)};
    memcpy(key.bytes, data + REG_PAGE_SIZE - prefix, prefix);
    memcpy(key.bytes + prefix, cell.key, cell.key_size);
    bool found;
    if (reg_page_find(steps->at[0].page->data, key.bytes, key.size, &found) > 0 ||
        reg_compare(key.bytes, key.size, check->last.bytes, check->last.size) <= 0) {
        reg_check_fault(check, parent->page->number, "separator %u is in the wrong place",
                        parent->index - 1);
    }
}

static enum tx_status check_tree(struct reg_check *check, struct tx_error *err)
{
    TX_AUTO(steps) steps = {0};
    unsigned root_level = check->slot.state.height - 1;
    unsigned level = root_level;
    struct reg_ref ref = {check->slot.state.root_page, check->slot.state.root_seal};
    uint32_t parent = 0;
    for (;;) {
        bool usable;
        TX_TRY(enter_page(check, ref, level, parent, &steps, &usable, err));
        if (usable && level == 0) {
            check_separator(check, &steps, root_level);
            TX_TRY(check_leaf(check, steps.at[0].page, err));
        }
        if (!usable || level == 0) {
            level++;
        }
        while (level <= root_level &&
               steps.at[level].index == reg_page_count(steps.at[level].page->data)) {
            level++;
        }
        if (level > root_level) {
            return TX_OK;
        }
        parent = steps.at[level].page->number;
        ref = reg_page_ref(steps.at[level].page->data, steps.at[level].index++);
        level--;
    }
}

static void check_counts(struct reg_check *check)
{
    uint32_t used = 0;
    for (uint32_t page = 0; page < check->used.count; page++) {
        used += reg_page_set_has(&check->used, page) ? 1 : 0;
    }
    if (used != check->slot.state.used_pages) {
        reg_check_fault(check, 0, "%u pages in use, the root slot says %u", used,
                        check->slot.state.used_pages);
    }
}

static enum tx_status check_image(struct reg_check *check, struct tx_error *err)
{
    bool usable;
    TX_TRY(reg_check_slots(check, &usable, err));
    if (!usable) {
        return TX_OK;
    }
    TX_TRY(reg_page_set_of_file(&check->used, check->reg, check->slot.state.page_count, err));
    TX_TRY(check_tree(check, err));
    if (check->faults == 0) { /* else what is missing would be reported once more */
        reg_check_keys(check);
        reg_check_free_list(check);
        check_counts(check);
    }
    return reg_check_free_pages(check, err);
}

static enum tx_status run_check(struct txio *io, int dir, bool is_clean, txreg_fault_fn *fn,
                                void *arg, uint64_t *faults, struct tx_error *err)
{
    struct txreg_options options = {.io = io, .store_dir = dir};
    struct reg_check *check = tx_alloc_zero(sizeof(*check));
    if (check == NULL) {
        return tx_error_set(err, TX_ENOMEM, "no memory to check the registry");
    }
    check->is_clean = is_clean;
    check->fn = fn;
    check->arg = arg;
    enum tx_status status = txreg_rm_open(&options, &check->reg, err);
    if (status == TX_OK) {
        status = check_image(check, err);
        txreg_rm_close(check->reg);
    } else if (status == TX_ECORRUPT) {
        reg_check_fault(check, 0, "missing");
        status = TX_OK;
    }
    if (status == TX_OK) {
        *faults = check->faults;
    }
    reg_page_set_auto(&check->used);
    tx_buf_release(&check->keys);
    tx_buf_release(&check->edges);
    tx_buf_release(&check->ordinals);
    tx_free(check);
    return status;
}

TX_API enum tx_status txreg_check(struct txio *io, int dir, txreg_fault_fn *fn, void *arg,
                                  uint64_t *faults, struct tx_error *err)
{
    return run_check(io, dir, true, fn, arg, faults, err);
}

TX_API enum tx_status txreg_check_unclean(struct txio *io, int dir, txreg_fault_fn *fn, void *arg,
                                          uint64_t *faults, struct tx_error *err)
{
    return run_check(io, dir, false, fn, arg, faults, err);
}
