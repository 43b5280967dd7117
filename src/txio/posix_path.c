/* SPDX-License-Identifier: MIT */
/*
 * Paths beneath a directory. A name without '/' needs no resolution: the *at call on it, told not
 * to follow, can only touch that directory. For longer paths the parent is opened first, by openat2
 * (Linux 5.6) or by a walk of equal strength, and the *at call goes to the last name in it.
 *
 * ".." is refused before the kernel sees it: openat2 would allow "a/../b", the walk could not keep
 * that safe against a concurrent rename, and no caller needs it. So both give the same answers.
 */
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/mutant.h"
#include "txio_internal.h"

enum { AGAIN_LIMIT = 64 };

static _Atomic int resolver = OS_RESOLVE_OPENAT2;

void os_set_resolver(enum os_resolver chosen)
{
    atomic_store(&resolver, (int)chosen);
}

static bool is_dots(const char *name, size_t size)
{
    return size == 2 && name[0] == '.' && name[1] == '.';
}

/* Check the form of a path of several components; `parent` receives the size of all before the
 * last '/'. */
static int check_path(const char *path, size_t *parent)
{
    if (path[0] == '/') {
        return -EXDEV;
    }
    const char *name = path;
    const char *slash;
    while ((slash = strchr(name, '/')) != NULL) {
        if (is_dots(name, (size_t)(slash - name))) {
            return -EXDEV;
        }
        *parent = (size_t)(slash - path);
        name = slash + 1;
    }
    if (*parent >= PATH_MAX) {
        return -ENAMETOOLONG;
    }
    return 0;
}

static bool is_plain_name(const char *name)
{
    return name[0] != '\0' && strcmp(name, ".") != 0 && strcmp(name, "..") != 0;
}

/* -ENOTDIR for a symbolic link is the kernel's way to refuse it as a directory: say -ELOOP. */
static int name_the_link(int error, int dir, const char *name)
{
    struct stat stat;
    if (error == -ENOTDIR && OS_CALL(fstatat(dir, name, &stat, AT_SYMLINK_NOFOLLOW)) == 0 &&
        S_ISLNK(stat.st_mode)) {
        return -ELOOP;
    }
    return error;
}

static int try_openat2(int dir, const char *path, int os_flags, uint32_t mode)
{
    struct open_how how = {
        .flags = (uint32_t)os_flags,
        .mode = os_flags & O_CREAT ? mode : 0,
        .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS,
    };
    if (TX_MUTANT(39)) { /* a symbolic link that was planted after the vote is followed */
        how.resolve = 0;
    }
    if (atomic_load_explicit(&resolver, memory_order_relaxed) == OS_RESOLVE_WALK) {
        return -ENOSYS;
    }
    long fd = -EAGAIN;
    /* The kernel says EAGAIN when a rename went on beside it. Bounded, because a lease on the file
     * says EAGAIN too. */
    for (int i = 0; i < AGAIN_LIMIT && fd == -EAGAIN; i++) {
        fd = OS_CALL(syscall(SYS_openat2, dir, path, &how, sizeof(how)));
    }
    return (int)fd;
}

/* Whether openat2 itself may be what was refused. Seccomp filters older than it say EPERM, but so
 * does the kernel for reasons of its own; then the walk finds them again. */
static bool needs_walk(int result)
{
    return result == -ENOSYS || result == -EPERM;
}

/* Open the directory `path` component by component; all but the last descriptor are closed. */
static int walk(int dir, char *path)
{
    int at = dir;
    char *rest = path;
    char *name;
    while ((name = strsep(&rest, "/")) != NULL) {
        if (name[0] == '\0' || strcmp(name, ".") == 0) {
            continue;
        }
        int flags = O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
        int next = name_the_link(OS_CALL(openat(at, name, flags)), at, name);
        if (at != dir) {
            (void)close(at); /* O_PATH: nothing to lose */
        }
        if (next < 0) {
            return next;
        }
        at = next;
    }
    return at != dir ? at : OS_CALL(openat(dir, ".", O_PATH | O_DIRECTORY | O_CLOEXEC));
}

static int open_parent(int dir, const char *path, size_t size)
{
    char parent[PATH_MAX];
    memcpy(parent, path, size);
    parent[size] = '\0';
    int fd = try_openat2(dir, parent, O_PATH | O_DIRECTORY | O_CLOEXEC, 0);
    return needs_walk(fd) ? walk(dir, parent) : fd;
}

void os_place_auto(struct os_place *place)
{
    if (place->opened >= 0) {
        (void)close(place->opened); /* O_PATH: nothing to lose */
    }
}

int os_place_find(struct os_place *place, int dir, const char *path)
{
    *place = (struct os_place){dir, path, -1, AT_SYMLINK_NOFOLLOW};
    if (dir == TXIO_CWD) {
        place->dir = AT_FDCWD;
        place->no_follow = 0;
        return 0;
    }
    size_t parent = 0;
    int result = check_path(path, &parent);
    if (result < 0) {
        return result;
    }
    if (parent > 0) {
        place->name = path + parent + 1;
    }
    if (!is_plain_name(place->name)) {
        return -EINVAL;
    }
    if (parent > 0) {
        place->opened = open_parent(dir, path, parent);
        place->dir = place->opened;
        return place->opened < 0 ? place->opened : 0;
    }
    return 0;
}

int os_open_beneath(int dir, const char *path, int os_flags, uint32_t mode)
{
    if (strcmp(path, ".") == 0) {
        return OS_CALL(openat(dir, ".", (os_flags & ~(O_CREAT | O_EXCL)) | O_DIRECTORY));
    }
    TX_AUTO(os_place) place = OS_PLACE_INIT;
    size_t parent = 0;
    int result = check_path(path, &parent);
    if (result == 0 && parent > 0 && is_plain_name(path + parent + 1)) {
        result = try_openat2(dir, path, os_flags | O_NOFOLLOW, mode);
        /* These two: to tell a symbolic link, and because only the parent need be short. */
        if (!needs_walk(result) && result != -ENOTDIR && result != -ENAMETOOLONG) {
            return result;
        }
    }
    result = os_place_find(&place, dir, path);
    if (result < 0) {
        return result;
    }
    result = OS_CALL(openat(place.dir, place.name, os_flags | O_NOFOLLOW, mode));
    return name_the_link(result, place.dir, place.name);
}
