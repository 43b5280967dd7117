/* SPDX-License-Identifier: MIT */
#include "fs_changes.h"

#define BIG FS_CHANGES_BIG
enum { BIG_SIZE = sizeof BIG - 1 };

/* --- Handles that stay open --- */

static struct txfs_file *held[2];

static enum tx_status hold(struct ktm_txn *txn, unsigned at, const char *path, unsigned flags,
                           struct tx_error *err)
{
    return txfs_open(txn, path, flags, 0644, &held[at], err);
}

enum tx_status fs_changes_close(struct tx_error *err)
{
    enum tx_status status = TX_OK;
    for (unsigned i = 0; i < 2; i++) {
        enum tx_status closed = held[i] != NULL ? txfs_close(held[i], err) : TX_OK;
        status = status == TX_OK ? closed : status;
        held[i] = NULL;
    }
    return status;
}

/* Open, write, close: one change, made by the closing. */
static enum tx_status write_at(struct ktm_txn *txn, const char *path, unsigned flags,
                               const char *text, uint64_t offset, struct tx_error *err)
{
    struct txfs_file *file;
    TX_TRY(txfs_open(txn, path, flags, 0644, &file, err));
    enum tx_status status = txfs_pwrite(file, text, strlen(text), offset, err);
    if (status != TX_OK) {
        txfs_abandon(file);
        return status;
    }
    return txfs_close(file, err);
}

static enum tx_status put_text(struct ktm_txn *txn, const char *path, const char *text,
                               struct tx_error *err)
{
    return txfs_put(txn, path, text, strlen(text), NULL, err);
}

/* --- New objects --- */

static enum tx_status make_directory(struct ktm_txn *txn, struct tx_error *err)
{
    return txfs_mkdir(txn, "d/new", 0755, err);
}

static enum tx_status make_parents(struct ktm_txn *txn, struct tx_error *err)
{
    return txfs_mkdir_parents(txn, "l/x/y", 0755, err);
}

static enum tx_status make_link(struct ktm_txn *txn, struct tx_error *err)
{
    return txfs_symlink(txn, "../single", "l/new", err);
}

static enum tx_status make_second_name(struct ktm_txn *txn, struct tx_error *err)
{
    return txfs_link(txn, "d/a", "d/second", err);
}

static enum tx_status make_third_name(struct ktm_txn *txn, struct tx_error *err)
{
    return txfs_link(txn, "d/second", "l/third", err);
}

static enum tx_status put_small(struct ktm_txn *txn, struct tx_error *err)
{
    return put_text(txn, "l/new", "small", err);
}

static enum tx_status put_big(struct ktm_txn *txn, struct tx_error *err)
{
    return put_text(txn, "l/new", BIG, err);
}

static enum tx_status put_over(struct ktm_txn *txn, struct tx_error *err)
{
    return put_text(txn, "single", "small", err);
}

static enum tx_status create_by_handle(struct ktm_txn *txn, struct tx_error *err)
{
    return write_at(txn, "d/e/new", TXFS_CREATE, BIG, 3, err);
}

/* In memory, then in a staged file, cut in both, with holes, not in order. */
static enum tx_status write_about(struct ktm_txn *txn, struct tx_error *err)
{
    struct txfs_file *file;
    char data[64];
    size_t size;
    TX_TRY(txfs_open(txn, "d/b", TXFS_WRITE | TXFS_TRUNCATE, 0, &file, err));
    enum tx_status status = txfs_pwrite(file, "01234567", 8, 0, err);
    status = status == TX_OK ? txfs_pwrite(file, "ab", 2, 2, err) : status;
    status = status == TX_OK ? txfs_ftruncate(file, 6, err) : status;
    status = status == TX_OK ? txfs_ftruncate(file, 20, err) : status;
    status = status == TX_OK ? txfs_pread(file, data, sizeof data, 10, &size, err) : status;
    status = status == TX_OK ? txfs_pwrite(file, BIG, BIG_SIZE, 4, err) : status;
    status = status == TX_OK ? txfs_pwrite(file, "ab", 2, 1, err) : status;
    status = status == TX_OK ? txfs_ftruncate(file, 30, err) : status;
    status = status == TX_OK ? txfs_ftruncate(file, 40, err) : status;
    status = status == TX_OK ? txfs_pread(file, data, sizeof data, 35, &size, err) : status;
    if (status != TX_OK) {
        txfs_abandon(file);
        return status;
    }
    return txfs_close(file, err);
}

