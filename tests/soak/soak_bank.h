/* SPDX-License-Identifier: MIT */
/* A bank: four accounts are files, four are values of the registry. Money moves between any two. */
#ifndef SOAK_BANK_H
#define SOAK_BANK_H

#include <stdint.h>

#include <txkit/txkit.h>

#define SOAK_BANK_SUM 8000u /* of all accounts, always */

/* Give each account its first 1,000. */
enum tx_status soak_bank_open(struct ktm_txn *txn, struct tx_error *err);
/* Move some of it from one to another, both drawn with random(3). */
enum tx_status soak_bank_transfer(struct ktm_txn *txn, struct tx_error *err);
enum tx_status soak_bank_sum(struct ktm_txn *txn, uint64_t *sum, struct tx_error *err);

#endif
