/* SPDX-License-Identifier: MIT */
/* Pages in memory: which are found, which go; and the map of changes. */
#include "reg_fixture.h"

/* Offer a page that is on no disk. */
static void offer(struct reg_image *image, uint32_t number, uint64_t seal)
{
    TX_AUTO_PTR(reg_page) page = reg_page_new(ERR);
    cr_assert_not_null(page);
    reg_page_format(page, number, REG_PAGE_LEAF, 0, 1);
    page->seal = seal;
    reg_cache_offer(image->reg, page);
}

static bool is_cached(struct reg_image *image, uint32_t number, uint64_t seal)
{
    struct reg_page *page = NULL;
    enum tx_status status = reg_cache_get(image->reg, (struct reg_ref){number, seal}, &page, ERR);
    cr_assert(status == TX_OK || status == TX_ECORRUPT);
    reg_page_drop(page);
    return status == TX_OK;
}

/* All in one shard, and many in one bucket of it. */
Test(txreg_cache, pages_not_used_for_a_while_make_room)
{
    enum { OLD = 2000, ROOM = REG_CACHE_SIZE / sizeof(struct reg_page) / REG_CACHE_SHARDS };
    TX_AUTO(reg_image) image;
    unsigned kept = 0;
    reg_image_init(&image, NULL);
    for (unsigned i = 0; i < ROOM; i++) {
        offer(&image, 32 * i, (uint64_t)(i % 7) * 32);
    }
    offer(&image, 32 * OLD, 32 * 100); /* the hand has gone round, the first are gone */
    for (unsigned i = 4; i < ROOM; i += 2) { /* half of them are used */
        cr_assert(is_cached(&image, 32 * i, (uint64_t)(i % 7) * 32));
    }
    for (unsigned i = 1; i < ROOM / 4; i++) {
        offer(&image, 32 * (OLD + i), 32 * 100);
    }
    for (unsigned i = 4; i < ROOM; i++) {
        bool is_here = is_cached(&image, 32 * i, (uint64_t)(i % 7) * 32);
        cr_assert(is_here || i % 2 == 1, "%u was used", i);
        kept += is_here;
    }
    cr_assert_leq(kept, ROOM - ROOM / 4);
    cr_assert(is_cached(&image, 32 * OLD, 32 * 100));
    cr_assert_not(is_cached(&image, 32 * OLD, 32 * 101), "another version");
    offer(&image, 32 * OLD, 32 * 100); /* it is there */
    cr_assert(is_cached(&image, 32 * OLD, 32 * 100));
}

static void build(struct reg_image *image, uint32_t first_page, unsigned count,
                  struct reg_state *state)
{
    TX_AUTO(reg_writer) writer = {.reg = image->reg};
    static const uint8_t data[300];
    struct reg_key key;
    struct reg_state begin = image->state;
    begin.page_count = first_page;
    ok(reg_writer_init(&writer, image->reg, &begin, 4096, 4096, ERR));
    for (unsigned i = 0; i < count; i++) {
        reg_key_head(&key, i + 2, REG_VALUE);
        ok(reg_writer_put(&writer, &key, data, sizeof(data), ERR));
    }
    ok(reg_writer_finish(&writer, ERR));
    *state = writer.state;
}

static bool has(struct reg_tree *tree, const struct reg_state *state, unsigned i)
{
    TX_AUTO(reg_hit) hit = REG_HIT_INIT;
    struct reg_key key;
    reg_key_head(&key, i + 2, REG_VALUE);
    tree->root = (struct reg_ref){state->root_page, state->root_seal};
    reg_page_drop(tree->leaf);
    tree->leaf = NULL;
    ok(reg_tree_get(tree, &key, &hit, ERR));
    return hit.payload != NULL;
}

