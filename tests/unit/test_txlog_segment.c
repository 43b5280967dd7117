/* SPDX-License-Identifier: MIT */
#include "unit/log_fixture.h"
#include "unit/temp_dir.h"

static struct segment_header some_header(void)
{
    return (struct segment_header){
        .flags = SEGMENT_RECYCLED,
        .log_id = 42,
        .seq = 7,
        .size = SMALL_SEGMENT,
        .first_lsn = 40960,
        .durable_lsn = 36864,
        .previous = 6,
        .epoch = 2,
    };
}

Test(txlog_segment, header_fills_one_block)
{
    cr_assert_eq(tx_fields_size(segment_fields), TXLOG_BLOCK_SIZE);
}

Test(txlog_segment, header_comes_back)
{
    struct segment_header in = some_header();
    struct segment_header out;
    uint8_t block[TXLOG_BLOCK_SIZE];
    segment_encode(&in, block);
    ok(segment_decode(block, &out, &test_err));
    cr_assert_eq(out.seq, in.seq);
    cr_assert_eq(out.flags, in.flags);
    cr_assert_eq(out.size, in.size);
    cr_assert_eq(out.first_lsn, in.first_lsn);
    cr_assert_eq(out.durable_lsn, in.durable_lsn);
    cr_assert_eq(out.previous, in.previous);
    cr_assert_eq(out.epoch, in.epoch);
    cr_assert_eq(out.log_id, in.log_id);
}

Test(txlog_segment, a_flipped_bit_anywhere_in_the_block_is_seen)
{
    struct segment_header in = some_header();
    struct segment_header out;
    uint8_t block[TXLOG_BLOCK_SIZE];
    segment_encode(&in, block);
    for (unsigned bit = 0; bit < TXLOG_BLOCK_SIZE * 8; bit++) {
        block[bit / 8] ^= (uint8_t)(1u << bit % 8);
        fails(TX_ECORRUPT, segment_decode(block, &out, &test_err));
        block[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    ok(segment_decode(block, &out, &test_err));
}

/* A block with a right seal and a hostile field. */
static void decode_with(size_t at, size_t width, uint64_t value, enum tx_status wanted)
{
    struct segment_header in = some_header();
    struct segment_header out;
    uint8_t block[TXLOG_BLOCK_SIZE];
    segment_encode(&in, block);
    for (size_t i = 0; i < width; i++) {
        block[at + i] = (uint8_t)(value >> 8 * i);
    }
    tx_put64(block + 72, block_seal(block, 72));
    fails(wanted, segment_decode(block, &out, &test_err));
}

Test(txlog_segment, sealed_nonsense_is_refused)
{
    decode_with(8, 4, 2, TX_EVERSION);
    decode_with(24, 8, 0, TX_ECORRUPT);                 /* seq */
    decode_with(32, 8, 4096, TX_ECORRUPT);              /* size: no room */
    decode_with(32, 8, 8192, TX_OK);
    decode_with(32, 8, 8193, TX_ECORRUPT);
    decode_with(32, 8, UINT64_MAX - 4095, TX_ECORRUPT); /* size */
    decode_with(40, 8, 0, TX_ECORRUPT);                 /* first_lsn */
    decode_with(40, 8, 4097, TX_ECORRUPT);
    decode_with(40, 8, UINT64_MAX - 4095, TX_ECORRUPT);
    decode_with(80, 1, 1, TX_ECORRUPT); /* reserved */
}

Test(txlog_segment, names_come_back)
{
    static const uint64_t numbers[] = {0, 1, 10, 0xdeadbeef, UINT64_MAX};
    char name[LOG_NAME_SIZE];
    uint64_t number;
    for (size_t i = 0; i < sizeof(numbers) / sizeof(*numbers); i++) {
        segment_name(numbers[i], name);
        cr_assert_eq(log_name_parse(name, &number), LOG_NAME_SEGMENT);
        cr_assert_eq(number, numbers[i]);
        spare_name(numbers[i], name);
        cr_assert_eq(log_name_parse(name, &number), LOG_NAME_SPARE);
        cr_assert_eq(number, numbers[i]);
    }
    segment_name(0x1f, name);
    cr_assert_str_eq(name, "000000000000001f.seg");
}

Test(txlog_segment, other_names_are_other)
{
    uint64_t number;
    cr_assert_eq(log_name_parse("new-segment", &number), LOG_NAME_DRAFT);
    static const char *const other[] = {
        "", "x", "000000000000001F.seg", "000000000000001f.se", "00000000000000001f.seg",
        "000000000000001f.segx", "spare-1", "spare-000000000000000g", "Spare-0000000000000001",
        "000000000000001f.sex", "000000000000000-.seg", "000000000000000:.seg",
    };
    for (size_t i = 0; i < sizeof(other) / sizeof(*other); i++) {
        cr_assert_eq(log_name_parse(other[i], &number), LOG_NAME_OTHER, "%s", other[i]);
    }
}

Test(txlog_segment, zero_blocks_are_told_from_others)
{
    uint8_t block[TXLOG_BLOCK_SIZE] = {0};
    cr_assert(tx_is_zero(block, TXLOG_BLOCK_SIZE));
    for (size_t i = 0; i < sizeof(block); i++) {
        block[i] = 0x10;
        cr_assert_not(tx_is_zero(block, TXLOG_BLOCK_SIZE), "byte %zu", i);
        block[i] = 0;
    }
}

Test(txlog_segment, zero_fill_writes_that_many_zeros)
{
    TX_AUTO(temp_dir) temp = temp_dir_new();
    static const uint64_t sizes[] = {0, 1, 4096, 65536, 65537, 512 * 1024, 512 * 1024 + 1, 1300000};
    make_file(temp.fd, "f", "x");
    int fd = openat(temp.fd, "f", O_RDWR | O_CLOEXEC);
    for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
        cr_assert_eq(ftruncate(fd, 0), 0);
        ok(zero_fill(txio_posix(), fd, 10, sizes[i], &test_err));
        uint64_t wanted = sizes[i] > 0 ? 10 + sizes[i] : 0;
        cr_assert_eq(file_size(temp.fd, "f"), wanted);
    }
    (void)close(fd);
}
