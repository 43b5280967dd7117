/* SPDX-License-Identifier: MIT */
/* Machines: switched on with the disk that the last cut left, used by processes, cut again. */
#include <inttypes.h>

#include "sim/swarm_internal.h"

#define OPENS_MAX 12u     /* of one process in a row, while there are faults */
#define CALLS_MAX 3000000u /* of one machine: nothing takes so long */

/* --- Processes -------------------------------------------------------------------------------- */

static void opened(struct swarm_process *process)
{
    struct swarm *swarm = process->swarm;
    struct txstore_recovery recovery;
    struct txlog_info info;
    txstore_get_recovery(process->store, &recovery);
    txlog_get_info(txstore_log(process->store), &info);
    process->opening = false;
    process->reopen = false;
    swarm_say(swarm, "p%u: opened, epoch %" PRIu64 ", %s", process->number, info.identity.epoch,
              recovery.performed ? "recovered" : info.at_rest ? "at rest" : "joined");
    swarm->result->counters[SWARM_RECOVERIES] += recovery.performed;
    swarm->result->counters[SWARM_RESTS] += info.at_rest;
    swarm_epoch(process);
}

/* False when it cannot be opened. */
bool swarm_open(struct swarm_process *process)
{
    struct swarm *swarm = process->swarm;
    struct txstore_options options = {
        .io = &process->fault.layer.io,
        .mode = process->reads ? TXSTORE_READONLY : TXSTORE_READWRITE,
    };
    for (unsigned i = 0; i < OPENS_MAX; i++) {
        struct tx_error err = {0};
        process->opening = true;
        enum tx_status status = txstore_open(SWARM_ROOT, &options, &process->store, &err);
        if (status == TX_OK) {
            opened(process);
            return true;
        }
        process->opening = false;
        swarm_say(swarm, "p%u: open: %s: %s", process->number, tx_status_name(status), err.text);
        swarm_expect(swarm, status, "open", &err);
    }
    return false;
}

void swarm_close(struct swarm_process *process)
{
    struct swarm *swarm = process->swarm;
    struct tx_error err = {0};
    struct txstore *store = process->store;
    process->store = NULL;
    enum tx_status status = txstore_close(store, &err);
    swarm_say(swarm, "p%u: closed: %s", process->number, tx_status_name(status));
    swarm_expect(swarm, status, "close", &err);
    if (sim_open_count(process->below) != 0) {
        swarm_wrong(swarm, "%u descriptors or mappings leak", sim_open_count(process->below));
    }
    unsigned pieces = swarm_memory_free(process->memory);
    process->memory = swarm_memory_new();
    if (pieces != 0) {
        swarm_wrong(swarm, "%u pieces of memory leak", pieces);
    }
}

static void thread_main(void *arg)
{
    struct swarm_process *process = arg;
    struct swarm *swarm = process->swarm;
    while (swarm->quota > 0 && !process->reopen) {
        swarm->quota--;
        if (process->reads) {
            swarm_read(swarm, process);
        } else {
            swarm_transact(swarm, process);
        }
    }
}

static void process_main(void *arg)
{
    struct swarm_process *process = arg;
    struct swarm *swarm = process->swarm;
    while (swarm_open(process)) {
        for (unsigned i = 0; i < swarm->plan.threads; i++) {
            (void)sched_spawn(&swarm->sched, thread_main, process, process->number);
        }
        sched_join(&swarm->sched);
        swarm_close(process);
        if (swarm->quota == 0) {
            break;
        }
    }
    swarm->alive--;
}

static void spawn_process(struct swarm *swarm)
{
    struct swarm_process *process = swarm_process_new(swarm, sim_process_new(swarm->machine));
    process->reads = swarm_chance(swarm, swarm->plan.readers);
    (void)sched_spawn(&swarm->sched, process_main, process, process->number);
}

