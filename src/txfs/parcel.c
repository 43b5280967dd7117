/* SPDX-License-Identifier: MIT */
/* Copies of entries that change their paths. Contents stay behind in the change set. */
#include <string.h>

#include "txfs/parcel.h"

void txfs_parcel_auto(struct txfs_parcel *parcel)
{
    while (parcel->first != NULL) {
        struct txfs_packed *item = parcel->first;
        parcel->first = item->next;
        tx_buf_release(&item->head);
        tx_free(item->real);
        tx_free(item);
    }
}

static enum tx_status copy_entry(struct txfs_packed *item, const struct txfs_entry *entry,
                                 struct tx_error *err)
{
    TX_TRY(txfs_entry_encode(entry, &item->head, err));
    struct txfs_entry bare = *entry; /* decoded without its content, which stays in the set */
    bare.content_size = 0;
    size_t fixed = tx_fields_size(txfs_entry_fields);
    struct tx_reader reader = tx_reader_on(item->head.data + fixed, item->head.size - fixed);
    item->entry = bare;
    item->entry.path = tx_read_text(&reader);
    const char *target = tx_read_text(&reader);
    const char *base_path = tx_read_text(&reader);
    item->entry.target = entry->target != NULL ? target : NULL;
    item->entry.base_path = entry->base_path != NULL ? base_path : NULL;
    item->entry.xattrs = tx_read_bytes(&reader, tx_read32(&reader));
    item->entry.extents = tx_read_bytes(&reader, (size_t)tx_read32(&reader) * TXFS_EXTENT_SIZE);
    item->entry.content = NULL;
    item->entry.content_size = entry->content_size;
    return TX_OK;
}

static enum tx_status pack_entry(const struct txfs_view *view, struct txfs_parcel *parcel,
                                 const struct txfs_entry *entry, size_t content_at,
                                 struct txfs_packed **made, struct tx_error *err)
{
    char real[TXFS_PATH_MAX + 1];
    struct txfs_packed *item = tx_alloc_zero(sizeof *item);
    if (item == NULL) {
        return tx_error_set(err, TX_ENOMEM, "no memory for a path");
    }
    *parcel->end = item;
    parcel->end = &item->next;
    item->content_at = content_at;
    TX_TRY(copy_entry(item, entry, err));
    TX_TRY(txfs_shows_through(view, entry->path, &item->opaque, real, err));
    item->real = item->opaque ? NULL : tx_text_copy(entry->base_path ? entry->base_path : real);
    if (!item->opaque && item->real == NULL) {
        return tx_error_set(err, TX_ENOMEM, "no memory for a path");
    }
    *made = item;
    return TX_OK;
}

enum tx_status txfs_pack(const struct txfs_view *view, const char *path,
                         const struct txfs_object *object, struct txfs_parcel *parcel,
                         struct tx_error *err)
{
    const struct txfs_node *node = txfs_view_node(view, path);
    struct txfs_packed *item;
    struct txfs_entry entry;
    parcel->end = &parcel->first;
    if (node != NULL) {
        entry = node->entry;
    } else {
        txfs_change_meet(view, path, object, &entry);
    }
    TX_TRY(pack_entry(view, parcel, &entry, node != NULL ? node->content_at : 0, &item, err));
    item->is_root = true;
    for (node = txfs_view_below(view, path, NULL); node != NULL;
         node = txfs_view_below(view, path, node->entry.path)) {
        TX_TRY(pack_entry(view, parcel, &node->entry, node->content_at, &item, err));
    }
    return TX_OK;
}
