/* SPDX-License-Identifier: MIT */
/*
 * Proof of life: a process that has the store open holds one lock byte, which the kernel drops when
 * it dies, however it dies. Pids prove nothing (they are reused, and differ between namespaces).
 */
#include <errno.h>

#include "ktm/ktm_internal.h"

#define OWNER_SLOT_BITS 8
#define OWNER_SLOT_MASK 0xffu

static uint64_t slot_byte(uint32_t slot)
{
    return (uint64_t)TXIO_LOCK_PROCESS + slot;
}

/* Ours alone now: whoever had the byte is dead, and so are the words with its generation. */
static uint32_t slot_owner(struct ktm *tm, uint32_t slot)
{
    _Atomic uint32_t *generation = &tm->shared->processes[slot].generation;
    uint32_t next = (atomic_load(generation) + 1) & (UINT32_MAX >> OWNER_SLOT_BITS);
    if (next == 0) {
        next = 1; /* no owner word is 0 */
    }
    atomic_store(generation, next);
    return next << OWNER_SLOT_BITS | slot;
}

enum tx_status ktm_process_take(struct ktm *tm, struct tx_error *err)
{
    int fd = txlog_control_fd(tm->log);
    for (uint32_t slot = 0; slot < KTM_PROCESSES_MAX; slot++) {
        int result =
            tm->io->ops->lock(tm->io, fd, slot_byte(slot), TXIO_EXCLUSIVE_LOCK, false);
        if (result >= 0) {
            tm->owner = slot_owner(tm, slot);
            tm->slot_taken = true;
            return TX_OK;
        }
        if (result == -EBADF && tm->salvage) {
            /* Salvage opens `control` for reading or not at all, and shares memory with nobody. */
            tm->owner = slot_owner(tm, 0);
            return TX_OK;
        }
        if (result != -EAGAIN) {
            return tx_error_os(err, -result, "lock the slot of this process");
        }
    }
    return tx_error_set(err, TX_ELIMIT, "%u processes have the store open already",
                        KTM_PROCESSES_MAX);
}

void ktm_process_give(struct ktm *tm)
{
    if (tm->slot_taken) {
        /* Fails only when the descriptor is gone, and the lock with it. */
        (void)tm->io->ops->lock(tm->io, txlog_control_fd(tm->log),
                                slot_byte(tm->owner & OWNER_SLOT_MASK), TXIO_UNLOCK, false);
        tm->slot_taken = false;
    }
}

bool ktm_process_lives(struct ktm *tm, uint32_t owner)
{
    uint32_t slot = owner & OWNER_SLOT_MASK;
    if (owner == tm->owner) {
        return true;
    }
    if (slot >= KTM_PROCESSES_MAX ||
        atomic_load(&tm->shared->processes[slot].generation) != owner >> OWNER_SLOT_BITS) {
        return false;
    }
    /* An error counts as life: nothing is taken from somebody who may be there. */
    return tm->io->ops->lock_probe(tm->io, txlog_control_fd(tm->log), slot_byte(slot)) != 0;
}