void swarm_kill(struct swarm_process *process)
{
    struct swarm *swarm = process->swarm;
    swarm_say(swarm, "p%u is killed", process->number);
    swarm_count(swarm, SWARM_KILL);
    process->killed = true;
    swarm->watched = false;
    process->store = NULL;
    sim_process_kill(process->below);
    sched_lock_given(&swarm->sched);
    ledger_owner_died(&swarm->ledger, process->number);
    (void)swarm_memory_free(process->memory);
    process->memory = swarm_memory_new();
    swarm->alive--;
    if (swarm->process_count < SWARM_PROCESSES_MAX) {
        spawn_process(swarm);
    }
    sched_kill(&swarm->sched, process->number);
}

/* --- A machine -------------------------------------------------------------------------------- */

static void advance(void *arg, int64_t ns)
{
    struct txio *machine = ((struct swarm *)arg)->machine;
    _Atomic uint32_t nothing = 0;
    (void)machine->ops->wait(machine, &nothing, 0, ns); /* a pause */
}

static int64_t now(void *arg) { return sim_now_ns(((struct swarm *)arg)->machine); }

/* Files that are nothing but sealed blocks. In a file of the tree nonsense cannot be told from what
 * another program wrote. */
static const char *const sealed[] = {"/log/", "/control", "/reg/", NULL};

void swarm_switch_on(struct swarm *swarm, const struct sim_image *image)
{
    struct sim_options options = SIM_OPTIONS_DEFAULT;
    options.seed = swarm->seed;
    options.profile = swarm->plan.profile;
    options.fresh_inode_numbers = swarm->plan.profile == SIM_BTRFS;
    options.garbage = swarm->plan.garbage ? sealed : NULL;
    swarm->machine = sim_boot(image, &options);
    swarm->process_count = 0;
    swarm->alive = 0;
    swarm->boot_calls = 0;
    swarm->full = false;
    swarm->lied = false;
    swarm->hurt = false; /* what faults left on the disk must do no harm */
    bool alone = swarm->plan.processes * swarm->plan.threads == 1;
    order_begin(&swarm->order, SWARM_ROOT, alone ? ORDER_ALL : ORDER_SHARED);
    swarm->watched = true;
    swarm_count(swarm, SWARM_BOOTS);
    swarm_say(swarm, "the machine is switched on");
}

void swarm_schedule(struct swarm *swarm, const struct sched_options *wanted)
{
    struct sched_options options = *wanted;
    options.advance = advance;
    options.now = now;
    options.arg = swarm;
    sched_init(&swarm->sched, &options);
    swarm->scheduling = true;
}

static void schedule(struct swarm *swarm)
{
    struct sched_options options = {
        .policy = swarm->plan.policy,
        .seed = sim_random(&swarm->random),
        .every = swarm->plan.every,
        .length = 200u << swarm_draw(swarm, 6),
    };
    swarm_schedule(swarm, &options);
}

void swarm_unschedule(struct swarm *swarm)
{
    swarm->result->counters[SWARM_SWITCHES] += swarm->sched.switches;
    swarm->scheduling = false;
    sched_release(&swarm->sched);
}

void swarm_switch_off(struct swarm *swarm)
{
    for (unsigned i = 0; i < swarm->process_count; i++) {
        ledger_owner_died(&swarm->ledger, i);
        swarm_process_free(swarm->processes[i]);
    }
    swarm->process_count = 0;
    swarm->result->counters[SWARM_ORDERED] += swarm->order.checks;
    if (swarm->order.violations > 0 && !swarm->result->violation) {
        swarm_note_wrong(swarm, "order: %s", swarm->order.first); /* in the last operation */
    }
    order_end(&swarm->order);
    sim_free(swarm->machine);
    swarm->machine = NULL;
}

