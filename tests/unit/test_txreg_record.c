/* SPDX-License-Identifier: MIT */
/* Keys and payloads of records: order, limits, every byte of a malformed one. */
#include "reg_fixture.h"

#include "base/text.h"

/* Names of one UTF-16 unit sort as their units do, whatever their lengths in the key. */
Test(txreg_record, packed_names_keep_the_order_of_units)
{
    static const uint16_t units[] = {1,      0x41,   0x7e,   0x7f,   0x80,   0x81,   0x7ff,
                                     0x800,  0x3ffe, 0x3fff, 0x4000, 0x4001, 0x4e00, 0x7fff,
                                     0x8000, 0xac00, 0xbfff, 0xc000, 0xd7ff, 0xe000, 0xffff};
    enum { COUNT = sizeof(units) / sizeof(units[0]) };
    struct reg_key keys[COUNT];
    for (unsigned i = 0; i < COUNT; i++) {
        uint8_t utf16[2];
        TX_AUTO(tx_buf) name = TX_BUF_INIT;
        tx_put16(utf16, units[i]);
        ok(tx_utf16_to_utf8(utf16, 1, &name, ERR));
        ok(reg_key_child(&keys[i], 7, (const char *)name.data, name.size, ERR));
        cr_assert_eq(tx_upcase(units[i]), units[i], "the test wants units that fold to themselves");
        cr_assert(i == 0 || reg_compare(keys[i - 1].bytes, keys[i - 1].size, keys[i].bytes,
                                        keys[i].size) < 0,
                  "unit %x", units[i]);
    }
}

Test(txreg_record, kinds_of_one_key_lie_side_by_side)
{
    struct reg_key header, value, longer, child, next;
    char name[REG_SHORT_NAME_MAX + 2];
    memset(name, 0x7f, sizeof(name));
    name[sizeof(name) - 1] = 0;
    reg_key_head(&header, 5, REG_HEADER);
    ok(reg_key_value(&value, 5, name, REG_SHORT_NAME_MAX, ERR));
    ok(reg_key_value(&longer, 5, name, REG_SHORT_NAME_MAX + 1, ERR));
    ok(reg_key_child(&child, 5, "a", 1, ERR));
    reg_key_head(&next, 6, REG_HEADER);
    const struct reg_key *keys[] = {&header, &value, &longer, &child, &next};
    for (unsigned i = 1; i < 5; i++) {
        cr_assert_lt(reg_compare(keys[i - 1]->bytes, keys[i - 1]->size, keys[i]->bytes,
                                 keys[i]->size),
                     0);
    }
    cr_assert_eq(reg_get_id(next.bytes), 6);
    cr_assert_eq(longer.size, REG_KEY_HEAD + REG_LONG_NAME_SIZE);
}

static void expect_value(const struct reg_value *value)
{
    uint8_t record[REG_VALUE_HEAD_MAX + 600];
    struct reg_value read;
    size_t size = reg_value_encode_head(value, record);
    cr_assert_leq(size, REG_VALUE_HEAD_MAX);
    if (!value->is_name_out) {
        memset(record + size, 'n', value->name_size);
        size += value->name_size;
    }
    if (!value->is_out) {
        memset(record + size, 'd', value->size);
        size += value->size;
    }
    cr_assert(reg_value_decode(&read, record, size));
    cr_assert(read.revision == value->revision && read.ordinal == value->ordinal);
    cr_assert(read.type == value->type && read.size == value->size);
    cr_assert(read.name_size == value->name_size && read.is_out == value->is_out);
    cr_assert(read.is_name_out == value->is_name_out);
    cr_assert(!read.is_out ||
              (read.ref.page == value->ref.page && read.ref.seal == value->ref.seal));
    for (size_t cut = 0; cut < size && (value->is_out || cut < 13); cut++) {
        uint8_t *part = malloc(cut + 1); /* so that an overrun is seen */
        memcpy(part, record, cut);
        cr_assert_not(reg_value_decode(&read, part, cut));
        free(part);
    }
    record[0] |= 1 << 5;
    cr_assert_not(reg_value_decode(&read, record, size), "unknown flag");
}

Test(txreg_record, values_of_every_width_come_back)
{
    static const uint64_t ordinals[] = {0, UINT16_MAX, UINT16_MAX + 1u, UINT64_MAX};
    static const uint32_t types[] = {0, UINT8_MAX, UINT8_MAX + 1u, UINT32_MAX};
    static const uint16_t names[] = {0, UINT8_MAX, UINT8_MAX + 1u};
    for (unsigned i = 0; i < 4 * 4 * 3 * 3; i++) {
        struct reg_value value = {
            .revision = UINT64_MAX - 5,
            .ordinal = ordinals[i % 4],
            .type = types[i / 4 % 4],
            .name_size = names[i / 16 % 3],
            .size = 17,
            .is_out = i / 48 >= 1,
            .is_name_out = i / 48 == 2,
            .ref = {77, 88},
        };
        expect_value(&value);
    }
}

Test(txreg_record, malformed_headers_and_subkeys_are_refused)
{
    struct reg_header header = {.parent = 1, .class_size = 3, .class_name = (const uint8_t *)"abc"};
    uint8_t record[REG_HEADER_MAX];
    struct reg_header read;
    struct reg_child child;
    reg_header_encode(&header, record);
    cr_assert(reg_header_decode(&read, record, REG_HEADER_SIZE + 3));
    cr_assert(read.class_size == 3 && memcmp(read.class_name, "abc", 3) == 0);
    for (size_t size = 0; size < REG_HEADER_SIZE + 3; size++) {
        cr_assert_not(reg_header_decode(&read, record, size));
    }
    cr_assert_not(reg_header_decode(&read, record, REG_HEADER_SIZE + 4));
    cr_assert_not(reg_header_decode(&read, record, REG_HEADER_MAX + 1));
    for (size_t size = 0; size <= REG_CHILD_SIZE; size++) {
        cr_assert_not(reg_child_decode(&child, record, size));
    }
    cr_assert(reg_child_decode(&child, record, REG_CHILD_SIZE + 1));
    cr_assert_not(reg_child_decode(&child, record,
                                   REG_CHILD_SIZE + 3 * TXREG_KEY_NAME_MAX + 1));
}

Test(txreg_record, values_that_cannot_be_are_refused)
{
    struct reg_value value = {.is_out = true, .size = TXREG_VALUE_SIZE_MAX};
    uint8_t record[REG_VALUE_HEAD_MAX];
    struct reg_value read;
    size_t size = reg_value_encode_head(&value, record);
    cr_assert(reg_value_decode(&read, record, size));
    value.size++;
    size = reg_value_encode_head(&value, record);
    cr_assert_not(reg_value_decode(&read, record, size));
    value = (struct reg_value){.is_name_out = true, .name_size = 600};
    size = reg_value_encode_head(&value, record);
    cr_assert_not(reg_value_decode(&read, record, size), "a name without its pages");
}
