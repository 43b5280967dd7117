/* SPDX-License-Identifier: MIT */
/* What a seed draws before its history begins. */
#include "sim/swarm_internal.h"

#define LONG_EVERY 64u /* one history in so many is a long one */

struct draw {
    uint64_t random;
};

static unsigned below(struct draw *draw, unsigned limit)
{
    return (unsigned)(sim_random(&draw->random) >> 16) % limit;
}

/* One in so many, or never. */
static unsigned some(struct draw *draw, unsigned least, unsigned most)
{
    return below(draw, 3) == 0 ? 0 : least + below(draw, most - least + 1);
}

/* Half of the kinds are off; the others happen at one call in 2^13 up to one in ten, the rare ones
 * more often: a fault at each tenth call lets nothing begin. */
static uint32_t rate(struct draw *draw, unsigned strongest)
{
    if (below(draw, 2) == 0) {
        return 0;
    }
    unsigned weak = below(draw, 4) == 0 ? strongest + below(draw, 3) : 8 + below(draw, 6);
    return (1u << 20) >> weak;
}

static void draw_faults(struct swarm_plan *plan, struct draw *draw)
{
    static const struct {
        enum swarm_counter kind;
        unsigned strongest; /* 2^-n */
    } kinds[] = {
        {SWARM_READ_ERROR, 3},   {SWARM_WRITE_ERROR, 3},  {SWARM_LATE_ERROR, 5}, {SWARM_SHORT, 1},
        {SWARM_FLIP, 4},         {SWARM_STALE, 4},        {SWARM_SYNC_KEEPS, 4},
        {SWARM_SYNC_REVERTS, 4}, {SWARM_SYNC_LATE, 5},    {SWARM_NO_FILES, 4},
        {SWARM_NO_LOCK, 5},      {SWARM_NO_MEMORY, 7},    {SWARM_CLOCK, 2},
    };
    bool none = below(draw, 4) == 0; /* cuts and kills alone meet more code than errors do */
    for (unsigned i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        plan->rates[kinds[i].kind] = none ? 0 : rate(draw, kinds[i].strongest);
    }
    plan->spaces = none ? 0 : some(draw, 1, 2);
    plan->garbage = below(draw, 2) == 0;
}

/* In few histories, because it ends most of them; drawn apart, so that the others stay what they
 * are. */
static void draw_astray(struct swarm_plan *plan, uint64_t seed)
{
    struct draw draw = {sim_mix(seed, 0x61737472)};
    if (below(&draw, 8) == 0) {
        plan->rates[SWARM_ASTRAY] = (1u << 20) >> (3 + below(&draw, 6));
    }
}

static void draw_shape(struct swarm_plan *plan, struct draw *draw)
{
    bool is_long = below(draw, LONG_EVERY) == 0;
    plan->profile = (enum sim_profile)below(draw, 4);
    plan->policy = (enum sched_policy)below(draw, 3);
    plan->every = 1u << below(draw, 7);
    plan->processes = 1 + below(draw, 3);
    plan->threads = 1 + below(draw, SWARM_THREADS_MAX);
    plan->transactions = is_long ? 50 + below(draw, 151) : 4 + below(draw, 27);
    plan->cuts = below(draw, 4) == 0 ? 0 : 1 + below(draw, is_long ? 8 : 3);
    plan->kills = below(draw, 2) == 0 ? 0 : 1 + below(draw, 4);
}

static void draw_work(struct swarm_plan *plan, struct draw *draw)
{
    plan->segment_size = below(draw, 2) == 0 ? 16384 : 32768;
    plan->inline_max = below(draw, 2) == 0 ? 512 : 4096;
    plan->history = below(draw, 3);
    plan->conflict_entries = below(draw, 2) == 0 ? 64 : 1024;
    plan->files = below(draw, 4);
    plan->registry = plan->files == 0 ? 1 : below(draw, 4);
    plan->serializable = some(draw, 1, 4);
    plan->prepare = some(draw, 4, 12);
    plan->detach = some(draw, 4, 12);
    plan->savepoint = some(draw, 3, 8);
    plan->checkpoint = some(draw, 3, 20);
    plan->look_all = 1 + below(draw, 8);
}

static unsigned at_most(unsigned drawn, unsigned limit)
{
    return limit != 0 && drawn > limit ? limit : drawn;
}

static void obey(struct swarm_plan *plan, const struct swarm_limits *limits)
{
    for (unsigned i = 0; i < SWARM_FAULTS; i++) {
        plan->rates[i] = (limits->without >> i & 1) != 0 ? 0 : plan->rates[i];
    }
    plan->cuts = (limits->without & SWARM_BIT(CUT)) != 0 ? 0 : plan->cuts;
    plan->kills = (limits->without & SWARM_BIT(KILL)) != 0 ? 0 : plan->kills;
    plan->spaces = (limits->without & SWARM_BIT(NO_SPACE)) != 0 ? 0 : plan->spaces;
    plan->garbage = plan->garbage && (limits->without & SWARM_BIT(GARBAGE)) == 0;
    plan->transactions = at_most(plan->transactions, limits->transactions_max);
    plan->processes = at_most(plan->processes, limits->processes_max);
    plan->threads = at_most(plan->threads, limits->threads_max);
    if (limits->profile != SWARM_ANY) {
        plan->profile = (enum sim_profile)(limits->profile - SWARM_WEAKEST);
    }
}

void swarm_plan_draw(struct swarm_plan *plan, uint64_t seed, const struct swarm_limits *limits)
{
    struct draw draw = {sim_mix(seed, 0x5761726d)};
    *plan = (struct swarm_plan){.every = 1};
    draw_shape(plan, &draw);
    draw_work(plan, &draw);
    draw_faults(plan, &draw);
    plan->readers = some(&draw, 2, 4);
    draw_astray(plan, seed);
    obey(plan, limits);
}
