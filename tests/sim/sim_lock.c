/* SPDX-License-Identifier: MIT */
/* What processes share: locks of open file descriptions, mappings, waiting. */
#include "sim/sim_ops.h"

#define IDLE_WAITS_MAX 100000u /* waits in a row with nothing between them: nobody will wake us */
#define MAP_ROOM_MIN (256u * 1024u)

/* --- Locks ------------------------------------------------------------------------------------ */

static bool conflicts(const struct sim_lock *lock, const struct sim_fd *open, uint64_t byte,
                      bool exclusive)
{
    return lock->owner != open && lock->ino == open->ino && lock->byte == byte &&
           (lock->exclusive || exclusive);
}

static bool is_free(const struct sim *sim, const struct sim_fd *open, uint64_t byte, bool exclusive)
{
    for (unsigned i = 0; i < sim->lock_count; i++) {
        if (conflicts(sim->locks + i, open, byte, exclusive)) {
            return false;
        }
    }
    return true;
}

static void unlock(struct sim *sim, const struct sim_fd *open, uint64_t byte)
{
    for (unsigned i = sim->lock_count; i-- > 0;) {
        if (sim->locks[i].owner == open && sim->locks[i].byte == byte) {
            sim->locks[i] = sim->locks[--sim->lock_count];
        }
    }
}

void sim_locks_release(struct sim *sim, const struct sim_fd *owner)
{
    for (unsigned i = sim->lock_count; i-- > 0;) {
        if (sim->locks[i].owner == owner) {
            sim->locks[i] = sim->locks[--sim->lock_count];
        }
    }
}

static void add_lock(struct sim *sim, const struct sim_fd *open, uint64_t byte, bool exclusive)
{
    unlock(sim, open, byte);
    if (sim->lock_count == sim->lock_room) {
        sim->lock_room = sim->lock_room * 2 + 8;
        sim->locks = sim_need(realloc(sim->locks, sim->lock_room * sizeof *sim->locks));
    }
    sim->locks[sim->lock_count++] = (struct sim_lock){open->ino, exclusive, byte, open};
}

int sim_lock(struct txio *io, int fd, uint64_t byte, enum txio_lock_mode mode, bool wait)
{
    struct sim *sim = NULL;
    int result = sim_enter(io, &sim);
    const struct sim_fd *open = sim_fd_of(sim_process_of(io), fd);
    if (result < 0 || open == NULL) {
        return result < 0 ? result : -EBADF;
    }
    if (mode == TXIO_UNLOCK) {
        unlock(sim, open, byte);
        return 0;
    }
    bool exclusive = mode == TXIO_EXCLUSIVE_LOCK;
    if (exclusive && !open->write) {
        return -EBADF;
    }
    while (!is_free(sim, open, byte, exclusive)) {
        if (!wait) {
            return -EAGAIN;
        }
        if (sim->options.on_blocked == NULL ||
            !sim->options.on_blocked(sim->options.on_blocked_arg, io)) {
            return -EDEADLK;
        }
        if (sim_process_of(io)->dead) {
            return -EIO;
        }
    }
    add_lock(sim, open, byte, exclusive);
    return 0;
}

int sim_lock_probe(struct txio *io, int fd, uint64_t byte)
{
    struct sim *sim = NULL;
    int result = sim_enter(io, &sim);
    const struct sim_fd *open = sim_fd_of(sim_process_of(io), fd);
    if (result < 0 || open == NULL) {
        return result < 0 ? result : -EBADF;
    }
    return is_free(sim, open, byte, false) ? 0 : 1;
}

/* --- Mappings --------------------------------------------------------------------------------- */

static int make_room(struct sim_file *file, size_t size)
{
    if (size <= file->map_room) {
        return 0;
    }
    if (file->map_count > 0) {
        return -ENOMEM; /* cannot move under its users */
    }
    size_t room;
    uint8_t *memory = sim_map_new(size < MAP_ROOM_MIN ? MAP_ROOM_MIN : size, &room);
    if (file->map != NULL) {
        memcpy(memory, file->map, file->map_size);
        sim_map_drop(file->map, file->map_room);
    }
    file->map = memory;
    file->map_room = room;
    return 0;
}

