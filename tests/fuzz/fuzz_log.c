/* SPDX-License-Identifier: MIT */
/*
 * The log's reader: control slots, segment headers, records, the torn-or-damaged decision.
 *
 * Input: 1 byte, which disk; then a script of edits (fuzz_disk.h). Promises held up to it:
 *   - an error is one that damage may be answered with, and then nothing has been changed;
 *   - what verify finds no fault in, opens;
 *   - what opens reads to its end, takes a record, and shows the same after the next crash;
 *   - memory follows what is there, never what a length field claims.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "fuzz/fuzz_disk.h"

#include <txkit/log.h>

#define DISKS 4u
#define MEMORY_MAX (1u << 20) /* two windows and a table, however much the disk claims */
static const struct sim_options options = {.seed = 1, .umask = 022, .capacity = 64u << 20};

static struct fuzz_disk disks[DISKS];
static struct tx_error err;

struct opened {
    struct txlog *log;
    int dir;
    void *shared;
};

static enum tx_status log_open_at(struct txio *io, struct opened *opened)
{
    size_t size = (txlog_shared_size() + 63) & ~(size_t)63;
    struct txlog_recovery report;
    opened->log = NULL;
    opened->shared = aligned_alloc(64, size);
    FUZZ_EXPECT(opened->shared != NULL, "the harness has no memory");
    memset(opened->shared, 0, size);
    FUZZ_MUST(txio_open(io, TXIO_CWD, "/l", TXIO_READ | TXIO_DIRECTORY, 0, &opened->dir, &err),
              &err);
    TX_TRY(txlog_open(io, opened->dir, TXLOG_READWRITE, opened->shared, &opened->log, &err));
    return txlog_recover(opened->log, &report, &err);
}

static void log_close_at(struct txio *io, struct opened *opened)
{
    txlog_close(opened->log);
    io->ops->close(io, opened->dir);
    free(opened->shared);
}

static enum tx_status put(struct txlog *log, uint32_t kind, size_t size, tx_lsn *next)
{
    static uint8_t bytes[3 * TXLOG_SEGMENT_SIZE_MIN];
    struct iovec part = {bytes, size};
    tx_lsn lsn;
    memset(bytes, (int)kind, size);
    TX_TRY(txlog_append_begin(log, size, &lsn, &err));
    enum tx_status status = txlog_append(log, kind, &part, 1, next, &err);
    txlog_append_end(log);
    return status;
}

/* Records of one block and of several, one larger than a segment; the last is not forced. */
static void make_disk(struct fuzz_disk *disk, unsigned number)
{
    struct txio *io = sim_new(&options);
    struct txlog_settings settings = {.segment_size = TXLOG_SEGMENT_SIZE_MIN};
    struct txlog_identity identity;
    struct opened opened;
    tx_lsn next = 0;
    tx_lsn middle = 0;
    FUZZ_MUST(txio_mkdir(io, TXIO_CWD, "/l", 0700, &err), &err);
    FUZZ_MUST(txio_open(io, TXIO_CWD, "/l", TXIO_READ | TXIO_DIRECTORY, 0, &opened.dir, &err),
              &err);
    FUZZ_MUST(txlog_create(io, opened.dir, &settings, &identity, &err), &err);
    io->ops->close(io, opened.dir);
    FUZZ_MUST(log_open_at(io, &opened), &err);
    for (uint32_t i = 1; i <= 6; i++) {
        FUZZ_MUST(put(opened.log, i, i == 4 ? 20000 : 100 + 1500 * i, &next), &err);
        FUZZ_MUST(txlog_force(opened.log, next, &err), &err);
        middle = i == 4 ? next : middle;
    }
    if (number == 1) {
        FUZZ_MUST(txlog_trim(opened.log, middle, &err), &err); /* recycles */
    }
    if (number == 2) { /* a crash between, hence a recovered segment and an epoch record */
        log_close_at(io, &opened);
        FUZZ_MUST(log_open_at(io, &opened), &err);
    }
    FUZZ_MUST(put(opened.log, 7, 700, &next), &err);
    if (number == 3) {
        FUZZ_MUST(txlog_mark_clean(opened.log, &err), &err);
    }
    log_close_at(io, &opened);
    fuzz_disk_take(disk, io, "/l");
}

