/* SPDX-License-Identifier: MIT */
#include <dirent.h>
#include <string.h>

#include "txio/txio_internal.h"
#include "unit/temp_dir.h"

Test(txio_posix_name, names_are_made_and_removed)
{
    struct txio *io = txio_posix();
    struct stat stat;
    TX_AUTO(temp_dir) temp = temp_dir_new();
    umask(0);
    cr_assert_eq(io->ops->mkdir(io, temp.fd, "d", 0751), 0);
    cr_assert_eq(io->ops->mkdir(io, temp.fd, "d", 0751), -EEXIST);
    cr_assert_eq(fstatat(temp.fd, "d", &stat, 0), 0);
    cr_assert_eq(stat.st_mode, S_IFDIR | 0751);
    cr_assert_eq(io->ops->mknod(io, temp.fd, "d/fifo", S_IFIFO | 0604, 0), 0);
    cr_assert_eq(fstatat(temp.fd, "d/fifo", &stat, 0), 0);
    cr_assert_eq(stat.st_mode, S_IFIFO | 0604);
    cr_assert_eq(io->ops->rmdir(io, temp.fd, "d"), -ENOTEMPTY);
    cr_assert_eq(io->ops->unlink(io, temp.fd, "d"), -EISDIR);
    cr_assert_eq(io->ops->rmdir(io, temp.fd, "d/fifo"), -ENOTDIR);
    cr_assert_eq(io->ops->unlink(io, temp.fd, "d/fifo"), 0);
    cr_assert_eq(io->ops->rmdir(io, temp.fd, "d"), 0);
    cr_assert_eq(io->ops->rmdir(io, temp.fd, "d"), -ENOENT);
}

Test(txio_posix_name, links_are_read_whole_or_not_at_all)
{
    struct txio *io = txio_posix();
    char target[16];
    TX_AUTO(temp_dir) temp = temp_dir_new();
    make_dir(temp.fd, "d");
    make_file(temp.fd, "f", "");
    cr_assert_eq(io->ops->symlink(io, "../target", temp.fd, "d/link"), 0);
    cr_assert_eq(io->ops->symlink(io, "x", temp.fd, "d/link"), -EEXIST);
    for (size_t size = 0; size <= sizeof(target); size++) {
        memset(target, 'z', sizeof(target));
        int result = io->ops->readlink(io, temp.fd, "d/link", target, size);
        if (size < 10) {
            cr_assert_eq(result, -ENAMETOOLONG);
            cr_assert_eq(target[0], 'z');
        } else {
            cr_assert_eq(result, 9);
            cr_assert_str_eq(target, "../target");
        }
    }
    cr_assert_eq(io->ops->readlink(io, temp.fd, "f", target, sizeof(target)), -EINVAL);
}

Test(txio_posix_name, the_longest_target_can_be_read)
{
    struct txio *io = txio_posix();
    char target[4096];
    char read_back[5000];
    TX_AUTO(temp_dir) temp = temp_dir_new();
    memset(target, 't', 4095);
    target[4095] = '\0';
    cr_assert_eq(io->ops->symlink(io, target, temp.fd, "link"), 0);
    cr_assert_eq(io->ops->readlink(io, temp.fd, "link", read_back, sizeof(read_back)), 4095);
    cr_assert_str_eq(read_back, target);
    cr_assert_eq(io->ops->readlink(io, temp.fd, "link", read_back, 4096), 4095);
    cr_assert_eq(io->ops->readlink(io, temp.fd, "link", read_back, 4095), -ENAMETOOLONG);
}

Test(txio_posix_name, rename_replaces_refuses_or_exchanges)
{
    struct txio *io = txio_posix();
    TX_AUTO(temp_dir) temp = temp_dir_new();
    make_dir(temp.fd, "d");
    make_file(temp.fd, "a", "A");
    make_file(temp.fd, "d/b", "B");
    cr_assert_eq(io->ops->rename(io, temp.fd, "a", temp.fd, "d/b", TXIO_NOREPLACE), -EEXIST);
    cr_assert_eq(io->ops->rename(io, temp.fd, "a", temp.fd, "d/b", TXIO_EXCHANGE), 0);
    cr_assert(file_is(temp.fd, "a", "B"));
    cr_assert(file_is(temp.fd, "d/b", "A"));
    cr_assert_eq(io->ops->rename(io, temp.fd, "a", temp.fd, "d/b", TXIO_REPLACE), 0);
    cr_assert_not(exists(temp.fd, "a"));
    cr_assert(file_is(temp.fd, "d/b", "B"));
    cr_assert_eq(io->ops->rename(io, temp.fd, "d/b", temp.fd, "c", TXIO_NOREPLACE), 0);
    cr_assert(file_is(temp.fd, "c", "B"));
    cr_assert_eq(io->ops->rename(io, temp.fd, "c", temp.fd, "x", TXIO_EXCHANGE), -ENOENT);
    cr_assert_eq(io->ops->rename(io, temp.fd, "missing", temp.fd, "x", 0), -ENOENT);
    int d = openat(temp.fd, "d", O_PATH | O_CLOEXEC);
    cr_assert_eq(io->ops->rename(io, temp.fd, "c", d, "c", 0), 0);
    cr_assert(file_is(temp.fd, "d/c", "B"));
}

