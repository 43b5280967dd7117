/* SPDX-License-Identifier: MIT */
/* The header of a record, as a table. */
#include "txlog/txlog_internal.h"

#define F(member, phrase) TX_FIELD(struct frame_header, member, phrase)
const struct tx_field frame_fields[] = {
    F(magic, "\"TXFR\""),
    F(version, "1"),
    F(header_size, "bytes of this header, 80"),
    F(kind, "given by the writer; 0xFFFFFFFF: a new epoch begins"),
    TX_FIELD_ZERO(4),
    F(payload_size, "bytes after the header, padding left out"),
    F(lsn, "position of this record in the log"),
    F(segment, "sequence number of the segment it was written to"),
    F(log_id, "first 8 bytes of the store's UUID"),
    F(epoch, "in which the record was appended"),
    F(durable_lsn, "everything before it was durable when the record was appended"),
    F(batch, "forces since the epoch began"),
    F(seal, "XXH3-64 of header (this field zero), payload and padding"),
    TX_FIELD_END,
};
#undef F

#define F(member, phrase) TX_FIELD(struct epoch_payload, member, phrase)
const struct tx_field epoch_fields[] = {
    F(end_lsn, "end of the log that recovery found"),
    F(proven_lsn, "everything before it was known to be durable; the rest was rewritten"),
    F(torn_size, "bytes left behind after the end"),
    F(time_ns, "when, in nanoseconds since 1970 UTC; a stamp that orders nothing"),
    F(verdict, "row of the decision table"),
    TX_FIELD_ZERO(4),
    TX_FIELD_END,
};
#undef F

uint64_t frame_size(uint64_t payload_size)
{
    if (payload_size > TXLOG_PAYLOAD_MAX) {
        return 0;
    }
    uint64_t size = FRAME_HEADER_SIZE + payload_size + TXLOG_BLOCK_SIZE - 1;
    return size - size % TXLOG_BLOCK_SIZE;
}

void frame_encode(const struct frame_header *header, uint8_t disk[FRAME_HEADER_SIZE])
{
    tx_fields_encode(frame_fields, header, disk);
}

bool frame_decode(struct frame_header *header, const uint8_t disk[FRAME_HEADER_SIZE])
{
    return tx_fields_decode(frame_fields, header, disk) && header->magic == FRAME_MAGIC &&
           header->version == FRAME_VERSION && header->header_size == FRAME_HEADER_SIZE &&
           header->payload_size <= TXLOG_PAYLOAD_MAX;
}

void frame_seal_init(struct tx_hasher *hasher, const struct frame_header *header)
{
    struct frame_header unsealed = *header;
    uint8_t disk[FRAME_HEADER_SIZE];
    unsealed.seal = 0;
    frame_encode(&unsealed, disk);
    tx_hasher_init(hasher, 0);
    tx_hasher_add(hasher, disk, sizeof(disk));
}
