/* SPDX-License-Identifier: MIT */
/* The content of a file as the transaction has it, without what open handles wrote. */
#include <string.h>

#include "base/mutant.h"
#include "txfs/open_file.h"

static void forget(struct txfs_view *view, struct txfs_layer *layer)
{
    if (layer->fd >= 0) {
        (void)view->fs->io->ops->close(view->fs->io, layer->fd); /* read only */
    }
    layer->fd = -1;
    txfs_old_release(&layer->old);
    layer->old = (struct txfs_old){0};
}

void txfs_layer_close(struct txfs_view *view, struct txfs_layer *layer)
{
    forget(view, layer);
    layer->kind = TXFS_LAYER_EMPTY;
    layer->size = 0;
}

struct open_job {
    struct txfs_view *view;
    struct txfs_layer *layer;
};

static enum tx_status open_base(void *arg, const struct txfs_base *base, struct tx_error *err)
{
    struct open_job *job = arg;
    struct txfs_layer *layer = job->layer;
    const struct txfs_old *old = &base->old;
    forget(job->view, layer);
    TX_TRY(txio_open(job->view->fs->io, base->dir, base->name, TXIO_READ, 0, &layer->fd, err));
    layer->size = base->stat.size;
    if (old->patch_count > 0) {
        layer->old.patches = tx_alloc(old->patch_count * sizeof *old->patches);
        if (layer->old.patches == NULL) {
            return tx_error_set(err, TX_ENOMEM, "no memory for old extents");
        }
        memcpy(layer->old.patches, old->patches, old->patch_count * sizeof *old->patches);
        layer->old.patch_count = old->patch_count;
    }
    return TX_OK;
}

static enum tx_status find_base(struct txfs_view *view, struct txfs_layer *layer,
                                struct tx_error *err)
{
    struct open_job job = {view, layer};
    struct txio_stat stat;
    bool existed;
    layer->decided = ktm_decided(view->tm);
    layer->settled = ktm_published(view->tm) >= layer->decided || TX_MUTANT(91);
    TX_TRY(txfs_base_visit(view, layer->real, &existed, &stat, open_base, &job, err));
    return existed ? TX_OK
                   : txfs_refuse(err, TX_ENOTFOUND, layer->real, "removed by another program");
}

static enum tx_status open_staged(struct txfs_view *view, uint32_t number, int *fd,
                                  struct tx_error *err)
{
    char path[TXFS_STAGED_PATH_SIZE];
    struct ktm_id id = ktm_txn_id(view->txn);
    txfs_staged_path(&id, number, path);
    return txio_open(view->fs->io, view->fs->store_dir, path, TXIO_READ, 0, fd, err);
}

enum tx_status txfs_layer_open(struct txfs_view *view, const struct txfs_object *object,
                               struct txfs_layer *layer, struct tx_error *err)
{
    layer->kind = TXFS_LAYER_EMPTY;
    layer->fd = -1;
    layer->size = 0;
    layer->old = (struct txfs_old){0};
    if (object->kind == TXFS_OBJECT_BASE) {
        layer->kind = TXFS_LAYER_BASE;
        txfs_path_copy(object->real, layer->real);
        enum tx_status status = find_base(view, layer, err);
        if (status != TX_OK) {
            txfs_layer_close(view, layer);
        }
        return status;
    }
    const struct txfs_node *node = object->node;
    if (node->entry.payload == TXFS_PAYLOAD_INLINE) {
        layer->kind = TXFS_LAYER_INLINE;
        layer->content_at = node->content_at;
        layer->size = node->entry.size;
    } else if (node->entry.payload == TXFS_PAYLOAD_STAGED) {
        TX_TRY(open_staged(view, node->entry.staged, &layer->fd, err));
        layer->kind = TXFS_LAYER_STAGED;
        layer->size = node->entry.size;
    }
    return TX_OK;
}

/* Read as much as there is; the rest of `data` becomes zero. */
static enum tx_status read_fd(struct txio *io, int fd, uint8_t *data, size_t size, uint64_t offset,
                              struct tx_error *err)
{
    size_t done = 0;
    while (done < size) {
        int64_t got = io->ops->pread(io, fd, data + done, size - done, offset + done);
        if (got < 0) {
            return tx_error_os(err, (int)-got, "read a file");
        }
        if (got == 0) {
            break;
        }
        done += (size_t)got;
    }
    memset(data + done, 0, size - done);
    return TX_OK;
}

/* Lay an old extent over what was read of [offset, offset + size). */
static enum tx_status lay_patch(struct txfs_view *view, const struct txfs_patch *patch,
                                uint8_t *data, size_t size, uint64_t offset, struct tx_error *err)
{
    struct txio *io = view->fs->io;
    uint64_t from = patch->offset > offset ? patch->offset : offset;
    uint64_t patch_end = patch->offset + patch->length;
    uint64_t upto = patch_end < offset + size ? patch_end : offset + size;
    int fd;
    if (from >= upto) {
        return TX_OK;
    }
    TX_TRY(txio_open(io, view->fs->store_dir, patch->name, TXIO_READ, 0, &fd, err));
    enum tx_status status = txio_read_full(io, fd, data + (from - offset), (size_t)(upto - from),
                                           patch->position + (from - patch->offset), err);
    (void)io->ops->close(io, fd); /* read only */
    return status;
}

static enum tx_status read_base_once(struct txfs_view *view, const struct txfs_layer *layer,
                                     uint8_t *data, size_t size, uint64_t offset,
                                     struct tx_error *err)
{
    TX_TRY(read_fd(view->fs->io, layer->fd, data, size, offset, err));
    for (size_t i = 0; i < layer->old.patch_count; i++) {
        TX_TRY(lay_patch(view, &layer->old.patches[i], data, size, offset, err));
    }
    return TX_OK;
}

static bool is_settled(const struct txfs_view *view, const struct txfs_layer *layer)
{
    return layer->settled && ktm_decided(view->tm) == layer->decided;
}

/* A commit that is being carried out while we read may change the file in place. It keeps the old
 * bytes first: if there are no more of them than before, it had not begun when we read. */
static enum tx_status read_base(struct txfs_view *view, struct txfs_layer *layer, uint8_t *data,
                                size_t size, uint64_t offset, struct tx_error *err)
{
    if (!is_settled(view, layer)) {
        TX_TRY(find_base(view, layer, err));
    }
    for (;;) {
        size_t kept = layer->old.patch_count;
        TX_TRY(read_base_once(view, layer, data, size, offset, err));
        if (is_settled(view, layer)) {
            return TX_OK;
        }
        TX_TRY(find_base(view, layer, err));
        if (layer->old.patch_count == kept) {
            return TX_OK;
        }
    }
}

enum tx_status txfs_layer_read(struct txfs_view *view, struct txfs_layer *layer, void *data,
                               size_t size, uint64_t offset, struct tx_error *err)
{
    uint8_t *bytes = data;
    size_t there = 0;
    if (offset < layer->size) {
        there = layer->size - offset < size ? (size_t)(layer->size - offset) : size;
    }
    if (there > 0 && layer->kind == TXFS_LAYER_INLINE) {
        memcpy(bytes, ktm_txn_entries(view->txn).next + layer->content_at + offset, there);
    } else if (there > 0 && layer->kind == TXFS_LAYER_STAGED) {
        TX_TRY(read_fd(view->fs->io, layer->fd, bytes, there, offset, err));
    } else if (there > 0) {
        TX_TRY(read_base(view, layer, bytes, there, offset, err));
    }
    memset(bytes + there, 0, size - there);
    return TX_OK;
}
