/* SPDX-License-Identifier: MIT */
/*
 * From a path as a caller wrote it to its canonical path, by following the links of the view. The
 * kernel cannot do this for us, because links may exist in the transaction only. Nothing can lead
 * out: an absolute target and a ".." above the root are refused, and what is canonical is opened
 * without following anything.
 */
#include <string.h>
#include <sys/stat.h>

#include "txfs/overlay.h"

enum { LINKS_MAX = 40, REST_SIZE = 2 * TXFS_PATH_MAX + 2 };

struct walk {
    struct txfs_view *view;
    char *out;            /* canonical so far: a directory */
    char rest[REST_SIZE]; /* still to go */
    unsigned links;
    struct txfs_object object;
};

/* Put the link's target before the rest of the way. */
static enum tx_status enter_link(struct walk *walk, const char *name, struct tx_error *err)
{
    char target[TXFS_PATH_MAX + 1];
    if (++walk->links > LINKS_MAX) {
        return txfs_refuse(err, TX_EESCAPE, name, "too many symbolic links");
    }
    TX_TRY(txfs_object_target(walk->view, &walk->object, target, sizeof target, err));
    size_t size = strlen(target);
    size_t rest = strlen(walk->rest);
    if (target[0] == '/') {
        return txfs_refuse(err, TX_EESCAPE, name, "a symbolic link to an absolute path");
    }
    if (size + 1 + rest + 1 > REST_SIZE) {
        return txfs_refuse(err, TX_ELIMIT, name, "symbolic links make its path too long");
    }
    memmove(walk->rest + size + 1, walk->rest, rest + 1);
    memcpy(walk->rest, target, size);
    walk->rest[size] = '/';
    return TX_OK;
}

/* Cut the next component off the rest; false when there is none. */
static bool next_name(struct walk *walk, char name[TXFS_NAME_MAX + 2])
{
    for (;;) {
        size_t skip = strspn(walk->rest, "/");
        size_t size = strcspn(walk->rest + skip, "/");
        if (size == 0) {
            return false;
        }
        size_t kept = size <= TXFS_NAME_MAX ? size : TXFS_NAME_MAX + 1; /* too long stays so */
        memcpy(name, walk->rest + skip, kept);
        name[kept] = '\0';
        memmove(walk->rest, walk->rest + skip + size, strlen(walk->rest + skip + size) + 1);
        if (strcmp(name, ".") != 0) {
            return true;
        }
    }
}

static enum tx_status step(struct walk *walk, const char *name, struct tx_error *err)
{
    struct txfs_object *object = &walk->object;
    bool last = walk->rest[strspn(walk->rest, "/")] == '\0';
    size_t size = strlen(walk->out);
    if (strcmp(name, "..") == 0) {
        if (size == 0) {
            return txfs_refuse(err, TX_EESCAPE, name, "a symbolic link leads out of the root");
        }
        walk->out[txfs_path_parent_size(walk->out)] = '\0';
        return TX_OK;
    }
    if (strlen(name) > TXFS_NAME_MAX) {
        return txfs_refuse(err, TX_ELIMIT, name, "too long a name");
    }
    TX_TRY(txfs_path_join(walk->out, size, name, walk->out, err));
    if (txfs_path_is_store(walk->view->fs, walk->out)) {
        return txfs_refuse(err, TX_EESCAPE, walk->out, "belongs to the store itself");
    }
    TX_TRY(txfs_lookup(walk->view, walk->out, object, err));
    if (object->kind == TXFS_OBJECT_ABSENT) {
        return last ? TX_OK : txfs_refuse(err, TX_ENOTFOUND, walk->out, "no such directory");
    }
    if (S_ISLNK(object->stat.mode)) {
        enum tx_status status = enter_link(walk, walk->out, err);
        walk->out[size] = '\0';
        return status;
    }
    if (!last && !S_ISDIR(object->stat.mode)) {
        return txfs_refuse(err, TX_ENOTDIR, walk->out, "not a directory");
    }
    return TX_OK;
}

