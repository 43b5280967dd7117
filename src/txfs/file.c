/* SPDX-License-Identifier: MIT */
/* Handles: opening, reading and writing through the two sheets. */
#include <string.h>
#include <sys/stat.h>

#include "txfs/open_file.h"

enum {
    KNOWN_FLAGS = TXFS_WRITE | TXFS_CREATE | TXFS_EXCLUSIVE | TXFS_TRUNCATE | TXFS_APPEND |
                  TXFS_NOFOLLOW,
    WRITING_FLAGS = TXFS_WRITE | TXFS_CREATE | TXFS_TRUNCATE | TXFS_APPEND,
};

/* What an entry changed in place goes on the upper sheet, because the lower shows the tree. */
static enum tx_status load_extents(struct txfs_view *view, const struct txfs_node *node,
                                   struct txfs_draft *draft, struct tx_error *err)
{
    struct txfs_entry entry = txfs_node_entry(view, node);
    struct ktm_id id = ktm_txn_id(view->txn);
    char path[TXFS_STAGED_PATH_SIZE];
    for (uint32_t i = 0; i < entry.extent_count; i++) {
        struct txfs_extent extent = txfs_extent_at(&entry, i);
        TX_TRY(txfs_extents_set(&draft->extents, &extent, err));
    }
    if (entry.staged != 0) {
        txfs_staged_path(&id, entry.staged, path);
        TX_TRY(txio_open(view->fs->io, view->fs->store_dir, path, TXIO_READ, 0, &draft->fd, err));
        draft->staged = entry.staged;
        draft->frozen = true;
    } else {
        TX_TRY(tx_buf_append(&draft->memory, entry.content, entry.content_size, err));
    }
    draft->used = entry.payload_size;
    draft->loaded = entry.payload_size;
    draft->size = entry.size;
    draft->keep = entry.keep_size;
    return TX_OK;
}

enum tx_status txfs_file_load(struct txfs_view *view, const struct txfs_object *object,
                              struct txfs_layer *layer, struct txfs_draft *draft,
                              struct tx_error *err)
{
    const struct txfs_node *node = object->node;
    TX_TRY(txfs_layer_open(view, object, layer, err));
    txfs_draft_init(draft);
    draft->size = layer->size;
    draft->keep = layer->size;
    if (node != NULL && node->entry.payload == TXFS_PAYLOAD_EXTENTS) {
        enum tx_status status = load_extents(view, node, draft, err);
        if (status != TX_OK) {
            txfs_layer_close(view, layer);
            txfs_draft_release(view, draft);
        }
        return status;
    }
    return TX_OK;
}

enum tx_status txfs_file_refresh(struct txfs_file *file, struct tx_error *err)
{
    struct txfs_view *view = file->view;
    struct txfs_object object;
    struct txfs_layer layer;
    struct txfs_draft draft;
    if (view == NULL) {
        return tx_error_set(err, TX_EMISUSE, "the file's transaction is over");
    }
    if (file->dirty || file->orphan || file->generation == view->generation) {
        return TX_OK;
    }
    TX_TRY(txfs_lookup(view, file->path, &object, err));
    if (object.kind == TXFS_OBJECT_ABSENT || !S_ISREG(object.stat.mode)) {
        file->orphan = file->generation != 0; /* goes on showing what it showed */
        return file->orphan ? TX_OK
                            : txfs_refuse(err, TX_ENOTFOUND, file->path,
                                          "rolled back while it was open");
    }
    TX_TRY(txfs_file_load(view, &object, &layer, &draft, err));
    txfs_layer_close(view, &file->layer);
    txfs_draft_release(view, &file->draft);
    file->layer = layer;
    file->draft = draft;
    file->generation = view->generation;
    return TX_OK;
}

static enum tx_status check_openable(const struct txfs_object *object, unsigned flags,
                                     const char *path, struct tx_error *err)
{
    if (object->kind == TXFS_OBJECT_ABSENT) {
        return flags & TXFS_CREATE ? TX_OK : txfs_refuse(err, TX_ENOTFOUND, path, "no such file");
    }
    if ((flags & TXFS_CREATE) && (flags & TXFS_EXCLUSIVE)) {
        return txfs_refuse(err, TX_EEXIST, path, "exists already");
    }
    if (S_ISDIR(object->stat.mode)) {
        return txfs_refuse(err, TX_EISDIR, path, "is a directory");
    }
    if (!S_ISREG(object->stat.mode)) {
        return txfs_refuse(err, TX_ETYPE, path,
                           S_ISLNK(object->stat.mode) ? "is a symbolic link" : "is not a file");
    }
    return TX_OK;
}

static enum tx_status start_file(struct txfs_view *view, const struct txfs_object *object,
                                 struct txfs_file *file, struct tx_error *err)
{
    if (!object->opaque) { /* changed by others after this look: a conflict */
        TX_TRY(txfs_touch(&view->seen, object->real, &object->found, err));
    }
    if (object->kind == TXFS_OBJECT_ABSENT || (file->flags & TXFS_TRUNCATE)) {
        txfs_draft_init(&file->draft);
        file->draft.whole = true;
        file->layer.fd = -1;
        file->replaces = true;
        file->dirty = true;
    } else {
        TX_TRY(txfs_file_load(view, object, &file->layer, &file->draft, err));
    }
    file->generation = view->generation;
    txfs_files_add(view, file);
    return TX_OK;
}

