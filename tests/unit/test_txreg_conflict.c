/* SPDX-License-Identifier: MIT */
/* Who conflicts with whom: two transactions over one state, in either order of commits. */
#include "reg_fixture.h"

#include <stdio.h>

typedef void work_fn(struct ktm_txn *txn);

static void nothing(struct ktm_txn *txn)
{
    (void)txn;
}
static void set_x(struct ktm_txn *txn)
{
    reg_put(txn, "top\\key", "x", "new");
}
static void set_x_other_case(struct ktm_txn *txn)
{
    reg_put(txn, "TOP\\Key", "X", "other");
}
static void set_y(struct ktm_txn *txn)
{
    reg_put(txn, "top\\key", "y", "new");
}
static void set_fresh(struct ktm_txn *txn)
{
    reg_put(txn, "top\\key", "fresh", "new");
}
static void unset_x(struct ktm_txn *txn)
{
    ok(txreg_unset(txn, "top\\key", "x", ERR));
}
static void delete_key(struct ktm_txn *txn)
{
    ok(txreg_delete(txn, "top\\key", ERR));
}
static void delete_top(struct ktm_txn *txn)
{
    ok(txreg_delete_tree(txn, "top", ERR));
}
static void delete_other(struct ktm_txn *txn)
{
    ok(txreg_delete_tree(txn, "other", ERR));
}
static void rename_key(struct ktm_txn *txn)
{
    ok(txreg_rename(txn, "top\\key", "renamed", ERR));
}
static void rename_top(struct ktm_txn *txn)
{
    ok(txreg_rename(txn, "top", "bottom", ERR));
}
static void rename_case(struct ktm_txn *txn)
{
    ok(txreg_rename(txn, "top\\key", "KEY", ERR));
}
static void create_sub(struct ktm_txn *txn)
{
    ok(txreg_create(txn, "top\\key\\sub", NULL, NULL, ERR));
}
static void create_deep(struct ktm_txn *txn)
{
    ok(txreg_create(txn, "top\\key\\Sub\\deep", NULL, NULL, ERR));
}
static void create_beside(struct ktm_txn *txn)
{
    ok(txreg_create(txn, "top\\beside", NULL, NULL, ERR));
}
static void create_renamed(struct ktm_txn *txn)
{
    ok(txreg_create(txn, "top\\renamed", NULL, NULL, ERR));
}
static void create_bottom(struct ktm_txn *txn)
{
    ok(txreg_create(txn, "bottom", NULL, NULL, ERR));
}

struct pair {
    work_fn *first;
    work_fn *second;
    bool conflicts;         /* when `first` commits before `second` */
    bool conflicts_reverse; /* the other way round */
};

static const struct pair pairs[] = {
    {set_x, set_x, true, true},
    {set_x, set_x_other_case, true, true},
    {set_x, set_y, false, false},
    {set_x, unset_x, true, true},
    {set_x, set_fresh, false, false},
    {set_fresh, set_fresh, true, true},
    {set_x, delete_key, true, true},
    {set_fresh, delete_key, true, true},
    {set_fresh, delete_top, true, true},
    {set_x, delete_other, false, false},
    {set_x, create_sub, false, false},
    {set_x, rename_key, false, true}, /* a renaming takes new values along */
    {set_x, rename_top, false, true},
    {set_x, rename_case, false, true},
    {create_sub, create_sub, true, true},
    {create_sub, create_deep, true, true},
    {create_sub, create_beside, false, false},
    {create_sub, delete_key, true, true},
    {create_deep, delete_key, true, true},
    {create_deep, delete_top, true, true},
    {create_sub, rename_key, false, true},
    {create_beside, delete_top, true, true},
    {create_beside, delete_key, false, false},
    {rename_key, rename_key, true, true},
    {rename_key, rename_case, true, true},
    {rename_key, delete_key, true, true},
    {rename_key, delete_top, true, true},
    {rename_key, create_renamed, true, true},
    {rename_key, rename_top, false, true},
    {rename_top, create_bottom, true, true},
    {delete_key, delete_key, true, true},
    {delete_key, delete_top, true, true},
    {nothing, delete_top, false, false},
};
#define PAIRS (sizeof(pairs) / sizeof(pairs[0]))

