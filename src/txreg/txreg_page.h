/* SPDX-License-Identifier: MIT */
/* One page in memory: the lowest part of txreg_internal.h, which includes it. */
#ifndef TXREG_PAGE_H
#define TXREG_PAGE_H

#include <stdatomic.h>

#include <txkit/reg.h>

#include "base/codec.h"

/* --- Pages ------------------------------------------------------------------------------------ */

#define REG_PAGE_SIZE 4096u
#define REG_PAGE_MAGIC 0x50475254u /* "TRGP" */
#define REG_PAGE_HEAD 32u
#define REG_PAGE_ROOM (REG_PAGE_SIZE - REG_PAGE_HEAD)
#define REG_SLOT_PAGES 2u     /* pages 0 and 1 are the root slots */
#define REG_LEVEL_MAX 15u     /* of the root; leaves are level 0 */
#define REG_SLOT_SIZE 4u      /* offset of the cell, first two bytes of its key */
#define REG_CELL_HEAD 4u      /* sizes of key and payload */
#define REG_REF_SIZE 12u      /* payload of an inner page's cell: page number and seal */
#define REG_KEY_HEAD 9u       /* key id and kind */
#define REG_KEY_MAX (REG_KEY_HEAD + 3u * TXREG_KEY_NAME_MAX)
#define REG_CELL_MAX (REG_PAGE_ROOM / 2u - REG_SLOT_SIZE) /* any full page can be split in two */
#define REG_CELLS_MAX (REG_PAGE_ROOM / (REG_CELL_HEAD + REG_SLOT_SIZE))

enum reg_page_kind {
    REG_PAGE_LEAF = 1,
    REG_PAGE_INNER,
    REG_PAGE_DATA, /* bytes of a large value */
    REG_PAGE_LIST, /* references to DATA pages or lower LIST pages */
    REG_PAGE_SLOT,
};

/* Where fields of the page header lie; reg_page_fields says the same as a table. */
enum reg_page_at {
    REG_AT_SEAL = 0,
    REG_AT_MAGIC = 8,
    REG_AT_KIND = 12,
    REG_AT_LEVEL = 13,
    REG_AT_COUNT = 14,
    REG_AT_NUMBER = 16,
    REG_AT_HEAP = 20,
    REG_AT_PREFIX = 22,
    REG_AT_LSN = 24,
};

struct reg_page_head {
    uint64_t seal;
    uint32_t magic;
    uint8_t kind;
    uint8_t level;
    uint16_t count;
    uint32_t number;
    uint16_t heap;
    uint16_t prefix;
    uint64_t lsn;
};
extern const struct tx_field reg_page_fields[];

/* How a parent names its child: where it is and what it must contain. */
struct reg_ref {
    uint32_t page;
    uint64_t seal;
};

/* A page in memory: in the cache (never changed, counted references) or being written. */
struct reg_page {
    _Atomic uint32_t refs;
    uint32_t number;
    uint64_t seal;
    struct reg_page *next; /* in its hash bucket */
    bool recent;           /* cache: used since the clock's hand passed */
    bool messy;            /* being written: cells not in canonical order, or dead bytes */
    uint16_t appends;      /* being written: insertions at the end in a row */
    uint8_t data[REG_PAGE_SIZE];
};

/* A cell as it lies in a page; the key lacks the page's prefix. */
struct reg_cell {
    const uint8_t *key;
    const uint8_t *payload;
    uint16_t key_size;
    uint16_t payload_size;
};

static inline unsigned reg_page_count(const uint8_t *data) { return tx_get16(data + REG_AT_COUNT); }
static inline unsigned reg_page_level(const uint8_t *data) { return data[REG_AT_LEVEL]; }
static inline unsigned reg_page_prefix(const uint8_t *data)
{
    return tx_get16(data + REG_AT_PREFIX);
}

/* Where slot `index` lies. */
static inline size_t reg_slot_at(unsigned index)
{
    return REG_PAGE_HEAD + REG_SLOT_SIZE * (size_t)index;
}
/* The first two bytes of a key without its page's prefix, so that most comparisons of a search
 * need no look at the cell. */
