/* SPDX-License-Identifier: MIT */
/*
 * The end of a change: every written page is made canonical and sealed, children before parents,
 * and all of them go to the image in the order of their numbers. Until the transaction manager
 * publishes the new root nobody reads any of it.
 */
#include <stdlib.h>
#include <string.h>

#include "base/invariant.h"
#include "txreg/txreg_internal.h"

#define QUEUE_PAGES 256u /* of large values, before they are written */
#define WRITE_PARTS 8    /* pages in one write, as txio_write_full takes them */

enum tx_status reg_writer_take_number(struct reg_writer *writer, uint32_t *number,
                                      struct tx_error *err)
{
    uint32_t taken = 0;
    if (writer->spare.size > 0) {
        writer->spare.size -= 4;
        taken = tx_get32(writer->spare.data + writer->spare.size);
    } else if (writer->reg->shared != NULL) {
        taken = reg_ring_pop(writer->reg->shared, writer->next_lsn);
    }
    if (taken == 0) {
        if (writer->state.page_count == UINT32_MAX) {
            return tx_error_set(err, TX_ENOSPC, "the registry image has no page numbers left");
        }
        taken = writer->state.page_count++;
    }
    writer->state.used_pages++;
    *number = taken;
    return TX_OK;
}

enum tx_status reg_writer_free_number(struct reg_writer *writer, uint32_t number,
                                      struct tx_error *err)
{
    if (number < REG_SLOT_PAGES || number >= writer->old_page_count ||
        writer->state.used_pages == 0) {
        return reg_page_corrupt(err, number, "referred to, but outside of the pages in use");
    }
    TX_TRY(tx_buf_put32(&writer->freed, number, err));
    writer->state.used_pages--;
    return TX_OK;
}

struct reg_page *reg_writer_find(const struct reg_writer *writer, uint32_t number)
{
    struct reg_page *page = writer->buckets[number & (writer->bucket_count - 1)];
    while (page != NULL && page->number != number) {
        page = page->next;
    }
    return page;
}

static enum tx_status grow_buckets(struct reg_writer *writer, struct tx_error *err)
{
    size_t count = writer->bucket_count * 4;
    struct reg_page **buckets = tx_alloc_zero(count * sizeof(*buckets));
    if (buckets == NULL) {
        return tx_error_set(err, TX_ENOMEM, "no memory to change a tree");
    }
    for (size_t i = 0; i < writer->bucket_count; i++) {
        while (writer->buckets[i] != NULL) {
            struct reg_page *page = writer->buckets[i];
            writer->buckets[i] = page->next;
            page->next = buckets[page->number & (count - 1)];
            buckets[page->number & (count - 1)] = page;
        }
    }
    tx_free(writer->buckets);
    writer->buckets = buckets;
    writer->bucket_count = count;
    return TX_OK;
}

enum tx_status reg_writer_add(struct reg_writer *writer, struct reg_page *page,
                              struct tx_error *err)
{
    if (reg_writer_find(writer, page->number) != NULL) {
        return reg_page_corrupt(err, page->number, "free twice");
    }
    if (writer->page_count >= writer->bucket_count * 2) {
        TX_TRY(grow_buckets(writer, err));
    }
    struct reg_page **bucket = &writer->buckets[page->number & (writer->bucket_count - 1)];
    page->next = *bucket;
    *bucket = page;
    writer->page_count++;
    return TX_OK;
}

void reg_writer_forget(struct reg_writer *writer, struct reg_page *page)
{
    struct reg_page **link = &writer->buckets[page->number & (writer->bucket_count - 1)];
    while (*link != page) {
        TX_INVARIANT(*link != NULL);
        link = &(*link)->next;
    }
    *link = page->next;
    page->next = NULL;
    writer->page_count--;
    reg_page_drop(page);
}

static struct reg_page *queued(const struct reg_writer *writer, size_t index)
{
    struct reg_page *page = NULL;
    memcpy(&page, writer->queue.data + index * sizeof(page), sizeof(page));
    return page;
}

static int order_pages(const void *a, const void *b)
{
    struct reg_page *const *left = a;
    struct reg_page *const *right = b;
    return ((*left)->number > (*right)->number) - ((*left)->number < (*right)->number);
}

