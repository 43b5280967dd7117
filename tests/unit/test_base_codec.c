/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/codec.h"
#include "unit/failing_alloc.h"

struct sample {
    uint64_t big;
    uint8_t small;
    uint16_t two;
    uint32_t four;
    uint8_t id[5];
};

static const struct tx_field fields[] = {
    TX_FIELD(struct sample, small, "one byte"),
    TX_FIELD(struct sample, two, "two bytes"),
    TX_FIELD_ZERO(3),
    TX_FIELD(struct sample, four, "four bytes"),
    TX_FIELD(struct sample, big, "eight bytes"),
    TX_FIELD(struct sample, id, "as it is"),
    TX_FIELD_ZERO(1),
    TX_FIELD_END,
};

static const struct sample sample = {
    0x1122334455667788, 0x99, 0xAABB, 0xCCDDEEFF, {1, 2, 3, 4, 5}};

static const uint8_t encoded[] = {0x99, 0xBB, 0xAA, 0,    0,    0,    0xFF, 0xEE,
                                  0xDD, 0xCC, 0x88, 0x77, 0x66, 0x55, 0x44, 0x33,
                                  0x22, 0x11, 1,    2,    3,    4,    5,    0};

Test(base_codec, tables_encode_little_endian_at_the_sum_of_widths)
{
    uint8_t disk[sizeof(encoded) + 1];
    memset(disk, 0xA5, sizeof(disk));
    cr_assert_eq(tx_fields_size(fields), sizeof(encoded));
    tx_fields_encode(fields, &sample, disk);
    cr_assert_eq(memcmp(disk, encoded, sizeof(encoded)), 0);
    cr_assert_eq(disk[sizeof(encoded)], 0xA5);
}

Test(base_codec, tables_decode_what_they_encode)
{
    struct sample host;
    memset(&host, 0xA5, sizeof(host));
    cr_assert(tx_fields_decode(fields, &host, encoded));
    cr_assert_eq(host.big, sample.big);
    cr_assert_eq(host.small, sample.small);
    cr_assert_eq(host.two, sample.two);
    cr_assert_eq(host.four, sample.four);
    cr_assert_eq(memcmp(host.id, sample.id, 5), 0);
}

Test(base_codec, every_reserved_bit_is_checked_and_nothing_is_written_then)
{
    static const size_t reserved[] = {3, 4, 5, 23};
    for (size_t i = 0; i < 4; i++) {
        for (unsigned bit = 0; bit < 8; bit++) {
            uint8_t disk[sizeof(encoded)];
            struct sample host = {.big = 42};
            memcpy(disk, encoded, sizeof(disk));
            disk[reserved[i]] = (uint8_t)(1u << bit);
            cr_assert_not(tx_fields_decode(fields, &host, disk));
            cr_assert_eq(host.big, 42);
            cr_assert_eq(host.small, 0);
        }
    }
}

Test(base_codec, an_empty_table_is_empty)
{
    static const struct tx_field none[] = {TX_FIELD_END};
    cr_assert_eq(tx_fields_size(none), 0);
    cr_assert(tx_fields_decode(none, NULL, NULL));
}

Test(base_codec, reader_reads_what_was_put)
{
    TX_AUTO(tx_buf) buf = TX_BUF_INIT;
    cr_assert_eq(tx_buf_put8(&buf, 0x12, NULL), TX_OK);
    cr_assert_eq(tx_buf_put16(&buf, 0x3456, NULL), TX_OK);
    cr_assert_eq(tx_buf_put32(&buf, 0x789ABCDE, NULL), TX_OK);
    cr_assert_eq(tx_buf_put64(&buf, 0xFEDCBA9876543210, NULL), TX_OK);
    cr_assert_eq(tx_buf_put_text(&buf, "text", NULL), TX_OK);
    cr_assert_eq(tx_buf_put_text(&buf, "", NULL), TX_OK);
    cr_assert_eq(buf.size, 15 + 9 + 5);
    struct tx_reader reader = tx_reader_on(buf.data, buf.size);
    cr_assert_eq(tx_read8(&reader), 0x12);
    cr_assert_eq(tx_read16(&reader), 0x3456);
    cr_assert_eq(tx_read32(&reader), 0x789ABCDE);
    cr_assert_eq(tx_read64(&reader), 0xFEDCBA9876543210);
    cr_assert_str_eq(tx_read_text(&reader), "text");
    cr_assert_not(tx_reader_done(&reader));
    cr_assert_str_eq(tx_read_text(&reader), "");
    cr_assert(tx_reader_done(&reader));
}

