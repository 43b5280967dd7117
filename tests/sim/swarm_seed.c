/* SPDX-License-Identifier: MIT */
/* From a seed to its result. */
#include "sim/swarm_internal.h"

/* --- The store that histories begin with ------------------------------------------------------ */

#define FIRST_MAX 64u

static struct {
    struct swarm_plan plan;
    struct sim_image *image;
} first[FIRST_MAX];
static unsigned first_count;

__attribute__((destructor)) static void release_first(void)
{
    while (first_count > 0) {
        sim_image_drop(first[--first_count].image);
    }
}

static struct sim_image *make_first(const struct swarm_plan *plan)
{
    struct txstore_settings settings = TXSTORE_SETTINGS_DEFAULT;
    settings.log_segment_size = plan->segment_size;
    settings.inline_max = plan->inline_max;
    settings.history_count_max = (int64_t)plan->history;
    settings.conflict_entries = plan->conflict_entries;
    struct txio *io = sim_new(NULL);
    struct tx_error err;
    if (io->ops->mkdir(io, TXIO_CWD, SWARM_ROOT, 0755) < 0 ||
        txstore_init(io, SWARM_ROOT, NULL, &settings, &err) != TX_OK) {
        abort();
    }
    int fd = io->ops->open(io, TXIO_CWD, "/", TXIO_DIRECTORY, 0);
    if (fd < 0 || io->ops->syncfs(io, fd) < 0) {
        abort();
    }
    struct sim_capture *capture = sim_capture(io);
    struct sim_choice all = {SIM_KEEP_PREFIX, UINT64_MAX, 0};
    struct sim_image *image = sim_crash_image(capture, &all);
    sim_capture_free(capture);
    sim_free(io);
    return image;
}

struct sim_image *swarm_first_image(const struct swarm_plan *plan)
{
    for (unsigned i = 0; i < first_count; i++) {
        const struct swarm_plan *made = &first[i].plan;
        if (made->segment_size == plan->segment_size && made->inline_max == plan->inline_max &&
            made->history == plan->history && made->conflict_entries == plan->conflict_entries) {
            return first[i].image;
        }
    }
    if (first_count == FIRST_MAX) {
        abort();
    }
    first[first_count].plan = *plan;
    first[first_count].image = make_first(plan);
    return first[first_count++].image;
}

/* --- A seed ----------------------------------------------------------------------------------- */

void swarm_begin_history(struct swarm *swarm)
{
    struct model_state *empty = NULL;
    swarm->random = sim_mix(swarm->seed, 1);
    swarm->fault_random = sim_mix(swarm->seed, 2);
    swarm->quota = swarm->plan.transactions;
    swarm->cuts_left = swarm->plan.cuts;
    swarm->kills_left = swarm->plan.kills;
    swarm->spaces_left = swarm->plan.spaces;
    swarm->next_id = 1;
    (void)swarm_first_image(&swarm->plan); /* with the usual memory */
    empty = model_alloc(&swarm->arena, sizeof *empty);
    model_init(empty);
    ledger_init(&swarm->ledger, &swarm->arena, empty);
    swarm->host_memory = swarm_memory_new();
    swarm_memory_use(swarm);
    sim_lie(swarm->limits.lie ? "datasync" : NULL, swarm->limits.lie ? "/log/" : NULL);
}

void swarm_end_history(struct swarm *swarm)
{
    sim_lie(NULL, NULL);
    swarm->result->counters[SWARM_LOST_TAIL] += swarm->ledger.lost;
    swarm_memory_use(NULL);
    (void)swarm_memory_free(swarm->host_memory); /* of looks that the oracle broke off */
    ledger_release(&swarm->ledger);
    model_arena_release(&swarm->arena);
}

void swarm_seed(uint64_t seed, const struct swarm_limits *limits, struct swarm_result *result)
{
    struct swarm *swarm = sim_need(calloc(1, sizeof *swarm));
    *result = (struct swarm_result){.violation = false};
    swarm->seed = seed;
    swarm->limits = *limits;
    swarm->result = result;
    swarm_plan_draw(&swarm->plan, seed, limits);
    swarm_begin_history(swarm);
    swarm_history(swarm);
    swarm_end_history(swarm);
    free(swarm);
}
