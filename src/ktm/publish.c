/* SPDX-License-Identifier: MIT */
/*
 * Publishing is redo: whoever holds the publish lock carries out what is durable and not yet
 * published, in LSN order, whoever committed it. So a publisher may be killed at any instruction:
 * the next one begins with the record that he had begun.
 */
#include <inttypes.h>
#include <string.h>

#include "base/mutant.h"
#include "ktm/ktm_internal.h"

bool ktm_may_pass(enum tx_status status)
{
    return status == TX_ENOSPC || status == TX_ENOMEM || status == TX_ELIMIT;
}

unsigned ktm_entries_rms(struct ktm_cursor entries)
{
    struct ktm_change change;
    unsigned rms = 0;
    while (ktm_cursor_next(&entries, &change)) {
        rms |= 1u << change.rm;
    }
    return rms;
}

enum tx_status ktm_entries_known(struct ktm *tm, struct ktm_cursor entries, unsigned *rms,
                                 struct tx_error *err)
{
    unsigned found = ktm_entries_rms(entries);
    for (unsigned rm = 0; rm < KTM_RM_MAX; rm++) {
        if ((found & 1u << rm) && !tm->rm_ops[rm]) {
            return tx_error_set(err, TX_EVERSION, "entries of unknown resource manager %u", rm);
        }
    }
    *rms = found;
    return TX_OK;
}

static enum tx_status redo_all(struct ktm *tm, const struct ktm_commit_info *commit,
                               struct ktm_published *state, struct tx_error *err)
{
    unsigned rms;
    TX_TRY(ktm_entries_known(tm, commit->entries, &rms, err));
    for (unsigned rm = 0; rm < KTM_RM_MAX; rm++) {
        const struct ktm_rm_ops *ops = tm->rm_ops[rm];
        if (rms & 1u << rm || (ops && ops->redo_every_commit)) {
            enum tx_status status =
                ops->redo(tm->rms[rm], commit, KTM_REDO_LIVE, state->tokens[rm], err);
            if (status != TX_OK) {
                tx_error_prefix(err, "%s", ops->name);
                return status;
            }
        }
    }
    return TX_OK;
}

static enum tx_status publish_record(struct ktm *tm, const struct ktm_logged *logged,
                                     struct ktm_published *state, struct tx_error *err)
{
    struct ktm_prepared_slot *slot;
    switch (logged->kind) {
    case KTM_COMMIT:
    case KTM_PREPARE:
        if (logged->record.header.flags & KTM_HEADER_SAVED) {
            TX_TRY(ktm_staging_retire(tm, &logged->record.id, err));
        }
        break;
    case KTM_DECIDE:
        slot = ktm_prepared_find(tm->shared, &(struct ktm_id){logged->decision.epoch,
                                                              logged->decision.sequence});
        if (slot) {
            atomic_store(&slot->decided, ktm_stamp(logged->at.lsn));
        }
        break;
    default:
        break;
    }
    return logged->has_effects ? redo_all(tm, &logged->info, state, err) : TX_OK;
}

/* `own`: a record that the caller has in memory, or NULL; `buffer`: for the others. */
static enum tx_status publish_next(struct ktm *tm, const struct ktm_logged *own,
                                   struct ktm_logged *buffer, struct ktm_published *state,
                                   struct tx_error *err)
{
    const struct ktm_logged *logged = own;
    if (!own || own->at.lsn != state->lsn) {
        TX_TRY(ktm_log_read(tm, state->lsn, buffer, err));
        logged = buffer;
    }
    /* Readers that find something changed must already see that a commit may have done it. */
    if (atomic_load(&tm->shared->decided) < logged->at.next_lsn && !TX_MUTANT(46)) {
        atomic_store(&tm->shared->decided, logged->at.next_lsn);
    }
    TX_TRY(publish_record(tm, logged, state, err));
    state->lsn = logged->at.next_lsn;
    /* Killed before this: the next publisher carries the record out once more. */
    ktm_published_write(tm, state);
    return TX_OK;
}

enum tx_status ktm_publish_held(struct ktm *tm, const struct ktm_logged *own, struct tx_error *err)
{
    TX_AUTO(ktm_logged) buffer = KTM_LOGGED_INIT;
    struct ktm_published state;
    struct txlog_info info;
    ktm_published_read(tm, &state);
    for (;;) {
        txlog_get_info(tm->log, &info);
        if (state.lsn >= info.durable_lsn) {
            return TX_OK;
        }
        if (info.poisoned) {
            return tx_error_set(err, TX_EPOISONED, "store met a write error; reopen it");
        }
        enum tx_status status = publish_next(tm, own, &buffer, &state, err);
        if (status != TX_OK) {
            if (!ktm_may_pass(status)) {
                txlog_poison(tm->log); /* recovery finishes it */
            }
            tx_error_prefix(err, "publish LSN %" PRIu64, state.lsn);
            return status;
        }
    }
}

void ktm_publish_unlock(struct ktm *tm)
{
    struct ktm_shared *shared = tm->shared;
    txio_pair_unlock(&tm->publish);
    /* Killed before this: the waiters look again by themselves. */
    atomic_fetch_add(&shared->publish_word, 1);
    if (atomic_load(&shared->publish_waiters) != 0) {
        (void)tm->io->ops->wake(tm->io, &shared->publish_word, INT32_MAX); /* they look anyway */
    }
}

/* Publish unless somebody else does; *taken says who. */
static enum tx_status publish_or_not(struct ktm *tm, const struct ktm_logged *own, bool *taken,
                                     struct tx_error *err)
{
    TX_TRY(txio_pair_trylock(&tm->publish, taken, err));
    if (!*taken) {
        return TX_OK;
    }
    enum tx_status status = ktm_publish_held(tm, own, err);
    ktm_publish_unlock(tm);
    return status;
}

enum tx_status ktm_publish(struct ktm *tm, tx_lsn upto, const struct ktm_logged *own,
                           struct tx_error *err)
{
    struct ktm_shared *shared = tm->shared;
    for (;;) {
        uint32_t word = atomic_load(&shared->publish_word);
        if (ktm_published(tm) >= upto) {
            return TX_OK;
        }
        bool taken = false;
        TX_TRY(publish_or_not(tm, own, &taken, err));
        if (!taken) {
            atomic_fetch_add(&shared->publish_waiters, 1);
            (void)tm->io->ops->wait(tm->io, &shared->publish_word, word, KTM_RECHECK_NS);
            atomic_fetch_sub(&shared->publish_waiters, 1);
        } else if (ktm_published(tm) < upto) {
            return tx_error_set(err, TX_EMISUSE, "LSN %" PRIu64 " is not durable", upto);
        }
    }
}

void ktm_publish_try(struct ktm *tm)
{
    struct txlog_info info;
    bool taken = false;
    txlog_get_info(tm->log, &info);
    if (!tm->salvage && ktm_published(tm) < info.durable_lsn) {
        /* Whoever needs it published meets the same failure and reports it. */
        TX_IGNORE(publish_or_not(tm, NULL, &taken, NULL));
    }
}

enum tx_status ktm_settle(struct ktm *tm, struct tx_error *err)
{
    struct txlog_info info;
    txlog_get_info(tm->log, &info);
    if (txlog_force(tm->log, info.append_lsn, err) != TX_OK) {
        /* The outcome of others is unknown; whoever settles has nothing in the log yet. */
        return tx_error_set(err, TX_EPOISONED, "force the log failed; reopen the store");
    }
    return ktm_publish(tm, info.append_lsn, NULL, err);
}
