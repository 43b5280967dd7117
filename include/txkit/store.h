/* SPDX-License-Identifier: MIT */
/*
 * A store: one root directory with its `.txkit` beside the files, holding log, registry and the
 * private state of transactions. This is where a program begins:
 *
 *     txstore_init(root, ...)            once
 *     txstore_open(root, ...) -> txstore_begin -> txfs_*, txreg_* -> ktm_commit -> txstore_close
 *
 * Several processes and threads may have one store open at the same time; there is no daemon. The
 * first one to open it recovers what a crash left; the last one to close it checkpoints.
 */
#ifndef TXKIT_STORE_H
#define TXKIT_STORE_H

#include <txkit/fs.h>
#include <txkit/reg.h>

#define TXSTORE_NAME ".txkit"
#define TXSTORE_PROCESSES_MAX 128 /* that have one store open at once */

struct txstore;

/* Kept in .txkit/settings; 0 or -1 where a field says so means the default. */
struct txstore_settings {
    uint64_t log_segment_size; /* bytes; 0: TXLOG_SEGMENT_SIZE_DEFAULT */
    uint64_t log_size_max;     /* bytes; 0: no limit */
    uint64_t inline_max;       /* bytes of content per file inside the log; 0: default */
    int64_t history_count_max; /* committed transactions kept for revert; -1: 16 */
    uint64_t history_size_max; /* bytes; 0: no limit */
    uint32_t conflict_entries; /* of the shared conflict table; 0: 65536 */
};
#define TXSTORE_SETTINGS_DEFAULT {0, 0, 0, -1, 0, 0}

enum txstore_mode {
    TXSTORE_READWRITE,
    /* Reads the last committed state. Opens a store that was closed properly as it lies, without a
     * write or a flush; recovers any other one first. */
    TXSTORE_READONLY,
    TXSTORE_SALVAGE,  /* of a store that is refused: reads what is whole, changes nothing */
};

struct txstore_options {
    struct txio *io;          /* NULL: the operating system */
    const char *store_path;   /* NULL: ROOT/.txkit */
    enum txstore_mode mode;
    uint32_t lock_timeout_ms; /* waiting for another's recovery; 0: for ever. TX_EBUSY */
    bool no_checkpoint_on_close;
};

/*
 * Make a store for the directory `root`. Built under a temporary name and renamed: a crash leaves
 * a store or none. `store_path` NULL: ROOT/.txkit. `settings` NULL: defaults. `io` NULL: the
 * system.
 * Errors: TX_EEXIST.
 */
TX_API enum tx_status txstore_init(struct txio *io, const char *root, const char *store_path,
                                   const struct txstore_settings *settings,
                                   struct tx_error *err) TX_CHECKED;

/* Open the store of `root`. `options` may be NULL. Errors: TX_ENOTFOUND (no store), TX_ECORRUPT
 * (with segment and offset; try TXSTORE_SALVAGE), TX_EBUSY, TX_EPERM (owned by another user, or
 * writable for others), TX_EVERSION. */
TX_API enum tx_status txstore_open(const char *root, const struct txstore_options *options,
                                   struct txstore **store, struct tx_error *err) TX_CHECKED;
/* Close; the last one checkpoints. A failure there loses nothing that was committed. Attached
 * transactions are rolled back. */
TX_API enum tx_status txstore_close(struct txstore *store, struct tx_error *err) TX_CHECKED;

/* Find the nearest directory at or above `from` that has a store. */
TX_API enum tx_status txstore_find(struct txio *io, const char *from, char *root, size_t root_size,
                                   struct tx_error *err) TX_CHECKED;

/* The same as ktm_begin on the store's manager. */
TX_API enum tx_status txstore_begin(struct txstore *store, const struct ktm_begin_options *options,
                                    struct ktm_txn **txn, struct tx_error *err) TX_CHECKED;

TX_API struct ktm *txstore_ktm(struct txstore *store);
TX_API struct txlog *txstore_log(struct txstore *store);
TX_API struct txfs *txstore_fs(struct txstore *store);
TX_API struct txreg *txstore_reg(struct txstore *store);
TX_API const char *txstore_root(const struct txstore *store);

TX_API enum tx_status txstore_checkpoint(struct txstore *store, struct tx_error *err) TX_CHECKED;

/* What opening had to do. */
struct txstore_recovery {
    bool performed; /* false: others were alive, or the store was clean */
    struct ktm_recovery ktm;
    uint64_t foreign_kept; /* changes by other programs that met recovery and were kept */
};
TX_API void txstore_get_recovery(const struct txstore *store, struct txstore_recovery *recovery);

TX_API void txstore_get_settings(const struct txstore *store, struct txstore_settings *settings);
/* Change settings durably; they hold from the next open on. */
TX_API enum tx_status txstore_set_settings(struct txstore *store,
                                           const struct txstore_settings *settings,
                                           struct tx_error *err) TX_CHECKED;

/* Deliver the commits kept in the history, oldest first. */
TX_API enum tx_status txstore_history(struct txstore *store, ktm_commit_fn *fn, void *arg,
                                      struct tx_error *err) TX_CHECKED;
/* Undo commit `lsn` by a new transaction (files and registry). Errors: TX_ENOTFOUND, TX_ECONFLICT
 * with the object that changed since. *new_lsn may be NULL. */
TX_API enum tx_status txstore_revert(struct txstore *store, tx_lsn lsn, tx_lsn *new_lsn,
                                     struct tx_error *err) TX_CHECKED;

/* Read every durable byte of the store of `root` and report each fault; changes nothing, works on
 * a store that cannot be opened. */
typedef void txstore_fault_fn(void *arg, const char *file, uint64_t offset, const char *text);
TX_API enum tx_status txstore_check(struct txio *io, const char *root, const char *store_path,
                                    txstore_fault_fn *fn, void *arg, uint64_t *faults,
                                    struct tx_error *err) TX_CHECKED;

#endif