static void make_state(struct reg_place *place)
{
    struct ktm_txn *txn = reg_begin(place, 0);
    ok(txreg_create(txn, "top\\key", NULL, NULL, ERR));
    ok(txreg_create(txn, "other\\key", NULL, NULL, ERR));
    reg_put(txn, "top\\key", "x", "old");
    reg_put(txn, "top\\key", "y", "old");
    (void)reg_commit(txn);
}

/* Both begin, both work, `first` commits, then `second`. */
static void expect(size_t index, work_fn *first, work_fn *second, bool conflicts)
{
    TX_AUTO(reg_world) world;
    TX_AUTO(reg_place) place;
    reg_world_init(&world, NULL);
    reg_place_boot(&place, &world);
    make_state(&place);
    struct ktm_txn *a = reg_begin(&place, 0);
    struct ktm_txn *b = reg_begin(&place, 0);
    first(a);
    second(b);
    (void)reg_commit(a);
    enum tx_status status = ktm_commit(b, NULL, ERR);
    cr_assert_eq(status, conflicts ? TX_ECONFLICT : TX_OK, "pair %zu: %s: %s", index,
                 tx_status_name(status), status == TX_OK ? "" : reg_err.text);
    ok(ktm_checkpoint(place.tm, ERR));
    cr_assert_eq(reg_faults(&world), 0);
}

Test(txreg_conflict, every_pair_in_both_orders)
{
    for (size_t i = 0; i < PAIRS; i++) {
        expect(i, pairs[i].first, pairs[i].second, pairs[i].conflicts);
        expect(i, pairs[i].second, pairs[i].first, pairs[i].conflicts_reverse);
    }
}

/* The same without the vote's look at the published state: only the conflict table tells. */
static enum tx_status skip_prepare(void *rm, struct ktm_txn *txn, void *view, struct ktm_vote *vote,
                                   struct tx_error *err)
{
    struct reg_view *mine = view;
    struct reg_state kept = mine->state;
    uint8_t token[KTM_TOKEN_SIZE];
    ktm_published_token(ktm_txn_manager(txn), TXREG_RM, token);
    cr_assert_eq(reg_state_decode(&mine->state, token, err), TX_OK);
    enum tx_status status = txreg_rm_ops()->prepare(rm, txn, view, vote, err);
    mine->state = kept;
    return status;
}

static void expect_by_table(size_t index, work_fn *first, work_fn *second, bool conflicts)
{
    TX_AUTO(reg_world) world;
    TX_AUTO(reg_place) place;
    reg_world_init(&world, NULL);
    reg_place_boot(&place, &world);
    make_state(&place);
    ktm_close(place.tm);
    static struct ktm_rm_ops blind;
    blind = *txreg_rm_ops();
    blind.prepare = skip_prepare;
    struct ktm_options options = {
        .io = world.io,
        .store_dir = world.temp.fd,
        .log = place.log,
        .shared = world.ktm_shared,
        .conflict_entries = REG_CONFLICTS,
    };
    options.rm_ops[TXREG_RM] = &blind;
    options.rms[TXREG_RM] = place.reg;
    ok(ktm_open(&options, &place.tm, ERR));
    struct ktm_txn *a = reg_begin(&place, 0);
    struct ktm_txn *b = reg_begin(&place, 0);
    first(a);
    second(b);
    (void)reg_commit(a);
    enum tx_status status = ktm_commit(b, NULL, ERR);
    cr_assert_eq(status, conflicts ? TX_ECONFLICT : TX_OK, "pair %zu: %s: %s", index,
                 tx_status_name(status), status == TX_OK ? "" : reg_err.text);
}

