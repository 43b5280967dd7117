/* SPDX-License-Identifier: MIT */
/* Finding pages that nothing refers to: when it is worth it, what it says of damaged trees. */
#include "reg_fixture.h"

#include "failing_alloc.h"
#include "failing_io.h"

static void put_out(struct reg_writer *writer, const char *name, struct reg_ref ref, uint32_t size)
{
    uint8_t record[REG_VALUE_HEAD_MAX];
    struct reg_value value = {.is_out = true, .size = size, .ref = ref};
    reg_put_record(writer, 5, REG_LONG_VALUE, name, record, reg_value_encode_head(&value, record));
}

typedef void fill_fn(struct reg_writer *writer);

/* A change of the image that becomes its state. */
static void change(struct reg_image *image, fill_fn *fill)
{
    TX_AUTO(reg_writer) writer = {.reg = image->reg};
    image->lsn += 4096;
    ok(reg_writer_init(&writer, image->reg, &image->state, image->lsn, image->lsn, ERR));
    fill(&writer);
    ok(reg_writer_finish(&writer, ERR));
    image->state = writer.state;
}

/* Several leaves, some of one key's values only, and a value with a list of pages. */
static void fill_sound(struct reg_writer *writer)
{
    static const uint8_t data[20000];
    uint8_t record[REG_VALUE_HEAD_MAX + 200] = {0};
    char name[16];
    struct reg_value value = {.size = 200};
    struct reg_ref ref;
    size_t size = reg_value_encode_head(&value, record) + 200;
    for (unsigned i = 0; i < 100; i++) {
        (void)snprintf(name, sizeof(name), "%03u", i);
        reg_put_record(writer, 4, REG_VALUE, name, record, size);
    }
    struct iovec part = {(void *)(uintptr_t)data, sizeof(data)};
    ok(reg_overflow_write(writer, &part, 1, &ref, ERR));
    put_out(writer, "large", ref, sizeof(data));
}

static uint32_t search(struct reg_image *image, const struct reg_state *state,
                       enum ktm_redo_mode mode)
{
    ok(reg_search_free(image->reg, state, mode, ERR));
    return reg_ring_count(image->shared);
}

/* The file reaches as far as pages were ever used. */
static void grow(const struct reg_image *image, uint32_t pages)
{
    int fd = openat(image->temp.fd, REG_IMAGE_PATH, O_WRONLY);
    cr_assert_eq(ftruncate(fd, (off_t)pages * REG_PAGE_SIZE), 0);
    (void)close(fd);
}

Test(txreg_search, is_done_when_many_pages_seem_lost)
{
    TX_AUTO(reg_image) image;
    reg_image_init(&image, NULL);
    grow(&image, 100000);
    struct reg_state state = image.state; /* one page in use */
    state.page_count = 3 + 1024;
    cr_assert_eq(search(&image, &state, KTM_REDO_LIVE), 0, "too few");
    state.used_pages = 8000;
    state.page_count = 2 + 8000 + 2000;
    cr_assert_eq(search(&image, &state, KTM_REDO_LIVE), 0, "no more than a fifth");
    state.page_count = 8000;
    cr_assert_eq(search(&image, &state, KTM_REDO_LIVE), 0, "more in use than there are");
    state = image.state;
    state.page_count = 3 + 1025;
    cr_assert_eq(search(&image, &state, KTM_REDO_LIVE), 1025);
    state.page_count = 100000;
    cr_assert_eq(search(&image, &state, KTM_REDO_LIVE), 1025, "the ring has enough");
    reg_ring_empty(image.shared);
    cr_assert_eq(search(&image, &state, KTM_REDO_LIVE), REG_RING_SIZE, "no more fit in");
}

/* What the slot claims beyond the end of the file is nobody's, and takes no memory. */
Test(txreg_search, believes_the_file_more_than_the_slot)
{
    TX_AUTO(reg_image) image;
    reg_image_init(&image, NULL);
    struct reg_state state = image.state;
    state.page_count = UINT32_MAX;
    grow(&image, 100);
    cr_assert_eq(search(&image, &state, KTM_REDO_LIVE), 100 - REG_SLOT_PAGES - 1);
}

/* A tree on the disk and a state whose high water lies far above it. */
static void make_leak(struct reg_image *image, struct reg_state *state)
{
    change(image, fill_sound);
    *state = image->state;
    state->page_count += 2000;
    grow(image, state->page_count);
    reg_ring_empty(image->shared);
}

static void tear(struct reg_image *image, uint32_t page, uint32_t count)
{
    int fd = openat(image->temp.fd, REG_IMAGE_PATH, O_WRONLY);
    cr_assert_geq(fd, 0);
    for (; count > 0; count--) {
        cr_assert_eq(pwrite(fd, "torn", 4, (off_t)page++ * REG_PAGE_SIZE + 100), 4);
    }
    (void)close(fd);
}

Test(txreg_search, a_damaged_tree_hides_what_is_free)
{
    TX_AUTO(reg_image) image;
    struct reg_state state;
    reg_image_init(&image, NULL);
    make_leak(&image, &state);
    cr_assert_gt(search(&image, &state, KTM_REDO_LIVE), 1900);
    tear(&image, state.root_page, 1);
    reg_image_reopen(&image, NULL); /* slots are older: the sound tree of before */
    cr_assert_eq(search(&image, &state, KTM_REDO_LIVE), 0);
    cr_assert_eq(search(&image, &state, KTM_REDO_RECOVER), 0);
}

