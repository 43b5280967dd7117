/* SPDX-License-Identifier: MIT */
/* Open files while the view changes under them. */
#include "failing_alloc.h"
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

Test(txfs_file_registry, a_handle_follows_what_others_close)
{
    TX_AUTO(fs_fixture) f = fs_fixture_new();
    make_file(f.root, "a", "old");
    struct ktm_txn *txn = fs_begin(&f);
    struct txfs_file *reader = open_file(&f, txn, "a", TXFS_READ);
    cr_assert(shows(reader, "old"));
    fs_put(&f, txn, "a", "newer");
    cr_assert(shows(reader, "newer"));
    cr_assert_eq(txfs_size(reader), 5u);
    must(txfs_rename(txn, "a", "b", 0, &f.err));
    cr_assert(shows(reader, "newer"));
    fs_put(&f, txn, "b", "newest");
    cr_assert(shows(reader, "newest"));
    must(txfs_unlink(txn, "b", &f.err));
    cr_assert(shows(reader, "newest")); /* as with an unlinked file that is still open */
    txfs_abandon(reader);
    ktm_rollback(txn);
}

Test(txfs_file_registry, writing_to_a_file_without_a_name_is_forgotten)
{
    TX_AUTO(fs_fixture) f = fs_fixture_new();
    make_file(f.root, "a", "old");
    struct ktm_txn *txn = fs_begin(&f);
    struct txfs_file *file = open_file(&f, txn, "a", TXFS_WRITE);
    write_text(&f, file, "n", 0);
    must(txfs_unlink(txn, "a", &f.err));
    must(txfs_close(file, &f.err));
    cr_assert_not(fs_exists(&f, txn, "a"));
    ktm_rollback(txn);
}

Test(txfs_file_registry, a_writer_follows_its_file_when_it_is_renamed)
{
    TX_AUTO(fs_fixture) f = fs_fixture_new();
    make_dir(f.root, "d");
    make_file(f.root, "d/a", "old");
    struct ktm_txn *txn = fs_begin(&f);
    struct txfs_file *file = open_file(&f, txn, "d/a", TXFS_WRITE);
    write_text(&f, file, "n", 0);
    must(txfs_rename(txn, "d", "e", 0, &f.err));
    must(txfs_close(file, &f.err));
    cr_assert(fs_file_is(&f, txn, "e/a", "nld"));
    ktm_rollback(txn);
}

Test(txfs_file_registry, savepoints_cover_open_files)
{
    TX_AUTO(fs_fixture) f = fs_fixture_new();
    make_file(f.root, "a", "old");
    struct ktm_txn *txn = fs_begin(&f);
    struct txfs_file *file = open_file(&f, txn, "a", TXFS_WRITE | TXFS_TRUNCATE);
    write_text(&f, file, "one", 0);
    must(ktm_savepoint(txn, "s", &f.err));
    cr_assert(fs_file_is(&f, txn, "a", "one"));
    write_text(&f, file, "TWO", 0);
    must(ktm_rollback_to(txn, "s", &f.err));
    cr_assert(shows(file, "one"));
    write_text(&f, file, "3", 2);
    must(txfs_close(file, &f.err));
    cr_assert(fs_file_is(&f, txn, "a", "on3"));
    ktm_rollback(txn);
}

Test(txfs_file_registry, a_file_opened_after_the_savepoint_is_gone_after_rolling_back)
{
    TX_AUTO(fs_fixture) f = fs_fixture_new();
    struct ktm_txn *txn = fs_begin(&f);
    must(ktm_savepoint(txn, "s", &f.err));
    struct txfs_file *file = open_file(&f, txn, "a", TXFS_WRITE | TXFS_CREATE);
    write_text(&f, file, "one", 0);
    must(ktm_rollback_to(txn, "s", &f.err));
    char data[4];
    size_t size;
    refused(TX_ENOTFOUND, txfs_pread(file, data, 4, 0, &size, &f.err));
    must(txfs_close(file, &f.err));
    cr_assert_not(fs_exists(&f, txn, "a"));
    ktm_rollback(txn);
}

