/* SPDX-License-Identifier: MIT */
/*
 * Is the tree still what the transaction took it for? Every real path that it touched is looked at
 * again, by way of directories opened anew and without following links.
 */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "base/mutant.h"
#include "txfs/prepare_internal.h"

struct validation {
    struct txfs_view *view;
    struct ktm_vote *vote;
    struct tx_map alive; /* real paths of directories that the transaction keeps */
    const char *parent;  /* last looked at, not NUL-terminated */
    size_t parent_size;
    int parent_fd;
    bool elsewhere; /* what look_now saw last is on another volume */
};

static void validation_auto(struct validation *job)
{
    tx_map_release(&job->alive);
}

/* Look at a path as it is now. A missing directory above it is answered like a missing object. */
static enum tx_status look_now(struct validation *job, const char *real, int *dir,
                               struct txfs_identity *now, struct tx_error *err)
{
    struct txio *io = job->view->fs->io;
    struct txio_stat stat;
    enum tx_status status = txfs_base_dir(job->view, real, txfs_path_parent_size(real), dir, err);
    *now = (struct txfs_identity){0};
    if (status != TX_OK) {
        *dir = -1;
        return status == TX_ENOTFOUND ? TX_OK : status;
    }
    int got = io->ops->stat(io, *dir, txfs_path_name(real), &stat);
    if (got == -ENOENT) {
        return TX_OK;
    }
    if (got < 0) {
        return tx_error_os(err, -got, "look at a touched file");
    }
    *now = txfs_identity_of(&stat);
    job->elsewhere = stat.dev != job->view->fs->root_dev;
    return TX_OK;
}

/* The directory in which something is placed has to be on the store's volume, and ours to write. */
static enum tx_status check_parent(struct validation *job, const char *real, int dir,
                                   struct tx_error *err)
{
    struct txfs_view *view = job->view;
    size_t size = txfs_path_parent_size(real);
    struct txio_stat stat;
    if (job->parent != NULL && job->parent_size == size && memcmp(job->parent, real, size) == 0) {
        return TX_OK;
    }
    TX_TRY(txio_stat_fd(view->fs->io, dir, &stat, err));
    if (stat.dev != view->fs->root_dev) {
        return txfs_refuse(err, TX_EXDEV, real, "its directory is on another volume");
    }
    uint32_t writable = stat.uid == view->uid ? S_IWUSR : S_IWGRP | S_IWOTH;
    if (view->uid != 0 && (stat.mode & writable) == 0) {
        return txfs_refuse(err, TX_EPERM, real, "its directory is not writable");
    }
    job->parent = real;
    job->parent_size = size;
    return TX_OK;
}

/* Immutable and append-only files refuse to be opened for writing, even by root, and running
 * programs refuse to be changed in place. Best effort: it is also how we learn it without an
 * operation of our own. */
static enum tx_status check_writable(struct validation *job, const char *real, int dir,
                                     const struct txfs_identity *now, struct tx_error *err)
{
    struct txio *io = job->view->fs->io;
    const struct txfs_node *node = txfs_view_node(job->view, real);
    bool in_place = node != NULL && node->entry.kind == TXFS_CHANGE_EXTENTS;
    if (!now->existed || !S_ISREG(now->mode)) {
        return TX_OK;
    }
    int fd = io->ops->open(io, dir, txfs_path_name(real), TXIO_WRITE, 0);
    if (fd >= 0) {
        (void)io->ops->close(io, fd); /* nothing was written */
        return TX_OK;
    }
    if (fd == -EPERM) {
        return txfs_refuse(err, TX_EPERM, real, "immutable or append-only");
    }
    if (in_place && (fd == -ETXTBSY || fd == -EACCES || fd == -EROFS)) {
        return fd == -ETXTBSY ? txfs_refuse(err, TX_EBUSY, real,
                                            "a running program; replace it as a whole")
                              : tx_error_os(err, -fd, "open a file to change it in place");
    }
    return TX_OK;
}

/* --- Directories that go --- */

struct child_check {
    struct validation *job;
    const char *real;
    struct tx_error *err;
    enum tx_status status;
};

/* Whatever stands in a directory that goes has been dealt with by name. */
static int check_child(void *arg, const char *name, uint64_t ino, unsigned type)
{
    struct child_check *check = arg;
    struct txfs_view *view = check->job->view;
    char path[TXFS_PATH_MAX + 1];
    struct txfs_identity none = {0};
    struct txfs_identity now = {.existed = 1, .ino = ino};
    (void)type;
    check->status = txfs_path_join(check->real, strlen(check->real), name, path, check->err);
    if (check->status == TX_OK && tx_map_get(&view->touched, path, strlen(path)) == NULL) {
        check->status = txfs_conflict(view, path, &none, &now, check->err);
    }
    return check->status == TX_OK ? 0 : -ECANCELED;
}

/* Its number proves little: file systems give it again, to a directory of the same name. */
static bool was_left_alone(const struct txfs_identity *was, const struct txfs_identity *now)
{
    return (was->mode == now->mode && was->uid == now->uid && was->gid == now->gid &&
            was->ctime_ns == now->ctime_ns) ||
           TX_MUTANT(89);
}

