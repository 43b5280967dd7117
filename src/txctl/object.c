/* SPDX-License-Identifier: MIT */
/* Objects of the tree as the transaction sees them. */
#include "txctl/object.h"

#include <grp.h>
#include <pwd.h>
#include <sys/stat.h>

void txctl_object_release(struct txctl_object *object)
{
    free(object->path);
    free(object->target);
    *object = (struct txctl_object){0};
}

enum tx_status txctl_object_read(struct ktm_txn *txn, const char *path,
                                 struct txctl_object *object, struct tx_error *err)
{
    char target[TXFS_PATH_MAX + 1];
    struct txio_stat stat;
    TRY(txfs_stat(txn, path, &stat, err));
    if (S_ISLNK(stat.mode)) {
        TRY(txfs_readlink(txn, path, target, sizeof target, err));
    }
    *object = (struct txctl_object){
        .path = txctl_copy(path),
        .stat = stat,
        .target = S_ISLNK(stat.mode) ? txctl_copy(target) : NULL,
    };
    return TX_OK;
}

const char *txctl_type_word(uint32_t mode)
{
    switch (mode & S_IFMT) {
    case S_IFREG:
        return "file";
    case S_IFDIR:
        return "directory";
    case S_IFLNK:
        return "symlink";
    case S_IFIFO:
        return "fifo";
    case S_IFSOCK:
        return "socket";
    case S_IFCHR:
        return "character-device";
    case S_IFBLK:
        return "block-device";
    default:
        return "unknown";
    }
}

const char *txctl_user_text(uint32_t uid, char text[TXCTL_OWNER_TEXT])
{
    const struct passwd *account = getpwuid(uid);
    if (account) {
        snprintf(text, TXCTL_OWNER_TEXT, "%s", account->pw_name);
    } else {
        snprintf(text, TXCTL_OWNER_TEXT, "%u", uid);
    }
    return text;
}

const char *txctl_group_text(uint32_t gid, char text[TXCTL_OWNER_TEXT])
{
    const struct group *group = getgrgid(gid);
    if (group) {
        snprintf(text, TXCTL_OWNER_TEXT, "%s", group->gr_name);
    } else {
        snprintf(text, TXCTL_OWNER_TEXT, "%u", gid);
    }
    return text;
}

json_t *txctl_object_json(const struct txctl_object *object)
{
    const struct txio_stat *stat = &object->stat;
    json_t *json = json_object();
    json_object_set_new(json, "path", txctl_json_name(object->path));
    json_object_set_new(json, "type", json_string(txctl_type_word(stat->mode)));
    json_object_set_new(json, "mode", json_integer(stat->mode & 07777));
    json_object_set_new(json, "uid", json_integer(stat->uid));
    json_object_set_new(json, "gid", json_integer(stat->gid));
    json_object_set_new(json, "size", json_integer((json_int_t)stat->size));
    json_object_set_new(json, "links", json_integer(stat->nlink));
    json_object_set_new(json, "ino", json_integer((json_int_t)stat->ino));
    json_object_set_new(json, "mtime", txctl_json_time(stat->mtime_ns));
    if (object->target) {
        json_object_set_new(json, "target", txctl_json_name(object->target));
    }
    return json;
}
