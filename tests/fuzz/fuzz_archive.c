/* SPDX-License-Identifier: MIT */
/*
 * Importing tar archives of strangers into a store on a simulated machine.
 *
 * Input: 1 byte, flags of the import, bit 7: commit; then the archive. Checksums of tar headers
 * are made good first. Promises: it is refused with one line and the store is as before, or all
 * of it can be committed; nothing outside the root is touched (a link that the user made inside the
 * root is followed, as dpkg follows /lib); memory and what is written are bounded.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <txkit/import.h>

#include "fuzz/fuzz_disk.h"
#include "sim/crash_state.h"

#define ROOT "/r"
#define TAR_BLOCK 512u
#define MEMORY_MAX (24u << 20)
static const struct sim_options options = {.seed = 1, .umask = 022, .capacity = 64u << 20};

static struct fuzz_disk disk;
static uint64_t outside;
static struct tx_error err;

static void put_file(struct txio *io, const char *path)
{
    struct iovec part = {(void *)(uintptr_t) "canary", 6};
    int fd;
    FUZZ_MUST(txio_open(io, TXIO_CWD, path, TXIO_WRITE | TXIO_CREATE, 0644, &fd, &err), &err);
    FUZZ_MUST(txio_write_full(io, fd, &part, 1, 0, &err), &err);
    FUZZ_MUST(txio_close(io, fd, &err), &err);
}

/* The tree below `path`, as a hash. */
static uint64_t tree_of(struct txio *io, const char *path)
{
    struct crash_state state = {0};
    FUZZ_MUST(crash_state_take(io, path, NULL, &state, &err), &err);
    uint64_t hash = state.hash;
    crash_state_release(&state);
    return hash;
}

static uint64_t outside_of(struct txio *io)
{
    return tree_of(io, "/outside");
}

/* Below the prefix stands what an archive may hit: a file, a directory, links that lead out. */
static void make_disk(void)
{
    struct txstore_settings settings = {.log_segment_size = TXLOG_SEGMENT_SIZE_MIN,
                                        .inline_max = 512,
                                        .history_count_max = 0,
                                        .conflict_entries = 64};
    struct txio *io = sim_new(&options);
    static const char *const directories[] = {ROOT, "/outside", ROOT "/beside", ROOT "/in",
                                              ROOT "/in/d"};
    for (unsigned i = 0; i < sizeof directories / sizeof *directories; i++) {
        FUZZ_MUST(txio_mkdir(io, TXIO_CWD, directories[i], 0755, &err), &err);
    }
    put_file(io, "/outside/canary");
    put_file(io, ROOT "/beside/canary");
    put_file(io, ROOT "/in/file");
    put_file(io, ROOT "/in/d/file");
    io->ops->symlink(io, "/outside", TXIO_CWD, ROOT "/in/out");
    io->ops->symlink(io, "../beside", TXIO_CWD, ROOT "/in/up");
    FUZZ_MUST(txstore_init(io, ROOT, NULL, &settings, &err), &err);
    outside = outside_of(io);
    fuzz_disk_take(&disk, io, ROOT);
}

/* Sum of a tar header, its own field as blanks. */
static void seal_tar(uint8_t *data, size_t size)
{
    for (size_t at = 0; at + TAR_BLOCK <= size; at += TAR_BLOCK) {
        unsigned sum = 0;
        char text[16];
        if (memcmp(data + at + 257, "ustar", 5) != 0) {
            continue;
        }
        memset(data + at + 148, ' ', 8);
        for (size_t i = 0; i < TAR_BLOCK; i++) {
            sum += data[at + i];
        }
        snprintf(text, sizeof text, "%06o", sum);
        memcpy(data + at + 148, text, 7);
    }
}

/* libarchive reads files by name; this one has no name but a descriptor's. */
static const char *store_archive(const uint8_t *data, size_t size)
{
    static char path[64];
    static int fd = -1;
    if (fd < 0) {
        fd = memfd_create("fuzz", MFD_CLOEXEC);
        snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    }
    uint8_t *sealed = malloc(size + 1);
    FUZZ_EXPECT(fd >= 0 && sealed != NULL, "the harness has no file");
    memcpy(sealed, data, size);
    seal_tar(sealed, size);
    FUZZ_EXPECT(ftruncate(fd, 0) == 0 && pwrite(fd, sealed, size, 0) == (ssize_t)size,
                "the harness cannot write");
    free(sealed);
    return path;
}

static bool import(struct txstore *store, const char *archive, uint8_t flags)
{
    struct tximport_options import = {.flags = flags & 7};
    struct tximport_counts counts;
    struct ktm_txn *txn = NULL;
    FUZZ_MUST(txstore_begin(store, NULL, &txn, &err), &err);
    enum tx_status status = tximport_archive(txn, archive, "in", &import, &counts, &err);
    if (getenv("FUZZ_TELL") != NULL) {
        printf("# import: %s %s\n", tx_status_name(status), status == TX_OK ? "" : err.text);
    }
    if (status != TX_OK) {
        FUZZ_EXPECT(strchr(err.text, '\n') == NULL, "more than one line: %s", err.text);
    }
    if (status != TX_OK || !(flags & 0x80)) {
        ktm_rollback(txn);
        return false;
    }
    status = ktm_commit(txn, NULL, &err);
    FUZZ_EXPECT(status == TX_OK, "imported, and cannot be committed: %s", err.text);
    return true;
}

static bool is_directory(struct txio *io, const char *path)
{
    struct txio_stat stat;
    return io->ops->stat(io, TXIO_CWD, path, &stat) == 0 && S_ISDIR(stat.mode);
}

void fuzz_one(const uint8_t *data, size_t size)
{
    struct fuzz_feed feed = {data, size};
    struct fuzz_feed nothing = {NULL, 0};
    uint8_t flags = fuzz_take8(&feed);
    struct txstore *store = NULL;
    uint64_t faults = 0;
    if (disk.image == NULL) {
        make_disk();
    }
    const char *archive = store_archive(feed.data, feed.left);
    struct txio *io = fuzz_disk_boot(&disk, &options, &nothing);
    struct txstore_options open = {.io = io};
    uint64_t before = tree_of(io, ROOT);
    FUZZ_MUST(txstore_open(ROOT, &open, &store, &err), &err);
    bool committed = import(store, archive, flags);
    FUZZ_MUST(txstore_close(store, &err), &err);
    FUZZ_EXPECT(committed || tree_of(io, ROOT) == before, "rolled back, and yet changed");
    FUZZ_EXPECT(outside_of(io) == outside, "touched what is outside the root");
    FUZZ_EXPECT(is_directory(io, ROOT "/in"), "took the place of the directory that it came to");
    FUZZ_MUST(txstore_check(io, ROOT, NULL, NULL, NULL, &faults, &err), &err);
    FUZZ_EXPECT(faults == 0, "%llu faults after an import", (unsigned long long)faults);
    FUZZ_EXPECT(fuzz_memory_peak() - fuzz_memory_now() < MEMORY_MAX, "%llu bytes of memory",
                (unsigned long long)fuzz_memory_peak());
    sim_free(io);
}
