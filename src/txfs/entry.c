/* SPDX-License-Identifier: MIT */
/* The one encoding of a change to a file, and its hostile-proof decoder. */
#include <string.h>
#include <sys/stat.h>

#include "txfs/txfs_internal.h"

#define ENTRY_FIELD(member, phrase) TX_FIELD(struct txfs_entry, member, phrase)
#define IDENTITY_FIELDS(which, phrase)                                                             \
    ENTRY_FIELD(which.existed, phrase ": 1 when there was an object"),                             \
        TX_FIELD_ZERO(3),                                                                          \
        ENTRY_FIELD(which.mode, phrase ": type and permission bits"),                              \
        ENTRY_FIELD(which.ino, phrase ": inode number"),                                           \
        ENTRY_FIELD(which.size, phrase ": bytes"),                                                 \
        ENTRY_FIELD(which.rdev, phrase ": device number of a device"),                             \
        ENTRY_FIELD(which.uid, phrase ": owner"), ENTRY_FIELD(which.gid, phrase ": group"),        \
        ENTRY_FIELD(which.nlink, phrase ": names"),                                                \
        ENTRY_FIELD(which.birth, phrase ": hash of its birth time, 0: not known"),                 \
        ENTRY_FIELD(which.mtime_ns, phrase ": modification time, ns"),                             \
        ENTRY_FIELD(which.ctime_ns, phrase ": change time, ns")

const struct tx_field txfs_entry_fields[] = {
    ENTRY_FIELD(payload, "where the content is (enum txfs_payload_kind)"),
    TX_FIELD_ZERO(3),
    ENTRY_FIELD(staged, "number of the staged file, 0: none"),
    ENTRY_FIELD(mask, "which attributes are said (enum txfs_entry_mask)"),
    ENTRY_FIELD(mode, "permission bits; of nodes with the type"),
    ENTRY_FIELD(uid, "owner"),
    ENTRY_FIELD(gid, "group"),
    ENTRY_FIELD(rdev, "device number of a node"),
    ENTRY_FIELD(atime_ns, "access time, ns; INT64_MIN: leave"),
    ENTRY_FIELD(mtime_ns, "modification time, ns; INT64_MIN: leave"),
    ENTRY_FIELD(size, "bytes of the file afterwards"),
    ENTRY_FIELD(keep_size, "extents: bytes of the old content that stay at most"),
    ENTRY_FIELD(payload_size, "bytes of the payload"),
    ENTRY_FIELD(hash, "XXH3-128 of the payload"),
    IDENTITY_FIELDS(base, "found at the path"),
    IDENTITY_FIELDS(source, "the object moved or linked"),
    TX_FIELD_END,
};

#define KNOWN_MASK (TXFS_SETS_OWNER | TXFS_SETS_MODE | TXFS_SETS_TIMES | TXFS_SETS_XATTRS)

static enum tx_status put_block(struct tx_buf *head, const uint8_t *data, uint32_t size,
                                struct tx_error *err)
{
    TX_TRY(tx_buf_put32(head, size, err));
    return tx_buf_append(head, data, size, err);
}

enum tx_status txfs_entry_encode(const struct txfs_entry *entry, struct tx_buf *head,
                                 struct tx_error *err)
{
    uint8_t *fixed;
    TX_TRY(tx_buf_extend(head, tx_fields_size(txfs_entry_fields), &fixed, err));
    tx_fields_encode(txfs_entry_fields, entry, fixed);
    TX_TRY(tx_buf_put_text(head, entry->path, err));
    TX_TRY(tx_buf_put_text(head, entry->target != NULL ? entry->target : "", err));
    TX_TRY(tx_buf_put_text(head, entry->base_path != NULL ? entry->base_path : "", err));
    TX_TRY(put_block(head, entry->xattrs, entry->xattrs_size, err));
    TX_TRY(tx_buf_put32(head, entry->extent_count, err));
    TX_TRY(tx_buf_append(head, entry->extents, (size_t)entry->extent_count * TXFS_EXTENT_SIZE,
                         err));
    return tx_buf_put64(head, entry->content_size, err);
}

static enum tx_status bad(const struct txfs_entry *entry, const char *what, struct tx_error *err)
{
    (void)txfs_refuse(err, TX_ECORRUPT, entry->path != NULL ? entry->path : "?", what);
    (void)tx_error_prefix(err, "files entry"); /* the status is known */
    return TX_ECORRUPT;
}

static bool is_whole(uint8_t kind)
{
    return kind == TXFS_CHANGE_FILE || kind == TXFS_CHANGE_DIRECTORY ||
           kind == TXFS_CHANGE_SYMLINK || kind == TXFS_CHANGE_NODE;
}

static bool target_is_good(const struct txfs_entry *entry)
{
    switch (entry->kind) {
    case TXFS_CHANGE_SYMLINK:
        return entry->target != NULL && strlen(entry->target) <= TXFS_PATH_MAX;
    case TXFS_CHANGE_LINK:
    case TXFS_CHANGE_MOVED:
        return entry->target != NULL && txfs_path_is_clean(entry->target);
    default:
        return entry->target == NULL;
    }
}

static bool mask_is_good(const struct txfs_entry *entry)
{
    if ((entry->mask & ~(uint32_t)KNOWN_MASK) != 0) {
        return false;
    }
    if (is_whole(entry->kind)) {
        return entry->mask == KNOWN_MASK;
    }
    bool amends = entry->kind == TXFS_CHANGE_MOVED || entry->kind == TXFS_CHANGE_EXTENTS ||
                  entry->kind == TXFS_CHANGE_ATTRIBUTES;
    return amends || entry->mask == 0;
}

