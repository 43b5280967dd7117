/* SPDX-License-Identifier: MIT */
/* Open files: both ways to change one, limits, and handles while the view changes. */
#include "fs_fixture.h"

static struct txfs_file *open_file(struct fs_fixture *fixture, struct ktm_txn *txn,
                                   const char *path, unsigned flags)
{
    struct fs_fixture f = *fixture;
    struct txfs_file *file = NULL;
    must(txfs_open(txn, path, flags, 0644, &file, &f.err));
    return file;
}

static void write_text(struct fs_fixture *fixture, struct txfs_file *file, const char *text,
                       uint64_t offset)
{
    struct fs_fixture f = *fixture;
    must(txfs_pwrite(file, text, strlen(text), offset, &f.err));
}

static bool shows(struct txfs_file *file, const char *text)
{
    char data[256];
    size_t size;
    return txfs_pread(file, data, sizeof data, 0, &size, NULL) == TX_OK &&
           size == strlen(text) && memcmp(data, text, size) == 0;
}

Test(txfs_file, a_replacement_shows_when_it_is_closed)
{
    TX_AUTO(fs_fixture) f = fs_fixture_new();
    make_file(f.root, "a", "old");
    struct ktm_txn *txn = fs_begin(&f);
    struct txfs_file *file = open_file(&f, txn, "a", TXFS_WRITE | TXFS_CREATE | TXFS_TRUNCATE);
    write_text(&f, file, "new", 0);
    cr_assert(fs_file_is(&f, txn, "a", "old"));
    cr_assert(shows(file, "new"));
    must(txfs_close(file, &f.err));
    cr_assert(fs_file_is(&f, txn, "a", "new"));
    cr_assert(file_is(f.root, "a", "old"));
    struct txfs_change change;
    cr_assert_eq(fs_last_kind(txn, "a", &change), TXFS_CHANGE_FILE);
    ktm_rollback(txn);
}

Test(txfs_file, an_update_changes_only_its_extents)
{
    TX_AUTO(fs_fixture) f = fs_fixture_new();
    make_file(f.root, "a", "0123456789");
    struct ktm_txn *txn = fs_begin(&f);
    struct txfs_file *file = open_file(&f, txn, "a", TXFS_WRITE);
    write_text(&f, file, "AB", 2);
    write_text(&f, file, "CD", 3);
    write_text(&f, file, "!", 12);
    must(txfs_close(file, &f.err));
    file = open_file(&f, txn, "a", TXFS_READ);
    char data[16];
    size_t size;
    must(txfs_read(file, data, sizeof data, &size, &f.err));
    cr_assert_eq(size, 13u);
    cr_assert_eq(memcmp(data, "01ACD56789\0\0!", 13), 0);
    txfs_abandon(file);
    struct txfs_change change;
    cr_assert_eq(fs_last_kind(txn, "a", &change), TXFS_CHANGE_EXTENTS);
    cr_assert_eq(change.changed_bytes, 4u); /* overlapping writes travel once */
    ktm_rollback(txn);
}

Test(txfs_file, a_second_update_adds_to_the_first)
{
    TX_AUTO(fs_fixture) f = fs_fixture_with(8, 0);
    make_file(f.root, "a", "0123456789");
    struct ktm_txn *txn = fs_begin(&f);
    for (int i = 0; i < 10; i++) { /* beyond the inline limit: the extents go to a staged file */
        struct txfs_file *file = open_file(&f, txn, "a", TXFS_WRITE);
        char text[2] = {(char)('a' + i), '\0'};
        write_text(&f, file, text, (uint64_t)i);
        must(txfs_close(file, &f.err));
    }
    cr_assert(fs_file_is(&f, txn, "a", "abcdefghij"));
    ktm_rollback(txn);
}

