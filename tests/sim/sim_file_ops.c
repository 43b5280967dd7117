/* SPDX-License-Identifier: MIT */
/* Operations on descriptors: opening and contents. */
#include "sim/sim_ops.h"

#define FILE_SIZE_MAX (UINT64_C(1) << 27) /* what is sparse is read and hashed as any other */

/* --- Opening ---------------------------------------------------------------------------------- */

static int new_fd(struct sim_process *process, uint32_t ino, bool write)
{
    for (unsigned i = 0; i < process->sim->options.files_max; i++) {
        if (!process->fds[i].used) {
            process->fds[i] = (struct sim_fd){true, write, ino};
            process->fd_top = i < process->fd_top ? process->fd_top : i + 1;
            sim_file_of(process->sim, ino)->opens++;
            return SIM_FD_BASE + (int)i;
        }
    }
    return -EMFILE;
}

static bool has_free_fd(const struct sim_process *process)
{
    return process->fd_top < process->sim->options.files_max ||
           sim_open_count(&process->io) - process->map_count < process->sim->options.files_max;
}

static int create_file(struct sim *sim, const struct sim_place *place, uint32_t mode, uint32_t *ino)
{
    if (sim->live->inodes[place->dir]->links == 0) {
        return -ENOENT;
    }
    if (place->must_be_dir) {
        return -EISDIR;
    }
    if (!sim_has_room(sim, SIM_SECTOR)) {
        return -ENOSPC;
    }
    *ino = sim_create_inode(sim, place->dir, S_IFREG | (mode & 07777 & ~sim->options.umask), NULL);
    struct sim_unit *unit = sim_unit_new(SIM_UNIT_NAME, 0, sim_stamp(sim));
    struct sim_bytes *name = sim_bytes_new(place->name, place->name_size);
    sim_unit_slot(unit, place->dir, name, 0, *ino);
    sim_bytes_drop(name);
    sim_change(sim, unit);
    return 0;
}

/* May what is there be opened so? */
static int check_existing(const struct sim_inode *inode, const struct sim_place *place,
                          unsigned flags)
{
    bool is_dir = S_ISDIR(inode->mode);
    if ((flags & TXIO_CREATE) != 0 && (flags & TXIO_EXCLUSIVE) != 0) {
        return -EEXIST;
    }
    if (S_ISLNK(inode->mode)) {
        return -ELOOP;
    }
    if (is_dir && (flags & (TXIO_WRITE | TXIO_CREATE | TXIO_TRUNCATE)) != 0) {
        return -EISDIR;
    }
    if (!is_dir && (place->must_be_dir || (flags & TXIO_DIRECTORY) != 0)) {
        return -ENOTDIR;
    }
    return is_dir || S_ISREG(inode->mode) ? 0 : -EOPNOTSUPP;
}

static void set_size(struct sim *sim, uint32_t ino, uint64_t size)
{
    struct sim_unit *unit = sim_unit_new(SIM_UNIT_SIZE, ino, sim_stamp(sim));
    unit->size = size;
    sim_change(sim, unit);
    sim_touch_times(sim, ino);
    struct sim_file *file = sim_file_of(sim, ino);
    if (size < file->map_size) {
        memset(file->map + size, 0, file->map_size - size);
    }
}

static int open_place(struct sim_process *process, const struct sim_place *place, unsigned flags,
                      uint32_t mode)
{
    struct sim *sim = process->sim;
    uint32_t ino = place->ino;
    int result = 0;
    if (!has_free_fd(process)) {
        return -EMFILE;
    }
    if (ino != 0) {
        result = check_existing(sim->live->inodes[ino], place, flags);
        if (result == 0 && (flags & TXIO_TRUNCATE) != 0) {
            set_size(sim, ino, 0);
        }
    } else if ((flags & TXIO_CREATE) == 0) {
        result = -ENOENT;
    } else if ((flags & TXIO_DIRECTORY) != 0) {
        result = -EINVAL;
    } else {
        result = create_file(sim, place, mode, &ino);
    }
    return result < 0 ? result : new_fd(process, ino, (flags & TXIO_WRITE) != 0);
}

