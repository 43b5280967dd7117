/* SPDX-License-Identifier: MIT */
/* A subtree of the registry as text (reg5_text.c) and as JSON (reg_json.c). */
#ifndef TXCTL_REG_EXPORT_H
#define TXCTL_REG_EXPORT_H

#include "txctl/reg_text.h"

/* "Windows Registry Editor Version 5.00": UTF-16LE with BOM and CRLF. `lossless` keeps what regedit
 * would lose: strings without or beyond their NUL, and class and time as comments. */
enum tx_status txctl_reg5_write(struct ktm_txn *txn, const char *key, bool lossless, FILE *out,
                                struct tx_error *err) TX_CHECKED;
enum tx_status txctl_reg_tree_json(struct ktm_txn *txn, const char *key, json_t **object,
                                   struct tx_error *err) TX_CHECKED;

#endif
