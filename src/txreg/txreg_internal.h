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
#include "txreg/txreg_page.h"

#define REG_IMAGE_DIR "reg"
#define REG_IMAGE_NAME "image"
#define REG_IMAGE_PATH REG_IMAGE_DIR "/" REG_IMAGE_NAME
#define REG_FORMAT_VERSION 1u

/* --- The open image --------------------------------------------------------------------------- */

#define REG_CACHE_SIZE (128u << 20) /* bytes of pages */
#define REG_CACHE_SHARDS 32u

struct reg_cache_shard {
    struct txio_mutex mutex;
    struct reg_cache_table *table; /* page_cache.c; NULL: nothing is cached yet */
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

/* --- Page cache ------------------------------------------------------------------------------- */

/* Get a verified page with a reference for the caller. Thread: any. */
enum tx_status reg_cache_get(struct txreg *reg, struct reg_ref ref, struct reg_page **page,
                             struct tx_error *err) TX_CHECKED;
/* Offer a page that was just written; the cache takes a reference of its own. */
void reg_cache_offer(struct txreg *reg, struct reg_page *page);
void reg_cache_release(struct txreg *reg);
struct reg_page *reg_page_new(struct tx_error *err);
void reg_page_drop(struct reg_page *page);
static inline void reg_page_auto_ptr(struct reg_page **page) { reg_page_drop(*page); }

/* --- Reading a tree --------------------------------------------------------------------------- */

#define REG_HOT_PAGES 256u

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

/* --- Which pages may be written --------------------------------------------------------------- */

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
/* As many as there are in the file, at most `count`: a forged root slot may claim any number. */
enum tx_status reg_page_set_of_file(struct reg_page_set *set, struct txreg *reg, uint32_t count,
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

/* --- Changing a tree -------------------------------------------------------------------------- */

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

/* --- Large values ----------------------------------------------------------------------------- */

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

/* --- Root slots ------------------------------------------------------------------------------- */

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
/* The newest good one of the slots; `faults` are what their decoding said. */
enum tx_status reg_slot_choose(const struct reg_slot slots[REG_SLOT_PAGES],
                               const char *const faults[REG_SLOT_PAGES], struct reg_slot *slot,
                               struct tx_error *err) TX_CHECKED;
/* The newest good slot of an open image. */
enum tx_status reg_slot_load(struct txio *io, int fd, struct reg_slot *slot,
                             struct tx_error *err) TX_CHECKED;
enum tx_status reg_rm_confirm_steady(void *rm, struct tx_error *err) TX_CHECKED;
enum tx_status reg_rm_open_steady(void *rm, tx_lsn *lsn, uint8_t token[KTM_TOKEN_SIZE],
                                  struct tx_error *err) TX_CHECKED;
enum tx_status reg_rm_steady(void *rm, tx_lsn lsn, const uint8_t token[KTM_TOKEN_SIZE],
                             struct tx_error *err) TX_CHECKED;
enum tx_status reg_rm_trim(void *rm, tx_lsn lsn, tx_lsn oldest, struct tx_error *err) TX_CHECKED;

#include "txreg/txreg_view.h"

#endif