Test(txfs_file_registry, handles_outlive_their_transaction_harmlessly)
{
    TX_AUTO(fs_fixture) f = fs_fixture_new();
    struct ktm_txn *txn = fs_begin(&f);
    struct txfs_file *file = open_file(&f, txn, "a", TXFS_WRITE | TXFS_CREATE);
    write_text(&f, file, "one", 0);
    ktm_rollback(txn);
    refused(TX_EMISUSE, txfs_pwrite(file, "x", 1, 0, &f.err));
    cr_assert_eq(txfs_size(file), 0u);
    refused(TX_EMISUSE, txfs_close(file, &f.err));
}

Test(txfs_file_registry, files_open_at_detach_are_part_of_the_transaction)
{
    TX_AUTO(fs_fixture) f = fs_fixture_with(16, 0);
    make_file(f.root, "a", "0123456789");
    struct ktm_txn *txn = fs_begin(&f);
    struct ktm_id id = ktm_txn_id(txn);
    struct txfs_file *file = open_file(&f, txn, "a", TXFS_WRITE);
    write_text(&f, file, "X", 3);
    fs_put(&f, txn, "large", "more than sixteen bytes, so it is staged");
    must(ktm_detach(txn, &f.err));
    txfs_abandon(file);
    must(ktm_attach(f.tm, &id, &txn, &f.err));
    cr_assert(fs_file_is(&f, txn, "a", "012X456789"));
    cr_assert(fs_file_is(&f, txn, "large", "more than sixteen bytes, so it is staged"));
    fs_put(&f, txn, "large2", "one more that does not fit, numbered anew");
    cr_assert(fs_file_is(&f, txn, "large", "more than sixteen bytes, so it is staged"));
    ktm_rollback(txn);
}

Test(txfs_file_registry, no_descriptor_is_left_open)
{
    int before = open_descriptors();
    {
        TX_AUTO(fs_fixture) f = fs_fixture_with(8, 0);
        make_dir(f.root, "d");
        make_file(f.root, "d/a", "0123456789");
        struct ktm_txn *txn = fs_begin(&f);
        struct txfs_file *file = open_file(&f, txn, "d/a", TXFS_WRITE);
        write_text(&f, file, "many bytes for a staged file", 0);
        must(txfs_close(file, &f.err));
        fs_put(&f, txn, "b", "staged as well, by its size");
        cr_assert(fs_file_is(&f, txn, "b", "staged as well, by its size"));
        file = open_file(&f, txn, "c", TXFS_WRITE | TXFS_CREATE);
        write_text(&f, file, "still open at the end", 0);
        ktm_rollback(txn);
        txfs_abandon(file);
    }
    cr_assert_eq(open_descriptors(), before);
}

Test(txfs_file_registry, handles_of_other_files_stay_where_they_are)
{
    TX_AUTO(fs_fixture) f = fs_fixture_new();
    make_file(f.root, "a", "a");
    make_file(f.root, "ab", "ab");
    struct ktm_txn *txn = fs_begin(&f);
    struct txfs_file *file = open_file(&f, txn, "ab", TXFS_WRITE);
    must(txfs_rename(txn, "a", "c", 0, &f.err));
    write_text(&f, file, "X", 0);
    must(txfs_close(file, &f.err));
    cr_assert(fs_file_is(&f, txn, "ab", "Xb"));
    cr_assert(fs_file_is(&f, txn, "c", "a"));
    ktm_rollback(txn);
}

Test(txfs_file_registry, a_replacement_is_made_although_the_old_file_goes_meanwhile)
{
    TX_AUTO(fs_fixture) f = fs_fixture_new();
    make_file(f.root, "a", "old");
    struct ktm_txn *txn = fs_begin(&f);
    struct txfs_file *file = open_file(&f, txn, "a", TXFS_WRITE | TXFS_TRUNCATE);
    write_text(&f, file, "new", 0);
    must(txfs_unlink(txn, "a", &f.err));
    must(txfs_close(file, &f.err));
    cr_assert(fs_file_is(&f, txn, "a", "new"));
    ktm_rollback(txn);
}

