/* SPDX-License-Identifier: MIT */
/*
 * What one entry of a change set does to a space. This is the only place that changes records, for
 * views and for redo alike, so both arrive at the same registry.
 *
 * The counts and the last-write time in a key's header are changed together with its values and
 * subkeys, here and nowhere else.
 */
#include <string.h>

#include "base/invariant.h"
#include "base/mutant.h"
#include "txreg/txreg_view.h"

/* A header on its way back into the space. */
struct edit {
    struct reg_space *space;
    uint64_t id;
    struct reg_header header;
    uint8_t class_name[TXREG_CLASS_MAX];
};

static enum tx_status edit_begin(struct edit *edit, struct reg_space *space, uint64_t id,
                                 struct tx_error *err)
{
    TX_AUTO(reg_hit) hit = REG_HIT_INIT;
    TX_TRY(reg_space_header(space, id, &hit, &edit->header, err));
    edit->space = space;
    edit->id = id;
    memcpy(edit->class_name, edit->header.class_name, edit->header.class_size);
    edit->header.class_name = edit->class_name;
    return TX_OK;
}

/* Stamp the key as changed and store its header. */
static enum tx_status edit_end(struct edit *edit, struct tx_error *err)
{
    struct reg_key key;
    uint8_t record[REG_HEADER_MAX];
    edit->header.revision = edit->space->revision;
    edit->header.write_time_ns = edit->space->time_ns;
    reg_header_encode(&edit->header, record);
    reg_key_head(&key, edit->id, REG_HEADER);
    struct iovec part = {record, REG_HEADER_SIZE + (size_t)edit->header.class_size};
    return reg_space_put(edit->space, &key, &part, 1, err);
}

static enum tx_status put_child(struct reg_space *space, const struct reg_key *key, uint64_t id,
                                const char *name, size_t size, struct tx_error *err)
{
    struct reg_child child = {.id = id, .revision = space->revision};
    uint8_t head[REG_CHILD_SIZE];
    tx_fields_encode(reg_child_fields, &child, head);
    struct iovec parts[2] = {{head, sizeof(head)}, {(void *)(uintptr_t)name, size}};
    return reg_space_put(space, key, parts, 2, err);
}

static enum tx_status count_full(struct tx_error *err)
{
    return tx_error_set(err, TX_ELIMIT, "a key holds at most 2^32 - 1 subkeys and values");
}

static enum tx_status put_new_header(struct reg_space *space, uint64_t id, uint64_t parent,
                                     const struct reg_entry *entry, struct tx_error *err)
{
    struct edit edit = {.space = space, .id = id};
    if (entry->name_size > TXREG_CLASS_MAX) {
        return tx_error_set(err, TX_ELIMIT, "class of %u bytes, at most %d", entry->name_size,
                            TXREG_CLASS_MAX);
    }
    edit.header.parent = parent;
    edit.header.class_size = (uint16_t)entry->name_size;
    edit.header.class_name = (const uint8_t *)entry->name;
    return edit_end(&edit, err);
}

static enum tx_status apply_create(struct reg_space *space, const struct reg_entry *entry,
                                   struct tx_error *err)
{
    uint64_t parent = reg_path_id(&space->path, space->path.depth);
    uint64_t id = space->next_id;
    size_t size;
    const char *name = reg_entry_last_name(entry, &size);
    struct reg_key key;
    struct edit edit;
    TX_TRY(reg_key_child(&key, parent, name, size, err));
    TX_TRY(edit_begin(&edit, space, parent, err));
    if (edit.header.subkey_count == UINT32_MAX) {
        return count_full(err);
    }
    edit.header.subkey_count++;
    TX_TRY(edit_end(&edit, err));
    TX_TRY(put_child(space, &key, id, name, size, err));
    TX_TRY(put_new_header(space, id, parent, entry, err));
    space->next_id++;
    space->key_count++;
    struct reg_child child = {.id = id, .name = (const uint8_t *)name, .name_size = size};
    return reg_path_enter(&space->path, name, size, &child, err);
}

