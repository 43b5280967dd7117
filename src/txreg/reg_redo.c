/* SPDX-License-Identifier: MIT */
/*
 * Carrying out a durable commit: its entries change a space over the published tree, and the
 * records of the space then go into a new tree, in order.
 *
 * Ids and revisions follow from the state before and the commit alone, so carrying out a commit
 * twice from one state gives the same registry (in other pages, perhaps). Nothing outside of pages
 * that nobody reads is changed, so there is nothing to undo when it fails or is killed.
 */
#include <string.h>

#include "base/invariant.h"
#include "txreg/txreg_view.h"

static bool next_change(struct ktm_cursor *cursor, struct ktm_change *change)
{
    while (ktm_cursor_next(cursor, change)) {
        if (change->rm == TXREG_RM) {
            return true;
        }
    }
    return false;
}

/* A key that was there before the transaction is known by its id: that the path still led to it was
 * validated, so following it once more would only cost time. */
static enum tx_status apply_one(struct reg_space *space, const struct reg_entry *entry,
                                struct tx_error *err)
{
    if (entry->key_id != 0 && (entry->op == REG_OP_SET || entry->op == REG_OP_UNSET)) {
        return reg_apply_value(space, entry->key_id, entry, err);
    }
    TX_TRY(reg_apply_resolve(space, entry, err));
    return reg_apply(space, entry, err);
}

static enum tx_status apply_all(struct reg_space *space, const struct ktm_commit_info *commit,
                                struct tx_error *err)
{
    struct ktm_cursor cursor = commit->entries;
    struct ktm_change change;
    while (next_change(&cursor, &change)) {
        struct reg_entry entry;
        TX_TRY(reg_entry_decode(&entry, &change, err));
        enum tx_status status = apply_one(space, &entry, err);
        if (status == TX_ENOMEM || status == TX_EIO) {
            return status;
        }
        if (status != TX_OK) { /* it was validated against this very state */
            tx_error_prefix(err, "commit %llu does not fit the registry",
                            (unsigned long long)commit->lsn);
            return TX_ECORRUPT;
        }
    }
    return TX_OK;
}

/* Overflow pages of the value that stands in the tree now. */
static enum tx_status free_old(struct reg_writer *writer, const struct reg_key *key,
                               struct tx_error *err)
{
    struct reg_value old;
    struct reg_hit hit = REG_HIT_INIT;
    TX_TRY(reg_writer_get(writer, key, &hit, err));
    if (hit.payload == NULL) {
        return TX_OK;
    }
    if (!reg_value_decode(&old, hit.payload, hit.size)) {
        return reg_record_corrupt(err, key->bytes, "malformed");
    }
    return old.is_out ? reg_overflow_free(writer, old.ref, reg_value_out_size(&old), err) : TX_OK;
}

static enum tx_status write_value(struct reg_writer *writer, const struct reg_key *key,
                                  const struct reg_blob *blob, struct tx_error *err)
{
    struct reg_value value;
    uint8_t head[REG_VALUE_HEAD_MAX];
    TX_AUTO(tx_buf) record = TX_BUF_INIT;
    bool is_sound = reg_value_decode(&value, blob->bytes, blob->size);
    TX_INVARIANT(is_sound); /* apply_set made it */
    bool is_long = key->bytes[REG_KEY_HEAD - 1] == REG_LONG_VALUE;
    if (!is_long && value.size <= REG_INLINE_MAX) {
        return reg_writer_put(writer, key, blob->bytes, blob->size, err);
    }
    struct iovec parts[2] = {{(void *)(uintptr_t)value.name, is_long ? value.name_size : 0u},
                             {(void *)(uintptr_t)value.data, value.size}};
    TX_TRY(reg_overflow_write(writer, parts, 2, &value.ref, err));
    value.is_out = true;
    value.is_name_out = is_long;
    TX_TRY(tx_buf_append(&record, head, reg_value_encode_head(&value, head), err));
    if (!is_long) {
        TX_TRY(tx_buf_append(&record, value.name, value.name_size, err));
    }
    return reg_writer_put(writer, key, record.data, record.size, err);
}

static enum tx_status write_record(struct reg_writer *writer, const struct reg_key *key,
                                   const struct reg_blob *blob, struct tx_error *err)
{
    enum reg_kind kind = key->bytes[REG_KEY_HEAD - 1];
    bool is_value = kind == REG_VALUE || kind == REG_LONG_VALUE;
    if (is_value) {
        TX_TRY(free_old(writer, key, err));
    }
    if (blob->is_absent) {
        return reg_writer_remove(writer, key, err);
    }
    return is_value ? write_value(writer, key, blob, err)
                    : reg_writer_put(writer, key, blob->bytes, blob->size, err);
}

static enum tx_status write_all(struct reg_space *space, struct reg_writer *writer,
                                struct tx_error *err)
{
    reg_table_sort(&space->changes);
    for (size_t i = 0; i < space->changes.count; i++) {
        const struct reg_table_entry *entry = space->changes.entries[i];
        const struct reg_blob *blob = entry->value;
        struct reg_key key = {.size = entry->key_size};
        memcpy(key.bytes, entry->key, entry->key_size);
        if (!blob->is_absent || reg_get_id(key.bytes) < space->new_id) {
            TX_TRY(write_record(writer, &key, blob, err));
        }
    }
    return reg_writer_finish(writer, err);
}

static enum tx_status carry_out(struct txreg *reg, const struct ktm_commit_info *commit,
                                struct reg_state *state, struct tx_error *err)
{
    TX_AUTO(reg_space) space;
    TX_AUTO(reg_writer) writer = {.reg = reg};
    reg_space_init(&space, reg, state);
    space.new_id = state->next_key_id;
    space.next_id = state->next_key_id;
    space.revision = commit->lsn;
    space.time_ns = commit->time_ns;
    TX_TRY(apply_all(&space, commit, err));
    TX_TRY(reg_writer_init(&writer, reg, state, commit->lsn, commit->next_lsn, err));
    TX_TRY(write_all(&space, &writer, err));
    *state = writer.state;
    state->next_key_id = space.next_id;
    state->key_count = space.key_count;
    return TX_OK;
}

enum tx_status reg_rm_redo(void *rm, const struct ktm_commit_info *commit, enum ktm_redo_mode mode,
                           uint8_t token[KTM_TOKEN_SIZE], struct tx_error *err)
{
    struct txreg *reg = rm;
    struct reg_state state;
    struct ktm_cursor cursor = commit->entries;
    struct ktm_change change;
    if (!next_change(&cursor, &change)) {
        return TX_OK;
    }
    if (!reg->writable) {
        return tx_error_set(err, TX_EREADONLY, "%s can only be read", REG_IMAGE_PATH);
    }
    TX_TRY(reg_state_decode(&state, token, err));
    if (reg->shared != NULL) {
        reg_ring_rewind(reg->shared, commit->next_lsn);
        if (!reg_ring_is_searched(reg->shared)) {
            TX_TRY(reg_search_free(reg, &state, mode, err));
            reg_ring_set_searched(reg->shared);
        }
    }
    TX_TRY(carry_out(reg, commit, &state, err));
    reg_state_encode(&state, token);
    return TX_OK;
}