/* Inner pages that share a place: by number, and by number but not by seal. */
Test(txreg_cache, hot_pages_are_taken_for_nothing_else)
{
    TX_AUTO(reg_image) image;
    TX_AUTO(reg_tree) tree;
    struct reg_state small;
    struct reg_state far;
    struct reg_state again;
    reg_image_init(&image, NULL);
    build(&image, 3, 20, &small);
    build(&image, 3 + REG_HOT_PAGES, 40, &far);
    cr_assert_eq(far.root_page % REG_HOT_PAGES, small.root_page % REG_HOT_PAGES);
    reg_tree_open(&tree, image.reg, &small);
    for (unsigned i = 0; i < 3; i++) {
        cr_assert(has(&tree, &small, 19) && !has(&tree, &small, 30));
        cr_assert(has(&tree, &far, 30) && !has(&tree, &far, 50));
    }
    cr_assert(has(&tree, &small, 19));
    build(&image, 3, 60, &again); /* written over the first */
    cr_assert_eq(again.root_page, small.root_page);
    cr_assert(has(&tree, &again, 50));
    tree.root_level = 2; /* it is a page of level 1 */
    struct reg_hit hit = REG_HIT_INIT;
    struct reg_key key;
    reg_key_head(&key, 900, REG_VALUE);
    fails(TX_ECORRUPT, reg_tree_get(&tree, &key, &hit, ERR));
    cr_assert_not_null(strstr(reg_err.text, "on the wrong level"), "%s", reg_err.text);
}

Test(txreg_cache, a_tree_has_no_other_pages)
{
    TX_AUTO(reg_image) image;
    struct reg_state state;
    struct reg_page *page = NULL;
    reg_image_init(&image, NULL);
    build(&image, 3, 20, &state);
    struct reg_ref root = {state.root_page, state.root_seal};
    fails(TX_ECORRUPT, reg_tree_page(image.reg, root, 0, &page, ERR));
    cr_assert_not_null(strstr(reg_err.text, "not a page of the tree"), "%s", reg_err.text);
    ok(reg_tree_page(image.reg, root, 1, &page, ERR));
    struct reg_ref leaf = reg_page_ref(page->data, 1);
    reg_page_drop(page);
    fails(TX_ECORRUPT, reg_tree_page(image.reg, leaf, 1, &page, ERR));
}

Test(txreg_cache, keys_too_short_stop_a_walk)
{
    TX_AUTO(reg_image) image;
    TX_AUTO(reg_writer) writer = {.reg = NULL};
    TX_AUTO(reg_tree) tree;
    TX_AUTO(reg_cursor) cursor;
    struct reg_key key = {.size = REG_KEY_HEAD - 1};
    reg_image_init(&image, NULL);
    ok(reg_writer_init(&writer, image.reg, &image.state, 4096, 4096, ERR));
    ok(reg_writer_put(&writer, &key, key.bytes, 1, ERR));
    ok(reg_writer_finish(&writer, ERR));
    reg_tree_open(&tree, image.reg, &writer.state);
    reg_cursor_init(&cursor, &tree);
    fails(TX_ECORRUPT, reg_cursor_seek(&cursor, key.bytes, 0, ERR));
    cr_assert_not_null(strstr(reg_err.text, "key too short"), "%s", reg_err.text);
}

static void forget(void *value)
{
    (void)value;
}

Test(txreg_cache, one_change_is_sorted_as_many_are)
{
    struct reg_table table;
    static const char *const keys[] = {"b", "a", "ab"};
    reg_table_init(&table, forget);
    reg_table_sort(&table);
    for (unsigned i = 0; i < 3; i++) {
        ok(reg_table_set(&table, (const uint8_t *)keys[i], strlen(keys[i]), &table, ERR));
        reg_table_sort(&table);
        ok(reg_table_order(&table, ERR));
        cr_assert_eq(table.ordered, i + 1);
    }
    cr_assert_eq(table.entries[0]->key_size, 1);
    cr_assert_eq(table.entries[1]->key_size, 2);
    cr_assert_eq(table.entries[2]->key[0], 'b');
    reg_table_clear(&table);
}
