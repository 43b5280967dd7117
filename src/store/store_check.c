/* SPDX-License-Identifier: MIT */
/*
 * Reading every durable byte of a store. Works on a store that cannot be opened, so it uses no
 * part of opening but the directories; while it reads, the locks of the living hold them still.
 */
#include "store/store_internal.h"

struct check_job {
    txstore_fault_fn *fn;
    void *arg;
    uint64_t faults;
};

static void check_report(struct check_job *job, const char *file, uint64_t offset, const char *text)
{
    job->faults++;
    if (job->fn) {
        job->fn(job->arg, file, offset, text);
    }
}

static void check_log_fault(void *arg, const struct txlog_fault *fault)
{
    check_report(arg, fault->file, fault->offset, fault->text);
}

static void check_fault(void *arg, const char *file, uint64_t offset, const char *text)
{
    check_report(arg, file, offset, text);
}

static void check_settings(struct txstore *store, struct check_job *job)
{
    struct tx_error why;
    if (txstore_settings_load(store->io, store->dir, &store->settings, &why) != TX_OK) {
        check_report(job, "settings", 0, why.text);
        store->settings = (struct txstore_settings)TXSTORE_SETTINGS_DEFAULT;
        store->settings.history_count_max = 0;
    }
}

struct check_waiting {
    struct txstore *store;
    struct check_job *job;
};

/* A detached or prepared transaction: its change set, and the payloads that it staged. */
static enum tx_status check_transaction(void *arg, const struct ktm_txn_info *info,
                                        struct tx_error *err)
{
    struct check_waiting *waiting = arg;
    TX_AUTO(tx_buf) storage = TX_BUF_INIT;
    struct ktm_commit_info changes;
    struct tx_error why;
    uint64_t ignored = 0; /* the callback counts */
    enum tx_status status =
        ktm_load_entries(waiting->store->tm, &info->id, &changes, &storage, &why);
    if (status != TX_OK) {
        char path[KTM_STAGING_PATH_SIZE];
        ktm_staging_path(&info->id, path);
        check_report(waiting->job, path, 0, why.text);
        return TX_OK;
    }
    return txfs_check_staged(waiting->store->fs, &changes, check_fault, waiting->job, &ignored,
                             err);
}

/* What log and RMs say of each other, and the transactions that wait. Needs a log that can be read;
 * what keeps it from being read has been reported before. */
static enum tx_status check_transactions(struct txstore *store, struct check_job *job,
                                         struct tx_error *err)
{
    struct check_waiting waiting = {store, job};
    struct tx_error why;
    if (txstore_open_salvage(store, &why) != TX_OK) {
        check_report(job, "store", 0, why.text);
        return TX_OK;
    }
    enum tx_status status = job->faults == 0 ? ktm_check(store->tm, &why) : TX_OK;
    if (status == TX_OK) {
        status = ktm_list(store->tm, check_transaction, &waiting, &why);
    }
    if (status == TX_ECORRUPT || status == TX_EVERSION) {
        check_report(job, "log", 0, why.text);
        return TX_OK;
    }
    return status == TX_OK ? TX_OK : tx_error_set(err, status, "%s", why.text);
}

static enum tx_status check_all(struct txstore *store, struct check_job *job, struct tx_error *err)
{
    uint64_t ignored = 0; /* the callbacks count */
    check_settings(store, job);
    TX_TRY(txlog_verify(store->io, store->dir, check_log_fault, job, &ignored, err));
    TX_TRY(txreg_check(store->io, store->dir, check_fault, job, &ignored, err));
    TX_TRY(txstore_wire_files(store, err));
    TX_TRY(txfs_check(store->fs, check_fault, job, &ignored, err));
    txstore_unwire(store);
    return check_transactions(store, job, err);
}

/* The bytes whose holders change files; held shared, nobody can. In lock order. */
static const uint64_t check_lock_bytes[] = {TXIO_LOCK_OPEN, TXIO_LOCK_CHECKPOINT,
                                            TXIO_LOCK_PUBLISH, TXIO_LOCK_APPEND};

static enum tx_status check_locks(struct txstore *store, struct tx_error *err)
{
    TX_TRY(txio_open(store->io, store->dir, "control", TXIO_READ, 0, &store->recovery_fd, err));
    for (size_t i = 0; i < sizeof check_lock_bytes / sizeof *check_lock_bytes; i++) {
        int result = store->io->ops->lock(store->io, store->recovery_fd, check_lock_bytes[i],
                                          TXIO_SHARED, true);
        if (result < 0) {
            return tx_error_os(err, -result, "lock the store");
        }
    }
    return TX_OK;
}

enum tx_status txstore_check(struct txio *io, const char *root, const char *store_path,
                             txstore_fault_fn *fn, void *arg, uint64_t *faults,
                             struct tx_error *err)
{
    struct check_job job = {fn, arg, 0};
    struct txstore_options options = {.io = io, .mode = TXSTORE_SALVAGE};
    TX_AUTO_PTR(txstore) store = NULL;
    TX_TRY(txstore_new(&options, &store, err));
    TX_TRY(txstore_locate(store, root, store_path, err));
    enum tx_status status = check_locks(store, err);
    if (status == TX_ENOTFOUND) {
        check_report(&job, "control", 0, "missing");
    } else if (status == TX_OK) {
        status = check_all(store, &job, err);
    }
    if (status != TX_OK && status != TX_ENOTFOUND) {
        tx_error_prefix(err, "check store \"%s\"", store->path);
        return status;
    }
    *faults = job.faults;
    return TX_OK;
}
