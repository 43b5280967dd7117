/* SPDX-License-Identifier: MIT */
/* The publisher of an open store: undo/, names in it, and what was touched since the last steady
 * point. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/invariant.h"
#include "txfs/publish_internal.h"

enum tx_status txfs_publisher_open(struct txfs *fs, struct tx_error *err)
{
    struct txfs_publisher *publisher = tx_alloc_zero(sizeof(*publisher));
    if (publisher == NULL) {
        return tx_error_set(err, TX_ENOMEM, "open the publisher");
    }
    publisher->undo_dir = -1;
    publisher->others.fd = -1;
    int result = fs->io->ops->user_id(fs->io, &publisher->uid, &publisher->gid);
    if (result == 0) {
        result = fs->io->ops->boot_id(fs->io, publisher->boot_id);
    }
    if (result < 0) {
        tx_free(publisher);
        return tx_error_os(err, -result, "ask the system for its identity");
    }
    fs->publisher = publisher;
    /* Others may have published before this process came. */
    txfs_touched_all(fs);
    return TX_OK;
}

void txfs_publisher_close(struct txfs *fs)
{
    struct txfs_publisher *publisher = fs->publisher;
    txfs_touched_clear(fs);
    txfs_close_read(fs->io, publisher->others.fd); /* steady syncs it by its name */
    txfs_close_read(fs->io, publisher->undo_dir);
    tx_free(publisher);
    fs->publisher = NULL;
}

enum tx_status txfs_undo_dir(struct txfs *fs, int *dir, struct tx_error *err)
{
    _Atomic int *shared = &fs->publisher->undo_dir;
    int there = atomic_load(shared);
    if (there < 0) {
        int opened;
        TX_TRY(txio_open(fs->io, fs->store_dir, "undo", TXIO_DIRECTORY, 0, &opened, err));
        /* Threads that read and the one that publishes may meet here: one opens for all. */
        if (atomic_compare_exchange_strong(shared, &there, opened)) {
            there = opened;
        } else {
            txfs_close_read(fs->io, opened);
        }
    }
    *dir = there;
    return TX_OK;
}

enum tx_status txfs_undo_make(struct txfs *fs, int *dir, struct tx_error *err)
{
    if (fs->publisher->undo_dir < 0) {
        int result = fs->io->ops->mkdir(fs->io, fs->store_dir, "undo", 0700);
        if (result < 0 && result != -EEXIST) {
            return tx_error_os(err, -result, "make undo/");
        }
    }
    return txfs_undo_dir(fs, dir, err);
}

void txfs_commit_name(tx_lsn lsn, char name[TXFS_COMMIT_NAME_SIZE])
{
    int size = snprintf(name, TXFS_COMMIT_NAME_SIZE, "%016llx", (unsigned long long)lsn);
    TX_INVARIANT(size == TXFS_COMMIT_NAME_SIZE - 1);
}

bool txfs_commit_name_parse(const char *name, tx_lsn *lsn)
{
    static const char digits[] = "0123456789abcdef";
    tx_lsn value = 0;
    if (strlen(name) != TXFS_COMMIT_NAME_SIZE - 1) {
        return false;
    }
    for (const char *at = name; *at != '\0'; at++) {
        const char *digit = strchr(digits, *at);
        if (digit == NULL) {
            return false;
        }
        value = value << 4 | (tx_lsn)(digit - digits);
    }
    *lsn = value;
    return true;
}

void txfs_slot_path(tx_lsn lsn, char prefix, uint32_t index, char path[TXFS_SLOT_PATH_SIZE])
{
    char before[2] = {prefix, '\0'};
    int size =
        snprintf(path, TXFS_SLOT_PATH_SIZE, "%016llx/%s%u", (unsigned long long)lsn, before, index);
    TX_INVARIANT(size > 0 && size < TXFS_SLOT_PATH_SIZE);
}

struct list_job {
    struct tx_buf *lsns;
    struct tx_error *err;
    enum tx_status status;
};

