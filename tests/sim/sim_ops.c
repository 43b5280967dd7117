/* SPDX-License-Identifier: MIT */
/* The table, and its entries that need nothing but the machine. */
#include "sim/sim_ops.h"

static int64_t monotonic(struct txio *io)
{
    struct sim *sim = NULL;
    int result = sim_enter(io, &sim);
    return result < 0 ? result : sim->elapsed_ns;
}

static int64_t realtime(struct txio *io)
{
    struct sim *sim = NULL;
    int result = sim_enter(io, &sim);
    return result < 0 ? result : sim->start_ns + sim->elapsed_ns;
}

static int random_bytes(struct txio *io, void *data, size_t size)
{
    struct sim *sim = NULL;
    int result = sim_enter(io, &sim);
    uint8_t *out = data;
    for (size_t i = 0; i < size && result == 0; i++) {
        out[i] = (uint8_t)(sim_random(&sim->random) >> 32);
    }
    return result;
}

static uint64_t process_id(struct txio *io) { return sim_process_of(io)->pid; }

static int user_id(struct txio *io, uint32_t *uid, uint32_t *gid)
{
    *uid = sim_process_of(io)->sim->options.uid;
    *gid = sim_process_of(io)->sim->options.gid;
    return 0;
}

static int boot_id(struct txio *io, uint8_t id[16])
{
    memcpy(id, sim_process_of(io)->sim->boot_id, 16);
    return 0;
}

const struct txio_ops sim_ops = {
    .name = "sim",
    .open = sim_open,
    .close = sim_close,
    .pread = sim_pread,
    .pwritev = sim_pwritev,
    .truncate = sim_truncate,
    .allocate = sim_allocate,
    .seek = sim_seek,
    .fstat = sim_fstat,
    .fs_info = sim_fs_info,
    .datasync = sim_datasync,
    .sync = sim_sync,
    .syncfs = sim_syncfs,
    .write_behind = sim_write_behind,
    .stat = sim_stat,
    .list = sim_list,
    .readlink = sim_readlink,
    .rename = sim_rename,
    .link = sim_link,
    .unlink = sim_unlink,
    .mkdir = sim_mkdir,
    .rmdir = sim_rmdir,
    .symlink = sim_symlink,
    .mknod = sim_mknod,
    .set_attr = sim_set_attr,
    .get_xattr = sim_get_xattr,
    .list_xattr = sim_list_xattr,
    .set_xattr = sim_set_xattr,
    .remove_xattr = sim_remove_xattr,
    .lock = sim_lock,
    .lock_probe = sim_lock_probe,
    .map = sim_map,
    .unmap = sim_unmap,
    .wait = sim_wait,
    .wake = sim_wake,
    .monotonic_ns = monotonic,
    .realtime_ns = realtime,
    .random = random_bytes,
    .process_id = process_id,
    .user_id = user_id,
    .boot_id = boot_id,
};
