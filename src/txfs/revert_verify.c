/* SPDX-License-Identifier: MIT */
/* Is what a commit left still there, unchanged? By attributes and, for contents, by hash. */
#include <string.h>
#include <sys/stat.h>

#include "txfs/overlay.h"
#include "txfs/revert.h"

static enum tx_status changed(const struct txfs_entry *entry, const char *what,
                              struct tx_error *err)
{
    return tx_error_set(err, TX_ECONFLICT, "\"%.200s\" was changed since: %s", entry->path, what);
}

static enum tx_status hash_range(struct txfs_file *file, uint64_t offset, uint64_t length,
                                 uint8_t *bytes, struct tx_hasher *hasher, bool *complete,
                                 struct tx_error *err)
{
    *complete = true;
    for (uint64_t at = 0; at < length && *complete;) {
        size_t size = length - at < TXFS_COPY_SIZE ? (size_t)(length - at) : TXFS_COPY_SIZE;
        size_t done;
        TX_TRY(txfs_pread(file, bytes, size, offset + at, &done, err));
        tx_hasher_add(hasher, bytes, done);
        *complete = done == size;
        at += done;
    }
    return TX_OK;
}

/* The extents of a payload that follow one another in it without a gap, as hashing needs them. */
static bool tiles(const struct txfs_entry *entry)
{
    uint64_t next = 0;
    for (uint32_t i = 0; i < entry->extent_count; i++) {
        struct txfs_extent at = txfs_extent_at(entry, i);
        if (at.position != next) {
            return false;
        }
        next += at.length;
    }
    return next == entry->payload_size;
}

static enum tx_status hash_payload(struct txfs_file *file, const struct txfs_entry *entry,
                                   struct tx_hasher *hasher, bool *complete, struct tx_error *err)
{
    TX_AUTO(tx_buf) buffer = TX_BUF_INIT;
    uint8_t *bytes;
    TX_TRY(tx_buf_extend(&buffer, TXFS_COPY_SIZE, &bytes, err));
    if (entry->kind == TXFS_CHANGE_FILE) {
        return hash_range(file, 0, entry->size, bytes, hasher, complete, err);
    }
    *complete = true;
    for (uint32_t i = 0; i < entry->extent_count && *complete; i++) {
        struct txfs_extent at = txfs_extent_at(entry, i);
        TX_TRY(hash_range(file, at.offset, at.length, bytes, hasher, complete, err));
    }
    return TX_OK;
}

static enum tx_status verify_content(struct txfs_revert_job *job, const struct txfs_entry *entry,
                                     const struct txio_stat *is, struct tx_error *err)
{
    bool file = entry->kind == TXFS_CHANGE_FILE;
    if (is->size != entry->size) {
        return changed(entry, "its size", err);
    }
    if (entry->payload == TXFS_PAYLOAD_NONE || (!file && !tiles(entry))) {
        return TX_OK;
    }
    struct tx_hasher hasher;
    struct txfs_file *open;
    bool complete;
    tx_hasher_init(&hasher, 0);
    TX_TRY(txfs_open(job->txn, entry->path, TXFS_READ | TXFS_NOFOLLOW, 0, &open, err));
    enum tx_status status = hash_payload(open, entry, &hasher, &complete, err);
    txfs_abandon(open);
    TX_TRY(status);
    struct tx_hash128 sum = tx_hasher_sum128(&hasher);
    return complete && memcmp(&sum, &entry->hash, sizeof(sum)) == 0
               ? TX_OK
               : changed(entry, "its content", err);
}

static enum tx_status verify_attributes(struct txfs_revert_job *job, const struct txfs_entry *entry,
                                        const struct txio_stat *is, struct tx_error *err)
{
    struct txfs_attrs attrs = txfs_attrs_of(entry);
    if (S_ISDIR(is->mode)) {
        attrs.mask &= ~(uint32_t)TXFS_SETS_TIMES; /* they move with the names in it */
    }
    if (!txfs_attrs_match(is, &attrs)) {
        return changed(entry, "its attributes", err);
    }
    if (!(entry->mask & TXFS_SETS_XATTRS)) {
        return TX_OK;
    }
    TX_AUTO(tx_buf) block = TX_BUF_INIT;
    struct txfs_object object;
    TX_TRY(txfs_lookup_there(job->view, entry->path, &object, err));
    TX_TRY(txfs_object_xattrs(job->view, &object, &block, err));
    bool same = block.size == entry->xattrs_size &&
                (block.size == 0 || memcmp(block.data, entry->xattrs, block.size) == 0);
    return same ? TX_OK : changed(entry, "its extended attributes", err);
}

static enum tx_status verify_symlink(struct txfs_revert_job *job, const struct txfs_entry *entry,
                                     struct tx_error *err)
{
    char target[TXFS_PATH_MAX + 1];
    TX_TRY(txfs_readlink(job->txn, entry->path, target, sizeof(target), err));
    return strcmp(target, entry->target) == 0 ? TX_OK : changed(entry, "its target", err);
}

static enum tx_status verify_link(struct txfs_revert_job *job, const struct txfs_entry *entry,
                                  const struct txio_stat *is, struct tx_error *err)
{
    struct txio_stat target;
    TX_TRY(txfs_stat(job->txn, entry->target, &target, err));
    return target.ino == is->ino && target.dev == is->dev
               ? TX_OK
               : changed(entry, "it is no link any more", err);
}

static enum tx_status verify_object(struct txfs_revert_job *job, const struct txfs_entry *entry,
                                    const struct txio_stat *is, struct tx_error *err)
{
    static const uint32_t types[] = {[TXFS_CHANGE_FILE] = S_IFREG,
                                     [TXFS_CHANGE_DIRECTORY] = S_IFDIR,
                                     [TXFS_CHANGE_SYMLINK] = S_IFLNK};
    bool amends = txfs_entry_amends(entry) || entry->kind == TXFS_CHANGE_MOVED;
    if (entry->kind == TXFS_CHANGE_LINK) {
        return verify_link(job, entry, is, err);
    }
    uint32_t type = entry->kind == TXFS_CHANGE_NODE ? entry->mode & S_IFMT
                    : amends                        ? is->mode & S_IFMT
                                                    : types[entry->kind];
    if ((is->mode & S_IFMT) != type || (amends && !txfs_is_object(job->fs, is, &entry->source))) {
        return changed(entry, "it is another object", err);
    }
    TX_TRY(verify_attributes(job, entry, is, err));
    if (entry->kind == TXFS_CHANGE_SYMLINK) {
        return verify_symlink(job, entry, err);
    }
    bool content =
        entry->kind == TXFS_CHANGE_FILE || (amends && entry->payload != TXFS_PAYLOAD_NONE);
    return content ? verify_content(job, entry, is, err) : TX_OK;
}

enum tx_status txfs_revert_verify(struct txfs_revert_job *job, const struct txfs_step *step,
                                  struct tx_error *err)
{
    const struct txfs_entry *entry = &step->entry;
    struct txio_stat is;
    struct tx_error why;
    enum tx_status status = txfs_stat(job->txn, entry->path, &is, &why);
    bool missing = status == TX_ENOTFOUND || status == TX_ENOTDIR;
    if (missing) {
        return entry->kind == TXFS_CHANGE_ABSENT ? TX_OK : changed(entry, "it is gone", err);
    }
    if (status != TX_OK) {
        return tx_error_set(err, status, "%s", why.text);
    }
    if (entry->kind == TXFS_CHANGE_ABSENT) {
        return changed(entry, "it is there again", err);
    }
    return verify_object(job, entry, &is, err);
}
