/* SPDX-License-Identifier: MIT */
#include <sched.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>

#include "txio/txio_internal.h"
#include "unit/failing_alloc.h"
#include "unit/failing_io.h"
#include "unit/temp_dir.h"

/* Below `name`: files and directories side by side, two levels. */
static void make_bush(int dir, const char *name, int width)
{
    char path[64];
    make_dir(dir, name);
    for (int i = 0; i < width; i++) {
        (void)snprintf(path, sizeof(path), "%s/file%d", name, i);
        make_file(dir, path, "x");
        (void)snprintf(path, sizeof(path), "%s/empty%d", name, i);
        make_dir(dir, path);
        (void)snprintf(path, sizeof(path), "%s/dir%d", name, i);
        make_dir(dir, path);
        (void)snprintf(path, sizeof(path), "%s/dir%d/file", name, i);
        make_file(dir, path, "y");
    }
}

/* A chain of directories, a file at every level. */
static void make_chain(int dir, const char *name, int depth)
{
    make_dir(dir, name);
    int at = openat(dir, name, O_PATH | O_CLOEXEC);
    for (int i = 0; i < depth; i++) {
        make_file(at, "file", "x");
        make_dir(at, "deeper-and-deeper");
        int next = openat(at, "deeper-and-deeper", O_PATH | O_CLOEXEC);
        (void)close(at);
        at = next;
    }
    (void)close(at);
}

Test(txio_remove_tree, files_links_and_empty_directories_go)
{
    struct txio *io = txio_posix();
    TX_AUTO(temp_dir) temp = temp_dir_new();
    make_file(temp.fd, "f", "");
    make_dir(temp.fd, "d");
    cr_assert_eq(symlinkat("d", temp.fd, "link"), 0);
    cr_assert_eq(txio_remove_tree(io, temp.fd, "f", NULL), TX_OK);
    cr_assert_eq(txio_remove_tree(io, temp.fd, "link", NULL), TX_OK);
    cr_assert(exists(temp.fd, "d"));
    cr_assert_eq(txio_remove_tree(io, temp.fd, "d", NULL), TX_OK);
    cr_assert_not(exists(temp.fd, "f"));
    cr_assert_not(exists(temp.fd, "link"));
    cr_assert_not(exists(temp.fd, "d"));
}

Test(txio_remove_tree, absence_is_success)
{
    struct txio *io = txio_posix();
    TX_AUTO(temp_dir) temp = temp_dir_new();
    cr_assert_eq(txio_remove_tree(io, temp.fd, "missing", NULL), TX_OK);
    cr_assert_eq(txio_remove_tree(io, temp.fd, "missing/too", NULL), TX_OK);
}

Test(txio_remove_tree, a_bush_goes_and_its_neighbours_stay)
{
    struct txio *io = txio_posix();
    TX_AUTO(temp_dir) temp = temp_dir_new();
    make_bush(temp.fd, "a", 3);
    make_dir(temp.fd, "p");
    make_bush(temp.fd, "p/b", 3000); /* more names than one batch holds */
    int before = open_descriptors();
    failing_alloc_begin(SIZE_MAX);
    cr_assert_eq(txio_remove_tree(io, temp.fd, "p/b", NULL), TX_OK);
    (void)failing_alloc_end();
    cr_assert_leq(failing_alloc.largest, 65536, "memory grows with the directory");
    cr_assert_not(exists(temp.fd, "p/b"));
    cr_assert(exists(temp.fd, "p"));
    cr_assert(exists(temp.fd, "a/dir1/file"));
    cr_assert_eq(fchdir(temp.fd), 0);
    cr_assert_eq(txio_remove_tree(io, TXIO_CWD, "./p/../a", NULL), TX_OK);
    cr_assert_not(exists(temp.fd, "a"));
    cr_assert_eq(open_descriptors(), before);
}

