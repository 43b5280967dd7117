/* SPDX-License-Identifier: MIT */
/*
 * Is this object the node? A new file is compared with its payload, sector by sector where a power
 * cut may have mixed what was written with zeros or cut it short; an old object is known by its
 * inode.
 */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "base/mutant.h"
#include "txfs/converge.h"

#define SECTOR_SIZE 512u

/* The very object that an entry displaces, and not an inode that got its number after a power cut
 * took the former. (A directory has nothing to tell that by.) */
static bool is_base(const struct txfs *fs, const struct txio_stat *is,
                    const struct txfs_entry *entry)
{
    const struct txfs_identity *base = &entry->base;
    return txfs_is_object(fs, is, base) &&
           (S_ISDIR(is->mode) || (is->size == base->size && is->mtime_ns == base->mtime_ns));
}

bool txfs_goal_displaces(const struct txfs_model *model, const struct txfs_goal *goal,
                         const struct txio_stat *is)
{
    const struct txfs_version *all = (const struct txfs_version *)(const void *)goal->versions.data;
    for (size_t i = 0; i < goal->versions.size / sizeof(*all); i++) {
        bool moved_here = goal->node != NULL && goal->node->creator.step == NULL &&
                          txfs_is_object(model->fs, is, &goal->node->identity);
        if (!moved_here && is_base(model->fs, is, &all[i].ref.step->entry)) {
            return true;
        }
    }
    return false;
}

/* Lay the part of an extent that falls into [offset, offset + size) over the bytes. */
static enum tx_status lay_extent(const struct txfs_source *source, const struct txfs_extent *at,
                                 uint8_t *bytes, uint64_t offset, size_t size, struct tx_error *err)
{
    uint64_t from = at->offset > offset ? at->offset : offset;
    uint64_t end = offset + size;
    uint64_t to = at->offset + at->length < end ? at->offset + at->length : end;
    if (from >= to) {
        return TX_OK;
    }
    return txfs_source_read(source, bytes + (from - offset), (size_t)(to - from),
                            at->position + (from - at->offset), err);
}

static enum tx_status lay_amendment(struct txfs_model *model, const struct txfs_ref *ref,
                                    uint8_t *bytes, uint64_t offset, size_t size,
                                    struct tx_error *err)
{
    const struct txfs_entry *entry = &ref->step->entry;
    if (entry->payload != TXFS_PAYLOAD_EXTENTS) {
        return TX_OK;
    }
    uint64_t cut = entry->keep_size < entry->size ? entry->keep_size : entry->size;
    if (cut < offset + size) {
        size_t kept = cut > offset ? (size_t)(cut - offset) : 0;
        memset(bytes + kept, 0, size - kept);
    }
    TX_AUTO(txfs_source) source = {.fs = model->fs, .fd = -1};
    TX_TRY(txfs_source_open(&source, model->fs, &ref->commit->info.id, entry, err));
    for (uint32_t i = 0; i < entry->extent_count; i++) {
        struct txfs_extent at = txfs_extent_at(entry, i);
        TX_TRY(lay_extent(&source, &at, bytes, offset, size, err));
    }
    return TX_OK;
}

/* What the file has to hold at [offset, offset + size). */
static enum tx_status expected(struct txfs_model *model, const struct txfs_cnode *node,
                               uint8_t *bytes, uint64_t offset, size_t size, struct tx_error *err)
{
    const struct txfs_entry *entry = &node->creator.step->entry;
    memset(bytes, 0, size);
    if (offset < entry->content_size) {
        uint64_t left = entry->content_size - offset;
        memcpy(bytes, entry->content + offset, left < size ? (size_t)left : size);
    }
    for (size_t i = 0; i < txfs_ref_count(&node->amendments); i++) {
        TX_TRY(lay_amendment(model, txfs_ref_at(&node->amendments, i), bytes, offset, size, err));
    }
    return TX_OK;
}

