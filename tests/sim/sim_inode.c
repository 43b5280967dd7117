/* SPDX-License-Identifier: MIT */
#include "sim/sim_internal.h"

struct sim_inode *sim_inode_new(uint32_t ino, uint32_t mode)
{
    struct sim_inode *inode = sim_need(calloc(1, sizeof *inode));
    inode->refs = 1;
    inode->ino = ino;
    inode->mode = mode;
    return inode;
}

struct sim_inode *sim_inode_keep(struct sim_inode *inode)
{
    if (inode != NULL) {
        inode->refs++;
    }
    return inode;
}

void sim_inode_drop(struct sim_inode *inode)
{
    if (inode == NULL || --inode->refs > 0) {
        return;
    }
    for (uint32_t i = 0; i < inode->block_count; i++) {
        sim_block_drop(inode->blocks[i]);
    }
    for (uint32_t i = 0; i < inode->entry_count; i++) {
        sim_bytes_drop(inode->entries[i].name);
    }
    for (uint32_t i = 0; i < inode->xattr_count; i++) {
        sim_bytes_drop(inode->xattrs[i].name);
        sim_bytes_drop(inode->xattrs[i].value);
    }
    sim_bytes_drop(inode->target);
    free(inode->blocks);
    free(inode->entries);
    free(inode->xattrs);
    free(inode);
}

static void *copy_array(const void *array, size_t count, size_t size)
{
    if (count == 0) {
        return NULL;
    }
    return memcpy(sim_need(malloc(count * size)), array, count * size);
}

struct sim_inode *sim_inode_clone(const struct sim_inode *inode)
{
    struct sim_inode *copy = copy_array(inode, 1, sizeof *inode);
    copy->refs = 1;
    copy->hash = 0;
    copy->blocks = copy_array(inode->blocks, inode->block_count, sizeof *inode->blocks);
    copy->entries = copy_array(inode->entries, inode->entry_count, sizeof *inode->entries);
    copy->entry_room = inode->entry_count;
    copy->xattrs = copy_array(inode->xattrs, inode->xattr_count, sizeof *inode->xattrs);
    for (uint32_t i = 0; i < inode->block_count; i++) {
        sim_block_keep(inode->blocks[i]);
    }
    for (uint32_t i = 0; i < inode->entry_count; i++) {
        sim_bytes_keep(inode->entries[i].name);
    }
    for (uint32_t i = 0; i < inode->xattr_count; i++) {
        sim_bytes_keep(inode->xattrs[i].name);
        sim_bytes_keep(inode->xattrs[i].value);
    }
    sim_bytes_keep(inode->target);
    return copy;
}

static uint64_t hash_content(struct sim_inode *inode)
{
    uint64_t hash = inode->size;
    for (uint32_t i = 0; i < inode->block_count; i++) {
        struct sim_block *block = inode->blocks[i];
        if (block != NULL && block != &sim_unwritten) {
            hash += sim_mix(sim_block_hash(block), i + 1);
        }
    }
    return hash;
}

uint64_t sim_inode_hash(struct sim_inode *inode)
{
    if (inode->hash != 0) {
        return inode->hash;
    }
    const uint64_t fields[] = {
        (uint64_t)inode->ino << 32 | inode->mode,
        (uint64_t)inode->uid << 32 | inode->gid,
        inode->rdev,
        hash_content(inode),
        inode->target != NULL ? inode->target->hash : 0,
    };
    uint64_t hash = sim_hash(fields, sizeof fields, 3);
    for (uint32_t i = 0; i < inode->entry_count; i++) {
        hash += sim_mix(inode->entries[i].name->hash, inode->entries[i].ino);
    }
    for (uint32_t i = 0; i < inode->xattr_count; i++) {
        hash += sim_mix(inode->xattrs[i].name->hash, inode->xattrs[i].value->hash + 1);
    }
    inode->hash = hash | 1;
    return inode->hash;
}

static int compare(const struct sim_bytes *name, const char *text, size_t size)
{
    size_t common = name->size < size ? name->size : size;
    int order = memcmp(name->data, text, common);
    return order != 0 ? order : (name->size > size) - (name->size < size);
}

/* Index of the first entry that is not before the name. */
static uint32_t entry_position(const struct sim_inode *dir, const char *name, size_t size)
{
    uint32_t low = 0;
    uint32_t high = dir->entry_count;
    while (low < high) {
        uint32_t middle = (low + high) / 2;
        if (compare(dir->entries[middle].name, name, size) < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

uint32_t sim_entry_find(const struct sim_inode *dir, const char *name, size_t size)
{
    uint32_t at = entry_position(dir, name, size);
    if (at < dir->entry_count && compare(dir->entries[at].name, name, size) == 0) {
        return dir->entries[at].ino;
    }
    return 0;
}

void sim_entry_set(struct sim_inode *dir, struct sim_bytes *name, uint32_t ino)
{
    uint32_t at = entry_position(dir, name->data, name->size);
    bool found = at < dir->entry_count && sim_bytes_equal(dir->entries[at].name, name);
    struct sim_entry *entry = dir->entries != NULL ? dir->entries + at : NULL;
    if (found && ino != 0) {
        entry->ino = ino;
        return;
    }
    if (found) {
        sim_bytes_drop(entry->name);
        dir->entry_count--;
        memmove(entry, entry + 1, (dir->entry_count - at) * sizeof *entry);
        return;
    }
    if (ino == 0) {
        return;
    }
    if (dir->entry_count == dir->entry_room) {
        dir->entry_room = dir->entry_room * 2 + 8;
        dir->entries = sim_need(realloc(dir->entries, dir->entry_room * sizeof *entry));
        entry = dir->entries + at;
    }
    memmove(entry + 1, entry, (dir->entry_count - at) * sizeof *entry);
    *entry = (struct sim_entry){sim_bytes_keep(name), ino};
    dir->entry_count++;
}

struct sim_xattr *sim_xattr_find(const struct sim_inode *inode, const char *name)
{
    for (uint32_t i = 0; i < inode->xattr_count; i++) {
        if (strcmp(inode->xattrs[i].name->data, name) == 0) {
            return inode->xattrs + i;
        }
    }
    return NULL;
}

void sim_xattr_set(struct sim_inode *inode, struct sim_bytes *name, struct sim_bytes *value)
{
    struct sim_xattr *found = sim_xattr_find(inode, name->data);
    if (found != NULL && value != NULL) {
        sim_bytes_drop(found->value);
        found->value = sim_bytes_keep(value);
    } else if (found != NULL) {
        size_t at = (size_t)(found - inode->xattrs);
        sim_bytes_drop(found->name);
        sim_bytes_drop(found->value);
        inode->xattr_count--;
        memmove(found, found + 1, (inode->xattr_count - at) * sizeof *found);
    } else if (value != NULL) {
        size_t size = (inode->xattr_count + 1) * sizeof *inode->xattrs;
        inode->xattrs = sim_need(realloc(inode->xattrs, size));
        inode->xattrs[inode->xattr_count++] =
            (struct sim_xattr){sim_bytes_keep(name), sim_bytes_keep(value)};
    }
}
