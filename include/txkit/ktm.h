/* SPDX-License-Identifier: MIT */
/*
 * Transactions: one change set over several resource managers (RMs), committed by one force.
 *
 *     ktm_begin -> (work through txfs_*, txreg_*) -> ktm_commit | ktm_rollback
 *     ktm_begin -> work -> ktm_prepare .. ktm_commit_prepared | ktm_rollback_prepared
 *     ktm_begin -> work -> ktm_detach .. another process: ktm_attach -> work -> ktm_commit
 *
 * A transaction *is* its change set: an ordered list of logical entries, each owned by an RM and
 * each saying an absolute final state ("this path holds this content"), so that a later entry
 * for the same object replaces an earlier one and carrying out an entry twice does no harm. The
 * same bytes are the transaction in memory, in tx/<id>/ (detached), in the log (committed), in
 * undo/<lsn>/ (history), and what `txctl diff` prints.
 *
 * Isolation: snapshot isolation; first committer wins. With KTM_SERIALIZABLE what was read is
 * validated too. A detached transaction has one stable snapshot per attachment; whatever it
 * touched is validated from its first touch on. What it only read is validated up to the end of the
 * attachment that read it: a detached transaction keeps no reads, serializable or not.
 *
 * Positions: a snapshot, ktm_published(), ktm_decided() and the limits of ktm_each_commit are ends
 * of records. A commit with record [lsn, next_lsn) is in (after, upto] when next_lsn is.
 *
 * Thread: one transaction is used by one thread at a time; different transactions of one manager
 * by any threads at once.
 */
#ifndef TXKIT_KTM_H
#define TXKIT_KTM_H

#include <txkit/log.h>

#define KTM_DESCRIPTION_MAX 255      /* bytes, UTF-8, without NUL */
#define KTM_SAVEPOINT_NAME_MAX 63    /* bytes */
#define KTM_SAVEPOINTS_MAX 1000
#define KTM_RM_MAX 4                 /* RMs of one manager; ids are 0 .. KTM_RM_MAX - 1 */
#define KTM_TOKEN_SIZE 40            /* bytes by which an RM names one of its states */
#define KTM_ID_TEXT_SIZE 44          /* "epoch-sequence" and a NUL */
#define KTM_GID_TEXT_SIZE 128        /* "txkit:<uuid>:<epoch>:<sequence>:<branch>" */
#define KTM_ATTACHED_MAX 1024        /* transactions attached at once, over all processes */
#define KTM_PREPARED_MAX 256         /* transactions prepared and not yet trimmed from the log */
/* Bytes of all entries of one transaction, their 8-byte headers included. */
#define KTM_CHANGES_MAX (TXLOG_PAYLOAD_MAX - 64u * 1024u * 1024u)

struct ktm;     /* a transaction manager: one open store */
struct ktm_txn; /* a transaction attached to this process */

/* Never reused within a store: the epoch is forced at each recovery, the sequence counts in it. */
struct ktm_id {
    uint64_t epoch;
    uint64_t sequence;
};

/* Write "3-42" / read it back. */
TX_API void ktm_id_format(const struct ktm_id *id, char text[KTM_ID_TEXT_SIZE]);
TX_API enum tx_status ktm_id_parse(const char *text, struct ktm_id *id,
                                   struct tx_error *err) TX_CHECKED;
/* Write the global identifier that outside resource managers are given for branch `branch`. */
TX_API void ktm_gid_format(const struct ktm *tm, const struct ktm_id *id, unsigned branch,
                           char text[KTM_GID_TEXT_SIZE]);

enum ktm_state {
    KTM_ACTIVE,
    KTM_PREPARED,
    KTM_COMMITTED, /* durable; effects may still be on their way */
    KTM_ENDED,     /* durable and carried out */
    KTM_ABORTED,
    KTM_IN_DOUBT, /* prepared, found by recovery: its coordinator has to decide */
};
TX_API const char *ktm_state_name(enum ktm_state state);

enum ktm_begin_flags {
    KTM_SERIALIZABLE = 1 << 0,
    KTM_READ_ONLY = 1 << 1, /* changes answer TX_EMISUSE; commit writes nothing */
};

struct ktm_begin_options {
    const char *description; /* NULL: none */
    uint32_t timeout_ms;     /* 0: none; monotonic clock, between attachments the date */
    uint32_t flags;          /* enum ktm_begin_flags */
};

/* Start a transaction on the last published state. `options` may be NULL. */
TX_API enum tx_status ktm_begin(struct ktm *tm, const struct ktm_begin_options *options,
                                struct ktm_txn **txn, struct tx_error *err) TX_CHECKED;

