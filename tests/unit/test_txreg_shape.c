/* SPDX-License-Identifier: MIT */
/* The shapes of trees: thousands of pages in one commit, down to nothing, with memory or the disk
 * failing anywhere, and over images whose references or free pages lie. */
#include "reg_fixture.h"

#include <stdio.h>

#include "failing_alloc.h"
#include "failing_io.h"
#include "txreg/tree_write.h"

#define LARGE 1990u /* two of them fill a leaf */

static const uint8_t zeros[LARGE];

static void make_key(struct reg_key *key, unsigned i, size_t name_size)
{
    reg_key_head(key, 7, REG_VALUE);
    (void)snprintf((char *)key->bytes + key->size, sizeof(key->bytes) - key->size, "%05u", i);
    memset(key->bytes + key->size + 5, 'n', name_size);
    key->size = (uint16_t)(key->size + 5 + name_size);
}

static enum tx_status try_put(struct reg_writer *writer, unsigned i, size_t size)
{
    struct reg_key key;
    make_key(&key, i, 0);
    return reg_writer_put(writer, &key, zeros, size, ERR);
}

static enum tx_status try_remove(struct reg_writer *writer, unsigned i)
{
    struct reg_key key;
    make_key(&key, i, 0);
    return reg_writer_remove(writer, &key, ERR);
}

static void begin(struct reg_image *image, struct reg_writer *writer)
{
    image->lsn += 4096;
    ok(reg_writer_init(writer, image->reg, &image->state, image->lsn, image->lsn, ERR));
}

static void finish(struct reg_image *image, struct reg_writer *writer)
{
    ok(reg_writer_finish(writer, ERR));
    image->state = writer->state;
    reg_writer_auto(writer);
}

static void fill(struct reg_image *image, unsigned count, size_t size)
{
    struct reg_writer writer;
    begin(image, &writer);
    for (unsigned i = 0; i < count; i++) {
        ok(try_put(&writer, i, size));
    }
    finish(image, &writer);
}

static unsigned count_records(struct reg_image *image)
{
    TX_AUTO(reg_tree) tree;
    TX_AUTO(reg_cursor) cursor;
    unsigned count = 0;
    reg_tree_open(&tree, image->reg, &image->state);
    reg_cursor_init(&cursor, &tree);
    ok(reg_cursor_seek(&cursor, (const uint8_t *)"", 0, ERR));
    for (; cursor.valid; count++) {
        ok(reg_cursor_next(&cursor, ERR));
    }
    return count;
}

Test(txreg_shape, thousands_of_pages_in_one_commit)
{
    enum { COUNT = 4400 };
    TX_AUTO(reg_image) image;
    struct reg_writer writer;
    struct reg_key header;
    reg_image_init(&image, NULL);
    fill(&image, COUNT / 2, LARGE);
    fill(&image, COUNT, LARGE);
    cr_assert_eq(count_records(&image), COUNT + 1);
    cr_assert_gt(image.state.used_pages, COUNT / 2);
    cr_assert_eq(image.state.height, 3);
    begin(&image, &writer);
    for (unsigned i = 0; i < COUNT; i++) { /* leaves become empty, and then what is above them */
        ok(try_remove(&writer, i));
    }
    reg_key_head(&header, REG_ROOT_ID, REG_HEADER);
    ok(reg_writer_remove(&writer, &header, ERR));
    finish(&image, &writer);
    cr_assert_eq(count_records(&image), 0);
    cr_assert(image.state.height == 1 && image.state.used_pages == 1);
    struct reg_state before = image.state;
    begin(&image, &writer);
    finish(&image, &writer); /* without a change */
    cr_assert_eq(memcmp(&image.state, &before, sizeof(before)), 0);
}

