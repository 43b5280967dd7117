/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <string.h>

#include "base/text.h"
#include "unit/failing_alloc.h"

static void check(const char *name, size_t size, const char *expected)
{
    TX_AUTO(tx_buf) out = TX_BUF_INIT;
    char fixed[256];
    cr_assert_eq(tx_escape_name(name, size, &out, NULL), TX_OK);
    cr_assert_eq(out.size, strlen(expected));
    cr_assert_eq(memcmp(out.data, expected, out.size), 0, "expected %s", expected);
    cr_assert_eq(tx_escape_fixed(fixed, sizeof(fixed), name, size), fixed);
    cr_assert_str_eq(fixed, expected);
}
#define CHECK(name, expected) check(name, sizeof(name) - 1, expected)

Test(base_escape, printable_names_stay_as_they_are)
{
    CHECK("a b\"'~", "a b\"'~");
    CHECK("\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80", "\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80");
}

Test(base_escape, control_bytes_and_backslash_become_hexadecimal)
{
    CHECK("\0\n\x1B[31m\x7F", "\\x00\\x0a\\x1b[31m\\x7f");
    CHECK("a\\x0a", "a\\x5cx0a");
}

Test(base_escape, what_steers_or_reorders_the_terminal_is_escaped)
{
    CHECK("\xC2\x9B" "1m", "\\xc2\\x9b1m");                 /* C1 control */
    CHECK("a\xE2\x80\xAEtxt.exe", "a\\xe2\\x80\\xaetxt.exe"); /* right-to-left override */
    CHECK("\xE2\x80\x8F\xE2\x81\xA6\xEF\xBB\xBF",
          "\\xe2\\x80\\x8f\\xe2\\x81\\xa6\\xef\\xbb\\xbf");
    CHECK("\xC2\xA0", "\xC2\xA0"); /* the first after C1 */
}

Test(base_escape, malformed_utf8_is_escaped_byte_by_byte)
{
    CHECK("\xFF" "a\xC3", "\\xffa\\xc3");
    CHECK("\xC0\x80", "\\xc0\\x80");
    CHECK("\xED\xA0\x80", "\\xed\\xa0\\x80");
    CHECK("\xE2\x82z", "\\xe2\\x82z");
}

Test(base_escape, a_fixed_text_is_cut_with_dots)
{
    char out[9];
    cr_assert_str_eq(tx_escape_fixed(out, 9, "12345678", 8), "12345678");
    cr_assert_str_eq(tx_escape_fixed(out, 9, "123456789", 9), "12345...");
    cr_assert_str_eq(tx_escape_fixed(out, 9, "1234\xC3\xA9" "789", 9), "1234...");
    cr_assert_str_eq(tx_escape_fixed(out, 9, "12\n345", 6), "12...");
    cr_assert_str_eq(tx_escape_fixed(out, 9, "1\n234", 5), "1\\x0a234");
    cr_assert_str_eq(tx_escape_fixed(out, 4, "1234", 4), "...");
    cr_assert_str_eq(tx_escape_fixed(out, 4, "123", 3), "123");
    cr_assert_str_eq(tx_escape_fixed(out, 4, "", 0), "");
}

Test(base_escape, failure_appends_nothing)
{
    struct tx_buf out = TX_BUF_INIT;
    char name[100];
    memset(name, '\n', sizeof(name));
    failing_alloc_begin(1);
    cr_assert_eq(tx_buf_append_text(&out, "before", NULL), TX_OK);
    cr_assert_eq(tx_escape_name(name, sizeof(name), &out, NULL), TX_ENOMEM);
    cr_assert_eq(out.size, 6);
    tx_buf_release(&out);
    (void)failing_alloc_end();
}