/*
 * Commit and free the transaction.
 * Durability: TX_OK - all of it is durable and visible; TX_EPENDING - durable, some effect is
 * still to be carried out (at the latest by the next open); TX_EOUTCOME - unknown until the store
 * is reopened; any other status - aborted, nothing of it will ever be seen.
 * Errors: TX_ECONFLICT names the object and the other party. *lsn (may be NULL) receives the
 * commit's LSN, 0 when there was nothing to write.
 * Ownership: `txn` is gone whatever is returned.
 */
TX_API enum tx_status ktm_commit(struct ktm_txn *txn, tx_lsn *lsn, struct tx_error *err) TX_CHECKED;

/* Forget and free the transaction, and what it staged. Never needs space. NULL is allowed. */
TX_API void ktm_rollback(struct ktm_txn *txn);

/* Vote and force the change set; frees `txn` whatever is returned. On TX_OK the transaction is from
 * now on known by its id and survives a power cut until somebody commits or rolls it back.
 * Errors: those of ktm_commit; TX_ELIMIT (KTM_PREPARED_MAX). */
TX_API enum tx_status ktm_prepare(struct ktm_txn *txn, struct tx_error *err) TX_CHECKED;
/* Durability: as ktm_commit; any status but TX_OK, TX_EPENDING and TX_EOUTCOME leaves the
 * transaction prepared. Errors: TX_ENOTFOUND, TX_EBUSY (somebody else is deciding it). */
TX_API enum tx_status ktm_commit_prepared(struct ktm *tm, const struct ktm_id *id, tx_lsn *lsn,
                                          struct tx_error *err) TX_CHECKED;
TX_API enum tx_status ktm_rollback_prepared(struct ktm *tm, const struct ktm_id *id,
                                            struct tx_error *err) TX_CHECKED;

/* Save an active transaction under tx/<id>/ and free it, so that another process can attach it.
 * Durability: on TX_OK it survives a power cut, what it staged included. Its timeout goes on.
 * Ownership: on any other status `txn` is still the caller's. */
TX_API enum tx_status ktm_detach(struct ktm_txn *txn, struct tx_error *err) TX_CHECKED;
/* Errors: TX_ENOTFOUND, TX_EBUSY (attached elsewhere), TX_EMISUSE (prepared), TX_ETIMEOUT (and now
 * it is gone). */
TX_API enum tx_status ktm_attach(struct ktm *tm, const struct ktm_id *id, struct ktm_txn **txn,
                                 struct tx_error *err) TX_CHECKED;
/* Remove a detached transaction that nobody has attached. */
TX_API enum tx_status ktm_discard(struct ktm *tm, const struct ktm_id *id,
                                  struct tx_error *err) TX_CHECKED;

/* Mark a point; the same name again moves it. Legal with open files; covers all RMs at once. */
TX_API enum tx_status ktm_savepoint(struct ktm_txn *txn, const char *name,
                                    struct tx_error *err) TX_CHECKED;
/* Undo what came after the mark; the mark stays, later marks go. Errors: TX_ENOTFOUND. */
TX_API enum tx_status ktm_rollback_to(struct ktm_txn *txn, const char *name,
                                      struct tx_error *err) TX_CHECKED;

TX_API struct ktm_id ktm_txn_id(const struct ktm_txn *txn);
TX_API enum ktm_state ktm_txn_state(const struct ktm_txn *txn);
/* The state of the world that the transaction sees. */
TX_API tx_lsn ktm_txn_snapshot(const struct ktm_txn *txn);
TX_API const char *ktm_txn_description(const struct ktm_txn *txn);
/* When it began, realtime, also when it has been detached since. Informative. */
TX_API int64_t ktm_txn_begin_time(const struct ktm_txn *txn);

/* What is known of one transaction that is not attached here. */
struct ktm_txn_info {
    struct ktm_id id;
    enum ktm_state state;
    char description[KTM_DESCRIPTION_MAX + 1];
    int64_t begin_time_ns; /* realtime, informative */
    uint64_t entry_count;
    bool attached; /* by a living process */
};
typedef enum tx_status ktm_list_fn(void *arg, const struct ktm_txn_info *info,
                                   struct tx_error *err);
/* Call `fn` for each detached, prepared or in-doubt transaction, by ascending id. */
TX_API enum tx_status ktm_list(struct ktm *tm, ktm_list_fn *fn, void *arg,
                               struct tx_error *err) TX_CHECKED;