static enum tx_status apply_delete(struct reg_space *space, const struct reg_entry *entry,
                                   struct tx_error *err)
{
    unsigned depth = space->path.depth;
    uint64_t id = reg_path_id(&space->path, depth);
    uint64_t parent = reg_path_id(&space->path, depth - 1);
    const char *name;
    size_t size;
    struct reg_key key;
    struct edit edit;
    reg_path_name(&space->path, depth, &name, &size);
    TX_TRY(edit_begin(&edit, space, id, err));
    if (edit.header.subkey_count > 0 || edit.header.value_count > 0) {
        return tx_error_set(err, TX_ENOTEMPTY, "key \"%s\" is not empty", entry->key);
    }
    TX_TRY(reg_key_child(&key, parent, name, size, err));
    TX_TRY(reg_space_remove(space, &key, err));
    reg_key_head(&key, id, REG_HEADER);
    TX_TRY(reg_space_remove(space, &key, err));
    TX_TRY(edit_begin(&edit, space, parent, err));
    if (edit.header.subkey_count == 0) {
        return reg_record_corrupt(err, key.bytes, "wrong number of subkeys");
    }
    /* MUTANT_25 (Project Zero, CmpCleanupLightWeightPrepare): a key that is taken back stays in
     * its parent's count. */
    edit.header.subkey_count -= TX_MUTANT(25) && id >= space->new_id ? 0 : 1;
    TX_TRY(edit_end(&edit, err));
    space->key_count--;
    reg_path_cut(&space->path, depth - 1);
    return TX_OK;
}

static enum tx_status apply_rename(struct reg_space *space, const struct reg_entry *entry,
                                   struct tx_error *err)
{
    unsigned depth = space->path.depth;
    uint64_t id = reg_path_id(&space->path, depth);
    uint64_t parent = reg_path_id(&space->path, depth - 1);
    const char *name;
    size_t size;
    struct reg_key old_key;
    struct reg_key new_key;
    struct edit edit;
    TX_AUTO(reg_hit) hit = REG_HIT_INIT;
    reg_path_name(&space->path, depth, &name, &size);
    TX_TRY(reg_key_child(&old_key, parent, name, size, err));
    TX_TRY(reg_key_child(&new_key, parent, entry->name, entry->name_size, err));
    TX_TRY(reg_space_get(space, &new_key, &hit, err));
    bool is_same = new_key.size == old_key.size &&
                   memcmp(new_key.bytes, old_key.bytes, new_key.size) == 0;
    if (hit.payload != NULL && !is_same) {
        return tx_error_set(err, TX_EEXIST, "rename key \"%s\": \"%s\" exists already", entry->key,
                            entry->name);
    }
    TX_TRY(reg_space_remove(space, &old_key, err));
    TX_TRY(put_child(space, &new_key, id, entry->name, entry->name_size, err));
    TX_TRY(edit_begin(&edit, space, id, err));
    TX_TRY(edit_end(&edit, err));
    TX_TRY(edit_begin(&edit, space, parent, err));
    TX_TRY(edit_end(&edit, err));
    reg_path_cut(&space->path, depth - 1);
    return TX_OK;
}

/* Store a value in the form that the map holds: everything in line. */
static enum tx_status put_value(struct reg_space *space, const struct reg_key *key,
                                const struct reg_value *value, struct tx_error *err)
{
    uint8_t head[REG_VALUE_HEAD_MAX];
    size_t size = reg_value_encode_head(value, head);
    struct iovec parts[3] = {{head, size},
                             {(void *)(uintptr_t)value->name, value->name_size},
                             {(void *)(uintptr_t)value->data, value->size}};
    return reg_space_put(space, key, parts, 3, err);
}

