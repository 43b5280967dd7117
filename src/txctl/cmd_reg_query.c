/* SPDX-License-Identifier: MIT */
/* reg query: keys and values in the shape that reg.exe prints. */
#include <string.h>
#include <strings.h>

#include "txctl/commands.h"
#include "txctl/reg_text.h"

struct query {
    struct txctl_context *context;
    struct ktm_txn *txn;
    const char *name;    /* -v: only this value; NULL: all */
    const char *pattern; /* -f; NULL: all */
    bool in_keys, in_names, in_data;
    bool fold;
    enum txctl_match how;
    bool recursive;
    uint64_t matches;
    json_t *rows; /* of the answer in JSON */
    /* of the key at hand: */
    const char *key;
    bool headed;
    json_t *values;
};

static bool search_matches(const struct query *query, const char *text)
{
    return txctl_match(query->pattern, text, query->how, query->fold);
}

static bool is_wanted(const struct query *query, const char *name, uint32_t type,
                      const uint8_t *data, size_t size)
{
    if (query->name && strcasecmp(query->name, name) != 0) {
        return false;
    }
    if (!query->pattern || (query->in_names && search_matches(query, name))) {
        return true;
    }
    AUTO_TEXT text = txctl_reg_format(type, data, size, TXCTL_REG_QUERY);
    return query->in_data && search_matches(query, text);
}

static void put_heading(struct query *query)
{
    if (!query->headed && !query->rows) {
        txctl_put_key(query->context, query->key);
        putchar('\n');
    }
    query->headed = true;
}

static enum tx_status query_value(void *arg, const char *name, uint32_t type, const uint8_t *data,
                                  size_t size, struct tx_error *err)
{
    struct query *query = arg;
    char type_text[TXCTL_REG_TYPE_TEXT];
    (void)err;
    if (!is_wanted(query, name, type, data, size)) {
        return TX_OK;
    }
    query->matches++;
    put_heading(query);
    if (query->rows) {
        json_array_append_new(query->values, txctl_reg_json(name, type, data, size));
        return TX_OK;
    }
    AUTO_TEXT text = txctl_reg_format(type, data, size, TXCTL_REG_QUERY);
    fputs("    ", stdout);
    txctl_put_key(query->context, name[0] != '\0' ? name : "(Default)");
    printf("    %s    ", txctl_reg_type_name(type, type_text));
    txctl_put_key(query->context, text);
    putchar('\n');
    return TX_OK;
}

/* Names that differ in the case of letters beyond ASCII: the registry knows them to be the same. */
static enum tx_status query_by_name(struct query *query, struct tx_error *err)
{
    uint32_t type = 0;
    AUTO_BUF data = TX_BUF_INIT;
    enum tx_status status = txreg_get(query->txn, query->key, query->name, &type, &data, err);
    if (status != TX_OK) {
        return status == TX_ENOTFOUND ? TX_OK : status;
    }
    return query_value(query, query->name, type, data.data, data.size, err);
}

static enum tx_status query_values(struct query *query, const char *key, struct tx_error *err)
{
    bool searching = query->name || query->pattern;
    const char *name = strrchr(key, TXREG_SEPARATOR);
    uint64_t before = query->matches;
    query->key = key;
    query->headed = false;
    query->values = json_array();
    if (!searching) {
        put_heading(query);
    } else if (query->pattern && query->in_keys && !query->name &&
               search_matches(query, name ? name + 1 : key)) {
        query->matches++;
        put_heading(query);
    }
    enum tx_status status = txreg_each_value(query->txn, key, query_value, query, err);
    if (status == TX_OK && query->name && query->matches == before) {
        status = query_by_name(query, err);
    }
    if (status == TX_OK && query->headed && query->rows) {
        json_t *row = json_object();
        json_object_set_new(row, "key", txctl_json_name(key));
        json_object_set(row, "values", query->values);
        json_array_append_new(query->rows, row);
    } else if (status == TX_OK && !query->rows && query->headed &&
               (query->matches > before || query->recursive)) {
        putchar('\n');
    }
    json_decref(query->values);
    query->values = NULL;
    return status;
}

static enum tx_status query_key(void *arg, const char *key, int depth, struct tx_error *err)
{
    (void)depth;
    return query_values(arg, key, err);
}

