/* SPDX-License-Identifier: MIT */
#include "ktm_fixture.h"

#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "toy_rm.h"

struct tx_error test_err;

static void *shared_pages(size_t size)
{
    void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    cr_assert_neq(memory, MAP_FAILED);
    return memory;
}

struct world *world_at(const char *path)
{
    struct world *world = calloc(1, sizeof *world);
    cr_assert_not_null(world);
    world->path = path;
    world->conflict_entries = 1024;
    world->log_shared = shared_pages(txlog_shared_size());
    world->ktm_shared = shared_pages(ktm_shared_size(world->conflict_entries));
    for (unsigned i = 0; i < TOYS; i++) {
        world->live[i] = shared_pages(sizeof *world->live[i]);
    }
    return world;
}

void world_forget(struct world *world)
{
    (void)munmap(world->log_shared, txlog_shared_size());
    (void)munmap(world->ktm_shared, ktm_shared_size(world->conflict_entries));
    for (unsigned i = 0; i < TOYS; i++) {
        (void)munmap(world->live[i], sizeof *world->live[i]);
    }
    free(world);
}

struct world *world_new(const struct world_options *options)
{
    struct txlog_settings settings = {.segment_size = 64 * 1024};
    struct txlog_identity identity;
    struct world *world = world_at(NULL);
    world->temp = temp_dir_new();
    world->path = world->temp.path;
    if (options) {
        world->conflict_entries =
            options->conflict_entries ? options->conflict_entries : world->conflict_entries;
        settings.segment_size =
            options->segment_size ? options->segment_size : settings.segment_size;
        settings.size_max = options->size_max;
    }
    ok(txlog_create(txio_posix(), world->temp.fd, &settings, &identity, ERR));
    return world;
}

void world_free(struct world *world)
{
    temp_dir_auto(&world->temp);
    world_forget(world);
}

void world_reboot(struct world *world)
{
    memset(world->log_shared, 0, txlog_shared_size());
    memset(world->ktm_shared, 0, ktm_shared_size(world->conflict_entries));
    for (unsigned i = 0; i < TOYS; i++) {
        memset(world->live[i], 0, sizeof *world->live[i]);
    }
}

static void handle_init(struct handle *handle, struct world *world, struct txio *io)
{
    *handle = (struct handle){.world = world, .io = io ? io : txio_posix(), .dir = -1};
    int dir = handle->io->ops->open(handle->io, TXIO_CWD, world->path,
                                    TXIO_READ | TXIO_DIRECTORY, 0);
    cr_assert_geq(dir, 0);
    handle->dir = dir;
    for (unsigned i = 0; i < TOYS; i++) {
        handle->toys[i] = (struct toy){
            .id = i, .io = handle->io, .store_dir = dir, .live = world->live[i]};
    }
}

static enum tx_status handle_open_tm(struct handle *handle)
{
    struct ktm_options options = {
        .io = handle->io,
        .store_dir = handle->dir,
        .log = handle->log,
        .shared = handle->world->ktm_shared,
        .conflict_entries = handle->world->conflict_entries,
    };
    for (unsigned i = 0; i < TOYS; i++) {
        options.rm_ops[i] = &toy_ops[i];
        options.rms[i] = &handle->toys[i];
    }
    return ktm_open(&options, &handle->tm, ERR);
}

enum tx_status handle_try_boot(struct handle *handle, struct world *world, struct txio *io)
{
    handle_init(handle, world, io);
    TX_TRY(txlog_open(handle->io, handle->dir, TXLOG_READWRITE, world->log_shared, &handle->log,
                      ERR));
    TX_TRY(txlog_recover(handle->log, &handle->recovery.log, ERR));
    TX_TRY(handle_open_tm(handle));
    return ktm_recover(handle->tm, &handle->recovery, ERR);
}

bool handle_rest(struct handle *handle, struct world *world)
{
    bool opened = false;
    handle_init(handle, world, NULL);
    ok(txlog_open(handle->io, handle->dir, TXLOG_READWRITE, world->log_shared, &handle->log, ERR));
    ok(txlog_open_clean(handle->log, &opened, ERR));
    cr_assert(opened, "the log was not closed properly");
    ok(handle_open_tm(handle));
    ok(ktm_open_clean(handle->tm, &opened, ERR));
    return opened;
}

void handle_boot(struct handle *handle, struct world *world)
{
    ok(handle_try_boot(handle, world, NULL));
}