/* Errors: TX_ENOTFOUND when nothing is known (then: ended long ago, or aborted). */
TX_API enum tx_status ktm_query(struct ktm *tm, const struct ktm_id *id, struct ktm_txn_info *info,
                                struct tx_error *err) TX_CHECKED;

/* --- Change sets --- */

struct ktm_change {
    uint8_t rm;
    uint8_t op;     /* given by the RM */
    uint16_t flags; /* given by the RM */
    const uint8_t *body;
    size_t body_size;
};

/* Walk the entries of a change set; false at the end. Entries were verified when it was opened. */
struct ktm_cursor {
    const uint8_t *next;
    size_t left;
};
TX_API bool ktm_cursor_next(struct ktm_cursor *cursor, struct ktm_change *change);

/* A committed (or prepared) transaction as the log and the history have it. */
struct ktm_commit_info {
    tx_lsn lsn;      /* of the record that decided it */
    tx_lsn next_lsn;
    struct ktm_id id;
    tx_lsn snapshot_lsn;
    int64_t time_ns; /* realtime at commit */
    uint64_t entry_count;
    char description[KTM_DESCRIPTION_MAX + 1];
    struct ktm_cursor entries; /* valid during the call that delivers it */
};

/* The entries so far of an attached transaction; valid until it changes. */
TX_API struct ktm_cursor ktm_txn_entries(const struct ktm_txn *txn);
/* Load the entries of a detached or prepared transaction into *info; they live in *storage, which
 * the caller releases after use. */
TX_API enum tx_status ktm_load_entries(struct ktm *tm, const struct ktm_id *id,
                                       struct ktm_commit_info *info, struct tx_buf *storage,
                                       struct tx_error *err) TX_CHECKED;

typedef enum tx_status ktm_commit_fn(void *arg, const struct ktm_commit_info *commit,
                                     struct tx_error *err);
/* Deliver the commits after `after` and up to `upto` in LSN order, read from the log. */
TX_API enum tx_status ktm_each_commit(struct ktm *tm, tx_lsn after, tx_lsn upto, ktm_commit_fn *fn,
                                      void *arg, struct tx_error *err) TX_CHECKED;

/* A record of the log, decoded; for `txctl log dump`. */
struct ktm_record_info {
    const char *kind; /* "commit", "prepare", "decide-commit", "decide-rollback", "epoch" or
                         "unknown" */
    struct ktm_id id;
    tx_lsn snapshot_lsn; /* commit, prepare */
    tx_lsn prepare_lsn;  /* decisions */
    int64_t time_ns;
    uint64_t entry_count;
    char description[KTM_DESCRIPTION_MAX + 1];
    struct ktm_cursor entries; /* lead into the payload */
};
/* Decode what txlog_read gave; `fn` (NULL is allowed) gets each field of the record's fixed part.
 * Errors: TX_ECORRUPT, TX_EVERSION. */
TX_API enum tx_status ktm_describe_record(uint32_t kind, const struct tx_buf *payload,
                                          struct ktm_record_info *info, txlog_field_fn *fn,
                                          void *arg, struct tx_error *err) TX_CHECKED;

/* --- For resource managers --- */

/* What an RM answers to prepare. */
struct ktm_vote {
    /* Objects written and read, as hashes of RM id and object identity. The manager checks every
     * key against the commits since the snapshot and records the written ones. An RM names what was
     * read when the transaction is serializable, and in any transaction what its change depends on
     * (the directory that a new file stands in). Added with ktm_vote_*; names, for messages, are
     * copied. */
    struct tx_buf *keys;
};
TX_API enum tx_status ktm_vote_write(struct ktm_vote *vote, uint64_t key, const char *name,
                                     struct tx_error *err) TX_CHECKED;
TX_API enum tx_status ktm_vote_read(struct ktm_vote *vote, uint64_t key, const char *name,
                                    struct tx_error *err) TX_CHECKED;
/* Recorded like a written key when this transaction commits, but not checked for it: what several
 * transactions may do side by side although another one, which votes to read the key, must notice
 * (new values in a registry key that somebody deletes). */
TX_API enum tx_status ktm_vote_mark(struct ktm_vote *vote, uint64_t key, const char *name,
                                    struct tx_error *err) TX_CHECKED;

enum ktm_redo_mode {
    KTM_REDO_LIVE,    /* just committed; untouched, unless an earlier publisher died over it */
    KTM_REDO_RECOVER, /* after a crash: any part of it may be there, or not */
};

