/* SPDX-License-Identifier: MIT */
/*
 * Flip every single bit of every durable byte of a small store. Each flip must be found by
 * txstore_check; and whoever opens the store is refused or sees exactly the state that was
 * committed, never another one. Of refused stores salvage must still read.
 *
 *     bit_flips [FILE OFFSET]      all of them, or one byte of one file
 *
 * TXKIT_TEST_SCALE below 1 takes only so large a part of the bytes.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <txkit/store.h>

#include "sim/crash_state.h"
#include "sim/sim.h"

#define ROOT "/r"
#define STORE ROOT "/.txkit"
#define PATH_SIZE 512
#define NAME_SIZE 400 /* of a path below the store */
#define SAID_MAX 40

struct flips {
    struct sim_image *image;
    struct crash_state expected;
    const char *below; /* only files whose path begins so */
    const char *only_file;
    uint64_t only_offset;
    uint64_t step;    /* every so many bytes */
    uint64_t flipped; /* bits */
    uint64_t files;
    uint64_t refused;  /* by open */
    uint64_t salvaged; /* of these, read by salvage */
    uint64_t faults;   /* that the test found */
};

static struct tx_error err;

static void must(enum tx_status status, const char *what)
{
    if (status != TX_OK) {
        printf("Bail out! %s: %s\n", what, err.text);
        exit(1);
    }
}

static void complain(struct flips *flips, const char *file, uint64_t offset, unsigned bit,
                     const char *words)
{
    if (flips->faults++ < SAID_MAX) {
        printf("# %s, offset %llu, bit %u: %s\n", file, (unsigned long long)offset, bit, words);
    }
}

static void add_commit(struct txstore *store, unsigned number)
{
    struct ktm_txn *txn = NULL;
    char text[2048];
    memset(text, (int)('a' + number), sizeof text);
    must(txstore_begin(store, NULL, &txn, &err), "begin");
    must(txfs_mkdir_parents(txn, "d", 0755, &err), "mkdir");
    must(txfs_put(txn, "d/small", text, 100 + number, NULL, &err), "put");
    must(txfs_put(txn, "d/large", text, sizeof text, NULL, &err), "put"); /* staged */
    must(txreg_create(txn, "Key\\Sub", NULL, NULL, &err), "create");
    must(txreg_set_u32(txn, "Key", "number", number, &err), "set");
    must(txreg_set(txn, "Key\\Sub", "", TXREG_BINARY, text, 700, &err), "set"); /* overflows */
    must(ktm_commit(txn, NULL, &err), "commit");
}

static void add_prepared(struct txstore *store)
{
    struct ktm_txn *txn = NULL;
    char text[2048];
    memset(text, 'p', sizeof text);
    must(txstore_begin(store, NULL, &txn, &err), "begin");
    must(txfs_put(txn, "prepared", text, sizeof text, NULL, &err), "put");
    must(ktm_prepare(txn, &err), "prepare");
}

static void add_waiting(struct txstore *store)
{
    struct ktm_txn *txn = NULL;
    add_prepared(store);
    must(txstore_begin(store, NULL, &txn, &err), "begin");
    must(txfs_put(txn, "detached", "x", 1, NULL, &err), "put");
    must(ktm_detach(txn, &err), "detach");
}

/* History and a registry of some pages; `waiting`: also a prepared transaction with a staged file
 * and a detached one. */
static struct sim_image *make_store(struct crash_state *expected, bool waiting)
{
    struct txio *io = sim_new(NULL);
    struct txstore_settings settings = {.log_segment_size = TXLOG_SEGMENT_SIZE_MIN,
                                        .inline_max = 512,
                                        .history_count_max = 2,
                                        .conflict_entries = 64};
    struct txstore_options options = {.io = io};
    struct txstore *store = NULL;
    must(txio_mkdir(io, TXIO_CWD, ROOT, 0755, &err), "mkdir");
    must(txstore_init(io, ROOT, NULL, &settings, &err), "init");
    must(txstore_open(ROOT, &options, &store, &err), "open");
    add_commit(store, 1);
    add_commit(store, 2);
    if (waiting) {
        add_waiting(store);
    }
    must(txstore_close(store, &err), "close");
    /* What was opened and closed once more is what every later open finds. */
    must(txstore_open(ROOT, &options, &store, &err), "open");
    must(crash_state_take(io, ROOT, store, expected, &err), "look");
    must(txstore_close(store, &err), "close");
    struct sim_image *image = sim_durable_image(io);
    sim_free(io);
    return image;
}

static void store_path(char path[PATH_SIZE], const char *file)
{
    snprintf(path, PATH_SIZE, STORE "/%.400s", file);
}

static void flip(struct txio *io, const char *path, uint64_t offset, unsigned bit)
{
    uint8_t byte = 0;
    int fd = io->ops->open(io, TXIO_CWD, path, TXIO_WRITE, 0);
    struct iovec part = {&byte, 1};
    if (fd < 0 || io->ops->pread(io, fd, &byte, 1, offset) != 1) {
        printf("Bail out! cannot read %s\n", path);
        exit(1);
    }
    byte ^= (uint8_t)(1u << bit);
    if (io->ops->pwritev(io, fd, &part, 1, offset) != 1) {
        printf("Bail out! cannot write %s\n", path);
        exit(1);
    }
    io->ops->close(io, fd);
}

static void try_salvage(struct flips *flips, struct txio *io)
{
    struct txstore_options options = {.io = io, .mode = TXSTORE_SALVAGE};
    struct txstore *store = NULL;
    struct crash_state state = {0};
    if (txstore_open(ROOT, &options, &store, &err) == TX_OK) {
        flips->salvaged += crash_state_take(io, ROOT, store, &state, &err) == TX_OK;
        crash_state_release(&state);
        must(txstore_close(store, &err), "close of a salvaged store");
    }
}

