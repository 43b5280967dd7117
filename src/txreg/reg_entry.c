/* SPDX-License-Identifier: MIT */
/*
 * Entries of a change set, as the log has them: a fixed part, the key's path, a name, the data and
 * what it replaced.
 *
 *              name            data        old
 *     create   class           -           -
 *     delete   -               -           class
 *     rename   new name        -           old name
 *     set      value name      new data    old data
 *     unset    value name      -           old data
 *
 * An entry says what was there just before it, so that walking a change set backwards undoes it
 * step by step.
 */
#include <string.h>

#include "base/mutant.h"
#include "txreg/txreg_view.h"

const struct tx_field reg_entry_fields[] = {
    TX_FIELD(struct reg_entry, key_id, "id of the key (create: its parent); 0: made here"),
    TX_FIELD(struct reg_entry, base_revision, "of what it changes, in the snapshot; 0: not there"),
    TX_FIELD(struct reg_entry, key_size, "bytes of the key's path, without its NUL"),
    TX_FIELD(struct reg_entry, name_size, "bytes of the name, without its NUL"),
    TX_FIELD(struct reg_entry, type, "of the new value"),
    TX_FIELD(struct reg_entry, size, "bytes of data"),
    TX_FIELD(struct reg_entry, old_type, "of the old value"),
    TX_FIELD(struct reg_entry, old_size, "bytes of old data"),
    TX_FIELD_END,
};

static const char *read_text(struct tx_reader *reader, size_t size)
{
    const uint8_t *text = tx_read_bytes(reader, size + 1);
    if (text == NULL || memchr(text, 0, size + 1) != text + size) {
        reader->failed = true;
        return NULL;
    }
    return (const char *)text;
}

enum tx_status reg_entry_decode(struct reg_entry *entry, const struct ktm_change *change,
                                struct tx_error *err)
{
    struct tx_reader reader = tx_reader_on(change->body, change->body_size);
    const uint8_t *head = tx_read_bytes(&reader, REG_ENTRY_HEAD);
    if (head != NULL) {
        (void)tx_fields_decode(reg_entry_fields, entry, head);
        entry->op = change->op;
        entry->flags = change->flags;
        entry->key = read_text(&reader, entry->key_size);
        entry->name = read_text(&reader, entry->name_size);
        entry->data = tx_read_bytes(&reader, entry->size);
        entry->old = tx_read_bytes(&reader, entry->old_size);
    }
    if (change->op < REG_OP_CREATE || change->op > REG_OP_UNSET ||
        (change->flags & ~(unsigned)REG_ENTRY_FLAGS) != 0 || !tx_reader_done(&reader) ||
        (entry->size > TXREG_VALUE_SIZE_MAX && !TX_MUTANT(118))) {
        return tx_error_set(err, TX_ECORRUPT, "malformed registry entry (kind %u, %zu bytes)",
                            change->op, change->body_size);
    }
    return TX_OK;
}

const char *reg_entry_last_name(const struct reg_entry *entry, size_t *size)
{
    const char *at = memrchr(entry->key, TXREG_SEPARATOR, entry->key_size);
    const char *name = at != NULL ? at + 1 : entry->key;
    *size = entry->key_size - (size_t)(name - entry->key);
    return name;
}

enum tx_status reg_entry_add(struct ktm_txn *txn, const struct reg_entry *entry,
                             struct tx_error *err)
{
    TX_AUTO(tx_buf) head = TX_BUF_INIT;
    uint8_t *fixed;
    TX_TRY(tx_buf_extend(&head, REG_ENTRY_HEAD, &fixed, err));
    tx_fields_encode(reg_entry_fields, entry, fixed);
    TX_TRY(tx_buf_append(&head, entry->key, entry->key_size, err));
    TX_TRY(tx_buf_put8(&head, 0, err));
    TX_TRY(tx_buf_append(&head, entry->name, entry->name_size, err));
    TX_TRY(tx_buf_put8(&head, 0, err));
    struct iovec parts[3] = {{head.data, head.size},
                             {(void *)(uintptr_t)entry->data, entry->size},
                             {(void *)(uintptr_t)entry->old, entry->old_size}};
    return ktm_txn_add(txn, TXREG_RM, entry->op, entry->flags, parts, 3, err);
}

TX_API enum tx_status txreg_change_decode(const struct ktm_change *entry,
                                          struct txreg_change *change, struct tx_error *err)
{
    static const enum txreg_change_kind kinds[] = {
        [REG_OP_CREATE] = TXREG_CHANGE_CREATE, [REG_OP_DELETE] = TXREG_CHANGE_DELETE,
        [REG_OP_RENAME] = TXREG_CHANGE_RENAME, [REG_OP_SET] = TXREG_CHANGE_SET,
        [REG_OP_UNSET] = TXREG_CHANGE_UNSET,
    };
    struct reg_entry read;
    if (entry->rm != TXREG_RM) {
        return tx_error_set(err, TX_EINVAL, "not an entry of the registry");
    }
    TX_TRY(reg_entry_decode(&read, entry, err));
    *change = (struct txreg_change){
        .kind = kinds[read.op],
        .key = read.key,
        .name = read.op == REG_OP_DELETE ? NULL : read.name,
        .type = read.type,
        .data = read.data,
        .size = read.size,
        .existed = (read.flags & REG_ENTRY_EXISTED) != 0,
        .old_type = read.old_type,
        .old_data = read.old,
        .old_size = read.old_size,
    };
    return TX_OK;
}
