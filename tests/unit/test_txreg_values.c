/* SPDX-License-Identifier: MIT */
/* Values: bytes kept exactly, sizes and names at their limits, strings and numbers. */
#include "reg_fixture.h"

#include <stdio.h>

#define WORLD()                                                                                    \
    TX_AUTO(reg_world) world;                                                                      \
    TX_AUTO(reg_place) place;                                                                      \
    reg_world_init(&world, NULL);                                                                  \
    reg_place_boot(&place, &world)

static void fill(uint8_t *data, size_t size)
{
    uint64_t seed = size;
    for (size_t i = 0; i < size; i++) {
        data[i] = (uint8_t)(reg_random(&seed) >> 11);
    }
}

static void expect_bytes(struct ktm_txn *txn, const char *name, uint32_t type, const uint8_t *data,
                         size_t size)
{
    uint32_t found_type;
    TX_AUTO(tx_buf) found = TX_BUF_INIT;
    ok(txreg_get(txn, "k", name, &found_type, &found, ERR));
    cr_assert_eq(found_type, type);
    cr_assert_eq(found.size, size);
    cr_assert(size == 0 || memcmp(found.data, data, size) == 0);
}

Test(txreg_values, sizes_around_every_limit_come_back)
{
    static const size_t sizes[] = {0, 1, 511, 512, 513, REG_DATA_ROOM - 1, REG_DATA_ROOM,
                                   REG_DATA_ROOM + 1, 2 * REG_DATA_ROOM, 65536, 300000,
                                   REG_DATA_ROOM *REG_LIST_ROOM - 1, REG_DATA_ROOM *REG_LIST_ROOM,
                                   REG_DATA_ROOM *REG_LIST_ROOM + 1};
    enum { COUNT = sizeof(sizes) / sizeof(sizes[0]) };
    char name[16];
    uint8_t *data = malloc(sizes[COUNT - 1]);
    WORLD();
    struct ktm_txn *txn = reg_begin(&place, 0);
    ok(txreg_create(txn, "k", NULL, NULL, ERR));
    for (unsigned round = 0; round < 3; round++) {
        for (unsigned i = 0; i < COUNT; i++) {
            size_t size = sizes[(i + round) % COUNT]; /* every value changes its size each round */
            (void)snprintf(name, sizeof(name), "v%u", i);
            fill(data, size);
            ok(txreg_set(txn, "k", name, i, data, size, ERR));
            expect_bytes(txn, name, i, data, size);
        }
        (void)reg_commit(txn);
        ok(ktm_checkpoint(place.tm, ERR));
        cr_assert_eq(reg_faults(&world), 0);
        txn = reg_begin(&place, 0);
        for (unsigned i = 0; i < COUNT; i++) {
            size_t size = sizes[(i + round) % COUNT];
            (void)snprintf(name, sizeof(name), "V%u", i);
            fill(data, size);
            expect_bytes(txn, name, i, data, size);
        }
    }
    ok(txreg_delete(txn, "k", ERR));
    (void)reg_commit(txn);
    ok(ktm_checkpoint(place.tm, ERR));
    cr_assert_eq(reg_faults(&world), 0);
    free(data);
}

Test(txreg_values, data_have_a_limit)
{
    uint8_t *data = calloc(1, TXREG_VALUE_SIZE_MAX + 1);
    WORLD();
    struct ktm_txn *txn = reg_begin(&place, 0);
    ok(txreg_create(txn, "k", NULL, NULL, ERR));
    fails(TX_ELIMIT, txreg_set(txn, "k", "v", 3, data, TXREG_VALUE_SIZE_MAX + 1, ERR));
    reg_expect_none(txn, "k", "v");
    data[TXREG_VALUE_SIZE_MAX - 1] = 77;
    ok(txreg_set(txn, "k", "v", 3, data, TXREG_VALUE_SIZE_MAX, ERR));
    (void)reg_commit(txn);
    txn = reg_begin(&place, 0);
    expect_bytes(txn, "v", 3, data, TXREG_VALUE_SIZE_MAX);
    ok(txreg_unset(txn, "k", "v", ERR));
    (void)reg_commit(txn);
    ok(ktm_checkpoint(place.tm, ERR));
    cr_assert_eq(reg_faults(&world), 0);
    free(data);
}

static void expect_name(struct ktm_txn *txn, const char *unit, size_t count, enum tx_status status)
{
    size_t length = strlen(unit);
    char *name = calloc(1, count * length + 1);
    for (size_t i = 0; i < count; i++) {
        memcpy(name + i * length, unit, length);
    }
    fails(status, txreg_set_u32(txn, "k", name, (uint32_t)count, ERR));
    if (status == TX_OK) {
        uint8_t number[4];
        tx_put32(number, (uint32_t)count);
        expect_bytes(txn, name, TXREG_DWORD, number, 4);
    }
    free(name);
}

