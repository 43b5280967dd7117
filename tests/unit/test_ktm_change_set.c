/* SPDX-License-Identifier: MIT */
#include "ktm_fixture.h"

static void add(struct tx_buf *entries, uint8_t rm, uint8_t op, const char *body)
{
    struct ktm_entry_header header = {.rm = rm, .op = op, .flags = 0x1234};
    void *bytes = (void *)(uintptr_t)body;
    struct iovec parts[2] = {{bytes, 1}, {(uint8_t *)bytes + 1, strlen(body) - 1}};
    ok(ktm_changes_add(entries, &header, parts, 2, ERR));
}

Test(ktm_change_set, entries_come_back_in_their_order)
{
    TX_AUTO(tx_buf) entries = TX_BUF_INIT;
    add(&entries, 0, 1, "first");
    add(&entries, 3, 255, "second one");
    struct ktm_entry_header empty = {.rm = 1, .op = 9};
    ok(ktm_changes_add(&entries, &empty, NULL, 0, ERR));
    ok(ktm_changes_verify(entries.data, entries.size, 3, ERR));
    struct ktm_cursor cursor = {entries.data, entries.size};
    struct ktm_change change;
    cr_assert(ktm_cursor_next(&cursor, &change));
    cr_expect_eq(change.rm, 0);
    cr_expect_eq(change.flags, 0x1234);
    cr_expect_eq(change.body_size, 5);
    cr_expect_eq(memcmp(change.body, "first", 5), 0);
    cr_assert(ktm_cursor_next(&cursor, &change));
    cr_expect_eq(change.rm, 3);
    cr_expect_eq(change.op, 255);
    cr_expect_eq(memcmp(change.body, "second one", 10), 0);
    cr_assert(ktm_cursor_next(&cursor, &change));
    cr_expect_eq(change.body_size, 0);
    cr_expect_not(ktm_cursor_next(&cursor, &change));
    cr_expect_eq(cursor.left, 0);
}

Test(ktm_change_set, nothing_is_a_change_set)
{
    ok(ktm_changes_verify((const uint8_t *)"", 0, 0, ERR));
    fails(TX_ECORRUPT, ktm_changes_verify((const uint8_t *)"", 0, 1, ERR));
}

Test(ktm_change_set, every_cut_is_found)
{
    TX_AUTO(tx_buf) entries = TX_BUF_INIT;
    add(&entries, 0, 1, "first");
    add(&entries, 1, 2, "second");
    for (size_t size = 0; size < entries.size; size++) {
        /* A copy of exactly that size, so that a sanitizer sees any step over its end. */
        uint8_t *copy = malloc(size ? size : 1);
        memcpy(copy, entries.data, size);
        fails(TX_ECORRUPT, ktm_changes_verify(copy, size, 2, ERR));
        free(copy);
    }
    fails(TX_ECORRUPT, ktm_changes_verify(entries.data, entries.size, 1, ERR));
    fails(TX_ECORRUPT, ktm_changes_verify(entries.data, entries.size, 3, ERR));
}

Test(ktm_change_set, sizes_that_lead_outside_are_refused)
{
    static const uint32_t sizes[] = {6, 7, 255, 65535, 0x7fffffff, 0xffffffff, 0xfffffff8};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        TX_AUTO(tx_buf) entries = TX_BUF_INIT;
        add(&entries, 0, 1, "first");
        tx_put32(entries.data + 4, sizes[i]);
        fails(TX_ECORRUPT, ktm_changes_verify(entries.data, entries.size, 1, ERR));
    }
}

Test(ktm_change_set, unknown_resource_manager_is_refused)
{
    TX_AUTO(tx_buf) entries = TX_BUF_INIT;
    add(&entries, KTM_RM_MAX - 1, 1, "x");
    ok(ktm_changes_verify(entries.data, entries.size, 1, ERR));
    entries.data[0] = KTM_RM_MAX;
    fails(TX_ECORRUPT, ktm_changes_verify(entries.data, entries.size, 1, ERR));
}

Test(ktm_change_set, random_bytes_never_lead_outside)
{
    uint64_t random = 1;
    for (unsigned round = 0; round < 20000; round++) {
        size_t size = round % 60;
        uint8_t *data = malloc(size ? size : 1);
        for (size_t i = 0; i < size; i++) {
            random = random * UINT64_C(6364136223846793005) + 1442695040888963407;
            data[i] = (uint8_t)(random >> 60); /* small numbers make sizes that fit */
        }
        for (uint64_t count = 0; count < 4; count++) {
            if (ktm_changes_verify(data, size, count, NULL) == TX_OK) {
                struct ktm_cursor cursor = {data, size};
                struct ktm_change change;
                uint64_t seen = 0;
                while (ktm_cursor_next(&cursor, &change)) {
                    seen++;
                    cr_assert_leq(change.body + change.body_size, data + size);
                }
                cr_assert_eq(seen, count);
            }
        }
        free(data);
    }
}

Test(ktm_change_set, too_much_is_refused_and_leaves_the_rest)
{
    TX_AUTO(tx_buf) entries = TX_BUF_INIT;
    struct ktm_entry_header header = {.rm = 0, .op = 1};
    static uint8_t byte;
    add(&entries, 0, 1, "first");
    size_t before = entries.size;
    struct iovec huge = {&byte, (size_t)UINT32_MAX + 1};
    fails(TX_ELIMIT, ktm_changes_add(&entries, &header, &huge, 1, ERR));
    struct iovec halves[2] = {{&byte, UINT32_MAX}, {&byte, 1}};
    fails(TX_ELIMIT, ktm_changes_add(&entries, &header, halves, 2, ERR));
    struct iovec one_too_many = {&byte, KTM_CHANGES_MAX - before - KTM_ENTRY_HEADER_SIZE + 1};
    fails(TX_ELIMIT, ktm_changes_add(&entries, &header, &one_too_many, 1, ERR));
    struct iovec too_large_alone = {&byte, KTM_CHANGES_MAX};
    fails(TX_ELIMIT, ktm_changes_add(&entries, &header, &too_large_alone, 1, ERR));
    cr_expect_eq(entries.size, before);
    /* At the limit the buffer pretends to be nearly full; the bytes are not really there. */
    struct tx_buf nearly = {entries.data, KTM_CHANGES_MAX - KTM_ENTRY_HEADER_SIZE, SIZE_MAX};
    nearly.data = NULL;
    fails(TX_ELIMIT, ktm_changes_add(&nearly, &header, &(struct iovec){&byte, 1}, 1, ERR));
}