static enum tx_status apply_set(struct reg_space *space, uint64_t id,
                                const struct reg_entry *entry, struct tx_error *err)
{
    struct reg_key key;
    struct edit edit;
    struct reg_value value;
    TX_AUTO(reg_hit) hit = REG_HIT_INIT;
    TX_AUTO(tx_buf) old_name = TX_BUF_INIT;
    TX_TRY(reg_key_value(&key, id, entry->name, entry->name_size, err));
    TX_TRY(edit_begin(&edit, space, id, err));
    TX_TRY(reg_space_get(space, &key, &hit, err));
    if (hit.payload != NULL) { /* its name and its place stay */
        if (!reg_value_decode(&value, hit.payload, hit.size)) {
            return reg_record_corrupt(err, key.bytes, "malformed");
        }
        TX_TRY(reg_value_name(space->base.reg, &value, &old_name, err));
        TX_TRY(reg_value_is_named(&key, &old_name, entry->name, entry->name_size, err));
        value.name = old_name.data;
    } else {
        if (edit.header.value_count == UINT32_MAX) {
            return count_full(err);
        }
        value = (struct reg_value){.ordinal = edit.header.next_ordinal++};
        value.name = (const uint8_t *)entry->name;
        value.name_size = (uint16_t)entry->name_size;
        edit.header.value_count++;
    }
    value.is_out = false;
    value.is_name_out = false;
    value.revision = space->revision;
    value.type = entry->type;
    value.size = entry->size;
    value.data = entry->data;
    TX_TRY(put_value(space, &key, &value, err));
    return edit_end(&edit, err);
}

static enum tx_status apply_unset(struct reg_space *space, uint64_t id,
                                  const struct reg_entry *entry, struct tx_error *err)
{
    struct reg_key key;
    struct edit edit;
    TX_AUTO(reg_hit) hit = REG_HIT_INIT;
    TX_TRY(reg_key_value(&key, id, entry->name, entry->name_size, err));
    TX_TRY(edit_begin(&edit, space, id, err));
    TX_TRY(reg_space_get(space, &key, &hit, err));
    if (hit.payload == NULL) {
        return tx_error_set(err, TX_ENOTFOUND, "key \"%s\" has no value \"%s\"", entry->key,
                            entry->name);
    }
    if (edit.header.value_count == 0) {
        return reg_record_corrupt(err, key.bytes, "wrong number of values");
    }
    TX_TRY(reg_space_remove(space, &key, err));
    edit.header.value_count--;
    return edit_end(&edit, err);
}

enum tx_status reg_apply_resolve(struct reg_space *space, const struct reg_entry *entry,
                                 struct tx_error *err)
{
    const char *rest;
    size_t size;
    TX_TRY(reg_resolve(space, entry->key, &rest, err));
    if (entry->key_size == 0 && (entry->op == REG_OP_DELETE || entry->op == REG_OP_RENAME)) {
        return tx_error_set(err, TX_EPERM, "the root key cannot be deleted or renamed");
    }
    if (entry->op != REG_OP_CREATE) {
        return *rest == 0 ? TX_OK
                          : tx_error_set(err, TX_ENOTFOUND, "no key \"%s\"", entry->key);
    }
    if (*rest == 0) {
        return tx_error_set(err, TX_EEXIST, "key \"%s\" exists already", entry->key);
    }
    return rest == reg_entry_last_name(entry, &size)
               ? TX_OK
               : tx_error_set(err, TX_ENOTFOUND, "no key above \"%s\"", entry->key);
}

enum tx_status reg_apply(struct reg_space *space, const struct reg_entry *entry,
                         struct tx_error *err)
{
    switch (entry->op) {
    case REG_OP_CREATE:
        return apply_create(space, entry, err);
    case REG_OP_DELETE:
        return apply_delete(space, entry, err);
    case REG_OP_RENAME:
        return apply_rename(space, entry, err);
    default:
        return reg_apply_value(space, reg_path_id(&space->path, space->path.depth), entry, err);
    }
}

enum tx_status reg_apply_value(struct reg_space *space, uint64_t id, const struct reg_entry *entry,
                               struct tx_error *err)
{
    TX_INVARIANT(entry->op == REG_OP_SET || entry->op == REG_OP_UNSET);
    return entry->op == REG_OP_SET ? apply_set(space, id, entry, err)
                                   : apply_unset(space, id, entry, err);
}
