/* SPDX-License-Identifier: MIT */
/* Cells between pages: what order they have, where they are cut; and small changes to pages. */
#include "reg_fixture.h"

static struct reg_items *items;
static uint8_t payload[REG_CELL_MAX];

static void setup(void)
{
    items = calloc(1, sizeof(*items));
    cr_assert_not_null(items);
}

static void teardown(void)
{
    free(items);
}

TestSuite(txreg_items, .init = setup, .fini = teardown);

/* The items with these keys, in this order. */
static void load(bool is_inner, const char *const keys[], unsigned count, size_t payload_size)
{
    reg_items_begin(items, is_inner);
    for (unsigned i = 0; i < count; i++) {
        reg_items_insert(items, i, (const uint8_t *)keys[i], strlen(keys[i]), payload,
                         payload_size);
    }
    reg_items_measure(items);
}

Test(txreg_items, order_is_looked_at_around_a_place)
{
    static const char *const ascending[] = {"a", "aa", "b"};
    static const char *const first[] = {"aa", "a", "b"}; /* the second is a part of the first */
    static const char *const last[] = {"a", "c", "b"};
    static const char *const least[] = {"z", "a", "b"};
    load(false, ascending, 3, 1);
    for (unsigned i = 0; i <= 3; i++) {
        cr_assert(reg_items_ordered(items, i), "place %u", i);
    }
    load(false, first, 3, 1);
    cr_assert(!reg_items_ordered(items, 0) && !reg_items_ordered(items, 1));
    cr_assert(reg_items_ordered(items, 2));
    load(false, last, 3, 1);
    cr_assert(reg_items_ordered(items, 0));
    cr_assert(!reg_items_ordered(items, 1) && !reg_items_ordered(items, 2));
    load(true, least, 3, 1); /* the first key of an inner page is none */
    cr_assert(reg_items_ordered(items, 1) && reg_items_ordered(items, 2));
    load(false, least, 3, 1);
    cr_assert(!reg_items_ordered(items, 1));
}

static void expect_cut(unsigned least, unsigned most, bool at_end)
{
    unsigned cut = reg_items_cut(items, at_end);
    cr_assert(cut >= least && cut <= most, "%u", cut);
    cr_assert_leq(reg_items_size(items, 0, cut), REG_PAGE_ROOM);
    cr_assert_leq(reg_items_size(items, cut, items->count), REG_PAGE_ROOM);
}

Test(txreg_items, are_cut_in_the_middle_or_at_the_end)
{
    static const char *const keys[] = {"a", "b", "c", "d"};
    load(false, keys, 4, 1100);
    expect_cut(2, 2, false);
    expect_cut(3, 3, true);
    load(false, keys, 2, 2000);
    expect_cut(1, 1, false);
    load(false, keys, 3, 10);
    items->item[0].payload_size = 2000; /* half of it all already */
    items->item[1].payload_size = 1900;
    reg_items_measure(items);
    expect_cut(1, 1, false);
}

/* A page full of keys with a long prefix, and one that lacks it: alone, or the rest would swell. */
static void expect_divergent(const char *key, unsigned index, unsigned least, unsigned most)
{
    static char keys[100][520];
    const char *all[100];
    for (unsigned i = 0; i < 100; i++) {
        memset(keys[i], 'm', 500);
        (void)snprintf(keys[i] + 500, sizeof(keys[i]) - 500, "%03u", i);
        all[i] = keys[i];
    }
    load(false, all, 100, 15);
    cr_assert_leq(reg_items_size(items, 0, 100), REG_PAGE_ROOM);
    reg_items_insert(items, index, (const uint8_t *)key, strlen(key), payload, 1000);
    reg_items_measure(items);
    cr_assert_gt(reg_items_size(items, 0, 101), REG_PAGE_ROOM);
    expect_cut(least, most, false);
}

Test(txreg_items, what_lacks_the_prefix_is_cut_off)
{
    expect_divergent("a", 0, 1, 1);
    expect_divergent("z", 100, 2, 100);
}

Test(txreg_items, the_last_cell_of_an_inner_page_may_go)
{
    TX_AUTO_PTR(reg_page) page = reg_page_new(ERR);
    uint8_t ref[REG_REF_SIZE] = {1};
    reg_page_format(page, 7, REG_PAGE_INNER, 1, 1);
    cr_assert(reg_page_insert(page, 0, (const uint8_t *)"", 0, ref, sizeof(ref)));
    reg_page_remove(page, 0);
    cr_assert_eq(reg_page_count(page->data), 0);
}

/* --- Damage that a right seal does not show --------------------------------------------------- */