/* Open: refused, or the committed state. */
static void try_open(struct flips *flips, const char *file, uint64_t offset, unsigned bit)
{
    struct txio *io = sim_boot(flips->image, NULL);
    char path[PATH_SIZE];
    struct txstore_options options = {.io = io};
    struct txstore *store = NULL;
    struct crash_state state = {0};
    store_path(path, file);
    flip(io, path, offset, bit);
    enum tx_status status = txstore_open(ROOT, &options, &store, &err);
    if (status != TX_OK) {
        flips->refused++;
        try_salvage(flips, io);
    } else {
        status = crash_state_take(io, ROOT, store, &state, &err);
        /* A damaged page may be met only when it is read: then the read is refused. */
        if (status == TX_OK && state.hash != flips->expected.hash) {
            complain(flips, file, offset, bit, "opened, and shows another state");
            crash_state_diff(&flips->expected, &state, stdout);
        }
        crash_state_release(&state);
        enum tx_status closed = txstore_close(store, &err);
        (void)closed; /* may be refused for the damage; nothing was committed */
    }
    sim_free(io);
}

static void flip_byte(struct flips *flips, const char *file, uint64_t offset)
{
    struct txio *io = sim_boot(flips->image, NULL);
    char path[PATH_SIZE];
    store_path(path, file);
    for (unsigned bit = 0; bit < 8; bit++) {
        uint64_t found = 0;
        flip(io, path, offset, bit);
        enum tx_status status = txstore_check(io, ROOT, NULL, NULL, NULL, &found, &err);
        if (status == TX_OK && found == 0) {
            complain(flips, file, offset, bit, "check finds nothing");
        }
        flip(io, path, offset, bit);
        flips->flipped++;
    }
    sim_free(io);
    try_open(flips, file, offset, (unsigned)(offset % 8));
}

struct walk {
    struct flips *flips;
    struct txio *io;
    const char *directory; /* below the store */
};

static int walk_name(void *arg, const char *name, uint64_t ino, unsigned type)
{
    struct walk *walk = arg;
    struct flips *flips = walk->flips;
    struct txio_stat stat;
    char file[NAME_SIZE];
    char path[PATH_SIZE];
    (void)ino;
    (void)type;
    snprintf(file, sizeof file, "%.100s%s%.255s", walk->directory, *walk->directory ? "/" : "",
             name);
    store_path(path, file);
    /* A spare segment holds nothing yet; it gets a header before it is used. */
    if (strcmp(file, "shm") == 0 || strncmp(file, "log/spare-", 10) == 0 ||
        walk->io->ops->stat(walk->io, TXIO_CWD, path, &stat) < 0) {
        return 0; /* shm is made anew by each first open */
    }
    if (S_ISDIR(stat.mode)) {
        struct walk below = {flips, walk->io, file};
        int dir = walk->io->ops->open(walk->io, TXIO_CWD, path, TXIO_READ | TXIO_DIRECTORY, 0);
        walk->io->ops->list(walk->io, dir, walk_name, &below);
        walk->io->ops->close(walk->io, dir);
        return 0;
    }
    if (!S_ISREG(stat.mode) || strncmp(file, flips->below, strlen(flips->below)) != 0 ||
        (flips->only_file && strcmp(flips->only_file, file) != 0)) {
        return 0;
    }
    printf("# %s: %llu bytes\n", file, (unsigned long long)stat.size);
    flips->files++;
    for (uint64_t offset = 0; offset < stat.size; offset += flips->step) {
        if (!flips->only_file || flips->only_offset == offset) {
            flip_byte(flips, file, offset);
        }
    }
    return 0;
}

/* All files of one store whose path begins with `below`. */
static void flip_store(struct flips *flips, bool waiting, const char *below)
{
    uint64_t found = 1;
    flips->below = below;
    flips->image = make_store(&flips->expected, waiting);
    struct txio *io = sim_boot(flips->image, NULL);
    must(txstore_check(io, ROOT, NULL, NULL, NULL, &found, &err), "check");
    if (found != 0) {
        complain(flips, "store", 0, 0, "check finds something in a whole store");
    }
    struct walk walk = {flips, io, ""};
    int dir = io->ops->open(io, TXIO_CWD, STORE, TXIO_READ | TXIO_DIRECTORY, 0);
    io->ops->list(io, dir, walk_name, &walk);
    io->ops->close(io, dir);
    crash_state_release(&flips->expected);
    sim_image_drop(flips->image);
    sim_free(io);
}

int main(int argc, char **argv)
{
    struct flips flips = {.step = 1};
    const char *scale = getenv("TXKIT_TEST_SCALE");
    double part = scale ? strtod(scale, NULL) : 1;
    flips.step = part > 0 && part < 1 ? (uint64_t)(1 / part) | 1 : 1;
    if (argc == 3) {
        flips.only_file = argv[1];
        flips.only_offset = strtoull(argv[2], NULL, 10);
        flips.step = 1;
    }
    flip_store(&flips, false, "");
    flip_store(&flips, true, "tx/");
    printf("# %llu bits of %llu files, %llu stores refused, %llu of them read by salvage\n",
           (unsigned long long)flips.flipped, (unsigned long long)flips.files,
           (unsigned long long)flips.refused, (unsigned long long)flips.salvaged);
    printf("%s 1 - every flipped bit is found, none is silently wrong (%llu faults)\n",
           flips.faults == 0 && flips.flipped > 0 ? "ok" : "not ok",
           (unsigned long long)flips.faults);
    printf("%s 2 - salvage reads what was refused\n",
           flips.only_file || flips.salvaged * 2 > flips.refused ? "ok" : "not ok");
    printf("1..2\n");
    return flips.faults != 0;
}
