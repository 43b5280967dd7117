/* SPDX-License-Identifier: MIT */
/* One workload per operation on files. Each begins with the tree of crash_standard_tree. */
#include "sim/workloads.h"

static void put(struct crash_run *run, struct ktm_txn *txn, const char *path, size_t size)
{
    MUST(run, txfs_put(txn, path, crash_bytes(run, size), size, NULL, &run->err));
}

void work_create(struct crash_run *run)
{
    struct ktm_txn *txn = crash_begin(run);
    put(run, txn, "new", 30);
    put(run, txn, "dir/empty-file", 0);
    crash_commit(run, txn);
    txn = crash_begin(run);
    put(run, txn, "dir/other", 3000);
    crash_commit(run, txn);
}

void work_replace(struct crash_run *run)
{
    struct ktm_txn *txn = crash_begin(run);
    put(run, txn, "a", 700);
    put(run, txn, "dir/c", 1);
    crash_commit(run, txn);
    txn = crash_begin(run);
    put(run, txn, "a", 20);
    crash_commit(run, txn);
}

void work_staged(struct crash_run *run)
{
    struct ktm_txn *txn = crash_begin(run);
    put(run, txn, "large", 20000);
    put(run, txn, "big", 9001);
    crash_commit(run, txn);
    txn = crash_begin(run);
    MUST(run, txfs_open(txn, "dir/streamed", TXFS_WRITE | TXFS_CREATE, 0640, &run->file,
                        &run->err));
    for (int i = 0; i < 4; i++) {
        MUST(run, txfs_write(run->file, crash_bytes(run, 3000), 3000, &run->err));
    }
    MUST(run, crash_close_file(run));
    crash_commit(run, txn);
    txn = crash_begin(run);
    put(run, txn, "large", 20000); /* other bytes, the same size */
    crash_commit(run, txn);
}

void work_truncate(struct crash_run *run)
{
    struct ktm_txn *txn = crash_begin(run);
    MUST(run, txfs_truncate(txn, "a", 3, &run->err));
    MUST(run, txfs_truncate(txn, "big", 5000, &run->err));
    crash_commit(run, txn);
    txn = crash_begin(run);
    MUST(run, txfs_truncate(txn, "a", 600, &run->err));
    MUST(run, txfs_truncate(txn, "dir/c", 0, &run->err));
    crash_commit(run, txn);
}

static void write_in_place(struct crash_run *run, struct ktm_txn *txn, const char *path,
                           size_t size, uint64_t offset)
{
    MUST(run, txfs_open(txn, path, TXFS_WRITE, 0, &run->file, &run->err));
    MUST(run, txfs_pwrite(run->file, crash_bytes(run, size), size, offset, &run->err));
    MUST(run, crash_close_file(run));
}

void work_extents(struct crash_run *run)
{
    struct ktm_txn *txn = crash_begin(run);
    write_in_place(run, txn, "big", 700, 100);
    write_in_place(run, txn, "big", 600, 5000);
    write_in_place(run, txn, "hard1", 5, 2);
    crash_commit(run, txn);
    txn = crash_begin(run);
    write_in_place(run, txn, "big", 2000, 8500);
    crash_commit(run, txn);
    txn = crash_begin(run);
    write_in_place(run, txn, "big", 100, 4090);
    crash_commit(run, txn);
}

void work_rename_file(struct crash_run *run)
{
    struct ktm_txn *txn = crash_begin(run);
    MUST(run, txfs_rename(txn, "a", "dir/a-moved", TXIO_REPLACE, &run->err));
    crash_commit(run, txn);
    txn = crash_begin(run);
    MUST(run, txfs_rename(txn, "dir/a-moved", "a", TXIO_NOREPLACE, &run->err));
    put(run, txn, "dir/a-moved", 10);
    crash_commit(run, txn);
}

void work_rename_over(struct crash_run *run)
{
    struct ktm_txn *txn = crash_begin(run);
    MUST(run, txfs_rename(txn, "b", "dir/c", TXIO_REPLACE, &run->err));
    crash_commit(run, txn);
    txn = crash_begin(run);
    put(run, txn, "b", 100);
    MUST(run, txfs_rename(txn, "b", "a", TXIO_REPLACE, &run->err));
    MUST(run, txfs_rename(txn, "link", "hard2", TXIO_REPLACE, &run->err));
    crash_commit(run, txn);
}

