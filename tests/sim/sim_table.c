/* SPDX-License-Identifier: MIT */
#include "sim/sim_internal.h"

struct sim_table *sim_table_new(void)
{
    struct sim_table *table = sim_need(calloc(1, sizeof *table));
    table->refs = 1;
    struct sim_inode *root = sim_inode_new(SIM_ROOT, S_IFDIR | 0755);
    root->links = 1;
    root->parent = SIM_ROOT;
    sim_table_set(table, SIM_ROOT, root);
    return table;
}

struct sim_table *sim_table_keep(struct sim_table *table)
{
    table->refs++;
    return table;
}

void sim_table_drop(struct sim_table *table)
{
    if (table == NULL || --table->refs > 0) {
        return;
    }
    for (uint32_t i = 0; i < table->count; i++) {
        sim_inode_drop(table->inodes[i]);
    }
    free(table->inodes);
    free(table);
}

struct sim_table *sim_table_unshare(struct sim_table *table)
{
    if (table->refs == 1) {
        return table;
    }
    struct sim_table *copy = sim_need(malloc(sizeof *copy));
    size_t size = table->count * sizeof *copy->inodes;
    *copy = (struct sim_table){1, table->count, sim_need(malloc(size))};
    memcpy(copy->inodes, table->inodes, size);
    for (uint32_t i = 0; i < copy->count; i++) {
        sim_inode_keep(copy->inodes[i]);
    }
    table->refs--;
    return copy;
}

struct sim_inode *sim_table_own(struct sim_table *table, uint32_t ino)
{
    struct sim_inode *inode = table->inodes[ino];
    if (inode->refs > 1) {
        table->inodes[ino] = sim_inode_clone(inode);
        inode->refs--;
        inode = table->inodes[ino];
    }
    inode->hash = 0;
    return inode;
}

void sim_table_set(struct sim_table *table, uint32_t ino, struct sim_inode *inode)
{
    if (ino >= table->count) {
        uint32_t count = ino + ino / 2 + 16;
        table->inodes = sim_need(realloc(table->inodes, count * sizeof *table->inodes));
        memset(table->inodes + table->count, 0,
               (count - table->count) * sizeof *table->inodes);
        table->count = count;
    }
    sim_inode_drop(table->inodes[ino]);
    table->inodes[ino] = inode;
}

static bool has_bytes_after(const struct sim_inode *inode)
{
    return inode->block_count > (inode->size + SIM_BLOCK - 1) / SIM_BLOCK ||
           inode->size % SIM_BLOCK != 0;
}

/* Mark what can be reached from the root, without recursion: `queue` holds directories. */
static void mark_reachable(const struct sim_table *table, uint8_t *seen, uint32_t *queue)
{
    uint32_t head = 0;
    uint32_t tail = 0;
    queue[tail++] = SIM_ROOT;
    seen[SIM_ROOT] = 1;
    while (head < tail) {
        const struct sim_inode *dir = table->inodes[queue[head++]];
        for (uint32_t i = 0; i < dir->entry_count; i++) {
            uint32_t ino = dir->entries[i].ino;
            const struct sim_inode *inode = sim_table_get(table, ino);
            if (inode == NULL) {
                abort(); /* a name without an object: the model is broken */
            }
            if (!seen[ino] && S_ISDIR(inode->mode)) {
                queue[tail++] = ino;
            }
            seen[ino] = 1;
        }
    }
}

void sim_table_settle(struct sim_table *table)
{
    size_t count = table->count;
    uint8_t *seen = sim_need(calloc(count, 1));
    uint32_t *queue = sim_need(malloc(count * sizeof *queue));
    mark_reachable(table, seen, queue);
    for (uint32_t i = 0; i < count; i++) {
        struct sim_inode *inode = table->inodes[i];
        if (inode != NULL && !seen[i]) {
            sim_table_set(table, i, NULL);
        } else if (inode != NULL && inode->refs == 1 && has_bytes_after(inode)) {
            sim_content_trim(inode, inode->size);
            inode->hash = 0;
        }
    }
    free(queue);
    free(seen);
}

static uint64_t times_hash(const struct sim_inode *inode)
{
    const int64_t times[] = {inode->atime_ns, inode->mtime_ns, inode->ctime_ns, inode->btime_ns};
    return sim_hash(times, sizeof times, 4);
}

uint64_t sim_table_hash(const struct sim_table *table, bool with_times)
{
    uint64_t hash = 0;
    for (uint32_t i = 0; i < table->count; i++) {
        struct sim_inode *inode = table->inodes[i];
        if (inode != NULL) {
            hash += sim_mix(sim_inode_hash(inode) + (with_times ? times_hash(inode) : 0), i);
        }
    }
    return hash;
}