/* Nothing but a hole. */
static enum tx_status create_hole_of(struct ktm_txn *txn, uint64_t size, struct tx_error *err)
{
    struct txfs_file *file;
    TX_TRY(txfs_open(txn, "d/hole", TXFS_CREATE, 0644, &file, err));
    enum tx_status status = txfs_ftruncate(file, size, err);
    if (status != TX_OK) {
        txfs_abandon(file);
        return status;
    }
    return txfs_close(file, err);
}

static enum tx_status create_small_hole(struct ktm_txn *txn, struct tx_error *err)
{
    return create_hole_of(txn, 8, err);
}

static enum tx_status create_big_hole(struct ktm_txn *txn, struct tx_error *err)
{
    return create_hole_of(txn, 100, err);
}

/* So many bytes inline that no more may be. */
static enum tx_status fill_inline(struct ktm_txn *txn, struct tx_error *err)
{
    TX_TRY(put_text(txn, "d/full", "12345678", err));
    return put_text(txn, "d/full2", "12345678", err);
}

/* --- Files updated in place --- */

static enum tx_status update_small(struct ktm_txn *txn, struct tx_error *err)
{
    return write_at(txn, "d/a", TXFS_WRITE, "AB", 2, err);
}

static enum tx_status update_big(struct ktm_txn *txn, struct tx_error *err)
{
    return write_at(txn, "d/a", TXFS_WRITE, BIG, 2, err);
}

static enum tx_status update_further(struct ktm_txn *txn, struct tx_error *err)
{
    return write_at(txn, "d/a", TXFS_WRITE, "CD", 7, err);
}

static enum tx_status update_twin(struct ktm_txn *txn, struct tx_error *err)
{
    struct txio_stat stat;
    TX_TRY(txfs_stat(txn, "d/a", &stat, err)); /* the transaction has met both names */
    return write_at(txn, "twin", TXFS_WRITE, "EF", 4, err);
}

static enum tx_status update_own(struct ktm_txn *txn, struct tx_error *err)
{
    return write_at(txn, "d/e/new", TXFS_WRITE, "AB", 1, err);
}

static enum tx_status cut_file(struct ktm_txn *txn, struct tx_error *err)
{
    return txfs_truncate(txn, "d/a", 4, err);
}

static enum tx_status cut_own(struct ktm_txn *txn, struct tx_error *err)
{
    return txfs_truncate(txn, "d/e/new", 4, err);
}

static enum tx_status savepoint(struct ktm_txn *txn, struct tx_error *err)
{
    return ktm_savepoint(txn, "s", err);
}

/* Two handles of one file, both written through. */
static enum tx_status hold_two(struct ktm_txn *txn, struct tx_error *err)
{
    TX_TRY(hold(txn, 0, "d/a", TXFS_WRITE, err));
    TX_TRY(hold(txn, 1, "d/a", TXFS_WRITE, err));
    TX_TRY(txfs_pwrite(held[0], BIG, BIG_SIZE, 7, err));
    TX_TRY(txfs_pwrite(held[1], BIG, BIG_SIZE, 5, err));
    return txfs_ftruncate(held[1], 30, err);
}

static enum tx_status hold_two_cut(struct ktm_txn *txn, struct tx_error *err)
{
    TX_TRY(hold(txn, 0, "d/a", TXFS_WRITE, err));
    TX_TRY(hold(txn, 1, "d/a", TXFS_WRITE, err));
    TX_TRY(txfs_pwrite(held[1], "longer!", 7, 1, err));
    return txfs_ftruncate(held[0], 3, err);
}

/* A new file, an update; neither is an entry yet. */
static enum tx_status hold_new(struct ktm_txn *txn, struct tx_error *err)
{
    TX_TRY(hold(txn, 0, "d/e/new", TXFS_WRITE | TXFS_CREATE | TXFS_TRUNCATE, err));
    TX_TRY(hold(txn, 1, "single", TXFS_WRITE, err));
    TX_TRY(txfs_pwrite(held[0], BIG, BIG_SIZE, 0, err));
    TX_TRY(txfs_ftruncate(held[0], 100, err));
    TX_TRY(txfs_pwrite(held[1], "AB", 2, 2, err));
    return txfs_rename(txn, "other", "another", 0, err); /* directories are looked for anew */
}

/* Nothing was written through the handle, and the view has changed since it was opened. */
static enum tx_status hold_and_change(struct ktm_txn *txn, struct tx_error *err)
{
    TX_TRY(update_big(txn, err));
    TX_TRY(hold(txn, 0, "d/a", TXFS_WRITE, err));
    return make_directory(txn, err);
}