/* The keys below, after the values, by their paths. */
static enum tx_status query_subkeys(struct query *query, const char *key, struct tx_error *err)
{
    AUTO_NAMES names = {0};
    json_t *subkeys = json_array();
    enum tx_status status = txctl_reg_subkeys(query->txn, key, &names, err);
    for (size_t i = 0; i < names.count && status == TX_OK; i++) {
        AUTO_TEXT inner = txctl_reg_join(key, names.items[i].name);
        if (query->rows) {
            json_array_append_new(subkeys, txctl_json_name(inner));
        } else {
            txctl_put_key(query->context, inner);
            putchar('\n');
        }
    }
    if (query->rows && json_array_size(query->rows) > 0) {
        json_object_set(json_array_get(query->rows, 0), "subkeys", subkeys);
    }
    json_decref(subkeys);
    return status;
}

static enum tx_status run_all(struct query *query, const char *key, struct tx_error *err)
{
    bool searching = query->name || query->pattern;
    if (!query->rows) {
        putchar('\n');
    }
    if (query->recursive) {
        TRY(txctl_reg_walk(query->txn, key, query_key, query, err));
    } else {
        TRY(query_values(query, key, err));
        if (!searching) {
            TRY(query_subkeys(query, key, err));
        }
    }
    if (searching && !query->rows && (query->recursive || query->pattern)) {
        printf("End of search: %llu match(es) found.\n", (unsigned long long)query->matches);
    }
    if (searching && query->matches == 0) {
        return tx_error_set(err, TX_ENOTFOUND, "nothing found");
    }
    return TX_OK;
}

static void read_options(const struct txctl_arguments *arguments, struct query *query)
{
    bool somewhere = txctl_has(arguments, "keys") || txctl_has(arguments, "names") ||
                     txctl_has(arguments, "data");
    query->name = txctl_has(arguments, "default") ? "" : txctl_given(arguments, "value");
    query->recursive = txctl_has(arguments, "recursive");
    query->pattern = txctl_given(arguments, "find");
    query->in_keys = !somewhere || txctl_has(arguments, "keys");
    query->in_names = !somewhere || txctl_has(arguments, "names");
    query->in_data = !somewhere || txctl_has(arguments, "data");
    query->fold = !txctl_has(arguments, "case");
    query->how = txctl_has(arguments, "exact") ? TXCTL_MATCH_WHOLE : TXCTL_MATCH_PART;
}

static enum tx_status run_query(struct txctl_context *context,
                                const struct txctl_arguments *arguments, struct tx_error *err)
{
    AUTO_TEXT key = txctl_reg_path(arguments->values[0]);
    struct query query = {.context = context};
    txctl_subject(context, key);
    read_options(arguments, &query);
    if (txctl_has(arguments, "at")) {
        return txctl_usage(err, "--at is not in this version");
    }
    TRY(txctl_txn(context, &query.txn, err));
    TRY(txreg_query(query.txn, key, NULL, err));
    query.rows = context->globals.json ? json_array() : NULL;
    enum tx_status status = run_all(&query, key, err);
    if (query.rows && (status == TX_OK || status == TX_ENOTFOUND)) {
        json_t *object = txctl_json_new();
        json_object_set(object, "keys", query.rows);
        txctl_json_print(object);
    }
    json_decref(query.rows);
    return status;
}

static const struct txctl_option options[] = {
    {"value", 'v', "NAME", "only the value NAME"},
    {"default", 0, NULL, "only the default value"},
    {"recursive", 's', NULL, "all keys below, too"},
    {"find", 'f', "PATTERN", "only what holds PATTERN; * and ? stand for anything"},
    {"keys", 'k', NULL, "with -f: look in names of keys"},
    {"names", 0, NULL, "with -f: look in names of values"},
    {"data", 'd', NULL, "with -f: look in data"},
    {"case", 'c', NULL, "with -f: case counts"},
    {"exact", 'e', NULL, "with -f: the whole name or data"},
    {"at", 0, "LSN", "not in this version"},
    {NULL, 0, NULL, NULL},
};

const struct txctl_command txctl_reg_query = {
    .group = "Registry",
    .verb = "reg query",
    .usage = "KEY [-v NAME] [-s] [-f PATTERN [-kdce]]",
    .summary = "keys and values in the shape of reg.exe",
    .example = "txctl reg query Software -s -f '*.conf' -d",
    .options = options,
    .flags = TXCTL_READS,
    .count_min = 1,
    .count_max = 1,
    .run = run_query,
};
