/* SPDX-License-Identifier: MIT */
/* Entries that do not fit the registry they are replayed or carried out on, and tokens that make no
 * sense: what a changed detached transaction or a changed log would bring. */
#include "reg_fixture.h"

static struct reg_world world;
static struct reg_place place;
static struct ktm_txn *txn;

static void setup(void)
{
    reg_world_init(&world, NULL);
    reg_place_boot(&place, &world);
    txn = reg_begin(&place, 0);
    ok(txreg_create(txn, "key\\sub", NULL, NULL, ERR));
    ok(txreg_create(txn, "valued", NULL, NULL, ERR));
    reg_put(txn, "valued", "x", "1");
    (void)reg_commit(txn);
    txn = reg_begin(&place, 0);
}

static void teardown(void)
{
    ktm_rollback(txn);
    reg_place_auto(&place);
    reg_world_auto(&world);
}

TestSuite(txreg_misfit, .init = setup, .fini = teardown, .timeout = 60);

static struct reg_view *view_of(struct ktm_txn *of)
{
    void *view = NULL;
    ok(ktm_txn_view(of, TXREG_RM, &view, ERR));
    return view;
}

/* Add an entry as if it had been made over this snapshot, but do not carry it out. */
static void add(enum reg_op op, const char *key, const char *name)
{
    struct reg_space *space = &view_of(txn)->space;
    struct reg_key unit;
    struct reg_entry entry = {.op = (uint8_t)op, .key = key, .key_size = (uint32_t)strlen(key),
                              .name = name, .name_size = (uint32_t)strlen(name)};
    if (reg_apply_resolve(space, &entry, ERR) == TX_OK) {
        entry.key_id = reg_path_id(&space->path, space->path.depth);
        ok(reg_entry_unit(space, &entry, &unit, ERR));
        ok(reg_base_revision(space, &unit, &entry.base_revision, ERR));
    }
    ok(reg_entry_add(txn, &entry, ERR));
}

static struct ktm_commit_info commit_of(struct ktm_txn *of)
{
    return (struct ktm_commit_info){.lsn = 1u << 20, .next_lsn = (1u << 20) + 4096,
                                    .entries = ktm_txn_entries(of)};
}

/* What replay and redo say of the transaction's entries. */
static void expect(enum tx_status replayed, const char *text)
{
    uint8_t before[KTM_TOKEN_SIZE];
    uint8_t token[KTM_TOKEN_SIZE];
    struct ktm_commit_info commit = commit_of(txn);
    fails(replayed, reg_rm_rebuild(place.reg, txn, view_of(txn), ERR));
    cr_assert_not_null(strstr(reg_err.text, text), "%s", reg_err.text);
    cr_assert_eq(reg_err.status, replayed);
    fails(replayed, reg_rm_rebuild(place.reg, txn, view_of(txn), NULL));
    fails(replayed, txreg_query(txn, "", NULL, ERR)); /* the view is broken */
    ktm_published_token(place.tm, TXREG_RM, before);
    memcpy(token, before, sizeof(token));
    fails(TX_ECORRUPT, reg_rm_redo(place.reg, &commit, KTM_REDO_LIVE, token, ERR));
    cr_assert_not_null(strstr(reg_err.text, text), "%s", reg_err.text);
    cr_assert_arr_eq(token, before, sizeof(token));
}

Test(txreg_misfit, entries_that_do_not_fit_are_named)
{
    static char class_name[TXREG_CLASS_MAX + 2];
    memset(class_name, 'c', sizeof(class_name) - 1);
    const struct {
        enum reg_op op;
        const char *key;
        const char *name;
        enum tx_status replayed;
        const char *text;
    } entries[] = {
        {REG_OP_DELETE, "", "", TX_EPERM, "the root key cannot be deleted or renamed"},
        {REG_OP_RENAME, "", "new", TX_EPERM, "the root key cannot be deleted or renamed"},
        {REG_OP_CREATE, "key", "", TX_ECONFLICT, "key \"key\" exists already"},
        {REG_OP_CREATE, "no\\sub", "", TX_ECONFLICT, "no key above \"no\\sub\""},
        {REG_OP_CREATE, "new", class_name, TX_ELIMIT, "class of 1025 bytes"},
        {REG_OP_CREATE, "a\\\\b", "", TX_EINVAL, "empty key name"},
        {REG_OP_DELETE, "key", "", TX_ECONFLICT, "key \"key\" is not empty"},
        {REG_OP_DELETE, "valued", "", TX_ECONFLICT, "key \"valued\" is not empty"},
        {REG_OP_DELETE, "no", "", TX_ECONFLICT, "no key \"no\""},
        {REG_OP_RENAME, "key", "valued", TX_ECONFLICT, "\"valued\" exists already"},
        {REG_OP_UNSET, "key", "x", TX_ECONFLICT, "key \"key\" has no value \"x\""},
        {REG_OP_SET, "no", "x", TX_ECONFLICT, "no key \"no\""},
    };
    for (size_t i = 0; i < sizeof(entries) / sizeof(entries[0]); i++) {
        add(entries[i].op, entries[i].key, entries[i].name);
        expect(entries[i].replayed, entries[i].text);
        ktm_rollback(txn);
        txn = reg_begin(&place, 0);
    }
    reg_expect_key(txn, "key\\sub", true);
}

