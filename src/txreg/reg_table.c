/* SPDX-License-Identifier: MIT */
/*
 * A map by record key for many point accesses and few ordered ones: a hash table whose entries are
 * put into a search tree as well, but not before somebody asks for order. An import of a hundred
 * thousand values asks only at its end, once, and then sorting is cheaper still.
 */
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "txreg/txreg_view.h"

#define FIRST_BUCKETS 64u

void reg_table_init(struct reg_table *table, void (*release)(void *value))
{
    *table = (struct reg_table){.release = release};
    tx_map_init(&table->order, NULL);
}

void reg_table_clear(struct reg_table *table)
{
    for (size_t i = 0; i < table->count; i++) {
        table->release(table->entries[i]->value);
        tx_free(table->entries[i]);
    }
    tx_free(table->entries);
    tx_free(table->buckets);
    tx_map_release(&table->order);
    reg_table_init(table, table->release);
}

static struct reg_table_entry **bucket_of(const struct reg_table *table, uint64_t hash)
{
    return &table->buckets[hash & (table->bucket_count - 1)];
}

struct reg_table_entry *reg_table_find(const struct reg_table *table, const uint8_t *key,
                                       size_t key_size)
{
    if (table->count == 0) {
        return NULL;
    }
    uint64_t hash = tx_hash64(key, key_size, 0);
    struct reg_table_entry *entry = *bucket_of(table, hash);
    while (entry != NULL &&
           (entry->key_size != key_size || memcmp(entry->key, key, key_size) != 0)) {
        entry = entry->next;
    }
    return entry;
}

static enum tx_status grow(struct reg_table *table, struct tx_error *err)
{
    size_t count = table->bucket_count == 0 ? FIRST_BUCKETS : table->bucket_count * 4;
    struct reg_table_entry **buckets = tx_alloc_zero(count * sizeof(*buckets));
    struct reg_table_entry **entries = tx_resize(table->entries, count * sizeof(*entries));
    if (entries != NULL) {
        table->entries = entries;
    }
    if (buckets == NULL || entries == NULL) {
        tx_free(buckets);
        return tx_error_set(err, TX_ENOMEM, "no memory for %zu changes", count);
    }
    tx_free(table->buckets);
    table->buckets = buckets;
    table->bucket_count = count;
    for (size_t i = 0; i < table->count; i++) {
        struct reg_table_entry **bucket = bucket_of(table, entries[i]->hash);
        entries[i]->next = *bucket;
        *bucket = entries[i];
    }
    return TX_OK;
}

enum tx_status reg_table_set(struct reg_table *table, const uint8_t *key, size_t key_size,
                             void *value, struct tx_error *err)
{
    struct reg_table_entry *entry = reg_table_find(table, key, key_size);
    if (entry != NULL) {
        table->release(entry->value);
        entry->value = value;
        return TX_OK;
    }
    if (table->count == table->bucket_count) {
        TX_TRY(grow(table, err));
    }
    entry = tx_alloc(sizeof(*entry) + key_size);
    if (entry == NULL) {
        return tx_error_set(err, TX_ENOMEM, "no memory for a change");
    }
    entry->hash = tx_hash64(key, key_size, 0);
    entry->value = value;
    entry->key_size = (uint16_t)key_size;
    memcpy(entry->key, key, key_size);
    struct reg_table_entry **bucket = bucket_of(table, entry->hash);
    entry->next = *bucket;
    *bucket = entry;
    table->entries[table->count++] = entry;
    return TX_OK;
}

enum tx_status reg_table_order(struct reg_table *table, struct tx_error *err)
{
    while (table->ordered < table->count) {
        struct reg_table_entry *entry = table->entries[table->ordered];
        TX_TRY(tx_map_set(&table->order, entry->key, entry->key_size, entry, err));
        table->ordered++;
    }
    return TX_OK;
}

static int compare_entries(const void *a, const void *b)
{
    const struct reg_table_entry *const *left = a;
    const struct reg_table_entry *const *right = b;
    return reg_compare((*left)->key, (*left)->key_size, (*right)->key, (*right)->key_size);
}

void reg_table_sort(struct reg_table *table)
{
    if (table->count > 1) {
        qsort(table->entries, table->count, sizeof(struct reg_table_entry *), compare_entries);
    }
    table->ordered = 0; /* which of them the search tree has is forgotten */
    tx_map_release(&table->order);
    tx_map_init(&table->order, NULL);
}
