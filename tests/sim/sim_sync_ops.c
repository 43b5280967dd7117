/* SPDX-License-Identifier: MIT */
/* What makes things durable, and what fails to. */
#include "sim/sim_ops.h"

#define FREE_BYTES (UINT64_C(1) << 40) /* of a machine without a limit */
#define EXT4_MAGIC 0xef53u

int sim_fs_info(struct txio *io, int fd, struct txio_fs_info *info)
{
    struct sim *sim = NULL;
    int result = sim_enter(io, &sim);
    if (result < 0 || sim_fd_of(sim_process_of(io), fd) == NULL) {
        return result < 0 ? result : -EBADF;
    }
    uint64_t free_bytes = sim->options.capacity != 0 ? sim->options.capacity : FREE_BYTES;
    while (free_bytes > 0 && !sim_has_room(sim, free_bytes)) {
        free_bytes -= free_bytes < SIM_BLOCK ? free_bytes : SIM_BLOCK;
    }
    *info = (struct txio_fs_info){EXT4_MAGIC, free_bytes, 1u << 20, SIM_BLOCK};
    return 0;
}

static int persist(struct txio *io, int fd, const char *op, bool data_only)
{
    struct sim *sim = NULL;
    int result = sim_enter_change(io, op, &sim);
    const struct sim_fd *open = sim_fd_of(sim_process_of(io), fd);
    if (result < 0 || open == NULL) {
        return result < 0 ? result : -EBADF;
    }
    sim_map_collect(sim, open->ino);
    sim_persist_inode(sim, open->ino, data_only);
    return 0;
}

int sim_datasync(struct txio *io, int fd) { return persist(io, fd, "datasync", true); }

int sim_sync(struct txio *io, int fd) { return persist(io, fd, "sync", false); }

int sim_syncfs(struct txio *io, int fd)
{
    struct sim *sim = NULL;
    int result = sim_enter_change(io, "syncfs", &sim);
    if (result < 0 || sim_fd_of(sim_process_of(io), fd) == NULL) {
        return result < 0 ? result : -EBADF;
    }
    for (uint32_t i = 0; i < sim->live->count; i++) {
        sim_map_collect(sim, i);
    }
    sim_persist_all(sim);
    return 0;
}

/* A hint: what it writes may be on disk after a cut, as anything may. */
int sim_write_behind(struct txio *io, int fd, uint64_t offset, uint64_t size)
{
    struct sim *sim = NULL;
    int result = sim_enter_change(io, "write_behind", &sim);
    (void)offset;
    (void)size;
    if (result < 0) {
        return result;
    }
    return sim_fd_of(sim_process_of(io), fd) == NULL ? -EBADF : 0;
}

void sim_fail_sync(struct txio *io, int fd, enum sim_sync_failure how)
{
    struct sim_process *process = sim_process_of(io);
    struct sim *sim = process->sim;
    const struct sim_fd *open = sim_fd_of(process, fd);
    if (open == NULL) {
        return;
    }
    sim_counters.failed_syncs++;
    sim_forget_inode(sim, open->ino);
    const struct sim_inode *base = sim_table_get(sim->base, open->ino);
    if (how == SIM_SYNC_REVERTS && base != NULL && S_ISREG(base->mode)) {
        struct sim_inode *copy = sim_inode_clone(base);
        copy->links = sim->live->inodes[open->ino]->links;
        sim_table_set(sim->live, open->ino, copy);
        sim_file_of(sim, open->ino)->diverged = false;
    }
}