Test(txfs_file, two_writers_of_one_file_both_count)
{
    TX_AUTO(fs_fixture) f = fs_fixture_new();
    make_file(f.root, "a", "0123456789");
    struct ktm_txn *txn = fs_begin(&f);
    struct txfs_file *one = open_file(&f, txn, "a", TXFS_WRITE);
    struct txfs_file *two = open_file(&f, txn, "a", TXFS_WRITE);
    write_text(&f, one, "A", 0);
    write_text(&f, two, "B", 9);
    must(txfs_close(one, &f.err));
    must(txfs_close(two, &f.err));
    cr_assert(fs_file_is(&f, txn, "a", "A12345678B"));
    one = open_file(&f, txn, "a", TXFS_WRITE);
    two = open_file(&f, txn, "a", TXFS_WRITE);
    write_text(&f, one, "more", 10);
    must(txfs_ftruncate(two, 3, &f.err));
    must(txfs_close(one, &f.err));
    must(txfs_close(two, &f.err));
    cr_assert(fs_file_is(&f, txn, "a", "A12"));
    ktm_rollback(txn);
}

Test(txfs_file, a_later_writer_does_not_bring_back_what_an_earlier_one_replaced)
{
    TX_AUTO(fs_fixture) f = fs_fixture_new();
    make_file(f.root, "a", "0123456789");
    struct ktm_txn *txn = fs_begin(&f);
    struct txfs_file *file = open_file(&f, txn, "a", TXFS_WRITE);
    write_text(&f, file, "old", 0);
    must(txfs_close(file, &f.err));
    struct txfs_file *one = open_file(&f, txn, "a", TXFS_WRITE);
    struct txfs_file *two = open_file(&f, txn, "a", TXFS_WRITE);
    write_text(&f, one, "new", 0);
    write_text(&f, two, "!", 9);
    must(txfs_close(one, &f.err));
    must(txfs_close(two, &f.err));
    cr_assert(fs_file_is(&f, txn, "a", "new345678!"));
    ktm_rollback(txn);
}

Test(txfs_file, cutting_and_growing_leaves_zeros)
{
    TX_AUTO(fs_fixture) f = fs_fixture_new();
    make_file(f.root, "base", "0123456789");
    struct ktm_txn *txn = fs_begin(&f);
    fs_put(&f, txn, "own", "0123456789");
    static const char *const paths[] = {"base", "own"};
    for (int i = 0; i < 2; i++) {
        struct txfs_file *file = open_file(&f, txn, paths[i], TXFS_WRITE);
        must(txfs_ftruncate(file, 3, &f.err));
        must(txfs_ftruncate(file, 6, &f.err));
        write_text(&f, file, "x", 4);
        cr_assert_eq(txfs_size(file), 6u);
        must(txfs_close(file, &f.err));
        char data[16];
        size_t size;
        file = open_file(&f, txn, paths[i], TXFS_READ);
        must(txfs_pread(file, data, sizeof data, 0, &size, &f.err));
        cr_assert_eq(size, 6u);
        cr_assert_eq(memcmp(data, "012\0x\0", 6), 0, "%s", paths[i]);
        txfs_abandon(file);
    }
    ktm_rollback(txn);
}

Test(txfs_file, abandoning_forgets)
{
    TX_AUTO(fs_fixture) f = fs_fixture_new();
    make_file(f.root, "a", "old");
    struct ktm_txn *txn = fs_begin(&f);
    struct txfs_file *file = open_file(&f, txn, "a", TXFS_WRITE | TXFS_TRUNCATE);
    write_text(&f, file, "new", 0);
    txfs_abandon(file);
    file = open_file(&f, txn, "b", TXFS_WRITE | TXFS_CREATE);
    txfs_abandon(file);
    cr_assert(fs_file_is(&f, txn, "a", "old"));
    cr_assert_not(fs_exists(&f, txn, "b"));
    cr_assert_eq(ktm_txn_entries(txn).left, 0u);
    ktm_rollback(txn);
}

/* Where the content of the last entry of "a" is: 'i'nline or 's'taged. */
static char route_of(struct ktm_txn *txn)
{
    struct txfs_change change;
    cr_assert_eq(fs_last_kind(txn, "a", &change), TXFS_CHANGE_FILE);
    return change.content != NULL ? 'i' : 's';
}

