/* SPDX-License-Identifier: MIT */
/*
 * The overlay of one transaction, derived from its entries and from nothing else: what is built
 * while entries are added, what attaching builds from stored entries, and what remains after
 * rolling back to a savepoint are the work of the same function (txfs_view_sync).
 */
#include <string.h>
#include <sys/stat.h>

#include "base/mutant.h"
#include "txfs/overlay.h"

static void release_node(void *node)
{
    tx_free(node);
}

static void init_overlay(struct txfs_view *view)
{
    tx_map_init(&view->nodes, release_node);
    txfs_index_init(view);
    view->consumed = 0;
    view->inline_total = 0;
}

static void release_overlay(struct txfs_view *view)
{
    tx_map_release(&view->nodes);
    txfs_index_release(view);
}

enum tx_status txfs_view_new(struct txfs *fs, struct ktm_txn *txn, struct txfs_view **view,
                             struct tx_error *err)
{
    struct txfs_view *made = tx_alloc_zero(sizeof *made);
    if (made == NULL) {
        return tx_error_set(err, TX_ENOMEM, "no memory for a view");
    }
    made->fs = fs;
    made->txn = txn;
    made->tm = ktm_txn_manager(txn);
    made->snapshot = ktm_txn_snapshot(txn);
    made->next_staged = 1;
    made->generation = TX_MUTANT(113) ? 0 : 1; /* a handle's 0: it has to be loaded */
    init_overlay(made);
    tx_map_init(&made->seen, tx_free);
    tx_map_init(&made->reads, tx_free);
    tx_map_init(&made->listed, NULL);
    tx_map_init(&made->parents, tx_free);
    tx_map_init(&made->dirs, tx_free);
    int failed = fs->io->ops->user_id(fs->io, &made->uid, &made->gid);
    enum tx_status status = failed < 0 ? tx_error_os(err, -failed, "ask for the user")
                                       : txfs_view_sync(made, err);
    if (status != TX_OK) {
        txfs_view_free(made);
        return status;
    }
    *view = made;
    return TX_OK;
}

void txfs_view_free(struct txfs_view *view)
{
    release_overlay(view);
    tx_map_release(&view->seen);
    tx_map_release(&view->reads);
    tx_map_release(&view->listed);
    tx_map_release(&view->parents);
    tx_map_release(&view->dirs);
    txfs_base_forget_dirs(view);
    txfs_past_free(view->past);
    tx_free(view);
}

enum tx_status txfs_view_of(struct ktm_txn *txn, struct txfs_view **view, struct tx_error *err)
{
    void *found;
    TX_TRY(ktm_txn_view(txn, TXFS_RM, &found, err));
    struct txfs_view *mine = found;
    if (mine->broken != TX_OK) {
        return tx_error_set(err, TX_EABORTED, "an earlier change of this transaction failed: %s",
                            tx_status_text(mine->broken));
    }
    *view = mine;
    return TX_OK;
}

enum tx_status txfs_view_end_change(struct txfs_view *view, size_t begun, enum tx_status status)
{
    if (status != TX_OK && view->broken == TX_OK && view->consumed != begun) {
        view->broken = status;
    }
    return status;
}

const struct txfs_node *txfs_view_node(const struct txfs_view *view, const char *path)
{
    return tx_map_get(&view->nodes, path, strlen(path));
}

struct txfs_entry txfs_node_entry(const struct txfs_view *view, const struct txfs_node *node)
{
    struct txfs_entry entry = node->entry;
    entry.content = ktm_txn_entries(view->txn).next + node->content_at;
    return entry;
}

const struct txfs_node *txfs_view_below(const struct txfs_view *view, const char *path,
                                        const char *after)
{
    struct tx_map_entry found;
    bool any;
    if (after != NULL) {
        any = tx_map_after(&view->nodes, after, strlen(after), &found);
    } else if (path[0] == '\0') {
        any = tx_map_at_or_after(&view->nodes, NULL, 0, &found);
    } else {
        char first[TXFS_PATH_MAX + 2];
        size_t size = strlen(path);
        memcpy(first, path, size);
        first[size] = '/';
        any = tx_map_at_or_after(&view->nodes, first, size + 1, &found);
    }
    if (!any) {
        return NULL;
    }
    const struct txfs_node *node = found.value;
    return txfs_path_is_below(node->entry.path, path) ? node : NULL;
}

/* Copy what the overlay needs of an entry; its content stays in the change set. */
static struct txfs_node *copy_node(const struct txfs_entry *entry, const struct ktm_change *change,
                                   const uint8_t *origin)
{
    size_t head_size = change->body_size - entry->content_size;
    struct txfs_node *node = tx_alloc(sizeof *node + head_size);
    if (node == NULL) {
        return NULL;
    }
    memcpy(node->head, change->body, head_size);
    node->entry = *entry;
    node->content_at = (size_t)(entry->content - origin);
    const uint8_t *body = change->body;
    const char *head = (const char *)node->head;
    node->entry.path = head + ((const uint8_t *)entry->path - body);
    if (entry->target != NULL) {
        node->entry.target = head + ((const uint8_t *)entry->target - body);
    }
    if (entry->base_path != NULL) {
        node->entry.base_path = head + ((const uint8_t *)entry->base_path - body);
    }
    node->entry.xattrs = node->head + (entry->xattrs - body);
    node->entry.extents = node->head + (entry->extents - body);
    node->entry.content = NULL;
    return node;
}