/*
 * A resource manager as the transaction manager sees it. All functions may be called from any
 * thread; redo, recover, steady, trim never run at the same time as each other (the manager holds
 * TXIO_LOCK_PUBLISH or TXIO_LOCK_CHECKPOINT across processes).
 */
struct ktm_rm_ops {
    const char *name;
    /* Redo is called for commits without entries of this RM, too: the RM that keeps the history. */
    bool redo_every_commit;

    /* First use in a transaction: build the view, from the entries there are (attach). */
    enum tx_status (*begin)(void *rm, struct ktm_txn *txn, void **view, struct tx_error *err);
    /* The entry list was cut (rollback to a savepoint): build the view anew from what is left. */
    enum tx_status (*rebuild)(void *rm, struct ktm_txn *txn, void *view, struct tx_error *err);
    /* The transaction is over, or leaves this process. */
    void (*end)(void *rm, struct ktm_txn *txn, void *view);
    /* Turn what is cached (open files) into entries; before prepare, detach, savepoint. */
    enum tx_status (*flush)(void *rm, struct ktm_txn *txn, void *view, struct tx_error *err);
    /*
     * Vote. Validate against the published state what was first touched at the snapshot (identity
     * of files, revisions of keys), make staged payloads durable, name the conflict keys. The
     * manager logs the entries afterwards. May be called again when others committed meanwhile.
     */
    enum tx_status (*prepare)(void *rm, struct ktm_txn *txn, void *view, struct ktm_vote *vote,
                              struct tx_error *err);

    /*
     * Carry out the RM's entries of one durable commit. `token` names the RM's state before and
     * receives the state after; the manager publishes it together with the LSN, so that snapshots
     * of all RMs belong together. Must not need memory that can be had before the force... any
     * failure poisons the store and recovery finishes the job, except TX_ENOSPC, TX_ENOMEM and
     * TX_ELIMIT, after which the same commit is carried out again later. Called only for commits
     * that have entries of this RM, unless redo_every_commit.
     */
    enum tx_status (*redo)(void *rm, const struct ktm_commit_info *commit, enum ktm_redo_mode mode,
                           uint8_t token[KTM_TOKEN_SIZE], struct tx_error *err);

    /* Recovery: say from which LSN on commits must be carried out again and the state there: what
     * the last `steady` was told, 0 when none was ever. Before the start of the log, or 0 when that
     * was trimmed, is refused as damage: an image older than the log. */
    enum tx_status (*open_steady)(void *rm, tx_lsn *steady_lsn, uint8_t token[KTM_TOKEN_SIZE],
                                  struct tx_error *err);
    /* Recovery after a crash, before anything is redone: make durable what open_steady found. The
     * disk may lack it: a sync that failed leaves it in the page cache. NULL: redo writes over
     * nothing that an older steady state needs. */
    enum tx_status (*confirm_steady)(void *rm, struct tx_error *err);
    /* Recovery of an RM that needs to see all commits together (NULL: redo one by one). The RM
     * walks them with ktm_each_commit(tm, after, upto). */
    enum tx_status (*recover)(void *rm, struct ktm *tm, tx_lsn after, tx_lsn upto,
                              uint8_t token[KTM_TOKEN_SIZE], struct tx_error *err);

    /* Checkpoint: make every effect up to `lsn` (state `token`) durable without the log, and note
     * `lsn` durably for open_steady, even when nothing else changed. A failure poisons the store (a
     * sync may not be repeated), except TX_ENOMEM and TX_ELIMIT. */
    enum tx_status (*steady)(void *rm, tx_lsn lsn, const uint8_t token[KTM_TOKEN_SIZE],
                             struct tx_error *err);
    /* The log is trimmed up to `lsn`, no snapshot is older than `oldest`: drop leftovers. */
    enum tx_status (*trim)(void *rm, tx_lsn lsn, tx_lsn oldest, struct tx_error *err);

    /* True: before these entries are appended every earlier commit must be steady, and they before
     * any later one (moves of existing inodes, see src/txfs/README.md). NULL: never. */
    bool (*needs_barrier)(void *rm, struct ktm_cursor entries);
};

struct ktm_options {
    struct txio *io;
    int store_dir;       /* descriptor of .txkit */
    struct txlog *log;
    void *shared;        /* ktm_shared_size() bytes of shared memory */
    const struct ktm_rm_ops *rm_ops[KTM_RM_MAX]; /* NULL: id not in use */
    void *rms[KTM_RM_MAX];
    uint32_t conflict_entries; /* of the conflict table; power of two; 0: 65536 */
    bool read_only; /* changes answer TX_EREADONLY; what others committed is still carried out */
    bool salvage;   /* read-only, on a log in salvage mode and memory of its own */
};