static int list_one(void *arg, const char *name, uint64_t ino, unsigned type)
{
    struct list_job *job = arg;
    tx_lsn lsn;
    (void)ino;
    (void)type;
    if (txfs_commit_name_parse(name, &lsn)) {
        job->status = tx_buf_append(job->lsns, &lsn, sizeof(lsn), job->err);
    }
    return job->status != TX_OK;
}

/* Sift down in a heap whose largest is first. */
static void sift(tx_lsn *lsns, size_t at, size_t count)
{
    for (size_t child; (child = 2 * at + 1) < count; at = child) {
        if (child + 1 < count && lsns[child + 1] > lsns[child]) {
            child++;
        }
        if (lsns[at] >= lsns[child]) {
            return;
        }
        tx_lsn kept = lsns[at];
        lsns[at] = lsns[child];
        lsns[child] = kept;
    }
}

static void sort_lsns(tx_lsn *lsns, size_t count)
{
    for (size_t i = count / 2; i-- > 0;) {
        sift(lsns, i, count);
    }
    for (size_t last = count; last-- > 1;) {
        tx_lsn largest = lsns[0];
        lsns[0] = lsns[last];
        lsns[last] = largest;
        sift(lsns, 0, last);
    }
}

enum tx_status txfs_undo_list(struct txfs *fs, struct tx_buf *lsns, struct tx_error *err)
{
    int dir;
    enum tx_status status = txfs_undo_dir(fs, &dir, err);
    if (status == TX_ENOTFOUND) {
        return TX_OK;
    }
    TX_TRY(status);
    struct list_job job = {lsns, err, TX_OK};
    int result = fs->io->ops->list(fs->io, dir, list_one, &job);
    TX_TRY(job.status);
    if (result < 0) {
        return tx_error_os(err, -result, "list undo/");
    }
    if (lsns->size > 0) {
        sort_lsns((tx_lsn *)(void *)lsns->data, lsns->size / sizeof(tx_lsn));
    }
    return TX_OK;
}

void txfs_touched_clear(struct txfs *fs)
{
    struct txfs_touched *touched = &fs->publisher->touched;
    for (size_t i = 0; i < touched->count; i++) {
        tx_free(touched->items[i].path);
    }
    *touched = (struct txfs_touched){.count = 0};
}

void txfs_touched_all(struct txfs *fs)
{
    txfs_touched_clear(fs);
    fs->publisher->touched.too_many = true;
}

static bool is_touched(const struct txfs_touched *touched, const char *path, uint64_t dir_ino)
{
    for (size_t i = 0; i < touched->count; i++) {
        const struct txfs_touch_mark *item = &touched->items[i];
        bool covered = dir_ino == 0 || item->dir_ino == dir_ino;
        if (covered && strcmp(item->path, path) == 0) {
            return true;
        }
    }
    return false;
}

void txfs_touched_add(struct txfs *fs, const char *path, int dir)
{
    struct txfs_touched *touched = &fs->publisher->touched;
    struct txio_stat is = {.ino = 0};
    if (touched->too_many || (dir >= 0 && fs->io->ops->fstat(fs->io, dir, &is) < 0)) {
        touched->too_many = true; /* then everything is synced, which needs no list */
        return;
    }
    if (is_touched(touched, path, is.ino)) {
        return;
    }
    char *copy = touched->count < TXFS_TOUCHED_MAX ? tx_text_copy(path) : NULL;
    if (copy == NULL) {
        touched->too_many = true;
        return;
    }
    touched->items[touched->count++] = (struct txfs_touch_mark){copy, is.ino};
}

void txfs_touched_commit(struct txfs *fs, const struct ktm_commit_info *commit)
{
    struct txfs_touched *touched = &fs->publisher->touched;
    if (touched->to == 0) {
        touched->from = commit->lsn;
    } else if (touched->to != commit->lsn) {
        touched->too_many = true; /* somebody else published, or other records lie between */
    }
    touched->to = commit->next_lsn;
}
