/* SPDX-License-Identifier: MIT */
/* From a draft to an entry: a whole new content, or the extents that changed. */
#include <string.h>
#include <sys/stat.h>

#include "base/mutant.h"
#include "txfs/open_file.h"

enum { CHUNK_SIZE = 65536 };

static bool fits_inline(const struct txfs_view *view, uint64_t size)
{
    return size <= view->fs->inline_max && view->inline_total <= view->fs->inline_total_max &&
           size <= view->fs->inline_total_max - view->inline_total;
}

/* The whole content as payload. */
static enum tx_status whole_payload(struct txfs_view *view, struct txfs_draft *draft,
                                    struct txfs_entry *entry, struct tx_error *err)
{
    uint8_t *at;
    entry->size = draft->size;
    entry->payload_size = draft->size;
    entry->payload = TXFS_PAYLOAD_NONE;
    entry->staged = 0;
    entry->content = NULL;
    entry->content_size = 0;
    if (draft->size == 0) {
        entry->hash = (struct tx_hash128){{0}};
        return TX_OK;
    }
    if (draft->fd < 0 && fits_inline(view, draft->size)) {
        TX_TRY(tx_buf_extend(&draft->memory, (size_t)draft->size - draft->memory.size, &at, err));
        draft->used = draft->size;
        entry->payload = TXFS_PAYLOAD_INLINE;
        entry->content = draft->memory.data;
        entry->content_size = draft->size;
    } else {
        if (draft->fd < 0 || draft->frozen) {
            TX_TRY(txfs_draft_spill(view, draft, err));
        }
        /* Crash here: a staged file that no entry names yet; recovery removes it. */
        int got = draft->used < draft->size
                      ? view->fs->io->ops->truncate(view->fs->io, draft->fd, draft->size)
                      : 0;
        if (got < 0) {
            return tx_error_os(err, -got, "lengthen a staged file");
        }
        draft->used = draft->size;
        draft->frozen = true;
        entry->payload = TXFS_PAYLOAD_STAGED;
        entry->staged = draft->staged;
    }
    return txfs_draft_hash(view, draft, draft->size, &entry->hash, err);
}

static void lay_attr(const struct txio_attr *attr, struct txfs_entry *entry)
{
    if (attr == NULL) {
        return;
    }
    if ((attr->mask & TXIO_ATTR_OWNER) && attr->uid != TXFS_KEEP_ID) {
        entry->uid = attr->uid;
    }
    if ((attr->mask & TXIO_ATTR_OWNER) && attr->gid != TXFS_KEEP_ID) {
        entry->gid = attr->gid;
    }
    if ((attr->mask & TXIO_ATTR_MODE) && attr->mode != TXFS_KEEP_MODE) {
        entry->mode = attr->mode & 07777;
    }
    if ((attr->mask & TXIO_ATTR_TIMES) && attr->mtime_ns != TXFS_KEEP_TIME) {
        entry->mtime_ns = attr->mtime_ns;
    }
    if ((attr->mask & TXIO_ATTR_TIMES) && attr->atime_ns != TXFS_KEEP_TIME) {
        entry->atime_ns = attr->atime_ns;
    }
}

/* A replaced file hands its mode, owner and extended attributes on. */
static enum tx_status inherit(struct txfs_view *view, const struct txfs_object *object,
                              struct tx_buf *xattrs, struct txfs_entry *entry,
                              struct tx_error *err)
{
    TX_AUTO(tx_buf) all = TX_BUF_INIT;
    struct txfs_xattr at;
    TX_TRY(txfs_object_xattrs(view, object, &all, err));
    struct tx_reader reader = tx_reader_on(all.data, all.size);
    while (txfs_xattr_next(&reader, &at)) {
        if (txfs_xattr_is_ours(view, at.name) && !TX_MUTANT(33)) { /* lost by copying */
            TX_TRY(txfs_xattr_put(xattrs, &at, err));
        }
    }
    entry->mode = object->stat.mode & 07777;
    entry->uid = object->stat.uid;
    entry->gid = object->stat.gid;
    entry->xattrs = xattrs->data;
    entry->xattrs_size = (uint32_t)xattrs->size;
    return TX_OK;
}

