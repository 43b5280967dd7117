/* SPDX-License-Identifier: MIT */
/* Who wins when two want the same object, and what the loser is told. */
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store_fixture.h"

static struct txstore *store;
static struct ktm_txn *first;
static struct ktm_txn *second;

static void put(struct ktm_txn *txn, const char *path, const char *text)
{
    must(txfs_put(txn, path, text, strlen(text), NULL, &fixture_err));
}

static void begin_both(void)
{
    must(txstore_begin(store, NULL, &first, &fixture_err));
    must(txstore_begin(store, NULL, &second, &fixture_err));
}

static void setup(void)
{
    struct ktm_txn *txn = NULL;
    fixture_make(NULL);
    store = fixture_open();
    must(txstore_begin(store, NULL, &txn, &fixture_err));
    must(txfs_mkdir(txn, "d", 0755, &fixture_err));
    put(txn, "d/f", "zero");
    must(txreg_create(txn, "Key\\Sub", NULL, NULL, &fixture_err));
    must(txreg_set_string(txn, "Key", "v", "zero", &fixture_err));
    must(ktm_commit(txn, NULL, &fixture_err));
    begin_both();
}

static void teardown(void)
{
    fixture_close(store);
    fixture_remove();
}

TestSuite(store_conflict, .init = setup, .fini = teardown, .timeout = 60);

/* Commit the first; the second must be refused with a text that has both words in it. */
static void expect_second_loses(const char *object, const char *word)
{
    must(ktm_commit(first, NULL, &fixture_err));
    cr_expect_eq(ktm_commit(second, NULL, &fixture_err), TX_ECONFLICT, "%s", fixture_err.text);
    cr_expect(strstr(fixture_err.text, object), "%s", fixture_err.text);
    cr_expect(strstr(fixture_err.text, word), "%s", fixture_err.text);
}

static void expect_both_win(void)
{
    must(ktm_commit(first, NULL, &fixture_err));
    must(ktm_commit(second, NULL, &fixture_err));
}

static void write_in_place(struct ktm_txn *txn, const char *path)
{
    struct txfs_file *file = NULL;
    must(txfs_open(txn, path, TXFS_WRITE, 0, &file, &fixture_err));
    must(txfs_pwrite(file, "x", 1, 0, &fixture_err));
    must(txfs_close(file, &fixture_err));
}

static void begin_with_two_names(void)
{
    struct ktm_txn *link = NULL;
    ktm_rollback(first);
    ktm_rollback(second);
    must(txstore_begin(store, NULL, &link, &fixture_err));
    must(txfs_link(link, "d/f", "other", &fixture_err));
    must(ktm_commit(link, NULL, &fixture_err));
    begin_both();
}

/* The second votes on what the first has only appended, so that only the keys can tell. */
static void expect_keys_tell(void)
{
    struct ktm_id id = ktm_txn_id(first);
    must(ktm_prepare(first, &fixture_err)); /* nothing of it is in the tree yet */
    cr_expect_eq(ktm_commit(second, NULL, &fixture_err), TX_ECONFLICT, "%s", fixture_err.text);
    must(ktm_commit_prepared(txstore_ktm(store), &id, NULL, &fixture_err));
}

Test(store_conflict, two_names_of_one_file_are_one_object)
{
    begin_with_two_names();
    write_in_place(first, "d/f");
    write_in_place(second, "other");
    expect_keys_tell();
}

Test(store_conflict, what_is_replaced_under_one_name_may_change_under_another)
{
    begin_with_two_names();
    write_in_place(first, "d/f");
    put(second, "other", "new");
    expect_keys_tell();
}

