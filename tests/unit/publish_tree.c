/* SPDX-License-Identifier: MIT */
/* Trees and transactions with something of everything, for tests that kill or compare. */
#include <sys/xattr.h>

#include "publish_fixture.h"
#include "txfs/overlay.h"

static void at_time(struct publish_fixture *f, const char *path)
{
    struct timespec times[2] = {{1500000000, 5}, {1500000000, (long)strlen(path)}};
    cr_assert_eq(utimensat(f->root, path, times, AT_SYMLINK_NOFOLLOW), 0, "%s", path);
}

static void file_with(struct publish_fixture *f, const char *path, size_t size, int seed)
{
    char bytes[20000];
    cr_assert_leq(size, sizeof(bytes));
    for (size_t i = 0; i < size; i++) {
        bytes[i] = (char)(seed + (int)(i * 13 + i / 509));
    }
    int fd = openat(f->root, path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0640);
    cr_assert_geq(fd, 0, "make %s", path);
    cr_assert_eq(write(fd, bytes, size), (ssize_t)size);
    (void)close(fd);
    at_time(f, path);
}

/* File systems without are fine too. */
static void xattr(struct publish_fixture *f, const char *path, const char *name)
{
    char full[512];
    (void)snprintf(full, sizeof(full), "%s/%s", f->temp.path, path);
    (void)setxattr(full, name, "1", 1, 0);
}

void pub_make_tree(struct publish_fixture *f)
{
    make_dir(f->root, "d");
    make_dir(f->root, "d/sub");
    make_dir(f->root, "gone");
    make_dir(f->root, "gone/deep");
    make_dir(f->root, "timed");
    make_dir(f->root, "swap1");
    make_dir(f->root, "swap2");
    file_with(f, "a", 300, 1);
    file_with(f, "b", 9000, 2);
    file_with(f, "kind", 10, 3);
    file_with(f, "d/c", 700, 4);
    file_with(f, "d/sub/e", 20, 5);
    file_with(f, "gone/x", 5, 6);
    file_with(f, "gone/deep/y", 6, 7);
    file_with(f, "swap1/one", 11, 8);
    file_with(f, "swap2/two", 22, 9);
    file_with(f, "wide", 15000, 10);
    cr_assert_eq(linkat(f->root, "a", f->root, "hard", 0), 0);
    cr_assert_eq(symlinkat("a", f->root, "link"), 0);
    at_time(f, "link");
    at_time(f, "timed");
    xattr(f, "a", "user.old");
    xattr(f, "wide", "user.kept");
    xattr(f, "wide", "user.old");
    cr_assert_eq(mkfifoat(f->root, "pipe", 0620), 0);
    at_time(f, "pipe");
    cr_assert_eq(mkdirat(f->root, "narrow", 0500), 0);
}

static void own(struct publish_fixture *f, struct ktm_txn *txn, const char *path, uint32_t mode)
{
    struct txio_attr attr = {.mask = TXIO_ATTR_MODE, .mode = mode};
    if (getuid() == 0) {
        attr.mask |= TXIO_ATTR_OWNER;
        attr.uid = 12;
        attr.gid = 34;
    }
    must(txfs_set_attr(txn, path, &attr, &f->err));
}

