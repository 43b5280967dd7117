/* SPDX-License-Identifier: MIT */
/* What is asked about objects, and their attributes. */
#include <dirent.h>

#include "sim/sim_ops.h"

#define DEVICE 0x51u /* st_dev of the only file system at the first boot */
#define VALUE_SIZE_MAX 65536u
#define CAPABILITY "security.capability"

/* --- Asking ----------------------------------------------------------------------------------- */

void sim_stat_of(const struct sim *sim, uint32_t ino, struct txio_stat *stat)
{
    const struct sim_inode *inode = sim->live->inodes[ino];
    uint32_t links = inode->links;
    if (S_ISDIR(inode->mode) && links > 0) {
        links = 2;
        for (uint32_t i = 0; i < inode->entry_count; i++) {
            links += S_ISDIR(sim->live->inodes[inode->entries[i].ino]->mode);
        }
    }
    *stat = (struct txio_stat){
        .dev = DEVICE + sim->boots, /* as a real one, it may get another number */
        .ino = ino,
        .size = S_ISDIR(inode->mode) ? SIM_BLOCK : inode->size,
        .allocated = S_ISDIR(inode->mode) ? SIM_BLOCK : sim_content_allocated(inode),
        .rdev = inode->rdev,
        .mode = inode->mode,
        .uid = inode->uid,
        .gid = inode->gid,
        .nlink = links,
        .atime_ns = inode->atime_ns,
        .mtime_ns = inode->mtime_ns,
        .ctime_ns = inode->ctime_ns,
        .btime_ns = inode->btime_ns,
    };
}

int sim_fstat(struct txio *io, int fd, struct txio_stat *stat)
{
    struct sim *sim = NULL;
    int result = sim_enter(io, &sim);
    const struct sim_fd *open = sim_fd_of(sim_process_of(io), fd);
    if (result < 0 || open == NULL) {
        return result < 0 ? result : -EBADF;
    }
    sim_stat_of(sim, open->ino, stat);
    return 0;
}

/* Begin an operation on an object by its path. */
static int enter_object(struct txio *io, const char *op, int dir, const char *path,
                        struct sim **sim, uint32_t *ino)
{
    int result = op != NULL ? sim_enter_change(io, op, sim) : sim_enter(io, sim);
    return result < 0 ? result : sim_resolve_existing(sim_process_of(io), dir, path, ino);
}

int sim_stat(struct txio *io, int dir, const char *path, struct txio_stat *stat)
{
    struct sim *sim = NULL;
    uint32_t ino = 0;
    int result = enter_object(io, NULL, dir, path, &sim, &ino);
    if (result == 0) {
        sim_stat_of(sim, ino, stat);
    }
    return result;
}

int sim_readlink(struct txio *io, int dir, const char *path, char *target, size_t size)
{
    __attribute__((cleanup(sim_place_auto))) struct sim_place place = {0};
    struct sim *sim = NULL;
    int result = sim_enter(io, &sim);
    if (result == 0) {
        result = sim_resolve(sim_process_of(io), dir, path, false, &place);
    }
    if (result < 0 || place.ino == 0) {
        return result < 0 ? result : -ENOENT;
    }
    const struct sim_bytes *text = sim->live->inodes[place.ino]->target;
    if (text == NULL) {
        return -EINVAL;
    }
    if (text->size >= size) {
        return -ENAMETOOLONG;
    }
    memcpy(target, text->data, text->size + 1);
    return (int)text->size;
}

struct listed {
    struct sim_bytes *name;
    uint32_t ino;
    uint32_t type;
};

/* As a hashed directory gives them: in an order that means nothing. */
static int by_hash(const void *a, const void *b)
{
    const struct listed *left = a;
    const struct listed *right = b;
    return (left->name->hash > right->name->hash) - (left->name->hash < right->name->hash);
}

static struct listed *collect(const struct sim *sim, const struct sim_inode *dir)
{
    struct listed *all = sim_need(malloc((dir->entry_count + 1) * sizeof *all));
    for (uint32_t i = 0; i < dir->entry_count; i++) {
        uint32_t ino = dir->entries[i].ino;
        all[i] = (struct listed){sim_bytes_keep(dir->entries[i].name), ino,
                                 IFTODT(sim->live->inodes[ino]->mode)};
    }
    qsort(all, dir->entry_count, sizeof *all, by_hash);
    return all;
}

int sim_list(struct txio *io, int dir, txio_list_fn *fn, void *arg)
{
    struct sim *sim = NULL;
    int result = sim_enter(io, &sim);
    const struct sim_fd *open = sim_fd_of(sim_process_of(io), dir);
    if (result < 0 || open == NULL) {
        return result < 0 ? result : -EBADF;
    }
    const struct sim_inode *inode = sim->live->inodes[open->ino];
    if (!S_ISDIR(inode->mode)) {
        return -ENOTDIR;
    }
    if (inode->links == 0) {
        return -ENOENT;
    }
    uint32_t count = inode->entry_count;
    struct listed *all = collect(sim, inode); /* the callback may change the directory */
    for (uint32_t i = 0; i < count; i++) {
        if (result == 0) {
            result = fn(arg, all[i].name->data, all[i].ino, all[i].type);
        }
        sim_bytes_drop(all[i].name);
    }
    free(all);
    return result;
}

/* --- Attributes ------------------------------------------------------------------------------- */