enum tx_status txfs_content_write(struct txfs_model *model, const struct txfs_cnode *node, int fd,
                                  struct tx_error *err)
{
    TX_AUTO(tx_buf) buffer = TX_BUF_INIT;
    uint8_t *bytes;
    uint64_t size = txfs_cnode_size(node);
    TX_TRY(tx_buf_extend(&buffer, (size_t)TXFS_COPY_SIZE, &bytes, err));
    for (uint64_t at = 0; at < size;) {
        size_t part = size - at < TXFS_COPY_SIZE ? (size_t)(size - at) : TXFS_COPY_SIZE;
        struct iovec iov = {bytes, part};
        TX_TRY(expected(model, node, bytes, at, part, err));
        TX_TRY(txio_write_full(model->fs->io, fd, &iov, 1, at, err));
        at += part;
    }
    return TX_OK;
}

/* Every sector begins as it should and is zero from some byte on: a write that the system cut short
 * may have reached the disk before the one that brought the rest. */
static bool is_torn(const uint8_t *is, const uint8_t *wanted, size_t size)
{
    for (size_t at = 0; at < size; at += SECTOR_SIZE) {
        size_t part = size - at < SECTOR_SIZE ? size - at : SECTOR_SIZE;
        size_t same = 0;
        while (same < part && is[at + same] == wanted[at + same]) {
            same++;
        }
        bool half = same > 0 && same < part;
        if (!tx_is_zero(is + at + same, part - same) || (TX_MUTANT(56) && half)) {
            return false; /* MUTANT_56: a sector is whole or zero */
        }
    }
    return true;
}

static enum tx_status compare_content(struct txfs_model *model, int fd, uint64_t size,
                                      const struct txfs_cnode *node, enum txfs_verdict *verdict,
                                      struct tx_error *err)
{
    TX_AUTO(tx_buf) buffer = TX_BUF_INIT;
    uint8_t *is;
    *verdict = size == txfs_cnode_size(node) ? TXFS_IS : TXFS_TORN;
    TX_TRY(tx_buf_extend(&buffer, 2 * (size_t)TXFS_COPY_SIZE, &is, err));
    uint8_t *wanted = is + TXFS_COPY_SIZE;
    for (uint64_t at = 0; at < size && *verdict != TXFS_OTHER;) {
        size_t part = size - at < TXFS_COPY_SIZE ? (size_t)(size - at) : TXFS_COPY_SIZE;
        TX_TRY(txio_read_full(model->fs->io, fd, is, part, at, err));
        TX_TRY(expected(model, node, wanted, at, part, err));
        if (memcmp(is, wanted, part) != 0) {
            *verdict = is_torn(is, wanted, part) ? TXFS_TORN : TXFS_OTHER;
        }
        at += part;
    }
    return TX_OK;
}

static enum tx_status judge_inline(struct txfs_model *model, int dir, const char *path,
                                   const struct txio_stat *is, const struct txfs_cnode *node,
                                   enum txfs_verdict *verdict, struct tx_error *err)
{
    struct txio *io = model->fs->io;
    bool same_inode = txfs_is_object(model->fs, is, &node->identity);
    *verdict = same_inode ? TXFS_TORN : TXFS_OTHER;
    if (is->size > txfs_cnode_size(node)) {
        return TX_OK;
    }
    int fd = io->ops->open(io, dir, path, TXIO_READ, 0);
    if (fd == -EACCES) { /* one under construction, or one that nobody may read */
        *verdict = (is->mode & 07777) == TXFS_BUILD_MODE ? TXFS_TORN : *verdict;
        return TX_OK;
    }
    if (fd < 0) {
        return txfs_is_no_path(fd) ? TX_OK : tx_error_os(err, -fd, "open \"%.200s\"", path);
    }
    enum tx_status status = compare_content(model, fd, is->size, node, verdict, err);
    txfs_close_read(io, fd);
    if (status == TX_OK && *verdict == TXFS_OTHER && same_inode) {
        *verdict = TXFS_TORN;
    }
    return status;
}

/* A staged payload was durable before the commit was, so it is whole or it is not the one. */
static enum tx_status judge_staged(struct txfs_model *model, int dir, const char *path,
                                   const struct txio_stat *is, const struct txfs_cnode *node,
                                   enum txfs_verdict *verdict, struct tx_error *err)
{
    const struct txfs_entry *entry = &node->creator.step->entry;
    struct tx_hash128 hash;
    *verdict = TXFS_OTHER;
    if (txfs_cnode_has_extents(node)) {
        *verdict = txfs_is_object(model->fs, is, &node->identity) ? TXFS_IS : TXFS_OTHER;
        return TX_OK;
    }
    if (is->size != entry->size) {
        return TX_OK;
    }
    enum tx_status status = txfs_hash_path(model->fs, dir, path, is->size, &hash, err);
    if (status == TX_EPERM || status == TX_ECORRUPT || status == TX_ENOTFOUND) {
        return TX_OK; /* not readable, or changed under our eyes: not the payload as it was */
    }
    TX_TRY(status);
    *verdict = memcmp(&hash, &entry->hash, sizeof(hash)) == 0 ? TXFS_IS : TXFS_OTHER;
    return TX_OK;
}

