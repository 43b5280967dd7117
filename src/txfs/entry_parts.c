/* SPDX-License-Identifier: MIT */
/* Parts of entries: identities of objects, blocks of extended attributes, names of staged files. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/hash.h"
#include "base/mutant.h"
#include "txfs/txfs_internal.h"

/* Never 0 when it is known. */
static uint32_t birth_of(const struct txio_stat *stat)
{
    return stat->btime_ns == 0
               ? 0
               : (uint32_t)tx_hash64(&stat->btime_ns, sizeof stat->btime_ns, 0) | 1;
}

struct txfs_identity txfs_identity_of(const struct txio_stat *stat)
{
    return (struct txfs_identity){
        .existed = 1,
        .ino = stat->ino,
        .size = stat->size,
        .rdev = stat->rdev,
        .mode = stat->mode,
        .uid = stat->uid,
        .gid = stat->gid,
        .nlink = stat->nlink,
        .birth = birth_of(stat),
        .mtime_ns = stat->mtime_ns,
        .ctime_ns = stat->ctime_ns,
    };
}

/* File systems give the number of a file that is gone to the next one; its birth tells them
 * apart. */
static bool is_born_otherwise(const struct txfs *fs, const struct txio_stat *is,
                              const struct txfs_identity *identity)
{
    uint32_t birth = birth_of(is);
    /* MUTANT_128: an inode number is never given again. */
    return fs->keeps_births && birth != 0 && identity->birth != 0 && birth != identity->birth &&
           !TX_MUTANT(128);
}

bool txfs_is_object(const struct txfs *fs, const struct txio_stat *is,
                    const struct txfs_identity *identity)
{
    return identity->existed && is->ino == identity->ino && is->dev == fs->root_dev &&
           (is->mode & S_IFMT) == (identity->mode & S_IFMT) &&
           !is_born_otherwise(fs, is, identity);
}

bool txfs_is_one_inode(const struct txfs *fs, const struct txio_stat *a, const struct txio_stat *b)
{
    bool born_together = !fs->keeps_births || a->btime_ns == b->btime_ns || TX_MUTANT(128);
    return a->ino == b->ino && born_together;
}

bool txfs_identity_same_object(const struct txfs_identity *a, const struct txfs_identity *b)
{
    if (!a->existed || !b->existed) {
        return a->existed == b->existed;
    }
    return a->ino == b->ino && (a->mode & S_IFMT) == (b->mode & S_IFMT);
}

bool txfs_identity_same(const struct txfs_identity *a, const struct txfs_identity *b)
{
    if (!txfs_identity_same_object(a, b)) {
        return false;
    }
    if (!a->existed || S_ISDIR(a->mode)) {
        return true;
    }
    bool ctime_same = a->ctime_ns == b->ctime_ns || a->nlink != b->nlink;
    return a->size == b->size && a->rdev == b->rdev && a->mode == b->mode && a->uid == b->uid &&
           a->gid == b->gid && a->mtime_ns == b->mtime_ns && ctime_same;
}

uint32_t txfs_mode_after_chown(uint32_t mode)
{
    return mode & ~(uint32_t)(mode & S_IXGRP ? S_ISUID | S_ISGID : S_ISUID);
}

void txfs_staged_path(const struct ktm_id *id, uint32_t number, char path[TXFS_STAGED_PATH_SIZE])
{
    char directory[KTM_STAGING_PATH_SIZE];
    ktm_staging_path(id, directory);
    (void)snprintf(path, TXFS_STAGED_PATH_SIZE, "%s/p%u", directory, number); /* always fits */
}

bool txfs_xattr_next(struct tx_reader *reader, struct txfs_xattr *xattr)
{
    if (reader->left == 0 || reader->failed) {
        return false;
    }
    xattr->name = tx_read_text(reader);
    xattr->size = tx_read32(reader);
    xattr->value = tx_read_bytes(reader, xattr->size);
    if (reader->failed || xattr->name[0] == '\0' || strlen(xattr->name) > TXFS_NAME_MAX ||
        xattr->size > TXFS_XATTR_VALUE_MAX) {
        reader->failed = true;
        return false;
    }
    return true;
}