Test(txreg_values, names_around_every_limit_work)
{
    static const char *const units[] = {"a", "\xc3\xa9", "\xe2\x82\xac"};
    WORLD();
    struct ktm_txn *txn = reg_begin(&place, 0);
    ok(txreg_create(txn, "k", NULL, NULL, ERR));
    for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
        expect_name(txn, units[i], 0, TX_OK);
        expect_name(txn, units[i], 1, TX_OK);
        for (size_t count = 160; count < 180; count++) { /* 3 packed bytes a unit: 170 */
            expect_name(txn, units[i], count, TX_OK);
        }
        expect_name(txn, units[i], REG_SHORT_NAME_MAX - 1, TX_OK);
        expect_name(txn, units[i], REG_SHORT_NAME_MAX, TX_OK);
        expect_name(txn, units[i], REG_SHORT_NAME_MAX + 1, TX_OK);
        expect_name(txn, units[i], TXREG_VALUE_NAME_MAX - 1, TX_OK);
        expect_name(txn, units[i], TXREG_VALUE_NAME_MAX, TX_OK);
        expect_name(txn, units[i], TXREG_VALUE_NAME_MAX + 1, TX_ELIMIT);
    }
    TX_AUTO(tx_buf) before = TX_BUF_INIT;
    TX_AUTO(tx_buf) after = TX_BUF_INIT;
    reg_dump(txn, "", &before);
    (void)reg_commit(txn);
    ok(ktm_checkpoint(place.tm, ERR));
    cr_assert_eq(reg_faults(&world), 0);
    txn = reg_begin(&place, 0);
    reg_dump(txn, "", &after);
    cr_assert_eq(before.size, after.size);
    cr_assert_arr_eq(before.data, after.data, after.size);
    ok(txreg_delete_tree(txn, "k", ERR));
    (void)reg_commit(txn);
    ok(ktm_checkpoint(place.tm, ERR));
    cr_assert_eq(reg_faults(&world), 0);
}

/* A long name is kept under its hash, but is the same name in any case. */
Test(txreg_values, long_names_ignore_case)
{
    char small[2001];
    char capital[2001];
    memset(small, 'x', 2000);
    memset(capital, 'X', 2000);
    small[2000] = capital[2000] = 0;
    WORLD();
    struct ktm_txn *txn = reg_begin(&place, 0);
    ok(txreg_create(txn, "k", NULL, NULL, ERR));
    ok(txreg_set_u32(txn, "k", small, 1, ERR));
    ok(txreg_set_u32(txn, "k", capital, 2, ERR));
    struct txreg_key_info info;
    ok(txreg_query(txn, "k", &info, ERR));
    cr_assert_eq(info.value_count, 1);
    (void)reg_commit(txn);
    txn = reg_begin(&place, 0);
    uint8_t two[4] = {2};
    expect_bytes(txn, small, TXREG_DWORD, two, 4);
    ok(txreg_unset(txn, "k", capital, ERR));
    reg_expect_none(txn, "k", small);
    (void)reg_commit(txn);
}

Test(txreg_values, missing_things_are_not_found)
{
    TX_AUTO(tx_buf) data = TX_BUF_INIT;
    WORLD();
    struct ktm_txn *txn = reg_begin(&place, 0);
    fails(TX_ENOTFOUND, txreg_set_u32(txn, "k", "v", 1, ERR));
    fails(TX_ENOTFOUND, txreg_unset(txn, "k", "v", ERR));
    fails(TX_ENOTFOUND, txreg_get(txn, "k", "v", NULL, &data, ERR));
    ok(txreg_create(txn, "k", NULL, NULL, ERR));
    fails(TX_ENOTFOUND, txreg_unset(txn, "k", "v", ERR));
    fails(TX_ENOTFOUND, txreg_get(txn, "k", "v", NULL, &data, ERR));
    fails(TX_EINVAL, txreg_set_u32(txn, "k", "\xff", 1, ERR));
    ktm_rollback(txn);
}

