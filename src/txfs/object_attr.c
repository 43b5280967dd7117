/* SPDX-License-Identifier: MIT */
/* Attributes of an object: what an entry says about them, and giving them to it. */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "base/mutant.h"
#include "txfs/publish_internal.h"

struct txfs_attrs txfs_attrs_of(const struct txfs_entry *entry)
{
    struct txfs_attrs attrs = {
        .mask = entry->mask,
        .mode = entry->mode & 07777,
        .uid = entry->uid,
        .gid = entry->gid,
        .atime_ns = entry->atime_ns,
        .mtime_ns = entry->mtime_ns,
        .xattrs = entry->xattrs,
        .xattrs_size = entry->xattrs_size,
    };
    if (entry->atime_ns == TXFS_KEEP_TIME && !txfs_entry_amends(entry)) {
        attrs.atime_ns = entry->mtime_ns;
    }
    return attrs;
}

void txfs_attrs_add(struct txfs_attrs *attrs, const struct txfs_attrs *more)
{
    if (more->mask & TXFS_SETS_OWNER) {
        attrs->uid = more->uid;
        attrs->gid = more->gid;
    }
    if (more->mask & TXFS_SETS_MODE) {
        attrs->mode = more->mode;
    }
    if (more->mask & TXFS_SETS_TIMES) {
        bool said = attrs->mask & TXFS_SETS_TIMES;
        attrs->atime_ns =
            more->atime_ns != TXFS_KEEP_TIME || !said ? more->atime_ns : attrs->atime_ns;
        attrs->mtime_ns =
            more->mtime_ns != TXFS_KEEP_TIME || !said ? more->mtime_ns : attrs->mtime_ns;
    }
    if (more->mask & TXFS_SETS_XATTRS) {
        attrs->xattrs = more->xattrs;
        attrs->xattrs_size = more->xattrs_size;
    }
    attrs->mask |= more->mask;
}

static bool owner_differs(const struct txio_stat *is, const struct txfs_attrs *attrs)
{
    return (attrs->mask & TXFS_SETS_OWNER) && (is->uid != attrs->uid || is->gid != attrs->gid);
}

static bool mode_differs(const struct txio_stat *is, const struct txfs_attrs *attrs)
{
    return (attrs->mask & TXFS_SETS_MODE) && !S_ISLNK(is->mode) &&
           (is->mode & 07777) != attrs->mode;
}

static bool mtime_differs(const struct txio_stat *is, const struct txfs_attrs *attrs)
{
    return (attrs->mask & TXFS_SETS_TIMES) && attrs->mtime_ns != TXFS_KEEP_TIME &&
           is->mtime_ns != attrs->mtime_ns;
}

static bool atime_differs(const struct txio_stat *is, const struct txfs_attrs *attrs)
{
    return (attrs->mask & TXFS_SETS_TIMES) && attrs->atime_ns != TXFS_KEEP_TIME &&
           is->atime_ns != attrs->atime_ns;
}

bool txfs_attrs_match(const struct txio_stat *is, const struct txfs_attrs *attrs)
{
    return !owner_differs(is, attrs) && !mode_differs(is, attrs) && !mtime_differs(is, attrs);
}

/* Find `name` in a block. */
static bool find_xattr(const uint8_t *block, uint32_t size, const char *name,
                       struct txfs_xattr *found)
{
    struct tx_reader reader = tx_reader_on(block, size);
    while (txfs_xattr_next(&reader, found)) {
        if (strcmp(found->name, name) == 0) {
            return true;
        }
    }
    return false;
}

static enum tx_status drop_xattrs(struct txfs *fs, int dir, const char *name,
                                  const struct tx_buf *present, const struct txfs_attrs *attrs,
                                  struct tx_error *err)
{
    struct tx_reader reader = tx_reader_on(present->data, present->size);
    struct txfs_xattr is;
    struct txfs_xattr wanted;
    while (txfs_xattr_next(&reader, &is)) {
        if (find_xattr(attrs->xattrs, attrs->xattrs_size, is.name, &wanted)) {
            continue;
        }
        int result = fs->io->ops->remove_xattr(fs->io, dir, name, is.name);
        if (result < 0 && result != -ENODATA) {
            return tx_error_os(err, -result, "remove attribute \"%s\" of \"%s\"", is.name, name);
        }
    }
    return TX_OK;
}

