/* SPDX-License-Identifier: MIT */
/*
 * The vote. Every unit that the transaction read or wrote must have in the published state the
 * revision that it has in the snapshot; what commits after this look is caught by the keys that
 * are handed to the conflict table.
 */
#include <string.h>

#include "base/hash.h"
#include "txreg/txreg_view.h"

static enum tx_status check_unit(struct reg_view *view, struct reg_tree *published,
                                 const struct reg_table_entry *unit, struct tx_error *err)
{
    const struct reg_touch *touch = unit->value;
    struct reg_key key = {.size = (uint16_t)unit->key_size};
    tx_lsn before;
    tx_lsn now;
    if ((touch->mode & (REG_TOUCH_READ | REG_TOUCH_WRITE)) == 0) {
        return TX_OK;
    }
    memcpy(key.bytes, unit->key, unit->key_size);
    TX_TRY(reg_tree_revision(&view->space.base, &key, &before, err));
    TX_TRY(reg_tree_revision(published, &key, &now, err));
    if (before == now) {
        return TX_OK;
    }
    if (now == 0) {
        return tx_error_set(err, TX_ECONFLICT,
                            "registry \"%s\": removed by another transaction", touch->label);
    }
    return tx_error_set(err, TX_ECONFLICT, "registry \"%s\": changed by commit %llu", touch->label,
                        (unsigned long long)now);
}

static enum tx_status check_units(struct reg_view *view, const struct reg_state *published,
                                  struct tx_error *err)
{
    TX_AUTO(reg_tree) tree;
    reg_tree_open(&tree, view->reg, published);
    for (size_t i = 0; i < view->touches.count; i++) {
        TX_TRY(check_unit(view, &tree, view->touches.entries[i], err));
    }
    return TX_OK;
}

static enum tx_status vote_on(struct ktm_vote *vote, const struct reg_table_entry *unit,
                              struct tx_error *err)
{
    const struct reg_touch *touch = unit->value;
    uint64_t key = tx_hash64(unit->key, unit->key_size, TXREG_RM);
    bool is_read = (touch->mode & REG_TOUCH_READ) != 0;
    bool is_marked = (touch->mode & REG_TOUCH_MARK) != 0;
    if ((touch->mode & REG_TOUCH_WRITE) != 0 || (is_read && is_marked)) {
        return ktm_vote_write(vote, key, touch->label, err);
    }
    return is_read ? ktm_vote_read(vote, key, touch->label, err)
                   : ktm_vote_mark(vote, key, touch->label, err);
}

enum tx_status reg_rm_prepare(void *rm, struct ktm_txn *txn, void *view, struct ktm_vote *vote,
                              struct tx_error *err)
{
    struct reg_view *mine = view;
    uint8_t snapshot[KTM_TOKEN_SIZE];
    uint8_t token[KTM_TOKEN_SIZE];
    struct reg_state published;
    (void)rm;
    if (mine->broken != TX_OK) {
        return tx_error_set(err, mine->broken,
                            "an earlier failure left the registry's view broken");
    }
    ktm_published_token(ktm_txn_manager(txn), TXREG_RM, token);
    TX_TRY(reg_state_decode(&published, token, err));
    reg_state_encode(&mine->state, snapshot);
    if (memcmp(token, snapshot, sizeof(token)) != 0) {
        TX_TRY(check_units(mine, &published, err));
    }
    for (size_t i = 0; i < mine->touches.count; i++) {
        TX_TRY(vote_on(vote, mine->touches.entries[i], err));
    }
    return TX_OK;
}
