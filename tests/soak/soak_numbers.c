/* SPDX-License-Identifier: MIT */
/* Numbers in files and values. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "soak/soak_numbers.h"

enum tx_status soak_put_number(struct ktm_txn *txn, const char *path, uint64_t number,
                               struct tx_error *err)
{
    char text[4096];
    /* Longer than a sector, so that a mixture inside the file would show. */
    for (size_t at = 0; at < sizeof text; at += 16) {
        snprintf(text + at, sizeof text - at, "%015llu", (unsigned long long)number);
        text[at + 15] = '\n';
    }
    return txfs_put(txn, path, text, sizeof text, NULL, err);
}

/* 0 when the file does not exist; UINT64_MAX when its parts disagree. */
enum tx_status soak_get_number(struct ktm_txn *txn, const char *path, uint64_t *number,
                               struct tx_error *err)
{
    struct txfs_file *file = NULL;
    char text[4096];
    size_t done = 0;
    enum tx_status status = txfs_open(txn, path, TXFS_READ, 0, &file, err);
    *number = 0;
    if (status != TX_OK) {
        return status == TX_ENOTFOUND ? TX_OK : status;
    }
    status = txfs_pread(file, text, sizeof text, 0, &done, err);
    txfs_abandon(file);
    if (status != TX_OK) {
        return status;
    }
    *number = strtoull(text, NULL, 10);
    for (size_t at = 16; at < done; at += 16) {
        if (memcmp(text, text + at, 16) != 0) {
            *number = UINT64_MAX;
        }
    }
    if (done != sizeof text) {
        *number = UINT64_MAX;
    }
    return TX_OK;
}

enum tx_status soak_get_value(struct ktm_txn *txn, const char *key, const char *name,
                              uint64_t *number, struct tx_error *err)
{
    char *text = NULL;
    enum tx_status status = txreg_get_string(txn, key, name, &text, err);
    *number = 0;
    if (status == TX_OK) {
        *number = strtoull(text, NULL, 10);
        free(text);
    }
    return status == TX_ENOTFOUND ? TX_OK : status;
}

enum tx_status soak_set_value(struct ktm_txn *txn, const char *key, const char *name,
                              uint64_t number, struct tx_error *err)
{
    char text[32];
    snprintf(text, sizeof text, "%llu", (unsigned long long)number);
    enum tx_status status = txreg_create(txn, key, NULL, NULL, err);
    return status == TX_OK ? txreg_set_string(txn, key, name, text, err) : status;
}
