/* SPDX-License-Identifier: MIT */
/* Records that lie in pages whose seals are right: every call that meets one says so. */
#include "reg_fixture.h"

static char long_name[700];
static char other_name[700];

/* The keys have these ids: key 2, key\sub 3, empty 4, valued 5. */
static void fill(struct reg_place *place)
{
    uint8_t data[3000] = {1};
    struct ktm_txn *txn = reg_begin(place, 0);
    memset(long_name, 'n', sizeof(long_name) - 1);
    memset(other_name, 'o', sizeof(other_name) - 1);
    ok(txreg_create(txn, "key\\sub", NULL, NULL, ERR));
    ok(txreg_create(txn, "empty", NULL, NULL, ERR));
    ok(txreg_create(txn, "valued", NULL, NULL, ERR));
    reg_put(txn, "key", "x", "1");
    ok(txreg_set(txn, "key", "large", 3, data, sizeof(data), ERR));
    reg_put(txn, "valued", "a", "1");
    reg_put(txn, "valued", "b", "2");
    (void)reg_commit(txn);
    ok(ktm_checkpoint(place->tm, ERR));
}

typedef void lie_fn(struct reg_writer *writer);

static void put_raw(struct reg_writer *writer, const struct reg_key *key, const void *data,
                    size_t size)
{
    ok(reg_writer_put(writer, key, data, size, ERR));
}

static void put_header(struct reg_writer *writer, uint64_t id, const struct reg_header *header)
{
    struct reg_key key;
    uint8_t record[REG_HEADER_MAX];
    reg_key_head(&key, id, REG_HEADER);
    reg_header_encode(header, record);
    put_raw(writer, &key, record, REG_HEADER_SIZE);
}

static void put_child(struct reg_writer *writer, uint64_t parent, const char *name, uint64_t id,
                      size_t size)
{
    struct reg_key key;
    uint8_t record[100] = {0};
    struct reg_child child = {.id = id};
    ok(reg_key_child(&key, parent, name, strlen(name), ERR));
    tx_fields_encode(reg_child_fields, &child, record);
    memcpy(record + REG_CHILD_SIZE, name, strlen(name));
    put_raw(writer, &key, record, size);
}

static void put_value(struct reg_writer *writer, const char *folded, const char *name,
                      const struct reg_value *like)
{
    struct reg_key key;
    uint8_t record[1000];
    struct reg_value value = *like;
    value.name_size = (uint16_t)strlen(name);
    ok(reg_key_value(&key, value.is_name_out ? 2 : like->type, folded, strlen(folded), ERR));
    size_t size = reg_value_encode_head(&value, record);
    if (!value.is_name_out) {
        memcpy(record + size, name, strlen(name));
        size += strlen(name);
    }
    put_raw(writer, &key, record, size);
}

