/* SPDX-License-Identifier: MIT */
/*
 * Cells between pages: taken out of one or two, changed, and laid into one or two others. Prefixes
 * are computed anew for each page that is built.
 *
 * A full page and one more cell always fit in two pages, because
 *   - a cell takes at most half a page, so among cells that share the page's prefix some cut
 *     leaves both parts small enough, and
 *   - a key that lacks the prefix all others share stands before or behind all of them: cut off
 *     alone, it leaves the rest as small as it was.
 */
#include <string.h>

#include "base/invariant.h"
#include "txreg/txreg_internal.h"

void reg_items_begin(struct reg_items *items, bool is_inner)
{
    items->count = 0;
    items->sources = 0;
    items->is_inner = is_inner;
}

void reg_items_load(struct reg_items *items, const uint8_t *data)
{
    unsigned count = reg_page_count(data);
    TX_INVARIANT(items->sources < 2 && items->count + count < 2 * REG_CELLS_MAX + 1);
    uint8_t *copy = items->source[items->sources++];
    memcpy(copy, data, REG_PAGE_SIZE);
    size_t prefix = reg_page_prefix(copy);
    for (unsigned i = 0; i < count; i++) {
        struct reg_cell cell = reg_page_cell(copy, i);
        bool is_least = items->is_inner && i == 0;
        items->item[items->count++] = (struct reg_item){
            .head = copy + REG_PAGE_SIZE - prefix,
            .tail = cell.key,
            .payload = cell.payload,
            .head_size = is_least ? 0 : (uint16_t)prefix,
            .tail_size = cell.key_size,
            .payload_size = cell.payload_size,
        };
    }
}

void reg_items_insert(struct reg_items *items, unsigned index, const uint8_t *key, size_t key_size,
                      const uint8_t *payload, size_t payload_size)
{
    TX_INVARIANT(index <= items->count && items->count < 2 * REG_CELLS_MAX + 1);
    struct reg_item *at = &items->item[index];
    memmove(at + 1, at, sizeof(*at) * (items->count - index));
    *at = (struct reg_item){
        .head = key,
        .tail = key + key_size,
        .payload = payload,
        .head_size = (uint16_t)key_size,
        .payload_size = (uint16_t)payload_size,
    };
    items->count++;
}

void reg_items_set_key(struct reg_items *items, unsigned index, const uint8_t *key, size_t key_size)
{
    struct reg_item *item = &items->item[index];
    item->head = key;
    item->head_size = (uint16_t)key_size;
    item->tail_size = 0;
}

static size_t key_size_of(const struct reg_item *item)
{
    return (size_t)item->head_size + item->tail_size;
}

void reg_items_measure(struct reg_items *items)
{
    items->sum[0] = 0;
    for (unsigned i = 0; i < items->count; i++) {
        const struct reg_item *item = &items->item[i];
        size_t size = REG_SLOT_SIZE + REG_CELL_HEAD + key_size_of(item) + item->payload_size;
        items->sum[i + 1] = items->sum[i] + (uint32_t)size;
    }
}

static uint8_t key_byte(const struct reg_item *item, size_t at)
{
    return at < item->head_size ? item->head[at] : item->tail[at - item->head_size];
}

static size_t common_prefix(const struct reg_item *a, const struct reg_item *b)
{
    size_t a_size = key_size_of(a);
    size_t b_size = key_size_of(b);
    size_t most = a_size < b_size ? a_size : b_size;
    size_t size = 0;
    while (size < most && key_byte(a, size) == key_byte(b, size)) {
        size++;
    }
    return size;
}

static bool is_less(const struct reg_item *a, const struct reg_item *b)
{
    size_t same = common_prefix(a, b);
    if (same == key_size_of(a) || same == key_size_of(b)) {
        return key_size_of(a) < key_size_of(b);
    }
    return key_byte(a, same) < key_byte(b, same);
}

bool reg_items_ordered(const struct reg_items *items, unsigned index)
{
    unsigned least = items->is_inner ? 1 : 0; /* the very first key of an inner page is none */
    bool before = index < least + 1 || index >= items->count ||
                  is_less(&items->item[index - 1], &items->item[index]);
    return before && (index + 1 >= items->count ||
                      is_less(&items->item[index], &items->item[index + 1]));
}

/* The prefix of a page of these items: keys are sorted, so the outer two tell. */
static size_t prefix_of(const struct reg_items *items, unsigned from, unsigned to)
{
    unsigned first = from + (items->is_inner ? 1 : 0);
    return to - first < 2 ? 0 : common_prefix(&items->item[first], &items->item[to - 1]);
}