/* Write all queued pages, neighbours in one call, and hand them to the cache. */
static enum tx_status flush_queue(struct reg_writer *writer, struct tx_error *err)
{
    struct txreg *reg = writer->reg;
    size_t count = writer->queue.size / sizeof(struct reg_page *);
    if (count > 0) {
        qsort(writer->queue.data, count, sizeof(struct reg_page *), order_pages);
    }
    for (size_t i = 0; i < count;) {
        struct iovec parts[WRITE_PARTS];
        uint32_t first = queued(writer, i)->number;
        int run = 0;
        while (run < WRITE_PARTS && i < count &&
               queued(writer, i)->number == first + (unsigned)run) {
            parts[run++] = (struct iovec){queued(writer, i++)->data, REG_PAGE_SIZE};
        }
        enum tx_status status = txio_write_full(reg->io, reg->fd, parts, run,
                                                (uint64_t)first * REG_PAGE_SIZE, err);
        if (status != TX_OK) {
            tx_error_prefix(err, "%s: page %u", REG_IMAGE_PATH, first);
            return status;
        }
    }
    for (size_t i = 0; i < count; i++) {
        struct reg_page *page = queued(writer, i);
        if (page->data[REG_AT_KIND] == REG_PAGE_LEAF || page->data[REG_AT_KIND] == REG_PAGE_INNER) {
            reg_cache_offer(reg, page);
        }
        reg_page_drop(page);
    }
    tx_buf_clear(&writer->queue);
    return TX_OK;
}

enum tx_status reg_writer_enqueue(struct reg_writer *writer, struct reg_page *page,
                                  struct tx_error *err)
{
    TX_AUTO_PTR(reg_page) mine = page;
    mine->seal = reg_page_seal(mine->data, mine->number);
    tx_put64(mine->data + REG_AT_SEAL, mine->seal);
    TX_INVARIANT(reg_page_fault(mine->data, mine->number) == NULL);
    TX_TRY(tx_buf_append(&writer->queue, &mine, sizeof(mine), err));
    (void)TX_TAKE(mine);
    if (writer->queue.size < QUEUE_PAGES * sizeof(mine) || writer->finishing) {
        return TX_OK;
    }
    return flush_queue(writer, err);
}

static void tidy_page(struct reg_writer *writer, struct reg_page *page)
{
    if (page->messy) {
        reg_items_begin(writer->items, reg_page_level(page->data) > 0);
        reg_items_load(writer->items, page->data);
        reg_items_measure(writer->items);
        if (writer->items->count > 0) {
            reg_items_build(writer->items, 0, writer->items->count, page);
        } else {
            reg_page_format(page, page->number, REG_PAGE_LEAF, 0, writer->lsn);
        }
    }
    TX_INVARIANT(reg_page_cells_fault(page->data) == NULL);
}

/* Seal a written page after all written pages below it. Levels fall, so the depth is bounded. */
static enum tx_status seal_tree(struct reg_writer *writer, struct reg_page *page,
                                struct tx_error *err)
{
    unsigned level = reg_page_level(page->data);
    for (unsigned i = 0; level > 0 && i < reg_page_count(page->data); i++) {
        struct reg_ref ref = reg_page_ref(page->data, i);
        struct reg_page *child = reg_writer_find(writer, ref.page);
        if (child == NULL && ref.seal == 0) {
            return reg_page_corrupt(err, ref.page, "referred to twice");
        }
        if (child != NULL) {
            if (reg_page_level(child->data) != level - 1) {
                return reg_page_corrupt(err, ref.page, "free and in use at the same time");
            }
            TX_TRY(seal_tree(writer, child, err));
            reg_page_set_ref(page, i, (struct reg_ref){child->number, child->seal});
            reg_writer_forget(writer, child); /* the queue has it */
        }
    }
    tidy_page(writer, page);
    atomic_fetch_add_explicit(&page->refs, 1, memory_order_relaxed);
    return reg_writer_enqueue(writer, page, err);
}

static int order_numbers(const void *a, const void *b)
{
    uint32_t left = tx_get32(a);
    uint32_t right = tx_get32(b);
    return (left > right) - (left < right);
}

/* Hand what the old tree alone needed to the ring, once each. */
static enum tx_status give_back(struct reg_writer *writer, struct tx_error *err)
{
    size_t count;
    TX_TRY(tx_buf_append(&writer->freed, writer->spare.data, writer->spare.size, err));
    writer->spare.size = 0;
    count = writer->freed.size / 4;
    if (count > 1) {
        qsort(writer->freed.data, count, 4, order_numbers);
    }
    for (size_t i = 1; i < count; i++) {
        uint32_t number = tx_get32(writer->freed.data + 4 * i);
        if (number == tx_get32(writer->freed.data + 4 * (i - 1))) {
            return reg_page_corrupt(err, number, "referred to twice");
        }
    }
    for (size_t i = 0; i < count && writer->reg->shared != NULL; i++) {
        reg_ring_push(writer->reg->shared, tx_get32(writer->freed.data + 4 * i), writer->next_lsn);
    }
    return TX_OK;
}

enum tx_status reg_writer_finish(struct reg_writer *writer, struct tx_error *err)
{
    struct reg_page *root = reg_writer_find(writer, writer->state.root_page);
    writer->path_valid = false;
    writer->finishing = true;
    if (root != NULL) {
        TX_TRY(seal_tree(writer, root, err));
        writer->state.root_seal = root->seal;
        reg_writer_forget(writer, root);
    }
    if (writer->page_count > 0) {
        return reg_page_corrupt(err, writer->state.root_page, "tree with more than one root");
    }
    TX_TRY(flush_queue(writer, err));
    return give_back(writer, err);
}
