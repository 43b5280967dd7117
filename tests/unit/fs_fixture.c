/* SPDX-License-Identifier: MIT */
#include "fs_fixture.h"

static void make_store(struct fs_fixture *f)
{
    struct txlog_settings settings = {.segment_size = 1 << 20};
    struct txlog_identity identity;
    make_dir(f->root, ".txkit");
    f->store = openat(f->root, ".txkit", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    make_dir(f->store, "tx");
    make_dir(f->store, "undo");
    cr_assert_eq(txlog_create(txio_posix(), f->store, &settings, &identity, &f->err), TX_OK, "%s",
                 f->err.text);
}

static void *shared_memory(size_t size)
{
    size = (size + 4095) / 4096 * 4096;
    void *memory = aligned_alloc(4096, size);
    cr_assert_not_null(memory);
    return memset(memory, 0, size);
}

struct fs_fixture fs_fixture_on(struct txio *io, uint64_t inline_max, uint64_t inline_total_max)
{
    struct fs_fixture f = {.temp = temp_dir_new()};
    f.root = f.temp.fd;
    make_store(&f);
    f.log_shared = shared_memory(txlog_shared_size());
    f.tm_shared = shared_memory(ktm_shared_size(1024));
    must(txlog_open(txio_posix(), f.store, TXLOG_READWRITE, f.log_shared, &f.log, &f.err));
    struct txfs_options files = {.io = io,
                                 .root_dir = f.root,
                                 .store_dir = f.store,
                                 .store_name = ".txkit",
                                 .inline_max = inline_max,
                                 .inline_total_max = inline_total_max,
                                 .history_count_max = 16};
    must(txfs_rm_open(&files, &f.fs, &f.err));
    struct ktm_options options = {.io = txio_posix(),
                                  .store_dir = f.store,
                                  .log = f.log,
                                  .shared = f.tm_shared,
                                  .rm_ops = {txfs_rm_ops()},
                                  .rms = {f.fs},
                                  .conflict_entries = 1024};
    struct txlog_recovery log_report;
    struct ktm_recovery report;
    must(txlog_recover(f.log, &log_report, &f.err));
    must(ktm_open(&options, &f.tm, &f.err));
    must(ktm_recover(f.tm, &report, &f.err));
    return f;
}

struct fs_fixture fs_fixture_with(uint64_t inline_max, uint64_t inline_total_max)
{
    return fs_fixture_on(txio_posix(), inline_max, inline_total_max);
}

struct fs_fixture fs_fixture_new(void)
{
    return fs_fixture_with(0, 0);
}

void fs_fixture_auto(struct fs_fixture *f)
{
    ktm_close(f->tm);
    txfs_rm_close(f->fs);
    txlog_close(f->log);
    free(f->log_shared);
    free(f->tm_shared);
    close(f->store);
    temp_dir_auto(&f->temp);
}

struct ktm_txn *fs_begin_with(struct fs_fixture *f, uint32_t flags, const char *description)
{
    struct ktm_begin_options options = {.flags = flags, .description = description};
    struct ktm_txn *txn;
    cr_assert_eq(ktm_begin(f->tm, &options, &txn, &f->err), TX_OK, "%s", f->err.text);
    return txn;
}

struct ktm_txn *fs_begin(struct fs_fixture *f)
{
    return fs_begin_with(f, 0, NULL);
}

bool fs_exists(struct fs_fixture *f, struct ktm_txn *txn, const char *path)
{
    struct txio_stat stat;
    enum tx_status status = txfs_stat(txn, path, &stat, &f->err);
    cr_assert(status == TX_OK || status == TX_ENOTFOUND, "%s", f->err.text);
    return status == TX_OK;
}

bool fs_file_is(struct fs_fixture *f, struct ktm_txn *txn, const char *path, const char *text)
{
    char data[4096];
    size_t size;
    struct txfs_file *file;
    if (txfs_open(txn, path, TXFS_READ, 0, &file, &f->err) != TX_OK) {
        return false;
    }
    cr_assert_eq(txfs_read(file, data, sizeof data, &size, &f->err), TX_OK, "%s", f->err.text);
    txfs_abandon(file);
    return size == strlen(text) && memcmp(data, text, size) == 0;
}

void fs_put(struct fs_fixture *f, struct ktm_txn *txn, const char *path, const char *text)
{
    enum tx_status status = txfs_put(txn, path, text, strlen(text), NULL, &f->err);
    cr_assert_eq(status, TX_OK, "%s", f->err.text);
}

const char *fs_list(struct fs_fixture *f, struct ktm_txn *txn, const char *path)
{
    static char names[8192];
    struct txfs_dir *dir;
    const char *name;
    unsigned type;
    enum tx_status status = txfs_dir_open(txn, path, &dir, &f->err);
    if (status != TX_OK) {
        (void)snprintf(names, sizeof names, "!%s", tx_status_name(status));
        return names;
    }
    names[0] = '\0';
    while (txfs_dir_next(dir, &name, &type)) {
        size_t used = strlen(names);
        (void)snprintf(names + used, sizeof names - used, "%s%s", used > 0 ? "," : "", name);
    }
    txfs_dir_close(dir);
    return names;
}

int fs_last_kind(struct ktm_txn *txn, const char *path, struct txfs_change *change)
{
    struct ktm_cursor cursor = ktm_txn_entries(txn);
    struct ktm_change entry;
    struct txfs_change at;
    int kind = -1;
    while (ktm_cursor_next(&cursor, &entry)) {
        cr_assert_eq(txfs_change_decode(&entry, &at, NULL), TX_OK);
        if (strcmp(at.path, path) == 0) {
            kind = (int)at.kind;
            *change = at;
        }
    }
    return kind;
}
