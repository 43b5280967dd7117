/* SPDX-License-Identifier: MIT */
/*
 * Descriptors of segments, a few kept open per handle. What this process has written and not yet
 * forced stays open: a descriptor opened later could miss the error of an earlier write-back.
 */
#include "txlog/txlog_internal.h"

static enum tx_status segment_open(struct txlog *log, uint64_t seq, int *fd, struct tx_error *err)
{
    char name[LOG_NAME_SIZE];
    segment_name(seq, name);
    unsigned flags = log->mode == TXLOG_READWRITE ? TXIO_WRITE : TXIO_READ;
    return txio_open(log->io, log->log_dir, name, flags, 0, fd, err);
}

static void close_fd(struct txlog *log, int fd)
{
    /* What was written through it has been synced, or its loss is reported by other means. */
    (void)log->io->ops->close(log->io, fd);
}

/* Number of the first segment that may hold something not yet durable. */
static uint64_t first_undurable(struct txlog *log)
{
    struct segment_ref ref;
    uint64_t index;
    tx_lsn durable = atomic_load_explicit(&log->shared->durable_lsn, memory_order_acquire);
    return table_find(log->shared, durable, &ref, &index) ? ref.seq : 0;
}

/* Under files_mutex: a slot for a new descriptor, or -1. */
static int choose_slot(struct txlog *log)
{
    int chosen = -1;
    uint64_t keep = UINT64_MAX;
    for (int i = 0; i < (int)LOG_FILES_MAX; i++) {
        struct segment_file *file = &log->files[i];
        if (file->fd < 0) {
            return i;
        }
        if (file->users > 0) {
            continue;
        }
        keep = keep == UINT64_MAX ? first_undurable(log) : keep;
        if (file->seq < keep && (chosen < 0 || file->used < log->files[chosen].used)) {
            chosen = i;
        }
    }
    if (chosen >= 0) {
        close_fd(log, log->files[chosen].fd);
        log->files[chosen].fd = -1;
    }
    return chosen;
}

static bool take_cached(struct txlog *log, uint64_t seq, struct segment_handle *handle)
{
    for (int i = 0; i < (int)LOG_FILES_MAX; i++) {
        struct segment_file *file = &log->files[i];
        if (file->fd >= 0 && file->seq == seq) {
            file->users++;
            file->used = ++log->files_clock;
            *handle = (struct segment_handle){log, file->fd, i};
            return true;
        }
    }
    return false;
}

static void forget_locked(struct txlog *log, uint64_t below_seq)
{
    for (int i = 0; i < (int)LOG_FILES_MAX; i++) {
        struct segment_file *file = &log->files[i];
        if (file->fd >= 0 && file->users == 0 && file->seq < below_seq) {
            close_fd(log, file->fd);
            file->fd = -1;
        }
    }
}

static enum tx_status acquire_locked(struct txlog *log, uint64_t seq,
                                     struct segment_handle *handle, struct tx_error *err)
{
    int fd;
    if (take_cached(log, seq, handle)) {
        return TX_OK;
    }
    TX_TRY(segment_open(log, seq, &fd, err));
    /* Others trim too: do not hold the space of what they removed for ever. */
    struct segment_ref head;
    if (table_get(log->shared, atomic_load(&log->shared->head), &head)) {
        forget_locked(log, head.seq);
    }
    int slot = choose_slot(log);
    if (slot >= 0) {
        log->files[slot] = (struct segment_file){seq, fd, 1, ++log->files_clock};
    }
    *handle = (struct segment_handle){log, fd, slot};
    return TX_OK;
}

enum tx_status segment_acquire(struct txlog *log, uint64_t seq, struct segment_handle *handle,
                               struct tx_error *err)
{
    txio_mutex_lock(log->io, &log->files_mutex);
    enum tx_status status = acquire_locked(log, seq, handle, err);
    txio_mutex_unlock(log->io, &log->files_mutex);
    return status;
}

void segment_handle_auto(struct segment_handle *handle)
{
    struct txlog *log = handle->log;
    if (handle->fd < 0) {
        return;
    }
    if (handle->slot < 0) {
        close_fd(log, handle->fd);
    } else {
        txio_mutex_lock(log->io, &log->files_mutex);
        TX_INVARIANT(log->files[handle->slot].users > 0);
        log->files[handle->slot].users--;
        txio_mutex_unlock(log->io, &log->files_mutex);
    }
    handle->fd = -1;
}

void segment_files_forget(struct txlog *log, uint64_t below_seq)
{
    txio_mutex_lock(log->io, &log->files_mutex);
    forget_locked(log, below_seq);
    txio_mutex_unlock(log->io, &log->files_mutex);
}

void segment_files_close(struct txlog *log)
{
    for (int i = 0; i < (int)LOG_FILES_MAX; i++) {
        if (log->files[i].fd >= 0) {
            close_fd(log, log->files[i].fd);
            log->files[i].fd = -1;
        }
    }
}
