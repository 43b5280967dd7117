/* SPDX-License-Identifier: MIT */
/* Extended attributes: an entry states the whole set, so each change rewrites the block. */
#include <string.h>
#include <sys/stat.h>

#include "txfs/overlay.h"

enum { BLOCK_MAX = 1 << 20 };

struct xattr_op {
    struct txfs_view *view;
    char path[TXFS_PATH_MAX + 1];
    struct txfs_object object;
    struct tx_buf block;
};

static void xattr_op_auto(struct xattr_op *op)
{
    tx_buf_release(&op->block);
}

static enum tx_status find_block(struct ktm_txn *txn, const char *path, struct xattr_op *op,
                                 struct tx_error *err)
{
    TX_TRY(txfs_view_of(txn, &op->view, err));
    TX_TRY(txfs_resolve(op->view, path, TXFS_LAST_IS_KEPT, op->path, NULL, err));
    if (op->path[0] == '\0') {
        return txfs_refuse(err, TX_EINVAL, path, "the root's own attributes are out of bounds");
    }
    TX_TRY(txfs_lookup_there(op->view, op->path, &op->object, err));
    return txfs_object_xattrs(op->view, &op->object, &op->block, err);
}

static bool find_xattr(const struct tx_buf *block, const char *name, struct txfs_xattr *found)
{
    struct tx_reader reader = tx_reader_on(block->data, block->size);
    while (txfs_xattr_next(&reader, found)) {
        if (strcmp(found->name, name) == 0) {
            return true;
        }
    }
    return false;
}

/* The block with `name` set to a value, or without it (value NULL), sorted. */
static enum tx_status change_block(const struct tx_buf *block, const struct txfs_xattr *changed,
                                   struct tx_buf *out, struct tx_error *err)
{
    struct tx_reader reader = tx_reader_on(block->data, block->size);
    struct txfs_xattr at;
    bool pending = changed->value != NULL;
    while (txfs_xattr_next(&reader, &at)) {
        int order = strcmp(at.name, changed->name);
        if (order >= 0 && pending) {
            TX_TRY(txfs_xattr_put(out, changed, err));
            pending = false;
        }
        if (order != 0) {
            TX_TRY(txfs_xattr_put(out, &at, err));
        }
    }
    return pending ? txfs_xattr_put(out, changed, err) : TX_OK;
}

static enum tx_status add_block(struct xattr_op *op, const struct txfs_xattr *changed,
                                struct tx_error *err)
{
    TX_AUTO(tx_buf) block = TX_BUF_INIT;
    struct txfs_entry entry;
    TX_TRY(change_block(&op->block, changed, &block, err));
    if (block.size > BLOCK_MAX) {
        return txfs_refuse(err, TX_ELIMIT, op->path, "too many extended attributes");
    }
    txfs_change_amend(op->view, &op->object, &entry);
    entry.mask |= TXFS_SETS_XATTRS;
    entry.xattrs = block.data;
    entry.xattrs_size = (uint32_t)block.size;
    return txfs_change_add(op->view, op->path, &op->object, &entry, err);
}

bool txfs_xattr_is_ours(const struct txfs_view *view, const char *name)
{
    return view->uid == 0 || strncmp(name, "user.", 5) == 0 ||
           strncmp(name, "system.posix_acl_", 17) == 0;
}

static enum tx_status check_owner(const struct xattr_op *op, struct tx_error *err)
{
    if (op->view->uid != 0 && op->object.stat.uid != op->view->uid) {
        return txfs_refuse(err, TX_EPERM, op->path, "belongs to another user");
    }
    return TX_OK;
}

/* What the kernel would refuse when the change is carried out. */
static enum tx_status check_name(const struct xattr_op *op, const char *name, size_t size,
                                 struct tx_error *err)
{
    size_t length = strlen(name);
    const char *dot = strchr(name, '.');
    uint32_t mode = op->object.stat.mode;
    if (length == 0 || length > TXFS_NAME_MAX || size > TXFS_XATTR_VALUE_MAX) {
        return txfs_refuse(err, TX_ELIMIT, name, "name or value of an extended attribute");
    }
    if (dot == NULL || dot == name || dot[1] == '\0') {
        return txfs_refuse(err, TX_ENOTSUP, name, "an extended attribute without a name space");
    }
    if (!txfs_xattr_is_ours(op->view, name)) {
        return txfs_refuse(err, TX_EPERM, name, "only root sets this extended attribute");
    }
    if (strncmp(name, "user.", 5) == 0 && !S_ISREG(mode) && !S_ISDIR(mode)) {
        return txfs_refuse(err, TX_EPERM, op->path, "only files and directories have user.*");
    }
    return check_owner(op, err);
}

enum tx_status txfs_set_xattr(struct ktm_txn *txn, const char *path, const char *name,
                              const void *value, size_t size, struct tx_error *err)
{
    TX_AUTO(xattr_op) op = {.block = TX_BUF_INIT};
    TX_TRY(find_block(txn, path, &op, err));
    TX_TRY(check_name(&op, name, size, err));
    struct txfs_xattr changed = {name, size > 0 ? value : (const uint8_t *)"", (uint32_t)size};
    return add_block(&op, &changed, err);
}

enum tx_status txfs_remove_xattr(struct ktm_txn *txn, const char *path, const char *name,
                                 struct tx_error *err)
{
    TX_AUTO(xattr_op) op = {.block = TX_BUF_INIT};
    struct txfs_xattr changed = {name, NULL, 0};
    struct txfs_xattr found;
    TX_TRY(find_block(txn, path, &op, err));
    if (!find_xattr(&op.block, name, &found)) {
        return txfs_refuse(err, TX_ENOTFOUND, name, "no such extended attribute");
    }
    TX_TRY(check_owner(&op, err));
    return add_block(&op, &changed, err);
}

enum tx_status txfs_get_xattr(struct ktm_txn *txn, const char *path, const char *name, void *value,
                              size_t *size, struct tx_error *err)
{
    TX_AUTO(xattr_op) op = {.block = TX_BUF_INIT};
    struct txfs_xattr found;
    TX_TRY(find_block(txn, path, &op, err));
    if (!find_xattr(&op.block, name, &found)) {
        return txfs_refuse(err, TX_ENOTFOUND, name, "no such extended attribute");
    }
    bool fits = found.size <= *size;
    if (fits && found.size > 0) {
        memcpy(value, found.value, found.size);
    }
    *size = found.size; /* also tells how much room is needed */
    return fits ? TX_OK : txfs_refuse(err, TX_ELIMIT, name, "its value does not fit");
}

enum tx_status txfs_list_xattr(struct ktm_txn *txn, const char *path, char *names, size_t *size,
                               struct tx_error *err)
{
    TX_AUTO(xattr_op) op = {.block = TX_BUF_INIT};
    struct txfs_xattr at;
    size_t used = 0;
    TX_TRY(find_block(txn, path, &op, err));
    struct tx_reader reader = tx_reader_on(op.block.data, op.block.size);
    while (txfs_xattr_next(&reader, &at)) {
        size_t length = strlen(at.name) + 1;
        if (used + length <= *size) {
            memcpy(names + used, at.name, length);
        }
        used += length;
    }
    bool fits = used <= *size;
    *size = used;
    return fits ? TX_OK : txfs_refuse(err, TX_ELIMIT, op.path, "its names do not fit");
}