enum tx_status txfs_emit_whole(struct txfs_view *view, const char *path,
                               const struct txfs_dir_ref *parent, struct txfs_draft *draft,
                               uint32_t mode, const struct txio_attr *attr, struct tx_error *err)
{
    TX_AUTO(tx_buf) xattrs = TX_BUF_INIT;
    struct txfs_object object;
    struct txfs_entry told;
    struct txfs_entry entry;
    TX_TRY(txfs_lookup(view, path, &object, err));
    bool there = object.kind != TXFS_OBJECT_ABSENT;
    if (there && S_ISDIR(object.stat.mode)) {
        return txfs_refuse(err, TX_EISDIR, path, "is a directory");
    }
    told = (struct txfs_entry){.kind = TXFS_CHANGE_FILE};
    txfs_change_new_attr(view, parent, mode, &told);
    if (there && S_ISREG(object.stat.mode)) {
        TX_TRY(inherit(view, &object, &xattrs, &told, err));
    }
    lay_attr(attr, &told);
    if (view->uid != 0 && told.uid != view->uid) {
        return txfs_refuse(err, TX_EPERM, path, "only root makes files of other users");
    }
    TX_TRY(whole_payload(view, draft, &told, err));
    size_t begun = view->consumed;
    if (there) {
        enum tx_status status = txfs_hand_over(view, &object, path, err);
        if (status != TX_OK) {
            return txfs_view_end_change(view, begun, status);
        }
    }
    txfs_change_start(view, path, &object, TXFS_CHANGE_FILE, &entry);
    told.path = entry.path;
    told.base = entry.base;
    told.base_path = entry.base_path;
    return txfs_view_end_change(view, begun, txfs_view_add(view, &told, err));
}

/* A file of the transaction's own: its new content is written as a whole. */
static enum tx_status emit_own(struct txfs_file *file, const struct txfs_object *object,
                               struct tx_error *err)
{
    struct txfs_view *view = file->view;
    TX_AUTO(tx_buf) chunk = TX_BUF_INIT;
    struct txfs_draft whole;
    struct txfs_entry entry;
    uint8_t *data;
    TX_TRY(tx_buf_extend(&chunk, CHUNK_SIZE, &data, err));
    txfs_draft_init(&whole);
    whole.whole = true;
    enum tx_status status = TX_OK;
    for (uint64_t at = 0; status == TX_OK && at < file->draft.size; at += CHUNK_SIZE) {
        size_t done;
        status = txfs_file_read_at(file, data, CHUNK_SIZE, at, &done, err);
        if (status == TX_OK) {
            status = txfs_draft_write(view, &whole, data, done, at, err);
        }
    }
    if (status == TX_OK) {
        txfs_change_amend(view, object, &entry);
        entry.mtime_ns = view->fs->io->ops->realtime_ns(view->fs->io);
        status = whole_payload(view, &whole, &entry, err);
    }
    if (status == TX_OK) {
        status = txfs_view_add(view, &entry, err);
    }
    txfs_draft_discard(view, &whole);
    return status;
}

/* The extents of a draft in memory with their bytes side by side, as they travel in the log. */
static enum tx_status pack_inline(const struct txfs_draft *draft, struct tx_buf *table,
                                  struct tx_buf *content, struct tx_error *err)
{
    const struct txfs_extent *at = txfs_extents_after(&draft->extents, 0);
    for (; at != NULL; at = txfs_extents_after(&draft->extents, at->offset + at->length)) {
        struct txfs_extent packed = {at->offset, at->length, content->size};
        const uint8_t *data = draft->memory.data + at->position;
        TX_TRY(txfs_extent_put(table, &packed, err));
        TX_TRY(tx_buf_append(content, data, (size_t)at->length, err));
    }
    return TX_OK;
}

static enum tx_status list_extents(const struct txfs_draft *draft, struct tx_buf *table,
                                   struct tx_error *err)
{
    const struct txfs_extent *at = txfs_extents_after(&draft->extents, 0);
    for (; at != NULL; at = txfs_extents_after(&draft->extents, at->offset + at->length)) {
        TX_TRY(txfs_extent_put(table, at, err));
    }
    return TX_OK;
}

/* A file of the tree: only what changed, to be written in place. */
static enum tx_status emit_extents(struct txfs_file *file, const struct txfs_object *object,
                                   struct tx_error *err)
{
    struct txfs_view *view = file->view;
    struct txfs_draft *draft = &file->draft;
    TX_AUTO(tx_buf) table = TX_BUF_INIT;
    TX_AUTO(tx_buf) content = TX_BUF_INIT;
    struct txfs_entry entry;
    txfs_change_amend(view, object, &entry);
    entry.kind = entry.kind == TXFS_CHANGE_MOVED ? TXFS_CHANGE_MOVED : TXFS_CHANGE_EXTENTS;
    entry.payload = TXFS_PAYLOAD_EXTENTS;
    entry.staged = 0;
    entry.content = NULL;
    entry.content_size = 0;
    if (draft->fd < 0 && fits_inline(view, draft->used)) {
        TX_TRY(pack_inline(draft, &table, &content, err));
        entry.content = content.data;
        entry.content_size = content.size;
        entry.payload_size = content.size;
        entry.hash = tx_hash128_of(content.data, content.size);
    } else {
        if (draft->fd < 0) {
            TX_TRY(txfs_draft_spill(view, draft, err));
        }
        TX_TRY(list_extents(draft, &table, err));
        TX_TRY(txfs_draft_hash(view, draft, draft->used, &entry.hash, err));
        draft->frozen = true;
        entry.staged = draft->staged;
        entry.payload_size = draft->used;
    }
    entry.size = draft->size;
    entry.keep_size = draft->keep;
    entry.extents = table.data;
    entry.extent_count = (uint32_t)(table.size / TXFS_EXTENT_SIZE);
    entry.atime_ns = entry.mask & TXFS_SETS_TIMES ? entry.atime_ns : TXFS_KEEP_TIME;
    entry.mask |= TXFS_SETS_TIMES;
    entry.mtime_ns = view->fs->io->ops->realtime_ns(view->fs->io);
    return txfs_change_add(view, file->path, object, &entry, err);
}

