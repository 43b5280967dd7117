/* SPDX-License-Identifier: MIT */
/* Strings and numbers: what people store most. */
#include <string.h>

#include "base/text.h"
#include "txreg/txreg_internal.h"

TX_API enum tx_status txreg_set_string(struct ktm_txn *txn, const char *key, const char *name,
                                       const char *text, struct tx_error *err)
{
    TX_AUTO(tx_buf) utf16 = TX_BUF_INIT;
    TX_TRY(tx_utf8_to_utf16(text, strlen(text), &utf16, err));
    TX_TRY(tx_buf_put16(&utf16, 0, err));
    return txreg_set(txn, key, name, TXREG_SZ, utf16.data, utf16.size, err);
}

TX_API enum tx_status txreg_set_u32(struct ktm_txn *txn, const char *key, const char *name,
                                    uint32_t number, struct tx_error *err)
{
    uint8_t bytes[4];
    tx_put32(bytes, number);
    return txreg_set(txn, key, name, TXREG_DWORD, bytes, sizeof(bytes), err);
}

TX_API enum tx_status txreg_set_u64(struct ktm_txn *txn, const char *key, const char *name,
                                    uint64_t number, struct tx_error *err)
{
    uint8_t bytes[8];
    tx_put64(bytes, number);
    return txreg_set(txn, key, name, TXREG_QWORD, bytes, sizeof(bytes), err);
}

TX_API enum tx_status txreg_get_string(struct ktm_txn *txn, const char *key, const char *name,
                                       char **text, struct tx_error *err)
{
    uint32_t type;
    TX_AUTO(tx_buf) data = TX_BUF_INIT;
    TX_AUTO(tx_buf) utf8 = TX_BUF_INIT;
    TX_TRY(txreg_get(txn, key, name, &type, &data, err));
    if (type != TXREG_SZ && type != TXREG_EXPAND_SZ) {
        return tx_error_set(err, TX_ETYPE, "value \"%s\" of key \"%s\" has type %u, no string",
                            name, key, type);
    }
    /* Stored strings need not end in a NUL, nor have a whole number of units. */
    size_t units = 0;
    while (units < data.size / 2 && tx_get16(data.data + 2 * units) != 0) {
        units++;
    }
    TX_TRY(tx_utf16_to_utf8(data.data, units, &utf8, err));
    TX_TRY(tx_buf_put8(&utf8, 0, err));
    *text = (char *)utf8.data;
    utf8 = (struct tx_buf)TX_BUF_INIT;
    return TX_OK;
}
