/* SPDX-License-Identifier: MIT */
/*
 * Following a path of key names through a space. The keys of the last path are kept, with the path
 * as it was asked for and as its names are stored; the next path pays for the part that differs.
 */
#include <string.h>

#include "txreg/txreg_view.h"

void reg_path_release(struct reg_path *path)
{
    tx_buf_release(&path->raw);
    tx_buf_release(&path->canon);
    path->depth = 0;
}

void reg_path_cut(struct reg_path *path, unsigned depth)
{
    if (depth < path->depth) {
        path->depth = depth;
        path->raw.size = depth > 0 ? path->level[depth - 1].raw_end : 0;
        path->canon.size = depth > 0 ? path->level[depth - 1].canon_end : 0;
    }
}

uint64_t reg_path_id(const struct reg_path *path, unsigned depth)
{
    return depth == 0 ? REG_ROOT_ID : path->level[depth - 1].id;
}

enum tx_status reg_path_append(const struct reg_path *path, unsigned depth, struct tx_buf *text,
                               struct tx_error *err)
{
    size_t end = depth > 0 ? path->level[depth - 1].canon_end : 0;
    return tx_buf_append(text, path->canon.data, end, err);
}

void reg_path_name(const struct reg_path *path, unsigned depth, const char **name, size_t *size)
{
    size_t start = depth > 1 ? path->level[depth - 2].canon_end + 1u : 0;
    *name = (const char *)path->canon.data + start;
    *size = path->level[depth - 1].canon_end - start;
}

/* Keep the levels that the new path begins with; return where the rest of it begins. */
static const char *keep_common(struct reg_path *path, const char *text)
{
    size_t same = 0;
    while (same < path->raw.size && (uint8_t)text[same] == path->raw.data[same]) {
        same++; /* ends at the text's NUL at the latest: raw holds none */
    }
    unsigned depth = path->depth;
    while (depth > 0) {
        uint32_t end = path->level[depth - 1].raw_end;
        if (end <= same && (text[end] == 0 || text[end] == TXREG_SEPARATOR)) {
            break;
        }
        depth--;
    }
    reg_path_cut(path, depth);
    size_t end = depth > 0 ? path->level[depth - 1].raw_end : 0;
    return text + end + (depth > 0 && text[end] == TXREG_SEPARATOR ? 1 : 0);
}

static enum tx_status add_name(struct tx_buf *buf, const void *name, size_t size,
                               struct tx_error *err)
{
    char separator = TXREG_SEPARATOR;
    if (buf->size > 0) {
        TX_TRY(tx_buf_append(buf, &separator, 1, err));
    }
    return tx_buf_append(buf, name, size, err);
}

enum tx_status reg_path_enter(struct reg_path *path, const char *name, size_t size,
                              const struct reg_child *child, struct tx_error *err)
{
    size_t raw_before = path->raw.size;
    size_t canon_before = path->canon.size;
    enum tx_status status = add_name(&path->raw, name, size, err);
    if (status == TX_OK) {
        status = add_name(&path->canon, child->name, child->name_size, err);
    }
    if (status != TX_OK) {
        path->raw.size = raw_before;
        path->canon.size = canon_before;
        return status;
    }
    path->level[path->depth++] = (struct reg_level){
        .id = child->id,
        .raw_end = (uint32_t)path->raw.size,
        .canon_end = (uint32_t)path->canon.size,
    };
    return TX_OK;
}

static size_t name_length(const char *text)
{
    const char *end = strchr(text, TXREG_SEPARATOR);
    return end != NULL ? (size_t)(end - text) : strlen(text);
}

/* Names that do not exist must still be names. */
static enum tx_status check_rest(const char *text, unsigned depth, struct tx_error *err)
{
    for (;; depth++) {
        struct reg_key key;
        size_t size = name_length(text);
        if (depth >= TXREG_DEPTH_MAX) {
            return tx_error_set(err, TX_ELIMIT, "key path of more than %d levels",
                                TXREG_DEPTH_MAX);
        }
        TX_TRY(reg_key_child(&key, REG_ROOT_ID, text, size, err));
        if (text[size] == 0) {
            return TX_OK;
        }
        text += size + 1;
    }
}

/* Take one step; *found is false when there is no such subkey. */
static enum tx_status step(struct reg_space *space, const char *name, size_t size, bool *found,
                           struct tx_error *err)
{
    struct reg_path *path = &space->path;
    struct reg_key key;
    struct reg_child child;
    TX_AUTO(reg_hit) hit = REG_HIT_INIT;
    TX_TRY(reg_key_child(&key, reg_path_id(path, path->depth), name, size, err));
    TX_TRY(reg_space_get(space, &key, &hit, err));
    *found = hit.payload != NULL;
    if (!*found) {
        return TX_OK;
    }
    if (!reg_child_decode(&child, hit.payload, hit.size) || child.id <= REG_ROOT_ID) {
        return reg_record_corrupt(err, key.bytes, "malformed");
    }
    return reg_path_enter(path, name, size, &child, err);
}

static enum tx_status follow(struct reg_space *space, const char *text, const char **rest,
                             struct tx_error *err)
{
    struct reg_path *path = &space->path;
    const char *at = keep_common(path, text);
    bool at_end = path->depth > 0 ? text[path->level[path->depth - 1].raw_end] == 0
                                  : text[0] == 0;
    while (!at_end) {
        size_t size = name_length(at);
        bool found;
        if (path->depth == TXREG_DEPTH_MAX) {
            return check_rest(at, path->depth, err);
        }
        TX_TRY(step(space, at, size, &found, err));
        if (!found) {
            *rest = at;
            return check_rest(at, path->depth, err);
        }
        at_end = at[size] == 0;
        at += size + (at_end ? 0 : 1);
    }
    *rest = at;
    return TX_OK;
}

enum tx_status reg_resolve(struct reg_space *space, const char *path, const char **rest,
                           struct tx_error *err)
{
    enum tx_status status = follow(space, path, rest, err);
    if (status != TX_OK) {
        tx_error_prefix(err, "key \"%s\"", path);
    }
    return status;
}

enum tx_status reg_resolve_all(struct reg_space *space, const char *path, uint64_t *id,
                               struct tx_error *err)
{
    const char *rest;
    TX_TRY(reg_resolve(space, path, &rest, err));
    if (*rest != 0) {
        return tx_error_set(err, TX_ENOTFOUND, "no key \"%s\"", path);
    }
    *id = reg_path_id(&space->path, space->path.depth);
    return TX_OK;
}
