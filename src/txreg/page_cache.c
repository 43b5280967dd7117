/* SPDX-License-Identifier: MIT */
/*
 * Verified pages of the image. A page is found by its number and its seal, so a page that was
 * written anew since can never be taken for the old one; nothing is ever invalidated. Shards keep
 * threads apart; in each a clock hand picks what goes (Corbato, "A Paging Experiment with the
 * Multics System", 1968).
 */
#include "base/hash.h"
#include "base/invariant.h"
#include "txreg/txreg_internal.h"

#define SHARD_PAGES (REG_CACHE_SIZE / sizeof(struct reg_page) / REG_CACHE_SHARDS)
#define SHARD_BUCKETS 1024u

/* Made when the first page comes: most programs that open a store read a few. */
struct reg_cache_table {
    struct reg_page *buckets[SHARD_BUCKETS];
    struct reg_page *pages[SHARD_PAGES];
    unsigned count;
    unsigned hand;
};

enum tx_status reg_page_corrupt(struct tx_error *err, uint32_t number, const char *what)
{
    return tx_error_set(err, TX_ECORRUPT, "%s: page %u at offset %llu: %s", REG_IMAGE_PATH, number,
                        (unsigned long long)number * REG_PAGE_SIZE, what);
}

struct reg_page *reg_page_new(struct tx_error *err)
{
    struct reg_page *page = tx_alloc(sizeof(*page));
    if (page == NULL) {
        (void)tx_error_set(err, TX_ENOMEM, "no memory for a page");
        return NULL;
    }
    atomic_init(&page->refs, 1);
    page->next = NULL;
    page->recent = false;
    page->messy = false;
    page->appends = 0;
    return page;
}

void reg_page_drop(struct reg_page *page)
{
    if (page != NULL && atomic_fetch_sub_explicit(&page->refs, 1, memory_order_acq_rel) == 1) {
        tx_free(page);
    }
}

enum tx_status reg_page_read(struct txreg *reg, struct reg_ref ref, uint8_t *data,
                             struct tx_error *err)
{
    enum tx_status status = txio_read_full(reg->io, reg->fd, data, REG_PAGE_SIZE,
                                           (uint64_t)ref.page * REG_PAGE_SIZE, err);
    if (status != TX_OK) {
        tx_error_prefix(err, "%s: page %u", REG_IMAGE_PATH, ref.page);
        return status;
    }
    const char *fault = reg_page_fault(data, ref.page);
    if (fault == NULL && tx_get64(data + REG_AT_SEAL) != ref.seal) {
        fault = "another version than the one referred to";
    }
    return fault == NULL ? TX_OK : reg_page_corrupt(err, ref.page, fault);
}

static struct reg_cache_shard *shard_of(struct txreg *reg, struct reg_ref ref)
{
    return &reg->shards[(ref.page ^ ref.seal) % REG_CACHE_SHARDS];
}

static struct reg_page **bucket_of(struct reg_cache_table *table, uint64_t seal)
{
    return &table->buckets[seal / REG_CACHE_SHARDS % SHARD_BUCKETS];
}

static struct reg_page *find_page(struct reg_cache_table *table, struct reg_ref ref)
{
    struct reg_page *page = table != NULL ? *bucket_of(table, ref.seal) : NULL;
    while (page != NULL && (page->seal != ref.seal || page->number != ref.page)) {
        page = page->next;
    }
    return page;
}

static void unlink_page(struct reg_cache_table *table, struct reg_page *page)
{
    struct reg_page **link = bucket_of(table, page->seal);
    while (*link != page) {
        TX_INVARIANT(*link != NULL);
        link = &(*link)->next;
    }
    *link = page->next;
    page->next = NULL;
}

/* A place for one more page: a new one, or that of a page not used for a round of the hand. */
static unsigned make_place(struct reg_cache_table *table)
{
    if (table->count < SHARD_PAGES) {
        return table->count++;
    }
    for (;;) {
        unsigned place = table->hand++ % SHARD_PAGES;
        struct reg_page *page = table->pages[place];
        if (page->recent) {
            page->recent = false;
        } else {
            unlink_page(table, page);
            reg_page_drop(page);
            return place;
        }
    }
}

/* Under the shard's mutex. Without memory for the table nothing is cached, which is no error. */
static void insert_page(struct reg_cache_shard *shard, struct reg_page *page)
{
    struct reg_cache_table *table = shard->table;
    if (table == NULL) {
        table = shard->table = tx_alloc_zero(sizeof(*table));
        if (table == NULL) {
            return;
        }
    }
    unsigned place = make_place(table);
    struct reg_page **bucket = bucket_of(table, page->seal);
    table->pages[place] = page;
    page->next = *bucket;
    *bucket = page;
    page->recent = true;
    atomic_fetch_add_explicit(&page->refs, 1, memory_order_relaxed);
}

void reg_cache_offer(struct txreg *reg, struct reg_page *page)
{
    struct reg_ref ref = {page->number, page->seal};
    struct reg_cache_shard *shard = shard_of(reg, ref);
    txio_mutex_lock(reg->io, &shard->mutex);
    if (find_page(shard->table, ref) == NULL) {
        insert_page(shard, page);
    }
    txio_mutex_unlock(reg->io, &shard->mutex);
}

static enum tx_status load_page(struct txreg *reg, struct reg_ref ref, struct reg_page **page,
                                struct tx_error *err)
{
    TX_AUTO_PTR(reg_page) fresh = reg_page_new(err);
    if (fresh == NULL) {
        return TX_ENOMEM;
    }
    TX_TRY(reg_page_read(reg, ref, fresh->data, err));
    unsigned kind = fresh->data[REG_AT_KIND];
    if (kind == REG_PAGE_LEAF || kind == REG_PAGE_INNER) {
        const char *fault = reg_page_cells_fault(fresh->data);
        if (fault != NULL) {
            return reg_page_corrupt(err, ref.page, fault);
        }
    }
    fresh->number = ref.page;
    fresh->seal = ref.seal;
    *page = TX_TAKE(fresh);
    return TX_OK;
}

enum tx_status reg_cache_get(struct txreg *reg, struct reg_ref ref, struct reg_page **page,
                             struct tx_error *err)
{
    struct reg_cache_shard *shard = shard_of(reg, ref);
    txio_mutex_lock(reg->io, &shard->mutex);
    struct reg_page *cached = find_page(shard->table, ref);
    if (cached != NULL) {
        cached->recent = true;
        atomic_fetch_add_explicit(&cached->refs, 1, memory_order_relaxed);
    }
    txio_mutex_unlock(reg->io, &shard->mutex);
    if (cached == NULL) {
        TX_TRY(load_page(reg, ref, &cached, err));
        reg_cache_offer(reg, cached);
    }
    *page = cached;
    return TX_OK;
}

void reg_cache_release(struct txreg *reg)
{
    for (unsigned i = 0; i < REG_CACHE_SHARDS; i++) {
        struct reg_cache_table *table = reg->shards[i].table;
        for (unsigned j = 0; table != NULL && j < table->count; j++) {
            reg_page_drop(table->pages[j]);
        }
        tx_free(table);
    }
}
