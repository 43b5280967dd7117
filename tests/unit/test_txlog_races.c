/* SPDX-License-Identifier: MIT */
/* The words in shared memory that are changed without a lock, by threads that do nothing else. */
#include "unit/log_fixture.h"

#include <pthread.h>

TestSuite(txlog_races, .timeout = 60);

enum { RACERS = 4, ROUNDS = 100000 };

static void race(void *(*fn)(void *arg), void *arg)
{
    pthread_t threads[RACERS];
    for (int i = 0; i < RACERS; i++) {
        cr_assert_eq(pthread_create(&threads[i], NULL, fn, arg), 0);
    }
    for (int i = 0; i < RACERS; i++) {
        cr_assert_eq(pthread_join(threads[i], NULL), 0);
    }
}

static void *raise_often(void *arg)
{
    _Atomic uint64_t *word = arg;
    for (uint64_t i = 1; i <= ROUNDS; i++) {
        proof_raise(word, i);
        cr_assert_geq(atomic_load(word), i);
    }
    return NULL;
}

Test(txlog_races, a_word_that_only_grows_never_falls)
{
    _Atomic uint64_t word = 0;
    race(raise_often, &word);
    cr_assert_eq(atomic_load(&word), ROUNDS);
    proof_raise(&word, 7);
    cr_assert_eq(atomic_load(&word), ROUNDS);
}

static void *unreserve_often(void *arg)
{
    for (uint64_t i = 0; i < ROUNDS; i++) {
        txlog_unreserve(arg, 100);
    }
    return NULL;
}

Test(txlog_races, what_many_give_back_is_given_back_once_each)
{
    struct txlog_shared *shared = shared_new();
    struct txlog log = {.shared = shared};
    shared->reserved = (RACERS * ROUNDS + 5) * (uint64_t)TXLOG_BLOCK_SIZE;
    race(unreserve_often, &log);
    cr_assert_eq(shared->reserved, 5 * TXLOG_BLOCK_SIZE);
}

/* --- The table of segments: each begins one block behind the one before it --- */

static _Atomic uint64_t passed; /* what begins before it may be trimmed */
static _Atomic bool over;

static void *find_often(void *arg)
{
    struct txlog_shared *table = arg;
    struct segment_ref ref;
    uint64_t index;
    while (!atomic_load(&over)) {
        uint64_t seq = atomic_load(&passed) + 3; /* the last but one, until others come */
        if (table_find(table, seq * TXLOG_BLOCK_SIZE, &ref, &index)) {
            cr_assert_eq(ref.seq, seq);
            cr_assert_eq(ref.first_lsn, seq * TXLOG_BLOCK_SIZE);
        } else {
            cr_assert_gt(atomic_load(&passed) + 1, seq); /* it was trimmed */
        }
    }
    return NULL;
}

static void push(struct txlog_shared *table, uint64_t seq)
{
    table_push(table, &(struct segment_ref){seq, seq * TXLOG_BLOCK_SIZE, SMALL_SEGMENT});
}

static void *push_and_cut(void *arg)
{
    struct txlog_shared *table = arg;
    for (uint64_t seq = 5; seq < 5 + 3 * ROUNDS; seq++) {
        push(table, seq);
        atomic_store(&passed, seq - 4);
        table_cut_head(table, seq - 4);
    }
    atomic_store(&over, true);
    return NULL;
}

Test(txlog_races, a_segment_is_found_while_others_come_and_go)
{
    pthread_t writer;
    struct txlog_shared *table = shared_new();
    for (uint64_t seq = 1; seq < 5; seq++) {
        push(table, seq);
    }
    cr_assert_eq(pthread_create(&writer, NULL, push_and_cut, table), 0);
    race(find_often, table);
    cr_assert_eq(pthread_join(writer, NULL), 0);
}
