/* SPDX-License-Identifier: MIT */
/* The one place that knows all layers: which RMs a store has, and what they are given. */
#include "store/store_internal.h"

static void wire_foreign(void *arg, const char *path, const char *kept_as)
{
    struct txstore *store = arg;
    (void)path; /* the object itself is kept below undo/; here it is only counted */
    (void)kept_as;
    store->foreign_kept++;
}

enum tx_status txstore_wire_files(struct txstore *store, struct tx_error *err)
{
    struct txfs_options options = {
        .io = store->io,
        .root_dir = store->root_dir,
        .store_dir = store->dir,
        .store_name = txstore_name_in_root(store),
        .inline_max = store->settings.inline_max,
        .history_count_max = (uint32_t)store->settings.history_count_max,
        .history_size_max = store->settings.history_size_max,
    };
    TX_TRY(txfs_rm_open(&options, &store->fs, err));
    txfs_on_foreign(store->fs, wire_foreign, store);
    return TX_OK;
}

static enum tx_status wire_rms(struct txstore *store, struct tx_error *err)
{
    struct txreg_options registry = {
        .io = store->io,
        .store_dir = store->dir,
        .shared = txstore_shared_reg(store),
    };
    if (!store->fs) {
        TX_TRY(txstore_wire_files(store, err));
    }
    return store->reg ? TX_OK : txreg_rm_open(&registry, &store->reg, err);
}

enum tx_status txstore_claim_durable(struct txstore *store, struct tx_error *err)
{
    uint8_t token[KTM_TOKEN_SIZE];
    tx_lsn lsn;
    TX_TRY(wire_rms(store, err));
    TX_TRY(txfs_rm_ops()->open_steady(store->fs, &lsn, token, err));
    txlog_claim_durable(store->log, lsn);
    TX_TRY(txreg_rm_ops()->open_steady(store->reg, &lsn, token, err));
    txlog_claim_durable(store->log, lsn);
    return TX_OK;
}

enum tx_status txstore_wire(struct txstore *store, struct tx_error *err)
{
    struct ktm_options options = {
        .io = store->io,
        .store_dir = store->dir,
        .log = store->log,
        .shared = txstore_shared_ktm(store),
        .conflict_entries = store->settings.conflict_entries,
        .read_only = store->mode != TXSTORE_READWRITE,
        .salvage = store->mode == TXSTORE_SALVAGE,
    };
    TX_TRY(wire_rms(store, err));
    options.rm_ops[TXFS_RM] = txfs_rm_ops();
    options.rms[TXFS_RM] = store->fs;
    options.rm_ops[TXREG_RM] = txreg_rm_ops();
    options.rms[TXREG_RM] = store->reg;
    return ktm_open(&options, &store->tm, err);
}

void txstore_unwire(struct txstore *store)
{
    if (store->tm) {
        ktm_close(store->tm);
    }
    if (store->reg) {
        txreg_rm_close(store->reg);
    }
    if (store->fs) {
        txfs_rm_close(store->fs);
    }
    if (store->log) {
        txlog_close(store->log);
    }
    store->tm = NULL;
    store->reg = NULL;
    store->fs = NULL;
    store->log = NULL;
}