Test(txfs_file, contents_are_staged_beyond_the_inline_limit)
{
    TX_AUTO(fs_fixture) f = fs_fixture_with(1000, 0);
    static char data[1001];
    struct ktm_txn *txn = fs_begin(&f);
    for (size_t size = 999; size <= 1001; size++) {
        memset(data, 'a', size);
        must(txfs_put(txn, "a", data, size, NULL, &f.err));
        cr_assert_eq(route_of(txn), size <= 1000 ? 'i' : 's', "%zu", size);
        struct txfs_file *file = open_file(&f, txn, "a", TXFS_READ);
        cr_assert_eq(txfs_size(file), size);
        char back[1001];
        size_t done;
        must(txfs_read(file, back, sizeof back, &done, &f.err));
        cr_assert_eq(done, size);
        cr_assert_eq(memcmp(back, data, size), 0);
        txfs_abandon(file);
    }
    ktm_rollback(txn);
}

Test(txfs_file, contents_are_staged_when_the_transaction_has_many_bytes_inline)
{
    TX_AUTO(fs_fixture) f = fs_fixture_with(100, 150);
    static const char data[100];
    struct ktm_txn *txn = fs_begin(&f);
    must(txfs_put(txn, "b", data, 100, NULL, &f.err));
    must(txfs_put(txn, "a", data, 50, NULL, &f.err));
    cr_assert_eq(route_of(txn), 'i');
    must(txfs_put(txn, "a", data, 1, NULL, &f.err));
    cr_assert_eq(route_of(txn), 's');
    must(txfs_rename(txn, "b", "c", 0, &f.err)); /* states it once more, and is over the limit */
    must(txfs_put(txn, "a", data, 1, NULL, &f.err));
    cr_assert_eq(route_of(txn), 's');
    ktm_rollback(txn);
}

Test(txfs_file, a_sparse_file_costs_no_memory)
{
    TX_AUTO(fs_fixture) f = fs_fixture_new();
    struct ktm_txn *txn = fs_begin(&f);
    struct txfs_file *file = open_file(&f, txn, "a", TXFS_WRITE | TXFS_CREATE);
    write_text(&f, file, "x", 5u << 20);
    must(txfs_close(file, &f.err));
    struct txio_stat stat;
    must(txfs_stat(txn, "a", &stat, &f.err));
    cr_assert_eq(stat.size, (5u << 20) + 1);
    file = open_file(&f, txn, "a", TXFS_READ);
    char last[2];
    size_t size;
    must(txfs_pread(file, last, 2, (5u << 20) - 1, &size, &f.err));
    cr_assert(size == 2 && last[0] == '\0' && last[1] == 'x');
    txfs_abandon(file);
    file = open_file(&f, txn, "b", TXFS_WRITE | TXFS_CREATE);
    must(txfs_ftruncate(file, 1u << 20, &f.err));
    must(txfs_close(file, &f.err));
    must(txfs_stat(txn, "b", &stat, &f.err));
    cr_assert_eq(stat.size, 1u << 20);
    cr_assert_lt(ktm_txn_entries(txn).left, 4096u); /* nor does it travel in the log */
    ktm_rollback(txn);
}

Test(txfs_file, sizes_have_a_limit)
{
    TX_AUTO(fs_fixture) f = fs_fixture_new();
    make_file(f.root, "a", "x");
    struct ktm_txn *txn = fs_begin(&f);
    struct txfs_file *file = open_file(&f, txn, "a", TXFS_WRITE);
    must(txfs_ftruncate(file, INT64_MAX, &f.err));
    refused(TX_ELIMIT, txfs_ftruncate(file, (uint64_t)INT64_MAX + 1, &f.err));
    refused(TX_ELIMIT, txfs_pwrite(file, "x", 1, INT64_MAX, &f.err));
    refused(TX_ELIMIT, txfs_pwrite(file, "x", SIZE_MAX, 0, &f.err));
    must(txfs_pwrite(file, "x", 1, INT64_MAX - 1, &f.err));
    txfs_abandon(file);
    ktm_rollback(txn);
}

