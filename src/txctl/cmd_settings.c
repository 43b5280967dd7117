/* SPDX-License-Identifier: MIT */
/* settings: the store's settings by name. */
#include <string.h>

#include "txctl/commands.h"
#include "txctl/settings_text.h"

enum setting_kind { SETTING_SIZE, SETTING_COUNT, SETTING_COUNT32 };

static const struct setting {
    const char *name;
    enum setting_kind kind;
    size_t offset;
} settings_list[] = {
    {"log.segment-size", SETTING_SIZE, offsetof(struct txstore_settings, log_segment_size)},
    {"log.size-max", SETTING_SIZE, offsetof(struct txstore_settings, log_size_max)},
    {"inline-max", SETTING_SIZE, offsetof(struct txstore_settings, inline_max)},
    {"history.count-max", SETTING_COUNT, offsetof(struct txstore_settings, history_count_max)},
    {"history.size-max", SETTING_SIZE, offsetof(struct txstore_settings, history_size_max)},
    {"conflict-entries", SETTING_COUNT32, offsetof(struct txstore_settings, conflict_entries)},
};
#define SETTING_NUMBER (sizeof settings_list / sizeof *settings_list)

static const struct setting *find_setting(const char *name, struct tx_error *err)
{
    for (size_t i = 0; i < SETTING_NUMBER; i++) {
        if (strcmp(settings_list[i].name, name) == 0) {
            return &settings_list[i];
        }
    }
    (void)txctl_usage(err, "\"%s\" is no setting of this version; try: txctl settings", name);
    return NULL;
}

static uint64_t setting_get(const struct txstore_settings *settings, const struct setting *setting)
{
    const char *field = (const char *)settings + setting->offset;
    uint32_t small = 0;
    uint64_t number = 0;
    if (setting->kind == SETTING_COUNT32) {
        memcpy(&small, field, sizeof small);
        return small;
    }
    memcpy(&number, field, sizeof number);
    return number;
}

enum tx_status txctl_setting_set(struct txstore_settings *settings, const char *name,
                                 const char *value, struct tx_error *err)
{
    uint64_t number = 0;
    const struct setting *setting = find_setting(name, err);
    if (!setting) {
        return TX_EINVAL;
    }
    char *field = (char *)settings + setting->offset;
    TRY(setting->kind == SETTING_SIZE ? txctl_size(value, &number, err)
                                      : txctl_number(value, &number, err));
    if (number > (setting->kind == SETTING_COUNT32 ? UINT32_MAX : (uint64_t)INT64_MAX)) {
        return txctl_usage(err, "%s: %s is too large", name, value);
    }
    if (setting->kind == SETTING_COUNT32) {
        uint32_t small = (uint32_t)number;
        memcpy(field, &small, sizeof small);
    } else {
        memcpy(field, &number, sizeof number);
    }
    return TX_OK;
}

void txctl_settings_print(const struct txctl_context *context,
                          const struct txstore_settings *settings)
{
    for (size_t i = 0; i < SETTING_NUMBER; i++) {
        printf("%s: %llu%c", settings_list[i].name,
               (unsigned long long)setting_get(settings, &settings_list[i]),
               txctl_line_end(context));
    }
}

json_t *txctl_settings_json(const struct txstore_settings *settings)
{
    json_t *object = json_object();
    for (size_t i = 0; i < SETTING_NUMBER; i++) {
        json_object_set_new(object, settings_list[i].name,
                            json_integer((json_int_t)setting_get(settings, &settings_list[i])));
    }
    return object;
}

static void print_one(const struct txctl_context *context, const struct txstore_settings *settings,
                      const struct setting *setting)
{
    uint64_t number = setting_get(settings, setting);
    if (context->globals.json) {
        json_t *object = txctl_json_new();
        json_object_set_new(object, "name", json_string(setting->name));
        json_object_set_new(object, "value", json_integer((json_int_t)number));
        txctl_json_print(object);
    } else {
        printf("%llu%c", (unsigned long long)number, txctl_line_end(context));
    }
}

static enum tx_status change_setting(struct txstore *store, const struct txstore_settings *old,
                                     const char *name, const char *value, struct tx_error *err)
{
    struct txstore_settings settings = *old;
    TRY(txctl_setting_set(&settings, name, value, err));
    const struct setting *setting = find_setting(name, err);
    if (setting_get(old, setting) == setting_get(&settings, setting)) {
        return tx_error_set(err, TX_ENOCHANGE, "it is %s already",  value);
    }
    return txstore_set_settings(store, &settings, err);
}

static enum tx_status run_settings(struct txctl_context *context,
                                   const struct txctl_arguments *arguments, struct tx_error *err)
{
    struct txstore *store = NULL;
    struct txstore_settings settings;
    const struct setting *setting = NULL;
    if (arguments->count > 0) {
        txctl_subject(context, arguments->values[0]);
        setting = find_setting(arguments->values[0], err);
        if (!setting) {
            return TX_EINVAL;
        }
    }
    TRY(txctl_store(context, &store, err));
    txstore_get_settings(store, &settings);
    if (arguments->count == 2) {
        return change_setting(store, &settings, setting->name, arguments->values[1], err);
    }
    if (setting) {
        print_one(context, &settings, setting);
    } else if (context->globals.json) {
        json_t *object = txctl_json_new();
        json_object_set_new(object, "settings", txctl_settings_json(&settings));
        txctl_json_print(object);
    } else {
        txctl_settings_print(context, &settings);
    }
    return TX_OK;
}

const struct txctl_command txctl_settings = {
    .group = "Store",
    .verb = "settings",
    .usage = "[NAME [VALUE]]",
    .summary = "show or change settings; they hold from the next open on",
    .example = "txctl settings history.count-max 100",
    .flags = TXCTL_NO_SCRIPT | TXCTL_SILENT,
    .count_max = 2,
    .run = run_settings,
};