int sim_open(struct txio *io, int dir, const char *path, unsigned flags, uint32_t mode)
{
    struct sim *sim = NULL;
    bool changes = (flags & (TXIO_CREATE | TXIO_TRUNCATE)) != 0;
    int result = changes ? sim_enter_change(io, "open", &sim) : sim_enter(io, &sim);
    if (result < 0) {
        return result;
    }
    struct sim_process *process = sim_process_of(io);
    __attribute__((cleanup(sim_place_auto))) struct sim_place place = {0};
    if (dir != TXIO_CWD && strcmp(path, ".") == 0) {
        const struct sim_fd *fd = sim_fd_of(process, dir);
        place.ino = fd != NULL ? fd->ino : 0;
        result = fd == NULL ? -EBADF : 0;
        flags = (flags | TXIO_DIRECTORY) & ~(unsigned)(TXIO_CREATE | TXIO_EXCLUSIVE);
    } else {
        bool exclusive = (flags & TXIO_CREATE) != 0 && (flags & TXIO_EXCLUSIVE) != 0;
        result = sim_resolve(process, dir, path, !exclusive, &place);
    }
    return result < 0 ? result : open_place(process, &place, flags, mode);
}

int sim_close(struct txio *io, int fd)
{
    struct sim *sim = NULL;
    int result = sim_enter(io, &sim);
    struct sim_fd *open = sim_fd_of(sim_process_of(io), fd);
    if (result < 0 || open == NULL) {
        return result < 0 ? result : -EBADF;
    }
    sim_locks_release(sim, open);
    open->used = false;
    sim_file_of(sim, open->ino)->opens--;
    sim_release_if_unused(sim, open->ino);
    return 0;
}

/* --- Contents --------------------------------------------------------------------------------- */

/* Begin an operation on the contents of a regular file. */
static int enter_file(struct txio *io, int fd, const char *op, struct sim **sim,
                      struct sim_fd **open)
{
    int result = op != NULL ? sim_enter_change(io, op, sim) : sim_enter(io, sim);
    if (result < 0) {
        return result;
    }
    *open = sim_fd_of(sim_process_of(io), fd);
    if (*open == NULL || (op != NULL && !(*open)->write)) {
        return -EBADF;
    }
    return S_ISDIR((*sim)->live->inodes[(*open)->ino]->mode) ? -EISDIR : 0;
}

int64_t sim_pread(struct txio *io, int fd, void *data, size_t size, uint64_t offset)
{
    struct sim *sim = NULL;
    struct sim_fd *open = NULL;
    int result = enter_file(io, fd, NULL, &sim, &open);
    if (result < 0) {
        return result;
    }
    const struct sim_inode *inode = sim->live->inodes[open->ino];
    if (offset >= inode->size) {
        return 0;
    }
    if (size > inode->size - offset) {
        size = (size_t)(inode->size - offset);
    }
    sim_content_read(inode, data, size, offset);
    sim_map_read(sim_file_of(sim, open->ino), data, size, offset);
    return (int64_t)size;
}

static bool may_spoil(const struct sim *sim, uint32_t ino)
{
    char buffer[SIM_PATH_MAX + 1];
    if (sim->options.garbage == NULL) {
        return false;
    }
    const char *path = sim_path_of(sim, ino, buffer);
    for (const char *const *part = sim->options.garbage; path != NULL && *part != NULL; part++) {
        if (strstr(path, *part) != NULL) {
            return true;
        }
    }
    return false;
}

/* Remember what stands in the blocks of a range after it was written. */
static void record_write(struct sim *sim, uint32_t ino, uint64_t offset, uint64_t size)
{
    struct sim_inode *inode = sim->live->inodes[ino];
    struct sim_unit *unit = sim_unit_new(SIM_UNIT_DATA, ino, sim_stamp(sim));
    uint64_t first = offset / SIM_BLOCK;
    unit->offset = offset;
    unit->size = size;
    unit->may_spoil = may_spoil(sim, ino);
    unit->block_count = (uint32_t)((offset + size - 1) / SIM_BLOCK - first + 1);
    unit->blocks = sim_need(malloc(unit->block_count * sizeof(*unit->blocks)));
    for (uint32_t i = 0; i < unit->block_count; i++) {
        unit->blocks[i] = sim_block_keep(inode->blocks[first + i]);
    }
    const struct sim_inode *base = sim_table_get(sim->base, ino);
    bool lost_size = sim_file_of(sim, ino)->diverged && base != NULL && offset + size > base->size;
    if (offset + size > inode->size || lost_size) {
        unit->grow_to = offset + size;
        inode->size = inode->size > unit->grow_to ? inode->size : unit->grow_to;
    }
    sim_change(sim, unit);
}