Test(base_codec, reader_stops_at_the_end_for_every_width)
{
    static const uint8_t data[8] = {1, 1, 1, 1, 1, 1, 1, 1};
    for (size_t size = 0; size < 8; size++) {
        struct tx_reader readers[4];
        for (size_t i = 0; i < 4; i++) {
            readers[i] = tx_reader_on(data, size);
        }
        cr_assert_eq(tx_read8(&readers[0]) == 0, size < 1);
        cr_assert_eq(tx_read16(&readers[1]) == 0, size < 2);
        cr_assert_eq(tx_read32(&readers[2]) == 0, size < 4);
        cr_assert_eq(tx_read64(&readers[3]), 0);
        for (size_t i = 0; i < 4; i++) {
            cr_assert_eq(readers[i].failed, size < (size_t)1 << i);
        }
    }
}

Test(base_codec, a_failed_reader_stays_failed)
{
    static const uint8_t data[3] = {1, 2, 3};
    struct tx_reader reader = tx_reader_on(data, sizeof(data));
    cr_assert_eq(tx_read32(&reader), 0);
    cr_assert(reader.failed);
    cr_assert_eq(tx_read8(&reader), 0);
    cr_assert_null(tx_read_bytes(&reader, 0));
    cr_assert_null(tx_read_bytes(&reader, 1));
    cr_assert_null(tx_read_text(&reader));
    cr_assert_not(tx_reader_done(&reader));
}

Test(base_codec, reading_no_bytes_is_no_failure)
{
    struct tx_reader reader = tx_reader_on(NULL, 0);
    cr_assert_not_null(tx_read_bytes(&reader, 0));
    cr_assert(tx_reader_done(&reader));
    reader = tx_reader_on("x", 1);
    cr_assert_not_null(tx_read_bytes(&reader, 0));
    cr_assert_not_null(tx_read_bytes(&reader, 1));
    cr_assert_not_null(tx_read_bytes(&reader, 0));
    cr_assert_null(tx_read_bytes(&reader, SIZE_MAX));
}

Test(base_codec, hostile_texts_are_refused)
{
    static const struct {
        size_t size;
        uint8_t data[8];
    } rows[] = {
        {4, {0, 0, 0, 0}},                      /* not even the NUL */
        {4, {1, 0, 0, 0}},                      /* nothing there */
        {5, {1, 0, 0, 0, 'a'}},                 /* no NUL */
        {6, {1, 0, 0, 0, 'a', 0}},              /* NUL behind the end */
        {7, {3, 0, 0, 0, 'a', 0, 0}},           /* two */
        {6, {2, 0, 0, 0, 0, 'a'}},              /* NUL first */
        {6, {3, 0, 0, 0, 'a', 0}},              /* one byte short */
        {8, {0xFF, 0xFF, 0xFF, 0xFF, 'a', 0}},  /* huge */
        {8, {4, 0, 0, 0x80, 'a', 'b', 'c', 0}}, /* huge */
        {3, {2, 0, 0}},                         /* length cut */
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct tx_reader reader = tx_reader_on(rows[i].data, rows[i].size);
        cr_assert_null(tx_read_text(&reader), "row %zu", i);
        cr_assert(reader.failed, "row %zu", i);
    }
}

