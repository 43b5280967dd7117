/* SPDX-License-Identifier: MIT */
#include "unit/log_fixture.h"

static struct frame_header some_header(void)
{
    return (struct frame_header){
        .magic = FRAME_MAGIC,
        .version = FRAME_VERSION,
        .header_size = FRAME_HEADER_SIZE,
        .kind = 7,
        .payload_size = 100,
        .lsn = 8192,
        .segment = 3,
        .log_id = 0x1122334455667788,
        .epoch = 4,
        .durable_lsn = 4096,
        .batch = 9,
        .seal = 0xaabbccddeeff0011,
    };
}

Test(txlog_frame, header_has_the_size_it_says)
{
    cr_assert_eq(tx_fields_size(frame_fields), FRAME_HEADER_SIZE);
    cr_assert_eq(tx_fields_size(epoch_fields), EPOCH_PAYLOAD_SIZE);
    cr_assert_leq(FRAME_HEADER_SIZE, 128);
    cr_assert_geq(FRAME_HEADER_SIZE, 64);
}

Test(txlog_frame, size_is_rounded_up_to_blocks)
{
    size_t fits = TXLOG_BLOCK_SIZE - FRAME_HEADER_SIZE;
    cr_assert_eq(frame_size(0), TXLOG_BLOCK_SIZE);
    cr_assert_eq(frame_size(fits - 1), TXLOG_BLOCK_SIZE);
    cr_assert_eq(frame_size(fits), TXLOG_BLOCK_SIZE);
    cr_assert_eq(frame_size(fits + 1), 2 * TXLOG_BLOCK_SIZE);
}

Test(txlog_frame, size_knows_the_largest_payload)
{
    cr_assert_neq(frame_size((uint64_t)TXLOG_PAYLOAD_MAX - 1), 0);
    cr_assert_eq(frame_size(TXLOG_PAYLOAD_MAX), (uint64_t)TXLOG_PAYLOAD_MAX + TXLOG_BLOCK_SIZE);
    cr_assert_eq(frame_size((uint64_t)TXLOG_PAYLOAD_MAX + 1), 0);
    cr_assert_eq(frame_size(UINT64_MAX), 0);
}

Test(txlog_frame, header_comes_back)
{
    struct frame_header in = some_header();
    struct frame_header out = {0};
    uint8_t disk[FRAME_HEADER_SIZE];
    frame_encode(&in, disk);
    cr_assert(frame_decode(&out, disk));
    cr_assert_eq(in.kind, out.kind);
    cr_assert_eq(in.payload_size, out.payload_size);
    cr_assert_eq(in.lsn, out.lsn);
    cr_assert_eq(in.segment, out.segment);
    cr_assert_eq(in.log_id, out.log_id);
    cr_assert_eq(in.epoch, out.epoch);
    cr_assert_eq(in.durable_lsn, out.durable_lsn);
    cr_assert_eq(in.batch, out.batch);
    cr_assert_eq(in.seal, out.seal);
}

Test(txlog_frame, what_is_no_header_is_refused)
{
    struct frame_header out;
    uint8_t disk[FRAME_HEADER_SIZE];
    /* magic, version, size, zeros, payload */
    static const unsigned bad[] = {0, 3, 4, 6, 12, 15, 23};
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        struct frame_header in = some_header();
        frame_encode(&in, disk);
        disk[bad[i]] ^= 0x80;
        cr_assert_not(frame_decode(&out, disk), "byte %u", bad[i]);
    }
}

Test(txlog_frame, seal_covers_every_byte_of_the_header_but_itself)
{
    struct frame_header header = some_header();
    struct tx_hasher hasher;
    uint8_t disk[FRAME_HEADER_SIZE];
    frame_seal_init(&hasher, &header);
    uint64_t sum = tx_hasher_sum64(&hasher);
    frame_encode(&header, disk);
    for (unsigned at = 0; at < FRAME_HEADER_SIZE; at++) {
        struct frame_header other;
        uint8_t flipped[FRAME_HEADER_SIZE];
        memcpy(flipped, disk, sizeof(flipped));
        flipped[at] ^= 1;
        if (!tx_fields_decode(frame_fields, &other, flipped)) {
            continue; /* a reserved byte */
        }
        frame_seal_init(&hasher, &other);
        bool same = tx_hasher_sum64(&hasher) == sum;
        cr_assert_eq(same, at >= FRAME_HEADER_SIZE - 8, "byte %u", at);
    }
}
