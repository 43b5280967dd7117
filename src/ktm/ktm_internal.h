/* SPDX-License-Identifier: MIT */
/*
 * Inside the transaction manager: the manager, a transaction, and what the steps of a commit hand
 * to each other. What processes share is in ktm_shared.h, what is on disk in txn_record.h. How it
 * fits together, with the invariants and the states: README.md.
 */
#ifndef KTM_INTERNAL_H
#define KTM_INTERNAL_H

#include <txkit/ktm.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/codec.h"
#include "ktm/ktm_shared.h"
#include "ktm/txn_record.h"

/* Somebody may have died who should have woken us: look again after so long. */
#define KTM_RECHECK_NS 20000000
/* Votes of one commit before it gives way to the others with TX_ECONFLICT. */
#define KTM_VOTES_MAX 100

/* A transaction's lock byte, held by this process: attached, staging, or being decided. */
struct ktm_hold {
    struct ktm_id id;
    bool taken;
    struct ktm_hold *next;
};

/* The keys of one undecided transaction, read from its PREPARE record; sorted. */
struct ktm_prepared_keys {
    bool loaded;
    tx_lsn lsn;
    uint64_t *recorded; /* written and marked */
    uint64_t *checked;  /* written and read */
    size_t recorded_count;
    size_t checked_count;
};

struct ktm {
    struct txio *io;
    int store_dir;
    int tx_dir; /* -1 until somebody needs it and when there is none */
    struct txlog *log;
    struct ktm_shared *shared;
    const struct ktm_rm_ops *rm_ops[KTM_RM_MAX];
    void *rms[KTM_RM_MAX];
    uint32_t conflict_entries;
    bool read_only;
    bool salvage; /* implies read_only */
    uint64_t process_id; /* at open; another one now means that we are a forked child */
    uint32_t owner;      /* our word in shared memory (ktm_shared.h) */
    bool slot_taken;
    struct txlog_identity identity;
    enum tx_status rm_lost[KTM_RM_MAX]; /* salvage: why an RM cannot be read */
    struct txio_pair publish;
    struct txio_pair checkpoint;
    struct txio_mutex mutex; /* the two lists */
    struct ktm_hold *holds;
    struct ktm_txn *txns;
    /* By slot of the shared table; used under the append lock. */
    struct ktm_prepared_keys prepared_keys[KTM_PREPARED_MAX];
};

struct ktm_savepoint {
    char name[KTM_SAVEPOINT_NAME_MAX + 1];
    size_t size;    /* bytes of entries before it */
    uint64_t count; /* entries before it */
};

struct ktm_txn {
    struct ktm *tm;
    struct ktm_txn *next;
    struct ktm_id id;
    enum ktm_state state;
    uint32_t flags; /* enum ktm_begin_flags */
    bool timed_out;
    bool saved;          /* tx/<id>/changes exists: attached */
    bool keep_directory; /* the log may need tx/<id>/ */
    bool staging_named;  /* the name of tx/<id>/ is durable */
    int64_t deadline_ns; /* monotonic; 0: none */
    int64_t begin_time_ns;
    char description[KTM_DESCRIPTION_MAX + 1];
    struct tx_buf entries;
    uint64_t entry_count;
    struct ktm_savepoint *savepoints;
    size_t savepoint_count;
    size_t savepoint_capacity;
    void *views[KTM_RM_MAX];
    bool enlisted[KTM_RM_MAX];
    uint32_t snapshot_slot;
    bool has_snapshot;
    struct ktm_published snapshot;
    struct ktm_hold hold;
    int staging_dir; /* -1: none */
};

/* --- state.c --- */
bool ktm_state_may_move(enum ktm_state from, enum ktm_state to);
void ktm_state_move(enum ktm_state *state, enum ktm_state to);
/* Abort the process when the transaction is not what its state says. */
void ktm_txn_check(const struct ktm_txn *txn);

/* --- ktm.c --- */
/* First line of every public call: not a forked child. */
enum tx_status ktm_enter_any(struct ktm *tm, struct tx_error *err) TX_CHECKED;
/* The same for calls that need a store which is recovered and not poisoned. */
enum tx_status ktm_enter(struct ktm *tm, struct tx_error *err) TX_CHECKED;
bool ktm_is_forked(const struct ktm *tm);
/* Open tx/ if that has not been done; makes it unless read-only. Errors: TX_ENOTFOUND. */
enum tx_status ktm_need_tx_dir(struct ktm *tm, struct tx_error *err) TX_CHECKED;

/* --- process_slot.c --- */
enum tx_status ktm_process_take(struct ktm *tm, struct tx_error *err) TX_CHECKED;
void ktm_process_give(struct ktm *tm);
/* Whoever wrote this owner word still lives (or it cannot be told). */
bool ktm_process_lives(struct ktm *tm, uint32_t owner);