/* Random bytes read in random steps never lead out of the buffer (the sanitizers watch). */
Test(base_codec, random_reads_stay_within_the_data)
{
    uint32_t seed = 1;
    for (int round = 0; round < 20000; round++) {
        uint8_t stack[32];
        seed = seed * 1664525 + 1013904223;
        size_t size = seed >> 27;
        uint8_t *data = tx_alloc(size);
        for (size_t i = 0; i < size; i++) {
            seed = seed * 1664525 + 1013904223;
            data[i] = (uint8_t)(seed >> 24) & 7;
        }
        struct tx_reader reader = tx_reader_on(data, size);
        for (int i = 0; i < 8; i++) {
            const uint8_t *before = reader.data;
            seed = seed * 1664525 + 1013904223;
            unsigned step = seed >> 30;
            const char *text = step == 0 ? tx_read_text(&reader) : NULL;
            const uint8_t *bytes = step == 1 ? tx_read_bytes(&reader, seed >> 24 & 15) : NULL;
            (void)(step == 2 ? tx_read16(&reader) : tx_read8(&reader));
            if (text != NULL) {
                cr_assert_leq(strlen(text) + 1, sizeof(stack));
                memcpy(stack, text, strlen(text) + 1);
            }
            cr_assert(bytes == NULL || bytes == before);
            cr_assert_eq(reader.left, (size_t)(data + size - reader.data));
        }
        tx_free(data);
    }
}

Test(base_codec, a_text_is_put_whole_or_not_at_all)
{
    struct tx_buf buf = TX_BUF_INIT;
    failing_alloc_begin(1);
    cr_assert_eq(tx_buf_reserve(&buf, 64, NULL), TX_OK);
    buf.size = buf.capacity - 5;
    cr_assert_eq(tx_buf_put_text(&buf, "a", NULL), TX_ENOMEM);
    cr_assert_eq(buf.size, buf.capacity - 5);
    cr_assert_eq(tx_buf_put_text(&buf, "", NULL), TX_OK);
    cr_assert_eq(buf.size, buf.capacity);
    cr_assert_eq(tx_buf_put8(&buf, 1, NULL), TX_ENOMEM);
    tx_buf_release(&buf);
    (void)failing_alloc_end();
}

Test(base_codec, no_bytes_are_all_zero)
{
    static const uint8_t bytes[2] = {1, 0};
    cr_assert(tx_is_zero(bytes, 0));
    cr_assert(tx_is_zero(bytes + 1, 1));
    cr_assert_not(tx_is_zero(bytes, 2));
}

/* Four GiB of letters: two MiB, mapped again and again. */
Test(base_codec, a_text_whose_length_does_not_fit_its_field_is_refused)
{
    enum { PIECE = 2 * 1024 * 1024 };
    size_t size = (size_t)UINT32_MAX + 1;
    TX_AUTO(tx_buf) buf = TX_BUF_INIT;
    int fd = memfd_create("letters", MFD_CLOEXEC);
    cr_assert_eq(ftruncate(fd, PIECE), 0);
    char *text = mmap(NULL, size + PIECE, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    cr_assert_neq(text, MAP_FAILED);
    for (size_t at = 0; at < size; at += PIECE) {
        cr_assert_neq(mmap(text + at, PIECE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, 0),
                      MAP_FAILED);
    }
    memset(text, 'x', PIECE); /* and all the others, up to the zeros behind */
    failing_alloc_begin(0);
    cr_assert_eq(tx_buf_put_text(&buf, text + 1, NULL), TX_ELIMIT); /* with its NUL 2^32 */
    cr_assert_eq(tx_buf_put_text(&buf, text + 2, NULL), TX_ENOMEM); /* fits the field */
    (void)failing_alloc_end();
    cr_assert_eq(buf.size, 0);
    cr_assert_eq(munmap(text, size + PIECE), 0);
    (void)close(fd);
}
