/* SPDX-License-Identifier: MIT */
/*
 * Listings: the names of the tree's directory as it was at the snapshot, corrected by the
 * transaction's entries. The whole listing is made when the directory is opened.
 */
#include <dirent.h>
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "txfs/overlay.h"

struct txfs_dir {
    struct tx_map names; /* name and its NUL -> type_of[] */
    const char *last;    /* given out last, NULL: none yet */
};

/* Values of the map: each address stands for the DT_* value that is its index. */
#define TYPES 16u
static char type_of[TYPES];

static enum tx_status set_name(struct tx_map *names, const char *name, unsigned type,
                               struct tx_error *err)
{
    size_t size = strlen(name);
    if (size > TXFS_NAME_MAX) {
        return tx_error_set(err, TX_ELIMIT, "a name of %zu bytes in a directory", size);
    }
    return tx_map_set(names, name, size + 1, &type_of[type % TYPES], err); /* a FUSE may say more */
}

static void remove_name(struct tx_map *names, const char *name)
{
    (void)tx_map_remove(names, name, strlen(name) + 1); /* false: was not there anyway */
}

/* --- Names of the tree --- */

struct list_job {
    struct txfs_view *view;
    struct tx_map *names;
    const char *real;
    enum tx_status status;
    struct tx_error *err;
};

static int list_name(void *arg, const char *name, uint64_t ino, unsigned type)
{
    struct list_job *job = arg;
    (void)ino;
    if (job->real[0] == '\0' && txfs_path_is_store(job->view->fs, name)) {
        return 0;
    }
    job->status = set_name(job->names, name, type < sizeof type_of ? type : DT_UNKNOWN, job->err);
    return job->status == TX_OK ? 0 : -ECANCELED;
}

static enum tx_status list_fd(struct list_job *job, int fd, struct tx_error *err)
{
    struct txio *io = job->view->fs->io;
    tx_map_release(job->names);
    tx_map_init(job->names, NULL);
    job->status = TX_OK;
    job->err = err;
    int got = io->ops->list(io, fd, list_name, job);
    if (job->status != TX_OK) {
        return job->status;
    }
    return got < 0 ? tx_error_os(err, -got, "list a directory") : TX_OK;
}

static enum tx_status list_base(void *arg, const struct txfs_base *base, struct tx_error *err)
{
    struct list_job *job = arg;
    struct txio *io = job->view->fs->io;
    int fd;
    if (base->name[0] == '\0') {
        return list_fd(job, base->dir, err);
    }
    TX_TRY(txio_open(io, base->dir, base->name, TXIO_DIRECTORY, 0, &fd, err));
    enum tx_status status = list_fd(job, fd, err);
    (void)io->ops->close(io, fd); /* read only */
    return status;
}

static enum tx_status correct_name(void *arg, const char *name, bool existed, struct tx_error *err)
{
    struct list_job *job = arg;
    if (existed) {
        return set_name(job->names, name, DT_UNKNOWN, err); /* it may be of another type now */
    }
    remove_name(job->names, name);
    return TX_OK;
}

/* Names below a directory of the tree, at the snapshot. */
static enum tx_status list_real(struct txfs_view *view, const char *real, struct tx_map *names,
                                struct tx_error *err)
{
    struct list_job job = {.view = view, .names = names, .real = real};
    struct txio_stat stat;
    bool existed;
    tx_lsn decided;
    do { /* until no commit comes between listing and correcting */
        decided = ktm_decided(view->tm);
        TX_TRY(txfs_base_visit(view, real, &existed, &stat, list_base, &job, err));
        if (!existed) {
            return txfs_refuse(err, TX_ENOTFOUND, real, "removed by another program");
        }
        if (decided != view->snapshot) {
            TX_TRY(txfs_superseded_below(view, real, correct_name, &job, err));
        }
    } while (ktm_decided(view->tm) != decided);
    if (ktm_txn_is_serializable(view->txn)) {
        TX_TRY(tx_map_set(&view->listed, real, strlen(real) + 1, type_of, err));
    }
    return TX_OK;
}

/* --- Names of the transaction --- */

static unsigned type_of_entry(const struct txfs_entry *entry)
{
    switch (entry->kind) {
    case TXFS_CHANGE_FILE:
        return DT_REG;
    case TXFS_CHANGE_DIRECTORY:
        return DT_DIR;
    case TXFS_CHANGE_SYMLINK:
        return DT_LNK;
    case TXFS_CHANGE_NODE:
        return IFTODT(entry->mode);
    case TXFS_CHANGE_LINK:
        return DT_UNKNOWN;
    default:
        return IFTODT(entry->source.mode);
    }
}

