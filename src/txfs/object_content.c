/* SPDX-License-Identifier: MIT */
/* Contents: where the bytes of a payload come from, writing extents, hashing what is there. */
#include <errno.h>
#include <string.h>

#include "base/mutant.h"
#include "txfs/publish_internal.h"

#define SOURCE_MEMORY_MAX (4u * 1024u * 1024u)

bool txfs_is_no_path(int result)
{
    return result == -ENOENT || result == -ENOTDIR || result == -ELOOP || result == -EXDEV;
}

enum tx_status txfs_opened_is(const struct txfs *fs, int fd, const struct txio_stat *seen,
                              bool *same, struct tx_error *err)
{
    struct txio_stat opened;
    TX_TRY(txio_stat_fd(fs->io, fd, &opened, err));
    *same = txfs_is_one_inode(fs, &opened, seen) || TX_MUTANT(123);
    return TX_OK;
}

enum tx_status txfs_source_open(struct txfs_source *source, struct txfs *fs,
                                const struct ktm_id *id, const struct txfs_entry *entry,
                                struct tx_error *err)
{
    *source = (struct txfs_source){fs, NULL, -1, TX_BUF_INIT};
    if (entry->staged == 0) {
        static const uint8_t nothing[1] = {0};
        source->content = entry->content_size > 0 ? entry->content : nothing;
        return TX_OK;
    }
    char path[TXFS_STAGED_PATH_SIZE];
    txfs_staged_path(id, entry->staged, path);
    return txio_open(fs->io, fs->store_dir, path, TXIO_READ, 0, &source->fd, err);
}

static enum tx_status source_hash(struct txfs_source *source, uint64_t size,
                                  struct tx_hash128 *hash, struct tx_error *err)
{
    uint8_t *bytes;
    if (size > SOURCE_MEMORY_MAX) {
        return txfs_hash_fd(source->fs, source->fd, size, hash, err);
    }
    TX_TRY(tx_buf_extend(&source->checked, (size_t)size, &bytes, err));
    TX_TRY(txio_read_full(source->fs->io, source->fd, bytes, (size_t)size, 0, err));
    *hash = tx_hash128_of(bytes, (size_t)size);
    source->content = bytes;
    return TX_OK;
}

enum tx_status txfs_source_check(struct txfs_source *source, const struct txfs_entry *entry,
                                 struct tx_error *err)
{
    struct tx_hash128 hash;
    if (source->content != NULL || TX_MUTANT(109)) {
        return TX_OK; /* the log's record has a seal */
    }
    TX_TRY(source_hash(source, entry->payload_size, &hash, err));
    return memcmp(&hash, &entry->hash, sizeof(hash)) == 0
               ? TX_OK
               : tx_error_set(err, TX_ECORRUPT, "the staged payload of \"%.200s\" is damaged",
                              entry->path);
}

enum tx_status txfs_source_read(const struct txfs_source *source, void *data, size_t size,
                                uint64_t position, struct tx_error *err)
{
    if (source->content == NULL) {
        return txio_read_full(source->fs->io, source->fd, data, size, position, err);
    }
    memcpy(data, source->content + position, size);
    return TX_OK;
}

void txfs_source_auto(struct txfs_source *source)
{
    txfs_close_read(source->fs->io, source->fd);
    tx_buf_release(&source->checked);
}

static enum tx_status write_extent(const struct txfs_source *source, int fd,
                                   const struct txfs_extent *at, uint8_t *buffer,
                                   struct tx_error *err)
{
    for (uint64_t done = 0; done < at->length;) {
        uint64_t left = at->length - done;
        size_t size = left < TXFS_COPY_SIZE ? (size_t)left : TXFS_COPY_SIZE;
        struct iovec part = {buffer, size};
        if (source->content != NULL) {
            part.iov_base = (void *)(uintptr_t)(source->content + at->position + done);
        } else {
            TX_TRY(txfs_source_read(source, buffer, size, at->position + done, err));
        }
        /* Crash here: any of the sectors may be written; recovery writes all of them again. */
        TX_TRY(txio_write_full(source->fs->io, fd, &part, 1, at->offset + done, err));
        done += size;
    }
    return TX_OK;
}

static enum tx_status cut(struct txfs *fs, int fd, uint64_t size, bool only_down,
                          struct tx_error *err)
{
    struct txio_stat stat;
    TX_TRY(txio_stat_fd(fs->io, fd, &stat, err));
    if (stat.size == size || (only_down && stat.size < size)) {
        return TX_OK;
    }
    /* Crash here: the file has a wrong size, or lacks bytes; recovery writes all extents again. */
    int result = fs->io->ops->truncate(fs->io, fd, size);
    return result < 0 ? tx_error_os(err, -result, "set the size of a file") : TX_OK;
}

enum tx_status txfs_extents_write(const struct txfs_source *source, int fd,
                                  const struct txfs_entry *entry, struct tx_error *err)
{
    TX_AUTO(tx_buf) buffer = TX_BUF_INIT;
    uint8_t *bytes;
    TX_TRY(tx_buf_extend(&buffer, TXFS_COPY_SIZE, &bytes, err));
    TX_TRY(cut(source->fs, fd, entry->keep_size, true, err));
    for (uint32_t i = 0; i < entry->extent_count; i++) {
        struct txfs_extent at = txfs_extent_at(entry, i);
        TX_TRY(write_extent(source, fd, &at, bytes, err));
    }
    return cut(source->fs, fd, entry->size, false, err);
}

enum tx_status txfs_hash_fd(struct txfs *fs, int fd, uint64_t size, struct tx_hash128 *hash,
                            struct tx_error *err)
{
    TX_AUTO(tx_buf) buffer = TX_BUF_INIT;
    struct tx_hasher hasher;
    uint8_t *bytes;
    TX_TRY(tx_buf_extend(&buffer, TXFS_COPY_SIZE, &bytes, err));
    tx_hasher_init(&hasher, 0);
    for (uint64_t done = 0; done < size;) {
        size_t want = size - done < TXFS_COPY_SIZE ? (size_t)(size - done) : TXFS_COPY_SIZE;
        TX_TRY(txio_read_full(fs->io, fd, bytes, want, done, err));
        tx_hasher_add(&hasher, bytes, want);
        done += want;
    }
    *hash = tx_hasher_sum128(&hasher);
    return TX_OK;
}

enum tx_status txfs_hash_path(struct txfs *fs, int dir, const char *path, uint64_t size,
                              struct tx_hash128 *hash, struct tx_error *err)
{
    int fd;
    TX_TRY(txio_open(fs->io, dir, path, TXIO_READ, 0, &fd, err));
    enum tx_status status = txfs_hash_fd(fs, fd, size, hash, err);
    txfs_close_read(fs->io, fd);
    return status;
}

enum tx_status txfs_link_read(struct txfs *fs, int dir, const char *path,
                              char target[TXFS_PATH_MAX + 1], struct tx_error *err)
{
    int size = fs->io->ops->readlink(fs->io, dir, path, target, TXFS_PATH_MAX + 1);
    return size < 0 ? tx_error_os(err, -size, "read symbolic link \"%s\"", path) : TX_OK;
}
