/* SPDX-License-Identifier: MIT */
/*
 * Opening and closing. The recovery byte decides who does what: taken exclusively, nobody else is
 * alive, so what lies in `shm` means nothing and a crash may have left work; taken shared, somebody
 * alive has done all that. The open byte makes the two steps one.
 *
 * Who only reads leaves a store at rest that was closed properly: it fills `shm` and changes
 * nothing on disk. The first one that may write recovers it then, beside the readers.
 */
#include <errno.h>

#include "base/mutant.h"
#include "store/store_internal.h"

#define POLL_NS 10000000 /* between two looks at a lock with a timeout: 10 ms */

void txstore_release(struct txstore *store)
{
    if (!store) {
        return;
    }
    const struct txio_ops *ops = store->io->ops;
    int fds[] = {store->recovery_fd, store->dir, store->root_dir};
    txstore_unwire(store);
    txstore_shared_release(store);
    for (size_t i = 0; i < sizeof fds / sizeof *fds; i++) {
        if (fds[i] >= 0) {
            /* Releases the locks of recovery_fd; nothing was written through any of them. */
            (void)ops->close(store->io, fds[i]);
        }
    }
    tx_free(store->root);
    tx_free(store->path);
    tx_free(store);
}

enum tx_status txstore_new(const struct txstore_options *options, struct txstore **store,
                           struct tx_error *err)
{
    struct txstore *new_store = tx_alloc_zero(sizeof *new_store);
    if (!new_store) {
        return tx_error_set(err, TX_ENOMEM, "out of memory");
    }
    new_store->io = options && options->io ? options->io : txio_posix();
    new_store->mode = options ? options->mode : TXSTORE_READWRITE;
    new_store->no_checkpoint_on_close = options && options->no_checkpoint_on_close;
    new_store->root_dir = -1;
    new_store->dir = -1;
    new_store->shared_fd = -1;
    new_store->recovery_fd = -1;
    new_store->process = new_store->io->ops->process_id(new_store->io);
    *store = new_store;
    return TX_OK;
}

/* Wait for the open byte: another process may be recovering behind it. */
static enum tx_status open_lock(struct txstore *store, uint32_t timeout_ms, struct tx_error *err)
{
    struct txio *io = store->io;
    if (timeout_ms == 0) {
        return txio_pair_lock(&store->open_lock, err);
    }
    int64_t end = io->ops->monotonic_ns(io) + (int64_t)timeout_ms * 1000000;
    for (;;) {
        bool taken = false;
        TX_TRY(txio_pair_trylock(&store->open_lock, &taken, err));
        if (taken) {
            return TX_OK;
        }
        if (io->ops->monotonic_ns(io) >= end) {
            return tx_error_set(err, TX_EBUSY,
                                "another process has been opening or closing the store for %u ms",
                                timeout_ms);
        }
        _Atomic uint32_t nothing = 0;
        (void)io->ops->wait(io, &nothing, 0, POLL_NS); /* a pause; nobody wakes it */
    }
}

/* Give the recovery byte back while the open byte is still held: who comes next and finds it taken
 * exclusively would take a store for alive that nobody recovered, or that was closed for good. */
static void give_recovery(struct txstore *store)
{
    struct txio *io = store->io;
    /* The unlock of a byte fails for a closed descriptor only, and then it is free already. */
    if (!TX_MUTANT(73)) {
        (void)io->ops->lock(io, store->recovery_fd, TXIO_LOCK_RECOVERY, TXIO_UNLOCK, false);
    }
}

/* Whoever made the store may have been killed, or told of an error, after it had its name and
 * before that was durable. Who writes first makes sure; the first epoch says that this was done. */
static enum tx_status name_is_durable(struct txstore *store, const struct txlog_info *info,
                                      struct tx_error *err)
{
    if (info->epochs > 0 || TX_MUTANT(102)) {
        return TX_OK;
    }
    /* Crash here: a store that nobody has written to, or none. */
    int result = store->io->ops->syncfs(store->io, store->dir);
    return result < 0 ? tx_error_os(err, -result, "sync the name of the store") : TX_OK;
}

