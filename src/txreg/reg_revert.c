/* SPDX-License-Identifier: MIT */
/*
 * Undoing a commit: its entries backwards, each turned round. An entry says what was before and
 * after it, so each step can tell whether the registry still is what the step left.
 */
#include <string.h>

#include "txreg/txreg_view.h"

static enum tx_status conflict(const struct reg_entry *entry, struct tx_error *err)
{
    return tx_error_set(err, TX_ECONFLICT, "registry key \"%s\" was changed since", entry->key);
}

/* Turn answers that mean "not as it was left" into a conflict. */
static enum tx_status as_conflict(enum tx_status status, const struct reg_entry *entry,
                                  struct tx_error *err)
{
    if (status == TX_ENOTFOUND || status == TX_EEXIST) {
        return conflict(entry, err);
    }
    return status;
}

/* Whether the value is what `data` says; NULL: absent. */
static enum tx_status check_value(struct ktm_txn *txn, const struct reg_entry *entry,
                                  const uint8_t *data, struct tx_error *err)
{
    uint32_t type;
    TX_AUTO(tx_buf) now = TX_BUF_INIT;
    TX_TRY(txreg_query(txn, entry->key, NULL, err));
    enum tx_status status = txreg_get(txn, entry->key, entry->name, &type, &now, err);
    if (data == NULL) {
        return status == TX_ENOTFOUND ? TX_OK : status == TX_OK ? conflict(entry, err) : status;
    }
    TX_TRY(status);
    bool is_same = type == entry->type && now.size == entry->size &&
                   (now.size == 0 || memcmp(now.data, data, now.size) == 0);
    return is_same ? TX_OK : conflict(entry, err);
}

static enum tx_status revert_create(struct ktm_txn *txn, const struct reg_entry *entry,
                                    struct tx_error *err)
{
    struct txreg_key_info info;
    TX_TRY(txreg_query(txn, entry->key, &info, err));
    if (info.subkey_count > 0 || info.value_count > 0) {
        return conflict(entry, err);
    }
    return txreg_delete(txn, entry->key, err);
}

/* Split off the last name of the path: an own copy of the parent's path. */
static enum tx_status parent_of(const struct reg_entry *entry, struct tx_buf *parent,
                                struct tx_error *err)
{
    size_t size;
    const char *name = reg_entry_last_name(entry, &size);
    size_t end = name == entry->key ? 0 : (size_t)(name - entry->key) - 1;
    TX_TRY(tx_buf_append(parent, entry->key, end, err));
    TX_TRY(tx_buf_put8(parent, 0, err));
    parent->size--;
    return TX_OK;
}

static enum tx_status revert_delete(struct ktm_txn *txn, const struct reg_entry *entry,
                                    struct tx_error *err)
{
    bool created;
    TX_AUTO(tx_buf) parent = TX_BUF_INIT;
    TX_AUTO(tx_buf) class_name = TX_BUF_INIT;
    TX_TRY(parent_of(entry, &parent, err));
    TX_TRY(txreg_query(txn, (const char *)parent.data, NULL, err));
    TX_TRY(tx_buf_append(&class_name, entry->old, entry->old_size, err));
    TX_TRY(tx_buf_put8(&class_name, 0, err));
    TX_TRY(txreg_create(txn, entry->key, (const char *)class_name.data, &created, err));
    return created ? TX_OK : conflict(entry, err);
}

static enum tx_status revert_rename(struct ktm_txn *txn, const struct reg_entry *entry,
                                    struct tx_error *err)
{
    TX_AUTO(tx_buf) path = TX_BUF_INIT;
    TX_AUTO(tx_buf) old_name = TX_BUF_INIT;
    TX_TRY(parent_of(entry, &path, err));
    if (path.size > 0) {
        TX_TRY(tx_buf_append_text(&path, "\\", err));
    }
    TX_TRY(tx_buf_append(&path, entry->name, entry->name_size + 1u, err));
    TX_TRY(tx_buf_append(&old_name, entry->old, entry->old_size, err));
    TX_TRY(tx_buf_put8(&old_name, 0, err));
    return txreg_rename(txn, (const char *)path.data, (const char *)old_name.data, err);
}

static enum tx_status put_back(struct ktm_txn *txn, const struct reg_entry *entry,
                               struct tx_error *err)
{
    if ((entry->flags & REG_ENTRY_EXISTED) == 0) {
        return txreg_unset(txn, entry->key, entry->name, err);
    }
    return txreg_set(txn, entry->key, entry->name, entry->old_type, entry->old, entry->old_size,
                     err);
}

static enum tx_status revert_entry(struct ktm_txn *txn, const struct reg_entry *entry,
                                   struct tx_error *err)
{
    switch (entry->op) {
    case REG_OP_CREATE:
        return revert_create(txn, entry, err);
    case REG_OP_DELETE:
        return revert_delete(txn, entry, err);
    case REG_OP_RENAME:
        return revert_rename(txn, entry, err);
    case REG_OP_SET:
        TX_TRY(check_value(txn, entry, entry->data, err));
        return put_back(txn, entry, err);
    default:
        TX_TRY(check_value(txn, entry, NULL, err));
        return put_back(txn, entry, err);
    }
}

TX_API enum tx_status txreg_revert(struct ktm_txn *txn, struct ktm_cursor entries,
                                   struct tx_error *err)
{
    TX_AUTO(tx_buf) changes = TX_BUF_INIT;
    struct ktm_change change;
    while (ktm_cursor_next(&entries, &change)) {
        if (change.rm == TXREG_RM) {
            TX_TRY(tx_buf_append(&changes, &change, sizeof(change), err));
        }
    }
    for (size_t left = changes.size; left > 0; left -= sizeof(change)) {
        struct reg_entry entry;
        memcpy(&change, changes.data + left - sizeof(change), sizeof(change));
        TX_TRY(reg_entry_decode(&entry, &change, err));
        TX_TRY(as_conflict(revert_entry(txn, &entry, err), &entry, err));
    }
    return TX_OK;
}
