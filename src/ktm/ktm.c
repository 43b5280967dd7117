/* SPDX-License-Identifier: MIT */
/* Opening and closing a transaction manager; what every call checks first. */
#include <string.h>

#include "ktm/ktm_internal.h"

static uint32_t entries_or_default(uint32_t conflict_entries)
{
    return conflict_entries == 0 ? KTM_CONFLICT_ENTRIES_DEFAULT : conflict_entries;
}

size_t ktm_shared_size(uint32_t conflict_entries)
{
    size_t size = sizeof(struct ktm_shared) +
                  (size_t)entries_or_default(conflict_entries) * sizeof(struct ktm_conflict_entry);
    return (size + 63) / 64 * 64;
}

bool ktm_is_forked(const struct ktm *tm)
{
    return tm->io->ops->process_id(tm->io) != tm->process_id;
}

enum tx_status ktm_enter_any(struct ktm *tm, struct tx_error *err)
{
    if (ktm_is_forked(tm)) {
        return tx_error_set(err, TX_EFORKED, "store was opened before fork; open it in the child");
    }
    return TX_OK;
}

enum tx_status ktm_enter(struct ktm *tm, struct tx_error *err)
{
    TX_TRY(ktm_enter_any(tm, err));
    if (atomic_load(&tm->shared->magic) != KTM_SHARED_MAGIC) {
        return tx_error_set(err, TX_EMISUSE, "store has not been recovered");
    }
    if (txlog_is_poisoned(tm->log)) {
        return tx_error_set(err, TX_EPOISONED, "store met a write error; reopen it");
    }
    return TX_OK;
}

enum tx_status ktm_need_tx_dir(struct ktm *tm, struct tx_error *err)
{
    struct txio *io = tm->io;
    txio_mutex_lock(io, &tm->mutex);
    int fd = tm->tx_dir;
    enum tx_status status = TX_OK;
    if (fd < 0) {
        status = txio_open(io, tm->store_dir, "tx", TXIO_READ | TXIO_DIRECTORY, 0, &fd, err);
        if (status == TX_ENOTFOUND && !tm->read_only) {
            status = txio_mkdir(io, tm->store_dir, "tx", 0700, err);
            if (status == TX_OK) {
                /* Crash here: no tx/ or an empty one, and no transaction that needs it. */
                status = txio_sync(io, tm->store_dir, "store directory", err);
            }
            if (status == TX_OK) {
                status =
                    txio_open(io, tm->store_dir, "tx", TXIO_READ | TXIO_DIRECTORY, 0, &fd, err);
            }
        }
        tm->tx_dir = status == TX_OK ? fd : -1;
    }
    txio_mutex_unlock(io, &tm->mutex);
    return status;
}

static enum tx_status options_check(const struct ktm_options *options, struct tx_error *err)
{
    uint32_t entries = entries_or_default(options->conflict_entries);
    if (!options->io || !options->log || !options->shared ||
        (uintptr_t)options->shared % _Alignof(struct ktm_shared) != 0) {
        return tx_error_set(err, TX_EINVAL, "transaction manager without log or shared memory");
    }
    if ((entries & (entries - 1)) != 0 || entries < KTM_CONFLICT_ENTRIES_MIN ||
        entries > KTM_CONFLICT_ENTRIES_MAX) {
        return tx_error_set(err, TX_EINVAL, "conflict table of %u entries: want a power of two",
                            entries);
    }
    return TX_OK;
}

/* Who joins must see the table as whoever recovered the store made it. */
static enum tx_status shared_check(const struct ktm *tm, struct tx_error *err)
{
    if (atomic_load(&tm->shared->magic) == KTM_SHARED_MAGIC &&
        atomic_load(&tm->shared->conflict_entries) != tm->conflict_entries) {
        return tx_error_set(err, TX_EINVAL, "others opened the store with a conflict table of %u",
                            atomic_load(&tm->shared->conflict_entries));
    }
    return TX_OK;
}

static void ktm_free(struct ktm *tm)
{
    ktm_prepared_forget_keys(tm);
    if (tm->tx_dir >= 0) {
        (void)tm->io->ops->close(tm->io, tm->tx_dir); /* read only: nothing can be lost */
    }
    tx_free(tm);
}

enum tx_status ktm_open(const struct ktm_options *options, struct ktm **tm, struct tx_error *err)
{
    TX_TRY(options_check(options, err));
    struct ktm *opened = tx_alloc_zero(sizeof *opened);
    if (!opened) {
        return tx_error_set(err, TX_ENOMEM, "out of memory");
    }
    opened->io = options->io;
    opened->store_dir = options->store_dir;
    opened->tx_dir = -1;
    opened->log = options->log;
    opened->shared = options->shared;
    opened->conflict_entries = entries_or_default(options->conflict_entries);
    opened->read_only = options->read_only || options->salvage;
    opened->salvage = options->salvage;
    opened->process_id = options->io->ops->process_id(options->io);
    memcpy(opened->rm_ops, options->rm_ops, sizeof opened->rm_ops);
    memcpy(opened->rms, options->rms, sizeof opened->rms);
    int control = txlog_control_fd(options->log);
    txio_pair_init(&opened->publish, opened->io, control, TXIO_LOCK_PUBLISH);
    txio_pair_init(&opened->checkpoint, opened->io, control, TXIO_LOCK_CHECKPOINT);
    struct txlog_info info;
    txlog_get_info(opened->log, &info);
    opened->identity = info.identity;
    enum tx_status status = shared_check(opened, err);
    if (status == TX_OK) {
        status = ktm_process_take(opened, err);
    }
    if (status != TX_OK) {
        ktm_free(opened);
        return status;
    }
    *tm = opened;
    return TX_OK;
}

void ktm_close(struct ktm *tm)
{
    if (!tm) {
        return;
    }
    while (tm->txns) {
        ktm_rollback(tm->txns);
    }
    if (!ktm_is_forked(tm)) {
        ktm_process_give(tm); /* a child would give away its parent's proof of life */
    }
    ktm_free(tm);
}