static const char *fault_of(struct reg_page *page)
{
    return reg_page_cells_fault(page->data);
}

static struct reg_page *leaf_of(const char *first, const char *second)
{
    struct reg_page *page = reg_page_new(ERR);
    cr_assert_not_null(page);
    reg_page_format(page, 7, REG_PAGE_LEAF, 0, 1);
    cr_assert(reg_page_insert(page, 0, (const uint8_t *)first, strlen(first), payload, 100));
    cr_assert(reg_page_insert(page, 1, (const uint8_t *)second, strlen(second), payload, 100));
    return page;
}

Test(txreg_items, cells_that_no_writer_makes_are_named)
{
    TX_AUTO_PTR(reg_page) page = leaf_of("a", "b");
    TX_AUTO_PTR(reg_page) reversed = leaf_of("b", "a");
    TX_AUTO_PTR(reg_page) large = leaf_of("a", "b");
    cr_assert_null(fault_of(page));
    cr_assert_str_eq(fault_of(reversed), "keys are not in order");
    cr_assert(reg_page_insert(large, 2, (const uint8_t *)"c", 1, payload, REG_CELL_MAX));
    cr_assert_str_eq(fault_of(large), "record too large");
    tx_put16(page->data + REG_AT_COUNT, REG_CELLS_MAX + 1);
    cr_assert_str_eq(fault_of(page), "impossible number of cells");
    tx_put16(page->data + REG_AT_COUNT, 2);
    tx_put16(page->data + REG_AT_PREFIX, REG_KEY_MAX + 1);
    cr_assert_str_eq(fault_of(page), "prefix too long");
}

Test(txreg_items, keys_that_no_writer_makes_are_named)
{
    static const uint8_t key[REG_KEY_MAX + 1];
    TX_AUTO_PTR(reg_page) page = reg_page_new(ERR);
    reg_page_format(page, 7, REG_PAGE_LEAF, 0, 1);
    cr_assert(reg_page_insert(page, 0, key, sizeof(key), payload, 1));
    cr_assert_str_eq(fault_of(page), "record too large");
}

Test(txreg_items, inner_cells_that_no_writer_makes_are_named)
{
    TX_AUTO_PTR(reg_page) page = leaf_of("a", "b");
    page->data[REG_AT_LEVEL] = 1; /* its payloads are no references */
    cr_assert_str_eq(fault_of(page), "malformed reference");
    reg_page_format(page, 7, REG_PAGE_LEAF, 0, 1);
    cr_assert(reg_page_insert(page, 0, (const uint8_t *)"a", 1, payload, REG_REF_SIZE));
    page->data[REG_AT_LEVEL] = 1; /* the first key of an inner page is none */
    cr_assert_str_eq(fault_of(page), "malformed reference");
    reg_page_format(page, 7, REG_PAGE_INNER, 1, 1);
    cr_assert_str_eq(fault_of(page), "impossible number of cells");
}

Test(txreg_items, kinds_and_levels_that_no_writer_makes_are_named)
{
    static const struct {
        uint8_t kind;
        uint8_t level;
        const char *text;
    } heads[] = {
        {0, 0, "unknown kind of page"},
        {REG_PAGE_SLOT + 1, 1, "unknown kind of page"},
        {REG_PAGE_LEAF, 1, "impossible level"},
        {REG_PAGE_LIST, 0, "impossible level"},
        {REG_PAGE_INNER, REG_LEVEL_MAX + 1, "impossible level"},
    };
    TX_AUTO_PTR(reg_page) page = leaf_of("a", "b");
    for (size_t i = 0; i < sizeof(heads) / sizeof(heads[0]); i++) {
        page->data[REG_AT_KIND] = heads[i].kind;
        page->data[REG_AT_LEVEL] = heads[i].level;
        tx_put64(page->data, reg_page_seal(page->data, 7));
        cr_assert_str_eq(reg_page_fault(page->data, 7), heads[i].text);
    }
}

Test(txreg_items, a_leaf_spans_from_its_first_key_to_its_last)
{
    TX_AUTO_PTR(reg_page) page = leaf_of("b", "d");
    static const char *const keys[] = {"a", "b", "c", "d", "e"};
    for (unsigned i = 0; i < 5; i++) {
        cr_assert_eq(reg_page_spans(page->data, (const uint8_t *)keys[i], 1), i > 0 && i < 4);
    }
    reg_page_format(page, 7, REG_PAGE_LEAF, 0, 1);
    cr_assert_not(reg_page_spans(page->data, (const uint8_t *)"a", 1));
}
