/* SPDX-License-Identifier: MIT */
/*
 * A store for the tests of src/ktm: a log, shared memory that forked children share too, and two
 * toy resource managers. A toy holds TOY_ITEMS numbers; the first four are in its token, so that
 * snapshots have them. Each handle is what a process would have: its own descriptor of `control`,
 * its own locks. So two handles in one test are two processes.
 */
#ifndef TEST_KTM_FIXTURE_H
#define TEST_KTM_FIXTURE_H

#include <stdatomic.h>
#include <string.h>

#include "ktm/ktm_internal.h"
#include "temp_dir.h"

#define ok(call)                                                                                   \
    do {                                                                                           \
        enum tx_status ok_status_ = (call);                                                        \
        cr_assert(ok_status_ == TX_OK, "%s:%d: %s: %s", __FILE__, __LINE__,                        \
                  tx_status_name(ok_status_), test_err.text);                                      \
    } while (0)
#define fails(wanted, call)                                                                        \
    do {                                                                                           \
        enum tx_status fails_status_ = (call);                                                     \
        cr_assert(fails_status_ == (wanted), "%s:%d: %s instead of %s: %s", __FILE__, __LINE__,    \
                  tx_status_name(fails_status_), tx_status_name(wanted), test_err.text);           \
    } while (0)
extern struct tx_error test_err;
#define ERR (&test_err)

#define TOY_ITEMS 4096u
#define TOYS 2u

enum toy_op { TOY_SET = 1, TOY_SET_WITH_BARRIER = 2, TOY_MARK = 3, TOY_WATCH = 4 };

/* What a toy's processes share, and what the test tells it to do. */
struct toy_live {
    _Atomic uint64_t value[TOY_ITEMS];
    _Atomic uint64_t revision[TOY_ITEMS]; /* LSN of the commit that set it */
    _Atomic uint64_t prepares, confirms, redos, recovers, steadies, trims;
    _Atomic uint64_t steady_lsn, trim_lsn, trim_oldest, last_redo_lsn;
    _Atomic uint32_t redo_status;   /* enum tx_status to answer instead of the work */
    _Atomic uint32_t redo_dies;     /* _exit in the middle of the next redo */
    _Atomic uint32_t steady_status;
    _Atomic uint32_t slow_prepare;  /* microseconds */
};

struct toy {
    unsigned id;
    struct txio *io;
    int store_dir;
    struct toy_live *live;
    void (*on_prepare)(void *arg); /* called once in the middle of a vote */
    void *arg;
    bool blind; /* validates nothing: leaves all to the conflict table */
};

struct world {
    struct temp_dir temp;
    const char *path; /* of the store */
    uint32_t conflict_entries;
    void *log_shared;
    void *ktm_shared;
    struct toy_live *live[TOYS];
};

struct handle {
    struct world *world;
    struct txio *io;
    int dir;
    struct txlog *log;
    struct ktm *tm;
    struct toy toys[TOYS];
    struct ktm_recovery recovery;
};

struct world_options {
    uint32_t conflict_entries; /* 0: 1024 */
    uint64_t segment_size;     /* 0: 64 KiB */
    uint64_t size_max;
};
/* Make the store. `options` may be NULL. */
struct world *world_new(const struct world_options *options);
void world_free(struct world *world);
/* The same for a store at `path` that exists already, in a simulated machine; and forget it. */
struct world *world_at(const char *path);
void world_forget(struct world *world);
/* Forget all shared memory, as a reboot does. */
void world_reboot(struct world *world);
/* Open with recovery, alone; `io` NULL: the operating system. */
enum tx_status handle_try_boot(struct handle *handle, struct world *world, struct txio *io);
void handle_boot(struct handle *handle, struct world *world);
/* Open at rest, alone. False: the log is open so, the manager wants recovery. */
bool handle_rest(struct handle *handle, struct world *world);
/* Open as one more process. */
void handle_join(struct handle *handle, struct world *world, struct txio *io);
/* Close without a checkpoint. */
void handle_close(struct handle *handle);
/* Close, forget shared memory, boot. */
void handle_reboot(struct handle *handle);

struct ktm_txn *txn_begin(struct handle *handle, uint32_t flags);
enum tx_status toy_try_set(struct ktm_txn *txn, unsigned toy, uint32_t item, uint64_t value);
void toy_set(struct ktm_txn *txn, unsigned toy, uint32_t item, uint64_t value);
void toy_entry(struct ktm_txn *txn, unsigned toy, enum toy_op op, uint32_t item, uint64_t value);
/* Becomes an entry when the toy is flushed. */
void toy_cache(struct ktm_txn *txn, unsigned toy, uint32_t item, uint64_t value);
/* What the transaction sees; counts as read. */
uint64_t toy_get(struct ktm_txn *txn, unsigned toy, uint32_t item);
uint64_t toy_live_value(const struct world *world, unsigned toy, uint32_t item);

/* Begin, set one item of each toy, commit. Returns the LSN. */
tx_lsn commit_pair(struct handle *handle, uint32_t item, uint64_t value);
tx_lsn commit_one(struct handle *handle, unsigned toy, uint32_t item, uint64_t value);
struct txlog_info handle_log_info(const struct handle *handle);
bool store_has(const struct world *world, const char *path);
/* "tx/3-42/p1", as tests stage it; static. */
const char *payload_path(const struct ktm_id *id);
/* Write to the log past the manager: what a broken or hostile writer would leave. */
tx_lsn raw_append(struct handle *handle, uint32_t kind, const void *data, size_t size);
/* A COMMIT or PREPARE of transaction 1-`sequence` with one entry, of resource manager `rm`. */
tx_lsn raw_transaction(struct handle *handle, uint32_t kind, uint64_t sequence, uint8_t rm);
tx_lsn raw_decision(struct handle *handle, enum ktm_outcome outcome, uint64_t sequence,
                    tx_lsn prepare);

/* Run `fn` in a forked child and answer its exit status (128 + signal when killed). */
int in_child(void (*fn)(void *arg), void *arg);

#endif
