/* SPDX-License-Identifier: MIT */
/* One page: its layout as the tables say, searching, editing, cutting. */
#include "reg_fixture.h"

static size_t offset_of(const struct tx_field *fields, const char *name)
{
    size_t at = 0;
    while (strcmp(fields->name, name) != 0) {
        at += fields->width;
        fields++;
    }
    return at;
}

Test(txreg_page, constants_are_what_the_tables_say)
{
    cr_assert_eq(tx_fields_size(reg_page_fields), REG_PAGE_HEAD);
    cr_assert_eq(offset_of(reg_page_fields, "seal"), REG_AT_SEAL);
    cr_assert_eq(offset_of(reg_page_fields, "magic"), REG_AT_MAGIC);
    cr_assert_eq(offset_of(reg_page_fields, "kind"), REG_AT_KIND);
    cr_assert_eq(offset_of(reg_page_fields, "level"), REG_AT_LEVEL);
    cr_assert_eq(offset_of(reg_page_fields, "count"), REG_AT_COUNT);
    cr_assert_eq(offset_of(reg_page_fields, "number"), REG_AT_NUMBER);
    cr_assert_eq(offset_of(reg_page_fields, "heap"), REG_AT_HEAP);
    cr_assert_eq(offset_of(reg_page_fields, "prefix"), REG_AT_PREFIX);
    cr_assert_eq(offset_of(reg_page_fields, "lsn"), REG_AT_LSN);
    cr_assert_eq(tx_fields_size(reg_state_fields), KTM_TOKEN_SIZE);
    cr_assert_eq(tx_fields_size(reg_header_fields), REG_HEADER_SIZE);
    cr_assert_eq(tx_fields_size(reg_child_fields), REG_CHILD_SIZE);
    cr_assert_eq(tx_fields_size(reg_entry_fields), REG_ENTRY_HEAD);
    cr_assert_leq(REG_PAGE_HEAD + tx_fields_size(reg_slot_fields) + KTM_TOKEN_SIZE +
                      4 * REG_SLOT_FREE_MAX,
                  REG_PAGE_SIZE);
}

/* The largest records of each kind fit in a cell. */
Test(txreg_page, largest_records_fit_in_half_a_page)
{
    cr_assert_leq(REG_CELL_HEAD + REG_KEY_HEAD + REG_HEADER_MAX, REG_CELL_MAX);
    cr_assert_leq(REG_CELL_HEAD + REG_KEY_MAX + REG_CHILD_SIZE + 3 * TXREG_KEY_NAME_MAX,
                  REG_CELL_MAX);
    cr_assert_leq(REG_CELL_HEAD + REG_KEY_HEAD + REG_SHORT_NAME_MAX + REG_VALUE_HEAD_MAX +
                      REG_SHORT_NAME_MAX * 3 / 2 + REG_INLINE_MAX,
                  REG_CELL_MAX);
}

static struct reg_page *new_page(enum reg_page_kind kind, unsigned level)
{
    struct reg_page *page = reg_page_new(ERR);
    cr_assert_not_null(page);
    reg_page_format(page, 7, kind, level, 99);
    return page;
}

static void expect_cell(const struct reg_page *page, unsigned index, const char *key,
                        const char *payload)
{
    struct reg_cell cell = reg_page_cell(page->data, index);
    size_t prefix = reg_page_prefix(page->data);
    cr_assert_eq(prefix + cell.key_size, strlen(key));
    cr_assert(memcmp(page->data + REG_PAGE_SIZE - prefix, key, prefix) == 0);
    cr_assert(memcmp(cell.key, key + prefix, cell.key_size) == 0);
    cr_assert_eq(cell.payload_size, strlen(payload));
    cr_assert(memcmp(cell.payload, payload, cell.payload_size) == 0);
}

static unsigned find(const struct reg_page *page, const char *key, bool *found)
{
    return reg_page_find(page->data, (const uint8_t *)key, strlen(key), found);
}

static bool insert(struct reg_page *page, unsigned index, const char *key, const char *payload)
{
    return reg_page_insert(page, index, (const uint8_t *)key, strlen(key),
                           (const uint8_t *)payload, strlen(payload));
}

Test(txreg_page, cells_are_found_in_order)
{
    static const char *const keys[] = {"", "a", "aa", "ab", "abc", "abcd", "b", "ba", "bb"};
    enum { COUNT = sizeof(keys) / sizeof(keys[0]) };
    TX_AUTO_PTR(reg_page) page = new_page(REG_PAGE_LEAF, 0);
    bool found;
    for (unsigned i = 0; i < COUNT; i++) {
        unsigned which = (i * 5 + 3) % COUNT; /* in a scattered order */
        unsigned index = find(page, keys[which], &found);
        cr_assert_not(found);
        cr_assert(insert(page, index, keys[which], keys[which]));
    }
    for (unsigned i = 0; i < COUNT; i++) {
        cr_assert_eq(find(page, keys[i], &found), i);
        cr_assert(found);
        expect_cell(page, i, keys[i], keys[i]);
    }
    cr_assert_eq(find(page, "abz", &found), 6);
    cr_assert_not(found);
    cr_assert_eq(find(page, "z", &found), COUNT);
    reg_page_remove(page, 2);
    cr_assert_eq(find(page, "aa", &found), 2);
    cr_assert_not(found);
    cr_assert(reg_page_replace(page, 0, (const uint8_t *)"longer than before", 18));
    expect_cell(page, 0, "", "longer than before");
    expect_cell(page, 1, "a", "a");
}

