/* SPDX-License-Identifier: MIT */
/*
 * One page of the tree: a header, slots that grow upwards, cells that grow downwards from the end,
 * where the prefix common to all keys stands once. A slot is the cell's offset and the first two
 * bytes of its key.
 *
 *     | header | slot 0 | slot 1 | ... free (zero) ... | cell 1 | cell 0 | prefix |
 *
 * On disk a page is canonical: cells in the order of their slots without gaps, and zeros between.
 */
#include <string.h>

#include "base/hash.h"
#include "txreg/txreg_internal.h"

const struct tx_field reg_page_fields[] = {
    TX_FIELD(struct reg_page_head, seal, "XXH3-64 of the bytes after it, seeded with the number"),
    TX_FIELD(struct reg_page_head, magic, "0x50475254, \"TRGP\""),
    TX_FIELD(struct reg_page_head, kind, "1 leaf, 2 inner, 3 data, 4 list, 5 root slot"),
    TX_FIELD(struct reg_page_head, level, "0 for leaves and data, else one more than its children"),
    TX_FIELD(struct reg_page_head, count, "cells, references, or free pages of a slot"),
    TX_FIELD(struct reg_page_head, number, "of this page: its offset divided by 4096"),
    TX_FIELD(struct reg_page_head, heap, "tree: offset of the lowest cell; data: bytes in use"),
    TX_FIELD(struct reg_page_head, prefix, "bytes common to all keys, at the page's end"),
    TX_FIELD(struct reg_page_head, lsn, "of the commit that wrote it; slot: steady up to here"),
    TX_FIELD_END,
};

uint64_t reg_page_seal(const uint8_t *data, uint32_t number)
{
    return tx_hash64(data + REG_AT_MAGIC, REG_PAGE_SIZE - REG_AT_MAGIC, number);
}

const char *reg_page_fault(const uint8_t *data, uint32_t number)
{
    if (tx_get64(data + REG_AT_SEAL) != reg_page_seal(data, number)) {
        return "checksum does not match";
    }
    if (tx_get32(data + REG_AT_MAGIC) != REG_PAGE_MAGIC) {
        return "not a page of a registry";
    }
    if (tx_get32(data + REG_AT_NUMBER) != number) {
        return "page of another place";
    }
    unsigned kind = data[REG_AT_KIND];
    unsigned level = data[REG_AT_LEVEL];
    bool is_lowest = kind == REG_PAGE_LEAF || kind == REG_PAGE_DATA || kind == REG_PAGE_SLOT;
    if (kind < REG_PAGE_LEAF || kind > REG_PAGE_SLOT) {
        return "unknown kind of page";
    }
    return is_lowest != (level == 0) || level > REG_LEVEL_MAX ? "impossible level" : NULL;
}

/* What is wrong with the cell of slot `index`, which must end at *end; moves *end to its start. */
static const char *cell_fault(const uint8_t *data, unsigned index, size_t *end)
{
    size_t floor = reg_slot_at(reg_page_count(data));
    size_t at = tx_get16(data + reg_slot_at(index));
    if (at < floor || at + REG_CELL_HEAD > *end) {
        return "cell outside of its page";
    }
    size_t key_size = tx_get16(data + at);
    size_t payload_size = tx_get16(data + at + 2);
    bool is_least = reg_page_level(data) > 0 && index == 0;
    if (at + REG_CELL_HEAD + key_size + payload_size != *end) {
        return "cells overlap or leave gaps";
    }
    if (reg_page_level(data) > 0 && (payload_size != REG_REF_SIZE || (is_least && key_size > 0))) {
        return "malformed reference";
    }
    if (tx_get16(data + reg_slot_at(index) + 2) !=
        reg_key_hint(data + at + REG_CELL_HEAD, key_size)) {
        return "slot does not belong to its cell";
    }
    key_size += reg_page_prefix(data);
    if (key_size > REG_KEY_MAX || REG_CELL_HEAD + key_size + payload_size > REG_CELL_MAX) {
        return "record too large";
    }
    *end = at;
    return NULL;
}

static bool is_sorted(const uint8_t *data, unsigned from)
{
    unsigned count = reg_page_count(data);
    for (unsigned i = from + 1; i < count; i++) {
        struct reg_cell a = reg_page_cell(data, i - 1);
        struct reg_cell b = reg_page_cell(data, i);
        if (reg_compare(a.key, a.key_size, b.key, b.key_size) >= 0) {
            return false;
        }
    }
    return true;
}

const char *reg_page_cells_fault(const uint8_t *data)
{
    unsigned count = reg_page_count(data);
    size_t prefix = reg_page_prefix(data);
    if ((count == 0 && reg_page_level(data) > 0) || count > REG_CELLS_MAX) {
        return "impossible number of cells";
    }
    if (prefix > REG_KEY_MAX) {
        return "prefix too long";
    }
    size_t end = REG_PAGE_SIZE - prefix;
    for (unsigned i = 0; i < count; i++) {
        const char *fault = cell_fault(data, i, &end);
        if (fault != NULL) {
            return fault;
        }
    }
    if (tx_get16(data + REG_AT_HEAP) != end) {
        return "wrong start of cells";
    }
    return is_sorted(data, reg_page_level(data) > 0) ? NULL : "keys are not in order";
}

