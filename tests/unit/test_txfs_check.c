/* SPDX-License-Identifier: MIT */
/* Any bit of what is kept that changes is found. */
#include <dirent.h>

#include "publish_fixture.h"

struct faults {
    uint64_t count;
    char file[256];
    char text[512];
};

static void fault(void *arg, const char *file, uint64_t offset, const char *text)
{
    struct faults *faults = arg;
    (void)offset;
    faults->count++;
    (void)snprintf(faults->file, sizeof(faults->file), "%s", file);
    (void)snprintf(faults->text, sizeof(faults->text), "%s", text);
}

static uint64_t check(struct publish_fixture *f, struct faults *faults)
{
    uint64_t count = 99;
    *faults = (struct faults){0};
    must(txfs_check(f->fs, fault, faults, &count, &f->err));
    cr_assert_eq(count, faults->count);
    return count;
}

static void flip(int fd, off_t at, int bit)
{
    char byte;
    cr_assert_eq(pread(fd, &byte, 1, at), 1);
    byte = (char)(byte ^ (1 << bit));
    cr_assert_eq(pwrite(fd, &byte, 1, at), 1);
}

/* Flip one bit of each byte (all of them in turn for short files), and check each time. */
static void flip_everywhere(struct publish_fixture *f, const char *path)
{
    struct faults faults;
    struct stat st;
    int fd = openat(f->store, path, O_RDWR | O_CLOEXEC);
    cr_assert_geq(fd, 0, "%s", path);
    cr_assert_eq(fstat(fd, &st), 0);
    struct timespec times[2] = {st.st_atim, st.st_mtim};
    for (off_t at = 0; at < st.st_size; at++) {
        flip(fd, at, (int)(at % 8));
        cr_assert_eq(futimens(fd, times), 0); /* a disk that decays leaves the times alone */
        cr_assert_geq(check(f, &faults), 1, "bit %d of byte %lld of %s", (int)(at % 8),
                      (long long)at, path);
        flip(fd, at, (int)(at % 8));
        cr_assert_eq(futimens(fd, times), 0);
    }
    (void)close(fd);
    cr_assert_eq(check(f, &faults), 0, "%s: %s", faults.file, faults.text);
}

static void flip_all_files(struct publish_fixture *f, const char *directory, unsigned *files)
{
    int fd = openat(f->store, directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fdopendir(fd);
    for (struct dirent *entry; (entry = readdir(dir)) != NULL;) {
        char path[512];
        struct stat st;
        (void)snprintf(path, sizeof(path), "%s/%s", directory, entry->d_name);
        cr_assert_eq(fstatat(f->store, path, &st, AT_SYMLINK_NOFOLLOW), 0);
        if (S_ISREG(st.st_mode)) {
            flip_everywhere(f, path);
            ++*files;
        } else if (S_ISDIR(st.st_mode) && entry->d_name[0] != '.') {
            flip_all_files(f, path, files);
        }
    }
    (void)closedir(dir);
}

static void some_changes(struct publish_fixture *f, struct ktm_txn *txn)
{
    pub_put(f, txn, "kind", "replaced");
    must(txfs_remove_tree(txn, "gone", &f->err));
    must(txfs_unlink(txn, "link", &f->err));
    pub_write(f, txn, "d/sub/e", 2, "in place");
    must(txfs_set_xattr(txn, "swap1/one", "user.colour", "red", 3, &f->err));
}

Test(txfs_check, any_flipped_bit_of_what_is_kept_is_found, .timeout = 300)
{
    PUBLISH_FIXTURE(f, 8);
    unsigned files = 0;
    pub_make_tree(f);
    struct ktm_txn *txn = pub_begin(f);
    some_changes(f, txn);
    pub_commit(f, txn);
    must(ktm_checkpoint(f->tm, &f->err));
    flip_all_files(f, "undo", &files);
    cr_assert_geq(files, 7); /* steady, changes, sums, two records, three old files */
}

Test(txfs_check, a_missing_an_added_and_a_changed_object_are_named)
{
    PUBLISH_FIXTURE(f, 8);
    struct faults faults;
    char path[128];
    pub_make_tree(f);
    struct ktm_txn *txn = pub_begin(f);
    must(txfs_remove_tree(txn, "gone", &f->err));
    (void)snprintf(path, sizeof(path), "undo/%016llx", (unsigned long long)pub_commit(f, txn));
    must(ktm_checkpoint(f->tm, &f->err));
    cr_assert_eq(check(f, &faults), 0, "%s: %s", faults.file, faults.text);
    int dir = openat(f->store, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    make_file(dir, "stray", "x");
    cr_assert_eq(check(f, &faults), 1);
    cr_assert_not_null(strstr(faults.file, "/stray"));
    cr_assert_eq(unlinkat(dir, "stray", 0), 0);
    cr_assert_eq(renameat(dir, "sums", dir, "../sums"), 0);
    cr_assert_eq(check(f, &faults), 1);
    cr_assert_not_null(strstr(faults.file, "/sums"));
    cr_assert_eq(renameat(dir, "../sums", dir, "sums"), 0);
    cr_assert_eq(fchmodat(dir, "changes", 0644, 0), 0);
    cr_assert_eq(check(f, &faults), 1);
    (void)close(dir);
}

Test(txfs_check, what_is_not_steady_yet_is_no_fault)
{
    PUBLISH_FIXTURE(f, 8);
    struct faults faults;
    char path[128];
    struct ktm_txn *txn = pub_begin(f);
    pub_put(f, txn, "x", "text");
    (void)snprintf(path, sizeof(path), "undo/%016llx/changes",
                   (unsigned long long)pub_commit(f, txn));
    int fd = openat(f->store, path, O_WRONLY | O_TRUNC | O_CLOEXEC); /* as a power cut leaves it */
    (void)close(fd);
    cr_assert_eq(check(f, &faults), 0, "%s: %s", faults.file, faults.text);
}

Test(txfs_check, a_staged_payload_is_compared_with_its_hash)
{
    PUBLISH_FIXTURE(f, 8);
    struct faults faults = {0};
    uint64_t count;
    char path[TXFS_STAGED_PATH_SIZE];
    struct ktm_txn *txn = pub_begin(f);
    pub_put_bytes(f, txn, "big", 9000, 1);
    struct ktm_commit_info info = pub_commit_of(txn, 4096);
    must(txfs_check_staged(f->fs, &info, fault, &faults, &count, &f->err));
    cr_assert_eq(count, 0);
    txfs_staged_path(&info.id, 1, path);
    int fd = openat(f->store, path, O_RDWR | O_CLOEXEC);
    flip(fd, 4321, 3);
    must(txfs_check_staged(f->fs, &info, fault, &faults, &count, &f->err));
    cr_assert_eq(count, 1);
    cr_assert_str_eq(faults.file, path);
    cr_assert_eq(ftruncate(fd, 8999), 0);
    must(txfs_check_staged(f->fs, &info, fault, &faults, &count, &f->err));
    cr_assert_eq(count, 1);
    (void)close(fd);
    cr_assert_eq(unlinkat(f->store, path, 0), 0);
    must(txfs_check_staged(f->fs, &info, fault, &faults, &count, &f->err));
    cr_assert_eq(count, 1);
    ktm_rollback(txn);
}
