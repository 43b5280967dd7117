/* SPDX-License-Identifier: MIT */
/*
 * Recovery, alone in the store: build the shared memory anew, find out from the log who is in
 * doubt, let each RM redo what it may have lost, then make that steady. All of it may be cut off
 * and begun again any number of times: nothing is taken from the log before it is steady.
 */
#include <inttypes.h>
#include <string.h>

#include "base/invariant.h"
#include "base/mutant.h"
#include "ktm/ktm_internal.h"

#define KEEP_SEGMENTS_MAX 8 /* of a log that recovery does not trim */

struct recovery {
    struct ktm *tm;
    struct ktm_published state;
    tx_lsn start;
    tx_lsn end;
    tx_lsn steady[KTM_RM_MAX];
    tx_lsn oldest_steady;
    uint64_t redone;
    unsigned rm; /* the one that is being redone */
};

/* Everything but the processes, where the slot of this one stands. */
static void shared_reset(struct ktm *tm)
{
    struct ktm_shared *shared = tm->shared;
    atomic_store(&shared->magic, 0);
    atomic_store(&shared->sequence, 0);
    atomic_store(&shared->decided, 0);
    atomic_store(&shared->steady, 0);
    atomic_store(&shared->barrier, 0);
    atomic_store(&shared->gate, 0);
    atomic_store(&shared->folded_prepare, 0);
    atomic_store(&shared->folded_decide, 0);
    atomic_store(&shared->publish_waiters, 0);
    for (unsigned i = 0; i < KTM_PREPARED_MAX; i++) {
        atomic_store_explicit(&shared->prepared[i].stamp, 0, memory_order_relaxed);
    }
    for (unsigned i = 0; i < KTM_ATTACHED_MAX; i++) {
        atomic_store_explicit(&shared->snapshots[i].owner, 0, memory_order_relaxed);
        atomic_store_explicit(&shared->snapshots[i].stamp, 0, memory_order_relaxed);
    }
    ktm_conflict_reset(shared, tm->conflict_entries); /* its last store is ordered after these */
}

static enum tx_status steady_read(struct recovery *recovery, struct tx_error *err)
{
    struct ktm *tm = recovery->tm;
    recovery->oldest_steady = recovery->end;
    for (unsigned rm = 0; rm < KTM_RM_MAX; rm++) {
        tx_lsn *lsn = &recovery->steady[rm];
        if (!tm->rm_ops[rm]) {
            continue;
        }
        TX_TRY(tm->rm_ops[rm]->open_steady(tm->rms[rm], lsn, recovery->state.tokens[rm], err));
        if (*lsn == 0 && (recovery->start == TXLOG_FIRST_LSN || TX_MUTANT(80))) {
            *lsn = recovery->start; /* never steady yet; then nothing was trimmed either */
        }
        if (*lsn < recovery->start || *lsn > recovery->end) {
            return tx_error_set(err, TX_ECORRUPT,
                                "%s is at LSN %" PRIu64 ", the log has %" PRIu64 " to %" PRIu64,
                                tm->rm_ops[rm]->name, *lsn, recovery->start, recovery->end);
        }
        if (*lsn < recovery->oldest_steady) {
            recovery->oldest_steady = *lsn;
        }
    }
    return TX_OK;
}

static enum tx_status note_prepare(struct recovery *recovery, const struct ktm_logged *logged,
                                   struct tx_error *err)
{
    struct ktm_shared *shared = recovery->tm->shared;
    if (ktm_prepared_find(shared, &logged->record.id)) {
        return tx_error_set(err, TX_ECORRUPT, "LSN %" PRIu64 " prepares a transaction again",
                            logged->at.lsn);
    }
    if (!ktm_prepared_free_slot(shared)) {
        ktm_prepared_fold(shared);
    }
    struct ktm_prepared_slot *slot = ktm_prepared_free_slot(shared);
    if (!slot) {
        return tx_error_set(err, TX_ELIMIT, "more than %d prepared transactions in the log",
                            KTM_PREPARED_MAX);
    }
    ktm_prepared_fill(slot, &logged->record.id, logged->at.lsn, KTM_IN_DOUBT);
    return TX_OK;
}

static enum tx_status note_decision(struct recovery *recovery, const struct ktm_logged *logged,
                                    struct tx_error *err)
{
    struct ktm_id id = {logged->decision.epoch, logged->decision.sequence};
    struct ktm_prepared_slot *slot = ktm_prepared_find(recovery->tm->shared, &id);
    if (!slot || atomic_load(&slot->decided) != 0 ||
        atomic_load(&slot->stamp) != ktm_stamp(logged->decision.prepare_lsn)) {
        return tx_error_set(err, TX_ECORRUPT, "LSN %" PRIu64 " decides what is not prepared",
                            logged->at.lsn);
    }
    atomic_store(&slot->decided, ktm_stamp(logged->at.lsn));
    return TX_OK;
}

