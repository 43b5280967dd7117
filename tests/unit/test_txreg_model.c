/* SPDX-License-Identifier: MIT */
/* Random operations against the model: views, savepoints, commits, crashes, checkpoints. */
#include "reg_model.h"

#include <stdio.h>

static const char *const names[] = {
    "a", "A", "b",  "Long key name with spaces", "c/d", "\xc3\xa9t\xc3\xa9", /* ete with accents */
    "B", "x", "\xc3\x89T\xc3\x89", "z.1", "\xe2\x82\xac", "\xf0\x9f\x99\x82", "00000001", "y",
};
#define NAMES (sizeof(names) / sizeof(names[0]))

static const char *any_name(uint64_t *seed)
{
    return names[reg_random(seed) % NAMES];
}

static void any_path(char *path, size_t room, uint64_t *seed)
{
    unsigned depth = (unsigned)(reg_random(seed) % 5);
    path[0] = 0;
    for (unsigned i = 0; i < depth; i++) {
        size_t used = strlen(path);
        (void)snprintf(path + used, room - used, "%s%s", i > 0 ? "\\" : "", any_name(seed));
    }
}

static size_t any_size(uint64_t *seed)
{
    switch (reg_random(seed) % 12) {
    case 0:
        return REG_INLINE_MAX - 1 + reg_random(seed) % 3;
    case 1:
        return reg_random(seed) % 20000;
    case 2:
        return reg_random(seed) % 4 == 0 ? reg_random(seed) % 300000 : 0;
    default:
        return reg_random(seed) % 100;
    }
}

static void one_set(struct ktm_txn *txn, struct model_key *model, const char *path, uint64_t *seed)
{
    size_t size = any_size(seed);
    uint8_t *data = malloc(size + 1);
    cr_assert_not_null(data);
    for (size_t i = 0; i < size; i++) {
        data[i] = (uint8_t)(i < 64 ? reg_random(seed) : i);
    }
    uint64_t any = reg_random(seed);
    uint32_t type = (uint32_t)(any % 5 == 0 ? any : any % 12);
    const char *name = reg_random(seed) % 8 == 0 ? "" : any_name(seed);
    enum tx_status wanted = model_set(model, path, name, type, data, size);
    fails(wanted, txreg_set(txn, path, name, type, data, size, ERR));
    free(data);
}

static void one_operation(struct ktm_txn *txn, struct model_key *model, uint64_t *seed)
{
    char path[512];
    const char *name = any_name(seed);
    any_path(path, sizeof(path), seed);
    switch (reg_random(seed) % 16) {
    case 0:
        fails(model_delete(model, path), txreg_delete(txn, path, ERR));
        break;
    case 1:
        fails(model_delete_tree(model, path), txreg_delete_tree(txn, path, ERR));
        break;
    case 2:
    case 3:
        fails(model_rename(model, path, name), txreg_rename(txn, path, name, ERR));
        break;
    case 4:
        fails(model_unset(model, path, name), txreg_unset(txn, path, name, ERR));
        break;
    case 5:
    case 6:
    case 7:
    case 8:
        name = reg_random(seed) % 3 == 0 ? "class" : NULL;
        fails(model_create(model, path, name), txreg_create(txn, path, name, NULL, ERR));
        break;
    default:
        one_set(txn, model, path, seed);
    }
}

/* One transaction with savepoints; ends in a commit or a rollback. */
static void one_transaction(struct reg_place *place, struct model_key **model, uint64_t *seed)
{
    struct ktm_txn *txn = reg_begin(place, 0);
    struct model_key *view = model_copy(*model);
    struct model_key *mark = NULL;
    unsigned count = (unsigned)(reg_random(seed) % 40);
    for (unsigned i = 0; i < count; i++) {
        uint64_t dice = reg_random(seed) % 20;
        if (dice == 0) {
            ok(ktm_savepoint(txn, "mark", ERR));
            if (mark != NULL) {
                model_free(mark);
            }
            mark = model_copy(view);
        } else if (dice == 1 && mark != NULL) {
            ok(ktm_rollback_to(txn, "mark", ERR));
            model_free(view);
            view = model_copy(mark);
        } else {
            one_operation(txn, view, seed);
        }
    }
    model_expect(txn, view);
    if (mark != NULL) {
        model_free(mark);
    }
    if (reg_random(seed) % 4 == 0) {
        ktm_rollback(txn);
        model_free(view);
    } else {
        (void)reg_commit(txn);
        model_free(*model);
        *model = view;
    }
}

static void expect_committed(struct reg_place *place, const struct model_key *model)
{
    struct ktm_txn *txn = reg_begin(place, KTM_READ_ONLY);
    model_expect(txn, model);
    ktm_rollback(txn);
}

static void run(uint64_t seed)
{
    TX_AUTO(reg_world) world;
    reg_world_init(&world, NULL);
    TX_AUTO(reg_place) place;
    reg_place_boot(&place, &world);
    struct model_key *model = model_new();
    for (unsigned i = 0; i < reg_scaled(120); i++) {
        one_transaction(&place, &model, &seed);
        uint64_t dice = reg_random(&seed) % 16;
        if (dice < 3) {
            ok(ktm_checkpoint(place.tm, ERR));
            cr_assert_eq(reg_faults(&world), 0);
        } else if (dice == 3) {
            reg_place_crash(&place);
            cr_assert_eq(reg_faults(&world), 0);
        }
        if (dice % 4 == 0) {
            expect_committed(&place, model);
        }
    }
    expect_committed(&place, model);
    model_free(model);
}

Test(txreg_model, random_operations_match_first_seed)
{
    run(1);
}

Test(txreg_model, random_operations_match_second_seed)
{
    run(2);
}

/* Readers keep their snapshot while others commit and pages are used again. */
Test(txreg_model, snapshots_do_not_move)
{
    enum { READERS = 4 };
    TX_AUTO(reg_world) world;
    reg_world_init(&world, NULL);
    TX_AUTO(reg_place) place;
    reg_place_boot(&place, &world);
    struct model_key *model = model_new();
    struct ktm_txn *readers[READERS] = {NULL};
    struct model_key *seen[READERS] = {NULL};
    uint64_t seed = 3;
    for (unsigned i = 0; i < reg_scaled(60); i++) {
        unsigned slot = i % READERS;
        if (readers[slot] != NULL) {
            model_expect(readers[slot], seen[slot]);
            ktm_rollback(readers[slot]);
            model_free(seen[slot]);
        }
        readers[slot] = reg_begin(&place, KTM_READ_ONLY);
        seen[slot] = model_copy(model);
        one_transaction(&place, &model, &seed);
        ok(ktm_checkpoint(place.tm, ERR));
    }
    for (unsigned slot = 0; slot < READERS; slot++) {
        if (readers[slot] != NULL) {
            model_expect(readers[slot], seen[slot]);
            ktm_rollback(readers[slot]);
            model_free(seen[slot]);
        }
    }
    model_free(model);
}