/* Every record but the epochs, to the end; what damage may be is an answer only in salvage. */
static uint64_t read_all(struct txlog *log)
{
    TX_AUTO(tx_buf) payload = TX_BUF_INIT;
    struct txlog_record record;
    struct txlog_info info;
    uint64_t hash = 0;
    enum tx_status status;
    txlog_get_info(log, &info);
    tx_lsn lsn = info.start_lsn;
    while ((status = txlog_read(log, lsn, &record, &payload, &err)) == TX_OK) {
        FUZZ_EXPECT(record.lsn == lsn && record.next_lsn > lsn, "the reader does not advance");
        if (record.kind != TXLOG_KIND_EPOCH) {
            hash = fuzz_hash(&record.kind, sizeof record.kind, hash);
            hash = fuzz_hash(payload.data, payload.size, hash);
        }
        lsn = record.next_lsn;
    }
    FUZZ_EXPECT(status == TX_ENOTFOUND && lsn == info.append_lsn,
                "the log ends at %llu, reading at %llu: %s", (unsigned long long)info.append_lsn,
                (unsigned long long)lsn, err.text);
    return hash;
}

static bool is_full(enum tx_status status)
{
    return status == TX_ENOSPC || status == TX_ELIMIT;
}

/* It opened: use it, kill the process, look again. */
static void use(struct txio *io, struct opened *opened)
{
    uint64_t before = read_all(opened->log);
    tx_lsn next = 0;
    enum tx_status status = put(opened->log, 9, 300, &next);
    FUZZ_EXPECT(status == TX_OK || is_full(status), "append: %s", err.text);
    if (status == TX_OK) {
        FUZZ_MUST(txlog_force(opened->log, next, &err), &err);
        uint64_t after = read_all(opened->log);
        FUZZ_EXPECT(after != before, "the new record is not read");
        before = after;
    }
    log_close_at(io, opened);
    status = log_open_at(io, opened);
    FUZZ_EXPECT(status == TX_OK, "does not open again: %s", err.text);
    FUZZ_EXPECT(read_all(opened->log) == before, "another log than before the crash");
}

static void note_fault(void *arg, const struct txlog_fault *fault)
{
    FUZZ_EXPECT(memchr(fault->text, 0, sizeof fault->text) != NULL, "unterminated text");
    if (getenv("FUZZ_TELL") != NULL) {
        printf("# %s at %llu: %s\n", fault->file, (unsigned long long)fault->offset, fault->text);
    }
    (void)arg;
}

static enum tx_status verify(struct txio *io, uint64_t *faults)
{
    int dir;
    FUZZ_MUST(txio_open(io, TXIO_CWD, "/l", TXIO_READ | TXIO_DIRECTORY, 0, &dir, &err), &err);
    enum tx_status status = txlog_verify(io, dir, note_fault, NULL, faults, &err);
    io->ops->close(io, dir);
    return status;
}

static bool may_refuse(enum tx_status status)
{
    return fuzz_is_refusal(status) || status == TX_ENOTFOUND || status == TX_ENOSPC;
}

static void try_disk(struct txio *io)
{
    struct opened opened;
    uint64_t faults = 0;
    enum tx_status verified = verify(io, &faults);
    FUZZ_EXPECT(verified == TX_OK || may_refuse(verified), "verify: %s", err.text);
    uint64_t before = fuzz_disk_hash(io);
    enum tx_status status = log_open_at(io, &opened);
    if (getenv("FUZZ_TELL") != NULL) {
        printf("# %llu faults; open: %s %s\n", (unsigned long long)faults, tx_status_name(status),
               status == TX_OK ? "" : err.text);
    }
    FUZZ_EXPECT(fuzz_memory_peak() - fuzz_memory_now() < MEMORY_MAX, "%llu bytes of memory",
                (unsigned long long)fuzz_memory_peak());
    if (status == TX_OK) {
        use(io, &opened);
    } else {
        FUZZ_EXPECT(may_refuse(status), "open: %s", err.text);
        FUZZ_EXPECT(verified != TX_OK || faults > 0 || is_full(status),
                    "verify is content, opening is not: %s", err.text);
        FUZZ_EXPECT(status != TX_ECORRUPT || fuzz_disk_hash(io) == before,
                    "refused and yet changed: %s", err.text);
    }
    log_close_at(io, &opened);
}

void fuzz_one(const uint8_t *data, size_t size)
{
    struct fuzz_feed feed = {data, size};
    unsigned number = fuzz_take8(&feed) % DISKS;
    if (disks[number].image == NULL) {
        make_disk(&disks[number], number);
    }
    struct txio *io = fuzz_disk_boot(&disks[number], &options, &feed);
    try_disk(io);
    sim_free(io);
}
