/* SPDX-License-Identifier: MIT */
/*
 * Inside the registry. From the bottom up:
 *
 *     page, page_edit, page_items   one 4 KiB page: layout, search, editing, splitting
 *     page_cache                    verified pages of the image, shared by all threads
 *     tree_read, cursor             a tree from its root: point reads, ordered walks
 *     page_ring, free_search        which pages may be written again
 *     tree_write, tree_finish       copy-on-write changes held in memory, written at the end
 *     overflow                      values too large for a leaf
 *     image                         the two root slots: create, open, steady
 *     record                        keys and payloads of the tree's records
 *     overlay, key_path, reg_apply  changes over a tree, one change-set entry at a time
 *     reg_*                         the RM: views, operations, redo, prepare, revert, check
 *
 * A state of the registry is 40 bytes (struct reg_state, the RM's token); everything else is
 * reached from there and proved by checksums.
 */
#ifndef TXREG_INTERNAL_H
#define TXREG_INTERNAL_H

#include <stdatomic.h>

#include <txkit/reg.h>

#include "base/buf.h"
#include "base/codec.h"
#include "base/map.h"

#define REG_IMAGE_DIR "reg"
#define REG_IMAGE_NAME "image"
#define REG_IMAGE_PATH REG_IMAGE_DIR "/" REG_IMAGE_NAME
#define REG_FORMAT_VERSION 1u

/* --- Pages -------------------------------------------------------------------------------------- */

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
#define REG_CELL_MAX (REG_PAGE_ROOM / 2u - REG_SLOT_SIZE) /* so that any full page can be split in two */
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
bool reg_page_is_zero(const uint8_t *data);
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

/* --- Editing pages ------------------------------------------------------------------------------ */

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

/* --- The open image ----------------------------------------------------------------------------- */

#define REG_CACHE_SIZE (128u << 20) /* bytes of pages */
#define REG_CACHE_SHARDS 32u
#define REG_CACHE_BUCKETS 1024u

struct reg_cache_shard {
    struct txio_mutex mutex;
    unsigned count;
    unsigned hand;
    struct reg_page **pages; /* REG_CACHE_SIZE / shards, made at first use */
    struct reg_page *buckets[REG_CACHE_BUCKETS];
};

struct reg_shared; /* page_ring.c */

struct txreg {
    struct txio *io;
    int fd;
    bool writable;
    struct reg_shared *shared; /* NULL: reading without shared memory */
    struct reg_cache_shard shards[REG_CACHE_SHARDS];
};

/* The RM's token. */
struct reg_state {
    uint32_t root_page;
    uint32_t page_count; /* high water: pages from here on were never used */
    uint64_t root_seal;
    uint64_t next_key_id;
    uint64_t key_count;
    uint32_t used_pages; /* reachable from the root */
    uint32_t height;     /* levels */
};
extern const struct tx_field reg_state_fields[];
void reg_state_encode(const struct reg_state *state, uint8_t token[KTM_TOKEN_SIZE]);
enum tx_status reg_state_decode(struct reg_state *state, const uint8_t token[KTM_TOKEN_SIZE],
                                struct tx_error *err) TX_CHECKED;

enum tx_status reg_page_corrupt(struct tx_error *err, uint32_t number, const char *what);
/* Read a page without the cache and check that it is the page `ref` names. */
enum tx_status reg_page_read(struct txreg *reg, struct reg_ref ref, uint8_t *data,
                             struct tx_error *err) TX_CHECKED;

/* --- Page cache --------------------------------------------------------------------------------- */

/* Get a verified page with a reference for the caller. Thread: any. */
enum tx_status reg_cache_get(struct txreg *reg, struct reg_ref ref, struct reg_page **page,
                             struct tx_error *err) TX_CHECKED;
/* Offer a page that was just written; the cache takes a reference of its own. */
void reg_cache_offer(struct txreg *reg, struct reg_page *page);
void reg_cache_release(struct txreg *reg);
struct reg_page *reg_page_new(struct tx_error *err);
void reg_page_drop(struct reg_page *page);
static inline void reg_page_auto_ptr(struct reg_page **page) { reg_page_drop(*page); }

/* --- Reading a tree ----------------------------------------------------------------------------- */

#define REG_HOT_PAGES 64u

/* A tree to read. Thread: one at a time. */
struct reg_tree {
    struct txreg *reg;
    struct reg_ref root;
    unsigned root_level;
    struct reg_page *leaf;               /* of the last read: the next key is often near */
    struct reg_page *hot[REG_HOT_PAGES]; /* inner pages, so that descents take no lock */
};
void reg_tree_open(struct reg_tree *tree, struct txreg *reg, const struct reg_state *state);
void reg_tree_close(struct reg_tree *tree);
static inline void reg_tree_auto(struct reg_tree *tree) { reg_tree_close(tree); }
/* A page of a tree that must be of this level. */
enum tx_status reg_tree_page(struct txreg *reg, struct reg_ref ref, unsigned level,
                             struct reg_page **page, struct tx_error *err) TX_CHECKED;

