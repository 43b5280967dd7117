/* SPDX-License-Identifier: MIT */
/* A subtree of the registry as nested JSON; exact, since every value carries its bytes. */
#include "txctl/reg_export.h"

static enum tx_status add_value(void *arg, const char *name, uint32_t type, const uint8_t *data,
                                size_t size, struct tx_error *err)
{
    (void)err;
    json_array_append_new(arg, txctl_reg_json(name, type, data, size));
    return TX_OK;
}

static enum tx_status add_contents(struct ktm_txn *txn, const char *key, json_t *object,
                                   struct tx_error *err);

static enum tx_status add_subkeys(struct ktm_txn *txn, const char *key, json_t *array,
                                  struct tx_error *err)
{
    AUTO_NAMES names = {0};
    TRY(txctl_reg_subkeys(txn, key, &names, err));
    for (size_t i = 0; i < names.count; i++) {
        AUTO_TEXT inner = txctl_reg_join(key, names.items[i].name);
        json_t *object = json_object();
        json_array_append_new(array, object);
        json_object_set_new(object, "name", txctl_json_name(names.items[i].name));
        TRY(add_contents(txn, inner, object, err));
    }
    return TX_OK;
}

static enum tx_status add_contents(struct ktm_txn *txn, const char *key, json_t *object,
                                   struct tx_error *err)
{
    struct txreg_key_info info;
    json_t *values = json_array();
    json_t *subkeys = json_array();
    json_object_set_new(object, "values", values);
    json_object_set_new(object, "subkeys", subkeys);
    TRY(txreg_query(txn, key, &info, err));
    if (info.class_name[0] != '\0') {
        json_object_set_new(object, "class", txctl_json_name(info.class_name));
    }
    json_object_set_new(object, "write_time", txctl_json_time(info.write_time_ns));
    TRY(txreg_each_value(txn, key, add_value, values, err));
    return add_subkeys(txn, key, subkeys, err);
}

enum tx_status txctl_reg_tree_json(struct ktm_txn *txn, const char *key, json_t **object,
                                   struct tx_error *err)
{
    json_t *top = txctl_json_new();
    json_object_set_new(top, "key", txctl_json_name(key));
    enum tx_status status = add_contents(txn, key, top, err);
    if (status == TX_OK) {
        *object = top;
    } else {
        json_decref(top);
    }
    return status;
}
