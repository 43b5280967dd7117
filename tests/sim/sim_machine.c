/* SPDX-License-Identifier: MIT */
/* Machines, processes, the clock, and what is in use. */
#include <inttypes.h>

#include "sim/sim_ops.h"

#define START_NS (INT64_C(1700000000) * 1000000000)
#define CALL_NS 1000 /* by which each operation moves the clock */
#define FILES_MAX 1024u

struct sim_counters sim_counters;

void sim_get_counters(struct sim_counters *counters) { *counters = sim_counters; }

/* --- Machines --------------------------------------------------------------------------------- */

static struct sim_process *add_process(struct sim *sim)
{
    struct sim_process *process = sim_need(calloc(1, sizeof *process));
    process->io.ops = &sim_ops;
    process->sim = sim;
    process->pid = 1000 + sim->process_count++;
    process->fds = sim_need(calloc(sim->options.files_max, sizeof *process->fds));
    process->next = sim->processes;
    sim->processes = process;
    return process;
}

struct sim *sim_from_table(struct sim_table *table, const struct sim_options *options,
                           uint64_t boots, int64_t start_ns)
{
    struct sim *sim = sim_need(calloc(1, sizeof *sim));
    sim->options = *options;
    if (sim->options.files_max == 0) {
        sim->options.files_max = FILES_MAX;
    }
    sim->base = table;
    sim->live = sim_table_unshare(sim_table_keep(table));
    sim->ino_hint = SIM_ROOT + 1;
    sim->next_seq = 1;
    sim->boots = boots;
    sim->start_ns = start_ns;
    sim->random = sim_mix(options->seed, boots);
    for (unsigned i = 0; i < 2; i++) {
        uint64_t bits = sim_random(&sim->random);
        memcpy(sim->boot_id + 8 * i, &bits, 8);
    }
    sim_counters.boots++;
    (void)add_process(sim);
    return sim;
}

struct txio *sim_new(const struct sim_options *options)
{
    static const struct sim_options defaults = SIM_OPTIONS_DEFAULT;
    struct sim_table *table = sim_table_new();
    struct sim_inode *root = table->inodes[SIM_ROOT];
    root->atime_ns = START_NS;
    root->mtime_ns = START_NS;
    root->ctime_ns = START_NS;
    return &sim_from_table(table, options != NULL ? options : &defaults, 0, START_NS)
                ->processes->io;
}

void sim_free(struct txio *io)
{
    struct sim *sim = sim_process_of(io)->sim;
    while (sim->processes != NULL) {
        struct sim_process *process = sim->processes;
        sim->processes = process->next;
        free(process->fds);
        free(process);
    }
    for (unsigned i = 0; i < sim->pending_count; i++) {
        sim_unit_drop(sim->pending[i]);
    }
    for (uint32_t i = 0; i < sim->file_room; i++) {
        sim_map_drop(sim->files[i].map, sim->files[i].map_room);
    }
    sim_table_drop(sim->live);
    sim_table_drop(sim->base);
    free(sim->pending);
    free(sim->files);
    free(sim->locks);
    free(sim);
}

struct txio *sim_process_new(struct txio *io) { return &add_process(sim_process_of(io)->sim)->io; }

void sim_process_kill(struct txio *io)
{
    struct sim_process *process = sim_process_of(io);
    for (unsigned i = 0; i < process->fd_top && !process->dead; i++) {
        if (process->fds[i].used) {
            (void)sim_close(io, SIM_FD_BASE + (int)i);
        }
    }
    process->dead = true;
}

unsigned sim_open_count(const struct txio *io)
{
    const struct sim_process *process = sim_process_of(io);
    unsigned count = process->map_count;
    for (unsigned i = 0; i < process->fd_top; i++) {
        count += process->fds[i].used;
    }
    return count;
}

/* --- Operations ------------------------------------------------------------------------------- */

int sim_enter(struct txio *io, struct sim **sim)
{
    struct sim_process *process = sim_process_of(io);
    if (process->dead) {
        return -EIO;
    }
    *sim = process->sim;
    (*sim)->elapsed_ns += (*sim)->frozen || (*sim)->options.still_clock ? 0 : CALL_NS;
    (*sim)->idle_waits = 0;
    return 0;
}

int sim_enter_change(struct txio *io, const char *op, struct sim **sim)
{
    struct sim_process *process = sim_process_of(io);
    struct sim *machine = process->sim;
    if (!process->dead && !machine->frozen) {
        uint64_t index = machine->op_count++;
        if (machine->on_op != NULL) {
            machine->on_op(machine->on_op_arg, io, index, op);
        }
    }
    return sim_enter(io, sim);
}

void sim_on_op(struct txio *io, sim_op_fn *fn, void *arg)
{
    struct sim *sim = sim_process_of(io)->sim;
    sim->on_op = fn;
    sim->on_op_arg = arg;
}