void work_rename_directory(struct crash_run *run)
{
    struct ktm_txn *txn = crash_begin(run);
    MUST(run, txfs_rename(txn, "dir", "moved", TXIO_REPLACE, &run->err));
    crash_commit(run, txn);
    txn = crash_begin(run);
    put(run, txn, "moved/sub/f", 12);
    MUST(run, txfs_rename(txn, "moved/sub", "empty", TXIO_REPLACE, &run->err));
    crash_commit(run, txn);
    txn = crash_begin(run);
    MUST(run, txfs_rename(txn, "moved", "empty/inside", TXIO_REPLACE, &run->err));
    MUST(run, txfs_mkdir(txn, "moved", 0700, &run->err));
    crash_commit(run, txn);
}

void work_exchange(struct crash_run *run)
{
    struct ktm_txn *txn = crash_begin(run);
    MUST(run, txfs_rename(txn, "a", "dir/c", TXIO_EXCHANGE, &run->err));
    crash_commit(run, txn);
    txn = crash_begin(run);
    MUST(run, txfs_rename(txn, "dir", "b", TXIO_EXCHANGE, &run->err));
    crash_commit(run, txn);
}

void work_unlink(struct crash_run *run)
{
    struct ktm_txn *txn = crash_begin(run);
    MUST(run, txfs_unlink(txn, "a", &run->err));
    MUST(run, txfs_unlink(txn, "hard1", &run->err));
    MUST(run, txfs_unlink(txn, "link", &run->err));
    crash_commit(run, txn);
    txn = crash_begin(run);
    put(run, txn, "a", 8);
    crash_commit(run, txn);
    txn = crash_begin(run);
    MUST(run, txfs_unlink(txn, "a", &run->err));
    crash_commit(run, txn);
}

void work_directories(struct crash_run *run)
{
    struct ktm_txn *txn = crash_begin(run);
    MUST(run, txfs_mkdir_parents(txn, "x/y/z", 0750, &run->err));
    put(run, txn, "x/y/f", 5);
    MUST(run, txfs_rmdir(txn, "empty", &run->err));
    crash_commit(run, txn);
    txn = crash_begin(run);
    MUST(run, txfs_rmdir(txn, "x/y/z", &run->err));
    MUST(run, txfs_mkdir(txn, "empty", 0701, &run->err));
    crash_commit(run, txn);
}

void work_symlink(struct crash_run *run)
{
    struct ktm_txn *txn = crash_begin(run);
    MUST(run, txfs_symlink(txn, "dir/c", "s1", &run->err));
    MUST(run, txfs_symlink(txn, "../nowhere", "dir/s2", &run->err));
    MUST(run, txfs_unlink(txn, "link", &run->err));
    MUST(run, txfs_symlink(txn, "b", "link", &run->err));
    crash_commit(run, txn);
}

void work_link(struct crash_run *run)
{
    struct ktm_txn *txn = crash_begin(run);
    MUST(run, txfs_link(txn, "a", "dir/a2", &run->err));
    MUST(run, txfs_link(txn, "hard1", "hard3", &run->err));
    crash_commit(run, txn);
    txn = crash_begin(run);
    put(run, txn, "n1", 9);
    MUST(run, txfs_link(txn, "n1", "n2", &run->err));
    MUST(run, txfs_unlink(txn, "hard2", &run->err));
    crash_commit(run, txn);
}

static void set_attr(struct crash_run *run, struct ktm_txn *txn, const char *path, uint32_t mask,
                     uint32_t mode, uint32_t owner, int64_t time_ns)
{
    struct txio_attr attr = {mask, mode, owner, owner + 1, time_ns, time_ns + 1};
    MUST(run, txfs_set_attr(txn, path, &attr, &run->err));
}

