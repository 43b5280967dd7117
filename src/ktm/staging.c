/* SPDX-License-Identifier: MIT */
/* The private directory tx/<id>/ of a transaction: staged payloads, and `changes` when detached. */
#include <dirent.h>
#include <errno.h>

#include "base/mutant.h"
#include "ktm/ktm_internal.h"

enum tx_status ktm_txn_staging(struct ktm_txn *txn, int *dir, struct tx_error *err)
{
    struct ktm *tm = txn->tm;
    TX_TRY(ktm_txn_enter(txn, err));
    if (txn->staging_dir >= 0) {
        *dir = txn->staging_dir;
        return TX_OK;
    }
    if (tm->read_only) {
        return tx_error_set(err, TX_EREADONLY, "store is open read-only");
    }
    char name[KTM_ID_TEXT_SIZE];
    ktm_id_format(&txn->id, name);
    TX_TRY(ktm_need_tx_dir(tm, err));
    if (!txn->hold.taken) {
        /* Before the directory is there: a sweep takes directories that nobody holds. */
        TX_TRY(ktm_hold_take(tm, &txn->id, &txn->hold, err));
    }
    enum tx_status status = txio_mkdir(tm->io, tm->tx_dir, name, 0700, err);
    if (status != TX_OK && status != TX_EEXIST) {
        return status;
    }
    int fd;
    TX_TRY(txio_open(tm->io, tm->tx_dir, name, TXIO_READ | TXIO_DIRECTORY, 0, &fd, err));
    txn->staging_dir = fd;
    *dir = fd;
    return TX_OK;
}

enum tx_status ktm_staging_name_sync(struct ktm_txn *txn, struct tx_error *err)
{
    if (txn->staging_dir < 0 || txn->staging_named) {
        return TX_OK;
    }
    /* Crash here: an unnamed or empty directory and no record that needs it. */
    TX_TRY(txio_sync(txn->tm->io, txn->tm->tx_dir, "directory \"tx\"", err));
    txn->staging_named = true;
    return TX_OK;
}

struct sync_files {
    struct ktm_txn *txn;
    struct tx_error *err;
    enum tx_status status;
};

static int sync_file(void *arg, const char *name, uint64_t ino, unsigned type)
{
    struct sync_files *sync = arg;
    struct txio *io = sync->txn->tm->io;
    (void)ino;
    if (type == DT_DIR || type == DT_LNK) {
        return 0;
    }
    int fd;
    sync->status =
        txio_open(io, sync->txn->staging_dir, name, TXIO_READ, 0, &fd, sync->err);
    if (sync->status == TX_OK) {
        /* Crash here: the transaction is as it was last saved; newer staged files are of nobody. */
        sync->status = txio_datasync(io, fd, name, sync->err);
        (void)io->ops->close(io, fd); /* what could be lost has just been synced */
    }
    return sync->status == TX_OK ? 0 : 1;
}

enum tx_status ktm_staging_sync_files(struct ktm_txn *txn, struct tx_error *err)
{
    struct sync_files sync = {txn, err, TX_OK};
    struct txio *io = txn->tm->io;
    int result = io->ops->list(io, txn->staging_dir, sync_file, &sync);
    if (result < 0) {
        return tx_error_os(err, -result, "list staged files");
    }
    if (sync.status != TX_OK) {
        return sync.status;
    }
    return txio_sync(io, txn->staging_dir, "staging directory", err);
}

enum tx_status ktm_staging_retire(struct ktm *tm, const struct ktm_id *id, struct tx_error *err)
{
    struct txio *io = tm->io;
    char path[KTM_STAGING_PATH_SIZE];
    if (TX_MUTANT(14)) { /* PostgreSQL db59108: it is in its file and in the log */
        return TX_OK;
    }
    ktm_staging_path(id, path);
    int dir;
    enum tx_status status =
        txio_open(io, tm->store_dir, path, TXIO_READ | TXIO_DIRECTORY, 0, &dir, NULL);
    if (status == TX_ENOTFOUND) {
        return TX_OK;
    }
    if (status == TX_OK) {
        /* Crash here: detached still, or gone. When its commit is in the log, publishing that comes
         * here again; when it is being rolled back, whoever asked for it asks again. */
        status = txio_unlink(io, dir, KTM_CHANGES_NAME, NULL);
        if (status == TX_OK || status == TX_ENOTFOUND) {
            status = txio_sync(io, dir, "staging directory", err);
        }
        (void)io->ops->close(io, dir); /* read only */
    }
    return status == TX_OK ? TX_OK : tx_error_set(err, status, "remove %s/changes", path);
}

enum tx_status ktm_staging_remove(struct ktm *tm, const struct ktm_id *id, struct tx_error *err)
{
    char name[KTM_ID_TEXT_SIZE];
    ktm_id_format(id, name);
    TX_TRY(ktm_need_tx_dir(tm, err));
    TX_TRY(ktm_staging_retire(tm, id, err));
    /* Crash here: some payloads of a transaction that is over; the next sweep removes them. */
    return txio_remove_tree(tm->io, tm->tx_dir, name, err);
}
