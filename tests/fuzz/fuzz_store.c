/* SPDX-License-Identifier: MIT */
/*
 * A whole store whose files were written by somebody else, seals and all: settings, control, log
 * records and their entries, the registry image, tx/<id>/changes and payloads, everything in
 * undo/, and the tree itself.
 *
 * Input: 1 byte, which disk; then a script of edits (fuzz_disk.h). Promises held up to it:
 *   - whatever is refused is refused with a word for damage;
 *   - what check finds no fault in, opens, and is sound after it was used (seals that were forged
 *     aside: what they cover may be refused later);
 *   - what opens shows the same again after it was closed, takes a commit, and does not lose it;
 *   - salvage never changes anything;
 *   - nothing outside the root is touched, and memory is bounded.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "fuzz/fuzz_disk.h"
#include "sim/crash_state.h"

#define ROOT "/r"
#define DISKS 3u
#define MEMORY_MAX (24u << 20)
static const struct sim_options options = {.seed = 1, .umask = 022, .capacity = 64u << 20};

static struct fuzz_disk disks[DISKS];
static uint64_t canaries[DISKS];
static struct tx_error err;

static bool tells(void)
{
    static int told = -1;
    told = told < 0 ? getenv("FUZZ_TELL") != NULL : told;
    return told == 1;
}

/* --- Disks --- */

static void add_commit(struct txstore *store, unsigned number)
{
    struct ktm_txn *txn = NULL;
    char text[1500];
    memset(text, (int)('a' + number), sizeof text);
    FUZZ_MUST(txstore_begin(store, NULL, &txn, &err), &err);
    FUZZ_MUST(txfs_mkdir_parents(txn, "d", 0755, &err), &err);
    FUZZ_MUST(txfs_put(txn, "d/small", text, 100 + number, NULL, &err), &err);
    FUZZ_MUST(txfs_put(txn, "d/large", text, sizeof text, NULL, &err), &err); /* staged */
    if (number > 1) {
        struct txio_attr attr = {.mask = TXIO_ATTR_MODE, .mode = 0600};
        FUZZ_MUST(txfs_truncate(txn, "other", 10 * number, &err), &err); /* extents */
        FUZZ_MUST(txfs_set_attr(txn, "moved", &attr, &err), &err);
        FUZZ_MUST(txfs_set_xattr(txn, "moved", "user.a", text, 20, &err), &err);
        FUZZ_MUST(txfs_rename(txn, "moved", "d/moved", TXIO_REPLACE, &err), &err);
        FUZZ_MUST(txfs_link(txn, "other", "again", &err), &err);
        FUZZ_MUST(txfs_symlink(txn, "../canary", "link", &err), &err);
    }
    FUZZ_MUST(txreg_create(txn, "Key\\Sub", NULL, NULL, &err), &err);
    FUZZ_MUST(txreg_set_u32(txn, "Key", "number", number, &err), &err);
    FUZZ_MUST(txreg_set(txn, "Key\\Sub", "", TXREG_BINARY, text, 700, &err), &err); /* overflows */
    for (unsigned i = 0; i < 40 && number == 1; i++) {
        char name[32];
        snprintf(name, sizeof name, "Key\\Of many%u", i);
        FUZZ_MUST(txreg_create(txn, name, NULL, NULL, &err), &err);
        FUZZ_MUST(txreg_set_string(txn, name, "v", "text that fills pages", &err), &err);
    }
    FUZZ_MUST(ktm_commit(txn, NULL, &err), &err);
}

static void add_waiting(struct txstore *store)
{
    struct ktm_txn *txn = NULL;
    char text[1500];
    memset(text, 'p', sizeof text);
    FUZZ_MUST(txstore_begin(store, NULL, &txn, &err), &err);
    FUZZ_MUST(txfs_put(txn, "prepared", text, sizeof text, NULL, &err), &err);
    FUZZ_MUST(txreg_set_u32(txn, "Key", "prepared", 1, &err), &err);
    FUZZ_MUST(ktm_prepare(txn, &err), &err);
    FUZZ_MUST(txstore_begin(store, NULL, &txn, &err), &err);
    FUZZ_MUST(txfs_put(txn, "detached", text, 700, NULL, &err), &err);
    FUZZ_MUST(ktm_savepoint(txn, "mark", &err), &err);
    FUZZ_MUST(txreg_set_u32(txn, "Key", "detached", 1, &err), &err);
    FUZZ_MUST(ktm_detach(txn, &err), &err);
}

static void put_file(struct txio *io, const char *path, const char *text)
{
    struct iovec part = {(void *)(uintptr_t)text, strlen(text)};
    int fd;
    FUZZ_MUST(txio_open(io, TXIO_CWD, path, TXIO_WRITE | TXIO_CREATE, 0644, &fd, &err), &err);
    FUZZ_MUST(txio_write_full(io, fd, &part, 1, 0, &err), &err);
    FUZZ_MUST(txio_close(io, fd, &err), &err);
}