size_t reg_items_size(const struct reg_items *items, unsigned from, unsigned to)
{
    unsigned first = from + (items->is_inner ? 1 : 0);
    size_t size = items->sum[to] - items->sum[from];
    size_t prefix = prefix_of(items, from, to);
    if (items->is_inner) {
        size -= key_size_of(&items->item[from]);
    }
    return prefix == 0 ? size : size + prefix - prefix * (to - first);
}

/* The better of two cuts; *size is the larger part at `best`. */
static void try_cut(const struct reg_items *items, unsigned cut, unsigned *best, size_t *size)
{
    size_t left = reg_items_size(items, 0, cut);
    size_t right = reg_items_size(items, cut, items->count);
    size_t larger = left > right ? left : right;
    if (larger < *size) {
        *best = cut;
        *size = larger;
    }
}

unsigned reg_items_cut(const struct reg_items *items, bool at_end)
{
    unsigned count = items->count;
    unsigned best = 0;
    size_t best_size = SIZE_MAX;
    TX_INVARIANT(count >= 2);
    if (at_end) {
        return count - 1; /* the left part was a page before */
    }
    unsigned middle = 1;
    while (middle < count - 1 && items->sum[middle] < items->sum[count] / 2) {
        middle++;
    }
    try_cut(items, middle, &best, &best_size);
    if (middle > 1) {
        try_cut(items, middle - 1, &best, &best_size);
    }
    for (unsigned cut = 1; best_size > REG_PAGE_ROOM; cut++) {
        TX_INVARIANT(cut < count);
        try_cut(items, cut, &best, &best_size);
    }
    return best;
}

/* Copy the key's bytes from `skip` on. */
static size_t copy_key(const struct reg_item *item, size_t skip, uint8_t *to)
{
    size_t from_head = skip < item->head_size ? item->head_size - skip : 0;
    size_t tail_skip = skip < item->head_size ? 0 : skip - item->head_size;
    if (from_head > 0) {
        memcpy(to, item->head + skip, from_head);
    }
    memcpy(to + from_head, item->tail + tail_skip, item->tail_size - tail_skip);
    return from_head + item->tail_size - tail_skip;
}

void reg_items_build(const struct reg_items *items, unsigned from, unsigned to,
                     struct reg_page *page)
{
    TX_INVARIANT(from < to && reg_items_size(items, from, to) <= REG_PAGE_ROOM);
    size_t prefix = prefix_of(items, from, to);
    uint8_t *data = page->data;
    size_t at = REG_PAGE_SIZE - prefix;
    memset(data + REG_PAGE_HEAD, 0, REG_PAGE_ROOM);
    if (prefix > 0) {
        uint8_t first[REG_KEY_MAX];
        (void)copy_key(&items->item[to - 1], 0, first);
        memcpy(data + at, first, prefix);
    }
    for (unsigned i = from; i < to; i++) {
        const struct reg_item *item = &items->item[i];
        bool is_least = items->is_inner && i == from;
        size_t key_size = is_least ? 0 : key_size_of(item) - prefix;
        at -= REG_CELL_HEAD + key_size + item->payload_size;
        tx_put16(data + reg_slot_at(i - from), (uint16_t)at);
        tx_put16(data + at, (uint16_t)key_size);
        tx_put16(data + at + 2, item->payload_size);
        if (!is_least) {
            (void)copy_key(item, prefix, data + at + REG_CELL_HEAD);
        }
        memcpy(data + at + REG_CELL_HEAD + key_size, item->payload, item->payload_size);
        tx_put16(data + reg_slot_at(i - from) + 2,
                 reg_key_hint(data + at + REG_CELL_HEAD, key_size));
    }
    tx_put16(data + REG_AT_COUNT, (uint16_t)(to - from));
    tx_put16(data + REG_AT_HEAP, (uint16_t)at);
    tx_put16(data + REG_AT_PREFIX, (uint16_t)prefix);
    page->messy = false;
}

size_t reg_items_separator(const struct reg_items *items, unsigned index, uint8_t key[REG_KEY_MAX])
{
    const struct reg_item *right = &items->item[index];
    size_t size = copy_key(right, 0, key);
    if (items->is_inner) {
        return size;
    }
    size_t shortest = common_prefix(&items->item[index - 1], right) + 1;
    return shortest < size ? shortest : size;
}
