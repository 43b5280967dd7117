/* SPDX-License-Identifier: MIT */
#include <sys/mman.h>
#include <time.h>

#include "store_fixture.h"

struct counting_io counting;
char fixture_root[64];
struct tx_error fixture_err;

static int count_datasync(struct txio *io, int fd)
{
    struct timespec latency = {.tv_nsec = counting.datasync_ns};
    (void)io;
    atomic_fetch_add(&counting.counts->datasync, 1);
    (void)nanosleep(&latency, NULL);
    return txio_posix()->ops->datasync(txio_posix(), fd);
}

static int count_sync(struct txio *io, int fd)
{
    (void)io;
    atomic_fetch_add(&counting.counts->sync, 1);
    return txio_posix()->ops->sync(txio_posix(), fd);
}

static int count_syncfs(struct txio *io, int fd)
{
    (void)io;
    atomic_fetch_add(&counting.counts->syncfs, 1);
    return txio_posix()->ops->syncfs(txio_posix(), fd);
}

void fixture_make(const struct txstore_settings *settings)
{
    counting.ops = *txio_posix()->ops;
    counting.ops.datasync = count_datasync;
    counting.ops.sync = count_sync;
    counting.ops.syncfs = count_syncfs;
    counting.base.ops = &counting.ops;
    counting.datasync_ns = 0;
    counting.counts = mmap(NULL, sizeof *counting.counts, PROT_READ | PROT_WRITE,
                           MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    cr_assert(counting.counts != MAP_FAILED);
    memcpy(fixture_root, "/tmp/txkit-test.XXXXXX", sizeof "/tmp/txkit-test.XXXXXX");
    cr_assert_not_null(mkdtemp(fixture_root));
    must(txstore_init(NULL, fixture_root, NULL, settings, &fixture_err));
}

void fixture_remove(void)
{
    must(txio_remove_tree(txio_posix(), TXIO_CWD, fixture_root, &fixture_err));
}

struct txstore *fixture_open(void)
{
    struct txstore_options options = {.io = &counting.base};
    struct txstore *store = NULL;
    must(txstore_open(fixture_root, &options, &store, &fixture_err));
    return store;
}

void fixture_close(struct txstore *store)
{
    must(txstore_close(store, &fixture_err));
}

uint64_t fixture_forces(void)
{
    return atomic_load(&counting.counts->datasync) + atomic_load(&counting.counts->sync) +
           atomic_load(&counting.counts->syncfs);
}
