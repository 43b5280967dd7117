/* SPDX-License-Identifier: MIT */
/*
 * What records must say of each other: every key but the root is named by exactly one parent,
 * which its header names, too; counts are exact; names fold to their place and ordinals to one
 * value each; every key is reached from the root.
 */
#include <stdlib.h>
#include <string.h>

#include "base/invariant.h"
#include "base/mutant.h"
#include "txreg/reg_check.h"

static struct reg_check_key *keys_of(struct reg_check *check, size_t *count)
{
    *count = check->keys.size / sizeof(struct reg_check_key);
    return (struct reg_check_key *)(void *)check->keys.data;
}

static enum tx_status take_header(struct reg_check *check, uint32_t page, uint64_t id,
                                  const struct reg_cell *cell, struct tx_error *err)
{
    struct reg_header header;
    if (!reg_header_decode(&header, cell->payload, cell->payload_size)) {
        reg_check_fault(check, page, "key %llu: malformed header", (unsigned long long)id);
        return TX_OK;
    }
    if (id == 0 || id >= check->slot.state.next_key_id || header.revision > check->slot.lsn) {
        reg_check_fault(check, page, "key %llu: from the future", (unsigned long long)id);
    }
    struct reg_check_key key = {
        .id = id,
        .parent = header.parent,
        .next_ordinal = header.next_ordinal,
        .subkey_count = header.subkey_count,
        .value_count = header.value_count,
        .page = page,
    };
    return tx_buf_append(&check->keys, &key, sizeof(key), err);
}

static enum tx_status take_child(struct reg_check *check, uint32_t page, const struct reg_key *key,
                                 const struct reg_cell *cell, struct tx_error *err)
{
    struct reg_child child;
    struct reg_key folded;
    uint64_t parent = reg_get_id(key->bytes);
    if (!reg_child_decode(&child, cell->payload, cell->payload_size)) {
        reg_check_fault(check, page, "key %llu: malformed subkey", (unsigned long long)parent);
        return TX_OK;
    }
    enum tx_status status = reg_key_child(&folded, parent, (const char *)child.name,
                                          child.name_size, err);
    if (status == TX_ENOMEM && !TX_MUTANT(117)) {
        return status;
    }
    if (status != TX_OK || reg_compare(folded.bytes, folded.size, key->bytes, key->size) != 0) {
        reg_check_fault(check, page, "key %llu: subkey is not where its name belongs",
                        (unsigned long long)parent);
    }
    if (child.revision > check->slot.lsn) {
        reg_check_fault(check, page, "key %llu: subkey from the future",
                        (unsigned long long)parent);
    }
    struct reg_check_edge edge = {parent, child.id, page};
    return tx_buf_append(&check->edges, &edge, sizeof(edge), err);
}

static enum tx_status name_belongs(struct reg_check *check, const struct reg_value *value,
                                   const struct reg_key *key, bool *belongs, struct tx_error *err)
{
    struct reg_key folded;
    TX_AUTO(tx_buf) name = TX_BUF_INIT;
    enum tx_status status = reg_value_name(check->reg, value, &name, err);
    *belongs = false;
    if (status != TX_OK) {
        return status == TX_ECORRUPT ? TX_OK : status;
    }
    TX_TRY(tx_buf_put8(&name, 0, err));
    status = reg_key_value(&folded, reg_get_id(key->bytes), (const char *)name.data, name.size - 1,
                           err);
    *belongs = status == TX_OK &&
               reg_compare(folded.bytes, folded.size, key->bytes, key->size) == 0;
    return status == TX_ENOMEM ? status : TX_OK;
}

static int order_ordinals(const void *a, const void *b)
{
    uint64_t left;
    uint64_t right;
    memcpy(&left, a, sizeof(left));
    memcpy(&right, b, sizeof(right));
    return (left > right) - (left < right);
}

/* The values of one key have come: their ordinals must differ. */
static void end_ordinals(struct reg_check *check)
{
    size_t count = check->ordinals.size / sizeof(uint64_t);
    if (count > 1) {
        qsort(check->ordinals.data, count, sizeof(uint64_t), order_ordinals);
    }
    for (size_t i = 1; i < count; i++) {
        const uint8_t *at = check->ordinals.data + i * sizeof(uint64_t);
        if (memcmp(at, at - sizeof(uint64_t), sizeof(uint64_t)) == 0) {
            reg_check_fault(check, check->ordinals_page, "two values have one place in the order");
        }
    }
    tx_buf_clear(&check->ordinals);
}