Test(txreg_values, strings_and_numbers_have_their_bytes)
{
    static const uint8_t text[] = {'h', 0, 0xe9, 0, 0x3d, 0xd8, 0x42, 0xde, 0, 0};
    static const uint8_t number[] = {0x78, 0x56, 0x34, 0x12};
    static const uint8_t large[] = {8, 7, 6, 5, 4, 3, 2, 1};
    char *found = NULL;
    WORLD();
    struct ktm_txn *txn = reg_begin(&place, 0);
    ok(txreg_create(txn, "k", NULL, NULL, ERR));
    reg_put(txn, "k", "s", "h\xc3\xa9\xf0\x9f\x99\x82");
    expect_bytes(txn, "s", TXREG_SZ, text, sizeof(text));
    reg_expect(txn, "k", "s", "h\xc3\xa9\xf0\x9f\x99\x82");
    ok(txreg_set_u32(txn, "k", "n", 0x12345678, ERR));
    expect_bytes(txn, "n", TXREG_DWORD, number, sizeof(number));
    ok(txreg_set_u64(txn, "k", "q", UINT64_C(0x0102030405060708), ERR));
    expect_bytes(txn, "q", TXREG_QWORD, large, sizeof(large));
    fails(TX_ETYPE, txreg_get_string(txn, "k", "n", &found, ERR));
    fails(TX_EINVAL, txreg_set_string(txn, "k", "s", "\xff", ERR));
    /* Without a NUL, of odd length, empty, expandable: as people store them. */
    ok(txreg_set(txn, "k", "u", TXREG_EXPAND_SZ, "a\0b\0c", 5, ERR));
    reg_expect(txn, "k", "u", "ab");
    ok(txreg_set(txn, "k", "u", TXREG_SZ, NULL, 0, ERR));
    reg_expect(txn, "k", "u", "");
    reg_put(txn, "k", "", "the default value");
    reg_expect(txn, "k", "", "the default value");
    (void)reg_commit(txn);
}

/* Overwriting keeps name and place; delete and set again goes to the end. */
struct listed {
    char text[256];
};

static enum tx_status list_value(void *arg, const char *name, uint32_t type, const uint8_t *data,
                                 size_t size, struct tx_error *err)
{
    struct listed *listed = arg;
    size_t used = strlen(listed->text);
    (void)type;
    (void)data;
    (void)size;
    (void)err;
    (void)snprintf(listed->text + used, sizeof(listed->text) - used, "%s ", name);
    return TX_OK;
}

static void expect_order(struct ktm_txn *txn, const char *wanted)
{
    struct listed listed = {""};
    ok(txreg_each_value(txn, "k", list_value, &listed, ERR));
    cr_assert_str_eq(listed.text, wanted);
}

Test(txreg_values, order_is_that_of_creation)
{
    WORLD();
    struct ktm_txn *txn = reg_begin(&place, 0);
    ok(txreg_create(txn, "k", NULL, NULL, ERR));
    reg_put(txn, "k", "zebra", "1");
    reg_put(txn, "k", "Apple", "2");
    reg_put(txn, "k", "mango", "3");
    expect_order(txn, "zebra Apple mango ");
    (void)reg_commit(txn);
    txn = reg_begin(&place, 0);
    reg_put(txn, "k", "banana", "4");
    reg_put(txn, "k", "APPLE", "5");
    expect_order(txn, "zebra Apple mango banana ");
    ok(txreg_unset(txn, "k", "ZEBRA", ERR));
    reg_put(txn, "k", "Zebra", "6");
    expect_order(txn, "Apple mango banana Zebra ");
    (void)reg_commit(txn);
    txn = reg_begin(&place, 0);
    expect_order(txn, "Apple mango banana Zebra ");
    ktm_rollback(txn);
}

static enum tx_status list_key(void *arg, const struct txreg_key_info *info, struct tx_error *err)
{
    return list_value(arg, info->name, 0, NULL, 0, err);
}

/* By UTF-16 units of the folded names: U+FF5E sorts after a character beyond the BMP. */
Test(txreg_values, subkeys_come_in_folded_order)
{
    static const char *const names[] = {"b", "A", "C", "_", "\xef\xbd\x9e", "\xf0\x90\x80\x80",
                                        "\xc3\xa9", "aa"};
    struct listed base = {""};
    struct listed mixed = {""};
    WORLD();
    for (unsigned round = 0; round < 2; round++) { /* all in the view; every other in the base */
        struct ktm_txn *txn = reg_begin(&place, 0);
        for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
            char path[32];
            (void)snprintf(path, sizeof(path), "%s\\%s", round == 0 ? "k" : "m", names[i]);
            if (round == 1 && i % 2 == 0) {
                ok(txreg_create(txn, path, NULL, NULL, ERR));
            } else if (round == 0) {
                ok(txreg_create(txn, path, NULL, NULL, ERR));
                path[0] = 'm';
                if (i % 2 == 1) {
                    ok(txreg_create(txn, path, NULL, NULL, ERR));
                }
            }
        }
        if (round == 1) {
            ok(txreg_each_key(txn, "k", list_key, &base, ERR));
            ok(txreg_each_key(txn, "m", list_key, &mixed, ERR));
        }
        (void)reg_commit(txn);
    }
    cr_assert_str_eq(base.text, "A aa b C _ \xc3\xa9 \xf0\x90\x80\x80 \xef\xbd\x9e ");
    cr_assert_str_eq(mixed.text, base.text);
}
