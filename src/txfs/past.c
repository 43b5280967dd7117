/* SPDX-License-Identifier: MIT */
/* The cache of newer commits of one view. */
#include <string.h>

#include "txfs/past.h"

static void free_step(void *value)
{
    struct txfs_past_step *step = value;
    if (step->saved != NULL) {
        txfs_saved_release(step->saved);
        tx_free(step->saved);
    }
    tx_free(step->path);
    tx_free(step->target);
    tx_free(step);
}

static void free_commit(struct txfs_past_commit *commit)
{
    tx_map_release(&commit->moved);
    tx_map_release(&commit->steps);
    tx_free(commit);
}

static void free_list(void *value)
{
    tx_buf_release(value);
    tx_free(value);
}

void txfs_past_free(struct txfs_past *past)
{
    if (past == NULL) {
        return;
    }
    tx_map_release(&past->amended);
    for (size_t i = 0; i < txfs_past_count(past); i++) {
        free_commit(txfs_past_at(past, i));
    }
    tx_buf_release(&past->commits);
    tx_free(past);
}

static enum tx_status no_memory(struct tx_error *err)
{
    return tx_error_set(err, TX_ENOMEM, "remember newer commits");
}

static enum tx_status note_amended(struct txfs_past *past, struct txfs_past_step *step,
                                   struct tx_error *err)
{
    uint64_t key = step->source.ino;
    struct tx_buf *list = tx_map_get(&past->amended, &key, sizeof(key));
    if (list == NULL) {
        list = tx_alloc_zero(sizeof(*list));
        if (list == NULL) {
            return no_memory(err);
        }
        enum tx_status status = tx_map_set(&past->amended, &key, sizeof(key), list, err);
        if (status != TX_OK) {
            tx_free(list);
            return status;
        }
    }
    return tx_buf_append(list, &step, sizeof(step), err);
}

static enum tx_status make_step(const struct txfs_step *from, tx_lsn lsn,
                                struct txfs_past_step **step, struct tx_error *err)
{
    const struct txfs_entry *entry = &from->entry;
    struct txfs_past_step *made = tx_alloc_zero(sizeof(*made));
    bool moved = entry->kind == TXFS_CHANGE_MOVED;
    if (made != NULL) {
        made->lsn = lsn;
        made->index = from->index;
        made->kind = entry->kind;
        made->amends = txfs_entry_amends(entry);
        made->in_place = entry->payload == TXFS_PAYLOAD_EXTENTS;
        made->mask = entry->mask;
        made->base = entry->base;
        made->source = entry->source;
        made->path = tx_text_copy(entry->path);
        made->target = moved ? tx_text_copy(entry->target) : NULL;
    }
    if (made == NULL || made->path == NULL || (moved && made->target == NULL)) {
        if (made != NULL) {
            free_step(made);
        }
        return no_memory(err);
    }
    *step = made;
    return TX_OK;
}

static enum tx_status add_step(struct txfs_past *past, struct txfs_past_commit *commit,
                               const struct txfs_step *from, struct tx_error *err)
{
    struct txfs_past_step *step = NULL;
    struct txfs_tree_key key;
    TX_TRY(make_step(from, commit->lsn, &step, err));
    txfs_tree_key_set(&key, step->path);
    enum tx_status status = tx_map_set(&commit->steps, key.bytes, key.size, step, err);
    if (status != TX_OK) {
        free_step(step);
        return status;
    }
    if (step->target != NULL) {
        txfs_tree_key_set(&key, step->target);
        TX_TRY(tx_map_set(&commit->moved, key.bytes, key.size, step, err));
    }
    return step->amends ? note_amended(past, step, err) : TX_OK;
}

static enum tx_status add_commit(void *arg, const struct ktm_commit_info *info,
                                 struct tx_error *err)
{
    struct txfs_past *past = arg;
    TX_AUTO(txfs_steps) steps = {NULL, 0};
    TX_TRY(txfs_steps_load(info->entries, &steps, err));
    if (steps.count == 0) {
        return TX_OK;
    }
    struct txfs_past_commit *commit = tx_alloc_zero(sizeof(*commit));
    if (commit == NULL) {
        return no_memory(err);
    }
    commit->lsn = info->lsn;
    commit->next_lsn = info->next_lsn;
    tx_map_init(&commit->steps, free_step);
    tx_map_init(&commit->moved, NULL);
    enum tx_status status = tx_buf_append(&past->commits, &commit, sizeof(commit), err);
    if (status != TX_OK) {
        free_commit(commit);
        return status;
    }
    for (size_t i = 0; i < steps.count; i++) {
        TX_TRY(add_step(past, commit, &steps.items[i], err));
    }
    return TX_OK;
}

enum tx_status txfs_past_load(struct txfs_view *view, struct tx_error *err)
{
    tx_lsn decided = ktm_decided(view->tm);
    struct txfs_past *past = view->past;
    if (past == NULL) {
        past = tx_alloc_zero(sizeof(*past));
        if (past == NULL) {
            return no_memory(err);
        }
        past->upto = view->snapshot;
        tx_map_init(&past->amended, free_list);
        view->past = past;
    }
    if (decided <= past->upto) {
        return TX_OK;
    }
    enum tx_status status = ktm_each_commit(view->tm, past->upto, decided, add_commit, past, err);
    if (status != TX_OK) { /* half of a commit is worse than none */
        txfs_past_free(past);
        view->past = NULL;
        return status;
    }
    past->upto = decided;
    return TX_OK;
}
