/* SPDX-License-Identifier: MIT */
#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ktm_world.h"

TestSuite(ktm_snapshot, .init = world_setup, .fini = world_teardown);

Test(ktm_snapshot, oldest_is_that_of_the_oldest_reader)
{
    struct handle other;
    handle_join(&other, world, NULL);
    cr_expect_eq(ktm_oldest_snapshot(handle.tm), ktm_published(handle.tm));
    struct ktm_txn *old = txn_begin(&other, 0);
    tx_lsn snapshot = ktm_txn_snapshot(old);
    commit_pair(&handle, 1, 1);
    struct ktm_txn *young = txn_begin(&handle, 0);
    commit_pair(&handle, 1, 2);
    cr_expect_eq(ktm_oldest_snapshot(handle.tm), snapshot);
    cr_expect_eq(ktm_oldest_snapshot(other.tm), snapshot);
    ktm_rollback(old);
    cr_expect_eq(ktm_oldest_snapshot(handle.tm), ktm_txn_snapshot(young));
    ktm_rollback(young);
    cr_expect_eq(ktm_oldest_snapshot(handle.tm), ktm_published(handle.tm));
    handle_close(&other);
}

Test(ktm_snapshot, published_token_is_that_of_the_newest_state)
{
    uint64_t old[KTM_TOKEN_WORDS], new[KTM_TOKEN_WORDS];
    struct ktm_txn *reader = txn_begin(&handle, 0);
    commit_pair(&handle, 1, 7);
    ktm_txn_token(reader, 0, (uint8_t *)old);
    ktm_published_token(handle.tm, 0, (uint8_t *)new);
    cr_expect_eq(old[1], 0);
    cr_expect_eq(new[1], 7);
    ktm_rollback(reader);
}

static void begin_and_die(void *arg)
{
    struct handle mine;
    (void)arg;
    handle_join(&mine, world, NULL);
    (void)txn_begin(&mine, 0);
    (void)txn_begin(&mine, 0);
    (void)kill(getpid(), SIGKILL);
}

Test(ktm_snapshot, dead_readers_pin_nothing)
{
    cr_expect_eq(in_child(begin_and_die, NULL), 128 + SIGKILL);
    unsigned taken = 0;
    for (unsigned i = 0; i < KTM_ATTACHED_MAX; i++) {
        taken += atomic_load(&handle.tm->shared->snapshots[i].owner) != 0;
    }
    cr_expect_eq(taken, 2);
    commit_pair(&handle, 1, 1);
    cr_expect_eq(ktm_oldest_snapshot(handle.tm), ktm_published(handle.tm));
    for (unsigned i = 0; i < KTM_ATTACHED_MAX; i++) {
        cr_expect_eq(atomic_load(&handle.tm->shared->snapshots[i].owner), 0);
    }
}

Test(ktm_snapshot, heir_of_a_process_slot_does_not_keep_its_forebears_alive)
{
    struct handle heir;
    cr_expect_eq(in_child(begin_and_die, NULL), 128 + SIGKILL);
    handle_join(&heir, world, NULL); /* takes the dead process's byte */
    commit_pair(&handle, 1, 1);
    cr_expect_eq(ktm_oldest_snapshot(handle.tm), ktm_published(handle.tm));
    struct ktm_txn *live = txn_begin(&heir, 0);
    commit_pair(&handle, 1, 2);
    cr_expect_eq(ktm_oldest_snapshot(handle.tm), ktm_txn_snapshot(live));
    cr_expect_eq(ktm_oldest_snapshot(heir.tm), ktm_txn_snapshot(live));
    handle_close(&heir);
}

Test(ktm_snapshot, attached_transactions_have_a_limit)
{
    static struct ktm_txn *txns[KTM_ATTACHED_MAX];
    struct ktm_txn *one_more;
    cr_expect_eq(in_child(begin_and_die, NULL), 128 + SIGKILL);
    for (int i = 0; i < KTM_ATTACHED_MAX; i++) {
        txns[i] = txn_begin(&handle, 0); /* the last two in the slots of the dead */
    }
    fails(TX_ELIMIT, ktm_begin(handle.tm, NULL, &one_more, ERR));
    ktm_rollback(txns[3]);
    txns[3] = txn_begin(&handle, 0);
    for (int i = 0; i < KTM_ATTACHED_MAX; i++) {
        ktm_rollback(txns[i]);
    }
}

static _Atomic bool stop;
static _Atomic uint64_t trimmed;

/* Publishes, and trims to what nobody reads. */
static void *publish_and_trim(void *arg)
{
    struct ktm_published state;
    (void)arg;
    ktm_published_read(handle.tm, &state);
    while (!atomic_load(&stop)) {
        state.lsn += 4096;
        for (unsigned word = 0; word < KTM_RM_MAX * KTM_TOKEN_WORDS; word++) {
            memcpy((uint8_t *)state.tokens + word * 8, &state.lsn, 8);
        }
        ktm_published_write(handle.tm, &state);
        if (state.lsn % (16 * 4096) == 0) {
            atomic_store(&trimmed, ktm_oldest_snapshot(handle.tm));
        }
    }
    return NULL;
}

static void check_whole(const struct ktm_published *state)
{
    for (unsigned word = 0; word < KTM_RM_MAX * KTM_TOKEN_WORDS; word++) {
        uint64_t seen;
        memcpy(&seen, (const uint8_t *)state->tokens + word * 8, 8);
        cr_assert(seen == state->lsn || seen == 0, "a mixture");
    }
}

Test(ktm_snapshot, state_is_never_a_mixture_and_never_trimmed)
{
    pthread_t publisher;
    struct handle other;
    handle_join(&other, world, NULL);
    cr_assert_eq(pthread_create(&publisher, NULL, publish_and_trim, NULL), 0);
    for (unsigned i = 0; i < 50000; i++) {
        struct ktm_published state;
        struct ktm_txn *txn = NULL;
        struct ktm_id id = {1, i};
        ktm_published_read(other.tm, &state);
        check_whole(&state);
        ok(ktm_txn_new(other.tm, &id, &txn, ERR));
        ok(ktm_snapshot_take(txn, ERR));
        check_whole(&txn->snapshot);
        cr_assert_geq(txn->snapshot.lsn, state.lsn);
        cr_assert_leq(atomic_load(&trimmed), txn->snapshot.lsn);
        ktm_txn_free(txn);
    }
    atomic_store(&stop, true);
    (void)pthread_join(publisher, NULL);
    handle_close(&other);
}