int sim_map(struct txio *io, int fd, size_t size, void **memory)
{
    struct sim *sim = NULL;
    int result = sim_enter(io, &sim);
    const struct sim_fd *open = sim_fd_of(sim_process_of(io), fd);
    if (result < 0 || open == NULL) {
        return result < 0 ? result : -EBADF;
    }
    if (!open->write) {
        return -EACCES;
    }
    if (size == 0) {
        return -EINVAL;
    }
    struct sim_file *file = sim_file_of(sim, open->ino);
    result = make_room(file, size);
    if (result < 0) {
        return result;
    }
    if (size > file->map_size) {
        sim_content_read(sim->live->inodes[open->ino], file->map + file->map_size,
                         size - file->map_size, file->map_size);
        file->map_size = size;
    }
    file->map_count++;
    sim_process_of(io)->map_count++;
    *memory = file->map;
    return 0;
}

int sim_unmap(struct txio *io, void *memory, size_t size)
{
    struct sim *sim = NULL;
    int result = sim_enter(io, &sim);
    if (result < 0) {
        return result;
    }
    for (uint32_t ino = 0; ino < sim->file_room; ino++) {
        struct sim_file *file = sim->files + ino;
        if (file->map_count > 0 && file->map == memory && size <= file->map_size) {
            file->map_count--;
            sim_process_of(io)->map_count--;
            sim_release_if_unused(sim, ino);
            return 0;
        }
    }
    return -EINVAL;
}

void sim_map_read(const struct sim_file *file, void *data, size_t size, uint64_t offset)
{
    if (offset < file->map_size) {
        size_t part = file->map_size - (size_t)offset;
        memcpy(data, file->map + offset, size < part ? size : part);
    }
}

void sim_map_write(struct sim_file *file, const void *data, size_t size, uint64_t offset)
{
    if (offset < file->map_size) {
        size_t part = file->map_size - (size_t)offset;
        memcpy(file->map + offset, data, size < part ? size : part);
    }
}

void sim_map_collect(struct sim *sim, uint32_t ino)
{
    const struct sim_file *file = sim_file_of(sim, ino);
    const struct sim_inode *inode = sim_table_get(sim->live, ino);
    if (inode == NULL || file->map_size == 0) {
        return;
    }
    uint64_t size = file->map_size < inode->size ? file->map_size : inode->size;
    for (uint64_t at = 0; at < size; at += SIM_BLOCK) {
        const uint8_t *old = sim_content_block(sim->live->inodes[ino], at / SIM_BLOCK);
        size_t part = size - at < SIM_BLOCK ? (size_t)(size - at) : SIM_BLOCK;
        if (memcmp(old, file->map + at, part) != 0) {
            struct iovec iov = {file->map + at, part};
            sim_write_content(sim, ino, &iov, 1, at, part);
        }
    }
}

/* --- Waiting ---------------------------------------------------------------------------------- */

int sim_wait(struct txio *io, _Atomic uint32_t *word, uint32_t expected, int64_t timeout_ns)
{
    struct sim_process *process = sim_process_of(io);
    struct sim *sim = process->sim;
    if (process->dead) {
        return -EIO;
    }
    if (atomic_load(word) != expected) {
        return 0;
    }
    if (sim->options.on_blocked != NULL &&
        sim->options.on_blocked(sim->options.on_blocked_arg, io)) {
        return 0;
    }
    if (timeout_ns < 0 && ++sim->idle_waits > IDLE_WAITS_MAX) {
        (void)fputs("sim: a wait that nobody will end\n", stderr);
        abort();
    }
    sim->elapsed_ns += timeout_ns > 0 ? timeout_ns : 0;
    return timeout_ns < 0 ? 0 : -ETIMEDOUT;
}

int sim_wake(struct txio *io, _Atomic uint32_t *word, int count)
{
    struct sim *sim = NULL;
    (void)word;
    (void)count;
    return sim_enter(io, &sim); /* nobody sleeps here */
}
