/* SPDX-License-Identifier: MIT */
/* The operating system as an implementation of the seam: only this table; its functions stand in
 * posix_*.c, the only files of the library with system calls. */
#include "txio_internal.h"

static const struct txio_ops os_ops = {
    .name = "posix",
    .open = os_open,
    .close = os_close,
    .pread = os_pread,
    .pwritev = os_pwritev,
    .truncate = os_truncate,
    .allocate = os_allocate,
    .seek = os_seek,
    .fstat = os_fstat,
    .fs_info = os_fs_info,
    .datasync = os_datasync,
    .sync = os_sync,
    .syncfs = os_syncfs,
    .write_behind = os_write_behind,
    .stat = os_stat,
    .list = os_list,
    .readlink = os_readlink,
    .rename = os_rename,
    .link = os_link,
    .unlink = os_unlink,
    .mkdir = os_mkdir,
    .rmdir = os_rmdir,
    .symlink = os_symlink,
    .mknod = os_mknod,
    .set_attr = os_set_attr,
    .get_xattr = os_get_xattr,
    .list_xattr = os_list_xattr,
    .set_xattr = os_set_xattr,
    .remove_xattr = os_remove_xattr,
    .lock = os_lock,
    .lock_probe = os_lock_probe,
    .map = os_map,
    .unmap = os_unmap,
    .wait = os_wait,
    .wake = os_wake,
    .monotonic_ns = os_monotonic_ns,
    .realtime_ns = os_realtime_ns,
    .random = os_random,
    .process_id = os_process_id,
    .user_id = os_user_id,
    .boot_id = os_boot_id,
};

struct txio *txio_posix(void)
{
    static struct txio io = {&os_ops};
    return &io;
}
