/* SPDX-License-Identifier: MIT */
/*
 * The library's memory, by the simulated process that asked for it: what a killed process held is
 * freed with it, and what a process holds after closing its store is a leak.
 */
#include "base/alloc.h"
#include "sim/swarm_internal.h"

struct piece {
    struct piece *next, *previous;
    _Alignas(16) uint8_t data[];
};

struct swarm_memory {
    struct piece all; /* a ring through this */
};

struct swarm_memory *swarm_memory_new(void)
{
    struct swarm_memory *memory = sim_need(malloc(sizeof *memory));
    memory->all.next = &memory->all;
    memory->all.previous = &memory->all;
    return memory;
}

static struct piece *piece_of(void *memory)
{
    return (struct piece *)(void *)((uint8_t *)memory - offsetof(struct piece, data));
}

static void unlink_piece(struct piece *piece)
{
    piece->next->previous = piece->previous;
    piece->previous->next = piece->next;
}

static void link_piece(struct swarm_memory *memory, struct piece *piece)
{
    piece->next = memory->all.next;
    piece->previous = &memory->all;
    piece->next->previous = piece;
    memory->all.next = piece;
}

unsigned swarm_memory_free(struct swarm_memory *memory)
{
    unsigned count = 0;
    while (memory->all.next != &memory->all) {
        struct piece *piece = memory->all.next;
        unlink_piece(piece);
        free(piece);
        count++;
    }
    free(memory);
    return count;
}

static struct swarm_process *running(const struct swarm *swarm)
{
    if (!swarm->scheduling || swarm->sched.current == SCHED_TASKS_MAX) {
        return NULL;
    }
    return swarm->processes[swarm->sched.tasks[swarm->sched.current]->group];
}

/* No memory: anywhere but where the oracle looks. */
static bool refuses(struct swarm *swarm)
{
    uint32_t rate = swarm->plan.rates[SWARM_NO_MEMORY];
    if (rate == 0 || swarm->calm || swarm->quiet ||
        (sim_random(&swarm->fault_random) >> 20) % (1u << 20) >= rate) {
        return false;
    }
    swarm_count(swarm, SWARM_NO_MEMORY);
    swarm->hurt = true;
    return true;
}

static void *resize(void *arg, void *memory, size_t size)
{
    struct swarm *swarm = arg;
    const struct swarm_process *process = running(swarm);
    struct piece *old = memory != NULL ? piece_of(memory) : NULL;
    if (process != NULL && refuses(swarm)) {
        return NULL;
    }
    if (old != NULL) {
        unlink_piece(old);
    }
    struct piece *piece = sim_need(realloc(old, sizeof *piece + size));
    link_piece(process != NULL ? process->memory : swarm->host_memory, piece);
    return piece->data;
}

static void release(void *arg, void *memory)
{
    (void)arg;
    struct piece *piece = piece_of(memory);
    unlink_piece(piece);
    free(piece);
}

void swarm_memory_use(struct swarm *swarm)
{
    if (swarm == NULL) {
        tx_alloc_set_table(NULL);
        return;
    }
    tx_alloc_set_table(&(struct tx_alloc_table){resize, release, swarm});
}