Test(txio_remove_tree, no_depth_is_too_deep_for_few_descriptors)
{
    static const int depths[] = {30, 31, 32, 33, 34, 65, 3000}; /* the last: far over PATH_MAX */
    struct txio *io = txio_posix();
    TX_AUTO(temp_dir) temp = temp_dir_new();
    struct rlimit limit = {64, 64};
    cr_assert_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
    for (size_t i = 0; i < sizeof(depths) / sizeof(depths[0]); i++) {
        make_chain(temp.fd, "chain", depths[i]);
        cr_assert_eq(txio_remove_tree(io, temp.fd, "chain", NULL), TX_OK);
        cr_assert_not(exists(temp.fd, "chain"));
    }
}

Test(txio_remove_tree, links_that_point_out_are_removed_and_not_followed)
{
    struct txio *io = txio_posix();
    TX_AUTO(temp_dir) temp = temp_dir_new();
    make_bush(temp.fd, "outside", 2);
    make_dir(temp.fd, "tree");
    make_dir(temp.fd, "tree/sub");
    cr_assert_eq(symlinkat("../outside", temp.fd, "tree/link"), 0);
    cr_assert_eq(symlinkat("../../outside", temp.fd, "tree/sub/link"), 0);
    cr_assert_eq(symlinkat("../../outside/file0", temp.fd, "tree/sub/file"), 0);
    cr_assert_eq(symlinkat("/", temp.fd, "tree/root"), 0);
    cr_assert_eq(symlinkat("outside", temp.fd, "way"), 0);
    cr_assert_eq(txio_remove_tree(io, temp.fd, "way/dir0", NULL), TX_EESCAPE);
    cr_assert_eq(txio_remove_tree(io, temp.fd, "tree/../outside", NULL), TX_EESCAPE);
    cr_assert_eq(txio_remove_tree(io, temp.fd, "..", NULL), TX_EESCAPE);
    cr_assert_eq(txio_remove_tree(io, temp.fd, ".", NULL), TX_EINVAL);
    cr_assert_eq(txio_remove_tree(io, temp.fd, "tree", NULL), TX_OK);
    cr_assert_not(exists(temp.fd, "tree"));
    cr_assert(exists(temp.fd, "outside/dir0/file"));
    cr_assert(file_is(temp.fd, "outside/file0", "x"));
}

Test(txio_remove_tree, a_mount_point_stops_it)
{
    struct txio *io = txio_posix();
    struct tx_error err;
    char path[300];
    TX_AUTO(temp_dir) temp = temp_dir_new();
    make_dir(temp.fd, "tree");
    make_dir(temp.fd, "tree/mount");
    make_bush(temp.fd, "elsewhere", 1);
    (void)snprintf(path, sizeof(path), "%s/tree/mount", temp.path);
    cr_assert_eq(fchdir(temp.fd), 0);
    if (unshare(CLONE_NEWNS) != 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
        mount("elsewhere", path, NULL, MS_BIND, NULL) != 0) {
        cr_skip_test("not allowed to mount");
    }
    enum tx_status status = txio_remove_tree(io, temp.fd, "tree", &err);
    cr_assert_eq(umount(path), 0);
    cr_assert_neq(status, TX_OK);
    cr_assert(exists(temp.fd, "elsewhere/dir0/file"));
}

/* Fail each call in turn, with each error: it is reported, nothing leaks, and a second try ends
 * what the first began. */
static bool remove_failing_at(int fail_at, int error)
{
    struct failing_io failing;
    struct tx_error err = {.status = TX_OK};
    TX_AUTO(temp_dir) temp = temp_dir_new();
    make_dir(temp.fd, "p");
    make_chain(temp.fd, "p/tree", 34);
    int before = open_descriptors();
    struct txio *io = failing_io_init(&failing, fail_at, error);
    enum tx_status status = txio_remove_tree(io, temp.fd, "p/tree", &err);
    cr_assert_eq(open_descriptors(), before);
    if (status == TX_OK) {
        cr_assert_not(exists(temp.fd, "p/tree") && error == -EIO);
    } else {
        cr_assert_eq(err.status, status);
        cr_assert_eq(err.os_errno, -error);
    }
    cr_assert_eq(txio_remove_tree(txio_posix(), temp.fd, "p/tree", NULL), TX_OK);
    cr_assert_not(exists(temp.fd, "p/tree"));
    return failing.calls > fail_at;
}