/* First pass: everything is read and verified before anything is changed by it. */
static enum tx_status note_record(void *arg, const struct ktm_logged *logged, struct tx_error *err)
{
    struct recovery *recovery = arg;
    unsigned rms;
    if (logged->kind == KTM_PREPARE) {
        TX_TRY(note_prepare(recovery, logged, err));
    } else if (logged->kind == KTM_DECIDE) {
        TX_TRY(note_decision(recovery, logged, err));
    }
    if (logged->kind == KTM_COMMIT || logged->kind == KTM_PREPARE) {
        TX_TRY(ktm_entries_known(recovery->tm, logged->record.entries, &rms, err));
    }
    recovery->redone += logged->has_effects && logged->at.lsn >= recovery->oldest_steady;
    return TX_OK;
}

/* Second pass: what was detached once is not any more. */
static enum tx_status retire_record(void *arg, const struct ktm_logged *logged,
                                    struct tx_error *err)
{
    struct recovery *recovery = arg;
    if ((logged->kind == KTM_COMMIT || logged->kind == KTM_PREPARE) &&
        (logged->record.header.flags & KTM_HEADER_SAVED)) {
        return ktm_staging_retire(recovery->tm, &logged->record.id, err);
    }
    return TX_OK;
}

static enum tx_status redo_commit(void *arg, const struct ktm_commit_info *commit,
                                  struct tx_error *err)
{
    struct recovery *recovery = arg;
    struct ktm *tm = recovery->tm;
    if (!(ktm_entries_rms(commit->entries) & 1u << recovery->rm)) {
        return TX_OK;
    }
    return tm->rm_ops[recovery->rm]->redo(tm->rms[recovery->rm], commit, KTM_REDO_RECOVER,
                                          recovery->state.tokens[recovery->rm], err);
}

/* Crash here: after any write of any RM; the next recovery begins from the same steady LSNs. */
static enum tx_status redo_all(struct recovery *recovery, struct tx_error *err)
{
    struct ktm *tm = recovery->tm;
    for (unsigned rm = 0; rm < KTM_RM_MAX; rm++) {
        const struct ktm_rm_ops *ops = tm->rm_ops[rm];
        if (!ops) {
            continue;
        }
        recovery->rm = rm;
        enum tx_status status =
            ops->recover ? ops->recover(tm->rms[rm], tm, recovery->steady[rm], recovery->end,
                                        recovery->state.tokens[rm], err)
                         : ktm_each_commit(tm, recovery->steady[rm], recovery->end, redo_commit,
                                           recovery, err);
        if (status != TX_OK) {
            tx_error_prefix(err, "recover %s", ops->name);
            return status;
        }
    }
    return TX_OK;
}

/* Count who is in doubt and keep room for their decisions. */
static uint64_t reserve_decisions(struct ktm *tm)
{
    uint64_t in_doubt = 0;
    for (unsigned i = 0; i < KTM_PREPARED_MAX; i++) {
        struct ktm_prepared_slot *slot = &tm->shared->prepared[i];
        if (atomic_load(&slot->stamp) != 0 && atomic_load(&slot->decided) == 0) {
            in_doubt++;
            /* On a full disk recovery must go on; then the decision may have to wait. */
            TX_IGNORE(txlog_reserve(tm->log, KTM_DECISION_SIZE, NULL));
        }
    }
    return in_doubt;
}

/* Of a log that nobody recovers: who is prepared, as far as it can be read. */
void ktm_salvage_prepared(struct ktm *tm, const struct txlog_info *info)
{
    struct recovery recovery = {.tm = tm, .start = info->start_lsn, .end = info->append_lsn};
    recovery.oldest_steady = recovery.end;
    /* Up to the first record that is damaged or makes no sense; the log's own check names it. */
    TX_IGNORE(ktm_log_walk(tm, recovery.start, recovery.end, note_record, &recovery, NULL));
}

static void recovery_begin(struct recovery *recovery, struct ktm *tm, struct txlog_info *info)
{
    txlog_get_info(tm->log, info);
    tm->identity = info->identity;
    if (TX_MUTANT(19)) { /* identifiers begin again after a crash */
        tm->identity.epoch = 1;
    }
    *recovery = (struct recovery){.tm = tm, .start = info->start_lsn, .end = info->append_lsn};
}