static void draw_events(struct swarm *swarm)
{
    swarm->cut_at = 0;
    if (swarm->cuts_left > 0) {
        swarm->cut_at = 1 + swarm_draw(swarm, 64u << swarm_draw(swarm, 7));
    }
    swarm->kill_at = 1 + swarm_draw(swarm, 64u << swarm_draw(swarm, 7));
    swarm->space_from = 0;
    if (swarm->spaces_left > 0) {
        swarm->spaces_left--;
        swarm->space_from = 1 + swarm_draw(swarm, 64u << swarm_draw(swarm, 7));
    }
}

/* --- A cut ------------------------------------------------------------------------------------ */

static struct sim_choice draw_choice(struct swarm *swarm, unsigned units)
{
    struct sim_choice choice = {SIM_KEEP_SAMPLE, sim_random(&swarm->random), 0};
    switch (swarm_draw(swarm, 6)) {
    case 0:
        choice.kind = SIM_KEEP_PREFIX;
        choice.value = swarm_draw(swarm, units + 1);
        break;
    case 1:
        choice.kind = SIM_KEEP_MISSING;
        choice.value = swarm_draw(swarm, units + 1);
        break;
    default:
        break;
    }
    choice.tear = swarm_draw(swarm, 3) != 0 ? sim_random(&swarm->random) | 1 : 0;
    return choice;
}

/* Switch the machine off at once; answers its disk. */
struct sim_image *swarm_cut(struct swarm *swarm)
{
    struct sim_counters before;
    struct sim_counters after;
    sim_get_counters(&before);
    struct sim_capture *capture = sim_capture(swarm->machine);
    struct sim_choice choice = draw_choice(swarm, sim_capture_units(capture));
    struct sim_image *image = sim_crash_image(capture, &choice);
    struct swarm_result *result = swarm->result;
    sim_capture_free(capture);
    sim_get_counters(&after);
    result->counters[SWARM_CUT]++;
    result->counters[SWARM_GARBAGE] += after.garbage - before.garbage;
    result->counters[SWARM_TORN] += after.torn - before.torn;
    result->counters[SWARM_REORDERED] += after.reordered - before.reordered;
    for (unsigned i = 0; i < swarm->process_count; i++) {
        result->counters[SWARM_NESTED] += swarm->processes[i]->opening;
    }
    if (result->disk_count < SWARM_DISKS_MAX) {
        result->disks[result->disk_count++] = sim_image_hash(image);
    }
    swarm_switch_off(swarm);
    return image;
}

/* Until everybody is done or the power fails. True when there is another machine to come. */
static bool work(struct swarm *swarm, struct sim_image **image)
{
    draw_events(swarm);
    swarm->calm = false;
    schedule(swarm);
    for (unsigned i = 0; i < swarm->plan.processes; i++) {
        spawn_process(swarm);
    }
    enum sched_end end = sched_run(&swarm->sched);
    swarm_unschedule(swarm);
    if (end == SCHED_STUCK) {
        swarm_note_wrong(swarm, "everybody sleeps for ever");
    }
    if (swarm->result->violation || swarm->given_up || end == SCHED_DONE) {
        return false;
    }
    swarm->cuts_left--;
    struct sim_image *next = swarm_cut(swarm);
    sim_image_drop(*image);
    *image = next;
    return true;
}

void swarm_history(struct swarm *swarm)
{
    struct sim_image *image = sim_image_keep(swarm_first_image(&swarm->plan));
    swarm_switch_on(swarm, image);
    while (work(swarm, &image)) {
        swarm_switch_on(swarm, image);
    }
    bool one_more = !swarm->lied && swarm_draw(swarm, 3) != 0 && swarm->plan.cuts > 0;
    if (!swarm->result->violation && !swarm->given_up && one_more) {
        struct sim_image *next = swarm_cut(swarm);
        sim_image_drop(image);
        image = next;
        swarm_switch_on(swarm, image);
    }
    if (!swarm->result->violation && !swarm->given_up) {
        swarm_get_well(swarm);
    }
    swarm_switch_off(swarm);
    sim_image_drop(image);
}
