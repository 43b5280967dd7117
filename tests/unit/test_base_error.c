/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>
#include <wchar.h>

#include <txkit/error.h>

Test(base_error, every_status_has_its_name_its_number_and_a_text)
{
#define CHECK_STATUS(name, number, words)                                                          \
    cr_assert_eq((int)name, number);                                                               \
    cr_assert_str_eq(tx_status_name(name), #name);                                                 \
    cr_assert_str_eq(tx_status_text(name), words);
    TX_STATUS_LIST(CHECK_STATUS)
#undef CHECK_STATUS
    cr_assert_str_eq(tx_status_name((enum tx_status)9999), "TX_?");
    cr_assert_str_eq(tx_status_text((enum tx_status)9999), "unknown status");
}

Test(base_error, set_fills_everything_and_takes_null)
{
    struct tx_error err = {TX_EIO, EIO, "old"};
    cr_assert_eq(tx_error_set(&err, TX_EBUSY, "slot %d", 7), TX_EBUSY);
    cr_assert_eq(err.status, TX_EBUSY);
    cr_assert_eq(err.os_errno, 0);
    cr_assert_str_eq(err.text, "slot 7");
    cr_assert_eq(tx_error_set(NULL, TX_EBUSY, "slot %d", 7), TX_EBUSY);
}

Test(base_error, set_may_use_the_old_text)
{
    struct tx_error err = {TX_EIO, 0, "inner"};
    (void)tx_error_set(&err, TX_EIO, "outer (%s)", err.text);
    cr_assert_str_eq(err.text, "outer (inner)");
}

Test(base_error, os_errors_become_the_right_status)
{
    static const struct {
        int os_errno;
        enum tx_status status;
    } rows[] = {
        {ENOSPC, TX_ENOSPC},     {EDQUOT, TX_ENOSPC},       {ENOENT, TX_ENOTFOUND},
        {EEXIST, TX_EEXIST},     {ENOTDIR, TX_ENOTDIR},     {EISDIR, TX_EISDIR},
        {EACCES, TX_EPERM},      {ENOTEMPTY, TX_ENOTEMPTY}, {EPERM, TX_EPERM},
        {EXDEV, TX_EXDEV},       {EROFS, TX_EREADONLY},     {ENOMEM, TX_ENOMEM},
        {EINVAL, TX_EINVAL},     {EOPNOTSUPP, TX_ENOTSUP},  {ENAMETOOLONG, TX_ELIMIT},
        {EMFILE, TX_ELIMIT},     {ENFILE, TX_ELIMIT},       {EIO, TX_EIO},
        {EBADF, TX_EIO},         {EFBIG, TX_ELIMIT},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct tx_error err;
        cr_assert_eq(tx_error_os(&err, rows[i].os_errno, "x"), rows[i].status);
        cr_assert_eq(err.status, rows[i].status);
        cr_assert_eq(err.os_errno, rows[i].os_errno);
        cr_assert_eq(tx_error_os(NULL, rows[i].os_errno, "x"), rows[i].status);
    }
}

Test(base_error, os_text_is_the_words_and_the_reason)
{
    struct tx_error err;
    (void)tx_error_os(&err, EIO, "sync segment %06d", 3);
    cr_assert_str_eq(err.text, "sync segment 000003: Input/output error");
}

Test(base_error, os_reason_survives_words_that_are_too_long)
{
    char words[2 * TX_ERROR_TEXT_SIZE];
    memset(words, 'w', sizeof(words) - 1);
    words[sizeof(words) - 1] = '\0';
    struct tx_error err;
    (void)tx_error_os(&err, ENOENT, "%s", words);
    const char *reason = ": No such file or directory";
    cr_assert_eq(strlen(err.text), TX_ERROR_TEXT_SIZE - 1);
    cr_assert_str_eq(err.text + strlen(err.text) - strlen(reason), reason);
}

Test(base_error, prefixes_stand_before_the_text_and_keep_the_rest)
{
    struct tx_error err;
    (void)tx_error_os(&err, EIO, "sync");
    cr_assert_eq(tx_error_prefix(&err, "commit %s", "3-42"), TX_EIO);
    cr_assert_str_eq(err.text, "commit 3-42: sync: Input/output error");
    cr_assert_eq(err.os_errno, EIO);
    cr_assert_eq(tx_error_prefix(NULL, "commit"), TX_EINVAL);
}

Test(base_error, texts_are_cut_at_the_limit)
{
    static const size_t sizes[] = {TX_ERROR_TEXT_SIZE - 2, TX_ERROR_TEXT_SIZE - 1,
                                   TX_ERROR_TEXT_SIZE, TX_ERROR_TEXT_SIZE + 1};
    for (size_t i = 0; i < 4; i++) {
        struct tx_error err;
        (void)tx_error_set(&err, TX_EIO, "%*s", (int)sizes[i], "x");
        size_t most = TX_ERROR_TEXT_SIZE - 1;
        cr_assert_eq(strlen(err.text), sizes[i] < most ? sizes[i] : most);
        (void)tx_error_prefix(&err, "p");
        cr_assert_eq(strlen(err.text), most < sizes[i] + 3 ? most : sizes[i] + 3);
        cr_assert_eq(memcmp(err.text, "p:  ", 4), 0);
    }
}

/* Every character length at every distance from the end: whole characters only. */
Test(base_error, texts_are_not_cut_within_a_character)
{
    static const char *const letters[] = {"\xC3\xA9", "\xE2\x82\xAC", "\xF0\x9F\x98\x80"};
    for (int before = TX_ERROR_TEXT_SIZE - 8; before < TX_ERROR_TEXT_SIZE; before++) {
        for (size_t i = 0; i < 3; i++) {
            struct tx_error err;
            int size = (int)strlen(letters[i]);
            (void)tx_error_set(&err, TX_EIO, "%*s%s", before, "", letters[i]);
            int fits = before + size < TX_ERROR_TEXT_SIZE;
            cr_assert_eq((int)strlen(err.text), fits ? before + size : before);
            (void)tx_error_set(&err, TX_EIO, "%*s%s%99s", before, "", letters[i], "cut");
            cr_assert_eq(err.text[before] == letters[i][0], fits);
            cr_assert(!fits || memcmp(err.text + before, letters[i], (size_t)size) == 0);
        }
    }
}

Test(base_error, words_that_can_not_be_formatted_leave_the_status_and_the_reason)
{
    static const wchar_t no_character[] = {0x110000, 0};
    struct tx_error err = {TX_EIO, EIO, "old"};
    cr_assert_eq(tx_error_set(&err, TX_EBUSY, "%ls", no_character), TX_EBUSY);
    cr_assert_eq(err.status, TX_EBUSY);
    cr_assert_str_eq(err.text, "");
    cr_assert_eq(tx_error_os(&err, ENOENT, "%ls", no_character), TX_ENOTFOUND);
    cr_assert_str_eq(err.text, ": No such file or directory");
    cr_assert_eq(tx_error_prefix(&err, "%ls", no_character), TX_ENOTFOUND);
    cr_assert_str_eq(err.text, ": : No such file or directory");
}
