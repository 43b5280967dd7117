/* SPDX-License-Identifier: MIT */
/* The files below undo/: who cannot open it says so, and whatever stands in them is verified. */
#include <errno.h>

#include "publish_failures.h"
#include "txfs/kept_walk.h"
#include "txfs/undo_changes.h"

/* A commit that writes twice into x, and its record s<i>. */
static tx_lsn commit_two_writes(struct publish_fixture *f)
{
    pub_foreign(f, "x", "0123456789");
    struct ktm_txn *txn = pub_begin(f);
    pub_write(f, txn, "x", 2, "AB");
    pub_write(f, txn, "x", 6, "CD");
    must(txfs_set_xattr(txn, "x", "user.colour", "red", 3, &f->err));
    return pub_commit(f, txn);
}

/* --- undo/ cannot be opened --- */

static tx_lsn the_lsn;

static enum tx_status write_sums(struct txfs *fs, struct tx_error *err)
{
    return txfs_sums_write(fs, the_lsn, err);
}
static enum tx_status read_sums(struct txfs *fs, struct tx_error *err)
{
    uint64_t bytes;
    return txfs_sums_bytes(fs, the_lsn, &bytes, err);
}
static enum tx_status walk_kept(struct txfs *fs, struct tx_error *err)
{
    TX_AUTO(txfs_kept) kept = {.records = TX_BUF_INIT};
    return txfs_kept_walk(fs, the_lsn, &kept, err);
}
static enum tx_status write_changes(struct txfs *fs, struct tx_error *err)
{
    const struct ktm_commit_info info = {.lsn = the_lsn};
    const struct txfs_steps none = {NULL, 0};
    return txfs_changes_write(fs, &info, &none, err);
}
static enum tx_status read_changes(struct txfs *fs, struct tx_error *err)
{
    TX_AUTO(txfs_changes) changes = {.storage = TX_BUF_INIT};
    return txfs_changes_read(fs, the_lsn, &changes, err);
}
static enum tx_status read_saved(struct txfs *fs, struct tx_error *err)
{
    TX_AUTO(txfs_saved) saved = {.head = TX_BUF_INIT};
    return txfs_saved_read(fs, "0000000000000001/s0", &saved, err);
}
static enum tx_status bound_history(struct txfs *fs, struct tx_error *err)
{
    tx_lsn from;
    return txfs_history_bound(fs, &the_lsn, 1, the_lsn + 1, &from, err);
}
static enum tx_status replace_others(struct txfs *fs, struct tx_error *err)
{
    const struct tx_buf empty = TX_BUF_INIT;
    return txfs_others_replace(fs, &empty, err);
}
static enum tx_status write_mark(struct txfs *fs, struct tx_error *err)
{
    const struct txfs_mark mark = {.lsn = the_lsn};
    return txfs_mark_write(fs, &mark, err);
}
static enum tx_status list_undo(struct txfs *fs, struct tx_error *err)
{
    TX_AUTO(tx_buf) lsns = TX_BUF_INIT;
    return txfs_undo_list(fs, &lsns, err);
}

Test(txfs_undo, whoever_cannot_open_it_says_so)
{
    static enum tx_status (*const all[])(struct txfs *, struct tx_error *) = {
        write_sums, read_sums,      walk_kept,  write_changes, read_changes, read_saved,
        list_undo,  replace_others, write_mark, bound_history};
    PUBLISH_FIXTURE(f, 8);
    the_lsn = commit_two_writes(f);
    for (size_t i = 0; i < sizeof(all) / sizeof(*all); i++) {
        for (uint64_t nth = 1; nth <= 2; nth++) { /* making it, or opening it */
            pub_come_anew(f);
            pub_fail_begin(f, PUB_CALLS, nth, EIO);
            enum tx_status status = all[i](f->fs, &f->err);
            cr_assert(pub_fail_end(f));
            cr_assert_eq(status, TX_EIO, "%zu: %s", i, tx_status_name(status));
        }
    }
}

