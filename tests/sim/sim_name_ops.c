/* SPDX-License-Identifier: MIT */
/* Operations on names. The order of the checks is the kernel's, so that the errors are. */
#include "sim/sim_ops.h"

#define AUTO_PLACE __attribute__((cleanup(sim_place_auto))) struct sim_place

static const struct sim_inode *inode_at(const struct sim *sim, uint32_t ino)
{
    return sim_table_get(sim->live, ino);
}

static bool is_dir(const struct sim *sim, uint32_t ino)
{
    return ino != 0 && S_ISDIR(inode_at(sim, ino)->mode);
}

static void add_slot(struct sim_unit *unit, const struct sim_place *place, uint32_t before,
                     uint32_t after)
{
    struct sim_bytes *name = sim_bytes_new(place->name, place->name_size);
    sim_unit_slot(unit, place->dir, name, before, after);
    sim_bytes_drop(name);
}

static void change_one(struct sim *sim, const struct sim_place *place, uint32_t before,
                       uint32_t after)
{
    struct sim_unit *unit = sim_unit_new(SIM_UNIT_NAME, 0, sim_stamp(sim));
    add_slot(unit, place, before, after);
    sim_change(sim, unit);
}

/* --- Making ----------------------------------------------------------------------------------- */

/* Begin an operation that makes a new name. */
static int enter_new(struct txio *io, const char *op, int dir, const char *path, struct sim **sim,
                     struct sim_place *place)
{
    int result = sim_enter_change(io, op, sim);
    if (result == 0) {
        result = sim_resolve(sim_process_of(io), dir, path, false, place);
    }
    if (result < 0) {
        return result;
    }
    if (place->ino != 0) {
        return -EEXIST;
    }
    if (inode_at(*sim, place->dir)->links == 0) {
        return -ENOENT;
    }
    return sim_has_room(*sim, SIM_SECTOR) ? 0 : -ENOSPC;
}

int sim_mkdir(struct txio *io, int dir, const char *path, uint32_t mode)
{
    AUTO_PLACE place = {0};
    struct sim *sim = NULL;
    int result = enter_new(io, "mkdir", dir, path, &sim, &place);
    if (result < 0) {
        return result;
    }
    mode = S_IFDIR | (mode & 07777 & ~sim->options.umask);
    change_one(sim, &place, 0, sim_create_inode(sim, place.dir, mode, NULL));
    return 0;
}

int sim_symlink(struct txio *io, const char *target, int dir, const char *path)
{
    AUTO_PLACE place = {0};
    struct sim *sim = NULL;
    int result = enter_new(io, "symlink", dir, path, &sim, &place);
    size_t size = strlen(target);
    if (result == 0 || result == -EEXIST) {
        result = size == 0 ? -ENOENT : size > SIM_PATH_MAX ? -ENAMETOOLONG : result;
    }
    if (result == 0 && place.must_be_dir) {
        result = -ENOENT;
    }
    if (result < 0) {
        return result;
    }
    uint32_t ino = sim_create_inode(sim, place.dir, S_IFLNK | 0777, sim_bytes_new(target, size));
    change_one(sim, &place, 0, ino);
    return 0;
}

int sim_mknod(struct txio *io, int dir, const char *path, uint32_t mode, uint64_t rdev)
{
    AUTO_PLACE place = {0};
    struct sim *sim = NULL;
    int result = enter_new(io, "mknod", dir, path, &sim, &place);
    if (S_ISDIR(mode) || S_ISLNK(mode)) {
        result = result < 0 ? result : -EINVAL;
    }
    if (result < 0) {
        return result;
    }
    mode = (mode & S_IFMT) | (mode & 07777 & ~sim->options.umask);
    uint32_t ino =
        sim_create_inode(sim, place.dir, (mode & S_IFMT) == 0 ? mode | S_IFREG : mode, NULL);
    if (S_ISBLK(mode) || S_ISCHR(mode)) {
        sim_table_own(sim->live, ino)->rdev = rdev;
        sim_table_own(sim->base, ino)->rdev = rdev;
    }
    change_one(sim, &place, 0, ino);
    return 0;
}

int sim_link(struct txio *io, int from_dir, const char *from, int to_dir, const char *to)
{
    AUTO_PLACE source = {0};
    AUTO_PLACE place = {0};
    struct sim *sim = NULL;
    int result = sim_enter_change(io, "link", &sim);
    if (result == 0) {
        result = sim_resolve(sim_process_of(io), from_dir, from, false, &source);
    }
    if (result == 0) {
        result = sim_resolve(sim_process_of(io), to_dir, to, false, &place);
    }
    if (result < 0) {
        return result;
    }
    if (source.ino == 0) {
        return -ENOENT;
    }
    if (place.ino != 0) {
        return -EEXIST;
    }
    if (is_dir(sim, source.ino)) {
        return -EPERM;
    }
    if (inode_at(sim, place.dir)->links == 0) {
        return -ENOENT;
    }
    change_one(sim, &place, 0, source.ino);
    return 0;
}

/* --- Removing --------------------------------------------------------------------------------- */