/* A record where it lies. */
struct reg_hit {
    struct reg_page *page; /* NULL when it lies in memory of somebody else */
    const uint8_t *payload; /* NULL: there is no such record */
    size_t size;
};
#define REG_HIT_INIT {NULL, NULL, 0}
static inline void reg_hit_auto(struct reg_hit *hit) { reg_page_drop(hit->page); }

struct reg_key {
    uint16_t size;
    uint8_t bytes[REG_KEY_MAX];
};

enum tx_status reg_tree_get(struct reg_tree *tree, const struct reg_key *key, struct reg_hit *hit,
                            struct tx_error *err) TX_CHECKED;

/* Walks records in order; an unsorted page is found on the way. */
struct reg_cursor {
    struct reg_tree *tree;
    bool valid;
    struct {
        struct reg_page *page;
        unsigned index;
    } at[REG_LEVEL_MAX + 1]; /* by level */
    struct reg_key key;
    const uint8_t *payload;
    size_t payload_size;
};
void reg_cursor_init(struct reg_cursor *cursor, struct reg_tree *tree);
void reg_cursor_auto(struct reg_cursor *cursor);
/* Go to the first record with key >= the given one; `valid` says whether there is one. */
enum tx_status reg_cursor_seek(struct reg_cursor *cursor, const uint8_t *key, size_t key_size,
                               struct tx_error *err) TX_CHECKED;
enum tx_status reg_cursor_next(struct reg_cursor *cursor, struct tx_error *err) TX_CHECKED;

/* --- Which pages may be written ------------------------------------------------------------------ */

#define REG_RING_SIZE 16384u

/* Empty the ring and tell it that nothing is older than `lsn`; the caller is alone. */
void reg_ring_reset(struct reg_shared *shared, tx_lsn lsn);
void reg_ring_empty(struct reg_shared *shared);
/* Undo what an unpublished carrying-out of this commit or a later one did to the ring. */
void reg_ring_rewind(struct reg_shared *shared, tx_lsn lsn);
/* A page to write for the commit that ends at `lsn`, or 0. */
uint32_t reg_ring_pop(struct reg_shared *shared, tx_lsn lsn);
/* A page that no state from `lsn` on needs. When the ring is full the page is leaked. */
void reg_ring_push(struct reg_shared *shared, uint32_t page, tx_lsn lsn);
uint32_t reg_ring_count(struct reg_shared *shared);
/* Up to `max` pages that are free in the state at `lsn`, for the root slot. */
uint32_t reg_ring_list(struct reg_shared *shared, tx_lsn lsn, uint32_t *pages, uint32_t max);
void reg_ring_set_steady(struct reg_shared *shared, tx_lsn lsn);
void reg_ring_set_oldest(struct reg_shared *shared, tx_lsn lsn);
bool reg_ring_is_searched(struct reg_shared *shared);
void reg_ring_set_searched(struct reg_shared *shared);

/* One bit per page. */
struct reg_page_set {
    uint8_t *bits;
    uint32_t count;
};
enum tx_status reg_page_set_init(struct reg_page_set *set, uint32_t count,
                                 struct tx_error *err) TX_CHECKED;
void reg_page_set_auto(struct reg_page_set *set);
static inline bool reg_page_set_has(const struct reg_page_set *set, uint32_t page)
{
    return page < set->count && (set->bits[page / 8] >> page % 8 & 1) != 0;
}
/* False when it is there already or out of range. */
bool reg_page_set_add(struct reg_page_set *set, uint32_t page);
/* Mark every page of the tree. Errors: TX_ECORRUPT, also for a page that is referred to twice. */
enum tx_status reg_mark_tree(struct txreg *reg, const struct reg_state *state,
                             struct reg_page_set *set, struct tx_error *err) TX_CHECKED;
/* At the first redo: find leaked pages of the tree `state`, the only one that anybody reads;
 * after a crash blank those that were torn. */
enum tx_status reg_search_free(struct txreg *reg, const struct reg_state *state,
                               enum ktm_redo_mode mode, struct tx_error *err) TX_CHECKED;

/* --- Changing a tree ----------------------------------------------------------------------------- */

struct reg_step {
    struct reg_page *page;
    unsigned index;
};

struct reg_writer {
    struct txreg *reg;
    tx_lsn lsn;      /* stamped on pages */
    tx_lsn next_lsn; /* from here on nobody needs what was replaced */
    struct reg_state state;
    uint32_t old_page_count; /* at the beginning */
    struct reg_page **buckets; /* pages being written, by number */
    size_t bucket_count;
    size_t page_count;
    struct tx_buf freed; /* page numbers of the old tree */
    struct tx_buf spare; /* page numbers taken and not needed any more */
    struct tx_buf queue; /* struct reg_page *, sealed */
    struct reg_items *items;
    struct reg_step path[REG_LEVEL_MAX + 1]; /* by level; valid when path_valid */
    bool finishing;
    bool path_valid;
    bool has_upper;
    struct reg_key last;  /* key of the last descent */
    struct reg_key upper; /* first key right of the leaf in `path` */
};
enum tx_status reg_writer_init(struct reg_writer *writer, struct txreg *reg,
                               const struct reg_state *state, tx_lsn lsn, tx_lsn next_lsn,
                               struct tx_error *err) TX_CHECKED;