static uint64_t canary_state(struct txio *io)
{
    struct crash_state state = {0};
    FUZZ_MUST(crash_state_take(io, "/outside", NULL, &state, &err), &err);
    uint64_t hash = state.hash;
    if (tells()) {
        printf("%s", state.text);
    }
    crash_state_release(&state);
    struct txio_stat stat;
    FUZZ_EXPECT(io->ops->stat(io, TXIO_CWD, "/canary", &stat) == 0 && stat.size == 6,
                "the canary is gone");
    if (tells()) {
        printf("# canary %lld\n", (long long)stat.mtime_ns);
    }
    return hash + (uint64_t)stat.mtime_ns;
}

/* 0: closed. 1: killed, with commits to redo. 2: closed, with a prepared and a detached one. */
static void make_disk(struct fuzz_disk *disk, unsigned number)
{
    struct txstore_settings settings = {.log_segment_size = TXLOG_SEGMENT_SIZE_MIN,
                                        .inline_max = 512,
                                        .history_count_max = 3,
                                        .conflict_entries = 64};
    struct txio *io = sim_new(&options);
    struct txstore_options open = {.io = io, .no_checkpoint_on_close = number == 1};
    struct txstore *store = NULL;
    FUZZ_MUST(txio_mkdir(io, TXIO_CWD, ROOT, 0755, &err), &err);
    FUZZ_MUST(txio_mkdir(io, TXIO_CWD, "/outside", 0755, &err), &err);
    put_file(io, "/canary", "canary");
    put_file(io, "/outside/canary", "canary");
    put_file(io, ROOT "/other", "what was there before, some bytes of it");
    put_file(io, ROOT "/moved", "to be moved");
    FUZZ_MUST(txstore_init(io, ROOT, NULL, &settings, &err), &err);
    FUZZ_MUST(txstore_open(ROOT, &open, &store, &err), &err);
    add_commit(store, 1);
    add_commit(store, 2);
    if (number == 2) {
        add_waiting(store);
    }
    FUZZ_MUST(txstore_close(store, &err), &err);
    canaries[number] = canary_state(io);
    fuzz_disk_take(disk, io, ROOT);
}

/* --- One store --- */

/* A forged limit is a limit, a file that was removed is not found, a forged size fills the disk. */
static bool may_refuse(enum tx_status status)
{
    return fuzz_is_refusal(status) || status == TX_ENOTFOUND || status == TX_ENOSPC ||
           status == TX_EINVAL;
}

static void note_fault(void *arg, const char *file, uint64_t offset, const char *text)
{
    (void)arg;
    if (tells()) {
        printf("# fault: %s at %llu: %s\n", file, (unsigned long long)offset, text);
    }
}

static enum tx_status check(struct txio *io, uint64_t *faults)
{
    enum tx_status status = txstore_check(io, ROOT, NULL, note_fault, NULL, faults, &err);
    if (tells()) {
        printf("# check: %s, %llu faults\n", status == TX_OK ? "done" : err.text,
               (unsigned long long)*faults);
    }
    return status;
}

static enum tx_status take_state(struct txio *io, struct txstore *store, struct crash_state *state)
{
    enum tx_status status = crash_state_take(io, ROOT, store, state, &err);
    if (tells()) {
        printf("# state: %s\n", status == TX_OK ? "read" : err.text);
    }
    return status;
}

static void try_salvage(struct txio *io)
{
    struct txstore_options salvage = {.io = io, .mode = TXSTORE_SALVAGE};
    struct txstore *store = NULL;
    struct crash_state state = {0};
    uint64_t before = fuzz_disk_hash(io);
    if (txstore_open(ROOT, &salvage, &store, &err) == TX_OK) {
        (void)(take_state(io, store, &state) == TX_OK);
        FUZZ_MUST(txstore_close(store, &err), &err);
        crash_state_release(&state);
    }
    FUZZ_EXPECT(fuzz_disk_hash(io) == before, "salvage changed something");
}

static enum tx_status each_commit(void *arg, const struct ktm_commit_info *info,
                                  struct tx_error *ignored)
{
    tx_lsn *last = arg;
    (void)ignored;
    *last = info->lsn;
    return TX_OK;
}

/* The first transaction that can be attached, once. */
struct waiting {
    struct ktm_id detached, prepared;
    bool has_detached, has_prepared;
};

static enum tx_status each_txn(void *arg, const struct ktm_txn_info *info, struct tx_error *ignored)
{
    struct waiting *waiting = arg;
    (void)ignored;
    if (info->state == KTM_ACTIVE) {
        waiting->detached = info->id;
        waiting->has_detached = true;
    } else {
        waiting->prepared = info->id;
        waiting->has_prepared = true;
    }
    return TX_OK;
}

static void decide_waiting(struct txstore *store)
{
    struct waiting waiting = {.has_detached = false};
    struct ktm *tm = txstore_ktm(store);
    struct ktm_txn *txn = NULL;
    if (ktm_list(tm, each_txn, &waiting, &err) != TX_OK) {
        return;
    }
    if (waiting.has_detached && ktm_attach(tm, &waiting.detached, &txn, &err) == TX_OK) {
        (void)(ktm_rollback_to(txn, "mark", &err) == TX_OK);
        (void)(ktm_commit(txn, NULL, &err) == TX_OK);
    }
    if (waiting.has_prepared) {
        (void)(ktm_commit_prepared(tm, &waiting.prepared, NULL, &err) == TX_OK);
    }
}

