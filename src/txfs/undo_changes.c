/* SPDX-License-Identifier: MIT */
/*
 * undo/<L>/changes: what commit L said, with hashes in the place of contents, and which objects
 * were built for it. Written when all of them are built and before the first name is changed, so
 * that to a publisher that takes over from a killed one it says: what is not in its slot any more
 * has got its place.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "txfs/undo_changes.h"

static enum tx_status put_header(struct tx_buf *out, const struct ktm_change *change, size_t size,
                                 struct tx_error *err)
{
    TX_TRY(tx_buf_put8(out, change->rm, err));
    TX_TRY(tx_buf_put8(out, change->op, err));
    TX_TRY(tx_buf_put16(out, change->flags, err));
    return tx_buf_put32(out, (uint32_t)size, err);
}

static enum tx_status put_files_entry(struct tx_buf *out, const struct ktm_change *change,
                                      struct tx_buf *body, struct tx_error *err)
{
    struct txfs_entry entry;
    TX_TRY(txfs_entry_decode(change, &entry, err));
    tx_buf_clear(body);
    if (entry.payload != TXFS_PAYLOAD_NONE) {
        entry.payload = TXFS_PAYLOAD_HASH;
        entry.staged = 0;
        entry.content = NULL;
        entry.content_size = 0;
    }
    TX_TRY(txfs_entry_encode(&entry, body, err));
    TX_TRY(put_header(out, change, body->size, err));
    return tx_buf_append(out, body->data, body->size, err);
}

static enum tx_status put_entries(struct tx_buf *out, struct ktm_cursor entries,
                                  struct tx_error *err)
{
    TX_AUTO(tx_buf) body = TX_BUF_INIT;
    struct ktm_change change;
    while (ktm_cursor_next(&entries, &change)) {
        if (change.rm == TXFS_RM) {
            TX_TRY(put_files_entry(out, &change, &body, err));
            continue;
        }
        TX_TRY(put_header(out, &change, change.body_size, err));
        TX_TRY(tx_buf_append(out, change.body, change.body_size, err));
    }
    return TX_OK;
}

static enum tx_status put_steps(struct tx_buf *out, const struct txfs_steps *steps,
                                struct tx_error *err)
{
    for (size_t i = 0; i < steps->count; i++) {
        TX_TRY(tx_buf_put32(out, steps->items[i].index, err));
        TX_TRY(tx_buf_put32(out, steps->items[i].flags, err));
        TX_TRY(tx_buf_put64(out, steps->items[i].built_ino, err));
    }
    return TX_OK;
}

static void seal(struct tx_buf *out, struct txfs_changes_disk *disk)
{
    disk->seal = 0;
    tx_fields_encode(txfs_changes_fields, disk, out->data);
    disk->seal = tx_hash64(out->data, out->size, 0);
    tx_fields_encode(txfs_changes_fields, disk, out->data);
}

enum tx_status txfs_changes_encode(struct txfs *fs, const struct ktm_commit_info *commit,
                                   const struct txfs_steps *steps, struct tx_buf *out,
                                   struct tx_error *err)
{
    struct txfs_changes_disk disk = {
        .magic = TXFS_CHANGES_MAGIC,
        .version = TXFS_CHANGES_VERSION,
        .description_size = (uint32_t)strlen(commit->description),
        .lsn = commit->lsn,
        .next_lsn = commit->next_lsn,
        .epoch = commit->id.epoch,
        .sequence = commit->id.sequence,
        .snapshot_lsn = commit->snapshot_lsn,
        .time_ns = commit->time_ns,
        .entry_count = commit->entry_count,
        .step_count = (uint32_t)steps->count,
    };
    uint8_t *head;
    memcpy(disk.boot_id, fs->publisher->boot_id, sizeof(disk.boot_id));
    TX_TRY(tx_buf_extend(out, TXFS_CHANGES_HEAD_SIZE, &head, err));
    TX_TRY(tx_buf_append(out, commit->description, disk.description_size, err));
    TX_TRY(put_steps(out, steps, err));
    size_t before = out->size;
    TX_TRY(put_entries(out, commit->entries, err));
    disk.entries_size = out->size - before;
    disk.file_size = out->size;
    seal(out, &disk);
    return TX_OK;
}

static enum tx_status write_whole(struct txfs *fs, int dir, const char *path, unsigned flags,
                                  const struct tx_buf *data, struct tx_error *err)
{
    struct iovec part = {data->data, data->size};
    int fd;
    TX_TRY(txio_open(fs->io, dir, path, TXIO_WRITE | TXIO_CREATE | flags, 0600, &fd, err));
    enum tx_status status = txio_write_full(fs->io, fd, &part, 1, 0, err);
    return txfs_close_written(fs->io, fd, status, err);
}

enum tx_status txfs_changes_write(struct txfs *fs, const struct ktm_commit_info *commit,
                                  const struct txfs_steps *steps, struct tx_error *err)
{
    TX_AUTO(tx_buf) data = TX_BUF_INIT;
    char name[TXFS_COMMIT_NAME_SIZE];
    char path[TXFS_SLOT_PATH_SIZE];
    char draft[TXFS_SLOT_PATH_SIZE];
    int dir;
    TX_TRY(txfs_undo_dir(fs, &dir, err));
    TX_TRY(txfs_changes_encode(fs, commit, steps, &data, err));
    txfs_commit_name(commit->lsn, name);
    (void)snprintf(path, sizeof(path), "%s/changes", name); /* these two fit */
    (void)snprintf(draft, sizeof(draft), "%s/changes.new", name);
    enum tx_status status = write_whole(fs, dir, path, TXIO_EXCLUSIVE, &data, err);
    /* Crash here: a file whose seal does not match, which counts as none. */
    if (status == TX_EEXIST) {
        TX_TRY(write_whole(fs, dir, draft, TXIO_TRUNCATE, &data, err));
        /* Crash here: the old file, or one without a good seal; recovery writes it again. */
        status = txio_rename(fs->io, dir, draft, dir, path, TXIO_REPLACE, err);
    }
    return status;
}
