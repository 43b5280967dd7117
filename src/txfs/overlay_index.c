/* SPDX-License-Identifier: MIT */
/* What the overlay has to find without walking all its nodes. */
#include <string.h>
#include <sys/stat.h>

#include "base/mutant.h"
#include "txfs/overlay.h"

/* Values of maps that only say "it is there". */
static char present;

static void release_inode(void *value)
{
    struct txfs_inode *inode = value;
    tx_free(inode->amended);
    tx_map_release(&inode->names);
    tx_free(inode);
}

void txfs_index_init(struct txfs_view *view)
{
    tx_map_init(&view->links, NULL);
    tx_map_init(&view->inodes, release_inode);
    tx_map_init(&view->touched, tx_free);
}

void txfs_index_release(struct txfs_view *view)
{
    tx_map_release(&view->links);
    tx_map_release(&view->inodes);
    tx_map_release(&view->touched);
}

/* --- Links by target --- */

/* Both paths with their NULs, so that the key itself can be handed out as a text. */
static size_t link_key(const char *target, const char *path, char key[2 * (TXFS_PATH_MAX + 1)])
{
    size_t target_size = strlen(target) + 1;
    size_t path_size = path != NULL ? strlen(path) + 1 : 0;
    memcpy(key, target, target_size);
    if (path != NULL) {
        memcpy(key + target_size, path, path_size);
    }
    return target_size + path_size;
}

const char *txfs_index_link(const struct txfs_view *view, const char *target, const char *after)
{
    char key[2 * (TXFS_PATH_MAX + 1)];
    struct tx_map_entry found;
    if (view->links.count == 0) {
        return NULL;
    }
    size_t size = link_key(target, after, key);
    if (!tx_map_after(&view->links, key, size, &found) || strcmp(found.key, target) != 0) {
        return NULL;
    }
    return (const char *)found.key + strlen(target) + 1;
}

unsigned txfs_index_link_count(const struct txfs_view *view, const char *target)
{
    unsigned count = 0;
    for (const char *at = txfs_index_link(view, target, NULL); at != NULL;
         at = txfs_index_link(view, target, at)) {
        count++;
    }
    return count;
}

/* --- Files with several names --- */

struct txfs_inode *txfs_index_inode(const struct txfs_view *view, uint64_t ino)
{
    return tx_map_get(&view->inodes, &ino, sizeof ino);
}

static enum tx_status inode_get(struct txfs_view *view, const struct txfs_identity *identity,
                                struct txfs_inode **inode, struct tx_error *err)
{
    uint64_t key = identity->ino;
    struct txfs_inode *got = tx_map_get(&view->inodes, &key, sizeof key);
    if (got == NULL) {
        got = tx_alloc_zero(sizeof *got);
        if (got == NULL) {
            return tx_error_set(err, TX_ENOMEM, "no memory for an inode");
        }
        tx_map_init(&got->names, NULL);
        enum tx_status status = tx_map_set(&view->inodes, &key, sizeof key, got, err);
        if (status != TX_OK) {
            release_inode(got);
            return status;
        }
    }
    *inode = got;
    return TX_OK;
}

enum tx_status txfs_index_name(struct txfs_view *view, const struct txfs_identity *identity,
                               const char *path, struct tx_error *err)
{
    struct txfs_inode *inode;
    TX_TRY(inode_get(view, identity, &inode, err));
    return tx_map_set(&inode->names, path, strlen(path) + 1, &present, err);
}

static enum tx_status move_names(struct txfs_inode *inode, const char *from, const char *to,
                                 struct tx_error *err)
{
    struct tx_map_entry at;
    char moved[TXFS_PATH_MAX + 1];
    bool any = tx_map_at_or_after(&inode->names, from, strlen(from), &at);
    for (; any; any = tx_map_after(&inode->names, at.key, at.key_size, &at)) {
        const char *name = at.key;
        if (strncmp(name, from, strlen(from)) != 0) {
            break;
        }
        bool moves = strcmp(name, from) == 0 || txfs_path_is_below(name, from);
        /* A name whose path becomes too long is none: nobody can look at it. */
        if (moves && TX_MUTANT(112)) {
            TX_TRY(txfs_path_move(name, from, to, moved, err));
        }
        if (moves && txfs_path_move(name, from, to, moved, NULL) == TX_OK) {
            TX_TRY(tx_map_set(&inode->names, moved, strlen(moved) + 1, &present, err));
        }
    }
    return TX_OK;
}

enum tx_status txfs_index_moved(struct txfs_view *view, const char *from, const char *to,
                                struct tx_error *err)
{
    struct tx_map_entry at;
    bool any = tx_map_at_or_after(&view->inodes, NULL, 0, &at);
    for (; any; any = tx_map_after(&view->inodes, at.key, at.key_size, &at)) {
        TX_TRY(move_names(at.value, from, to, err)); /* the old one stays: it is only tried */
    }
    return TX_OK;
}

static bool has_names(const struct txfs_entry *entry)
{
    return entry->source.existed && entry->source.nlink > 1 && S_ISREG(entry->source.mode);
}

static bool amends(const struct txfs_entry *entry)
{
    return entry->mask != 0 || entry->payload != TXFS_PAYLOAD_NONE;
}

/* --- Upkeep --- */

enum tx_status txfs_index_add(struct txfs_view *view, const struct txfs_entry *entry,
                              struct tx_error *err)
{
    if (entry->kind == TXFS_CHANGE_LINK) {
        char key[2 * (TXFS_PATH_MAX + 1)];
        size_t size = link_key(entry->target, entry->path, key);
        return tx_map_set(&view->links, key, size, &present, err);
    }
    if (!has_names(entry) || !amends(entry)) {
        return TX_OK;
    }
    struct txfs_inode *inode;
    TX_TRY(inode_get(view, &entry->source, &inode, err));
    char *path = tx_text_copy(entry->path);
    if (path == NULL) {
        return tx_error_set(err, TX_ENOMEM, "no memory for a path");
    }
    tx_free(inode->amended);
    inode->amended = path;
    return TX_OK;
}

void txfs_index_remove(struct txfs_view *view, const struct txfs_entry *entry, bool same)
{
    if (entry->kind == TXFS_CHANGE_LINK) {
        char key[2 * (TXFS_PATH_MAX + 1)];
        (void)tx_map_remove(&view->links, key, link_key(entry->target, entry->path, key));
        return;
    }
    if (same || !has_names(entry)) {
        return;
    }
    struct txfs_inode *inode = txfs_index_inode(view, entry->source.ino);
    if (inode != NULL && inode->amended != NULL && strcmp(inode->amended, entry->path) == 0) {
        tx_free(inode->amended);
        inode->amended = NULL;
    }
}

enum tx_status txfs_touch(struct tx_map *touched, const char *real,
                          const struct txfs_identity *identity, struct tx_error *err)
{
    size_t size = strlen(real);
    if (tx_map_get(touched, real, size) != NULL) {
        return TX_OK;
    }
    struct txfs_touch *touch = tx_alloc(sizeof *touch + size + 1);
    if (touch == NULL) {
        return tx_error_set(err, TX_ENOMEM, "no memory for a path");
    }
    touch->identity = *identity;
    memcpy(touch->path, real, size + 1);
    enum tx_status status = tx_map_set(touched, real, size, touch, err);
    if (status != TX_OK) {
        tx_free(touch);
    }
    return status;
}