/* --- hold.c --- */
/* Take the lock byte of a transaction. Errors: TX_EBUSY. */
enum tx_status ktm_hold_take(struct ktm *tm, const struct ktm_id *id, struct ktm_hold *hold,
                             struct tx_error *err) TX_CHECKED;
void ktm_hold_drop(struct ktm *tm, struct ktm_hold *hold);
/* A living process holds it, this one included. */
bool ktm_is_held(struct ktm *tm, const struct ktm_id *id);

/* --- txn.c --- */
enum tx_status ktm_txn_new(struct ktm *tm, const struct ktm_id *id, struct ktm_txn **txn,
                           struct tx_error *err) TX_CHECKED;
void ktm_txn_free(struct ktm_txn *txn);
static inline void ktm_txn_auto_ptr(struct ktm_txn **txn)
{
    ktm_txn_free(*txn);
}
/* First line of every call on a transaction that works: active, in time, not forked. */
enum tx_status ktm_txn_enter(struct ktm_txn *txn, struct tx_error *err) TX_CHECKED;
/* Enlist every RM that has entries: attached ones may not have been used here, and must vote. */
enum tx_status ktm_txn_enlist(struct ktm_txn *txn, struct tx_error *err) TX_CHECKED;
enum tx_status ktm_txn_flush(struct ktm_txn *txn, struct tx_error *err) TX_CHECKED;
/* Put it among the manager's attached transactions; taken out by ktm_txn_free. */
void ktm_txn_link(struct ktm_txn *txn);
/* Abort in memory and remove what was staged, unless the log may need it. */
void ktm_txn_abandon(struct ktm_txn *txn);

/* --- staging.c --- */
enum tx_status ktm_staging_name_sync(struct ktm_txn *txn, struct tx_error *err) TX_CHECKED;
/* Make every whole file in tx/<id>/ and the names there durable. */
enum tx_status ktm_staging_sync_files(struct ktm_txn *txn, struct tx_error *err) TX_CHECKED;
/* Remove tx/<id>/changes durably, so that nobody takes the transaction for detached. Absence is
 * success. */
enum tx_status ktm_staging_retire(struct ktm *tm, const struct ktm_id *id,
                                  struct tx_error *err) TX_CHECKED;
/* Remove tx/<id>/ and all in it: `changes` first and durably. */
enum tx_status ktm_staging_remove(struct ktm *tm, const struct ktm_id *id,
                                  struct tx_error *err) TX_CHECKED;

/* --- sweep.c --- */
/* Directories tx/<id>/ of nobody: not held, detached, prepared, or needed by the log. The caller
 * holds the checkpoint and publish locks. *removed is added to. */
enum tx_status ktm_sweep(struct ktm *tm, uint64_t *removed, struct tx_error *err) TX_CHECKED;
/* Ids of all tx/<id>/, sorted. */
enum tx_status ktm_staging_list(struct ktm *tm, struct tx_buf *ids,
                                struct tx_error *err) TX_CHECKED;
int ktm_id_compare(const void *a, const void *b);

/* --- detached.c --- */
/* Read tx/<id>/changes. Errors: TX_ENOTFOUND, TX_ECORRUPT. `record` points into `storage`. */
enum tx_status ktm_changes_load(struct ktm *tm, const struct ktm_id *id, struct tx_buf *storage,
                                struct ktm_record *record, struct tx_error *err) TX_CHECKED;
enum tx_status ktm_changes_save(struct ktm_txn *txn, struct tx_error *err) TX_CHECKED;
uint16_t ktm_header_flags_of(const struct ktm_txn *txn);
#define KTM_CHANGES_NAME "changes"
/* "tx/3-42/changes", relative to the store directory. */
#define KTM_CHANGES_PATH_SIZE (KTM_STAGING_PATH_SIZE + 16)
void ktm_changes_path(const struct ktm_id *id, char path[KTM_CHANGES_PATH_SIZE]);

/* --- savepoint.c --- */
enum tx_status ktm_savepoints_encode(const struct ktm_txn *txn, struct tx_buf *out,
                                     struct tx_error *err) TX_CHECKED;
enum tx_status ktm_savepoints_decode(struct ktm_txn *txn, const struct ktm_record *record,
                                     struct tx_error *err) TX_CHECKED;

/* --- salvage.c --- */
/* Nothing unless read-only on memory that nobody recovered: then build a state to read. */
enum tx_status ktm_salvage_state(struct ktm *tm, struct tx_error *err) TX_CHECKED;
void ktm_salvage_prepared(struct ktm *tm, const struct txlog_info *info);

