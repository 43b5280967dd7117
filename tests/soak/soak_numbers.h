/* SPDX-License-Identifier: MIT */
/* A number as the whole content of a file, many times over, or as a value of the registry. What is
 * not there counts as 0. */
#ifndef SOAK_NUMBERS_H
#define SOAK_NUMBERS_H

#include <stdint.h>

#include <txkit/txkit.h>

enum tx_status soak_put_number(struct ktm_txn *txn, const char *path, uint64_t number,
                               struct tx_error *err);
/* UINT64_MAX when the parts of the file disagree. */
enum tx_status soak_get_number(struct ktm_txn *txn, const char *path, uint64_t *number,
                               struct tx_error *err);
enum tx_status soak_get_value(struct ktm_txn *txn, const char *key, const char *name,
                              uint64_t *number, struct tx_error *err);
enum tx_status soak_set_value(struct ktm_txn *txn, const char *key, const char *name,
                              uint64_t number, struct tx_error *err);

#endif
