/* SPDX-License-Identifier: MIT */
/* How often a commit makes the disk flush: the promise "one force". */
#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>

#include "store_fixture.h"

#define THREADS 16
#define PROCESSES 4
#define TURNS 50
/* /tmp may be memory, where a force takes no time: nobody waits for one, and none is shared. */
#define DISK_NS 5000000

static void setup(void)
{
    fixture_make(NULL);
}

TestSuite(store_forces, .init = setup, .fini = fixture_remove, .timeout = 120);

Test(store_forces, thousand_files_and_hundred_values_cost_exactly_one)
{
    struct txstore *store = fixture_open();
    struct ktm_txn *txn = NULL;
    char content[4096];
    char name[64];
    memset(content, 'x', sizeof content);
    must(txstore_begin(store, NULL, &txn, &fixture_err));
    must(txfs_mkdir(txn, "d", 0755, &fixture_err));
    for (int i = 0; i < 1000; i++) {
        snprintf(name, sizeof name, "d/f%04d", i);
        must(txfs_put(txn, name, content, sizeof content, NULL, &fixture_err));
    }
    must(txreg_create(txn, "Software\\Test", NULL, NULL, &fixture_err));
    for (int i = 0; i < 100; i++) {
        snprintf(name, sizeof name, "v%03d", i);
        must(txreg_set_u32(txn, "Software\\Test", name, (uint32_t)i, &fixture_err));
    }
    uint64_t before = fixture_forces();
    must(ktm_commit(txn, NULL, &fixture_err));
    cr_expect_eq(fixture_forces() - before, 1, "%llu forces",
                 (unsigned long long)(fixture_forces() - before));
    fixture_close(store);
}

Test(store_forces, reading_and_rolling_back_cost_none)
{
    struct txstore *store = fixture_open();
    struct ktm_txn *txn = NULL;
    uint64_t before = fixture_forces();
    must(txstore_begin(store, NULL, &txn, &fixture_err));
    must(txfs_put(txn, "f", "x", 1, NULL, &fixture_err));
    ktm_rollback(txn);
    must(txstore_begin(store, NULL, &txn, &fixture_err));
    must(ktm_commit(txn, NULL, &fixture_err));
    cr_expect_eq(fixture_forces(), before);
    fixture_close(store);
}

struct committer {
    struct txstore *store;
    int number;
};

static void commit_turns(struct txstore *store, int number)
{
    char name[64];
    for (int turn = 0; turn < TURNS; turn++) {
        struct ktm_txn *txn = NULL;
        must(txstore_begin(store, NULL, &txn, &fixture_err));
        snprintf(name, sizeof name, "Key%d", number);
        must(txreg_create(txn, name, NULL, NULL, &fixture_err));
        must(txreg_set_u32(txn, name, "turn", (uint32_t)turn, &fixture_err));
        must(ktm_commit(txn, NULL, &fixture_err));
    }
}

static void *commit_thread(void *arg)
{
    struct committer *committer = arg;
    commit_turns(committer->store, committer->number);
    return NULL;
}

Test(store_forces, sixteen_threads_share_forces)
{
    counting.datasync_ns = DISK_NS;
    struct txstore *store = fixture_open();
    pthread_t threads[THREADS];
    struct committer committers[THREADS];
    uint64_t before = fixture_forces();
    for (int i = 0; i < THREADS; i++) {
        committers[i] = (struct committer){store, i};
        cr_assert_eq(pthread_create(&threads[i], NULL, commit_thread, &committers[i]), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
    }
    double ratio = (double)(fixture_forces() - before) / (THREADS * TURNS);
    cr_expect(ratio < 0.25, "%.3f forces per commit", ratio);
    fixture_close(store);
}

/* Processes start together: each waits until all have the store open. */
static void commit_process(int number, _Atomic uint32_t *ready)
{
    struct txstore *store = fixture_open();
    pthread_t threads[4];
    struct committer committers[4];
    atomic_fetch_add(ready, 1);
    while (atomic_load(ready) < PROCESSES) {
        sched_yield();
    }
    for (int i = 0; i < 4; i++) {
        committers[i] = (struct committer){store, number * 4 + i};
        pthread_create(&threads[i], NULL, commit_thread, &committers[i]);
    }
    for (int i = 0; i < 4; i++) {
        pthread_join(threads[i], NULL);
    }
    fixture_close(store);
}

Test(store_forces, four_processes_share_forces)
{
    counting.datasync_ns = DISK_NS;
    struct txstore *store = fixture_open(); /* so that nobody checkpoints at close */
    _Atomic uint32_t *ready = (_Atomic uint32_t *)&counting.counts[1];
    pid_t pids[PROCESSES];
    struct txlog_info info;
    txlog_get_info(txstore_log(store), &info);
    uint64_t before = info.force_count;
    for (int i = 0; i < PROCESSES; i++) {
        pids[i] = fork();
        if (pids[i] == 0) {
            commit_process(i, ready);
            _exit(0);
        }
    }
    for (int i = 0; i < PROCESSES; i++) {
        int status = 0;
        cr_assert_eq(waitpid(pids[i], &status, 0), pids[i]);
        cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0, "child %d: %d", i, status);
    }
    txlog_get_info(txstore_log(store), &info);
    double ratio = (double)(info.force_count - before) / (PROCESSES * 4 * TURNS);
    cr_expect(ratio < 0.25, "%.3f forces per commit", ratio);
    fixture_close(store);
}