void reg_writer_auto(struct reg_writer *writer);
enum tx_status reg_writer_get(struct reg_writer *writer, const struct reg_key *key,
                              struct reg_hit *hit, struct tx_error *err) TX_CHECKED;
enum tx_status reg_writer_put(struct reg_writer *writer, const struct reg_key *key,
                              const uint8_t *payload, size_t size,
                              struct tx_error *err) TX_CHECKED;
/* Removing what is not there is success. */
enum tx_status reg_writer_remove(struct reg_writer *writer, const struct reg_key *key,
                                 struct tx_error *err) TX_CHECKED;
/* Seal and write all pages; `state` then names the new tree. Durability: none. */
enum tx_status reg_writer_finish(struct reg_writer *writer, struct tx_error *err) TX_CHECKED;

/* Between tree_write, tree_finish and overflow. */
enum tx_status reg_writer_take_number(struct reg_writer *writer, uint32_t *number,
                                      struct tx_error *err) TX_CHECKED;
/* The tree does not need this page any more. */
enum tx_status reg_writer_free_number(struct reg_writer *writer, uint32_t number,
                                      struct tx_error *err) TX_CHECKED;
struct reg_page *reg_writer_find(const struct reg_writer *writer, uint32_t number);
enum tx_status reg_writer_add(struct reg_writer *writer, struct reg_page *page,
                              struct tx_error *err) TX_CHECKED;
void reg_writer_forget(struct reg_writer *writer, struct reg_page *page);
/* Seal the page and write it now or with its neighbours; takes over the caller's reference. */
enum tx_status reg_writer_enqueue(struct reg_writer *writer, struct reg_page *page,
                                  struct tx_error *err) TX_CHECKED;

/* --- Large values -------------------------------------------------------------------------------- */

#define REG_INLINE_MAX 512u /* bytes of data kept in the leaf */
#define REG_DATA_ROOM REG_PAGE_ROOM
#define REG_LIST_ROOM (REG_PAGE_ROOM / REG_REF_SIZE)
#define REG_OVERFLOW_MAX ((uint64_t)TXREG_VALUE_SIZE_MAX + TXREG_NAME_BYTES_MAX)

enum tx_status reg_overflow_write(struct reg_writer *writer, const struct iovec *parts, int count,
                                  struct reg_ref *ref, struct tx_error *err) TX_CHECKED;
/* Append bytes [skip, skip + take) of a content of `size` bytes. */
enum tx_status reg_overflow_read(struct txreg *reg, struct reg_ref ref, uint64_t size,
                                 uint64_t skip, uint64_t take, struct tx_buf *data,
                                 struct tx_error *err) TX_CHECKED;
enum tx_status reg_overflow_free(struct reg_writer *writer, struct reg_ref ref, uint64_t size,
                                 struct tx_error *err) TX_CHECKED;
typedef enum tx_status reg_overflow_fn(void *arg, struct reg_ref ref, unsigned level,
                                       struct tx_error *err);
/* Call `fn` for every page of the content, lists before what they name; only lists are read. */
enum tx_status reg_overflow_each(struct txreg *reg, struct reg_ref ref, uint64_t size,
                                 reg_overflow_fn *fn, void *arg, struct tx_error *err) TX_CHECKED;

/* --- Root slots ----------------------------------------------------------------------------------- */

#define REG_SLOT_FREE_MAX 900u

struct reg_slot {
    uint32_t format_version;
    uint32_t page_size;
    uint32_t upcase_version;
    uint64_t sequence;
    struct reg_state state;
    tx_lsn lsn;
    uint32_t free_count;
    uint32_t free_pages[REG_SLOT_FREE_MAX];
};
extern const struct tx_field reg_slot_fields[];
void reg_slot_encode(const struct reg_slot *slot, unsigned number, uint8_t *data);
/* NULL, or what is wrong; a version that is not ours is no fault here. */
const char *reg_slot_decode(struct reg_slot *slot, unsigned number, const uint8_t *data);
/* The newest good slot of an open image. */
enum tx_status reg_slot_load(struct txio *io, int fd, struct reg_slot *slot,
                             struct tx_error *err) TX_CHECKED;
enum tx_status reg_rm_open_steady(void *rm, tx_lsn *lsn, uint8_t token[KTM_TOKEN_SIZE],
                                  struct tx_error *err) TX_CHECKED;
enum tx_status reg_rm_steady(void *rm, tx_lsn lsn, const uint8_t token[KTM_TOKEN_SIZE],
                             struct tx_error *err) TX_CHECKED;
enum tx_status reg_rm_trim(void *rm, tx_lsn lsn, tx_lsn oldest, struct tx_error *err) TX_CHECKED;

#include "txreg/txreg_view.h"

#endif