/* Rule 2 of txfs_internal.h: another object at `path` voids what was said below it. */
static void void_below(struct txfs_view *view, const char *path)
{
    const struct txfs_node *node;
    while ((node = txfs_view_below(view, path, NULL)) != NULL) {
        txfs_index_remove(view, &node->entry, false);
        (void)tx_map_remove(&view->nodes, node->entry.path, strlen(node->entry.path));
    }
}

/* Record what a new path displaces, and what a move or link takes. */
static enum tx_status touch_entry(struct txfs_view *view, const struct txfs_entry *entry,
                                  struct tx_error *err)
{
    char real[TXFS_PATH_MAX + 1];
    bool opaque;
    if (txfs_view_node(view, entry->path) == NULL) {
        TX_TRY(txfs_shows_through(view, entry->path, &opaque, real, err));
        if (!opaque) {
            TX_TRY(txfs_touch(&view->touched, entry->base_path ? entry->base_path : entry->path,
                              &entry->base, err));
        }
    }
    if (!entry->source.existed) {
        return TX_OK;
    }
    if (entry->kind == TXFS_CHANGE_MOVED) {
        return txfs_touch(&view->touched, entry->target, &entry->source, err);
    }
    if (entry->kind == TXFS_CHANGE_LINK) {
        const struct txfs_node *node = txfs_view_node(view, entry->target);
        const char *named = node != NULL ? txfs_node_real(node) : NULL;
        if (named != NULL) {
            return txfs_touch(&view->touched, named, &entry->source, err);
        }
        TX_TRY(txfs_shows_through(view, entry->target, &opaque, real, err));
        return opaque ? TX_OK : txfs_touch(&view->touched, real, &entry->source, err);
    }
    return TX_OK;
}

static enum tx_status take_entry(struct txfs_view *view, const struct ktm_change *change,
                                 const uint8_t *origin, struct tx_error *err)
{
    struct txfs_entry entry;
    TX_TRY(txfs_entry_decode(change, &entry, err));
    TX_TRY(touch_entry(view, &entry, err));
    const struct txfs_node *prior = txfs_view_node(view, entry.path);
    bool same = (entry.flags & TXFS_ENTRY_SAME) != 0;
    struct txfs_node *node = copy_node(&entry, change, origin);
    if (node == NULL) {
        return tx_error_set(err, TX_ENOMEM, "no memory for an entry");
    }
    if (prior != NULL) {
        txfs_index_remove(view, &prior->entry, same);
    }
    if (!same) {
        void_below(view, entry.path);
    }
    enum tx_status status = tx_map_set(&view->nodes, entry.path, strlen(entry.path), node, err);
    if (status != TX_OK) {
        tx_free(node);
        return status;
    }
    view->inline_total += entry.content_size;
    if (entry.staged >= view->next_staged) {
        view->next_staged = entry.staged + 1;
    }
    return txfs_index_add(view, &node->entry, err);
}

/* Cached directories stay right when a file comes, goes or changes; anything else may be one. */
static bool spares_directories(const struct txfs_view *view, const struct txfs_entry *entry)
{
    const struct txfs_node *prior = txfs_view_node(view, entry->path);
    bool was_file = prior != NULL ? prior->entry.kind == TXFS_CHANGE_FILE
                                  : !entry->base.existed || S_ISREG(entry->base.mode);
    return was_file && entry->kind != TXFS_CHANGE_MOVED;
}

enum tx_status txfs_view_sync(struct txfs_view *view, struct tx_error *err)
{
    struct ktm_cursor all = ktm_txn_entries(view->txn);
    struct ktm_change change;
    if (all.left == view->consumed) {
        return TX_OK;
    }
    const uint8_t *origin = all.next;
    struct ktm_cursor cursor = {origin + view->consumed, all.left - view->consumed};
    while (ktm_cursor_next(&cursor, &change)) {
        if (change.rm == TXFS_RM) {
            enum tx_status status = take_entry(view, &change, origin, err);
            if (status != TX_OK) {
                view->broken = status; /* the change set says more than the overlay shows */
                return status;
            }
            view->generation++;
        }
        view->consumed = (size_t)(cursor.next - origin);
    }
    return TX_OK;
}

enum tx_status txfs_view_rebuild(struct txfs_view *view, struct tx_error *err)
{
    release_overlay(view);
    init_overlay(view);
    txfs_resolve_forget(view);
    view->broken = TX_OK;
    view->generation++;
    return txfs_view_sync(view, err);
}

enum tx_status txfs_view_add(struct txfs_view *view, const struct txfs_entry *entry,
                             struct tx_error *err)
{
    TX_AUTO(tx_buf) head = TX_BUF_INIT;
    TX_AUTO(tx_buf) copy = TX_BUF_INIT;
    struct ktm_cursor all = ktm_txn_entries(view->txn);
    const uint8_t *content = entry->content;
    TX_TRY(txfs_entry_encode(entry, &head, err));
    bool is_own = entry->content_size > 0 && all.left > 0 && content >= all.next &&
                  content < all.next + all.left;
    if (is_own) {
        TX_TRY(tx_buf_append(&copy, content, entry->content_size, err)); /* the set may move */
        content = copy.data;
    }
    bool spares = spares_directories(view, entry);
    struct iovec parts[2] = {{head.data, head.size}, {(void *)(uintptr_t)content,
                                                      entry->content_size}};
    TX_TRY(ktm_txn_add(view->txn, TXFS_RM, entry->kind, entry->flags, parts,
                       entry->content_size > 0 ? 2 : 1, err));
    if (!spares) {
        txfs_resolve_forget(view);
    }
    return txfs_view_sync(view, err);
}