static inline uint16_t reg_key_hint(const uint8_t *key, size_t size)
{
    return (uint16_t)((size > 0 ? key[0] << 8 : 0) | (size > 1 ? key[1] : 0));
}
uint64_t reg_page_seal(const uint8_t *data, uint32_t number);
/* Whether the bytes are the page they say they are, as page `number`; NULL, or what is wrong. */
const char *reg_page_fault(const uint8_t *data, uint32_t number);
/* Whether every cell lies in a canonical tree page, so that reading it cannot overrun. */
const char *reg_page_cells_fault(const uint8_t *data);
void reg_page_format(struct reg_page *page, uint32_t number, enum reg_page_kind kind,
                     unsigned level, tx_lsn lsn);
struct reg_cell reg_page_cell(const uint8_t *data, unsigned index);
struct reg_ref reg_page_ref(const uint8_t *data, unsigned index);
/* First cell of a leaf whose key is >= the given one; *found when equal. */
unsigned reg_page_find(const uint8_t *data, const uint8_t *key, size_t key_size, bool *found);
/* Cell of an inner page whose child may hold the key. */
unsigned reg_page_find_child(const uint8_t *data, const uint8_t *key, size_t key_size);
/* Whether the key may be inserted at `index` of an inner page, which keeps it sorted. */
bool reg_page_admits(const uint8_t *data, unsigned index, const uint8_t *key, size_t key_size);
/* Whether the key lies between the first and the last of a leaf: then it is there or nowhere. */
bool reg_page_spans(const uint8_t *data, const uint8_t *key, size_t key_size);
/* Bytes that slots, cells and prefix need. */
size_t reg_page_used(const uint8_t *data);
int reg_compare(const uint8_t *a, size_t a_size, const uint8_t *b, size_t b_size);

/* --- Editing pages ---------------------------------------------------------------------------- */

/* False when the cell does not fit as the page is; then rebuild it from items. */
bool reg_page_insert(struct reg_page *page, unsigned index, const uint8_t *key, size_t key_size,
                     const uint8_t *payload, size_t payload_size);
bool reg_page_replace(struct reg_page *page, unsigned index, const uint8_t *payload,
                      size_t payload_size);
void reg_page_remove(struct reg_page *page, unsigned index);
void reg_page_set_ref(struct reg_page *page, unsigned index, struct reg_ref ref);

/* A cell taken out of its page: the key is head + tail. */
struct reg_item {
    const uint8_t *head;
    const uint8_t *tail;
    const uint8_t *payload;
    uint16_t head_size;
    uint16_t tail_size;
    uint16_t payload_size;
};
/* Cells of one or two pages on their way into other pages. Large: lives on the heap. */
struct reg_items {
    unsigned count;
    unsigned sources;
    bool is_inner; /* the first key of a page is not stored and means "least" */
    uint8_t source[2][REG_PAGE_SIZE];
    struct reg_item item[2 * REG_CELLS_MAX + 1];
    uint32_t sum[2 * REG_CELLS_MAX + 2]; /* bytes of the first i items with whole keys */
};
void reg_items_begin(struct reg_items *items, bool is_inner);
void reg_items_load(struct reg_items *items, const uint8_t *data);
void reg_items_insert(struct reg_items *items, unsigned index, const uint8_t *key, size_t key_size,
                      const uint8_t *payload, size_t payload_size);
void reg_items_set_key(struct reg_items *items, unsigned index, const uint8_t *key,
                       size_t key_size);
/* Whether the keys around items index - 1 and `index` ascend, as they do in a sound tree. */
bool reg_items_ordered(const struct reg_items *items, unsigned index);
/* Call after the last change and before the next three. */
void reg_items_measure(struct reg_items *items);
/* Bytes of a page of items [from, to). */
size_t reg_items_size(const struct reg_items *items, unsigned from, unsigned to);
/* Where to cut so that both parts fit; `at_end`: leave the left part as full as it is. */
unsigned reg_items_cut(const struct reg_items *items, bool at_end);
/* Make the page (formatted before) hold items [from, to) in canonical form. */
void reg_items_build(const struct reg_items *items, unsigned from, unsigned to,
                     struct reg_page *page);
/* The least key that separates item index - 1 from item `index`; returns its size. */
size_t reg_items_separator(const struct reg_items *items, unsigned index,
                           uint8_t key[REG_KEY_MAX]);

#endif