static int remove_name(struct txio *io, const char *op, int dir, const char *path, bool directory)
{
    AUTO_PLACE place = {0};
    struct sim *sim = NULL;
    int result = sim_enter_change(io, op, &sim);
    if (result == 0) {
        result = sim_resolve(sim_process_of(io), dir, path, false, &place);
    }
    if (result < 0) {
        return result;
    }
    if (place.odd) {
        return !directory ? -EISDIR : place.name_size == 1 ? -EINVAL : -ENOTEMPTY;
    }
    if (place.ino == 0) {
        return -ENOENT;
    }
    if (is_dir(sim, place.ino) != directory) {
        return directory || place.must_be_dir ? -ENOTDIR : -EISDIR;
    }
    if (inode_at(sim, place.ino)->entry_count > 0) {
        return -ENOTEMPTY;
    }
    uint32_t ino = place.ino;
    change_one(sim, &place, ino, 0);
    sim_release_if_unused(sim, ino);
    return 0;
}

int sim_unlink(struct txio *io, int dir, const char *path)
{
    return remove_name(io, "unlink", dir, path, false);
}

int sim_rmdir(struct txio *io, int dir, const char *path)
{
    return remove_name(io, "rmdir", dir, path, true);
}

/* --- Renaming --------------------------------------------------------------------------------- */

/* Is `dir` the directory `ancestor` or somewhere below it? */
static bool is_below(const struct sim *sim, uint32_t dir, uint32_t ancestor)
{
    while (dir != ancestor && dir != SIM_ROOT) {
        const struct sim_inode *inode = inode_at(sim, dir);
        if (inode->links == 0) {
            return false;
        }
        dir = inode->parent;
    }
    return dir == ancestor;
}

static int check_rename(const struct sim *sim, const struct sim_place *from,
                        const struct sim_place *to, unsigned flags)
{
    bool exchange = (flags & TXIO_EXCHANGE) != 0;
    if (from->odd || to->odd) {
        return (flags & TXIO_NOREPLACE) != 0 && to->odd ? -EEXIST : -EBUSY;
    }
    if (from->ino == 0) {
        return -ENOENT;
    }
    if ((flags & TXIO_NOREPLACE) != 0 && to->ino != 0) {
        return -EEXIST;
    }
    if (exchange && to->ino == 0) {
        return -ENOENT;
    }
    if ((from->must_be_dir || to->must_be_dir) && !is_dir(sim, from->ino)) {
        return -ENOTDIR;
    }
    if (is_dir(sim, from->ino) && is_below(sim, to->dir, from->ino)) {
        return -EINVAL;
    }
    if (is_dir(sim, to->ino) && is_below(sim, from->dir, to->ino)) {
        return exchange ? -EINVAL : -ENOTEMPTY;
    }
    return 0;
}

/* After it is known that source and target are different objects. */
static int check_replaced(const struct sim *sim, const struct sim_place *from,
                          const struct sim_place *to)
{
    if (to->ino == 0) {
        return inode_at(sim, to->dir)->links == 0 ? -ENOENT : 0;
    }
    if (is_dir(sim, from->ino) != is_dir(sim, to->ino)) {
        return is_dir(sim, from->ino) ? -ENOTDIR : -EISDIR;
    }
    return inode_at(sim, to->ino)->entry_count > 0 ? -ENOTEMPTY : 0;
}

/* A file moved to another directory, without a journal: the new name may be durable while the old
 * one is still there (btrfs after a sync of the new directory; found by tests/powercut/conform.c).
 */
static void move_in_halves(struct sim *sim, const struct sim_place *from,
                           const struct sim_place *to)
{
    struct sim_unit *gone = sim_unit_new(SIM_UNIT_NAME, 0, sim_stamp(sim));
    add_slot(gone, from, from->ino, 0);
    gone->moved_to = to->dir;
    change_one(sim, to, to->ino, from->ino);
    sim_change(sim, gone);
}

static void change_two(struct sim *sim, const struct sim_place *from, const struct sim_place *to,
                       bool exchange)
{
    if (from->dir != to->dir && !exchange && !is_dir(sim, from->ino) && !sim_has_journal(sim)) {
        move_in_halves(sim, from, to);
        return;
    }
    struct sim_unit *unit = sim_unit_new(SIM_UNIT_NAME, 0, sim_stamp(sim));
    add_slot(unit, from, from->ino, exchange ? to->ino : 0);
    add_slot(unit, to, to->ino, from->ino);
    unit->moves_dir = from->dir != to->dir &&
                      (is_dir(sim, from->ino) || (exchange && is_dir(sim, to->ino)));
    sim_change(sim, unit);
}

int sim_rename(struct txio *io, int from_dir, const char *from, int to_dir, const char *to,
               unsigned flags)
{
    AUTO_PLACE source = {0};
    AUTO_PLACE target = {0};
    struct sim *sim = NULL;
    int result = sim_enter_change(io, "rename", &sim);
    if (result == 0) {
        result = sim_resolve(sim_process_of(io), from_dir, from, false, &source);
    }
    if (result == 0) {
        result = sim_resolve(sim_process_of(io), to_dir, to, false, &target);
    }
    if (result == 0 && flags == (TXIO_EXCHANGE | TXIO_NOREPLACE)) {
        result = -EINVAL;
    }
    if (result == 0) {
        result = check_rename(sim, &source, &target, flags);
    }
    if (result < 0 || source.ino == target.ino) {
        return result; /* two names of one inode: nothing happens, says POSIX */
    }
    bool exchange = (flags & TXIO_EXCHANGE) != 0;
    result = exchange ? 0 : check_replaced(sim, &source, &target);
    if (result < 0) {
        return result;
    }
    uint32_t replaced = target.ino;
    change_two(sim, &source, &target, exchange);
    if (replaced != 0) {
        sim_release_if_unused(sim, replaced);
    }
    return 0;
}
