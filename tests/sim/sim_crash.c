/* SPDX-License-Identifier: MIT */
/* Cutting the power: from what is durable and what is pending to the disks that may be left. */
#include <inttypes.h>

#include "sim/sim_internal.h"

#define EXHAUSTIVE_MAX 10u
#define SAMPLES 256u
#define OFF_NS (INT64_C(60) * 1000000000) /* how long the machine is off */

struct sim_image {
    uint32_t refs;
    struct sim_table *table;
    uint64_t hash; /* 0: not known */
    struct sim_options options;
    uint64_t boots;
    int64_t now_ns;
};

/* --- Capturing -------------------------------------------------------------------------------- */

/* What stands in a mapping, as a write that may or may not have happened. */
static struct sim_unit *unit_of_map(const struct sim *sim, uint32_t ino, uint64_t seq)
{
    const struct sim_file *file = sim->files + ino;
    const struct sim_inode *inode = sim_table_get(sim->live, ino);
    if (inode == NULL || sim_table_get(sim->base, ino) == NULL || file->map_size == 0) {
        return NULL;
    }
    uint64_t size = inode->size < file->map_size ? inode->size : file->map_size;
    if (size == 0) {
        return NULL;
    }
    struct sim_unit *unit = sim_unit_new(SIM_UNIT_DATA, ino, 0);
    unit->seq = seq;
    unit->size = size;
    unit->block_count = (uint32_t)((size + SIM_BLOCK - 1) / SIM_BLOCK);
    unit->blocks = sim_need(malloc(unit->block_count * sizeof(*unit->blocks)));
    for (uint32_t i = 0; i < unit->block_count; i++) {
        uint64_t left = size - (uint64_t)i * SIM_BLOCK;
        unit->blocks[i] = sim_block_new();
        memset(unit->blocks[i]->data, 0, SIM_BLOCK);
        memcpy(unit->blocks[i]->data, file->map + (size_t)i * SIM_BLOCK,
               left < SIM_BLOCK ? (size_t)left : SIM_BLOCK);
    }
    return unit;
}

static void capture_maps(const struct sim *sim, struct sim_capture *cut)
{
    for (uint32_t ino = 0; ino < sim->file_room; ino++) {
        struct sim_unit *unit = unit_of_map(sim, ino, sim->next_seq + ino);
        if (unit != NULL) {
            cut->units =
                sim_need(realloc(cut->units, (cut->count + 1) * sizeof(*cut->units)));
            cut->units[cut->count++] = unit;
            cut->heavy_count++;
        }
    }
}

struct sim_capture *sim_capture(struct txio *io)
{
    struct sim *sim = sim_process_of(io)->sim;
    struct sim_capture *cut = sim_need(calloc(1, sizeof *cut));
    cut->base = sim_table_keep(sim->base);
    cut->units = sim_need(malloc((sim->pending_count + 1) * sizeof(*cut->units)));
    cut->count = sim->pending_count;
    cut->options = sim->options;
    cut->boots = sim->boots;
    cut->now_ns = sim->start_ns + sim->elapsed_ns;
    for (unsigned i = 0; i < cut->count; i++) {
        cut->units[i] = sim_unit_keep(sim->pending[i]);
        cut->heavy_count += cut->units[i]->kind != SIM_UNIT_TIMES;
    }
    if (sim->options.write_back_maps) {
        capture_maps(sim, cut);
    }
    return cut;
}

void sim_capture_free(struct sim_capture *cut)
{
    if (cut == NULL) {
        return;
    }
    for (unsigned i = 0; i < cut->count; i++) {
        sim_unit_drop(cut->units[i]);
    }
    sim_table_drop(cut->base);
    free(cut->units);
    free(cut);
}

static const struct sim_unit *next_heavy(const struct sim_capture *cut, unsigned *at)
{
    while (*at < cut->count && cut->units[*at]->kind == SIM_UNIT_TIMES) {
        (*at)++;
    }
    return *at < cut->count ? cut->units[(*at)++] : NULL;
}

