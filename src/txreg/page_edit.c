/* SPDX-License-Identifier: MIT */
/*
 * Small changes to a page that is being written. They keep it readable but may leave dead bytes
 * between the cells; such a page is marked messy and rebuilt before it is sealed.
 */
#include <string.h>

#include "base/invariant.h"
#include "txreg/txreg_internal.h"

static size_t free_bytes(const uint8_t *data)
{
    return tx_get16(data + REG_AT_HEAP) - reg_slot_at(reg_page_count(data));
}

static void write_cell(struct reg_page *page, unsigned index, const uint8_t *key, size_t key_size,
                       const uint8_t *payload, size_t payload_size)
{
    uint8_t *data = page->data;
    size_t at = tx_get16(data + REG_AT_HEAP) - (REG_CELL_HEAD + key_size + payload_size);
    tx_put16(data + at, (uint16_t)key_size);
    tx_put16(data + at + 2, (uint16_t)payload_size);
    memmove(data + at + REG_CELL_HEAD, key, key_size);
    memmove(data + at + REG_CELL_HEAD + key_size, payload, payload_size);
    tx_put16(data + REG_AT_HEAP, (uint16_t)at);
    tx_put16(data + reg_slot_at(index), (uint16_t)at);
    tx_put16(data + reg_slot_at(index) + 2, reg_key_hint(key, key_size));
}

bool reg_page_insert(struct reg_page *page, unsigned index, const uint8_t *key, size_t key_size,
                     const uint8_t *payload, size_t payload_size)
{
    uint8_t *data = page->data;
    unsigned count = reg_page_count(data);
    size_t prefix = reg_page_prefix(data);
    TX_INVARIANT(index <= count && (index > 0 || key_size == 0 || reg_page_level(data) == 0));
    if (key_size < prefix || memcmp(key, data + REG_PAGE_SIZE - prefix, prefix) != 0) {
        return false;
    }
    key_size -= prefix;
    if (free_bytes(data) < REG_SLOT_SIZE + REG_CELL_HEAD + key_size + payload_size) {
        return false;
    }
    uint8_t *slot = data + reg_slot_at(index);
    memmove(slot + REG_SLOT_SIZE, slot, REG_SLOT_SIZE * (size_t)(count - index));
    tx_put16(data + REG_AT_COUNT, (uint16_t)(count + 1));
    write_cell(page, index, key + prefix, key_size, payload, payload_size);
    page->messy = page->messy || index < count;
    return true;
}

bool reg_page_replace(struct reg_page *page, unsigned index, const uint8_t *payload,
                      size_t payload_size)
{
    uint8_t *data = page->data;
    struct reg_cell cell = reg_page_cell(data, index);
    if (cell.payload_size == payload_size) {
        memcpy(data + (cell.payload - data), payload, payload_size);
        return true;
    }
    if (free_bytes(data) < REG_CELL_HEAD + (size_t)cell.key_size + payload_size) {
        return false;
    }
    write_cell(page, index, cell.key, cell.key_size, payload, payload_size);
    page->messy = true;
    return true;
}

void reg_page_remove(struct reg_page *page, unsigned index)
{
    uint8_t *data = page->data;
    unsigned count = reg_page_count(data);
    TX_INVARIANT(index < count);
    uint8_t *slot = data + reg_slot_at(index);
    memmove(slot, slot + REG_SLOT_SIZE, REG_SLOT_SIZE * (size_t)(count - index - 1));
    tx_put16(data + REG_AT_COUNT, (uint16_t)(count - 1));
    page->messy = true;
    if (reg_page_level(data) > 0 && index == 0 && count > 1) {
        /* What is first now means "least"; its key goes. */
        struct reg_cell cell = reg_page_cell(data, 0);
        uint8_t *head = data + (cell.key - data) - REG_CELL_HEAD;
        memmove(head + REG_CELL_HEAD, cell.payload, cell.payload_size);
        tx_put16(head, 0);
        tx_put16(data + reg_slot_at(0) + 2, 0);
    }
}

void reg_page_set_ref(struct reg_page *page, unsigned index, struct reg_ref ref)
{
    struct reg_cell cell = reg_page_cell(page->data, index);
    uint8_t *at = page->data + (cell.payload - page->data);
    TX_INVARIANT(cell.payload_size == REG_REF_SIZE);
    tx_put32(at, ref.page);
    tx_put64(at + 4, ref.seal);
}
