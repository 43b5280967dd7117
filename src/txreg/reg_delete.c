/* SPDX-License-Identifier: MIT */
/*
 * Deleting keys. A key goes value by value and then itself, a tree key by key from below, each
 * with its own entry that says what was lost: so it can be shown, and undone.
 */
#include <string.h>

#include "txreg/txreg_view.h"

/* Remove the values of the key of the resolved path, the newest first: undone backwards, they come
 * back in their old order. */
static enum tx_status delete_values(struct reg_view *view, struct tx_error *err)
{
    struct reg_space *space = &view->space;
    TX_AUTO(reg_order) order = REG_ORDER_INIT;
    TX_AUTO(tx_buf) name = TX_BUF_INIT;
    TX_AUTO(tx_buf) data = TX_BUF_INIT;
    TX_TRY(reg_order_load(space, reg_path_id(&space->path, space->path.depth), &order, err));
    for (size_t i = reg_order_count(&order); i-- > 0;) {
        struct reg_value value;
        TX_AUTO(reg_hit) hit = REG_HIT_INIT;
        TX_TRY(reg_order_get(space, &order, i, &hit, &value, err));
        tx_buf_clear(&name);
        tx_buf_clear(&data);
        TX_TRY(reg_value_name(view->reg, &value, &name, err));
        TX_TRY(tx_buf_put8(&name, 0, err));
        TX_TRY(reg_value_data(view->reg, &value, &data, err));
        struct reg_entry entry = {
            .op = REG_OP_UNSET,
            .flags = REG_ENTRY_EXISTED,
            .name = (const char *)name.data,
            .name_size = (uint32_t)name.size - 1,
            .old_type = value.type,
            .old_size = (uint32_t)data.size,
            .old = data.data,
        };
        TX_TRY(reg_view_emit(view, &entry, err));
    }
    return TX_OK;
}

/* Remove the key of the resolved path, which has no subkeys; the path is then its parent. */
static enum tx_status delete_key(struct reg_view *view, struct tx_error *err)
{
    struct reg_space *space = &view->space;
    struct reg_header header;
    TX_AUTO(reg_hit) hit = REG_HIT_INIT;
    TX_AUTO(tx_buf) class_name = TX_BUF_INIT;
    TX_TRY(delete_values(view, err));
    TX_TRY(reg_space_header(space, reg_path_id(&space->path, space->path.depth), &hit, &header,
                            err));
    TX_TRY(tx_buf_append(&class_name, header.class_name, header.class_size, err));
    struct reg_entry entry = {
        .op = REG_OP_DELETE,
        .flags = REG_ENTRY_EXISTED,
        .name = "",
        .old = class_name.data,
        .old_size = header.class_size,
    };
    return reg_view_emit(view, &entry, err);
}

static enum tx_status begin_delete(struct ktm_txn *txn, const char *key, struct reg_view **view,
                                   struct tx_error *err)
{
    uint64_t id;
    TX_TRY(reg_view_to_change(txn, view, err));
    TX_TRY(reg_resolve_all(&(*view)->space, key, &id, err));
    if (id == REG_ROOT_ID) {
        return tx_error_set(err, TX_EPERM, "the root key cannot be deleted");
    }
    return TX_OK;
}

TX_API enum tx_status txreg_delete(struct ktm_txn *txn, const char *key, struct tx_error *err)
{
    struct reg_view *view;
    struct reg_header header;
    TX_AUTO(reg_hit) hit = REG_HIT_INIT;
    TX_TRY(begin_delete(txn, key, &view, err));
    struct reg_path *path = &view->space.path;
    TX_TRY(reg_space_header(&view->space, reg_path_id(path, path->depth), &hit, &header, err));
    if (header.subkey_count > 0) {
        return tx_error_set(err, TX_ENOTEMPTY, "key \"%s\" has subkeys", key);
    }
    return delete_key(view, err);
}

/* Where the walk stands below one key: behind this subkey. */
struct frame {
    bool has_last;
    struct reg_key last;
};

/* Enter the next subkey; *found is false when there is none left. */
static enum tx_status enter_next(struct reg_view *view, struct frame *frame, bool *found,
                                 struct tx_error *err)
{
    struct reg_space *space = &view->space;
    struct reg_child child;
    TX_AUTO(reg_scan) scan;
    reg_scan_init(&scan, space);
    TX_TRY(reg_scan_begin(&scan, reg_path_id(&space->path, space->path.depth), REG_CHILD,
                          frame->has_last ? &frame->last : NULL, err));
    *found = scan.valid;
    if (!scan.valid) {
        return TX_OK;
    }
    if (!reg_child_decode(&child, scan.payload, scan.size) || child.id <= REG_ROOT_ID ||
        space->path.depth == TXREG_DEPTH_MAX) {
        return reg_record_corrupt(err, scan.key, "malformed");
    }
    frame->has_last = true;
    frame->last.size = (uint16_t)scan.key_size;
    memcpy(frame->last.bytes, scan.key, scan.key_size);
    return reg_path_enter(&space->path, (const char *)child.name, child.name_size, &child, err);
}

static enum tx_status delete_below(struct reg_view *view, struct tx_buf *stack,
                                   struct tx_error *err)
{
    uint8_t *place;
    TX_TRY(tx_buf_extend(stack, sizeof(struct frame), &place, err));
    while (stack->size > 0) {
        struct frame frame;
        bool found;
        uint8_t *top = stack->data + stack->size - sizeof(frame);
        memcpy(&frame, top, sizeof(frame));
        TX_TRY(enter_next(view, &frame, &found, err));
        memcpy(top, &frame, sizeof(frame));
        if (found) {
            TX_TRY(tx_buf_extend(stack, sizeof(frame), &place, err));
        } else {
            TX_TRY(delete_key(view, err));
            stack->size -= sizeof(frame);
        }
    }
    return TX_OK;
}

TX_API enum tx_status txreg_delete_tree(struct ktm_txn *txn, const char *key, struct tx_error *err)
{
    struct reg_view *view;
    TX_AUTO(tx_buf) stack = TX_BUF_INIT;
    TX_TRY(begin_delete(txn, key, &view, err));
    return delete_below(view, &stack, err);
}
