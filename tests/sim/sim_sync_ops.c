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
    uint64_t free_bytes = FREE_BYTES;
    if (sim->options.capacity != 0) {
        uint64_t used = sim_used_bytes(sim);
        free_bytes = used < sim->options.capacity ? sim->options.capacity - used : 0;
    }
    *info = (struct txio_fs_info){EXT4_MAGIC, free_bytes, 1u << 20, SIM_BLOCK};
    return 0;
}

static struct {
    const char *op, *part;
} lie;

void sim_lie(const char *op, const char *part)
{
    lie.op = op;
    lie.part = part;
}

/* Put the path of an inode before what is at *at; one of its names, when it has several. */
static bool prepend_path(const struct sim *sim, uint32_t ino, char *start, char **at)
{
    while (ino != SIM_ROOT) {
        const struct sim_bytes *name = NULL;
        for (uint32_t i = 0; i < sim->live->count && name == NULL; i++) {
            const struct sim_inode *dir = sim->live->inodes[i];
            for (uint32_t k = 0; dir != NULL && k < dir->entry_count && name == NULL; k++) {
                name = dir->entries[k].ino == ino ? dir->entries[k].name : NULL;
            }
            ino = name != NULL ? i : ino;
        }
        if (name == NULL || (size_t)(*at - start) < name->size + 1) {
            return false;
        }
        *at -= name->size + 1;
        **at = '/';
        memcpy(*at + 1, name->data, name->size);
    }
    return true;
}

const char *sim_path_of(const struct sim *sim, uint32_t ino, char *path)
{
    char *at = path + SIM_PATH_MAX - 1;
    at[0] = S_ISDIR(sim->live->inodes[ino]->mode) ? '/' : '\0';
    at[1] = '\0';
    return prepend_path(sim, ino, path, &at) ? at : NULL;
}

static bool lies(const struct sim *sim, uint32_t ino, const char *op)
{
    char buffer[SIM_PATH_MAX + 1];
    if (lie.part == NULL || (lie.op != NULL && strcmp(lie.op, op) != 0)) {
        return false;
    }
    const char *path = sim_path_of(sim, ino, buffer);
    bool found = path != NULL && strstr(path, lie.part) != NULL;
    sim_counters.lies += found;
    return found;
}

static int persist(struct txio *io, int fd, const char *op, bool data_only)
{
    struct sim *sim = NULL;
    int result = sim_enter_change(io, op, &sim);
    const struct sim_fd *open = sim_fd_of(sim_process_of(io), fd);
    if (result < 0 || open == NULL) {
        return result < 0 ? result : -EBADF;
    }
    if (lies(sim, open->ino, op)) {
        return 0;
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
    const struct sim_fd *open = sim_fd_of(sim_process_of(io), fd);
    if (result < 0 || open == NULL) {
        return result < 0 ? result : -EBADF;
    }
    if (lies(sim, open->ino, "syncfs")) {
        return 0;
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
    if (!S_ISREG(sim->live->inodes[open->ino]->mode)) {
        return; /* names stay pending: a journal that fails makes the file system read-only */
    }
    sim_forget_inode(sim, open->ino, how == SIM_SYNC_KEEPS);
    const struct sim_inode *base = sim_table_get(sim->base, open->ino);
    if (how == SIM_SYNC_REVERTS && base != NULL && S_ISREG(base->mode)) {
        struct sim_inode *copy = sim_inode_clone(base);
        copy->links = sim->live->inodes[open->ino]->links;
        sim_table_set(sim->live, open->ino, copy);
        sim_file_of(sim, open->ino)->diverged = false;
    }
}