static void remove_undo(struct publish_fixture *f)
{
    must(txio_remove_tree(txio_posix(), f->store, "undo", &f->err));
}

/* Of a store that has published nothing yet. */
static enum tx_status first_steady(struct publish_fixture *f)
{
    static const uint8_t token[KTM_TOKEN_SIZE];
    txfs_touched_clear(f->fs);
    return txfs_steady(f->fs, 0, token, &f->err);
}

static void undo_is_empty(struct publish_fixture *f)
{
    TX_AUTO(tx_buf) lsns = TX_BUF_INIT;
    must(txfs_undo_list(f->fs, &lsns, &f->err));
    cr_assert_eq(lsns.size, 0);
    cr_assert(pub_in_store(f, "undo/steady"));
}

Test(txfs_undo, it_is_made_by_whoever_needs_it_first)
{
    static const struct pub_scene scene = {
        .prepare = remove_undo, .act = first_steady, .finish = undo_is_empty, .as_first = true};
    cr_assert_gt(pub_fail_each(&scene, PUB_CALLS, EIO), 10);
    PUBLISH_FIXTURE(f, 8);
    remove_undo(f);
    pub_come_anew(f);
    TX_AUTO(tx_buf) data = TX_BUF_INIT;
    uint64_t end;
    must(list_undo(f->fs, &f->err)); /* no commits, and no error */
    must(txfs_others_load(f->fs, &data, &end, &f->err));
    cr_assert_eq(end, 0);
}

Test(txfs_undo, names_that_are_no_commits_are_passed_over)
{
    PUBLISH_FIXTURE(f, 8);
    TX_AUTO(tx_buf) lsns = TX_BUF_INIT;
    uint64_t faults;
    commit_two_writes(f);
    make_dir(f->store, "undo/ghijklmnopqrstuv");
    make_dir(f->store, "undo/short");
    must(txfs_undo_list(f->fs, &lsns, &f->err));
    cr_assert_eq(lsns.size, sizeof(tx_lsn));
    must(ktm_checkpoint(f->tm, &f->err));
    make_file(f->store, "undo/0000000000000001", "no directory");
    must(txfs_check(f->fs, NULL, NULL, &faults, &f->err));
    cr_assert_eq(faults, 0);
}

/* Two threads that read may open it at the same time. */
static int opened_between;
static void open_too(struct layer *layer, struct layer_call *call)
{
    struct publish_fixture *f = pub_of(layer);
    if (call->op == LAYER_open && opened_between < 0) {
        opened_between = 0;
        must(txfs_undo_dir(f->fs, &opened_between, &f->err));
    }
}

Test(txfs_undo, one_of_two_threads_opens_it_for_both)
{
    PUBLISH_FIXTURE(f, 8);
    int dir;
    pub_come_anew(f);
    int before = open_descriptors();
    opened_between = -1;
    f->layer.fibers = true;
    f->layer.before = open_too;
    must(txfs_undo_dir(f->fs, &dir, &f->err));
    f->layer.before = NULL;
    cr_assert_eq(dir, opened_between);
    cr_assert_eq(open_descriptors(), before + 1);
}

/* --- Saved records that somebody made --- */

struct record {
    struct txfs_saved_disk disk;
    struct txfs_extent extents[2];
    uint8_t rest[64];
    size_t rest_size;
};