Test(txreg_conflict, the_conflict_table_alone_tells_the_same)
{
    for (size_t i = 0; i < PAIRS; i++) {
        expect_by_table(i, pairs[i].first, pairs[i].second, pairs[i].conflicts);
        expect_by_table(i, pairs[i].second, pairs[i].first, pairs[i].conflicts_reverse);
    }
}

Test(txreg_conflict, message_names_the_object)
{
    TX_AUTO(reg_world) world;
    TX_AUTO(reg_place) place;
    reg_world_init(&world, NULL);
    reg_place_boot(&place, &world);
    make_state(&place);
    struct ktm_txn *a = reg_begin(&place, 0);
    struct ktm_txn *b = reg_begin(&place, 0);
    set_x(a);
    set_x(b);
    (void)reg_commit(a);
    fails(TX_ECONFLICT, ktm_commit(b, NULL, ERR));
    cr_assert_not_null(strstr(reg_err.text, "top\\key"), "%s", reg_err.text);
}

/* When the table has forgotten everything, revisions still tell. */
Test(txreg_conflict, a_conflict_is_found_after_any_number_of_commits)
{
    TX_AUTO(reg_world) world;
    TX_AUTO(reg_place) place;
    char name[32];
    reg_world_init(&world, NULL);
    reg_place_boot(&place, &world);
    make_state(&place);
    struct ktm_txn *late = reg_begin(&place, 0);
    struct ktm_txn *fine = reg_begin(&place, 0);
    set_x(late);
    set_y(fine);
    struct ktm_txn *txn = reg_begin(&place, 0);
    set_x(txn);
    (void)reg_commit(txn);
    txn = reg_begin(&place, 0);
    for (unsigned i = 0; i < 8 * REG_CONFLICTS; i++) {
        (void)snprintf(name, sizeof(name), "v%u", i);
        ok(txreg_set_u32(txn, "other", name, i, ERR));
    }
    (void)reg_commit(txn);
    ok(ktm_checkpoint(place.tm, ERR));
    fails(TX_ECONFLICT, ktm_commit(late, NULL, ERR));
    (void)reg_commit(fine);
}

/* Write skew: each reads what the other writes. */
static void read_x_set_y(struct ktm_txn *txn)
{
    TX_AUTO(tx_buf) data = TX_BUF_INIT;
    ok(txreg_get(txn, "top\\key", "x", NULL, &data, ERR));
    set_y(txn);
}
static void read_y_set_x(struct ktm_txn *txn)
{
    TX_AUTO(tx_buf) data = TX_BUF_INIT;
    ok(txreg_get(txn, "top\\key", "y", NULL, &data, ERR));
    set_x(txn);
}
static enum tx_status ignore_key(void *arg, const struct txreg_key_info *info, struct tx_error *err)
{
    (void)arg;
    (void)info;
    (void)err;
    return TX_OK;
}
static void list_set_fresh(struct ktm_txn *txn)
{
    ok(txreg_each_key(txn, "top", ignore_key, NULL, ERR));
    reg_put(txn, "other\\key", "fresh", "1");
}
static void miss_set_fresh(struct ktm_txn *txn)
{
    reg_expect_key(txn, "top\\beside\\deep", false);
    reg_put(txn, "other\\key", "fresh", "1");
}
static void miss_value_set_fresh(struct ktm_txn *txn)
{
    reg_expect_none(txn, "top\\key", "fresh");
    reg_put(txn, "other\\key", "fresh", "1");
}

static void expect_isolation(uint32_t flags, work_fn *first, work_fn *second,
                             enum tx_status wanted)
{
    TX_AUTO(reg_world) world;
    TX_AUTO(reg_place) place;
    reg_world_init(&world, NULL);
    reg_place_boot(&place, &world);
    make_state(&place);
    struct ktm_txn *a = reg_begin(&place, flags);
    struct ktm_txn *b = reg_begin(&place, flags);
    first(a);
    second(b);
    (void)reg_commit(a);
    fails(wanted, ktm_commit(b, NULL, ERR));
}

