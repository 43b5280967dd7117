/* SPDX-License-Identifier: MIT */
/* The commits that undo/ still knows: those with files from their directories, the others from one
 * file, merged by LSN. The newest that the settings want are delivered, oldest first. */
#include <string.h>

#include "txfs/undo_changes.h"

/* Where a commit is written. */
struct history_item {
    tx_lsn lsn;
    bool other;
    uint64_t at; /* in undo/others */
    uint64_t size;
};

struct history {
    struct txfs *fs;
    struct txfs_mark mark;
    struct tx_buf others; /* undo/others, read */
    struct tx_buf lsns;   /* directories */
    struct tx_buf items;  /* struct history_item, by LSN */
};

static void history_auto(struct history *history)
{
    tx_buf_release(&history->others);
    tx_buf_release(&history->lsns);
    tx_buf_release(&history->items);
}

static enum tx_status merge(struct history *history, uint64_t end, struct tx_error *err)
{
    const tx_lsn *lsns = (const tx_lsn *)(const void *)history->lsns.data;
    size_t count = history->lsns.size / sizeof(*lsns);
    size_t next = 0;
    while (next < count && lsns[next] < history->mark.history_lsn) {
        next++;
    }
    struct history_item other = {.other = true};
    while (next < count || other.at < end) {
        struct history_item item = {.lsn = next < count ? lsns[next] : UINT64_MAX};
        bool more = txfs_others_next(&history->others, other.at, &other.lsn, &other.size);
        if (more && other.lsn <= item.lsn) {
            item = other;
            other.at += other.size;
        } else {
            next++;
        }
        TX_TRY(tx_buf_append(&history->items, &item, sizeof(item), err));
    }
    return TX_OK;
}

static enum tx_status read_item(const struct history *history, const struct history_item *item,
                                struct txfs_changes *changes, struct tx_error *err)
{
    TX_AUTO(tx_buf) data = TX_BUF_INIT;
    if (!item->other) {
        return txfs_changes_read(history->fs, item->lsn, changes, err);
    }
    TX_TRY(tx_buf_append(&data, history->others.data + item->at, (size_t)item->size, err));
    return txfs_changes_decode(&data, item->lsn, changes, err);
}

/* *known false: trimmed but for what was kept, or just being written. */
static enum tx_status read_known(const struct history *history, const struct history_item *item,
                                 struct txfs_changes *changes, bool *known, struct tx_error *err)
{
    enum tx_status status = read_item(history, item, changes, err);
    *known = status == TX_OK;
    bool unknown =
        status == TX_ENOTFOUND || (status == TX_ECORRUPT && item->lsn >= history->mark.lsn);
    return unknown ? TX_OK : status;
}

/* Index of the oldest item to deliver. */
static enum tx_status find_first(const struct history *history, size_t *first, struct tx_error *err)
{
    const struct history_item *items = (const void *)history->items.data;
    uint64_t wanted = history->fs->history_count_max;
    size_t at = history->items.size / sizeof(*items);
    while (at > 0 && wanted > 0) {
        TX_AUTO(txfs_changes) changes = {.storage = TX_BUF_INIT};
        bool known;
        TX_TRY(read_known(history, &items[--at], &changes, &known, err));
        wanted -= known;
    }
    *first = at;
    return TX_OK;
}

static enum tx_status load(struct history *history, struct tx_error *err)
{
    uint64_t end;
    TX_TRY(txfs_mark_read(history->fs, &history->mark, err));
    TX_TRY(txfs_others_load(history->fs, &history->others, &end, err));
    TX_TRY(txfs_undo_list(history->fs, &history->lsns, err));
    return merge(history, end, err);
}

enum tx_status txfs_history(struct txfs *fs, ktm_commit_fn *fn, void *arg, struct tx_error *err)
{
    TX_AUTO(history) history = {.fs = fs};
    size_t first;
    TX_TRY(load(&history, err));
    TX_TRY(find_first(&history, &first, err));
    const struct history_item *items = (const void *)history.items.data;
    for (size_t i = first; i < history.items.size / sizeof(*items); i++) {
        TX_AUTO(txfs_changes) changes = {.storage = TX_BUF_INIT};
        bool known;
        TX_TRY(read_known(&history, &items[i], &changes, &known, err));
        if (known) {
            TX_TRY(fn(arg, &changes.info, err));
        }
    }
    return TX_OK;
}
