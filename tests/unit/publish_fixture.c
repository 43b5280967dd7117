/* SPDX-License-Identifier: MIT */
#include "publish_fixture.h"

#define FIXED_TIME INT64_C(1600000000123456789)

static void nothing(struct layer *layer, struct layer_call *call)
{
    (void)layer;
    (void)call;
}

static uint64_t shift_of(struct txio *io)
{
    struct publish_fixture *f =
        (struct publish_fixture *)(void *)((char *)io - offsetof(struct publish_fixture, system));
    return f->device_shift;
}

static int shifted_stat(struct txio *io, int dir, const char *path, struct txio_stat *stat)
{
    int result = txio_posix()->ops->stat(txio_posix(), dir, path, stat);
    stat->dev += result == 0 ? shift_of(io) : 0;
    return result;
}

static int shifted_fstat(struct txio *io, int fd, struct txio_stat *stat)
{
    int result = txio_posix()->ops->fstat(txio_posix(), fd, stat);
    stat->dev += result == 0 ? shift_of(io) : 0;
    return result;
}

static void *shared_memory(size_t size)
{
    size = (size + 4095) / 4096 * 4096;
    void *memory = aligned_alloc(4096, size);
    cr_assert_not_null(memory);
    return memset(memory, 0, size);
}

static void foreign_seen(void *arg, const char *path, const char *kept_as)
{
    struct publish_fixture *f = arg;
    if (f->foreign_count < PUB_FOREIGN_MAX) {
        (void)snprintf(f->foreign_path[f->foreign_count], 128, "%s", path);
        (void)snprintf(f->foreign_kept[f->foreign_count], 128, "%s", kept_as);
    }
    f->foreign_count++;
}

static void open_files(struct publish_fixture *f)
{
    struct txfs_options files = {.io = &f->layer.io,
                                 .root_dir = f->root,
                                 .store_dir = f->store,
                                 .store_name = ".txkit",
                                 .inline_max = 4096,
                                 .history_count_max = f->history};
    must(txfs_rm_open(&files, &f->fs, &f->err));
    txfs_on_foreign(f->fs, foreign_seen, f);
}

void pub_open(struct publish_fixture *f)
{
    struct txio *io = &f->layer.io;
    struct txlog_recovery log_report;
    struct ktm_recovery report;
    f->log_shared = shared_memory(txlog_shared_size());
    f->tm_shared = shared_memory(ktm_shared_size(1024));
    must(txlog_open(io, f->store, TXLOG_READWRITE, f->log_shared, &f->log, &f->err));
    must(txlog_recover(f->log, &log_report, &f->err));
    open_files(f);
    struct ktm_options options = {.io = io,
                                  .store_dir = f->store,
                                  .log = f->log,
                                  .shared = f->tm_shared,
                                  .rm_ops = {txfs_rm_ops()},
                                  .rms = {f->fs},
                                  .conflict_entries = 1024};
    must(ktm_open(&options, &f->tm, &f->err));
    must(ktm_recover(f->tm, &report, &f->err));
}

void pub_die(struct publish_fixture *f)
{
    ktm_close(f->tm);
    txfs_rm_close(f->fs);
    txlog_close(f->log);
    free(f->log_shared);
    free(f->tm_shared);
    f->tm = NULL;
}