Test(txfs_file, reading_and_writing_move_the_position)
{
    TX_AUTO(fs_fixture) f = fs_fixture_new();
    struct ktm_txn *txn = fs_begin(&f);
    struct txfs_file *file = open_file(&f, txn, "a", TXFS_WRITE | TXFS_CREATE);
    must(txfs_write(file, "ab", 2, &f.err));
    must(txfs_write(file, "cd", 2, &f.err));
    must(txfs_close(file, &f.err));
    file = open_file(&f, txn, "a", TXFS_WRITE | TXFS_APPEND);
    must(txfs_write(file, "ef", 2, &f.err));
    must(txfs_close(file, &f.err));
    file = open_file(&f, txn, "a", TXFS_READ);
    char part[4];
    size_t size;
    must(txfs_read(file, part, 4, &size, &f.err));
    cr_assert(size == 4 && memcmp(part, "abcd", 4) == 0);
    must(txfs_read(file, part, 4, &size, &f.err));
    cr_assert(size == 2 && memcmp(part, "ef", 2) == 0);
    must(txfs_read(file, part, 4, &size, &f.err));
    cr_assert_eq(size, 0u);
    txfs_abandon(file);
    ktm_rollback(txn);
}

Test(txfs_file, opening_says_why_not)
{
    TX_AUTO(fs_fixture) f = fs_fixture_new();
    make_dir(f.root, "d");
    make_file(f.root, "a", "x");
    cr_assert_eq(symlinkat("a", f.root, "l"), 0);
    cr_assert_eq(mkfifoat(f.root, "p", 0600), 0);
    struct ktm_txn *txn = fs_begin(&f);
    struct txfs_file *file;
    refused(TX_ENOTFOUND, txfs_open(txn, "b", TXFS_WRITE, 0, &file, &f.err));
    refused(TX_ENOTFOUND, txfs_open(txn, "x/b", TXFS_CREATE, 0, &file, &f.err));
    refused(TX_ENOTDIR, txfs_open(txn, "a/b", TXFS_CREATE, 0, &file, &f.err));
    refused(TX_EISDIR, txfs_open(txn, "d", TXFS_READ, 0, &file, &f.err));
    refused(TX_EISDIR, txfs_open(txn, "", TXFS_READ, 0, &file, &f.err));
    refused(TX_EISDIR, txfs_put(txn, "", "x", 1, NULL, &f.err));
    refused(TX_ETYPE, txfs_open(txn, "p", TXFS_READ, 0, &file, &f.err));
    refused(TX_ETYPE, txfs_open(txn, "l", TXFS_READ | TXFS_NOFOLLOW, 0, &file, &f.err));
    refused(TX_EEXIST, txfs_open(txn, "a", TXFS_CREATE | TXFS_EXCLUSIVE, 0, &file, &f.err));
    refused(TX_EEXIST, txfs_open(txn, "l", TXFS_CREATE | TXFS_EXCLUSIVE, 0, &file, &f.err));
    refused(TX_EINVAL, txfs_open(txn, "a", 1u << 30, 0, &file, &f.err));
    refused(TX_EINVAL, txfs_open(txn, "a", TXFS_CREATE, 010000, &file, &f.err));
    must(txfs_open(txn, "l", TXFS_READ, 0, &file, &f.err));
    cr_assert(shows(file, "x"));
    refused(TX_EMISUSE, txfs_pwrite(file, "y", 1, 0, &f.err));
    txfs_abandon(file);
    ktm_rollback(txn);
}