/* Over another snapshot: what it touched is another key, or has an older revision. */
Test(txreg_misfit, entries_of_another_registry_are_conflicts)
{
    struct txreg_key_info info;
    ok(txreg_query(txn, "key", &info, ERR));
    for (unsigned i = 0; i < 3; i++) {
        struct reg_entry entry = {.op = REG_OP_SET, .key = "key", .key_size = 3, .name = "x",
                                  .name_size = 1, .key_id = info.id + i % 2,
                                  .base_revision = i < 2 ? 0 : 77};
        struct reg_view *view = view_of(txn);
        ok(reg_entry_add(txn, &entry, ERR));
        fails(i == 0 ? TX_OK : TX_ECONFLICT, reg_rm_rebuild(place.reg, txn, view, ERR));
        cr_assert(i == 0 || strstr(reg_err.text, "\"key\" was changed since") != NULL);
        ktm_rollback(txn);
        txn = reg_begin(&place, 0);
    }
}

Test(txreg_misfit, malformed_entries_are_refused_everywhere)
{
    struct iovec part = {"nonsense", 8};
    ok(ktm_txn_add(txn, TXREG_RM, REG_OP_SET, 0, &part, 1, ERR));
    struct ktm_txn *other = reg_begin(&place, 0);
    fails(TX_ECORRUPT, txreg_revert(other, ktm_txn_entries(txn), ERR));
    struct ktm_commit_info commit = commit_of(txn);
    uint8_t token[KTM_TOKEN_SIZE];
    ktm_published_token(place.tm, TXREG_RM, token);
    fails(TX_ECORRUPT, reg_rm_redo(place.reg, &commit, KTM_REDO_LIVE, token, ERR));
    fails(TX_ECORRUPT, txreg_query(txn, "", NULL, ERR)); /* the view begins with a replay */
    cr_assert_not_null(strstr(reg_err.text, "malformed registry entry"), "%s", reg_err.text);
    ktm_rollback(other);
}

/* What txreg_set refuses is no entry either: redo could never store it. */
Test(txreg_misfit, entries_with_too_much_data_are_refused)
{
    struct txreg_change change;
    struct ktm_change entry;
    reg_put(txn, "key", "x", "1");
    struct ktm_cursor cursor = ktm_txn_entries(txn);
    cr_assert(ktm_cursor_next(&cursor, &entry));
    struct reg_entry read;
    ok(reg_entry_decode(&read, &entry, ERR));
    size_t size = entry.body_size - read.size + TXREG_VALUE_SIZE_MAX + 1;
    uint8_t *body = calloc(1, size);
    cr_assert_not_null(body);
    memcpy(body, entry.body, entry.body_size - read.size);
    entry.body = body;
    for (uint32_t more = 0; more < 2; more++) {
        read.size = TXREG_VALUE_SIZE_MAX + more;
        entry.body_size = size - 1 + more;
        tx_fields_encode(reg_entry_fields, &read, body);
        fails(more == 0 ? TX_OK : TX_ECORRUPT, txreg_change_decode(&entry, &change, ERR));
    }
    free(body);
}

/* A commit of another RM alone leaves the registry's state as it is. */
Test(txreg_misfit, redo_without_entries_of_the_registry_changes_nothing)
{
    uint8_t token[KTM_TOKEN_SIZE] = {0}; /* it is not even looked at */
    uint8_t wanted[KTM_TOKEN_SIZE] = {0};
    struct ktm_commit_info commit = {.lsn = 4096, .next_lsn = 8192};
    ok(reg_rm_redo(place.reg, &commit, KTM_REDO_LIVE, token, ERR));
    cr_assert_arr_eq(token, wanted, sizeof(token));
}

/* Shared memory that somebody wrote into. */
Test(txreg_misfit, tokens_that_make_no_sense_are_refused)
{
    uint8_t token[KTM_TOKEN_SIZE];
    uint8_t none[KTM_TOKEN_SIZE] = {0};
    reg_put(txn, "key", "x", "1");
    struct ktm_commit_info commit = commit_of(txn);
    ktm_published_token(place.tm, TXREG_RM, token);
    fails(TX_ECORRUPT, reg_rm_redo(place.reg, &commit, KTM_REDO_LIVE, none, ERR));
    fails(TX_ECORRUPT, reg_rm_steady(place.reg, ktm_published(place.tm), none, ERR));
    uint8_t *at = world.ktm_shared;
    size_t left = ktm_shared_size(REG_CONFLICTS);
    unsigned found = 0;
    for (uint8_t *hit; (hit = memmem(at, left, token, sizeof(token))) != NULL; found++) {
        memset(hit, 0, sizeof(token));
        left -= (size_t)(hit + 1 - at);
        at = hit + 1;
    }
    cr_assert_gt(found, 0);
    fails(TX_ECORRUPT, ktm_commit(txn, NULL, ERR));
    cr_assert_not_null(strstr(reg_err.text, "makes no sense"), "%s", reg_err.text);
    txn = reg_begin(&place, 0);
    fails(TX_ECORRUPT, txreg_query(txn, "", NULL, ERR));
}