/* What the log says, into shared memory that nobody uses. */
static enum tx_status recover_read(struct recovery *recovery, struct tx_error *err)
{
    struct ktm *tm = recovery->tm;
    shared_reset(tm);
    ktm_prepared_forget_keys(tm);
    TX_TRY(steady_read(recovery, err));
    return ktm_log_walk(tm, recovery->start, recovery->end, note_record, recovery, err);
}

/* What was read or redone is the state of the store from now on. */
static void recover_show(struct recovery *recovery)
{
    struct ktm_shared *shared = recovery->tm->shared;
    recovery->state.lsn = recovery->end;
    ktm_published_write(recovery->tm, &recovery->state);
    atomic_store(&shared->steady, recovery->oldest_steady);
    atomic_store(&shared->magic, KTM_SHARED_MAGIC);
}

enum tx_status ktm_check(struct ktm *tm, struct tx_error *err)
{
    struct recovery recovery;
    struct txlog_info info;
    TX_TRY(ktm_enter_any(tm, err));
    TX_INVARIANT(tm->salvage && atomic_load(&tm->shared->magic) == 0);
    recovery_begin(&recovery, tm, &info);
    enum tx_status status = recover_read(&recovery, err);
    shared_reset(tm); /* whoever reads the store builds its own state */
    return status;
}

enum tx_status ktm_open_clean(struct ktm *tm, bool *opened, struct tx_error *err)
{
    struct recovery recovery;
    struct txlog_info info;
    *opened = false;
    TX_TRY(ktm_enter_any(tm, err));
    recovery_begin(&recovery, tm, &info);
    TX_TRY(recover_read(&recovery, err));
    if (recovery.oldest_steady < recovery.end && !TX_MUTANT(87)) {
        return TX_OK;
    }
    atomic_store(&tm->shared->decided, recovery.end);
    recover_show(&recovery);
    *opened = true;
    return TX_OK;
}

static enum tx_status confirm_all(struct ktm *tm, struct tx_error *err)
{
    for (unsigned rm = 0; rm < KTM_RM_MAX; rm++) {
        const struct ktm_rm_ops *ops = tm->rm_ops[rm];
        if (!ops || !ops->confirm_steady) {
            continue;
        }
        enum tx_status status = ops->confirm_steady(tm->rms[rm], err);
        if (status != TX_OK) {
            tx_error_prefix(err, "recover %s", ops->name);
            return status;
        }
    }
    return TX_OK;
}

static enum tx_status recover_steps(struct recovery *recovery, bool at_rest, bool clean,
                                    struct tx_error *err)
{
    struct ktm *tm = recovery->tm;
    /* Of a store at rest shared memory says it all, and others read there. */
    TX_TRY(at_rest ? steady_read(recovery, err) : recover_read(recovery, err));
    TX_TRY(ktm_log_walk(tm, recovery->start, recovery->end, retire_record, recovery, err));
    atomic_store(&tm->shared->decided, recovery->end);
    if (!clean) {
        TX_TRY(confirm_all(tm, err));
    }
    return redo_all(recovery, err);
}

/* A short log stays for once: who was told "outcome unknown" can ask it now (ktm_query). Every
 * recovery may begin a segment, so one that is cut off again and again must not keep it. */
static enum tx_status recover_checkpoint(struct recovery *recovery, const struct txlog_info *info,
                                         uint64_t *removed, struct tx_error *err)
{
    if (info->clean && recovery->redone == 0) {
        return TX_OK; /* that was done when the store was closed */
    }
    enum ktm_trim trim = info->segment_count <= KEEP_SEGMENTS_MAX ? KTM_KEEP_LOG : KTM_TRIM_LOG;
    return ktm_checkpoint_run(recovery->tm, trim, removed, err);
}

enum tx_status ktm_recover(struct ktm *tm, struct ktm_recovery *report, struct tx_error *err)
{
    struct recovery recovery;
    struct txlog_info info;
    uint64_t removed = 0;
    TX_TRY(ktm_enter_any(tm, err));
    TX_INVARIANT(!tm->txns);
    recovery_begin(&recovery, tm, &info);
    bool at_rest = atomic_load(&tm->shared->magic) == KTM_SHARED_MAGIC;
    TX_TRY(recover_steps(&recovery, at_rest, info.clean, err));
    uint64_t in_doubt = reserve_decisions(tm);
    recover_show(&recovery);
    enum tx_status status = recover_checkpoint(&recovery, &info, &removed, err);
    if (status != TX_OK) {
        atomic_store(&tm->shared->magic, at_rest ? KTM_SHARED_MAGIC : 0);
        return status;
    }
    report->commits_redone = recovery.redone;
    report->in_doubt = in_doubt;
    report->discarded = removed;
    return TX_OK;
}