static enum tx_status judge_symlink(struct txfs_model *model, int dir, const char *path,
                                    const struct txfs_entry *entry, enum txfs_verdict *verdict,
                                    struct tx_error *err)
{
    char target[TXFS_PATH_MAX + 1];
    TX_TRY(txfs_link_read(model->fs, dir, path, target, err));
    *verdict = strcmp(target, entry->target) == 0 ? TXFS_IS : TXFS_OTHER;
    return TX_OK;
}

enum tx_status txfs_judge(struct txfs_model *model, int dir, const char *path,
                          const struct txio_stat *is, const struct txfs_cnode *node,
                          enum txfs_verdict *verdict, struct tx_error *err)
{
    *verdict = TXFS_OTHER;
    if (node->creator.step == NULL) {
        *verdict = txfs_is_object(model->fs, is, &node->identity) ? TXFS_IS : TXFS_OTHER;
        return TX_OK;
    }
    const struct txfs_entry *entry = &node->creator.step->entry;
    switch (entry->kind) {
    case TXFS_CHANGE_DIRECTORY: /* but not the one that it replaces */
        *verdict = S_ISDIR(is->mode) && !is_base(model->fs, is, entry) ? TXFS_IS : TXFS_OTHER;
        return TX_OK;
    case TXFS_CHANGE_SYMLINK:
        return S_ISLNK(is->mode) && !is_base(model->fs, is, entry)
                   ? judge_symlink(model, dir, path, entry, verdict, err)
                   : TX_OK;
    case TXFS_CHANGE_NODE:
        *verdict = (is->mode & S_IFMT) == (entry->mode & S_IFMT) && is->rdev == entry->rdev
                       ? TXFS_IS
                       : TXFS_OTHER;
        return TX_OK;
    default:
        break;
    }
    if (!S_ISREG(is->mode) || is_base(model->fs, is, entry)) {
        return TX_OK;
    }
    return entry->payload == TXFS_PAYLOAD_STAGED
               ? judge_staged(model, dir, path, is, node, verdict, err)
               : judge_inline(model, dir, path, is, node, verdict, err);
}

/* Torn or whole, an earlier version of ours is recognised like the goal's own node. */
static enum tx_status judge_version(struct txfs_model *model, const struct txfs_goal *goal,
                                    const struct txio_stat *is, const struct txfs_version *version,
                                    enum txfs_owner *owner, struct tx_error *err)
{
    enum txfs_verdict verdict;
    if (version->before == NULL || version->before->creator.step == NULL) {
        return TX_OK;
    }
    TX_TRY(txfs_judge(model, model->fs->root_dir, goal->path, is, version->before, &verdict, err));
    if (verdict == TXFS_IS) {
        *owner = TXFS_OURS_OLD;
    } else if (verdict == TXFS_TORN) {
        *owner = TXFS_OURS_TORN;
    }
    return TX_OK;
}

/* Each byte is that of one version of the node, or of none yet: of changes in place the power cut
 * may have kept any. */
