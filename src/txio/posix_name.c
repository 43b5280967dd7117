/* SPDX-License-Identifier: MIT */
/* Names: directories and what stands in them. */
#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "txio_internal.h"

int os_stat(OS_SELF, int dir, const char *path, struct txio_stat *stat)
{
    TX_AUTO(os_place) place = OS_PLACE_INIT;
    int result = os_place_find(&place, dir, path);
    return result < 0 ? result : os_stat_at(place.dir, place.name, place.no_follow, stat);
}

/* Hand the entries of one getdents buffer on. */
static int list_block(const char *block, size_t size, txio_list_fn *fn, void *arg)
{
    int result = 0;
    for (size_t at = 0; at < size && result == 0;) {
        const struct dirent64 *entry = (const struct dirent64 *)(const void *)(block + at);
        at += entry->d_reclen;
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0) {
            result = fn(arg, entry->d_name, entry->d_ino, entry->d_type);
        }
    }
    return result;
}

int os_list(OS_SELF, int dir, txio_list_fn *fn, void *arg)
{
    /* A description of its own, because the position would be shared with other threads. No
     * opendir: it allocates behind our back. */
    int fd = OS_CALL(openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (fd < 0) {
        return fd;
    }
    _Alignas(struct dirent64) char block[16384];
    int result = 0;
    ssize_t size = 1;
    while (result == 0 && size > 0) {
        size = OS_CALL(getdents64(fd, block, sizeof(block)));
        result = size < 0 ? (int)size : list_block(block, (size_t)size, fn, arg);
    }
    (void)close(fd); /* read only */
    return result;
}

int os_readlink(OS_SELF, int dir, const char *path, char *target, size_t size)
{
    TX_AUTO(os_place) place = OS_PLACE_INIT;
    int result = os_place_find(&place, dir, path);
    if (result < 0) {
        return result;
    }
    char text[PATH_MAX];
    ssize_t length = OS_CALL(readlinkat(place.dir, place.name, text, sizeof(text)));
    if (length < 0) {
        return (int)length;
    }
    size_t room = size < sizeof(text) ? size : sizeof(text);
    if ((size_t)length >= room) {
        return -ENAMETOOLONG;
    }
    memcpy(target, text, (size_t)length);
    target[length] = '\0';
    return (int)length;
}

int os_rename(OS_SELF, int from_dir, const char *from, int to_dir, const char *to, unsigned flags)
{
    TX_AUTO(os_place) source = OS_PLACE_INIT;
    TX_AUTO(os_place) target = OS_PLACE_INIT;
    unsigned os_flags = 0;
    os_flags |= flags & TXIO_NOREPLACE ? RENAME_NOREPLACE : 0;
    os_flags |= flags & TXIO_EXCHANGE ? RENAME_EXCHANGE : 0;
    int result = os_place_find(&source, from_dir, from);
    if (result == 0) {
        result = os_place_find(&target, to_dir, to);
    }
    if (result == 0) {
        result = OS_CALL(renameat2(source.dir, source.name, target.dir, target.name, os_flags));
    }
    return result;
}

int os_link(OS_SELF, int from_dir, const char *from, int to_dir, const char *to)
{
    TX_AUTO(os_place) source = OS_PLACE_INIT;
    TX_AUTO(os_place) target = OS_PLACE_INIT;
    int result = os_place_find(&source, from_dir, from);
    if (result == 0) {
        result = os_place_find(&target, to_dir, to);
    }
    if (result == 0) { /* without AT_SYMLINK_FOLLOW: a symbolic link itself gets the second name */
        result = OS_CALL(linkat(source.dir, source.name, target.dir, target.name, 0));
    }
    return result;
}

int os_unlink(OS_SELF, int dir, const char *path)
{
    TX_AUTO(os_place) place = OS_PLACE_INIT;
    int result = os_place_find(&place, dir, path);
    return result < 0 ? result : OS_CALL(unlinkat(place.dir, place.name, 0));
}

int os_rmdir(OS_SELF, int dir, const char *path)
{
    TX_AUTO(os_place) place = OS_PLACE_INIT;
    int result = os_place_find(&place, dir, path);
    return result < 0 ? result : OS_CALL(unlinkat(place.dir, place.name, AT_REMOVEDIR));
}

int os_mkdir(OS_SELF, int dir, const char *path, uint32_t mode)
{
    TX_AUTO(os_place) place = OS_PLACE_INIT;
    int result = os_place_find(&place, dir, path);
    return result < 0 ? result : OS_CALL(mkdirat(place.dir, place.name, mode & 07777));
}

int os_symlink(OS_SELF, const char *target, int dir, const char *path)
{
    TX_AUTO(os_place) place = OS_PLACE_INIT;
    int result = os_place_find(&place, dir, path);
    return result < 0 ? result : OS_CALL(symlinkat(target, place.dir, place.name));
}

int os_mknod(OS_SELF, int dir, const char *path, uint32_t mode, uint64_t rdev)
{
    TX_AUTO(os_place) place = OS_PLACE_INIT;
    int result = os_place_find(&place, dir, path);
    return result < 0 ? result : OS_CALL(mknodat(place.dir, place.name, mode, (dev_t)rdev));
}
