/* SPDX-License-Identifier: MIT */
/* Mutual exclusion of the threads of a process, and with it of processes. */
#include "txio_internal.h"

#include "base/invariant.h"

/* Drepper, "Futexes Are Tricky" (2011), the second mutex. */
enum { FREE, HELD, HELD_WITH_SLEEPERS };

bool txio_mutex_trylock(struct txio_mutex *mutex)
{
    uint32_t seen = FREE;
    return atomic_compare_exchange_strong_explicit(&mutex->word, &seen, HELD, memory_order_acquire,
                                                   memory_order_relaxed);
}

void txio_mutex_lock(struct txio *io, struct txio_mutex *mutex)
{
    if (txio_mutex_trylock(mutex)) {
        return;
    }
    /* Whoever slept cannot know whether others still do, so it takes the mutex as if they did. */
    while (atomic_exchange_explicit(&mutex->word, HELD_WITH_SLEEPERS, memory_order_acquire) !=
           FREE) {
        (void)io->ops->wait(io, &mutex->word, HELD_WITH_SLEEPERS, -1); /* the loop looks itself */
    }
}

void txio_mutex_unlock(struct txio *io, struct txio_mutex *mutex)
{
    uint32_t was = atomic_exchange_explicit(&mutex->word, FREE, memory_order_release);
    TX_INVARIANT(was != FREE);
    if (was == HELD_WITH_SLEEPERS) {
        (void)io->ops->wake(io, &mutex->word, 1); /* fails for a bad address only */
    }
}

void txio_pair_init(struct txio_pair *pair, struct txio *io, int control_fd, uint64_t byte)
{
    *pair = (struct txio_pair){.io = io, .fd = control_fd, .byte = byte};
}

static enum tx_status lock_error(const struct txio_pair *pair, int result, struct tx_error *err)
{
    return tx_error_os(err, -result, "lock byte %llu of the control file",
                       (unsigned long long)pair->byte);
}

enum tx_status txio_pair_lock(struct txio_pair *pair, struct tx_error *err)
{
    struct txio *io = pair->io;
    txio_mutex_lock(io, &pair->mutex);
    int result = io->ops->lock(io, pair->fd, pair->byte, TXIO_EXCLUSIVE_LOCK, true);
    if (result < 0) {
        txio_mutex_unlock(io, &pair->mutex);
        return lock_error(pair, result, err);
    }
    return TX_OK;
}

enum tx_status txio_pair_trylock(struct txio_pair *pair, bool *taken, struct tx_error *err)
{
    struct txio *io = pair->io;
    if (!txio_mutex_trylock(&pair->mutex)) {
        *taken = false;
        return TX_OK;
    }
    int result = io->ops->lock(io, pair->fd, pair->byte, TXIO_EXCLUSIVE_LOCK, false);
    if (result < 0) {
        txio_mutex_unlock(io, &pair->mutex);
        if (result != -EAGAIN) {
            return lock_error(pair, result, err);
        }
    }
    *taken = result >= 0;
    return TX_OK;
}

void txio_pair_unlock(struct txio_pair *pair)
{
    /* The kernel's lock first: a thread that gets the mutex takes the byte for our common
     * description, and we must not drop it again. The unlock of a byte that is held fails for a
     * closed descriptor only, and then the lock is gone already. */
    (void)pair->io->ops->lock(pair->io, pair->fd, pair->byte, TXIO_UNLOCK, false);
    txio_mutex_unlock(pair->io, &pair->mutex);
}