static void write_behind_the_back(const char *name, const char *text)
{
    char path[256];
    snprintf(path, sizeof path, "%s/%s", fixture_root, name);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    cr_assert(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
    close(fd);
}

static void expect_content(const char *name, const char *text)
{
    char path[256];
    char content[64] = "";
    snprintf(path, sizeof path, "%s/%s", fixture_root, name);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    cr_assert(fd >= 0 && read(fd, content, sizeof content - 1) >= 0);
    close(fd);
    cr_expect_str_eq(content, text);
}

Test(store_conflict, same_file_first_committer_wins)
{
    put(first, "d/f", "one");
    put(second, "d/f", "two");
    expect_second_loses("d/f", "transaction");
    expect_content("d/f", "one");
}

Test(store_conflict, same_new_name)
{
    put(first, "d/new", "one");
    put(second, "d/new", "two");
    expect_second_loses("d/new", "transaction");
}

/* Of two participants each has its say. */
Test(store_conflict, files_agree_and_settings_do_not)
{
    put(first, "d/a", "one");
    put(second, "d/b", "two");
    must(txreg_set_string(first, "Key", "v", "one", &fixture_err));
    must(txreg_set_string(second, "Key", "v", "two", &fixture_err));
    expect_second_loses("v", "transaction");
}

Test(store_conflict, settings_agree_and_files_do_not)
{
    put(first, "d/f", "one");
    put(second, "d/f", "two");
    must(txreg_set_string(first, "Key", "a", "one", &fixture_err));
    must(txreg_set_string(second, "Key", "b", "two", &fixture_err));
    expect_second_loses("d/f", "transaction");
    expect_content("d/f", "one");
}

Test(store_conflict, siblings_do_not_conflict)
{
    put(first, "d/a", "one");
    put(second, "d/b", "two");
    expect_both_win();
}

Test(store_conflict, creating_below_a_directory_that_was_removed)
{
    must(txfs_remove_tree(first, "d", &fixture_err));
    put(second, "d/new", "two");
    expect_second_loses("d", "");
}

Test(store_conflict, removing_a_directory_that_got_a_file)
{
    put(first, "d/new", "one");
    must(txfs_remove_tree(second, "d", &fixture_err));
    must(ktm_commit(first, NULL, &fixture_err));
    cr_expect_eq(ktm_commit(second, NULL, &fixture_err), TX_ECONFLICT, "%s", fixture_err.text);
    expect_content("d/new", "one");
}

Test(store_conflict, same_value)
{
    must(txreg_set_string(first, "Key", "v", "one", &fixture_err));
    must(txreg_set_string(second, "KEY", "V", "two", &fixture_err));
    expect_second_loses("Key", "commit");
}

Test(store_conflict, different_values_of_one_key_do_not_conflict)
{
    must(txreg_set_string(first, "Key", "a", "one", &fixture_err));
    must(txreg_set_string(second, "Key", "b", "two", &fixture_err));
    expect_both_win();
}

Test(store_conflict, value_in_a_key_that_was_deleted)
{
    must(txreg_delete_tree(first, "Key", &fixture_err));
    must(txreg_set_string(second, "Key\\Sub", "v", "two", &fixture_err));
    expect_second_loses("Key", "");
}

Test(store_conflict, ordinary_program_changed_the_file)
{
    put(first, "d/f", "one");
    must(txreg_set_string(first, "Key", "v", "one", &fixture_err));
    write_behind_the_back("d/f", "foreign");
    cr_expect_eq(ktm_commit(first, NULL, &fixture_err), TX_ECONFLICT);
    cr_expect(strstr(fixture_err.text, "d/f"), "%s", fixture_err.text);
    cr_expect(strstr(fixture_err.text, "another program"), "%s", fixture_err.text);
    expect_content("d/f", "foreign");
    char *text = NULL;
    struct ktm_txn *txn = NULL;
    must(txstore_begin(store, NULL, &txn, &fixture_err));
    must(txreg_get_string(txn, "Key", "v", &text, &fixture_err));
    cr_expect_str_eq(text, "zero", "the registry part is not there either");
    free(text);
    ktm_rollback(txn);
    ktm_rollback(second);
}

Test(store_conflict, ordinary_program_took_the_new_name)
{
    put(first, "d/new", "one");
    write_behind_the_back("d/new", "foreign");
    cr_expect_eq(ktm_commit(first, NULL, &fixture_err), TX_ECONFLICT);
    expect_content("d/new", "foreign");
    ktm_rollback(second);
}

Test(store_conflict, write_skew_is_refused_only_when_serializable)
{
    struct ktm_begin_options serializable = {.flags = KTM_SERIALIZABLE};
    struct txio_stat stat;
    char *text = NULL;
    ktm_rollback(second);
    must(txstore_begin(store, &serializable, &second, &fixture_err));
    must(txfs_stat(second, "d/f", &stat, &fixture_err));
    must(txreg_get_string(second, "Key", "v", &text, &fixture_err));
    free(text);
    put(second, "d/mine", "two");
    put(first, "d/f", "one");
    must(ktm_commit(first, NULL, &fixture_err));
    cr_expect_eq(ktm_commit(second, NULL, &fixture_err), TX_ECONFLICT, "%s", fixture_err.text);
}

Test(store_conflict, snapshot_stays_while_others_commit)
{
    char *text = NULL;
    struct txfs_file *file = NULL;
    char content[16] = "";
    size_t done = 0;
    put(first, "d/f", "one");
    must(txreg_set_string(first, "Key", "v", "one", &fixture_err));
    must(ktm_commit(first, NULL, &fixture_err));
    must(txfs_open(second, "d/f", TXFS_READ, 0, &file, &fixture_err));
    must(txfs_pread(file, content, sizeof content - 1, 0, &done, &fixture_err));
    txfs_abandon(file);
    cr_expect_str_eq(content, "zero");
    must(txreg_get_string(second, "Key", "v", &text, &fixture_err));
    cr_expect_str_eq(text, "zero");
    free(text);
    ktm_rollback(second);
}

Test(store_conflict, deleted_file_is_still_read_by_an_older_snapshot)
{
    struct txio_stat stat;
    struct txfs_dir *dir = NULL;
    const char *name = NULL;
    unsigned type;
    must(txfs_unlink(first, "d/f", &fixture_err));
    put(first, "d/g", "new");
    must(ktm_commit(first, NULL, &fixture_err));
    must(txfs_stat(second, "d/f", &stat, &fixture_err));
    cr_expect_eq(stat.size, 4);
    cr_expect_eq(txfs_stat(second, "d/g", &stat, &fixture_err), TX_ENOTFOUND);
    must(txfs_dir_open(second, "d", &dir, &fixture_err));
    cr_expect(txfs_dir_next(dir, &name, &type));
    cr_expect_str_eq(name, "f");
    cr_expect_not(txfs_dir_next(dir, &name, &type));
    txfs_dir_close(dir);
    ktm_rollback(second);
}
