/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>

#include "base/text.h"

/* FNV-1a over all 65536 answers, low byte first. Folded names on disk depend on every one of them:
 * when this fails, the table needs a new version, not the test a new number. */
Test(base_upcase_table, version_1_is_frozen)
{
    uint64_t sum = 0xCBF29CE484222325;
    cr_assert_eq(TX_UPCASE_VERSION, 1);
    for (uint32_t unit = 0; unit < 0x10000; unit++) {
        uint16_t upper = tx_upcase((uint16_t)unit);
        sum = (sum ^ (upper & 0xFF)) * 0x100000001B3;
        sum = (sum ^ (upper >> 8)) * 0x100000001B3;
    }
    cr_assert_eq(sum, 0x42E986ABB9CC4729);
}

Test(base_upcase_table, upcasing_twice_changes_nothing_more)
{
    for (uint32_t unit = 0; unit < 0x10000; unit++) {
        uint16_t upper = tx_upcase((uint16_t)unit);
        cr_assert_eq(tx_upcase(upper), upper, "U+%04X", unit);
    }
}

Test(base_upcase_table, letters_of_many_scripts)
{
    static const uint16_t pairs[][2] = {
        {'a', 'A'},       {'z', 'Z'},       {'A', 'A'},       {'@', '@'},       {'{', '{'},
        {0x00E9, 0x00C9}, {0x00DF, 0x00DF}, {0x00F7, 0x00F7}, {0x00FF, 0x0178}, {0x00B5, 0x039C},
        {0x0101, 0x0100}, {0x0100, 0x0100}, {0x0131, 'I'},    {0x0130, 0x0130}, {0x017F, 'S'},
        {0x0149, 0x0149}, {0x01C5, 0x01C4}, {0x01C6, 0x01C4}, {0x0345, 0x0399}, {0x03C2, 0x03A3},
        {0x03C9, 0x03A9}, {0x0436, 0x0416}, {0x0561, 0x0531}, {0x10D0, 0x1C90}, {0x13F8, 0x13F0},
        {0x1E9E, 0x1E9E}, {0x1F00, 0x1F08}, {0x1F80, 0x1F80}, {0x2170, 0x2160}, {0x24D0, 0x24B6},
        {0x2C61, 0x2C60}, {0xAB70, 0x13A0}, {0xFF41, 0xFF21}, {0xFF5A, 0xFF3A}, {0xFF5B, 0xFF5B},
        {0xD800, 0xD800}, {0xDFFF, 0xDFFF}, {0xFFFF, 0xFFFF}, {0xFB00, 0xFB00}, {0x4E00, 0x4E00},
    };
    for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
        cr_assert_eq(tx_upcase(pairs[i][0]), pairs[i][1], "U+%04X", pairs[i][0]);
    }
}
