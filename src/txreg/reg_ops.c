/* SPDX-License-Identifier: MIT */
/* Keys: create, query, delete, rename. */
#include <string.h>

#include "base/invariant.h"
#include "base/text.h"
#include "txreg/txreg_view.h"

static enum tx_status check_class(const char *class_name, size_t size, struct tx_error *err)
{
    const uint8_t *at = (const uint8_t *)class_name;
    const uint8_t *end = at + size;
    if (size > TXREG_CLASS_MAX) {
        return tx_error_set(err, TX_ELIMIT, "class of %zu bytes, at most %d", size,
                            TXREG_CLASS_MAX);
    }
    while (at < end) {
        uint32_t code_point;
        if (!tx_utf8_next(&at, end, &code_point)) {
            return tx_error_set(err, TX_EINVAL, "class is not UTF-8");
        }
    }
    return TX_OK;
}

/* Make the keys named in `rest` below the resolved path; the last one gets the class. */
static enum tx_status create_rest(struct reg_view *view, const char *rest, const char *class_name,
                                  struct tx_error *err)
{
    struct reg_path *path = &view->space.path;
    char separator = TXREG_SEPARATOR;
    TX_AUTO(tx_buf) text = TX_BUF_INIT;
    TX_TRY(reg_path_append(path, path->depth, &text, err));
    for (;;) {
        size_t size = strcspn(rest, "\\");
        bool is_last = rest[size] == 0;
        if (text.size > 0) {
            TX_TRY(tx_buf_append(&text, &separator, 1, err));
        }
        TX_TRY(tx_buf_append(&text, rest, size, err));
        TX_TRY(tx_buf_put8(&text, 0, err));
        text.size--;
        struct reg_entry entry = {
            .op = REG_OP_CREATE,
            .key = (const char *)text.data,
            .key_size = (uint32_t)text.size,
            .name = is_last ? class_name : "",
            .name_size = is_last ? (uint32_t)strlen(class_name) : 0,
        };
        TX_TRY(reg_view_emit(view, &entry, err));
        if (is_last) {
            return TX_OK;
        }
        rest += size + 1;
    }
}

TX_API enum tx_status txreg_create(struct ktm_txn *txn, const char *key, const char *class_name,
                                   bool *created, struct tx_error *err)
{
    struct reg_view *view;
    const char *rest;
    class_name = class_name != NULL ? class_name : "";
    TX_TRY(reg_view_to_change(txn, &view, err));
    TX_TRY(check_class(class_name, strlen(class_name), err));
    TX_TRY(reg_resolve(&view->space, key, &rest, err));
    if (*rest != 0) {
        TX_TRY(create_rest(view, rest, class_name, err));
    } else if (view->is_serializable) {
        TX_TRY(reg_touch_path(view, err));
    }
    if (created != NULL) {
        *created = *rest != 0;
    }
    return TX_OK;
}

TX_API enum tx_status txreg_query(struct ktm_txn *txn, const char *key,
                                  struct txreg_key_info *info, struct tx_error *err)
{
    struct reg_view *view;
    struct reg_key record;
    uint64_t id;
    TX_TRY(reg_view_of(txn, &view, err));
    TX_TRY(reg_view_resolve(view, key, &id, err));
    if (info == NULL) {
        return TX_OK;
    }
    reg_key_head(&record, id, REG_HEADER);
    TX_TRY(reg_touch_read(view, &record, err));
    struct reg_path *path = &view->space.path;
    const char *name = "";
    size_t size = 0;
    if (path->depth > 0) {
        reg_path_name(path, path->depth, &name, &size);
    }
    return reg_key_info(&view->space, id, name, size, info, err);
}

enum tx_status reg_key_info(struct reg_space *space, uint64_t id, const char *name, size_t size,
                            struct txreg_key_info *info, struct tx_error *err)
{
    struct reg_header header;
    TX_AUTO(reg_hit) hit = REG_HIT_INIT;
    TX_TRY(reg_space_header(space, id, &hit, &header, err));
    TX_INVARIANT(header.class_size < sizeof(info->class_name) && size < sizeof(info->name));
    info->id = id;
    info->revision = header.revision;
    info->write_time_ns = header.write_time_ns;
    info->subkey_count = header.subkey_count;
    info->value_count = header.value_count;
    memcpy(info->name, name, size);
    info->name[size] = 0;
    if (header.class_size > 0) {
        memcpy(info->class_name, header.class_name, header.class_size);
    }
    info->class_name[header.class_size] = 0;
    return TX_OK;
}

TX_API enum tx_status txreg_rename(struct ktm_txn *txn, const char *key, const char *new_name,
                                   struct tx_error *err)
{
    struct reg_view *view;
    uint64_t id;
    struct reg_key old_key;
    struct reg_key new_key;
    const char *name;
    size_t size;
    TX_AUTO(reg_hit) hit = REG_HIT_INIT;
    TX_AUTO(tx_buf) old_name = TX_BUF_INIT;
    TX_TRY(reg_view_to_change(txn, &view, err));
    TX_TRY(reg_resolve_all(&view->space, key, &id, err));
    struct reg_path *path = &view->space.path;
    if (path->depth == 0) {
        return tx_error_set(err, TX_EPERM, "the root key cannot be renamed");
    }
    uint64_t parent = reg_path_id(path, path->depth - 1);
    reg_path_name(path, path->depth, &name, &size);
    TX_TRY(tx_buf_append(&old_name, name, size, err));
    TX_TRY(reg_key_child(&old_key, parent, name, size, err));
    TX_TRY(reg_key_child(&new_key, parent, new_name, strlen(new_name), err));
    if (strlen(new_name) == size && memcmp(new_name, name, size) == 0) {
        return tx_error_set(err, TX_ENOCHANGE, "key \"%s\" has this name already", key);
    }
    TX_TRY(reg_space_get(&view->space, &new_key, &hit, err));
    if (hit.payload != NULL &&
        reg_compare(new_key.bytes, new_key.size, old_key.bytes, old_key.size) != 0) {
        return tx_error_set(err, TX_EEXIST, "rename key \"%s\": \"%s\" exists already", key,
                            new_name);
    }
    struct reg_entry entry = {
        .op = REG_OP_RENAME,
        .name = new_name,
        .name_size = (uint32_t)strlen(new_name),
        .old = old_name.data,
        .old_size = (uint32_t)old_name.size,
    };
    return reg_view_emit(view, &entry, err);
}