static enum tx_status take_value(struct reg_check *check, uint32_t page, const struct reg_key *key,
                                 const struct reg_cell *cell, struct tx_error *err)
{
    struct reg_value value;
    bool belongs;
    size_t count;
    struct reg_check_key *keys = keys_of(check, &count);
    struct reg_check_key *owner = count > 0 ? &keys[count - 1] : NULL;
    uint64_t id = reg_get_id(key->bytes);
    if (!reg_value_decode(&value, cell->payload, cell->payload_size)) {
        reg_check_fault(check, page, "key %llu: malformed value", (unsigned long long)id);
        return TX_OK;
    }
    TX_TRY(name_belongs(check, &value, key, &belongs, err));
    if (!belongs) {
        reg_check_fault(check, page, "key %llu: value is not where its name belongs",
                        (unsigned long long)id);
    }
    if (owner == NULL || owner->id != id || value.ordinal >= owner->next_ordinal) {
        reg_check_fault(check, page, "key %llu: value without a key or a place",
                        (unsigned long long)id);
        return TX_OK;
    }
    if (value.revision > check->slot.lsn) {
        reg_check_fault(check, page, "key %llu: value from the future", (unsigned long long)id);
    }
    owner->value_count--; /* zero in the end */
    check->ordinals_page = page;
    return tx_buf_append(&check->ordinals, &value.ordinal, sizeof(value.ordinal), err);
}

enum tx_status reg_check_record(struct reg_check *check, uint32_t page, const struct reg_key *key,
                                const struct reg_cell *cell, struct tx_error *err)
{
    if (key->size < REG_KEY_HEAD ||
        reg_compare(key->bytes, key->size, check->last.bytes, check->last.size) <= 0) {
        reg_check_fault(check, page, "records are not in order");
        return TX_OK;
    }
    check->last.size = key->size;
    memcpy(check->last.bytes, key->bytes, key->size);
    switch (key->bytes[REG_KEY_HEAD - 1]) {
    case REG_HEADER:
        end_ordinals(check);
        if (key->size != REG_KEY_HEAD) {
            break;
        }
        return take_header(check, page, reg_get_id(key->bytes), cell, err);
    case REG_VALUE:
    case REG_LONG_VALUE:
        return take_value(check, page, key, cell, err);
    case REG_CHILD:
        return take_child(check, page, key, cell, err);
    default:
        break;
    }
    reg_check_fault(check, page, "record of unknown kind %u", key->bytes[REG_KEY_HEAD - 1]);
    return TX_OK;
}

static struct reg_check_key *find_key(struct reg_check *check, uint64_t id)
{
    size_t low = 0;
    size_t high;
    struct reg_check_key *keys = keys_of(check, &high);
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (keys[middle].id < id) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    size_t count;
    (void)keys_of(check, &count);
    return low < count && keys[low].id == id ? &keys[low] : NULL;
}

/* Match one parent's entry with its child's header. `depth` counts how often a key is named. */
static void check_edge(struct reg_check *check, const struct reg_check_edge *edge)
{
    struct reg_check_key *parent = find_key(check, edge->parent);
    struct reg_check_key *child = find_key(check, edge->child);
    if (parent == NULL || child == NULL || child->parent != edge->parent ||
        edge->child == REG_ROOT_ID) {
        reg_check_fault(check, edge->page, "key %llu and its subkey %llu do not know each other",
                        (unsigned long long)edge->parent, (unsigned long long)edge->child);
        return;
    }
    parent->subkey_count--; /* zero in the end */
    child->depth++;
}

static void check_key(struct reg_check *check, const struct reg_check_key *key)
{
    unsigned named = key->id == REG_ROOT_ID ? 0 : 1;
    if (key->subkey_count != 0 || key->value_count != 0) {
        reg_check_fault(check, key->page, "key %llu: wrong count of subkeys or values",
                        (unsigned long long)key->id);
    }
    if (key->depth != named) {
        reg_check_fault(check, key->page, "key %llu: named by %u parents",
                        (unsigned long long)key->id, key->depth);
    }
}

/* Each key's way up must end at the root within the limit; a circle does not. */
static void check_depth(struct reg_check *check, const struct reg_check_key *key)
{
    unsigned depth = 0;
    while (key->id != REG_ROOT_ID && depth <= TXREG_DEPTH_MAX) {
        key = find_key(check, key->parent);
        TX_INVARIANT(key != NULL); /* it was found before, or there are faults */
        depth++;
    }
    if (depth > TXREG_DEPTH_MAX) {
        reg_check_fault(check, 0, "a key is not reached from the root within %d levels",
                        TXREG_DEPTH_MAX);
    }
}

void reg_check_keys(struct reg_check *check)
{
    size_t count;
    struct reg_check_key *keys = keys_of(check, &count);
    const struct reg_check_edge *edges = (const void *)check->edges.data;
    end_ordinals(check);
    for (size_t i = 0; i < check->edges.size / sizeof(*edges); i++) {
        check_edge(check, &edges[i]);
    }
    for (size_t i = 0; i < count; i++) {
        check_key(check, &keys[i]);
    }
    if (count == 0 || keys[0].id != REG_ROOT_ID || keys[0].parent != 0 ||
        count != check->slot.state.key_count) {
        reg_check_fault(check, 0, "%zu keys, the root slot says %llu", count,
                        (unsigned long long)check->slot.state.key_count);
    }
    for (size_t i = 0; i < count && check->faults == 0; i++) {
        check_depth(check, &keys[i]);
    }
}
