/* SPDX-License-Identifier: MIT */
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>

#include "txio/txio_internal.h"
#include "unit/failing_io.h"
#include "unit/temp_dir.h"

static int open_control(const struct temp_dir *temp)
{
    int fd = openat(temp->fd, "control", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    cr_assert_geq(fd, 0);
    return fd;
}

/* --- The mutex --- */

enum { ROUNDS = 20000, THREADS = 4 };
struct counted {
    struct txio_mutex mutex;
    uint64_t count; /* not atomic: the mutex has to keep it right */
};

static void *count_under_mutex(void *arg)
{
    struct txio *io = txio_posix();
    struct counted *counted = arg;
    for (int i = 0; i < ROUNDS; i++) {
        if (i % 3 != 0 || !txio_mutex_trylock(&counted->mutex)) {
            txio_mutex_lock(io, &counted->mutex);
        }
        counted->count++;
        txio_mutex_unlock(io, &counted->mutex);
    }
    return NULL;
}

Test(txio_pair, a_mutex_lets_one_thread_in_at_a_time, .timeout = 60)
{
    struct counted counted = {.count = 0};
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++) {
        cr_assert_eq(pthread_create(&threads[i], NULL, count_under_mutex, &counted), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        cr_assert_eq(pthread_join(threads[i], NULL), 0);
    }
    cr_assert_eq(counted.count, (uint64_t)ROUNDS * THREADS);
    cr_assert_eq(counted.mutex.word, 0);
}

struct sleeper {
    struct failing_io failing;
    struct txio_mutex mutex;
    atomic_int waits;
};
static struct sleeper sleeper;

static int count_wait(struct txio *io, _Atomic uint32_t *word, uint32_t expected,
                      int64_t timeout_ns)
{
    atomic_fetch_add(&sleeper.waits, 1);
    return txio_posix()->ops->wait(io, word, expected, timeout_ns);
}

static void *lock_and_unlock(void *arg)
{
    struct txio *io = arg;
    txio_mutex_lock(io, &sleeper.mutex);
    txio_mutex_unlock(io, &sleeper.mutex);
    return NULL;
}

Test(txio_pair, who_waits_for_a_mutex_sleeps_and_is_woken, .timeout = 30)
{
    struct txio *io = failing_io_init(&sleeper.failing, -1, 0);
    pthread_t threads[2];
    sleeper.failing.ops.wait = count_wait;
    cr_assert(txio_mutex_trylock(&sleeper.mutex));
    for (int i = 0; i < 2; i++) {
        cr_assert_eq(pthread_create(&threads[i], NULL, lock_and_unlock, io), 0);
    }
    while (atomic_load(&sleeper.waits) < 2) {
        (void)poll(NULL, 0, 1);
    }
    (void)poll(NULL, 0, 50);
    cr_assert_lt(atomic_load(&sleeper.waits), 10, "it spins");
    txio_mutex_unlock(io, &sleeper.mutex);
    for (int i = 0; i < 2; i++) { /* each wakes the next */
        cr_assert_eq(pthread_join(threads[i], NULL), 0);
    }
    cr_assert(txio_mutex_trylock(&sleeper.mutex));
}

Test(txio_pair, trylock_fails_while_held_and_only_then)
{
    struct txio *io = txio_posix();
    struct txio_mutex mutex = {0};
    cr_assert(txio_mutex_trylock(&mutex));
    cr_assert_not(txio_mutex_trylock(&mutex));
    txio_mutex_unlock(io, &mutex);
    cr_assert(txio_mutex_trylock(&mutex));
}

Test(txio_pair, unlocking_what_is_free_aborts, .signal = SIGABRT)
{
    struct txio_mutex mutex = {0};
    (void)freopen("/dev/null", "w", stderr);
    txio_mutex_unlock(txio_posix(), &mutex);
}

/* --- The pair --- */

Test(txio_pair, excludes_the_same_handle_and_other_handles)
{
    struct txio *io = txio_posix();
    TX_AUTO(temp_dir) temp = temp_dir_new();
    struct txio_pair mine;
    struct txio_pair other;
    bool taken = true;
    txio_pair_init(&mine, io, open_control(&temp), TXIO_LOCK_APPEND);
    txio_pair_init(&other, io, open_control(&temp), TXIO_LOCK_APPEND);
    cr_assert_eq(txio_pair_lock(&mine, NULL), TX_OK);
    cr_assert_eq(txio_pair_trylock(&mine, &taken, NULL), TX_OK);
    cr_assert_not(taken);
    taken = true;
    cr_assert_eq(txio_pair_trylock(&other, &taken, NULL), TX_OK);
    cr_assert_not(taken);
    cr_assert_eq(io->ops->lock_probe(io, other.fd, TXIO_LOCK_APPEND), 1);
    txio_pair_unlock(&mine);
    cr_assert_eq(txio_pair_trylock(&other, &taken, NULL), TX_OK);
    cr_assert(taken);
    cr_assert_eq(txio_pair_trylock(&mine, &taken, NULL), TX_OK);
    cr_assert_not(taken);
    txio_pair_unlock(&other);
    cr_assert_eq(txio_pair_lock(&mine, NULL), TX_OK);
    txio_pair_unlock(&mine);
}

static struct txio_pair *watched;
static int unlocks;

/* All locking of the byte, the unlocking too, happens under the mutex. */
static int watch_lock(struct txio *io, int fd, uint64_t byte, enum txio_lock_mode mode, bool wait)
{
    cr_assert_neq(atomic_load(&watched->mutex.word), 0);
    unlocks += mode == TXIO_UNLOCK;
    return txio_posix()->ops->lock(io, fd, byte, mode, wait);
}

Test(txio_pair, the_mutex_is_held_as_long_as_the_byte)
{
    TX_AUTO(temp_dir) temp = temp_dir_new();
    struct failing_io failing;
    struct txio *io = failing_io_init(&failing, -1, 0);
    struct txio_pair pair;
    bool taken = false;
    watched = &pair;
    failing.ops.lock = watch_lock;
    txio_pair_init(&pair, io, open_control(&temp), 0);
    cr_assert_eq(txio_pair_lock(&pair, NULL), TX_OK);
    txio_pair_unlock(&pair);
    cr_assert_eq(txio_pair_trylock(&pair, &taken, NULL), TX_OK);
    cr_assert(taken);
    txio_pair_unlock(&pair);
    cr_assert_eq(unlocks, 2);
}

Test(txio_pair, different_bytes_do_not_meet)
{
    struct txio *io = txio_posix();
    TX_AUTO(temp_dir) temp = temp_dir_new();
    struct txio_pair append;
    struct txio_pair publish;
    txio_pair_init(&append, io, open_control(&temp), TXIO_LOCK_APPEND);
    txio_pair_init(&publish, io, open_control(&temp), TXIO_LOCK_PUBLISH);
    cr_assert_eq(txio_pair_lock(&append, NULL), TX_OK);
    cr_assert_eq(txio_pair_lock(&publish, NULL), TX_OK);
    txio_pair_unlock(&append);
    txio_pair_unlock(&publish);
}

Test(txio_pair, failures_are_told_and_leave_the_pair_free)
{
    struct txio *io = txio_posix();
    struct tx_error err;
    struct txio_pair pair;
    bool taken = true;
    TX_AUTO(temp_dir) temp = temp_dir_new();
    (void)close(open_control(&temp));
    int read_only = openat(temp.fd, "control", O_RDONLY | O_CLOEXEC);
    txio_pair_init(&pair, io, read_only, 3);
    for (int i = 0; i < 2; i++) { /* again: the mutex must be free */
        cr_assert_eq(txio_pair_lock(&pair, &err), TX_EIO);
        cr_assert_str_eq(err.text, "lock byte 3 of the control file: Bad file descriptor");
        cr_assert_eq(txio_pair_trylock(&pair, &taken, &err), TX_EIO);
    }
    cr_assert(taken);
}

struct shared {
    uint64_t count; /* in shared memory, not atomic */
};

static void *count_under_pair(void *arg)
{
    struct txio_pair *pair = ((void **)arg)[0];
    struct shared *shared = ((void **)arg)[1];
    for (int i = 0; i < 1000; i++) {
        if (txio_pair_lock(pair, NULL) != TX_OK) {
            return arg;
        }
        *(volatile uint64_t *)&shared->count += 1;
        txio_pair_unlock(pair);
    }
    return NULL;
}

/* Two threads on one handle of its own. */
static int count_in_process(const struct temp_dir *temp, struct shared *shared)
{
    struct txio_pair pair;
    pthread_t threads[2];
    void *failed[2] = {NULL, NULL};
    void *args[2] = {&pair, shared};
    txio_pair_init(&pair, txio_posix(), open_control(temp), 9);
    for (int i = 0; i < 2; i++) {
        if (pthread_create(&threads[i], NULL, count_under_pair, args) != 0) {
            return 1;
        }
    }
    for (int i = 0; i < 2; i++) {
        (void)pthread_join(threads[i], &failed[i]);
    }
    return failed[0] != NULL || failed[1] != NULL;
}

Test(txio_pair, excludes_threads_of_several_processes, .timeout = 60)
{
    struct txio *io = txio_posix();
    TX_AUTO(temp_dir) temp = temp_dir_new();
    void *memory;
    int fd = open_control(&temp);
    cr_assert_eq(ftruncate(fd, 4096), 0);
    cr_assert_eq(io->ops->map(io, fd, 4096, &memory), 0);
    pid_t child = fork_child();
    if (child == 0) {
        _exit(count_in_process(&temp, memory));
    }
    cr_assert_eq(count_in_process(&temp, memory), 0);
    int status = -1;
    cr_assert_eq(waitpid(child, &status, 0), child);
    cr_assert_eq(status, 0);
    cr_assert_eq(((struct shared *)memory)->count, 4000);
}

Test(txio_pair, a_killed_holder_is_forgotten, .timeout = 60)
{
    struct txio_pair pair;
    TX_AUTO(temp_dir) temp = temp_dir_new();
    int ready[2];
    char told;
    cr_assert_eq(pipe(ready), 0);
    txio_pair_init(&pair, txio_posix(), open_control(&temp), 1);
    pid_t holder = fork_child();
    if (holder == 0) {
        struct txio_pair theirs;
        txio_pair_init(&theirs, txio_posix(), open_control(&temp), 1);
        (void)!write(ready[1], txio_pair_lock(&theirs, NULL) == TX_OK ? "y" : "n", 1);
        for (;;) {
            pause();
        }
    }
    cr_assert_eq(read(ready[0], &told, 1), 1);
    cr_assert_eq(told, 'y');
    bool taken = true;
    cr_assert_eq(txio_pair_trylock(&pair, &taken, NULL), TX_OK);
    cr_assert_not(taken);
    (void)kill(holder, SIGKILL);
    (void)waitpid(holder, NULL, 0);
    cr_assert_eq(txio_pair_lock(&pair, NULL), TX_OK);
}
