/* SPDX-License-Identifier: MIT */
/*
 * s<i>: what entry i changes in place, as it was before: header, extent table, block of extended
 * attributes, old bytes. For revert and for readers with an older snapshot; what protects the
 * change itself from a power cut is the log.
 */
#include "txfs/undo_formats.h"

/* A range of the file whose old bytes go away: what the entry writes, and what it cuts off. Bytes
 * that the file does not have are not saved. */
static enum tx_status add_range(struct tx_buf *table, uint64_t from, uint64_t to, uint64_t size,
                                uint64_t *position, struct tx_error *err)
{
    to = to < size ? to : size;
    if (from >= to) {
        return TX_OK;
    }
    struct txfs_extent extent = {from, to - from, *position};
    *position += extent.length;
    return txfs_extent_put(table, &extent, err);
}

static enum tx_status list_ranges(const struct txfs_entry *entry, uint64_t size,
                                  struct tx_buf *table, struct tx_error *err)
{
    if (entry->payload != TXFS_PAYLOAD_EXTENTS) {
        return TX_OK;
    }
    uint64_t position = 0; /* relative to the bytes; made absolute when the table is complete */
    uint64_t cut = entry->keep_size < entry->size ? entry->keep_size : entry->size;
    for (uint32_t i = 0; i < entry->extent_count; i++) {
        struct txfs_extent at = txfs_extent_at(entry, i);
        uint64_t end = at.offset + at.length;
        TX_TRY(add_range(table, at.offset, end < cut ? end : cut, size, &position, err));
    }
    return add_range(table, cut, size, size, &position, err);
}

static void make_absolute(struct tx_buf *table, uint64_t first)
{
    for (size_t at = 0; at < table->size; at += TXFS_EXTENT_SIZE) {
        uint8_t *position = table->data + at + 16;
        tx_put64(position, tx_get64(position) + first);
    }
}

struct saved_draft {
    struct txfs *fs;
    int from; /* -1: no bytes to save */
    int to;
    struct txfs_saved_disk disk;
    struct tx_buf table; /* extents */
    struct tx_buf xattrs;
    struct tx_hasher hasher;
    uint64_t end;
};

static void saved_draft_auto(struct saved_draft *draft)
{
    txfs_close_read(draft->fs->io, draft->from);
    txfs_close_read(draft->fs->io, draft->to); /* still open: it failed, the seal is not there */
    tx_buf_release(&draft->table);
    tx_buf_release(&draft->xattrs);
}

static enum tx_status save_range(struct saved_draft *draft, const struct txfs_extent *range,
                                 uint8_t *buffer, struct tx_error *err)
{
    for (uint64_t done = 0; done < range->length;) {
        uint64_t left = range->length - done;
        size_t size = left < TXFS_COPY_SIZE ? (size_t)left : TXFS_COPY_SIZE;
        struct iovec part = {buffer, size};
        TX_TRY(txio_read_full(draft->fs->io, draft->from, buffer, size, range->offset + done, err));
        tx_hasher_add(&draft->hasher, buffer, size);
        if (!tx_is_zero(buffer, size)) { /* holes stay holes: the size is set at the end */
            TX_TRY(
                txio_write_full(draft->fs->io, draft->to, &part, 1, range->position + done, err));
        }
        done += size;
    }
    draft->end = range->position + range->length;
    return TX_OK;
}

static enum tx_status save_bytes(struct saved_draft *draft, struct tx_error *err)
{
    TX_AUTO(tx_buf) buffer = TX_BUF_INIT;
    uint8_t *bytes;
    TX_TRY(tx_buf_extend(&buffer, TXFS_COPY_SIZE, &bytes, err));
    for (size_t at = 0; at < draft->table.size; at += TXFS_EXTENT_SIZE) {
        struct txfs_extent range = {tx_get64(draft->table.data + at),
                                    tx_get64(draft->table.data + at + 8),
                                    tx_get64(draft->table.data + at + 16)};
        TX_TRY(save_range(draft, &range, bytes, err));
    }
    int result = draft->fs->io->ops->truncate(draft->fs->io, draft->to, draft->end);
    /* Crash here: a record without its seal, which counts as none. */
    return result < 0 ? tx_error_os(err, -result, "set the size of a saved record") : TX_OK;
}

