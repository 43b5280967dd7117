/* SPDX-License-Identifier: MIT */
/* A segment's header block and its name. */
#include "txlog/txlog_internal.h"

#define F(member, phrase) TX_FIELD(struct segment_header, member, phrase)
const struct tx_field segment_fields[] = {
    F(magic, "\"tlogseg1\""),
    F(version, "1"),
    F(flags, "1: recycled, old contents stand behind the records; 2: made by recovery"),
    F(log_id, "first 8 bytes of the store's UUID"),
    F(seq, "sequence number, the same as in the file's name; never given twice"),
    F(size, "bytes of the file, a multiple of 4096"),
    F(first_lsn, "LSN of what stands in block 1"),
    F(durable_lsn, "everything before it was durable when the file got its name"),
    F(previous, "sequence number of the segment that this one continues; 0: none"),
    F(epoch, "in which the file got its name"),
    F(seal, "XXH3-64 of the block, this field zero"),
    TX_FIELD_ZERO(TXLOG_BLOCK_SIZE - 80),
    TX_FIELD_END,
};
#undef F
enum { SEGMENT_SEAL_AT = 72 };

static void put_hex(char *text, uint64_t number)
{
    static const char digits[] = "0123456789abcdef";
    for (int i = 15; i >= 0; i--) {
        text[i] = digits[number & 15];
        number >>= 4;
    }
}

static bool get_hex(const char *text, uint64_t *number)
{
    uint64_t value = 0;
    for (int i = 0; i < 16; i++) {
        char c = text[i];
        bool digit = c >= '0' && c <= '9';
        if (!digit && !(c >= 'a' && c <= 'f')) {
            return false;
        }
        value = value << 4 | (uint64_t)(digit ? c - '0' : c - 'a' + 10);
    }
    *number = value;
    return true;
}

void segment_name(uint64_t seq, char name[LOG_NAME_SIZE])
{
    put_hex(name, seq);
    memcpy(name + 16, ".seg", sizeof(".seg"));
}

void spare_name(uint64_t number, char name[LOG_NAME_SIZE])
{
    memcpy(name, "spare-", 6);
    put_hex(name + 6, number);
    name[22] = '\0';
}

enum log_name_kind log_name_parse(const char *name, uint64_t *number)
{
    *number = 0;
    if (strncmp(name, "new-", 4) == 0) {
        return LOG_NAME_DRAFT;
    }
    size_t length = strlen(name);
    if (length == 22 && strncmp(name, "spare-", 6) == 0 && get_hex(name + 6, number)) {
        return LOG_NAME_SPARE;
    }
    if (length == 20 && strcmp(name + 16, ".seg") == 0 && get_hex(name, number)) {
        return LOG_NAME_SEGMENT;
    }
    return LOG_NAME_OTHER;
}

uint64_t block_seal(const uint8_t block[TXLOG_BLOCK_SIZE], size_t at)
{
    uint8_t unsealed[TXLOG_BLOCK_SIZE];
    memcpy(unsealed, block, sizeof(unsealed));
    tx_put64(unsealed + at, 0);
    return tx_hash64(unsealed, sizeof(unsealed), 0);
}

void segment_encode(const struct segment_header *header, uint8_t block[TXLOG_BLOCK_SIZE])
{
    struct segment_header sealed = *header;
    sealed.magic = SEGMENT_MAGIC;
    sealed.version = SEGMENT_VERSION;
    tx_fields_encode(segment_fields, &sealed, block);
    tx_put64(block + SEGMENT_SEAL_AT, block_seal(block, SEGMENT_SEAL_AT));
}

enum tx_status segment_decode(const uint8_t block[TXLOG_BLOCK_SIZE], struct segment_header *header,
                              struct tx_error *err)
{
    struct segment_header read;
    if (tx_get64(block) != SEGMENT_MAGIC ||
        tx_get64(block + SEGMENT_SEAL_AT) != block_seal(block, SEGMENT_SEAL_AT)) {
        return tx_error_set(err, TX_ECORRUPT, "header block is damaged");
    }
    if (tx_get32(block + 8) != SEGMENT_VERSION) {
        return tx_error_set(err, TX_EVERSION, "unknown format version %u",
                            (unsigned)tx_get32(block + 8));
    }
    if (!tx_fields_decode(segment_fields, &read, block) || read.seq == 0 ||
        read.size < 2 * TXLOG_BLOCK_SIZE || read.size % TXLOG_BLOCK_SIZE != 0 ||
        read.size > INT64_MAX || read.first_lsn > INT64_MAX ||
        read.first_lsn % TXLOG_BLOCK_SIZE != 0 || read.first_lsn < TXLOG_FIRST_LSN) {
        return tx_error_set(err, TX_ECORRUPT, "header block makes no sense");
    }
    *header = read;
    return TX_OK;
}

enum { ZERO_SIZE = 64 * 1024, ZERO_PARTS = 8 };

enum tx_status zero_fill(struct txio *io, int fd, uint64_t offset, uint64_t size,
                         struct tx_error *err)
{
    static uint8_t zero[ZERO_SIZE]; /* never written to */
    struct iovec parts[ZERO_PARTS];
    while (size > 0) {
        int count = 0;
        uint64_t some = 0;
        for (; count < ZERO_PARTS && some < size; count++) {
            uint64_t part = size - some < ZERO_SIZE ? size - some : ZERO_SIZE;
            parts[count] = (struct iovec){zero, (size_t)part};
            some += part;
        }
        TX_TRY(txio_write_full(io, fd, parts, count, offset, err));
        offset += some;
        size -= some;
    }
    return TX_OK;
}
