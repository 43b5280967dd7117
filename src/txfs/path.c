/* SPDX-License-Identifier: MIT */
/*
 * Paths as callers write them, and their clean form: no leading, trailing or doubled '/', no ".".
 * ".." is refused rather than resolved, because what it means depends on links.
 */
#include <string.h>

#include "base/invariant.h"
#include "base/text.h"
#include "txfs/txfs_internal.h"

enum tx_status txfs_refuse(struct tx_error *err, enum tx_status status, const char *path,
                           const char *words)
{
    char shown[TX_ESCAPED_SIZE];
    return tx_error_set(err, status, "\"%s\": %s",
                        tx_escape_fixed(shown, sizeof shown, path, strlen(path)), words);
}

static enum tx_status add_component(const char *name, size_t size, char *out, size_t *used,
                                    struct tx_error *err)
{
    if (size > TXFS_NAME_MAX) {
        return tx_error_set(err, TX_ELIMIT, "a name of %zu bytes, more than %d", size,
                            TXFS_NAME_MAX);
    }
    size_t separator = *used > 0;
    if (*used + separator + size > TXFS_PATH_MAX) {
        return tx_error_set(err, TX_ELIMIT, "a path of more than %d bytes", TXFS_PATH_MAX);
    }
    if (separator > 0) {
        out[(*used)++] = '/';
    }
    memcpy(out + *used, name, size);
    *used += size;
    out[*used] = '\0';
    return TX_OK;
}

static bool is_dots(const char *name, size_t size)
{
    return (size == 1 && name[0] == '.') || (size == 2 && name[0] == '.' && name[1] == '.');
}

bool txfs_path_is_store(const struct txfs *fs, const char *clean)
{
    size_t size = strcspn(clean, "/");
    return fs->store_name != NULL && strlen(fs->store_name) == size &&
           memcmp(fs->store_name, clean, size) == 0;
}

enum tx_status txfs_path_clean(const struct txfs *fs, const char *path, char out[TXFS_PATH_MAX + 1],
                               struct tx_error *err)
{
    size_t used = 0;
    unsigned depth = 0;
    if (path == NULL) {
        return tx_error_set(err, TX_EINVAL, "no path given");
    }
    if (path[0] == '/') {
        return txfs_refuse(err, TX_EESCAPE, path, "an absolute path");
    }
    out[0] = '\0';
    for (const char *at = path; *at != '\0';) {
        size_t size = strcspn(at, "/");
        if (size == 2 && is_dots(at, size)) {
            return txfs_refuse(err, TX_EESCAPE, path, "has \"..\" in it");
        }
        if (size > 0 && !is_dots(at, size)) {
            if (++depth > TXFS_DEPTH_MAX) {
                return txfs_refuse(err, TX_ELIMIT, path, "too many levels deep");
            }
            TX_TRY(add_component(at, size, out, &used, err));
        }
        at += size + (at[size] == '/');
    }
    if (txfs_path_is_store(fs, out)) {
        return txfs_refuse(err, TX_EESCAPE, path, "belongs to the store itself");
    }
    return TX_OK;
}

bool txfs_path_is_clean(const char *path)
{
    size_t total = strlen(path);
    unsigned depth = 0;
    if (total == 0 || total > TXFS_PATH_MAX) {
        return false;
    }
    for (const char *at = path;;) {
        size_t size = strcspn(at, "/");
        if (size == 0 || size > TXFS_NAME_MAX || is_dots(at, size) || ++depth > TXFS_DEPTH_MAX) {
            return false;
        }
        if (at[size] == '\0') {
            return true;
        }
        at += size + 1;
    }
}

size_t txfs_path_parent_size(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash != NULL ? (size_t)(slash - path) : 0;
}

const char *txfs_path_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash != NULL ? slash + 1 : path;
}

bool txfs_path_is_below(const char *path, const char *above)
{
    size_t size = strlen(above);
    if (size == 0) {
        return path[0] != '\0';
    }
    return strncmp(path, above, size) == 0 && path[size] == '/';
}

enum tx_status txfs_path_join(const char *directory, size_t directory_size, const char *name,
                              char out[TXFS_PATH_MAX + 1], struct tx_error *err)
{
    size_t name_size = strlen(name);
    size_t separator = directory_size > 0 && name_size > 0;
    if (directory_size + separator + name_size > TXFS_PATH_MAX) {
        return txfs_refuse(err, TX_ELIMIT, name, "its path becomes too long");
    }
    memmove(out, directory, directory_size); /* the caller may extend a path in place */
    if (separator > 0) {
        out[directory_size] = '/';
    }
    memcpy(out + directory_size + separator, name, name_size + 1);
    return TX_OK;
}

void txfs_path_copy(const char *path, char out[TXFS_PATH_MAX + 1])
{
    size_t size = strlen(path);
    TX_INVARIANT(size <= TXFS_PATH_MAX);
    memmove(out, path, size + 1); /* `out` may be `path` */
}

enum tx_status txfs_path_move(const char *path, const char *from, const char *to,
                              char out[TXFS_PATH_MAX + 1], struct tx_error *err)
{
    const char *rest = path + strlen(from);
    return txfs_path_join(to, strlen(to), rest + (rest[0] == '/'), out, err);
}

uint64_t txfs_path_key(const char *path)
{
    return tx_hash64(path, strlen(path), 'f');
}

uint64_t txfs_inode_key(uint64_t ino)
{
    return tx_hash64(&ino, sizeof ino, 'i');
}

uint64_t txfs_names_key(const char *path)
{
    return tx_hash64(path, strlen(path), 'd');
}