static void seal_record(struct publish_fixture *f, const char *path, struct record *record)
{
    uint8_t bytes[512];
    struct tx_buf extents = TX_BUF_INIT;
    int fd = openat(f->store, path, O_WRONLY | O_TRUNC | O_CLOEXEC);
    cr_assert_geq(fd, 0);
    must(txfs_extent_put(&extents, &record->extents[0], &f->err));
    must(txfs_extent_put(&extents, &record->extents[1], &f->err));
    size_t size = TXFS_SAVED_HEAD_SIZE + extents.size + record->rest_size;
    memcpy(bytes + TXFS_SAVED_HEAD_SIZE, extents.data, extents.size);
    memcpy(bytes + TXFS_SAVED_HEAD_SIZE + extents.size, record->rest, record->rest_size);
    record->disk.seal = 0;
    tx_fields_encode(txfs_saved_fields, &record->disk, bytes);
    record->disk.seal = tx_hash64(bytes, size, 0);
    tx_fields_encode(txfs_saved_fields, &record->disk, bytes);
    cr_assert_eq(write(fd, bytes, size), (ssize_t)size);
    (void)close(fd);
    tx_buf_release(&extents);
}

static void load_record(struct publish_fixture *f, const char *path, struct record *record)
{
    uint8_t bytes[512];
    int fd = openat(f->store, path, O_RDONLY | O_CLOEXEC);
    ssize_t size = read(fd, bytes, sizeof(bytes));
    const uint8_t *at = bytes + TXFS_SAVED_HEAD_SIZE;
    (void)close(fd);
    cr_assert(tx_fields_decode(txfs_saved_fields, &record->disk, bytes));
    cr_assert_eq(record->disk.extent_count, 2);
    for (int i = 0; i < 2; i++, at += TXFS_EXTENT_SIZE) {
        record->extents[i] =
            (struct txfs_extent){tx_get64(at), tx_get64(at + 8), tx_get64(at + 16)};
    }
    record->rest_size = (size_t)(bytes + size - at);
    cr_assert_leq(record->rest_size, sizeof(record->rest));
    memcpy(record->rest, at, record->rest_size);
}

typedef void harm_fn(struct record *record);
static void other_version(struct record *record) { record->disk.version++; }
static void other_size(struct record *record) { record->disk.file_size++; }
static void long_tables(struct record *record) { record->disk.xattrs_size = 1000; }
static void empty_range(struct record *record) { record->extents[1].length = 0; }
static void unsorted(struct record *record) { record->extents[1].offset = 1; }
static void outside(struct record *record) { record->extents[1].offset = 11; }
static void beyond_the_end(struct record *record) { record->extents[1].offset = 9; }
static void elsewhere(struct record *record) { record->extents[1].position++; }
static void too_long(struct record *record)
{
    record->disk.size = 1000;
    record->extents[1].length = 100;
}
static void too_short(struct record *record) { record->extents[1].length = 1; }
static void no_attributes(struct record *record)
{
    record->disk.xattrs_size = 2;
    record->extents[0].position += 2;
    record->extents[1].position += 2;
    memmove(record->rest + 2, record->rest, record->rest_size);
    memcpy(record->rest, "\xff\xff", 2);
    record->rest_size += 2;
    record->disk.file_size += 2;
}

Test(txfs_undo, a_saved_record_that_does_not_add_up_is_refused)
{
    static const struct {
        harm_fn *harm;
        const char *word;
    } cases[] = {{other_version, "header"}, {other_size, "header"},   {long_tables, "tables"},
                 {empty_range, "seal"},     {unsorted, "seal"},       {outside, "seal"},
                 {beyond_the_end, "seal"},  {elsewhere, "seal"},      {too_long, "seal"},
                 {too_short, "seal"},       {no_attributes, "block"}};
    PUBLISH_FIXTURE(f, 8);
    char slot[TXFS_SLOT_PATH_SIZE];
    char path[TXFS_SLOT_PATH_SIZE + 8];
    tx_lsn lsn = commit_two_writes(f);
    for (uint32_t i = 0; i < 8; i++) {
        txfs_slot_path(lsn, 's', i, slot);
        (void)snprintf(path, sizeof(path), "undo/%.63s", slot);
        if (pub_in_store(f, path)) {
            break;
        }
    }
    struct record good;
    load_record(f, path, &good);
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        TX_AUTO(txfs_saved) saved = {.head = TX_BUF_INIT};
        struct record bad = good;
        cases[i].harm(&bad);
        seal_record(f, path, &bad);
        cr_assert_eq(txfs_saved_read(f->fs, slot, &saved, &f->err), TX_ECORRUPT, "case %zu", i);
        cr_assert_not_null(strstr(f->err.text, cases[i].word), "case %zu: %s", i, f->err.text);
    }
    TX_AUTO(txfs_saved) saved = {.head = TX_BUF_INIT};
    seal_record(f, path, &good);
    must(txfs_saved_read(f->fs, slot, &saved, &f->err));
}

