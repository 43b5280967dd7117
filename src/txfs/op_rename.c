/* SPDX-License-Identifier: MIT */
/*
 * Rename. Everything the transaction has said about the object and about what is below it is
 * packed up first, then unpacked at the new path; what it has not touched follows by itself, since
 * a moved directory's children are seen through it.
 */
#include <string.h>
#include <sys/stat.h>

#include "base/mutant.h"
#include "txfs/open_file.h"
#include "txfs/parcel.h"

/* The two paths that change places, or of which one takes the other's. */
struct rename_job {
    struct txfs_view *view;
    char from[TXFS_PATH_MAX + 1];
    char to[TXFS_PATH_MAX + 1];
    bool exchange;
    struct txfs_object from_object;
    struct txfs_object to_object;
};

static bool is_at_or_below(const char *path, const char *above)
{
    return strcmp(path, above) == 0 || txfs_path_is_below(path, above);
}

/* Where a path of the view is after the rename. */
static enum tx_status new_place(const struct rename_job *job, const char *path,
                                char out[TXFS_PATH_MAX + 1], struct tx_error *err)
{
    if (is_at_or_below(path, job->from)) {
        return txfs_path_move(path, job->from, job->to, out, err);
    }
    if (job->exchange && is_at_or_below(path, job->to)) {
        return txfs_path_move(path, job->to, job->from, out, err);
    }
    txfs_path_copy(path, out);
    return TX_OK;
}

/* Refuse before anything is changed what would fail halfway: a path that becomes too long. */
static enum tx_status check_place(const struct rename_job *job, const char *path,
                                  struct tx_error *err)
{
    char place[TXFS_PATH_MAX + 1];
    TX_TRY(new_place(job, path, place, err));
    return txfs_path_is_clean(place)
               ? TX_OK
               : txfs_refuse(err, TX_ELIMIT, place, "too many levels deep");
}

/* Nothing would show there anyway. */
static bool stays_behind(const struct txfs_packed *item)
{
    return !item->is_root && item->opaque && item->entry.kind == TXFS_CHANGE_ABSENT;
}

static enum tx_status check_places(const struct rename_job *job, const struct txfs_parcel *parcel,
                                   struct tx_error *err)
{
    for (const struct txfs_packed *item = parcel->first; item != NULL; item = item->next) {
        if (stays_behind(item) && !TX_MUTANT(111)) {
            continue;
        }
        TX_TRY(check_place(job, item->entry.path, err));
        if (item->entry.kind == TXFS_CHANGE_LINK && !TX_MUTANT(110)) {
            TX_TRY(check_place(job, item->entry.target, err));
        }
    }
    return TX_OK;
}

static enum tx_status unpack_one(const struct rename_job *job, const struct txfs_packed *item,
                                 struct tx_error *err)
{
    char path[TXFS_PATH_MAX + 1];
    char target[TXFS_PATH_MAX + 1];
    struct txfs_entry entry = item->entry;
    if (stays_behind(item)) {
        return TX_OK;
    }
    TX_TRY(new_place(job, entry.path, path, err)); /* unreachable: check_place made it */
    if (entry.content_size > 0) {
        entry.content = ktm_txn_entries(job->view->txn).next + item->content_at;
    }
    if (entry.kind == TXFS_CHANGE_LINK) {
        TX_TRY(new_place(job, entry.target, target, err)); /* unreachable: check_place made it */
        entry.target = target;
    }
    if (item->is_root) {
        return txfs_change_place(job->view, &entry, path, err);
    }
    entry.path = path;
    entry.flags = 0;
    entry.base_path = item->opaque || strcmp(item->real, path) == 0 ? NULL : item->real;
    return txfs_view_add(job->view, &entry, err);
}

static enum tx_status unpack(const struct rename_job *job, const struct txfs_parcel *parcel,
                             struct tx_error *err)
{
    for (const struct txfs_packed *item = parcel->first; item != NULL; item = item->next) {
        TX_TRY(unpack_one(job, item, err));
    }
    return TX_OK;
}

/* A link entry elsewhere whose target moves along. */
struct follower {
    struct follower *next;
    char path[];
};

static enum tx_status find_followers(const struct rename_job *job, struct follower **first,
                                     struct tx_error *err)
{
    struct tx_map_entry at;
    bool any = tx_map_at_or_after(&job->view->links, NULL, 0, &at);
    for (; any; any = tx_map_after(&job->view->links, at.key, at.key_size, &at)) {
        const char *target = at.key;
        const char *path = target + strlen(target) + 1;
        bool moves =
            is_at_or_below(target, job->from) || (job->exchange && is_at_or_below(target, job->to));
        bool packed = is_at_or_below(path, job->from) ||
                      is_at_or_below(path, job->to); /* goes with a parcel, or is replaced */
        if (moves && !packed) {
            TX_TRY(check_place(job, target, err));
            struct follower *item = tx_alloc(sizeof *item + strlen(path) + 1);
            if (item == NULL) {
                return tx_error_set(err, TX_ENOMEM, "no memory for a path");
            }
            memcpy(item->path, path, strlen(path) + 1);
            item->next = *first;
            *first = item;
        }
    }
    return TX_OK;
}

static enum tx_status move_follower(const struct rename_job *job, const char *path,
                                    struct tx_error *err)
{
    char target[TXFS_PATH_MAX + 1];
    struct txfs_entry entry = txfs_node_entry(job->view, txfs_view_node(job->view, path));
    TX_TRY(new_place(job, entry.target, target, err)); /* unreachable: check_place made it */
    entry.target = target;
    entry.flags = 0;
    return txfs_view_add(job->view, &entry, err);
}