static enum tx_status is_mixture(struct txfs_model *model, int fd, uint64_t size,
                                 const struct txfs_cnode *node, bool *mixture,
                                 struct tx_error *err)
{
    TX_AUTO(tx_buf) buffer = TX_BUF_INIT;
    struct txfs_cnode version = *node;
    uint8_t *is;
    TX_TRY(tx_buf_extend(&buffer, 3 * (size_t)TXFS_COPY_SIZE, &is, err));
    uint8_t *wanted = is + TXFS_COPY_SIZE;
    uint8_t *unknown = wanted + TXFS_COPY_SIZE;
    *mixture = true;
    for (uint64_t at = 0; at < size && *mixture; at += TXFS_COPY_SIZE) {
        size_t part = size - at < TXFS_COPY_SIZE ? (size_t)(size - at) : TXFS_COPY_SIZE;
        TX_TRY(txio_read_full(model->fs->io, fd, is, part, at, err));
        memcpy(unknown, is, part); /* what no version explains; zero needs no explanation */
        for (size_t i = 0; i <= txfs_ref_count(&node->amendments); i++) {
            if (TX_MUTANT(100) && !tx_is_zero(unknown, part)) {
                memcpy(unknown, is, part); /* all of it is one version's, or none */
            }
            version.amendments.size = i * sizeof(struct txfs_ref);
            TX_TRY(expected(model, &version, wanted, at, part, err));
            for (size_t byte = 0; byte < part; byte++) {
                unknown[byte] = is[byte] == wanted[byte] ? 0 : unknown[byte];
            }
        }
        *mixture = tx_is_zero(unknown, part);
    }
    return TX_OK;
}

static uint64_t largest_size(const struct txfs_cnode *node)
{
    struct txfs_cnode version = *node;
    uint64_t largest = 0;
    for (size_t i = 0; i <= txfs_ref_count(&node->amendments); i++) {
        version.amendments.size = i * sizeof(struct txfs_ref);
        uint64_t size = txfs_cnode_size(&version);
        largest = size > largest ? size : largest;
    }
    return largest;
}

/* A recovery that was broken off may have built the goal's node anew, and not come to all the
 * changes that later commits made to it. (A staged payload is never built, and of what is no file
 * there are no parts.) */
static enum tx_status judge_unfinished(struct txfs_model *model, const struct txfs_goal *goal,
                                       const struct txio_stat *is, enum txfs_owner *owner,
                                       struct tx_error *err)
{
    const struct txfs_cnode *node = goal->node;
    const struct txfs_entry *entry = &node->creator.step->entry;
    struct txio *io = model->fs->io;
    bool is_file = entry->kind == TXFS_CHANGE_FILE || TX_MUTANT(103);
    bool built = is_file && entry->payload != TXFS_PAYLOAD_STAGED &&
                 txfs_ref_count(&node->amendments) > 0;
    bool mixture = false;
    if (!built || !S_ISREG(is->mode) || is->size > largest_size(node) || TX_MUTANT(79)) {
        return TX_OK;
    }
    int fd = io->ops->open(io, model->fs->root_dir, goal->path, TXIO_READ, 0);
    if (fd == -EACCES || txfs_is_no_path(fd) || (TX_MUTANT(122) && fd < 0)) {
        return TX_OK; /* what we may not read has been judged by then */
    }
    if (fd < 0) {
        return tx_error_os(err, -fd, "open \"%.200s\"", goal->path);
    }
    enum tx_status status = is_mixture(model, fd, is->size, node, &mixture, err);
    txfs_close_read(io, fd);
    *owner = status == TX_OK && mixture ? TXFS_OURS_TORN : *owner;
    return status;
}

enum tx_status txfs_owner_of(struct txfs_model *model, const struct txfs_goal *goal,
                             const struct txio_stat *is, enum txfs_owner *owner,
                             const struct txfs_version **version, struct tx_error *err)
{
    const struct txfs_version *all = (const struct txfs_version *)(const void *)goal->versions.data;
    size_t count = goal->versions.size / sizeof(*all);
    *owner = TXFS_STRANGERS;
    for (size_t i = count; i-- > 0 && *owner == TXFS_STRANGERS;) {
        *version = &all[i];
        if (txfs_is_object(model->fs, is, &all[i].ref.step->entry.base)) {
            *owner = TXFS_OURS_OLD;
            return TX_OK;
        }
        TX_TRY(judge_version(model, goal, is, &all[i], owner, err));
    }
    if (*owner == TXFS_STRANGERS && goal->node != NULL && goal->node->creator.step != NULL) {
        enum txfs_verdict verdict;
        TX_TRY(txfs_judge(model, model->fs->root_dir, goal->path, is, goal->node, &verdict, err));
        *owner = verdict == TXFS_OTHER ? TXFS_STRANGERS : TXFS_OURS_TORN; /* or a mere copy */
        if (*owner == TXFS_STRANGERS) {
            TX_TRY(judge_unfinished(model, goal, is, owner, err));
        }
    }
    return TX_OK;
}
