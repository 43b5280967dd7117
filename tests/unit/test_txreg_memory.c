/* SPDX-License-Identifier: MIT */
/* Memory that runs out at any allocation: an answer, no leak, and nothing half done. */
#include "reg_fixture.h"

#include "failing_alloc.h"

static void fill(struct reg_place *place)
{
    uint8_t large[6000] = {1};
    struct ktm_txn *txn = reg_begin(place, 0);
    ok(txreg_create(txn, "a\\b\\c", "class", NULL, ERR));
    reg_put(txn, "a\\b", "v", "1");
    ok(txreg_set(txn, "a\\b", "large", 3, large, sizeof(large), ERR));
    (void)reg_commit(txn);
}

static enum tx_status count_value(void *arg, const char *name, uint32_t type, const uint8_t *data,
                                  size_t size, struct tx_error *err)
{
    (void)name;
    (void)type;
    (void)data;
    (void)size;
    (void)err;
    (*(unsigned *)arg)++;
    return TX_OK;
}

static enum tx_status some_work(struct ktm_txn *txn)
{
    static const uint8_t large[5000] = {2};
    unsigned count = 0;
    TX_AUTO(tx_buf) data = TX_BUF_INIT;
    TX_TRY(txreg_create(txn, "a\\new\\deep", "class", NULL, ERR));
    TX_TRY(txreg_set(txn, "a\\new", "v", 3, large, sizeof(large), ERR));
    TX_TRY(txreg_set_string(txn, "a\\b", "v", "other", ERR));
    TX_TRY(txreg_get(txn, "a\\b", "large", NULL, &data, ERR));
    TX_TRY(txreg_each_value(txn, "a\\b", count_value, &count, ERR));
    TX_TRY(txreg_rename(txn, "a\\b\\c", "C2", ERR));
    TX_TRY(txreg_delete_tree(txn, "a\\b", ERR));
    return txreg_query(txn, "a\\new\\deep", NULL, ERR);
}

/* Of the view: a failed call may leave the transaction unusable, but then it says so. */
Test(txreg_memory, views_survive_any_failed_allocation)
{
    TX_AUTO(reg_world) world;
    TX_AUTO(reg_place) place;
    reg_world_init(&world, NULL);
    reg_place_boot(&place, &world);
    fill(&place);
    struct ktm_txn *txn = reg_begin(&place, 0);
    ok(some_work(txn)); /* from now on the cache has all it needs */
    ktm_rollback(txn);
    bool failed = true;
    unsigned rounds = 0;
    for (size_t left = 0; failed; left++) {
        enum tx_status after = TX_ENOMEM;
        failing_alloc_begin(left);
        enum tx_status status = ktm_begin(place.tm, NULL, &txn, ERR);
        if (status == TX_OK) {
            status = some_work(txn);
            after = txreg_query(txn, "", NULL, ERR);
            ktm_rollback(txn);
        }
        long in_use = failing_alloc.in_use;
        failed = failing_alloc_end();
        cr_assert_eq(status, failed ? TX_ENOMEM : TX_OK, "%s after %zu", tx_status_name(status),
                     left);
        cr_assert(after == TX_OK || (failed && after == TX_ENOMEM));
        cr_assert_eq(in_use, 0, "%ld allocations are left after %zu", in_use, left);
        rounds++;
    }
    cr_assert_gt(rounds, 30);
    txn = reg_begin(&place, 0);
    reg_expect(txn, "a\\b", "v", "1");
    reg_expect_key(txn, "a\\new", false);
    ktm_rollback(txn);
}

/* Of redo: the commit may not be lost or done in part; trying again with memory finishes it. */
static enum tx_status redo_once(struct txreg *reg, const struct ktm_commit_info *commit,
                                uint8_t token[KTM_TOKEN_SIZE])
{
    return reg_rm_redo(reg, commit, KTM_REDO_LIVE, token, ERR);
}

/* A transaction whose view is broken cannot be committed. */
Test(txreg_memory, broken_views_are_not_committed)
{
    TX_AUTO(reg_world) world;
    TX_AUTO(reg_place) place;
    reg_world_init(&world, NULL);
    reg_place_boot(&place, &world);
    fill(&place);
    unsigned broken = 0;
    for (size_t left = 0; left < 200; left++) {
        struct ktm_txn *txn = reg_begin(&place, 0);
        reg_put(txn, "a\\b", "w", "1");
        failing_alloc_begin(left);
        enum tx_status status = txreg_set_string(txn, "a\\b", "v", "other", ERR);
        (void)failing_alloc_end();
        if (status == TX_OK) {
            ktm_rollback(txn);
            break;
        }
        if (txreg_query(txn, "", NULL, ERR) == TX_ENOMEM) {
            fails(TX_ENOMEM, ktm_commit(txn, NULL, ERR));
            broken++;
        } else { /* the failed call left no trace */
            reg_expect(txn, "a\\b", "v", "1");
            ktm_rollback(txn);
        }
    }
    cr_assert_gt(broken, 0);
}

Test(txreg_memory, redo_survives_any_failed_allocation)
{
    TX_AUTO(reg_world) world;
    TX_AUTO(reg_place) place;
    uint8_t before[KTM_TOKEN_SIZE];
    uint8_t token[KTM_TOKEN_SIZE];
    reg_world_init(&world, NULL);
    reg_place_boot(&place, &world);
    fill(&place);
    ktm_published_token(place.tm, TXREG_RM, before);
    struct ktm_txn *txn = reg_begin(&place, 0);
    ok(some_work(txn));
    struct ktm_commit_info commit = {
        .lsn = 1u << 20,
        .next_lsn = (1u << 20) + 4096,
        .time_ns = 5,
        .entries = ktm_txn_entries(txn),
    };
    bool failed = true;
    unsigned rounds = 0;
    for (size_t left = 0; failed; left++) {
        memcpy(token, before, sizeof(token));
        failing_alloc_begin(left);
        enum tx_status status = redo_once(place.reg, &commit, token);
        failed = failing_alloc_end();
        cr_assert(status == TX_OK || (failed && status == TX_ENOMEM), "%s after %zu: %s",
                  tx_status_name(status), left, reg_err.text);
        cr_assert(status == TX_OK || memcmp(token, before, sizeof(token)) == 0);
        rounds++;
    }
    cr_assert_gt(rounds, 20);
    ktm_rollback(txn);
}