Test(txreg_shape, no_memory_for_more_pages_is_an_error)
{
    TX_AUTO(reg_image) image;
    struct reg_writer writer;
    enum tx_status status = TX_OK;
    unsigned count = 0;
    reg_image_init(&image, NULL);
    failing_alloc_begin(SIZE_MAX);
    failing_alloc.refused = 4096 * sizeof(void *); /* buckets for more than 2048 pages */
    begin(&image, &writer);
    for (; status == TX_OK; count++) {
        status = try_put(&writer, count, LARGE);
    }
    fails(TX_ENOMEM, status);
    cr_assert(count > 4000 && count < 4200, "%u", count);
    reg_writer_auto(&writer);
    (void)failing_alloc_end();
    cr_assert_eq(count_records(&image), 1);
}

/* --- Failures --------------------------------------------------------------------------------- */

static enum tx_status shrink(struct reg_writer *writer)
{
    for (unsigned i = 0; i < 150; i++) {
        TX_TRY(try_remove(writer, i * 7 % 150));
    }
    return reg_writer_finish(writer, ERR);
}

static enum tx_status shrink_back(struct reg_writer *writer)
{
    for (unsigned i = 150; i-- > 0;) {
        TX_TRY(try_remove(writer, i));
    }
    return reg_writer_finish(writer, ERR);
}

static enum tx_status drain(struct reg_writer *writer)
{
    struct reg_key key;
    for (unsigned i = 0; i < 60; i++) {
        make_key(&key, i, 450);
        TX_TRY(reg_writer_remove(writer, &key, ERR));
    }
    return reg_writer_finish(writer, ERR);
}

static enum tx_status grow(struct reg_writer *writer)
{
    struct reg_key key;
    for (unsigned i = 0; i < 40; i++) {
        make_key(&key, i * 11 % 150, 450); /* inner pages hold few of them */
        TX_TRY(reg_writer_put(writer, &key, zeros, 1000, ERR));
    }
    return reg_writer_finish(writer, ERR);
}

static enum tx_status rewrite(struct reg_writer *writer)
{
    for (unsigned i = 0; i < 150; i += 3) {
        TX_TRY(try_put(writer, i, i));
    }
    return reg_writer_finish(writer, ERR);
}

static void cool(struct reg_image *image)
{
    reg_cache_release(image->reg);
    memset(image->reg->shards, 0, sizeof(image->reg->shards));
}

/* The n-th allocation, or the n-th call, goes wrong; tell whether it came so far. */
static bool work_fails(struct reg_image *image, struct failing_io *io,
                       enum tx_status (*work)(struct reg_writer *writer), size_t memory, int call)
{
    TX_AUTO(reg_writer) writer = {.reg = NULL};
    tx_lsn lsn = image->lsn + 4096;
    reg_ring_rewind(image->shared, lsn);
    cool(image);
    failing_alloc_begin(memory);
    io->calls = 0;
    io->fail_at = call;
    enum tx_status status = reg_writer_init(&writer, image->reg, &image->state, lsn, lsn, ERR);
    if (status == TX_OK) {
        status = work(&writer);
    }
    io->fail_at = -1;
    reg_writer_auto(&writer);
    cool(image);
    cr_assert_eq(failing_alloc.in_use, 0);
    bool failed = failing_alloc_end();
    if (call >= 0) {
        failed = io->calls > call;
        cr_assert_eq(status, failed ? TX_EIO : TX_OK, "%s", reg_err.text);
        return failed;
    }
    /* Without memory for its table, the cache keeps nothing, which is no failure. */
    cr_assert(status == TX_OK || (failed && status == TX_ENOMEM), "%s", reg_err.text);
    return failed;
}

static void fill_long(struct reg_image *image, unsigned count)
{
    struct reg_writer writer;
    struct reg_key key;
    begin(image, &writer);
    for (unsigned i = 0; i < count; i++) {
        make_key(&key, i, 450);
        ok(reg_writer_put(&writer, &key, zeros, 1000, ERR));
    }
    finish(image, &writer);
}