Test(txfs_file, a_replaced_file_keeps_its_mode_unless_told)
{
    TX_AUTO(fs_fixture) f = fs_fixture_new();
    make_file(f.root, "a", "x");
    cr_assert_eq(fchmodat(f.root, "a", 0751, 0), 0);
    struct ktm_txn *txn = fs_begin(&f);
    struct txio_stat stat;
    fs_put(&f, txn, "a", "y");
    must(txfs_stat(txn, "a", &stat, &f.err));
    cr_assert_eq(stat.mode & 07777, 0751u);
    struct txio_attr attr = {.mask = TXIO_ATTR_MODE | TXIO_ATTR_TIMES,
                             .mode = 0600,
                             .atime_ns = TXFS_KEEP_TIME,
                             .mtime_ns = 12345};
    must(txfs_put(txn, "a", "z", 1, &attr, &f.err));
    must(txfs_stat(txn, "a", &stat, &f.err));
    cr_assert_eq(stat.mode & 07777, 0600u);
    cr_assert_eq(stat.mtime_ns, 12345);
    cr_assert_eq(stat.ino, 0u);
    attr = (struct txio_attr){.mask = TXIO_ATTR_MODE | TXIO_ATTR_TIMES | TXIO_ATTR_OWNER,
                              .mode = TXFS_KEEP_MODE,
                              .uid = TXFS_KEEP_ID,
                              .gid = TXFS_KEEP_ID,
                              .atime_ns = 7,
                              .mtime_ns = TXFS_KEEP_TIME};
    must(txfs_put(txn, "a", "kept", 4, &attr, &f.err));
    must(txfs_stat(txn, "a", &stat, &f.err));
    cr_assert_eq(stat.mode & 07777, 0600u);
    cr_assert_eq(stat.uid, getuid());
    cr_assert_eq(stat.atime_ns, 7);
    cr_assert_neq(stat.mtime_ns, 12345); /* the new object's own: now */
    ktm_rollback(txn);
}

Test(txfs_file, changed_bytes_are_staged_when_the_transaction_has_many_bytes_inline)
{
    TX_AUTO(fs_fixture) f = fs_fixture_with(100, 100);
    static const char data[100];
    make_file(f.root, "a", "0123456789");
    struct ktm_txn *txn = fs_begin(&f);
    must(txfs_put(txn, "b", data, 99, NULL, &f.err));
    struct txfs_file *file = open_file(&f, txn, "a", TXFS_WRITE);
    write_text(&f, file, "AB", 2);
    must(txfs_close(file, &f.err));
    cr_assert(fs_file_is(&f, txn, "a", "01AB456789"));
    must(ktm_commit(txn, NULL, &f.err));
    cr_assert(file_is(f.root, "a", "01AB456789"));
}

Test(txfs_file, a_part_before_what_was_written_shows_the_file)
{
    TX_AUTO(fs_fixture) f = fs_fixture_new();
    make_file(f.root, "a", "0123456789");
    struct ktm_txn *txn = fs_begin(&f);
    struct txfs_file *file = open_file(&f, txn, "a", TXFS_WRITE);
    char data[4];
    size_t size;
    write_text(&f, file, "X", 8);
    must(txfs_pread(file, data, 4, 2, &size, &f.err));
    cr_assert(size == 4 && memcmp(data, "2345", 4) == 0);
    must(txfs_pread(file, data, 4, 6, &size, &f.err));
    cr_assert(size == 4 && memcmp(data, "67X9", 4) == 0);
    txfs_abandon(file);
    ktm_rollback(txn);
}

/* Zeros follow what the other handle has left, not what this one saw. */
Test(txfs_file, a_file_that_one_handle_cuts_and_another_lengthens)
{
    TX_AUTO(fs_fixture) f = fs_fixture_new();
    make_file(f.root, "a", "0123456789");
    struct ktm_txn *txn = fs_begin(&f);
    struct txfs_file *one = open_file(&f, txn, "a", TXFS_WRITE);
    struct txfs_file *two = open_file(&f, txn, "a", TXFS_WRITE);
    must(txfs_ftruncate(one, 3, &f.err));
    must(txfs_ftruncate(two, 12, &f.err));
    must(txfs_close(one, &f.err));
    must(txfs_close(two, &f.err));
    struct txfs_file *file = open_file(&f, txn, "a", TXFS_READ);
    char data[16];
    size_t size;
    must(txfs_read(file, data, sizeof data, &size, &f.err));
    cr_assert(size == 12 && memcmp(data, "012\0\0\0\0\0\0\0\0\0", 12) == 0);
    txfs_abandon(file);
    ktm_rollback(txn);
}