static enum tx_status check_emptied(struct validation *job, const char *real, int dir,
                                    const struct txfs_identity *was, struct tx_error *err)
{
    struct txio *io = job->view->fs->io;
    struct child_check check = {job, real, err, TX_OK};
    int fd;
    TX_TRY(ktm_vote_read(job->vote, txfs_names_key(real), real, err));
    fd = io->ops->open(io, dir, txfs_path_name(real), TXIO_DIRECTORY, 0);
    if (fd == -ENOENT || fd == -ENOTDIR || fd == -ELOOP) { /* since we looked at it */
        struct txfs_identity gone = {0};
        return txfs_conflict(job->view, real, was, &gone, err);
    }
    if (fd < 0) {
        return tx_error_os(err, -fd, "open a directory that goes");
    }
    int got = io->ops->list(io, fd, check_child, &check);
    (void)io->ops->close(io, fd); /* read only */
    if (check.status != TX_OK) {
        return check.status;
    }
    return got < 0 ? tx_error_os(err, -got, "list a directory that goes") : TX_OK;
}

/* A name that is too many says more than times do, so it comes first. */
static enum tx_status check_directory_that_goes(struct validation *job,
                                                const struct txfs_touch *touch, int dir,
                                                const struct txfs_identity *now,
                                                struct tx_error *err)
{
    TX_TRY(check_emptied(job, touch->path, dir, now, err));
    return was_left_alone(&touch->identity, now)
               ? TX_OK
               : txfs_conflict(job->view, touch->path, &touch->identity, now, err);
}

/* --- All that was touched --- */

static enum tx_status check_touched(struct validation *job, const struct txfs_touch *touch,
                                    struct tx_error *err)
{
    struct txfs_identity now;
    const char *real = touch->path;
    int dir;
    TX_TRY(look_now(job, real, &dir, &now, err));
    if (dir < 0 || !txfs_identity_same(&touch->identity, &now)) {
        return txfs_conflict(job->view, real, &touch->identity, &now, err);
    }
    if (now.existed && job->elsewhere) {
        return txfs_refuse(err, TX_EXDEV, real, "is on another volume");
    }
    TX_TRY(check_parent(job, real, dir, err));
    TX_TRY(check_writable(job, real, dir, &now, err));
    bool goes = now.existed && S_ISDIR(now.mode) &&
                tx_map_get(&job->alive, real, strlen(real)) == NULL;
    return goes ? check_directory_that_goes(job, touch, dir, &now, err) : TX_OK;
}

static enum tx_status check_read(struct validation *job, const struct txfs_touch *touch,
                                 struct tx_error *err)
{
    struct txfs_identity now;
    int dir;
    TX_TRY(look_now(job, touch->path, &dir, &now, err));
    return txfs_identity_same(&touch->identity, &now)
               ? TX_OK
               : txfs_conflict(job->view, touch->path, &touch->identity, &now, err);
}

/* Attributes of directories count when they are ours to change; else only what they are. */
static enum tx_status check_kept_directory(struct validation *job, const struct txfs_entry *entry,
                                           const char *real, struct tx_error *err)
{
    struct txfs_identity now;
    const struct txfs_identity *was = &entry->source;
    int dir;
    if (!S_ISDIR(was->mode) || entry->mask == 0) {
        return TX_OK;
    }
    TX_TRY(look_now(job, real, &dir, &now, err));
    bool same = now.existed && now.mode == was->mode && now.uid == was->uid && now.gid == was->gid;
    return same ? TX_OK : txfs_conflict(job->view, real, was, &now, err);
}

static enum tx_status find_alive(struct validation *job, struct tx_error *err)
{
    static char present;
    struct txfs_view *view = job->view;
    const struct txfs_node *node = txfs_view_below(view, "", NULL);
    for (; node != NULL; node = txfs_view_below(view, "", node->entry.path)) {
        const char *real = txfs_node_real(node);
        if (real != NULL) {
            TX_TRY(tx_map_set(&job->alive, real, strlen(real), &present, err));
            TX_TRY(check_kept_directory(job, &node->entry, real, err));
        }
    }
    return TX_OK;
}

enum tx_status txfs_validate(struct txfs_view *view, struct ktm_vote *vote, struct tx_error *err)
{
    TX_AUTO(validation) job = {.view = view, .vote = vote, .parent_fd = -1};
    struct tx_map_entry at;
    tx_map_init(&job.alive, NULL);
    txfs_base_forget_dirs(view); /* those we have may stand elsewhere by now */
    TX_TRY(find_alive(&job, err));
    bool any = tx_map_at_or_after(&view->touched, NULL, 0, &at);
    for (; any; any = tx_map_after(&view->touched, at.key, at.key_size, &at)) {
        TX_TRY(check_touched(&job, at.value, err));
    }
    any = tx_map_at_or_after(&view->reads, NULL, 0, &at) && !TX_MUTANT(51); /* write skew */
    for (; any; any = tx_map_after(&view->reads, at.key, at.key_size, &at)) {
        TX_TRY(check_read(&job, at.value, err));
    }
    return TX_OK;
}
