/* SPDX-License-Identifier: MIT */
/* The steps that commit, prepare and the decisions have in common: get the record into the log in
 * its place, force it, publish it. */
#include <inttypes.h>
#include <string.h>

#include "base/invariant.h"
#include "base/mutant.h"
#include "base/text.h"
#include "ktm/ktm_internal.h"

void ktm_run_release(struct ktm_run *run)
{
    ktm_gate_give(run);
    tx_buf_release(&run->keys);
    tx_buf_release(&run->head);
}

/* The keys without names, for a PREPARE record. */
static enum tx_status keys_encode(struct ktm_run *run, struct tx_buf *out, uint32_t *count,
                                  struct tx_error *err)
{
    struct tx_reader reader = tx_reader_on(run->keys.data, run->keys.size);
    struct ktm_key key;
    *count = 0;
    while (run->kind == KTM_PREPARE && ktm_keys_next(&reader, &key)) {
        uint8_t *at;
        TX_TRY(tx_buf_extend(out, KTM_KEY_SIZE, &at, err));
        at[0] = (uint8_t)key.kind;
        tx_put64(at + 1, key.key);
        ++*count;
    }
    return TX_OK;
}

static enum tx_status head_encode(struct ktm_run *run, struct tx_error *err)
{
    TX_AUTO(tx_buf) keys = TX_BUF_INIT;
    const struct ktm_txn *txn = run->txn;
    uint32_t key_count;
    TX_TRY(keys_encode(run, &keys, &key_count, err));
    run->header = (struct ktm_header){
        .flags = ktm_header_flags_of(txn),
        .epoch = txn->id.epoch,
        .sequence = txn->id.sequence,
        .snapshot_lsn = txn->snapshot.lsn,
        .time_ns = txn->tm->io->ops->realtime_ns(txn->tm->io),
        .begin_time_ns = txn->begin_time_ns,
        .entry_count = txn->entry_count,
        .entries_size = txn->entries.size,
        .key_count = key_count,
    };
    tx_buf_clear(&run->head);
    TX_TRY(ktm_header_encode(&run->header, txn->description, &run->head, err));
    return tx_buf_append(&run->head, keys.data, keys.size, err);
}

/* Who else touched the object: its id and description when the log still has them. */
static void conflict_tell(struct ktm_run *run, struct tx_error *err)
{
    TX_AUTO(ktm_logged) logged = KTM_LOGGED_INIT;
    struct ktm_conflict *conflict = &run->conflict;
    char name[2 * sizeof conflict->name];
    char other[KTM_ID_TEXT_SIZE] = "unknown to the log by now";
    char description[KTM_DESCRIPTION_MAX + 1] = "";
    if (!conflict->undecided && ktm_log_read(run->tm, conflict->lsn, &logged, NULL) == TX_OK &&
        logged.has_effects) {
        conflict->id = logged.info.id;
        (void)tx_escape_fixed(description, sizeof description, logged.info.description,
                              strlen(logged.info.description));
    }
    if (conflict->undecided || logged.has_effects) {
        ktm_id_format(&conflict->id, other);
    }
    (void)tx_escape_fixed(name, sizeof name, conflict->name, strlen(conflict->name));
    (void)tx_error_set(err, TX_ECONFLICT, "conflict: \"%s\" %s transaction %s%s%s%s", name,
                       conflict->undecided ? "is held by prepared" : "was changed by", other,
                       description[0] ? " (" : "", description, description[0] ? ")" : "");
}

/* Do what the last attempt to append asked for. */
static enum tx_status prepare_next_try(struct ktm_run *run, enum ktm_verdict verdict,
                                       struct tx_error *err)
{
    uint64_t removed = 0;
    if (verdict == KTM_NEEDS_GATE) {
        ktm_gate_take(run);
        return TX_OK;
    }
    if (verdict == KTM_WAIT_FOR_GATE) {
        ktm_gate_wait(run->tm);
        return TX_OK;
    }
    TX_TRY(ktm_settle(run->tm, err));
    if (verdict == KTM_VOTE_AGAIN) {
        run->voted = false; /* the next vote sees all that is in the log by now */
        return TX_OK;
    }
    return ktm_checkpoint_run(run->tm, KTM_TRIM_LOG, &removed, err);
}

static enum tx_status vote(struct ktm_run *run, unsigned *votes, struct tx_error *err)
{
    if (run->voted || !run->txn) {
        return TX_OK;
    }
    if (++*votes > KTM_VOTES_MAX) {
        return tx_error_set(err, TX_ECONFLICT, "others commit faster than this can be validated");
    }
    TX_TRY(ktm_vote_collect(run, err));
    TX_TRY(ktm_txn_enter(run->txn, err)); /* a vote may take long */
    run->needs_barrier = ktm_barrier_needed(run);
    return head_encode(run, err);
}

enum tx_status ktm_run_append(struct ktm_run *run, struct tx_error *err)
{
    unsigned votes = 0;
    enum ktm_verdict verdict;
    enum tx_status status;
    do {
        TX_TRY(vote(run, &votes, err));
        status = ktm_order(run, &verdict, err);
        if (status == TX_OK && verdict != KTM_ORDERED) {
            TX_TRY(prepare_next_try(run, verdict, err));
        }
    } while (status == TX_OK && verdict != KTM_ORDERED);
    ktm_gate_give(run);
    if (run->conflict.found) {
        conflict_tell(run, err);
    }
    return status;
}

enum tx_status ktm_run_force(struct ktm_run *run, struct tx_error *err)
{
    /* Crash here: the record is in the log, wholly and with all before it, or it is not there. */
    enum tx_status status = txlog_force(run->tm->log, run->next_lsn, err);
    /* Its other errors are of logs that take no record. */
    TX_INVARIANT(status == TX_OK || status == TX_EOUTCOME);
    return status;
}

/* A COMMIT as ktm_log_read would deliver it. */
static void own_record(const struct ktm_run *run, struct ktm_logged *own)
{
    own->at = (struct txlog_record){.lsn = run->lsn, .next_lsn = run->next_lsn};
    own->kind = KTM_COMMIT;
    own->record = (struct ktm_record){
        .header = run->header,
        .id = run->id,
        .description = run->txn->description,
        .entries = run->entries,
    };
    own->record.header.description_size = (uint16_t)strlen(run->txn->description);
    ktm_logged_info(own, run->header.time_ns);
}

enum tx_status ktm_run_publish(struct ktm_run *run, struct tx_error *err)
{
    struct tx_error cause = {.text = ""};
    struct ktm_logged own = KTM_LOGGED_INIT; /* points into the run: nothing to release */
    bool has_own = run->kind == KTM_COMMIT && !TX_MUTANT(42); /* read back: needs memory */
    if (has_own) {
        own_record(run, &own);
    }
    /* Crash here: whoever looks next, another process or recovery, finishes the publishing. */
    if (ktm_publish(run->tm, run->next_lsn, has_own ? &own : NULL, &cause) == TX_OK) {
        return TX_OK;
    }
    /* MUTANT_22: what fails after the force is called aborted. */
    enum tx_status status = TX_MUTANT(22) ? TX_EABORTED : TX_EPENDING;
    return tx_error_set(err, status, "committed at LSN %" PRIu64 ", not yet carried out: %s",
                        run->lsn, cause.text);
}
