/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <string.h>

#include "base/buf.h"
#include "unit/failing_alloc.h"

Test(base_buf, grows_and_keeps_what_was_there)
{
    TX_AUTO(tx_buf) buf = TX_BUF_INIT;
    for (unsigned i = 0; i < 10000; i++) {
        uint8_t byte = (uint8_t)(i * 7);
        cr_assert_eq(tx_buf_append(&buf, &byte, 1, NULL), TX_OK);
    }
    cr_assert_eq(buf.size, 10000);
    for (unsigned i = 0; i < 10000; i++) {
        cr_assert_eq(buf.data[i], (uint8_t)(i * 7));
    }
}

Test(base_buf, reserved_room_is_used_without_moving)
{
    TX_AUTO(tx_buf) buf = TX_BUF_INIT;
    cr_assert_eq(tx_buf_reserve(&buf, 1000, NULL), TX_OK);
    uint8_t *data = buf.data;
    cr_assert_eq(buf.size, 0);
    failing_alloc_begin(0);
    cr_assert_eq(tx_buf_append(&buf, data, 1000, NULL), TX_OK);
    cr_assert_not(failing_alloc_end());
    cr_assert_eq(buf.data, data);
}

Test(base_buf, extends_by_zeros_and_points_to_them)
{
    static const uint8_t zeros[100];
    TX_AUTO(tx_buf) buf = TX_BUF_INIT;
    uint8_t *at;
    cr_assert_eq(tx_buf_append_text(&buf, "abc", NULL), TX_OK);
    memset(buf.data + buf.size, 0xFF, buf.capacity - buf.size);
    cr_assert_eq(tx_buf_extend(&buf, 100, &at, NULL), TX_OK);
    cr_assert_eq(at, buf.data + 3);
    cr_assert_eq(memcmp(at, zeros, 100), 0);
    cr_assert_eq(buf.size, 103);
    cr_assert_eq(tx_buf_extend(&buf, 0, &at, NULL), TX_OK);
    cr_assert_eq(at, buf.data + 103);
}

Test(base_buf, nothing_can_be_appended)
{
    TX_AUTO(tx_buf) buf = TX_BUF_INIT;
    uint8_t *at = NULL;
    cr_assert_eq(tx_buf_append(&buf, NULL, 0, NULL), TX_OK);
    cr_assert_eq(tx_buf_append_text(&buf, "", NULL), TX_OK);
    cr_assert_eq(tx_buf_extend(&buf, 0, &at, NULL), TX_OK);
    cr_assert_not_null(at);
    cr_assert_eq(buf.size, 0);
}

Test(base_buf, formats_without_nul)
{
    TX_AUTO(tx_buf) buf = TX_BUF_INIT;
    cr_assert_eq(tx_buf_printf(&buf, NULL, "%s-%d", "a", 42), TX_OK);
    cr_assert_eq(tx_buf_printf(&buf, NULL, "%200d", 1), TX_OK);
    cr_assert_eq(buf.size, 204);
    cr_assert_eq(memcmp(buf.data, "a-42 ", 5), 0);
    cr_assert_eq(buf.data[203], '1');
}

Test(base_buf, what_cannot_be_formatted_is_refused)
{
    TX_AUTO(tx_buf) buf = TX_BUF_INIT;
    static const wchar_t outside[] = {(wchar_t)0x110000, 0}; /* no character in any locale */
    cr_assert_eq(tx_buf_printf(&buf, NULL, "%ls", outside), TX_EINVAL);
    cr_assert_eq(buf.size, 0);
}

Test(base_buf, sizes_beyond_memory_are_refused)
{
    TX_AUTO(tx_buf) buf = TX_BUF_INIT;
    struct tx_error err;
    cr_assert_eq(tx_buf_append_text(&buf, "abc", &err), TX_OK);
    cr_assert_eq(tx_buf_reserve(&buf, SIZE_MAX, &err), TX_ENOMEM);
    cr_assert_eq(tx_buf_reserve(&buf, SIZE_MAX - 2, &err), TX_ENOMEM);
    cr_assert_eq(tx_buf_reserve(&buf, PTRDIFF_MAX - 2, &err), TX_ENOMEM);
    cr_assert_eq(err.status, TX_ENOMEM);
    cr_assert_eq(buf.size, 3);
    failing_alloc_begin(0);
    cr_assert_eq(tx_buf_reserve(&buf, PTRDIFF_MAX - 3, &err), TX_ENOMEM);
    (void)failing_alloc_end();
}

Test(base_buf, can_be_cleared_and_released_again)
{
    struct tx_buf buf = TX_BUF_INIT;
    cr_assert_eq(tx_buf_append_text(&buf, "abc", NULL), TX_OK);
    tx_buf_clear(&buf);
    cr_assert_eq(buf.size, 0);
    tx_buf_release(&buf);
    tx_buf_release(&buf);
    cr_assert_null(buf.data);
    cr_assert_eq(tx_buf_append_text(&buf, "d", NULL), TX_OK);
    tx_buf_release(&buf);
}

static enum tx_status use_all(struct tx_buf *buf)
{
    uint8_t *at;
    TX_TRY(tx_buf_append_text(buf, "first", NULL));
    TX_TRY(tx_buf_extend(buf, 100, &at, NULL));
    TX_TRY(tx_buf_printf(buf, NULL, "%300d", 1));
    TX_TRY(tx_buf_append(buf, buf, sizeof(*buf), NULL));
    return tx_buf_reserve(buf, 5000, NULL);
}

Test(base_buf, survives_failure_of_every_allocation)
{
    static const size_t sizes[] = {0, 5, 105, 405 + sizeof(struct tx_buf)};
    size_t count = 0;
    for (enum tx_status status = TX_ENOMEM; status != TX_OK; count++) {
        struct tx_buf buf = TX_BUF_INIT;
        failing_alloc_begin(count);
        status = use_all(&buf);
        if (status != TX_OK) {
            cr_assert_eq(status, TX_ENOMEM);
            cr_assert_eq(buf.size, sizes[count]);
        }
        tx_buf_release(&buf);
        cr_assert_eq(failing_alloc.in_use, 0);
        (void)failing_alloc_end();
    }
    cr_assert_eq(count, 5);
}