TX_API size_t ktm_shared_size(uint32_t conflict_entries);
TX_API enum tx_status ktm_open(const struct ktm_options *options, struct ktm **tm,
                               struct tx_error *err) TX_CHECKED;
/* What recovery did beyond the log's part. */
struct ktm_recovery {
    struct txlog_recovery log;
    uint64_t commits_redone;
    uint64_t in_doubt;
    uint64_t discarded; /* unfinished leftovers removed */
};
/* After txlog_recover: alone in the store (TXIO_LOCK_RECOVERY held exclusively), or after
 * ktm_open_clean by a process that keeps others from opening it; then those that read go on. Leaves
 * report->log alone. */
TX_API enum tx_status ktm_recover(struct ktm *tm, struct ktm_recovery *report,
                                  struct tx_error *err) TX_CHECKED;
/* After txlog_open_clean, alone in the store: fill the shared memory so that the store can be read.
 * *opened false: an RM has commits to redo, so recover the store. Durability: nothing is written.
 * Errors: as ktm_recover. */
TX_API enum tx_status ktm_open_clean(struct ktm *tm, bool *opened, struct tx_error *err) TX_CHECKED;
/* Whether ktm_recover would accept what log and RMs hold; changes nothing. The manager is open
 * read-only in salvage, and this is the first call on it. Errors: what recovery would answer. */
TX_API enum tx_status ktm_check(struct ktm *tm, struct tx_error *err) TX_CHECKED;
/* Publish what is durable, make all RMs steady, trim the log. Errors: TX_EREADONLY in salvage, and
 * of a store at rest. */
TX_API enum tx_status ktm_checkpoint(struct ktm *tm, struct tx_error *err) TX_CHECKED;
TX_API void ktm_close(struct ktm *tm);

/* The RM's view in this transaction, created at the first call. Errors: those of begin,
 * TX_EABORTED, TX_ETIMEOUT, TX_EFORKED. */
TX_API enum tx_status ktm_txn_view(struct ktm_txn *txn, unsigned rm, void **view,
                                   struct tx_error *err) TX_CHECKED;
/* Append an entry; count <= 6 parts make the body. Errors: TX_EMISUSE when read-only. */
TX_API enum tx_status ktm_txn_add(struct ktm_txn *txn, unsigned rm, uint8_t op, uint16_t flags,
                                  const struct iovec *parts, int count,
                                  struct tx_error *err) TX_CHECKED;
/* The RM's state in the transaction's snapshot. */
TX_API void ktm_txn_token(const struct ktm_txn *txn, unsigned rm, uint8_t token[KTM_TOKEN_SIZE]);
/* The RM's newest published state: what prepare validates against. What it names stays readable
 * while a transaction with an older snapshot is attached here. */
TX_API void ktm_published_token(struct ktm *tm, unsigned rm, uint8_t token[KTM_TOKEN_SIZE]);
/* Directory tx/<id>/ of the transaction, created at the first call; the transaction closes it. The
 * manager makes the directory's own name durable before it logs the transaction; what is in it,
 * with its names, the RM does in prepare. Whole files directly in it are made durable by
 * ktm_detach. The manager removes the directory when the log no longer needs it. */
TX_API enum tx_status ktm_txn_staging(struct ktm_txn *txn, int *dir,
                                      struct tx_error *err) TX_CHECKED;
TX_API struct ktm *ktm_txn_manager(const struct ktm_txn *txn);
/* The seam that its manager works through; not owned by the caller. */
TX_API struct txio *ktm_txn_io(const struct ktm_txn *txn);
TX_API bool ktm_txn_is_serializable(const struct ktm_txn *txn);
/* Directory of one transaction's staged payloads, relative to the store directory: "tx/3-42". */
#define KTM_STAGING_PATH_SIZE 64
TX_API void ktm_staging_path(const struct ktm_id *id, char path[KTM_STAGING_PATH_SIZE]);
/* LSN up to which everything is published (visible to new snapshots). */
TX_API tx_lsn ktm_published(struct ktm *tm);
/* LSN after the newest commit whose publishing may have begun: a reader that finds nothing about
 * its object up to here, looked at the tree, and finds this unchanged has seen a stable state. */
TX_API tx_lsn ktm_decided(struct ktm *tm);
/* The oldest snapshot that any living process reads, or ktm_published() when there is none. */
TX_API tx_lsn ktm_oldest_snapshot(struct ktm *tm);

#endif
