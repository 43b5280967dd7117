/* SPDX-License-Identifier: MIT */
#include <signal.h>
#include <string.h>

#include "unit/posix_tests.h"

/*
 *   root/            what the tests stay beneath
 *     file dir/file dir/sub/file
 *     out -> ../outside   up -> ..   inner -> dir   abs -> /etc   dangling -> nowhere
 *     dir/out -> ../../outside   dir/link -> file
 *   outside/secret
 */
static int make_trees(const struct temp_dir *temp)
{
    make_dir(temp->fd, "root");
    make_dir(temp->fd, "outside");
    make_file(temp->fd, "outside/secret", "secret");
    make_file(temp->fd, "root/file", "file");
    make_dir(temp->fd, "root/dir");
    make_file(temp->fd, "root/dir/file", "dir/file");
    make_dir(temp->fd, "root/dir/sub");
    make_file(temp->fd, "root/dir/sub/file", "dir/sub/file");
    static const char *const links[][2] = {
        {"../outside", "root/out"}, {"..", "root/up"},          {"dir", "root/inner"},
        {"/etc", "root/abs"},       {"nowhere", "root/dangling"}, {"file", "root/dir/link"},
        {"../../outside", "root/dir/out"},
    };
    for (size_t i = 0; i < sizeof(links) / sizeof(links[0]); i++) {
        cr_assert_eq(symlinkat(links[i][0], temp->fd, links[i][1]), 0);
    }
    return openat(temp->fd, "root", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static const enum os_resolver resolvers[] = {OS_RESOLVE_OPENAT2, OS_RESOLVE_WALK};

static const struct {
    const char *path;
    int result; /* of stat and the other operations on names */
    int open;   /* of open for reading */
} rows[] = {
    {"file", 0, 0},
    {"dir", 0, 0},
    {".d/file", -ENOENT, -ENOENT},
    {"dir/file", 0, 0},
    {"dir/sub/file", 0, 0},
    {"dir//sub/./file", 0, 0},
    {"./dir/file", 0, 0},
    {"missing", -ENOENT, -ENOENT},
    {"dir/missing", -ENOENT, -ENOENT},
    {"missing/file", -ENOENT, -ENOENT},
    {"file/file", -ENOTDIR, -ENOTDIR},
    {"dir/file/file", -ENOTDIR, -ENOTDIR},
    /* Dots and slashes. */
    {"", -EINVAL, -EINVAL},
    {".", -EINVAL, 0},
    {"dir/.", -EINVAL, -EINVAL},
    {"dir/", -EINVAL, -EINVAL},
    {"..", -EINVAL, -EINVAL},
    {"dir/..", -EINVAL, -EINVAL},
    {"../outside", -EXDEV, -EXDEV},
    {"../outside/secret", -EXDEV, -EXDEV},
    {"dir/../file", -EXDEV, -EXDEV},
    {"dir/../../outside/secret", -EXDEV, -EXDEV},
    {"/", -EXDEV, -EXDEV},
    {"/etc/passwd", -EXDEV, -EXDEV},
    {"//etc/passwd", -EXDEV, -EXDEV},
    /* Symbolic links: as the last component an object of their own, but never opened. */
    {"out", 0, -ELOOP},
    {"dangling", 0, -ELOOP},
    {"dir/link", 0, -ELOOP},
    {"dir/out", 0, -ELOOP},
    {"out/secret", -ELOOP, -ELOOP},
    {"dir/out/secret", -ELOOP, -ELOOP},
    {"up/outside/secret", -ELOOP, -ELOOP},
    {"inner/file", -ELOOP, -ELOOP},
    {"inner/sub/file", -ELOOP, -ELOOP},
    {"abs/passwd", -ELOOP, -ELOOP},
    {"dangling/file", -ELOOP, -ELOOP},
    {"dir/link/file", -ELOOP, -ELOOP},
};

static void check_rows(int root)
{
    struct txio *io = txio_posix();
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct txio_stat stat;
        cr_assert_eq(io->ops->stat(io, root, rows[i].path, &stat), rows[i].result, "stat \"%s\"",
                     rows[i].path);
        int fd = io->ops->open(io, root, rows[i].path, TXIO_READ, 0);
        cr_assert_eq(fd < 0 ? fd : 0, rows[i].open, "open \"%s\": %d", rows[i].path, fd);
        cr_assert_eq(fd >= 0 && close(fd) != 0, 0);
        if (rows[i].result == -EINVAL || rows[i].result == -EXDEV || rows[i].result == -ELOOP) {
            int result = rows[i].result;
            char text[64];
            cr_assert_eq(io->ops->unlink(io, root, rows[i].path), result);
            cr_assert_eq(io->ops->mkdir(io, root, rows[i].path, 0700), result);
            cr_assert_eq(io->ops->rmdir(io, root, rows[i].path), result);
            cr_assert_eq(io->ops->symlink(io, "x", root, rows[i].path), result);
            cr_assert_eq(io->ops->mknod(io, root, rows[i].path, S_IFIFO, 0), result);
            cr_assert_eq(io->ops->readlink(io, root, rows[i].path, text, 64), result);
            cr_assert_eq(io->ops->rename(io, root, "file", root, rows[i].path, 0), result);
            cr_assert_eq(io->ops->rename(io, root, rows[i].path, root, "file", 0), result);
            cr_assert_eq(io->ops->link(io, root, "file", root, rows[i].path), result);
            cr_assert_eq(io->ops->link(io, root, rows[i].path, root, "new"), result);
            struct txio_attr attr = {.mask = TXIO_ATTR_MODE, .mode = 0};
            cr_assert_eq(io->ops->set_attr(io, root, rows[i].path, &attr), result);
            cr_assert_eq(io->ops->get_xattr(io, root, rows[i].path, "user.x", text, 64), result);
            cr_assert_eq(io->ops->list_xattr(io, root, rows[i].path, text, 64), result);
            cr_assert_eq(io->ops->set_xattr(io, root, rows[i].path, "user.x", "", 0), result);
            cr_assert_eq(io->ops->remove_xattr(io, root, rows[i].path, "user.x"), result);
        }
    }
}

Test(txio_posix_path, both_resolvers_give_the_same_answers_to_every_operation)
{
    TX_AUTO(temp_dir) temp = temp_dir_new();
    int root = make_trees(&temp);
    int before = open_descriptors();
    for (size_t i = 0; i < 2; i++) {
        os_set_resolver(resolvers[i]);
        check_rows(root);
        cr_assert_eq(open_descriptors(), before);
    }
    cr_assert(file_is(temp.fd, "outside/secret", "secret"));
    cr_assert(file_is(temp.fd, "root/file", "file"));
    cr_assert_not(exists(temp.fd, "root/new"));
}

Test(txio_posix_path, nothing_is_created_or_truncated_through_a_link)
{
    static const char *const paths[] = {"out/new",      "out/secret", "dir/out/new", "up/new",
                                        "dir/out/secret", "dangling",   "dir/link",    "out"};
    struct txio *io = txio_posix();
    TX_AUTO(temp_dir) temp = temp_dir_new();
    int root = make_trees(&temp);
    for (size_t i = 0; i < 2 * sizeof(paths) / sizeof(paths[0]); i++) {
        os_set_resolver(resolvers[i % 2]);
        unsigned flags = TXIO_WRITE | TXIO_CREATE | TXIO_TRUNCATE;
        cr_assert_eq(io->ops->open(io, root, paths[i / 2], flags, 0600), -ELOOP);
        flags |= TXIO_EXCLUSIVE;
        int fd = io->ops->open(io, root, paths[i / 2], flags, 0600);
        cr_assert(fd == -ELOOP || fd == -EEXIST);
    }
    cr_assert(file_is(temp.fd, "outside/secret", "secret"));
    cr_assert(file_is(temp.fd, "root/dir/file", "dir/file"));
    cr_assert_not(exists(temp.fd, "outside/new"));
    cr_assert_not(exists(temp.fd, "new"));
    cr_assert_not(exists(temp.fd, "root/nowhere"));
}

Test(txio_posix_path, a_link_opened_as_a_directory_is_called_a_link)
{
    struct txio *io = txio_posix();
    TX_AUTO(temp_dir) temp = temp_dir_new();
    int root = make_trees(&temp);
    for (size_t i = 0; i < 2; i++) {
        os_set_resolver(resolvers[i]);
        cr_assert_eq(io->ops->open(io, root, "inner", TXIO_DIRECTORY, 0), -ELOOP);
        cr_assert_eq(io->ops->open(io, root, "dir/out", TXIO_DIRECTORY, 0), -ELOOP);
        cr_assert_eq(io->ops->open(io, root, "file", TXIO_DIRECTORY, 0), -ENOTDIR);
        cr_assert_eq(io->ops->open(io, root, "dir/file", TXIO_DIRECTORY, 0), -ENOTDIR);
        int fd = io->ops->open(io, root, "dir/sub", TXIO_DIRECTORY, 0);
        cr_assert_geq(fd, 0);
        cr_assert(exists(fd, "file"));
        (void)close(fd);
    }
}

Test(txio_posix_path, a_directory_reopens_itself)
{
    struct txio *io = txio_posix();
    TX_AUTO(temp_dir) temp = temp_dir_new();
    int path_only = openat(temp.fd, ".", O_PATH | O_CLOEXEC);
    unsigned flags = TXIO_CREATE | TXIO_EXCLUSIVE; /* mean nothing here */
    int fd = io->ops->open(io, path_only, ".", flags, 0600);
    cr_assert_geq(fd, 0);
    cr_assert_eq(fsync(fd), 0);
    cr_assert_eq(io->ops->open(io, path_only, ".", TXIO_WRITE, 0), -EISDIR);
}

/* Components that fit, in a path that as a whole does not. */
Test(txio_posix_path, only_the_parent_has_to_fit_into_path_max)
{
    enum { NAME = 250, LEVELS = 16 };
    struct txio *io = txio_posix();
    TX_AUTO(temp_dir) temp = temp_dir_new();
    char path[NAME * 20];
    char name[NAME + 1];
    memset(name, 'n', NAME);
    name[NAME] = '\0';
    size_t size = 0;
    int dir = dup(temp.fd);
    for (int i = 0; i < LEVELS + 1; i++) {
        make_dir(dir, name);
        int next = openat(dir, name, O_PATH | O_CLOEXEC);
        (void)close(dir);
        dir = next;
        size += (size_t)snprintf(path + size, sizeof(path) - size, "%s/", name);
    }
    struct txio_stat stat;
    for (size_t i = 0; i < 2; i++) {
        os_set_resolver(resolvers[i]);
        path[LEVELS * (NAME + 1) + 200] = '\0'; /* parent 4015, all 4216 */
        cr_assert_eq(io->ops->mkdir(io, temp.fd, path, 0700), 0);
        cr_assert_eq(io->ops->stat(io, temp.fd, path, &stat), 0);
        int fd = io->ops->open(io, temp.fd, path, TXIO_READ, 0);
        cr_assert_geq(fd, 0);
        (void)close(fd);
        cr_assert_eq(io->ops->rmdir(io, temp.fd, path), 0);
        path[LEVELS * (NAME + 1) + 200] = 'n';
        path[(LEVELS + 1) * (NAME + 1)] = 'n'; /* parent 4266 */
        path[(LEVELS + 1) * (NAME + 1) + 1] = '\0';
        cr_assert_eq(io->ops->stat(io, temp.fd, path, &stat), -ENAMETOOLONG);
        cr_assert_eq(io->ops->open(io, temp.fd, path, TXIO_READ, 0), -ENAMETOOLONG);
    }
    memset(path, 'n', 300);
    memcpy(path, "a/", 2);
    path[300] = '\0';
    make_dir(temp.fd, "a");
    cr_assert_eq(io->ops->open(io, temp.fd, path, TXIO_READ, 0), -ENAMETOOLONG);
    cr_assert_eq(io->ops->open(io, temp.fd, path + 2, TXIO_READ, 0), -ENAMETOOLONG);
}

static void check_without_openat2(int error)
{
    TX_AUTO(temp_dir) temp = temp_dir_new();
    int root = make_trees(&temp);
    refuse(SYS_openat2, error); /* as a kernel without it, or an old seccomp filter */
    check_rows(root);
    cr_assert(file_is(temp.fd, "outside/secret", "secret"));
}

Test(txio_posix_path, a_kernel_without_openat2_is_walked)
{
    check_without_openat2(ENOSYS);
}

Test(txio_posix_path, a_filter_that_forbids_openat2_is_walked)
{
    check_without_openat2(EPERM);
}

Test(txio_posix_path, openat2_that_never_settles_is_given_up)
{
    struct txio *io = txio_posix();
    struct txio_stat stat;
    TX_AUTO(temp_dir) temp = temp_dir_new();
    int root = make_trees(&temp);
    refuse(SYS_openat2, EAGAIN);
    cr_assert_eq(io->ops->stat(io, root, "dir/file", &stat), -EAGAIN);
    cr_assert_eq(io->ops->open(io, root, "dir/file", TXIO_READ, 0), -EAGAIN);
    cr_assert_eq(io->ops->stat(io, root, "file", &stat), 0); /* a single name needs no resolver */
}

/* --- A racer swaps a directory with a link that leads out, while we work on paths below it. --- */

static void swap_for_ever(int root)
{
    for (;;) {
        (void)renameat2(root, "dir", root, "out", RENAME_EXCHANGE);
    }
}

static int work_on(struct txio *io, int root, int round)
{
    int fd;
    switch (round % 4) {
    case 0: /* where "secret" is found, it is the one outside */
        fd = io->ops->open(io, root, "dir/secret", TXIO_READ, 0);
        cr_assert_lt(fd, 0);
        return fd;
    case 1:
        fd = io->ops->open(io, root, "dir/new", TXIO_WRITE | TXIO_CREATE, 0600);
        cr_assert_eq(fd >= 0 && close(fd) != 0, 0);
        return fd;
    case 2:
        return io->ops->unlink(io, root, "dir/secret");
    default:
        return io->ops->unlink(io, root, "dir/new");
    }
}

Test(txio_posix_path, a_racer_cannot_lead_us_out)
{
    const char *scale = getenv("TXKIT_TEST_SCALE");
    int rounds = (int)(20000 * (scale != NULL ? strtod(scale, NULL) : 1));
    struct txio *io = txio_posix();
    TX_AUTO(temp_dir) temp = temp_dir_new();
    int root = make_trees(&temp);
    pid_t racer = fork_child();
    if (racer == 0) {
        swap_for_ever(root);
    }
    int refused = 0;
    for (int i = 0; i < rounds || refused == 0; i++) { /* the racer may begin late */
        os_set_resolver(resolvers[i / 4 % 2]);
        int result = work_on(io, root, i);
        cr_assert(result >= 0 || result == -ENOENT || result == -ELOOP || result == -ENOTDIR,
                  "answer %d", result);
        refused += result == -ELOOP;
    }
    (void)kill(racer, SIGKILL);
    (void)waitpid(racer, NULL, 0);
    cr_assert(file_is(temp.fd, "outside/secret", "secret"));
    cr_assert_not(exists(temp.fd, "outside/new"));
}