/* Everything but moves. */
void pub_change_all(struct publish_fixture *f, struct ktm_txn *txn)
{
    pub_put(f, txn, "new", "a new file");
    pub_put(f, txn, "empty", "");
    must(txfs_mkdir_parents(txn, "n/m", 0750, &f->err));
    pub_put_bytes(f, txn, "n/m/staged", 9001, 3);
    own(f, txn, "n/m/staged", 04711);
    pub_put(f, txn, "a", "replaced");
    pub_put_bytes(f, txn, "b", 8000, 77);
    must(txfs_unlink(txn, "d/c", &f->err));
    must(txfs_remove_tree(txn, "gone", &f->err));
    must(txfs_unlink(txn, "kind", &f->err));
    must(txfs_mkdir(txn, "kind", 0700, &f->err));
    pub_put(f, txn, "kind/inside", "x");
    must(txfs_symlink(txn, "elsewhere", "n/symlink", &f->err));
    pub_time(f, txn, "n/symlink");
    must(txfs_unlink(txn, "link", &f->err));
    must(txfs_symlink(txn, "b", "link", &f->err));
    pub_time(f, txn, "link");
    must(txfs_link(txn, "hard", "n/also-hard", &f->err));
    must(txfs_link(txn, "new", "n/also-new", &f->err));
    pub_write(f, txn, "wide", 4000, "written in place");
    pub_write(f, txn, "wide", 14995, "beyond the end");
    own(f, txn, "d/sub/e", 0604);
    must(txfs_set_xattr(txn, "new", "user.colour", "red", 3, &f->err));
    pub_put(f, txn, "timed/child", "moves the time of its directory");
    pub_time(f, txn, "timed");
    /* It may not be there: not every file system has them. */
    TX_IGNORE(txfs_remove_xattr(txn, "wide", "user.old", NULL));
    must(txfs_set_xattr(txn, "wide", "user.new", "2", 1, &f->err));
    pub_time(f, txn, "wide");
    must(txfs_unlink(txn, "pipe", &f->err));
    must(txfs_add_node(txn, "n/fifo", S_IFIFO | 0604, 0, &f->err));
    pub_time(f, txn, "n/fifo");
    pub_put(f, txn, "grows", "g");
    own(f, txn, "narrow", 0750);
    pub_put(f, txn, "narrow/inside", "what needs the wider mode");
}

/* On top of the former: replaces, amends and removes what it made. */
void pub_change_again(struct publish_fixture *f, struct ktm_txn *txn)
{
    pub_put(f, txn, "new", "newer");
    pub_write(f, txn, "n/m/staged", 100, "in a staged file");
    pub_write(f, txn, "a", 3, "LACED and longer than before");
    must(txfs_unlink(txn, "empty", &f->err));
    must(txfs_remove_tree(txn, "kind", &f->err));
    pub_put(f, txn, "kind", "a file again");
    own(f, txn, "n/m", 0711);
    must(txfs_truncate(txn, "wide", 100, &f->err));
    pub_time(f, txn, "wide");
    must(txfs_link(txn, "b", "b2", &f->err));
    must(txfs_set_xattr(txn, "b", "user.size", "eight thousand", 14, &f->err));
    static char much[6001];
    memset(much, 'm', sizeof(much) - 1);
    pub_write(f, txn, "grows", 70000, much); /* staged, and more than is compared at a time */
    must(txfs_set_xattr(txn, "wide", "user.kept", "9", 1, &f->err));
    pub_time(f, txn, "wide");
    own(f, txn, "n/fifo", 0640);
    must(txfs_unlink(txn, "n/symlink", &f->err));
    must(txfs_add_node(txn, "n/symlink", S_IFIFO | 0600, 0, &f->err));
    pub_time(f, txn, "n/symlink");
}

void pub_move_all(struct publish_fixture *f, struct ktm_txn *txn)
{
    must(txfs_rename(txn, "a", "d/a-moved", TXIO_NOREPLACE, &f->err));
    pub_put(f, txn, "a", "a new one at the old place");
    must(txfs_rename(txn, "swap1", "swap2", TXIO_EXCHANGE, &f->err));
    must(txfs_rename(txn, "d/sub/e", "e", TXIO_NOREPLACE, &f->err));
    must(txfs_rename(txn, "d", "dd", TXIO_NOREPLACE, &f->err));
    pub_put(f, txn, "dd/c", "changed in a moved directory");
    must(txfs_rename(txn, "b", "kind", TXIO_REPLACE, &f->err));
    own(f, txn, "kind", 0600);
    pub_write(f, txn, "e", 2, "moved and written");
    must(txfs_rename(txn, "gone", "dd/sub/gone", TXIO_NOREPLACE, &f->err));
    must(txfs_unlink(txn, "dd/sub/gone/deep/y", &f->err));
}

void pub_make_deep(struct publish_fixture *f, unsigned levels, char path[PUB_DEEP_MAX])
{
    char name[251];
    memset(name, 'n', 250);
    name[250] = '\0';
    int dir = dup(f->root);
    (void)snprintf(path, PUB_DEEP_MAX, "d");
    make_dir(dir, "d");
    for (unsigned i = 0; i < levels; i++) {
        int below = openat(dir, i == 0 ? "d" : name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        (void)close(dir);
        dir = below;
        make_dir(dir, name);
        size_t size = strlen(path);
        (void)snprintf(path + size, PUB_DEEP_MAX - size, "/%s", name);
    }
    (void)close(dir);
}