/* Copy what was written through the handle over what another handle made of the file meanwhile. */
static enum tx_status replay(struct txfs_file *file, struct txfs_draft *onto,
                             struct tx_error *err)
{
    struct txfs_view *view = file->view;
    const struct txfs_draft *mine = &file->draft;
    TX_AUTO(tx_buf) chunk = TX_BUF_INIT;
    uint8_t *data;
    TX_TRY(tx_buf_extend(&chunk, CHUNK_SIZE, &data, err));
    if (mine->cut && mine->keep < onto->size) {
        TX_TRY(txfs_draft_truncate(view, onto, mine->keep, err));
    }
    const struct txfs_extent *at = txfs_extents_after(&mine->extents, 0);
    for (; at != NULL; at = txfs_extents_after(&mine->extents, at->offset + at->length)) {
        for (uint64_t i = 0; at->position >= mine->loaded && i < at->length; i += CHUNK_SIZE) {
            uint64_t left = at->length - i;
            size_t size = left < CHUNK_SIZE ? (size_t)left : CHUNK_SIZE;
            TX_TRY(txfs_draft_fetch(view, mine, data, size, at->position + i, err));
            TX_TRY(txfs_draft_write(view, onto, data, size, at->offset + i, err));
        }
    }
    return mine->cut ? txfs_draft_truncate(view, onto, mine->size, err) : TX_OK;
}

static enum tx_status rebase(struct txfs_file *file, const struct txfs_object *object,
                             struct tx_error *err)
{
    struct txfs_view *view = file->view;
    struct txfs_layer layer;
    struct txfs_draft draft;
    if (file->generation == view->generation) {
        return TX_OK;
    }
    TX_TRY(txfs_file_load(view, object, &layer, &draft, err));
    enum tx_status status = replay(file, &draft, err);
    if (status != TX_OK) {
        txfs_layer_close(view, &layer);
        txfs_draft_discard(view, &draft);
        return status;
    }
    txfs_layer_close(view, &file->layer);
    txfs_draft_discard(view, &file->draft);
    file->layer = layer;
    file->draft = draft;
    return TX_OK;
}

static enum tx_status emit_update(struct txfs_file *file, struct tx_error *err)
{
    struct txfs_object object;
    TX_TRY(txfs_lookup(file->view, file->path, &object, err));
    if (object.kind == TXFS_OBJECT_ABSENT || !S_ISREG(object.stat.mode)) {
        return TX_OK; /* its name is gone, and nobody can see what was written */
    }
    TX_TRY(rebase(file, &object, err));
    return object.kind == TXFS_OBJECT_OWN ? emit_own(file, &object, err)
                                          : emit_extents(file, &object, err);
}

static enum tx_status emit_new(struct txfs_file *file, struct tx_error *err)
{
    char path[TXFS_PATH_MAX + 1];
    const struct txfs_dir_ref *parent;
    TX_TRY(txfs_resolve(file->view, file->path, TXFS_LAST_IS_KEPT, path, &parent, err));
    return txfs_emit_whole(file->view, path, parent, &file->draft, file->mode, NULL, err);
}

enum tx_status txfs_file_emit(struct txfs_file *file, struct tx_error *err)
{
    if (!file->dirty) {
        return TX_OK;
    }
    if (!file->orphan) {
        TX_TRY(file->replaces ? emit_new(file, err) : emit_update(file, err));
    }
    txfs_draft_discard(file->view, &file->draft);
    txfs_layer_close(file->view, &file->layer);
    file->dirty = false;
    file->replaces = false;
    file->generation = 0; /* shows the entry from now on */
    return TX_OK;
}

enum tx_status txfs_put(struct ktm_txn *txn, const char *path, const void *data, size_t size,
                        const struct txio_attr *attr, struct tx_error *err)
{
    char canonical[TXFS_PATH_MAX + 1];
    const struct txfs_dir_ref *parent;
    struct txfs_view *view;
    struct txfs_draft draft;
    TX_TRY(txfs_view_of(txn, &view, err));
    TX_TRY(txfs_resolve(view, path, TXFS_LAST_IS_KEPT, canonical, &parent, err));
    if (canonical[0] == '\0') {
        return txfs_refuse(err, TX_EISDIR, path, "is the root");
    }
    txfs_draft_init(&draft);
    draft.whole = true;
    enum tx_status status = txfs_draft_write(view, &draft, data, size, 0, err);
    if (status == TX_OK) {
        status = txfs_emit_whole(view, canonical, parent, &draft, 0644, attr, err);
    }
    txfs_draft_discard(view, &draft);
    return status;
}