static void fail_anywhere(enum tx_status (*work)(struct reg_writer *writer), unsigned count,
                          unsigned long_count)
{
    struct failing_io io;
    TX_AUTO(reg_image) image;
    size_t memory = 0;
    int call = 0;
    reg_image_init(&image, failing_io_init(&io, -1, -EIO));
    fill(&image, count, 400);
    fill_long(&image, long_count);
    uint32_t ring = reg_ring_count(image.shared);
    while (work_fails(&image, &io, work, memory, -1)) {
        memory++;
    }
    while (work_fails(&image, &io, work, SIZE_MAX, call)) {
        call++;
    }
    cr_assert(memory > 20 && call > 3, "%zu, %d", memory, call);
    cr_assert_eq(count_records(&image), 1 + count + long_count); /* as nothing was published */
    reg_ring_rewind(image.shared, image.lsn + 4096);
    cr_assert_eq(reg_ring_count(image.shared), ring);
}

Test(txreg_shape, shrinking_may_fail_anywhere)
{
    fail_anywhere(shrink, 150, 0);
    fail_anywhere(shrink_back, 150, 0);
    fail_anywhere(drain, 0, 60);
}

Test(txreg_shape, growing_may_fail_anywhere)
{
    fail_anywhere(grow, 150, 0);
    fail_anywhere(grow, 3, 0);
}

Test(txreg_shape, rewriting_may_fail_anywhere)
{
    fail_anywhere(rewrite, 150, 0);
}

/* --- Limits ----------------------------------------------------------------------------------- */

Test(txreg_shape, page_numbers_may_run_out)
{
    TX_AUTO(reg_image) image;
    TX_AUTO(reg_writer) writer = {.reg = NULL};
    struct iovec part = {(void *)(uintptr_t)zeros, sizeof(zeros)};
    struct reg_ref ref = {0};
    reg_image_init(&image, NULL);
    fill(&image, 1, LARGE);
    image.state.page_count = UINT32_MAX;
    reg_ring_empty(image.shared);
    begin(&image, &writer);
    fails(TX_ENOSPC, try_put(&writer, 1, LARGE));
    fails(TX_ENOSPC, reg_overflow_write(&writer, &part, 1, &ref, ERR));
    reg_ring_push(image.shared, 100, 0); /* one is left, for the leaf but not for its half */
    fails(TX_ENOSPC, try_put(&writer, 1, LARGE));
    cr_assert_not_null(strstr(reg_err.text, "no page numbers left"), "%s", reg_err.text);
    ref.page = 2;
    fails(TX_ECORRUPT, reg_overflow_free(&writer, ref, REG_OVERFLOW_MAX + 1, ERR));
    cr_assert_eq(count_records(&image), 2);
}

Test(txreg_shape, height_has_a_limit)
{
    TX_AUTO(reg_image) image;
    TX_AUTO(reg_writer) writer = {.reg = NULL};
    TX_AUTO_PTR(reg_page) root = reg_page_new(ERR);
    uint8_t ref[REG_REF_SIZE] = {0};
    struct reg_key key = {.size = 0};
    unsigned count = 0;
    reg_image_init(&image, NULL);
    begin(&image, &writer);
    writer.state.height = REG_LEVEL_MAX + 1;
    reg_page_format(root, 50, REG_PAGE_INNER, REG_LEVEL_MAX, 1);
    while (reg_page_insert(root, count, key.bytes, key.size, ref, sizeof(ref))) {
        make_key(&key, ++count, 400);
    }
    writer.path[REG_LEVEL_MAX].page = root;
    struct reg_change more = {key.bytes, key.size, ref, sizeof(ref)};
    fails(TX_ELIMIT, reg_writer_place(&writer, REG_LEVEL_MAX, count, REG_INSERT, &more, ERR));
    cr_assert_not_null(strstr(reg_err.text, "too high"), "%s", reg_err.text);
}

/* --- What is free and in use ------------------------------------------------------------------ */

