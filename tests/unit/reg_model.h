/* SPDX-License-Identifier: MIT */
/* The registry as plain arrays in memory: what every test of random operations compares with. */
#ifndef TEST_REG_MODEL_H
#define TEST_REG_MODEL_H

#include "reg_fixture.h"

struct model_value {
    char *name;
    uint32_t type;
    uint8_t *data;
    size_t size;
};

struct model_key {
    char *name;
    char *class_name;
    struct model_value *values; /* in the order of their creation */
    size_t value_count;
    struct model_key **subkeys; /* in the order of their names without case */
    size_t subkey_count;
};

struct model_key *model_new(void);
struct model_key *model_copy(const struct model_key *key);
void model_free(struct model_key *key);
struct model_key *model_find(struct model_key *root, const char *path);

/* The same calls as those of the registry, with the same answers. */
enum tx_status model_create(struct model_key *root, const char *path, const char *class_name);
enum tx_status model_delete(struct model_key *root, const char *path);
enum tx_status model_delete_tree(struct model_key *root, const char *path);
enum tx_status model_rename(struct model_key *root, const char *path, const char *name);
enum tx_status model_set(struct model_key *root, const char *path, const char *name, uint32_t type,
                         const void *data, size_t size);
enum tx_status model_unset(struct model_key *root, const char *path, const char *name);

/* As reg_dump prints. */
void model_dump(const struct model_key *key, const char *path, struct tx_buf *text);
/* Fail with both texts when the transaction does not see what the model holds. */
void model_expect(struct ktm_txn *txn, const struct model_key *root);

#endif