enum tx_status txfs_open(struct ktm_txn *txn, const char *path, unsigned flags, uint32_t mode,
                         struct txfs_file **file, struct tx_error *err)
{
    char canonical[TXFS_PATH_MAX + 1];
    struct txfs_object object;
    struct txfs_view *view;
    bool exclusive = (flags & TXFS_CREATE) && (flags & TXFS_EXCLUSIVE);
    bool kept = exclusive || (flags & TXFS_NOFOLLOW);
    if ((flags & ~(unsigned)KNOWN_FLAGS) != 0 || (mode & ~07777u) != 0) {
        return tx_error_set(err, TX_EINVAL, "unknown flags or mode");
    }
    TX_TRY(txfs_view_of(txn, &view, err));
    TX_TRY(txfs_resolve(view, path, kept ? TXFS_LAST_IS_KEPT : TXFS_LAST_IS_FOLLOWED, canonical,
                        NULL, err));
    TX_TRY(txfs_lookup(view, canonical, &object, err));
    TX_TRY(check_openable(&object, flags, canonical, err));
    struct txfs_file *made = tx_alloc_zero(sizeof *made);
    if (made == NULL) {
        return tx_error_set(err, TX_ENOMEM, "no memory for an open file");
    }
    made->flags = flags;
    made->mode = mode;
    memcpy(made->path, canonical, strlen(canonical) + 1);
    enum tx_status status = start_file(view, &object, made, err);
    if (status != TX_OK) {
        tx_free(made);
        return status;
    }
    *file = made;
    return TX_OK;
}

enum tx_status txfs_file_read_at(struct txfs_file *file, void *data, size_t size, uint64_t offset,
                                 size_t *done, struct tx_error *err)
{
    struct txfs_draft *draft = &file->draft;
    uint64_t left = offset < draft->size ? draft->size - offset : 0;
    size_t wanted = left < size ? (size_t)left : size;
    if (!draft->whole && wanted > 0) {
        uint64_t kept = offset < draft->keep ? draft->keep - offset : 0;
        size_t below = kept < wanted ? (size_t)kept : wanted;
        TX_TRY(txfs_layer_read(file->view, &file->layer, data, below, offset, err));
        memset((uint8_t *)data + below, 0, wanted - below);
    }
    if (wanted > 0) {
        TX_TRY(txfs_draft_read(file->view, draft, data, wanted, offset, err));
    }
    *done = wanted;
    return TX_OK;
}

enum tx_status txfs_pread(struct txfs_file *file, void *data, size_t size, uint64_t offset,
                          size_t *done, struct tx_error *err)
{
    TX_TRY(txfs_file_refresh(file, err));
    return txfs_file_read_at(file, data, size, offset, done, err);
}

static enum tx_status ready_to_write(struct txfs_file *file, struct tx_error *err)
{
    TX_TRY(txfs_file_refresh(file, err));
    if (!(file->flags & WRITING_FLAGS)) {
        return txfs_refuse(err, TX_EMISUSE, file->path, "opened for reading only");
    }
    return TX_OK;
}

enum tx_status txfs_pwrite(struct txfs_file *file, const void *data, size_t size, uint64_t offset,
                           struct tx_error *err)
{
    TX_TRY(ready_to_write(file, err));
    if (size > 0) {
        TX_TRY(txfs_draft_write(file->view, &file->draft, data, size, offset, err));
        file->dirty = true;
    }
    return TX_OK;
}

enum tx_status txfs_read(struct txfs_file *file, void *data, size_t size, size_t *done,
                         struct tx_error *err)
{
    size_t got;
    TX_TRY(txfs_pread(file, data, size, file->position, &got, err));
    file->position += got;
    *done = got;
    return TX_OK;
}

enum tx_status txfs_write(struct txfs_file *file, const void *data, size_t size,
                          struct tx_error *err)
{
    TX_TRY(ready_to_write(file, err));
    uint64_t offset = file->flags & TXFS_APPEND ? file->draft.size : file->position;
    TX_TRY(txfs_pwrite(file, data, size, offset, err));
    file->position = offset + size;
    return TX_OK;
}

enum tx_status txfs_ftruncate(struct txfs_file *file, uint64_t size, struct tx_error *err)
{
    TX_TRY(ready_to_write(file, err));
    TX_TRY(txfs_draft_truncate(file->view, &file->draft, size, err));
    file->dirty = true;
    return TX_OK;
}

uint64_t txfs_size(const struct txfs_file *file)
{
    /* What shows is made again only when the view has changed; the handle itself stays as it is. */
    struct txfs_file *same = (struct txfs_file *)(uintptr_t)file;
    enum tx_status ignored = txfs_file_refresh(same, NULL); /* on failure: what it was */
    (void)ignored;
    return file->draft.size;
}

void txfs_abandon(struct txfs_file *file)
{
    struct txfs_view *view = file->view;
    if (view != NULL) {
        txfs_files_remove(file);
        txfs_draft_discard(view, &file->draft);
        txfs_layer_close(view, &file->layer);
    }
    tx_free(file);
}

enum tx_status txfs_close(struct txfs_file *file, struct tx_error *err)
{
    enum tx_status status = TX_OK;
    if (file->view == NULL) {
        status = tx_error_set(err, TX_EMISUSE, "the file's transaction is over");
    } else if (file->view->broken == TX_OK) {
        status = txfs_file_emit(file, err);
    } else if (file->dirty) {
        status = tx_error_set(err, TX_EABORTED, "an earlier change of this transaction failed");
    }
    txfs_abandon(file);
    return status;
}

enum tx_status txfs_truncate(struct ktm_txn *txn, const char *path, uint64_t size,
                             struct tx_error *err)
{
    struct txfs_file *file;
    TX_TRY(txfs_open(txn, path, TXFS_WRITE | TXFS_NOFOLLOW, 0, &file, err));
    enum tx_status status = txfs_ftruncate(file, size, err);
    if (status != TX_OK) {
        txfs_abandon(file);
        return status;
    }
    return txfs_close(file, err);
}