static enum tx_status read_on(struct ktm_txn *txn, struct tx_error *err)
{
    char data[64];
    size_t size;
    (void)txn;
    return txfs_pread(held[0], data, sizeof data, 0, &size, err);
}

static enum tx_status write_on(struct ktm_txn *txn, struct tx_error *err)
{
    (void)txn;
    return txfs_write(held[0], "AB", 2, err);
}

static enum tx_status cut_on(struct ktm_txn *txn, struct tx_error *err)
{
    (void)txn;
    return txfs_ftruncate(held[0], 9, err);
}

/* --- Attributes --- */

static enum tx_status set_attributes(struct ktm_txn *txn, struct tx_error *err)
{
    struct txio_attr attr = {.mask = TXIO_ATTR_MODE | TXIO_ATTR_TIMES, .mode = 0600,
                             .mtime_ns = 5, .atime_ns = 6};
    return txfs_set_attr(txn, "d/a", &attr, err);
}

static enum tx_status set_directory_attributes(struct ktm_txn *txn, struct tx_error *err)
{
    struct txio_attr attr = {.mask = TXIO_ATTR_MODE, .mode = 0700};
    return txfs_set_attr(txn, "d", &attr, err);
}

static enum tx_status set_xattr(struct ktm_txn *txn, struct tx_error *err)
{
    return txfs_set_xattr(txn, "single", "user.new", "22", 2, err);
}

static enum tx_status set_first_xattr(struct ktm_txn *txn, struct tx_error *err)
{
    return txfs_set_xattr(txn, "single", "user.a", "3", 1, err);
}

static enum tx_status remove_xattr(struct ktm_txn *txn, struct tx_error *err)
{
    return txfs_remove_xattr(txn, "single", "user.x", err);
}

/* --- Names that go, and change --- */

static enum tx_status unlink_file(struct ktm_txn *txn, struct tx_error *err)
{
    return txfs_unlink(txn, "d/a", err);
}

static enum tx_status unlink_twin(struct ktm_txn *txn, struct tx_error *err)
{
    return txfs_unlink(txn, "twin", err);
}

static enum tx_status remove_directory(struct ktm_txn *txn, struct tx_error *err)
{
    return txfs_rmdir(txn, "d/e", err);
}

static enum tx_status remove_all(struct ktm_txn *txn, struct tx_error *err)
{
    return txfs_remove_tree(txn, "d", err);
}

static enum tx_status move_directory(struct ktm_txn *txn, struct tx_error *err)
{
    return txfs_rename(txn, "d", "m", 0, err);
}

static enum tx_status move_back(struct ktm_txn *txn, struct tx_error *err)
{
    return txfs_rename(txn, "m", "d", 0, err);
}

static enum tx_status move_over(struct ktm_txn *txn, struct tx_error *err)
{
    return txfs_rename(txn, "single", "d/a", 0, err);
}

static enum tx_status exchange_directories(struct ktm_txn *txn, struct tx_error *err)
{
    return txfs_rename(txn, "d", "n", TXIO_EXCHANGE, err);
}

static enum tx_status rollback_to(struct ktm_txn *txn, struct tx_error *err)
{
    return ktm_rollback_to(txn, "s", err);
}

/* --- What was done before --- */

static enum tx_status update_and_name(struct ktm_txn *txn, struct tx_error *err)
{
    TX_TRY(update_twin(txn, err));
    TX_TRY(make_second_name(txn, err));
    return make_third_name(txn, err);
}

static enum tx_status move_then_update(struct ktm_txn *txn, struct tx_error *err)
{
    TX_TRY(txfs_rename(txn, "d/a", "d/e/new", 0, err));
    return update_own(txn, err);
}

static enum tx_status change_what_is_read(struct ktm_txn *txn, struct tx_error *err)
{
    TX_TRY(update_big(txn, err));
    TX_TRY(update_and_name(txn, err));
    TX_TRY(make_link(txn, err));
    TX_TRY(put_text(txn, "d/e/f", BIG, err));
    return put_over(txn, err);
}

static enum tx_status empty_directory(struct ktm_txn *txn, struct tx_error *err)
{
    return txfs_unlink(txn, "d/e/f", err);
}

/* Something of everything below `d`, names from within to without, and the other way. */
static enum tx_status busy(struct ktm_txn *txn, struct tx_error *err)
{
    TX_TRY(update_and_name(txn, err));
    TX_TRY(txfs_link(txn, "d/b", "outside", err));
    TX_TRY(txfs_link(txn, "single", "d/inside", err));
    TX_TRY(txfs_link(txn, "other", "elsewhere", err));
    TX_TRY(put_small(txn, err));
    TX_TRY(empty_directory(txn, err));
    return set_directory_attributes(txn, err);
}

