/* SPDX-License-Identifier: MIT */
/*
 * A space: a tree that does not change and a map of the records that differ from it. Records of
 * keys that the space itself created are in the map only, so the tree is not asked for them.
 */
#include <string.h>

#include "txreg/txreg_view.h"

void reg_space_init(struct reg_space *space, struct txreg *reg, const struct reg_state *state)
{
    memset(space, 0, sizeof(*space));
    reg_tree_open(&space->base, reg, state);
    reg_table_init(&space->changes, tx_free);
    space->new_id = REG_NEW_ID;
    space->next_id = REG_NEW_ID;
    space->key_count = state->key_count;
}

void reg_space_auto(struct reg_space *space)
{
    reg_table_clear(&space->changes);
    reg_path_release(&space->path);
    reg_tree_close(&space->base);
}

void reg_space_clear(struct reg_space *space)
{
    reg_table_clear(&space->changes);
    reg_path_cut(&space->path, 0);
    space->next_id = space->new_id;
}

enum tx_status reg_space_get(struct reg_space *space, const struct reg_key *key,
                             struct reg_hit *hit, struct tx_error *err)
{
    const struct reg_table_entry *entry = reg_table_find(&space->changes, key->bytes, key->size);
    reg_page_drop(hit->page);
    *hit = (struct reg_hit)REG_HIT_INIT;
    if (entry != NULL) {
        const struct reg_blob *blob = entry->value;
        hit->payload = blob->is_absent ? NULL : blob->bytes;
        hit->size = blob->size;
        return TX_OK;
    }
    if (reg_get_id(key->bytes) >= space->new_id) {
        return TX_OK;
    }
    return reg_tree_get(&space->base, key, hit, err);
}

static enum tx_status set_blob(struct reg_space *space, const struct reg_key *key,
                               struct reg_blob *blob, struct tx_error *err)
{
    enum tx_status status = reg_table_set(&space->changes, key->bytes, key->size, blob, err);
    if (status != TX_OK) {
        tx_free(blob);
    }
    return status;
}

static void copy_parts(uint8_t *to, const struct iovec *parts, int count)
{
    for (int i = 0; i < count; i++) {
        if (parts[i].iov_len > 0) {
            memmove(to, parts[i].iov_base, parts[i].iov_len);
            to += parts[i].iov_len;
        }
    }
}

enum tx_status reg_space_put(struct reg_space *space, const struct reg_key *key,
                             const struct iovec *parts, int count, struct tx_error *err)
{
    size_t size = 0;
    for (int i = 0; i < count; i++) {
        size += parts[i].iov_len;
    }
    struct reg_blob *blob = tx_alloc(sizeof(*blob) + size);
    if (blob == NULL) {
        return tx_error_set(err, TX_ENOMEM, "no memory for a record of %zu bytes", size);
    }
    blob->is_absent = false;
    blob->size = size;
    copy_parts(blob->bytes, parts, count);
    return set_blob(space, key, blob, err);
}

enum tx_status reg_space_remove(struct reg_space *space, const struct reg_key *key,
                                struct tx_error *err)
{
    struct reg_blob *blob = tx_alloc_zero(sizeof(*blob));
    if (blob == NULL) {
        return tx_error_set(err, TX_ENOMEM, "no memory for a record");
    }
    blob->is_absent = true;
    return set_blob(space, key, blob, err);
}

enum tx_status reg_tree_revision(struct reg_tree *tree, const struct reg_key *key, tx_lsn *revision,
                                 struct tx_error *err)
{
    struct reg_header header;
    struct reg_child child;
    struct reg_value value;
    bool is_sound = false;
    TX_AUTO(reg_hit) hit = REG_HIT_INIT;
    TX_TRY(reg_tree_get(tree, key, &hit, err));
    if (hit.payload == NULL) {
        *revision = 0;
        return TX_OK;
    }
    switch (key->bytes[REG_KEY_HEAD - 1]) {
    case REG_HEADER:
        is_sound = reg_header_decode(&header, hit.payload, hit.size);
        *revision = header.revision;
        break;
    case REG_CHILD:
        is_sound = reg_child_decode(&child, hit.payload, hit.size);
        *revision = child.revision;
        break;
    default:
        is_sound = reg_value_decode(&value, hit.payload, hit.size);
        *revision = value.revision;
    }
    return is_sound ? TX_OK : reg_record_corrupt(err, key->bytes, "malformed");
}

