/* SPDX-License-Identifier: MIT */
/* A change set as JSON: an array of objects, files first. */
#include "txctl/changes.h"
#include "txctl/reg_text.h"

static json_t *letter_json(char letter)
{
    char text[2] = {letter, '\0'};
    return json_string(text);
}

static json_t *file_json(const struct txctl_file_change *change)
{
    static const char *const kinds[] = {
        [TXFS_CHANGE_ABSENT] = "absent",       [TXFS_CHANGE_FILE] = "file",
        [TXFS_CHANGE_DIRECTORY] = "directory", [TXFS_CHANGE_SYMLINK] = "symlink",
        [TXFS_CHANGE_LINK] = "link",           [TXFS_CHANGE_MOVED] = "moved",
        [TXFS_CHANGE_EXTENTS] = "extents",     [TXFS_CHANGE_ATTRIBUTES] = "attributes",
        [TXFS_CHANGE_NODE] = "node",
    };
    const struct txfs_change *entry = &change->entry;
    json_t *object = json_object();
    json_object_set_new(object, "of", json_string("file"));
    json_object_set_new(object, "change", letter_json(change->letter));
    json_object_set_new(object, "kind", json_string(kinds[entry->kind]));
    json_object_set_new(object, "path", txctl_json_name(entry->path));
    if (entry->target) {
        json_object_set_new(object, "target", txctl_json_name(entry->target));
    }
    if (entry->existed) {
        json_object_set_new(object, "old_size", json_integer((json_int_t)entry->before.size));
        json_object_set_new(object, "old_mode", json_integer(entry->before.mode & 07777));
    }
    if (entry->kind == TXFS_CHANGE_FILE || entry->kind == TXFS_CHANGE_EXTENTS) {
        json_object_set_new(object, "size", json_integer((json_int_t)entry->size));
        json_object_set_new(object, "bytes", json_integer((json_int_t)entry->changed_bytes));
    }
    if (entry->kind != TXFS_CHANGE_ABSENT) {
        json_object_set_new(object, "mode", json_integer(entry->mode & 07777));
    }
    return object;
}

static bool is_value_kind(enum txreg_change_kind kind)
{
    return kind == TXREG_CHANGE_SET || kind == TXREG_CHANGE_UNSET;
}

static json_t *reg_json(const struct txctl_reg_change *change)
{
    static const char *const kinds[] = {
        [TXREG_CHANGE_CREATE] = "create", [TXREG_CHANGE_DELETE] = "delete",
        [TXREG_CHANGE_RENAME] = "rename", [TXREG_CHANGE_SET] = "set",
        [TXREG_CHANGE_UNSET] = "unset",
    };
    const struct txreg_change *entry = &change->entry;
    json_t *object = json_object();
    json_object_set_new(object, "of", json_string("registry"));
    json_object_set_new(object, "change", letter_json(change->letter));
    json_object_set_new(object, "kind", json_string(kinds[entry->kind]));
    json_object_set_new(object, "key", txctl_json_name(entry->key));
    if (entry->kind == TXREG_CHANGE_RENAME) {
        json_object_set_new(object, "new_name", txctl_json_name(entry->name));
    } else if (is_value_kind(entry->kind)) {
        json_object_set_new(object, "name", txctl_json_name(entry->name));
    }
    if (entry->kind == TXREG_CHANGE_SET) {
        json_object_set_new(object, "new",
                            txctl_reg_json(NULL, entry->type, entry->data, entry->size));
    }
    if (is_value_kind(entry->kind) && entry->existed) {
        json_object_set_new(object, "old", txctl_reg_json(NULL, entry->old_type, entry->old_data,
                                                          entry->old_size));
    }
    return object;
}

json_t *txctl_changes_json(const struct txctl_changes *changes)
{
    json_t *array = json_array();
    for (size_t i = 0; i < changes->file_count; i++) {
        if (changes->files[i].letter != 0) {
            json_array_append_new(array, file_json(&changes->files[i]));
        }
    }
    for (size_t i = 0; i < changes->value_count; i++) {
        if (changes->values[i].letter != 0) {
            json_array_append_new(array, reg_json(&changes->values[i]));
        }
    }
    return array;
}
