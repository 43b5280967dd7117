/* SPDX-License-Identifier: MIT */
/* Keys below a key. */
#include "txctl/reg_text.h"

static enum tx_status collect_key(void *arg, const struct txreg_key_info *info,
                                  struct tx_error *err)
{
    (void)err;
    txctl_names_add(arg, info->name, 0);
    return TX_OK;
}

enum tx_status txctl_reg_subkeys(struct ktm_txn *txn, const char *key, struct txctl_names *names,
                                 struct tx_error *err)
{
    return txreg_each_key(txn, key, collect_key, names, err);
}

static enum tx_status walk_at(struct ktm_txn *txn, const char *key, int depth,
                              txctl_reg_key_fn *fn, void *arg, struct tx_error *err)
{
    AUTO_NAMES names = {0};
    TRY(fn(arg, key, depth, err));
    if (depth > TXREG_DEPTH_MAX) {
        return tx_error_set(err, TX_ELIMIT, "more than %d levels deep", TXREG_DEPTH_MAX);
    }
    TRY(txctl_reg_subkeys(txn, key, &names, err));
    for (size_t i = 0; i < names.count; i++) {
        AUTO_TEXT inner = txctl_reg_join(key, names.items[i].name);
        TRY(walk_at(txn, inner, depth + 1, fn, arg, err));
    }
    return TX_OK;
}

enum tx_status txctl_reg_walk(struct ktm_txn *txn, const char *key, txctl_reg_key_fn *fn, void *arg,
                              struct tx_error *err)
{
    return walk_at(txn, key, 0, fn, arg, err);
}
