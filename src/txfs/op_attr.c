/* SPDX-License-Identifier: MIT */
/* Attributes: looking at them, setting them. */
#include <string.h>
#include <sys/stat.h>

#include "base/mutant.h"
#include "txfs/overlay.h"

enum tx_status txfs_stat(struct ktm_txn *txn, const char *path, struct txio_stat *stat,
                         struct tx_error *err)
{
    char canonical[TXFS_PATH_MAX + 1];
    struct txfs_object object;
    struct txfs_view *view;
    TX_TRY(txfs_view_of(txn, &view, err));
    TX_TRY(txfs_resolve(view, path, TXFS_LAST_IS_KEPT, canonical, NULL, err));
    TX_TRY(txfs_lookup_there(view, canonical, &object, err));
    *stat = object.stat;
    return TX_OK;
}

enum tx_status txfs_readlink(struct ktm_txn *txn, const char *path, char *target, size_t size,
                             struct tx_error *err)
{
    char canonical[TXFS_PATH_MAX + 1];
    struct txfs_object object;
    struct txfs_view *view;
    TX_TRY(txfs_view_of(txn, &view, err));
    TX_TRY(txfs_resolve(view, path, TXFS_LAST_IS_KEPT, canonical, NULL, err));
    TX_TRY(txfs_lookup_there(view, canonical, &object, err));
    return txfs_object_target(view, &object, target, size, err);
}

/* What the system would refuse to publish is refused now. */
static enum tx_status check_allowed(const struct txfs_view *view, const struct txfs_object *object,
                                    const struct txio_attr *attr, const struct txfs_entry *entry,
                                    struct tx_error *err)
{
    if (view->uid == 0) {
        return TX_OK;
    }
    if (object->stat.uid != view->uid) {
        return txfs_refuse(err, TX_EPERM, object->path, "belongs to another user");
    }
    if ((attr->mask & TXIO_ATTR_OWNER) && entry->uid != view->uid) {
        return txfs_refuse(err, TX_EPERM, object->path, "only root gives files away");
    }
    return TX_OK;
}

/* A change of owner clears set-id bits of files; say so, since entries state final values. */
static void clear_set_id(const struct txfs_object *object, const struct txio_attr *attr,
                         struct txfs_entry *entry)
{
    uint32_t mode = object->stat.mode;
    if ((attr->mask & TXIO_ATTR_MODE) || !S_ISREG(mode) || !(mode & (S_ISUID | S_ISGID)) ||
        TX_MUTANT(57)) { /* the new owner gets the old bits */
        return;
    }
    entry->mask |= TXFS_SETS_MODE;
    entry->mode = txfs_mode_after_chown(mode) & 07777;
}

static void lay_attr(const struct txfs_object *object, const struct txio_attr *attr,
                     struct txfs_entry *entry)
{
    if (attr->mask & TXIO_ATTR_OWNER) {
        entry->mask |= TXFS_SETS_OWNER;
        entry->uid = attr->uid != TXFS_KEEP_ID ? attr->uid : object->stat.uid;
        entry->gid = attr->gid != TXFS_KEEP_ID ? attr->gid : object->stat.gid;
        clear_set_id(object, attr, entry);
    }
    if ((attr->mask & TXIO_ATTR_MODE) && attr->mode != TXFS_KEEP_MODE &&
        !S_ISLNK(object->stat.mode)) { /* links have no mode of their own */
        uint32_t type = entry->kind == TXFS_CHANGE_NODE ? entry->mode & S_IFMT : 0;
        entry->mask |= TXFS_SETS_MODE;
        entry->mode = type | (attr->mode & 07777);
    }
    if (attr->mask & TXIO_ATTR_TIMES) {
        bool said = (entry->mask & TXFS_SETS_TIMES) != 0;
        entry->mtime_ns = attr->mtime_ns != TXFS_KEEP_TIME || !said ? attr->mtime_ns
                                                                     : entry->mtime_ns;
        entry->atime_ns = attr->atime_ns != TXFS_KEEP_TIME || !said ? attr->atime_ns
                                                                     : entry->atime_ns;
        entry->mask |= TXFS_SETS_TIMES;
    }
}

enum tx_status txfs_set_attr(struct ktm_txn *txn, const char *path, const struct txio_attr *attr,
                             struct tx_error *err)
{
    char canonical[TXFS_PATH_MAX + 1];
    struct txfs_object object;
    struct txfs_view *view;
    struct txfs_entry entry;
    TX_TRY(txfs_view_of(txn, &view, err));
    TX_TRY(txfs_resolve(view, path, TXFS_LAST_IS_KEPT, canonical, NULL, err));
    if (canonical[0] == '\0') {
        return txfs_refuse(err, TX_EINVAL, path, "the root's own attributes are out of bounds");
    }
    TX_TRY(txfs_lookup_there(view, canonical, &object, err));
    txfs_change_amend(view, &object, &entry);
    lay_attr(&object, attr, &entry);
    TX_TRY(check_allowed(view, &object, attr, &entry, err));
    return txfs_change_add(view, canonical, &object, &entry, err);
}