void handle_join(struct handle *handle, struct world *world, struct txio *io)
{
    handle_init(handle, world, io);
    ok(txlog_open(handle->io, handle->dir, TXLOG_READWRITE, world->log_shared, &handle->log, ERR));
    ok(handle_open_tm(handle));
}

void handle_close(struct handle *handle)
{
    ktm_close(handle->tm);
    txlog_close(handle->log);
    if (handle->dir >= 0) {
        (void)handle->io->ops->close(handle->io, handle->dir);
    }
    handle->tm = NULL;
    handle->log = NULL;
    handle->dir = -1;
}

void handle_reboot(struct handle *handle)
{
    struct world *world = handle->world;
    struct txio *io = handle->io;
    handle_close(handle);
    world_reboot(world);
    ok(handle_try_boot(handle, world, io));
}

struct ktm_txn *txn_begin(struct handle *handle, uint32_t flags)
{
    struct ktm_begin_options options = {.description = "a test", .flags = flags};
    struct ktm_txn *txn = NULL;
    ok(ktm_begin(handle->tm, &options, &txn, ERR));
    return txn;
}

uint64_t toy_live_value(const struct world *world, unsigned toy, uint32_t item)
{
    return atomic_load(&world->live[toy]->value[item]);
}

tx_lsn commit_pair(struct handle *handle, uint32_t item, uint64_t value)
{
    tx_lsn lsn = 0;
    struct ktm_txn *txn = txn_begin(handle, 0);
    toy_set(txn, 0, item, value);
    toy_set(txn, 1, item, value);
    ok(ktm_commit(txn, &lsn, ERR));
    return lsn;
}

tx_lsn commit_one(struct handle *handle, unsigned toy, uint32_t item, uint64_t value)
{
    tx_lsn lsn = 0;
    struct ktm_txn *txn = txn_begin(handle, 0);
    toy_set(txn, toy, item, value);
    ok(ktm_commit(txn, &lsn, ERR));
    return lsn;
}

struct txlog_info handle_log_info(const struct handle *handle)
{
    struct txlog_info info;
    txlog_get_info(handle->log, &info);
    return info;
}

bool store_has(const struct world *world, const char *path)
{
    return exists(world->temp.fd, path);
}

const char *payload_path(const struct ktm_id *id)
{
    static char path[KTM_STAGING_PATH_SIZE + 4];
    char directory[KTM_STAGING_PATH_SIZE];
    ktm_staging_path(id, directory);
    (void)snprintf(path, sizeof path, "%s/p1", directory);
    return path;
}

tx_lsn raw_append(struct handle *handle, uint32_t kind, const void *data, size_t size)
{
    tx_lsn lsn, next;
    struct iovec part = {(void *)(uintptr_t)data, size};
    ok(txlog_append_begin(handle->log, size, &lsn, ERR));
    ok(txlog_append(handle->log, kind, &part, size ? 1 : 0, &next, ERR));
    txlog_append_end(handle->log);
    ok(txlog_force(handle->log, next, ERR));
    return lsn;
}

tx_lsn raw_transaction(struct handle *handle, uint32_t kind, uint64_t sequence, uint8_t rm)
{
    TX_AUTO(tx_buf) bytes = TX_BUF_INIT;
    TX_AUTO(tx_buf) entries = TX_BUF_INIT;
    struct ktm_entry_header entry = {.rm = rm, .op = TOY_MARK};
    ok(ktm_changes_add(&entries, &entry, NULL, 0, ERR));
    struct ktm_header header = {
        .epoch = 1, .sequence = sequence, .entry_count = 1, .entries_size = entries.size};
    ok(ktm_header_encode(&header, "", &bytes, ERR));
    ok(tx_buf_append(&bytes, entries.data, entries.size, ERR));
    return raw_append(handle, kind, bytes.data, bytes.size);
}

tx_lsn raw_decision(struct handle *handle, enum ktm_outcome outcome, uint64_t sequence,
                    tx_lsn prepare)
{
    TX_AUTO(tx_buf) bytes = TX_BUF_INIT;
    struct ktm_decision decision = {
        .outcome = outcome, .epoch = 1, .sequence = sequence, .prepare_lsn = prepare};
    ok(ktm_decision_encode(&decision, &bytes, ERR));
    return raw_append(handle, KTM_DECIDE, bytes.data, bytes.size);
}

int in_child(void (*fn)(void *arg), void *arg)
{
    int status = 0;
    pid_t child = fork();
    cr_assert_geq(child, 0);
    if (child == 0) {
        fn(arg);
        _exit(0);
    }
    cr_assert_eq(waitpid(child, &status, 0), child);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