/* --- Sizes, and counts that do not fit --- */

static void set_size(struct publish_fixture *f, const char *path, off_t size)
{
    int fd = openat(f->store, path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    cr_assert_geq(fd, 0, "%s", path);
    cr_assert_eq(ftruncate(fd, size), 0);
    (void)close(fd);
}

Test(txfs_undo, files_of_impossible_sizes_are_not_read)
{
    PUBLISH_FIXTURE(f, 8);
    TX_AUTO(tx_buf) data = TX_BUF_INIT;
    struct txfs_sums_disk disk;
    uint64_t end;
    char path[64];
    tx_lsn lsn = commit_two_writes(f);
    must(ktm_checkpoint(f->tm, &f->err));
    (void)snprintf(path, sizeof(path), "undo/%016llx/sums", (unsigned long long)lsn);
    set_size(f, path, (off_t)TXFS_SUMS_SIZE_MAX + 1);
    cr_assert_eq(txfs_sums_read(f->fs, lsn, &data, &disk, &f->err), TX_ECORRUPT);
    cr_assert_not_null(strstr(f->err.text, "impossible size"));
    (void)snprintf(path, sizeof(path), "undo/%016llx/changes", (unsigned long long)lsn);
    set_size(f, path, ((off_t)1 << 30) + 1);
    the_lsn = lsn;
    cr_assert_eq(read_changes(f->fs, &f->err), TX_ECORRUPT);
    cr_assert_not_null(strstr(f->err.text, "impossible size"));
    set_size(f, "undo/others", ((off_t)64 << 20) + 1);
    cr_assert_eq(txfs_others_load(f->fs, &data, &end, &f->err), TX_ECORRUPT);
    cr_assert_not_null(strstr(f->err.text, "impossible size"));
}

/* The description takes the place of the steps. */
Test(txfs_undo, changes_without_their_steps_are_refused)
{
    PUBLISH_FIXTURE(f, 8);
    TX_AUTO(tx_buf) data = TX_BUF_INIT;
    TX_AUTO(txfs_changes) changes = {.storage = TX_BUF_INIT};
    struct txfs_changes_disk disk;
    struct ktm_txn *txn = pub_begin(f);
    pub_put(f, txn, "x", "text");
    struct ktm_commit_info info = pub_commit_of(txn, 0x100000);
    TX_AUTO(txfs_steps) steps = {NULL, 0};
    must(txfs_steps_load(info.entries, &steps, &f->err));
    must(txfs_changes_encode(f->fs, &info, &steps, &data, &f->err));
    cr_assert(tx_fields_decode(txfs_changes_fields, &disk, data.data));
    disk.description_size += disk.step_count * TXFS_CHANGES_STEP_SIZE;
    disk.step_count = 0;
    disk.seal = 0;
    tx_fields_encode(txfs_changes_fields, &disk, data.data);
    disk.seal = tx_hash64(data.data, data.size, 0);
    tx_fields_encode(txfs_changes_fields, &disk, data.data);
    cr_assert_eq(txfs_changes_decode(&data, 0x100000, &changes, &f->err), TX_ECORRUPT);
    cr_assert_not_null(strstr(f->err.text, "entries do not add up"));
    ktm_rollback(txn);
}