bool sim_capture_grew(const struct sim_capture *cut, const struct sim_capture *later)
{
    unsigned at = 0;
    unsigned later_at = 0;
    bool same = cut->base == later->base;
    for (unsigned i = 0; same && i < cut->heavy_count; i++) {
        same = next_heavy(cut, &at) == next_heavy(later, &later_at);
    }
    return same;
}

unsigned sim_capture_units(const struct sim_capture *cut) { return cut->heavy_count; }

void sim_capture_print(const struct sim_capture *cut, FILE *out)
{
    for (unsigned i = 0; i < cut->count; i++) {
        sim_unit_print(cut->units[i], out);
    }
}

/* --- Images ----------------------------------------------------------------------------------- */

static void count_image(const struct sim_capture *cut, const uint8_t *keep)
{
    bool lost = false;
    bool reordered = false;
    for (unsigned i = 0; i < cut->count; i++) {
        if (cut->units[i]->kind != SIM_UNIT_TIMES) {
            reordered = reordered || (lost && keep[i] != 0);
            lost = lost || keep[i] == 0;
        }
    }
    sim_counters.images++;
    sim_counters.lost += lost;
    sim_counters.reordered += reordered;
}

static struct sim_image *make_image(const struct sim_capture *cut, const uint8_t *keep,
                                    uint64_t tear_seed)
{
    struct sim_table *table = sim_table_unshare(sim_table_keep(cut->base));
    bool torn = false;
    bool torn_attributes = false;
    bool spoilt = false;
    for (unsigned i = 0; i < cut->count; i++) {
        if (keep[i] != 0) {
            struct sim_tear tear = {.seed = tear_seed};
            sim_unit_apply(table, cut->units[i], &tear);
            torn = torn || (tear.torn && cut->units[i]->kind == SIM_UNIT_DATA);
            bool attr = cut->units[i]->kind == SIM_UNIT_ATTR;
            torn_attributes = torn_attributes || (tear.torn && attr);
            spoilt = spoilt || tear.spoilt;
        }
    }
    sim_counters.torn += torn;
    sim_counters.torn_attributes += torn_attributes;
    sim_counters.garbage += spoilt;
    count_image(cut, keep);
    sim_table_settle(table);
    struct sim_image *image = sim_need(malloc(sizeof *image));
    *image = (struct sim_image){1, table, 0, cut->options, cut->boots, cut->now_ns};
    return image;
}

struct sim_image *sim_crash_image(struct sim_capture *cut, const struct sim_choice *choice)
{
    uint8_t *keep = sim_need(calloc(cut->count + 1, 1));
    (void)sim_choose(cut, choice, keep); /* closed or not: what lacks its needs is lost */
    struct sim_image *image = make_image(cut, keep, choice->tear);
    free(keep);
    return image;
}

struct sim_image *sim_durable_image(struct txio *io)
{
    struct sim_choice nothing = {.kind = SIM_KEEP_PREFIX, .value = 0};
    struct sim_capture *cut = sim_capture(io);
    struct sim_image *image = sim_crash_image(cut, &nothing);
    sim_capture_free(cut);
    return image;
}

struct sim_image *sim_image_keep(struct sim_image *image)
{
    image->refs++;
    return image;
}

void sim_image_drop(struct sim_image *image)
{
    if (image != NULL && --image->refs == 0) {
        sim_table_drop(image->table);
        free(image);
    }
}

uint64_t sim_image_hash(const struct sim_image *image)
{
    return image->hash != 0 ? image->hash : sim_table_hash(image->table, true);
}

uint64_t sim_image_hash_timeless(const struct sim_image *image)
{
    return sim_table_hash(image->table, false);
}

uint64_t sim_live_hash(struct txio *io)
{
    return sim_table_hash(sim_process_of(io)->sim->live, false);
}

