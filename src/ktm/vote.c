/* SPDX-License-Identifier: MIT */
/* The vote: each RM validates, makes its payloads durable and names the keys of what it touched. */
#include <string.h>

#include "base/mutant.h"
#include "ktm/ktm_internal.h"

/* In the buffer: u8 kind, u64 key, u16 name size, name. */
static enum tx_status key_add(struct ktm_vote *vote, enum ktm_key_kind kind, uint64_t key,
                              const char *name, struct tx_error *err)
{
    const char *end = name ? name : "";
    size_t size = strlen(end);
    if (size > sizeof ((struct ktm_conflict *)0)->name) {
        /* The end of a path says more than its beginning. */
        size_t cut = size - sizeof ((struct ktm_conflict *)0)->name;
        end += cut;
        size -= cut;
    }
    uint8_t *at;
    TX_TRY(tx_buf_extend(vote->keys, 11 + size, &at, err));
    at[0] = (uint8_t)kind;
    tx_put64(at + 1, key);
    tx_put16(at + 9, (uint16_t)size);
    memcpy(at + 11, end, size);
    return TX_OK;
}

enum tx_status ktm_vote_write(struct ktm_vote *vote, uint64_t key, const char *name,
                              struct tx_error *err)
{
    return key_add(vote, KTM_KEY_WRITE, key, name, err);
}

enum tx_status ktm_vote_read(struct ktm_vote *vote, uint64_t key, const char *name,
                             struct tx_error *err)
{
    return key_add(vote, KTM_KEY_READ, key, name, err);
}

enum tx_status ktm_vote_mark(struct ktm_vote *vote, uint64_t key, const char *name,
                             struct tx_error *err)
{
    return key_add(vote, KTM_KEY_MARK, key, name, err);
}

bool ktm_keys_next(struct tx_reader *reader, struct ktm_key *key)
{
    if (reader->left == 0) {
        return false;
    }
    key->kind = (enum ktm_key_kind)tx_read8(reader);
    key->key = tx_read64(reader);
    key->name_size = tx_read16(reader);
    key->name = (const char *)tx_read_bytes(reader, key->name_size);
    return !reader->failed;
}

enum tx_status ktm_vote_collect(struct ktm_run *run, struct tx_error *err)
{
    struct ktm *tm = run->tm;
    struct ktm_vote vote = {.keys = &run->keys};
    /* Read before the RMs look: what is published by now is what they certainly see. */
    run->validated = ktm_published(tm);
    tx_buf_clear(&run->keys);
    for (unsigned rm = 0; rm < KTM_RM_MAX; rm++) {
        if (!run->txn->enlisted[rm]) {
            continue;
        }
        if (TX_MUTANT(36) && run->keys.size > 0) {
            break; /* one phase is enough for one participant, and nobody counts */
        }
        enum tx_status status =
            tm->rm_ops[rm]->prepare(tm->rms[rm], run->txn, run->txn->views[rm], &vote, err);
        if (status != TX_OK) {
            tx_error_prefix(err, "%s", tm->rm_ops[rm]->name);
            return status;
        }
    }
    TX_TRY(ktm_staging_name_sync(run->txn, err));
    ktm_txn_check(run->txn);
    run->entries = ktm_txn_entries(run->txn);
    run->voted = true;
    return TX_OK;
}
