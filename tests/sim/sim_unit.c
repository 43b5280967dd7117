/* SPDX-License-Identifier: MIT */
#include <inttypes.h>

#include "sim/sim_internal.h"

struct sim_unit *sim_unit_new(enum sim_unit_kind kind, uint32_t ino, int64_t time_ns)
{
    struct sim_unit *unit = sim_need(calloc(1, sizeof *unit));
    unit->refs = 1;
    unit->kind = kind;
    unit->ino = ino;
    unit->time_ns = time_ns;
    return unit;
}

struct sim_unit *sim_unit_keep(struct sim_unit *unit)
{
    unit->refs++;
    return unit;
}

void sim_unit_drop(struct sim_unit *unit)
{
    if (--unit->refs > 0) {
        return;
    }
    for (unsigned i = 0; i < unit->slot_count; i++) {
        sim_bytes_drop(unit->slots[i].name);
    }
    for (uint32_t i = 0; i < unit->block_count; i++) {
        sim_block_drop(unit->blocks[i]);
    }
    sim_bytes_drop(unit->name);
    sim_bytes_drop(unit->value);
    free(unit->blocks);
    free(unit->needs);
    free(unit);
}

void sim_unit_need(struct sim_unit *unit, uint64_t seq)
{
    for (unsigned i = 0; i < unit->need_count; i++) {
        if (unit->needs[i] == seq) {
            return;
        }
    }
    unit->needs = sim_need(realloc(unit->needs, (unit->need_count + 1) * sizeof *unit->needs));
    unit->needs[unit->need_count++] = seq;
}

void sim_unit_slot(struct sim_unit *unit, uint32_t dir, struct sim_bytes *name, uint32_t before,
                   uint32_t after)
{
    unit->slots[unit->slot_count++] = (struct sim_slot){dir, before, after, sim_bytes_keep(name)};
}

bool sim_unit_can_tear(const struct sim_unit *unit)
{
    if (unit->kind == SIM_UNIT_ATTR) {
        return (unit->attr.mask & (unit->attr.mask - 1)) != 0;
    }
    if (unit->kind == SIM_UNIT_SIZE) {
        return unit->size % SIM_BLOCK != 0 && unit->may_not_grow;
    }
    if (unit->kind != SIM_UNIT_DATA) {
        return false;
    }
    bool spans = unit->offset / SIM_SECTOR != (unit->offset + unit->size - 1) / SIM_SECTOR;
    return (unit->grow_to != 0 && unit->may_not_grow) ||
           (!unit->solid && (unit->grow_to != 0 || spans));
}