/* The number of the root's n-th child. */
static uint32_t child_of(struct reg_image *image, unsigned index)
{
    struct reg_page *root = NULL;
    struct reg_ref ref = {image->state.root_page, image->state.root_seal};
    ok(reg_tree_page(image->reg, ref, 1, &root, ERR));
    uint32_t number = reg_page_ref(root->data, index).page;
    reg_page_drop(root);
    return number;
}

enum { NOBODY = 900 }; /* a page of no tree */

/* Of a tree with two large records in each leaf; `free` are listed as free. */
static void expect_refusal(const uint32_t free[2], enum tx_status (*work)(struct reg_writer *),
                           const char *text)
{
    TX_AUTO(reg_image) image;
    TX_AUTO(reg_writer) writer = {.reg = NULL};
    reg_image_init(&image, NULL);
    fill(&image, 20, 1500);
    reg_ring_empty(image.shared);
    for (unsigned i = 0; i < 2; i++) {
        reg_ring_push(image.shared, free[i] == NOBODY ? NOBODY : child_of(&image, free[i]), 0);
    }
    begin(&image, &writer);
    fails(TX_ECORRUPT, work(&writer));
    cr_assert_not_null(strstr(reg_err.text, text), "%s", reg_err.text);
    cr_assert_eq(count_records(&image), 21);
}

static enum tx_status change_first(struct reg_writer *writer)
{
    TX_TRY(try_put(writer, 0, 1400));
    return reg_writer_finish(writer, ERR);
}
static enum tx_status change_two(struct reg_writer *writer)
{
    TX_TRY(try_put(writer, 0, 1400));
    TX_TRY(try_put(writer, 3, 10));
    return reg_writer_finish(writer, ERR);
}
static enum tx_status remove_first(struct reg_writer *writer)
{
    TX_TRY(try_remove(writer, 0));
    TX_TRY(try_remove(writer, 1));
    return reg_writer_finish(writer, ERR);
}

Test(txreg_shape, pages_that_are_free_and_in_use_are_refused)
{
    expect_refusal((const uint32_t[2]){NOBODY, NOBODY}, change_first, "free twice");
    expect_refusal((const uint32_t[2]){1, NOBODY}, change_first,
                   "free and in use at the same time"); /* the root lies in a leaf's place */
    expect_refusal((const uint32_t[2]){1, NOBODY}, change_two,
                   "free and in use at the same time");
    expect_refusal((const uint32_t[2]){1, NOBODY}, remove_first,
                   "free and in use at the same time");
    expect_refusal((const uint32_t[2]){NOBODY, 1}, change_two, "referred to twice");
}

Test(txreg_shape, nothing_is_freed_that_cannot_be)
{
    TX_AUTO(reg_image) image;
    TX_AUTO(reg_writer) writer = {.reg = NULL};
    struct iovec part = {(void *)(uintptr_t)zeros, sizeof(zeros)};
    struct reg_ref ref;
    reg_image_init(&image, NULL);
    begin(&image, &writer);
    ok(reg_overflow_write(&writer, &part, 1, &ref, ERR));
    finish(&image, &writer);
    begin(&image, &writer);
    fails(TX_ECORRUPT, reg_writer_free_number(&writer, REG_SLOT_PAGES - 1, ERR));
    fails(TX_ECORRUPT, reg_writer_free_number(&writer, image.state.page_count, ERR));
    ok(reg_overflow_free(&writer, ref, sizeof(zeros), ERR));
    ok(reg_overflow_free(&writer, ref, sizeof(zeros), ERR));
    fails(TX_ECORRUPT, reg_overflow_free(&writer, ref, sizeof(zeros), ERR)); /* none is in use */
    fails(TX_ECORRUPT, reg_writer_finish(&writer, ERR));
    cr_assert_not_null(strstr(reg_err.text, "referred to twice"), "%s", reg_err.text);
}