/* Everything that reads what was planted; what comes of it is judged by the caller. */
static void exercise(struct txstore *store)
{
    tx_lsn last = 0;
    tx_lsn new_lsn;
    (void)(txstore_history(store, each_commit, &last, &err) == TX_OK);
    decide_waiting(store);
    if (last != 0) {
        (void)(txstore_revert(store, last, &new_lsn, &err) == TX_OK);
    }
    (void)(txstore_checkpoint(store, &err) == TX_OK);
}

static bool put_mark(struct txstore *store)
{
    struct ktm_txn *txn = NULL;
    if (txstore_begin(store, NULL, &txn, &err) != TX_OK) {
        return false;
    }
    if (txfs_put(txn, "mark", "committed", 9, NULL, &err) != TX_OK) {
        ktm_rollback(txn);
        return false;
    }
    return ktm_commit(txn, NULL, &err) == TX_OK;
}

static bool has_mark(struct txio *io)
{
    struct txio_stat stat;
    return io->ops->stat(io, TXIO_CWD, ROOT "/mark", &stat) == 0 && stat.size == 9;
}

/* Open again: it shows `state`, and `marked` is there. */
static void reopen(struct txio *io, const struct crash_state *state, bool marked, bool sound)
{
    struct txstore_options open = {.io = io};
    struct txstore *store = NULL;
    struct crash_state again = {0};
    enum tx_status status = txstore_open(ROOT, &open, &store, &err);
    FUZZ_EXPECT(status == TX_OK || (!sound && may_refuse(status)), "reopen: %s: %s",
                tx_status_name(status), err.text);
    if (status != TX_OK) {
        return;
    }
    status = take_state(io, store, &again);
    if (state != NULL && status == TX_OK && again.hash != state->hash) {
        crash_state_diff(state, &again, stderr);
        FUZZ_EXPECT(false, "another state than before closing");
    }
    FUZZ_EXPECT(!marked || has_mark(io), "a commit is gone");
    crash_state_release(&again);
    status = txstore_close(store, &err);
    FUZZ_EXPECT(status == TX_OK || !sound, "close: %s", err.text);
}

static void use(struct txio *io, struct txstore *store, bool sound)
{
    struct crash_state state = {0};
    struct txstore_options open = {.io = io};
    uint64_t faults = 0;
    enum tx_status read = take_state(io, store, &state);
    FUZZ_EXPECT(read == TX_OK || !sound, "check is content, reading is not: %s", err.text);
    enum tx_status status = txstore_close(store, &err);
    FUZZ_EXPECT(status == TX_OK || !sound, "close: %s", err.text);
    reopen(io, read == TX_OK ? &state : NULL, false, sound);
    crash_state_release(&state);
    if (txstore_open(ROOT, &open, &store, &err) != TX_OK) {
        return;
    }
    exercise(store);
    bool marked = put_mark(store);
    FUZZ_EXPECT(marked || !sound, "a commit is refused: %s", err.text);
    TX_IGNORE(txstore_close(store, &err)); /* a refused checkpoint leaves the log as it is */
    reopen(io, NULL, marked, sound);
    if (sound) {
        FUZZ_MUST(check(io, &faults), &err);
        FUZZ_EXPECT(faults == 0, "sound before, %llu faults after", (unsigned long long)faults);
    }
}

void fuzz_one(const uint8_t *data, size_t size)
{
    struct fuzz_feed feed = {data, size};
    unsigned number = fuzz_take8(&feed) % DISKS;
    struct txstore *store = NULL;
    uint64_t faults = 0;
    if (disks[number].image == NULL) {
        make_disk(&disks[number], number);
    }
    struct txio *io = fuzz_disk_boot(&disks[number], &options, &feed);
    struct txstore_options open = {.io = io};
    bool sound = check(io, &faults) == TX_OK && faults == 0 && !fuzz_disk_is_forged();
    try_salvage(io);
    enum tx_status status = txstore_open(ROOT, &open, &store, &err);
    if (tells()) {
        printf("# open: %s %s\n", tx_status_name(status), status == TX_OK ? "" : err.text);
    }
    FUZZ_EXPECT(status == TX_OK || !sound, "check is content, opening is not: %s", err.text);
    FUZZ_EXPECT(status == TX_OK || may_refuse(status), "%s: %s", tx_status_name(status), err.text);
    if (status == TX_OK) {
        use(io, store, sound);
    }
    FUZZ_EXPECT(canary_state(io) == canaries[number], "something outside the root was touched");
    FUZZ_EXPECT(fuzz_memory_peak() - fuzz_memory_now() < MEMORY_MAX, "%llu bytes of memory",
                (unsigned long long)fuzz_memory_peak());
    sim_free(io);
}