Test(txreg_page, building_finds_the_common_prefix)
{
    TX_AUTO_PTR(reg_page) page = new_page(REG_PAGE_LEAF, 0);
    TX_AUTO_PTR(reg_page) built = new_page(REG_PAGE_LEAF, 0);
    struct reg_items *items = malloc(sizeof(*items));
    bool found;
    cr_assert(insert(page, 0, "prefix-a", "1"));
    cr_assert(insert(page, 1, "prefix-b", "2"));
    cr_assert(insert(page, 2, "prefix-bb", "3"));
    reg_items_begin(items, false);
    reg_items_load(items, page->data);
    reg_items_measure(items);
    reg_items_build(items, 0, 3, built);
    cr_assert_eq(reg_page_prefix(built->data), 7);
    cr_assert_null(reg_page_cells_fault(built->data));
    expect_cell(built, 0, "prefix-a", "1");
    expect_cell(built, 2, "prefix-bb", "3");
    cr_assert_eq(find(built, "prefix-b", &found), 1);
    cr_assert(found);
    cr_assert_eq(find(built, "prefiw", &found), 0);
    cr_assert_eq(find(built, "prefiy", &found), 3);
    cr_assert_eq(find(built, "pre", &found), 0);
    cr_assert_not(insert(built, 0, "other", "x"), "lacks the prefix");
    cr_assert(insert(built, 0, "prefix-", "x"));
    free(items);
}

/* Fill to the last byte; one more does not fit. */
Test(txreg_page, room_is_used_to_the_last_byte)
{
    static const uint8_t zeros[REG_CELL_MAX] = {0};
    TX_AUTO_PTR(reg_page) page = new_page(REG_PAGE_LEAF, 0);
    size_t room = REG_PAGE_ROOM - 2 * (REG_SLOT_SIZE + REG_CELL_HEAD + 1);
    size_t half = room / 2;
    cr_assert(reg_page_insert(page, 0, (const uint8_t *)"a", 1, zeros, half));
    cr_assert_not(reg_page_insert(page, 1, (const uint8_t *)"b", 1, zeros, room - half + 1));
    cr_assert(reg_page_insert(page, 1, (const uint8_t *)"b", 1, zeros, room - half));
    cr_assert_eq(reg_page_used(page->data), REG_PAGE_ROOM);
    cr_assert_not(reg_page_insert(page, 2, (const uint8_t *)"", 0, zeros, 0));
}

Test(txreg_page, inner_pages_send_keys_to_their_child)
{
    TX_AUTO_PTR(reg_page) page = new_page(REG_PAGE_INNER, 1);
    uint8_t ref[REG_REF_SIZE] = {0};
    static const char *const keys[] = {"", "d", "m", "mm"};
    for (unsigned i = 0; i < 4; i++) {
        ref[0] = (uint8_t)(10 + i);
        cr_assert(reg_page_insert(page, i, (const uint8_t *)keys[i], strlen(keys[i]), ref,
                                  sizeof(ref)));
    }
    static const struct {
        const char *key;
        unsigned child;
    } wanted[] = {{"", 0}, {"a", 0}, {"d", 1}, {"dz", 1}, {"lz", 1}, {"m", 2}, {"ml", 2},
                  {"mm", 3}, {"z", 3}};
    for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++) {
        cr_assert_eq(reg_page_find_child(page->data, (const uint8_t *)wanted[i].key,
                                         strlen(wanted[i].key)),
                     wanted[i].child, "%s", wanted[i].key);
    }
    cr_assert(reg_page_admits(page->data, 1, (const uint8_t *)"a", 1));
    cr_assert_not(reg_page_admits(page->data, 1, (const uint8_t *)"d", 1));
    cr_assert_not(reg_page_admits(page->data, 2, (const uint8_t *)"a", 1));
    cr_assert(reg_page_admits(page->data, 4, (const uint8_t *)"z", 1));
    reg_page_remove(page, 0); /* "d" becomes the least */
    cr_assert_eq(reg_page_cell(page->data, 0).key_size, 0);
    cr_assert_eq(reg_page_ref(page->data, 0).page, 11);
    cr_assert_eq(reg_page_find_child(page->data, (const uint8_t *)"a", 1), 0);
}

Test(txreg_page, every_kind_of_damage_is_named)
{
    TX_AUTO_PTR(reg_page) page = new_page(REG_PAGE_LEAF, 0);
    cr_assert(insert(page, 0, "a", "1"));
    cr_assert(insert(page, 1, "b", "2"));
    uint8_t *data = page->data;
    tx_put64(data, reg_page_seal(data, 7));
    cr_assert_null(reg_page_fault(data, 7));
    cr_assert_null(reg_page_cells_fault(data));
    cr_assert_not_null(reg_page_fault(data, 8), "a page of another place");
    static const size_t fields[] = {REG_AT_SEAL, REG_AT_MAGIC, REG_AT_KIND, REG_AT_LEVEL,
                                    REG_AT_NUMBER};
    for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
        data[fields[i]] ^= 0x40;
        if (i > 0) {
            tx_put64(data, reg_page_seal(data, 7));
        }
        cr_assert_not_null(reg_page_fault(data, 7), "field %zu", i);
        data[fields[i]] ^= 0x40;
        tx_put64(data, reg_page_seal(data, 7));
    }
    static const size_t cells[] = {REG_AT_COUNT, REG_AT_HEAP, REG_AT_PREFIX, REG_PAGE_HEAD,
                                   REG_PAGE_HEAD + 2, REG_PAGE_HEAD + 4};
    for (size_t i = 0; i < sizeof(cells) / sizeof(cells[0]); i++) {
        data[cells[i]] ^= 4;
        cr_assert_not_null(reg_page_cells_fault(data), "field %zu", i);
        data[cells[i]] ^= 4;
    }
    cr_assert_null(reg_page_cells_fault(data));
}
