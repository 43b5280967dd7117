/* SPDX-License-Identifier: MIT */
/*
 * The `shm` file. It holds nothing that could not be rebuilt: whoever is alone in the store makes
 * it anew before anybody else can join, so no byte of it survives a crash of the last process.
 * It is allocated in full, so that touching the mapping can not meet a full disk (FAULTS F14).
 */
#include "base/mutant.h"
#include "store/store_internal.h"

#define SHARED_FILE "shm"
#define SHARED_ALIGNMENT 4096u /* as mapped memory has; the areas rely on 64 */

static size_t shared_align(size_t size)
{
    return (size + 4095) & ~(size_t)4095;
}

static size_t shared_total(const struct txstore *store)
{
    return 4096 + shared_align(txlog_shared_size()) +
           shared_align(ktm_shared_size(store->settings.conflict_entries)) +
           shared_align(txreg_shared_size());
}

static struct txstore_shared *shared_header(const struct txstore *store)
{
    return store->shared;
}

void *txstore_shared_log(const struct txstore *store)
{
    return (char *)store->shared + 4096;
}

void *txstore_shared_ktm(const struct txstore *store)
{
    return (char *)txstore_shared_log(store) + shared_align(txlog_shared_size());
}

void *txstore_shared_reg(const struct txstore *store)
{
    return (char *)txstore_shared_ktm(store) +
           shared_align(ktm_shared_size(store->settings.conflict_entries));
}

static enum tx_status shared_map(struct txstore *store, struct tx_error *err)
{
    int result = store->io->ops->map(store->io, store->shared_fd, store->shared_size,
                                     &store->shared);
    if (result < 0) {
        store->shared = NULL;
        return tx_error_os(err, -result, "map " SHARED_FILE);
    }
    return TX_OK;
}

enum tx_status txstore_shared_create(struct txstore *store, struct tx_error *err)
{
    struct txio *io = store->io;
    store->shared_size = shared_total(store);
    TX_TRY(txio_open(io, store->dir, SHARED_FILE, TXIO_WRITE | TXIO_CREATE, 0600, &store->shared_fd,
                     err));
    /* Crash here: an empty or short shm; the next open, alone, makes it anew. */
    int result = io->ops->truncate(io, store->shared_fd, 0);
    if (result >= 0) {
        result = io->ops->truncate(io, store->shared_fd, store->shared_size);
    }
    if (result >= 0 && !TX_MUTANT(29)) { /* libmdbx: a full disk is met as SIGBUS */
        result = io->ops->allocate(io, store->shared_fd, 0, store->shared_size);
    }
    if (result < 0) {
        return tx_error_os(err, -result, "make " SHARED_FILE);
    }
    TX_TRY(shared_map(store, err));
    shared_header(store)->size = store->shared_size;
    shared_header(store)->conflict_entries = store->settings.conflict_entries;
    return TX_OK;
}

void txstore_shared_ready(struct txstore *store, bool at_rest)
{
    atomic_store_explicit(&shared_header(store)->at_rest, at_rest, memory_order_release);
    atomic_store_explicit(&shared_header(store)->magic, TXSTORE_SHARED_MAGIC, memory_order_release);
}

bool txstore_is_at_rest(const struct txstore *store)
{
    return atomic_load_explicit(&shared_header(store)->at_rest, memory_order_acquire) != 0;
}

/* The living may run with other settings than the file says now: the size they chose counts. */
enum tx_status txstore_shared_join(struct txstore *store, struct tx_error *err)
{
    struct txstore_shared head;
    TX_TRY(txio_open(store->io, store->dir, SHARED_FILE, TXIO_WRITE, 0, &store->shared_fd, err));
    TX_TRY(txio_read_full(store->io, store->shared_fd, &head, sizeof head, 0, err));
    store->settings.conflict_entries = head.conflict_entries;
    store->shared_size = shared_total(store);
    if (head.magic != TXSTORE_SHARED_MAGIC || head.size != store->shared_size) {
        return tx_error_set(err, TX_EVERSION,
                            "join the processes that have the store open: they use another version "
                            "of the library");
    }
    return shared_map(store, err);
}

enum tx_status txstore_shared_private(struct txstore *store, struct tx_error *err)
{
    store->shared_size = shared_total(store);
    store->shared =
        tx_alloc_zero_aligned(store->shared_size, SHARED_ALIGNMENT, &store->private_memory);
    return store->shared ? TX_OK : tx_error_set(err, TX_ENOMEM, "out of memory");
}

void txstore_shared_release(struct txstore *store)
{
    if (store->shared_fd >= 0) {
        if (store->shared) {
            (void)store->io->ops->unmap(store->io, store->shared, store->shared_size);
        }
        (void)store->io->ops->close(store->io, store->shared_fd); /* nothing durable in it */
    }
    tx_free(store->private_memory);
    store->private_memory = NULL;
    store->shared = NULL;
    store->shared_fd = -1;
}
