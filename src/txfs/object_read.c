/* SPDX-License-Identifier: MIT */
/* Reading what is not a file's content: the text of a link, extended attributes. */
#include <string.h>
#include <sys/stat.h>

#include "txfs/overlay.h"

struct target_job {
    struct txio *io;
    char text[TXFS_PATH_MAX + 1];
};

static enum tx_status read_target(void *arg, const struct txfs_base *base, struct tx_error *err)
{
    struct target_job *job = arg;
    int got = job->io->ops->readlink(job->io, base->dir, base->name, job->text, sizeof job->text);
    return got < 0 ? tx_error_os(err, -got, "read a symbolic link") : TX_OK;
}

enum tx_status txfs_object_target(struct txfs_view *view, const struct txfs_object *object,
                                  char *target, size_t size, struct tx_error *err)
{
    struct target_job job = {.io = view->fs->io};
    const char *text = job.text;
    if (!S_ISLNK(object->stat.mode)) {
        return txfs_refuse(err, TX_ETYPE, object->path, "not a symbolic link");
    }
    if (object->kind == TXFS_OBJECT_OWN) {
        text = object->node->entry.target;
    } else {
        bool existed;
        struct txio_stat stat;
        TX_TRY(txfs_base_visit(view, object->real, &existed, &stat, read_target, &job, err));
        if (!existed) {
            return txfs_refuse(err, TX_ENOTFOUND, object->path, "just removed");
        }
    }
    size_t length = strlen(text);
    if (length >= size) {
        return txfs_refuse(err, TX_ELIMIT, object->path, "its text does not fit");
    }
    memcpy(target, text, length + 1);
    return TX_OK;
}

struct xattrs_job {
    struct txio *io;
    struct tx_buf *block;
    size_t start; /* a second look begins anew */
};

static enum tx_status read_xattrs(void *arg, const struct txfs_base *base, struct tx_error *err)
{
    struct xattrs_job *job = arg;
    job->block->size = job->start;
    if (base->old.mask & TXFS_SETS_XATTRS) {
        return tx_buf_append(job->block, base->old.xattrs.data, base->old.xattrs.size, err);
    }
    return txfs_xattrs_read(job->io, base->dir, base->name, job->block, err);
}

enum tx_status txfs_object_xattrs(struct txfs_view *view, const struct txfs_object *object,
                                  struct tx_buf *block, struct tx_error *err)
{
    const struct txfs_node *node = object->node;
    if (node != NULL && (node->entry.mask & TXFS_SETS_XATTRS)) {
        return tx_buf_append(block, node->entry.xattrs, node->entry.xattrs_size, err);
    }
    if (object->kind == TXFS_OBJECT_OWN || object->real[0] == '\0') {
        return TX_OK; /* the root's own are out of bounds */
    }
    bool existed;
    struct txio_stat stat;
    struct xattrs_job job = {view->fs->io, block, block->size};
    return txfs_base_visit(view, object->real, &existed, &stat, read_xattrs, &job, err);
}
