/* SPDX-License-Identifier: MIT */
/* Transactions by id (cmd_begin.c). */
#ifndef TXCTL_TXN_ID_H
#define TXCTL_TXN_ID_H

#include "txctl/txctl_internal.h"

/* Parse an id; NULL: that of --tx. */
enum tx_status txctl_id(const struct txctl_context *context, const char *text, struct ktm_id *id,
                        struct tx_error *err) TX_CHECKED;

#endif