struct txio *sim_boot(const struct sim_image *image, const struct sim_options *options)
{
    struct sim *sim =
        sim_from_table(sim_table_keep(image->table), options != NULL ? options : &image->options,
                       image->boots + 1, image->now_ns + OFF_NS);
    return &sim->processes->io;
}

/* --- Enumerating ------------------------------------------------------------------------------ */

struct enumeration {
    struct sim_capture *cut;
    struct sim_plan plan;
    sim_crash_fn *fn;
    void *arg;
    uint8_t *keep;
    uint64_t made;
};

static bool can_tear(const struct enumeration *all)
{
    for (unsigned i = 0; i < all->cut->count; i++) {
        if (all->keep[i] != 0 && sim_unit_can_tear(all->cut->units[i])) {
            return true;
        }
    }
    return false;
}

static bool deliver(struct enumeration *all, struct sim_choice choice)
{
    struct sim_image *image = make_image(all->cut, all->keep, choice.tear);
    image->hash = sim_table_hash(image->table, true);
    all->made++;
    bool go_on = all->fn(all->arg, image, &choice);
    sim_image_drop(image);
    return go_on;
}

static bool try_choice(struct enumeration *all, enum sim_choice_kind kind, uint64_t value)
{
    struct sim_choice choice = {kind, value, 0};
    bool closed = sim_choose(all->cut, &choice, all->keep);
    if (!closed && kind == SIM_KEEP_MASK) {
        return true; /* what is left comes as a mask of its own */
    }
    if (!deliver(all, choice)) {
        return false;
    }
    for (unsigned i = 0; i < all->plan.tears && can_tear(all); i++) {
        choice.tear = sim_mix(all->plan.seed + i, sim_mix(value, kind)) | 1;
        (void)sim_choose(all->cut, &choice, all->keep);
        if (!deliver(all, choice)) {
            return false;
        }
    }
    return true;
}

static bool try_sample(struct enumeration *all, uint64_t value, bool torn)
{
    struct sim_choice choice = {SIM_KEEP_SAMPLE, value, torn ? value | 1 : 0};
    (void)sim_choose(all->cut, &choice, all->keep);
    return deliver(all, choice);
}

static bool try_range(struct enumeration *all, enum sim_choice_kind kind, uint64_t count)
{
    for (uint64_t i = 0; i < count; i++) {
        if (!try_choice(all, kind, i)) {
            return false;
        }
    }
    return true;
}

static void enumerate(struct enumeration *all)
{
    unsigned count = all->cut->heavy_count;
    if (count <= all->plan.exhaustive_max && !all->plan.samples_only) {
        (void)try_range(all, SIM_KEEP_MASK, UINT64_C(1) << count);
        return;
    }
    if (!all->plan.samples_only && (!try_range(all, SIM_KEEP_PREFIX, count + 1) ||
                                    !try_range(all, SIM_KEEP_MISSING, count))) {
        return;
    }
    uint64_t random = all->plan.seed;
    for (unsigned i = 0; i < all->plan.samples; i++) {
        if (!try_sample(all, sim_random(&random), i % 2 != 0)) {
            return;
        }
    }
}

uint64_t sim_crash_each(struct sim_capture *cut, const struct sim_plan *plan, sim_crash_fn *fn,
                        void *arg)
{
    static const struct sim_plan defaults = {0};
    struct enumeration all = {cut, plan != NULL ? *plan : defaults, fn, arg, NULL, 0};
    all.plan.exhaustive_max = all.plan.exhaustive_max != 0 ? all.plan.exhaustive_max
                                                           : EXHAUSTIVE_MAX;
    all.plan.samples = all.plan.samples != 0 ? all.plan.samples : SAMPLES;
    all.plan.tears = all.plan.tears != 0 ? all.plan.tears : 1;
    all.keep = sim_need(calloc(cut->count + 1, 1));
    enumerate(&all);
    free(all.keep);
    return all.made;
}
