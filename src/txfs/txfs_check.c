/* SPDX-License-Identifier: MIT */
/* Verifying what undo/ keeps, and payloads that are staged, against their hashes. */
#include <stdio.h>
#include <string.h>

#include "base/mutant.h"
#include "txfs/publish_internal.h"

struct check_job {
    struct txfs *fs;
    txfs_fault_fn *fn;
    void *arg;
    uint64_t faults;
    struct txfs_mark mark;
};

static void found(void *arg, const char *file, uint64_t offset, const char *text)
{
    struct check_job *job = arg;
    job->faults++;
    if (job->fn != NULL) {
        job->fn(job->arg, file, offset, text);
    }
}

/* A damaged file is a finding, no failure of the check. */
static enum tx_status finding(struct check_job *job, const char *file, enum tx_status status,
                              const struct tx_error *why, struct tx_error *err)
{
    switch (status) {
    case TX_OK:
        return TX_OK;
    case TX_ECORRUPT:
    case TX_ENOTFOUND:
    case TX_EIO:
        found(job, file, 0, why->text);
        return TX_OK;
    default:
        if (err != NULL) {
            *err = *why;
        }
        return status;
    }
}

/* Has the commit a record? One that cannot be looked at has to be told, too. */
static enum tx_status has_changes(struct check_job *job, const char *file, bool *has,
                                  struct tx_error *err)
{
    struct txio_stat stat;
    struct tx_error why = {.status = TX_OK};
    enum tx_status status = txio_stat_path(job->fs->io, job->fs->store_dir, file, &stat, &why);
    *has = status == TX_OK;
    bool none = status == TX_ENOTFOUND || status == TX_ENOTDIR || /* a stranger's file */
                TX_MUTANT(119);
    return none ? TX_OK : finding(job, file, status, &why, err);
}

/* A commit that is not steady may be anything a crash leaves; recovery has yet to see it. One that
 * is no history any more may be half gone. */
static enum tx_status check_commit(struct check_job *job, tx_lsn lsn, struct tx_error *err)
{
    TX_AUTO(txfs_changes) changes = {.storage = TX_BUF_INIT};
    struct tx_error why = {.status = TX_OK};
    char file[TXFS_SLOT_PATH_SIZE];
    bool has;
    if (lsn >= job->mark.lsn || (lsn < job->mark.history_lsn && !TX_MUTANT(62))) {
        return TX_OK;
    }
    (void)snprintf(file, sizeof(file), "undo/%016llx/changes", (unsigned long long)lsn); /* fits */
    TX_TRY(has_changes(job, file, &has, err));
    if (!has) {
        return TX_OK;
    }
    enum tx_status status = txfs_changes_read(job->fs, lsn, &changes, &why);
    TX_TRY(finding(job, file, status, &why, err));
    (void)snprintf(file, sizeof(file), "undo/%016llx/sums", (unsigned long long)lsn); /* fits */
    status = txfs_sums_check(job->fs, lsn, found, job, &why);
    return finding(job, file, status, &why, err);
}

/* What is durable of the commits without files must be good; behind it a crash may leave a piece.
 */
static enum tx_status check_others(struct check_job *job, uint64_t durable, struct tx_error *err)
{
    TX_AUTO(tx_buf) data = TX_BUF_INIT;
    struct tx_error why = {.status = TX_OK};
    uint64_t end;
    enum tx_status status = txfs_others_load(job->fs, &data, &end, &why);
    if (status == TX_OK && end < durable) {
        found(job, "undo/others", end, "a record is damaged");
    }
    return finding(job, "undo/others", status, &why, err);
}

static enum tx_status check_undo(struct check_job *job, struct tx_error *err)
{
    TX_AUTO(tx_buf) list = TX_BUF_INIT;
    struct tx_error why = {.status = TX_OK};
    enum tx_status status = txfs_mark_read(job->fs, &job->mark, &why);
    if (status == TX_ECORRUPT) { /* then which commits are steady is not known: look at them all */
        job->mark = (struct txfs_mark){.lsn = UINT64_MAX};
    }
    TX_TRY(finding(job, "undo/steady", status, &why, err));
    TX_TRY(check_others(job, job->mark.others_size, err));
    TX_TRY(txfs_undo_list(job->fs, &list, err));
    const tx_lsn *lsns = (const tx_lsn *)(const void *)list.data;
    size_t count = list.size / sizeof(*lsns);
    for (size_t i = 0; i < count; i++) {
        TX_TRY(check_commit(job, lsns[i], err));
    }
    return TX_OK;
}

enum tx_status txfs_check(struct txfs *fs, txfs_fault_fn *fn, void *arg, uint64_t *faults,
                          struct tx_error *err)
{
    struct check_job job = {.fs = fs, .fn = fn, .arg = arg};
    TX_TRY(check_undo(&job, err));
    *faults = job.faults;
    return TX_OK;
}

static enum tx_status check_staged(struct check_job *job, const struct ktm_id *id,
                                   const struct txfs_entry *entry, struct tx_error *err)
{
    char path[TXFS_STAGED_PATH_SIZE];
    struct tx_error why = {.status = TX_OK};
    struct tx_hash128 hash = {{0}};
    struct txio_stat stat;
    if (entry->staged == 0) {
        return TX_OK;
    }
    txfs_staged_path(id, entry->staged, path);
    enum tx_status status = txio_stat_path(job->fs->io, job->fs->store_dir, path, &stat, &why);
    if (status == TX_OK && stat.size != entry->payload_size) {
        found(job, path, 0, "staged payload has another size");
        return TX_OK;
    }
    if (status == TX_OK) {
        status = txfs_hash_path(job->fs, job->fs->store_dir, path, stat.size, &hash, &why);
    }
    if (status == TX_OK && memcmp(&hash, &entry->hash, sizeof(hash)) != 0) {
        found(job, path, 0, "staged payload differs from its hash");
    }
    return finding(job, path, status, &why, err);
}

enum tx_status txfs_check_staged(struct txfs *fs, const struct ktm_commit_info *changes,
                                 txfs_fault_fn *fn, void *arg, uint64_t *faults,
                                 struct tx_error *err)
{
    struct check_job job = {.fs = fs, .fn = fn, .arg = arg};
    TX_AUTO(txfs_steps) steps = {NULL, 0};
    TX_TRY(txfs_steps_load(changes->entries, &steps, err)); /* earlier payloads may be gone */
    for (size_t i = 0; i < steps.count; i++) {
        TX_TRY(check_staged(&job, &changes->id, &steps.items[i].entry, err));
    }
    *faults = job.faults;
    return TX_OK;
}