/* --- snapshot.c --- */
enum tx_status ktm_snapshot_take(struct ktm_txn *txn, struct tx_error *err) TX_CHECKED;
void ktm_snapshot_give(struct ktm_txn *txn);
/* The newest published state. */
void ktm_published_read(struct ktm *tm, struct ktm_published *state);
/* Publish a state; the caller holds the publish lock. */
void ktm_published_write(struct ktm *tm, const struct ktm_published *state);
/* min(limit, oldest living snapshot); `limit` was read before. */
tx_lsn ktm_snapshot_oldest(struct ktm *tm, tx_lsn limit);

/* --- commit_walk.c --- */
/* One record of the log as transactions see it. */
struct ktm_logged {
    struct txlog_record at;
    uint32_t kind; /* enum ktm_kind; 0: not ours, without effect */
    struct ktm_record record;     /* COMMIT, PREPARE; of a DECIDE to commit the PREPARE's */
    struct ktm_decision decision; /* DECIDE */
    bool has_effects;             /* COMMIT, or DECIDE to commit: `info` is filled */
    struct ktm_commit_info info;
    struct tx_buf payload;
    struct tx_buf prepared;
};
#define KTM_LOGGED_INIT {.payload = TX_BUF_INIT, .prepared = TX_BUF_INIT}
void ktm_logged_release(struct ktm_logged *logged);
static inline void ktm_logged_auto(struct ktm_logged *logged)
{
    ktm_logged_release(logged);
}
/* Fill `info` from `record` and `at`. */
void ktm_logged_info(struct ktm_logged *logged, int64_t time_ns);
/* Read and verify the record at `lsn`. Errors: TX_ENOTFOUND at the end of the log. */
enum tx_status ktm_log_read(struct ktm *tm, tx_lsn lsn, struct ktm_logged *logged,
                            struct tx_error *err) TX_CHECKED;
typedef enum tx_status ktm_logged_fn(void *arg, const struct ktm_logged *logged,
                                     struct tx_error *err);
/* All records from `from` on, a boundary, to the end or `upto`. */
enum tx_status ktm_log_walk(struct ktm *tm, tx_lsn from, tx_lsn upto, ktm_logged_fn *fn, void *arg,
                            struct tx_error *err) TX_CHECKED;

/* --- publish.c --- */
/* Return when everything before `upto` (durable) is published; do it, or wait for who does. `own`:
 * a record that the caller has in memory as it is in the log, so that it need not be read, which
 * would need memory after the force; NULL: none. */
enum tx_status ktm_publish(struct ktm *tm, tx_lsn upto, const struct ktm_logged *own,
                           struct tx_error *err) TX_CHECKED;
/* Publish all that is durable. The caller holds the publish lock. */
enum tx_status ktm_publish_held(struct ktm *tm, const struct ktm_logged *own,
                                struct tx_error *err) TX_CHECKED;
/* Give the publish lock back and wake those who waited for what was published under it. */
void ktm_publish_unlock(struct ktm *tm);
/* As far as that is possible without waiting; a failure is left to who depends on it. */
void ktm_publish_try(struct ktm *tm);
/* Force and publish all that has been appended, by the dead too. Never answers TX_EOUTCOME. */
enum tx_status ktm_settle(struct ktm *tm, struct tx_error *err) TX_CHECKED;
/* The failure may pass without a reopening. */
bool ktm_may_pass(enum tx_status status);
/* The RMs that have entries, as bits. */
unsigned ktm_entries_rms(struct ktm_cursor entries);
/* The same. Errors: TX_EVERSION for one that is not here. */
enum tx_status ktm_entries_known(struct ktm *tm, struct ktm_cursor entries, unsigned *rms,
                                 struct tx_error *err) TX_CHECKED;

/* --- checkpoint.c --- */
enum ktm_trim { KTM_TRIM_LOG, KTM_KEEP_LOG };
enum tx_status ktm_checkpoint_run(struct ktm *tm, enum ktm_trim trim, uint64_t *removed,
                                  struct tx_error *err) TX_CHECKED;

/* --- The way of a record into the log: vote.c, barrier.c, order.c, commit.c, prepared.c --- */

enum ktm_key_kind { KTM_KEY_WRITE = 1, KTM_KEY_READ = 2, KTM_KEY_MARK = 3 };
struct ktm_key {
    uint64_t key;
    enum ktm_key_kind kind;
    const char *name; /* not terminated */
    size_t name_size;
};
bool ktm_keys_next(struct tx_reader *reader, struct ktm_key *key);

/* What stood in the way, for the message. */
struct ktm_conflict {
    bool found;
    bool undecided; /* with the prepared transaction `id`, else with the record at `lsn` */
    struct ktm_id id;
    tx_lsn lsn;
    char name[200];
};

