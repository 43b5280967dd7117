/* SPDX-License-Identifier: MIT */
/* Entries for those who print them. */
#include <string.h>
#include <sys/stat.h>

#include "txfs/txfs_internal.h"

static struct txio_stat stat_of(const struct txfs_identity *identity)
{
    return (struct txio_stat){
        .ino = identity->ino,
        .size = identity->size,
        .allocated = identity->size,
        .rdev = identity->rdev,
        .mode = identity->mode,
        .uid = identity->uid,
        .gid = identity->gid,
        .nlink = identity->nlink,
        .atime_ns = identity->mtime_ns,
        .mtime_ns = identity->mtime_ns,
        .ctime_ns = identity->ctime_ns,
    };
}

/* What an amended object had before; new ones say everything themselves. */
static void describe_attributes(const struct txfs_entry *entry, struct txfs_change *change)
{
    const struct txfs_identity *old = entry->source.existed ? &entry->source : &entry->base;
    change->mode = entry->mask & TXFS_SETS_MODE ? entry->mode & 07777 : old->mode & 07777;
    change->uid = entry->mask & TXFS_SETS_OWNER ? entry->uid : old->uid;
    change->gid = entry->mask & TXFS_SETS_OWNER ? entry->gid : old->gid;
    bool timed = (entry->mask & TXFS_SETS_TIMES) && entry->mtime_ns != TXFS_KEEP_TIME;
    change->mtime_ns = timed ? entry->mtime_ns : old->mtime_ns;
}

static uint64_t size_of(const struct txfs_entry *entry)
{
    switch (entry->kind) {
    case TXFS_CHANGE_FILE:
    case TXFS_CHANGE_EXTENTS:
        return entry->size;
    case TXFS_CHANGE_SYMLINK:
        return strlen(entry->target);
    case TXFS_CHANGE_MOVED:
        return entry->payload == TXFS_PAYLOAD_EXTENTS ? entry->size : entry->source.size;
    case TXFS_CHANGE_LINK:
    case TXFS_CHANGE_ATTRIBUTES:
        return entry->source.size;
    default:
        return 0;
    }
}

enum tx_status txfs_change_decode(const struct ktm_change *entry, struct txfs_change *change,
                                  struct tx_error *err)
{
    struct txfs_entry got;
    if (entry->rm != TXFS_RM) {
        return tx_error_set(err, TX_EINVAL, "an entry of resource manager %u, not of files",
                            entry->rm);
    }
    TX_TRY(txfs_entry_decode(entry, &got, err));
    *change = (struct txfs_change){
        .kind = (enum txfs_change_kind)got.kind,
        .path = got.path,
        .target = got.target,
        .existed = got.base.existed,
        .before = stat_of(&got.base),
        .size = size_of(&got),
        .changed_bytes = got.payload_size,
        .content = got.payload == TXFS_PAYLOAD_INLINE ? got.content : NULL,
    };
    describe_attributes(&got, change);
    return TX_OK;
}