enum tx_status reg_base_revision(struct reg_space *space, const struct reg_key *key,
                                 tx_lsn *revision, struct tx_error *err)
{
    if (reg_get_id(key->bytes) >= space->new_id) {
        *revision = 0;
        return TX_OK;
    }
    return reg_tree_revision(&space->base, key, revision, err);
}

enum tx_status reg_space_header(struct reg_space *space, uint64_t id, struct reg_hit *hit,
                                struct reg_header *header, struct tx_error *err)
{
    struct reg_key key;
    reg_key_head(&key, id, REG_HEADER);
    TX_TRY(reg_space_get(space, &key, hit, err));
    if (hit->payload == NULL || !reg_header_decode(header, hit->payload, hit->size)) {
        return reg_record_corrupt(err, key.bytes, "missing or malformed header");
    }
    return TX_OK;
}

void reg_scan_init(struct reg_scan *scan, struct reg_space *space)
{
    memset(scan, 0, sizeof(*scan));
    scan->space = space;
    reg_cursor_init(&scan->base, &space->base);
}

void reg_scan_auto(struct reg_scan *scan)
{
    reg_cursor_auto(&scan->base);
}

static bool in_range(const struct reg_scan *scan, const uint8_t *key)
{
    return memcmp(key, scan->range.bytes, REG_KEY_HEAD) == 0;
}

/* Make the lesser of the two next records current, skipping what the changes removed. */
static enum tx_status settle(struct reg_scan *scan, struct tx_error *err)
{
    for (;;) {
        struct reg_cursor *base = &scan->base;
        bool has_base = base->valid && in_range(scan, base->key.bytes);
        bool has_change = scan->has_change && in_range(scan, scan->change.key);
        scan->valid = has_base || has_change;
        if (!scan->valid) {
            return TX_OK;
        }
        int order = !has_change ? -1
                    : !has_base ? 1
                                : reg_compare(base->key.bytes, base->key.size, scan->change.key,
                                              scan->change.key_size);
        if (order < 0) {
            scan->is_changed = false;
            scan->key = base->key.bytes;
            scan->key_size = base->key.size;
            scan->payload = base->payload;
            scan->size = base->payload_size;
            return TX_OK;
        }
        if (order == 0) {
            TX_TRY(reg_cursor_next(base, err)); /* the change stands for it */
        }
        const struct reg_table_entry *entry = scan->change.value;
        const struct reg_blob *blob = entry->value;
        if (!blob->is_absent) {
            scan->is_changed = true;
            scan->key = scan->change.key;
            scan->key_size = scan->change.key_size;
            scan->payload = blob->bytes;
            scan->size = blob->size;
            return TX_OK;
        }
        scan->has_change = tx_map_after(&scan->space->changes.order, scan->change.key,
                                        scan->change.key_size, &scan->change);
    }
}

enum tx_status reg_scan_begin(struct reg_scan *scan, uint64_t id, enum reg_kind kind,
                              const struct reg_key *after, struct tx_error *err)
{
    struct reg_space *space = scan->space;
    reg_key_head(&scan->range, id, kind);
    const struct reg_key *from = after != NULL ? after : &scan->range;
    scan->base.valid = false;
    TX_TRY(reg_table_order(&space->changes, err));
    if (id < space->new_id) {
        TX_TRY(reg_cursor_seek(&scan->base, from->bytes, from->size, err));
        if (after != NULL && scan->base.valid &&
            reg_compare(scan->base.key.bytes, scan->base.key.size, after->bytes, after->size) ==
                0) {
            TX_TRY(reg_cursor_next(&scan->base, err));
        }
    }
    scan->has_change =
        after != NULL
            ? tx_map_after(&space->changes.order, from->bytes, from->size, &scan->change)
            : tx_map_at_or_after(&space->changes.order, from->bytes, from->size, &scan->change);
    return settle(scan, err);
}

enum tx_status reg_scan_next(struct reg_scan *scan, struct tx_error *err)
{
    if (scan->is_changed) {
        scan->has_change = tx_map_after(&scan->space->changes.order, scan->change.key,
                                        scan->change.key_size, &scan->change);
    } else {
        TX_TRY(reg_cursor_next(&scan->base, err));
    }
    return settle(scan, err);
}