/* One transaction on its way into the log, as COMMIT, PREPARE or DECIDE. */
struct ktm_run {
    struct ktm *tm;
    struct ktm_txn *txn; /* NULL for a decision */
    uint32_t kind;       /* enum ktm_kind */
    bool has_effects;    /* COMMIT, DECIDE to commit */
    struct ktm_id id;
    struct ktm_cursor entries;
    const struct ktm_record *prepared; /* DECIDE: the record it decides */
    struct ktm_prepared_slot *slot;    /* PREPARE: where it was announced */
    tx_lsn validated;   /* published LSN from before the vote */
    struct tx_buf keys; /* of the vote */
    struct tx_buf head; /* all of the record before the entries */
    bool voted;
    bool made_room;  /* log space was asked for by a checkpoint once */
    bool made_slots; /* and slots for the prepared */
    bool has_gate;
    bool needs_barrier;
    bool reserved;
    struct ktm_conflict conflict;
    struct ktm_header header; /* of the record */
    tx_lsn lsn;
    tx_lsn next_lsn;
};

enum ktm_verdict {
    KTM_ORDERED,         /* the record is appended */
    KTM_VOTE_AGAIN,      /* the conflict table has forgotten too much */
    KTM_NEEDS_CHECKPOINT, /* something before must be steady first, or the log is full */
    KTM_NEEDS_GATE,      /* a barrier commit: keep the others out for a moment */
    KTM_WAIT_FOR_GATE,   /* somebody else does */
};

/* vote.c: call the RMs. */
enum tx_status ktm_vote_collect(struct ktm_run *run, struct tx_error *err) TX_CHECKED;
/* barrier.c */
bool ktm_barrier_needed(struct ktm_run *run);
void ktm_gate_take(struct ktm_run *run);
void ktm_gate_give(struct ktm_run *run);
void ktm_gate_wait(struct ktm *tm);
/* What the barriers allow at append position `lsn`; under the append lock. */
enum ktm_verdict ktm_barrier_verdict(struct ktm_run *run, tx_lsn lsn);
/* order.c: everything that is ordered by the log, under the append lock. */
enum tx_status ktm_order(struct ktm_run *run, enum ktm_verdict *verdict,
                         struct tx_error *err) TX_CHECKED;
/* run.c: vote and order until the record is appended. On failure nothing of it is in the log,
 * except with TX_EOUTCOME. */
enum tx_status ktm_run_append(struct ktm_run *run, struct tx_error *err) TX_CHECKED;
/* Force what was appended. Errors: TX_EOUTCOME only. */
enum tx_status ktm_run_force(struct ktm_run *run, struct tx_error *err) TX_CHECKED;
/* Publish what is durable. Errors: TX_EPENDING only. */
enum tx_status ktm_run_publish(struct ktm_run *run, struct tx_error *err) TX_CHECKED;
void ktm_run_release(struct ktm_run *run);
static inline void ktm_run_auto(struct ktm_run *run)
{
    ktm_run_release(run);
}

/* conflict.c: the shared table; under the append lock. */
void ktm_conflict_reset(struct ktm_shared *shared, uint32_t entries);
/* Stamp of the newest record that wrote the key, 0 when the table knows none. */
uint64_t ktm_conflict_find(struct ktm_shared *shared, uint64_t key);
void ktm_conflict_insert(struct ktm_shared *shared, uint64_t key, uint64_t stamp);

/* prepared_table.c: the undecided, under the append lock where not said otherwise. */
struct ktm_prepared_slot *ktm_prepared_find(struct ktm_shared *shared, const struct ktm_id *id);
struct ktm_prepared_slot *ktm_prepared_free_slot(struct ktm_shared *shared);
unsigned ktm_prepared_count(struct ktm_shared *shared);
/* Free the slots of the decided and keep one span of log for all of them; under the checkpoint
 * lock. */
void ktm_prepared_fold(struct ktm_shared *shared);
void ktm_prepared_fill(struct ktm_prepared_slot *slot, const struct ktm_id *id, tx_lsn lsn,
                       enum ktm_state state);
/* The PREPARE record of an undecided transaction, and whether recovery found it; without the lock.
 * Errors: TX_ENOTFOUND. */
enum tx_status ktm_prepared_read(struct ktm *tm, const struct ktm_id *id,
                                 struct ktm_logged *logged, enum ktm_state *state,
                                 struct tx_error *err) TX_CHECKED;
/* Read the keys of those that are not known yet. *undecided: how many there are. */
enum tx_status ktm_prepared_load_keys(struct ktm *tm, tx_lsn append_lsn, unsigned *undecided,
                                      struct tx_error *err) TX_CHECKED;
/* An undecided transaction with which this key conflicts. */
struct ktm_prepared_slot *ktm_prepared_conflict(struct ktm *tm, const struct ktm_key *key);
void ktm_prepared_forget_keys(struct ktm *tm);

#endif
