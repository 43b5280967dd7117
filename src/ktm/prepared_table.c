/* SPDX-License-Identifier: MIT */
/*
 * Prepared transactions are lock holders: until they are decided, nobody may write what they read
 * or wrote, nor read what they wrote. The shared table says which there are; each process reads
 * their keys from the PREPARE records, so that no number of keys is too large for shared memory.
 */
#include <inttypes.h>
#include <stdlib.h>

#include "base/mutant.h"
#include "ktm/ktm_internal.h"

struct ktm_prepared_slot *ktm_prepared_find(struct ktm_shared *shared, const struct ktm_id *id)
{
    for (unsigned i = 0; i < KTM_PREPARED_MAX; i++) {
        struct ktm_prepared_slot *slot = &shared->prepared[i];
        if (atomic_load(&slot->stamp) != 0 && atomic_load(&slot->epoch) == id->epoch &&
            atomic_load(&slot->sequence) == id->sequence) {
            return slot;
        }
    }
    return NULL;
}

struct ktm_prepared_slot *ktm_prepared_free_slot(struct ktm_shared *shared)
{
    for (unsigned i = 0; i < KTM_PREPARED_MAX; i++) {
        if (atomic_load(&shared->prepared[i].stamp) == 0) {
            return &shared->prepared[i];
        }
    }
    return NULL;
}

unsigned ktm_prepared_count(struct ktm_shared *shared)
{
    unsigned count = 0;
    for (unsigned i = 0; i < KTM_PREPARED_MAX; i++) {
        count += atomic_load(&shared->prepared[i].stamp) != 0;
    }
    return count;
}

/* Killed in between: a slot that is folded already and not yet free asks for nothing new. */
void ktm_prepared_fold(struct ktm_shared *shared)
{
    for (unsigned i = 0; i < KTM_PREPARED_MAX; i++) {
        uint64_t stamp = atomic_load(&shared->prepared[i].stamp);
        uint64_t decided = atomic_load(&shared->prepared[i].decided);
        if (stamp == 0 || decided == 0) {
            continue;
        }
        uint64_t lowest = atomic_load(&shared->folded_prepare);
        if (lowest == 0 || stamp < lowest) {
            atomic_store(&shared->folded_prepare, stamp);
        }
        if (decided > atomic_load(&shared->folded_decide)) {
            atomic_store(&shared->folded_decide, decided);
        }
        atomic_store(&shared->prepared[i].stamp, 0);
    }
}

void ktm_prepared_fill(struct ktm_prepared_slot *slot, const struct ktm_id *id, tx_lsn lsn,
                       enum ktm_state state)
{
    atomic_store(&slot->epoch, id->epoch);
    atomic_store(&slot->sequence, id->sequence);
    atomic_store(&slot->decided, 0);
    atomic_store(&slot->in_doubt, state == KTM_IN_DOUBT);
    atomic_store(&slot->stamp, ktm_stamp(lsn));
}

static int compare_keys(const void *a, const void *b)
{
    const uint64_t *left = a;
    const uint64_t *right = b;
    return *left < *right ? -1 : *left > *right;
}

static void keys_forget(struct ktm_prepared_keys *keys)
{
    tx_free(keys->recorded);
    tx_free(keys->checked);
    *keys = (struct ktm_prepared_keys){.loaded = false};
}

void ktm_prepared_forget_keys(struct ktm *tm)
{
    for (unsigned i = 0; i < KTM_PREPARED_MAX; i++) {
        keys_forget(&tm->prepared_keys[i]);
    }
}

static enum tx_status keys_split(struct ktm_prepared_keys *keys, const struct ktm_record *record,
                                 struct tx_error *err)
{
    size_t size = ((size_t)record->header.key_count + 1) * sizeof *keys->recorded;
    keys->recorded = tx_alloc(size);
    keys->checked = tx_alloc(size);
    if (!keys->recorded || !keys->checked) {
        return tx_error_set(err, TX_ENOMEM, "out of memory");
    }
    for (uint32_t i = 0; i < record->header.key_count; i++) {
        const uint8_t *at = record->keys + (size_t)i * KTM_KEY_SIZE;
        if (*at != KTM_KEY_READ) {
            keys->recorded[keys->recorded_count++] = tx_get64(at + 1);
        }
        if (*at != KTM_KEY_MARK) {
            keys->checked[keys->checked_count++] = tx_get64(at + 1);
        }
    }
    qsort(keys->recorded, keys->recorded_count, sizeof *keys->recorded, compare_keys);
    qsort(keys->checked, keys->checked_count, sizeof *keys->checked, compare_keys);
    return TX_OK;
}