static void lie_short_child(struct reg_writer *writer)
{
    put_child(writer, 1, "key", 2, REG_CHILD_SIZE);
}
static void lie_short_sub(struct reg_writer *writer)
{
    put_child(writer, 2, "sub", 3, REG_CHILD_SIZE);
}
static void lie_root_below(struct reg_writer *writer)
{
    put_child(writer, 2, "sub", REG_ROOT_ID, REG_CHILD_SIZE + 3);
}
static void lie_circle(struct reg_writer *writer)
{
    put_header(writer, 3, &(struct reg_header){.parent = 2, .subkey_count = 1});
    put_child(writer, 3, "sub", 3, REG_CHILD_SIZE + 3);
}
static void lie_short_header(struct reg_writer *writer)
{
    struct reg_key key;
    reg_key_head(&key, 2, REG_HEADER);
    put_raw(writer, &key, "short", 5);
}
static void lie_no_header(struct reg_writer *writer)
{
    struct reg_key key;
    reg_key_head(&key, 2, REG_HEADER);
    ok(reg_writer_remove(writer, &key, ERR));
}
static void lie_short_value(struct reg_writer *writer)
{
    struct reg_key key;
    ok(reg_key_value(&key, 2, "x", 1, ERR));
    put_raw(writer, &key, "short", 5);
}
static void lie_name(struct reg_writer *writer)
{
    put_value(writer, "b", "a", &(struct reg_value){.type = 5, .ordinal = 1});
}
static void lie_hash(struct reg_writer *writer)
{
    struct reg_value value = {.is_out = true, .is_name_out = true, .ordinal = 9};
    struct iovec part = {other_name, strlen(other_name)};
    ok(reg_overflow_write(writer, &part, 1, &value.ref, ERR));
    put_value(writer, long_name, other_name, &value);
}
static void lie_kind(struct reg_writer *writer)
{
    struct reg_ref root = {writer->state.root_page, writer->state.root_seal};
    put_value(writer, "large", "large", &(struct reg_value){.type = 2, .is_out = true, .size = 3000,
                                                            .ref = root});
}
static void lie_no_size(struct reg_writer *writer)
{
    put_value(writer, "large", "large", &(struct reg_value){.type = 2, .is_out = true,
                                                            .ref = {2, 7}});
}
static void lie_full_of_keys(struct reg_writer *writer)
{
    put_header(writer, 2, &(struct reg_header){.parent = 1, .subkey_count = UINT32_MAX});
}
static void lie_full_of_values(struct reg_writer *writer)
{
    put_header(writer, 2, &(struct reg_header){.parent = 1, .value_count = UINT32_MAX});
}
static void lie_no_subkeys(struct reg_writer *writer)
{
    put_header(writer, 1, &(struct reg_header){.subkey_count = 0});
}
static void lie_no_values(struct reg_writer *writer)
{
    put_header(writer, 2, &(struct reg_header){.parent = 1, .subkey_count = 1});
}

/* The published tree with lies in it, as a token. */
static void make_lie(struct reg_place *place, lie_fn *lie, uint8_t token[KTM_TOKEN_SIZE])
{
    TX_AUTO(reg_writer) writer = {.reg = place->reg};
    struct reg_state state;
    tx_lsn lsn = ktm_published(place->tm);
    ktm_published_token(place->tm, TXREG_RM, token);
    ok(reg_state_decode(&state, token, ERR));
    ok(reg_writer_init(&writer, place->reg, &state, lsn, lsn, ERR));
    lie(&writer);
    ok(reg_writer_finish(&writer, ERR));
    reg_state_encode(&writer.state, token);
}