void reg_page_format(struct reg_page *page, uint32_t number, enum reg_page_kind kind,
                     unsigned level, tx_lsn lsn)
{
    struct reg_page_head head = {
        .magic = REG_PAGE_MAGIC,
        .kind = (uint8_t)kind,
        .level = (uint8_t)level,
        .number = number,
        .heap = kind == REG_PAGE_LEAF || kind == REG_PAGE_INNER ? REG_PAGE_SIZE : 0,
        .lsn = lsn,
    };
    memset(page->data, 0, REG_PAGE_SIZE);
    tx_fields_encode(reg_page_fields, &head, page->data);
    page->number = number;
    page->seal = 0;
    page->messy = false;
    page->appends = 0;
}

struct reg_cell reg_page_cell(const uint8_t *data, unsigned index)
{
    const uint8_t *at = data + tx_get16(data + reg_slot_at(index));
    struct reg_cell cell = {.key_size = tx_get16(at), .payload_size = tx_get16(at + 2)};
    cell.key = at + REG_CELL_HEAD;
    cell.payload = cell.key + cell.key_size;
    return cell;
}

struct reg_ref reg_page_ref(const uint8_t *data, unsigned index)
{
    struct reg_cell cell = reg_page_cell(data, index);
    return (struct reg_ref){tx_get32(cell.payload), tx_get64(cell.payload + 4)};
}

int reg_compare(const uint8_t *a, size_t a_size, const uint8_t *b, size_t b_size)
{
    size_t common = a_size < b_size ? a_size : b_size;
    int order = common > 0 ? memcmp(a, b, common) : 0;
    return order != 0 ? order : (a_size > b_size) - (a_size < b_size);
}

/* First cell in [from, count) whose key is >= the given one. */
static unsigned find_from(const uint8_t *data, unsigned from, const uint8_t *key, size_t key_size,
                          bool *found)
{
    unsigned low = from;
    unsigned high = reg_page_count(data);
    size_t prefix = reg_page_prefix(data);
    *found = false;
    if (prefix > 0) {
        size_t common = key_size < prefix ? key_size : prefix;
        int order = memcmp(key, data + REG_PAGE_SIZE - prefix, common);
        if (order != 0 || key_size < prefix) {
            return order > 0 ? high : low;
        }
        key += prefix;
        key_size -= prefix;
    }
    unsigned wanted = reg_key_hint(key, key_size);
    while (low < high) {
        unsigned middle = (low + high) / 2;
        unsigned hint = tx_get16(data + reg_slot_at(middle) + 2);
        if (hint != wanted) {
            low = hint < wanted ? middle + 1 : low;
            high = hint < wanted ? high : middle;
            continue;
        }
        struct reg_cell cell = reg_page_cell(data, middle);
        int order = reg_compare(cell.key, cell.key_size, key, key_size);
        if (order == 0) {
            *found = true;
            return middle;
        }
        if (order < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

unsigned reg_page_find(const uint8_t *data, const uint8_t *key, size_t key_size, bool *found)
{
    return find_from(data, 0, key, key_size, found);
}

unsigned reg_page_find_child(const uint8_t *data, const uint8_t *key, size_t key_size)
{
    bool found;
    unsigned index = find_from(data, 1, key, key_size, &found);
    return found ? index : index - 1; /* the key of cell 0 is less than any */
}

/* Compare the key of a cell, prefix included, with a whole key. */
static int compare_cell(const uint8_t *data, unsigned index, const uint8_t *key, size_t key_size)
{
    struct reg_cell cell = reg_page_cell(data, index);
    size_t prefix = reg_page_prefix(data);
    size_t common = prefix < key_size ? prefix : key_size;
    int order = memcmp(data + REG_PAGE_SIZE - prefix, key, common);
    if (order != 0 || key_size < prefix) {
        return order != 0 ? order : 1;
    }
    return reg_compare(cell.key, cell.key_size, key + prefix, key_size - prefix);
}

bool reg_page_admits(const uint8_t *data, unsigned index, const uint8_t *key, size_t key_size)
{
    bool is_after = index <= 1 || compare_cell(data, index - 1, key, key_size) < 0;
    return is_after &&
           (index >= reg_page_count(data) || compare_cell(data, index, key, key_size) > 0);
}

bool reg_page_spans(const uint8_t *data, const uint8_t *key, size_t key_size)
{
    unsigned count = reg_page_count(data);
    return count > 0 && compare_cell(data, 0, key, key_size) <= 0 &&
           compare_cell(data, count - 1, key, key_size) >= 0;
}

size_t reg_page_used(const uint8_t *data)
{
    size_t used = reg_page_prefix(data);
    unsigned count = reg_page_count(data);
    for (unsigned i = 0; i < count; i++) {
        struct reg_cell cell = reg_page_cell(data, i);
        used += REG_SLOT_SIZE + REG_CELL_HEAD + cell.key_size + cell.payload_size;
    }
    return used;
}