void work_chmod(struct crash_run *run)
{
    struct ktm_txn *txn = crash_begin(run);
    set_attr(run, txn, "a", TXIO_ATTR_MODE, 0600, 0, 0);
    set_attr(run, txn, "dir", TXIO_ATTR_MODE, 01777, 0, 0);
    set_attr(run, txn, "dir/c", TXIO_ATTR_MODE, 04755, 0, 0);
    crash_commit(run, txn);
    txn = crash_begin(run);
    set_attr(run, txn, "a", TXIO_ATTR_MODE, 0644, 0, 0);
    put(run, txn, "b", 40);
    set_attr(run, txn, "b", TXIO_ATTR_MODE, 0400, 0, 0);
    crash_commit(run, txn);
}

void work_chown(struct crash_run *run)
{
    struct ktm_txn *txn = crash_begin(run);
    set_attr(run, txn, "a", TXIO_ATTR_OWNER, 0, 7, 0);
    set_attr(run, txn, "link", TXIO_ATTR_OWNER, 0, 8, 0);
    set_attr(run, txn, "dir/c", TXIO_ATTR_OWNER | TXIO_ATTR_MODE, 06755, 9, 0);
    crash_commit(run, txn);
    txn = crash_begin(run);
    put(run, txn, "owned", 5);
    set_attr(run, txn, "owned", TXIO_ATTR_OWNER, 0, 10, 0);
    crash_commit(run, txn);
}

void work_times(struct crash_run *run)
{
    struct ktm_txn *txn = crash_begin(run);
    set_attr(run, txn, "a", TXIO_ATTR_TIMES, 0, 0, 1234567890123);
    set_attr(run, txn, "dir", TXIO_ATTR_TIMES, 0, 0, 2234567890123);
    put(run, txn, "b", 55);
    set_attr(run, txn, "b", TXIO_ATTR_TIMES, 0, 0, 3234567890123);
    crash_commit(run, txn);
    txn = crash_begin(run);
    set_attr(run, txn, "a", 7, 0640, 3, 4234567890123);
    crash_commit(run, txn);
}

void work_xattrs(struct crash_run *run)
{
    struct ktm_txn *txn = crash_begin(run);
    MUST(run, txfs_set_xattr(txn, "a", "user.one", "1", 1, &run->err));
    MUST(run, txfs_set_xattr(txn, "dir", "user.two", "22", 2, &run->err));
    MUST(run, txfs_remove_xattr(txn, "b", "user.kept", &run->err));
    crash_commit(run, txn);
    txn = crash_begin(run);
    MUST(run, txfs_set_xattr(txn, "a", "user.one", "other", 5, &run->err));
    put(run, txn, "n", 5);
    MUST(run, txfs_set_xattr(txn, "n", "user.new", crash_bytes(run, 300), 300, &run->err));
    crash_commit(run, txn);
}

void work_remove_tree(struct crash_run *run)
{
    struct ktm_txn *txn = crash_begin(run);
    MUST(run, txfs_remove_tree(txn, "dir", &run->err));
    crash_commit(run, txn);
    txn = crash_begin(run);
    MUST(run, txfs_mkdir_parents(txn, "dir/sub", 0700, &run->err));
    put(run, txn, "dir/sub/again", 10);
    crash_commit(run, txn);
}

/* A directory where a file was, and the other way round. */
void work_kinds_change(struct crash_run *run)
{
    struct ktm_txn *txn = crash_begin(run);
    MUST(run, txfs_unlink(txn, "a", &run->err));
    MUST(run, txfs_mkdir(txn, "a", 0755, &run->err));
    put(run, txn, "a/inside", 20);
    MUST(run, txfs_remove_tree(txn, "dir", &run->err));
    put(run, txn, "dir", 30);
    crash_commit(run, txn);
    txn = crash_begin(run);
    MUST(run, txfs_remove_tree(txn, "a", &run->err));
    MUST(run, txfs_symlink(txn, "b", "a", &run->err));
    crash_commit(run, txn);
}

void work_many_files(struct crash_run *run)
{
    for (int round = 0; round < 2; round++) {
        struct ktm_txn *txn = crash_begin(run);
        for (int i = 0; i < 12; i++) {
            char path[16] = "dir/n0";
            path[5] = (char)('a' + i);
            put(run, txn, path, 50 + (size_t)i * 90);
        }
        crash_commit(run, txn);
    }
}
