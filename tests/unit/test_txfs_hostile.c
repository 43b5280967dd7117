/* SPDX-License-Identifier: MIT */
/* Change sets that the overlay would not make: read, attached, and never believed. */
#include "base/buf.h"
#include "fs_fixture.h"
#include "txfs/txfs_internal.h"

enum { ALL = TXFS_SETS_OWNER | TXFS_SETS_MODE | TXFS_SETS_TIMES | TXFS_SETS_XATTRS };

static struct fs_fixture f;

static void setup(void)
{
    f = fs_fixture_new();
}

static void teardown(void)
{
    fs_fixture_auto(&f);
}

TestSuite(txfs_hostile, .init = setup, .fini = teardown);

/* Add an entry past the overlay, which has to take it in as if it had been attached. */
static void add_entry(struct ktm_txn *txn, const struct txfs_entry *entry)
{
    TX_AUTO(tx_buf) head = TX_BUF_INIT;
    must(txfs_entry_encode(entry, &head, &f.err));
    struct iovec parts[2] = {{head.data, head.size},
                             {(void *)(uintptr_t)entry->content, entry->content_size}};
    must(ktm_txn_add(txn, TXFS_RM, entry->kind, entry->flags, parts,
                     entry->content_size > 0 ? 2 : 1, &f.err));
}

static struct txfs_identity identity_of(const char *path)
{
    struct txio_stat stat;
    cr_assert_eq(txio_posix()->ops->stat(txio_posix(), f.root, path, &stat), 0);
    return txfs_identity_of(&stat);
}

/* A path of the tree so long that a name below it has none. */
static const char *long_path(void)
{
    static char path[TXFS_PATH_MAX + 1];
    for (size_t used = 0; used < 16 * 241; used += 241) {
        memset(path + used, 'd', 240);
        path[used + 240] = used < 15 * 241 ? '/' : '\0';
    }
    return path;
}

static const char *long_name(void)
{
    static char path[TXFS_NAME_MAX + 3] = "x/";
    memset(path + 2, 'n', TXFS_NAME_MAX);
    return path;
}

Test(txfs_hostile, what_is_no_entry_is_corrupt)
{
    struct ktm_txn *txn = fs_begin(&f);
    struct iovec part = {(void *)(uintptr_t) "nonsense", 8};
    struct txio_stat stat;
    must(ktm_txn_add(txn, TXFS_RM, TXFS_CHANGE_FILE, 0, &part, 1, &f.err));
    for (unsigned i = 0; i < 2; i++) { /* and stays so */
        refused(TX_ECORRUPT, txfs_stat(txn, "", &stat, &f.err));
        refused(TX_ECORRUPT, txfs_mkdir(txn, "d", 0755, &f.err));
    }
    ktm_rollback(txn);
}

Test(txfs_hostile, paths_that_are_too_long_in_the_tree_are_refused)
{
    struct txfs_identity there = {.existed = 1, .ino = 1, .mode = S_IFREG};
    struct txfs_entry moved = {.kind = TXFS_CHANGE_MOVED, .path = "x", .target = long_path(),
                               .source = {.existed = 1, .mode = S_IFDIR}};
    struct txfs_entry below[] = {
        {.kind = TXFS_CHANGE_DIRECTORY, .path = long_name(), .mask = ALL},
        {.kind = TXFS_CHANGE_LINK, .path = "l", .target = long_name(), .source = there}};
    for (size_t i = 0; i < sizeof below / sizeof *below; i++) {
        struct ktm_txn *txn = fs_begin(&f);
        struct txio_stat stat;
        add_entry(txn, &moved);
        add_entry(txn, &below[i]);
        refused(TX_ELIMIT, txfs_stat(txn, "", &stat, &f.err));
        ktm_rollback(txn);
    }
}

Test(txfs_hostile, a_link_to_nothing_in_a_new_directory_names_nothing)
{
    struct txfs_entry made = {.kind = TXFS_CHANGE_DIRECTORY, .path = "new", .mask = ALL,
                              .mode = 0755};
    struct txfs_entry link = {.kind = TXFS_CHANGE_LINK, .path = "l", .target = "new/x",
                              .source = {.existed = 1, .ino = 1, .mode = S_IFREG}};
    struct ktm_txn *txn = fs_begin(&f);
    add_entry(txn, &made);
    add_entry(txn, &link);
    cr_assert_not(fs_exists(&f, txn, "l"));
    cr_assert(fs_exists(&f, txn, "new"));
    ktm_rollback(txn);
}

/* However a path comes to lead to the store: it does not show. */
Test(txfs_hostile, the_store_does_not_show_under_another_name)
{
    struct txfs_entry moved = {.kind = TXFS_CHANGE_MOVED, .path = "x", .target = ".txkit",
                               .source = identity_of(".txkit")};
    struct ktm_txn *txn = fs_begin(&f);
    struct txfs_file *file;
    add_entry(txn, &moved);
    cr_assert_not(fs_exists(&f, txn, "x"));
    refused(TX_ENOTFOUND, txfs_open(txn, "x/control", TXFS_WRITE, 0, &file, &f.err));
    refused(TX_ENOTFOUND, txfs_remove_tree(txn, "x", &f.err));
    ktm_rollback(txn);
}

/* The overlay always says a time with what it changes in place; others need not. */
Test(txfs_hostile, bytes_changed_in_place_count_without_any_attribute)
{
    TX_AUTO(tx_buf) table = TX_BUF_INIT;
    TX_AUTO(tx_buf) keys = TX_BUF_INIT;
    TX_AUTO(tx_buf) one = TX_BUF_INIT;
    struct ktm_vote vote = {&keys};
    struct ktm_vote wanted = {&one};
    struct txfs_extent extent = {1, 1, 0};
    void *view;
    make_file(f.root, "a", "abc");
    cr_assert_eq(linkat(f.root, "a", f.root, "twin", 0), 0);
    must(txfs_extent_put(&table, &extent, &f.err));
    struct txfs_entry entry = {.kind = TXFS_CHANGE_EXTENTS, .path = "a",
                               .payload = TXFS_PAYLOAD_EXTENTS, .size = 3, .keep_size = 3,
                               .payload_size = 1, .content = (const uint8_t *)"X",
                               .content_size = 1, .extents = table.data, .extent_count = 1};
    entry.base = identity_of("a");
    entry.source = entry.base;
    struct ktm_txn *txn = fs_begin(&f);
    add_entry(txn, &entry);
    cr_assert(fs_file_is(&f, txn, "a", "aXc"));
    cr_assert(fs_file_is(&f, txn, "twin", "aXc"));
    must(ktm_txn_view(txn, TXFS_RM, &view, &f.err));
    must(txfs_rm_ops()->prepare(f.fs, txn, view, &vote, &f.err));
    must(ktm_vote_write(&wanted, txfs_inode_key(entry.source.ino), "a", &f.err));
    cr_assert_not_null(memmem(keys.data, keys.size, one.data, one.size));
    ktm_rollback(txn);
}