static enum tx_status query(struct ktm_txn *txn)
{
    struct txreg_key_info info;
    return txreg_query(txn, "key\\sub", &info, ERR);
}
static enum tx_status query_key(struct ktm_txn *txn)
{
    struct txreg_key_info info;
    return txreg_query(txn, "key", &info, ERR);
}
static enum tx_status see_key(void *arg, const struct txreg_key_info *info, struct tx_error *err)
{
    (void)arg;
    (void)info;
    (void)err;
    return TX_OK;
}
static enum tx_status list_keys(struct ktm_txn *txn)
{
    return txreg_each_key(txn, "key", see_key, NULL, ERR);
}
static enum tx_status list_root(struct ktm_txn *txn)
{
    return txreg_each_key(txn, "", see_key, NULL, ERR);
}
static enum tx_status see_value(void *arg, const char *name, uint32_t type, const uint8_t *data,
                                size_t size, struct tx_error *err)
{
    (void)arg;
    (void)name;
    (void)type;
    (void)data;
    (void)size;
    (void)err;
    return TX_OK;
}
static enum tx_status list_values(struct ktm_txn *txn)
{
    return txreg_each_value(txn, "key", see_value, NULL, ERR);
}
static enum tx_status get_value(struct ktm_txn *txn, const char *name)
{
    TX_AUTO(tx_buf) data = TX_BUF_INIT;
    return txreg_get(txn, "key", name, NULL, &data, ERR);
}
static enum tx_status get(struct ktm_txn *txn)
{
    return get_value(txn, "x");
}
static enum tx_status get_large(struct ktm_txn *txn)
{
    return get_value(txn, "large");
}
static enum tx_status get_long(struct ktm_txn *txn)
{
    return get_value(txn, long_name);
}
static enum tx_status set(struct ktm_txn *txn)
{
    return txreg_set(txn, "key", "x", 3, "new", 3, ERR);
}
static enum tx_status set_new(struct ktm_txn *txn)
{
    return txreg_set(txn, "key", "new", 3, "new", 3, ERR);
}
static enum tx_status set_long(struct ktm_txn *txn)
{
    return txreg_set(txn, "key", long_name, 3, "new", 3, ERR);
}
static enum tx_status unset(struct ktm_txn *txn)
{
    return txreg_unset(txn, "key", "x", ERR);
}
static enum tx_status create(struct ktm_txn *txn)
{
    return txreg_create(txn, "key\\new", NULL, NULL, ERR);
}
static enum tx_status delete_empty(struct ktm_txn *txn)
{
    return txreg_delete(txn, "empty", ERR);
}
static enum tx_status delete_valued(struct ktm_txn *txn)
{
    return txreg_delete(txn, "valued", ERR);
}
static enum tx_status delete_tree(struct ktm_txn *txn)
{
    return txreg_delete_tree(txn, "key", ERR);
}

static const struct {
    lie_fn *lie;
    enum tx_status (*work)(struct ktm_txn *txn);
    enum tx_status wanted;
    const char *text;
} meetings[] = {
    {lie_short_child, query, TX_ECORRUPT, "key 1, record of kind 4: malformed"},
    {lie_short_child, list_root, TX_ECORRUPT, "key 1, record of kind 4: malformed"},
    {lie_short_sub, list_keys, TX_ECORRUPT, "key 2, record of kind 4: malformed"},
    {lie_short_sub, delete_tree, TX_ECORRUPT, "key 2, record of kind 4: malformed"},
    {lie_root_below, query, TX_ECORRUPT, "key 2, record of kind 4: malformed"},
    {lie_root_below, delete_tree, TX_ECORRUPT, "key 2, record of kind 4: malformed"},
    {lie_circle, delete_tree, TX_ECORRUPT, "key 3, record of kind 4: malformed"},
    {lie_short_header, query_key, TX_ECORRUPT, "missing or malformed header"},
    {lie_no_header, query_key, TX_ECORRUPT, "missing or malformed header"},
    {lie_no_header, set_new, TX_ECORRUPT, "missing or malformed header"},
    {lie_short_value, get, TX_ECORRUPT, "key 2, record of kind 2: malformed"},
    {lie_short_value, set, TX_ECORRUPT, "key 2, record of kind 2: malformed"},
    {lie_short_value, unset, TX_ECORRUPT, "key 2, record of kind 2: malformed"},
    {lie_short_value, list_values, TX_ECORRUPT, "key 2, record of kind 2: malformed"},
    {lie_name, delete_valued, TX_ECORRUPT, "key 5, record of kind 2: malformed"},
    {lie_hash, get_long, TX_EEXIST, "699 bytes has the same hash"},
    {lie_hash, set_long, TX_EEXIST, "699 bytes has the same hash"},
    {lie_kind, get_large, TX_ECORRUPT, "not the expected part of a large value"},
    {lie_no_size, get_large, TX_ECORRUPT, "impossible size of a large value"},
    {lie_full_of_keys, create, TX_ELIMIT, "2^32 - 1"},
    {lie_full_of_values, set_new, TX_ELIMIT, "2^32 - 1"},
    {lie_no_subkeys, delete_empty, TX_ECORRUPT, "wrong number of subkeys"},
    {lie_no_values, unset, TX_ECORRUPT, "wrong number of values"},
};

