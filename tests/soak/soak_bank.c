/* SPDX-License-Identifier: MIT */
/* Accounts: 0 to 3 are files, 4 to 7 values. */
#include <stdio.h>
#include <stdlib.h>

#include "soak/soak_bank.h"
#include "soak/soak_numbers.h"

#define ACCOUNTS 8u
#define FILE_ACCOUNTS 4u
#define AMOUNT_MAX 50u

static enum tx_status balance(struct ktm_txn *txn, unsigned account, uint64_t *amount,
                              struct tx_error *err)
{
    char name[32];
    if (account < FILE_ACCOUNTS) {
        snprintf(name, sizeof name, "bank/a%u", account);
        return soak_get_number(txn, name, amount, err);
    }
    snprintf(name, sizeof name, "Bank\\a%u", account);
    return soak_get_value(txn, name, "Balance", amount, err);
}

static enum tx_status set_balance(struct ktm_txn *txn, unsigned account, uint64_t amount,
                                  struct tx_error *err)
{
    char name[32];
    if (account < FILE_ACCOUNTS) {
        snprintf(name, sizeof name, "bank/a%u", account);
        return soak_put_number(txn, name, amount, err);
    }
    snprintf(name, sizeof name, "Bank\\a%u", account);
    return soak_set_value(txn, name, "Balance", amount, err);
}

enum tx_status soak_bank_open(struct ktm_txn *txn, struct tx_error *err)
{
    enum tx_status status = txfs_mkdir_parents(txn, "bank", 0755, err);
    for (unsigned account = 0; status == TX_OK && account < ACCOUNTS; account++) {
        status = set_balance(txn, account, SOAK_BANK_SUM / ACCOUNTS, err);
    }
    return status;
}

enum tx_status soak_bank_transfer(struct ktm_txn *txn, struct tx_error *err)
{
    unsigned from = (unsigned)random() % ACCOUNTS;
    unsigned to = (from + 1 + (unsigned)random() % (ACCOUNTS - 1)) % ACCOUNTS;
    uint64_t there = 0, here = 0;
    enum tx_status status = balance(txn, from, &there, err);
    if (status == TX_OK) {
        status = balance(txn, to, &here, err);
    }
    uint64_t amount = (uint64_t)random() % (AMOUNT_MAX + 1);
    amount = amount > there ? there : amount;
    if (status == TX_OK) {
        status = set_balance(txn, from, there - amount, err);
    }
    return status == TX_OK ? set_balance(txn, to, here + amount, err) : status;
}

enum tx_status soak_bank_sum(struct ktm_txn *txn, uint64_t *sum, struct tx_error *err)
{
    enum tx_status status = TX_OK;
    uint64_t amount = 0;
    *sum = 0;
    for (unsigned account = 0; status == TX_OK && account < ACCOUNTS; account++) {
        status = balance(txn, account, &amount, err);
        *sum += amount;
    }
    return status;
}
