/* SPDX-License-Identifier: MIT */
/* An object of the tree, for ls, stat and tree (object.c). */
#ifndef TXCTL_OBJECT_H
#define TXCTL_OBJECT_H

#include "txctl/print.h"

struct txctl_object {
    char *path;
    struct txio_stat stat;
    char *target; /* of a symbolic link, else NULL */
};

enum tx_status txctl_object_read(struct ktm_txn *txn, const char *path,
                                 struct txctl_object *object, struct tx_error *err) TX_CHECKED;
void txctl_object_release(struct txctl_object *object);
#define AUTO_OBJECT __attribute__((cleanup(txctl_object_release))) struct txctl_object

/* "file", "directory", "symlink", ... */
const char *txctl_type_word(uint32_t mode);
json_t *txctl_object_json(const struct txctl_object *object);
/* User and group by name where there is one; `text` of 33 bytes. */
#define TXCTL_OWNER_TEXT 33
const char *txctl_user_text(uint32_t uid, char text[TXCTL_OWNER_TEXT]);
const char *txctl_group_text(uint32_t gid, char text[TXCTL_OWNER_TEXT]);

#endif