/* The first entry directly below `path`, at or behind what begins with `path/after`. */
static const struct txfs_node *next_child(const struct txfs_view *view, const char *path,
                                          const struct txfs_node *node)
{
    size_t skip = path[0] != '\0' ? strlen(path) + 1 : 0;
    while (node != NULL && strchr(node->entry.path + skip, '/') != NULL) {
        /* Deeper: jump behind all that is below this child. '0' follows '/'. */
        char behind[TXFS_PATH_MAX + 2];
        size_t size = skip + strcspn(node->entry.path + skip, "/");
        struct tx_map_entry found;
        memcpy(behind, node->entry.path, size);
        behind[size] = '0';
        bool any = tx_map_at_or_after(&view->nodes, behind, size + 1, &found);
        node = any ? found.value : NULL;
        if (node != NULL && !txfs_path_is_below(node->entry.path, path)) {
            node = NULL;
        }
    }
    return node;
}

static enum tx_status lay_entries(const struct txfs_view *view, const char *path,
                                  struct tx_map *names, struct tx_error *err)
{
    const struct txfs_node *node = next_child(view, path, txfs_view_below(view, path, NULL));
    while (node != NULL) {
        const char *name = txfs_path_name(node->entry.path);
        if (node->entry.kind == TXFS_CHANGE_ABSENT) {
            remove_name(names, name);
        } else {
            TX_TRY(set_name(names, name, type_of_entry(&node->entry), err));
        }
        node = next_child(view, path, txfs_view_below(view, path, node->entry.path));
    }
    return TX_OK;
}

/* All names in a directory of the view. */
static enum tx_status list_view(struct txfs_view *view, const char *path, struct tx_map *names,
                                struct tx_error *err)
{
    struct txfs_object object;
    TX_TRY(txfs_lookup_there(view, path, &object, err));
    if (!S_ISDIR(object.stat.mode)) {
        return txfs_refuse(err, TX_ENOTDIR, path, "not a directory");
    }
    if (object.kind == TXFS_OBJECT_BASE) {
        TX_TRY(list_real(view, object.real, names, err));
    }
    return lay_entries(view, path, names, err);
}

enum tx_status txfs_require_empty(struct txfs_view *view, const char *path, struct tx_error *err)
{
    TX_AUTO(tx_map) names;
    tx_map_init(&names, NULL);
    TX_TRY(list_view(view, path, &names, err));
    return names.count == 0 ? TX_OK : txfs_refuse(err, TX_ENOTEMPTY, path, "not empty");
}

/* Look at those whose type the listing did not tell. */
static enum tx_status find_types(struct txfs_view *view, const char *path, struct tx_map *names,
                                 struct tx_error *err)
{
    struct tx_map_entry at;
    struct txfs_object object;
    char child[TXFS_PATH_MAX + 1];
    bool any = tx_map_at_or_after(names, NULL, 0, &at);
    for (; any; any = tx_map_after(names, at.key, at.key_size, &at)) {
        if ((char *)at.value != &type_of[DT_UNKNOWN]) {
            continue;
        }
        TX_TRY(txfs_path_join(path, strlen(path), at.key, child, err));
        TX_TRY(txfs_lookup(view, child, &object, err));
        if (object.kind != TXFS_OBJECT_ABSENT) {
            unsigned type = IFTODT(object.stat.mode);
            TX_TRY(set_name(names, at.key, type, err)); /* unreachable: the name is there already */
        }
    }
    return TX_OK;
}

enum tx_status txfs_dir_open(struct ktm_txn *txn, const char *path, struct txfs_dir **dir,
                             struct tx_error *err)
{
    char canonical[TXFS_PATH_MAX + 1];
    struct txfs_view *view;
    TX_TRY(txfs_view_of(txn, &view, err));
    TX_TRY(txfs_resolve(view, path, TXFS_LAST_IS_FOLLOWED, canonical, NULL, err));
    struct txfs_dir *made = tx_alloc_zero(sizeof *made);
    if (made == NULL) {
        return tx_error_set(err, TX_ENOMEM, "no memory for a directory");
    }
    tx_map_init(&made->names, NULL);
    enum tx_status status = list_view(view, canonical, &made->names, err);
    if (status == TX_OK) {
        status = find_types(view, canonical, &made->names, err);
    }
    if (status != TX_OK) {
        txfs_dir_close(made);
        return status;
    }
    *dir = made;
    return TX_OK;
}

bool txfs_dir_next(struct txfs_dir *dir, const char **name, unsigned *type)
{
    struct tx_map_entry found;
    bool any = dir->last != NULL
                   ? tx_map_after(&dir->names, dir->last, strlen(dir->last) + 1, &found)
                   : tx_map_at_or_after(&dir->names, NULL, 0, &found);
    if (!any) {
        return false;
    }
    dir->last = found.key;
    *name = found.key;
    *type = (unsigned)((const char *)found.value - type_of);
    return true;
}

void txfs_dir_close(struct txfs_dir *dir)
{
    tx_map_release(&dir->names);
    tx_free(dir);
}