unsigned sim_unit_find(struct sim_unit *const *units, unsigned count, uint64_t seq)
{
    unsigned low = 0;
    unsigned high = count;
    while (low < high) {
        unsigned middle = (low + high) / 2;
        if (units[middle]->seq < seq) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low < count && units[low]->seq == seq ? low : UINT32_MAX;
}

static void apply_name(struct sim_table *table, const struct sim_unit *unit)
{
    for (unsigned i = 0; i < unit->slot_count; i++) {
        const struct sim_slot *slot = unit->slots + i;
        struct sim_inode *dir = sim_table_own(table, slot->dir);
        sim_entry_set(dir, slot->name, slot->after);
        dir->mtime_ns = unit->time_ns;
        dir->ctime_ns = unit->time_ns;
        if (slot->before != 0) {
            struct sim_inode *gone = sim_table_own(table, slot->before);
            gone->links--;
            gone->ctime_ns = unit->time_ns;
        }
        if (slot->after != 0) {
            struct sim_inode *here = sim_table_own(table, slot->after);
            here->links++;
            here->ctime_ns = unit->time_ns;
            here->parent = S_ISDIR(here->mode) ? slot->dir : 0;
        }
    }
}

/* Which sectors of a torn write reach the disk. */
enum tear_shape { TEAR_NONE, TEAR_RANDOM, TEAR_PREFIX, TEAR_SUFFIX, TEAR_ONE_LOST };

static bool sector_kept(enum tear_shape shape, uint64_t *random, uint64_t sector, uint64_t pivot)
{
    switch (shape) {
    case TEAR_NONE:
        return false;
    case TEAR_RANDOM:
        return (sim_random(random) & 1) != 0;
    case TEAR_PREFIX:
        return sector < pivot;
    case TEAR_SUFFIX:
        return sector >= pivot;
    default:
        return sector != pivot;
    }
}

/* What a disk leaves where it was writing when the power failed: bytes of nobody. Those beside the
 * write stay what they were (powersafe overwrite, docs/faults.md). */
static void spoil(struct sim_inode *inode, const struct sim_unit *unit, uint64_t sector,
                  uint64_t seed)
{
    uint64_t random = sim_mix(seed, sector);
    uint64_t noise[SIM_SECTOR / 8];
    uint64_t from = sector * SIM_SECTOR;
    uint64_t to = from + SIM_SECTOR;
    from = from < unit->offset ? unit->offset : from;
    to = to > unit->offset + unit->size ? unit->offset + unit->size : to;
    for (unsigned i = 0; i < SIM_SECTOR / 8; i++) {
        noise[i] = sim_random(&random);
    }
    sim_content_write(inode, noise, (size_t)(to - from), from);
}

/* Sectors go to disk as they are in the page cache: with what was written to the rest of them. */
static void apply_torn(struct sim_inode *inode, const struct sim_unit *unit, struct sim_tear *tear)
{
    uint64_t first = unit->offset / SIM_SECTOR;
    uint64_t end = (unit->offset + unit->size + SIM_SECTOR - 1) / SIM_SECTOR;
    uint64_t random = sim_mix(tear->seed, unit->seq);
    enum tear_shape shape = (enum tear_shape)(sim_random(&random) % 5);
    uint64_t pivot = first + sim_random(&random) % (end - first);
    for (uint64_t sector = first; sector < end; sector++) {
        if (!sector_kept(shape, &random, sector, pivot)) {
            tear->torn = true;
            if (unit->may_spoil && (sim_random(&random) & 1) != 0) {
                tear->spoilt = true;
                spoil(inode, unit, sector, tear->seed);
            }
            continue;
        }
        uint32_t index = (uint32_t)(sector * SIM_SECTOR / SIM_BLOCK);
        uint32_t start = (uint32_t)(sector * SIM_SECTOR % SIM_BLOCK);
        sim_content_place(inode, index, unit->blocks[index - unit->offset / SIM_BLOCK], start,
                          start + SIM_SECTOR);
    }
}

static void apply_whole(struct sim_inode *inode, const struct sim_unit *unit)
{
    uint64_t first = unit->offset / SIM_BLOCK;
    uint64_t begin = unit->offset / SIM_SECTOR * SIM_SECTOR;
    uint64_t end = (unit->offset + unit->size + SIM_SECTOR - 1) / SIM_SECTOR * SIM_SECTOR;
    for (uint32_t i = 0; i < unit->block_count; i++) {
        uint64_t start = (first + i) * SIM_BLOCK;
        uint64_t from = start < begin ? begin - start : 0;
        uint64_t to = end - start < SIM_BLOCK ? end - start : SIM_BLOCK;
        sim_content_place(inode, (uint32_t)(first + i), unit->blocks[i], (uint32_t)from,
                          (uint32_t)to);
    }
}

/* Half of the units that can be torn are: the other half shows what is next to them. */
static bool tears(const struct sim_unit *unit, const struct sim_tear *tear, uint64_t *random)
{
    *random = sim_mix(tear->seed, ~unit->seq);
    return tear->seed != 0 && sim_unit_can_tear(unit) && (*random & 1) != 0;
}

static void apply_data(struct sim_inode *inode, const struct sim_unit *unit, struct sim_tear *tear)
{
    uint64_t random;
    bool torn = tears(unit, tear, &random);
    bool grows = unit->grow_to > inode->size;
    if (torn && grows && unit->may_not_grow && (unit->solid || (random & 2) != 0)) {
        grows = false; /* what is below the old size is kept, the rest cannot be seen */
        tear->torn = true;
        torn = (random & 4) != 0;
    }
    if (torn && !unit->solid) {
        apply_torn(inode, unit, tear);
    } else {
        apply_whole(inode, unit);
    }
    if (grows) {
        inode->size = unit->grow_to;
    }
}

/* A file is cut short in the middle of a block: the rest of that block is made zero first, and that
 * may be all that is kept. */
static bool apply_zeroing_only(struct sim_inode *inode, const struct sim_unit *unit,
                               struct sim_tear *tear)
{
    uint64_t random;
    if (unit->size >= inode->size || !tears(unit, tear, &random)) {
        return false;
    }
    static const uint8_t zero[SIM_BLOCK];
    uint64_t end = (unit->size / SIM_BLOCK + 1) * SIM_BLOCK;
    end = end < inode->size ? end : inode->size;
    sim_content_write(inode, zero, (size_t)(end - unit->size), unit->size);
    tear->torn = true;
    return true;
}

static void apply_size(struct sim_inode *inode, const struct sim_unit *unit, struct sim_tear *tear)
{
    if (apply_zeroing_only(inode, unit, tear)) {
        return;
    }
    if (unit->size < inode->size) {
        sim_content_trim(inode, unit->size);
    }
    inode->size = unit->size;
    if (unit->offset > unit->allocate_from) {
        sim_content_allocate(inode, unit->allocate_from, unit->offset);
    }
}

static void apply_attr(struct sim_inode *inode, const struct sim_unit *unit, struct sim_tear *tear)
{
    uint32_t mask = unit->attr.mask;
    if (tear->seed != 0 && sim_unit_can_tear(unit)) {
        uint32_t kept = mask & (uint32_t)sim_mix(tear->seed, unit->seq);
        tear->torn = tear->torn || kept != mask;
        mask = kept;
    }
    if ((mask & TXIO_ATTR_OWNER) != 0) {
        inode->uid = unit->attr.uid;
        inode->gid = unit->attr.gid;
        if (!S_ISDIR(inode->mode)) {
            inode->mode &= (inode->mode & S_IXGRP) != 0 ? ~(uint32_t)(S_ISUID | S_ISGID)
                                                        : ~(uint32_t)S_ISUID;
        }
    }
    if ((mask & TXIO_ATTR_MODE) != 0 && !S_ISLNK(inode->mode)) {
        inode->mode = (inode->mode & S_IFMT) | (unit->attr.mode & 07777);
    }
    if ((mask & TXIO_ATTR_TIMES) != 0) {
        inode->atime_ns = unit->attr.atime_ns;
        inode->mtime_ns = unit->attr.mtime_ns;
    }
    inode->ctime_ns = unit->time_ns;
}

void sim_unit_apply(struct sim_table *table, const struct sim_unit *unit, struct sim_tear *tear)
{
    if (unit->kind == SIM_UNIT_NAME) {
        apply_name(table, unit);
        return;
    }
    struct sim_inode *inode = sim_table_own(table, unit->ino);
    switch (unit->kind) {
    case SIM_UNIT_DATA:
        apply_data(inode, unit, tear);
        break;
    case SIM_UNIT_SIZE:
        apply_size(inode, unit, tear);
        break;
    case SIM_UNIT_ATTR:
        apply_attr(inode, unit, tear);
        break;
    case SIM_UNIT_XATTR:
        sim_xattr_set(inode, unit->name, unit->value);
        inode->ctime_ns = unit->time_ns;
        break;
    case SIM_UNIT_TIMES:
        inode->mtime_ns = unit->time_ns;
        inode->ctime_ns = unit->time_ns;
        break;
    case SIM_UNIT_NAME:
        break;
    }
}

void sim_unit_print(const struct sim_unit *unit, FILE *out)
{
    static const char *const names[] = {"name", "data", "size", "attr", "xattr", "times"};
    (void)fprintf(out, "#%" PRIu64 " %s", unit->seq, names[unit->kind]);
    for (unsigned i = 0; i < unit->slot_count; i++) {
        const struct sim_slot *slot = unit->slots + i;
        (void)fprintf(out, " %u/%s: %u->%u", slot->dir, slot->name->data, slot->before,
                      slot->after);
    }
    if (unit->kind != SIM_UNIT_NAME) {
        (void)fprintf(out, " inode %u", unit->ino);
    }
    if (unit->kind == SIM_UNIT_DATA || unit->kind == SIM_UNIT_SIZE) {
        (void)fprintf(out, " at %" PRIu64 " size %" PRIu64 " grow to %" PRIu64, unit->offset,
                      unit->size, unit->grow_to);
    }
    for (unsigned i = 0; i < unit->need_count; i++) {
        (void)fprintf(out, "%s%" PRIu64, i == 0 ? " needs #" : ",#", unit->needs[i]);
    }
    (void)fputc('\n', out);
}
