/* SPDX-License-Identifier: MIT */
/* Paths that become too long or too deep on the way: by links, by moving what is above them. */
#include "fs_fixture.h"

enum {
    LONG_NAME = 240,
    LONG_DEPTH = 16, /* so many of them still leave room for a short name below */
    LONG_SIZE = LONG_DEPTH * (LONG_NAME + 1) - 1,
};

/* A path of `depth` names of `size` bytes each. */
static const char *path_of(char *path, unsigned depth, size_t size)
{
    for (unsigned i = 0; i < depth; i++) {
        char *at = path + i * (size + 1);
        memset(at, 'a' + (int)(i % 26), size);
        at[size] = i + 1 < depth ? '/' : '\0';
    }
    return path;
}

static const char *name_of(char *name, size_t size)
{
    memset(name, 'n', size);
    name[size] = '\0';
    return name;
}

/* Make a directory of the tree of that path, below `dir`. */
static void plant(int dir, unsigned depth, size_t size)
{
    char path[TXFS_PATH_MAX + 1];
    char *at = path;
    int fd = dup(dir);
    (void)path_of(path, depth, size);
    for (unsigned i = 0; i < depth; i++) {
        at[size] = '\0';
        make_dir(fd, at);
        int next = openat(fd, at, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        close(fd);
        fd = next;
        at += size + 1;
    }
    close(fd);
}

static char deep[TXFS_PATH_MAX + 1]; /* a path that leaves no room for a long name */
static char name[TXFS_NAME_MAX + 2];
static char path[2 * TXFS_PATH_MAX];
static struct fs_fixture f;

static void setup(void)
{
    f = fs_fixture_new();
    (void)path_of(deep, LONG_DEPTH, LONG_NAME);
    (void)name_of(name, 251);
}

static void teardown(void)
{
    fs_fixture_auto(&f);
}

TestSuite(txfs_limits, .init = setup, .fini = teardown);

static const char *below(const char *directory, const char *last)
{
    (void)snprintf(path, sizeof path, "%s/%s", directory, last);
    return path;
}

/* --- Links --- */

Test(txfs_limits, links_lead_to_paths_of_the_greatest_length_and_no_further)
{
    struct ktm_txn *txn = fs_begin(&f);
    struct txfs_file *file;
    must(txfs_mkdir_parents(txn, deep, 0755, &f.err));
    must(txfs_symlink(txn, deep, "l", &f.err));
    size_t room = TXFS_PATH_MAX - LONG_SIZE - 1;
    (void)name_of(name, room);
    fs_put(&f, txn, below("l", name), "x");
    cr_assert(fs_file_is(&f, txn, below("l", name), "x"));
    (void)name_of(name, room + 1);
    refused(TX_ELIMIT, txfs_put(txn, below("l", name), "x", 1, NULL, &f.err));
    refused(TX_ELIMIT, txfs_open(txn, below("l", name), TXFS_CREATE, 0644, &file, &f.err));
    char inner[TXFS_NAME_MAX + 8];
    (void)snprintf(inner, sizeof inner, "l/%s/x", name);
    refused(TX_ELIMIT, txfs_put(txn, inner, "x", 1, NULL, &f.err));
    ktm_rollback(txn);
}

Test(txfs_limits, links_lead_to_the_greatest_depth_and_no_further)
{
    struct ktm_txn *txn = fs_begin(&f);
    struct txfs_file *file;
    struct txio_stat stat;
    must(txfs_mkdir_parents(txn, path_of(deep, TXFS_DEPTH_MAX - 1, 1), 0755, &f.err));
    must(txfs_symlink(txn, deep, "l", &f.err));
    must(txfs_mkdir(txn, "l/x", 0755, &f.err));
    must(txfs_stat(txn, "l/x", &stat, &f.err));
    refused(TX_ELIMIT, txfs_mkdir(txn, "l/x/y", 0755, &f.err));
    refused(TX_ELIMIT, txfs_open(txn, "l/x/y", TXFS_CREATE, 0644, &file, &f.err));
    ktm_rollback(txn);
}

Test(txfs_limits, texts_of_links_that_grow_without_end_are_refused)
{
    struct ktm_txn *txn = fs_begin(&f);
    struct txio_stat stat;
    (void)snprintf(path, sizeof path, "self/%s", deep);
    must(txfs_symlink(txn, path, "self", &f.err));
    refused(TX_ELIMIT, txfs_stat(txn, "self/x", &stat, &f.err));
    cr_assert_not_null(strstr(f.err.text, "path too long"), "%s", f.err.text);
    ktm_rollback(txn);
}

Test(txfs_limits, names_in_the_texts_of_links_have_a_limit)
{
    struct ktm_txn *txn = fs_begin(&f);
    struct txio_stat stat;
    must(txfs_symlink(txn, name_of(name, TXFS_NAME_MAX + 1), "long", &f.err));
    refused(TX_ELIMIT, txfs_stat(txn, "long/x", &stat, &f.err));
    must(txfs_symlink(txn, name_of(name, TXFS_NAME_MAX), "good", &f.err));
    refused(TX_ENOTFOUND, txfs_stat(txn, "good/x", &stat, &f.err));
    ktm_rollback(txn);
}

/* --- What moves --- */

/* In the tree, a short directory with a file of a long name; moved below `deep` it has no path. */
static struct ktm_txn *begin_with_short(const char *file)
{
    plant(f.root, LONG_DEPTH, LONG_NAME);
    make_dir(f.root, "s");
    make_file(f.root, below("s", file), "x");
    return fs_begin(&f);
}

Test(txfs_limits, what_has_no_path_after_a_move_is_listed_and_cannot_be_removed)
{
    struct ktm_txn *txn = begin_with_short(name);
    struct txio_stat stat;
    must(txfs_rename(txn, "s", below(deep, "m"), 0, &f.err));
    cr_assert_str_eq(fs_list(&f, txn, below(deep, "m")), name);
    size_t entries = ktm_txn_entries(txn).left;
    refused(TX_ELIMIT, txfs_remove_tree(txn, below(deep, "m"), &f.err));
    cr_assert_eq(ktm_txn_entries(txn).left, entries);
    must(txfs_rename(txn, below(deep, "m"), "s", 0, &f.err));
    must(txfs_stat(txn, below("s", name), &stat, &f.err));
    ktm_rollback(txn);
}

Test(txfs_limits, what_would_be_too_deep_is_refused_before_anything_moves)
{
    struct ktm_txn *txn = fs_begin(&f);
    must(txfs_mkdir_parents(txn, path_of(deep, TXFS_DEPTH_MAX - 1, 1), 0755, &f.err));
    must(txfs_mkdir_parents(txn, "s/t", 0755, &f.err));
    size_t entries = ktm_txn_entries(txn).left;
    refused(TX_ELIMIT, txfs_rename(txn, "s", below(deep, "m"), 0, &f.err));
    cr_assert_eq(ktm_txn_entries(txn).left, entries);
    must(txfs_rmdir(txn, "s/t", &f.err));
    must(txfs_rename(txn, "s", below(deep, "m"), 0, &f.err));
    ktm_rollback(txn);
}

/* A link's other end has to have a path, too. */
Test(txfs_limits, a_link_to_what_would_have_no_path_is_refused_before_anything_moves)
{
    struct ktm_txn *txn = begin_with_short(name);
    for (unsigned i = 0; i < 2; i++) { /* from outside the directory, from inside */
        must(txfs_link(txn, below("s", name), i == 0 ? "outside" : "s/inside", &f.err));
        size_t entries = ktm_txn_entries(txn).left;
        refused(TX_ELIMIT, txfs_rename(txn, "s", below(deep, "m"), 0, &f.err));
        cr_assert_eq(ktm_txn_entries(txn).left, entries);
        must(txfs_unlink(txn, i == 0 ? "outside" : "s/inside", &f.err));
    }
    must(txfs_rename(txn, "s", below(deep, "m"), 0, &f.err));
    ktm_rollback(txn);
}

/* That the transaction has met one of several names of a file must not be in the way. */
Test(txfs_limits, a_name_met_before_may_lose_its_path)
{
    struct ktm_txn *txn = begin_with_short(name);
    struct txio_stat stat;
    cr_assert_eq(linkat(f.root, below("s", name), f.root, "twin", 0), 0);
    must(txfs_stat(txn, below("s", name), &stat, &f.err));
    must(txfs_rename(txn, "s", below(deep, "m"), 0, &f.err));
    must(txfs_stat(txn, below(deep, "m"), &stat, &f.err));
    ktm_rollback(txn);
}

Test(txfs_limits, a_handle_whose_file_has_no_path_any_more_is_forgotten)
{
    struct ktm_txn *txn = begin_with_short(name);
    struct txfs_file *file;
    char data[8];
    size_t size;
    must(txfs_open(txn, below("s", name), TXFS_WRITE, 0, &file, &f.err));
    must(txfs_rename(txn, "s", below(deep, "m"), 0, &f.err));
    must(txfs_pwrite(file, "y", 1, 0, &f.err));
    must(txfs_pread(file, data, sizeof data, 0, &size, &f.err));
    cr_assert(size == 1 && data[0] == 'y');
    must(txfs_close(file, &f.err));
    must(txfs_rename(txn, below(deep, "m"), "s", 0, &f.err));
    cr_assert(fs_file_is(&f, txn, below("s", name), "x"));
    ktm_rollback(txn);
}

/* The real path counts as well: it is how the tree is looked at. */
Test(txfs_limits, below_what_was_moved_up_the_old_path_is_the_limit)
{
    struct ktm_txn *txn;
    plant(f.root, LONG_DEPTH, LONG_NAME);
    txn = fs_begin(&f);
    must(txfs_rename(txn, deep, "up", 0, &f.err));
    fs_put(&f, txn, "up/x", "x");
    refused(TX_ELIMIT, txfs_put(txn, below("up", name), "x", 1, NULL, &f.err));
    must(ktm_commit(txn, NULL, &f.err));
    txn = fs_begin(&f);
    fs_put(&f, txn, below("up", name), "x");
    ktm_rollback(txn);
}

Test(txfs_limits, a_name_without_a_path_in_a_directory_that_goes_is_refused)
{
    struct ktm_txn *txn;
    plant(f.root, LONG_DEPTH, LONG_NAME);
    txn = fs_begin(&f);
    must(txfs_rmdir(txn, deep, &f.err));
    int fd = openat(f.root, deep, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    make_file(fd, name, "x");
    refused(TX_ELIMIT, ktm_commit(txn, NULL, &f.err));
    cr_assert(exists(fd, name));
    close(fd);
}