Test(txfs_file_registry, a_handle_goes_on_showing_what_another_program_removed)
{
    TX_AUTO(fs_fixture) f = fs_fixture_new();
    make_file(f.root, "a", "old");
    struct ktm_txn *txn = fs_begin(&f);
    struct txfs_file *file = open_file(&f, txn, "a", TXFS_READ);
    cr_assert_eq(unlinkat(f.root, "a", 0), 0);
    fs_put(&f, txn, "b", "the view has changed");
    cr_assert(shows(file, "old"));
    txfs_abandon(file);
    ktm_rollback(txn);
}

Test(txfs_file_registry, a_file_that_is_a_directory_after_rolling_back_is_gone)
{
    TX_AUTO(fs_fixture) f = fs_fixture_new();
    make_dir(f.root, "a");
    struct ktm_txn *txn = fs_begin(&f);
    must(ktm_savepoint(txn, "s", &f.err));
    must(txfs_rmdir(txn, "a", &f.err));
    fs_put(&f, txn, "a", "a file");
    struct txfs_file *file = open_file(&f, txn, "a", TXFS_WRITE);
    must(ktm_rollback_to(txn, "s", &f.err));
    refused(TX_ENOTFOUND, txfs_pwrite(file, "x", 1, 0, &f.err));
    must(txfs_close(file, &f.err));
    cr_assert_str_eq(fs_list(&f, txn, "a"), "");
    ktm_rollback(txn);
}

Test(txfs_file_registry, closing_nothing_is_nothing)
{
    txfs_rm_close(NULL);
}

/* Memory runs out at each allocation of saving; then at each of cutting what was not saved. */
static bool cut_after_failing(struct fs_fixture *fixture, size_t saving, size_t cutting)
{
    struct fs_fixture f = *fixture;
    struct ktm_txn *txn = fs_begin(&f);
    struct txfs_file *file = open_file(&f, txn, "a", TXFS_WRITE | TXFS_CREATE | TXFS_TRUNCATE);
    write_text(&f, file, "more than eight bytes", 0);
    failing_alloc_begin(saving);
    enum tx_status saved = ktm_savepoint(txn, "s", &f.err);
    failing_alloc.left = cutting;
    failing_alloc.failed = 0;
    enum tx_status cut = txfs_ftruncate(file, 4, &f.err);
    bool failed = failing_alloc_end();
    cr_assert(saved == TX_OK || saved == TX_ENOMEM);
    if (cut != TX_OK) {
        cr_assert(failed && cut == TX_ENOMEM);
        must(txfs_ftruncate(file, 4, &f.err));
    }
    struct txio_stat stat;
    if (txfs_stat(txn, "", &stat, &f.err) == TX_OK) {
        must(txfs_close(file, &f.err));
        cr_assert(fs_file_is(&f, txn, "a", "more"));
        must(ktm_commit(txn, NULL, &f.err));
        cr_assert(file_is(f.root, "a", "more"));
        return failed || saved != TX_OK;
    }
    refused(TX_EABORTED, txfs_close(file, &f.err));
    refused(TX_EABORTED, ktm_commit(txn, NULL, &f.err));
    return true;
}

Test(txfs_file_registry, what_could_not_be_saved_can_still_be_cut)
{
    TX_AUTO(fs_fixture) f = fs_fixture_with(8, 0);
    make_file(f.root, "a", "old");
    bool failed = true;
    for (size_t saving = 0; failed; saving++) {
        failed = false;
        for (size_t cutting = 0; cutting < 4; cutting++) {
            failed = cut_after_failing(&f, saving, cutting) || failed;
        }
        cr_assert_lt(saving, 100u);
    }
}
