/* SPDX-License-Identifier: MIT */
#include "reg_model.h"

#include "base/text.h"

static void *must_alloc(void *memory)
{
    cr_assert_not_null(memory);
    return memory;
}

static char *copy_text(const char *text, size_t size)
{
    char *copy = must_alloc(calloc(1, size + 1));
    memcpy(copy, text, size);
    return copy;
}

static int compare_names(const char *a, size_t a_size, const char *b, size_t b_size)
{
    size_t units;
    TX_AUTO(tx_buf) left = TX_BUF_INIT;
    TX_AUTO(tx_buf) right = TX_BUF_INIT;
    ok(tx_fold_name(a, a_size, &left, &units, ERR));
    ok(tx_fold_name(b, b_size, &right, &units, ERR));
    size_t common = left.size < right.size ? left.size : right.size;
    int order = common > 0 ? memcmp(left.data, right.data, common) : 0;
    return order != 0 ? order : (left.size > right.size) - (left.size < right.size);
}

struct model_key *model_new(void)
{
    struct model_key *key = must_alloc(calloc(1, sizeof(*key)));
    key->name = copy_text("", 0);
    key->class_name = copy_text("", 0);
    return key;
}

void model_free(struct model_key *key)
{
    for (size_t i = 0; i < key->value_count; i++) {
        free(key->values[i].name);
        free(key->values[i].data);
    }
    for (size_t i = 0; i < key->subkey_count; i++) {
        model_free(key->subkeys[i]);
    }
    free(key->values);
    free(key->subkeys);
    free(key->class_name);
    free(key->name);
    free(key);
}

static uint8_t *copy_data(const void *data, size_t size)
{
    uint8_t *copy = must_alloc(malloc(size + 1));
    if (size > 0) {
        memcpy(copy, data, size);
    }
    return copy;
}

struct model_key *model_copy(const struct model_key *key)
{
    struct model_key *copy = must_alloc(calloc(1, sizeof(*copy)));
    copy->name = copy_text(key->name, strlen(key->name));
    copy->class_name = copy_text(key->class_name, strlen(key->class_name));
    copy->value_count = key->value_count;
    copy->subkey_count = key->subkey_count;
    copy->values = must_alloc(calloc(key->value_count + 1, sizeof(*copy->values)));
    copy->subkeys = must_alloc(calloc(key->subkey_count + 1, sizeof(struct model_key *)));
    for (size_t i = 0; i < key->value_count; i++) {
        const struct model_value *value = &key->values[i];
        copy->values[i] = (struct model_value){
            .name = copy_text(value->name, strlen(value->name)),
            .type = value->type,
            .data = copy_data(value->data, value->size),
            .size = value->size,
        };
    }
    for (size_t i = 0; i < key->subkey_count; i++) {
        copy->subkeys[i] = model_copy(key->subkeys[i]);
    }
    return copy;
}

/* Place of a subkey; *found when it is there. */
static size_t subkey_at(const struct model_key *key, const char *name, size_t size, bool *found)
{
    size_t at = 0;
    *found = false;
    while (at < key->subkey_count) {
        const char *other = key->subkeys[at]->name;
        int order = compare_names(other, strlen(other), name, size);
        if (order >= 0) {
            *found = order == 0;
            break;
        }
        at++;
    }
    return at;
}

static struct model_key *find_parent(struct model_key *root, const char *path, const char **last)
{
    const char *end = strrchr(path, '\\');
    *last = end != NULL ? end + 1 : path;
    if (end == NULL) {
        return root;
    }
    char *parent = copy_text(path, (size_t)(end - path));
    struct model_key *key = model_find(root, parent);
    free(parent);
    return key;
}

struct model_key *model_find(struct model_key *root, const char *path)
{
    while (*path != 0) {
        size_t size = strcspn(path, "\\");
        bool found;
        size_t at = subkey_at(root, path, size, &found);
        if (!found) {
            return NULL;
        }
        root = root->subkeys[at];
        path += size + (path[size] != 0 ? 1 : 0);
    }
    return root;
}

static void insert_subkey(struct model_key *key, struct model_key *subkey)
{
    bool found;
    size_t at = subkey_at(key, subkey->name, strlen(subkey->name), &found);
    cr_assert_not(found);
    key->subkeys = must_alloc(
        realloc(key->subkeys, (key->subkey_count + 1) * sizeof(struct model_key *)));
    memmove(key->subkeys + at + 1, key->subkeys + at,
            (key->subkey_count - at) * sizeof(struct model_key *));
    key->subkeys[at] = subkey;
    key->subkey_count++;
}

static struct model_key *take_subkey(struct model_key *key, size_t at)
{
    struct model_key *subkey = key->subkeys[at];
    key->subkey_count--;
    memmove(key->subkeys + at, key->subkeys + at + 1,
            (key->subkey_count - at) * sizeof(struct model_key *));
    return subkey;
}

enum tx_status model_create(struct model_key *root, const char *path, const char *class_name)
{
    while (*path != 0) {
        size_t size = strcspn(path, "\\");
        bool is_last = path[size] == 0;
        bool found;
        size_t at = subkey_at(root, path, size, &found);
        if (!found) {
            struct model_key *key = model_new();
            free(key->name);
            key->name = copy_text(path, size);
            if (is_last && class_name != NULL) {
                free(key->class_name);
                key->class_name = copy_text(class_name, strlen(class_name));
            }
            insert_subkey(root, key);
            root = key;
        } else {
            root = root->subkeys[at];
        }
        path += size + (is_last ? 0 : 1);
    }
    return TX_OK;
}

