/* SPDX-License-Identifier: MIT */
/* Names in a directory that newer commits made, took away or replaced. */
#include <string.h>

#include "txfs/past.h"

struct names_job {
    struct tx_map *told;
    struct txfs_tree_key key; /* of the directory */
    txfs_superseded_fn *fn;
    void *arg;
};

/* The first commit that touched a name knows what it was at the snapshot. */
static enum tx_status tell(struct names_job *job, const char *path, bool existed,
                           struct tx_error *err)
{
    const char *name = txfs_path_name(path);
    static char told;
    if (tx_map_get(job->told, name, strlen(name)) != NULL) {
        return TX_OK;
    }
    TX_TRY(tx_map_set(job->told, name, strlen(name), &told, err));
    return job->fn(job->arg, name, existed, err);
}

static bool is_directly_below(const struct txfs_tree_key *key, const struct tx_map_entry *at)
{
    size_t start = key->size > 0 ? key->size + 1 : 0;
    const uint8_t *bytes = at->key;
    return memchr(bytes + start, 0, at->key_size - start) == NULL;
}

static bool first_below(const struct tx_map *map, const struct txfs_tree_key *key,
                        struct tx_map_entry *at)
{
    return key->size > 0 ? txfs_tree_below(map, key, at) : tx_map_at_or_after(map, NULL, 0, at);
}

static bool is_below(const struct txfs_tree_key *key, const struct tx_map_entry *at)
{
    const uint8_t *bytes = at->key;
    return key->size == 0 || (at->key_size > key->size + 1 && bytes[key->size] == 0 &&
                              memcmp(bytes, key->bytes, key->size) == 0);
}

static enum tx_status tell_moved(struct names_job *job, const struct txfs_past_commit *commit,
                                 struct tx_error *err)
{
    struct tx_map_entry at;
    for (bool more = first_below(&commit->moved, &job->key, &at); more && is_below(&job->key, &at);
         more = tx_map_after(&commit->moved, at.key, at.key_size, &at)) {
        const struct txfs_past_step *step = at.value;
        if (is_directly_below(&job->key, &at)) {
            TX_TRY(tell(job, step->target, true, err));
        }
    }
    return TX_OK;
}

static enum tx_status tell_steps(struct names_job *job, const struct txfs_past_commit *commit,
                                 struct tx_error *err)
{
    struct tx_map_entry at;
    for (bool more = first_below(&commit->steps, &job->key, &at); more && is_below(&job->key, &at);
         more = tx_map_after(&commit->steps, at.key, at.key_size, &at)) {
        const struct txfs_past_step *step = at.value;
        bool displaces = step->kind != TXFS_CHANGE_ATTRIBUTES && step->kind != TXFS_CHANGE_EXTENTS;
        if (displaces && is_directly_below(&job->key, &at)) {
            TX_TRY(tell(job, step->path, step->base.existed, err));
        }
    }
    return TX_OK;
}

/* Names go away from the directory's path before the commit, and come to its path after it. */
static enum tx_status tell_commit(struct names_job *job, struct txfs_trace *trace,
                                  const struct txfs_past_commit *commit, struct tx_error *err)
{
    txfs_tree_key_set(&job->key, trace->path);
    TX_TRY(tell_moved(job, commit, err));
    if (trace->path[0] != '\0') { /* the root itself stays */
        TX_TRY(txfs_trace_commit(trace, commit, err));
        txfs_tree_key_set(&job->key, trace->path);
    }
    return trace->displacer == NULL ? tell_steps(job, commit, err) : TX_OK;
}

enum tx_status txfs_superseded_below(struct txfs_view *view, const char *path,
                                     txfs_superseded_fn *fn, void *arg, struct tx_error *err)
{
    TX_AUTO(tx_map) told;
    struct names_job job = {.told = &told, .fn = fn, .arg = arg};
    struct txfs_trace trace = {.view = view};
    tx_map_init(&told, NULL);
    TX_TRY(txfs_past_load(view, err));
    txfs_path_copy(path, trace.path);
    for (size_t i = 0; i < txfs_past_count(view->past) && trace.displacer == NULL; i++) {
        TX_TRY(tell_commit(&job, &trace, txfs_past_at(view->past, i), err));
    }
    return TX_OK;
}
