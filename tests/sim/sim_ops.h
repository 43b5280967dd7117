/* SPDX-License-Identifier: MIT */
/* The entries of the table; see struct txio_ops. */
#ifndef TX_SIM_OPS_H
#define TX_SIM_OPS_H

#include "sim/sim_internal.h"

int sim_open(struct txio *io, int dir, const char *path, unsigned flags, uint32_t mode);
int sim_close(struct txio *io, int fd);
int64_t sim_pread(struct txio *io, int fd, void *data, size_t size, uint64_t offset);
int64_t sim_pwritev(struct txio *io, int fd, const struct iovec *parts, int count, uint64_t offset);
int sim_truncate(struct txio *io, int fd, uint64_t size);
int sim_allocate(struct txio *io, int fd, uint64_t offset, uint64_t size);
int64_t sim_seek(struct txio *io, int fd, uint64_t offset, bool hole);
int sim_fs_info(struct txio *io, int fd, struct txio_fs_info *info);
int sim_datasync(struct txio *io, int fd);
int sim_sync(struct txio *io, int fd);
int sim_syncfs(struct txio *io, int fd);
int sim_write_behind(struct txio *io, int fd, uint64_t offset, uint64_t size);
int sim_fstat(struct txio *io, int fd, struct txio_stat *stat);
int sim_stat(struct txio *io, int dir, const char *path, struct txio_stat *stat);
int sim_list(struct txio *io, int dir, txio_list_fn *fn, void *arg);
int sim_readlink(struct txio *io, int dir, const char *path, char *target, size_t size);
int sim_rename(struct txio *io, int from_dir, const char *from, int to_dir, const char *to,
               unsigned flags);
int sim_link(struct txio *io, int from_dir, const char *from, int to_dir, const char *to);
int sim_unlink(struct txio *io, int dir, const char *path);
int sim_mkdir(struct txio *io, int dir, const char *path, uint32_t mode);
int sim_rmdir(struct txio *io, int dir, const char *path);
int sim_symlink(struct txio *io, const char *target, int dir, const char *path);
int sim_mknod(struct txio *io, int dir, const char *path, uint32_t mode, uint64_t rdev);
int sim_set_attr(struct txio *io, int dir, const char *path, const struct txio_attr *attr);
int64_t sim_get_xattr(struct txio *io, int dir, const char *path, const char *name, void *value,
                      size_t size);
int64_t sim_list_xattr(struct txio *io, int dir, const char *path, char *names, size_t size);
int sim_set_xattr(struct txio *io, int dir, const char *path, const char *name, const void *value,
                  size_t size);
int sim_remove_xattr(struct txio *io, int dir, const char *path, const char *name);
int sim_lock(struct txio *io, int fd, uint64_t byte, enum txio_lock_mode mode, bool wait);
int sim_lock_probe(struct txio *io, int fd, uint64_t byte);
int sim_map(struct txio *io, int fd, size_t size, void **memory);
int sim_unmap(struct txio *io, void *memory, size_t size);
int sim_wait(struct txio *io, _Atomic uint32_t *word, uint32_t expected, int64_t timeout_ns);
int sim_wake(struct txio *io, _Atomic uint32_t *word, int count);

#endif
