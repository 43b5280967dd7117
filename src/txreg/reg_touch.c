/* SPDX-License-Identifier: MIT */
/*
 * What a transaction depends on and changes, in conflict units. A unit is a record of the tree:
 *
 *     (parent, child name)   the key exists under this name; written by create, delete, rename
 *     (key, value name)      the value; written by set and unset
 *     (key, header)          the contents of a key as a whole; marked by whoever changes a value
 *                            or a subkey of it, read by whoever deletes or lists the key
 *
 * So two transactions may set different values of a key side by side, while one that deletes the
 * key, or any key above it, conflicts with both.
 */
#include <string.h>

#include "txreg/txreg_view.h"

enum tx_status reg_touch(struct reg_view *view, const struct reg_key *key, unsigned mode,
                         const char *label, struct tx_error *err)
{
    if (reg_get_id(key->bytes) >= view->space.new_id) {
        return TX_OK; /* nobody else can know it; the key above it that is known stands for it */
    }
    const struct reg_table_entry *entry = reg_table_find(&view->touches, key->bytes, key->size);
    struct reg_touch *touch = entry != NULL ? entry->value : NULL;
    if (touch != NULL) {
        touch->mode |= mode;
        return TX_OK;
    }
    size_t size = strlen(label) + 1;
    touch = tx_alloc(sizeof(*touch) + size);
    if (touch == NULL) {
        return tx_error_set(err, TX_ENOMEM, "no memory for a conflict unit");
    }
    touch->mode = mode;
    memcpy(touch->label, label, size);
    enum tx_status status = reg_table_set(&view->touches, key->bytes, key->size, touch, err);
    if (status != TX_OK) {
        tx_free(touch);
    }
    return status;
}

enum tx_status reg_touch_path(struct reg_view *view, struct tx_error *err)
{
    struct reg_path *path = &view->space.path;
    TX_AUTO(tx_buf) label = TX_BUF_INIT;
    for (unsigned depth = path->depth; depth > 0; depth--) {
        struct reg_key key;
        const char *name;
        size_t size;
        if (path->level[depth - 1].is_touched) {
            break; /* then so are those above */
        }
        reg_path_name(path, depth, &name, &size);
        TX_TRY(reg_key_child(&key, reg_path_id(path, depth - 1), name, size, err));
        tx_buf_clear(&label);
        TX_TRY(reg_path_append(path, depth, &label, err));
        TX_TRY(tx_buf_put8(&label, 0, err));
        TX_TRY(reg_touch(view, &key, REG_TOUCH_READ, (const char *)label.data, err));
    }
    for (unsigned depth = 0; depth < path->depth; depth++) {
        path->level[depth].is_touched = true;
    }
    return TX_OK;
}

enum tx_status reg_touch_read(struct reg_view *view, const struct reg_key *key,
                              struct tx_error *err)
{
    struct reg_path *path = &view->space.path;
    TX_AUTO(tx_buf) label = TX_BUF_INIT;
    if (!view->is_serializable) {
        return TX_OK;
    }
    TX_TRY(reg_path_append(path, path->depth, &label, err));
    TX_TRY(tx_buf_put8(&label, 0, err));
    return reg_touch(view, key, REG_TOUCH_READ, (const char *)label.data, err);
}

enum tx_status reg_entry_unit(const struct reg_space *space, const struct reg_entry *entry,
                              struct reg_key *key, struct tx_error *err)
{
    const struct reg_path *path = &space->path;
    uint64_t id = reg_path_id(path, path->depth);
    size_t size;
    const char *name;
    switch (entry->op) {
    case REG_OP_CREATE:
        name = reg_entry_last_name(entry, &size);
        return reg_key_child(key, id, name, size, err);
    case REG_OP_DELETE:
        reg_key_head(key, id, REG_HEADER);
        return TX_OK;
    case REG_OP_RENAME:
        reg_path_name(path, path->depth, &name, &size);
        return reg_key_child(key, reg_path_id(path, path->depth - 1), name, size, err);
    default:
        return reg_key_value(key, id, entry->name, entry->name_size, err);
    }
}

static enum tx_status touch_header(struct reg_view *view, uint64_t id, unsigned mode,
                                   const char *label, struct tx_error *err)
{
    struct reg_key key;
    reg_key_head(&key, id, REG_HEADER);
    return reg_touch(view, &key, mode, label, err);
}

/* The key's own place under its parent, and the parent's contents. */
static enum tx_status touch_place(struct reg_view *view, const struct reg_entry *entry,
                                  struct tx_error *err)
{
    const struct reg_path *path = &view->space.path;
    const char *name;
    size_t size;
    struct reg_key key;
    uint64_t parent = reg_path_id(path, path->depth - 1);
    reg_path_name(path, path->depth, &name, &size);
    TX_TRY(reg_key_child(&key, parent, name, size, err));
    TX_TRY(touch_header(view, parent, REG_TOUCH_MARK, entry->key, err));
    return reg_touch(view, &key, REG_TOUCH_WRITE, entry->key, err);
}

enum tx_status reg_touch_entry(struct reg_view *view, const struct reg_entry *entry,
                               struct tx_error *err)
{
    const struct reg_path *path = &view->space.path;
    uint64_t id = reg_path_id(path, path->depth);
    struct reg_key key;
    TX_AUTO(tx_buf) label = TX_BUF_INIT;
    TX_TRY(reg_touch_path(view, err));
    switch (entry->op) {
    case REG_OP_DELETE:
        TX_TRY(touch_place(view, entry, err));
        return touch_header(view, id, REG_TOUCH_READ | REG_TOUCH_MARK, entry->key, err);
    case REG_OP_RENAME:
        TX_TRY(touch_place(view, entry, err));
        TX_TRY(reg_key_child(&key, reg_path_id(path, path->depth - 1), entry->name,
                             entry->name_size, err));
        TX_TRY(reg_touch(view, &key, REG_TOUCH_WRITE, entry->key, err));
        break;
    case REG_OP_CREATE:
        TX_TRY(reg_entry_unit(&view->space, entry, &key, err));
        TX_TRY(reg_touch(view, &key, REG_TOUCH_WRITE, entry->key, err));
        break;
    default:
        TX_TRY(reg_entry_unit(&view->space, entry, &key, err));
        TX_TRY(tx_buf_append(&label, entry->key, entry->key_size, err));
        TX_TRY(tx_buf_append(&label, ": ", 2, err));
        TX_TRY(tx_buf_append(&label, entry->name, entry->name_size + 1u, err));
        TX_TRY(reg_touch(view, &key, REG_TOUCH_WRITE, (const char *)label.data, err));
    }
    return touch_header(view, id, REG_TOUCH_MARK, entry->key, err);
}
