/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <string.h>

#include "base/codec.h"
#include "base/text.h"
#include "unit/failing_alloc.h"

/* Decode one code point of a text that is that code point and nothing else; -1: malformed. */
static int64_t decode(const char *text, size_t size)
{
    const uint8_t *at = (const uint8_t *)text;
    uint32_t code_point;
    if (!tx_utf8_next(&at, at + size, &code_point)) {
        cr_assert_eq(at, (const uint8_t *)text);
        return -1;
    }
    cr_assert_eq(at, (const uint8_t *)text + size);
    return code_point;
}
#define DECODE(text) decode(text, sizeof(text) - 1)

Test(base_text, code_points_at_every_limit_of_length)
{
    cr_assert_eq(DECODE("\0"), 0);
    cr_assert_eq(DECODE("\x7F"), 0x7F);
    cr_assert_eq(DECODE("\xC2\x80"), 0x80);
    cr_assert_eq(DECODE("\xDF\xBF"), 0x7FF);
    cr_assert_eq(DECODE("\xE0\xA0\x80"), 0x800);
    cr_assert_eq(DECODE("\xED\xA0\x80"), 0xD800);
    cr_assert_eq(DECODE("\xED\xBF\xBF"), 0xDFFF);
    cr_assert_eq(DECODE("\xEF\xBF\xBF"), 0xFFFF);
    cr_assert_eq(DECODE("\xF0\x90\x80\x80"), 0x10000);
    cr_assert_eq(DECODE("\xF4\x8F\xBF\xBF"), 0x10FFFF);
}

Test(base_text, malformed_utf8_is_refused)
{
    cr_assert_eq(DECODE(""), -1);
    cr_assert_eq(DECODE("\x80"), -1);
    cr_assert_eq(DECODE("\xC0\x80"), -1);         /* overlong NUL */
    cr_assert_eq(DECODE("\xC1\xBF"), -1);         /* overlong */
    cr_assert_eq(DECODE("\xE0\x9F\xBF"), -1);     /* overlong */
    cr_assert_eq(DECODE("\xF0\x8F\xBF\xBF"), -1); /* overlong */
    cr_assert_eq(DECODE("\xF4\x90\x80\x80"), -1); /* above U+10FFFF */
    cr_assert_eq(DECODE("\xF5\x80\x80\x80"), -1);
    cr_assert_eq(DECODE("\xFF"), -1);
    cr_assert_eq(DECODE("\xC2"), -1); /* cut */
    cr_assert_eq(DECODE("\xE2\x82"), -1);
    cr_assert_eq(DECODE("\xF0\x9F\x98"), -1);
    cr_assert_eq(DECODE("\xC2\x41"), -1); /* no continuation */
    cr_assert_eq(DECODE("\xE2\x41\x80"), -1);
    cr_assert_eq(DECODE("\xE2\x82\xC0"), -1);
    cr_assert_eq(DECODE("\xED\xA0\xBD\xED\xB8\x80"), -1); /* a pair in two halves */
}

Test(base_text, utf8_and_utf16_and_back)
{
    static const char text[] = "a\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80\0z\xED\xB8\x80\xED\xA0\xBDx"
                               "\xED\xA0\xBD";
    static const uint16_t units[] = {'a', 0xE9, 0x20AC, 0xD83D, 0xDE00, 0, 'z',
                                     0xDE00, 0xD83D, 'x', 0xD83D};
    TX_AUTO(tx_buf) utf16 = TX_BUF_INIT;
    TX_AUTO(tx_buf) utf8 = TX_BUF_INIT;
    cr_assert_eq(tx_utf8_to_utf16(text, sizeof(text) - 1, &utf16, NULL), TX_OK);
    cr_assert_eq(utf16.size, sizeof(units));
    for (size_t i = 0; i < sizeof(units) / 2; i++) {
        cr_assert_eq(tx_get16(utf16.data + 2 * i), units[i]);
    }
    cr_assert_eq(tx_utf16_to_utf8(utf16.data, utf16.size / 2, &utf8, NULL), TX_OK);
    cr_assert_eq(utf8.size, sizeof(text) - 1);
    cr_assert_eq(memcmp(utf8.data, text, utf8.size), 0);
}

/* All pairs of interesting units: WTF-8 names every UTF-16 text in exactly one way. */
Test(base_text, every_utf16_text_survives_the_way_there_and_back)
{
    static const uint16_t units[] = {0,      0x7F,   0x80,   0x7FF,  0x800, 0xD7FF, 0xD800,
                                     0xDBFF, 0xDC00, 0xDFFF, 0xE000, 0xFFFF};
    for (size_t i = 0; i < 12 * 12 * 12; i++) {
        uint8_t utf16[6];
        TX_AUTO(tx_buf) utf8 = TX_BUF_INIT;
        TX_AUTO(tx_buf) back = TX_BUF_INIT;
        tx_put16(utf16, units[i % 12]);
        tx_put16(utf16 + 2, units[i / 12 % 12]);
        tx_put16(utf16 + 4, units[i / 144]);
        cr_assert_eq(tx_utf16_to_utf8(utf16, 3, &utf8, NULL), TX_OK);
        cr_assert_eq(tx_utf8_to_utf16((char *)utf8.data, utf8.size, &back, NULL), TX_OK);
        cr_assert_eq(back.size, 6);
        cr_assert_eq(memcmp(back.data, utf16, 6), 0);
    }
}