/* The record that a slot points to is its PREPARE, unless its writer died before it was there. */
static bool is_prepare_of(const struct ktm_prepared_slot *slot, const struct ktm_logged *logged)
{
    return logged->kind == KTM_PREPARE &&
           logged->record.id.epoch == atomic_load(&slot->epoch) &&
           logged->record.id.sequence == atomic_load(&slot->sequence);
}

enum tx_status ktm_prepared_read(struct ktm *tm, const struct ktm_id *id,
                                 struct ktm_logged *logged, enum ktm_state *state,
                                 struct tx_error *err)
{
    struct ktm_prepared_slot *slot = ktm_prepared_find(tm->shared, id);
    uint64_t stamp = slot ? atomic_load(&slot->stamp) : 0;
    enum tx_status status = TX_ENOTFOUND;
    if (stamp != 0 && atomic_load(&slot->decided) == 0) {
        *state = atomic_load(&slot->in_doubt) ? KTM_IN_DOUBT : KTM_PREPARED;
        status = ktm_log_read(tm, stamp - 1, logged, err);
    }
    if (status == TX_ENOTFOUND || (status == TX_OK && !is_prepare_of(slot, logged))) {
        return tx_error_set(err, TX_ENOTFOUND, "no such prepared transaction");
    }
    return status;
}

static enum tx_status keys_load(struct ktm *tm, unsigned number, tx_lsn append_lsn,
                                struct tx_error *err)
{
    TX_AUTO(ktm_logged) logged = KTM_LOGGED_INIT;
    struct ktm_prepared_slot *slot = &tm->shared->prepared[number];
    struct ktm_prepared_keys *keys = &tm->prepared_keys[number];
    tx_lsn lsn = atomic_load(&slot->stamp) - 1;
    keys_forget(keys);
    if (lsn < append_lsn) {
        TX_TRY(ktm_log_read(tm, lsn, &logged, err));
    }
    if (!is_prepare_of(slot, &logged) && !TX_MUTANT(21)) { /* MUTANT_21: zombie prepare */
        atomic_store(&slot->stamp, 0);
        return TX_OK;
    }
    enum tx_status status = keys_split(keys, &logged.record, err);
    if (status != TX_OK) {
        keys_forget(keys);
        return status;
    }
    keys->lsn = lsn;
    keys->loaded = true;
    return TX_OK;
}

static bool is_undecided(struct ktm_shared *shared, unsigned number)
{
    return atomic_load(&shared->prepared[number].stamp) != 0 &&
           atomic_load(&shared->prepared[number].decided) == 0;
}

enum tx_status ktm_prepared_load_keys(struct ktm *tm, tx_lsn append_lsn, unsigned *undecided,
                                      struct tx_error *err)
{
    unsigned count = 0;
    for (unsigned i = 0; i < KTM_PREPARED_MAX; i++) {
        const struct ktm_prepared_keys *keys = &tm->prepared_keys[i];
        if (is_undecided(tm->shared, i) &&
            !(keys->loaded && keys->lsn == atomic_load(&tm->shared->prepared[i].stamp) - 1)) {
            TX_TRY(keys_load(tm, i, append_lsn, err));
        }
        count += is_undecided(tm->shared, i);
    }
    *undecided = count;
    return TX_OK;
}

static bool has_key(const uint64_t *keys, size_t count, uint64_t key)
{
    return count != 0 && bsearch(&key, keys, count, sizeof *keys, compare_keys) != NULL;
}

struct ktm_prepared_slot *ktm_prepared_conflict(struct ktm *tm, const struct ktm_key *key)
{
    for (unsigned i = 0; i < KTM_PREPARED_MAX; i++) {
        const struct ktm_prepared_keys *theirs = &tm->prepared_keys[i];
        if (!is_undecided(tm->shared, i)) {
            continue;
        }
        bool checks = key->kind != KTM_KEY_MARK;
        bool records = key->kind != KTM_KEY_READ;
        if ((checks && has_key(theirs->recorded, theirs->recorded_count, key->key)) ||
            (records && has_key(theirs->checked, theirs->checked_count, key->key))) {
            return &tm->shared->prepared[i];
        }
    }
    return NULL;
}