/* The header comes last, so that a record is whole or has no seal. */
static enum tx_status write_head(struct saved_draft *draft, struct tx_error *err)
{
    uint8_t head[TXFS_SAVED_HEAD_SIZE];
    draft->disk.seal = tx_hasher_sum64(&draft->hasher);
    tx_fields_encode(txfs_saved_fields, &draft->disk, head);
    struct iovec parts[] = {{head, sizeof(head)},
                            {draft->table.data, draft->table.size},
                            {draft->xattrs.data, draft->xattrs.size}};
    return txio_write_full(draft->fs->io, draft->to, parts, 3, 0, err);
}

static enum tx_status fill(struct saved_draft *draft, const struct txfs_entry *entry, int dir,
                           const char *name, const struct txio_stat *stat, struct tx_error *err)
{
    TX_TRY(list_ranges(entry, stat->size, &draft->table, err));
    if (entry->mask & TXFS_SETS_XATTRS) {
        TX_TRY(txfs_xattrs_read(draft->fs->io, dir, name, &draft->xattrs, err));
    }
    draft->disk.xattrs_size = (uint32_t)draft->xattrs.size;
    draft->disk.extent_count = (uint32_t)(draft->table.size / TXFS_EXTENT_SIZE);
    draft->end = TXFS_SAVED_HEAD_SIZE + draft->table.size + draft->xattrs.size;
    make_absolute(&draft->table, draft->end);
    uint64_t bytes = 0;
    for (size_t at = 0; at < draft->table.size; at += TXFS_EXTENT_SIZE) {
        bytes += tx_get64(draft->table.data + at + 8);
    }
    draft->disk.file_size = draft->end + bytes;
    if (bytes > 0) {
        TX_TRY(txio_open(draft->fs->io, dir, name, TXIO_READ, 0, &draft->from, err));
    }
    return TX_OK;
}

static enum tx_status write_record(struct txfs_work *work, struct saved_draft *draft,
                                   const char *slot, struct tx_error *err)
{
    uint8_t head[TXFS_SAVED_HEAD_SIZE];
    tx_fields_encode(txfs_saved_fields, &draft->disk, head); /* the seal is 0 yet */
    tx_hasher_init(&draft->hasher, 0);
    tx_hasher_add(&draft->hasher, head, sizeof(head));
    tx_hasher_add(&draft->hasher, draft->table.data, draft->table.size);
    tx_hasher_add(&draft->hasher, draft->xattrs.data, draft->xattrs.size);
    TX_TRY(txio_open(work->fs->io, work->slots_dir, slot, TXIO_WRITE | TXIO_CREATE | TXIO_TRUNCATE,
                     0600, &draft->to, err));
    TX_TRY(save_bytes(draft, err));
    TX_TRY(write_head(draft, err));
    int fd = draft->to;
    draft->to = -1;
    return txio_close(work->fs->io, fd, err);
}

enum tx_status txfs_saved_write(struct txfs_work *work, const struct txfs_step *step,
                                const char *path, bool *missing, struct tx_error *err)
{
    struct txio_stat stat;
    char slot[TXFS_SLOT_PATH_SIZE];
    int dir;
    const char *name;
    int result;
    TX_TRY(txfs_root_find(work, path, &dir, &name, &stat, &result, err));
    *missing = result < 0;
    if (*missing) {
        return TX_OK;
    }
    TX_AUTO(saved_draft)
    draft = {
        .fs = work->fs,
        .from = -1,
        .to = -1,
        .disk = {.magic = TXFS_SAVED_MAGIC,
                 .version = TXFS_SAVED_VERSION,
                 .mask = step->entry.mask,
                 .mode = stat.mode,
                 .uid = stat.uid,
                 .gid = stat.gid,
                 .ino = stat.ino,
                 .size = stat.size,
                 .atime_ns = stat.atime_ns,
                 .mtime_ns = stat.mtime_ns},
    };
    txfs_work_slot(work, 's', step->index, slot);
    TX_TRY(fill(&draft, &step->entry, dir, name, &stat, err));
    return write_record(work, &draft, slot, err);
}