static enum tx_status busy_twice(struct ktm_txn *txn, struct tx_error *err)
{
    TX_TRY(busy(txn, err));
    TX_TRY(txfs_mkdir_parents(txn, "n/o", 0755, err));
    TX_TRY(put_text(txn, "n/o/p", BIG, err));
    TX_TRY(txfs_link(txn, "n/o/p", "q", err));
    TX_TRY(txfs_link(txn, "d/b", "n/inside", err));
    return txfs_link(txn, "n/o/p", "d/r", err);
}

static enum tx_status move_and_update(struct ktm_txn *txn, struct tx_error *err)
{
    TX_TRY(busy(txn, err));
    TX_TRY(move_directory(txn, err));
    return put_text(txn, "m/b", "changed", err);
}

static enum tx_status save_then_change(struct ktm_txn *txn, struct tx_error *err)
{
    TX_TRY(update_and_name(txn, err));
    TX_TRY(savepoint(txn, err));
    TX_TRY(put_big(txn, err));
    return move_directory(txn, err);
}

enum tx_status fs_changes_all(struct ktm_txn *txn, struct tx_error *err)
{
    TX_TRY(fs_changes_look(txn, err));
    TX_TRY(busy_twice(txn, err));
    TX_TRY(txfs_truncate(txn, "twin", UINT64_C(2) << 30, err));
    return txfs_remove_tree(txn, "d/e", err);
}

const struct fs_change fs_changes[] = {
    {"look", NULL, fs_changes_look, false},
    {"look at what was changed", change_what_is_read, fs_changes_look, false},
    {"make a directory", NULL, make_directory, false},
    {"make its parents, too", NULL, make_parents, true},
    {"make a link", NULL, make_link, false},
    {"make a second name", NULL, make_second_name, false},
    {"make a third name", make_second_name, make_third_name, false},
    {"put a small file", NULL, put_small, false},
    {"put a big file", NULL, put_big, false},
    {"put over a file of the tree", NULL, put_over, false},
    {"put over a file with names", busy, put_over, false},
    {"put again", put_big, put_small, false},
    {"create by a handle", NULL, create_by_handle, false},
    {"create a small hole", NULL, create_small_hole, false},
    {"create a big hole", NULL, create_big_hole, false},
    {"write here and there", NULL, write_about, false},
    {"update a few bytes", NULL, update_small, false},
    {"update many bytes", NULL, update_big, false},
    {"update inline, then more", update_small, update_further, false},
    {"update staged, then more", update_big, update_further, false},
    {"update when much is inline", fill_inline, update_small, false},
    {"update by the other name", update_big, update_twin, false},
    {"update a new file", create_by_handle, update_own, false},
    {"update a moved file", move_then_update, update_own, false},
    {"cut a file", NULL, cut_file, false},
    {"cut what was updated", update_big, cut_file, false},
    {"cut a new file", create_by_handle, cut_own, false},
    {"save what two handles wrote", hold_two, savepoint, true},
    {"save what one wrote and one cut", hold_two_cut, savepoint, true},
    {"save a new file and an update", hold_new, savepoint, true},
    {"read on after a change", hold_and_change, read_on, false},
    {"write on after a change", hold_and_change, write_on, false},
    {"cut after a change", hold_and_change, cut_on, false},
    {"set attributes", NULL, set_attributes, false},
    {"set attributes of an updated file", update_and_name, set_attributes, false},
    {"set attributes of a directory", NULL, set_directory_attributes, false},
    {"set an extended attribute", NULL, set_xattr, false},
    {"set one that comes first", set_xattr, set_first_xattr, false},
    {"remove an extended attribute", set_xattr, remove_xattr, false},
    {"unlink", NULL, unlink_file, false},
    {"unlink a name that others have", update_and_name, unlink_file, false},
    {"unlink the name that was updated", update_twin, unlink_twin, false},
    {"remove a directory", empty_directory, remove_directory, false},
    {"remove a tree", NULL, remove_all, false},
    {"remove a busy tree", busy, remove_all, false},
    {"move a directory", NULL, move_directory, false},
    {"move a busy directory", busy, move_directory, false},
    {"move it back", move_and_update, move_back, false},
    {"move over a file", NULL, move_over, false},
    {"move over a file with names", update_and_name, move_over, false},
    {"exchange busy directories", busy_twice, exchange_directories, false},
    {"go back to a savepoint", save_then_change, rollback_to, true},
};
const size_t fs_change_count = sizeof fs_changes / sizeof *fs_changes;
