/* SPDX-License-Identifier: MIT */
/* Seals of every file of a store, from the same tables as the library's. */
#include <stdio.h>
#include <string.h>

#include "base/codec.h"
#include "base/hash.h"
#include "fuzz/fuzz_disk.h"
#include "ktm/txn_record.h"
#include "txfs/undo_formats.h"
#include "txlog/log_format.h"
#include "txreg/txreg_internal.h"

#define BLOCK TXLOG_BLOCK_SIZE
#define SETTINGS_SIZE 64u
#define PARENTS_DEPTH 20u
#define SEALED_PAGES_MAX 100u

static size_t offset_of(const struct tx_field *fields, const char *name)
{
    size_t at = 0;
    for (; fields->name != NULL && strcmp(fields->name, name) != 0; fields++) {
        at += fields->width;
    }
    return at;
}

/* The seal at `at` covers bytes [0, size) with itself zero. */
static void seal_range(uint8_t *bytes, size_t size, size_t at)
{
    if (size >= at + 8) {
        memset(bytes + at, 0, 8);
        tx_put64(bytes + at, tx_hash64(bytes, size, 0));
    }
}

/* Records follow one another from block 1 on; the one that holds `offset` is sealed. */
static void seal_frame(uint8_t *bytes, size_t size, size_t offset)
{
    size_t seal_at = offset_of(frame_fields, "seal");
    size_t size_at = offset_of(frame_fields, "payload_size");
    for (size_t at = BLOCK; at + BLOCK <= size && at <= offset;) {
        uint64_t room = size - at;
        uint64_t frame = frame_size(tx_get64(bytes + at + size_at));
        if (tx_get32(bytes + at) != FRAME_MAGIC || frame == 0 || frame > room) {
            frame = BLOCK;
        }
        if (offset < at + frame) {
            seal_range(bytes + at, (size_t)frame, seal_at);
            return;
        }
        at += (size_t)frame;
    }
}

static void seal_segment(uint8_t *bytes, size_t size, size_t offset)
{
    if (offset < BLOCK) {
        seal_range(bytes, size < BLOCK ? size : BLOCK, offset_of(segment_fields, "seal"));
    } else {
        seal_frame(bytes, size, offset);
    }
}

/* Seal a page, then put its new seal wherever its old one stood: parents, root slots. What an edit
 * has filled with one byte, seals included, stands in many places: *left bounds the work. */
static void seal_page(uint8_t *bytes, size_t size, size_t page, unsigned depth, unsigned *left)
{
    uint8_t old[8];
    uint8_t *data = bytes + page * REG_PAGE_SIZE;
    memcpy(old, data + REG_AT_SEAL, sizeof old);
    tx_put64(data + REG_AT_SEAL, reg_page_seal(data, (uint32_t)page));
    if (depth == PARENTS_DEPTH || *left == 0 || memcmp(old, data + REG_AT_SEAL, sizeof old) == 0) {
        return;
    }
    --*left;
    for (size_t other = 0; other < size / REG_PAGE_SIZE; other++) {
        uint8_t *from = bytes + other * REG_PAGE_SIZE;
        uint8_t *found = other == page ? NULL
                                       : memmem(from + 8, REG_PAGE_SIZE - 8, old, sizeof old);
        if (found != NULL) {
            memcpy(found, data + REG_AT_SEAL, sizeof old);
            seal_page(bytes, size, other, depth + 1, left);
        }
    }
}

/* Records of undo/others: the one that holds `offset`. */
static void seal_others(uint8_t *bytes, size_t size, size_t offset)
{
    size_t size_at = offset_of(txfs_changes_fields, "file_size");
    size_t seal_at = offset_of(txfs_changes_fields, "seal");
    for (size_t at = 0; at + TXFS_CHANGES_HEAD_SIZE <= size;) {
        uint64_t record = tx_get64(bytes + at + size_at);
        if (record < TXFS_CHANGES_HEAD_SIZE || record > size - at) {
            record = size - at;
        }
        if (offset < at + record) {
            seal_range(bytes + at, (size_t)record, seal_at);
            return;
        }
        at += (size_t)record;
    }
}

static void seal_undo(const char *name, uint8_t *bytes, size_t size, size_t offset)
{
    if (strcmp(name, "steady") == 0 && size >= 8) {
        tx_put64(bytes + size - 8, tx_hash64(bytes, size - 8, 0));
    } else if (strcmp(name, "others") == 0) {
        seal_others(bytes, size, offset);
    } else if (strcmp(name, "changes") == 0) {
        seal_range(bytes, size, offset_of(txfs_changes_fields, "seal"));
    } else if (strcmp(name, "sums") == 0) {
        seal_range(bytes, size, offset_of(txfs_sums_fields, "seal"));
    } else if (name[0] == 's') {
        seal_range(bytes, size, offset_of(txfs_saved_fields, "seal"));
    }
}

void fuzz_seal(const char *path, uint8_t *bytes, size_t size, size_t offset)
{
    const char *name = strrchr(path, '/') != NULL ? strrchr(path, '/') + 1 : path;
    if (offset >= size) {
        return;
    }
    if (strstr(path, "/undo/") != NULL) {
        seal_undo(name, bytes, size, offset);
    } else if (strcmp(name, "control") == 0 && size >= CONTROL_SIZE) {
        size_t slot = offset < BLOCK ? 0 : BLOCK;
        seal_range(bytes + slot, BLOCK, offset_of(control_fields, "seal"));
    } else if (strstr(path, "/log/") != NULL) {
        seal_segment(bytes, size, offset);
    } else if (strcmp(name, "image") == 0 && offset / REG_PAGE_SIZE < size / REG_PAGE_SIZE) {
        unsigned left = SEALED_PAGES_MAX;
        seal_page(bytes, size, offset / REG_PAGE_SIZE, 0, &left);
    } else if (strcmp(name, "settings") == 0 && size == SETTINGS_SIZE) {
        tx_put64(bytes + size - 8, tx_hash64(bytes, size - 8, 0));
    } else if (strcmp(name, "changes") == 0) {
        seal_range(bytes, size, KTM_CHANGES_SEAL_OFFSET);
    }
}