/* Alone, or the first that may write of a store at rest. Cut off in the middle of the latter, the
 * next one begins anew: the log may have been recovered already, the rest not. */
static enum tx_status recover(struct txstore *store, struct tx_error *err)
{
    struct txlog_info info;
    store->recovery.performed = true;
    txlog_get_info(store->log, &info);
    bool log_is_done = txstore_is_at_rest(store) && !info.at_rest;
    if (!log_is_done) {
        TX_TRY(name_is_durable(store, &info, err));
        TX_TRY(txstore_claim_durable(store, err));
        TX_TRY(txlog_recover(store->log, &store->recovery.ktm.log, err));
    }
    if (!store->tm) {
        TX_TRY(txstore_wire(store, err));
    }
    struct txlog_recovery log = store->recovery.ktm.log;
    TX_TRY(ktm_recover(store->tm, &store->recovery.ktm, err));
    store->recovery.ktm.log = log;
    store->recovery.foreign_kept = store->foreign_kept;
    txstore_shared_ready(store, false);
    return TX_OK;
}

static enum tx_status open_log(struct txstore *store, struct tx_error *err)
{
    return txlog_open(store->io, store->dir, TXLOG_READWRITE, txstore_shared_log(store),
                      &store->log, err);
}

static enum tx_status open_clean(struct txstore *store, bool *opened, struct tx_error *err)
{
    TX_TRY(txlog_open_clean(store->log, opened, err));
    if (!*opened) {
        return TX_OK;
    }
    TX_TRY(txstore_wire(store, err));
    TX_TRY(ktm_open_clean(store->tm, opened, err));
    if (*opened) {
        txstore_shared_ready(store, true);
    }
    return TX_OK;
}

static enum tx_status open_alone(struct txstore *store, struct tx_error *err)
{
    bool clean = false;
    TX_TRY(txstore_shared_create(store, err));
    TX_TRY(open_log(store, err));
    if (store->mode == TXSTORE_READONLY) {
        TX_TRY(open_clean(store, &clean, err));
    }
    return clean ? TX_OK : recover(store, err);
}

static enum tx_status open_join(struct txstore *store, struct tx_error *err)
{
    TX_TRY(txstore_shared_join(store, err));
    TX_TRY(open_log(store, err));
    bool first_writer = store->mode == TXSTORE_READWRITE && txstore_is_at_rest(store);
    return first_writer && !TX_MUTANT(88) ? recover(store, err) : txstore_wire(store, err);
}

static enum tx_status open_alive(struct txstore *store, struct tx_error *err)
{
    struct txio *io = store->io;
    int fd = store->recovery_fd;
    enum tx_status status;
    int result = io->ops->lock(io, fd, TXIO_LOCK_RECOVERY, TXIO_EXCLUSIVE_LOCK, false);
    if (result >= 0) {
        status = open_alone(store, err);
        if (status != TX_OK) {
            return status;
        }
    } else if (result != -EAGAIN) {
        return tx_error_os(err, -result, "lock the store");
    }
    bool alone = result >= 0;
    result = io->ops->lock(io, fd, TXIO_LOCK_RECOVERY, TXIO_SHARED, true);
    if (result < 0) {
        return tx_error_os(err, -result, "lock the store");
    }
    store->alive = true;
    return alone ? TX_OK : open_join(store, err);
}

/* Of a store that is refused: read what is whole. No locks, no shared memory, no recovery. */
enum tx_status txstore_open_salvage(struct txstore *store, struct tx_error *err)
{
    if (txstore_settings_load(store->io, store->dir, &store->settings, NULL) != TX_OK) {
        store->settings = (struct txstore_settings){.inline_max = TXFS_INLINE_MAX_DEFAULT,
                                                    .conflict_entries = 64};
    }
    TX_TRY(txstore_shared_private(store, err));
    TX_TRY(txlog_open(store->io, store->dir, TXLOG_SALVAGE, NULL, &store->log, err));
    return txstore_wire(store, err);
}