Test(txio_posix_name, rename_and_link_treat_symbolic_links_as_objects)
{
    struct txio *io = txio_posix();
    struct stat stat;
    TX_AUTO(temp_dir) temp = temp_dir_new();
    make_file(temp.fd, "target", "T");
    make_file(temp.fd, "f", "F");
    cr_assert_eq(symlinkat("target", temp.fd, "link"), 0);
    cr_assert_eq(io->ops->link(io, temp.fd, "link", temp.fd, "link2"), 0);
    cr_assert_eq(fstatat(temp.fd, "link2", &stat, AT_SYMLINK_NOFOLLOW), 0);
    cr_assert(S_ISLNK(stat.st_mode));
    cr_assert_eq(io->ops->rename(io, temp.fd, "f", temp.fd, "link", TXIO_REPLACE), 0);
    cr_assert(file_is(temp.fd, "link", "F"));
    cr_assert(file_is(temp.fd, "target", "T"));
    cr_assert_eq(io->ops->unlink(io, temp.fd, "link2"), 0);
    cr_assert(exists(temp.fd, "target"));
    cr_assert_eq(io->ops->link(io, temp.fd, "target", temp.fd, "link"), -EEXIST);
}

/* --- Listing --- */

enum { MANY = 2000 };
struct listing {
    int count;
    int stop_at;
    int sum; /* of the numbers in the names */
    unsigned types[32];
};

static int note_entry(void *arg, const char *name, uint64_t ino, unsigned type)
{
    struct listing *listing = arg;
    cr_assert_neq(ino, 0);
    cr_assert_neq(name[0], '.');
    listing->sum += (int)strtol(name + 1, NULL, 10);
    listing->types[type % 32]++;
    return ++listing->count == listing->stop_at ? 77 : 0;
}

Test(txio_posix_name, a_large_directory_is_listed_once_each)
{
    struct txio *io = txio_posix();
    struct listing listing = {.stop_at = -1};
    TX_AUTO(temp_dir) temp = temp_dir_new();
    for (int i = 0; i < MANY; i++) {
        char name[64];
        (void)snprintf(name, sizeof(name), "n%d-with-a-longer-name-to-fill-the-buffer", i);
        make_file(temp.fd, name, "");
    }
    int before = open_descriptors();
    cr_assert_eq(io->ops->list(io, temp.fd, note_entry, &listing), 0);
    cr_assert_eq(listing.count, MANY);
    cr_assert_eq(listing.sum, MANY * (MANY - 1) / 2);
    for (int stop = 1; stop < MANY; stop += 333) {
        listing = (struct listing){.stop_at = stop};
        cr_assert_eq(io->ops->list(io, temp.fd, note_entry, &listing), 77);
        cr_assert_eq(listing.count, stop);
    }
    cr_assert_eq(open_descriptors(), before);
}

Test(txio_posix_name, entries_come_with_their_types)
{
    struct txio *io = txio_posix();
    struct listing listing = {.stop_at = -1};
    TX_AUTO(temp_dir) temp = temp_dir_new();
    make_dir(temp.fd, "d1");
    make_file(temp.fd, "f2", "");
    cr_assert_eq(symlinkat("x", temp.fd, "l3"), 0);
    cr_assert_eq(io->ops->list(io, temp.fd, note_entry, &listing), 0);
    cr_assert_eq(listing.sum, 6);
    if (listing.types[DT_UNKNOWN] == 0) {
        cr_assert_eq(listing.types[DT_DIR], 1);
        cr_assert_eq(listing.types[DT_REG], 1);
        cr_assert_eq(listing.types[DT_LNK], 1);
    }
}

Test(txio_posix_name, what_cannot_be_listed_says_so)
{
    struct txio *io = txio_posix();
    struct listing listing = {.stop_at = -1};
    TX_AUTO(temp_dir) temp = temp_dir_new();
    make_file(temp.fd, "f", "");
    make_dir(temp.fd, "d");
    int file = openat(temp.fd, "f", O_RDONLY | O_CLOEXEC);
    int gone = openat(temp.fd, "d", O_RDONLY | O_CLOEXEC);
    cr_assert_eq(unlinkat(temp.fd, "d", AT_REMOVEDIR), 0);
    cr_assert_eq(io->ops->list(io, file, note_entry, &listing), -ENOTDIR);
    cr_assert_eq(io->ops->list(io, gone, note_entry, &listing), -ENOENT);
    cr_assert_eq(listing.count, 0);
}