Test(txreg_lies, every_call_says_what_it_met)
{
    for (size_t i = 0; i < sizeof(meetings) / sizeof(meetings[0]); i++) {
        TX_AUTO(reg_world) world;
        TX_AUTO(reg_place) place;
        uint8_t token[KTM_TOKEN_SIZE];
        reg_world_init(&world, NULL);
        reg_place_boot(&place, &world);
        fill(&place);
        make_lie(&place, meetings[i].lie, token);
        ok(reg_rm_steady(place.reg, ktm_published(place.tm), token, ERR));
        reg_place_crash(&place);
        struct ktm_txn *txn = reg_begin(&place, 0);
        enum tx_status status = meetings[i].work(txn);
        cr_expect_eq(status, meetings[i].wanted, "meeting %zu: %s", i, tx_status_name(status));
        cr_expect_not_null(strstr(reg_err.text, meetings[i].text), "meeting %zu: %s", i,
                           reg_err.text);
        ktm_rollback(txn);
    }
}

/* A commit that was made over the truth. */
static void redo_over(lie_fn *lie, enum tx_status (*work)(struct ktm_txn *txn), const char *text)
{
    TX_AUTO(reg_world) world;
    TX_AUTO(reg_place) place;
    uint8_t token[KTM_TOKEN_SIZE];
    uint8_t lying[KTM_TOKEN_SIZE];
    reg_world_init(&world, NULL);
    reg_place_boot(&place, &world);
    fill(&place);
    struct ktm_txn *txn = reg_begin(&place, 0);
    ok(work(txn));
    make_lie(&place, lie, lying);
    memcpy(token, lying, sizeof(token));
    struct ktm_commit_info commit = {.lsn = 1u << 20, .next_lsn = (1u << 20) + 4096,
                                     .entries = ktm_txn_entries(txn)};
    fails(TX_ECORRUPT, reg_rm_redo(place.reg, &commit, KTM_REDO_LIVE, token, ERR));
    cr_assert_not_null(strstr(reg_err.text, text), "%s", reg_err.text);
    cr_assert_arr_eq(token, lying, sizeof(token));
    ktm_rollback(txn);
}

Test(txreg_lies, redo_changes_nothing_that_lies)
{
    redo_over(lie_short_value, set, "does not fit the registry");
    redo_over(lie_short_value, unset, "key 2, record of kind 2: malformed");
    redo_over(lie_short_child, create, "does not fit the registry");
    redo_over(lie_no_values, unset, "wrong number of values");
}

/* The vote looks at revisions in the published tree, which a view does not. */
Test(txreg_lies, revisions_of_malformed_records_are_refused)
{
    static lie_fn *const lies[] = {lie_short_header, lie_short_child, lie_short_value};
    TX_AUTO(reg_world) world;
    TX_AUTO(reg_place) place;
    struct reg_key keys[3];
    reg_world_init(&world, NULL);
    reg_place_boot(&place, &world);
    fill(&place);
    reg_key_head(&keys[0], 2, REG_HEADER);
    ok(reg_key_child(&keys[1], 1, "key", 3, ERR));
    ok(reg_key_value(&keys[2], 2, "x", 1, ERR));
    for (unsigned i = 0; i < 3; i++) {
        TX_AUTO(reg_tree) tree;
        uint8_t token[KTM_TOKEN_SIZE];
        struct reg_state state;
        tx_lsn revision;
        make_lie(&place, lies[i], token);
        ok(reg_state_decode(&state, token, ERR));
        reg_tree_open(&tree, place.reg, &state);
        fails(TX_ECORRUPT, reg_tree_revision(&tree, &keys[i], &revision, ERR));
        ok(reg_tree_revision(&tree, &keys[(i + 1) % 3], &revision, ERR));
        cr_assert_gt(revision, 0);
    }
}