/* Go from the canonical directory `out` along `rest`, to where its last component leads. */
static enum tx_status walk_on(struct txfs_view *view, const char *rest,
                              char out[TXFS_PATH_MAX + 1], struct tx_error *err)
{
    struct walk walk = {.view = view, .out = out};
    char name[TXFS_NAME_MAX + 2];
    memcpy(walk.rest, rest, strlen(rest) + 1);
    while (next_name(&walk, name)) {
        TX_TRY(step(&walk, name, err));
    }
    if (out[0] != '\0' && !txfs_path_is_clean(out)) {
        return txfs_refuse(err, TX_ELIMIT, out, "too many levels deep");
    }
    return TX_OK;
}

void txfs_resolve_forget(struct txfs_view *view)
{
    tx_map_release(&view->dirs);
    tx_map_init(&view->dirs, tx_free);
}

static enum tx_status keep_ref(struct txfs_view *view, const char *path, size_t size,
                               const char *canonical, const struct txfs_dir_ref **ref,
                               struct tx_error *err)
{
    struct txfs_object object;
    TX_TRY(txfs_lookup_there(view, canonical, &object, err));
    if (!S_ISDIR(object.stat.mode)) {
        return txfs_refuse(err, TX_ENOTDIR, canonical, "not a directory");
    }
    size_t canonical_size = strlen(canonical) + 1;
    struct txfs_dir_ref *made = tx_alloc(sizeof *made + canonical_size);
    if (made == NULL) {
        return tx_error_set(err, TX_ENOMEM, "no memory for a path");
    }
    made->mode = object.stat.mode;
    made->gid = object.stat.gid;
    memcpy(made->path, canonical, canonical_size);
    enum tx_status status = tx_map_set(&view->dirs, path, size, made, err);
    if (status != TX_OK) {
        tx_free(made);
        return status;
    }
    *ref = made;
    return TX_OK;
}

/* The directory that the first `size` bytes of a clean path mean. */
static enum tx_status dir_ref(struct txfs_view *view, const char *path, size_t size,
                              const struct txfs_dir_ref **ref, struct tx_error *err)
{
    *ref = tx_map_get(&view->dirs, path, size);
    if (*ref != NULL) {
        return TX_OK;
    }
    char written[TXFS_PATH_MAX + 1];
    char canonical[TXFS_PATH_MAX + 1];
    memcpy(written, path, size);
    written[size] = '\0';
    size_t above = txfs_path_parent_size(written);
    const struct txfs_dir_ref *known = tx_map_get(&view->dirs, path, above);
    if (known != NULL && above > 0) {
        txfs_path_copy(known->path, canonical);
        TX_TRY(walk_on(view, written + above + 1, canonical, err));
    } else {
        canonical[0] = '\0';
        TX_TRY(walk_on(view, written, canonical, err));
    }
    return keep_ref(view, path, size, canonical, ref, err);
}

/* The last component. Most calls keep it, and need no walk. */
static enum tx_status enter_name(struct txfs_view *view, const struct txfs_dir_ref *ref,
                                 const char *name, enum txfs_follow follow,
                                 char out[TXFS_PATH_MAX + 1], struct tx_error *err)
{
    if (follow == TXFS_LAST_IS_FOLLOWED) {
        txfs_path_copy(ref->path, out);
        return walk_on(view, name, out, err);
    }
    TX_TRY(txfs_path_join(ref->path, strlen(ref->path), name, out, err));
    if (txfs_path_is_store(view->fs, out)) {
        return txfs_refuse(err, TX_EESCAPE, out, "belongs to the store itself");
    }
    return txfs_path_is_clean(out) ? TX_OK
                                   : txfs_refuse(err, TX_ELIMIT, out, "too many levels deep");
}

enum tx_status txfs_resolve(struct txfs_view *view, const char *path, enum txfs_follow follow,
                            char out[TXFS_PATH_MAX + 1], const struct txfs_dir_ref **parent,
                            struct tx_error *err)
{
    char clean[TXFS_PATH_MAX + 1];
    const struct txfs_dir_ref *ref = NULL;
    TX_TRY(txfs_path_clean(view->fs, path, clean, err));
    if (clean[0] == '\0') {
        out[0] = '\0';
    } else {
        TX_TRY(dir_ref(view, clean, txfs_path_parent_size(clean), &ref, err));
        TX_TRY(enter_name(view, ref, txfs_path_name(clean), follow, out, err));
    }
    if (parent != NULL) {
        TX_TRY(dir_ref(view, out, txfs_path_parent_size(out), parent, err));
    }
    return TX_OK;
}
