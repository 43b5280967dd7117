/* SPDX-License-Identifier: MIT */
/* Reading undo/<L>/changes; hostile like every file of a store. */
#include <stdio.h>
#include <string.h>

#include "base/invariant.h"
#include "txfs/undo_changes.h"

#define CHANGES_SIZE_MAX (1u << 30)

void txfs_changes_release(struct txfs_changes *changes)
{
    txfs_steps_release(&changes->steps);
    tx_buf_release(&changes->storage);
}

static enum tx_status bad(tx_lsn lsn, const char *what, struct tx_error *err)
{
    return tx_error_set(err, TX_ECORRUPT, "undo/%016llx/changes: %s", (unsigned long long)lsn,
                        what);
}

static enum tx_status load(struct txfs *fs, tx_lsn lsn, struct tx_buf *data, struct tx_error *err)
{
    char path[TXFS_SLOT_PATH_SIZE];
    struct txio_stat stat;
    uint8_t *bytes;
    int dir;
    int fd;
    (void)snprintf(path, sizeof(path), "%016llx/changes", (unsigned long long)lsn); /* fits */
    TX_TRY(txfs_undo_dir(fs, &dir, err));
    TX_TRY(txio_open(fs->io, dir, path, TXIO_READ, 0, &fd, err));
    enum tx_status status = txio_stat_fd(fs->io, fd, &stat, err);
    if (status == TX_OK && (stat.size < TXFS_CHANGES_HEAD_SIZE || stat.size > CHANGES_SIZE_MAX)) {
        status = bad(lsn, "impossible size", err);
    }
    if (status == TX_OK) {
        status = tx_buf_extend(data, (size_t)stat.size, &bytes, err);
    }
    if (status == TX_OK) {
        status = txio_read_full(fs->io, fd, bytes, data->size, 0, err);
    }
    txfs_close_read(fs->io, fd);
    return status;
}

static enum tx_status verify(tx_lsn lsn, struct tx_buf *data, struct txfs_changes_disk *disk,
                             struct tx_error *err)
{
    TX_INVARIANT(tx_fields_size(txfs_changes_fields) == TXFS_CHANGES_HEAD_SIZE);
    if (!tx_fields_decode(txfs_changes_fields, disk, data->data) ||
        disk->magic != TXFS_CHANGES_MAGIC || disk->version != TXFS_CHANGES_VERSION ||
        disk->file_size != data->size || (lsn != TXFS_ANY_LSN && disk->lsn != lsn)) {
        return bad(lsn, "header damaged", err);
    }
    memset(data->data + TXFS_CHANGES_HEAD_SIZE - 8, 0, 8);
    if (tx_hash64(data->data, data->size, 0) != disk->seal) {
        return bad(lsn, "seal does not match", err);
    }
    uint64_t rest = disk->file_size - TXFS_CHANGES_HEAD_SIZE;
    uint64_t steps = (uint64_t)disk->step_count * TXFS_CHANGES_STEP_SIZE;
    if (disk->description_size > KTM_DESCRIPTION_MAX || disk->description_size > rest ||
        steps > rest - disk->description_size ||
        disk->entries_size != rest - disk->description_size - steps) {
        return bad(lsn, "parts do not add up", err);
    }
    return TX_OK;
}

static void take_info(const struct txfs_changes_disk *disk, const struct tx_buf *data,
                      struct txfs_changes *changes)
{
    const uint8_t *description = data->data + TXFS_CHANGES_HEAD_SIZE;
    changes->info = (struct ktm_commit_info){
        .lsn = disk->lsn,
        .next_lsn = disk->next_lsn,
        .id = {disk->epoch, disk->sequence},
        .snapshot_lsn = disk->snapshot_lsn,
        .time_ns = disk->time_ns,
        .entry_count = disk->entry_count,
        .entries = {data->data + data->size - disk->entries_size, (size_t)disk->entries_size},
    };
    memcpy(changes->info.description, description, disk->description_size);
    memcpy(changes->boot_id, disk->boot_id, sizeof(changes->boot_id));
}

/* Flags and inodes belong to the steps in the order in which they are written. */
static enum tx_status take_steps(const struct txfs_changes_disk *disk, struct txfs_changes *changes,
                                 struct tx_error *err)
{
    const uint8_t *at = changes->storage.data + TXFS_CHANGES_HEAD_SIZE + disk->description_size;
    struct ktm_cursor entries = changes->info.entries;
    struct ktm_change change;
    uint64_t count = 0;
    while (ktm_cursor_next(&entries, &change)) {
        count++;
    }
    TX_TRY(txfs_steps_load(changes->info.entries, &changes->steps, err));
    if (entries.left != 0 || count != disk->entry_count ||
        changes->steps.count != disk->step_count) {
        return bad(disk->lsn, "entries do not add up", err);
    }
    for (size_t i = 0; i < changes->steps.count; i++, at += TXFS_CHANGES_STEP_SIZE) {
        struct txfs_step *step = &changes->steps.items[i];
        if (tx_get32(at) != step->index) {
            return bad(disk->lsn, "steps do not belong to the entries", err);
        }
        step->flags = tx_get32(at + 4);
        step->built_ino = tx_get64(at + 8);
    }
    return TX_OK;
}

enum tx_status txfs_changes_decode(struct tx_buf *data, tx_lsn lsn, struct txfs_changes *changes,
                                   struct tx_error *err)
{
    TX_AUTO(txfs_changes) found = {.storage = *data};
    struct txfs_changes_disk disk;
    *data = (struct tx_buf)TX_BUF_INIT;
    TX_TRY(verify(lsn, &found.storage, &disk, err));
    take_info(&disk, &found.storage, &found);
    TX_TRY(take_steps(&disk, &found, err));
    *changes = found;
    found = (struct txfs_changes){.storage = TX_BUF_INIT};
    return TX_OK;
}

enum tx_status txfs_changes_read(struct txfs *fs, tx_lsn lsn, struct txfs_changes *changes,
                                 struct tx_error *err)
{
    TX_AUTO(tx_buf) data = TX_BUF_INIT;
    TX_TRY(load(fs, lsn, &data, err));
    return txfs_changes_decode(&data, lsn, changes, err);
}