static bool xattrs_are_good(const struct txfs_entry *entry)
{
    struct tx_reader reader = tx_reader_on(entry->xattrs, entry->xattrs_size);
    struct txfs_xattr xattr;
    while (txfs_xattr_next(&reader, &xattr)) {
    }
    return tx_reader_done(&reader) &&
           ((entry->mask & TXFS_SETS_XATTRS) != 0 || entry->xattrs_size == 0);
}

/* Sorted, apart, inside the file and inside the payload. */
static bool extents_are_good(const struct txfs_entry *entry)
{
    uint64_t end = 0;
    for (uint32_t i = 0; i < entry->extent_count; i++) {
        struct txfs_extent at = txfs_extent_at(entry, i);
        bool inside = at.length > 0 && at.offset >= end && at.offset <= entry->size &&
                      at.length <= entry->size - at.offset && at.position <= entry->payload_size &&
                      at.length <= entry->payload_size - at.position;
        if (!inside) {
            return false;
        }
        end = at.offset + at.length;
    }
    return true;
}

static bool payload_is_good(const struct txfs_entry *entry)
{
    bool file = entry->kind == TXFS_CHANGE_FILE;
    bool inline_whole = entry->content_size == entry->payload_size;
    switch (entry->payload) {
    case TXFS_PAYLOAD_NONE:
        return entry->staged == 0 && entry->content_size == 0 && entry->extent_count == 0 &&
               entry->payload_size == 0 && entry->size == 0;
    case TXFS_PAYLOAD_INLINE:
        return file && entry->staged == 0 && inline_whole && entry->extent_count == 0 &&
               entry->size == entry->payload_size;
    case TXFS_PAYLOAD_STAGED:
        return file && entry->staged != 0 && entry->content_size == 0 &&
               entry->extent_count == 0 && entry->size == entry->payload_size;
    case TXFS_PAYLOAD_HASH:
        return entry->content_size == 0 && extents_are_good(entry);
    case TXFS_PAYLOAD_EXTENTS:
        return (entry->kind == TXFS_CHANGE_EXTENTS || entry->kind == TXFS_CHANGE_MOVED) &&
               (entry->staged != 0 ? entry->content_size == 0 : inline_whole) &&
               entry->keep_size <= entry->size && extents_are_good(entry);
    default:
        return false;
    }
}

static const char *text_or_null(const char *text)
{
    return text != NULL && text[0] != '\0' ? text : NULL;
}

static enum tx_status read_parts(const struct ktm_change *change, struct txfs_entry *entry,
                                 struct tx_error *err)
{
    size_t fixed_size = tx_fields_size(txfs_entry_fields);
    struct tx_reader reader = tx_reader_on(change->body, change->body_size);
    const uint8_t *fixed = tx_read_bytes(&reader, fixed_size);
    if (fixed == NULL || !tx_fields_decode(txfs_entry_fields, entry, fixed)) {
        return bad(entry, "cut short, or reserved bytes are set", err);
    }
    entry->path = tx_read_text(&reader);
    entry->target = text_or_null(tx_read_text(&reader));
    entry->base_path = text_or_null(tx_read_text(&reader));
    entry->xattrs_size = tx_read32(&reader);
    entry->xattrs = tx_read_bytes(&reader, entry->xattrs_size);
    entry->extent_count = tx_read32(&reader);
    entry->extents = tx_read_bytes(&reader, (size_t)entry->extent_count * TXFS_EXTENT_SIZE);
    entry->content_size = tx_read64(&reader);
    entry->content = tx_read_bytes(&reader, entry->content_size);
    return tx_reader_done(&reader) ? TX_OK : bad(entry, "its parts overrun it", err);
}

enum tx_status txfs_entry_decode(const struct ktm_change *change, struct txfs_entry *entry,
                                 struct tx_error *err)
{
    struct txfs_entry got = {.kind = change->op, .flags = change->flags};
    if (change->op > TXFS_CHANGE_NODE || (change->flags & ~TXFS_ENTRY_SAME) != 0) {
        return bad(&got, "unknown kind or flags", err);
    }
    TX_TRY(read_parts(change, &got, err));
    if (!txfs_path_is_clean(got.path) ||
        (got.base_path != NULL && !txfs_path_is_clean(got.base_path)) || !target_is_good(&got)) {
        return bad(&got, "a path that is not clean", err);
    }
    if (!mask_is_good(&got) || !xattrs_are_good(&got) || got.base.existed > 1 ||
        got.source.existed > 1) {
        return bad(&got, "attributes that do not go together", err);
    }
    if (!payload_is_good(&got)) {
        return bad(&got, "a payload that does not fit the kind", err);
    }
    *entry = got;
    return TX_OK;
}

struct txfs_extent txfs_extent_at(const struct txfs_entry *entry, uint32_t index)
{
    const uint8_t *at = entry->extents + (size_t)index * TXFS_EXTENT_SIZE;
    return (struct txfs_extent){tx_get64(at), tx_get64(at + 8), tx_get64(at + 16)};
}

enum tx_status txfs_extent_put(struct tx_buf *buf, const struct txfs_extent *extent,
                               struct tx_error *err)
{
    TX_TRY(tx_buf_put64(buf, extent->offset, err));
    TX_TRY(tx_buf_put64(buf, extent->length, err));
    return tx_buf_put64(buf, extent->position, err);
}
