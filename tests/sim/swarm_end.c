/* SPDX-License-Identifier: MIT */
/* The end of a history: no faults any more, one process, and everything must get well. */
#include <inttypes.h>

#include "sim/swarm_internal.h"

static void last_main(void *arg)
{
    struct swarm_process *process = arg;
    struct swarm *swarm = process->swarm;
    if (!swarm_open(process)) {
        swarm_wrong(swarm, "the store does not open when the faults are over");
    }
    swarm_settle(swarm, process);
    swarm_close(process);
    swarm->alive--;
}

static void note_fault(void *arg, const char *file, uint64_t offset, const char *text)
{
    const struct swarm *swarm = arg;
    if (!swarm->astray) {
        swarm_note_wrong(arg, "check: %s at %" PRIu64 ": %s", file, offset, text);
    }
}

static void inspect(struct swarm *swarm)
{
    char text[LEDGER_TEXT_SIZE];
    const struct model_state *last = ledger_state(&swarm->ledger, UINT64_MAX, text);
    struct tx_error err = {0};
    uint64_t faults = 0;
    if (last == NULL) {
        swarm_note_wrong(swarm, "%s", text);
        return;
    }
    swarm_look_disk(swarm, last);
    enum tx_status status = txstore_check(swarm->machine, SWARM_ROOT, NULL, note_fault, swarm,
                                          &faults, &err);
    if (status != TX_OK && !(swarm->astray && status == TX_ECORRUPT)) {
        swarm_note_wrong(swarm, "check: %s", err.text);
    }
}

void swarm_get_well(struct swarm *swarm)
{
    struct sched_options options = {.policy = SCHED_ROUND_ROBIN, .seed = 1, .every = 1};
    sim_limit_space(swarm->machine, 0);
    swarm->calm = true;
    swarm->hurt = false;
    swarm_schedule(swarm, &options);
    struct swarm_process *process =
        swarm_process_new(swarm, sim_process_new(swarm->machine));
    (void)sched_spawn(&swarm->sched, last_main, process, process->number);
    enum sched_end end = sched_run(&swarm->sched);
    swarm_unschedule(swarm);
    if (end == SCHED_STUCK) {
        swarm_note_wrong(swarm, "the last process sleeps for ever");
    }
    if (!swarm->result->violation && !swarm->given_up) {
        inspect(swarm);
    }
}
