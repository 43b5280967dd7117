/* SPDX-License-Identifier: MIT */
/* What stands on disk: frames, segment headers, control slots (docs/format-log.md). */
#ifndef TXLOG_LOG_FORMAT_H
#define TXLOG_LOG_FORMAT_H

#include <txkit/log.h>

#include "base/codec.h"
#include "base/hash.h"

#define LOG_NAME_SIZE 32u
#define LOG_DIR_NAME "log"

/* --- frame.c: a record on disk --- */

#define FRAME_MAGIC 0x52465854u /* "TXFR" */
#define FRAME_VERSION 1u
#define FRAME_HEADER_SIZE 80u

struct frame_header {
    uint32_t magic;
    uint16_t version;
    uint16_t header_size;
    uint32_t kind;
    uint64_t payload_size;
    uint64_t lsn;
    uint64_t segment;
    uint64_t log_id;
    uint64_t epoch;
    uint64_t durable_lsn;
    uint64_t batch;
    uint64_t seal;
};
extern const struct tx_field frame_fields[];

/* Payload of a record of kind TXLOG_KIND_EPOCH. */
#define EPOCH_PAYLOAD_SIZE 40u
struct epoch_payload {
    uint64_t end_lsn;
    uint64_t proven_lsn;
    uint64_t torn_size;
    int64_t time_ns;
    uint32_t verdict;
};
extern const struct tx_field epoch_fields[];

/* Bytes of a whole frame; 0 when the payload is larger than the limit. */
uint64_t frame_size(uint64_t payload_size);
/* Start a seal: the header with its seal field zero. Payload and padding follow. */
void frame_seal_init(struct tx_hasher *hasher, const struct frame_header *header);
void frame_encode(const struct frame_header *header, uint8_t disk[FRAME_HEADER_SIZE]);
/* False when it cannot be a header: magic, version, sizes, reserved bytes. */
bool frame_decode(struct frame_header *header, const uint8_t disk[FRAME_HEADER_SIZE]);

/* --- segment.c: the file that frames stand in --- */

#define SEGMENT_MAGIC 0x31676573676f6c74u /* "tlogseg1" */
#define SEGMENT_VERSION 1u

enum segment_flags {
    SEGMENT_RECYCLED = 1, /* old contents stand behind the records; else zeros */
    SEGMENT_RECOVERY = 2, /* made by recovery: what earlier segments have beyond is evidence */
};

struct segment_header {
    uint64_t magic;
    uint32_t version;
    uint32_t flags;
    uint64_t log_id;
    uint64_t seq;
    uint64_t size;
    uint64_t first_lsn;
    uint64_t durable_lsn;
    uint64_t previous;
    uint64_t epoch;
    uint64_t seal;
};
extern const struct tx_field segment_fields[];

void segment_name(uint64_t seq, char name[LOG_NAME_SIZE]);
void spare_name(uint64_t number, char name[LOG_NAME_SIZE]);

enum log_name_kind { LOG_NAME_OTHER, LOG_NAME_SEGMENT, LOG_NAME_SPARE, LOG_NAME_DRAFT };
enum log_name_kind log_name_parse(const char *name, uint64_t *number);

void segment_encode(const struct segment_header *header, uint8_t block[TXLOG_BLOCK_SIZE]);
/* Errors: TX_ECORRUPT, TX_EVERSION. */
enum tx_status segment_decode(const uint8_t block[TXLOG_BLOCK_SIZE], struct segment_header *header,
                              struct tx_error *err) TX_CHECKED;
/* Seal of a 4096-byte block whose seal field stands at `at`. */
uint64_t block_seal(const uint8_t block[TXLOG_BLOCK_SIZE], size_t at);
/* Write `size` zero bytes. Durability: none. */
enum tx_status zero_fill(struct txio *io, int fd, uint64_t offset, uint64_t size,
                         struct tx_error *err) TX_CHECKED;

static inline uint64_t segment_capacity(uint64_t segment_size)
{
    return segment_size - TXLOG_BLOCK_SIZE;
}

/* --- control.c: two alternating slots --- */

#define CONTROL_MAGIC 0x316c727463676f6cu /* "logctrl1" */
#define CONTROL_VERSION 1u
#define CONTROL_SIZE (2u * TXLOG_BLOCK_SIZE)
#define CONTROL_NAME "control"

enum control_flags { CONTROL_CLEAN = 1 };

struct control {
    uint64_t magic;
    uint32_t version;
    uint32_t slot;
    uint64_t sequence;
    uint8_t uuid[16];
    uint64_t epoch;
    uint64_t start_lsn;
    uint64_t start_segment;
    uint64_t last_segment;
    uint64_t durable_lsn;
    uint64_t end_lsn;
    uint32_t flags;
    uint64_t segment_size;
    uint64_t size_max;
    uint64_t seal;
};
extern const struct tx_field control_fields[];

struct control_slots {
    struct control slot[2];
    enum tx_status status[2]; /* TX_OK, TX_ECORRUPT, TX_EVERSION */
    int newest;               /* -1: neither is valid */
};

enum tx_status control_settings_check(const struct txlog_settings *settings,
                                      struct control *content, struct tx_error *err) TX_CHECKED;
/* Errors: reading only; damage is in the result. */
enum tx_status control_read(struct txio *io, int fd, struct control_slots *slots,
                            struct tx_error *err) TX_CHECKED;
/* As control_read, and TX_ECORRUPT or TX_EVERSION when no slot can be used. */
enum tx_status control_load(struct txio *io, int fd, struct control *content,
                            struct tx_error *err) TX_CHECKED;
/* Write both slots, one after the other. Durability: on return both hold `content`; a crash before
 * leaves the old content or the new. */
enum tx_status control_store(struct txio *io, int fd, const struct control *content,
                             struct tx_error *err) TX_CHECKED;
static inline bool control_is_clean(const struct control *content)
{
    return content->flags & CONTROL_CLEAN;
}

#endif
