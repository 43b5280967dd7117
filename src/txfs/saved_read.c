/* SPDX-License-Identifier: MIT */
/* Reading a saved record; hostile like every file of a store. */
#include <string.h>

#include "base/invariant.h"
#include "txfs/undo_formats.h"

void txfs_saved_release(struct txfs_saved *saved)
{
    tx_buf_release(&saved->head);
}

struct txfs_extent txfs_saved_extent(const struct txfs_saved *saved, uint32_t index)
{
    const uint8_t *at = saved->head.data + (size_t)index * TXFS_EXTENT_SIZE;
    return (struct txfs_extent){tx_get64(at), tx_get64(at + 8), tx_get64(at + 16)};
}

const uint8_t *txfs_saved_xattrs(const struct txfs_saved *saved)
{
    size_t table = (size_t)saved->extent_count * TXFS_EXTENT_SIZE;
    return table > 0 ? saved->head.data + table : saved->head.data;
}

static enum tx_status bad(const char *slot, const char *what, struct tx_error *err)
{
    return tx_error_set(err, TX_ECORRUPT, "undo/%s: %s", slot, what);
}

/* Hash the whole record, the seal taken as zero, and keep table and attribute block. */
static enum tx_status read_sealed(struct txfs *fs, int fd, const uint8_t *head, size_t kept,
                                  struct txfs_saved *saved, uint64_t *sum, struct tx_error *err)
{
    TX_AUTO(tx_buf) buffer = TX_BUF_INIT;
    struct tx_hasher hasher;
    uint8_t sealed[TXFS_SAVED_HEAD_SIZE];
    uint8_t *bytes;
    memcpy(sealed, head, sizeof(sealed));
    memset(sealed + sizeof(sealed) - 8, 0, 8);
    tx_hasher_init(&hasher, 0);
    tx_hasher_add(&hasher, sealed, sizeof(sealed));
    TX_TRY(tx_buf_extend(&buffer, TXFS_COPY_SIZE, &bytes, err));
    for (uint64_t done = sizeof(sealed); done < saved->file_size;) {
        uint64_t left = saved->file_size - done;
        size_t size = left < TXFS_COPY_SIZE ? (size_t)left : TXFS_COPY_SIZE;
        TX_TRY(txio_read_full(fs->io, fd, bytes, size, done, err));
        tx_hasher_add(&hasher, bytes, size);
        if (saved->head.size < kept) {
            size_t more = kept - saved->head.size;
            TX_TRY(tx_buf_append(&saved->head, bytes, more < size ? more : size, err));
        }
        done += size;
    }
    *sum = tx_hasher_sum64(&hasher);
    return TX_OK;
}

/* Ranges follow one another in the file and in the record, and lie inside both. */
static bool ranges_are_good(const struct txfs_saved *saved, uint64_t first)
{
    uint64_t end = 0;
    for (uint32_t i = 0; i < saved->extent_count; i++) {
        struct txfs_extent at = txfs_saved_extent(saved, i);
        if (at.length == 0 || at.offset < end || at.offset > saved->size ||
            at.length > saved->size - at.offset || at.position != first ||
            at.length > saved->file_size - at.position) {
            return false;
        }
        end = at.offset + at.length;
        first = at.position + at.length;
    }
    return first == saved->file_size;
}

static void take_fields(const struct txfs_saved_disk *disk, struct txfs_saved *saved)
{
    saved->mask = disk->mask;
    saved->mode = disk->mode;
    saved->uid = disk->uid;
    saved->gid = disk->gid;
    saved->ino = disk->ino;
    saved->size = disk->size;
    saved->atime_ns = disk->atime_ns;
    saved->mtime_ns = disk->mtime_ns;
    saved->xattrs_size = disk->xattrs_size;
    saved->extent_count = disk->extent_count;
    saved->file_size = disk->file_size;
}

static enum tx_status read_record(struct txfs *fs, int fd, const char *slot,
                                  struct txfs_saved *saved, struct tx_error *err)
{
    uint8_t head[TXFS_SAVED_HEAD_SIZE];
    struct txfs_saved_disk disk;
    struct txio_stat stat;
    TX_INVARIANT(tx_fields_size(txfs_saved_fields) == sizeof(head));
    TX_TRY(txio_stat_fd(fs->io, fd, &stat, err));
    if (stat.size < sizeof(head)) {
        return bad(slot, "too short for a header", err);
    }
    TX_TRY(txio_read_full(fs->io, fd, head, sizeof(head), 0, err));
    if (!tx_fields_decode(txfs_saved_fields, &disk, head) || disk.magic != TXFS_SAVED_MAGIC ||
        disk.version != TXFS_SAVED_VERSION || disk.file_size != stat.size) {
        return bad(slot, "header damaged", err);
    }
    uint64_t kept = (uint64_t)disk.extent_count * TXFS_EXTENT_SIZE + disk.xattrs_size;
    if (kept > stat.size - sizeof(head)) {
        return bad(slot, "tables reach beyond the end", err);
    }
    uint64_t sum;
    take_fields(&disk, saved);
    TX_TRY(read_sealed(fs, fd, head, (size_t)kept, saved, &sum, err));
    if (sum != disk.seal || !ranges_are_good(saved, sizeof(head) + kept)) {
        return bad(slot, "seal does not match", err);
    }
    struct tx_reader xattrs = tx_reader_on(txfs_saved_xattrs(saved), saved->xattrs_size);
    struct txfs_xattr xattr;
    while (txfs_xattr_next(&xattrs, &xattr)) {
    }
    return tx_reader_done(&xattrs) ? TX_OK : bad(slot, "attribute block damaged", err);
}

enum tx_status txfs_saved_read(struct txfs *fs, const char *slot, struct txfs_saved *saved,
                               struct tx_error *err)
{
    TX_AUTO(txfs_saved) found = {.head = TX_BUF_INIT};
    int dir;
    int fd;
    TX_TRY(txfs_undo_dir(fs, &dir, err));
    TX_TRY(txio_open(fs->io, dir, slot, TXIO_READ, 0, &fd, err));
    enum tx_status status = read_record(fs, fd, slot, &found, err);
    txfs_close_read(fs->io, fd);
    TX_TRY(status);
    *saved = found;
    found.head = (struct tx_buf)TX_BUF_INIT;
    return TX_OK;
}