Test(txreg_conflict, serializable_validates_what_was_read)
{
    expect_isolation(0, read_x_set_y, read_y_set_x, TX_OK);
    expect_isolation(KTM_SERIALIZABLE, read_x_set_y, read_y_set_x, TX_ECONFLICT);
    expect_isolation(0, create_beside, list_set_fresh, TX_OK);
    expect_isolation(KTM_SERIALIZABLE, create_beside, list_set_fresh, TX_ECONFLICT);
    expect_isolation(KTM_SERIALIZABLE, create_beside, miss_set_fresh, TX_ECONFLICT);
    expect_isolation(KTM_SERIALIZABLE, set_fresh, miss_value_set_fresh, TX_ECONFLICT);
    expect_isolation(KTM_SERIALIZABLE, set_y, miss_value_set_fresh, TX_OK);
}

/* A detached transaction meets at attachment what was changed since its first touch. */
static void expect_detached(work_fn *mine, work_fn *theirs, enum tx_status wanted)
{
    TX_AUTO(reg_world) world;
    TX_AUTO(reg_place) place;
    reg_world_init(&world, NULL);
    reg_place_boot(&place, &world);
    make_state(&place);
    struct ktm_txn *txn = reg_begin(&place, 0);
    struct ktm_id id = ktm_txn_id(txn);
    mine(txn);
    ok(ktm_detach(txn, ERR));
    txn = reg_begin(&place, 0);
    theirs(txn);
    (void)reg_commit(txn);
    ok(ktm_attach(place.tm, &id, &txn, ERR));
    enum tx_status status = txreg_query(txn, "", NULL, ERR);
    cr_assert(status == TX_OK || status == TX_ECONFLICT);
    fails(wanted, ktm_commit(txn, NULL, ERR));
}

Test(txreg_conflict, detached_transactions_are_validated_from_their_first_touch)
{
    for (size_t i = 0; i < PAIRS; i++) {
        expect_detached(pairs[i].second, pairs[i].first,
                        pairs[i].conflicts ? TX_ECONFLICT : TX_OK);
    }
}

/* Changes of one key by renaming it and setting values under the new name replay alike. */
Test(txreg_conflict, detached_work_is_what_it_was)
{
    TX_AUTO(reg_world) world;
    TX_AUTO(reg_place) place;
    TX_AUTO(tx_buf) before = TX_BUF_INIT;
    TX_AUTO(tx_buf) after = TX_BUF_INIT;
    reg_world_init(&world, NULL);
    reg_place_boot(&place, &world);
    make_state(&place);
    struct ktm_txn *txn = reg_begin(&place, 0);
    struct ktm_id id = ktm_txn_id(txn);
    rename_top(txn);
    reg_put(txn, "bottom\\key", "x", "1");
    reg_put(txn, "bottom\\key", "x", "2");
    ok(txreg_create(txn, "top\\again", "c", NULL, ERR));
    ok(txreg_delete(txn, "bottom\\key", ERR));
    ok(txreg_create(txn, "bottom\\key", NULL, NULL, ERR));
    reg_put(txn, "bottom\\key", "x", "3");
    reg_dump(txn, "", &before);
    ok(ktm_detach(txn, ERR));
    reg_place_crash(&place);
    ok(ktm_attach(place.tm, &id, &txn, ERR));
    reg_dump(txn, "", &after);
    cr_assert_eq(before.size, after.size);
    cr_assert_arr_eq(before.data, after.data, after.size);
    (void)reg_commit(txn);
    tx_buf_clear(&after);
    txn = reg_begin(&place, 0);
    reg_dump(txn, "", &after);
    cr_assert_arr_eq(before.data, after.data, after.size);
    ktm_rollback(txn);
}