/* Pages of large values are not read by the search: they are kept as they are. */
Test(txreg_search, a_torn_page_that_is_needed_is_left_alone)
{
    TX_AUTO(reg_image) image;
    struct reg_state state;
    uint8_t page[REG_PAGE_SIZE] = {0};
    uint32_t number = REG_SLOT_PAGES;
    reg_image_init(&image, NULL);
    make_leak(&image, &state);
    uint32_t free_count = search(&image, &state, KTM_REDO_LIVE);
    for (; page[REG_AT_KIND] != REG_PAGE_DATA; number++) {
        cr_assert_eq(pread(image.reg->fd, page, sizeof(page), (off_t)number * REG_PAGE_SIZE),
                     (ssize_t)sizeof(page));
    }
    tear(&image, --number, 1);
    reg_ring_empty(image.shared);
    cr_assert_eq(search(&image, &state, KTM_REDO_RECOVER), free_count);
    cr_assert_eq(pread(image.reg->fd, page, 4, (off_t)number * REG_PAGE_SIZE + 100), 4);
    cr_assert_eq(memcmp(page, "torn", 4), 0);
}

static void cool(struct reg_image *image)
{
    reg_cache_release(image->reg);
    memset(image->reg->shards, 0, sizeof(image->reg->shards));
}

Test(txreg_search, may_fail_anywhere)
{
    struct failing_io io;
    TX_AUTO(reg_image) image;
    struct reg_state state;
    bool failed = true;
    size_t memory = 0;
    int call = 0;
    reg_image_init(&image, failing_io_init(&io, -1, -EIO));
    make_leak(&image, &state);
    tear(&image, image.state.page_count, 40); /* on their way when the power went */
    for (; failed; memory++) {
        cool(&image);
        failing_alloc_begin(memory);
        enum tx_status status = reg_search_free(image.reg, &state, KTM_REDO_RECOVER, ERR);
        cool(&image);
        cr_assert_eq(failing_alloc.in_use, 0);
        failed = failing_alloc_end();
        cr_assert(status == TX_OK || (failed && status == TX_ENOMEM));
        cr_assert(status == TX_OK || reg_ring_count(image.shared) == 0);
        failed = status != TX_OK;
    }
    cr_assert_gt(memory, 10);
    tear(&image, image.state.page_count, 40);
    for (failed = true; failed; call++) {
        cool(&image);
        reg_ring_empty(image.shared);
        io.calls = 0;
        io.fail_at = call;
        enum tx_status status = reg_search_free(image.reg, &state, KTM_REDO_RECOVER, ERR);
        failed = io.calls > call;
        cr_assert_eq(status, failed ? TX_EIO : TX_OK);
        cr_assert_eq(reg_ring_count(image.shared), failed ? 0 : 2000 + 1);
    }
    cr_assert_gt(call, 10);
}

/* --- Trees that no writer makes --------------------------------------------------------------- */

static void fill_short_value(struct reg_writer *writer)
{
    reg_put_record(writer, 5, REG_VALUE, "short", "?", 1);
}
static void fill_low_page(struct reg_writer *writer)
{
    put_out(writer, "low", (struct reg_ref){1, 1}, 10);
}
static void fill_high_page(struct reg_writer *writer)
{
    put_out(writer, "high", (struct reg_ref){1000, 1}, 10);
}
static void fill_own_page(struct reg_writer *writer)
{
    put_out(writer, "own", (struct reg_ref){3, 1}, 10); /* the leaf's own number */
}
static void fill_no_list(struct reg_writer *writer)
{
    put_out(writer, "list", (struct reg_ref){2, 1}, 10000); /* the leaf of before */
}

static enum tx_status mark(fill_fn *fill)
{
    TX_AUTO(reg_image) image;
    TX_AUTO(reg_page_set) set = {NULL, 0};
    reg_image_init(&image, NULL);
    change(&image, fill);
    ok(reg_page_set_init(&set, image.state.page_count, ERR));
    return reg_mark_tree(image.reg, &image.state, &set, ERR);
}

static void expect_fault(fill_fn *fill, const char *text)
{
    fails(TX_ECORRUPT, mark(fill));
    cr_assert_not_null(strstr(reg_err.text, text), "%s", reg_err.text);
}

Test(txreg_search, marking_refuses_what_makes_no_sense)
{
    ok(mark(fill_sound));
    ok(mark(reg_put_short_key)); /* it is no value, whatever it is */
    expect_fault(fill_short_value, "malformed value");
    expect_fault(fill_low_page, "outside of the pages in use");
    expect_fault(fill_high_page, "outside of the pages in use");
    expect_fault(fill_own_page, "referred to twice");
    expect_fault(fill_no_list, "another version than the one referred to");
}

Test(txreg_search, sets_take_each_page_once)
{
    TX_AUTO(reg_page_set) set = {NULL, 0};
    ok(reg_page_set_init(&set, 9, ERR));
    cr_assert(reg_page_set_add(&set, 8));
    cr_assert_not(reg_page_set_add(&set, 8));
    cr_assert_not(reg_page_set_add(&set, 9), "out of range");
    cr_assert(reg_page_set_has(&set, 8) && !reg_page_set_has(&set, 9));
}