void sim_write_content(struct sim *sim, uint32_t ino, const struct iovec *parts, int count,
                       uint64_t offset, uint64_t size)
{
    struct sim_inode *inode = sim_table_own(sim->live, ino);
    uint64_t at = offset;
    for (int i = 0; i < count; i++) {
        sim_content_write(inode, parts[i].iov_base, parts[i].iov_len, at);
        at += parts[i].iov_len;
    }
    record_write(sim, ino, offset, size);
}

int64_t sim_pwritev(struct txio *io, int fd, const struct iovec *parts, int count, uint64_t offset)
{
    struct sim *sim = NULL;
    struct sim_fd *open = NULL;
    int result = enter_file(io, fd, "pwritev", &sim, &open);
    if (result < 0) {
        return result;
    }
    uint64_t size = 0;
    for (int i = 0; i < count; i++) {
        size += parts[i].iov_len;
    }
    if (size == 0) {
        return 0;
    }
    if (size > FILE_SIZE_MAX || offset > FILE_SIZE_MAX - size) {
        return -EFBIG;
    }
    if (!sim_has_room(sim, sim_needed_bytes(sim, open->ino, offset, size))) {
        return -ENOSPC;
    }
    sim_drop_capability(sim, open->ino);
    sim_write_content(sim, open->ino, parts, count, offset, size);
    sim_touch_times(sim, open->ino);
    for (int i = 0; i < count; i++) {
        sim_map_write(sim_file_of(sim, open->ino), parts[i].iov_base, parts[i].iov_len, offset);
        offset += parts[i].iov_len;
    }
    return (int64_t)size;
}

int sim_truncate(struct txio *io, int fd, uint64_t size)
{
    struct sim *sim = NULL;
    struct sim_fd *open = NULL;
    int result = enter_file(io, fd, "truncate", &sim, &open);
    if (result < 0) {
        return result == -EISDIR || (result == -EBADF && open != NULL) ? -EINVAL : result;
    }
    if (size > INT64_MAX) {
        return -EINVAL;
    }
    if (size > FILE_SIZE_MAX) {
        return -EFBIG;
    }
    sim_drop_capability(sim, open->ino);
    set_size(sim, open->ino, size);
    return 0;
}

int sim_allocate(struct txio *io, int fd, uint64_t offset, uint64_t size)
{
    struct sim *sim = NULL;
    struct sim_fd *open = NULL;
    int result = enter_file(io, fd, "allocate", &sim, &open);
    if (open != NULL && (size == 0 || offset > INT64_MAX || size > INT64_MAX)) {
        return -EINVAL;
    }
    if (result < 0) {
        return result;
    }
    if (size > FILE_SIZE_MAX || offset > FILE_SIZE_MAX - size) {
        return -EFBIG;
    }
    if (!sim_has_room(sim, sim_needed_bytes(sim, open->ino, offset, size))) {
        return -ENOSPC;
    }
    const struct sim_inode *inode = sim->live->inodes[open->ino];
    struct sim_unit *unit = sim_unit_new(SIM_UNIT_SIZE, open->ino, sim_stamp(sim));
    unit->size = inode->size > offset + size ? inode->size : offset + size;
    unit->allocate_from = offset;
    unit->offset = offset + size;
    sim_change(sim, unit);
    sim_touch_times(sim, open->ino);
    return 0;
}

int64_t sim_seek(struct txio *io, int fd, uint64_t offset, bool hole)
{
    struct sim *sim = NULL;
    struct sim_fd *open = NULL;
    int result = enter_file(io, fd, NULL, &sim, &open);
    return result < 0 ? result
                      : sim_content_seek(sim->live->inodes[open->ino], offset, hole);
}