void sim_freeze(struct txio *io) { sim_process_of(io)->sim->frozen = true; }

void sim_thaw(struct txio *io) { sim_process_of(io)->sim->frozen = false; }

uint64_t sim_op_count(const struct txio *io) { return sim_process_of(io)->sim->op_count; }

int64_t sim_now_ns(const struct txio *io)
{
    const struct sim *sim = sim_process_of(io)->sim;
    return sim->start_ns + sim->elapsed_ns;
}

int64_t sim_stamp(const struct sim *sim)
{
    int64_t now = sim->start_ns + sim->elapsed_ns;
    return sim->options.stamp_ns > 1 ? now - now % sim->options.stamp_ns : now;
}

/* --- Inodes in use ---------------------------------------------------------------------------- */

struct sim_file *sim_file_of(struct sim *sim, uint32_t ino)
{
    if (ino >= sim->file_room) {
        uint32_t room = ino + ino / 2 + 32;
        sim->files = sim_need(realloc(sim->files, room * sizeof *sim->files));
        memset(sim->files + sim->file_room, 0, (room - sim->file_room) * sizeof *sim->files);
        sim->file_room = room;
    }
    return sim->files + ino;
}

static uint32_t free_number(struct sim *sim)
{
    uint32_t ino = sim->ino_hint;
    while (sim_table_get(sim->live, ino) != NULL || sim_table_get(sim->base, ino) != NULL ||
           sim_file_of(sim, ino)->pending > 0) {
        ino++;
    }
    sim->ino_hint = ino + 1;
    return ino;
}

uint32_t sim_create_inode(struct sim *sim, uint32_t dir, uint32_t mode, struct sim_bytes *target)
{
    uint32_t ino = free_number(sim);
    const struct sim_inode *parent = sim->live->inodes[dir];
    struct sim_inode *inode = sim_inode_new(ino, mode);
    inode->uid = sim->options.uid;
    inode->gid = sim->options.gid;
    if ((parent->mode & S_ISGID) != 0) {
        inode->gid = parent->gid;
        inode->mode |= S_ISDIR(mode) ? S_ISGID : 0;
    }
    inode->target = target;
    inode->size = target != NULL ? target->size : 0;
    inode->atime_ns = sim_stamp(sim);
    inode->mtime_ns = inode->atime_ns;
    inode->ctime_ns = inode->atime_ns;
    inode->btime_ns = sim->options.profile != SIM_WEAKEST ? inode->atime_ns : 0;
    sim_table_set(sim->live, ino, inode);
    sim->base = sim_table_unshare(sim->base);
    sim_table_set(sim->base, ino, sim_inode_keep(inode));
    return ino;
}

void sim_release_if_unused(struct sim *sim, uint32_t ino)
{
    struct sim_inode *inode = sim_table_get(sim->live, ino);
    struct sim_file *file = sim_file_of(sim, ino);
    if (inode != NULL && (inode->links > 0 || file->opens > 0 || file->map_count > 0)) {
        return;
    }
    sim_table_set(sim->live, ino, NULL);
    sim_map_drop(file->map, file->map_room);
    *file = (struct sim_file){.pending = file->pending};
    if (file->pending > 0) {
        return;
    }
    struct sim_inode *base = sim_table_get(sim->base, ino);
    if (base != NULL && base->links == 0) {
        sim->base = sim_table_unshare(sim->base);
        sim_table_set(sim->base, ino, NULL);
    }
    if (ino < sim->ino_hint && !sim->options.fresh_inode_numbers) {
        sim->ino_hint = ino;
    }
}

uint64_t sim_used_bytes(const struct sim *sim)
{
    uint64_t used = 0;
    for (uint32_t i = 0; i < sim->live->count; i++) {
        const struct sim_inode *inode = sim->live->inodes[i];
        used += inode != NULL ? sim_content_allocated(inode) + SIM_SECTOR : 0;
    }
    return used;
}

bool sim_has_room(const struct sim *sim, uint64_t bytes)
{
    return sim->options.capacity == 0 || bytes == 0 ||
           sim_used_bytes(sim) + bytes <= sim->options.capacity;
}

uint64_t sim_needed_bytes(const struct sim *sim, uint32_t ino, uint64_t offset, uint64_t size)
{
    const struct sim_inode *inode = sim->live->inodes[ino];
    uint64_t needed = 0;
    for (uint64_t i = offset / SIM_BLOCK; i <= (offset + size - 1) / SIM_BLOCK; i++) {
        needed += i >= inode->block_count || inode->blocks[i] == NULL ? SIM_BLOCK : 0;
    }
    return needed;
}

void sim_limit_space(struct txio *io, uint64_t more)
{
    struct sim *sim = sim_process_of(io)->sim;
    sim->options.capacity = more != 0 ? sim_used_bytes(sim) + more : 0;
}