enum tx_status txfs_xattr_put(struct tx_buf *block, const struct txfs_xattr *xattr,
                              struct tx_error *err)
{
    TX_TRY(tx_buf_put_text(block, xattr->name, err));
    TX_TRY(tx_buf_put32(block, xattr->size, err));
    return tx_buf_append(block, xattr->value, xattr->size, err);
}

/* Names as listxattr gives them; the list may grow between asking for its size and reading it. */
static enum tx_status read_names(struct txio *io, int dir, const char *name, struct tx_buf *names,
                                 struct tx_error *err)
{
    uint8_t small[256];
    int64_t size = io->ops->list_xattr(io, dir, name, (char *)small, sizeof small);
    if (size >= 0) {
        return tx_buf_append(names, small, (size_t)size, err);
    }
    while (size == -ERANGE) {
        uint8_t *at;
        size = io->ops->list_xattr(io, dir, name, NULL, 0);
        if (size > 0) {
            tx_buf_clear(names);
            TX_TRY(tx_buf_extend(names, (size_t)size, &at, err));
            size = io->ops->list_xattr(io, dir, name, (char *)at, (size_t)size);
        }
    }
    if (size == -EOPNOTSUPP) {
        size = 0;
    }
    if (size < 0) {
        return tx_error_os(err, (int)-size, "list extended attributes of \"%s\"", name);
    }
    names->size = (size_t)size;
    return TX_OK;
}

static enum tx_status read_value(struct txio *io, int dir, const char *object, const char *name,
                                 struct tx_buf *value, struct tx_error *err)
{
    uint8_t *at;
    int64_t size;
    do {
        size = io->ops->get_xattr(io, dir, object, name, NULL, 0);
        if (size < 0) {
            break;
        }
        tx_buf_clear(value);
        TX_TRY(tx_buf_extend(value, (size_t)size + 1, &at, err)); /* 0 would ask for the length */
        size = io->ops->get_xattr(io, dir, object, name, at, (size_t)size + 1);
    } while (size == -ERANGE);
    if (size == -ENODATA) {
        return TX_ENOTFOUND; /* removed since; the caller goes on */
    }
    if (size < 0) {
        return tx_error_os(err, (int)-size, "read extended attribute \"%s\" of \"%s\"", name,
                           object);
    }
    value->size = (size_t)size;
    return TX_OK;
}

/* Smallest name that is greater than `after` (NULL: the smallest of all), NULL at the end. */
static const char *next_name(const struct tx_buf *names, const char *after)
{
    const char *best = NULL;
    for (size_t at = 0; at < names->size;) {
        const char *name = (const char *)names->data + at;
        if ((after == NULL || strcmp(name, after) > 0) && (!best || strcmp(name, best) < 0)) {
            best = name;
        }
        at += strlen(name) + 1;
    }
    return best;
}

/* Labels that the system gives by its own policy: neither kept nor taken away. */
static bool is_label(const char *name)
{
    static const char *const labels[] = {"security.selinux", "security.apparmor", "security.ima",
                                         "security.evm", "security.SMACK64"};
    for (size_t i = 0; i < sizeof labels / sizeof *labels; i++) {
        if (strcmp(name, labels[i]) == 0) {
            return true;
        }
    }
    return false;
}

enum tx_status txfs_xattrs_read(struct txio *io, int dir, const char *name, struct tx_buf *block,
                                struct tx_error *err)
{
    TX_AUTO(tx_buf) names = TX_BUF_INIT;
    TX_AUTO(tx_buf) value = TX_BUF_INIT;
    TX_TRY(read_names(io, dir, name, &names, err));
    if (names.size == 0) {
        return TX_OK;
    }
    TX_TRY(tx_buf_append(&names, "", 1, err)); /* whoever answered: it ends */
    for (const char *at = next_name(&names, NULL); at; at = next_name(&names, at)) {
        if (at[0] == '\0' || is_label(at)) {
            continue;
        }
        enum tx_status status = read_value(io, dir, name, at, &value, err);
        if (status == TX_ENOTFOUND) {
            continue;
        }
        TX_TRY(status);
        struct txfs_xattr xattr = {at, value.data, (uint32_t)value.size};
        TX_TRY(txfs_xattr_put(block, &xattr, err));
    }
    return TX_OK;
}
