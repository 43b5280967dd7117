/* SPDX-License-Identifier: MIT */
/* Values: set, unset, get. */
#include <string.h>

#include "base/text.h"
#include "txreg/txreg_view.h"

enum tx_status reg_value_name(struct txreg *reg, const struct reg_value *value, struct tx_buf *name,
                              struct tx_error *err)
{
    if (!value->is_name_out) {
        return tx_buf_append(name, value->name, value->name_size, err);
    }
    return reg_overflow_read(reg, value->ref, reg_value_out_size(value), 0, value->name_size, name,
                             err);
}

enum tx_status reg_value_data(struct txreg *reg, const struct reg_value *value, struct tx_buf *data,
                              struct tx_error *err)
{
    if (!value->is_out) {
        return tx_buf_append(data, value->data, value->size, err);
    }
    return reg_overflow_read(reg, value->ref, reg_value_out_size(value),
                             value->is_name_out ? value->name_size : 0, value->size, data, err);
}

enum tx_status reg_value_is_named(const struct reg_key *key, const struct tx_buf *stored,
                                  const char *name, size_t size, struct tx_error *err)
{
    size_t units;
    TX_AUTO(tx_buf) left = TX_BUF_INIT;
    TX_AUTO(tx_buf) right = TX_BUF_INIT;
    if (key->bytes[REG_KEY_HEAD - 1] != REG_LONG_VALUE) {
        return TX_OK;
    }
    TX_TRY(tx_fold_name((const char *)stored->data, stored->size, &left, &units, err));
    TX_TRY(tx_fold_name(name, size, &right, &units, err));
    if (reg_compare(left.data, left.size, right.data, right.size) != 0) {
        return tx_error_set(err, TX_EEXIST, "another value's name of %zu bytes has the same hash",
                            stored->size);
    }
    return TX_OK;
}

enum tx_status reg_view_value(struct reg_view *view, const struct reg_key *key, const char *name,
                              size_t name_size, struct reg_hit *hit, struct reg_value *value,
                              struct tx_error *err)
{
    TX_AUTO(tx_buf) stored = TX_BUF_INIT;
    TX_TRY(reg_space_get(&view->space, key, hit, err));
    if (hit->payload == NULL) {
        return TX_OK;
    }
    if (!reg_value_decode(value, hit->payload, hit->size)) {
        return reg_record_corrupt(err, key->bytes, "malformed");
    }
    if (key->bytes[REG_KEY_HEAD - 1] == REG_LONG_VALUE) {
        TX_TRY(reg_value_name(view->reg, value, &stored, err));
    }
    return reg_value_is_named(key, &stored, name, name_size, err);
}

TX_API enum tx_status txreg_set(struct ktm_txn *txn, const char *key, const char *name,
                                uint32_t type, const void *data, size_t size, struct tx_error *err)
{
    struct reg_view *view;
    uint64_t id;
    struct reg_key record;
    struct reg_value old;
    TX_AUTO(reg_hit) hit = REG_HIT_INIT;
    TX_AUTO(tx_buf) old_data = TX_BUF_INIT;
    TX_TRY(reg_view_to_change(txn, &view, err));
    if (size > TXREG_VALUE_SIZE_MAX) {
        return tx_error_set(err, TX_ELIMIT, "value of %zu bytes, at most %u", size,
                            TXREG_VALUE_SIZE_MAX);
    }
    TX_TRY(reg_resolve_all(&view->space, key, &id, err));
    TX_TRY(reg_key_value(&record, id, name, strlen(name), err));
    TX_TRY(reg_view_value(view, &record, name, strlen(name), &hit, &old, err));
    struct reg_entry entry = {
        .op = REG_OP_SET,
        .name = name,
        .name_size = (uint32_t)strlen(name),
        .type = type,
        .data = data,
        .size = (uint32_t)size,
    };
    if (hit.payload != NULL) {
        TX_TRY(reg_value_data(view->reg, &old, &old_data, err));
        entry.flags = REG_ENTRY_EXISTED;
        entry.old_type = old.type;
        entry.old = old_data.data;
        entry.old_size = (uint32_t)old_data.size;
    }
    return reg_view_emit(view, &entry, err);
}

static enum tx_status no_value(const char *key, const char *name, struct tx_error *err)
{
    return tx_error_set(err, TX_ENOTFOUND, "key \"%s\" has no value \"%s\"", key, name);
}

TX_API enum tx_status txreg_unset(struct ktm_txn *txn, const char *key, const char *name,
                                  struct tx_error *err)
{
    struct reg_view *view;
    uint64_t id;
    struct reg_key record;
    struct reg_value old;
    TX_AUTO(reg_hit) hit = REG_HIT_INIT;
    TX_AUTO(tx_buf) old_data = TX_BUF_INIT;
    TX_AUTO(tx_buf) old_name = TX_BUF_INIT;
    TX_TRY(reg_view_to_change(txn, &view, err));
    TX_TRY(reg_resolve_all(&view->space, key, &id, err));
    TX_TRY(reg_key_value(&record, id, name, strlen(name), err));
    TX_TRY(reg_view_value(view, &record, name, strlen(name), &hit, &old, err));
    if (hit.payload == NULL) {
        return no_value(key, name, err);
    }
    TX_TRY(reg_value_data(view->reg, &old, &old_data, err));
    TX_TRY(reg_value_name(view->reg, &old, &old_name, err));
    TX_TRY(tx_buf_put8(&old_name, 0, err));
    struct reg_entry entry = {
        .op = REG_OP_UNSET,
        .flags = REG_ENTRY_EXISTED,
        .name = (const char *)old_name.data,
        .name_size = (uint32_t)old_name.size - 1,
        .old_type = old.type,
        .old = old_data.data,
        .old_size = (uint32_t)old_data.size,
    };
    return reg_view_emit(view, &entry, err);
}

TX_API enum tx_status txreg_get(struct ktm_txn *txn, const char *key, const char *name,
                                uint32_t *type, struct tx_buf *data, struct tx_error *err)
{
    struct reg_view *view;
    uint64_t id;
    struct reg_key record;
    struct reg_value value;
    TX_AUTO(reg_hit) hit = REG_HIT_INIT;
    TX_TRY(reg_view_of(txn, &view, err));
    TX_TRY(reg_view_resolve(view, key, &id, err));
    TX_TRY(reg_key_value(&record, id, name, strlen(name), err));
    TX_TRY(reg_touch_read(view, &record, err));
    TX_TRY(reg_view_value(view, &record, name, strlen(name), &hit, &value, err));
    if (hit.payload == NULL) {
        return no_value(key, name, err);
    }
    tx_buf_clear(data);
    TX_TRY(reg_value_data(view->reg, &value, data, err));
    if (type != NULL) {
        *type = value.type;
    }
    return TX_OK;
}
