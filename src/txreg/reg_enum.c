/* SPDX-License-Identifier: MIT */
/* Listing: subkeys in the order of their folded names, values in the order of their creation. */
#include <stdlib.h>
#include <string.h>

#include "txreg/txreg_view.h"

/* While a listing runs, the view may not be changed. */
struct reg_walk {
    struct reg_view *view;
};
static inline void reg_walk_auto(struct reg_walk *walk)
{
    if (walk->view != NULL) {
        walk->view->walking--;
    }
}

/* Resolve the key to list and note that its contents as a whole were read. */
static enum tx_status begin_walk(struct ktm_txn *txn, const char *key, struct reg_walk *walk,
                                 uint64_t *id, struct tx_error *err)
{
    struct reg_view *view;
    struct reg_key header;
    TX_TRY(reg_view_of(txn, &view, err));
    TX_TRY(reg_view_resolve(view, key, id, err));
    reg_key_head(&header, *id, REG_HEADER);
    TX_TRY(reg_touch_read(view, &header, err));
    walk->view = view;
    view->walking++;
    return TX_OK;
}

TX_API enum tx_status txreg_each_key(struct ktm_txn *txn, const char *key, txreg_key_fn *fn,
                                     void *arg, struct tx_error *err)
{
    uint64_t id;
    TX_AUTO(reg_walk) walk = {NULL};
    TX_TRY(begin_walk(txn, key, &walk, &id, err));
    struct reg_space *space = &walk.view->space;
    TX_AUTO(reg_scan) scan;
    reg_scan_init(&scan, space);
    TX_TRY(reg_scan_begin(&scan, id, REG_CHILD, NULL, err));
    while (scan.valid) {
        struct reg_child child;
        struct txreg_key_info info;
        struct reg_key header;
        if (!reg_child_decode(&child, scan.payload, scan.size)) {
            return reg_record_corrupt(err, scan.key, "malformed");
        }
        reg_key_head(&header, child.id, REG_HEADER);
        TX_TRY(reg_touch_read(walk.view, &header, err));
        TX_TRY(reg_key_info(space, child.id, (const char *)child.name, child.name_size, &info,
                            err));
        TX_TRY(fn(arg, &info, err));
        TX_TRY(reg_scan_next(&scan, err));
    }
    return TX_OK;
}

static int compare_order(const void *a, const void *b)
{
    const struct reg_order_item *left = a;
    const struct reg_order_item *right = b;
    return (left->ordinal > right->ordinal) - (left->ordinal < right->ordinal);
}

static enum tx_status add_kind(struct reg_space *space, uint64_t id, enum reg_kind kind,
                               struct reg_order *order, struct tx_error *err)
{
    TX_AUTO(reg_scan) scan;
    reg_scan_init(&scan, space);
    TX_TRY(reg_scan_begin(&scan, id, kind, NULL, err));
    while (scan.valid) {
        struct reg_value value;
        struct reg_order_item item;
        if (!reg_value_decode(&value, scan.payload, scan.size)) {
            return reg_record_corrupt(err, scan.key, "malformed");
        }
        memset(&item, 0, sizeof(item));
        item.ordinal = value.ordinal;
        item.key_at = order->keys.size;
        item.key_size = (uint16_t)scan.key_size;
        TX_TRY(tx_buf_append(&order->items, &item, sizeof(item), err));
        TX_TRY(tx_buf_append(&order->keys, scan.key, scan.key_size, err));
        TX_TRY(reg_scan_next(&scan, err));
    }
    return TX_OK;
}

enum tx_status reg_order_load(struct reg_space *space, uint64_t id, struct reg_order *order,
                              struct tx_error *err)
{
    TX_TRY(add_kind(space, id, REG_VALUE, order, err));
    TX_TRY(add_kind(space, id, REG_LONG_VALUE, order, err));
    if (order->items.size > 0) {
        qsort(order->items.data, reg_order_count(order), sizeof(struct reg_order_item),
              compare_order);
    }
    return TX_OK;
}

enum tx_status reg_order_get(struct reg_space *space, const struct reg_order *order, size_t index,
                             struct reg_hit *hit, struct reg_value *value, struct tx_error *err)
{
    struct reg_order_item item;
    struct reg_key key;
    memcpy(&item, order->items.data + index * sizeof(item), sizeof(item));
    key.size = item.key_size;
    memcpy(key.bytes, order->keys.data + item.key_at, item.key_size);
    TX_TRY(reg_space_get(space, &key, hit, err));
    if (hit->payload == NULL || !reg_value_decode(value, hit->payload, hit->size)) {
        return reg_record_corrupt(err, key.bytes, "malformed");
    }
    return TX_OK;
}

TX_API enum tx_status txreg_each_value(struct ktm_txn *txn, const char *key, txreg_value_fn *fn,
                                       void *arg, struct tx_error *err)
{
    uint64_t id;
    TX_AUTO(reg_walk) walk = {NULL};
    TX_AUTO(reg_order) order = REG_ORDER_INIT;
    TX_AUTO(tx_buf) name = TX_BUF_INIT;
    TX_AUTO(tx_buf) data = TX_BUF_INIT;
    TX_TRY(begin_walk(txn, key, &walk, &id, err));
    TX_TRY(reg_order_load(&walk.view->space, id, &order, err));
    for (size_t i = 0; i < reg_order_count(&order); i++) {
        struct reg_value value;
        TX_AUTO(reg_hit) hit = REG_HIT_INIT;
        TX_TRY(reg_order_get(&walk.view->space, &order, i, &hit, &value, err));
        tx_buf_clear(&name);
        tx_buf_clear(&data);
        TX_TRY(reg_value_name(walk.view->reg, &value, &name, err));
        TX_TRY(tx_buf_put8(&name, 0, err));
        TX_TRY(reg_value_data(walk.view->reg, &value, &data, err));
        TX_TRY(tx_buf_reserve(&data, 1, err)); /* so that empty data have an address */
        TX_TRY(fn(arg, (const char *)name.data, value.type, data.data, data.size, err));
    }
    return TX_OK;
}