enum tx_status txstore_open(const char *root, const struct txstore_options *options,
                            struct txstore **store, struct tx_error *err)
{
    TX_AUTO_PTR(txstore) opened = NULL;
    TX_TRY(txstore_new(options, &opened, err));
    TX_TRY(txstore_locate(opened, root, options ? options->store_path : NULL, err));
    enum tx_status status;
    if (opened->mode == TXSTORE_SALVAGE) {
        status = txstore_open_salvage(opened, err);
    } else {
        TX_TRY(txio_open(opened->io, opened->dir, "control", TXIO_WRITE, 0, &opened->recovery_fd,
                         err));
        txio_pair_init(&opened->open_lock, opened->io, opened->recovery_fd, TXIO_LOCK_OPEN);
        TX_TRY(open_lock(opened, options ? options->lock_timeout_ms : 0, err));
        status = txstore_settings_load(opened->io, opened->dir, &opened->settings, err);
        if (status == TX_OK) {
            status = open_alive(opened, err);
        }
        if (status != TX_OK) {
            txstore_unwire(opened);
            give_recovery(opened);
        }
        txio_pair_unlock(&opened->open_lock);
    }
    if (status != TX_OK) {
        tx_error_prefix(err, "open store \"%s\"", opened->path);
        return status;
    }
    *store = TX_TAKE(opened);
    return TX_OK;
}

/* The last one out leaves everything steady, so that the next open has nothing to do. */
static enum tx_status close_last(struct txstore *store, struct tx_error *err)
{
    struct txio *io = store->io;
    int result = io->ops->lock(io, store->recovery_fd, TXIO_LOCK_RECOVERY, TXIO_EXCLUSIVE_LOCK,
                               false);
    if (result == -EAGAIN) {
        return TX_OK; /* others are alive */
    }
    if (result < 0) {
        return tx_error_os(err, -result, "lock the store");
    }
    if (txstore_is_at_rest(store)) {
        return TX_OK; /* nobody changed anything */
    }
    if (txlog_is_poisoned(store->log)) {
        return TX_OK; /* the commits that met the error have said so; recovery does the rest */
    }
    TX_TRY(ktm_checkpoint(store->tm, err));
    return txlog_mark_clean(store->log, err);
}

enum tx_status txstore_close(struct txstore *store, struct tx_error *err)
{
    enum tx_status status = TX_OK;
    bool forked = store->process != store->io->ops->process_id(store->io);
    bool locked = false;
    if (store->alive && !forked && !store->no_checkpoint_on_close) {
        status = txio_pair_lock(&store->open_lock, err);
        locked = status == TX_OK;
        if (locked) {
            status = close_last(store, err);
        }
    }
    if (status != TX_OK) {
        tx_error_prefix(err, "close store \"%s\"", store->path);
    }
    if (locked) {
        /* Nobody may take the store for clean while this process still uses it. */
        txstore_unwire(store);
        give_recovery(store);
        txio_pair_unlock(&store->open_lock);
    }
    txstore_release(store);
    return status;
}

enum tx_status txstore_begin(struct txstore *store, const struct ktm_begin_options *options,
                             struct ktm_txn **txn, struct tx_error *err)
{
    return ktm_begin(store->tm, options, txn, err);
}

struct ktm *txstore_ktm(struct txstore *store)
{
    return store->tm;
}

struct txlog *txstore_log(struct txstore *store)
{
    return store->log;
}

struct txfs *txstore_fs(struct txstore *store)
{
    return store->fs;
}

struct txreg *txstore_reg(struct txstore *store)
{
    return store->reg;
}

const char *txstore_root(const struct txstore *store)
{
    return store->root;
}

enum tx_status txstore_checkpoint(struct txstore *store, struct tx_error *err)
{
    if (store->mode != TXSTORE_READWRITE) {
        return tx_error_set(err, TX_EREADONLY, "checkpoint: store is open read-only");
    }
    return ktm_checkpoint(store->tm, err);
}

void txstore_get_recovery(const struct txstore *store, struct txstore_recovery *recovery)
{
    *recovery = store->recovery;
}
