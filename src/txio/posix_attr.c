/* SPDX-License-Identifier: MIT */
/*
 * Attributes. Linux 5.10 has no chmod and no xattr call that takes a directory descriptor and does
 * not follow, so these go by way of /proc/self/fd; without /proc they answer -EOPNOTSUPP.
 */
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "txio_internal.h"

enum { PROC_PATH_SIZE = 32 + NAME_MAX + 1 };

/* -ENOENT of a path through /proc: is it /proc that is missing? */
static int64_t blame_proc(int64_t result)
{
    return result == -ENOENT && access("/proc/self/fd", F_OK) != 0 ? -EOPNOTSUPP : result;
}

static struct timespec time_of(int64_t ns)
{
    if (ns == INT64_MIN) {
        return (struct timespec){0, UTIME_OMIT};
    }
    int64_t seconds = ns / 1000000000;
    int64_t rest = ns % 1000000000;
    if (rest < 0) { /* before 1970: the nanoseconds count forward all the same */
        seconds--;
        rest += 1000000000;
    }
    return (struct timespec){(time_t)seconds, (long)rest};
}

static int set_mode(const struct os_place *place, mode_t mode)
{
    if (!place->no_follow) {
        return OS_CALL(fchmodat(place->dir, place->name, mode, 0));
    }
    int fd = OS_CALL(openat(place->dir, place->name, O_PATH | O_NOFOLLOW | O_CLOEXEC));
    if (fd < 0) {
        return fd;
    }
    struct stat stat;
    int result = OS_CALL(fstat(fd, &stat));
    if (result == 0 && !S_ISLNK(stat.st_mode)) { /* a symbolic link has no mode of its own */
        char path[PROC_PATH_SIZE];
        (void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd); /* always fits */
        result = (int)blame_proc(OS_CALL(chmod(path, mode)));
    }
    (void)close(fd); /* O_PATH: nothing to lose */
    return result;
}

int os_set_attr(OS_SELF, int dir, const char *path, const struct txio_attr *attr)
{
    TX_AUTO(os_place) place = OS_PLACE_INIT;
    int result = os_place_find(&place, dir, path);
    if (result == 0 && (attr->mask & TXIO_ATTR_OWNER)) {
        result = OS_CALL(fchownat(place.dir, place.name, attr->uid, attr->gid, place.no_follow));
    }
    if (result == 0 && (attr->mask & TXIO_ATTR_MODE)) {
        result = set_mode(&place, attr->mode & 07777);
    }
    if (result == 0 && (attr->mask & TXIO_ATTR_TIMES)) {
        struct timespec times[2] = {time_of(attr->atime_ns), time_of(attr->mtime_ns)};
        result = OS_CALL(utimensat(place.dir, place.name, times, place.no_follow));
    }
    return result;
}

/* The path for the l* calls, which do not follow its last component; under TXIO_CWD the user's path
 * as it is. */
struct xattr_path {
    struct os_place place;
    char proc[PROC_PATH_SIZE];
    const char *path;
};

static void xattr_path_auto(struct xattr_path *at)
{
    os_place_auto(&at->place);
}

static int xattr_path_find(struct xattr_path *at, int dir, const char *path)
{
    int result = os_place_find(&at->place, dir, path);
    if (result < 0) {
        return result;
    }
    at->path = path;
    if (at->place.no_follow) {
        if (strlen(at->place.name) > NAME_MAX) {
            return -ENAMETOOLONG;
        }
        (void)snprintf(at->proc, sizeof(at->proc), "/proc/self/fd/%d/%s", at->place.dir,
                       at->place.name); /* fits: the name was measured */
        at->path = at->proc;
    }
    return 0;
}

#define XATTR_PATH_INIT {.place = OS_PLACE_INIT}

/* One xattr call on the found path, in its form that follows or in that which does not. */
#define XATTR_CALL(at, call, ...)                                                                  \
    ((at).place.no_follow ? blame_proc(OS_CALL(l##call((at).path, __VA_ARGS__)))                   \
                          : (int64_t)OS_CALL(call((at).path, __VA_ARGS__)))

int64_t os_get_xattr(OS_SELF, int dir, const char *path, const char *name, void *value,
                     size_t size)
{
    TX_AUTO(xattr_path) at = XATTR_PATH_INIT;
    int result = xattr_path_find(&at, dir, path);
    return result < 0 ? result : XATTR_CALL(at, getxattr, name, value, size);
}

int64_t os_list_xattr(OS_SELF, int dir, const char *path, char *names, size_t size)
{
    TX_AUTO(xattr_path) at = XATTR_PATH_INIT;
    int result = xattr_path_find(&at, dir, path);
    return result < 0 ? result : XATTR_CALL(at, listxattr, names, size);
}

int os_set_xattr(OS_SELF, int dir, const char *path, const char *name, const void *value,
                 size_t size)
{
    TX_AUTO(xattr_path) at = XATTR_PATH_INIT;
    int result = xattr_path_find(&at, dir, path);
    return result < 0 ? result : (int)XATTR_CALL(at, setxattr, name, value, size, 0);
}

int os_remove_xattr(OS_SELF, int dir, const char *path, const char *name)
{
    TX_AUTO(xattr_path) at = XATTR_PATH_INIT;
    int result = xattr_path_find(&at, dir, path);
    return result < 0 ? result : (int)XATTR_CALL(at, removexattr, name);
}