enum tx_status model_delete_tree(struct model_key *root, const char *path)
{
    const char *name;
    bool found = false;
    size_t at = 0;
    if (*path == 0) {
        return TX_EPERM;
    }
    struct model_key *parent = find_parent(root, path, &name);
    if (parent != NULL) {
        at = subkey_at(parent, name, strlen(name), &found);
    }
    if (!found) {
        return TX_ENOTFOUND;
    }
    model_free(take_subkey(parent, at));
    return TX_OK;
}

enum tx_status model_delete(struct model_key *root, const char *path)
{
    struct model_key *key = model_find(root, path);
    if (key != NULL && *path != 0 && key->subkey_count > 0) {
        return TX_ENOTEMPTY;
    }
    return model_delete_tree(root, path);
}

enum tx_status model_rename(struct model_key *root, const char *path, const char *name)
{
    const char *old_name;
    bool found = false;
    if (*path == 0) {
        return TX_EPERM;
    }
    struct model_key *parent = find_parent(root, path, &old_name);
    size_t at = parent != NULL ? subkey_at(parent, old_name, strlen(old_name), &found) : 0;
    if (!found) {
        return TX_ENOTFOUND;
    }
    size_t other = subkey_at(parent, name, strlen(name), &found);
    if (found && other != at) {
        return TX_EEXIST;
    }
    if (strcmp(parent->subkeys[at]->name, name) == 0) {
        return TX_ENOCHANGE;
    }
    struct model_key *key = take_subkey(parent, at);
    free(key->name);
    key->name = copy_text(name, strlen(name));
    insert_subkey(parent, key);
    return TX_OK;
}

static size_t value_at(const struct model_key *key, const char *name)
{
    size_t at = 0;
    while (at < key->value_count &&
           compare_names(key->values[at].name, strlen(key->values[at].name), name, strlen(name)) !=
               0) {
        at++;
    }
    return at;
}

enum tx_status model_set(struct model_key *root, const char *path, const char *name, uint32_t type,
                         const void *data, size_t size)
{
    struct model_key *key = model_find(root, path);
    if (key == NULL) {
        return TX_ENOTFOUND;
    }
    size_t at = value_at(key, name);
    if (at == key->value_count) {
        key->values =
            must_alloc(realloc(key->values, (key->value_count + 1) * sizeof(*key->values)));
        key->values[at] = (struct model_value){.name = copy_text(name, strlen(name))};
        key->value_count++;
    }
    free(key->values[at].data);
    key->values[at].type = type;
    key->values[at].data = copy_data(data, size);
    key->values[at].size = size;
    return TX_OK;
}

enum tx_status model_unset(struct model_key *root, const char *path, const char *name)
{
    struct model_key *key = model_find(root, path);
    size_t at = key != NULL ? value_at(key, name) : 0;
    if (key == NULL || at == key->value_count) {
        return TX_ENOTFOUND;
    }
    free(key->values[at].name);
    free(key->values[at].data);
    key->value_count--;
    memmove(key->values + at, key->values + at + 1,
            (key->value_count - at) * sizeof(*key->values));
    return TX_OK;
}

void model_dump(const struct model_key *key, const char *path, struct tx_buf *text)
{
    ok(tx_buf_printf(text, ERR, "[%s|%s|%zu|%zu](", path, key->class_name, key->subkey_count,
                     key->value_count));
    for (size_t i = 0; i < key->value_count; i++) {
        const struct model_value *value = &key->values[i];
        ok(tx_buf_printf(text, ERR, "%s:%u:%zu:", value->name, value->type, value->size));
        for (size_t j = 0; j < value->size && j < 64; j++) {
            ok(tx_buf_printf(text, ERR, "%02x", value->data[j]));
        }
        ok(tx_buf_append_text(text, ";", ERR));
    }
    ok(tx_buf_append_text(text, ")\n", ERR));
    for (size_t i = 0; i < key->subkey_count; i++) {
        TX_AUTO(tx_buf) below = TX_BUF_INIT;
        ok(tx_buf_printf(&below, ERR, "%s%s%s", path, *path != 0 ? "\\" : "",
                         key->subkeys[i]->name));
        ok(tx_buf_put8(&below, 0, ERR));
        model_dump(key->subkeys[i], (char *)below.data, text);
    }
}

void model_expect(struct ktm_txn *txn, const struct model_key *root)
{
    TX_AUTO(tx_buf) seen = TX_BUF_INIT;
    TX_AUTO(tx_buf) wanted = TX_BUF_INIT;
    reg_dump(txn, "", &seen);
    model_dump(root, "", &wanted);
    bool is_same = seen.size == wanted.size && memcmp(seen.data, wanted.data, seen.size) == 0;
    cr_assert(is_same, "seen:\n%.*s\nwanted:\n%.*s", (int)seen.size, (char *)seen.data,
              (int)wanted.size, (char *)wanted.data);
}