static enum tx_status move_followers(const struct rename_job *job, struct follower *first,
                                     enum tx_status status, struct tx_error *err)
{
    while (first != NULL) {
        struct follower *item = first;
        first = item->next;
        if (status == TX_OK) {
            status = move_follower(job, item->path, err);
        }
        tx_free(item);
    }
    return status;
}

static void move_files(const struct rename_job *job)
{
    static const char aside[] = "/"; /* no file is there: paths have no leading '/' */
    if (!job->exchange) {
        txfs_files_gone(job->view, job->to);
        txfs_files_moved(job->view, job->from, job->to);
        return;
    }
    txfs_files_moved(job->view, job->from, aside);
    txfs_files_moved(job->view, job->to, job->from);
    txfs_files_moved(job->view, aside, job->to);
}

static enum tx_status unpack_all(const struct rename_job *job, const struct txfs_parcel *from,
                                 const struct txfs_parcel *to, struct tx_error *err)
{
    struct follower *followers = NULL;
    enum tx_status status = find_followers(job, &followers, err);
    if (status == TX_OK) {
        status = unpack(job, from, err);
    }
    if (status == TX_OK) {
        status =
            job->exchange ? unpack(job, to, err) : txfs_change_absent(job->view, job->from, err);
    }
    if (status == TX_OK) {
        status = txfs_index_moved(job->view, job->from, job->to, err);
    }
    if (status == TX_OK && job->exchange) {
        status = txfs_index_moved(job->view, job->to, job->from, err);
    }
    return move_followers(job, followers, status, err);
}

static enum tx_status carry_out(struct rename_job *job, struct tx_error *err)
{
    TX_AUTO(txfs_parcel) from = {0};
    TX_AUTO(txfs_parcel) to = {0};
    size_t begun = job->view->consumed;
    enum tx_status status = TX_OK;
    /* First, because it may change what is below `from`. */
    if (!job->exchange && job->to_object.kind != TXFS_OBJECT_ABSENT) {
        status = txfs_hand_over(job->view, &job->to_object, job->to, err);
    }
    if (status == TX_OK) {
        status = txfs_pack(job->view, job->from, &job->from_object, &from, err);
    }
    if (status == TX_OK && job->exchange) {
        status = txfs_pack(job->view, job->to, &job->to_object, &to, err);
    }
    if (status == TX_OK) {
        status = check_places(job, &from, err);
    }
    if (status == TX_OK) {
        status = check_places(job, &to, err);
    }
    if (status == TX_OK) {
        status = unpack_all(job, &from, &to, err);
    }
    if (status == TX_OK) {
        move_files(job);
    }
    return txfs_view_end_change(job->view, begun, status);
}

/* Two names of one file: rename(2) leaves both. */
static bool is_same_object(const struct txfs_object *a, const struct txfs_object *b)
{
    if (a->kind != b->kind) {
        return false;
    }
    if (a->kind == TXFS_OBJECT_OWN) {
        return strcmp(a->path, b->path) == 0;
    }
    return a->stat.dev == b->stat.dev && a->found.ino == b->found.ino;
}

static enum tx_status check_replaced(const struct rename_job *job, struct tx_error *err)
{
    bool from_dir = S_ISDIR(job->from_object.stat.mode);
    bool to_dir = S_ISDIR(job->to_object.stat.mode);
    if (from_dir && !to_dir) {
        return txfs_refuse(err, TX_ENOTDIR, job->to, "not a directory");
    }
    if (!from_dir && to_dir) {
        return txfs_refuse(err, TX_EISDIR, job->to, "is a directory");
    }
    return to_dir ? txfs_require_empty(job->view, job->to, err) : TX_OK;
}

static enum tx_status check_rename(const struct rename_job *job, unsigned flags,
                                   struct tx_error *err)
{
    bool there = job->to_object.kind != TXFS_OBJECT_ABSENT;
    if (txfs_path_is_below(job->to, job->from) ||
        (job->exchange && txfs_path_is_below(job->from, job->to))) {
        return txfs_refuse(err, TX_EINVAL, job->to, "a directory cannot go below itself");
    }
    if (job->exchange) {
        return there ? TX_OK
                     : txfs_refuse(err, TX_ENOTFOUND, job->to, "nothing to exchange it with");
    }
    if (there && (flags & TXIO_NOREPLACE)) {
        return txfs_refuse(err, TX_EEXIST, job->to, "exists already");
    }
    return there ? check_replaced(job, err) : TX_OK;
}

enum tx_status txfs_rename(struct ktm_txn *txn, const char *from, const char *to, unsigned flags,
                           struct tx_error *err)
{
    struct rename_job job = {.exchange = (flags & TXIO_EXCHANGE) != 0};
    if (flags > TXIO_EXCHANGE) {
        return tx_error_set(err, TX_EINVAL, "unknown flags %u", flags);
    }
    TX_TRY(txfs_view_of(txn, &job.view, err));
    TX_TRY(txfs_resolve(job.view, from, TXFS_LAST_IS_KEPT, job.from, NULL, err));
    TX_TRY(txfs_resolve(job.view, to, TXFS_LAST_IS_KEPT, job.to, NULL, err));
    if (job.from[0] == '\0' || job.to[0] == '\0') {
        return txfs_refuse(err, TX_EINVAL, "", "the root cannot be renamed");
    }
    TX_TRY(txfs_lookup_there(job.view, job.from, &job.from_object, err));
    TX_TRY(txfs_lookup(job.view, job.to, &job.to_object, err));
    if (is_same_object(&job.from_object, &job.to_object) && !(flags & TXIO_NOREPLACE)) {
        return TX_OK;
    }
    TX_TRY(check_rename(&job, flags, err));
    return carry_out(&job, err);
}