static enum tx_status put_xattrs(struct txfs *fs, int dir, const char *name,
                                 const struct tx_buf *present, const struct txfs_attrs *attrs,
                                 struct tx_error *err)
{
    struct tx_reader reader = tx_reader_on(attrs->xattrs, attrs->xattrs_size);
    struct txfs_xattr wanted;
    struct txfs_xattr is;
    while (txfs_xattr_next(&reader, &wanted)) {
        if (find_xattr(present->data, (uint32_t)present->size, wanted.name, &is) &&
            is.size == wanted.size && memcmp(is.value, wanted.value, is.size) == 0) {
            continue;
        }
        int result =
            fs->io->ops->set_xattr(fs->io, dir, name, wanted.name, wanted.value, wanted.size);
        if (result < 0) {
            return tx_error_os(err, -result, "set attribute \"%s\" of \"%s\"", wanted.name, name);
        }
    }
    return TX_OK;
}

/* Make the set of extended attributes exactly the given one. */
static enum tx_status apply_xattrs(struct txfs *fs, int dir, const char *name,
                                   const struct txfs_attrs *attrs, struct tx_error *err)
{
    TX_AUTO(tx_buf) present = TX_BUF_INIT;
    TX_TRY(txfs_xattrs_read(fs->io, dir, name, &present, err));
    TX_TRY(drop_xattrs(fs, dir, name, &present, attrs, err));
    return put_xattrs(fs, dir, name, &present, attrs, err);
}

static enum tx_status set(struct txfs *fs, int dir, const char *name, const struct txio_attr *attr,
                          struct tx_error *err)
{
    int result = attr->mask == 0 ? 0 : fs->io->ops->set_attr(fs->io, dir, name, attr);
    return result < 0 ? tx_error_os(err, -result, "set the attributes of \"%s\"", name) : TX_OK;
}

enum tx_status txfs_attrs_apply(struct txfs *fs, int dir, const char *name,
                                const struct txio_stat *is, const struct txfs_attrs *attrs,
                                struct tx_error *err)
{
    struct txio_attr attr = {
        .mode = (attrs->mask & TXFS_SETS_MODE) ? attrs->mode : is->mode & 07777,
        .uid = attrs->uid,
        .gid = attrs->gid,
        .atime_ns = attrs->atime_ns == TXFS_KEEP_TIME ? is->atime_ns : attrs->atime_ns,
        .mtime_ns = attrs->mtime_ns == TXFS_KEEP_TIME ? is->mtime_ns : attrs->mtime_ns,
    };
    bool chowned = owner_differs(is, attrs);
    if (attrs->mask & TXFS_SETS_XATTRS) {
        attr.mask = chowned ? TXIO_ATTR_OWNER : 0; /* a later chown would drop capabilities */
        TX_TRY(set(fs, dir, name, &attr, err));
        TX_TRY(apply_xattrs(fs, dir, name, attrs, err));
        attr.mask = 0;
    } else {
        attr.mask = chowned ? TXIO_ATTR_OWNER : 0;
    }
    /* After a chown the set-id bits are gone; an access control list may have changed the mode. */
    bool unsure = (chowned && !TX_MUTANT(47)) || /* MUTANT_47: set-id bits fall to the chown */
                  ((attrs->mask & TXFS_SETS_XATTRS) && attrs->xattrs_size > 0);
    if (mode_differs(is, attrs) || (unsure && !S_ISLNK(is->mode))) {
        attr.mask |= TXIO_ATTR_MODE;
    }
    if (mtime_differs(is, attrs) || atime_differs(is, attrs)) {
        attr.mask |= TXIO_ATTR_TIMES;
    }
    return set(fs, dir, name, &attr, err);
}