int sim_set_attr(struct txio *io, int dir, const char *path, const struct txio_attr *attr)
{
    struct sim *sim = NULL;
    uint32_t ino = 0;
    int result = enter_object(io, "set_attr", dir, path, &sim, &ino);
    if (result < 0 || attr->mask == 0) {
        return result;
    }
    const struct sim_inode *inode = sim->live->inodes[ino];
    struct sim_unit *unit = sim_unit_new(SIM_UNIT_ATTR, ino, sim_stamp(sim));
    unit->attr = *attr;
    unit->attr.uid = attr->uid == UINT32_MAX ? inode->uid : attr->uid;
    unit->attr.gid = attr->gid == UINT32_MAX ? inode->gid : attr->gid;
    unit->attr.atime_ns = attr->atime_ns == INT64_MIN ? inode->atime_ns : attr->atime_ns;
    unit->attr.mtime_ns = attr->mtime_ns == INT64_MIN ? inode->mtime_ns : attr->mtime_ns;
    if ((attr->mask & TXIO_ATTR_OWNER) != 0) {
        sim_drop_capability(sim, ino);
    }
    sim_change(sim, unit);
    return 0;
}

/* Is this a name that the kernel has a handler for, on such an object? */
static int check_xattr(const struct sim_inode *inode, const char *name, int user_refused)
{
    size_t size = strlen(name);
    if (size == 0 || size > SIM_NAME_MAX) {
        return -ERANGE;
    }
    if (strncmp(name, "user.", 5) == 0) {
        bool allowed = S_ISREG(inode->mode) || S_ISDIR(inode->mode);
        return !allowed ? user_refused : name[5] == '\0' ? -EINVAL : 0;
    }
    bool known = strncmp(name, "trusted.", 8) == 0 || strncmp(name, "security.", 9) == 0;
    return known ? 0 : -EOPNOTSUPP;
}

int64_t sim_get_xattr(struct txio *io, int dir, const char *path, const char *name, void *value,
                      size_t size)
{
    struct sim *sim = NULL;
    uint32_t ino = 0;
    int result = enter_object(io, NULL, dir, path, &sim, &ino);
    if (result == 0) {
        result = check_xattr(sim->live->inodes[ino], name, -ENODATA);
    }
    if (result < 0) {
        return result;
    }
    const struct sim_xattr *found = sim_xattr_find(sim->live->inodes[ino], name);
    if (found == NULL) {
        return -ENODATA;
    }
    if (size != 0 && found->value->size > size) {
        return -ERANGE;
    }
    if (size != 0) {
        memcpy(value, found->value->data, found->value->size);
    }
    return (int64_t)found->value->size;
}

int64_t sim_list_xattr(struct txio *io, int dir, const char *path, char *names, size_t size)
{
    struct sim *sim = NULL;
    uint32_t ino = 0;
    int result = enter_object(io, NULL, dir, path, &sim, &ino);
    if (result < 0) {
        return result;
    }
    const struct sim_inode *inode = sim->live->inodes[ino];
    size_t total = 0;
    for (uint32_t i = 0; i < inode->xattr_count; i++) {
        const struct sim_bytes *name = inode->xattrs[i].name;
        if (size != 0 && total + name->size + 1 > size) {
            return -ERANGE;
        }
        if (size != 0) {
            memcpy(names + total, name->data, name->size + 1);
        }
        total += name->size + 1;
    }
    return (int64_t)total;
}

static void change_xattr(struct sim *sim, uint32_t ino, const char *name, struct sim_bytes *value)
{
    struct sim_unit *unit = sim_unit_new(SIM_UNIT_XATTR, ino, sim_stamp(sim));
    unit->name = sim_bytes_new(name, strlen(name));
    unit->value = value;
    sim_change(sim, unit);
}

void sim_drop_capability(struct sim *sim, uint32_t ino)
{
    const struct sim_inode *inode = sim->live->inodes[ino];
    if (inode->xattr_count > 0 && sim_xattr_find(inode, CAPABILITY) != NULL) {
        change_xattr(sim, ino, CAPABILITY, NULL);
    }
}

int sim_set_xattr(struct txio *io, int dir, const char *path, const char *name, const void *value,
                  size_t size)
{
    struct sim *sim = NULL;
    uint32_t ino = 0;
    int result = enter_object(io, "set_xattr", dir, path, &sim, &ino);
    if (result < 0) {
        return result;
    }
    if (size > VALUE_SIZE_MAX) {
        return -E2BIG;
    }
    result = check_xattr(sim->live->inodes[ino], name, -EPERM);
    if (result < 0) {
        return result;
    }
    if (!sim_has_room(sim, size)) {
        return -ENOSPC;
    }
    change_xattr(sim, ino, name, sim_bytes_new(value != NULL ? value : "", size));
    return 0;
}

int sim_remove_xattr(struct txio *io, int dir, const char *path, const char *name)
{
    struct sim *sim = NULL;
    uint32_t ino = 0;
    int result = enter_object(io, "remove_xattr", dir, path, &sim, &ino);
    if (result == 0) {
        result = check_xattr(sim->live->inodes[ino], name, -EPERM);
    }
    if (result < 0) {
        return result;
    }
    if (sim_xattr_find(sim->live->inodes[ino], name) == NULL) {
        return -ENODATA;
    }
    change_xattr(sim, ino, name, NULL);
    return 0;
}
