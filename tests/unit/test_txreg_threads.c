/* SPDX-License-Identifier: MIT */
/* Many threads on one handle: readers at full speed while others commit. */
#include "reg_fixture.h"

#include <pthread.h>
#include <stdio.h>

enum { READERS = 3, WRITERS = 2, PAIRS = 50 };

struct crew {
    struct reg_place *place;
    atomic_uint stop;
    atomic_uint commits;
    atomic_uint reads;
    atomic_uint errors;
    unsigned number;
};

/* Both values of a pair are always set together: a reader that sees them differ saw half. */
static void *read_pairs(void *arg)
{
    struct crew *crew = arg;
    struct tx_error err;
    char name[32];
    while (atomic_load(&crew->stop) == 0) {
        struct ktm_txn *txn = NULL;
        TX_AUTO(tx_buf) left = TX_BUF_INIT;
        TX_AUTO(tx_buf) right = TX_BUF_INIT;
        if (ktm_begin(crew->place->tm, NULL, &txn, &err) != TX_OK) {
            atomic_fetch_add(&crew->errors, 1);
            continue;
        }
        for (unsigned i = 0; i < PAIRS; i++) {
            (void)snprintf(name, sizeof(name), "v%u", i);
            if (txreg_get(txn, "left", name, NULL, &left, &err) != TX_OK ||
                txreg_get(txn, "right\\below", name, NULL, &right, &err) != TX_OK ||
                left.size != right.size || memcmp(left.data, right.data, left.size) != 0) {
                atomic_fetch_add(&crew->errors, 1);
            }
            atomic_fetch_add(&crew->reads, 1);
        }
        ktm_rollback(txn);
    }
    return NULL;
}

static enum tx_status write_pair(struct ktm_txn *txn, unsigned pair, uint64_t number,
                                 struct tx_error *err)
{
    char name[32];
    uint8_t data[700] = {0};
    size_t size = number % 3 == 0 ? sizeof(data) : 8; /* in the leaf and out of it */
    (void)snprintf(name, sizeof(name), "v%u", pair);
    tx_put64(data, number);
    TX_TRY(txreg_set(txn, "left", name, 3, data, size, err));
    return txreg_set(txn, "right\\below", name, 3, data, size, err);
}

static void *write_pairs(void *arg)
{
    struct crew *crew = arg;
    struct tx_error err;
    uint64_t seed = atomic_fetch_add(&crew->commits, 1);
    for (unsigned i = 0; i < reg_scaled(150); i++) {
        struct ktm_txn *txn = NULL;
        unsigned pair = (unsigned)(reg_random(&seed) % PAIRS);
        if (ktm_begin(crew->place->tm, NULL, &txn, &err) != TX_OK) {
            atomic_fetch_add(&crew->errors, 1);
            continue;
        }
        enum tx_status status = write_pair(txn, pair, reg_random(&seed), &err);
        if (status == TX_OK) {
            status = ktm_commit(txn, NULL, &err);
        } else {
            ktm_rollback(txn);
        }
        atomic_fetch_add(status == TX_OK ? &crew->commits : &crew->errors,
                         status == TX_ECONFLICT ? 0 : 1);
        if (i % 20 == 0 && ktm_checkpoint(crew->place->tm, &err) != TX_OK) {
            atomic_fetch_add(&crew->errors, 1);
        }
    }
    return NULL;
}

Test(txreg_threads, readers_never_see_half_a_commit)
{
    TX_AUTO(reg_world) world;
    TX_AUTO(reg_place) place;
    pthread_t readers[READERS];
    pthread_t writers[WRITERS];
    reg_world_init(&world, NULL);
    reg_place_boot(&place, &world);
    struct crew crew = {.place = &place};
    struct ktm_txn *txn = reg_begin(&place, 0);
    ok(txreg_create(txn, "left", NULL, NULL, ERR));
    ok(txreg_create(txn, "right\\below", NULL, NULL, ERR));
    for (unsigned i = 0; i < PAIRS; i++) {
        ok(write_pair(txn, i, 1, ERR));
    }
    (void)reg_commit(txn);
    for (unsigned i = 0; i < READERS; i++) {
        cr_assert_eq(pthread_create(&readers[i], NULL, read_pairs, &crew), 0);
    }
    for (unsigned i = 0; i < WRITERS; i++) {
        cr_assert_eq(pthread_create(&writers[i], NULL, write_pairs, &crew), 0);
    }
    for (unsigned i = 0; i < WRITERS; i++) {
        (void)pthread_join(writers[i], NULL);
    }
    atomic_store(&crew.stop, 1);
    for (unsigned i = 0; i < READERS; i++) {
        (void)pthread_join(readers[i], NULL);
    }
    cr_assert_eq(atomic_load(&crew.errors), 0);
    cr_assert_gt(atomic_load(&crew.commits), reg_scaled(100));
    cr_assert_gt(atomic_load(&crew.reads), PAIRS);
    ok(ktm_checkpoint(place.tm, ERR));
    cr_assert_eq(reg_faults(&world), 0);
}
