/* SPDX-License-Identifier: MIT */
/* Contents of files: 4 KiB blocks, shared until written; what was never written is a hole. */
#include "sim/sim_internal.h"

static uint32_t part_end(uint64_t offset, uint64_t left)
{
    uint64_t end = offset % SIM_BLOCK + left;
    return (uint32_t)(end < SIM_BLOCK ? end : SIM_BLOCK);
}

const uint8_t *sim_content_block(const struct sim_inode *inode, uint64_t index)
{
    const struct sim_block *block = index < inode->block_count ? inode->blocks[index] : NULL;
    return block != NULL ? block->data : sim_unwritten.data;
}

/* Bytes at or after the size read as zero because they are none: the caller clamps. */
void sim_content_read(const struct sim_inode *inode, void *data, size_t size, uint64_t offset)
{
    uint8_t *out = data;
    while (size > 0) {
        uint32_t from = (uint32_t)(offset % SIM_BLOCK);
        uint32_t part = part_end(offset, size) - from;
        memcpy(out, sim_content_block(inode, offset / SIM_BLOCK) + from, part);
        out += part;
        offset += part;
        size -= part;
    }
}

static void grow_blocks(struct sim_inode *inode, uint32_t count)
{
    if (count <= inode->block_count) {
        return;
    }
    inode->blocks = sim_need(realloc(inode->blocks, count * sizeof *inode->blocks));
    memset(inode->blocks + inode->block_count, 0,
           (count - inode->block_count) * sizeof *inode->blocks);
    inode->block_count = count;
}

/* The block at `index`, to be written by its only owner. */
static struct sim_block *own_block(struct sim_inode *inode, uint32_t index)
{
    struct sim_block *old = inode->blocks[index];
    if (old != NULL && old != &sim_unwritten && old->refs == 1) {
        old->hash = 0;
        return old;
    }
    struct sim_block *block = sim_block_new();
    if (old == NULL || old == &sim_unwritten) {
        memset(block->data, 0, SIM_BLOCK);
    } else {
        memcpy(block->data, old->data, SIM_BLOCK);
    }
    sim_block_drop(old);
    inode->blocks[index] = block;
    return block;
}

void sim_content_write(struct sim_inode *inode, const void *data, size_t size, uint64_t offset)
{
    const uint8_t *in = data;
    while (size > 0) {
        uint32_t index = (uint32_t)(offset / SIM_BLOCK);
        uint32_t from = (uint32_t)(offset % SIM_BLOCK);
        uint32_t part = part_end(offset, size) - from;
        grow_blocks(inode, index + 1);
        memcpy(own_block(inode, index)->data + from, in, part);
        in += part;
        offset += part;
        size -= part;
    }
}

void sim_content_place(struct sim_inode *inode, uint32_t index, struct sim_block *source,
                       uint32_t from, uint32_t to)
{
    grow_blocks(inode, index + 1);
    if (from == 0 && to == SIM_BLOCK) {
        sim_block_keep(source);
        sim_block_drop(inode->blocks[index]);
        inode->blocks[index] = source;
        return;
    }
    memcpy(own_block(inode, index)->data + from, source->data + from, to - from);
}

void sim_content_trim(struct sim_inode *inode, uint64_t size)
{
    uint32_t kept = (uint32_t)((size + SIM_BLOCK - 1) / SIM_BLOCK);
    while (inode->block_count > kept) {
        sim_block_drop(inode->blocks[--inode->block_count]);
    }
    uint32_t rest = (uint32_t)(size % SIM_BLOCK);
    if (rest == 0 || kept == 0 || kept > inode->block_count) {
        return;
    }
    struct sim_block *last = inode->blocks[kept - 1];
    if (last == NULL || last == &sim_unwritten) {
        return;
    }
    for (uint32_t i = rest; i < SIM_BLOCK; i++) {
        if (last->data[i] != 0) {
            memset(own_block(inode, kept - 1)->data + rest, 0, SIM_BLOCK - rest);
            return;
        }
    }
}

void sim_content_allocate(struct sim_inode *inode, uint64_t from, uint64_t to)
{
    uint32_t end = (uint32_t)((to + SIM_BLOCK - 1) / SIM_BLOCK);
    grow_blocks(inode, end);
    for (uint32_t i = (uint32_t)(from / SIM_BLOCK); i < end; i++) {
        if (inode->blocks[i] == NULL) {
            inode->blocks[i] = &sim_unwritten;
        }
    }
}

uint64_t sim_content_allocated(const struct sim_inode *inode)
{
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < inode->block_count; i++) {
        bytes += inode->blocks[i] != NULL ? SIM_BLOCK : 0;
    }
    return bytes;
}

int64_t sim_content_seek(const struct sim_inode *inode, uint64_t offset, bool hole)
{
    if (offset >= inode->size) {
        return -ENXIO;
    }
    for (uint64_t at = offset; at < inode->size; at = (at / SIM_BLOCK + 1) * SIM_BLOCK) {
        uint64_t index = at / SIM_BLOCK;
        struct sim_block *block = index < inode->block_count ? inode->blocks[index] : NULL;
        if ((block == NULL || block == &sim_unwritten) == hole) {
            return (int64_t)at;
        }
    }
    return hole ? (int64_t)inode->size : -ENXIO;
}
