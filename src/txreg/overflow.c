/* SPDX-License-Identifier: MIT */
/*
 * Contents too large for a leaf: DATA pages, named in order by LIST pages, these by LIST pages in
 * turn until one page is left. Its reference stands in the value's record; how many levels there
 * are follows from the size. Each reference carries the seal of what it names, so a content is
 * proved as the tree is; freeing a content reads its lists only.
 */
#include <string.h>

#include "base/invariant.h"
#include "txreg/txreg_internal.h"

#define CACHED_MAX (64u << 10) /* larger contents would push the tree out of the cache */

/* Bytes of content below one page of this level. */
static uint64_t span_of(unsigned level)
{
    uint64_t span = REG_DATA_ROOM;
    while (level-- > 0) {
        span *= REG_LIST_ROOM;
    }
    return span;
}

static unsigned level_of(uint64_t size)
{
    unsigned level = 0;
    while (span_of(level) < size) {
        level++;
    }
    return level;
}

static enum tx_status new_page(struct reg_writer *writer, unsigned level, struct reg_page **page,
                               struct tx_error *err)
{
    uint32_t number;
    TX_AUTO_PTR(reg_page) fresh = reg_page_new(err);
    if (fresh == NULL) {
        return TX_ENOMEM;
    }
    TX_TRY(reg_writer_take_number(writer, &number, err));
    reg_page_format(fresh, number, level == 0 ? REG_PAGE_DATA : REG_PAGE_LIST, level, writer->lsn);
    *page = TX_TAKE(fresh);
    return TX_OK;
}

/* Queue the page and remember how to name it. */
static enum tx_status put_page(struct reg_writer *writer, struct reg_page *page,
                               struct tx_buf *refs, struct tx_error *err)
{
    uint32_t number = page->number;
    uint8_t *at;
    struct reg_page *kept = page;
    atomic_fetch_add_explicit(&page->refs, 1, memory_order_relaxed);
    enum tx_status status = reg_writer_enqueue(writer, kept, err);
    uint64_t seal = page->seal;
    reg_page_drop(page);
    TX_TRY(status);
    TX_TRY(tx_buf_extend(refs, REG_REF_SIZE, &at, err));
    tx_put32(at, number);
    tx_put64(at + 4, seal);
    return TX_OK;
}

struct source {
    const struct iovec *part;
    int count;
    size_t used; /* of the first part */
};

/* Copy at most `room` bytes out of the parts. */
static size_t take_bytes(struct source *source, uint8_t *to, size_t room)
{
    size_t size = 0;
    while (source->count > 0 && size < room) {
        size_t left = source->part->iov_len - source->used;
        size_t step = left < room - size ? left : room - size;
        if (step > 0) {
            memcpy(to + size, (const uint8_t *)source->part->iov_base + source->used, step);
        }
        size += step;
        source->used += step;
        if (source->used == source->part->iov_len) {
            source->part++;
            source->count--;
            source->used = 0;
        }
    }
    return size;
}

static enum tx_status write_data(struct reg_writer *writer, struct source *source, uint64_t size,
                                 struct tx_buf *refs, struct tx_error *err)
{
    while (size > 0) {
        struct reg_page *page = NULL;
        TX_TRY(new_page(writer, 0, &page, err));
        size_t taken = take_bytes(source, page->data + REG_PAGE_HEAD, REG_DATA_ROOM);
        tx_put16(page->data + REG_AT_HEAP, (uint16_t)taken);
        size -= taken;
        TX_TRY(put_page(writer, page, refs, err));
    }
    return TX_OK;
}

static enum tx_status write_lists(struct reg_writer *writer, unsigned level,
                                  const struct tx_buf *lower, struct tx_buf *refs,
                                  struct tx_error *err)
{
    for (size_t at = 0; at < lower->size;) {
        struct reg_page *page = NULL;
        size_t size = lower->size - at;
        if (size > REG_LIST_ROOM * REG_REF_SIZE) {
            size = REG_LIST_ROOM * REG_REF_SIZE;
        }
        TX_TRY(new_page(writer, level, &page, err));
        memcpy(page->data + REG_PAGE_HEAD, lower->data + at, size);
        tx_put16(page->data + REG_AT_COUNT, (uint16_t)(size / REG_REF_SIZE));
        at += size;
        TX_TRY(put_page(writer, page, refs, err));
    }
    return TX_OK;
}

static struct reg_ref list_ref(const uint8_t *at)
{
    return (struct reg_ref){tx_get32(at), tx_get64(at + 4)};
}

