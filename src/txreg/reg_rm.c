/* SPDX-License-Identifier: MIT */
/* The registry as the transaction manager sees it. */
#include <string.h>

#include "txreg/txreg_view.h"

static enum tx_status open_image(const struct txreg_options *options, int *fd, bool *writable,
                                 struct tx_error *err)
{
    enum tx_status status =
        txio_open(options->io, options->store_dir, REG_IMAGE_PATH, TXIO_WRITE, 0, fd, err);
    *writable = status == TX_OK;
    if (status == TX_EPERM || status == TX_EREADONLY) { /* then it may still be read */
        status = txio_open(options->io, options->store_dir, REG_IMAGE_PATH, TXIO_READ, 0, fd, err);
    }
    if (status == TX_ENOTFOUND) {
        return tx_error_set(err, TX_ECORRUPT, "%s is missing", REG_IMAGE_PATH);
    }
    return status;
}

TX_API enum tx_status txreg_rm_open(const struct txreg_options *options, struct txreg **reg,
                                    struct tx_error *err)
{
    struct txreg *opened = tx_alloc_zero(sizeof(*opened));
    if (opened == NULL) {
        return tx_error_set(err, TX_ENOMEM, "no memory for the registry");
    }
    opened->io = options->io;
    opened->shared = options->shared;
    enum tx_status status = open_image(options, &opened->fd, &opened->writable, err);
    if (status != TX_OK) {
        tx_free(opened);
        return status;
    }
    *reg = opened;
    return TX_OK;
}

TX_API void txreg_rm_close(struct txreg *reg)
{
    reg_cache_release(reg);
    (void)reg->io->ops->close(reg->io, reg->fd); /* what counts was forced by steady */
    tx_free(reg);
}

TX_API const struct ktm_rm_ops *txreg_rm_ops(void)
{
    static const struct ktm_rm_ops ops = {
        .name = "registry",
        .begin = reg_rm_begin,
        .rebuild = reg_rm_rebuild,
        .end = reg_rm_end,
        .flush = reg_rm_flush,
        .prepare = reg_rm_prepare,
        .redo = reg_rm_redo,
        .open_steady = reg_rm_open_steady,
        .confirm_steady = reg_rm_confirm_steady,
        .steady = reg_rm_steady,
        .trim = reg_rm_trim,
    };
    return &ops;
}
