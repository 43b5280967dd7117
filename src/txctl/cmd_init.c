/* SPDX-License-Identifier: MIT */
/* init: make a store. */
#include <errno.h>
#include <string.h>

#include "txctl/commands.h"
#include "txctl/print.h"
#include "txctl/settings_text.h"

static const struct txctl_option options[] = {
    {"segment-size", 0, "SIZE", "bytes of a log segment (16K to 1G)"},
    {"log-size-max", 0, "SIZE", "bytes of all segments together; 0: no limit"},
    {"inline-max", 0, "SIZE", "contents up to this travel inside the log"},
    {"history-count", 0, "N", "commits kept for revert"},
    {"history-size", 0, "SIZE", "bytes of old versions kept; 0: no limit"},
    {NULL, 0, NULL, NULL},
};

static enum tx_status collect_settings(const struct txctl_arguments *arguments,
                                       struct txstore_settings *settings, struct tx_error *err)
{
    static const char *const names[][2] = {
        {"segment-size", "log.segment-size"}, {"log-size-max", "log.size-max"},
        {"inline-max", "inline-max"},         {"history-count", "history.count-max"},
        {"history-size", "history.size-max"},
    };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const char *value = txctl_given(arguments, names[i][0]);
        if (value) {
            TRY(txctl_setting_set(settings, names[i][1], value, err));
        }
    }
    return TX_OK;
}

static enum tx_status run_init(struct txctl_context *context,
                               const struct txctl_arguments *arguments, struct tx_error *err)
{
    struct txstore_settings settings = TXSTORE_SETTINGS_DEFAULT;
    const char *named = context->globals.store ? context->globals.store : getenv("TXKIT_STORE");
    const char *store = named && named[0] != '\0' ? named : NULL;
    const char *place = arguments->count > 0 ? arguments->values[0]
                        : context->globals.root ? context->globals.root
                                                : ".";
    txctl_subject(context, place);
    TRY(collect_settings(arguments, &settings, err));
    AUTO_TEXT root = realpath(place, NULL);
    if (!root) {
        return tx_error_os(err, errno, "the directory");
    }
    TRY(txstore_init(NULL, root, store, &settings, err));
    if (context->globals.json) {
        AUTO_TEXT default_path = txctl_join(root, TXSTORE_NAME);
        json_t *object = txctl_json_new();
        json_object_set_new(object, "root", txctl_json_name(root));
        json_object_set_new(object, "store", txctl_json_name(store ? store : default_path));
        txctl_json_print(object);
    }
    return TX_OK;
}

const struct txctl_command txctl_init = {
    .group = "Store",
    .verb = "init",
    .usage = "[OPTION...] [ROOT]",
    .summary = "make a store for ROOT (default: here)",
    .example = "txctl init --history-count 100 /srv/app",
    .options = options,
    .flags = TXCTL_NO_SCRIPT,
    .count_max = 1,
    .run = run_init,
};
