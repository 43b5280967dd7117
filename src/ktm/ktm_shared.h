/* SPDX-License-Identifier: MIT */
/*
 * What the processes of a store share about transactions. All of it can be rebuilt from the log and
 * valid when zeroed; ktm_recover builds it. Nothing here is trusted across a reboot.
 *
 * A process may be killed between any two instructions, so each structure says who may write it
 * and why a half-made change does no harm. A *stamp* is an LSN plus one, so that zero means none.
 */
#ifndef KTM_SHARED_H
#define KTM_SHARED_H

#include <stdatomic.h>

#include <txkit/ktm.h>

#define KTM_PROCESSES_MAX 128u
#define KTM_CONFLICT_ENTRIES_DEFAULT 65536u
#define KTM_CONFLICT_WAYS 4u
#define KTM_CONFLICT_ENTRIES_MIN KTM_CONFLICT_WAYS
#define KTM_CONFLICT_ENTRIES_MAX (1u << 26)
#define KTM_SHARED_MAGIC UINT64_C(0x0000314d544b5854) /* "TXKTM1" */
#define KTM_TOKEN_WORDS (KTM_TOKEN_SIZE / 8u)

/* A state of the world that snapshots may have, in private memory. */
struct ktm_published {
    tx_lsn lsn;
    uint8_t tokens[KTM_RM_MAX][KTM_TOKEN_SIZE];
};

/*
 * The same in shared memory, twice: the current one is number `version & 1`. A publisher writes
 * the other one and then counts `version` up; killed before that, nothing has happened. A reader
 * that finds `version` unchanged after copying has copied a whole state.
 */
struct ktm_shared_state {
    _Alignas(64) _Atomic uint64_t lsn;
    _Atomic uint64_t tokens[KTM_RM_MAX][KTM_TOKEN_WORDS];
};

/*
 * A process holds lock byte TXIO_LOCK_PROCESS + n; who takes the byte counts `generation` up. Its
 * owner word is generation << 8 | n: dead when the byte is free or the generation is over.
 */
struct ktm_process {
    _Atomic uint32_t generation;
};

/* Taken by setting `owner` from 0, freed by its owner, or by anybody once the owner is dead. */
struct ktm_snapshot_slot {
    _Alignas(64) _Atomic uint32_t owner;
    _Atomic uint64_t stamp; /* of the snapshot; 0: not taken yet, pins nothing */
};

/*
 * A transaction with a PREPARE record. Filled under the append lock before the record is appended:
 * who is killed in between leaves a slot whose record is another one or none, which every reader of
 * the record notices. `decided` is set by publishing the DECIDE; the slot is freed by the
 * checkpoint that trims the DECIDE, because until then readers of the DECIDE need the PREPARE. When
 * slots run short the checkpoint folds the decided ones into one span (`folded_*`).
 */
struct ktm_prepared_slot {
    _Atomic uint64_t stamp; /* of the PREPARE record; 0: free */
    _Atomic uint64_t epoch;
    _Atomic uint64_t sequence;
    _Atomic uint64_t decided; /* stamp of the DECIDE; 0: undecided */
    _Atomic uint32_t in_doubt; /* found by recovery */
};

/* Written under the append lock; `stamp` 0 while `key` changes. */
struct ktm_conflict_entry {
    _Atomic uint64_t key;
    _Atomic uint64_t stamp;
};

struct ktm_shared {
    _Atomic uint64_t magic; /* set last by recovery */
    _Atomic uint32_t conflict_entries;

    _Alignas(64) _Atomic uint64_t sequence; /* of the newest transaction of this epoch */

    _Alignas(64) _Atomic uint64_t version; /* of the published state */
    struct ktm_shared_state states[2];
    _Atomic uint64_t decided; /* LSN; publishing of what is below may have begun */

    /* Publishers count up after each batch; who waits for one sleeps on it. */
    _Alignas(64) _Atomic uint32_t publish_word;
    _Atomic uint32_t publish_waiters; /* too high after a kill: a wake-up for nobody */

    _Alignas(64) _Atomic uint64_t steady; /* LSN; all effects of what is below need no log */
    /* Barriers: stamp of the newest record that needs one, set under the append lock before it is
     * appended. */
    _Atomic uint64_t barrier;
    /* Owner word of who keeps all others from appending until its barrier commit is in; 0: open. */
    _Atomic uint32_t gate;

    /* Highest stamp that the conflict table has forgotten. */
    _Alignas(64) _Atomic uint64_t evicted;

    /* Lowest PREPARE and highest DECIDE of the folded; written under the checkpoint lock. */
    _Atomic uint64_t folded_prepare;
    _Atomic uint64_t folded_decide;

    struct ktm_process processes[KTM_PROCESSES_MAX];
    struct ktm_prepared_slot prepared[KTM_PREPARED_MAX];
    struct ktm_snapshot_slot snapshots[KTM_ATTACHED_MAX];
    struct ktm_conflict_entry conflicts[]; /* conflict_entries */
};

static inline uint64_t ktm_stamp(tx_lsn lsn)
{
    return lsn + 1;
}

#endif