void publish_fixture_init(struct publish_fixture *f, uint32_t history)
{
    struct txlog_settings settings = {.segment_size = 1 << 20};
    struct txlog_identity identity;
    *f = (struct publish_fixture){.temp = temp_dir_new(), .history = history};
    f->system_ops = *txio_posix()->ops;
    f->system_ops.stat = shifted_stat;
    f->system_ops.fstat = shifted_fstat;
    f->system.ops = &f->system_ops;
    layer_init(&f->layer, &f->system);
    f->layer.before = nothing;
    f->layer.after = nothing;
    f->root = f->temp.fd;
    make_dir(f->root, ".txkit");
    f->store = openat(f->root, ".txkit", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    make_dir(f->store, "tx");
    make_dir(f->store, "undo");
    must(txlog_create(txio_posix(), f->store, &settings, &identity, &f->err));
    pub_open(f);
}

void publish_fixture_auto(struct publish_fixture *f)
{
    if (f->tm != NULL) {
        pub_die(f);
    }
    (void)close(f->store);
    layer_release(&f->layer);
    temp_dir_auto(&f->temp);
}

struct ktm_txn *pub_begin(struct publish_fixture *f)
{
    struct ktm_txn *txn;
    must(ktm_begin(f->tm, NULL, &txn, &f->err));
    return txn;
}

tx_lsn pub_commit(struct publish_fixture *f, struct ktm_txn *txn)
{
    tx_lsn lsn;
    must(ktm_commit(txn, &lsn, &f->err));
    return lsn;
}

tx_lsn pub_commit_change(struct publish_fixture *f, pub_change_fn *change)
{
    struct ktm_txn *txn = pub_begin(f);
    change(f, txn);
    return pub_commit(f, txn);
}

static enum tx_status count_commit(void *arg, const struct ktm_commit_info *commit,
                                   struct tx_error *err)
{
    (void)commit;
    (void)err;
    ++*(unsigned *)arg;
    return TX_OK;
}

enum tx_status pub_count_history(struct publish_fixture *f, unsigned *count)
{
    *count = 0;
    return txfs_history(f->fs, count_commit, count, &f->err);
}

struct publish_fixture *pub_of(struct layer *layer)
{
    return (struct publish_fixture *)((char *)layer - offsetof(struct publish_fixture, layer));
}

void pub_time(struct publish_fixture *f, struct ktm_txn *txn, const char *path)
{
    struct txio_attr attr = {.mask = TXIO_ATTR_TIMES,
                             .atime_ns = FIXED_TIME,
                             .mtime_ns = FIXED_TIME + (int64_t)strlen(path)};
    must(txfs_set_attr(txn, path, &attr, &f->err));
}

void pub_put(struct publish_fixture *f, struct ktm_txn *txn, const char *path, const char *text)
{
    must(txfs_put(txn, path, text, strlen(text), NULL, &f->err));
    pub_time(f, txn, path);
}

void pub_put_bytes(struct publish_fixture *f, struct ktm_txn *txn, const char *path, size_t size,
                   int seed)
{
    char *bytes = malloc(size);
    cr_assert_not_null(bytes);
    for (size_t i = 0; i < size; i++) {
        bytes[i] = (char)(seed + (int)(i * 7 + i / 251));
    }
    must(txfs_put(txn, path, bytes, size, NULL, &f->err));
    pub_time(f, txn, path);
    free(bytes);
}

void pub_write(struct publish_fixture *f, struct ktm_txn *txn, const char *path, uint64_t offset,
               const char *text)
{
    struct txfs_file *file;
    must(txfs_open(txn, path, TXFS_WRITE, 0, &file, &f->err));
    must(txfs_pwrite(file, text, strlen(text), offset, &f->err));
    must(txfs_close(file, &f->err));
    pub_time(f, txn, path);
}

bool pub_reads(struct publish_fixture *f, struct ktm_txn *txn, const char *path, const char *text)
{
    char data[4096];
    size_t size;
    struct txfs_file *file;
    enum tx_status status = txfs_open(txn, path, TXFS_READ, 0, &file, &f->err);
    if (status != TX_OK) {
        (void)fprintf(stderr, "open %s: %s\n", path, f->err.text);
        return false;
    }
    must(txfs_read(file, data, sizeof(data), &size, &f->err));
    txfs_abandon(file);
    bool same = size == strlen(text) && memcmp(data, text, size) == 0;
    if (!same) {
        (void)fprintf(stderr, "%s reads \"%.*s\"\n", path, (int)size, data);
    }
    return same;
}

struct ktm_commit_info pub_commit_of(struct ktm_txn *txn, tx_lsn lsn)
{
    struct ktm_commit_info info = {.lsn = lsn,
                                   .next_lsn = lsn + 4096,
                                   .id = ktm_txn_id(txn),
                                   .description = "made up",
                                   .entries = ktm_txn_entries(txn)};
    struct ktm_cursor cursor = info.entries;
    struct ktm_change change;
    while (ktm_cursor_next(&cursor, &change)) {
        info.entry_count++;
    }
    return info;
}

/* --- The system's side --- */

const char *pub_text(struct publish_fixture *f, const char *path)
{
    static char text[8192];
    int fd = openat(f->root, path, O_RDONLY | O_CLOEXEC);
    ssize_t size = fd < 0 ? 0 : read(fd, text, sizeof(text) - 1);
    cr_assert_geq(size, 0);
    text[size] = '\0';
    if (fd >= 0) {
        (void)close(fd);
    }
    return text;
}

struct stat pub_stat(struct publish_fixture *f, const char *path)
{
    struct stat st;
    return fstatat(f->root, path, &st, AT_SYMLINK_NOFOLLOW) == 0 ? st : (struct stat){.st_ino = 0};
}

void pub_foreign(struct publish_fixture *f, const char *path, const char *text)
{
    make_file(f->root, path, text);
}

bool pub_in_store(struct publish_fixture *f, const char *path)
{
    struct stat st;
    return fstatat(f->store, path, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

void pub_flip(struct publish_fixture *f, const char *path, off_t offset)
{
    char byte;
    int fd = openat(f->store, path, O_RDWR | O_CLOEXEC);
    cr_assert_eq(pread(fd, &byte, 1, offset), 1);
    byte ^= 4;
    cr_assert_eq(pwrite(fd, &byte, 1, offset), 1);
    cr_assert_eq(close(fd), 0);
}

bool pub_was_told(const struct publish_fixture *f, const char *path, const char *kept_prefix)
{
    for (unsigned i = 0; i < f->foreign_count && i < PUB_FOREIGN_MAX; i++) {
        size_t size = strlen(kept_prefix);
        if (strcmp(f->foreign_path[i], path) == 0 &&
            (size == 0 ? f->foreign_kept[i][0] == '\0'
                       : strncmp(f->foreign_kept[i], kept_prefix, size) == 0)) {
            return true;
        }
    }
    return false;
}

struct killer {
    struct layer *layer;
    uint64_t left;
};
static struct killer killer;

static void kill_before(struct layer *layer, struct layer_call *call)
{
    (void)layer;
    if (layer_op_changes(call->op) && killer.left > 0 && --killer.left == 0) {
        _exit(PUB_KILLED);
    }
}

void pub_kill_at(struct publish_fixture *f, uint64_t k)
{
    killer = (struct killer){&f->layer, k};
    f->layer.before = kill_before;
}