Test(txio_remove_tree, every_failure_is_reported_and_can_be_repeated)
{
    static const int errors[] = {-EIO, -EACCES, -ENOTEMPTY, -EEXIST, -ENOENT};
    for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
        int fail_at = 0;
        int step = i == 0 ? 1 : 7;
        while (remove_failing_at(fail_at, errors[i])) {
            fail_at += step;
        }
        cr_assert_gt(fail_at, 100);
    }
}

static int rename_over_something(struct txio *io, int from_dir, const char *from, int to_dir,
                                 const char *to, unsigned flags)
{
    (void)io, (void)from_dir, (void)from, (void)to_dir, (void)to, (void)flags;
    return -EEXIST;
}

Test(txio_remove_tree, a_top_without_a_free_name_ends_it)
{
    struct failing_io failing;
    struct tx_error err;
    struct txio *io = failing_io_init(&failing, -1, 0);
    TX_AUTO(temp_dir) temp = temp_dir_new();
    make_chain(temp.fd, "tree", 34);
    int before = open_descriptors();
    failing.ops.rename = rename_over_something;
    cr_assert_eq(txio_remove_tree(io, temp.fd, "tree", &err), TX_EEXIST);
    cr_assert_str_eq(err.text, "rename \"deeper-and-deeper\": File exists");
    cr_assert_eq(open_descriptors(), before);
    cr_assert_eq(txio_remove_tree(txio_posix(), temp.fd, "tree", NULL), TX_OK);
}

/* Somebody else has moved it to the top already. */
static int rename_too_late(struct txio *io, int from_dir, const char *from, int to_dir,
                           const char *to, unsigned flags)
{
    int result = txio_posix()->ops->rename(io, from_dir, from, to_dir, to, flags);
    return result == 0 ? -ENOENT : result;
}

Test(txio_remove_tree, a_directory_that_is_gone_needs_no_other_place)
{
    struct failing_io failing;
    struct txio *io = failing_io_init(&failing, -1, 0);
    TX_AUTO(temp_dir) temp = temp_dir_new();
    make_chain(temp.fd, "tree", 70);
    failing.ops.rename = rename_too_late;
    cr_assert_eq(txio_remove_tree(io, temp.fd, "tree", NULL), TX_OK);
    cr_assert_not(exists(temp.fd, "tree"));
}

static int forget_types(struct txio *io, int dir, txio_list_fn *fn, void *arg);

struct forgetful {
    txio_list_fn *fn;
    void *arg;
};

static int forget_type(void *arg, const char *name, uint64_t ino, unsigned type)
{
    struct forgetful *forgetful = arg;
    (void)type;
    return forgetful->fn(forgetful->arg, name, ino, 0);
}

static int forget_types(struct txio *io, int dir, txio_list_fn *fn, void *arg)
{
    struct forgetful forgetful = {fn, arg};
    return txio_posix()->ops->list(io, dir, forget_type, &forgetful);
}

Test(txio_remove_tree, file_systems_that_do_not_tell_types_are_served)
{
    struct failing_io failing;
    struct txio *io = failing_io_init(&failing, -1, 0);
    TX_AUTO(temp_dir) temp = temp_dir_new();
    make_bush(temp.fd, "tree", 5);
    failing.ops.list = forget_types;
    cr_assert_eq(txio_remove_tree(io, temp.fd, "tree", NULL), TX_OK);
    cr_assert_not(exists(temp.fd, "tree"));
}

Test(txio_remove_tree, without_memory_it_says_so)
{
    struct txio *io = txio_posix();
    TX_AUTO(temp_dir) temp = temp_dir_new();
    make_dir(temp.fd, "p");
    make_bush(temp.fd, "p/tree", 2);
    int before = open_descriptors();
    enum tx_status status = TX_ENOMEM;
    for (size_t count = 0; status != TX_OK; count++) {
        failing_alloc_begin(count);
        status = txio_remove_tree(io, temp.fd, "p/tree", NULL);
        cr_assert_eq(failing_alloc.in_use, 0);
        (void)failing_alloc_end();
        cr_assert(status == TX_OK || status == TX_ENOMEM);
        cr_assert_eq(open_descriptors(), before);
    }
    cr_assert_not(exists(temp.fd, "p/tree"));
}