enum tx_status reg_overflow_write(struct reg_writer *writer, const struct iovec *parts, int count,
                                  struct reg_ref *ref, struct tx_error *err)
{
    TX_AUTO(tx_buf) refs = TX_BUF_INIT;
    TX_AUTO(tx_buf) upper = TX_BUF_INIT;
    struct source source = {parts, count, 0};
    uint64_t size = 0;
    for (int i = 0; i < count; i++) {
        size += parts[i].iov_len;
    }
    TX_INVARIANT(size > 0 && size <= REG_OVERFLOW_MAX);
    TX_TRY(write_data(writer, &source, size, &refs, err));
    for (unsigned level = 1; refs.size > REG_REF_SIZE; level++) {
        tx_buf_clear(&upper);
        TX_TRY(write_lists(writer, level, &refs, &upper, err));
        struct tx_buf swap = refs;
        refs = upper;
        upper = swap;
    }
    *ref = list_ref(refs.data);
    return TX_OK;
}

struct visit {
    struct txreg *reg;
    reg_overflow_fn *fn;
    void *arg;
    struct tx_buf *data; /* where contents go; NULL: data pages are not read */
    uint64_t skip;
    uint64_t take;
    uint64_t total;
};

/* Read one page of a content: `size` bytes lie below it. */
static enum tx_status read_part(const struct visit *visit, struct reg_ref ref, unsigned level,
                                uint64_t size, struct reg_page **page, struct tx_error *err)
{
    TX_AUTO_PTR(reg_page) read = NULL;
    if (visit->total <= CACHED_MAX) {
        TX_TRY(reg_cache_get(visit->reg, ref, &read, err));
    } else {
        read = reg_page_new(err);
        if (read == NULL) {
            return TX_ENOMEM;
        }
        TX_TRY(reg_page_read(visit->reg, ref, read->data, err));
    }
    const uint8_t *data = read->data;
    uint64_t lower = level == 0 ? 1 : span_of(level - 1);
    uint64_t wanted = (size + lower - 1) / lower;
    unsigned kind = level == 0 ? REG_PAGE_DATA : REG_PAGE_LIST;
    uint64_t held = tx_get16(data + (level == 0 ? REG_AT_HEAP : REG_AT_COUNT));
    if (data[REG_AT_KIND] != kind || reg_page_level(data) != level || held != wanted) {
        return reg_page_corrupt(err, ref.page, "not the expected part of a large value");
    }
    *page = TX_TAKE(read);
    return TX_OK;
}

/* `level` falls by one each time and begins at 2 or less. */
static enum tx_status visit_part(struct visit *visit, struct reg_ref ref, unsigned level,
                                 uint64_t size, struct tx_error *err)
{
    TX_AUTO_PTR(reg_page) page = NULL;
    if (visit->fn != NULL) {
        TX_TRY(visit->fn(visit->arg, ref, level, err));
    }
    if (level == 0 && visit->data == NULL) {
        return TX_OK;
    }
    if (visit->data != NULL && (visit->skip >= size || visit->take == 0)) {
        visit->skip -= visit->take == 0 ? 0 : size;
        return TX_OK;
    }
    TX_TRY(read_part(visit, ref, level, size, &page, err));
    if (level == 0) {
        uint64_t skip = visit->skip;
        uint64_t step = size - skip < visit->take ? size - skip : visit->take;
        visit->skip = 0;
        visit->take -= step;
        return tx_buf_append(visit->data, page->data + REG_PAGE_HEAD + skip, step, err);
    }
    for (unsigned i = 0; size > 0; i++) {
        uint64_t below = size < span_of(level - 1) ? size : span_of(level - 1);
        struct reg_ref child = list_ref(page->data + REG_PAGE_HEAD + i * (size_t)REG_REF_SIZE);
        TX_TRY(visit_part(visit, child, level - 1, below, err));
        size -= below;
    }
    return TX_OK;
}

static enum tx_status visit_all(struct visit *visit, struct reg_ref ref, uint64_t size,
                                struct tx_error *err)
{
    if (size == 0 || size > REG_OVERFLOW_MAX) {
        return reg_page_corrupt(err, ref.page, "impossible size of a large value");
    }
    visit->total = size;
    return visit_part(visit, ref, level_of(size), size, err);
}

enum tx_status reg_overflow_read(struct txreg *reg, struct reg_ref ref, uint64_t size,
                                 uint64_t skip, uint64_t take, struct tx_buf *data,
                                 struct tx_error *err)
{
    struct visit visit = {.reg = reg, .data = data, .skip = skip, .take = take};
    size_t before = data->size;
    enum tx_status status = visit_all(&visit, ref, size, err);
    if (status != TX_OK) {
        data->size = before;
    }
    return status;
}

static enum tx_status free_part(void *arg, struct reg_ref ref, unsigned level,
                                struct tx_error *err)
{
    (void)level;
    return reg_writer_free_number(arg, ref.page, err);
}

enum tx_status reg_overflow_free(struct reg_writer *writer, struct reg_ref ref, uint64_t size,
                                 struct tx_error *err)
{
    return reg_overflow_each(writer->reg, ref, size, free_part, writer, err);
}

enum tx_status reg_overflow_each(struct txreg *reg, struct reg_ref ref, uint64_t size,
                                 reg_overflow_fn *fn, void *arg, struct tx_error *err)
{
    struct visit visit = {.reg = reg, .fn = fn, .arg = arg};
    return visit_all(&visit, ref, size, err);
}
