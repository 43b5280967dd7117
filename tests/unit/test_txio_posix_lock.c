/* SPDX-License-Identifier: MIT */
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>

#include "unit/posix_tests.h"

enum { MS = 1000000 };

/* A file description of its own, as another process or another handle has. */
static int open_control(const struct temp_dir *temp)
{
    int fd = openat(temp->fd, "control", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    cr_assert_geq(fd, 0);
    return fd;
}

/* A child that takes a lock on a description of its own, tells us, and stays `ms` or for ever. */
static pid_t hold_elsewhere(const struct temp_dir *temp, uint64_t byte, enum txio_lock_mode mode,
                            int ms)
{
    struct txio *io = txio_posix();
    int ready[2];
    char told;
    cr_assert_eq(pipe(ready), 0);
    pid_t holder = fork_child();
    if (holder == 0) {
        int fd = open_control(temp);
        int result = io->ops->lock(io, fd, byte, mode, true);
        (void)!write(ready[1], "r", 1);
        (void)poll(NULL, 0, ms);
        _exit(result == 0 ? 0 : 1);
    }
    cr_assert_eq(read(ready[0], &told, 1), 1);
    (void)close(ready[0]);
    (void)close(ready[1]);
    return holder;
}

static void end_holder(pid_t holder)
{
    (void)kill(holder, SIGKILL);
    cr_assert_eq(waitpid(holder, NULL, 0), holder);
}

Test(txio_posix_lock, exclusive_locks_of_others_are_respected_and_seen)
{
    struct txio *io = txio_posix();
    TX_AUTO(temp_dir) temp = temp_dir_new();
    int fd = open_control(&temp);
    cr_assert_eq(io->ops->lock_probe(io, fd, 5), 0);
    pid_t holder = hold_elsewhere(&temp, 5, TXIO_EXCLUSIVE_LOCK, -1);
    cr_assert_eq(io->ops->lock_probe(io, fd, 5), 1);
    cr_assert_eq(io->ops->lock(io, fd, 5, TXIO_EXCLUSIVE_LOCK, false), -EAGAIN);
    cr_assert_eq(io->ops->lock(io, fd, 5, TXIO_SHARED, false), -EAGAIN);
    cr_assert_eq(io->ops->lock(io, fd, 4, TXIO_EXCLUSIVE_LOCK, false), 0); /* neighbours */
    cr_assert_eq(io->ops->lock(io, fd, 6, TXIO_EXCLUSIVE_LOCK, false), 0);
    end_holder(holder); /* and its lock dies with it */
    cr_assert_eq(io->ops->lock_probe(io, fd, 5), 0);
    cr_assert_eq(io->ops->lock(io, fd, 5, TXIO_EXCLUSIVE_LOCK, false), 0);
    cr_assert_eq(io->ops->lock_probe(io, fd, 5), 0); /* one's own is nobody else's */
}

Test(txio_posix_lock, shared_locks_go_together_and_are_no_exclusive_ones)
{
    struct txio *io = txio_posix();
    TX_AUTO(temp_dir) temp = temp_dir_new();
    int fd = open_control(&temp);
    pid_t holder = hold_elsewhere(&temp, 1, TXIO_SHARED, -1);
    cr_assert_eq(io->ops->lock_probe(io, fd, 1), 0);
    cr_assert_eq(io->ops->lock(io, fd, 1, TXIO_SHARED, false), 0);
    cr_assert_eq(io->ops->lock(io, fd, 1, TXIO_EXCLUSIVE_LOCK, false), -EAGAIN);
    end_holder(holder);
    cr_assert_eq(io->ops->lock(io, fd, 1, TXIO_EXCLUSIVE_LOCK, false), 0);
}

Test(txio_posix_lock, bytes_are_locked_and_unlocked_one_by_one)
{
    struct txio *io = txio_posix();
    TX_AUTO(temp_dir) temp = temp_dir_new();
    int mine = open_control(&temp);
    int other = open_control(&temp);
    static const uint64_t bytes[] = {0, 1, 2, TXIO_LOCK_PROCESS, TXIO_LOCK_TRANSACTION,
                                     INT64_MAX - 1};
    for (size_t i = 0; i < 6; i++) {
        cr_assert_eq(io->ops->lock(io, mine, bytes[i], TXIO_EXCLUSIVE_LOCK, false), 0);
    }
    cr_assert_eq(io->ops->lock(io, mine, 1, TXIO_UNLOCK, false), 0);
    for (size_t i = 0; i < 6; i++) {
        cr_assert_eq(io->ops->lock_probe(io, other, bytes[i]), bytes[i] != 1);
    }
    cr_assert_eq(io->ops->lock(io, mine, UINT64_MAX, TXIO_EXCLUSIVE_LOCK, false), -EINVAL);
    cr_assert_eq(io->ops->lock(io, -1, 0, TXIO_EXCLUSIVE_LOCK, true), -EBADF);
    cr_assert_eq(io->ops->lock_probe(io, -1, 0), -EBADF);
}

static atomic_int interruptions;
static void note_signal(int signal)
{
    (void)signal;
    atomic_fetch_add(&interruptions, 1);
}

/* A timer signal every 5 ms that interrupts system calls. */
static void start_interrupting(void)
{
    struct sigaction action = {.sa_handler = note_signal};
    struct itimerval every = {{0, 5000}, {0, 5000}};
    cr_assert_eq(sigaction(SIGALRM, &action, NULL), 0);
    cr_assert_eq(setitimer(ITIMER_REAL, &every, NULL), 0);
}

Test(txio_posix_lock, waiting_for_a_lock_outlasts_signals)
{
    struct txio *io = txio_posix();
    TX_AUTO(temp_dir) temp = temp_dir_new();
    int fd = open_control(&temp);
    pid_t holder = hold_elsewhere(&temp, 0, TXIO_EXCLUSIVE_LOCK, 100);
    start_interrupting();
    int64_t from = io->ops->monotonic_ns(io);
    cr_assert_eq(io->ops->lock(io, fd, 0, TXIO_EXCLUSIVE_LOCK, true), 0);
    struct itimerval never = {{0, 0}, {0, 0}};
    (void)setitimer(ITIMER_REAL, &never, NULL);
    cr_assert_gt(io->ops->monotonic_ns(io) - from, 20 * MS);
    cr_assert_gt(atomic_load(&interruptions), 0);
    end_holder(holder);
}

/* --- Shared memory, waiting and waking --- */

Test(txio_posix_lock, mapped_memory_is_the_file)
{
    struct txio *io = txio_posix();
    void *memory = NULL;
    TX_AUTO(temp_dir) temp = temp_dir_new();
    int fd = open_control(&temp);
    cr_assert_eq(ftruncate(fd, 8192), 0);
    cr_assert_eq(io->ops->map(io, fd, 8192, &memory), 0);
    memcpy((char *)memory + 8000, "text", 4);
    char data[4];
    cr_assert_eq(pread(fd, data, 4, 8000), 4);
    cr_assert_eq(memcmp(data, "text", 4), 0);
    cr_assert_eq(io->ops->unmap(io, memory, 8192), 0);
    memory = NULL;
    cr_assert_eq(io->ops->map(io, -1, 8192, &memory), -EBADF);
    cr_assert_eq(io->ops->map(io, fd, 0, &memory), -EINVAL);
    cr_assert_null(memory);
    cr_assert_eq(io->ops->unmap(io, (void *)1, 1), -EINVAL);
}

Test(txio_posix_lock, wait_returns_at_once_when_the_word_differs)
{
    struct txio *io = txio_posix();
    _Atomic uint32_t word = 1;
    cr_assert_eq(io->ops->wait(io, &word, 2, -1), 0);
}

Test(txio_posix_lock, wait_ends_when_its_time_is_over)
{
    struct txio *io = txio_posix();
    _Atomic uint32_t word = 1;
    int64_t from = io->ops->monotonic_ns(io);
    cr_assert_eq(io->ops->wait(io, &word, 1, 0), -ETIMEDOUT);
    cr_assert_eq(io->ops->wait(io, &word, 1, 20 * MS), -ETIMEDOUT);
    int64_t took = io->ops->monotonic_ns(io) - from;
    cr_assert_geq(took, 20 * MS);
    cr_assert_lt(took, 10000LL * MS);
    cr_assert_eq(io->ops->wait(io, NULL, 1, 0), -EFAULT);
}

Test(txio_posix_lock, a_signal_ends_a_wait_early)
{
    struct txio *io = txio_posix();
    _Atomic uint32_t word = 1;
    start_interrupting();
    cr_assert_eq(io->ops->wait(io, &word, 1, -1), 0);
    cr_assert_gt(atomic_load(&interruptions), 0);
}

struct meeting {
    _Atomic uint32_t word;
    _Atomic uint32_t asleep;
};

static void *sleep_until_changed(void *arg)
{
    struct txio *io = txio_posix();
    struct meeting *meeting = arg;
    atomic_fetch_add(&meeting->asleep, 1);
    while (atomic_load(&meeting->word) == 0) {
        (void)io->ops->wait(io, &meeting->word, 0, -1);
    }
    return NULL;
}

/* Wake until `count` sleepers were woken in all. */
static void wake_all(struct meeting *meeting, int count)
{
    struct txio *io = txio_posix();
    while ((int)atomic_load(&meeting->asleep) < count) {
        (void)poll(NULL, 0, 1);
    }
    (void)poll(NULL, 0, 50); /* most likely they do sleep now */
    atomic_store(&meeting->word, 1);
    int woken = io->ops->wake(io, &meeting->word, 1);
    cr_assert_leq(woken, 1);
    cr_assert_geq(io->ops->wake(io, &meeting->word, INT32_MAX), 0);
}

Test(txio_posix_lock, waking_reaches_all_threads, .timeout = 30)
{
    struct meeting meeting = {0, 0};
    pthread_t threads[4];
    for (int i = 0; i < 4; i++) {
        cr_assert_eq(pthread_create(&threads[i], NULL, sleep_until_changed, &meeting), 0);
    }
    wake_all(&meeting, 4);
    for (int i = 0; i < 4; i++) {
        cr_assert_eq(pthread_join(threads[i], NULL), 0);
    }
}

Test(txio_posix_lock, waking_reaches_other_processes, .timeout = 30)
{
    struct txio *io = txio_posix();
    void *memory;
    TX_AUTO(temp_dir) temp = temp_dir_new();
    int fd = open_control(&temp);
    cr_assert_eq(ftruncate(fd, 4096), 0);
    pid_t sleeper = fork_child(); /* each maps for itself: other addresses, the same word */
    if (sleeper == 0) {
        _exit(io->ops->map(io, fd, 4096, &memory) != 0 || sleep_until_changed(memory) != NULL);
    }
    cr_assert_eq(io->ops->map(io, fd, 4096, &memory), 0);
    wake_all(memory, 1);
    int status = -1;
    cr_assert_eq(waitpid(sleeper, &status, 0), sleeper);
    cr_assert_eq(status, 0);
}

Test(txio_posix_lock, waking_nobody_wakes_nobody)
{
    struct txio *io = txio_posix();
    _Atomic uint32_t word = 0;
    cr_assert_eq(io->ops->wake(io, &word, 1), 0);
}

/* --- Time, randomness, identity --- */

Test(txio_posix_lock, clocks_run)
{
    struct txio *io = txio_posix();
    int64_t monotonic = io->ops->monotonic_ns(io);
    int64_t real = io->ops->realtime_ns(io);
    (void)poll(NULL, 0, 2);
    cr_assert_geq(io->ops->monotonic_ns(io) - monotonic, 1 * MS);
    int64_t seconds = real / 1000000000 - (int64_t)time(NULL);
    cr_assert(seconds >= -2 && seconds <= 2);
}

Test(txio_posix_lock, random_bytes_differ_and_fill_everything)
{
    struct txio *io = txio_posix();
    uint8_t a[1000] = {0};
    uint8_t b[1000] = {0};
    cr_assert_eq(io->ops->random(io, a, sizeof(a)), 0);
    cr_assert_eq(io->ops->random(io, b, sizeof(b)), 0);
    cr_assert_neq(memcmp(a, b, 16), 0);
    cr_assert_neq(memcmp(a + 984, b + 984, 16), 0);
    cr_assert_eq(io->ops->random(io, a, 0), 0);
    cr_assert_eq(io->ops->random(io, NULL, 8), -EFAULT);
}

Test(txio_posix_lock, identity_is_that_of_the_process)
{
    struct txio *io = txio_posix();
    uint32_t uid = 99;
    uint32_t gid = 99;
    cr_assert_eq(io->ops->user_id(io, &uid, &gid), 0);
    cr_assert_eq(uid, geteuid());
    cr_assert_eq(gid, getegid());
    check_process_id();
}

Test(txio_posix_lock, boot_id_is_what_the_kernel_says)
{
    struct txio *io = txio_posix();
    uint8_t id[16];
    char text[64] = "";
    char ours[64] = "";
    FILE *file = fopen("/proc/sys/kernel/random/boot_id", "re");
    cr_assert_not_null(fgets(text, sizeof(text), file));
    (void)fclose(file);
    cr_assert_eq(io->ops->boot_id(io, id), 0);
    for (size_t i = 0; i < 16; i++) {
        const char *dash = i == 4 || i == 6 || i == 8 || i == 10 ? "-" : "";
        (void)snprintf(ours + strlen(ours), 4, "%s%02x", dash, id[i]);
    }
    text[36] = '\0';
    cr_assert_str_eq(ours, text);
}

Test(txio_posix_lock, an_id_is_parsed_whole_or_not_at_all)
{
    static const char *const others[] = {
        "", "\n", "0123456789abcdef0123456789abcde", "0123456789abcdef0123456789abcde\n",
        "0123456789ABCDEF0123456789abcdef", "0123456789abcdef 0123456789abcdef",
    };
    uint8_t id[16] = {77};
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        cr_assert_eq(os_parse_uuid(others[i], id), -EIO, "%s", others[i]);
        cr_assert_eq(id[0], 77);
    }
    cr_assert_eq(os_parse_uuid("01-23456789abcdef0123456789abcdef\n", id), 0);
    cr_assert_eq(id[0], 0x01);
    cr_assert_eq(id[15], 0xef);
}
