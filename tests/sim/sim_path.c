/* SPDX-License-Identifier: MIT */
/* Path resolution: beneath a descriptor without links, or from "/" as a shell would. */
#include "sim/sim_internal.h"

struct walk {
    struct sim *sim;
    uint32_t root; /* what ".." may not leave */
    bool beneath;
    bool follow;
    unsigned links;
};

struct sim_fd *sim_fd_of(struct sim_process *process, int fd)
{
    int index = fd - SIM_FD_BASE;
    if (process->dead || index < 0 || (unsigned)index >= process->fd_top ||
        !process->fds[index].used) {
        return NULL;
    }
    return process->fds + index;
}

void sim_place_auto(struct sim_place *place) { free(place->owned); }

static int take_name(const char **path, const char **name, size_t *size)
{
    *name = *path;
    *size = strcspn(*path, "/");
    *path += *size;
    *path += strspn(*path, "/");
    return *size > SIM_NAME_MAX ? -ENAMETOOLONG : 0;
}

static bool is_dots(const char *name, size_t size)
{
    return (size == 1 && name[0] == '.') || (size == 2 && name[0] == '.' && name[1] == '.');
}

static int step_dots(const struct walk *walk, uint32_t *at, size_t size)
{
    if (size == 1) {
        return 0;
    }
    if (*at == walk->root) {
        return walk->beneath ? -EXDEV : 0;
    }
    *at = walk->sim->live->inodes[*at]->parent;
    return 0;
}

/* The path that results when the link at `at` is followed with `rest` to come. */
static char *follow_link(const struct sim_inode *link, const char *rest)
{
    size_t size = link->target->size + strlen(rest) + 2;
    char *path = sim_need(malloc(size));
    (void)snprintf(path, size, "%s%s%s", link->target->data, rest[0] != '\0' ? "/" : "", rest);
    return path;
}

static int walk_path(struct walk *walk, uint32_t at, const char *path, struct sim_place *place);

static int go_on_at_link(struct walk *walk, uint32_t at, const struct sim_inode *link,
                         const char *rest, struct sim_place *place)
{
    if (walk->beneath || ++walk->links > SIM_LINKS_MAX) {
        return -ELOOP;
    }
    char *path = follow_link(link, rest);
    free(place->owned);
    place->owned = NULL;
    int result = walk_path(walk, at, path, place);
    if (place->owned == NULL) {
        place->owned = path;
    } else {
        free(path);
    }
    return result;
}

static int finish(struct walk *walk, uint32_t at, const char *name, size_t size, bool slash,
                  struct sim_place *place)
{
    place->dir = at;
    place->name = name;
    place->name_size = size;
    place->must_be_dir = slash;
    place->odd = is_dots(name, size);
    if (place->odd) {
        int result = step_dots(walk, &at, size);
        place->ino = at;
        return result;
    }
    place->ino = sim_entry_find(walk->sim->live->inodes[at], name, size);
    const struct sim_inode *inode = sim_table_get(walk->sim->live, place->ino);
    if (inode != NULL && S_ISLNK(inode->mode) && (walk->follow || (slash && !walk->beneath))) {
        return go_on_at_link(walk, at, inode, "", place);
    }
    return 0;
}

static int walk_path(struct walk *walk, uint32_t at, const char *path, struct sim_place *place)
{
    if (*path == '/') {
        at = SIM_ROOT;
        path += strspn(path, "/");
        if (*path == '\0') {
            return finish(walk, at, ".", 1, false, place);
        }
    }
    for (;;) {
        const char *name = NULL;
        size_t size = 0;
        int result = take_name(&path, &name, &size);
        const struct sim_inode *dir = walk->sim->live->inodes[at];
        if (!S_ISDIR(dir->mode)) {
            return -ENOTDIR;
        }
        if (result < 0) {
            return result;
        }
        if (*path == '\0') {
            return finish(walk, at, name, size, name[size] == '/', place);
        }
        if (is_dots(name, size)) {
            result = step_dots(walk, &at, size);
            if (result < 0) {
                return result;
            }
            continue;
        }
        uint32_t next = sim_entry_find(dir, name, size);
        const struct sim_inode *inode = sim_table_get(walk->sim->live, next);
        if (inode == NULL) {
            return -ENOENT;
        }
        if (S_ISLNK(inode->mode)) {
            return go_on_at_link(walk, at, inode, path, place);
        }
        at = next;
    }
}

/* The form that the seam asks of paths beneath a descriptor; see src/txio/posix_path.c. */
static int check_beneath(const char *path)
{
    if (path[0] == '/') {
        return -EXDEV;
    }
    const char *name = path;
    for (const char *slash = strchr(name, '/'); slash != NULL; slash = strchr(name, '/')) {
        if (slash - name == 2 && name[0] == '.' && name[1] == '.') {
            return -EXDEV;
        }
        name = slash + 1;
    }
    if (name - path > (ptrdiff_t)SIM_PATH_MAX) {
        return -ENAMETOOLONG;
    }
    return name[0] == '\0' || is_dots(name, strlen(name)) ? -EINVAL : 0;
}

int sim_resolve(struct sim_process *process, int dir, const char *path, bool follow,
                struct sim_place *place)
{
    *place = (struct sim_place){0};
    struct walk walk = {process->sim, SIM_ROOT, false, follow, 0};
    uint32_t at = SIM_ROOT;
    if (dir != TXIO_CWD) {
        int result = check_beneath(path);
        if (result < 0) {
            return result;
        }
        const struct sim_fd *fd = sim_fd_of(process, dir);
        if (fd == NULL) {
            return -EBADF;
        }
        at = fd->ino;
        walk = (struct walk){process->sim, at, true, false, 0};
    } else if (path[0] == '\0') {
        return -ENOENT;
    } else if (strlen(path) > SIM_PATH_MAX) {
        return -ENAMETOOLONG;
    }
    return walk_path(&walk, at, path, place);
}

int sim_resolve_existing(struct sim_process *process, int dir, const char *path, uint32_t *ino)
{
    __attribute__((cleanup(sim_place_auto))) struct sim_place place = {0};
    int result = sim_resolve(process, dir, path, dir == TXIO_CWD, &place);
    if (result < 0) {
        return result;
    }
    if (place.ino == 0) {
        return -ENOENT;
    }
    if (place.must_be_dir && !S_ISDIR(process->sim->live->inodes[place.ino]->mode)) {
        return -ENOTDIR;
    }
    *ino = place.ino;
    return 0;
}
