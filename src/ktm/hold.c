/* SPDX-License-Identifier: MIT */
/*
 * Holding a transaction that others can see (its directory, its PREPARE record): one lock byte per
 * transaction, dropped by the kernel when the holder dies, and a list for the threads of this
 * process, which the kernel cannot tell apart.
 */
#include <errno.h>

#include "ktm/ktm_internal.h"

/* Two transactions may share a byte when their ids differ by 2^30 epochs or 2^32 sequence numbers:
 * then one of them waits for the other without need. */
static uint64_t hold_byte(const struct ktm_id *id)
{
    return (uint64_t)TXIO_LOCK_TRANSACTION +
           ((id->epoch & 0x3fffffff) << 32 | (id->sequence & 0xffffffff));
}

/* Under the manager's mutex. */
static bool held_here(const struct ktm *tm, uint64_t byte)
{
    for (const struct ktm_hold *hold = tm->holds; hold; hold = hold->next) {
        if (hold_byte(&hold->id) == byte) {
            return true;
        }
    }
    return false;
}

static int hold_lock(struct ktm *tm, uint64_t byte, enum txio_lock_mode mode)
{
    return tm->io->ops->lock(tm->io, txlog_control_fd(tm->log), byte, mode, false);
}

enum tx_status ktm_hold_take(struct ktm *tm, const struct ktm_id *id, struct ktm_hold *hold,
                             struct tx_error *err)
{
    uint64_t byte = hold_byte(id);
    int result = -EAGAIN;
    txio_mutex_lock(tm->io, &tm->mutex);
    if (!held_here(tm, byte)) {
        result = hold_lock(tm, byte, TXIO_EXCLUSIVE_LOCK);
    }
    if (result >= 0) {
        *hold = (struct ktm_hold){.id = *id, .taken = true, .next = tm->holds};
        tm->holds = hold;
    }
    txio_mutex_unlock(tm->io, &tm->mutex);
    if (result == -EAGAIN) {
        char text[KTM_ID_TEXT_SIZE];
        ktm_id_format(id, text);
        return tx_error_set(err, TX_EBUSY, "transaction %s is in use by somebody else", text);
    }
    return result < 0 ? tx_error_os(err, -result, "lock the transaction") : TX_OK;
}

void ktm_hold_drop(struct ktm *tm, struct ktm_hold *hold)
{
    if (!hold->taken) {
        return;
    }
    txio_mutex_lock(tm->io, &tm->mutex);
    struct ktm_hold **at = &tm->holds;
    while (*at != hold) {
        at = &(*at)->next;
    }
    *at = hold->next;
    /* Fails only when the descriptor is gone, and the lock with it. */
    (void)hold_lock(tm, hold_byte(&hold->id), TXIO_UNLOCK);
    hold->taken = false;
    txio_mutex_unlock(tm->io, &tm->mutex);
}

bool ktm_is_held(struct ktm *tm, const struct ktm_id *id)
{
    uint64_t byte = hold_byte(id);
    txio_mutex_lock(tm->io, &tm->mutex);
    bool held = held_here(tm, byte) ||
                tm->io->ops->lock_probe(tm->io, txlog_control_fd(tm->log), byte) != 0;
    txio_mutex_unlock(tm->io, &tm->mutex);
    return held;
}
