/* SPDX-License-Identifier: MIT */
/* A transaction's view: its entries carried out over its snapshot. */
#include <string.h>

#include "txreg/txreg_view.h"

static void view_free(struct reg_view *view)
{
    reg_table_clear(&view->touches);
    reg_space_auto(&view->space);
    tx_free(view);
}

/* An entry that was added over an older snapshot must find what it found then. */
static enum tx_status check_base(struct reg_view *view, const struct reg_entry *entry,
                                 struct tx_error *err)
{
    struct reg_space *space = &view->space;
    uint64_t id = reg_path_id(&space->path, space->path.depth);
    struct reg_key unit;
    tx_lsn revision;
    TX_TRY(reg_entry_unit(space, entry, &unit, err));
    TX_TRY(reg_base_revision(space, &unit, &revision, err));
    bool same_key = entry->key_id == (id < space->new_id ? id : 0);
    if (same_key && revision == entry->base_revision) {
        return TX_OK;
    }
    if (same_key && revision > entry->base_revision) {
        return tx_error_set(err, TX_ECONFLICT, "registry key \"%s\" was changed by commit %llu "
                            "since this transaction touched it", entry->key,
                            (unsigned long long)revision);
    }
    return tx_error_set(err, TX_ECONFLICT,
                        "registry key \"%s\" was changed since this transaction touched it",
                        entry->key);
}

static enum tx_status replay_entry(struct reg_view *view, const struct reg_entry *entry,
                                   struct tx_error *err)
{
    TX_TRY(reg_apply_resolve(&view->space, entry, err));
    TX_TRY(check_base(view, entry, err));
    TX_TRY(reg_touch_entry(view, entry, err));
    return reg_apply(&view->space, entry, err);
}

static bool does_not_fit(enum tx_status status)
{
    return status == TX_ENOTFOUND || status == TX_EEXIST || status == TX_ENOTEMPTY;
}

static enum tx_status replay(struct reg_view *view, struct tx_error *err)
{
    struct ktm_cursor cursor = ktm_txn_entries(view->txn);
    struct ktm_change change;
    while (ktm_cursor_next(&cursor, &change)) {
        struct reg_entry entry;
        if (change.rm != TXREG_RM) {
            continue;
        }
        TX_TRY(reg_entry_decode(&entry, &change, err));
        enum tx_status status = replay_entry(view, &entry, err);
        if (does_not_fit(status)) {
            tx_error_prefix(err, "the registry was changed since this transaction touched it");
            if (err != NULL) {
                err->status = TX_ECONFLICT;
            }
            return TX_ECONFLICT;
        }
        TX_TRY(status);
    }
    return TX_OK;
}

enum tx_status reg_rm_begin(void *rm, struct ktm_txn *txn, void **view, struct tx_error *err)
{
    struct txreg *reg = rm;
    uint8_t token[KTM_TOKEN_SIZE];
    struct reg_state state;
    ktm_txn_token(txn, TXREG_RM, token);
    TX_TRY(reg_state_decode(&state, token, err));
    struct reg_view *made = tx_alloc(sizeof(*made));
    if (made == NULL) {
        return tx_error_set(err, TX_ENOMEM, "no memory for a view of the registry");
    }
    *made = (struct reg_view){.reg = reg, .txn = txn, .state = state, .broken = TX_OK};
    made->is_serializable = ktm_txn_is_serializable(txn);
    reg_table_init(&made->touches, tx_free);
    reg_space_init(&made->space, reg, &state);
    made->space.time_ns = reg->io->ops->realtime_ns(reg->io);
    enum tx_status status = replay(made, err);
    if (status != TX_OK) {
        view_free(made);
        return status;
    }
    *view = made;
    return TX_OK;
}

enum tx_status reg_rm_rebuild(void *rm, struct ktm_txn *txn, void *view, struct tx_error *err)
{
    struct reg_view *mine = view;
    (void)rm;
    (void)txn;
    reg_space_clear(&mine->space);
    mine->space.key_count = mine->state.key_count;
    if (!mine->is_serializable) { /* what was read stays read */
        reg_table_clear(&mine->touches);
    }
    mine->broken = replay(mine, err);
    return mine->broken;
}

void reg_rm_end(void *rm, struct ktm_txn *txn, void *view)
{
    (void)rm;
    (void)txn;
    view_free(view);
}

enum tx_status reg_rm_flush(void *rm, struct ktm_txn *txn, void *view, struct tx_error *err)
{
    (void)rm;
    (void)txn;
    (void)view; /* every call makes its entries at once */
    (void)err;
    return TX_OK;
}

enum tx_status reg_view_of(struct ktm_txn *txn, struct reg_view **view, struct tx_error *err)
{
    void *found = NULL;
    TX_TRY(ktm_txn_view(txn, TXREG_RM, &found, err));
    struct reg_view *mine = found;
    if (mine->broken != TX_OK) {
        return tx_error_set(err, mine->broken,
                            "an earlier failure left this transaction unusable; roll it back");
    }
    *view = mine;
    return TX_OK;
}

enum tx_status reg_view_to_change(struct ktm_txn *txn, struct reg_view **view, struct tx_error *err)
{
    struct reg_view *found = NULL;
    TX_TRY(reg_view_of(txn, &found, err));
    if (found->walking > 0) {
        return tx_error_set(err, TX_EMISUSE, "the registry cannot be changed while it is listed");
    }
    *view = found;
    return TX_OK;
}

enum tx_status reg_view_emit(struct reg_view *view, struct reg_entry *entry, struct tx_error *err)
{
    struct reg_space *space = &view->space;
    struct reg_key unit;
    TX_AUTO(tx_buf) text = TX_BUF_INIT;
    uint64_t id = reg_path_id(&space->path, space->path.depth);
    if (entry->op != REG_OP_CREATE) {
        TX_TRY(reg_path_append(&space->path, space->path.depth, &text, err));
        entry->key_size = (uint32_t)text.size;
        TX_TRY(tx_buf_put8(&text, 0, err));
        entry->key = (const char *)text.data;
    }
    entry->key_id = id < space->new_id ? id : 0;
    TX_TRY(reg_entry_unit(space, entry, &unit, err));
    TX_TRY(reg_base_revision(space, &unit, &entry->base_revision, err));
    TX_TRY(reg_touch_entry(view, entry, err));
    TX_TRY(reg_entry_add(view->txn, entry, err));
    enum tx_status status = reg_apply(space, entry, err);
    if (status != TX_OK) { /* the entry stands, so nothing that the view shows may be believed */
        view->broken = status;
    }
    return status;
}

enum tx_status reg_view_resolve(struct reg_view *view, const char *path, uint64_t *id,
                                struct tx_error *err)
{
    struct reg_space *space = &view->space;
    const char *rest;
    TX_TRY(reg_resolve(space, path, &rest, err));
    *id = reg_path_id(&space->path, space->path.depth);
    if (view->is_serializable) {
        TX_TRY(reg_touch_path(view, err));
        if (*rest != 0) {
            struct reg_key key;
            TX_TRY(reg_key_child(&key, *id, rest, strcspn(rest, "\\"), err));
            TX_TRY(reg_touch(view, &key, REG_TOUCH_READ, path, err));
        }
    }
    return *rest == 0 ? TX_OK : tx_error_set(err, TX_ENOTFOUND, "no key \"%s\"", path);
}