Test(base_text, malformed_input_appends_nothing_and_says_where)
{
    TX_AUTO(tx_buf) out = TX_BUF_INIT;
    struct tx_error err;
    size_t units = 42;
    cr_assert_eq(tx_buf_append_text(&out, "before", NULL), TX_OK);
    cr_assert_eq(tx_utf8_to_utf16("ab\xFF", 3, &out, &err), TX_EINVAL);
    cr_assert_str_eq(err.text, "malformed UTF-8 at byte 2 of 3");
    cr_assert_eq(tx_fold_name("\xC3", 1, &out, &units, &err), TX_EINVAL);
    cr_assert_eq(units, 42);
    cr_assert_eq(out.size, 6);
}

static void check_fold(const char *name, const char *folded)
{
    TX_AUTO(tx_buf) a = TX_BUF_INIT;
    TX_AUTO(tx_buf) b = TX_BUF_INIT;
    size_t units;
    cr_assert_eq(tx_fold_name(name, strlen(name), &a, &units, NULL), TX_OK);
    cr_assert_eq(tx_utf8_to_utf16(folded, strlen(folded), &b, NULL), TX_OK);
    cr_assert_eq(units, b.size / 2);
    cr_assert_eq(a.size, b.size);
    for (size_t i = 0; i < a.size; i += 2) { /* the same units, the bytes the other way round */
        cr_assert_eq(a.data[i], b.data[i + 1], "\"%s\"", name);
        cr_assert_eq(a.data[i + 1], b.data[i], "\"%s\"", name);
    }
}

Test(base_text, folding_is_simple_and_keeps_the_length)
{
    check_fold("", "");
    check_fold("Software", "SOFTWARE");
    check_fold("caf\xC3\xA9", "CAF\xC3\x89");              /* e with acute */
    check_fold("stra\xC3\x9F" "e", "STRA\xC3\x9F" "E");    /* sharp s stays */
    check_fold("\xC5\xBF", "S");                           /* long s */
    check_fold("i\xC4\xB0\xC4\xB1I", "I\xC4\xB0II");       /* dotted I stays, dotless i is I */
    check_fold("\xC3\xBF", "\xC5\xB8");                    /* y with diaeresis, far away */
    check_fold("e\xCC\x81", "E\xCC\x81");                  /* no normalisation */
    check_fold("\xCF\x82\xCF\x83", "\xCE\xA3\xCE\xA3");    /* both small sigmas */
    check_fold("\xF0\x90\x90\xA8", "\xF0\x90\x90\xA8");    /* Deseret: no unit of a pair changes */
    check_fold("\xED\xA0\xBD", "\xED\xA0\xBD");            /* a lone surrogate */
}

Test(base_text, folded_names_compare_by_memcmp_as_units_do)
{
    TX_AUTO(tx_buf) a = TX_BUF_INIT;
    TX_AUTO(tx_buf) b = TX_BUF_INIT;
    size_t units;
    /* U+1F600 is D83D DE00 and so before U+FF5E, other than by code points. */
    cr_assert_eq(tx_fold_name("\xF0\x9F\x98\x80", 4, &a, &units, NULL), TX_OK);
    cr_assert_eq(units, 2);
    cr_assert_eq(tx_fold_name("\xEF\xBD\x9E", 3, &b, &units, NULL), TX_OK);
    cr_assert_eq(units, 1);
    cr_assert_lt(memcmp(a.data, b.data, 2), 0);
}

Test(base_text, folding_appends)
{
    TX_AUTO(tx_buf) out = TX_BUF_INIT;
    size_t units;
    cr_assert_eq(tx_buf_append_text(&out, "k", NULL), TX_OK);
    cr_assert_eq(tx_fold_name("ab", 2, &out, &units, NULL), TX_OK);
    cr_assert_eq(units, 2);
    cr_assert_eq(out.size, 5);
    cr_assert_eq(memcmp(out.data, "k\0A\0B", 5), 0);
}

Test(base_text, sizes_beyond_memory_are_refused)
{
    TX_AUTO(tx_buf) out = TX_BUF_INIT;
    cr_assert_eq(tx_utf8_to_utf16("x", SIZE_MAX, &out, NULL), TX_ELIMIT);
    cr_assert_eq(tx_utf16_to_utf8((const uint8_t *)"x", SIZE_MAX, &out, NULL), TX_ELIMIT);
    failing_alloc_begin(0);
    size_t units;
    cr_assert_eq(tx_utf8_to_utf16("x", 1, &out, NULL), TX_ENOMEM);
    cr_assert_eq(tx_utf16_to_utf8((const uint8_t *)"x\0", 1, &out, NULL), TX_ENOMEM);
    cr_assert_eq(tx_fold_name("x", 1, &out, &units, NULL), TX_ENOMEM);
    (void)failing_alloc_end();
    cr_assert_eq(out.size, 0);
}
