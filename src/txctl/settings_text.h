/* SPDX-License-Identifier: MIT */
/* The settings of a store by name (cmd_settings.c). */
#ifndef TXCTL_SETTINGS_TEXT_H
#define TXCTL_SETTINGS_TEXT_H

#include "txctl/print.h"

/* Set the field that a name such as "log.segment-size" means. */
enum tx_status txctl_setting_set(struct txstore_settings *settings, const char *name,
                                 const char *value, struct tx_error *err) TX_CHECKED;
/* All settings as lines "name: value". */
void txctl_settings_print(const struct txctl_context *context,
                          const struct txstore_settings *settings);
/* As a JSON object with the names as keys. */
json_t *txctl_settings_json(const struct txstore_settings *settings);

#endif
